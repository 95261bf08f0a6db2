//! Tiers, their order and their dependencies, from who uses whom.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::evidence::{Edge, edges};
use super::inventory::{Found, Inventory};
use crate::name::GroupName;
use crate::order;

/// What holds data.
const DATA: &str = "data";
/// What works with it.
const APP: &str = "app";
/// What the internet reaches.
const WEB: &str = "web";

/// A proposed tier.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tier {
    /// Its name.
    pub name: String,
    /// Its resources, by their place in the inventory.
    #[serde(skip)]
    pub members: Vec<usize>,
    /// Their names.
    pub resources: Vec<String>,
    /// Why these belong together.
    pub why: String,
}

/// A proposed dependency of one tier on another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dependency {
    /// The tier that depends.
    pub source: String,
    /// The tier that it depends on.
    pub target: String,
    /// What says so.
    pub evidence: Vec<String>,
}

/// Tiers in the order in which they scale out, and what they depend on.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Arrangement {
    pub(super) tiers: Vec<Tier>,
    pub(super) dependencies: Vec<Dependency>,
    /// What a reader should know of the order, in sentences.
    pub(super) remarks: Vec<String>,
}

/// Arranges what was found.
pub(super) fn arrange(inventory: &Inventory) -> Arrangement {
    let found = &inventory.found;
    let (edges, circles) = without_circles(found, edges(inventory));
    let front = front(found, &edges);
    let levels = levels(found, &edges, &front);
    let deepest = levels.iter().map(|layer| layer.len()).filter(|members| 0 < *members).count();
    let mut tiers = Tiers { found, tiers: Vec::new() };
    let data: Vec<usize> = places(found, |found| found.is_data());
    tiers.push(DATA.to_owned(), data, "Holds data: what uses it scales out after it, and in before it.");
    for (index, members) in levels.into_iter().enumerate() {
        let name = if deepest <= 1 { APP.to_owned() } else { format!("{APP}_{}", index + 1) };
        let why = if index == 0 {
            "Works with the data."
        } else {
            "Uses the tier before it, and so scales out after it."
        };
        tiers.push(name, members, why);
    }
    let why =
        "The internet reaches it by a load balancer, and nothing else here uses it: it scales out last.";
    tiers.push(WEB.to_owned(), front, why);
    let tiers = tiers.tiers;
    let dependencies = dependencies(&tiers, &edges);
    let remarks = circles.into_iter().chain(unproven(&tiers, &dependencies)).collect();
    Arrangement { tiers, dependencies, remarks }
}

/// Tiers so far.
struct Tiers<'a> {
    found: &'a [Found],
    tiers: Vec<Tier>,
}

impl Tiers<'_> {
    /// Adds a tier, if it has members.
    fn push(&mut self, name: String, members: Vec<usize>, why: &str) {
        if members.is_empty() {
            return;
        }
        let resources = members.iter().filter_map(|place| self.found.get(*place));
        let resources = resources.map(|found| found.name.clone()).collect();
        self.tiers.push(Tier { name, members, resources, why: why.to_owned() });
    }
}

fn places(found: &[Found], wanted: impl Fn(&Found) -> bool) -> Vec<usize> {
    found.iter().enumerate().filter(|(_, found)| wanted(found)).map(|(place, _)| place).collect()
}

/// What the internet reaches and nothing else uses, if there is anything else that works.
fn front(found: &[Found], edges: &[Edge]) -> Vec<usize> {
    let is_front = |place: usize, one: &Found| {
        !one.is_data()
            && one.front.iter().any(|front| front.is_public)
            && !edges.iter().any(|edge| edge.of == place)
    };
    let front: Vec<usize> = found
        .iter()
        .enumerate()
        .filter(|(place, one)| is_front(*place, one))
        .map(|(place, _)| place)
        .collect();
    let works = places(found, |found| !found.is_data()).len();
    if front.len() < works { front } else { Vec::new() }
}

/// What works, in layers: each after what it uses.
fn levels(found: &[Found], edges: &[Edge], front: &[usize]) -> Vec<Vec<usize>> {
    let works = places(found, |found| !found.is_data());
    let works: BTreeSet<usize> = works.into_iter().filter(|place| !front.contains(place)).collect();
    let among = edges.iter().filter(|edge| works.contains(&edge.by) && works.contains(&edge.of));
    let edges: Vec<_> = among.map(|edge| (label(edge.of), label(edge.by))).collect();
    let labels = works.iter().map(|place| label(*place)).collect();
    // Circles were taken out before.
    let layers = order::layers(&labels, &edges).unwrap_or_default();
    let place = |name: &GroupName| works.iter().copied().find(|place| label(*place) == *name);
    layers.iter().map(|layer| layer.iter().filter_map(place).collect()).collect()
}

/// The name under which the order of groups knows a resource.
fn label(place: usize) -> GroupName {
    GroupName(format!("{place:06}"))
}

/// Without the edges that close a circle: of each circle the one that says least is left out, and told.
fn without_circles(found: &[Found], mut edges: Vec<Edge>) -> (Vec<Edge>, Vec<String>) {
    let labels: BTreeSet<GroupName> = (0..found.len()).map(label).collect();
    let mut told = Vec::new();
    loop {
        let named: Vec<_> = edges.iter().map(|edge| (label(edge.of), label(edge.by))).collect();
        let Err(circle) = order::layers(&labels, &named) else { return (edges, told) };
        let steps: Vec<(&GroupName, &GroupName)> = circle.iter().zip(circle.iter().skip(1)).collect();
        let on_circle = |edge: &Edge| steps.contains(&(&label(edge.of), &label(edge.by)));
        let weakest = edges.iter().filter(|edge| on_circle(edge)).min_by_key(|edge| edge.strength).cloned();
        let Some(weakest) = weakest else { return (Vec::new(), told) };
        edges.retain(|edge| (edge.by, edge.of) != (weakest.by, weakest.of));
        told.push(format!("not counted, because it closes a circle: {}", weakest.sentence));
    }
}

/// Dependencies between tiers, each with everything that says so.
fn dependencies(tiers: &[Tier], edges: &[Edge]) -> Vec<Dependency> {
    let tier_of = |place: usize| tiers.iter().position(|tier| tier.members.contains(&place));
    let mut found: BTreeMap<(usize, usize), Vec<String>> = BTreeMap::new();
    for edge in edges {
        let (Some(source), Some(target)) = (tier_of(edge.by), tier_of(edge.of)) else { continue };
        if source != target {
            let evidence = found.entry((source, target)).or_default();
            if !evidence.contains(&edge.sentence) {
                evidence.push(edge.sentence.clone());
            }
        }
    }
    let name = |tier: usize| tiers.get(tier).map(|tier| tier.name.clone()).unwrap_or_default();
    let made = found.into_iter().map(|((source, target), evidence)| Dependency {
        source: name(source),
        target: name(target),
        evidence,
    });
    made.collect()
}

/// What stands in the order by its kind alone.
fn unproven(tiers: &[Tier], dependencies: &[Dependency]) -> Vec<String> {
    let pairs = tiers.iter().zip(tiers.iter().skip(1));
    let without = pairs.filter(|(first, then)| {
        !dependencies.iter().any(|edge| edge.source == then.name && edge.target == first.name)
    });
    without
        .map(|(first, then)| {
            format!(
                "nothing was seen that says {} ({}) uses {} ({}): the order between them is by their kinds; write the \
                 dependency if there is one",
                then.name,
                then.resources.join(", "),
                first.name,
                first.resources.join(", ")
            )
        })
        .collect()
}
