//! Replicas and shards of an ElastiCache replication group, of Valkey or Redis OSS.

use schemars::JsonSchema;
use serde::Deserialize;

use super::schema::{Common, Range};
use super::{
    Adapter, DimensionSpec, Draft, Facts, Guide, Kind, Metric, Named, Rate, ResourceSpec, ScalableTargetId,
    TARGET_UTILIZATION, Undo, average, published, utilization, TrackedMetric,
};

/// A cache.t3.medium: us-east-1, on demand, Redis OSS, <https://aws.amazon.com/elasticache/pricing/>, November 2026.
const NODE_USD_HOURLY: f64 = 0.068;
/// A node is made and fills its copy of the data in about ten minutes.
const REPLICAS_S: u32 = 600;
/// Slots are moved with their data, online, which takes longer than to make nodes.
const SHARDS_S: u32 = 1_800;
/// ElastiCache user guide, "Increasing the number of replicas in a shard": five at the most.
const REPLICAS_MAX: u32 = 5;

/// Replicas and shards of an ElastiCache replication group.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct ElastiCacheReplicationGroup {
    #[serde(flatten)]
    common: Common,
    /// Replicas of each shard.
    replicas: Option<Range>,
    /// Bounds of the shards.
    shards: Option<Range>,
    /// Percent of the engine's thread to use: of replicas for `replicas`, of primaries for `shards`. Default 70.
    #[schemars(range(min = 1, max = 100))]
    target_cpu_utilization: Option<f64>,
    /// Percent of the memory for data to use. Only `shards` make more of it. Default 70.
    #[schemars(range(min = 1, max = 100))]
    target_memory_utilization: Option<f64>,
}

impl Kind for ElastiCacheReplicationGroup {
    const GUIDE: Guide = Guide {
        example: "{type: ELASTICACHE_REPLICATION_GROUP, name: sessions, replicas: {min: 1, max: 3}, shards: {min: 2, max: 8}}",
        also: "",
        dimensions: None,
        measured_by: "the engine's CPU: of replicas for `replicas`, of primaries for `shards`, and their memory",
        target: "`target_cpu_utilization`, `target_memory_utilization`, 70",
        never: &[
            "It never takes the replica that Multi-AZ or automatic failover needs.",
            "It never changes the node type.",
        ],
    };

    fn describe(self, draft: &mut Draft<'_>) -> ResourceSpec {
        if self.replicas.is_some_and(|range| REPLICAS_MAX < range.max) {
            let sentence = format!("must be at most {REPLICAS_MAX}; a shard has no more replicas");
            draft.fault(&["replicas", "max"], sentence);
        }
        if self.shards.is_some_and(|range| range.min == 0) {
            draft.fault(&["shards", "min"], "must be at least 1; there is no group without a shard");
        }
        let default = Some(TARGET_UTILIZATION);
        let cpu = draft.target(("target_cpu_utilization", "cpu"), self.target_cpu_utilization, default);
        let memory = self.shards.and_then(|_| {
            let keys = ("target_memory_utilization", "memory");
            draft.target(keys, self.target_memory_utilization, default)
        });
        let provisioning_s = if self.shards.is_some() { SHARDS_S } else { REPLICAS_S };
        let name = self.common.name.as_str();
        let replicas = self.replicas.map(|range| replicas(name, range, cpu));
        let shards = self.shards.map(|range| shards(name, range, (cpu, memory)));
        let dimensions = replicas.into_iter().chain(shards).collect();
        ResourceSpec {
            common: self.common,
            named: Some(Named::ReplicationGroup),
            within: Vec::new(),
            adapter: Some(Adapter::ReplicationGroup),
            dimensions,
            provisioning_s,
        }
    }
}

const ENGINE_CPU: (&str, &str) = ("AWS/ElastiCache", "EngineCPUUtilization");
const TRACKED_REPLICAS: &[TrackedMetric] =
    &[TrackedMetric::new(ENGINE_CPU, "ElastiCacheReplicaEngineCPUUtilization")];
/// There is one of memory too, but of that which counts for evictions.
const TRACKED_SHARDS: &[TrackedMetric] =
    &[TrackedMetric::new(ENGINE_CPU, "ElastiCachePrimaryEngineCPUUtilization")];

fn replicas(name: &str, range: Range, cpu: Option<f64>) -> DimensionSpec {
    let cpu = cpu.map(|target| measured("cpu", target, "EngineCPUUtilization", (name, "Replica")));
    let facts = Facts { tracked: TRACKED_REPLICAS, ..facts() };
    let dimension = DimensionSpec::new("replicas", &["replicas"], range, facts);
    dimension.metrics(cpu).target(scalable(name, "Replicas"))
}

fn shards(name: &str, range: Range, (cpu, memory): (Option<f64>, Option<f64>)) -> DimensionSpec {
    let of = (name, "Primary");
    let metrics = [
        cpu.map(|target| measured("cpu", target, "EngineCPUUtilization", of)),
        memory.map(|target| measured("memory", target, "DatabaseMemoryUsagePercentage", of)),
    ];
    // Every primary reports once a minute, so the samples a minute are the shards.
    let named = [("ReplicationGroupId", name), ("Role", "Primary")];
    let count = ("SampleCount", Rate::PerMinute);
    let past = published("AWS/ElastiCache", "EngineCPUUtilization", named, count);
    let facts = Facts { past_capacity: Some(past), tracked: TRACKED_SHARDS, ..facts() };
    let dimension = DimensionSpec::new("shards", &["shards"], range, facts);
    dimension.metrics(metrics.into_iter().flatten()).target(scalable(name, "NodeGroups"))
}

/// What comes back is as many nodes, though not the same ones.
fn facts() -> Facts {
    Facts { is_served: true, undo: Undo::Partial, one_at_a_time: true, ..Facts::of_storage_at(NODE_USD_HOURLY) }
}

fn scalable(name: &str, counted: &str) -> ScalableTargetId {
    let dimension = format!("elasticache:replication-group:{counted}");
    ScalableTargetId::new("elasticache", format!("replication-group/{name}"), &dimension)
}

fn measured(metric: &str, target: f64, metric_name: &str, (name, role): (&str, &str)) -> Metric {
    let named = [("ReplicationGroupId", name), ("Role", role)];
    utilization(metric, target, average("AWS/ElastiCache", metric_name, named))
}

#[cfg(test)]
mod tests {
    use crate::config::parse;

    fn file(rest: &str) -> String {
        format!(
            "configuration_name: shop\nscaling_groups: {{data: {{resources: [\
             {{type: ELASTICACHE_REPLICATION_GROUP, name: sessions, {rest}}}]}}}}\n"
        )
    }

    #[test]
    fn replicas_follow_cpu_and_shards_memory_too() {
        let text = file("replicas: {min: 1, max: 5}, shards: {min: 2, max: 8}, target_memory_utilization: 60");
        let platform = parse(&text).unwrap().platform;
        let told: Vec<String> = platform
            .dimensions()
            .flat_map(|place| place.dimension.metrics.iter().map(move |metric| (place.dimension, metric)))
            .map(|(dimension, metric)| {
                let target = metric.measure.target_per_unit().unwrap();
                format!("{} {} {target}", dimension.key, metric.query.as_ref().unwrap().line())
            })
            .collect();
        let read = "AWS/ElastiCache";
        assert_eq!(
            told,
            [
                format!("sessions/replicas {read} EngineCPUUtilization ReplicationGroupId=sessions,Role=Replica Average 70"),
                format!("sessions/shards {read} EngineCPUUtilization ReplicationGroupId=sessions,Role=Primary Average 70"),
                format!(
                    "sessions/shards {read} DatabaseMemoryUsagePercentage ReplicationGroupId=sessions,Role=Primary Average 60"
                ),
            ]
        );
        let alone = parse(&file("replicas: {min: 1, max: 5}")).unwrap().platform;
        let provisioning = |platform: &crate::platform::Platform| {
            platform.resources().next().unwrap().1.provisioning.as_secs()
        };
        assert_eq!((provisioning(&platform), provisioning(&alone)), (1_800, 600));
    }

    #[test]
    fn what_no_group_can_have_is_a_fault() {
        for (rest, fault) in [
            ("replicas: {min: 1, max: 6}", "max: must be at most 5"),
            ("shards: {min: 0, max: 6}", "min: must be at least 1"),
        ] {
            let faults = parse(&file(rest)).unwrap_err();
            assert!(faults.0.iter().any(|told| told.to_string().contains(fault)), "{faults:?}");
        }
    }
}
