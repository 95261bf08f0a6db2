//! Metrics from CloudWatch: many queries in few calls, closed periods only.

use std::collections::BTreeMap;
use std::future::Future;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    Dimension, Metric, MetricDataQuery, MetricDataResult, MetricStat, ScanBy, StatusCode,
};
pub use headroom_core::collect::MetricAnswer;
use headroom_core::platform::Query;
use headroom_core::usage::METRICS_REQUESTED;
use jiff::Timestamp;

use crate::error::{AwsError, ErrorKind};
use crate::meter::Meter;

/// CloudWatch takes so many queries in one call, and returns so many points.
pub const QUERIES_MAX: usize = 500;
/// Points of one call.
pub const POINTS_MAX: usize = 100_800;
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
    /// The points of each query, in the order of the queries. A query without points has none; that is no error. Where a
    /// query asks for longer periods than the window, its value stands in each of the window's periods.
    fn read(
        &self,
        queries: &[Query],
        window: Window,
    ) -> impl Future<Output = Result<Vec<MetricAnswer>, AwsError>> + Send;
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

    /// Queries of one period.
    async fn read_some(
        &self,
        queries: &[&Query],
        window: Window,
        period_s: u32,
    ) -> Result<Vec<MetricAnswer>, AwsError> {
        let doing = || format!("read {} metrics", queries.len());
        let mut answers = vec![MetricAnswer::default(); queries.len()];
        let asked: Vec<MetricDataQuery> =
            queries.iter().enumerate().map(|(index, query)| data_query(index, query, period_s)).collect();
        // Billed by metric, however many points or pages it has.
        self.meter.add(METRICS_REQUESTED, f64::from(u32::try_from(queries.len()).unwrap_or(u32::MAX)));
        let (mut next, mut whole) = (None, true);
        for _ in 0..PAGES_MAX {
            let answer = self
                .client
                .get_metric_data()
                .set_metric_data_queries(Some(asked.clone()))
                .start_time(DateTime::from_secs(down(window.from.as_second(), period_s)))
                .end_time(DateTime::from_secs(down(window.to.as_second(), period_s)))
                // Without it, some stand-ins return the newest first, and paging would start at the wrong end.
                .scan_by(ScanBy::TimestampAscending)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| AwsError::of(error, doing()))?;
            for result in answer.metric_data_results() {
                add(&mut answers, queries, result, window, period_s);
            }
            if !answer.messages().is_empty() {
                tracing::warn!(messages = ?answer.messages(), "CloudWatch answered only in part");
                whole = false;
            }
            next = answer.next_token;
            if next.is_none() {
                answers.iter_mut().for_each(|answer| answer.complete &= whole);
                return Ok(answers);
            }
        }
        Err(AwsError::new(ErrorKind::Limit, doing(), format!("more than {PAGES_MAX} pages")))
    }
}

impl Metrics for CloudWatch {
    async fn read(&self, queries: &[Query], window: Window) -> Result<Vec<MetricAnswer>, AwsError> {
        let mut answers = vec![MetricAnswer::default(); queries.len()];
        let mut by_period: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (index, query) in queries.iter().enumerate() {
            by_period.entry(query.period_s.max(window.period_s)).or_default().push(index);
        }
        for (period_s, indices) in by_period {
            let together =
                (POINTS_MAX / Window { period_s, ..window }.periods().max(1)).clamp(1, QUERIES_MAX);
            for some in indices.chunks(together) {
                let asked: Vec<&Query> = some.iter().filter_map(|index| queries.get(*index)).collect();
                let read = self.read_some(&asked, window, period_s).await?;
                for (index, read) in some.iter().zip(read) {
                    if let Some(answer) = answers.get_mut(*index) {
                        *answer = read;
                    }
                }
            }
        }
        Ok(answers)
    }
}

/// The start of the period that a second belongs to.
fn down(second: i64, period_s: u32) -> i64 {
    second.div_euclid(i64::from(period_s.max(1))) * i64::from(period_s.max(1))
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

/// Adds a result to the answer of its query. A query that failed inside CloudWatch adds nothing and is then unknown. Its
/// last page says whether all is there.
fn add(
    answers: &mut [MetricAnswer],
    queries: &[&Query],
    result: &MetricDataResult,
    window: Window,
    period_s: u32,
) {
    let Some(index) = result.id().and_then(|id| id.strip_prefix('q')).and_then(|id| id.parse::<usize>().ok())
    else {
        return;
    };
    let (Some(into), Some(query)) = (answers.get_mut(index), queries.get(index)) else { return };
    into.complete = result.status_code() == Some(&StatusCode::Complete);
    if matches!(result.status_code(), Some(StatusCode::InternalError | StatusCode::Forbidden)) {
        tracing::warn!(metric = %query.metric_name, status = ?result.status_code(), "CloudWatch returned no data for a metric");
        return;
    }
    let factor = query.rate.factor(period_s);
    for (at, value) in result.timestamps().iter().zip(result.values()) {
        // A period that is not over would tell too little.
        let closed = at.secs() + i64::from(period_s) <= window.to.as_second();
        if !closed || !value.is_finite() {
            continue;
        }
        let stands = (0..period_s).step_by(usize::try_from(window.period_s.max(1)).unwrap_or(1));
        let times = stands.filter_map(|later| Timestamp::from_second(at.secs() + i64::from(later)).ok());
        into.points.extend(times.filter(|at| window.from <= *at).map(|at| (at, value * factor)));
    }
}

/// Metrics in memory, for tests of handlers: a value a minute for every query by its metric's name.
#[cfg(any(test, feature = "fakes"))]
#[derive(Clone, Debug, Default)]
pub struct MemoryMetrics(pub std::collections::BTreeMap<String, Points>);

#[cfg(any(test, feature = "fakes"))]
impl Metrics for MemoryMetrics {
    async fn read(&self, queries: &[Query], window: Window) -> Result<Vec<MetricAnswer>, AwsError> {
        let within = |points: &Points| {
            points.iter().copied().filter(|(at, _)| window.from <= *at && *at < window.to).collect()
        };
        Ok(queries
            .iter()
            .map(|query| self.0.get(&query.metric_name).map(within).unwrap_or_default())
            .map(|points| MetricAnswer { points, complete: true })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudwatch::operation::get_metric_data::{GetMetricDataError, GetMetricDataOutput};
    use aws_sdk_cloudwatch::types::MessageData;
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
            period_s: 60,
            missing_is_zero: false,
            is_rare: false,
            in_front_of: None,
        }
    }

    fn points(answers: Vec<MetricAnswer>) -> Vec<Points> {
        answers.into_iter().map(|answer| answer.points).collect()
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
        let read = CloudWatch::new(&client, &meter).read(&queries, window(120)).await.unwrap();
        assert_eq!(read.iter().map(|answer| answer.complete).collect::<Vec<_>>(), [true, true, false]);
        assert_eq!(points(read), [vec![(at(0), 30.0), (at(60), 40.0)], vec![(at(0), 2.0)], vec![]]);
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
        let read =
            CloudWatch::new(&client, &Meter::default()).read(&[query("cpu", Rate::Level)], window(60)).await;
        assert_eq!(read.unwrap(), [MetricAnswer { points: vec![], complete: false }]);
    }

    #[tokio::test]
    async fn what_cloudwatch_answers_in_part_is_not_all_there_is() {
        for (status, message) in [(StatusCode::PartialData, false), (StatusCode::Complete, true)] {
            let rule = mock!(Client::get_metric_data).then_output(move || {
                let result = MetricDataResult::builder().id("q0").status_code(status.clone()).build();
                let answer = GetMetricDataOutput::builder().metric_data_results(result);
                let said = MessageData::builder().code("MaxMetricsExceeded").build();
                if message { answer.messages(said).build() } else { answer.build() }
            });
            let client = mock_client!(aws_sdk_cloudwatch, RuleMode::MatchAny, [&rule]);
            let cloudwatch = CloudWatch::new(&client, &Meter::default());
            let read = cloudwatch.read(&[query("cpu", Rate::Level)], window(60)).await.unwrap();
            assert!(!read[0].complete, "{message}");
        }
    }

    #[tokio::test]
    async fn counts_of_five_minutes_are_divided_by_five() {
        let rule = mock!(Client::get_metric_data)
            .match_requests(|request| {
                let period = request.metric_data_queries()[0].metric_stat().and_then(|stat| stat.period());
                period == Some(300) && request.end_time() == Some(&DateTime::from_secs(600))
            })
            .then_output(|| {
                let counts = result(0, &[(0, 500.0), (300, 1_000.0), (600, 7.0)]);
                GetMetricDataOutput::builder().metric_data_results(counts).build()
            });
        let client = mock_client!(aws_sdk_cloudwatch, RuleMode::MatchAny, [&rule]);
        let five = Query { period_s: 300, statistic: "Sum".into(), ..query("NetworkIn", Rate::PerMinute) };
        let window = Window { from: at(120), ..window(840) };
        let read = points(CloudWatch::new(&client, &Meter::default()).read(&[five], window).await.unwrap());
        let expected = [(120, 100.0), (180, 100.0), (240, 100.0), (300, 200.0), (360, 200.0)];
        assert_eq!(read[0][..5], expected.map(|(second, value)| (at(second), value)));
        assert_eq!(read[0].last(), Some(&(at(540), 200.0)), "the period from 600 on is not over");
    }

    #[tokio::test]
    async fn pages_without_an_end_are_an_error() {
        let rule = mock!(Client::get_metric_data)
            .then_output(|| GetMetricDataOutput::builder().next_token("more").build());
        let client = mock_client!(aws_sdk_cloudwatch, RuleMode::MatchAny, [&rule]);
        let cloudwatch = CloudWatch::new(&client, &Meter::default());
        let error = cloudwatch.read(&[query("cpu", Rate::Level)], window(60)).await.unwrap_err();
        assert_eq!((error.kind, error.said.as_str()), (ErrorKind::Limit, "more than 1008 pages"));
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
