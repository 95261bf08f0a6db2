//! A stage before the shop's servers: what it lets in is raised after them, lowered before them, and held while they fall short.

use std::time::Duration;

use ::local_aws::seed::{Metric, Value, publish};
use ::local_aws::unkind::Unkind;
use aws_sdk_apigateway::types::{Op, PatchOperation};
use headroom_aws::sdk::Aws;
use headroom_core::journal::StepState;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};

use crate::bench::{Bench, CALM, HALF, server};

/// Requests a second that the stage lets in, and at once.
const THROTTLE: (i32, i32) = (100, 200);

/// Creates an API with a stage `prod` and its throttle; answers the API's id.
pub(crate) async fn stage(aws: &Aws, name: &str, platform: Option<&str>) -> String {
    let gateway = aws.apigateway();
    let api = gateway.create_rest_api().name(name).send().await.unwrap().id.unwrap();
    let deployment = gateway.create_deployment().rest_api_id(&api).send().await.unwrap().id.unwrap();
    let create = gateway.create_stage().rest_api_id(&api).stage_name("prod").deployment_id(deployment);
    let tags = platform.map(|platform| [("headroom".to_owned(), platform.to_owned())].into());
    create.set_tags(tags).send().await.unwrap();
    set(aws, &api, THROTTLE).await;
    api
}

/// Somebody sets the throttle for all methods, past Headroom.
pub(crate) async fn set(aws: &Aws, api: &str, (rate, burst): (i32, i32)) {
    let mut update = aws.apigateway().update_stage().rest_api_id(api).stage_name("prod");
    for (what, value) in [("rateLimit", rate), ("burstLimit", burst)] {
        let path = format!("/*/*/throttling/{what}");
        let replace = PatchOperation::builder().op(Op::Replace).path(path).value(value.to_string());
        update = update.patch_operations(replace.build());
    }
    update.send().await.unwrap();
}

/// What a stage lets in, a second and at once.
pub(crate) async fn stands(aws: &Aws, api: &str) -> (f64, i32) {
    let told = aws.apigateway().get_stage().rest_api_id(api).stage_name("prod").send().await.unwrap();
    let setting = &told.method_settings().unwrap()["*/*"];
    (setting.throttling_rate_limit(), setting.throttling_burst_limit())
}

/// What the platform calls the stage, and its API's name.
pub(crate) fn name_of(bench: &Bench) -> String {
    format!("{}-edge", bench.shop.name)
}

/// Creates the shop's stage; answers its API's id.
pub(crate) async fn create(bench: &Bench) -> String {
    stage(&bench.aws, &name_of(bench), Some(&bench.shop.name)).await
}

/// A platform's file with the stage in it.
pub(crate) fn platform(bench: &Bench, text: &str, api: &str) -> String {
    let name = name_of(bench);
    let stage = format!(
        "  edge:
    resources:
      - type: API_GATEWAY_STAGE
        name: '{api}'
        id: {name}
        api_name: {name}
        stage: prod
        min_capacity: 20
        max_capacity: 1000
"
    );
    let text = text.replace("scaling_groups:\n", &format!("scaling_groups:\n{stage}"));
    let text = text.replace("app, web]", "app, web, edge]");
    text.replace("dependencies:\n", "dependencies:\n    - {source: edge, target: web}\n")
}

/// So many requests a second for some minutes before a time.
pub(crate) async fn ask(bench: &Bench, a_second: f64, before: Timestamp, minutes: i64) {
    let dimensions = vec![("ApiName", name_of(bench)), ("Stage", "prod".to_owned())];
    let metric = Metric { namespace: "AWS/ApiGateway", name: "Count", dimensions };
    let mean = a_second * 60.0;
    let value = |minute| Value { at: before - SignedDuration::from_mins(minute), mean, samples: 1.0 };
    publish(&bench.aws, &metric, (1..=minutes).map(value)).await.unwrap();
}

async fn shop(name: &str, load: f64, a_second: f64) -> (Bench, String) {
    let bench = Bench::at(name, load).await;
    let api = create(&bench).await;
    bench.publish(&platform(&bench, &bench.platform, &api)).await;
    ask(&bench, a_second, Timestamp::now(), 120).await;
    (bench, api)
}

async fn later(bench: &Bench, load: f64, a_second: f64) -> Json {
    let input = bench.half_an_hour_later(load).await;
    ask(bench, a_second, input["now"].as_str().unwrap().parse().unwrap(), 30).await;
    input
}

#[tokio::test]
async fn more_is_let_in_after_the_servers_came_and_less_before_they_go() {
    let (bench, api) = shop("gate", 2.0 * HALF, 105.0).await;
    server().await.unkind("gate-", &Unkind { lag: Some(1.0), ..Unkind::default() }).await.unwrap();
    // The throttle that was just set is told only then.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let cycle = bench.cycle().await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    let journal = bench.journal().await;
    assert_eq!(journal["edge"].state, StepState::Done, "{journal:#?}");
    assert!(journal["web"].wave < journal["edge"].wave, "{journal:#?}");
    server().await.unkind("gate-", &Unkind { lag: Some(0.0), ..Unkind::default() }).await.unwrap();
    let (rate, burst) = stands(&bench.aws, &api).await;
    assert!((140.0..180.0).contains(&rate) && f64::from(burst) == 2.0 * rate, "{rate}, {burst}");
    let input = later(&bench, 0.5 * CALM, 40.0).await;
    let cycle = bench.cycle_with(input).await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    let journal = bench.journal().await;
    assert!(journal["edge"].wave < journal["web"].wave, "{journal:#?}");
    assert!(stands(&bench.aws, &api).await.0 < rate);
}

#[tokio::test]
async fn no_more_is_let_in_than_the_servers_behind_can_carry() {
    let (bench, api) = shop("gateheld", 2.0 * HALF, 105.0).await;
    let text = platform(&bench, &bench.platform, &api);
    let web = format!("name: {}-web\n        min_capacity: 2\n        max_capacity: ", bench.shop.name);
    assert!(text.contains(&format!("{web}40")));
    bench.publish(&text.replace(&format!("{web}40"), &format!("{web}12"))).await;
    let cycle = bench.cycle().await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    assert_eq!(stands(&bench.aws, &api).await, (100.0, 200));
    let reasons = bench.reasons("edge/throttle").await;
    assert!(reasons.iter().any(|reason| reason.contains("no more is let in")), "{reasons:?}");
}

#[tokio::test]
async fn a_stage_that_refuses_rolls_back_what_was_begun() {
    // More than any other test lets in: by a request's path the fault proxy knows no stage.
    let (bench, api) = shop("gateless", 2.0 * HALF, 700.0).await;
    set(&bench.aws, &api, (600, 700)).await;
    let before = bench.capacity().await;
    bench
        .fault(json!({"service": "apigateway", "body": "patchOperations[?to_number(value) > `899`]",
            "error": {"code": "AccessDeniedException", "status": 403}}))
        .await;
    let cycle = bench.cycle().await;
    assert_eq!(cycle.error, "RolledBack", "{cycle:?}");
    assert_eq!((bench.capacity().await, stands(&bench.aws, &api).await), (before, (600.0, 700)));
}

#[tokio::test]
async fn no_more_is_let_in_where_the_servers_do_not_hold() {
    let (bench, api) = shop("gatesick", 2.0 * HALF, 105.0).await;
    bench.health.set(false);
    let cycle = bench.cycle().await;
    assert_eq!(cycle.error, "RolledBack", "{cycle:?}");
    assert_eq!(stands(&bench.aws, &api).await, (100.0, 200));
}
