//! What holds for a platform as a whole.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::{ProptestConfig, prop_assert, proptest};

use super::*;
use crate::config::parse;
use crate::observe::{Load, Reading};
use crate::state::{EMPTY, PlatformState, Spend};

const SHOP: &str = "configuration_name: shop
scaling_groups:
  data: {resources: [{type: ECS_SERVICE, name: db, min_capacity: 1, max_capacity: 50, target_cpu_utilization: 50,
    hourly_cost_per_unit: 2.0}]}
  web: {resources: [{type: ECS_SERVICE, name: web, min_capacity: 1, max_capacity: 50, target_cpu_utilization: 50,
    hourly_cost_per_unit: 1.0}]}
orchestration:
  rollout_phase: full
  scaling_order: [data, web]
  dependencies:
    - {source: web, target: data, type: scale_before, connections_per_unit: 10, connection_limit: 120}
";

/// Decisions of a shop with `set` units each, at `cpu` percent, in the order of the groups: data, web.
fn decided(rest: &str, set: [u32; 2], cpu: [f64; 2]) -> Vec<Decision> {
    decided_after(&EMPTY, rest, set, cpu)
}

fn decided_after(state: &PlatformState, rest: &str, set: [u32; 2], cpu: [f64; 2]) -> Vec<Decision> {
    let load = |index: usize| Some(cpu[index] * f64::from(set[index]));
    let seen = [("db/desired", set[0], load(0)), ("web/desired", set[1], load(1))];
    decided_of(state, &format!("{SHOP}{rest}"), &seen)
}

/// Decisions of a platform of which these dimensions were seen: so many units are set, and each metric has this load, or cannot
/// be read.
fn decided_of(state: &PlatformState, text: &str, seen: &[(&str, u32, Option<f64>)]) -> Vec<Decision> {
    let platform = parse(text).unwrap().platform;
    let observations = seen.iter().map(|(key, set, load)| {
        let key: DimensionKey = key.parse().unwrap();
        let capacity = Capacity { set: Units(*set), ready: Units(*set), ..Capacity::default() };
        let at = Timestamp::UNIX_EPOCH;
        let load = match load {
            Some(load) => Observed::Known(Load { mean: *load, peak: *load, at, saturated: false, over_s: 0 }),
            None => Observed::Unknown("it has no points".into()),
        };
        let metrics = &platform.place(&key).unwrap().dimension.metrics;
        let readings =
            metrics.iter().map(|metric| Reading { metric: metric.name.clone(), load: load.clone() });
        let readings = readings.collect();
        (key.clone(), Observation { key, capacity: Observed::Known(capacity), readings, short_minutes: None })
    });
    let world = World {
        platform: &platform,
        now: "2026-11-24T12:00:00Z".parse().unwrap(),
        observations: &observations.collect(),
        forecasts: &BTreeMap::new(),
        changes: &[],
        manual: &BTreeMap::new(),
        state,
    };
    decide(&world)
}

fn check(rest: &str, cpu: [f64; 2], expected: [u32; 2]) {
    let targets: Vec<u32> =
        decided(rest, [10, 10], cpu).iter().map(|decision| decision.target.unwrap().0).collect();
    assert_eq!(targets, expected);
}

#[test]
fn what_stands_by_holds_no_connection() {
    let web = "{type: ECS_SERVICE, name: web, min_capacity: 1, max_capacity: 50, target_cpu_utilization: 50,\n    hourly_cost_per_unit: 1.0}";
    assert!(SHOP.contains(web));
    let group = "{type: EC2_AUTO_SCALING_GROUP, name: web, min_capacity: 1, max_capacity: 50, target_cpu_utilization: 50,
    warm_pool: {min: 0, max: 9}}";
    let seen =
        [("db/desired", 10, Some(500.0)), ("web/desired", 10, Some(600.0)), ("web/warm_pool", 9, None)];
    let decisions = decided_of(&EMPTY, &SHOP.replace(web, group), &seen);
    let targets: Vec<u32> = decisions.iter().map(|decision| decision.target.unwrap().0).collect();
    // Ten each of 120 connections are for twelve units that serve.
    assert_eq!(targets, [10, 12, 9]);
}

#[test]
fn what_stands_by_holds_no_throttle() {
    let text = "configuration_name: shop
scaling_groups:
  front: {resources: [{type: API_GATEWAY_STAGE, name: abc123, stage: prod, api_name: shop, min_capacity: 10, max_capacity: 500}]}
  web: {resources: [{type: EC2_AUTO_SCALING_GROUP, name: web, min_capacity: 1, max_capacity: 50, target_cpu_utilization: 50,
    warm_pool: {min: 5, max: 9}}]}
orchestration:
  rollout_phase: full
  dependencies: [{source: front, target: web}]
";
    // The pool has less than its least, and no forecast says how much it needs.
    let seen = [
        ("web/desired", 10, Some(500.0)),
        ("web/warm_pool", 1, None),
        ("abc123/throttle", 20, Some(1_500.0)),
    ];
    let decisions = decided_of(&EMPTY, text, &seen);
    let throttle = decisions.iter().find(|decision| decision.key.dimension == "throttle").unwrap();
    assert_eq!(throttle.direction(), Some(Direction::Out), "{:?}", throttle.reasons);
}

#[test]
fn a_dependent_takes_no_more_connections_than_there_are() {
    check("", [50.0, 55.0], [10, 11]);
    check("", [50.0, 90.0], [10, 12]);
}

#[test]
fn a_budget_gives_up_the_dependents_first() {
    let budget = |hourly: f64| format!("guardrails: {{budget: {{hourly: {hourly}}}}}\n");
    check(&budget(100.0), [60.0, 60.0], [12, 12]);
    check(&budget(35.0), [60.0, 60.0], [12, 11]);
    check(&budget(33.0), [60.0, 60.0], [11, 10]);
    check(&budget(5.0), [60.0, 60.0], [10, 10]); // What runs is not taken away.
}

#[test]
fn a_month_has_what_is_left_of_its_budget() {
    let check = |counted_to: &str, amount: f64, expected: [u32; 2]| {
        let budget = "guardrails: {budget: {monthly: 10000}}\n";
        let decisions = decided_after(&spent(counted_to, amount, 0.0), budget, [10, 10], [60.0, 60.0]);
        assert_eq!(decisions.iter().map(|decision| decision.target.unwrap().0).collect::<Vec<_>>(), expected);
    };
    // 156 hours of November are left, in which 36 an hour are wanted.
    check("2026-11-24T12:00:00Z", 4_000.0, [12, 12]);
    check("2026-11-24T12:00:00Z", 4_540.0, [12, 11]);
    check("2026-11-24T12:00:00Z", 10_500.0, [10, 10]); // What runs is not taken away.
    check("2026-10-31T23:00:00Z", 10_500.0, [12, 12]); // That was last month.
}

#[test]
fn a_month_of_which_nothing_is_counted_has_its_mean_hours() {
    let check = |hourly: f64, expected: [u32; 2]| {
        check(&format!("guardrails: {{budget: {{monthly: {}}}}}\n", 730.0 * hourly), [60.0, 60.0], expected);
    };
    check(36.0, [12, 12]);
    check(35.0, [12, 11]);
}

#[test]
fn a_budget_takes_nothing_from_what_is_free() {
    let text = SHOP.replace("hourly_cost_per_unit: 1.0", "hourly_cost_per_unit: 0");
    let text = format!("{text}guardrails: {{budget: {{hourly: 22}}}}\n");
    let seen = [("db/desired", 10, Some(600.0)), ("web/desired", 10, Some(600.0))];
    let decisions = decided_of(&EMPTY, &text, &seen);
    assert_eq!(decisions.iter().map(|decision| decision.target.unwrap().0).collect::<Vec<_>>(), [11, 12]);
}

#[test]
fn what_is_given_up_saves_its_own_price() {
    let text = SHOP.replace("hourly_cost_per_unit: 2.0", "hourly_cost_per_unit: 1").replace(": 1.0", ": 2");
    let text = format!("{text}guardrails: {{budget: {{hourly: 33}}}}\n");
    let seen = [("db/desired", 10, Some(600.0)), ("web/desired", 10, Some(600.0))];
    let decisions = decided_of(&EMPTY, &text, &seen);
    // Of 36 an hour three are too much: two servers of two each, and the database has all that it needs.
    assert_eq!(decisions.iter().map(|decision| decision.target.unwrap().0).collect::<Vec<_>>(), [12, 10]);
}

fn spent(counted_to: &str, amount: f64, unseen_hourly: f64) -> PlatformState {
    let counted_to = counted_to.parse().unwrap();
    let spend = Spend { amount, peak_hourly: 0.0, hourly: 0.0, unseen_hourly, counted_to };
    PlatformState { spend: Some(spend), ..PlatformState::default() }
}

#[test]
fn what_cannot_be_seen_takes_its_part_of_a_budget() {
    let check = |unseen_hourly: f64, expected: [u32; 2]| {
        let budget = "guardrails: {budget: {hourly: 40}}\n";
        let state = spent("2026-11-24T12:00:00Z", 0.0, unseen_hourly);
        let decisions = decided_after(&state, budget, [10, 10], [60.0, 60.0]);
        assert_eq!(decisions.iter().map(|decision| decision.target.unwrap().0).collect::<Vec<_>>(), expected);
    };
    check(0.0, [12, 12]);
    check(5.0, [12, 11]);
}

#[test]
fn a_decision_says_what_it_costs_and_how_long_it_takes() {
    let decisions = decided("", [10, 10], [60.0, 40.0]);
    assert_eq!((decisions[0].cost_hourly_change, decisions[0].complete_in_s.is_some()), (4.0, true));
    assert_eq!((decisions[1].cost_hourly_change, decisions[1].complete_in_s), (-2.0, None));
    assert_eq!((decisions[0].cost_hourly, decisions[1].cost_hourly), (20.0, 10.0));
}

#[test]
fn a_decision_says_what_a_thousand_of_a_counted_load_cost() {
    let text = "configuration_name: shop
scaling_groups:
  rank:
    resources:
      - {type: SAGEMAKER_ENDPOINT, name: ranking, variant: AllTraffic, min_capacity: 1, max_capacity: 20, target_invocations: 600,
        hourly_cost_per_unit: 0.6}
  data:
    resources:
      - {type: DYNAMODB_TABLE, name: users, read_capacity: {min: 5, max: 4000}, write_capacity: {min: 5, max: 4000},
        hourly_cost_per_unit: 0.36}
";
    let cost = |invocations: f64, reads: f64| {
        let seen = [("ranking/desired", 2, Some(invocations)), ("users/read", 10, Some(reads))];
        let decisions = decided_of(&EMPTY, text, &seen);
        let of = |key: &str| decisions.iter().find(|decision| decision.key == key.parse().unwrap()).unwrap();
        let of_thousand = |key: &str| of(key).cost_per_thousand.map(|cost| (cost * 1e6).round() / 1e6);
        [of_thousand("ranking/desired"), of_thousand("users/read")]
    };
    // Two instances cost 1.2 an hour, in which 200 a minute are 12,000; ten units 3.6, in which 2 a second are 7,200.
    assert_eq!(cost(200.0, 2.0), [Some(0.1), Some(0.5)]);
    assert_eq!(cost(0.0, 0.0), [None, None]);
    let free = text.replace("hourly_cost_per_unit: 0.6", "hourly_cost_per_unit: 0");
    let decisions = decided_of(&EMPTY, &free, &[("ranking/desired", 2, Some(200.0))]);
    assert!(
        decisions.iter().all(|decision| decision.cost_per_thousand.is_none()),
        "nothing that has a price was seen"
    );
}

#[test]
fn no_more_is_let_in_to_what_falls_short_or_is_not_seen() {
    let check = |most: u32, web: &[(&str, u32, Option<f64>)], expected: u32| {
        let text = format!(
            "configuration_name: shop
scaling_groups:
  web: {{resources: [{{type: ECS_SERVICE, name: web, min_capacity: 1, max_capacity: {most}, target_cpu_utilization: 50}}]}}
  edge: {{resources: [{{type: API_GATEWAY_STAGE, name: a1b2c3, stage: prod, api_name: shop, min_capacity: 1,
    max_capacity: 900, target_utilization: 50}}]}}
orchestration:
  rollout_phase: full
  dependencies: [{{source: edge, target: web}}]
"
        );
        let decisions = decided_of(&EMPTY, &text, &[web, &[("a1b2c3/throttle", 100, Some(60.0))]].concat());
        let throttle = decisions.iter().find(|decision| decision.group.0 == "edge").unwrap();
        assert_eq!(throttle.target, Some(Units(expected)), "{throttle:?}");
        let holds = throttle.reasons.iter().any(|reason| matches!(reason, Reason::Protects { .. }));
        assert_eq!(holds, expected == 100, "{throttle:?}");
    };
    let busy = [("web/desired", 10, Some(600.0))];
    check(12, &busy, 120);
    check(11, &busy, 100);
    check(12, &[("web/desired", 10, None)], 100);
    check(12, &[], 100);
}

#[test]
fn what_nobody_measures_lets_more_in() {
    let text = "configuration_name: shop
scaling_groups:
  web: {resources: [{type: SCALABLE_TARGET, name: web, service_namespace: cassandra, resource_id: keyspace/a/table/b,
    scalable_dimension: cassandra:table:ReadCapacityUnits, min_capacity: 1, max_capacity: 12}]}
  edge: {resources: [{type: API_GATEWAY_STAGE, name: a1b2c3, stage: prod, api_name: shop, min_capacity: 1,
    max_capacity: 900, target_utilization: 50}]}
orchestration:
  rollout_phase: full
  dependencies: [{source: edge, target: web}]
";
    let decisions = decided_of(&EMPTY, text, &[("a1b2c3/throttle", 100, Some(60.0))]);
    let throttle = decisions.iter().find(|decision| decision.group.0 == "edge").unwrap();
    assert_eq!(throttle.target, Some(Units(120)), "{throttle:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn nothing_together_enlarges_a_change_or_breaks_a_limit(
        set in [1_u32..40, 1_u32..40], cpu in [0.0..200.0, 0.0..200.0], hourly in 1.0..200.0,
    ) {
        let decisions = decided(&format!("guardrails: {{budget: {{hourly: {hourly}}}}}\n"), set, cpu);
        for decision in &decisions {
            let (from, to) = (decision.observed.unwrap(), decision.target.unwrap());
            let wanted = decision.wanted.unwrap_or(from);
            prop_assert!(from.min(wanted) <= to && to <= from.max(wanted), "{decision:?}");
        }
        prop_assert!(decisions[1].target.unwrap() <= Units(12.max(set[1])));
        let cost = |of: fn(&Decision) -> u32| 2.0 * f64::from(of(&decisions[0])) + f64::from(of(&decisions[1]));
        let out: f64 = cost(|decision| decision.target.unwrap().0);
        let floor = cost(|decision| decision.target.unwrap().min(decision.observed.unwrap()).0);
        prop_assert!(out <= hourly + 1e-9 || (out - floor).abs() < 1e-9, "{out} above {hourly}, {floor}");
    }
}

#[test]
fn a_cache_changes_its_replicas_or_its_shards_out_before_in() {
    let text = "configuration_name: shop
scaling_groups:
  data: {resources: [{type: ELASTICACHE_REPLICATION_GROUP, name: sessions, replicas: {min: 1, max: 5},
    shards: {min: 2, max: 20}}]}
orchestration: {rollout_phase: full}
";
    let targets = |replicas: f64, shards: f64| {
        let seen =
            [("sessions/replicas", 2, Some(2.0 * replicas)), ("sessions/shards", 10, Some(10.0 * shards))];
        let told = |decision: Decision| {
            let waits = decision.reasons.iter().any(|reason| matches!(reason, Reason::OneAtATime { .. }));
            (decision.target.unwrap().0, waits)
        };
        decided_of(&EMPTY, text, &seen).into_iter().map(told).collect::<Vec<_>>()
    };
    assert_eq!(targets(90.0, 70.0), [(3, false), (10, false)]);
    assert_eq!(targets(90.0, 90.0), [(3, false), (10, true)]);
    assert_eq!(targets(20.0, 90.0), [(2, true), (13, false)]);
    assert_eq!(targets(20.0, 20.0), [(1, false), (10, true)]);
}
