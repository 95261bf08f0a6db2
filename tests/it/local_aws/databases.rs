//! RDS of the local AWS: a modification takes time, and what AWS refuses is refused.

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
