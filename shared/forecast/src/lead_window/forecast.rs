//! The forecast of a lead window: the distribution of the load of each of its windows.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error_distribution::ErrorDistribution;
use crate::ratio::Ratio;

/// The distribution of the load of a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadDistribution {
    pub(super) unit: f64,
    /// The expected largest load, as `ln(1 + units)`.
    pub(super) location: f64,
    /// The expected size of the error of the location, on the same scale.
    pub(super) scale: f64,
    /// The distribution of errors in multiples of that size.
    #[serde(rename = "tail")]
    pub(super) errors: ErrorDistribution,
    /// No load above this is expected, whatever the errors say; `None` in forecasts of earlier builds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ceiling: Option<f64>,
}

/// The forecast of the windows that begin now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeadForecast {
    /// When the windows begin.
    pub from: Timestamp,
    /// When capacity that is ordered now is ready: the start of the arrival window.
    pub ready: Timestamp,
    /// When capacity that the next decision orders is ready: the end of the arrival and whole windows, and the start of the later
    /// one.
    pub until: Timestamp,
    /// The load from `ready` to `until`, for capacity that is ordered.
    pub arrival: LoadDistribution,
    /// The load from now to `until`, for capacity that is kept.
    pub whole: LoadDistribution,
    /// The load of the two cycles from `until` on; `None` in forecasts by older models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub later: Option<LaterForecast>,
    /// How well recent forecasts held: the share of windows that stayed below their 90 % quantile, divided by 90 %.
    pub confidence: Ratio,
}

/// The forecast of the later window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LaterForecast {
    /// When the window ends.
    pub until: Timestamp,
    /// Its largest load.
    pub load: LoadDistribution,
}

impl LeadForecast {
    /// The same forecast with the load multiplied by `factor`, which is asked for the start and end of each window.
    #[must_use]
    pub fn multiplied(mut self, factor: impl Fn(Timestamp, Timestamp) -> f64) -> LeadForecast {
        self.arrival.multiply(factor(self.ready, self.until));
        self.whole.multiply(factor(self.from, self.until));
        if let Some(later) = &mut self.later {
            later.load.multiply(factor(self.until, later.until));
        }
        self
    }
}

impl LoadDistribution {
    fn multiply(&mut self, factor: f64) {
        self.unit *= factor;
        self.ceiling = self.ceiling.map(|ceiling| ceiling * factor);
    }

    /// The probability that the load is above `load`. For the arrival window this is the expected share of its time, for other
    /// windows the probability that their largest load is above.
    pub fn chance_above(&self, load: f64) -> f64 {
        if self.ceiling.is_some_and(|ceiling| ceiling <= load) {
            return 0.0;
        }
        self.errors.share_above((self.measure(load) - self.location) / self.scale)
    }

    /// The load that is not exceeded with the probability `level`.
    pub fn quantile(&self, level: f64) -> f64 {
        let at = self.location + self.scale * self.errors.quantile(level);
        (at.exp_m1() * self.unit).max(0.0).min(self.ceiling.unwrap_or(f64::INFINITY))
    }

    fn measure(&self, load: f64) -> f64 {
        (load / self.unit).max(0.0).ln_1p()
    }
}
