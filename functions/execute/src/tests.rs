//! Steps with everything that can break, broken: each call to AWS and each call to the store, before and after its
//! effect. And settling, however far a cycle came.

use headroom_aws::configs::Configs;
use headroom_aws::error::Kind;
use headroom_aws::failure::Failure;
use headroom_aws::fakes::Break;
use headroom_aws::fleet::MemoryFleet;
use headroom_aws::meter::Meter;
use headroom_aws::notices::MemoryNotices;
use headroom_aws::store::Store;
use headroom_aws::table::MemoryTable;
use headroom_core::cycle::{Cycle, ExecuteRequest, Executed, ExecutedKind, SettleRequest, Steps, Task};
use headroom_core::lease::{Claim, Lease};
use headroom_core::name::PlatformName;
use headroom_core::plan::{Permit, Plan, Step, StepChange, StepId, Wave};
use headroom_core::platform::Mode;
use headroom_core::settle::{Ending, Outcome};
use headroom_core::units::Units;
use jiff::Timestamp;
use serde_json::json;

use crate::{Ports, Response, handle};

const SHOP: &str = "configuration_name: shop
scaling_groups:
  data: {resources: [{type: DYNAMODB_TABLE, name: users, read_capacity: {min: 1, max: 100}, write_capacity: {min: 1, max: 100}}]}
  web: {resources: [{type: EC2_AUTO_SCALING_GROUP, name: web, min_capacity: 1, max_capacity: 20}]}
orchestration: {rollout_phase: full, dependencies: [{source: web, target: data}]}
";

/// A cycle that holds the lease with a plan of two waves: the table, then the servers that depend on it.
struct Bench {
    ports: Ports<MemoryTable, MemoryFleet, MemoryNotices>,
    state: MemoryTable,
    cycle: Cycle,
    plan: Plan,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn step(wave: usize, resource: &str, changes: &[(&str, u32, u32)], after: &[&str]) -> Step {
    let change = |(key, expected, target): &(&str, u32, u32)| StepChange {
        key: key.parse().unwrap(),
        expected: Units(*expected),
        target: Units(*target),
    };
    Step {
        id: StepId(format!("w{wave}/{resource}")),
        resource: resource.into(),
        group: if resource == "web" { "web".into() } else { "data".into() },
        mode: Mode::Desired,
        changes: changes.iter().map(change).collect(),
        after: after.iter().map(|id| StepId((*id).to_owned())).collect(),
    }
}

impl Bench {
    async fn new() -> Bench {
        Bench::with(Permit::Act).await
    }

    async fn with(permit: Permit) -> Bench {
        let state = MemoryTable::default();
        let store = Store::new(state.clone(), MemoryTable::default(), MemoryTable::default());
        let platform: PlatformName = "shop".into();
        let config = store.put_config(&platform, SHOP).await.unwrap();
        let cycle = Cycle {
            platform: platform.clone(),
            id: "cycle".into(),
            execution: "arn".into(),
            now: at(0),
            started_at: at(0),
            dry_run: false,
            task: Task::Scale,
        };
        let wave = |steps: Vec<Step>| Wave {
            direction: headroom_core::plan::Direction::Out,
            groups: steps.iter().map(|step| step.group.clone()).collect(),
            timeout_s: 600,
            poll_s: 5,
            steps,
        };
        let table = step(0, "users", &[("users/read", 10, 20), ("users/write", 5, 10)], &[]);
        let servers = step(1, "web", &[("web/desired", 4, 8)], &["w0/users"]);
        let plan = Plan {
            id: "0000000001-cycle".into(),
            cycle: cycle.id.clone(),
            made_at: at(1),
            config,
            permit,
            rollback: true,
            waves: vec![wave(vec![table]), wave(vec![servers])],
        };
        store.put_plan(&platform, &plan).await.unwrap();
        let read = store.lease(&platform).await.unwrap();
        let Claim::Granted(mut lease) = read.value.claim(&cycle.id, "arn", at(0), None) else { panic!() };
        lease.open_plan = Some(plan.id.clone());
        store.put_lease(&platform, &read, &lease).await.unwrap();
        let ports = Ports {
            store,
            fleet: MemoryFleet::new(&[("users/read", 10), ("users/write", 5), ("web/desired", 4)]),
            notices: MemoryNotices::default(),
            configs: Configs::default(),
            topic: Some("topic".to_owned()),
            meter: Meter::default(),
        };
        Bench { ports, state, cycle, plan }
    }

    fn steps(&self, wave: usize) -> Steps {
        Steps { cycle: self.cycle.clone(), plan_id: self.plan.id.clone(), wave, batch: 0, at: at(10) }
    }

    async fn apply(&self, wave: usize) -> Result<Executed, Failure> {
        executed(handle(&self.ports, ExecuteRequest::Apply(self.steps(wave))).await)
    }

    async fn undo(&self, wave: usize) -> Result<Executed, Failure> {
        executed(handle(&self.ports, ExecuteRequest::Undo(self.steps(wave))).await)
    }

    /// The state machine tries again what is transient.
    async fn undo_until_done(&self, wave: usize) -> Executed {
        for _ in 0..3 {
            if let Ok(executed) = self.undo(wave).await {
                return executed;
            }
        }
        panic!("never undone");
    }

    fn units(&self) -> [u32; 3] {
        ["users/read", "users/write", "web/desired"].map(|key| self.ports.fleet.units(key).unwrap())
    }

    async fn settle(&self, more: serde_json::Value) -> Outcome {
        let mut request = json!({
            "input": {"platform": "shop"},
            "execution": {"name": "cycle", "arn": "arn", "startedAt": at(0)},
            "at": at(20),
            "collected": {"kind": "ready", "summary": "3 dimensions"},
            "decided": {"kind": "scale", "planId": self.plan.id, "waves": 2, "summary": "users/read 10 -> 20"},
            "failure": null,
            "undoFailure": null,
            "usage": {"DynamoDB:PutItem": 2.0},
        });
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let request: SettleRequest = serde_json::from_value(request).unwrap();
        match handle(&self.ports, ExecuteRequest::Settle(Box::new(request))).await.unwrap() {
            Response::Settled(outcome) => *outcome,
            other => panic!("{other:?}"),
        }
    }

    async fn lease(&self) -> Lease {
        self.ports.store.lease(&"shop".into()).await.unwrap().value
    }

    fn told(&self) -> usize {
        self.ports.notices.0.lock().unwrap().len()
    }
}

fn executed(response: Result<Response, Failure>) -> Result<Executed, Failure> {
    response.map(|response| match response {
        Response::Executed(executed) => executed,
        other => panic!("{other:?}"),
    })
}

const BEFORE: [u32; 3] = [10, 5, 4];
const AFTER: [u32; 3] = [20, 10, 8];

#[tokio::test]
async fn waves_are_made_and_taken_back() {
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
    // Taking back what is taken back does nothing.
    assert_eq!(bench.undo(0).await.unwrap().kind, ExecutedKind::Nothing);
}

#[tokio::test]
async fn a_call_that_breaks_is_finished_by_trying_again_or_taken_back() {
    for broken in [Break::Before(1), Break::After(1)] {
        for kind in [Kind::Throttled, Kind::Unavailable] {
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
    for kind in [Kind::Denied, Kind::Limit, Kind::NotFound, Kind::Invalid] {
        let bench = Bench::new().await;
        bench.ports.fleet.breaks(Break::Before(1), kind);
        let executed = bench.apply(0).await.unwrap();
        assert_eq!((executed.kind, executed.failed), (ExecutedKind::Failed, 1), "{kind:?}");
        assert!(executed.reasons[0].contains("broken on purpose"), "{executed:?}");
        bench.undo(0).await.unwrap();
        assert_eq!(bench.units(), BEFORE);
    }
    let bench = Bench::new().await;
    bench.ports.fleet.breaks(Break::Before(1), Kind::Stale);
    let executed = bench.apply(0).await.unwrap();
    assert_eq!((executed.kind, executed.refused), (ExecutedKind::Nothing, 1), "somebody else is changing it");
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

            // Giving up takes it back.
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
async fn what_held_before_is_not_taken_back() {
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
async fn what_cannot_be_taken_back_stops_everything() {
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
    assert_eq!(outcome.cause.as_deref(), Some("taken back (1 steps): GET /health: answered 503"));

    let half = Bench::new().await;
    half.apply(0).await.unwrap();
    let outcome = half.settle(json!({"failure": {"error": "WaveUnhealthy", "cause": "sick"}})).await;
    assert_eq!(outcome.outcome, Ending::NeedsHuman, "a plan that should have been taken back and was not");
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
