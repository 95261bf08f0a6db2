//! The measured load: the units that carry it at its target.

use super::facts::{DemandFacts, MetricFacts};
use super::need::{DemandSource, Need, Needs, Pair};
use crate::observe::{Load, Observation};
use crate::platform::{Metric, Place};
use crate::reason::Reason;
use crate::units::Units;

/// What the measured load needs. Where there is a trusted forecast of the lead window the measured load decides nothing itself,
/// because that forecast was made from it.
pub(super) fn load(facts: &DemandFacts<'_>, metric: &MetricFacts<'_>) -> Needs {
    let Some(load) = metric.load.filter(|_| metric.metric.measure.is_foreseen()) else {
        return Needs::default();
    };
    let measure = &metric.metric.measure;
    let units = |load: f64, per_unit: f64| Units::at_least(load / per_unit);
    Needs {
        measured: measure.carried_per_unit().map(|per_unit| units(load.mean, per_unit)),
        at_target: measure.target_per_unit().map(|per_unit| units(load.peak, per_unit)),
        reactive: if metric.followed { at_target(metric, load, facts.rise) } else { None },
        ..Needs::default()
    }
}

/// A calendar event that lowers the expected load, such as a holiday, takes away no units that the measured load needs: the
/// load may not keep to the calendar.
pub(super) fn in_a_lull(facts: &DemandFacts<'_>, metric: &MetricFacts<'_>) -> Needs {
    let is_lull = facts.factor < 1.0 && metric.foreseen && !metric.followed;
    let load = metric.load.filter(|_| is_lull && metric.metric.measure.is_foreseen());
    Needs { reactive: load.and_then(|load| at_target(metric, load, facts.rise)), ..Needs::default() }
}

/// Units that carry `rise` times the load at its target.
fn at_target(metric: &MetricFacts<'_>, load: &Load, rise: f64) -> Option<Pair> {
    let per_unit = metric.metric.measure.target_per_unit()?;
    let need = |load: f64| {
        let load = load * rise;
        let needed = Units::at_least(load / per_unit);
        let reason = Reason::MeasuredLoad { metric: metric.metric.name.clone(), load, per_unit, needed };
        Need { units: needed, source: DemandSource::Reactive, reason }
    };
    Some(Pair { out: need(load.mean), keep: need(load.peak) })
}

/// Units that carry the newest measured load, at `per_unit` each; `None` while a metric is unknown. A backlog does not count where
/// arrivals are measured too: it shows that there were too few units earlier, not how many are needed now.
pub fn measured_units(
    place: Place<'_>,
    observation: &Observation,
    per_unit: impl Fn(&Metric) -> Option<f64>,
) -> Option<Units> {
    let mut largest = None;
    let is_left_over =
        |metric: &Metric| !metric.measure.is_foreseen() && place.dimension.arrivals().is_some();
    for metric in place.dimension.metrics.iter().filter(|metric| !is_left_over(metric)) {
        let Some(per_unit) = per_unit(metric) else { continue };
        let load = observation.load(&metric.name)?.mean;
        largest = largest.max(Some(Units::at_least(load / per_unit)));
    }
    largest
}
