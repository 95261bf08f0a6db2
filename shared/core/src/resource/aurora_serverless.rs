//! Capacity units (ACU, in halves) of an Aurora Serverless v2 cluster.

use schemars::JsonSchema;
use serde::Deserialize;

use super::schema::{Common, Range};
use super::{
    Adapter, DimensionSpec, Draft, Facts, Guide, Kind, Metric, Mode, Named, Rate, ResourceSpec,
    TARGET_UTILIZATION, average, published, utilization,
};
use crate::scalar::Span;
use crate::units::Units;

/// Half an ACU: us-east-1, Aurora Standard, <https://aws.amazon.com/rds/aurora/pricing/>, November 2026.
const HALF_ACU_USD_HOURLY: f64 = 0.06;
/// A maximum is a permission, and costs nothing until it is used.
const MAXIMUM_USD_HOURLY: f64 = 0.0;
/// Capacity follows a new minimum within seconds.
const PROVISIONING_S: u32 = 15;
/// An instance that is not paused has half an ACU, whatever its minimum.
const AWAKE: Units = Units(1);
/// RDS API reference, ServerlessV2ScalingConfiguration: idle for so many seconds, from five minutes to a day.
const PAUSE_S: std::ops::RangeInclusive<u64> = 300..=86_400;

/// Capacity units (ACU, in halves) of an Aurora Serverless v2 cluster.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct AuroraServerless {
    #[serde(flatten)]
    common: Common,
    /// Smallest ACU that the cluster's minimum is set to, in halves; 0 with `auto_pause` only.
    #[schemars(range(min = 0, max = 256))]
    min_capacity: f64,
    /// Largest ACU that the cluster's minimum is set to, in halves.
    #[schemars(range(min = 1, max = 256))]
    max_capacity: f64,
    /// Bounds of the cluster's maximum, where that is to move too. Default: it stays as it is in AWS.
    maximum: Option<AcuRange>,
    /// Percent of the CPU to use at the cluster's minimum. Default 70.
    #[schemars(range(min = 1, max = 100))]
    target_cpu_utilization: Option<f64>,
    /// Percent of the cluster's maximum to use, where that moves. Default 70.
    #[schemars(range(min = 1, max = 100))]
    target_acu_utilization: Option<f64>,
    /// Whether the cluster may pause when idle, which AWS lets it do while its minimum is 0. A paused cluster is not woken
    /// by a scale-in.
    auto_pause: Option<bool>,
    /// How long it must be idle before it pauses, from 5m to 1d. Default AWS's own, 5m.
    auto_pause_delay: Option<Span>,
}

/// A smallest and a largest number of ACU, in halves.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AcuRange {
    #[schemars(range(min = 1, max = 256))]
    min: f64,
    #[schemars(range(min = 1, max = 256))]
    max: f64,
}

impl Kind for AuroraServerless {
    const GUIDE: Guide = Guide {
        example: "{type: AURORA_SERVERLESS, name: orders, min_capacity: 0.5, max_capacity: 16, maximum: {min: 16, max: 64}}",
        also: ", units are halves of an ACU",
        dimensions: None,
        measured_by: "CPU of the busiest instance; `maximum`: ACU in use",
        target: "`target_cpu_utilization`, `target_acu_utilization`, 70",
        never: &[
            "It never wakes a paused cluster to scale it in.",
            "It never moves the cluster's maximum, unless `maximum` gives it bounds.",
            "It never changes the cluster while AWS changes it, or while a change waits for its maintenance window.",
        ],
    };

    fn describe(self, draft: &mut Draft<'_>) -> ResourceSpec {
        draft.lower_case(&self.common.name);
        self.check(draft);
        let range = Range {
            min: halves(draft, &["min_capacity"], self.min_capacity),
            max: halves(draft, &["max_capacity"], self.max_capacity),
        };
        let given = self.target_cpu_utilization;
        let cpu = draft.target(("target_cpu_utilization", "CPUUtilization"), given, Some(TARGET_UTILIZATION));
        let facts = Facts {
            is_served: true,
            shown: vec![average(
                "AWS/RDS",
                "ServerlessDatabaseCapacity",
                [("DBClusterIdentifier", self.common.name.as_str())],
            )],
            serves_at_none: if self.auto_pause == Some(true) { AWAKE } else { Units(0) },
            ..Facts::of_storage_at(HALF_ACU_USD_HOURLY)
        };
        let minimum = DimensionSpec::new("minimum", &["max_capacity"], range, facts)
            .metrics(cpu.map(|cpu| self.busiest("cpu", "CPUUtilization", cpu)));
        let maximum = self.maximum.map(|range| self.ceiling(draft, range));
        let pause_after_s = self.auto_pause_delay.and_then(|span| u32::try_from(span.0.as_secs()).ok());
        ResourceSpec {
            common: self.common,
            named: Some(Named::DbCluster),
            within: Vec::new(),
            adapter: Some(Adapter::AuroraServerless { pause_after_s }),
            dimensions: [minimum].into_iter().chain(maximum).collect(),
            provisioning_s: PROVISIONING_S,
        }
    }
}

impl AuroraServerless {
    fn check(&self, draft: &mut Draft<'_>) {
        let pauses = self.auto_pause == Some(true);
        if self.common.mode == Some(Mode::Desired) {
            draft.fault(
                &["mode"],
                "must be `floor`: Aurora itself moves the capacity between its minimum and its maximum",
            );
        }
        if self.min_capacity == 0.0 && !pauses {
            draft.fault(&["min_capacity"], "must be at least 0.5 without `auto_pause: true`: at 0 AWS pauses the cluster");
        }
        if 0.0 < self.min_capacity && pauses {
            draft.warn(&["auto_pause"], "pauses nothing: AWS pauses a cluster only while its minimum is 0; write `min_capacity: 0`");
        }
        let Some(delay) = self.auto_pause_delay else { return };
        if !PAUSE_S.contains(&delay.0.as_secs()) {
            draft.fault(&["auto_pause_delay"], "must be from 5m to 1d");
        }
        if !pauses {
            draft.warn(&["auto_pause_delay"], "says nothing without `auto_pause: true`");
        }
    }

    /// The cluster's own maximum. What is in use of it is what Aurora itself chose.
    fn ceiling(&self, draft: &mut Draft<'_>, range: AcuRange) -> DimensionSpec {
        let halves = Range {
            min: halves(draft, &["maximum", "min"], range.min),
            max: halves(draft, &["maximum", "max"], range.max),
        };
        let percent = draft.or(&["target_acu_utilization"], self.target_acu_utilization, TARGET_UTILIZATION);
        let facts = Facts { is_served: true, ..Facts::of_storage_at(MAXIMUM_USD_HOURLY) };
        DimensionSpec::new("maximum", &["maximum"], halves, facts)
            .metrics([self.busiest("acu", "ACUUtilization", percent)])
    }

    /// A utilisation of the busiest instance, since the minimum and the maximum are those of each. Of Aurora Serverless v2 both
    /// are percent of the cluster's maximum: Aurora user guide, "Important Amazon CloudWatch metrics for Aurora Serverless v2".
    fn busiest(&self, name: &str, metric_name: &str, percent: f64) -> Metric {
        let named = [("DBClusterIdentifier", self.common.name.as_str())];
        utilization(name, percent, published("AWS/RDS", metric_name, named, ("Maximum", Rate::Level)))
    }
}

fn halves(draft: &mut Draft<'_>, at: &[&str], given: f64) -> u32 {
    let halves = given * 2.0;
    if halves.fract() != 0.0 {
        draft.fault(at, format!("must be in halves of an ACU, such as 0.5 or 1, not {given}"));
    }
    Units::at_least(halves).0
}

#[cfg(test)]
mod tests {
    use crate::config::parse;

    fn file(rest: &str) -> String {
        format!(
            "configuration_name: shop\nscaling_groups: {{in: {{resources: [{{type: AURORA_SERVERLESS, name: orders, \
             max_capacity: 16, {rest}}}]}}}}\n"
        )
    }

    #[test]
    fn units_are_halves_and_percent_are_of_the_maximum() {
        let text = file("min_capacity: 0.5, maximum: {min: 16, max: 64}, target_cpu_utilization: 60");
        let platform = parse(&text).unwrap().platform;
        let told: Vec<String> = platform
            .dimensions()
            .map(|place| {
                let dimension = place.dimension;
                let metric = &dimension.metrics[0];
                let line = metric.query.as_ref().unwrap().line();
                format!("{} {:?} {line} {:?}", dimension.key, dimension.bounds, metric.measure)
            })
            .collect();
        assert_eq!(
            told,
            [
                "orders/minimum Bounds { min: Units(1), max: Units(32) } AWS/RDS CPUUtilization \
                 DBClusterIdentifier=orders Maximum Utilization { target: 60.0, limit: 100.0 }",
                "orders/maximum Bounds { min: Units(32), max: Units(128) } AWS/RDS ACUUtilization \
                 DBClusterIdentifier=orders Maximum Utilization { target: 70.0, limit: 100.0 }",
            ]
        );
    }

    #[test]
    fn what_aurora_refuses_is_a_fault() {
        for (rest, fault) in [
            ("min_capacity: 0", "min_capacity: must be at least 0.5 without `auto_pause: true`"),
            ("min_capacity: 0, auto_pause: true, auto_pause_delay: 60", "auto_pause_delay: must be from 5m to 1d"),
            ("min_capacity: 1, mode: desired", "mode: must be `floor`"),
            ("min_capacity: 1, maximum: {min: 0.5, max: 4}", "maximum.min"),
            ("min_capacity: 1, maximum: {min: 1.2, max: 4}", "maximum.min: must be in halves of an ACU"),
        ] {
            let faults = parse(&file(rest)).unwrap_err();
            assert!(faults.0.iter().any(|told| told.to_string().contains(fault)), "{faults:?}");
        }
        assert!(parse(&file("min_capacity: 0, auto_pause: true, auto_pause_delay: 300")).is_ok());
    }
}
