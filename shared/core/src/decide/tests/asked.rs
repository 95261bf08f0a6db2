//! What is too small to be worth a change, and what is asked for and never is: steps, latency, throttles, breakers, people.

use super::*;

#[test]
fn a_few_units_among_hundreds_are_not_worth_a_change() {
    let large = Case { platform: web_up_to(4_000, FULL), set: 1_000, ..case(FULL) };
    Case { cpu: Some(50.5), ..large.clone() }.check("hold 1000: no_forecast measured_load minor");
    Case { cpu: Some(51.0), ..large.clone() }.check("1000 -> 1020 by Reactive: no_forecast measured_load");
    Case { cpu: Some(48.5), ..large.clone() }.check("1000 -> 970 by Reactive: no_forecast measured_load");
    Case { cpu: Some(49.0), ..large }.check("hold 1000: no_forecast measured_load minor");
}

/// A group of up to 4,000 that nothing but its load should hold still.
fn large(rest: &str) -> Case {
    let policy = "    scaling_policies:
      - {type: step, metric: CPUUtilization, cooldown: 0, steps: [{above: 50.5, add: 1}, {below: 49.5, remove: 1}]}
";
    Case { platform: web_up_to(4_000, &format!("{policy}{FULL}{rest}")), set: 1_000, ..case(FULL) }
}

#[test]
fn what_is_asked_for_is_never_too_small() {
    let quiet = large("");
    // A step policy's one unit: alone, and beside a load that needs a few more.
    Case { cpu: Some(50.5), ..quiet.clone() }.check("1000 -> 1010 by Reactive: no_forecast measured_load");
    Case { cpu: Some(49.4), ..quiet.clone() }.check("1000 -> 999 by Reactive: no_forecast step_policy_in");
    // An event, and a person's floor.
    large("calendar: [{name: sale, cron: '0 0 * * *', duration: 1d, floor: 1001}]\n")
        .check("1000 -> 1001 by Scheduled: no_forecast event_floor");
    let sale = large("calendar: [{name: sale, cron: '0 0 * * *', duration: 1d, floor: 1001}]\n");
    Case { cpu: Some(50.4), ..sale }.check("1000 -> 1008 by Reactive: no_forecast measured_load");
    let mut asked = quiet.clone();
    asked.state.requests.overrides.push(Override {
        key: "web/desired".parse().unwrap(),
        units: Units(1_001),
        until: now() + SignedDuration::from_secs(60),
        by: "ana".into(),
    });
    asked.check("1000 -> 1001 by Scheduled: no_forecast override");
    Case { manual: Some(999), ..quiet.clone() }.check("1000 -> 999 by Manual: no_forecast manual");
    // Without any of these it is noise.
    Case { cpu: Some(50.4), ..quiet.clone() }.check("hold 1000: no_forecast measured_load minor");
    // Bounds that cut a large change short leave a small part, and a capacity outside of them comes back.
    Case { cpu: Some(80.0), set: 3_990, ..quiet.clone() }
        .check("3990 -> 4000 by Reactive: no_forecast measured_load bounds");
    Case { set: 4_010, ..quiet }.check("4010 -> 4000 by Reactive: no_forecast measured_load bounds");
}

#[test]
fn a_breaker_tries_one_unit_of_a_large_capacity_and_closes() {
    let key: DimensionKey = "web/desired".parse().unwrap();
    let failed = Breaker { failures: 3, failed_at: Some(now() - SignedDuration::from_secs(1_801)) };
    let mut low = Case { cpu: Some(30.0), ..large("") };
    low.platform.groups[0].policy.steps.clear();
    low.state.breakers = BTreeMap::from([("web".into(), failed)]);
    low.check("1000 -> 999 by Reactive: no_forecast measured_load breaker_half_open");
    // Where AWS counts changes, the whole change is what has to be worth one.
    let mut counted = low.clone();
    counted.platform.groups[0].resources[0].dimensions[0].facts.daily_limit =
        Some(DailyLimit::Changes { daily: 10 });
    counted.state.counted =
        BTreeMap::from([(key, (0..5).map(|nth| now() - SignedDuration::from_secs(28_800 + nth)).collect())]);
    counted.check("1000 -> 999 by Reactive: no_forecast measured_load breaker_half_open");
    let mut decreases = low;
    decreases.platform.groups[0].resources[0].dimensions[0].facts.daily_limit =
        Some(DailyLimit::Decreases { daily: 4, then_every_s: 3_600 });
    decreases.decreases_left = Some(1);
    decreases.check("1000 -> 999 by Reactive: no_forecast measured_load breaker_half_open");
}

/// A group whose units are ready, with this latency for so long, above a limit of one second.
fn slow(set: u32, ready: u32, latency: f64, over_s: u32) -> Decision {
    let text = format!(
        "configuration_name: shop
scaling_groups:
  web:
    resources:
      - type: EC2_AUTO_SCALING_GROUP
        name: web
        min_capacity: 2
        max_capacity: 4000
        metrics:
          - {{name: cpu, kind: utilization, namespace: shop, target_value: 50}}
          - {{name: slow, kind: latency, namespace: shop, target_value: 1}}
{FULL}"
    );
    let platform = parse(&text).unwrap().platform;
    let key: DimensionKey = "web/desired".parse().unwrap();
    let reading = |metric: &str, load: f64, over_s: u32| Reading {
        metric: metric.into(),
        load: Observed::Known(Load { mean: load, peak: load, at: now(), saturated: false, over_s }),
    };
    let readings = vec![reading("cpu", 50.0 * f64::from(ready), 0), reading("slow", latency, over_s)];
    let capacity = Capacity { set: Units(set), ready: Units(ready), ..Capacity::default() };
    let seen =
        Observation { key: key.clone(), capacity: Observed::Known(capacity), readings, short_minutes: None };
    decide(&World {
        platform: &platform,
        now: now(),
        observations: &BTreeMap::from([(key, seen)]),
        forecasts: &BTreeMap::new(),
        changes: &[],
        manual: &BTreeMap::new(),
        state: &EMPTY,
    })
    .remove(0)
}

#[test]
fn latency_asks_for_more_the_further_and_the_longer_it_is_above_its_limit() {
    let target = |set, ready, latency, over_s| slow(set, ready, latency, over_s).target.unwrap().0;
    assert_eq!(target(100, 100, 1.0, 0), 100);
    // How far: a quarter more at twice the limit, and no more beyond.
    assert_eq!(
        [1.01, 1.1, 1.2, 2.0, 9.0].map(|latency| target(100, 100, latency, 300)),
        [101, 103, 105, 125, 125]
    );
    // How long: as much again every five minutes, for twenty.
    assert_eq!(
        [60, 600, 900, 1_200, 9_000].map(|over_s| target(100, 100, 1.2, over_s)),
        [105, 110, 115, 120, 120]
    );
    // Never nothing: one of a thousand is no trifle here, and one of few is a unit.
    assert_eq!(target(1_000, 1_000, 1.001, 0), 1_001);
    assert_eq!(target(2, 2, 1.01, 60), 3);
    // What is on its way counts, and steps do not pile up while it starts.
    assert_eq!(target(120, 100, 1.2, 600), 121);
    let told = slow(10, 10, 1.2, 600).reasons;
    let told: Vec<String> = told.iter().map(ToString::to_string).collect();
    assert!(
        told.contains(&"slow is 1.200, above its limit 1.000 for 10m, which asks for 11 units".to_owned()),
        "{told:?}"
    );
}

#[test]
fn a_stored_latency_of_earlier_versions_still_reads() {
    let stored = r#"{"code": "latency", "metric": "slow", "value": 1.2, "limit": 1.0}"#;
    let reason: Reason = serde_json::from_str(stored).unwrap();
    assert_eq!(reason.to_string(), "slow is 1.200, above its limit 1.000: one step more");
}

#[test]
fn a_table_that_is_throttled_rises_in_proportion_whatever_its_size_and_forecast() {
    let text = format!(
        "configuration_name: shop
scaling_groups:
  data: {{resources: [{{type: DYNAMODB_TABLE, name: users, read_capacity: {{min: 5, max: 40000}}}}]}}
{FULL}"
    );
    let platform = parse(&text).unwrap().platform;
    let key: DimensionKey = "users/read".parse().unwrap();
    // All that is provisioned is consumed in the newest minute, and three quarters of it in the mean of the cycle.
    let decision = |set: u32, foreseen: Option<f64>| {
        let (mean, peak) = (f64::from(set) * 0.75, f64::from(set));
        let load = Load { mean, peak, at: now(), saturated: true, over_s: 0 };
        let readings = vec![Reading { metric: "consumed".into(), load: Observed::Known(load) }];
        let capacity = Capacity { set: Units(set), ready: Units(set), ..Capacity::default() };
        let seen = Observation {
            key: key.clone(),
            capacity: Observed::Known(capacity),
            readings,
            short_minutes: None,
        };
        let none = MetricForecast::none("consumed", NoForecast::Stale { age_s: 0 });
        let made = foreseen.map(|load| MetricForecast { lead: Some(any_world::lead(load)), ..none });
        decide(&World {
            platform: &platform,
            now: now(),
            observations: &BTreeMap::from([(key.clone(), seen)]),
            forecasts: &BTreeMap::from([(key.clone(), made.into_iter().collect())]),
            changes: &[],
            manual: &BTreeMap::new(),
            state: &EMPTY,
        })
        .remove(0)
    };
    for set in [7, 70, 700, 7_000] {
        // Seven tenths of ten are what is consumed.
        for foreseen in [None, Some(f64::from(set) * 0.1)] {
            let decision = decision(set, foreseen);
            assert_eq!(decision.target, Some(Units(set / 7 * 10)), "{decision:?}");
            assert!(decision.reasons.iter().any(|reason| matches!(reason, Reason::LowerBound { .. })));
        }
        // A forecast of more counts as before.
        assert!(Some(Units(set / 7 * 10)) < decision(set, Some(f64::from(set) * 1.5)).target);
    }
}
