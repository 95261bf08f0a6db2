//! Tables as DynamoDB tells them, and what it refuses.

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
    assert_eq!(of(&seen(&gone).await, "users/read"), &Observed::Unknown("there is no table users".into()));
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
        [left(0, None), left(3, Some(9_999)), left(4, Some(9_999)), left(4, Some(6_400)), left(9, Some(0))],
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
        let targets = units_of(&[("users/read", 20), ("users/write", 10), ("users/by-email:read", index)]);
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
