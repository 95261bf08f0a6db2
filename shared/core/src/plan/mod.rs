//! Plans: an ordered list of waves of steps. A plan says everything; carrying it out chooses nothing.

mod lint;
mod make;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use lint::{Violation, lint};
pub use make::make;

use crate::name::{ConfigVersion, CycleId, DimensionKey, GroupName, PlanId, ResourceId};
use crate::platform::{Mode, Phase};
use crate::units::{Direction, Units};

/// Steps that one execution of the executor carries out: a batch must fit into one invocation and one describe call.
pub const STEPS_PER_BATCH: usize = 10;

/// Whether a plan may be carried out. The one place where that is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permit {
    /// It may.
    Act,
    /// The platform is only observed.
    Observe,
    /// The cycle is a dry run.
    DryRun,
}

impl Permit {
    /// What the phase and the kind of cycle permit.
    pub fn of(phase: Phase, dry_run: bool) -> Permit {
        match (dry_run, phase) {
            (true, _) => Permit::DryRun,
            (false, Phase::Observe) => Permit::Observe,
            (false, Phase::Limited | Phase::Full | Phase::Optimized) => Permit::Act,
        }
    }

    /// Why not, for a sentence; `None` if it may.
    pub fn withheld(self) -> Option<&'static str> {
        match self {
            Permit::Act => None,
            Permit::Observe => Some("the rollout phase is observe"),
            Permit::DryRun => Some("this is a dry run"),
        }
    }
}

/// Waves to carry out one after the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Its id.
    pub id: PlanId,
    /// The cycle that made it.
    pub cycle: CycleId,
    /// When.
    pub made_at: Timestamp,
    /// The configuration it was made from.
    pub config: ConfigVersion,
    /// Whether it may be carried out.
    pub permit: Permit,
    /// Whether waves begun are undone when one fails.
    pub rollback: bool,
    /// In their order.
    pub waves: Vec<Wave>,
}

impl Plan {
    /// The waves to carry out: none, unless it is permitted.
    pub fn waves_to_run(&self) -> &[Wave] {
        match self.permit {
            Permit::Act => &self.waves,
            Permit::Observe | Permit::DryRun => &[],
        }
    }

    /// Every step, wave by wave.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.waves.iter().flat_map(|wave| wave.steps.iter())
    }
}

/// Steps that may run together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wave {
    /// Out or in.
    pub direction: Direction,
    /// The groups it touches.
    pub groups: Vec<GroupName>,
    /// How long it may take to become healthy, in seconds.
    pub timeout_s: u32,
    /// How often health is asked, in seconds.
    pub poll_s: u32,
    /// In any order.
    pub steps: Vec<Step>,
}

/// One absolute, preconditioned, undoable change of one resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Unique in its plan, and the same whenever the plan is made again.
    pub id: StepId,
    /// What is changed.
    pub resource: ResourceId,
    /// Of which group.
    pub group: GroupName,
    /// How its capacity is set.
    pub mode: Mode,
    /// One change for each dimension. One call carries out all of them.
    pub changes: Vec<StepChange>,
    /// Steps without which this one makes no sense: those of the groups that its group depends on.
    pub after: Vec<StepId>,
}

/// A step's name: `w0/user-table`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(pub String);

impl std::fmt::Display for StepId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// From what to what one dimension changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepChange {
    /// Which dimension.
    pub key: DimensionKey,
    /// What must be set for the step to be made.
    pub expected: Units,
    /// What is set after it.
    pub target: Units,
}

/// What is left of a step to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remaining {
    /// Everything is at its target.
    Nothing,
    /// Everything is as expected, or at its target already.
    Apply,
    /// Something is neither: the world has moved.
    Refuse(String),
}

impl Step {
    /// The direction of its changes, which all go the same way.
    pub fn direction(&self) -> Direction {
        let goes = |change: &StepChange| Direction::of(change.expected, change.target);
        let out = self.changes.iter().any(|change| goes(change) == Direction::Out);
        if out { Direction::Out } else { Direction::In }
    }

    /// The step that rolls this one back.
    pub fn undo(&self) -> Step {
        let back = |change: &StepChange| StepChange {
            key: change.key.clone(),
            expected: change.target,
            target: change.expected,
        };
        Step { changes: self.changes.iter().map(back).collect(), ..self.clone() }
    }

    /// What is left to do, given what is set now.
    pub fn against(&self, set: &BTreeMap<DimensionKey, Units>) -> Remaining {
        let mut remaining = Remaining::Nothing;
        for StepChange { key, expected, target } in &self.changes {
            match set.get(key) {
                Some(actual) if actual == target => (),
                Some(actual) if actual == expected => remaining = Remaining::Apply,
                Some(actual) => {
                    return Remaining::Refuse(format!(
                        "{key} is {actual}, but the plan was made for {expected}"
                    ));
                }
                None => return Remaining::Refuse(format!("{key} is not there")),
            }
        }
        remaining
    }
}
