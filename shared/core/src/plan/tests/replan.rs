//! Planning again: a plan is carried out in memory, the world is seen again, and decisions and plans are made again.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};

use super::*;
use crate::decide::Decision;
use crate::decide::tests::any_world::{AnyWorld, any_world};
use crate::observe::Observed;
use crate::reason::Reason;
use crate::world::Change;

/// No dimension takes more rounds from one bound to the other, a unit at a time.
const ROUNDS_MAX: usize = 80;

fn plan_of(world: &AnyWorld, decisions: &[Decision]) -> Plan {
    let now = world.world().now;
    make(&world.platform, decisions, &"cycle".into(), now, &"v1".into(), Permit::Act)
}

/// The world after a plan was carried out, with the same load.
fn carried_out(mut world: AnyWorld, plan: &Plan) -> AnyWorld {
    let at = world.world().now;
    for change in plan.steps().flat_map(|step| &step.changes) {
        let observation = world.observations.get_mut(&change.key).unwrap();
        let Observed::Known(capacity) = &mut observation.capacity else {
            panic!("{} was not seen", change.key)
        };
        assert_eq!(capacity.set, change.expected, "a step says what it expects");
        capacity.set = change.target;
        capacity.ready = change.target;
        if change.target < change.expected {
            capacity.decreases_left = capacity.decreases_left.map(|left| left.saturating_sub(1));
        }
        let (from, to) = (change.expected, change.target);
        world.changes.push(Change { key: change.key.clone(), at, from, to });
    }
    world
}

/// Whether a decision says that it did not go all the way to what is wanted.
fn goes_on(decision: &Decision) -> bool {
    decision.reasons.iter().any(|reason| {
        matches!(
            reason,
            Reason::Pace { .. }
                | Reason::PhaseShare { .. }
                | Reason::PredictiveLimit { .. }
                | Reason::BreakerHalfOpen
                | Reason::Budget { .. }
                | Reason::Connections { .. }
                | Reason::StraightBack { .. }
                | Reason::NotTrustedIn { .. }
        )
    })
}

/// Latency that stays above its limit asks for one unit more than there is, however many there are.
fn without_latency(mut world: AnyWorld) -> AnyWorld {
    for reading in world.observations.values_mut().flat_map(|observation| &mut observation.readings) {
        if let Observed::Known(load) = &mut reading.load
            && reading.metric == "slow"
        {
            load.mean = load.mean.min(1.0);
        }
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    /// What was decided, planned and carried out is not planned again: only what a limit held back goes on, in the same
    /// direction, until nothing is left.
    #[test]
    fn a_plan_that_was_carried_out_leaves_nothing_to_plan(world in any_world()) {
        let mut world = without_latency(world);
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
            // Budget and connections are shared: what one dimension gives up lets another go on.
            let shared = decisions.iter().any(|decision| {
                decision.reasons.iter().any(|reason| matches!(reason, Reason::Budget { .. } | Reason::Connections { .. }))
            });
            let open = decisions.iter().filter(|decision| shared || goes_on(decision));
            unfinished = Some(open.map(|decision| decision.key.clone()).collect());
            world = carried_out(world, &plan);
        }
        prop_assert!(false, "still planning after {ROUNDS_MAX} rounds");
    }
}
