//! Circuit breakers: changes of a resource that keep failing are not tried again at once.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::platform::Guardrails;

/// A resource's circuit breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    /// Failures since the last success.
    pub failures: u32,
    /// When the last of them was.
    pub failed_at: Option<Timestamp>,
}

/// Whether a breaker lets changes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// It does.
    Closed,
    /// It does not, until then.
    Open {
        /// When a trial is due.
        until: Timestamp,
    },
    /// It lets one unit through, to see whether that works.
    HalfOpen,
}

impl Breaker {
    /// Whether it lets changes through at `now`.
    pub fn state(self, guardrails: &Guardrails, now: Timestamp) -> BreakerState {
        let Some(failed_at) = self.failed_at.filter(|_| guardrails.breaker_failures.max(1) <= self.failures)
        else {
            return BreakerState::Closed;
        };
        let until = failed_at.checked_add(guardrails.breaker_open).unwrap_or(Timestamp::MAX);
        if now < until { BreakerState::Open { until } } else { BreakerState::HalfOpen }
    }
}
