//! Calibration: earlier forecasts and decisions compared with the load that came.
//!
//! Once an hour the decisions that were made about a lead window ago are compared with what is seen now. That works in the
//! phase `observe` too: what would have been decided is recorded there like everywhere.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::decide::Decision;
use crate::demand::{DemandSource, measured_units};
use crate::name::DimensionKey;
use crate::observe::Observation;
use crate::platform::{Place, Platform};
use crate::state::{Calibration, Tally};
use crate::units::{DAY_S, Units};

/// Days that evidence counts: a week has every kind of day in it.
const DAYS: i64 = 7;

impl Calibration {
    /// With decisions made earlier held against what is seen now, and without what is too old to count.
    #[must_use]
    pub fn after(
        &self,
        platform: &Platform,
        then: &[Decision],
        observations: &BTreeMap<DimensionKey, Observation>,
        now: Timestamp,
    ) -> Calibration {
        let today = now.as_second().div_euclid(DAY_S);
        let mut days: Vec<Tally> =
            self.0.iter().filter(|tally| (today - DAYS + 1..=today).contains(&tally.day)).copied().collect();
        if days.last().is_none_or(|tally| tally.day != today) {
            days.push(Tally { day: today, ..Tally::default() });
        }
        let places: BTreeMap<&DimensionKey, Place<'_>> =
            platform.dimensions().map(|place| (&place.dimension.key, place)).collect();
        if let Some(tally) = days.last_mut() {
            for decision in then {
                let found = places.get(&decision.key).zip(observations.get(&decision.key));
                if let Some((place, observation)) = found {
                    judge(tally, decision, observation);
                    compare(tally, decision, *place, observation);
                }
            }
        }
        Calibration(days)
    }
}

/// Whether the loads that came lie where they were expected.
fn judge(tally: &mut Tally, decision: &Decision, observation: &Observation) {
    for expected in &decision.expected {
        let Some(load) = observation.load(&expected.metric) else { continue };
        tally.judged = tally.judged.saturating_add(1);
        if expected.high < load.mean {
            tally.above = tally.above.saturating_add(1);
        } else if expected.low <= load.mean {
            tally.inside = tally.inside.saturating_add(1);
        }
    }
}

/// Whether the units that were wanted carry the load that came, and what following the measured load would have had.
fn compare(tally: &mut Tally, decision: &Decision, place: Place<'_>, observation: &Observation) {
    /// A dimension that is nearly idle must not outweigh all others.
    const IDLE_MAX: f64 = 10.0;
    // What a person or the calendar wanted says nothing about forecasts.
    if matches!(decision.source, Some(DemandSource::Manual | DemandSource::Scheduled)) {
        return;
    }
    let needed = measured_units(place, observation, |metric| metric.measure.carried_per_unit());
    let (Some(needed), Some(ours), Some(reactive)) = (needed, decision.wanted, decision.measured) else {
        return;
    };
    let bounds = place.dimension.bounds;
    let (needed, ours, reactive) = (bounds.clamp(needed), bounds.clamp(ours), bounds.clamp(reactive));
    let idle = |units: Units| {
        // Units are whole: one more than is needed is not yet idle, or small tiers could never do well.
        let more = units.0.saturating_sub(needed.0.saturating_add(1));
        (f64::from(more) / needed.real().max(1.0)).min(IDLE_MAX)
    };
    tally.compared = tally.compared.saturating_add(1);
    tally.short = tally.short.saturating_add(u32::from(ours < needed));
    tally.short_reactive = tally.short_reactive.saturating_add(u32::from(reactive < needed));
    tally.idle += idle(ours);
    tally.idle_reactive += idle(reactive);
}
