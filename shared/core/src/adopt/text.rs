//! A proposal in words, for terminals.

use std::fmt::Write as _;

use super::back_test::{BackTest, Miss, PolicyLine};
use super::{Bill, Proposal, Tagging};
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
    if missing.is_empty() && of_others.is_empty() {
        let _ = writeln!(
            out,
            "everything carries the tag headroom; Headroom may change what has headroom={platform}"
        );
    } else if !missing.is_empty() {
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

/// What the newest weeks would have been, and what Headroom itself costs.
pub fn back_test(told: &BackTest) -> String {
    let mut out = String::new();
    let start = told.start.to_string();
    let _ = writeln!(
        out,
        "the last {:.1} days, replayed from {}, with {:.1} days before them to learn from",
        told.days,
        start.get(..16).unwrap_or(&start).replace('T', " "),
        told.history_days
    );
    let _ = writeln!(out, "  {:34}{:>8}{:>10}{:>12}", "policy", "short", "minutes", told.currency);
    for line in &told.policies {
        let PolicyLine { name, short_percent, short_minutes, money } = line;
        let _ = writeln!(out, "  {name:34}{short_percent:>7.2}%{short_minutes:>10.0}{money:>12.2}");
    }
    out.push_str(if told.misses.is_empty() {
        "headroom missed nothing\n"
    } else {
        "the worst misses of headroom, units that it had and that were needed\n"
    });
    told.misses.iter().for_each(|one| out.push_str(&miss(one)));
    told.notes.iter().for_each(|note| out.push_str(&format!("note: {note}\n")));
    out
}

fn miss(miss: &Miss) -> String {
    let Miss { dimension, from, minutes, units, needed, is_bounded, .. } = miss;
    let from = from.to_string();
    let from = from.get(..16).unwrap_or(&from).replace('T', " ");
    let bounded = if *is_bounded { "; the file allows no more" } else { "" };
    format!("  {from} for {minutes} min: {dimension} had {units} of {needed} units{bounded}\n")
}

/// What Headroom itself would cost.
pub fn bill(bill: Bill) -> String {
    format!(
        "headroom's own bill: about ${:.2} a month: quiet cycles ${:.2}, custom metrics ${:.2}, alarms and the topic's key ${:.2}; \
         plans, logs and tables come on top",
        bill.total_usd(),
        bill.cycles_usd,
        bill.metrics_usd,
        bill.stack_usd
    )
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::{Dependency, LeftOut, Tier};
    use super::*;

    impl Miss {
        fn new(
            dimension: &str,
            from: &str,
            (minutes, units, needed): (usize, u32, u32),
            is_bounded: bool,
        ) -> Miss {
            let (dimension, from) = (dimension.parse().unwrap(), from.parse().unwrap());
            Miss { dimension, from, minutes, units, needed, is_bounded, weight: 0.0 }
        }
    }

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
    fn a_person_reads_what_the_newest_weeks_would_have_been() {
        let line = |name: &str, short_percent, short_minutes, money| PolicyLine {
            name: name.into(),
            short_percent,
            short_minutes,
            money,
        };
        let told = BackTest {
            start: "2026-11-13T08:00:00Z".parse().unwrap(),
            days: 14.0,
            history_days: 21.0,
            currency: "USD".into(),
            policies: vec![
                line("target tracking", 3.6, 725.8, 208.94),
                line("headroom at 99.5%", 0.5, 100.0, 200.97),
            ],
            misses: vec![Miss::new("web/desired", "2026-11-20T08:03:00Z", (12, 9, 14), true)],
            notes: vec!["api/desired is left out".into()],
        };
        expect![[r#"
            the last 14.0 days, replayed from 2026-11-13 08:00, with 21.0 days before them to learn from
              policy                               short   minutes         USD
              target tracking                      3.60%       726      208.94
              headroom at 99.5%                    0.50%       100      200.97
            the worst misses of headroom, units that it had and that were needed
              2026-11-20 08:03 for 12 min: web/desired had 9 of 14 units; the file allows no more
            note: api/desired is left out
        "#]]
        .assert_eq(&back_test(&told));
        let bill = Bill { cycles_usd: 2.73, metrics_usd: 4.8, stack_usd: 1.5 };
        expect!["headroom's own bill: about $9.03 a month: quiet cycles $2.73, custom metrics $4.80, alarms and the topic's key $1.50; plans, logs and tables come on top"].assert_eq(&super::bill(bill));
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
