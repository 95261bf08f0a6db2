//! Instances of an EC2 Auto Scaling group.

use schemars::JsonSchema;
use serde::Deserialize;

use super::schema::{Common, Range};
use super::{
    Adapter, DimensionSpec, Draft, Facts, Guide, Kind, Named, Query, ResourceSpec, TARGET_UTILIZATION, average,
    utilization, TrackedMetric, Undo,
};

/// About an m5.large: us-east-1, on demand, Linux, <https://aws.amazon.com/ec2/pricing/on-demand/>, November 2026.
const INSTANCE_USD_HOURLY: f64 = 0.10;
/// The disk of a stopped instance: 20 GB of gp3 at $0.08 a month in us-east-1, <https://aws.amazon.com/ebs/pricing/>, November 2026.
const STOPPED_USD_HOURLY: f64 = 0.0022;
/// The dimension of instances that serve.
const DESIRED: &str = "desired";
const TRACKED: &[TrackedMetric] = &[TrackedMetric::new(("AWS/EC2", "CPUUtilization"), "ASGAverageCPUUtilization")];
/// A usual image boots and passes its health checks in three minutes.
const PROVISIONING_S: u32 = 180;

/// Instances of an EC2 Auto Scaling group.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Ec2AutoScalingGroup {
    #[serde(flatten)]
    common: Common,
    /// Smallest number of units.
    min_capacity: u32,
    /// Largest number of units.
    max_capacity: u32,
    /// Percent of the CPU to use. Default 70, where neither a target nor `metrics` say otherwise.
    #[schemars(range(min = 1, max = 100))]
    target_cpu_utilization: Option<f64>,
    /// Instances kept started beforehand and stopped, between these numbers: as many as the load may need sooner than a new
    /// instance could be ready. `{min: 0, max: 0}` takes the pool away.
    warm_pool: Option<Range>,
}

impl Kind for Ec2AutoScalingGroup {
    const GUIDE: Guide = Guide {
        example: "{type: EC2_AUTO_SCALING_GROUP, name: shop-web, min_capacity: 2, max_capacity: 40, warm_pool: {min: 0, max: 5}}",
        also: "",
        dimensions: None,
        measured_by: "average CPU",
        target: "`target_cpu_utilization`, 70",
        never: &[
            "It never changes the group's maximum, its launch template or its policies.",
            "It never changes the group while an instance refresh runs.",
            "It never touches a warm pool where the file has no `warm_pool`.",
        ],
    };

    fn describe(self, draft: &mut Draft<'_>) -> ResourceSpec {
        let default = self.common.metrics.is_none().then_some(TARGET_UTILIZATION);
        let cpu = draft.target(("target_cpu_utilization", "cpu"), self.target_cpu_utilization, default);
        let query = average("AWS/EC2", "CPUUtilization", [("AutoScalingGroupName", &self.common.name)]);
        if draft.has_target("memory") {
            draft.warn(
                &[],
                "EC2 publishes no memory utilisation by itself; name the agent's metric under `metrics`",
            );
        }
        let facts = Facts { is_served: true, has_target_groups: true, ..Facts::of_units_at(INSTANCE_USD_HOURLY) };
        let shown = vec![query.clone(), group_metric(&self.common.name, "GroupDesiredCapacity")];
        let past = group_metric(&self.common.name, IN_SERVICE);
        let facts = Facts { past_capacity: Some(past), shown, tracked: TRACKED, ..facts };
        let desired = DimensionSpec::only(DESIRED, self.min_capacity, self.max_capacity, facts);
        let mut dimensions = vec![desired.metrics(cpu.map(|target| utilization("cpu", target, query)))];
        dimensions.extend(self.warm_pool.map(|range| {
            let facts = Facts::of_units_at(STOPPED_USD_HOURLY);
            let shown = vec![group_metric(&self.common.name, "WarmPoolWarmedCapacity")];
            let facts = Facts { is_served: true, stands_by_for: Some(DESIRED), undo: Undo::Partial, shown, ..facts };
            DimensionSpec::new("warm_pool", &["warm_pool"], range, facts)
        }));
        ResourceSpec {
            common: self.common,
            named: Some(Named::AutoScalingGroup),
            within: Vec::new(),
            adapter: Some(Adapter::AutoScalingGroup),
            dimensions,
            provisioning_s: PROVISIONING_S,
        }
    }
}

/// The units that were in service, of groups whose metrics are collected: instances, or the sum of their weights.
const IN_SERVICE: &str = "GroupInServiceCapacity";

/// A metric of a group whose metrics are collected.
fn group_metric(group: &str, name: &str) -> Query {
    average("AWS/AutoScaling", name, [("AutoScalingGroupName", group)])
}
