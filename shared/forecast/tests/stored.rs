//! Models and forecasts that are stored stay readable.
//!
//! The files in `stored/` were written by the code of 2026-11-26, before this crate was split from the core: encoded models
//! in base64, and the forecasts that they gave as JSON. A change that cannot read them needs another version number, and
//! then every deployed platform trains its models again.

#![allow(clippy::unwrap_used)] // A test may break.

use headroom_forecast::Forecast;
use headroom_forecast::ensemble::{Context, Covariate, Ensemble};
use headroom_forecast::lead_window::{LeadForecast, LeadForecaster, LeadModel, LeadSetting};
use headroom_forecast::series::Series;
use jiff::Timestamp;

/// What libraries of other systems may calculate differently in their last digits.
const TOLERANCE: f64 = 1e-9;

fn series(step_s: u32, steps: u32, of: impl Fn(u32) -> f64) -> Series {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    Series::new(start, step_s, (0..steps).map(|step| Some(of(step))))
}

/// A load with a season of `day` steps, and noise from a multiplicative hash.
fn load(step: u32, day: u32) -> f64 {
    let noise = step.wrapping_mul(2_654_435_769) >> 28;
    100.0 + 80.0 * f64::from((step % day).abs_diff(day / 2)) / f64::from(day) + f64::from(noise)
}

/// Whether a sale is on, four hours every other day.
fn sale(hour: u32) -> f64 {
    f64::from(u8::from(hour / 24 % 2 == 1 && hour % 24 < 4))
}

fn bytes(base64: &str) -> Vec<u8> {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = base64.chars().filter_map(|letter| DIGITS.find(letter));
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_usize, 0);
    for digit in digits {
        bits = bits << 6 | digit;
        count += 6;
        if 8 <= count {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    bytes
}

fn assert_near(found: f64, stored: f64) {
    assert!((found - stored).abs() <= TOLERANCE * stored.abs().max(1.0), "{found}, not {stored}");
}

#[test]
fn a_stored_ensemble_gives_the_forecast_that_it_gave() {
    let stored: Forecast = serde_json::from_str(include_str!("stored/ensemble-forecast.json")).unwrap();
    let encoded = bytes(include_str!("stored/ensemble.base64"));
    let ensemble = Ensemble::decode(&encoded).unwrap();
    assert_eq!(ensemble.encode(), encoded);

    let covariates = [Covariate { name: "sale".into(), series: series(3_600, 150, sale) }];
    let context = Context { covariates: &covariates };
    let history = series(3_600, 135, |hour| load(hour, 24) + 50.0 * sale(hour));
    let found = ensemble.predict(&history, &context, 12, &[0.05, 0.5, 0.95, 0.999]).unwrap();
    assert_eq!((found.start, found.step_s, &found.model), (stored.start, stored.step_s, &stored.model));
    assert_eq!((found.mean.len(), found.quantiles.len()), (12, stored.quantiles.len()));
    assert_near(found.confidence.get(), stored.confidence.get());
    found.mean.iter().zip(&stored.mean).for_each(|(found, stored)| assert_near(*found, *stored));
    for (found, stored) in found.quantiles.iter().zip(&stored.quantiles) {
        assert_eq!(found.level, stored.level);
        found.values.iter().zip(&stored.values).for_each(|(found, stored)| assert_near(*found, *stored));
    }
}

#[test]
fn a_stored_lead_model_gives_the_forecast_that_it_gave() {
    let json = include_str!("stored/lead-forecast.json");
    let stored: LeadForecast = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_string_pretty(&stored).unwrap(), json.trim_end());
    let encoded = bytes(include_str!("stored/lead-model.base64"));
    let model = LeadModel::decode(&encoded).unwrap();
    let again = LeadModel::decode(&model.encode()).unwrap();
    assert_eq!(again, model, "written by this build");
    assert_eq!(
        model.encode()[6..encoded.len()],
        encoded[6..],
        "but for the version, and what joined at the end"
    );

    let setting = LeadSetting { provisioning_s: 600, cycle_s: 300, unit: 10.0 };
    let history = series(300, 420, |step| load(step, 288));
    let found = LeadForecaster::resume(setting, &history, model).unwrap().forecast().unwrap();
    assert_eq!((found.from, found.ready, found.until), (stored.from, stored.ready, stored.until));
    assert_near(found.confidence.get(), stored.confidence.get());
    for (found, stored) in [(&found.arrival, &stored.arrival), (&found.whole, &stored.whole)] {
        for level in [0.05, 0.5, 0.9, 0.99, 0.999] {
            assert_near(found.quantile(level), stored.quantile(level));
        }
        for load in [90.0, 110.0, 115.0, 120.0] {
            assert_near(found.chance_above(load), stored.chance_above(load));
        }
    }
}
