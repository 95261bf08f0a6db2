//! Every way in which a cycle can end, and the laws that hold for all of them.

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::*;
use crate::plan::{Permit, Step, StepId, Wave};
use crate::platform::Mode;
use crate::units::Direction;

/// What leads a step to each state.
const STORIES: [(StepState, &[crate::journal::StepEvent]); 10] = {
    use crate::journal::StepEvent as E;
    [
        (StepState::Pending, &[]),
        (StepState::Started, &[E::Started]),
        (StepState::Done, &[E::Started, E::Succeeded]),
        (StepState::Found, &[E::Found]),
        (StepState::Refused, &[E::Refused]),
        (StepState::Skipped, &[E::Skipped]),
        (StepState::Failed, &[E::Started, E::Failed]),
        (StepState::Undoing, &[E::Started, E::Succeeded, E::UndoStarted]),
        (StepState::Undone, &[E::Started, E::Succeeded, E::UndoStarted, E::UndoSucceeded]),
        (StepState::UndoFailed, &[E::Started, E::Succeeded, E::UndoStarted, E::UndoFailed]),
    ]
};

fn step(index: usize) -> Step {
    Step {
        id: StepId(format!("w0/{index}")),
        resource: format!("web-{index}").as_str().into(),
        group: "web".into(),
        mode: Mode::Desired,
        changes: Vec::new(),
        after: Vec::new(),
    }
}

/// The entry of a step in a state; a step to which nothing happened has none.
fn entry(index: usize, state: StepState) -> Option<Entry> {
    let (_, events) = STORIES.iter().find(|(known, _)| *known == state)?;
    let detail = Some("somebody was here".to_owned());
    let written = events.iter().fold(Entry::new(&"plan".into(), 0, &step(index)), |entry, event| {
        entry.with(*event, Timestamp::UNIX_EPOCH, detail.clone()).unwrap()
    });
    assert_eq!(written.state, state);
    (!events.is_empty()).then_some(written)
}

fn plan(steps: usize, rollback: bool) -> Plan {
    Plan {
        id: "plan".into(),
        cycle: "cycle".into(),
        made_at: Timestamp::UNIX_EPOCH,
        config: crate::name::ConfigVersion("1".into()),
        permit: Permit::Act,
        rollback,
        waves: vec![Wave {
            direction: Direction::Out,
            groups: vec!["web".into()],
            timeout_s: 600,
            poll_s: 5,
            steps: (0..steps).map(step).collect(),
        }],
    }
}

/// How far a cycle came. What is not said is a cycle that scaled without trouble.
fn request(more: Json) -> SettleRequest {
    let mut request = json!({
        "input": {"platform": "shop"},
        "execution": {"name": "cycle", "arn": "arn", "startedAt": Timestamp::UNIX_EPOCH},
        "at": Timestamp::UNIX_EPOCH,
        "collected": {"kind": "ready", "summary": "2 dimensions"},
        "decided": {"kind": "scale", "planId": "plan", "waves": 1, "summary": "web-0 4 -> 8, web-1 4 -> 8"},
        "usage": {},
    });
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(request).unwrap()
}

/// Two steps in these states, of a plan that is rolled back.
fn check(more: Json, states: [StepState; 2], expected: &str) {
    let entries: Vec<Entry> =
        states.iter().enumerate().filter_map(|(index, state)| entry(index, *state)).collect();
    let outcome = outcome(&request(more), Trigger::Hand, Some(&plan(2, true)), &entries);
    assert_eq!(format!("{:?}: {}", outcome.outcome, outcome.summary), expected);
}

fn check_without_plan(more: Json, expected: &str) {
    let outcome = outcome(&request(more), Trigger::Hand, None, &[]);
    let error = outcome.error.map(|error| format!(" ({error})")).unwrap_or_default();
    assert_eq!(format!("{:?}{error}: {}", outcome.outcome, outcome.summary), expected);
}

#[test]
fn plans_end_by_what_stands() {
    use StepState as S;
    let sick = || json!({"failure": {"error": "WaveUnhealthy", "cause": "sick"}});
    check(json!({}), [S::Done, S::Found], "Scaled: web-0 4 -> 8, web-1 4 -> 8");
    check(
        json!({}),
        [S::Done, S::Refused],
        "ScaledPartly: web-0 4 -> 8, web-1 4 -> 8; 1 of 2 steps were not made: web-1: somebody was here",
    );
    check(sick(), [S::Undone, S::Pending], "RolledBack: rolled back (1 steps): sick");
    check(sick(), [S::Undone, S::Skipped], "RolledBack: rolled back (1 steps): sick");
    check(sick(), [S::Pending, S::Pending], "Failed: sick");
    check(sick(), [S::Done, S::Undone], "NeedsHuman: a person must look: sick");
    check(
        json!({"failure": {"error": "A", "cause": "sick"}, "undoFailure": {"error": "B", "cause": "stuck; "}}),
        [S::UndoFailed, S::Undone],
        "NeedsHuman: a person must look: stuck; sick",
    );
}

/// A cycle that took over the plan of a dead one, and failed to read it.
#[test]
fn a_plan_that_could_not_be_rolled_back_is_told_and_stops_the_platform_in_the_end() {
    let failed =
        request(json!({"collected": null, "decided": null, "failure": {"error": "Denied", "cause": "no"}}));
    let told = |recoveries: u32| {
        let left = crate::lease::Lease { open_plan: Some("left".into()), recoveries, ..Default::default() };
        let outcome = outcome(&failed, Trigger::Hand, None, &[]).with_lease(&failed, &left);
        assert!(outcome.is_news() && settled(&failed, &left).is_none());
        assert_eq!(outcome.cause.as_deref(), Some(outcome.summary.as_str()));
        format!("{:?} ({}): {}", outcome.outcome, outcome.error.unwrap(), outcome.summary)
    };
    assert_eq!(
        told(1),
        "Failed (Denied): plan left, which a dead cycle left open, is not rolled back yet; the next cycle tries again, \
         and nothing else is changed before: no"
    );
    assert_eq!(
        told(3),
        "NeedsHuman (NeedsHuman): a person must look: 3 cycles took over plan left, which a dead cycle left open, and \
         could not roll it back: no"
    );
}

#[test]
fn dead_cycles_are_recovered() {
    use StepState as S;
    let recover = || json!({"collected": {"kind": "recover", "summary": "cycle 7 died"}, "decided": null});
    check(recover(), [S::Undone, S::Undone], "Recovered: cycle 7 died: 2 steps rolled back");
    check(recover(), [S::Done, S::Done], "Recovered: cycle 7 died: 0 steps rolled back");
    check(
        recover(),
        [S::Done, S::Pending],
        "NeedsHuman: a person must look: 1 steps stand, and others were never made",
    );
}

#[test]
fn what_a_person_asks_to_roll_back_is_rolled_back_or_needs_one() {
    use StepState as S;
    let asked = || json!({"collected": {"kind": "roll_back", "summary": "asked"}, "decided": null});
    check(asked(), [S::Undone, S::Undone], "RolledBackByHand: asked: 2 steps rolled back");
    check(asked(), [S::Undone, S::Found], "RolledBackByHand: asked: 1 steps rolled back");
    for left in [S::Done, S::Started, S::UndoFailed] {
        check(
            asked(),
            [S::Undone, left],
            "NeedsHuman: a person must look: 1 steps stand, and others were never made",
        );
    }
}

#[test]
fn cycles_without_a_plan_end_by_how_far_they_came() {
    let hold = json!({"kind": "hold", "planId": "plan", "waves": 0, "summary": "nothing changes"});
    check_without_plan(json!({"decided": hold}), "Held: nothing changes");
    check_without_plan(json!({"decided": null}), "Trained: 2 dimensions");
    let collected = |kind: &str| json!({"collected": {"kind": kind, "summary": "so"}, "decided": null});
    check_without_plan(collected("skipped"), "Skipped: so");
    check_without_plan(collected("resumed"), "Resumed: so");
    check_without_plan(json!({"collected": null, "decided": null}), "Failed (CycleFailed): ");
    // What Lambda wraps around a sentence is taken off; what only looks like it is left alone.
    let failed = |cause: &str| json!({"collected": null, "decided": null, "failure": {"error": "ConfigInvalid", "cause": cause}});
    let wrapped = r#"{"errorType": "ConfigInvalid", "errorMessage": "line 3"}"#;
    check_without_plan(failed(wrapped), "Failed (ConfigInvalid): line 3");
    check_without_plan(failed("{\"errorMess"), "Failed (ConfigInvalid): {\"errorMess");
    check_without_plan(failed("[]"), "Failed (ConfigInvalid): []");
}

#[test]
fn what_rollback_must_not_touch_stands() {
    let entries = [entry(0, StepState::Done).unwrap()];
    let failure = json!({"failure": {"error": "WaveUnhealthy", "cause": "sick"}});
    let outcome = outcome(&request(failure), Trigger::Hand, Some(&plan(1, false)), &entries);
    assert_eq!(
        (outcome.outcome, outcome.summary.as_str()),
        (Ending::Stopped, "stopped with 1 steps standing: sick")
    );
}

/// Every combination of how far a cycle came, what failed, and where two steps stand.
#[test]
fn no_ending_hides_what_stands() {
    let kinds = ["ready", "skipped", "recover", "resumed"].map(|kind| json!({"kind": kind, "summary": "so"}));
    let failure = json!({"error": "A", "cause": "why"});
    for collected in kinds.into_iter().chain([Json::Null]) {
        for decided in ["hold", "scale", ""] {
            let decided = json!({"kind": decided, "planId": "plan", "waves": 1, "summary": "so"});
            let decided = if decided["kind"] == "" { Json::Null } else { decided };
            for (failed, undo_failed, rollback) in
                [false, true].iter().flat_map(|a| [(*a, false, true), (*a, true, true), (*a, false, false)])
            {
                let failure = |is: bool| if is { failure.clone() } else { Json::Null };
                let request = request(json!({"collected": collected, "decided": decided,
                    "failure": failure(failed), "undoFailure": failure(undo_failed)}));
                for (one, _) in STORIES {
                    for (two, _) in STORIES {
                        let entries: Vec<Entry> =
                            [entry(0, one), entry(1, two)].into_iter().flatten().collect();
                        let outcome = outcome(&request, Trigger::Hand, Some(&plan(2, rollback)), &entries);
                        check_laws(&request, &outcome, [one, two], rollback);
                    }
                }
            }
        }
    }
}

fn check_laws(request: &SettleRequest, outcome: &Outcome, states: [StepState; 2], rollback: bool) {
    let case = format!("{request:?} {states:?} {outcome:?}");
    let stands = states.iter().any(|state| state.may_stand());
    assert_eq!(outcome.succeeded, outcome.error.is_none() && outcome.cause.is_none(), "{case}");
    if request.undo_failure.is_some() || states.contains(&StepState::UndoFailed) {
        assert_eq!(outcome.outcome, Ending::NeedsHuman, "{case}");
    }
    if request.failure.is_some() && stands && rollback {
        assert!(matches!(outcome.outcome, Ending::NeedsHuman | Ending::Recovered), "{case}");
    }
    if request.failure.is_some() {
        let calm = [Ending::Held, Ending::Withheld, Ending::Scaled, Ending::ScaledPartly, Ending::Trained];
        assert!(!calm.contains(&outcome.outcome), "{case}");
    }
    if outcome.outcome == Ending::Scaled {
        assert!(states.iter().all(|state| state.holds()), "{case}");
    }
    let limbo = stands && !states.iter().all(|state| state.is_settled());
    if limbo && outcome.succeeded {
        panic!("half done in silence: {case}");
    }
    if outcome.outcome == Ending::RolledBack {
        assert!(!stands, "{case}");
    }
}
