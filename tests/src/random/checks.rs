//! What must be true after every cycle, whatever it met. Each check is a function of the facts, so that a test can feed it a
//! world that is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use headroom_core::journal::{Entry, PlanStatus, StepEvent, StepState, plan_status};
use headroom_core::lease::Lease;
use headroom_core::name::PlanId;
use headroom_core::plan::{Plan, Step};
use headroom_core::platform::Platform;
use headroom_core::settle::{Ending, Outcome};
use headroom_core::units::{Bounds, Units};

use super::alarm::Raised;
use crate::expected;

/// How an execution ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Execution {
    /// It succeeded.
    Succeeded,
    /// It failed with this error.
    Failed(String),
    /// Somebody stopped it.
    Stopped,
    /// It still runs, long after it should have ended.
    Running,
}

/// A plan that was open, or may have been, in a cycle.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The plan.
    pub plan: Plan,
    /// The platform that it was made for.
    pub platform: Platform,
    /// Its journal.
    pub journal: Vec<Entry>,
}

/// Units by dimension, as `web/desired`.
pub type UnitsSet = BTreeMap<String, u32>;

/// What is known after a cycle.
#[derive(Clone, Debug)]
pub struct Facts {
    /// How its execution ended.
    pub execution: Execution,
    /// Its outcome, if one is stored.
    pub outcome: Option<Outcome>,
    /// Whether what it met may keep it from settling.
    pub may_not_settle: bool,
    /// The lease before it.
    pub lease_before: Lease,
    /// The lease after it.
    pub lease: Lease,
    /// The plans that were not known to be closed before it.
    pub plans: Vec<Opened>,
    /// The platform as it was published for it; `None` for a file that is invalid.
    pub platform: Option<Platform>,
    /// The units set in AWS before it.
    pub before: UnitsSet,
    /// The units set in AWS after it.
    pub after: UnitsSet,
    /// What a person set meanwhile.
    pub by_person: UnitsSet,
    /// What was raised, where the cycle stopped the platform.
    pub raised: Option<Raised>,
}

/// What a violation breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// A cycle ends applied, rolled back, or stopped.
    Ending,
    /// Out in the order of the tiers, then in against it.
    Order,
    /// Every dimension stays within its bounds.
    Bounds,
    /// No plan is forgotten.
    Plans,
    /// The capacity in AWS is what the journal says.
    Capacity,
    /// What stops is told.
    Alarm,
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What it breaks.
    pub rule: Rule,
    /// How.
    pub sentence: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?}: {}", self.rule, self.sentence)
    }
}

/// How a cycle came out, for the table of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CameOut {
    /// Its plan was carried out, all of it or in part.
    Applied,
    /// It had nothing to change, or was not to.
    NothingToDo,
    /// Its plan, or the one of a cycle before, was rolled back.
    RolledBack,
    /// The platform stopped until a person had looked; the alarm was raised.
    NeedsHuman,
    /// What was begun stands because the file says so; the execution failed, which raises an alarm.
    Stands,
    /// It failed before it changed anything.
    Failed,
    /// It was stopped, or could not settle. The next one goes on from what the lease says.
    NotSettled,
}

impl Facts {
    /// How the cycle came out.
    pub fn came_out(&self) -> CameOut {
        match self.outcome.as_ref().map(|outcome| outcome.outcome) {
            None => CameOut::NotSettled,
            Some(Ending::Scaled | Ending::ScaledPartly) => CameOut::Applied,
            Some(Ending::Held | Ending::Withheld | Ending::Trained | Ending::Skipped | Ending::Resumed) => {
                CameOut::NothingToDo
            }
            Some(Ending::RolledBack | Ending::Recovered | Ending::RolledBackByHand) => CameOut::RolledBack,
            Some(Ending::NeedsHuman) => CameOut::NeedsHuman,
            Some(Ending::Stopped) => CameOut::Stands,
            Some(Ending::Failed) => CameOut::Failed,
        }
    }

    fn is_open(&self, plan: &PlanId) -> bool {
        self.lease.open_plan.as_ref() == Some(plan)
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.plans.iter().flat_map(|opened| &opened.journal)
    }
}

/// What is not as a rule asks, each as a sentence.
type Check = fn(&Facts) -> Vec<String>;

/// Everything that is not as it must be.
pub fn violations(facts: &Facts) -> Vec<Violation> {
    let checks: [(Rule, Check); 8] = [
        (Rule::Ending, ending),
        (Rule::Ending, ending_fits_the_journal),
        (Rule::Plans, plans_are_closed_or_named),
        (Rule::Plans, lease_is_free),
        (Rule::Order, order),
        (Rule::Bounds, bounds),
        (Rule::Capacity, capacity),
        (Rule::Alarm, alarm),
    ];
    let found = checks
        .into_iter()
        .flat_map(|(rule, check)| check(facts).into_iter().map(move |sentence| Violation { rule, sentence }));
    found.collect()
}

/// The execution tells the outcome that is stored. One that nobody stopped has an outcome, unless it could not be kept.
fn ending(facts: &Facts) -> Vec<String> {
    let wrong = match (&facts.execution, &facts.outcome) {
        (Execution::Running, _) => Some("it does not end".to_owned()),
        (Execution::Stopped, _) => None,
        (Execution::Succeeded, Some(outcome)) if outcome.succeeded => None,
        (Execution::Failed(error), Some(outcome)) if outcome.error.as_ref() == Some(error) => None,
        (Execution::Failed(_), None) if facts.may_not_settle => None,
        (execution, outcome) => {
            let stored = outcome.as_ref().map(|outcome| (outcome.outcome, outcome.error.clone()));
            Some(format!("the execution ended as {execution:?}, and the outcome stored is {stored:?}"))
        }
    };
    wrong.into_iter().collect()
}

/// What the outcome says of its plan is what the journal says.
fn ending_fits_the_journal(facts: &Facts) -> Vec<String> {
    let Some(outcome) = &facts.outcome else { return Vec::new() };
    let Some(opened) = facts.plans.iter().find(|opened| Some(&opened.plan.id) == outcome.plan_id.as_ref())
    else {
        return Vec::new();
    };
    let (stands, journal) = (opened.plan_status(), &opened.journal);
    let fits = match outcome.outcome {
        Ending::Scaled => stands == PlanStatus::Applied && journal.iter().all(|entry| entry.state.holds()),
        Ending::ScaledPartly => matches!(stands, PlanStatus::Applied | PlanStatus::Nothing),
        Ending::RolledBack | Ending::RolledBackByHand => stands == PlanStatus::Nothing && !journal.is_empty(),
        Ending::Recovered => matches!(stands, PlanStatus::Applied | PlanStatus::Nothing),
        Ending::Stopped => !opened.plan.rollback,
        Ending::NeedsHuman => true,
        Ending::Held
        | Ending::Withheld
        | Ending::Trained
        | Ending::Skipped
        | Ending::Resumed
        | Ending::Failed => journal.is_empty() || facts.is_open(&opened.plan.id),
    };
    let states: Vec<StepState> = journal.iter().map(|entry| entry.state).collect();
    (!fits)
        .then(|| format!("it ended as {:?}, but its steps are {states:?}", outcome.outcome))
        .into_iter()
        .collect()
}

impl Opened {
    fn plan_status(&self) -> PlanStatus {
        plan_status(self.plan.steps().map(|step| &step.id), &self.journal)
    }
}

/// A plan of which something is half done is named by the lease, so that the next cycle or a person sees to it.
fn plans_are_closed_or_named(facts: &Facts) -> Vec<String> {
    let mut wrong = Vec::new();
    for opened in facts.plans.iter().filter(|opened| !facts.is_open(&opened.plan.id)) {
        let (id, half) = (&opened.plan.id, opened.journal.iter().find(|entry| is_half_done(entry.state)));
        match (opened.plan_status(), half) {
            (PlanStatus::Nothing | PlanStatus::Applied, None) => (),
            (PlanStatus::Partly, None) if !opened.plan.rollback => (),
            (stands, half) => {
                let half = half.map(|entry| format!("; {} is {:?}", entry.step.resource, entry.state));
                let half = half.unwrap_or_default();
                wrong.push(format!("plan {id} stands {stands:?}{half}, and the lease does not name it"));
            }
        }
    }
    // A plan that was open stays so until a cycle says that it has settled it.
    if let Some(plan) = facts.lease_before.open_plan.as_ref().filter(|plan| !facts.is_open(plan)) {
        let settled = |outcome: &Outcome| {
            outcome.outcome == Ending::Recovered && outcome.plan_id.as_ref() == Some(plan)
        };
        if !facts.outcome.as_ref().is_some_and(settled) && facts.execution != Execution::Stopped {
            wrong.push(format!("plan {plan} was open before, and nobody said that it was settled"));
        }
    }
    wrong
}

/// A call was about to be made, or failed, and it was never found out what came of it.
fn is_half_done(state: StepState) -> bool {
    matches!(state, StepState::Started | StepState::Failed | StepState::Undoing | StepState::UndoFailed)
}

/// After a cycle that has settled nobody holds the lease, and no plan is open but one that a person or the next cycle sees
/// to.
fn lease_is_free(facts: &Facts) -> Vec<String> {
    let Some(outcome) = facts.outcome.as_ref().filter(|_| facts.execution != Execution::Stopped) else {
        return Vec::new();
    };
    let (mut wrong, lease) = (Vec::new(), &facts.lease);
    if let Some(holder) = &lease.holder {
        wrong.push(format!("cycle {} still holds the lease", holder.cycle));
    }
    match (outcome.outcome, &lease.needs_human, &lease.open_plan) {
        (Ending::NeedsHuman, None, _) => {
            wrong.push("the lease does not say that a person must look".to_owned())
        }
        (Ending::NeedsHuman, _, None) if outcome.plan_id.is_some() => {
            wrong.push("a person must look, and the lease does not name the plan".to_owned());
        }
        (Ending::NeedsHuman | Ending::Skipped | Ending::Failed, _, _) | (_, None, None) => (),
        (ending, _, _) => {
            let lease = (&lease.open_plan, &lease.needs_human);
            wrong.push(format!("it ended as {ending:?}, and the lease says {lease:?}"));
        }
    }
    wrong
}

/// What ends a step on the way forward without failing its wave.
const DONE: [StepEvent; 4] = [StepEvent::Succeeded, StepEvent::Found, StepEvent::Refused, StepEvent::Skipped];

/// Plans are in order, and so is what was made of them: each wave was done before the next began, and rolled back after it.
fn order(facts: &Facts) -> Vec<String> {
    let mut wrong = Vec::new();
    for Opened { plan, platform, journal } in &facts.plans {
        wrong.extend(expected::order(platform, Some(plan)));
        let waves: BTreeSet<usize> = journal.iter().map(|entry| entry.wave).collect();
        let waves: Vec<usize> = waves.into_iter().collect();
        for (earlier, later) in waves.iter().zip(waves.iter().skip(1)) {
            let of = |wave: &usize| journal.iter().filter(|entry| entry.wave == *wave).collect::<Vec<_>>();
            let (earlier_steps, later_steps) = (of(earlier), of(later));
            let done = last(&earlier_steps, &DONE);
            let begun = first(&later_steps, StepEvent::Started);
            if begun.is_some_and(|begun| done.is_none_or(|done| begun < done)) {
                wrong.push(format!("wave {later} of plan {} began before wave {earlier} was done", plan.id));
            }
            let ends = [StepEvent::UndoSucceeded, StepEvent::UndoDeclined];
            let (back, begun) = (last(&later_steps, &ends), first(&earlier_steps, StepEvent::UndoStarted));
            if begun.zip(back).is_some_and(|(begun, back)| begun < back) {
                wrong.push(format!("wave {earlier} of plan {} was rolled back before wave {later}", plan.id));
            }
        }
    }
    wrong
}

fn last(entries: &[&Entry], events: &[StepEvent]) -> Option<jiff::Timestamp> {
    let happened = entries.iter().flat_map(|entry| &entry.events);
    happened.filter(|happened| events.contains(&happened.event)).map(|happened| happened.at).max()
}

fn first(entries: &[&Entry], event: StepEvent) -> Option<jiff::Timestamp> {
    let happened = entries.iter().flat_map(|entry| &entry.events);
    happened.filter(|happened| happened.event == event).map(|happened| happened.at).min()
}

/// No dimension is further outside its bounds than it was, or than a person put it. Rolling a plan back may go outside the
/// bounds of a file that was published later.
fn bounds(facts: &Facts) -> Vec<String> {
    let mut wrong = Vec::new();
    for Opened { plan, platform, .. } in &facts.plans {
        let steps = plan.steps().flat_map(|step| &step.changes);
        for change in steps {
            let Some(bounds) = bounds_of(platform, &change.key.to_string()) else { continue };
            if outside(bounds, change.expected) < outside(bounds, change.target) {
                wrong.push(format!("{} is planned to be {}, outside its bounds", change.key, change.target));
            }
        }
    }
    let Some(platform) = &facts.platform else { return wrong };
    let back: Vec<(String, u32)> = changes_of(facts, |state| state == StepState::Undone, |step| step.undo());
    for (key, units) in &facts.after {
        let Some(bounds) = bounds_of(platform, key) else { continue };
        let of = |set: &UnitsSet| set.get(key).map_or(0, |units| outside(bounds, Units(*units)));
        let most = of(&facts.before).max(of(&facts.by_person));
        if most < outside(bounds, Units(*units)) && !back.contains(&(key.clone(), *units)) {
            wrong.push(format!("{key} is {units}, outside {} to {}", bounds.min(), bounds.max()));
        }
    }
    wrong
}

fn bounds_of(platform: &Platform, key: &str) -> Option<Bounds> {
    let place = platform.dimensions().find(|place| place.dimension.key.to_string() == key)?;
    Some(place.dimension.bounds)
}

/// By so many units it is outside.
fn outside(bounds: Bounds, units: Units) -> u32 {
    bounds.clamp(units).abs_diff(units)
}

/// The targets of steps, or of what rolls them back, by the state of the step.
fn changes_of(
    facts: &Facts,
    is: impl Fn(StepState) -> bool,
    step: impl Fn(&Step) -> Step,
) -> Vec<(String, u32)> {
    let steps = facts.entries().filter(|entry| is(entry.state)).map(|entry| step(&entry.step));
    let changes = steps.flat_map(|step| step.changes);
    changes.map(|change| (change.key.to_string(), change.target.0)).collect()
}

/// The capacity in AWS is what the journal says, unless a person has set it meanwhile: what holds is at its target, what was
/// rolled back is what it was, and what no step touched has not moved.
fn capacity(facts: &Facts) -> Vec<String> {
    if facts.execution == Execution::Running {
        return Vec::new();
    }
    let mut wanted = facts.before.clone();
    wanted.extend(changes_of(facts, |state| state == StepState::Done, Step::clone));
    wanted.extend(changes_of(facts, |state| state == StepState::Undone, Step::undo));
    let unclear = |state| is_half_done(state) || state == StepState::Stands;
    let unclear: Vec<(String, u32)> = changes_of(facts, unclear, Step::clone);
    let mut wrong = Vec::new();
    for (key, units) in &facts.after {
        let skipped = facts.by_person.contains_key(key) || unclear.iter().any(|(unclear, _)| unclear == key);
        if let Some(wanted) = wanted.get(key).filter(|wanted| *wanted != units && !skipped) {
            wrong.push(format!("{key} is {units}, and by the journal it must be {wanted}"));
        }
    }
    wrong
}

/// A platform that stops for a person raises its alarm and tells people.
fn alarm(facts: &Facts) -> Vec<String> {
    let stopped = facts.outcome.as_ref().is_some_and(|outcome| outcome.outcome == Ending::NeedsHuman);
    if !stopped {
        return Vec::new();
    }
    let raised = facts.raised.unwrap_or_default();
    let mut wrong = Vec::new();
    if !raised.alarm {
        wrong.push("the platform stopped for a person, and the alarm needs-human is not on".to_owned());
    }
    if !raised.notice {
        wrong.push("the platform stopped for a person, and nobody was told".to_owned());
    }
    wrong
}

#[cfg(test)]
mod tests;
