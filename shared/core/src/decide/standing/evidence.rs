//! Evidence: how what was expected and wanted earlier compares with what came.
//!
//! Once an hour the decisions that were made about a lead window ago are held against what is seen now. That works in the
//! phase `observe` too: what would have been decided is recorded there like everywhere.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::decide::{Decision, Strategy};
use crate::name::DimensionKey;
use crate::observe::{Observation, Seen};
use crate::platform::{Metric, Place, Platform};
use crate::units::Units;

/// The band of a forecast that nine out of ten outcomes should lie in.
pub const BAND: (f64, f64) = (0.05, 0.95);

/// Days that evidence counts: a week has every kind of day in it.
const DAYS: i64 = 7;

/// What a decision expected of a metric, to be judged later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// The metric's name in its dimension.
    pub metric: String,
    /// The load that one of twenty outcomes should be below.
    pub low: f64,
    /// The load that one of twenty outcomes should be above.
    pub high: f64,
}

/// How far ahead a decision of this platform is judged: the longest lead window, because all are judged at once.
pub fn ahead(platform: &Platform) -> Duration {
    let lead = platform
        .resources()
        .map(|(group, resource)| resource.provisioning + group.policy.scheduling_buffer)
        .max()
        .unwrap_or_default();
    // The last step of a forecast may be cut short.
    let most = platform.predictive.horizon.saturating_sub(platform.orchestration.cycle);
    (lead + platform.orchestration.cycle).min(most)
}

/// Outcomes of one day. Which of them was added first does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// The day, counted from 1970 in UTC.
    pub day: i64,
    /// Loads held against a forecast.
    pub judged: u32,
    /// Those within its band.
    pub inside: u32,
    /// Those above its band.
    pub above: u32,
    /// Dimensions whose wanted units were held against what was needed.
    pub compared: u32,
    /// Those where too little was wanted.
    pub short: u32,
    /// Those where following the measured load would have had too little.
    pub short_reactive: u32,
    /// Units wanted and not needed, in units needed, summed up.
    pub idle: f64,
    /// The same, had the measured load been followed.
    pub idle_reactive: f64,
}

/// Outcomes of the last days, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Evidence(pub Vec<Tally>);

/// What evidence says, in shares.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Loads held against a forecast.
    pub judged: u32,
    /// Share of them within its 90 % band.
    pub coverage: f64,
    /// Share of them above it.
    pub above: f64,
    /// Dimensions whose wanted units were held against what was needed.
    pub compared: u32,
    /// Share of them where too little was wanted.
    pub short: f64,
    /// Share of them where following the measured load would have had too little.
    pub short_reactive: f64,
    /// Mean units wanted and not needed, in units needed.
    pub idle: f64,
    /// The same, had the measured load been followed.
    pub idle_reactive: f64,
}

impl Evidence {
    /// With decisions made earlier held against what is seen now, and without what is too old to count.
    #[must_use]
    pub fn after(
        &self,
        platform: &Platform,
        then: &[Decision],
        observations: &BTreeMap<DimensionKey, Observation>,
        now: Timestamp,
    ) -> Evidence {
        const DAY_S: i64 = 86_400;
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
        Evidence(days)
    }

    /// What it says.
    pub fn figures(&self) -> Figures {
        let count = |of: fn(&Tally) -> u32| self.0.iter().map(of).fold(0, u32::saturating_add);
        let (judged, compared) = (count(|tally| tally.judged), count(|tally| tally.compared));
        let share = |part: u32, whole: u32| f64::from(part) / f64::from(whole.max(1));
        let mean = |of: fn(&Tally) -> f64| self.0.iter().map(of).sum::<f64>() / f64::from(compared.max(1));
        Figures {
            judged,
            coverage: share(count(|tally| tally.inside), judged),
            above: share(count(|tally| tally.above), judged),
            compared,
            short: share(count(|tally| tally.short), compared),
            short_reactive: share(count(|tally| tally.short_reactive), compared),
            idle: mean(|tally| tally.idle),
            idle_reactive: mean(|tally| tally.idle_reactive),
        }
    }
}

/// Whether the loads that came lie where they were expected.
fn judge(tally: &mut Tally, decision: &Decision, observation: &Observation) {
    for expected in &decision.expected {
        let reading = observation.readings.iter().find(|reading| reading.metric == expected.metric);
        let Some(Seen::Known(load)) = reading.map(|reading| &reading.load) else { continue };
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
    if matches!(decision.strategy, Some(Strategy::Manual | Strategy::Scheduled)) {
        return;
    }
    let needed = measured(place, observation, |metric| metric.measure.carried_per_unit());
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

/// Units that carry the newest measured load, at so much for each; `None` while a metric is unknown. A backlog beside its
/// arrivals is no load: it tells of too little earlier, not of what is needed.
pub fn measured(
    place: Place<'_>,
    observation: &Observation,
    per_unit: impl Fn(&Metric) -> Option<f64>,
) -> Option<Units> {
    let mut largest = None;
    let is_left_over =
        |metric: &Metric| !metric.measure.is_foreseen() && place.dimension.arrivals().is_some();
    for metric in place.dimension.metrics.iter().filter(|metric| !is_left_over(metric)) {
        let Some(per_unit) = per_unit(metric) else { continue };
        let reading = observation.readings.iter().find(|reading| reading.metric == metric.name)?;
        largest = largest.max(Some(Units::at_least(reading.load.known()?.mean / per_unit)));
    }
    largest
}
