//! What people read: sentences, notices, figures, and a cycle explained.

mod explain;
mod monitored;
mod status;

use jiff::Timestamp;
use serde_json::{Value as Json, json};

pub use explain::{CycleRecord, explain};
pub use monitored::monitored;
pub use status::{Status, status};

use crate::cycle::{Cycle, Task};
use crate::decide::Decision;
use crate::name::PlatformName;
use crate::plan::Plan;
use crate::settle::Outcome;

/// A plan in a sentence: `users/read 10 -> 20, then api/desired 3 -> 6`.
pub fn planned(plan: &Plan, decisions: &[Decision]) -> String {
    const WAVES_MAX: usize = 4;
    const CHANGES_MAX: usize = 4;
    if plan.waves.is_empty() {
        let known = decisions.iter().filter(|decision| decision.observed.is_some()).count();
        return format!("nothing changes: {} dimensions hold, {} of them known", decisions.len(), known);
    }
    let wave = |changes: Vec<String>| {
        let more = changes.len().saturating_sub(CHANGES_MAX);
        let rest = if more == 0 { String::new() } else { format!(" and {more} more") };
        format!("{}{rest}", changes.into_iter().take(CHANGES_MAX).collect::<Vec<_>>().join(", "))
    };
    let waves: Vec<String> = plan
        .waves
        .iter()
        .map(|one| {
            let changes = one.steps.iter().flat_map(|step| &step.changes);
            wave(
                changes
                    .map(|change| format!("{} {} -> {}", change.key, change.expected, change.target))
                    .collect(),
            )
        })
        .collect();
    let more = waves.len().saturating_sub(WAVES_MAX);
    let rest = if more == 0 { String::new() } else { format!(", then {more} more waves") };
    let told = waves.into_iter().take(WAVES_MAX).collect::<Vec<_>>().join(", then ");
    match plan.permit.withheld() {
        Some(why) => format!("would change {told}{rest}, but {why}"),
        None => format!("{told}{rest}"),
    }
}

/// Subject and text of a notice.
pub fn notice(platform: &PlatformName, outcome: &Outcome) -> (String, String) {
    let name = if outcome.outcome.is_news() {
        ending_name(outcome)
    } else {
        outcome.alerts.iter().map(|raised| raised.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let text = json!({
        "platform": platform,
        "cycle": outcome.cycle_id,
        "outcome": outcome.outcome,
        "trigger": outcome.trigger.to_string(),
        "summary": outcome.summary,
        "alerts": outcome.alerts,
        "plan": outcome.plan_id,
        "steps": outcome.steps,
    });
    let text = serde_json::to_string_pretty(&text).unwrap_or_else(|_| outcome.summary.clone());
    (format!("Headroom {platform}: {name}"), text)
}

/// The ending as it is written in the outcome.
pub fn ending_name(outcome: &Outcome) -> String {
    let name = serde_json::to_value(outcome.outcome).ok();
    name.and_then(|name| name.as_str().map(|name| name.replace('_', " "))).unwrap_or_default()
}

/// Figures of a cycle in CloudWatch's embedded metric format. Alarms of the template look at `CyclesSucceeded` and
/// `NeedsHuman`: one says that cycles come, the other what every cycle finds, the skipped ones too.
pub fn figures(cycle: &Cycle, outcome: &Outcome, at: Timestamp) -> Json {
    let metric = |name: &str, unit: &str| json!({"Name": name, "Unit": unit});
    let metrics = [
        metric("StepsDone", "Count"),
        metric("StepsRefused", "Count"),
        metric("StepsSkipped", "Count"),
        metric("StepsUndone", "Count"),
        metric("StepsLeft", "Count"),
        metric("CyclesFailed", "Count"),
        metric("CyclesSucceeded", "Count"),
        metric("NeedsHuman", "Count"),
        metric("AwsCalls", "Count"),
        metric("CostUsd", "None"),
    ];
    let count = |is: bool| u8::from(is);
    // Training and rehearsals change no capacity, however well they end.
    let serves = cycle.task == Task::Scale && cycle.is_present();
    json!({
        "_aws": {
            "Timestamp": at.as_millisecond(),
            "CloudWatchMetrics": [{"Namespace": "Headroom", "Dimensions": [["Platform"]], "Metrics": metrics}],
        },
        "Platform": cycle.platform,
        "Cycle": outcome.cycle_id,
        "Outcome": outcome.outcome,
        "StepsDone": outcome.steps.done,
        "StepsRefused": outcome.steps.refused,
        "StepsSkipped": outcome.steps.skipped,
        "StepsUndone": outcome.steps.undone,
        "StepsLeft": outcome.steps.left,
        "CyclesFailed": count(!outcome.succeeded),
        "CyclesSucceeded": count(outcome.succeeded && serves),
        "NeedsHuman": count(outcome.needs_human),
        "AwsCalls": outcome.aws_calls,
        "CostUsd": outcome.cost_usd,
    })
}
