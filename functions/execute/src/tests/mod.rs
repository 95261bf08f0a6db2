//! A cycle with a plan on fakes, for tests of steps and of settling.

mod kinds;
mod settling;
mod slow;
mod steps;

use headroom_aws::configs::Configs;
use headroom_aws::failure::Failure;
use headroom_aws::fleet::MemoryFleet;
use headroom_aws::meter::Meter;
use headroom_aws::notices::MemoryNotices;
use headroom_aws::store::Store;
use headroom_aws::table::MemoryTable;
use headroom_core::cycle::{Cycle, ExecuteRequest, ExecuteResponse, SettleRequest, StepBatch, Task};
use headroom_core::lease::{Claim, Lease};
use headroom_core::name::PlatformName;
use headroom_core::plan::{Permit, Plan, Step, StepChange, StepId, Wave};
use headroom_core::platform::Mode;
use headroom_core::settle::Outcome;
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
        Bench::configured(permit, SHOP).await
    }

    async fn configured(permit: Permit, text: &str) -> Bench {
        let table = step(0, "users", &[("users/read", 10, 20), ("users/write", 5, 10)], &[]);
        let servers = step(1, "web", &[("web/desired", 4, 8)], &["w0/users"]);
        Bench::planned(permit, text, vec![table, servers]).await
    }

    /// A plan of these steps, each in a wave of its own.
    async fn planned(permit: Permit, text: &str, steps: Vec<Step>) -> Bench {
        let state = MemoryTable::default();
        let store = Store::new(state.clone(), MemoryTable::default(), MemoryTable::default());
        let platform: PlatformName = "shop".into();
        let config = store.put_config(&platform, text).await.unwrap();
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
            direction: headroom_core::units::Direction::Out,
            groups: steps.iter().map(|step| step.group.clone()).collect(),
            timeout_s: 600,
            poll_s: 5,
            steps,
        };
        let plan = Plan {
            id: "0000000001-cycle".into(),
            cycle: cycle.id.clone(),
            made_at: at(1),
            config,
            permit,
            rollback: true,
            waves: steps.into_iter().map(|step| wave(vec![step])).collect(),
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

    /// The steps of a wave, asked for at a time in seconds. The wave starts at 10, its rolling back at 30.
    fn steps(&self, wave: usize, second: i64) -> StepBatch {
        let started_at = Some(at(if second < 30 { 10 } else { 30 }));
        let (cycle, plan_id) = (self.cycle.clone(), self.plan.id.clone());
        StepBatch { cycle, plan_id, wave, batch: 0, started_at, at: at(second) }
    }

    async fn apply(&self, wave: usize) -> Result<ExecuteResponse, Failure> {
        executed(handle(&self.ports, ExecuteRequest::Apply(self.steps(wave, 10))).await)
    }

    async fn undo(&self, wave: usize) -> Result<ExecuteResponse, Failure> {
        self.undo_at(wave, 30).await
    }

    async fn undo_at(&self, wave: usize, second: i64) -> Result<ExecuteResponse, Failure> {
        executed(handle(&self.ports, ExecuteRequest::Undo(self.steps(wave, second))).await)
    }

    /// The state machine tries again what is transient.
    async fn undo_until_done(&self, wave: usize) -> ExecuteResponse {
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
        self.try_settle(more).await.unwrap()
    }

    async fn try_settle(&self, more: serde_json::Value) -> Result<Outcome, Failure> {
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
        match handle(&self.ports, ExecuteRequest::Settle(Box::new(request))).await? {
            Response::Settled(outcome) => Ok(*outcome),
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

fn executed(response: Result<Response, Failure>) -> Result<ExecuteResponse, Failure> {
    response.map(|response| match response {
        Response::Steps(executed) => executed,
        other => panic!("{other:?}"),
    })
}
