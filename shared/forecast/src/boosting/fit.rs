//! Growing the trees, one after the other, each on the residuals of those before it.

#![expect(clippy::indexing_slicing, reason = "rows, columns and bins are counted here and nowhere else")]
#![expect(clippy::as_conversions, reason = "bins and leaves are numbers below 256; values need seven digits")]

use super::bins::{BINS_MAX, Binned, Bins};
use super::{BoostedTrees, Loss, Settings, Tree};
use crate::chance::Chance;

/// A fit in progress.
pub(super) struct Fit<'a> {
    settings: &'a Settings,
    targets: &'a [f32],
    weights: &'a [f32],
    features: &'a [Binned],
    /// The prediction for each row by the trees so far.
    predictions: Vec<f32>,
    /// The negative gradient of the loss for each row, times its weight.
    gradients: Vec<f32>,
    /// The leaf of each row in the tree being grown.
    leaf: Vec<u8>,
    chance: Chance,
}

impl<'a> Fit<'a> {
    pub(super) fn new(
        bins: &'a Bins,
        targets: &'a [f32],
        weights: &'a [f32],
        settings: &'a Settings,
    ) -> Fit<'a> {
        let rows = targets.len();
        Fit {
            settings,
            targets,
            weights,
            features: &bins.features,
            predictions: vec![0.0; rows],
            gradients: vec![0.0; rows],
            leaf: vec![0; rows],
            chance: Chance::new(settings.seed),
        }
    }

    pub(super) fn run(mut self) -> BoostedTrees {
        let every = (0..self.targets.len()).collect::<Vec<_>>();
        let base = self.best_value(&every);
        self.predictions.fill(base);
        let trees = (0..self.settings.trees).map_while(|_| self.grow()).collect();
        BoostedTrees { base, trees }
    }

    fn grow(&mut self) -> Option<Tree> {
        self.set_gradients();
        self.leaf.fill(0);
        let features_drawn = self.draw_features();
        let mut splits = Vec::new();
        for level in 0..self.settings.depth.min(8) {
            let Some((feature, bin)) = self.best_split(&features_drawn, 1 << level) else { break };
            let bins = &self.features[feature].bins;
            for (leaf, bin_of_row) in self.leaf.iter_mut().zip(bins) {
                *leaf |= u8::from(usize::from(*bin_of_row) > bin) << level;
            }
            splits.push((feature as u8, self.features[feature].edges[bin]));
        }
        if splits.is_empty() {
            return None;
        }
        let leaves = self.leaves(1 << splits.len());
        for (best_value, leaf) in self.predictions.iter_mut().zip(&self.leaf) {
            *best_value += leaves[usize::from(*leaf)];
        }
        Some(Tree { splits, leaves })
    }

    /// Sets the gradients for the predictions so far.
    fn set_gradients(&mut self) {
        for row in 0..self.targets.len() {
            let residual = self.targets[row] - self.predictions[row];
            let gradient = match self.settings.loss {
                Loss::Squared => residual,
                Loss::Quantile(level) if residual > 0.0 => level as f32,
                Loss::Quantile(level) => level as f32 - 1.0,
            };
            self.gradients[row] = gradient * self.weights[row];
        }
    }

    /// The features that the next tree may split by.
    fn draw_features(&mut self) -> Vec<usize> {
        let share = self.settings.feature_share;
        let mut drawn: Vec<usize> = Vec::new();
        for feature in 0..self.features.len() {
            if self.chance.share() < share {
                drawn.push(feature);
            }
        }
        if drawn.is_empty() { (0..self.features.len()).collect() } else { drawn }
    }

    /// The feature and the bin above which all leaves are split, chosen for the largest gain; none if no split gains.
    fn best_split(&self, features_drawn: &[usize], leaves: usize) -> Option<(usize, usize)> {
        let mut best = (1e-9, None);
        let mut sums = vec![(0.0_f32, 0.0_f32); leaves * BINS_MAX];
        for feature in features_drawn.iter().copied() {
            let binned = &self.features[feature];
            if binned.edges.is_empty() {
                continue;
            }
            sums.fill((0.0, 0.0));
            for row in 0..self.leaf.len() {
                let cell = &mut sums[usize::from(self.leaf[row]) * BINS_MAX + usize::from(binned.bins[row])];
                cell.0 += self.gradients[row];
                cell.1 += self.weights[row];
            }
            let gains = self.gains(&sums, binned.edges.len());
            for (bin, gain) in gains.iter().enumerate() {
                if best.0 < *gain {
                    best = (*gain, Some((feature, bin)));
                }
            }
        }
        best.1
    }

    /// By how much the loss falls, to second order, when every leaf is split above each bin.
    fn gains(&self, sums: &[(f32, f32)], edges: usize) -> Vec<f64> {
        let worth =
            |(gradient, weight): (f64, f64)| gradient * gradient / (weight + self.settings.regularization);
        let mut gains = vec![0.0; edges];
        for leaf in sums.chunks_exact(BINS_MAX) {
            let add = |a: (f64, f64), b: &(f32, f32)| (a.0 + f64::from(b.0), a.1 + f64::from(b.1));
            let whole = leaf.iter().take(edges + 1).fold((0.0, 0.0), add);
            if whole.1 <= 0.0 {
                continue;
            }
            let mut below = (0.0, 0.0);
            for (gain, cell) in gains.iter_mut().zip(leaf) {
                below = add(below, cell);
                let above = (whole.0 - below.0, whole.1 - below.1);
                *gain += worth(below) + worth(above) - worth(whole);
            }
        }
        gains
    }

    /// The values of the leaves of the tree just grown.
    fn leaves(&self, count: usize) -> Vec<f32> {
        let mut rows = vec![Vec::new(); count];
        for (row, leaf) in self.leaf.iter().enumerate() {
            rows[usize::from(*leaf)].push(row);
        }
        rows.iter()
            .map(|rows| self.best_value(rows) * self.settings.learning_rate as f32 * self.shrinkage(rows))
            .collect()
    }

    /// How much of the value of a leaf counts: less with few rows.
    fn shrinkage(&self, rows: &[usize]) -> f32 {
        let weight: f32 = rows.iter().map(|row| self.weights[*row]).sum();
        if weight <= 0.0 { 0.0 } else { weight / (weight + self.settings.regularization as f32) }
    }

    /// The constant that, added to the predictions of these rows, minimises their loss.
    fn best_value(&self, rows: &[usize]) -> f32 {
        let residual = |row: &usize| self.targets[*row] - self.predictions[*row];
        match self.settings.loss {
            Loss::Squared => {
                let weight: f32 = rows.iter().map(|row| self.weights[*row]).sum();
                let sum: f32 = rows.iter().map(|row| residual(row) * self.weights[*row]).sum();
                if weight <= 0.0 { 0.0 } else { sum / weight }
            }
            Loss::Quantile(level) => {
                let mut residual: Vec<f32> = rows.iter().map(residual).collect();
                let Some(last) = residual.len().checked_sub(1) else { return 0.0 };
                let place = (level * last as f64).round() as usize;
                *residual.select_nth_unstable_by(place.min(last), f32::total_cmp).1
            }
        }
    }
}
