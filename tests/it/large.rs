//! A platform of 2,000 dimensions: its configuration is larger than a parameter, and no payload nears the limit.

use std::fmt::Write as _;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, KeySchemaElement, KeyType, ProvisionedThroughput, ScalarAttributeType, Tag,
};
use headroom_aws::sdk::Aws;
use jiff::{SignedDuration, Timestamp};
use local_aws::seed::{Metric, Value, publish};
use serde_json::json;

use crate::bench::Bench;

const TABLES: usize = 1_000;
/// Step Functions refuses payloads above 256 KiB; far below it there is room for a platform five times as large.
const PAYLOAD_MAX: usize = 48 * 1_024;

#[tokio::test]
async fn two_thousand_dimensions_pass_in_small_payloads() {
    let bench = Bench::new("large").await;
    create(&bench.aws).await;
    let mut text = "configuration_name: large\nscaling_groups:\n  data:\n    resources:\n".to_owned();
    for table in 0..TABLES {
        let capacity = "{min: 5, max: 100}";
        writeln!(text, "      - {{type: DYNAMODB_TABLE, name: large-{table}, mode: desired, read_capacity: {capacity}, write_capacity: {capacity}}}").unwrap();
    }
    text += "orchestration: {rollout_phase: full}\n";
    assert!(8_192 < text.len(), "a parameter would hold it");
    bench.publish(&text).await;
    let cycle = bench.cycle_with(json!({})).await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    assert_eq!(cycle.output["steps"]["done"], TABLES, "{cycle:?}");
    // Five for all metrics, and twenty for the past of the first hundred: two weeks of minutes are many points.
    assert!(cycle.used("CloudWatch:GetMetricData") <= 25.0, "{cycle:?}");
    let mut largest = 0;
    let mut next = None;
    loop {
        let page = bench
            .aws
            .sfn()
            .get_execution_history()
            .execution_arn(&cycle.arn)
            .max_results(1_000)
            .set_next_token(next);
        let page = page.include_execution_data(true).send().await.unwrap();
        for event in page.events() {
            let entered = event.state_entered_event_details().and_then(|details| details.input());
            let exited = event.state_exited_event_details().and_then(|details| details.output());
            largest = largest.max(entered.map_or(0, str::len)).max(exited.map_or(0, str::len));
        }
        next = page.next_token;
        if next.is_none() {
            break;
        }
    }
    assert!(0 < largest && largest < PAYLOAD_MAX, "{largest}");
}

/// Tables of 10 read and 10 write units, each of which is used to 9.
async fn create(aws: &Aws) {
    let now = Timestamp::now();
    for table in 0..TABLES {
        let name = format!("large-{table}");
        let throughput = ProvisionedThroughput::builder()
            .read_capacity_units(10)
            .write_capacity_units(10)
            .build()
            .unwrap();
        let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build().unwrap();
        let id = AttributeDefinition::builder()
            .attribute_name("id")
            .attribute_type(ScalarAttributeType::S)
            .build()
            .unwrap();
        let create = aws.dynamodb().create_table().table_name(&name).provisioned_throughput(throughput);
        let tag = Tag::builder().key("headroom").value("large").build().unwrap();
        create.key_schema(key).attribute_definitions(id).tags(tag).send().await.unwrap();
        for metric in ["ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits"] {
            let metric = Metric {
                namespace: "AWS/DynamoDB",
                name: metric,
                dimensions: vec![("TableName", name.clone())],
            };
            let minute = |minute| Value {
                at: now - SignedDuration::from_mins(minute),
                mean: 9.0 * 60.0,
                samples: 1.0,
            };
            publish(aws, &metric, (1..8).map(minute)).await.unwrap();
        }
    }
}
