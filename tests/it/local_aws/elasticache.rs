//! ElastiCache of the local AWS: one change at a time, over time, and what AWS refuses is refused.

use ::local_aws::unkind::Unkind;
use aws_sdk_elasticache::error::ProvideErrorMetadata as _;
use headroom_aws::sdk::Aws;

use crate::bench::server;
use crate::kinds::elasticache_replication_group::{group, stands};

/// Longer than any test takes: what is under way stays so until the test ends it.
const PACE: f64 = 600.0;

/// A group of three shards with one replica each.
async fn cache(name: &str, settings: Unkind) -> Aws {
    let aws = server().await.connect().await;
    group(&aws, name, None).await;
    server().await.unkind(name, &settings).await.unwrap();
    aws
}

async fn increase(aws: &Aws, name: &str, replicas: i32) -> Result<(), String> {
    let call = aws.elasticache().increase_replica_count().replication_group_id(name);
    let sent = call.new_replica_count(replicas).apply_immediately(true).send().await;
    sent.map(drop).map_err(|error| error.code().unwrap().to_owned())
}

async fn reshard(aws: &Aws, name: &str, shards: i32, gone: &[&str]) -> Result<(), String> {
    let call = aws.elasticache().modify_replication_group_shard_configuration().replication_group_id(name);
    let gone =
        Some(gone.iter().map(|id| (*id).to_owned()).collect()).filter(|gone: &Vec<_>| !gone.is_empty());
    let call = call.node_group_count(shards).set_node_groups_to_remove(gone).apply_immediately(true);
    call.send().await.map(drop).map_err(|error| error.code().unwrap().to_owned())
}

#[tokio::test]
async fn one_change_at_a_time_takes_time() {
    let aws = cache("unkind-cache", Unkind { pace: Some(PACE), ..Unkind::default() }).await;
    reshard(&aws, "unkind-cache", 5, &[]).await.unwrap();
    assert_eq!(stands(&aws, "unkind-cache").await, ("modifying".into(), 3, 1));
    assert_eq!(increase(&aws, "unkind-cache", 2).await, Err("InvalidReplicationGroupState".into()));
    server().await.kind("unkind-cache").await.unwrap();
    assert_eq!(stands(&aws, "unkind-cache").await, ("available".into(), 5, 1));
    increase(&aws, "unkind-cache", 2).await.unwrap();
    assert_eq!(stands(&aws, "unkind-cache").await, ("available".into(), 5, 2));
}

#[tokio::test]
async fn shards_that_go_are_named_and_failover_keeps_a_replica() {
    let aws = cache("unkind-shards", Unkind::default()).await;
    let refused = || Err("InvalidParameterValue".to_owned());
    assert_eq!(reshard(&aws, "unkind-shards", 2, &[]).await, refused());
    reshard(&aws, "unkind-shards", 2, &["0003"]).await.unwrap();
    assert_eq!(increase(&aws, "unkind-shards", 6).await, refused());
    assert_eq!(increase(&aws, "unkind-shards", 1).await, Err("NoOperationFault".into()));
    let none = aws.elasticache().decrease_replica_count().replication_group_id("unkind-shards");
    let none = none.new_replica_count(0).apply_immediately(true).send().await;
    assert_eq!(none.unwrap_err().code(), Some("InvalidParameterValue"));
    assert_eq!(stands(&aws, "unkind-shards").await, ("available".into(), 2, 1));
}

#[tokio::test]
async fn groups_are_described_late() {
    let aws = cache("unkind-tardy", Unkind { lag: Some(PACE), ..Unkind::default() }).await;
    increase(&aws, "unkind-tardy", 2).await.unwrap();
    assert_eq!(stands(&aws, "unkind-tardy").await, ("available".into(), 3, 1));
    server().await.kind("unkind-tardy").await.unwrap();
    assert_eq!(stands(&aws, "unkind-tardy").await, ("available".into(), 3, 2));
}
