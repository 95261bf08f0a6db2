//! Forecasting: models of time series, and quantiles of what comes next.
//!
//! It knows series, covariates and periods, and nothing of platforms, policies or what is kept between cycles. Pure, like
//! the core above it: no async, no AWS, no clock, no environment, no files. Time, chance and identity are arguments.

#![warn(missing_docs)]

mod boosting;
pub mod chance;
mod codec;
pub mod ensemble;
mod forecast;
pub mod lead_window;
mod pattern;
mod period;
pub mod ratio;
pub mod seasonal_naive;
pub mod series;
pub mod statistics;

pub use codec::NotAModel;
pub use forecast::{Forecast, KNOWN_MIN, NoForecast, Peak, Quantile};
pub use pattern::Pattern;
pub use period::{Period, periods};
