//! Provisioned and reserved concurrency of a Lambda function.

use schemars::JsonSchema;
use serde::Deserialize;

use super::schema::{Common, Missing, Range};
use super::{
    Adapter, DimensionSpec, Draft, Facts, Guide, Kind, Measure, Metric, Named, Query, Rate, ResourceSpec,
    ScalableTargetId, TARGET_UTILIZATION, guard, published, TrackedMetric,
};

/// A GB of provisioned concurrency: us-east-1, x86, <https://aws.amazon.com/lambda/pricing/>, November 2026.
const GB_USD_HOURLY: f64 = 0.015;
/// Provisioned concurrency is allocated within minutes.
const PROVISIONING_S: u32 = 180;
/// Invocations a minute that are throttled, or spill over what is provisioned. One a second for a whole cycle is no accident
/// of a moment, and less is not worth a unit.
const LOST_MAX: f64 = 60.0;

/// Provisioned and reserved concurrency of a Lambda function.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct LambdaFunction {
    #[serde(flatten)]
    common: Common,
    /// The alias or version that has provisioned concurrency.
    qualifier: Option<String>,
    /// Bounds of the provisioned concurrency.
    provisioned_concurrency: Option<Range>,
    /// Bounds of the reserved concurrency.
    reserved_concurrency: Option<Range>,
    /// Percent of the concurrency to use. Default 70.
    #[schemars(range(min = 1, max = 100))]
    target_utilization: Option<f64>,
    /// What a minute without points means: a function that nobody invokes publishes none. Default unknown, which holds the
    /// concurrency.
    missing: Option<Missing>,
}

/// Its utilisation is a share of what is provisioned, and so is what one of it should run.
const TRACKED: &[TrackedMetric] = &[TrackedMetric::new(("AWS/Lambda", "ConcurrentExecutions"), "LambdaProvisionedConcurrencyUtilization")];

impl Kind for LambdaFunction {
    const GUIDE: Guide = Guide {
        example: "{type: LAMBDA_FUNCTION, name: checkout, qualifier: live, provisioned_concurrency: {min: 1, max: 100}, reserved_concurrency: {min: 50, max: 500}}",
        also: " (`qualifier`: an alias or a version)",
        dimensions: None,
        measured_by: "concurrent executions, and invocations that spill over or are throttled",
        target: "`target_utilization`, 70",
        never: &[
            "It never provisions concurrency for `$LATEST`.",
            "It never begins to reserve concurrency where none is reserved.",
            "It never leaves fewer than 100 executions of the account unreserved.",
        ],
    };

    fn describe(self, draft: &mut Draft<'_>) -> ResourceSpec {
        self.check(draft);
        let percent = draft.or(&["target_utilization"], self.target_utilization, TARGET_UTILIZATION);
        let dimensions = [self.provisioned(percent), self.reserved(percent)];
        ResourceSpec {
            named: Some(Named::Function),
            within: self.qualifier.into_iter().collect(),
            adapter: Some(Adapter::LambdaFunction),
            dimensions: dimensions.into_iter().flatten().collect(),
            provisioning_s: PROVISIONING_S,
            common: self.common,
        }
    }
}

impl LambdaFunction {
    fn check(&self, draft: &mut Draft<'_>) {
        const UNPUBLISHED: &str = "$LATEST";
        match self.qualifier.as_deref() {
            Some(UNPUBLISHED) => draft.fault(
                &["qualifier"],
                "must be an alias or a version; AWS provisions no concurrency for what is not published",
            ),
            Some(qualifier) => draft.named(&["qualifier"], Named::Qualifier, qualifier),
            None if self.provisioned_concurrency.is_some() => draft.fault(
                &["qualifier"],
                "is required beside `provisioned_concurrency`: the alias or the version that has it",
            ),
            None => (),
        }
        if self.reserved_concurrency.is_some_and(|range| range.min == 0) {
            draft.fault(
                &["reserved_concurrency", "min"],
                "must be at least 1; a function with nothing reserved but 0 is switched off",
            );
        }
    }

    fn provisioned(&self, percent: f64) -> Option<DimensionSpec> {
        let (range, qualifier) = (self.provisioned_concurrency?, self.qualifier.as_ref()?);
        let name = &self.common.name;
        let resource = format!("{name}:{qualifier}");
        let named = [("FunctionName", name.as_str()), ("Resource", resource.as_str())];
        let spillover =
            guard("spillover", LOST_MAX, ("AWS/Lambda", "ProvisionedConcurrencySpilloverInvocations", named));
        let shown = vec![
            published("AWS/Lambda", "ProvisionedConcurrentExecutions", named, ("Maximum", Rate::Level)),
            published("AWS/Lambda", "Throttles", [("FunctionName", name.as_str())], ("Sum", Rate::PerMinute)),
        ];
        let facts = Facts { is_served: true, shown, tracked: TRACKED, ..Facts::of_units_at(GB_USD_HOURLY) };
        let target = ScalableTargetId::new(
            "lambda",
            format!("function:{resource}"),
            "lambda:function:ProvisionedConcurrency",
        );
        let dimension = DimensionSpec::new("provisioned", &["provisioned_concurrency"], range, facts);
        Some(dimension.metrics([self.concurrency(percent, named), spillover]).target(target))
    }

    fn reserved(&self, percent: f64) -> Option<DimensionSpec> {
        let range = self.reserved_concurrency?;
        let named = [("FunctionName", self.common.name.as_str())];
        let throttles = guard("throttles", LOST_MAX, ("AWS/Lambda", "Throttles", named));
        // What is reserved has no price: it is kept from other functions. And nothing runs beyond it.
        let facts = Facts {
            is_served: true,
            carries: &[("ConcurrentExecutions", 1.0)],
            ..Facts::of_units_at(0.0)
        };
        let dimension = DimensionSpec::new("reserved", &["reserved_concurrency"], range, facts);
        Some(dimension.metrics([self.concurrency(percent, named), throttles]))
    }

    /// Executions at the same time. Those that spill over what is provisioned are among them, which its utilisation does not
    /// tell: that ends at 1.
    fn concurrency<const N: usize>(&self, percent: f64, named: [(&str, &str); N]) -> Metric {
        let query = published("AWS/Lambda", "ConcurrentExecutions", named, ("Maximum", Rate::Level));
        let query = Query { missing_is_zero: self.missing == Some(Missing::Zero), ..query };
        let measure = Measure::Load { target_per_unit: percent / 100.0, limit_per_unit: None };
        Metric { name: "concurrency".to_owned(), measure, query: Some(query) }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::parse;

    fn file(rest: &str) -> String {
        format!(
            "configuration_name: shop\nscaling_groups: {{app: {{resources: [{{type: LAMBDA_FUNCTION, name: checkout, \
             {rest}}}]}}}}\n"
        )
    }

    #[test]
    fn what_is_provisioned_is_measured_by_the_alias_and_what_is_reserved_by_the_function() {
        let text = file(
            "qualifier: live, provisioned_concurrency: {min: 0, max: 9}, reserved_concurrency: {min: 5, max: 90}, \
             missing: zero, target_utilization: 50",
        );
        let platform = parse(&text).unwrap().platform;
        let told: Vec<String> = platform
            .dimensions()
            .flat_map(|place| place.dimension.metrics.iter().map(move |metric| (place.dimension, metric)))
            .map(|(dimension, metric)| {
                let query = metric.query.as_ref().unwrap();
                format!("{} {} {:?} {}", dimension.key, query.line(), metric.measure, query.is_rare)
            })
            .collect();
        assert_eq!(
            told,
            [
                "checkout/provisioned AWS/Lambda ConcurrentExecutions FunctionName=checkout,Resource=checkout:live \
                 Maximum Load { target_per_unit: 0.5, limit_per_unit: None } false",
                "checkout/provisioned AWS/Lambda ProvisionedConcurrencySpilloverInvocations \
                 FunctionName=checkout,Resource=checkout:live Sum Latency { limit: 60.0 } true",
                "checkout/reserved AWS/Lambda ConcurrentExecutions FunctionName=checkout Maximum \
                 Load { target_per_unit: 0.5, limit_per_unit: None } false",
                "checkout/reserved AWS/Lambda Throttles FunctionName=checkout Sum Latency { limit: 60.0 } true",
            ]
        );
    }

    #[test]
    fn what_no_function_can_have_is_a_fault() {
        for (rest, fault) in [
            ("qualifier: $LATEST, provisioned_concurrency: {min: 1, max: 9}", "qualifier: must be an alias"),
            ("provisioned_concurrency: {min: 1, max: 9}", "qualifier: is required"),
            ("reserved_concurrency: {min: 0, max: 9}", "min: must be at least 1"),
        ] {
            let faults = parse(&file(rest)).unwrap_err();
            assert!(faults.0.iter().any(|told| told.to_string().contains(fault)), "{faults:?}");
        }
    }
}
