//! Decisions in a closed loop: what happened comes in, a decision goes out.
//!
//! The same [`crate::decide`] as in a cycle, with state in memory instead of tables: a [`Pilot`] for one dimension, a
//! [`SteeredFleet`] for all of a platform together. `headroom policy` and `headroom simulate` are shells around them.

mod fleet;

pub use fleet::{SteeredDecision, SteeredFleet};

use std::collections::BTreeMap;

use headroom_forecast::NoForecast;
use headroom_forecast::lead_window::LeadForecaster;
use jiff::Timestamp;

use crate::calendar::Factors;
use crate::decide::{Decision, decision};
use crate::forecast::{MetricForecast, ObjectiveFeedback, STALE_S, lead_setting};
use crate::name::{DimensionKey, GroupName};
use crate::observe::Observed;
use crate::observe::{Capacity, Observation, reading};
use crate::platform::{Metric, Mode, Place, Platform};
use crate::series::Series;
use crate::state::EMPTY;
use crate::units::{DAY_S, Units};
use crate::world::{Change, World};

/// Changes this far back matter to a decision.
const LOOK_BACK_S: i64 = 7_200;

/// A dimension, its metric and what was learned of it.
#[derive(Clone, Debug)]
pub struct Pilot<'a> {
    platform: &'a Platform,
    group: &'a GroupName,
    key: DimensionKey,
    metric: &'a Metric,
    lead: LeadForecaster,
    /// What the load was before an event, and the newest of it.
    usual: Option<f64>,
    recent: Series,
    changes: Vec<Change>,
    /// What the last decision asked for.
    asked: Option<Units>,
    /// When something else was last seen to have added units above what was asked for.
    native_at: Option<Timestamp>,
    /// The units that were ready at the last decision, and what was measured since.
    before: Option<Units>,
    since: Vec<f64>,
    feedback: ObjectiveFeedback,
}

/// Why there is no pilot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPilot {
    /// The platform has no such dimension.
    #[error("the platform has no dimension {0}")]
    NoDimension(String),
    /// Nothing says how much load a unit carries.
    #[error("{0} has no metric that says how much a unit carries")]
    NoMetric(DimensionKey),
}

/// The metric that a dimension is steered by in a closed loop: the first that says how much a unit carries.
pub fn steering(place: Place<'_>) -> Option<&Metric> {
    place.dimension.metrics.iter().find(|metric| metric.measure.carried_per_unit().is_some())
}

/// The platform with only the metrics that a closed loop has values of. One that nobody feeds would be unknown for ever,
/// and what is unknown never scales in.
pub fn steered(platform: &Platform) -> Platform {
    let mut steered = platform.clone();
    for resource in steered.groups.iter_mut().flat_map(|group| &mut group.resources) {
        for dimension in &mut resource.dimensions {
            let first =
                dimension.metrics.iter().position(|metric| metric.measure.carried_per_unit().is_some());
            let mut index = 0;
            dimension.metrics.retain(|_| {
                index += 1;
                first.is_none_or(|first| first + 1 == index)
            });
        }
    }
    steered
}

impl<'a> Pilot<'a> {
    /// A pilot that knows `history`, in load: for utilisation, percent times units.
    ///
    /// # Errors
    /// When there is no such dimension, or nothing to measure its demand by.
    pub fn new(platform: &'a Platform, key: &DimensionKey, history: &Series) -> Result<Pilot<'a>, NoPilot> {
        let place = platform.place(key).ok_or_else(|| NoPilot::NoDimension(key.to_string()))?;
        let metric = steering(place).ok_or_else(|| NoPilot::NoMetric(key.clone()))?;
        let setting = lead_setting(platform, &EMPTY, place, metric.measure.carried_per_unit().unwrap_or(1.0));
        let group = &place.group.name;
        let factors = Factors::of(platform, group, history.start(), history.end());
        let mut usual = None;
        let plain = factors.without(history, &mut usual);
        Ok(Pilot {
            platform,
            group,
            key: key.clone(),
            metric,
            lead: LeadForecaster::new(setting, &plain),
            usual,
            recent: history.tail(RECENT),
            changes: Vec::new(),
            asked: None,
            native_at: None,
            before: None,
            since: Vec::new(),
            feedback: ObjectiveFeedback::default(),
        })
    }

    /// Adds what was measured since the last decision.
    pub fn observe(&mut self, values: &[Option<f64>]) {
        self.since.extend(values.iter().flatten());
        let new = Series::new(self.end(), self.recent.step_s(), values.iter().copied());
        let factors = Factors::of(self.platform, self.group, new.start(), new.end());
        let plain = factors.without(&new, &mut self.usual);
        self.lead.push((0..plain.len()).map(|index| plain.get(index)));
        let known = (0..self.recent.len()).map(|index| self.recent.get(index)).chain(values.iter().copied());
        let grown = Series::new(self.recent.start(), self.recent.step_s(), known.collect::<Vec<_>>());
        self.recent = grown.tail(RECENT);
    }

    /// When the newest value ends.
    pub fn end(&self) -> Timestamp {
        self.recent.end()
    }

    /// What is set, and how: where units are added above what was asked for, a native policy is at work, and what is asked
    /// for is a floor under it.
    fn standing(&mut self, now: Timestamp, desired: Units) -> (Units, Mode) {
        let Some(asked) = self.asked else { return (desired, Mode::Desired) };
        if asked < desired {
            self.native_at = Some(now);
        }
        match self.native_at {
            Some(at) if now.as_second() - at.as_second() < DAY_S => (asked, Mode::Floor),
            _ => (desired, Mode::Desired),
        }
    }

    /// Counts the minutes since the last decision. As in a cycle, the smaller of the capacities around a minute counts.
    fn count_short(&mut self, ready: Units) {
        let (loads, before) = (std::mem::take(&mut self.since), self.before.replace(ready));
        let carried = self.metric.measure.carried_per_unit();
        let Some((before, carried)) = before.zip(carried) else { return };
        let (objective, minutes) =
            (self.platform.predictive.objective, f64::from(self.recent.step_s()) / 60.0);
        let carries = before.min(ready).real() * carried;
        let after =
            |feedback: ObjectiveFeedback, load: f64| feedback.after(objective, minutes, carries < load);
        self.feedback = loads.into_iter().fold(self.feedback, after);
    }

    /// What there is to see of the dimension at `now`, with `desired` units ordered of which `ready` serve.
    fn look(&mut self, now: Timestamp, (desired, ready): (Units, Units)) -> (Observation, MetricForecast) {
        let (set, mode) = self.standing(now, desired);
        self.count_short(ready);
        let cycle_s = u32::try_from(self.platform.orchestration.cycle.as_secs()).unwrap_or(u32::MAX);
        let capacity = Capacity { mode, set, ready, ..Capacity::default() };
        let readings = vec![reading(self.metric, &self.recent, now, cycle_s)];
        let observation = Observation {
            key: self.key.clone(),
            capacity: Observed::Known(capacity),
            readings,
            short_minutes: None,
        };
        let none = self.no_forecast(now);
        let forecast = self.lead.forecast().filter(|_| !matches!(none, NoForecast::Stale { .. }));
        let lead = forecast.map(|forecast| {
            let factors = Factors::of(self.platform, self.group, forecast.from, forecast.until);
            forecast.multiplied(|from, to| factors.during(from, to))
        });
        let objective_feedback = Some(self.feedback);
        let made =
            MetricForecast { lead, objective_feedback, ..MetricForecast::none(&self.metric.name, none) };
        (observation, made)
    }

    /// Why there is no forecast beyond the lead window, or none at all when the load is silent for too long.
    fn no_forecast(&self, now: Timestamp) -> NoForecast {
        let newest = self.recent.newest().map_or(self.recent.start(), |(at, _)| at);
        let age_s = now.as_second() - newest.as_second();
        if STALE_S.max(2 * i64::from(self.recent.step_s())) < age_s {
            return NoForecast::Stale { age_s };
        }
        let (known, needed) = (self.lead.known(), self.lead.needed());
        match self.lead.model() {
            Some(_) => NoForecast::LeadWindowOnly,
            None if known < needed => NoForecast::TooShort { known, needed },
            None => NoForecast::NotLearned { known },
        }
    }

    /// The decision at `now`, with `desired` units ordered of which `ready` serve. It is taken to be carried out.
    pub fn decide(&mut self, now: Timestamp, desired: Units, ready: Units) -> Option<Decision> {
        let place = self.platform.place(&self.key)?;
        let (observation, made) = self.look(now, (desired, ready));
        let decided = decision(
            &World {
                platform: self.platform,
                now,
                observations: &BTreeMap::from([(self.key.clone(), observation)]),
                forecasts: &BTreeMap::from([(self.key.clone(), vec![made])]),
                changes: &self.changes,
                manual: &BTreeMap::new(),
                state: &EMPTY,
            },
            place,
        );
        self.forget(now);
        self.asked = decided.target;
        if let Some((from, to)) = decided.change() {
            self.done(now, from, to);
        }
        Some(decided)
    }

    /// Forgets changes that no longer matter.
    fn forget(&mut self, now: Timestamp) {
        self.changes.retain(|change| now.as_second() - change.at.as_second() < LOOK_BACK_S);
    }

    /// Remembers a change that was made.
    fn done(&mut self, at: Timestamp, from: Units, to: Units) {
        self.asked = Some(to);
        self.changes.push(Change { key: self.key.clone(), at, from, to });
    }
}

/// Values kept for the measured load: an hour at one minute.
const RECENT: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    #[test]
    fn half_an_hour_of_silence_leaves_no_forecast() {
        let text = "configuration_name: shop
scaling_groups:
  web:
    resources:
      - {type: ECS_SERVICE, name: web, min_capacity: 1, max_capacity: 20, metrics: [{name: load, kind: load, target_per_unit: 10}]}
orchestration: {rollout_phase: full}
";
        let platform = parse(text).unwrap().platform;
        let key = "web/desired".parse().unwrap();
        let start = Timestamp::UNIX_EPOCH;
        let history = Series::new(start, 60, [Some(50.0); 600]);
        let mut pilot = Pilot::new(&platform, &key, &history).unwrap();
        let mut silent = |minutes: usize, expected: &str| {
            pilot.observe(&vec![None; minutes]);
            let now = pilot.end();
            let decided = pilot.decide(now, Units(6), Units(6)).unwrap();
            let reasons: Vec<String> = decided.reasons.iter().map(ToString::to_string).collect();
            assert_eq!(decided.target, Some(Units(6)), "unknown never scales in: {reasons:?}");
            assert!(reasons.iter().any(|reason| reason.contains(expected)), "{reasons:?}");
        };
        silent(5, "in the lead window");
        silent(26, "the history ends 1860 s before now");
    }

    #[test]
    fn what_is_not_trusted_is_not_called_too_short() {
        let text = "configuration_name: shop
scaling_groups:
  web:
    resources:
      - {type: ECS_SERVICE, name: web, min_capacity: 1, max_capacity: 20, metrics: [{name: load, kind: load, target_per_unit: 10}]}
predictive: {scale_up_confidence: 1.0}
orchestration: {rollout_phase: full}
";
        let platform = parse(text).unwrap().platform;
        let key = "web/desired".parse().unwrap();
        // Ever new heights, of which no model keeps nine in ten below what it said.
        let load = |index: u32| Some(f64::from(index) * if index.is_multiple_of(7) { 3.0 } else { 1.0 });
        let told = |points: u32| {
            let history = Series::new(Timestamp::UNIX_EPOCH, 60, (0..points).map(load));
            let mut pilot = Pilot::new(&platform, &key, &history).unwrap();
            pilot.observe(&(points..points + 600).map(load).collect::<Vec<_>>());
            let why = pilot.no_forecast(pilot.end());
            let decided = pilot.decide(pilot.end(), Units(6), Units(6)).unwrap();
            (why, decided.reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        };
        let (why, reasons) = told(2_895);
        assert_eq!(why, NoForecast::LeadWindowOnly, "{reasons}");
        assert!(!reasons.contains("too few"), "{reasons}");
        let short = Series::new(Timestamp::UNIX_EPOCH, 60, (0..10).map(load));
        let short = Pilot::new(&platform, &key, &short).unwrap();
        assert!(matches!(short.no_forecast(short.end()), NoForecast::TooShort { known: 10, .. }));
        let steady = Series::new(Timestamp::UNIX_EPOCH, 60, (0..10).map(load));
        let mut pilot = Pilot::new(&platform, &key, &steady).unwrap();
        pilot.observe(&(10..200).map(load).collect::<Vec<_>>());
        assert_eq!(
            pilot.no_forecast(pilot.end()),
            NoForecast::NotLearned { known: 200 },
            "it is not due yet"
        );
    }
}
