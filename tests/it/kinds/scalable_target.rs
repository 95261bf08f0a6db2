//! What Application Auto Scaling scales in other services: a Keyspaces table, by its bounds.

use ::local_aws::deploy::aws;
use ::local_aws::seed::{Metric, Value, publish};
use aws_sdk_applicationautoscaling::types::{ScalableDimension, ServiceNamespace};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};

use crate::bench::{Bench, CALM, server};

const DIMENSION: ScalableDimension = ScalableDimension::CassandraTableReadCapacityUnits;

fn table(bench: &Bench) -> String {
    format!("keyspace/{}/table/orders", bench.shop.name)
}

/// A shop at a calm load before a Keyspaces table of 100 to 1,000 units.
async fn shop(name: &str, mode: &str) -> Bench {
    let bench = Bench::at(name, CALM).await;
    create(&bench).await;
    bench.publish(&platform(&bench, &bench.platform, mode)).await;
    bench
}

/// Registers the shop's table, with what the execute role needs for it.
pub(crate) async fn create(bench: &Bench) {
    let register =
        bench.aws.application().register_scalable_target().service_namespace(ServiceNamespace::Cassandra);
    let register = register.resource_id(table(bench)).scalable_dimension(DIMENSION);
    let register = register.min_capacity(100).max_capacity(1_000).tags("headroom", &bench.shop.name);
    register.send().await.unwrap();
    may(bench, &["cassandra:Select", "cassandra:Alter"]).await;
}

/// A platform's file with the table in it.
pub(crate) fn platform(bench: &Bench, text: &str, mode: &str) -> String {
    let target = format!(
        "  keys:
    resources:
      - type: SCALABLE_TARGET
        name: keys
        mode: {mode}
        service_namespace: cassandra
        resource_id: {}
        scalable_dimension: {}
        min_capacity: 50
        max_capacity: 900
        metrics: [{{name: reads, kind: load, namespace: Shop, dimensions: {{Keyspace: {}}}, target_per_unit: 42}}]
",
        table(bench),
        DIMENSION.as_str(),
        bench.shop.name,
    );
    text.replace("scaling_groups:\n", &format!("scaling_groups:\n{target}"))
}

/// The execute role gets what Application Auto Scaling asks of it for another service, as by ScalableTargetPolicyArn.
pub(crate) async fn may(bench: &Bench, actions: &[&str]) {
    put_policy(&execute_role(bench).await, "targets", "Allow", actions).await;
}

/// The name of the execute function's role.
pub(crate) async fn execute_role(bench: &Bench) -> String {
    let roles = ["iam", "list-roles", "--query", "Roles[].RoleName", "--output", "text"];
    let roles = aws(server().await, &roles).await.unwrap();
    let of_shop = format!("headroom-{}-", bench.shop.name);
    let role = roles.split_whitespace().find(|role| role.starts_with(&of_shop) && role.contains("Execute"));
    role.unwrap().to_owned()
}

/// Allows or denies a role these actions, instead of what a policy of this name said before.
pub(crate) async fn put_policy(role: &str, name: &str, effect: &str, actions: &[&str]) {
    let document = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": effect, "Action": actions, "Resource": "*"},
    ]});
    let put = ["iam", "put-role-policy", "--role-name", role, "--policy-name", name];
    aws(server().await, &[&put[..], &["--policy-document", &document.to_string()]].concat()).await.unwrap();
}

/// Reads a minute for some minutes before a time.
pub(crate) async fn read(bench: &Bench, reads: f64, before: Timestamp, minutes: i64) {
    let name = bench.shop.name.clone();
    let metric = Metric { namespace: "Shop", name: "reads", dimensions: vec![("Keyspace", name)] };
    let value = |minute| Value { at: before - SignedDuration::from_mins(minute), mean: reads, samples: 1.0 };
    publish(&bench.aws, &metric, (1..=minutes).map(value)).await.unwrap();
}

/// The minimum and the maximum.
pub(crate) async fn bounds(bench: &Bench) -> (i32, i32) {
    let asked =
        bench.aws.application().describe_scalable_targets().service_namespace(ServiceNamespace::Cassandra);
    let answer = asked.resource_ids(table(bench)).send().await.unwrap();
    let target = &answer.scalable_targets()[0];
    (target.min_capacity(), target.max_capacity())
}

async fn later(bench: &Bench, reads: f64) -> Json {
    let input = bench.half_an_hour_later(CALM).await;
    read(bench, reads, input["now"].as_str().unwrap().parse().unwrap(), 30).await;
    input
}

#[tokio::test]
async fn the_minimum_of_a_scalable_target_follows_the_load_out_and_in() {
    let bench = shop("keys", "floor").await;
    read(&bench, 8_400.0, Timestamp::now(), 120).await;
    let cycle = bench.cycle().await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    assert_eq!(bounds(&bench).await, (200, 1_000), "{cycle:?}");
    let input = later(&bench, 4_200.0).await;
    let cycle = bench.cycle_with(input).await;
    let (least, most) = bounds(&bench).await;
    assert!(least < 200 && most == 1_000, "{least}: {cycle:?}");
}

#[tokio::test]
async fn both_bounds_of_a_scalable_target_move_in_mode_desired() {
    let bench = shop("keyset", "desired").await;
    read(&bench, 8_400.0, Timestamp::now(), 120).await;
    assert_eq!(bench.cycle().await.outcome(), "scaled");
    assert_eq!(bounds(&bench).await, (200, 200));
}

#[tokio::test]
async fn a_scalable_target_that_refuses_leaves_the_rest_as_it_was() {
    let bench = shop("keyless", "floor").await;
    read(&bench, 8_400.0, Timestamp::now(), 120).await;
    bench
        .fault(json!({"service": "application-autoscaling", "operation": "RegisterScalableTarget",
            "body": format!("ResourceId == '{}'", table(&bench)),
            "error": {"code": "AccessDeniedException", "status": 400}}))
        .await;
    let cycle = bench.cycle().await;
    assert_eq!(cycle.error, "RolledBack", "{cycle:?}");
    assert_eq!(bounds(&bench).await, (100, 1_000));
}
