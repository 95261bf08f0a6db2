//! CloudWatch of the local AWS: points come late, counts grow, and metric data comes by pages.

use ::local_aws::unkind::Unkind;
use aws_sdk_cloudwatch::operation::get_metric_data::builders::GetMetricDataFluentBuilder;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    Dimension, Metric, MetricDataQuery, MetricDatum, MetricStat, ScanBy, StatusCode,
};
use headroom_aws::sdk::Aws;
use jiff::Timestamp;

use crate::bench::server;

fn dimension(name: &str) -> Dimension {
    Dimension::builder().name("TableName").value(name).build()
}

/// Publishes 100 for each of some minutes, so many seconds ago.
async fn publish(aws: &Aws, name: &str, ages_s: &[i64]) {
    let now = Timestamp::now().as_second();
    let data = ages_s.iter().map(|age_s| {
        let datum = MetricDatum::builder().metric_name("Units").dimensions(dimension(name)).value(100.0);
        datum.timestamp(DateTime::from_secs(now - age_s)).build()
    });
    let put = aws.cloudwatch().put_metric_data().namespace("Test/Unkind");
    put.set_metric_data(Some(data.collect())).send().await.unwrap();
}

fn query(name: &str, id: &str) -> MetricDataQuery {
    let metric =
        Metric::builder().namespace("Test/Unkind").metric_name("Units").dimensions(dimension(name)).build();
    let stat = MetricStat::builder().metric(metric).period(60).stat("Sum").build();
    MetricDataQuery::builder().id(id).metric_stat(stat).build()
}

fn ask(aws: &Aws) -> GetMetricDataFluentBuilder {
    let now = Timestamp::now().as_second();
    let (start, end) = (DateTime::from_secs(now - 86_400), DateTime::from_secs(now + 600));
    aws.cloudwatch().get_metric_data().start_time(start).end_time(end).scan_by(ScanBy::TimestampAscending)
}

#[tokio::test]
async fn points_come_late_and_counts_grow_to_what_they_are() {
    let aws = server().await.connect().await;
    publish(&aws, "unkind-points", &[240, 0]).await;
    let values = || async {
        let told = ask(&aws).metric_data_queries(query("unkind-points", "a")).send().await.unwrap();
        told.metric_data_results()[0].values().to_vec()
    };
    assert_eq!(values().await, [100.0, 100.0]);
    let settings = Unkind { metric_delay: Some(120.0), metric_settle: Some(240.0), ..Unkind::default() };
    server().await.unkind("unkind-points", &settings).await.unwrap();
    let seen = values().await;
    assert!(seen.len() == 1 && 40.0 < seen[0] && seen[0] < 80.0, "half of it, so far: {seen:?}");
}

#[tokio::test]
async fn metric_data_comes_by_pages() {
    let aws = server().await.connect().await;
    let ages_s: Vec<i64> = (1..=7).map(|minute| minute * 60).collect();
    publish(&aws, "unkind-pages-a", &ages_s).await;
    publish(&aws, "unkind-pages-b", &ages_s).await;
    let queries = || {
        let ask = ask(&aws).metric_data_queries(query("unkind-pages-a", "a")).max_datapoints(10);
        ask.metric_data_queries(query("unkind-pages-b", "b"))
    };
    let first = queries().send().await.unwrap();
    let counts = |results: &[aws_sdk_cloudwatch::types::MetricDataResult]| -> Vec<usize> {
        results.iter().map(|result| result.values().len()).collect()
    };
    assert_eq!(counts(first.metric_data_results()), [7, 3]);
    assert_eq!(first.metric_data_results()[1].status_code(), Some(&StatusCode::PartialData));
    let second = queries().set_next_token(first.next_token).send().await.unwrap();
    assert_eq!((counts(second.metric_data_results()), second.next_token()), (vec![0, 4], None));
    let many = (0..501).map(|number| query("unkind-pages-a", &format!("q{number}"))).collect();
    assert!(ask(&aws).set_metric_data_queries(Some(many)).send().await.is_err(), "500 at most");
    assert!(queries().max_datapoints(100_801).send().await.is_err());
}
