//! SageMaker of the local AWS: endpoints are updated over time, and what AWS refuses is refused.

use ::local_aws::unkind::Unkind;
use aws_sdk_sagemaker::error::ProvideErrorMetadata as _;
use aws_sdk_sagemaker::types::{DesiredWeightAndCapacity, EndpointStatus};
use headroom_aws::sdk::Aws;

use crate::bench::server;
use crate::kinds::sagemaker_endpoint::{endpoint, stands};

/// Longer than any test takes: what is under way stays so until the test ends it.
const PACE: f64 = 600.0;

/// An endpoint with three instances of `blue` and two of `green`.
async fn ranking(name: &str, settings: Unkind) -> Aws {
    let aws = server().await.connect().await;
    endpoint(&aws, name, 3, None).await;
    server().await.unkind(name, &settings).await.unwrap();
    aws
}

/// Sets the instances of a variant; what AWS says if that was refused.
async fn set(aws: &Aws, name: &str, variant: &str, instances: i32) -> Result<(), String> {
    let wanted = DesiredWeightAndCapacity::builder().variant_name(variant).desired_instance_count(instances);
    let update = aws.sagemaker().update_endpoint_weights_and_capacities().endpoint_name(name);
    let sent = update.desired_weights_and_capacities(wanted.build()).send().await;
    sent.map(drop).map_err(|error| error.message().unwrap().to_owned())
}

#[tokio::test]
async fn one_update_at_a_time_takes_time() {
    let aws = ranking("unkind-model", Unkind { pace: Some(PACE), ..Unkind::default() }).await;
    set(&aws, "unkind-model", "blue", 5).await.unwrap();
    let counts = vec![(3, 5), (2, 2)];
    assert_eq!(stands(&aws, "unkind-model").await, (EndpointStatus::Updating, counts));
    let refused = set(&aws, "unkind-model", "green", 4).await.unwrap_err();
    assert!(refused.starts_with("Cannot update in-progress endpoint"), "{refused}");
    server().await.kind("unkind-model").await.unwrap();
    assert_eq!(stands(&aws, "unkind-model").await, (EndpointStatus::InService, vec![(5, 5), (2, 2)]));
    let told = aws.sagemaker().describe_endpoint().endpoint_name("unkind-model").send().await.unwrap();
    assert_eq!(told.production_variants()[0].current_weight(), Some(1.0), "weights stay");
}

#[tokio::test]
async fn what_is_not_there_is_not_updated() {
    let aws = ranking("ranking-missing", Unkind::default()).await;
    let refused = set(&aws, "ranking-missing", "red", 4).await.unwrap_err();
    assert!(refused.contains("not present"), "{refused}");
    let refused = set(&aws, "ranking-none", "blue", 4).await.unwrap_err();
    assert!(refused.starts_with("Could not find endpoint"), "{refused}");
}

#[tokio::test]
async fn endpoints_are_described_late() {
    let aws = ranking("ranking-late", Unkind { lag: Some(PACE), ..Unkind::default() }).await;
    set(&aws, "ranking-late", "blue", 5).await.unwrap();
    assert_eq!(stands(&aws, "ranking-late").await, (EndpointStatus::InService, vec![(3, 3), (2, 2)]));
    server().await.kind("ranking-late").await.unwrap();
    assert_eq!(stands(&aws, "ranking-late").await, (EndpointStatus::InService, vec![(5, 5), (2, 2)]));
}
