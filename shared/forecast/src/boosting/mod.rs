//! Gradient boosting on binned features with symmetric trees: all nodes of one level of a tree split by the same feature and
//! threshold.
//!
//! Such a tree is `depth` splits and a table of 2^depth values. It is grown in one pass over the rows for each level, answers
//! in a few nanoseconds and is stored in some hundred bytes. General libraries store far more, and models have to fit a
//! DynamoDB item. Histograms of gradients are those of Ke et al., "LightGBM" (2017); symmetric trees those of Prokhorenkova
//! et al., "CatBoost" (2018).

#![expect(clippy::indexing_slicing, reason = "rows, columns and bins are counted here and nowhere else")]

mod bins;
mod fit;

use serde::{Deserialize, Serialize};

pub(crate) use bins::{Bins, Matrix};
use fit::Fit;

/// What is minimised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Loss {
    /// The squared error: predictions are means.
    Squared,
    /// The pinball loss: predictions are quantiles of this level; 0.5 is the median.
    Quantile(f64),
}

/// How trees are grown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// What is minimised.
    pub(crate) loss: Loss,
    /// Number of trees.
    pub(crate) trees: usize,
    /// Splits of a tree, at most 8.
    pub(crate) depth: usize,
    /// The share of each tree's prediction that is added.
    pub(crate) learning_rate: f64,
    /// Shrinks leaves of few rows: a leaf with this weight of rows predicts half of what they say.
    pub(crate) regularization: f64,
    /// The share of the features that each tree may split by, drawn at random.
    pub(crate) feature_share: f64,
    /// The seed of that draw.
    pub(crate) seed: u64,
}

/// The sum of trees.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct BoostedTrees {
    base: f32,
    trees: Vec<Tree>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Tree {
    /// The feature and the threshold of each level.
    splits: Vec<(u8, f32)>,
    /// A value for each leaf. Bit `i` of a leaf's number says whether the feature of level `i` is above its threshold.
    leaves: Vec<f32>,
}

impl Tree {
    fn predict(&self, row: &[f32]) -> f32 {
        let leaf = self.splits.iter().enumerate().fold(0, |leaf, (level, (feature, threshold))| {
            leaf | usize::from(row[usize::from(*feature)] > *threshold) << level
        });
        self.leaves[leaf]
    }
}

impl BoostedTrees {
    /// Learns `targets` from the rows of features, weighted by `weights`. Without rows it predicts zero.
    pub(crate) fn fit(
        matrix: &Matrix,
        targets: &[f32],
        weights: &[f32],
        settings: &Settings,
    ) -> BoostedTrees {
        BoostedTrees::fit_binned(&Bins::new(matrix), targets, weights, settings)
    }

    /// The same from rows that are already binned. Binning takes as long as growing many trees, so several fits to the same
    /// rows share it.
    pub(crate) fn fit_binned(
        bins: &Bins,
        targets: &[f32],
        weights: &[f32],
        settings: &Settings,
    ) -> BoostedTrees {
        if bins.rows == 0 || targets.len() < bins.rows || weights.len() < bins.rows {
            return BoostedTrees::default();
        }
        Fit::new(bins, &targets[..bins.rows], &weights[..bins.rows], settings).run()
    }

    /// The prediction for one row of features.
    pub(crate) fn predict(&self, row: &[f32]) -> f64 {
        let trees: f32 = self.trees.iter().map(|tree| tree.predict(row)).sum();
        f64::from(self.base + trees)
    }
}

#[cfg(test)]
#[expect(clippy::as_conversions, reason = "test data are small whole numbers")]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings {
        loss: Loss::Squared,
        trees: 60,
        depth: 3,
        learning_rate: 0.2,
        regularization: 1.0,
        feature_share: 1.0,
        seed: 1,
    };

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

    fn fit(truth: impl Fn(f32, f32) -> f32, settings: &Settings) -> BoostedTrees {
        let (matrix, targets) = square(truth);
        BoostedTrees::fit(&matrix, &targets, &vec![1.0; targets.len()], settings)
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
        // Only the first feature is given; the second one is the noise.
        let settings = Settings { loss: Loss::Quantile(0.9), ..SETTINGS };
        let (matrix, targets) = square(|x, y| x + (y * 7.0) % 40.0);
        let mut blind = Matrix::new(1);
        (0..matrix.rows()).for_each(|row| blind.push(&matrix.row(row)[..1]));
        let boost = BoostedTrees::fit(&blind, &targets, &vec![1.0; targets.len()], &settings);
        for x in [5.0, 20.0, 35.0] {
            let over = boost.predict(&[x]) - f64::from(x);
            assert!((33.0..39.0).contains(&over), "{x}: {over}");
        }
    }

    #[test]
    fn the_same_rows_give_the_same_trees() {
        let settings = Settings { feature_share: 0.5, ..SETTINGS };
        assert_eq!(fit(|x, y| x * y, &settings), fit(|x, y| x * y, &settings));
    }

    #[test]
    fn no_rows_predict_zero_and_a_constant_is_learned() {
        assert_eq!(BoostedTrees::fit(&Matrix::new(3), &[], &[], &SETTINGS).predict(&[1.0, 2.0, 3.0]), 0.0);
        let constant = fit(|_, _| 4.0, &SETTINGS);
        assert!((constant.predict(&[0.0, 0.0]) - 4.0).abs() < 1e-6);
    }
}
