//! Readers of an Aurora cluster.

use schemars::JsonSchema;
use serde::Deserialize;

use super::schema::Common;
use super::{
    Adapter, DimensionSpec, Draft, Facts, Guide, Kind, Named, Readers, ResourceSpec, ScalableTargetId,
    TARGET_UTILIZATION, Undo, average, utilization, TrackedMetric,
};
use crate::scalar::Span;

/// About a db.r5.large: us-east-1, Aurora Standard, <https://aws.amazon.com/rds/aurora/pricing/>, November 2026.
const READER_USD_HOURLY: f64 = 0.29;
/// A reader needs no copy of the storage; its instance takes about ten minutes.
const PROVISIONING_S: u32 = 600;
/// Readers of Aurora are usually less than 100 ms behind: Aurora user guide, "Replication with Amazon Aurora".
const LAG_MAX_MS: u32 = 2_000;

/// Readers of an Aurora cluster.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct AuroraReplicas {
    #[serde(flatten)]
    common: Common,
    /// Smallest number of units.
    min_capacity: u32,
    /// Largest number of units.
    #[schemars(range(max = 15))]
    max_capacity: u32,
    /// Percent of the readers' CPU to use. Default 70.
    #[schemars(range(min = 1, max = 100))]
    target_cpu_utilization: Option<f64>,
    /// The class of readers that are made. Default that of the oldest reader, or of the writer.
    instance_class: Option<String>,
    /// Whether readers that Headroom did not make may be deleted too, after its own. Default false.
    adopt_readers: Option<bool>,
    /// How far behind the writer a reader may be and count as ready. Default 2s.
    max_replica_lag: Option<Span>,
}

const TRACKED: &[TrackedMetric] = &[TrackedMetric::new(("AWS/RDS", "CPUUtilization"), "RDSReaderAverageCPUUtilization")];

impl Kind for AuroraReplicas {
    const GUIDE: Guide = Guide {
        example: "{type: AURORA_REPLICAS, name: orders, min_capacity: 1, max_capacity: 8}",
        also: "",
        dimensions: None,
        measured_by: "average CPU of the readers",
        target: "`target_cpu_utilization`, 70",
        never: &[
            "It never touches the writer.",
            "It never deletes a reader that it did not make, unless `adopt_readers: true`.",
            "It never deletes a reader while another one is behind the writer.",
        ],
    };

    fn describe(self, draft: &mut Draft<'_>) -> ResourceSpec {
        draft.lower_case(&self.common.name);
        let given = self.target_cpu_utilization;
        let cpu = draft.target(("target_cpu_utilization", "CPUUtilization"), given, Some(TARGET_UTILIZATION));
        let named = [("DBClusterIdentifier", self.common.name.as_str()), ("Role", "READER")];
        let cpu = cpu.map(|cpu| utilization("cpu", cpu, average("AWS/RDS", "CPUUtilization", named)));
        // A reader that is made again is another instance, with an empty cache.
        let facts = Facts {
            tracked: TRACKED,
            is_served: true,
            undo: Undo::Partial,
            moves_by_unit: true,
            ..Facts::of_storage_at(READER_USD_HOURLY)
        };
        let replicas = DimensionSpec::only("replicas", self.min_capacity, self.max_capacity, facts);
        let id = format!("cluster:{}", self.common.name);
        let target = ScalableTargetId::new("rds", id, "rds:cluster:ReadReplicaCount");
        ResourceSpec {
            adapter: Some(Adapter::AuroraReplicas(Readers {
                class: self.instance_class,
                adopted: self.adopt_readers == Some(true),
                lag_max_ms: self.max_replica_lag.map_or(LAG_MAX_MS, super::milliseconds),
            })),
            common: self.common,
            named: Some(Named::DbCluster),
            within: Vec::new(),
            dimensions: vec![replicas.metrics(cpu).target(target)],
            provisioning_s: PROVISIONING_S,
        }
    }
}
