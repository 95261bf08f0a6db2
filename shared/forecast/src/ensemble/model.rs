//! Everything that a cycle needs of one load: a trained ensemble, and what it has learned on line since.

#![expect(
    clippy::indexing_slicing,
    reason = "rows are indexed by their own number, parts by a number below theirs"
)]

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::boosted_regression::{BoostedRegression, HORIZON_PARTS, TrainingRow, part_of};
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

/// What every stored model starts with.
const MAGIC: [u8; 4] = *b"HRFM";
/// The version that this build writes and reads. It changes with anything in a model that is stored.
pub const MODEL_VERSION: u16 = 1;
/// The name of the model in forecasts.
pub const NAME: &str = "ensemble";
/// Fewest days of history for trees; under it a profile of the day has nothing to be checked against.
const DAYS_MIN: usize = 2;
/// Coarser grids have too few steps a day for a season within it.
const STEPS_A_DAY_MIN: usize = 12;
/// A model trained on less than this is trained again when there is twice as much.
const HISTORY_DAYS: usize = 14;
/// After a pause, points older than this many days are not scored: the newest say how things are.
const CATCH_UP_DAYS: usize = 1;

/// A model trained on one load.
///
/// [`Ensemble::train`] is slow and rare; [`Ensemble::update`] and [`Ensemble::predict`] are for every cycle. It depends on
/// nothing but what it is given: the same histories give the same bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ensemble {
    step_s: u32,
    horizon: usize,
    /// The load that is one to the model.
    scale: f64,
    /// The end of the history that it was trained on, and its length in steps.
    trained_until_s: i64,
    steps: usize,
    /// The end of what it has seen since.
    seen_until_s: i64,
    covariates: Vec<ScaledCovariate>,
    boosted: Option<BoostedRegression>,
    statistical: StatisticalModels,
    weights: Vec<MemberWeights>,
    quantile_regressions: Vec<QuantileRegression>,
    excluded: Vec<(u8, Exclusion)>,
    /// How much of the trust it has earned: less for a short history.
    history_trust: f64,
    calibration: OnlineCalibration,
}

/// Why a model should be trained again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RetrainReason {
    /// It is as old as models may get.
    Age {
        /// Seconds since it was trained.
        age_s: i64,
    },
    /// Its errors have become larger, or fall to one side.
    Drift,
    /// There is at least twice the history that it was trained on.
    Longer,
}

/// What a model sees of a history in one call.
struct Inputs {
    features: LoadFeatures,
    past: SeasonalResiduals,
}

impl Ensemble {
    /// The model in bytes: some 20 KB.
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

    /// Learns `horizon` steps ahead from a history.
    ///
    /// From six points on there is a model. Trees need two days; before that, the small members make wide bands and
    /// little confidence.
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

    /// Takes in the points of `history` that are newer than what was seen before: scores what it said of them, widens
    /// or narrows its bands, and watches for drift. `history` is all of it, or at least the last twelve days.
    ///
    /// Points seen before change nothing, and it does not matter how many cycles were missed.
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

    /// Why it should be trained again, if it should: it is older than `retrain`, its errors have drifted, or, for a model
    /// of a short history, there is twice as much by now.
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

    /// When it was trained: the end of the history it learned from.
    pub fn trained_at(&self) -> Timestamp {
        Timestamp::from_second(self.trained_until_s).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The end of the newest point that it has taken in.
    pub fn seen_until(&self) -> Timestamp {
        Timestamp::from_second(self.seen_until_s).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// How far it is to be trusted, between zero and one: `1 - mean |error| / mean |load|`, times the square root of the
    /// history's length over two days where it is shorter.
    ///
    /// Errors are those of the median over the whole horizon. After training they are those at held-out times, newer
    /// ones counting more (half after 20 days); each point that comes moves both means by the share of a step in a day.
    pub fn confidence(&self) -> Ratio {
        Ratio::clamped(self.history_trust * self.calibration.confidence())
    }

    /// How unlike what was expected the newest hour is: `1 - exp(-max(0, m - 1) / 4)`, where `m` is the mean of the
    /// errors one step ahead in multiples of their usual size. 0.2 is nothing special; above 0.9 is ten times the usual.
    pub fn anomaly(&self) -> Ratio {
        self.calibration.anomaly()
    }

    /// How near its errors are to being drift: one and above is drift. Sums of normalised errors (Page's CUSUM), to both
    /// sides and of their size, over their limit.
    pub fn drift(&self) -> f64 {
        self.calibration.drift()
    }

    /// The members that count and how much, on average over the parts of the horizon. The weights add up to one.
    pub fn members(&self) -> Vec<(&'static str, f64)> {
        let parts = real(self.weights.len()).max(1.0);
        let mean = |member: usize| self.weights.iter().map(|part| part[member]).sum::<f64>() / parts;
        (0..MEMBERS).map(|member| (NAMES[member], mean(member))).filter(|member| 0.0 < member.1).collect()
    }

    /// The members that count nothing, and why.
    pub fn excluded(&self) -> Vec<(&'static str, Exclusion)> {
        let named = |(member, why): &(u8, Exclusion)| Some((*NAMES.get(usize::from(*member))?, *why));
        self.excluded.iter().filter_map(named).collect()
    }

    /// Whether it has the shape that this build works with; bytes may say anything.
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

    /// Scores the newest `hour` of the training itself, so that an anomaly or a new level in it is seen, and nothing else.
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

    /// Scores the newest `count` points: each as it was foreseen from one origin in every part of the horizon.
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
                scores.push(ScoredStep { part: part, prediction, quantiles, actual });
            }
            self.calibration.update(&scores);
        }
    }

    /// One step ahead for each part of the horizon: the middle of the part.
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

    /// What the model itself says of one step, and its quantiles by the logit of their level, rising, where the load has a
    /// level of its own; in multiples of the scale.
    fn step(&self, inputs: &Inputs, origin: usize, ahead: usize) -> (f64, Vec<(f64, f64)>) {
        let step = inputs.features.at_step(origin, ahead);
        let predictions = self.predictions(inputs, &step, (origin, ahead));
        let part = part_of(ahead, self.horizon);
        let uncorrected = combine(&predictions, &self.weights[part]);
        let features = super::boosted_regression::tree_inputs(&step, &[predictions[0], uncorrected]);
        let prediction = (uncorrected + self.calibration.level_shift()).max(0.0);
        let mut points = vec![(logit(0.5), prediction)];
        points.extend(self.quantile_regressions.iter().enumerate().map(|(index, regression)| {
            let off = self.calibration.calibrated(regression.offset(&features, part), part, index);
            (logit(regression.level()), (prediction + off).max(0.0))
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
