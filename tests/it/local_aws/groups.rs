//! EC2 Auto Scaling of the local AWS: instances come and go over time, in weights, and descriptions come by pages.

use ::local_aws::unkind::Unkind;
use aws_sdk_autoscaling::operation::create_auto_scaling_group::builders::CreateAutoScalingGroupFluentBuilder;
use aws_sdk_autoscaling::types::{
    AutoScalingGroup, InstanceRefreshStatus, LaunchTemplate, LaunchTemplateOverrides,
    LaunchTemplateSpecification, LifecycleState, MixedInstancesPolicy,
};
use headroom_aws::sdk::Aws;

use crate::bench::server;

/// Longer than any test takes: what is under way stays so until the test ends it.
const PACE: f64 = 600.0;

fn create(aws: &Aws, name: &str, desired: i32) -> CreateAutoScalingGroupFluentBuilder {
    let create = aws.autoscaling().create_auto_scaling_group().auto_scaling_group_name(name);
    create.availability_zones("us-east-1a").min_size(0).max_size(100).desired_capacity(desired)
}

fn template() -> LaunchTemplateSpecification {
    LaunchTemplateSpecification::builder().launch_template_name("servers").build()
}

async fn group(name: &str, desired: i32, settings: Unkind) -> Aws {
    let aws = server().await.connect().await;
    create(&aws, name, desired).launch_template(template()).send().await.unwrap();
    server().await.unkind(name, &settings).await.unwrap();
    aws
}

async fn describe(aws: &Aws, name: &str) -> AutoScalingGroup {
    let groups = aws.autoscaling().describe_auto_scaling_groups().auto_scaling_group_names(name);
    groups.send().await.unwrap().auto_scaling_groups.unwrap().remove(0)
}

/// How many instances of a group are pending, in service, terminating.
async fn states(aws: &Aws, name: &str) -> [usize; 3] {
    let group = describe(aws, name).await;
    [LifecycleState::Pending, LifecycleState::InService, LifecycleState::Terminating].map(|state| {
        group.instances().iter().filter(|instance| instance.lifecycle_state() == Some(&state)).count()
    })
}

async fn set(aws: &Aws, name: &str, desired: i32) {
    let set = aws.autoscaling().set_desired_capacity().auto_scaling_group_name(name);
    set.desired_capacity(desired).send().await.unwrap();
}

/// What is under way for a group is done.
async fn finish(name: &str) {
    server().await.kind(name).await.unwrap();
}

fn slow() -> Unkind {
    Unkind { pace: Some(PACE), ..Unkind::default() }
}

#[tokio::test]
async fn instances_are_pending_before_they_serve_and_terminating_before_they_are_gone() {
    let aws = group("unkind-group", 2, slow()).await;
    set(&aws, "unkind-group", 4).await;
    assert_eq!(states(&aws, "unkind-group").await, [2, 2, 0]);
    finish("unkind-group").await;
    assert_eq!(states(&aws, "unkind-group").await, [0, 4, 0]);
    server().await.unkind("unkind-group", &slow()).await.unwrap();
    set(&aws, "unkind-group", 1).await;
    assert_eq!(states(&aws, "unkind-group").await, [0, 1, 3]);
    finish("unkind-group").await;
    assert_eq!(states(&aws, "unkind-group").await, [0, 1, 0]);
}

#[tokio::test]
async fn a_group_without_capacity_keeps_what_is_desired_and_has_fewer() {
    let aws = group("unkind-full", 2, Unkind { units_max: Some(3), ..Unkind::default() }).await;
    set(&aws, "unkind-full", 6).await;
    assert_eq!(describe(&aws, "unkind-full").await.desired_capacity(), Some(6));
    assert_eq!(states(&aws, "unkind-full").await, [0, 3, 0]);
    server().await.kind("unkind-full").await.unwrap();
    assert_eq!(states(&aws, "unkind-full").await, [0, 6, 0], "AWS goes on trying");
}

#[tokio::test]
async fn a_weighted_group_counts_weights_and_may_have_more_than_desired() {
    let aws = server().await.connect().await;
    let weighted = |kind: &str, weight: &str| {
        LaunchTemplateOverrides::builder().instance_type(kind).weighted_capacity(weight).build()
    };
    let template = LaunchTemplate::builder()
        .launch_template_specification(template())
        .overrides(weighted("m7g.large", "4"))
        .overrides(weighted("m7g.xlarge", "8"));
    let policy = MixedInstancesPolicy::builder().launch_template(template.build()).build();
    let create =
        create(&aws, "unkind-weights", 10).mixed_instances_policy(policy).default_instance_warmup(60);
    create.send().await.unwrap();
    let group = describe(&aws, "unkind-weights").await;
    let weights: Vec<_> =
        group.instances().iter().filter_map(|instance| instance.weighted_capacity()).collect();
    assert_eq!((group.desired_capacity(), weights), (Some(10), vec!["4", "8"]), "12 for 10");
    assert_eq!(group.default_instance_warmup(), Some(60));
    assert_eq!(group.mixed_instances_policy().unwrap().launch_template().unwrap().overrides().len(), 2);
    set(&aws, "unkind-weights", 4).await;
    assert_eq!(states(&aws, "unkind-weights").await, [0, 1, 0]);
}

#[tokio::test]
async fn an_instance_refresh_takes_its_time_and_comes_alone() {
    let aws = group("unkind-refresh", 2, slow()).await;
    let start =
        || aws.autoscaling().start_instance_refresh().auto_scaling_group_name("unkind-refresh").send();
    start().await.unwrap();
    assert!(start().await.is_err(), "one at a time");
    assert_eq!(states(&aws, "unkind-refresh").await, [1, 1, 1]);
    let status = || async {
        let refreshes =
            aws.autoscaling().describe_instance_refreshes().auto_scaling_group_name("unkind-refresh");
        refreshes.send().await.unwrap().instance_refreshes()[0].status().cloned()
    };
    assert_eq!(status().await, Some(InstanceRefreshStatus::InProgress));
    finish("unkind-refresh").await;
    assert_eq!(status().await, Some(InstanceRefreshStatus::Successful));
}

#[tokio::test]
async fn a_group_is_described_as_it_was_a_moment_ago() {
    let aws = group("unkind-late-group", 2, Unkind { lag: Some(PACE), ..Unkind::default() }).await;
    set(&aws, "unkind-late-group", 3).await;
    assert_eq!(describe(&aws, "unkind-late-group").await.desired_capacity(), Some(2));
    finish("unkind-late-group").await;
    assert_eq!(describe(&aws, "unkind-late-group").await.desired_capacity(), Some(3));
}

#[tokio::test]
async fn groups_come_by_pages() {
    let aws = server().await.connect().await;
    for number in 0..3 {
        create(&aws, &format!("unkind-page-{number}"), 0).launch_template(template()).send().await.unwrap();
    }
    let names = || {
        aws.autoscaling().describe_auto_scaling_groups().set_auto_scaling_group_names(Some(
            (0..3).map(|number| format!("unkind-page-{number}")).collect(),
        ))
    };
    let first = names().max_records(2).send().await.unwrap();
    assert_eq!(first.auto_scaling_groups().len(), 2);
    let second = names().max_records(2).set_next_token(first.next_token).send().await.unwrap();
    assert_eq!((second.auto_scaling_groups().len(), second.next_token()), (1, None));
    assert!(names().max_records(101).send().await.is_err(), "100 at most");
}

#[tokio::test]
async fn a_group_takes_its_instances_from_a_warm_pool_of_its_own_size() {
    let aws = server().await.connect().await.autoscaling();
    let create = aws
        .create_auto_scaling_group()
        .auto_scaling_group_name("unkind-warm")
        .availability_zones("us-east-1a");
    create.min_size(0).max_size(10).desired_capacity(2).send().await.unwrap();
    let described = || async {
        let told =
            aws.describe_auto_scaling_groups().auto_scaling_group_names("unkind-warm").send().await.unwrap();
        let group = told.auto_scaling_groups.unwrap().remove(0);
        (group.warm_pool_size(), group.warm_pool_configuration().and_then(|pool| pool.min_size()))
    };
    assert_eq!(described().await, (None, None));
    let put = || aws.put_warm_pool().auto_scaling_group_name("unkind-warm");
    put().min_size(1).send().await.unwrap();
    assert_eq!(described().await, (Some(8), Some(1)), "up to the group's maximum");
    put().min_size(3).max_group_prepared_capacity(3).send().await.unwrap();
    assert_eq!(described().await, (Some(3), Some(3)));
    let warm = || async {
        let told = aws.describe_warm_pool().auto_scaling_group_name("unkind-warm").send().await.unwrap();
        let ids = told.instances().iter().filter_map(|one| one.instance_id().map(str::to_owned));
        ids.collect::<std::collections::BTreeSet<String>>()
    };
    let before = warm().await;
    let set = aws.set_desired_capacity().auto_scaling_group_name("unkind-warm").desired_capacity(4);
    set.send().await.unwrap();
    let after = warm().await;
    assert_eq!((before.len(), after.len(), before.intersection(&after).count()), (3, 3, 1), "two were taken");
    aws.delete_warm_pool().auto_scaling_group_name("unkind-warm").send().await.unwrap();
    assert_eq!(described().await, (None, None));
}
