//! The laws that hold for every platform in every world: forecasts of lead windows, floors, queues, events, native bounds,
//! spent decreases, people and breakers included.

use std::collections::BTreeSet;

use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{TestCaseResult, TestRunner};

use super::any_world::{AnyWorld, any_world};
use super::*;
use crate::calendar;
use crate::state::BreakerState;

/// Checks every dimension of a world, with its decision.
fn each(world: &AnyWorld, mut check: impl FnMut(Place<'_>, &Decision) -> TestCaseResult) -> TestCaseResult {
    let decisions = world.decide();
    let places: Vec<Place<'_>> = world.platform.dimensions().collect();
    prop_assert_eq!(decisions.len(), places.len());
    places.into_iter().zip(&decisions).try_for_each(|(place, decision)| {
        prop_assert_eq!(&decision.key, &place.dimension.key);
        check(place, decision)
    })
}

fn codes(decision: &Decision) -> Vec<String> {
    decision.reasons.iter().map(code).collect()
}

fn age_s(change: &Change) -> u64 {
    now().duration_since(change.at).unsigned_abs().as_secs()
}

/// Whether a reason with this code was given.
fn says(decision: &Decision, wanted: &str) -> bool {
    codes(decision).iter().any(|code| code == wanted)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn a_target_lies_between_what_is_set_and_what_is_wanted(world in any_world()) {
        each(&world, |_, decision| {
            let Some(set) = decision.observed else { return Ok(()) };
            let (target, wanted) = (decision.target.unwrap(), decision.wanted.unwrap_or(set));
            prop_assert!(set.min(wanted) <= target && target <= set.max(wanted), "{decision:?}");
            Ok(())
        })?;
    }

    #[test]
    fn bounds_of_the_operator_and_of_aws_are_kept_or_come_nearer(world in any_world()) {
        each(&world, |place, decision| {
            let Some((from, to)) = decision.change() else { return Ok(()) };
            let bounds = place.dimension.bounds;
            let outside = |units: Units| bounds.clamp(units).abs_diff(units);
            prop_assert!(outside(to) == 0 || outside(to) < outside(from), "{decision:?}");
            let capacity = world.capacity(&decision.key).unwrap();
            prop_assert!(capacity.aws_max.is_none_or(|most| to <= most.max(from)), "{decision:?}");
            prop_assert!(capacity.aws_min.is_none_or(|least| least.min(from) <= to), "{decision:?}");
            Ok(())
        })?;
    }

    #[test]
    fn pace_and_phase_limit_every_change(world in any_world()) {
        each(&world, |_, decision| {
            let Some((from, to)) = decision.change() else { return Ok(()) };
            let guardrails = &world.platform.guardrails;
            let share = if from < to { guardrails.out_share_max } else { guardrails.in_share_max };
            prop_assert!(f64::from(from.abs_diff(to)) <= (from.real() * share).max(1.0), "{decision:?}");
            if decision.phase == Some(Phase::Limited) {
                let wanted = from.abs_diff(decision.wanted.unwrap());
                prop_assert!(from.abs_diff(to) <= (wanted / 4).max(1), "{decision:?}");
            }
            Ok(())
        })?;
    }

    #[test]
    fn what_is_not_known_takes_nothing_away(world in any_world()) {
        each(&world, |_, decision| {
            let observation = &world.observations[&decision.key];
            let Some(capacity) = world.capacity(&decision.key) else {
                prop_assert_eq!(decision.target, None);
                prop_assert!(says(decision, "capacity_unknown"), "{decision:?}");
                return Ok(());
            };
            let blind = observation.readings.iter().any(|reading| {
                reading.load.known().is_none_or(|load| load.saturated)
            });
            let by_hand = decision.source == Some(DemandSource::Manual);
            if blind && !by_hand {
                prop_assert!(decision.direction() != Some(Direction::In), "{decision:?} of {capacity:?}");
            }
            Ok(())
        })?;
    }

    #[test]
    fn what_holds_a_dimension_holds_it(world in any_world()) {
        each(&world, |place, decision| {
            let Some(direction) = decision.direction() else { return Ok(()) };
            let capacity = world.capacity(&decision.key).unwrap();
            prop_assert!(!capacity.busy.as_ref().is_some_and(|busy| busy.holds(direction)), "{decision:?}");
            prop_assert!(world.state.requests.pause(place, direction, now()).is_none(), "{decision:?}");
            let breaker = world.state.breakers.get(&place.resource.id);
            match breaker.map(|breaker| breaker.state(&world.platform.guardrails, now())) {
                Some(BreakerState::Open { .. }) => prop_assert!(false, "{decision:?}"),
                Some(BreakerState::HalfOpen) => {
                    let (from, to) = decision.change().unwrap();
                    prop_assert_eq!(from.abs_diff(to), 1);
                }
                Some(BreakerState::Closed) | None => (),
            }
            if let Some(DailyLimit::Changes { daily }) = place.dimension.facts.daily_limit {
                // Three are kept for scaling out, unless a person asks.
                let kept = if direction == Direction::In && decision.source != Some(DemandSource::Manual) { 3 } else { 0 };
                let spent = world.state.counted(&decision.key, now());
                prop_assert!(spent + kept < daily, "{spent} of {daily}: {decision:?}");
            }
            if direction == Direction::In {
                prop_assert!(capacity.decreases_left != Some(0) && capacity.failed.is_none(), "{decision:?}");
            }
            Ok(())
        })?;
    }

    #[test]
    fn a_change_waits_for_the_cooldown_and_turns_as_often_as_it_may(world in any_world()) {
        each(&world, |place, decision| {
            let Some(direction) = decision.direction() else { return Ok(()) };
            if decision.source == Some(DemandSource::Manual) {
                return Ok(());
            }
            let lately = |within_s: u64| {
                let of = |change: &&Change| change.key == decision.key && age_s(change) < within_s;
                world.changes.iter().filter(of).map(|change| Direction::of(change.from, change.to)).collect()
            };
            let cooldown = place.group.policy.cooldown;
            let (waits, hour): (Vec<Direction>, Vec<Direction>) = match direction {
                Direction::Out => (lately(cooldown.out.as_secs()), Vec::new()),
                Direction::In => (lately(cooldown.inward.as_secs()), lately(3_600)),
            };
            prop_assert!(waits.iter().all(|made| direction == Direction::Out && *made == Direction::In), "{decision:?}");
            let turns = hour.iter().zip(hour.iter().skip(1).chain([&direction])).filter(|(one, next)| one != next);
            let most = world.platform.guardrails.direction_changes_hourly;
            prop_assert!(turns.count() <= usize::try_from(most).unwrap(), "{decision:?}");
            Ok(())
        })?;
    }

    #[test]
    fn forecasts_move_what_they_are_trusted_to_move(world in any_world()) {
        each(&world, |place, decision| {
            let Some((direction, (from, to))) = decision.direction().zip(decision.change()) else { return Ok(()) };
            let foreseen = matches!(decision.source, Some(DemandSource::Predictive | DemandSource::Hybrid));
            let seen = world.world();
            match (direction, decision.confidence) {
                // Below its bounds a dimension rises to them whatever is known.
                (Direction::Out, Some(confidence)) if foreseen && place.dimension.bounds.min() < to => {
                    prop_assert!(seen.scale_out_confidence() <= confidence, "{decision:?}");
                }
                // Below the measured load nothing goes by a forecast that is not trusted for that.
                (Direction::In, Some(confidence))
                    if confidence < seen.scale_in_confidence() && decision.source != Some(DemandSource::Manual) =>
                {
                    prop_assert!(decision.measured.unwrap_or(from).min(from) <= to, "{decision:?}");
                }
                _ => (),
            }
            prop_assert!(direction == Direction::Out || place.dimension.facts.scaling == Scaling::Both, "{decision:?}");
            Ok(())
        })?;
    }

    #[test]
    fn events_and_people_keep_what_they_ask_for(world in any_world()) {
        each(&world, |place, decision| {
            let Some((from, to)) = decision.change().filter(|(from, to)| to < from) else { return Ok(()) };
            let zone = &world.platform.zone;
            let events: Vec<_> =
                calendar::during(&world.platform.calendar, &place.group.name, zone, now(), now()).collect();
            prop_assert!(events.iter().all(|event| !event.effect.no_scale_in), "{decision:?}");
            // Bounds are stronger than whoever asks.
            let most = place.dimension.bounds.max();
            let by_hand = decision.source == Some(DemandSource::Manual);
            let floors = events.iter().filter_map(|event| event.effect.floor);
            let asked = world.state.requests.overrides.iter().filter(|one| one.key == decision.key);
            // Whoever asks for this very cycle asks last.
            for floor in floors.chain(asked.map(|one| one.units)).filter(|_| !by_hand) {
                prop_assert!(floor.min(most).min(from) <= to, "{floor} was asked for: {decision:?}");
            }
            Ok(())
        })?;
    }

    #[test]
    fn the_platform_keeps_to_its_budget_and_its_connections(world in any_world()) {
        let decisions = world.decide();
        let cost = |units: fn(&Decision) -> Option<Units>| -> f64 {
            let each = world.platform.dimensions().zip(&decisions);
            each.map(|(place, decision)| {
                units(decision).unwrap_or_default().real() * place.dimension.unit_cost_hourly
            })
            .sum()
        };
        let (before, after) = (cost(|decision| decision.observed), cost(|decision| decision.target));
        let limit = world.platform.guardrails.budget.hourly.unwrap_or(f64::INFINITY);
        // What is there already may cost more; a unit more than is set may not, unless one elsewhere goes.
        let out: f64 = world
            .platform
            .dimensions()
            .zip(&decisions)
            .filter(|(_, decision)| decision.direction() == Some(Direction::Out))
            .map(|(_, decision)| decision.cost_hourly_change)
            .sum();
        prop_assert!(after <= limit.max(before) + 1e-9 || out <= 1e-9, "{before} -> {after} of {limit}");
        for dependency in &world.platform.orchestration.dependencies {
            let Some(connections) = dependency.connections else { continue };
            let of_source = || decisions.iter().filter(|decision| decision.group == dependency.source);
            let grows = of_source().any(|decision| decision.direction() == Some(Direction::Out));
            let held: f64 = of_source()
                .filter_map(|decision| decision.target.max(decision.observed))
                .map(|units| units.real() * connections.per_unit)
                .sum();
            prop_assert!(!grows || held <= connections.limit, "{held} of {}", connections.limit);
        }
    }

    #[test]
    fn every_decision_says_why_in_words_that_fit(world in any_world()) {
        each(&world, |_, decision| {
            prop_assert!(!decision.reasons.is_empty());
            let held_at = decision.observed.filter(|_| decision.change().is_none());
            let content = decision.observed.is_some() && decision.wanted == decision.observed;
            prop_assert_eq!(says(decision, "enough"), content, "{:?}", decision);
            // Where something was wanted and nothing changes, something else than the demand says so.
            let stopped = held_at.is_some() && decision.wanted.is_some() && !content;
            let demand = ["forecast_load", "measured_load", "lead_window", "begun_before", "no_forecast", "not_trusted"];
            let others = codes(decision).into_iter().filter(|code| !demand.contains(&code.as_str())).count();
            prop_assert!(!stopped || 0 < others, "{decision:?}");
            Ok(())
        })?;
    }
}

/// What a world can lead to: every reason but those of a missing adapter and of an earlier forecast, and changes both ways by
/// every source.
const OUTCOMES: &str = "
    aws_bounds backlog begun_before bounds breaker_half_open breaker_open budget burst busy capacity_unknown
    change_saved changes_kept changes_spent connections cooldown
    decrease_saved decreases_spent enough event_floor event_multiplies forecast_load latency lead_window lower_bound manual
    measured_load metric_unknown minor no_forecast no_scale_in not_trusted not_trusted_in nothing_measured only_grows override
    pace paused phase_share predictive_limit step_policy step_policy_in straight_back turns_too_often unavailable unknown_never_scales_in
    in_by_hybrid in_by_manual in_by_predictive in_by_reactive in_by_scheduled
    out_by_hybrid out_by_manual out_by_predictive out_by_reactive out_by_scheduled";

/// A law says nothing of worlds that are never drawn.
#[test]
fn the_worlds_drawn_lead_to_every_outcome() {
    const WORLDS: usize = 3_000;
    let mut runner = TestRunner::deterministic();
    let mut missing: BTreeSet<String> = OUTCOMES.split_whitespace().map(str::to_owned).collect();
    for _ in 0..WORLDS {
        for decision in any_world().new_tree(&mut runner).unwrap().current().decide() {
            codes(&decision).iter().for_each(|code| assert!(OUTCOMES.contains(code), "{code} is not listed"));
            missing.retain(|outcome| !says(&decision, outcome));
            if let (Some(direction), Some(source)) = (decision.direction(), decision.source) {
                missing.remove(&format!("{direction:?}_by_{source:?}").to_lowercase());
            }
        }
        if missing.is_empty() {
            return;
        }
    }
    panic!("never drawn: {missing:?}");
}
