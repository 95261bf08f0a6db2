//! A person asks for a plan that is over to be rolled back.

use headroom_aws::fakes::Break;
use headroom_aws::store::version_of;
use headroom_core::journal::{Entry, StepEvent};
use headroom_core::plan::{Permit, Plan, Step, StepChange, StepId, Wave};
use headroom_core::platform::Mode;
use headroom_core::units::{Direction, Units};

use super::*;

/// A plan that took the table to 10 and then the web servers to `web`; it is over, and its steps hold.
async fn carried_out(web: u32) -> Fakes {
    let ports = ports();
    let step = |wave: usize, resource: &str, key: &str, target: u32| Step {
        id: StepId(format!("w{wave}/{resource}")),
        resource: resource.into(),
        group: resource.into(),
        mode: Mode::Desired,
        changes: vec![StepChange { key: key.parse().unwrap(), expected: Units(2), target: Units(target) }],
        after: Vec::new(),
    };
    let steps = [step(0, "users", "users/read", 10), step(1, "web", "web/desired", web)];
    let wave = |step: &Step| Wave {
        direction: Direction::Out,
        groups: vec![step.group.clone()],
        timeout_s: 600,
        poll_s: 5,
        steps: vec![step.clone()],
    };
    let plan = Plan {
        id: "7-a".into(),
        cycle: "a".into(),
        made_at: at(NOW),
        config: version_of(SHOP),
        permit: Permit::Act,
        rollback: true,
        waves: steps.iter().map(wave).collect(),
    };
    ports.configs.keep(&ports.store, &shop(), SHOP).await.unwrap();
    ports.store.put_plan(&shop(), &plan).await.unwrap();
    for (wave, step) in steps.iter().enumerate() {
        let entry = Entry::new(&plan.id, wave, step);
        let made = [StepEvent::Started, StepEvent::Succeeded];
        let made = made.iter().fold(entry, |entry, event| entry.with(*event, at(NOW), None).unwrap());
        let read = headroom_aws::store::Versioned { value: Entry::new(&plan.id, wave, step), revision: 0 };
        ports.store.put_entry(&shop(), &read, &made).await.unwrap();
    }
    ports
}

async fn lease(ports: &Fakes) -> Lease {
    ports.store.lease(&shop()).await.unwrap().value
}

async fn ask(ports: &Fakes, name: &str, plan: &str, dry_run: bool) -> CollectResponse {
    let input = json!({"task": "rollback", "plan": plan, "dryRun": dry_run});
    collect_with(ports, name, NOW + 600, input).await.unwrap()
}

#[tokio::test]
async fn a_plan_that_still_stands_is_opened_again_without_a_query() {
    let ports = carried_out(4).await;
    ports.store.state().refuses_queries();
    let collected = ask(&ports, "b", "7-a", false).await;
    assert_eq!(collected.kind, CollectedKind::RollBack, "{}", collected.summary);
    assert_eq!(collected.summary, "a person asked to roll back plan 7-a");
    assert_eq!(collected.plan.unwrap().waves.len(), 2);
    assert_eq!(lease(&ports).await.open_plan, Some("7-a".into()));
    // If its function runs again, that is the same cycle; if the cycle dies, the next one brings it to its end.
    assert_eq!(ask(&ports, "b", "7-a", false).await.kind, CollectedKind::RollBack);
    assert_eq!(collect(&ports, "c", NOW + 900).await.kind, CollectedKind::Recover);
}

#[tokio::test]
async fn what_must_not_be_rolled_back_is_told_and_nothing_is_claimed() {
    let check = async |web: u32, plan: &str, dry_run: bool, expected: &str| {
        let ports = carried_out(web).await;
        let collected = ask(&ports, "b", plan, dry_run).await;
        assert_eq!((collected.kind, collected.summary.as_str()), (CollectedKind::Skipped, expected));
        assert_eq!(lease(&ports).await, Lease::default());
    };
    // Somebody has set 4 since.
    check(
        8,
        "7-a",
        false,
        "plan 7-a is not rolled back: web/desired is 4, but the plan was made for 8; something has changed it since: \
         roll back what came later first, or set it by hand",
    )
    .await;
    check(4, "6-x", false, "plan 6-x is not rolled back: there is no plan 6-x").await;
    check(4, "7-a", true, "plan 7-a could be rolled back, but this is a dry run").await;
}

#[tokio::test]
async fn whatever_call_breaks_the_plan_is_open_or_left_alone() {
    for call in 1..=8 {
        for broken in [Break::Before(call), Break::After(call)] {
            let ports = carried_out(4).await;
            ports.store.state().breaks(Some(broken));
            let input = json!({"task": "rollback", "plan": "7-a"});
            let first = collect_with(&ports, "b", NOW + 600, input).await;
            ports.store.state().breaks(None);
            let open = lease(&ports).await.open_plan.is_some();
            assert!(first.is_err() || open, "{broken:?}");
            assert_eq!(ask(&ports, "b", "7-a", false).await.kind, CollectedKind::RollBack, "{broken:?}");
        }
    }
}
