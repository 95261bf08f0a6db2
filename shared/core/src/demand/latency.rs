//! Latency: it shows that there are too few units, but neither how many are missing nor that there are too many.

use super::facts::{DemandFacts, MetricFacts};
use super::need::{DemandSource, Need, Needs, Pair};
use crate::platform::Measure;
use crate::reason::Reason;
use crate::units::Units;

/// One unit more while latency is above its limit.
pub(super) fn limit(facts: &DemandFacts<'_>, metric: &MetricFacts<'_>) -> Needs {
    let (Measure::Latency { limit }, Some(load)) = (&metric.metric.measure, metric.load) else {
        return Needs::default();
    };
    if load.mean <= *limit {
        return Needs::default();
    }
    let units = Units(facts.capacity.set.0.saturating_add(1));
    let reason = Reason::Latency { metric: metric.metric.name.clone(), value: load.mean, limit: *limit };
    let need = Need { units, source: DemandSource::Reactive, reason };
    Needs { reactive: Some(Pair::both(need)), ..Needs::default() }
}
