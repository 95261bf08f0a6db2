//! The facts on the page of each kind in `docs/kinds`, made of what the kinds say of themselves.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value as Json;

use super::kinds::{example, limits, undo};
use super::{parse, schema};
use crate::platform::{Dimension, Resource};
use crate::resource::{Mode, Permissions, ResourceKind, Scaling};

/// The line of a page from which on it is made here. What stands above is written by hand.
const MADE: &str = "<!-- Made from the code from here on: UPDATE_EXPECT=1 cargo test -p headroom-core --lib kind_pages -->\n";

/// The facts of a kind, in Markdown: an example, what is scaled on it, how, what it takes, and what is never done.
pub fn kind_facts(kind: ResourceKind) -> String {
    let Some(resource) = example(kind) else { return String::new() };
    [
        MADE.to_owned(),
        format!("\n## Example\n\n```yaml\n{}```\n", whole_example(kind)),
        format!("\n## What is scaled\n\n{}", dimensions(&resource)),
        format!("\n## Mode\n\n{}", modes(kind)),
        format!("\n## Permissions\n\n{}", permissions(&resource)),
        format!("\n## Keys of its own\n\n{}", keys(kind)),
        format!("\n## What Headroom never does\n\n{}", never(kind, &resource)),
    ]
    .concat()
}

/// A file with one resource of the kind.
fn whole_example(kind: ResourceKind) -> String {
    let mut text = "configuration_name: example\nscaling_groups:\n  tier:\n    resources:\n".to_owned();
    for (index, entry) in entries(kind.guide().example).into_iter().enumerate() {
        let _ = writeln!(text, "      {} {entry}", if index == 0 { "-" } else { " " });
    }
    text
}

/// The entries of a mapping in one line.
fn entries(flow: &str) -> Vec<String> {
    let inner = flow.trim().trim_start_matches('{').strip_suffix('}').unwrap_or(flow);
    let mut entries = vec![String::new()];
    let mut depth = 0_u32;
    for letter in inner.chars() {
        match letter {
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            _ => (),
        }
        match entries.last_mut() {
            Some(_) if letter == ',' && depth == 0 => entries.push(String::new()),
            Some(last) => last.push(letter),
            None => (),
        }
    }
    entries.into_iter().map(|entry| entry.trim().to_owned()).collect()
}

fn dimensions(resource: &Resource) -> String {
    let mut table =
        "| dimension | measured by | a unit an hour | ready after | limits | rolling back |\n|---|---|---|---|---|---|\n"
            .to_owned();
    for dimension in &resource.dimensions {
        let facts = &dimension.facts;
        let row = [
            format!("`{}`{}", dimension.key.dimension, if facts.is_served { "" } else { ", not served yet" }),
            measured(dimension),
            format!("${}", facts.unit_cost_hourly),
            format!("{} s", resource.provisioning.as_secs()),
            limits(facts.scaling, facts.daily_limit),
            undo(facts.undo).to_owned(),
        ];
        let _ = writeln!(table, "| {} |", row.join(" | "));
    }
    table
}

/// Its metrics as CloudWatch knows them.
fn measured(dimension: &Dimension) -> String {
    let lines =
        dimension.metrics.iter().filter_map(|metric| Some(format!("`{}`", metric.query.as_ref()?.line())));
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() { "what you name".to_owned() } else { lines.join("<br>") }
}

/// The modes that a file may ask for, and what it is told of another.
fn modes(kind: ResourceKind) -> String {
    let fault_of = |mode: Mode| {
        let name = if mode == Mode::Floor { "floor" } else { "desired" };
        let text = whole_example(kind).replacen("      - ", &format!("      - mode: {name}\n        "), 1);
        let faults = parse(&text).err()?;
        faults
            .0
            .iter()
            .map(ToString::to_string)
            .find_map(|fault| Some(fault.split_once("mode: ")?.1.to_owned()))
    };
    match (fault_of(Mode::Floor), fault_of(Mode::Desired)) {
        (None, None) => "`desired` or `floor`. Without `mode` it is `floor` where AWS has a scaling policy of its own on it, and \
                         `desired` elsewhere.\n"
            .to_owned(),
        (Some(fault), _) | (_, Some(fault)) => format!("`mode` {fault}.\n"),
    }
}

/// What IAM is asked for, by what for. Application Auto Scaling's are for floors under native policies.
fn permissions(resource: &Resource) -> String {
    let Some(adapter) = &resource.adapter else { return "None: it is not served yet.\n".to_owned() };
    let own = adapter.permissions();
    let is_target = resource.dimensions.iter().any(|dimension| dimension.facts.scalable_target.is_some());
    let targets = Permissions::SCALABLE_TARGETS;
    let floor = |actions| if is_target { actions } else { &[][..] };
    let rows: [(&str, Vec<&str>); 4] = [
        ("to see it", [own.see, adapter.sees_through(), floor(targets.see)].concat()),
        ("to look before it acts", own.look.to_vec()),
        ("to find scaling policies of AWS", [own.find, floor(targets.find)].concat()),
        ("to scale it, where it has the platform's tag", [own.set, floor(targets.set)].concat()),
    ];
    let mut table = "| for | actions |\n|---|---|\n".to_owned();
    for (what, actions) in rows.into_iter().filter(|(_, actions)| !actions.is_empty()) {
        let actions: BTreeSet<String> = actions.into_iter().map(|action| format!("`{action}`")).collect();
        let _ = writeln!(table, "| {what} | {} |", actions.into_iter().collect::<Vec<_>>().join(", "));
    }
    table
}

/// The keys that resources of other kinds do not all have, as the schema describes them.
fn keys(kind: ResourceKind) -> String {
    let schema = schema();
    let shapes =
        schema.pointer("/$defs/Resource/oneOf").and_then(Json::as_array).cloned().unwrap_or_default();
    // By name: the order of a JSON object depends on the features of the build.
    let properties = |shape: &Json| -> BTreeMap<String, Json> {
        shape.get("properties").and_then(Json::as_object).cloned().unwrap_or_default().into_iter().collect()
    };
    let of_all = |key: &str| shapes.iter().all(|shape| properties(shape).contains_key(key));
    let is_kind = |shape: &&Json| {
        shape.pointer("/properties/type/const").and_then(Json::as_str) == Some(kind.type_name())
    };
    let Some(shape) = shapes.iter().find(is_kind) else { return String::new() };
    let required = shape.get("required").and_then(Json::as_array).cloned().unwrap_or_default();
    let mut table = "| key | meaning |\n|---|---|\n".to_owned();
    for (key, property) in properties(shape).iter().filter(|(key, _)| !of_all(key)) {
        let described =
            property.get("description").and_then(Json::as_str).unwrap_or_default().replace('\n', " ");
        let needed = if required.iter().any(|one| one == key) { "Required." } else { "" };
        let _ = writeln!(table, "| `{key}` | {} |", format!("{described} {needed}").trim());
    }
    table.push_str("\nKeys of every kind are in the [guide](../guide.md#groups-and-resources).\n");
    table
}

fn never(kind: ResourceKind, resource: &Resource) -> String {
    let facts = || resource.dimensions.iter().map(|dimension| &dimension.facts);
    let only_out = facts().any(|facts| facts.scaling == Scaling::OutOnly);
    let one_at_a_time = facts().any(|facts| facts.one_at_a_time);
    let of_facts = [
        (only_out, "It never makes it smaller: AWS has no way to."),
        (one_at_a_time, "It never changes two of its dimensions in one cycle."),
    ];
    let of_facts = of_facts.into_iter().filter(|(holds, _)| *holds).map(|(_, sentence)| sentence);
    kind.guide().never.iter().copied().chain(of_facts).map(|sentence| format!("- {sentence}\n")).collect()
}

#[cfg(test)]
mod tests {
    use expect_test::expect_file;

    use super::*;

    #[test]
    fn kind_pages_have_the_facts() {
        for kind in ResourceKind::ALL {
            let name = kind.file();
            let page = kind.page();
            let by_hand = page.split_once(MADE).map_or(page, |(by_hand, _)| by_hand);
            let title = format!("`{}`", kind.type_name());
            assert!(by_hand.lines().next().is_some_and(|line| line.contains(&title)), "{name} has no title");
            let whole = format!("{}\n\n{}", by_hand.trim_end(), kind_facts(*kind));
            expect_file![format!("../../../../docs/kinds/{name}.md")].assert_eq(&whole);
        }
    }

    #[test]
    fn the_example_of_every_page_is_a_valid_file() {
        for kind in ResourceKind::ALL {
            let (_, rest) = kind.page().split_once("```yaml\n").unwrap();
            let (text, _) = rest.split_once("```").unwrap();
            let platform =
                parse(text).unwrap_or_else(|faults| panic!("{}: {faults}", kind.type_name())).platform;
            let kinds: Vec<ResourceKind> = platform.resources().map(|(_, resource)| resource.kind).collect();
            assert_eq!(kinds, [*kind]);
        }
    }

    #[test]
    fn every_page_describes_all_keys_and_says_what_is_never_done() {
        for kind in ResourceKind::ALL {
            assert!(!kind.page().contains("` |  |"), "{} has a key without a description", kind.type_name());
            assert!(!kind.guide().never.is_empty(), "{}", kind.type_name());
        }
    }
}
