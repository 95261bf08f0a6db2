//! Events on days on which the clock changes, and holidays.

use super::*;
use crate::config::parse;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn zurich() -> TimeZone {
    TimeZone::get("Europe/Zurich").unwrap()
}

fn platform(event: &str) -> Platform {
    let text = format!(
        "configuration_name: shop
timezone: Europe/Zurich
scaling_groups: {{web: {{resources: [{{type: ECS_SERVICE, name: web, min_capacity: 1, max_capacity: 9}}]}}}}
calendar: [{{name: event, {event}}}]
"
    );
    parse(&text).unwrap().platform
}

/// When an event is on within two days, in the time of Zurich.
fn on(event: &str, day: &str) -> Vec<String> {
    let platform = platform(&format!("{event}, floor: 2"));
    let from = at(&format!("{day}T00:00:00Z")) - SignedDuration::from_hours(3);
    let found =
        occurrences(&platform.calendar[0].when, &platform.zone, from, from + SignedDuration::from_hours(36));
    let show = |at: Timestamp| at.to_zoned(zurich()).strftime("%d %H:%M%:z").to_string();
    found.iter().map(|(from, to)| format!("{} to {}", show(*from), show(*to))).collect()
}

#[test]
fn days_of_an_event_are_those_of_its_clock() {
    // 23 and 25 hours.
    assert_eq!(on("cron: '0 0 29 3 *', duration: 1d", "2026-03-29"), ["29 00:00+01:00 to 30 00:00+02:00"]);
    assert_eq!(on("cron: '0 0 25 10 *', duration: 1d", "2026-10-25"), ["25 00:00+02:00 to 26 00:00+01:00"]);
    assert_eq!(on("cron: '0 0 25 10 *', duration: 24h", "2026-10-25"), ["25 00:00+02:00 to 25 23:00+01:00"]);
    assert_eq!(
        on("cron: '0 0 25 10 *', duration: 86400", "2026-10-25"),
        ["25 00:00+02:00 to 25 23:00+01:00"]
    );
    assert_eq!(on("cron: '0 0 25 10 *', duration: 2w1h", "2026-10-25"), ["25 00:00+02:00 to 08 01:00+01:00"]);
    let day_off = platform("cron: '0 0 25 10 *', duration: 1d, no_scale_in: true");
    let last_hour = at("2026-10-25T22:30:00Z");
    let group = "web".into();
    let mut events =
        during(&day_off.calendar, &group, &day_off.zone, last_hour, last_hour + SignedDuration::from_mins(5));
    assert!(events.next().is_some(), "the last hour of the day belongs to it");
}

#[test]
fn a_time_that_the_clock_skips_comes_at_the_first_moment_after() {
    for event in ["cron: '30 2 * * *', duration: 30m", "cron: '15 2,2 * * *', duration: 30m"] {
        let found = on(event, "2026-03-29");
        assert!(found.contains(&"29 03:00+02:00 to 29 03:30+02:00".to_owned()), "{found:?}");
    }
    // Several that are skipped come together, once for each, and those of the hour after as always.
    let found = on("cron: '0,30 2-3 29 * *', duration: 10m", "2026-03-29");
    let first = "29 03:00+02:00 to 29 03:10+02:00";
    assert_eq!(found, [first, first, first, "29 03:30+02:00 to 29 03:40+02:00"]);
    let gap = platform("cron: '30 2 * * *', duration: 30m, floor: 2");
    let is_on = |from: &str| {
        let from = at(from);
        overlaps(&gap.calendar[0].when, &gap.zone, from, from + SignedDuration::from_mins(1))
    };
    assert!(is_on("2026-03-29T01:00:00Z") && is_on("2026-03-29T01:29:00Z"));
    assert!(!is_on("2026-03-29T00:59:00Z") && !is_on("2026-03-29T01:30:00Z"));
}

#[test]
fn a_time_that_the_clock_shows_twice_comes_once_and_hours_come_as_they_pass() {
    assert_eq!(on("cron: '30 2 25 * *', duration: 10m", "2026-10-25"), ["25 02:30+02:00 to 25 02:40+02:00"]);
    assert_eq!(
        on("cron: '0,30 2 25 * *', duration: 10m", "2026-10-25"),
        ["25 02:00+02:00 to 25 02:10+02:00", "25 02:30+02:00 to 25 02:40+02:00"]
    );
    let hourly = on("cron: '0 * 25 * *', duration: 10m", "2026-10-25");
    assert_eq!(
        hourly[1..5].join(", "),
        [
            "25 01:00+02:00 to 25 01:10+02:00",
            "25 02:00+02:00 to 25 02:10+02:00",
            "25 02:00+01:00 to 25 02:10+01:00",
            "25 03:00+01:00 to 25 03:10+01:00",
        ]
        .join(", ")
    );
    // Observed from within the hour that is shown again.
    let late = platform("cron: '45 2 * * *', duration: 30m, floor: 2");
    let is_on = |from: &str| {
        let from = at(from);
        overlaps(&late.calendar[0].when, &late.zone, from, from + SignedDuration::from_mins(1))
    };
    assert!(is_on("2026-10-25T00:45:00Z") && is_on("2026-10-25T01:10:00Z"));
    assert!(!is_on("2026-10-25T01:46:00Z"), "02:46, for the second time");
}

#[test]
fn a_day_of_the_month_and_one_of_the_week_are_either() {
    let days = |cron: &str| {
        let platform = platform(&format!("cron: '{cron}', duration: 1h, floor: 2"));
        let (from, to) = (at("2026-11-18T00:00:00Z"), at("2026-12-01T00:00:00Z"));
        let found = occurrences(&platform.calendar[0].when, &platform.zone, from, to);
        found
            .iter()
            .map(|(from, _)| from.to_zoned(zurich()).strftime("%d").to_string())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(days("0 7 1-22 * 1-5"), "18 19 20 21 22 23 24 25 26 27 30");
    assert_eq!(days("0 7 1-22 * +1-5"), "18 19 20");
}

#[test]
fn a_holiday_lowers_what_lies_wholly_within_it() {
    let text = "configuration_name: shop
scaling_groups: {web: {resources: [{type: ECS_SERVICE, name: web, min_capacity: 1, max_capacity: 9}]}}
calendar:
  - {name: holiday, from: 2026-12-25T00:00:00Z, to: 2026-12-26T00:00:00Z, multiply: 0.4}
  - {name: bridge, from: 2026-12-26T00:00:00Z, to: 2026-12-27T00:00:00Z, multiply: 0.6}
  - {name: sale, from: 2026-12-26T12:00:00Z, to: 2026-12-26T14:00:00Z, multiply: 2}
";
    let platform = parse(text).unwrap().platform;
    let factors =
        Factors::of(&platform, &"web".into(), at("2026-12-24T00:00:00Z"), at("2026-12-28T00:00:00Z"));
    let during = |from: &str, to: &str| {
        factors.during(at(&format!("2026-12-{from}:00Z")), at(&format!("2026-12-{to}:00Z")))
    };
    assert_eq!(during("25T01:00", "25T02:00"), 0.4);
    assert_eq!(during("24T23:30", "25T00:30"), 1.0, "it has not begun");
    assert_eq!(during("26T23:30", "27T00:30"), 1.0, "it is over before the end");
    assert_eq!(during("25T23:30", "26T00:30"), 0.6, "one after the other");
    assert_eq!(during("26T11:30", "26T12:30"), 2.0);
    assert_eq!(during("26T12:30", "26T13:30"), 2.0, "both are on");
}

#[test]
fn what_is_learned_of_a_holiday_is_the_load_of_any_other_day() {
    let holiday = platform("from: 2026-12-25T00:00, to: 2026-12-26T00:00, multiply: 0.4");
    let start = at("2026-12-24T00:00:00Z");
    let factors = Factors::of(&holiday, &"web".into(), start, start + SignedDuration::from_hours(72));
    let step = |index: usize| start + SignedDuration::from_secs(300 * i64::try_from(index).unwrap());
    let low = |index: usize| {
        let whole = at("2026-12-24T23:00:00Z")..at("2026-12-25T23:00:00Z");
        if whole.contains(&step(index)) { 40.0 } else { 100.0 }
    };
    let load = Series::new(start, 300, (0..864).map(|index| Some(low(index))));
    let plain = factors.without(&load, &mut None);
    assert!(
        plain.known().all(|value| (value - 100.0).abs() < 1e-9),
        "{:?}",
        plain.known().collect::<Vec<_>>()
    );
    // People leave an hour late: that is no reason to think that there are more of them.
    let slow = |index: usize| if step(index) < at("2026-12-25T00:00:00Z") { 100.0 } else { low(index) };
    let load = Series::new(start, 300, (0..864).map(|index| Some(slow(index))));
    let plain = factors.without(&load, &mut None);
    assert!(plain.known().all(|value| value <= 100.0 + 1e-9), "{:?}", plain.known().collect::<Vec<_>>());
}
