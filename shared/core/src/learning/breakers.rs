//! How outcomes of changes open and close circuit breakers.

use jiff::Timestamp;

use crate::state::Breaker;

impl Breaker {
    /// The breaker after a change worked or failed. A failure that is told twice counts once.
    #[must_use]
    pub fn after(self, worked: bool, at: Timestamp) -> Breaker {
        match (worked, self.failed_at) {
            (true, _) => Breaker::default(),
            (false, Some(failed_at)) if at <= failed_at => self,
            (false, _) => Breaker { failures: self.failures.saturating_add(1), failed_at: Some(at) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;
    use crate::state::BreakerState;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_breaker_opens_tries_and_closes() {
        let text = "configuration_name: shop
scaling_groups:
  web: {resources: [{type: ECS_SERVICE, name: web, min_capacity: 1, max_capacity: 9}]}
guardrails: {circuit_breaker: {failures: 2, open_for: 10m}}
";
        let guardrails = &parse(text).unwrap().platform.guardrails;
        let once = Breaker::default().after(false, at(0));
        assert_eq!(once.state(guardrails, at(1)), BreakerState::Closed);
        assert_eq!(once.after(false, at(0)), once, "told twice");
        let twice = once.after(false, at(60));
        assert_eq!(twice.state(guardrails, at(61)), BreakerState::Open { until: at(660) });
        assert_eq!(twice.state(guardrails, at(660)), BreakerState::HalfOpen);
        let again = twice.after(false, at(700));
        assert_eq!(again.state(guardrails, at(701)), BreakerState::Open { until: at(1_300) });
        assert_eq!(twice.after(true, at(700)).state(guardrails, at(701)), BreakerState::Closed);
    }
}
