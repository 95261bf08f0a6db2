//! What people should know of a cycle that did what it should: conditions that last, until somebody does something.

use jiff::Timestamp;

use super::monitored::value;
use crate::alert::{Raised, is_crossed};
use crate::decide::Decision;
use crate::platform::Platform;
use crate::reason::Reason;
use crate::state::{BreakerState, PlatformState};
use crate::text::number;
use crate::units::Ratio;

/// As many as a notice can tell; the payloads of the state machine carry no more.
const CONDITIONS_MAX: usize = 10;

/// The conditions that stand after a cycle has decided: alerts of the file on figures that every cycle knows, breakers that are
/// open, a budget that allows less than is needed, a phase that has moved since `stored`, what AWS lacks, an objective that is
/// missed, forecasts that are no longer trusted, and a load that is very unlike its forecast.
pub fn conditions(
    platform: &Platform,
    stored: &PlatformState,
    state: &PlatformState,
    decisions: &[Decision],
    at: Timestamp,
) -> Vec<Raised> {
    let alerts = alerts(platform, state, at);
    let others = [
        breakers(platform, state, at),
        budget(decisions),
        phase(platform, stored, state),
        lacking(decisions),
        objective(decisions),
        demoted(platform, decisions).filter(|_| is_watched(state)),
        unusual(decisions).filter(|_| is_watched(state)),
    ];
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
    let is_bound = |reason: &Reason| matches!(reason, Reason::Budget { .. }).then(String::new);
    let bound = told(decisions, is_bound)?;
    Some(Raised {
        name: "BudgetBinds".to_owned(),
        sentence: format!("the budget allows less than is wanted of {bound}"),
        action: Some("raise guardrails.budget, or lower what else runs".to_owned()),
        lasting: true,
    })
}

fn lacking(decisions: &[Decision]) -> Option<Raised> {
    let lacks = |reason: &Reason| match reason {
        Reason::Unavailable { why } => Some(format!(" ({why})")),
        _ => None,
    };
    Some(Raised {
        name: "CapacityUnavailable".to_owned(),
        sentence: format!("AWS lacks what was asked for of {}", told(decisions, lacks)?),
        action: Some(
            "AWS goes on trying; allow more instance types or zones, or ask for a higher quota".to_owned(),
        ),
        lasting: true,
    })
}

fn objective(decisions: &[Decision]) -> Option<Raised> {
    /// In fewer days one bad hour decides.
    const DAYS_MIN: f64 = 7.0;
    /// From twice the short minutes that are allowed it is no longer chance.
    const TIMES: f64 = 2.0;
    let is_missed = |reason: &Reason| match reason {
        Reason::ObjectiveKept { objective, kept, days, .. }
            if DAYS_MIN <= *days && TIMES * (1.0 - objective.get()) < 1.0 - kept.get() =>
        {
            Some(format!(" ({} % of minutes had enough, {} % promised)", percent(kept), percent(objective)))
        }
        _ => None,
    };
    Some(Raised {
        name: "ObjectiveMissed".to_owned(),
        sentence: format!("too many minutes were short of units: {}", told(decisions, is_missed)?),
        action: Some(
            "see what held its scale-outs in `headroom explain`; raise max_capacity or the pace, or promise less".to_owned(),
        ),
        lasting: true,
    })
}

fn demoted(platform: &Platform, decisions: &[Decision]) -> Option<Raised> {
    // What stands by goes by the forecasts of what serves, and is no second news.
    let standing_by = platform.standing_by();
    let serving = decisions.iter().filter(|decision| !standing_by.contains(&decision.key));
    let is_demoted = |reason: &Reason| match reason {
        Reason::NotTrusted { confidence, needed } => {
            Some(format!(" (confidence {:.2}, {:.2} needed)", confidence.get(), needed.get()))
        }
        _ => None,
    };
    Some(Raised {
        name: "ForecastDemoted".to_owned(),
        sentence: format!(
            "the measured load counts where forecasts are not trusted: {}",
            told(serving, is_demoted)?
        ),
        action: Some(
            "nothing, if it is new or its load has changed for good: models learn it within days".to_owned(),
        ),
        lasting: true,
    })
}

fn unusual(decisions: &[Decision]) -> Option<Raised> {
    let is_burst = |reason: &Reason| match reason {
        Reason::Burst { metric, .. } => Some(format!(" ({metric})")),
        _ => None,
    };
    Some(Raised {
        name: "UnusualLoad".to_owned(),
        sentence: format!("the newest hour was very unlike its forecast: {}", told(decisions, is_burst)?),
        action: Some("if it will come again, write it into the calendar".to_owned()),
        lasting: false,
    })
}

/// A share in percent, with as many digits as an objective has.
fn percent(share: &Ratio) -> String {
    number((share.get() * 10_000.0).round() / 100.0)
}

/// Whether forecasts were judged on more than one day. Before that nothing is usual, and every forecast is new.
fn is_watched(state: &PlatformState) -> bool {
    1 < state.calibration.0.len()
}

/// Of which dimensions a reason says something, and what; `None` where none does.
fn told<'a>(
    decisions: impl IntoIterator<Item = &'a Decision>,
    says: impl Fn(&Reason) -> Option<String>,
) -> Option<String> {
    let of = |decision: &Decision| {
        let what = decision.reasons.iter().find_map(&says)?;
        Some(format!("{}{what}", decision.key))
    };
    let found: Vec<String> = decisions.into_iter().filter_map(of).collect();
    (!found.is_empty()).then(|| crate::cycle::few(found).join(", "))
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

    #[test]
    fn what_aws_lacks_and_a_missed_objective_are_told() {
        let lacks = Reason::Unavailable { why: "no m5.large".into() };
        assert_eq!(
            told(&platform(""), &PlatformState::default(), vec![lacks]),
            ["CapacityUnavailable: AWS lacks what was asked for of web/desired (no m5.large)"]
        );
        let kept = |kept: f64, days: f64| {
            let (objective, kept) = (Ratio::clamped(0.99), Ratio::clamped(kept));
            let reason = Reason::ObjectiveKept { metric: "cpu".into(), objective, kept, days, times: 1.0 };
            told(&platform(""), &PlatformState::default(), vec![reason]).len()
        };
        assert_eq!([kept(0.979, 7.0), kept(0.981, 7.0), kept(0.979, 6.9)], [1, 0, 0]);
    }

    #[test]
    fn what_is_unusual_and_not_trusted_is_told_once_forecasts_were_judged_for_more_than_a_day() {
        let burst = Reason::Burst { metric: "cpu".into(), anomaly: Ratio::clamped(0.97) };
        let doubt = Reason::NotTrusted { confidence: Ratio::clamped(0.5), needed: Ratio::clamped(0.7) };
        let of = |days: usize| {
            let calibration = Calibration(vec![Tally::default(); days]);
            let state = PlatformState { calibration, ..PlatformState::default() };
            told(&platform(""), &state, vec![burst.clone(), doubt.clone()])
        };
        assert_eq!(of(1), Vec::<String>::new());
        assert_eq!(
            of(2),
            [
                "ForecastDemoted: the measured load counts where forecasts are not trusted: web/desired (confidence 0.50, 0.70 \
                 needed)",
                "UnusualLoad: the newest hour was very unlike its forecast: web/desired (cpu)",
            ]
        );
    }

    #[test]
    fn a_warm_pool_is_no_second_forecast_that_is_not_trusted() {
        let file = "configuration_name: shop
scaling_groups: {web: {resources: [{type: EC2_AUTO_SCALING_GROUP, name: web, min_capacity: 1, max_capacity: 9,
  warm_pool: {min: 0, max: 4}}]}}
";
        let calibration = Calibration(vec![Tally::default(); 2]);
        let state = PlatformState { calibration, ..PlatformState::default() };
        let doubt = Reason::NotTrusted { confidence: Ratio::clamped(0.5), needed: Ratio::clamped(0.7) };
        let said = told(&parse(file).unwrap().platform, &state, vec![doubt]);
        assert!(said[0].ends_with("web/desired (confidence 0.50, 0.70 needed)"), "{said:?}");
    }
}
