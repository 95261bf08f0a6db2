//! Figures of the cycles themselves.

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::embedded::{Measured, PLATFORM, line};
use crate::cycle::{Cycle, Task};
use crate::settle::Outcome;

/// A figure of a cycle, published when it settles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CycleFigure {
    /// Steps that hold.
    StepsDone,
    /// Steps that were not made, because the world had moved.
    StepsRefused,
    /// Steps that were not made, because what they build on was missing.
    StepsSkipped,
    /// Steps that were rolled back.
    StepsUndone,
    /// Steps that may stand although they should not.
    StepsLeft,
    /// 1 when the execution failed.
    CyclesFailed,
    /// 1 when a cycle that serves the present succeeded. An alarm of the template looks at it: it says that cycles come.
    CyclesSucceeded,
    /// 1 while a person must look, in skipped cycles too. An alarm of the template looks at it.
    NeedsHuman,
    /// Seconds from the start of the execution until it settled.
    CycleSeconds,
    /// Calls to AWS.
    AwsCalls,
    /// What the cycle itself cost, in dollars.
    CostUsd,
}

impl CycleFigure {
    /// All there are.
    pub const ALL: [CycleFigure; 11] = [
        CycleFigure::StepsDone,
        CycleFigure::StepsRefused,
        CycleFigure::StepsSkipped,
        CycleFigure::StepsUndone,
        CycleFigure::StepsLeft,
        CycleFigure::CyclesFailed,
        CycleFigure::CyclesSucceeded,
        CycleFigure::NeedsHuman,
        CycleFigure::CycleSeconds,
        CycleFigure::AwsCalls,
        CycleFigure::CostUsd,
    ];

    /// The metric's name in CloudWatch.
    pub fn name(self) -> &'static str {
        match self {
            CycleFigure::StepsDone => "StepsDone",
            CycleFigure::StepsRefused => "StepsRefused",
            CycleFigure::StepsSkipped => "StepsSkipped",
            CycleFigure::StepsUndone => "StepsUndone",
            CycleFigure::StepsLeft => "StepsLeft",
            CycleFigure::CyclesFailed => "CyclesFailed",
            CycleFigure::CyclesSucceeded => "CyclesSucceeded",
            CycleFigure::NeedsHuman => "NeedsHuman",
            CycleFigure::CycleSeconds => "CycleSeconds",
            CycleFigure::AwsCalls => "AwsCalls",
            CycleFigure::CostUsd => "CostUsd",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            CycleFigure::CycleSeconds => "Seconds",
            CycleFigure::CostUsd => "None",
            _ => "Count",
        }
    }

    fn value(self, cycle: &Cycle, outcome: &Outcome, at: Timestamp) -> f64 {
        let steps = &outcome.steps;
        let count = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        // Training and rehearsals change no capacity, however well they end.
        let serves = cycle.task == Task::Scale && cycle.is_present();
        match self {
            CycleFigure::StepsDone => count(steps.done),
            CycleFigure::StepsRefused => count(steps.refused),
            CycleFigure::StepsSkipped => count(steps.skipped),
            CycleFigure::StepsUndone => count(steps.undone),
            CycleFigure::StepsLeft => count(steps.left),
            CycleFigure::CyclesFailed => f64::from(u8::from(!outcome.succeeded)),
            CycleFigure::CyclesSucceeded => f64::from(u8::from(outcome.succeeded && serves)),
            CycleFigure::NeedsHuman => f64::from(u8::from(outcome.needs_human)),
            CycleFigure::CycleSeconds => at.duration_since(cycle.started_at).as_secs_f64().max(0.0),
            CycleFigure::AwsCalls => outcome.aws_calls,
            CycleFigure::CostUsd => outcome.cost_usd,
        }
    }
}

/// Figures of a cycle in CloudWatch's embedded metric format.
pub fn figures(cycle: &Cycle, outcome: &Outcome, at: Timestamp) -> Json {
    let metrics = CycleFigure::ALL.map(|figure| Measured {
        name: figure.name(),
        unit: figure.unit(),
        value: figure.value(cycle, outcome, at),
    });
    let fields = [("Cycle", json!(outcome.cycle_id)), ("Outcome", json!(outcome.outcome))];
    line(&[(PLATFORM, cycle.platform.to_string())], &metrics, &fields, at)
}
