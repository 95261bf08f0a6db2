//! What a decision tells besides its target.

use super::*;
use crate::forecast::ObjectiveFeedback;

#[test]
fn a_decision_remembers_what_it_expects() {
    let decision = Case { forecast: Some((700.0, 0.95)), cpu: Some(42.0), ..case(FULL) }.decide();
    assert_eq!(decision.measured, Some(Units(9)));
    // The test's forecast has no lower quantile than the median, and every quantile is the same.
    let expected = Expected { metric: "cpu".into(), low: 700.0, high: 700.0, middle: Some(700.0) };
    assert_eq!(decision.expected, [expected]);
    assert_eq!(decision.cost_per_thousand, None, "a utilisation counts nothing");
}

#[test]
fn a_decision_expects_what_the_middle_of_the_cycle_brings_in_which_it_is_judged() {
    let case = case(FULL);
    case.in_world(|world| {
        let rising = |level| Quantile { level, values: (0..24).map(f64::from).collect() };
        let forecast = Forecast {
            start: now(),
            step_s: 300,
            mean: vec![0.0; 24],
            quantiles: vec![rising(0.5), rising(0.9)],
            model: "test".into(),
            confidence: Ratio::clamped(1.0),
        };
        let none = MetricForecast::none("cpu", NoForecast::Stale { age_s: 0 });
        let key: DimensionKey = "web/desired".parse().unwrap();
        let forecasts = BTreeMap::from([(key, vec![MetricForecast { outcome: Ok(forecast), ..none }])]);
        let world = World { forecasts: &forecasts, ..*world };
        let place = world.platform.dimensions().next().unwrap();
        // Cycles last five minutes: half of one before the half hour lies in the sixth step of the forecast.
        let expected = expected(&world, place, Duration::from_secs(1_800));
        assert_eq!(expected[0].middle, Some(5.0));
    });
}

#[test]
fn a_dimension_decided_alone_is_decided_as_among_others() {
    let other = Change { key: "other/desired".parse().unwrap(), at: now(), from: Units(1), to: Units(2) };
    for changed in [None, Some((10, true))] {
        Case { cpu: Some(30.0), changed, ..case(FULL) }.in_world(|world| {
            let changes: Vec<Change> = world.changes.iter().cloned().chain([other.clone()]).collect();
            let world = World { changes: &changes, ..*world };
            let alone = decision(&world, world.platform.dimensions().next().unwrap());
            assert_eq!(alone, decide(&world).remove(0));
            assert_eq!(alone.change().is_some(), changed.is_none());
        });
    }
}

#[test]
fn a_dimension_that_was_short_of_units_aims_higher_and_says_so() {
    let platform = web_up_to(4_000, FULL);
    let case = Case { set: 1_000, lead: Some((40_000.0, 0.95)), platform, ..case(FULL) };
    let case = Case { forecast: Some((40_000.0, 0.95)), cpu: Some(40.0), ..case };
    let decided = |exponent: f64, minutes: f64, short: f64| {
        case.in_world(|world| {
            let mut forecasts = world.forecasts.clone();
            let objective_feedback = Some(ObjectiveFeedback { exponent, minutes, short });
            forecasts.values_mut().flatten().for_each(|made| made.objective_feedback = objective_feedback);
            decision(&World { forecasts: &forecasts, ..*world }, world.platform.dimensions().next().unwrap())
        })
    };
    let [was_short, usual, kept] = [-2.5, 0.0, 1.0].map(|exponent| decided(exponent, 0.0, 0.0).needed);
    assert!(kept <= usual && usual < was_short, "{kept:?} {usual:?} {was_short:?}");
    assert!(!decided(1.0, 1_439.0, 0.0).reasons.iter().any(|reason| code(reason) == "objective_kept"));
    let reasons = decided(-1.0, 2_880.0, 72.0).reasons;
    let told = reasons.iter().find(|reason| code(reason) == "objective_kept").unwrap().to_string();
    assert_eq!(
        told,
        "cpu: 97.50 % of the minutes of 2.0 days had enough units (99.5 % are promised), so the share of short minutes that \
         is aimed at is 0.37 times the usual one"
    );
}

#[test]
fn a_change_takes_as_long_as_was_learned() {
    let known = Provisioned { seconds: 99.6, seen: 9, at: now() };
    let provisioning = BTreeMap::from([("web".into(), known)]);
    let state = PlatformState { provisioning, ..PlatformState::default() };
    let decision = Case { cpu: Some(75.0), state, ..case(FULL) }.decide();
    assert_eq!(decision.complete_in_s, Some(100));
}
