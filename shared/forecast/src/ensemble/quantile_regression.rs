//! Quantiles of the ensemble's errors: boosted trees for each level, corrected so that the level holds.
//!
//! The correction follows Romano, Patterson and Candès, "Conformalized Quantile Regression" (2019). Only part of it is
//! applied, because neighbouring errors are correlated and overstate it.

#![expect(
    clippy::indexing_slicing,
    reason = "rows are indexed by their own number, parts of the horizon by a number below theirs"
)]
#![expect(clippy::as_conversions, reason = "trees work in numbers of seven digits")]

use serde::{Deserialize, Serialize};

use super::boosted_regression::{BOOSTED_SETTINGS, HORIZON_PARTS, TrainingRow, part_of, tree_inputs};
use crate::boosting::{Bins, BoostedTrees, Loss, Matrix, Settings};
use crate::statistics::{quantile, real};

/// Levels that trees are trained for. Quantiles at other levels are interpolated.
pub(super) const TRAINED_LEVELS: [f64; 4] = [0.05, 0.9, 0.95, 0.99];
/// The share of the measured correction that is applied.
const SHIFT_SHARE: f64 = 0.2;
/// Out-of-fold errors come from models that were trained on two thirds of the history. The model that forecasts was trained
/// on all of it, and its errors are so many times as large.
const FULL_HISTORY_SHARE: f64 = 0.97;
const SETTINGS: Settings = Settings { trees: 40, depth: 3, ..BOOSTED_SETTINGS };
/// So many neighbouring errors are taken to carry as much information as one independent error.
const ERRORS_PER_INDEPENDENT: f64 = 6.0;

/// The regression of one quantile of the ensemble's error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct QuantileRegression {
    level: f64,
    trees: BoostedTrees,
    /// The correction for each part of the horizon.
    conformal_shifts: Vec<f64>,
}

/// A row with its out-of-fold predictions.
pub(super) struct OutOfFoldPrediction<'a> {
    pub(super) row: &'a TrainingRow,
    pub(super) linear_prediction: f64,
    pub(super) prediction: f64,
}

impl OutOfFoldPrediction<'_> {
    fn error(&self) -> f64 {
        self.row.actual - self.prediction
    }

    fn features(&self) -> Vec<f32> {
        tree_inputs(&self.row.features, &[self.linear_prediction, self.prediction])
    }
}

impl QuantileRegression {
    pub(super) fn level(&self) -> f64 {
        self.level
    }

    /// The difference of the quantile from the median. A difference of the wrong sign is noise, and taken as zero.
    pub(super) fn offset(&self, features: &[f32], part: usize) -> f64 {
        let offset = self.trees.predict(features) * FULL_HISTORY_SHARE + self.conformal_shifts[part];
        if self.level < 0.5 { offset.min(0.0) } else { offset.max(0.0) }
    }

    pub(super) fn is_valid(&self) -> bool {
        self.conformal_shifts.len() == HORIZON_PARTS.len()
    }
}

/// Features and errors of rows, in the form that trees are trained on.
struct ErrorRows {
    bins: Bins,
    errors: Vec<f32>,
    weights: Vec<f32>,
}

impl ErrorRows {
    fn of(predicted: &[OutOfFoldPrediction<'_>]) -> ErrorRows {
        let mut matrix =
            Matrix::new(predicted.first().map_or(0, |one| one.row.features.tree_inputs.len()) + 2);
        predicted.iter().for_each(|one| matrix.push(&one.features()));
        ErrorRows {
            bins: Bins::new(&matrix),
            errors: predicted.iter().map(|one| one.error() as f32).collect(),
            weights: predicted.iter().map(|one| one.row.weight as f32).collect(),
        }
    }

    fn fit(&self, level: f64) -> BoostedTrees {
        let settings = Settings { loss: Loss::Quantile(level), ..SETTINGS };
        BoostedTrees::fit_binned(&self.bins, &self.errors, &self.weights, &settings)
    }
}

/// Quantile regressions of the out-of-fold errors. The correction of each is measured on both halves of the errors, with
/// trees that were trained on the other half.
pub(super) fn fit_with_trees(
    predicted: &[OutOfFoldPrediction<'_>],
    horizon: usize,
) -> Vec<QuantileRegression> {
    let (early, late) = predicted.split_at(predicted.len() / 2);
    let halves = [ErrorRows::of(early), ErrorRows::of(late)];
    let whole = ErrorRows::of(predicted);
    let regression = |level: f64| {
        let mut errors = vec![Vec::new(); HORIZON_PARTS.len()];
        for (half, other_half) in halves.iter().zip([late, early]) {
            let trees = half.fit(level);
            for one in other_half {
                errors[part_of(one.row.ahead, horizon)].push(one.error() - trees.predict(&one.features()));
            }
        }
        errors.iter_mut().for_each(|errors| errors.sort_by(f64::total_cmp));
        let conformal_shifts = errors.iter().map(|errors| quantile(errors, level) * SHIFT_SHARE).collect();
        QuantileRegression { level, trees: whole.fit(level), conformal_shifts }
    };
    TRAINED_LEVELS.into_iter().map(regression).collect()
}

/// Quantiles of the out-of-fold errors without any features, for histories that are too short for trees. The fewer errors
/// there are, the wider they are made.
pub(super) fn fit_without_trees(
    predicted: &[OutOfFoldPrediction<'_>],
    horizon: usize,
) -> Vec<QuantileRegression> {
    let mut errors = vec![Vec::new(); HORIZON_PARTS.len()];
    for one in predicted {
        errors[part_of(one.row.ahead, horizon)].push(one.error());
    }
    // A part of the horizon that hardly any row reaches gets the errors of the part before it.
    for part in 1..errors.len() {
        if errors[part].len() < errors[part - 1].len() / 4 {
            errors[part] = errors[part - 1].clone();
        }
    }
    errors.iter_mut().for_each(|errors| errors.sort_by(f64::total_cmp));
    let regression = |level: f64| {
        let conformal_shifts = errors.iter().map(|errors| {
            let independent = real(errors.len()) / ERRORS_PER_INDEPENDENT;
            let wider = 1.0 + 2.0 / (1.0 + independent).sqrt();
            quantile(errors, level) * wider
        });
        QuantileRegression {
            level,
            trees: BoostedTrees::default(),
            conformal_shifts: conformal_shifts.collect(),
        }
    };
    TRAINED_LEVELS.into_iter().map(regression).collect()
}

pub(super) fn logit(level: f64) -> f64 {
    let level = level.clamp(1e-6, 1.0 - 1e-6);
    (level / (1.0 - level)).ln()
}

/// The value at a level, interpolated between the points on the logit of the level, and extrapolated beyond them.
pub(super) fn interpolate(points: &[(f64, f64)], level: f64) -> f64 {
    let at = logit(level);
    let after = points.partition_point(|point| point.0 < at).clamp(1, points.len() - 1);
    let ((x0, y0), (x1, y1)) = (points[after - 1], points[after]);
    let value = if x1 > x0 { y0 + (y1 - y0) * (at - x0) / (x1 - x0) } else { y1 };
    value.max(0.0)
}
