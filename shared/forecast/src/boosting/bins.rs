//! Rows of features, and the bins that trees are grown on.

#![expect(clippy::indexing_slicing, reason = "rows, columns and bins are counted here and nowhere else")]
#![expect(clippy::as_conversions, reason = "bins and leaves are numbers below 256; values need seven digits")]

/// Most bins of a feature. More make fits slower and hardly better.
pub(super) const BINS_MAX: usize = 64;

/// Rows of features, all of one width.
#[derive(Clone, Debug, Default)]
pub(crate) struct Matrix {
    width: usize,
    values: Vec<f32>,
}

impl Matrix {
    /// A matrix without rows, for rows of `width` features.
    pub(crate) fn new(width: usize) -> Matrix {
        Matrix { width: width.max(1), values: Vec::new() }
    }

    /// Adds a row. Missing features are zero, and those beyond the width are left out.
    pub(crate) fn push(&mut self, row: &[f32]) {
        let row = row.iter().copied().chain(std::iter::repeat(0.0));
        self.values.extend(row.take(self.width));
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    /// Number of features.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// One row.
    pub(crate) fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.width..(row + 1) * self.width]
    }
}

/// One feature of all rows, cut into bins that hold about equally many rows.
#[derive(Debug)]
pub(super) struct Binned {
    /// Upper edges: a value above edge `i` is in a bin above `i`.
    pub(super) edges: Vec<f32>,
    /// The bin of each row.
    pub(super) bins: Vec<u8>,
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

/// All features of the rows, each cut into bins. Several fits to the same rows share them.
#[derive(Debug)]
pub(crate) struct Bins {
    pub(super) rows: usize,
    pub(super) features: Vec<Binned>,
}

impl Bins {
    /// Cuts the features of all rows into bins.
    pub(crate) fn new(matrix: &Matrix) -> Bins {
        let rows = matrix.rows();
        let features = if rows == 0 { 0 } else { matrix.width().min(256) };
        Bins { rows, features: (0..features).map(|feature| Binned::new(matrix, feature, rows)).collect() }
    }
}
