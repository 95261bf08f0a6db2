//! Load for the demo: a seeded model of a shop's traffic, or a trace from a file.

use std::path::Path;

use headroom_core::chance::Chance;
use headroom_core::series::Series;
use headroom_core::simulate::trace;
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
    let mut chance = Chance::new(seed);
    let load = |index: i64| {
        let at = start + SignedDuration::from_secs(index * i64::from(STEP_S));
        Some(shape(at) * flash_crowd(at, flash) * (1.0 + 0.04 * normal(&mut chance)))
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

/// Normal by the sum of twelve shares: good enough for noise.
fn normal(chance: &mut Chance) -> f64 {
    (0..12).map(|_| chance.share()).sum::<f64>() - 6.0
}

/// The first column of a trace, read as `headroom simulate` reads it, moved in time so that it ends at `end`, on a
/// five-minute grid, scaled to a peak of 1.
///
/// # Errors
/// When the file cannot be read or is no trace.
pub fn trace(file: &Path, end: Timestamp) -> Result<Series> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(moved(&text, end).map_err(|bad| format!("{}:{bad}", file.display()))?)
}

fn moved(text: &str, end: Timestamp) -> std::result::Result<Series, String> {
    let trace = trace::parse(text).map_err(|bad| bad.to_string())?;
    let load = &trace.columns.first().ok_or("1: the trace has no column")?.load;
    let last_s = load.end().as_second() - i64::from(load.step_s());
    let step_s = i64::from(STEP_S);
    let shift = SignedDuration::from_secs((end.as_second() - last_s).div_euclid(step_s) * step_s);
    let steps = Series::new(load.start() + shift, load.step_s(), load.values().iter().copied().map(Some))
        .regrid(STEP_S);
    let largest = steps.known().fold(f64::MIN_POSITIVE, f64::max);
    let values: Vec<Option<f64>> =
        (0..steps.len()).map(|index| steps.get(index).map(|value| value / largest)).collect();
    Ok(Series::new(steps.start(), STEP_S, values))
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

    #[test]
    fn a_trace_is_read_as_simulate_reads_it_and_ends_now() {
        let end: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let line = |minute: u32| {
            format!(
                "2026-03-01T{:02}:{:02}[Europe/Zurich],\"{},000\"\n",
                minute / 60,
                minute % 60,
                1 + minute / 60
            )
        };
        let text: String = (0..240).step_by(5).map(line).collect();
        let load = moved(&format!("timestamp,value\n{text}2026-03-01T03:55[Europe/Zurich],\"4,000\"\n"), end)
            .unwrap();
        let age = end.duration_since(load.end()).as_secs();
        assert!((-300..=300).contains(&age), "{age}");
        assert_eq!((load.step_s(), load.get(2), load.get(load.len() - 2)), (STEP_S, Some(0.25), Some(1.0)));
        assert!(
            moved("timestamp,value\n2026-03-01T00:00Z,many\n", end).unwrap_err().starts_with("2: `many`")
        );
    }
}
