//! The distribution of errors: empirical quantiles, and a generalised Pareto distribution for its upper tail.

#![expect(
    clippy::as_conversions,
    reason = "errors need seven digits, and counts of a thinned list fit a byte"
)]

use serde::{Deserialize, Serialize};

/// A distribution of errors that is small enough to be stored with every forecast. The names of stored fields are older than
/// those in the code.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct ErrorDistribution {
    /// Quantiles at [`BODY_LEVELS`].
    body: Vec<f32>,
    /// The error above which the tail begins, and the share of errors in the tail.
    #[serde(rename = "from")]
    threshold: f64,
    share: f64,
    /// Shape and scale of the tail (Pickands 1975), fitted by the method of moments (Hosking and Wallis 1987).
    shape: f64,
    #[serde(rename = "size")]
    scale: f64,
}

/// An error, and the number of errors that it stands for.
pub(super) type WeightedError = (f32, u8);

/// One in so many of the largest errors is fitted as the tail.
const ERRORS_PER_TAIL_ERROR: usize = 200;
/// With fewer errors, the fit would be noise.
const TAIL_ERRORS_MIN: usize = 20;
/// Limits how heavy a tail may be; from a shape of one on, it would have no mean.
const SHAPE_MAX: f64 = 0.4;
/// Levels of the empirical quantiles, dense in the range that decisions ask for.
const BODY_LEVELS: [f64; 19] = [
    0.0, 0.05, 0.25, 0.5, 0.6, 0.7, 0.75, 0.8, 0.84, 0.87, 0.9, 0.92, 0.94, 0.96, 0.97, 0.98, 0.985, 0.99,
    0.995,
];

/// The errors that are stored for all of them. Each group of `repeats` neighbours, which are steps of one window and nearly
/// equal, is stored as its median. Below the largest tenth, groups are [`THINNING`] times as large.
///
/// Quantiles of the body hardly change by that, and the tail is fitted to all distinct errors.
pub(super) fn thinned(mut errors: Vec<f64>, repeats: usize) -> Vec<WeightedError> {
    errors.sort_unstable_by(f64::total_cmp);
    let (body, tail) = errors.split_at(errors.len() - errors.len() / TOP_SHARE);
    let median = |group: &[f64]| group.get(group.len() / 2).map(|error| (*error as f32, group.len() as u8));
    body.chunks(THINNING * repeats).chain(tail.chunks(repeats)).filter_map(median).collect()
}

/// The largest errors, one in so many, are thinned less.
const TOP_SHARE: usize = 10;
/// So many groups of smaller errors become one.
const THINNING: usize = 10;

impl ErrorDistribution {
    pub(super) fn of(mut errors: Vec<WeightedError>) -> ErrorDistribution {
        errors.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let count: usize = errors.iter().map(|(_, count)| usize::from(*count)).sum();
        let tail_errors = (count / ERRORS_PER_TAIL_ERROR).max(TAIL_ERRORS_MIN).min(count / 2).max(1);
        let (mut taken, mut sum, mut squares, mut threshold) = (0.0, 0.0, 0.0, 0.0);
        for (error, count) in errors.iter().rev() {
            if f64::from(tail_errors as u32) <= taken {
                threshold = f64::from(*error);
                break;
            }
            let count = f64::from(*count);
            taken += count;
            sum += count * f64::from(*error);
            squares += count * f64::from(*error) * f64::from(*error);
        }
        let taken = f64::max(taken, 1.0);
        let mean = sum / taken - threshold;
        let variance = (squares / taken - (sum / taken) * (sum / taken)).max(1e-12);
        let shape = (0.5 * (1.0 - mean * mean / variance)).clamp(0.0, SHAPE_MAX);
        ErrorDistribution {
            body: at_levels(&errors, count),
            threshold,
            share: (taken / f64::from(count.max(1) as u32)).min(1.0),
            shape,
            scale: (mean * (1.0 - shape)).max(1e-6),
        }
    }

    /// The share of errors that are above `error`.
    pub(super) fn share_above(&self, error: f64) -> f64 {
        if self.threshold < error {
            return self.share * self.exceedance((error - self.threshold) / self.scale);
        }
        let points = || BODY_LEVELS.iter().zip(self.body.iter().map(|value| f64::from(*value)));
        let Some((high_level, high)) = points().find(|(_, value)| error < *value) else {
            return self.share;
        };
        let Some((low_level, low)) = points().take_while(|(_, value)| *value <= error).last() else {
            return 1.0;
        };
        let level = low_level + (high_level - low_level) * (error - low) / (high - low);
        (1.0 - level).clamp(self.share, 1.0)
    }

    /// The error that a share `level` of all errors stays below.
    pub(super) fn quantile(&self, level: f64) -> f64 {
        let above = 1.0 - level;
        if above < self.share {
            let ratio = (above / self.share).max(1e-9);
            let over =
                if self.shape > 1e-6 { (ratio.powf(-self.shape) - 1.0) / self.shape } else { -ratio.ln() };
            return self.threshold + self.scale * over;
        }
        let points = || BODY_LEVELS.iter().zip(self.body.iter().map(|value| f64::from(*value)));
        let below = points().take_while(|(at, _)| **at <= level).last();
        let exceedance = points().find(|(at, _)| level < **at);
        match (below, exceedance) {
            (Some((a, low)), Some((b, high))) => low + (high - low) * (level - a) / (b - a),
            (Some((_, value)), None) | (None, Some((_, value))) => value,
            (None, None) => 0.0,
        }
    }

    fn exceedance(&self, over: f64) -> f64 {
        if self.shape > 1e-6 { (1.0 + self.shape * over).powf(-1.0 / self.shape) } else { (-over).exp() }
    }
}

/// The quantiles of sorted errors at [`BODY_LEVELS`]. Each error is taken as the middle one of those that it stands for.
fn at_levels(sorted: &[WeightedError], count: usize) -> Vec<f32> {
    let mut before = 0.0;
    let place = |(_, count_of_one): &WeightedError| {
        let place = before + f64::from(*count_of_one) / 2.0;
        before += f64::from(*count_of_one);
        place
    };
    let places: Vec<f64> = sorted.iter().map(place).collect();
    let at = |level: f64| {
        let wanted = level * f64::from(count as u32);
        let upper = places.partition_point(|place| *place < wanted).min(places.len().saturating_sub(1));
        let lower = upper.saturating_sub(1);
        let (from, to) = (*places.get(lower)?, *places.get(upper)?);
        let (low, high) = (sorted.get(lower)?.0, sorted.get(upper)?.0);
        let share = if from < to { ((wanted - from) / (to - from)).clamp(0.0, 1.0) } else { 0.0 };
        Some(low + (high - low) * share as f32)
    };
    BODY_LEVELS.map(|level| at(level).unwrap_or(0.0)).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::real;

    /// Errors of an exponential distribution, whose quantiles are known exactly.
    fn exponential(count: usize) -> Vec<f64> {
        (0..count).map(|index| -(1.0 - (real(index) + 0.5) / real(count)).ln()).collect()
    }

    #[test]
    fn thinning_keeps_what_decisions_ask() {
        let whole =
            ErrorDistribution::of(exponential(7_000).into_iter().map(|error| (error as f32, 1)).collect());
        let thin = thinned(exponential(7_000), 1);
        // Five steps of each window take no more space than one.
        let repeats = thinned(exponential(35_000), 5);
        assert!(thin.len() < 1_400 && repeats.len() <= thin.len() + 1, "{} {}", thin.len(), repeats.len());
        let (thin, repeats) = (ErrorDistribution::of(thin), ErrorDistribution::of(repeats));
        for level in [0.05, 0.5, 0.9, 0.97, 0.99, 0.999] {
            let truth = -(1.0_f64 - level).ln();
            for tail in [&whole, &thin, &repeats] {
                assert!((tail.quantile(level) - truth).abs() < 0.05 + truth * 0.03, "{level}: {tail:?}");
                let above = tail.share_above(truth);
                assert!(
                    (above - (1.0 - level)).abs() < 0.1 * (1.0 - level) + 0.02 * level,
                    "{level}: {above}"
                );
            }
        }
    }

    #[test]
    fn more_error_is_never_likelier() {
        let tail = ErrorDistribution::of(thinned(exponential(500), 1));
        let above: Vec<f64> = (-10..200).map(|step| tail.share_above(f64::from(step) / 20.0)).collect();
        assert!(above.windows(2).all(|pair| pair[1] <= pair[0] + 1e-9), "{above:?}");
        assert!(ErrorDistribution::of(Vec::new()).quantile(0.9).is_finite());
    }
}
