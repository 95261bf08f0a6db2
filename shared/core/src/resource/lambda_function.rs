//! Provisioned and reserved concurrency of a Lambda function.

use schemars::JsonSchema;
use serde::Deserialize;

use super::schema::{Common, Range};
use super::{DimensionSpec, Draft, Facts, Guide, Kind, Named, ResourceSpec, ScalableTargetId};

/// A GB of provisioned concurrency: us-east-1, x86, <https://aws.amazon.com/lambda/pricing/>, November 2026.
const GB_USD_HOURLY: f64 = 0.015;
/// Provisioned concurrency is allocated within minutes.
const PROVISIONING_S: u32 = 180;

/// Provisioned and reserved concurrency of a Lambda function.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "targets wait for this type's adapter")]
pub(crate) struct LambdaFunction {
    #[serde(flatten)]
    common: Common,
    /// The alias or version that has provisioned concurrency.
    qualifier: Option<String>,
    provisioned_concurrency: Option<Range>,
    reserved_concurrency: Option<Range>,
    /// Percent of the concurrency to use. Default 70.
    #[schemars(range(min = 1, max = 100))]
    target_utilization: Option<f64>,
}

impl Kind for LambdaFunction {
    const GUIDE: Guide = Guide {
        example: "{type: LAMBDA_FUNCTION, name: checkout, qualifier: live, provisioned_concurrency: {min: 1, max: 100}, reserved_concurrency: {min: 50, max: 500}}",
        also: "",
        dimensions: None,
        measured_by: "",
        target: "",
    };

    fn describe(self, draft: &mut Draft<'_>) -> ResourceSpec {
        if let Some(qualifier) = &self.qualifier {
            draft.named(&["qualifier"], Named::Qualifier, qualifier);
        }
        let provisioned = self.provisioned_concurrency.map(|range| {
            let facts = Facts::of_units_at(GB_USD_HOURLY);
            let dimension = DimensionSpec::new("provisioned", &["provisioned_concurrency"], range, facts);
            let id = self.qualifier.as_ref().map(|qualifier| format!("function:{}:{qualifier}", self.common.name));
            let target = |id| ScalableTargetId::new("lambda", id, "lambda:function:ProvisionedConcurrency");
            match id {
                Some(id) => dimension.target(target(id)),
                None => dimension,
            }
        });
        let reserved = self.reserved_concurrency.map(|range| {
            // What is reserved has no price: it is kept from other functions.
            DimensionSpec::new("reserved", &["reserved_concurrency"], range, Facts::of_units_at(0.0))
        });
        ResourceSpec {
            common: self.common,
            named: Some(Named::Function),
            within: self.qualifier.into_iter().collect(),
            adapter: None,
            dimensions: provisioned.into_iter().chain(reserved).collect(),
            provisioning_s: PROVISIONING_S,
        }
    }
}
