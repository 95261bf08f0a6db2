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
        let errors = out_of_fold_errors(&set, &location);
        let sizes: Vec<f32> = errors.iter().map(|error| error.abs()).collect();
        let bins = set.bins(|_| true);
        let location = fit(&bins, &set.clip(&set.targets), &location);
        let scale = fit(&bins, &set.clip(&sizes), &scale);
        let mut model = WindowModel { window, location, scale, errors: Vec::new() };
        let mut scaled = Vec::new();
        for ((error, target), (row, samples)) in
            errors.iter().zip(&set.targets).zip(set.rows.iter().zip(&set.samples))
        {
            let (prediction, scale) = (target - error, model.predict(row).1);
            scaled.extend(samples.iter().map(|level| f64::from(level - prediction) / scale));
        }
        model.errors = thinned(scaled, window.statistic.samples());
        Some(model)
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

/// The error of each row, predicted by a model that was trained on the other folds.
fn out_of_fold_errors(set: &TrainingSet, settings: &Settings) -> Vec<f32> {
    let models: Vec<BoostedTrees> = (0..FOLDS).map(|fold| fit_without(set, fold, settings)).collect();
    let error = |(row, features): (usize, &Vec<f32>)| {
        let prediction = models.get(set.fold(row)).map_or(0.0, |model| model.predict(features));
        set.targets.get(row).copied().unwrap_or(0.0) - narrow(prediction)
    };
    set.rows.iter().enumerate().map(error).collect()
}

/// The model of the location, trained on all folds but one.
fn fit_without(set: &TrainingSet, fold: usize, settings: &Settings) -> BoostedTrees {
    let others = |row: usize| set.fold(row) != fold;
    let targets = set.targets.iter().enumerate().filter(|(row, _)| others(*row));
    let targets: Vec<f32> = targets.map(|(_, target)| *target).collect();
    fit(&set.bins(others), &set.clip(&targets), settings)
}

fn fit(bins: &Bins, targets: &[f32], settings: &Settings) -> BoostedTrees {
    BoostedTrees::fit_binned(bins, targets, &vec![1.0; targets.len()], settings)
}
