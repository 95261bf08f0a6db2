//! Two platforms in one account, side by side.

use aws_config::BehaviorVersion;
use aws_sdk_autoscaling::types::LaunchTemplateSpecification;
use aws_sdk_dynamodb::config::{Credentials, Region};
use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ecs::types::ContainerDefinition;
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
    let kept = schedules("right").await;
    assert!(!kept.is_empty() && !schedules("left").await.is_empty());
    let named = |action: &'static str| ["cloudformation", action, "--stack-name", "headroom-left"];
    let gone = [&named("wait")[..2], &["stack-delete-complete"], &named("wait")[2..]].concat();
    aws(server().await, &named("delete-stack")).await.unwrap();
    aws(server().await, &gone).await.unwrap();
    assert!(schedules("left").await.is_empty(), "the stack is gone and its schedules are not");
    assert_eq!(schedules("right").await, kept);
    let later = other.half_an_hour_later(0.2 * HALF).await;
    assert_eq!(other.cycle_with(later).await.outcome(), "scaled");
}

/// The schedules of a platform, by name.
async fn schedules(platform: &str) -> Vec<String> {
    // By prefix: the local AWS tells the first hundred and no page after it.
    let prefix = format!("headroom-{platform}-");
    let list = ["scheduler", "list-schedules", "--name-prefix", &prefix];
    let list = [&list[..], &["--output", "text", "--query", "Schedules[].Name"]].concat();
    let names = aws(server().await, &list).await.unwrap();
    names.split_whitespace().map(str::to_owned).collect()
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
    // A task definition with a role is another's right to use.
    let definition = bench.aws.ecs().register_task_definition().family("narrow-other");
    let container = ContainerDefinition::builder().name("api").image("api").memory(64).build();
    let definition = definition.container_definitions(container);
    definition.task_role_arn("arn:aws:iam::000000000000:role/other").send().await.unwrap();
    denied("iam:PassRole", update().task_definition("narrow-other:1").send().await);
    let update = || aws.autoscaling().update_auto_scaling_group().auto_scaling_group_name("narrow-web");
    assert!(update().min_size(2).send().await.is_ok());
    let changes = "autoscaling:UpdateAutoScalingGroup";
    denied(changes, update().max_size(90).send().await);
    denied(changes, update().launch_configuration_name("other").send().await);
    for version in ["3", "$Latest"] {
        let template = LaunchTemplateSpecification::builder().launch_template_name("other");
        let template = template.version(version).build();
        denied("ec2:RunInstances", update().launch_template(template).send().await);
    }
}

/// The call must be refused for want of the right to an action, and for nothing else.
fn denied<O, E: ProvideErrorMetadata + std::fmt::Debug, R: std::fmt::Debug>(
    action: &str,
    answer: Result<O, SdkError<E, R>>,
) {
    let error = answer.err().unwrap();
    let (code, told) = (error.code().unwrap_or_default(), error.message().unwrap_or_default());
    assert!(code.starts_with("AccessDenied") && told.contains(action), "{error:?}");
}
