//! What Application Auto Scaling calls a capacity that was found.

use super::inventory::{CapacityKey, Found};
use crate::resource::{ResourceKind, ScalableTargetId};

/// The scalable target of a capacity; `None` where Application Auto Scaling does not scale it.
pub fn scalable_target(found: &Found, at: &CapacityKey) -> Option<ScalableTargetId> {
    let Found { name, .. } = found;
    let within = found.within.as_ref().map(|(_, value)| value.as_str()).unwrap_or_default();
    let (namespace, id, dimension) = match (found.kind, at) {
        (ResourceKind::EcsService, _) => {
            ("ecs", format!("service/{within}/{name}"), "ecs:service:DesiredCount")
        }
        (ResourceKind::DynamoDbTable, CapacityKey::Range(key)) => (
            "dynamodb",
            format!("table/{name}"),
            units(key, ["dynamodb:table:ReadCapacityUnits", "dynamodb:table:WriteCapacityUnits"]),
        ),
        (ResourceKind::DynamoDbTable, CapacityKey::Index(index, key)) => (
            "dynamodb",
            format!("table/{name}/index/{index}"),
            units(key, ["dynamodb:index:ReadCapacityUnits", "dynamodb:index:WriteCapacityUnits"]),
        ),
        (ResourceKind::LambdaFunction, _) => {
            ("lambda", format!("function:{name}:{within}"), "lambda:function:ProvisionedConcurrency")
        }
        (ResourceKind::ElastiCacheReplicationGroup, CapacityKey::Range("replicas")) => {
            ("elasticache", format!("replication-group/{name}"), "elasticache:replication-group:Replicas")
        }
        (ResourceKind::ElastiCacheReplicationGroup, _) => {
            ("elasticache", format!("replication-group/{name}"), "elasticache:replication-group:NodeGroups")
        }
        (ResourceKind::AuroraReplicas, _) => {
            ("rds", format!("cluster:{name}"), "rds:cluster:ReadReplicaCount")
        }
        _ => return None,
    };
    Some(ScalableTargetId { namespace: namespace.to_owned(), id, dimension: dimension.to_owned() })
}

fn units(key: &str, [read, write]: [&'static str; 2]) -> &'static str {
    if key == "read_capacity" { read } else { write }
}
