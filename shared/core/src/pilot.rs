//! One dimension in a closed loop: what happened comes in, a decision goes out.
//!
//! The same [`crate::decide`] as in a cycle, with state in memory instead of tables. `headroom policy` and
//! `headroom simulate` are shells around it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::decide::{Change, Decision, MetricForecast, NOTHING, World, decision};
use crate::forecast::NoForecast;
use crate::forecast::lead::{Lead, Setting};
use crate::name::DimensionKey;
use crate::observe::Seen;
use crate::observe::{Capacity, Observation, reading};
use crate::platform::{Metric, Mode, Platform};
use crate::series::Series;
use crate::units::Units;

/// Changes this far back matter to a decision.
const LOOK_BACK_S: i64 = 7_200;

/// A dimension, its metric and what was learned of it.
#[derive(Debug)]
pub struct Pilot<'a> {
    platform: &'a Platform,
    key: DimensionKey,
    metric: &'a Metric,
    lead: Lead,
    recent: Series,
    changes: Vec<Change>,
    /// What the last decision asked for.
    asked: Option<Units>,
    /// When something else was last seen to have added units above what was asked for.
    native_at: Option<Timestamp>,
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

impl<'a> Pilot<'a> {
    /// A pilot that knows `history`, in load: for utilisation, percent times units.
    ///
    /// # Errors
    /// When there is no such dimension, or nothing to measure its demand by.
    pub fn new(platform: &'a Platform, key: &DimensionKey, history: &Series) -> Result<Pilot<'a>, NoPilot> {
        let place = platform.place(key).ok_or_else(|| NoPilot::NoDimension(key.to_string()))?;
        let carries = |metric: &&Metric| metric.measure.carried_per_unit().is_some();
        let metric =
            place.dimension.metrics.iter().find(carries).ok_or_else(|| NoPilot::NoMetric(key.clone()))?;
        let setting = Setting::of(platform, place, metric.measure.carried_per_unit().unwrap_or(1.0));
        Ok(Pilot {
            platform,
            key: key.clone(),
            metric,
            lead: Lead::new(setting, history),
            recent: history.tail(RECENT),
            changes: Vec::new(),
            asked: None,
            native_at: None,
        })
    }

    /// Adds what was measured since the last decision.
    pub fn observe(&mut self, values: &[Option<f64>]) {
        self.lead.push(values.iter().copied());
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
        const DAY_S: i64 = 86_400;
        let Some(asked) = self.asked else { return (desired, Mode::Desired) };
        if asked < desired {
            self.native_at = Some(now);
        }
        match self.native_at {
            Some(at) if now.as_second() - at.as_second() < DAY_S => (asked, Mode::Floor),
            _ => (desired, Mode::Desired),
        }
    }

    /// The decision at `now`, with `desired` units ordered of which `ready` serve. It is taken to be carried out.
    pub fn decide(&mut self, now: Timestamp, desired: Units, ready: Units) -> Option<Decision> {
        let place = self.platform.place(&self.key)?;
        let (set, mode) = self.standing(now, desired);
        let cycle_s = u32::try_from(self.platform.orchestration.cycle.as_secs()).unwrap_or(u32::MAX);
        let capacity = Capacity { mode, set, ready, ..Capacity::default() };
        let readings = place.dimension.metrics.iter().filter(|metric| metric.name == self.metric.name);
        let readings = readings.map(|metric| reading(metric, &self.recent, now, cycle_s)).collect();
        let observation = Observation { key: self.key.clone(), capacity: Seen::Known(capacity), readings };
        let none = NoForecast::TooShort { known: self.recent.len(), needed: RECENT };
        let made =
            MetricForecast { lead: self.lead.outlook(), ..MetricForecast::none(&self.metric.name, none) };
        let decided = decision(
            &World {
                platform: self.platform,
                now,
                observations: &BTreeMap::from([(self.key.clone(), observation)]),
                forecasts: &BTreeMap::from([(self.key.clone(), vec![made])]),
                changes: &self.changes,
                manual: &BTreeMap::new(),
                standing: &NOTHING,
            },
            place,
        );
        self.remember(now, &decided);
        Some(decided)
    }

    fn remember(&mut self, now: Timestamp, decided: &Decision) {
        self.changes.retain(|change| now.as_second() - change.at.as_second() < LOOK_BACK_S);
        self.asked = decided.target;
        if let Some((from, to)) = decided.change() {
            self.changes.push(Change { key: self.key.clone(), at: now, from, to });
        }
    }
}

/// Values kept for the measured load: an hour at one minute.
const RECENT: usize = 60;
