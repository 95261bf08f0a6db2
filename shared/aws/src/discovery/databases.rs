//! Aurora clusters, RDS instances, and the proxies in front of them.

use aws_sdk_rds::Client;
use aws_sdk_rds::types::{DbCluster, DbInstance, DbProxy, Tag};
use headroom_core::adopt::inventory::{CapacityKey, Found, FoundCapacity};
use headroom_core::resource::ResourceKind;

use super::{PAGES_MAX, Seen, Selection};
use crate::error::{AwsError, ErrorKind};

/// Readers that a cluster or an instance may have: Aurora user guide, "Adding Aurora Replicas", and RDS API reference,
/// CreateDBInstanceReadReplica, of most engines.
const READERS_MAX: f64 = 15.0;
/// Where RDS does not grow the storage by itself, it is proposed to become so many times what it is. It never shrinks again.
const STORAGE_TIMES_MAX: f64 = 2.0;

pub(super) async fn read(client: &Client, selection: &Selection) -> Seen {
    let mut seen = Seen::default();
    for name in selection.with_named(&selection.clusters) {
        match cluster(client, name).await {
            Ok(Some(cluster)) => add_cluster(&mut seen, name, &cluster),
            Ok(None) => gone(&mut seen, selection, name, "the cluster"),
            Err(error) if error.kind == ErrorKind::NotFound => {
                gone(&mut seen, selection, name, "the cluster")
            }
            Err(error) => seen.not_seen(&format!("the cluster {name}"), &error),
        }
    }
    for name in selection.with_named(&selection.instances) {
        match instance(client, name).await {
            Ok(Some(instance)) => add_instance(&mut seen, name, &instance),
            Ok(None) => gone(&mut seen, selection, name, "the instance"),
            Err(error) if error.kind == ErrorKind::NotFound => {
                gone(&mut seen, selection, name, "the instance")
            }
            Err(error) => seen.not_seen(&format!("the instance {name}"), &error),
        }
    }
    if seen.inventory.found.iter().any(|found| found.arn.contains(":rds:")) {
        let proxies = seen.or_gap("proxies of databases", proxies(client).await);
        for proxy in &proxies {
            add_proxy(client, &mut seen, proxy).await;
        }
    }
    seen
}

/// What is not there is told, unless the name may be that of another kind.
fn gone(seen: &mut Seen, selection: &Selection, name: &str, what: &str) {
    if !selection.named.contains(name) {
        seen.left_out(format!("{what} {name}"), "it is not there");
    }
}

async fn cluster(client: &Client, name: &str) -> Result<Option<DbCluster>, AwsError> {
    let answer = client.describe_db_clusters().db_cluster_identifier(name).send().await;
    let answer = answer.map_err(|error| AwsError::of(error, format!("describe the cluster {name}")))?;
    Ok(answer.db_clusters.unwrap_or_default().into_iter().next())
}

async fn instance(client: &Client, name: &str) -> Result<Option<DbInstance>, AwsError> {
    let answer = client.describe_db_instances().db_instance_identifier(name).send().await;
    let answer = answer.map_err(|error| AwsError::of(error, format!("describe the instance {name}")))?;
    Ok(answer.db_instances.unwrap_or_default().into_iter().next())
}

fn add_cluster(seen: &mut Seen, name: &str, cluster: &DbCluster) {
    let Some(arn) = cluster.db_cluster_arn() else { return };
    if !cluster.engine().is_some_and(|engine| engine.starts_with("aurora")) {
        return seen
            .left_out(format!("the cluster {name}"), "it is none of Aurora, and so has nothing to scale");
    }
    let endpoint = format_args!("an endpoint of the cluster {name}").to_string();
    let own = [cluster.endpoint(), cluster.reader_endpoint()].into_iter().flatten();
    for host in own.chain(cluster.custom_endpoints().iter().map(String::as_str)) {
        seen.handle(arn, Some(host), &endpoint);
    }
    let mut parts = Vec::new();
    if let Some(range) = cluster.serverless_v2_scaling_configuration() {
        let (min, max) = (range.min_capacity().unwrap_or(0.5), range.max_capacity().unwrap_or(1.0));
        let acu = FoundCapacity {
            bounds: Some((min, max, "the cluster, between which its minimum may move".to_owned())),
            ..FoundCapacity::new(CapacityKey::Plain, "ACU at the least", min)
        };
        parts.push((ResourceKind::AuroraServerless, acu));
    }
    let readers =
        cluster.db_cluster_members().iter().filter(|member| member.is_cluster_writer() != Some(true));
    let readers = u32::try_from(readers.count()).unwrap_or(0);
    if 0 < readers {
        let readers = FoundCapacity::new(CapacityKey::Plain, "readers", f64::from(readers));
        parts.push((ResourceKind::AuroraReplicas, readers.at_most(READERS_MAX)));
    }
    if parts.is_empty() {
        return seen.left_out(format!("the cluster {name}"), "it is not serverless and has no readers");
    }
    for (kind, capacity) in parts {
        let capacities = vec![capacity];
        seen.found(Found { tags: tags(cluster.tag_list()), capacities, ..Found::new(kind, name, arn) });
    }
}

fn add_instance(seen: &mut Seen, name: &str, instance: &DbInstance) {
    let Some(arn) = instance.db_instance_arn() else { return };
    let what = || format!("the instance {name}");
    if let Some(cluster) = instance.db_cluster_identifier() {
        return seen.left_out(what(), &format!("it belongs to the cluster {cluster}, which is what scales"));
    }
    if let Some(source) = instance.read_replica_source_db_instance_identifier() {
        return seen.left_out(what(), &format!("it is a replica of {source}, which is what has replicas"));
    }
    let host = instance.endpoint().and_then(|endpoint| endpoint.address());
    seen.handle(arn, host, format_args!("the endpoint of the instance {name}"));
    let gib = f64::from(instance.allocated_storage().unwrap_or(0));
    let bounds = match instance.max_allocated_storage().map(f64::from).filter(|most| gib < *most) {
        Some(most) => (gib, most, "its storage now, and up to where RDS grows it by itself".to_owned()),
        None => (gib, gib * STORAGE_TIMES_MAX, "its storage now, and twice that: a guess".to_owned()),
    };
    let storage =
        FoundCapacity { bounds: Some(bounds), ..FoundCapacity::new(CapacityKey::Plain, "GiB", gib) };
    let mut parts = vec![(ResourceKind::RdsStorage, storage)];
    let replicas = u32::try_from(instance.read_replica_db_instance_identifiers().len()).unwrap_or(0);
    if 0 < replicas {
        let replicas = FoundCapacity::new(CapacityKey::Plain, "read replicas", f64::from(replicas));
        parts.push((ResourceKind::RdsReadReplicas, replicas.at_most(READERS_MAX)));
    }
    for (kind, capacity) in parts {
        let capacities = vec![capacity];
        seen.found(Found { tags: tags(instance.tag_list()), capacities, ..Found::new(kind, name, arn) });
    }
}

fn tags(tags: &[Tag]) -> std::collections::BTreeMap<String, String> {
    let tags = tags.iter();
    tags.filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()))).collect()
}

async fn proxies(client: &Client) -> Result<Vec<DbProxy>, AwsError> {
    const DOING: &str = "describe DB proxies";
    let (mut found, mut next) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let answer = client.describe_db_proxies().set_marker(next).send().await;
        let answer = answer.map_err(|error| AwsError::of(error, DOING))?;
        found.extend(answer.db_proxies.unwrap_or_default());
        next = answer.marker.filter(|marker| !marker.is_empty());
        if next.is_none() {
            return Ok(found);
        }
    }
    Err(AwsError::new(ErrorKind::Limit, DOING, format!("more than {PAGES_MAX} pages")))
}

/// Whoever is given the endpoint of a proxy uses the database behind it.
async fn add_proxy(client: &Client, seen: &mut Seen, proxy: &DbProxy) {
    let (Some(name), Some(endpoint)) = (proxy.db_proxy_name(), proxy.endpoint()) else { return };
    let behind = seen.or_gap(&format!("what is behind the proxy {name}"), behind(client, name).await);
    let is_behind = |found: &&Found| behind.contains(&found.name);
    let arns: Vec<String> =
        seen.inventory.found.iter().filter(is_behind).map(|found| found.arn.clone()).collect();
    for arn in arns {
        seen.handle(&arn, Some(endpoint), format_args!("the endpoint of the proxy {name}"));
    }
}

async fn behind(client: &Client, proxy: &str) -> Result<Vec<String>, AwsError> {
    let answer = client.describe_db_proxy_targets().db_proxy_name(proxy).send().await;
    let answer =
        answer.map_err(|error| AwsError::of(error, format!("describe the targets of the proxy {proxy}")))?;
    let targets = answer.targets().iter();
    let names = targets.flat_map(|target| [target.tracked_cluster_id(), target.rds_resource_id()]);
    Ok(names.flatten().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use aws_sdk_rds::operation::describe_db_clusters::DescribeDbClustersOutput;
    use aws_sdk_rds::operation::describe_db_instances::DescribeDbInstancesOutput;
    use aws_sdk_rds::operation::describe_db_proxies::DescribeDbProxiesOutput;
    use aws_sdk_rds::operation::describe_db_proxy_targets::DescribeDbProxyTargetsOutput;
    use aws_sdk_rds::types::{DbClusterMember, DbProxyTarget, ServerlessV2ScalingConfigurationInfo};
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};

    use super::*;

    fn cluster() -> DbCluster {
        let member = |writer| DbClusterMember::builder().is_cluster_writer(writer).build();
        DbCluster::builder()
            .engine("aurora-postgresql")
            .db_cluster_arn("arn:aws:rds:x:1:cluster:db")
            .endpoint("db.cluster-1.rds")
            .serverless_v2_scaling_configuration(
                ServerlessV2ScalingConfigurationInfo::builder().min_capacity(0.5).max_capacity(16.0).build(),
            )
            .db_cluster_members(member(true))
            .db_cluster_members(member(false))
            .build()
    }

    async fn seen(cluster: DbCluster, instance: DbInstance) -> Seen {
        let clusters = mock!(Client::describe_db_clusters)
            .then_output(move || DescribeDbClustersOutput::builder().db_clusters(cluster.clone()).build());
        let instances = mock!(Client::describe_db_instances)
            .then_output(move || DescribeDbInstancesOutput::builder().db_instances(instance.clone()).build());
        let proxies = mock!(Client::describe_db_proxies).then_output(|| {
            let proxy = DbProxy::builder().db_proxy_name("pool").endpoint("pool.proxy-1.rds").build();
            DescribeDbProxiesOutput::builder().db_proxies(proxy).build()
        });
        let targets = mock!(Client::describe_db_proxy_targets).then_output(|| {
            let target = DbProxyTarget::builder().tracked_cluster_id("db").build();
            DescribeDbProxyTargetsOutput::builder().targets(target).build()
        });
        let rules: [&Rule; 4] = [&clusters, &instances, &proxies, &targets];
        let client = mock_client!(aws_sdk_rds, RuleMode::MatchAny, &rules);
        let mut selection = Selection::default();
        selection.clusters.insert("db".to_owned());
        selection.instances.insert("old".to_owned());
        read(&client, &selection).await
    }

    #[tokio::test]
    async fn a_cluster_has_capacity_and_readers_and_is_found_behind_its_proxy() {
        let instance = DbInstance::builder()
            .db_instance_arn("arn:aws:rds:x:1:db:old")
            .allocated_storage(100)
            .max_allocated_storage(400)
            .read_replica_db_instance_identifiers("old-1")
            .build();
        let seen = seen(cluster(), instance).await;
        let found: Vec<(ResourceKind, f64)> =
            seen.inventory.found.iter().map(|found| (found.kind, found.capacities[0].now)).collect();
        assert_eq!(
            found,
            [
                (ResourceKind::AuroraServerless, 0.5),
                (ResourceKind::AuroraReplicas, 1.0),
                (ResourceKind::RdsStorage, 100.0),
                (ResourceKind::RdsReadReplicas, 1.0)
            ]
        );
        let (min, max, _) = seen.inventory.found[2].capacities[0].bounds.clone().unwrap();
        assert_eq!((min, max), (100.0, 400.0));
        let hosts: Vec<&str> = seen.inventory.handles.iter().map(|handle| handle.text.as_str()).collect();
        assert_eq!(hosts, ["db.cluster-1.rds", "pool.proxy-1.rds", "pool.proxy-1.rds"]);
    }

    #[tokio::test]
    async fn what_has_nothing_to_scale_is_left_out() {
        let member = DbInstance::builder().db_instance_arn("arn:i").db_cluster_identifier("db").build();
        let other = DbCluster::builder().engine("mysql").db_cluster_arn("arn:c").build();
        let seen = seen(other, member).await;
        assert!(seen.inventory.found.is_empty());
        assert_eq!(seen.inventory.left_out.len(), 2, "{:?}", seen.inventory.left_out);
    }
}
