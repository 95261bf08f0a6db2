//! The weights of the ensemble: for each part of the horizon, those whose weighted sum of predictions had the smallest
//! error.

#![expect(clippy::indexing_slicing, reason = "members and parts of the horizon are counted here")]

use super::boosted_regression::{HORIZON_PARTS, TrainingRow, part_of};
use super::statistical_models::{STATISTICAL, STATISTICAL_NAMES};
use crate::statistics::real;

/// The number of members.
pub(super) const MEMBERS: usize = STATISTICAL + 2;
/// The names of the members, in the order of their predictions. Operators see them.
pub(super) const NAMES: [&str; MEMBERS] = [
    "line",
    "boosted_line",
    STATISTICAL_NAMES[0],
    STATISTICAL_NAMES[1],
    STATISTICAL_NAMES[2],
    STATISTICAL_NAMES[3],
];

/// Rounds of gradient descent, and the size of the first step. Later steps are smaller.
const ROUNDS: usize = 80;
const STEP_SIZE: f64 = 1.0;
/// A member with less weight gets none.
const WEIGHT_MIN: f64 = 0.03;

/// The prediction of each member for one step.
pub(super) type Predictions = [f64; MEMBERS];
/// The weight of each member.
pub(super) type MemberWeights = [f64; MEMBERS];

/// Out-of-fold predictions for a row: by members that were not trained on its fold.
pub(super) struct OutOfFold {
    pub(super) row: usize,
    pub(super) predictions: Predictions,
}

/// The weighted mean of the predictions that are finite, at least zero.
pub(super) fn combine(predictions: &Predictions, weights: &MemberWeights) -> f64 {
    let (mut sum, mut counted) = (0.0, 0.0);
    for (prediction, weight) in predictions.iter().zip(weights) {
        if prediction.is_finite() && 0.0 < *weight {
            sum += prediction * weight;
            counted += weight;
        }
    }
    if counted > 0.0 { (sum / counted).max(0.0) } else { 0.0 }
}

/// The weights of the `allowed` members for each part of the horizon.
///
/// They minimise the absolute out-of-fold error, are not negative and add up to one. They are found by exponentiated
/// gradient descent (Kivinen and Warmuth, 1997), which starts from `prior`. Newer rows count more.
pub(super) fn fit(
    rows: &[TrainingRow],
    out_of_fold: &[OutOfFold],
    horizon: usize,
    allowed: &[bool; MEMBERS],
    prior: &MemberWeights,
) -> Vec<MemberWeights> {
    let mut parts = vec![Vec::new(); HORIZON_PARTS.len()];
    for one in out_of_fold {
        let row = &rows[one.row];
        parts[part_of(row.ahead, horizon)].push((one.predictions, row.actual, row.weight));
    }
    parts.iter().map(|part| minimise_error(part, allowed, prior)).collect()
}

fn minimise_error(
    rows: &[(Predictions, f64, f64)],
    allowed: &[bool; MEMBERS],
    prior: &MemberWeights,
) -> MemberWeights {
    let mut weights = *prior;
    weights.iter_mut().zip(allowed).filter(|(_, allowed)| !**allowed).for_each(|(weight, _)| *weight = 0.0);
    normalise(&mut weights);
    let mut best = (f64::MAX, weights);
    for round in 0..ROUNDS {
        let mut gradient = [0.0; MEMBERS];
        let (mut error, mut spread) = (0.0, 0.0);
        for (predictions, actual, weight) in rows {
            let sum: f64 = (0..MEMBERS).filter(|m| allowed[*m]).map(|m| predictions[m] * weights[m]).sum();
            let side = weight * (sum - actual).signum();
            error += side * (sum - actual);
            for member in (0..MEMBERS).filter(|member| allowed[*member]) {
                gradient[member] += side * (predictions[member] - sum);
                spread += weight * weights[member] * (predictions[member] - sum).abs();
            }
        }
        if error < best.0 {
            best = (error, weights);
        }
        if spread <= 0.0 {
            break;
        }
        let step_size = STEP_SIZE / real(round + 1).sqrt();
        for member in (0..MEMBERS).filter(|member| allowed[*member]) {
            weights[member] *= (-step_size * gradient[member] / spread).clamp(-2.0, 2.0).exp();
        }
        normalise(&mut weights);
    }
    let mut weights = best.1;
    weights.iter_mut().filter(|weight| **weight < WEIGHT_MIN).for_each(|weight| *weight = 0.0);
    normalise(&mut weights);
    weights
}

fn normalise(weights: &mut MemberWeights) {
    let sum: f64 = weights.iter().sum();
    if sum > 0.0 {
        weights.iter_mut().for_each(|weight| *weight /= sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn searched(of: impl Fn(f64) -> Predictions) -> MemberWeights {
        let rows: Vec<_> = (0..200).map(|index| (of(real(index)), real(index % 17), 1.0)).collect();
        minimise_error(&rows, &[true, true, true, false, false, false], &[1.0; MEMBERS])
    }

    #[test]
    fn the_nearer_member_counts_more_and_two_that_cancel_share() {
        let near = searched(|index| [index % 17.0 + 0.1, 3.0, 9.0, 0.0, 0.0, 0.0]);
        assert!(near[0] > 0.9, "{near:?}");
        let wave = |index: f64| (index * 1.7).sin();
        let shared = searched(|index| {
            [index % 17.0 + wave(index), index % 17.0 - wave(index), 50.0, index % 17.0, 0.0, 0.0]
        });
        assert!((shared[0] - 0.5).abs() < 0.05 && shared[3] == 0.0, "{shared:?}");
        assert!((shared.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_not_a_number_does_not_count() {
        let predictions = [f64::NAN, 4.0, 0.0, f64::INFINITY, 0.0, 0.0];
        assert_eq!(combine(&predictions, &[0.5, 0.25, 0.0, 0.25, 0.0, 0.0]), 4.0);
    }
}
