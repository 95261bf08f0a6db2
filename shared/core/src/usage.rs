//! What a cycle itself uses, counted where it happens, and what that costs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Counters by name. Calls are `Service:Operation`; everything else is one of the constants here.
///
/// The state machine adds these up by their names, so a counter is never an object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Usage(pub BTreeMap<String, f64>);

/// Metrics requested from CloudWatch: what GetMetricData is billed by.
pub const METRICS_REQUESTED: &str = "metrics_requested";
/// Read request units of DynamoDB tables.
pub const READ_UNITS: &str = "dynamodb_read_units";
/// Write request units of DynamoDB tables.
pub const WRITE_UNITS: &str = "dynamodb_write_units";
/// Invocations of functions.
pub const INVOCATIONS: &str = "lambda_invocations";
/// Memory times time of functions.
pub const GB_SECONDS: &str = "lambda_gb_seconds";
/// Transitions of the state machine.
pub const TRANSITIONS: &str = "state_transitions";

/// Dollars for one of each, list prices of us-east-1 on demand, November 2026 (arm64 for functions).
/// Calls without a price here are free.
const PRICES_USD: [(&str, f64); 6] = [
    (METRICS_REQUESTED, 0.01 / 1_000.0),
    (READ_UNITS, 0.125 / 1_000_000.0),
    (WRITE_UNITS, 0.625 / 1_000_000.0),
    (INVOCATIONS, 0.20 / 1_000_000.0),
    (GB_SECONDS, 0.000_013_333_4),
    (TRANSITIONS, 0.025 / 1_000.0),
];

impl Usage {
    /// Adds to a counter.
    pub fn add(&mut self, counter: &str, amount: f64) {
        *self.0.entry(counter.to_owned()).or_default() += amount;
    }

    /// Adds every counter of another.
    pub fn merge(&mut self, other: &Usage) {
        other.0.iter().for_each(|(counter, amount)| self.add(counter, *amount));
    }

    /// The number of calls to AWS.
    pub fn calls(&self) -> f64 {
        self.0.iter().filter(|(counter, _)| counter.contains(':')).map(|(_, amount)| amount).sum()
    }

    /// What it costs in dollars.
    pub fn cost_usd(&self) -> f64 {
        PRICES_USD.iter().filter_map(|(counter, price)| Some(self.0.get(*counter)? * price)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_and_priced() {
        let mut usage = Usage::default();
        usage.add("CloudWatch:GetMetricData", 1.0);
        usage.add("DynamoDB:PutItem", 3.0);
        usage.add(METRICS_REQUESTED, 500.0);
        let mut more = Usage::default();
        more.add("DynamoDB:PutItem", 2.0);
        more.add(TRANSITIONS, 11.0);
        usage.merge(&more);
        assert_eq!(usage.calls(), 6.0);
        assert!((usage.cost_usd() - (0.005 + 0.000_275)).abs() < 1e-12);
    }
}
