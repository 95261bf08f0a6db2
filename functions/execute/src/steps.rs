//! Steps: look, think, act, with the journal written before and after every call.

use std::collections::{BTreeMap, BTreeSet};

use headroom_aws::error::Kind;
use headroom_aws::failure::Failure;
use headroom_aws::fleet::{Depth, Fleet, Observed};
use headroom_aws::store::Versioned;
use headroom_aws::table::Table;
use headroom_core::cycle::{Executed, ExecutedKind, Steps, few};
use headroom_core::journal::{Entry, StepEvent, StepState};
use headroom_core::name::{DimensionKey, ResourceId};
use headroom_core::observe::Seen;
use headroom_core::plan::{Permit, Plan, Remaining, Step, StepId};
use headroom_core::platform::{Mode, Platform, Resource};
use headroom_core::units::Units;

use crate::Ports;

/// Forward, or back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Make the steps.
    Forward,
    /// Take them back.
    Back,
}

/// Carries out the steps of a batch, one after the other.
pub(crate) async fn carry_out<T: Table, F: Fleet, N>(
    ports: &Ports<T, F, N>,
    batch: &Steps,
    way: Way,
) -> Result<Executed, Failure> {
    let plan = admitted(ports, batch).await?;
    let platform = ports.configs.get(&ports.store, &batch.cycle.platform, &plan.config).await?;
    let steps = ports.store.steps(&batch.cycle.platform, &batch.plan_id, batch.wave, batch.batch).await?;
    let journal = ports.store.journal(&batch.cycle.platform, &batch.plan_id).await?;
    let observed = observe(ports, &platform, batch, &steps).await;
    let mut executed = Executed {
        kind: ExecutedKind::Nothing,
        made: 0,
        found: 0,
        refused: 0,
        skipped: 0,
        failed: 0,
        reasons: Vec::new(),
        usage: Default::default(),
    };
    for step in &steps {
        let hand = Hand { ports, platform: &platform, batch, journal: &journal, observed: &observed };
        let entry = match way {
            Way::Forward => hand.make(step).await?,
            Way::Back => hand.take_back(step).await?,
        };
        if let Some(entry) = entry {
            count(&mut executed, &entry);
        }
    }
    executed.kind = match (executed.failed, executed.made) {
        (0, 0) => ExecutedKind::Nothing,
        (0, _) => ExecutedKind::Made,
        _ => ExecutedKind::Failed,
    };
    executed.reasons = few(executed.reasons);
    executed.usage = ports.meter.take();
    Ok(executed)
}

/// The plan, if this cycle may carry it out: it holds the lease, and the plan is permitted and open. This is the one
/// place through which everything that changes capacity goes.
async fn admitted<T: Table, F, N>(ports: &Ports<T, F, N>, batch: &Steps) -> Result<Plan, Failure> {
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
    batch: &Steps,
    steps: &[Step],
) -> Observed {
    let resources = steps.iter().filter_map(|step| Some(platform.resource(&step.resource)?.1));
    let resources: Vec<&Resource> = resources.collect();
    // The plan says in which mode each step is made, whatever native policies have come or gone since.
    let floors = steps.iter().filter(|step| step.mode == Mode::Floor).map(|step| step.resource.clone());
    let floors: BTreeSet<ResourceId> = floors.collect();
    ports.fleet.observe(&resources, &floors, batch.at, Depth::Close).await
}

fn count(executed: &mut Executed, entry: &Versioned<Entry>) {
    let place = match entry.value.state {
        StepState::Done | StepState::Undone => &mut executed.made,
        StepState::Found => &mut executed.found,
        StepState::Refused => &mut executed.refused,
        StepState::Skipped => &mut executed.skipped,
        _ => &mut executed.failed,
    };
    *place += 1;
    if !matches!(entry.value.state, StepState::Done | StepState::Undone | StepState::Found) {
        let why = entry.value.detail().unwrap_or("no reason recorded");
        executed.reasons.push(format!("{}: {why}", entry.value.step.resource));
    }
}

/// What is needed to carry out one step.
struct Hand<'a, T, F, N> {
    ports: &'a Ports<T, F, N>,
    platform: &'a Platform,
    batch: &'a Steps,
    journal: &'a [Versioned<Entry>],
    observed: &'a Observed,
}

impl<T: Table, F: Fleet, N> Hand<'_, T, F, N> {
    async fn make(&self, step: &Step) -> Result<Option<Versioned<Entry>>, Failure> {
        let entry = self.entry(step);
        if entry.value.state.is_settled() {
            return Ok(Some(entry)); // An earlier run of this invocation saw to it.
        }
        if let Some(missing) = self.missing(step) {
            return self.write(&entry, StepEvent::Skipped, Some(missing)).await.map(Some);
        }
        match self.remaining(step) {
            Ok(Remaining::Nothing) if entry.value.state == StepState::Started => self
                .write(&entry, StepEvent::Succeeded, Some("its answer had been lost".to_owned()))
                .await
                .map(Some),
            Ok(Remaining::Nothing) => self.write(&entry, StepEvent::Found, None).await.map(Some),
            Ok(Remaining::Refuse(why)) | Err(why) => {
                self.write(&entry, StepEvent::Refused, Some(why)).await.map(Some)
            }
            Ok(Remaining::Apply) => {
                let entry = self.write(&entry, StepEvent::Started, None).await?;
                let (event, detail) = match self.call(step).await {
                    Ok(()) => (StepEvent::Succeeded, None),
                    // Somebody else is changing it: nothing was done, and the next cycle decides again.
                    Err(error) if error.kind == Kind::Stale => (StepEvent::Refused, Some(error.to_string())),
                    Err(error) if is_transient(error.kind) => return Err(error.into()),
                    Err(error) => (StepEvent::Failed, Some(error.to_string())),
                };
                self.write(&entry, event, detail).await.map(Some)
            }
        }
    }

    async fn take_back(&self, step: &Step) -> Result<Option<Versioned<Entry>>, Failure> {
        let entry = self.entry(step);
        let Some(undo) = entry.value.undo() else { return Ok(None) };
        let entry = self.write(&entry, StepEvent::UndoStarted, None).await?;
        let (event, detail) = match self.remaining(&undo) {
            Ok(Remaining::Nothing) => (StepEvent::UndoSucceeded, Some("nothing stood".to_owned())),
            Ok(Remaining::Refuse(why)) | Err(why) => (StepEvent::UndoFailed, Some(why)),
            Ok(Remaining::Apply) => match self.call(&undo).await {
                Ok(()) => (StepEvent::UndoSucceeded, None),
                Err(error) if is_transient(error.kind) || error.kind == Kind::Stale => {
                    return Err(error.into());
                }
                Err(error) => (StepEvent::UndoFailed, Some(error.to_string())),
            },
        };
        self.write(&entry, event, detail).await.map(Some)
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

    /// What is left of a step, or why that cannot be told.
    fn remaining(&self, step: &Step) -> Result<Remaining, String> {
        let mut set: BTreeMap<DimensionKey, Units> = BTreeMap::new();
        for change in &step.changes {
            match self.observed.get(&change.key) {
                Some(Seen::Known(capacity)) => set.insert(change.key.clone(), capacity.set),
                Some(Seen::Unknown(why)) => return Err(why.clone()),
                None => return Err(format!("{} was not observed", change.key)),
            };
        }
        let busy =
            step.changes.iter().find_map(|change| self.observed.get(&change.key)?.known()?.busy.clone());
        match (step.against(&set), busy) {
            (Remaining::Apply, Some(busy)) => Err(format!("left alone: {busy}")),
            (remaining, _) => Ok(remaining),
        }
    }

    async fn call(&self, step: &Step) -> Result<(), headroom_aws::error::AwsError> {
        let Some((_, resource)) = self.platform.resource(&step.resource) else {
            let said = "it is not a resource of this platform";
            return Err(headroom_aws::error::AwsError::new(
                Kind::Invalid,
                format!("scale {}", step.resource),
                said,
            ));
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

/// What the state machine tries again. The journal says `Started`, so the next run looks at what came of it.
fn is_transient(kind: Kind) -> bool {
    matches!(kind, Kind::Throttled | Kind::Unavailable)
}
