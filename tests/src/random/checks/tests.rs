//! Each check must be able to fail: a world that is right passes, and one that is wrong in one place does not.

use headroom_core::config::parse;
use headroom_core::journal::StepEvent as E;
use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::shop::Shop;

const PLAN: &str = "plan-1";

fn platform() -> Platform {
    parse(&Shop::new("shop").platform("http://localhost/health").unwrap()).unwrap().platform
}

/// A plan that scales out table, service and group, from 100, 4 and 6 units to 200, 8 and 12.
fn plan() -> Plan {
    let step = |wave: usize, resource: &str, group: &str, dimension: &str, from: u32, to: u32| {
        json!({"direction": "out", "groups": [group], "timeout_s": 30, "poll_s": 5, "steps": [
            {"id": format!("w{wave}/{resource}"), "resource": resource, "group": group, "mode": "desired", "after": [],
            "changes": [{"key": format!("{resource}/{dimension}"), "expected": from, "target": to}]}]})
    };
    let waves = [
        step(0, "shop-orders", "data", "read", 100, 200),
        step(1, "shop-api", "app", "desired", 4, 8),
        step(2, "shop-web", "web", "desired", 6, 12),
    ];
    let plan = json!({"id": PLAN, "cycle": "c", "made_at": "2026-11-23T12:00:00Z", "config": "v", "permit": "act",
        "rollback": true, "waves": waves});
    serde_json::from_value(plan).unwrap()
}

/// The journal of the plan, each step with these events, a second between two.
fn journal(plan: &Plan, events: &[&[E]]) -> Vec<Entry> {
    let mut second = 0;
    let mut entries = Vec::new();
    for (wave, (step, events)) in plan.steps().zip(events).enumerate() {
        let with = |entry: Entry, event: &E| {
            second += 1;
            entry.with(*event, Timestamp::from_second(second).unwrap(), None).unwrap()
        };
        entries.push(events.iter().fold(Entry::new(&plan.id, wave, step), with));
    }
    entries
}

fn outcome(ending: Ending, plan: Option<&str>) -> Outcome {
    let error = (!ending.succeeded()).then(|| format!("{ending:?}"));
    let outcome = json!({"outcome": ending, "succeeded": ending.succeeded(), "cycleId": "c", "summary": "", "planId": plan,
        "steps": {"done": 0, "refused": 0, "skipped": 0, "undone": 0, "left": 0}, "error": error, "cause": null,
        "awsCalls": 1, "costUsd": 0, "usage": {}});
    serde_json::from_value(outcome).unwrap()
}

fn units(read: u32, api: u32, web: u32) -> UnitsSet {
    let set = [
        ("shop-orders/read", read),
        ("shop-orders/write", 50),
        ("shop-api/desired", api),
        ("shop-web/desired", web),
    ];
    set.map(|(key, units)| (key.to_owned(), units)).into()
}

const MADE: &[E] = &[E::Started, E::Succeeded];

/// A cycle that scaled everything.
fn scaled() -> Facts {
    let plan = plan();
    let opened = Opened { journal: journal(&plan, &[MADE; 3]), plan, platform: platform() };
    Facts {
        execution: Execution::Succeeded,
        outcome: Some(outcome(Ending::Scaled, Some(PLAN))),
        may_not_settle: false,
        lease_before: Lease::default(),
        lease: Lease::default(),
        plans: vec![opened],
        platform: Some(platform()),
        before: units(100, 4, 6),
        after: units(200, 8, 12),
        by_person: UnitsSet::new(),
        raised: None,
    }
}

/// A cycle that rolled all of it back, in order.
fn rolled_back() -> Facts {
    let mut facts = scaled();
    let opened = &mut facts.plans[0];
    for entry in opened.journal.iter_mut().rev() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let second = 100 - 10 * i64::try_from(entry.wave).unwrap();
        *entry = entry.with(E::UndoStarted, at(second), None).unwrap();
        *entry = entry.with(E::UndoSucceeded, at(second + 1), None).unwrap();
    }
    facts.execution = Execution::Failed("RolledBack".to_owned());
    facts.outcome = Some(outcome(Ending::RolledBack, Some(PLAN)));
    facts.after = facts.before.clone();
    facts
}

/// A cycle that stopped the platform for a person.
fn stopped() -> Facts {
    let mut facts = rolled_back();
    let plan = &facts.plans[0].plan;
    let stuck: &[E] = &[E::Started, E::Succeeded, E::UndoStarted, E::UndoFailed];
    facts.plans[0].journal = journal(plan, &[stuck]);
    facts.after = units(150, 4, 6);
    facts.execution = Execution::Failed("NeedsHuman".to_owned());
    facts.outcome = Some(outcome(Ending::NeedsHuman, Some(PLAN)));
    facts.lease.needs_human = Some("it could not be rolled back".to_owned());
    facts.lease.open_plan = Some(PLAN.into());
    facts.raised = Some(Raised { alarm: true, notice: true });
    facts
}

fn check(facts: &Facts, rule: Rule, told: &str) {
    let found = violations(facts);
    let matches = |violation: &Violation| violation.rule == rule && violation.sentence.contains(told);
    assert!(found.iter().any(matches), "{rule:?} {told}: {found:#?}");
}

#[test]
fn cycles_that_are_right_break_nothing() {
    for facts in [scaled(), rolled_back(), stopped()] {
        assert_eq!(violations(&facts), [], "{:?}", facts.outcome);
    }
    assert_eq!(scaled().came_out(), CameOut::Applied);
    assert_eq!(rolled_back().came_out(), CameOut::RolledBack);
    assert_eq!(stopped().came_out(), CameOut::NeedsHuman);
}

#[test]
fn a_cycle_must_end_and_say_how() {
    check(&Facts { execution: Execution::Running, ..scaled() }, Rule::Ending, "does not end");
    check(&Facts { execution: Execution::Failed("Oops".to_owned()), ..scaled() }, Rule::Ending, "Oops");
    let silent = Facts { execution: Execution::Failed("Oops".to_owned()), outcome: None, ..scaled() };
    check(&silent, Rule::Ending, "Oops");
    assert_eq!(violations(&Facts { may_not_settle: true, ..silent }), []);
    check(&Facts { outcome: None, ..scaled() }, Rule::Ending, "Succeeded");
}

#[test]
fn an_ending_must_fit_the_journal() {
    let mut facts = scaled();
    facts.outcome = Some(outcome(Ending::Held, Some(PLAN)));
    check(&facts, Rule::Ending, "Held");
    let mut facts = scaled();
    let refused: &[E] = &[E::Refused];
    facts.plans[0].journal = journal(&plan(), &[refused, MADE, MADE]);
    check(&facts, Rule::Ending, "Refused");
    let mut facts = rolled_back();
    facts.plans[0].journal = journal(&plan(), &[MADE; 3]);
    check(&facts, Rule::Ending, "RolledBack");
}

#[test]
fn a_plan_that_is_half_done_must_be_named() {
    for half in [&[E::Started][..], &[E::Started, E::Failed], &[E::Started, E::Succeeded, E::UndoStarted]] {
        let mut facts = scaled();
        facts.plans[0].journal = journal(&plan(), &[MADE, half]);
        check(&facts, Rule::Plans, "does not name it");
        // Nor may it be forgotten by a cycle that was stopped.
        facts.execution = Execution::Stopped;
        facts.outcome = None;
        check(&facts, Rule::Plans, "does not name it");
        facts.lease.open_plan = Some(PLAN.into());
        facts.after = units(200, 4, 6);
        assert_eq!(violations(&facts), []);
    }
    // Some steps made and others not, and nobody to finish it.
    let mut facts = scaled();
    facts.plans[0].journal = journal(&plan(), &[MADE]);
    check(&facts, Rule::Plans, "stands Partly");
}

#[test]
fn an_open_plan_may_not_vanish() {
    let mut facts = scaled();
    facts.lease_before.open_plan = Some("plan-0".into());
    check(&facts, Rule::Plans, "plan-0 was open before");
}

#[test]
fn the_lease_must_be_free_after_a_cycle() {
    let holder = json!({"cycle": "c", "execution": "arn", "until": "2026-11-23T12:00:00Z"});
    let mut facts = scaled();
    facts.lease.holder = serde_json::from_value::<Option<_>>(holder).unwrap();
    check(&facts, Rule::Plans, "still holds the lease");
    let mut facts = scaled();
    facts.lease.open_plan = Some(PLAN.into());
    check(&facts, Rule::Plans, "the lease says");
    let mut facts = stopped();
    facts.lease.needs_human = None;
    check(&facts, Rule::Plans, "does not say that a person must look");
    let mut facts = stopped();
    facts.lease.open_plan = None;
    check(&facts, Rule::Plans, "does not name the plan");
}

#[test]
fn waves_must_keep_their_order() {
    let mut facts = scaled();
    facts.plans[0].plan.waves.swap(0, 2);
    check(&facts, Rule::Order, "order of the tiers");
    let mut facts = scaled();
    facts.plans[0].journal[1].events[0].at = Timestamp::UNIX_EPOCH;
    check(&facts, Rule::Order, "wave 1 of plan plan-1 began before wave 0 was done");
    let mut facts = rolled_back();
    let started =
        facts.plans[0].journal[0].events.iter_mut().find(|happened| happened.event == E::UndoStarted);
    started.unwrap().at = Timestamp::UNIX_EPOCH;
    check(&facts, Rule::Order, "wave 0 of plan plan-1 was rolled back before wave 1");
}

#[test]
fn bounds_must_hold_unless_a_person_broke_them() {
    let mut facts = scaled();
    facts.after.insert("shop-web/desired".to_owned(), 41);
    check(&facts, Rule::Bounds, "shop-web/desired is 41, outside 2 to 40");
    let mut facts = scaled();
    facts.plans[0].plan.waves[2].steps[0].changes[0].target = Units(41);
    check(&facts, Rule::Bounds, "planned to be 41");
    let mut facts = scaled();
    facts.after.insert("shop-web/desired".to_owned(), 41);
    facts.by_person.insert("shop-web/desired".to_owned(), 41);
    assert_eq!(violations(&facts), []);
}

#[test]
fn the_capacity_must_be_what_the_journal_says() {
    let mut facts = scaled();
    facts.after = units(200, 8, 6);
    check(&facts, Rule::Capacity, "shop-web/desired is 6, and by the journal it must be 12");
    let mut facts = rolled_back();
    facts.after = units(200, 4, 6);
    check(&facts, Rule::Capacity, "shop-orders/read is 200, and by the journal it must be 100");
    let mut facts = scaled();
    facts.after.insert("shop-orders/write".to_owned(), 60);
    check(&facts, Rule::Capacity, "shop-orders/write is 60");
}

#[test]
fn a_platform_that_stops_must_say_so() {
    check(&Facts { raised: None, ..stopped() }, Rule::Alarm, "is not on");
    let quiet = Raised { alarm: true, notice: false };
    check(&Facts { raised: Some(quiet), ..stopped() }, Rule::Alarm, "nobody was told");
}
