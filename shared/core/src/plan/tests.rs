//! Plans: their order, their laws, and what the linter refuses.

mod replan;

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::config::parse;
use crate::decide::Decision;
use crate::platform::Platform;
use crate::resource::Scaling;

const SHOP: &str = "configuration_name: shop
scaling_groups:
  data:
    resources:
      - {type: DYNAMODB_TABLE, name: users, read_capacity: {min: 5, max: 4000}, write_capacity: {min: 5, max: 4000}}
  app: {resources: [{type: ECS_SERVICE, name: api, min_capacity: 1, max_capacity: 30}]}
  web: {resources: [{type: EC2_AUTO_SCALING_GROUP, name: web, min_capacity: 1, max_capacity: 20}]}
";

fn shop(orchestration: &str) -> Platform {
    parse(&format!("{SHOP}orchestration: {{{orchestration}}}\n")).unwrap().platform
}

const ORDERED: &str = "scaling_order: [data, app, web]";
const DEPENDENT: &str =
    "dependencies: [{source: web, target: app}, {source: app, target: data, timeout: 2m}]";

/// Decisions from a text such as `web/desired 4 8, users/read 10 20`.
fn decisions(platform: &Platform, changes: &str) -> Vec<Decision> {
    let changes: BTreeMap<DimensionKey, (Units, Units)> = changes
        .split(", ")
        .map(|change| {
            let words: Vec<&str> = change.split(' ').collect();
            (words[0].parse().unwrap(), (Units(words[1].parse().unwrap()), Units(words[2].parse().unwrap())))
        })
        .collect();
    platform.dimensions().map(|place| decision(&place, changes.get(&place.dimension.key).copied())).collect()
}

fn decision(place: &crate::platform::Place<'_>, change: Option<(Units, Units)>) -> Decision {
    let (from, to) = (change.map(|change| change.0), change.map(|change| change.1));
    let undecided = Decision::undecided(*place);
    Decision { observed: from, ready: from, needed: to, wanted: to, target: to, ..undecided }
}

fn plan(platform: &Platform, changes: &str) -> Plan {
    make(
        platform,
        &decisions(platform, changes),
        &"cycle".into(),
        Timestamp::UNIX_EPOCH,
        &"v1".into(),
        Permit::Act,
    )
}

fn told(plan: &Plan) -> String {
    let step = |step: &Step| {
        let changes: Vec<String> = step
            .changes
            .iter()
            .map(|change| format!("{} {}->{}", change.key, change.expected, change.target))
            .collect();
        changes.join(" & ")
    };
    let waves: Vec<String> =
        plan.waves.iter().map(|wave| wave.steps.iter().map(step).collect::<Vec<_>>().join(" + ")).collect();
    waves.join(" | ")
}

fn check(orchestration: &str, changes: &str, expected: &str) {
    let platform = shop(orchestration);
    let plan = plan(&platform, changes);
    assert_eq!(told(&plan), expected);
    assert_eq!(lint(&platform, &plan), []);
}

#[test]
fn out_goes_in_order_and_in_goes_against_it() {
    let out = "web/desired 4 8, api/desired 3 6, users/read 10 20, users/write 5 10";
    check(ORDERED, out, "users/read 10->20 & users/write 5->10 | api/desired 3->6 | web/desired 4->8");
    check(DEPENDENT, out, "users/read 10->20 & users/write 5->10 | api/desired 3->6 | web/desired 4->8");
    let inward = "web/desired 8 4, api/desired 6 3, users/read 20 10";
    check(ORDERED, inward, "web/desired 8->4 | api/desired 6->3 | users/read 20->10");
    let both = "web/desired 8 4, api/desired 3 6, users/read 20 10, users/write 5 10";
    check(ORDERED, both, "users/write 5->10 | api/desired 3->6 | web/desired 8->4 | users/read 20->10");
}

#[test]
fn the_strategy_says_what_may_run_together() {
    let out = "web/desired 4 8, api/desired 3 6, users/read 10 20";
    check("strategy: parallel", out, "api/desired 3->6 + users/read 10->20 + web/desired 4->8");
    check(
        "strategy: parallel, scaling_order: [data, app, web], dependencies: [{source: app, target: data}]",
        out,
        "users/read 10->20 + web/desired 4->8 | api/desired 3->6",
    );
    check("strategy: sequential", out, "api/desired 3->6 | users/read 10->20 | web/desired 4->8");
    check(ORDERED, "web/desired 4 4", "");
}

#[test]
fn what_stands_by_has_a_step_of_its_own() {
    let text = SHOP.replace("max_capacity: 20}", "max_capacity: 20, warm_pool: {min: 0, max: 9}}");
    let platform = parse(&text).unwrap().platform;
    let plan = plan(&platform, "web/desired 4 8, web/warm_pool 1 3");
    assert_eq!(told(&plan), "web/desired 4->8 + web/warm_pool 1->3");
    let ids: Vec<&str> = plan.waves[0].steps.iter().map(|step| step.id.0.as_str()).collect();
    assert_eq!(ids, ["w0/web", "w0/web/warm_pool"]);
    assert_eq!(lint(&platform, &plan), []);
    // Eight servers hold all the connections that there are, and those that stand by hold none.
    let edge = "orchestration: {dependencies: [{source: web, target: app, connections_per_unit: 1, connection_limit: 8}]}\n";
    let platform = parse(&format!("{text}{edge}")).unwrap().platform;
    assert_eq!(lint(&platform, &self::plan(&platform, "web/desired 4 8, web/warm_pool 1 3")), []);
}

#[test]
fn what_may_not_be_carried_out_says_why_and_what_may_says_nothing() {
    let permits = [
        (Phase::Observe, false, Some("the rollout phase is observe")),
        (Phase::Limited, false, None),
        (Phase::Full, false, None),
        (Phase::Optimized, false, None),
        (Phase::Observe, true, Some("this is a dry run")),
        (Phase::Full, true, Some("this is a dry run")),
    ];
    let made = plan(&shop(ORDERED), "web/desired 4 8");
    for (phase, dry_run, why) in permits {
        let permit = Permit::of(phase, dry_run);
        assert_eq!(permit.withheld(), why, "{phase:?} {dry_run}");
        let runs = !Plan { permit, ..made.clone() }.waves_to_run().is_empty();
        assert_eq!(runs, why.is_none(), "{phase:?} {dry_run}");
    }
}

/// Two services and two groups of instances, with what their tiers say.
fn pairs(app: &str, web: &str, orchestration: &str) -> Platform {
    let two = |kind: &str, name: &str| {
        let one = |name: String| format!("{{type: {kind}, name: {name}, min_capacity: 1, max_capacity: 30}}");
        format!("resources: [{}, {}]", one(format!("{name}1")), one(format!("{name}2")))
    };
    let text = format!(
        "configuration_name: shop
scaling_groups:
  app: {{{}{app}}}
  web: {{{}{web}}}
orchestration: {{{orchestration}}}
",
        two("ECS_SERVICE", "a"),
        two("EC2_AUTO_SCALING_GROUP", "w")
    );
    parse(&text).unwrap().platform
}

#[test]
fn a_group_may_change_together_or_one_after_the_other_whatever_the_strategy() {
    let check = |app: &str, web: &str, orchestration: &str, expected: &str| {
        let platform = pairs(app, web, orchestration);
        let plan = plan(&platform, "a1/desired 1 2, a2/desired 1 2, w1/desired 1 2, w2/desired 1 2");
        assert_eq!(told(&plan).replace("/desired 1->2", ""), expected);
        assert_eq!(lint(&platform, &plan), []);
    };
    let (one, all) = (", parallel: false", ", parallel: true");
    check("", "", "", "a1 + a2 + w1 + w2");
    check(one, "", "", "a1 + w1 + w2 | a2");
    check(one, one, "", "a1 + w1 | a2 + w2");
    check("", one, "scaling_order: [app, web]", "a1 + a2 | w1 | w2");
    check("", "", "strategy: sequential", "a1 | a2 | w1 | w2");
    check(all, "", "strategy: sequential", "a1 + a2 | w1 | w2");
}

#[test]
fn a_plan_is_rolled_back_if_one_of_its_groups_says_so() {
    let rolls_back = |app: &str, web: &str, orchestration: &str, changes: &str| {
        plan(&pairs(app, web, orchestration), changes).rollback
    };
    let (never, no, yes) = ("rollback_on_failure: false", ", rollback: false", ", rollback: true");
    let (app, both) = ("a1/desired 1 2", "a1/desired 1 2, w1/desired 1 2");
    assert!(rolls_back("", "", "", both) && !rolls_back("", "", never, both));
    assert!(!rolls_back(no, "", "", app) && rolls_back(no, "", "", both));
    assert!(rolls_back(yes, "", never, both) && !rolls_back("", yes, never, app));
    assert!(rolls_back("", "", "", "a1/desired 1 1") && !rolls_back("", "", never, "a1/desired 1 1"));
}

#[test]
fn waves_wait_as_long_as_was_written() {
    let plan = plan(&shop(DEPENDENT), "web/desired 4 8, api/desired 3 6, users/read 10 20");
    let limits: Vec<(u32, u32)> = plan.waves.iter().map(|wave| (wave.timeout_s, wave.poll_s)).collect();
    assert_eq!(limits, [(120, 10), (600, 10), (600, 30)]);
}

#[test]
fn polls_last_as_long_as_a_wave_may_take() {
    const MACHINE: &str = include_str!("../../../../statemachine/scaling.asl.json");
    assert!(MACHINE.contains("$polls < 400"), "the plan's POLLS_MAX is the state machine's");
    let plan = plan(&shop("dependencies: [{source: app, target: data, timeout: 2h}]"), "users/read 10 20");
    let wave = &plan.waves[0];
    assert_eq!((wave.timeout_s, wave.poll_s), (7_200, 18));
    assert!(wave.timeout_s <= 400 * wave.poll_s);
}

#[test]
fn waves_wait_longer_for_what_was_seen_to_take_longer() {
    // A dependency that says nothing about time changes nothing about it.
    for orchestration in [ORDERED, "dependencies: [{source: app, target: web}]"] {
        let shop = shop(orchestration);
        let mut decisions = decisions(&shop, "web/desired 4 8");
        let timeout_s = |decisions: &[Decision]| {
            let plan = make(&shop, decisions, &"c".into(), Timestamp::UNIX_EPOCH, &"v".into(), Permit::Act);
            plan.waves[0].timeout_s
        };
        assert_eq!(timeout_s(&decisions), 600);
        decisions.iter_mut().for_each(|decision| decision.complete_in_s = Some(900));
        assert_eq!(timeout_s(&decisions), 1_800);
    }
}

#[test]
fn steps_build_on_those_of_what_they_depend_on() {
    let after = |orchestration: &str, changes: &str| {
        let plan = plan(&shop(orchestration), changes);
        plan.steps()
            .map(|step| step.after.iter().map(|id| id.0.clone()).collect::<Vec<_>>().join(" "))
            .collect::<Vec<_>>()
    };
    let out = "web/desired 4 8, api/desired 3 6, users/read 10 20";
    assert_eq!(after(DEPENDENT, out), ["", "w0/users", "w0/users w1/api"]);
    assert_eq!(after(ORDERED, out), ["", "", ""]); // only an order: one may go without the other
    assert_eq!(after(DEPENDENT, "web/desired 8 4, users/read 20 10"), ["", "w0/web"]);
}

#[test]
fn only_a_permitted_plan_has_waves_to_run() {
    let mut plan = plan(&shop(ORDERED), "web/desired 4 8");
    assert_eq!(plan.waves_to_run().len(), 1);
    for permit in [Permit::Observe, Permit::DryRun] {
        plan.permit = permit;
        assert!(plan.waves_to_run().is_empty());
    }
}

#[test]
fn the_linter_refuses_what_breaks_a_rule() {
    let platform = shop(ORDERED);
    let refused = |break_it: fn(&mut Plan), expected: &str| {
        let mut plan = plan(&platform, "web/desired 4 8, api/desired 3 6, users/read 20 10");
        break_it(&mut plan);
        let violations: Vec<String> = lint(&platform, &plan).iter().map(Violation::to_string).collect();
        assert!(violations.iter().any(|violation| violation.contains(expected)), "{violations:?}");
    };
    refused(|plan| plan.waves.swap(0, 1), "app are in the wrong order");
    refused(|plan| plan.waves.swap(1, 2), "wrong order");
    refused(|plan| plan.waves[0].steps[0].changes[0].target = Units(31), "leaves its bounds 1..30");
    refused(|plan| plan.waves[0].steps[0].changes[0].target = Units(10), "more than 6 at once");
    refused(|plan| plan.waves[0].steps[0].changes[0].target = Units(2), "the other way");
    refused(|plan| plan.waves[0].steps[0].group = "web".into(), "api is not of group web");
    refused(|plan| plan.waves[0].steps[0].resource = "cache".into(), "not a resource");
    refused(|plan| plan.waves[0].steps[0].changes[0].key = "api/memory".parse().unwrap(), "not a dimension");
    refused(
        |plan| plan.waves[0].steps[0].after = vec![StepId("w1/web".into())],
        "step w0/api builds on w1/web, which is not before it",
    );
    refused(|plan| plan.waves[1] = plan.waves[0].clone(), "changes twice");
    refused(|plan| plan.waves[0].steps[0].changes.clear(), "changes nothing");
}

#[test]
fn the_linter_refuses_more_connections_than_a_dependency_takes() {
    let limited =
        "dependencies: [{source: web, target: app, connections_per_unit: 10, connection_limit: 100}]";
    let platform = shop(limited);
    let violations = |changes: &str| -> Vec<String> {
        lint(&platform, &plan(&platform, changes)).iter().map(Violation::to_string).collect()
    };
    assert_eq!(violations("web/desired 5 10, api/desired 8 16"), [""; 0]);
    assert_eq!(violations("web/desired 8 12"), ["web would hold 120 connections to app, which takes 100"]);
    // What was above the limit before may come nearer to it, and may not go further away.
    assert_eq!(violations("web/desired 14 12"), [""; 0]);
    assert_eq!(violations("web/desired 12 13"), ["web would hold 130 connections to app, which takes 120"]);
}

#[test]
fn the_linter_refuses_to_shrink_what_only_grows() {
    let mut platform = shop(ORDERED);
    let plan = plan(&platform, "web/desired 8 4, users/read 10 20");
    assert_eq!(lint(&platform, &plan), []);
    for resource in platform.groups.iter_mut().flat_map(|group| &mut group.resources) {
        resource.dimensions.iter_mut().for_each(|dimension| dimension.facts.scaling = Scaling::OutOnly);
    }
    let violations: Vec<String> = lint(&platform, &plan).iter().map(Violation::to_string).collect();
    assert_eq!(violations, ["web/desired goes from 8 to 4, and it only grows"]);
    let mut unchanged = plan.clone();
    unchanged
        .waves
        .iter_mut()
        .flat_map(|wave| &mut wave.steps)
        .flat_map(|step| &mut step.changes)
        .for_each(|change| change.target = change.expected);
    let violations: Vec<String> = lint(&platform, &unchanged).iter().map(Violation::to_string).collect();
    assert_eq!(
        violations,
        [
            "users/read goes from 10 to 10 in a wave that goes the other way",
            "web/desired goes from 8 to 8 in a wave that goes the other way"
        ]
    );
}

#[test]
fn one_after_the_other_is_so_whatever_the_names_of_the_resources() {
    let service =
        |name: &str| format!("{{type: ECS_SERVICE, name: {name}, min_capacity: 1, max_capacity: 30}}");
    let text = format!(
        "configuration_name: shop
scaling_groups:
  app: {{resources: [{}, {}]}}
  web: {{resources: [{}]}}
orchestration: {{strategy: sequential}}
",
        service("a"),
        service("z"),
        service("m")
    );
    let platform = parse(&text).unwrap().platform;
    let plan = plan(&platform, "a/desired 1 2, z/desired 1 2, m/desired 1 2");
    assert_eq!(told(&plan), "a/desired 1->2 | m/desired 1->2 | z/desired 1->2");
}

#[test]
fn a_step_has_the_direction_of_its_changes_and_its_undo_the_other() {
    let plan = plan(&shop(ORDERED), "web/desired 8 4, users/read 10 20, users/write 5 10");
    let directions: Vec<(Direction, Direction)> =
        plan.steps().map(|step| (step.direction(), step.undo().direction())).collect();
    assert_eq!(directions, [(Direction::Out, Direction::In), (Direction::In, Direction::Out)]);
}

#[test]
fn a_step_refuses_when_the_world_has_moved() {
    let plan = plan(&shop(ORDERED), "users/read 10 20, users/write 5 10");
    let step = plan.steps().next().unwrap();
    let remaining = |step: &Step, read: u32, write: u32| {
        let set = [("users/read", read), ("users/write", write)];
        step.against(&set.into_iter().map(|(key, units)| (key.parse().unwrap(), Units(units))).collect())
    };
    assert_eq!(remaining(step, 10, 5), Remaining::Apply);
    assert_eq!(remaining(step, 20, 5), Remaining::Apply);
    assert_eq!(remaining(step, 20, 10), Remaining::Nothing);
    assert_eq!(
        remaining(step, 12, 5),
        Remaining::Refuse("users/read is 12, but the plan was made for 10".into())
    );
    assert_eq!(remaining(&step.undo(), 20, 10), Remaining::Apply);
    assert_eq!(remaining(&step.undo(), 10, 5), Remaining::Nothing);
    assert_eq!(step.against(&BTreeMap::new()), Remaining::Refuse("users/read is not there".into()));
    assert_eq!(step.undo().undo(), *step);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    /// Whatever is decided within bounds and pace, the plan is sound; carried out, it leaves nothing to plan.
    #[test]
    fn plans_are_sound_and_a_fixpoint(
        from in proptest::collection::vec(1_u32..20, 4),
        up in proptest::collection::vec(any::<bool>(), 4),
        orchestration in prop::sample::select(vec![ORDERED, DEPENDENT, "strategy: parallel", "strategy: sequential"]),
    ) {
        let platform = shop(orchestration);
        let keys = ["api/desired", "users/read", "users/write", "web/desired"];
        let told: Vec<String> = keys.iter().zip(from.iter().zip(&up)).map(|(key, (from, up))| {
            let from = if key.starts_with("users") { from + 10 } else { *from };
            let to = if *up { (from * 2).min(20) } else { from.div_ceil(2) };
            format!("{key} {from} {to}")
        }).collect();
        let made = plan(&platform, &told.join(", "));
        prop_assert_eq!(lint(&platform, &made), []);
        let after: BTreeMap<DimensionKey, Units> = made
            .steps()
            .flat_map(|step| step.changes.iter().map(|change| (change.key.clone(), change.target)))
            .collect();
        let settled: Vec<String> = told.iter().map(|told| {
            let words: Vec<&str> = told.split(' ').collect();
            let target = after.get(&words[0].parse().unwrap()).map_or(words[1].to_owned(), |units| units.to_string());
            format!("{} {target} {target}", words[0])
        }).collect();
        prop_assert!(plan(&platform, &settled.join(", ")).waves.is_empty());
    }
}
