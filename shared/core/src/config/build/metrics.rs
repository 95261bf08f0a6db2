//! Metrics that the operator wrote.

use std::collections::BTreeMap;

use super::{Build, names, nature};
use crate::config::path::Path;
use crate::name::ResourceId;
use crate::resource::{Measure, Metric, MetricKind, MetricSchema, Missing, Query, Rate, UTILIZATION_LIMIT};

/// A queue that takes longer to drain than this is felt by users.
const DRAIN_S: u64 = 300;

/// A metric as the operator wrote it. `balanced` is its resource, where that is registered with target groups.
pub(super) fn written(
    build: &mut Build<'_>,
    at: &Path,
    raw: &MetricSchema,
    balanced: Option<&ResourceId>,
) -> Option<Metric> {
    let mut measure = measure(build, at, raw)?;
    let front = balanced.and_then(|resource| in_front(raw, resource));
    let query = source(raw, front.as_ref()).map(|(namespace, metric_name)| {
        let statistic = raw.statistic.as_ref().map_or_else(|| default_statistic(raw.kind), |given| &given.0);
        // A utilisation may be a count too, such as requests for each target.
        let counted = matches!(statistic, "Sum" | "SampleCount")
            && matches!(raw.kind, MetricKind::Load | MetricKind::Utilization);
        Query {
            period_s: period(build, at, raw, counted),
            missing_is_zero: raw.missing == Some(Missing::Zero),
            is_rare: false,
            in_front_of: front.clone(),
            namespace,
            metric_name,
            dimensions: raw.dimensions.clone().unwrap_or_default(),
            statistic: statistic.to_owned(),
            rate: if counted { Rate::PerMinute } else { Rate::Level },
        }
    });
    let counts = query.as_ref().is_some_and(|query| query.rate != Rate::Level);
    if raw.missing == Some(Missing::Zero) && !counts && raw.kind != MetricKind::QueueDepth {
        build.fault(
            &at.key("missing"),
            "can be `zero` only for a load counted by Sum or SampleCount, and for a queue_depth; the absence of any other \
             value says nothing about it",
        );
    }
    if let Some(query) = &query {
        names::dimensions(build, at, query);
        nature::check(build, at, raw, query);
        unlimited(&mut measure, raw, query);
    } else {
        build.warn(at, "has no `namespace`, so it cannot be read from CloudWatch; it works offline only");
    }
    Some(Metric { name: raw.name.clone(), measure, query })
}

/// What load balancers publish.
const BALANCERS: &str = "AWS/ApplicationELB";

/// The resource in front of which a metric is measured: one of load balancers that does not say which of them.
fn in_front(raw: &MetricSchema, resource: &ResourceId) -> Option<ResourceId> {
    let names_none = raw.dimensions.as_ref().is_none_or(BTreeMap::is_empty);
    let name = raw.metric_name.as_deref().unwrap_or(&raw.name);
    let is_theirs = match raw.namespace.as_deref() {
        Some(namespace) => namespace == BALANCERS && is_of_target_groups(name),
        None => of_balancers(raw).is_some(),
    };
    (names_none && is_theirs).then(|| resource.clone())
}

/// Whether load balancers publish a metric by target group, and not only of themselves:
/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html>.
fn is_of_target_groups(metric_name: &str) -> bool {
    const NAMES: [&str; 6] = [
        "HealthyHostCount",
        "RequestCount",
        "RequestCountPerTarget",
        "TargetConnectionErrorCount",
        "TargetResponseTime",
        "UnHealthyHostCount",
    ];
    NAMES.contains(&metric_name) || metric_name.starts_with("HTTPCode_Target_")
}

/// The metric of load balancers that a plain name stands for.
fn of_balancers(raw: &MetricSchema) -> Option<&'static str> {
    match (raw.name.as_str(), raw.kind) {
        ("requests", MetricKind::Load) => Some("RequestCount"),
        ("latency", MetricKind::Latency) => Some("TargetResponseTime"),
        _ => None,
    }
}

/// The namespace and the name of a metric in CloudWatch.
fn source(raw: &MetricSchema, front: Option<&ResourceId>) -> Option<(String, String)> {
    let known = of_balancers(raw).filter(|_| front.is_some());
    let namespace = raw.namespace.as_deref().or(known.map(|_| BALANCERS))?;
    let name = raw.metric_name.as_deref().or(known).unwrap_or(&raw.name);
    Some((namespace.to_owned(), name.to_owned()))
}

/// Nothing says at how many requests or bytes a unit is saturated, as it is at 100 percent.
fn unlimited(measure: &mut Measure, raw: &MetricSchema, query: &Query) {
    if let Measure::Utilization { limit, .. } = measure
        && raw.limit_per_unit.is_none()
        && nature::is_of_a_unit(query)
    {
        *limit = f64::INFINITY;
    }
}

/// Longer periods than this are over before anything could be done about what they tell.
const PERIOD_S_MAX: u64 = 900;
/// EC2 reports every five minutes, unless detailed monitoring is on.
const BASIC_MONITORING_S: u32 = 300;

/// The seconds that one value is asked for.
fn period(build: &mut Build<'_>, at: &Path, raw: &MetricSchema, counted: bool) -> u32 {
    let at = at.key("period");
    match raw.period.map(|period| period.0.as_secs()) {
        Some(period_s) if (60..=PERIOD_S_MAX).contains(&period_s) && period_s % 60 == 0 => {
            u32::try_from(period_s).unwrap_or(Query::MINUTE_S)
        }
        Some(_) => {
            build.fault(&at, "must be whole minutes from 1m to 15m");
            Query::MINUTE_S
        }
        None if counted && raw.namespace.as_deref() == Some("AWS/EC2") => {
            build.warn(
                &at,
                "is taken to be 5m, because EC2 counts by five minutes unless detailed monitoring is on; where it is on, write 1m",
            );
            BASIC_MONITORING_S
        }
        None => Query::MINUTE_S,
    }
}

fn default_statistic(kind: MetricKind) -> &'static str {
    match kind {
        MetricKind::Load => "Sum",
        MetricKind::Utilization | MetricKind::QueueDepth => "Average",
        MetricKind::Latency => "p99",
    }
}

fn measure(build: &mut Build<'_>, at: &Path, raw: &MetricSchema) -> Option<Measure> {
    let mut need = |key: &str, given: Option<f64>| {
        if given.is_none() {
            build.fault(&at.key(key), format!("is required for a metric of this kind: {}", said(raw.kind)));
        }
        given
    };
    let measure = match raw.kind {
        MetricKind::Load => {
            let target_per_unit = need("target_per_unit", raw.target_per_unit)?;
            Measure::Load { target_per_unit, limit_per_unit: raw.limit_per_unit }
        }
        MetricKind::Utilization => {
            let target = need("target_value", raw.target_value)?;
            Measure::Utilization {
                target,
                limit: raw.limit_per_unit.unwrap_or(UTILIZATION_LIMIT.max(target)),
            }
        }
        MetricKind::Latency => Measure::Latency { limit: need("target_value", raw.target_value)? },
        MetricKind::QueueDepth => {
            let target_per_unit = need("target_per_unit", raw.target_per_unit)?;
            let drain = build.or_span(&at.key("drain_time"), raw.drain_time, DRAIN_S);
            if drain.is_zero() {
                build.fault(
                    &at.key("drain_time"),
                    "is no time at all; no capacity works off a backlog at once",
                );
            }
            Measure::QueueDepth { target_per_unit, drain }
        }
    };
    if raw.drain_time.is_some() && raw.kind != MetricKind::QueueDepth {
        build.warn(&at.key("drain_time"), "means nothing here; it is for a metric of kind `queue_depth`");
    }
    let crossed = match measure {
        Measure::Load { target_per_unit, limit_per_unit: Some(limit) } => limit < target_per_unit,
        Measure::Utilization { target, limit } => limit < target,
        _ => false,
    };
    if crossed {
        build.fault(
            &at.key("limit_per_unit"),
            "is below the target; the objective would be broken on purpose",
        );
    }
    Some(measure)
}

fn said(kind: MetricKind) -> &'static str {
    match kind {
        MetricKind::Load => "what one unit should carry each minute",
        MetricKind::Utilization => "the percent to keep",
        MetricKind::Latency => "the value not to pass",
        MetricKind::QueueDepth => "the backlog one unit may have",
    }
}
