//! What each function may do, and that it needs all of it: the record of the local AWS, which checks every call.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ::local_aws::deploy::{BUCKET, aws};
use ::local_aws::unkind::Unkind;
use aws_sdk_applicationautoscaling::types::{ScalableDimension, ServiceNamespace};
use headroom_core::state::PlatformState;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};

use crate::balancers;
use crate::bench::{Bench, CALM, HALF, server};
use crate::kinds::{api_gateway_stage, elasticache_replication_group, every, lambda_function, warm_pool};

/// Actions that a role has although no call here needs them, and why.
const UNSEEN: [(&str, &str); 4] = [
    ("logs:", "Lambda and Step Functions write logs, which the local AWS does for them"),
    ("xray:", "tracing is done by daemons that the local AWS does not run"),
    ("ec2:", "Lambda uses network interfaces of a VPC, which the local AWS does not have"),
    ("kms:", "a topic with a key of its own is not encrypted by the local AWS"),
];

/// What the local AWS has on record for the roles of a shop's stack.
async fn record(shop: &str, part: &str) -> Json {
    let url = &server().await.endpoint;
    let path = format!("/_local/permissions{part}?role=headroom-{shop}-");
    let (host, mut text) = (url.strip_prefix("http://").unwrap(), String::new());
    let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.read_to_string(&mut text).await.unwrap();
    serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// The access key of a function of a shop's stack, which has run.
pub(crate) async fn key_of(shop: &str, function: &str) -> String {
    let record = record(shop, "").await;
    let mut sessions = record["sessions"].as_array().unwrap().iter();
    let session = sessions.find(|session| text(session, "role").contains(function)).unwrap();
    text(session, "key").to_owned()
}

fn text<'a>(row: &'a Json, name: &str) -> &'a str {
    row[name].as_str().unwrap_or("")
}

/// A scalable target with the platform's tag on it.
async fn target(
    bench: &Bench,
    namespace: ServiceNamespace,
    id: String,
    dimension: ScalableDimension,
    at: i32,
) {
    let register = bench.aws.application().register_scalable_target().service_namespace(namespace);
    let register =
        register.resource_id(id).scalable_dimension(dimension).min_capacity(at).max_capacity(4_000);
    register.tags("headroom", &bench.shop.name).send().await.unwrap();
}

/// A cycle that scales out while AWS has no more instances, until each function that may has asked why.
async fn short_of_instances(bench: &Bench) {
    const ASKED_WITHIN: Duration = Duration::from_secs(90);
    let (web, has) = (bench.shop.web(), bench.capacity().await.web);
    server().await.unkind(&web, &Unkind { units_max: Some(has), ..Unkind::default() }).await.unwrap();
    let more = bench.aws.autoscaling().set_desired_capacity().auto_scaling_group_name(&web);
    more.desired_capacity(i32::try_from(has).unwrap() + 1).send().await.unwrap();
    let cycle = bench.start(json!({})).await;
    let asked = async {
        loop {
            // Not what is needed, again and again: to find that out takes the server longer than a cycle.
            let record = record(&bench.shop.name, "").await;
            let calls = record["calls"].as_array().unwrap().iter();
            let asking = calls.filter(|call| text(call, "action") == "autoscaling:DescribeScalingActivities");
            if asking.map(|call| text(call, "role")).collect::<BTreeSet<_>>().len() == 3 {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let asked = tokio::time::timeout(ASKED_WITHIN, asked).await;
    server().await.kind(&web).await.unwrap();
    let cycle = bench.end_of(&cycle).await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    assert!(asked.is_ok(), "not every function has asked what AWS lacks: {cycle:?}");
}

/// Cycles that make a warm pool, change it and delete it.
async fn a_warm_pool(bench: &Bench) {
    bench.publish(&warm_pool::platform(bench, &bench.platform, "{min: 1, max: 6}")).await;
    assert_eq!(bench.cycle().await.outcome(), "scaled");
    let more = json!({format!("{}/warm_pool", bench.shop.web()): 2});
    assert_eq!(bench.cycle_with(json!({"capacity": more})).await.outcome(), "scaled");
    warm_pool::delete(bench).await;
}

/// Cycles that make every kind of call: all kinds of resources, both modes, undo, notices, recovery, a large file.
async fn everything(bench: &Bench) {
    let name = &bench.shop.name;
    assert_eq!(bench.cycle_with(json!({"task": "train"})).await.error, "");
    bench.health.set(false);
    assert_eq!(bench.cycle().await.error, "RolledBack");
    bench.health.set(true);
    bench.publish(&behind_a_balancer(bench).await).await;
    let unreached = bench.cycle().await;
    assert_eq!(unreached.error, "RolledBack", "nothing answers behind the load balancer: {unreached:?}");
    let long = format!("{}\n# {}", bench.platform, "x".repeat(9_000));
    bench.publish(&long).await;
    short_of_instances(bench).await;
    a_warm_pool(bench).await;
    bench.publish(&long).await;
    // The configuration's object is gone, which only a role that may list the bucket is told.
    let object = format!("s3://{BUCKET}/headroom/{name}.yaml");
    aws(server().await, &["s3", "rm", &object]).await.unwrap();
    let missing = bench.cycle().await;
    assert_eq!(missing.error, "ConfigMissing", "{missing:?}");
    // Of two cycles at once one asks whether the other still runs.
    bench.publish(&with_an_alarm(bench).await).await;
    let (one, two) = (bench.start(json!({})).await, bench.start(json!({})).await);
    bench.end_of(&one).await;
    bench.end_of(&two).await;
    let (api, orders) = (bench.shop.api(), bench.shop.orders());
    let service = format!("service/{}/{api}", bench.shop.cluster());
    target(bench, ServiceNamespace::Ecs, service, ScalableDimension::EcsServiceDesiredCount, 2).await;
    let table = format!("table/{orders}");
    let read = ScalableDimension::DynamoDbTableReadCapacityUnits;
    let write = ScalableDimension::DynamoDbTableWriteCapacityUnits;
    target(bench, ServiceNamespace::Dynamodb, table.clone(), read, 20).await;
    target(bench, ServiceNamespace::Dynamodb, table, write, 10).await;
    let mut floors =
        with_an_alarm(bench).await.replace("_capacity: 2\n", "_capacity: 2\n        mode: floor\n");
    floors = floors.replace(&format!("name: {orders}\n"), &format!("name: {orders}\n        mode: floor\n"));
    let later = of_every_kind(bench, &floors).await;
    let cycle = bench.cycle_with(later).await;
    assert_eq!(cycle.outcome(), "scaled", "{name}: {cycle:?}");
    // Once an hour the decisions of an hour ago are judged.
    let (store, platform) = (bench.store(), bench.name());
    let read = store.platform_state(&platform).await.unwrap();
    let judged_at = Some(Timestamp::now() - SignedDuration::from_hours(2));
    let state = PlatformState { judged_at, ..read.value.clone() };
    store.put_platform_state(&platform, &read, &state).await.unwrap();
    // A person wants other capacities: nothing provisioned at all, a reader and a replica less, a cache with more nodes, then with
    // fewer, and less let in.
    lambda_function::provision(bench, 1).await;
    let cache = elasticache_replication_group::name_of(bench);
    let none = json!({
        lambda_function::provisioned(bench): 0,
        format!("{cache}/replicas"): 2,
        format!("{name}-books/replicas"): 2,
        format!("{name}-copies/replicas"): 1,
    });
    let less = json!({format!("{cache}/replicas"): 1, format!("{}/throttle", api_gateway_stage::name_of(bench)): 60});
    let by_hand = [none, less, json!({format!("{cache}/shards"): 4})];
    for capacity in by_hand {
        let cycle = bench.cycle_with(json!({"capacity": capacity})).await;
        assert_eq!(cycle.outcome(), "scaled", "{capacity}: {cycle:?}");
    }
}

/// A platform with a resource of every other kind too, at a load for which they scale out half an hour later.
async fn of_every_kind(bench: &Bench, floors: &str) -> Json {
    let (_, file) = every::create(bench, floors).await;
    bench.publish(&file).await;
    let later = bench.half_an_hour_later(2.0 * HALF).await;
    let until: Timestamp = later["now"].as_str().unwrap().parse().unwrap();
    // The cache gets more nodes by hand.
    every::load(bench, every::BUSY_BESIDE_THE_CACHE, until, 30).await;
    later
}

/// The platform's file with a check of an alarm that is well.
async fn with_an_alarm(bench: &Bench) -> String {
    let alarm = format!("{}-errors", bench.shop.name);
    let put = ["cloudwatch", "put-metric-alarm", "--alarm-name", &alarm, "--metric-name", "Errors"];
    let rest = ["--namespace", "Shop", "--statistic", "Sum", "--period", "60", "--evaluation-periods", "1"];
    let bound = ["--threshold", "1", "--comparison-operator", "GreaterThanThreshold"];
    let missing = ["--treat-missing-data", "notBreaching"];
    aws(server().await, &[&put[..], &rest[..], &bound[..], &missing[..]].concat()).await.unwrap();
    let check = format!("    - {{resource: web, check_type: alarm, alarm_name: {alarm}}}\n");
    bench.platform.replace("  rollout_phase: full\n", &format!("{check}  rollout_phase: full\n"))
}

/// The platform's file with checks and a metric of a load balancer, which stands before the tasks.
async fn behind_a_balancer(bench: &Bench) -> String {
    balancers::stand_before(bench).await;
    let (cluster, service) = (bench.shop.cluster(), bench.shop.api());
    let cpu = format!(
        "{{name: cpu, kind: utilization, target_value: 60, namespace: AWS/ECS, metric_name: CPUUtilization, \
         dimensions: {{ClusterName: {cluster}, ServiceName: {service}}}}}"
    );
    let file =
        balancers::measured_by(bench, &format!("{cpu}, {{name: latency, kind: latency, target_value: 1}}"));
    let checks = "    - {resource: app, check_type: target_health}
    - {resource: app, check_type: health_endpoint, endpoint: /health, timeout: 1s}\n";
    file.replace("  rollout_phase: full\n", &format!("{checks}  rollout_phase: full\n"))
}

#[tokio::test]
async fn every_action_of_every_role_is_needed() {
    let bench = Bench::at("rights", 2.0 * HALF).await;
    everything(&bench).await;
    let needed = record("rights", "/needed").await;
    let idle = needed["calls"].as_array().unwrap().iter().filter(|row| row["calls"] == 0);
    let idle = idle.filter(|row| !UNSEEN.iter().any(|(action, _)| text(row, "action").starts_with(action)));
    let idle: Vec<String> = idle
        .map(|row| format!("{}: {} ({})", text(row, "role"), text(row, "action"), text(row, "sid")))
        .collect();
    assert!(idle.is_empty(), "nothing needs {idle:#?}");
    let calls = record("rights", "").await;
    let denied: Vec<&Json> =
        calls["calls"].as_array().unwrap().iter().filter(|call| call["allowed"] == false).collect();
    assert!(denied.is_empty(), "{denied:#?}");
    let mut functions: BTreeMap<&str, usize> = BTreeMap::new();
    for call in calls["calls"].as_array().unwrap() {
        *functions.entry(text(call, "function")).or_default() += 1;
    }
    assert_eq!(functions.len(), 6, "five functions and the state machine: {functions:?}");
}

#[tokio::test]
async fn a_role_without_an_action_is_denied_it() {
    let bench = Bench::at("lacking", CALM).await;
    assert_eq!(bench.cycle().await.outcome(), "held");
    let record = record("lacking", "").await;
    let role = record["sessions"].as_array().unwrap().iter().map(|session| text(session, "role"));
    let role = role.into_iter().find(|role| role.contains("CollectMetrics")).unwrap().to_owned();
    let policy = ["iam", "get-role-policy", "--role-name", &role, "--policy-name", "collect-metrics"];
    let whole: Json = serde_json::from_str(&aws(server().await, &policy).await.unwrap()).unwrap();
    let document = whole["PolicyDocument"].to_string();
    let put = |document: String| {
        let role = role.clone();
        async move {
            let put = ["iam", "put-role-policy", "--role-name", &role, "--policy-name", "collect-metrics"];
            let document = ["--policy-document", &document];
            aws(server().await, &[&put[..], &document[..]].concat()).await.unwrap();
        }
    };
    for action in ["dynamodb:PutItem", "ssm:GetParameter"] {
        assert!(document.contains(action));
        put(document.replace(action, "dynamodb:ListTables")).await;
        let cycle = bench.cycle().await;
        assert_eq!(cycle.error, "Denied", "{cycle:?}");
        assert!(cycle.cause.contains(&format!("not authorized to perform: {action}")), "{}", cycle.cause);
    }
    // What cannot be seen is held.
    put(document.replace("cloudwatch:GetMetricData", "dynamodb:ListTables")).await;
    let before = bench.capacity().await;
    assert_ne!(bench.cycle().await.outcome(), "scaled");
    assert_eq!(bench.capacity().await, before);
    put(document).await;
    assert_eq!(bench.cycle().await.outcome(), "held");
}
