//! EKS of the local AWS: node groups are updated over time, refuse what AWS refuses, and have Auto Scaling groups behind them.

use ::local_aws::unkind::Unkind;
use aws_sdk_eks::error::ProvideErrorMetadata as _;
use aws_sdk_eks::types::{NodegroupIssueCode, NodegroupScalingConfig, NodegroupStatus};
use headroom_aws::sdk::Aws;

use crate::bench::server;
use crate::kinds::eks_node_group::{behind, group, stands};

/// Longer than any test takes: what is under way stays so until the test ends it.
const PACE: f64 = 600.0;

/// A node group of four nodes.
async fn nodes(name: &str, settings: Unkind) -> Aws {
    let aws = server().await.connect().await;
    group(&aws, name, 4, None).await;
    server().await.unkind(name, &settings).await.unwrap();
    aws
}

/// Sets sizes; the code with which that was refused.
async fn set(aws: &Aws, name: &str, min: Option<i32>, desired: Option<i32>) -> Result<(), String> {
    let sizes = NodegroupScalingConfig::builder().set_min_size(min).set_desired_size(desired).build();
    let update = aws.eks().update_nodegroup_config().cluster_name(name).nodegroup_name(name);
    let sent = update.scaling_config(sizes).send().await;
    sent.map(drop).map_err(|error| error.code().unwrap().to_owned())
}

/// The instances of the group behind it.
async fn instances(aws: &Aws, name: &str) -> usize {
    let asked = aws.autoscaling().describe_auto_scaling_groups();
    let told = asked.auto_scaling_group_names(behind(aws, name).await).send().await.unwrap();
    told.auto_scaling_groups()[0].instances().len()
}

#[tokio::test]
async fn one_update_at_a_time_takes_time_and_moves_the_group_behind() {
    let aws = nodes("unkind-nodes", Unkind { pace: Some(PACE), ..Unkind::default() }).await;
    set(&aws, "unkind-nodes", None, Some(6)).await.unwrap();
    assert_eq!(stands(&aws, "unkind-nodes").await, (NodegroupStatus::Updating, 1, 4));
    assert_eq!(set(&aws, "unkind-nodes", None, Some(5)).await, Err("ResourceInUseException".into()));
    server().await.kind("unkind-nodes").await.unwrap();
    assert_eq!(stands(&aws, "unkind-nodes").await, (NodegroupStatus::Active, 1, 6));
    assert_eq!(instances(&aws, "unkind-nodes").await, 6);
}

#[tokio::test]
async fn sizes_stay_in_order() {
    let aws = nodes("nodes-sizes", Unkind::default()).await;
    for (min, desired) in [(None, Some(41)), (None, Some(0)), (Some(5), None)] {
        let refused = set(&aws, "nodes-sizes", min, desired).await;
        assert_eq!(refused, Err("InvalidParameterException".into()), "{min:?} {desired:?}");
    }
    set(&aws, "nodes-sizes", Some(5), Some(5)).await.unwrap();
    assert_eq!(stands(&aws, "nodes-sizes").await, (NodegroupStatus::Active, 5, 5));
}

#[tokio::test]
async fn nodes_that_could_not_be_launched_degrade_the_group_until_a_launch_works() {
    let aws = nodes("nodes-lack", Unkind::default()).await;
    let most = async |units| {
        let settings = Unkind { units_max: Some(units), ..Unkind::default() };
        server().await.unkind("eks-nodes-lack", &settings).await.unwrap();
    };
    most(4).await;
    for desired in [6, 4] {
        set(&aws, "nodes-lack", None, Some(desired)).await.unwrap();
        assert_eq!(stands(&aws, "nodes-lack").await, (NodegroupStatus::Degraded, 1, desired));
    }
    let asked = aws.eks().describe_nodegroup().cluster_name("nodes-lack").nodegroup_name("nodes-lack");
    let told = asked.send().await.unwrap().nodegroup.unwrap();
    let issue = told.health().unwrap().issues()[0].code().unwrap().clone();
    assert_eq!(issue, NodegroupIssueCode::AsgInstanceLaunchFailures);
    most(9).await;
    assert_eq!(stands(&aws, "nodes-lack").await.0, NodegroupStatus::Degraded, "none was launched since");
    set(&aws, "nodes-lack", None, Some(5)).await.unwrap();
    assert_eq!(stands(&aws, "nodes-lack").await, (NodegroupStatus::Active, 1, 5));
}

#[tokio::test]
async fn node_groups_are_described_late() {
    let aws = nodes("nodes-late", Unkind { lag: Some(PACE), ..Unkind::default() }).await;
    set(&aws, "nodes-late", None, Some(6)).await.unwrap();
    assert_eq!(stands(&aws, "nodes-late").await, (NodegroupStatus::Active, 1, 4));
    server().await.kind("nodes-late").await.unwrap();
    assert_eq!(stands(&aws, "nodes-late").await, (NodegroupStatus::Active, 1, 6));
}
