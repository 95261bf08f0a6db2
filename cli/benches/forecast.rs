//! What forecasts take: training, taking in a new point, predicting, and the bytes of a stored model.
//!
//! `cargo bench -p headroom --bench forecast`. Fails where a figure is above its limit. Allocations are not counted: that
//! needs an allocator of our own, and `unsafe` is forbidden here.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use headroom_core::forecast::LEVELS;
use headroom_core::series::{STEP_S, Series};
use headroom_forecast::ensemble::{Context, Ensemble};
use jiff::Timestamp;

const DAY: u32 = 288;
const HORIZON: usize = 24;
const BYTES_MAX: usize = 64 * 1_024;
const TRAIN_MAX: Duration = Duration::from_secs(1);
const CYCLE_MAX: Duration = Duration::from_millis(1);

fn main() -> ExitCode {
    println!("{:>5} {:>10} {:>10} {:>10} {:>8}", "days", "train", "update", "predict", "bytes");
    let mut good = true;
    for days in [1, 7, 14, 90] {
        let points = days * DAY;
        let context = Context::default();
        let (trained, train) = best_of(3, || Ensemble::train(&load(points), &context, HORIZON));
        let Ok(trained) = trained else { return ExitCode::FAILURE };
        let longer = load(points + 1);
        let (updated, update) = best_of(50, || {
            let mut updated = trained.clone();
            updated.update(&longer, &context).map(|()| updated)
        });
        let Ok(updated) = updated else { return ExitCode::FAILURE };
        let (_, predict) = best_of(50, || updated.predict(&longer, &context, HORIZON, &LEVELS));
        let bytes = updated.encode().len();
        println!("{days:>5} {train:>10.1?} {update:>10.1?} {predict:>10.1?} {bytes:>8}");
        good &= train <= TRAIN_MAX && update <= CYCLE_MAX && predict <= CYCLE_MAX && bytes < BYTES_MAX;
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What a run gives, and the shortest time that it took.
fn best_of<T>(times: usize, mut run: impl FnMut() -> T) -> (T, Duration) {
    let mut timed = || {
        let begun = Instant::now();
        let given = run();
        (given, begun.elapsed())
    };
    let mut best = timed();
    for _ in 1..times {
        let next = timed();
        best = if next.1 < best.1 { next } else { best };
    }
    best
}

/// A day's wave that is higher on working days, with a noise that comes from a multiplicative hash.
fn load(points: u32) -> Series {
    let value = |index: u32| {
        let wave = (f64::from(index % DAY) / f64::from(DAY) * std::f64::consts::TAU).cos();
        let height = if index / DAY % 7 < 5 { 60.0 } else { 25.0 };
        let noise = f64::from((index.wrapping_mul(2_654_435_769) >> 12) & 0xfff) / 4_095.0;
        Some(100.0 - height * wave + 20.0 * noise)
    };
    Series::new(Timestamp::UNIX_EPOCH, STEP_S, (0..points).map(value))
}
