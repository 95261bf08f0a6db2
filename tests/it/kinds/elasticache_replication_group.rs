//! A cache before which the shop's service stands: its shards and replicas come before the tasks that ask it, and go after.

use ::local_aws::seed::{Metric, Value, publish};
use ::local_aws::unkind::Unkind;
use aws_sdk_elasticache::types::Tag;
use headroom_aws::sdk::Aws;
use headroom_core::journal::StepState;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::bench::{Bench, CALM, HALF, server};

/// Creates a group of three shards with one replica each, which fails over.
pub(crate) async fn group(aws: &Aws, name: &str, platform: Option<&str>) {
    let create = aws.elasticache().create_replication_group().replication_group_id(name);
    let create = create.replication_group_description("a cache").engine("valkey");
    let create = create.num_node_groups(3).replicas_per_node_group(1).automatic_failover_enabled(true);
    let tag = platform.map(|platform| Tag::builder().key("headroom").value(platform).build());
    create.set_tags(tag.map(|tag| vec![tag])).send().await.unwrap();
}

/// What a group is, how many shards it has, and how many replicas each of them.
pub(crate) async fn stands(aws: &Aws, name: &str) -> (String, usize, usize) {
    let asked = aws.elasticache().describe_replication_groups().replication_group_id(name);
    let told = asked.send().await.unwrap();
    let group = &told.replication_groups()[0];
    let nodes = group.node_groups()[0].node_group_members().len();
    (group.status().unwrap().to_owned(), group.node_groups().len(), nodes - 1)
}

/// Creates the shop's cache.
pub(crate) async fn create(bench: &Bench) {
    group(&bench.aws, &name_of(bench), Some(&bench.shop.name)).await;
}

async fn shop(name: &str, load: f64) -> Bench {
    let bench = Bench::at(name, load).await;
    create(&bench).await;
    bench.publish(&platform(&bench, &bench.platform)).await;
    bench
}

/// The group, as the platform names it too.
pub(crate) fn name_of(bench: &Bench) -> String {
    format!("{}-sessions", bench.shop.name)
}

/// A platform's file with the cache in it.
pub(crate) fn platform(bench: &Bench, text: &str) -> String {
    let cache = format!(
        "  cache:
    resources:
      - type: ELASTICACHE_REPLICATION_GROUP
        name: {}
        replicas: {{min: 1, max: 4}}
        shards: {{min: 2, max: 9}}
",
        name_of(bench)
    );
    let text = text.replace("scaling_groups:\n", &format!("scaling_groups:\n{cache}"));
    let text = text.replace("[data,", "[data, cache,");
    text.replace("dependencies:\n", "dependencies:\n    - {source: app, target: cache}\n")
}

/// Percent that the engines of replicas and of primaries and the memory are used, for some minutes before a time.
#[derive(Clone, Copy)]
pub(crate) struct Used {
    pub(crate) replicas: f64,
    pub(crate) primaries: f64,
    pub(crate) memory: f64,
}

/// A little below the targets, as real use is.
pub(crate) const CALMLY: Used = Used { replicas: 68.0, primaries: 68.0, memory: 50.0 };

/// Publishes that for some minutes before a time, of the nodes that there are.
pub(crate) async fn ask(bench: &Bench, used: Used, before: Timestamp, minutes: i64) {
    let (_, shards, replicas) = stands(&bench.aws, &name_of(bench)).await;
    for (name, role, mean, nodes) in [
        ("EngineCPUUtilization", "Replica", used.replicas, shards * replicas),
        ("EngineCPUUtilization", "Primary", used.primaries, shards),
        ("DatabaseMemoryUsagePercentage", "Primary", used.memory, shards),
    ] {
        let dimensions = vec![("ReplicationGroupId", name_of(bench)), ("Role", role.to_owned())];
        let metric = Metric { namespace: "AWS/ElastiCache", name, dimensions };
        let samples = f64::from(u32::try_from(nodes).unwrap());
        let value = |minute| Value { at: before - SignedDuration::from_mins(minute), mean, samples };
        publish(&bench.aws, &metric, (1..=minutes).map(value)).await.unwrap();
    }
}

#[tokio::test]
async fn nodes_come_before_the_tasks_that_ask() {
    let bench = shop("cache", 2.0 * HALF).await;
    let slow = Unkind { pace: Some(2.0), ..Unkind::default() };
    server().await.unkind("cache-", &slow).await.unwrap();
    // Replicas are busy, and more memory is used than should be, which has to wait: the file names replicas first.
    ask(&bench, Used { replicas: 90.0, primaries: 40.0, memory: 90.0 }, Timestamp::now(), 120).await;
    let cycle = bench.cycle().await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    let journal = bench.journal().await;
    assert_eq!(journal["sessions"].state, StepState::Done, "{journal:#?}");
    assert!(journal["sessions"].wave < journal["api"].wave, "{journal:#?}");
    assert_eq!(stands(&bench.aws, &name_of(&bench)).await, ("available".into(), 3, 2));
    let reasons = bench.reasons("sessions/shards").await;
    assert!(
        reasons.iter().any(|reason| reason.contains("one thing of the resource at a time")),
        "{reasons:?}"
    );
}

#[tokio::test]
async fn nodes_go_after_the_tasks_that_asked() {
    let bench = shop("cacheidle", 0.5 * CALM).await;
    ask(&bench, Used { replicas: 65.0, primaries: 15.0, memory: 20.0 }, Timestamp::now(), 120).await;
    let slow = Unkind { pace: Some(2.0), ..Unkind::default() };
    server().await.unkind("cacheidle-", &slow).await.unwrap();
    let cycle = bench.cycle().await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    let journal = bench.journal().await;
    assert!(journal["api"].wave < journal["sessions"].wave, "{journal:#?}");
    assert_eq!(stands(&bench.aws, &name_of(&bench)).await, ("available".into(), 2, 1));
}

#[tokio::test]
async fn shards_follow_the_memory() {
    let bench = shop("cachefull", CALM).await;
    ask(&bench, Used { memory: 90.0, ..CALMLY }, Timestamp::now(), 120).await;
    let cycle = bench.cycle().await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    let (_, shards, replicas) = stands(&bench.aws, &name_of(&bench)).await;
    assert!(3 < shards && replicas == 1, "{shards} shards, {replicas} replicas");
}

#[tokio::test]
async fn a_cache_that_refuses_rolls_back_what_was_begun() {
    let bench = shop("cacheless", 2.0 * HALF).await;
    ask(&bench, Used { memory: 90.0, ..CALMLY }, Timestamp::now(), 120).await;
    let before = bench.capacity().await;
    bench
        .fault(json!({"service": "elasticache", "operation": "ModifyReplicationGroupShardConfiguration",
            "body": format!("ReplicationGroupId == '{}'", name_of(&bench)),
            "error": {"code": "InsufficientCacheClusterCapacity", "status": 400}}))
        .await;
    let cycle = bench.cycle().await;
    assert_eq!(cycle.error, "RolledBack", "{cycle:?}");
    let stands = stands(&bench.aws, &name_of(&bench)).await;
    assert_eq!((bench.capacity().await, stands), (before, ("available".into(), 3, 1)));
}

#[tokio::test]
async fn nodes_that_the_rest_did_not_hold_on_are_taken_back() {
    let bench = shop("cachesick", 2.0 * HALF).await;
    let slow = Unkind { pace: Some(2.0), ..Unkind::default() };
    server().await.unkind("cachesick-", &slow).await.unwrap();
    ask(&bench, Used { memory: 90.0, ..CALMLY }, Timestamp::now(), 120).await;
    bench.health.set(false);
    let cycle = bench.cycle().await;
    assert_eq!(cycle.error, "RolledBack", "{cycle:?}");
    assert_eq!(bench.journal().await["sessions"].state, StepState::Undone);
    assert_eq!(stands(&bench.aws, &name_of(&bench)).await, ("available".into(), 3, 1));
}
