//! The trained ensemble of one load, with its online calibration.

#![expect(
    clippy::indexing_slicing,
    reason = "rows are indexed by their own number, parts by a number below theirs"
)]

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::boosted_regression::{BoostedRegression, HORIZON_PARTS, TrainingRow, part_of, tree_inputs};
use super::covariates::{Context, ScaledCovariate};
use super::cross_validation::{CrossValidation, Exclusion, in_member_order, season_steps};
use super::features::{LoadFeatures, StepFeatures};
use super::online_calibration::{OnlineCalibration, ScoredStep};
use super::quantile_regression::{
    self, OutOfFoldPrediction, QuantileRegression, TRAINED_LEVELS, interpolate, logit,
};
use super::statistical_models::{SeasonalResiduals, StatisticalModels};
use super::weights::{MEMBERS, MemberWeights, NAMES, Predictions, combine};
use crate::codec::{self, NotAModel};
use crate::forecast::{Forecast, NoForecast, Quantile, usable};
use crate::ratio::Ratio;
use crate::series::Series;
use crate::statistics::real;

/// The first bytes of every stored model.
const MAGIC: [u8; 4] = *b"HRFM";
/// The version that this build writes and reads. It has to change when the stored fields or their meaning do.
pub const MODEL_VERSION: u16 = 1;
/// The name of the model in forecasts.
pub const NAME: &str = "ensemble";
/// The fewest days of history for trees. With less, a daily profile cannot be compared with a second day.
const DAYS_MIN: usize = 2;
/// The fewest steps in a day for trees. Coarser grids cannot show a daily season.
const STEPS_A_DAY_MIN: usize = 12;
/// A model that was trained on less is trained again when the history is twice as long.
const HISTORY_DAYS: usize = 14;
/// After a pause, only points of so many days are scored: older ones say little about now.
const CATCH_UP_DAYS: usize = 1;

/// A model trained on one load.
///
/// [`Ensemble::train`] is slow and rare; [`Ensemble::update`] and [`Ensemble::predict`] are for every cycle. The same
/// histories give the same bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ensemble {
    step_s: u32,
    horizon: usize,
    /// The load that the model takes as one.
    scale: f64,
    /// The end of the history that it was trained on, and the number of its steps.
    trained_until_s: i64,
    steps: usize,
    /// The end of the newest point that it has taken in.
    seen_until_s: i64,
    covariates: Vec<ScaledCovariate>,
    boosted: Option<BoostedRegression>,
    statistical: StatisticalModels,
    weights: Vec<MemberWeights>,
    quantile_regressions: Vec<QuantileRegression>,
    excluded: Vec<(u8, Exclusion)>,
    /// A factor on the confidence, below one for short histories.
    history_trust: f64,
    calibration: OnlineCalibration,
}

/// Why a model should be trained again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RetrainReason {
    /// It has reached the largest age of models.
    Age {
        /// Seconds since it was trained.
        age_s: i64,
    },
    /// Its errors have become larger, or have mostly one sign.
    Drift,
    /// The history is at least twice as long as in training.
    Longer,
}

/// What the members compute their predictions from.
struct Inputs {
    features: LoadFeatures,
    past: SeasonalResiduals,
}

impl Ensemble {
    /// The model in bytes, about 20 KB.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(MAGIC, MODEL_VERSION, self)
    }

    /// The model from its bytes.
    ///
    /// # Errors
    /// For another version, and for bytes that are no model.
    pub fn decode(bytes: &[u8]) -> Result<Ensemble, NotAModel> {
        let ensemble: Ensemble = codec::decode(MAGIC, MODEL_VERSION, bytes)?;
        if ensemble.is_valid() { Ok(ensemble) } else { Err(NotAModel::Garbled { bytes: bytes.len() }) }
    }

    /// Trains a model on a history, for forecasts of `horizon` steps.
    ///
    /// Six points are enough for a model. Trees need two days of history; before that, the statistical models forecast
    /// alone, with wide quantiles and little confidence.
    ///
    /// # Errors
    /// When there are too few known points, or one is too large.
    pub fn train(history: &Series, context: &Context<'_>, horizon: usize) -> Result<Ensemble, NoForecast> {
        let horizon = horizon.max(1);
        let known = usable(history)?;
        let covariates = ScaledCovariate::of(context, history.start(), history.end());
        let features = LoadFeatures::with_covariates(history, context, &covariates, horizon);
        let period = season_steps(history, &features);
        let with_trees = DAYS_MIN * features.day <= known && STEPS_A_DAY_MIN <= features.day;
        let validation = CrossValidation::run(&features, period, horizon, with_trees);
        let (weights, excluded) = validation.weights(horizon, with_trees);
        let predicted = validation.predicted(&weights, horizon);
        let quantile_regressions = if with_trees {
            quantile_regression::fit_with_trees(&predicted, horizon)
        } else {
            quantile_regression::fit_without_trees(&predicted, horizon)
        };
        let error = |one: &OutOfFoldPrediction<'_>| {
            let row = one.row;
            (part_of(row.ahead, horizon), (row.actual - one.prediction).abs(), row.actual.abs(), row.weight)
        };
        let errors: Vec<_> = predicted.iter().map(error).collect();
        let mut past = SeasonalResiduals::whole(&features, period);
        let statistical =
            StatisticalModels::fit(&features, (period, &mut past), &validation.rows, horizon, |_| true);
        let every: Vec<&TrainingRow> = validation.rows.iter().collect();
        let mut ensemble = Ensemble {
            step_s: history.step_s(),
            horizon,
            scale: features.scale,
            trained_until_s: history.end().as_second(),
            steps: history.len(),
            seen_until_s: history.end().as_second(),
            boosted: with_trees.then(|| BoostedRegression::fit(&every, horizon)),
            statistical,
            weights,
            quantile_regressions,
            excluded,
            history_trust: (real(known) / real(DAYS_MIN * features.day)).sqrt().min(1.0),
            calibration: OnlineCalibration::new(&errors, features.day, features.hour),
            covariates,
        };
        ensemble.score_newest(history, context, features.hour);
        Ok(ensemble)
    }

    /// Takes in the points of `history` that are newer than those taken in before: measures the errors of its predictions
    /// for them, and calibrates the quantiles, the confidence and the sums of drift. `history` is all of it, or at least the
    /// last twelve days.
    ///
    /// Older points change nothing, and it does not matter how many cycles were missed.
    ///
    /// # Errors
    /// When the history has another step.
    pub fn update(&mut self, history: &Series, context: &Context<'_>) -> Result<(), NoForecast> {
        self.check(history)?;
        let end_s = history.end().as_second();
        let new_s = end_s.saturating_sub(self.seen_until_s);
        let Ok(new) = usize::try_from(new_s / i64::from(self.step_s)) else { return Ok(()) };
        if new > 0 {
            self.score(history, context, new);
            self.seen_until_s = end_s;
        }
        Ok(())
    }

    /// The next `horizon` steps after the end of `history`, of which at least the last twelve days are needed.
    ///
    /// # Errors
    /// When the history is empty, or has another step.
    pub fn predict(
        &self,
        history: &Series,
        context: &Context<'_>,
        horizon: usize,
        levels: &[f64],
    ) -> Result<Forecast, NoForecast> {
        self.check(history)?;
        let inputs = self.inputs(history, context, horizon);
        let end = inputs.features.len();
        let steps: Vec<Vec<(f64, f64)>> =
            (0..horizon).map(|ahead| self.step(&inputs, end, ahead).1).collect();
        let at = |level: f64| steps.iter().map(|step| interpolate(step, level) * self.scale).collect();
        Ok(Forecast {
            start: history.end(),
            step_s: history.step_s(),
            mean: at(0.5),
            quantiles: levels.iter().map(|level| Quantile { level: *level, values: at(*level) }).collect(),
            model: NAME.to_owned(),
            confidence: self.confidence(),
        })
    }

    /// Why the model should be trained again, if it should: it is older than `retrain`, its errors have drifted, or the
    /// history was short and is now twice as long.
    pub fn retrain_reason(&self, now: Timestamp, retrain: Option<Duration>) -> Option<RetrainReason> {
        let age_s = now.as_second().saturating_sub(self.trained_until_s);
        let age_s_max = retrain.map(|retrain| i64::try_from(retrain.as_secs()).unwrap_or(i64::MAX));
        if age_s_max.is_some_and(|most| most <= age_s) {
            return Some(RetrainReason::Age { age_s });
        }
        if self.calibration.drift() >= 1.0 {
            return Some(RetrainReason::Drift);
        }
        let step_s = i64::from(self.step_s.max(1));
        let since = usize::try_from((self.seen_until_s - self.trained_until_s) / step_s).unwrap_or(0);
        let short = self.steps < HISTORY_DAYS * usize::try_from(86_400 / step_s).unwrap_or(1);
        (short && self.steps <= since).then_some(RetrainReason::Longer)
    }

    /// When it was trained: the end of the history that it was trained on.
    pub fn trained_at(&self) -> Timestamp {
        Timestamp::from_second(self.trained_until_s).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The end of the newest point that it has taken in.
    pub fn seen_until(&self) -> Timestamp {
        Timestamp::from_second(self.seen_until_s).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// How far forecasts can be trusted, between zero and one: `1 - mean |error| / mean |load|`. For a history of less than
    /// two days, it is multiplied by the square root of the history's length over two days.
    ///
    /// Errors are those of the median over the whole horizon. After training they are out-of-fold errors, whose weight
    /// halves with every 20 days of age. Each new point then moves both means, with the weight of a step in a day.
    pub fn confidence(&self) -> Ratio {
        Ratio::clamped(self.history_trust * self.calibration.confidence())
    }

    /// How far the newest hour is from its forecast: `1 - exp(-max(0, m - 1) / 4)`, where `m` is the mean absolute error one
    /// step ahead in multiples of the usual one. 0.2 is common; above 0.9, errors are ten times as large as usual.
    pub fn anomaly(&self) -> Ratio {
        self.calibration.anomaly()
    }

    /// How near the errors are to drift, which begins at one: the largest of three cumulative sums (Page's CUSUM) over its
    /// limit. They sum upward errors, downward errors and sizes of errors.
    pub fn drift(&self) -> f64 {
        self.calibration.drift()
    }

    /// The members that have weight, and their mean weight over the parts of the horizon. The weights add up to one.
    pub fn members(&self) -> Vec<(&'static str, f64)> {
        let parts = real(self.weights.len()).max(1.0);
        let mean = |member: usize| self.weights.iter().map(|part| part[member]).sum::<f64>() / parts;
        (0..MEMBERS).map(|member| (NAMES[member], mean(member))).filter(|member| 0.0 < member.1).collect()
    }

    /// The members without weight, and why.
    pub fn excluded(&self) -> Vec<(&'static str, Exclusion)> {
        let named = |(member, why): &(u8, Exclusion)| Some((*NAMES.get(usize::from(*member))?, *why));
        self.excluded.iter().filter_map(named).collect()
    }

    /// Whether its lists have the lengths that this build expects. Stored bytes could be anything.
    pub(super) fn is_valid(&self) -> bool {
        self.step_s > 0
            && self.scale > 0.0
            && self.weights.len() == HORIZON_PARTS.len()
            && self.quantile_regressions.len() == TRAINED_LEVELS.len()
            && self.quantile_regressions.iter().all(QuantileRegression::is_valid)
            && self.boosted.as_ref().is_none_or(BoostedRegression::is_valid)
            && self.calibration.is_valid()
    }

    fn check(&self, history: &Series) -> Result<(), NoForecast> {
        if history.known().next().is_none() {
            return Err(NoForecast::TooShort { known: 0, needed: 1 });
        }
        let (trained_s, found_s) = (self.step_s, history.step_s());
        if trained_s == found_s { Ok(()) } else { Err(NoForecast::OtherStep { trained_s, found_s }) }
    }

    /// Measures the errors of the newest `hour` of training, so that an anomaly or a new level in it is noticed. All else
    /// stays as training left it.
    fn score_newest(&mut self, history: &Series, context: &Context<'_>, hour: usize) {
        let fresh = self.calibration.clone();
        self.score(history, context, 2 * hour.max(2));
        self.calibration.forget_drift(&fresh);
    }

    fn inputs(&self, history: &Series, context: &Context<'_>, horizon: usize) -> Inputs {
        let mut features = LoadFeatures::with_covariates(
            &LoadFeatures::newest_part(history),
            context,
            &self.covariates,
            horizon,
        );
        features.scale = self.scale;
        let past = SeasonalResiduals::of(&features, &self.statistical);
        Inputs { features, past }
    }

    /// Measures the errors for the newest `count` points, each as predicted from one origin for every part of the horizon.
    fn score(&mut self, history: &Series, context: &Context<'_>, count: usize) {
        let inputs = self.inputs(history, context, 0);
        let end = inputs.features.len();
        let count = count.min(CATCH_UP_DAYS * inputs.features.day).min(end);
        for index in end - count..end {
            let Some(actual) = inputs.features.actual(index) else { continue };
            let mut scores = Vec::new();
            for (part, ahead) in self.steps_scored() {
                let Some(origin) = index.checked_sub(ahead).filter(|origin| 0 < *origin) else { continue };
                let (prediction, points) = self.step(&inputs, origin, ahead);
                let quantiles = TRAINED_LEVELS.map(|level| interpolate(&points, level));
                scores.push(ScoredStep { part, prediction, quantiles, actual });
            }
            self.calibration.update(&scores);
        }
    }

    /// The number of steps ahead in the middle of each part of the horizon.
    fn steps_scored(&self) -> Vec<(usize, usize)> {
        let mut steps_scored: Vec<(usize, usize)> = Vec::new();
        for part in 0..HORIZON_PARTS.len() {
            let of_part = (0..self.horizon).filter(|ahead| part_of(*ahead, self.horizon) == part);
            let of_part: Vec<usize> = of_part.collect();
            if let Some(ahead) = of_part.get(of_part.len() / 2) {
                steps_scored.push((part, *ahead));
            }
        }
        steps_scored
    }

    fn predictions(
        &self,
        inputs: &Inputs,
        step: &StepFeatures,
        (origin, ahead): (usize, usize),
    ) -> Predictions {
        let boosted = self.boosted.as_ref().map(|boosted| boosted.predictions(step, ahead));
        let statistical =
            self.statistical.predictions(&inputs.features, &inputs.past, (origin, ahead), self.horizon);
        in_member_order(boosted, statistical.map(|prediction| prediction / self.scale))
    }

    /// The prediction for one step, and its quantiles as pairs of the logit of the level and the value, in rising order; all
    /// in multiples of the scale. The prediction is without the correction for a new level, the quantiles are with it.
    fn step(&self, inputs: &Inputs, origin: usize, ahead: usize) -> (f64, Vec<(f64, f64)>) {
        let step = inputs.features.at_step(origin, ahead);
        let predictions = self.predictions(inputs, &step, (origin, ahead));
        let part = part_of(ahead, self.horizon);
        let uncorrected = combine(&predictions, &self.weights[part]);
        let features = tree_inputs(&step, &[predictions[0], uncorrected]);
        let prediction = (uncorrected + self.calibration.level_shift()).max(0.0);
        let mut points = vec![(logit(0.5), prediction)];
        points.extend(self.quantile_regressions.iter().enumerate().map(|(index, regression)| {
            let offset = self.calibration.calibrated(regression.offset(&features, part), part, index);
            (logit(regression.level()), (prediction + offset).max(0.0))
        }));
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut most = 0.0_f64;
        for point in &mut points {
            most = most.max(point.1);
            point.1 = most;
        }
        (uncorrected, points)
    }
}
