//! A proposal in words, for terminals.

use std::fmt::Write as _;

use super::{Proposal, Tagging};
use crate::name::PlatformName;

/// Pieces of evidence told of one dependency: a sentence or two convince, and the file has all of them.
const EVIDENCE_MAX: usize = 3;

/// Tiers, dependencies, and what is missing in them.
pub fn arrangement(proposal: &Proposal) -> String {
    let mut out = String::from("tiers, the first scales out first\n");
    // Writing to a String cannot fail.
    for tier in &proposal.tiers {
        let _ = writeln!(out, "  {:8} {}", tier.name, tier.resources.join(", "));
    }
    if !proposal.dependencies.is_empty() {
        out.push_str("dependencies\n");
    }
    for edge in &proposal.dependencies {
        let _ = writeln!(out, "  {} depends on {}", edge.source, edge.target);
        let told = edge.evidence.iter().take(EVIDENCE_MAX);
        told.for_each(|sentence| out.push_str(&format!("    {sentence}\n")));
        let more = edge.evidence.len().saturating_sub(EVIDENCE_MAX);
        if 0 < more {
            let _ = writeln!(out, "    and {more} more");
        }
    }
    let left_out =
        proposal.left_out.iter().map(|left| format!("left out: {}, because {}", left.what, left.why));
    let not_seen = proposal.not_seen.iter().map(|what| format!("not seen: {what}"));
    for line in proposal.remarks.iter().cloned().chain(left_out).chain(not_seen) {
        let _ = writeln!(out, "{line}");
    }
    out
}

/// What has to be tagged and switched on.
pub fn to_do(tagging: &Tagging, platform: &PlatformName) -> String {
    let mut out = String::new();
    let Tagging { missing, of_others, unrecorded, commands } = tagging;
    if missing.is_empty() {
        let _ = writeln!(
            out,
            "everything carries the tag headroom; Headroom may change what has headroom={platform}"
        );
    } else {
        let _ = writeln!(
            out,
            "before a phase above observe, tag headroom={platform}; in mode floor the scalable targets too\n  {}",
            missing.join(", ")
        );
    }
    of_others.iter().for_each(|one| out.push_str(&format!("of another platform: {one}\n")));
    if !unrecorded.is_empty() {
        let names = unrecorded.join(", ");
        let _ = writeln!(
            out,
            "the past capacity of {names} is not recorded, so its load is not known: switch it on now"
        );
    }
    commands.iter().for_each(|command| out.push_str(&format!("  {command}\n")));
    out
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::{Dependency, LeftOut, Tier};
    use super::*;

    fn tier(name: &str, resources: &[&str]) -> Tier {
        let resources: Vec<String> = resources.iter().map(|name| (*name).to_owned()).collect();
        Tier { name: name.into(), members: Vec::new(), resources, why: String::new() }
    }

    #[test]
    fn a_person_reads_tiers_dependencies_and_gaps() {
        let evidence = ["a", "b", "c", "d", "e"].map(|word| format!("{word} says so")).into();
        let proposal = Proposal {
            tiers: vec![tier("data", &["orders", "cache"]), tier("app", &["api"])],
            dependencies: vec![Dependency { source: "app".into(), target: "data".into(), evidence }],
            remarks: vec!["a remark".into()],
            left_out: vec![LeftOut { what: "the table carts".into(), why: "it is on demand".into() }],
            not_seen: vec!["load balancers: denied".into()],
            tagging: Tagging::default(),
            yaml: String::new(),
        };
        expect![[r#"
            tiers, the first scales out first
              data     orders, cache
              app      api
            dependencies
              app depends on data
                a says so
                b says so
                c says so
                and 2 more
            a remark
            left out: the table carts, because it is on demand
            not seen: load balancers: denied
        "#]]
        .assert_eq(&arrangement(&proposal));
    }

    #[test]
    fn a_person_reads_what_to_do() {
        let words = |text: &str| vec![text.to_owned()];
        let tagging = Tagging {
            missing: words("web"),
            of_others: words("orders has it for blog"),
            unrecorded: words("web"),
            commands: words("aws autoscaling ..."),
        };
        expect![[r#"
            before a phase above observe, tag headroom=shop; in mode floor the scalable targets too
              web
            of another platform: orders has it for blog
            the past capacity of web is not recorded, so its load is not known: switch it on now
              aws autoscaling ...
        "#]]
        .assert_eq(&to_do(&tagging, &"shop".into()));
        expect![[r#"
            everything carries the tag headroom; Headroom may change what has headroom=shop
        "#]]
        .assert_eq(&to_do(&Tagging::default(), &"shop".into()));
    }
}
