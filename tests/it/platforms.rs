//! Two platforms in one account, side by side.

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::config::{Credentials, Region};
use headroom_aws::meter::Meter;
use headroom_aws::sdk::{Aws, http_client};
use local_aws::deploy::aws;

use crate::bench::{Bench, HALF, server};
use crate::permissions::key_of;

#[tokio::test]
async fn two_platforms_scale_side_by_side_and_one_goes_while_the_other_stays() {
    let (one, other) = tokio::join!(Bench::at("left", 2.0 * HALF), Bench::at("right", 2.0 * HALF));
    let before = other.capacity().await;
    // The configuration of one names the group of the other, in the tier that moves last.
    one.publish_with("name: left-web", "name: right-web").await;
    let cycle = one.cycle().await;
    assert_eq!(cycle.error, "RolledBack", "{cycle:?}");
    assert!(cycle.cause.contains("autoscaling:SetDesiredCapacity"), "{}", cycle.cause);
    assert_eq!(other.capacity().await, before);
    one.publish(&one.platform).await;
    let (first, second) = tokio::join!(one.cycle(), other.cycle());
    assert_eq!((first.outcome(), second.outcome()), ("scaled", "scaled"), "{first:?} {second:?}");
    let names = ["scheduler", "list-schedules", "--query", "Schedules[].Name", "--output", "text"];
    let names = aws(server().await, &names).await.unwrap();
    let mut names: Vec<&str> = names.split_whitespace().collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "two stacks have schedules of one name");
    let stack = ["cloudformation", "delete-stack", "--stack-name", "headroom-left"];
    aws(server().await, &stack).await.unwrap();
    let later = other.half_an_hour_later(0.2 * HALF).await;
    assert_eq!(other.cycle_with(later).await.outcome(), "scaled");
}

/// The account as a function of a shop's stack sees it.
async fn account_of(shop: &str, function: &str) -> Aws {
    let key = key_of(shop, function).await;
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(key, "local", None, None, "local"))
        .endpoint_url(&server().await.endpoint);
    Aws::new(config.load().await, Meter::default())
}

#[tokio::test]
async fn what_is_not_capacity_may_not_be_changed() {
    let bench = Bench::at("narrow", 2.0 * HALF).await;
    assert_eq!(bench.cycle().await.outcome(), "scaled");
    let aws = account_of("narrow", "Execute").await;
    let update = || aws.ecs().update_service().cluster("narrow-cluster").service("narrow-api");
    assert!(update().desired_count(7).send().await.is_ok());
    assert!(update().task_definition("other:1").send().await.is_err());
    let update = || aws.autoscaling().update_auto_scaling_group().auto_scaling_group_name("narrow-web");
    assert!(update().min_size(2).send().await.is_ok());
    assert!(update().max_size(90).send().await.is_err());
    assert!(update().launch_configuration_name("other").send().await.is_err());
    let template = aws_sdk_autoscaling::types::LaunchTemplateSpecification::builder();
    let template = template.launch_template_name("other").version("3").build();
    assert!(update().launch_template(template).send().await.is_err());
}
