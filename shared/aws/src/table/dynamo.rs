//! Tables in DynamoDB.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConsumedCapacity, KeysAndAttributes, PutRequest, ReturnConsumedCapacity, WriteRequest,
};
use headroom_core::usage::{READ_UNITS, WRITE_UNITS};
use jiff::Timestamp;

use super::{BODY_BYTES_MAX, Body, Expect, Item, Key, PutError, Table};
use crate::error::{AwsError, ErrorKind};
use crate::meter::Meter;

/// DynamoDB takes so many items in one batch.
const GET_MAX: usize = 100;
const PUT_MAX: usize = 25;
/// What a batch leaves unprocessed is offered again after this pause, and after twice the one before each further time:
/// DynamoDB leaves what exceeds its throughput, and would again at once. Eight offers take six seconds, which a partition
/// that splits may need and every function has.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const OFFERS_MAX: u32 = 8;
/// A page is up to a megabyte; no reader here wants more than this in all.
const PAGES_MAX: usize = 200;

/// A DynamoDB table with the keys `pk` and `sk`.
#[derive(Clone, Debug)]
pub struct DynamoTable {
    client: Client,
    name: String,
    meter: Meter,
}

impl DynamoTable {
    /// The table of this name.
    pub fn new(client: &Client, name: impl Into<String>, meter: &Meter) -> DynamoTable {
        DynamoTable { client: client.clone(), name: name.into(), meter: meter.clone() }
    }

    fn doing(&self, verb: &str) -> String {
        format!("{verb} table {}", self.name)
    }

    fn read(&self, consumed: Option<&ConsumedCapacity>) {
        self.meter.add(READ_UNITS, consumed.and_then(ConsumedCapacity::capacity_units).unwrap_or(0.0));
    }

    fn written(&self, consumed: Option<&ConsumedCapacity>) {
        self.meter.add(WRITE_UNITS, consumed.and_then(ConsumedCapacity::capacity_units).unwrap_or(0.0));
    }

    async fn get_some(&self, keys: &[Key]) -> Result<Vec<Item>, AwsError> {
        let mut request = keys_and_attributes(keys.iter().map(key_attributes))?;
        let mut items = Vec::new();
        for offer in 0..OFFERS_MAX {
            pause_before(offer).await;
            let answer = self
                .client
                .batch_get_item()
                .request_items(&self.name, request)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(|error| AwsError::of(error, self.doing("read")))?;
            answer.consumed_capacity().iter().for_each(|consumed| self.read(Some(consumed)));
            let found = answer.responses().and_then(|responses| responses.get(&self.name));
            items.extend(found.into_iter().flatten().filter_map(item));
            match answer.unprocessed_keys.and_then(|mut left| left.remove(&self.name)) {
                Some(left) if !left.keys().is_empty() => {
                    request = keys_and_attributes(left.keys().iter().cloned())?
                }
                _ => return Ok(items),
            }
        }
        Err(AwsError::new(
            ErrorKind::Throttled,
            self.doing("read"),
            "the batch was not finished after several offers",
        ))
    }

    async fn put_some(&self, items: &[Item]) -> Result<(), AwsError> {
        let mut requests: Vec<WriteRequest> = Vec::new();
        for item in items {
            self.check_size(item)?;
            let put = PutRequest::builder().set_item(Some(attributes(item))).build();
            let put = put
                .map_err(|error| AwsError::new(ErrorKind::Invalid, self.doing("write"), error.to_string()))?;
            requests.push(WriteRequest::builder().put_request(put).build());
        }
        for offer in 0..OFFERS_MAX {
            pause_before(offer).await;
            let answer = self
                .client
                .batch_write_item()
                .request_items(&self.name, requests)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(|error| AwsError::of(error, self.doing("write")))?;
            answer.consumed_capacity().iter().for_each(|consumed| self.written(Some(consumed)));
            match answer.unprocessed_items.and_then(|mut left| left.remove(&self.name)) {
                Some(left) if !left.is_empty() => requests = left,
                _ => return Ok(()),
            }
        }
        Err(AwsError::new(
            ErrorKind::Throttled,
            self.doing("write"),
            "the batch was not finished after several offers",
        ))
    }

    fn check_size(&self, item: &Item) -> Result<(), AwsError> {
        let bytes = item.body.len();
        if bytes <= BODY_BYTES_MAX {
            return Ok(());
        }
        let said = format!("{} has {bytes} bytes; {BODY_BYTES_MAX} fit", item.key.sort);
        Err(AwsError::new(ErrorKind::Limit, self.doing("write"), said))
    }
}

impl Table for DynamoTable {
    async fn get(&self, key: &Key) -> Result<Option<Item>, AwsError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key_attributes(key)))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| AwsError::of(error, self.doing("read")))?;
        self.read(answer.consumed_capacity());
        Ok(answer.item().and_then(item))
    }

    async fn get_many(&self, keys: Vec<Key>) -> Result<Vec<Item>, AwsError> {
        let mut items = Vec::new();
        for keys in keys.chunks(GET_MAX) {
            items.extend(self.get_some(keys).await?);
        }
        Ok(items)
    }

    async fn put(&self, item: Item, expect: Expect) -> Result<(), PutError> {
        self.check_size(&item)?;
        let put = self.client.put_item().table_name(&self.name).set_item(Some(attributes(&item)));
        let put = match expect {
            Expect::Anything => put,
            Expect::Absent => put.condition_expression("attribute_not_exists(pk)"),
            Expect::Revision(revision) => put
                .condition_expression("revision = :expected")
                .expression_attribute_values(":expected", AttributeValue::N(revision.to_string())),
        };
        let answer =
            put.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await.map_err(|error| {
                let lost = error
                    .as_service_error()
                    .is_some_and(|error| error.is_conditional_check_failed_exception());
                if lost {
                    PutError::Conflict(item.key.sort.clone())
                } else {
                    AwsError::of(error, self.doing("write")).into()
                }
            })?;
        self.written(answer.consumed_capacity());
        Ok(())
    }

    async fn put_many(&self, items: Vec<Item>) -> Result<(), AwsError> {
        for items in items.chunks(PUT_MAX) {
            self.put_some(items).await?;
        }
        Ok(())
    }

    async fn range(&self, partition: &str, from: &str, to: &str) -> Result<Vec<Item>, AwsError> {
        let mut items = Vec::new();
        let mut start = None;
        for _ in 0..PAGES_MAX {
            let answer = self
                .client
                .query()
                .table_name(&self.name)
                .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
                .expression_attribute_values(":pk", AttributeValue::S(partition.to_owned()))
                .expression_attribute_values(":from", AttributeValue::S(from.to_owned()))
                .expression_attribute_values(":to", AttributeValue::S(to.to_owned()))
                .consistent_read(true)
                .set_exclusive_start_key(start)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(|error| AwsError::of(error, self.doing("query")))?;
            self.read(answer.consumed_capacity());
            items.extend(answer.items().iter().filter_map(item));
            start = answer.last_evaluated_key;
            if start.as_ref().is_none_or(std::collections::HashMap::is_empty) {
                return Ok(items);
            }
        }
        Err(AwsError::new(ErrorKind::Limit, self.doing("query"), format!("more than {PAGES_MAX} pages")))
    }

    async fn newest(&self, partition: &str, to: &str, most: usize) -> Result<Vec<Item>, AwsError> {
        let mut items = Vec::new();
        let mut start = None;
        for _ in 0..PAGES_MAX {
            let left = most.saturating_sub(items.len());
            let answer = self
                .client
                .query()
                .table_name(&self.name)
                .key_condition_expression("pk = :pk AND sk <= :to")
                .expression_attribute_values(":pk", AttributeValue::S(partition.to_owned()))
                .expression_attribute_values(":to", AttributeValue::S(to.to_owned()))
                .scan_index_forward(false)
                .limit(i32::try_from(left).unwrap_or(i32::MAX))
                .consistent_read(true)
                .set_exclusive_start_key(start)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(|error| AwsError::of(error, self.doing("query")))?;
            self.read(answer.consumed_capacity());
            items.extend(answer.items().iter().filter_map(item));
            start = answer.last_evaluated_key;
            // A page ends after 1 MB too, however many items were asked for.
            if most <= items.len() || start.as_ref().is_none_or(std::collections::HashMap::is_empty) {
                return Ok(items);
            }
        }
        Err(AwsError::new(ErrorKind::Limit, self.doing("query"), format!("more than {PAGES_MAX} pages")))
    }
}

/// Waits before an offer. The first one is made at once.
async fn pause_before(offer: u32) {
    if let Some(earlier) = offer.checked_sub(1) {
        tokio::time::sleep(PAUSE_FIRST * 2_u32.saturating_pow(earlier)).await;
    }
}

type Attributes = std::collections::HashMap<String, AttributeValue>;

fn key_attributes(key: &Key) -> Attributes {
    Attributes::from([
        ("pk".to_owned(), AttributeValue::S(key.partition.clone())),
        ("sk".to_owned(), AttributeValue::S(key.sort.clone())),
    ])
}

fn attributes(item: &Item) -> Attributes {
    let mut attributes = key_attributes(&item.key);
    attributes.insert("revision".to_owned(), AttributeValue::N(item.revision.to_string()));
    let body = match &item.body {
        Body::Text(text) => AttributeValue::S(text.clone()),
        Body::Bytes(bytes) => AttributeValue::B(Blob::new(bytes.clone())),
    };
    attributes.insert("body".to_owned(), body);
    if let Some(expires) = item.expires {
        attributes.insert("expires".to_owned(), AttributeValue::N(expires.as_second().to_string()));
    }
    attributes
}

/// An item of ours; anything else in the table is not for us to read.
fn item(attributes: &Attributes) -> Option<Item> {
    let text = |name: &str| attributes.get(name)?.as_s().ok().cloned();
    let number = |name: &str| attributes.get(name)?.as_n().ok();
    let body = match attributes.get("body")? {
        AttributeValue::S(text) => Body::Text(text.clone()),
        AttributeValue::B(bytes) => Body::Bytes(bytes.as_ref().to_vec()),
        _ => return None,
    };
    Some(Item {
        key: Key { partition: text("pk")?, sort: text("sk")? },
        revision: number("revision")?.parse().ok()?,
        body,
        expires: number("expires").and_then(|second| Timestamp::from_second(second.parse().ok()?).ok()),
    })
}

fn keys_and_attributes(keys: impl Iterator<Item = Attributes>) -> Result<KeysAndAttributes, AwsError> {
    KeysAndAttributes::builder()
        .set_keys(Some(keys.collect()))
        .consistent_read(true)
        .build()
        .map_err(|error| AwsError::new(ErrorKind::Invalid, "read a batch", error.to_string()))
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemOutput;
    use aws_sdk_dynamodb::operation::batch_write_item::BatchWriteItemOutput;
    use aws_sdk_dynamodb::operation::put_item::{PutItemError, PutItemOutput};
    use aws_sdk_dynamodb::operation::query::QueryOutput;
    use aws_sdk_dynamodb::types::error::ConditionalCheckFailedException;
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};

    use super::*;

    fn plain(sort: &str) -> Item {
        Item { key: Key::new("shop", sort), revision: 1, body: Body::Text("y".into()), expires: None }
    }

    fn table(rules: &[&Rule]) -> DynamoTable {
        DynamoTable::new(
            &mock_client!(aws_sdk_dynamodb, RuleMode::Sequential, rules),
            "state",
            &Meter::default(),
        )
    }

    #[test]
    fn items_are_read_as_they_were_written() {
        let bytes =
            Item { body: Body::Bytes(vec![1, 2]), expires: Timestamp::from_second(9).ok(), ..plain("x") };
        for written in [plain("x"), bytes] {
            assert_eq!(item(&attributes(&written)), Some(written));
        }
        assert_eq!(item(&Attributes::new()), None);
    }

    #[tokio::test]
    async fn writes_say_what_they_replace() {
        let absent = mock!(Client::put_item)
            .match_requests(|request| request.condition_expression() == Some("attribute_not_exists(pk)"))
            .then_output(|| PutItemOutput::builder().build());
        let revision = mock!(Client::put_item)
            .match_requests(|request| {
                let expected =
                    request.expression_attribute_values().and_then(|values| values.get(":expected"));
                expected == Some(&AttributeValue::N("7".into()))
            })
            .then_error(|| {
                PutItemError::ConditionalCheckFailedException(
                    ConditionalCheckFailedException::builder().build(),
                )
            });
        let table = table(&[&absent, &revision]);
        table.put(plain("x"), Expect::Absent).await.unwrap();
        assert_eq!(table.put(plain("x"), Expect::Revision(7)).await, Err(PutError::Conflict("x".into())));
        assert!(matches!(
            table.put(Item { body: Body::Bytes(vec![0; BODY_BYTES_MAX + 1]), ..plain("x") }, Expect::Anything).await,
            Err(PutError::Aws(error)) if error.kind == ErrorKind::Limit
        ));
    }

    /// An answer that leaves item `b` unwritten.
    fn unwritten() -> BatchWriteItemOutput {
        let put = PutRequest::builder().set_item(Some(attributes(&plain("b")))).build().unwrap();
        let left = vec![WriteRequest::builder().put_request(put).build()];
        BatchWriteItemOutput::builder().unprocessed_items("state", left).build()
    }

    /// An answer that leaves item `b` unread.
    fn unread() -> BatchGetItemOutput {
        let left = keys_and_attributes([key_attributes(&Key::new("shop", "b"))].into_iter()).unwrap();
        BatchGetItemOutput::builder().unprocessed_keys("state", left).build()
    }

    #[tokio::test(start_paused = true)]
    async fn offers_grow_rarer_until_the_batch_is_given_up() {
        let writes = mock!(Client::batch_write_item).then_output(unwritten);
        let reads = mock!(Client::batch_get_item).then_output(unread);
        let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&writes, &reads]);
        let table = DynamoTable::new(&client, "state", &Meter::default());
        let begun = tokio::time::Instant::now();
        let error = table.put_many(vec![plain("b")]).await.unwrap_err();
        assert_eq!((error.kind, writes.num_calls()), (ErrorKind::Throttled, 8));
        let paused = begun.elapsed();
        assert!(Duration::from_millis(6_350) <= paused && paused < Duration::from_secs(7), "{paused:?}");
        let error = table.get_many(vec![Key::new("shop", "b")]).await.unwrap_err();
        assert_eq!((error.kind, reads.num_calls()), (ErrorKind::Throttled, 8));
        assert!(paused * 2 - Duration::from_millis(50) <= begun.elapsed(), "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_batch_leaves_is_offered_again() {
        let left = mock!(Client::batch_write_item).then_output(unwritten);
        let rest = mock!(Client::batch_write_item)
            .match_requests(|request| request.request_items().is_some_and(|items| items["state"].len() == 1))
            .then_output(|| BatchWriteItemOutput::builder().build());
        table(&[&left, &rest]).put_many(vec![plain("a"), plain("b")]).await.unwrap();
        let some = mock!(Client::batch_get_item).then_output(|| {
            let left = keys_and_attributes([key_attributes(&Key::new("shop", "b"))].into_iter()).unwrap();
            BatchGetItemOutput::builder()
                .responses("state", vec![attributes(&plain("a"))])
                .unprocessed_keys("state", left)
                .build()
        });
        let more = mock!(Client::batch_get_item).then_output(|| {
            BatchGetItemOutput::builder().responses("state", vec![attributes(&plain("b"))]).build()
        });
        let keys = vec![Key::new("shop", "a"), Key::new("shop", "b")];
        assert_eq!(table(&[&some, &more]).get_many(keys).await.unwrap(), [plain("a"), plain("b")]);
    }

    #[tokio::test]
    async fn a_range_is_read_page_by_page() {
        let first = mock!(Client::query)
            .match_requests(|request| request.exclusive_start_key().is_none())
            .then_output(|| {
                let next = key_attributes(&Key::new("shop", "a"));
                QueryOutput::builder()
                    .items(attributes(&plain("a")))
                    .set_last_evaluated_key(Some(next))
                    .build()
            });
        let second = mock!(Client::query)
            .match_requests(|request| request.exclusive_start_key().is_some())
            .then_output(|| QueryOutput::builder().items(attributes(&plain("b"))).build());
        let items = table(&[&first, &second]).range("shop", "a", "z").await.unwrap();
        assert_eq!(items, [plain("a"), plain("b")]);
    }

    #[tokio::test]
    async fn the_newest_are_read_page_by_page_until_there_are_enough() {
        let asked = |start: bool, limit: i32| {
            mock!(Client::query)
                .match_requests(move |request| {
                    request.exclusive_start_key().is_some() == start && request.limit() == Some(limit)
                })
                .then_output(move || {
                    let sort = if start { "b" } else { "c" };
                    QueryOutput::builder()
                        .items(attributes(&plain(sort)))
                        .set_last_evaluated_key(Some(key_attributes(&Key::new("shop", sort))))
                        .build()
                })
        };
        let (first, second) = (asked(false, 2), asked(true, 1));
        let items = table(&[&first, &second]).newest("shop", "~", 2).await.unwrap();
        assert_eq!(items, [plain("c"), plain("b")]);
    }
}
