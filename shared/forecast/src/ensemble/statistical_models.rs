//! The statistical models: a seasonal profile, exponential smoothing, an autoregression and a moving average.
//!
//! All but the last work on residuals: the difference of each value from its season, if the series has one.

#![expect(clippy::indexing_slicing, reason = "every index comes from the length of the history")]

use serde::{Deserialize, Serialize};

use super::boosted_regression::{HORIZON_PARTS, TrainingRow, part_of};
use super::features::LoadFeatures;
use crate::statistics::real;

/// The number of statistical models.
pub(super) const STATISTICAL: usize = 4;
/// Their names, in the order of their predictions.
pub(super) const STATISTICAL_NAMES: [&str; STATISTICAL] =
    ["seasonal_profile", "smoothing", "autoregression", "moving_average"];

/// Smoothing starts so many steps before its first prediction. With the smallest weight of new values, what was before that
/// would count for a thousandth.
const RUN_UP: usize = 300;
/// The weights of a new value and of a new trend that are tried, and the share of the trend that stays at each step.
const ALPHAS: [f64; 7] = [0.025, 0.06, 0.12, 0.25, 0.45, 0.7, 0.95];
const BETAS: [f64; 3] = [0.0, 0.05, 0.15];
const PHI: f64 = 0.93;
/// Lags of the autoregression.
const LAGS: usize = 16;
/// The ridge penalty of the autoregression, as a share of the variance.
const RIDGE: f64 = 1e-3;

/// The fitted models.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct StatisticalModels {
    /// Steps of the season; zero for none.
    period: usize,
    /// The share of the difference between the last hour and its season that is left at the step, for each part of the
    /// horizon.
    decays: Vec<f64>,
    smoothing: ExponentialSmoothing,
    autoregression: Autoregression,
}

/// Exponential smoothing with a damped trend (Gardner and McKenzie, 1985).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct ExponentialSmoothing {
    alpha: f64,
    beta: f64,
}

/// An autoregression, fitted by the Yule-Walker equations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Autoregression {
    mean: f64,
    weights: Vec<f64>,
}

/// The residuals of a history: the difference of each value from its season.
#[derive(Clone)]
pub(super) struct SeasonalResiduals {
    /// The residuals, from index `first` on.
    values: Vec<f64>,
    first: usize,
    /// Level and trend of the smoothing before each residual.
    states: Vec<(f64, f64)>,
}

impl SeasonalResiduals {
    /// The residuals of the whole history, for fits.
    pub(super) fn whole(features: &LoadFeatures, period: usize) -> SeasonalResiduals {
        SeasonalResiduals::since(features, period, first(features, period))
    }

    fn since(features: &LoadFeatures, period: usize, first: usize) -> SeasonalResiduals {
        let over = |index: usize| {
            let season = if period > 0 { features.season(period, index, 0) } else { None };
            features.value(index) - season.map_or(0.0, |season| season.0)
        };
        SeasonalResiduals { values: (first..features.len()).map(over).collect(), first, states: Vec::new() }
    }

    /// The residuals of the newest part of a history, for predictions.
    pub(super) fn of(features: &LoadFeatures, statistical: &StatisticalModels) -> SeasonalResiduals {
        let first = features.len().saturating_sub(RUN_UP).max(first(features, statistical.period));
        let mut past = SeasonalResiduals::since(features, statistical.period, first);
        past.states = statistical.smoothing.states(&past.values);
        past
    }

    fn state(&self, origin: usize) -> (f64, f64) {
        let place = origin.saturating_sub(self.first).min(self.states.len().saturating_sub(1));
        self.states.get(place).copied().unwrap_or_default()
    }
}

impl StatisticalModels {
    /// Fits the models to the origins that `counts` accepts. The residuals have to be of the same period.
    pub(super) fn fit(
        features: &LoadFeatures,
        (period, past): (usize, &mut SeasonalResiduals),
        rows: &[TrainingRow],
        horizon: usize,
        counts: impl Fn(usize) -> bool,
    ) -> StatisticalModels {
        let used: Vec<bool> = (past.first..features.len()).map(&counts).collect();
        let smoothing = ExponentialSmoothing::fit(&past.values, &used, horizon);
        past.states = smoothing.states(&past.values);
        let decays = decays(features, period, rows, horizon, &counts);
        StatisticalModels {
            period,
            decays,
            smoothing,
            autoregression: Autoregression::fit(&past.values, &used),
        }
    }

    /// The prediction of each model for a step, in the load's own unit.
    pub(super) fn predictions(
        &self,
        features: &LoadFeatures,
        past: &SeasonalResiduals,
        (origin, ahead): (usize, usize),
        horizon: usize,
    ) -> [f64; STATISTICAL] {
        let now = features.last_hour(origin);
        let season = if self.period > 0 { features.season(self.period, origin, ahead) } else { None };
        let (at, then) = season.unwrap_or((now, now));
        let base = season.map_or(0.0, |season| season.0);
        let decay = self.decays.get(part_of(ahead, horizon)).copied().unwrap_or(0.0);
        let from = origin.saturating_sub(past.first);
        [
            at + decay * (now - then),
            base + ExponentialSmoothing::ahead(past.state(origin), ahead),
            base + self.autoregression.ahead(&past.values[..from.min(past.values.len())], ahead),
            now,
        ]
    }
}

/// The first index with a known season.
fn first(features: &LoadFeatures, period: usize) -> usize {
    if period > 0 { (period + features.hour).min(features.len()) } else { 0 }
}

/// The share of the difference from the season that is left, for each part of the horizon: the weighted median over the
/// rows.
fn decays(
    features: &LoadFeatures,
    period: usize,
    rows: &[TrainingRow],
    horizon: usize,
    counts: &impl Fn(usize) -> bool,
) -> Vec<f64> {
    let mut shares = vec![Vec::new(); HORIZON_PARTS.len()];
    for row in rows.iter().filter(|row| period > 0 && counts(row.origin)) {
        let Some((at, then)) = features.season(period, row.origin, row.ahead) else { continue };
        let now = features.last_hour(row.origin) - then;
        if now != 0.0 {
            let stayed = (row.actual * features.scale - at) / now;
            shares[part_of(row.ahead, horizon)].push((stayed, now.abs() * row.weight));
        }
    }
    shares.iter_mut().map(|shares| weighted_median(shares).clamp(0.0, 1.0)).collect()
}

fn weighted_median(shares: &mut [(f64, f64)]) -> f64 {
    shares.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let half = shares.iter().map(|share| share.1).sum::<f64>() / 2.0;
    let mut sum = 0.0;
    for share in shares.iter() {
        sum += share.1;
        if half <= sum {
            return share.0;
        }
    }
    0.0
}

impl ExponentialSmoothing {
    /// The weights with the smallest absolute error, at four distances over the horizon.
    fn fit(residuals: &[f64], used: &[bool], horizon: usize) -> ExponentialSmoothing {
        let horizons = [0, horizon / 4, horizon / 2, horizon - 1];
        let absolute_error = |smoothing: &ExponentialSmoothing| -> f64 {
            let states = smoothing.states(residuals);
            let of = |index: usize| -> f64 {
                let known = horizons.iter().filter_map(|ahead| Some((ahead, residuals.get(index + ahead)?)));
                known
                    .map(|(ahead, actual)| {
                        (actual - ExponentialSmoothing::ahead(states[index], *ahead)).abs()
                    })
                    .sum()
            };
            (0..residuals.len()).filter(|index| used[*index]).map(of).sum()
        };
        let all =
            ALPHAS.iter().flat_map(|alpha| BETAS.map(|beta| ExponentialSmoothing { alpha: *alpha, beta }));
        let best =
            all.map(|smoothing| (absolute_error(&smoothing), smoothing)).min_by(|a, b| a.0.total_cmp(&b.0));
        best.map_or(ExponentialSmoothing { alpha: 0.25, beta: 0.0 }, |best| best.1)
    }

    /// Level and trend before each value, and after the last.
    fn states(&self, residuals: &[f64]) -> Vec<(f64, f64)> {
        let mut state = (residuals.first().copied().unwrap_or(0.0), 0.0);
        let mut states = vec![state];
        for value in residuals {
            let expected = state.0 + PHI * state.1;
            let level = expected + self.alpha * (value - expected);
            state = (level, PHI * state.1 + self.beta * self.alpha * (value - expected));
            states.push(state);
        }
        states
    }

    fn ahead((level, trend): (f64, f64), ahead: usize) -> f64 {
        let steps = i32::try_from(ahead + 1).unwrap_or(i32::MAX);
        level + trend * PHI * (1.0 - PHI.powi(steps)) / (1.0 - PHI)
    }
}

impl Autoregression {
    fn fit(residuals: &[f64], used: &[bool]) -> Autoregression {
        let known = || residuals.iter().zip(used).filter(|(_, used)| **used).map(|(value, _)| *value);
        let count = real(known().count()).max(1.0);
        let mean = known().sum::<f64>() / count;
        let size = known().map(|value| (value - mean).abs()).sum::<f64>() / count;
        // A single flash crowd must not dominate the correlations.
        let centred = residuals.iter().map(|value| (value - mean).clamp(-6.0 * size, 6.0 * size));
        let centred: Vec<f64> =
            centred.zip(used).map(|(value, used)| if *used { value } else { 0.0 }).collect();
        let lags = LAGS.min(residuals.len() / 4);
        let covariance = |lag: usize| -> f64 {
            centred.iter().zip(&centred[lag.min(centred.len())..]).map(|(a, b)| a * b).sum::<f64>() / count
        };
        let covariances: Vec<f64> = (0..=lags).map(covariance).collect();
        Autoregression { mean, weights: durbin_levinson(&covariances) }
    }

    fn ahead(&self, residuals: &[f64], ahead: usize) -> f64 {
        let lags = self.weights.len();
        let mut run: Vec<f64> =
            residuals[residuals.len().saturating_sub(lags)..].iter().map(|value| value - self.mean).collect();
        if run.len() < lags {
            return residuals.last().copied().unwrap_or(self.mean);
        }
        for _ in 0..=ahead {
            let next = run.iter().rev().zip(&self.weights).map(|(value, weight)| value * weight).sum();
            run.push(next);
        }
        self.mean + run.last().copied().unwrap_or(0.0)
    }
}

/// The weights of the lags that fit autocovariances, by the Durbin-Levinson recursion.
fn durbin_levinson(covariances: &[f64]) -> Vec<f64> {
    let variance = covariances.first().copied().unwrap_or(0.0) * (1.0 + RIDGE);
    if variance <= 0.0 {
        return Vec::new();
    }
    let mut weights: Vec<f64> = Vec::new();
    let mut left = variance;
    for lag in 1..covariances.len() {
        let explained: f64 =
            weights.iter().enumerate().map(|(index, w)| w * covariances[lag - 1 - index]).sum();
        let share = (covariances[lag] - explained) / left;
        let turned: Vec<f64> = weights.iter().rev().map(|weight| share * weight).collect();
        weights.iter_mut().zip(&turned).for_each(|(weight, turned)| *weight -= turned);
        weights.push(share);
        left *= 1.0 - share * share;
        if left <= 0.0 {
            break;
        }
    }
    weights
}
