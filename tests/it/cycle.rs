//! Cycles of a shop: what scales, in which order, and what holds.

use headroom_core::journal::{StepEvent, StepState};
use local_aws::shop::Capacity;
use serde_json::json;

use crate::bench::{Bench, CALM, HALF};

#[tokio::test]
async fn more_load_scales_out_in_order_and_less_scales_in_against_it() {
    let bench = Bench::at("order", 2.0 * HALF).await;
    let before = bench.capacity().await;
    let out = bench.cycle().await;
    assert_eq!(out.outcome(), "scaled", "{out:?}");
    let after = bench.capacity().await;
    assert!(
        before.web < after.web
            && before.api < after.api
            && before.read < after.read
            && before.write < after.write
    );
    assert_eq!(waves(&bench).await, ["orders", "api", "web"]);

    let later = bench.half_an_hour_later(0.2 * HALF).await;
    let inward = bench.cycle_with(later).await;
    assert_eq!(inward.outcome(), "scaled", "{inward:?}");
    let end = bench.capacity().await;
    assert!(
        end.web < after.web && end.api < after.api && end.read < after.read && end.write < after.write,
        "{after:?}, then {end:?}"
    );
    assert_eq!(waves(&bench).await, ["web", "api", "orders"]);
}

/// Resources in the order in which the journal says they were made; each was done before the next began.
async fn waves(bench: &Bench) -> Vec<String> {
    let mut steps: Vec<_> = bench.journal().await.into_iter().collect();
    steps.sort_by_key(|(_, entry)| entry.wave);
    for pair in steps.windows(2) {
        let (done, begun) = (pair[0].1.when(StepEvent::Succeeded), pair[1].1.when(StepEvent::Started));
        assert!(done.is_some() && done < begun, "{pair:?}");
    }
    steps.into_iter().map(|(name, _)| name).collect()
}

#[tokio::test]
async fn an_unhealthy_wave_takes_everything_back() {
    let bench = Bench::at("sick", 2.0 * HALF).await;
    let before = bench.capacity().await;
    bench.health.set(false);
    let cycle = bench.cycle().await;
    assert_eq!(cycle.error, "RolledBack", "{cycle:?}");
    assert!(cycle.cause.contains("answered 503"), "{}", cycle.cause);
    assert_eq!(bench.capacity().await, before);
    let journal = bench.journal().await;
    assert!(journal.values().all(|entry| entry.state == StepState::Undone), "{journal:?}");
    let undone = |name: &str| journal[name].when(StepEvent::UndoSucceeded).unwrap();
    assert!(undone("web") <= undone("api") && undone("api") <= undone("orders"), "newest first");
    // The next cycle is free to act again.
    bench.health.set(true);
    assert_eq!(bench.cycle().await.outcome(), "scaled");
}

#[tokio::test]
async fn without_rollback_what_was_begun_stands() {
    let bench = Bench::at("stands", 2.0 * HALF).await;
    let before = bench.capacity().await;
    bench.publish_with("rollout_phase: full", "rollout_phase: full\n  rollback_on_failure: false").await;
    bench.health.set(false);
    let cycle = bench.cycle().await;
    assert_eq!(cycle.error, "Stopped", "{cycle:?}");
    assert!(before.web < bench.capacity().await.web);
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let bench = Bench::at("dry", 2.0 * HALF).await;
    let before = bench.capacity().await;
    let cycle = bench.cycle_with(json!({"dryRun": true})).await;
    assert_eq!(cycle.outcome(), "withheld");
    let summary = cycle.output["summary"].as_str().unwrap();
    assert!(
        summary.starts_with("would change dry-orders/read 643 -> ")
            && summary.ends_with("but this is a dry run"),
        "{summary}"
    );
    assert_eq!(bench.capacity().await, before);
    assert!(bench.journal().await.is_empty());
}

#[tokio::test]
async fn the_observe_phase_changes_nothing() {
    let bench = Bench::at("observe", 2.0 * HALF).await;
    bench.publish_with("rollout_phase: full", "rollout_phase: observe").await;
    let before = bench.capacity().await;
    assert_eq!(bench.cycle().await.outcome(), "withheld");
    assert_eq!(bench.capacity().await, before);
}

#[tokio::test]
async fn a_missing_metric_holds_its_dimension_and_no_other() {
    let bench = Bench::at("blind", 0.2 * HALF).await;
    bench.publish_with("name: blind-web\n", "name: blind-web\n        metrics: [{name: jobs, kind: load, namespace: Nowhere, target_per_unit: 5}]\n").await;
    let before = bench.capacity().await;
    let cycle = bench.cycle().await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    let after = bench.capacity().await;
    assert_eq!(after.web, before.web);
    assert!(after.api < before.api);
    let reasons = bench.reasons("web/desired").await;
    assert!(reasons.iter().any(|reason| reason == "jobs has no points"), "{reasons:?}");
}

#[tokio::test]
async fn nothing_to_do_holds_and_is_cheap() {
    let bench = Bench::at("calm", CALM).await;
    assert_eq!(bench.cycle().await.outcome(), "held");
    let before = bench.capacity().await;
    // The first cycle read the past and asked for native policies; from now on nothing is new.
    let cycle = bench.cycle().await;
    assert_eq!(cycle.outcome(), "held", "{cycle:?}");
    assert_eq!(bench.capacity().await, before);
    assert!(bench.journal().await.is_empty());
    assert_eq!(cycle.used("CloudWatch:GetMetricData"), 1.0);
    let describes =
        ["Auto Scaling:DescribeAutoScalingGroups", "ECS:DescribeServices", "DynamoDB:DescribeTable"];
    assert_eq!(describes.map(|call| cycle.used(call)), [1.0; 3]);
    let others = cycle.output["usage"].as_object().unwrap().keys().filter(|call| call.contains("Describe"));
    assert_eq!(others.count(), 3, "{cycle:?}");
    assert!(cycle.used("state_transitions") < 15.0, "{cycle:?}");
    let (calls, cost) =
        (cycle.output["awsCalls"].as_f64().unwrap(), cycle.output["costUsd"].as_f64().unwrap());
    assert!(calls < 32.0 && 0.0 < cost && cost < 0.001, "{calls} calls, ${cost}");
}

#[tokio::test]
async fn the_transitions_told_are_those_of_the_history() {
    let bench = Bench::at("count", 2.0 * HALF).await;
    let cycle = bench.cycle().await;
    let history = bench
        .aws
        .sfn()
        .get_execution_history()
        .execution_arn(&cycle.arn)
        .max_results(1_000)
        .send()
        .await
        .unwrap();
    let entered =
        history.events().iter().filter(|event| event.state_entered_event_details().is_some()).count();
    // The local AWS lists the states outside Maps only; inside are one forecast and one batch for each of three waves.
    assert_eq!(
        cycle.used("state_transitions"),
        f64::from(u32::try_from(entered).unwrap()) + 4.0,
        "{cycle:?}"
    );
}

#[tokio::test]
async fn a_deleted_resource_stops_no_other() {
    let bench = Bench::at("gone", 2.0 * HALF).await;
    let before = bench.capacity().await;
    bench
        .aws
        .autoscaling()
        .delete_auto_scaling_group()
        .auto_scaling_group_name("gone-web")
        .force_delete(true)
        .send()
        .await
        .unwrap();
    let cycle = bench.cycle().await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    let services = bench
        .aws
        .ecs()
        .describe_services()
        .cluster("gone-cluster")
        .services("gone-api")
        .send()
        .await
        .unwrap();
    assert!(i32::try_from(before.api).unwrap() < services.services()[0].desired_count());
    assert_eq!(
        bench.reasons("web/desired").await,
        ["the capacity is unknown: there is no Auto Scaling group gone-web"]
    );
}

#[tokio::test]
async fn a_bad_configuration_fails_at_once_with_its_faults() {
    let bench = Bench::new("wrong").await;
    bench.publish_with("max_capacity: 40", "max_capacity: many").await;
    let cycle = bench.cycle().await;
    assert_eq!(cycle.error, "ConfigInvalid");
    assert!(
        cycle.cause.contains("max_capacity: must be a whole number, not the text `many`"),
        "{}",
        cycle.cause
    );
    bench.publish_with("configuration_name: wrong", "configuration_name: other").await;
    assert_eq!(bench.cycle().await.error, "ConfigMismatch");
    // Neither kept the lease.
    bench.publish(&bench.platform).await;
    bench.seed(CALM).await;
    assert_eq!(bench.cycle().await.outcome(), "held");
}

#[tokio::test]
async fn wrong_inputs_say_what_is_wrong() {
    let bench = Bench::at("input", CALM).await;
    let cycle = bench.cycle_with(json!({"dryrun": true})).await;
    assert_eq!(
        (cycle.error.as_str(), cycle.cause.as_str()),
        ("InvalidInput", "the input has the unknown key `dryrun`; did you mean `dryRun`?")
    );
    let cycle = bench.cycle_with(json!({"capacity": {"input-wep/desired": 3}})).await;
    assert!(cycle.cause.contains("did you mean `input-web/desired`?"), "{}", cycle.cause);
    // The stack of one platform may not read the configuration of another.
    let cycle = bench.cycle_with(json!({"platform": "nowhere"})).await;
    assert_eq!(cycle.error, "Denied");
    assert!(cycle.cause.contains("ssm:GetParameter"), "{}", cycle.cause);
    let parameter = bench.aws.ssm().delete_parameter().name("/headroom/input");
    parameter.send().await.unwrap();
    assert_eq!(bench.cycle().await.error, "ConfigMissing");
}

#[tokio::test]
async fn a_person_may_ask_for_a_capacity() {
    let bench = Bench::at("manual", CALM).await;
    let cycle = bench.cycle_with(json!({"capacity": {"manual-web/desired": 12}})).await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    assert_eq!(bench.capacity().await, Capacity { web: 12, ..Capacity::at_target(HALF) });
}

#[tokio::test]
async fn a_native_policy_keeps_its_right_to_go_higher() {
    use aws_sdk_autoscaling::types::{
        MetricType, PredefinedMetricSpecification, TargetTrackingConfiguration,
    };
    let bench = Bench::at("native", 1.5 * HALF).await;
    let metric = PredefinedMetricSpecification::builder()
        .predefined_metric_type(MetricType::AsgAverageCpuUtilization)
        .build();
    let tracking = TargetTrackingConfiguration::builder()
        .predefined_metric_specification(metric)
        .target_value(60.0)
        .build();
    let policy =
        bench.aws.autoscaling().put_scaling_policy().auto_scaling_group_name("native-web").policy_name("cpu");
    policy.policy_type("TargetTrackingScaling").target_tracking_configuration(tracking).send().await.unwrap();
    assert_eq!(bench.cycle().await.outcome(), "scaled");
    let groups = bench
        .aws
        .autoscaling()
        .describe_auto_scaling_groups()
        .auto_scaling_group_names("native-web")
        .send()
        .await;
    let group = groups.unwrap().auto_scaling_groups()[0].clone();
    // The minimum was 1; three times that is what one cycle may add.
    assert_eq!((group.min_size(), group.desired_capacity()), (Some(3), Some(9)));
}

#[tokio::test]
async fn an_alarm_starts_a_cycle_that_says_so() {
    let bench = Bench::at("alarmed", CALM).await;
    // What the template's rule hands on of an alarm's change of state.
    let event = json!({"source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change", "detail": {
        "alarmName": "headroom-alarmed-slow", "configuration": {"metrics": []},
        "state": {"value": "ALARM", "reason": "too slow", "timestamp": "2026-11-23T17:04:40.985+0000"}}});
    let cycle = bench.cycle_with(json!({"event": event})).await;
    let alarm =
        json!({"kind": "alarm", "name": "headroom-alarmed-slow", "state": "ALARM", "reason": "too slow"});
    assert_eq!((cycle.outcome(), &cycle.output["trigger"]), ("held", &alarm), "{cycle:?}");
    let odd = bench.cycle_with(json!({"event": {"detail": [1, "x"]}})).await;
    assert_eq!((odd.outcome(), &odd.output["trigger"]["kind"]), ("held", &json!("event")), "{odd:?}");
}
