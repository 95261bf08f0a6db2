//! Health with fakes: capacity, probes, time limits, and rolling back.

use std::sync::Mutex;
use std::time::Duration;

use headroom_aws::configs::Configs;
use headroom_aws::error::AwsError;
use headroom_aws::fleet::{Address, Balancer, MemoryFleet, TargetHealth};
use headroom_aws::meter::Meter;
use headroom_aws::probes::{Answer, Probes, Unchecked};
use headroom_aws::store::{Store, Versioned};
use headroom_aws::table::MemoryTable;
use headroom_core::cycle::{Cycle, HealthRequest, HealthResponse, Task};
use headroom_core::health::{Health, Verdict};
use headroom_core::journal::{Entry, StepEvent};
use headroom_core::lease::{Claim, TERM};
use headroom_core::name::PlatformName;
use headroom_core::plan::{Permit, Plan, Step, StepChange, StepId, Wave};
use headroom_core::platform::Mode;
use headroom_core::units::{Direction, Units};
use jiff::Timestamp;

use crate::{Ports, handle};

const SHOP: &str = "configuration_name: shop
scaling_groups:
  web: {resources: [{type: EC2_AUTO_SCALING_GROUP, name: web, min_capacity: 1, max_capacity: 20}]}
  data: {resources: [{type: DYNAMODB_TABLE, name: users, read_capacity: {min: 1, max: 100}}]}
orchestration:
  rollout_phase: full
  health_checks:
    - {resource: web, check_type: health_endpoint, endpoint: 'http://shop/health'}
    - {resource: web, check_type: connection_test, host: shop, port: 443}
    - {resource: web, check_type: alarm, alarm_name: errors}
    - {resource: web, check_type: target_health}
    - {resource: web, check_type: health_endpoint, endpoint: /up, host: shop.example.com}
    - {resource: data, check_type: health_endpoint, endpoint: 'http://data/health'}
";

/// What is asked on the balancer of `web`.
const ON_BALANCER: &str = "https://elb:443/up as shop.example.com";

/// Probes that find what they are told to, and remember what they were asked.
#[derive(Debug, Default)]
struct FakeProbes {
    sick: Option<&'static str>,
    asked: Mutex<Vec<String>>,
}

impl FakeProbes {
    fn find(&self, what: &str) -> Health {
        self.asked.lock().unwrap().push(what.to_owned());
        if self.sick == Some(what) { Health::Unhealthy("sick".into()) } else { Health::Healthy }
    }
}

impl Probes for FakeProbes {
    async fn http(&self, url: &str, _: Duration) -> Answer {
        self.find(url).into()
    }

    async fn balancer(&self, balancer: &Balancer, site: Option<&str>, path: &str, _: Duration) -> Answer {
        let Balancer { scheme, host, port, .. } = balancer;
        let site = site.map(|site| format!(" as {site}")).unwrap_or_default();
        let open = Unchecked { what: "the certificate".into(), why: "no name".into() };
        Answer { unchecked: vec![open], health: self.find(&format!("{scheme}://{host}:{port}{path}{site}")) }
    }

    async fn tcp(&self, host: &str, port: u16, _: Duration) -> Health {
        self.find(&format!("{host}:{port}"))
    }

    async fn alarm(&self, name: &str) -> Result<Health, AwsError> {
        Ok(self.find(name))
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn balancer(is_internal: bool) -> Balancer {
    Balancer { scheme: "https", host: "elb".into(), port: 443, is_internal }
}

struct Bench {
    ports: Ports<MemoryTable, MemoryFleet, FakeProbes>,
    cycle: Cycle,
    plan: Plan,
}

/// A wave that has set web from 4 to 8, with `ready` of them there.
async fn bench(ready: u32, undone: bool) -> Bench {
    let store = Store::new(MemoryTable::default(), MemoryTable::default(), MemoryTable::default());
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
    let change = StepChange { key: "web/desired".parse().unwrap(), expected: Units(4), target: Units(8) };
    let step = Step {
        id: StepId("w0/web".into()),
        resource: "web".into(),
        group: "web".into(),
        mode: Mode::Desired,
        changes: vec![change],
        after: Vec::new(),
    };
    let wave = Wave {
        direction: Direction::Out,
        groups: vec!["web".into()],
        timeout_s: 600,
        poll_s: 5,
        steps: vec![step.clone()],
    };
    let plan = Plan {
        id: "1-cycle".into(),
        cycle: cycle.id.clone(),
        made_at: at(0),
        config,
        permit: Permit::Act,
        rollback: true,
        waves: vec![wave],
    };
    store.put_plan(&platform, &plan).await.unwrap();
    let read = store.lease(&platform).await.unwrap();
    let Claim::Granted(lease) = read.value.claim(&cycle.id, "arn", at(0), None) else { panic!() };
    store.put_lease(&platform, &read, &lease).await.unwrap();
    let events: &[StepEvent] = match undone {
        false => &[StepEvent::Started, StepEvent::Succeeded],
        true => &[StepEvent::Started, StepEvent::Succeeded, StepEvent::UndoStarted, StepEvent::UndoSucceeded],
    };
    let new = Entry::new(&plan.id, 0, &step);
    let entry = events.iter().fold(new.clone(), |entry, event| entry.with(*event, at(1), None).unwrap());
    store.put_entry(&platform, &Versioned { value: new, revision: 0 }, &entry).await.unwrap();
    let fleet = MemoryFleet::new(&[("web/desired", ready)]);
    fleet.stand_before("web", Address::Http(balancer(false)));
    fleet.see_targets("web", TargetHealth { healthy: 8, others: 0 });
    let ports = Ports {
        store,
        fleet,
        probes: FakeProbes::default(),
        configs: Configs::default(),
        meter: Meter::default(),
    };
    Bench { ports, cycle, plan }
}

impl Bench {
    async fn check(&self, second: i64, strikes: u32, undo: bool) -> HealthResponse {
        let request = HealthRequest {
            cycle: self.cycle.clone(),
            plan_id: self.plan.id.clone(),
            wave: 0,
            undo,
            started_at: at(0),
            at: at(second),
            strikes,
        };
        handle(&self.ports, request).await.unwrap()
    }
}

#[tokio::test]
async fn a_wave_is_healthy_when_its_capacity_and_its_checks_are() {
    let bench = bench(8, false).await;
    let checked = bench.check(5, 0, false).await;
    assert_eq!(checked.kind, Verdict::Healthy);
    assert_eq!(checked.reasons, ["the certificate was not checked: no name"]);
    assert_eq!(
        *bench.ports.probes.asked.lock().unwrap(),
        ["http://shop/health", "shop:443", "errors", ON_BALANCER],
        "not those of other groups"
    );
}

#[tokio::test]
async fn each_probe_can_be_what_is_wrong() {
    for sick in ["http://shop/health", "shop:443", "errors", ON_BALANCER] {
        let mut bench = bench(8, false).await;
        bench.ports.probes.sick = Some(sick);
        let checked = bench.check(5, 0, false).await;
        assert_eq!((checked.kind, checked.strikes), (Verdict::Pending, 1), "{sick}");
        assert_eq!(bench.check(5, 2, false).await.kind, Verdict::Unhealthy, "{sick}");
    }
}

#[tokio::test]
async fn what_aws_lacks_ends_a_wave_and_stands_in_the_journal_once() {
    let bench = bench(8, false).await;
    bench.ports.fleet.lacks(6, "no capacity in this zone");
    assert_eq!(bench.check(599, 0, false).await.kind, Verdict::Pending);
    let told = async || {
        let journal = bench.ports.store.journal(&"shop".into(), &bench.plan.id).await.unwrap();
        let events = journal.into_iter().flat_map(|entry| entry.value.events);
        let lacking = events.filter(|happened| happened.event == StepEvent::Unavailable);
        lacking.filter_map(|happened| happened.detail).collect::<Vec<String>>()
    };
    assert_eq!(told().await, Vec::<String>::new());
    for second in [600, 605] {
        assert_eq!(bench.check(second, 0, false).await.kind, Verdict::Healthy);
        let why = "6 of 8 are ready; AWS lacks what was asked for: no capacity in this zone";
        assert_eq!(told().await, [why]);
    }
}

/// The verdict of a third look in a row, and its reasons.
async fn third_look(bench: &Bench) -> (Verdict, String) {
    let checked = bench.check(5, 2, false).await;
    (checked.kind, checked.reasons.join("; "))
}

#[tokio::test]
async fn a_check_that_cannot_be_made_holds_no_wave_for_healthy() {
    for (address, why) in [
        (Address::None, "GET /up: no load balancer stands before it; write a whole URL"),
        (
            Address::NotHttp("nlb with TCP on port 443".into()),
            "GET /up: no HTTP is spoken before it, only nlb with TCP on port 443; write a whole URL",
        ),
    ] {
        let bench = bench(8, false).await;
        bench.ports.fleet.stand_before("web", address);
        assert_eq!(third_look(&bench).await, (Verdict::Unhealthy, why.to_owned()));
    }
    let bench = bench(8, false).await;
    bench.ports.fleet.see_targets("web", TargetHealth { healthy: 0, others: 0 });
    assert_eq!(
        third_look(&bench).await,
        (Verdict::Pending, "targets of web: no target is in use".to_owned())
    );
}

#[tokio::test]
async fn an_internal_balancer_that_does_not_answer_may_only_be_out_of_reach() {
    let mut bench = bench(8, false).await;
    bench.ports.fleet.stand_before("web", Address::Http(balancer(true)));
    bench.ports.probes.sick = Some(ON_BALANCER);
    let (verdict, why) = third_look(&bench).await;
    assert_eq!(verdict, Verdict::Unhealthy);
    assert!(why.contains("sick; the load balancer is internal"), "{why}");
}

#[tokio::test]
async fn capacity_that_is_lost_or_late_is_told() {
    let lost = bench(5, false).await.check(5, 0, false).await;
    assert_eq!(
        (lost.kind, lost.reasons),
        (Verdict::Unhealthy, vec!["web/desired: is set to 5, and not to 8".to_owned()])
    );
    let gone = bench(8, false).await;
    gone.ports.fleet.remove("web/desired");
    assert_eq!(gone.check(5, 0, false).await.kind, Verdict::Pending);
    let late = gone.check(600, 0, false).await;
    assert_eq!(late.kind, Verdict::Unhealthy);
    assert!(late.reasons[0].contains("not healthy within 600 s"), "{late:?}");
}

#[tokio::test]
async fn rolling_back_is_healthy_when_the_capacity_is_back_whatever_the_probes_say() {
    let mut bench = bench(4, true).await;
    bench.ports.probes.sick = Some("http://shop/health");
    assert_eq!(bench.check(5, 0, true).await.kind, Verdict::Healthy);
    assert!(bench.ports.probes.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_wait_renews_the_lease_and_a_lost_one_ends_it() {
    let mut bench = bench(8, false).await;
    bench.check(300, 0, false).await;
    let lease = bench.ports.store.lease(&"shop".into()).await.unwrap().value;
    assert_eq!(lease.holder.unwrap().until, at(300 + i64::try_from(TERM.as_secs()).unwrap()));
    bench.cycle.id = "another".into();
    let request = HealthRequest {
        cycle: bench.cycle.clone(),
        plan_id: bench.plan.id.clone(),
        wave: 0,
        undo: false,
        started_at: at(0),
        at: at(5),
        strikes: 0,
    };
    assert_eq!(handle(&bench.ports, request).await.unwrap_err().name(), "LeaseLost");
}
