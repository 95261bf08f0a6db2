//! An Aurora Serverless v2 cluster that the shop's service writes to: its minimum is there before the tasks that use it, and
//! goes after them.

use ::local_aws::seed::{Metric, Value, publish};
use ::local_aws::unkind::Unkind;
use aws_sdk_rds::error::SdkError;
use aws_sdk_rds::operation::modify_db_cluster::ModifyDBClusterError;
use aws_sdk_rds::types::{ServerlessV2ScalingConfiguration, Tag};
use headroom_aws::sdk::Aws;
use headroom_core::journal::StepState;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};

use crate::bench::{Bench, CALM, HALF, server};

/// ACU at first.
const FIRST: (f64, f64) = (6.0, 32.0);
/// Percent of the maximum at which 20 halves are needed, at a target of 70.
const BUSY: f64 = 21.5;
const QUIET: f64 = 3.0;

/// Creates a cluster with a range of ACUs.
pub(crate) async fn cluster(aws: &Aws, name: &str, acu: (f64, f64), platform: Option<&str>) {
    let create = aws.rds().create_db_cluster().db_cluster_identifier(name).engine("aurora-postgresql");
    let tags = platform.map(|platform| vec![Tag::builder().key("headroom").value(platform).build()]);
    let range = ServerlessV2ScalingConfiguration::builder().min_capacity(acu.0).max_capacity(acu.1).build();
    let create = create.serverless_v2_scaling_configuration(range).set_tags(tags);
    create.master_username("shop").master_user_password("correct-horse").send().await.unwrap();
}

/// Sets a range, as a person would.
pub(crate) async fn set_range(
    aws: &Aws,
    name: &str,
    acu: (f64, f64),
    delay_s: Option<i32>,
) -> Result<(), SdkError<ModifyDBClusterError>> {
    let range = ServerlessV2ScalingConfiguration::builder().min_capacity(acu.0).max_capacity(acu.1);
    let range = range.set_seconds_until_auto_pause(delay_s).build();
    let modify = aws.rds().modify_db_cluster().db_cluster_identifier(name).apply_immediately(true);
    modify.serverless_v2_scaling_configuration(range).send().await.map(drop)
}

/// A cluster's status, range and delay.
pub(crate) async fn range(aws: &Aws, name: &str) -> (String, f64, f64, Option<i32>) {
    let told = aws.rds().describe_db_clusters().db_cluster_identifier(name).send().await.unwrap();
    let cluster = &told.db_clusters()[0];
    let range = cluster.serverless_v2_scaling_configuration().unwrap();
    let (low, high) = (range.min_capacity().unwrap(), range.max_capacity().unwrap());
    (cluster.status().unwrap().to_owned(), low, high, range.seconds_until_auto_pause())
}

fn name_of(bench: &Bench) -> String {
    format!("{}-ledger", bench.shop.name)
}

/// The shop's cluster, tagged as the platform's.
pub(crate) async fn create(bench: &Bench) {
    cluster(&bench.aws, &name_of(bench), FIRST, Some(&bench.shop.name)).await;
}

/// A platform's file with the cluster in it, and more to say of it.
pub(crate) fn platform(bench: &Bench, text: &str, more: &str) -> String {
    let cluster = format!(
        "  ledger:
    resources:
      - {{type: AURORA_SERVERLESS, name: {}, min_capacity: 0.5, max_capacity: 24{more}}}
",
        name_of(bench)
    );
    text.replace("scaling_groups:\n", &format!("scaling_groups:\n{cluster}"))
        .replace("[data,", "[data, ledger,")
        .replace("dependencies:\n", "dependencies:\n    - {source: app, target: ledger}\n")
}

async fn shop(name: &str, load: f64) -> Bench {
    let bench = Bench::at(name, load).await;
    create(&bench).await;
    bench.publish(&platform(&bench, &bench.platform, "")).await;
    bench
}

/// What is used of the cluster's maximum for some minutes before a time, in percent of CPU and of ACU.
pub(crate) async fn used(bench: &Bench, (cpu, acu): (f64, f64), before: Timestamp, minutes: i64) {
    for (name, mean) in [("CPUUtilization", cpu), ("ACUUtilization", acu)] {
        let dimensions = vec![("DBClusterIdentifier", name_of(bench))];
        let metric = Metric { namespace: "AWS/RDS", name, dimensions };
        let value = |minute| Value { at: before - SignedDuration::from_mins(minute), mean, samples: 1.0 };
        publish(&bench.aws, &metric, (1..=minutes).map(value)).await.unwrap();
    }
}

async fn later(bench: &Bench, load: f64, cpu: f64) -> Json {
    let input = bench.half_an_hour_later(load).await;
    used(bench, (cpu, 40.0), input["now"].as_str().unwrap().parse().unwrap(), 30).await;
    input
}

/// The minimum and the maximum.
pub(crate) async fn stands(bench: &Bench) -> (f64, f64) {
    let (_, low, high, _) = range(&bench.aws, &name_of(bench)).await;
    (low, high)
}

#[tokio::test]
async fn a_minimum_comes_before_the_tasks_that_write_and_goes_after_them() {
    let bench = shop("acu", 2.0 * HALF).await;
    let slow = Unkind { pace: Some(2.0), lag: Some(1.0), ..Unkind::default() };
    server().await.unkind("acu-", &slow).await.unwrap();
    used(&bench, (BUSY, 40.0), Timestamp::now(), 120).await;
    let cycle = bench.cycle().await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    let journal = bench.journal().await;
    assert_eq!(journal["ledger"].state, StepState::Done, "{journal:#?}");
    assert!(journal["ledger"].wave < journal["api"].wave, "{journal:#?}");
    let (out, maximum) = stands(&bench).await;
    assert!((9.0..=11.0).contains(&out) && maximum == FIRST.1, "{out} to {maximum}");
    let input = later(&bench, 0.5 * CALM, QUIET).await;
    let cycle = bench.cycle_with(input).await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    let journal = bench.journal().await;
    assert!(journal["api"].wave < journal["ledger"].wave, "{journal:#?}");
    let (inward, maximum) = stands(&bench).await;
    assert!(inward < out && maximum == FIRST.1, "{inward} of {out}");
}

#[tokio::test]
async fn a_cluster_that_refuses_rolls_back_what_was_begun() {
    let bench = shop("aculess", 2.0 * HALF).await;
    used(&bench, (BUSY, 40.0), Timestamp::now(), 120).await;
    let before = bench.capacity().await;
    bench
        .fault(json!({"service": "rds", "operation": "ModifyDBCluster",
            "body": format!("contains(to_string(@), '{}')", name_of(&bench)),
            "error": {"code": "AccessDenied", "status": 403}}))
        .await;
    let cycle = bench.cycle().await;
    assert_eq!(cycle.error, "RolledBack", "{cycle:?}");
    assert_eq!((bench.capacity().await, stands(&bench).await), (before, FIRST));
}

#[tokio::test]
async fn a_range_that_the_rest_did_not_hold_on_is_taken_back_whole() {
    let bench = shop("acusick", 2.0 * HALF).await;
    let both = ", maximum: {min: 8, max: 64}";
    bench.publish(&platform(&bench, &bench.platform, both)).await;
    let slow = Unkind { pace: Some(2.0), lag: Some(1.0), ..Unkind::default() };
    server().await.unkind("acusick-", &slow).await.unwrap();
    // The maximum is used up nearly.
    used(&bench, (BUSY, 90.0), Timestamp::now(), 120).await;
    bench.health.set(false);
    let cycle = bench.cycle().await;
    assert_eq!(cycle.error, "RolledBack", "{cycle:?}");
    let journal = bench.journal().await;
    assert_eq!((journal["ledger"].state, journal["ledger"].step.changes.len()), (StepState::Undone, 2));
    assert_eq!(stands(&bench).await, FIRST);
}

#[tokio::test]
async fn a_cluster_that_is_being_modified_is_left_alone_and_the_rest_is_served() {
    let bench = shop("acubusy", 2.0 * HALF).await;
    used(&bench, (BUSY, 40.0), Timestamp::now(), 120).await;
    server()
        .await
        .unkind("acubusy-ledger", &Unkind { pace: Some(600.0), ..Unkind::default() })
        .await
        .unwrap();
    set_range(&bench.aws, &name_of(&bench), (6.5, 32.0), None).await.unwrap();
    let cycle = bench.cycle().await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    assert!(!bench.journal().await.contains_key("ledger"));
    let reasons = bench.reasons("ledger/minimum").await;
    assert!(reasons.iter().any(|reason| reason.contains("the cluster is modifying")), "{reasons:?}");
}
