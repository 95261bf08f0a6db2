//! Figures about the scaling itself, as `monitoring.scaling_metrics` asks for them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value as Json;

use super::embedded::{Measured, PLATFORM, line};
use crate::alert::{Scaled, over};
use crate::platform::{Figure, Platform};
use crate::state::PlatformState;

/// Over how long events are counted and durations averaged.
const HOUR: std::time::Duration = std::time::Duration::from_secs(3_600);

/// The figures that the file asks for and that are known, in CloudWatch's embedded metric format; `None` when none is.
pub fn monitored(
    platform: &Platform,
    state: &PlatformState,
    scaled: &[Scaled],
    at: Timestamp,
) -> Option<Json> {
    let known = platform.monitoring.figures.iter().filter_map(|figure| {
        let (name, unit) = monitored_name(*figure);
        Some((name, unit, value(*figure, platform, state, scaled, at)?))
    });
    // A figure may be asked for by two names.
    let known: BTreeMap<&str, (&str, f64)> = known.map(|(name, unit, value)| (name, (unit, value))).collect();
    let metrics: Vec<Measured> =
        known.into_iter().map(|(name, (unit, value))| Measured { name, unit, value }).collect();
    (!metrics.is_empty()).then(|| line(&[(PLATFORM, platform.name.to_string())], &metrics, &[], at))
}

/// What a figure of the scaling itself is called in CloudWatch, and its unit.
pub fn monitored_name(figure: Figure) -> (&'static str, &'static str) {
    match figure {
        Figure::ScalingEvents => ("ScalingEventsPerHour", "Count"),
        Figure::ScalingDuration => ("AverageScalingDuration", "Seconds"),
        Figure::ScalingAccuracy => ("ScalingAccuracyPercentage", "Percent"),
        Figure::CostOptimization => ("CostOptimizationAchieved", "Percent"),
        Figure::CapacityCost => ("CapacityCostHourly", "None"),
    }
}

pub(super) fn value(
    figure: Figure,
    platform: &Platform,
    state: &PlatformState,
    scaled: &[Scaled],
    at: Timestamp,
) -> Option<f64> {
    match figure {
        Figure::ScalingEvents | Figure::ScalingDuration => over(figure, HOUR, scaled, at),
        Figure::ScalingAccuracy => {
            let figures = state.calibration.figures();
            (0 < figures.judged).then_some(figures.coverage * 100.0)
        }
        Figure::CostOptimization => Some(state.spend?.saved(&platform.zone)? * 100.0),
        Figure::CapacityCost => Some(state.spend?.hourly),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;
    use crate::state::{Calibration, Spend, Tally};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// The figures of a platform with this in its file, without the frame around them.
    fn told(monitoring: &str, state: &PlatformState, scaled: &[Scaled]) -> Option<String> {
        let text = format!(
            "configuration_name: shop
scaling_groups:
  web: {{resources: [{{type: ECS_SERVICE, name: web, min_capacity: 1, max_capacity: 9}}]}}
{monitoring}"
        );
        let platform = parse(&text).unwrap().platform;
        let mut line = monitored(&platform, state, scaled, at(43_200))?;
        let published = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap().len();
        let line = line.as_object_mut().unwrap();
        line.retain(|key, _| key != "_aws" && key != "Platform");
        assert_eq!(line.len(), published, "what is not declared is not a metric");
        let mut told: Vec<String> = line.iter().map(|(name, value)| format!("{name} {value}")).collect();
        // The order of a map is that of its kind, which another package's features may change.
        told.sort_unstable();
        Some(told.join(", "))
    }

    #[test]
    fn only_the_figures_that_are_asked_for_are_published() {
        let tally = Tally { judged: 40, inside: 36, ..Tally::default() };
        let state = PlatformState {
            calibration: Calibration(vec![tally]),
            spend: Some(Spend {
                amount: 30.0,
                peak_hourly: 4.0,
                hourly: 4.0,
                unseen_hourly: 0.0,
                counted_to: at(43_200),
            }),
            ..PlatformState::default()
        };
        let cycle = |second: i64, steps: u32| Scaled {
            cycle: "a".into(),
            at: at(second),
            steps,
            seconds: f64::from(steps) * 90.0,
        };
        let scaled = [cycle(39_000, 5), cycle(40_000, 3)];
        assert_eq!(
            told("", &state, &scaled).unwrap(),
            "AverageScalingDuration 90.0, CapacityCostHourly 4.0, CostOptimizationAchieved 37.5, \
             ScalingAccuracyPercentage 90.0, ScalingEventsPerHour 3.0"
        );
        let some = "monitoring: {scaling_metrics: [scaling_events_per_hour, cost_optimization_achieved]}";
        assert_eq!(
            told(some, &state, &scaled).unwrap(),
            "CostOptimizationAchieved 37.5, ScalingEventsPerHour 3.0"
        );
        assert_eq!(told("monitoring: {scaling_metrics: []}", &state, &scaled), None);
        // What nobody knows yet is not zero, but that nothing was scaled is.
        assert_eq!(told("", &PlatformState::default(), &[]).unwrap(), "ScalingEventsPerHour 0.0");
    }
}
