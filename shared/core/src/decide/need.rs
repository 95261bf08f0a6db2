//! Units that the load needs: as measured, as forecast, and as the calendar says.

use std::time::Duration;

use jiff::Timestamp;

use super::guardrails::paced;
use super::lead::{self, Scales, Worth};
use super::{MetricForecast, Strategy, World, backlog, steps};
use crate::calendar::{self, Factors};
use crate::forecast::Forecast;
use crate::forecast::lead::Outlook;
use crate::observe::{Capacity, Load, Observation, Seen};
use crate::platform::{Event, Measure, Metric, Place};
use crate::reason::Reason;
use crate::units::{Ratio, Units};

/// The quantile of the forecast that capacity is bought for: nine out of ten outcomes fit.
const LEVEL: f64 = 0.9;
/// How often the most that a forecast step covers can come before it: an event now, and capacity now.
const NOW: Duration = Duration::ZERO;

/// Units needed, and by what.
#[derive(Clone, Debug, PartialEq)]
pub struct Need {
    /// How many.
    pub units: Units,
    /// What says so.
    pub strategy: Strategy,
    /// Why; `None` when the reasons of the needs say it already.
    pub reason: Option<Reason>,
}

/// What every strategy needs. Out looks at the lead window; in looks further and at peaks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Needs {
    /// By the measured load: to scale out for, and to keep when scaling in.
    pub reactive: Option<Pair>,
    /// By the forecast load.
    pub predictive: Option<Pair>,
    /// By the calendar.
    pub scheduled: Option<Pair>,
    /// By a person.
    pub manual: Option<Need>,
    /// Units that carry the newest measured load, whatever is foreseen.
    pub measured: Option<Units>,
    /// Units that hold the largest load lately measured at its target, whatever is foreseen.
    pub at_target: Option<Units>,
    /// Units that the median of the forecast wants back within two lead windows.
    pub soon: Option<Units>,
    /// Whether everything that is measured is known. If not, nothing is taken away.
    pub complete: bool,
    /// Whether the forecast may scale out.
    pub trusted: bool,
    /// The least confidence among the forecasts used.
    pub confidence: Option<Ratio>,
    /// What is unknown, missing or not trusted.
    pub reasons: Vec<Reason>,
}

/// A need to scale out for, and the smallest capacity to keep when scaling in. The second is never below the first.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// Units to have in the lead window.
    pub out: Need,
    /// Units to keep.
    pub keep: Need,
}

impl Needs {
    /// The need that counts: the largest to scale out for if it is above `set`, else the largest to keep.
    pub fn decisive(&self, set: Units) -> Option<Need> {
        if let Some(manual) = &self.manual {
            return Some(manual.clone());
        }
        let out = self.largest(|pair| &pair.out, self.trusted)?;
        if set < out.units {
            return Some(out);
        }
        let keep = self.largest(|pair| &pair.keep, true)?;
        Some(if set <= keep.units { Need { units: set, ..keep } } else { keep })
    }

    fn largest(&self, of: fn(&Pair) -> &Need, with_forecast: bool) -> Option<Need> {
        let predictive = self.predictive.as_ref().filter(|_| with_forecast);
        let all = [self.reactive.as_ref(), predictive, self.scheduled.as_ref()];
        let largest = all.into_iter().flatten().map(of).max_by_key(|need| need.units)?;
        let agreed = |pair: &Option<Pair>| pair.as_ref().is_some_and(|pair| of(pair).units == largest.units);
        let both =
            largest.strategy != Strategy::Scheduled && agreed(&self.reactive) && agreed(&self.predictive);
        let strategy = if both { Strategy::Hybrid } else { largest.strategy };
        Some(Need { strategy, ..largest.clone() })
    }
}

/// What every strategy needs of one dimension.
pub fn needs(world: &World<'_>, place: Place<'_>, capacity: &Capacity, observation: &Observation) -> Needs {
    let manual = world.manual.get(&place.dimension.key).map(|asked| Need {
        units: *asked,
        strategy: Strategy::Manual,
        reason: Some(Reason::Manual { asked: *asked }),
    });
    let mut needs = Needs { manual, complete: true, trusted: true, ..Needs::default() };
    let windows = windows(world, place);
    let events: Vec<&Event> = calendar::during(
        &world.platform.calendar,
        &place.group.name,
        &world.platform.zone,
        world.now,
        windows.lead,
    )
    .collect();
    let factor = Factors::of(world.platform, &place.group.name, world.now, windows.lead)
        .during(world.now, windows.lead);
    let rise = rise(world, place, factor);
    needs.scheduled = scheduled(world, place, capacity.set, windows.lead);
    asked_for(&mut needs, world, place);
    for metric in &place.dimension.metrics {
        if let Measure::QueueDepth { .. } = metric.measure {
            backlog::needed(&mut needs, world, place, observation, metric, rise);
            continue;
        }
        let metric = &*world.planned(place, metric);
        if known(observation, metric).is_ok_and(|load| load.saturated) {
            // Nothing tells how much more it is, so nothing is taken away.
            needs.complete = false;
            needs.reasons.push(Reason::LowerBound { metric: metric.name.clone() });
        }
        needs.soon = needs.soon.max(wanted_soon(world, place, metric, &windows));
        let burst = burst(&mut needs, world, place, metric);
        let outlook = outlook(&mut needs, world, place, metric);
        let fallback = world.platform.predictive.reactive_fallback || !place.group.policy.predictive;
        let followed = (outlook.is_none() && fallback) || burst;
        measured(&mut needs, place, capacity, observation, metric, followed.then_some(rise));
        let foreseen = match outlook {
            Some(outlook) => {
                by_outlook(&mut needs, world, place, metric, (outlook, capacity));
                true
            }
            None => place.group.policy.predictive && forecast(&mut needs, world, place, metric, &windows),
        };
        if factor < 1.0 && foreseen && !followed {
            lull(&mut needs, observation, metric, rise);
        }
        // Where the measured load may not step in, nothing says that units can go.
        needs.complete &= foreseen || followed || metric.measure.target_per_unit().is_none();
    }
    steps::inward(&mut needs, place, capacity, observation);
    for event in events.iter().filter(|event| event.effect.multiply == Some(factor)) {
        needs.reasons.push(Reason::EventMultiplies { event: event.name.clone(), factor });
    }
    trust(&mut needs, world);
    needs
}

/// By how much the calendar says that the load will rise above what is measured now. Forecasts know the calendar; the
/// measured load knows what is on already.
fn rise(world: &World<'_>, place: Place<'_>, factor: f64) -> f64 {
    let cycle = world.platform.orchestration.cycle;
    let before = world.now.checked_sub(cycle).unwrap_or(Timestamp::MIN);
    let factors = Factors::of(world.platform, &place.group.name, before, world.now);
    (factor / factors.during(before, world.now)).max(1.0)
}

/// Until when is looked: to scale out, and to scale in.
struct Windows {
    lead: Timestamp,
    keep: Timestamp,
}

fn windows(world: &World<'_>, place: Place<'_>) -> Windows {
    let lead =
        world.provisioning(place) + world.platform.orchestration.cycle + place.group.policy.scheduling_buffer;
    let horizon = world.platform.predictive.horizon;
    let after = |span: Duration| world.now.checked_add(span.max(NOW)).unwrap_or(Timestamp::MAX);
    Windows { lead: after(lead.min(horizon)), keep: after(horizon) }
}

fn trust(needs: &mut Needs, world: &World<'_>) {
    let needed = world.scale_out_confidence();
    let Some(confidence) = needs.confidence.filter(|confidence| *confidence < needed) else { return };
    needs.trusted = false;
    needs.reasons.push(Reason::NotTrusted { confidence, needed });
}

/// The largest floor of the calendar that has to be begun with.
fn scheduled(world: &World<'_>, place: Place<'_>, set: Units, lead: Timestamp) -> Option<Pair> {
    let begins = |event: &&Event| {
        let floor = event.effect.floor.unwrap_or_default().min(place.dimension.bounds.max());
        let by = lead.checked_add(world.platform.orchestration.cycle * cycles_before(world, set, floor));
        let until = by.unwrap_or(Timestamp::MAX);
        calendar::overlaps(&event.when, &world.platform.zone, world.now, until)
    };
    let name = &place.group.name;
    let concerned = world.platform.calendar.iter().filter(|event| event.concerns(name));
    let floors = concerned.filter(begins).filter_map(|event| Some((event.effect.floor?, &event.name)));
    let (floor, event) = floors.max_by_key(|(floor, _)| *floor)?;
    let reason = Some(Reason::EventFloor { event: event.clone(), floor });
    let need = Need { units: floor, strategy: Strategy::Scheduled, reason };
    Some(Pair { out: need.clone(), keep: need })
}

/// Cycles that the pace takes from `set` to `floor` before the one in which it is reached: a floor is begun with so much
/// sooner.
fn cycles_before(world: &World<'_>, set: Units, floor: Units) -> u32 {
    /// Sooner than an hour at five minutes nothing is bought for an event.
    const CYCLES_MAX: u32 = 12;
    let share = world.platform.guardrails.out_share_max;
    let mut units = set;
    (0..CYCLES_MAX)
        .find(|_| {
            units = Units(units.0.saturating_add(paced(units, share)));
            floor <= units
        })
        .unwrap_or(CYCLES_MAX)
}

/// A floor that a person asked for counts like one of the calendar: it is guarded, and more may be needed.
fn asked_for(needs: &mut Needs, world: &World<'_>, place: Place<'_>) {
    let Some(asked) = world.standing.asked.floor(&place.dimension.key, world.now) else { return };
    let reason = Reason::Override { floor: asked.units, by: asked.by.clone(), until: asked.until };
    let need = Need { units: asked.units, strategy: Strategy::Scheduled, reason: Some(reason) };
    merge(&mut needs.scheduled, Pair { out: need.clone(), keep: need });
}

fn measured(
    needs: &mut Needs,
    place: Place<'_>,
    capacity: &Capacity,
    observation: &Observation,
    metric: &Metric,
    rise: Option<f64>,
) {
    let load = match known(observation, metric) {
        Ok(load) => load,
        Err(why) => return unknown(needs, why),
    };
    let carrying = metric.measure.carried_per_unit().map(|per_unit| Units::at_least(load.mean / per_unit));
    needs.measured = needs.measured.max(carrying);
    let at_target = metric.measure.target_per_unit().map(|per_unit| Units::at_least(load.peak / per_unit));
    needs.at_target = needs.at_target.max(at_target);
    match (metric.measure.target_per_unit(), rise) {
        // What is known of the windows ahead already rests on this value, and says more.
        (Some(_), None) => (),
        (Some(per_unit), Some(rise)) => merge(&mut needs.reactive, by_load(metric, load, per_unit, rise)),
        (None, _) => {
            if let Some(pair) = by_latency(metric, load, capacity) {
                merge(&mut needs.reactive, pair);
            }
        }
    }
    if let Some(pair) = steps::out(place, capacity, metric, load) {
        merge(&mut needs.reactive, pair);
    }
}

/// A holiday that the load does not keep takes nothing away that is measured.
fn lull(needs: &mut Needs, observation: &Observation, metric: &Metric, rise: f64) {
    if let (Ok(load), Some(per_unit)) = (known(observation, metric), metric.measure.target_per_unit()) {
        merge(&mut needs.reactive, by_load(metric, load, per_unit, rise));
    }
}

/// The measured load of a metric, or why it is unknown.
pub(super) fn known<'a>(observation: &'a Observation, metric: &Metric) -> Result<&'a Load, String> {
    let reading = observation.readings.iter().find(|reading| reading.metric == metric.name);
    match reading.map(|reading| &reading.load) {
        Some(Seen::Known(load)) => Ok(load),
        Some(Seen::Unknown(why)) => Err(why.clone()),
        None => Err(format!("{} was not read in this cycle", metric.name)),
    }
}

pub(super) fn unknown(needs: &mut Needs, why: String) {
    needs.complete = false;
    needs.reasons.push(Reason::MetricUnknown { why });
}

fn by_load(metric: &Metric, load: &Load, per_unit: f64, rise: f64) -> Pair {
    let need = |load: f64| {
        let load = load * rise;
        let needed = Units::at_least(load / per_unit);
        let reason = Reason::MeasuredLoad { metric: metric.name.clone(), load, per_unit, needed };
        Need { units: needed, strategy: Strategy::Reactive, reason: Some(reason) }
    };
    Pair { out: need(load.mean), keep: need(load.peak) }
}

/// Latency says that there is too little, never how much or that there is too much.
fn by_latency(metric: &Metric, load: &Load, capacity: &Capacity) -> Option<Pair> {
    let limit = match metric.measure {
        Measure::Latency { limit } => limit,
        _ => f64::INFINITY,
    };
    if load.mean <= limit {
        return None;
    }
    let units = Units(capacity.set.0.saturating_add(1));
    let reason = Some(Reason::Latency { metric: metric.name.clone(), value: load.mean, limit });
    let need = Need { units, strategy: Strategy::Reactive, reason };
    Some(Pair { out: need.clone(), keep: need })
}

/// Adds what the horizon needs; whether it says anything.
fn forecast(
    needs: &mut Needs,
    world: &World<'_>,
    place: Place<'_>,
    metric: &Metric,
    windows: &Windows,
) -> bool {
    let Some(per_unit) = metric.measure.target_per_unit() else { return false };
    let made = world
        .forecasts
        .get(&place.dimension.key)
        .into_iter()
        .flatten()
        .find(|made| made.metric == metric.name);
    let why = match made {
        Some(MetricForecast { outcome: Ok(forecast), .. }) => {
            let pair = by_forecast(metric, forecast, per_unit, world.now, windows);
            if let Some(pair) = pair {
                needs.confidence = Some(
                    needs
                        .confidence
                        .map_or(forecast.confidence, |least| least_of(least, forecast.confidence)),
                );
                merge(&mut needs.predictive, pair);
                return true;
            }
            "it does not reach into the lead window".to_owned()
        }
        Some(MetricForecast { outcome: Err(why), .. }) => why.to_string(),
        None => "none was made in this cycle".to_owned(),
    };
    needs.reasons.push(Reason::NoForecast { metric: metric.name.clone(), why });
    false
}

/// Whether the newest hour was like nothing that was expected: what is measured then counts beside what is foreseen.
fn burst(needs: &mut Needs, world: &World<'_>, place: Place<'_>, metric: &Metric) -> bool {
    /// Ten times the usual error, which chance does not bring.
    const ANOMALY: f64 = 0.9;
    let made = world.forecasts.get(&place.dimension.key).into_iter().flatten();
    let anomaly = made.filter(|made| made.metric == metric.name).find_map(|made| made.anomaly);
    let Some(anomaly) = anomaly.filter(|anomaly| ANOMALY <= anomaly.get()) else { return false };
    needs.reasons.push(Reason::Burst { metric: metric.name.clone(), anomaly });
    true
}

/// What is known of the lead window of a metric, if it can be trusted to scale out by.
fn outlook<'a>(
    needs: &mut Needs,
    world: &World<'a>,
    place: Place<'_>,
    metric: &Metric,
) -> Option<&'a Outlook> {
    match trusted(world, place, metric)? {
        Ok(outlook) => Some(outlook),
        Err(reason) => {
            needs.reasons.push(reason);
            None
        }
    }
}

/// What is known of the lead window of a metric, or that it is not trusted; `None` where nothing is known.
pub(super) fn trusted<'a>(
    world: &World<'a>,
    place: Place<'_>,
    metric: &Metric,
) -> Option<Result<&'a Outlook, Reason>> {
    let made = world.forecasts.get(&place.dimension.key)?.iter().find(|made| made.metric == metric.name)?;
    let outlook = made.lead.as_ref().filter(|_| place.group.policy.predictive)?;
    let needed = world.scale_out_confidence();
    let trusted = needed <= outlook.confidence;
    Some(if trusted {
        Ok(outlook)
    } else {
        Err(Reason::NotTrusted { confidence: outlook.confidence, needed })
    })
}

/// Ordered capacity serves in the arrival window; kept capacity serves in the whole.
fn by_outlook(
    needs: &mut Needs,
    world: &World<'_>,
    place: Place<'_>,
    metric: &Metric,
    (outlook, capacity): (&Outlook, &Capacity),
) {
    let Some(per_unit) = metric.measure.carried_per_unit() else { return };
    let objective = lead::objective(world.platform.predictive.objective, capacity.mode);
    let provisioning = outlook.ready.duration_since(outlook.from).unsigned_abs();
    let scales = Scales { per_unit, objective, provisioning, bounds: place.dimension.bounds };
    let strategy = strategy(needs, world, capacity, outlook.confidence);
    let need = |Worth { units, chance }: Worth| {
        let metric = metric.name.clone();
        let load = units.real() * per_unit;
        let reason = Reason::LeadWindow { metric, load, chance, per_unit, needed: units };
        Need { units, strategy, reason: Some(reason) }
    };
    let out = lead::worth(&outlook.arrival, &scales);
    let whole = lead::worth(&outlook.whole, &scales);
    let keep = if whole.units < out.units { out } else { whole };
    merge(&mut needs.predictive, Pair { out: need(out), keep: need(keep) });
    needs.confidence =
        Some(needs.confidence.map_or(outlook.confidence, |least| least_of(least, outlook.confidence)));
}

/// What decides where the lead window is known: the measured load where it is more than the ready units carry, for then
/// nothing has to be foreseen; the forecast where it may even scale in; otherwise both, the one bounding the other.
fn strategy(needs: &Needs, world: &World<'_>, capacity: &Capacity, confidence: Ratio) -> Strategy {
    if needs.measured.is_some_and(|measured| capacity.ready < measured) {
        Strategy::Reactive
    } else if world.scale_in_confidence() <= confidence {
        Strategy::Predictive
    } else {
        Strategy::Hybrid
    }
}

/// What the median forecast wants soon: what goes now and is wanted then would have to be ordered again at once.
fn wanted_soon(world: &World<'_>, place: Place<'_>, metric: &Metric, windows: &Windows) -> Option<Units> {
    let per_unit = metric.measure.carried_per_unit()?;
    let made = world.forecasts.get(&place.dimension.key)?.iter().find(|made| made.metric == metric.name)?;
    let forecast = made.outcome.as_ref().ok()?;
    let lead = windows.lead.duration_since(world.now);
    let until = windows.lead.checked_add(lead).unwrap_or(windows.lead);
    let peak = forecast.peak(0.5, world.now, until)?;
    Some(Units::at_least(peak.load / per_unit))
}

fn least_of(a: Ratio, b: Ratio) -> Ratio {
    if a < b { a } else { b }
}

fn by_forecast(
    metric: &Metric,
    forecast: &Forecast,
    per_unit: f64,
    now: Timestamp,
    windows: &Windows,
) -> Option<Pair> {
    let need = |until: Timestamp| {
        let peak = forecast.peak(LEVEL, now, until)?;
        let load = peak.load;
        let needed = Units::at_least(load / per_unit);
        let (level, at) = (peak.level, peak.at);
        let reason = Reason::ForecastLoad { metric: metric.name.clone(), load, level, at, per_unit, needed };
        Some(Need { units: needed, strategy: Strategy::Predictive, reason: Some(reason) })
    };
    Some(Pair { out: need(windows.lead)?, keep: need(windows.keep)? })
}

/// The larger of two pairs, part by part.
pub(super) fn merge(into: &mut Option<Pair>, pair: Pair) {
    match into {
        None => *into = Some(pair),
        Some(old) => {
            if old.out.units < pair.out.units {
                old.out = pair.out;
            }
            if old.keep.units < pair.keep.units {
                old.keep = pair.keep;
            }
        }
    }
}
