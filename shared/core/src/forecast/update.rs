//! The forecast of one metric in one cycle: from its history and stored models to its forecast and the models to store.
//!
//! Every cycle predicts, but models are trained rarely, within a budget. A model that is due when the budget is spent is
//! used as it is, and trained in one of the next cycles.

use headroom_forecast::ensemble::{COVARIATES_MAX, Context, Covariate, Ensemble};
use headroom_forecast::lead_window::{LeadForecast, LeadForecaster, LeadModel};
use headroom_forecast::{Forecast, KNOWN_MIN, NoForecast, Pattern, seasonal_naive};
use jiff::Timestamp;

use super::{LEVELS, MetricForecast, ObjectiveFeedback, STALE_S, lead_setting};
use crate::calendar::{self, Factors};
use crate::history::{Chunk, Column, column_series, fine_series};
use crate::platform::{Event, Metric, Phase, Place, Platform};
use crate::series::{STEP_S, Series};
use crate::state::PlatformState;

/// Models that were only updated with new points are stored again after so long. Until then, the next cycle repeats the
/// update.
const STORE_AFTER_S: i64 = 3 * 3_600;

/// Events that occurred less often in the history are no covariates: nothing can be learned from them.
const SEEN_MIN: usize = 2;

/// The models of one metric, which are kept between cycles.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Models {
    /// The model of the horizon.
    pub load: Option<Ensemble>,
    /// The model of the lead window.
    pub lead: Option<LeadModel>,
}

/// How many models may still be trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrainingBudget {
    /// Whether models are trained too that are not due.
    pub all: bool,
    /// The number of models that may still be trained.
    pub left: usize,
}

impl TrainingBudget {
    fn take(&mut self, due: bool) -> bool {
        let takes = (due || self.all) && 0 < self.left;
        self.left -= usize::from(takes);
        takes
    }
}

/// What a cycle makes of one metric.
#[derive(Clone, Debug)]
pub struct ForecastUpdate {
    /// Its forecast, or why there is none.
    pub forecast: MetricForecast,
    /// Its models, if they have to be stored again.
    pub models: Option<Models>,
}

/// Forecasts one metric of a dimension from the chunks of its history and its stored models.
pub fn forecast_metric(
    platform: &Platform,
    state: &PlatformState,
    (place, metric): (Place<'_>, &Metric),
    chunks: &[Chunk],
    models: Models,
    now: Timestamp,
    budget: &mut TrainingBudget,
) -> ForecastUpdate {
    let column = Column::new(&place.dimension.key, &metric.name);
    let history = column_series(chunks, &column).until(now);
    let age_s = now.as_second() - history.end().as_second();
    if history.is_empty() || STALE_S < age_s {
        let known = history.len();
        let why = if known == 0 { too_short(known) } else { NoForecast::Stale { age_s } };
        return ForecastUpdate { forecast: MetricForecast::none(&metric.name, why), models: None };
    }
    let fine = fine_series(chunks, &column).until(now);
    let until = now.checked_add(platform.predictive.horizon).unwrap_or(Timestamp::MAX);
    let factors = Factors::of(platform, &place.group.name, history.start().min(fine.start()), until);
    // What other policies did in the phase observe, or we did in an earlier phase, is not what this phase answers for.
    let acts = state.phase(platform) != Phase::Observe;
    let since = state.phase_since(platform).unwrap_or(Timestamp::MIN);
    let promise = (platform.predictive.objective, platform.orchestration.cycle);
    let objective_feedback =
        acts.then(|| ObjectiveFeedback::of(chunks, (place, metric), (&fine, since), promise)).flatten();
    let (history, fine) = (factors.without(&history, &mut None), factors.without(&fine, &mut None));
    let covariates = covariates(platform, place, &history, until);
    let context = Context { covariates: &covariates };
    let before = models.load.as_ref().map(Ensemble::seen_until);
    let (load, load_trained) = load(platform, models.load, (&history, &context), now, budget);
    let (lead_forecast, lead, lead_trained) =
        lead((platform, state), (place, metric), models.lead, &fine, budget);
    let lead_forecast =
        lead_forecast.map(|forecast| forecast.multiplied(|from, to| factors.during(from, to)));
    let steps = steps(platform, age_s);
    let outcome = match &load {
        Some(load) => load.predict(&history, &context, steps, &LEVELS),
        None => seasonal_naive::forecast(&history, steps, &LEVELS),
    };
    let old = before.is_none_or(|before| STORE_AFTER_S <= history.end().as_second() - before.as_second());
    let store = load_trained || lead_trained || (old && load.is_some());
    let made = MetricForecast {
        metric: metric.name.clone(),
        outcome: outcome.map(|made| multiplied(made, &factors)),
        lead: lead_forecast,
        pattern: Some(Pattern::of(&history)),
        anomaly: load.as_ref().map(Ensemble::anomaly),
        objective_feedback,
    };
    ForecastUpdate { forecast: made, models: store.then_some(Models { load, lead }) }
}

fn too_short(known: usize) -> NoForecast {
    NoForecast::TooShort { known, needed: KNOWN_MIN }
}

/// The number of steps from the end of the history to the horizon.
fn steps(platform: &Platform, age_s: i64) -> usize {
    let horizon_s = platform.predictive.horizon.as_secs() + u64::try_from(age_s).unwrap_or(0);
    usize::try_from(horizon_s.div_ceil(u64::from(STEP_S))).unwrap_or(usize::MAX)
}

/// A covariate for each event that sets a floor but does not say how it multiplies the load: the model learns that.
fn covariates(platform: &Platform, place: Place<'_>, history: &Series, to: Timestamp) -> Vec<Covariate> {
    let concerned = |event: &&Event| event.concerns(&place.group.name);
    let learned = |event: &&Event| event.effect.floor.is_some() && event.effect.multiply.is_none();
    let column = |event: &Event| {
        let on = calendar::occurrences(&event.when, &platform.zone, history.start(), to);
        let seen = on.iter().filter(|(start, _)| *start < history.end()).count();
        let points = |index: usize| {
            let (from, to) = (history.time_of(index), history.time_of(index + 1));
            Some(f64::from(u8::from(on.iter().any(|(start, end)| *start < to && from < *end))))
        };
        let steps = (0_usize..).take_while(|index| history.time_of(*index) < to);
        let series = Series::new(history.start(), history.step_s(), steps.map(points));
        (SEEN_MIN <= seen).then(|| Covariate { name: event.name.clone(), series })
    };
    platform
        .calendar
        .iter()
        .filter(concerned)
        .filter(learned)
        .filter_map(column)
        .take(COVARIATES_MAX)
        .collect()
}

/// The model of the horizon, updated with the newest points or trained again, and whether it was trained.
fn load(
    platform: &Platform,
    model: Option<Ensemble>,
    (history, context): (&Series, &Context<'_>),
    now: Timestamp,
    budget: &mut TrainingBudget,
) -> (Option<Ensemble>, bool) {
    let updated = model.and_then(|mut model| model.update(history, context).ok().map(|()| model));
    let due = |model: &Ensemble| model.retrain_reason(now, platform.predictive.retrain).is_some();
    if budget.take(updated.as_ref().is_none_or(due)) {
        let horizon = steps(platform, 0);
        if let Ok(trained) = Ensemble::train(history, context, horizon) {
            return (Some(trained), true);
        }
    }
    (updated, false)
}

/// The forecast of the lead window, its model, and whether that was trained.
fn lead(
    (platform, state): (&Platform, &PlatformState),
    (place, metric): (Place<'_>, &Metric),
    model: Option<LeadModel>,
    fine: &Series,
    budget: &mut TrainingBudget,
) -> (Option<LeadForecast>, Option<LeadModel>, bool) {
    let Some(unit) = metric.measure.carried_per_unit() else { return (None, None, false) };
    let setting = lead_setting(platform, state, place, unit);
    let resumed = model.and_then(|model| LeadForecaster::resume(setting, fine, model));
    let trains = budget.take(resumed.as_ref().is_none_or(LeadForecaster::is_due));
    let known = match resumed {
        Some(mut lead) if trains => {
            lead.train();
            Some(lead)
        }
        None if trains => Some(LeadForecaster::new(setting, fine)),
        resumed => resumed,
    };
    let Some(mut known) = known else { return (None, None, false) };
    (known.forecast(), known.model().cloned(), trains && known.model().is_some())
}

/// The forecast multiplied as the calendar says. It is rounded to seven digits, which are enough for any load, to be stored
/// in less space.
fn multiplied(mut forecast: Forecast, factors: &Factors) -> Forecast {
    let grid = Series::new(forecast.start, forecast.step_s, []);
    let times = |values: &mut Vec<f64>| {
        for (index, value) in values.iter_mut().enumerate() {
            *value = seven_digits(*value * factors.during(grid.time_of(index), grid.time_of(index + 1)));
        }
    };
    times(&mut forecast.mean);
    forecast.quantiles.iter_mut().for_each(|quantile| times(&mut quantile.values));
    forecast
}

#[expect(clippy::as_conversions, reason = "rounding to the digits of a smaller number is what this is for")]
fn seven_digits(value: f64) -> f64 {
    f64::from(value as f32)
}
