//! What cycles teach, told as one dimension with one load.

use std::time::Duration;

use super::*;
use crate::config::parse;
use crate::decide::Expected;
use crate::demand::DemandSource;
use crate::observe::{Capacity, Load, Observed, Reading};
use crate::platform::Phase;
use crate::state::{Breaker, EMPTY, OperatorRequests, Override, Provisioned};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A service that plans 100 requests a minute for each task, guarded by a latency.
fn shop(phase: &str) -> Platform {
    let text = format!(
        "configuration_name: shop
scaling_groups:
  web:
    resources:
      - type: ECS_SERVICE
        name: web
        min_capacity: 1
        max_capacity: 50
        provisioning_seconds: 600
        hourly_cost_per_unit: 2.0
        metrics:
          - {{name: requests, kind: load, target_per_unit: 100, namespace: N, metric_name: R, statistic: Sum}}
          - {{name: slow, kind: latency, target_value: 0.5, namespace: N, metric_name: L}}
    scaling_policies: [{{type: predictive, scheduling_buffer: 0s}}]
orchestration: {{rollout_phase: {phase}, auto_promote: true}}
"
    );
    parse(&text).unwrap().platform
}

fn key() -> DimensionKey {
    "web/desired".parse().unwrap()
}

/// Ten tasks, with this load and latency.
fn seen(load: f64, latency: f64) -> BTreeMap<DimensionKey, Observation> {
    let capacity = Capacity { set: Units(10), ready: Units(10), ..Capacity::default() };
    let reading = |metric: &str, value| Reading {
        metric: metric.into(),
        load: Observed::Known(Load { mean: value, peak: value, at: at(0), saturated: false, over_s: 0 }),
    };
    let readings = vec![reading("requests", load), reading("slow", latency)];
    BTreeMap::from([(
        key(),
        Observation { key: key(), capacity: Observed::Known(capacity), readings, short_minutes: None },
    )])
}

/// A decision that wanted so many, while the load needed `measured`, and expected the load between 900 and 1,100.
fn wanted(units: u32, measured: u32) -> Decision {
    let shop = shop("observe");
    let place = shop.place(&key()).unwrap();
    let (set, units) = (Some(Units(10)), Some(Units(units)));
    Decision {
        observed: set,
        ready: set,
        measured: Some(Units(measured)),
        needed: units,
        wanted: units,
        target: units,
        source: Some(DemandSource::Predictive),
        expected: vec![Expected { metric: "requests".into(), low: 900.0, high: 1_100.0, middle: None }],
        ..Decision::undecided(place)
    }
}

#[test]
fn decisions_are_judged_by_what_came() {
    let check = |load: f64, then: Decision, expected: &str| {
        let state = PlatformState::default().after(&shop("observe"), &seen(load, 0.1), Some(&[then]), at(0));
        let tally = state.calibration.0[0];
        let actual = format!(
            "{} of {} inside, {} above; short {}, {} reactive; idle {:.1}, {:.1} reactive of {}",
            tally.inside,
            tally.judged,
            tally.above,
            tally.short,
            tally.short_reactive,
            tally.idle,
            tally.idle_reactive,
            tally.compared
        );
        assert_eq!(actual, expected);
    };
    check(1_000.0, wanted(12, 8), "1 of 1 inside, 0 above; short 0, 1 reactive; idle 0.1, 0.0 reactive of 1");
    check(
        1_200.0,
        wanted(11, 12),
        "0 of 1 inside, 1 above; short 1, 0 reactive; idle 0.0, 0.0 reactive of 1",
    );
    check(500.0, wanted(5, 10), "0 of 1 inside, 0 above; short 0, 0 reactive; idle 0.0, 0.8 reactive of 1");
    // What a person wanted is no forecast's merit, and beyond the bounds nobody could have gone.
    let manual = Decision { source: Some(DemandSource::Manual), ..wanted(12, 8) };
    check(1_000.0, manual, "1 of 1 inside, 0 above; short 0, 0 reactive; idle 0.0, 0.0 reactive of 0");
    check(
        9_000.0,
        wanted(50, 50),
        "0 of 1 inside, 1 above; short 0, 0 reactive; idle 0.0, 0.0 reactive of 1",
    );
}

#[test]
fn evidence_adds_up_in_any_order_and_ages() {
    let platform = shop("observe");
    let then = [wanted(12, 8), wanted(5, 10), wanted(11, 12)];
    let mut turned = then.clone();
    turned.reverse();
    let observations = seen(1_000.0, 0.1);
    let calibration = Calibration::default().after(&platform, &then, &observations, at(0));
    assert_eq!(calibration, Calibration::default().after(&platform, &turned, &observations, at(0)));
    let later =
        |day: i64| calibration.after(&platform, &then, &observations, at(day * 86_400)).figures().judged;
    assert_eq!((later(0), later(6), later(7)), (6, 6, 3));
}

#[test]
fn decisions_are_due_once_an_hour_from_a_lead_window_ago() {
    let platform = shop("observe");
    assert_eq!(LeadWindows::of(&platform, &EMPTY).judging_delay(), Duration::from_secs(900));
    assert_eq!(PlatformState::default().judges(&platform, at(9_999)), None, "nothing was decided yet");
    let state = PlatformState::default().after(&platform, &seen(1_000.0, 0.1), None, at(0));
    assert_eq!(state.judges(&platform, at(3_599)), None);
    assert_eq!(state.judges(&platform, at(3_600)), Some((at(2_550), at(2_850))));
    let judged = state.after(&platform, &seen(1_000.0, 0.1), Some(&[]), at(3_600));
    assert_eq!(judged.judges(&platform, at(3_600)), None, "the function may run twice");
}

#[test]
fn decisions_are_judged_after_the_provisioning_time_that_was_learned() {
    let platform = shop("observe");
    let learned = Provisioned { seconds: 1_200.0, seen: 9, at: at(0) };
    let provisioning = [("web".into(), learned)].into();
    let state = PlatformState { provisioning, judged_at: Some(at(0)), ..PlatformState::default() };
    assert_eq!(state.judges(&platform, at(3_600)), Some((at(1_950), at(2_250))));
}

#[test]
fn a_quiet_cycle_keeps_nothing_and_what_acts_keeps_what_was_spent() {
    let platform = shop("observe");
    let stored = PlatformState::default().after(&platform, &seen(1_000.0, 0.1), None, at(0));
    assert!(stored.must_be_kept(&PlatformState::default(), false), "the first cycle");
    let later = stored.after(&platform, &seen(1_000.0, 0.1), None, at(300));
    assert!((later.spend.unwrap().amount - stored.spend.unwrap().amount - 20.0 / 12.0).abs() < 1e-9);
    assert!(!later.must_be_kept(&stored, false));
    assert!(later.must_be_kept(&stored, true));
    assert!(!later.must_be_kept(&later, true));
    let hourly = later.after(&platform, &seen(1_000.0, 0.1), Some(&[]), at(3_900));
    assert!(hourly.must_be_kept(&stored, false));
}

#[test]
fn what_a_unit_carries_is_learned_where_a_guard_tells_and_counts_only_when_optimized() {
    let learned = |load, latency| {
        let state = PlatformState::default().after(&shop("full"), &seen(load, latency), None, at(0));
        state.carried.get(&key()).map(|known| known["requests"])
    };
    assert_eq!(learned(1_200.0, 0.1), Some(101.0));
    assert_eq!(learned(900.0, 0.9), Some(98.0));
    assert_eq!(learned(900.0, 0.1), None);
    let planned = |phase: &str| {
        let platform = shop(phase);
        let carried = BTreeMap::from([(key(), BTreeMap::from([("requests".to_owned(), 300.0)]))]);
        let state = PlatformState { carried, ..PlatformState::default() };
        let place = platform.dimensions().next().unwrap();
        state.planned(&platform, place, &place.dimension.metrics[0])
    };
    assert_eq!((planned("full"), planned("optimized")), (None, Some(120.0)));
}

#[test]
fn what_is_no_longer_in_the_file_is_forgotten() {
    let breaker = Breaker { failures: 1, failed_at: Some(at(0)) };
    let known = Provisioned { seconds: 60.0, seen: 1, at: at(0) };
    let ids = [ResourceId("web".to_owned()), ResourceId("gone".to_owned())];
    let state = PlatformState {
        breakers: ids.iter().map(|id| (id.clone(), breaker)).collect(),
        provisioning: ids.iter().map(|id| (id.clone(), known)).collect(),
        carried: BTreeMap::from([("gone/desired".parse().unwrap(), BTreeMap::new())]),
        ..PlatformState::default()
    };
    let state = state.after(&shop("full"), &BTreeMap::new(), None, at(0));
    assert!(state.breakers.keys().eq([&ids[0]]) && state.provisioning.keys().eq([&ids[0]]));
    assert!(state.carried.is_empty());
}

#[test]
fn a_phase_is_earned_by_decisions_that_were_only_recorded() {
    let platform = shop("observe");
    let many = vec![wanted(11, 10); 40];
    let mut state = PlatformState::default();
    let mut told = Vec::new();
    for hour in 0..100 {
        let now = at(hour * 3_600);
        let then = state.judges(&platform, now).map(|_| many.as_slice());
        state = state.after(&platform, &seen(1_000.0, 0.1), then, now);
        told.push(state.phase(&platform));
    }
    told.dedup();
    assert_eq!(told, [Phase::Observe, Phase::Limited]);
    assert!(state.calibration.figures().judged < 40 * 100, "it starts anew");
    let reached = state.rollout.as_ref().unwrap();
    assert_eq!((reached.since, reached.phase), (at(72 * 3_600), Phase::Limited));
}

#[test]
fn what_is_stored_is_read_again_and_what_people_asked_for_is_not_in_it() {
    let platform = shop("observe");
    let requests = OperatorRequests {
        overrides: vec![Override { key: key(), units: Units(3), until: at(9), by: "ana".into() }],
        ..OperatorRequests::default()
    };
    let state = PlatformState { requests, ..PlatformState::default() };
    let state = state.after(&platform, &seen(1_200.0, 0.1), Some(&[wanted(12, 8)]), at(0));
    let read: PlatformState = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
    assert_eq!(read, PlatformState { requests: OperatorRequests::default(), ..state });
    assert_eq!(serde_json::from_str::<PlatformState>("{}").unwrap(), EMPTY);
}
