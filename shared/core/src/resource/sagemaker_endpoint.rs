//! Instances of one variant of a SageMaker endpoint.

use schemars::JsonSchema;
use serde::Deserialize;

use super::schema::Common;
use super::{DimensionSpec, Draft, Facts, Guide, Kind, Named, ResourceSpec, ScalableTargetId};

/// An ml.m5.xlarge: us-east-1, real-time inference, <https://aws.amazon.com/sagemaker/ai/pricing/>, November 2026.
const INSTANCE_USD_HOURLY: f64 = 0.23;
/// An instance boots, and loads its container and its model.
const PROVISIONING_S: u32 = 420;

/// Instances of one variant of a SageMaker endpoint.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "targets wait for this type's adapter")]
pub(crate) struct SageMakerEndpoint {
    #[serde(flatten)]
    common: Common,
    /// The production variant. Default `AllTraffic`.
    variant: Option<String>,
    min_capacity: u32,
    max_capacity: u32,
    /// Invocations a minute that one instance should carry.
    #[schemars(extend("exclusiveMinimum" = 0))]
    target_invocations: Option<f64>,
}

impl Kind for SageMakerEndpoint {
    const GUIDE: Guide = Guide {
        example: "{type: SAGEMAKER_ENDPOINT, name: ranking, min_capacity: 1, max_capacity: 6}",
        also: "",
        dimensions: None,
        measured_by: "",
        target: "",
    };

    fn describe(self, draft: &mut Draft<'_>) -> ResourceSpec {
        let variant = self.variant.unwrap_or_else(|| "AllTraffic".to_owned());
        draft.plain(&["variant"], &variant, "the variant's name");
        let facts = Facts::of_units_at(INSTANCE_USD_HOURLY);
        let desired = DimensionSpec::only("desired", self.min_capacity, self.max_capacity, facts);
        let id = format!("endpoint/{}/variant/{variant}", self.common.name);
        let target = ScalableTargetId::new("sagemaker", id, "sagemaker:variant:DesiredInstanceCount");
        ResourceSpec {
            common: self.common,
            named: Some(Named::Endpoint),
            within: vec![variant],
            adapter: None,
            dimensions: vec![desired.target(target)],
            provisioning_s: PROVISIONING_S,
        }
    }
}
