//! Decisions: from what was seen and what is forecast to what each dimension should have, with every reason.

pub mod forecast_fallback;
mod guardrails;
mod platform_limits;
#[cfg(test)]
mod platform_limits_tests;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::demand::{DemandSource, Need, measured_units, needs};
use crate::forecast::MetricForecast;
use crate::name::{DimensionKey, GroupName, ResourceId};
use crate::observe::{Capacity, Observation, Observed};
use crate::platform::{Measure, Metric, Mode, Phase, Place, Rate};
use crate::reason::Reason;
use crate::state::{LeadWindow, LeadWindows};
use crate::units::{Direction, Ratio, Units};
use crate::world::{Change, World};

/// The quantiles between which nine out of ten outcomes should lie.
pub const BAND: (f64, f64) = (0.05, 0.95);

/// What a decision expected of a metric, to be judged later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// The metric's name in its dimension.
    pub metric: String,
    /// The load that one of twenty outcomes should be below.
    pub low: f64,
    /// The load that one of twenty outcomes should be above.
    pub high: f64,
    /// The load that half of the outcomes should be below; `None` in decisions of earlier versions.
    #[serde(default)]
    pub middle: Option<f64>,
}

/// Hold or change, for one dimension, with every reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Which dimension.
    pub key: DimensionKey,
    /// Of which group.
    pub group: GroupName,
    /// Of which resource.
    pub resource: ResourceId,
    /// How its capacity is set.
    pub mode: Mode,
    /// Units set now; `None` where that is unknown.
    pub observed: Option<Units>,
    /// Units ready now.
    pub ready: Option<Units>,
    /// Units by the newest measured load alone, to compare with later.
    #[serde(default)]
    pub measured: Option<Units>,
    /// Units that the load needs.
    pub needed: Option<Units>,
    /// Units wanted within the operator's bounds.
    pub wanted: Option<Units>,
    /// Units after the guardrails: what the plan will set. The same as `observed` to hold.
    pub target: Option<Units>,
    /// Whose demand decided.
    #[serde(rename = "strategy")]
    pub source: Option<DemandSource>,
    /// How far the forecast is trusted.
    pub confidence: Option<Ratio>,
    /// The phase that counted.
    #[serde(default)]
    pub phase: Option<Phase>,
    /// Where the loads are expected to be when this decision is judged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expected: Vec<Expected>,
    /// What its capacity costs an hour now, in the budget's currency.
    #[serde(default)]
    pub cost_hourly: f64,
    /// What that is for a thousand of what its load counts, such as requests; `None` where the load counts nothing.
    #[serde(default)]
    pub cost_per_thousand: Option<f64>,
    /// What the change costs or saves an hour, in the budget's currency; zero to hold.
    #[serde(default)]
    pub cost_hourly_change: f64,
    /// Seconds until the change should be complete: as long as this resource usually takes; none to hold or to scale in.
    #[serde(default)]
    pub complete_in_s: Option<u64>,
    /// Why, in the order in which it was considered.
    pub reasons: Vec<Reason>,
}

impl Decision {
    /// Nothing is known or wanted of a dimension yet.
    pub(crate) fn undecided(place: Place<'_>) -> Decision {
        Decision {
            key: place.dimension.key.clone(),
            group: place.group.name.clone(),
            resource: place.resource.id.clone(),
            mode: place.resource.mode.unwrap_or(Mode::Desired),
            observed: None,
            ready: None,
            measured: None,
            needed: None,
            wanted: None,
            target: None,
            source: None,
            confidence: None,
            phase: None,
            expected: Vec::new(),
            cost_hourly: 0.0,
            cost_per_thousand: None,
            cost_hourly_change: 0.0,
            complete_in_s: None,
            reasons: Vec::new(),
        }
    }

    /// What is to change, if anything.
    pub fn change(&self) -> Option<(Units, Units)> {
        self.observed.zip(self.target).filter(|(observed, target)| observed != target)
    }

    /// Whether it changes out or in, if it changes.
    pub fn direction(&self) -> Option<Direction> {
        self.change().map(|(from, to)| Direction::of(from, to))
    }
}

/// One decision for every dimension of the platform.
pub fn decide(world: &World<'_>) -> Vec<Decision> {
    let windows = LeadWindows::of(world.platform, world.state);
    let mut decisions: Vec<Decision> = {
        let mut changes: BTreeMap<&DimensionKey, Vec<&Change>> = BTreeMap::new();
        world.changes.iter().for_each(|change| changes.entry(&change.key).or_default().push(change));
        let of = |place: Place<'_>| changes.get(&place.dimension.key).map_or(&[][..], Vec::as_slice);
        let decided =
            |place: Place<'_>| decided(world, place, windows.window(place.group, place.resource), of(place));
        world.platform.dimensions().map(decided).collect()
    };
    platform_limits::fit(world, &mut decisions);
    // It looks at every resource: once for all decisions.
    let delay = windows.judging_delay();
    world
        .platform
        .dimensions()
        .zip(&mut decisions)
        .for_each(|(place, decision)| finish(world, place, delay, decision));
    decisions
}

/// The decision for one dimension alone, as if the platform had no other.
pub fn decision(world: &World<'_>, place: Place<'_>) -> Decision {
    let windows = LeadWindows::of(world.platform, world.state);
    let mine = world.changes.iter().filter(|change| change.key == place.dimension.key);
    let changes: Vec<&Change> = mine.collect();
    let mut decision = decided(world, place, windows.window(place.group, place.resource), &changes);
    finish(world, place, windows.judging_delay(), &mut decision);
    decision
}

/// Completes a decision that is final: what it costs, and what is expected of the load when it is judged, `delay` from now.
fn finish(world: &World<'_>, place: Place<'_>, delay: Duration, decision: &mut Decision) {
    impact(world, place, decision);
    if decision.observed.is_some() {
        decision.expected = expected(world, place, delay);
    }
}

fn decided(world: &World<'_>, place: Place<'_>, window: LeadWindow, changes: &[&Change]) -> Decision {
    let mut decision = Decision { phase: Some(world.phase()), ..Decision::undecided(place) };
    match seen(world, place) {
        Ok((capacity, observation)) => {
            decide_known(world, (place, window), (capacity, observation, changes), &mut decision)
        }
        Err(reason) => decision.reasons.push(reason),
    }
    decision
}

/// What has to be set for a need: nothing where what serves anyway is enough. Who asks for units by name gets them.
fn to_set(place: Place<'_>, need: &Need) -> Units {
    let is_asked_for = matches!(need.source, DemandSource::Manual | DemandSource::Scheduled);
    let serves = !is_asked_for && need.units <= place.dimension.facts.serves_at_none;
    if serves { Units(0) } else { need.units }
}

/// A step out is at least as large as the smallest that AWS takes.
fn whole_step(place: Place<'_>, set: Units, wanted: Units) -> Units {
    let least = Units(set.0.saturating_add(place.dimension.facts.least_step(set)));
    if set < wanted { place.dimension.bounds.clamp(wanted.max(least)) } else { wanted }
}

/// What a change costs and how long it takes.
fn impact(world: &World<'_>, place: Place<'_>, decision: &mut Decision) {
    let Some((from, to)) = decision.change() else { return };
    decision.cost_hourly_change = (to.real() - from.real()) * place.dimension.unit_cost_hourly;
    let goes_out = Direction::of(from, to) == Direction::Out;
    decision.complete_in_s = goes_out.then(|| world.provisioning(place).as_secs());
}

/// Where forecasts expect the loads in the middle of the cycle in which this decision is judged.
fn expected(world: &World<'_>, place: Place<'_>, delay: Duration) -> Vec<Expected> {
    let ahead = delay.saturating_sub(world.platform.orchestration.cycle / 2);
    let Ok(from) = world.now.checked_add(ahead) else { return Vec::new() };
    let Ok(to) = from.checked_add(Duration::from_secs(1)) else { return Vec::new() };
    let of = |made: &MetricForecast| {
        let forecast = made.outcome.as_ref().ok()?;
        let at = |level: f64| forecast.peak(level, from, to).map(|peak| peak.load);
        Some(Expected { metric: made.metric.clone(), low: at(BAND.0)?, high: at(BAND.1)?, middle: at(0.5) })
    };
    world.forecasts.get(&place.dimension.key).into_iter().flatten().filter_map(of).collect()
}

/// What a thousand of what a load counts cost, at `hourly` an hour. A level, such as a utilisation, counts nothing.
fn per_thousand(place: Place<'_>, observation: &Observation, hourly: f64) -> Option<f64> {
    let count = |metric: &Metric| {
        let load = observation.load(&metric.name)?.mean;
        let times = match (&metric.measure, metric.query.as_ref()?.rate) {
            (Measure::Load { .. }, Rate::PerMinute) => 60.0,
            (Measure::Load { .. }, Rate::PerSecond) => 3_600.0,
            _ => return None,
        };
        (0.0 < load && 0.0 < hourly).then_some(load * times)
    };
    Some(hourly / place.dimension.metrics.iter().find_map(count)? * 1_000.0)
}

/// The capacity of a dimension, or the reason to hold it.
fn seen<'a>(world: &World<'a>, place: Place<'_>) -> Result<(&'a Capacity, &'a Observation), Reason> {
    if !place.dimension.facts.is_served {
        return Err(Reason::NoAdapter { resource_type: place.resource.kind.type_name().to_owned() });
    }
    let Some(observation) = world.observations.get(&place.dimension.key) else {
        return Err(Reason::CapacityUnknown { why: "it was not observed in this cycle".to_owned() });
    };
    match &observation.capacity {
        Observed::Known(capacity) => Ok((capacity, observation)),
        Observed::Unknown(why) => Err(Reason::CapacityUnknown { why: why.clone() }),
    }
}

fn decide_known(
    world: &World<'_>,
    (place, window): (Place<'_>, LeadWindow),
    (capacity, observation, changes): (&Capacity, &Observation, &[&Change]),
    decision: &mut Decision,
) {
    decision.mode = capacity.mode;
    decision.observed = Some(capacity.set);
    decision.ready = Some(capacity.ready);
    decision.target = Some(capacity.set);
    let target = |metric: &Metric| world.planned(place, metric).measure.target_per_unit();
    decision.measured = measured_units(place, observation, target);
    let units = capacity.set.max(capacity.ready).real();
    decision.cost_hourly = units * place.dimension.unit_cost_hourly;
    decision.cost_per_thousand = per_thousand(place, observation, decision.cost_hourly);
    let lacking = capacity.unavailable.as_ref().map(|why| Reason::Unavailable { why: why.clone() });
    decision.reasons.extend(lacking);
    let needs = needs(world, place, window, capacity, observation);
    decision.confidence = needs.confidence;
    decision.reasons.extend(needs.reasons.iter().cloned());
    let Some(need) = needs.decisive(capacity.set) else {
        decision.reasons.push(Reason::NothingMeasured);
        return;
    };
    let needed = to_set(place, &need);
    let within = place.dimension.bounds.clamp(needed);
    let wanted = whole_step(place, capacity.set, within);
    decision.needed = Some(needed);
    decision.wanted = Some(wanted);
    decision.source = Some(need.source);
    decision.reasons.push(need.reason.clone());
    if needed != need.units {
        decision.reasons.push(Reason::ServesAtNone { needed: need.units });
    }
    if within != needed {
        decision.reasons.push(Reason::Bounds { needed, allowed: within });
    }
    if wanted == capacity.set {
        decision.reasons.push(Reason::Enough { set: capacity.set });
        return;
    }
    let need = Need { units: needed, ..need };
    let facts = guardrails::GuardrailFacts { world, place, capacity, needs: &needs, need: &need, changes };
    let (target, reasons) = guardrails::apply(&facts, wanted);
    decision.target = Some(target);
    decision.reasons.extend(reasons);
}
