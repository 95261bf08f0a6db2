//! RDS of the local AWS: what is modified, made and removed takes time, and what AWS refuses is refused.

use ::local_aws::unkind::Unkind;
use aws_sdk_rds::error::ProvideErrorMetadata as _;
use headroom_aws::sdk::Aws;

use crate::bench::server;
use crate::kinds::aurora_serverless::{cluster, range, set_range};

/// Longer than any test takes: what is under way stays so until the test ends it.
const PACE: f64 = 600.0;

async fn slow(name: &str, how: &Unkind) -> Aws {
    let aws = server().await.connect().await;
    cluster(&aws, name, (1.0, 16.0), None).await;
    server().await.unkind(name, how).await.unwrap();
    aws
}

/// Sets a range; the code with which that was refused.
async fn set(aws: &Aws, name: &str, to: (f64, f64)) -> Result<(), String> {
    set_range(aws, name, to, None).await.map_err(|error| error.code().unwrap().to_owned())
}

#[tokio::test]
async fn a_range_takes_time_and_no_other_change_meanwhile() {
    let aws = slow("unkind-range", &Unkind { pace: Some(PACE), ..Unkind::default() }).await;
    set(&aws, "unkind-range", (4.5, 16.0)).await.unwrap();
    assert_eq!(range(&aws, "unkind-range").await, ("modifying".into(), 1.0, 16.0, None));
    assert_eq!(set(&aws, "unkind-range", (5.0, 16.0)).await, Err("InvalidDBClusterStateFault".into()));
    server().await.kind("unkind-range").await.unwrap();
    assert_eq!(range(&aws, "unkind-range").await, ("available".into(), 4.5, 16.0, None));
}

#[tokio::test]
async fn ranges_are_halves_of_an_acu_that_end_at_one_or_more() {
    let aws = slow("unkind-halves", &Unkind::default()).await;
    for (low, high) in [(0.7, 16.0), (4.0, 2.0), (0.5, 0.5), (1.0, 300.0)] {
        let refused = set(&aws, "unkind-halves", (low, high)).await;
        assert_eq!(refused, Err("InvalidParameterValue".into()), "{low} to {high}");
    }
    set(&aws, "unkind-halves", (0.5, 1.0)).await.unwrap();
}

#[tokio::test]
async fn only_a_cluster_that_may_pause_has_a_delay() {
    let aws = slow("unkind-pause", &Unkind::default()).await;
    set_range(&aws, "unkind-pause", (0.0, 4.0), Some(900)).await.unwrap();
    assert_eq!(range(&aws, "unkind-pause").await.3, Some(900));
    set_range(&aws, "unkind-pause", (1.0, 4.0), None).await.unwrap();
    assert_eq!(range(&aws, "unkind-pause").await.3, None);
    set_range(&aws, "unkind-pause", (0.0, 4.0), None).await.unwrap();
    assert_eq!(range(&aws, "unkind-pause").await.3, Some(300), "AWS has forgotten the one from before");
}

#[tokio::test]
async fn clusters_are_described_late() {
    let aws = slow("unkind-stale", &Unkind { lag: Some(PACE), ..Unkind::default() }).await;
    set(&aws, "unkind-stale", (4.0, 16.0)).await.unwrap();
    assert_eq!(range(&aws, "unkind-stale").await.1, 1.0);
    server().await.kind("unkind-stale").await.unwrap();
    assert_eq!(range(&aws, "unkind-stale").await.1, 4.0);
}

/// An instance with 100 GiB.
async fn instance(name: &str, how: &Unkind) -> Aws {
    let aws = server().await.connect().await;
    let create = aws.rds().create_db_instance().db_instance_identifier(name).engine("oracle-ee");
    let create = create.db_instance_class("db.m6g.large").allocated_storage(100).backup_retention_period(7);
    create.master_username("shop").master_user_password("correct-horse").send().await.unwrap();
    server().await.unkind(name, how).await.unwrap();
    aws
}

#[tokio::test]
async fn what_an_instance_has_not_is_not_told() {
    let aws = instance("unkind-alone", &Unkind::default()).await;
    let told = aws.rds().describe_db_instances().db_instance_identifier("unkind-alone").send().await.unwrap();
    let alone = &told.db_instances()[0];
    let others = (alone.db_cluster_identifier(), alone.read_replica_source_db_instance_identifier());
    assert_eq!(others, (None, None));
}

/// Status and storage of an instance; nothing once it is gone.
async fn stands(aws: &Aws, name: &str) -> Option<(String, i32)> {
    let told = aws.rds().describe_db_instances().db_instance_identifier(name).send().await.ok()?;
    let instance = &told.db_instances()[0];
    Some((instance.db_instance_status().unwrap().to_owned(), instance.allocated_storage().unwrap()))
}

async fn replicate(aws: &Aws, name: &str, source: &str) -> Result<(), String> {
    let create = aws.rds().create_db_instance_read_replica().source_db_instance_identifier(source);
    let sent = create.db_instance_identifier(name).send().await;
    sent.map(drop).map_err(|error| error.code().unwrap().to_owned())
}

async fn delete(aws: &Aws, name: &str) -> Result<(), String> {
    let sent =
        aws.rds().delete_db_instance().db_instance_identifier(name).skip_final_snapshot(true).send().await;
    sent.map(drop).map_err(|error| error.code().unwrap().to_owned())
}

#[tokio::test]
async fn instances_are_made_and_removed_over_time() {
    let aws = instance("unkind-source", &Unkind::default()).await;
    let slow = Unkind { pace: Some(PACE), lag: Some(0.0), ..Unkind::default() };
    server().await.unkind("unkind-source-", &slow).await.unwrap();
    replicate(&aws, "unkind-source-1", "unkind-source").await.unwrap();
    assert_eq!(stands(&aws, "unkind-source-1").await.unwrap().0, "creating");
    server().await.kind("unkind-source-").await.unwrap();
    assert_eq!(stands(&aws, "unkind-source-1").await.unwrap().0, "available");
    server().await.unkind("unkind-source-", &slow).await.unwrap();
    delete(&aws, "unkind-source-1").await.unwrap();
    assert_eq!(stands(&aws, "unkind-source-1").await.unwrap().0, "deleting");
    assert_eq!(delete(&aws, "unkind-source-1").await, Err("InvalidDBInstanceState".into()));
    let taken = replicate(&aws, "unkind-source-1", "unkind-source").await;
    assert_eq!(taken, Err("DBInstanceAlreadyExists".into()));
    server().await.kind("unkind-source-").await.unwrap();
    assert_eq!(stands(&aws, "unkind-source-1").await, None);
}

#[tokio::test]
async fn an_instance_has_its_engines_limit_of_replicas() {
    let aws = instance("unkind-many", &Unkind::default()).await;
    for number in 1..=5 {
        replicate(&aws, &format!("unkind-many-{number}"), "unkind-many").await.unwrap();
    }
    assert_eq!(replicate(&aws, "unkind-many-6", "unkind-many").await, Err("InstanceQuotaExceeded".into()));
    delete(&aws, "unkind-many-3").await.unwrap();
    replicate(&aws, "unkind-many-6", "unkind-many").await.unwrap();
}

#[tokio::test]
async fn storage_grows_by_a_tenth_once_in_six_hours_and_never_shrinks() {
    let aws = instance("unkind-disk", &Unkind { pace: Some(PACE), ..Unkind::default() }).await;
    server().await.kind("unkind-disk").await.unwrap();
    let grow = async |gib: i32| {
        let modify =
            aws.rds().modify_db_instance().db_instance_identifier("unkind-disk").apply_immediately(true);
        let sent = modify.allocated_storage(gib).send().await;
        sent.map(drop).map_err(|error| error.code().unwrap().to_owned())
    };
    assert_eq!(grow(90).await, Err("InvalidParameterCombination".into()));
    server().await.unkind("unkind-disk", &Unkind { pace: Some(PACE), ..Unkind::default() }).await.unwrap();
    grow(101).await.unwrap();
    assert_eq!(stands(&aws, "unkind-disk").await, Some(("modifying".into(), 100)));
    server().await.kind("unkind-disk").await.unwrap();
    assert_eq!(stands(&aws, "unkind-disk").await, Some(("available".into(), 110)));
    assert_eq!(grow(200).await, Err("InvalidParameterCombination".into()), "six hours");
}

#[tokio::test]
async fn instances_are_described_late() {
    let aws = instance("unkind-old", &Unkind { lag: Some(PACE), ..Unkind::default() }).await;
    let modify = aws.rds().modify_db_instance().db_instance_identifier("unkind-old").allocated_storage(150);
    modify.apply_immediately(true).send().await.unwrap();
    assert_eq!(stands(&aws, "unkind-old").await.unwrap().1, 100);
    server().await.kind("unkind-old").await.unwrap();
    assert_eq!(stands(&aws, "unkind-old").await.unwrap().1, 150);
}
