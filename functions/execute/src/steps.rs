//! Steps: look, think, act, with the journal written before and after every call.

use std::collections::{BTreeMap, BTreeSet};

use headroom_aws::error::{AwsError, ErrorKind};
use headroom_aws::failure::Failure;
use headroom_aws::fleet::{Capacities, Depth, Fleet};
use headroom_aws::store::Versioned;
use headroom_aws::table::Table;
use headroom_core::cycle::{ExecuteResponse, ExecutedKind, StepBatch, few};
use headroom_core::journal::{Entry, StepEvent, StepState};
use headroom_core::name::{DimensionKey, ResourceId};
use headroom_core::observe::{Busy, Observed};
use headroom_core::plan::{Permit, Plan, Remaining, Step, StepChange, StepId};
use headroom_core::platform::{Mode, Platform, Resource};
use headroom_core::resource::{Facts, Undo};
use headroom_core::units::{Direction, Units};

use crate::Ports;

/// Forward, or back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Make the steps.
    Forward,
    /// Roll them back.
    Back,
}

/// Carries out the steps of a batch, one after the other.
pub(crate) async fn carry_out<T: Table, F: Fleet, N>(
    ports: &Ports<T, F, N>,
    batch: &StepBatch,
    way: Way,
) -> Result<ExecuteResponse, Failure> {
    let plan = admitted(ports, batch).await?;
    let platform = ports.configs.get(&ports.store, &batch.cycle.platform, &plan.config).await?;
    let steps = ports.store.steps(&batch.cycle.platform, &batch.plan_id, batch.wave, batch.batch).await?;
    let journal = ports.store.journal(&batch.cycle.platform, &batch.plan_id).await?;
    let observed = observe(ports, &platform, batch, &steps).await;
    let mut executed = ExecuteResponse {
        kind: ExecutedKind::Nothing,
        made: 0,
        found: 0,
        refused: 0,
        skipped: 0,
        failed: 0,
        pending: 0,
        stands: 0,
        reasons: Vec::new(),
        usage: Default::default(),
    };
    for step in &steps {
        let runner = StepRunner { ports, platform: &platform, batch, journal: &journal, observed: &observed };
        let entry = match way {
            Way::Forward => runner.make(step).await?,
            Way::Back => runner.roll_back(step).await?,
        };
        if let Some(entry) = entry {
            count(&mut executed, &entry);
        }
    }
    executed.kind = match (executed.pending, executed.failed, executed.made) {
        // What failed is tried again with what is pending, so that one of them does not leave the other half undone.
        (1.., _, _) => ExecutedKind::Pending,
        (0, 1.., _) => ExecutedKind::Failed,
        (0, 0, 1..) => ExecutedKind::Made,
        (0, 0, 0) => ExecutedKind::Nothing,
    };
    executed.reasons = few(executed.reasons);
    executed.usage = ports.meter.take();
    Ok(executed)
}

/// The plan, if this cycle may carry it out: it holds the lease, and the plan is permitted and open. This is the one
/// place through which everything that changes capacity goes.
async fn admitted<T: Table, F, N>(ports: &Ports<T, F, N>, batch: &StepBatch) -> Result<Plan, Failure> {
    let platform = &batch.cycle.platform;
    let read = ports.store.lease(platform).await?;
    let lease = read.value.renew(&batch.cycle.id, batch.at)?;
    if lease.open_plan.as_ref() != Some(&batch.plan_id) {
        return Err(Failure::PlanWithheld(format!("plan {} is not open", batch.plan_id)));
    }
    let plan = ports.store.plan_head(platform, &batch.plan_id).await?;
    let permit = if batch.cycle.dry_run { Permit::DryRun } else { plan.permit };
    if let Some(why) = permit.withheld() {
        return Err(Failure::PlanWithheld(why.to_owned()));
    }
    // Batches of one wave renew the same lease at the same time; one of them having done it is enough.
    match ports.store.put_lease(platform, &read, &lease).await.map_err(Failure::from) {
        Ok(()) | Err(Failure::Conflict(_)) => Ok(plan),
        Err(error) => Err(error),
    }
}

/// What is set now, seen closely: the plan was made some time ago.
async fn observe<T, F: Fleet, N>(
    ports: &Ports<T, F, N>,
    platform: &Platform,
    batch: &StepBatch,
    steps: &[Step],
) -> Capacities {
    let resources = steps.iter().filter_map(|step| Some(platform.resource(&step.resource)?.1));
    let resources: Vec<&Resource> = resources.collect();
    // The plan says in which mode each step is made, whatever native policies have come or gone since.
    let floors = steps.iter().filter(|step| step.mode == Mode::Floor).map(|step| step.resource.clone());
    let floors: BTreeSet<ResourceId> = floors.collect();
    ports.fleet.observe(&resources, &floors, batch.at, Depth::Close).await
}

fn count(executed: &mut ExecuteResponse, entry: &Versioned<Entry>) {
    let place = match entry.value.state {
        StepState::Done | StepState::Undone => &mut executed.made,
        StepState::Found => &mut executed.found,
        StepState::Refused => &mut executed.refused,
        StepState::Skipped => &mut executed.skipped,
        StepState::Undoing => &mut executed.pending,
        StepState::Stands => &mut executed.stands,
        StepState::Pending | StepState::Started | StepState::Failed | StepState::UndoFailed => {
            &mut executed.failed
        }
    };
    *place += 1;
    if !matches!(entry.value.state, StepState::Done | StepState::Undone | StepState::Found) {
        let why = entry.value.detail().unwrap_or("no reason recorded");
        executed.reasons.push(format!("{}: {why}", entry.value.step.resource));
    }
}

/// What rolling back says where AWS gives back other units than those that were taken.
const IN_PART: &str = "restored in part: as many units as before, which are not the same ones";
/// The detail of a step whose call was made by an earlier run, which did not come to write down how it went.
const LOST: &str = "its answer had been lost";
/// A description is as new as our own call after so many seconds. Describe calls are eventually consistent; AWS names no
/// bound, and in practice it is a second or two.
const DESCRIBE_LAG_S: i64 = 10;
/// Rolling a wave back waits so long for AWS to finish what it is doing; after that a person must look. Table updates take
/// minutes, and the execution itself may run for two hours.
const UNDO_WAIT_S: i64 = 1_800;

/// What is left of a step to do, as far as that can be seen.
enum Look {
    /// Everything is at its target.
    Nothing,
    /// Everything is as it should be before the step, whatever else is in progress.
    Apply(Option<Busy>),
    /// Somebody has moved it: it is neither.
    Moved(String),
    /// AWS is carrying out an update and may describe the capacity from before.
    Locked(String),
    /// It cannot be seen.
    Unseen(String),
}

/// How far rolling a step back came.
enum UndoEnd {
    /// As far as this event, with its sentence.
    Event(StepEvent, Option<String>),
    /// Not to an end: ask again later.
    NotYet(String),
}

/// What is needed to carry out one step.
struct StepRunner<'a, T, F, N> {
    ports: &'a Ports<T, F, N>,
    platform: &'a Platform,
    batch: &'a StepBatch,
    journal: &'a [Versioned<Entry>],
    observed: &'a Capacities,
}

impl<T: Table, F: Fleet, N> StepRunner<'_, T, F, N> {
    async fn make(&self, step: &Step) -> Result<Option<Versioned<Entry>>, Failure> {
        let entry = self.entry(step);
        if entry.value.state.is_settled() {
            return Ok(Some(entry)); // An earlier run of this invocation saw to it.
        }
        if let Some(missing) = self.missing(step) {
            return self.write(&entry, StepEvent::Skipped, Some(missing)).await.map(Some);
        }
        // An earlier run of this invocation may have made the call and lost the answer.
        let called_before = entry.value.state == StepState::Started;
        match self.look(step, called_before) {
            Look::Nothing if called_before => {
                self.write(&entry, StepEvent::Succeeded, Some(LOST.to_owned())).await.map(Some)
            }
            Look::Nothing => self.write(&entry, StepEvent::Found, None).await.map(Some),
            // It may well be our own call that is being carried out. Of floors that is the first of several, and the rest
            // must follow; else the health check finds out whether it was.
            Look::Locked(_) if called_before && step.mode == Mode::Floor => {
                self.start(step, &entry, called_before).await.map(Some)
            }
            Look::Locked(what) if called_before => {
                self.write(&entry, StepEvent::Succeeded, Some(format!("{LOST}; {what}"))).await.map(Some)
            }
            // The state machine tries again; when it gives up, the batch has failed and the step is rolled back.
            Look::Unseen(why) if called_before => {
                let doing = format!("see what came of the call for {}", step.resource);
                Err(AwsError::new(ErrorKind::Unavailable, doing, why).into())
            }
            Look::Moved(why) | Look::Unseen(why) => {
                self.write(&entry, StepEvent::Refused, Some(why)).await.map(Some)
            }
            Look::Locked(what) => {
                self.write(&entry, StepEvent::Refused, Some(format!("left alone: {what}"))).await.map(Some)
            }
            Look::Apply(busy) => match busy.filter(|busy| !called_before && busy.holds(step.direction())) {
                Some(busy) => {
                    let why = format!("left alone: {}", busy.what());
                    self.write(&entry, StepEvent::Refused, Some(why)).await.map(Some)
                }
                None => self.start(step, &entry, called_before).await.map(Some),
            },
        }
    }

    async fn start(
        &self,
        step: &Step,
        entry: &Versioned<Entry>,
        called_before: bool,
    ) -> Result<Versioned<Entry>, Failure> {
        let entry = self.write(entry, StepEvent::Started, None).await?;
        let (event, detail) = match self.call(step).await {
            Ok(()) => (StepEvent::Succeeded, None),
            // What is in the way of a repeated call may be the first one.
            Err(error) if error.kind == ErrorKind::Stale && called_before => {
                (StepEvent::Succeeded, Some(format!("{LOST}; {error}")))
            }
            // Somebody else is changing it: nothing was done, and the next cycle decides again.
            Err(error) if error.kind == ErrorKind::Stale => (StepEvent::Refused, Some(error.to_string())),
            // Somebody else spent the last decrease. What scaled out in waves before this one is needed all the same.
            Err(error) if error.kind == ErrorKind::DecreaseLimit && !called_before => {
                (StepEvent::Refused, Some(error.to_string()))
            }
            Err(error) if is_transient(error.kind) => return Err(error.into()),
            Err(error) => (StepEvent::Failed, Some(error.to_string())),
        };
        self.write(&entry, event, detail).await
    }

    async fn roll_back(&self, step: &Step) -> Result<Option<Versioned<Entry>>, Failure> {
        let entry = self.entry(step);
        let Some(undo) = entry.value.undo() else { return Ok(None) };
        let was_called = entry.value.when(StepEvent::Started).is_some();
        let entry = self.write(&entry, StepEvent::UndoStarted, None).await?;
        let end = match self.look(&undo, was_called) {
            // A description that lags behind our own call looks like nothing.
            Look::Nothing if was_called && self.may_lag() => {
                UndoEnd::NotYet("its capacity may not be described as it is yet".to_owned())
            }
            // What failed to come leaves something behind, which the call that moves nothing takes away.
            Look::Nothing if was_called && self.has(&undo, |facts| facts.moves_by_unit) => {
                self.call_back(&undo).await
            }
            Look::Nothing => UndoEnd::Event(StepEvent::UndoSucceeded, Some("nothing stood".to_owned())),
            _ if self.has(&undo, |facts| facts.undo == Undo::None) => {
                UndoEnd::Event(StepEvent::UndoDeclined, Some(stands(&undo)))
            }
            Look::Moved(why) => UndoEnd::Event(StepEvent::UndoFailed, Some(why)),
            Look::Locked(why) | Look::Unseen(why) => UndoEnd::NotYet(why),
            // A call in the middle of what AWS holds, such as a deployment in two colours, would make that fail too.
            Look::Apply(Some(Busy::Held(why))) => UndoEnd::NotYet(why),
            Look::Apply(_) => self.call_back(&undo).await,
        };
        match end {
            UndoEnd::Event(event, detail) => self.write(&entry, event, detail).await.map(Some),
            UndoEnd::NotYet(why) if self.is_over() => {
                self.write(&entry, StepEvent::UndoFailed, Some(why)).await.map(Some)
            }
            UndoEnd::NotYet(why) => {
                tracing::info!(resource = %step.resource, "{} is not rolled back yet: {why}", step.resource);
                Ok(Some(entry))
            }
        }
    }

    /// Makes the call that rolls a step back.
    async fn call_back(&self, undo: &Step) -> UndoEnd {
        if let Some(why) = self.no_decrease_left(undo) {
            return UndoEnd::Event(StepEvent::UndoDeclined, Some(why));
        }
        match self.call(undo).await {
            Ok(()) => {
                let in_part = self.has(undo, |facts| facts.undo == Undo::Partial);
                UndoEnd::Event(StepEvent::UndoSucceeded, in_part.then(|| IN_PART.to_owned()))
            }
            // What goes by is waited for as long as what AWS is doing: a person is not needed for a minute of throttling.
            Err(error) if error.kind == ErrorKind::Stale || is_transient(error.kind) => {
                UndoEnd::NotYet(error.to_string())
            }
            // What was scaled out stands; what was scaled in is missed, and nobody else brings it back.
            Err(error) if error.kind == ErrorKind::DecreaseLimit && undo.direction() == Direction::In => {
                UndoEnd::Event(StepEvent::UndoDeclined, Some(error.to_string()))
            }
            Err(error) => UndoEnd::Event(StepEvent::UndoFailed, Some(error.to_string())),
        }
    }

    /// Why AWS would refuse to take a scale-out back, where it counts decreases.
    fn no_decrease_left(&self, undo: &Step) -> Option<String> {
        let lowered = undo.changes.iter().filter(|change| change.target < change.expected);
        let none_left = |change: &&StepChange| {
            let capacity = self.observed.get(&change.key).and_then(Observed::known);
            capacity.is_some_and(|capacity| capacity.decreases_left == Some(0))
        };
        lowered.into_iter().find(none_left).map(|change| {
            format!("{} stays at {}: AWS allows it no decrease now", change.key, change.expected)
        })
    }

    /// Whether a description may still be older than our own call. The call was made before rolling back began: exactly when
    /// is not on record, since the journal has the time at which the batch began.
    fn may_lag(&self) -> bool {
        self.waited_s() < DESCRIBE_LAG_S
    }

    /// Whether rolling back has waited long enough for what AWS is doing.
    fn is_over(&self) -> bool {
        UNDO_WAIT_S <= self.waited_s()
    }

    /// Seconds since rolling back began.
    fn waited_s(&self) -> i64 {
        let started_at = self.batch.started_at.unwrap_or(self.batch.at);
        self.batch.at.as_second() - started_at.as_second()
    }

    /// The journal's entry of a step, or an empty one.
    fn entry(&self, step: &Step) -> Versioned<Entry> {
        let written = self.journal.iter().find(|entry| entry.value.step.id == step.id).cloned();
        written.unwrap_or_else(|| Versioned {
            value: Entry::new(&self.batch.plan_id, self.batch.wave, step),
            revision: 0,
        })
    }

    /// Why a step makes no sense, when one that it builds on does not hold.
    fn missing(&self, step: &Step) -> Option<String> {
        let state = |id: &StepId| {
            self.journal.iter().find(|entry| entry.value.step.id == *id).map(|entry| entry.value.state)
        };
        let missing = step.after.iter().find(|id| !state(id).is_some_and(StepState::holds))?;
        Some(format!("it builds on {missing}, which was not made"))
    }

    /// What is left of a step to do, as far as that can be seen.
    fn look(&self, step: &Step, was_called: bool) -> Look {
        let mut set: BTreeMap<DimensionKey, Units> = BTreeMap::new();
        let mut busy = None;
        for change in &step.changes {
            match self.observed.get(&change.key) {
                Some(Observed::Known(capacity)) => {
                    set.insert(change.key.clone(), capacity.set);
                    busy = busy.or_else(|| capacity.busy.clone());
                }
                Some(Observed::Unknown(why)) => return Look::Unseen(why.clone()),
                None => return Look::Unseen(format!("{} was not observed", change.key)),
            };
        }
        match (step.against(&set), busy) {
            // What is described may be the capacity from before the update.
            (_, Some(busy)) if busy.is_locked() => Look::Locked(busy.what().to_owned()),
            (Remaining::Nothing, _) => Look::Nothing,
            (Remaining::Refuse(_), busy) if was_called && self.is_on_the_way(step, &set) => Look::Apply(busy),
            (Remaining::Refuse(why), _) => Look::Moved(why),
            (Remaining::Apply, busy) => Look::Apply(busy),
        }
    }

    /// Whether everything is somewhere between before and after a step, of what is moved unit by unit.
    fn is_on_the_way(&self, step: &Step, set: &BTreeMap<DimensionKey, Units>) -> bool {
        let between = |change: &StepChange| {
            let (least, most) = (change.expected.min(change.target), change.expected.max(change.target));
            set.get(&change.key).is_some_and(|actual| (least..=most).contains(actual))
        };
        self.has(step, |facts| facts.moves_by_unit) && step.changes.iter().all(between)
    }

    /// Whether something holds of a dimension that a step changes.
    fn has(&self, step: &Step, holds: impl Fn(&Facts) -> bool) -> bool {
        let places = step.changes.iter().filter_map(|change| self.platform.place(&change.key));
        places.into_iter().any(|place| holds(&place.dimension.facts))
    }

    async fn call(&self, step: &Step) -> Result<(), AwsError> {
        let Some((_, resource)) = self.platform.resource(&step.resource) else {
            let said = "it is not a resource of this platform";
            return Err(AwsError::new(ErrorKind::Invalid, format!("scale {}", step.resource), said));
        };
        let targets = step.changes.iter().map(|change| (change.key.clone(), change.target)).collect();
        tracing::info!(resource = %resource.id, ?targets, "Setting {}", resource.id);
        self.ports.fleet.set(resource, step.mode, &targets).await
    }

    async fn write(
        &self,
        entry: &Versioned<Entry>,
        event: StepEvent,
        detail: Option<String>,
    ) -> Result<Versioned<Entry>, Failure> {
        let at = self.batch.cycle.time(self.batch.at);
        let next = entry.value.with(event, at, detail);
        let next =
            next.map_err(|error| Failure::JournalRefused { step: entry.value.step.id.to_string(), error })?;
        self.ports.store.put_entry(&self.batch.cycle.platform, entry, &next).await?;
        Ok(Versioned { value: next, revision: entry.revision + 1 })
    }
}

/// Why a step is not rolled back of what AWS cannot make smaller.
fn stands(undo: &Step) -> String {
    let stand = undo.changes.iter().map(|change| format!("{} stays at {}", change.key, change.expected));
    let stand: Vec<String> = stand.collect();
    format!("{}: AWS has no way back", stand.join(", "))
}

/// What the state machine tries again. The journal says `Started`, so the next run looks at what came of it.
fn is_transient(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Throttled | ErrorKind::Unavailable)
}
