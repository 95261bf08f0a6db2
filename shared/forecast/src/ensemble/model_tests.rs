use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use super::{Context, Covariate, Ensemble, Exclusion, MODEL_VERSION, RetrainReason};
use crate::codec::NotAModel;
use crate::forecast::NoForecast;
use crate::series::Series;
use crate::statistics::real;

const HOURLY: u32 = 3_600;
const NONE: Context<'static> = Context { covariates: &[] };

fn series(step_s: u32, values: impl IntoIterator<Item = Option<f64>>) -> Series {
    Series::new(Timestamp::UNIX_EPOCH, step_s, values)
}

/// SplitMix64's mixing: neighbours have nothing in common, which a model would find.
fn mixed(index: usize) -> usize {
    let mixed = (index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn noise(index: usize) -> f64 {
    real((mixed(index) >> 40) & 0xffff) / 65_536.0
}

/// A day's wave at one hour, with a noise that repeats only after many weeks.
fn load(index: usize) -> f64 {
    100.0 - 50.0 * (real(index % 24) / 24.0 * std::f64::consts::TAU).cos() + 20.0 * noise(index)
}

fn hours(count: usize, of: impl Fn(usize) -> f64) -> Series {
    series(HOURLY, (0..count).map(|index| Some(of(index))))
}

fn days(days: usize) -> Series {
    hours(days * 24, load)
}

fn trained(history: &Series) -> Ensemble {
    Ensemble::train(history, &NONE, 6).unwrap()
}

#[test]
fn the_day_is_learned_and_the_band_holds() {
    let (mut inside, mut tried) = (0, 0);
    let mut model = trained(&days(14));
    for origin in (14 * 24..21 * 24).step_by(6) {
        let history = hours(origin, load);
        model.update(&history, &NONE).unwrap();
        let forecast = model.predict(&history, &NONE, 6, &[0.05, 0.95]).unwrap();
        for ahead in 0..6 {
            let truth = load(origin + ahead);
            assert!((forecast.mean[ahead] - truth).abs() < 25.0, "{origin}+{ahead}");
            let (low, high) = (forecast.quantiles[0].values[ahead], forecast.quantiles[1].values[ahead]);
            inside += usize::from(low <= truth && truth <= high);
            tried += 1;
        }
    }
    let share = real(inside) / real(tried);
    assert!((0.8..=0.98).contains(&share), "{share} of the truth lies in the 90 % band");
    assert!(model.confidence().get() > 0.9 && model.drift() < 1.0, "{:?}", model.confidence());
    let total: f64 = model.members().iter().map(|member| member.1).sum();
    assert!((total - 1.0).abs() < 1e-9, "{:?}", model.members());
    assert!(model.anomaly().get() < 0.4);
}

#[test]
fn two_hours_are_enough_to_begin_with() {
    let history = series(300, (0..24).map(|index| Some(100.0 + 10.0 * noise(index))));
    let model = Ensemble::train(&history, &NONE, 24).unwrap();
    let forecast = model.predict(&history, &NONE, 24, &[0.05, 0.95]).unwrap();
    for ahead in 0..24 {
        let (low, high) = (forecast.quantiles[0].values[ahead], forecast.quantiles[1].values[ahead]);
        assert!((90.0..120.0).contains(&forecast.mean[ahead]), "{:?}", forecast.mean);
        assert!(high - low > 9.0 && low < 102.0 && 108.0 < high, "{ahead}: {low}..{high}");
    }
    assert!(model.confidence().get() < 0.5, "{:?}", model.confidence());
    assert!(model.excluded().contains(&("boosted_line", Exclusion::ShortHistory)));
    let later = series(300, (0..48).map(|index| Some(100.0 + 10.0 * noise(index))));
    let mut model = model;
    assert_eq!(model.retrain_reason(history.end(), None), None);
    model.update(&later, &NONE).unwrap();
    assert_eq!(model.retrain_reason(later.end(), None), Some(RetrainReason::Longer));
}

#[test]
fn odd_histories_are_served() {
    type Load = fn(usize) -> Option<f64>;
    let odd: [(&str, usize, Load); 9] = [
        ("zero", 240, |_| Some(0.0)),
        ("constant", 240, |_| Some(7.0)),
        ("negative", 120, |index| Some(-real(index % 5))),
        ("gaps", 240, |index| (index % 3 != 0).then(|| load(index))),
        ("long gap", 240, |index| (!(100..150).contains(&index)).then(|| load(index))),
        ("reset", 240, |index| Some(real(index % 100) * 1e9)),
        ("ten points", 10, |index| Some(load(index))),
        ("six points", 6, |index| Some(load(index))),
        ("huge", 120, |index| Some(load(index) * 1e300)),
    ];
    for (name, count, of) in odd {
        let history = series(HOURLY, (0..count).map(of));
        let mut model = trained(&history);
        model.update(&series(HOURLY, (0..count + 2).map(of)), &NONE).unwrap();
        let forecast = model.predict(&history, &NONE, 30, &[0.05, 0.5, 0.999]).unwrap();
        let mut values = forecast.quantiles.iter().flat_map(|quantile| &quantile.values);
        assert!(values.all(|value| value.is_finite() && 0.0 <= *value), "{name}: {forecast:?}");
        assert!(model.encode().len() < 64 * 1_024, "{name}");
    }
    let constant = series(HOURLY, (0..240).map(|_| Some(7.0)));
    let forecast = trained(&constant).predict(&constant, &NONE, 6, &[0.95]).unwrap();
    assert!((forecast.quantiles[0].values[3] - 7.0).abs() < 0.01, "{forecast:?}");
}

#[test]
fn too_little_and_another_grid_are_refused() {
    let few = series(HOURLY, (0..50).map(|index| (index < 5).then_some(1.0)));
    assert_eq!(Ensemble::train(&few, &NONE, 6), Err(NoForecast::TooShort { known: 5, needed: 6 }));
    let mut model = trained(&hours(40, load));
    let finer = series(300, [Some(1.0)]);
    let refused = NoForecast::OtherStep { trained_s: HOURLY, found_s: 300 };
    assert_eq!(model.predict(&finer, &NONE, 6, &[0.5]), Err(refused.clone()));
    assert_eq!(model.update(&finer, &NONE), Err(refused));
    let empty = series(HOURLY, [None, None]);
    assert_eq!(model.predict(&empty, &NONE, 6, &[0.5]), Err(NoForecast::TooShort { known: 0, needed: 1 }));
}

#[test]
fn a_crowd_is_not_tomorrow_s_season() {
    let crowd = |index: usize| if (300..302).contains(&index) { 1_500.0 } else { load(index) };
    let history = hours(322, crowd);
    let model = trained(&history);
    let forecast = model.predict(&history, &NONE, 6, &[0.9]).unwrap();
    for ahead in 0..6 {
        let (said, due) = (forecast.mean[ahead], load(322 + ahead));
        assert!((said - due).abs() < 30.0, "{ahead}: {said}, not {due}");
    }
}

#[test]
fn a_shift_is_followed_within_hours_and_asks_for_training() {
    let shifted = |index: usize| load(index) + if index < 240 { 0.0 } else { 300.0 };
    let mut model = trained(&hours(240, shifted));
    let week = Some(Duration::from_secs(7 * 86_400));
    for seen in 241..264 {
        let history = hours(seen, shifted);
        model.update(&history, &NONE).unwrap();
        if seen == 241 {
            assert!(model.anomaly().get() > 0.3, "{:?}", model.anomaly());
        }
        if (246..252).contains(&seen) {
            let said = model.predict(&history, &NONE, 1, &[0.5]).unwrap().mean[0];
            assert!((said - shifted(seen)).abs() < 80.0, "{seen}: {said}, not {}", shifted(seen));
        }
    }
    let now = hours(264, shifted).end();
    assert_eq!(model.retrain_reason(now, week), Some(RetrainReason::Drift), "{}", model.drift());
    let again = trained(&hours(264, shifted));
    assert_eq!(again.retrain_reason(now, week), None, "{}", again.drift());
    let later = now + Duration::from_secs(8 * 86_400);
    assert_eq!(again.retrain_reason(later, week), Some(RetrainReason::Age { age_s: 8 * 86_400 }));
}

#[test]
fn bands_widen_when_the_load_becomes_wilder() {
    let wild = |index: usize| load(index) + if index < 240 { 0.0 } else { 60.0 * (noise(index * 7) - 0.5) };
    let mut model = trained(&hours(240, wild));
    let (mut fixed, mut adapted, mut tried) = (0, 0, 0);
    let before = model.clone();
    for origin in 240..500 {
        let history = hours(origin, wild);
        model.update(&history, &NONE).unwrap();
        if origin < 400 {
            continue;
        }
        let misses = |model: &Ensemble| {
            let forecast = model.predict(&history, &NONE, 2, &[0.05, 0.95]).unwrap();
            let band = forecast.quantiles[0].values[1]..=forecast.quantiles[1].values[1];
            usize::from(!band.contains(&wild(origin + 1)))
        };
        fixed += misses(&before);
        adapted += misses(&model);
        tried += 1;
    }
    let (fixed, adapted) = (real(fixed) / real(tried), real(adapted) / real(tried));
    assert!(fixed > 0.25 && adapted < 0.2, "missed {fixed}, adapted {adapted}");
}

#[test]
fn confidence_tells_a_hopeless_load_from_a_known_one() {
    let hopeless = |index: usize| -(1.0 - noise(index)).max(1e-3).ln() * 100.0;
    let model = trained(&hours(240, hopeless));
    assert!(model.confidence().get() < 0.5, "{:?}", model.confidence());
}

#[test]
fn what_is_known_beside_the_load_is_used() {
    let sale = |index: usize| index / 24 % 5 == 3 && (8..14).contains(&(index % 24));
    let of = |index: usize| load(index) + if sale(index) { 200.0 } else { 0.0 };
    let (history, start) = (hours(18 * 24 + 7, of), 18 * 24 + 7);
    let column = hours(start + 6, |index| if sale(index) { 1.0 } else { 0.0 });
    let covariates = [Covariate { name: "sale".into(), series: column }];
    let told = Context { covariates: &covariates };
    let said = |context: &Context<'_>| {
        let model = Ensemble::train(&history, context, 6).unwrap();
        model.predict(&history, context, 6, &[0.5]).unwrap().mean[3]
    };
    assert!(sale(start + 3));
    let (with, without) = (said(&told), said(&NONE));
    let due = of(start + 3);
    assert!((with - due).abs() < 60.0 && (without - due).abs() > 100.0, "{with} and {without}, not {due}");
}

#[test]
fn a_stored_model_says_the_same_and_stays_small() {
    let model = trained(&days(14));
    let bytes = model.encode();
    assert!(bytes.len() < 64 * 1_024, "{} bytes", bytes.len());
    let stored = Ensemble::decode(&bytes).unwrap();
    assert_eq!(stored, model);
    assert_eq!(stored.encode(), bytes);
    assert_eq!(trained(&days(14)).encode(), bytes, "the same history gives the same bytes");
    let mut other = bytes.clone();
    other[4] = 250;
    let refused = Ensemble::decode(&other).unwrap_err();
    assert_eq!(refused, NotAModel::Version { found: 250, expected: MODEL_VERSION });
    let text = refused.to_string();
    assert!(text.contains("250") && text.contains(&MODEL_VERSION.to_string()), "{text}");
    for cut in [0, 3, 5, 6, 60, bytes.len() - 1] {
        assert!(matches!(Ensemble::decode(&bytes[..cut]), Err(NotAModel::Garbled { .. })), "{cut}");
    }
}

#[test]
fn ninety_days_of_five_minutes_stay_small() {
    let of = |index: usize| Some(load(index / 12) + noise(index));
    let history = series(300, (0..90 * 288).map(of));
    let model = Ensemble::train(&history, &NONE, 24).unwrap();
    assert!(model.encode().len() < 64 * 1_024);
    let whole = model.predict(&history, &NONE, 24, &[0.9]);
    assert_eq!(whole, model.predict(&history.tail(14 * 288), &NONE, 24, &[0.9]), "the tail is enough");
}

#[test]
fn points_count_once_however_many_cycles_were_missed() {
    let mut each = trained(&days(6));
    let mut late = each.clone();
    for seen in 145..160 {
        each.update(&hours(seen, load), &NONE).unwrap();
        each.update(&hours(seen, load), &NONE).unwrap();
    }
    late.update(&hours(159, load), &NONE).unwrap();
    assert_eq!(each.seen_until(), late.seen_until());
    assert_eq!(each.encode(), late.encode());
    late.update(&hours(150, load), &NONE).unwrap();
    assert_eq!(each, late, "an older history brings nothing");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3))]

    #[test]
    fn the_future_changes_nothing_and_quantiles_never_cross(
        future in proptest::collection::vec(0.0..1e6_f64, 3..50),
    ) {
        let past = days(5);
        let longer = series(HOURLY, (0..120).map(|index| Some(load(index))).chain(future.into_iter().map(Some)));
        let say = |history: &Series| {
            let mut model = trained(&history.until(hours(110, load).end()));
            model.update(history, &NONE).unwrap();
            let levels = [0.01, 0.05, 0.5, 0.9, 0.95, 0.999];
            (model.predict(history, &NONE, 12, &levels).unwrap(), model.encode())
        };
        let said = say(&past);
        prop_assert_eq!(&said, &say(&longer.until(past.end())));
        for step in 0..12 {
            let values: Vec<f64> = said.0.quantiles.iter().map(|quantile| quantile.values[step]).collect();
            prop_assert!(values.is_sorted() && values[0] >= 0.0, "{:?}", values);
        }
    }
}
