//! Events that are valid and mean something else than they look like.

use super::{parse, small};

fn warned(event: &str) -> String {
    let parsed = parse(&small(&format!("calendar: [{{name: event, {event}}}]"))).unwrap();
    parsed.warnings.iter().map(|warning| format!("{}: {}", warning.path, warning.sentence)).collect()
}

#[test]
fn either_day_of_a_cron_is_told() {
    let told = warned("cron: '0 7 1-22 * 1-5', duration: 2h, floor: 3");
    assert!(told.starts_with("calendar[0].cron: comes on the days 1-22 of the month and"), "{told}");
    assert!(told.ends_with("write `+1-5` as the last field"), "{told}");
    for fine in ["0 7 1-22 * *", "0 7 * * 1-5", "0 7 1-22 * +1-5", "0 7 ? * MON-FRI", "0 0 29 2 *"] {
        assert_eq!(warned(&format!("cron: '{fine}', duration: 2h, floor: 3")), "", "{fine}");
    }
}

#[test]
fn an_event_that_never_comes_is_told() {
    for never in ["0 0 30 2 *", "0 0 31 4,6,9,11 *"] {
        let told = warned(&format!("cron: '{never}', duration: 2h, floor: 3"));
        assert_eq!(told, "calendar[0].cron: never comes: no month has such a day", "{never}");
    }
    assert_eq!(
        warned("cron: '0 0 * * *', duration: 2h, multiply: 1"),
        "calendar[0].multiply: is 1 and changes no load"
    );
}

#[test]
fn schedules_of_groups_are_looked_at_too() {
    let text = small("").replace(
        "  data:\n",
        "    scaling_policies: [{type: scheduled, cron: '0 7 1-22 * 1-5', duration: 2h, floor: 3}]\n  data:\n",
    );
    let warnings = parse(&text).unwrap().warnings;
    assert_eq!(warnings[0].path, "scaling_groups.web.scaling_policies[0].cron", "{warnings:?}");
}
