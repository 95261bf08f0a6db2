//! How a platform may be scaled: policies, order, guardrails, calendar, and what is told to people.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::name::{GroupName, ResourceId};
use crate::scalar::{Cron, Length};
use crate::units::{Ratio, Units};

/// The tier's own scaling policies, over the platform's defaults.
#[derive(Clone, Debug)]
pub struct GroupPolicy {
    /// Whether forecasts may scale this tier.
    pub predictive: bool,
    /// How much earlier than needed capacity is ordered.
    pub scheduling_buffer: Duration,
    /// How long the cooldown after a change lasts before the next one out, and in.
    pub cooldown: Cooldown,
    /// Steps to take when the measured utilisation passes a bound.
    pub steps: Vec<StepRule>,
    /// Whether its resources change together; else one after the other.
    pub parallel: bool,
    /// Whether a plan that changes it is rolled back when a wave fails.
    pub rollback: bool,
}

/// How long the cooldown after a change lasts before the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cooldown {
    /// Before a scale-out.
    pub out: Duration,
    /// Before a scale-in.
    pub inward: Duration,
}

/// One rule of a step policy.
#[derive(Clone, Debug, PartialEq)]
pub struct StepRule {
    /// The metric it watches, by the name of the derived metric (`cpu`, `memory`).
    pub metric: String,
    /// When it acts.
    pub bound: StepBound,
    /// What it does.
    pub change: StepAdjustment,
}

/// When a step rule acts, in percent of utilisation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StepBound {
    /// At or above: adds.
    Above(f64),
    /// At or below: removes.
    Below(f64),
}

/// How much a step rule changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StepAdjustment {
    /// So many units.
    Units(u32),
    /// So many percent of the capacity.
    Percent(f64),
}

/// How far forecasts are made and trusted.
#[derive(Clone, Debug)]
pub struct Predictive {
    /// How far ahead is forecast.
    pub horizon: Duration,
    /// How much history a forecast learns from.
    pub training_period: Duration,
    /// Confidence from which a forecast may scale out.
    pub scale_out_confidence: Ratio,
    /// Confidence from which a forecast may scale in.
    pub scale_in_confidence: Ratio,
    /// The largest change that rests on a forecast alone, as a share of the capacity.
    pub predictive_change_max: f64,
    /// Share of the minutes in which no unit carries more than it can.
    pub objective: Ratio,
    /// How often models are trained anew; `None` for never.
    pub retrain: Option<Duration>,
    /// Whether the measured load is followed while there is no forecast.
    pub reactive_fallback: bool,
    /// How long a forecast may be missing before the last one no longer counts.
    pub stale_after: Duration,
}

impl Predictive {
    /// How long history is kept after it was read: as long as CloudWatch keeps five-minute means, and a week more.
    pub const HISTORY_KEPT_DAYS: i64 = 70;
}

/// The order of things.
#[derive(Clone, Debug)]
pub struct Orchestration {
    /// How much may run together.
    pub strategy: Strategy,
    /// The length of a cycle.
    pub cycle: Duration,
    /// Groups in layers: first scales out first, in last. Every group is in exactly one layer.
    pub layers: Vec<Vec<GroupName>>,
    /// Which group uses which.
    pub dependencies: Vec<Dependency>,
    /// What must hold after a wave.
    pub checks: Vec<HealthCheck>,
    /// Whether waves begun are undone when one fails.
    pub rollback_on_failure: bool,
    /// How much is done.
    pub phase: Phase,
    /// Whether phases move by measured accuracy.
    pub auto_promote: bool,
}

/// How much of a plan may run together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Tiers in order.
    Coordinated,
    /// One resource at a time, in the order of the tiers.
    Sequential,
    /// Everything together, except where a dependency says otherwise.
    Parallel,
}

/// How much the forecast is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Decides and records; changes nothing.
    Observe,
    /// A quarter of every change.
    Limited,
    /// Every change, with the reactive fallback.
    Full,
    /// Every change, with what was learned.
    Optimized,
}

impl Phase {
    /// The phase as it is written in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Observe => "observe",
            Phase::Limited => "limited",
            Phase::Full => "full",
            Phase::Optimized => "optimized",
        }
    }
}

/// `source` uses `target`: the target scales out first and in last.
#[derive(Clone, Debug, PartialEq)]
pub struct Dependency {
    /// The group that depends.
    pub source: GroupName,
    /// The group it depends on.
    pub target: GroupName,
    /// How long the source waits for the target to be healthy, where the operator says so.
    pub timeout: Option<Duration>,
    /// Connections, where they are limited.
    pub connections: Option<Connections>,
}

/// Connections along a dependency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Connections {
    /// Held by one unit of the source.
    pub per_unit: f64,
    /// Taken by the target in all.
    pub limit: f64,
}

/// A check that must hold after a wave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// The group whose waves it guards.
    pub group: GroupName,
    /// The one resource concerned; otherwise the whole group.
    pub resource: Option<ResourceId>,
    /// What is checked.
    pub probe: Probe,
    /// How long one attempt may take.
    pub timeout: Duration,
}

/// What a health check does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// HTTP GET of a URL; 200 to 399 is healthy.
    Http(String),
    /// HTTP GET of a path on the load balancer of the resource; 200 to 399 is healthy.
    HttpOnBalancer {
        /// Such as `/health`.
        path: String,
        /// The name of the site that is asked for, if not the load balancer's own.
        host: Option<String>,
    },
    /// TCP connect.
    Tcp {
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// The resource's own connection: the table is ACTIVE, the cluster available.
    Reachable,
    /// The load balancer's view of the targets.
    TargetHealth,
    /// Capacity reached and healthy; always checked, whether written or not.
    Capacity,
    /// The CloudWatch alarm is not in ALARM.
    Alarm(String),
}

/// Limits that hold whatever a forecast says.
#[derive(Clone, Debug)]
pub struct Guardrails {
    /// The most added in a cycle, as a share of the capacity: 2 for +200 %.
    pub out_share_max: f64,
    /// The most removed in a cycle, as a share of the capacity: 0.5 for -50 %.
    pub in_share_max: f64,
    /// Failures in a row that open a resource's circuit breaker.
    pub breaker_failures: u32,
    /// How long it stays open.
    pub breaker_open: Duration,
    /// How often a dimension may turn between out and in within an hour.
    pub direction_changes_hourly: u32,
    /// What the platform's capacity may cost.
    pub budget: Budget,
}

/// What a platform's capacity may cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    /// In an hour.
    pub hourly: Option<f64>,
    /// In a month.
    pub monthly: Option<f64>,
    /// ISO 4217 code, for display.
    pub currency: String,
}

/// Something known in advance.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its name, for reasons.
    pub name: String,
    /// When it is.
    pub when: When,
    /// The groups concerned; empty for all.
    pub groups: Vec<GroupName>,
    /// What it means.
    pub effect: Effect,
}

impl Event {
    /// Whether it is for a group.
    pub fn concerns(&self, group: &GroupName) -> bool {
        self.groups.is_empty() || self.groups.contains(group)
    }
}

/// When an event is.
#[derive(Clone, Debug)]
pub enum When {
    /// Once.
    Once {
        /// First instant.
        from: Timestamp,
        /// First instant after.
        to: Timestamp,
    },
    /// Again and again, in the platform's time zone.
    Every {
        /// When it starts.
        cron: Cron,
        /// How long it lasts.
        duration: Length,
    },
}

/// What an event means for the groups concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Effect {
    /// The expected load is multiplied by this.
    pub multiply: Option<f64>,
    /// At least so many units.
    pub floor: Option<Units>,
    /// Nothing is scaled in.
    pub no_scale_in: bool,
}

/// What is told to people.
#[derive(Clone, Debug, Default)]
pub struct Monitoring {
    /// Figures to publish.
    pub figures: Vec<Figure>,
    /// Sentences about the figures that should not be true.
    pub alerts: Vec<Alert>,
    /// An SNS topic besides the stack's own.
    pub notify: Option<String>,
    /// Groups whose dimensions publish figures of their own.
    pub dimension_metrics: Vec<GroupName>,
}

/// A sentence about a figure that should not be true.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// Its name.
    pub name: String,
    /// The figure it watches.
    pub figure: Figure,
    /// Over how long.
    pub window: Duration,
    /// On which side of the limit it is raised.
    pub comparison: Comparison,
    /// In the figure's own unit.
    pub limit: f64,
    /// What whoever reads it should do.
    pub action: Option<String>,
}

impl Alert {
    /// The longest time that an alert may look back, and so how long it is remembered what was scaled.
    pub const LOOK_BACK_MAX: Duration = Duration::from_secs(86_400);
}

/// On which side of its limit an alert is raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Above the limit.
    Above,
    /// Above the limit, or at it.
    AtLeast,
    /// Below the limit.
    Below,
    /// Below the limit, or at it.
    AtMost,
}

impl Monitoring {
    /// Whether it must be remembered what was scaled: an alert looks back on it, or a figure.
    pub fn looks_back(&self) -> bool {
        let recent = |figure: &Figure| matches!(figure, Figure::ScalingEvents | Figure::ScalingDuration);
        !self.alerts.is_empty() || self.figures.iter().any(recent)
    }
}

/// A figure about the scaling itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    /// Steps carried out.
    ScalingEvents,
    /// Mean seconds from a step's start to the end of its wave, when its capacity is there and healthy.
    ScalingDuration,
    /// Percent of forecasts whose band held what came.
    ScalingAccuracy,
    /// Percent saved this month against holding its largest capacity all the time.
    CostOptimization,
    /// What the capacity costs an hour, in the budget's currency.
    CapacityCost,
}

impl Figure {
    /// All there are.
    pub const ALL: [Figure; 5] = [
        Figure::ScalingEvents,
        Figure::ScalingDuration,
        Figure::ScalingAccuracy,
        Figure::CostOptimization,
        Figure::CapacityCost,
    ];

    /// Whether every cycle knows it, so that an alert on it lasts as long as it is true. The others are judged when something was
    /// scaled.
    pub fn is_lasting(self) -> bool {
        matches!(self, Figure::ScalingAccuracy | Figure::CostOptimization | Figure::CapacityCost)
    }

    /// Why an alert on this figure can never be raised, if so.
    pub fn never_raised(self, comparison: Comparison) -> Option<&'static str> {
        match (self, comparison) {
            (Figure::ScalingEvents, Comparison::Below | Comparison::AtMost) => {
                Some("it is judged when something was scaled, so it can never tell that nothing was")
            }
            _ => None,
        }
    }
}
