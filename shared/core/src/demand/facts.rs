//! What sources answer from: a dimension with what is seen, forecast and planned of it, worked out once for all of them.

use std::borrow::Cow;
use std::time::Duration;

use headroom_forecast::Forecast;
use headroom_forecast::lead_window::LeadForecast;
use jiff::Timestamp;

use crate::calendar::{self, Factors};
use crate::forecast::MetricForecast;
use crate::observe::{Capacity, Load, Observation, Observed};
use crate::platform::{Measure, Metric, Place};
use crate::reason::Reason;
use crate::state::LeadWindow;
use crate::units::Units;
use crate::world::World;

/// A dimension, and what is known of it as a whole.
pub(super) struct DemandFacts<'a> {
    pub(super) world: &'a World<'a>,
    pub(super) place: Place<'a>,
    pub(super) capacity: &'a Capacity,
    pub(super) observation: &'a Observation,
    /// Until when is looked to scale out: the end of the lead window.
    pub(super) lead: Timestamp,
    /// Until when is looked to scale in: the end of the horizon.
    pub(super) keep: Timestamp,
    /// By how much the calendar multiplies the load at the most until the end of the lead window.
    pub(super) factor: f64,
    /// By how much the calendar says that the load will rise above what is measured now. Forecasts know the calendar; the
    /// measured load knows what is on already.
    pub(super) rise: f64,
}

impl<'a> DemandFacts<'a> {
    pub(super) fn of(
        world: &'a World<'a>,
        place: Place<'a>,
        window: LeadWindow,
        (capacity, observation): (&'a Capacity, &'a Observation),
    ) -> DemandFacts<'a> {
        let horizon = world.platform.predictive.horizon;
        let after = |span: Duration| world.now.checked_add(span).unwrap_or(Timestamp::MAX);
        let (lead, keep) = (after(window.length().min(horizon)), after(horizon));
        let factors = |from, to| Factors::of(world.platform, &place.group.name, from, to).during(from, to);
        let before = world.now.checked_sub(world.platform.orchestration.cycle).unwrap_or(Timestamp::MIN);
        let factor = factors(world.now, lead);
        let rise = (factor / factors(before, world.now)).max(1.0);
        DemandFacts { world, place, capacity, observation, lead, keep, factor, rise }
    }

    /// Which events multiply the load until the end of the lead window, as reasons.
    pub(super) fn multiplied_by(&self) -> Vec<Reason> {
        let World { platform, now, .. } = *self.world;
        let group = &self.place.group.name;
        let events = calendar::during(&platform.calendar, group, &platform.zone, now, self.lead);
        let factor = self.factor;
        events
            .filter(|event| event.effect.multiply == Some(factor))
            .map(|event| Reason::EventMultiplies { event: event.name.clone(), factor })
            .collect()
    }

    /// A metric with the load per unit that it is planned with.
    pub(super) fn planned<'m>(&self, metric: &'m Metric) -> Cow<'m, Metric> {
        self.world.planned(self.place, metric)
    }

    /// The measured load of a metric, or why it is unknown.
    pub(super) fn load(&self, metric: &Metric) -> Result<&'a Load, String> {
        let reading = self.observation.readings.iter().find(|reading| reading.metric == metric.name);
        match reading.map(|reading| &reading.load) {
            Some(Observed::Known(load)) => Ok(load),
            Some(Observed::Unknown(why)) => Err(why.clone()),
            None => Err(format!("{} was not read in this cycle", metric.name)),
        }
    }

    /// What is forecast of a metric.
    pub(super) fn made(&self, metric: &Metric) -> Option<&'a MetricForecast> {
        let made = self.world.forecasts.get(&self.place.dimension.key)?;
        made.iter().find(|made| made.metric == metric.name)
    }

    /// What the lead window of a metric may bring, or the reason why that is not trusted to scale out by; `None` where
    /// nothing is known of it.
    pub(super) fn lead(&self, metric: &Metric) -> Option<Result<&'a LeadForecast, Reason>> {
        let lead = self.made(metric)?.lead.as_ref().filter(|_| self.place.group.policy.predictive)?;
        let (confidence, needed) = (lead.confidence, self.world.scale_out_confidence());
        Some(if needed <= confidence { Ok(lead) } else { Err(Reason::NotTrusted { confidence, needed }) })
    }
}

/// One metric of a dimension, and what is known of it.
pub(super) struct MetricFacts<'a> {
    /// As it is planned with.
    pub(super) metric: Cow<'a, Metric>,
    /// Its measured load, where that is known.
    pub(super) load: Option<&'a Load>,
    /// Units that carry the measured load, as far as this metric and those before it say.
    pub(super) measured: Option<Units>,
    /// What its lead window may bring, where that is trusted.
    pub(super) lead: Option<&'a LeadForecast>,
    /// Whether the measured load counts: nothing trusted is known of the lead window, or the newest hour was like nothing
    /// expected.
    pub(super) followed: bool,
    /// Whether the forecast says what is needed.
    pub(super) foreseen: bool,
    /// Whether everything is known that a scale-in has to know.
    pub(super) complete: bool,
    /// What is unknown, not trusted or unusual.
    pub(super) notes: Vec<Reason>,
}

impl<'a> MetricFacts<'a> {
    /// `measured` is what the metrics before this one say.
    pub(super) fn of(
        facts: &DemandFacts<'a>,
        metric: &'a Metric,
        measured: Option<Units>,
    ) -> MetricFacts<'a> {
        let metric = facts.planned(metric);
        let known = facts.load(&metric);
        let mut notes = Vec::new();
        let is_queue = matches!(metric.measure, Measure::QueueDepth { .. });
        let name = || metric.name.clone();
        let saturated = !is_queue && known.as_ref().is_ok_and(|load| load.saturated);
        if saturated {
            // Nothing tells how much more it is, so nothing is taken away.
            notes.push(Reason::LowerBound { metric: name() });
        }
        let anomaly = facts.made(&metric).and_then(|made| made.anomaly).filter(|_| !is_queue);
        let burst = anomaly.filter(|anomaly| ANOMALY <= anomaly.get());
        notes.extend(burst.map(|anomaly| Reason::Burst { metric: name(), anomaly }));
        let lead = match facts.lead(&metric).filter(|_| !is_queue) {
            Some(Ok(lead)) => Some(lead),
            Some(Err(reason)) => {
                notes.push(reason);
                None
            }
            None => None,
        };
        let load = match known {
            Ok(load) => Some(load),
            Err(why) => {
                notes.push(Reason::MetricUnknown { why });
                None
            }
        };
        let (predictive, policy) = (&facts.world.platform.predictive, &facts.place.group.policy);
        let fallback = predictive.reactive_fallback || !policy.predictive;
        let followed = (lead.is_none() && fallback) || burst.is_some();
        let foreseen = lead.is_some() || facts.reaching(&metric).is_ok();
        let says = is_queue || foreseen || followed || metric.measure.target_per_unit().is_none();
        let carrying = |load: &Load| Some(Units::at_least(load.mean / metric.measure.carried_per_unit()?));
        MetricFacts {
            measured: measured.max(load.filter(|_| !is_queue).and_then(carrying)),
            load,
            lead,
            followed,
            foreseen,
            // Where the measured load may not step in, nothing says that units can go.
            complete: load.is_some() && !saturated && says,
            notes,
            metric,
        }
    }
}

/// Ten times the usual error, which chance does not bring.
const ANOMALY: f64 = 0.9;
/// The quantile of the forecast that capacity is bought for: nine out of ten outcomes fit.
pub(super) const LEVEL: f64 = 0.9;

/// Why the forecast of the horizon says nothing; no sentence where none is wanted.
pub(super) type Silent = Option<String>;

impl<'a> DemandFacts<'a> {
    /// The forecast of a metric, where it is wanted and reaches to the end of the lead window and of the horizon.
    pub(super) fn reaching(&self, metric: &Metric) -> Result<&'a Forecast, Silent> {
        if !self.place.group.policy.predictive || metric.measure.target_per_unit().is_none() {
            return Err(None);
        }
        let made = self.made(metric).ok_or_else(|| Some("none was made in this cycle".to_owned()))?;
        let forecast = made.outcome.as_ref().map_err(|why| Some(why.to_string()))?;
        let reaches = |to: Timestamp| forecast.peak(LEVEL, self.world.now, to).is_some();
        let reaches = reaches(self.lead) && reaches(self.keep);
        reaches.then_some(forecast).ok_or_else(|| Some("it does not reach into the lead window".to_owned()))
    }
}
