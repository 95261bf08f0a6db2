//! Step policies on utilisation metrics: so many units more at or above a bound, so many less at or below one.

use super::Strategy;
use super::need::{Need, Needs, Pair, known, merge};
use crate::observe::{Capacity, Load, Observation};
use crate::platform::{Metric, Place, StepBound, StepChange};
use crate::reason::Reason;
use crate::units::Units;

/// Units that the steps out ask for.
pub(super) fn out(place: Place<'_>, capacity: &Capacity, metric: &Metric, load: &Load) -> Option<Pair> {
    let utilization = utilization(metric, capacity, load.mean)?;
    let added =
        place.group.policy.steps.iter().filter(|rule| rule.metric == metric.name).filter_map(|rule| {
            let StepBound::Above(bound) = rule.bound else { return None };
            (bound <= utilization).then(|| units(rule.change, capacity.set))
        });
    let needed = Units(capacity.set.0.saturating_add(added.max()?));
    Some(pair(needed, Reason::StepPolicy { metric: metric.name.clone(), utilization, needed }))
}

/// Units that the steps in leave. They stand beside what everything else needs, and the largest need wins: a step takes
/// nothing away that is needed, and less at once than the target would. Where nothing else says how much is needed, a bound
/// that is passed does not say it either.
pub(super) fn inward(needs: &mut Needs, place: Place<'_>, capacity: &Capacity, observation: &Observation) {
    if needs.reactive.is_none() && needs.predictive.is_none() {
        return;
    }
    for metric in &place.dimension.metrics {
        let Ok(load) = known(observation, metric) else { continue };
        if let Some(pair) = left(place, capacity, metric, load) {
            merge(&mut needs.reactive, pair);
        }
    }
}

fn left(place: Place<'_>, capacity: &Capacity, metric: &Metric, load: &Load) -> Option<Pair> {
    // A minute above the bound is not below it.
    let utilization = utilization(metric, capacity, load.peak)?;
    let removed =
        place.group.policy.steps.iter().filter(|rule| rule.metric == metric.name).filter_map(|rule| {
            let StepBound::Below(bound) = rule.bound else { return None };
            (utilization <= bound).then(|| units(rule.change, capacity.set))
        });
    let needed = Units(capacity.set.0.saturating_sub(removed.max()?));
    Some(pair(needed, Reason::StepPolicyIn { metric: metric.name.clone(), utilization, needed }))
}

fn utilization(metric: &Metric, capacity: &Capacity, load: f64) -> Option<f64> {
    let is_shared = metric.measure.is_per_capacity() && capacity.ready != Units(0);
    is_shared.then(|| load / capacity.ready.real())
}

fn units(change: StepChange, set: Units) -> u32 {
    match change {
        StepChange::Units(units) => units,
        StepChange::Percent(percent) => Units::at_least(set.real() * percent / 100.0).0,
    }
}

fn pair(units: Units, reason: Reason) -> Pair {
    let need = Need { units, strategy: Strategy::Reactive, reason: Some(reason) };
    Pair { out: need.clone(), keep: need }
}
