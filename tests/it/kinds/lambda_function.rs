//! A Lambda function that reads the shop's table: its concurrency is there after the table's units, and goes before them.

use ::local_aws::seed::{Metric, Value, publish};
use ::local_aws::unkind::Unkind;
use aws_sdk_applicationautoscaling::types::{ScalableDimension, ServiceNamespace};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{FunctionCode, Runtime};
use headroom_aws::sdk::Aws;
use headroom_core::journal::StepState;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};

use crate::bench::{Bench, CALM, HALF, server};

/// What is provisioned and reserved at first.
const FIRST: (i32, i32) = (10, 60);

/// Creates a function with one version, which the alias `live` names.
pub(crate) async fn function(aws: &Aws, name: &str, platform: Option<&str>) {
    let lambda = aws.lambda();
    // An archive of no files.
    let code = FunctionCode::builder().zip_file(Blob::new([&b"PK\x05\x06"[..], &[0; 18]].concat()));
    let create = lambda.create_function().function_name(name).runtime(Runtime::Python312).code(code.build());
    let create = create.handler("index.handler").role("arn:aws:iam::123456789012:role/function");
    let tags = platform.map(|platform| [("headroom".to_owned(), platform.to_owned())].into());
    create.set_tags(tags).send().await.unwrap();
    lambda.publish_version().function_name(name).send().await.unwrap();
    lambda.create_alias().function_name(name).name("live").function_version("1").send().await.unwrap();
}

/// Creates the shop's function, with some concurrency provisioned and reserved.
pub(crate) async fn create(bench: &Bench) {
    let name = name_of(bench);
    function(&bench.aws, &name, Some(&bench.shop.name)).await;
    let reserve = bench.aws.lambda().put_function_concurrency().function_name(&name);
    reserve.reserved_concurrent_executions(FIRST.1).send().await.unwrap();
    provision(bench, FIRST.0).await;
}

/// Somebody provisions so much, past Headroom.
pub(crate) async fn provision(bench: &Bench, units: i32) {
    let put = bench.aws.lambda().put_provisioned_concurrency_config().function_name(name_of(bench));
    put.qualifier("live").provisioned_concurrent_executions(units).send().await.unwrap();
}

/// What is provisioned, as the platform names it.
pub(crate) fn provisioned(bench: &Bench) -> String {
    format!("{}/provisioned", name_of(bench))
}

async fn shop(name: &str, load: f64) -> Bench {
    let bench = Bench::at(name, load).await;
    create(&bench).await;
    bench.publish(&platform(&bench, &bench.platform, "desired")).await;
    bench
}

fn name_of(bench: &Bench) -> String {
    format!("{}-checkout", bench.shop.name)
}

/// A platform's file with the function in it.
pub(crate) fn platform(bench: &Bench, text: &str, mode: &str) -> String {
    let function = format!(
        "  checkout:
    resources:
      - type: LAMBDA_FUNCTION
        name: {}
        mode: {mode}
        qualifier: live
        provisioned_concurrency: {{min: 0, max: 40}}
        reserved_concurrency: {{min: 20, max: 120}}
",
        name_of(bench)
    );
    let text = text.replace("scaling_groups:\n", &format!("scaling_groups:\n{function}"));
    let text = text.replace("[data,", "[data, checkout,");
    text.replace("dependencies:\n", "dependencies:\n    - {source: checkout, target: data}\n")
}

/// Executions at the same time for some minutes before a time, of the alias and of the whole function. Nothing was lost, and
/// AWS publishes nothing about that.
pub(crate) async fn run(bench: &Bench, (alias, all): (f64, f64), before: Timestamp, minutes: i64) {
    let name = name_of(bench);
    let resource = ("Resource", format!("{name}:live"));
    for (dimensions, mean) in
        [(vec![("FunctionName", name.clone()), resource], alias), (vec![("FunctionName", name.clone())], all)]
    {
        let metric = Metric { namespace: "AWS/Lambda", name: "ConcurrentExecutions", dimensions };
        let value = |minute| Value { at: before - SignedDuration::from_mins(minute), mean, samples: 1.0 };
        publish(&bench.aws, &metric, (1..=minutes).map(value)).await.unwrap();
    }
}

async fn later(bench: &Bench, load: f64, executions: (f64, f64)) -> Json {
    let input = bench.half_an_hour_later(load).await;
    run(bench, executions, input["now"].as_str().unwrap().parse().unwrap(), 30).await;
    input
}

/// What is provisioned and what is reserved.
pub(crate) async fn stands(bench: &Bench) -> (i32, i32) {
    let (lambda, name) = (bench.aws.lambda(), name_of(bench));
    let asked = lambda.get_provisioned_concurrency_config().function_name(&name).qualifier("live");
    let provisioned =
        asked.send().await.map_or(0, |told| told.available_provisioned_concurrent_executions.unwrap_or(0));
    let reserved = lambda.get_function_concurrency().function_name(&name).send().await.unwrap();
    (provisioned, reserved.reserved_concurrent_executions.unwrap())
}

#[tokio::test]
async fn concurrency_comes_after_the_table_and_goes_before_it() {
    let bench = shop("fn", 2.0 * HALF).await;
    let slow = Unkind { pace: Some(2.0), ..Unkind::default() };
    server().await.unkind("fn-", &slow).await.unwrap();
    run(&bench, (14.0, 56.0), Timestamp::now(), 120).await;
    let cycle = bench.cycle().await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    let journal = bench.journal().await;
    assert_eq!(journal["checkout"].state, StepState::Done, "{journal:#?}");
    assert!(journal["orders"].wave < journal["checkout"].wave, "{journal:#?}");
    let out = stands(&bench).await;
    assert!((18..=22).contains(&out.0) && (75..=85).contains(&out.1), "{out:?}");
    let late = Unkind { pace: Some(2.0), lag: Some(1.0), ..Unkind::default() };
    server().await.unkind("fn-", &late).await.unwrap();
    // Nobody invokes the alias any more, and what is left of the rest is little.
    let input = later(&bench, 0.5 * CALM, (1.0, 20.0)).await;
    let cycle = bench.cycle_with(input).await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    let journal = bench.journal().await;
    assert!(journal["checkout"].wave < journal["orders"].wave, "{journal:#?}");
    let inward = stands(&bench).await;
    assert!(inward.0 < out.0 && inward.1 < out.1, "{inward:?} of {out:?}");
}

#[tokio::test]
async fn a_function_that_refuses_rolls_back_what_was_begun() {
    let bench = shop("fnless", 2.0 * HALF).await;
    // More than any other test provisions: by a request's path the fault proxy knows no function.
    run(&bench, (17.5, 56.0), Timestamp::now(), 120).await;
    let before = bench.capacity().await;
    bench
        .fault(json!({"service": "lambda", "body": "ProvisionedConcurrentExecutions > `23`", "error": {"code": "AccessDeniedException", "status": 403}}))
        .await;
    let cycle = bench.cycle().await;
    assert_eq!(cycle.error, "RolledBack", "{cycle:?}");
    assert_eq!((bench.capacity().await, stands(&bench).await), (before, FIRST));
}

#[tokio::test]
async fn concurrency_that_the_rest_did_not_hold_on_is_taken_back() {
    let bench = shop("fnsick", 2.0 * HALF).await;
    let slow = Unkind { pace: Some(2.0), ..Unkind::default() };
    server().await.unkind("fnsick-", &slow).await.unwrap();
    run(&bench, (14.0, 56.0), Timestamp::now(), 120).await;
    bench.health.set(false);
    let cycle = bench.cycle().await;
    assert_eq!(cycle.error, "RolledBack", "{cycle:?}");
    assert_eq!(bench.journal().await["checkout"].state, StepState::Undone);
    assert_eq!(stands(&bench).await, FIRST);
}

#[tokio::test]
async fn floors_move_under_the_native_policy_of_provisioned_concurrency() {
    let bench = shop("fnfloor", CALM).await;
    let id = format!("function:{}:live", name_of(&bench));
    let register =
        bench.aws.application().register_scalable_target().service_namespace(ServiceNamespace::Lambda);
    let register =
        register.resource_id(&id).scalable_dimension(ScalableDimension::LambdaFunctionProvisionedConcurrency);
    let register = register.min_capacity(FIRST.0).max_capacity(30).tags("headroom", "fnfloor");
    register.send().await.unwrap();
    bench.publish(&platform(&bench, &bench.platform, "floor")).await;
    let slow = Unkind { pace: Some(2.0), ..Unkind::default() };
    server().await.unkind("fnfloor-", &slow).await.unwrap();
    run(&bench, (14.0, 56.0), Timestamp::now(), 120).await;
    let cycle = bench.cycle().await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    let asked =
        bench.aws.application().describe_scalable_targets().service_namespace(ServiceNamespace::Lambda);
    let told = asked.resource_ids(id).send().await.unwrap();
    let floor = told.scalable_targets()[0].min_capacity();
    assert!((18..=22).contains(&floor), "{floor}");
    assert_eq!(stands(&bench).await.0, floor, "moved by Application Auto Scaling");
}
