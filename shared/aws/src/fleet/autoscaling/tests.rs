//! What groups are seen as, and what is set on them.

use aws_sdk_autoscaling::operation::describe_auto_scaling_groups::DescribeAutoScalingGroupsOutput;
use aws_sdk_autoscaling::operation::describe_instance_refreshes::DescribeInstanceRefreshesOutput;
use aws_sdk_autoscaling::operation::describe_scaling_activities::DescribeScalingActivitiesOutput;
use aws_sdk_autoscaling::operation::set_desired_capacity::SetDesiredCapacityOutput;
use aws_sdk_autoscaling::operation::update_auto_scaling_group::UpdateAutoScalingGroupOutput;
use aws_sdk_autoscaling::types::{
    Activity, InstanceRefresh, ScalingActivityStatusCode as Status, SuspendedProcess,
};
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};

use super::super::testing::{platform, target, units_of};
use super::*;

const GROUP: &str =
    "{type: EC2_AUTO_SCALING_GROUP, name: web-asg, id: web, min_capacity: 1, max_capacity: 20}";

fn group(ready: usize, dying: usize) -> AutoScalingGroup {
    let instance = |state: LifecycleState| {
        Instance::builder().instance_id("i-1").lifecycle_state(state).health_status("Healthy").build()
    };
    let instances = (0..ready)
        .map(|_| instance(LifecycleState::InService))
        .chain((0..dying).map(|_| instance(LifecycleState::Terminating)));
    AutoScalingGroup::builder()
        .auto_scaling_group_name("web-asg")
        .min_size(2)
        .max_size(12)
        .desired_capacity(6)
        .set_instances(Some(instances.collect()))
        .build()
}

fn describes(group: AutoScalingGroup) -> Rule {
    mock!(Client::describe_auto_scaling_groups).then_output(move || {
        DescribeAutoScalingGroupsOutput::builder().auto_scaling_groups(group.clone()).build()
    })
}

async fn seen(rules: &[&Rule], mode: Mode, depth: Depth) -> Observed<Capacity> {
    // A group that is short is asked why, and mostly AWS has nothing to say.
    let silent = mock!(Client::describe_scaling_activities)
        .then_output(|| DescribeScalingActivitiesOutput::builder().build());
    let rules: Vec<&Rule> = rules.iter().copied().chain([&silent]).collect();
    let client = mock_client!(aws_sdk_autoscaling, RuleMode::MatchAny, rules.as_slice());
    let platform = platform(GROUP);
    observe(&client, &[target(&platform, mode)], depth).await.remove(&"web/desired".parse().unwrap()).unwrap()
}

#[tokio::test]
async fn a_group_is_seen_with_what_is_ready() {
    let Observed::Known(capacity) = seen(&[&describes(group(5, 1))], Mode::Desired, Depth::Cheap).await
    else {
        panic!()
    };
    assert_eq!((capacity.set, capacity.ready), (Units(6), Units(5)));
    assert_eq!((capacity.aws_min, capacity.aws_max), (Some(Units(2)), Some(Units(12))));
    let Observed::Known(floor) = seen(&[&describes(group(5, 1))], Mode::Floor, Depth::Cheap).await else {
        panic!()
    };
    assert_eq!((floor.set, floor.aws_min), (Units(2), None));
}

#[tokio::test]
async fn a_group_that_is_short_says_why_and_a_whole_one_is_not_asked() {
    let activities = mock!(Client::describe_scaling_activities).then_output(|| {
        let failed =
            Activity::builder().description("Launching a new EC2 instance").status_code(Status::Failed);
        let failed = failed.status_message("We currently do not have sufficient m5.large capacity").build();
        DescribeScalingActivitiesOutput::builder().activities(failed).build()
    });
    let told = |seen: Observed<Capacity>| seen.known().unwrap().unavailable.clone();
    let short = seen(&[&describes(group(5, 1)), &activities], Mode::Floor, Depth::Cheap).await;
    assert_eq!(told(short).as_deref(), Some("We currently do not have sufficient m5.large capacity"));
    let whole = seen(&[&describes(group(6, 0)), &activities], Mode::Floor, Depth::Cheap).await;
    assert_eq!((told(whole), activities.num_calls()), (None, 1));
}

#[tokio::test]
async fn a_group_on_a_later_page_is_not_taken_for_missing() {
    let first = mock!(Client::describe_auto_scaling_groups)
        .match_requests(|request| request.next_token().is_none())
        .then_output(|| DescribeAutoScalingGroupsOutput::builder().next_token("second").build());
    let second = mock!(Client::describe_auto_scaling_groups)
        .match_requests(|request| request.next_token() == Some("second"))
        .then_output(|| DescribeAutoScalingGroupsOutput::builder().auto_scaling_groups(group(5, 0)).build());
    let seen = seen(&[&first, &second], Mode::Desired, Depth::Cheap).await;
    assert_eq!(seen.known().map(|capacity| capacity.ready), Some(Units(5)));
}

#[tokio::test]
async fn with_weights_what_is_ready_is_the_sum_of_weights() {
    use aws_sdk_autoscaling::types::{LaunchTemplate, LaunchTemplateOverrides, MixedInstancesPolicy};
    let instance = |weight: &str| {
        Instance::builder()
            .instance_id("i-1")
            .lifecycle_state(LifecycleState::InService)
            .health_status("Healthy")
            .weighted_capacity(weight)
            .build()
    };
    let types = |weight: &str| LaunchTemplateOverrides::builder().weighted_capacity(weight).build();
    let template = LaunchTemplate::builder().overrides(types("2")).overrides(types("4"));
    let weighted = AutoScalingGroup::builder()
        .auto_scaling_group_name("web-asg")
        .desired_capacity(6)
        .max_size(12)
        .mixed_instances_policy(MixedInstancesPolicy::builder().launch_template(template.build()).build())
        .instances(instance("4"))
        .instances(instance("4"))
        .build();
    let Observed::Known(capacity) = seen(&[&describes(weighted)], Mode::Desired, Depth::Cheap).await else {
        panic!()
    };
    assert_eq!((capacity.set, capacity.ready, capacity.overshoot), (Units(6), Units(8), Units(3)));
    let Observed::Known(plain) = seen(&[&describes(group(5, 0))], Mode::Desired, Depth::Cheap).await else {
        panic!()
    };
    assert_eq!(plain.overshoot, Units(0));
}

#[tokio::test]
async fn what_is_not_there_or_not_told_is_unknown() {
    let none = mock!(Client::describe_auto_scaling_groups)
        .then_output(|| DescribeAutoScalingGroupsOutput::builder().build());
    let gone = seen(&[&none], Mode::Desired, Depth::Cheap).await;
    assert_eq!(gone, Observed::Unknown("there is no Auto Scaling group web-asg".into()));
    let denied = mock!(Client::describe_auto_scaling_groups).then_error(|| {
        let metadata =
            aws_smithy_types::error::ErrorMetadata::builder().code("AccessDenied").message("no").build();
        aws_sdk_autoscaling::operation::describe_auto_scaling_groups::DescribeAutoScalingGroupsError::generic(
            metadata,
        )
    });
    assert!(
        matches!(seen(&[&denied], Mode::Desired, Depth::Cheap).await, Observed::Unknown(why) if why.contains("AccessDenied"))
    );
}

#[tokio::test]
async fn a_group_in_change_is_busy() {
    let halted = AutoScalingGroup::builder()
        .auto_scaling_group_name("web-asg")
        .suspended_processes(SuspendedProcess::builder().process_name("Launch").build())
        .build();
    let Observed::Known(capacity) = seen(&[&describes(halted)], Mode::Desired, Depth::Cheap).await else {
        panic!()
    };
    assert_eq!(capacity.busy, Some(Busy::Held("its process Launch is suspended".into())));
    let refresh = mock!(Client::describe_instance_refreshes).then_output(|| {
        let refresh = InstanceRefresh::builder().status(InstanceRefreshStatus::InProgress).build();
        DescribeInstanceRefreshesOutput::builder().instance_refreshes(refresh).build()
    });
    let Observed::Known(capacity) =
        seen(&[&describes(group(6, 0)), &refresh], Mode::Desired, Depth::Close).await
    else {
        panic!()
    };
    assert_eq!(capacity.busy, Some(Busy::Held("an instance refresh is InProgress".into())));
}

#[tokio::test]
async fn capacity_is_set_absolutely() {
    let platform = platform(GROUP);
    let resource = platform.resources().next().unwrap().1;
    let desired = mock!(Client::set_desired_capacity)
        .match_requests(|request| {
            request.auto_scaling_group_name() == Some("web-asg")
                && request.desired_capacity() == Some(8)
                && request.honor_cooldown() == Some(false)
        })
        .then_output(|| SetDesiredCapacityOutput::builder().build());
    let floor = mock!(Client::update_auto_scaling_group)
        .match_requests(|request| request.min_size() == Some(8) && request.desired_capacity().is_none())
        .then_output(|| UpdateAutoScalingGroupOutput::builder().build());
    let client = mock_client!(aws_sdk_autoscaling, RuleMode::MatchAny, [&desired, &floor]);
    for mode in [Mode::Desired, Mode::Floor] {
        set(&client, resource, mode, &units_of(&[("web/desired", 8)])).await.unwrap();
    }
    assert_eq!((desired.num_calls(), floor.num_calls()), (1, 1));
}
