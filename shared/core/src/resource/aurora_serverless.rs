//! Capacity units (ACU, in halves) of an Aurora Serverless v2 cluster.

use schemars::JsonSchema;
use serde::Deserialize;

use super::schema::Common;
use super::{DimensionSpec, Draft, Facts, Guide, Kind, Named, ResourceSpec};
use crate::scalar::Span;
use crate::units::Units;

/// Half an ACU: us-east-1, Aurora Standard, <https://aws.amazon.com/rds/aurora/pricing/>, November 2026.
const HALF_ACU_USD_HOURLY: f64 = 0.06;
/// Capacity follows a new minimum within seconds.
const PROVISIONING_S: u32 = 15;

/// Capacity units (ACU, in halves) of an Aurora Serverless v2 cluster.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "targets wait for this type's adapter")]
pub(crate) struct AuroraServerless {
    #[serde(flatten)]
    common: Common,
    /// Smallest ACU, in halves.
    #[schemars(range(min = 0, max = 256))]
    min_capacity: f64,
    /// Largest ACU, in halves.
    #[schemars(range(min = 0.5, max = 256))]
    max_capacity: f64,
    #[schemars(range(min = 1, max = 100))]
    target_cpu_utilization: Option<f64>,
    /// Whether the cluster may pause when idle. Left as it is in AWS; a paused cluster is not woken.
    auto_pause: Option<bool>,
    /// How long it must be idle before it pauses.
    auto_pause_delay: Option<Span>,
}

impl Kind for AuroraServerless {
    const GUIDE: Guide = Guide {
        example: "{type: AURORA_SERVERLESS, name: orders, min_capacity: 0.5, max_capacity: 16}",
        also: "",
        dimensions: None,
        measured_by: "",
        target: "",
    };

    fn describe(self, draft: &mut Draft<'_>) -> ResourceSpec {
        let mut halves = |key: &str, given: f64| {
            let halves = given * 2.0;
            if halves.fract() != 0.0 {
                draft.fault(&[key], format!("must be in halves of an ACU, such as 0.5 or 1, not {given}"));
            }
            Units::at_least(halves).0
        };
        let (min, max) = (halves("min_capacity", self.min_capacity), halves("max_capacity", self.max_capacity));
        let dimension =
            |name| DimensionSpec::only(name, min, max, Facts::of_storage_at(HALF_ACU_USD_HOURLY));
        ResourceSpec {
            common: self.common,
            named: Some(Named::DbCluster),
            within: Vec::new(),
            adapter: None,
            dimensions: ["minimum", "maximum"].map(dimension).into(),
            provisioning_s: PROVISIONING_S,
        }
    }
}
