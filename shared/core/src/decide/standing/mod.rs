//! What stands from before a cycle: what people asked for, circuit breakers, what was spent, what was learned.

mod asked;
mod breaker;
mod evidence;
mod learned;
mod phase;
mod spend;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use asked::{ASKED_MAX, Asked, InvalidAsk, Override, Pause, TERM_MAX};
pub use breaker::{Breaker, BreakerState};
pub use evidence::{BAND, Evidence, Expected, Figures, Tally, ahead, measured};
pub use learned::{CARRIED_SHARE_MAX, Nudge, Provisioned, within_share};
pub use phase::{Reached, measured_share};
pub use spend::{Rate, Spend, rate};

use super::Decision;
use crate::name::{DimensionKey, GroupName, ResourceId};
use crate::observe::{Observation, Seen};
use crate::platform::{Dependency, Measure, Metric, Phase, Place, Platform, Resource};
use crate::units::Units;

/// Tiers that build on each other: more than any workload has.
const DEPTH_MAX: usize = 16;

/// What stands from before a cycle.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Standing {
    /// What people asked for. It is stored on its own.
    #[serde(skip)]
    pub asked: Asked,
    /// The breaker of every resource that failed lately.
    pub breakers: BTreeMap<ResourceId, Breaker>,
    /// How long a unit took to become ready, as learned, by resource.
    pub provisioning: BTreeMap<ResourceId, Provisioned>,
    /// What a unit is planned to carry, as learned, by dimension and metric.
    pub carried: BTreeMap<DimensionKey, BTreeMap<String, f64>>,
    /// How far the trust that a forecast needs has moved.
    pub nudge: Nudge,
    /// What the platform's capacity has cost since the month began, where that is known.
    pub spend: Option<Spend>,
    /// How forecasts and decisions fared lately.
    pub evidence: Evidence,
    /// The phase reached, where phases move by themselves.
    pub reached: Option<Reached>,
    /// When decisions were last held against what came.
    pub judged_at: Option<Timestamp>,
}

/// Nothing stands: a platform's first cycle.
pub static NOTHING: Standing = Standing {
    asked: Asked { pauses: Vec::new(), overrides: Vec::new() },
    breakers: BTreeMap::new(),
    provisioning: BTreeMap::new(),
    carried: BTreeMap::new(),
    nudge: Nudge { out: 0.0, inward: 0.0, at: None },
    spend: None,
    evidence: Evidence(Vec::new()),
    reached: None,
    judged_at: None,
};

/// Decisions are judged so often: outcomes five minutes apart say nearly the same, and judging takes two calls.
const JUDGE_EVERY_S: i64 = 3_600;

impl Standing {
    /// How long a unit of a resource takes to become ready: as learned, else as configured.
    pub fn provisioning_of(&self, resource: &Resource) -> Duration {
        let learned = self.provisioning.get(&resource.id);
        learned.map_or(resource.provisioning, |learned| learned.duration(resource.provisioning))
    }

    /// How long it takes from a decision until a unit serves: its own provisioning, after that of everything its group
    /// depends on, which goes before it.
    pub fn lead_time(&self, platform: &Platform, place: Place<'_>) -> Duration {
        self.waited(platform, &place.group.name, DEPTH_MAX) + self.provisioning_of(place.resource)
    }

    /// The slowest chain of groups that a group depends on.
    fn waited(&self, platform: &Platform, group: &GroupName, depth: usize) -> Duration {
        let Some(depth) = depth.checked_sub(1) else { return Duration::ZERO };
        let targets = platform.orchestration.dependencies.iter().filter(|edge| edge.source == *group);
        let chain = |edge: &Dependency| {
            let of_target = platform.groups.iter().filter(|group| group.name == edge.target);
            let resources = of_target.flat_map(|group| &group.resources);
            let slowest = resources.map(|resource| self.provisioning_of(resource)).max().unwrap_or_default();
            self.waited(platform, &edge.target, depth) + slowest
        };
        targets.map(chain).max().unwrap_or_default()
    }
    /// The phase that counts.
    pub fn phase(&self, platform: &Platform) -> Phase {
        phase::effective(self.reached.as_ref(), &platform.orchestration)
    }

    /// When decisions must have been made to be judged at `now`; `None` while none are due. Some cycle lies in this time
    /// if cycles run as often as they should.
    pub fn judges(&self, platform: &Platform, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let since_s = now.as_second() - self.judged_at?.as_second();
        if since_s < JUDGE_EVERY_S {
            return None;
        }
        let made = now.checked_sub(ahead(platform)).ok()?;
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
    ) -> Standing {
        let rate = rate(platform, observations);
        let spend = Some(Spend::after(self.spend, rate, &platform.zone, now));
        let mut standing = Standing { spend, ..self.clone() };
        match judged {
            Some(then) => standing.learn(platform, observations, then, now),
            None if self.judged_at.is_none() => standing.learn(platform, observations, &[], now),
            None => (),
        }
        standing
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
        self.evidence = self.evidence.after(platform, then, observations, now);
        let figures = self.evidence.figures();
        self.nudge = self.nudge.after(&figures, now);
        for place in platform.dimensions() {
            if let Some(observation) = observations.get(&place.dimension.key) {
                self.learn_carried(place, observation);
            }
        }
        let before = self.phase(platform);
        self.reached = phase::after(self.reached.as_ref(), &platform.orchestration, &figures, now);
        if self.phase(platform) != before {
            // Another phase earns its own evidence.
            self.evidence = Evidence::default();
        }
    }

    /// What is no longer in the file is forgotten, so that this stays as small as the platform is.
    fn forget(&mut self, platform: &Platform) {
        let resources: BTreeSet<&ResourceId> =
            platform.resources().map(|(_, resource)| &resource.id).collect();
        self.breakers.retain(|id, _| resources.contains(id));
        self.provisioning.retain(|id, _| resources.contains(id));
        self.carried.retain(|key, _| resources.contains(&key.resource));
    }

    /// What a unit carries is learned where a latency guard tells whether it does so well.
    fn learn_carried(&mut self, place: Place<'_>, observation: &Observation) {
        let Some(capacity) = observation.capacity.known() else { return };
        let Some(held) = guard_holds(place, observation).filter(|_| capacity.ready != Units(0)) else {
            return;
        };
        for (metric, file) in place.dimension.metrics.iter().filter_map(learnable) {
            let reading = observation.readings.iter().find(|reading| reading.metric == metric.name);
            let Some(Seen::Known(load)) = reading.map(|reading| &reading.load) else { continue };
            let seen = load.mean / capacity.ready.real();
            let mine = self.carried.get(&place.dimension.key).and_then(|known| known.get(&metric.name));
            let planned = learned::carried(mine.copied(), file, seen, held);
            if mine.is_some() || planned != file {
                let known = self.carried.entry(place.dimension.key.clone()).or_default();
                known.insert(metric.name.clone(), planned);
            }
        }
    }

    /// What a unit is planned to carry of a metric, where that was learned and may count.
    pub(super) fn planned(&self, platform: &Platform, place: Place<'_>, metric: &Metric) -> Option<f64> {
        let (_, file) = learnable(metric).filter(|_| self.phase(platform) == Phase::Optimized)?;
        let planned = self.carried.get(&place.dimension.key)?.get(&metric.name)?;
        Some(within_share(*planned, file))
    }

    /// That the phase is another one than before, and why, as a sentence.
    pub fn moved_since(&self, stored: &Standing, platform: &Platform) -> Option<String> {
        let (before, now) = (stored.phase(platform), self.phase(platform));
        let reached = self.reached.as_ref().filter(|_| before != now)?;
        Some(format!("the phase is {} now, and was {}: {}", now.name(), before.name(), reached.why))
    }

    /// Whether it must be stored: what was learned is kept as often as it is judged, and what was spent also before the
    /// rate changes. In a cycle that only holds it can wait.
    pub fn must_be_kept(&self, stored: &Standing, acts: bool) -> bool {
        self.judged_at != stored.judged_at || (acts && self != stored)
    }
}

/// A load whose limit nobody measured, with what the file says a unit should carry.
fn learnable(metric: &Metric) -> Option<(&Metric, f64)> {
    match metric.measure {
        Measure::Load { target_per_unit, limit_per_unit: None } => Some((metric, target_per_unit)),
        _ => None,
    }
}

/// Whether every latency guard of a dimension holds; `None` where it has none, or one is unknown.
fn guard_holds(place: Place<'_>, observation: &Observation) -> Option<bool> {
    let mut holds = None;
    for metric in &place.dimension.metrics {
        let Measure::Latency { limit } = metric.measure else { continue };
        let reading = observation.readings.iter().find(|reading| reading.metric == metric.name)?;
        let value = reading.load.known()?.mean;
        holds = Some(holds.unwrap_or(true) && value <= limit);
    }
    holds
}
