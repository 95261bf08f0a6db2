//! Warm pools: units that are started beforehand and stopped again, for what may be needed sooner than a new unit can be ready.

use jiff::Timestamp;

use super::facts::{DemandFacts, LEVEL};
use super::need::{DemandSource, Need, Needs, Pair};
use super::newsvendor;
use crate::observe::Observed;
use crate::platform::{Metric, Place};
use crate::reason::Reason;
use crate::units::{Ratio, Units};

/// Units that the load may need before a unit that was not started beforehand could serve, beyond those that will be set. Without a
/// trusted forecast nothing says how many, so that none is added and none taken away.
pub(super) fn standing_by(facts: &DemandFacts<'_>) -> Needs {
    let Some(name) = facts.place.dimension.facts.stands_by_for else { return Needs::default() };
    if facts.place.dimension.bounds.max() == Units(0) {
        // The file says so, whatever is known of the load.
        let (units, source) = (Units(0), DemandSource::Manual);
        let none = Need { units, source, reason: Reason::Manual { asked: units } };
        return Needs { manual: Some(none), ..Needs::default() };
    }
    let serving = match serving(facts, name) {
        Ok(serving) => serving,
        Err(why) => return nothing_known(Reason::CapacityUnknown { why }),
    };
    let set = to_be_set(&serving);
    let metrics = serving.place.dimension.metrics.iter();
    let rises =
        metrics.filter(|metric| metric.measure.is_foreseen()).map(|metric| rise(facts, &serving, metric));
    let mut needs = Needs::default();
    for rise in rises {
        needs.add(match rise {
            Ok(rise) => rise.beyond(set, &serving),
            Err(reason) => nothing_known(reason),
        });
    }
    needs
}

/// No unit is asked for, and what stands stays.
fn nothing_known(reason: Reason) -> Needs {
    let none = Need { units: Units(0), source: DemandSource::Predictive, reason };
    Needs { predictive: Some(Pair::both(none)), complete: false, ..Needs::default() }
}

/// What the pool stands by for: another dimension of the same resource.
fn serving<'a>(facts: &DemandFacts<'a>, name: &str) -> Result<DemandFacts<'a>, String> {
    let mut dimensions = facts.place.resource.dimensions.iter();
    let dimension = dimensions.find(|dimension| dimension.key.dimension == name);
    let dimension = dimension.ok_or_else(|| format!("there is no {name} to stand by for"))?;
    let observation = facts.world.observations.get(&dimension.key);
    let observation =
        observation.ok_or_else(|| format!("{} was not observed in this cycle", dimension.key))?;
    match &observation.capacity {
        Observed::Known(capacity) => {
            let place = Place { dimension, ..facts.place };
            Ok(DemandFacts::of(facts.world, place, facts.window, (capacity, observation)))
        }
        Observed::Unknown(why) => Err(why.clone()),
    }
}

/// What this cycle will set of what serves, before the guardrails.
fn to_be_set(serving: &DemandFacts<'_>) -> Units {
    let DemandFacts { world, place, window, capacity, observation, .. } = *serving;
    let needs = super::needs(world, place, window, capacity, observation);
    let need = needs.decisive(capacity.set).map_or(capacity.set, |need| need.units);
    place.dimension.bounds.clamp(need)
}

/// How far a load may rise before a unit that was not started beforehand could serve.
struct Rise {
    metric: String,
    /// To add units for, and to keep them for.
    loads: (f64, f64),
    /// The chance that it rises further than the first.
    chance: f64,
    per_unit: f64,
    confidence: Ratio,
}

impl Rise {
    fn beyond(self, set: Units, serving: &DemandFacts<'_>) -> Needs {
        let most = serving.place.dimension.bounds.max();
        let need = |load: f64| {
            let total = Units::at_least(load / self.per_unit).min(most);
            let needed = Units(total.0.saturating_sub(set.0));
            let (metric, chance, per_unit) = (self.metric.clone(), self.chance, self.per_unit);
            let reason = Reason::StandsBy { metric, load, chance, per_unit, set, needed };
            Need { units: needed, source: DemandSource::Predictive, reason }
        };
        let (out, keep) = (need(self.loads.0), need(self.loads.1));
        let pair = Pair { keep: if keep.units < out.units { out.clone() } else { keep }, out };
        Needs { predictive: Some(pair), confidence: Some(self.confidence), ..Needs::default() }
    }
}

fn rise(facts: &DemandFacts<'_>, serving: &DemandFacts<'_>, metric: &Metric) -> Result<Rise, Reason> {
    let metric = serving.planned(metric);
    let chance = chance_worth_a_unit(facts, serving, &metric);
    let lead = match serving.lead(&metric) {
        Some(Ok(lead)) => Some(lead),
        Some(Err(reason)) => return Err(reason),
        None => None,
    };
    let horizon = serving.reaching(&metric);
    let peak = |until: Timestamp| horizon.as_ref().ok()?.peak(LEVEL, facts.world.now, until);
    let peak = |until: Timestamp| peak(until).map_or(0.0, |peak| peak.load);
    let least = lead.map_or(0.0, |lead| lead.whole.quantile(1.0 - chance));
    let confidence =
        lead.map(|lead| lead.confidence).or(horizon.as_ref().ok().map(|forecast| forecast.confidence));
    let (Some(confidence), Some(per_unit)) = (confidence, metric.measure.carried_per_unit()) else {
        let why = horizon.err().flatten().unwrap_or_else(|| "its group goes by the measured load".to_owned());
        return Err(Reason::NoForecast { metric: metric.name.clone(), why });
    };
    let loads = (least.max(peak(without_a_pool(facts))), least.max(peak(facts.keep)));
    Ok(Rise { metric: metric.name.clone(), loads, chance, per_unit, confidence })
}

/// When a unit that is ordered now and was not started beforehand has served for a cycle. What was learned of the resource's time
/// is that with the pool.
fn without_a_pool(facts: &DemandFacts<'_>) -> Timestamp {
    let length = facts.place.resource.provisioning + facts.window.cycle;
    facts.world.now.checked_add(length).unwrap_or(Timestamp::MAX).max(facts.lead)
}

/// The chance of a need for which a unit in the pool is worth its price. A serving unit is worth it at the share of short minutes
/// that is aimed at, and one in the pool at so much less as it is cheaper.
fn chance_worth_a_unit(facts: &DemandFacts<'_>, serving: &DemandFacts<'_>, metric: &Metric) -> f64 {
    /// Where prices say nothing, and so that no price makes a need certain.
    const TIMES: (f64, f64) = (0.01, 1.0);
    let objective = newsvendor::objective(facts.world.platform.predictive.objective, serving.capacity.mode);
    let feedback = serving.made(metric).and_then(|made| made.objective_feedback).unwrap_or_default();
    let (own, other) = (facts.place.dimension.unit_cost_hourly, serving.place.dimension.unit_cost_hourly);
    let times = if 0.0 < other { (own / other).clamp(TIMES.0, TIMES.1) } else { TIMES.1 };
    newsvendor::aimed_share(objective, feedback.exponent) * times
}
