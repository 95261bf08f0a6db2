//! Why something was decided: every reason has a stable code to branch on and a sentence to read.

mod sentence;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::name::{DimensionKey, GroupName};
use crate::platform::Phase;
use crate::units::{Ratio, Units};

/// One reason of a decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Reason {
    /// The measured load needs so many units.
    MeasuredLoad {
        /// Its metric.
        metric: String,
        /// The load.
        load: f64,
        /// What one unit should carry.
        per_unit: f64,
        /// Units needed.
        needed: Units,
    },
    /// What waits in a queue needs so many units, beside what arrives.
    Backlog {
        /// Its metric.
        metric: String,
        /// What waits.
        backlog: f64,
        /// What arrives, where that is known.
        arriving: Option<f64>,
        /// Seconds in which the backlog should be gone.
        drain_s: u64,
        /// What one unit should carry of what arrives, where that is known; else the backlog it may have.
        per_unit: f64,
        /// Units needed.
        needed: Units,
    },
    /// The forecast load needs so many units.
    ForecastLoad {
        /// Its metric.
        metric: String,
        /// The load.
        load: f64,
        /// The quantile it is.
        level: f64,
        /// When it is expected.
        at: Timestamp,
        /// What one unit should carry.
        per_unit: f64,
        /// Units needed.
        needed: Units,
    },
    /// How the objective was kept, and how strictly it is aimed at because of that.
    ObjectiveKept {
        /// The metric.
        metric: String,
        /// The share of minutes that is promised to have enough units.
        objective: Ratio,
        /// The share that had enough.
        kept: Ratio,
        /// How many days of minutes are known.
        days: f64,
        /// How many times the usual share of short minutes is aimed at.
        times: f64,
    },
    /// The number of units with the lowest expected cost in the lead window.
    LeadWindow {
        /// Its metric.
        metric: String,
        /// The load that the units carry.
        load: f64,
        /// The chance that the load is higher all the same.
        chance: f64,
        /// What one unit carries.
        per_unit: f64,
        /// Units needed.
        needed: Units,
    },
    /// The next decision cannot add enough at once for what is expected after the lead window, so a part is ordered now.
    BegunBefore {
        /// Its metric.
        metric: String,
        /// Units that are expected to be needed then.
        later: Units,
        /// What one unit carries.
        per_unit: f64,
        /// The most that one decision may add, in percent.
        percent: f64,
        /// Units needed now.
        needed: Units,
    },
    /// The load may rise so far before a unit that was not started beforehand could serve.
    StandsBy {
        /// Its metric.
        metric: String,
        /// How far.
        load: f64,
        /// The chance that it rises further.
        chance: f64,
        /// What one unit carries.
        per_unit: f64,
        /// Units that will serve.
        set: Units,
        /// Units that should stand by beside them.
        needed: Units,
    },
    /// Latency is above its limit.
    Latency {
        /// Its metric.
        metric: String,
        /// The value.
        value: f64,
        /// Its limit.
        limit: f64,
        /// For how many seconds it has been above it.
        #[serde(default)]
        over_s: u32,
        /// Units it asks for; `None` in decisions of earlier versions, which always asked for one more.
        #[serde(default)]
        needed: Option<Units>,
    },
    /// A step policy acted.
    StepPolicy {
        /// Its metric.
        metric: String,
        /// Percent of utilisation.
        utilization: f64,
        /// Units it asks for.
        needed: Units,
    },
    /// A step policy asks for fewer units, and no other source needs more.
    StepPolicyIn {
        /// Its metric.
        metric: String,
        /// Percent of utilisation.
        utilization: f64,
        /// Units that remain.
        needed: Units,
    },
    /// The calendar asks for a floor.
    EventFloor {
        /// The event.
        event: String,
        /// Its floor.
        floor: Units,
    },
    /// The calendar multiplies what is expected.
    EventMultiplies {
        /// The event.
        event: String,
        /// The factor.
        factor: f64,
    },
    /// A person asked for it.
    Manual {
        /// Units asked for.
        asked: Units,
    },
    /// A person asked for a floor until a time.
    Override {
        /// Units to have.
        floor: Units,
        /// Who, or why.
        by: String,
        /// Until when.
        until: Timestamp,
    },
    /// What serves while nothing is set is enough.
    ServesAtNone {
        /// Units needed.
        needed: Units,
    },
    /// What is set is what is needed.
    Enough {
        /// Units set.
        set: Units,
    },
    /// The capacity is not known.
    CapacityUnknown {
        /// Why.
        why: String,
    },
    /// A metric is not known.
    MetricUnknown {
        /// Why.
        why: String,
    },
    /// The units that were ready could carry no more, so the load was at least what is measured.
    LowerBound {
        /// Which metric.
        metric: String,
    },
    /// Nothing says how much is needed.
    NothingMeasured,
    /// The dimension cannot be scaled yet.
    NoAdapter {
        /// The resource's type.
        resource_type: String,
    },
    /// There is no forecast, so the measured load counts.
    NoForecast {
        /// Its metric.
        metric: String,
        /// Why.
        why: String,
    },
    /// No forecast was made in this cycle, and an earlier one still counts.
    EarlierForecast {
        /// When it was made.
        made_at: Timestamp,
    },
    /// The forecast is not trusted enough to scale out by.
    NotTrusted {
        /// How far it is trusted.
        confidence: Ratio,
        /// How far it would have to be.
        needed: Ratio,
    },
    /// The operator's bounds.
    Bounds {
        /// Units needed.
        needed: Units,
        /// The nearest within the bounds.
        allowed: Units,
    },
    /// Bounds that AWS enforces.
    AwsBounds {
        /// Units wanted.
        wanted: Units,
        /// The nearest that AWS accepts.
        allowed: Units,
    },
    /// Something is in progress on the resource.
    Busy {
        /// What.
        what: String,
    },
    /// AWS lacks what was asked for, so that there are fewer units than are set.
    Unavailable {
        /// Why.
        why: String,
    },
    /// A metric is unknown, so nothing is scaled in.
    UnknownNeverScalesIn,
    /// The calendar forbids to scale in.
    NoScaleIn {
        /// The event.
        event: String,
    },
    /// The cooldown after the last change has not passed.
    Cooldown {
        /// Seconds left.
        left_s: i64,
    },
    /// AWS has no way to make it smaller.
    OnlyGrows,
    /// Another dimension of the resource changes first.
    OneAtATime {
        /// Which.
        other: DimensionKey,
    },
    /// What a throttle protects has less than its load needs, or was not seen.
    Protects {
        /// What it protects.
        group: GroupName,
    },
    /// No more decreases today, or this hour.
    DecreasesSpent,
    /// No more changes within 24 hours.
    ChangesSpent {
        /// How many AWS allows.
        daily: u32,
    },
    /// The last changes are kept for scaling out.
    ChangesKept {
        /// Changes left.
        left: u32,
    },
    /// AWS takes the next change only after some hours.
    ChangeSpaced {
        /// Seconds left.
        left_s: i64,
    },
    /// AWS takes no step as small as that.
    LeastStep {
        /// Units of the smallest.
        least: u32,
    },
    /// A change that is too small for what is left of them.
    ChangeSaved {
        /// Changes left.
        left: u32,
        /// Units that the next one should move.
        least: u32,
    },
    /// A decrease that is too small for what is left of them.
    DecreaseSaved {
        /// Decreases left.
        left: u32,
        /// Units that the next one should take off.
        least: u32,
    },
    /// Changes of the resource kept failing.
    BreakerOpen {
        /// When one is tried again.
        until: Timestamp,
    },
    /// One unit shows whether changes of the resource work again.
    BreakerHalfOpen,
    /// A person paused it.
    Paused {
        /// Who, or why.
        by: String,
        /// Until when.
        until: Timestamp,
    },
    /// The direction changed too often within an hour.
    TurnsTooOften {
        /// Changes of direction, with this one.
        turns: u32,
        /// Changes of direction allowed.
        most: u32,
    },
    /// What would be removed is forecast to be needed again before it could be replaced.
    StraightBack {
        /// Units kept.
        allowed: Units,
    },
    /// The forecast is not trusted enough to scale in by.
    NotTrustedIn {
        /// How far it is trusted.
        confidence: Ratio,
        /// How far it would have to be.
        needed: Ratio,
    },
    /// The change is too small to be worth one.
    Minor {
        /// Units wanted.
        wanted: Units,
    },
    /// The load of the newest hour was very unlike its forecast.
    Burst {
        /// Its metric.
        metric: String,
        /// How unlike, from zero to one.
        anomaly: Ratio,
    },
    /// The dependency accepts no more connections.
    Connections {
        /// The dependency.
        target: GroupName,
        /// The units of all resources of this group for which it accepts connections.
        most: Units,
        /// Units allowed here.
        allowed: Units,
    },
    /// The budget allows no more.
    Budget {
        /// What the platform may cost an hour.
        limit: f64,
        /// What it would cost.
        total: f64,
        /// Units allowed here.
        allowed: Units,
    },
    /// Part of the change rests on the forecast alone, which is limited.
    PredictiveLimit {
        /// The limit in percent of the capacity.
        percent: f64,
        /// Units allowed.
        allowed: Units,
    },
    /// The rollout phase allows a share of the change.
    PhaseShare {
        /// The phase.
        phase: Phase,
        /// Units allowed.
        allowed: Units,
    },
    /// The most that may change in one cycle.
    Pace {
        /// Units wanted.
        wanted: Units,
        /// Units allowed.
        allowed: Units,
    },
}
