//! Every dimension of a platform in one closed loop: decided together, as a cycle does.

use std::collections::BTreeMap;

use headroom_forecast::lead_window::LeadForecast;
use jiff::Timestamp;

use super::{NoPilot, Pilot};
use crate::decide::{Decision, decide};
use crate::name::DimensionKey;
use crate::plan::StepChange;
use crate::platform::Platform;
use crate::series::Series;
use crate::state::EMPTY;
use crate::units::Units;
use crate::world::{Change, World};

/// Pilots that decide together, so that budgets and connections hold for all of them.
#[derive(Clone, Debug)]
pub struct SteeredFleet<'a> {
    platform: &'a Platform,
    pilots: Vec<Pilot<'a>>,
}

/// A decision with what was foreseen when it was made.
#[derive(Clone, Debug)]
pub struct SteeredDecision {
    /// The decision.
    pub decision: Decision,
    /// What its lead window may bring; `None` while too little is known.
    pub lead: Option<LeadForecast>,
}

impl<'a> SteeredFleet<'a> {
    /// Pilots for these dimensions, each with its history.
    ///
    /// # Errors
    /// When there is no such dimension, or nothing to measure its demand by.
    pub fn new(
        platform: &'a Platform,
        histories: &[(DimensionKey, Series)],
    ) -> Result<SteeredFleet<'a>, NoPilot> {
        let pilots = histories.iter().map(|(key, history)| Pilot::new(platform, key, history));
        Ok(SteeredFleet { platform, pilots: pilots.collect::<Result<_, _>>()? })
    }

    /// Adds what was measured of a dimension since the last decision, by its place in the list the fleet was made from.
    pub fn observe(&mut self, index: usize, values: &[Option<f64>]) {
        if let Some(pilot) = self.pilots.get_mut(index) {
            pilot.observe(values);
        }
    }

    /// The decisions at `now`, with so many units ordered and ready of each dimension. What becomes of them is told by
    /// [`SteeredFleet::done`].
    pub fn decide(&mut self, now: Timestamp, capacities: &[(Units, Units)]) -> Vec<SteeredDecision> {
        let mut observations = BTreeMap::new();
        let mut forecasts = BTreeMap::new();
        for (pilot, capacity) in self.pilots.iter_mut().zip(capacities) {
            let (observation, made) = pilot.look(now, *capacity);
            observations.insert(pilot.key.clone(), observation);
            forecasts.insert(pilot.key.clone(), vec![made]);
        }
        let changes: Vec<Change> =
            self.pilots.iter().flat_map(|pilot| pilot.changes.iter().cloned()).collect();
        let decisions = decide(&World {
            platform: self.platform,
            now,
            observations: &observations,
            forecasts: &forecasts,
            changes: &changes,
            manual: &BTreeMap::new(),
            state: &EMPTY,
        });
        let mut decisions: BTreeMap<DimensionKey, Decision> =
            decisions.into_iter().map(|decision| (decision.key.clone(), decision)).collect();
        let mut decided = Vec::new();
        for pilot in &mut self.pilots {
            let Some(decision) = decisions.remove(&pilot.key) else { continue };
            pilot.forget(now);
            if decision.change().is_none() {
                pilot.asked = decision.target;
            }
            let made = forecasts.remove(&pilot.key).and_then(|mut made| made.pop());
            decided.push(SteeredDecision { decision, lead: made.and_then(|made| made.lead) });
        }
        decided
    }

    /// Remembers a change that was carried out.
    pub fn done(&mut self, at: Timestamp, change: &StepChange) {
        if let Some(pilot) = self.pilots.iter_mut().find(|pilot| pilot.key == change.key) {
            pilot.done(at, change.expected, change.target);
        }
    }
}
