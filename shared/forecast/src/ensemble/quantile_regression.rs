//! Quantiles of what the ensemble misses: trees by level, shifted so that the level holds.
//!
//! Romano, Patterson and Candès, "Conformalized Quantile Regression" (2019), with the shift shrunk, because neighbouring
//! errors repeat each other.

#![expect(
    clippy::indexing_slicing,
    reason = "rows are indexed by their own number, buckets by a number below theirs"
)]
#![expect(clippy::as_conversions, reason = "trees work in numbers of seven digits")]

use serde::{Deserialize, Serialize};

use super::boosted_regression::{BUCKETS, MIDDLE, Row, bucket, with};
use crate::boosting::{Bins, Boost, Loss, Matrix, Settings};
use crate::statistics::{quantile, real};

/// Levels for which trees are grown. Those between lie on the line between, by the logit of the level.
pub(super) const LEVELS: [f64; 4] = [0.05, 0.9, 0.95, 0.99];
/// The share of the measured shift that is applied to trees.
const SHIFT_SHARE: f64 = 0.2;
/// Honest errors are those of models that learned from two thirds of the history; the one that is used learned from all of
/// it and is off by that much less.
const LEFT_OUT: f64 = 0.97;
const BAND: Settings = Settings { trees: 40, depth: 3, ..MIDDLE };
/// Without trees, quantiles of few errors are drawn apart as if each were so many independent ones.
const REPEATS: f64 = 6.0;

/// One quantile of what the middle misses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Band {
    level: f64,
    trees: Boost,
    /// What is added by bucket, so that the level holds.
    shifts: Vec<f64>,
}

/// A row and what was honestly guessed of it.
pub(super) struct Guessed<'a> {
    pub(super) row: &'a Row,
    pub(super) line: f64,
    pub(super) guess: f64,
}

impl Guessed<'_> {
    fn missed(&self) -> f64 {
        self.row.truth - self.guess
    }

    fn features(&self) -> Vec<f32> {
        with(&self.row.view, &[self.line, self.guess])
    }
}

impl Band {
    pub(super) fn level(&self) -> f64 {
        self.level
    }

    /// How far the quantile lies from the middle. One on the wrong side of it is noise.
    pub(super) fn off(&self, features: &[f32], bucket: usize) -> f64 {
        let off = self.trees.predict(features) * LEFT_OUT + self.shifts[bucket];
        if self.level < 0.5 { off.min(0.0) } else { off.max(0.0) }
    }

    pub(super) fn is_whole(&self) -> bool {
        self.shifts.len() == BUCKETS.len()
    }
}

/// Rows as trees take them, with what was missed.
struct Lesson {
    bins: Bins,
    missed: Vec<f32>,
    weights: Vec<f32>,
}

impl Lesson {
    fn of(guessed: &[Guessed<'_>]) -> Lesson {
        let mut matrix = Matrix::new(guessed.first().map_or(0, |one| one.row.view.features.len()) + 2);
        guessed.iter().for_each(|one| matrix.push(&one.features()));
        Lesson {
            bins: Bins::new(&matrix),
            missed: guessed.iter().map(|one| one.missed() as f32).collect(),
            weights: guessed.iter().map(|one| one.row.weight as f32).collect(),
        }
    }

    fn learn(&self, level: f64) -> Boost {
        let settings = Settings { loss: Loss::Quantile(level), ..BAND };
        Boost::fit_binned(&self.bins, &self.missed, &self.weights, &settings)
    }
}

/// Quantiles of the honest errors, each shifted by what it is off on the half of them that it did not learn from.
pub(super) fn grown(guessed: &[Guessed<'_>], horizon: usize) -> Vec<Band> {
    let (early, late) = guessed.split_at(guessed.len() / 2);
    let lessons = [Lesson::of(early), Lesson::of(late)];
    let whole = Lesson::of(guessed);
    let band = |level: f64| {
        let mut off = vec![Vec::new(); BUCKETS.len()];
        for (lesson, tried) in lessons.iter().zip([late, early]) {
            let trees = lesson.learn(level);
            for one in tried {
                off[bucket(one.row.ahead, horizon)].push(one.missed() - trees.predict(&one.features()));
            }
        }
        off.iter_mut().for_each(|off| off.sort_by(f64::total_cmp));
        let shifts = off.iter().map(|off| quantile(off, level) * SHIFT_SHARE).collect();
        Band { level, trees: whole.learn(level), shifts }
    };
    LEVELS.into_iter().map(band).collect()
}

/// Quantiles of the honest errors alone, where there are too few for trees. The fewer, the further apart.
pub(super) fn plain(guessed: &[Guessed<'_>], horizon: usize) -> Vec<Band> {
    let mut off = vec![Vec::new(); BUCKETS.len()];
    for one in guessed {
        off[bucket(one.row.ahead, horizon)].push(one.missed());
    }
    // A part of the horizon that no row reaches is at least as uncertain as the one before it.
    for part in 1..off.len() {
        if off[part].len() < off[part - 1].len() / 4 {
            off[part] = off[part - 1].clone();
        }
    }
    off.iter_mut().for_each(|off| off.sort_by(f64::total_cmp));
    let band = |level: f64| {
        let shifts = off.iter().map(|off| {
            let independent = real(off.len()) / REPEATS;
            let wider = 1.0 + 2.0 / (1.0 + independent).sqrt();
            quantile(off, level) * wider
        });
        Band { level, trees: Boost::default(), shifts: shifts.collect() }
    };
    LEVELS.into_iter().map(band).collect()
}

pub(super) fn logit(level: f64) -> f64 {
    let level = level.clamp(1e-6, 1.0 - 1e-6);
    (level / (1.0 - level)).ln()
}

/// The value at a level: on the line between the points, or beyond them on the line through the last two.
pub(super) fn along(points: &[(f64, f64)], level: f64) -> f64 {
    let at = logit(level);
    let after = points.partition_point(|point| point.0 < at).clamp(1, points.len() - 1);
    let ((x0, y0), (x1, y1)) = (points[after - 1], points[after]);
    let value = if x1 > x0 { y0 + (y1 - y0) * (at - x0) / (x1 - x0) } else { y1 };
    value.max(0.0)
}
