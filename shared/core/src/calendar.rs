//! The calendar: which events are on, and when the next one starts.

use jiff::{Timestamp, tz::TimeZone};

use crate::name::GroupName;
use crate::platform::{Event, When};

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
        .filter(move |event| event.groups.is_empty() || event.groups.contains(group))
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
}
