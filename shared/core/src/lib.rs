//! All thinking of Headroom: configuration, forecasts, decisions, plans.
//!
//! Pure: no async, no AWS, no clock, no environment, no files. Time, chance and identity are arguments.

#![warn(missing_docs)]

pub mod adopt;
pub mod alert;
pub mod calendar;
pub mod collect;
pub mod config;
pub mod cycle;
pub mod dashboard;
pub mod decide;
pub mod demand;
pub mod forecast;
pub mod health;
pub mod history;
pub mod iam;
pub mod journal;
pub mod learning;
pub mod lease;
pub mod name;
pub mod observe;
pub mod order;
pub mod pilot;
pub mod plan;
pub mod platform;
pub mod policies;
pub mod reason;
pub mod report;
pub mod resource;
pub mod rollback;
pub mod scalar;
pub mod settle;
pub mod simulate;
pub mod state;
pub mod text;
pub mod trigger;
pub mod units;
pub mod usage;
pub mod world;

/// Series and seeded numbers are part of the types of this crate, so whoever uses it finds them here.
pub use headroom_forecast::{chance, series};
