//! Online calibration: between trainings, recent errors correct the width of the quantiles and the confidence, and show
//! whether the load still behaves as it did in training.

#![expect(clippy::indexing_slicing, reason = "parts of the horizon and levels are counted in training")]

use serde::{Deserialize, Serialize};

use super::boosted_regression::HORIZON_PARTS;
use super::quantile_regression::TRAINED_LEVELS;
use crate::ratio::Ratio;
use crate::statistics::{quantile, real};

/// The step size of width corrections: a miss makes the 90 % quantile wider by 5 %.
const WIDENING: f64 = 0.06;
/// The limits of widths, as multiples of the trained width.
const WIDTH_MIN: f64 = 0.5;
const WIDTH_MAX: f64 = 8.0;
/// This share of the usual error is added to a width before it is multiplied, so that a width of zero can grow too.
const BASE: f64 = 0.25;
/// Drift counts an error as at most so many times the usual one.
const DRIFT_ERROR_MAX: f64 = 6.0;
/// The load has a new level when all errors of the newest hour have the same sign, and their median is at least so many
/// usual errors.
const LEVEL_SHIFT_MIN: f64 = 6.0;
/// On coarse grids, the newest hour is taken to have at least so many steps.
const LEVEL_SHIFT_STEPS_MIN: usize = 3;
/// The errors of the newest hour are kept as at most so many times the usual one, to stay finite.
const NEWEST_ERROR_MAX: f64 = 1e6;
/// What is subtracted from the sums of drift at each step, in usual errors: from sums of signed errors, and from the sum of
/// their sizes.
const BIAS_ALLOWED: f64 = 1.0;
const SIZE_ALLOWED: f64 = 2.0;
/// A sum above this is drift. Errors of three times the usual size reach it in 20 steps.
const DRIFT_MAX: f64 = 40.0;
/// The smallest usual error, as a share of the mean load.
const ERROR_MIN: f64 = 0.005;
/// The anomaly score is 63 % when the mean error is larger than usual by this many usual errors.
const ANOMALY_SCALE: f64 = 4.0;

/// The calibration of one model. Errors are in multiples of the model's scale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct OnlineCalibration {
    /// The weight of a new point in the running means.
    newest_share: f64,
    /// Running means of the absolute error and of the load.
    mean_error: f64,
    mean_load: f64,
    /// The usual absolute error, for each part of the horizon.
    usual_errors: Vec<f64>,
    /// The factor on the trained width, for each part of the horizon and each level.
    widths: Vec<[f64; TRAINED_LEVELS.len()]>,
    /// Cumulative sums of upward errors, downward errors and sizes of errors, less what is allowed at each step.
    drift: [f64; 3],
    /// The errors of the newest hour, one step ahead, in multiples of the usual error.
    newest_errors: Vec<f64>,
    /// The number of steps in an hour, or the fewest that can show a new level.
    hour_steps: usize,
}

/// A step that was predicted and has now been measured.
pub(super) struct ScoredStep {
    pub(super) part: usize,
    /// The median without the correction for a new level.
    pub(super) prediction: f64,
    /// The quantiles as they were predicted.
    pub(super) quantiles: [f64; TRAINED_LEVELS.len()],
    pub(super) actual: f64,
}

impl OnlineCalibration {
    /// The calibration after training, from out-of-fold errors: part of the horizon, absolute error, absolute load and
    /// weight of each.
    pub(super) fn new(errors: &[(usize, f64, f64, f64)], day: usize, hour_steps: usize) -> OnlineCalibration {
        let mut sums = vec![(0.0, 0.0); HORIZON_PARTS.len()];
        let mut mean_load = 0.0;
        for (part, mean_error, size, weight) in errors {
            sums[*part].0 += mean_error * weight;
            sums[*part].1 += weight;
            mean_load += size * weight;
        }
        let (mean_error, weight) = sums.iter().fold((0.0, 0.0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
        let mean = |(mean_error, weight): &(f64, f64)| if *weight > 0.0 { mean_error / weight } else { 0.0 };
        let mut usual_errors: Vec<f64> = sums.iter().map(|sum| mean(sum).max(ERROR_MIN)).collect();
        // A part of the horizon that no row reaches gets the errors of the part before it.
        for part in 1..usual_errors.len() {
            if sums[part].1 <= 0.0 {
                usual_errors[part] = usual_errors[part - 1];
                sums[part] = sums[part - 1];
            }
        }
        // The nearest parts of a short horizon may have no step, and get the errors of the part after them.
        for part in (1..usual_errors.len()).rev() {
            if sums[part - 1].1 <= 0.0 && sums[part].1 > 0.0 {
                sums[part - 1] = sums[part];
                usual_errors[part - 1] = usual_errors[part];
            }
        }
        OnlineCalibration {
            newest_share: 1.0 / real(day.max(12)),
            mean_error: mean(&(mean_error, weight)),
            mean_load: mean(&(mean_load, weight)),
            usual_errors,
            widths: vec![[1.0; TRAINED_LEVELS.len()]; HORIZON_PARTS.len()],
            drift: [0.0; 3],
            newest_errors: Vec::new(),
            hour_steps: hour_steps.max(LEVEL_SHIFT_STEPS_MIN),
        }
    }

    /// Whether its lists have the lengths that this build expects.
    pub(super) fn is_valid(&self) -> bool {
        self.usual_errors.len() == HORIZON_PARTS.len() && self.widths.len() == HORIZON_PARTS.len()
    }

    /// The corrected difference of a quantile from the median, which is `offset` by training.
    pub(super) fn calibrated(&self, offset: f64, part: usize, level: usize) -> f64 {
        let width = self.widths[part][level];
        let base = BASE * self.usual_errors[part];
        if TRAINED_LEVELS[level] < 0.5 {
            (width * (offset - base) + base).min(0.0)
        } else {
            (width * (offset + base) - base).max(0.0)
        }
    }

    /// Takes in one measured step, which was predicted from several earlier origins, the nearest first.
    ///
    /// Widths follow Gibbs and Candès, "Adaptive conformal inference" (2021), on a logarithmic scale. A miss widens and a
    /// hit narrows them, in the proportion that makes the level hold in the long run, within limits.
    pub(super) fn update(&mut self, scores: &[ScoredStep]) {
        let (mut bias, mut size, mut mean_error, mut mean_load) = (0.0, 0.0, 0.0, 0.0);
        let share = 1.0 / real(scores.len()).max(1.0);
        for score in scores {
            let error = score.actual - score.prediction;
            let usual = (error / self.usual_errors[score.part]).clamp(-DRIFT_ERROR_MAX, DRIFT_ERROR_MAX);
            bias += usual * share;
            size += usual.abs() * share;
            mean_error += error.abs() * share;
            mean_load += score.actual.abs() * share;
            self.widen(score);
        }
        let Some(nearest) = scores.first() else { return };
        let from = (self.newest_errors.len() + 1).saturating_sub(self.hour_steps);
        self.newest_errors.drain(..from.min(self.newest_errors.len()));
        let error = nearest.actual - nearest.prediction;
        let usual = error / self.usual_errors[0];
        self.newest_errors.push(usual.clamp(-NEWEST_ERROR_MAX, NEWEST_ERROR_MAX));
        self.mean_error += self.newest_share * (mean_error - self.mean_error);
        self.mean_load += self.newest_share * (mean_load - self.mean_load);
        let steps = [bias - BIAS_ALLOWED, -bias - BIAS_ALLOWED, size - SIZE_ALLOWED];
        for (sum, step) in self.drift.iter_mut().zip(steps) {
            *sum = (*sum + step).clamp(0.0, 2.0 * DRIFT_MAX);
        }
    }

    fn widen(&mut self, score: &ScoredStep) {
        for (index, level) in TRAINED_LEVELS.iter().enumerate() {
            let quantile = score.quantiles[index];
            let (miss, due) = if *level < 0.5 {
                (score.actual < quantile, *level)
            } else {
                (quantile < score.actual, 1.0 - level)
            };
            let width = &mut self.widths[score.part][index];
            let step = WIDENING * (f64::from(u8::from(miss)) - due);
            *width = (*width * step.exp()).clamp(WIDTH_MIN, WIDTH_MAX);
        }
    }

    /// The correction of all predictions for a new level of the load that the model does not follow; zero if there is none.
    pub(super) fn level_shift(&self) -> f64 {
        let mut sorted = self.newest_errors.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let one_side = sorted.first().zip(sorted.last()).is_some_and(|(low, high)| 0.0 < low * high);
        let median = quantile(&sorted, 0.5);
        let is_new = one_side && self.hour_steps <= sorted.len() && LEVEL_SHIFT_MIN <= median.abs();
        if is_new { median * self.usual_errors[0] } else { 0.0 }
    }

    /// One minus the mean absolute error over the mean load.
    pub(super) fn confidence(&self) -> f64 {
        let relative = if self.mean_load > 0.0 { self.mean_error / self.mean_load } else { self.mean_error };
        (1.0 - relative).clamp(0.0, 1.0)
    }

    /// The largest sum of drift over its limit. From one on, there is drift.
    pub(super) fn drift(&self) -> f64 {
        self.drift.iter().copied().fold(0.0, f64::max) / DRIFT_MAX
    }

    pub(super) fn anomaly(&self) -> Ratio {
        let count = real(self.newest_errors.len()).max(1.0);
        let mean = self.newest_errors.iter().map(|error| error.abs()).sum::<f64>() / count;
        Ratio::clamped(1.0 - (-(mean - 1.0).max(0.0) / ANOMALY_SCALE).exp())
    }

    /// Goes back to the calibration after training, but keeps the errors of the newest hour. Errors that training has seen
    /// are no drift.
    pub(super) fn forget_drift(&mut self, trained: &OnlineCalibration) {
        let newest_errors = std::mem::take(&mut self.newest_errors);
        *self = OnlineCalibration { newest_errors, ..trained.clone() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calibration() -> OnlineCalibration {
        OnlineCalibration::new(&[(0, 1.0, 10.0, 1.0)], 288, 12)
    }

    /// Feeds errors to quantiles at -1 and 1; returns the share that falls outside in the second half.
    fn outside(errors: impl Fn(usize) -> f64, steps: usize) -> f64 {
        let mut calibration = calibration();
        let mut out = 0.0;
        for step in 0..steps {
            let offset = |level: usize| if level == 0 { -1.0 } else { 1.0 };
            let quantiles = [0, 1, 2, 3].map(|level| calibration.calibrated(offset(level), 0, level));
            let actual = errors(step);
            let misses = actual < quantiles[0] || quantiles[2] < actual;
            out += f64::from(u8::from(misses && steps / 2 <= step));
            calibration.update(&[ScoredStep { part: 0, prediction: 0.0, quantiles, actual }]);
        }
        out / (real(steps) / 2.0)
    }

    #[test]
    fn bands_come_to_hold_their_level_whatever_the_errors() {
        for size in [0.7, 1.0, 3.0, 6.0] {
            let share = outside(|step| size * (real(step * 7_919 % 1_000) / 500.0 - 1.0), 4_000);
            assert!((0.07..0.13).contains(&share), "{size}: {share} outside of the 90 % band");
        }
    }

    #[test]
    fn usual_errors_are_no_drift_and_a_shift_is() {
        let mut calibration = calibration();
        let score =
            |actual: f64| ScoredStep { part: 0, prediction: 0.0, quantiles: [-1.0, 1.0, 1.0, 2.0], actual };
        for step in 0..4_000_usize {
            calibration.update(&[score(2.0 * (real(step * 7_919 % 1_000) / 500.0 - 1.0))]);
        }
        assert!(calibration.drift() < 0.5, "{}", calibration.drift());
        assert!(calibration.anomaly().get() < 0.2);
        for _ in 0..24 {
            calibration.update(&[score(4.0)]);
        }
        assert!(calibration.drift() >= 1.0, "{}", calibration.drift());
        assert!(calibration.anomaly().get() > 0.5, "{:?}", calibration.anomaly());
    }
}
