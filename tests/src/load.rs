//! Load for the demo: a seeded model of a shop's traffic, or a trace from a file.

use std::path::Path;

use headroom_core::series::Series;
use jiff::{SignedDuration, Timestamp};

use crate::Result;

/// Five minutes: the step of what is seeded.
pub const STEP_S: u32 = 300;

/// A shop's traffic for `days` days until `end`: busy by day, calm by night, calmer on weekends, with noise and a flash
/// crowd two days before the end. The same seed gives the same load.
pub fn model(end: Timestamp, days: i64, seed: u64) -> Series {
    let steps = days * 86_400 / i64::from(STEP_S);
    let start = end - SignedDuration::from_secs(steps * i64::from(STEP_S));
    let flash = end - SignedDuration::from_hours(56);
    let mut random = Random(seed);
    let load = |index: i64| {
        let at = start + SignedDuration::from_secs(index * i64::from(STEP_S));
        Some(shape(at) * flash_crowd(at, flash) * (1.0 + 0.04 * random.normal()))
    };
    Series::new(start, STEP_S, (0..steps).map(load))
}

/// The expected load at a time, 1 at a weekday's peak.
fn shape(at: Timestamp) -> f64 {
    let days = seconds(at) / 86_400.0;
    let hour = days.fract() * 24.0;
    // 1970 began on a Thursday.
    let weekend = !(1.0..6.0).contains(&((days.floor() + 4.0) % 7.0));
    let peak = |center: f64, width: f64| (-((hour - center) / width).powi(2)).exp();
    let day = 0.12 + 0.6 * peak(11.0, 2.6) + 0.8 * peak(19.0, 2.4);
    day * if weekend { 0.65 } else { 1.0 }
}

/// Twice the load within ten minutes, gone after an hour.
fn flash_crowd(at: Timestamp, start: Timestamp) -> f64 {
    let minutes = (seconds(at) - seconds(start)) / 60.0;
    if minutes < 0.0 { 1.0 } else { 1.0 + 1.2 * (minutes / 10.0).min(1.0) * (-minutes / 40.0).exp() }
}

fn seconds(at: Timestamp) -> f64 {
    at.duration_since(Timestamp::UNIX_EPOCH).as_secs_f64()
}

/// A small generator (SplitMix64), so that the demo shows the same thing to everybody.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let high = u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap_or(0);
        f64::from(high) / f64::from(u32::MAX)
    }

    /// Normal by the sum of twelve uniforms: good enough for noise.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

/// A trace (`timestamp,value`) moved in time so that it ends at `end`, on a five-minute grid, scaled to a peak of 1.
///
/// # Errors
/// When the file cannot be read or is no trace.
pub fn trace(file: &Path, end: Timestamp) -> Result<Series> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut points: Vec<(Timestamp, f64)> = Vec::new();
    for (number, line) in text.lines().enumerate().skip(1) {
        let wrong = || format!("{}:{}: not `timestamp,value`: {line}", file.display(), number + 1);
        let (at, value) = line.split_once(',').ok_or_else(wrong)?;
        let at: Timestamp = at.trim().parse().map_err(|_| wrong())?;
        if let Ok(value) = value.trim().parse::<f64>() {
            points.push((at, value));
        }
    }
    let last =
        points.iter().map(|(at, _)| *at).max().ok_or_else(|| format!("{}: no points", file.display()))?;
    let step_s = i64::from(STEP_S);
    let shift = SignedDuration::from_secs((end.as_second() - last.as_second()).div_euclid(step_s) * step_s);
    let moved = Series::from_points(60, points.iter().map(|(at, value)| (*at + shift, *value)));
    let steps = filled(&moved.regrid(STEP_S));
    let largest = steps.known().fold(f64::MIN_POSITIVE, f64::max);
    let values: Vec<Option<f64>> = steps.values().iter().map(|value| Some(value / largest)).collect();
    Ok(Series::new(steps.start(), STEP_S, values))
}

/// Coarser traces and gaps, with the line between their points.
fn filled(series: &Series) -> Series {
    let known: Vec<(usize, f64)> =
        (0..series.len()).filter_map(|index| Some((index, series.get(index)?))).collect();
    let value = |index: usize| {
        let after = known.partition_point(|(known, _)| *known < index);
        match (after.checked_sub(1).and_then(|before| known.get(before)), known.get(after)) {
            (_, Some((next, value))) if *next == index => Some(*value),
            (Some((from, a)), Some((to, b))) => {
                let share =
                    f64::from(u32::try_from(index - from).ok()?) / f64::from(u32::try_from(to - from).ok()?);
                Some(a + (b - a) * share)
            }
            _ => None,
        }
    };
    Series::new(series.start(), series.step_s(), (0..series.len()).map(value))
}

/// Times of a story within the last three days of a load: before it rises most, after it has fallen, before it rises
/// again.
pub fn story(load: &Series) -> Option<[Timestamp; 3]> {
    const HOUR: usize = 12;
    let last = load.len().checked_sub(2 * HOUR)?;
    let first = last.checked_sub(3 * 24 * HOUR)?;
    let mean = |from: usize, to: usize| {
        let known: Vec<f64> = (from..to).filter_map(|index| load.get(index)).collect();
        known.iter().sum::<f64>() / f64::from(u32::try_from(known.len().max(1)).unwrap_or(1))
    };
    let rise = |at: usize| mean(at, at + HOUR) / mean(at.saturating_sub(HOUR / 2), at).max(1e-3);
    let most = |from: usize, to: usize, of: &dyn Fn(usize) -> f64| {
        (from..to).max_by(|a, b| of(*a).total_cmp(&of(*b)))
    };
    let up = most(first, last - 30 * HOUR, &rise)?;
    let down = most(up + 2 * HOUR, (up + 22 * HOUR).min(last - 8 * HOUR), &|at| {
        -mean(at.saturating_sub(HOUR / 2), at + 2 * HOUR)
    })?;
    let again = most(down + HOUR, last, &rise)?;
    Some([up, down, again].map(|index| load.time_of(index)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_the_same_for_everybody() {
        let end: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let (one, two) = (model(end, 14, 7), model(end, 14, 7));
        assert_eq!(one, two);
        assert_eq!(one.end(), end);
        assert!(one.known().all(|load| 0.0 < load));
        let [up, down, again] = story(&one).unwrap();
        assert!(up < down && down < again);
    }
}
