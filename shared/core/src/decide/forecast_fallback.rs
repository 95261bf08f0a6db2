//! Forecasts that this cycle could not make: decisions use the newest earlier forecast of the dimension, until forecasts have
//! been missing for too long.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::Decision;
use crate::forecast::MetricForecast;
use crate::name::DimensionKey;
use crate::platform::{Metric, Platform};
use crate::reason::Reason;
use crate::state::{LeadWindows, PlatformState};

/// What was forecast of a dimension by an earlier cycle, and when.
pub type Earlier = (Timestamp, DimensionKey, Vec<MetricForecast>);

/// Forecasts to decide by: those of this cycle, and those of an earlier one where this has none.
#[derive(Clone, Debug, Default)]
pub struct FallbackForecasts {
    /// What is forecast, by dimension.
    pub forecasts: BTreeMap<DimensionKey, Vec<MetricForecast>>,
    /// When each forecast of an earlier cycle that is still used was made.
    pub made_at: BTreeMap<DimensionKey, Timestamp>,
}

/// The oldest time at which a forecast that is still used at `now` may have been made; `None` when every dimension that should
/// have a forecast has one of this cycle.
///
/// A forecast is missing from when the next one was due, a cycle after it.
pub fn since(
    platform: &Platform,
    state: &PlatformState,
    forecasts: &BTreeMap<DimensionKey, Vec<MetricForecast>>,
    now: Timestamp,
) -> Option<Timestamp> {
    if missing(platform, forecasts).is_empty() {
        return None;
    }
    let after = platform.predictive.stale_after + platform.orchestration.cycle;
    // A forecast that ends before units ordered now are ready says nothing about them.
    let reaches =
        platform.predictive.horizon.saturating_sub(LeadWindows::of(platform, state).judging_delay());
    now.checked_sub(after.min(reaches).min(AGE_MAX)).ok()
}

/// The time from `since` to `now` in parts of five minutes, newest first. They are read one by one until [`is_enough`]: only the
/// newest forecast of a dimension counts, and during an outage every cycle reads them.
pub fn parts(since: Timestamp, now: Timestamp) -> impl Iterator<Item = (Timestamp, Timestamp)> {
    const PART_S: i64 = 300;
    let (first_s, last_s) = (since.as_second(), now.as_second());
    let part = move |to_s: i64| {
        let from_s = (to_s - PART_S + 1).max(first_s);
        Some((Timestamp::from_second(from_s).ok()?, Timestamp::from_second(to_s).ok()?))
    };
    let ends = std::iter::successors(Some(last_s), |to_s| to_s.checked_sub(PART_S));
    ends.take_while(move |to_s| first_s <= *to_s).filter_map(part)
}

/// Whether every dimension that should have a forecast has one by now.
pub fn is_enough(
    platform: &Platform,
    forecasts: &BTreeMap<DimensionKey, Vec<MetricForecast>>,
    earlier: &[Earlier],
) -> bool {
    let found = |key: &DimensionKey| earlier.iter().any(|(_, of, made)| of == key && is_usable(made));
    missing(platform, forecasts).into_iter().all(found)
}

/// Whether there is a forecast in it: a cycle that could not forecast either has stored only its reasons.
fn is_usable(made: &[MetricForecast]) -> bool {
    made.iter().any(|made| made.outcome.is_ok())
}

/// A forecast older than this is not used, whatever the configuration allows: the load may have changed too much since.
const AGE_MAX: Duration = Duration::from_secs(3_600);

fn missing<'a>(
    platform: &'a Platform,
    forecasts: &BTreeMap<DimensionKey, Vec<MetricForecast>>,
) -> BTreeSet<&'a DimensionKey> {
    let foreseen = |metric: &Metric| metric.measure.is_foreseen();
    let places = platform.dimensions().filter(|place| {
        place.group.policy.predictive
            && place.dimension.facts.is_served
            && place.dimension.metrics.iter().any(foreseen)
    });
    places.map(|place| &place.dimension.key).filter(|key| !forecasts.contains_key(key)).collect()
}

impl FallbackForecasts {
    /// This cycle's forecasts, and the newest of `earlier` cycles where it has none.
    ///
    /// The earlier cycle's forecast of its lead window is left out, because that window is over; its forecast of the horizon still
    /// covers the time to come.
    pub fn of(
        platform: &Platform,
        forecasts: BTreeMap<DimensionKey, Vec<MetricForecast>>,
        mut earlier: Vec<Earlier>,
    ) -> FallbackForecasts {
        let gone: BTreeSet<DimensionKey> = missing(platform, &forecasts).into_iter().cloned().collect();
        let mut fallback = FallbackForecasts { forecasts, made_at: BTreeMap::new() };
        earlier.sort_by_key(|(made_at, ..)| *made_at);
        let usable = |(_, key, made): &Earlier| gone.contains(key) && is_usable(made);
        for (made_at, key, made) in earlier.into_iter().filter(usable) {
            let made = made.into_iter().map(|made| MetricForecast { lead: None, anomaly: None, ..made });
            fallback.forecasts.insert(key.clone(), made.collect());
            fallback.made_at.insert(key, made_at);
        }
        fallback
    }

    /// Adds to each decision that used an earlier forecast when that forecast was made.
    pub fn explain(&self, decisions: &mut [Decision]) {
        for decision in decisions {
            if let Some(made_at) = self.made_at.get(&decision.key) {
                decision.reasons.insert(0, Reason::EarlierForecast { made_at: *made_at });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use headroom_forecast::{Forecast, NoForecast};

    use super::*;
    use crate::config::parse;
    use crate::state::EMPTY;
    use crate::units::Ratio;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn shop(more: &str) -> Platform {
        let text = format!(
            "configuration_name: shop
scaling_groups:
  web: {{resources: [{{type: ECS_SERVICE, name: web, min_capacity: 1, max_capacity: 9}}]}}
  api:
    resources: [{{type: ECS_SERVICE, name: api, min_capacity: 1, max_capacity: 9}}]
    scaling_policies: [{{type: predictive, enabled: false}}]
{more}"
        );
        parse(&text).unwrap().platform
    }

    fn key() -> DimensionKey {
        "web/desired".parse().unwrap()
    }

    fn made(load: f64) -> Vec<MetricForecast> {
        let forecast = Forecast {
            start: at(0),
            step_s: 300,
            mean: vec![load],
            quantiles: Vec::new(),
            model: "ensemble".to_owned(),
            confidence: Ratio::clamped(1.0),
        };
        let none = MetricForecast::none("cpu", NoForecast::Stale { age_s: 0 });
        vec![MetricForecast { outcome: Ok(forecast), ..none }]
    }

    fn none() -> Vec<MetricForecast> {
        vec![MetricForecast::none("cpu", NoForecast::Stale { age_s: 9_000 })]
    }

    #[test]
    fn nothing_is_missing_where_a_forecast_was_made_or_none_is_wanted() {
        let forecasts = BTreeMap::from([(key(), made(0.0))]);
        assert_eq!(since(&shop(""), &EMPTY, &forecasts, at(10_000)), None);
        let told =
            |more: &str| since(&shop(more), &EMPTY, &BTreeMap::new(), at(10_000)).map(|at| at.as_second());
        assert_eq!(told(""), Some(10_000 - 600));
        assert_eq!(told("predictive: {fallback: {after: 0s}}\n"), Some(10_000 - 300));
        assert_eq!(told("predictive: {fallback: {after: 2d}}\n"), Some(10_000 - 3_600));
    }

    #[test]
    fn the_newest_earlier_forecast_stands_in_only_where_one_is_missing() {
        let earlier = vec![(at(300), key(), made(3.0)), (at(0), key(), made(1.0)), (at(600), key(), none())];
        let fallback = FallbackForecasts::of(&shop(""), BTreeMap::new(), earlier.clone());
        assert_eq!(fallback.forecasts[&key()], made(3.0));
        assert_eq!(fallback.made_at[&key()], at(300));
        let fallback = FallbackForecasts::of(&shop(""), BTreeMap::from([(key(), made(5.0))]), earlier);
        assert_eq!((&fallback.forecasts[&key()], fallback.made_at.len()), (&made(5.0), 0));
    }

    #[test]
    fn of_an_earlier_cycle_only_the_horizon_is_gone_on_with_and_the_decision_says_when_it_was_made() {
        let lead = crate::decide::tests::any_world::lead(3.0);
        let anomaly = Some(Ratio::clamped(0.5));
        let whole = |made: MetricForecast| MetricForecast { lead: Some(lead.clone()), anomaly, ..made };
        let earlier = vec![(at(300), key(), made(3.0).into_iter().map(whole).collect())];
        let shop = shop("");
        let fallback = FallbackForecasts::of(&shop, BTreeMap::new(), earlier);
        assert_eq!(fallback.forecasts[&key()], made(3.0));
        let mut decisions: Vec<Decision> = shop.dimensions().map(Decision::undecided).collect();
        decisions.iter_mut().for_each(|decision| decision.reasons.push(Reason::NothingMeasured));
        fallback.explain(&mut decisions);
        for decision in decisions {
            let made_at = (decision.key == key()).then_some(Reason::EarlierForecast { made_at: at(300) });
            let expected: Vec<Reason> = made_at.into_iter().chain([Reason::NothingMeasured]).collect();
            assert_eq!(decision.reasons, expected, "{}", decision.key);
        }
    }

    #[test]
    fn a_forecast_that_ends_before_an_order_serves_is_not_gone_on_with() {
        let short = shop("predictive: {prediction_horizon: 15m, fallback: {after: 1h}}\n");
        let since =
            since(&short, &EMPTY, &BTreeMap::new(), at(10_000)).map(|since| 10_000 - since.as_second());
        let most = 900 - i64::try_from(LeadWindows::of(&short, &EMPTY).judging_delay().as_secs()).unwrap();
        assert!(0 < most && since == Some(most), "{since:?}, not {most}");
    }

    #[test]
    fn the_past_is_read_newest_first_until_nothing_is_missing() {
        let seconds = |(from, to): (Timestamp, Timestamp)| (from.as_second(), to.as_second());
        let read: Vec<(i64, i64)> = parts(at(9_300), at(10_000)).map(seconds).collect();
        assert_eq!(read, [(9_701, 10_000), (9_401, 9_700), (9_300, 9_400)]);
        let enough = |made| is_enough(&shop(""), &BTreeMap::new(), &[(at(0), key(), made)]);
        assert!(enough(made(1.0)) && !enough(none()));
    }
}
