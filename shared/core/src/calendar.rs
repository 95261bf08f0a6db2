//! The calendar: which events are on, and when the next one starts.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use crate::name::GroupName;
use crate::platform::{Event, Platform, When};
use crate::series::Series;

/// Occurrences of one event that are looked at: a year of days, and some.
const OCCURRENCES_MAX: usize = 500;

/// The events for a group that overlap `from..to`.
pub fn during<'a>(
    events: &'a [Event],
    group: &'a GroupName,
    zone: &'a TimeZone,
    from: Timestamp,
    to: Timestamp,
) -> impl Iterator<Item = &'a Event> {
    events
        .iter()
        .filter(move |event| event.concerns(group))
        .filter(move |event| overlaps(&event.when, zone, from, to))
}

/// Whether an event is on at some time of `from..to`.
pub fn overlaps(when: &When, zone: &TimeZone, from: Timestamp, to: Timestamp) -> bool {
    match when {
        When::Once { from: start, to: end } => *start < to && from < *end,
        When::Every { cron, duration } => {
            // It is on in the window if it last started before the window's end and had not ended when it began.
            let last = cron.0.find_previous_occurrence(&to.to_zoned(zone.clone()), false);
            last.is_ok_and(|start| from < start.timestamp().checked_add(*duration).unwrap_or(Timestamp::MAX))
        }
    }
}

/// When an event is on within `from..to`, first and first instant after, in order.
pub fn occurrences(
    when: &When,
    zone: &TimeZone,
    from: Timestamp,
    to: Timestamp,
) -> Vec<(Timestamp, Timestamp)> {
    let (cron, duration) = match when {
        When::Once { from: start, to: end } if *start < to && from < *end => return vec![(*start, *end)],
        When::Once { .. } => return Vec::new(),
        When::Every { cron, duration } => (cron, *duration),
    };
    let mut found = Vec::new();
    let mut before = to.to_zoned(zone.clone());
    while let Ok(start) = cron.0.find_previous_occurrence(&before, false) {
        let end = start.timestamp().checked_add(duration).unwrap_or(Timestamp::MAX);
        if end <= from || found.len() == OCCURRENCES_MAX {
            break;
        }
        found.push((start.timestamp(), end));
        before = start;
    }
    found.reverse();
    found
}

/// By how much events multiply the load of a group, over some time.
///
/// Models learn the load without it, and what they foresee is multiplied by it: an event that is on is then in the
/// measured load once, and not a second time in what is expected of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Factors(Vec<(Timestamp, Timestamp, f64)>);

impl Factors {
    /// The factors for a group within `from..to`.
    pub fn of(platform: &Platform, group: &GroupName, from: Timestamp, to: Timestamp) -> Factors {
        let concerned = platform.calendar.iter().filter(|event| event.concerns(group));
        let multiplied = concerned.filter_map(|event| Some((event, event.effect.multiply?)));
        let each = multiplied.flat_map(|(event, factor)| {
            let on = occurrences(&event.when, &platform.zone, from, to);
            on.into_iter().map(move |(from, to)| (from, to, factor))
        });
        Factors(each.collect())
    }

    /// The largest factor of `from..to`; one where there is none.
    pub fn during(&self, from: Timestamp, to: Timestamp) -> f64 {
        let on = self.0.iter().filter(|(start, end, _)| *start < to && from < *end);
        on.map(|(_, _, factor)| *factor).fold(1.0, f64::max)
    }

    /// A load as it would have been without the events. `usual` is what it was before, and is kept up: an event that has
    /// only begun and is not in the load yet is no reason to expect less of it.
    pub fn without(&self, load: &Series, usual: &mut Option<f64>) -> Series {
        let share = (f64::from(load.step_s()) / USUAL_S).min(1.0);
        let mut value = |index: usize| {
            let (from, to) = (load.time_of(index), load.time_of(index + 1));
            let (value, factor) = (load.get(index)?, self.during(from, to));
            if factor == 1.0 {
                *usual = Some(usual.map_or(value, |usual| usual + (value - usual) * share));
                return Some(value);
            }
            let plain = value / factor;
            let begun = self.0.iter().any(|(start, end, _)| {
                *start < to && from < *end && from.duration_since(*start) < EFFECT_WITHIN
            });
            Some(usual.filter(|_| begun).map_or(plain, |usual| plain.max(value.min(usual))))
        };
        let values: Vec<Option<f64>> = (0..load.len()).map(&mut value).collect();
        Series::new(load.start(), load.step_s(), values)
    }
}

/// Seconds over which it is seen what a load usually is.
const USUAL_S: f64 = 1_800.0;
/// An event has so long to take effect: a sale is announced before people come. After it the load says what it is worth.
const EFFECT_WITHIN: SignedDuration = SignedDuration::from_hours(1);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::parse;

    /// Which of a night batch, a weekend freeze and one sale are on in the hour from `from`.
    fn check(from: &str, expected: &str) {
        let text = "configuration_name: shop
timezone: Europe/Zurich
scaling_groups:
  data: {resources: [{type: ECS_SERVICE, name: db, min_capacity: 1, max_capacity: 9}]}
  web: {resources: [{type: ECS_SERVICE, name: web, min_capacity: 1, max_capacity: 9}]}
calendar:
  - {name: night, cron: '0 1 * * *', duration: 90m, groups: [data], floor: 8}
  - {name: freeze, cron: '0 16 * * FRI', duration: 62h, no_scale_in: true}
  - {name: sale, from: 2026-11-27T08:00, to: 2026-11-28T02:00, multiply: 2.5}
";
        let platform = parse(text).unwrap().platform;
        let from: Timestamp = from.parse().unwrap();
        let to = from + Duration::from_secs(3_600);
        let of = |group: &str| {
            let group = GroupName::from(group);
            let names =
                during(&platform.calendar, &group, &platform.zone, from, to).map(|event| event.name.clone());
            names.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(format!("data: {} web: {}", of("data"), of("web")), expected);
    }

    #[test]
    fn events_are_on_in_the_time_of_the_place() {
        check("2026-11-24T12:00:00Z", "data:  web: ");
        check("2026-11-24T00:00:00Z", "data: night web: "); // 01:00 in Zurich, in winter
        check("2026-07-07T00:30:00Z", "data:  web: "); // 02:30 in Zurich, in summer: over since that minute
        check("2026-07-06T22:30:00Z", "data: night web: ");
        check("2026-11-27T15:00:00Z", "data: freeze sale web: freeze sale");
        check("2026-11-29T22:00:00Z", "data: freeze web: freeze"); // the night starts at 00:00 UTC, an hour later
    }

    #[test]
    fn windows_touch_without_overlapping() {
        check("2026-11-27T06:00:00Z", "data:  web: ");
        check("2026-11-27T06:00:01Z", "data: sale web: sale");
        check("2026-11-28T01:00:00Z", "data: night freeze web: freeze");
    }

    #[test]
    fn occurrences_are_those_that_overlap_in_the_time_of_the_place() {
        let text = "configuration_name: shop
timezone: Europe/Zurich
scaling_groups: {data: {resources: [{type: ECS_SERVICE, name: db, min_capacity: 1, max_capacity: 9}]}}
calendar:
  - {name: night, cron: '0 1 * * *', duration: 90m, multiply: 3}
  - {name: sale, from: 2026-11-27T08:00, to: 2026-11-28T02:00, multiply: 2}
";
        let platform = parse(text).unwrap().platform;
        let (from, to): (Timestamp, Timestamp) =
            ("2026-11-26T01:00:00Z".parse().unwrap(), "2026-11-28T00:00:00Z".parse().unwrap());
        let nights = occurrences(&platform.calendar[0].when, &platform.zone, from, to);
        let starts: Vec<String> = nights.iter().map(|(start, _)| start.to_string()).collect();
        assert_eq!(
            starts,
            ["2026-11-26T00:00:00Z", "2026-11-27T00:00:00Z"],
            "the one that was on, and the next"
        );
        let factors = Factors::of(&platform, &"data".into(), from, to);
        let at = |text: &str| {
            let from: Timestamp = text.parse().unwrap();
            factors.during(from, from + Duration::from_secs(60))
        };
        assert_eq!(
            ["2026-11-26T01:20:00Z", "2026-11-26T12:00:00Z", "2026-11-27T12:00:00Z"].map(at),
            [3.0, 1.0, 2.0]
        );
        let load = Series::new("2026-11-27T06:00:00Z".parse().unwrap(), 1_800, [10.0, 10.0, 30.0].map(Some));
        let plain = |load: &Series, mut usual| factors.without(load, &mut usual).known().collect::<Vec<_>>();
        assert_eq!(plain(&load, None), [10.0, 10.0, 15.0]);
        // Half an hour after its beginning a sale shows a little, then wholly, then less than nothing.
        let slow = Series::new(
            "2026-11-27T06:30:00Z".parse().unwrap(),
            900,
            [10.0, 10.0, 12.0, 26.0, 8.0].map(Some),
        );
        assert_eq!(plain(&slow, None), [10.0, 10.0, 10.0, 13.0, 8.0]);
        // What was usual is also known from before, and after an hour the load speaks for itself.
        let on = |from: &str| Series::new(from.parse().unwrap(), 900, [12.0].map(Some));
        assert_eq!(plain(&on("2026-11-27T07:45:00Z"), Some(11.0)), [11.0]);
        assert_eq!(plain(&on("2026-11-27T07:45:00Z"), None), [6.0]);
        assert_eq!(plain(&on("2026-11-27T08:00:00Z"), Some(11.0)), [6.0]);
    }
}
