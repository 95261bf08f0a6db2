//! Anything else that Application Auto Scaling scales.

use schemars::JsonSchema;
use serde::Deserialize;

use super::schema::{Common, MetricKind};
use super::{
    Adapter, DimensionSpec, Draft, Facts, Guide, Kind, Mode, ResourceSpec, ScalableTargetId, Undo,
};

/// Nobody knows what stands behind it; the user says what a unit costs.
const UNIT_USD_HOURLY: f64 = 0.10;
/// As long as an instance of most services takes.
const PROVISIONING_S: u32 = 120;
/// Application Auto Scaling itself calls the resources of these by their ARN: its user guide, "RegisterScalableTarget".
const NAMESPACES_WITH_ARNS: [&str; 2] = ["comprehend", "kafka"];

/// Anything else that Application Auto Scaling scales.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct ScalableTarget {
    #[serde(flatten)]
    common: Common,
    /// The service, such as `cassandra`.
    service_namespace: String,
    /// What is scaled, such as `keyspace/shop/table/orders`.
    resource_id: String,
    /// What is scaled on it, such as `cassandra:table:ReadCapacityUnits`.
    scalable_dimension: String,
    /// Smallest number of units.
    min_capacity: u32,
    /// Largest number of units.
    max_capacity: u32,
}

impl Kind for ScalableTarget {
    const GUIDE: Guide = Guide {
        example: "{type: SCALABLE_TARGET, name: orders, service_namespace: cassandra, resource_id: keyspace/shop/table/orders, \
                  scalable_dimension: 'cassandra:table:ReadCapacityUnits', min_capacity: 5, max_capacity: 400}",
        also: " (`service_namespace`, `resource_id`, `scalable_dimension`)",
        dimensions: None,
        measured_by: "what you name",
        target: "of your metrics",
        never: &[
            "It never changes a scaling policy or a scheduled action.",
            "It never changes the resource itself: Application Auto Scaling does, to keep it within the bounds.",
        ],
    };

    fn describe(self, draft: &mut Draft<'_>) -> ResourceSpec {
        draft.plain(&["service_namespace"], &self.service_namespace, "the namespace, such as `cassandra`");
        draft.plain(&["scalable_dimension"], &self.scalable_dimension, "the dimension's name");
        if !NAMESPACES_WITH_ARNS.contains(&self.service_namespace.as_str()) {
            let wanted = "the id as Application Auto Scaling has it, such as `keyspace/shop/table/orders`";
            draft.plain(&["resource_id"], &self.resource_id, wanted);
        }
        self.check_metrics(draft);
        let id = self.resource_id.clone();
        let target = ScalableTargetId::new(&self.service_namespace, id, &self.scalable_dimension);
        // The bounds of before come back; the capacity between them is for AWS to move.
        let facts = Facts { is_served: true, undo: Undo::Partial, ..Facts::of_units_at(UNIT_USD_HOURLY) };
        let desired = DimensionSpec::only("desired", self.min_capacity, self.max_capacity, facts);
        ResourceSpec {
            common: self.common,
            // The name is the operator's own: AWS knows it by the three of `within`.
            named: None,
            within: vec![self.service_namespace, self.resource_id, self.scalable_dimension],
            adapter: Some(Adapter::ScalableTarget),
            dimensions: vec![desired.target(target)],
            provisioning_s: PROVISIONING_S,
        }
    }
}

impl ScalableTarget {
    /// Application Auto Scaling tells bounds and never the capacity between them. Without it a utilisation is no load.
    fn check_metrics(&self, draft: &mut Draft<'_>) {
        let metrics = self.common.metrics.as_deref().unwrap_or_default();
        let is_utilization = |metric: &&super::MetricSchema| metric.kind == MetricKind::Utilization;
        if let Some(metric) = metrics.iter().find(is_utilization)
            && self.common.mode != Some(Mode::Desired)
        {
            draft.fault(
                &["metrics"],
                format!(
                    "has `{}`, a utilization, and Application Auto Scaling does not tell of how much capacity; name a metric \
                     that counts work (load), or write `mode: desired`, in which the minimum and the maximum are the capacity",
                    metric.name
                ),
            );
        }
        if metrics.is_empty() {
            draft.warn(&[], "is held at its bounds: nothing says what it is measured by; name `metrics`");
        }
    }
}
