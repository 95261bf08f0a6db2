//! One random cycle: the world is made as it was drawn, the cycle runs, and what is known after it is gathered.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use aws_sdk_sfn::types::ExecutionStatus;
use headroom_aws::executions::FUNCTION_TIME_MAX;
use headroom_aws::table::Table as _;
use headroom_core::config::parse;
use headroom_core::lease::Lease;
use headroom_core::name::{CycleId, PlanId};
use headroom_core::settle::{Ending, Outcome};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};

use super::alarm::Listener;
use super::checks::UnitsSet;
use super::{Act, Break, Call, Choices, Execution, Facts, Moment, Opened, Run};
use crate::Result;
use crate::deployment::Deployment;
use crate::server::Server;
use crate::shop::Capacity;
use crate::unkind::Unkind;

/// How often it is asked whether a cycle has ended or come to a state.
const POLL: Duration = Duration::from_millis(100);
/// A wave that waits in vain is asked 400 times, and so is rolling it back: that takes a minute here.
const CYCLE_MAX: Duration = Duration::from_secs(240);
/// A function that an execution was stopped in goes on for a moment, in AWS too.
const LAST_FUNCTION: Duration = Duration::from_secs(2);
/// So much time passes from one cycle to the next, by the clock of the cycles.
const STEP: SignedDuration = SignedDuration::from_mins(5);
/// The load before the first cycle.
const HISTORY: SignedDuration = SignedDuration::from_hours(2);
/// Loads that the shop can serve, and some that it cannot.
const LOAD: (f64, f64) = (0.12, 2.4);
/// The load that the shop begins with.
const LOAD_FIRST: f64 = 0.5;
/// A wave has so long here, where its capacity is there after seconds or never.
const WAVE_MAX: &str = "30s";

/// Who keeps the shop: makes its world, runs its cycles, looks after it.
pub(super) struct Shopkeeper<'a> {
    server: &'a Server,
    deployment: Deployment,
    listener: Listener,
    /// The platform file that is published, but for cycles with another one.
    plain: String,
    /// The time of the next cycle. All of them lie in the past of the clock: metrics may be late, and not from the future.
    now: Timestamp,
    load: f64,
    /// Plans that were seen closed.
    closed: BTreeSet<PlanId>,
}

/// A cycle that was run.
pub(super) struct Cycled {
    /// What is known after it.
    pub(super) facts: Facts,
    load: f64,
    seconds: f64,
    after: Capacity,
}

/// What happened while an execution ran.
struct Watched {
    execution: Execution,
    by_person: UnitsSet,
}

impl<'a> Shopkeeper<'a> {
    pub(super) async fn new(server: &'a Server, packaged: &Path, run: &Run<'_>) -> Result<Shopkeeper<'a>> {
        let mut deployment =
            Deployment::new(server, packaged, run.name, Capacity::at_target(LOAD_FIRST)).await?;
        let plain =
            deployment.platform.replace("target: data}", &format!("target: data, timeout: {WAVE_MAX}}}"));
        let plain = plain.replace("target: app}", &format!("target: app, timeout: {WAVE_MAX}}}"));
        deployment.platform = plain.clone();
        deployment.publish(&plain).await?;
        let listener = Listener::new(server, &deployment).await?;
        let span = STEP * i32::try_from(run.cycles + super::FINISHING_MAX + 2)?;
        let end = Timestamp::from_second(Timestamp::now().as_second().div_euclid(300) * 300)?;
        let now = end.checked_sub(span)?;
        deployment.steady(LOAD_FIRST, now.checked_sub(HISTORY)?, now).await?;
        let closed = BTreeSet::new();
        Ok(Shopkeeper { server, deployment, listener, plain, now, load: LOAD_FIRST, closed })
    }

    /// Whether nobody holds the lease and no plan is open.
    pub(super) async fn is_settled(&self) -> Result<bool> {
        let lease = self.lease().await?;
        Ok(lease.holder.is_none() && lease.open_plan.is_none())
    }

    /// Runs a cycle that meets what was drawn for it.
    pub(super) async fn cycle(&mut self, choices: &Choices) -> Result<Cycled> {
        let begun = Instant::now();
        self.pass(choices).await?;
        let file = self.before(choices).await?;
        let (before, lease_before) = (self.deployment.capacity().await?, self.lease().await?);
        self.make_unkind(choices).await?;
        let arn = self.deployment.start(&self.input(choices, before)).await?;
        let watched = self.watch(&arn, choices).await?;
        self.make_kind(choices).await?;
        if watched.execution == Execution::Stopped {
            tokio::time::sleep(LAST_FUNCTION).await;
        }
        let facts = self.facts(&arn, choices, file, before, lease_before, watched).await?;
        let after = self.deployment.capacity().await?;
        self.look_after(&facts).await?;
        Ok(Cycled { facts, load: self.load, seconds: begun.elapsed().as_secs_f64(), after })
    }

    /// Five minutes pass under the load, on the capacity that there is.
    async fn pass(&mut self, choices: &Choices) -> Result<()> {
        self.load = (self.load * choices.load).clamp(LOAD.0, LOAD.1);
        let next = self.now.checked_add(STEP)?;
        self.deployment.steady(self.load, self.now, next).await?;
        self.now = next;
        Ok(())
    }

    /// What a person does before the cycle; answers the file that is published for it.
    async fn before(&self, choices: &Choices) -> Result<String> {
        let Some((act, Moment::Before)) = choices.person else { return Ok(self.plain.clone()) };
        act.done(&self.deployment, self.now).await?;
        Ok(match act {
            Act::Publish(file) => file.text(&self.plain),
            _ => self.plain.clone(),
        })
    }

    async fn make_unkind(&self, choices: &Choices) -> Result<()> {
        let shop = &self.deployment.shop;
        // Delays are by the clock of the machine, by which the time of the cycle is long past.
        let past_s = Timestamp::now().duration_since(self.now).as_secs_f64();
        let late = 0.0 < choices.metric_delay_s;
        let metric_delay = late.then_some(past_s + choices.metric_delay_s);
        let unkind = Unkind { metric_delay, ..choices.unkind.clone() };
        self.server.unkind(&format!("{}-", shop.name), &unkind).await?;
        // A function that a stopped cycle had called is over by now, and the next cycle need not wait as long as it may run.
        let stack = Unkind {
            invocation_fault: choices.invocations.clone(),
            ended_ago: Some(FUNCTION_TIME_MAX.as_secs_f64() + 1.0),
            ..Unkind::default()
        };
        self.server.unkind(&format!("headroom-{}", shop.name), &stack).await?;
        for fault in &choices.faults {
            self.server.fault(&fault.rule(shop)).await?;
        }
        self.deployment.health.set(choices.well);
        Ok(())
    }

    /// Everything works again, and what was under way is done.
    async fn make_kind(&self, choices: &Choices) -> Result<()> {
        let shop = &self.deployment.shop;
        for fault in &choices.faults {
            self.server.without_fault(&fault.calls(shop)).await?;
        }
        self.server.kind(&format!("{}-", shop.name)).await?;
        self.server.kind(&format!("headroom-{}", shop.name)).await?;
        self.deployment.health.set(true);
        Ok(())
    }

    fn input(&self, choices: &Choices, capacity: Capacity) -> Json {
        let asked = choices.person.map(|(act, _)| act.input(&self.deployment.shop, capacity));
        json!({"now": self.now.to_string(), "capacity": asked.unwrap_or_default()})
    }

    /// Waits for the end of an execution. Meanwhile a person acts, or stops it, when it comes to the state that was drawn.
    async fn watch(&self, arn: &str, choices: &Choices) -> Result<Watched> {
        let begun = Instant::now();
        let mut act = choices.person.filter(|(_, moment)| *moment != Moment::Before);
        let mut by_person = BTreeMap::new();
        while begun.elapsed() < CYCLE_MAX {
            let described = self.deployment.aws.sfn().describe_execution().execution_arn(arn).send().await?;
            let execution = match described.status {
                ExecutionStatus::Running | ExecutionStatus::PendingRedrive => None,
                ExecutionStatus::Succeeded => Some(Execution::Succeeded),
                _ => Some(Execution::Failed(described.error.unwrap_or_default())),
            };
            if let Some(execution) = execution {
                return Ok(Watched { execution, by_person });
            }
            if let Some((now, _)) = act
                && self.has_come_to(arn, choices.person.map(|(_, moment)| moment)).await?
            {
                by_person = now.done(&self.deployment, self.now).await?;
                act = None;
            }
            if self.has_come_to(arn, choices.stopped).await? {
                let stop = self.deployment.aws.sfn().stop_execution().execution_arn(arn).send().await;
                // It may have ended meanwhile.
                if stop.is_ok() {
                    return Ok(Watched { execution: Execution::Stopped, by_person });
                }
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(Watched { execution: Execution::Running, by_person })
    }

    async fn has_come_to(&self, arn: &str, moment: Option<Moment>) -> Result<bool> {
        let Some(Moment::Entered(state, times)) = moment else { return Ok(false) };
        let history = self.deployment.aws.sfn().get_execution_history().execution_arn(arn);
        let history = history.max_results(1_000).include_execution_data(false).send().await?;
        let entered = history.events().iter().filter_map(|event| event.state_entered_event_details());
        Ok(times <= entered.filter(|entered| entered.name() == state).count())
    }

    async fn facts(
        &mut self,
        arn: &str,
        choices: &Choices,
        file: String,
        before: Capacity,
        lease_before: Lease,
        watched: Watched,
    ) -> Result<Facts> {
        let id = CycleId::from(arn.rsplit(':').next().unwrap_or_default());
        let outcome = self.outcome(&id).await?;
        let lease = self.lease().await?;
        let plans = self.plans(&lease).await?;
        let after = self.deployment.capacity().await?;
        let stopped = outcome.as_ref().is_some_and(|outcome| outcome.outcome == Ending::NeedsHuman);
        let raised = if stopped {
            Some(self.listener.raised(self.server, &self.deployment, &id).await?)
        } else {
            None
        };
        let shop = &self.deployment.shop;
        Ok(Facts {
            execution: watched.execution,
            outcome,
            may_not_settle: may_not_settle(choices),
            lease_before,
            lease,
            plans,
            platform: parse(&file).ok().map(|parsed| parsed.platform),
            before: before.by_dimension(shop),
            after: after.by_dimension(shop),
            by_person: watched.by_person,
            raised,
        })
    }

    async fn lease(&self) -> Result<Lease> {
        Ok(self.deployment.store().lease(&self.deployment.name()).await?.value)
    }

    async fn outcome(&self, id: &CycleId) -> Result<Option<Outcome>> {
        let newest = self.deployment.store().outcomes(&self.deployment.name(), 2).await?;
        Ok(newest.into_iter().map(|(_, outcome)| outcome).find(|outcome| outcome.cycle_id == *id))
    }

    /// The plans that were not known to be closed, found by what is stored and not by what a cycle tells.
    async fn plans(&mut self, lease: &Lease) -> Result<Vec<Opened>> {
        let (store, name) = (self.deployment.store(), self.deployment.name());
        let stored = store.state().range(&format!("{name}#plan"), " ", "~").await?;
        let mut plans = Vec::new();
        for key in stored.iter().map(|item| &item.key.sort).filter(|sort| !sort.contains('#')) {
            let id = PlanId::from(key.as_str());
            if self.closed.contains(&id) {
                continue;
            }
            let plan = store.plan(&name, &id).await?;
            let platform = parse(&store.config(&name, &plan.config).await?)?.platform;
            let journal = store.journal(&name, &id).await?.into_iter().map(|entry| entry.value).collect();
            plans.push(Opened { plan, platform, journal });
            if lease.open_plan.as_ref() != Some(&id) {
                self.closed.insert(id);
            }
        }
        Ok(plans)
    }

    /// What a person does after a cycle: publishes the plain file again, and lets a platform that has stopped act again.
    async fn look_after(&mut self, facts: &Facts) -> Result<()> {
        self.deployment.publish(&self.plain).await?;
        if facts.lease.needs_human.is_none() {
            return Ok(());
        }
        let resume = json!({"now": self.now.to_string(), "task": "resume"});
        let arn = self.deployment.start(&resume).await?;
        let resumed = self.deployment.end_of(&arn, CYCLE_MAX).await?;
        if resumed.outcome() != "resumed" {
            return Err(format!("the platform does not resume: {resumed:?}").into());
        }
        self.listener.end_alarm(&self.deployment).await?;
        // Nothing of that plan is rolled back any more, and whoever resumed knows what stands.
        self.closed.extend(facts.lease.open_plan.clone());
        Ok(())
    }
}

/// Whether what a cycle meets may keep it from settling: the lease cannot be written, or the function cannot be called, more
/// often than is tried.
fn may_not_settle(choices: &Choices) -> bool {
    let lease = |fault: &super::Fault| fault.call == Call::Lease && fault.how != Break::Slow;
    choices.faults.iter().any(lease) || choices.invocations.is_some()
}

impl fmt::Display for Cycled {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cycled { facts, load, seconds, after } = self;
        let ended = match (&facts.outcome, &facts.execution) {
            (Some(outcome), Execution::Stopped) => format!("{:?}, then stopped", outcome.outcome),
            (Some(outcome), _) => format!("{:?}", outcome.outcome),
            (None, execution) => format!("{execution:?}, not settled"),
        };
        write!(out, "{ended} in {seconds:.1} s at load {load:.2}: {after}")?;
        match &facts.outcome {
            Some(outcome) if !outcome.succeeded => write!(out, "\n             {}", outcome.summary),
            _ => Ok(()),
        }
    }
}
