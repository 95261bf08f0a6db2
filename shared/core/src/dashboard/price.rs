//! What a platform's own metrics and its dashboard cost.

use std::fmt;

use crate::platform::Platform;
use crate::report::{CycleFigure, DimensionFigure};

/// A custom metric a month, of the first ten thousand: us-east-1, <https://aws.amazon.com/cloudwatch/pricing/>, November 2026. It is
/// billed by the hour in which it has values.
const METRIC_USD_MONTHLY: f64 = 0.30;
/// A dashboard a month, from the same page. The first three of an account with at most 50 metrics are free.
const DASHBOARD_USD_MONTHLY: f64 = 3.00;

/// What the metrics that a platform publishes cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// Metrics of the platform as a whole.
    pub of_platform: usize,
    /// Metrics of its dimensions, of groups that ask for them.
    pub of_dimensions: usize,
}

impl Price {
    /// Dollars a month, at list prices of us-east-1.
    pub fn usd_monthly(self) -> f64 {
        let metrics = u32::try_from(self.of_platform + self.of_dimensions).unwrap_or(u32::MAX);
        f64::from(metrics) * METRIC_USD_MONTHLY
    }
}

/// What the metrics of a platform cost.
pub fn price(platform: &Platform) -> Price {
    let mut figures = platform.monitoring.figures.clone();
    figures.sort_unstable();
    figures.dedup();
    let detailed = platform
        .dimensions()
        .filter(|place| platform.monitoring.dimension_metrics.contains(&place.group.name));
    Price {
        of_platform: CycleFigure::ALL.len() + figures.len(),
        of_dimensions: detailed.map(|place| DimensionFigure::of(place.dimension).count()).sum(),
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "CloudWatch bills {} metrics of the platform and {} of its dimensions: ${:.2} a month; a dashboard \
             is ${DASHBOARD_USD_MONTHLY:.2} more, or free among an account's first three if it has at most 50 metrics",
            self.of_platform,
            self.of_dimensions,
            self.usd_monthly()
        )
    }
}
