//! Storage of an RDS instance in GiB. It only grows.

use schemars::JsonSchema;
use serde::Deserialize;

use super::schema::Common;
use super::{
    Adapter, DailyLimit, DimensionSpec, Draft, Facts, Guide, Kind, Mode, Named, Rate, ResourceSpec, Scaling,
    Undo, published, utilization,
};

/// A GiB of gp3, 0.115 a month: us-east-1, Single-AZ, <https://aws.amazon.com/rds/postgresql/pricing/>, November 2026.
const GIB_USD_HOURLY: f64 = 0.000_16;
/// Storage is usable within half an hour; its optimisation goes on for hours.
const PROVISIONING_S: u32 = 1800;
/// RDS user guide, "Increasing DB instance storage capacity": no other change for six hours, or until storage optimisation is
/// over.
const SPACED: DailyLimit = DailyLimit::Spaced { every_s: 6 * 3_600 };
/// RDS API reference, ModifyDBInstance: what is less than 10 % more is rounded up to that.
const LEAST_STEP: f64 = 0.1;
/// A database without storage stops, and growing takes hours.
const TARGET_PERCENT: f64 = 80.0;

/// Storage of an RDS instance in GiB. It only grows.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct RdsStorage {
    #[serde(flatten)]
    common: Common,
    /// Smallest number of units.
    min_capacity: u32,
    /// Largest number of units.
    #[schemars(range(max = 65536))]
    max_capacity: u32,
    /// Percent of the storage to use. Default 80.
    #[schemars(range(min = 1, max = 100))]
    target_utilization: Option<f64>,
}

impl Kind for RdsStorage {
    const GUIDE: Guide = Guide {
        example: "{type: RDS_STORAGE, name: orders, min_capacity: 100, max_capacity: 1000}",
        also: ", in GiB",
        dimensions: None,
        measured_by: "storage in use",
        target: "`target_utilization`, 80",
        never: &[
            "It never grows storage while RDS optimises it, or above the threshold of RDS's own storage autoscaling.",
        ],
    };

    fn describe(self, draft: &mut Draft<'_>) -> ResourceSpec {
        draft.lower_case(&self.common.name);
        if self.common.mode == Some(Mode::Floor) {
            draft.fault(&["mode"], "must be `desired`: what RDS itself grows by is bounded by the instance's own threshold");
        }
        let percent = draft.or(&["target_utilization"], self.target_utilization, TARGET_PERCENT);
        let facts = Facts {
            is_served: true,
            scaling: Scaling::OutOnly,
            undo: Undo::None,
            daily_limit: Some(SPACED),
            least_step: LEAST_STEP,
            ..Facts::of_storage_at(GIB_USD_HOURLY)
        };
        let named = [("DBInstanceIdentifier", self.common.name.as_str())];
        let left = published("AWS/RDS", "FreeStorageSpace", named, ("Minimum", Rate::LeftOfGib));
        let storage = DimensionSpec::only("storage", self.min_capacity, self.max_capacity, facts)
            .metrics([utilization("used", percent, left)]);
        ResourceSpec {
            common: self.common,
            named: Some(Named::DbInstance),
            within: Vec::new(),
            adapter: Some(Adapter::RdsStorage),
            dimensions: vec![storage],
            provisioning_s: PROVISIONING_S,
        }
    }
}
