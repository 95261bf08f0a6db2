//! Forecasts of the metrics of a platform: histories, calendar and lead windows as input to the models of
//! `headroom_forecast`.

mod lead;
mod metric;
mod objective_feedback;
mod update;

pub(crate) use lead::lead_setting;
pub use metric::MetricForecast;
pub use objective_feedback::ObjectiveFeedback;
pub use update::{ForecastUpdate, Models, TrainingBudget, forecast_metric};

/// The levels of forecasts that a cycle stores: a 90 % band, the median, and the levels that decisions use.
pub const LEVELS: [f64; 6] = [0.05, 0.5, 0.9, 0.95, 0.99, 0.999];

/// A history that ends longer ago is too old for a forecast.
pub(crate) const STALE_S: i64 = 1_800;
