//! The periods of a series, found from its autocorrelation and held against what chance would show.

#![expect(clippy::indexing_slicing, reason = "lags are below the length that they are taken of")]

use crate::series::Series;
use crate::statistics::{quantile, real};

const DAY_S: u32 = 86_400;
const HOUR_S: u32 = 3_600;
/// Days that are looked at: two weeks tell a week from a day.
const DAYS_MAX: usize = 15;
/// Bands of chance (standard deviations of an autocorrelation) that a period must clear.
const BANDS: f64 = 3.0;
/// How far the valley before a peak must lie under it: without one, the series only moves slowly.
const VALLEY: f64 = 0.1;
/// Values further off than so many median deviations count as so far off: one crowd must not decide.
const DEVIATIONS_MAX: f64 = 7.0;
/// Of periods about as strong, the shortest is the cause and the others are its multiples.
const ALIKE: f64 = 0.9;

/// A period that is more than chance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Period {
    /// Steps until the series comes back.
    pub steps: usize,
    /// The autocorrelation at that lag, without trend and outliers.
    pub strength: f64,
}

/// The significant periods, the decisive one first: of those as strong as the strongest, the shortest.
///
/// The series is freed of its straight line and of outliers. A lag counts when its autocorrelation is a peak, stands
/// over the valley before it, and clears three of Bartlett's bands for a series as slow as this one.
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

/// A lag next to one that people live by is that one.
fn snapped(lag: usize, round: &[usize]) -> usize {
    let near = |round: &&usize| lag.abs_diff(**round) * 50 <= **round;
    round.iter().find(near).copied().unwrap_or(lag)
}

fn lowest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::MAX, f64::min)
}

/// Bartlett's standard deviation of an autocorrelation: the slower a series, the more of it comes by chance.
fn band(lags: &[f64], count: usize) -> f64 {
    let slow: f64 = lags.iter().skip(1).take_while(|lag| 0.1 < **lag).map(|lag| lag * lag).sum();
    ((1.0 + 2.0 * slow) / real(count).max(1.0)).sqrt()
}

/// The values less their straight line, outliers drawn in. A gap is zero: it says nothing.
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
    // What rounding leaves of a straight line is no movement.
    let moves = 1e-9
        * drawn.iter().filter(|value| value.is_finite()).fold(0.0, |most: f64, v| most.max(v.abs()))
        < size;
    if moves { flat } else { vec![0.0; flat.len()] }
}

/// The values with those far from the median drawn in.
fn drawn_in(values: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = quantile(&sorted, 0.5);
    let mut off: Vec<f64> = sorted.iter().map(|value| (value - middle).abs()).collect();
    off.sort_unstable_by(f64::total_cmp);
    // Where more than half of the values are the same, the mean deviation stands in for the median one.
    let usual = quantile(&off, 0.5);
    let usual = if usual > 0.0 { usual } else { off.iter().sum::<f64>() / real(off.len()).max(1.0) };
    let limit = DEVIATIONS_MAX * usual;
    values.iter().map(|value| value.clamp(middle - limit, middle + limit)).collect()
}

/// The autocorrelation of values around zero.
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
