//! Covariates: what is known about a load besides its own past, such as a calendar of sales.

#![expect(clippy::as_conversions, reason = "features need no more than seven digits")]

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::series::Series;
use crate::statistics::real;

/// The most covariates that a model uses. Further ones are ignored.
pub const COVARIATES_MAX: usize = 4;

/// A series that is known over the history and over the horizon, on any grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Covariate {
    /// Its name, by which a trained model finds it again.
    pub name: String,
    /// Its values. A gap counts as the mean.
    pub series: Series,
}

/// What a model is given besides the history.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// The covariates, of which the first [`COVARIATES_MAX`] are used.
    pub covariates: &'a [Covariate],
}

/// The mean and the mean absolute deviation of a covariate in training. The model sees its values shifted and scaled by
/// them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ScaledCovariate {
    name: String,
    mean: f64,
    size: f64,
}

impl ScaledCovariate {
    /// The covariates of a context, scaled by their values over `from..to`.
    pub(super) fn of(context: &Context<'_>, from: Timestamp, to: Timestamp) -> Vec<ScaledCovariate> {
        let scaled = |covariate: &Covariate| {
            let within = |index: &usize| (from..to).contains(&covariate.series.time_of(*index));
            let known: Vec<f64> = (0..covariate.series.len())
                .filter(within)
                .filter_map(|index| covariate.series.get(index))
                .collect();
            let count = real(known.len()).max(1.0);
            let mean = known.iter().sum::<f64>() / count;
            let size = known.iter().map(|value| (value - mean).abs()).sum::<f64>() / count;
            ScaledCovariate { name: covariate.name.clone(), mean, size: if size > 0.0 { size } else { 1.0 } }
        };
        context.covariates.iter().take(COVARIATES_MAX).map(scaled).collect()
    }

    /// The scaled values on the grid of a history and `horizon` steps beyond it.
    pub(super) fn on(&self, context: &Context<'_>, history: &Series, horizon: usize) -> Vec<f32> {
        let covariate = context.covariates.iter().find(|covariate| covariate.name == self.name);
        let value = |index: usize| {
            let value = covariate.and_then(|covariate| covariate.series.at(history.time_of(index)));
            value.map_or(0.0, |value| ((value - self.mean) / self.size) as f32)
        };
        (0..history.len() + horizon).map(value).collect()
    }
}
