//! Counts what the platform's capacity costs, from what each cycle sees of it.

use std::collections::BTreeMap;

use jiff::{Timestamp, tz::TimeZone};

use crate::name::DimensionKey;
use crate::observe::Observation;
use crate::platform::Platform;
use crate::state::{Spend, hours, month_start};

/// What a cycle sees of what capacity costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpendRate {
    /// What the capacity that is seen costs an hour.
    pub hourly: f64,
    /// Whether everything that Headroom serves was seen.
    pub complete: bool,
}

impl Spend {
    /// The spend when capacity of this rate ran since it was last counted. Capacity runs whether anybody counts or not:
    /// what lies between two counts, and the month before the first one, is charged at the rate that is seen. What can no
    /// longer be seen is charged at what it cost when it was.
    pub fn after(spend: Option<Spend>, rate: SpendRate, zone: &TimeZone, now: Timestamp) -> Spend {
        let month = month_start(zone, now);
        let (amount, peak, from) = match spend {
            Some(spend) if now <= spend.counted_to => return spend,
            Some(spend) if month <= spend.counted_to => (spend.amount, spend.peak_hourly, spend.counted_to),
            _ => (0.0, 0.0, month),
        };
        let unseen_hourly = match spend {
            Some(before) if !rate.complete && 0.0 < before.unseen_hourly => before.unseen_hourly,
            Some(before) if !rate.complete => (before.hourly - rate.hourly).max(0.0),
            _ => 0.0,
        };
        let hourly = rate.hourly + unseen_hourly;
        let amount = amount + hourly * hours(from, now);
        Spend { amount, peak_hourly: peak.max(hourly), hourly, unseen_hourly, counted_to: now }
    }
}

/// What the capacity that is seen costs.
pub fn spend_rate(platform: &Platform, observations: &BTreeMap<DimensionKey, Observation>) -> SpendRate {
    let mut rate = SpendRate { hourly: 0.0, complete: true };
    for place in platform.dimensions() {
        let key = &place.dimension.key;
        match observations.get(key).and_then(|observation| observation.capacity.known()) {
            // Under a native policy more may run than is set, and what is set is paid for before it is ready.
            Some(capacity) => {
                rate.hourly += capacity.set.max(capacity.ready).real() * place.dimension.unit_cost_hourly;
            }
            None => rate.complete &= !place.dimension.facts.is_served,
        }
    }
    rate
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_month_adds_up_and_the_next_begins_anew() {
        let zone = TimeZone::get("Europe/Zurich").unwrap();
        // The month begins at 23:00 UTC; what ran before the first count is charged like what is seen.
        let seen = |hourly: f64| SpendRate { hourly, complete: true };
        let first = Spend::after(None, seen(2.0), &zone, at("2026-11-01T01:00:00Z"));
        assert_eq!(first.amount, 4.0);
        let later = Spend::after(Some(first), seen(3.0), &zone, at("2026-11-01T02:30:00Z"));
        assert_eq!(later.amount, 8.5);
        // Three an hour for three and a half hours would have been 10.5.
        assert_eq!((first.saved(&zone), later.saved(&zone)), (Some(0.0), Some(1.0 - 8.5 / 10.5)));
        assert_eq!(Spend::after(Some(later), seen(9.0), &zone, at("2026-11-01T02:00:00Z")), later, "counted");
        assert_eq!(later.in_month_of(&zone, at("2026-11-30T22:59:59Z")), 8.5);
        assert_eq!(later.in_month_of(&zone, at("2026-11-30T23:00:00Z")), 0.0);
        let next = Spend::after(Some(later), seen(1.0), &zone, at("2026-12-01T00:00:00Z"));
        assert_eq!((next.amount, next.peak_hourly), (1.0, 1.0));
    }

    #[test]
    fn what_cannot_be_seen_is_charged_as_it_was() {
        let check = |spend: Spend, expected: (f64, f64, f64)| {
            assert_eq!((spend.amount, spend.hourly, spend.unseen_hourly), expected);
            spend
        };
        let after = |spend, hourly, complete, hour| {
            let now = at(&format!("2026-11-01T0{hour}:00:00Z"));
            Spend::after(spend, SpendRate { hourly, complete }, &TimeZone::UTC, now)
        };
        let first = check(after(None, 5.0, true, 1), (5.0, 5.0, 0.0));
        let dark = check(after(Some(first), 2.0, false, 2), (10.0, 5.0, 3.0));
        // What is seen meanwhile moves.
        let moved = check(after(Some(dark), 4.0, false, 3), (17.0, 7.0, 3.0));
        check(after(Some(moved), 6.0, true, 4), (23.0, 6.0, 0.0));
        check(after(None, 2.0, false, 1), (2.0, 2.0, 0.0));
    }
}
