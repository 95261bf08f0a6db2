//! How the rollout phase moves: by evidence, one step at a time, where `auto_promote` is on.

use jiff::Timestamp;

use crate::platform::{Orchestration, Phase};
use crate::state::{CalibrationFigures, RolloutState};
use crate::units::DAY_S;

/// Three days, so that no single day decides, and outcomes of each kind that one dimension has in that time.
const UP_AFTER_S: i64 = 3 * DAY_S;
const UP_OUTCOMES: u32 = 72;
/// Trust is lost faster than it is won: a day of outcomes.
const DOWN_AFTER_S: i64 = DAY_S;
const DOWN_OUTCOMES: u32 = 24;
/// Of the 90 % band. Of 72 outcomes of a good forecast nine times in ten more than the first are inside it; of 24, fewer
/// than the second once in a few hundred times. Between the two nothing moves.
const COVERAGE_UP: f64 = 0.85;
const COVERAGE_DOWN: f64 = 0.7;
/// Share of moments that may be short beyond those that following the measured load would have been.
const SHORT_MORE_UP: f64 = 0.01;
const SHORT_MORE_DOWN: f64 = 0.05;
/// Idle units, in units needed, beyond those that following the measured load would have had. To be early needs some.
const IDLE_MORE_UP: f64 = 0.5;
const IDLE_MORE_DOWN: f64 = 1.0;

/// The phase after this evidence; `None` where phases do not move by themselves.
///
/// Up to `full`: `optimized` moves away from what the file says, so a person must have written it. Down to `limited`:
/// `observe` would leave capacity as it is while load moves on, which is worse than small steps.
pub(super) fn after(
    reached: Option<&RolloutState>,
    orchestration: &Orchestration,
    figures: &CalibrationFigures,
    now: Timestamp,
) -> Option<RolloutState> {
    if !orchestration.auto_promote {
        return None;
    }
    let configured = orchestration.phase;
    let Some(reached) = reached.filter(|reached| reached.configured == configured) else {
        let why = "the file says so".to_owned();
        return Some(RolloutState { configured, phase: configured, since: now, why });
    };
    let age_s = now.as_second() - reached.since.as_second();
    let ceiling = configured.max(Phase::Full);
    let next = match (verdict(figures), next_up(reached.phase), next_down(reached.phase)) {
        (PhaseVerdict::Good, Some(up), _) if UP_AFTER_S <= age_s && up <= ceiling => up,
        (PhaseVerdict::Bad, _, Some(down)) if DOWN_AFTER_S <= age_s => down,
        _ => return Some(reached.clone()),
    };
    let why = format!("in {}, {}", reached.phase.name(), measured_share(figures));
    Some(RolloutState { configured, phase: next, since: now, why })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PhaseVerdict {
    Good,
    Bad,
    Unclear,
}

fn verdict(figures: &CalibrationFigures) -> PhaseVerdict {
    let outcomes = figures.judged.min(figures.compared);
    let short_more = figures.short - figures.short_reactive;
    let idle_more = figures.idle - figures.idle_reactive;
    let good = COVERAGE_UP <= figures.coverage && short_more <= SHORT_MORE_UP && idle_more <= IDLE_MORE_UP;
    let bad = figures.coverage < COVERAGE_DOWN || SHORT_MORE_DOWN < short_more || IDLE_MORE_DOWN < idle_more;
    match (good, bad) {
        (true, _) if UP_OUTCOMES <= outcomes => PhaseVerdict::Good,
        (_, true) if DOWN_OUTCOMES <= outcomes => PhaseVerdict::Bad,
        _ => PhaseVerdict::Unclear,
    }
}

fn next_up(phase: Phase) -> Option<Phase> {
    match phase {
        Phase::Observe => Some(Phase::Limited),
        Phase::Limited => Some(Phase::Full),
        Phase::Full => Some(Phase::Optimized),
        Phase::Optimized => None,
    }
}

fn next_down(phase: Phase) -> Option<Phase> {
    match phase {
        Phase::Observe | Phase::Limited => None,
        Phase::Full => Some(Phase::Limited),
        Phase::Optimized => Some(Phase::Full),
    }
}

/// What evidence says, as a sentence.
pub fn measured_share(figures: &CalibrationFigures) -> String {
    format!(
        "{:.0} % of {} loads came within the forecast's 90 % band, {:.1} % of {} needs were short ({:.1} % had the measured \
         load been followed), and {:.0} % were idle ({:.0} %)",
        figures.coverage * 100.0,
        figures.judged,
        figures.short * 100.0,
        figures.compared,
        figures.short_reactive * 100.0,
        figures.idle * 100.0,
        figures.idle_reactive * 100.0
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, prop, prop_assert, proptest};

    use super::*;
    use crate::config::parse;
    use crate::state::effective;

    fn orchestration(phase: &str, auto_promote: bool) -> Orchestration {
        let text = format!(
            "configuration_name: shop
scaling_groups:
  web: {{resources: [{{type: ECS_SERVICE, name: web, min_capacity: 1, max_capacity: 9}}]}}
orchestration: {{rollout_phase: {phase}, auto_promote: {auto_promote}}}
"
        );
        parse(&text).unwrap().platform.orchestration
    }

    fn day(day: i64) -> Timestamp {
        Timestamp::from_second(day * DAY_S).unwrap()
    }

    const GOOD: CalibrationFigures = CalibrationFigures {
        judged: 100,
        coverage: 0.9,
        above: 0.05,
        compared: 100,
        short: 0.0,
        short_reactive: 0.1,
        idle: 0.5,
        idle_reactive: 0.2,
    };

    /// Phases reached from the file's with these figures day after day.
    fn check(file: &str, figures: &[CalibrationFigures], expected: &str) {
        let orchestration = orchestration(file, true);
        let mut reached = after(None, &orchestration, &GOOD, day(0));
        let mut phases = Vec::new();
        for (index, figures) in (1..).zip(figures) {
            reached = after(reached.as_ref(), &orchestration, figures, day(index));
            phases.push(effective(reached.as_ref(), &orchestration).name());
        }
        phases.dedup();
        assert_eq!(phases.join(" "), expected);
    }

    #[test]
    fn phases_go_up_by_good_evidence_and_stop_below_what_a_person_must_say() {
        check("observe", &[GOOD; 2], "observe");
        check("observe", &[GOOD; 20], "observe limited full");
        check("optimized", &[GOOD; 20], "optimized");
        check("observe", &[CalibrationFigures { judged: 71, ..GOOD }; 20], "observe");
        check("observe", &[CalibrationFigures { coverage: 0.84, ..GOOD }; 20], "observe");
        check("observe", &[CalibrationFigures { short: 0.12, ..GOOD }; 20], "observe");
        check("observe", &[CalibrationFigures { idle: 0.8, ..GOOD }; 20], "observe");
    }

    #[test]
    fn phases_go_down_by_bad_evidence_and_never_freeze_what_was_scaled() {
        let bad = CalibrationFigures { coverage: 0.6, ..GOOD };
        check("optimized", &[bad; 20], "full limited");
        check("limited", &[bad; 20], "limited");
        check("full", &[CalibrationFigures { short: 0.2, ..GOOD }; 2], "limited");
        check("full", &[CalibrationFigures { idle: 2.0, ..GOOD }; 2], "limited");
        check("full", &[CalibrationFigures { judged: 23, ..bad }; 20], "full");
        check("full", &[bad, GOOD, GOOD, GOOD, GOOD], "limited full");
        // Between the two nothing moves.
        check("full", &[CalibrationFigures { coverage: 0.8, ..GOOD }; 20], "full");
        check("limited", &[CalibrationFigures { coverage: 0.8, ..GOOD }; 20], "limited");
    }

    #[test]
    fn the_file_counts_when_a_person_changes_it_or_phases_do_not_move() {
        let observe = orchestration("observe", true);
        let first = after(None, &observe, &GOOD, day(0));
        let reached = after(first.as_ref(), &observe, &GOOD, day(3));
        assert_eq!(effective(reached.as_ref(), &observe), Phase::Limited);
        assert_eq!(
            reached.as_ref().unwrap().why,
            "in observe, 90 % of 100 loads came within the forecast's 90 % band, 0.0 % of 100 needs were short (10.0 % had \
             the measured load been followed), and 50 % were idle (20 %)"
        );
        assert_eq!(effective(reached.as_ref(), &orchestration("observe", false)), Phase::Observe);
        assert_eq!(after(reached.as_ref(), &orchestration("observe", false), &GOOD, day(9)), None);
        let full = orchestration("full", true);
        assert_eq!(effective(reached.as_ref(), &full), Phase::Full);
        assert_eq!(after(reached.as_ref(), &full, &GOOD, day(9)).unwrap().since, day(9));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

        #[test]
        fn phases_stay_within_their_bounds_and_move_one_step_a_day(
            file in prop::sample::select(vec!["observe", "limited", "full", "optimized"]),
            days in prop::collection::vec((0.0..1.0, 0.0..0.2, 0.0..2.0, 0_u32..200), 1..60),
        ) {
            let orchestration = orchestration(file, true);
            let mut reached = after(None, &orchestration, &GOOD, day(0));
            for (index, (coverage, short, idle, judged)) in (1..).zip(days) {
                let before = effective(reached.as_ref(), &orchestration);
                let figures = CalibrationFigures { coverage, short, idle, judged, ..GOOD };
                reached = after(reached.as_ref(), &orchestration, &figures, day(index));
                let phase = effective(reached.as_ref(), &orchestration);
                prop_assert!(phase <= orchestration.phase.max(Phase::Full));
                prop_assert!(orchestration.phase.min(Phase::Limited) <= phase);
                prop_assert!(phase == before || next_up(before) == Some(phase) || next_down(before) == Some(phase));
            }
        }
    }
}
