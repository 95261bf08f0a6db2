//! Concurrency of the local AWS's functions: it is allocated over time, and what AWS refuses is refused.

use ::local_aws::unkind::Unkind;
use aws_sdk_lambda::error::ProvideErrorMetadata as _;
use aws_sdk_lambda::types::{AliasRoutingConfiguration, ProvisionedConcurrencyStatusEnum as Status};
use headroom_aws::sdk::Aws;

use crate::bench::server;
use crate::kinds::lambda_function::function;

/// Longer than any test takes: what is under way stays so until the test ends it.
const PACE: f64 = 600.0;

async fn slow(name: &str) -> Aws {
    let aws = server().await.connect().await;
    function(&aws, name, None).await;
    server().await.unkind(name, &Unkind { pace: Some(PACE), ..Unkind::default() }).await.unwrap();
    aws
}

/// Provisions so much; the code with which that was refused.
async fn provision(aws: &Aws, name: &str, qualifier: &str, units: i32) -> Result<(), String> {
    let put = aws.lambda().put_provisioned_concurrency_config().function_name(name).qualifier(qualifier);
    let sent = put.provisioned_concurrent_executions(units).send().await;
    sent.map(drop).map_err(|error| error.code().unwrap().to_owned())
}

async fn reserve(aws: &Aws, name: &str, units: i32) -> Result<(), String> {
    let put = aws.lambda().put_function_concurrency().function_name(name);
    let sent = put.reserved_concurrent_executions(units).send().await;
    sent.map(drop).map_err(|error| error.code().unwrap().to_owned())
}

/// What is requested, what is available, and how that stands.
async fn stands(aws: &Aws, name: &str) -> (i32, i32, Status) {
    let asked = aws.lambda().get_provisioned_concurrency_config().function_name(name).qualifier("live");
    let told = asked.send().await.unwrap();
    (
        told.requested_provisioned_concurrent_executions.unwrap(),
        told.available_provisioned_concurrent_executions.unwrap(),
        told.status.unwrap(),
    )
}

#[tokio::test]
async fn what_is_provisioned_takes_time_and_no_other_call_meanwhile() {
    let aws = slow("unkind-provisioned").await;
    provision(&aws, "unkind-provisioned", "live", 5).await.unwrap();
    assert_eq!(stands(&aws, "unkind-provisioned").await, (5, 0, Status::InProgress));
    let busy = provision(&aws, "unkind-provisioned", "live", 6).await;
    assert_eq!(busy, Err("ResourceConflictException".into()));
    server().await.kind("unkind-provisioned").await.unwrap();
    assert_eq!(stands(&aws, "unkind-provisioned").await, (5, 5, Status::Ready));
}

#[tokio::test]
async fn an_alias_that_moves_keeps_what_is_provisioned_and_allocates_it_anew() {
    let aws = slow("unkind-moved").await;
    server().await.kind("unkind-moved").await.unwrap();
    provision(&aws, "unkind-moved", "live", 5).await.unwrap();
    server().await.unkind("unkind-moved", &Unkind { pace: Some(PACE), ..Unkind::default() }).await.unwrap();
    let update = aws.lambda().update_function_configuration().function_name("unkind-moved");
    update.description("another version").send().await.unwrap();
    aws.lambda().publish_version().function_name("unkind-moved").send().await.unwrap();
    let move_to = aws.lambda().update_alias().function_name("unkind-moved").name("live");
    move_to.function_version("2").send().await.unwrap();
    assert_eq!(stands(&aws, "unkind-moved").await, (5, 0, Status::InProgress));
}

#[tokio::test]
async fn a_hundred_stay_unreserved_and_what_is_not_published_gets_nothing() {
    let aws = slow("unkind-refused").await;
    let refused = || Err("InvalidParameterValueException".to_owned());
    assert_eq!(provision(&aws, "unkind-refused", "$LATEST", 5).await, refused());
    assert_eq!(reserve(&aws, "unkind-refused", 100_000).await, refused());
    reserve(&aws, "unkind-refused", 10).await.unwrap();
    assert_eq!(provision(&aws, "unkind-refused", "live", 11).await, refused());
    let weights = AliasRoutingConfiguration::builder().additional_version_weights("1", 0.5).build();
    let weigh = aws.lambda().update_alias().function_name("unkind-refused").name("live");
    weigh.routing_config(weights).send().await.unwrap();
    assert_eq!(provision(&aws, "unkind-refused", "live", 5).await, refused());
}

#[tokio::test]
async fn what_is_provisioned_is_told_late() {
    let aws = server().await.connect().await;
    function(&aws, "unkind-told", None).await;
    server().await.unkind("unkind-told", &Unkind { lag: Some(PACE), ..Unkind::default() }).await.unwrap();
    provision(&aws, "unkind-told", "live", 5).await.unwrap();
    let asked = aws.lambda().get_provisioned_concurrency_config().function_name("unkind-told");
    let late = asked.qualifier("live").send().await.unwrap_err();
    assert_eq!(late.code(), Some("ProvisionedConcurrencyConfigNotFoundException"));
    server().await.kind("unkind-told").await.unwrap();
    assert_eq!(stands(&aws, "unkind-told").await, (5, 5, Status::Ready));
}

#[tokio::test]
async fn what_is_provisioned_is_listed_for_all_aliases() {
    let aws = server().await.connect().await;
    function(&aws, "listed-provisioned", None).await;
    let listed = async || {
        let list = aws.lambda().list_provisioned_concurrency_configs().function_name("listed-provisioned");
        list.send().await.unwrap().provisioned_concurrency_configs.unwrap_or_default()
    };
    assert!(listed().await.is_empty());
    provision(&aws, "listed-provisioned", "live", 5).await.unwrap();
    let configs = listed().await;
    assert!(configs[0].function_arn().unwrap().ends_with(":listed-provisioned:live"), "{configs:?}");
    assert_eq!(configs[0].requested_provisioned_concurrent_executions(), Some(5));
}
