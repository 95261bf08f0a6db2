//! Readers of an Aurora cluster.

use schemars::JsonSchema;
use serde::Deserialize;

use super::schema::Common;
use super::{DimensionSpec, Draft, Facts, Guide, Kind, Named, ResourceSpec, ScalableTargetId, Undo};

/// About a db.r5.large: us-east-1, Aurora Standard, <https://aws.amazon.com/rds/aurora/pricing/>, November 2026.
const READER_USD_HOURLY: f64 = 0.29;
/// A reader needs no copy of the storage; its instance takes about ten minutes.
const PROVISIONING_S: u32 = 600;

/// Readers of an Aurora cluster.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "targets wait for this type's adapter")]
pub(crate) struct AuroraReplicas {
    #[serde(flatten)]
    common: Common,
    min_capacity: u32,
    #[schemars(range(max = 15))]
    max_capacity: u32,
    #[schemars(range(min = 1, max = 100))]
    target_cpu_utilization: Option<f64>,
}

impl Kind for AuroraReplicas {
    const GUIDE: Guide = Guide {
        example: "{type: AURORA_REPLICAS, name: orders, min_capacity: 1, max_capacity: 8}",
        also: "",
        dimensions: None,
        measured_by: "",
        target: "",
    };

    fn describe(self, _: &mut Draft<'_>) -> ResourceSpec {
        // A reader that is made again is another instance, with an empty cache.
        let facts = Facts { undo: Undo::Partial, ..Facts::of_storage_at(READER_USD_HOURLY) };
        let replicas = DimensionSpec::only("replicas", self.min_capacity, self.max_capacity, facts);
        let id = format!("cluster:{}", self.common.name);
        let target = ScalableTargetId::new("rds", id, "rds:cluster:ReadReplicaCount");
        ResourceSpec {
            common: self.common,
            named: Some(Named::DbCluster),
            within: Vec::new(),
            adapter: None,
            dimensions: vec![replicas.target(target)],
            provisioning_s: PROVISIONING_S,
        }
    }
}
