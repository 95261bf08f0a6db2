//! What decisions are made from: the platform, what was seen and forecast, and what is kept from before.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::forecast::MetricForecast;
use crate::name::DimensionKey;
use crate::observe::Observation;
use crate::platform::{Measure, Metric, Phase, Place, Platform};
use crate::state::{ConfidenceAdjustment, PlatformState};
use crate::units::{Ratio, Units};

/// What decisions are made from.
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    /// The platform.
    pub platform: &'a Platform,
    /// The time decisions are made for.
    pub now: Timestamp,
    /// What was seen, by dimension. A dimension that is not here is unknown.
    pub observations: &'a BTreeMap<DimensionKey, Observation>,
    /// What is forecast, by dimension.
    pub forecasts: &'a BTreeMap<DimensionKey, Vec<MetricForecast>>,
    /// Changes lately made, newest last.
    pub changes: &'a [Change],
    /// What people asked for by hand.
    pub manual: &'a BTreeMap<DimensionKey, Units>,
    /// What is kept from before this cycle.
    pub state: &'a PlatformState,
}

impl World<'_> {
    /// How long a unit of this resource takes to become ready: as learned, else as configured.
    pub fn provisioning(&self, place: Place<'_>) -> Duration {
        self.state.provisioning_of(place.resource)
    }

    /// The phase that counts.
    pub fn phase(&self) -> Phase {
        self.state.phase(self.platform)
    }

    /// A metric as it is planned with: with what a unit was seen to carry, where that may count.
    pub fn planned<'m>(&self, place: Place<'_>, metric: &'m Metric) -> Cow<'m, Metric> {
        let Some(target_per_unit) = self.state.planned(self.platform, place, metric) else {
            return Cow::Borrowed(metric);
        };
        let measure = Measure::Load { target_per_unit, limit_per_unit: None };
        Cow::Owned(Metric { measure, ..metric.clone() })
    }

    /// Confidence from which a forecast may scale out: as configured, moved by what was learned where that may count.
    pub fn scale_out_confidence(&self) -> Ratio {
        self.adjusted(self.platform.predictive.scale_out_confidence, self.state.confidence_adjustment.out)
    }

    /// Confidence from which a forecast may scale in.
    pub fn scale_in_confidence(&self) -> Ratio {
        self.adjusted(self.platform.predictive.scale_in_confidence, self.state.confidence_adjustment.inward)
    }

    fn adjusted(&self, configured: Ratio, by: f64) -> Ratio {
        let by = by.clamp(-ConfidenceAdjustment::MOST, ConfidenceAdjustment::MOST);
        if self.phase() == Phase::Optimized { Ratio::clamped(configured.get() + by) } else { configured }
    }
}

/// A change that was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Of which dimension.
    pub key: DimensionKey,
    /// When it was done.
    pub at: Timestamp,
    /// From how many units.
    pub from: Units,
    /// To how many units.
    pub to: Units,
}
