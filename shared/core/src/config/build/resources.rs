//! Resources: what each kind describes, with the operator's own figures and metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Build, metrics, names};
use crate::config::path::Path;
use crate::name::{DimensionKey, ResourceId};
use crate::platform::{Dimension, Resource};
use crate::resource::{
    Common, DimensionSpec, Draft, Measure, Metric, MetricSchema, Note, Remark, ResourceSpec, Schema,
};
use crate::units::{Bounds, Units};

pub(super) fn resource(
    build: &mut Build<'_>,
    at: &Path,
    raw: Schema,
    targets: &BTreeMap<&'static str, f64>,
) -> Resource {
    let mut draft = Draft::new(targets);
    let (kind, spec) = raw.describe(&mut draft);
    let ResourceSpec { common, named, within, adapter, dimensions, provisioning_s } = spec;
    take_notes(build, at, draft.notes);
    if common.name.is_empty() {
        build.fault(&at.key("name"), "is empty; write the resource's name in AWS");
    }
    if let Some(named) = named {
        names::check(build, &at.key("name"), named, &common.name);
    }
    let id = ResourceId(common.id.clone().unwrap_or_else(|| common.name.clone()));
    note_costs(build, at, &common, &dimensions);
    let provisioning_s =
        build.or(&at.key("provisioning_seconds"), common.provisioning_seconds, provisioning_s);
    if dimensions.is_empty() {
        build.fault(at, "says nothing about what to scale on it");
    }
    // What is free beside something that is not, such as a mere permission, is not what the operator's figure is for. Nor is what
    // only stands by.
    let all_free = dimensions.iter().all(|spec| spec.facts.unit_cost_hourly <= 0.0);
    let figure = |list: f64| common.hourly_cost_per_unit.filter(|_| all_free || 0.0 < list).unwrap_or(list);
    let mut dimensions: Vec<Dimension> = dimensions
        .into_iter()
        .map(|spec| Dimension {
            key: DimensionKey::new(&id, &spec.name),
            bounds: bounds(build, &below(at, &spec.at), spec.range.min, spec.range.max),
            metrics: spec.metrics,
            unit_cost_hourly: match spec.facts.stands_by_for {
                Some(_) => spec.facts.unit_cost_hourly,
                None => figure(spec.facts.unit_cost_hourly),
            },
            facts: spec.facts,
        })
        .collect();
    own_metrics(build, at, &common.metrics.unwrap_or_default(), &id, &mut dimensions);
    for dimension in dimensions.iter().filter(|dimension| !dimension.facts.is_served) {
        build
            .warn(at, format!("`{}` is held: {} has no adapter for it yet", dimension.key, kind.type_name()));
    }
    let provisioning = Duration::from_secs(u64::from(provisioning_s));
    Resource { id, name: common.name, kind, within, adapter, mode: common.mode, dimensions, provisioning }
}

/// What a kind had to say about a resource, at its place in the file.
fn take_notes(build: &mut Build<'_>, at: &Path, notes: Vec<Note>) {
    for Note { at: keys, remark } in notes {
        let at = below(at, &keys);
        match remark {
            Remark::Default(value) => build.note(&at, &value),
            Remark::Warning(sentence) => build.warn(&at, sentence),
            Remark::Fault(sentence) => build.fault(&at, sentence),
        }
    }
}

fn below(at: &Path, keys: &[String]) -> Path {
    keys.iter().fold(at.clone(), |at, key| at.key(key))
}

/// Says which list prices are used: one for all dimensions, or each with its own.
fn note_costs(build: &mut Build<'_>, at: &Path, common: &Common, dimensions: &[DimensionSpec]) {
    let Some(first) = dimensions.first().filter(|_| common.hourly_cost_per_unit.is_none()) else { return };
    let cost = |spec: &DimensionSpec| spec.facts.unit_cost_hourly;
    let is_one = dimensions.iter().all(|spec| (cost(spec) - cost(first)).abs() < f64::EPSILON);
    let each = dimensions.iter().map(|spec| format!("{} {}", spec.name, cost(spec)));
    let value = if is_one { cost(first).to_string() } else { each.collect::<Vec<_>>().join(", ") };
    build.note(&at.key("hourly_cost_per_unit"), &value);
}

fn bounds(build: &mut Build<'_>, at: &Path, min: u32, max: u32) -> Bounds {
    Bounds::new(Units(min), Units(max)).unwrap_or_else(|_| {
        build.fault(at, format!("its largest, {max}, is below its smallest, {min}"));
        Bounds::new(Units(min), Units(min)).unwrap_or_else(|_| unreachable!("{min} is not above itself"))
    })
}

/// Adds the operator's metrics. A dimension with metrics of its own no longer uses those of its type.
fn own_metrics(
    build: &mut Build<'_>,
    at: &Path,
    raw: &[MetricSchema],
    resource: &ResourceId,
    dimensions: &mut [Dimension],
) {
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
        let balanced = dimension.facts.has_target_groups.then_some(resource);
        let Some(metric) = metrics::written(build, &metric_at, metric, balanced) else { continue };
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
