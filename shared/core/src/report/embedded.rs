//! Figures in CloudWatch's embedded metric format: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.

use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};

/// The namespace of every metric that Headroom publishes.
pub const NAMESPACE: &str = "Headroom";
/// The dimension in CloudWatch that names the platform.
pub const PLATFORM: &str = "Platform";
/// The dimension in CloudWatch that names what is scaled, such as `web/desired`.
pub const DIMENSION: &str = "Dimension";

/// A value of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Measured {
    /// The metric's name.
    pub(super) name: &'static str,
    /// Its unit, by CloudWatch's own names.
    pub(super) unit: &'static str,
    /// Its value.
    pub(super) value: f64,
}

/// A line of the log from which CloudWatch makes these metrics of these dimensions, with fields for those who search the log.
/// Without metrics it is a line as any other.
pub(super) fn line(
    dimensions: &[(&str, String)],
    metrics: &[Measured],
    fields: &[(&str, Json)],
    at: Timestamp,
) -> Json {
    let names: Vec<&str> = dimensions.iter().map(|(name, _)| *name).collect();
    let declared: Vec<Json> =
        metrics.iter().map(|metric| json!({"Name": metric.name, "Unit": metric.unit})).collect();
    let directive = json!({"Namespace": NAMESPACE, "Dimensions": [names], "Metrics": declared});
    let mut line = Map::new();
    if !metrics.is_empty() {
        let frame = json!({"Timestamp": at.as_millisecond(), "CloudWatchMetrics": [directive]});
        line.insert("_aws".to_owned(), frame);
    }
    line.extend(dimensions.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
    line.extend(metrics.iter().map(|metric| (metric.name.to_owned(), json!(metric.value))));
    line.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    Json::Object(line)
}
