//! DynamoDB tables and their global secondary indexes, in provisioned mode.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::{
    BillingMode, GlobalSecondaryIndexUpdate, IndexStatus, ProvisionedThroughput,
    ProvisionedThroughputDescription, TableDescription, TableStatus, UpdateGlobalSecondaryIndexAction,
};
use futures_util::stream::{self, StreamExt as _};
use headroom_core::name::DimensionKey;
use headroom_core::observe::{Busy, Capacity, Observed};
use headroom_core::platform::{Dimension, Mode, Resource};
use headroom_core::resource::DailyLimit;
use headroom_core::units::Units;
use jiff::Timestamp;

use super::{Capacities, Target, every, scalable, unfinished};
use crate::error::{AwsError, ErrorKind};
use crate::sdk::Aws;

/// Tables are described one by one; so many at a time stay well below the account's rate.
const DESCRIBES_AT_ONCE: usize = 8;

/// DynamoDB, and the floors of its tables.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    tables: aws_sdk_dynamodb::Client,
    targets: aws_sdk_applicationautoscaling::Client,
}

impl Clients {
    pub(super) fn new(aws: &Aws) -> Clients {
        Clients { tables: aws.dynamodb(), targets: aws.application() }
    }
}

pub(super) async fn observe(clients: &Clients, targets: &[Target<'_>], now: Timestamp) -> Capacities {
    let floors = scalable::floors(&clients.targets, targets).await;
    let each: Vec<_> = targets.iter().map(|target| see(clients, *target, now, &floors)).collect();
    let seen: Vec<Vec<_>> = stream::iter(each).buffer_unordered(DESCRIBES_AT_ONCE).collect().await;
    seen.into_iter().flatten().collect()
}

async fn describe(clients: &Clients, name: &str) -> Result<TableDescription, AwsError> {
    let doing = || format!("describe table {name}");
    let answer = clients.tables.describe_table().table_name(name).send().await;
    let table = answer.map_err(|error| AwsError::of(error, doing()))?.table;
    table.ok_or_else(|| AwsError::new(ErrorKind::NotFound, doing(), "it does not exist"))
}

async fn see(
    clients: &Clients,
    target: Target<'_>,
    now: Timestamp,
    floors: &scalable::Floors,
) -> Vec<(DimensionKey, Observed<Capacity>)> {
    let name = &target.resource.name;
    let table = match describe(clients, name).await {
        Ok(table) => table,
        Err(error) if error.kind == ErrorKind::NotFound => {
            return every(target.resource, &Observed::Unknown(format!("there is no table {name}")));
        }
        Err(error) => return every(target.resource, &Observed::Unknown(error.to_string())),
    };
    let mode = table.billing_mode_summary().and_then(|summary| summary.billing_mode());
    if mode == Some(&BillingMode::PayPerRequest) {
        return every(
            target.resource,
            &Observed::Unknown(format!("table {name} is on demand: AWS scales it by itself")),
        );
    }
    let dimensions = target.resource.dimensions.iter();
    dimensions
        .map(|dimension| (dimension.key.clone(), capacity(&table, dimension, target, now, floors)))
        .collect()
}

fn capacity(
    table: &TableDescription,
    dimension: &Dimension,
    target: Target<'_>,
    now: Timestamp,
    floors: &scalable::Floors,
) -> Observed<Capacity> {
    let name = &dimension.key.dimension;
    let (index, is_read) = part(name);
    let Some(throughput) = throughput(table, index) else {
        return Observed::Unknown(format!(
            "table {} has no index {}",
            target.resource.name,
            index.unwrap_or_default()
        ));
    };
    let ready = Units(u32::try_from(current(&throughput, is_read)).unwrap_or(u32::MAX));
    let (set, aws_max) = match target.mode {
        Mode::Desired => (ready, None),
        Mode::Floor => match floors.of(target.resource, name) {
            Observed::Known(bounds) => (bounds.min(), Some(bounds.max())),
            Observed::Unknown(why) => return Observed::Unknown(why),
        },
    };
    Observed::Known(Capacity {
        mode: target.mode,
        set,
        ready,
        busy: busy(table),
        failed: None,
        aws_min: None,
        aws_max,
        overshoot: Units(0),
        whole: None,
        unavailable: None,
        decreases_left: dimension
            .facts
            .daily_limit
            .filter(|_| target.mode == Mode::Desired)
            .and_then(|limit| decreases_left(limit, &throughput, now)),
    })
}

/// `by-email:read` is the read units of an index, `read` those of the table.
fn part(dimension: &str) -> (Option<&str>, bool) {
    match dimension.rsplit_once(':') {
        Some((index, direction)) => (Some(index), direction == "read"),
        None => (None, dimension == "read"),
    }
}

fn throughput(table: &TableDescription, index: Option<&str>) -> Option<ProvisionedThroughputDescription> {
    match index {
        None => table.provisioned_throughput().cloned(),
        Some(name) => {
            let mut indexes = table.global_secondary_indexes().iter();
            indexes.find(|index| index.index_name() == Some(name))?.provisioned_throughput().cloned()
        }
    }
}

/// While a table or one of its indexes is updated, AWS refuses every other update of it, and describes the throughput
/// from before.
fn busy(table: &TableDescription) -> Option<Busy> {
    if table.table_status() != Some(&TableStatus::Active) {
        return Some(Busy::Locked(format!(
            "the table is {}",
            table.table_status().map_or("in no known state", TableStatus::as_str)
        )));
    }
    let mut indexes = table.global_secondary_indexes().iter();
    let index =
        indexes.find(|index| index.index_status().is_some_and(|status| *status != IndexStatus::Active))?;
    let status = index.index_status().map_or("in no known state", IndexStatus::as_str);
    Some(Busy::Locked(format!("its index {} is {status}", index.index_name().unwrap_or_default())))
}

/// The decreases that AWS still allows, where it counts them.
fn decreases_left(
    limit: DailyLimit,
    throughput: &ProvisionedThroughputDescription,
    now: Timestamp,
) -> Option<u32> {
    let DailyLimit::Decreases { daily, then_every_s } = limit else { return None };
    let spent = throughput.number_of_decreases_today().unwrap_or(0);
    let last_s = throughput.last_decrease_date_time().map(|at| at.secs());
    let rested = last_s.is_none_or(|last_s| i64::from(then_every_s) <= now.as_second() - last_s);
    u32::try_from((i64::from(daily) - spent).max(i64::from(rested))).ok()
}

pub(super) async fn set(
    clients: &Clients,
    resource: &Resource,
    mode: Mode,
    targets: &BTreeMap<DimensionKey, Units>,
) -> Result<(), AwsError> {
    // AWS sets read and write units together, so what is not changed must be known.
    let table = describe(clients, &resource.name).await?;
    let wanted = wanted(&table, resource, mode, targets)?;
    if mode == Mode::Floor {
        return set_floors(clients, resource, &table, &wanted, targets).await;
    }
    if wanted.is_empty() { Ok(()) } else { update(clients, resource, &table, &wanted).await }
}

/// RegisterScalableTarget moves capacity into the new bounds by itself, but only of a table that is not being updated: of
/// two floors moved one after the other it would move one capacity. So one update with all parts comes first. A table that
/// is being updated already is so by the call that this one repeats.
async fn set_floors(
    clients: &Clients,
    resource: &Resource,
    table: &TableDescription,
    wanted: &Wanted<'_>,
    targets: &BTreeMap<DimensionKey, Units>,
) -> Result<(), AwsError> {
    let mut begun = busy(table).is_some();
    if !begun && !wanted.is_empty() {
        update(clients, resource, table, wanted).await?;
        begun = true;
    }
    for (key, target) in targets {
        let set = scalable::set_floor(&clients.targets, resource, &key.dimension, *target).await;
        set.map_err(|error| if begun { unfinished(error) } else { error })?;
        begun = true;
    }
    Ok(())
}

/// What has to change: all that is not at its target, or in floor mode what is below it, since going down is the native
/// policy's business. AWS refuses throughput that is what it was.
fn wanted<'a>(
    table: &TableDescription,
    resource: &Resource,
    mode: Mode,
    targets: &'a BTreeMap<DimensionKey, Units>,
) -> Result<Wanted<'a>, AwsError> {
    let mut wanted: Wanted<'_> = Wanted::new();
    for (key, target) in targets {
        let (index, is_read) = part(&key.dimension);
        let now = throughput(table, index).map(|now| current(&now, is_read));
        let now =
            now.ok_or_else(|| invalid(resource, format!("it has no index {}", index.unwrap_or_default())))?;
        let target = i64::from(target.0);
        if now < target || (mode == Mode::Desired && now != target) {
            wanted.entry(index).or_default().insert(is_read, target);
        }
    }
    Ok(wanted)
}

/// New units of the table (no index) and its indexes: of reads (true) and writes (false).
type Wanted<'a> = BTreeMap<Option<&'a str>, BTreeMap<bool, i64>>;

/// One call for the table and all its indexes.
async fn update(
    clients: &Clients,
    resource: &Resource,
    table: &TableDescription,
    wanted: &Wanted<'_>,
) -> Result<(), AwsError> {
    let mut request = clients.tables.update_table().table_name(&resource.name);
    for (index, units) in wanted {
        let Some(now) = throughput(table, *index) else { continue };
        let units_of = |is_read: bool| units.get(&is_read).copied().unwrap_or_else(|| current(&now, is_read));
        let provisioned = ProvisionedThroughput::builder()
            .read_capacity_units(units_of(true))
            .write_capacity_units(units_of(false))
            .build()
            .map_err(|error| invalid(resource, error.to_string()))?;
        request = match index {
            None => request.provisioned_throughput(provisioned),
            Some(index) => {
                let action = UpdateGlobalSecondaryIndexAction::builder().index_name(*index);
                let action = action.provisioned_throughput(provisioned).build();
                let action = action.map_err(|error| invalid(resource, error.to_string()))?;
                request.global_secondary_index_updates(
                    GlobalSecondaryIndexUpdate::builder().update(action).build(),
                )
            }
        };
    }
    let sent = request.customize().config_override(once!(aws_sdk_dynamodb)).send().await;
    sent.map(drop).map_err(|error| AwsError::of(error, doing(resource)))
}

fn current(throughput: &ProvisionedThroughputDescription, is_read: bool) -> i64 {
    let units = if is_read { throughput.read_capacity_units() } else { throughput.write_capacity_units() };
    units.unwrap_or(1)
}

fn doing(resource: &Resource) -> String {
    format!("set the capacity of table {}", resource.name)
}

fn invalid(resource: &Resource, said: String) -> AwsError {
    AwsError::new(ErrorKind::Invalid, doing(resource), said)
}

#[cfg(test)]
mod tests;
