//! Queues: units to keep up with what arrives, and more to work off the backlog in time.

use super::facts::{DemandFacts, MetricFacts};
use super::need::{DemandSource, Need, Needs, Pair};
use crate::observe::Load;
use crate::platform::{Measure, Metric};
use crate::reason::Reason;
use crate::units::Units;

/// While a backlog is worked off, arrivals count with their median. The safety margin for arrivals comes from the lead window,
/// which counts whether there is a backlog or not.
const LEVEL: f64 = 0.5;

/// What arrives beside a backlog, in the unit of its own metric.
struct Arrivals {
    /// To scale out for, and to keep units for.
    load: (f64, f64),
    /// What one unit carries of it.
    per_unit: f64,
    /// Seconds that one value counts over.
    counted_s: f64,
}

/// What a queue needs. Its backlog always counts as measured: forecasts are of what arrives, not of what waits.
pub(super) fn backlog(facts: &DemandFacts<'_>, metric: &MetricFacts<'_>) -> Needs {
    let Some(backlog) = metric.load else { return Needs::default() };
    // Arrivals that are forecast have the limits of a forecast.
    let foreseen = foreseen(facts);
    let predictive =
        foreseen.and_then(|arrivals| pair(&metric.metric, backlog, Some(&arrivals), DemandSource::Hybrid));
    let arrivals = arriving(facts);
    let reactive = pair(&metric.metric, backlog, arrivals.as_ref(), DemandSource::Reactive);
    Needs {
        measured: reactive.as_ref().map(|pair| pair.out.units),
        at_target: reactive.as_ref().map(|pair| pair.keep.units),
        predictive,
        reactive,
        ..Needs::default()
    }
}

/// What is expected to arrive until new capacity is ready, where that is known.
fn foreseen(facts: &DemandFacts<'_>) -> Option<Arrivals> {
    let metric = &*facts.planned(facts.place.dimension.arrivals()?);
    let lead = facts.lead(metric)?.ok()?;
    let load = (lead.arrival.quantile(LEVEL), lead.whole.quantile(LEVEL));
    let per_unit = metric.measure.carried_per_unit()?;
    Some(Arrivals { load: (load.0, load.0.max(load.1)), per_unit, counted_s: metric.counted_s()? })
}

/// What arrives now.
fn arriving(facts: &DemandFacts<'_>) -> Option<Arrivals> {
    let metric = &*facts.planned(facts.place.dimension.arrivals()?);
    let counted_s = metric.counted_s()?;
    let load = facts.load(metric).ok()?;
    let per_unit = metric.measure.target_per_unit()?;
    Some(Arrivals { load: (load.mean * facts.rise, load.peak * facts.rise), per_unit, counted_s })
}

fn pair(queue: &Metric, backlog: &Load, arrivals: Option<&Arrivals>, source: DemandSource) -> Option<Pair> {
    let Measure::QueueDepth { target_per_unit, drain } = queue.measure else { return None };
    let need = |backlog: f64, arriving: Option<f64>| {
        let (units, per_unit) = match arrivals.zip(arriving) {
            Some((Arrivals { per_unit, counted_s, .. }, arriving)) => {
                let drained = backlog / (drain.as_secs_f64() / counted_s);
                ((arriving + drained) / per_unit, *per_unit)
            }
            None => (backlog / target_per_unit, target_per_unit),
        };
        let (needed, drain_s) = (Units::at_least(units), drain.as_secs());
        let metric = queue.name.clone();
        let reason = Reason::Backlog { metric, backlog, arriving, drain_s, per_unit, needed };
        Need { units: needed, source, reason }
    };
    let out = need(backlog.mean, arrivals.map(|arrivals| arrivals.load.0));
    let keep = need(backlog.peak, arrivals.map(|arrivals| arrivals.load.1));
    Some(Pair { out, keep })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use headroom_forecast::NoForecast;
    use jiff::Timestamp;
    use serde_json::json;

    use crate::config::parse;
    use crate::decide::decide;
    use crate::forecast::MetricForecast;
    use crate::name::DimensionKey;
    use crate::observe::{Capacity, Load, Observation, Observed, Reading};
    use crate::state::EMPTY;
    use crate::units::Units;
    use crate::world::World;

    const ORDERS: &str = "{name: orders, kind: load, target_per_unit: 60}";

    /// Ten workers with these metrics and loads, each a mean and a peak: what is decided, and the reasons but for forecasts.
    fn told(metrics: &str, loads: &[(&str, Option<(f64, f64)>)]) -> String {
        told_with(metrics, loads, Vec::new())
    }

    fn told_with(
        metrics: &str,
        loads: &[(&str, Option<(f64, f64)>)],
        forecasts: Vec<MetricForecast>,
    ) -> String {
        told_where("", metrics, loads, forecasts)
    }

    fn told_where(
        more: &str,
        metrics: &str,
        loads: &[(&str, Option<(f64, f64)>)],
        forecasts: Vec<MetricForecast>,
    ) -> String {
        let text = format!(
            "configuration_name: shop
scaling_groups:
  work: {{resources: [{{type: ECS_SERVICE, name: work, min_capacity: 1, max_capacity: 90, metrics: [{metrics}]}}]}}
orchestration: {{rollout_phase: full}}
{more}"
        );
        let platform = parse(&text).unwrap().platform;
        let key: DimensionKey = "work/desired".parse().unwrap();
        let at: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let reading = |(metric, load): &(&str, Option<(f64, f64)>)| Reading {
            metric: (*metric).to_owned(),
            load: match load {
                Some((mean, peak)) => {
                    Observed::Known(Load { mean: *mean, peak: *peak, at, saturated: false, over_s: 0 })
                }
                None => Observed::Unknown(format!("{metric} has no points")),
            },
        };
        let capacity = Capacity { set: Units(10), ready: Units(10), ..Capacity::default() };
        let readings = loads.iter().map(reading).collect();
        let seen = Observation {
            key: key.clone(),
            capacity: Observed::Known(capacity),
            readings,
            short_minutes: None,
        };
        let decision = decide(&World {
            platform: &platform,
            now: at,
            observations: &BTreeMap::from([(key.clone(), seen)]),
            forecasts: &BTreeMap::from([(key, forecasts)]),
            changes: &[],
            manual: &BTreeMap::new(),
            state: &EMPTY,
        })
        .remove(0);
        let reasons = decision.reasons.iter().map(ToString::to_string);
        let reasons: Vec<String> = reasons.filter(|reason| !reason.contains("no forecast")).collect();
        format!("{} -> {}: {}", decision.observed.unwrap(), decision.target.unwrap(), reasons.join("; "))
    }

    fn check(metrics: &str, loads: &[(&str, Option<(f64, f64)>)], expected: &str) {
        assert_eq!(told(metrics, loads), expected);
    }

    fn queue(drain: &str) -> String {
        format!("{{name: jobs, kind: queue_depth, target_per_unit: 100, drain_time: {drain}}}")
    }

    #[test]
    fn what_waits_is_worked_off_in_time_beside_what_arrives() {
        let loads = [("orders", Some((540.0, 540.0))), ("jobs", Some((3_000.0, 3_000.0)))];
        // 3,000 in ten minutes are 300 a minute: 840 in all.
        check(
            &format!("{ORDERS}, {}", queue("10m")),
            &loads,
            "10 -> 14: jobs: 540.0 arrive and 3000 wait; to keep up and have these gone within 10m needs 14 units at 60.0 each",
        );
        check(
            &format!("{ORDERS}, {}", queue("50m")),
            &loads,
            "10 -> 10: jobs: 540.0 arrive and 3000 wait; to keep up and have these gone within 50m needs 10 units at 60.0 each; \
             10 units are what is needed",
        );
    }

    /// Orders that will all but certainly be so many, so that their quantiles are the same.
    fn foreseen(orders: f64, confidence: f64) -> Vec<MetricForecast> {
        let tail = json!({"body": [0.0], "from": 1.0, "share": 0.0, "shape": 0.0, "size": 1e-6});
        let spread = json!({"unit": 1.0, "location": orders.ln_1p(), "scale": 1e-9, "tail": tail});
        let lead = json!({
            "from": "2026-11-24T12:00:00Z", "ready": "2026-11-24T12:01:00Z", "until": "2026-11-24T12:06:00Z",
            "arrival": spread, "whole": spread, "confidence": confidence,
        });
        let lead = Some(serde_json::from_value(lead).unwrap());
        let none = MetricForecast::none("orders", NoForecast::Stale { age_s: 0 });
        vec![MetricForecast { lead, ..none }]
    }

    #[test]
    fn arrivals_that_are_only_foreseen_add_no_more_than_forecasts_may() {
        let metrics = format!("{ORDERS}, {}", queue("10m"));
        let loads = [("orders", Some((90.0, 90.0))), ("jobs", Some((0.0, 0.0)))];
        let told = told_with(&metrics, &loads, foreseen(6_000.0, 1.0));
        assert!(told.starts_with("10 -> 30: "), "{told}");
        let told =
            told_with(&metrics, &[loads[0], ("jobs", Some((9_000.0, 9_000.0)))], foreseen(6_000.0, 1.0));
        assert!(told.starts_with("10 -> 30: "), "{told}");
    }

    #[test]
    fn a_floor_does_not_open_the_way_in_for_a_forecast_that_is_not_trusted() {
        let floor = "calendar: [{name: sale, cron: '0 0 * * *', duration: 1d, floor: 5}]\n";
        let told = |confidence: f64| {
            told_where(floor, ORDERS, &[("orders", Some((480.0, 480.0)))], foreseen(60.0, confidence))
        };
        assert!(told(0.95).starts_with("10 -> 5: "), "{}", told(0.95));
        assert!(told(0.75).starts_with("10 -> 8: "), "{}", told(0.75));
    }

    #[test]
    fn without_forecast_and_fallback_nothing_is_taken_away() {
        let off = "predictive: {fallback: {reactive: false}}\n";
        let metrics = format!("{ORDERS}, {}", queue("10m"));
        let loads = [("orders", Some((90.0, 90.0))), ("jobs", Some((0.0, 0.0)))];
        for metrics in
            [metrics.as_str(), &format!("{ORDERS}, {{name: slow, kind: latency, target_value: 0.5}}")]
        {
            let loads = [loads[0], loads[1], ("slow", Some((0.1, 0.1)))];
            let told = told_where(off, metrics, &loads, Vec::new());
            assert!(told.starts_with("10 -> 10: "), "{told}");
            // The measured load may, where it may step in.
            let told = told_with(metrics, &loads, Vec::new());
            assert!(told.starts_with("10 -> 2: ") || told.starts_with("10 -> 5: "), "{told}");
        }
    }

    #[test]
    fn arrivals_are_those_of_the_lead_window_where_it_is_known() {
        let forecasts = foreseen(600.0, 1.0);
        let metrics = format!(
            "{{name: orders, kind: load, target_per_unit: 60, limit_per_unit: 80}}, {}",
            queue("10m")
        );
        let loads = |waiting: f64| [("orders", Some((90.0, 90.0))), ("jobs", Some((waiting, waiting)))];
        let told = told_with(&metrics, &loads(3_000.0), forecasts.clone());
        assert_eq!(
            told,
            "10 -> 12: jobs: 600.0 arrive and 3000 wait; to keep up and have these gone within 10m needs 12 units at 80.0 each"
        );
        // Nothing waits: what arrives is bought by its chance, as without a queue.
        let told = told_with(&metrics, &loads(0.0), forecasts);
        assert!(told.starts_with("10 -> 8: orders: "), "{told}");
    }

    #[test]
    fn the_order_of_the_metrics_does_not_matter_and_a_trifle_costs_no_unit() {
        let loads = [("jobs", Some((3.0, 3.0))), ("orders", Some((590.0, 590.0)))];
        let told = told(&format!("{}, {ORDERS}", queue("5m")), &loads);
        assert!(told.starts_with("10 -> 10: "), "{told}");
    }

    #[test]
    fn a_backlog_alone_counts_by_its_target() {
        let shrinking = [("jobs", Some((400.0, 1_000.0)))];
        check(
            &queue("5m"),
            &[("jobs", Some((1_200.0, 1_200.0)))],
            "10 -> 12: jobs: 1200 wait, which needs 12 units at 100.0 each, to be gone within 5m",
        );
        // What it was at its largest needs ten until it is gone.
        let told = told(&queue("5m"), &shrinking);
        assert!(told.starts_with("10 -> 10: "), "{told}");
        // Arrivals that are unknown leave the target, and forbid to scale in.
        check(
            &format!("{ORDERS}, {}", queue("5m")),
            &[("orders", None), ("jobs", Some((300.0, 300.0)))],
            "10 -> 10: orders has no points; jobs: 300 wait, which needs 3 units at 100.0 each, to be gone within 5m; not \
             everything is known, so nothing is taken away",
        );
    }
}
