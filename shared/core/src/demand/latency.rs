//! Latency: it shows that there are too few units, but neither how many are missing nor that there are too many.

use super::facts::{DemandFacts, MetricFacts};
use super::need::{DemandSource, Need, Needs, Pair};
use crate::observe::{Capacity, Load};
use crate::platform::Measure;
use crate::reason::Reason;
use crate::units::Units;

/// More units while latency is above its limit: the more, the further and the longer it is.
pub(super) fn limit(facts: &DemandFacts<'_>, metric: &MetricFacts<'_>) -> Needs {
    let (Measure::Latency { limit }, Some(load)) = (&metric.metric.measure, metric.load) else {
        return Needs::default();
    };
    if load.mean <= *limit {
        return Needs::default();
    }
    let units = stepped(facts.capacity, load, *limit);
    let (metric, value, over_s) = (metric.metric.name.clone(), load.mean, load.over_s);
    let reason = Reason::Latency { metric, value, limit: *limit, over_s, needed: Some(units) };
    let need = Need { units, source: DemandSource::Reactive, reason };
    Needs { asked: Some(units), reactive: Some(Pair::both(need)), ..Needs::default() }
}

/// At twice the limit a quarter more than is ready, for every five minutes that it lasts; at a tenth above it a fortieth.
///
/// Where work waits for a free unit, latency grows much faster than the load: units that are busy to 80 % at the limit are busy
/// to 90 % at twice it, so an eighth more is enough. A quarter leaves room for loads that are less regular. What was ordered
/// before and is not ready yet counts as part of the step, so steps do not pile up while units start; at least one is added.
fn stepped(capacity: &Capacity, load: &Load, limit: f64) -> Units {
    const SHARE_AT_TWICE: f64 = 0.25;
    /// Further than this latency tells that work piles up, and no longer how much.
    const EXCESS_MAX: f64 = 1.0;
    const LASTS_S: f64 = 300.0;
    /// So long does a cycle look back at least. A longer latency above the limit is not helped by more of the same.
    const TIMES_MAX: f64 = 4.0;
    let excess = if 0.0 < limit { (load.mean / limit - 1.0).min(EXCESS_MAX) } else { EXCESS_MAX };
    let times = (f64::from(load.over_s) / LASTS_S).clamp(1.0, TIMES_MAX);
    let ready = capacity.ready.real();
    let step = Units::at_least(ready * (1.0 + SHARE_AT_TWICE * excess * times));
    step.max(Units(capacity.set.0.saturating_add(1)))
}
