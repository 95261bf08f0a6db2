//! Storage of an RDS instance in GiB. It only grows.

use schemars::JsonSchema;
use serde::Deserialize;

use super::schema::Common;
use super::{DimensionSpec, Draft, Facts, Guide, Kind, Named, ResourceSpec, Scaling, Undo};

/// A GiB of gp3, 0.115 a month: us-east-1, Single-AZ, <https://aws.amazon.com/rds/postgresql/pricing/>, November 2026.
const GIB_USD_HOURLY: f64 = 0.000_16;
/// Storage is usable within half an hour; its optimisation goes on for hours.
const PROVISIONING_S: u32 = 1800;

/// Storage of an RDS instance in GiB. It only grows.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "targets wait for this type's adapter")]
pub(crate) struct RdsStorage {
    #[serde(flatten)]
    common: Common,
    min_capacity: u32,
    #[schemars(range(max = 65536))]
    max_capacity: u32,
    /// Percent of the storage to use. Default 80.
    #[schemars(range(min = 1, max = 100))]
    target_utilization: Option<f64>,
}

impl Kind for RdsStorage {
    const GUIDE: Guide = Guide {
        example: "{type: RDS_STORAGE, name: orders, min_capacity: 100, max_capacity: 1000}",
        also: "",
        dimensions: None,
        measured_by: "",
        target: "",
    };

    fn describe(self, _: &mut Draft<'_>) -> ResourceSpec {
        let facts =
            Facts { scaling: Scaling::OutOnly, undo: Undo::None, ..Facts::of_storage_at(GIB_USD_HOURLY) };
        let storage = DimensionSpec::only("storage", self.min_capacity, self.max_capacity, facts);
        ResourceSpec {
            common: self.common,
            named: Some(Named::DbInstance),
            within: Vec::new(),
            adapter: None,
            dimensions: vec![storage],
            provisioning_s: PROVISIONING_S,
        }
    }
}
