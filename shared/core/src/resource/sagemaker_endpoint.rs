//! Instances of one variant of a SageMaker endpoint.

use schemars::JsonSchema;
use serde::Deserialize;

use super::schema::{Common, Missing};
use super::{
    Adapter, DimensionSpec, Draft, Facts, Guide, Kind, Measure, Metric, Named, Query, Rate, ResourceSpec,
    ScalableTargetId, Undo, published, TrackedMetric,
};

/// An ml.m5.xlarge: us-east-1, real-time inference, <https://aws.amazon.com/sagemaker/ai/pricing/>, November 2026.
const INSTANCE_USD_HOURLY: f64 = 0.23;
/// An instance boots, and loads its container and its model.
const PROVISIONING_S: u32 = 420;

/// Instances of one variant of a SageMaker endpoint.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct SageMakerEndpoint {
    #[serde(flatten)]
    common: Common,
    /// The production variant. Default `AllTraffic`.
    variant: Option<String>,
    /// Smallest number of units.
    min_capacity: u32,
    /// Largest number of units.
    max_capacity: u32,
    /// Invocations a minute that one instance should carry.
    #[schemars(extend("exclusiveMinimum" = 0))]
    target_invocations: Option<f64>,
    /// What a minute without points means: a variant that nobody invokes publishes none. Default unknown, which holds the
    /// instances.
    missing: Option<Missing>,
}

/// Invocations a minute of one instance, as we count them.
const TRACKED: &[TrackedMetric] = &[TrackedMetric::new(("AWS/SageMaker", "Invocations"), "SageMakerVariantInvocationsPerInstance")];

impl Kind for SageMakerEndpoint {
    const GUIDE: Guide = Guide {
        example: "{type: SAGEMAKER_ENDPOINT, name: ranking, target_invocations: 600, min_capacity: 1, max_capacity: 6}",
        also: " (`variant`, default `AllTraffic`)",
        dimensions: None,
        measured_by: "invocations, if `target_invocations` says how many an instance carries",
        target: "`target_invocations` a minute, no default",
        never: &[
            "It never changes another variant's instances, or any weight.",
            "It never changes an endpoint while SageMaker updates it.",
            "It never changes a serverless variant, or one with managed instance scaling.",
        ],
    };

    fn describe(self, draft: &mut Draft<'_>) -> ResourceSpec {
        let variant = draft.or(&["variant"], self.variant.clone(), "AllTraffic".to_owned());
        draft.plain(&["variant"], &variant, "the variant's name");
        self.check(draft);
        // What is set comes back, on other instances.
        let facts = Facts { is_served: true, undo: Undo::Partial, tracked: TRACKED, ..Facts::of_units_at(INSTANCE_USD_HOURLY) };
        let desired = DimensionSpec::only("desired", self.min_capacity, self.max_capacity, facts);
        let id = format!("endpoint/{}/variant/{variant}", self.common.name);
        let target = ScalableTargetId::new("sagemaker", id, "sagemaker:variant:DesiredInstanceCount");
        let dimensions = vec![desired.metrics(self.invocations(&variant)).target(target)];
        ResourceSpec {
            common: self.common,
            named: Some(Named::Endpoint),
            within: vec![variant.clone()],
            adapter: Some(Adapter::EndpointVariant { variant }),
            dimensions,
            provisioning_s: PROVISIONING_S,
        }
    }
}

impl SageMakerEndpoint {
    fn check(&self, draft: &mut Draft<'_>) {
        if self.min_capacity == 0 {
            draft.fault(&["min_capacity"], "must be at least 1; a variant has no fewer instances");
        }
        if self.target_invocations.is_none()
            && self.common.metrics.as_deref().unwrap_or_default().is_empty()
        {
            draft.warn(
                &[],
                "is held at its bounds: nobody but you knows what an instance carries; write `target_invocations`, or name \
                 `metrics`",
            );
        }
    }

    fn invocations(&self, variant: &str) -> Option<Metric> {
        let target_per_unit = self.target_invocations?;
        let named = [("EndpointName", self.common.name.as_str()), ("VariantName", variant)];
        let query = published("AWS/SageMaker", "Invocations", named, ("Sum", Rate::PerMinute));
        let query = Query { missing_is_zero: self.missing == Some(Missing::Zero), ..query };
        let measure = Measure::Load { target_per_unit, limit_per_unit: None };
        Some(Metric { name: "invocations".to_owned(), measure, query: Some(query) })
    }
}

#[cfg(test)]
mod tests {
    use crate::config::parse;

    fn file(rest: &str) -> String {
        format!(
            "configuration_name: shop\nscaling_groups: {{app: {{resources: [{{type: SAGEMAKER_ENDPOINT, name: ranking, \
             max_capacity: 6, {rest}}}]}}}}\n"
        )
    }

    #[test]
    fn instances_follow_the_invocations_of_their_variant() {
        let text = file("min_capacity: 1, target_invocations: 600, variant: blue, missing: zero");
        let platform = parse(&text).unwrap().platform;
        let dimension = platform.dimensions().next().unwrap().dimension;
        let metric = &dimension.metrics[0];
        let query = metric.query.as_ref().unwrap();
        assert_eq!(query.line(), "AWS/SageMaker Invocations EndpointName=ranking,VariantName=blue Sum");
        assert_eq!((metric.counted_s(), query.missing_is_zero), (Some(60.0), true));
        assert_eq!(metric.measure.target_per_unit(), Some(600.0));
    }

    #[test]
    fn what_is_missing_or_impossible_is_said() {
        let parsed = parse(&file("min_capacity: 1")).unwrap();
        let said: Vec<String> = parsed.warnings.iter().map(ToString::to_string).collect();
        assert!(said.iter().any(|warning| warning.contains("write `target_invocations`")), "{said:?}");
        let faults = parse(&file("min_capacity: 0, target_invocations: 600")).unwrap_err();
        assert!(faults.0[0].to_string().contains("min_capacity: must be at least 1"), "{faults:?}");
    }
}
