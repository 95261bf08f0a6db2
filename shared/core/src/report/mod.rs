//! What people read: sentences, notices, figures, and a cycle explained.

mod conditions;
mod cycle_figures;
mod diff;
mod dimension_figures;
mod embedded;
mod explain;
mod json;
mod monitored;
mod notice;
mod progress;
mod status;

pub use conditions::conditions;
pub use cycle_figures::{CycleFigure, figures};
pub use diff::diff;
pub use dimension_figures::{DimensionFigure, foreseen, of_dimensions};
pub use embedded::{DIMENSION, NAMESPACE, PLATFORM};
pub use explain::{CycleRecord, explain};
pub use json::{SCHEMA, cycle_json, status_json};
pub use monitored::{monitored, monitored_name};
pub use notice::{Notice, Told, notice};
pub use progress::Progress;
pub use status::{Status, status};

use crate::decide::Decision;
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

/// The ending as it is written in the outcome.
pub fn ending_name(outcome: &Outcome) -> String {
    let name = serde_json::to_value(outcome.outcome).ok();
    name.and_then(|name| name.as_str().map(|name| name.replace('_', " "))).unwrap_or_default()
}
