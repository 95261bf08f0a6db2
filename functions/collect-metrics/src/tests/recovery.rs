//! Taking over what a dead cycle left, whatever call to the store breaks meanwhile.

use headroom_aws::fakes::Break;
use headroom_core::lease::RECOVERIES_MAX;
use headroom_core::name::ConfigVersion;
use headroom_core::plan::{Permit, Plan, STEPS_PER_BATCH, Step, StepId, Wave};
use headroom_core::platform::Mode;
use headroom_core::units::Direction;

use super::*;

/// A plan of two waves, the second of more steps than fit into the batches that are asked for together.
fn plan() -> Plan {
    let step = |wave: usize, index: usize| Step {
        id: StepId(format!("w{wave}/{index}")),
        resource: format!("web-{index}").as_str().into(),
        group: "web".into(),
        mode: Mode::Desired,
        changes: Vec::new(),
        after: Vec::new(),
    };
    let wave = |wave: usize, steps: usize| Wave {
        direction: Direction::Out,
        groups: vec!["web".into()],
        timeout_s: 600,
        poll_s: 5,
        steps: (0..steps).map(|index| step(wave, index)).collect(),
    };
    Plan {
        id: "left".into(),
        cycle: "dead".into(),
        made_at: at(NOW),
        config: ConfigVersion("1".into()),
        permit: Permit::Act,
        rollback: true,
        waves: vec![wave(0, 1), wave(1, 120 * STEPS_PER_BATCH + 1)],
    }
}

/// A dead cycle has left its plan open.
async fn left_open() -> Fakes {
    let ports = ports();
    ports.store.put_plan(&shop(), &plan()).await.unwrap();
    let read = ports.store.lease(&shop()).await.unwrap();
    let left = Lease { open_plan: Some("left".into()), ..Lease::default() };
    ports.store.put_lease(&shop(), &read, &left).await.unwrap();
    ports
}

async fn lease(ports: &Fakes) -> Lease {
    ports.store.lease(&shop()).await.unwrap().value
}

/// The cycle failed before it knew what to roll back: so it is settled.
async fn settle_failed(ports: &Fakes, name: &str) {
    let read = ports.store.lease(&shop()).await.unwrap();
    if let Ok(lease) = read.value.release(&name.into(), None, None, None) {
        ports.store.put_lease(&shop(), &read, &lease).await.unwrap();
    }
}

#[tokio::test]
async fn a_plan_left_open_is_taken_over_without_a_query() {
    let ports = left_open().await;
    ports.store.state().refuses_queries();
    let collected = collect(&ports, "a", NOW).await;
    assert_eq!(collected.kind, CollectedKind::Recover);
    let batches: Vec<usize> = collected.plan.unwrap().waves.iter().map(|wave| wave.batches.len()).collect();
    assert_eq!(batches, [1, 121]);
}

#[tokio::test]
async fn whatever_call_breaks_while_recovering_the_open_plan_is_not_forgotten() {
    for call in 1..=8 {
        for broken in [Break::Before(call), Break::After(call)] {
            let ports = left_open().await;
            ports.store.state().breaks(Some(broken));
            let first = collect_with(&ports, "a", NOW, json!({})).await;
            ports.store.state().breaks(None);
            if first.is_err() {
                settle_failed(&ports, "a").await;
            }
            assert_eq!(lease(&ports).await.open_plan, Some("left".into()), "{broken:?}");
            let next = collect(&ports, "b", NOW + 300).await;
            assert_eq!(next.kind, CollectedKind::Recover, "{broken:?}: the next cycle tries again");
        }
    }
}

#[tokio::test]
async fn what_nobody_could_take_over_to_its_end_fails_with_its_reason() {
    let ports = left_open().await;
    for (tried, name) in (1..=RECOVERIES_MAX).zip(["a", "b", "c"]) {
        // Each dies without settling.
        assert_eq!(collect(&ports, name, NOW).await.kind, CollectedKind::Recover);
        assert_eq!(lease(&ports).await.recoveries, tried);
    }
    let failure = collect_with(&ports, "d", NOW, json!({})).await.unwrap_err();
    assert_eq!(failure.to_string(), "plan left was taken over by 3 cycles, none of which came to its end");
    assert_eq!(lease(&ports).await.open_plan, Some("left".into()));
}

#[tokio::test]
async fn a_plan_that_is_not_stored_fails_with_its_reason_and_stays_open() {
    let ports = left_open().await;
    let read = ports.store.lease(&shop()).await.unwrap();
    let left = Lease { open_plan: Some("gone".into()), ..Lease::default() };
    ports.store.put_lease(&shop(), &read, &left).await.unwrap();
    let failure = collect_with(&ports, "a", NOW, json!({})).await.unwrap_err();
    assert_eq!(failure.to_string(), "the lease names plan gone, which is not stored");
    settle_failed(&ports, "a").await;
    assert_eq!(lease(&ports).await.open_plan, Some("gone".into()));
}
