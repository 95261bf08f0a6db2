//! Resources, and what can be scaled on them.

use std::time::Duration;

use crate::name::{DimensionKey, ResourceId};
use crate::resource::{Adapter, Facts, Metric, Mode, ResourceKind};
use crate::units::Bounds;

/// Something AWS scales.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Unique in the platform.
    pub id: ResourceId,
    /// Its name in AWS.
    pub name: String,
    /// Its type. What follows from the type stands in the facts of its dimensions; nothing asks for the type again.
    pub kind: ResourceKind,
    /// What names it in AWS besides its name, such as its cluster.
    pub within: Vec<String>,
    /// How it is reached in AWS; `None` where no adapter serves it yet.
    pub adapter: Option<Adapter>,
    /// Whether the operator chose how capacity is set; otherwise it depends on what AWS has.
    pub mode: Option<Mode>,
    /// What can be scaled on it.
    pub dimensions: Vec<Dimension>,
    /// The first guess of how long a unit takes to become ready.
    pub provisioning: Duration,
}

/// What is scaled on a resource.
#[derive(Clone, Debug)]
pub struct Dimension {
    /// Its name, unique in the platform.
    pub key: DimensionKey,
    /// The operator's bounds.
    pub bounds: Bounds,
    /// What demand is measured by. The largest demand counts.
    pub metrics: Vec<Metric>,
    /// What a unit costs an hour, in the budget's currency: the operator's figure, else the list price among the facts.
    pub unit_cost_hourly: f64,
    /// What AWS allows, takes and tells of it.
    pub facts: Facts,
}

impl Dimension {
    /// Whether its units only stand by for those of another dimension, and serve nothing themselves.
    pub fn stands_by(&self) -> bool {
        self.facts.stands_by_for.is_some()
    }

    /// The metric that counts what arrives in the dimension's queues: its first load that counts something.
    pub fn arrivals(&self) -> Option<&Metric> {
        self.metrics.iter().find(|metric| metric.counted_s().is_some())
    }
}
