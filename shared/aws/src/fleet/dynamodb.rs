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
mod tests {
    use aws_sdk_dynamodb::Client;
    use aws_sdk_dynamodb::operation::describe_table::{DescribeTableError, DescribeTableOutput};
    use aws_sdk_dynamodb::operation::update_table::UpdateTableOutput;
    use aws_sdk_dynamodb::primitives::DateTime;
    use aws_sdk_dynamodb::types::error::ResourceNotFoundException;
    use aws_sdk_dynamodb::types::{BillingModeSummary, GlobalSecondaryIndexDescription};
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
    use aws_smithy_types::error::ErrorMetadata;

    use super::super::testing::{aws, platform, target, units_of};
    use super::*;

    fn clients() -> Clients {
        Clients::new(&aws())
    }

    const TABLE: &str = "{type: DYNAMODB_TABLE, name: users, read_capacity: {min: 5, max: 100}, \
        write_capacity: {min: 5, max: 100}, indexes: {by-email: {read_capacity: {min: 1, max: 50}}}}";

    fn provisioned(
        read: i64,
        write: i64,
        decreases: i64,
        last_s: Option<i64>,
    ) -> ProvisionedThroughputDescription {
        ProvisionedThroughputDescription::builder()
            .read_capacity_units(read)
            .write_capacity_units(write)
            .number_of_decreases_today(decreases)
            .set_last_decrease_date_time(last_s.map(DateTime::from_secs))
            .build()
    }

    fn table() -> aws_sdk_dynamodb::types::builders::TableDescriptionBuilder {
        let index = GlobalSecondaryIndexDescription::builder()
            .index_name("by-email")
            .index_status(IndexStatus::Active)
            .provisioned_throughput(provisioned(7, 8, 0, None));
        TableDescription::builder()
            .table_name("users")
            .table_status(TableStatus::Active)
            .provisioned_throughput(provisioned(20, 10, 1, Some(0)))
            .global_secondary_indexes(index.build())
    }

    fn describes(table: TableDescription) -> Rule {
        mock!(Client::describe_table)
            .then_output(move || DescribeTableOutput::builder().table(table.clone()).build())
    }

    async fn seen(rule: &Rule) -> Capacities {
        let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [rule]);
        let clients = Clients { tables: client, ..clients() };
        let platform = platform(TABLE);
        observe(&clients, &[target(&platform, Mode::Desired)], Timestamp::from_second(60).unwrap()).await
    }

    fn of<'a>(observed: &'a Capacities, key: &str) -> &'a Observed<Capacity> {
        &observed[&key.parse::<DimensionKey>().unwrap()]
    }

    #[tokio::test]
    async fn tables_and_indexes_are_seen_apart() {
        let observed = seen(&describes(table().build())).await;
        let set = |key: &str| of(&observed, key).known().unwrap().set;
        assert_eq!(
            (set("users/read"), set("users/write"), set("users/by-email:read")),
            (Units(20), Units(10), Units(7))
        );
        assert_eq!(of(&observed, "users/read").known().unwrap().decreases_left, Some(3));
    }

    #[tokio::test]
    async fn updates_make_the_whole_table_busy() {
        let observed = seen(&describes(table().table_status(TableStatus::Updating).build())).await;
        assert_eq!(
            of(&observed, "users/read").known().unwrap().busy,
            Some(Busy::Locked("the table is UPDATING".into()))
        );
        let index = GlobalSecondaryIndexDescription::builder()
            .index_name("by-email")
            .index_status(IndexStatus::Updating)
            .provisioned_throughput(provisioned(7, 8, 0, None));
        let observed =
            seen(&describes(table().set_global_secondary_indexes(Some(vec![index.build()])).build())).await;
        assert_eq!(
            of(&observed, "users/write").known().unwrap().busy,
            Some(Busy::Locked("its index by-email is UPDATING".into()))
        );
    }

    #[tokio::test]
    async fn what_cannot_be_scaled_is_unknown() {
        let gone = mock!(Client::describe_table).then_error(|| {
            DescribeTableError::ResourceNotFoundException(
                ResourceNotFoundException::builder()
                    .meta(ErrorMetadata::builder().code("ResourceNotFoundException").build())
                    .build(),
            )
        });
        assert_eq!(
            of(&seen(&gone).await, "users/read"),
            &Observed::Unknown("there is no table users".into())
        );
        let on_demand = BillingModeSummary::builder().billing_mode(BillingMode::PayPerRequest).build();
        let observed = seen(&describes(table().billing_mode_summary(on_demand).build())).await;
        assert!(matches!(of(&observed, "users/read"), Observed::Unknown(why) if why.contains("on demand")));
        let observed = seen(&describes(table().set_global_secondary_indexes(None).build())).await;
        assert!(
            matches!(of(&observed, "users/by-email:read"), Observed::Unknown(why) if why.contains("no index"))
        );
        assert!(of(&observed, "users/read").known().is_some(), "the table itself is still served");
    }

    #[test]
    fn decreases_are_four_a_day_and_then_one_an_hour() {
        let platform = platform(TABLE);
        let limit = platform.dimensions().next().unwrap().dimension.facts.daily_limit.unwrap();
        let left = |spent, last_s| {
            let throughput = provisioned(1, 1, spent, last_s);
            decreases_left(limit, &throughput, Timestamp::from_second(10_000).unwrap()).unwrap()
        };
        assert_eq!(
            [
                left(0, None),
                left(3, Some(9_999)),
                left(4, Some(9_999)),
                left(4, Some(6_400)),
                left(9, Some(0))
            ],
            [4, 1, 0, 1, 1]
        );
    }

    #[tokio::test]
    async fn one_call_sets_the_table_and_its_indexes_and_keeps_the_rest() {
        let update = mock!(Client::update_table)
            .match_requests(|request| {
                let table = request.provisioned_throughput().unwrap();
                let index = request.global_secondary_index_updates()[0].update().unwrap();
                let of_index = index.provisioned_throughput().unwrap();
                (table.read_capacity_units(), table.write_capacity_units()) == (40, 10)
                    && index.index_name() == "by-email"
                    && (of_index.read_capacity_units(), of_index.write_capacity_units()) == (14, 8)
            })
            .then_output(|| UpdateTableOutput::builder().build());
        let describe = describes(table().build());
        let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&describe, &update]);
        let clients = Clients { tables: client, ..clients() };
        let platform = platform(TABLE);
        let resource = platform.resources().next().unwrap().1;
        let targets = units_of(&[("users/read", 40), ("users/by-email:read", 14)]);
        set(&clients, resource, Mode::Desired, &targets).await.unwrap();
        assert_eq!(update.num_calls(), 1);
    }

    #[tokio::test]
    async fn throughput_that_is_what_it_should_be_is_not_sent_again() {
        let update = mock!(Client::update_table)
            .match_requests(|request| request.provisioned_throughput().is_none())
            .then_output(|| UpdateTableOutput::builder().build());
        let describe = describes(table().build());
        let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&describe, &update]);
        let clients = Clients { tables: client, ..clients() };
        let platform = platform(TABLE);
        let resource = platform.resources().next().unwrap().1;
        // The table's own 20 and 10 stand, so only its index is sent; and when that stands too, nothing is.
        for (index, calls) in [(14, 1), (7, 1)] {
            let targets =
                units_of(&[("users/read", 20), ("users/write", 10), ("users/by-email:read", index)]);
            set(&clients, resource, Mode::Desired, &targets).await.unwrap();
            assert_eq!(update.num_calls(), calls, "{index}");
        }
    }

    #[tokio::test]
    async fn floors_move_after_one_update_of_all_that_is_below_them() {
        use aws_sdk_applicationautoscaling::Client as Scaling;
        use aws_sdk_applicationautoscaling::operation::register_scalable_target::RegisterScalableTargetOutput;
        let update = mock!(Client::update_table)
            .match_requests(|request| {
                let table = request.provisioned_throughput().unwrap();
                (table.read_capacity_units(), table.write_capacity_units()) == (40, 30)
            })
            .then_output(|| UpdateTableOutput::builder().build());
        let register = mock!(Scaling::register_scalable_target)
            .then_output(|| RegisterScalableTargetOutput::builder().build());
        let describe = describes(table().build());
        let clients = Clients {
            tables: mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&describe, &update]),
            targets: mock_client!(aws_sdk_applicationautoscaling, RuleMode::MatchAny, [&register]),
        };
        let platform = platform(TABLE);
        let resource = platform.resources().next().unwrap().1;
        let targets = units_of(&[("users/read", 40), ("users/write", 30)]);
        set(&clients, resource, Mode::Floor, &targets).await.unwrap();
        assert_eq!((update.num_calls(), register.num_calls()), (1, 2));
        // A floor that is lowered moves no capacity.
        set(&clients, resource, Mode::Floor, &units_of(&[("users/read", 10)])).await.unwrap();
        assert_eq!((update.num_calls(), register.num_calls()), (1, 3));
    }

    #[tokio::test]
    async fn floors_of_which_some_have_moved_are_not_taken_for_refused() {
        use aws_sdk_applicationautoscaling::Client as Scaling;
        use aws_sdk_applicationautoscaling::operation::register_scalable_target::{
            RegisterScalableTargetError, RegisterScalableTargetOutput,
        };
        use aws_sdk_applicationautoscaling::types::error::ConcurrentUpdateException;
        let conflict = || {
            let code = ErrorMetadata::builder().code("ConcurrentUpdateException").build();
            let error = ConcurrentUpdateException::builder().meta(code).build();
            RegisterScalableTargetError::ConcurrentUpdateException(error)
        };
        // Both parts stand where the floors are to be, so nothing else is called.
        let targets = units_of(&[("users/read", 20), ("users/write", 10)]);
        let platform = platform(TABLE);
        let resource = platform.resources().next().unwrap().1;
        for (accepted, kind) in [(0, ErrorKind::Stale), (1, ErrorKind::Unavailable)] {
            let moved = mock!(Scaling::register_scalable_target)
                .then_output(|| RegisterScalableTargetOutput::builder().build());
            let refused = mock!(Scaling::register_scalable_target).then_error(conflict);
            let rules = &[&moved, &refused][1 - accepted..];
            let describe = describes(table().build());
            let clients = Clients {
                tables: mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&describe]),
                targets: mock_client!(aws_sdk_applicationautoscaling, RuleMode::Sequential, rules),
            };
            let error = set(&clients, resource, Mode::Floor, &targets).await.unwrap_err();
            assert_eq!(error.kind, kind, "{accepted} floors have moved: {error}");
        }
    }

    #[tokio::test]
    async fn floors_follow_an_update_that_is_under_way() {
        use aws_sdk_applicationautoscaling::Client as Scaling;
        use aws_sdk_applicationautoscaling::operation::register_scalable_target::RegisterScalableTargetOutput;
        let register = mock!(Scaling::register_scalable_target)
            .then_output(|| RegisterScalableTargetOutput::builder().build());
        let describe = describes(table().table_status(TableStatus::Updating).build());
        let clients = Clients {
            tables: mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&describe]),
            targets: mock_client!(aws_sdk_applicationautoscaling, RuleMode::MatchAny, [&register]),
        };
        let platform = platform(TABLE);
        let resource = platform.resources().next().unwrap().1;
        let targets = units_of(&[("users/read", 40), ("users/write", 30)]);
        set(&clients, resource, Mode::Floor, &targets).await.unwrap();
        assert_eq!(register.num_calls(), 2);
    }

    #[tokio::test]
    async fn an_update_is_sent_once_as_the_second_would_be_refused_for_the_first() {
        let unavailable = || {
            aws_sdk_dynamodb::operation::update_table::UpdateTableError::InternalServerError(
                aws_sdk_dynamodb::types::error::InternalServerError::builder()
                    .meta(ErrorMetadata::builder().code("InternalServerError").build())
                    .build(),
            )
        };
        let update = mock!(Client::update_table).then_error(unavailable);
        let describe = describes(table().build());
        let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&describe, &update]);
        let clients = Clients { tables: client, ..clients() };
        let platform = platform(TABLE);
        let resource = platform.resources().next().unwrap().1;
        let error = set(&clients, resource, Mode::Desired, &units_of(&[("users/read", 40)])).await;
        assert_eq!((error.unwrap_err().kind, update.num_calls()), (ErrorKind::Unavailable, 1));
    }
}
