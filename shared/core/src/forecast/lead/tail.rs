//! How errors spread: as they were seen, and beyond the last of them as a generalised Pareto distribution goes on.

use serde::{Deserialize, Serialize};

use crate::forecast::real;

/// A distribution of errors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Tail {
    /// Quantiles at regular levels.
    body: Vec<f64>,
    /// Where the tail begins, and the share of errors in it.
    from: f64,
    share: f64,
    /// Shape and size of the tail (Pickands 1975; fitted by its moments, Hosking and Wallis 1987).
    shape: f64,
    size: f64,
}

/// One error in so many belongs to the tail.
const IN_TAIL: usize = 50;
/// A fit to fewer is chance.
const IN_TAIL_MIN: usize = 20;
/// Beyond it a tail has hardly a mean.
const SHAPE_MAX: f64 = 0.4;
/// Levels of the body.
const LEVELS: usize = 200;

impl Tail {
    pub(super) fn of(mut errors: Vec<f64>) -> Tail {
        errors.sort_by(f64::total_cmp);
        let count = errors.len().max(1);
        let rare = (count / IN_TAIL).max(IN_TAIL_MIN).min(count / 2).max(1);
        let (low, high) = errors.split_at(errors.len().saturating_sub(rare));
        let from = low.last().copied().unwrap_or(0.0);
        let (mean, square) = high.iter().fold((0.0, 0.0), |(mean, square), error| {
            let over = error - from;
            (mean + over / real(rare), square + over * over / real(rare))
        });
        let variance = (square - mean * mean).max(1e-12);
        let shape = (0.5 * (1.0 - mean * mean / variance)).clamp(0.0, SHAPE_MAX);
        let body = (0..=LEVELS).map(|level| among(&errors, real(level) / real(LEVELS))).collect();
        Tail { body, from, share: real(rare) / real(count), shape, size: (mean * (1.0 - shape)).max(1e-6) }
    }

    /// The share of errors above `error`.
    pub(super) fn above(&self, error: f64) -> f64 {
        if self.from < error {
            return self.share * self.beyond((error - self.from) / self.size);
        }
        let upper = self.body.partition_point(|seen| *seen <= error);
        let (low, high) = (self.at(upper.saturating_sub(1)), self.at(upper));
        let part = if low < high { ((error - low) / (high - low)).clamp(0.0, 1.0) } else { 0.0 };
        let level = (real(upper) - 1.0 + part).max(0.0) / real(LEVELS);
        (1.0 - level).clamp(self.share, 1.0)
    }

    /// The error that the share `level` stays below.
    pub(super) fn quantile(&self, level: f64) -> f64 {
        let above = 1.0 - level;
        if self.share <= above {
            return among(&self.body, level);
        }
        let ratio = (above / self.share).max(1e-9);
        let over = if self.shape > 1e-6 { (ratio.powf(-self.shape) - 1.0) / self.shape } else { -ratio.ln() };
        self.from + self.size * over
    }

    fn beyond(&self, over: f64) -> f64 {
        if self.shape > 1e-6 { (1.0 + self.shape * over).powf(-1.0 / self.shape) } else { (-over).exp() }
    }

    fn at(&self, index: usize) -> f64 {
        self.body.get(index).or(self.body.last()).copied().unwrap_or(0.0)
    }
}

/// The value at the place `level` among sorted errors; between two of them, the line.
#[expect(clippy::as_conversions, reason = "a place in a list is far below where floats lose whole numbers")]
fn among(sorted: &[f64], level: f64) -> f64 {
    let place = level.clamp(0.0, 1.0) * real(sorted.len().saturating_sub(1));
    let below = place as usize;
    let low = sorted.get(below).copied().unwrap_or(0.0);
    let high = sorted.get(below + 1).copied().unwrap_or(low);
    low + (high - low) * (place - real(below))
}
