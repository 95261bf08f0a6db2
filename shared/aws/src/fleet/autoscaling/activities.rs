//! Why an EC2 Auto Scaling group has fewer instances than it should: its newest scaling activities.

use aws_sdk_autoscaling::Client;
use aws_sdk_autoscaling::types::{Activity, AutoScalingGroup, ScalingActivityStatusCode as Status};

use crate::error::AwsError;

/// AWS tells the newest first, and a group that lacks capacity tries again every few minutes.
const ACTIVITIES_READ: i32 = 20;
/// What AWS says of a launch for which it has nothing to give now, with other types, in other places, or by a larger quota
/// it would: EC2 developer guide, "Error codes"; EC2 Auto Scaling user guide, "Troubleshoot issues in Amazon EC2 Auto Scaling".
const LACKING: [&str; 11] = [
    "InsufficientInstanceCapacity",
    "InsufficientHostCapacity",
    "InsufficientFreeAddressesInSubnet",
    "InsufficientReservedInstanceCapacity",
    "ReservationCapacityExceeded",
    "UnfulfillableCapacity",
    "MaxSpotInstanceCountExceeded",
    "SpotMaxPriceTooLow",
    "InstanceLimitExceeded",
    "VcpuLimitExceeded",
    "not have sufficient",
];
/// What AWS gives as the cause when it takes a Spot instance back, or foretells it. The first is said of any instance that was
/// terminated from outside, and so counts only in groups that have Spot instances.
const TAKEN_BACK: [&str; 2] = ["has been terminated or stopped", "rebalance recommendation"];

/// Why a group lacks units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Short {
    /// AWS has nothing to give now.
    Unavailable(String),
    /// Launches fail for another reason, which a person has to mend.
    Failing(String),
}

/// Why a group that has fewer units than it should lacks them, as far as AWS says. A role of before this was asked has no right
/// to ask, and that must not hide what else is known of the group.
pub(super) async fn why_short(client: &Client, name: &str, group: &AutoScalingGroup) -> Option<Short> {
    let asked = client.describe_scaling_activities().auto_scaling_group_name(name);
    match asked.max_records(ACTIVITIES_READ).send().await {
        Ok(answer) => newest(answer.activities(), has_spot(group)),
        Err(error) => {
            let error = AwsError::of(error, format!("describe scaling activities of {name}"));
            tracing::warn!(group = name, "{error}");
            None
        }
    }
}

/// What the newest activity that is over tells. A launch that worked ends what was before it.
fn newest(activities: &[Activity], has_spot: bool) -> Option<Short> {
    for activity in activities {
        let is_launch = activity.description().is_some_and(|text| text.starts_with("Launching"));
        match activity.status_code() {
            Some(Status::Successful) if is_launch => return None,
            Some(Status::Failed | Status::Cancelled) if is_launch => return Some(failed(activity)),
            _ => (),
        }
        if !is_launch
            && has_spot
            && let Some(cause) = taken_back(activity)
        {
            return Some(Short::Unavailable(format!("a Spot instance was taken back: {cause}")));
        }
    }
    None
}

fn failed(activity: &Activity) -> Short {
    let said = activity.status_message().or(activity.description()).unwrap_or_default().trim().to_owned();
    if LACKING.iter().any(|lacking| said.contains(lacking)) {
        Short::Unavailable(said)
    } else {
        Short::Failing(format!("its last launch failed: {said}"))
    }
}

fn taken_back(activity: &Activity) -> Option<&str> {
    activity.cause().filter(|cause| TAKEN_BACK.iter().any(|taken| cause.contains(taken)))
}

/// Whether a part of the group is meant to be Spot instances.
fn has_spot(group: &AutoScalingGroup) -> bool {
    /// What counts where the policy says nothing: EC2 Auto Scaling API reference, InstancesDistribution.
    const ON_DEMAND_PERCENT: i32 = 100;
    let distribution = group.mixed_instances_policy().and_then(|policy| policy.instances_distribution());
    let on_demand = distribution.and_then(|all| all.on_demand_percentage_above_base_capacity());
    on_demand.unwrap_or(ON_DEMAND_PERCENT) < ON_DEMAND_PERCENT
}

#[cfg(test)]
mod tests {
    use aws_sdk_autoscaling::operation::describe_scaling_activities::{
        DescribeScalingActivitiesError, DescribeScalingActivitiesOutput,
    };
    use aws_sdk_autoscaling::types::{InstancesDistribution, MixedInstancesPolicy};
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};

    use super::*;

    fn activity(what: &str, status: Status, said: &str) -> Activity {
        let activity = Activity::builder().activity_id("a").auto_scaling_group_name("web-asg");
        let activity = activity.description(format!("{what} EC2 instance")).status_code(status);
        activity.status_message(said).cause(said).build()
    }

    fn group(on_demand: Option<i32>) -> AutoScalingGroup {
        let group = AutoScalingGroup::builder().auto_scaling_group_name("web-asg");
        let Some(percent) = on_demand else { return group.build() };
        let all = InstancesDistribution::builder().on_demand_percentage_above_base_capacity(percent).build();
        group
            .mixed_instances_policy(MixedInstancesPolicy::builder().instances_distribution(all).build())
            .build()
    }

    async fn told(rule: &Rule, on_demand: Option<i32>) -> Option<Short> {
        let client = mock_client!(aws_sdk_autoscaling, RuleMode::MatchAny, [rule]);
        why_short(&client, "web-asg", &group(on_demand)).await
    }

    async fn of(activities: Vec<Activity>, on_demand: Option<i32>) -> Option<Short> {
        let rule = mock!(Client::describe_scaling_activities)
            .match_requests(|request| request.auto_scaling_group_name() == Some("web-asg"))
            .then_output(move || {
                DescribeScalingActivitiesOutput::builder().set_activities(Some(activities.clone())).build()
            });
        told(&rule, on_demand).await
    }

    const FULL: &str =
        "Could not launch Spot Instances. InsufficientInstanceCapacity - There is no Spot capacity available";

    #[tokio::test]
    async fn what_aws_lacks_is_told_apart_from_what_a_person_has_to_mend() {
        let launch = |status, said| activity("Launching a new", status, said);
        let short = of(vec![launch(Status::InProgress, ""), launch(Status::Failed, FULL)], None).await;
        assert_eq!(short, Some(Short::Unavailable(FULL.to_owned())));
        let quota =
            "Could not launch On-Demand Instances. VcpuLimitExceeded - You have requested more vCPU capacity";
        let short = of(vec![launch(Status::Cancelled, quota)], None).await;
        assert_eq!(short, Some(Short::Unavailable(quota.to_owned())));
        let image = "The AMI ID ami-1 does not exist. Launching EC2 instance failed.";
        let short = of(vec![launch(Status::Failed, image), launch(Status::Failed, FULL)], None).await;
        assert_eq!(short, Some(Short::Failing(format!("its last launch failed: {image}"))));
    }

    #[tokio::test]
    async fn a_launch_that_worked_ends_what_was_before() {
        let launch = |status, said| activity("Launching a new", status, said);
        assert_eq!(of(vec![launch(Status::Successful, ""), launch(Status::Failed, FULL)], None).await, None);
        assert_eq!(of(vec![launch(Status::InProgress, "")], None).await, None);
        assert_eq!(of(Vec::new(), None).await, None);
    }

    #[tokio::test]
    async fn a_spot_instance_that_was_taken_back_is_told_of_groups_with_spot() {
        let cause = "an instance was taken out of service in response to an EC2 health check indicating it has been terminated or stopped.";
        let gone = || vec![activity("Terminating", Status::Successful, cause)];
        let told = Some(Short::Unavailable(format!("a Spot instance was taken back: {cause}")));
        assert_eq!(of(gone(), Some(0)).await, told);
        assert_eq!(of(gone(), Some(100)).await, None);
        assert_eq!(of(gone(), None).await, None, "somebody terminated an instance");
        let scaled_in = activity("Terminating", Status::Successful, "a user request shrank the group");
        assert_eq!(of(vec![scaled_in], Some(0)).await, None);
    }

    #[tokio::test]
    async fn who_may_not_ask_is_told_nothing() {
        let denied = mock!(Client::describe_scaling_activities).then_error(|| {
            let metadata =
                aws_smithy_types::error::ErrorMetadata::builder().code("AccessDenied").message("no");
            DescribeScalingActivitiesError::generic(metadata.build())
        });
        assert_eq!(told(&denied, Some(0)).await, None);
        assert_eq!(denied.num_calls(), 1);
    }
}
