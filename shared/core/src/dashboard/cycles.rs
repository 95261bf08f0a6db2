//! What is drawn of the platform as a whole: its cycles, their bill, and what the scaling achieves.

use super::widget::{Line, Widget};
use crate::platform::{Figure, Platform};
use crate::report::{CycleFigure, NAMESPACE, PLATFORM, monitored_name};

pub(super) fn widgets(platform: &Platform) -> Vec<Widget> {
    let of = |name: &str, statistic: &str, label: &str| {
        Line::metric(&[NAMESPACE, name, PLATFORM, &platform.name.0], statistic, label)
    };
    let figure = |figure: CycleFigure, statistic: &str, label: &str| of(figure.name(), statistic, label);
    let asked = |wanted: Figure, label: &str| {
        let is_published = platform.monitoring.figures.contains(&wanted);
        is_published.then(|| of(monitored_name(wanted).0, "Average", label))
    };
    let sum = |each: &[(CycleFigure, &str)]| -> Vec<Line> {
        each.iter().map(|(one, label)| figure(*one, "Sum", label)).collect()
    };
    let currency = &platform.guardrails.budget.currency;
    let cost = asked(Figure::CapacityCost, &format!("capacity, {currency} an hour"));
    let saved =
        asked(Figure::CostOptimization, "saved this month, % of the largest capacity").map(Line::right);
    let events = asked(Figure::ScalingEvents, "steps in an hour");
    let duration = asked(Figure::ScalingDuration, "seconds of a step").map(Line::right);
    let graphs = [
        graph(
            "Cycles",
            sum(&[
                (CycleFigure::CyclesSucceeded, "succeeded"),
                (CycleFigure::CyclesFailed, "failed"),
                (CycleFigure::NeedsHuman, "a person must look"),
            ]),
        ),
        graph(
            "Cycle time, seconds",
            vec![
                figure(CycleFigure::CycleSeconds, "Average", "mean"),
                figure(CycleFigure::CycleSeconds, "Maximum", "longest"),
            ],
        ),
        graph(
            "Bill of the cycles",
            vec![
                figure(CycleFigure::CostUsd, "Sum", "USD"),
                figure(CycleFigure::AwsCalls, "Sum", "AWS calls").right(),
            ],
        ),
        graph(
            "Steps",
            sum(&[
                (CycleFigure::StepsDone, "done"),
                (CycleFigure::StepsRefused, "refused"),
                (CycleFigure::StepsSkipped, "skipped"),
                (CycleFigure::StepsUndone, "rolled back"),
                (CycleFigure::StepsLeft, "left"),
            ]),
        ),
        graph("Cost and savings", [cost, saved].into_iter().flatten().collect()),
        graph("Scaling", [events, duration].into_iter().flatten().collect()),
        graph(
            "Loads within their forecast's 90 % band, % of seven days",
            asked(Figure::ScalingAccuracy, "within").into_iter().collect(),
        )
        .bounded(0.0, Some(100.0)),
    ];
    graphs.into_iter().filter(|graph| 0 < graph.metrics()).collect()
}

fn graph(title: &str, lines: Vec<Line>) -> Widget {
    const WIDTH: usize = 8;
    Widget::graph(title, WIDTH, lines).bounded(0.0, None)
}
