//! DynamoDB tables in provisioned mode, with their indexes.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{BillingMode, ProvisionedThroughputDescription, TableDescription};
use headroom_core::adopt::inventory::{CapacityKey, Found, FoundCapacity};
use headroom_core::resource::ResourceKind;

use super::{PAGES_MAX, Seen, Selection};
use crate::error::{AwsError, ErrorKind};

pub(super) async fn read(client: &Client, selection: &Selection) -> Seen {
    let mut seen = Seen::default();
    for name in selection.with_named(&selection.tables) {
        match describe(client, name).await {
            Ok(Some(table)) => add(client, &mut seen, name, &table).await,
            Ok(None) => (),
            Err(error) if error.kind == ErrorKind::NotFound && selection.named.contains(name) => (),
            Err(error) if error.kind == ErrorKind::NotFound => {
                seen.left_out(format!("the table {name}"), "it is not there");
            }
            Err(error) => seen.not_seen(&format!("the table {name}"), &error),
        }
    }
    seen
}

async fn describe(client: &Client, name: &str) -> Result<Option<TableDescription>, AwsError> {
    let answer = client.describe_table().table_name(name).send().await;
    let answer = answer.map_err(|error| AwsError::of(error, format!("describe the table {name}")))?;
    Ok(answer.table)
}

async fn add(client: &Client, seen: &mut Seen, name: &str, table: &TableDescription) {
    let Some(arn) = table.table_arn() else { return };
    let billing = table.billing_mode_summary().and_then(|summary| summary.billing_mode());
    if billing == Some(&BillingMode::PayPerRequest) {
        return seen
            .left_out(format!("the table {name}"), "it is on demand, and so has no capacity to scale");
    }
    let tags = seen.or_gap(&format!("tags of the table {name}"), tags(client, arn).await);
    seen.handle(arn, Some(name), format_args!("the name of the table {name}"));
    seen.handle(arn, Some(arn), format_args!("the ARN of the table {name}"));
    let own = units(table.provisioned_throughput(), CapacityKey::Range);
    let indexes = table.global_secondary_indexes().iter().flat_map(|index| {
        let name = index.index_name().unwrap_or_default();
        units(index.provisioned_throughput(), |key| CapacityKey::Index(name.to_owned(), key))
    });
    seen.found(Found {
        tags: tags.into_iter().collect(),
        capacities: own.into_iter().chain(indexes).collect(),
        ..Found::new(ResourceKind::DynamoDbTable, name, arn)
    });
}

fn units(
    throughput: Option<&ProvisionedThroughputDescription>,
    at: impl Fn(&'static str) -> CapacityKey,
) -> Vec<FoundCapacity> {
    let Some(throughput) = throughput else { return Vec::new() };
    let read = ("read_capacity", "read units", throughput.read_capacity_units());
    let write = ("write_capacity", "write units", throughput.write_capacity_units());
    let each = [read, write].into_iter().map(|(key, unit, now)| {
        let now = now.and_then(|now| u32::try_from(now).ok()).unwrap_or(0);
        FoundCapacity::new(at(key), unit, f64::from(now))
    });
    each.collect()
}

async fn tags(client: &Client, arn: &str) -> Result<Vec<(String, String)>, AwsError> {
    let doing = || format!("list the tags of {arn}");
    let (mut tags, mut next) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let asked = client.list_tags_of_resource().resource_arn(arn).set_next_token(next);
        let answer = asked.send().await.map_err(|error| AwsError::of(error, doing()))?;
        tags.extend(answer.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())));
        next = answer.next_token;
        if next.is_none() {
            return Ok(tags);
        }
    }
    Err(AwsError::new(ErrorKind::Limit, doing(), format!("more than {PAGES_MAX} pages")))
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::operation::describe_table::{DescribeTableError, DescribeTableOutput};
    use aws_sdk_dynamodb::operation::list_tags_of_resource::ListTagsOfResourceOutput;
    use aws_sdk_dynamodb::types::error::ResourceNotFoundException;
    use aws_sdk_dynamodb::types::{BillingModeSummary, GlobalSecondaryIndexDescription, Tag};
    use aws_smithy_mocks::{RuleMode, mock, mock_client};

    use super::*;

    fn throughput(read: i64) -> ProvisionedThroughputDescription {
        ProvisionedThroughputDescription::builder().read_capacity_units(read).write_capacity_units(5).build()
    }

    #[tokio::test]
    async fn tables_are_found_with_their_indexes_and_those_on_demand_left_out() {
        let orders = TableDescription::builder()
            .table_arn("arn:orders")
            .provisioned_throughput(throughput(100))
            .global_secondary_indexes(
                GlobalSecondaryIndexDescription::builder()
                    .index_name("by-email")
                    .provisioned_throughput(throughput(10))
                    .build(),
            )
            .build();
        let orders = mock!(Client::describe_table)
            .match_requests(|asked| asked.table_name() == Some("orders"))
            .then_output(move || DescribeTableOutput::builder().table(orders.clone()).build());
        let on_demand = BillingModeSummary::builder().billing_mode(BillingMode::PayPerRequest).build();
        let carts =
            TableDescription::builder().table_arn("arn:carts").billing_mode_summary(on_demand).build();
        let carts = mock!(Client::describe_table)
            .match_requests(|asked| asked.table_name() == Some("carts"))
            .then_output(move || DescribeTableOutput::builder().table(carts.clone()).build());
        let gone = mock!(Client::describe_table).then_error(|| {
            let said =
                aws_smithy_types::error::ErrorMetadata::builder().code("ResourceNotFoundException").build();
            DescribeTableError::ResourceNotFoundException(
                ResourceNotFoundException::builder().meta(said).build(),
            )
        });
        let tags = |first: bool| {
            mock!(Client::list_tags_of_resource)
                .match_requests(move |asked| asked.next_token().is_none() == first)
                .then_output(move || {
                    let tag = Tag::builder().key(if first { "app" } else { "headroom" }).value("shop");
                    let answer = ListTagsOfResourceOutput::builder().tags(tag.build().unwrap());
                    answer.set_next_token(first.then(|| "more".to_owned())).build()
                })
        };
        let (first, last) = (tags(true), tags(false));
        let rules = [&orders, &carts, &gone, &first, &last];
        let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, rules);
        let mut selection = Selection::default();
        selection.tables.extend(["orders", "carts", "gone"].map(str::to_owned));
        selection.named.insert("web".to_owned());
        let Seen { inventory, .. } = read(&client, &selection).await;
        let [orders] = inventory.found.as_slice() else { panic!("{inventory:?}") };
        let units: Vec<f64> = orders.capacities.iter().map(|capacity| capacity.now).collect();
        assert_eq!(units, [100.0, 5.0, 10.0, 5.0]);
        let tagged: Vec<&str> = orders.tags.keys().map(String::as_str).collect();
        assert_eq!(tagged, ["app", "headroom"], "of both pages");
        assert_eq!(orders.capacities[2].at, CapacityKey::Index("by-email".into(), "read_capacity"));
        let left_out: Vec<&str> = inventory.left_out.iter().map(|left| left.what.as_str()).collect();
        assert_eq!(left_out, ["the table carts", "the table gone"], "a name may be that of another kind");
        assert!(inventory.not_seen.is_empty());
    }
}
