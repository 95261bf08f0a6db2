//! Metrics from CloudWatch: many queries in few calls, closed periods only.

use std::future::Future;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    Dimension, Metric, MetricDataQuery, MetricDataResult, MetricStat, ScanBy, StatusCode,
};
use headroom_core::platform::Query;
use headroom_core::usage::METRICS_REQUESTED;
use jiff::Timestamp;

use crate::error::AwsError;
use crate::meter::Meter;

/// CloudWatch takes so many queries in one call, and returns so many points.
pub const QUERIES_MAX: usize = 500;
const POINTS_MAX: usize = 100_800;
/// Pages of one call: all the points that it may return, a hundred at a time.
const PAGES_MAX: usize = 1_008;

/// A window of closed periods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// When its first period starts.
    pub from: Timestamp,
    /// When its last period ends.
    pub to: Timestamp,
    /// The length of a period, in seconds.
    pub period_s: u32,
}

impl Window {
    /// Periods in the window.
    pub fn periods(self) -> usize {
        let seconds = self.to.as_second().saturating_sub(self.from.as_second()).max(0);
        usize::try_from(seconds / i64::from(self.period_s.max(1))).unwrap_or(usize::MAX)
    }
}

/// The points of one query: the start of each period and its value, with the query's rate applied.
pub type Points = Vec<(Timestamp, f64)>;

/// A source of metrics.
pub trait Metrics: Send + Sync {
    /// The points of each query, in the order of the queries. A query without points has none; that is no error.
    fn read(
        &self,
        queries: &[Query],
        window: Window,
    ) -> impl Future<Output = Result<Vec<Points>, AwsError>> + Send;
}

/// CloudWatch.
#[derive(Clone, Debug)]
pub struct CloudWatch {
    client: Client,
    meter: Meter,
}

impl CloudWatch {
    /// The source behind a client.
    pub fn new(client: &Client, meter: &Meter) -> CloudWatch {
        CloudWatch { client: client.clone(), meter: meter.clone() }
    }

    async fn read_some(&self, queries: &[Query], window: Window) -> Result<Vec<Points>, AwsError> {
        let doing = || format!("read {} metrics", queries.len());
        let mut points = vec![Points::new(); queries.len()];
        let asked: Vec<MetricDataQuery> = queries
            .iter()
            .enumerate()
            .map(|(index, query)| data_query(index, query, window.period_s))
            .collect();
        let mut next = None;
        for _ in 0..PAGES_MAX {
            let answer = self
                .client
                .get_metric_data()
                .set_metric_data_queries(Some(asked.clone()))
                .start_time(DateTime::from_secs(window.from.as_second()))
                .end_time(DateTime::from_secs(window.to.as_second()))
                // Without it, some stand-ins return the newest first, and paging would start at the wrong end.
                .scan_by(ScanBy::TimestampAscending)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| AwsError::of(error, doing()))?;
            for result in answer.metric_data_results() {
                add(&mut points, queries, result, window);
            }
            next = answer.next_token;
            if next.is_none() {
                break;
            }
        }
        // Billed by metric, however many points or pages it has.
        self.meter.add(METRICS_REQUESTED, f64::from(u32::try_from(queries.len()).unwrap_or(u32::MAX)));
        Ok(points)
    }
}

impl Metrics for CloudWatch {
    async fn read(&self, queries: &[Query], window: Window) -> Result<Vec<Points>, AwsError> {
        let together = (POINTS_MAX / window.periods().max(1)).clamp(1, QUERIES_MAX);
        let mut points = Vec::with_capacity(queries.len());
        for some in queries.chunks(together) {
            points.extend(self.read_some(some, window).await?);
        }
        Ok(points)
    }
}

fn data_query(index: usize, query: &Query, period_s: u32) -> MetricDataQuery {
    let dimension = |(name, value): (&String, &String)| Dimension::builder().name(name).value(value).build();
    let metric = Metric::builder()
        .namespace(&query.namespace)
        .metric_name(&query.metric_name)
        .set_dimensions(Some(query.dimensions.iter().map(dimension).collect()))
        .build();
    let statistic = MetricStat::builder()
        .metric(metric)
        .period(i32::try_from(period_s).unwrap_or(i32::MAX))
        .stat(&query.statistic)
        .build();
    MetricDataQuery::builder().id(format!("q{index}")).metric_stat(statistic).return_data(true).build()
}

/// Adds a result to the points of its query. A query that failed inside CloudWatch adds nothing and is then unknown.
fn add(points: &mut [Points], queries: &[Query], result: &MetricDataResult, window: Window) {
    let Some(index) = result.id().and_then(|id| id.strip_prefix('q')).and_then(|id| id.parse::<usize>().ok())
    else {
        return;
    };
    let (Some(into), Some(query)) = (points.get_mut(index), queries.get(index)) else { return };
    if matches!(result.status_code(), Some(StatusCode::InternalError | StatusCode::Forbidden)) {
        tracing::warn!(metric = %query.metric_name, status = ?result.status_code(), "CloudWatch returned no data for a metric");
        return;
    }
    let factor = query.rate.factor(window.period_s);
    let pairs = result.timestamps().iter().zip(result.values());
    into.extend(pairs.filter_map(|(at, value)| {
        let at = Timestamp::from_second(at.secs()).ok()?;
        (window.from <= at && at < window.to && value.is_finite()).then_some((at, value * factor))
    }));
}

/// Metrics in memory, for tests of handlers: a value a minute for every query by its metric's name.
#[cfg(any(test, feature = "fakes"))]
#[derive(Clone, Debug, Default)]
pub struct MemoryMetrics(pub std::collections::BTreeMap<String, Points>);

#[cfg(any(test, feature = "fakes"))]
impl Metrics for MemoryMetrics {
    async fn read(&self, queries: &[Query], window: Window) -> Result<Vec<Points>, AwsError> {
        let within = |points: &Points| {
            points.iter().copied().filter(|(at, _)| window.from <= *at && *at < window.to).collect()
        };
        Ok(queries
            .iter()
            .map(|query| self.0.get(&query.metric_name).map(within).unwrap_or_default())
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudwatch::operation::get_metric_data::{GetMetricDataError, GetMetricDataOutput};
    use aws_smithy_mocks::{RuleMode, mock, mock_client};
    use headroom_core::platform::Rate;

    use super::*;

    fn query(name: &str, rate: Rate) -> Query {
        Query {
            namespace: "AWS/EC2".into(),
            metric_name: name.into(),
            dimensions: [("AutoScalingGroupName".to_owned(), "web".to_owned())].into(),
            statistic: "Average".into(),
            rate,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn window(to_s: i64) -> Window {
        Window { from: at(0), to: at(to_s), period_s: 60 }
    }

    fn result(index: usize, points: &[(i64, f64)]) -> MetricDataResult {
        MetricDataResult::builder()
            .id(format!("q{index}"))
            .set_timestamps(Some(points.iter().map(|(at, _)| DateTime::from_secs(*at)).collect()))
            .set_values(Some(points.iter().map(|(_, value)| *value).collect()))
            .status_code(StatusCode::Complete)
            .build()
    }

    #[tokio::test]
    async fn pages_are_read_to_the_end_and_rates_applied() {
        let first = mock!(Client::get_metric_data)
            .match_requests(|request| request.next_token().is_none())
            .then_output(|| {
                GetMetricDataOutput::builder()
                    .metric_data_results(result(0, &[(0, 30.0)]))
                    .metric_data_results(result(1, &[(0, 120.0)]))
                    .next_token("more")
                    .build()
            });
        let second = mock!(Client::get_metric_data)
            .match_requests(|request| request.next_token() == Some("more"))
            .then_output(|| {
                GetMetricDataOutput::builder()
                    .metric_data_results(result(0, &[(60, 40.0), (120, 9.0)]))
                    .build()
            });
        let client = mock_client!(aws_sdk_cloudwatch, RuleMode::MatchAny, [&first, &second]);
        let meter = Meter::default();
        let queries =
            [query("cpu", Rate::Level), query("count", Rate::PerSecond), query("gone", Rate::Level)];
        let points = CloudWatch::new(&client, &meter).read(&queries, window(120)).await.unwrap();
        assert_eq!(points, [vec![(at(0), 30.0), (at(60), 40.0)], vec![(at(0), 2.0)], vec![]]);
        assert_eq!(meter.take().0[METRICS_REQUESTED], 3.0);
    }

    #[tokio::test]
    async fn calls_hold_at_most_500_queries_and_100_800_points() {
        for (queries, periods, expected) in [(1_200, 15, 3), (100, 4_032, 4)] {
            let rule = mock!(Client::get_metric_data).then_output(|| GetMetricDataOutput::builder().build());
            let client = mock_client!(aws_sdk_cloudwatch, RuleMode::MatchAny, [&rule]);
            let queries = vec![query("cpu", Rate::Level); queries];
            CloudWatch::new(&client, &Meter::default()).read(&queries, window(periods * 60)).await.unwrap();
            assert_eq!(rule.num_calls(), expected);
        }
    }

    #[tokio::test]
    async fn a_metric_that_failed_inside_is_unknown() {
        let rule = mock!(Client::get_metric_data).then_output(|| {
            let failed = MetricDataResult::builder().id("q0").timestamps(DateTime::from_secs(0)).values(0.0);
            GetMetricDataOutput::builder()
                .metric_data_results(failed.status_code(StatusCode::InternalError).build())
                .build()
        });
        let client = mock_client!(aws_sdk_cloudwatch, RuleMode::MatchAny, [&rule]);
        let points =
            CloudWatch::new(&client, &Meter::default()).read(&[query("cpu", Rate::Level)], window(60)).await;
        assert_eq!(points.unwrap(), [vec![]]);
    }

    #[tokio::test]
    async fn throttling_has_its_name() {
        let rule = mock!(Client::get_metric_data).then_error(|| {
            let metadata = aws_smithy_types::error::ErrorMetadata::builder()
                .code("Throttling")
                .message("slower")
                .build();
            GetMetricDataError::generic(metadata)
        });
        let client = mock_client!(aws_sdk_cloudwatch, RuleMode::MatchAny, [&rule]);
        let error =
            CloudWatch::new(&client, &Meter::default()).read(&[query("cpu", Rate::Level)], window(60)).await;
        assert_eq!(error.unwrap_err().kind.name(), "Throttled");
    }
}
