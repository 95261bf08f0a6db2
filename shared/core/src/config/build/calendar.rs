//! Events that are known in advance.

use jiff::civil;
use jiff::tz::TimeZone;

use super::Build;
use crate::config::path::Path;
use crate::config::raw;
use crate::name::GroupName;
use crate::platform::{Effect, Event, Group, When};
use crate::scalar::Cron;
use crate::text::suggestion;
use crate::units::Units;

pub(super) fn calendar(
    build: &mut Build<'_>,
    raw: Vec<raw::Event>,
    groups: &[Group],
    zone: &TimeZone,
) -> Vec<Event> {
    let at = Path::default().key("calendar");
    let events = raw
        .into_iter()
        .enumerate()
        .filter_map(|(index, event)| self::event(build, &at.index(index), event, groups, zone));
    events.collect()
}

fn event(
    build: &mut Build<'_>,
    at: &Path,
    raw: raw::Event,
    groups: &[Group],
    zone: &TimeZone,
) -> Option<Event> {
    let when = when(build, at, &raw, zone);
    let named = raw.groups.unwrap_or_default();
    for (index, name) in named.iter().enumerate() {
        known_group(build, &at.key("groups").index(index), name, groups);
    }
    let effect = Effect {
        multiply: raw.multiply,
        floor: raw.floor.map(Units),
        no_scale_in: raw.no_scale_in.unwrap_or(false),
    };
    if effect == Effect::default() {
        build.fault(at, "changes nothing; give it `multiply`, `floor` or `no_scale_in: true`");
    }
    if raw.multiply == Some(1.0) {
        build.warn(&at.key("multiply"), "is 1 and changes no load");
    }
    let event =
        Event { name: raw.name, when: when?, groups: named.into_iter().map(GroupName).collect(), effect };
    let concerned = groups.iter().filter(|group| event.concerns(&group.name));
    let dimensions = concerned.flat_map(|group| &group.resources).flat_map(|resource| &resource.dimensions);
    let most = dimensions.map(|dimension| dimension.bounds.max()).max();
    if let (Some(floor), Some(most)) = (event.effect.floor, most)
        && most < floor
    {
        build.warn(&at.key("floor"), format!("nothing it is for may have more than {most} units"));
    }
    Some(event)
}

fn when(build: &mut Build<'_>, at: &Path, raw: &raw::Event, zone: &TimeZone) -> Option<When> {
    match (raw.from, raw.to, &raw.cron, raw.duration) {
        (Some(from), Some(to), None, None) => {
            let (from, to) = (from.instant(zone), to.instant(zone));
            if to <= from {
                build.fault(&at.key("to"), "is not after `from`");
            }
            Some(When::Once { from, to })
        }
        (None, None, Some(cron), Some(duration)) => {
            pattern(build, &at.key("cron"), cron);
            if duration.is_zero() {
                build.fault(&at.key("duration"), "is zero; the event would never be on");
            }
            Some(When::Every { cron: cron.clone(), duration })
        }
        _ => {
            build.fault(at, "needs `from` and `to`, or `cron` and `duration`");
            None
        }
    }
}

/// Warns of patterns that mean something else than they look like.
pub(super) fn pattern(build: &mut Build<'_>, at: &Path, cron: &Cron) {
    if !comes(cron) {
        build.warn(at, "never comes: no month has such a day");
    } else if let Some((of_month, of_week)) = cron.either_day() {
        let sentence = format!(
            "comes on the days {of_month} of the month and, as in every cron, on all other days {of_week} of the week too;              for days that are both write `+{of_week}` as the last field"
        );
        build.warn(at, sentence);
    }
}

/// Whether it comes on any day at all.
fn comes(cron: &Cron) -> bool {
    /// 2000 to 2399: the calendar repeats itself after 400 years.
    const YEARS: (i16, i16) = (2000, 2400);
    let start = civil::date(YEARS.0, 1, 1).to_zoned(TimeZone::UTC);
    let next = start.ok().and_then(|start| cron.0.find_next_occurrence(&start, true).ok());
    next.is_some_and(|next| next.year() < YEARS.1)
}

/// Reports a group that does not exist.
pub(super) fn known_group(build: &mut Build<'_>, at: &Path, name: &str, groups: &[Group]) -> bool {
    let known = groups.iter().any(|group| group.name.0 == name);
    if !known {
        let near = suggestion(name, groups.iter().map(|group| group.name.0.as_str()));
        build.fault(at, format!("there is no group `{name}`{near}"));
    }
    known
}
