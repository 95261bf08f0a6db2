//! What is told to people.

use super::Build;
use crate::config::fault::suggestion;
use crate::config::path::Path;
use crate::config::raw;
use crate::platform::{Alert, Comparison, Figure, Monitoring};

/// Names of figures as users write them.
const FIGURES: [(&str, Figure); 6] = [
    ("scaling_events", Figure::ScalingEvents),
    ("scaling_events_per_hour", Figure::ScalingEvents),
    ("average_scaling_duration", Figure::ScalingDuration),
    ("scaling_accuracy", Figure::ScalingAccuracy),
    ("scaling_accuracy_percentage", Figure::ScalingAccuracy),
    ("cost_optimization_achieved", Figure::CostOptimization),
];

pub(super) fn monitoring(build: &mut Build<'_>, raw: raw::Monitoring) -> Monitoring {
    let at = Path::default().key("monitoring");
    let mut figures = Vec::new();
    for (index, name) in raw.scaling_metrics.unwrap_or_default().iter().enumerate() {
        figures.extend(figure(build, &at.key("scaling_metrics").index(index), name));
    }
    let alerts = raw.alerts.unwrap_or_default().into_iter().enumerate();
    let alerts = alerts.filter_map(|(index, raw)| alert(build, &at.key("alerts").index(index), raw));
    let alerts = alerts.collect();
    if let Some(topic) = raw.notify.as_ref().filter(|topic| !topic.starts_with("arn:")) {
        build.fault(&at.key("notify"), format!("must be the ARN of an SNS topic, not `{topic}`"));
    }
    Monitoring { figures, alerts, notify: raw.notify }
}

fn figure(build: &mut Build<'_>, at: &Path, name: &str) -> Option<Figure> {
    let found = FIGURES.iter().find(|(known, _)| *known == name).map(|(_, figure)| *figure);
    if found.is_none() {
        let near = suggestion(name, FIGURES.iter().map(|(known, _)| *known));
        build.fault(at, format!("there is no figure `{name}`{near}"));
    }
    found
}

fn alert(build: &mut Build<'_>, at: &Path, raw: raw::Alert) -> Option<Alert> {
    let condition_at = at.key("condition");
    let words: Vec<&str> = raw.condition.split_whitespace().collect();
    let [name, comparison, limit, unit @ ..] = words.as_slice() else {
        build.fault(&condition_at, EXPECTS);
        return None;
    };
    let comparison = match *comparison {
        ">" | ">=" => Some(Comparison::Above),
        "<" | "<=" => Some(Comparison::Below),
        _ => None,
    };
    let limit = limit.trim_end_matches('%').parse::<f64>().ok().filter(|limit| limit.is_finite());
    let factor = factor(&unit.join(" "));
    let (Some(comparison), Some(limit), Some(factor)) = (comparison, limit, factor) else {
        build.fault(&condition_at, EXPECTS);
        return None;
    };
    let figure = figure(build, &condition_at, name)?;
    Some(Alert { name: raw.name, figure, comparison, limit: limit * factor, action: raw.action })
}

const EXPECTS: &str =
    "must read like `scaling_events > 10 per hour` or `average_scaling_duration > 600 seconds`";

/// From the unit written to the unit of the figure: events an hour, seconds, percent.
fn factor(unit: &str) -> Option<f64> {
    match unit {
        "" | "per hour" | "second" | "seconds" | "s" | "%" | "percent" => Some(1.0),
        "per minute" | "minute" | "minutes" | "m" => Some(60.0),
        "per day" => Some(1.0 / 24.0),
        "hour" | "hours" | "h" => Some(3_600.0),
        _ => None,
    }
}
