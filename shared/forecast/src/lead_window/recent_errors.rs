//! The errors of recent predictions of one window: they widen the next forecast and correct its distribution.

use std::collections::VecDeque;

use super::LoadDistribution;
use super::error_distribution::ErrorDistribution;
use super::features::LevelFeatures;
use super::window_model::WindowModel;
use crate::ratio::Ratio;
use crate::statistics::real;

/// The errors of so many windows are kept: two weeks of five-minute cycles.
const WINDOWS_MAX: usize = 4_032;
/// The distribution is computed again after so many new windows: fewer among thousands change little.
const NEW_ERRORS_MIN: usize = 12;
/// Predictions of one window that are not over yet, and the errors of those that are, in multiples of the expected size.
#[derive(Clone, Debug, Default)]
pub(super) struct RecentErrors {
    /// Predictions whose window is not over: the step that they were made at, location and scale.
    pending: VecDeque<(usize, f64, f64)>,
    /// The newest errors of the largest load.
    peak_errors: Vec<f64>,
    /// The newest errors of the steps that are sampled of each window.
    sample_errors: Vec<f64>,
    /// The distribution of errors, and the number of windows that it was last computed from.
    distribution: Option<(usize, ErrorDistribution)>,
}

impl RecentErrors {
    /// The forecast of the window that begins now.
    pub(super) fn forecast(
        &mut self,
        features: &LevelFeatures,
        model: &WindowModel,
        row: &[f32],
        now: usize,
    ) -> LoadDistribution {
        let (location, scale) = self.record(features, model, row, now);
        let ceiling = Some(features.ceiling(now, model.window.to));
        LoadDistribution { unit: features.unit(), location, scale, errors: self.distribution(model), ceiling }
    }

    /// Measures the errors of predictions whose window is over, and predicts the window that begins now: location and scale.
    pub(super) fn record(
        &mut self,
        features: &LevelFeatures,
        model: &WindowModel,
        row: &[f32],
        now: usize,
    ) -> (f64, f64) {
        while let Some((made, location, scale)) =
            self.pending.front().copied().filter(|(made, ..)| made + model.window.to <= now)
        {
            self.pending.pop_front();
            if let Some(actual) = features.peak(made, model.window) {
                self.peak_errors.push((actual - location) / scale);
                let samples = features.samples(made, model.window).into_iter();
                self.sample_errors.extend(samples.map(|level| (f64::from(level) - location) / scale));
            }
        }
        let most = WINDOWS_MAX * model.window.statistic.samples();
        for (errors, most) in [(&mut self.peak_errors, WINDOWS_MAX), (&mut self.sample_errors, most)] {
            if 2 * most <= errors.len() {
                errors.drain(..errors.len() - most);
            }
        }
        let (location, scale) = model.predict(row);
        let (location, scale) = (location + features.base(now), scale * self.volatility());
        self.pending.push_back((now, location, scale));
        (location, scale)
    }

    /// How many times as large as expected the newest errors are: larger errors are often followed by a burst.
    fn volatility(&self) -> f64 {
        const NEWEST: usize = 4;
        const MOST: f64 = 3.0;
        /// Large errors last only in part. This exponent was best on real traces.
        const SHARE: f64 = 0.7;
        let newest =
            self.peak_errors.get(self.peak_errors.len().saturating_sub(NEWEST)..).unwrap_or_default();
        let size = newest.iter().map(|error| error.abs()).sum::<f64>() / real(newest.len().max(1));
        size.clamp(1.0, MOST).powf(SHARE)
    }

    /// The share of recent errors below their 90 % quantile, divided by 90 %; at most one.
    pub(super) fn confidence(&self, distribution: &ErrorDistribution) -> Ratio {
        const WINDOWS: usize = 200;
        const LEVEL: f64 = 0.9;
        let bound = distribution.quantile(LEVEL);
        let newest =
            self.peak_errors.get(self.peak_errors.len().saturating_sub(WINDOWS)..).unwrap_or_default();
        let below = newest.iter().filter(|error| **error <= bound).count();
        // Without recent errors, the quantile is taken to hold as it did in training.
        let share = if newest.is_empty() { LEVEL } else { real(below) / real(newest.len()) };
        Ratio::clamped(share / LEVEL)
    }

    /// Makes the distribution be computed again: the model is another one.
    pub(super) fn forget_distribution(&mut self) {
        self.distribution = None;
    }

    /// The distribution of errors, computed again when there are enough new ones.
    fn distribution(&mut self, model: &WindowModel) -> ErrorDistribution {
        let known = self.peak_errors.len();
        match &self.distribution {
            Some((then, distribution)) if (*then..*then + NEW_ERRORS_MIN).contains(&known) => {
                distribution.clone()
            }
            _ => {
                let from =
                    self.sample_errors.len().saturating_sub(WINDOWS_MAX * model.window.statistic.samples());
                let newest = self.sample_errors.get(from..).unwrap_or_default();
                let distribution = model.error_distribution(newest);
                self.distribution = Some((known, distribution.clone()));
                distribution
            }
        }
    }
}
