//! Checks any plan, whoever made it: nothing that breaks a rule may reach execution.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Plan, Step, StepChange, Wave};
use crate::name::{DimensionKey, GroupName, ResourceId};
use crate::platform::{Place, Platform};
use crate::resource::Scaling;
use crate::units::{Direction, Units};

/// A rule that a plan breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(pub String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Every rule that the plan breaks; none for a sound plan.
pub fn lint(platform: &Platform, plan: &Plan) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut say = |sentence: String| violations.push(Violation(sentence));
    once(plan, &mut say);
    order(platform, plan, &mut say);
    connections(platform, plan, &mut say);
    let groups: BTreeMap<&ResourceId, &GroupName> =
        platform.resources().map(|(group, resource)| (&resource.id, &group.name)).collect();
    let places: BTreeMap<&DimensionKey, Place<'_>> =
        platform.dimensions().map(|place| (&place.dimension.key, place)).collect();
    for wave in &plan.waves {
        for step in &wave.steps {
            known(&groups, step, &mut say);
            for change in &step.changes {
                sound(platform, places.get(&change.key), wave, change, &mut say);
            }
        }
    }
    violations
}

/// Every dimension changes once at most, and every step has its own name.
fn once(plan: &Plan, say: &mut impl FnMut(String)) {
    let mut keys: BTreeSet<&DimensionKey> = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for step in plan.steps() {
        if !ids.insert(&step.id) {
            say(format!("step {} stands twice", step.id));
        }
        if step.changes.is_empty() {
            say(format!("step {} changes nothing", step.id));
        }
        for change in step.changes.iter().filter(|change| !keys.insert(&change.key)) {
            say(format!("{} changes twice", change.key));
        }
    }
}

/// Out before in; out in the order of the layers, in against it; nothing builds on a step that is not before it.
fn order(platform: &Platform, plan: &Plan, say: &mut impl FnMut(String)) {
    let layers: BTreeMap<&GroupName, usize> = platform
        .orchestration
        .layers
        .iter()
        .enumerate()
        .flat_map(|(layer, groups)| groups.iter().map(move |group| (group, layer)))
        .collect();
    let layer = |wave: &Wave, extreme: fn(usize, usize) -> usize| {
        wave.groups.iter().filter_map(|group| layers.get(group).copied()).reduce(extreme)
    };
    for (before, after) in plan.waves.iter().zip(plan.waves.iter().skip(1)) {
        let sorted = match (before.direction, after.direction) {
            (Direction::Out, Direction::Out) => layer(before, usize::max) <= layer(after, usize::min),
            (Direction::In, Direction::In) => layer(after, usize::max) <= layer(before, usize::min),
            (Direction::Out, Direction::In) => true,
            (Direction::In, Direction::Out) => false,
        };
        if !sorted {
            say(format!("{} and {} are in the wrong order", names(before), names(after)));
        }
    }
    let mut before = BTreeSet::new();
    for wave in &plan.waves {
        for step in &wave.steps {
            for missing in step.after.iter().filter(|id| !before.contains(id)) {
                say(format!("step {} builds on {missing}, which is not before it", step.id));
            }
        }
        before.extend(wave.steps.iter().map(|step| &step.id));
    }
}

/// No wave leaves a dependency with more connections than it takes, as far as the changed units alone tell, unless that
/// was so before.
fn connections(platform: &Platform, plan: &Plan, say: &mut impl FnMut(String)) {
    // What stands by holds none.
    let standing_by = platform.standing_by();
    let serves = |change: &&StepChange| !standing_by.contains(&change.key);
    for dependency in &platform.orchestration.dependencies {
        let Some(connections) = dependency.connections else { continue };
        let of_source = |step: &&Step| step.group == dependency.source;
        let changes = || plan.steps().filter(of_source).flat_map(|step| &step.changes).filter(serves);
        let mut units: BTreeMap<&DimensionKey, Units> =
            changes().map(|change| (&change.key, change.expected)).collect();
        let held = |units: &BTreeMap<&DimensionKey, Units>| {
            units.values().map(|units| units.real()).sum::<f64>() * connections.per_unit
        };
        let limit = connections.limit.max(held(&units));
        for wave in &plan.waves {
            let steps = wave.steps.iter().filter(|step| step.group == dependency.source);
            let changes = steps.flat_map(|step| &step.changes).filter(serves);
            units.extend(changes.map(|change| (&change.key, change.target)));
            let now = held(&units);
            if limit < now {
                say(format!(
                    "{} would hold {now} connections to {}, which takes {limit}",
                    dependency.source, dependency.target
                ));
            }
        }
    }
}

fn names(wave: &Wave) -> String {
    let names: Vec<String> = wave.groups.iter().map(GroupName::to_string).collect();
    names.join(", ")
}

fn known(groups: &BTreeMap<&ResourceId, &GroupName>, step: &Step, say: &mut impl FnMut(String)) {
    match groups.get(&step.resource) {
        None => say(format!("{} is not a resource of this platform", step.resource)),
        Some(group) if **group != step.group => {
            say(format!("{} is not of group {}", step.resource, step.group))
        }
        Some(_) => (),
    }
}

/// A change has the direction of its wave, stays in its bounds (or comes nearer to them) and keeps the pace.
fn sound(
    platform: &Platform,
    place: Option<&Place<'_>>,
    wave: &Wave,
    change: &StepChange,
    say: &mut impl FnMut(String),
) {
    let StepChange { key, expected, target } = change;
    let Some(place) = place else {
        return say(format!("{key} is not a dimension of this platform"));
    };
    if expected == target || Direction::of(*expected, *target) != wave.direction {
        say(format!("{key} goes from {expected} to {target} in a wave that goes the other way"));
    }
    if place.dimension.facts.scaling == Scaling::OutOnly && target < expected {
        say(format!("{key} goes from {expected} to {target}, and it only grows"));
    }
    let bounds = place.dimension.bounds;
    let outside = |units: Units| bounds.clamp(units).abs_diff(units);
    if outside(*expected) < outside(*target) {
        say(format!("{key} leaves its bounds {}..{} for {target}", bounds.min(), bounds.max()));
    }
    let share = match wave.direction {
        Direction::Out => platform.guardrails.out_share_max,
        Direction::In => platform.guardrails.in_share_max,
    };
    let most = Units::at_most(expected.real() * share).0.max(1);
    if most < expected.abs_diff(*target) {
        say(format!("{key} goes from {expected} to {target}, more than {most} at once"));
    }
}
