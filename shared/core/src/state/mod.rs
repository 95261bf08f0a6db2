//! What is kept of a platform between cycles: what people asked for, circuit breakers, what was spent, what was learned.
//!
//! Data only: how outcomes change it is in [`crate::learning`].

mod breaker;
mod calibration;
mod lead_window;
mod learned;
mod requests;
mod rollout;
mod spend;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use breaker::{Breaker, BreakerState};
pub use calibration::{Calibration, CalibrationFigures, Tally};
pub use lead_window::{LeadWindow, LeadWindows};
pub use learned::{CARRIED_SHARE_MAX, ConfidenceAdjustment, Provisioned, within_share};
pub use requests::{InvalidRequest, OperatorRequests, Override, Pause, REQUESTS_MAX, TERM_MAX};
pub use rollout::RolloutState;
pub(crate) use rollout::effective;
pub use spend::Spend;
pub(crate) use spend::{hours, month_start};

use crate::name::{DimensionKey, ResourceId};
use crate::platform::{Measure, Metric, Phase, Place, Platform, Resource};
use crate::units::DAY_S;

/// AWS counts changes over the 24 hours before each.
pub(crate) const COUNTED_S: i64 = DAY_S;

/// What is kept of a platform between cycles.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlatformState {
    /// What people asked for. It is stored on its own.
    #[serde(skip)]
    pub requests: OperatorRequests,
    /// The breaker of every resource that failed lately.
    pub breakers: BTreeMap<ResourceId, Breaker>,
    /// How long a unit took to become ready, as learned, by resource.
    pub provisioning: BTreeMap<ResourceId, Provisioned>,
    /// What a unit is planned to carry, as learned, by dimension and metric.
    pub carried: BTreeMap<DimensionKey, BTreeMap<String, f64>>,
    /// When changes were made of what AWS counts the changes of, by dimension: those of about a day.
    pub counted: BTreeMap<DimensionKey, BTreeSet<Timestamp>>,
    /// How far the confidence that a forecast needs has moved.
    #[serde(rename = "nudge")]
    pub confidence_adjustment: ConfidenceAdjustment,
    /// What the platform's capacity has cost since the month began, where that is known.
    pub spend: Option<Spend>,
    /// How forecasts and decisions fared lately.
    #[serde(rename = "evidence")]
    pub calibration: Calibration,
    /// The phase reached, where phases move by themselves.
    #[serde(rename = "reached")]
    pub rollout: Option<RolloutState>,
    /// When decisions were last held against what came.
    pub judged_at: Option<Timestamp>,
}

/// Nothing is kept yet: a platform's first cycle.
pub static EMPTY: PlatformState = PlatformState {
    requests: OperatorRequests { pauses: Vec::new(), overrides: Vec::new() },
    breakers: BTreeMap::new(),
    provisioning: BTreeMap::new(),
    carried: BTreeMap::new(),
    counted: BTreeMap::new(),
    confidence_adjustment: ConfidenceAdjustment { out: 0.0, inward: 0.0, at: None },
    spend: None,
    calibration: Calibration(Vec::new()),
    rollout: None,
    judged_at: None,
};

impl PlatformState {
    /// How long a unit of a resource takes to become ready: as learned, else as configured.
    pub fn provisioning_of(&self, resource: &Resource) -> Duration {
        let learned = self.provisioning.get(&resource.id);
        learned.map_or(resource.provisioning, |learned| learned.duration(resource.provisioning))
    }

    /// How many changes of a dimension AWS still counts: those of the 24 hours before `now`.
    pub fn counted(&self, key: &DimensionKey, now: Timestamp) -> u32 {
        let changes = self.counted.get(key).into_iter().flatten();
        let count = changes.filter(|at| now.as_second() - at.as_second() < COUNTED_S).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// The phase that counts.
    pub fn phase(&self, platform: &Platform) -> Phase {
        effective(self.rollout.as_ref(), &platform.orchestration)
    }

    /// Since when that phase counts; `None` where phases do not move by themselves.
    pub fn phase_since(&self, platform: &Platform) -> Option<Timestamp> {
        rollout::counting(self.rollout.as_ref(), &platform.orchestration).map(|reached| reached.since)
    }

    /// What a unit is planned to carry of a metric, where that was learned and may count.
    pub fn planned(&self, platform: &Platform, place: Place<'_>, metric: &Metric) -> Option<f64> {
        let (_, file) = learnable(metric).filter(|_| self.phase(platform) == Phase::Optimized)?;
        let planned = self.carried.get(&place.dimension.key)?.get(&metric.name)?;
        Some(within_share(*planned, file))
    }

    /// That the phase is another one than before, and why, as a sentence.
    pub fn moved_since(&self, stored: &PlatformState, platform: &Platform) -> Option<String> {
        let (before, now) = (stored.phase(platform), self.phase(platform));
        let reached = self.rollout.as_ref().filter(|_| before != now)?;
        Some(format!("the phase is {} now, and was {}: {}", now.name(), before.name(), reached.why))
    }

    /// Whether it must be stored: what was learned is kept as often as it is judged, and what was spent also before the
    /// rate changes. In a cycle that only holds it can wait.
    pub fn must_be_kept(&self, stored: &PlatformState, acts: bool) -> bool {
        self.judged_at != stored.judged_at || (acts && self != stored)
    }
}

/// A load whose limit nobody measured, with what the file says a unit should carry.
pub(crate) fn learnable(metric: &Metric) -> Option<(&Metric, f64)> {
    match metric.measure {
        Measure::Load { target_per_unit, limit_per_unit: None } => Some((metric, target_per_unit)),
        _ => None,
    }
}
