//! Clusters of Aurora Serverless v2 as AWS answers.

use aws_sdk_cloudwatch::operation::get_metric_data::GetMetricDataError;
use aws_sdk_rds::Client;
use aws_sdk_rds::error::ErrorMetadata;
use aws_sdk_rds::operation::describe_db_clusters::{DescribeDBClustersError, DescribeDbClustersOutput};
use aws_sdk_rds::operation::modify_db_cluster::{ModifyDBClusterError, ModifyDbClusterOutput};
use aws_sdk_rds::types::builders::DbClusterBuilder;
use aws_sdk_rds::types::{
    ClusterPendingModifiedValues, DbCluster, ServerlessV2ScalingConfigurationInfo as RangeNow,
};
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use headroom_core::name::DimensionKey;
use headroom_core::observe::{Busy, Capacity, Observed};
use headroom_core::platform::Mode;
use headroom_core::units::Units;

use super::super::testing::{platform, target, units_of};
use super::serverless::{observe, set};
use super::testing::{clients, now};
use super::*;
use crate::meter::Meter;

const CLUSTER: &str = "{type: AURORA_SERVERLESS, name: orders, min_capacity: 0, max_capacity: 16, auto_pause: true, \
    maximum: {min: 8, max: 64}}";

fn cluster(min: f64, max: f64) -> DbClusterBuilder {
    let range = RangeNow::builder().min_capacity(min).max_capacity(max);
    let range = range.set_seconds_until_auto_pause((min == 0.0).then_some(900)).build();
    let cluster = DbCluster::builder().db_cluster_identifier("orders").status("available");
    cluster.serverless_v2_scaling_configuration(range)
}

fn describes(cluster: DbClusterBuilder) -> Rule {
    let cluster = cluster.build();
    mock!(Client::describe_db_clusters)
        .match_requests(|request| request.filters()[0].values() == ["orders"])
        .then_output(move || DescribeDbClustersOutput::builder().db_clusters(cluster.clone()).build())
}

/// CloudWatch, which tells so many ACU, or nothing.
fn metrics(acu: Option<f64>) -> CloudWatch {
    let told: Vec<_> = acu.into_iter().map(|acu| ("orders", acu)).collect();
    testing::metrics("ServerlessDatabaseCapacity", &told)
}

/// What is seen of the minimum and of the maximum.
async fn seen(rule: &Rule, metrics: CloudWatch) -> [Observed<Capacity>; 2] {
    let platform = platform(CLUSTER);
    let clients = clients(&[rule], metrics);
    let observed = observe(&clients, &[target(&platform, Mode::Desired)], now()).await;
    ["minimum", "maximum"].map(|name| observed[&DimensionKey::new(&"orders".into(), name)].clone())
}

async fn known(rule: &Rule, acu: Option<f64>) -> [Capacity; 2] {
    seen(rule, metrics(acu)).await.map(|seen| seen.known().cloned().unwrap())
}

#[tokio::test]
async fn the_range_is_seen_in_halves_and_what_is_in_use_by_its_metric() {
    let [minimum, maximum] = known(&describes(cluster(2.5, 32.0)), Some(7.5)).await;
    assert_eq!((minimum.mode, minimum.set, minimum.ready), (Mode::Floor, Units(5), Units(15)));
    assert_eq!((minimum.aws_max, minimum.whole(), minimum.busy), (Some(Units(64)), Units(64), None));
    assert_eq!((maximum.mode, maximum.set, maximum.ready), (Mode::Desired, Units(64), Units(64)));
    assert_eq!((maximum.aws_min, maximum.whole()), (Some(Units(5)), Units(64)));
    let [minimum, maximum] = known(&describes(cluster(0.5, 32.0)), None).await;
    assert_eq!((minimum.ready, maximum.aws_min), (Units(1), Some(Units(2))), "the minimum stands in");
}

#[tokio::test]
async fn a_metric_that_may_not_be_read_costs_nothing_but_itself() {
    let denied = mock!(aws_sdk_cloudwatch::Client::get_metric_data)
        .then_error(|| GetMetricDataError::generic(ErrorMetadata::builder().code("AccessDenied").build()));
    let client = mock_client!(aws_sdk_cloudwatch, RuleMode::MatchAny, [&denied]);
    let metrics = CloudWatch::new(&client, &Meter::default());
    let [minimum, _] = seen(&describes(cluster(4.0, 32.0)), metrics).await;
    assert_eq!(minimum.known().unwrap().ready, Units(8));
}

#[tokio::test]
async fn a_cluster_that_is_modified_takes_no_change() {
    let [minimum, maximum] = known(&describes(cluster(1.0, 8.0).status("modifying")), None).await;
    let locked = Some(Busy::Locked("the cluster is modifying".into()));
    assert_eq!((minimum.busy, maximum.busy), (locked.clone(), locked));
}

#[tokio::test]
async fn changes_that_wait_for_the_maintenance_window_are_not_brought_on() {
    let pending = ClusterPendingModifiedValues::builder().engine_version("16.4").build();
    let [minimum, _] = known(&describes(cluster(1.0, 8.0).pending_modified_values(pending)), None).await;
    assert!(
        matches!(&minimum.busy, Some(Busy::Held(why)) if why.contains("maintenance window")),
        "{minimum:?}"
    );
    let none = ClusterPendingModifiedValues::builder().build();
    let [minimum, _] = known(&describes(cluster(1.0, 8.0).pending_modified_values(none)), None).await;
    assert_eq!(minimum.busy, None);
}

#[tokio::test]
async fn a_paused_cluster_is_not_woken_by_a_scale_in() {
    let [minimum, maximum] = known(&describes(cluster(0.0, 32.0)), Some(0.0)).await;
    assert_eq!((minimum.set, minimum.ready, minimum.busy), (Units(0), Units(0), None));
    assert!(matches!(maximum.busy, Some(Busy::ScaleInHeld(_))), "{maximum:?}");
    let [_, awake] = known(&describes(cluster(0.0, 32.0)), Some(0.5)).await;
    assert_eq!(awake.busy, None);
}

#[tokio::test]
async fn what_is_gone_or_denied_or_of_another_kind_is_unknown_with_its_reason() {
    let none =
        mock!(Client::describe_db_clusters).then_output(|| DescribeDbClustersOutput::builder().build());
    let denied = mock!(Client::describe_db_clusters).then_error(|| {
        DescribeDBClustersError::generic(ErrorMetadata::builder().code("AccessDenied").build())
    });
    let provisioned = DbCluster::builder().db_cluster_identifier("orders").status("available");
    for (rule, why) in [
        (none, "there is no DB cluster orders"),
        (denied, "could not describe DB clusters: AccessDenied"),
        (describes(provisioned), "DB cluster orders has no range of ACUs"),
    ] {
        for seen in seen(&rule, metrics(None)).await {
            assert!(matches!(&seen, Observed::Unknown(said) if said.starts_with(why)), "{seen:?}");
        }
    }
}

/// Sets some units on a cluster with this range: the range that was sent, with the delay.
async fn sent(at: (f64, f64), pause_after_s: Option<u32>, units: &[(&str, u32)]) -> (f64, f64, Option<i32>) {
    let modify = mock!(Client::modify_db_cluster)
        .match_requests(|request| {
            request.db_cluster_identifier() == Some("orders") && request.apply_immediately() == Some(true)
        })
        .then_compute_output(|request| {
            let range = request.serverless_v2_scaling_configuration().unwrap();
            let told = RangeNow::builder().set_min_capacity(range.min_capacity());
            let told = told.set_max_capacity(range.max_capacity());
            let told = told.set_seconds_until_auto_pause(range.seconds_until_auto_pause()).build();
            let cluster = DbCluster::builder().serverless_v2_scaling_configuration(told).build();
            SENT.with(|sent| sent.borrow_mut().push(cluster.clone()));
            ModifyDbClusterOutput::builder().db_cluster(cluster).build()
        });
    let clients = clients(&[&describes(cluster(at.0, at.1)), &modify], metrics(None));
    let platform = platform(CLUSTER);
    let resource = platform.resources().next().unwrap().1;
    set(&clients, resource, pause_after_s, &units_of(units)).await.unwrap();
    let cluster = SENT.with(|sent| sent.borrow_mut().pop().unwrap());
    let range = cluster.serverless_v2_scaling_configuration().unwrap();
    (range.min_capacity().unwrap(), range.max_capacity().unwrap(), range.seconds_until_auto_pause())
}

thread_local! {
    /// What was sent in a test, which runs on one thread.
    static SENT: std::cell::RefCell<Vec<DbCluster>> = const { std::cell::RefCell::new(Vec::new()) };
}

#[tokio::test]
async fn the_whole_range_is_set_at_once_and_what_is_not_to_move_stays() {
    assert_eq!(sent((1.0, 16.0), Some(600), &[("orders/minimum", 9)]).await, (4.5, 16.0, None));
    assert_eq!(sent((1.0, 16.0), Some(600), &[("orders/maximum", 64)]).await, (1.0, 32.0, None));
    let both = [("orders/maximum", 64), ("orders/minimum", 40)];
    assert_eq!(sent((1.0, 16.0), None, &both).await, (20.0, 32.0, None));
}

#[tokio::test]
async fn a_cluster_that_may_pause_does_so_after_the_delay_as_written() {
    assert_eq!(sent((1.0, 16.0), Some(600), &[("orders/minimum", 0)]).await, (0.0, 16.0, Some(600)));
    assert_eq!(sent((1.0, 16.0), None, &[("orders/minimum", 0)]).await, (0.0, 16.0, None));
    assert_eq!(sent((0.0, 16.0), None, &[("orders/maximum", 16)]).await, (0.0, 8.0, Some(900)), "as it was");
}

#[tokio::test]
async fn refusals_are_told_apart_and_no_change_is_sent_twice() {
    for (code, message, kind) in [
        ("InvalidDBClusterStateFault", "DB cluster is not in available state", ErrorKind::Stale),
        ("InvalidParameterValue", "maximum capacity", ErrorKind::Invalid),
        ("DBClusterNotFoundFault", "", ErrorKind::NotFound),
        ("AccessDenied", "", ErrorKind::Denied),
        ("Throttling", "", ErrorKind::Throttled),
        ("InternalFailure", "", ErrorKind::Unavailable),
    ] {
        let modify = mock!(Client::modify_db_cluster).then_error(move || {
            ModifyDBClusterError::generic(ErrorMetadata::builder().code(code).message(message).build())
        });
        let clients = clients(&[&describes(cluster(1.0, 8.0)), &modify], metrics(None));
        let platform = platform(CLUSTER);
        let resource = platform.resources().next().unwrap().1;
        let error = set(&clients, resource, None, &units_of(&[("orders/minimum", 8)])).await.unwrap_err();
        assert_eq!((error.kind, modify.num_calls()), (kind, 1), "{code}");
    }
}
