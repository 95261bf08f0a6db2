//! All thinking of Headroom: configuration, forecasts, decisions, plans.
//!
//! Pure: no async, no AWS, no clock, no environment, no files. Time, chance and identity are arguments.

#![warn(missing_docs)]

pub mod config;
pub mod name;
pub mod order;
pub mod platform;
pub mod units;
