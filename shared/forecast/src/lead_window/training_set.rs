//! What the model of a window is trained on: features at past moments, and the load that then came.

use super::features::{LevelFeatures, WIDTH, narrow};
use super::{DAY_S, Window, steps};
use crate::boosting::{Bins, Matrix};

/// From fewer rows, nothing can be learned about rare loads.
pub(super) const ROWS_MIN: usize = 60;
/// The first moments of a short history have little past to look at: one part in so many is left out.
const WARM_UP: usize = 8;
/// Older history is left out: the workload has often changed within two weeks.
const PAST_S: u32 = 14 * DAY_S;
/// Folds of cross-validation.
pub(super) const FOLDS: usize = 3;
/// The history is cut into so many blocks, dealt to the folds in turn, so that each fold holds early and late blocks.
const BLOCKS: usize = 6;

/// One row for each past moment: features at that moment, and the load of the window that began there.
pub(super) struct TrainingSet {
    pub(super) rows: Vec<Vec<f32>>,
    /// The largest level of each row's window, relative to the newest level before it.
    pub(super) targets: Vec<f32>,
    /// The levels of each row's window that errors are measured at, relative to the newest level before it.
    pub(super) samples: Vec<Vec<f32>>,
    /// How many rows have one and the same moment in their windows.
    overlap: usize,
}

impl TrainingSet {
    /// At most about `rows` moments, evenly spread.
    pub(super) fn of(features: &LevelFeatures, window: Window, reach: usize, rows: usize) -> TrainingSet {
        let last = features.len().saturating_sub(reach);
        let day = steps(DAY_S, features.step_s());
        let past = last.saturating_sub(steps(PAST_S, features.step_s()));
        // The first day has no day before it to compare with. A history of less than three days cannot spare a whole one.
        let first = past.max(if 3 * day < last { day } else { day.min(last / WARM_UP) });
        let stride = (last - first).div_ceil(rows).max(1);
        let overlap = window.to.div_ceil(stride);
        let mut set = TrainingSet { rows: Vec::new(), targets: Vec::new(), samples: Vec::new(), overlap };
        for now in (first..last).step_by(stride) {
            let Some(peak) = features.peak(now, window) else { continue };
            set.rows.push(features.row(now, reach));
            let base = narrow(features.base(now));
            set.targets.push(narrow(peak) - base);
            let samples = features.samples(now, window).into_iter();
            set.samples.push(samples.map(|level| level - base).collect());
        }
        set
    }

    /// The values with those of the single largest event cut to the size of the next one. An event that happened once says
    /// nothing about when it happens again, but the trees would tie it to the features of that moment. One event is in the
    /// windows of `overlap` rows.
    pub(super) fn clip(&self, values: &[f32]) -> Vec<f32> {
        let mut sizes: Vec<f32> = values.iter().map(|value| value.abs()).collect();
        sizes.sort_unstable_by(|a, b| b.total_cmp(a));
        let most = sizes.get(self.overlap).copied().unwrap_or(0.0);
        values.iter().map(|value| value.clamp(-most, most)).collect()
    }

    /// The fold that a row belongs to.
    pub(super) fn fold(&self, row: usize) -> usize {
        row * BLOCKS / self.rows.len().max(1) % FOLDS
    }

    /// The features of the rows to keep, binned for boosting.
    pub(super) fn bins(&self, keep: impl Fn(usize) -> bool) -> Bins {
        let mut matrix = Matrix::new(WIDTH);
        let kept = self.rows.iter().enumerate().filter(|(row, _)| keep(*row));
        kept.for_each(|(_, features)| matrix.push(features));
        Bins::new(&matrix)
    }
}

/// How many steps a history must have, so that windows that end `reach` steps ahead can be learned from it.
pub(super) fn steps_needed(reach: usize) -> usize {
    (ROWS_MIN * WARM_UP).div_ceil(WARM_UP - 1) + reach
}
