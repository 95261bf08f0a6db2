//! Deciding with fakes: what is stored, and when a plan is open.

use std::collections::BTreeMap;

use headroom_aws::configs::Configs;
use headroom_aws::failure::Failure;
use headroom_aws::meter::Meter;
use headroom_aws::store::{DimensionForecasts, Store};
use headroom_aws::table::MemoryTable;
use headroom_core::cycle::{Batch, Cycle, DecideRequest, DecideResponse, DecidedKind, Task};
use headroom_core::decide::Decision;
use headroom_core::forecast::MetricForecast;
use headroom_core::lease::Claim;
use headroom_core::name::PlatformName;
use headroom_core::observe::{Capacity, Load, Observation, Observed, Reading};
use headroom_core::plan::Permit;
use headroom_core::platform::Phase;
use headroom_core::state::{OperatorRequests, Pause, PlatformState, RolloutState};
use headroom_core::units::{Ratio, Units};
use headroom_forecast::{Forecast, NoForecast, Quantile};
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
    let load = Observed::Known(Load { mean: load, peak: load, at: at(86_400), saturated: false, over_s: 0 });
    let observation = Observation {
        key: "web/desired".parse().unwrap(),
        capacity: Observed::Known(capacity),
        short_minutes: None,
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
    async fn decide(&self) -> Result<DecideResponse, Failure> {
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

#[tokio::test]
async fn what_stands_is_kept_once_and_not_by_every_cycle() {
    let bench = bench(SHOP, 200.0).await;
    bench.decide().await.unwrap();
    let kept = bench.ports.store.platform_state(&"shop".into()).await.unwrap();
    assert_eq!((kept.revision, kept.value.judged_at), (1, Some(at(86_400))));
    bench.decide().await.unwrap();
    assert_eq!(
        bench.ports.store.platform_state(&"shop".into()).await.unwrap(),
        kept,
        "the function may run twice"
    );
    let mut later = bench;
    later.request.cycle.started_at = at(86_700);
    later.request.cycle.now = at(86_700);
    later.decide().await.unwrap();
    assert_eq!(later.ports.store.platform_state(&"shop".into()).await.unwrap().revision, 1, "a quiet cycle");
}

#[tokio::test]
async fn a_rehearsal_and_another_time_leave_what_stands_alone() {
    let mut dry = bench(SHOP, 300.0).await;
    dry.request.cycle.dry_run = true;
    let mut other = bench(SHOP, 200.0).await;
    other.request.cycle.started_at = at(80_000);
    for bench in [dry, other] {
        bench.decide().await.unwrap();
        assert_eq!(bench.ports.store.platform_state(&"shop".into()).await.unwrap().revision, 0);
    }
}

#[tokio::test]
async fn the_phase_reached_is_carried_out() {
    let text = SHOP.replace("{rollout_phase: full}", "{rollout_phase: observe, auto_promote: true}");
    let bench = bench(&text, 300.0).await;
    let reached = RolloutState {
        configured: Phase::Observe,
        phase: Phase::Limited,
        since: at(0),
        why: "it did well".into(),
    };
    let state =
        PlatformState { rollout: Some(reached), judged_at: Some(at(86_100)), ..PlatformState::default() };
    let read = bench.ports.store.platform_state(&"shop".into()).await.unwrap();
    bench.ports.store.put_platform_state(&"shop".into(), &read, &state).await.unwrap();
    let decided = bench.decide().await.unwrap();
    assert_eq!((decided.kind, decided.summary.as_str()), (DecidedKind::Scale, "web/desired 4 -> 5"));
    let kept = bench.ports.store.platform_state(&"shop".into()).await.unwrap();
    assert!(
        (kept.revision, kept.value.spend.is_some()) == (2, true),
        "before the rate changes it is counted"
    );
}

/// A forecast of one cycle ago at `load`, made again by nobody.
async fn forecast_before(bench: &Bench, ago_s: i64, load: f64) {
    let now = bench.request.cycle.now;
    let made_at = at(now.as_second() - ago_s);
    let quantile = |level| Quantile { level, values: vec![load; 24] };
    let forecast = Forecast {
        start: made_at,
        step_s: 300,
        mean: vec![load; 24],
        quantiles: vec![quantile(0.5), quantile(0.9)],
        model: "test".into(),
        confidence: Ratio::ONE,
    };
    let made = MetricForecast {
        outcome: Ok(forecast),
        ..MetricForecast::none("cpu", NoForecast::Stale { age_s: 0 })
    };
    let forecasts = DimensionForecasts { key: "web/desired".parse().unwrap(), forecasts: vec![made] };
    let earlier = Cycle { id: "earlier".into(), now: made_at, ..bench.request.cycle.clone() };
    let batch = &bench.request.batches[0];
    bench.ports.store.put_forecasts(&earlier, batch, &[forecasts]).await.unwrap();
}

#[tokio::test]
async fn a_forecast_that_was_not_made_again_counts_until_it_has_been_missing_for_too_long() {
    for (after, ago_s, expected) in [
        ("5m", 300, "web/desired 4 -> 8"),
        ("5m", 600, "web/desired 4 -> 8"),
        ("5m", 601, "nothing changes: 1 dimensions hold, 1 of them known"),
        ("1m", 600, "nothing changes: 1 dimensions hold, 1 of them known"),
    ] {
        let text = format!("{SHOP}predictive: {{fallback: {{after: {after}}}}}\n");
        let bench = bench(&text, 200.0).await;
        forecast_before(&bench, ago_s, 400.0).await;
        let decided = bench.decide().await.unwrap();
        assert_eq!(decided.summary, expected, "{after} {ago_s}");
        let made = bench.ports.store.decisions(&"shop".into(), at(86_400), &"cycle".into()).await.unwrap();
        let told = made[0].reasons[0].to_string();
        assert_eq!(told.contains("still counts"), decided.kind == DecidedKind::Scale, "{told}");
    }
}

#[tokio::test]
async fn what_a_person_paused_is_held() {
    let bench = bench(SHOP, 300.0).await;
    let pause = Pause { group: None, resource: None, direction: None, until: at(90_000), by: "ana".into() };
    let read = bench.ports.store.requests(&"shop".into()).await.unwrap();
    let asked = OperatorRequests { pauses: vec![pause], ..OperatorRequests::default() };
    bench.ports.store.put_requests(&"shop".into(), &read, &asked).await.unwrap();
    assert_eq!(bench.decide().await.unwrap().kind, DecidedKind::Hold);
    let decisions = bench.ports.store.decisions(&"shop".into(), at(86_400), &"cycle".into()).await.unwrap();
    assert_eq!(decisions[0].reasons.last().unwrap().to_string(), "paused until Fri 01:00 UTC (ana)");
}

#[tokio::test]
async fn decisions_of_a_lead_window_ago_are_judged_once_an_hour() {
    let bench = bench(SHOP, 200.0).await;
    let store = &bench.ports.store;
    let state = PlatformState { judged_at: Some(at(82_800)), ..PlatformState::default() };
    let read = store.platform_state(&"shop".into()).await.unwrap();
    store.put_platform_state(&"shop".into(), &read, &state).await.unwrap();
    // A cycle of then wanted four servers, and the load of then needed three.
    let platform = headroom_core::config::parse(SHOP).unwrap().platform;
    let ahead = headroom_core::state::LeadWindows::of(&platform, &state).judging_delay();
    bench.decide().await.unwrap();
    let made = store.decisions(&"shop".into(), at(86_400), &"cycle".into()).await.unwrap();
    let then = Decision { measured: Some(Units(3)), ..made[0].clone() };
    let earlier = Cycle {
        id: "earlier".into(),
        now: at(90_000).checked_sub(ahead).unwrap(),
        ..bench.request.cycle.clone()
    };
    store.put_decisions(&earlier, &[then]).await.unwrap();
    let mut later = bench.request.clone();
    later.cycle.now = at(90_000);
    later.cycle.started_at = at(90_000);
    let load = store.observations(&"shop".into(), &"cycle".into()).await.unwrap();
    store.put_observations(&later.cycle, &later.batches[0], &load).await.unwrap();
    handle(&bench.ports, later).await.unwrap();
    let figures = store.platform_state(&"shop".into()).await.unwrap().value.calibration.figures();
    assert_eq!((figures.compared, figures.short, figures.short_reactive), (1, 0.0, 1.0));
}
