//! The laws that hold for every world.

use proptest::prelude::{ProptestConfig, Strategy as _, any, prop, prop_assert, prop_assert_ne, proptest};

use super::*;

fn any_case() -> impl proptest::strategy::Strategy<Value = Case> {
    let world = (1_u32..30, proptest::option::of(0.0..200.0), prop::sample::select(any_busy()));
    let forecast = proptest::option::of((0.0..3_000.0, 0.0..1.0));
    let rest = (proptest::option::of((0_i64..600, any::<bool>())), proptest::option::of(0_u32..40));
    let phase = prop::sample::select(vec!["observe", "limited", "full", "optimized"]);
    (world, forecast, rest, phase).prop_map(|((set, cpu, busy), forecast, (changed, manual), phase)| Case {
        set,
        cpu,
        busy,
        forecast,
        changed,
        manual,
        ..case(&format!("orchestration: {{rollout_phase: {phase}}}\n"))
    })
}

/// Nothing in progress, or each way in which something may be.
pub(super) fn any_busy() -> Vec<Option<Busy>> {
    let all: [fn(String) -> Busy; 3] = [Busy::Locked, Busy::Held, Busy::ScaleInHeld];
    let busy = all.map(|busy| Some(busy("something is in progress".into())));
    [None, None, None].into_iter().chain(busy).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn guardrails_never_enlarge_a_change(case in any_case()) {
        let decision = case.decide();
        let (set, target) = (Units(case.set), decision.target.unwrap());
        let wanted = decision.wanted.unwrap_or(set);
        prop_assert!(set.min(wanted) <= target && target <= set.max(wanted), "{decision:?}");
    }

    #[test]
    fn bounds_and_pace_always_hold(case in any_case()) {
        let decision = case.decide();
        let Some((from, to)) = decision.change() else { return Ok(()) };
        let bounds = case.platform.dimensions().next().unwrap().dimension.bounds;
        prop_assert!(bounds.contains(to) || bounds.clamp(to).abs_diff(to) < bounds.clamp(from).abs_diff(from));
        let most = if from < to { from.0 * 2 } else { from.0 / 2 };
        prop_assert!(from.abs_diff(to) <= most.max(1), "{from} -> {to}");
    }

    #[test]
    fn unknown_never_scales_in(case in any_case()) {
        let decision = Case { cpu: None, manual: None, ..case }.decide();
        prop_assert_ne!(decision.direction(), Some(Direction::In));
    }

    #[test]
    fn what_is_in_progress_holds_what_it_holds(case in any_case()) {
        let direction = case.decide().direction();
        let held = direction.zip(case.busy.as_ref()).is_some_and(|(direction, busy)| busy.holds(direction));
        prop_assert!(!held, "{direction:?} during {:?}", case.busy);
    }

    #[test]
    fn every_decision_says_why(case in any_case()) {
        prop_assert!(!case.decide().reasons.is_empty());
    }
}
