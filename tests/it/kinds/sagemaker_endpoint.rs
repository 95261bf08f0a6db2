//! An endpoint that the shop's service asks: its instances are there before the tasks that ask, and go after them.

use ::local_aws::seed::{Metric, Value, publish};
use ::local_aws::unkind::Unkind;
use aws_sdk_sagemaker::types::{EndpointStatus, ProductionVariant, ProductionVariantInstanceType, Tag};
use headroom_aws::sdk::Aws;
use headroom_core::journal::StepState;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};

use crate::bench::{Bench, CALM, HALF, server};

/// Instances of the variant that the platform scales, and of the other one.
const INSTANCES: (i32, i32) = (3, 2);
/// Invocations a minute that an instance should carry.
const TARGET: f64 = 600.0;

/// Creates an endpoint of two variants, `blue` and `green`.
pub(crate) async fn endpoint(aws: &Aws, name: &str, instances: i32, platform: Option<&str>) {
    let sagemaker = aws.sagemaker();
    let model = sagemaker.create_model().model_name(name);
    model.execution_role_arn("arn:aws:iam::123456789012:role/model").send().await.unwrap();
    let mut config = sagemaker.create_endpoint_config().endpoint_config_name(name);
    for (variant, instances) in [("blue", instances), ("green", INSTANCES.1)] {
        let variant = ProductionVariant::builder().variant_name(variant).model_name(name);
        let variant = variant.instance_type(ProductionVariantInstanceType::MlM5Xlarge);
        let variant = variant.initial_instance_count(instances).initial_variant_weight(1.0);
        config = config.production_variants(variant.build());
    }
    config.send().await.unwrap();
    let create = sagemaker.create_endpoint().endpoint_name(name).endpoint_config_name(name);
    let tag = platform.map(|platform| Tag::builder().key("headroom").value(platform).build());
    create.set_tags(tag.map(|tag| vec![tag])).send().await.unwrap();
}

/// What an endpoint is, and the instances there and wanted of each of its variants.
pub(crate) async fn stands(aws: &Aws, name: &str) -> (EndpointStatus, Vec<(i32, i32)>) {
    let told = aws.sagemaker().describe_endpoint().endpoint_name(name).send().await.unwrap();
    let counts = told.production_variants().iter().map(|variant| {
        (variant.current_instance_count().unwrap(), variant.desired_instance_count().unwrap())
    });
    (told.endpoint_status().unwrap().clone(), counts.collect())
}

pub(crate) fn name_of(bench: &Bench) -> String {
    format!("{}-ranking", bench.shop.name)
}

/// Creates the shop's endpoint.
pub(crate) async fn create(bench: &Bench) {
    endpoint(&bench.aws, &name_of(bench), INSTANCES.0, Some(&bench.shop.name)).await;
}

/// A platform's file with the endpoint in it.
pub(crate) fn platform(bench: &Bench, text: &str) -> String {
    let endpoint = format!(
        "  ranking:
    resources:
      - type: SAGEMAKER_ENDPOINT
        name: {}
        variant: blue
        min_capacity: 1
        max_capacity: 20
        target_invocations: {TARGET}
",
        name_of(bench)
    );
    let text = text.replace("scaling_groups:\n", &format!("scaling_groups:\n{endpoint}"));
    let text = text.replace("[data,", "[data, ranking,");
    text.replace("dependencies:\n", "dependencies:\n    - {source: app, target: ranking}\n")
}

/// Invocations for some minutes before a time, in what so many instances should carry.
pub(crate) async fn invoke(bench: &Bench, instances: f64, before: Timestamp, minutes: i64) {
    let dimensions = vec![("EndpointName", name_of(bench)), ("VariantName", "blue".to_owned())];
    let metric = Metric { namespace: "AWS/SageMaker", name: "Invocations", dimensions };
    let mean = instances * TARGET;
    let value = |minute| Value { at: before - SignedDuration::from_mins(minute), mean, samples: 1.0 };
    publish(&bench.aws, &metric, (1..=minutes).map(value)).await.unwrap();
}

async fn shop(name: &str, load: f64, instances: f64) -> Bench {
    let bench = Bench::at(name, load).await;
    create(&bench).await;
    bench.publish(&platform(&bench, &bench.platform)).await;
    invoke(&bench, instances, Timestamp::now(), 120).await;
    bench
}

async fn later(bench: &Bench, load: f64, instances: f64) -> Json {
    let input = bench.half_an_hour_later(load).await;
    invoke(bench, instances, input["now"].as_str().unwrap().parse().unwrap(), 30).await;
    input
}

#[tokio::test]
async fn instances_come_before_the_tasks_that_ask_and_go_after_them() {
    let bench = shop("model", 2.0 * HALF, 4.8).await;
    let slow = Unkind { pace: Some(2.0), lag: Some(1.0), ..Unkind::default() };
    server().await.unkind("model-", &slow).await.unwrap();
    let cycle = bench.cycle().await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    let journal = bench.journal().await;
    assert_eq!(journal["ranking"].state, StepState::Done, "{journal:#?}");
    assert!(journal["ranking"].wave < journal["api"].wave, "{journal:#?}");
    let (status, counts) = stands(&bench.aws, &name_of(&bench)).await;
    let (blue, green) = (counts[0], counts[1]);
    assert!(status == EndpointStatus::InService && (5..=6).contains(&blue.0), "{counts:?}");
    assert_eq!((blue.0, green), (blue.1, (INSTANCES.1, INSTANCES.1)));
    let input = later(&bench, 0.5 * CALM, 1.5).await;
    let cycle = bench.cycle_with(input).await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    let journal = bench.journal().await;
    assert!(journal["api"].wave < journal["ranking"].wave, "{journal:#?}");
    let less = stands(&bench.aws, &name_of(&bench)).await.1[0].0;
    assert!((1..blue.0).contains(&less), "{less} of {} instances", blue.0);
}

#[tokio::test]
async fn an_endpoint_that_refuses_rolls_back_what_was_begun() {
    let bench = shop("modelless", 2.0 * HALF, 4.8).await;
    let before = bench.capacity().await;
    bench
        .fault(json!({"service": "sagemaker", "operation": "UpdateEndpointWeightsAndCapacities",
            "body": format!("EndpointName == '{}'", name_of(&bench)),
            "error": {"code": "ResourceLimitExceeded", "status": 400}}))
        .await;
    let cycle = bench.cycle().await;
    assert_eq!(cycle.error, "RolledBack", "{cycle:?}");
    let stands = stands(&bench.aws, &name_of(&bench)).await.1[0];
    assert_eq!((bench.capacity().await, stands), (before, (INSTANCES.0, INSTANCES.0)));
}

#[tokio::test]
async fn instances_that_the_rest_did_not_hold_on_are_taken_back() {
    let bench = shop("modelsick", 2.0 * HALF, 4.8).await;
    let slow = Unkind { pace: Some(2.0), ..Unkind::default() };
    server().await.unkind("modelsick-", &slow).await.unwrap();
    bench.health.set(false);
    let cycle = bench.cycle().await;
    assert_eq!(cycle.error, "RolledBack", "{cycle:?}");
    assert_eq!(bench.journal().await["ranking"].state, StepState::Undone);
    assert_eq!(stands(&bench.aws, &name_of(&bench)).await.1[0].1, INSTANCES.0);
}
