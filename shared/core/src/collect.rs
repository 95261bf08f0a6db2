//! What to read in a cycle, and what it means: metrics become load by the capacity that produced them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::history::{Chunk, Column, UNITS, hour_of, points_of, shard};
use crate::name::DimensionKey;
use crate::observe::{Capacity, Observation, Seen, reading};
use crate::platform::{Kind, Measure, Metric, Place, Platform, Query, Rate, Resource};
use crate::series::Series;

/// CloudWatch is asked for minutes: a five-minute cycle costs the same for five points as for one.
pub const PERIOD_S: u32 = 60;
/// The newest minute is often not there yet, or only part of it: a minute later it nearly always is.
const SETTLE_S: i64 = 60;
/// Points that come later than this are not waited for.
const LATE_S: i64 = 900;
/// How long CloudWatch keeps points of each length: 15 days, 63 days and 455 days, the last hours of which are going
/// already. Behind each, how much of it is stored in one item.
const KEPT: [(u32, i64, i64); 3] =
    [(PERIOD_S, 14 * DAY_S, 6 * 3_600), (PAST_STEP_S, 62 * DAY_S, DAY_S), (3_600, 454 * DAY_S, 10 * DAY_S)];
const DAY_S: i64 = 86_400;
/// The step of history that is no longer known by the minute.
pub const PAST_STEP_S: u32 = 300;
/// Metrics whose past is read in one cycle. A large platform takes a few cycles, each of which still ends in time.
pub const PAST_METRICS_MAX: usize = 100;

/// A metric that CloudWatch is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Whose it is.
    pub place: Place<'a>,
    /// The metric.
    pub metric: &'a Metric,
    /// Where it is read.
    pub query: &'a Query,
}

impl Asked<'_> {
    /// The column of its history.
    pub fn column(&self) -> Column {
        Column::new(&self.place.dimension.key, &self.metric.name)
    }
}

/// Every metric to ask for: those of dimensions that can be scaled.
pub fn asked(platform: &Platform) -> Vec<Asked<'_>> {
    let served =
        platform.dimensions().filter(|place| place.resource.kind.is_served(&place.dimension.key.dimension));
    served
        .flat_map(|place| place.dimension.metrics.iter().map(move |metric| (place, metric)))
        .filter_map(|(place, metric)| Some(Asked { place, metric, query: metric.query.as_ref()? }))
        .collect()
}

/// A backlog that takes longer than this to drain is no matter of minutes; so far a cycle looks back.
const DRAIN_S_MAX: u64 = 3_600;

/// How much of the newest past a cycle works with: its own length, or the longest time in which a backlog may drain.
pub fn reach(platform: &Platform) -> Duration {
    let drain = |metric: &Metric| match metric.measure {
        Measure::QueueDepth { drain, .. } => Some(drain.min(Duration::from_secs(DRAIN_S_MAX))),
        _ => None,
    };
    let drains = platform.dimensions().flat_map(|place| place.dimension.metrics.iter().filter_map(drain));
    drains.fold(platform.orchestration.cycle, Duration::max)
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

/// A metric from which past capacity can be told, where AWS publishes one.
pub fn capacity_query(resource: &Resource) -> Option<Query> {
    let of = |namespace: &str, metric_name: &str, statistic: &str, rate, dimensions: &[(&str, &str)]| Query {
        namespace: namespace.to_owned(),
        metric_name: metric_name.to_owned(),
        dimensions: dimensions
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        statistic: statistic.to_owned(),
        rate,
    };
    match &resource.kind {
        Kind::Ec2AutoScalingGroup => {
            let named = [("AutoScalingGroupName", resource.name.as_str())];
            Some(of("AWS/AutoScaling", "GroupInServiceInstances", "Average", Rate::Level, &named))
        }
        // Every task reports its utilisation once a minute, so the samples a minute are the tasks.
        Kind::EcsService { cluster } => {
            let named = [("ClusterName", cluster.as_str()), ("ServiceName", resource.name.as_str())];
            Some(of("AWS/ECS", "CPUUtilization", "SampleCount", Rate::PerMinute, &named))
        }
        _ => None,
    }
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
}

/// Values of a metric as load.
pub fn loads(metric: &Metric, points: &[(Timestamp, f64)], units: &UnitsOverTime) -> Vec<(Timestamp, f64)> {
    if !metric.measure.is_per_capacity() {
        return points.to_vec();
    }
    points.iter().filter_map(|(at, value)| Some((*at, value * units.at(*at)?))).collect()
}

/// A chunk of live history: its shard and its hour.
pub type LivePlace = (u8, Timestamp);

/// The live chunks that a cycle reads before it adds to them.
pub fn live_places(platform: &Platform, now: Timestamp, reach: Duration) -> (Vec<u8>, Vec<Timestamp>) {
    let shards: BTreeSet<u8> = platform.resources().map(|(_, resource)| shard(&resource.id)).collect();
    const HOUR_S: i64 = 3_600;
    let (from_s, to_s) = (hour_of(recent(now, reach).0).as_second(), hour_of(now).as_second());
    let hours = (0..).map(|hour| from_s + hour * HOUR_S).take_while(|hour_s| *hour_s <= to_s).map(second);
    (shards.into_iter().collect(), hours.collect())
}

/// What a cycle makes of what it read.
#[derive(Clone, Debug, Default)]
pub struct Read {
    /// One for every dimension that can be scaled.
    pub observations: Vec<Observation>,
    /// The live chunks that changed, as they are now.
    pub chunks: BTreeMap<LivePlace, Chunk>,
}

/// Turns points and capacities into observations and history. `points` belong to `asked`, one by one; `live` are the
/// live chunks as they were.
pub fn read(
    platform: &Platform,
    asked: &[Asked<'_>],
    points: &[Vec<(Timestamp, f64)>],
    observed: &BTreeMap<DimensionKey, Seen<Capacity>>,
    live: &BTreeMap<LivePlace, Chunk>,
    now: Timestamp,
) -> Read {
    let mut read = Read { observations: Vec::new(), chunks: live.clone() };
    let cycle_s = u32::try_from(platform.orchestration.cycle.as_secs()).unwrap_or(u32::MAX);
    for place in platform.dimensions() {
        let key = &place.dimension.key;
        let Some(capacity) = observed.get(key) else { continue };
        if let Seen::Known(capacity) = capacity {
            let column = Column::new(key, UNITS);
            read.add(place, column, cycle_s.clamp(PERIOD_S, PAST_STEP_S), [(now, capacity.ready.real())]);
        }
        let units = read.units(place);
        let mine = asked.iter().zip(points).filter(|(asked, _)| asked.place.dimension.key == *key);
        let readings = mine.map(|(asked, points)| {
            read.add_unknown(place, asked, points, &units);
            let loads = Series::from_points(PERIOD_S, loads(asked.metric, points, &units));
            reading(asked.metric, &loads, now, cycle_s)
        });
        let readings = readings.collect();
        read.observations.push(Observation { key: key.clone(), capacity: capacity.clone(), readings });
    }
    read.chunks.retain(|place, chunk| live.get(place) != Some(chunk));
    read
}

impl Read {
    /// Adds points that are not there yet. What was turned into load earlier was turned by the capacity of then.
    fn add_unknown(
        &mut self,
        place: Place<'_>,
        asked: &Asked<'_>,
        points: &[(Timestamp, f64)],
        units: &UnitsOverTime,
    ) {
        let column = asked.column();
        let new = |(at, _): &(Timestamp, f64)| {
            self.series(place, &column, *at).and_then(|series| series.at(*at)).is_none()
        };
        let new: Vec<(Timestamp, f64)> = points.iter().filter(|point| new(point)).copied().collect();
        let loads = loads(asked.metric, &new, units);
        self.add(place, column, PERIOD_S, loads);
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
        let (shard, column) = (shard(&place.resource.id), Column::new(&place.dimension.key, UNITS));
        let mine = self.chunks.range((shard, Timestamp::MIN)..=(shard, Timestamp::MAX));
        UnitsOverTime::new(mine.filter_map(|(_, chunk)| chunk.0.get(&column)).flat_map(points_of))
    }
}

/// A past that was read, as chunks by shard and by the start of each part.
pub fn past_chunks<'a>(
    (from, _, step_s): PastWindow,
    read: impl IntoIterator<Item = (&'a Asked<'a>, Vec<(Timestamp, f64)>)>,
) -> BTreeMap<u8, BTreeMap<Timestamp, Chunk>> {
    let part_s = KEPT.iter().find(|(step, ..)| *step == step_s).map_or(DAY_S, |(_, _, part_s)| *part_s);
    let mut chunks: BTreeMap<u8, BTreeMap<Timestamp, Chunk>> = BTreeMap::new();
    for (asked, loads) in read {
        let mut parts: BTreeMap<i64, Vec<(Timestamp, f64)>> = BTreeMap::new();
        for (at, load) in loads {
            parts.entry(at.as_second().div_euclid(part_s)).or_default().push((at, load));
        }
        let into = chunks.entry(shard(&asked.place.resource.id)).or_default();
        for (part, points) in parts {
            into.entry(second(part * part_s).max(from)).or_default().add(asked.column(), step_s, points);
        }
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;
    use crate::observe::Load;
    use crate::units::Units;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn shop() -> Platform {
        let text = "configuration_name: shop
scaling_groups:
  web: {resources: [{type: EC2_AUTO_SCALING_GROUP, name: web, min_capacity: 1, max_capacity: 9}]}
  data: {resources: [{type: DYNAMODB_TABLE, name: users, read_capacity: {min: 1, max: 9}}, {type: AURORA_REPLICAS, name: db, min_capacity: 1, max_capacity: 3}]}
";
        parse(text).unwrap().platform
    }

    fn ready(units: u32) -> Seen<Capacity> {
        Seen::Known(Capacity { set: Units(units), ready: Units(units), ..Capacity::default() })
    }

    #[test]
    fn only_what_can_be_scaled_is_asked_for() {
        let platform = shop();
        let columns: Vec<String> = asked(&platform).iter().map(|asked| asked.column().0).collect();
        assert_eq!(columns, ["users/read|consumed", "web/desired|cpu"]);
    }

    #[test]
    fn periods_are_closed_and_settled() {
        let cycle = Duration::from_secs(300);
        assert_eq!(recent(at(10_030), cycle), (at(9_960 - 900), at(9_960)));
        assert_eq!(recent(at(10_079), cycle).1, at(9_960));
        assert_eq!(recent(at(10_080), cycle).1, at(10_020));
        let (from, to, step_s) = past(at(10_000_000), cycle, Duration::from_secs(86_400))[0];
        assert_eq!(
            (from.as_second() % 300, to.as_second() % 300, to.as_second() - from.as_second(), step_s),
            (0, 0, 86_400, 60)
        );
        assert!(recent(at(10_000_000), cycle).0 <= to, "no hole between the past and the present");
    }

    #[test]
    fn a_cycle_looks_back_as_far_as_a_backlog_may_drain() {
        let looks = |drain: &str| {
            let text = format!(
                "configuration_name: shop
scaling_groups:
  work:
    resources:
      - {{type: ECS_SERVICE, name: work, min_capacity: 1, max_capacity: 9,
         metrics: [{{name: jobs, kind: queue_depth, target_per_unit: 9, drain_time: {drain}, namespace: AWS/SQS}}]}}
"
            );
            let platform = parse(&text).unwrap().platform;
            let (now, reach) = (at(10_830), reach(&platform));
            let (from, _) = recent(now, reach);
            let hours = live_places(&platform, now, reach).1;
            (from.as_second(), hours.iter().map(|hour| hour.as_second() / 3_600).collect::<Vec<_>>())
        };
        assert_eq!(looks("1m"), (10_740 - 900, vec![2, 3]));
        assert_eq!(looks("40m"), (10_740 - 2_400, vec![2, 3]));
        assert_eq!(looks("5h"), (10_740 - 3_600, vec![1, 2, 3]));
    }

    #[test]
    fn the_past_is_read_as_finely_as_it_is_kept() {
        let days = |days: u64| {
            let windows = past(at(100_000_000), Duration::from_secs(300), Duration::from_secs(days * 86_400));
            assert!(windows.windows(2).all(|pair| pair[0].0 == pair[1].1), "one begins where the next ends");
            let told = windows
                .iter()
                .map(|(from, to, step_s)| (step_s / 60, (to.as_second() - from.as_second()) / 86_400));
            told.collect::<Vec<_>>()
        };
        assert_eq!(days(7), [(1, 7)]);
        assert_eq!(days(28), [(1, 14), (5, 14)]);
        assert_eq!(days(90), [(1, 14), (5, 48), (60, 28)]);
    }

    #[test]
    fn what_no_cycle_read_is_read_later() {
        let cycle = Duration::from_secs(300);
        let missed = |now, looked_at| {
            missed(at(now), cycle, at(looked_at)).map(|(from, to, _)| (from.as_second(), to.as_second()))
        };
        assert_eq!(missed(100_300, 100_000), None, "cycles overlap");
        assert_eq!(missed(103_600, 100_000), Some((99_900, 102_900)));
        assert_eq!(missed(100_000, 103_600), None, "time went back");
    }

    #[test]
    fn units_between_two_records_are_the_larger_ones() {
        let units = UnitsOverTime::new([(at(300), 8.0), (at(0), 4.0), (at(600), 6.0)]);
        assert_eq!(
            [-1, 0, 150, 300, 450, 599, 600, 900].map(|time| units.at(at(time)).unwrap()),
            [4.0, 8.0, 8.0, 8.0, 8.0, 8.0, 6.0, 6.0]
        );
        assert_eq!(UnitsOverTime::default().at(at(0)), None);
    }

    #[test]
    fn metrics_become_load_and_history() {
        let platform = shop();
        let asked = asked(&platform);
        let now = at(7_260);
        let points =
            vec![vec![(at(7_080), 3.0), (at(7_140), 5.0)], vec![(at(7_140), 50.0), (at(7_200), 60.0)]];
        let observed = BTreeMap::from([
            ("web/desired".parse().unwrap(), ready(4)),
            ("users/read".parse().unwrap(), Seen::Unknown("gone".into())),
        ]);
        let read = read(&platform, &asked, &points, &observed, &BTreeMap::new(), now);
        let told: Vec<(String, &Seen<Load>)> =
            read.observations.iter().map(|seen| (seen.key.to_string(), &seen.readings[0].load)).collect();
        assert_eq!(
            told[0],
            ("users/read".into(), &Seen::Known(Load { mean: 4.0, peak: 5.0, at: at(7_200) }))
        );
        assert_eq!(
            told[1],
            ("web/desired".into(), &Seen::Known(Load { mean: 220.0, peak: 240.0, at: at(7_260) }))
        );
        // Two hours touched by web's points, one by the table's.
        let chunks: Vec<usize> = read.chunks.values().map(|chunk| chunk.0.len()).collect();
        assert_eq!(chunks.iter().sum::<usize>(), 4);
    }

    #[test]
    fn what_was_load_already_stays_what_it_was() {
        let platform = shop();
        let asked = asked(&platform);
        let points = |value: f64| vec![vec![], vec![(at(7_200), value)]];
        let observed = |units| BTreeMap::from([("web/desired".parse().unwrap(), ready(units))]);
        let first = read(&platform, &asked, &points(50.0), &observed(4), &BTreeMap::new(), at(7_320));
        let second = read(&platform, &asked, &points(50.0), &observed(8), &first.chunks, at(7_620));
        let web = &second.chunks[&(shard(&"web".into()), at(7_200))];
        assert_eq!(web.0[&Column("web/desired|cpu".into())].get(0), Some(200.0));
        assert_eq!(web.0[&Column("web/desired|#units".into())].known().collect::<Vec<_>>(), [4.0, 8.0]);
    }

    #[test]
    fn the_past_is_kept_by_shard_and_day() {
        let platform = shop();
        let asked = asked(&platform);
        let points = vec![(at(86_100), 1.0), (at(86_400), 2.0), (at(86_700), 3.0)];
        let chunks = past_chunks((at(600), at(90_000), 300), [(&asked[1], points)]);
        let days = &chunks[&shard(&"web".into())];
        let sizes: Vec<usize> = days.values().map(|chunk| chunk.0.values().map(Series::len).sum()).collect();
        assert_eq!(
            (days.keys().copied().collect::<Vec<_>>(), sizes),
            (vec![at(600), at(86_400)], vec![1, 2])
        );
    }
}
