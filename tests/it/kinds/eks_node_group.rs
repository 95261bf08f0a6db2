//! Nodes that the shop's service runs on: they are there before its tasks, and go after them.

use ::local_aws::seed::{Metric, Value, publish};
use ::local_aws::unkind::Unkind;
use aws_sdk_eks::types::{NodegroupScalingConfig, NodegroupStatus, VpcConfigRequest};
use headroom_aws::sdk::Aws;
use headroom_core::journal::StepState;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};

use crate::bench::{Bench, CALM, HALF, server};

const NODES: i32 = 4;
/// Percent of the nodes' CPU to use.
const TARGET: f64 = 60.0;

/// Creates a cluster with a node group of the same name, between one and forty nodes.
pub(crate) async fn group(aws: &Aws, name: &str, nodes: i32, tag: Option<(&str, &str)>) {
    let cluster = aws.eks().create_cluster().name(name).role_arn("arn:aws:iam::123456789012:role/cluster");
    cluster.resources_vpc_config(VpcConfigRequest::builder().build()).send().await.unwrap();
    let create = aws.eks().create_nodegroup().cluster_name(name).nodegroup_name(name).subnets("subnet-1");
    let scaling = NodegroupScalingConfig::builder().min_size(1).desired_size(nodes).max_size(40).build();
    let create = create.node_role("arn:aws:iam::123456789012:role/node").scaling_config(scaling);
    let tags = tag.map(|(key, value)| [(key.to_owned(), value.to_owned())].into());
    create.set_tags(tags).send().await.unwrap();
}

/// What a node group is: its state, its minimum, and the nodes that it should have.
pub(crate) async fn stands(aws: &Aws, name: &str) -> (NodegroupStatus, i32, i32) {
    let told = aws.eks().describe_nodegroup().cluster_name(name).nodegroup_name(name).send().await.unwrap();
    let group = told.nodegroup.unwrap();
    let scaling = group.scaling_config().unwrap();
    (group.status.clone().unwrap(), scaling.min_size().unwrap(), scaling.desired_size().unwrap())
}

/// The Auto Scaling group behind a node group.
pub(crate) async fn behind(aws: &Aws, name: &str) -> String {
    let told = aws.eks().describe_nodegroup().cluster_name(name).nodegroup_name(name).send().await.unwrap();
    let group = told.nodegroup.unwrap();
    group.resources().unwrap().auto_scaling_groups()[0].name().unwrap().to_owned()
}

pub(crate) fn name_of(bench: &Bench) -> String {
    format!("{}-nodes", bench.shop.name)
}

/// Creates the shop's nodes.
pub(crate) async fn create(bench: &Bench) {
    group(&bench.aws, &name_of(bench), NODES, Some(("headroom", &bench.shop.name))).await;
}

/// A platform's file with the nodes in it.
pub(crate) async fn platform(bench: &Bench, text: &str) -> String {
    let name = name_of(bench);
    let nodes = format!(
        "  nodes:
    resources:
      - type: EKS_NODE_GROUP
        name: {name}
        cluster: {name}
        auto_scaling_group: {}
        min_capacity: 2
        max_capacity: 30
        target_cpu_utilization: {TARGET}
",
        behind(&bench.aws, &name).await
    );
    let text = text.replace("scaling_groups:\n", &format!("scaling_groups:\n{nodes}"));
    let text = text.replace("[data,", "[data, nodes,");
    text.replace("dependencies:\n", "dependencies:\n    - {source: app, target: nodes}\n")
}

/// The nodes' CPU is used so much for some minutes before a time.
pub(crate) async fn work(bench: &Bench, percent: f64, before: Timestamp, minutes: i64) {
    let name = name_of(bench);
    let nodes = f64::from(stands(&bench.aws, &name).await.2);
    let group = behind(&bench.aws, &name).await;
    for (namespace, name, mean, samples) in [
        ("AWS/EC2", "CPUUtilization", percent, nodes),
        ("AWS/AutoScaling", "GroupInServiceInstances", nodes, 1.0),
    ] {
        let metric = Metric { namespace, name, dimensions: vec![("AutoScalingGroupName", group.clone())] };
        let value = |minute| Value { at: before - SignedDuration::from_mins(minute), mean, samples };
        publish(&bench.aws, &metric, (1..=minutes).map(value)).await.unwrap();
    }
}

async fn shop(name: &str, load: f64, percent: f64) -> Bench {
    let bench = Bench::at(name, load).await;
    create(&bench).await;
    bench.publish(&platform(&bench, &bench.platform).await).await;
    work(&bench, percent, Timestamp::now(), 120).await;
    bench
}

async fn later(bench: &Bench, load: f64, percent: f64) -> Json {
    let input = bench.half_an_hour_later(load).await;
    work(bench, percent, input["now"].as_str().unwrap().parse().unwrap(), 30).await;
    input
}

/// Makes updates of a shop's nodes, and the nodes themselves, so unkind.
async fn unkind(shop: &str, settings: &Unkind) {
    for prefix in [format!("{shop}-"), format!("eks-{shop}-")] {
        server().await.unkind(&prefix, settings).await.unwrap();
    }
}

#[tokio::test]
async fn nodes_come_before_the_tasks_that_run_on_them_and_go_after() {
    let bench = shop("pods", 2.0 * HALF, 90.0).await;
    // By the measured load alone: what the forecast still expects after half an hour depends on the time of the day.
    let text = platform(&bench, &bench.platform).await;
    let reactive = "  nodes:\n    scaling_policies: [{type: predictive, enabled: false}]\n";
    bench.publish(&text.replace("  nodes:\n", reactive)).await;
    unkind("pods", &Unkind { pace: Some(2.0), lag: Some(1.0), ..Unkind::default() }).await;
    let cycle = bench.cycle().await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    let journal = bench.journal().await;
    assert_eq!(journal["nodes"].state, StepState::Done, "{journal:#?}");
    assert!(journal["nodes"].wave < journal["api"].wave, "{journal:#?}");
    let (status, _, nodes) = stands(&bench.aws, &name_of(&bench)).await;
    assert!(status == NodegroupStatus::Active && (6..=8).contains(&nodes), "{nodes} nodes");
    let input = later(&bench, 0.5 * CALM, 20.0).await;
    let cycle = bench.cycle_with(input).await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    let journal = bench.journal().await;
    assert!(journal["api"].wave < journal["nodes"].wave, "{journal:#?}");
    let less = stands(&bench.aws, &name_of(&bench)).await.2;
    let reasons = bench.all_reasons().await;
    assert!((2..nodes).contains(&less), "{less} of {nodes} nodes: {reasons:#?}");
}

#[tokio::test]
async fn a_node_group_that_refuses_rolls_back_what_was_begun() {
    let bench = Bench::at("podless", 2.0 * HALF).await;
    // More than any other test has: by a request's path the fault proxy knows no node group.
    group(&bench.aws, &name_of(&bench), 16, Some(("headroom", &bench.shop.name))).await;
    bench.publish(&platform(&bench, &bench.platform).await).await;
    work(&bench, 80.0, Timestamp::now(), 120).await;
    let before = bench.capacity().await;
    bench
        .fault(json!({"service": "eks", "body": "scalingConfig.desiredSize > `15`",
            "error": {"code": "AccessDeniedException", "status": 403}}))
        .await;
    let cycle = bench.cycle().await;
    assert_eq!(cycle.error, "RolledBack", "{cycle:?}");
    let stands = stands(&bench.aws, &name_of(&bench)).await;
    assert_eq!((bench.capacity().await, stands), (before, (NodegroupStatus::Active, 1, 16)));
}

#[tokio::test]
async fn nodes_that_the_rest_did_not_hold_on_are_taken_back() {
    let bench = shop("podsick", 2.0 * HALF, 90.0).await;
    unkind("podsick", &Unkind { pace: Some(2.0), ..Unkind::default() }).await;
    bench.health.set(false);
    let cycle = bench.cycle().await;
    assert_eq!(cycle.error, "RolledBack", "{cycle:?}");
    assert_eq!(bench.journal().await["nodes"].state, StepState::Undone);
    assert_eq!(stands(&bench.aws, &name_of(&bench)).await.2, NODES);
}

#[tokio::test]
async fn what_is_degraded_for_lack_of_instances_scales_out_when_there_are_some() {
    let bench = shop("podlack", CALM, 90.0).await;
    let name = name_of(&bench);
    unkind("podlack", &Unkind { units_max: Some(4), ..Unkind::default() }).await;
    for nodes in [5, 4] {
        let sizes = NodegroupScalingConfig::builder().desired_size(nodes).build();
        let update = bench.aws.eks().update_nodegroup_config().cluster_name(&name).nodegroup_name(&name);
        update.scaling_config(sizes).send().await.unwrap();
    }
    assert_eq!(stands(&bench.aws, &name).await, (NodegroupStatus::Degraded, 1, 4));
    unkind("podlack", &Unkind { units_max: Some(40), ..Unkind::default() }).await;
    let cycle = bench.cycle().await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    let (status, _, nodes) = stands(&bench.aws, &name).await;
    assert!(status == NodegroupStatus::Active && NODES < nodes, "{nodes} nodes");
}

#[tokio::test]
async fn nodes_of_an_autoscaler_are_left_alone_until_a_mode_is_written() {
    let bench = shop("podauto", CALM, 90.0).await;
    let name = name_of(&bench);
    let told =
        bench.aws.eks().describe_nodegroup().cluster_name(&name).nodegroup_name(&name).send().await.unwrap();
    let arn = told.nodegroup.unwrap().nodegroup_arn.unwrap();
    let tag = bench.aws.eks().tag_resource().resource_arn(arn);
    tag.tags("k8s.io/cluster-autoscaler/enabled", "true").send().await.unwrap();
    assert_eq!(bench.cycle().await.outcome(), "held");
    let reasons = bench.reasons("nodes/desired").await;
    assert!(reasons[0].contains("the tag k8s.io/cluster-autoscaler/enabled"), "{reasons:?}");
    assert_eq!(stands(&bench.aws, &name).await, (NodegroupStatus::Active, 1, NODES));
    let text = platform(&bench, &bench.platform).await;
    let floor = text.replace("type: EKS_NODE_GROUP\n", "type: EKS_NODE_GROUP\n        mode: floor\n");
    bench.publish(&floor).await;
    let cycle = bench.cycle().await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    let (_, min, desired) = stands(&bench.aws, &name).await;
    assert!((2..NODES).contains(&min) && desired == NODES, "{min} at least, {desired} wanted");
    // What is still needed lies above what the autoscaler wants, which goes along.
    let input = later(&bench, CALM, 90.0).await;
    let cycle = bench.cycle_with(input).await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    let (_, min, desired) = stands(&bench.aws, &name).await;
    assert!((6..=8).contains(&min) && min == desired, "{min} at least, {desired} wanted");
}
