//! Kinesis of the local AWS: resharding takes time, and what AWS refuses is refused.

use ::local_aws::unkind::Unkind;
use aws_sdk_kinesis::error::ProvideErrorMetadata as _;
use aws_sdk_kinesis::types::{ScalingType, StreamMode, StreamModeDetails, StreamStatus};
use headroom_aws::sdk::Aws;

use crate::bench::server;

/// Longer than any test takes: what is under way stays so until the test ends it.
const PACE: f64 = 600.0;

async fn stream(name: &str, shards: i32) -> Aws {
    let aws = server().await.connect().await;
    aws.kinesis().create_stream().stream_name(name).shard_count(shards).send().await.unwrap();
    aws
}

/// Sets the shards; the code with which that was refused.
async fn set(aws: &Aws, name: &str, shards: i32) -> Result<(), String> {
    let update = aws.kinesis().update_shard_count().stream_name(name).target_shard_count(shards);
    let sent = update.scaling_type(ScalingType::UniformScaling).send().await;
    sent.map(drop).map_err(|error| error.code().unwrap().to_owned())
}

async fn stands(aws: &Aws, name: &str) -> (StreamStatus, i32) {
    let told = aws.kinesis().describe_stream_summary().stream_name(name).send().await.unwrap();
    let stream = told.stream_description_summary.unwrap();
    (stream.stream_status, stream.open_shard_count)
}

#[tokio::test]
async fn resharding_takes_time_and_no_other_change_meanwhile() {
    let aws = stream("unkind-clicks", 4).await;
    let slow = Unkind { pace: Some(PACE), lag: Some(0.0), ..Unkind::default() };
    server().await.unkind("unkind-clicks", &slow).await.unwrap();
    set(&aws, "unkind-clicks", 8).await.unwrap();
    assert_eq!(stands(&aws, "unkind-clicks").await, (StreamStatus::Updating, 6), "half of the way");
    assert_eq!(set(&aws, "unkind-clicks", 6).await, Err("ResourceInUseException".into()));
    server().await.kind("unkind-clicks").await.unwrap();
    assert_eq!(stands(&aws, "unkind-clicks").await, (StreamStatus::Active, 8));
}

#[tokio::test]
async fn shards_double_or_halve_ten_times_a_day() {
    let aws = stream("shards-counted", 4).await;
    let limit = || Err("LimitExceededException".to_owned());
    assert_eq!(
        (set(&aws, "shards-counted", 9).await, set(&aws, "shards-counted", 1).await),
        (limit(), limit())
    );
    for shards in [8, 4, 8, 4, 8, 4, 8, 4, 8, 4] {
        set(&aws, "shards-counted", shards).await.unwrap();
    }
    assert_eq!(set(&aws, "shards-counted", 5).await, limit());
    assert_eq!(stands(&aws, "shards-counted").await, (StreamStatus::Active, 4));
}

#[tokio::test]
async fn streams_on_demand_are_not_resharded() {
    let aws = server().await.connect().await;
    let mode = StreamModeDetails::builder().stream_mode(StreamMode::OnDemand).build().unwrap();
    let create = aws.kinesis().create_stream().stream_name("unkind-demand").shard_count(4);
    create.stream_mode_details(mode).send().await.unwrap();
    assert_eq!(set(&aws, "unkind-demand", 8).await, Err("ValidationException".into()));
}

#[tokio::test]
async fn streams_are_described_late() {
    let aws = stream("shards-late", 4).await;
    let late = Unkind { lag: Some(PACE), ..Unkind::default() };
    server().await.unkind("shards-late", &late).await.unwrap();
    set(&aws, "shards-late", 8).await.unwrap();
    assert_eq!(stands(&aws, "shards-late").await, (StreamStatus::Active, 4));
    server().await.kind("shards-late").await.unwrap();
    assert_eq!(stands(&aws, "shards-late").await, (StreamStatus::Active, 8));
}
