//! The small members of the ensemble: a seasonal profile, exponential smoothing, an autoregression and a moving average.
//!
//! All but the last work on what a value is over its season, if the series has one.

#![expect(clippy::indexing_slicing, reason = "every index comes from the length of the history")]

use serde::{Deserialize, Serialize};

use super::boosted_regression::{BUCKETS, Row, bucket};
use super::features::Frame;
use crate::statistics::real;

/// Small members.
pub(super) const SMALL: usize = 4;
/// Their names, in the order of their guesses.
pub(super) const SMALL_NAMES: [&str; SMALL] =
    ["seasonal_profile", "smoothing", "autoregression", "moving_average"];

/// Steps that a state is run up over: with the least weight of a new value, what was before counts a thousandth.
const RUN_UP: usize = 300;
/// What may be tried as the weight of a new value, of a new trend, and as what stays of the trend each step.
const ALPHAS: [f64; 7] = [0.025, 0.06, 0.12, 0.25, 0.45, 0.7, 0.95];
const BETAS: [f64; 3] = [0.0, 0.05, 0.15];
const PHI: f64 = 0.93;
/// Lags of the autoregression.
const LAGS: usize = 16;
/// Ridge of the autoregression, as a share of the variance.
const RIDGE: f64 = 1e-3;

/// The small members, fitted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Small {
    /// Steps of the season; zero for none.
    period: usize,
    /// How much of what the last hour is over its season stays, by bucket.
    fades: Vec<f64>,
    smoothing: Smoothing,
    auto: Auto,
}

/// Damped trend (Gardner and McKenzie, 1985); without a trend it is simple smoothing, which is Theta's line too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Smoothing {
    alpha: f64,
    beta: f64,
}

/// An autoregression by Yule and Walker, solved as Durbin did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Auto {
    mean: f64,
    weights: Vec<f64>,
}

/// A history as the small members see it.
#[derive(Clone)]
pub(super) struct Past {
    /// What each value is over its season, from index `first` on.
    off: Vec<f64>,
    first: usize,
    /// Level and trend before each of them.
    states: Vec<(f64, f64)>,
}

impl Past {
    /// The whole history over a season, for fits.
    pub(super) fn whole(frame: &Frame, period: usize) -> Past {
        Past::off(frame, period, first(frame, period))
    }

    fn off(frame: &Frame, period: usize, first: usize) -> Past {
        let over = |index: usize| {
            let season = if period > 0 { frame.season(period, index, 0) } else { None };
            frame.value(index) - season.map_or(0.0, |season| season.0)
        };
        Past { off: (first..frame.len()).map(over).collect(), first, states: Vec::new() }
    }

    /// The newest part of a history.
    pub(super) fn of(frame: &Frame, small: &Small) -> Past {
        let first = frame.len().saturating_sub(RUN_UP).max(first(frame, small.period));
        let mut past = Past::off(frame, small.period, first);
        past.states = small.smoothing.states(&past.off);
        past
    }

    fn state(&self, origin: usize) -> (f64, f64) {
        let place = origin.saturating_sub(self.first).min(self.states.len().saturating_sub(1));
        self.states.get(place).copied().unwrap_or_default()
    }
}

impl Small {
    /// Fits to a history by the origins that `counts` lets count. The past is of the same period.
    pub(super) fn fit(
        frame: &Frame,
        (period, past): (usize, &mut Past),
        rows: &[Row],
        horizon: usize,
        counts: impl Fn(usize) -> bool,
    ) -> Small {
        let learned: Vec<bool> = (past.first..frame.len()).map(&counts).collect();
        let smoothing = Smoothing::fit(&past.off, &learned, horizon);
        past.states = smoothing.states(&past.off);
        let fades = fades(frame, period, rows, horizon, &counts);
        Small { period, fades, smoothing, auto: Auto::fit(&past.off, &learned) }
    }

    /// What each member says of a step, in the load's own unit.
    pub(super) fn guesses(
        &self,
        frame: &Frame,
        past: &Past,
        (origin, ahead): (usize, usize),
        horizon: usize,
    ) -> [f64; SMALL] {
        let now = frame.now(origin);
        let season = if self.period > 0 { frame.season(self.period, origin, ahead) } else { None };
        let (at, then) = season.unwrap_or((now, now));
        let base = season.map_or(0.0, |season| season.0);
        let fade = self.fades.get(bucket(ahead, horizon)).copied().unwrap_or(0.0);
        let from = origin.saturating_sub(past.first);
        [
            at + fade * (now - then),
            base + Smoothing::ahead(past.state(origin), ahead),
            base + self.auto.ahead(&past.off[..from.min(past.off.len())], ahead),
            now,
        ]
    }
}

/// The first index whose season is known.
fn first(frame: &Frame, period: usize) -> usize {
    if period > 0 { (period + frame.hour).min(frame.len()) } else { 0 }
}

/// How much of the difference from the season stays: by bucket, the weighted median of the share that stayed.
fn fades(
    frame: &Frame,
    period: usize,
    rows: &[Row],
    horizon: usize,
    counts: &impl Fn(usize) -> bool,
) -> Vec<f64> {
    let mut shares = vec![Vec::new(); BUCKETS.len()];
    for row in rows.iter().filter(|row| period > 0 && counts(row.origin)) {
        let Some((at, then)) = frame.season(period, row.origin, row.ahead) else { continue };
        let now = frame.now(row.origin) - then;
        if now != 0.0 {
            let stayed = (row.truth * frame.scale - at) / now;
            shares[bucket(row.ahead, horizon)].push((stayed, now.abs() * row.weight));
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

impl Smoothing {
    /// The weights whose guesses were nearest, tried a little, half way and far ahead.
    fn fit(off: &[f64], learned: &[bool], horizon: usize) -> Smoothing {
        let tried = [0, horizon / 4, horizon / 2, horizon - 1];
        let missed = |smoothing: &Smoothing| -> f64 {
            let states = smoothing.states(off);
            let of = |index: usize| -> f64 {
                let known = tried.iter().filter_map(|ahead| Some((ahead, off.get(index + ahead)?)));
                known.map(|(ahead, truth)| (truth - Smoothing::ahead(states[index], *ahead)).abs()).sum()
            };
            (0..off.len()).filter(|index| learned[*index]).map(of).sum()
        };
        let all = ALPHAS.iter().flat_map(|alpha| BETAS.map(|beta| Smoothing { alpha: *alpha, beta }));
        let best = all.map(|smoothing| (missed(&smoothing), smoothing)).min_by(|a, b| a.0.total_cmp(&b.0));
        best.map_or(Smoothing { alpha: 0.25, beta: 0.0 }, |best| best.1)
    }

    /// Level and trend before each value, and after the last.
    fn states(&self, off: &[f64]) -> Vec<(f64, f64)> {
        let mut state = (off.first().copied().unwrap_or(0.0), 0.0);
        let mut states = vec![state];
        for value in off {
            let foreseen = state.0 + PHI * state.1;
            let level = foreseen + self.alpha * (value - foreseen);
            state = (level, PHI * state.1 + self.beta * self.alpha * (value - foreseen));
            states.push(state);
        }
        states
    }

    fn ahead((level, trend): (f64, f64), ahead: usize) -> f64 {
        let steps = i32::try_from(ahead + 1).unwrap_or(i32::MAX);
        level + trend * PHI * (1.0 - PHI.powi(steps)) / (1.0 - PHI)
    }
}

impl Auto {
    fn fit(off: &[f64], learned: &[bool]) -> Auto {
        let known = || off.iter().zip(learned).filter(|(_, learned)| **learned).map(|(value, _)| *value);
        let count = real(known().count()).max(1.0);
        let mean = known().sum::<f64>() / count;
        let size = known().map(|value| (value - mean).abs()).sum::<f64>() / count;
        // One crowd must not decide what follows what.
        let centred = off.iter().map(|value| (value - mean).clamp(-6.0 * size, 6.0 * size));
        let centred: Vec<f64> =
            centred.zip(learned).map(|(value, learned)| if *learned { value } else { 0.0 }).collect();
        let lags = LAGS.min(off.len() / 4);
        let covariance = |lag: usize| -> f64 {
            centred.iter().zip(&centred[lag.min(centred.len())..]).map(|(a, b)| a * b).sum::<f64>() / count
        };
        let covariances: Vec<f64> = (0..=lags).map(covariance).collect();
        Auto { mean, weights: durbin(&covariances) }
    }

    fn ahead(&self, off: &[f64], ahead: usize) -> f64 {
        let lags = self.weights.len();
        let mut run: Vec<f64> =
            off[off.len().saturating_sub(lags)..].iter().map(|value| value - self.mean).collect();
        if run.len() < lags {
            return off.last().copied().unwrap_or(self.mean);
        }
        for _ in 0..=ahead {
            let next = run.iter().rev().zip(&self.weights).map(|(value, weight)| value * weight).sum();
            run.push(next);
        }
        self.mean + run.last().copied().unwrap_or(0.0)
    }
}

/// The weights of lags that fit autocovariances: Durbin's recursion.
fn durbin(covariances: &[f64]) -> Vec<f64> {
    let variance = covariances.first().copied().unwrap_or(0.0) * (1.0 + RIDGE);
    if variance <= 0.0 {
        return Vec::new();
    }
    let mut weights: Vec<f64> = Vec::new();
    let mut left = variance;
    for lag in 1..covariances.len() {
        let told: f64 = weights.iter().enumerate().map(|(index, w)| w * covariances[lag - 1 - index]).sum();
        let share = (covariances[lag] - told) / left;
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
