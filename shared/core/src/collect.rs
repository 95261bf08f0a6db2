//! What to read in a cycle, and what it means: metrics become load by the capacity that produced them.

mod points;
mod short;
mod target_groups;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

pub(crate) use points::units_column;
pub use points::{LastSeen, MetricAnswer, add_idle, add_idle_past, note_seen};
pub use target_groups::{TargetGroup, TargetGroups, add_quiet, completed, joined, measured_in_front};

use crate::history::{Chunk, Column, hour_of, shard};
use crate::name::DimensionKey;
use crate::observe::{Capacity, Observation, Observed, reading};
use crate::platform::{Measure, Metric, Place, Platform, Query, Rate};
use crate::series::Series;
use crate::units::{DAY_S, HOUR_S};

/// CloudWatch is asked for minutes: a five-minute cycle costs the same for five points as for one.
pub const PERIOD_S: u32 = 60;
/// The newest minute is often not there yet, or only part of it: a minute later it nearly always is.
const SETTLE_S: i64 = 60;
/// Points that come later than this are not waited for. Three periods of five minutes and what they come late by: two
/// points of basic monitoring are always among them.
const LATE_S: i64 = 1_200;
/// How long CloudWatch keeps points of each length: 15 days, 63 days and 455 days, the last hours of which are going
/// already. Behind each, how much of it is stored in one item.
const KEPT: [(u32, i64, i64); 3] =
    [(PERIOD_S, 14 * DAY_S, 6 * 3_600), (PAST_STEP_S, 62 * DAY_S, DAY_S), (3_600, 454 * DAY_S, 10 * DAY_S)];
/// The step of history that is no longer known by the minute.
pub const PAST_STEP_S: u32 = 300;
/// Metrics whose past is read in one cycle. A large platform takes a few cycles, each of which still ends in time.
pub const PAST_METRICS_MAX: usize = 100;

/// A metric that CloudWatch is asked for.
#[derive(Clone, Copy, Debug)]
pub struct MetricRequest<'a> {
    /// Whose it is.
    pub place: Place<'a>,
    /// The metric.
    pub metric: &'a Metric,
    /// Where it is read.
    pub query: &'a Query,
}

impl MetricRequest<'_> {
    /// The column of its history.
    pub fn column(&self) -> Column {
        Column::new(&self.place.dimension.key, &self.metric.name)
    }
}

/// Every metric to ask for: those of dimensions that can be scaled.
pub fn metric_requests(platform: &Platform) -> Vec<MetricRequest<'_>> {
    let served = platform.dimensions().filter(|place| place.dimension.facts.is_served);
    served
        .flat_map(|place| place.dimension.metrics.iter().map(move |metric| (place, metric)))
        .filter_map(|(place, metric)| Some(MetricRequest { place, metric, query: metric.query.as_ref()? }))
        .collect()
}

/// A backlog that takes longer than this to drain is no matter of minutes; so far a cycle looks back.
const DRAIN_S_MAX: u64 = 3_600;

/// How much of the newest past a cycle works with: its own length, two points of the sparsest metric, or the longest time
/// in which a backlog may drain.
pub fn reach(platform: &Platform) -> Duration {
    let drain = |metric: &Metric| match metric.measure {
        Measure::QueueDepth { drain, .. } => Some(drain.min(Duration::from_secs(DRAIN_S_MAX))),
        _ => None,
    };
    let drains = platform.dimensions().flat_map(|place| place.dimension.metrics.iter().filter_map(drain));
    let periods = metric_requests(platform).into_iter().map(|asked| 2 * asked.query.period_s + PAST_STEP_S);
    let longest = drains.chain(periods.map(|period_s| Duration::from_secs(period_s.into())));
    longest.fold(platform.orchestration.cycle, Duration::max)
}

/// The window of closed periods that a cycle reads: what it works with, and what may have come late.
pub fn recent(now: Timestamp, reach: Duration) -> (Timestamp, Timestamp) {
    let to_s = (now.as_second() - SETTLE_S).div_euclid(i64::from(PERIOD_S)) * i64::from(PERIOD_S);
    let length_s = LATE_S.max(i64::try_from(reach.as_secs()).unwrap_or(LATE_S));
    (second(to_s - length_s), second(to_s))
}

/// A window of the past, and the length of the periods in which it is read.
pub type PastWindow = (Timestamp, Timestamp, u32);

/// The windows of a past that was never read, the newest first, which ends where `recent` begins. The newest is read by
/// the minute, older ones as finely as CloudWatch still knows them.
pub fn past(now: Timestamp, reach: Duration, training_period: Duration) -> Vec<PastWindow> {
    let wanted_s = i64::try_from(training_period.as_secs()).unwrap_or(i64::MAX);
    let mut until_s = aligned(recent(now, reach).0.as_second(), PAST_STEP_S) + i64::from(PAST_STEP_S);
    let end_s = until_s;
    let mut windows = Vec::new();
    for (step_s, kept_s, _) in KEPT {
        let from_s = aligned(end_s - wanted_s.min(kept_s), 3_600.min(step_s.max(PAST_STEP_S)));
        if from_s < until_s {
            windows.push((second(from_s), second(until_s), step_s));
            until_s = from_s;
        }
        if wanted_s <= kept_s {
            break;
        }
    }
    windows
}

/// The window that no cycle read, when the last one is longer ago than `recent` reaches back; `None` when there is none.
pub fn missed(now: Timestamp, reach: Duration, looked_at: Timestamp) -> Option<PastWindow> {
    let step_s = i64::from(PAST_STEP_S);
    let (from, to) = (recent(looked_at, reach).1, recent(now, reach).0);
    let age_s = now.as_second() - from.as_second();
    let (period_s, kept_s, _) = KEPT.into_iter().find(|(_, kept_s, _)| age_s <= *kept_s).unwrap_or(KEPT[1]);
    let from_s = aligned(from.as_second().max(now.as_second() - kept_s), PAST_STEP_S);
    let to_s = aligned(to.as_second(), PAST_STEP_S) + step_s;
    (from_s + 2 * step_s <= to_s).then_some((second(from_s), second(to_s), period_s.min(PAST_STEP_S)))
}

fn aligned(second: i64, step_s: u32) -> i64 {
    second.div_euclid(i64::from(step_s)) * i64::from(step_s)
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(Timestamp::MIN)
}

/// Units that were ready at some times.
#[derive(Clone, Debug, Default)]
pub struct UnitsOverTime(Vec<(Timestamp, f64)>);

impl UnitsOverTime {
    /// From records in any order.
    pub fn new(records: impl IntoIterator<Item = (Timestamp, f64)>) -> UnitsOverTime {
        let mut records: Vec<(Timestamp, f64)> = records.into_iter().collect();
        records.sort_by_key(|(at, _)| *at);
        UnitsOverTime(records)
    }

    /// The units at a time: the larger of the records before and after it. When exactly capacity changed between them
    /// is not known, and a load that is taken for too small would scale in what is needed.
    pub fn at(&self, time: Timestamp) -> Option<f64> {
        let later = self.0.partition_point(|(at, _)| *at <= time);
        let before = later.checked_sub(1).and_then(|index| self.0.get(index));
        let units = [before, self.0.get(later)].into_iter().flatten().map(|(_, units)| *units);
        units.reduce(f64::max)
    }

    /// The fewest units that may have been ready at a time: the smaller of the records before and after it.
    pub fn least_at(&self, time: Timestamp) -> Option<f64> {
        let later = self.0.partition_point(|(at, _)| *at <= time);
        let before = later.checked_sub(1).and_then(|index| self.0.get(index));
        [before, self.0.get(later)].into_iter().flatten().map(|(_, units)| *units).reduce(f64::min)
    }

    /// The fewest units that may have been ready at a time, where there are records before and after it that are no further
    /// `apart` than this.
    pub fn least_within(&self, time: Timestamp, apart: Duration) -> Option<f64> {
        let later = self.0.partition_point(|(at, _)| *at <= time);
        let (before, units) = self.0.get(later.checked_sub(1)?)?;
        let (after, then) = self.0.get(later)?;
        (after.duration_since(*before).unsigned_abs() <= apart).then(|| units.min(*then))
    }
}

/// Values of a metric as load.
pub fn loads(metric: &Metric, points: &[(Timestamp, f64)], units: &UnitsOverTime) -> Vec<(Timestamp, f64)> {
    if !metric.measure.is_per_capacity() {
        return points.to_vec();
    }
    let is_left = metric.query.as_ref().is_some_and(|query| query.rate == Rate::LeftOfGib);
    let load =
        |value: f64, units: f64| if is_left { (units - value).max(0.0) * 100.0 } else { value * units };
    points.iter().filter_map(|(at, value)| Some((*at, load(*value, units.at(*at)?)))).collect()
}

/// A chunk of live history: its shard and its hour.
pub type LivePlace = (u8, Timestamp);

/// The live chunks that a cycle reads before it adds to them.
pub fn live_places(platform: &Platform, now: Timestamp, reach: Duration) -> (Vec<u8>, Vec<Timestamp>) {
    let shards: BTreeSet<u8> = platform.resources().map(|(_, resource)| shard(&resource.id)).collect();
    // The record of ready units before the first point stands a cycle earlier.
    let earlier = second(recent(now, reach).0.as_second() - i64::from(PAST_STEP_S));
    let (from_s, to_s) = (hour_of(earlier).as_second(), hour_of(now).as_second());
    let hours = (0..).map(|hour| from_s + hour * HOUR_S).take_while(|hour_s| *hour_s <= to_s).map(second);
    (shards.into_iter().collect(), hours.collect())
}

/// What a cycle makes of what it read.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    /// One for every dimension that can be scaled.
    pub observations: Vec<Observation>,
    /// The live chunks that changed, as they are now.
    pub chunks: BTreeMap<LivePlace, Chunk>,
}

/// Turns points and capacities into observations and history. `points` belong to `asked`, one by one; `live` are the
/// live chunks as they were.
pub fn read(
    platform: &Platform,
    asked: &[MetricRequest<'_>],
    points: &[Vec<(Timestamp, f64)>],
    observed: &BTreeMap<DimensionKey, Observed<Capacity>>,
    live: &BTreeMap<LivePlace, Chunk>,
    now: Timestamp,
) -> Collected {
    let mut read = Collected { observations: Vec::new(), chunks: live.clone() };
    let cycle_s = u32::try_from(platform.orchestration.cycle.as_secs()).unwrap_or(u32::MAX);
    let to = recent(now, reach(platform)).1;
    for place in platform.dimensions() {
        let key = &place.dimension.key;
        let Some(capacity) = observed.get(key) else { continue };
        if let Observed::Known(capacity) = capacity {
            // By the minute: what a point was made by is told by the records around it, in this cycle and in later ones.
            read.add(place, points::units_column(place), PERIOD_S, [(now, capacity.whole().real())]);
        }
        let units = read.units(place);
        let mine = asked.iter().zip(points).filter(|(asked, _)| asked.place.dimension.key == *key);
        let mut short = short::ShortMinutes::default();
        let readings = mine.map(|(asked, points)| {
            let points = points::standing(asked.query, points, to);
            let settled_until = points::settled_until(asked.query, to);
            let saturated = points::saturated(asked, &points, &units);
            let settled: Vec<(Timestamp, f64)> =
                points.iter().filter(|(at, _)| *at < settled_until).copied().collect();
            read.add_loads(place, asked, loads(asked.metric, &settled, &units), &saturated);
            let newest_from = second(settled_until.as_second() - i64::from(cycle_s));
            short.add(asked.metric, &loads(asked.metric, &settled, &units), &units, newest_from);
            let points = points::for_decision(&points, settled_until, cycle_s);
            let loads = Series::from_points(PERIOD_S, loads(asked.metric, &points, &units));
            let mut reading = reading(asked.metric, &loads, now, cycle_s);
            points::mark(&mut reading.load, &saturated, cycle_s);
            reading
        });
        let readings = readings.collect();
        let (key, capacity, short_minutes) = (key.clone(), capacity.clone(), short.count());
        read.observations.push(Observation { key, capacity, readings, short_minutes });
    }
    read.chunks.retain(|place, chunk| live.get(place) != Some(chunk));
    read
}

impl Collected {
    /// Adds loads, each in place of what an earlier cycle read for its minute: values grow until every report is in. Those
    /// that are only lower bounds are marked, and marks that no longer hold are taken off.
    fn add_loads(
        &mut self,
        place: Place<'_>,
        asked: &MetricRequest<'_>,
        loads: Vec<(Timestamp, f64)>,
        saturated: &[Timestamp],
    ) {
        let column = asked.column();
        let marks = column.saturated();
        let mark = |(at, _): &(Timestamp, f64)| {
            let is = saturated.binary_search(at).is_ok();
            let was = self.series(place, &marks, *at).and_then(|series| series.at(*at)) == Some(1.0);
            (is || was).then_some((*at, f64::from(u8::from(is))))
        };
        let marked: Vec<(Timestamp, f64)> = loads.iter().filter_map(mark).collect();
        self.add(place, column, PERIOD_S, loads);
        self.add(place, marks, PERIOD_S, marked);
    }

    fn add(
        &mut self,
        place: Place<'_>,
        column: Column,
        step_s: u32,
        points: impl IntoIterator<Item = (Timestamp, f64)>,
    ) {
        let shard = shard(&place.resource.id);
        let mut hours: BTreeMap<Timestamp, Vec<(Timestamp, f64)>> = BTreeMap::new();
        for (at, value) in points {
            hours.entry(hour_of(at)).or_default().push((at, value));
        }
        for (hour, points) in hours {
            self.chunks.entry((shard, hour)).or_default().add(column.clone(), step_s, points);
        }
    }

    fn series(&self, place: Place<'_>, column: &Column, at: Timestamp) -> Option<&Series> {
        self.chunks.get(&(shard(&place.resource.id), hour_of(at)))?.0.get(column)
    }

    fn units(&self, place: Place<'_>) -> UnitsOverTime {
        let (shard, column) = (shard(&place.resource.id), points::units_column(place));
        let mine = self.chunks.range((shard, Timestamp::MIN)..=(shard, Timestamp::MAX));
        UnitsOverTime::new(mine.filter_map(|(_, chunk)| chunk.0.get(&column)).flat_map(points::records))
    }
}

/// Loads of a past that was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PastLoads {
    /// The loads.
    pub loads: Vec<(Timestamp, f64)>,
    /// The times of those that are only lower bounds, in order.
    pub saturated: Vec<Timestamp>,
}

/// Points of a past as loads. Only minutes can be told to be lower bounds: longer periods mean over what came before.
pub fn past_loads(
    asked: &MetricRequest<'_>,
    points: &[(Timestamp, f64)],
    units: &UnitsOverTime,
    period_s: u32,
) -> PastLoads {
    let is_exact = period_s == PERIOD_S;
    let saturated = if is_exact { points::saturated(asked, points, units) } else { Vec::new() };
    PastLoads { loads: loads(asked.metric, points, units), saturated }
}

/// A past that was read, as chunks by shard and by the start of each part.
pub fn past_chunks<'a>(
    (from, _, step_s): PastWindow,
    read: impl IntoIterator<Item = (&'a MetricRequest<'a>, PastLoads)>,
) -> BTreeMap<u8, BTreeMap<Timestamp, Chunk>> {
    let part_s = KEPT.iter().find(|(step, ..)| *step == step_s).map_or(DAY_S, |(_, _, part_s)| *part_s);
    let mut chunks: BTreeMap<u8, BTreeMap<Timestamp, Chunk>> = BTreeMap::new();
    for (asked, past) in read {
        let into = chunks.entry(shard(&asked.place.resource.id)).or_default();
        let marks = past.saturated.iter().map(|at| (*at, 1.0)).collect();
        for (column, points) in [(asked.column(), past.loads), (asked.column().saturated(), marks)] {
            let mut parts: BTreeMap<i64, Vec<(Timestamp, f64)>> = BTreeMap::new();
            for (at, value) in points {
                parts.entry(at.as_second().div_euclid(part_s)).or_default().push((at, value));
            }
            for (part, points) in parts {
                into.entry(second(part * part_s).max(from)).or_default().add(column.clone(), step_s, points);
            }
        }
    }
    chunks
}

#[cfg(test)]
mod tests;
