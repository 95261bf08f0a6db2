//! EC2 Auto Scaling groups.

mod activities;
mod warm_pool;

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_autoscaling::Client;
use aws_sdk_autoscaling::types::{AutoScalingGroup, Instance, InstanceRefreshStatus, LifecycleState};
use headroom_core::name::{DimensionKey, ResourceId};
use headroom_core::observe::{Busy, Capacity, Observed};
use headroom_core::platform::{Mode, Resource};
use headroom_core::resource::Adapter;
use headroom_core::units::Units;

use self::activities::{Short, why_short};
use super::{Capacities, Depth, Target, count, every, only, units, unknown};
use crate::error::{AwsError, ErrorKind};

/// AWS describes so many groups in one call.
pub(super) const GROUPS_MAX: usize = 100;
/// Pages of policies: a hundred each, and a group has few.
const PAGES_MAX: usize = 100;
/// Without these an order of more capacity changes nothing.
const NEEDED_PROCESSES: [&str; 2] = ["Launch", "Terminate"];

pub(super) async fn observe(client: &Client, targets: &[Target<'_>], depth: Depth) -> Capacities {
    let mut observed = Capacities::new();
    for targets in targets.chunks(GROUPS_MAX) {
        let names: Vec<String> = targets.iter().map(|target| target.resource.name.clone()).collect();
        match describe(client, names).await {
            Ok(groups) => {
                for target in targets {
                    observed.extend(see(client, target, &groups, depth).await);
                }
            }
            Err(error) => observed.extend(unknown(targets, &error)),
        }
    }
    observed
}

pub(super) async fn describe(client: &Client, names: Vec<String>) -> Result<Vec<AutoScalingGroup>, AwsError> {
    let doing = "describe Auto Scaling groups";
    let mut groups = Vec::new();
    let mut next = None;
    for _ in 0..PAGES_MAX {
        let answer = client
            .describe_auto_scaling_groups()
            .max_records(count(Units(u32::try_from(GROUPS_MAX).unwrap_or(u32::MAX))))
            .set_auto_scaling_group_names(Some(names.clone()))
            .set_next_token(next)
            .send()
            .await
            .map_err(|error| AwsError::of(error, doing))?;
        groups.extend(answer.auto_scaling_groups.unwrap_or_default());
        next = answer.next_token;
        if next.is_none() {
            return Ok(groups);
        }
    }
    // A group on a page that was not read must not be taken for one that does not exist.
    Err(AwsError::new(ErrorKind::Limit, doing, format!("more than {PAGES_MAX} pages")))
}

async fn see(
    client: &Client,
    target: &Target<'_>,
    groups: &[AutoScalingGroup],
    depth: Depth,
) -> Vec<(DimensionKey, Observed<Capacity>)> {
    let name = &target.resource.name;
    let Some(group) = groups.iter().find(|group| group.auto_scaling_group_name() == Some(name)) else {
        return every(target.resource, &Observed::Unknown(format!("there is no Auto Scaling group {name}")));
    };
    let mut capacity = capacity(group, target.mode);
    if depth == Depth::Close && capacity.busy.is_none() {
        match refreshing(client, name).await {
            Ok(busy) => capacity.busy = busy.map(Busy::Held),
            Err(error) => return every(target.resource, &Observed::Unknown(error.to_string())),
        }
    }
    // Of a group that has what it should there is nothing to ask.
    if in_service(group) < units(group.desired_capacity().unwrap_or(0)) {
        match why_short(client, name, group).await {
            Some(Short::Unavailable(why)) => capacity.unavailable = Some(why),
            Some(Short::Failing(why)) => capacity.failed = Some(why),
            None => (),
        }
    }
    let pool = match warm_pool::of(target.resource) {
        Some(key) => Some((key, warm_pool::see(client, group, &capacity).await)),
        None => None,
    };
    let mut seen = every(target.resource, &Observed::Known(capacity));
    if let Some((key, pool)) = pool {
        seen.retain(|(other, _)| other != key);
        seen.push((key.clone(), pool));
    }
    seen
}

fn capacity(group: &AutoScalingGroup, mode: Mode) -> Capacity {
    let (min, max) = (units(group.min_size().unwrap_or(0)), units(group.max_size().unwrap_or(i32::MAX)));
    let desired = units(group.desired_capacity().unwrap_or(0));
    let suspended = group.suspended_processes().iter().filter_map(|process| process.process_name());
    let halted = suspended.into_iter().find(|name| NEEDED_PROCESSES.contains(name));
    let busy = match (group.status(), halted) {
        (Some(status), _) => Some(Busy::Held(format!("the group is being changed: {status}"))),
        (None, Some(process)) => Some(Busy::Held(format!("its process {process} is suspended"))),
        (None, None) => None,
    };
    Capacity {
        mode,
        set: if mode == Mode::Floor { min } else { desired },
        ready: in_service(group),
        busy,
        failed: None,
        aws_min: (mode == Mode::Desired).then_some(min),
        aws_max: Some(max),
        decreases_left: None,
        overshoot: Units(heaviest(group).saturating_sub(1)),
        whole: None,
        stands_by: false,
        unavailable: None,
    }
}

/// The units of a group that are in service.
pub(super) fn in_service(group: &AutoScalingGroup) -> Units {
    Units(group.instances().iter().filter(|instance| is_ready(instance)).map(weight).sum())
}

/// The units of capacity that an instance counts for. With weights, a group's sizes are sums of weights.
fn weight(instance: &Instance) -> u32 {
    parsed_weight(instance.weighted_capacity())
}

/// The largest weight of a group's instance types. AWS launches whole instances, so a group may have more than it should,
/// by less than this.
fn heaviest(group: &AutoScalingGroup) -> u32 {
    let template = group.mixed_instances_policy().and_then(|policy| policy.launch_template());
    let types = template.map(|template| template.overrides()).unwrap_or_default();
    let types = types.iter().map(|types| parsed_weight(types.weighted_capacity()));
    types.chain(group.instances().iter().map(weight)).max().unwrap_or(1)
}

/// AWS writes weights as text, and none where there are no weights.
fn parsed_weight(text: Option<&str>) -> u32 {
    text.and_then(|text| text.parse().ok()).unwrap_or(1)
}

fn is_ready(instance: &Instance) -> bool {
    instance.lifecycle_state() == Some(&LifecycleState::InService)
        && instance.health_status() == Some("Healthy")
}

/// Why the group should be left alone, if its instances are being replaced.
async fn refreshing(client: &Client, name: &str) -> Result<Option<String>, AwsError> {
    use InstanceRefreshStatus as Status;
    let answer = client
        .describe_instance_refreshes()
        .auto_scaling_group_name(name)
        .max_records(1)
        .send()
        .await
        .map_err(|error| AwsError::of(error, format!("describe instance refreshes of {name}")))?;
    let running =
        [Status::Pending, Status::InProgress, Status::Cancelling, Status::RollbackInProgress, Status::Baking];
    let status = answer.instance_refreshes().first().and_then(|refresh| refresh.status());
    Ok(status
        .filter(|status| running.contains(status))
        .map(|status| format!("an instance refresh is {status}")))
}

pub(super) async fn set(
    client: &Client,
    resource: &Resource,
    mode: Mode,
    targets: &BTreeMap<DimensionKey, Units>,
) -> Result<(), AwsError> {
    // A pool has a step of its own.
    match warm_pool::of(resource).and_then(|pool| targets.get(pool)) {
        Some(units) => warm_pool::set(client, resource, *units).await,
        None => set_group(client, resource, mode, only(targets)?).await,
    }
}

async fn set_group(client: &Client, resource: &Resource, mode: Mode, units: Units) -> Result<(), AwsError> {
    let (name, target) = (&resource.name, count(units));
    let doing = || format!("set group {name} to {target}");
    match mode {
        // AWS raises the desired capacity to a new minimum by itself.
        Mode::Floor => {
            let update = client
                .update_auto_scaling_group()
                .auto_scaling_group_name(name)
                .min_size(target)
                .customize()
                .config_override(once!(aws_sdk_autoscaling));
            update.send().await.map_err(|error| AwsError::of(error, doing()))?;
        }
        Mode::Desired => {
            let set = client.set_desired_capacity().auto_scaling_group_name(name).desired_capacity(target);
            // Pace is our guardrails' business, not the group's.
            let set = set.honor_cooldown(false).customize().config_override(once!(aws_sdk_autoscaling));
            set.send().await.map_err(|error| AwsError::of(error, doing()))?;
        }
    }
    Ok(())
}

/// Groups with an enabled scaling policy of their own. A predictive one does not count: it never scales in, and by default it
/// only forecasts.
pub(super) async fn natives(
    client: &Client,
    resources: &[&Resource],
) -> Result<BTreeSet<ResourceId>, AwsError> {
    let groups: Vec<&&Resource> =
        resources.iter().filter(|resource| resource.adapter == Some(Adapter::AutoScalingGroup)).collect();
    let names: BTreeSet<&str> = groups.iter().map(|group| group.name.as_str()).collect();
    if names.is_empty() {
        return Ok(BTreeSet::new());
    }
    // The API describes the policies of one group, or of all of the account: whichever takes fewer calls.
    let with_policy = match policies(client, None, names.len().min(PAGES_MAX)).await? {
        Some(all) => all,
        None => {
            let mut found = BTreeSet::new();
            for name in names {
                let of_one = policies(client, Some(name), PAGES_MAX).await?;
                let limit = || {
                    let said = format!("{name} has more than {PAGES_MAX} pages of them");
                    AwsError::new(ErrorKind::Limit, "describe scaling policies", said)
                };
                found.extend(of_one.ok_or_else(limit)?);
            }
            found
        }
    };
    Ok(groups
        .iter()
        .filter(|group| with_policy.contains(&group.name))
        .map(|group| group.id.clone())
        .collect())
}

/// The groups with an enabled policy in the account, or one group if it has any; `None` when there are more pages.
async fn policies(
    client: &Client,
    name: Option<&str>,
    pages: usize,
) -> Result<Option<BTreeSet<String>>, AwsError> {
    let mut with_policy = BTreeSet::new();
    let mut next = None;
    for _ in 0..pages {
        let answer = client
            .describe_policies()
            .set_auto_scaling_group_name(name.map(str::to_owned))
            .max_records(100)
            .set_next_token(next)
            .send()
            .await
            .map_err(|error| AwsError::of(error, "describe scaling policies"))?;
        let enabled = answer.scaling_policies().iter().filter(|policy| {
            policy.enabled() != Some(false) && policy.policy_type() != Some("PredictiveScaling")
        });
        with_policy.extend(enabled.filter_map(|policy| policy.auto_scaling_group_name().map(str::to_owned)));
        next = answer.next_token;
        if next.is_none() {
            return Ok(Some(with_policy));
        }
    }
    Ok(None)
}

/// The load balancer target groups that a group registers its instances with.
pub(super) async fn target_groups(client: &Client, name: &str) -> Result<Vec<String>, AwsError> {
    let groups = describe(client, vec![name.to_owned()]).await?;
    let group = groups.first();
    let group = group.ok_or_else(|| {
        AwsError::new(ErrorKind::NotFound, format!("describe group {name}"), "it does not exist")
    })?;
    Ok(group.target_group_arns().to_vec())
}

#[cfg(test)]
mod tests {
    use aws_sdk_autoscaling::operation::describe_auto_scaling_groups::DescribeAutoScalingGroupsOutput;
    use aws_sdk_autoscaling::operation::describe_instance_refreshes::DescribeInstanceRefreshesOutput;
    use aws_sdk_autoscaling::operation::describe_policies::DescribePoliciesOutput;
    use aws_sdk_autoscaling::operation::describe_scaling_activities::DescribeScalingActivitiesOutput;
    use aws_sdk_autoscaling::operation::set_desired_capacity::SetDesiredCapacityOutput;
    use aws_sdk_autoscaling::operation::update_auto_scaling_group::UpdateAutoScalingGroupOutput;
    use aws_sdk_autoscaling::types::{
        Activity, InstanceRefresh, ScalingActivityStatusCode as Status, ScalingPolicy, SuspendedProcess,
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
        observe(&client, &[target(&platform, mode)], depth)
            .await
            .remove(&"web/desired".parse().unwrap())
            .unwrap()
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
            let failed =
                failed.status_message("We currently do not have sufficient m5.large capacity").build();
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
            .then_output(|| {
                DescribeAutoScalingGroupsOutput::builder().auto_scaling_groups(group(5, 0)).build()
            });
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
        let Observed::Known(capacity) = seen(&[&describes(weighted)], Mode::Desired, Depth::Cheap).await
        else {
            panic!()
        };
        assert_eq!((capacity.set, capacity.ready, capacity.overshoot), (Units(6), Units(8), Units(3)));
        let Observed::Known(plain) = seen(&[&describes(group(5, 0))], Mode::Desired, Depth::Cheap).await
        else {
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
            let metadata = aws_smithy_types::error::ErrorMetadata::builder().code("AccessDenied").message("no").build();
            aws_sdk_autoscaling::operation::describe_auto_scaling_groups::DescribeAutoScalingGroupsError::generic(metadata)
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

    #[tokio::test]
    async fn groups_with_a_policy_of_their_own_are_native() {
        let policy = |group: &str, kind: &str, enabled| {
            let policy = ScalingPolicy::builder().auto_scaling_group_name(group).policy_type(kind);
            policy.enabled(enabled).build()
        };
        let rule = mock!(Client::describe_policies).then_output(move || {
            DescribePoliciesOutput::builder()
                .scaling_policies(policy("web-asg", "TargetTrackingScaling", true))
                .scaling_policies(policy("off", "TargetTrackingScaling", false))
                .scaling_policies(policy("foreseen-asg", "PredictiveScaling", true))
                .build()
        });
        let client = mock_client!(aws_sdk_autoscaling, RuleMode::MatchAny, [&rule]);
        let platform = platform(GROUP);
        let resources: Vec<&Resource> = platform.resources().map(|(_, resource)| resource).collect();
        assert_eq!(natives(&client, &resources).await.unwrap(), BTreeSet::from(["web".into()]));
    }

    #[tokio::test]
    async fn a_policy_behind_thousands_of_others_is_found_by_its_group() {
        let account = mock!(Client::describe_policies)
            .match_requests(|request| request.auto_scaling_group_name().is_none())
            .then_output(|| DescribePoliciesOutput::builder().next_token("more").build());
        let group = mock!(Client::describe_policies)
            .match_requests(|request| request.auto_scaling_group_name() == Some("web-asg"))
            .then_output(|| {
                let policy = ScalingPolicy::builder().auto_scaling_group_name("web-asg").enabled(true);
                DescribePoliciesOutput::builder().scaling_policies(policy.build()).build()
            });
        let client = mock_client!(aws_sdk_autoscaling, RuleMode::MatchAny, [&account, &group]);
        let platform = platform(GROUP);
        let resources: Vec<&Resource> = platform.resources().map(|(_, resource)| resource).collect();
        assert_eq!(natives(&client, &resources).await.unwrap(), BTreeSet::from(["web".into()]));
        assert_eq!((account.num_calls(), group.num_calls()), (1, 1));
    }
}
