//! Order among groups: which come before which, in layers.

use std::collections::{BTreeMap, BTreeSet};

use crate::name::GroupName;

/// Groups in layers such that every edge `(first, then)` leads from an earlier layer to a later one, each group as
/// early as it can be.
///
/// # Errors
/// A cycle of the edges, as the groups along it, the first again at the end.
pub fn layers(
    groups: &BTreeSet<GroupName>,
    edges: &[(GroupName, GroupName)],
) -> Result<Vec<Vec<GroupName>>, Vec<GroupName>> {
    let mut rest = groups.clone();
    let mut layers = Vec::new();
    while !rest.is_empty() {
        let waits =
            |group: &GroupName| edges.iter().any(|(first, then)| then == group && rest.contains(first));
        let layer: Vec<GroupName> = rest.iter().filter(|group| !waits(group)).cloned().collect();
        if layer.is_empty() {
            return Err(cycle(&rest, edges));
        }
        rest.retain(|group| !layer.contains(group));
        layers.push(layer);
    }
    Ok(layers)
}

/// Every group among `rest` waits for another one of it, so walking back along the edges must come round.
fn cycle(rest: &BTreeSet<GroupName>, edges: &[(GroupName, GroupName)]) -> Vec<GroupName> {
    let before: BTreeMap<&GroupName, &GroupName> = edges
        .iter()
        .filter(|(first, then)| rest.contains(first) && rest.contains(then))
        .map(|(first, then)| (then, first))
        .collect();
    let mut walked: Vec<&GroupName> = Vec::new();
    let mut next = before.keys().next().copied();
    while let Some(group) = next {
        if let Some(start) = walked.iter().position(|seen| *seen == group) {
            let mut round: Vec<GroupName> =
                walked.iter().skip(start).rev().map(|group| (*group).clone()).collect();
            round.extend(round.first().cloned());
            return round;
        }
        walked.push(group);
        next = before.get(group).copied();
    }
    rest.iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(groups: &str, edges: &[(&str, &str)], expected: &str) {
        let groups = groups.split(' ').map(GroupName::from).collect();
        let edges: Vec<_> = edges.iter().map(|(a, b)| (GroupName::from(*a), GroupName::from(*b))).collect();
        let names = |names: &[GroupName], between: &str| {
            names.iter().map(GroupName::to_string).collect::<Vec<_>>().join(between)
        };
        let actual = match layers(&groups, &edges) {
            Ok(layers) => layers.iter().map(|layer| names(layer, " ")).collect::<Vec<_>>().join(" | "),
            Err(cycle) => format!("cycle {}", names(&cycle, " -> ")),
        };
        assert_eq!(actual, expected);
    }

    #[test]
    fn groups_stand_as_early_as_their_edges_allow() {
        check("a b c", &[], "a b c");
        check("app data web", &[("data", "app"), ("app", "web")], "data | app | web");
        check(
            "app cache data web",
            &[("data", "app"), ("cache", "app"), ("app", "web")],
            "cache data | app | web",
        );
        check("a b c", &[("a", "b")], "a c | b");
    }

    #[test]
    fn cycles_are_named() {
        check("a b", &[("a", "b"), ("b", "a")], "cycle b -> a -> b");
        check("a", &[("a", "a")], "cycle a -> a");
        check("a b c d", &[("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")], "cycle c -> b -> c");
    }
}
