//! Limits of the platform as a whole: connections along dependencies, the budget, and throttles before what falls short. All
//! only shrink scale-outs.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::Decision;
use crate::name::{DimensionKey, GroupName};
use crate::platform::{Budget, Dependency, Place, Resource};
use crate::reason::Reason;
use crate::units::{Direction, Units};
use crate::world::World;

/// Shrinks decisions until the platform's limits hold.
pub(super) fn fit(world: &World<'_>, decisions: &mut [Decision]) {
    for (_, resource) in world.platform.resources() {
        one_at_a_time(decisions, resource);
    }
    let standing_by = world.platform.standing_by();
    for dependency in &world.platform.orchestration.dependencies {
        connections(&standing_by, decisions, dependency);
    }
    if let Some(limit) = hourly_limit(world) {
        budget(world, &standing_by, decisions, limit);
    }
    // Few groups let anything in, and each dependency looks at every decision.
    let throttled = world.platform.dimensions().filter(|place| place.dimension.facts.is_throttle);
    let throttled: BTreeSet<&GroupName> = throttled.map(|place| &place.group.name).collect();
    let dependencies = world.platform.orchestration.dependencies.iter();
    for dependency in dependencies.filter(|dependency| throttled.contains(&dependency.source)) {
        throttles(world, decisions, dependency);
    }
}

/// Where AWS changes one dimension of a resource at a time: out before in, and else the first of the file.
fn one_at_a_time(decisions: &mut [Decision], resource: &Resource) {
    if !resource.dimensions.iter().any(|dimension| dimension.facts.one_at_a_time) {
        return;
    }
    let changes = || decisions.iter().filter(|decision| decision.resource == resource.id);
    let of = |way: Direction| changes().find(|decision| decision.direction() == Some(way));
    let Some(first) = of(Direction::Out).or_else(|| of(Direction::In)).map(|first| first.key.clone()) else {
        return;
    };
    let is_other = |decision: &&mut Decision| decision.resource == resource.id && decision.key != first;
    for decision in decisions.iter_mut().filter(is_other).filter(|decision| decision.change().is_some()) {
        decision.target = decision.observed;
        decision.reasons.push(Reason::OneAtATime { other: first.clone() });
    }
}

/// The source may not hold more connections than the target accepts. To limit the targets is enough: while a plan is carried out
/// every dimension has either its old capacity or its target.
fn connections(standing_by: &BTreeSet<&DimensionKey>, decisions: &mut [Decision], dependency: &Dependency) {
    let Some(connections) = dependency.connections else { return };
    // What stands by holds none.
    let is_source =
        |decision: &Decision| decision.group == dependency.source && !standing_by.contains(&decision.key);
    let most = Units::at_most(connections.limit / connections.per_unit);
    let total: u32 = decisions
        .iter()
        .filter(|decision| is_source(decision))
        .filter_map(|decision| decision.target.max(decision.observed))
        .fold(0, |total, units| total.saturating_add(units.0));
    let mut over = total.saturating_sub(most.0);
    for decision in decisions.iter_mut().filter(|decision| is_source(decision)) {
        let reason = |allowed| Reason::Connections { target: dependency.target.clone(), most, allowed };
        over = over.saturating_sub(shrink(decision, over, reason));
    }
}

/// No more is let in to a group that has less than its load needs: the throttle before it is then what keeps it from breaking.
fn throttles(world: &World<'_>, decisions: &mut [Decision], dependency: &Dependency) {
    let places = world.platform.dimensions().zip(decisions.iter());
    let mut serving = places.filter(|(place, _)| !place.dimension.stands_by());
    if !serving.any(|(place, decision)| decision.group == dependency.target && falls_short(place, decision)) {
        return;
    }
    for (place, decision) in world.platform.dimensions().zip(decisions) {
        let is_raised = decision.direction() == Some(Direction::Out);
        if is_raised && decision.group == dependency.source && place.dimension.facts.is_throttle {
            decision.target = decision.observed;
            decision.reasons.push(Reason::Protects { group: dependency.target.clone() });
        }
    }
}

/// Whether a dimension has, or may have, less than its load needs: what was not seen may fall short too.
fn falls_short(place: Place<'_>, decision: &Decision) -> bool {
    let says = |is: fn(&Reason) -> bool| decision.reasons.iter().any(is);
    let is_judged = place.dimension.facts.is_served && !place.dimension.metrics.is_empty();
    let is_unseen = is_judged && says(|reason| matches!(reason, Reason::MetricUnknown { .. }));
    match decision.needed.zip(decision.target) {
        // What is not worth a change does not break anything.
        Some((needed, target)) if target < needed => !says(|reason| matches!(reason, Reason::Minor { .. })),
        Some(_) => is_unseen,
        None => is_judged,
    }
}

/// What the platform's capacity may cost in this hour.
fn hourly_limit(world: &World<'_>) -> Option<f64> {
    let Budget { hourly, monthly, .. } = world.platform.guardrails.budget;
    let rest = monthly.map(|monthly| match world.state.spend {
        Some(spend) => {
            let spent = spend.in_month_of(&world.platform.zone, world.now);
            (monthly - spent).max(0.0) / hours_left(world)
        }
        None => monthly / HOURS_IN_MONTH,
    });
    match (hourly, rest) {
        (Some(hourly), Some(rest)) => Some(hourly.min(rest)),
        (hourly, rest) => hourly.or(rest),
    }
}

/// The hours of a mean month.
const HOURS_IN_MONTH: f64 = 730.0;
const HOUR_S: f64 = 3_600.0;

fn hours_left(world: &World<'_>) -> f64 {
    let now = world.now.to_zoned(world.platform.zone.clone());
    let last = now.last_of_month().and_then(|last| last.end_of_day());
    let end = last.map_or(Timestamp::MAX, |end| end.timestamp());
    (end.duration_since(world.now).as_secs_f64() / HOUR_S).max(1.0)
}

/// Gives up scale-outs until the rest fits: those of the tiers that others depend on last, because without them the
/// dependents' units are wasted. In a tier, what only stands by goes first.
fn budget(world: &World<'_>, standing_by: &BTreeSet<&DimensionKey>, decisions: &mut [Decision], limit: f64) {
    let costs: BTreeMap<&DimensionKey, f64> = world
        .platform
        .dimensions()
        .map(|place| (&place.dimension.key, place.dimension.unit_cost_hourly))
        .collect();
    let cost = |decision: &Decision| {
        let units = decision.target.or(decision.observed).unwrap_or_default();
        units.real() * costs.get(&decision.key).copied().unwrap_or(0.0)
    };
    // Capacity that could not be observed still costs money.
    let unseen = world.state.spend.map_or(0.0, |spend| spend.unseen_hourly);
    let total = unseen + decisions.iter().map(cost).sum::<f64>();
    let mut over = total - limit;
    let layers = world.platform.orchestration.layers.iter().rev().flatten();
    let order: Vec<&GroupName> = layers.collect();
    for (group, by) in order.into_iter().flat_map(|group| [(group, true), (group, false)]) {
        let of_turn =
            |decision: &&mut Decision| decision.group == *group && standing_by.contains(&decision.key) == by;
        for decision in decisions.iter_mut().filter(of_turn) {
            let unit_cost = costs.get(&decision.key).copied().unwrap_or(0.0);
            if over <= 0.0 || unit_cost <= 0.0 {
                continue;
            }
            let drop = Units::at_least(over / unit_cost).0;
            let dropped = shrink(decision, drop, |allowed| Reason::Budget { limit, total, allowed });
            over -= f64::from(dropped) * unit_cost;
        }
    }
}

/// Takes up to `drop` units off a scale-out, never more than it adds. Returns how many.
fn shrink(decision: &mut Decision, drop: u32, reason: impl FnOnce(Units) -> Reason) -> u32 {
    let Some((from, to)) = decision.change().filter(|_| decision.direction() == Some(Direction::Out)) else {
        return 0;
    };
    let dropped = drop.min(to.abs_diff(from));
    if dropped == 0 {
        return 0;
    }
    let allowed = Units(to.0.saturating_sub(dropped));
    decision.target = Some(allowed);
    decision.reasons.push(reason(allowed));
    dropped
}
