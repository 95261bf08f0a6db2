//! The facts that all demand sources use: a dimension with what is measured, forecast and planned of it, computed once.

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
    pub(super) window: LeadWindow,
    pub(super) capacity: &'a Capacity,
    pub(super) observation: &'a Observation,
    /// The end of the lead window. Needs until then are scaled out for.
    pub(super) lead: Timestamp,
    /// The end of the horizon. Units that are needed until then are not scaled in.
    pub(super) keep: Timestamp,
    /// The largest factor by which the calendar multiplies the load until the end of the lead window.
    pub(super) factor: f64,
    /// The factor by which the load will rise above the measured one, by the calendar. Forecasts include the calendar already; the
    /// measured load includes only the events that have begun.
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
        DemandFacts { world, place, window, capacity, observation, lead, keep, factor, rise }
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
        match self.observation.reading(&metric.name) {
            Some(Observed::Known(load)) => Ok(load),
            Some(Observed::Unknown(why)) => Err(why.clone()),
            None => Err(format!("{} was not read in this cycle", metric.name)),
        }
    }

    /// What is forecast of a metric, where the group goes by forecasts.
    pub(super) fn made(&self, metric: &Metric) -> Option<&'a MetricForecast> {
        let wanted = self.place.group.policy.predictive;
        let made = self.world.forecasts.get(&self.place.dimension.key).filter(|_| wanted)?;
        made.iter().find(|made| made.metric == metric.name)
    }

    /// The forecast of a metric's lead window, or the reason why it is not trusted enough to scale out by; `None` where there is
    /// none.
    pub(super) fn lead(&self, metric: &Metric) -> Option<Result<&'a LeadForecast, Reason>> {
        let lead = self.made(metric)?.lead.as_ref()?;
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
    /// The forecast of its lead window, where that is trusted.
    pub(super) lead: Option<&'a LeadForecast>,
    /// Whether the measured load decides: there is no trusted forecast of the lead window, the newest hour was very unlike its
    /// forecast, or the units that are ready can carry no more, which a forecast from before may not know of.
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
            // The real load may be higher by an unknown amount, so nothing is scaled in.
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
        let followed = (lead.is_none() && fallback) || burst.is_some() || (lead.is_some() && saturated);
        let foreseen = lead.is_some() || facts.reaching(&metric).is_ok();
        let says = is_queue || foreseen || followed || metric.measure.target_per_unit().is_none();
        let carrying = |load: &Load| Some(Units::at_least(load.mean / metric.measure.carried_per_unit()?));
        MetricFacts {
            measured: measured.max(load.filter(|_| !is_queue).and_then(carrying)),
            load,
            lead,
            followed,
            foreseen,
            // Without a forecast, and where the measured load must not replace it, nothing shows that units are not needed.
            complete: load.is_some() && !saturated && says,
            notes,
            metric,
        }
    }
}

/// An anomaly from which the measured load decides: an error ten times the usual one, which is not chance.
const ANOMALY: f64 = 0.9;
/// The quantile of the forecast that capacity is ordered for: nine out of ten outcomes are below it.
pub(super) const LEVEL: f64 = 0.9;

/// Why there is no forecast of the horizon; `None` where the group or the metric should have none.
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
