//! Whatever an account may have.

use proptest::prelude::*;

use super::super::inventory::{CapacityKey, Found, FoundCapacity, Native, NativeRule};
use super::{found, front};
use crate::resource::ResourceKind;

const KINDS: &[ResourceKind] = &[
    ResourceKind::Ec2AutoScalingGroup,
    ResourceKind::EcsService,
    ResourceKind::DynamoDbTable,
    ResourceKind::LambdaFunction,
    ResourceKind::KinesisStream,
    ResourceKind::ElastiCacheReplicationGroup,
    ResourceKind::AuroraServerless,
    ResourceKind::AuroraReplicas,
    ResourceKind::RdsReadReplicas,
    ResourceKind::RdsStorage,
];

/// Any resource of the kinds that are looked for, with any name and any capacity that AWS could tell.
pub(super) fn any_found() -> impl Strategy<Value = Found> {
    let name = prop_oneof![
        "[a-z][a-z0-9-]{0,8}",
        "[ -~]{1,12}".prop_filter("no address", |name| !name.contains("://")),
        Just("no".to_owned()),
        Just("007".to_owned()),
        Just("a: #b\n- c".to_owned()),
        Just("Größe 1e5".to_owned()),
    ];
    let bounds = proptest::option::of((0_u32..4, 0_u32..16));
    let parts = (name, proptest::sample::select(KINDS), 0_u32..20, bounds, any::<bool>());
    parts.prop_map(|(name, kind, now, bounds, public)| {
        let bounds = bounds.map(|(min, more)| (f64::from(min), f64::from(min + more), name.clone()));
        let capacities = capacities(kind, &name, f64::from(now), bounds);
        let cpu =
            NativeRule::TargetTracking { metric: "ECSServiceAverageCPUUtilization".into(), target: 55.5 };
        let rule = if kind == ResourceKind::EcsService { cpu } else { NativeRule::Policy(name.clone()) };
        let native = |capacity: &FoundCapacity| Native {
            name: name.clone(),
            on: capacity.at.clone(),
            rule: rule.clone(),
        };
        Found {
            natives: capacities.iter().map(native).collect(),
            within: match kind {
                ResourceKind::EcsService => Some(("cluster", name.clone())),
                ResourceKind::LambdaFunction => Some(("qualifier", name.clone())),
                _ => None,
            },
            front: front(public),
            remarks: vec![name.clone()],
            price: Some((0.01, name.clone())),
            ..found(kind, &name, capacities)
        }
    })
}

fn capacities(
    kind: ResourceKind,
    name: &str,
    now: f64,
    bounds: Option<(f64, f64, String)>,
) -> Vec<FoundCapacity> {
    let at = |at| FoundCapacity { bounds: bounds.clone(), ..FoundCapacity::new(at, "units", now) };
    match kind {
        ResourceKind::DynamoDbTable => vec![
            at(CapacityKey::Range("read_capacity")),
            at(CapacityKey::Index(name.to_owned(), "write_capacity")),
        ],
        ResourceKind::LambdaFunction => vec![at(CapacityKey::Range("provisioned_concurrency"))],
        ResourceKind::ElastiCacheReplicationGroup => {
            vec![at(CapacityKey::Range("replicas")).at_most(5.0), at(CapacityKey::Range("shards"))]
        }
        ResourceKind::AuroraReplicas | ResourceKind::RdsReadReplicas => {
            vec![at(CapacityKey::Plain).at_most(15.0)]
        }
        _ => vec![at(CapacityKey::Plain)],
    }
}
