//! Readers of Aurora clusters and replicas of instances as AWS answers.

use std::sync::{Arc, Mutex};

use aws_sdk_rds::error::ErrorMetadata;
use aws_sdk_rds::operation::create_db_instance::{CreateDBInstanceError, CreateDbInstanceOutput};
use aws_sdk_rds::operation::create_db_instance_read_replica::CreateDbInstanceReadReplicaOutput;
use aws_sdk_rds::operation::delete_db_instance::{DeleteDBInstanceError, DeleteDbInstanceOutput};
use aws_sdk_rds::operation::describe_db_clusters::DescribeDbClustersOutput;
use aws_sdk_rds::operation::describe_db_instances::DescribeDBInstancesError;
use aws_sdk_rds::primitives::DateTime;
use aws_sdk_rds::types::builders::DbInstanceBuilder;
use aws_sdk_rds::types::{
    DbClusterMember, DbInstanceStatusInfo, DbParameterGroupStatus, Tag, VpcSecurityGroupMembership,
};
use aws_smithy_mocks::{Rule, mock};
use headroom_core::name::DimensionKey;
use headroom_core::observe::{Busy, Capacity, Observed};
use headroom_core::platform::Mode;
use headroom_core::units::Units;

use super::super::testing::{platform, target, units_of};
use super::testing::{clients, describes, metrics, now};
use super::*;

const AURORA: &str = "{type: AURORA_REPLICAS, name: orders, min_capacity: 1, max_capacity: 15}";
const RDS: &str = "{type: RDS_READ_REPLICAS, name: orders, min_capacity: 1, max_capacity: 15}";
const ADOPTING: &str =
    "{type: AURORA_REPLICAS, name: orders, min_capacity: 1, max_capacity: 15, adopt_readers: true}";

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}

/// An instance of the cluster or a replica of the instance `orders`, so many seconds old.
fn instance(name: &str, status: &str, age_s: i64) -> DbInstanceBuilder {
    let instance = DbInstance::builder().db_instance_identifier(name).db_instance_status(status);
    let instance = instance.instance_create_time(DateTime::from_secs(testing::NOW_S - age_s));
    instance.db_instance_class("db.r6g.large")
}

fn member(name: &str, status: &str, age_s: i64) -> DbInstance {
    instance(name, status, age_s).db_cluster_identifier("orders").build()
}

/// One that we made of the cluster.
fn ours(number: u32, status: &str, age_s: i64) -> DbInstance {
    let name = format!("orders-headroom-{number}");
    let one = instance(&name, status, age_s).db_cluster_identifier("orders");
    one.tag_list(tag("headroom-reader", "orders")).tag_list(tag("headroom", "shop")).build()
}

/// The cluster `orders`, written by `writer`.
fn cluster(status: &'static str, writer: &'static str) -> Rule {
    mock!(Client::describe_db_clusters).then_output(move || {
        let member = DbClusterMember::builder().db_instance_identifier(writer).is_cluster_writer(true);
        let cluster = DbCluster::builder().db_cluster_identifier("orders").status(status);
        let cluster = cluster.engine("aurora-postgresql").db_cluster_members(member.build());
        let cluster = cluster.tag_list(tag("headroom", "shop")).tag_list(tag("team", "books"));
        DescribeDbClustersOutput::builder().db_clusters(cluster.build()).build()
    })
}

fn writer() -> DbInstance {
    let parameters = DbParameterGroupStatus::builder().db_parameter_group_name("tuned").build();
    let writer = instance("orders-0", "available", 9_000).db_cluster_identifier("orders");
    writer.engine("aurora-postgresql").publicly_accessible(false).db_parameter_groups(parameters).build()
}

fn no_lag() -> CloudWatch {
    metrics("AuroraReplicaLag", &[])
}

async fn seen(text: &str, rules: &[&Rule], metrics: CloudWatch, mode: Mode) -> Observed<Capacity> {
    let platform = platform(text);
    let clients = clients(rules, metrics);
    let targets = [target(&platform, mode)];
    let observed = match text == RDS {
        true => read_replicas::observe(&clients, &targets, now()).await,
        false => aurora_replicas::observe(&clients, &targets, now()).await,
    };
    observed[&"orders/replicas".parse::<DimensionKey>().unwrap()].clone()
}

async fn known(text: &str, rules: &[&Rule], metrics: CloudWatch) -> Capacity {
    match seen(text, rules, metrics, Mode::Desired).await {
        Observed::Known(capacity) => capacity,
        Observed::Unknown(why) => panic!("{why}"),
    }
}

#[tokio::test]
async fn readers_are_counted_and_the_writer_is_none_of_them() {
    let foreign = member("orders-1", "available", 8_000);
    let instances =
        [writer(), foreign, ours(1, "available", 600), ours(2, "creating", 60), ours(3, "deleting", 30)];
    let capacity =
        known(AURORA, &[&cluster("available", "orders-0"), &describes(instances.into())], no_lag()).await;
    assert_eq!((capacity.set, capacity.ready), (Units(3), Units(2)), "what comes counts, what goes does not");
    assert_eq!((capacity.aws_min, capacity.aws_max), (Some(Units(1)), Some(Units(15))), "one is not ours");
    assert_eq!((capacity.busy, capacity.failed), (None, None));
    let told =
        known(ADOPTING, &[&cluster("available", "orders-0"), &describes(vec![writer()])], no_lag()).await;
    assert_eq!(told.aws_min, None);
}

#[tokio::test]
async fn a_reader_that_became_the_writer_is_never_counted_or_taken_away() {
    let instances = vec![writer(), ours(1, "available", 600), ours(2, "available", 60)];
    let rules = [&cluster("available", "orders-headroom-2"), &describes(instances)];
    assert_eq!(known(AURORA, &rules, no_lag()).await.set, Units(2));
    let gone = changes(
        AURORA,
        ("orders-headroom-2", vec![writer(), ours(1, "available", 600), ours(2, "available", 60)]),
        1,
    )
    .await;
    assert_eq!(
        gone.unwrap(),
        ["- orders-headroom-1"],
        "the old writer is not ours, the new one is the writer"
    );
}

#[tokio::test]
async fn a_reader_that_lags_or_is_backed_up_is_not_ready_and_brakes() {
    let instances = || vec![writer(), ours(1, "available", 600), ours(2, "available", 60)];
    let lags = metrics("AuroraReplicaLag", &[("orders-headroom-1", 20.0), ("orders-headroom-2", 9_500.0)]);
    let capacity = known(AURORA, &[&cluster("available", "orders-0"), &describes(instances())], lags).await;
    assert_eq!((capacity.set, capacity.ready), (Units(2), Units(1)));
    assert_eq!(capacity.busy, Some(Busy::ScaleInHeld("orders-headroom-2 is 9.5 s behind".into())));
    let backed_up = vec![writer(), ours(1, "backing-up", 600)];
    let capacity = known(AURORA, &[&cluster("available", "orders-0"), &describes(backed_up)], no_lag()).await;
    assert_eq!(capacity.busy, Some(Busy::ScaleInHeld("orders-headroom-1 is backing-up".into())));
    assert_eq!(capacity.ready, Units(0));
}

#[tokio::test]
async fn a_cluster_in_the_middle_of_something_holds_and_a_failed_reader_is_told() {
    let instances = vec![writer(), ours(1, "incompatible-network", 600)];
    let capacity = known(AURORA, &[&cluster("upgrading", "orders-0"), &describes(instances)], no_lag()).await;
    assert_eq!(capacity.busy, Some(Busy::Held("the cluster is upgrading".into())));
    let failed = Some("reader orders-headroom-1 is incompatible-network".into());
    assert_eq!((capacity.set, capacity.failed), (Units(0), failed));
}

#[tokio::test]
async fn what_cannot_be_seen_is_unknown_with_its_reason() {
    let none =
        mock!(Client::describe_db_clusters).then_output(|| DescribeDbClustersOutput::builder().build());
    let gone = seen(AURORA, &[&none, &describes(Vec::new())], no_lag(), Mode::Desired).await;
    assert_eq!(gone, Observed::Unknown("there is no DB cluster orders".into()));
    let denied = mock!(Client::describe_db_instances).then_error(|| {
        DescribeDBInstancesError::generic(ErrorMetadata::builder().code("AccessDenied").build())
    });
    for text in [AURORA, RDS] {
        let unseen = seen(text, &[&cluster("available", "orders-0"), &denied], no_lag(), Mode::Desired).await;
        assert!(matches!(&unseen, Observed::Unknown(why) if why.contains("AccessDenied")), "{unseen:?}");
    }
    let floor =
        seen(AURORA, &[&cluster("available", "orders-0"), &describes(Vec::new())], no_lag(), Mode::Floor)
            .await;
    assert!(matches!(floor, Observed::Unknown(_)), "no floor can be asked for here");
}

/// What is made and taken away, in order, so that there are so many readers.
async fn changes(
    text: &str,
    (writer, instances): (&'static str, Vec<DbInstance>),
    units: u32,
) -> Result<Vec<String>, AwsError> {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let (made, copied, gone) = (calls.clone(), calls.clone(), calls.clone());
    let tags = |tags: &[Tag]| {
        let tags = tags.iter().map(|tag| format!("{}={}", tag.key().unwrap(), tag.value().unwrap()));
        tags.collect::<Vec<_>>().join(",")
    };
    let create = mock!(Client::create_db_instance).then_compute_output(move |request| {
        assert_eq!(request.db_cluster_identifier(), Some("orders"));
        assert_eq!((request.engine(), request.promotion_tier()), (Some("aurora-postgresql"), Some(15)));
        let as_the_writer = (request.db_parameter_group_name(), request.publicly_accessible());
        assert_eq!(as_the_writer, (Some("tuned"), Some(false)));
        let (name, class) = (request.db_instance_identifier().unwrap(), request.db_instance_class().unwrap());
        made.lock().unwrap().push(format!("+ {name} {class} {}", tags(request.tags())));
        CreateDbInstanceOutput::builder().build()
    });
    let replica = mock!(Client::create_db_instance_read_replica).then_compute_output(move |request| {
        assert_eq!(request.source_db_instance_identifier(), Some("orders"));
        assert_eq!(
            (request.vpc_security_group_ids(), request.publicly_accessible()),
            (&["sg-1".to_owned()][..], Some(true))
        );
        let (name, class) = (request.db_instance_identifier().unwrap(), request.db_instance_class().unwrap());
        copied.lock().unwrap().push(format!("+ {name} {class} {}", tags(request.tags())));
        CreateDbInstanceReadReplicaOutput::builder().build()
    });
    let delete = mock!(Client::delete_db_instance).then_compute_output(move |request| {
        assert_eq!(request.skip_final_snapshot(), Some(true));
        gone.lock().unwrap().push(format!("- {}", request.db_instance_identifier().unwrap()));
        DeleteDbInstanceOutput::builder().build()
    });
    let rules = [&cluster("available", writer), &describes(instances), &create, &replica, &delete];
    set(text, &rules, units).await?;
    let calls = calls.lock().unwrap().clone();
    Ok(calls)
}

async fn set(text: &str, rules: &[&Rule], units: u32) -> Result<(), AwsError> {
    let (platform, clients) = (platform(text), clients(rules, no_lag()));
    let resource = platform.resources().next().unwrap().1;
    let targets = units_of(&[("orders/replicas", units)]);
    match text == RDS {
        true => read_replicas::set(&clients, resource, &targets).await,
        false => aurora_replicas::set(&clients, resource, Mode::Desired, &targets).await,
    }
}

#[tokio::test]
async fn readers_are_made_under_the_next_free_names_with_our_tags() {
    let tags = "headroom=shop,headroom-reader=orders";
    let instances = vec![writer(), ours(1, "available", 600), ours(2, "deleting", 60)];
    let made = changes(AURORA, ("orders-0", instances), 3).await.unwrap();
    let expected = ["orders-headroom-3", "orders-headroom-4"];
    assert_eq!(
        made,
        expected.map(|name| format!("+ {name} db.r6g.large {tags}")),
        "a name is taken until it is free"
    );
    // What was made before the answer was lost is not made again.
    let instances = vec![writer(), ours(1, "available", 600), ours(2, "creating", 0), ours(3, "creating", 0)];
    assert!(changes(AURORA, ("orders-0", instances), 3).await.unwrap().is_empty());
    let class = "{type: AURORA_REPLICAS, name: orders, min_capacity: 1, max_capacity: 9, instance_class: db.serverless}";
    let made = changes(class, ("orders-0", vec![writer()]), 1).await.unwrap();
    assert_eq!(made, [format!("+ orders-headroom-1 db.serverless {tags}")]);
}

#[tokio::test]
async fn the_youngest_of_ours_go_first_and_others_only_when_told() {
    let instances = || {
        let foreign = member("orders-1", "available", 10);
        vec![
            writer(),
            foreign,
            ours(1, "available", 900),
            ours(2, "available", 60),
            ours(3, "available", 300),
        ]
    };
    let gone = changes(AURORA, ("orders-0", instances()), 2).await.unwrap();
    assert_eq!(gone, ["- orders-headroom-2", "- orders-headroom-3"]);
    let refused = changes(AURORA, ("orders-0", instances()), 0).await.unwrap_err();
    assert!(refused.kind == ErrorKind::Invalid && refused.said.contains("`adopt_readers`"), "{refused}");
    let gone = changes(ADOPTING, ("orders-0", instances()), 0).await.unwrap();
    assert_eq!(gone.last().unwrap(), "- orders-1", "after our own");
}

#[tokio::test]
async fn a_failed_creation_is_cleaned_up() {
    let instances = || vec![writer(), ours(1, "available", 900), ours(2, "failed", 60)];
    let gone = changes(AURORA, ("orders-0", instances()), 1).await.unwrap();
    assert_eq!(gone, ["- orders-headroom-2"], "although there are as many as there should be");
    let both = changes(AURORA, ("orders-0", instances()), 2).await.unwrap();
    assert_eq!(both.len(), 2);
    assert!(both[1].starts_with("+ orders-headroom-3"), "{both:?}");
}

#[tokio::test]
async fn a_reader_that_is_there_already_is_ours_or_in_the_way() {
    let exists = || {
        mock!(Client::create_db_instance).then_error(|| {
            let error = ErrorMetadata::builder().code("DBInstanceAlreadyExists").message("it exists");
            CreateDBInstanceError::generic(error.build())
        })
    };
    // Descriptions lag: it is found by its name, though not yet among those of the cluster.
    let mut late = ours(1, "creating", 0);
    late.db_cluster_identifier = None;
    let create = exists();
    set(AURORA, &[&cluster("available", "orders-0"), &describes(vec![writer(), late]), &create], 1)
        .await
        .unwrap();
    assert_eq!(create.num_calls(), 1, "sent once");
    let other = instance("orders-headroom-1", "available", 9).build();
    let rules = [&cluster("available", "orders-0"), &describes(vec![writer(), other]), &exists()];
    assert!(set(AURORA, &rules, 1).await.is_err());
}

#[tokio::test]
async fn refusals_are_told_apart_and_what_was_begun_must_follow() {
    for (code, kind) in [
        ("InvalidDBClusterStateFault", ErrorKind::Stale),
        ("InstanceQuotaExceeded", ErrorKind::Limit),
        ("InsufficientDBInstanceCapacity", ErrorKind::Limit),
        ("AccessDenied", ErrorKind::Denied),
    ] {
        let create = mock!(Client::create_db_instance)
            .then_error(move || CreateDBInstanceError::generic(ErrorMetadata::builder().code(code).build()));
        let rules = [&cluster("available", "orders-0"), &describes(vec![writer()]), &create];
        assert_eq!(set(AURORA, &rules, 2).await.unwrap_err().kind, kind, "{code}");
    }
    let create = mock!(Client::create_db_instance).then_error(|| {
        CreateDBInstanceError::generic(ErrorMetadata::builder().code("InvalidDBClusterStateFault").build())
    });
    let delete = mock!(Client::delete_db_instance).then_error(|| {
        DeleteDBInstanceError::generic(ErrorMetadata::builder().code("DBInstanceNotFound").build())
    });
    let instances = describes(vec![writer(), ours(1, "failed", 60)]);
    let rules = [&cluster("available", "orders-0"), &instances, &create, &delete];
    assert_eq!(
        set(AURORA, &rules, 1).await.unwrap_err().kind,
        ErrorKind::Unavailable,
        "gone was well, the rest must follow"
    );
}

fn source(engine: &str, backups: i32, replicas: &[&str]) -> DbInstance {
    let replicas = replicas.iter().map(|name| (*name).to_owned()).collect();
    let source = instance("orders", "available", 9_000).engine(engine).backup_retention_period(backups);
    let source = source.set_read_replica_db_instance_identifiers(Some(replicas));
    let network = VpcSecurityGroupMembership::builder().vpc_security_group_id("sg-1").build();
    let source = source.publicly_accessible(true).vpc_security_groups(network);
    source.tag_list(tag("headroom", "shop")).build()
}

fn replica(number: u32, status: &str) -> DbInstanceBuilder {
    let name = format!("orders-headroom-{number}");
    let one = instance(&name, status, 60).read_replica_source_db_instance_identifier("orders");
    one.tag_list(tag("headroom-reader", "orders"))
}

#[tokio::test]
async fn replicas_of_an_instance_have_their_engines_limit() {
    let elsewhere = "arn:aws:rds:eu-west-1:123456789012:db:orders-far";
    for (engine, most) in [("postgres", 14), ("oracle-ee", 4), ("sqlserver-ee", 4), ("db2-se", 2)] {
        let instances =
            vec![source(engine, 7, &["orders-headroom-1", elsewhere]), replica(1, "available").build()];
        let capacity = known(RDS, &[&describes(instances)], metrics("ReplicaLag", &[])).await;
        assert_eq!((capacity.set, capacity.ready), (Units(1), Units(1)));
        assert_eq!(capacity.aws_max, Some(Units(most)), "{engine}, of which one is elsewhere");
    }
    let unsaved = seen(RDS, &[&describes(vec![source("mysql", 0, &[])])], no_lag(), Mode::Desired).await;
    assert!(matches!(&unsaved, Observed::Unknown(why) if why.contains("keeps no backups")), "{unsaved:?}");
    let gone = seen(RDS, &[&describes(Vec::new())], no_lag(), Mode::Desired).await;
    assert_eq!(gone, Observed::Unknown("there is no DB instance orders".into()));
}

#[tokio::test]
async fn a_replica_that_does_not_replicate_is_not_ready() {
    let broken = DbInstanceStatusInfo::builder().normal(false).status("error").message("out of log").build();
    let instances = vec![
        source("mysql", 7, &["orders-headroom-1", "orders-headroom-2", "orders-headroom-3"]),
        replica(1, "available").build(),
        replica(2, "available").status_infos(broken).build(),
        replica(3, "available").build(),
    ];
    let lags = metrics("ReplicaLag", &[("orders-headroom-1", 30.0), ("orders-headroom-3", -1.0)]);
    let capacity = known(RDS, &[&describes(instances)], lags).await;
    assert_eq!((capacity.set, capacity.ready), (Units(3), Units(1)), "half a minute is no lag");
    let why = "orders-headroom-2: its replication is error: out of log";
    assert_eq!(capacity.busy, Some(Busy::ScaleInHeld(why.into())));
}

#[tokio::test]
async fn replicas_are_made_and_taken_away_like_readers() {
    let instances = || vec![source("mysql", 7, &["orders-headroom-1"]), replica(1, "available").build()];
    let made = changes(RDS, ("", instances()), 2).await.unwrap();
    assert_eq!(made, ["+ orders-headroom-2 db.r6g.large headroom=shop,headroom-reader=orders"]);
    assert_eq!(changes(RDS, ("", instances()), 0).await.unwrap(), ["- orders-headroom-1"]);
}
