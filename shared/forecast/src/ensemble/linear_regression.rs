//! Least absolute deviations on a few terms: what the trees start from, so that they need not learn to extrapolate.

#![expect(clippy::indexing_slicing, reason = "a system of a fixed size")]
#![expect(clippy::needless_range_loop, reason = "a matrix is written by row and column")]

use super::features::TERMS;
use crate::statistics::real;

/// Rounds of reweighting. After five the answer moves by less than the noise of what it is fitted to.
const ROUNDS: usize = 5;
/// Errors below this share of the mean load weigh no more than it: a division by nothing would be all weight.
const ERROR_MIN: f64 = 0.02;
/// Ridge, as a share of the mean diagonal: terms that say the same share their weight.
const RIDGE: f64 = 1e-4;

/// What each term counts.
pub(super) type Weights = [f64; TERMS];

/// One row: its terms, what came of them, and how much it counts.
pub(super) type Row<'a> = (&'a [f64; TERMS], f64, f64);

/// Fits by iteratively reweighted least squares (Schlossmacher, 1973).
pub(super) fn fit(rows: &[Row<'_>]) -> Weights {
    (0..ROUNDS).fold([0.0; TERMS], |weights, round| {
        let mut system = [[0.0; TERMS + 1]; TERMS];
        for (terms, target, weight) in rows {
            let error = (target - dot(terms, &weights)).abs().max(ERROR_MIN);
            let weight = if round == 0 { *weight } else { weight / error };
            for row in 0..TERMS {
                for column in row..TERMS {
                    system[row][column] += weight * terms[row] * terms[column];
                }
                system[row][TERMS] += weight * terms[row] * target;
            }
        }
        let diagonal = || (0..TERMS).map(|row| system[row][row]);
        // Terms of extra columns that there are not are zero, and say nothing of how large a term is.
        let used = real(diagonal().filter(|size| *size > 0.0).count().max(1));
        let ridge = diagonal().sum::<f64>() / used * RIDGE + 1e-9;
        for row in 0..TERMS {
            for column in 0..row {
                system[row][column] = system[column][row];
            }
            system[row][row] += ridge;
        }
        solve(system)
    })
}

/// The sum of the terms by their weights.
pub(super) fn dot(terms: &[f64; TERMS], weights: &Weights) -> f64 {
    terms.iter().zip(weights).map(|(term, weight)| term * weight).sum()
}

/// Gauss' elimination; the ridge keeps the pivots away from zero.
fn solve(mut system: [[f64; TERMS + 1]; TERMS]) -> Weights {
    for pivot in 0..TERMS {
        let of_pivot = system[pivot];
        for row in system.iter_mut().skip(pivot + 1) {
            let factor = row[pivot] / of_pivot[pivot];
            for column in pivot..=TERMS {
                row[column] -= factor * of_pivot[column];
            }
        }
    }
    let mut weights = [0.0; TERMS];
    for row in (0..TERMS).rev() {
        let known: f64 = (row + 1..TERMS).map(|column| system[row][column] * weights[column]).sum();
        weights[row] = (system[row][TERMS] - known) / system[row][row];
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wild_row_in_ten_changes_little() {
        let terms: Vec<[f64; TERMS]> = (0_u32..200)
            .map(|index| {
                let mut terms = [0.0; TERMS];
                terms[0] = 1.0;
                terms[1] = f64::from(index % 17) / 17.0;
                terms
            })
            .collect();
        let rows: Vec<Row<'_>> = terms
            .iter()
            .enumerate()
            .map(|(index, terms)| (terms, if index % 10 == 0 { 90.0 } else { 1.0 + 2.0 * terms[1] }, 1.0))
            .collect();
        let weights = fit(&rows);
        assert!((weights[0] - 1.0).abs() < 0.1 && (weights[1] - 2.0).abs() < 0.1, "{weights:?}");
    }

    #[test]
    fn nothing_is_learned_from_nothing() {
        assert!(fit(&[]).iter().all(|weight| *weight == 0.0));
    }
}
