//! What a trained model learns between trainings: how wide its bands must be, how far it is to be trusted, and whether
//! the load is still the one that it was trained on.

#![expect(clippy::indexing_slicing, reason = "buckets and levels are counted in training")]

use serde::{Deserialize, Serialize};

use super::boosted_regression::HORIZON_PARTS;
use super::quantile_regression::TRAINED_LEVELS;
use crate::ratio::Ratio;
use crate::statistics::{quantile, real};

/// How fast bands follow: a miss widens a 90 % quantile by a twentieth.
const WIDENING: f64 = 0.06;
/// Bands are never narrower or wider than so many times what was trained.
const WIDTH_MIN: f64 = 0.5;
const WIDTH_MAX: f64 = 8.0;
/// The part of the usual error that a band is given before it is stretched: a band of nothing can then widen.
const BASE: f64 = 0.25;
/// An error counts at most so many times the usual one.
const DRIFT_ERROR_MAX: f64 = 6.0;
/// A new level is one by which every error of the newest hour is to one side, and their median so many usual ones.
const LEVEL_SHIFT_MIN: f64 = 6.0;
/// On coarse grids so many steps are the newest hour.
const LEVEL_SHIFT_STEPS_MIN: usize = 3;
/// The newest errors count at most so many times the usual one as a surprise.
const NEWEST_ERROR_MAX: f64 = 1e6;
/// What the sums of drift forgive each step, in usual errors: for errors to one side, and for the size of errors.
const BIAS_ALLOWED: f64 = 1.0;
const SIZE_ALLOWED: f64 = 2.0;
/// A sum above this is drift: errors of three times the usual size for 20 steps.
const DRIFT_MAX: f64 = 40.0;
/// Errors below this share of the mean load are no errors to speak of.
const ERROR_MIN: f64 = 0.005;
/// The mean surprise at which the anomaly score has come to 63 %, less the one that is usual.
const ANOMALY_SCALE: f64 = 4.0;

/// What is learned on line. Errors are in multiples of the model's scale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct OnlineCalibration {
    /// Share that a new point has in what is remembered.
    newest_share: f64,
    /// Mean size of the errors and of the load, lately.
    mean_error: f64,
    mean_load: f64,
    /// The usual size of an error by part of the horizon.
    usual_errors: Vec<f64>,
    /// By part of the horizon and level: how many times as wide as trained.
    widths: Vec<[f64; TRAINED_LEVELS.len()]>,
    /// Sums of errors upwards, downwards, and of their sizes, beyond what is allowed.
    drift: [f64; 3],
    /// The newest hour's errors of the nearest step, in usual ones.
    newest_errors: Vec<f64>,
    /// Steps in an hour, or the fewest that make a new level.
    hour_steps: usize,
}

/// A step that was foreseen and then came: by part of the horizon what was said, the quantiles, and the truth.
pub(super) struct ScoredStep {
    pub(super) part: usize,
    /// Without the correction for a new level: what the model itself says.
    pub(super) prediction: f64,
    /// As they were said.
    pub(super) quantiles: [f64; TRAINED_LEVELS.len()],
    pub(super) actual: f64,
}

impl OnlineCalibration {
    /// The state after training, from honest errors: part of the horizon, size of the error, of the load, and weight.
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
        // A part that no row reaches errs at least as the one before it.
        for part in 1..usual_errors.len() {
            if sums[part].1 <= 0.0 {
                usual_errors[part] = usual_errors[part - 1];
                sums[part] = sums[part - 1];
            }
        }
        // Short horizons have no step in the nearest parts.
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

    /// Whether it has the shape that this build works with.
    pub(super) fn is_valid(&self) -> bool {
        self.usual_errors.len() == HORIZON_PARTS.len() && self.widths.len() == HORIZON_PARTS.len()
    }

    /// How far a quantile lies from the middle now, when training said `off`.
    pub(super) fn calibrated(&self, off: f64, part: usize, level: usize) -> f64 {
        let widths = self.widths[part][level];
        let base = BASE * self.usual_errors[part];
        if TRAINED_LEVELS[level] < 0.5 {
            (widths * (off - base) + base).min(0.0)
        } else {
            (widths * (off + base) - base).max(0.0)
        }
    }

    /// Takes in what came at one step, as it was foreseen from several origins before it, the nearest first.
    ///
    /// The bands follow Gibbs and Candès, "Adaptive conformal inference" (2021), on the scale of the width: a miss widens,
    /// a hit narrows, in the ratio that keeps the level, within bounds.
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
            let said = score.quantiles[index];
            let (miss, due) =
                if *level < 0.5 { (score.actual < said, *level) } else { (said < score.actual, 1.0 - level) };
            let widths = &mut self.widths[score.part][index];
            let step = WIDENING * (f64::from(u8::from(miss)) - due);
            *widths = (*widths * step.exp()).clamp(WIDTH_MIN, WIDTH_MAX);
        }
    }

    /// What has to be added to every guess, because the load has a new level that the model does not follow by itself.
    pub(super) fn level_shift(&self) -> f64 {
        let mut sorted = self.newest_errors.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let one_side = sorted.first().zip(sorted.last()).is_some_and(|(low, high)| 0.0 < low * high);
        let middle = quantile(&sorted, 0.5);
        let is_new = one_side && self.hour_steps <= sorted.len() && LEVEL_SHIFT_MIN <= middle.abs();
        if is_new { middle * self.usual_errors[0] } else { 0.0 }
    }

    /// One minus the mean size of recent errors over the mean load.
    pub(super) fn confidence(&self) -> f64 {
        let relative = if self.mean_load > 0.0 { self.mean_error / self.mean_load } else { self.mean_error };
        (1.0 - relative).clamp(0.0, 1.0)
    }

    /// The largest sum of drift over its limit: one and above is drift.
    pub(super) fn drift(&self) -> f64 {
        self.drift.iter().copied().fold(0.0, f64::max) / DRIFT_MAX
    }

    pub(super) fn anomaly(&self) -> Ratio {
        let count = real(self.newest_errors.len()).max(1.0);
        let mean = self.newest_errors.iter().map(|surprise| surprise.abs()).sum::<f64>() / count;
        Ratio::clamped(1.0 - (-(mean - 1.0).max(0.0) / ANOMALY_SCALE).exp())
    }

    /// Forgets the sums of drift, not what was surprising: what training saw is no drift.
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

    /// Feeds errors that a band of one to both sides was trained for; returns the share that fell outside at last.
    fn outside(errors: impl Fn(usize) -> f64, steps: usize) -> f64 {
        let mut calibration = calibration();
        let mut out = 0.0;
        for step in 0..steps {
            let off = |level: usize| if level == 0 { -1.0 } else { 1.0 };
            let quantiles = [0, 1, 2, 3].map(|level| calibration.calibrated(off(level), 0, level));
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
