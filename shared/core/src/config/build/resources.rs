//! Resources: what each type has to scale, what it costs, how long it takes, and what it is measured by.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Build, metrics, names};
use crate::config::arn::Named;
use crate::config::path::Path;
use crate::config::raw::resource::{self as raw, Common, Range, Resource as Raw, Throughput};
use crate::name::{DimensionKey, ResourceId};
use crate::platform::{Dimension, Kind, Measure, Metric, Mode, Query, Resource};
use crate::units::{Bounds, Units};

/// Utilisation to keep where nothing else was said: room for a third more before saturation.
const TARGET_UTILIZATION: f64 = 70.0;

/// What a type has, before the operator's own metrics are added.
struct Shape {
    kind: Kind,
    common: Common,
    dimensions: Vec<Part>,
    /// List price of a unit in us-east-1, in dollars an hour, as a first guess.
    cost_hourly: f64,
    /// A first guess, learned from then on.
    provisioning_s: u32,
}

struct Part {
    name: String,
    /// Where its bounds are written.
    at: Path,
    min: u32,
    max: u32,
    metrics: Vec<Metric>,
}

pub(super) fn resource(
    build: &mut Build<'_>,
    at: &Path,
    raw: Raw,
    targets: &BTreeMap<&'static str, f64>,
) -> Resource {
    let Shape { kind, common, dimensions, cost_hourly, provisioning_s } = shape(build, at, raw, targets);
    if common.name.is_empty() {
        build.fault(&at.key("name"), "is empty; write the resource's name in AWS");
    }
    names::resource(build, at, &common.name, &kind);
    let id = ResourceId(common.id.unwrap_or_else(|| common.name.clone()));
    let unit_cost_hourly =
        build.or(&at.key("hourly_cost_per_unit"), common.hourly_cost_per_unit, cost_hourly);
    let provisioning_s =
        build.or(&at.key("provisioning_seconds"), common.provisioning_seconds, provisioning_s);
    if dimensions.is_empty() {
        build.fault(at, "says nothing about what to scale on it");
    }
    let mut dimensions: Vec<Dimension> = dimensions
        .into_iter()
        .map(|part| Dimension {
            key: DimensionKey::new(&id, &part.name),
            bounds: bounds(build, &part.at, part.min, part.max),
            metrics: part.metrics,
            unit_cost_hourly,
        })
        .collect();
    own_metrics(build, at, &common.metrics.unwrap_or_default(), &mut dimensions);
    for dimension in dimensions.iter().filter(|dimension| !kind.is_served(&dimension.key.dimension)) {
        build
            .warn(at, format!("`{}` is held: {} has no adapter for it yet", dimension.key, kind.type_name()));
    }
    let provisioning = Duration::from_secs(u64::from(provisioning_s));
    Resource { id, name: common.name, kind, mode: common.mode.map(mode), dimensions, provisioning }
}

fn mode(raw: raw::Mode) -> Mode {
    match raw {
        raw::Mode::Floor => Mode::Floor,
        raw::Mode::Desired => Mode::Desired,
    }
}

fn bounds(build: &mut Build<'_>, at: &Path, min: u32, max: u32) -> Bounds {
    Bounds::new(Units(min), Units(max)).unwrap_or_else(|_| {
        build.fault(at, format!("its largest, {max}, is below its smallest, {min}"));
        Bounds::new(Units(min), Units(min)).unwrap_or_else(|_| unreachable!("{min} is not above itself"))
    })
}

/// Adds the operator's metrics. A dimension with metrics of its own no longer uses those of its type.
fn own_metrics(build: &mut Build<'_>, at: &Path, raw: &[raw::Metric], dimensions: &mut [Dimension]) {
    let mut replaced = BTreeSet::new();
    let names: Vec<String> = dimensions.iter().map(|dimension| dimension.key.dimension.clone()).collect();
    for (index, metric) in raw.iter().enumerate() {
        let metric_at = at.key("metrics").index(index);
        let place = match &metric.dimension {
            Some(wanted) => names.iter().position(|name| name == wanted),
            None => Some(0),
        };
        let Some(dimension) = place.and_then(|place| dimensions.get_mut(place)) else {
            let sentence = format!("names no dimension of this resource; it has {}", names.join(", "));
            build.fault(&metric_at.key("dimension"), sentence);
            continue;
        };
        let Some(metric) = metrics::written(build, &metric_at, metric) else { continue };
        if replaced.insert(dimension.key.clone()) {
            dimension.metrics.clear();
        }
        if dimension.metrics.iter().any(|other| other.name == metric.name) {
            build.fault(&metric_at.key("name"), format!("`{}` is the name of another metric", metric.name));
        }
        dimension.metrics.push(metric);
    }
    for dimension in dimensions {
        queues_last(build, at, dimension);
        let carried = dimension.metrics.iter().any(|metric| metric.measure.target_per_unit().is_some());
        if !dimension.metrics.is_empty() && !carried {
            build.fault(
                &at.key("metrics"),
                "has only latency; add what the capacity carries: load or utilization",
            );
        }
    }
}

/// What arrives steers a dimension, and its queues add to that: where the first metric counts, a queue is not it.
fn queues_last(build: &mut Build<'_>, at: &Path, dimension: &mut Dimension) {
    let is_queue = |metric: &Metric| matches!(metric.measure, Measure::QueueDepth { .. });
    dimension.metrics.sort_by_key(is_queue);
    let counting = dimension.metrics.iter().filter(|metric| metric.counted_s().is_some()).count();
    if let Some(arrivals) = dimension.arrivals().filter(|_| 1 < counting)
        && dimension.metrics.iter().any(is_queue)
    {
        let sentence = format!(
            "several loads count what arrives; `{}`, the first, is taken to fill the queue",
            arrivals.name
        );
        build.warn(&at.key("metrics"), sentence);
    }
}

fn one(name: &str, at: &Path, min: u32, max: u32, metrics: Vec<Metric>) -> Vec<Part> {
    vec![Part { name: name.to_owned(), at: at.key("max_capacity"), min, max, metrics }]
}

/// The target of a utilisation metric: the resource's own, else the group's policy, else the default if it is wanted.
fn target(
    build: &mut Build<'_>,
    at: &Path,
    key: &str,
    given: Option<f64>,
    policy: Option<&f64>,
    default: Option<f64>,
) -> Option<f64> {
    match (given, policy) {
        (Some(given), Some(policy)) if (given - policy).abs() > f64::EPSILON => {
            build.warn(
                &at.key(key),
                format!("is {given}, while the group's target tracking says {policy}; {given} counts"),
            );
            Some(given)
        }
        (Some(given), _) => Some(given),
        (None, Some(policy)) => Some(*policy),
        (None, None) => default.map(|default| build.or(&at.key(key), None, default)),
    }
}

fn shape(build: &mut Build<'_>, at: &Path, raw: Raw, targets: &BTreeMap<&'static str, f64>) -> Shape {
    match raw {
        Raw::Ec2AutoScalingGroup(group) => ec2(build, at, group, targets),
        Raw::EcsService(service) => ecs(build, at, service, targets),
        Raw::DynamoDbTable(table) => dynamodb(build, at, table),
        Raw::ElastiCacheReplicationGroup(group) => elasticache(group, at),
        Raw::LambdaFunction(function) => lambda(function, at),
        Raw::AuroraServerless(cluster) => aurora(build, at, cluster),
        other => unserved(other, at),
    }
}

fn ec2(
    build: &mut Build<'_>,
    at: &Path,
    raw: raw::Ec2AutoScalingGroup,
    targets: &BTreeMap<&'static str, f64>,
) -> Shape {
    let written = raw.common.metrics.is_some();
    let default = (!written).then_some(TARGET_UTILIZATION);
    let cpu =
        target(build, at, "target_cpu_utilization", raw.target_cpu_utilization, targets.get("cpu"), default);
    let query = metrics::average("AWS/EC2", "CPUUtilization", [("AutoScalingGroupName", &raw.common.name)]);
    let own = cpu.map(|target| metrics::utilization("cpu", target, query)).into_iter().collect();
    if targets.contains_key("memory") {
        build.warn(
            at,
            "EC2 publishes no memory utilisation by itself; name the agent's metric under `metrics`",
        );
    }
    let mut dimensions = one("desired", at, raw.min_capacity, raw.max_capacity, own);
    if let Some(Range { min, max }) = raw.warm_pool {
        dimensions.push(Part {
            name: "warm_pool".to_owned(),
            at: at.key("warm_pool"),
            min,
            max,
            metrics: Vec::new(),
        });
    }
    Shape {
        kind: Kind::Ec2AutoScalingGroup,
        common: raw.common,
        dimensions,
        cost_hourly: 0.10,
        provisioning_s: 180,
    }
}

fn ecs(
    build: &mut Build<'_>,
    at: &Path,
    raw: raw::EcsService,
    targets: &BTreeMap<&'static str, f64>,
) -> Shape {
    let cluster = build.or(&at.key("cluster"), raw.cluster, "default".to_owned());
    let named = [("ClusterName", cluster.as_str()), ("ServiceName", raw.common.name.as_str())];
    let memory = target(
        build,
        at,
        "target_memory_utilization",
        raw.target_memory_utilization,
        targets.get("memory"),
        None,
    );
    let default = (raw.common.metrics.is_none() && memory.is_none()).then_some(TARGET_UTILIZATION);
    let cpu =
        target(build, at, "target_cpu_utilization", raw.target_cpu_utilization, targets.get("cpu"), default);
    let own = [("cpu", "CPUUtilization", cpu), ("memory", "MemoryUtilization", memory)];
    let own = own.into_iter().filter_map(|(name, metric_name, target)| {
        Some(metrics::utilization(name, target?, metrics::average("AWS/ECS", metric_name, named)))
    });
    let dimensions = one("desired", at, raw.min_capacity, raw.max_capacity, own.collect());
    Shape {
        kind: Kind::EcsService { cluster },
        common: raw.common,
        dimensions,
        cost_hourly: 0.05,
        provisioning_s: 60,
    }
}

fn dynamodb(build: &mut Build<'_>, at: &Path, raw: raw::DynamoDbTable) -> Shape {
    let table = raw.common.name.clone();
    let mut dimensions = Vec::new();
    let mut add =
        |build: &mut Build<'_>, at: &Path, index: Option<&str>, read: bool, given: Option<Throughput>| {
            let Some(Throughput { min, max, target_utilization, missing }) = given else { return };
            if min == 0 {
                build.fault(&at.key("min"), "must be at least 1; DynamoDB has no smaller capacity");
            }
            let percent = build.or(&at.key("target_utilization"), target_utilization, TARGET_UTILIZATION);
            let direction = if read { "read" } else { "write" };
            let name = index.map_or_else(|| direction.to_owned(), |index| format!("{index}:{direction}"));
            let metrics = vec![consumed(&table, index, read, percent, missing)];
            dimensions.push(Part { name, at: at.clone(), min, max, metrics });
        };
    add(build, &at.key("read_capacity"), None, true, raw.read_capacity);
    add(build, &at.key("write_capacity"), None, false, raw.write_capacity);
    for (index, throughput) in raw.indexes.unwrap_or_default() {
        let index_at = at.key("indexes").key(&index);
        names::check(build, &index_at, Named::Index, &index);
        add(build, &index_at.key("read_capacity"), Some(&index), true, throughput.read_capacity);
        add(build, &index_at.key("write_capacity"), Some(&index), false, throughput.write_capacity);
    }
    Shape {
        kind: Kind::DynamoDbTable,
        common: raw.common,
        dimensions,
        cost_hourly: 0.000_39,
        provisioning_s: 60,
    }
}

/// Consumed capacity units a second; a unit of capacity carries one of them.
fn consumed(
    table: &str,
    index: Option<&str>,
    read: bool,
    percent: f64,
    missing: Option<raw::Missing>,
) -> Metric {
    let metric_name = if read { "ConsumedReadCapacityUnits" } else { "ConsumedWriteCapacityUnits" };
    let query = match index {
        Some(index) => {
            let named = [("TableName", table), ("GlobalSecondaryIndexName", index)];
            metrics::per_second("AWS/DynamoDB", metric_name, named)
        }
        None => metrics::per_second("AWS/DynamoDB", metric_name, [("TableName", table)]),
    };
    // What is consumed above what is provisioned is throttled at once, within a second that no metric shows: there is no limit
    // to plan with above the operator's own target.
    let measure = Measure::Load { target_per_unit: percent / 100.0, limit_per_unit: None };
    let query = Query { missing_is_zero: missing == Some(raw::Missing::Zero), ..query };
    Metric { name: "consumed".to_owned(), measure, query: Some(query) }
}

fn aurora(build: &mut Build<'_>, at: &Path, raw: raw::AuroraServerless) -> Shape {
    let mut halves = |key: &str, given: f64| {
        let halves = given * 2.0;
        if halves.fract() != 0.0 {
            build.fault(&at.key(key), format!("must be in halves of an ACU, such as 0.5 or 1, not {given}"));
        }
        Units::at_least(halves).0
    };
    let (min, max) = (halves("min_capacity", raw.min_capacity), halves("max_capacity", raw.max_capacity));
    let mut dimensions = one("minimum", at, min, max, Vec::new());
    dimensions.extend(one("maximum", at, min, max, Vec::new()));
    Shape {
        kind: Kind::AuroraServerless,
        common: raw.common,
        dimensions,
        cost_hourly: 0.06,
        provisioning_s: 15,
    }
}

fn elasticache(raw: raw::ElastiCacheReplicationGroup, at: &Path) -> Shape {
    let dimensions = ranges(at, [("replicas", "replicas", raw.replicas), ("shards", "shards", raw.shards)]);
    let kind = Kind::ElastiCacheReplicationGroup;
    Shape { kind, common: raw.common, dimensions, cost_hourly: 0.068, provisioning_s: 600 }
}

fn lambda(raw: raw::LambdaFunction, at: &Path) -> Shape {
    let dimensions = ranges(
        at,
        [
            ("provisioned", "provisioned_concurrency", raw.provisioned_concurrency),
            ("reserved", "reserved_concurrency", raw.reserved_concurrency),
        ],
    );
    let kind = Kind::LambdaFunction { qualifier: raw.qualifier };
    Shape { kind, common: raw.common, dimensions, cost_hourly: 0.015, provisioning_s: 180 }
}

fn ranges(at: &Path, given: [(&str, &str, Option<Range>); 2]) -> Vec<Part> {
    let part = |(name, key, range): (&str, &str, Option<Range>)| {
        let Range { min, max } = range?;
        Some(Part { name: name.to_owned(), at: at.key(key), min, max, metrics: Vec::new() })
    };
    given.into_iter().filter_map(part).collect()
}

/// Types with one dimension and no adapter yet: they parse, validate, and are held.
fn unserved(raw: Raw, at: &Path) -> Shape {
    let simple = |kind, common, (name, min, max), cost_hourly, provisioning_s| Shape {
        kind,
        common,
        dimensions: one(name, at, min, max, Vec::new()),
        cost_hourly,
        provisioning_s,
    };
    match raw {
        Raw::EksNodeGroup(raw) => {
            let kind = Kind::EksNodeGroup { cluster: raw.cluster };
            simple(kind, raw.common, ("desired", raw.min_capacity, raw.max_capacity), 0.10, 240)
        }
        Raw::AuroraReplicas(raw) => simple(
            Kind::AuroraReplicas,
            raw.common,
            ("replicas", raw.min_capacity, raw.max_capacity),
            0.29,
            600,
        ),
        Raw::RdsReadReplicas(raw) => simple(
            Kind::RdsReadReplicas,
            raw.common,
            ("replicas", raw.min_capacity, raw.max_capacity),
            0.19,
            900,
        ),
        Raw::RdsStorage(raw) => simple(
            Kind::RdsStorage,
            raw.common,
            ("storage", raw.min_capacity, raw.max_capacity),
            0.000_16,
            1_800,
        ),
        Raw::KinesisStream(raw) => {
            simple(Kind::KinesisStream, raw.common, ("shards", raw.min_capacity, raw.max_capacity), 0.015, 60)
        }
        Raw::SageMakerEndpoint(raw) => {
            let kind =
                Kind::SageMakerEndpoint { variant: raw.variant.unwrap_or_else(|| "AllTraffic".to_owned()) };
            simple(kind, raw.common, ("desired", raw.min_capacity, raw.max_capacity), 0.23, 420)
        }
        Raw::ApiGatewayStage(raw) => {
            let kind = Kind::ApiGatewayStage { stage: raw.stage };
            simple(kind, raw.common, ("throttle", raw.min_capacity, raw.max_capacity), 0.0, 10)
        }
        Raw::ScalableTarget(raw) => {
            let raw::ScalableTarget { service_namespace, resource_id, scalable_dimension, .. } = raw;
            let kind = Kind::ScalableTarget { service_namespace, resource_id, scalable_dimension };
            simple(kind, raw.common, ("desired", raw.min_capacity, raw.max_capacity), 0.10, 120)
        }
        Raw::Ec2AutoScalingGroup(_)
        | Raw::EcsService(_)
        | Raw::DynamoDbTable(_)
        | Raw::AuroraServerless(_)
        | Raw::ElastiCacheReplicationGroup(_)
        | Raw::LambdaFunction(_) => {
            unreachable!("types with more than one dimension have shapes of their own")
        }
    }
}
