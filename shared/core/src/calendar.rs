//! The calendar: which events are on, and when the next one starts.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, Zoned};

use crate::name::GroupName;
use crate::platform::{Event, Platform, When};
use crate::scalar::{Cron, Length};
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
        // It is on in the window if it last started before the window's end and had not ended when it began.
        When::Every { cron, duration } => {
            starts(cron, zone, to).next().is_some_and(|start| from < start.end(*duration, zone))
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
    let on = starts(cron, zone, to).map(|start| (start.at, start.end(duration, zone)));
    let mut found: Vec<_> = on.take_while(|(_, end)| from < *end).take(OCCURRENCES_MAX).collect();
    found.reverse();
    found
}

/// When a pattern comes.
struct Start {
    at: Timestamp,
    /// What the pattern says, which the clock may skip.
    written: DateTime,
}

impl Start {
    fn end(&self, duration: Length, zone: &TimeZone) -> Timestamp {
        duration.after(self.at, self.written, zone)
    }
}

/// When a pattern comes before `to`, newest first.
///
/// As most crons do when the clock changes: a time that the clock skips comes at the first moment after, and a time that it
/// shows twice comes the first time. Patterns of every hour, or every so many, go by the hours that pass.
fn starts<'a>(cron: &'a Cron, zone: &'a TimeZone, to: Timestamp) -> impl Iterator<Item = Start> + 'a {
    let by_hours = cron.counts_hours();
    let walked = if by_hours { Some(to.to_zoned(zone.clone())) } else { shown_by(zone, to) };
    let previous = |before: &Zoned| cron.0.find_previous_occurrence(before, false).ok();
    let found = std::iter::successors(walked.as_ref().and_then(previous), move |start| previous(start));
    let start = move |start: Zoned| {
        let written = start.datetime();
        let at = if by_hours { start.timestamp() } else { first_shown(zone, written)? };
        Some(Start { at, written })
    };
    found.map_while(start).skip_while(move |start| to <= start.at)
}

/// The latest that the clock has shown before `to`, as if there were no changes: where it was put back lately, that is later
/// than what it shows now.
fn shown_by(zone: &TimeZone, to: Timestamp) -> Option<Zoned> {
    /// No clock is put back by more.
    const PUT_BACK_MAX: SignedDuration = SignedDuration::from_hours(3);
    let before = to.checked_sub(PUT_BACK_MAX).unwrap_or(Timestamp::MIN);
    let offset = zone.to_offset(to).max(zone.to_offset(before));
    offset.to_datetime(to).to_zoned(TimeZone::UTC).ok()
}

/// The first moment at which the clock shows at least `time`, having been before it.
fn first_shown(zone: &TimeZone, time: DateTime) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(time).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(time).ok(),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(time).ok(),
        AmbiguousOffset::Gap { before, .. } => {
            let within = before.to_timestamp(time).ok()?.checked_add(SignedDuration::from_secs(1)).ok()?;
            zone.preceding(within).next().map(|change| change.timestamp())
        }
    }
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

    /// The largest factor of `from..to`, where moments without an event count as one: a holiday lowers only what lies wholly
    /// within it. Of events that are on together the largest factor counts.
    pub fn during(&self, from: Timestamp, to: Timestamp) -> f64 {
        let on = || self.0.iter().filter(|(start, end, _)| *start < to && from < *end);
        let largest = on().map(|(_, _, factor)| *factor).reduce(f64::max).unwrap_or(1.0);
        if 1.0 <= largest || self.covers(from, to) { largest } else { 1.0 }
    }

    /// Whether some event is on at every moment of `from..to`: at its first, and wherever one ends.
    fn covers(&self, from: Timestamp, to: Timestamp) -> bool {
        let is_on = |at: Timestamp| self.0.iter().any(|(start, end, _)| *start <= at && at < *end);
        let mut ends = self.0.iter().map(|(_, end, _)| *end).filter(|end| from < *end && *end < to);
        is_on(from) && ends.all(is_on)
    }

    /// A load as it would have been without the events. `usual` is what it was before, and is kept up: an event that has
    /// only begun and is not in the load yet is no reason to expect less of it, or more of it once a holiday is over.
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
            let kept = |usual: f64| match factor < 1.0 {
                true => plain.min(value.max(usual)),
                false => plain.max(value.min(usual)),
            };
            Some(usual.filter(|_| begun).map_or(plain, kept))
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
mod clock_tests;

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
