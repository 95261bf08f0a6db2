//! What Headroom itself would cost for a platform.

use serde::Serialize;

use crate::collect::metric_requests;
use crate::dashboard::price;
use crate::platform::Platform;
use crate::units::DAY_S;
use crate::usage::{INVOCATIONS, METRICS_REQUESTED, TRANSITIONS, Usage};

/// Days of a month on the bill, as in the README.
const DAYS: i64 = 30;
/// State transitions and invocations of a quiet cycle: README, "What it costs".
const QUIET: [(&str, f64); 2] = [(TRANSITIONS, 11.0), (INVOCATIONS, 4.0)];
/// The stack's five alarms, and the key that its topic is encrypted with.
const STACK_USD: f64 = 0.50 + 1.00;

/// Dollars a month, at list prices of us-east-1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bill {
    /// Transitions, invocations and metrics read of quiet cycles.
    pub cycles_usd: f64,
    /// Custom metrics that it publishes.
    pub metrics_usd: f64,
    /// Alarms, and the key of the topic.
    pub stack_usd: f64,
}

impl Bill {
    /// All of it.
    pub fn total_usd(self) -> f64 {
        self.cycles_usd + self.metrics_usd + self.stack_usd
    }
}

/// What a platform would cost, as far as that does not depend on what happens: no plans, no logs, no tables.
pub fn bill(platform: &Platform) -> Bill {
    let cycle_s = platform.orchestration.cycle.as_secs_f64().max(1.0);
    let cycles = i32::try_from(DAYS * DAY_S).map_or(0.0, f64::from) / cycle_s;
    let mut usage = Usage::default();
    QUIET.iter().for_each(|(counter, amount)| usage.add(counter, amount * cycles));
    let requests = u32::try_from(metric_requests(platform).len()).map_or(0.0, f64::from);
    usage.add(METRICS_REQUESTED, requests * cycles);
    Bill { cycles_usd: usage.cost_usd(), metrics_usd: price(platform).usd_monthly(), stack_usd: STACK_USD }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    #[test]
    fn the_bill_of_the_shop_is_the_one_in_the_readme() {
        let platform = parse(include_str!("../../../../examples/shop/platform.yaml")).unwrap().platform;
        let bill = bill(&platform);
        // $2.38 for transitions, four metrics of $0.09 each, and less than a cent for invocations.
        assert!((bill.cycles_usd - (2.376 + 4.0 * 0.0864 + 0.0069)).abs() < 0.001, "{bill:?}");
        assert!((bill.metrics_usd - 4.80).abs() < 1e-9, "{bill:?}");
        assert!((bill.total_usd() - 9.028).abs() < 0.001, "{bill:?}");
    }
}
