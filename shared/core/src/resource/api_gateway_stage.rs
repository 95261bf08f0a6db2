//! Throttle of an API Gateway stage, in requests a second.

use schemars::JsonSchema;
use serde::Deserialize;

use super::schema::Common;
use super::{DimensionSpec, Draft, Facts, Guide, Kind, Named, ResourceSpec};

/// A throttle is a setting and has no price: <https://aws.amazon.com/api-gateway/pricing/>, November 2026.
const REQUEST_USD_HOURLY: f64 = 0.0;
/// A new throttle reaches every part of the service within seconds.
const PROVISIONING_S: u32 = 10;

/// Throttle of an API Gateway stage, in requests a second.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "targets wait for this type's adapter")]
pub(crate) struct ApiGatewayStage {
    #[serde(flatten)]
    common: Common,
    stage: String,
    min_capacity: u32,
    max_capacity: u32,
    /// Percent of the throttle to use. Default 70.
    #[schemars(range(min = 1, max = 100))]
    target_utilization: Option<f64>,
}

impl Kind for ApiGatewayStage {
    const GUIDE: Guide = Guide {
        example: "{type: API_GATEWAY_STAGE, name: a1b2c3, stage: prod, min_capacity: 100, max_capacity: 5000}",
        also: "",
        dimensions: None,
        measured_by: "",
        target: "",
    };

    fn describe(self, draft: &mut Draft<'_>) -> ResourceSpec {
        draft.named(&["stage"], Named::ApiStage, &self.stage);
        let facts = Facts::of_units_at(REQUEST_USD_HOURLY);
        let throttle = DimensionSpec::only("throttle", self.min_capacity, self.max_capacity, facts);
        ResourceSpec {
            common: self.common,
            named: Some(Named::Api),
            within: vec![self.stage],
            adapter: None,
            dimensions: vec![throttle],
            provisioning_s: PROVISIONING_S,
        }
    }
}
