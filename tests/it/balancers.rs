//! A service behind an Application Load Balancer: what the balancer measures steers it, without a name in the file.

use std::collections::BTreeMap;

use ::local_aws::deploy::aws;
use ::local_aws::seed::{Metric, Value, publish};
use jiff::{SignedDuration, Timestamp};

use crate::bench::{Bench, HALF, server};

/// Puts a load balancer before the shop's tasks; answers the target group's ARN and the balancer's.
pub(crate) async fn stand_before(bench: &Bench) -> (String, String) {
    let name = &bench.shop.name;
    let elb = async |arguments: &[&str], query: &str| {
        let rest = ["--output", "text", "--query", query];
        let made = aws(server().await, &[&["elbv2"], arguments, &rest].concat()).await.unwrap();
        made.trim().to_owned()
    };
    let group =
        ["create-target-group", "--name", name, "--protocol", "HTTP", "--port", "80", "--vpc-id", "vpc-1"];
    let group = elb(&[&group[..], &["--target-type", "ip"]].concat(), "TargetGroups[0].TargetGroupArn").await;
    let balancer = ["create-load-balancer", "--name", name, "--subnets", "subnet-1", "subnet-2"];
    let balancer = elb(&balancer, "LoadBalancers[0].LoadBalancerArn").await;
    let forward = format!("Type=forward,TargetGroupArn={group}");
    let listener =
        ["create-listener", "--load-balancer-arn", &balancer, "--protocol", "HTTP", "--port", "80"];
    elb(&[&listener[..], &["--default-actions", &forward]].concat(), "Listeners[0].ListenerArn").await;
    let front = aws_sdk_ecs::types::LoadBalancer::builder().target_group_arn(&group);
    let front = front.container_name("api").container_port(80).build();
    let update = bench.aws.ecs().update_service().cluster(bench.shop.cluster()).service(bench.shop.api());
    update.load_balancers(front).send().await.unwrap();
    (group, balancer)
}

/// The platform's file with metrics of the service in place of its CPU.
pub(crate) fn measured_by(bench: &Bench, metrics: &str) -> String {
    let cpu = "cluster: shop-cluster\n        min_capacity: 2\n        max_capacity: 40\n        target_cpu_utilization: 60\n";
    let cpu = cpu.replace("shop-cluster", &bench.shop.cluster());
    assert!(bench.platform.contains(&cpu), "{}", bench.platform);
    let own = cpu.replace("target_cpu_utilization: 60", &format!("metrics: [{metrics}]"));
    bench.platform.replace(&cpu, &own)
}

/// Requests a minute that a balancer counted before now, and how long they took.
async fn serve(bench: &Bench, (group, balancer): &(String, String), requests: f64, seconds: f64) {
    let front = balancer.split_once("loadbalancer/").unwrap().1.to_owned();
    let behind = group.rsplit_once(':').unwrap().1.to_owned();
    let dimensions = vec![("LoadBalancer", front), ("TargetGroup", behind)];
    let now = Timestamp::now();
    for (name, mean) in [("RequestCount", requests), ("TargetResponseTime", seconds)] {
        let metric = Metric { namespace: "AWS/ApplicationELB", name, dimensions: dimensions.clone() };
        let value = |minute| Value { at: now - SignedDuration::from_mins(minute), mean, samples: 1.0 };
        publish(&bench.aws, &metric, (1..=120).map(value)).await.unwrap();
    }
}

#[tokio::test]
async fn what_a_load_balancer_counts_scales_the_service_behind_it() {
    let bench = Bench::at("fronted", HALF).await;
    let balancer = stand_before(&bench).await;
    let metrics =
        "{name: requests, kind: load, target_per_unit: 600}, {name: latency, kind: latency, target_value: 1}";
    bench.publish(&measured_by(&bench, metrics)).await;
    // Nothing is known of a balancer without points, and the service stays as it is.
    let cycle = bench.cycle().await;
    assert_eq!(cycle.error, "", "{cycle:?}");
    let before = bench.capacity().await;
    let told: BTreeMap<String, Vec<String>> = bench.all_reasons().await;
    let of_api = &told[&format!("{}/desired", bench.shop.api())];
    assert!(of_api.iter().any(|reason| reason.contains("target groups")), "{of_api:?}");
    // Three tasks more than there are would carry this.
    serve(&bench, &balancer, 600.0 * f64::from(before.api + 3), 0.2).await;
    let cycle = bench.cycle().await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    assert_eq!(bench.capacity().await.api, before.api + 3);
}
