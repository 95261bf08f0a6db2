//! The proposal as a platform file with the evidence as comments.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use super::bounds::{self, Proposed};
use super::inventory::{CapacityKey, Found, FoundCapacity, Front, Inventory, Native, NativeRule};
use super::tiers::{Arrangement, Dependency, Tier};
use super::{Asked, targets};
use crate::resource::ResourceKind;
use crate::text::number;

/// The file.
pub(super) fn text(asked: &Asked, inventory: &Inventory, arrangement: &Arrangement) -> String {
    let mut out = String::new();
    heading(&mut out, asked, inventory, arrangement);
    // Writing to a String cannot fail.
    let _ = writeln!(out, "configuration_name: {}\n\nscaling_groups:", asked.platform);
    let mut ids = Ids::default();
    for tier in &arrangement.tiers {
        group(&mut out, inventory, tier, &mut ids);
    }
    order(&mut out, arrangement);
    out
}

fn heading(out: &mut String, asked: &Asked, inventory: &Inventory, arrangement: &Arrangement) {
    comment(out, 0, &format!("Proposed by `headroom adopt` for {} on {}.", asked.what, asked.day));
    comment(
        out,
        0,
        "Nothing was changed in AWS, and in phase observe nothing will be. Correct what is wrong, then `headroom validate` and \
         `headroom apply` this file.",
    );
    let left_out =
        inventory.left_out.iter().map(|left| format!("left out: {}, because {}", left.what, left.why));
    let not_seen = inventory.not_seen.iter().map(|what| format!("not seen: {what}"));
    for sentence in arrangement.remarks.iter().cloned().chain(left_out).chain(not_seen) {
        comment(out, 0, &format!("- {sentence}"));
    }
}

/// Columns that a comment may take.
const COLUMNS: usize = 110;

/// A comment, broken at spaces. What AWS names may hold anything, so no letter of it may end the comment.
fn comment(out: &mut String, indent: usize, text: &str) {
    let text: String = text
        .chars()
        .map(|letter| {
            if letter.is_control() || "\u{85}\u{2028}\u{2029}\u{feff}".contains(letter) {
                ' '
            } else {
                letter
            }
        })
        .collect();
    let margin = " ".repeat(indent);
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && COLUMNS < indent + 2 + line.chars().count() + 1 + word.chars().count() {
            let _ = writeln!(out, "{margin}# {line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    let _ = writeln!(out, "{margin}# {line}");
}

fn group(out: &mut String, inventory: &Inventory, tier: &Tier, ids: &mut Ids) {
    comment(out, 2, &tier.why);
    let _ = writeln!(out, "  {}:\n    resources:", tier.name);
    for found in tier.members.iter().filter_map(|place| inventory.found.get(*place)) {
        resource(out, found, &ids.of(found));
    }
}

/// Ids of the file: the name in AWS, with its kind where another resource has the same.
#[derive(Debug, Default)]
struct Ids(BTreeSet<String>);

impl Ids {
    fn of(&mut self, found: &Found) -> String {
        let kind = found.kind.type_name().to_lowercase().replace('_', "-");
        let numbered = (2..).map(|count| format!("{}-{kind}-{count}", name(found)));
        let first = [name(found), format!("{}-{kind}", name(found))];
        let free = first.into_iter().chain(numbered).find(|id| !self.0.contains(id)).unwrap_or_default();
        self.0.insert(free.clone());
        free
    }
}

/// The name as the file wants it: RDS stores its own in lower case.
fn name(found: &Found) -> String {
    match found.kind {
        ResourceKind::AuroraServerless
        | ResourceKind::AuroraReplicas
        | ResourceKind::RdsReadReplicas
        | ResourceKind::RdsStorage => found.name.to_lowercase(),
        _ => found.name.clone(),
    }
}

fn resource(out: &mut String, found: &Found, id: &str) {
    comment(out, 6, &format!("Now {}.", now(&found.capacities)));
    found.front.iter().for_each(|front| comment(out, 6, &behind(front)));
    found.natives.iter().for_each(|one| comment(out, 6, &native(one)));
    found.remarks.iter().for_each(|remark| comment(out, 6, remark));
    let _ = writeln!(out, "      - type: {}", found.kind.type_name());
    let mut line = |key: &str, value: &dyn fmt::Display| {
        let _ = writeln!(out, "        {key}: {value}");
    };
    line("name", &Quoted(&name(found)));
    if id != name(found) {
        line("id", &Quoted(id));
    }
    if let Some((key, value)) = &found.within {
        line(key, &Quoted(value));
    }
    if let Some((usd, of)) = &found.price {
        line("hourly_cost_per_unit", &format_args!("{} # {}", price(*usd), one_line(of)));
    }
    capacities(out, found);
}

/// A price with as many digits as matter.
fn price(usd: f64) -> f64 {
    const DIGITS: f64 = 100_000.0;
    (usd * DIGITS).round() / DIGITS
}

fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

fn now(capacities: &[FoundCapacity]) -> String {
    let each = capacities.iter().map(|capacity| match &capacity.at {
        CapacityKey::Index(index, _) => {
            format!("{} {} of the index {index}", number(capacity.now), capacity.unit)
        }
        CapacityKey::Plain | CapacityKey::Range(_) => format!("{} {}", number(capacity.now), capacity.unit),
    });
    each.collect::<Vec<_>>().join(", ")
}

fn behind(front: &Front) -> String {
    let Front { target_group, balancers, is_public } = front;
    let reach = if *is_public { ", which the internet reaches" } else { "" };
    if balancers.is_empty() {
        return format!("Registered with the target group {target_group}, to which no balancer sends.");
    }
    format!("Behind {}{reach}, by the target group {target_group}.", balancers.join(" and "))
}

fn native(native: &Native) -> String {
    let name = &native.name;
    match &native.rule {
        NativeRule::TargetTracking { metric, target } => format!(
            "AWS's policy {name} keeps {metric} at {}: Headroom moves the minimum under it.",
            number(*target)
        ),
        NativeRule::Policy(kind) => {
            format!("AWS's policy {name} ({kind}): Headroom moves the minimum under it.")
        }
        NativeRule::Scheduled { when, sets: (min, max, capacity) } => {
            let said = [("smallest", min), ("largest", max), ("capacity", capacity)];
            let said = said.iter().filter_map(|(what, value)| value.map(|value| format!("{what} {value}")));
            let said = said.collect::<Vec<_>>().join(", ");
            format!(
                "AWS's scheduled action {name} sets {said} at {when}: it goes on. Write an event of the calendar in its place \
                 before a phase above observe."
            )
        }
    }
}

/// The bounds of every capacity of a resource, with the targets of its native policies.
fn capacities(out: &mut String, found: &Found) {
    let mut indexes: BTreeMap<&str, Vec<(&str, String)>> = BTreeMap::new();
    for capacity in &found.capacities {
        let least = least(found.kind, capacity);
        let proposed = bounds::propose(capacity, least);
        let targets = targets::of(found, &capacity.at);
        match &capacity.at {
            CapacityKey::Plain => plain(out, &proposed, &targets, least <= 0.0),
            CapacityKey::Range(key) if found.kind == ResourceKind::DynamoDbTable => {
                let _ = writeln!(
                    out,
                    "        {key}: {} # {}",
                    range(&proposed, &targets),
                    one_line(&proposed.from)
                );
            }
            CapacityKey::Range(key) => {
                let _ =
                    writeln!(out, "        {key}: {} # {}", range(&proposed, &[]), one_line(&proposed.from));
                own_targets(out, &targets);
            }
            CapacityKey::Index(index, key) => {
                indexes.entry(index).or_default().push((key, range(&proposed, &targets)));
            }
        }
    }
    if !indexes.is_empty() {
        out.push_str("        indexes:\n");
    }
    for (index, ranges) in indexes {
        let ranges: Vec<String> = ranges.into_iter().map(|(key, range)| format!("{key}: {range}")).collect();
        let _ = writeln!(out, "          {}: {{{}}}", Quoted(index), ranges.join(", "));
    }
}

/// The smallest number of units that a file may name. Aurora counts in halves, and at 0 it may pause.
fn least(kind: ResourceKind, capacity: &FoundCapacity) -> f64 {
    match (kind, &capacity.bounds) {
        (ResourceKind::AuroraServerless, Some((min, ..))) if *min <= 0.0 => 0.0,
        (ResourceKind::AuroraServerless, _) => 0.5,
        _ => 1.0,
    }
}

fn plain(out: &mut String, proposed: &Proposed, targets: &[targets::Target], pauses: bool) {
    let Proposed { min, max, from } = proposed;
    // One ACU, or one of anything else, is the least that may be the most.
    let max = max.max(1.0);
    let _ = writeln!(out, "        min_capacity: {min} # {}\n        max_capacity: {max}", one_line(from));
    if pauses {
        out.push_str("        auto_pause: true # its smallest is 0, at which AWS lets it pause\n");
    }
    own_targets(out, targets);
}

/// Targets in lines of their own. Of two capacities of a resource with the same key, the first counts.
fn own_targets(out: &mut String, targets: &[targets::Target]) {
    for target in targets {
        let key = format!("        {}: ", target.key);
        let resource = out.rfind("      - type: ").and_then(|start| out.get(start..)).unwrap_or_default();
        if !resource.contains(&key) {
            let _ = writeln!(out, "{key}{} # as AWS's policy keeps it", target.percent);
        }
    }
}

fn range(proposed: &Proposed, targets: &[targets::Target]) -> String {
    let target = targets.first().map(|target| format!(", {}: {}", target.key, target.percent));
    format!("{{min: {}, max: {}{}}}", proposed.min, proposed.max, target.unwrap_or_default())
}

fn order(out: &mut String, arrangement: &Arrangement) {
    let names: Vec<&str> = arrangement.tiers.iter().map(|tier| tier.name.as_str()).collect();
    out.push_str("\norchestration:\n");
    comment(out, 2, "The first scales out first, and in last.");
    let _ = writeln!(out, "  scaling_order: [{}]", names.join(", "));
    if !arrangement.dependencies.is_empty() {
        out.push_str("  dependencies:\n");
    }
    for Dependency { source, target, evidence } in &arrangement.dependencies {
        evidence.iter().for_each(|sentence| comment(out, 4, sentence));
        let _ = writeln!(out, "    - {{source: {source}, target: {target}}}");
    }
    comment(
        out,
        2,
        "Decides and records, and changes nothing. limited comes next, when `headroom explain` convinces you.",
    );
    out.push_str("  rollout_phase: observe\n");
}

/// A text as YAML has it: as it is where it reads as nothing else, and in quotes otherwise.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = self.0.starts_with(|first: char| first.is_ascii_alphabetic())
            && self.0.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-/".contains(letter));
        // Words that YAML, in one version or another, takes for something else than text.
        const WORDS: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
        if plain && !WORDS.contains(&self.0.to_lowercase().as_str()) {
            return f.write_str(self.0);
        }
        // JSON's texts are texts of YAML too.
        write!(f, "{}", serde_json::Value::from(self.0))
    }
}
