//! ElastiCache replication groups of Valkey and Redis OSS: replicas of every shard, and shards.

use std::collections::BTreeMap;

use aws_sdk_elasticache::types::{AutomaticFailoverStatus, MultiAzStatus, NodeGroup, ReplicationGroup};
use headroom_core::name::DimensionKey;
use headroom_core::observe::{Busy, Capacity, Observed};
use headroom_core::platform::{Mode, Resource};
use headroom_core::units::Units;

use super::{Capacities, Target, count, every, scalable, unknown};
use crate::error::{AwsError, ErrorKind};
use crate::sdk::Aws;

/// AWS describes so many groups in a page.
const PAGE: i32 = 100;
/// Two thousand groups, more than an account may have.
const PAGES_MAX: usize = 20;
const SHARDS: &str = "shards";
const AVAILABLE: &str = "available";

/// ElastiCache, and the floors of its groups.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    groups: aws_sdk_elasticache::Client,
    targets: aws_sdk_applicationautoscaling::Client,
}

impl Clients {
    pub(super) fn new(aws: &Aws) -> Clients {
        Clients { groups: aws.elasticache(), targets: aws.application() }
    }
}

pub(super) async fn observe(clients: &Clients, targets: &[Target<'_>]) -> Capacities {
    let found = match targets {
        [] => return Capacities::new(),
        [one] => one_group(clients, &one.resource.name).await,
        _ => all_groups(clients).await,
    };
    let found = match found {
        Ok(found) => found,
        Err(error) => return unknown(targets, &error),
    };
    let floors = scalable::floors(&clients.targets, targets).await;
    targets.iter().flat_map(|target| see(*target, &found, &floors)).collect()
}

type Groups = BTreeMap<String, ReplicationGroup>;

/// One group; none when it does not exist.
async fn one_group(clients: &Clients, name: &str) -> Result<Groups, AwsError> {
    match describe(clients, name).await {
        Ok(group) => Ok(Groups::from([(name.to_owned(), group)])),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(Groups::new()),
        Err(error) => Err(error),
    }
}

async fn describe(clients: &Clients, name: &str) -> Result<ReplicationGroup, AwsError> {
    let doing = || format!("describe replication group {name}");
    let answer = clients.groups.describe_replication_groups().replication_group_id(name).send().await;
    let groups = answer.map_err(|error| AwsError::of(error, doing()))?.replication_groups;
    let group = groups.unwrap_or_default().into_iter().next();
    group.ok_or_else(|| AwsError::new(ErrorKind::NotFound, doing(), "it does not exist"))
}

/// Every group of the account: it cannot be asked for some of them.
async fn all_groups(clients: &Clients) -> Result<Groups, AwsError> {
    let doing = "describe replication groups";
    let (mut groups, mut marker) = (Groups::new(), None);
    for _ in 0..PAGES_MAX {
        let asked = clients.groups.describe_replication_groups().max_records(PAGE).set_marker(marker);
        let answer = asked.send().await.map_err(|error| AwsError::of(error, doing))?;
        let page = answer.replication_groups.unwrap_or_default().into_iter();
        groups.extend(page.filter_map(|group| Some((group.replication_group_id.clone()?, group))));
        marker = answer.marker.filter(|marker| !marker.is_empty());
        if marker.is_none() {
            return Ok(groups);
        }
    }
    Err(AwsError::new(ErrorKind::Limit, doing, format!("more than {PAGES_MAX} pages")))
}

fn see(
    target: Target<'_>,
    found: &Groups,
    floors: &scalable::Floors,
) -> Vec<(DimensionKey, Observed<Capacity>)> {
    let resource = target.resource;
    let Some(group) = found.get(&resource.name) else {
        return every(
            resource,
            &Observed::Unknown(format!("there is no replication group {}", resource.name)),
        );
    };
    let dimensions = resource.dimensions.iter();
    dimensions
        .map(|dimension| {
            let seen = capacity(target, &dimension.key.dimension, group, floors);
            (dimension.key.clone(), seen.map_or_else(Observed::Unknown, Observed::Known))
        })
        .collect()
}

/// The capacity of a dimension, or why it is not known.
fn capacity(
    target: Target<'_>,
    dimension: &str,
    group: &ReplicationGroup,
    floors: &scalable::Floors,
) -> Result<Capacity, String> {
    let mut capacity = if dimension == SHARDS {
        of_shards(target.resource, group)?
    } else {
        of_replicas(target.resource, group)?
    };
    capacity.mode = target.mode;
    capacity.busy = busy(group);
    if target.mode == Mode::Floor {
        let bounds = match floors.of(target.resource, dimension) {
            Observed::Known(bounds) => bounds,
            Observed::Unknown(why) => return Err(why),
        };
        // Whatever the group is doing, Application Auto Scaling takes a floor.
        (capacity.set, capacity.busy) = (bounds.min(), None);
        capacity.aws_max = Some(bounds.max());
    }
    Ok(capacity)
}

fn of_shards(resource: &Resource, group: &ReplicationGroup) -> Result<Capacity, String> {
    if group.cluster_enabled() != Some(true) {
        return Err(format!(
            "cluster mode of {} is disabled: it has one shard and cannot have more",
            resource.name
        ));
    }
    let shards = units(group.node_groups().len());
    Ok(Capacity { set: shards, ready: shards, ..Capacity::default() })
}

/// Replicas of a shard: AWS sets the number for all shards.
fn of_replicas(resource: &Resource, group: &ReplicationGroup) -> Result<Capacity, String> {
    let mut each = group.node_groups().iter().map(replicas);
    let (least, most) = each
        .try_fold((usize::MAX, 0), |(least, most), one| Some((least.min(one?), most.max(one?))))
        .filter(|_| !group.node_groups().is_empty())
        .ok_or_else(|| format!("the shards of {} are not described", resource.name))?;
    if least != most && busy(group).is_none() {
        return Err(format!(
            "shards of {} have {least} to {most} replicas; what somebody has made so by hand is left alone",
            resource.name
        ));
    }
    let replicas = units(least);
    let fails_over = group.multi_az() == Some(&MultiAzStatus::Enabled)
        || group.automatic_failover() == Some(&AutomaticFailoverStatus::Enabled);
    // Multi-AZ and automatic failover need one to fail over to.
    let aws_min = fails_over.then_some(Units(1));
    Ok(Capacity { set: replicas, ready: replicas, aws_min, ..Capacity::default() })
}

/// The nodes of a shard besides its primary.
fn replicas(shard: &NodeGroup) -> Option<usize> {
    shard.node_group_members().len().checked_sub(1)
}

fn units(count: usize) -> Units {
    Units(u32::try_from(count).unwrap_or(u32::MAX))
}

/// ElastiCache makes one change at a time, and refuses every other until it is done.
fn busy(group: &ReplicationGroup) -> Option<Busy> {
    let resharding = group.pending_modified_values().and_then(|pending| pending.resharding());
    if let Some(slots) = resharding.and_then(|resharding| resharding.slot_migration()) {
        let percent = slots.progress_percentage().unwrap_or(0.0);
        return Some(Busy::Locked(format!("slots are moved between shards: {percent:.0} % are")));
    }
    let shards = group.node_groups().iter().filter_map(NodeGroup::status);
    let mut states = group.status().into_iter().chain(shards);
    let state = states.find(|state| *state != AVAILABLE)?;
    Some(Busy::Locked(format!("the replication group is {state}")))
}

pub(super) async fn set(
    clients: &Clients,
    resource: &Resource,
    mode: Mode,
    targets: &BTreeMap<DimensionKey, Units>,
) -> Result<(), AwsError> {
    let target = super::only(targets)?;
    let dimension = targets.keys().next().map(|key| key.dimension.as_str()).unwrap_or_default();
    if mode == Mode::Floor {
        return scalable::set_floor(&clients.targets, resource, dimension, target).await;
    }
    // The call is another one for more than for less, and shards that go have to be named.
    let group = describe(clients, &resource.name).await?;
    if dimension == SHARDS {
        set_shards(clients, resource, &group, target).await
    } else {
        set_replicas(clients, resource, &group, target).await
    }
}

async fn set_replicas(
    clients: &Clients,
    resource: &Resource,
    group: &ReplicationGroup,
    target: Units,
) -> Result<(), AwsError> {
    let doing = || format!("set the replicas of {} to {target}", resource.name);
    let had = group.node_groups().iter().filter_map(replicas).map(units).min().unwrap_or_default();
    if had < target {
        let request = clients.groups.increase_replica_count().replication_group_id(&resource.name);
        let request = request.new_replica_count(count(target)).apply_immediately(true);
        let sent = request.customize().config_override(once!(aws_sdk_elasticache)).send().await;
        sent.map(drop).map_err(|error| AwsError::of(error, doing()))
    } else if target < had {
        let request = clients.groups.decrease_replica_count().replication_group_id(&resource.name);
        let request = request.new_replica_count(count(target)).apply_immediately(true);
        let sent = request.customize().config_override(once!(aws_sdk_elasticache)).send().await;
        sent.map(drop).map_err(|error| AwsError::of(error, doing()))
    } else {
        Ok(())
    }
}

async fn set_shards(
    clients: &Clients,
    resource: &Resource,
    group: &ReplicationGroup,
    target: Units,
) -> Result<(), AwsError> {
    let doing = || format!("set the shards of {} to {target}", resource.name);
    let mut ids: Vec<&str> = group.node_groups().iter().filter_map(NodeGroup::node_group_id).collect();
    let had = units(ids.len());
    if had == target {
        return Ok(());
    }
    // The newest go, which AWS numbers last: the same ones, however often this is asked.
    ids.sort_unstable();
    let kept = usize::try_from(target.0).unwrap_or(usize::MAX);
    let removed = ids.into_iter().skip(kept).map(str::to_owned).collect::<Vec<_>>();
    let request = clients.groups.modify_replication_group_shard_configuration();
    let request = request.replication_group_id(&resource.name).node_group_count(count(target));
    let request = request.apply_immediately(true);
    let request = request.set_node_groups_to_remove(Some(removed).filter(|removed| !removed.is_empty()));
    let sent = request.customize().config_override(once!(aws_sdk_elasticache)).send().await;
    sent.map(drop).map_err(|error| AwsError::of(error, doing()))
}

#[cfg(test)]
mod tests {
    use aws_sdk_elasticache::Client;
    use aws_sdk_elasticache::error::ErrorMetadata;
    use aws_sdk_elasticache::operation::decrease_replica_count::DecreaseReplicaCountOutput;
    use aws_sdk_elasticache::operation::describe_replication_groups::{
        DescribeReplicationGroupsError, DescribeReplicationGroupsOutput,
    };
    use aws_sdk_elasticache::operation::increase_replica_count::{
        IncreaseReplicaCountError, IncreaseReplicaCountOutput,
    };
    use aws_sdk_elasticache::operation::modify_replication_group_shard_configuration::ModifyReplicationGroupShardConfigurationOutput;
    use aws_sdk_elasticache::types::builders::ReplicationGroupBuilder;
    use aws_sdk_elasticache::types::{
        NodeGroupMember, ReplicationGroupPendingModifiedValues, ReshardingStatus, SlotMigration,
    };
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};

    use super::super::testing::{aws, platform, target, units_of};
    use super::*;

    const GROUP: &str = "{type: ELASTICACHE_REPLICATION_GROUP, name: sessions, replicas: {min: 1, max: 5}, \
        shards: {min: 1, max: 9}}";

    fn clients(rules: &[&Rule]) -> Clients {
        Clients {
            groups: mock_client!(aws_sdk_elasticache, RuleMode::MatchAny, rules),
            ..Clients::new(&aws())
        }
    }

    /// A group with so many nodes in each of its shards.
    fn group(nodes: &[usize]) -> ReplicationGroupBuilder {
        let shards = nodes.iter().enumerate().map(|(index, nodes)| {
            let members = (0..*nodes).map(|_| NodeGroupMember::builder().build()).collect();
            let shard = NodeGroup::builder().node_group_id(format!("{:04}", index + 1)).status(AVAILABLE);
            shard.set_node_group_members(Some(members)).build()
        });
        ReplicationGroup::builder()
            .replication_group_id("sessions")
            .status(AVAILABLE)
            .cluster_enabled(true)
            .set_node_groups(Some(shards.collect()))
    }

    fn describes(group: ReplicationGroup) -> Rule {
        mock!(Client::describe_replication_groups).then_output(move || {
            DescribeReplicationGroupsOutput::builder().replication_groups(group.clone()).build()
        })
    }

    /// What is seen of the replicas and of the shards.
    async fn seen(rule: &Rule) -> (Observed<Capacity>, Observed<Capacity>) {
        let platform = platform(GROUP);
        let observed = observe(&clients(&[rule]), &[target(&platform, Mode::Desired)]).await;
        let of = |key: &str| observed[&key.parse::<DimensionKey>().unwrap()].clone();
        (of("sessions/replicas"), of("sessions/shards"))
    }

    fn why(seen: &Observed<Capacity>) -> &str {
        match seen {
            Observed::Unknown(why) => why,
            Observed::Known(_) => "",
        }
    }

    #[tokio::test]
    async fn shards_and_their_replicas_are_seen_and_failover_keeps_one() {
        for (multi_az, failover, least) in [
            (MultiAzStatus::Disabled, AutomaticFailoverStatus::Disabled, None),
            (MultiAzStatus::Enabled, AutomaticFailoverStatus::Enabled, Some(Units(1))),
            (MultiAzStatus::Disabled, AutomaticFailoverStatus::Enabled, Some(Units(1))),
        ] {
            let group = group(&[3, 3]).multi_az(multi_az).automatic_failover(failover).build();
            let (replicas, shards) = seen(&describes(group)).await;
            let replicas = replicas.known().unwrap();
            assert_eq!((replicas.set, replicas.ready, replicas.aws_min), (Units(2), Units(2), least));
            assert_eq!((shards.known().unwrap().set, &shards.known().unwrap().busy), (Units(2), &None));
        }
    }

    #[tokio::test]
    async fn one_change_at_a_time_locks_both() {
        let modifying = group(&[2, 1]).status("modifying").build();
        let (replicas, shards) = seen(&describes(modifying)).await;
        let busy = Some(Busy::Locked("the replication group is modifying".into()));
        assert_eq!((&replicas.known().unwrap().busy, &shards.known().unwrap().busy), (&busy, &busy));
        let slots = SlotMigration::builder().progress_percentage(41.6).build();
        let resharding = ReshardingStatus::builder().slot_migration(slots).build();
        let pending = ReplicationGroupPendingModifiedValues::builder().resharding(resharding).build();
        let moving = group(&[2, 2]).status("modifying").pending_modified_values(pending).build();
        let busy = Some(Busy::Locked("slots are moved between shards: 42 % are".into()));
        assert_eq!(seen(&describes(moving)).await.1.known().unwrap().busy, busy);
    }

    #[tokio::test]
    async fn what_cannot_be_scaled_says_why() {
        let plain = group(&[2]).cluster_enabled(false).build();
        let (replicas, shards) = seen(&describes(plain)).await;
        assert_eq!(replicas.known().unwrap().set, Units(1));
        assert!(why(&shards).contains("cluster mode of sessions is disabled"), "{shards:?}");
        let (replicas, shards) = seen(&describes(group(&[2, 4]).build())).await;
        assert!(why(&replicas).contains("have 1 to 3 replicas"), "{replicas:?}");
        assert_eq!(shards.known().unwrap().set, Units(2));
        for (code, told) in [
            ("ReplicationGroupNotFoundFault", "there is no replication group sessions"),
            ("AccessDenied", "could not describe replication group sessions: AccessDenied"),
        ] {
            let rule = mock!(Client::describe_replication_groups).then_error(move || {
                DescribeReplicationGroupsError::generic(ErrorMetadata::builder().code(code).build())
            });
            let (replicas, shards) = seen(&rule).await;
            assert!(why(&replicas).starts_with(told) && why(&shards).starts_with(told), "{replicas:?}");
        }
    }

    #[tokio::test]
    async fn many_groups_are_read_by_pages() {
        let page = |marker: Option<&'static str>, name: &'static str, next: Option<&'static str>| {
            mock!(Client::describe_replication_groups)
                .match_requests(move |request| request.marker() == marker)
                .then_output(move || {
                    let group = group(&[2, 2]).replication_group_id(name).build();
                    let output = DescribeReplicationGroupsOutput::builder().replication_groups(group);
                    output.set_marker(next.map(str::to_owned)).build()
                })
        };
        let rules = [page(None, "other", Some("next")), page(Some("next"), "sessions", None)];
        let (one, two) = (platform(GROUP), platform(&GROUP.replace("sessions", "gone")));
        let targets = [target(&one, Mode::Desired), target(&two, Mode::Desired)];
        let observed = observe(&clients(&[&rules[0], &rules[1]]), &targets).await;
        let of = |key: &str| &observed[&key.parse::<DimensionKey>().unwrap()];
        assert_eq!(of("sessions/shards").known().unwrap().set, Units(2));
        assert_eq!(why(of("gone/shards")), "there is no replication group gone");
    }

    #[tokio::test]
    async fn replicas_are_increased_or_decreased_to_a_number_and_shards_that_go_are_the_newest() {
        let calls = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let (one, two, three) = (calls.clone(), calls.clone(), calls.clone());
        let more = mock!(Client::increase_replica_count)
            .match_requests(move |request| {
                one.lock().unwrap().push(format!("more {}", request.new_replica_count().unwrap()));
                request.apply_immediately() == Some(true)
            })
            .then_output(|| IncreaseReplicaCountOutput::builder().build());
        let less = mock!(Client::decrease_replica_count)
            .match_requests(move |request| {
                two.lock().unwrap().push(format!("less {}", request.new_replica_count().unwrap()));
                request.apply_immediately() == Some(true)
            })
            .then_output(|| DecreaseReplicaCountOutput::builder().build());
        let reshard = mock!(Client::modify_replication_group_shard_configuration)
            .match_requests(move |request| {
                let (count, gone) = (request.node_group_count().unwrap(), request.node_groups_to_remove());
                three.lock().unwrap().push(format!("shards {count} without {}", gone.join(" ")));
                request.apply_immediately() == Some(true)
            })
            .then_output(|| ModifyReplicationGroupShardConfigurationOutput::builder().build());
        let described = describes(group(&[3, 3, 3]).build());
        let clients = clients(&[&more, &less, &reshard, &described]);
        let platform = platform(GROUP);
        let resource = platform.resources().next().unwrap().1;
        for (key, target) in
            [("replicas", 4), ("replicas", 1), ("replicas", 2), ("shards", 5), ("shards", 1), ("shards", 3)]
        {
            let targets = units_of(&[(&format!("sessions/{key}"), target)]);
            set(&clients, resource, Mode::Desired, &targets).await.unwrap();
        }
        let expected = ["more 4", "less 1", "shards 5 without ", "shards 1 without 0002 0003"];
        assert_eq!(*calls.lock().unwrap(), expected, "what stands is not sent");
    }

    #[tokio::test]
    async fn refusals_are_told_apart_and_no_call_is_sent_twice() {
        for (code, kind) in [
            ("InvalidReplicationGroupState", ErrorKind::Stale),
            ("NodeQuotaForCustomerExceeded", ErrorKind::Limit),
            ("InsufficientCacheClusterCapacity", ErrorKind::Limit),
            ("Throttling", ErrorKind::Throttled),
        ] {
            let refused = mock!(Client::increase_replica_count).then_error(move || {
                IncreaseReplicaCountError::generic(ErrorMetadata::builder().code(code).build())
            });
            let described = describes(group(&[2]).build());
            let platform = platform(GROUP);
            let resource = platform.resources().next().unwrap().1;
            let targets = units_of(&[("sessions/replicas", 3)]);
            let clients = clients(&[&refused, &described]);
            let error = set(&clients, resource, Mode::Desired, &targets).await.unwrap_err();
            assert_eq!((error.kind, refused.num_calls()), (kind, 1), "{code}");
        }
    }

    #[tokio::test]
    async fn a_floor_is_moved_under_the_native_policy() {
        use aws_sdk_applicationautoscaling::Client as Scaling;
        use aws_sdk_applicationautoscaling::operation::register_scalable_target::RegisterScalableTargetOutput;
        let register = mock!(Scaling::register_scalable_target)
            .match_requests(|request| {
                request.resource_id() == Some("replication-group/sessions")
                    && request.scalable_dimension().unwrap().as_str()
                        == "elasticache:replication-group:NodeGroups"
                    && request.min_capacity() == Some(4)
            })
            .then_output(|| RegisterScalableTargetOutput::builder().build());
        let clients = Clients {
            targets: mock_client!(aws_sdk_applicationautoscaling, RuleMode::MatchAny, [&register]),
            ..Clients::new(&aws())
        };
        let platform = platform(GROUP);
        let resource = platform.resources().next().unwrap().1;
        set(&clients, resource, Mode::Floor, &units_of(&[("sessions/shards", 4)])).await.unwrap();
        assert_eq!(register.num_calls(), 1);
    }
}
