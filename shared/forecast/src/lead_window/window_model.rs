//! One window's model: boosting for where the largest load lies and for how far that is off.

use serde::{Deserialize, Serialize};

use super::error_distribution::{Tail, Weighted, thinned};
use super::features::{Views, WIDTH, narrow};
use super::{Window, steps};
use crate::boosting::{Bins, Boost, Loss, Matrix, Settings};

/// Learned location and scale, and the errors made where they had not learned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct WindowModel {
    pub(super) window: Window,
    location: Boost,
    scale: Boost,
    errors: Vec<Weighted>,
}

/// Rows learned from at most: more take longer and say the same.
const ROWS_MAX: usize = 5_000;
/// Fewer rows say nothing about what is rare.
const ROWS_MIN: usize = 60;
/// Of a short history, what is left out at its beginning: one part in so many.
const FIRST: usize = 8;
/// Two weeks; what is older was another workload.
const PAST_S: u32 = 14 * 86_400;
/// No prediction is so sure that it is never off.
const SCALE_MIN: f64 = 0.005;
/// Parts of the history: each is predicted by what was learned from the others.
const FOLDS: usize = 3;
/// Blocks of a fold, so that each fold has seen every part of the weeks.
const BLOCKS: usize = 6;

const LOCATION: Settings =
    Settings { loss: Loss::Squared, trees: 80, depth: 4, rate: 0.12, prior: 10.0, features: 0.45, seed: 1 };
const SCALE: Settings =
    Settings { loss: Loss::Squared, trees: 40, depth: 3, rate: 0.12, prior: 20.0, features: 0.7, seed: 2 };

/// Rows of features with what came.
struct Lessons {
    rows: Vec<Vec<f32>>,
    targets: Vec<f32>,
    /// What is weighed of each row's window, relative to the newest level.
    weighed: Vec<Vec<f32>>,
    /// Rows that one moment is in the window of.
    alike: usize,
}

impl Lessons {
    fn of(views: &Views, window: Window, reach: usize) -> Lessons {
        let last = views.len().saturating_sub(reach);
        let day = steps(super::DAY_S, views.step_s());
        let past = last.saturating_sub(steps(PAST_S, views.step_s()));
        // The first day has no day before it to compare with; a short history cannot be choosy.
        let first = past.max(if 3 * day < last { day } else { day.min(last / FIRST) });
        let stride = (last - first).div_ceil(ROWS_MAX).max(1);
        let alike = window.to.div_ceil(stride);
        let mut lessons = Lessons { rows: Vec::new(), targets: Vec::new(), weighed: Vec::new(), alike };
        for now in (first..last).step_by(stride) {
            let Some(peak) = views.peak(now, window) else { continue };
            lessons.rows.push(views.row(now, reach));
            let base = narrow(views.base(now));
            lessons.targets.push(narrow(peak) - base);
            let weighed = views.weighed(now, window).into_iter();
            lessons.weighed.push(weighed.map(|level| level - base).collect());
        }
        lessons
    }

    /// What came once teaches nothing about when it comes: values beyond those of a second event are cut to it.
    fn cut(&self, values: &[f32]) -> Vec<f32> {
        let mut sizes: Vec<f32> = values.iter().map(|value| value.abs()).collect();
        sizes.sort_unstable_by(|a, b| b.total_cmp(a));
        let most = sizes.get(self.alike).copied().unwrap_or(0.0);
        values.iter().map(|value| value.clamp(-most, most)).collect()
    }

    fn fold(&self, row: usize) -> usize {
        row * BLOCKS / self.rows.len().max(1) % FOLDS
    }

    fn bins(&self, keep: impl Fn(usize) -> bool) -> Bins {
        let mut matrix = Matrix::new(WIDTH);
        let kept = self.rows.iter().enumerate().filter(|(row, _)| keep(*row));
        kept.for_each(|(_, features)| matrix.push(features));
        Bins::new(&matrix)
    }

    /// What is learned from all parts but one.
    fn without(&self, fold: usize) -> Boost {
        let others = |row: usize| self.fold(row) != fold;
        let targets = self.targets.iter().enumerate().filter(|(row, _)| others(*row));
        let targets: Vec<f32> = targets.map(|(_, target)| *target).collect();
        fit(&self.bins(others), &self.cut(&targets), &LOCATION)
    }

    /// The error of each row where the model had not learned from its part.
    fn unseen_errors(&self) -> Vec<f32> {
        let models: Vec<Boost> = (0..FOLDS).map(|fold| self.without(fold)).collect();
        let error = |(row, features): (usize, &Vec<f32>)| {
            let guess = models.get(self.fold(row)).map_or(0.0, |model| model.predict(features));
            self.targets.get(row).copied().unwrap_or(0.0) - narrow(guess)
        };
        self.rows.iter().enumerate().map(error).collect()
    }
}

/// Steps of a history that windows of `reach` can be learned from.
pub(super) fn needed(reach: usize) -> usize {
    (ROWS_MIN * FIRST).div_ceil(FIRST - 1) + reach
}

fn fit(bins: &Bins, targets: &[f32], settings: &Settings) -> Boost {
    Boost::fit_binned(bins, targets, &vec![1.0; targets.len()], settings)
}

impl WindowModel {
    pub(super) fn train(views: &Views, window: Window, reach: usize) -> Option<WindowModel> {
        let lessons = Lessons::of(views, window, reach);
        if lessons.rows.len() < ROWS_MIN {
            return None;
        }
        let errors = lessons.unseen_errors();
        let sizes: Vec<f32> = errors.iter().map(|error| error.abs()).collect();
        let bins = lessons.bins(|_| true);
        let location = fit(&bins, &lessons.cut(&lessons.targets), &LOCATION);
        let scale = fit(&bins, &lessons.cut(&sizes), &SCALE);
        let mut model = WindowModel { window, location, scale, errors: Vec::new() };
        let mut scaled = Vec::new();
        for ((error, target), (row, weighed)) in
            errors.iter().zip(&lessons.targets).zip(lessons.rows.iter().zip(&lessons.weighed))
        {
            let (guess, scale) = (target - error, model.predict(row).1);
            scaled.extend(weighed.iter().map(|level| f64::from(level - guess) / scale));
        }
        model.errors = thinned(scaled, window.weighs.steps());
        Some(model)
    }

    /// Where the largest load lies, relative to the newest level, and how far that is off.
    pub(super) fn predict(&self, row: &[f32]) -> (f64, f64) {
        (self.location.predict(row), self.scale.predict(row).max(SCALE_MIN))
    }

    /// How errors spread, as they did in training and in the `newest` predictions.
    pub(super) fn tail(&self, newest: &[f64]) -> Tail {
        let newest = newest.iter().map(|error| (narrow(*error), 1));
        Tail::of(self.errors.iter().copied().chain(newest).collect())
    }
}
