//! Throttle of an API Gateway stage, in requests a second.

use schemars::JsonSchema;
use serde::Deserialize;

use super::schema::{Common, Missing};
use super::{
    Adapter, DimensionSpec, Draft, Facts, Guide, Kind, Measure, Metric, Mode, Named, Query, Rate, ResourceSpec,
    TARGET_UTILIZATION, published,
};

/// A throttle is a setting and has no price: <https://aws.amazon.com/api-gateway/pricing/>, November 2026.
const REQUEST_USD_HOURLY: f64 = 0.0;
/// A new throttle reaches every part of the service within seconds.
const PROVISIONING_S: u32 = 10;

/// Throttle of an API Gateway stage, in requests a second.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct ApiGatewayStage {
    #[serde(flatten)]
    common: Common,
    /// The stage's name.
    stage: String,
    /// The name of the API, as CloudWatch has it. `name` is its id.
    api_name: Option<String>,
    /// Smallest number of units.
    min_capacity: u32,
    /// Largest number of units.
    max_capacity: u32,
    /// Percent of the throttle to use. Default 70, where `api_name` says of which requests.
    #[schemars(range(min = 1, max = 100))]
    target_utilization: Option<f64>,
    /// What a minute without points means: a stage that nobody asks publishes none. Default unknown, which holds the
    /// throttle.
    missing: Option<Missing>,
}

impl Kind for ApiGatewayStage {
    const GUIDE: Guide = Guide {
        example: "{type: API_GATEWAY_STAGE, name: a1b2c3, api_name: shop, stage: prod, min_capacity: 100, max_capacity: 5000}",
        also: " (`stage`), REST APIs",
        dimensions: None,
        measured_by: "requests a second of `api_name`",
        target: "`target_utilization`, 70",
        never: &[
            "It never changes the throttle of a method or a usage plan.",
            "It never touches a stage that has no throttle for all methods, or one that lets nothing in.",
            "It never raises the throttle while what is behind it has less than its load needs.",
        ],
    };

    fn describe(self, draft: &mut Draft<'_>) -> ResourceSpec {
        draft.named(&["stage"], Named::ApiStage, &self.stage);
        if self.min_capacity == 0 {
            draft.fault(&["min_capacity"], "must be at least 1; a stage that lets nothing in is switched off");
        }
        if self.common.mode == Some(Mode::Floor) {
            draft.fault(&["mode"], "must be `desired`: AWS has no policy of its own that a floor could lie under");
        }
        let facts =
            Facts { is_served: true, is_throttle: true, ..Facts::of_units_at(REQUEST_USD_HOURLY) };
        let throttle = DimensionSpec::only("throttle", self.min_capacity, self.max_capacity, facts);
        let dimensions = vec![throttle.metrics(self.requests(draft))];
        ResourceSpec {
            common: self.common,
            named: Some(Named::Api),
            within: vec![self.stage.clone()],
            adapter: Some(Adapter::ApiStage { stage: self.stage }),
            dimensions,
            provisioning_s: PROVISIONING_S,
        }
    }
}

impl ApiGatewayStage {
    /// Requests a second, of which a unit lets one in.
    fn requests(&self, draft: &mut Draft<'_>) -> Option<Metric> {
        let Some(api) = &self.api_name else {
            if self.common.metrics.as_deref().unwrap_or_default().is_empty() {
                draft.warn(
                    &[],
                    "is held at its bounds: CloudWatch knows the API by its name and not by its id; write `api_name`, or name \
                     `metrics`",
                );
            }
            return None;
        };
        let percent = draft.or(&["target_utilization"], self.target_utilization, TARGET_UTILIZATION);
        let named = [("ApiName", api.as_str()), ("Stage", self.stage.as_str())];
        let query = published("AWS/ApiGateway", "Count", named, ("Sum", Rate::PerSecond));
        let query = Query { missing_is_zero: self.missing == Some(Missing::Zero), ..query };
        let measure = Measure::Load { target_per_unit: percent / 100.0, limit_per_unit: None };
        Some(Metric { name: "requests".to_owned(), measure, query: Some(query) })
    }
}

#[cfg(test)]
mod tests {
    use crate::config::parse;

    fn file(rest: &str) -> String {
        format!(
            "configuration_name: shop\nscaling_groups: {{edge: {{resources: [{{type: API_GATEWAY_STAGE, name: a1b2c3, \
             stage: prod, max_capacity: 5000, {rest}}}]}}}}\n"
        )
    }

    #[test]
    fn a_unit_lets_one_request_a_second_in() {
        let text = file("min_capacity: 100, api_name: shop, target_utilization: 50");
        let platform = parse(&text).unwrap().platform;
        let dimension = platform.dimensions().next().unwrap().dimension;
        let metric = &dimension.metrics[0];
        assert_eq!(metric.query.as_ref().unwrap().line(), "AWS/ApiGateway Count ApiName=shop,Stage=prod Sum");
        assert_eq!((metric.counted_s(), metric.measure.target_per_unit()), (Some(1.0), Some(0.5)));
        assert!(dimension.facts.is_throttle);
    }

    #[test]
    fn what_is_missing_or_impossible_is_said() {
        let parsed = parse(&file("min_capacity: 100")).unwrap();
        let said: Vec<String> = parsed.warnings.iter().map(ToString::to_string).collect();
        assert!(said.iter().any(|warning| warning.contains("write `api_name`")), "{said:?}");
        for (rest, fault) in [
            ("min_capacity: 0", "min_capacity: must be at least 1"),
            ("min_capacity: 2, mode: floor", "mode: must be `desired`"),
        ] {
            let faults = parse(&file(rest)).unwrap_err();
            assert!(faults.0.iter().any(|told| told.to_string().contains(fault)), "{faults:?}");
        }
    }
}
