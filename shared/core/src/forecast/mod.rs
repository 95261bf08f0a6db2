//! Forecasts of a platform's metrics: histories, calendar and lead windows go into the models of `headroom_forecast`.

mod lead;
mod metric;
mod study;

pub(crate) use lead::lead_setting;
pub use metric::MetricForecast;
pub use study::{Models, Room, Studied, study};

/// The levels a cycle stores: the band, the median, and what decisions ask for.
pub const LEVELS: [f64; 6] = [0.05, 0.5, 0.9, 0.95, 0.99, 0.999];

/// A history that ends longer ago says too little about now.
pub(crate) const STALE_S: i64 = 1_800;
