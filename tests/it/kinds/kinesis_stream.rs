//! A Kinesis stream that the shop's service writes to: shards are there before the tasks that fill them, and go after them.

use ::local_aws::seed::{Metric, Value, publish};
use ::local_aws::unkind::Unkind;
use aws_sdk_kinesis::types::{ScalingType, StreamMode, StreamModeDetails, StreamStatus};
use headroom_core::journal::StepState;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};

use crate::bench::{Bench, CALM, HALF, server};

/// What a shard takes a second.
const SHARD_BYTES: f64 = 1_048_576.0;
const SHARDS: i32 = 4;

/// A shop at a load whose service writes to a stream.
async fn shop(name: &str, load: f64) -> Bench {
    let bench = Bench::at(name, load).await;
    create(&bench).await;
    bench.publish(&platform(&bench, &bench.platform)).await;
    bench
}

/// Creates a stream of four shards, tagged as the platform's.
pub(crate) async fn create(bench: &Bench) {
    let stream = stream(bench);
    let create = bench.aws.kinesis().create_stream().stream_name(&stream).shard_count(SHARDS);
    create.send().await.unwrap();
    let tag = bench.aws.kinesis().add_tags_to_stream().stream_name(&stream);
    tag.tags("headroom", &bench.shop.name).send().await.unwrap();
}

fn stream(bench: &Bench) -> String {
    format!("{}-clicks", bench.shop.name)
}

/// A platform's file with the stream in it.
pub(crate) fn platform(bench: &Bench, text: &str) -> String {
    let stream = format!(
        "  clicks:
    resources:
      - {{type: KINESIS_STREAM, name: {}, min_capacity: 2, max_capacity: 32}}
",
        stream(bench)
    );
    text.replace("scaling_groups:\n", &format!("scaling_groups:\n{stream}"))
        .replace("[data, app, web]", "[data, clicks, app, web]")
        .replace("dependencies:\n", "dependencies:\n    - {source: app, target: clicks}\n")
}

/// What is written for some minutes before a time, in what so many shards can take; nothing is refused.
pub(crate) async fn write(bench: &Bench, shards: f64, before: Timestamp, minutes: i64) {
    for (name, a_second) in [
        ("IncomingBytes", shards * SHARD_BYTES),
        ("IncomingRecords", shards * 200.0),
        ("WriteProvisionedThroughputExceeded", 0.0),
    ] {
        let metric =
            Metric { namespace: "AWS/Kinesis", name, dimensions: vec![("StreamName", stream(bench))] };
        let value = |minute| Value {
            at: before - SignedDuration::from_mins(minute),
            mean: a_second * 60.0,
            samples: 1.0,
        };
        publish(&bench.aws, &metric, (1..=minutes).map(value)).await.unwrap();
    }
}

async fn later(bench: &Bench, load: f64, shards: f64) -> Json {
    let input = bench.half_an_hour_later(load).await;
    write(bench, shards, input["now"].as_str().unwrap().parse().unwrap(), 30).await;
    input
}

/// What the stream is and has.
pub(crate) async fn stands(bench: &Bench) -> (StreamStatus, i32) {
    let told = bench.aws.kinesis().describe_stream_summary().stream_name(stream(bench)).send().await.unwrap();
    let stream = told.stream_description_summary.unwrap();
    (stream.stream_status, stream.open_shard_count)
}

/// The waves in which the stream and the service were changed.
async fn waves(bench: &Bench) -> (usize, usize) {
    let journal = bench.journal().await;
    assert!(["clicks", "api"].iter().all(|name| journal[*name].state == StepState::Done), "{journal:#?}");
    (journal["clicks"].wave, journal["api"].wave)
}

#[tokio::test]
async fn shards_come_before_the_tasks_that_write_and_go_after_them() {
    let bench = shop("stream", 2.0 * HALF).await;
    let slow = Unkind { pace: Some(2.0), lag: Some(1.0), ..Unkind::default() };
    server().await.unkind("stream-", &slow).await.unwrap();
    write(&bench, 4.2, Timestamp::now(), 120).await;
    let cycle = bench.cycle().await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    let out = waves(&bench).await;
    assert!(out.0 < out.1, "{out:?}");
    let (status, shards) = stands(&bench).await;
    assert!(status == StreamStatus::Active && (6..=8).contains(&shards), "{shards} shards");
    let input = later(&bench, 0.5 * CALM, 1.0).await;
    let cycle = bench.cycle_with(input).await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    let inward = waves(&bench).await;
    assert!(inward.1 < inward.0, "{inward:?}");
    let less = stands(&bench).await.1;
    assert!((shards / 2..shards).contains(&less), "{less} of {shards} shards");
}

#[tokio::test]
async fn a_stream_that_refuses_rolls_back_what_was_begun() {
    let bench = shop("streamless", 2.0 * HALF).await;
    write(&bench, 4.2, Timestamp::now(), 120).await;
    let before = bench.capacity().await;
    bench
        .fault(json!({"service": "kinesis", "operation": "UpdateShardCount",
            "body": format!("StreamName == '{}'", stream(&bench)),
            "error": {"code": "AccessDeniedException", "status": 400}}))
        .await;
    let cycle = bench.cycle().await;
    assert_eq!(cycle.error, "RolledBack", "{cycle:?}");
    assert_eq!((bench.capacity().await, stands(&bench).await.1), (before, SHARDS));
}

#[tokio::test]
async fn shards_that_the_rest_did_not_hold_on_are_taken_back() {
    let bench = shop("streamsick", 2.0 * HALF).await;
    let slow = Unkind { pace: Some(2.0), lag: Some(1.0), ..Unkind::default() };
    server().await.unkind("streamsick-", &slow).await.unwrap();
    write(&bench, 4.2, Timestamp::now(), 120).await;
    bench.health.set(false);
    let cycle = bench.cycle().await;
    assert_eq!(cycle.error, "RolledBack", "{cycle:?}");
    assert_eq!(bench.journal().await["clicks"].state, StepState::Undone);
    assert_eq!(stands(&bench).await, (StreamStatus::Active, SHARDS));
    // Both ways count.
    let state = bench.store().platform_state(&bench.name()).await.unwrap().value;
    let key = format!("{}/shards", stream(&bench)).parse().unwrap();
    assert_eq!(state.counted(&key, Timestamp::now()), 2);
}

#[tokio::test]
async fn what_has_no_change_left_is_refused_and_the_rest_is_served() {
    let bench = shop("streamspent", 2.0 * HALF).await;
    for shards in [8, 4, 8, 4, 8, 4, 8, 4, 8, 4] {
        let update = bench.aws.kinesis().update_shard_count().stream_name(stream(&bench));
        let update = update.target_shard_count(shards).scaling_type(ScalingType::UniformScaling);
        update.send().await.unwrap();
    }
    write(&bench, 4.2, Timestamp::now(), 120).await;
    let cycle = bench.cycle().await;
    assert_eq!(cycle.outcome(), "scaled_partly", "{cycle:?}");
    let journal = bench.journal().await;
    assert_eq!((journal["clicks"].state, journal["orders"].state), (StepState::Refused, StepState::Done));
    assert_eq!(journal["api"].state, StepState::Skipped, "it writes to shards that are not there");
}

#[tokio::test]
async fn a_stream_on_demand_is_left_alone_and_says_so() {
    let bench = Bench::at("streamfree", CALM).await;
    let mode = StreamModeDetails::builder().stream_mode(StreamMode::OnDemand).build().unwrap();
    let create = bench.aws.kinesis().create_stream().stream_name(stream(&bench)).stream_mode_details(mode);
    create.send().await.unwrap();
    bench.publish(&platform(&bench, &bench.platform)).await;
    assert_eq!(bench.cycle().await.outcome(), "held");
    let reasons = bench.reasons("clicks/shards").await;
    assert!(reasons[0].contains("on demand: AWS scales it by itself"), "{reasons:?}");
}
