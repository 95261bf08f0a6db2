//! Step policies on utilisation metrics: so many units more at or above a bound, so many less at or below one.

use super::facts::{DemandFacts, MetricFacts};
use super::need::{DemandSource, Need, Needs, Pair};
use crate::observe::Capacity;
use crate::platform::{Metric, StepAdjustment, StepBound, StepRule};
use crate::reason::Reason;
use crate::units::Units;

/// Units that the steps out ask for.
pub(super) fn out(facts: &DemandFacts<'_>, metric: &MetricFacts<'_>) -> Needs {
    let added = || {
        let utilization = utilization(&metric.metric, facts.capacity, metric.load?.mean)?;
        let added = rules(facts, metric).filter_map(|rule| {
            let StepBound::Above(bound) = rule.bound else { return None };
            (bound <= utilization).then(|| units(rule.change, facts.capacity.set))
        });
        let needed = Units(facts.capacity.set.0.saturating_add(added.max()?));
        Some(pair(needed, Reason::StepPolicy { metric: metric.metric.name.clone(), utilization, needed }))
    };
    let reactive = added();
    let asked = reactive.as_ref().map(|pair| pair.out.units);
    Needs { asked, reactive, ..Needs::default() }
}

/// Units that remain after a step in. The largest need of all sources counts, so a step never removes units that another source
/// needs, and it removes fewer at once than the target would.
pub(super) fn inward(facts: &DemandFacts<'_>, metric: &MetricFacts<'_>) -> Needs {
    let left = || {
        // The peak counts: a single minute above the bound prevents the step.
        let utilization = utilization(&metric.metric, facts.capacity, metric.load?.peak)?;
        let removed = rules(facts, metric).filter_map(|rule| {
            let StepBound::Below(bound) = rule.bound else { return None };
            (utilization <= bound).then(|| units(rule.change, facts.capacity.set))
        });
        let needed = Units(facts.capacity.set.0.saturating_sub(removed.max()?));
        Some(pair(needed, Reason::StepPolicyIn { metric: metric.metric.name.clone(), utilization, needed }))
    };
    Needs { steps_in: left(), ..Needs::default() }
}

/// The rules that watch a metric.
fn rules<'a>(facts: &'a DemandFacts<'_>, metric: &'a MetricFacts<'_>) -> impl Iterator<Item = &'a StepRule> {
    facts.place.group.policy.steps.iter().filter(|rule| rule.metric == metric.metric.name)
}

fn utilization(metric: &Metric, capacity: &Capacity, load: f64) -> Option<f64> {
    let is_shared = metric.measure.is_per_capacity() && capacity.whole() != Units(0);
    is_shared.then(|| load / capacity.whole().real())
}

fn units(change: StepAdjustment, set: Units) -> u32 {
    match change {
        StepAdjustment::Units(units) => units,
        StepAdjustment::Percent(percent) => Units::at_least(set.real() * percent / 100.0).0,
    }
}

fn pair(units: Units, reason: Reason) -> Pair {
    Pair::both(Need { units, source: DemandSource::Reactive, reason })
}
