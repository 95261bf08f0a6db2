//! Forecasts of a platform's metrics: histories, calendar and lead windows go into the models of `headroom_forecast`.

mod cycle;
mod lead;
mod metric;

pub use cycle::{ForecastUpdate, Models, TrainingBudget, forecast_metric};
pub(crate) use lead::lead_setting;
pub use metric::MetricForecast;

/// The levels a cycle stores: the band, the median, and what decisions ask for.
pub const LEVELS: [f64; 6] = [0.05, 0.5, 0.9, 0.95, 0.99, 0.999];

/// A history that ends longer ago says too little about now.
pub(crate) const STALE_S: i64 = 1_800;
