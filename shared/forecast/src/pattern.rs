//! What kind of load a series is, from its own statistics.

use serde::{Deserialize, Serialize};

use crate::period::{Period, periods};
use crate::series::Series;
use crate::statistics::{quantile, real};

const DAY_S: u32 = 86_400;
const HOUR_S: u32 = 3_600;
/// The fewest steps in a day that can show a daily season.
const STEPS_A_DAY_MIN: usize = 4;
/// A series has a pattern when that explains at least this share of the variance.
const EXPLAINED_MIN: f64 = 0.4;
/// A value is a spike when it is so many median absolute deviations from the median.
const DEVIATIONS_MAX: f64 = 8.0;

/// What kind of load a series is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pattern {
    /// Roughly constant, or without a pattern that explains its changes.
    Steady,
    /// It grows.
    Increasing,
    /// It repeats every day or every week.
    Seasonal,
    /// It repeats, but not with a period of whole days.
    Cyclical,
    /// Mostly flat, with rare values that are far higher.
    Spiky,
    /// All values of the newest hour are far outside of the range before it.
    Anomalous,
}

impl Pattern {
    /// The pattern of a series. An anomaly is looked for first, then a period, growth and spikes.
    pub fn of(history: &Series) -> Pattern {
        let known: Vec<f64> = history.known().collect();
        let steps = |span_s: u32| usize::try_from((span_s / history.step_s()).max(1)).unwrap_or(1);
        let (hour, day) = (steps(HOUR_S), steps(DAY_S));
        let (old, new) = known.split_at(known.len().saturating_sub(hour));
        let (median, deviation) = median_and_deviation(old);
        let far = |value: &f64| deviation > 0.0 && DEVIATIONS_MAX * deviation < (value - median).abs();
        let highest = old.iter().copied().fold(f64::MIN, f64::max);
        let lowest = old.iter().copied().fold(f64::MAX, f64::min);
        let unseen = |value: &f64| far(value) && !(lowest..=highest).contains(value);
        if !new.is_empty() && new.iter().all(unseen) {
            return Pattern::Anomalous;
        }
        let strong = periods(history).first().copied().filter(|period| EXPLAINED_MIN < period.strength);
        let of_days = |period: &Period| STEPS_A_DAY_MIN <= day && period.steps.is_multiple_of(day);
        if strong.as_ref().is_some_and(of_days) {
            return Pattern::Seasonal;
        }
        if EXPLAINED_MIN < explained_by_growth(&known) {
            return Pattern::Increasing;
        }
        let spikes = old.iter().filter(|value| far(value)).count();
        if 0 < spikes && spikes * 20 < old.len() {
            return Pattern::Spiky;
        }
        if strong.is_some() { Pattern::Cyclical } else { Pattern::Steady }
    }
}

/// The median and the median absolute deviation.
fn median_and_deviation(values: &[f64]) -> (f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let median = quantile(&sorted, 0.5);
    let mut deviations: Vec<f64> = sorted.iter().map(|value| (value - median).abs()).collect();
    deviations.sort_by(f64::total_cmp);
    (median, quantile(&deviations, 0.5))
}

/// The share of the variance that a rising straight line explains.
fn explained_by_growth(known: &[f64]) -> f64 {
    let count = real(known.len()).max(1.0);
    let (time, value) = ((count - 1.0) / 2.0, known.iter().sum::<f64>() / count);
    let (mut both, mut times, mut values) = (0.0, 0.0, 0.0);
    for (index, known) in known.iter().enumerate() {
        let (x, y) = (real(index) - time, known - value);
        both += x * y;
        times += x * x;
        values += y * y;
    }
    if both > 0.0 && 1e-12 * count * value * value < values { both * both / (times * values) } else { 0.0 }
}

#[cfg(test)]
pub(super) mod tests {
    use jiff::Timestamp;

    use super::*;

    fn pattern(of: impl Fn(usize) -> f64) -> Pattern {
        Pattern::of(&Series::new(Timestamp::UNIX_EPOCH, 900, (0..6 * 96).map(|index| Some(of(index)))))
    }

    pub(crate) fn noise(index: usize) -> f64 {
        let mixed = (index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        real((mixed >> 40) & 0xff) / 64.0
    }

    pub(crate) fn wave(index: usize, period: usize) -> f64 {
        20.0 + 10.0 * (real(index) / real(period) * std::f64::consts::TAU).sin()
    }

    #[test]
    fn each_pattern_is_distinguished_from_the_others() {
        assert_eq!(pattern(|_| 5.0), Pattern::Steady);
        assert_eq!(pattern(noise), Pattern::Steady);
        assert_eq!(pattern(|index| real(index) + noise(index)), Pattern::Increasing);
        assert_eq!(pattern(|index| wave(index, 96) + noise(index)), Pattern::Seasonal);
        assert_eq!(pattern(|index| wave(index, 37) + noise(index)), Pattern::Cyclical);
        assert_eq!(pattern(|index| wave(index, 4) + noise(index)), Pattern::Cyclical);
        assert_eq!(pattern(|index| noise(index) + if index % 101 == 7 { 90.0 } else { 0.0 }), Pattern::Spiky);
        assert_eq!(pattern(|index| noise(index) + if index < 572 { 0.0 } else { 90.0 }), Pattern::Anomalous);
        assert_eq!(Pattern::of(&Series::new(Timestamp::UNIX_EPOCH, 300, [])), Pattern::Steady);
    }
}
