//! A history made ready for models: its gaps filled, its sums at hand, and what a model may look at for each step.

#![expect(clippy::indexing_slicing, reason = "every index comes from the length of the history")]
#![expect(clippy::as_conversions, reason = "times of day, steps and features need no more than seven digits")]

use super::real;
use crate::series::Series;

const DAY_S: u32 = 86_400;
const HOUR_S: u32 = 3_600;
/// Days that a profile of the day is taken over: a week, so that every weekday is in it once.
const PROFILE_DAYS: usize = 7;

/// Terms of the linear model.
pub(super) const TERMS: usize = 12;
/// Features of the trees.
pub(super) const FEATURES: usize = 24;

/// A history without gaps.
pub(super) struct Frame {
    values: Vec<f64>,
    known: Vec<bool>,
    /// Sums of the values before each index.
    sums: Vec<f64>,
    start_s: i64,
    step_s: u32,
    /// Steps in a day, an hour and a week.
    pub(super) day: usize,
    hour: usize,
    week: usize,
    /// The mean size of a value: models work in multiples of it.
    pub(super) scale: f64,
}

/// What a model may look at to guess a step.
pub(super) struct View {
    /// For the linear model, in multiples of the scale.
    pub(super) terms: [f64; TERMS],
    /// For the trees.
    pub(super) features: [f32; FEATURES],
}

/// The profile of the last days: the middle and the range of the values at one time of day.
struct Profile {
    at: f64,
    /// The middle of the hours that were then what the last hour is now.
    then: f64,
    low: f64,
    high: f64,
}

impl Frame {
    pub(super) fn new(history: &Series) -> Frame {
        let step_s = history.step_s();
        let steps = |span_s: u32| usize::try_from((span_s / step_s).max(1)).unwrap_or(1);
        let day = steps(DAY_S);
        let values = fill(history.values(), day);
        let mut sums = vec![0.0];
        let mut sum = 0.0;
        for value in &values {
            sum += value;
            sums.push(sum);
        }
        let size = values.iter().map(|value| value.abs()).sum::<f64>() / real(values.len()).max(1.0);
        Frame {
            known: history.values().iter().map(|value| value.is_finite()).collect(),
            start_s: history.start().as_second(),
            scale: if size > 0.0 { size } else { 1.0 },
            hour: steps(HOUR_S),
            week: day * 7,
            values,
            sums,
            step_s,
            day,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// The known value at an index, in multiples of the scale.
    pub(super) fn truth(&self, index: usize) -> Option<f64> {
        let known = self.known.get(index).copied().unwrap_or(false);
        known.then(|| self.values[index] / self.scale)
    }

    /// The first origin whose past is long enough to look at.
    pub(super) fn first(&self) -> usize {
        (self.day + self.hour).min(self.len() / 2).max(2)
    }

    /// The mean over `from..to`, or the value before where that is empty.
    fn mean(&self, from: usize, to: usize) -> f64 {
        let to = to.clamp(1, self.len());
        let from = from.min(to - 1);
        (self.sums[to] - self.sums[from]) / real(to - from)
    }

    /// The mean of the `span` steps that end `back` steps before `origin`.
    fn lately(&self, origin: usize, back: usize, span: usize) -> f64 {
        let to = origin.saturating_sub(back);
        self.mean(to.saturating_sub(span), to)
    }

    /// The value one period before a step, smoothed over `around` steps to both sides; never from `origin` on.
    fn ago(&self, origin: usize, ahead: usize, period: usize, around: usize) -> Option<f64> {
        let index = (origin + ahead).checked_sub((ahead / period + 1) * period)?;
        Some(self.mean(index.saturating_sub(around), (index + around + 1).min(origin)))
    }

    fn profile(&self, origin: usize, ahead: usize) -> Option<Profile> {
        let mut at = [0.0; PROFILE_DAYS];
        let mut then = [0.0; PROFILE_DAYS];
        let mut days = 0;
        for ago in 1..=PROFILE_DAYS {
            let Some(index) = (origin + ahead).checked_sub((ahead / self.day + ago) * self.day) else {
                break;
            };
            let Some(from) = origin.checked_sub(self.hour + ago * self.day) else { break };
            at[days] = self.mean(index.saturating_sub(1), (index + 2).min(origin));
            then[days] = self.mean(from, from + self.hour);
            days += 1;
        }
        let (at, then) = (&mut at[..days], &mut then[..days]);
        at.sort_by(f64::total_cmp);
        then.sort_by(f64::total_cmp);
        Some(Profile { low: *at.first()?, high: *at.last()?, at: middle(at), then: middle(then) })
    }

    /// What is known at `origin`, the first unknown index, about the step `ahead` steps later.
    pub(super) fn view(&self, origin: usize, ahead: usize) -> View {
        let (hour, day, week) = (self.hour, self.day, self.week);
        let last = self.values[origin - 1];
        let quarter = self.lately(origin, 0, (hour / 4).max(1));
        let now = self.lately(origin, 0, hour);
        let half = (hour / 2).max(1);
        let slope = self.lately(origin, 0, half) - self.lately(origin, half, half);
        let profile = self.profile(origin, ahead);
        let profile = profile.unwrap_or(Profile { at: now, then: now, low: now, high: now });
        let yesterday = self.ago(origin, ahead, day, 1).unwrap_or(now);
        let day_ago = if day + hour <= origin { self.lately(origin, day, hour) } else { now };
        let (last_week, week_ago) = match self.ago(origin, ahead, week, 1) {
            Some(value) if week + hour <= origin => (value, self.lately(origin, week, hour)),
            _ => (profile.at, profile.then),
        };
        let today = self.lately(origin, 0, day);
        let (low, high) = range(&self.values[origin.saturating_sub(2 * hour)..origin]);
        let exact = self.ago(origin, ahead, day, 0).unwrap_or(now);
        let index = (origin + ahead).saturating_sub((ahead / day + 1) * day);
        let peak = range(&self.values[index.saturating_sub(3).min(origin - 1)..(index + 4).min(origin)]).1;
        let time_s = self.start_s + (origin + ahead) as i64 * i64::from(self.step_s);
        let of_day = time_s.rem_euclid(i64::from(DAY_S)) as f32;
        let scaled = |value: f64| value / self.scale;
        let feature = |value: f64| scaled(value) as f32;
        View {
            terms: [
                1.0,
                scaled(last),
                scaled(quarter),
                scaled(now),
                scaled(profile.at),
                scaled(profile.then),
                scaled(yesterday),
                scaled(day_ago),
                scaled(last_week),
                scaled(week_ago),
                scaled(today),
                scaled(slope),
            ],
            features: [
                feature(last - now),
                feature(now),
                feature(yesterday),
                feature(profile.at),
                feature(profile.at - profile.then),
                feature(now - profile.then),
                feature(now - day_ago),
                feature(yesterday - day_ago),
                feature(last_week),
                feature(last_week - week_ago),
                feature(slope),
                feature(high - now),
                feature(low - now),
                of_day,
                time_s.div_euclid(i64::from(DAY_S)).rem_euclid(7) as f32,
                ahead as f32,
                of_day % HOUR_S as f32,
                feature(profile.high - profile.low),
                feature(today - profile.at),
                feature(last),
                feature(exact),
                feature(peak),
                feature(profile.high),
                feature(quarter - now),
            ],
        }
    }
}

fn range(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(*value), high.max(*value)))
}

/// The median of sorted values.
fn middle(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[half] } else { f64::midpoint(sorted[half - 1], sorted[half]) }
}

/// The values with gaps of up to an hour bridged by a line, and longer ones filled from the days before.
fn fill(raw: &[f64], day: usize) -> Vec<f64> {
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

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn frame(values: impl IntoIterator<Item = Option<f64>>) -> Frame {
        Frame::new(&Series::new(Timestamp::UNIX_EPOCH, 3_600, values))
    }

    #[test]
    fn short_gaps_are_bridged_and_long_ones_filled_from_the_day_before() {
        let hole = |index: usize| index == 30 || (40..45).contains(&index);
        let frame = frame((0..72).map(|index| (!hole(index)).then(|| real(index % 24))));
        assert_eq!((frame.values[30], frame.values[42]), (6.0, 18.0));
        assert_eq!(frame.truth(42), None, "what was filled is not the truth");
    }

    #[test]
    fn a_view_looks_at_nothing_from_its_origin_on() {
        let past = (0..400).map(|index| Some(real(index % 24)));
        let short = frame(past.clone());
        let mut long = frame(past.chain((0..100).map(|_| Some(1e6))));
        long.scale = short.scale;
        for ahead in [0, 1, 23, 24, 47] {
            let (a, b) = (short.view(400, ahead), long.view(400, ahead));
            assert_eq!((a.terms, a.features), (b.terms, b.features), "{ahead}");
        }
    }

    #[test]
    fn the_shortest_history_has_a_view() {
        let frame = frame([Some(1.0), None, Some(3.0)]);
        assert!(frame.view(3, 5).terms.iter().all(|term| term.is_finite()));
    }
}
