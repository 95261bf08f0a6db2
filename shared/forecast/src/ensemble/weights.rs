//! The ensemble's weights: by part of the horizon, those whose sum of members was nearest to what came.

#![expect(clippy::indexing_slicing, reason = "members and buckets are counted here")]

use super::boosted_regression::{BUCKETS, Row, bucket};
use super::statistical_models::{SMALL, SMALL_NAMES};
use crate::statistics::real;

/// Members of the ensemble.
pub(super) const MEMBERS: usize = SMALL + 2;
/// Their names, in the order of their guesses.
pub(super) const NAMES: [&str; MEMBERS] =
    ["line", "boosted_line", SMALL_NAMES[0], SMALL_NAMES[1], SMALL_NAMES[2], SMALL_NAMES[3]];

/// Rounds of the search for weights, and how far the first ones go.
const ROUNDS: usize = 80;
const PACE: f64 = 1.0;
/// A member that gets less is left out.
const WEIGHT_MIN: f64 = 0.03;

/// What members say of one step.
pub(super) type Guesses = [f64; MEMBERS];
/// What each member counts.
pub(super) type Weights = [f64; MEMBERS];

/// A row's honest guesses: of members that did not learn from its part.
pub(super) struct Honest {
    pub(super) row: usize,
    pub(super) guesses: Guesses,
}

/// The sum of the guesses that are numbers by their weights.
pub(super) fn blend(guesses: &Guesses, weights: &Weights) -> f64 {
    let (mut sum, mut counted) = (0.0, 0.0);
    for (guess, weight) in guesses.iter().zip(weights) {
        if guess.is_finite() && 0.0 < *weight {
            sum += guess * weight;
            counted += weight;
        }
    }
    if counted > 0.0 { (sum / counted).max(0.0) } else { 0.0 }
}

/// The weights of the members in `allowed` by part of the horizon.
///
/// Least absolute error over weights that are not negative and add up to one, by exponentiated gradient (Kivinen and
/// Warmuth, 1997) from `prior`. Newer rows count more.
pub(super) fn weights(
    rows: &[Row],
    honest: &[Honest],
    horizon: usize,
    allowed: &[bool; MEMBERS],
    prior: &Weights,
) -> Vec<Weights> {
    let mut parts = vec![Vec::new(); BUCKETS.len()];
    for one in honest {
        let row = &rows[one.row];
        parts[bucket(row.ahead, horizon)].push((one.guesses, row.truth, row.weight));
    }
    parts.iter().map(|part| search(part, allowed, prior)).collect()
}

fn search(rows: &[(Guesses, f64, f64)], allowed: &[bool; MEMBERS], prior: &Weights) -> Weights {
    let mut weights = *prior;
    weights.iter_mut().zip(allowed).filter(|(_, allowed)| !**allowed).for_each(|(weight, _)| *weight = 0.0);
    level(&mut weights);
    let mut mean = [0.0; MEMBERS];
    let mut best = (f64::MAX, weights);
    for round in 0..ROUNDS {
        let mut slope = [0.0; MEMBERS];
        let (mut missed, mut apart) = (0.0, 0.0);
        for (guesses, truth, weight) in rows {
            let sum: f64 = (0..MEMBERS).filter(|m| allowed[*m]).map(|m| guesses[m] * weights[m]).sum();
            let side = weight * (sum - truth).signum();
            missed += side * (sum - truth);
            for member in (0..MEMBERS).filter(|member| allowed[*member]) {
                slope[member] += side * (guesses[member] - sum);
                apart += weight * weights[member] * (guesses[member] - sum).abs();
            }
        }
        if missed < best.0 {
            best = (missed, weights);
        }
        if apart <= 0.0 {
            break;
        }
        let pace = PACE / real(round + 1).sqrt();
        for member in (0..MEMBERS).filter(|member| allowed[*member]) {
            weights[member] *= (-pace * slope[member] / apart).clamp(-2.0, 2.0).exp();
            mean[member] += weights[member];
        }
        level(&mut weights);
    }
    let mut weights = best.1;
    weights.iter_mut().filter(|weight| **weight < WEIGHT_MIN).for_each(|weight| *weight = 0.0);
    level(&mut weights);
    weights
}

fn level(weights: &mut Weights) {
    let sum: f64 = weights.iter().sum();
    if sum > 0.0 {
        weights.iter_mut().for_each(|weight| *weight /= sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn searched(of: impl Fn(f64) -> Guesses) -> Weights {
        let rows: Vec<_> = (0..200).map(|index| (of(real(index)), real(index % 17), 1.0)).collect();
        search(&rows, &[true, true, true, false, false, false], &[1.0; MEMBERS])
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
        let guesses = [f64::NAN, 4.0, 0.0, f64::INFINITY, 0.0, 0.0];
        assert_eq!(blend(&guesses, &[0.5, 0.25, 0.0, 0.25, 0.0, 0.0]), 4.0);
    }
}
