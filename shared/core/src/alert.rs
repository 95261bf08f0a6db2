//! Alerts: what an operator said about the scaling itself that should not become true.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::journal::{Entry, StepEvent, wave_end};
use crate::name::CycleId;
use crate::platform::{Alert, Comparison, Figure};
use crate::text::number;

/// What one cycle scaled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scaled {
    /// Which cycle.
    pub cycle: CycleId,
    /// When it settled.
    pub at: Timestamp,
    /// Steps that it carried out, those rolled back later included.
    pub steps: u32,
    /// For how long they took in all, each until its wave was over.
    pub seconds: f64,
}

impl Scaled {
    /// What a cycle scaled, from its journal; `None` when that is nothing.
    pub fn of(cycle: &CycleId, entries: &[Entry], at: Timestamp) -> Option<Scaled> {
        let made = entries.iter().filter(|entry| entry.when(StepEvent::Succeeded).is_some());
        let seconds: Vec<f64> = made.map(|entry| seconds(entry, entries, at)).collect();
        let steps = u32::try_from(seconds.len()).unwrap_or(u32::MAX);
        (0 < steps).then(|| Scaled { cycle: cycle.clone(), at, steps, seconds: seconds.iter().sum() })
    }
}

/// How long a step took, from its first call until its wave was over.
fn seconds(entry: &Entry, entries: &[Entry], settled_at: Timestamp) -> f64 {
    let over = wave_end(entries, entry.wave, settled_at);
    entry.began().map_or(0.0, |began| over.duration_since(began).as_secs_f64().max(0.0))
}

/// What was scaled so far and in this cycle, as far back as any alert looks. A cycle that settles twice counts once.
pub fn remember(past: &[Scaled], scaled: &Scaled) -> Vec<Scaled> {
    let others = past.iter().filter(|one| one.cycle != scaled.cycle);
    others.filter(|one| is_within(one, Alert::LOOK_BACK_MAX, scaled.at)).chain([scaled]).cloned().collect()
}

fn is_within(one: &Scaled, window: Duration, at: Timestamp) -> bool {
    let age = at.duration_since(one.at);
    !age.is_negative() && age.unsigned_abs() < window
}

/// An alert that this cycle made true.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Raised {
    /// Its name.
    pub name: String,
    /// The figure and its limit, as a sentence.
    pub sentence: String,
    /// What whoever reads it should do.
    pub action: Option<String>,
    /// Whether it lasts until somebody does something: it is then told once a day, and not once an hour.
    #[serde(default)]
    pub lasting: bool,
}

impl Raised {
    /// What begins the cause of one that lasts.
    pub const LASTING: &str = "lasting ";

    /// For which cause people are told of it.
    pub fn cause(&self) -> String {
        let prefix = if self.lasting { Raised::LASTING } else { "alert " };
        format!("{prefix}{}", self.name)
    }
}

/// An alert that a value makes true, if it does.
pub fn is_crossed(alert: &Alert, value: f64) -> Option<Raised> {
    holds(alert, value).then(|| Raised {
        name: alert.name.clone(),
        sentence: sentence(alert, value),
        action: alert.action.clone(),
        lasting: alert.figure.is_lasting(),
    })
}

/// The alerts that a cycle made true. One that was true without it has been told before.
pub fn raised(alerts: &[Alert], past: &[Scaled], scaled: &Scaled) -> Vec<Raised> {
    let now = remember(past, scaled);
    let before: Vec<Scaled> = now.iter().filter(|one| one.cycle != scaled.cycle).cloned().collect();
    let raise = |alert: &Alert| {
        let value = value(alert, &now, scaled.at)?;
        let told = self::value(alert, &before, scaled.at).is_some_and(|value| holds(alert, value));
        is_crossed(alert, value).filter(|_| !told)
    };
    alerts.iter().filter_map(raise).collect()
}

/// The alert's figure, over the time it looks back.
fn value(alert: &Alert, scaled: &[Scaled], at: Timestamp) -> Option<f64> {
    over(alert.figure, alert.window, scaled, at)
}

/// A figure of what was scaled, over a time until `at`; `None` where that does not tell it.
pub fn over(figure: Figure, window: Duration, scaled: &[Scaled], at: Timestamp) -> Option<f64> {
    let seen = || scaled.iter().filter(|one| is_within(one, window, at));
    let steps: f64 = seen().map(|one| f64::from(one.steps)).fold(0.0, |sum, steps| sum + steps);
    match figure {
        Figure::ScalingEvents => Some(steps),
        Figure::ScalingDuration => (0.0 < steps).then(|| seen().map(|one| one.seconds).sum::<f64>() / steps),
        Figure::ScalingAccuracy | Figure::CostOptimization | Figure::CapacityCost => None,
    }
}

fn holds(alert: &Alert, value: f64) -> bool {
    match alert.comparison {
        Comparison::Above => alert.limit < value,
        Comparison::AtLeast => alert.limit <= value,
        Comparison::Below => value < alert.limit,
        Comparison::AtMost => value <= alert.limit,
    }
}

fn sentence(alert: &Alert, value: f64) -> String {
    let (what, unit) = match alert.figure {
        Figure::ScalingEvents => ("scaling events", ""),
        Figure::ScalingDuration => ("the mean scaling duration", " s"),
        Figure::ScalingAccuracy => ("the scaling accuracy", " %"),
        Figure::CostOptimization => ("the cost saved", " %"),
        Figure::CapacityCost => ("the cost of the capacity an hour", ""),
    };
    let compared = match alert.comparison {
        Comparison::Above => "above",
        Comparison::AtLeast => "at or above",
        Comparison::Below => "below",
        Comparison::AtMost => "at or below",
    };
    let window = match alert.window.as_secs() {
        60 => "minute",
        3_600 => "hour",
        _ => "day",
    };
    let (value, limit) = (number(value), number(alert.limit));
    if alert.figure.is_lasting() {
        return format!("{what}: {value}{unit}, {compared} {limit}{unit}");
    }
    format!("{what} in the last {window}: {value}{unit}, {compared} {limit}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Step, StepId};
    use crate::platform::Mode;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn scaled(cycle: &str, second: i64, steps: u32, seconds: f64) -> Scaled {
        Scaled { cycle: cycle.into(), at: at(second), steps, seconds }
    }

    /// Alerts as they are written in a file.
    fn alerts(condition: &str) -> Vec<Alert> {
        let text = format!(
            "configuration_name: shop\nscaling_groups:\n  web: {{resources: [{{type: ECS_SERVICE, name: api, min_capacity: 1, max_capacity: 3}}]}}\nmonitoring: {{alerts: [{{name: A, condition: \"{condition}\", action: look}}]}}"
        );
        crate::config::parse(&text).unwrap().platform.monitoring.alerts
    }

    /// The newest of some cycles settles; what is raised?
    fn check(condition: &str, cycles: &[Scaled], expected: &str) {
        let (last, past) = cycles.split_last().unwrap();
        let raised: Vec<String> =
            raised(&alerts(condition), past, last).into_iter().map(|raised| raised.sentence).collect();
        assert_eq!(raised.join("; "), expected, "{condition}");
    }

    #[test]
    fn a_limit_is_told_when_it_is_crossed() {
        let often = "scaling_events > 10 per hour";
        check(often, &[scaled("a", 0, 10, 1.0)], "");
        check(often, &[scaled("a", 0, 11, 1.0)], "scaling events in the last hour: 11, above 10");
        check(
            often,
            &[scaled("a", 0, 6, 1.0), scaled("b", 300, 5, 1.0)],
            "scaling events in the last hour: 11, above 10",
        );
        check(often, &[scaled("a", 0, 11, 1.0), scaled("b", 300, 1, 1.0)], ""); // told by the first
        check(often, &[scaled("a", 0, 6, 1.0), scaled("b", 3_600, 5, 1.0)], ""); // an hour has passed
        check(
            "scaling_events >= 10",
            &[scaled("a", 0, 10, 1.0)],
            "scaling events in the last hour: 10, at or above 10",
        );
    }

    #[test]
    fn a_limit_has_its_own_time() {
        let cycles = [scaled("a", 0, 6, 1.0), scaled("b", 40_000, 5, 1.0)];
        check("scaling_events > 10 per day", &cycles, "scaling events in the last day: 11, above 10");
        check("scaling_events > 4 per minute", &cycles, "scaling events in the last minute: 5, above 4");
        check("scaling_events > 10 per hour", &cycles, "");
    }

    #[test]
    fn durations_are_means_over_steps() {
        let slow = "average_scaling_duration > 10 minutes";
        let cycles = [scaled("a", 0, 1, 700.0), scaled("b", 300, 3, 900.0)];
        check(slow, &cycles[..1], "the mean scaling duration in the last hour: 700 s, above 600 s");
        check(slow, &cycles, "");
        check(
            "average_scaling_duration < 500 s",
            &cycles,
            "the mean scaling duration in the last hour: 400 s, below 500 s",
        );
    }

    #[test]
    fn a_cycle_that_settles_twice_counts_once() {
        let (first, second) = (scaled("a", 0, 6, 1.0), scaled("b", 300, 5, 1.0));
        let past = remember(std::slice::from_ref(&first), &second);
        assert_eq!(remember(&past, &second), past);
        check("scaling_events > 11", &[first, second.clone(), second], "");
        let day_later = scaled("c", 300 + 86_400, 1, 1.0);
        assert_eq!(remember(&past, &day_later), [day_later]);
    }

    #[test]
    fn a_step_is_over_when_its_wave_is() {
        use StepEvent as E;
        let entry = |wave: usize, events: &[(E, i64)]| {
            let step = Step {
                id: StepId(format!("w{wave}/web")),
                resource: "web".into(),
                group: "web".into(),
                mode: Mode::Desired,
                changes: Vec::new(),
                after: Vec::new(),
            };
            let entry = Entry::new(&"plan".into(), wave, &step);
            events.iter().fold(entry, |entry, (event, second)| entry.with(*event, at(*second), None).unwrap())
        };
        let of = |entries: &[Entry]| {
            Scaled::of(&"a".into(), entries, at(100)).map(|scaled| (scaled.steps, scaled.seconds))
        };
        let first = entry(0, &[(E::Started, 10), (E::Succeeded, 11)]);
        let second = entry(1, &[(E::Started, 40), (E::Succeeded, 41)]);
        assert_eq!(of(&[first.clone(), second]), Some((2, 30.0 + 60.0)));
        let undone =
            entry(1, &[(E::Started, 40), (E::Succeeded, 41), (E::UndoStarted, 50), (E::UndoSucceeded, 51)]);
        assert_eq!(of(&[first, undone]), Some((2, 90.0)), "what is rolled back was scaled too");
        assert_eq!(of(&[entry(0, &[(E::Found, 10)]), entry(0, &[(E::Refused, 10)])]), None);
        assert_eq!(of(&[]), None);
    }
}
