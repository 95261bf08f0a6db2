//! Read replicas of an RDS instance.

use schemars::JsonSchema;
use serde::Deserialize;

use super::schema::Common;
use super::{DimensionSpec, Draft, Facts, Guide, Kind, Named, ResourceSpec, Undo};

/// About a db.m5.large: us-east-1, PostgreSQL, Single-AZ, <https://aws.amazon.com/rds/pricing/>, November 2026.
const REPLICA_USD_HOURLY: f64 = 0.19;
/// A replica is restored from a snapshot and catches up: a quarter of an hour, and longer for large storage.
const PROVISIONING_S: u32 = 900;

/// Read replicas of an RDS instance.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "targets wait for this type's adapter")]
pub(crate) struct RdsReadReplicas {
    #[serde(flatten)]
    common: Common,
    min_capacity: u32,
    #[schemars(range(max = 15))]
    max_capacity: u32,
    #[schemars(range(min = 1, max = 100))]
    target_cpu_utilization: Option<f64>,
}

impl Kind for RdsReadReplicas {
    const GUIDE: Guide = Guide {
        example: "{type: RDS_READ_REPLICAS, name: orders, min_capacity: 0, max_capacity: 5}",
        also: "",
        dimensions: None,
        measured_by: "",
        target: "",
    };

    fn describe(self, _: &mut Draft<'_>) -> ResourceSpec {
        // A replica that is made again is another instance, with an empty cache.
        let facts = Facts { undo: Undo::Partial, ..Facts::of_storage_at(REPLICA_USD_HOURLY) };
        let replicas = DimensionSpec::only("replicas", self.min_capacity, self.max_capacity, facts);
        ResourceSpec {
            common: self.common,
            named: Some(Named::DbInstance),
            within: Vec::new(),
            adapter: None,
            dimensions: vec![replicas],
            provisioning_s: PROVISIONING_S,
        }
    }
}
