//! What the state machine and the functions say to each other. Small by construction: references, never series.

mod act;
mod batch;
mod input;
mod look;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use act::{
    CaughtFailure, CollectedOutline, DecidedOutline, ExecuteRequest, ExecuteResponse, ExecutedKind,
    HealthRequest, HealthResponse, SettleRequest, StepBatch,
};
pub use batch::{Batch, NotABatch};
pub use input::{Input, InvalidInput};
pub use look::{
    CollectRequest, CollectResponse, CollectedKind, DecideRequest, DecideResponse, DecidedKind,
    ForecastRequest, ForecastResponse, PlanOutline, WaveOutline,
};

use crate::name::{CycleId, PlatformName};

/// What an execution is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Look, think, act.
    #[default]
    Scale,
    /// Train the models; changes no capacity.
    Train,
    /// A person has looked at what could not be rolled back: act again from now on.
    Resume,
    /// A person asks for a plan that is over to be rolled back.
    Rollback,
}

/// One execution of the state machine for one platform. Handed from function to function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cycle {
    /// Which platform.
    pub platform: PlatformName,
    /// Its id: the execution's name.
    pub id: CycleId,
    /// The execution's ARN.
    pub execution: String,
    /// The time it decides for.
    pub now: Timestamp,
    /// When the execution started. It differs from `now` only when another time was asked for.
    pub started_at: Timestamp,
    /// Decide and record, but change nothing.
    pub dry_run: bool,
    /// What it is for.
    pub task: Task,
}

/// The execution, as the state machine's context object has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Execution {
    /// Its name.
    pub name: CycleId,
    /// Its ARN.
    pub arn: String,
    /// When it started.
    pub started_at: Timestamp,
}

impl Cycle {
    /// The cycle of an execution with this input.
    pub fn new(input: &Input, execution: &Execution) -> Cycle {
        Cycle {
            platform: input.platform.clone(),
            id: execution.name.clone(),
            execution: execution.arn.clone(),
            now: input.now.unwrap_or(execution.started_at),
            started_at: execution.started_at,
            dry_run: input.dry_run,
            task: input.task,
        }
    }
}

impl Cycle {
    /// Whether it looks at the present and may act: only such a cycle counts for what stands between cycles. What was
    /// learned and spent at another time, or in a rehearsal, would be wrong for the next one.
    pub fn is_present(&self) -> bool {
        !self.dry_run && self.now == self.started_at
    }

    /// The cycle's own time at a time of the clock: a cycle that decides for another time lives in it, so that what it
    /// records has the right age for cycles that decide for later times. Leases live by the clock.
    pub fn time(&self, at: Timestamp) -> Timestamp {
        self.now.checked_add(at.duration_since(self.started_at)).unwrap_or(at)
    }
}

/// Sentences handed through the state machine for one batch or one verdict: enough to understand, small enough for a
/// thousand of them to fit into a payload.
pub const REASONS_MAX: usize = 5;

/// The first few sentences, and how many more there are.
pub fn few(reasons: Vec<String>) -> Vec<String> {
    const LETTERS_MAX: usize = 300;
    let more = reasons.len().saturating_sub(REASONS_MAX);
    let mut few: Vec<String> = reasons
        .into_iter()
        .take(REASONS_MAX)
        .map(|reason| reason.chars().take(LETTERS_MAX).collect())
        .collect();
    if 0 < more {
        few.push(format!("and {more} more"));
    }
    few
}
