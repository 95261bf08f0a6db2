//! The table of kinds in the user's guide, made of what the kinds say of themselves.

use std::fmt::Write as _;

use super::parse;
use crate::platform::{Dimension, Resource};
use crate::resource::{DailyLimit, ResourceKind, Scaling, Undo};

/// The table of every kind of resource, in Markdown: what can be scaled on it, by what it is measured, and what AWS allows.
pub fn kinds_table() -> String {
    let mut table = "| type | dimensions | measured by, unless you name metrics | target | a unit an hour | ready after | limits | \
                     rolling back | served |\n|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for kind in ResourceKind::ALL {
        let guide = kind.guide();
        let Some(resource) = example(*kind) else { continue };
        let first = resource.dimensions.first().map(|dimension| &dimension.facts);
        let served = resource.dimensions.iter().filter(|dimension| dimension.facts.is_served);
        let served = match served.clone().count() {
            0 => "not yet".to_owned(),
            all if all == resource.dimensions.len() => "yes".to_owned(),
            _ => names(served),
        };
        let dimensions = guide.dimensions.map_or_else(|| names(resource.dimensions.iter()), str::to_owned);
        let row = [
            format!("[`{}`](kinds/{}.md){}", kind.type_name(), kind.file(), guide.also),
            dimensions,
            guide.measured_by.to_owned(),
            guide.target.to_owned(),
            costs(&resource),
            format!("{} s", resource.provisioning.as_secs()),
            first.map(|facts| limits(facts.scaling, facts.daily_limit)).unwrap_or_default(),
            first.map(|facts| undo(facts.undo).to_owned()).unwrap_or_default(),
            served,
        ];
        let _ = writeln!(table, "| {} |", row.join(" | "));
    }
    table
}

/// The kind's own example as a resource. Every kind's example is valid, which a test holds.
pub(super) fn example(kind: ResourceKind) -> Option<Resource> {
    let text = format!(
        "configuration_name: example\nscaling_groups: {{group: {{resources: [{}]}}}}\n",
        kind.guide().example
    );
    let platform = parse(&text).ok()?.platform;
    platform.groups.into_iter().flat_map(|group| group.resources).next()
}

fn names<'a>(dimensions: impl Iterator<Item = &'a Dimension>) -> String {
    let names: Vec<String> = dimensions.map(|dimension| format!("`{}`", dimension.key.dimension)).collect();
    names.join(", ")
}

/// The list price of a unit, or of each dimension's unit where they differ.
fn costs(resource: &Resource) -> String {
    let mut costs: Vec<(f64, Vec<&str>)> = Vec::new();
    for dimension in &resource.dimensions {
        let cost = dimension.facts.unit_cost_hourly;
        let name = dimension.key.dimension.as_str();
        match costs.iter_mut().find(|(other, _)| (other - cost).abs() < f64::EPSILON) {
            Some((_, names)) => names.push(name),
            None => costs.push((cost, vec![name])),
        }
    }
    match costs.as_slice() {
        [(cost, _)] => format!("${cost}"),
        costs => {
            // An index has the price of its table: the first name says enough.
            let each = costs
                .iter()
                .map(|(cost, names)| format!("{} ${cost}", names.first().copied().unwrap_or_default()));
            each.collect::<Vec<_>>().join(", ")
        }
    }
}

pub(super) fn limits(scaling: Scaling, daily: Option<DailyLimit>) -> String {
    let ways = match scaling {
        Scaling::Both => None,
        Scaling::OutOnly => Some("only grows".to_owned()),
    };
    let daily = daily.map(|limit| match limit {
        DailyLimit::Decreases { daily, then_every_s } => {
            format!("{daily} decreases a day, then one every {} min", then_every_s / 60)
        }
        DailyLimit::Spaced { every_s } => format!("one change in {} h", every_s / 3_600),
        DailyLimit::Changes { daily } => format!("{daily} changes a day"),
    });
    ways.into_iter().chain(daily).collect::<Vec<_>>().join("; ")
}

pub(super) fn undo(undo: Undo) -> &'static str {
    match undo {
        Undo::Exact => "restores what was",
        Undo::Partial => "restores the number, not the same units",
        Undo::None => "restores nothing",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{parse, schema};

    const GUIDE: &str = include_str!("../../../../docs/guide.md");

    #[test]
    fn the_guide_has_the_table_of_kinds() {
        let table = kinds_table();
        assert!(GUIDE.contains(&table), "docs/guide.md must have this table of kinds:\n\n{table}");
    }

    #[test]
    fn every_example_is_valid_and_warns_of_what_is_not_served() {
        for kind in ResourceKind::ALL {
            let resource = example(*kind).unwrap_or_else(|| panic!("{}", kind.type_name()));
            assert_eq!(resource.kind, *kind);
            let text = format!(
                "configuration_name: example\nscaling_groups: {{group: {{resources: [{}]}}}}\n",
                kind.guide().example
            );
            let warnings = parse(&text).unwrap().warnings;
            for dimension in &resource.dimensions {
                let warned = warnings
                    .iter()
                    .any(|warning| warning.to_string().contains(&format!("`{}` is held", dimension.key)));
                assert_eq!(warned, !dimension.facts.is_served, "{}", dimension.key);
            }
            let is_served = resource.dimensions.iter().any(|dimension| dimension.facts.is_served);
            assert_eq!(is_served, resource.adapter.is_some(), "{}", kind.type_name());
        }
    }

    #[test]
    fn the_schema_has_every_kind_and_no_other() {
        let schema = schema();
        let shapes = schema["$defs"]["Resource"]["oneOf"].as_array().unwrap();
        let types: Vec<&str> =
            shapes.iter().map(|shape| shape["properties"]["type"]["const"].as_str().unwrap()).collect();
        let kinds: Vec<&str> = ResourceKind::ALL.iter().map(|kind| kind.type_name()).collect();
        assert_eq!(types, kinds);
    }

    #[test]
    fn read_and_write_units_have_prices_of_their_own_unless_one_is_given() {
        let costs = |given: &str| -> Vec<f64> {
            let text = format!(
                "configuration_name: shop\nscaling_groups: {{data: {{resources: [{{type: DYNAMODB_TABLE, name: users, \
                 read_capacity: {{min: 1, max: 9}}, write_capacity: {{min: 1, max: 9}}{given}}}]}}}}\n"
            );
            let platform = parse(&text).unwrap().platform;
            platform.dimensions().map(|place| place.dimension.unit_cost_hourly).collect()
        };
        assert_eq!(costs(""), [0.000_13, 0.000_65]);
        assert_eq!(costs(", hourly_cost_per_unit: 0.5"), [0.5, 0.5]);
    }
}
