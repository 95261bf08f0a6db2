//! The dashboard of a platform in CloudWatch: what is drawn, from its file alone.
//!
//! Of our own metrics it draws only those that are published: their names come from where they are published.

mod cycles;
mod groups;
mod price;
#[cfg(test)]
mod tests;
mod widget;

use serde_json::{Value as Json, json};

pub use price::{Price, price};
use widget::Widget;

use crate::platform::Platform;

/// The widgets that CloudWatch takes on a dashboard: "Dashboard Body Structure and Syntax" in the CloudWatch user guide.
pub const WIDGETS_MAX: usize = 500;
/// The metrics that it takes in one widget: CloudWatch user guide, "CloudWatch service quotas", Dashboards.
pub const WIDGET_METRICS_MAX: usize = 500;
/// The metrics that it takes on a dashboard, over all widgets: the same page.
pub const METRICS_MAX: usize = 2_500;
/// The longest value of a stack's parameter in bytes: CloudFormation user guide, "CloudFormation quotas".
pub const PARAMETER_BYTES_MAX: usize = 4_096;

/// A dashboard, ready to be published.
#[derive(Clone, Debug, PartialEq)]
pub struct Dashboard {
    /// Its name in CloudWatch, one for each platform.
    pub name: String,
    /// Its body, as CloudWatch takes it.
    pub body: Json,
    /// How many widgets did not fit into CloudWatch's limits.
    pub left_out: usize,
}

/// The name of a platform's dashboard.
pub fn name(platform: &Platform) -> String {
    format!("headroom-{}", platform.name)
}

/// The dashboard of a platform whose stack is in a region. The most important comes first, and what does not fit is left out.
pub fn dashboard(platform: &Platform, region: &str) -> Dashboard {
    let wanted = cycles::widgets(platform).into_iter().chain(groups::widgets(platform));
    let (mut widgets, mut left_out) = (vec![head(platform)], 0);
    let mut metrics = 0;
    for widget in wanted {
        // One place is kept for the widget that says what is missing.
        let fits = widgets.len() + 1 < WIDGETS_MAX
            && widget.metrics() <= WIDGET_METRICS_MAX
            && metrics + widget.metrics() <= METRICS_MAX;
        if fits {
            metrics += widget.metrics();
            widgets.push(widget);
        } else {
            left_out += 1;
        }
    }
    if 0 < left_out {
        widgets
            .push(Widget::text(format!("{left_out} more widgets do not fit into CloudWatch's limits."), 1));
    }
    let period_s = period_s(platform);
    let body = json!({
        "start": "-PT12H",
        "periodOverride": "inherit",
        "widgets": widget::laid_out(&widgets, region, period_s),
    });
    Dashboard { name: name(platform), body, left_out }
}

/// The period of its graphs: a cycle, in whole minutes, so that every cycle is a point.
fn period_s(platform: &Platform) -> u64 {
    const MINUTE_S: u64 = 60;
    platform.orchestration.cycle.as_secs().div_ceil(MINUTE_S).max(1) * MINUTE_S
}

fn head(platform: &Platform) -> Widget {
    let objective = platform.objective.as_ref().map(|objective| format!("\n{objective}")).unwrap_or_default();
    Widget::text(
        format!("# {}\nMade by `headroom dashboard`; the next one replaces it.{objective}", platform.name),
        2,
    )
}
