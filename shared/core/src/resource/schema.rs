//! What resources of every kind may say in the file.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Mode;
use crate::scalar::{Span, Statistic};

/// What every resource may say.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Common {
    /// The resource's name in AWS.
    pub(crate) name: String,
    /// What Headroom calls it, where two resources have the same name. Default the name.
    pub(crate) id: Option<String>,
    /// floor: move the minimum and leave the rest to the native policy; desired: own the capacity.
    /// Default floor where a native scaling policy exists, else desired.
    pub(crate) mode: Option<Mode>,
    /// What a unit costs an hour. Default by type.
    #[schemars(range(min = 0))]
    pub(crate) hourly_cost_per_unit: Option<f64>,
    /// How long a unit takes to become ready: the first guess, learned from then on. Default by type.
    #[schemars(range(min = 0, max = 86400))]
    pub(crate) provisioning_seconds: Option<u32>,
    /// What demand is measured by; the largest demand counts.
    pub(crate) metrics: Option<Vec<Metric>>,
}

/// A metric that demand is derived from.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metric {
    pub(crate) name: String,
    pub(crate) kind: MetricKind,
    /// The dimension it drives, such as `write`, on resources that have several. Default the first.
    pub(crate) dimension: Option<String>,
    /// The CloudWatch namespace. Without it the metric only works offline, except `requests` (load) and `latency` of groups and
    /// services behind an Application Load Balancer, which are read at their target groups.
    pub(crate) namespace: Option<String>,
    /// The CloudWatch metric. Default the name.
    pub(crate) metric_name: Option<String>,
    /// What names the metric in CloudWatch. Without any, metrics of `AWS/ApplicationELB` of groups and services are read at
    /// their target groups.
    pub(crate) dimensions: Option<BTreeMap<String, String>>,
    /// Default Sum for load, Average otherwise, p99 for latency.
    pub(crate) statistic: Option<Statistic>,
    /// How long the source takes between its points, in whole minutes up to 15m. Default 1m; 5m for counts of AWS/EC2.
    pub(crate) period: Option<Span>,
    /// What a period without points means: unknown, the default, or zero, for a load that is counted and for a queue_depth.
    pub(crate) missing: Option<Missing>,
    /// load: what one unit should carry, in the metric's own unit each minute. queue_depth: the backlog that one unit may
    /// have, which counts while no load of the dimension says what arrives.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub(crate) target_per_unit: Option<f64>,
    /// What one unit can carry before the objective breaks.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub(crate) limit_per_unit: Option<f64>,
    /// utilization: percent to keep, or what one unit should have of a metric that AWS gives by the unit; latency: the value
    /// not to pass.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub(crate) target_value: Option<f64>,
    /// queue_depth: how long a backlog may take to drain. Default 5m. Units are added to those that keep up with what
    /// arrives, and kept until it is over.
    pub(crate) drain_time: Option<Span>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MetricKind {
    /// Work arriving, such as requests.
    Load,
    /// Percent of what the capacity can do.
    Utilization,
    /// A guard: above the value more units are asked for.
    Latency,
    /// Work waiting.
    QueueDepth,
}

/// What a period without points means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Missing {
    /// Nothing is known of it.
    Unknown,
    /// Nothing happened in it, if the metric had points within the last two weeks.
    Zero,
}

/// A smallest and a largest number of units.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Range {
    pub(crate) min: u32,
    pub(crate) max: u32,
}
