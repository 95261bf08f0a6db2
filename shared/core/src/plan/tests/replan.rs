//! Planning again: a plan is carried out in memory, the world is seen again, and decisions and plans are made again.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};

use super::*;
use crate::decide::Decision;
use crate::decide::tests::any_world::{AnyWorld, any_world};
use crate::journal::{Entry, StepEvent};
use crate::learning::after_plan;
use crate::observe::Observed;
use crate::reason::Reason;
use crate::settle::Ending;
use crate::state::PlatformState;
use crate::world::Change;

/// No dimension takes more rounds from one bound to the other, a unit at a time.
const ROUNDS_MAX: usize = 80;

fn plan_of(world: &AnyWorld, decisions: &[Decision]) -> Plan {
    let permit = Permit::of(world.world().phase(), false);
    make(&world.platform, decisions, &"cycle".into(), world.world().now, &"v1".into(), permit)
}

/// A world in which a cycle has counted what it saw.
fn begun(world: AnyWorld) -> AnyWorld {
    let state = world.state.after(&world.platform, &world.observations, None, world.world().now);
    AnyWorld { state, ..world }
}

/// The world after every wave of a plan was carried out, permitted or not, at the same time and with the same load.
fn carried_out(mut world: AnyWorld, plan: &Plan) -> AnyWorld {
    let at = world.world().now;
    for (step, change) in plan.steps().flat_map(|step| step.changes.iter().map(move |change| (step, change)))
    {
        let observation = world.observations.get_mut(&change.key).unwrap();
        let Observed::Known(capacity) = &mut observation.capacity else {
            panic!("{} was not seen", change.key)
        };
        assert_eq!(capacity.set, change.expected, "a step says what it expects");
        capacity.set = change.target;
        // Above a floor there may be more. What a failed deployment started does not become ready.
        capacity.ready = match step.mode {
            Mode::Floor => capacity.ready.max(change.target),
            Mode::Desired if capacity.failed.is_some() => capacity.ready,
            Mode::Desired => change.target,
        };
        if change.target < change.expected {
            capacity.decreases_left = capacity.decreases_left.map(|left| left.saturating_sub(1));
        }
        let (from, to) = (change.expected, change.target);
        world.changes.push(Change { key: change.key.clone(), at, from, to });
    }
    let entry = |wave: usize, step: &Step| {
        let entry = Entry::new(&plan.id, wave, step).with(StepEvent::Started, at, None).unwrap();
        entry.with(StepEvent::Succeeded, at, None).unwrap()
    };
    let waves = plan.waves.iter().enumerate();
    let entries: Vec<Entry> =
        waves.flat_map(|(wave, steps)| steps.steps.iter().map(move |step| entry(wave, step))).collect();
    let taught = after_plan(&world.state, &world.platform, plan, &entries, Ending::Scaled, at);
    // No time has passed, which teaches nothing about how long capacity takes.
    world.state = PlatformState { provisioning: world.state.provisioning.clone(), ..taught };
    begun(world)
}

/// Whether a decision says that it did not go all the way.
fn is_held_back(decision: &Decision) -> bool {
    decision.reasons.iter().any(|reason| {
        matches!(
            reason,
            Reason::Pace { .. }
                | Reason::PhaseShare { .. }
                | Reason::PredictiveLimit { .. }
                | Reason::BreakerHalfOpen
        )
    })
}

/// Latency above its limit and step policies ask for so many units more or fewer than there are: they ask again, however
/// many there are.
fn without_relative_requests(mut world: AnyWorld) -> AnyWorld {
    world.platform.groups.iter_mut().for_each(|group| group.policy.steps.clear());
    for reading in world.observations.values_mut().flat_map(|observation| &mut observation.readings) {
        if let Observed::Known(load) = &mut reading.load
            && reading.metric == "slow"
        {
            load.mean = load.mean.min(1.0);
        }
    }
    world
}

/// Whether a limit that dimensions share held one of them back: what one gives up lets another go on.
fn is_shared_out(decisions: &[Decision]) -> bool {
    let mut reasons = decisions.iter().flat_map(|decision| &decision.reasons);
    reasons.any(|reason| matches!(reason, Reason::Budget { .. } | Reason::Connections { .. }))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    /// What was decided, planned and carried out is not planned again. Only what a limit held back goes on, in the same
    /// direction, until nothing is left to plan.
    #[test]
    fn a_plan_that_was_carried_out_leaves_nothing_to_plan(world in any_world()) {
        let mut world = begun(without_relative_requests(world));
        let mut ways: BTreeMap<DimensionKey, Direction> = BTreeMap::new();
        let mut unfinished: Option<BTreeSet<DimensionKey>> = None;
        for _ in 0..ROUNDS_MAX {
            let decisions = world.decide();
            let plan = plan_of(&world, &decisions);
            prop_assert_eq!(lint(&world.platform, &plan), []);
            let changed: Vec<&Decision> =
                decisions.iter().filter(|decision| decision.change().is_some()).collect();
            let planned: BTreeSet<&DimensionKey> =
                plan.steps().flat_map(|step| step.changes.iter().map(|change| &change.key)).collect();
            prop_assert_eq!(&planned, &changed.iter().map(|decision| &decision.key).collect());
            if plan.waves.is_empty() {
                return Ok(());
            }
            for decision in &changed {
                let direction = decision.direction().unwrap();
                let before = *ways.entry(decision.key.clone()).or_insert(direction);
                prop_assert_eq!(before, direction, "{} turns: {:?}", decision.key, decision);
                let expected = unfinished.as_ref().is_none_or(|keys| keys.contains(&decision.key));
                prop_assert!(expected, "{} was done, and goes on: {:?}", decision.key, decision);
            }
            let shared = is_shared_out(&decisions);
            let open = decisions.iter().filter(|decision| shared || is_held_back(decision));
            unfinished = Some(open.map(|decision| decision.key.clone()).collect());
            world = carried_out(world, &plan);
        }
        prop_assert!(false, "still planning after {ROUNDS_MAX} rounds");
    }

    /// Told from the file's dependencies alone, without the layers that plans and linter share.
    #[test]
    fn what_another_tier_needs_is_there_first_and_goes_last(world in any_world()) {
        let plan = plan_of(&world, &world.decide());
        let waves_of = |group: &GroupName, direction: Direction| -> Vec<usize> {
            let of = |(_, wave): &(usize, &Wave)| {
                wave.direction == direction && wave.steps.iter().any(|step| step.group == *group)
            };
            plan.waves.iter().enumerate().filter(of).map(|(index, _)| index).collect()
        };
        for dependency in &world.platform.orchestration.dependencies {
            for (first, then, direction) in [
                (&dependency.target, &dependency.source, Direction::Out),
                (&dependency.source, &dependency.target, Direction::In),
            ] {
                let (first, then) = (waves_of(first, direction), waves_of(then, direction));
                prop_assert!(first.iter().all(|wave| then.iter().all(|later| wave < later)), "{:?}", plan);
            }
        }
        let out = plan.waves.iter().take_while(|wave| wave.direction == Direction::Out).count();
        prop_assert!(plan.waves.iter().skip(out).all(|wave| wave.direction == Direction::In), "{:?}", plan);
    }

    #[test]
    fn in_the_observe_phase_no_plan_has_waves_to_run(world in any_world()) {
        let decisions = world.decide();
        let plan = plan_of(&world, &decisions);
        let observes = world.world().phase() == Phase::Observe;
        prop_assert_eq!(plan.waves_to_run().is_empty(), observes || plan.waves.is_empty());
    }
}
