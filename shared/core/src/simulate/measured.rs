//! A trace of what an account measured: the load of every dimension, from the points of the metric that steers it.

use jiff::Timestamp;

use super::trace::{Trace, TraceColumn, gridded};
use crate::collect::{MetricRequest, metric_requests};
use crate::name::DimensionKey;
use crate::pilot::steering;
use crate::platform::Platform;

/// A trace, and what should be known about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The trace, a column for each dimension.
    pub trace: Trace,
    /// What is missing in it, in sentences.
    pub notes: Vec<String>,
}

/// No dimension has a load that was measured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing to replay was measured: {0}")]
pub struct NothingMeasured(String);

/// The metrics to read for a replay: for each dimension the one that steers it.
pub fn steering_metrics<'a>(platform: &'a Platform, only: Option<&DimensionKey>) -> Vec<MetricRequest<'a>> {
    let steers = |asked: &MetricRequest<'_>| {
        steering(asked.place).is_some_and(|metric| metric.name == asked.metric.name)
    };
    let wanted = |asked: &MetricRequest<'_>| only.is_none_or(|key| asked.place.dimension.key == *key);
    metric_requests(platform).into_iter().filter(|asked| steers(asked) && wanted(asked)).collect()
}

/// The trace of loads that were measured of dimensions, each in the order of time.
///
/// # Errors
/// When no dimension has two points, or they have no minutes in common.
pub fn measured(loads: Vec<(DimensionKey, Vec<(Timestamp, f64)>)>) -> Result<Measured, NothingMeasured> {
    let mut notes = Vec::new();
    let (mut names, mut columns) = (Vec::new(), Vec::new());
    for (key, points) in loads {
        let points = distinct(points);
        if points.len() < 2 {
            notes.push(format!(
                "{key}: no load was measured; for utilisation that also takes the past capacity, which an EC2 group only \
                 tells with group metrics enabled"
            ));
            continue;
        }
        names.push(key.to_string());
        columns.push(points);
    }
    if names.is_empty() {
        return Err(NothingMeasured(if notes.is_empty() {
            "no metric that says how much a unit carries has a namespace".to_owned()
        } else {
            notes.join("; ")
        }));
    }
    let trace = gridded(names, &columns).map_err(NothingMeasured)?;
    notes.extend(shortened(&trace, &columns));
    Ok(Measured { trace, notes })
}

/// Minutes since the epoch and load; of two points of one time the later one counts.
fn distinct(mut points: Vec<(Timestamp, f64)>) -> Vec<(f64, f64)> {
    points.sort_by_key(|(at, _)| *at);
    let mut distinct: Vec<(f64, f64)> = Vec::with_capacity(points.len());
    for (at, load) in points {
        let minute = at.duration_since(Timestamp::UNIX_EPOCH).as_secs_f64() / 60.0;
        match distinct.last_mut() {
            Some(last) if minute <= last.0 => last.1 = load,
            _ => distinct.push((minute, load)),
        }
    }
    distinct
}

/// Only the time that all dimensions have points for is replayed; a dimension with a short history shortens the replay.
fn shortened(trace: &Trace, columns: &[Vec<(f64, f64)>]) -> Option<String> {
    const DAY: f64 = 1_440.0;
    let span = |points: &Vec<(f64, f64)>| Some(points.last()?.0 - points.first()?.0);
    let longest = columns.iter().filter_map(span).fold(0.0, f64::max);
    let spans =
        || trace.columns.iter().zip(columns).filter_map(|(column, points)| Some((column, span(points)?)));
    let (column, shortest): (&TraceColumn, f64) = spans().min_by(|a, b| a.1.total_cmp(&b.1))?;
    (shortest + HOUR_APART < longest).then(|| {
        format!(
            "{} was measured for {:.1} days only, of {:.1}; all are replayed for as long as it was",
            column.name,
            shortest / DAY,
            longest / DAY
        )
    })
}

/// Columns may begin or end this many minutes apart without a note to the reader.
const HOUR_APART: f64 = 60.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).unwrap()
    }

    fn points(minutes: impl IntoIterator<Item = i64>) -> Vec<(Timestamp, f64)> {
        let load = |minute: i64| f64::from(i32::try_from(minute).unwrap());
        minutes.into_iter().map(|minute| (at(minute), load(minute))).collect()
    }

    fn key(text: &str) -> DimensionKey {
        text.parse().unwrap()
    }

    #[test]
    fn points_become_columns_on_the_minutes_they_share() {
        let twice = [points([3, 1, 5]), vec![(at(3), 9.0)]].concat();
        let told = measured(vec![(key("web/desired"), twice), (key("users/read"), points(2..8))]).unwrap();
        let columns: Vec<(&str, Timestamp, Vec<f64>)> = told
            .trace
            .columns
            .iter()
            .map(|column| (column.name.as_str(), column.load.start(), column.load.known().collect()))
            .collect();
        assert_eq!(
            columns,
            [
                ("web/desired", at(2), vec![5.0, 9.0, 7.0, 5.0]),
                ("users/read", at(2), vec![2.0, 3.0, 4.0, 5.0])
            ]
        );
        assert!(told.notes.is_empty(), "{:?}", told.notes);
    }

    #[test]
    fn what_is_missing_is_said() {
        let gone = points((0..200).chain(400..2_000));
        let told = measured(vec![
            (key("web/desired"), gone),
            (key("users/read"), points(1_000..2_000)),
            (key("api/desired"), Vec::new()),
        ]);
        let told = told.unwrap();
        let notes = [told.notes, told.trace.notes].concat().join("\n");
        for part in [
            "web/desired: 3.4 hours have no points",
            "api/desired: no load was measured",
            "users/read was measured for 0.7",
        ] {
            assert!(notes.contains(part), "{part}: {notes}");
        }
        let nothing = measured(vec![(key("api/desired"), points([1]))]).unwrap_err().to_string();
        assert!(nothing.starts_with("nothing to replay was measured: api/desired: "), "{nothing}");
    }

    #[test]
    fn only_the_metrics_that_steer_are_read() {
        let text = "configuration_name: shop
scaling_groups:
  web: {resources: [{type: ECS_SERVICE, name: web, min_capacity: 1, max_capacity: 9, target_cpu_utilization: 50, target_memory_utilization: 60}]}
  data: {resources: [{type: DYNAMODB_TABLE, name: users, read_capacity: {min: 1, max: 9}}, {type: API_GATEWAY_STAGE, name: db, stage: prod, min_capacity: 1, max_capacity: 3}]}
";
        let platform = parse(text).unwrap().platform;
        let columns = |only: Option<&DimensionKey>| {
            let asked = steering_metrics(&platform, only);
            asked.iter().map(|asked| asked.column().0).collect::<Vec<_>>()
        };
        assert_eq!(columns(None), ["users/read|consumed", "web/desired|cpu"]);
        assert_eq!(columns(Some(&key("web/desired"))), ["web/desired|cpu"]);
    }
}
