//! DynamoDB of the local AWS: updates take time, and what AWS refuses is refused.

use ::local_aws::unkind::Unkind;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_dynamodb::operation::update_table::builders::UpdateTableFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, GlobalSecondaryIndexUpdate, IndexStatus,
    KeySchemaElement, KeyType, Projection, ProjectionType, ProvisionedThroughput, ScalarAttributeType,
    TableDescription, TableStatus, UpdateGlobalSecondaryIndexAction,
};
use headroom_aws::sdk::Aws;

use crate::bench::server;

/// Longer than any test takes: what is under way stays so until the test ends it.
const PACE: f64 = 600.0;

/// A provisioned table of 10 read and 5 write units with an index of as many, made before its settings.
struct Table {
    name: String,
    aws: Aws,
}

impl Table {
    async fn new(name: &str, settings: Unkind) -> Table {
        let aws = server().await.connect().await;
        let index = GlobalSecondaryIndex::builder()
            .index_name("by-owner")
            .key_schema(key("owner"))
            .projection(Projection::builder().projection_type(ProjectionType::All).build())
            .provisioned_throughput(units(10, 5));
        let create = aws.dynamodb().create_table().table_name(name).key_schema(key("id"));
        let create = create.attribute_definitions(attribute("id")).attribute_definitions(attribute("owner"));
        let create =
            create.global_secondary_indexes(index.build().unwrap()).provisioned_throughput(units(10, 5));
        create.send().await.unwrap();
        server().await.unkind(name, &settings).await.unwrap();
        Table { name: name.to_owned(), aws }
    }

    async fn slow(name: &str) -> Table {
        Table::new(name, Unkind { pace: Some(PACE), ..Unkind::default() }).await
    }

    fn update(&self) -> UpdateTableFluentBuilder {
        self.aws.dynamodb().update_table().table_name(&self.name)
    }

    fn set(&self, read: i64, write: i64) -> UpdateTableFluentBuilder {
        self.update().provisioned_throughput(units(read, write))
    }

    fn set_index(&self, read: i64, write: i64) -> UpdateTableFluentBuilder {
        with_index(self.update(), read, write)
    }

    async fn describe(&self) -> TableDescription {
        let answer = self.aws.dynamodb().describe_table().table_name(&self.name).send().await;
        answer.unwrap().table.unwrap()
    }

    /// What the table is and has: its status, read and write units.
    async fn stands(&self) -> (TableStatus, i64, i64) {
        told(&self.describe().await)
    }

    async fn index(&self) -> (IndexStatus, i64, i64) {
        let table = self.describe().await;
        let index = &table.global_secondary_indexes()[0];
        let throughput = index.provisioned_throughput().unwrap();
        let (read, write) = (throughput.read_capacity_units(), throughput.write_capacity_units());
        (index.index_status().unwrap().clone(), read.unwrap(), write.unwrap())
    }

    async fn decreases(&self) -> Option<i64> {
        self.describe().await.provisioned_throughput().unwrap().number_of_decreases_today()
    }
}

fn key(name: &str) -> KeySchemaElement {
    KeySchemaElement::builder().attribute_name(name).key_type(KeyType::Hash).build().unwrap()
}

fn attribute(name: &str) -> AttributeDefinition {
    AttributeDefinition::builder()
        .attribute_name(name)
        .attribute_type(ScalarAttributeType::S)
        .build()
        .unwrap()
}

fn units(read: i64, write: i64) -> ProvisionedThroughput {
    ProvisionedThroughput::builder().read_capacity_units(read).write_capacity_units(write).build().unwrap()
}

fn with_index(update: UpdateTableFluentBuilder, read: i64, write: i64) -> UpdateTableFluentBuilder {
    let action = UpdateGlobalSecondaryIndexAction::builder().index_name("by-owner");
    let action = action.provisioned_throughput(units(read, write)).build().unwrap();
    update.global_secondary_index_updates(GlobalSecondaryIndexUpdate::builder().update(action).build())
}

fn told(table: &TableDescription) -> (TableStatus, i64, i64) {
    let throughput = table.provisioned_throughput().unwrap();
    let (read, write) = (throughput.read_capacity_units(), throughput.write_capacity_units());
    (table.table_status().unwrap().clone(), read.unwrap(), write.unwrap())
}

/// The name and the sentence of a refusal.
async fn refusal(update: UpdateTableFluentBuilder) -> (String, String) {
    let error = update.send().await.expect_err("AWS refuses this");
    let SdkError::ServiceError(error) = error else { panic!("{error:?}") };
    let error = error.into_err();
    (error.code().unwrap_or_default().to_owned(), error.message().unwrap_or_default().to_owned())
}

/// What is under way for a table is done.
async fn finish(name: &str) {
    server().await.kind(name).await.unwrap();
}

#[tokio::test]
async fn a_table_being_updated_tells_its_old_throughput_and_refuses_updates() {
    let table = Table::slow("unkind-table").await;
    let answer = table.set(20, 5).send().await.unwrap();
    assert_eq!(told(answer.table_description().unwrap()), (TableStatus::Updating, 10, 5), "the old units");
    assert_eq!(table.stands().await, (TableStatus::Updating, 10, 5));
    let (code, sentence) = refusal(table.set(30, 5)).await;
    assert_eq!(code, "ResourceInUseException", "{sentence}");
    assert!(table.aws.dynamodb().delete_table().table_name(&table.name).send().await.is_err());
    finish(&table.name).await;
    assert_eq!(table.stands().await, (TableStatus::Active, 20, 5));
    table.set(30, 5).send().await.expect("it is idle again");
}

#[tokio::test]
async fn an_index_is_updated_by_itself_while_its_table_stays_active() {
    let table = Table::slow("unkind-index").await;
    table.set_index(20, 5).send().await.unwrap();
    assert_eq!(table.index().await, (IndexStatus::Updating, 10, 5));
    assert_eq!(table.stands().await, (TableStatus::Active, 10, 5));
    assert_eq!(refusal(table.set_index(30, 5)).await.0, "ResourceInUseException");
    finish(&table.name).await;
    assert_eq!(table.index().await, (IndexStatus::Active, 20, 5));
    with_index(table.set(11, 6), 21, 6).send().await.expect("table and index change in one call");
}

#[tokio::test]
async fn unchanged_throughput_is_refused_for_a_table_and_for_an_index() {
    let table = Table::new("unkind-unchanged", Unkind::default()).await;
    let (code, sentence) = refusal(table.set(10, 5)).await;
    assert_eq!(code, "ValidationException");
    assert!(
        sentence.contains("the table will not change. The requested value equals the current value"),
        "{sentence}"
    );
    let (code, sentence) = refusal(with_index(table.set(20, 5), 10, 5)).await;
    assert_eq!(code, "ValidationException");
    assert!(sentence.contains("the index by-owner will not change"), "{sentence}");
    assert_eq!(table.stands().await, (TableStatus::Active, 10, 5), "nothing of a refused call is done");
    table.set(10, 6).send().await.expect("one of the two changes");
}

#[tokio::test]
async fn the_fifth_decrease_within_an_hour_is_refused() {
    let settings = Unkind { decreases_limited: Some(true), ..Unkind::default() };
    let table = Table::new("unkind-decreases", settings).await;
    for (spent, read) in (0..4).zip([9, 8, 7, 6]) {
        assert_eq!(table.decreases().await.unwrap_or(0), spent);
        table.set(read, 5).send().await.unwrap();
    }
    let (code, sentence) = refusal(table.set(5, 50)).await;
    assert_eq!(code, "LimitExceededException");
    assert!(sentence.contains("Number of decreases today: 4"), "{sentence}");
    table.set(40, 5).send().await.expect("an increase is no decrease");
    assert_eq!(refusal(with_index(table.set(39, 5), 9, 5)).await.0, "LimitExceededException");
    assert_eq!(table.index().await.1, 10, "nothing of a refused call is done");
    table.set_index(9, 5).send().await.expect("an index has a limit of its own");
    let throughput = table.describe().await.provisioned_throughput.unwrap();
    assert!(throughput.last_decrease_date_time() < throughput.last_increase_date_time());
}

#[tokio::test]
async fn a_decrease_is_counted_when_it_is_done() {
    let table = Table::slow("unkind-counted").await;
    table.set(9, 5).send().await.unwrap();
    let meanwhile = table.describe().await.provisioned_throughput.unwrap();
    assert_eq!(meanwhile.number_of_decreases_today(), Some(0));
    assert!(meanwhile.last_decrease_date_time().is_some());
    finish(&table.name).await;
    assert_eq!(table.decreases().await, Some(1));
}

#[tokio::test]
async fn a_new_table_is_being_created_for_a_while() {
    let aws = server().await.connect().await;
    server().await.unkind("unkind-new", &Unkind { pace: Some(PACE), ..Unkind::default() }).await.unwrap();
    let create = aws.dynamodb().create_table().table_name("unkind-new").key_schema(key("id"));
    let create = create.attribute_definitions(attribute("id")).billing_mode(BillingMode::PayPerRequest);
    let made = create.send().await.unwrap().table_description.unwrap();
    assert_eq!(made.table_status(), Some(&TableStatus::Creating));
    finish("unkind-new").await;
    let table = aws.dynamodb().describe_table().table_name("unkind-new").send().await.unwrap().table.unwrap();
    assert_eq!(table.table_status(), Some(&TableStatus::Active));
}

#[tokio::test]
async fn a_table_is_described_as_it_was_a_moment_ago() {
    let table = Table::new("unkind-late", Unkind { lag: Some(PACE), ..Unkind::default() }).await;
    table.set(20, 5).send().await.unwrap();
    assert_eq!(table.stands().await, (TableStatus::Active, 10, 5), "the write is not seen yet");
    table.set(30, 5).send().await.unwrap();
    finish(&table.name).await;
    assert_eq!(table.stands().await, (TableStatus::Active, 30, 5));
}

#[tokio::test]
async fn settings_that_nobody_understands_are_refused() {
    let error =
        server().await.unkind("unkind-wrong", &Unkind { pace: Some(-1.0), ..Unkind::default() }).await;
    assert!(error.unwrap_err().to_string().contains("pace must be a number that is not negative"));
}
