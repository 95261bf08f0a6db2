//! The past of metrics, as load: what a platform learns from at first sight, and what a replay is made of.

use std::collections::BTreeSet;
use std::time::Duration;

use headroom_core::collect::{self, MetricRequest, PastLoads, UnitsOverTime};
use headroom_core::platform::{Platform, Query};
use jiff::Timestamp;

use crate::error::AwsError;
use crate::metrics::{Metrics, Points, Window};

/// The loads of some metrics in a window, in the order of the metrics.
///
/// # Errors
/// When they cannot be read.
pub async fn loads<M: Metrics>(
    metrics: &M,
    asked: &[MetricRequest<'_>],
    window: Window,
) -> Result<Vec<PastLoads>, AwsError> {
    let queries: Vec<Query> = asked.iter().map(|asked| asked.query.clone()).collect();
    let answers = metrics.read(&queries, window).await?;
    let units = units(metrics, asked, window).await?;
    let loads = asked.iter().zip(answers).zip(units).map(|((asked, mut answer), units)| {
        collect::add_idle_past(asked.query, &mut answer, window.to, window.period_s);
        collect::past_loads(asked, &answer.points, &units, window.period_s)
    });
    Ok(loads.collect())
}

/// The loads of some metrics over a time that ends now, as finely as CloudWatch still knows them.
///
/// # Errors
/// When they cannot be read.
pub async fn history<M: Metrics>(
    metrics: &M,
    platform: &Platform,
    asked: &[MetricRequest<'_>],
    now: Timestamp,
    span: Duration,
) -> Result<Vec<Points>, AwsError> {
    let mut history = vec![Points::new(); asked.len()];
    for (from, to, period_s) in collect::past(now, collect::reach(platform), span).into_iter().rev() {
        let read = loads(metrics, asked, Window { from, to, period_s }).await?;
        history.iter_mut().zip(read).for_each(|(all, some)| all.extend(some.loads));
    }
    Ok(history)
}

/// Past capacity of each metric's resource, where a metric tells it and the metric needs it.
async fn units<M: Metrics>(
    metrics: &M,
    asked: &[MetricRequest<'_>],
    window: Window,
) -> Result<Vec<UnitsOverTime>, AwsError> {
    let needed = |asked: &MetricRequest<'_>| {
        let past_capacity = asked.place.dimension.facts.past_capacity.clone();
        past_capacity.filter(|_| asked.metric.measure.is_per_capacity())
    };
    let queries: Vec<Option<Query>> = asked.iter().map(needed).collect();
    let distinct: BTreeSet<Query> = queries.iter().flatten().cloned().collect();
    let distinct: Vec<Query> = distinct.into_iter().collect();
    let read = if distinct.is_empty() { Vec::new() } else { metrics.read(&distinct, window).await? };
    let of = |query: &Option<Query>| {
        let place = query.as_ref().and_then(|query| distinct.binary_search(query).ok());
        UnitsOverTime::new(
            place.and_then(|place| read.get(place)).map(|answer| answer.points.clone()).unwrap_or_default(),
        )
    };
    Ok(queries.iter().map(of).collect())
}

#[cfg(test)]
mod tests {
    use headroom_core::config::parse;
    use headroom_core::simulate::measured::steering_metrics;

    use super::*;
    use crate::metrics::MemoryMetrics;

    #[tokio::test]
    async fn utilisation_becomes_load_by_the_capacity_of_then_and_windows_join_in_order() {
        let text = "configuration_name: shop
scaling_groups:
  web: {resources: [{type: EC2_AUTO_SCALING_GROUP, name: web, min_capacity: 1, max_capacity: 9}]}
";
        let platform = parse(text).unwrap().platform;
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let ago = |days: i64| Timestamp::from_second(now.as_second() - days * 86_400).unwrap();
        let days = || [20, 10, 1].into_iter();
        let metrics = MemoryMetrics(std::collections::BTreeMap::from([
            ("CPUUtilization".to_owned(), days().map(|day| (ago(day), 50.0)).collect()),
            ("GroupInServiceCapacity".to_owned(), days().map(|day| (ago(day), 4.0)).collect()),
        ]));
        let asked = steering_metrics(&platform, None);
        let span = |days: u64| Duration::from_secs(days * 86_400);
        let read = history(&metrics, &platform, &asked, now, span(30)).await.unwrap();
        assert_eq!(read, [days().map(|day| (ago(day), 200.0)).collect::<Points>()]);
        let read = history(&metrics, &platform, &asked, now, span(5)).await.unwrap();
        assert_eq!(read[0].len(), 1);
    }
}
