//! What the tests of these adapters share: CloudWatch and RDS as they answer.

use aws_sdk_cloudwatch::operation::get_metric_data::GetMetricDataOutput;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{MetricDataResult, StatusCode};
use aws_sdk_rds::operation::describe_db_instances::DescribeDbInstancesOutput;
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};

use super::super::testing::aws;
use super::*;
use crate::meter::Meter;

pub(super) const NOW_S: i64 = 1_700_000_000;

pub(super) fn now() -> Timestamp {
    Timestamp::from_second(NOW_S).unwrap()
}

/// CloudWatch, which told these values of one metric two minutes ago, by cluster or instance.
pub(super) fn metrics(name: &'static str, values: &[(&'static str, f64)]) -> CloudWatch {
    let values = values.to_vec();
    let rule = mock!(aws_sdk_cloudwatch::Client::get_metric_data)
        .match_requests(move |request| {
            let metric = request.metric_data_queries()[0].metric_stat().unwrap().metric().unwrap();
            metric.metric_name() == Some(name)
        })
        .then_compute_output(move |request| {
            let results = request.metric_data_queries().iter().map(|query| {
                let metric = query.metric_stat().unwrap().metric().unwrap();
                let of = metric.dimensions()[0].value();
                let result = MetricDataResult::builder().set_id(query.id.clone());
                let result = result.status_code(StatusCode::Complete);
                match values.iter().find(|(name, _)| of == Some(name)) {
                    Some((_, value)) => result.timestamps(DateTime::from_secs(NOW_S - 120)).values(*value),
                    None => result,
                }
                .build()
            });
            GetMetricDataOutput::builder().set_metric_data_results(Some(results.collect())).build()
        });
    let client = mock_client!(aws_sdk_cloudwatch, RuleMode::MatchAny, [&rule]);
    CloudWatch::new(&client, &Meter::default())
}

pub(super) fn clients(rules: &[&Rule], metrics: CloudWatch) -> Clients {
    let rds = mock_client!(aws_sdk_rds, RuleMode::MatchAny, rules);
    Clients { rds, metrics, ..Clients::new(&aws()) }
}

/// RDS, which describes those of some instances that a filter asks for.
pub(super) fn describes(instances: Vec<DbInstance>) -> Rule {
    mock!(Client::describe_db_instances).then_compute_output(move |request| {
        let filter = &request.filters()[0];
        let is_asked = |instance: &&DbInstance| {
            let of = match filter.name() {
                Some("db-cluster-id") => instance.db_cluster_identifier(),
                _ => instance.db_instance_identifier(),
            };
            filter.values().iter().any(|value| of == Some(value))
        };
        let found = instances.iter().filter(is_asked).cloned().collect();
        DescribeDbInstancesOutput::builder().set_db_instances(Some(found)).build()
    })
}
