//! What points mean by how they are published: counts that still grow, points that stand for several minutes, and minutes
//! in which nothing happened.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{MetricRequest, PAST_STEP_S, PERIOD_S, aligned, second};
use crate::history::{Column, UNITS, points_of};
use crate::observe::Observed;
use crate::platform::{Measure, Metric, Place, Query, Rate};
use crate::series::Series;
use crate::units::DAY_S;

/// The points of one query, and whether CloudWatch says that these are all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricAnswer {
    /// The start of each period and its value, in order.
    pub points: Vec<(Timestamp, f64)>,
    /// Whether nothing is missing of what CloudWatch has. Only then can the absence of points mean anything.
    pub complete: bool,
}

/// A count of a minute nearly always stands two minutes after it; until then it still grows.
const COUNT_SETTLES_S: i64 = 60;
/// Points come up to three minutes late. A minute longer ago that has none will get none.
const LATE_POINT_S: i64 = 300;
/// A metric that had no points for so long is gone or misspelt, and not idle: CloudWatch itself no longer lists it then.
const IDLE_S_MAX: i64 = 14 * DAY_S;
/// How often it is written down anew that a metric has points.
const NOTED_S: i64 = DAY_S;

/// Metrics whose absence means zero, with the newest time at which they had points.
pub type LastSeen = BTreeMap<String, Timestamp>;

/// Notes which of the metrics whose absence means zero have points.
pub fn note_seen<'a>(
    read: impl IntoIterator<Item = (&'a Query, &'a [(Timestamp, f64)])>,
    seen: &mut LastSeen,
) {
    for (query, points) in read.into_iter().filter(|(query, _)| query.missing_is_zero) {
        let Some((at, _)) = points.iter().rev().find(|(_, value)| 0.0 < *value) else { continue };
        let noted = seen.entry(query.line()).or_insert(*at);
        if NOTED_S <= at.as_second() - noted.as_second() {
            *noted = *at;
        }
    }
}

/// Adds zeros for minutes without points where they mean that, everything was read, and the metric had points lately. A
/// misspelt metric never had any, and stays unknown; AWS's own metrics of what goes wrong need not have had any.
pub fn add_idle(
    query: &Query,
    answer: &mut MetricAnswer,
    seen: &LastSeen,
    now: Timestamp,
    window: (Timestamp, Timestamp),
) {
    let age_s = seen.get(&query.line()).map(|at| now.as_second() - at.as_second());
    let is_known = query.is_rare || age_s.is_some_and(|age_s| age_s <= IDLE_S_MAX);
    if !query.missing_is_zero || !answer.complete || !is_known {
        return;
    }
    let newest = answer.points.last().map_or(i64::MIN, |(at, _)| at.as_second());
    let until_s =
        newest.max(now.as_second() - LATE_POINT_S - i64::from(PERIOD_S) + 1).min(window.1.as_second());
    add_zeros(answer, window.0.as_second(), until_s, PERIOD_S);
}

/// Adds zeros to a past that was read to its end, from its first point on: before that there may have been no resource.
pub fn add_idle_past(query: &Query, answer: &mut MetricAnswer, until: Timestamp, step_s: u32) {
    if let Some((first, _)) = answer.points.first().filter(|_| query.missing_is_zero && answer.complete) {
        let from_s = first.as_second();
        add_zeros(answer, from_s, until.as_second(), step_s);
    }
}

fn add_zeros(answer: &mut MetricAnswer, from_s: i64, until_s: i64, step_s: u32) {
    let step = i64::from(step_s.max(1));
    let first = aligned(from_s + step - 1, step_s.max(1));
    let zeros = (0..).map(|index| first + index * step).take_while(|at| *at < until_s);
    let mut points: BTreeMap<Timestamp, f64> = zeros.map(|at| (second(at), 0.0)).collect();
    points.extend(answer.points.iter().copied());
    answer.points = points.into_iter().collect();
}

/// Levels that are published less often than by the minute stand until the next one: as long as the points of the window
/// are apart, up to five minutes. Counts are left as they are, because their absence may mean that nothing happened.
pub(super) fn standing(query: &Query, points: &[(Timestamp, f64)], to: Timestamp) -> Vec<(Timestamp, f64)> {
    if query.is_count() {
        return points.to_vec();
    }
    let starts = || points.iter().map(|(at, _)| at.as_second());
    let apart = starts().zip(starts().skip(1)).map(|(one, next)| next - one).max().unwrap_or(0);
    let stands_s = apart.clamp(i64::from(PERIOD_S), i64::from(PAST_STEP_S));
    let ends = starts().skip(1).chain([to.as_second()]);
    let minutes = points.iter().zip(ends).flat_map(|((at, value), end)| {
        let from = at.as_second();
        let until = end.min(from + stands_s).max(from + 1);
        (from..until).step_by(60).map(move |minute| (second(minute), *value))
    });
    minutes.collect()
}

/// From when on counts that end at `to` may still grow: the newest period waits for the next cycle.
pub(super) fn settled_until(query: &Query, to: Timestamp) -> Timestamp {
    if !query.is_count() {
        return to;
    }
    second(aligned(to.as_second() - COUNT_SETTLES_S, query.period_s.max(PERIOD_S)))
}

/// What a decision rests on: what is settled, and the newest count where it is above the mean of the last cycle already.
/// A count that still grows is never too large, so waiting for it would only delay a scale-out; and it may be far too
/// small, so that it says nothing for a scale-in.
pub(super) fn for_decision(
    points: &[(Timestamp, f64)],
    settled_until: Timestamp,
    cycle_s: u32,
) -> Vec<(Timestamp, f64)> {
    let count = points.partition_point(|(at, _)| *at < settled_until);
    let (settled, growing) = points.split_at(count);
    let from_s = settled_until.as_second() - i64::from(cycle_s);
    let lately = settled.iter().filter(|(at, _)| from_s <= at.as_second()).map(|(_, value)| *value);
    let Some(usual) = mean(lately).or_else(|| settled.last().map(|(_, value)| *value)) else {
        return settled.to_vec();
    };
    match mean(growing.iter().map(|(_, value)| *value)) {
        Some(newest) if usual < newest => points.to_vec(),
        _ => settled.to_vec(),
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    (0 < count).then(|| sum / f64::from(count))
}

/// The share of what the ready units can carry from which on a measurement is a lower bound: means over a minute stay
/// a little below what was reached within it.
const SATURATED_SHARE: f64 = 0.95;
/// A unit that is used to this percent has nothing left, whatever the operator thinks is too much.
const PERCENT_MAX: f64 = 100.0;

/// What one unit can carry at most, where that is known. Above it, what is measured is what was let through.
fn carried_at_most(place: Place<'_>, metric: &Metric) -> Option<f64> {
    let query = metric.query.as_ref()?;
    match &metric.measure {
        // What is left is known, so that nothing of what is used is hidden.
        Measure::Utilization { .. } if query.rate == Rate::LeftOfGib => None,
        Measure::Utilization { limit, .. } => Some(limit.max(PERCENT_MAX)),
        Measure::Load { limit_per_unit, .. } => {
            let mut carries = place.dimension.facts.carries.iter();
            match carries.find(|(name, _)| query.metric_name.starts_with(name)) {
                // What is above that waits, or is refused.
                Some((_, units)) => Some(metric.counted_s().unwrap_or(1.0) * units),
                None => *limit_per_unit,
            }
        }
        Measure::Latency { .. } | Measure::QueueDepth { .. } => None,
    }
}

/// The times of points at which the ready units carried what they can.
pub(super) fn saturated(
    asked: &MetricRequest<'_>,
    points: &[(Timestamp, f64)],
    units: &super::UnitsOverTime,
) -> Vec<Timestamp> {
    let Some(most) = carried_at_most(asked.place, asked.metric) else { return Vec::new() };
    let per_capacity = asked.metric.measure.is_per_capacity();
    let is = |(at, value): &(Timestamp, f64)| {
        let ready = if per_capacity { Some(1.0) } else { units.least_at(*at) };
        ready.is_some_and(|ready| 0.0 < ready && ready * most * SATURATED_SHARE <= *value)
    };
    points.iter().filter(|point| is(point)).map(|(at, _)| *at).collect()
}

/// Whether one of the values that a load was made of is only a lower bound.
pub(super) fn mark(load: &mut Observed<crate::observe::Load>, saturated: &[Timestamp], cycle_s: u32) {
    if let Observed::Known(load) = load {
        let from_s = load.at.as_second() - i64::from(cycle_s.max(PERIOD_S));
        load.saturated = saturated.iter().any(|at| from_s <= at.as_second() && *at < load.at);
    }
}

/// The records of ready units in a series.
pub(super) fn records(series: &Series) -> Vec<(Timestamp, f64)> {
    points_of(series)
}

/// The column of the units of a dimension.
pub(crate) fn units_column(place: Place<'_>) -> Column {
    Column::new(&place.dimension.key, UNITS)
}
