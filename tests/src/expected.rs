//! What must be true of a cycle of the demo, whatever it tells: its ending, its plan, and the capacity in AWS after it.

use std::collections::BTreeMap;

use headroom_core::name::GroupName;
use headroom_core::plan::Plan;
use headroom_core::platform::Platform;
use headroom_core::settle::{Ending, Outcome};
use headroom_core::units::Direction;

use crate::shop::{Capacity, Shop};

/// What a cycle is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// More servers.
    Out,
    /// Fewer servers.
    In,
    /// Whatever a load asks for, nothing included: of a trace nothing is known before.
    Anything,
    /// This number of servers, rolled back because the health endpoint answers 503.
    RolledBack {
        /// As a person has asked for it.
        servers: u32,
    },
}

/// A cycle that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Cycle<'a> {
    /// The error that the execution failed with, if it failed.
    pub failed_with: Option<&'a str>,
    /// Its outcome, as it is stored.
    pub outcome: &'a Outcome,
    /// Its plan, if one was made.
    pub plan: Option<&'a Plan>,
    /// The capacity in AWS before it.
    pub before: Capacity,
    /// The capacity in AWS after it.
    pub after: Capacity,
}

/// What is not as it must be; nothing if all is.
pub fn faults(shop: &Shop, platform: &Platform, expected: Expected, cycle: &Cycle<'_>) -> Vec<String> {
    let targets = targets(shop, cycle);
    let capacity = match expected {
        Expected::RolledBack { .. } => cycle.before,
        _ => targets.unwrap_or(cycle.before),
    };
    let mut faults = ending(expected, cycle);
    faults.extend(servers(expected, cycle, targets));
    faults.extend(planned_from(shop, cycle));
    faults.extend(order(platform, cycle.plan));
    if cycle.after != capacity {
        faults.push(format!("the capacity in AWS is {}, and not {capacity}", cycle.after));
    }
    faults.extend(bounds(shop, platform, cycle.after));
    faults
}

/// The ending, as it is stored and as the execution tells it.
fn ending(expected: Expected, cycle: &Cycle<'_>) -> Vec<String> {
    let outcome = cycle.outcome;
    let wanted: &[Ending] = match expected {
        Expected::Out | Expected::In => &[Ending::Scaled],
        Expected::Anything => &[Ending::Scaled, Ending::Held],
        Expected::RolledBack { .. } => &[Ending::RolledBack],
    };
    let mut faults = Vec::new();
    if !wanted.contains(&outcome.outcome) {
        faults.push(format!("it ended as {:?}, and not as {wanted:?}: {}", outcome.outcome, outcome.summary));
    }
    let error = matches!(expected, Expected::RolledBack { .. }).then_some("RolledBack");
    if cycle.failed_with != error {
        faults.push(format!("the execution failed with {:?}, and not with {error:?}", cycle.failed_with));
    }
    if error.is_some() {
        if !outcome.summary.contains("503") {
            faults.push(format!("not the 503 of the health endpoint is why: {}", outcome.summary));
        }
        let steps = outcome.steps;
        if steps.undone == 0 || 0 < steps.done + steps.left {
            faults.push(format!("steps still stand, or none was rolled back: {steps:?}"));
        }
    }
    faults
}

/// The servers that are set, or that were before they were rolled back.
fn servers(expected: Expected, cycle: &Cycle<'_>, targets: Option<Capacity>) -> Option<String> {
    let (before, planned) = (cycle.before.web, targets.map_or(cycle.before.web, |targets| targets.web));
    let (holds, wanted) = match expected {
        Expected::Out => (before < planned, format!("more than {before}")),
        Expected::In => (planned < before, format!("fewer than {before}")),
        Expected::RolledBack { servers } => (planned == servers, servers.to_string()),
        Expected::Anything => return None,
    };
    (!holds).then(|| format!("{planned} servers were planned, and not {wanted}"))
}

/// The capacity that a plan leads to.
fn targets(shop: &Shop, cycle: &Cycle<'_>) -> Option<Capacity> {
    let changes = cycle.plan?.steps().flat_map(|step| &step.changes);
    let targets: BTreeMap<String, u32> =
        changes.map(|change| (change.key.to_string(), change.target.0)).collect();
    Some(cycle.before.with(shop, &targets))
}

/// A plan starts from what there was.
fn planned_from(shop: &Shop, cycle: &Cycle<'_>) -> Vec<String> {
    let changes = cycle.plan.into_iter().flat_map(Plan::steps).flat_map(|step| &step.changes);
    let before = cycle.before.by_dimension(shop);
    let wrong = changes.filter(|change| before.get(&change.key.to_string()) != Some(&change.expected.0));
    wrong.map(|change| format!("{} was planned from {}", change.key, change.expected)).collect()
}

/// Out in the order of the tiers, then in against it.
pub(crate) fn order(platform: &Platform, plan: Option<&Plan>) -> Option<String> {
    let layers = &platform.orchestration.layers;
    let place = |direction: Direction, group: &GroupName| {
        let layer = layers.iter().position(|layer| layer.contains(group)).unwrap_or(layers.len());
        match direction {
            Direction::Out => layer,
            Direction::In => 2 * layers.len() - layer,
        }
    };
    let places = plan.into_iter().flat_map(|plan| &plan.waves).flat_map(|wave| {
        let mut places: Vec<usize> = wave.groups.iter().map(|group| place(wave.direction, group)).collect();
        places.sort_unstable();
        places
    });
    (!places.is_sorted()).then(|| "its waves are not in the order of the tiers".to_owned())
}

fn bounds(shop: &Shop, platform: &Platform, after: Capacity) -> Vec<String> {
    let after = after.by_dimension(shop);
    let outside = platform.dimensions().filter_map(|place| {
        let (key, bounds) = (&place.dimension.key, place.dimension.bounds);
        let units = *after.get(&key.to_string())?;
        let (least, most) = (bounds.min(), bounds.max());
        let within = least.0 <= units && units <= most.0;
        (!within).then(|| format!("{key} is {units}, outside {least} to {most}"))
    });
    outside.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(ending: Ending, more: &str) -> Outcome {
        let text = format!(
            r#"{{"outcome": {}, "succeeded": true, "cycleId": "c", "summary": "answered 503", "planId": null, "error": null,
            "cause": null, "awsCalls": 1, "costUsd": 0, "usage": {{}}, "needsHuman": false,
            "steps": {{"done": 0, "refused": 0, "skipped": 0, "undone": 0, "left": 0 {more}}}}}"#,
            serde_json::to_string(&ending).unwrap()
        );
        serde_json::from_str(&text).unwrap()
    }

    fn check(expected: Expected, outcome: &Outcome, failed_with: Option<&str>, after: Capacity, told: &str) {
        let shop = Shop::new("shop");
        let text = shop.platform("http://localhost/health").unwrap();
        let platform = headroom_core::config::parse(&text).unwrap().platform;
        let before = Capacity::at_target(0.5);
        let cycle = Cycle { failed_with, outcome, plan: None, before, after };
        let faults = faults(&shop, &platform, expected, &cycle).join("; ");
        assert!(if told.is_empty() { faults.is_empty() } else { faults.contains(told) }, "{faults}");
    }

    #[test]
    fn a_cycle_that_is_not_as_it_is_told_is_a_fault() {
        let held = outcome(Ending::Held, "");
        let before = Capacity::at_target(0.5);
        check(Expected::Anything, &held, None, before, "");
        check(Expected::Out, &held, None, before, "it ended as Held");
        check(Expected::Anything, &held, Some("NeedsHuman"), before, "the execution failed with");
        let moved = Capacity { web: before.web + 1, ..before };
        check(Expected::Anything, &held, None, moved, "the capacity in AWS is");
        let outside = Capacity { web: 99, ..before };
        check(Expected::Anything, &held, None, outside, "outside 2 to 40");
        let back = outcome(Ending::RolledBack, "");
        let sick = Expected::RolledBack { servers: before.web + 2 };
        check(sick, &back, Some("RolledBack"), before, "none was rolled back");
        check(sick, &held, None, before, "it ended as Held");
    }
}
