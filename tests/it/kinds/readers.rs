//! Readers of an Aurora cluster and replicas of an instance, made and taken away by whole cycles; and storage that only grows.

use ::local_aws::seed::{Metric, Value, publish};
use ::local_aws::unkind::Unkind;
use aws_sdk_applicationautoscaling::types::{ScalableDimension, ServiceNamespace};
use aws_sdk_rds::types::Tag;
use headroom_core::journal::StepState;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};

use crate::bench::{Bench, CALM, HALF, server};
use crate::kinds::aurora_serverless::cluster;
use crate::kinds::scalable_target;

/// Percent of the readers' CPU at which two of them are one too few, at a target of 70.
const BUSY: f64 = 90.0;
const QUIET: f64 = 12.0;

fn tags(bench: &Bench, more: &[(&str, &str)]) -> Option<Vec<Tag>> {
    let tag = |(key, value): (&str, &str)| Tag::builder().key(key).value(value).build();
    Some([("headroom", bench.shop.name.as_str())].iter().chain(more).copied().map(tag).collect())
}

fn books(bench: &Bench) -> String {
    format!("{}-books", bench.shop.name)
}

/// A cluster with a writer and two readers that somebody else made.
pub(crate) async fn create(bench: &Bench) {
    let name = books(bench);
    cluster(&bench.aws, &name, (1.0, 8.0), Some(&bench.shop.name)).await;
    for number in 0..3 {
        let create = bench.aws.rds().create_db_instance().db_cluster_identifier(&name);
        let create = create.db_instance_identifier(format!("{name}-{number}")).engine("aurora-postgresql");
        create.db_instance_class("db.r6g.large").send().await.unwrap();
    }
}

/// A platform's file with the readers in it.
pub(crate) fn platform(bench: &Bench, text: &str) -> String {
    with(
        text,
        "books",
        &format!("{{type: AURORA_REPLICAS, name: {}, min_capacity: 1, max_capacity: 8}}", books(bench)),
    )
}

/// A platform's file with one more group of one resource, on which the service depends.
fn with(text: &str, group: &str, resource: &str) -> String {
    text.replace("scaling_groups:\n", &format!("scaling_groups:\n  {group}: {{resources: [{resource}]}}\n"))
        .replace("[data,", &format!("[data, {group},"))
        .replace("dependencies:\n", &format!("dependencies:\n    - {{source: app, target: {group}}}\n"))
}

/// A metric of AWS/RDS for some minutes before a time.
async fn publish_rds(
    bench: &Bench,
    (name, mean): (&'static str, f64),
    dimensions: &[(&'static str, &str)],
    (before, minutes): (Timestamp, i64),
) {
    let dimensions = dimensions.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
    let metric = Metric { namespace: "AWS/RDS", name, dimensions };
    let value = |minute| Value { at: before - SignedDuration::from_mins(minute), mean, samples: 1.0 };
    publish(&bench.aws, &metric, (1..=minutes).map(value)).await.unwrap();
}

/// The CPU of the readers.
pub(crate) async fn read(bench: &Bench, cpu: f64, before: Timestamp, minutes: i64) {
    let dimensions = [("DBClusterIdentifier", books(bench)), ("Role", "READER".to_owned())];
    let dimensions = dimensions.each_ref().map(|(key, value)| (*key, value.as_str()));
    publish_rds(bench, ("CPUUtilization", cpu), &dimensions, (before, minutes)).await;
}

async fn later(bench: &Bench, load: f64) -> (Json, Timestamp) {
    let input = bench.half_an_hour_later(load).await;
    let now = input["now"].as_str().unwrap().parse().unwrap();
    (input, now)
}

async fn shop(name: &str, load: f64) -> Bench {
    let bench = Bench::at(name, load).await;
    create(&bench).await;
    bench.publish(&platform(&bench, &bench.platform)).await;
    bench
}

/// The instances whose names begin like this, with their status, class and whether they are tagged as ours.
pub(crate) async fn stands(bench: &Bench, prefix: &str) -> Vec<String> {
    let told = bench.aws.rds().describe_db_instances().send().await.unwrap();
    let mine =
        told.db_instances().iter().filter(|one| one.db_instance_identifier().unwrap().starts_with(prefix));
    let short = |name: &str| name.strip_prefix(prefix).unwrap().to_owned();
    let mut names: Vec<String> = mine
        .map(|one| {
            format!("{} {}", short(one.db_instance_identifier().unwrap()), one.db_instance_status().unwrap())
        })
        .collect();
    names.sort();
    names
}

const FIRST: [&str; 3] = ["-0 available", "-1 available", "-2 available"];

#[tokio::test]
async fn readers_come_before_the_tasks_that_read_and_go_after_them() {
    let bench = shop("read", 2.0 * HALF).await;
    let slow = Unkind { pace: Some(2.0), lag: Some(1.0), ..Unkind::default() };
    server().await.unkind("read-", &slow).await.unwrap();
    read(&bench, BUSY, Timestamp::now(), 120).await;
    let cycle = bench.cycle().await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    let journal = bench.journal().await;
    assert_eq!(journal["books"].state, StepState::Done, "{journal:#?}");
    assert!(journal["books"].wave < journal["api"].wave, "{journal:#?}");
    let three = [&FIRST[..], &["-headroom-1 available"]].concat();
    assert_eq!(stands(&bench, "read-books").await, three);
    let (input, now) = later(&bench, 0.5 * CALM).await;
    read(&bench, QUIET, now, 30).await;
    let cycle = bench.cycle_with(input).await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    let journal = bench.journal().await;
    assert!(journal["api"].wave < journal["books"].wave, "{journal:#?}");
    server().await.kind("read-").await.unwrap();
    assert_eq!(stands(&bench, "read-books").await, FIRST, "two that we did not make stay");
}

#[tokio::test]
async fn readers_that_are_refused_roll_back_what_was_begun() {
    let bench = shop("readless", 2.0 * HALF).await;
    read(&bench, BUSY, Timestamp::now(), 120).await;
    let before = bench.capacity().await;
    bench
        .fault(json!({"service": "rds", "operation": "CreateDBInstance",
            "body": format!("contains(to_string(@), '{}')", books(&bench)),
            "error": {"code": "AccessDenied", "status": 403}}))
        .await;
    let cycle = bench.cycle().await;
    assert_eq!(cycle.error, "RolledBack", "{cycle:?}");
    assert_eq!(bench.capacity().await, before);
    assert_eq!(stands(&bench, "readless-books").await, FIRST);
}

#[tokio::test]
async fn a_reader_for_which_there_is_no_capacity_is_cleaned_up() {
    let bench = shop("readfull", 2.0 * HALF).await;
    read(&bench, BUSY, Timestamp::now(), 120).await;
    let full = Unkind { units_max: Some(2), ..Unkind::default() };
    server().await.unkind("readfull-books-headroom", &full).await.unwrap();
    let cycle = bench.cycle().await;
    assert_eq!(cycle.error, "RolledBack", "{cycle:?}");
    let entry = &bench.journal().await["books"];
    assert_eq!(entry.state, StepState::Undone, "{entry:#?}");
    assert_eq!(stands(&bench, "readfull-books").await, FIRST);
}

#[tokio::test]
async fn a_floor_moves_under_the_native_policy_of_readers() {
    let bench = Bench::at("readfloor", CALM).await;
    create(&bench).await;
    let (name, id) = (books(&bench), format!("cluster:{}", books(&bench)));
    let dimension = ScalableDimension::RdsClusterReadReplicaCount;
    let register = bench.aws.application().register_scalable_target().resource_id(&id);
    let register = register.service_namespace(ServiceNamespace::Rds).scalable_dimension(dimension);
    let register = register.min_capacity(2).max_capacity(9).tags("headroom", "readfloor");
    register.send().await.unwrap();
    scalable_target::may(&bench, &["rds:AddTagsToResource", "rds:CreateDBInstance"]).await;
    let resource =
        format!("{{type: AURORA_REPLICAS, name: {name}, min_capacity: 1, max_capacity: 8, mode: floor}}");
    bench.publish(&with(&bench.platform, "books", &resource)).await;
    server().await.unkind(&name, &Unkind { pace: Some(2.0), ..Unkind::default() }).await.unwrap();
    read(&bench, BUSY, Timestamp::now(), 120).await;
    let cycle = bench.cycle().await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    let asked = bench.aws.application().describe_scalable_targets().service_namespace(ServiceNamespace::Rds);
    let told = asked.resource_ids(id).send().await.unwrap();
    assert_eq!(told.scalable_targets()[0].min_capacity(), 3);
    assert_eq!(stands(&bench, &name).await, FIRST, "we made none");
    let made = stands(&bench, "application-autoscaling-readfloor-books-").await;
    assert_eq!(made, ["0 available"], "Application Auto Scaling did");
}

#[tokio::test]
async fn replicas_are_rolled_back_to_as_many_as_before() {
    let bench = Bench::at("copy", 2.0 * HALF).await;
    instance(&bench, 100).await;
    replicate(&bench).await;
    let source = "copy-stock";
    let resource = format!("{{type: RDS_READ_REPLICAS, name: {source}, min_capacity: 1, max_capacity: 5}}");
    bench.publish(&with(&bench.platform, "stock", &resource)).await;
    let slow = Unkind { pace: Some(2.0), ..Unkind::default() };
    server().await.unkind("copy-", &slow).await.unwrap();
    read_copies(&bench, BUSY, Timestamp::now(), 120).await;
    bench.health.set(false);
    let cycle = bench.cycle().await;
    assert_eq!(cycle.error, "RolledBack", "{cycle:?}");
    let entry = &bench.journal().await["stock"];
    assert_eq!(entry.state, StepState::Undone, "{entry:#?}");
    assert!(entry.detail().unwrap().starts_with("restored in part"), "{:?}", entry.detail());
    server().await.kind("copy-").await.unwrap();
    assert_eq!(stands(&bench, "copy-stock-").await, ["headroom-1 available", "headroom-2 available"]);
    bench.health.set(true);
    let cycle = bench.cycle().await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    let three = ["headroom-1 available", "headroom-2 available", "headroom-3 available"];
    assert_eq!(stands(&bench, "copy-stock-").await, three);
}

/// An instance with so much storage, tagged as the platform's.
pub(crate) async fn instance(bench: &Bench, gib: i32) {
    let create = bench.aws.rds().create_db_instance().db_instance_identifier(stock(bench)).engine("postgres");
    let create = create.db_instance_class("db.m6g.large").allocated_storage(gib).backup_retention_period(7);
    let create = create.master_username("shop").master_user_password("correct-horse");
    create.set_tags(tags(bench, &[])).send().await.unwrap();
}

/// Makes two replicas of it, as Headroom does.
pub(crate) async fn replicate(bench: &Bench) {
    let source = stock(bench);
    for number in 1..=2 {
        let create = bench.aws.rds().create_db_instance_read_replica().source_db_instance_identifier(&source);
        let create = create.db_instance_identifier(format!("{source}-headroom-{number}"));
        create.set_tags(tags(bench, &[("headroom-reader", &source)])).send().await.unwrap();
    }
}

/// The CPU of the first replica.
pub(crate) async fn read_copies(bench: &Bench, cpu: f64, before: Timestamp, minutes: i64) {
    let first = format!("{}-headroom-1", stock(bench));
    let dimensions = [("DBInstanceIdentifier", first.as_str())];
    publish_rds(bench, ("CPUUtilization", cpu), &dimensions, (before, minutes)).await;
}

fn stock(bench: &Bench) -> String {
    format!("{}-stock", bench.shop.name)
}

/// A platform's file with the storage in it.
pub(crate) fn storage(bench: &Bench, text: &str) -> String {
    with(
        text,
        "stock",
        &format!("{{type: RDS_STORAGE, name: {}, min_capacity: 50, max_capacity: 400}}", stock(bench)),
    )
}

/// A platform's file with replicas of the same instance in it, of which there are none at first.
pub(crate) fn copies(bench: &Bench, text: &str) -> String {
    let (name, id) = (stock(bench), format!("{}-copies", bench.shop.name));
    let resource =
        format!("{{type: RDS_READ_REPLICAS, name: {name}, id: {id}, min_capacity: 1, max_capacity: 5}}");
    with(text, "copies", &resource)
}

/// What is left of the storage, in GiB.
pub(crate) async fn left(bench: &Bench, gib: f64, before: Timestamp, minutes: i64) {
    let (name, bytes) = (stock(bench), gib * 1_073_741_824.0);
    let dimensions = [("DBInstanceIdentifier", name.as_str())];
    publish_rds(bench, ("FreeStorageSpace", bytes), &dimensions, (before, minutes)).await;
}

pub(crate) async fn allocated(bench: &Bench) -> (String, i32) {
    let told =
        bench.aws.rds().describe_db_instances().db_instance_identifier(stock(bench)).send().await.unwrap();
    let instance = &told.db_instances()[0];
    (instance.db_instance_status().unwrap().to_owned(), instance.allocated_storage().unwrap())
}

#[tokio::test]
async fn storage_grows_stands_when_the_rest_is_rolled_back_and_never_shrinks() {
    let bench = Bench::at("disk", 2.0 * HALF).await;
    instance(&bench, 100).await;
    bench.publish(&storage(&bench, &bench.platform)).await;
    server().await.unkind("disk-stock", &Unkind { pace: Some(2.0), ..Unkind::default() }).await.unwrap();
    // 82 of 100 GiB are used: 103 would do, and a tenth more is the least.
    left(&bench, 18.0, Timestamp::now(), 120).await;
    bench.health.set(false);
    let cycle = bench.cycle().await;
    let entry = &bench.journal().await["stock"];
    assert_eq!(entry.state, StepState::Stands, "{cycle:?} {entry:#?}");
    assert!(entry.detail().unwrap().ends_with("AWS has no way back"), "{:?}", entry.detail());
    server().await.kind("disk-stock").await.unwrap();
    assert_eq!(allocated(&bench).await, ("available".into(), 110));
    bench.health.set(true);
    // Nearly everything is used, and the next change comes only six hours after the last.
    let (input, now) = later(&bench, CALM).await;
    left(&bench, 2.0, now, 30).await;
    bench.cycle_with(input).await;
    let reasons = bench.reasons("stock/storage").await;
    assert!(reasons.iter().any(|reason| reason.contains("AWS takes the next change in")), "{reasons:?}");
    assert_eq!(allocated(&bench).await.1, 110);
}
