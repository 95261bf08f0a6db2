//! The newest weeks of an account, replayed: what native policies were short and cost, what Headroom would have been, and what
//! it would have missed.

use headroom_forecast::statistics::real;
use jiff::Timestamp;
use serde::Serialize;

use crate::name::DimensionKey;
use crate::pilot::steering;
use crate::platform::Platform;
use crate::simulate::measured::{NothingMeasured, measured};
use crate::simulate::{NO_COLUMN, NoReplay, Options, Replay, Tier, TierRun, replay};
use crate::units::{DAY_S, Units};

/// Days of history that are read. Two weeks of them are scored: a replay learns from the first three fifths.
pub const DAYS: u64 = 35;
/// The objective beside the file's own.
const STRICTER: f64 = 0.999;
/// Misses that are told.
const MISSES_MAX: usize = 5;
/// A history of less than this share of the longest one is left out: it would shorten the replay of all.
const SHARE_MIN: f64 = 0.5;
/// Dimensions that are replayed. One takes about ten seconds on a slow machine, and nobody waits longer than two minutes.
const DIMENSIONS_MAX: usize = 8;
/// The policies that are told, by the names that a replay has for them.
const PEERS: [&str; 3] = ["static peak", "target tracking", "AWS predictive (seasonal naive)"];

/// Points of load of dimensions.
pub type Loads = Vec<(DimensionKey, Vec<(Timestamp, f64)>)>;

/// What the newest weeks would have been.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BackTest {
    /// When the scored part begins.
    pub start: Timestamp,
    /// Days that are scored.
    pub days: f64,
    /// Days before them, to learn from.
    pub history_days: f64,
    /// The currency of money.
    pub currency: String,
    /// What each policy was.
    pub policies: Vec<PolicyLine>,
    /// Where Headroom itself was shortest, the worst first.
    pub misses: Vec<Miss>,
    /// What was left out or filled in, in sentences.
    pub notes: Vec<String>,
}

/// How short a policy was, and what it cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PolicyLine {
    /// The policy.
    pub name: String,
    /// Percent of the minutes in which any tier had too few units.
    pub short_percent: f64,
    /// The same in minutes.
    pub short_minutes: f64,
    /// What its units cost.
    pub money: f64,
}

/// Minutes in a row in which a tier had too few units.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Miss {
    /// Which dimension.
    pub dimension: DimensionKey,
    /// When it began.
    pub from: Timestamp,
    /// How long it was.
    pub minutes: usize,
    /// The units of the worst minute.
    pub units: u32,
    /// What that minute needed.
    pub needed: u32,
    /// Whether more was needed than the file's largest.
    pub is_bounded: bool,
    /// Unit-minutes missing, as a share of a unit-minute needed: by this the worst are found.
    #[serde(skip)]
    pub(super) weight: f64,
}

/// Why nothing can be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoBackTest {
    /// Nothing was measured.
    #[error(transparent)]
    Nothing(#[from] NothingMeasured),
    /// Nothing can be replayed.
    #[error(transparent)]
    NoReplay(#[from] NoReplay),
}

/// Replays what was measured. `progress` hears how much is done, and of how much.
///
/// # Errors
/// When no dimension has a history that can be replayed.
pub fn back_test(
    platform: &Platform,
    loads: Loads,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<BackTest, NoBackTest> {
    let (loads, mut notes) = comparable(loads);
    let (mut loads, told_of_rest) = dearest(platform, loads);
    notes.extend(told_of_rest);
    loop {
        let measured = measured(loads.clone())?;
        let options =
            Options { peers: true, without_floor: true, objectives: &[STRICTER], ..Options::default() };
        match replay(platform, &measured.trace, &options, progress) {
            // What has no load says nothing about policies, and must not hide what the rest says.
            Err(NoReplay::NoLoad(key)) if 1 < loads.len() => {
                loads.retain(|(other, _)| *other != key);
                notes.push(format!("{key} is left out: it had no load"));
            }
            Err(error) => return Err(error.into()),
            Ok(replayed) => {
                notes.extend(measured.notes);
                // Whatever has no column was left out here, with the reason.
                let told = replayed.notes.iter().filter(|note| !note.ends_with(NO_COLUMN));
                notes.extend(told.cloned());
                return Ok(summary(platform, &replayed, notes));
            }
        }
    }
}

/// The loads whose history is long enough to be replayed beside the longest.
fn comparable(loads: Loads) -> (Loads, Vec<String>) {
    let span_s = |points: &[(Timestamp, f64)]| {
        let first = points.iter().map(|(at, _)| at.as_second()).min();
        let last = points.iter().map(|(at, _)| at.as_second()).max();
        first.zip(last).map_or(0, |(first, last)| last - first)
    };
    let longest = loads.iter().map(|(_, points)| span_s(points)).max().unwrap_or(0);
    let days = |span_s: i64| seconds(span_s) / seconds(DAY_S);
    let is_short = |points: &[(Timestamp, f64)]| seconds(span_s(points)) < SHARE_MIN * seconds(longest);
    let (short, long): (Loads, Loads) = loads.into_iter().partition(|(_, points)| is_short(points));
    let told = short.iter().map(|(key, points)| {
        format!(
            "{key} is left out: {:.1} days of its load are known, of {:.1}",
            days(span_s(points)),
            days(longest)
        )
    });
    let told = told.collect();
    (long, told)
}

/// The loads that cost the most to serve, as many as are replayed.
fn dearest(platform: &Platform, mut loads: Loads) -> (Loads, Option<String>) {
    let cost = |key: &DimensionKey, points: &[(Timestamp, f64)]| {
        let place = platform.place(key)?;
        let target = steering(place)?.measure.target_per_unit()?;
        let mean = points.iter().map(|(_, load)| load).sum::<f64>() / real(points.len().max(1));
        Some(mean / target * place.dimension.unit_cost_hourly)
    };
    let cost = |key: &DimensionKey, points: &[(Timestamp, f64)]| cost(key, points).unwrap_or(0.0);
    loads.sort_by(|a, b| cost(&b.0, &b.1).total_cmp(&cost(&a.0, &a.1)));
    let rest = loads.split_off(loads.len().min(DIMENSIONS_MAX));
    let count = rest.len();
    let names: Vec<String> = rest.iter().map(|(key, _)| key.to_string()).collect();
    let told = format!(
        "replayed are the {DIMENSIONS_MAX} dimensions that cost the most; {count} others are not: {}; `headroom simulate \
         --from-cloudwatch` replays all",
        names.join(", ")
    );
    (loads, (0 < count).then_some(told))
}

fn seconds(span_s: i64) -> f64 {
    u32::try_from(span_s).map_or(0.0, f64::from)
}

fn summary(platform: &Platform, replay: &Replay, notes: Vec<String>) -> BackTest {
    let minutes = real(replay.minutes);
    let line = |name: String, tau_u: f64, money: f64| PolicyLine {
        name,
        short_percent: tau_u,
        short_minutes: tau_u / 100.0 * minutes,
        money,
    };
    let run = |name: &str| replay.runs.iter().find(|run| run.name == name);
    let peers = PEERS.iter().filter_map(|name| run(name));
    let peers = peers.map(|run| line(run.name.clone(), run.figures.tau_u, run.figures.money));
    let own = run("headroom").map(|run| {
        let name = at(platform.predictive.objective.get());
        line(name, run.figures.tau_u, run.figures.money)
    });
    let stricter = replay.curve.iter().flat_map(|curve| &curve.0);
    let stricter =
        stricter.map(|point| line(at(point.objective.get()), point.figures.tau_u, point.figures.money));
    BackTest {
        start: replay.start,
        days: minutes / 1_440.0,
        history_days: real(replay.history_minutes) / 1_440.0,
        currency: replay.currency.clone(),
        policies: peers.chain(own).chain(stricter).collect(),
        misses: run("headroom").map(|run| misses(replay, &run.tiers)).unwrap_or_default(),
        notes,
    }
}

fn at(objective: f64) -> String {
    format!("headroom at {}", crate::simulate::text::plain_percent(objective))
}

/// The worst misses of all tiers.
fn misses(replay: &Replay, runs: &[TierRun]) -> Vec<Miss> {
    let each = replay.tiers.iter().zip(runs).flat_map(|(tier, run)| of_tier(replay.start, tier, &run.supply));
    let mut misses: Vec<Miss> = each.collect();
    misses.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    misses.truncate(MISSES_MAX);
    misses
}

/// Every unbroken stretch of minutes in which a tier had too few units.
fn of_tier(start: Timestamp, tier: &Tier, supply: &[u32]) -> Vec<Miss> {
    let mut misses: Vec<Miss> = Vec::new();
    let mut last_short = None;
    for (minute, (load, units)) in tier.load.iter().zip(supply).enumerate() {
        let needed = Units::at_least(load / tier.limit_per_unit).max(tier.bounds.min()).0;
        if needed <= *units {
            continue;
        }
        let follows = last_short.is_some_and(|last| last + 1 == minute);
        last_short = Some(minute);
        match misses.last_mut().filter(|_| follows) {
            Some(miss) => longer(miss, *units, needed),
            None => misses.push(begun(start, tier, minute, (*units, needed))),
        }
    }
    let most = tier.bounds.max().0;
    misses.iter_mut().for_each(|miss| miss.is_bounded = most < miss.needed);
    misses
}

fn begun(start: Timestamp, tier: &Tier, minute: usize, (units, needed): (u32, u32)) -> Miss {
    let after_s = i64::try_from(minute).unwrap_or(0) * 60;
    Miss {
        dimension: tier.key.clone(),
        from: Timestamp::from_second(start.as_second() + after_s).unwrap_or(start),
        minutes: 1,
        units,
        needed,
        is_bounded: false,
        weight: missing(units, needed),
    }
}

fn longer(miss: &mut Miss, units: u32, needed: u32) {
    miss.minutes += 1;
    miss.weight += missing(units, needed);
    if missing(miss.units, miss.needed) < missing(units, needed) {
        (miss.units, miss.needed) = (units, needed);
    }
}

/// Units missing in a minute, as a share of those needed.
fn missing(units: u32, needed: u32) -> f64 {
    f64::from(needed.saturating_sub(units)) / f64::from(needed.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    const SHOP: &str = "configuration_name: shop
scaling_groups:
  data: {resources: [{type: DYNAMODB_TABLE, name: orders, read_capacity: {min: 5, max: 900}}]}
  web: {resources: [{type: ECS_SERVICE, name: web, min_capacity: 1, max_capacity: 9}]}
  idle: {resources: [{type: KINESIS_STREAM, name: idle, min_capacity: 1, max_capacity: 9}]}
";

    fn at_minute(minute: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 - 1_790_000_000 % 86_400 + minute * 60).unwrap()
    }

    /// A load that rises and falls with the day, a point every ten minutes.
    fn wave(minutes: std::ops::Range<i64>, mean: f64) -> Vec<(Timestamp, f64)> {
        let point = |step: i64| {
            let minute = u32::try_from(step * 10).unwrap();
            let load = mean * (1.0 + 0.8 * (f64::from(minute) / 1_440.0 * std::f64::consts::TAU).sin());
            (at_minute(step * 10), load)
        };
        (minutes.start / 10..minutes.end / 10).map(point).collect()
    }

    fn key(text: &str) -> DimensionKey {
        text.parse().unwrap()
    }

    #[test]
    fn the_newest_weeks_are_told_beside_other_policies() {
        let platform = parse(SHOP).unwrap().platform;
        let none: Vec<_> = wave(0..4_320, 0.0);
        let loads = vec![
            (key("orders/read"), wave(0..4_320, 100.0)),
            (key("web/desired"), wave(4_000..4_320, 100.0)),
            (key("idle/shards"), none),
        ];
        let told = back_test(&platform, loads, &mut |_, _| ()).unwrap();
        let names: Vec<&str> = told.policies.iter().map(|line| line.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "static peak",
                "target tracking",
                "AWS predictive (seasonal naive)",
                "headroom at 99.5%",
                "headroom at 99.9%"
            ]
        );
        assert!(told.policies.iter().all(|line| 0.0 < line.money));
        let notes = told.notes.join("\n");
        for part in ["web/desired is left out: 0.2 days", "idle/shards is left out: it had no load"] {
            assert!(notes.contains(part), "{part}: {notes}");
        }
        assert!(!notes.contains(NO_COLUMN), "{notes}");
    }

    #[test]
    fn the_dearest_are_replayed_and_the_others_named() {
        let services = (0..14).map(|count| {
            format!("{{type: ECS_SERVICE, name: s{count}, min_capacity: 1, max_capacity: 9, hourly_cost_per_unit: 0.{}}}", count + 10)
        });
        let services = services.collect::<Vec<_>>().join(", ");
        let text =
            format!("configuration_name: shop\nscaling_groups: {{app: {{resources: [{services}]}}}}\n");
        let platform = parse(&text).unwrap().platform;
        let loads = (0..14).map(|count| (key(&format!("s{count}/desired")), wave(0..100, 50.0))).collect();
        let (kept, told) = dearest(&platform, loads);
        assert_eq!((kept.len(), kept[0].0.to_string().as_str()), (DIMENSIONS_MAX, "s13/desired"));
        assert!(told.unwrap().contains("6 others are not: s5/desired, s4/desired,"));
        assert_eq!(dearest(&platform, kept).1, None);
    }

    #[test]
    fn without_a_load_there_is_no_back_test() {
        let platform = parse(SHOP).unwrap().platform;
        assert!(back_test(&platform, vec![(key("web/desired"), Vec::new())], &mut |_, _| ()).is_err());
    }

    #[test]
    fn misses_are_stretches_and_the_worst_comes_first() {
        let platform = parse(SHOP).unwrap().platform;
        let mut tier = Tier {
            key: key("web/desired"),
            group: "web".into(),
            metric: "cpu".into(),
            scale: 1.0,
            target_per_unit: 10.0,
            limit_per_unit: 10.0,
            provisioning_minutes: 1,
            bounds: platform
                .dimensions()
                .find(|place| place.dimension.key == key("web/desired"))
                .unwrap()
                .dimension
                .bounds,
            unit_cost_hourly: 0.1,
            load: vec![20.0, 40.0, 60.0, 20.0, 110.0, 10.0],
        };
        let told = of_tier(at_minute(0), &tier, &[2, 3, 4, 2, 9, 1]);
        let told: Vec<_> = told
            .iter()
            .map(|miss| (miss.from, miss.minutes, miss.units, miss.needed, miss.is_bounded))
            .collect();
        assert_eq!(told, [(at_minute(1), 2, 4, 6, false), (at_minute(4), 1, 9, 11, true)]);
        tier.load = vec![10.0; 6];
        assert!(of_tier(at_minute(0), &tier, &[1; 6]).is_empty());
    }
}
