//! Replicas and shards of an ElastiCache replication group.

use schemars::JsonSchema;
use serde::Deserialize;

use super::schema::{Common, Range};
use super::{DimensionSpec, Draft, Facts, Guide, Kind, Named, ResourceSpec, ScalableTargetId};

/// A cache.t3.medium: us-east-1, on demand, Redis OSS, <https://aws.amazon.com/elasticache/pricing/>, November 2026.
const NODE_USD_HOURLY: f64 = 0.068;
/// A node is made and fills its copy of the data in about ten minutes.
const PROVISIONING_S: u32 = 600;

/// Replicas and shards of an ElastiCache replication group.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "targets wait for this type's adapter")]
pub(crate) struct ElastiCacheReplicationGroup {
    #[serde(flatten)]
    common: Common,
    /// Replicas of each shard.
    replicas: Option<Range>,
    shards: Option<Range>,
    #[schemars(range(min = 1, max = 100))]
    target_cpu_utilization: Option<f64>,
    #[schemars(range(min = 1, max = 100))]
    target_memory_utilization: Option<f64>,
}

impl Kind for ElastiCacheReplicationGroup {
    const GUIDE: Guide = Guide {
        example: "{type: ELASTICACHE_REPLICATION_GROUP, name: sessions, replicas: {min: 1, max: 3}, shards: {min: 2, max: 8}}",
        also: "",
        dimensions: None,
        measured_by: "",
        target: "",
    };

    fn describe(self, _: &mut Draft<'_>) -> ResourceSpec {
        let id = format!("replication-group/{}", self.common.name);
        let dimension = |name: &str, range, counted| {
            let target = ScalableTargetId::new("elasticache", id.clone(), counted);
            DimensionSpec::new(name, &[name], range, Facts::of_units_at(NODE_USD_HOURLY)).target(target)
        };
        let replicas = self.replicas.map(|range| dimension("replicas", range, "elasticache:replication-group:Replicas"));
        let shards = self.shards.map(|range| dimension("shards", range, "elasticache:replication-group:NodeGroups"));
        ResourceSpec {
            common: self.common,
            named: Some(Named::ReplicationGroup),
            within: Vec::new(),
            adapter: None,
            dimensions: replicas.into_iter().chain(shards).collect(),
            provisioning_s: PROVISIONING_S,
        }
    }
}
