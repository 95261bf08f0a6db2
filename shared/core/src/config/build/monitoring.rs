//! What is told to people.

use std::time::Duration;

use super::Build;
use crate::config::path::Path;
use crate::config::raw;
use crate::name::GroupName;
use crate::platform::{Alert, Comparison, Figure, Group, Monitoring};
use crate::resource::Arn;
use crate::text::suggestion;

/// Names of figures as users write them.
const FIGURES: [(&str, Figure); 7] = [
    ("scaling_events", Figure::ScalingEvents),
    ("scaling_events_per_hour", Figure::ScalingEvents),
    ("average_scaling_duration", Figure::ScalingDuration),
    ("scaling_accuracy", Figure::ScalingAccuracy),
    ("scaling_accuracy_percentage", Figure::ScalingAccuracy),
    ("cost_optimization_achieved", Figure::CostOptimization),
    ("capacity_cost_per_hour", Figure::CapacityCost),
];

pub(super) fn monitoring(build: &mut Build<'_>, raw: raw::Monitoring, groups: &[Group]) -> Monitoring {
    let at = Path::default().key("monitoring");
    let figures = match raw.scaling_metrics {
        Some(names) => {
            let named = names.iter().enumerate();
            let at = at.key("scaling_metrics");
            named.filter_map(|(index, name)| figure(build, &at.index(index), name)).collect()
        }
        None => Figure::ALL.to_vec(),
    };
    let alerts = raw.alerts.unwrap_or_default().into_iter().enumerate();
    let alerts = alerts.filter_map(|(index, raw)| alert(build, &at.key("alerts").index(index), raw));
    let alerts = alerts.collect();
    if let Some(topic) = raw.notify.as_ref().filter(|topic| !is_topic(topic)) {
        build.fault(&at.key("notify"), format!("must be the ARN of an SNS topic, not `{topic}`"));
    }
    let named = raw.dimension_metrics.unwrap_or_default();
    let dimension_metrics = detailed(build, &at.key("dimension_metrics"), &named, groups);
    Monitoring { figures, alerts, notify: raw.notify, dimension_metrics }
}

/// Groups whose dimensions publish figures of their own, each once.
fn detailed(build: &mut Build<'_>, at: &Path, named: &[String], groups: &[Group]) -> Vec<GroupName> {
    let mut detailed: Vec<GroupName> = Vec::new();
    for (index, name) in named.iter().enumerate() {
        let Some(group) = groups.iter().find(|group| group.name.0 == *name) else {
            let near = suggestion(name, groups.iter().map(|group| group.name.0.as_str()));
            build.fault(&at.index(index), format!("there is no group `{name}`{near}"));
            continue;
        };
        if !detailed.contains(&group.name) {
            detailed.push(group.name.clone());
        }
    }
    detailed
}

/// Topics go by their ARN; a subscription's has one part more.
fn is_topic(text: &str) -> bool {
    Arn::read(text).is_some_and(|arn| arn.service == "sns" && !arn.resource.contains(':'))
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
        ">" => Some(Comparison::Above),
        ">=" => Some(Comparison::AtLeast),
        "<" => Some(Comparison::Below),
        "<=" => Some(Comparison::AtMost),
        _ => None,
    };
    let limit = limit.trim_end_matches('%').parse::<f64>().ok().filter(|limit| limit.is_finite());
    let (Some(comparison), Some(limit)) = (comparison, limit) else {
        build.fault(&condition_at, EXPECTS);
        return None;
    };
    let figure = figure(build, &condition_at, name)?;
    let Some((factor, window)) = scale(figure, &unit.join(" ")) else {
        build.fault(&condition_at, EXPECTS);
        return None;
    };
    if let Some(why) = figure.never_raised(comparison) {
        build.warn(&condition_at, format!("`{}` is never raised: {why}", raw.name));
    }
    Some(Alert { name: raw.name, figure, window, comparison, limit: limit * factor, action: raw.action })
}

const EXPECTS: &str =
    "must read like `scaling_events > 10 per hour` or `average_scaling_duration > 600 seconds`";

/// From the unit written to the unit of the figure, and over how long: events in some time, seconds, percent.
fn scale(figure: Figure, unit: &str) -> Option<(f64, Duration)> {
    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3_600);
    match (figure, unit) {
        (Figure::ScalingEvents, "" | "per hour") => Some((1.0, HOUR)),
        (Figure::ScalingEvents, "per minute") => Some((1.0, MINUTE)),
        (Figure::ScalingEvents, "per day") => Some((1.0, Alert::LOOK_BACK_MAX)),
        (Figure::ScalingDuration, "" | "second" | "seconds" | "s") => Some((1.0, HOUR)),
        (Figure::ScalingDuration, "minute" | "minutes" | "m") => Some((60.0, HOUR)),
        (Figure::ScalingDuration, "hour" | "hours" | "h") => Some((3_600.0, HOUR)),
        (Figure::ScalingAccuracy | Figure::CostOptimization, "" | "%" | "percent") => Some((1.0, HOUR)),
        (Figure::CapacityCost, "" | "per hour") => Some((1.0, HOUR)),
        _ => None,
    }
}
