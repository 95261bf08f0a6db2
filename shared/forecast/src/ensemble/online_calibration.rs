//! What a trained model learns between trainings: how wide its bands must be, how far it is to be trusted, and whether
//! the load is still the one that it was trained on.

#![expect(clippy::indexing_slicing, reason = "buckets and levels are counted in training")]

use serde::{Deserialize, Serialize};

use super::boosted_regression::BUCKETS;
use super::quantile_regression::LEVELS;
use crate::ratio::Ratio;
use crate::statistics::{quantile, real};

/// How fast bands follow: a miss widens a 90 % quantile by a twentieth.
const PACE: f64 = 0.06;
/// Bands are never narrower or wider than so many times what was trained.
const STRETCH_MIN: f64 = 0.5;
const STRETCH_MAX: f64 = 8.0;
/// The part of the usual error that a band is given before it is stretched: a band of nothing can then widen.
const BASE: f64 = 0.25;
/// An error counts at most so many times the usual one.
const SURPRISE_MAX: f64 = 6.0;
/// A new level is one by which every error of the newest hour is to one side, and their median so many usual ones.
const LEVEL_MIN: f64 = 6.0;
/// On coarse grids so many steps are the newest hour.
const LEVEL_STEPS_MIN: usize = 3;
/// The newest errors count at most so many times the usual one as a surprise.
const SURPRISES_MAX: f64 = 1e6;
/// What the sums of drift forgive each step, in usual errors: for errors to one side, and for the size of errors.
const SIDE_ALLOWED: f64 = 1.0;
const SIZE_ALLOWED: f64 = 2.0;
/// A sum above this is drift: errors of three times the usual size for 20 steps.
const DRIFT_MAX: f64 = 40.0;
/// Errors below this share of the mean load are no errors to speak of.
const ERROR_MIN: f64 = 0.005;
/// The mean surprise at which the anomaly score has come to 63 %, less the one that is usual.
const ANOMALY: f64 = 4.0;

/// What is learned on line. Errors are in multiples of the model's scale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Online {
    /// Share that a new point has in what is remembered.
    memory: f64,
    /// Mean size of the errors and of the load, lately.
    missed: f64,
    load: f64,
    /// The usual size of an error by part of the horizon.
    expected: Vec<f64>,
    /// By part of the horizon and level: how many times as wide as trained.
    stretch: Vec<[f64; LEVELS.len()]>,
    /// Sums of errors upwards, downwards, and of their sizes, beyond what is allowed.
    drift: [f64; 3],
    /// The newest hour's errors of the nearest step, in usual ones.
    surprises: Vec<f64>,
    /// Steps in an hour, or the fewest that make a new level.
    hour: usize,
}

/// A step that was foreseen and then came: by part of the horizon what was said, the quantiles, and the truth.
pub(super) struct Score {
    pub(super) bucket: usize,
    /// Without the correction for a new level: what the model itself says.
    pub(super) guess: f64,
    /// As they were said.
    pub(super) quantiles: [f64; LEVELS.len()],
    pub(super) truth: f64,
}

impl Online {
    /// The state after training, from honest errors: part of the horizon, size of the error, of the load, and weight.
    pub(super) fn new(errors: &[(usize, f64, f64, f64)], day: usize, hour: usize) -> Online {
        let mut sums = vec![(0.0, 0.0); BUCKETS.len()];
        let mut load = 0.0;
        for (bucket, missed, size, weight) in errors {
            sums[*bucket].0 += missed * weight;
            sums[*bucket].1 += weight;
            load += size * weight;
        }
        let (missed, weight) = sums.iter().fold((0.0, 0.0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
        let mean = |(missed, weight): &(f64, f64)| if *weight > 0.0 { missed / weight } else { 0.0 };
        let mut expected: Vec<f64> = sums.iter().map(|sum| mean(sum).max(ERROR_MIN)).collect();
        // A part that no row reaches errs at least as the one before it.
        for part in 1..expected.len() {
            if sums[part].1 <= 0.0 {
                expected[part] = expected[part - 1];
                sums[part] = sums[part - 1];
            }
        }
        // Short horizons have no step in the nearest parts.
        for part in (1..expected.len()).rev() {
            if sums[part - 1].1 <= 0.0 && sums[part].1 > 0.0 {
                sums[part - 1] = sums[part];
                expected[part - 1] = expected[part];
            }
        }
        Online {
            memory: 1.0 / real(day.max(12)),
            missed: mean(&(missed, weight)),
            load: mean(&(load, weight)),
            expected,
            stretch: vec![[1.0; LEVELS.len()]; BUCKETS.len()],
            drift: [0.0; 3],
            surprises: Vec::new(),
            hour: hour.max(LEVEL_STEPS_MIN),
        }
    }

    /// Whether it has the shape that this build works with.
    pub(super) fn is_whole(&self) -> bool {
        self.expected.len() == BUCKETS.len() && self.stretch.len() == BUCKETS.len()
    }

    /// How far a quantile lies from the middle now, when training said `off`.
    pub(super) fn stretched(&self, off: f64, bucket: usize, level: usize) -> f64 {
        let stretch = self.stretch[bucket][level];
        let base = BASE * self.expected[bucket];
        if LEVELS[level] < 0.5 {
            (stretch * (off - base) + base).min(0.0)
        } else {
            (stretch * (off + base) - base).max(0.0)
        }
    }

    /// Takes in what came at one step, as it was foreseen from several origins before it, the nearest first.
    ///
    /// The bands follow Gibbs and Candès, "Adaptive conformal inference" (2021), on the scale of the width: a miss widens,
    /// a hit narrows, in the ratio that keeps the level, within bounds.
    pub(super) fn take(&mut self, scores: &[Score]) {
        let (mut side, mut size, mut missed, mut load) = (0.0, 0.0, 0.0, 0.0);
        let share = 1.0 / real(scores.len()).max(1.0);
        for score in scores {
            let error = score.truth - score.guess;
            let usual = (error / self.expected[score.bucket]).clamp(-SURPRISE_MAX, SURPRISE_MAX);
            side += usual * share;
            size += usual.abs() * share;
            missed += error.abs() * share;
            load += score.truth.abs() * share;
            self.widen(score);
        }
        let Some(nearest) = scores.first() else { return };
        let from = (self.surprises.len() + 1).saturating_sub(self.hour);
        self.surprises.drain(..from.min(self.surprises.len()));
        let error = nearest.truth - nearest.guess;
        let usual = error / self.expected[0];
        self.surprises.push(usual.clamp(-SURPRISES_MAX, SURPRISES_MAX));
        self.missed += self.memory * (missed - self.missed);
        self.load += self.memory * (load - self.load);
        let steps = [side - SIDE_ALLOWED, -side - SIDE_ALLOWED, size - SIZE_ALLOWED];
        for (sum, step) in self.drift.iter_mut().zip(steps) {
            *sum = (*sum + step).clamp(0.0, 2.0 * DRIFT_MAX);
        }
    }

    fn widen(&mut self, score: &Score) {
        for (index, level) in LEVELS.iter().enumerate() {
            let said = score.quantiles[index];
            let (miss, due) =
                if *level < 0.5 { (score.truth < said, *level) } else { (said < score.truth, 1.0 - level) };
            let stretch = &mut self.stretch[score.bucket][index];
            let step = PACE * (f64::from(u8::from(miss)) - due);
            *stretch = (*stretch * step.exp()).clamp(STRETCH_MIN, STRETCH_MAX);
        }
    }

    /// What has to be added to every guess, because the load has a new level that the model does not follow by itself.
    pub(super) fn level(&self) -> f64 {
        let mut sorted = self.surprises.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let one_side = sorted.first().zip(sorted.last()).is_some_and(|(low, high)| 0.0 < low * high);
        let middle = quantile(&sorted, 0.5);
        let is_new = one_side && self.hour <= sorted.len() && LEVEL_MIN <= middle.abs();
        if is_new { middle * self.expected[0] } else { 0.0 }
    }

    /// One minus the mean size of recent errors over the mean load.
    pub(super) fn confidence(&self) -> f64 {
        let relative = if self.load > 0.0 { self.missed / self.load } else { self.missed };
        (1.0 - relative).clamp(0.0, 1.0)
    }

    /// The largest sum of drift over its limit: one and above is drift.
    pub(super) fn drift(&self) -> f64 {
        self.drift.iter().copied().fold(0.0, f64::max) / DRIFT_MAX
    }

    pub(super) fn anomaly(&self) -> Ratio {
        let count = real(self.surprises.len()).max(1.0);
        let mean = self.surprises.iter().map(|surprise| surprise.abs()).sum::<f64>() / count;
        Ratio::clamped(1.0 - (-(mean - 1.0).max(0.0) / ANOMALY).exp())
    }

    /// Forgets the sums of drift, not what was surprising: what training saw is no drift.
    pub(super) fn settle(&mut self, trained: &Online) {
        let surprises = std::mem::take(&mut self.surprises);
        *self = Online { surprises, ..trained.clone() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn online() -> Online {
        Online::new(&[(0, 1.0, 10.0, 1.0)], 288, 12)
    }

    /// Feeds errors that a band of one to both sides was trained for; returns the share that fell outside at last.
    fn outside(errors: impl Fn(usize) -> f64, steps: usize) -> f64 {
        let mut online = online();
        let mut out = 0.0;
        for step in 0..steps {
            let off = |level: usize| if level == 0 { -1.0 } else { 1.0 };
            let quantiles = [0, 1, 2, 3].map(|level| online.stretched(off(level), 0, level));
            let truth = errors(step);
            let misses = truth < quantiles[0] || quantiles[2] < truth;
            out += f64::from(u8::from(misses && steps / 2 <= step));
            online.take(&[Score { bucket: 0, guess: 0.0, quantiles, truth }]);
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
        let mut online = online();
        let score = |truth: f64| Score { bucket: 0, guess: 0.0, quantiles: [-1.0, 1.0, 1.0, 2.0], truth };
        for step in 0..4_000_usize {
            online.take(&[score(2.0 * (real(step * 7_919 % 1_000) / 500.0 - 1.0))]);
        }
        assert!(online.drift() < 0.5, "{}", online.drift());
        assert!(online.anomaly().get() < 0.2);
        for _ in 0..24 {
            online.take(&[score(4.0)]);
        }
        assert!(online.drift() >= 1.0, "{}", online.drift());
        assert!(online.anomaly().get() > 0.5, "{:?}", online.anomaly());
    }
}
