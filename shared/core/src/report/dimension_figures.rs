//! Figures of single dimensions, for groups that ask for them: each is a metric that CloudWatch bills.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};

use super::embedded::{DIMENSION, Measured, PLATFORM, line};
use crate::decide::Decision;
use crate::name::DimensionKey;
use crate::observe::Observation;
use crate::platform::{Dimension, Metric, Place, Platform};
use crate::state::{LeadWindows, PlatformState};
use crate::units::{Direction, Units};

/// A figure of one dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DimensionFigure {
    /// The mean load of the last cycle, of the first metric that is forecast.
    Load,
    /// Nineteen of twenty outcomes should be above this load. It stands at the time that it was forecast for, as do the others.
    ForecastLow,
    /// Half of the outcomes should be below this load.
    ForecastMiddle,
    /// Nineteen of twenty outcomes should be below this load.
    ForecastHigh,
    /// Units that the load needs.
    UnitsNeeded,
    /// Units wanted within the bounds.
    UnitsWanted,
    /// Units set.
    UnitsSet,
    /// Units ready.
    UnitsReady,
    /// Minutes of the last cycle in which the load was above what the ready units carry.
    ShortMinutes,
}

impl DimensionFigure {
    /// All there are.
    pub const ALL: [DimensionFigure; 9] = [
        DimensionFigure::Load,
        DimensionFigure::ForecastLow,
        DimensionFigure::ForecastMiddle,
        DimensionFigure::ForecastHigh,
        DimensionFigure::UnitsNeeded,
        DimensionFigure::UnitsWanted,
        DimensionFigure::UnitsSet,
        DimensionFigure::UnitsReady,
        DimensionFigure::ShortMinutes,
    ];

    /// The metric's name in CloudWatch.
    pub fn name(self) -> &'static str {
        match self {
            DimensionFigure::Load => "Load",
            DimensionFigure::ForecastLow => "ForecastLow",
            DimensionFigure::ForecastMiddle => "ForecastMiddle",
            DimensionFigure::ForecastHigh => "ForecastHigh",
            DimensionFigure::UnitsNeeded => "UnitsNeeded",
            DimensionFigure::UnitsWanted => "UnitsWanted",
            DimensionFigure::UnitsSet => "UnitsSet",
            DimensionFigure::UnitsReady => "UnitsReady",
            DimensionFigure::ShortMinutes => "ShortMinutes",
        }
    }

    /// Whether it says something of a load that is forecast, which not every dimension has.
    pub fn is_of_load(self) -> bool {
        !matches!(
            self,
            DimensionFigure::UnitsNeeded
                | DimensionFigure::UnitsWanted
                | DimensionFigure::UnitsSet
                | DimensionFigure::UnitsReady
        )
    }

    /// The figures that a dimension can have.
    pub fn of(dimension: &Dimension) -> impl Iterator<Item = DimensionFigure> {
        let is_foreseen = foreseen(dimension).is_some();
        let served = DimensionFigure::ALL.into_iter().filter(|_| dimension.facts.is_served);
        served.filter(move |figure| is_foreseen || !figure.is_of_load())
    }
}

/// The load that the figures of a dimension are about: its first metric that is forecast.
pub fn foreseen(dimension: &Dimension) -> Option<&Metric> {
    dimension.metrics.iter().find(|metric| metric.measure.is_foreseen() && metric.query.is_some())
}

/// The figures of all dimensions whose group asks for them, in CloudWatch's embedded metric format. What is not known is left
/// out. Beside the figures stands how it was decided, for those who search the log.
pub fn of_dimensions(
    platform: &Platform,
    observations: &BTreeMap<DimensionKey, Observation>,
    decisions: &[Decision],
    state: &PlatformState,
    at: Timestamp,
) -> Vec<Json> {
    let due = due(platform, state, at);
    let decided = platform.dimensions().zip(decisions);
    let asked =
        decided.filter(|(place, _)| platform.monitoring.dimension_metrics.contains(&place.group.name));
    let lines = asked.flat_map(|(place, decision)| {
        let now = now(place, observations.get(&place.dimension.key), decision);
        let told = decided_line(platform, place, decision, &now, at);
        let later = later(place, decision);
        let due = due.filter(|_| !later.is_empty());
        [Some(told), due.map(|due| line(&names(platform, place), &later, &[], due))]
    });
    lines.flatten().collect()
}

/// When what is expected now will be measured: in the cycle that judges this one. CloudWatch takes no metric of a time more than
/// two hours away.
fn due(platform: &Platform, state: &PlatformState, at: Timestamp) -> Option<Timestamp> {
    const AHEAD_MAX: SignedDuration = SignedDuration::from_mins(115);
    let delay = SignedDuration::try_from(LeadWindows::of(platform, state).judging_delay()).ok()?;
    at.checked_add(delay).ok().filter(|_| delay <= AHEAD_MAX)
}

fn names<'a>(platform: &'a Platform, place: Place<'a>) -> [(&'static str, String); 2] {
    [(PLATFORM, platform.name.to_string()), (DIMENSION, place.dimension.key.to_string())]
}

/// What is known now, of what was seen and decided.
fn now(place: Place<'_>, seen: Option<&Observation>, decision: &Decision) -> Vec<Measured> {
    let load = foreseen(place.dimension).and_then(|metric| seen?.load(&metric.name));
    let units = |units: Option<Units>| units.map(Units::real);
    measured([
        (DimensionFigure::Load, load.map(|load| load.mean)),
        (DimensionFigure::UnitsNeeded, units(decision.needed)),
        (DimensionFigure::UnitsWanted, units(decision.wanted)),
        (DimensionFigure::UnitsSet, units(decision.observed)),
        (DimensionFigure::UnitsReady, units(decision.ready)),
        (DimensionFigure::ShortMinutes, seen.and_then(|seen| seen.short_minutes).map(f64::from)),
    ])
}

/// What is expected of the load when it is judged.
fn later(place: Place<'_>, decision: &Decision) -> Vec<Measured> {
    let metric = foreseen(place.dimension);
    let of = |name: &str| decision.expected.iter().find(|expected| expected.metric == name);
    let Some(expected) = metric.and_then(|metric| of(&metric.name)) else { return Vec::new() };
    measured([
        (DimensionFigure::ForecastLow, Some(expected.low)),
        (DimensionFigure::ForecastMiddle, expected.middle),
        (DimensionFigure::ForecastHigh, Some(expected.high)),
    ])
}

fn measured<const N: usize>(known: [(DimensionFigure, Option<f64>); N]) -> Vec<Measured> {
    let unit = |figure| if figure == DimensionFigure::ShortMinutes { "Count" } else { "None" };
    let of = |(figure, value): (DimensionFigure, Option<f64>)| {
        Some(Measured { name: figure.name(), unit: unit(figure), value: value? })
    };
    known.into_iter().filter_map(of).collect()
}

/// The figures of now with how it was decided beside them. `Reason` is the last one, with which the decision stands.
fn decided_line(
    platform: &Platform,
    place: Place<'_>,
    decision: &Decision,
    now: &[Measured],
    at: Timestamp,
) -> Json {
    let change = match decision.direction() {
        Some(Direction::Out) => "out",
        Some(Direction::In) => "in",
        None => "hold",
    };
    let reason = decision.reasons.last().and_then(|reason| serde_json::to_value(reason).ok());
    let code = reason.and_then(|reason| reason.get("code").cloned());
    let fields = [
        ("Group", json!(place.group.name)),
        ("Change", json!(change)),
        ("Reason", code.unwrap_or(Json::Null)),
    ];
    line(&names(platform, place), now, &fields, at)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::config::parse;
    use crate::decide::Expected;
    use crate::observe::{Capacity, Load, Observed, Reading};
    use crate::reason::Reason;

    const FILE: &str = "configuration_name: shop
scaling_groups:
  web: {resources: [{type: EC2_AUTO_SCALING_GROUP, name: web, min_capacity: 1, max_capacity: 9, provisioning_seconds: 180}]}
  app: {resources: [{type: ECS_SERVICE, name: api, min_capacity: 1, max_capacity: 9}]}
";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn platform(more: &str) -> Platform {
        parse(&format!("{FILE}{more}")).unwrap().platform
    }

    fn seen(key: &DimensionKey) -> Observation {
        let load = Load { mean: 300.0, peak: 330.0, at: at(3_600), saturated: false, over_s: 0 };
        Observation {
            key: key.clone(),
            capacity: Observed::Known(Capacity { set: Units(5), ready: Units(4), ..Capacity::default() }),
            readings: vec![Reading { metric: "cpu".into(), load: Observed::Known(load) }],
            short_minutes: Some(2),
        }
    }

    fn decided(place: Place<'_>) -> Decision {
        let units = |units| Some(Units(units));
        Decision {
            observed: units(5),
            ready: units(4),
            needed: units(7),
            wanted: units(7),
            target: units(6),
            expected: vec![Expected { metric: "cpu".into(), low: 250.0, high: 400.0, middle: Some(310.0) }],
            reasons: vec![Reason::NothingMeasured, Reason::Enough { set: Units(5) }],
            ..Decision::undecided(place)
        }
    }

    /// The lines, each with its time and its keys in order.
    fn told(platform: &Platform) -> String {
        let observations =
            platform.dimensions().map(|place| (place.dimension.key.clone(), seen(&place.dimension.key)));
        let observations = observations.collect();
        let decisions: Vec<Decision> = platform.dimensions().map(decided).collect();
        let lines = of_dimensions(platform, &observations, &decisions, &PlatformState::default(), at(3_600));
        let line = |line: &Json| {
            let names: Vec<&str> = line["_aws"]["CloudWatchMetrics"][0]["Metrics"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(|metric| metric["Name"].as_str())
                .collect();
            assert!(names.iter().all(|name| line[*name].is_number()), "declared and not there: {line}");
            let mut fields: Vec<String> = line
                .as_object()
                .unwrap()
                .iter()
                .filter(|(key, _)| *key != "_aws")
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            fields.sort_unstable();
            format!("{} {}\n", line["_aws"]["Timestamp"].as_i64().unwrap() / 1_000, fields.join(" "))
        };
        lines.iter().map(line).collect()
    }

    #[test]
    fn only_the_groups_that_ask_for_them_have_figures() {
        assert_eq!(told(&platform("")), "");
        expect![[r#"
            3600 Change="out" Dimension="web/desired" Group="web" Load=300.0 Platform="shop" Reason="enough" ShortMinutes=2.0 UnitsNeeded=7.0 UnitsReady=4.0 UnitsSet=5.0 UnitsWanted=7.0
            4080 Dimension="web/desired" ForecastHigh=400.0 ForecastLow=250.0 ForecastMiddle=310.0 Platform="shop"
        "#]].assert_eq(&told(&platform("monitoring: {dimension_metrics: [web]}")));
    }

    #[test]
    fn what_is_expected_after_two_hours_is_left_out() {
        let slow = "monitoring: {dimension_metrics: [web]}\npredictive: {prediction_horizon: 6h, scheduling_buffer: 3h}\n";
        let told = told(&platform(slow));
        assert!(told.contains("Load=300") && !told.contains("Forecast"), "{told}");
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let platform = platform("monitoring: {dimension_metrics: [web]}");
        let decisions: Vec<Decision> = platform.dimensions().map(Decision::undecided).collect();
        let lines = of_dimensions(&platform, &BTreeMap::new(), &decisions, &PlatformState::default(), at(0));
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].get("_aws"), None);
        assert_eq!((&lines[0]["Change"], &lines[0]["Reason"]), (&json!("hold"), &Json::Null));
    }
}
