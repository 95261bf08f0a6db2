//! Gradient boosting on binned features with symmetric trees: every level of a tree asks one question of all its leaves.
//!
//! Such a tree is a table of 2^depth values and `depth` questions. It learns in one pass over the rows a level, answers in
//! a few nanoseconds and stores in some hundred bytes, which is why it is here and not a general library. Histograms of
//! gradients are those of Ke et al., "LightGBM" (2017); symmetric trees those of Prokhorenkova et al., "CatBoost" (2018).

#![expect(clippy::indexing_slicing, reason = "rows, columns and bins are counted here and nowhere else")]
#![expect(clippy::as_conversions, reason = "bins and leaves are numbers below 256; values need seven digits")]

use serde::{Deserialize, Serialize};

use crate::chance::Chance;

/// Most bins of a feature: as many as a byte tells apart.
const BINS_MAX: usize = 64;

/// Rows of features, all of one width.
#[derive(Clone, Debug, Default)]
pub struct Matrix {
    width: usize,
    values: Vec<f32>,
}

impl Matrix {
    /// No rows yet, each to be `width` wide.
    pub fn new(width: usize) -> Matrix {
        Matrix { width: width.max(1), values: Vec::new() }
    }

    /// Adds a row. Missing features are cut or read as zero.
    pub fn push(&mut self, row: &[f32]) {
        let row = row.iter().copied().chain(std::iter::repeat(0.0));
        self.values.extend(row.take(self.width));
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    /// Number of features.
    pub fn width(&self) -> usize {
        self.width
    }

    /// One row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.width..(row + 1) * self.width]
    }
}

/// What a fit makes small.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// The mean squared error: the answer is a mean.
    Squared,
    /// The pinball loss: the answer is the quantile of this level; 0.5 is the median.
    Quantile(f64),
}

/// How a fit goes.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// What is made small.
    pub loss: Loss,
    /// Number of trees.
    pub trees: usize,
    /// Questions a tree asks; a tree has 2^depth leaves. At most 8.
    pub depth: usize,
    /// Share of each tree's answer that counts.
    pub rate: f64,
    /// Rows that a leaf's answer is shrunk by: a leaf of so many rows answers half of what they say.
    pub prior: f64,
    /// Share of the features that a tree may ask about.
    pub features: f64,
    /// Makes the choice of features repeatable.
    pub seed: u64,
}

/// A sum of trees.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Boost {
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
    pub fn fit(matrix: &Matrix, targets: &[f32], weights: &[f32], settings: &Settings) -> Boost {
        Boost::fit_binned(&Bins::new(matrix), targets, weights, settings)
    }

    /// The same from rows that are binned already: binning takes as long as many trees.
    pub fn fit_binned(bins: &Bins, targets: &[f32], weights: &[f32], settings: &Settings) -> Boost {
        if bins.rows == 0 || targets.len() < bins.rows || weights.len() < bins.rows {
            return Boost::default();
        }
        Fit::new(bins, &targets[..bins.rows], &weights[..bins.rows], settings).run()
    }

    /// The answer for one row of features.
    pub fn predict(&self, row: &[f32]) -> f64 {
        let trees: f32 = self.trees.iter().map(|tree| tree.predict(row)).sum();
        f64::from(self.base + trees)
    }
}

/// A feature's values cut into bins of about as many rows each.
#[derive(Debug)]
struct Binned {
    /// Upper edges: a value above edge `i` is in a bin above `i`.
    edges: Vec<f32>,
    /// The bin of each row.
    bins: Vec<u8>,
}

impl Binned {
    fn new(matrix: &Matrix, feature: usize, rows: usize) -> Binned {
        let mut sorted: Vec<f32> = (0..rows).map(|row| matrix.row(row)[feature]).collect();
        sorted.sort_by(f32::total_cmp);
        let mut edges: Vec<f32> = (1..BINS_MAX).map(|bin| sorted[bin * (rows - 1) / BINS_MAX]).collect();
        edges.dedup();
        let bins = (0..rows).map(|row| {
            let value = matrix.row(row)[feature];
            edges.partition_point(|edge| *edge < value) as u8
        });
        let bins = bins.collect();
        Binned { edges, bins }
    }
}

/// The features of rows, each cut into bins: what several fits to the same rows share.
#[derive(Debug)]
pub struct Bins {
    rows: usize,
    features: Vec<Binned>,
}

impl Bins {
    /// Cuts the features of all rows.
    pub fn new(matrix: &Matrix) -> Bins {
        let rows = matrix.rows();
        let features = if rows == 0 { 0 } else { matrix.width().min(256) };
        Bins { rows, features: (0..features).map(|feature| Binned::new(matrix, feature, rows)).collect() }
    }
}

struct Fit<'a> {
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
    fn new(bins: &'a Bins, targets: &'a [f32], weights: &'a [f32], settings: &'a Settings) -> Fit<'a> {
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

    fn run(mut self) -> Boost {
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
