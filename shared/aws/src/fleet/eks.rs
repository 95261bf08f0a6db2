//! EKS managed node groups: the nodes that are wanted, between the minimum and the maximum of the scaling configuration.

use std::collections::BTreeMap;

use aws_sdk_autoscaling::types::AutoScalingGroup;
use aws_sdk_eks::types::{
    Issue, Nodegroup, NodegroupIssueCode, NodegroupScalingConfig, NodegroupStatus as Status,
};
use futures_util::stream::{self, StreamExt as _};
use headroom_core::name::DimensionKey;
use headroom_core::observe::{Busy, Capacity, Observed};
use headroom_core::platform::{Mode, Resource};
use headroom_core::resource::Adapter;
use headroom_core::units::Units;

use super::{Capacities, Target, autoscaling, count, every, only, units};
use crate::error::{AwsError, ErrorKind};
use crate::sdk::Aws;

/// Node groups are described one by one, and AWS does not say how often it may be asked. An answer takes some tens of
/// milliseconds.
const DESCRIBES_AT_ONCE: usize = 2;

/// EKS, and the Auto Scaling groups behind its node groups.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    eks: aws_sdk_eks::Client,
    groups: aws_sdk_autoscaling::Client,
}

impl Clients {
    pub(super) fn new(aws: &Aws) -> Clients {
        Clients { eks: aws.eks(), groups: aws.autoscaling() }
    }
}

pub(super) async fn observe(clients: &Clients, targets: &[Target<'_>]) -> Capacities {
    let each: Vec<_> = targets.iter().map(|target| describe(clients, target.resource)).collect();
    let described: Vec<Result<Nodegroup, AwsError>> =
        stream::iter(each).buffered(DESCRIBES_AT_ONCE).collect().await;
    let names = described.iter().flatten().flat_map(behind).map(str::to_owned).collect();
    let groups = groups(clients, names).await;
    let seen = targets.iter().zip(&described).map(|(target, described)| {
        let seen = see(*target, described, &groups);
        every(target.resource, &seen.map_or_else(Observed::Unknown, Observed::Known))
    });
    seen.flatten().collect()
}

fn cluster(resource: &Resource) -> &str {
    match &resource.adapter {
        Some(Adapter::EksNodeGroup { cluster }) => cluster,
        _ => "",
    }
}

async fn describe(clients: &Clients, resource: &Resource) -> Result<Nodegroup, AwsError> {
    let doing = || format!("describe node group {}", resource.name);
    let asked =
        clients.eks.describe_nodegroup().cluster_name(cluster(resource)).nodegroup_name(&resource.name);
    let answer = asked.send().await.map_err(|error| AwsError::of(error, doing()))?;
    answer.nodegroup.ok_or_else(|| AwsError::new(ErrorKind::NotFound, doing(), "it does not exist"))
}

/// The Auto Scaling groups behind a node group.
fn behind(group: &Nodegroup) -> impl Iterator<Item = &str> {
    let resources = group.resources().into_iter();
    resources.flat_map(|resources| resources.auto_scaling_groups()).filter_map(|group| group.name())
}

async fn groups(clients: &Clients, names: Vec<String>) -> Result<Vec<AutoScalingGroup>, AwsError> {
    let mut found = Vec::new();
    for names in names.chunks(autoscaling::GROUPS_MAX) {
        found.extend(autoscaling::describe(&clients.groups, names.to_vec()).await?);
    }
    Ok(found)
}

/// The capacity of a node group, or why it is not known.
fn see(
    target: Target<'_>,
    described: &Result<Nodegroup, AwsError>,
    groups: &Result<Vec<AutoScalingGroup>, AwsError>,
) -> Result<Capacity, String> {
    let name = &target.resource.name;
    let group = described.as_ref().map_err(|error| match error.kind {
        ErrorKind::NotFound => {
            format!("there is no node group {name} in cluster {}", cluster(target.resource))
        }
        _ => error.to_string(),
    })?;
    // Whoever writes a mode has decided who moves what.
    if target.resource.mode.is_none()
        && let Some(tag) = autoscaler(group)
    {
        return Err(format!(
            "node group {name} carries the tag {tag}: an autoscaler of its cluster scales it; write `mode: floor` to \
             move the minimum under that, or `mode: desired` to scale it all the same"
        ));
    }
    let groups = groups.as_ref().map_err(AwsError::to_string)?;
    let ready = ready(group, groups)?;
    let scaling = group.scaling_config();
    let size = |of: fn(&NodegroupScalingConfig) -> Option<i32>| {
        let size = scaling.and_then(of).map(units);
        size.ok_or_else(|| format!("AWS does not tell the sizes of node group {name}"))
    };
    let (min, max) = (size(NodegroupScalingConfig::min_size)?, size(NodegroupScalingConfig::max_size)?);
    let desired = size(NodegroupScalingConfig::desired_size)?;
    Ok(Capacity {
        mode: target.mode,
        set: if target.mode == Mode::Floor { min } else { desired },
        ready,
        busy: busy(group),
        failed: failed(group),
        aws_min: (target.mode == Mode::Desired).then_some(min),
        aws_max: Some(max),
        ..Capacity::default()
    })
}

/// A tag of the node group's own by which its people say that an autoscaler in the cluster has it. The Auto Scaling group
/// behind it says nothing: EKS tags every one of them for the cluster autoscaler (EKS user guide, "Managed node groups").
fn autoscaler(group: &Nodegroup) -> Option<&str> {
    const CLUSTER_AUTOSCALER: &str = "k8s.io/cluster-autoscaler/";
    /// Only says what a node of a group without nodes would be.
    const TEMPLATE: &str = "k8s.io/cluster-autoscaler/node-template/";
    const KARPENTER: &str = "karpenter.sh/";
    let is_owner = |key: &str| {
        key.starts_with(KARPENTER) || key.starts_with(CLUSTER_AUTOSCALER) && !key.starts_with(TEMPLATE)
    };
    let tags = group.tags().into_iter().flatten();
    let owners = tags.filter(|(key, value)| is_owner(key) && value.as_str() != "false");
    owners.map(|(key, _)| key.as_str()).min()
}

/// The nodes in service, of all groups behind it.
fn ready(group: &Nodegroup, groups: &[AutoScalingGroup]) -> Result<Units, String> {
    let mut ready = Units(0);
    for name in behind(group) {
        let found = groups.iter().find(|group| group.auto_scaling_group_name() == Some(name));
        let Some(found) = found else {
            return Err(format!("there is no Auto Scaling group {name} behind it"));
        };
        ready = Units(ready.0.saturating_add(autoscaling::in_service(found).0));
    }
    Ok(ready)
}

/// EKS makes one update at a time, and refuses every other until the node group is active again. A degraded one takes
/// changes, but what is wrong with it is for a person, unless it is that nodes could not be launched.
fn busy(group: &Nodegroup) -> Option<Busy> {
    let told = || format!("the node group is {}", group.status().map_or("in no state", Status::as_str));
    match group.status() {
        Some(Status::Active) => None,
        Some(Status::Degraded) if issues(group).iter().all(is_of_launching) => None,
        Some(Status::Degraded) => Some(Busy::Held(format!("{}{}", told(), wrong(group)))),
        _ => Some(Busy::Locked(told())),
    }
}

/// What went wrong where it only keeps from scaling in. EKS calls a node group degraded whose nodes could not be launched
/// until a later launch works, even if none is wanted any more: to hold it would be to hold it for good.
fn failed(group: &Nodegroup) -> Option<String> {
    let is_degraded = group.status() == Some(&Status::Degraded);
    is_degraded.then(|| format!("the node group is DEGRADED{}", wrong(group)))
}

fn issues(group: &Nodegroup) -> &[Issue] {
    group.health().map(|health| health.issues()).unwrap_or_default()
}

fn is_of_launching(issue: &Issue) -> bool {
    use NodegroupIssueCode as Code;
    let of_launching =
        [Code::AsgInstanceLaunchFailures, Code::InstanceLimitExceeded, Code::InsufficientFreeAddresses];
    issue.code().is_some_and(|code| of_launching.contains(code))
}

/// The first issue that EKS tells, as the rest of a sentence.
fn wrong(group: &Nodegroup) -> String {
    let Some(issue) = issues(group).first() else { return String::new() };
    let code = issue.code().map(NodegroupIssueCode::as_str).unwrap_or_default();
    format!(": {code}: {}", issue.message().unwrap_or_default())
}

pub(super) async fn set(
    clients: &Clients,
    resource: &Resource,
    mode: Mode,
    targets: &BTreeMap<DimensionKey, Units>,
) -> Result<(), AwsError> {
    let target = only(targets)?;
    let doing = format!("set the nodes of {} to {target}", resource.name);
    let scaling = NodegroupScalingConfig::builder();
    let scaling = match mode {
        Mode::Desired => scaling.desired_size(count(target)),
        Mode::Floor => {
            // EKS refuses a minimum above what is desired, so that a higher one takes it along.
            let group = describe(clients, resource).await?;
            let desired = group.scaling_config().and_then(NodegroupScalingConfig::desired_size).map(units);
            let raised = desired.filter(|desired| *desired < target).map(|_| count(target));
            scaling.min_size(count(target)).set_desired_size(raised)
        }
    };
    let request = clients.eks.update_nodegroup_config().cluster_name(cluster(resource));
    let request = request.nodegroup_name(&resource.name).scaling_config(scaling.build());
    let sent = request.customize().config_override(once!(aws_sdk_eks)).send().await;
    sent.map(drop).map_err(|error| AwsError::of(error, doing))
}

#[cfg(test)]
mod tests {
    use aws_sdk_autoscaling::operation::describe_auto_scaling_groups::DescribeAutoScalingGroupsOutput;
    use aws_sdk_autoscaling::types::{Instance, LifecycleState};
    use aws_sdk_eks::Client;
    use aws_sdk_eks::error::ErrorMetadata;
    use aws_sdk_eks::operation::describe_nodegroup::{DescribeNodegroupError, DescribeNodegroupOutput};
    use aws_sdk_eks::operation::update_nodegroup_config::{
        UpdateNodegroupConfigError, UpdateNodegroupConfigOutput,
    };
    use aws_sdk_eks::types::builders::NodegroupBuilder;
    use aws_sdk_eks::types::{NodegroupHealth, NodegroupResources};
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};

    use super::super::testing::{platform, target, units_of};
    use super::*;

    const NODES: &str =
        "{type: EKS_NODE_GROUP, name: workers, cluster: prod, min_capacity: 2, max_capacity: 20}";
    const FLOOR: &str = "{type: EKS_NODE_GROUP, name: workers, cluster: prod, min_capacity: 2, \
        max_capacity: 20, mode: floor}";

    /// A node group of four nodes between two and ten.
    fn group() -> NodegroupBuilder {
        let scaling = NodegroupScalingConfig::builder().min_size(2).desired_size(4).max_size(10).build();
        let group = aws_sdk_eks::types::AutoScalingGroup::builder().name("eks-workers-1").build();
        Nodegroup::builder()
            .nodegroup_name("workers")
            .status(Status::Active)
            .scaling_config(scaling)
            .resources(NodegroupResources::builder().auto_scaling_groups(group).build())
    }

    fn degraded(code: NodegroupIssueCode, message: &str) -> Nodegroup {
        let issue = Issue::builder().code(code).message(message).build();
        let health = NodegroupHealth::builder().issues(issue).build();
        group().status(Status::Degraded).health(health).build()
    }

    fn describes(group: Nodegroup) -> Rule {
        mock!(Client::describe_nodegroup)
            .match_requests(|request| {
                (request.cluster_name(), request.nodegroup_name()) == (Some("prod"), Some("workers"))
            })
            .then_output(move || DescribeNodegroupOutput::builder().nodegroup(group.clone()).build())
    }

    /// The group behind it, with three nodes in service and one that still boots.
    fn behind_it() -> Rule {
        mock!(aws_sdk_autoscaling::Client::describe_auto_scaling_groups)
            .match_requests(|request| request.auto_scaling_group_names() == ["eks-workers-1"])
            .then_output(|| {
                let instance = |state: &LifecycleState| {
                    let instance = Instance::builder().lifecycle_state(state.clone());
                    instance.health_status("Healthy").build()
                };
                let states = [&LifecycleState::InService; 3].into_iter().chain([&LifecycleState::Pending]);
                let group = AutoScalingGroup::builder().auto_scaling_group_name("eks-workers-1");
                let group = group.set_instances(Some(states.map(instance).collect())).build();
                DescribeAutoScalingGroupsOutput::builder().auto_scaling_groups(group).build()
            })
    }

    fn clients(eks: &[&Rule], groups: &[&Rule]) -> Clients {
        Clients {
            eks: mock_client!(aws_sdk_eks, RuleMode::MatchAny, eks),
            groups: mock_client!(aws_sdk_autoscaling, RuleMode::MatchAny, groups),
        }
    }

    async fn seen_of(file: &str, mode: Mode, rule: &Rule, behind: &[&Rule]) -> Observed<Capacity> {
        let platform = platform(file);
        let observed = observe(&clients(&[rule], behind), &[target(&platform, mode)]).await;
        observed[&"workers/desired".parse::<DimensionKey>().unwrap()].clone()
    }

    async fn seen(group: Nodegroup) -> Observed<Capacity> {
        seen_of(NODES, Mode::Desired, &describes(group), &[&behind_it()]).await
    }

    fn why(seen: &Observed<Capacity>) -> &str {
        match seen {
            Observed::Unknown(why) => why,
            Observed::Known(capacity) => panic!("{capacity:?}"),
        }
    }

    #[tokio::test]
    async fn nodes_are_seen_between_their_bounds_and_those_in_service_are_ready() {
        let observed = seen(group().build()).await;
        let capacity = observed.known().unwrap();
        assert_eq!((capacity.set, capacity.ready), (Units(4), Units(3)));
        assert_eq!((capacity.aws_min, capacity.aws_max), (Some(Units(2)), Some(Units(10))));
        assert_eq!((&capacity.busy, &capacity.failed), (&None, &None));
    }

    #[tokio::test]
    async fn in_mode_floor_the_minimum_is_what_is_set() {
        let observed = seen_of(FLOOR, Mode::Floor, &describes(group().build()), &[&behind_it()]).await;
        let capacity = observed.known().unwrap();
        assert_eq!((capacity.mode, capacity.set, capacity.ready), (Mode::Floor, Units(2), Units(3)));
        assert_eq!((capacity.aws_min, capacity.aws_max), (None, Some(Units(10))));
    }

    #[tokio::test]
    async fn what_is_updated_or_made_or_deleted_takes_no_change() {
        for status in [Status::Updating, Status::Creating, Status::Deleting, Status::CreateFailed] {
            let told = format!("the node group is {}", status.as_str());
            let observed = seen(group().status(status).build()).await;
            assert_eq!(observed.known().unwrap().busy, Some(Busy::Locked(told)));
        }
    }

    #[tokio::test]
    async fn a_degraded_node_group_is_held_unless_nodes_could_not_be_launched() {
        let observed = seen(degraded(NodegroupIssueCode::AccessDenied, "not in aws-auth")).await;
        let capacity = observed.known().unwrap();
        let told = "the node group is DEGRADED: AccessDenied: not in aws-auth".to_owned();
        assert_eq!((&capacity.busy, &capacity.failed), (&Some(Busy::Held(told.clone())), &Some(told)));
        let observed = seen(degraded(NodegroupIssueCode::AsgInstanceLaunchFailures, "no capacity")).await;
        let capacity = observed.known().unwrap();
        let told = "the node group is DEGRADED: AsgInstanceLaunchFailures: no capacity".to_owned();
        assert_eq!((&capacity.busy, &capacity.failed), (&None, &Some(told)));
    }

    #[tokio::test]
    async fn what_an_autoscaler_of_the_cluster_has_is_left_alone_unless_a_mode_is_written() {
        for (key, value, tag) in [
            ("k8s.io/cluster-autoscaler/enabled", "true", Some("k8s.io/cluster-autoscaler/enabled")),
            ("k8s.io/cluster-autoscaler/prod", "owned", Some("k8s.io/cluster-autoscaler/prod")),
            ("karpenter.sh/discovery", "prod", Some("karpenter.sh/discovery")),
            ("k8s.io/cluster-autoscaler/enabled", "false", None),
            ("k8s.io/cluster-autoscaler/node-template/label/pool", "x", None),
            ("team", "shop", None),
        ] {
            let tagged = || describes(group().tags(key, value).build());
            let observed = seen_of(NODES, Mode::Desired, &tagged(), &[&behind_it()]).await;
            match tag {
                Some(tag) => {
                    assert!(why(&observed).contains(&format!("carries the tag {tag}:")), "{observed:?}")
                }
                None => assert!(observed.known().is_some(), "{observed:?}"),
            }
            let told = seen_of(FLOOR, Mode::Floor, &tagged(), &[&behind_it()]).await;
            assert!(told.known().is_some(), "{told:?}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_seen_is_unknown() {
        for (code, told) in [
            ("ResourceNotFoundException", "there is no node group workers in cluster prod"),
            ("AccessDeniedException", "could not describe node group workers: AccessDeniedException"),
        ] {
            let rule = mock!(Client::describe_nodegroup).then_error(move || {
                DescribeNodegroupError::generic(ErrorMetadata::builder().code(code).build())
            });
            let observed = seen_of(NODES, Mode::Desired, &rule, &[]).await;
            assert!(why(&observed).starts_with(told), "{observed:?}");
        }
        let none = mock!(aws_sdk_autoscaling::Client::describe_auto_scaling_groups)
            .then_output(|| DescribeAutoScalingGroupsOutput::builder().build());
        let observed = seen_of(NODES, Mode::Desired, &describes(group().build()), &[&none]).await;
        assert_eq!(why(&observed), "there is no Auto Scaling group eks-workers-1 behind it");
        let sizeless = group().scaling_config(NodegroupScalingConfig::builder().min_size(1).build()).build();
        assert!(why(&seen(sizeless).await).contains("does not tell the sizes"));
    }

    /// The sizes that are sent for a target, as minimum and desired.
    async fn sent(file: &str, mode: Mode, nodes: u32) -> (Option<i32>, Option<i32>) {
        let seen = std::sync::Arc::new(std::sync::Mutex::new((None, None)));
        let kept = std::sync::Arc::clone(&seen);
        let update = mock!(Client::update_nodegroup_config)
            .match_requests(move |request| {
                let scaling = request.scaling_config().unwrap();
                *kept.lock().unwrap() = (scaling.min_size(), scaling.desired_size());
                scaling.max_size().is_none() && request.nodegroup_name() == Some("workers")
            })
            .then_output(|| UpdateNodegroupConfigOutput::builder().build());
        let described = describes(group().build());
        let platform = platform(file);
        let resource = platform.resources().next().unwrap().1;
        let targets = units_of(&[("workers/desired", nodes)]);
        set(&clients(&[&update, &described], &[]), resource, mode, &targets).await.unwrap();
        assert_eq!(update.num_calls(), 1);
        *seen.lock().unwrap()
    }

    #[tokio::test]
    async fn nodes_are_set_absolutely_and_a_floor_takes_them_along() {
        assert_eq!(sent(NODES, Mode::Desired, 8).await, (None, Some(8)));
        assert_eq!(sent(FLOOR, Mode::Floor, 3).await, (Some(3), None));
        assert_eq!(sent(FLOOR, Mode::Floor, 6).await, (Some(6), Some(6)), "four are desired");
    }

    #[tokio::test]
    async fn refusals_are_told_apart_and_no_call_is_sent_twice() {
        for (code, kind) in [
            ("ResourceInUseException", ErrorKind::Stale),
            ("ResourceNotFoundException", ErrorKind::NotFound),
            ("InvalidParameterException", ErrorKind::Invalid),
            ("ServerException", ErrorKind::Unavailable),
            ("ThrottlingException", ErrorKind::Throttled),
            ("AccessDeniedException", ErrorKind::Denied),
        ] {
            let update = mock!(Client::update_nodegroup_config).then_error(move || {
                UpdateNodegroupConfigError::generic(ErrorMetadata::builder().code(code).build())
            });
            let platform = platform(NODES);
            let resource = platform.resources().next().unwrap().1;
            let targets = units_of(&[("workers/desired", 8)]);
            let error = set(&clients(&[&update], &[]), resource, Mode::Desired, &targets).await.unwrap_err();
            assert_eq!((error.kind, update.num_calls()), (kind, 1), "{code}");
        }
    }
}
