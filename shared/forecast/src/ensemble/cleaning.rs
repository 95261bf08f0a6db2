//! Cleaning of a history: gaps are filled, and flash crowds are cut out of the values that seasons are computed from.

#![expect(clippy::indexing_slicing, reason = "every index comes from the length of the history")]

use crate::statistics::{median, real};

/// A value is compared with the same time on so many days before, and with no fewer than so many.
const DAYS_MAX: usize = 7;
const DAYS_MIN: usize = 3;
/// A value is an outlier when it deviates from its time of day by so many usual deviations.
const DEVIATIONS_MAX: f64 = 8.0;
/// Outliers for more hours than this are a new level of the load, and no flash crowd.
const CROWD_HOURS_MAX: usize = 3;
/// Flash crowds that come more often than this within so many days are usual for the load, and are left as they are.
const HABIT: usize = 1;
const HABIT_DAYS: usize = 14;
/// A deviation below this share of the value is never an outlier, however regular the series is.
const DEVIATION_MIN: f64 = 0.05;

/// The values with gaps filled: by interpolation up to an hour, longer ones with the values of the day before.
pub(super) fn fill(raw: &[f64], day: usize) -> Vec<f64> {
    let mut values = raw.to_vec();
    let mut index = 0;
    while index < values.len() {
        let from = index;
        while index < values.len() && !values[index].is_finite() {
            index += 1;
        }
        bridge(&mut values, from, index, day);
        index += usize::from(index == from);
    }
    values
}

fn bridge(values: &mut [f64], from: usize, to: usize, day: usize) {
    let before = from.checked_sub(1).map(|index| values[index]);
    let after = values.get(to).copied();
    for index in from..to {
        let share = real(index - from + 1) / real(to - from + 1);
        let line = match (before, after) {
            (Some(before), Some(after)) => before + (after - before) * share,
            (one, other) => one.or(other).unwrap_or(0.0),
        };
        let season = index.checked_sub(day).map(|ago| values[ago]).filter(|value| value.is_finite());
        values[index] = if to - from <= day / 24 { line } else { season.unwrap_or(line) };
    }
}

/// The values with flash crowds cut to the largest usual deviation from the same time on the days before.
///
/// Each value is cleaned by earlier values alone, so that models are trained on what they would have seen at the time.
/// Crowds of more than three hours are a new level, and frequent crowds are usual for the load: both are left as they are.
pub(super) fn clean(values: &[f64], day: usize, hour: usize) -> Vec<f64> {
    let mut cleaned = values.to_vec();
    let mut crowds: Vec<usize> = Vec::new();
    let (mut usual, mut run) = (0.0, 0_usize);
    let memory = 1.0 / real(day.max(1));
    let mut days = [0.0; DAYS_MAX];
    for index in DAYS_MIN * day..values.len() {
        let count = DAYS_MAX.min(index / day);
        for (ago, value) in days.iter_mut().take(count).enumerate() {
            *value = cleaned[index - (ago + 1) * day];
        }
        days[..count].sort_unstable_by(f64::total_cmp);
        let season = median(&days[..count]);
        let off = values[index] - season;
        let limit = DEVIATIONS_MAX * f64::max(usual, DEVIATION_MIN * season.abs() / DEVIATIONS_MAX);
        let settled = (DAYS_MIN + 1) * day <= index;
        let far = settled && limit < off.abs();
        run = if far { run + 1 } else { 0 };
        if run == 1 {
            crowds.push(index);
        }
        let lately = crowds.iter().rev().take_while(|begun| index - **begun < HABIT_DAYS * day).count();
        let once = lately <= HABIT && run <= CROWD_HOURS_MAX * hour;
        let kept = if far && once { off.clamp(-limit, limit) } else { off };
        // The sum of season and deviation can differ from the value in its last digit.
        cleaned[index] = if kept == off { values[index] } else { season + kept };
        // On the first day of comparisons the usual deviation is their mean; later it moves slowly.
        let weight = if settled { memory } else { 1.0 / real(index - DAYS_MIN * day + 1) };
        usual += weight * (kept.abs().min(if settled { 2.0 * limit } else { f64::MAX }) - usual);
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(index: usize) -> f64 {
        100.0 + real(index % 24) + real(index * 7 % 5)
    }

    fn cleaned(of: impl Fn(usize) -> f64) -> Vec<f64> {
        clean(&(0..240).map(of).collect::<Vec<_>>(), 24, 1)
    }

    #[test]
    fn a_crowd_is_cut_and_a_new_level_is_not() {
        let crowd = cleaned(|index| if (200..202).contains(&index) { 1_000.0 } else { day(index) });
        assert!(crowd.iter().all(|value| *value < 160.0), "{crowd:?}");
        let level = cleaned(|index| if index < 200 { day(index) } else { day(index) + 500.0 });
        assert!(level[202] < 200.0 && 600.0 < level[204], "{:?}", &level[198..206]);
    }

    #[test]
    fn ordinary_values_stay_and_the_future_cleans_nothing() {
        assert_eq!(cleaned(day), (0..240).map(day).collect::<Vec<_>>());
        let long = cleaned(|index| if index < 150 { day(index) } else { 1e9 });
        assert_eq!(long[..150], cleaned(day)[..150]);
    }

    #[test]
    fn short_gaps_are_bridged_and_long_ones_filled_from_the_day_before() {
        let hole = |index: usize| index == 30 || (40..45).contains(&index);
        let raw: Vec<f64> =
            (0..72).map(|index| if hole(index) { f64::NAN } else { real(index % 24) }).collect();
        let filled = fill(&raw, 24);
        assert_eq!((filled[30], filled[42]), (6.0, 18.0));
    }
}
