//! Settling, however far a cycle came.

use headroom_core::lease::Lease;
use headroom_core::plan::Permit;
use headroom_core::settle::Ending;
use serde_json::json;

use super::*;

#[tokio::test]
async fn cycles_are_settled_however_far_they_came() {
    let done = Bench::new().await;
    done.apply(0).await.unwrap();
    done.apply(1).await.unwrap();
    let outcome = done.settle(json!({})).await;
    assert_eq!((outcome.outcome, outcome.steps.done, outcome.aws_calls), (Ending::Scaled, 2, 3.0));
    assert_eq!(done.lease().await, Lease { looked_at: Some(at(0)), ..Lease::default() });
    assert_eq!(done.told(), 0, "a good cycle is no news");

    let failed = Bench::new().await;
    let read = failed.ports.store.lease(&"shop".into()).await.unwrap();
    let nothing_open = Lease { open_plan: None, ..read.value.clone() };
    failed.ports.store.put_lease(&"shop".into(), &read, &nothing_open).await.unwrap();
    let failure = json!({"error": "ConfigInvalid", "cause": "{\"errorType\": \"ConfigInvalid\", \"errorMessage\": \"line 3\"}"});
    let outcome = failed.settle(json!({"collected": null, "decided": null, "failure": failure})).await;
    assert_eq!(
        (outcome.outcome, outcome.error.as_deref(), outcome.cause.as_deref()),
        (Ending::Failed, Some("ConfigInvalid"), Some("line 3"))
    );
    assert_eq!(failed.told(), 1);

    let undone = Bench::new().await;
    undone.apply(0).await.unwrap();
    undone.undo(0).await.unwrap();
    let outcome = undone
        .settle(json!({"failure": {"error": "WaveUnhealthy", "cause": "GET /health: answered 503"}}))
        .await;
    assert_eq!((outcome.outcome, outcome.steps.undone), (Ending::RolledBack, 1));
    assert_eq!(outcome.cause.as_deref(), Some("rolled back (1 steps): GET /health: answered 503"));

    let half = Bench::new().await;
    half.apply(0).await.unwrap();
    let outcome = half.settle(json!({"failure": {"error": "WaveUnhealthy", "cause": "sick"}})).await;
    assert_eq!(outcome.outcome, Ending::NeedsHuman, "a plan that should have been rolled back and was not");
}

#[tokio::test]
async fn a_plan_that_a_person_asked_to_roll_back_is_closed_and_told() {
    let asked = || json!({"collected": {"kind": "roll_back", "summary": "a person asked"}, "decided": null});
    let bench = Bench::new().await;
    let before = bench.units();
    bench.apply(0).await.unwrap();
    bench.apply(1).await.unwrap();
    bench.undo(1).await.unwrap();
    bench.undo(0).await.unwrap();
    assert_eq!(bench.units(), before);
    let outcome = bench.settle(asked()).await;
    assert_eq!(
        (outcome.outcome, outcome.succeeded, outcome.steps.undone),
        (Ending::RolledBackByHand, true, 2)
    );
    assert_eq!(
        (outcome.plan_id, outcome.summary.as_str()),
        (Some(bench.plan.id.clone()), "a person asked: 2 steps rolled back")
    );
    assert_eq!((bench.lease().await.open_plan, bench.told()), (None, 1));

    let half = Bench::new().await;
    half.apply(0).await.unwrap();
    let outcome = half.settle(asked()).await;
    assert_eq!(outcome.outcome, Ending::NeedsHuman, "it should have been rolled back and was not");
    assert_eq!(half.lease().await.open_plan, Some(half.plan.id.clone()));
}

#[tokio::test]
async fn another_cycle_leaves_the_lease_alone() {
    let bench = Bench::new().await;
    let before = bench.lease().await;
    let outcome = bench
        .settle(json!({
            "execution": {"name": "other", "arn": "arn", "startedAt": at(0)},
            "collected": {"kind": "skipped", "summary": "cycle acts on shop"},
            "decided": null,
        }))
        .await;
    assert_eq!((outcome.outcome, outcome.succeeded), (Ending::Skipped, true));
    assert_eq!(bench.lease().await, before);
}

/// A cycle that took over the open plan of a dead one, and whose reading of it failed.
async fn took_over(bench: &Bench, recoveries: u32) {
    let read = bench.ports.store.lease(&"shop".into()).await.unwrap();
    let lease = Lease { recoveries, ..read.value.clone() };
    bench.ports.store.put_lease(&"shop".into(), &read, &lease).await.unwrap();
}

#[tokio::test]
async fn a_plan_that_was_taken_over_and_not_rolled_back_is_never_forgotten() {
    let denied =
        json!({"collected": null, "decided": null, "failure": {"error": "Denied", "cause": "may not"}});
    let bench = Bench::new().await;
    bench.apply(0).await.unwrap();
    took_over(&bench, 1).await;
    let outcome = bench.settle(denied.clone()).await;
    assert_eq!(outcome.outcome, Ending::Failed);
    assert!(outcome.summary.contains("plan 0000000001-cycle") && outcome.summary.contains("may not"));
    let lease = bench.lease().await;
    assert_eq!((lease.open_plan, lease.holder), (Some(bench.plan.id.clone()), None));
    assert_eq!(bench.told(), 1);

    let bench = Bench::new().await;
    took_over(&bench, 3).await;
    let outcome = bench.settle(denied.clone()).await;
    assert_eq!(outcome.outcome, Ending::NeedsHuman);
    let lease = bench.lease().await;
    assert!(lease.needs_human.unwrap().contains("could not roll it back: may not"));
    assert_eq!((lease.open_plan, bench.told()), (Some(bench.plan.id.clone()), 1));
    // Settling is repeated when its answer is lost.
    assert_eq!(bench.settle(denied).await.summary, outcome.summary);
}

/// Whatever call to the store breaks while a cycle that failed to recover is settled.
#[tokio::test]
async fn whatever_breaks_while_settling_leaves_the_open_plan_open() {
    use headroom_aws::fakes::Break;
    let failed =
        json!({"collected": null, "decided": null, "failure": {"error": "Unavailable", "cause": "later"}});
    for call in 1..=6 {
        for broken in [Break::Before(call), Break::After(call)] {
            let bench = Bench::new().await;
            took_over(&bench, 1).await;
            bench.state.breaks(Some(broken));
            let _lost = bench.try_settle(failed.clone()).await;
            bench.state.breaks(None);
            assert_eq!(bench.lease().await.open_plan, Some(bench.plan.id.clone()), "{broken:?}");
            assert_eq!(bench.settle(failed.clone()).await.outcome, Ending::Failed, "{broken:?}");
            assert_eq!(bench.lease().await.open_plan, Some(bench.plan.id.clone()), "{broken:?}");
        }
    }
}

#[tokio::test]
async fn a_plan_of_which_nothing_was_carried_out_is_closed_when_deciding_failed() {
    let bench = Bench::new().await;
    let lost = json!({"decided": null, "failure": {"error": "Unavailable", "cause": "its answer was lost"}});
    assert_eq!(bench.settle(lost).await.outcome, Ending::Failed);
    assert_eq!(bench.lease().await.open_plan, None);
}

#[tokio::test]
async fn settling_twice_settles_once() {
    let bench = Bench::new().await;
    bench.apply(0).await.unwrap();
    bench.apply(1).await.unwrap();
    let (one, two) = (bench.settle(json!({})).await, bench.settle(json!({})).await);
    assert_eq!((one.outcome, one.summary), (two.outcome, two.summary));
}

#[tokio::test]
async fn steps_of_an_unknown_input_are_settled_without_a_platform() {
    let bench = Bench::new().await;
    let failure = json!({"error": "InvalidInput", "cause": "needs `platform`"});
    let outcome =
        bench.settle(json!({"input": {}, "collected": null, "decided": null, "failure": failure})).await;
    assert_eq!((outcome.outcome, outcome.error.as_deref()), (Ending::Failed, Some("InvalidInput")));
}

#[tokio::test]
async fn what_started_a_cycle_is_recorded() {
    let bench = Bench::new().await;
    bench.apply(0).await.unwrap();
    let event = json!({"source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change", "detail": {
        "alarmName": "slow", "configuration": {},
        "state": {"value": "ALARM", "reason": "too slow", "timestamp": "2026-11-23T17:04:40.985+0000"}}});
    for (event, expected) in [
        (event, "by alarm slow: ALARM, too slow"),
        (json!({"source": "aws.scheduler"}), "by its schedule"),
        (json!([7]), "by an event that cannot be read"),
        (json!(null), "by hand"),
    ] {
        let outcome = bench.settle(json!({"input": {"platform": "shop", "event": event}})).await;
        assert_eq!(outcome.trigger.to_string(), expected);
        let stored = bench.ports.store.outcomes(&"shop".into(), 1).await.unwrap().remove(0).1;
        assert_eq!(stored.trigger, outcome.trigger);
    }
}

#[tokio::test]
async fn an_alert_is_told_to_everyone_and_once() {
    let text = SHOP.to_owned()
        + "monitoring: {notify: 'arn:aws:sns:us-east-1:123456789012:ops', alerts: [{name: Often, condition: scaling_events > 1 per hour, action: look}]}\n";
    let bench = Bench::configured(Permit::Act, &text).await;
    bench.apply(0).await.unwrap();
    bench.apply(1).await.unwrap();
    let outcome = bench.settle(json!({})).await;
    assert_eq!(outcome.outcome, Ending::Scaled);
    assert_eq!(outcome.alerts[0].sentence, "scaling events in the last hour: 2, above 1");
    assert_eq!(bench.told(), 2, "the stack's topic and the configured one");
    // Settling is repeated when its answer is lost: the same is raised again, and nothing is counted twice.
    assert_eq!(bench.settle(json!({})).await.alerts, outcome.alerts);
    assert_eq!(bench.ports.store.scaled(&"shop".into()).await.unwrap().value.len(), 1);
    // A later cycle that scales more tells nothing new.
    let later = json!({"execution": {"name": "later", "arn": "arn", "startedAt": at(300)}, "at": at(320)});
    assert_eq!(bench.settle(later).await.alerts, []);
}

#[tokio::test]
async fn an_alert_that_cannot_be_judged_does_not_stop_settling() {
    let text =
        SHOP.to_owned() + "monitoring: {alerts: [{name: Often, condition: scaling_events > 1 per hour}]}\n";
    let bench = Bench::configured(Permit::Act, &text).await;
    bench.apply(0).await.unwrap();
    bench.apply(1).await.unwrap();
    // Somebody else has written what was scaled, in a form that is not ours.
    let key = headroom_aws::table::Key::new("shop", "scaled");
    let body = headroom_aws::table::Body::Text("not ours".to_owned());
    let item = headroom_aws::table::Item { key, revision: 1, body, expires: None };
    headroom_aws::table::Table::put(&bench.state, item, headroom_aws::table::Expect::Absent).await.unwrap();
    let outcome = bench.settle(json!({})).await;
    assert_eq!((outcome.outcome, outcome.alerts.len()), (Ending::Scaled, 0));
    assert_eq!(bench.lease().await.holder, None);
}

#[tokio::test]
async fn what_failed_and_what_held_is_remembered() {
    let done = Bench::new().await;
    done.apply(0).await.unwrap();
    done.apply(1).await.unwrap();
    done.settle(json!({})).await;
    let state = done.ports.store.platform_state(&"shop".into()).await.unwrap();
    assert_eq!(state.value.provisioning.keys().map(|id| id.0.as_str()).collect::<Vec<_>>(), ["users", "web"]);
    assert!(state.value.breakers.is_empty());
    // Settling is repeated when its answer is lost.
    done.settle(json!({})).await;
    assert_eq!(done.ports.store.platform_state(&"shop".into()).await.unwrap(), state);

    let undone = Bench::new().await;
    undone.apply(0).await.unwrap();
    undone.apply(1).await.unwrap();
    undone.undo(1).await.unwrap();
    undone.undo(0).await.unwrap();
    let failure = json!({"failure": {"error": "WaveUnhealthy", "cause": "sick"}});
    assert_eq!(undone.settle(failure.clone()).await.outcome, Ending::RolledBack);
    undone.settle(failure).await;
    let breakers = undone.ports.store.platform_state(&"shop".into()).await.unwrap().value.breakers;
    let failures: Vec<_> = breakers.iter().map(|(id, breaker)| (id.0.as_str(), breaker.failures)).collect();
    assert_eq!(failures, [("web", 1)], "the wave that did not hold is to blame");
}

#[tokio::test]
async fn what_cannot_be_learned_does_not_stop_settling() {
    let bench = Bench::new().await;
    bench.apply(0).await.unwrap();
    bench.apply(1).await.unwrap();
    let key = headroom_aws::table::Key::new("shop", "standing");
    let body = headroom_aws::table::Body::Text("not ours".to_owned());
    let item = headroom_aws::table::Item { key, revision: 1, body, expires: None };
    headroom_aws::table::Table::put(&bench.state, item, headroom_aws::table::Expect::Absent).await.unwrap();
    assert_eq!(bench.settle(json!({})).await.outcome, Ending::Scaled);
    assert_eq!(bench.lease().await.holder, None);
}

#[tokio::test]
async fn every_cycle_says_whether_a_person_must_look() {
    let bench = Bench::new().await;
    bench.apply(0).await.unwrap();
    let stopped = bench.settle(json!({"failure": {"error": "WaveUnhealthy", "cause": "sick"}})).await;
    assert_eq!((stopped.outcome, stopped.needs_human), (Ending::NeedsHuman, true));
    let skipped = json!({
        "execution": {"name": "later", "arn": "arn", "startedAt": at(300)},
        "collected": {"kind": "skipped", "summary": "a person must look first"},
        "decided": null,
    });
    let later = bench.settle(skipped.clone()).await;
    assert_eq!((later.outcome, later.succeeded, later.needs_human), (Ending::Skipped, true, true));
    // Settling is repeated when its answer is lost.
    let again = bench.settle(json!({"failure": {"error": "WaveUnhealthy", "cause": "sick"}})).await;
    assert!(again.needs_human);
    // A person has looked.
    let read = bench.ports.store.lease(&"shop".into()).await.unwrap();
    bench.ports.store.put_lease(&"shop".into(), &read, &Lease::default()).await.unwrap();
    assert!(!bench.settle(skipped).await.needs_human);
}

#[tokio::test]
async fn the_same_is_told_once_an_hour_and_only_what_was_told_counts() {
    let failure =
        |error: &str| json!({"collected": null, "decided": null, "failure": {"error": error, "cause": "no"}});
    let bench = Bench::new().await;
    bench.settle(failure("Denied")).await;
    bench.settle(failure("Denied")).await;
    assert_eq!(bench.told(), 1, "within the hour");
    bench.settle(failure("ConfigInvalid")).await;
    assert_eq!(bench.told(), 2, "another error is another cause");
    let notice = bench.ports.notices.0.lock().unwrap()[0].clone();
    assert!(
        notice.contains("headroom status shop") && notice.contains("\"runbook\":\"A cycle failed\""),
        "{notice}"
    );
}
