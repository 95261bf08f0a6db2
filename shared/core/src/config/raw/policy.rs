//! `scaling_policies` of a tier.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::scalar::{Cron, Length, Span};

/// A rule for the tier's resources.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ScalingPolicy {
    TargetTracking(TargetTracking),
    Step(Step),
    Predictive(Predictive),
    Scheduled(Scheduled),
}

/// Keep a utilisation metric at a value.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TargetTracking {
    /// `CPUUtilization` or `MemoryUtilization`.
    pub(crate) metric: UtilizationMetric,
    #[schemars(range(min = 1, max = 100))]
    pub(crate) target_value: f64,
    /// How long the cooldown of a scale-in lasts after any change. Default as in `guardrails`.
    pub(crate) cooldown: Option<Span>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) enum UtilizationMetric {
    #[serde(rename = "CPUUtilization")]
    Cpu,
    #[serde(rename = "MemoryUtilization")]
    Memory,
}

/// Add or remove units when the measured utilisation passes a bound.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    /// `CPUUtilization` or `MemoryUtilization`.
    pub(crate) metric: UtilizationMetric,
    pub(crate) steps: Vec<StepRule>,
    /// How long the cooldown of the policy lasts after it acted. Default as in `guardrails`.
    pub(crate) cooldown: Option<Span>,
}

/// Either `above` with `add` or `add_percent`, or `below` with `remove` or `remove_percent`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StepRule {
    #[schemars(range(min = 0, max = 100))]
    pub(crate) above: Option<f64>,
    #[schemars(range(min = 0, max = 100))]
    pub(crate) below: Option<f64>,
    #[schemars(range(min = 1))]
    pub(crate) add: Option<u32>,
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) add_percent: Option<f64>,
    #[schemars(range(min = 1))]
    pub(crate) remove: Option<u32>,
    #[schemars(range(min = 1, max = 100))]
    pub(crate) remove_percent: Option<f64>,
}

/// Whether the tier is scaled by forecast, and how early.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Predictive {
    /// Default true.
    pub(crate) enabled: Option<bool>,
    /// How much earlier than needed capacity is ordered. Default as in `predictive`.
    pub(crate) scheduling_buffer: Option<Span>,
    /// The same as `scheduling_buffer`. A plain number below 60 is minutes here.
    pub(crate) pre_scale_buffer: Option<Span>,
}

/// A minimum at certain times, in the platform's time zone.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scheduled {
    pub(crate) cron: Cron,
    pub(crate) duration: Length,
    /// At least so many units while it lasts.
    pub(crate) floor: u32,
}
