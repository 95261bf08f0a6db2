//! The boosted line: a robust line for level and season, and trees for what the line misses.

#![expect(clippy::indexing_slicing, reason = "buckets are numbers below that of the lines")]
#![expect(clippy::as_conversions, reason = "trees work in numbers of seven digits")]

use serde::{Deserialize, Serialize};

use super::features::{Frame, View};
use super::linear_regression::{self, Weights};
use crate::boosting::{Boost, Loss, Matrix, Settings};
use crate::statistics::real;

/// Rows that a model learns from: more take longer and say the same again.
const ROWS_MAX: usize = 6_000;
/// After so many days a row counts half.
const HALF_LIFE_DAYS: f64 = 20.0;
/// Where parts of the horizon end that share a line, weights and a shift: near steps differ, far ones hardly do.
pub(super) const BUCKETS: [f64; 5] = [0.06, 0.13, 0.3, 0.6, 1.0];

/// How trees of the middle are grown; bands grow smaller ones.
pub(super) const MIDDLE: Settings = Settings {
    loss: Loss::Quantile(0.5),
    trees: 60,
    depth: 5,
    rate: 0.15,
    prior: 10.0,
    features: 0.5,
    seed: 7,
};

/// The expected load by a line and trees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Middle {
    /// Steps it was trained to look ahead.
    horizon: usize,
    lines: Vec<Weights>,
    trees: Boost,
}

/// One step of the history seen from an origin before it.
pub(super) struct Row {
    pub(super) origin: usize,
    pub(super) ahead: usize,
    pub(super) view: View,
    pub(super) truth: f64,
    pub(super) weight: f64,
    /// Whether a flash crowd came that nothing announced: no model is to expect it again at its time of day.
    pub(super) sudden: bool,
}

/// The part of the horizon that a step lies in.
pub(super) fn bucket(ahead: usize, horizon: usize) -> usize {
    let share = (real(ahead) + 0.5) / real(horizon.max(1));
    BUCKETS.iter().position(|end| share < *end).unwrap_or(BUCKETS.len() - 1)
}

impl Middle {
    pub(super) fn fit(rows: &[&Row], horizon: usize) -> Middle {
        let rows: Vec<&Row> = rows.iter().copied().filter(|row| !row.sudden).collect();
        let mut middle = Middle { horizon, lines: Vec::new(), trees: Boost::default() };
        middle.lines = (0..BUCKETS.len())
            .map(|part| {
                let mine = rows.iter().filter(|row| bucket(row.ahead, horizon) == part);
                linear_regression::fit(
                    &mine.map(|row| (&row.view.terms, row.truth, row.weight)).collect::<Vec<_>>(),
                )
            })
            .collect();
        let mut matrix = Matrix::new(rows.first().map_or(0, |row| row.view.features.len()) + 1);
        let (mut missed, mut weights) = (Vec::new(), Vec::new());
        for row in &rows {
            let line = middle.line(&row.view, row.ahead);
            matrix.push(&with(&row.view, &[line]));
            missed.push((row.truth - line) as f32);
            weights.push(row.weight as f32);
        }
        middle.trees = Boost::fit(&matrix, &missed, &weights, &MIDDLE);
        middle
    }

    pub(super) fn is_whole(&self) -> bool {
        self.lines.len() == BUCKETS.len()
    }

    pub(super) fn line(&self, view: &View, ahead: usize) -> f64 {
        linear_regression::dot(&view.terms, &self.lines[bucket(ahead, self.horizon)])
    }

    /// What the line says, and what line and trees say.
    pub(super) fn guesses(&self, view: &View, ahead: usize) -> [f64; 2] {
        let line = self.line(view, ahead);
        [line, line + self.trees.predict(&with(view, &[line]))]
    }
}

/// The features of a view and some more.
pub(super) fn with(view: &View, more: &[f64]) -> Vec<f32> {
    view.features.iter().copied().chain(more.iter().map(|value| *value as f32)).collect()
}

/// Rows over the whole history: from every origin, or every so many, one step in each part of the horizon.
pub(super) fn rows(frame: &Frame, horizon: usize) -> Vec<Row> {
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
            let sudden = frame.is_crowd(origin + ahead) && !frame.is_crowd(origin - 1);
            rows.push(Row { origin, ahead, view: frame.view(origin, ahead), truth, weight, sudden });
        }
    }
    rows
}

/// A number that neighbouring origins and parts do not share, the same in every run (Knuth's multiplicative hash).
pub(super) fn scatter(origin: usize, part: usize) -> usize {
    let mixed = (origin * 31 + part + 1).wrapping_mul(2_654_435_769);
    (mixed >> 12) & 0xffff
}
