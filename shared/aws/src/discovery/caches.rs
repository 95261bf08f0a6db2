//! ElastiCache replication groups.

use aws_sdk_elasticache::Client;
use aws_sdk_elasticache::types::{NodeGroup, ReplicationGroup};
use headroom_core::adopt::inventory::{CapacityKey, Found, FoundCapacity};
use headroom_core::resource::ResourceKind;

use super::{Seen, Selection};
use crate::error::{AwsError, ErrorKind};

/// ElastiCache user guide, "Increasing the number of replicas in a shard": five at the most.
const REPLICAS_MAX: f64 = 5.0;

pub(super) async fn read(client: &Client, selection: &Selection) -> Seen {
    let mut seen = Seen::default();
    for name in selection.with_named(&selection.caches) {
        match describe(client, name).await {
            Ok(Some(group)) => add(client, &mut seen, name, &group).await,
            Ok(None) => (),
            Err(error) if error.kind == ErrorKind::NotFound && selection.named.contains(name) => (),
            Err(error) if error.kind == ErrorKind::NotFound => {
                seen.left_out(format!("the replication group {name}"), "it is not there");
            }
            Err(error) => seen.not_seen(&format!("the replication group {name}"), &error),
        }
    }
    seen
}

async fn describe(client: &Client, name: &str) -> Result<Option<ReplicationGroup>, AwsError> {
    let answer = client.describe_replication_groups().replication_group_id(name).send().await;
    let answer =
        answer.map_err(|error| AwsError::of(error, format!("describe the replication group {name}")))?;
    Ok(answer.replication_groups.unwrap_or_default().into_iter().next())
}

async fn add(client: &Client, seen: &mut Seen, name: &str, group: &ReplicationGroup) {
    let Some(arn) = group.arn() else { return };
    let tags = seen.or_gap(&format!("tags of the replication group {name}"), tags(client, arn).await);
    endpoints(seen, arn, name, group);
    let mut capacities = Vec::new();
    let shards = group.node_groups();
    let replicas = |shard: &NodeGroup| shard.node_group_members().len().saturating_sub(1);
    // Those of the shard that has the fewest: the others are more than was asked for.
    if let Some(replicas) = shards.iter().map(replicas).min() {
        let at = CapacityKey::Range("replicas");
        capacities
            .push(FoundCapacity::new(at, "replicas of each shard", real(replicas)).at_most(REPLICAS_MAX));
    }
    if group.cluster_enabled() == Some(true) {
        capacities.push(FoundCapacity::new(CapacityKey::Range("shards"), "shards", real(shards.len())));
    }
    if capacities.is_empty() {
        return seen.left_out(format!("the replication group {name}"), "it has no nodes yet");
    }
    let of = group.cache_node_type().map(|of| {
        format!("Its nodes are {of}: write hourly_cost_per_unit, of which the default is that of a cache.t3.medium.")
    });
    seen.found(Found {
        tags: tags.into_iter().collect(),
        capacities,
        remarks: of.into_iter().collect(),
        ..Found::new(ResourceKind::ElastiCacheReplicationGroup, name, arn)
    });
}

fn endpoints(seen: &mut Seen, arn: &str, name: &str, group: &ReplicationGroup) {
    let whole = group.configuration_endpoint();
    let of_shards =
        group.node_groups().iter().flat_map(|shard| [shard.primary_endpoint(), shard.reader_endpoint()]);
    for endpoint in of_shards.chain([whole]).flatten() {
        seen.handle(arn, endpoint.address(), format_args!("an endpoint of the cache {name}"));
    }
}

fn real(count: usize) -> f64 {
    u32::try_from(count).map_or(0.0, f64::from)
}

async fn tags(client: &Client, arn: &str) -> Result<Vec<(String, String)>, AwsError> {
    let answer = client.list_tags_for_resource().resource_name(arn).send().await;
    let answer = answer.map_err(|error| AwsError::of(error, format!("list the tags of {arn}")))?;
    let tag = |tag: &aws_sdk_elasticache::types::Tag| {
        Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()))
    };
    Ok(answer.tag_list().iter().filter_map(tag).collect())
}

#[cfg(test)]
mod tests {
    use aws_sdk_elasticache::operation::describe_replication_groups::DescribeReplicationGroupsOutput;
    use aws_sdk_elasticache::operation::list_tags_for_resource::ListTagsForResourceOutput;
    use aws_sdk_elasticache::types::{Endpoint, NodeGroupMember, Tag};
    use aws_smithy_mocks::{RuleMode, mock, mock_client};

    use super::*;

    async fn seen(nodes: &[usize], is_cluster: bool) -> Seen {
        let shard = |nodes: &usize| {
            let members = (0..*nodes).map(|_| NodeGroupMember::builder().build()).collect();
            let endpoint = Endpoint::builder().address("cache.1.use1").build();
            NodeGroup::builder().set_node_group_members(Some(members)).primary_endpoint(endpoint).build()
        };
        let group = ReplicationGroup::builder()
            .arn("arn:cache")
            .cluster_enabled(is_cluster)
            .set_node_groups(Some(nodes.iter().map(shard).collect()))
            .build();
        let group = mock!(Client::describe_replication_groups).then_output(move || {
            DescribeReplicationGroupsOutput::builder().replication_groups(group.clone()).build()
        });
        let tags = mock!(Client::list_tags_for_resource).then_output(|| {
            let tag = Tag::builder().key("app").value("shop").build();
            ListTagsForResourceOutput::builder().tag_list(tag).build()
        });
        let client = mock_client!(aws_sdk_elasticache, RuleMode::MatchAny, &[&group, &tags]);
        read(&client, &Selection { caches: ["cache".to_owned()].into(), ..Selection::default() }).await
    }

    #[tokio::test]
    async fn replicas_are_found_and_shards_where_they_can_be_scaled() {
        let of = |seen: &Seen| -> Vec<(CapacityKey, f64)> {
            let found = seen.inventory.found.iter().flat_map(|found| &found.capacities);
            found.map(|capacity| (capacity.at.clone(), capacity.now)).collect()
        };
        let (replicas, shards) = (CapacityKey::Range("replicas"), CapacityKey::Range("shards"));
        let sharded = seen(&[3, 2], true).await;
        assert_eq!(of(&sharded), [(replicas.clone(), 1.0), (shards, 2.0)]);
        assert_eq!(sharded.inventory.handles[0].text, "cache.1.use1");
        assert_eq!(of(&seen(&[3], false).await), [(replicas, 2.0)]);
        assert_eq!(seen(&[], false).await.inventory.left_out.len(), 1);
    }
}
