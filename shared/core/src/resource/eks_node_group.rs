//! Nodes of an EKS managed node group.

use schemars::JsonSchema;
use serde::Deserialize;

use super::schema::Common;
use super::{DimensionSpec, Draft, Facts, Guide, Kind, Named, ResourceSpec};

/// About an m5.large: us-east-1, on demand, Linux, <https://aws.amazon.com/ec2/pricing/on-demand/>, November 2026.
const NODE_USD_HOURLY: f64 = 0.10;
/// A node boots in three minutes and joins its cluster in one.
const PROVISIONING_S: u32 = 240;

/// Nodes of an EKS managed node group.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "targets wait for this type's adapter")]
pub(crate) struct EksNodeGroup {
    #[serde(flatten)]
    common: Common,
    cluster: String,
    min_capacity: u32,
    max_capacity: u32,
    #[schemars(range(min = 1, max = 100))]
    target_cpu_utilization: Option<f64>,
}

impl Kind for EksNodeGroup {
    const GUIDE: Guide = Guide {
        example: "{type: EKS_NODE_GROUP, name: workers, cluster: prod, min_capacity: 2, max_capacity: 20}",
        also: "",
        dimensions: None,
        measured_by: "",
        target: "",
    };

    fn describe(self, draft: &mut Draft<'_>) -> ResourceSpec {
        draft.named(&["cluster"], Named::EksCluster, &self.cluster);
        let facts = Facts::of_units_at(NODE_USD_HOURLY);
        let desired = DimensionSpec::only("desired", self.min_capacity, self.max_capacity, facts);
        ResourceSpec {
            common: self.common,
            named: Some(Named::EksNodeGroup),
            within: vec![self.cluster],
            adapter: None,
            dimensions: vec![desired],
            provisioning_s: PROVISIONING_S,
        }
    }
}
