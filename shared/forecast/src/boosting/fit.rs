//! How trees are grown, one after the other, each for what those before it left over.

#![expect(clippy::indexing_slicing, reason = "rows, columns and bins are counted here and nowhere else")]
#![expect(clippy::as_conversions, reason = "bins and leaves are numbers below 256; values need seven digits")]

use super::bins::{BINS_MAX, Binned, Bins};
use super::{Boost, Loss, Settings, Tree};
use crate::chance::Chance;

pub(super) struct Fit<'a> {
    settings: &'a Settings,
    targets: &'a [f32],
    weights: &'a [f32],
    features: &'a [Binned],
    /// What the trees so far say of each row.
    answers: Vec<f32>,
    /// How each row wants its answer moved, times its weight.
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
            answers: vec![0.0; rows],
            gradients: vec![0.0; rows],
            leaf: vec![0; rows],
            chance: Chance::new(settings.seed),
        }
    }

    pub(super) fn run(mut self) -> Boost {
        let every = (0..self.targets.len()).collect::<Vec<_>>();
        let base = self.answer(&every);
        self.answers.fill(base);
        let trees = (0..self.settings.trees).map_while(|_| self.grow()).collect();
        Boost { base, trees }
    }

    fn grow(&mut self) -> Option<Tree> {
        self.aim();
        self.leaf.fill(0);
        let allowed = self.draw();
        let mut questions = Vec::new();
        for level in 0..self.settings.depth.min(8) {
            let Some((feature, bin)) = self.best(&allowed, 1 << level) else { break };
            let bins = &self.features[feature].bins;
            for (leaf, of_row) in self.leaf.iter_mut().zip(bins) {
                *leaf |= u8::from(usize::from(*of_row) > bin) << level;
            }
            questions.push((feature as u8, self.features[feature].edges[bin]));
        }
        if questions.is_empty() {
            return None;
        }
        let leaves = self.leaves(1 << questions.len());
        for (answer, leaf) in self.answers.iter_mut().zip(&self.leaf) {
            *answer += leaves[usize::from(*leaf)];
        }
        Some(Tree { questions, leaves })
    }

    /// Sets the gradients: the direction, and for squares the size, in which each answer is off.
    fn aim(&mut self) {
        for row in 0..self.targets.len() {
            let off = self.targets[row] - self.answers[row];
            let gradient = match self.settings.loss {
                Loss::Squared => off,
                Loss::Quantile(level) if off > 0.0 => level as f32,
                Loss::Quantile(level) => level as f32 - 1.0,
            };
            self.gradients[row] = gradient * self.weights[row];
        }
    }

    fn draw(&mut self) -> Vec<usize> {
        let share = self.settings.features;
        let mut drawn: Vec<usize> = Vec::new();
        for feature in 0..self.features.len() {
            if self.chance.share() < share {
                drawn.push(feature);
            }
        }
        if drawn.is_empty() { (0..self.features.len()).collect() } else { drawn }
    }

    /// The question that brings the answers of all leaves nearest to their rows, if any does.
    fn best(&self, allowed: &[usize], leaves: usize) -> Option<(usize, usize)> {
        let mut best = (1e-9, None);
        let mut sums = vec![(0.0_f32, 0.0_f32); leaves * BINS_MAX];
        for feature in allowed.iter().copied() {
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

    /// What cutting every leaf above each bin gains.
    fn gains(&self, sums: &[(f32, f32)], edges: usize) -> Vec<f64> {
        let worth = |(gradient, weight): (f64, f64)| gradient * gradient / (weight + self.settings.prior);
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

    fn leaves(&self, count: usize) -> Vec<f32> {
        let mut rows = vec![Vec::new(); count];
        for (row, leaf) in self.leaf.iter().enumerate() {
            rows[usize::from(*leaf)].push(row);
        }
        rows.iter().map(|rows| self.answer(rows) * self.settings.rate as f32 * self.trust(rows)).collect()
    }

    fn trust(&self, rows: &[usize]) -> f32 {
        let weight: f32 = rows.iter().map(|row| self.weights[*row]).sum();
        if weight <= 0.0 { 0.0 } else { weight / (weight + self.settings.prior as f32) }
    }

    /// What would serve these rows best on top of the answers so far.
    fn answer(&self, rows: &[usize]) -> f32 {
        let off = |row: &usize| self.targets[*row] - self.answers[*row];
        match self.settings.loss {
            Loss::Squared => {
                let weight: f32 = rows.iter().map(|row| self.weights[*row]).sum();
                let sum: f32 = rows.iter().map(|row| off(row) * self.weights[*row]).sum();
                if weight <= 0.0 { 0.0 } else { sum / weight }
            }
            Loss::Quantile(level) => {
                let mut off: Vec<f32> = rows.iter().map(off).collect();
                let Some(last) = off.len().checked_sub(1) else { return 0.0 };
                let place = (level * last as f64).round() as usize;
                *off.select_nth_unstable_by(place.min(last), f32::total_cmp).1
            }
        }
    }
}
