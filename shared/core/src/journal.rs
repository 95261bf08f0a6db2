//! What happened to each step, written down before and after every call; and from that, what to roll back.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::name::PlanId;
use crate::plan::{Step, StepId};

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Nothing was done.
    Pending,
    /// A call was about to be made; it may or may not have been.
    Started,
    /// It holds, by our call.
    Done,
    /// It held before we came, so it is not ours to roll back.
    Found,
    /// The world had moved, so it was not made.
    Refused,
    /// Something it builds on was not made, so it was not made either.
    Skipped,
    /// The call failed; it may or may not have taken effect.
    Failed,
    /// A call to roll it back was about to be made.
    Undoing,
    /// It was rolled back.
    Undone,
    /// It could not be rolled back. A person must look.
    UndoFailed,
    /// It stands: AWS does not allow the change that would roll it back, and a later cycle may make it.
    Stands,
}

/// What happens to a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepEvent {
    /// About to call.
    Started,
    /// The target holds, by our call.
    Succeeded,
    /// The target held before any call.
    Found,
    /// The world had moved.
    Refused,
    /// Something it builds on is missing.
    Skipped,
    /// It holds, and AWS had less than it asked for when the wave's time was over.
    Unavailable,
    /// The call failed for good.
    Failed,
    /// About to call to roll it back.
    UndoStarted,
    /// What was before holds again.
    UndoSucceeded,
    /// It cannot be rolled back.
    UndoFailed,
    /// AWS does not allow it to be rolled back now: it has counted out the decreases of a table.
    UndoDeclined,
}

/// An event that cannot happen in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a step that is {state:?} cannot take {event:?}")]
pub struct IllegalEvent {
    state: StepState,
    event: StepEvent,
}

impl StepState {
    /// The state after an event. Every event that may come twice because a function ran twice may come twice.
    ///
    /// # Errors
    /// For an event that cannot happen in this state.
    pub fn next(self, event: StepEvent) -> Result<StepState, IllegalEvent> {
        use StepEvent as E;
        use StepState as S;
        match (self, event) {
            (S::Pending | S::Started, E::Started) => Ok(S::Started),
            (S::Started | S::Done, E::Succeeded) => Ok(S::Done),
            (S::Pending | S::Found, E::Found) => Ok(S::Found),
            (S::Done, E::Unavailable) => Ok(S::Done),
            (S::Found, E::Unavailable) => Ok(S::Found),
            (S::Pending | S::Started | S::Refused, E::Refused) => Ok(S::Refused),
            (S::Pending | S::Skipped, E::Skipped) => Ok(S::Skipped),
            (S::Pending | S::Started | S::Failed, E::Failed) => Ok(S::Failed),
            (S::Started | S::Done | S::Failed | S::Undoing | S::UndoFailed, E::UndoStarted) => Ok(S::Undoing),
            (S::Undoing | S::Undone, E::UndoSucceeded) => Ok(S::Undone),
            (S::Undoing | S::UndoFailed, E::UndoFailed) => Ok(S::UndoFailed),
            (S::Undoing | S::Stands, E::UndoDeclined) => Ok(S::Stands),
            (state, event) => Err(IllegalEvent { state, event }),
        }
    }

    /// Whether the step may have taken effect and has not been rolled back.
    pub fn may_stand(self) -> bool {
        matches!(
            self,
            StepState::Started
                | StepState::Done
                | StepState::Failed
                | StepState::Undoing
                | StepState::UndoFailed
        )
    }

    /// Whether steps that build on this one may be made.
    pub fn holds(self) -> bool {
        matches!(self, StepState::Done | StepState::Found)
    }

    /// Whether nothing more will happen to the step on the way forward.
    pub fn is_settled(self) -> bool {
        self.holds() || matches!(self, StepState::Refused | StepState::Skipped)
    }
}

/// The durable record of one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Of which plan.
    pub plan: PlanId,
    /// In which wave.
    pub wave: usize,
    /// The step as planned.
    pub step: Step,
    /// Where it stands.
    pub state: StepState,
    /// What happened, in order.
    pub events: Vec<Happened>,
}

/// One event of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Happened {
    /// What.
    pub event: StepEvent,
    /// When.
    pub at: Timestamp,
    /// The sentence that goes with it.
    pub detail: Option<String>,
}

/// Events kept for a step. A step that is retried for hours repeats itself; its beginning and end tell the story.
const EVENTS_MAX: usize = 40;

impl Entry {
    /// A step to which nothing happened yet.
    pub fn new(plan: &PlanId, wave: usize, step: &Step) -> Entry {
        Entry { plan: plan.clone(), wave, step: step.clone(), state: StepState::Pending, events: Vec::new() }
    }

    /// The entry after an event.
    ///
    /// # Errors
    /// For an event that cannot happen in this state.
    pub fn with(
        &self,
        event: StepEvent,
        at: Timestamp,
        detail: Option<String>,
    ) -> Result<Entry, IllegalEvent> {
        let mut entry = Entry { state: self.state.next(event)?, ..self.clone() };
        if EVENTS_MAX <= entry.events.len() {
            entry.events.remove(EVENTS_MAX / 2);
        }
        entry.events.push(Happened { event, at, detail });
        Ok(entry)
    }

    /// When an event happened last.
    pub fn when(&self, event: StepEvent) -> Option<Timestamp> {
        self.events.iter().rev().find(|happened| happened.event == event).map(|happened| happened.at)
    }

    /// When its first call was about to be made.
    pub fn began(&self) -> Option<Timestamp> {
        self.events.iter().find(|happened| happened.event == StepEvent::Started).map(|happened| happened.at)
    }

    /// The sentence of the last event that has one.
    pub fn detail(&self) -> Option<&str> {
        self.events.iter().rev().find_map(|happened| happened.detail.as_deref())
    }

    /// The step that rolls this one back, if it may stand. A step that may have run is rolled back like one that did.
    pub fn undo(&self) -> Option<Step> {
        self.state.may_stand().then(|| self.step.undo())
    }
}

/// When a wave was over, its capacity there and healthy: when a later wave began, else when the cycle settled.
pub fn wave_end(entries: &[Entry], wave: usize, settled_at: Timestamp) -> Timestamp {
    let later = entries.iter().filter(|entry| wave < entry.wave).filter_map(Entry::began);
    later.min().unwrap_or(settled_at)
}

/// What stands of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanStatus {
    /// Nothing was begun, or everything was rolled back as far as AWS allows.
    Nothing,
    /// Every step holds, or was not made on purpose.
    Applied,
    /// Some steps may stand, others were never made.
    Partly,
    /// Something could not be rolled back.
    NeedsHuman,
}

/// What stands of a plan of `steps` steps, given its journal.
pub fn plan_status<'a>(steps: impl IntoIterator<Item = &'a StepId>, entries: &[Entry]) -> PlanStatus {
    let state = |id: &StepId| {
        entries.iter().find(|entry| entry.step.id == *id).map_or(StepState::Pending, |entry| entry.state)
    };
    let states: Vec<StepState> = steps.into_iter().map(state).collect();
    if states.contains(&StepState::UndoFailed) {
        PlanStatus::NeedsHuman
    } else if !states.iter().any(|state| state.may_stand()) {
        PlanStatus::Nothing
    } else if states.iter().all(|state| state.is_settled()) {
        PlanStatus::Applied
    } else {
        PlanStatus::Partly
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::Mode;

    fn entry() -> Entry {
        let step = Step {
            id: StepId("w0/web".into()),
            resource: "web".into(),
            group: "web".into(),
            mode: Mode::Desired,
            changes: Vec::new(),
            after: Vec::new(),
        };
        Entry::new(&"plan".into(), 0, &step)
    }

    fn check(events: &[StepEvent], expected: &str) {
        let mut entry = entry();
        for event in events {
            match entry.with(*event, Timestamp::UNIX_EPOCH, None) {
                Ok(next) => entry = next,
                Err(error) => return assert_eq!(error.to_string(), expected),
            }
        }
        assert_eq!(format!("{:?}, undo {}", entry.state, entry.undo().is_some()), expected);
    }

    #[test]
    fn steps_go_their_way() {
        use StepEvent as E;
        check(&[], "Pending, undo false");
        check(&[E::Started], "Started, undo true"); // it may have run
        check(&[E::Started, E::Started, E::Succeeded, E::Succeeded], "Done, undo true"); // run twice
        check(&[E::Found], "Found, undo false"); // not ours
        check(&[E::Refused, E::Refused], "Refused, undo false");
        check(&[E::Started, E::Refused], "Refused, undo false"); // somebody moved it meanwhile: theirs now
        check(&[E::Skipped], "Skipped, undo false");
        check(&[E::Started, E::Failed], "Failed, undo true");
        check(
            &[E::Started, E::Succeeded, E::UndoStarted, E::UndoSucceeded, E::UndoSucceeded],
            "Undone, undo false",
        );
        check(&[E::Started, E::UndoStarted, E::UndoFailed], "UndoFailed, undo true");
        check(&[E::Started, E::Succeeded, E::UndoStarted, E::UndoDeclined], "Stands, undo false");
        check(&[E::Started, E::UndoStarted, E::UndoFailed, E::UndoStarted], "Undoing, undo true"); // a person retries
        check(&[E::Succeeded], "a step that is Pending cannot take Succeeded");
        check(&[E::UndoStarted], "a step that is Pending cannot take UndoStarted");
        check(&[E::Started, E::Succeeded, E::Failed], "a step that is Done cannot take Failed");
        check(&[E::Refused, E::Started], "a step that is Refused cannot take Started");
    }

    #[test]
    fn what_stands_follows_from_the_journal() {
        use StepEvent as E;
        let status_of = |journals: &[&[E]]| {
            let ids: Vec<StepId> = (0..journals.len()).map(|index| StepId(format!("w0/{index}"))).collect();
            let entries: Vec<Entry> = ids
                .iter()
                .zip(journals)
                .map(|(id, events)| {
                    let mut entry = entry();
                    entry.step.id = id.clone();
                    events
                        .iter()
                        .fold(entry, |entry, event| entry.with(*event, Timestamp::UNIX_EPOCH, None).unwrap())
                })
                .collect();
            plan_status(&ids, &entries)
        };
        assert_eq!(status_of(&[&[], &[]]), PlanStatus::Nothing);
        assert_eq!(status_of(&[&[E::Started, E::Succeeded], &[E::Refused]]), PlanStatus::Applied);
        assert_eq!(status_of(&[&[E::Started, E::Succeeded], &[]]), PlanStatus::Partly);
        assert_eq!(status_of(&[&[E::Started], &[E::Skipped]]), PlanStatus::Partly);
        assert_eq!(status_of(&[&[E::Started, E::UndoStarted, E::UndoSucceeded], &[]]), PlanStatus::Nothing);
        assert_eq!(status_of(&[&[E::Started, E::UndoStarted, E::UndoFailed], &[]]), PlanStatus::NeedsHuman);
        assert_eq!(status_of(&[&[E::Started, E::UndoStarted, E::UndoDeclined], &[]]), PlanStatus::Nothing);
    }

    #[test]
    fn a_long_story_keeps_its_beginning_and_its_end() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let long =
            (0..100).fold(entry(), |entry, second| entry.with(StepEvent::Started, at(second), None).unwrap());
        assert_eq!(long.events.len(), EVENTS_MAX);
        assert_eq!((long.events[0].at, long.when(StepEvent::Started)), (at(0), Some(at(99))));
    }
}
