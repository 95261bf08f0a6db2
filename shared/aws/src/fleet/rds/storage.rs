//! Storage of RDS instances, which only grows.

use std::collections::BTreeMap;

use aws_sdk_rds::types::{DbInstance, PendingModifiedValues};
use headroom_core::name::DimensionKey;
use headroom_core::observe::{Busy, Capacity, Observed};
use headroom_core::platform::{Mode, Resource};
use headroom_core::units::Units;

use super::{AVAILABLE, Clients, NAMES_MAX, instances, names};
use crate::error::{AwsError, ErrorKind};
use crate::fleet::{Capacities, Target, count, every, only, units};

/// What RDS calls an instance whose storage has grown and is being spread over it.
const OPTIMISING: &str = "storage-optimization";
/// RDS user guide, "gp3 storage": from so many GiB on a volume is striped, and has no fewer IOPS than these. Below, they are
/// given and may not be named.
const STRIPED_GIB: u32 = 400;
const STRIPED_GIB_ORACLE: u32 = 200;
const STRIPED_IOPS: i32 = 12_000;

type Instances = BTreeMap<String, DbInstance>;

pub(in crate::fleet) async fn observe(clients: &Clients, targets: &[Target<'_>]) -> Capacities {
    let mut seen = Capacities::new();
    for targets in targets.chunks(NAMES_MAX) {
        let found = by_name(clients, &names(targets)).await;
        seen.extend(targets.iter().flat_map(|target| {
            let capacity = see(&target.resource.name, &found);
            every(target.resource, &capacity.map_or_else(Observed::Unknown, Observed::Known))
        }));
    }
    seen
}

async fn by_name(clients: &Clients, names: &[String]) -> Result<Instances, AwsError> {
    let found = instances(&clients.rds, "db-instance-id", names).await?.into_iter();
    Ok(found.filter_map(|instance| Some((instance.db_instance_identifier.clone()?, instance))).collect())
}

fn see(name: &str, found: &Result<Instances, AwsError>) -> Result<Capacity, String> {
    let found = found.as_ref().map_err(ToString::to_string)?;
    let instance = found.get(name).ok_or_else(|| format!("there is no DB instance {name}"))?;
    if instance.db_cluster_identifier().is_some() {
        return Err(format!("the storage of DB instance {name} is its cluster's, which grows by itself"));
    }
    let allocated = instance.allocated_storage().map(units);
    let allocated =
        allocated.ok_or_else(|| format!("AWS does not tell the storage of DB instance {name}"))?;
    let pending = instance.pending_modified_values();
    let ordered = pending.and_then(PendingModifiedValues::allocated_storage).map(units);
    Ok(Capacity {
        mode: Mode::Desired,
        set: ordered.map_or(allocated, |ordered| ordered.max(allocated)),
        ready: allocated,
        busy: busy(instance),
        // What RDS may grow to by itself is how far its owner lets it grow.
        aws_max: instance.max_allocated_storage().map(units).filter(|most| allocated < *most),
        ..Capacity::default()
    })
}

fn busy(instance: &DbInstance) -> Option<Busy> {
    let status = instance.db_instance_status().unwrap_or("in an unknown state");
    let is_optimising = status == OPTIMISING || instance.storage_operation_status().is_some();
    let waits = instance.pending_modified_values().is_some_and(|pending| {
        let growing = PendingModifiedValues::builder().set_allocated_storage(pending.allocated_storage());
        *pending != growing.build()
    });
    match status {
        _ if is_optimising => Some(Busy::Held(
            "its storage is being optimised, and AWS takes no other change of it until that is over"
                .to_owned(),
        )),
        AVAILABLE if waits => Some(Busy::Held(
            "changes wait for the instance's maintenance window, and another one would bring them on"
                .to_owned(),
        )),
        AVAILABLE => None,
        _ => Some(Busy::Locked(format!("the instance is {status}"))),
    }
}

/// Grows the storage. Nothing makes it smaller.
pub(in crate::fleet) async fn set(
    clients: &Clients,
    resource: &Resource,
    targets: &BTreeMap<DimensionKey, Units>,
) -> Result<(), AwsError> {
    let target = only(targets)?;
    let name = &resource.name;
    let doing = || format!("grow the storage of DB instance {name} to {target} GiB");
    let found = by_name(clients, std::slice::from_ref(name)).await?;
    let instance = found.get(name);
    let instance =
        instance.ok_or_else(|| AwsError::new(ErrorKind::NotFound, doing(), "it does not exist"))?;
    let allocated = instance.allocated_storage().map(units).unwrap_or_default();
    if target <= allocated {
        let said = format!("it has {allocated} GiB, and AWS has no way to make storage smaller");
        return Err(AwsError::new(ErrorKind::Invalid, doing(), said));
    }
    let request = clients
        .rds
        .modify_db_instance()
        .db_instance_identifier(name)
        .allocated_storage(count(target))
        .set_iops(iops(instance, target))
        .apply_immediately(true);
    let sent = request.customize().config_override(once!(aws_sdk_rds)).send().await;
    sent.map(drop).map_err(|error| optimising(AwsError::of(error, doing())))
}

/// The IOPS to name with so much storage: RDS API reference, ModifyDBInstance, wants those that there are named again.
fn iops(instance: &DbInstance, target: Units) -> Option<i32> {
    let now = instance.iops()?;
    let engine = instance.engine().unwrap_or_default();
    match instance.storage_type()? {
        "io1" | "io2" => Some(now),
        // SQL Server's are never striped.
        "gp3" if engine.starts_with("sqlserver") => Some(now),
        "gp3" => {
            let striped = if engine.starts_with("oracle") { STRIPED_GIB_ORACLE } else { STRIPED_GIB };
            (Units(striped) <= target).then_some(now.max(STRIPED_IOPS))
        }
        _ => None,
    }
}

/// RDS has the code of every wrong parameter for what it takes no second time within six hours.
fn optimising(error: AwsError) -> AwsError {
    let said = error.said.to_lowercase();
    let later = said.contains("storage optimization") || said.contains("currently modify the storage");
    let kind = if later { ErrorKind::Stale } else { error.kind };
    AwsError { kind, ..error }
}
