//! Nodes of an EKS managed node group.

use schemars::JsonSchema;
use serde::Deserialize;

use super::schema::Common;
use super::{
    Adapter, DimensionSpec, Draft, Facts, Guide, Kind, Named, ResourceSpec, TARGET_UTILIZATION, Undo, average,
    utilization,
};

/// About an m5.large: us-east-1, on demand, Linux, <https://aws.amazon.com/ec2/pricing/on-demand/>, November 2026.
const NODE_USD_HOURLY: f64 = 0.10;
/// A node boots in three minutes and joins its cluster in one.
const PROVISIONING_S: u32 = 240;

/// Nodes of an EKS managed node group.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct EksNodeGroup {
    #[serde(flatten)]
    common: Common,
    /// The EKS cluster.
    cluster: String,
    /// Smallest number of units.
    min_capacity: u32,
    /// Largest number of units.
    max_capacity: u32,
    /// The Auto Scaling group that EKS made for it, such as `eks-workers-1a2b3c`. Its CPU is the node group's.
    auto_scaling_group: Option<String>,
    /// Percent of the nodes' CPU to use. Default 70, where `auto_scaling_group` says whose.
    #[schemars(range(min = 1, max = 100))]
    target_cpu_utilization: Option<f64>,
}

impl Kind for EksNodeGroup {
    const GUIDE: Guide = Guide {
        example: "{type: EKS_NODE_GROUP, name: workers, cluster: prod, auto_scaling_group: eks-workers-1a2b3c, min_capacity: 2, max_capacity: 20}",
        also: " (`cluster`)",
        dimensions: None,
        measured_by: "average CPU of `auto_scaling_group`",
        target: "`target_cpu_utilization`, 70",
        never: &[
            "It never changes the node group's maximum, its version or its launch template.",
            "It never changes a node group while EKS updates it, or one whose tags say that an autoscaler of its cluster has it, unless `mode` is written.",
        ],
    };

    fn describe(self, draft: &mut Draft<'_>) -> ResourceSpec {
        draft.named(&["cluster"], Named::EksCluster, &self.cluster);
        let cpu = self.cpu(draft);
        // EKS drains and ends nodes of its own choice, so that a change that is taken back leaves other nodes.
        let facts = Facts { is_served: true, undo: Undo::Partial, ..Facts::of_units_at(NODE_USD_HOURLY) };
        let in_service = self.auto_scaling_group.as_ref().map(|group| {
            average("AWS/AutoScaling", "GroupInServiceInstances", [("AutoScalingGroupName", group)])
        });
        let facts = Facts { past_capacity: in_service, ..facts };
        let desired = DimensionSpec::only("desired", self.min_capacity, self.max_capacity, facts);
        let metrics = cpu.zip(self.auto_scaling_group.as_ref()).map(|(target, group)| {
            utilization("cpu", target, average("AWS/EC2", "CPUUtilization", [("AutoScalingGroupName", group)]))
        });
        ResourceSpec {
            common: self.common,
            named: Some(Named::EksNodeGroup),
            within: vec![self.cluster.clone()],
            adapter: Some(Adapter::EksNodeGroup { cluster: self.cluster }),
            dimensions: vec![desired.metrics(metrics)],
            provisioning_s: PROVISIONING_S,
        }
    }
}

impl EksNodeGroup {
    /// The target of the nodes' CPU. CloudWatch knows it by the name of the Auto Scaling group, which EKS makes up.
    fn cpu(&self, draft: &mut Draft<'_>) -> Option<f64> {
        if let Some(group) = &self.auto_scaling_group {
            draft.named(&["auto_scaling_group"], Named::AutoScalingGroup, group);
            let default = self.common.metrics.is_none().then_some(TARGET_UTILIZATION);
            return draft.target(("target_cpu_utilization", "cpu"), self.target_cpu_utilization, default);
        }
        if self.target_cpu_utilization.is_some() {
            draft.fault(
                &["target_cpu_utilization"],
                "needs `auto_scaling_group` beside it: CloudWatch has no CPU of a node group, only of the group that EKS made for it",
            );
        } else if self.common.metrics.as_deref().unwrap_or_default().is_empty() {
            draft.warn(
                &[],
                "is held at its bounds: nothing says what it is measured by; name its `auto_scaling_group`, or `metrics`",
            );
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::config::parse;

    fn file(rest: &str) -> String {
        format!(
            "configuration_name: shop\nscaling_groups: {{app: {{resources: [{{type: EKS_NODE_GROUP, name: workers, \
             cluster: prod, min_capacity: 2, max_capacity: 20{rest}}}]}}}}\n"
        )
    }

    #[test]
    fn nodes_are_measured_by_the_group_that_eks_made() {
        let text = file(", auto_scaling_group: eks-workers-1a2b3c, target_cpu_utilization: 50");
        let platform = parse(&text).unwrap().platform;
        let dimension = platform.dimensions().next().unwrap().dimension;
        let query = dimension.metrics[0].query.as_ref().unwrap();
        assert_eq!(query.line(), "AWS/EC2 CPUUtilization AutoScalingGroupName=eks-workers-1a2b3c Average");
        assert_eq!(dimension.metrics[0].measure.target_per_unit(), Some(50.0));
        let past = dimension.facts.past_capacity.as_ref().unwrap();
        assert_eq!(
            past.line(),
            "AWS/AutoScaling GroupInServiceInstances AutoScalingGroupName=eks-workers-1a2b3c Average"
        );
    }

    #[test]
    fn without_that_group_nothing_is_measured_and_that_is_said() {
        let parsed = parse(&file("")).unwrap();
        assert!(parsed.platform.dimensions().next().unwrap().dimension.metrics.is_empty());
        let said: Vec<String> = parsed.warnings.iter().map(ToString::to_string).collect();
        assert!(said.iter().any(|warning| warning.contains("name its `auto_scaling_group`")), "{said:?}");
        let faults = parse(&file(", target_cpu_utilization: 50")).unwrap_err();
        let said: Vec<String> = faults.0.iter().map(ToString::to_string).collect();
        assert!(said.iter().any(|fault| fault.contains("needs `auto_scaling_group`")), "{said:?}");
    }
}
