//! What a cycle saw: the capacity and the newest load of every dimension. Unknown says why, and is never zero.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::name::DimensionKey;
use crate::platform::{Measure, Metric, Mode};
use crate::series::Series;
use crate::units::{Direction, Units};

/// Something seen, or the reason why not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Observed<T> {
    /// What was seen.
    Known(T),
    /// Why it was not.
    Unknown(String),
}

impl<T> Observed<T> {
    /// What was seen, if it was.
    pub fn known(&self) -> Option<&T> {
        match self {
            Observed::Known(value) => Some(value),
            Observed::Unknown(_) => None,
        }
    }
}

/// One dimension as a cycle saw it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Which dimension.
    pub key: DimensionKey,
    /// Its capacity.
    pub capacity: Observed<Capacity>,
    /// Its metrics, in the order of the configuration.
    pub readings: Vec<Reading>,
    /// In how many minutes of the last cycle the load was above what the ready units carry; `None` where that is unknown.
    #[serde(default)]
    pub short_minutes: Option<u32>,
}

impl Observation {
    /// What was read of a metric; `None` if it was not read at all.
    pub fn reading(&self, metric: &str) -> Option<&Observed<Load>> {
        self.readings.iter().find(|reading| reading.metric == metric).map(|reading| &reading.load)
    }

    /// The load of a metric, where it is known.
    pub fn load(&self, metric: &str) -> Option<&Load> {
        self.reading(metric)?.known()
    }
}

/// The capacity of a dimension.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    /// How it is set: a floor under a native policy, or the capacity itself.
    pub mode: Mode,
    /// What is set now: the minimum in floor mode, else the desired capacity. Steps move this.
    pub set: Units,
    /// What is ready to serve.
    pub ready: Units,
    /// What is going on that a change would disturb: a deployment, an update in progress.
    pub busy: Option<Busy>,
    /// What went wrong on it: a deployment that failed.
    pub failed: Option<String>,
    /// Why AWS has less than is set, where it lacks what was asked for: instances, addresses, a quota.
    #[serde(default)]
    pub unavailable: Option<String>,
    /// Bounds that AWS enforces besides the operator's own.
    pub aws_min: Option<Units>,
    /// The largest that AWS would accept.
    pub aws_max: Option<Units>,
    /// How many more decreases AWS allows now, where it counts them.
    pub decreases_left: Option<u32>,
    /// By how much `ready` may stay above `set` for good: an instance with a weight above one is not cut in two.
    #[serde(default)]
    pub overshoot: Units,
    /// What a utilisation is a percent of, where that is not what is ready: of an Aurora cluster, its maximum.
    #[serde(default)]
    pub whole: Option<Units>,
}

impl Capacity {
    /// The units that a utilisation is a percent of.
    pub fn whole(&self) -> Units {
        self.whole.unwrap_or(self.ready)
    }
}

/// Something in progress on a dimension, by what it still allows. Each holds the sentence that says what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Busy {
    /// AWS refuses every change until it is over, and may describe the capacity from before meanwhile: a table that is
    /// being updated.
    Locked(String),
    /// AWS would take a change, but no new one is begun: instances being replaced, a suspended process, a blue/green
    /// deployment.
    Held(String),
    /// Only scale-in is held, as AWS's own scaling does it: a rolling deployment of an ECS service.
    ScaleInHeld(String),
}

impl Busy {
    /// What is going on, as a sentence.
    pub fn what(&self) -> &str {
        match self {
            Busy::Locked(what) | Busy::Held(what) | Busy::ScaleInHeld(what) => what,
        }
    }

    /// Whether a new change in this direction has to wait.
    pub fn holds(&self, direction: Direction) -> bool {
        match self {
            Busy::Locked(_) | Busy::Held(_) => true,
            Busy::ScaleInHeld(_) => direction == Direction::In,
        }
    }

    /// Whether AWS refuses every call that would change it, one that rolls a change back included.
    pub fn is_locked(&self) -> bool {
        matches!(self, Busy::Locked(_))
    }
}

/// The newest load of a metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// The metric's name in its dimension.
    pub metric: String,
    /// Its newest value, as load.
    pub load: Observed<Load>,
}

/// A measured load, in the metric's own unit; for utilisation, percent times units.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// The mean over the newest closed periods, at most one cycle long.
    pub mean: f64,
    /// The largest of these periods; of a backlog, the largest of the time in which it may drain.
    pub peak: f64,
    /// When the newest of them ended.
    pub at: Timestamp,
    /// Whether the units that were ready could carry no more in one of these periods: the load was at least this, and
    /// nothing tells how much more.
    #[serde(default)]
    pub saturated: bool,
    /// Of a guard such as latency: for how many seconds, up to the newest value, it has been above its limit. Zero of what
    /// has no such limit.
    #[serde(default)]
    pub over_s: u32,
}

/// CloudWatch shows most points within two minutes; a metric older than this after a whole cycle is not late but gone.
const STALE_S: i64 = 600;

/// The newest load of a metric, from its loads over the last cycle or more.
pub fn reading(metric: &Metric, loads: &Series, now: Timestamp, cycle_s: u32) -> Reading {
    Reading { metric: metric.name.clone(), load: newest_load(metric, loads, now, cycle_s) }
}

fn newest_load(metric: &Metric, loads: &Series, now: Timestamp, cycle_s: u32) -> Observed<Load> {
    let Some((at, _)) = loads.newest() else {
        return Observed::Unknown(no_points(metric));
    };
    let age_s = now.as_second() - at.as_second();
    if STALE_S.max(2 * i64::from(loads.step_s())) < age_s {
        return Observed::Unknown(format!("the newest point of {} is {age_s} s old", metric.name));
    }
    let newest: Vec<f64> = newest_cycle(loads, at, cycle_s).collect();
    if newest.iter().any(|value| *value < 0.0) {
        return Observed::Unknown(format!("{} is negative, which no load is", metric.name));
    }
    let count = u32::try_from(newest.len()).unwrap_or(u32::MAX);
    let mean = newest.iter().sum::<f64>() / f64::from(count);
    let peak = newest.iter().copied().fold(0.0, f64::max);
    Observed::Known(Load {
        mean,
        peak: drained(metric, loads, (at, mean)).map_or(peak, |most| peak.max(most)),
        at,
        saturated: false,
        over_s: over_s(metric, loads, at),
    })
}

fn no_points(metric: &Metric) -> String {
    let front = metric.query.as_ref().and_then(|query| query.in_front_of.as_ref());
    let at =
        front.map(|resource| format!(" at target groups of Application Load Balancers before {resource}"));
    format!("{} has no points{}", metric.name, at.unwrap_or_default())
}

/// For how long a guard has been above its limit, as far as `loads` reach back: since the newest value that was not.
fn over_s(metric: &Metric, loads: &Series, at: Timestamp) -> u32 {
    let Measure::Latency { limit } = metric.measure else { return 0 };
    let known = (0..loads.len()).rev().filter_map(|index| Some((index, loads.get(index)?)));
    let first = known.take_while(|(_, value)| limit < *value).last();
    let since_s = first.map(|(index, _)| at.as_second() - loads.time_of(index).as_second());
    u32::try_from(since_s.unwrap_or(0)).unwrap_or(u32::MAX)
}

/// The largest backlog of the time in which it may drain, while part of it still waits: if capacity shrank as fast as the
/// backlog does, the rest would never be gone.
fn drained(metric: &Metric, loads: &Series, (at, mean): (Timestamp, f64)) -> Option<f64> {
    /// So little of a backlog is no longer worth its capacity.
    const GONE_SHARE: f64 = 0.05;
    let Measure::QueueDepth { drain, .. } = metric.measure else { return None };
    let drain_s = u32::try_from(drain.as_secs()).unwrap_or(u32::MAX);
    let most = newest_cycle(loads, at, drain_s).fold(0.0, f64::max);
    (most * GONE_SHARE < mean).then_some(most)
}

/// The known values of the cycle that ends at `at`; at least the newest one.
fn newest_cycle(points: &Series, at: Timestamp, cycle_s: u32) -> impl Iterator<Item = f64> + '_ {
    let step_s = i64::from(points.step_s());
    let from_s = at.as_second() - i64::from(cycle_s).max(step_s);
    (0..points.len())
        .filter(move |index| from_s <= points.time_of(*index).as_second())
        .filter_map(|index| points.get(index))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn check(values: &[Option<f64>], now: i64, expected: &str) {
        let loads = Series::new(at(0), 60, values.iter().copied());
        let metric = Metric {
            name: "cpu".into(),
            measure: Measure::Utilization { target: 70.0, limit: 100.0 },
            query: None,
        };
        let actual = match reading(&metric, &loads, at(now), 300).load {
            Observed::Known(Load { mean, peak, at, .. }) => format!("{mean} {peak} at {}", at.as_second()),
            Observed::Unknown(why) => why,
        };
        assert_eq!(actual, expected);
    }

    #[test]
    fn only_the_last_cycle_counts() {
        let values: Vec<Option<f64>> = (0..10).map(|i| Some(f64::from(i))).collect();
        check(&values, 600, "7 9 at 600");
        check(&values[..2], 120, "0.5 1 at 120");
    }

    #[test]
    fn the_largest_backlog_counts_until_it_has_drained() {
        let queue = Metric {
            name: "jobs".into(),
            measure: Measure::QueueDepth { target_per_unit: 10.0, drain: Duration::from_secs(900) },
            query: None,
        };
        let peak = |values: &[f64]| {
            let loads = Series::new(at(0), 60, values.iter().copied().map(Some));
            match reading(&queue, &loads, loads.end(), 120).load {
                Observed::Known(load) => load.peak,
                Observed::Unknown(why) => panic!("{why}"),
            }
        };
        assert_eq!(peak(&[900.0, 600.0, 300.0, 100.0]), 900.0);
        assert_eq!(peak(&[900.0, 600.0, 300.0, 100.0, 50.0, 20.0]), 50.0, "the rest is as good as gone");
        let old = [&[900.0][..], &[100.0; 15]].concat();
        assert_eq!(peak(&old), 100.0, "longer ago than it may take");
    }

    #[test]
    fn a_guard_knows_since_when_it_has_been_above_its_limit() {
        let slow =
            |limit: f64| Metric { name: "slow".into(), measure: Measure::Latency { limit }, query: None };
        let over_s = |limit: f64, values: &[Option<f64>]| {
            let loads = Series::new(at(0), 60, values.iter().copied());
            reading(&slow(limit), &loads, loads.end(), 60).load.known().unwrap().over_s
        };
        assert_eq!(
            over_s(1.0, &[Some(2.0), Some(1.0), Some(1.1), None, Some(9.0)]),
            180,
            "a gap ends nothing"
        );
        assert_eq!(over_s(1.0, &[Some(2.0), Some(2.0)]), 120, "as far back as is known");
        assert_eq!(over_s(1.0, &[Some(2.0), Some(1.0)]), 0, "the limit itself is not above it");
    }

    #[test]
    fn missing_and_stale_are_unknown_and_never_zero() {
        check(&[], 60, "cpu has no points");
        check(&[None, None], 120, "cpu has no points");
        check(&[Some(50.0)], 661, "the newest point of cpu is 601 s old");
        check(&[Some(50.0), None, None], 180, "50 50 at 60");
        check(&[Some(-1.0)], 60, "cpu is negative, which no load is");
    }
}
