//! Steps with everything that can break, broken: each call to AWS and each call to the store, before and after its
//! effect.

use headroom_aws::error::ErrorKind;
use headroom_aws::fakes::Break;
use headroom_core::cycle::ExecutedKind;
use headroom_core::plan::Permit;
use headroom_core::settle::Ending;
use serde_json::json;

use super::*;

const BEFORE: [u32; 3] = [10, 5, 4];
const AFTER: [u32; 3] = [20, 10, 8];

#[tokio::test]
async fn waves_are_made_and_rolled_back() {
    let bench = Bench::new().await;
    for wave in 0..2 {
        assert_eq!(bench.apply(wave).await.unwrap().kind, ExecutedKind::Made);
    }
    assert_eq!(bench.units(), AFTER);
    assert_eq!(bench.ports.fleet.sets(), ["users/read=20", "users/write=10", "web/desired=8"]);
    for wave in [1, 0] {
        assert_eq!(bench.undo(wave).await.unwrap().kind, ExecutedKind::Made);
    }
    assert_eq!(bench.units(), BEFORE);
    // Rolling back what is rolled back does nothing.
    assert_eq!(bench.undo(0).await.unwrap().kind, ExecutedKind::Nothing);
}

#[tokio::test]
async fn a_call_that_breaks_is_finished_by_trying_again_or_rolled_back() {
    for broken in [Break::Before(1), Break::After(1)] {
        for kind in [ErrorKind::Throttled, ErrorKind::Unavailable] {
            let bench = Bench::new().await;
            bench.ports.fleet.breaks(broken, kind);
            assert_eq!(bench.apply(0).await.unwrap_err().name(), kind.name());
            assert_eq!(bench.apply(0).await.unwrap().kind, ExecutedKind::Made, "{broken:?}");
            assert_eq!(bench.units()[..2], AFTER[..2], "{broken:?}");

            let bench = Bench::new().await;
            bench.ports.fleet.breaks(broken, kind);
            assert!(bench.apply(0).await.is_err());
            bench.undo_until_done(0).await;
            assert_eq!(bench.units(), BEFORE, "{broken:?} {kind:?}");
        }
    }
}

#[tokio::test]
async fn a_call_that_is_refused_for_good_is_a_typed_outcome() {
    for kind in [ErrorKind::Denied, ErrorKind::Limit, ErrorKind::NotFound, ErrorKind::Invalid] {
        let bench = Bench::new().await;
        bench.ports.fleet.breaks(Break::Before(1), kind);
        let executed = bench.apply(0).await.unwrap();
        assert_eq!((executed.kind, executed.failed), (ExecutedKind::Failed, 1), "{kind:?}");
        assert!(executed.reasons[0].contains("broken on purpose"), "{executed:?}");
        bench.undo(0).await.unwrap();
        assert_eq!(bench.units(), BEFORE);
    }
    // Somebody else is changing it, or has spent its last decrease: what was made before is needed all the same.
    for kind in [ErrorKind::Stale, ErrorKind::DecreaseLimit] {
        let bench = Bench::new().await;
        bench.ports.fleet.breaks(Break::Before(1), kind);
        let executed = bench.apply(0).await.unwrap();
        assert_eq!((executed.kind, executed.refused), (ExecutedKind::Nothing, 1), "{kind:?}");
    }
}

#[tokio::test]
async fn whatever_call_to_the_store_breaks_nothing_is_half_done_in_silence() {
    let calls = {
        let bench = Bench::new().await;
        bench.state.breaks(None);
        bench.apply(0).await.unwrap();
        bench.state.calls()
    };
    assert!(5 < calls, "{calls}");
    for call in 1..=calls {
        for broken in [Break::Before(call), Break::After(call)] {
            // Trying again finishes it.
            let bench = Bench::new().await;
            bench.state.breaks(Some(broken));
            let first = bench.apply(0).await;
            bench.state.breaks(None);
            bench.apply(0).await.unwrap_or_else(|error| panic!("{broken:?}: {first:?}, then {error}"));
            assert_eq!(bench.units()[..2], AFTER[..2], "{broken:?}");
            assert_eq!(
                bench
                    .settle(json!({"decided": {"kind": "scale", "planId": bench.plan.id, "waves": 2, "summary": ""}}))
                    .await
                    .steps
                    .left,
                0
            );

            // Giving up rolls it back.
            let bench = Bench::new().await;
            bench.state.breaks(Some(broken));
            let _ = bench.apply(0).await;
            bench.state.breaks(None);
            bench.undo_until_done(0).await;
            assert_eq!(bench.units(), BEFORE, "{broken:?}");
        }
    }
}

#[tokio::test]
async fn what_held_before_is_not_rolled_back() {
    let bench = Bench::new().await;
    bench.ports.fleet.put("users/read", 20);
    bench.ports.fleet.put("users/write", 10);
    assert_eq!(bench.apply(0).await.unwrap().found, 1);
    assert_eq!(bench.apply(1).await.unwrap().made, 1, "what builds on it may go on");
    bench.undo(1).await.unwrap();
    bench.undo(0).await.unwrap();
    assert_eq!(bench.units(), [20, 10, 4]);
}

#[tokio::test]
async fn a_world_that_moved_is_refused_and_what_builds_on_it_skipped() {
    let bench = Bench::new().await;
    bench.ports.fleet.put("users/read", 12);
    let executed = bench.apply(0).await.unwrap();
    assert_eq!((executed.kind, executed.refused), (ExecutedKind::Nothing, 1));
    assert_eq!(bench.apply(1).await.unwrap().skipped, 1);
    assert_eq!(bench.units(), [12, 5, 4]);
    let outcome = bench.settle(json!({})).await;
    assert_eq!((outcome.outcome, outcome.steps.refused, outcome.steps.skipped), (Ending::ScaledPartly, 1, 1));
    assert!(
        outcome.summary.contains("users/read is 12, but the plan was made for 10"),
        "{}",
        outcome.summary
    );
}

#[tokio::test]
async fn what_cannot_be_rolled_back_stops_everything() {
    let bench = Bench::new().await;
    bench.apply(0).await.unwrap();
    bench.ports.fleet.put("users/read", 13);
    let executed = bench.undo(0).await.unwrap();
    assert_eq!((executed.kind, executed.failed), (ExecutedKind::Failed, 1));
    let failure = json!({"error": "UndoFailed", "cause": "users: it is 13"});
    let outcome = bench.settle(json!({"undoFailure": failure})).await;
    assert_eq!((outcome.outcome, outcome.error.as_deref()), (Ending::NeedsHuman, Some("NeedsHuman")));
    let lease = bench.lease().await;
    assert!(lease.needs_human.is_some() && lease.open_plan.is_some() && lease.holder.is_none());
    assert_eq!(bench.told(), 1);
}

#[tokio::test]
async fn nothing_that_is_not_permitted_is_carried_out() {
    for permit in [Permit::Observe, Permit::DryRun] {
        let bench = Bench::with(permit).await;
        assert_eq!(bench.apply(0).await.unwrap_err().name(), "PlanWithheld");
        assert_eq!(bench.undo(0).await.unwrap_err().name(), "PlanWithheld");
        assert!(bench.ports.fleet.sets().is_empty());
    }
    let mut bench = Bench::new().await;
    bench.cycle.dry_run = true;
    assert_eq!(bench.apply(0).await.unwrap_err().name(), "PlanWithheld");
    bench.cycle.dry_run = false;
    bench.cycle.id = "another".into();
    assert_eq!(bench.apply(0).await.unwrap_err().name(), "LeaseLost");
    assert!(bench.ports.fleet.sets().is_empty());
}
