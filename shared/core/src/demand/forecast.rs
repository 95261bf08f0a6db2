//! The forecast: that of the lead window where it is trusted, else the quantiles of the horizon.

use jiff::Timestamp;

use super::facts::{DemandFacts, LEVEL, MetricFacts};
use super::need::{DemandSource, Need, Needs, Pair};
use super::newsvendor::{self, Scales, Worth};
use crate::forecast::ObjectiveFeedback;
use crate::reason::Reason;
use crate::units::{Ratio, Units};
use crate::world::World;

/// The number of units with the lowest expected cost in the lead window. Units that are ordered now serve only in the arrival
/// window; units that are kept serve in the whole window.
pub(super) fn lead_window(facts: &DemandFacts<'_>, metric: &MetricFacts<'_>) -> Needs {
    let known = metric.lead.zip(metric.metric.measure.carried_per_unit());
    let Some((lead, per_unit)) = known else { return Needs::default() };
    let objective = newsvendor::objective(facts.world.platform.predictive.objective, facts.capacity.mode);
    let provisioning = lead.ready.duration_since(lead.from).unsigned_abs();
    let feedback = facts.made(&metric.metric).and_then(|made| made.objective_feedback).unwrap_or_default();
    let share = newsvendor::aimed_share(objective, feedback.exponent);
    let scales = Scales { per_unit, share, provisioning, bounds: facts.place.dimension.bounds };
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
    let later = lead.later.as_ref().map(|later| newsvendor::worth(&later.load, &scales));
    let begun = later.map(|later| begun(facts, metric, (later, per_unit), source));
    let or_begun = |need: Need| match &begun {
        Some(begun) if need.units < begun.units => begun.clone(),
        _ => need,
    };
    let pair = Pair { out: or_begun(need(out)), keep: or_begun(need(keep)) };
    let reasons = kept(facts, metric, &feedback).into_iter().collect();
    Needs { predictive: Some(pair), confidence: Some(lead.confidence), reasons, ..Needs::default() }
}

/// How the objective was kept, once there is a day to tell of.
fn kept(facts: &DemandFacts<'_>, metric: &MetricFacts<'_>, feedback: &ObjectiveFeedback) -> Option<Reason> {
    const DAY_MINUTES: f64 = 1_440.0;
    let kept = feedback.kept().filter(|_| DAY_MINUTES <= feedback.minutes)?;
    let objective = facts.world.platform.predictive.objective;
    let (days, times) = (feedback.minutes / DAY_MINUTES, feedback.exponent.exp());
    Some(Reason::ObjectiveKept { metric: metric.metric.name.clone(), objective, kept, days, times })
}

/// What has to be ordered now, so that the next decision can order what the later window needs: the pace of changes and the limit
/// of forecasts let it multiply the capacity only by so much.
fn begun(
    facts: &DemandFacts<'_>,
    metric: &MetricFacts<'_>,
    (later, per_unit): (Worth, f64),
    source: DemandSource,
) -> Need {
    let World { platform, .. } = facts.world;
    let share = platform.guardrails.out_share_max.min(platform.predictive.predictive_change_max);
    let needed = facts.place.dimension.bounds.clamp(later.units);
    let units = Units::at_least(needed.real() / (1.0 + share));
    let metric = metric.metric.name.clone();
    let reason =
        Reason::BegunBefore { metric, later: needed, per_unit, percent: share * 100.0, needed: units };
    Need { units, source, reason }
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
