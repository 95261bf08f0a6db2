//! Collecting with fakes: who gets the lease, what is read when, and what is unknown.

mod past;
mod recovery;
mod rollback;

use std::collections::BTreeSet;

use headroom_aws::config_source::MemoryConfigs;
use headroom_aws::configs::Configs;
use headroom_aws::executions::MemoryExecutions;
use headroom_aws::failure::Failure;
use headroom_aws::fleet::MemoryFleet;
use headroom_aws::meter::Meter;
use headroom_aws::metrics::{MemoryMetrics, Metrics};
use headroom_aws::store::Store;
use headroom_aws::table::MemoryTable;
use headroom_aws::time_left::TimeLeft;
use headroom_core::collect::TargetGroup;
use headroom_core::cycle::{CollectRequest, CollectResponse, CollectedKind, Execution};
use headroom_core::history::{Column, column_series, shard};
use headroom_core::lease::Lease;
use headroom_core::name::PlatformName;
use headroom_core::observe::{Observation, Observed};
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use crate::{Ports, handle};

const SHOP: &str = "configuration_name: shop
scaling_groups:
  web: {resources: [{type: EC2_AUTO_SCALING_GROUP, name: web, min_capacity: 1, max_capacity: 20}]}
  data: {resources: [{type: DYNAMODB_TABLE, name: users, read_capacity: {min: 1, max: 100}}]}
predictive: {training_period: 1d}
";
/// Ten days after the epoch, on the hour.
const NOW: i64 = 864_000;

type FakesWith<M> = Ports<MemoryTable, M, MemoryFleet, MemoryConfigs, MemoryExecutions>;
type Fakes = FakesWith<MemoryMetrics>;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn shop() -> PlatformName {
    "shop".into()
}

/// Metrics a minute for two days around now: CPU at 50 %, 120 units consumed a minute, 4 servers.
fn ports() -> Fakes {
    let each =
        |value: f64| (NOW - 86_400..NOW + 86_400).step_by(60).map(|second| (at(second), value)).collect();
    let metrics =
        [("CPUUtilization", 50.0), ("ConsumedReadCapacityUnits", 2.0), ("GroupInServiceCapacity", 4.0)];
    Ports {
        store: Store::new(MemoryTable::default(), MemoryTable::default(), MemoryTable::default()),
        metrics: MemoryMetrics(metrics.map(|(name, value)| (name.to_owned(), each(value))).into()),
        fleet: MemoryFleet::new(&[("web/desired", 4), ("users/read", 10)]),
        source: MemoryConfigs([(shop(), SHOP.to_owned())].into()),
        configs: Configs::default(),
        executions: MemoryExecutions::default(),
        meter: Meter::default(),
        time_left: TimeLeft::default(),
    }
}

async fn collect_with<M: Metrics>(
    ports: &FakesWith<M>,
    name: &str,
    second: i64,
    more: Json,
) -> Result<CollectResponse, Failure> {
    let mut input = json!({"platform": "shop"});
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let execution = Execution { name: name.into(), arn: format!("arn:{name}"), started_at: at(second) };
    handle(ports, CollectRequest { input, execution, at: at(second) }).await
}

async fn collect<M: Metrics>(ports: &FakesWith<M>, name: &str, second: i64) -> CollectResponse {
    collect_with(ports, name, second, json!({})).await.unwrap()
}

/// The cycle is over, and looked.
async fn settle<M: Metrics>(ports: &FakesWith<M>, name: &str, second: i64) {
    let read = ports.store.lease(&shop()).await.unwrap();
    let lease = read.value.release(&name.into(), None, None, Some(at(second))).unwrap();
    ports.store.put_lease(&shop(), &read, &lease).await.unwrap();
}

async fn observed(ports: &Fakes, name: &str) -> Vec<Observation> {
    ports.store.observations(&shop(), &name.into()).await.unwrap()
}

/// Known five-minute steps of a column's history.
async fn known<M>(ports: &FakesWith<M>, column: &str) -> usize {
    let resource = column.split('/').next().unwrap().into();
    let chunks = ports.store.chunks(&shop(), shard(&resource), Timestamp::UNIX_EPOCH).await.unwrap();
    column_series(&chunks, &Column(column.to_owned())).known().count()
}

#[tokio::test]
async fn a_cycle_sees_capacity_and_load() {
    let ports = ports();
    let collected = collect(&ports, "a", NOW).await;
    assert_eq!((collected.kind, collected.batches.len()), (CollectedKind::Ready, 1));
    assert_eq!(collected.summary, "2 dimensions, 0 not fully known, 0 without an adapter");
    let seen = observed(&ports, "a").await;
    let loads: Vec<f64> = seen.iter().map(|seen| seen.readings[0].load.known().unwrap().mean).collect();
    assert_eq!(loads, [2.0, 200.0]);
}

#[tokio::test]
async fn the_past_is_read_at_first_sight_and_never_again() {
    let ports = ports();
    collect(&ports, "a", NOW).await;
    settle(&ports, "a", NOW).await;
    let first = known(&ports, "web/desired|cpu").await;
    assert!((286..=290).contains(&first), "a day at five minutes: {first}");
    collect(&ports, "b", NOW + 300).await;
    assert_eq!(known(&ports, "web/desired|cpu").await, first + 1);
}

#[tokio::test]
async fn what_no_cycle_read_is_read_by_the_next_one() {
    let ports = ports();
    collect(&ports, "a", NOW).await;
    settle(&ports, "a", NOW).await;
    let before = known(&ports, "web/desired|cpu").await;
    // Six hours without a cycle.
    collect(&ports, "b", NOW + 6 * 3_600).await;
    assert_eq!(known(&ports, "web/desired|cpu").await, before + 72);
}

#[tokio::test]
async fn a_past_without_capacity_is_no_load() {
    let mut ports = ports();
    ports.metrics.0.remove("GroupInServiceCapacity");
    collect(&ports, "a", NOW).await;
    let (web, users) = (known(&ports, "web/desired|cpu").await, known(&ports, "users/read|consumed").await);
    assert!(web <= 4 && 280 < users, "{web} {users}: only what this cycle saw itself is known");
}

#[tokio::test]
async fn what_is_missing_is_unknown_and_the_rest_is_served() {
    let mut ports = ports();
    ports.metrics.0.remove("ConsumedReadCapacityUnits");
    ports.fleet.remove("web/desired");
    collect(&ports, "a", NOW).await;
    let seen = observed(&ports, "a").await;
    assert_eq!(seen[0].readings[0].load, Observed::Unknown("consumed has no points".into()));
    assert_eq!(seen[1].capacity, Observed::Unknown("there is no web".into()));
    assert!(seen[0].capacity.known().is_some());
}

#[tokio::test]
async fn one_cycle_has_the_lease() {
    let mut ports = ports();
    collect(&ports, "a", NOW).await;
    ports.executions.0.insert("arn:a".into());
    let second = collect(&ports, "b", NOW + 10).await;
    assert_eq!((second.kind, second.summary.as_str()), (CollectedKind::Skipped, "cycle a acts on shop"));
    assert_eq!(
        collect(&ports, "a", NOW + 20).await.kind,
        CollectedKind::Ready,
        "its own function may run twice"
    );
    // Its execution has ended without settling: nobody has to wait for the lease to run out.
    ports.executions.0.clear();
    assert_eq!(collect(&ports, "c", NOW + 30).await.kind, CollectedKind::Ready);
}

#[tokio::test]
async fn a_person_must_look_before_it_goes_on() {
    let ports = ports();
    let read = ports.store.lease(&shop()).await.unwrap();
    let stopped = Lease { needs_human: Some("web is stuck".into()), ..Lease::default() };
    ports.store.put_lease(&shop(), &read, &stopped).await.unwrap();
    let skipped = collect(&ports, "a", NOW).await;
    assert_eq!(skipped.kind, CollectedKind::Skipped);
    assert!(skipped.summary.contains("web is stuck"), "{}", skipped.summary);
    let resumed = collect_with(&ports, "b", NOW, json!({"task": "resume"})).await.unwrap();
    assert_eq!(resumed.kind, CollectedKind::Resumed);
    assert_eq!(collect(&ports, "c", NOW).await.kind, CollectedKind::Ready);
}

#[tokio::test]
async fn a_dry_run_leaves_what_a_dead_cycle_began_to_one_that_may_mend_it() {
    let ports = ports();
    let read = ports.store.lease(&shop()).await.unwrap();
    let left = Lease { open_plan: Some("left".into()), ..Lease::default() };
    ports.store.put_lease(&shop(), &read, &left).await.unwrap();
    let skipped = collect_with(&ports, "a", NOW, json!({"dryRun": true})).await.unwrap();
    assert_eq!(skipped.kind, CollectedKind::Skipped);
    assert!(skipped.summary.contains("plan left open"), "{}", skipped.summary);
    assert_eq!(ports.store.lease(&shop()).await.unwrap().value, left, "the next cycle finds it as it was");
}

#[tokio::test]
async fn wrong_configurations_and_inputs_have_names() {
    let name = |failure: Result<CollectResponse, Failure>| failure.unwrap_err().name();
    let mut ports = ports();
    assert_eq!(
        name(collect_with(&ports, "a", NOW, json!({"capacity": {"web/tasks": 3}})).await),
        "InvalidInput"
    );
    ports.source.0.insert(shop(), SHOP.replace("max_capacity: 20", "max_capacity: 0"));
    assert_eq!(name(collect_with(&ports, "a", NOW, json!({})).await), "ConfigInvalid");
    ports.source.0.insert(shop(), SHOP.replace("configuration_name: shop", "configuration_name: other"));
    assert_eq!(name(collect_with(&ports, "a", NOW, json!({})).await), "ConfigMismatch");
    ports.source.0.clear();
    assert_eq!(name(collect_with(&ports, "a", NOW, json!({})).await), "ConfigMissing");
}

#[tokio::test]
async fn another_time_is_lived_in() {
    let ports = ports();
    let then = json!({"now": at(NOW - 3_600).to_string()});
    let cycle = collect_with(&ports, "a", NOW, then).await.unwrap().cycle;
    assert_eq!(cycle.time(at(NOW + 60)), at(NOW - 3_540));
}

#[test]
fn columns_are_unique() {
    let platform = headroom_core::config::parse(SHOP).unwrap().platform;
    let asked = headroom_core::collect::metric_requests(&platform);
    assert_eq!(asked.iter().map(|asked| asked.column()).collect::<BTreeSet<_>>().len(), asked.len());
}

#[tokio::test]
async fn target_groups_are_asked_for_once_an_hour_and_until_they_are_known() {
    let mut ports = ports();
    let metrics = "metrics: [{name: requests, kind: load, target_per_unit: 600}]";
    let text = SHOP.replace("max_capacity: 20", &format!("max_capacity: 20, {metrics}"));
    ports.source = MemoryConfigs([(shop(), text)].into());
    let requests = (NOW - 3_600..NOW + 86_400).step_by(60).map(|second| (at(second), 900.0)).collect();
    ports.metrics.0.insert("RequestCount".to_owned(), requests);
    let web = async |name: &str| observed(&ports, name).await.pop().unwrap().readings[0].load.clone();
    collect(&ports, "a", NOW).await;
    settle(&ports, "a", NOW).await;
    let unknown = "requests has no points at target groups of Application Load Balancers before web";
    assert_eq!(web("a").await, Observed::Unknown(unknown.into()));
    // They were denied: the next cycle asks again, and from then on they are known for an hour.
    let group =
        |name: &str| TargetGroup { load_balancer: "app/web/5".into(), name: format!("targetgroup/{name}/7") };
    ports.fleet.register("web", &[group("blue")]);
    collect(&ports, "b", NOW + 300).await;
    settle(&ports, "b", NOW + 300).await;
    assert_eq!(web("b").await.known().unwrap().mean, 900.0);
    ports.fleet.register("web", &[group("blue"), group("green")]);
    collect(&ports, "c", NOW + 600).await;
    settle(&ports, "c", NOW + 600).await;
    assert_eq!(web("c").await.known().unwrap().mean, 900.0);
    collect(&ports, "d", NOW + 4_000).await;
    assert_eq!(web("d").await.known().unwrap().mean, 1_800.0, "both groups count");
}
