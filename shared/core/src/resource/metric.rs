//! Metrics that demand is derived from: what they measure, and where they are read.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::name::ResourceId;

/// A metric that demand is derived from.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// Unique in its dimension.
    pub name: String,
    /// What it measures.
    pub measure: Measure,
    /// Where it is read; `None` for metrics that only exist offline.
    pub query: Option<Query>,
}

/// What a metric measures, with what a unit should and can carry of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Measure {
    /// Work arriving, in the metric's own unit.
    Load {
        /// What one unit should carry.
        target_per_unit: f64,
        /// What one unit can carry before the objective breaks, if known.
        limit_per_unit: Option<f64>,
    },
    /// Percent of what the capacity can do.
    Utilization {
        /// Percent to keep.
        target: f64,
        /// Percent at which the objective breaks.
        limit: f64,
    },
    /// A guard: above the limit more units are asked for, the further and the longer it is.
    Latency {
        /// The value not to pass, in the metric's own unit.
        limit: f64,
    },
    /// Work waiting. It is what the capacity of before left over, so it is measured and never foreseen.
    QueueDepth {
        /// Backlog that one unit should have at most, while nothing says what arrives.
        target_per_unit: f64,
        /// How long a backlog may take to drain.
        drain: Duration,
    },
}

impl Measure {
    /// What one unit should carry, in load: for utilisation, percent times units. Latency carries nothing.
    pub fn target_per_unit(&self) -> Option<f64> {
        match self {
            Measure::Load { target_per_unit, .. } | Measure::QueueDepth { target_per_unit, .. } => {
                Some(*target_per_unit)
            }
            Measure::Utilization { target, .. } => Some(*target),
            Measure::Latency { .. } => None,
        }
    }

    /// What one unit carries before the objective breaks, where the operator says so; else what it should carry.
    pub fn carried_per_unit(&self) -> Option<f64> {
        /// A saturated unit carries nothing well: this limit is not one that somebody measured.
        const SATURATED: f64 = 100.0;
        match self {
            Measure::Load { limit_per_unit: Some(limit), .. } => Some(*limit),
            Measure::Utilization { limit, .. } if *limit < SATURATED => Some(*limit),
            _ => self.target_per_unit(),
        }
    }

    /// Whether it is forecast: work that arrives, whatever capacity there is.
    pub fn is_foreseen(&self) -> bool {
        matches!(self, Measure::Load { .. } | Measure::Utilization { .. })
    }

    /// Whether the metric must be multiplied by the capacity that produced it to become load.
    pub fn is_per_capacity(&self) -> bool {
        matches!(self, Measure::Utilization { .. })
    }
}

impl Metric {
    /// Seconds that one value counts arrivals over; `None` where it counts none. The file states what a unit carries by the
    /// minute where nothing else is said.
    pub fn counted_s(&self) -> Option<f64> {
        const MINUTE_S: f64 = 60.0;
        match (&self.measure, self.query.as_ref().map(|query| query.rate)) {
            (Measure::Load { .. }, None | Some(Rate::PerMinute)) => Some(MINUTE_S),
            (Measure::Load { .. }, Some(Rate::PerSecond)) => Some(1.0),
            _ => None,
        }
    }
}

/// Where a metric is read in CloudWatch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Query {
    /// Such as `AWS/EC2`.
    pub namespace: String,
    /// Such as `CPUUtilization`.
    pub metric_name: String,
    /// The metric's dimensions in CloudWatch.
    pub dimensions: BTreeMap<String, String>,
    /// Such as `Average` or `p99`.
    pub statistic: String,
    /// What one value stands for.
    pub rate: Rate,
    /// Seconds over which CloudWatch is asked to add up: as long as the source takes between its points, or a count of
    /// five minutes would pass for one of a minute.
    pub period_s: u32,
    /// Whether a period without points, of a metric that had some lately, is a period in which nothing happened.
    pub missing_is_zero: bool,
    /// The resource whose target groups it is measured at. Their names in CloudWatch complete its dimensions, and are found in
    /// AWS when it is read; `None` where the dimensions say all.
    pub in_front_of: Option<ResourceId>,
    /// Whether it has points only while something goes wrong. Then it need not have had any for their absence to be zero.
    pub is_rare: bool,
}

impl Query {
    /// A minute, the shortest period of metrics that AWS publishes.
    pub const MINUTE_S: u32 = 60;

    /// Whether a value adds up what happened in its period. It then grows for as long as reports come in.
    pub fn is_count(&self) -> bool {
        matches!(self.statistic.as_str(), "Sum" | "SampleCount")
    }

    /// What is read, in one line: another metric, or another spelling of its dimensions, is another line.
    pub fn line(&self) -> String {
        let dimensions: Vec<String> =
            self.dimensions.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let front = self.in_front_of.as_ref().map(|resource| format!("target groups of {resource}"));
        let place = front.unwrap_or_else(|| dimensions.join(","));
        format!("{} {} {place} {}", self.namespace, self.metric_name, self.statistic)
    }
}

/// What the value of a period stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rate {
    /// A level; the period does not matter.
    Level,
    /// A level in bytes of what is left of units that are GiB; what is used of them is wanted, in percent.
    LeftOfGib,
    /// A count over the period, wanted a minute.
    PerMinute,
    /// A count over the period, wanted a second.
    PerSecond,
}

const GIB_BYTES: f64 = 1_073_741_824.0;

impl Rate {
    /// The factor from a value of a period of `period_s` seconds to what is wanted.
    pub fn factor(self, period_s: u32) -> f64 {
        match self {
            Rate::Level => 1.0,
            Rate::LeftOfGib => 1.0 / GIB_BYTES,
            Rate::PerMinute => 60.0 / f64::from(period_s),
            Rate::PerSecond => 1.0 / f64::from(period_s),
        }
    }
}

/// At full utilisation a unit is saturated, whatever it does.
pub(crate) const UTILIZATION_LIMIT: f64 = 100.0;

/// A guard on what goes wrong a minute, which AWS publishes only while it does.
pub(crate) fn guard<const N: usize>(
    name: &str,
    limit: f64,
    (namespace, metric_name, dimensions): (&str, &str, [(&str, &str); N]),
) -> Metric {
    let query = published(namespace, metric_name, dimensions, ("Sum", Rate::PerMinute));
    let query = Query { missing_is_zero: true, is_rare: true, ..query };
    Metric { name: name.to_owned(), measure: Measure::Latency { limit }, query: Some(query) }
}

/// A utilisation metric that AWS publishes for a kind.
pub(crate) fn utilization(name: &str, target: f64, query: Query) -> Metric {
    let measure = Measure::Utilization { target, limit: UTILIZATION_LIMIT };
    Metric { name: name.to_owned(), measure, query: Some(query) }
}

/// The level of a metric that AWS publishes.
pub(crate) fn average<const N: usize>(
    namespace: &str,
    metric_name: &str,
    dimensions: [(&str, &str); N],
) -> Query {
    published(namespace, metric_name, dimensions, ("Average", Rate::Level))
}

/// A metric that AWS publishes, by a statistic, and what one value of it stands for.
pub(crate) fn published<const N: usize>(
    namespace: &str,
    metric_name: &str,
    dimensions: [(&str, &str); N],
    (statistic, rate): (&str, Rate),
) -> Query {
    let dimensions = dimensions.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Query {
        namespace: namespace.to_owned(),
        metric_name: metric_name.to_owned(),
        dimensions: BTreeMap::from(dimensions),
        statistic: statistic.to_owned(),
        rate,
        period_s: Query::MINUTE_S,
        missing_is_zero: false,
        is_rare: false,
        in_front_of: None,
    }
}
