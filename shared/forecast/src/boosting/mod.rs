//! Gradient boosting on binned features with symmetric trees: every level of a tree asks one question of all its leaves.
//!
//! Such a tree is a table of 2^depth values and `depth` questions. It learns in one pass over the rows a level, answers in
//! a few nanoseconds and stores in some hundred bytes, which is why it is here and not a general library. Histograms of
//! gradients are those of Ke et al., "LightGBM" (2017); symmetric trees those of Prokhorenkova et al., "CatBoost" (2018).

#![expect(clippy::indexing_slicing, reason = "rows, columns and bins are counted here and nowhere else")]
#![expect(clippy::as_conversions, reason = "bins and leaves are numbers below 256; values need seven digits")]

mod bins;
mod fit;

use serde::{Deserialize, Serialize};

pub(crate) use bins::{Bins, Matrix};
use fit::Fit;

/// What a fit makes small.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Loss {
    /// The mean squared error: the answer is a mean.
    Squared,
    /// The pinball loss: the answer is the quantile of this level; 0.5 is the median.
    Quantile(f64),
}

/// How a fit goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// What is made small.
    pub(crate) loss: Loss,
    /// Number of trees.
    pub(crate) trees: usize,
    /// Questions a tree asks; a tree has 2^depth leaves. At most 8.
    pub(crate) depth: usize,
    /// Share of each tree's answer that counts.
    pub(crate) rate: f64,
    /// Rows that a leaf's answer is shrunk by: a leaf of so many rows answers half of what they say.
    pub(crate) prior: f64,
    /// Share of the features that a tree may ask about.
    pub(crate) features: f64,
    /// Makes the choice of features repeatable.
    pub(crate) seed: u64,
}

/// A sum of trees.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Boost {
    base: f32,
    trees: Vec<Tree>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Tree {
    /// The feature asked about at each level, and the value above which the answer is yes.
    questions: Vec<(u8, f32)>,
    /// The answer by the bits of the questions, first question first.
    leaves: Vec<f32>,
}

impl Tree {
    fn predict(&self, row: &[f32]) -> f32 {
        let leaf = self.questions.iter().enumerate().fold(0, |leaf, (level, (feature, above))| {
            leaf | usize::from(row[usize::from(*feature)] > *above) << level
        });
        self.leaves[leaf]
    }
}

impl Boost {
    /// Learns `targets` from the rows, each weighing as `weights` says. Without rows it answers zero.
    pub(crate) fn fit(matrix: &Matrix, targets: &[f32], weights: &[f32], settings: &Settings) -> Boost {
        Boost::fit_binned(&Bins::new(matrix), targets, weights, settings)
    }

    /// The same from rows that are binned already: binning takes as long as many trees.
    pub(crate) fn fit_binned(bins: &Bins, targets: &[f32], weights: &[f32], settings: &Settings) -> Boost {
        if bins.rows == 0 || targets.len() < bins.rows || weights.len() < bins.rows {
            return Boost::default();
        }
        Fit::new(bins, &targets[..bins.rows], &weights[..bins.rows], settings).run()
    }

    /// The answer for one row of features.
    pub(crate) fn predict(&self, row: &[f32]) -> f64 {
        let trees: f32 = self.trees.iter().map(|tree| tree.predict(row)).sum();
        f64::from(self.base + trees)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings =
        Settings { loss: Loss::Squared, trees: 60, depth: 3, rate: 0.2, prior: 1.0, features: 1.0, seed: 1 };

    /// Rows of two features over a square, and what `truth` makes of them.
    fn square(truth: impl Fn(f32, f32) -> f32) -> (Matrix, Vec<f32>) {
        let mut matrix = Matrix::new(2);
        let mut targets = Vec::new();
        for (x, y) in (0..40).flat_map(|x| (0..40).map(move |y| (x as f32, y as f32))) {
            matrix.push(&[x, y]);
            targets.push(truth(x, y));
        }
        (matrix, targets)
    }

    fn fit(truth: impl Fn(f32, f32) -> f32, settings: &Settings) -> Boost {
        let (matrix, targets) = square(truth);
        Boost::fit(&matrix, &targets, &vec![1.0; targets.len()], settings)
    }

    #[test]
    fn a_corner_is_learned() {
        let boost = fit(|x, y| if x > 20.0 && y > 10.0 { 5.0 } else { 1.0 }, &SETTINGS);
        assert!((boost.predict(&[30.0, 20.0]) - 5.0).abs() < 0.05);
        assert!((boost.predict(&[30.0, 5.0]) - 1.0).abs() < 0.05);
        assert!((boost.predict(&[5.0, 20.0]) - 1.0).abs() < 0.05);
    }

    #[test]
    fn a_quantile_has_its_share_below() {
        // The second feature says nothing: it is the noise.
        let settings = Settings { loss: Loss::Quantile(0.9), ..SETTINGS };
        let (matrix, targets) = square(|x, y| x + (y * 7.0) % 40.0);
        let mut blind = Matrix::new(1);
        (0..matrix.rows()).for_each(|row| blind.push(&matrix.row(row)[..1]));
        let boost = Boost::fit(&blind, &targets, &vec![1.0; targets.len()], &settings);
        for x in [5.0, 20.0, 35.0] {
            let over = boost.predict(&[x]) - f64::from(x);
            assert!((33.0..39.0).contains(&over), "{x}: {over}");
        }
    }

    #[test]
    fn the_same_rows_give_the_same_trees() {
        let settings = Settings { features: 0.5, ..SETTINGS };
        assert_eq!(fit(|x, y| x * y, &settings), fit(|x, y| x * y, &settings));
    }

    #[test]
    fn nothing_teaches_nothing() {
        assert_eq!(Boost::fit(&Matrix::new(3), &[], &[], &SETTINGS).predict(&[1.0, 2.0, 3.0]), 0.0);
        let constant = fit(|_, _| 4.0, &SETTINGS);
        assert!((constant.predict(&[0.0, 0.0]) - 4.0).abs() < 1e-6);
    }
}
