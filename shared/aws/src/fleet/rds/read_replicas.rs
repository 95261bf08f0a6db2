//! Read replicas of RDS instances, in the region of their source.

use std::collections::BTreeMap;

use aws_sdk_rds::types::DbInstance;
use headroom_core::name::DimensionKey;
use headroom_core::observe::Capacity;
use headroom_core::platform::Resource;
use headroom_core::resource::{Adapter, Readers};
use headroom_core::units::Units;
use jiff::Timestamp;

use super::readers::{self, Lags, Read, Reader, Reads, joined, made_before, told};
use super::{AVAILABLE, Clients, NAMES_MAX, instances, names};
use crate::error::{AwsError, ErrorKind};
use crate::fleet::{Capacities, Target, only};

/// Milliseconds in one of `ReplicaLag`.
const LAG: (&str, f64) = ("ReplicaLag", 1_000.0);

pub(in crate::fleet) async fn observe(
    clients: &Clients,
    targets: &[Target<'_>],
    now: Timestamp,
) -> Capacities {
    let mut seen = Capacities::new();
    for targets in targets.chunks(NAMES_MAX) {
        let reads = reads(clients, &names(targets)).await;
        let lags = readers::lags(clients, &reads, LAG, now).await;
        seen.extend(
            targets.iter().flat_map(|target| told(target.resource, see(target.resource, &reads, &lags))),
        );
    }
    seen
}

fn see(resource: &Resource, reads: &Result<Reads, AwsError>, lags: &Lags) -> Result<Capacity, String> {
    let reads = reads.as_ref().map_err(ToString::to_string)?;
    let read = reads.get(&resource.name).cloned().unwrap_or_else(|| Err(missing(&resource.name)))?;
    Ok(read.capacity(settings(resource)?, lags, None))
}

fn settings(resource: &Resource) -> Result<&Readers, String> {
    match &resource.adapter {
        Some(Adapter::RdsReadReplicas(settings)) => Ok(settings),
        _ => Err(format!("{} has no replicas", resource.id)),
    }
}

fn missing(source: &str) -> String {
    format!("there is no DB instance {source}")
}

async fn reads(clients: &Clients, names: &[String]) -> Result<Reads, AwsError> {
    let sources = instances(&clients.rds, "db-instance-id", names).await?;
    // Those of other regions stand here by their ARN. They serve elsewhere.
    let replicas = sources.iter().flat_map(DbInstance::read_replica_db_instance_identifiers);
    let replicas: Vec<String> = replicas.filter(|name| !name.starts_with("arn:")).cloned().collect();
    let found = instances(&clients.rds, "db-instance-id", &replicas).await?;
    let read = |source: DbInstance| {
        let name = source.db_instance_identifier.clone()?;
        let mine = found.iter().filter(|one| one.read_replica_source_db_instance_identifier() == Some(&name));
        let readers = mine.filter_map(Reader::of).collect();
        Some((name.clone(), read(&name, &source, readers)))
    };
    Ok(sources.into_iter().filter_map(read).collect())
}

fn read(name: &str, source: &DbInstance, readers: Vec<Reader>) -> Result<Read, String> {
    if source.db_cluster_identifier().is_some() {
        return Err(format!("DB instance {name} is one of a cluster, whose readers are AURORA_REPLICAS"));
    }
    if source.backup_retention_period() == Some(0) {
        return Err(format!("DB instance {name} keeps no backups, and AWS makes no replica without"));
    }
    let elsewhere =
        source.read_replica_db_instance_identifiers().iter().filter(|name| name.starts_with("arn:"));
    let elsewhere = u32::try_from(elsewhere.count()).unwrap_or(u32::MAX);
    let status = source.db_instance_status().unwrap_or("in an unknown state");
    Ok(Read {
        name: name.to_owned(),
        readers,
        most: most(source.engine().unwrap_or_default()).saturating_sub(elsewhere),
        held: (status != AVAILABLE).then(|| format!("the source is {status}")),
        like: source.clone(),
        tags: source.tag_list().to_vec(),
    })
}

/// Replicas that an engine may have: RDS API reference, CreateDBInstanceReadReplica.
fn most(engine: &str) -> u32 {
    match engine.split('-').next() {
        Some("db2") => 3,
        Some("oracle" | "sqlserver") => 5,
        _ => 15,
    }
}

/// Makes replicas and takes replicas away until there are so many.
pub(in crate::fleet) async fn set(
    clients: &Clients,
    resource: &Resource,
    targets: &BTreeMap<DimensionKey, Units>,
) -> Result<(), AwsError> {
    let target = only(targets)?;
    let name = &resource.name;
    let refused = |why| AwsError::new(ErrorKind::Invalid, format!("have {target} replicas of {name}"), why);
    let settings = settings(resource).map_err(refused)?;
    let read = reads(clients, std::slice::from_ref(name)).await?.remove(name);
    let read = read.unwrap_or_else(|| Err(missing(name))).map_err(refused)?;
    let (made, gone) = read.plan(settings, target).map_err(refused)?;
    let mut begun = false;
    for replica in &gone {
        joined(readers::delete(clients, replica).await, &mut begun)?;
    }
    for replica in &made {
        joined(create(clients, &read, settings, replica).await, &mut begun)?;
    }
    Ok(())
}

async fn create(clients: &Clients, read: &Read, settings: &Readers, name: &String) -> Result<(), AwsError> {
    let networks = read.like.vpc_security_groups().iter();
    let networks: Vec<String> =
        networks.filter_map(|group| group.vpc_security_group_id().map(str::to_owned)).collect();
    let request = clients
        .rds
        .create_db_instance_read_replica()
        .db_instance_identifier(name)
        .source_db_instance_identifier(&read.name)
        .set_db_instance_class(read.next_class(settings))
        // AWS would take the default group of the network, and who reads of the source could not reach the replica.
        .set_vpc_security_group_ids(Some(networks).filter(|groups| !groups.is_empty()))
        .set_publicly_accessible(read.like.publicly_accessible)
        .set_tags(Some(read.next_tags()));
    let sent = request.customize().config_override(once!(aws_sdk_rds)).send().await;
    match sent.map_err(|error| AwsError::of(error, format!("make replica {name} of {}", read.name))) {
        Ok(_) => Ok(()),
        Err(error) => made_before(clients, (name, &read.name), error).await,
    }
}
