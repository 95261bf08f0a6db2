//! The periods of a series, found as significant peaks of its autocorrelation.

#![expect(clippy::indexing_slicing, reason = "lags are below the length that they are taken of")]

use crate::series::Series;
use crate::statistics::{quantile, real};

const DAY_S: u32 = 86_400;
const HOUR_S: u32 = 3_600;
/// The days of history that are used: two weeks can show a weekly period.
const DAYS_MAX: usize = 15;
/// A period is significant when its autocorrelation is so many standard deviations above zero.
const BANDS: f64 = 3.0;
/// By how much the autocorrelation must fall before a peak. Without such a valley, the series only changes slowly.
const VALLEY: f64 = 0.1;
/// Values are limited to so many median absolute deviations from the median, so that a single flash crowd has little
/// influence.
const DEVIATIONS_MAX: f64 = 7.0;
/// Among periods of at least this share of the largest autocorrelation, the shortest is taken: the others are its multiples.
const ALIKE: f64 = 0.9;

/// A significant period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Period {
    /// Its length in steps.
    pub steps: usize,
    /// The autocorrelation at that lag, after trend and outliers are removed.
    pub strength: f64,
}

/// The significant periods. The first is the shortest of those that are about as strong as the strongest.
///
/// The linear trend is removed and outliers are limited. A lag is a period when the autocorrelation has a peak there, is
/// well above the valley before it, and is three of Bartlett's standard deviations above zero.
pub fn periods(history: &Series) -> Vec<Period> {
    let steps = |span_s: u32| usize::try_from((span_s / history.step_s()).max(1)).unwrap_or(1);
    let (hour, day) = (steps(HOUR_S), steps(DAY_S));
    let whole = history.values();
    let values = flat(&whole[whole.len().saturating_sub(DAYS_MAX * day)..]);
    let half = values.len() / 2;
    let lags: Vec<f64> = (0..=half.min(day + day / 2)).map(|lag| correlation(&values, lag)).collect();
    let band = BANDS * band(&lags, values.len());
    let mut found: Vec<Period> = (2..lags.len().saturating_sub(1))
        .filter(|lag| lags[lag - 1] <= lags[*lag] && lags[lag + 1] <= lags[*lag])
        .filter(|lag| band < lags[*lag] && lowest(&lags[1..=*lag]) + VALLEY < lags[*lag])
        .map(|lag| Period { steps: snapped(lag, &[hour, day]), strength: lags[lag] })
        .collect();
    let weekly = correlation(&values, 7 * day);
    if day > 3 && 14 * day <= values.len() && band < weekly && correlation(&values, 6 * day) + VALLEY < weekly
    {
        found.push(Period { steps: 7 * day, strength: weekly });
    }
    let strongest = found.iter().map(|period| period.strength).fold(0.0, f64::max);
    found.sort_by(|a, b| b.strength.total_cmp(&a.strength));
    let first = found
        .iter()
        .enumerate()
        .filter(|(_, period)| ALIKE * strongest <= period.strength)
        .min_by_key(|(_, period)| period.steps)
        .map(|(index, _)| index);
    if let Some(first) = first {
        found[..=first].rotate_right(1);
    }
    found.dedup_by_key(|period| period.steps);
    found
}

/// A lag within 2 % of an hour, a day or a week is taken as that.
fn snapped(lag: usize, round: &[usize]) -> usize {
    let near = |round: &&usize| lag.abs_diff(**round) * 50 <= **round;
    round.iter().find(near).copied().unwrap_or(lag)
}

fn lowest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::MAX, f64::min)
}

/// Bartlett's standard deviation of an autocorrelation, which is larger for series that change slowly.
fn band(lags: &[f64], count: usize) -> f64 {
    let slow: f64 = lags.iter().skip(1).take_while(|lag| 0.1 < **lag).map(|lag| lag * lag).sum();
    ((1.0 + 2.0 * slow) / real(count).max(1.0)).sqrt()
}

/// The values without their linear trend, with outliers limited. A gap is zero, and adds nothing to correlations.
fn flat(values: &[f64]) -> Vec<f64> {
    let drawn = drawn_in(values);
    let known = || drawn.iter().enumerate().filter(|(_, value)| value.is_finite());
    let count = real(known().count()).max(1.0);
    let (time, mean) = known().fold((0.0, 0.0), |sum, (x, y)| (sum.0 + real(x) / count, sum.1 + y / count));
    let (both, times) = known().fold((0.0, 0.0), |sum, (x, y)| {
        let x = real(x) - time;
        (sum.0 + x * (y - mean), sum.1 + x * x)
    });
    let slope = if times > 0.0 { both / times } else { 0.0 };
    let over = |(index, value): (usize, &f64)| value - mean - slope * (real(index) - time);
    let flat: Vec<f64> =
        drawn.iter().enumerate().map(|at| if at.1.is_finite() { over(at) } else { 0.0 }).collect();
    let size = flat.iter().map(|value| value.abs()).sum::<f64>() / count;
    // What is left of a straight line by rounding is not a change.
    let moves = 1e-9
        * drawn.iter().filter(|value| value.is_finite()).fold(0.0, |most: f64, v| most.max(v.abs()))
        < size;
    if moves { flat } else { vec![0.0; flat.len()] }
}

/// The values with outliers limited.
fn drawn_in(values: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let median = quantile(&sorted, 0.5);
    let mut deviations: Vec<f64> = sorted.iter().map(|value| (value - median).abs()).collect();
    deviations.sort_unstable_by(f64::total_cmp);
    // The median deviation is zero when more than half of the values are equal. The mean deviation is used then.
    let usual = quantile(&deviations, 0.5);
    let usual =
        if usual > 0.0 { usual } else { deviations.iter().sum::<f64>() / real(deviations.len()).max(1.0) };
    let limit = DEVIATIONS_MAX * usual;
    values.iter().map(|value| value.clamp(median - limit, median + limit)).collect()
}

/// The autocorrelation of values with mean zero.
fn correlation(values: &[f64], lag: usize) -> f64 {
    let Some(late) = values.get(lag..) else { return 0.0 };
    let both: f64 = values.iter().zip(late).map(|(a, b)| a * b).sum();
    let early: f64 = values.iter().take(late.len()).map(|value| value * value).sum();
    let late: f64 = late.iter().map(|value| value * value).sum();
    let size = (early * late).sqrt();
    if size > 0.0 { both / size } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::pattern::tests::{noise, wave};

    /// The periods of a series of a quarter of an hour, in steps: 4 an hour, 96 a day.
    fn found(of: impl Fn(usize) -> f64) -> Vec<usize> {
        let series = Series::new(Timestamp::UNIX_EPOCH, 900, (0..15 * 96).map(|index| Some(of(index))));
        periods(&series).iter().map(|period| period.steps).collect()
    }

    #[test]
    fn periods_are_found_and_chance_is_none() {
        assert_eq!(found(|index| 4.0 * wave(index, 96) + noise(index)).first(), Some(&96));
        assert_eq!(found(|index| wave(index, 4) + noise(index)).first(), Some(&4));
        assert_eq!(found(|index| wave(index, 37) + noise(index) + real(index)).first(), Some(&37));
        let weekly = |index: usize| if index / 96 % 7 < 5 { 10.0 * wave(index, 96) } else { 10.0 };
        assert!(found(weekly).contains(&(7 * 96)), "{:?}", found(weekly));
        assert_eq!(found(noise), [0_usize; 0]);
        assert_eq!(found(|_| 7.0), [0_usize; 0]);
        assert_eq!(found(real), [0_usize; 0]);
    }

    #[test]
    fn a_slow_walk_has_no_period() {
        let mut at = 0.0;
        let walk: Vec<f64> = (0..15 * 96)
            .map(|index| {
                at += noise(index) - 2.0;
                at
            })
            .collect();
        assert_eq!(found(|index| walk[index]), [0_usize; 0]);
    }

    #[test]
    fn one_crowd_hides_no_period() {
        let crowd = |index: usize| if (700..710).contains(&index) { 5_000.0 } else { 0.0 };
        assert_eq!(found(|index| wave(index, 96) + noise(index) + crowd(index)).first(), Some(&96));
    }
}
