//! The features of the ensemble, computed from sums over a cleaned history.

#![expect(clippy::indexing_slicing, reason = "every index comes from the length of the history")]
#![expect(clippy::as_conversions, reason = "times of day, steps and features need no more than seven digits")]

use super::cleaning;
use super::covariates::{COVARIATES_MAX, Context, ScaledCovariate};
use crate::series::Series;
use crate::statistics::{median, real};

const DAY_S: u32 = 86_400;
const HOUR_S: u32 = 3_600;
/// The days of a daily profile: a week, so that it has every weekday once.
const PROFILE_DAYS: usize = 7;

/// The days of history that a prediction needs: a week, the longest look back from it, and days to clean it by.
const TAIL_DAYS: usize = 12;
const BASE_TERMS: usize = 12;

/// The number of terms of the linear regression. Terms of covariates that do not exist are zero.
pub(super) const LINEAR_TERMS: usize = BASE_TERMS + COVARIATES_MAX;

/// A history without gaps, from which features are computed. Indices count its steps; an origin is the first index that is
/// unknown when a prediction is made.
pub(super) struct LoadFeatures {
    values: Vec<f64>,
    known: Vec<bool>,
    /// The sum of the values before each index.
    sums: Vec<f64>,
    /// The sum of the cleaned values before each index. Seasons are computed from these.
    clean: Vec<f64>,
    /// Whether cleaning has changed the value: it is part of a flash crowd.
    crowds: Vec<bool>,
    /// The covariates over the history and the horizon.
    covariates: Vec<Vec<f32>>,
    start_s: i64,
    step_s: u32,
    /// Steps in a day, an hour and a week.
    pub(super) day: usize,
    pub(super) hour: usize,
    week: usize,
    /// The mean absolute value. Models work with multiples of it.
    pub(super) scale: f64,
}

/// The features of one step as predicted from one origin.
pub(super) struct StepFeatures {
    /// The terms of the linear regression, in multiples of the scale.
    pub(super) terms: [f64; LINEAR_TERMS],
    /// The inputs of trees.
    pub(super) tree_inputs: Vec<f32>,
}

/// The last seasons: the median and the range of the values at the same place in each.
struct Profile {
    /// The median of the values.
    at: f64,
    /// The median of the hours that are the same number of seasons before the last hour.
    then: f64,
    low: f64,
    high: f64,
}

impl LoadFeatures {
    pub(super) fn new(history: &Series) -> LoadFeatures {
        let step_s = history.step_s();
        let steps = |span_s: u32| usize::try_from((span_s / step_s).max(1)).unwrap_or(1);
        let (day, hour) = (steps(DAY_S), steps(HOUR_S));
        let values = cleaning::fill(history.values(), day);
        let clean = cleaning::clean(&values, day, hour);
        let size = values.iter().map(|value| value.abs()).sum::<f64>() / real(values.len()).max(1.0);
        LoadFeatures {
            known: history.values().iter().map(|value| value.is_finite()).collect(),
            start_s: history.start().as_second(),
            scale: if size > 0.0 { size } else { 1.0 },
            sums: sums(&values),
            clean: sums(&clean),
            crowds: values.iter().zip(&clean).map(|(value, clean)| value != clean).collect(),
            covariates: Vec::new(),
            week: day * 7,
            values,
            step_s,
            hour,
            day,
        }
    }

    /// The features of a history with covariates.
    pub(super) fn with_covariates(
        history: &Series,
        context: &Context<'_>,
        scaled: &[ScaledCovariate],
        horizon: usize,
    ) -> LoadFeatures {
        let covariates = scaled.iter().map(|scaled| scaled.on(context, history, horizon)).collect();
        LoadFeatures { covariates, ..LoadFeatures::new(history) }
    }

    /// The newest part of a history, which is all that predictions need.
    pub(super) fn newest_part(history: &Series) -> Series {
        let day = usize::try_from((DAY_S / history.step_s()).max(1)).unwrap_or(1);
        history.tail(TAIL_DAYS * day)
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// The known value at an index, in multiples of the scale.
    pub(super) fn actual(&self, index: usize) -> Option<f64> {
        let known = self.known.get(index).copied().unwrap_or(false);
        known.then(|| self.values[index] / self.scale)
    }

    /// The first origin with enough past for features.
    pub(super) fn first_origin(&self) -> usize {
        (self.day + self.hour).min(self.len() / 2).max(2)
    }

    /// The value at an index, with gaps filled.
    pub(super) fn value(&self, index: usize) -> f64 {
        self.values[index]
    }

    /// Whether the value at an index is part of a flash crowd.
    pub(super) fn is_crowd(&self, index: usize) -> bool {
        self.crowds.get(index).copied().unwrap_or(false)
    }

    /// The mean over `from..to`, or the value before it if that is empty.
    fn mean(&self, sums: &[f64], from: usize, to: usize) -> f64 {
        let to = to.clamp(1, self.len());
        let from = from.min(to - 1);
        (sums[to] - sums[from]) / real(to - from)
    }

    /// The mean of the last hour before `origin`.
    pub(super) fn last_hour(&self, origin: usize) -> f64 {
        self.mean_before(origin, 0, self.hour)
    }

    /// The mean of the `span` steps that end `back` steps before `origin`.
    fn mean_before(&self, origin: usize, back: usize, span: usize) -> f64 {
        let to = origin.saturating_sub(back);
        self.mean(&self.sums, to.saturating_sub(span), to)
    }

    /// The cleaned mean of the hour that ends `back` steps before `origin`.
    fn mean_of_hour_ago(&self, origin: usize, back: usize) -> f64 {
        let to = origin.saturating_sub(back);
        self.mean(&self.clean, to.saturating_sub(self.hour), to)
    }

    /// The mean of the cleaned values around the latest step before `origin` that is whole periods earlier.
    fn period_ago(&self, origin: usize, ahead: usize, period: usize) -> Option<f64> {
        let index = (origin + ahead).checked_sub((ahead / period + 1) * period)?;
        Some(self.mean(&self.clean, index.saturating_sub(1), (index + 2).min(origin)))
    }

    /// The value, not cleaned, at the latest step before `origin` that is whole days earlier.
    fn exactly_a_day_ago(&self, origin: usize, ahead: usize) -> Option<f64> {
        Some(self.values[(origin + ahead).checked_sub((ahead / self.day + 1) * self.day)?])
    }

    /// Medians over the last periods: of the step, and of the hour before `origin`.
    pub(super) fn season(&self, period: usize, origin: usize, ahead: usize) -> Option<(f64, f64)> {
        self.profile(period, origin, ahead).map(|profile| (profile.at, profile.then))
    }

    fn profile(&self, period: usize, origin: usize, ahead: usize) -> Option<Profile> {
        let mut at = [0.0; PROFILE_DAYS];
        let mut then = [0.0; PROFILE_DAYS];
        let mut count = 0;
        for ago in 1..=PROFILE_DAYS {
            let Some(index) = (origin + ahead).checked_sub((ahead / period + ago) * period) else {
                break;
            };
            let Some(from) = origin.checked_sub(self.hour + ago * period) else { break };
            at[count] = self.mean(&self.clean, index.saturating_sub(1), (index + 2).min(origin));
            then[count] = self.mean(&self.clean, from, from + self.hour);
            count += 1;
        }
        let (at, then) = (&mut at[..count], &mut then[..count]);
        at.sort_unstable_by(f64::total_cmp);
        then.sort_unstable_by(f64::total_cmp);
        Some(Profile { low: *at.first()?, high: *at.last()?, at: median(at), then: median(then) })
    }

    /// A covariate at a step, and its difference from its mean over the hour before `origin`.
    fn covariate(&self, column: &[f32], origin: usize, ahead: usize) -> (f32, f32) {
        let at = column.get(origin + ahead).copied().unwrap_or(0.0);
        let last_hour = &column[origin.saturating_sub(self.hour)..origin];
        (at, at - last_hour.iter().sum::<f32>() / last_hour.len().max(1) as f32)
    }

    /// The features of the step `ahead` steps after `origin`, from values before `origin` only.
    pub(super) fn at_step(&self, origin: usize, ahead: usize) -> StepFeatures {
        let (hour, day, week) = (self.hour, self.day, self.week);
        let last = self.values[origin - 1];
        let quarter = self.mean_before(origin, 0, (hour / 4).max(1));
        let now = self.mean_before(origin, 0, hour);
        let half = (hour / 2).max(1);
        let slope = self.mean_before(origin, 0, half) - self.mean_before(origin, half, half);
        let profile = self.profile(self.day, origin, ahead);
        let profile = profile.unwrap_or(Profile { at: now, then: now, low: now, high: now });
        let yesterday = self.period_ago(origin, ahead, day).unwrap_or(now);
        let day_ago = if day + hour <= origin { self.mean_of_hour_ago(origin, day) } else { now };
        let (last_week, week_ago) = match self.period_ago(origin, ahead, week) {
            Some(value) if week + hour <= origin => (value, self.mean_of_hour_ago(origin, week)),
            _ => (profile.at, profile.then),
        };
        let today = self.mean(&self.clean, origin.saturating_sub(day), origin);
        let (low, high) = range(&self.values[origin.saturating_sub(2 * hour)..origin]);
        let exactly_a_day_ago = self.exactly_a_day_ago(origin, ahead).unwrap_or(now);
        let index = (origin + ahead).saturating_sub((ahead / day + 1) * day);
        let peak = range(&self.values[index.saturating_sub(3).min(origin - 1)..(index + 4).min(origin)]).1;
        let time_s = self.start_s + (origin + ahead) as i64 * i64::from(self.step_s);
        let of_day = time_s.rem_euclid(i64::from(DAY_S)) as f32;
        let scaled = |value: f64| value / self.scale;
        let feature = |value: f64| scaled(value) as f32;
        let mut step = StepFeatures {
            terms: [0.0; LINEAR_TERMS],
            tree_inputs: vec![
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
                feature(exactly_a_day_ago),
                feature(peak),
                feature(profile.high),
                feature(quarter - now),
            ],
        };
        let terms = [
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
        ];
        step.terms[..BASE_TERMS].copy_from_slice(&terms);
        self.add_covariates(&mut step, origin, ahead);
        step
    }

    fn add_covariates(&self, step: &mut StepFeatures, origin: usize, ahead: usize) {
        for (column, term) in self.covariates.iter().zip(&mut step.terms[BASE_TERMS..]) {
            let (at, more) = self.covariate(column, origin, ahead);
            step.tree_inputs.extend([at, more]);
            *term = f64::from(more);
        }
    }
}

/// The sum of the values before each index.
fn sums(values: &[f64]) -> Vec<f64> {
    let mut sum = 0.0;
    let sums = values.iter().map(|value| {
        sum += value;
        sum
    });
    std::iter::once(0.0).chain(sums).collect()
}

fn range(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(*value), high.max(*value)))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn features(values: impl IntoIterator<Item = Option<f64>>) -> LoadFeatures {
        LoadFeatures::new(&Series::new(Timestamp::UNIX_EPOCH, 3_600, values))
    }

    #[test]
    fn what_was_filled_is_not_the_truth() {
        let features = features((0..72).map(|index| (index != 30).then(|| real(index))));
        assert_eq!((features.actual(30), features.value(30)), (None, 30.0));
    }

    #[test]
    fn a_view_looks_at_nothing_from_its_origin_on() {
        let past = (0..400).map(|index| Some(real(index % 24)));
        let short = features(past.clone());
        let mut long = features(past.chain((0..100).map(|_| Some(1e6))));
        long.scale = short.scale;
        for ahead in [0, 1, 23, 24, 47] {
            let (a, b) = (short.at_step(400, ahead), long.at_step(400, ahead));
            assert_eq!((a.terms, a.tree_inputs), (b.terms, b.tree_inputs), "{ahead}");
        }
    }

    #[test]
    fn the_shortest_history_has_a_view() {
        let features = features([Some(1.0), None, Some(3.0)]);
        assert!(features.at_step(3, 5).terms.iter().all(|term| term.is_finite()));
    }
}
