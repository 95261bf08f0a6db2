//! Steps of kinds that do not come back as they were.

use headroom_aws::error::ErrorKind;
use headroom_aws::fakes::Break;
use headroom_core::cycle::ExecutedKind;
use headroom_core::journal::StepState;
use headroom_core::settle::Ending;
use serde_json::json;

use super::*;

const STORAGE: &str = "configuration_name: shop
scaling_groups:
  data: {resources: [{type: RDS_STORAGE, name: disk, min_capacity: 100, max_capacity: 500}]}
orchestration: {rollout_phase: full}
";
const REPLICAS: &str = "configuration_name: shop
scaling_groups:
  data: {resources: [{type: AURORA_REPLICAS, name: books, min_capacity: 1, max_capacity: 9}]}
orchestration: {rollout_phase: full}
";

/// A cycle with one step, on a fleet that has these units.
async fn bench(text: &str, resource: &str, (key, expected, target): (&str, u32, u32)) -> Bench {
    let bench =
        Bench::planned(Permit::Act, text, vec![step(0, resource, &[(key, expected, target)], &[])]).await;
    bench.ports.fleet.put(key, expected);
    bench
}

async fn entry(bench: &Bench) -> (StepState, Option<String>) {
    let journal = bench.ports.store.journal(&"shop".into(), &bench.plan.id).await.unwrap();
    let entry = &journal[0].value;
    (entry.state, entry.detail().map(str::to_owned))
}

#[tokio::test]
async fn what_aws_has_no_way_back_from_stands_and_says_so() {
    let bench = bench(STORAGE, "disk", ("disk/storage", 100, 120)).await;
    bench.apply(0).await.unwrap();
    let executed = bench.undo(0).await.unwrap();
    assert_eq!((executed.kind, executed.stands), (ExecutedKind::Nothing, 1));
    let why = "disk/storage stays at 120: AWS has no way back";
    assert_eq!(entry(&bench).await, (StepState::Stands, Some(why.into())));
    assert_eq!(bench.ports.fleet.sets(), ["disk/storage=120"], "nothing smaller was asked for");
    let failure = json!({"error": "WaveUnhealthy", "cause": "sick"});
    let outcome = bench.settle(json!({"failure": failure})).await;
    assert_eq!((outcome.outcome, outcome.steps.stands), (Ending::RolledBack, 1));
    assert_eq!(bench.lease().await.needs_human, None);
}

#[tokio::test]
async fn what_was_never_made_does_not_stand() {
    let bench = bench(STORAGE, "disk", ("disk/storage", 100, 120)).await;
    bench.ports.fleet.breaks(Break::Before(1), ErrorKind::Denied);
    bench.apply(0).await.unwrap();
    bench.undo_at(0, 30).await.unwrap();
    bench.undo_at(0, 60).await.unwrap();
    assert_eq!(entry(&bench).await, (StepState::Undone, Some("nothing stood".into())));
}

#[tokio::test]
async fn as_many_units_as_before_are_not_the_same_ones() {
    let bench = bench(REPLICAS, "books", ("books/replicas", 5, 3)).await;
    bench.apply(0).await.unwrap();
    bench.undo(0).await.unwrap();
    let (state, detail) = entry(&bench).await;
    assert_eq!(state, StepState::Undone);
    assert!(detail.unwrap().starts_with("restored in part"));
    assert_eq!(bench.ports.fleet.units("books/replicas"), Some(5));
}

#[tokio::test]
async fn a_part_of_the_way_is_gone_on_with_or_back_from() {
    let begun = || async {
        let bench = bench(REPLICAS, "books", ("books/replicas", 2, 5)).await;
        bench.ports.fleet.breaks(Break::Before(1), ErrorKind::Unavailable);
        assert!(bench.apply(0).await.is_err(), "the state machine tries again");
        bench.ports.fleet.put("books/replicas", 3);
        bench
    };
    let on = begun().await;
    assert_eq!(on.apply(0).await.unwrap().kind, ExecutedKind::Made);
    assert_eq!(on.ports.fleet.units("books/replicas"), Some(5));
    let back = begun().await;
    assert_eq!(back.undo(0).await.unwrap().kind, ExecutedKind::Made);
    assert_eq!(back.ports.fleet.units("books/replicas"), Some(2));
    // Who has moved it without us is left alone.
    let moved = bench(REPLICAS, "books", ("books/replicas", 2, 5)).await;
    moved.ports.fleet.put("books/replicas", 3);
    moved.apply(0).await.unwrap();
    assert_eq!(entry(&moved).await.0, StepState::Refused);
    assert_eq!(moved.ports.fleet.units("books/replicas"), Some(3));
}

#[tokio::test]
async fn what_failed_to_come_is_cleaned_up_although_the_number_is_that_from_before() {
    let bench = bench(REPLICAS, "books", ("books/replicas", 2, 3)).await;
    bench.apply(0).await.unwrap();
    bench.ports.fleet.put("books/replicas", 2);
    bench.undo_at(0, 30).await.unwrap();
    bench.undo_at(0, 60).await.unwrap();
    assert_eq!(entry(&bench).await.0, StepState::Undone);
    assert_eq!(bench.ports.fleet.sets(), ["books/replicas=3", "books/replicas=2"]);
}
