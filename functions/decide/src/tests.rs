//! Deciding with fakes: what is stored, and when a plan is open.

use std::collections::BTreeMap;

use headroom_aws::configs::Configs;
use headroom_aws::failure::Failure;
use headroom_aws::meter::Meter;
use headroom_aws::store::Store;
use headroom_aws::table::MemoryTable;
use headroom_core::cycle::{Batch, Cycle, DecideRequest, Decided, DecidedKind, Task};
use headroom_core::lease::Claim;
use headroom_core::name::PlatformName;
use headroom_core::observe::{Capacity, Load, Observation, Reading, Seen};
use headroom_core::plan::Permit;
use headroom_core::units::Units;
use jiff::Timestamp;

use crate::{Ports, handle};

const SHOP: &str = "configuration_name: shop
scaling_groups:
  web: {resources: [{type: EC2_AUTO_SCALING_GROUP, name: web, min_capacity: 1, max_capacity: 20, target_cpu_utilization: 50}]}
orchestration: {rollout_phase: full}
";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

struct Bench {
    ports: Ports<MemoryTable>,
    request: DecideRequest,
}

/// A cycle that saw 4 servers and this load.
async fn bench(text: &str, load: f64) -> Bench {
    let platform: PlatformName = "shop".into();
    let store = Store::new(MemoryTable::default(), MemoryTable::default(), MemoryTable::default());
    let config = store.put_config(&platform, text).await.unwrap();
    let cycle = Cycle {
        platform: platform.clone(),
        id: "cycle".into(),
        execution: "arn".into(),
        now: at(86_400),
        started_at: at(86_400),
        dry_run: false,
        task: Task::Scale,
    };
    let read = store.lease(&platform).await.unwrap();
    let Claim::Granted(lease) = read.value.claim(&cycle.id, "arn", at(86_400), None) else { panic!() };
    store.put_lease(&platform, &read, &lease).await.unwrap();
    let capacity = Capacity { set: Units(4), ready: Units(4), ..Capacity::default() };
    let load = Seen::Known(Load { mean: load, peak: load, at: at(86_400) });
    let observation = Observation {
        key: "web/desired".parse().unwrap(),
        capacity: Seen::Known(capacity),
        readings: vec![Reading { metric: "cpu".into(), load }],
    };
    let batches = Batch::cover(&headroom_core::config::parse(text).unwrap().platform);
    store.put_observations(&cycle, &batches[0], &[observation]).await.unwrap();
    let ports = Ports { store, configs: Configs::default(), meter: Meter::default() };
    let capacity = BTreeMap::new();
    let request =
        DecideRequest { cycle, config, batches, failed_batches: Vec::new(), capacity, at: at(86_401) };
    Bench { ports, request }
}

impl Bench {
    async fn decide(&self) -> Result<Decided, Failure> {
        handle(&self.ports, self.request.clone()).await
    }

    async fn open_plan(&self) -> Option<String> {
        self.ports.store.lease(&"shop".into()).await.unwrap().value.open_plan.map(|plan| plan.0)
    }
}

#[tokio::test]
async fn a_plan_to_carry_out_is_opened() {
    let bench = bench(SHOP, 300.0).await;
    let decided = bench.decide().await.unwrap();
    assert_eq!((decided.kind, decided.summary.as_str()), (DecidedKind::Scale, "web/desired 4 -> 6"));
    assert_eq!(bench.open_plan().await, Some("86401-cycle".into()));
    let plan = bench.ports.store.plan(&"shop".into(), &decided.plan.id).await.unwrap();
    assert_eq!(
        (plan.permit, plan.waves.len(), decided.plan.waves[0].batches.as_slice()),
        (Permit::Act, 1, [0].as_slice())
    );
    let decisions = bench.ports.store.decisions(&"shop".into(), at(86_400), &"cycle".into()).await.unwrap();
    assert_eq!(decisions[0].change(), Some((Units(4), Units(6))));
    // The function may run twice.
    assert_eq!(bench.decide().await.unwrap().plan, decided.plan);
}

#[tokio::test]
async fn holding_opens_nothing() {
    let bench = bench(SHOP, 200.0).await;
    let decided = bench.decide().await.unwrap();
    assert_eq!((decided.kind, decided.plan.waves.len()), (DecidedKind::Hold, 0));
    assert_eq!(bench.open_plan().await, None);
}

#[tokio::test]
async fn what_is_only_recorded_is_not_opened() {
    let mut dry = bench(SHOP, 300.0).await;
    dry.request.cycle.dry_run = true;
    let observed = bench(&SHOP.replace("full", "observe"), 300.0).await;
    for bench in [dry, observed] {
        let decided = bench.decide().await.unwrap();
        assert_eq!(decided.kind, DecidedKind::Hold);
        assert!(decided.summary.starts_with("would change web/desired 4 -> 6, but"), "{}", decided.summary);
        assert_eq!(bench.open_plan().await, None);
    }
}

#[tokio::test]
async fn a_cycle_that_lost_its_lease_decides_nothing() {
    let mut bench = bench(SHOP, 300.0).await;
    bench.request.cycle.id = "another".into();
    assert_eq!(bench.decide().await.unwrap_err().name(), "LeaseLost");
    assert_eq!(bench.open_plan().await, None);
}
