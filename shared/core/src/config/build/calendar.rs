//! Events that are known in advance.

use jiff::tz::TimeZone;

use super::Build;
use crate::config::fault::suggestion;
use crate::config::path::Path;
use crate::config::raw;
use crate::name::GroupName;
use crate::platform::{Effect, Event, Group, When};
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
            if duration.0.is_zero() {
                build.fault(&at.key("duration"), "is zero; the event would never be on");
            }
            Some(When::Every { cron: cron.clone(), duration: duration.0 })
        }
        _ => {
            build.fault(at, "needs `from` and `to`, or `cron` and `duration`");
            None
        }
    }
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
