//! The trained model: a robust line, trees for what the line misses, and trees for the quantiles of what both miss.
//!
//! The line follows level and season; the trees know the time of day, the weekday and the shape of the last hours. The
//! errors from which quantiles are learned are honest: each is made by a model that did not see its part of the history.
//! The quantiles are those of Romano, Patterson and Candès, "Conformalized Quantile Regression" (2019), with the shift
//! shrunk, because neighbouring errors repeat each other.

#![expect(
    clippy::indexing_slicing,
    reason = "rows are indexed by their own number, buckets by a number below theirs"
)]
#![expect(clippy::as_conversions, reason = "trees work in numbers of seven digits")]

use serde::{Deserialize, Serialize};

use super::boost::{Boost, Loss, Matrix, Settings};
use super::frame::{FEATURES, Frame, View};
use super::linear::{self, Weights};
use super::{Forecast, NoForecast, Quantile, quantile, real};
use crate::series::Series;
use crate::units::Ratio;

/// Where a stored model comes from. Another version is refused and trained anew, not misread.
const VERSION: u32 = 1;
/// The name of the model in forecasts.
const NAME: &str = "boosted_line";
/// Rows that a model learns from: more take longer and say the same again.
const ROWS_MAX: usize = 6_000;
/// After so many days a row counts half.
const HALF_LIFE_DAYS: f64 = 20.0;
/// Parts of the history that are left out in turn to learn how large honest errors are.
const FOLDS: usize = 3;
/// Horizons that share a line and a shift: near steps differ, far ones hardly do.
const BUCKETS: [f64; 5] = [0.06, 0.13, 0.3, 0.6, 1.0];
/// Levels for which trees are grown. Those between lie on the line between, by the logit of the level.
const LEVELS: [f64; 4] = [0.05, 0.9, 0.95, 0.99];
/// The share of the measured shift that is applied.
const SHIFT_SHARE: f64 = 0.2;
/// Fewest days of history; under it a profile of the day has nothing to be checked against.
const DAYS_MIN: usize = 2;
/// Coarser grids have too few steps a day for a season within it.
const STEPS_A_DAY_MIN: usize = 12;

const MIDDLE: Settings = Settings {
    loss: Loss::Quantile(0.5),
    trees: 60,
    depth: 5,
    rate: 0.15,
    prior: 10.0,
    features: 0.5,
    seed: 7,
};
const BAND: Settings = Settings { trees: 40, depth: 3, ..MIDDLE };

/// A model trained on one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    version: u32,
    middle: Middle,
    bands: Vec<Band>,
    confidence: Ratio,
}

/// The expected load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Middle {
    /// Steps it was trained to look ahead.
    horizon: usize,
    /// The load that is one to the model.
    scale: f64,
    lines: Vec<Weights>,
    trees: Boost,
}

/// One quantile of what the middle misses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Band {
    level: f64,
    trees: Boost,
    /// What is added by bucket, so that the level holds.
    shifts: Vec<f64>,
}

/// One step of the history seen from an origin before it.
struct Row {
    origin: usize,
    ahead: usize,
    view: View,
    truth: f64,
    weight: f64,
}

/// A row's honest guess: one of a model that did not learn from its part.
struct Honest {
    row: usize,
    guess: f64,
}

impl Model {
    /// Learns `horizon` steps ahead from a history.
    ///
    /// # Errors
    /// When the history is too short, or mostly gaps.
    pub fn train(history: &Series, horizon: usize) -> Result<Model, NoForecast> {
        let frame = Frame::new(history);
        let horizon = horizon.max(1);
        let needed = DAYS_MIN * frame.day;
        let known = history.known().count();
        if known < needed || frame.day < STEPS_A_DAY_MIN {
            return Err(NoForecast::TooShort { known, needed });
        }
        let rows = rows(&frame, horizon);
        let honest = honest(&frame, &rows, horizon);
        let every: Vec<&Row> = rows.iter().collect();
        let middle = Middle::fit(&every, horizon, frame.scale);
        let bands = bands(&middle, &rows, &honest);
        let confidence = confidence(&rows, &honest);
        Ok(Model { version: VERSION, middle, bands, confidence })
    }

    /// Whether this build can read it.
    pub fn is_current(&self) -> bool {
        self.version == VERSION && self.middle.lines.len() == BUCKETS.len()
    }

    /// How far it is to be trusted: one minus its mean honest error over the mean load.
    pub fn confidence(&self) -> Ratio {
        self.confidence
    }

    /// The next `horizon` steps after the end of `history`, which holds what came since the training too.
    pub fn predict(&self, history: &Series, horizon: usize, levels: &[f64]) -> Forecast {
        let mut frame = Frame::new(history);
        frame.scale = self.middle.scale;
        let steps: Vec<Vec<(f64, f64)>> =
            (0..horizon).map(|ahead| self.step(&frame.view(frame.len().max(1), ahead), ahead)).collect();
        let at = |level: f64| steps.iter().map(|step| along(step, level) * frame.scale).collect();
        Forecast {
            start: history.end(),
            step_s: history.step_s(),
            mean: at(0.5),
            quantiles: levels.iter().map(|level| Quantile { level: *level, values: at(*level) }).collect(),
            model: NAME.to_owned(),
            confidence: self.confidence,
        }
    }

    /// The quantiles of one step by the logit of their level, rising, in multiples of the scale.
    fn step(&self, view: &View, ahead: usize) -> Vec<(f64, f64)> {
        let guess = self.middle.guess(view, ahead);
        let row = self.middle.band_row(view, ahead, guess);
        let bucket = self.middle.bucket(ahead);
        let mut points = vec![(logit(0.5), guess)];
        points.extend(self.bands.iter().map(|band| {
            let off = band.trees.predict(&row) + band.shifts[bucket] * SHIFT_SHARE;
            // A quantile on the wrong side of the middle is noise.
            let off = if band.level < 0.5 { off.min(0.0) } else { off.max(0.0) };
            (logit(band.level), (guess + off).max(0.0))
        }));
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut most = 0.0_f64;
        for point in &mut points {
            most = most.max(point.1);
            point.1 = most;
        }
        points
    }
}

impl Middle {
    fn fit(rows: &[&Row], horizon: usize, scale: f64) -> Middle {
        let mut middle = Middle { horizon, scale, lines: Vec::new(), trees: Boost::default() };
        middle.lines = (0..BUCKETS.len())
            .map(|bucket| {
                let mine = rows.iter().filter(|row| middle.bucket(row.ahead) == bucket);
                linear::fit(&mine.map(|row| (&row.view.terms, row.truth, row.weight)).collect::<Vec<_>>())
            })
            .collect();
        let mut matrix = Matrix::new(FEATURES + 1);
        let (mut missed, mut weights) = (Vec::new(), Vec::new());
        for row in rows {
            let line = middle.line(&row.view, row.ahead);
            matrix.push(&with(&row.view, &[line]));
            missed.push((row.truth - line) as f32);
            weights.push(row.weight as f32);
        }
        middle.trees = Boost::fit(&matrix, &missed, &weights, &MIDDLE);
        middle
    }

    fn bucket(&self, ahead: usize) -> usize {
        let share = (real(ahead) + 0.5) / real(self.horizon);
        BUCKETS.iter().position(|end| share < *end).unwrap_or(BUCKETS.len() - 1)
    }

    fn line(&self, view: &View, ahead: usize) -> f64 {
        linear::dot(&view.terms, &self.lines[self.bucket(ahead)])
    }

    fn guess(&self, view: &View, ahead: usize) -> f64 {
        let line = self.line(view, ahead);
        (line + self.trees.predict(&with(view, &[line]))).max(0.0)
    }

    fn band_row(&self, view: &View, ahead: usize, guess: f64) -> Vec<f32> {
        with(view, &[self.line(view, ahead), guess])
    }
}

fn with(view: &View, more: &[f64]) -> Vec<f32> {
    view.features.iter().copied().chain(more.iter().map(|value| *value as f32)).collect()
}

/// Rows over the whole history: from every origin, or every so many, one step in each part of the horizon.
fn rows(frame: &Frame, horizon: usize) -> Vec<Row> {
    let (first, end) = (frame.first(), frame.len());
    let origins = end.saturating_sub(first).max(1);
    let stride = origins.div_ceil(ROWS_MAX);
    let each = (ROWS_MAX / origins).clamp(1, horizon);
    let mut rows = Vec::new();
    for origin in (first..end).step_by(stride) {
        for part in 0..each {
            let (from, to) = (part * horizon / each, (part + 1) * horizon / each);
            let ahead = from + scatter(origin, part) % (to - from).max(1);
            let Some(truth) = frame.truth(origin + ahead) else { continue };
            let age_days = real(end - origin) / real(frame.day);
            let weight = (-age_days / HALF_LIFE_DAYS).exp2();
            rows.push(Row { origin, ahead, view: frame.view(origin, ahead), truth, weight });
        }
    }
    rows
}

/// A number that neighbouring origins and parts do not share, the same in every run (Knuth's multiplicative hash).
fn scatter(origin: usize, part: usize) -> usize {
    let mixed = (origin * 31 + part + 1).wrapping_mul(2_654_435_769);
    (mixed >> 12) & 0xffff
}

/// Honest guesses: every part of the history is guessed by a model of the other parts, with a horizon between them.
fn honest(frame: &Frame, rows: &[Row], horizon: usize) -> Vec<Honest> {
    let (first, end) = (frame.first(), frame.len());
    let cut = |fold: usize| first + (end - first) * fold / FOLDS;
    let mut honest = Vec::new();
    for fold in 0..FOLDS {
        let (from, to) = (cut(fold), cut(fold + 1));
        let apart = |row: &&Row| row.origin + row.ahead < from || to + horizon <= row.origin;
        let others: Vec<&Row> = rows.iter().filter(apart).collect();
        let model = Middle::fit(&others, horizon, frame.scale);
        let mine = rows.iter().enumerate().filter(|(_, row)| (from..to).contains(&row.origin));
        honest
            .extend(mine.map(|(index, row)| Honest { row: index, guess: model.guess(&row.view, row.ahead) }));
    }
    honest
}

/// Quantiles of the honest errors, each shifted by what it is off on the half of them it did not learn from.
fn bands(middle: &Middle, rows: &[Row], honest: &[Honest]) -> Vec<Band> {
    let (early, late) = honest.split_at(honest.len() / 2);
    let grown = |level: f64, errors: &[Honest]| {
        let mut matrix = Matrix::new(FEATURES + 2);
        let (mut missed, mut weights) = (Vec::new(), Vec::new());
        for error in errors {
            let row = &rows[error.row];
            matrix.push(&middle.band_row(&row.view, row.ahead, error.guess));
            missed.push((row.truth - error.guess) as f32);
            weights.push(row.weight as f32);
        }
        Boost::fit(&matrix, &missed, &weights, &Settings { loss: Loss::Quantile(level), ..BAND })
    };
    let band = |level: f64| {
        let mut off = vec![Vec::new(); BUCKETS.len()];
        for (learned, tried) in [(early, late), (late, early)] {
            let trees = grown(level, learned);
            for error in tried {
                let row = &rows[error.row];
                let said = trees.predict(&middle.band_row(&row.view, row.ahead, error.guess));
                off[middle.bucket(row.ahead)].push(row.truth - error.guess - said);
            }
        }
        off.iter_mut().for_each(|off| off.sort_by(f64::total_cmp));
        let shifts = off.iter().map(|off| quantile(off, level)).collect();
        Band { level, trees: grown(level, honest), shifts }
    };
    LEVELS.into_iter().map(band).collect()
}

fn confidence(rows: &[Row], honest: &[Honest]) -> Ratio {
    let sum = |of: fn(&Row, f64) -> f64| -> f64 {
        honest.iter().map(|error| of(&rows[error.row], error.guess) * rows[error.row].weight).sum()
    };
    let (missed, load) = (sum(|row, guess| (row.truth - guess).abs()), sum(|row, _| row.truth.abs()));
    let relative = if load > 0.0 { missed / load } else { missed };
    if honest.is_empty() { Ratio::ZERO } else { Ratio::clamped(1.0 - relative) }
}

fn logit(level: f64) -> f64 {
    let level = level.clamp(1e-6, 1.0 - 1e-6);
    (level / (1.0 - level)).ln()
}

/// The value at a level: on the line between the points, or beyond them on the line through the last two.
fn along(points: &[(f64, f64)], level: f64) -> f64 {
    let at = logit(level);
    let after = points.partition_point(|point| point.0 < at).clamp(1, points.len() - 1);
    let ((x0, y0), (x1, y1)) = (points[after - 1], points[after]);
    let value = if x1 > x0 { y0 + (y1 - y0) * (at - x0) / (x1 - x0) } else { y1 };
    value.max(0.0)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    const HOURLY: u32 = 3_600;

    fn series(values: impl IntoIterator<Item = Option<f64>>) -> Series {
        Series::new(Timestamp::UNIX_EPOCH, HOURLY, values)
    }

    /// A day's wave with a noise that repeats only after many weeks.
    fn load(index: usize) -> f64 {
        let wave = 100.0 - 50.0 * (real(index % 24) / 24.0 * std::f64::consts::TAU).cos();
        wave + real(scatter(index, 5) % 1_000) / 50.0
    }

    fn days(days: usize) -> Series {
        series((0..days * 24).map(|index| Some(load(index))))
    }

    #[test]
    fn the_day_is_learned_and_the_band_holds() {
        let (mut inside, mut tried) = (0, 0);
        let model = Model::train(&days(21), 6).unwrap();
        for origin in (21 * 24..28 * 24).step_by(6) {
            let forecast =
                model.predict(&series((0..origin).map(|index| Some(load(index)))), 6, &[0.05, 0.95]);
            for ahead in 0..6 {
                let truth = load(origin + ahead);
                assert!((forecast.mean[ahead] - truth).abs() < 25.0, "{origin}+{ahead}");
                let (low, high) = (forecast.quantiles[0].values[ahead], forecast.quantiles[1].values[ahead]);
                inside += usize::from(low <= truth && truth <= high);
                tried += 1;
            }
        }
        let share = real(inside) / real(tried);
        assert!((0.75..=0.99).contains(&share), "{share} of the truth lies in the 90 % band");
        assert!(model.confidence().get() > 0.9);
    }

    #[test]
    fn too_little_is_refused() {
        assert!(matches!(Model::train(&days(1), 6), Err(NoForecast::TooShort { known: 24, needed: 48 })));
    }

    #[test]
    fn odd_histories_are_served() {
        type Load = fn(usize) -> Option<f64>;
        let odd: [(&str, Load); 5] = [
            ("zero", |_| Some(0.0)),
            ("constant", |_| Some(7.0)),
            ("negative", |index| Some(-real(index % 5))),
            ("gaps", |index| (index % 3 != 0).then(|| load(index))),
            ("reset", |index| Some(real(index % 100) * 1e9)),
        ];
        for (name, of) in odd {
            let history = series((0..10 * 24).map(of));
            let forecast = Model::train(&history, 6).unwrap().predict(&history, 30, &[0.05, 0.5, 0.999]);
            let mut values = forecast.quantiles.iter().flat_map(|quantile| &quantile.values);
            assert!(values.all(|value| value.is_finite() && 0.0 <= *value), "{name}: {forecast:?}");
        }
        let constant = series((0..240).map(|_| Some(7.0)));
        let forecast = Model::train(&constant, 6).unwrap().predict(&constant, 6, &[0.95]);
        assert!((forecast.quantiles[0].values[3] - 7.0).abs() < 0.01, "{forecast:?}");
    }

    #[test]
    fn a_stored_model_says_the_same_and_stays_small() {
        let model = Model::train(&days(14), 6).unwrap();
        let text = serde_json::to_string(&model).unwrap();
        assert!(text.len() < 64 * 1_024, "{} bytes", text.len());
        let stored: Model = serde_json::from_str(&text).unwrap();
        let say = |model: &Model| model.predict(&days(14), 6, &[0.05, 0.9]);
        assert!(stored.is_current());
        assert_eq!(say(&stored), say(&model));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4))]

        #[test]
        fn the_future_changes_nothing_and_quantiles_never_cross(
            future in proptest::collection::vec(0.0..1e6_f64, 1..50),
        ) {
            let past = days(6);
            let longer = series((0..6 * 24).map(|index| Some(load(index))).chain(future.into_iter().map(Some)));
            let say = |history: &Series| {
                Model::train(history, 6).unwrap().predict(history, 12, &[0.01, 0.05, 0.5, 0.9, 0.95, 0.999])
            };
            let said = say(&past);
            prop_assert_eq!(&said, &say(&longer.until(past.end())));
            for step in 0..12 {
                let values: Vec<f64> = said.quantiles.iter().map(|quantile| quantile.values[step]).collect();
                prop_assert!(values.is_sorted() && values[0] >= 0.0, "{:?}", values);
            }
        }
    }
}
