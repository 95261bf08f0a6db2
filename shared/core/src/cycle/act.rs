//! What is said to and by the functions that act: execute and health-check.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{Batch, CollectedKind, Cycle, DecidedKind, Execution};
use crate::alert::Raised;
use crate::health::Verdict;
use crate::name::PlanId;
use crate::usage::Usage;

/// To execute.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum ExecuteRequest {
    /// Make the steps of a batch.
    Apply(StepBatch),
    /// Roll back the steps of a batch.
    Undo(StepBatch),
    /// Close the cycle.
    Settle(Box<SettleRequest>),
}

/// Which steps.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepBatch {
    /// The cycle.
    pub cycle: Cycle,
    /// The plan.
    pub plan_id: PlanId,
    /// The wave.
    pub wave: usize,
    /// The batch within the wave.
    pub batch: usize,
    /// When the wave, or its rolling back, started.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// When the state was entered.
    pub at: Timestamp,
}

/// From execute, for a batch of steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecuteResponse {
    /// Whether the wave may go on.
    pub kind: ExecutedKind,
    /// Steps that hold now by our call, or were rolled back.
    pub made: usize,
    /// Steps that held already.
    pub found: usize,
    /// Steps that were refused because the world had moved.
    pub refused: usize,
    /// Steps that were skipped because what they build on is missing.
    pub skipped: usize,
    /// Steps that failed.
    pub failed: usize,
    /// Steps that cannot be rolled back yet, because AWS is still changing the resource or cannot be read.
    #[serde(default)]
    pub pending: usize,
    /// Steps that stand, because AWS does not allow the change that would roll them back.
    #[serde(default)]
    pub stands: usize,
    /// Why, for those that were not made.
    pub reasons: Vec<String>,
    /// What it used.
    pub usage: Usage,
}

/// Whether a wave may go on after a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecutedKind {
    /// Something was made: look at its health.
    Made,
    /// Nothing was made, and nothing failed: there is nothing to wait for.
    Nothing,
    /// Something failed: roll back what was begun.
    Failed,
    /// Something cannot be rolled back yet: ask again later.
    Pending,
}

/// To settle: how far the state machine came.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SettleRequest {
    /// The execution's input, as it was given.
    pub input: Json,
    /// The execution.
    pub execution: Execution,
    /// When the state was entered.
    pub at: Timestamp,
    /// What collect-metrics said, if it came so far.
    pub collected: Option<CollectedOutline>,
    /// What decide said, if it came so far.
    pub decided: Option<DecidedOutline>,
    /// Batches whose forecast failed.
    #[serde(default)]
    pub failed_batches: Vec<Batch>,
    /// What went wrong, if anything did.
    pub failure: Option<CaughtFailure>,
    /// What went wrong while rolling back, if anything did.
    pub undo_failure: Option<CaughtFailure>,
    /// What the cycle used so far.
    pub usage: Usage,
}

/// What collect-metrics said, as far as settling needs it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CollectedOutline {
    /// What there was to do.
    pub kind: CollectedKind,
    /// One sentence.
    pub summary: String,
}

/// What decide said, as far as settling needs it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecidedOutline {
    /// What was to do.
    pub kind: DecidedKind,
    /// The plan.
    pub plan_id: PlanId,
    /// How many waves it has, to be carried out or not. A plan without any is not stored.
    pub waves: usize,
    /// One sentence.
    pub summary: String,
    /// What people should know of, though nothing went wrong.
    #[serde(default)]
    pub alerts: Vec<Raised>,
}

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CaughtFailure {
    /// Its stable name.
    pub error: String,
    /// What happened, as a sentence, or what Lambda made of it.
    pub cause: String,
}

/// To health-check.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthRequest {
    /// The cycle.
    pub cycle: Cycle,
    /// The plan.
    pub plan_id: PlanId,
    /// The wave.
    pub wave: usize,
    /// Whether the wave was rolled back.
    pub undo: bool,
    /// When the wave, or its rolling back, started.
    pub started_at: Timestamp,
    /// When the state was entered.
    pub at: Timestamp,
    /// How often in a row a probe failed so far.
    pub strikes: u32,
}

/// From health-check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthResponse {
    /// The verdict.
    pub kind: Verdict,
    /// How often in a row a probe failed.
    pub strikes: u32,
    /// Why.
    pub reasons: Vec<String>,
    /// What it used.
    pub usage: Usage,
}
