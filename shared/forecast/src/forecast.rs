//! What a forecast consists of, and why there may be none.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ratio::Ratio;
use crate::series::Series;

/// Quantiles of future load on a regular grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// When the first step starts.
    pub start: Timestamp,
    /// Seconds between steps.
    pub step_s: u32,
    /// The expected load of each step.
    pub mean: Vec<f64>,
    /// Quantiles in rising order of their level. They never cross and are never negative.
    pub quantiles: Vec<Quantile>,
    /// The name of the model that made it.
    pub model: String,
    /// How far it can be trusted, from the recent errors of the model.
    pub confidence: Ratio,
}

/// One quantile over the steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantile {
    /// The share of outcomes that are expected at or below it.
    pub level: f64,
    /// One value for each step.
    pub values: Vec<f64>,
}

impl Forecast {
    /// The largest value of a quantile over the steps that overlap `from..to`: of the lowest quantile that is at `level` or
    /// above, else of the highest. `None` outside of the forecast.
    pub fn peak(&self, level: f64, from: Timestamp, to: Timestamp) -> Option<Peak> {
        let quantile =
            self.quantiles.iter().find(|quantile| level <= quantile.level).or(self.quantiles.last())?;
        let step_s = i64::from(self.step_s);
        let overlaps = |start_s: i64| from.as_second() < start_s + step_s && start_s < to.as_second();
        let starts = (0_i64..).map(|index| self.start.as_second() + index * step_s);
        let within = starts.zip(&quantile.values).filter(|(start_s, _)| overlaps(*start_s));
        let (start_s, load) = within.max_by(|a, b| a.1.total_cmp(b.1))?;
        Some(Peak { load: *load, level: quantile.level, at: Timestamp::from_second(start_s).ok()? })
    }

    /// When the last step ends.
    pub fn end(&self) -> Timestamp {
        let steps = i64::try_from(self.mean.len()).unwrap_or(i64::MAX);
        let end_s = self.start.as_second().saturating_add(steps.saturating_mul(i64::from(self.step_s)));
        Timestamp::from_second(end_s).unwrap_or(Timestamp::MAX)
    }
}

/// The largest load of a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// The load.
    pub load: f64,
    /// The quantile it belongs to.
    pub level: f64,
    /// When its step starts.
    pub at: Timestamp,
}

/// Why there is no forecast. The dimension is then scaled by its measured load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum NoForecast {
    /// Too few known points.
    #[error("{known} known points are too few; {needed} are needed")]
    TooShort {
        /// Known points.
        known: usize,
        /// Needed points.
        needed: usize,
    },
    /// There are enough points, but no model has been trained on them yet.
    #[error("no model of the lead window has been learned from {known} known points yet")]
    NotLearned {
        /// Points there are.
        known: usize,
    },
    /// Only the lead window is forecast here. Forecasts beyond it are made in the cycles of a deployed platform.
    #[error("nothing is foreseen beyond the lead window here")]
    LeadWindowOnly,
    /// A value is too large for calculations.
    #[error(
        "a value of the history is beyond {LOAD_MAX:e}, with which nothing can be calculated; scale the series"
    )]
    TooLarge,
    /// The history has another step than the one that the model was trained on.
    #[error("the model is for steps of {trained_s} s, and the history has steps of {found_s} s")]
    OtherStep {
        /// Seconds between the steps that it was trained on.
        trained_s: u32,
        /// Seconds between the steps of the history.
        found_s: u32,
    },
    /// The newest point is too old for a forecast.
    #[error("the history ends {age_s} s before now")]
    Stale {
        /// Seconds since the newest point.
        age_s: i64,
    },
}

/// With larger values, the sum over a year of five-minute points could overflow. CloudWatch takes none above 2^360, which is
/// 2e108.
const LOAD_MAX: f64 = 1e303;

/// The number of known points of a history that models can be trained on.
///
/// # Errors
/// When there are too few known points, or one is too large.
pub(crate) fn usable(history: &Series) -> Result<usize, NoForecast> {
    let (mut known, mut largest) = (0, 0.0_f64);
    for value in history.known() {
        known += 1;
        largest = largest.max(value.abs());
    }
    match known {
        known if known < KNOWN_MIN => Err(NoForecast::TooShort { known, needed: KNOWN_MIN }),
        _ if LOAD_MAX < largest => Err(NoForecast::TooLarge),
        known => Ok(known),
    }
}

/// The fewest known points of a forecast: from fewer, no distribution of errors can be measured.
pub const KNOWN_MIN: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_that_of_the_window() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let quantile = |level: f64, values: &[f64]| Quantile { level, values: values.to_vec() };
        let forecast = Forecast {
            start: at(0),
            step_s: 300,
            mean: vec![1.0; 4],
            quantiles: vec![quantile(0.5, &[1.0, 2.0, 9.0, 1.0]), quantile(0.9, &[2.0, 5.0, 19.0, 3.0])],
            model: "test".into(),
            confidence: Ratio::ONE,
        };
        assert_eq!(forecast.peak(0.9, at(0), at(600)).unwrap().load, 5.0);
        assert_eq!(forecast.peak(0.8, at(0), at(601)).unwrap().load, 19.0);
        assert_eq!(forecast.peak(0.5, at(900), at(1_200)).unwrap().load, 1.0);
        assert_eq!(forecast.peak(0.5, at(1_200), at(1_500)), None);
        assert_eq!(forecast.end(), at(1_200));
    }
}
