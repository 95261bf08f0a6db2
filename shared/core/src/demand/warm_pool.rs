//! Warm pools: units that are started beforehand and stopped again, for what may be needed sooner than a new unit can be ready.

use jiff::Timestamp;

use super::facts::{DemandFacts, LEVEL};
use super::need::{DemandSource, Need, Needs, Pair};
use super::newsvendor;
use crate::observe::Observed;
use crate::platform::{Metric, Mode, Place};
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
    let needs_served =
        super::needs(facts.world, serving.place, facts.window, serving.capacity, serving.observation);
    let set = will_serve(&serving, &needs_served);
    let metrics = serving.place.dimension.metrics.iter();
    let rises =
        metrics.filter(|metric| metric.measure.is_foreseen()).map(|metric| rise(facts, &serving, metric));
    // Where it is not known what serves, or the load is unlike all forecasts, no unit is taken away.
    let is_odd = needs_served.reasons.iter().any(|reason| matches!(reason, Reason::Burst { .. }));
    let mut needs = Needs { complete: needs_served.complete && !is_odd, ..Needs::default() };
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

/// Units that will serve: those that are set, and no more of what is only wanted, because pace and limits may not allow it; fewer
/// where fewer are wanted. Above a floor it is what AWS itself has.
fn will_serve(serving: &DemandFacts<'_>, needs: &Needs) -> Units {
    let capacity = serving.capacity;
    let set = match capacity.mode {
        Mode::Floor => capacity.set.max(capacity.ready),
        Mode::Desired => capacity.set,
    };
    let wanted = needs.decisive(capacity.set).map_or(set, |need| need.units);
    let wanted = serving.place.dimension.bounds.clamp(wanted);
    if capacity.mode == Mode::Floor { set.max(wanted) } else { set.min(wanted) }
}

/// How far a load may rise before a unit that was not started beforehand could serve.
struct Rise {
    metric: String,
    /// To add units for, and to keep them for.
    out: Height,
    keep: Height,
    per_unit: f64,
    confidence: Ratio,
    /// Whether the forecast reaches as far as a unit that is ordered now takes.
    is_whole: bool,
}

/// A load, and the chance that it is higher.
#[derive(Clone, Copy)]
struct Height {
    load: f64,
    chance: f64,
}

impl Height {
    fn or_higher(self, other: Option<Height>) -> Height {
        other.filter(|other| self.load < other.load).unwrap_or(self)
    }
}

impl Rise {
    fn beyond(self, set: Units, serving: &DemandFacts<'_>) -> Needs {
        let most = serving.place.dimension.bounds.max();
        let need = |Height { load, chance }: Height| {
            let total = Units::at_least(load / self.per_unit).min(most);
            let needed = Units(total.0.saturating_sub(set.0));
            let (metric, per_unit) = (self.metric.clone(), self.per_unit);
            let reason = Reason::StandsBy { metric, load, chance, per_unit, set, needed };
            Need { units: needed, source: DemandSource::Predictive, reason }
        };
        let (out, keep) = (need(self.out), need(self.keep));
        let pair = Pair { keep: if keep.units < out.units { out.clone() } else { keep }, out };
        let confidence = Some(self.confidence);
        Needs { predictive: Some(pair), confidence, complete: self.is_whole, ..Needs::default() }
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
    let peak = |until: Timestamp| {
        let peak = horizon.as_ref().ok()?.peak(LEVEL, facts.world.now, until)?;
        Some(Height { load: peak.load, chance: 1.0 - peak.level })
    };
    let confidence =
        lead.map(|lead| lead.confidence).or(horizon.as_ref().ok().map(|forecast| forecast.confidence));
    let (Some(confidence), Some(per_unit)) = (confidence, metric.measure.carried_per_unit()) else {
        let why = horizon.err().flatten().unwrap_or_else(|| "its group goes by the measured load".to_owned());
        return Err(Reason::NoForecast { metric: metric.name.clone(), why });
    };
    let near = Height { load: lead.map_or(0.0, |lead| lead.whole.quantile(1.0 - chance)), chance };
    Ok(Rise {
        metric: metric.name.clone(),
        out: near.or_higher(peak(without_a_pool(facts))),
        keep: near.or_higher(peak(facts.keep)),
        per_unit,
        confidence,
        is_whole: peak(without_a_pool(facts)).is_some(),
    })
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
