//! The model of one window: boosted trees for its largest load and for the size of the error of that prediction.

use serde::{Deserialize, Serialize};

use super::Window;
use super::error_distribution::{ErrorDistribution, WeightedError, thinned};
use super::features::{LevelFeatures, narrow};
use super::training_set::{FOLDS, ROWS_MIN, TrainingSet};
use crate::boosting::{Bins, BoostedTrees, Loss, Settings};

/// The trained model of one window, with the errors that it made out of fold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct WindowModel {
    pub(super) window: Window,
    /// Predicts the largest level of the window, relative to the newest one.
    location: BoostedTrees,
    /// Predicts the size of the error of that.
    scale: BoostedTrees,
    /// Out-of-fold errors in multiples of the predicted size.
    errors: Vec<WeightedError>,
}

/// The smallest size of error that is predicted: no prediction is ever certain.
const SCALE_MIN: f64 = 0.005;

/// How much is learned: the most rows, and one in how many of the usual trees.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    rows: usize,
    trees_share: usize,
}

impl Effort {
    /// More rows take longer to learn from and improve nothing.
    pub(super) const FULL: Effort = Effort { rows: 5_000, trees_share: 1 };
    /// A quarter of the time and half of the size, for a window that only says how early to begin.
    pub(super) const COARSE: Effort = Effort { rows: 2_500, trees_share: 2 };

    fn of(self, settings: &Settings) -> Settings {
        Settings { trees: settings.trees / self.trees_share, ..*settings }
    }
}

/// The predicted size of an error moves only half of the way from the mean size. What is learned about rare errors is partly
/// chance; on made loads and traces of bursts, the whole way costs 3 % more for the same supply.
const DAMPED: f32 = 0.5;

const LOCATION: Settings = Settings {
    loss: Loss::Squared,
    trees: 80,
    depth: 4,
    learning_rate: 0.12,
    regularization: 10.0,
    feature_share: 0.45,
    seed: 1,
};
const SCALE: Settings = Settings {
    loss: Loss::Squared,
    trees: 40,
    depth: 3,
    learning_rate: 0.12,
    regularization: 20.0,
    feature_share: 0.7,
    seed: 2,
};

impl WindowModel {
    pub(super) fn train(
        features: &LevelFeatures,
        window: Window,
        reach: usize,
        effort: Effort,
    ) -> Option<WindowModel> {
        let set = TrainingSet::of(features, window, reach, effort.rows);
        let (location, scale) = (effort.of(&LOCATION), effort.of(&SCALE));
        if set.rows.len() < ROWS_MIN {
            return None;
        }
        let folds: Vec<Bins> = (0..FOLDS).map(|fold| set.bins(|row| set.fold(row) != fold)).collect();
        let predictions =
            out_of_fold(&set, &folds, &set.targets, |bins, targets| fit(bins, targets, &location));
        let sizes: Vec<f32> = set
            .targets
            .iter()
            .zip(&predictions)
            .map(|(target, prediction)| (target - prediction).abs())
            .collect();
        let fit_scale = |bins: &Bins, sizes: &[f32]| fit(bins, sizes, &scale).damped(DAMPED);
        // Sizes that were predicted for the very errors that they were learned from would be too good, and the distribution
        // of errors in multiples of them too narrow.
        let scales = out_of_fold(&set, &folds, &sizes, fit_scale);
        let samples = set.samples.iter().zip(predictions.iter().zip(&scales));
        let errors = samples.flat_map(|(samples, (prediction, scale))| {
            let scale = f64::from(*scale).max(SCALE_MIN);
            samples.iter().map(move |level| f64::from(level - prediction) / scale)
        });
        let errors = thinned(errors.collect(), window.statistic.samples());
        let bins = set.bins(|_| true);
        let location = fit(&bins, &set.clip(&set.targets), &location);
        let scale = fit_scale(&bins, &set.clip(&sizes));
        Some(WindowModel { window, location, scale, errors })
    }

    /// The largest level expected of the window, relative to the newest one, and the expected size of the error of that.
    pub(super) fn predict(&self, row: &[f32]) -> (f64, f64) {
        (self.location.predict(row), self.scale.predict(row).max(SCALE_MIN))
    }

    /// The distribution of errors: those of training, and the `newest` ones.
    pub(super) fn error_distribution(&self, newest: &[f64]) -> ErrorDistribution {
        let newest = newest.iter().map(|error| (narrow(*error), 1));
        ErrorDistribution::of(self.errors.iter().copied().chain(newest).collect())
    }
}

/// A prediction for each row, by a model that was trained on the values of the other folds. `folds` has the features of all
/// rows that are not in a fold.
fn out_of_fold(
    set: &TrainingSet,
    folds: &[Bins],
    values: &[f32],
    fit: impl Fn(&Bins, &[f32]) -> BoostedTrees,
) -> Vec<f32> {
    let without = |(fold, bins): (usize, &Bins)| {
        let others = values.iter().enumerate().filter(|(row, _)| set.fold(*row) != fold);
        let others: Vec<f32> = others.map(|(_, value)| *value).collect();
        fit(bins, &set.clip(&others))
    };
    let models: Vec<BoostedTrees> = folds.iter().enumerate().map(without).collect();
    let predict = |(row, features): (usize, &Vec<f32>)| {
        narrow(models.get(set.fold(row)).map_or(0.0, |model| model.predict(features)))
    };
    set.rows.iter().enumerate().map(predict).collect()
}

fn fit(bins: &Bins, targets: &[f32], settings: &Settings) -> BoostedTrees {
    BoostedTrees::fit_binned(bins, targets, &vec![1.0; targets.len()], settings)
}
