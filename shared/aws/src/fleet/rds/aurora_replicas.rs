//! Readers of Aurora clusters. The writer is never touched, whoever it is after a failover.

use std::collections::BTreeMap;

use aws_sdk_rds::types::{DbCluster, DbInstance};
use headroom_core::name::DimensionKey;
use headroom_core::observe::{Capacity, Observed};
use headroom_core::platform::{Mode, Resource};
use headroom_core::resource::{Adapter, Readers};
use headroom_core::units::{Bounds, Units};
use jiff::Timestamp;

use super::readers::{self, Lags, Read, Reader, Reads, joined, made_before, told};
use super::{AVAILABLE, Clients, NAMES_MAX, clusters, instances, names};
use crate::error::{AwsError, ErrorKind};
use crate::fleet::{Capacities, Target, only, scalable};

/// Aurora user guide, "Quotas and constraints": readers of a cluster.
const READERS_MAX: u32 = 15;
/// The last to become the writer.
const PROMOTION_TIER: i32 = 15;
/// Milliseconds in one of `AuroraReplicaLag`.
const LAG: (&str, f64) = ("AuroraReplicaLag", 1.0);
const DIMENSION: &str = "replicas";

pub(in crate::fleet) async fn observe(
    clients: &Clients,
    targets: &[Target<'_>],
    now: Timestamp,
) -> Capacities {
    if targets.is_empty() {
        return Capacities::new();
    }
    let floors = scalable::floors(&clients.targets, targets).await;
    let mut seen = Capacities::new();
    for targets in targets.chunks(NAMES_MAX) {
        let reads = reads(clients, &names(targets)).await;
        let lags = readers::lags(clients, &reads, LAG, now).await;
        seen.extend(targets.iter().flat_map(|target| {
            let floor = match target.mode {
                Mode::Floor => Some(floors.of(target.resource, DIMENSION)),
                Mode::Desired => None,
            };
            told(target.resource, see(target.resource, &reads, &lags, floor))
        }));
    }
    seen
}

fn see(
    resource: &Resource,
    reads: &Result<Reads, AwsError>,
    lags: &Lags,
    floor: Option<Observed<Bounds>>,
) -> Result<Capacity, String> {
    let reads = reads.as_ref().map_err(ToString::to_string)?;
    let read = reads.get(&resource.name).cloned().unwrap_or_else(|| Err(missing(&resource.name)))?;
    let floor = match floor {
        Some(Observed::Known(bounds)) => Some(bounds),
        Some(Observed::Unknown(why)) => return Err(why),
        None => None,
    };
    Ok(read.capacity(settings(resource)?, lags, floor))
}

fn settings(resource: &Resource) -> Result<&Readers, String> {
    match &resource.adapter {
        Some(Adapter::AuroraReplicas(settings)) => Ok(settings),
        _ => Err(format!("{} has no readers", resource.id)),
    }
}

fn missing(cluster: &str) -> String {
    format!("there is no DB cluster {cluster}")
}

async fn reads(clients: &Clients, names: &[String]) -> Result<Reads, AwsError> {
    let clusters = clusters(&clients.rds, names).await?;
    let mut members: BTreeMap<String, Vec<DbInstance>> = BTreeMap::new();
    for instance in instances(&clients.rds, "db-cluster-id", names).await? {
        let cluster = instance.db_cluster_identifier().unwrap_or_default().to_owned();
        members.entry(cluster).or_default().push(instance);
    }
    let read = |(name, cluster): (String, DbCluster)| {
        let read = read(&name, cluster, members.remove(&name).unwrap_or_default());
        (name, read)
    };
    Ok(clusters.into_iter().map(read).collect())
}

fn read(name: &str, cluster: DbCluster, members: Vec<DbInstance>) -> Result<Read, String> {
    let mut writers =
        cluster.db_cluster_members().iter().filter(|member| member.is_cluster_writer() == Some(true));
    let writer = writers.next().and_then(|member| member.db_instance_identifier());
    let writer = writer.ok_or_else(|| format!("DB cluster {name} has no writer"))?;
    let is_writer = |instance: &&DbInstance| instance.db_instance_identifier() == Some(writer);
    let like = members.iter().find(is_writer).cloned();
    let like = like.ok_or_else(|| format!("AWS does not tell what the writer {writer} is"))?;
    let readers = members.iter().filter(|instance| !is_writer(instance));
    let status = cluster.status().unwrap_or("in an unknown state");
    Ok(Read {
        name: name.to_owned(),
        readers: readers.filter_map(Reader::of).collect(),
        most: READERS_MAX,
        held: (status != AVAILABLE).then(|| format!("the cluster is {status}")),
        like,
        tags: cluster.tag_list.unwrap_or_default(),
    })
}

/// Makes readers and takes readers away until there are so many; under a native policy its floor is moved.
pub(in crate::fleet) async fn set(
    clients: &Clients,
    resource: &Resource,
    mode: Mode,
    targets: &BTreeMap<DimensionKey, Units>,
) -> Result<(), AwsError> {
    let target = only(targets)?;
    if mode == Mode::Floor {
        return scalable::set_floor(&clients.targets, resource, DIMENSION, target).await;
    }
    let name = &resource.name;
    let refused = |why| AwsError::new(ErrorKind::Invalid, format!("have {target} readers of {name}"), why);
    let settings = settings(resource).map_err(refused)?;
    let read = reads(clients, std::slice::from_ref(name)).await?.remove(name);
    let read = read.unwrap_or_else(|| Err(missing(name))).map_err(refused)?;
    let (made, gone) = read.plan(settings, target).map_err(refused)?;
    let mut begun = false;
    for reader in &gone {
        joined(readers::delete(clients, reader).await, &mut begun)?;
    }
    for reader in &made {
        joined(create(clients, &read, settings, reader).await, &mut begun)?;
    }
    Ok(())
}

async fn create(clients: &Clients, read: &Read, settings: &Readers, name: &String) -> Result<(), AwsError> {
    let parameters = read.like.db_parameter_groups().first();
    let request = clients
        .rds
        .create_db_instance()
        .db_instance_identifier(name)
        .db_cluster_identifier(&read.name)
        .set_engine(read.like.engine.clone())
        .set_db_instance_class(read.next_class(settings))
        // AWS would take its defaults, and a reader has to answer as the writer does.
        .set_db_parameter_group_name(parameters.and_then(|group| group.db_parameter_group_name.clone()))
        .set_publicly_accessible(read.like.publicly_accessible)
        .promotion_tier(PROMOTION_TIER)
        .set_tags(Some(read.next_tags()));
    let sent = request.customize().config_override(once!(aws_sdk_rds)).send().await;
    match sent.map_err(|error| AwsError::of(error, format!("make reader {name} of {}", read.name))) {
        Ok(_) => Ok(()),
        Err(error) => made_before(clients, (name, &read.name), error).await,
    }
}
