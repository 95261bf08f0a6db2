//! The seasonal naive forecast with a correction of the level, and a moving average for histories without a season. Neither
//! needs training.

use crate::forecast::{Forecast, NoForecast, Quantile, usable};
use crate::ratio::Ratio;
use crate::series::Series;
use crate::statistics::{quantile, real};

const DAY_S: u32 = 86_400;
const HOUR_S: u32 = 3_600;
/// The most origins within the history that errors are measured from: enough for a 95 % quantile, few enough to be fast.
const ORIGINS_MAX: usize = 200;

/// Forecasts `horizon` steps from the end of `history`.
///
/// With a day of history or more, it is the value one season ago (a week if the history is long enough, else a day),
/// corrected by the difference of the last hour from the same hour then. With less, it is the mean of the last hour.
/// Quantiles come from the errors of the same method at origins within the history.
///
/// # Errors
/// When there are too few known points, or one is too large.
pub fn forecast(history: &Series, horizon: usize, levels: &[f64]) -> Result<Forecast, NoForecast> {
    usable(history)?;
    let method = Method::of(history);
    let now = history.len();
    let mean: Vec<f64> =
        (0..horizon).map(|ahead| method.predict(history, now, ahead).unwrap_or(0.0)).collect();
    let past_errors = past_errors(history, &method, horizon);
    let quantiles = levels.iter().map(|level| quantile_of(&mean, &past_errors, *level)).collect();
    Ok(Forecast {
        start: history.end(),
        step_s: history.step_s(),
        confidence: confidence(&past_errors),
        model: method.name().to_owned(),
        quantiles,
        mean,
    })
}

/// How values are predicted.
enum Method {
    /// From the values one season ago.
    Seasonal { period: usize, hour: usize },
    /// From the mean of the last hour.
    Average { hour: usize },
}

impl Method {
    fn of(history: &Series) -> Method {
        let per = |seconds: u32| usize::try_from((seconds / history.step_s()).max(1)).unwrap_or(1);
        let (hour, day, week) = (per(HOUR_S), per(DAY_S), per(7 * DAY_S));
        match history.len() {
            // A week needs a day more, and a day an hour more, so that the correction can be computed at earlier origins
            // too.
            len if week + day <= len => Method::Seasonal { period: week, hour },
            len if day + hour <= len => Method::Seasonal { period: day, hour },
            _ => Method::Average { hour },
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Method::Seasonal { .. } => "seasonal_naive",
            Method::Average { .. } => "moving_average",
        }
    }

    /// The prediction for `ahead` steps after `origin`, the first unknown index, from values before `origin` only.
    fn predict(&self, history: &Series, origin: usize, ahead: usize) -> Option<f64> {
        match self {
            Method::Average { hour } => mean(history, origin.saturating_sub(*hour), origin),
            Method::Seasonal { period, hour } => {
                let ago = origin + ahead % period;
                let season = ago.checked_sub(*period).and_then(|index| around(history, index, origin));
                let average = || mean(history, origin.saturating_sub(*hour), origin);
                let Some(season) = season else { return average() };
                let from = origin.saturating_sub(*hour);
                let lately = mean(history, from, origin);
                let then = from.checked_sub(*period).and_then(|from| mean(history, from, from + hour));
                let shift = lately.zip(then).map_or(0.0, |(lately, then)| lately - then);
                // The correction fades over the horizon: after about an hour, the season alone is the better prediction.
                let fade = 1.0 / (1.0 + real(ahead) / real(*hour));
                Some((season + shift * fade).max(0.0))
            }
        }
    }
}

/// The value at an index, or the mean around it if that is a gap; only from values before `origin`.
fn around(history: &Series, index: usize, origin: usize) -> Option<f64> {
    history
        .get(index)
        .filter(|_| index < origin)
        .or_else(|| mean(history, index.saturating_sub(2), (index + 3).min(origin)))
}

fn mean(history: &Series, from: usize, to: usize) -> Option<f64> {
    let known: Vec<f64> = (from..to).filter_map(|index| history.get(index)).collect();
    (!known.is_empty()).then(|| known.iter().sum::<f64>() / real(known.len()))
}

/// The errors of the method at origins within the history: a sorted list for each number of steps ahead.
struct PastErrors {
    errors: Vec<Vec<f64>>,
    /// The mean absolute error over the mean load.
    relative: Option<f64>,
}

fn past_errors(history: &Series, method: &Method, horizon: usize) -> PastErrors {
    let first = match method {
        Method::Seasonal { period, hour } => period + hour,
        Method::Average { hour } => *hour.min(&(history.len() / 2)),
    };
    let last = history.len();
    let stride = (last.saturating_sub(first) / ORIGINS_MAX).max(1);
    let mut errors = vec![Vec::new(); horizon];
    let (mut error_sum, mut load_sum) = (0.0, 0.0);
    for origin in (first..last).rev().step_by(stride) {
        for (ahead, errors) in errors.iter_mut().enumerate() {
            let Some(actual) = history.get(origin + ahead) else { continue };
            let Some(prediction) = method.predict(history, origin, ahead) else { continue };
            errors.push(actual - prediction);
            error_sum += (actual - prediction).abs();
            load_sum += actual.abs();
        }
    }
    let has_errors = errors.first().is_some_and(|errors| !errors.is_empty());
    let relative = has_errors.then(|| if load_sum == 0.0 { error_sum } else { error_sum / load_sum });
    errors.iter_mut().for_each(|errors| errors.sort_by(f64::total_cmp));
    PastErrors { errors, relative }
}

fn quantile_of(mean: &[f64], past_errors: &PastErrors, level: f64) -> Quantile {
    let near: Vec<f64> =
        past_errors.errors.iter().find(|errors| !errors.is_empty()).cloned().unwrap_or_default();
    let values = mean.iter().zip(&past_errors.errors).map(|(mean, errors)| {
        // A short history has no errors for the furthest steps. Those of the nearest steps are used instead.
        let errors = if errors.is_empty() { &near } else { errors };
        (mean + quantile(errors, level)).max(0.0)
    });
    Quantile { level, values: values.collect() }
}

/// One minus the relative error; zero if no error could be measured.
fn confidence(past_errors: &PastErrors) -> Ratio {
    past_errors.relative.map_or(Ratio::ZERO, |relative| Ratio::clamped(1.0 - relative))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    const LEVELS: [f64; 4] = [0.05, 0.5, 0.9, 0.95];

    /// Days of a sine between 50 and 150, at five minutes.
    fn days(days: usize, shape: impl Fn(usize) -> Option<f64>) -> Series {
        Series::new(Timestamp::UNIX_EPOCH, 300, (0..days * 288).map(shape))
    }

    fn wave(index: usize) -> f64 {
        100.0 - 50.0 * (real(index % 288) / 288.0 * std::f64::consts::TAU).cos()
    }

    #[test]
    fn a_season_is_followed() {
        let forecast = forecast(&days(10, |index| Some(wave(index))), 24, &LEVELS).unwrap();
        assert_eq!(forecast.model, "seasonal_naive");
        for (ahead, mean) in forecast.mean.iter().enumerate() {
            assert!((mean - wave(2_880 + ahead)).abs() < 1e-9, "{ahead}: {mean}");
        }
        assert_eq!(forecast.confidence, Ratio::ONE);
    }

    #[test]
    fn a_new_level_is_followed() {
        let shifted = days(10, |index| Some(wave(index) + if 2_860 <= index { 40.0 } else { 0.0 }));
        let forecast = forecast(&shifted, 24, &LEVELS).unwrap();
        assert!((forecast.mean[0] - wave(2_880) - 40.0).abs() < 1.0, "{:?}", forecast.mean[0]);
    }

    #[test]
    fn under_a_day_the_last_hour_counts() {
        let history = Series::new(
            Timestamp::UNIX_EPOCH,
            300,
            (0..24).map(|index| Some(if index < 12 { 10.0 } else { 20.0 })),
        );
        let forecast = forecast(&history, 6, &LEVELS).unwrap();
        assert_eq!((forecast.model.as_str(), forecast.mean[5]), ("moving_average", 20.0));
    }

    #[test]
    fn too_little_is_said_to_be_too_little() {
        let gaps = days(2, |index| (index < 3).then_some(1.0));
        assert_eq!(forecast(&gaps, 6, &LEVELS), Err(NoForecast::TooShort { known: 3, needed: 6 }));
    }

    #[test]
    fn quantiles_never_cross_and_are_never_negative() {
        let noisy = days(9, |index| (index % 7 != 0).then_some(wave(index) * real(index * 7_919 % 13) / 6.0));
        let forecast = forecast(&noisy, 24, &LEVELS).unwrap();
        for step in 0..24 {
            let values: Vec<f64> = forecast.quantiles.iter().map(|quantile| quantile.values[step]).collect();
            assert!(values.is_sorted() && values.iter().all(|value| 0.0 <= *value), "{values:?}");
        }
    }

    #[test]
    fn the_future_changes_nothing_before_it() {
        let past = days(9, |index| Some(wave(index)));
        let longer = days(10, |index| Some(if index < 9 * 288 { wave(index) } else { 1e9 }));
        assert_eq!(forecast(&past, 24, &LEVELS), forecast(&longer.until(past.end()), 24, &LEVELS));
    }
}
