//! Metrics as AWS would have published them for a load on some capacity.

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StatisticSet};
use headroom_aws::sdk::Aws;
use jiff::Timestamp;

use crate::Result;

/// CloudWatch takes so many in one call.
const DATUMS_MAX: usize = 1_000;

/// A metric to publish.
#[derive(Clone, Debug)]
pub struct Metric {
    /// Its namespace.
    pub namespace: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its dimensions.
    pub dimensions: Vec<(&'static str, String)>,
}

/// A value of a metric, with how many samples it is the mean of.
#[derive(Clone, Copy, Debug)]
pub struct Value {
    /// When its period starts.
    pub at: Timestamp,
    /// The mean.
    pub mean: f64,
    /// Samples.
    pub samples: f64,
}

/// Publishes values of a metric.
///
/// # Errors
/// When a call fails.
pub async fn publish(aws: &Aws, metric: &Metric, values: impl IntoIterator<Item = Value>) -> Result<()> {
    let dimensions: Vec<Dimension> = metric
        .dimensions
        .iter()
        .map(|(name, value)| Dimension::builder().name(*name).value(value).build())
        .collect();
    let datums: Vec<MetricDatum> =
        values.into_iter().map(|value| datum(metric, &dimensions, value)).collect();
    for some in datums.chunks(DATUMS_MAX) {
        let put = aws
            .cloudwatch()
            .put_metric_data()
            .namespace(metric.namespace)
            .set_metric_data(Some(some.to_vec()));
        put.send().await?;
    }
    Ok(())
}

fn datum(metric: &Metric, dimensions: &[Dimension], value: Value) -> MetricDatum {
    let set = StatisticSet::builder()
        .sample_count(value.samples)
        .sum(value.mean * value.samples)
        .minimum(value.mean)
        .maximum(value.mean)
        .build();
    MetricDatum::builder()
        .metric_name(metric.name)
        .set_dimensions(Some(dimensions.to_vec()))
        .timestamp(DateTime::from_secs(value.at.as_second()))
        .statistic_values(set)
        .build()
}
