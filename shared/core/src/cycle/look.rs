//! What is said to and by the functions that look and think: collect-metrics, forecast and decide.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{Batch, Cycle, Execution};
use crate::alert::Raised;
use crate::name::{ConfigVersion, DimensionKey, PlanId};
use crate::plan::{Plan, STEPS_PER_BATCH, Wave};
use crate::units::Units;
use crate::usage::Usage;

/// To collect-metrics.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CollectRequest {
    /// The execution's input, as it was given.
    pub input: Json,
    /// The execution.
    pub execution: Execution,
    /// When the state was entered.
    pub at: Timestamp,
}

/// From collect-metrics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CollectResponse {
    /// What there is to do.
    pub kind: CollectedKind,
    /// The cycle.
    pub cycle: Cycle,
    /// The configuration it works from, when it is ready.
    pub config: Option<ConfigVersion>,
    /// The batches to work on.
    pub batches: Vec<Batch>,
    /// Capacities asked for by hand.
    pub capacity: BTreeMap<DimensionKey, Units>,
    /// The plan to roll back: what a dead cycle left, or what a person asks for.
    pub plan: Option<PlanOutline>,
    /// One sentence.
    pub summary: String,
    /// What it used.
    pub usage: Usage,
}

/// What there is to do after collecting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CollectedKind {
    /// Forecast, then decide.
    Ready,
    /// Nothing: another cycle acts, or a person must look first.
    Skipped,
    /// Roll back what a dead cycle left.
    Recover,
    /// Roll back the plan that a person asks for.
    RollBack,
    /// Nothing more: a person has looked.
    Resumed,
}

/// To forecast.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForecastRequest {
    /// The cycle.
    pub cycle: Cycle,
    /// The configuration it works from.
    pub config: ConfigVersion,
    /// The batch.
    pub batch: Batch,
}

/// From forecast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForecastResponse {
    /// The batch.
    pub batch: Batch,
    /// Forecasts made.
    pub made: usize,
    /// Metrics without one, which fall back to their measured load.
    pub missing: usize,
    /// What it used.
    pub usage: Usage,
}

/// To decide.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecideRequest {
    /// The cycle.
    pub cycle: Cycle,
    /// The configuration it works from.
    pub config: ConfigVersion,
    /// The batches of the platform.
    pub batches: Vec<Batch>,
    /// Those whose forecast failed.
    pub failed_batches: Vec<Batch>,
    /// Capacities asked for by hand.
    pub capacity: BTreeMap<DimensionKey, Units>,
    /// When the state was entered.
    pub at: Timestamp,
}

/// From decide.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecideResponse {
    /// What to do.
    pub kind: DecidedKind,
    /// The plan, by reference.
    pub plan: PlanOutline,
    /// One sentence.
    pub summary: String,
    /// What people should know of, though nothing went wrong.
    pub alerts: Vec<Raised>,
    /// What it used.
    pub usage: Usage,
}

/// What to do after deciding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecidedKind {
    /// Nothing.
    Hold,
    /// Carry out the waves.
    Scale,
}

/// A plan as the state machine walks it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanOutline {
    /// Which plan.
    pub id: PlanId,
    /// Whether waves begun are rolled back when one fails.
    pub rollback: bool,
    /// Its waves.
    pub waves: Vec<WaveOutline>,
}

impl PlanOutline {
    /// The outline of a plan.
    pub fn of(plan: &Plan) -> PlanOutline {
        let outline = |wave: &Wave| WaveOutline {
            batches: (0..wave.steps.len().div_ceil(STEPS_PER_BATCH)).collect(),
            poll_seconds: wave.poll_s,
        };
        PlanOutline {
            id: plan.id.clone(),
            rollback: plan.rollback,
            waves: plan.waves.iter().map(outline).collect(),
        }
    }
}

/// A wave as the state machine walks it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WaveOutline {
    /// The numbers of its batches of steps.
    pub batches: Vec<usize>,
    /// How often health is asked.
    pub poll_seconds: u32,
}
