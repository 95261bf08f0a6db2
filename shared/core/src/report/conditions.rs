//! What people should know of a cycle that did what it should: conditions that last, until somebody does something.

use jiff::Timestamp;

use super::monitored::value;
use crate::alert::{Raised, is_crossed};
use crate::decide::Decision;
use crate::platform::Platform;
use crate::reason::Reason;
use crate::state::{BreakerState, PlatformState};

/// As many as a notice can tell; the payloads of the state machine carry no more.
const CONDITIONS_MAX: usize = 10;

/// The conditions that stand after a cycle has decided: alerts of the file on figures that every cycle knows, breakers that are
/// open, a budget that allows less than is needed, and a phase that has moved since `stored`.
pub fn conditions(
    platform: &Platform,
    stored: &PlatformState,
    state: &PlatformState,
    decisions: &[Decision],
    at: Timestamp,
) -> Vec<Raised> {
    let alerts = alerts(platform, state, at);
    let others = [breakers(platform, state, at), budget(decisions), phase(platform, stored, state)];
    alerts.into_iter().chain(others.into_iter().flatten()).take(CONDITIONS_MAX).collect()
}

fn alerts(platform: &Platform, state: &PlatformState, at: Timestamp) -> Vec<Raised> {
    let lasting = platform.monitoring.alerts.iter().filter(|alert| alert.figure.is_lasting());
    let crossed =
        lasting.filter_map(|alert| is_crossed(alert, value(alert.figure, platform, state, &[], at)?));
    crossed.collect()
}

fn breakers(platform: &Platform, state: &PlatformState, at: Timestamp) -> Option<Raised> {
    let open = state.breakers.iter().filter_map(|(resource, breaker)| {
        match breaker.state(&platform.guardrails, at) {
            BreakerState::Open { until } => Some(format!("{resource} until {}", until.strftime("%H:%M UTC"))),
            BreakerState::Closed | BreakerState::HalfOpen => None,
        }
    });
    let open: Vec<String> = open.collect();
    (!open.is_empty()).then(|| Raised {
        name: "BreakerOpen".to_owned(),
        sentence: format!("changes kept failing, so these are left alone: {}", open.join(", ")),
        action: Some("find out why its steps fail: \"A rollback\" in the runbook".to_owned()),
        lasting: true,
    })
}

fn budget(decisions: &[Decision]) -> Option<Raised> {
    let bound = decisions
        .iter()
        .filter(|decision| decision.reasons.iter().any(|reason| matches!(reason, Reason::Budget { .. })));
    let bound: Vec<String> = bound.map(|decision| decision.key.to_string()).collect();
    (!bound.is_empty()).then(|| Raised {
        name: "BudgetBinds".to_owned(),
        sentence: format!("the budget allows less than is wanted of {}", crate::cycle::few(bound).join(", ")),
        action: Some("raise guardrails.budget, or lower what else runs".to_owned()),
        lasting: true,
    })
}

fn phase(platform: &Platform, stored: &PlatformState, state: &PlatformState) -> Option<Raised> {
    state.moved_since(stored, platform).map(|sentence| Raised {
        name: "PhaseMoved".to_owned(),
        sentence,
        action: Some("set orchestration.auto_promote to false to keep a phase".to_owned()),
        lasting: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;
    use crate::platform::Phase;
    use crate::state::{Breaker, Calibration, RolloutState, Spend, Tally};
    use crate::units::Units;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn platform(more: &str) -> Platform {
        let file = "configuration_name: shop
scaling_groups:
  web: {resources: [{type: ECS_SERVICE, name: web, min_capacity: 1, max_capacity: 9}]}
orchestration: {rollout_phase: limited, auto_promote: true}
";
        parse(&format!("{file}{more}")).unwrap().platform
    }

    fn told(platform: &Platform, state: &PlatformState, reasons: Vec<Reason>) -> Vec<String> {
        let decided = platform
            .dimensions()
            .map(|place| Decision { reasons: reasons.clone(), ..Decision::undecided(place) });
        let decided: Vec<Decision> = decided.collect();
        let told = conditions(platform, &PlatformState::default(), state, &decided, at(3_600));
        told.into_iter().map(|raised| format!("{}: {}", raised.name, raised.sentence)).collect()
    }

    #[test]
    fn alerts_on_accuracy_and_cost_are_judged_in_every_cycle() {
        let platform = platform(
            "monitoring:
  alerts:
    - {name: Poor, condition: scaling_accuracy < 80 %}
    - {name: Dear, condition: capacity_cost_per_hour > 3}
    - {name: Idle, condition: cost_optimization_achieved < 50 %}
    - {name: Often, condition: scaling_events > 0 per hour}
",
        );
        let state = |inside: u32, hourly: f64| PlatformState {
            calibration: Calibration(vec![Tally { judged: 40, inside, ..Tally::default() }]),
            spend: Some(Spend {
                amount: 1.0,
                peak_hourly: 4.0,
                hourly,
                unseen_hourly: 0.0,
                counted_to: at(3_600),
            }),
            ..PlatformState::default()
        };
        assert_eq!(
            told(&platform, &state(30, 3.5), Vec::new()),
            [
                "Poor: the scaling accuracy: 75 %, below 80 %",
                "Dear: the cost of the capacity an hour: 3.5, above 3"
            ]
        );
        assert_eq!(told(&platform, &state(32, 3.0), Vec::new()), Vec::<String>::new());
        assert_eq!(
            told(&platform, &PlatformState::default(), Vec::new()),
            Vec::<String>::new(),
            "not known, not true"
        );
    }

    #[test]
    fn an_open_breaker_a_budget_and_a_phase_are_told() {
        let platform = platform("");
        let failed = |second| Breaker { failures: 3, failed_at: Some(at(second)) };
        let reached = RolloutState {
            configured: Phase::Limited,
            phase: Phase::Full,
            since: at(0),
            why: "it did well".into(),
        };
        let state = PlatformState {
            breakers: [("old".into(), failed(0)), ("web".into(), failed(3_000))].into(),
            rollout: Some(reached),
            ..PlatformState::default()
        };
        let budget = Reason::Budget { limit: 1.0, total: 2.0, allowed: Units(3) };
        assert_eq!(
            told(&platform, &state, vec![budget]),
            [
                "BreakerOpen: changes kept failing, so these are left alone: web until 01:20 UTC",
                "BudgetBinds: the budget allows less than is wanted of web/desired",
                "PhaseMoved: the phase is full now, and was limited: it did well",
            ]
        );
    }
}
