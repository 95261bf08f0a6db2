//! One cycle, explained from what is stored about it alone.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::decide::Decision;
use crate::forecast::MetricForecast;
use crate::journal::{Entry, StepEvent};
use crate::name::{DimensionKey, PlatformName};
use crate::observe::{Observation, Observed};
use crate::plan::Plan;
use crate::settle::Outcome;
use crate::units::Direction;

/// What is stored about a cycle.
#[derive(Clone, Debug)]
pub struct CycleRecord<'a> {
    /// Of which platform.
    pub platform: &'a PlatformName,
    /// The time it decided for.
    pub now: Timestamp,
    /// What it saw.
    pub observations: &'a [Observation],
    /// What it expected, by dimension.
    pub forecasts: &'a [(DimensionKey, Vec<MetricForecast>)],
    /// What it decided.
    pub decisions: &'a [Decision],
    /// Its plan.
    pub plan: Option<&'a Plan>,
    /// What happened to the plan's steps.
    pub entries: &'a [Entry],
    /// How it ended; `None` while it runs.
    pub outcome: Option<&'a Outcome>,
}

/// The quantile that is shown as what a load may come to.
const SHOWN_LEVEL: f64 = 0.9;

/// A cycle as text for a terminal: what was seen and expected, what was decided and why, what happened, how it ended.
pub fn explain(record: &CycleRecord<'_>) -> String {
    let now = record.now.strftime("%a %Y-%m-%d %H:%M UTC");
    let trigger = record.outcome.map(|outcome| format!(", started {}", outcome.trigger)).unwrap_or_default();
    let phase = record.decisions.iter().find_map(|decision| decision.phase);
    let phase = phase.map(|phase| format!(", phase {}", phase.name())).unwrap_or_default();
    let mut text = format!("{} at {now}{trigger}{phase}\n", record.platform);
    for decision in record.decisions {
        write_decision(&mut text, record, decision);
    }
    write_waves(&mut text, record);
    if let Some(outcome) = record.outcome {
        write_outcome(&mut text, outcome);
    }
    text
}

fn write_decision(text: &mut String, record: &CycleRecord<'_>, decision: &Decision) {
    let verb = match (decision.change(), decision.observed) {
        (Some((from, to)), _) if from < to => format!("{from} -> {to}  scale out"),
        (Some((from, to)), _) => format!("{from} -> {to}  scale in"),
        (None, Some(set)) => format!("{set}  hold"),
        (None, None) => "unknown  hold".to_owned(),
    };
    let strategy = decision.source.map(|source| format!(" ({source:?})").to_lowercase()).unwrap_or_default();
    line(text, &format!("\n  {}: {verb}{strategy}", decision.key));
    let seen = record.observations.iter().find(|seen| seen.key == decision.key);
    let ready = decision.ready.map(|ready| format!(", {ready} ready")).unwrap_or_default();
    for reading in seen.iter().flat_map(|seen| &seen.readings) {
        let load = match &reading.load {
            Observed::Known(load) => format!("load {:.1}{ready}", load.mean),
            Observed::Unknown(why) => format!("unknown: {why}"),
        };
        line(
            text,
            &format!("    {:<10} {load}{}", reading.metric, expected(record, &decision.key, &reading.metric)),
        );
    }
    if 0.0 < decision.cost_hourly {
        line(text, &format!("    {:<10} {}", "costs", costs(decision)));
    }
    for reason in &decision.reasons {
        line(text, &format!("      - {reason}"));
    }
}

/// What the capacity costs, what a change adds to that, and when it should be complete.
fn costs(decision: &Decision) -> String {
    let thousand = decision.cost_per_thousand.map(|cost| format!(", {cost:.6} for 1,000 of its load"));
    let change = decision.change().map(|_| format!(", {:+.4} by this change", decision.cost_hourly_change));
    let complete = decision.complete_in_s.map(|seconds| format!(", complete in about {seconds} s"));
    let more: String = [thousand, change, complete].into_iter().flatten().collect();
    format!("{:.4} an hour{more}", decision.cost_hourly)
}

/// What is forecast of a metric, at its peak.
fn expected(record: &CycleRecord<'_>, key: &DimensionKey, metric: &str) -> String {
    let mine = record.forecasts.iter().filter(|(known, _)| known == key).flat_map(|(_, forecasts)| forecasts);
    let Some(made) = mine.into_iter().find(|made| made.metric == metric) else { return String::new() };
    match &made.outcome {
        Ok(forecast) => match forecast.peak(SHOWN_LEVEL, record.now, forecast.end()) {
            Some(peak) => format!(
                ", forecast up to {:.1} at {} ({}, trusted {:.2})",
                peak.load,
                peak.at.strftime("%H:%M"),
                forecast.model,
                forecast.confidence.get()
            ),
            None => String::new(),
        },
        Err(why) => format!(", no forecast: {why}"),
    }
}

fn write_waves(text: &mut String, record: &CycleRecord<'_>) {
    let Some(plan) = record.plan.filter(|plan| !plan.waves.is_empty()) else { return };
    match plan.permit.withheld() {
        Some(why) => line(text, &format!("\n  Waves of plan {} (not carried out: {why})", plan.id)),
        None => line(text, &format!("\n  Waves of plan {}", plan.id)),
    }
    for (index, wave) in plan.waves.iter().enumerate() {
        let direction = match wave.direction {
            Direction::Out => "out",
            Direction::In => "in",
        };
        let groups: Vec<String> = wave.groups.iter().map(ToString::to_string).collect();
        line(text, &format!("    {} {direction:<3} {}", index + 1, groups.join(", ")));
        for step in &wave.steps {
            let changes: Vec<String> = step
                .changes
                .iter()
                .map(|change| format!("{} {} -> {}", change.key, change.expected, change.target))
                .collect();
            let entry = record.entries.iter().find(|entry| entry.step.id == step.id);
            line(
                text,
                &format!("        {:<44} {}", changes.join(", "), entry.map(happened).unwrap_or_default()),
            );
        }
    }
}

/// What happened to a step, with its times.
fn happened(entry: &Entry) -> String {
    let mut told: Vec<String> = Vec::new();
    for happened in &entry.events {
        let Some(what) = told_as(happened.event) else { continue };
        let detail = happened.detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default();
        told.push(format!("{} {what}{detail}", happened.at.strftime("%H:%M:%S")));
    }
    if told.is_empty() { "begun".to_owned() } else { told.join(", ") }
}

/// What is said of a step to which this happened; nothing of a call that is about to be made.
pub(super) fn told_as(event: StepEvent) -> Option<&'static str> {
    match event {
        StepEvent::Started | StepEvent::UndoStarted => None,
        StepEvent::Succeeded => Some("made"),
        StepEvent::Found => Some("was so already"),
        StepEvent::Refused => Some("refused"),
        StepEvent::Skipped => Some("skipped"),
        StepEvent::Unavailable => Some("not complete"),
        StepEvent::Failed => Some("failed"),
        StepEvent::UndoSucceeded => Some("rolled back"),
        StepEvent::UndoFailed => Some("could not be rolled back"),
        StepEvent::UndoDeclined => Some("stands"),
    }
}

fn write_outcome(text: &mut String, outcome: &Outcome) {
    line(text, &format!("\n  {}: {}", super::ending_name(outcome), outcome.summary));
    for raised in &outcome.alerts {
        let action = raised.action.as_ref().map(|action| format!(" ({action})")).unwrap_or_default();
        line(text, &format!("  alert {}: {}{action}", raised.name, raised.sentence));
    }
    let transitions = outcome.usage.0.get(crate::usage::TRANSITIONS).copied().unwrap_or(0.0);
    line(
        text,
        &format!(
            "  {:.0} AWS calls, {transitions:.0} state transitions, ${:.6} for this cycle",
            outcome.aws_calls, outcome.cost_usd
        ),
    );
}

pub(super) fn line(text: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_cycle_names_its_phase_and_what_capacity_costs() {
        let decision = serde_json::json!({
            "key": "web/desired", "group": "web", "resource": "web", "mode": "desired", "observed": 4, "ready": 4,
            "needed": 6, "wanted": 6, "target": 5, "strategy": "reactive", "confidence": null, "phase": "limited",
            "cost_hourly": 0.4, "cost_per_thousand": 0.0171, "cost_hourly_change": 0.1, "complete_in_s": 180,
            "reasons": [{"code": "phase_share", "phase": "limited", "allowed": 5}],
        });
        // A decision that an earlier version stored knows nothing of that.
        let old = serde_json::json!({
            "key": "api/desired", "group": "web", "resource": "api", "mode": "desired", "observed": 4, "ready": 4,
            "needed": 4, "wanted": 4, "target": 4, "strategy": "reactive", "confidence": null,
            "reasons": [{"code": "enough", "set": 4}],
        });
        let decisions: Vec<Decision> = [decision, old].map(|one| serde_json::from_value(one).unwrap()).into();
        let record = CycleRecord {
            platform: &"shop".into(),
            now: "2026-11-21T16:20:00Z".parse().unwrap(),
            observations: &[],
            forecasts: &[],
            decisions: &decisions,
            plan: None,
            entries: &[],
            outcome: None,
        };
        expect![[r#"
            shop at Sat 2026-11-21 16:20 UTC, phase limited

              web/desired: 4 -> 5  scale out (reactive)
                costs      0.4000 an hour, 0.017100 for 1,000 of its load, +0.1000 by this change, complete in about 180 s
                  - phase limited lets 5 units through

              api/desired: 4  hold (reactive)
                  - 4 units are what is needed
        "#]].assert_eq(&explain(&record));
    }
}

/// A cycle for the tests of what is told of one: web scales out after its table, and the cache holds.
#[cfg(test)]
pub(super) mod testing {
    use super::*;
    use crate::plan::Permit;

    fn decision(key: &str, set: u32, wanted: u32, target: u32, reasons: serde_json::Value) -> Decision {
        let (resource, _) = key.split_once('/').unwrap();
        serde_json::from_value(serde_json::json!({
            "key": key, "group": resource, "resource": resource, "mode": "desired", "observed": set, "ready": set,
            "needed": wanted, "wanted": wanted, "target": target, "strategy": "reactive", "confidence": null,
            "phase": "full", "cost_hourly": 0.4, "cost_hourly_change": 0.1 * (f64::from(target) - f64::from(set)),
            "reasons": reasons,
        }))
        .unwrap()
    }

    /// What `told` makes of the cycle.
    pub(crate) fn record_of<R>(told: impl Fn(&CycleRecord<'_>) -> R) -> R {
        let phase = |allowed: u32| serde_json::json!([{"code": "phase_share", "phase": "limited", "allowed": allowed}]);
        let decisions = [
            decision("web/desired", 4, 9, 6, phase(6)),
            decision("users/read", 10, 12, 12, phase(12)),
            decision("cache/replicas", 2, 2, 2, serde_json::json!([{"code": "enough", "set": 2}])),
        ];
        let step = |resource: &str, key: &str, from: u32, to: u32| {
            serde_json::json!({"id": format!("w/{resource}"), "resource": resource, "group": resource, "mode": "desired",
                "changes": [{"key": key, "expected": from, "target": to}], "after": []})
        };
        let wave = |step: serde_json::Value| serde_json::json!({"direction": "out", "groups": [step["group"]], "timeout_s": 60, "poll_s": 5, "steps": [step]});
        let mut plan: Plan = serde_json::from_value(serde_json::json!({
            "id": "7-a", "cycle": "a", "made_at": "2026-11-21T16:20:00Z", "config": "1", "permit": "dry_run",
            "rollback": true,
            "waves": [wave(step("users", "users/read", 10, 12)), wave(step("web", "web/desired", 4, 6))],
        }))
        .unwrap();
        plan.permit = Permit::DryRun;
        told(&CycleRecord {
            platform: &"shop".into(),
            now: "2026-11-21T16:20:00Z".parse().unwrap(),
            observations: &[],
            forecasts: &[],
            decisions: &decisions,
            plan: Some(&plan),
            entries: &[],
            outcome: None,
        })
    }
}
