//! The warm pool of the shop's servers: sized apart from the group, taken first, and deleted where none may be kept.

use aws_sdk_autoscaling::types::{AutoScalingGroup, LifecycleState};
use serde_json::json;

use crate::bench::{Bench, CALM};

/// A platform's file with a warm pool of the servers.
pub(crate) fn platform(bench: &Bench, text: &str, range: &str) -> String {
    let web = format!("name: {}\n", bench.shop.web());
    assert!(text.contains(&web), "{text}");
    text.replace(&web, &format!("{web}        warm_pool: {range}\n"))
}

async fn group(bench: &Bench) -> AutoScalingGroup {
    let client = bench.aws.autoscaling();
    let told = client.describe_auto_scaling_groups().auto_scaling_group_names(bench.shop.web()).send().await;
    told.unwrap().auto_scaling_groups.unwrap().remove(0)
}

/// How many instances AWS is told to keep in the pool, whatever the group has; `None` without a pool.
async fn kept(bench: &Bench) -> Option<i32> {
    let group = group(bench).await;
    let pool = group.warm_pool_configuration()?;
    assert_eq!(pool.min_size(), pool.max_group_prepared_capacity());
    pool.min_size()
}

async fn warmed(bench: &Bench) -> Vec<String> {
    let told = bench.aws.autoscaling().describe_warm_pool().auto_scaling_group_name(bench.shop.web());
    let instances = told.send().await.unwrap().instances.unwrap_or_default();
    let stopped =
        instances.iter().filter(|one| one.lifecycle_state() == Some(&LifecycleState::WarmedStopped));
    stopped.map(|one| one.instance_id().unwrap().to_owned()).collect()
}

/// The file no longer allows a pool: it shrinks at the pace of every scale-in, and is deleted in the end.
pub(crate) async fn delete(bench: &Bench) {
    const CYCLES_MAX: usize = 5;
    bench.publish(&platform(bench, &bench.platform, "{min: 0, max: 0}")).await;
    for _ in 0..CYCLES_MAX {
        let cycle = bench.cycle().await;
        assert_eq!(cycle.error, "", "{cycle:?}");
        if kept(bench).await.is_none() {
            return;
        }
    }
    panic!("the pool is still there");
}

#[tokio::test]
async fn a_pool_is_kept_taken_first_and_deleted_where_none_may_be_kept() {
    let bench = Bench::at("warmed", CALM).await;
    let web = bench.shop.web();
    bench.publish(&platform(&bench, &bench.platform, "{min: 1, max: 6}")).await;
    let cycle = bench.cycle().await;
    assert_eq!((cycle.outcome(), kept(&bench).await), ("scaled", Some(1)), "the least: {cycle:?}");
    // By hand, as a person who expects a crowd would.
    let cycle = bench.cycle_with(json!({"capacity": {format!("{web}/warm_pool"): 3}})).await;
    assert_eq!((cycle.outcome(), kept(&bench).await), ("scaled", Some(3)), "{cycle:?}");
    let (waiting, had) = (warmed(&bench).await, bench.capacity().await.web);
    assert_eq!(waiting.len(), 3);
    let cycle = bench.cycle_with(json!({"capacity": {format!("{web}/desired"): had + 2}})).await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    let serving = group(&bench).await;
    let taken = serving
        .instances()
        .iter()
        .filter(|one| waiting.iter().any(|id| Some(id.as_str()) == one.instance_id()));
    assert_eq!(taken.count(), 2, "instances of the pool serve");
    assert_eq!((kept(&bench).await, warmed(&bench).await.len()), (Some(3), 3), "and others take their place");
    delete(&bench).await;
    assert_eq!(kept(&bench).await, None);
}

#[tokio::test]
async fn a_pool_that_was_made_in_a_plan_that_fails_is_what_it_was() {
    let bench = Bench::at("chilled", CALM).await;
    let web = bench.shop.web();
    bench.publish(&platform(&bench, &bench.platform, "{min: 1, max: 6}")).await;
    assert_eq!(bench.cycle().await.outcome(), "scaled");
    bench.health.set(false);
    let had = bench.capacity().await.web;
    let wanted = json!({format!("{web}/warm_pool"): 4, format!("{web}/desired"): had + 1});
    let cycle = bench.cycle_with(json!({"capacity": wanted})).await;
    assert_eq!(cycle.error, "RolledBack", "{cycle:?}");
    assert_eq!((kept(&bench).await, bench.capacity().await.web), (Some(1), had));
}
