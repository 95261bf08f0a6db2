//! Everything that a cycle needs of one load: a trained ensemble, and what it has learned on line since.

#![expect(
    clippy::indexing_slicing,
    reason = "rows are indexed by their own number, parts by a number below theirs"
)]

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::boosted_regression::{BUCKETS, Middle, Row, bucket};
use super::covariates::{Context, Scaled};
use super::cross_validation::{Trial, Why, joined, season_of};
use super::features::{Frame, View};
use super::online_calibration::{Online, Score};
use super::quantile_regression::{self, Band, Guessed, LEVELS, along, logit};
use super::statistical_models::{Past, Small};
use super::weights::{Guesses, MEMBERS, NAMES, Weights, blend};
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
/// [`Trained::train`] is slow and rare; [`Trained::update`] and [`Trained::predict`] are for every cycle. It depends on
/// nothing but what it is given: the same histories give the same bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trained {
    step_s: u32,
    horizon: usize,
    /// The load that is one to the model.
    scale: f64,
    /// The end of the history that it was trained on, and its length in steps.
    trained_s: i64,
    steps: usize,
    /// The end of what it has seen since.
    seen_s: i64,
    extras: Vec<Scaled>,
    middle: Option<Middle>,
    small: Small,
    weights: Vec<Weights>,
    bands: Vec<Band>,
    dropped: Vec<(u8, Why)>,
    /// How much of the trust it has earned: less for a short history.
    earned: f64,
    online: Online,
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
struct Sight {
    frame: Frame,
    past: Past,
}

impl Trained {
    /// The model in bytes: some 20 KB.
    pub fn pack(&self) -> Vec<u8> {
        codec::encode(MAGIC, MODEL_VERSION, self)
    }

    /// The model from its bytes.
    ///
    /// # Errors
    /// For another version, and for bytes that are no model.
    pub fn unpack(bytes: &[u8]) -> Result<Trained, NotAModel> {
        let trained: Trained = codec::decode(MAGIC, MODEL_VERSION, bytes)?;
        if trained.is_whole() { Ok(trained) } else { Err(NotAModel::Garbled { bytes: bytes.len() }) }
    }

    /// Learns `horizon` steps ahead from a history.
    ///
    /// From six points on there is a model. Trees need two days; before that, the small members make wide bands and
    /// little confidence.
    ///
    /// # Errors
    /// When there are too few known points, or one is too large.
    pub fn train(history: &Series, context: &Context<'_>, horizon: usize) -> Result<Trained, NoForecast> {
        let horizon = horizon.max(1);
        let known = usable(history)?;
        let extras = Scaled::of(context, history.start(), history.end());
        let frame = Frame::with_extras(history, context, &extras, horizon);
        let period = season_of(history, &frame);
        let grown = DAYS_MIN * frame.day <= known && STEPS_A_DAY_MIN <= frame.day;
        let trial = Trial::hold(&frame, period, horizon, grown);
        let (weights, dropped) = trial.weights(horizon, grown);
        let guessed = trial.guessed(&weights, horizon);
        let bands = if grown {
            quantile_regression::grown(&guessed, horizon)
        } else {
            quantile_regression::plain(&guessed, horizon)
        };
        let error = |one: &Guessed<'_>| {
            let row = one.row;
            (bucket(row.ahead, horizon), (row.truth - one.guess).abs(), row.truth.abs(), row.weight)
        };
        let errors: Vec<_> = guessed.iter().map(error).collect();
        let mut past = Past::whole(&frame, period);
        let small = Small::fit(&frame, (period, &mut past), &trial.rows, horizon, |_| true);
        let every: Vec<&Row> = trial.rows.iter().collect();
        let mut trained = Trained {
            step_s: history.step_s(),
            horizon,
            scale: frame.scale,
            trained_s: history.end().as_second(),
            steps: history.len(),
            seen_s: history.end().as_second(),
            middle: grown.then(|| Middle::fit(&every, horizon)),
            small,
            weights,
            bands,
            dropped,
            earned: (real(known) / real(DAYS_MIN * frame.day)).sqrt().min(1.0),
            online: Online::new(&errors, frame.day, frame.hour),
            extras,
        };
        trained.look_back(history, context, frame.hour);
        Ok(trained)
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
        let new_s = end_s.saturating_sub(self.seen_s);
        let Ok(new) = usize::try_from(new_s / i64::from(self.step_s)) else { return Ok(()) };
        if new > 0 {
            self.score(history, context, new);
            self.seen_s = end_s;
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
        let sight = self.sight(history, context, horizon);
        let end = sight.frame.len();
        let steps: Vec<Vec<(f64, f64)>> = (0..horizon).map(|ahead| self.step(&sight, end, ahead).1).collect();
        let at = |level: f64| steps.iter().map(|step| along(step, level) * self.scale).collect();
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
        let age_s = now.as_second().saturating_sub(self.trained_s);
        let age_s_max = retrain.map(|retrain| i64::try_from(retrain.as_secs()).unwrap_or(i64::MAX));
        if age_s_max.is_some_and(|most| most <= age_s) {
            return Some(RetrainReason::Age { age_s });
        }
        if self.online.drift() >= 1.0 {
            return Some(RetrainReason::Drift);
        }
        let step_s = i64::from(self.step_s.max(1));
        let since = usize::try_from((self.seen_s - self.trained_s) / step_s).unwrap_or(0);
        let short = self.steps < HISTORY_DAYS * usize::try_from(86_400 / step_s).unwrap_or(1);
        (short && self.steps <= since).then_some(RetrainReason::Longer)
    }

    /// When it was trained: the end of the history it learned from.
    pub fn trained_at(&self) -> Timestamp {
        Timestamp::from_second(self.trained_s).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The end of the newest point that it has taken in.
    pub fn seen_until(&self) -> Timestamp {
        Timestamp::from_second(self.seen_s).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// How far it is to be trusted, between zero and one: `1 - mean |error| / mean |load|`, times the square root of the
    /// history's length over two days where it is shorter.
    ///
    /// Errors are those of the median over the whole horizon. After training they are those at held-out times, newer
    /// ones counting more (half after 20 days); each point that comes moves both means by the share of a step in a day.
    pub fn confidence(&self) -> Ratio {
        Ratio::clamped(self.earned * self.online.confidence())
    }

    /// How unlike what was expected the newest hour is: `1 - exp(-max(0, m - 1) / 4)`, where `m` is the mean of the
    /// errors one step ahead in multiples of their usual size. 0.2 is nothing special; above 0.9 is ten times the usual.
    pub fn anomaly(&self) -> Ratio {
        self.online.anomaly()
    }

    /// How near its errors are to being drift: one and above is drift. Sums of normalised errors (Page's CUSUM), to both
    /// sides and of their size, over their limit.
    pub fn drift(&self) -> f64 {
        self.online.drift()
    }

    /// The members that count and how much, on average over the parts of the horizon. The weights add up to one.
    pub fn members(&self) -> Vec<(&'static str, f64)> {
        let parts = real(self.weights.len()).max(1.0);
        let mean = |member: usize| self.weights.iter().map(|part| part[member]).sum::<f64>() / parts;
        (0..MEMBERS).map(|member| (NAMES[member], mean(member))).filter(|member| 0.0 < member.1).collect()
    }

    /// The members that count nothing, and why.
    pub fn dropped(&self) -> Vec<(&'static str, Why)> {
        let named = |(member, why): &(u8, Why)| Some((*NAMES.get(usize::from(*member))?, *why));
        self.dropped.iter().filter_map(named).collect()
    }

    /// Whether it has the shape that this build works with; bytes may say anything.
    pub(super) fn is_whole(&self) -> bool {
        self.step_s > 0
            && self.scale > 0.0
            && self.weights.len() == BUCKETS.len()
            && self.bands.len() == LEVELS.len()
            && self.bands.iter().all(Band::is_whole)
            && self.middle.as_ref().is_none_or(Middle::is_whole)
            && self.online.is_whole()
    }

    fn check(&self, history: &Series) -> Result<(), NoForecast> {
        if history.known().next().is_none() {
            return Err(NoForecast::TooShort { known: 0, needed: 1 });
        }
        let (trained_s, found_s) = (self.step_s, history.step_s());
        if trained_s == found_s { Ok(()) } else { Err(NoForecast::OtherStep { trained_s, found_s }) }
    }

    /// Scores the newest `hour` of the training itself, so that an anomaly or a new level in it is seen, and nothing else.
    fn look_back(&mut self, history: &Series, context: &Context<'_>, hour: usize) {
        let fresh = self.online.clone();
        self.score(history, context, 2 * hour.max(2));
        self.online.settle(&fresh);
    }

    fn sight(&self, history: &Series, context: &Context<'_>, horizon: usize) -> Sight {
        let mut frame = Frame::with_extras(&Frame::tail(history), context, &self.extras, horizon);
        frame.scale = self.scale;
        let past = Past::of(&frame, &self.small);
        Sight { frame, past }
    }

    /// Scores the newest `count` points: each as it was foreseen from one origin in every part of the horizon.
    fn score(&mut self, history: &Series, context: &Context<'_>, count: usize) {
        let sight = self.sight(history, context, 0);
        let end = sight.frame.len();
        let count = count.min(CATCH_UP_DAYS * sight.frame.day).min(end);
        for index in end - count..end {
            let Some(truth) = sight.frame.truth(index) else { continue };
            let mut scores = Vec::new();
            for (part, ahead) in self.tried() {
                let Some(origin) = index.checked_sub(ahead).filter(|origin| 0 < *origin) else { continue };
                let (guess, points) = self.step(&sight, origin, ahead);
                let quantiles = LEVELS.map(|level| along(&points, level));
                scores.push(Score { bucket: part, guess, quantiles, truth });
            }
            self.online.take(&scores);
        }
    }

    /// One step ahead for each part of the horizon: the middle of the part.
    fn tried(&self) -> Vec<(usize, usize)> {
        let mut tried: Vec<(usize, usize)> = Vec::new();
        for part in 0..BUCKETS.len() {
            let of_part = (0..self.horizon).filter(|ahead| bucket(*ahead, self.horizon) == part);
            let of_part: Vec<usize> = of_part.collect();
            if let Some(ahead) = of_part.get(of_part.len() / 2) {
                tried.push((part, *ahead));
            }
        }
        tried
    }

    fn guesses(&self, sight: &Sight, view: &View, (origin, ahead): (usize, usize)) -> Guesses {
        let middle = self.middle.as_ref().map(|middle| middle.guesses(view, ahead));
        let small = self.small.guesses(&sight.frame, &sight.past, (origin, ahead), self.horizon);
        joined(middle, small.map(|guess| guess / self.scale))
    }

    /// What the model itself says of one step, and its quantiles by the logit of their level, rising, where the load has a
    /// level of its own; in multiples of the scale.
    fn step(&self, sight: &Sight, origin: usize, ahead: usize) -> (f64, Vec<(f64, f64)>) {
        let view = sight.frame.view(origin, ahead);
        let guesses = self.guesses(sight, &view, (origin, ahead));
        let part = bucket(ahead, self.horizon);
        let own = blend(&guesses, &self.weights[part]);
        let features = super::boosted_regression::with(&view, &[guesses[0], own]);
        let guess = (own + self.online.level()).max(0.0);
        let mut points = vec![(logit(0.5), guess)];
        points.extend(self.bands.iter().enumerate().map(|(index, band)| {
            let off = self.online.stretched(band.off(&features, part), part, index);
            (logit(band.level()), (guess + off).max(0.0))
        }));
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut most = 0.0_f64;
        for point in &mut points {
            most = most.max(point.1);
            point.1 = most;
        }
        (own, points)
    }
}
