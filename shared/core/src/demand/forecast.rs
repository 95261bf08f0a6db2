//! The forecast: that of the lead window where it is trusted, else the quantiles of the horizon.

use jiff::Timestamp;

use super::facts::{DemandFacts, LEVEL, MetricFacts};
use super::need::{DemandSource, Need, Needs, Pair};
use super::newsvendor::{self, Scales, Worth};
use crate::reason::Reason;
use crate::units::{Ratio, Units};

/// The number of units with the lowest expected cost in the lead window. Units that are ordered now serve only in the arrival
/// window; units that are kept serve in the whole window.
pub(super) fn lead_window(facts: &DemandFacts<'_>, metric: &MetricFacts<'_>) -> Needs {
    let known = metric.lead.zip(metric.metric.measure.carried_per_unit());
    let Some((lead, per_unit)) = known else { return Needs::default() };
    let objective = newsvendor::objective(facts.world.platform.predictive.objective, facts.capacity.mode);
    let provisioning = lead.ready.duration_since(lead.from).unsigned_abs();
    let scales = Scales { per_unit, objective, provisioning, bounds: facts.place.dimension.bounds };
    let source = source(facts, metric.measured, lead.confidence);
    let need = |Worth { units, chance }: Worth| {
        let load = units.real() * per_unit;
        let metric = metric.metric.name.clone();
        let reason = Reason::LeadWindow { metric, load, chance, per_unit, needed: units };
        Need { units, source, reason }
    };
    let out = newsvendor::worth(&lead.arrival, &scales);
    let whole = newsvendor::worth(&lead.whole, &scales);
    let keep = if whole.units < out.units { out } else { whole };
    let pair = Pair { out: need(out), keep: need(keep) };
    Needs { predictive: Some(pair), confidence: Some(lead.confidence), ..Needs::default() }
}

/// Which source a decision by the lead window is attributed to: the measured load where the ready units cannot carry it, because
/// then no forecast is needed to see that; the forecast where it is trusted enough to scale in; otherwise both, because the
/// measured load limits what the forecast may remove.
fn source(facts: &DemandFacts<'_>, measured: Option<Units>, confidence: Ratio) -> DemandSource {
    if measured.is_some_and(|measured| facts.capacity.ready < measured) {
        DemandSource::Reactive
    } else if facts.world.scale_in_confidence() <= confidence {
        DemandSource::Predictive
    } else {
        DemandSource::Hybrid
    }
}

/// What the forecast of the horizon needs, where the lead window is not known.
pub(super) fn horizon(facts: &DemandFacts<'_>, metric: &MetricFacts<'_>) -> Needs {
    let measure = &metric.metric.measure;
    let Some(per_unit) = measure.target_per_unit().filter(|_| measure.is_foreseen()) else {
        return Needs::default();
    };
    if metric.lead.is_some() {
        return Needs::default();
    }
    let metric = &metric.metric;
    let forecast = match facts.reaching(metric) {
        Ok(forecast) => forecast,
        Err(why) => {
            let reason = why.map(|why| Reason::NoForecast { metric: metric.name.clone(), why });
            return Needs { reasons: reason.into_iter().collect(), ..Needs::default() };
        }
    };
    let need = |until: Timestamp| {
        let peak = forecast.peak(LEVEL, facts.world.now, until)?;
        let needed = Units::at_least(peak.load / per_unit);
        let (metric, load, level, at) = (metric.name.clone(), peak.load, peak.level, peak.at);
        let reason = Reason::ForecastLoad { metric, load, level, at, per_unit, needed };
        Some(Need { units: needed, source: DemandSource::Predictive, reason })
    };
    let pair = need(facts.lead).zip(need(facts.keep)).map(|(out, keep)| Pair { out, keep });
    Needs { predictive: pair, confidence: Some(forecast.confidence), ..Needs::default() }
}

/// Units that the median of the forecast needs within two lead windows: if they were removed now, they would have to be ordered
/// again at once.
pub(super) fn soon(facts: &DemandFacts<'_>, metric: &MetricFacts<'_>) -> Needs {
    let soon = || {
        let measure = &metric.metric.measure;
        let per_unit = measure.carried_per_unit().filter(|_| measure.is_foreseen())?;
        let forecast = facts.made(&metric.metric)?.outcome.as_ref().ok()?;
        let lead = facts.lead.duration_since(facts.world.now);
        let until = facts.lead.checked_add(lead).unwrap_or(facts.lead);
        let peak = forecast.peak(0.5, facts.world.now, until)?;
        Some(Units::at_least(peak.load / per_unit))
    };
    Needs { soon: soon(), ..Needs::default() }
}
