//! Whether the kind of a metric fits what AWS says that its values are. A kind that does not fit scales, and wrongly: what
//! is divided by the units already falls with every unit, and as a load it takes them away again.

use super::Build;
use crate::config::aws_metrics::{Nature, Page, known};
use crate::config::path::Path;
use crate::resource::{MetricKind, MetricSchema, Query};

/// What is wrong with a kind, and how much it matters.
enum Misfit {
    /// It would scale wrongly.
    Wrong(String),
    /// It works, and another kind works better.
    Poor(String),
}

/// Reports a kind, a statistic or a target that does not fit the metric.
pub(super) fn check(build: &mut Build<'_>, at: &Path, raw: &MetricSchema, query: &Query) {
    let Some((nature, page)) = known(&query.namespace, &query.metric_name) else { return };
    let single = page.is_of_one(query.dimensions.keys().map(String::as_str));
    let told = |sentence: String| {
        let Page { source, .. } = page;
        format!("`{}` {sentence}; see {source}", query.metric_name)
    };
    match misfit(raw, nature, &query.statistic, single) {
        Some(Misfit::Wrong(sentence)) => build.fault(&at.key("kind"), told(sentence)),
        Some(Misfit::Poor(sentence)) => build.warn(&at.key("kind"), told(sentence)),
        None => (),
    }
}

/// Whether the values are what one unit has, so that they fall as units are added and nothing says when all are busy.
pub(super) fn is_of_a_unit(query: &Query) -> bool {
    let nature = known(&query.namespace, &query.metric_name).map(|(nature, _)| nature);
    matches!(nature, Some(Nature::CountPerUnit | Nature::PerUnit | Nature::OfOneUnit))
}

fn misfit(raw: &MetricSchema, nature: Nature, statistic: &str, single: bool) -> Option<Misfit> {
    match raw.kind {
        MetricKind::Load => load(nature, statistic, single),
        MetricKind::Utilization => utilization(nature, statistic, single, raw.target_value),
        MetricKind::QueueDepth => queue(nature),
        // A guard may watch anything that should not pass a value.
        MetricKind::Latency => None,
    }
}

/// What is neither `Sum` nor `SampleCount` says what one sample has.
fn is_of_a_sample(statistic: &str) -> bool {
    !matches!(statistic, "Sum" | "SampleCount")
}

fn load(nature: Nature, statistic: &str, single: bool) -> Option<Misfit> {
    let sentence = match nature {
        Nature::OfOneUnit if single => return None,
        Nature::OfOneUnit if statistic == "SampleCount" => {
            "is published by every unit, so `SampleCount` counts the units and not their work; write `statistic: Sum`"
                .to_owned()
        }
        Nature::OfOneUnit if is_of_a_sample(statistic) => format!(
            "is published by every unit, so by `{statistic}` it is what one unit has and falls as units are added; write \
             `statistic: Sum` for what all have together, or `kind: utilization` with `target_value`, what one should have"
        ),
        Nature::Count if is_of_a_sample(statistic) => format!(
            "has a sample for every event, so by `{statistic}` it does not say how many there were; write `statistic: Sum`"
        ),
        Nature::Level if !is_of_a_sample(statistic) => {
            let sentence = format!(
                "is a level, and by `{statistic}` it grows with the number of its samples; write `statistic: Maximum`"
            );
            return Some(Misfit::Poor(sentence));
        }
        Nature::Backlog => {
            let sentence = "is work that waits, which earlier capacity left over; write `kind: queue_depth`, and what \
                arrives as `load`";
            return Some(Misfit::Poor(sentence.to_owned()));
        }
        Nature::OfOneUnit | Nature::Count | Nature::Level => return None,
        // Where every request has a sample, their number is a load.
        Nature::Time if statistic == "SampleCount" => return None,
        other => never_load(other)?,
    };
    Some(Misfit::Wrong(sentence))
}

/// Why values of this nature are no work that arrives, by any statistic.
fn never_load(nature: Nature) -> Option<String> {
    let sentence = match nature {
        Nature::Percent => {
            "is a percentage that falls as units are added; write `kind: utilization` with `target_value`, the percent to keep"
        }
        Nature::Share => {
            "is a share from 0 to 1 that falls as units are added; write `kind: utilization` with `target_value`, the share \
             to keep, such as 0.7"
        }
        Nature::CountPerUnit => {
            "is divided by the units already and falls as units are added; write `kind: utilization` with `statistic: Sum` \
             and `target_value`, what one unit should have of it a minute"
        }
        Nature::PerUnit => {
            "is divided by the units already and falls as units are added; write `kind: utilization` with `target_value`, \
             what one unit should have of it"
        }
        Nature::Time => {
            "is how long something takes, and not how much arrives; write `kind: latency` with `target_value`, the value not \
             to pass, beside a load"
        }
        Nature::Capacity => {
            "is the capacity itself, which follows what is set; name a metric of the work that the capacity does"
        }
        Nature::OfOneUnit | Nature::Count | Nature::Level | Nature::Backlog => return None,
    };
    Some(sentence.to_owned())
}

/// A utilisation is multiplied by the units: what does not fall as they are added would ask for more without end.
fn utilization(nature: Nature, statistic: &str, single: bool, target: Option<f64>) -> Option<Misfit> {
    /// A share above this is a percentage.
    const SHARE_MAX: f64 = 1.0;
    let sentence = match nature {
        Nature::Percent | Nature::Share if !is_of_a_sample(statistic) => format!(
            "is a part of the whole, and by `{statistic}` it grows with the number of its samples; write `statistic: Average`"
        ),
        Nature::Share if target.is_some_and(|target| SHARE_MAX < target) => {
            "is a share from 0 to 1; write `target_value` as a share, such as 0.7".to_owned()
        }
        Nature::CountPerUnit if statistic != "Sum" => {
            format!("is given by `Sum` only, and not by `{statistic}`; write `statistic: Sum`")
        }
        Nature::OfOneUnit if !single && !is_of_a_sample(statistic) => format!(
            "by `{statistic}` is what all units have together, and a utilisation is multiplied by the units once more; write \
             `statistic: Average`, or `kind: load` with `target_per_unit`"
        ),
        Nature::Count | Nature::Level => {
            "is that of all units together, and a utilisation is multiplied by the units once more, so that every unit added \
             asks for the next; write `kind: load` with `target_per_unit`"
                .to_owned()
        }
        Nature::Backlog => {
            "is work that waits for all units together; write `kind: queue_depth` with `target_per_unit`".to_owned()
        }
        Nature::Time | Nature::Capacity => never_load(nature)?,
        Nature::Percent | Nature::Share | Nature::CountPerUnit | Nature::PerUnit | Nature::OfOneUnit => return None,
    };
    Some(Misfit::Wrong(sentence))
}

fn queue(nature: Nature) -> Option<Misfit> {
    match nature {
        Nature::Count => {
            let sentence = "counts what arrives or is done, and not what waits; write `kind: load`";
            Some(Misfit::Poor(sentence.to_owned()))
        }
        other => never_load(other).map(Misfit::Wrong),
    }
}
