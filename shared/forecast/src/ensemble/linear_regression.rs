//! Linear regression by least absolute deviations. Trees cannot extrapolate, so they only learn its residuals.

#![expect(clippy::indexing_slicing, reason = "a system of a fixed size")]
#![expect(clippy::needless_range_loop, reason = "a matrix is written by row and column")]

use super::features::LINEAR_TERMS;
use crate::statistics::real;

/// Rounds of reweighting. Later ones change the result by less than the noise in the data.
const ROUNDS: usize = 5;
/// Errors below this share of the mean load are weighted as if they were that large. Weights are divided by errors, and one
/// tiny error would outweigh all other rows.
const ERROR_MIN: f64 = 0.02;
/// The ridge penalty, as a share of the mean diagonal. Correlated terms share their coefficient.
const RIDGE: f64 = 1e-4;

/// The coefficient of each term.
pub(super) type Coefficients = [f64; LINEAR_TERMS];

/// One row: its terms, the target and the weight.
pub(super) type LinearRow<'a> = (&'a [f64; LINEAR_TERMS], f64, f64);

/// Fits by iteratively reweighted least squares (Schlossmacher, 1973).
pub(super) fn fit(rows: &[LinearRow<'_>]) -> Coefficients {
    (0..ROUNDS).fold([0.0; LINEAR_TERMS], |coefficients, round| {
        let mut system = [[0.0; LINEAR_TERMS + 1]; LINEAR_TERMS];
        for (terms, target, weight) in rows {
            let error = (target - dot(terms, &coefficients)).abs().max(ERROR_MIN);
            let weight = if round == 0 { *weight } else { weight / error };
            for row in 0..LINEAR_TERMS {
                for column in row..LINEAR_TERMS {
                    system[row][column] += weight * terms[row] * terms[column];
                }
                system[row][LINEAR_TERMS] += weight * terms[row] * target;
            }
        }
        let diagonal = || (0..LINEAR_TERMS).map(|row| system[row][row]);
        // Terms of covariates that do not exist are zero, and are left out of the mean.
        let used = real(diagonal().filter(|size| *size > 0.0).count().max(1));
        let ridge = diagonal().sum::<f64>() / used * RIDGE + 1e-9;
        for row in 0..LINEAR_TERMS {
            for column in 0..row {
                system[row][column] = system[column][row];
            }
            system[row][row] += ridge;
        }
        solve(system)
    })
}

/// The prediction: the terms times their coefficients.
pub(super) fn dot(terms: &[f64; LINEAR_TERMS], coefficients: &Coefficients) -> f64 {
    terms.iter().zip(coefficients).map(|(term, weight)| term * weight).sum()
}

/// Gaussian elimination without pivoting: the ridge penalty keeps the pivots away from zero.
fn solve(mut system: [[f64; LINEAR_TERMS + 1]; LINEAR_TERMS]) -> Coefficients {
    for pivot in 0..LINEAR_TERMS {
        let of_pivot = system[pivot];
        for row in system.iter_mut().skip(pivot + 1) {
            let factor = row[pivot] / of_pivot[pivot];
            for column in pivot..=LINEAR_TERMS {
                row[column] -= factor * of_pivot[column];
            }
        }
    }
    let mut coefficients = [0.0; LINEAR_TERMS];
    for row in (0..LINEAR_TERMS).rev() {
        let known: f64 =
            (row + 1..LINEAR_TERMS).map(|column| system[row][column] * coefficients[column]).sum();
        coefficients[row] = (system[row][LINEAR_TERMS] - known) / system[row][row];
    }
    coefficients
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wild_row_in_ten_changes_little() {
        let terms: Vec<[f64; LINEAR_TERMS]> = (0_u32..200)
            .map(|index| {
                let mut terms = [0.0; LINEAR_TERMS];
                terms[0] = 1.0;
                terms[1] = f64::from(index % 17) / 17.0;
                terms
            })
            .collect();
        let rows: Vec<LinearRow<'_>> = terms
            .iter()
            .enumerate()
            .map(|(index, terms)| (terms, if index % 10 == 0 { 90.0 } else { 1.0 + 2.0 * terms[1] }, 1.0))
            .collect();
        let coefficients = fit(&rows);
        assert!(
            (coefficients[0] - 1.0).abs() < 0.1 && (coefficients[1] - 2.0).abs() < 0.1,
            "{coefficients:?}"
        );
    }

    #[test]
    fn nothing_is_learned_from_nothing() {
        assert!(fit(&[]).iter().all(|weight| *weight == 0.0));
    }
}
