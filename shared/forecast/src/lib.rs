//! Forecasting: models of time series, and quantiles of what comes next.
//!
//! It knows series, covariates and periods, and nothing of platforms, policies or what is kept between cycles. Pure, like
//! the core above it: no async, no AWS, no clock, no environment, no files. Time, chance and identity are arguments.

#![warn(missing_docs)]

mod band;
mod blend;
pub mod boost;
pub mod chance;
mod extra;
mod forecast;
mod frame;
pub mod lead;
mod linear;
mod members;
mod middle;
mod online;
mod pack;
mod pattern;
mod period;
mod prepare;
pub mod ratio;
mod season;
pub mod series;
pub mod statistics;
mod trained;
#[cfg(test)]
mod trained_tests;
mod trial;

pub use extra::{Context, EXTRAS_MAX, Extra};
pub use forecast::{Forecast, KNOWN_MIN, NoForecast, Peak, Quantile};
pub use pack::{MODEL_VERSION, NotAModel};
pub use pattern::Pattern;
pub use period::{Period, periods};
pub use season::forecast;
pub use trained::{NAME, RetrainReason, Trained};
pub use trial::Why;
