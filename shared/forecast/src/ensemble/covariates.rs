//! Extra columns: what is known of a load beside its own past, such as a calendar of sales.

#![expect(clippy::as_conversions, reason = "features need no more than seven digits")]

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::series::Series;
use crate::statistics::real;

/// Extra columns that a model looks at. More are not read.
pub const COVARIATES_MAX: usize = 4;

/// A column that is known over the history and over the horizon, on any grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Covariate {
    /// Its name: a trained model finds its columns again by it.
    pub name: String,
    /// Its values. Where it says nothing, it counts as its own mean.
    pub series: Series,
}

/// What a model is told beside the history.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// Extra columns; the first [`COVARIATES_MAX`] count.
    pub covariates: &'a [Covariate],
}

/// How a column was in training: its middle and its size are zero and one to the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ScaledCovariate {
    name: String,
    mean: f64,
    size: f64,
}

impl ScaledCovariate {
    /// The columns of a context as a model over `from..to` sees them.
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

    /// Its values on the grid of a history and `horizon` steps beyond.
    pub(super) fn on(&self, context: &Context<'_>, history: &Series, horizon: usize) -> Vec<f32> {
        let covariate = context.covariates.iter().find(|covariate| covariate.name == self.name);
        let value = |index: usize| {
            let value = covariate.and_then(|covariate| covariate.series.at(history.time_of(index)));
            value.map_or(0.0, |value| ((value - self.mean) / self.size) as f32)
        };
        (0..history.len() + horizon).map(value).collect()
    }
}
