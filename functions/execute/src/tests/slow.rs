//! Steps on resources that take their time: AWS carries out an update for minutes and describes the old capacity meanwhile.

use headroom_aws::error::ErrorKind;
use headroom_aws::fakes::Break;
use headroom_aws::fleet::Slow;
use headroom_core::cycle::ExecutedKind;
use headroom_core::journal::StepState;
use headroom_core::settle::Ending;
use serde_json::json;

use super::*;

impl Bench {
    async fn state_of(&self, step: &str) -> StepState {
        let journal = self.ports.store.journal(&"shop".into(), &self.plan.id).await.unwrap();
        journal.into_iter().find(|entry| entry.value.step.id.0 == step).unwrap().value.state
    }
}

#[tokio::test]
async fn rolling_back_waits_for_an_update_that_still_shows_the_old_capacity() {
    let bench = Bench::new().await;
    bench.ports.fleet.slow(Slow::Locked);
    assert_eq!(bench.apply(0).await.unwrap().kind, ExecutedKind::Made);
    assert_eq!(bench.units()[..2], [10, 5], "AWS still describes what was before");
    for _ in 0..2 {
        let waiting = bench.undo(0).await.unwrap();
        assert_eq!((waiting.kind, waiting.pending), (ExecutedKind::Pending, 1));
    }
    bench.ports.fleet.finish();
    assert_eq!(bench.units()[..2], [20, 10]);
    assert_eq!(bench.undo(0).await.unwrap().kind, ExecutedKind::Made);
    assert_eq!(bench.units(), [10, 5, 4]);
    let failure = json!({"error": "WaveUnhealthy", "cause": "sick"});
    assert_eq!(bench.settle(json!({"failure": failure})).await.outcome, Ending::RolledBack);
}

#[tokio::test]
async fn rolling_back_waits_half_an_hour_at_most() {
    let bench = Bench::new().await;
    bench.ports.fleet.slow(Slow::Locked);
    bench.apply(0).await.unwrap();
    assert_eq!(bench.undo_at(0, 30 + 1_799).await.unwrap().kind, ExecutedKind::Pending);
    let over = bench.undo_at(0, 30 + 1_800).await.unwrap();
    assert_eq!(
        (over.kind, over.reasons),
        (ExecutedKind::Failed, vec!["users: it is being updated".to_owned()])
    );
    assert_eq!(bench.state_of("w0/users").await, StepState::UndoFailed);
}

#[tokio::test]
async fn rolling_back_waits_for_what_throttles_and_for_what_aws_holds() {
    for kind in [ErrorKind::Throttled, ErrorKind::Unavailable, ErrorKind::Stale] {
        let bench = Bench::new().await;
        bench.apply(0).await.unwrap();
        bench.ports.fleet.breaks(Break::Before(1), kind);
        assert_eq!(bench.undo(0).await.unwrap().kind, ExecutedKind::Pending, "{kind:?}");
        assert_eq!(bench.undo(0).await.unwrap().kind, ExecutedKind::Made);
        assert_eq!(bench.units(), [10, 5, 4]);
    }
    let bench = Bench::new().await;
    bench.apply(0).await.unwrap();
    bench.ports.fleet.held(Some("a deployment in two colours"));
    assert_eq!(bench.undo(0).await.unwrap().kind, ExecutedKind::Pending);
    bench.ports.fleet.held(None);
    assert_eq!(bench.undo(0).await.unwrap().kind, ExecutedKind::Made);
}

#[tokio::test]
async fn a_lost_answer_of_a_slow_update_is_not_taken_for_somebody_else_s_change() {
    for slow in [Slow::Locked, Slow::Lagging] {
        let bench = Bench::new().await;
        bench.ports.fleet.slow(slow);
        bench.ports.fleet.breaks(Break::After(1), ErrorKind::Unavailable);
        assert!(bench.apply(0).await.is_err());
        let again = bench.apply(0).await.unwrap();
        assert_eq!((again.kind, again.refused), (ExecutedKind::Made, 0), "{slow:?}");
        bench.ports.fleet.finish();
        assert_eq!(bench.undo(0).await.unwrap().kind, ExecutedKind::Made);
        assert_eq!(bench.units(), [10, 5, 4], "ours, so it is rolled back");
    }
}

#[tokio::test]
async fn an_update_of_somebody_else_is_left_alone() {
    let bench = Bench::new().await;
    bench.ports.fleet.slow(Slow::Locked);
    bench.ports.fleet.set_elsewhere("users/read", 15);
    let executed = bench.apply(0).await.unwrap();
    assert_eq!((executed.kind, executed.refused), (ExecutedKind::Nothing, 1));
    assert_eq!(executed.reasons, ["users: left alone: it is being updated"]);
}

#[tokio::test]
async fn a_description_that_lags_is_not_taken_for_nothing_that_stood() {
    let bench = Bench::new().await;
    bench.ports.fleet.slow(Slow::Lagging);
    bench.apply(0).await.unwrap();
    // Rolling back began at 30. When exactly the call before that was made is not on record.
    assert_eq!(bench.undo_at(0, 39).await.unwrap().kind, ExecutedKind::Pending);
    bench.ports.fleet.finish();
    assert_eq!(bench.undo_at(0, 40).await.unwrap().kind, ExecutedKind::Made);
    assert_eq!(bench.units(), [10, 5, 4]);
}

#[tokio::test]
async fn a_capacity_that_cannot_be_read_is_neither_given_up_nor_forgotten() {
    let bench = Bench::new().await;
    bench.apply(0).await.unwrap();
    bench.ports.fleet.unseen(Some("AWS is throttling"));
    assert_eq!(bench.undo(0).await.unwrap().kind, ExecutedKind::Pending);
    bench.ports.fleet.unseen(None);
    assert_eq!(bench.undo(0).await.unwrap().kind, ExecutedKind::Made);

    // A step that may have been made and cannot be seen is looked at again; it is not somebody else's.
    let bench = Bench::new().await;
    bench.ports.fleet.breaks(Break::After(1), ErrorKind::Unavailable);
    assert!(bench.apply(0).await.is_err());
    bench.ports.fleet.unseen(Some("AWS is throttling"));
    assert!(bench.apply(0).await.is_err());
    bench.ports.fleet.unseen(None);
    bench.undo(0).await.unwrap();
    assert_eq!(bench.units(), [10, 5, 4]);
}

#[tokio::test]
async fn a_scale_out_that_aws_allows_no_decrease_for_stands_and_stops_nobody() {
    let bench = Bench::new().await;
    for wave in 0..2 {
        bench.apply(wave).await.unwrap();
    }
    bench.undo(1).await.unwrap();
    bench.ports.fleet.allows_no_decrease();
    let executed = bench.undo(0).await.unwrap();
    assert_eq!((executed.kind, executed.stands), (ExecutedKind::Nothing, 1));
    assert_eq!(bench.units(), [20, 10, 4]);
    let failure = json!({"error": "WaveUnhealthy", "cause": "sick"});
    let outcome = bench.settle(json!({"failure": failure})).await;
    assert_eq!((outcome.outcome, outcome.steps.undone, outcome.steps.stands), (Ending::RolledBack, 1, 1));
    assert_eq!(
        outcome.summary,
        "rolled back (1 steps; users stands: users/read stays at 20: AWS allows it no decrease now): sick"
    );
    assert_eq!(bench.lease().await.needs_human, None);

    // The count may also have run out between our look and our call.
    let bench = Bench::new().await;
    bench.apply(0).await.unwrap();
    bench.ports.fleet.breaks(Break::Before(1), ErrorKind::DecreaseLimit);
    assert_eq!(bench.undo(0).await.unwrap().stands, 1);
}

#[tokio::test]
async fn a_scale_in_that_cannot_be_taken_back_is_a_persons_business() {
    let bench = Bench::new().await;
    // The table goes from 20 and 10 to 10 and 5: capacity that the platform had is missing.
    let platform: PlatformName = "shop".into();
    let mut plan = bench.plan.clone();
    for change in &mut plan.waves[0].steps[0].changes {
        std::mem::swap(&mut change.expected, &mut change.target);
    }
    bench.ports.store.put_plan(&platform, &plan).await.unwrap();
    bench.ports.fleet.put("users/read", 20);
    bench.ports.fleet.put("users/write", 10);
    bench.apply(0).await.unwrap();
    bench.ports.fleet.breaks(Break::Before(1), ErrorKind::DecreaseLimit);
    let executed = bench.undo(0).await.unwrap();
    assert_eq!((executed.stands, executed.failed), (0, 1), "{executed:?}");
}
