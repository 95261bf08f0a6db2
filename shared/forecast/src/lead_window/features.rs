//! The features of the lead window: recent levels and their slope and variation, and the same time on earlier days.

use jiff::Timestamp;

use super::{DAY_S, Window, WindowStatistic, steps};
use crate::series::Series;
use crate::statistics::real;

/// A series as levels, `ln(1 + units)`, from which features are computed. Differences of levels are proportions where the
/// load is high, and differences in units where it is low.
#[derive(Clone, Debug)]
pub(super) struct LevelFeatures {
    start: Timestamp,
    step_s: u32,
    unit: f64,
    /// A gap has the level before it, and is not `known`.
    levels: Vec<f32>,
    known: Vec<bool>,
    /// The largest level there was.
    highest: f32,
}

/// So far above the largest load of its history a load is expected to rise at most...
const ABOVE_HISTORY: f64 = 1.1;
/// ...or so far above the largest load of the last minutes, where that is more: then the load is rising to where it never was.
const ABOVE_RECENT: f64 = 1.4;

/// The number of features.
pub(super) const WIDTH: usize = 31;

impl LevelFeatures {
    pub(super) fn new(unit: f64, history: &Series) -> LevelFeatures {
        let mut features = LevelFeatures {
            start: history.start(),
            step_s: history.step_s(),
            unit: if unit > 0.0 { unit } else { 1.0 },
            levels: Vec::new(),
            known: Vec::new(),
            highest: 0.0,
        };
        (0..history.len()).for_each(|index| features.push(history.get(index)));
        features
    }

    pub(super) fn push(&mut self, value: Option<f64>) {
        let value = value.filter(|value| value.is_finite());
        let level = value.map(|value| narrow((value / self.unit).max(0.0).ln_1p()));
        let before = self.levels.last().copied().unwrap_or(0.0);
        self.highest = self.highest.max(level.unwrap_or(0.0));
        self.levels.push(level.unwrap_or(before));
        self.known.push(level.is_some());
    }

    pub(super) fn len(&self) -> usize {
        self.levels.len()
    }

    pub(super) fn known(&self) -> usize {
        self.known.iter().filter(|known| **known).count()
    }

    pub(super) fn step_s(&self) -> u32 {
        self.step_s
    }

    pub(super) fn time_of(&self, index: usize) -> Timestamp {
        let ahead_s = i64::try_from(index).unwrap_or(i64::MAX).saturating_mul(i64::from(self.step_s));
        Timestamp::from_second(self.start.as_second().saturating_add(ahead_s)).unwrap_or(Timestamp::MAX)
    }

    pub(super) fn unit(&self) -> f64 {
        self.unit
    }

    /// The newest level before `now`. Predictions are relative to it.
    pub(super) fn base(&self, now: usize) -> f64 {
        f64::from(self.level(now.saturating_sub(1)))
    }

    /// The largest load that any window may be expected to have, seen from `now`.
    ///
    /// Errors are known as proportions. Of a load that rose from little to much once, they would have much more expected while
    /// it is much already: more than the load ever was. `reach` is the number of steps that count as recent.
    pub(super) fn ceiling(&self, now: usize, reach: usize) -> f64 {
        let load = |level: f32| f64::from(level).exp_m1() * self.unit;
        let recent = largest(self.levels.get(now.saturating_sub(reach)..now).unwrap_or_default());
        (ABOVE_HISTORY * load(self.highest)).max(ABOVE_RECENT * load(recent))
    }

    /// The largest level of a window; none before the window is over, or if less than half of it is known.
    pub(super) fn peak(&self, now: usize, window: Window) -> Option<f64> {
        let (from, to) = (now + window.from, now + window.to);
        let levels = self.levels.get(from..to)?;
        let known = self.known.get(from..to)?.iter().filter(|known| **known).count();
        (levels.len() <= 2 * known).then(|| f64::from(largest(levels)))
    }

    /// The levels of a window that errors are measured at; none before it is over, or if less than half of it is known.
    pub(super) fn samples(&self, now: usize, window: Window) -> Vec<f32> {
        let Some(peak) = self.peak(now, window) else { return Vec::new() };
        match window.statistic {
            WindowStatistic::Largest => vec![narrow(peak)],
            WindowStatistic::EachStep => {
                let levels = self.levels.get(now + window.from..now + window.to).unwrap_or_default();
                let count = levels.len().min(window.statistic.samples());
                let middle_of = |part: usize| (2 * part + 1) * levels.len() / (2 * count);
                // Levels in gaps were not measured.
                let measured = |at: &usize| self.known.get(now + window.from + at).copied().unwrap_or(false);
                (0..count).map(middle_of).filter(measured).filter_map(|at| levels.get(at)).copied().collect()
            }
        }
    }

    fn level(&self, index: usize) -> f32 {
        self.levels.get(index).copied().unwrap_or(0.0)
    }

    /// The levels of the last `span_s` seconds before `now`, at least one.
    fn newest(&self, now: usize, span_s: u32) -> &[f32] {
        let from = now.saturating_sub(steps(span_s, self.step_s).max(1));
        self.levels.get(from..now).unwrap_or_default()
    }

    /// All features at `now`, from earlier levels only. `reach` is the number of steps to the end of the windows.
    pub(super) fn row(&self, now: usize, reach: usize) -> Vec<f32> {
        let mut row = Vec::with_capacity(WIDTH);
        let base = self.level(now.saturating_sub(1));
        self.slopes(now, reach, base, &mut row);
        self.recent(now, reach, base, &mut row);
        self.days(now, reach, base, &mut row);
        self.clock(now, &mut row);
        row
    }

    /// The newest slope, extrapolated over the window, and changes of recent means.
    fn slopes(&self, now: usize, reach: usize, base: f32, row: &mut Vec<f32>) {
        row.push(base);
        let back = |count: usize| self.level(now.saturating_sub(1 + count));
        let units = |level: f32| level.exp_m1();
        let slope = units(base) - units(back(1));
        for ahead in [real(reach) / 2.0, real(reach)] {
            let extrapolated = (units(base) + slope * narrow(ahead)).max(0.0).ln_1p();
            row.push(extrapolated - base);
        }
        row.push(base - self.level(now.saturating_sub(1 + steps(300, self.step_s))));
        for (span_s, apart_s) in [(300, 900), (900, 3_600)] {
            let before = now.saturating_sub(steps(apart_s, self.step_s));
            row.push(mean(self.newest(now, span_s)) - mean(self.newest(before, span_s)));
        }
    }

    /// Means, extremes and standard deviations of the last minutes, hours and day.
    fn recent(&self, now: usize, reach: usize, base: f32, row: &mut Vec<f32>) {
        row.extend([300, 900, 3_600, 14_400].map(|span_s| mean(self.newest(now, span_s)) - base));
        let reach_s = u32::try_from(reach).unwrap_or(u32::MAX).saturating_mul(self.step_s);
        row.extend(
            [reach_s, 1_800, 7_200, 43_200, DAY_S].map(|span_s| largest(self.newest(now, span_s)) - base),
        );
        row.extend([600, 3_600, 21_600].map(|span_s| deviation(self.newest(now, span_s))));
        row.push(smallest(self.newest(now, 3_600)) - base);
    }

    /// The largest level of the same window one, two and seven days ago, as it was and shifted by the difference between the
    /// last half hour and the same half hour then; and the mean and the largest of the last seven days.
    fn days(&self, now: usize, reach: usize, base: f32, row: &mut Vec<f32>) {
        let day = steps(DAY_S, self.step_s);
        let today = mean(self.newest(now, 1_800));
        let ago = |days: usize| {
            let then = now.checked_sub(days * day)?;
            Some((largest(self.levels.get(then..then + reach)?), then))
        };
        for days in [1, 2, 7] {
            let measured = ago(days).filter(|(_, then)| 0 < *then);
            let (plain, shifted) = measured.map_or((0.0, 0.0), |(peak, then)| {
                (peak - base, peak - mean(self.newest(then, 1_800)) + today - base)
            });
            row.extend([plain, shifted]);
        }
        let week: Vec<f32> = (1..=7).filter_map(ago).map(|(peak, _)| peak).collect();
        let known = !week.is_empty();
        row.push(if known { mean(&week) - base } else { 0.0 });
        row.push(if known { largest(&week) - base } else { 0.0 });
    }

    /// Minute of the day, day of the week, and minute of the hour, because batches often start on the hour.
    ///
    /// During the first day they are zero. Until then, a time of day only tells how much time has passed, and trees would
    /// expect an event that came once at all later times.
    fn clock(&self, now: usize, row: &mut Vec<f32>) {
        if now < steps(DAY_S, self.step_s) {
            return row.extend([0.0; 3]);
        }
        let now_s = self.time_of(now).as_second();
        let within = |span_s: i64, of_s: i64| {
            narrow(f64::from(i32::try_from(now_s.rem_euclid(span_s) / of_s).unwrap_or(0)))
        };
        row.extend([within(86_400, 60), within(604_800, 86_400), within(3_600, 60)]);
    }
}

fn largest(levels: &[f32]) -> f32 {
    levels.iter().copied().fold(0.0, f32::max)
}

fn smallest(levels: &[f32]) -> f32 {
    levels.iter().copied().reduce(f32::min).unwrap_or(0.0)
}

fn mean(levels: &[f32]) -> f32 {
    if levels.is_empty() { 0.0 } else { levels.iter().sum::<f32>() / narrow(real(levels.len())) }
}

fn deviation(levels: &[f32]) -> f32 {
    let mean = mean(levels);
    let squares: f32 = levels.iter().map(|level| (level - mean) * (level - mean)).sum();
    (squares / narrow(real(levels.len().max(1)))).sqrt()
}

/// A number with the seven digits that levels need.
#[expect(clippy::as_conversions, reason = "there is no other way from 64 to 32 bits")]
pub(super) fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lead_window::WindowStatistic;

    #[test]
    fn ordered_capacity_is_weighed_step_by_step_and_kept_capacity_by_the_largest() {
        let spike = (0..20).map(|minute| Some(if minute == 12 { 9.0 } else { 1.0 }));
        let features = LevelFeatures::new(1.0, &Series::new(Timestamp::UNIX_EPOCH, 60, spike));
        let samples = |statistic: WindowStatistic| features.samples(8, Window { from: 2, to: 7, statistic });
        let (low, high) = (2.0_f64.ln(), 10.0_f64.ln());
        assert_eq!(samples(WindowStatistic::EachStep), [low, low, high, low, low].map(narrow));
        assert_eq!(samples(WindowStatistic::Largest), [narrow(high)]);
        let gap = (0..20).map(|minute| (minute != 12).then_some(1.0));
        let gap = LevelFeatures::new(1.0, &Series::new(Timestamp::UNIX_EPOCH, 60, gap));
        assert_eq!(
            gap.samples(8, Window { from: 2, to: 7, statistic: WindowStatistic::EachStep }).len(),
            4,
            "a gap is no step"
        );
        assert!(
            features.samples(15, Window { from: 2, to: 7, statistic: WindowStatistic::EachStep }).is_empty(),
            "not over"
        );
    }
}
