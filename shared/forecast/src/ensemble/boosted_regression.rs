//! Boosted regression: a robust linear regression for level and season, and boosted trees for its residuals.

#![expect(
    clippy::indexing_slicing,
    reason = "parts of the horizon are numbers below that of the regressions"
)]
#![expect(clippy::as_conversions, reason = "trees work in numbers of seven digits")]

use serde::{Deserialize, Serialize};

use super::features::{LoadFeatures, StepFeatures};
use super::linear_regression::{self, Coefficients};
use crate::boosting::{BoostedTrees, Loss, Matrix, Settings};
use crate::statistics::real;

/// More rows take longer to learn from and hardly improve the model.
const ROWS_MAX: usize = 6_000;
/// The weight of a row halves with every so many days of its age.
const HALF_LIFE_DAYS: f64 = 20.0;
/// The parts of the horizon, each given by the share of the horizon where it ends. A part has one linear regression, weights
/// and corrections. The nearest parts are the shortest, because near steps differ most from each other.
pub(super) const HORIZON_PARTS: [f64; 5] = [0.06, 0.13, 0.3, 0.6, 1.0];

/// The settings of the trees for the median.
pub(super) const BOOSTED_SETTINGS: Settings = Settings {
    loss: Loss::Quantile(0.5),
    trees: 60,
    depth: 5,
    learning_rate: 0.15,
    regularization: 10.0,
    feature_share: 0.5,
    seed: 7,
};

/// The trained linear regressions and trees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct BoostedRegression {
    /// The horizon of training, in steps.
    horizon: usize,
    linear: Vec<Coefficients>,
    trees: BoostedTrees,
}

/// One step of the history, as it is predicted from an earlier origin: the first index that is unknown then.
pub(super) struct TrainingRow {
    pub(super) origin: usize,
    pub(super) ahead: usize,
    pub(super) features: StepFeatures,
    pub(super) actual: f64,
    pub(super) weight: f64,
    /// Whether a flash crowd began between origin and step. The boosted regression is not trained on such rows: it would
    /// expect the next one at the same time of day.
    pub(super) sudden: bool,
}

/// The part of the horizon that a step lies in.
pub(super) fn part_of(ahead: usize, horizon: usize) -> usize {
    let share = (real(ahead) + 0.5) / real(horizon.max(1));
    HORIZON_PARTS.iter().position(|end| share < *end).unwrap_or(HORIZON_PARTS.len() - 1)
}

impl BoostedRegression {
    pub(super) fn fit(rows: &[&TrainingRow], horizon: usize) -> BoostedRegression {
        let rows: Vec<&TrainingRow> = rows.iter().copied().filter(|row| !row.sudden).collect();
        let mut boosted = BoostedRegression { horizon, linear: Vec::new(), trees: BoostedTrees::default() };
        boosted.linear = (0..HORIZON_PARTS.len())
            .map(|part| {
                let mine = rows.iter().filter(|row| part_of(row.ahead, horizon) == part);
                linear_regression::fit(
                    &mine.map(|row| (&row.features.terms, row.actual, row.weight)).collect::<Vec<_>>(),
                )
            })
            .collect();
        let mut matrix = Matrix::new(rows.first().map_or(0, |row| row.features.tree_inputs.len()) + 1);
        let (mut errors, mut weights) = (Vec::new(), Vec::new());
        for row in &rows {
            let linear_prediction = boosted.linear_prediction(&row.features, row.ahead);
            matrix.push(&tree_inputs(&row.features, &[linear_prediction]));
            errors.push((row.actual - linear_prediction) as f32);
            weights.push(row.weight as f32);
        }
        boosted.trees = BoostedTrees::fit(&matrix, &errors, &weights, &BOOSTED_SETTINGS);
        boosted
    }

    pub(super) fn is_valid(&self) -> bool {
        self.linear.len() == HORIZON_PARTS.len()
    }

    pub(super) fn linear_prediction(&self, step: &StepFeatures, ahead: usize) -> f64 {
        linear_regression::dot(&step.terms, &self.linear[part_of(ahead, self.horizon)])
    }

    /// The prediction of the linear regression, and that of both together.
    pub(super) fn predictions(&self, step: &StepFeatures, ahead: usize) -> [f64; 2] {
        let linear_prediction = self.linear_prediction(step, ahead);
        [linear_prediction, linear_prediction + self.trees.predict(&tree_inputs(step, &[linear_prediction]))]
    }
}

/// The inputs of trees: the features of a step, and predictions that are known for it.
pub(super) fn tree_inputs(step: &StepFeatures, more: &[f64]) -> Vec<f32> {
    step.tree_inputs.iter().copied().chain(more.iter().map(|value| *value as f32)).collect()
}

/// Rows over the whole history. Long histories are sampled at every so many origins with one step each, short ones at every
/// origin with several steps.
pub(super) fn training_rows(features: &LoadFeatures, horizon: usize) -> Vec<TrainingRow> {
    let (first, end) = (features.first_origin(), features.len());
    let origins = end.saturating_sub(first).max(1);
    let stride = origins.div_ceil(ROWS_MAX);
    let each = (ROWS_MAX / origins).clamp(1, horizon);
    let mut rows = Vec::new();
    for origin in (first..end).step_by(stride) {
        for part in 0..each {
            let (from, to) = (part * horizon / each, (part + 1) * horizon / each);
            let ahead = from + scatter(origin, part) % (to - from).max(1);
            let Some(actual) = features.actual(origin + ahead) else { continue };
            let age_days = real(end - origin) / real(features.day);
            let weight = (-age_days / HALF_LIFE_DAYS).exp2();
            let sudden = features.is_crowd(origin + ahead) && !features.is_crowd(origin - 1);
            rows.push(TrainingRow {
                origin,
                ahead,
                features: features.at_step(origin, ahead),
                actual,
                weight,
                sudden,
            });
        }
    }
    rows
}

/// A number that differs between neighbouring origins and parts, and is the same in every run (Knuth's multiplicative hash).
pub(super) fn scatter(origin: usize, part: usize) -> usize {
    let mixed = (origin * 31 + part + 1).wrapping_mul(2_654_435_769);
    (mixed >> 12) & 0xffff
}
