//! Learning: how what cycles see and how they end changes what is kept between cycles ([`crate::state`]).
//!
//! Each cycle counts what capacity costs. Once an hour earlier decisions are compared with the load that came, which moves
//! the learned values and the phase. When a plan has ended, its journal moves breakers and provisioning times.

mod breakers;
mod calibration;
mod outcome;
mod rollout;
mod spend;
#[cfg(test)]
mod tests;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

pub use outcome::after_plan;
pub use rollout::measured_share;
pub use spend::{SpendRate, spend_rate};

use crate::decide::Decision;
use crate::name::{DimensionKey, ResourceId};
use crate::observe::Observation;
use crate::platform::{Measure, Place, Platform};
use crate::state::{Calibration, LeadWindows, PlatformState, Spend, learnable};
use crate::units::Units;

/// Decisions are judged so often: outcomes five minutes apart say nearly the same, and judging takes two calls.
const JUDGE_EVERY_S: i64 = 3_600;

impl PlatformState {
    /// When decisions must have been made to be judged at `now`; `None` while none are due. Some cycle lies in this time
    /// if cycles run as often as they should.
    pub fn judges(&self, platform: &Platform, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let since_s = now.as_second() - self.judged_at?.as_second();
        if since_s < JUDGE_EVERY_S {
            return None;
        }
        let made = now.checked_sub(LeadWindows::of(platform, self).judging_delay()).ok()?;
        let around = platform.orchestration.cycle / 2;
        Some((made.checked_sub(around).ok()?, made.checked_add(around).ok()?))
    }

    /// What stands once a cycle has seen this, with the decisions that are due to be judged. A cycle whose function runs
    /// again comes to the same.
    #[must_use]
    pub fn after(
        &self,
        platform: &Platform,
        observations: &BTreeMap<DimensionKey, Observation>,
        judged: Option<&[Decision]>,
        now: Timestamp,
    ) -> PlatformState {
        let rate = spend_rate(platform, observations);
        let spend = Some(Spend::after(self.spend, rate, &platform.zone, now));
        let mut state = PlatformState { spend, ..self.clone() };
        match judged {
            Some(then) => state.learn(platform, observations, then, now),
            None if self.judged_at.is_none() => state.learn(platform, observations, &[], now),
            None => (),
        }
        state
    }

    fn learn(
        &mut self,
        platform: &Platform,
        observations: &BTreeMap<DimensionKey, Observation>,
        then: &[Decision],
        now: Timestamp,
    ) {
        self.judged_at = Some(now);
        self.forget(platform);
        self.calibration = self.calibration.after(platform, then, observations, now);
        let figures = self.calibration.figures();
        self.confidence_adjustment = self.confidence_adjustment.after(&figures, now);
        for place in platform.dimensions() {
            if let Some(observation) = observations.get(&place.dimension.key) {
                self.learn_carried(place, observation);
            }
        }
        let before = self.phase(platform);
        self.rollout = rollout::after(self.rollout.as_ref(), &platform.orchestration, &figures, now);
        if self.phase(platform) != before {
            // Another phase earns its own evidence.
            self.calibration = Calibration::default();
        }
    }

    /// What is no longer in the file is forgotten, so that this stays as small as the platform is.
    fn forget(&mut self, platform: &Platform) {
        let resources: BTreeSet<&ResourceId> =
            platform.resources().map(|(_, resource)| &resource.id).collect();
        self.breakers.retain(|id, _| resources.contains(id));
        self.provisioning.retain(|id, _| resources.contains(id));
        self.carried.retain(|key, _| resources.contains(&key.resource));
        self.counted.retain(|key, _| resources.contains(&key.resource));
    }

    /// What a unit carries is learned where a latency guard tells whether it does so well.
    fn learn_carried(&mut self, place: Place<'_>, observation: &Observation) {
        let Some(capacity) = observation.capacity.known() else { return };
        let Some(held) = guard_holds(place, observation).filter(|_| capacity.whole() != Units(0)) else {
            return;
        };
        for (metric, file) in place.dimension.metrics.iter().filter_map(learnable) {
            let Some(load) = observation.load(&metric.name) else { continue };
            let seen = load.mean / capacity.whole().real();
            let mine = self.carried.get(&place.dimension.key).and_then(|known| known.get(&metric.name));
            let planned = values::carried(mine.copied(), file, seen, held);
            if mine.is_some() || planned != file {
                let known = self.carried.entry(place.dimension.key.clone()).or_default();
                known.insert(metric.name.clone(), planned);
            }
        }
    }
}

/// Whether every latency guard of a dimension holds; `None` where it has none, or one is unknown.
fn guard_holds(place: Place<'_>, observation: &Observation) -> Option<bool> {
    let mut holds = None;
    for metric in &place.dimension.metrics {
        let Measure::Latency { limit } = metric.measure else { continue };
        let value = observation.load(&metric.name)?.mean;
        holds = Some(holds.unwrap_or(true) && value <= limit);
    }
    holds
}
