//! How a cycle ended: from how far it came and what its journal says to one outcome.

use serde::{Deserialize, Serialize};

use crate::alert::Raised;
use crate::cycle::{CaughtFailure, CollectedKind, DecidedKind, SettleRequest};
use crate::journal::{Entry, PlanStatus, StepState, plan_status};
use crate::lease::{Lease, RECOVERIES_MAX};
use crate::name::{CycleId, PlanId};
use crate::plan::Plan;
use crate::trigger::Trigger;
use crate::usage::Usage;

/// How a cycle ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Nothing had to change.
    Held,
    /// Something would have changed, but the phase or a dry run only records it.
    Withheld,
    /// Every step of the plan holds.
    Scaled,
    /// Some steps hold, others were refused or skipped.
    ScaledPartly,
    /// Models were trained.
    Trained,
    /// Another cycle acts, or a person must look first.
    Skipped,
    /// A person has looked; the next cycle acts again.
    Resumed,
    /// What a dead cycle had left was rolled back, or found to hold.
    Recovered,
    /// A person asked for a plan that was over to be rolled back, and it was.
    RolledBackByHand,
    /// A wave failed, and everything begun was rolled back.
    RolledBack,
    /// A wave failed, and what was begun stands because the configuration says so.
    Stopped,
    /// Something could not be rolled back. Nothing acts until a person has looked.
    NeedsHuman,
    /// The cycle failed before it changed anything.
    Failed,
}

impl Ending {
    /// Whether the execution succeeds. What failed, or had to be rolled back, is shown as failed.
    pub fn succeeded(self) -> bool {
        match self {
            Ending::Held
            | Ending::Withheld
            | Ending::Scaled
            | Ending::ScaledPartly
            | Ending::Trained
            | Ending::Skipped
            | Ending::Resumed
            | Ending::Recovered
            | Ending::RolledBackByHand => true,
            Ending::RolledBack | Ending::Stopped | Ending::NeedsHuman | Ending::Failed => false,
        }
    }

    /// Whether people are told.
    pub fn is_news(self) -> bool {
        !matches!(self, Ending::Held | Ending::Withheld | Ending::Trained | Ending::Skipped | Ending::Scaled)
    }
}

/// The end of a cycle, as the execution returns it and as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// How it ended.
    pub outcome: Ending,
    /// Whether the execution succeeds.
    pub succeeded: bool,
    /// Which cycle.
    pub cycle_id: CycleId,
    /// What started it.
    #[serde(default)]
    pub trigger: Trigger,
    /// What happened, in a sentence or two.
    pub summary: String,
    /// The plan, if one was made.
    pub plan_id: Option<PlanId>,
    /// Steps by how they ended.
    pub steps: StepCounts,
    /// The stable name of what went wrong.
    pub error: Option<String>,
    /// What went wrong, as a sentence.
    pub cause: Option<String>,
    /// Alerts that it made true.
    #[serde(default)]
    pub alerts: Vec<Raised>,
    /// Whether nothing acts after it until a person has looked, because of this cycle or of an earlier one.
    #[serde(default)]
    pub needs_human: bool,
    /// Calls to AWS that the cycle made.
    pub aws_calls: f64,
    /// What the cycle itself cost, in dollars.
    pub cost_usd: f64,
    /// Everything it used.
    pub usage: Usage,
}

impl Outcome {
    /// Whether people are told.
    pub fn is_news(&self) -> bool {
        self.outcome.is_news() || !self.alerts.is_empty()
    }

    /// The outcome of a cycle that failed before it knew what to do, with what the lease says: a plan that it took over
    /// stays open for the next cycle, and after several such cycles nothing acts until a person has looked.
    pub fn with_lease(self, request: &SettleRequest, lease: &Lease) -> Outcome {
        if request.collected.is_some() || self.outcome != Ending::Failed {
            return self;
        }
        let why = match (&lease.needs_human, lease.taken_over(&self.cycle_id)) {
            // Settling is repeated when its answer is lost: the platform was stopped the first time.
            (Some(why), _) => why.clone(),
            (None, Some(plan)) if RECOVERIES_MAX <= lease.recoveries => format!(
                "a person must look: {} cycles took over plan {plan}, which a dead cycle left open, and could not roll \
                 it back: {}",
                lease.recoveries, self.summary
            ),
            (None, Some(plan)) => {
                let summary = format!(
                    "plan {plan}, which a dead cycle left open, is not rolled back yet; the next cycle tries again, and \
                     nothing else is changed before: {}",
                    self.summary
                );
                return Outcome { cause: Some(summary.clone()), summary, ..self };
            }
            (None, None) => return self,
        };
        let error = Some(error_name(Ending::NeedsHuman, None));
        Outcome { outcome: Ending::NeedsHuman, error, cause: Some(why.clone()), summary: why, ..self }
    }

    /// The causes for which people are told: its ending, if that is news, and each alert.
    pub fn causes(&self) -> Vec<String> {
        let ending = self.outcome.is_news().then(|| match &self.error {
            Some(error) => format!("{:?} {error}", self.outcome),
            None => format!("{:?}", self.outcome),
        });
        ending.into_iter().chain(self.alerts.iter().map(|raised| raised.cause())).collect()
    }

    /// Adds what was used since.
    pub fn account(&mut self, usage: &Usage) {
        self.usage.merge(usage);
        self.aws_calls = self.usage.calls();
        self.cost_usd = self.usage.cost_usd();
    }
}

/// Steps by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepCounts {
    /// They hold.
    pub done: usize,
    /// The world had moved.
    pub refused: usize,
    /// What they build on was missing.
    pub skipped: usize,
    /// They were rolled back.
    pub undone: usize,
    /// They may stand although they should not.
    pub left: usize,
    /// They stand, because AWS does not allow the change that would roll them back.
    #[serde(default)]
    pub stands: usize,
}

impl StepCounts {
    fn of(entries: &[Entry]) -> StepCounts {
        let mut steps = StepCounts::default();
        for entry in entries {
            match entry.state {
                StepState::Pending => (),
                StepState::Done | StepState::Found => steps.done += 1,
                StepState::Refused => steps.refused += 1,
                StepState::Skipped => steps.skipped += 1,
                StepState::Undone => steps.undone += 1,
                StepState::Stands => steps.stands += 1,
                StepState::Started | StepState::Failed | StepState::Undoing | StepState::UndoFailed => {
                    steps.left += 1
                }
            }
        }
        steps
    }
}

/// The outcome of a cycle, from what started it, how far it came, its plan and its journal.
pub fn outcome(request: &SettleRequest, trigger: Trigger, plan: Option<&Plan>, entries: &[Entry]) -> Outcome {
    let steps = StepCounts::of(entries);
    let ending = ending(request, plan, entries);
    let summary = summary(request, ending, steps, entries);
    let failure = request.undo_failure.as_ref().or(request.failure.as_ref());
    Outcome {
        outcome: ending,
        succeeded: ending.succeeded(),
        cycle_id: request.execution.name.clone(),
        trigger,
        plan_id: plan.map(|plan| plan.id.clone()),
        steps,
        error: (!ending.succeeded()).then(|| error_name(ending, failure)),
        cause: (!ending.succeeded()).then(|| summary.clone()),
        summary,
        alerts: request.decided.as_ref().map(|decided| decided.alerts.clone()).unwrap_or_default(),
        needs_human: ending == Ending::NeedsHuman,
        aws_calls: request.usage.calls(),
        cost_usd: request.usage.cost_usd(),
        usage: request.usage.clone(),
    }
}

/// The plan that a cycle has settled, by how far it came: its own, or an earlier one that it has rolled back. A
/// cycle that failed before it knew what to do has settled none.
pub fn settled<'a>(request: &SettleRequest, lease: &'a Lease) -> Option<&'a PlanId> {
    match request.collected.as_ref()?.kind {
        CollectedKind::Ready | CollectedKind::Recover | CollectedKind::RollBack => lease.open_plan.as_ref(),
        CollectedKind::Skipped | CollectedKind::Resumed => None,
    }
}

/// The stable name of what an execution failed with. A cycle that changed nothing failed with what stopped it.
fn error_name(ending: Ending, failure: Option<&CaughtFailure>) -> String {
    match ending {
        Ending::RolledBack => "RolledBack".to_owned(),
        Ending::Stopped => "Stopped".to_owned(),
        Ending::NeedsHuman => "NeedsHuman".to_owned(),
        _ => failure.map_or_else(|| "CycleFailed".to_owned(), |failure| failure.error.clone()),
    }
}

fn ending(request: &SettleRequest, plan: Option<&Plan>, entries: &[Entry]) -> Ending {
    let stands =
        plan.map_or(PlanStatus::Nothing, |plan| plan_status(plan.steps().map(|step| &step.id), entries));
    let collected = request.collected.as_ref().map(|collected| collected.kind);
    if stands == PlanStatus::NeedsHuman || request.undo_failure.is_some() {
        return Ending::NeedsHuman;
    }
    if collected == Some(CollectedKind::Recover) {
        return if stands == PlanStatus::Partly { Ending::NeedsHuman } else { Ending::Recovered };
    }
    if collected == Some(CollectedKind::RollBack) {
        // Whatever stands of it was to be rolled back and was not.
        let undone = stands == PlanStatus::Nothing;
        return if undone { Ending::RolledBackByHand } else { Ending::NeedsHuman };
    }
    let rolls_back = plan.is_some_and(|plan| plan.rollback);
    match (&request.failure, stands) {
        (Some(_), PlanStatus::Nothing) if entries.is_empty() => Ending::Failed,
        (Some(_), PlanStatus::Nothing) => Ending::RolledBack,
        // The state machine rolls back when it should, so what still stands was meant to, or could not be helped.
        (Some(_), _) if rolls_back => Ending::NeedsHuman,
        (Some(_), _) => Ending::Stopped,
        // Nothing failed, and yet something is neither here nor there: whatever happened, it must not pass in silence.
        (None, PlanStatus::Partly) => Ending::NeedsHuman,
        (None, _) => without_failure(request, collected, plan, entries),
    }
}

fn without_failure(
    request: &SettleRequest,
    collected: Option<CollectedKind>,
    plan: Option<&Plan>,
    entries: &[Entry],
) -> Ending {
    match (collected, request.decided.as_ref().map(|decided| decided.kind)) {
        (Some(CollectedKind::Skipped), _) => Ending::Skipped,
        (Some(CollectedKind::Resumed), _) => Ending::Resumed,
        (Some(CollectedKind::Ready), None) => Ending::Trained,
        (_, Some(DecidedKind::Hold)) if plan.is_some() => Ending::Withheld,
        (_, Some(DecidedKind::Hold)) => Ending::Held,
        (_, Some(DecidedKind::Scale)) if every_step_holds(plan, entries) => Ending::Scaled,
        (_, Some(DecidedKind::Scale)) => Ending::ScaledPartly,
        (Some(CollectedKind::Recover | CollectedKind::RollBack) | None, None) => Ending::Failed,
    }
}

fn every_step_holds(plan: Option<&Plan>, entries: &[Entry]) -> bool {
    let planned = plan.map_or(0, |plan| plan.steps().count());
    planned <= entries.len() && entries.iter().all(|entry| entry.state.holds())
}

fn summary(request: &SettleRequest, ending: Ending, steps: StepCounts, entries: &[Entry]) -> String {
    let collected = request.collected.as_ref().map(|collected| collected.summary.as_str());
    let decided = request.decided.as_ref().map(|decided| decided.summary.as_str());
    let told = |failure: &Option<CaughtFailure>| {
        failure.as_ref().map(|failure| readable(&failure.cause)).unwrap_or_default()
    };
    let why_not: Vec<String> = entries
        .iter()
        .filter(|entry| matches!(entry.state, StepState::Refused | StepState::Skipped))
        .filter_map(|entry| Some(format!("{}: {}", entry.step.resource, entry.detail()?)))
        .collect();
    match ending {
        Ending::Held | Ending::Withheld | Ending::Scaled => decided.unwrap_or_default().to_owned(),
        Ending::ScaledPartly => format!(
            "{}; {} of {} steps were not made: {}",
            decided.unwrap_or_default(),
            steps.refused + steps.skipped,
            entries.len(),
            crate::cycle::few(why_not).join("; ")
        ),
        Ending::Trained | Ending::Skipped | Ending::Resumed => collected.unwrap_or_default().to_owned(),
        Ending::Recovered | Ending::RolledBackByHand => {
            format!("{}: {} rolled back", collected.unwrap_or_default(), rolled_back(steps, entries))
        }
        Ending::RolledBack => {
            format!("rolled back ({}): {}", rolled_back(steps, entries), told(&request.failure))
        }
        Ending::Stopped => {
            format!("stopped with {} steps standing: {}", steps.done + steps.left, told(&request.failure))
        }
        Ending::NeedsHuman => {
            let mut why = told(&request.undo_failure) + &told(&request.failure);
            if why.is_empty() {
                why = format!("{} steps stand, and others were never made", steps.done + steps.left);
            }
            format!("a person must look: {why}")
        }
        Ending::Failed => told(&request.failure),
    }
}

/// How much was rolled back, and what stands because AWS does not allow more.
fn rolled_back(steps: StepCounts, entries: &[Entry]) -> String {
    let stands = entries.iter().filter(|entry| entry.state == StepState::Stands);
    let stands: Vec<String> = stands
        .map(|entry| format!("{} stands: {}", entry.step.resource, entry.detail().unwrap_or_default()))
        .collect();
    let undone = format!("{} steps", steps.undone);
    if stands.is_empty() { undone } else { format!("{undone}; {}", crate::cycle::few(stands).join("; ")) }
}

/// Lambda wraps an error into JSON; people want the sentence in it. Two of them fit into the 32,768 letters that Step
/// Functions allows for the cause of an execution's failure.
fn readable(cause: &str) -> String {
    const LETTERS_MAX: usize = 15_000;
    let wrapped = serde_json::from_str::<serde_json::Value>(cause).ok();
    let message = wrapped.as_ref().and_then(|wrapped| wrapped.get("errorMessage")?.as_str());
    message.unwrap_or(cause).chars().take(LETTERS_MAX).collect()
}

#[cfg(test)]
mod tests;
