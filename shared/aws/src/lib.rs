//! All doing of Headroom: the only crate that names an AWS SDK.
//!
//! Adapters are straight lines from a domain verb to a call and back. What they decide, they decide nothing:
//! thinking is `headroom-core`'s.

#![warn(missing_docs)]

pub mod config_source;
pub mod configs;
pub mod dashboards;
#[cfg(any(test, feature = "discovery"))]
pub mod discovery;
pub mod error;
pub mod executions;
pub mod failure;
#[cfg(any(test, feature = "fakes"))]
pub mod fakes;
pub mod figures;
pub mod fleet;
pub mod in_front;
#[cfg(feature = "lambda")]
pub mod lambda;
pub mod meter;
pub mod metrics;
pub mod native_policies;
pub mod notices;
pub mod past;
pub mod probes;
pub mod sdk;
pub mod store;
pub mod table;
pub mod time_left;
#[cfg(feature = "lambda")]
pub mod trigger;
