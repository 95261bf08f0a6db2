//! Tasks of an ECS service.

use schemars::JsonSchema;
use serde::Deserialize;

use super::schema::Common;
use super::{
    Adapter, DimensionSpec, Draft, Facts, Guide, Kind, Named, Rate, ResourceSpec, ScalableTargetId,
    TARGET_UTILIZATION, average, published, utilization, TrackedMetric,
};

/// About one vCPU with 2 GB on Fargate: us-east-1, Linux on x86, <https://aws.amazon.com/fargate/pricing/>, November 2026.
const TASK_USD_HOURLY: f64 = 0.05;
/// An image is pulled and passes its health check within a minute.
const PROVISIONING_S: u32 = 60;

const TRACKED: &[TrackedMetric] = &[
    TrackedMetric::new(("AWS/ECS", "CPUUtilization"), "ECSServiceAverageCPUUtilization"),
    TrackedMetric::new(("AWS/ECS", "MemoryUtilization"), "ECSServiceAverageMemoryUtilization"),
];

/// Tasks of an ECS service.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct EcsService {
    #[serde(flatten)]
    common: Common,
    /// The ECS cluster. Default `default`.
    cluster: Option<String>,
    /// Smallest number of units.
    min_capacity: u32,
    /// Largest number of units.
    max_capacity: u32,
    /// Percent of the CPU to use. Default 70, where neither a target nor `metrics` say otherwise.
    #[schemars(range(min = 1, max = 100))]
    target_cpu_utilization: Option<f64>,
    /// Percent of the memory to use. Without it memory does not count.
    #[schemars(range(min = 1, max = 100))]
    target_memory_utilization: Option<f64>,
}

impl Kind for EcsService {
    const GUIDE: Guide = Guide {
        example: "{type: ECS_SERVICE, name: orders, cluster: prod, min_capacity: 2, max_capacity: 60}",
        also: " (`cluster`, default `default`)",
        dimensions: None,
        measured_by: "average CPU and memory, whichever has a target; CPU if neither has",
        target: "`target_cpu_utilization`, `target_memory_utilization`, 70",
        never: &[
            "It never starts a deployment and never names another task definition.",
            "It never changes a daemon service, whose tasks are its instances'.",
        ],
    };

    fn describe(self, draft: &mut Draft<'_>) -> ResourceSpec {
        let cluster = draft.or(&["cluster"], self.cluster, "default".to_owned());
        draft.named(&["cluster"], Named::EcsCluster, &cluster);
        let memory = draft.target(("target_memory_utilization", "memory"), self.target_memory_utilization, None);
        let default = (self.common.metrics.is_none() && memory.is_none()).then_some(TARGET_UTILIZATION);
        let cpu = draft.target(("target_cpu_utilization", "cpu"), self.target_cpu_utilization, default);
        let named = [("ClusterName", cluster.as_str()), ("ServiceName", self.common.name.as_str())];
        let metrics = [("cpu", "CPUUtilization", cpu), ("memory", "MemoryUtilization", memory)];
        let metrics = metrics.into_iter().filter_map(|(name, metric_name, target)| {
            Some(utilization(name, target?, average("AWS/ECS", metric_name, named)))
        });
        let facts = Facts {
            is_served: true,
            has_target_groups: true,
            tracked: TRACKED,
            shown: ["CPUUtilization", "MemoryUtilization"].map(|name| average("AWS/ECS", name, named)).into(),
            // Every task reports its utilisation once a minute, so the samples a minute are the tasks.
            past_capacity: Some(published(
                "AWS/ECS",
                "CPUUtilization",
                named,
                ("SampleCount", Rate::PerMinute),
            )),
            ..Facts::of_units_at(TASK_USD_HOURLY)
        };
        let target = ScalableTargetId::new(
            "ecs",
            format!("service/{cluster}/{}", self.common.name),
            "ecs:service:DesiredCount",
        );
        let desired = DimensionSpec::only("desired", self.min_capacity, self.max_capacity, facts);
        let dimensions = vec![desired.metrics(metrics).target(target)];
        ResourceSpec {
            common: self.common,
            named: Some(Named::EcsService),
            within: vec![cluster.clone()],
            adapter: Some(Adapter::EcsService { cluster }),
            dimensions,
            provisioning_s: PROVISIONING_S,
        }
    }
}
