//! The product on an AWS that is slow, late and counts: what the kind one never shows.

use std::time::Duration;

use ::local_aws::unkind::{InvocationFault, Unkind};
use aws_sdk_applicationautoscaling::types::{ScalableDimension, ServiceNamespace};
use headroom_core::journal::StepState;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::bench::{Bench, CALM, HALF, server};

/// A shop whose resources take two seconds for what takes minutes in AWS, described a second late.
async fn slow_bench(name: &str, load: f64) -> Bench {
    let bench = Bench::at(name, load).await;
    let slow = Unkind { pace: Some(2.0), lag: Some(1.0), ..Unkind::default() };
    server().await.unkind(&format!("{name}-"), &slow).await.unwrap();
    bench
}

#[tokio::test]
async fn tables_tasks_and_instances_that_take_time_are_waited_for() {
    let bench = slow_bench("slowly", 2.0 * HALF).await;
    let before = bench.capacity().await;
    let cycle = bench.cycle().await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    let after = bench.capacity().await;
    assert!(before.read < after.read && before.api < after.api && before.web < after.web, "{after:?}");
}

#[tokio::test]
async fn what_takes_time_is_rolled_back_and_the_platform_goes_on() {
    let bench = slow_bench("slowsick", 2.0 * HALF).await;
    let before = bench.capacity().await;
    bench.health.set(false);
    let cycle = bench.cycle().await;
    assert_eq!(cycle.error, "RolledBack", "{cycle:?}");
    assert_eq!(bench.capacity().await, before, "{:#?}", bench.journal().await);
    bench.health.set(true);
    assert_eq!(bench.cycle().await.outcome(), "scaled");
}

#[tokio::test]
async fn an_answer_that_is_lost_while_the_table_updates_loses_nothing() {
    let bench = slow_bench("slowlost", 2.0 * HALF).await;
    let before = bench.capacity().await;
    bench
        .fault(json!({"service": "dynamodb", "operation": "UpdateTable", "resource": "slowlost-orders", "times": 1,
            "response": {"abort_frac": 0.0}}))
        .await;
    let cycle = bench.cycle().await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    assert!(before.read < bench.capacity().await.read);
    assert_eq!(bench.journal().await["orders"].state, StepState::Done);
}

#[tokio::test]
async fn a_scale_out_stands_when_the_table_has_no_decrease_left() {
    let bench = Bench::at("counted", 2.0 * HALF).await;
    let counted = Unkind { decreases_limited: Some(true), ..Unkind::default() };
    server().await.unkind("counted-", &counted).await.unwrap();
    for read in [642, 641, 640, 639] {
        bench.set_table_by_hand(read, 186).await;
    }
    bench.health.set(false);
    let cycle = bench.cycle().await;
    assert_eq!(cycle.error, "RolledBack", "{cycle:?}");
    assert!(cycle.cause.contains("AWS allows it no decrease now"), "{}", cycle.cause);
    assert_eq!(bench.journal().await["orders"].state, StepState::Stands);
    assert!(639 < bench.capacity().await.read);
    // Nobody has to look: the next cycle goes on from what stands.
    bench.health.set(true);
    let next = bench.cycle().await;
    assert!(["scaled", "held", "scaled_partly"].contains(&next.outcome()), "{next:?}");
}

#[tokio::test]
async fn floors_under_native_policies_are_moved_once_and_aws_moves_the_capacity() {
    let bench = Bench::at("floors", 2.0 * HALF).await;
    for (dimension, most) in [
        (ScalableDimension::DynamoDbTableReadCapacityUnits, 4_000),
        (ScalableDimension::DynamoDbTableWriteCapacityUnits, 2_000),
    ] {
        let target = application(&bench).await.register_scalable_target();
        let target = target.service_namespace(ServiceNamespace::Dynamodb).resource_id("table/floors-orders");
        let target = target.scalable_dimension(dimension).tags("headroom", "floors");
        target.min_capacity(100).max_capacity(most).send().await.unwrap();
    }
    let target =
        application(&bench).await.register_scalable_target().service_namespace(ServiceNamespace::Ecs);
    let target = target.resource_id("service/floors-cluster/floors-api");
    let target = target.scalable_dimension(ScalableDimension::EcsServiceDesiredCount);
    target.tags("headroom", "floors").min_capacity(2).max_capacity(40).send().await.unwrap();
    bench
        .publish(
            &bench
                .platform
                .replace("name: floors-orders\n", "name: floors-orders\n        mode: floor\n")
                .replace("name: floors-api\n", "name: floors-api\n        mode: floor\n"),
        )
        .await;
    let slow = Unkind { pace: Some(2.0), ..Unkind::default() };
    server().await.unkind("floors-", &slow).await.unwrap();
    let before = bench.capacity().await;
    let cycle = bench.cycle().await;
    // Each floor moves as far as one cycle may, and no step is refused for what AWS does by itself meanwhile.
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    let floors = application(&bench)
        .await
        .describe_scalable_targets()
        .service_namespace(ServiceNamespace::Dynamodb)
        .resource_ids("table/floors-orders")
        .send()
        .await
        .unwrap();
    assert!(floors.scalable_targets().iter().all(|target| 100 < target.min_capacity()), "{floors:?}");
    let after = bench.capacity().await;
    assert!(before.read <= after.read && before.write <= after.write && before.api <= after.api, "{after:?}");
}

async fn application(bench: &Bench) -> aws_sdk_applicationautoscaling::Client {
    bench.aws.application()
}

#[tokio::test]
async fn points_that_come_three_minutes_late_are_late_and_not_missing() {
    let bench = Bench::at("late", CALM).await;
    let late = Unkind { metric_delay: Some(180.0), ..Unkind::default() };
    server().await.unkind("late-", &late).await.unwrap();
    assert_eq!(bench.cycle().await.outcome(), "held");
    let reasons = bench.reasons("web/desired").await;
    assert!(
        !reasons.iter().any(|reason| reason.contains("old") || reason.contains("no points")),
        "{reasons:?}"
    );
}

#[tokio::test]
async fn functions_that_are_not_ready_are_waited_for() {
    let bench = Bench::at("idle", 2.0 * HALF).await;
    let fault = InvocationFault { name: "ResourceNotReadyException".into(), times: 2 };
    let not_ready = Unkind { invocation_fault: Some(fault), ..Unkind::default() };
    server().await.unkind("headroom-idle", &not_ready).await.unwrap();
    let cycle = bench.cycle().await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
}

/// A function outlives the execution that is stopped, and may yet begin a step.
#[tokio::test]
async fn a_stopped_cycle_is_taken_over_when_its_last_function_has_ended() {
    let bench = slow_bench("stopped", 2.0 * HALF).await;
    let before = bench.capacity().await;
    let arn = bench.start(json!({})).await;
    while bench.capacity().await.read == before.read {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bench.aws.sfn().stop_execution().execution_arn(&arn).send().await.unwrap();
    assert_eq!(bench.cycle().await.outcome(), "skipped");
    let later = Unkind { ended_ago: Some(200.0), ..Unkind::default() };
    server().await.unkind("headroom-stopped", &later).await.unwrap();
    let cycle = bench.cycle().await;
    assert_eq!(cycle.outcome(), "recovered", "{cycle:?}");
    assert_eq!(bench.capacity().await, before);
}

/// Somebody, or a deployment, sets servers that need thirty to three. What the three saturated ones measure is not the
/// load, so what was foreseen before decides, as fast as the pace allows.
#[tokio::test]
async fn a_capacity_cut_by_hand_is_back_in_three_decisions() {
    let bench = Bench::at("cut", CALM).await;
    assert_eq!(bench.cycle().await.outcome(), "held");
    let before = bench.capacity().await.web;
    let set = bench.aws.autoscaling().set_desired_capacity().auto_scaling_group_name("cut-web");
    set.desired_capacity(1).send().await.unwrap();
    let mut from = Timestamp::from_second((Timestamp::now().as_second() / 60 + 1) * 60).unwrap();
    for _ in 0..3 {
        let to = from + SignedDuration::from_mins(5);
        bench.steady(CALM, from, to).await;
        let cycle = bench.cycle_with(json!({"now": to.to_string()})).await;
        assert!(cycle.error.is_empty(), "{cycle:?}");
        from = to;
    }
    let after = bench.capacity().await.web;
    assert!(before <= after, "{after} of {before}: {:?}", bench.reasons("web/desired").await);
}
