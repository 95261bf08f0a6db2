//! What is drawn of each tier: its dimensions as Headroom sees them, where they publish figures, and what AWS publishes of its
//! resources.

use super::widget::{Line, Widget};
use crate::platform::{Dimension, Group, Platform, Query, Rate, Resource};
use crate::report::{DIMENSION, DimensionFigure, NAMESPACE, PLATFORM, foreseen};

/// In the order in which the tiers scale out.
pub(super) fn widgets(platform: &Platform) -> Vec<Widget> {
    let layers = platform.orchestration.layers.iter().flatten();
    let groups = layers.filter_map(|name| platform.groups.iter().find(|group| group.name == *name));
    groups.flat_map(|group| of_group(platform, group)).collect()
}

fn of_group(platform: &Platform, group: &Group) -> Vec<Widget> {
    let is_detailed = platform.monitoring.dimension_metrics.contains(&group.name);
    let hint = if is_detailed {
        String::new()
    } else {
        format!(
            "\nLoad, forecast and units are drawn of groups that `monitoring.dimension_metrics` names; it does not name {}.",
            group.name
        )
    };
    let mut widgets = vec![Widget::text(format!("## {}{hint}", group.name), 1 + usize::from(!is_detailed))];
    if is_detailed {
        let dimensions = group.resources.iter().flat_map(|resource| &resource.dimensions);
        let served = dimensions.filter(|dimension| dimension.facts.is_served);
        widgets.extend(served.flat_map(|dimension| of_dimension(platform, dimension)));
        widgets.push(by_reason(platform, group));
    }
    widgets.extend(group.resources.iter().filter_map(native));
    widgets
}

fn of_dimension(platform: &Platform, dimension: &Dimension) -> Vec<Widget> {
    const HALF: usize = 8;
    let key = dimension.key.to_string();
    let line = |figure: DimensionFigure, statistic: &str, label: &str| {
        Line::metric(
            &[NAMESPACE, figure.name(), PLATFORM, &platform.name.0, DIMENSION, &key],
            statistic,
            label,
        )
    };
    let mean = |figure: DimensionFigure, label: &str| line(figure, "Average", label);
    let mut units = vec![
        mean(DimensionFigure::UnitsNeeded, "needed"),
        mean(DimensionFigure::UnitsWanted, "wanted"),
        mean(DimensionFigure::UnitsSet, "set"),
        mean(DimensionFigure::UnitsReady, "ready"),
    ];
    let Some(metric) = foreseen(dimension) else {
        return vec![Widget::graph(format!("{key}: units"), HALF, units).bounded(0.0, None)];
    };
    units.push(line(DimensionFigure::ShortMinutes, "Sum", "short minutes").right());
    let load = vec![
        mean(DimensionFigure::Load, "load").id("load"),
        mean(DimensionFigure::ForecastHigh, "95 % of forecast").id("high"),
        mean(DimensionFigure::ForecastMiddle, "middle of forecast").id("middle"),
        mean(DimensionFigure::ForecastLow, "5 % of forecast").id("low"),
    ];
    let judged = load.iter().cloned().map(Line::hidden).chain([
        Line::computed("100*ABS(load-middle)/middle".to_owned(), "error, % of the middle"),
        Line::computed("100*(load>=low)*(load<=high)".to_owned(), "within the 90 % band, %"),
    ]);
    vec![
        Widget::graph(format!("{key}: load ({})", metric.name), HALF, load.clone()).bounded(0.0, None),
        Widget::graph(format!("{key}: units"), HALF, units).bounded(0.0, None),
        Widget::graph(format!("{key}: forecast error and coverage"), HALF, judged.collect())
            .bounded(0.0, None),
    ]
}

/// The log group of the function that decides, which the template makes.
fn log_group(platform: &Platform) -> String {
    format!("/headroom/{}/decide", platform.name)
}

fn by_reason(platform: &Platform, group: &Group) -> Widget {
    const WIDTH: usize = 24;
    let query = format!(
        "SOURCE '{}' | filter ispresent(Reason) and Group = '{}' | stats count(*) as Decisions by Dimension, Change, Reason | sort Decisions desc | limit 30",
        log_group(platform),
        group.name,
    );
    Widget::log(format!("{}: decisions by reason", group.name), WIDTH, query)
}

/// What AWS publishes of a resource, or the operator where Headroom reads it: each metric once.
fn native(resource: &Resource) -> Option<Widget> {
    const WIDTH: usize = 12;
    let mut queries: Vec<&Query> = Vec::new();
    for dimension in &resource.dimensions {
        let measured = dimension.metrics.iter().filter_map(|metric| metric.query.as_ref());
        // Which load balancer stands before it is found when a cycle runs.
        let measured = measured.filter(|query| query.in_front_of.is_none());
        let shown = dimension.facts.shown.iter().chain(&dimension.facts.past_capacity);
        for query in measured.chain(shown) {
            if !queries.iter().any(|known| known.line() == query.line()) {
                queries.push(query);
            }
        }
    }
    let lines: Vec<Line> = queries.iter().zip(1..).flat_map(|(query, number)| drawn(query, number)).collect();
    let title = format!("{} ({})", resource.id, resource.kind.type_name());
    (!lines.is_empty()).then(|| Widget::graph(title, WIDTH, lines).bounded(0.0, None))
}

/// A metric as it is, or what it counts by the minute or the second.
fn drawn(query: &Query, number: usize) -> Vec<Line> {
    let dimensions = query.dimensions.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    let path: Vec<&str> =
        [query.namespace.as_str(), query.metric_name.as_str()].into_iter().chain(dimensions).collect();
    let what = format!("{} {}", query.metric_name, query.statistic);
    let line = Line::metric(&path, &query.statistic, &what);
    let id = format!("m{number}");
    let computed = match query.rate {
        Rate::Level | Rate::LeftOfGib => return vec![line],
        Rate::PerMinute => (format!("60*{id}/PERIOD({id})"), "a minute"),
        Rate::PerSecond => (format!("{id}/PERIOD({id})"), "a second"),
    };
    let label = format!("{} {}", query.metric_name, computed.1);
    vec![line.id(&id).hidden(), Line::computed(computed.0, &label)]
}
