//! Faults on the way to AWS: what is throttled or fails is retried, held or rolled back, and never lost.

use serde_json::json;

use crate::bench::{Bench, HALF};

#[tokio::test]
async fn throttled_metrics_are_read_again() {
    let bench = Bench::at("slow", 2.0 * HALF).await;
    // More often than one invocation tries, so that the state machine has to try again.
    bench
        .fault(
            json!({"service": "dynamodb", "operation": "DescribeTable", "resource": "slow-orders", "times": 2,
        "error": {"code": "ThrottlingException", "status": 400}}),
        )
        .await;
    let cycle = bench.cycle().await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    assert!(cycle.used("DynamoDB:DescribeTable") > 3.0, "{cycle:?}");
}

#[tokio::test]
async fn a_resource_that_may_not_be_seen_is_held_and_the_rest_is_served() {
    let bench = Bench::at("hidden", 2.0 * HALF).await;
    bench
        .fault(json!({"service": "dynamodb", "operation": "DescribeTable", "resource": "hidden-orders",
        "error": {"code": "AccessDeniedException", "status": 400}}))
        .await;
    let cycle = bench.cycle().await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    let reasons = bench.reasons("orders/read").await;
    assert!(reasons[0].contains("AccessDenied") && reasons[0].contains("role"), "{reasons:?}");
    assert_eq!(bench.journal().await.into_keys().collect::<Vec<_>>(), ["api", "web"]);
}

#[tokio::test]
async fn a_step_that_is_denied_rolls_back_what_was_begun() {
    let bench = Bench::at("denied", 2.0 * HALF).await;
    let before = bench.capacity().await;
    bench
        .fault(json!({"service": "ecs", "operation": "UpdateService", "body": "service == 'denied-api'",
        "error": {"code": "AccessDeniedException", "status": 400}}))
        .await;
    let cycle = bench.cycle().await;
    assert_eq!(cycle.error, "RolledBack", "{cycle:?}");
    assert!(cycle.cause.contains("AccessDenied"), "{}", cycle.cause);
    assert_eq!(bench.capacity().await, before);
}

#[tokio::test]
async fn an_answer_that_is_lost_loses_nothing() {
    let bench = Bench::at("lost", 2.0 * HALF).await;
    let before = bench.capacity().await;
    // The call takes effect, but its answer is cut off, as often as one invocation tries.
    bench
        .fault(
            json!({"service": "dynamodb", "operation": "UpdateTable", "resource": "lost-orders", "times": 3,
        "response": {"abort_frac": 0.0}}),
        )
        .await;
    let cycle = bench.cycle().await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    assert!(before.read < bench.capacity().await.read);
}

#[tokio::test]
async fn a_store_that_fails_leaves_the_platform_as_it_was() {
    let bench = Bench::at("mute", 2.0 * HALF).await;
    let before = bench.capacity().await;
    // Nothing can be journalled any more, so nothing may be done.
    bench.fault(json!({"service": "dynamodb", "operation": "PutItem", "body": "contains(to_string(Item.pk.S), 'mute#journal')",
        "error": {"code": "InternalServerError", "status": 500}})).await;
    let cycle = bench.cycle().await;
    assert!(!cycle.error.is_empty(), "{cycle:?}");
    assert_eq!(bench.capacity().await, before);
}
