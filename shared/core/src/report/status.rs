//! What stands of a platform between its cycles, for a terminal.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::decide::Decision;
use crate::learning::measured_share;
use crate::lease::Lease;
use crate::name::DimensionKey;
use crate::platform::{Phase, Platform};
use crate::reason::Reason;
use crate::state::{BreakerState, ConfidenceAdjustment, Pause, PlatformState};
use crate::units::{Direction, Ratio};

/// What is stored between cycles, and the file that it goes with.
#[derive(Clone, Copy, Debug)]
pub struct Status<'a> {
    /// The platform, as published.
    pub platform: &'a Platform,
    /// Who may act.
    pub lease: &'a Lease,
    /// What stands, with what people asked for.
    pub state: &'a PlatformState,
    /// The decisions of the newest cycle; none where it stored none.
    pub decisions: &'a [Decision],
    /// The time it is told for.
    pub now: Timestamp,
}

/// What stands, as text for a terminal.
pub fn status(status: &Status<'_>) -> String {
    let mut text = format!("{} at {}\n\n", status.platform.name, moment(status.now));
    line(&mut text, &acting(status));
    line(&mut text, &phase(status));
    line(&mut text, &measured(status.state));
    line(&mut text, &spend(status));
    if let Some(objective) = objective(status.decisions) {
        line(&mut text, &objective);
    }
    asked(&mut text, status);
    breakers(&mut text, status);
    learned(&mut text, status);
    text
}

fn acting(status: &Status<'_>) -> String {
    let Lease { holder, open_plan, needs_human, .. } = status.lease;
    let plan = open_plan.as_ref().map(|plan| format!(", plan {plan} is open")).unwrap_or_default();
    match (needs_human, holder) {
        (Some(why), _) => format!("stopped until a person has looked: {why}"),
        (None, Some(holder)) => {
            format!("cycle {} acts, until {} unless it renews{plan}", holder.cycle, moment(holder.until))
        }
        (None, None) => format!("no cycle acts now{plan}"),
    }
}

fn phase(status: &Status<'_>) -> String {
    let phase = status.state.phase(status.platform).name();
    if !status.platform.orchestration.auto_promote {
        return format!("phase {phase}, as the file says (auto_promote is off)");
    }
    match &status.state.rollout {
        Some(reached) if reached.configured == status.platform.orchestration.phase => {
            format!("phase {phase} since {}: {}", moment(reached.since), reached.why)
        }
        _ => format!("phase {phase}, as the file says, from the next cycle on"),
    }
}

fn measured(state: &PlatformState) -> String {
    let figures = state.calibration.figures();
    if figures.judged == 0 && figures.compared == 0 {
        return "nothing was measured in this phase yet".to_owned();
    }
    format!("measured in this phase: {}", measured_share(&figures))
}

fn spend(status: &Status<'_>) -> String {
    let budget = &status.platform.guardrails.budget;
    let Some(spend) = status.state.spend else {
        return "what was spent this month is not known yet".to_owned();
    };
    let spent = spend.in_month_of(&status.platform.zone, status.now);
    let of = budget.monthly.map(|monthly| format!(" of {monthly:.2}")).unwrap_or_default();
    format!("spent {spent:.2}{of} {} this month, counted to {}", budget.currency, moment(spend.counted_to))
}

/// What was kept of the objective that is promised to a dimension.
pub(super) struct Kept<'a> {
    pub(super) key: &'a DimensionKey,
    pub(super) objective: Ratio,
    pub(super) kept: Ratio,
    pub(super) days: f64,
}

/// That of every dimension that knows a day of it, as the decisions of a cycle tell.
pub(super) fn kept(decisions: &[Decision]) -> Vec<Kept<'_>> {
    let of = |decision: &'_ Decision| {
        decision.reasons.iter().find_map(|reason| match reason {
            Reason::ObjectiveKept { objective, kept, days, .. } => Some((*objective, *kept, *days)),
            _ => None,
        })
    };
    let known = decisions.iter().filter_map(|decision| Some((&decision.key, of(decision)?)));
    known.map(|(key, (objective, kept, days))| Kept { key, objective, kept, days }).collect()
}

fn objective(decisions: &[Decision]) -> Option<String> {
    let known = kept(decisions);
    let least = known.iter().min_by(|a, b| a.kept.get().total_cmp(&b.kept.get()))?;
    let keeping = known.iter().filter(|dimension| dimension.objective <= dimension.kept).count();
    Some(format!(
        "objective {} %: kept by {keeping} of {} dimensions; least by {}, {:.2} % of the minutes of {:.1} days",
        (least.objective.get() * 1e6).round() / 1e4,
        known.len(),
        least.key,
        least.kept.get() * 100.0,
        least.days
    ))
}

fn asked(text: &mut String, status: &Status<'_>) {
    let asked = &status.state.requests;
    for pause in asked.pauses.iter().filter(|pause| status.now < pause.until) {
        line(text, &format!("paused: {} until {} ({})", paused(pause), moment(pause.until), pause.by));
    }
    for floor in asked.overrides.iter().filter(|floor| status.now < floor.until) {
        let (key, units, until) = (&floor.key, floor.units, moment(floor.until));
        line(text, &format!("override: at least {units} of {key} until {until} ({})", floor.by));
    }
}

fn paused(pause: &Pause) -> String {
    let what = match (&pause.group, &pause.resource) {
        (_, Some(resource)) => resource.to_string(),
        (Some(group), None) => format!("all of {group}"),
        (None, None) => "everything".to_owned(),
    };
    match pause.direction {
        Some(Direction::Out) => format!("{what}, out"),
        Some(Direction::In) => format!("{what}, in"),
        None => what,
    }
}

fn breakers(text: &mut String, status: &Status<'_>) {
    for (resource, breaker) in &status.state.breakers {
        let state = match breaker.state(&status.platform.guardrails, status.now) {
            BreakerState::Closed => "closed".to_owned(),
            BreakerState::Open { until } => format!("open until {}", moment(until)),
            BreakerState::HalfOpen => "half open: one unit is tried next".to_owned(),
        };
        line(text, &format!("breaker of {resource}: {state}, {} failures in a row", breaker.failures));
    }
}

fn learned(text: &mut String, status: &Status<'_>) {
    for (_, resource) in status.platform.resources() {
        if let Some(known) = status.state.provisioning.get(&resource.id) {
            let guess = resource.provisioning;
            let (id, s, guess_s) = (&resource.id, known.duration(guess).as_secs(), guess.as_secs());
            line(
                text,
                &format!(
                    "{id} takes {s} s to be ready ({guess_s} s in the file), by {} scale-outs",
                    known.seen
                ),
            );
        }
    }
    let counts = status.state.phase(status.platform) == Phase::Optimized;
    let only = if counts { "" } else { " (counts in optimized only)" };
    for (key, known) in &status.state.carried {
        for (metric, per_unit) in known {
            line(text, &format!("a unit of {key} is planned with {per_unit:.1} of {metric}{only}"));
        }
    }
    let ConfidenceAdjustment { out, inward, .. } = status.state.confidence_adjustment;
    if out != 0.0 || inward != 0.0 {
        line(
            text,
            &format!("trust needed has moved by {out:+.2} to scale out and {inward:+.2} to scale in{only}"),
        );
    }
}

fn moment(at: Timestamp) -> String {
    at.strftime("%a %Y-%m-%d %H:%M UTC").to_string()
}

fn line(text: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "  {line}");
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::config::parse;

    fn check(
        file: &str,
        lease: serde_json::Value,
        state: serde_json::Value,
        asked: serde_json::Value,
        shares: &[f64],
        expected: Expect,
    ) {
        let text = format!(
            "configuration_name: shop
scaling_groups:
  web: {{resources: [{{type: EC2_AUTO_SCALING_GROUP, name: web, min_capacity: 1, max_capacity: 9, provisioning_seconds: 180}}]}}
{file}"
        );
        let mut state: PlatformState = serde_json::from_value(state).unwrap();
        state.requests = serde_json::from_value(asked).unwrap();
        let platform = &parse(&text).unwrap().platform;
        let kept = |kept: f64| Reason::ObjectiveKept {
            metric: "cpu".into(),
            objective: Ratio::clamped(0.999),
            kept: Ratio::clamped(kept),
            days: 13.1,
            times: 1.0,
        };
        let decided = |share: &f64| Decision {
            reasons: vec![kept(*share)],
            ..Decision::undecided(platform.dimensions().next().unwrap())
        };
        let status = Status {
            platform,
            decisions: &shares.iter().map(decided).collect::<Vec<_>>(),
            lease: &serde_json::from_value(lease).unwrap(),
            state: &state,
            now: "2026-11-24T12:00:00Z".parse().unwrap(),
        };
        expected.assert_eq(&super::status(&status));
    }

    #[test]
    fn a_platform_of_which_nothing_is_known_yet() {
        check(
            "",
            serde_json::json!({}),
            serde_json::json!({}),
            serde_json::json!({}),
            &[],
            expect![[r#"
            shop at Tue 2026-11-24 12:00 UTC

              no cycle acts now
              phase observe, as the file says (auto_promote is off)
              nothing was measured in this phase yet
              what was spent this month is not known yet
        "#]],
        );
    }

    #[test]
    fn a_platform_of_which_much_is_known() {
        check(
            "orchestration: {rollout_phase: observe, auto_promote: true}\nguardrails: {budget: {monthly: 2000}}\n",
            serde_json::json!({"holder": {"cycle": "a", "execution": "arn", "until": "2026-11-24T12:09:00Z"}, "open_plan": "7-a"}),
            serde_json::json!({
                "breakers": {"web": {"failures": 3, "failed_at": "2026-11-24T11:50:00Z"}},
                "provisioning": {"web": {"seconds": 201.7, "seen": 4, "at": "2026-11-24T10:00:00Z"}},
                "carried": {"web/desired": {"requests": 950.0}},
                "nudge": {"out": -0.02, "inward": 0.01, "at": "2026-11-24T00:00:00Z"},
                "spend": {"amount": 812.5, "counted_to": "2026-11-24T11:55:00Z"},
                "evidence": [{"day": 20_781, "judged": 80, "inside": 72, "above": 4, "compared": 80, "short": 2, "short_reactive": 8, "idle": 16.0, "idle_reactive": 8.0}],
                "reached": {"configured": "observe", "phase": "limited", "since": "2026-11-20T03:00:00Z", "why": "in observe, it did well"},
            }),
            serde_json::json!({
                "pauses": [
                    {"group": "web", "resource": null, "direction": "in", "until": "2026-11-24T14:00:00Z", "by": "ana"},
                    {"group": null, "resource": null, "direction": null, "until": "2026-11-24T11:00:00Z", "by": "over"},
                ],
                "overrides": [{"key": "web/desired", "units": 6, "until": "2026-11-24T13:00:00Z", "by": "sale"}],
            }),
            &[0.9995, 0.992, 0.999],
            expect![[r#"
                shop at Tue 2026-11-24 12:00 UTC

                  cycle a acts, until Tue 2026-11-24 12:09 UTC unless it renews, plan 7-a is open
                  phase limited since Fri 2026-11-20 03:00 UTC: in observe, it did well
                  measured in this phase: 90 % of 80 loads came within the forecast's 90 % band, 2.5 % of 80 needs were short (10.0 % had the measured load been followed), and 20 % were idle (10 %)
                  spent 812.50 of 2000.00 USD this month, counted to Tue 2026-11-24 11:55 UTC
                  objective 99.9 %: kept by 2 of 3 dimensions; least by web/desired, 99.20 % of the minutes of 13.1 days
                  paused: all of web, in until Tue 2026-11-24 14:00 UTC (ana)
                  override: at least 6 of web/desired until Tue 2026-11-24 13:00 UTC (sale)
                  breaker of web: open until Tue 2026-11-24 12:20 UTC, 3 failures in a row
                  web takes 202 s to be ready (180 s in the file), by 4 scale-outs
                  a unit of web/desired is planned with 950.0 of requests (counts in optimized only)
                  trust needed has moved by -0.02 to scale out and +0.01 to scale in (counts in optimized only)
            "#]],
        );
    }
}
