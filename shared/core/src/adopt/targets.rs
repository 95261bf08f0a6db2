//! Targets of native policies that a file can name too, so that Headroom aims at what AWS aims at now.

use super::inventory::{CapacityKey, Found, Native, NativeRule};

/// A key of the file with the percent that a native policy keeps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Target {
    pub(super) key: &'static str,
    pub(super) percent: f64,
}

/// The predefined metrics of scaling policies that mean what a key of the file means: "Predefined metrics" in the user guide
/// of Application Auto Scaling, and "Target tracking scaling policies" in that of EC2 Auto Scaling.
const KNOWN: [(&str, &str); 10] = [
    ("ASGAverageCPUUtilization", "target_cpu_utilization"),
    ("ECSServiceAverageCPUUtilization", "target_cpu_utilization"),
    ("ECSServiceAverageMemoryUtilization", "target_memory_utilization"),
    ("RDSReaderAverageCPUUtilization", "target_cpu_utilization"),
    ("ElastiCachePrimaryEngineCPUUtilization", "target_cpu_utilization"),
    ("ElastiCacheReplicaEngineCPUUtilization", "target_cpu_utilization"),
    ("ElastiCacheDatabaseMemoryUsageCountedForEvictPercentage", "target_memory_utilization"),
    ("DynamoDBReadCapacityUtilization", "target_utilization"),
    ("DynamoDBWriteCapacityUtilization", "target_utilization"),
    ("LambdaProvisionedConcurrencyUtilization", "target_utilization"),
];
/// This one is a share of 1, and all others are percent.
const SHARE: &str = "LambdaProvisionedConcurrencyUtilization";

/// The targets that policies on one capacity keep, each key once.
pub(super) fn of(found: &Found, on: &CapacityKey) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    for target in found.natives.iter().filter(|native| native.on == *on).filter_map(of_native) {
        if !targets.iter().any(|other| other.key == target.key) {
            targets.push(target);
        }
    }
    targets
}

fn of_native(native: &Native) -> Option<Target> {
    let NativeRule::TargetTracking { metric, target } = &native.rule else { return None };
    let (_, key) = KNOWN.iter().find(|(name, _)| name == metric)?;
    let percent = if metric == SHARE { target * 100.0 } else { *target };
    // What the schema does not take is no target of ours.
    (1.0..=100.0).contains(&percent).then_some(Target { key, percent })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::ResourceKind;

    fn native(on: CapacityKey, metric: &str, target: f64) -> Native {
        Native { name: "keep".into(), on, rule: NativeRule::TargetTracking { metric: metric.into(), target } }
    }

    #[test]
    fn what_a_policy_keeps_is_kept() {
        let read = || CapacityKey::Range("read_capacity");
        let natives = vec![
            native(read(), "DynamoDBReadCapacityUtilization", 60.0),
            native(read(), "DynamoDBReadCapacityUtilization", 65.0),
            native(CapacityKey::Range("write_capacity"), "DynamoDBWriteCapacityUtilization", 80.0),
        ];
        let table = Found { natives, ..Found::new(ResourceKind::DynamoDbTable, "orders", "arn") };
        assert_eq!(of(&table, &read()), [Target { key: "target_utilization", percent: 60.0 }]);
        let natives = vec![
            native(CapacityKey::Plain, "LambdaProvisionedConcurrencyUtilization", 0.7),
            native(CapacityKey::Plain, "ALBRequestCountPerTarget", 900.0),
            native(CapacityKey::Plain, "ECSServiceAverageCPUUtilization", 0.0),
        ];
        let found = Found { natives, ..Found::new(ResourceKind::LambdaFunction, "f", "arn") };
        assert_eq!(of(&found, &CapacityKey::Plain), [Target { key: "target_utilization", percent: 70.0 }]);
    }
}
