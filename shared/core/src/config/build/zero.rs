//! Capacities that may go to zero and could not come back: at zero units nothing has a utilisation.

use super::Build;
use crate::config::path::Path;
use crate::platform::{Dimension, Group, Measure, Mode, Platform};

/// Refuses what nothing would wake. A native policy may, in mode `floor`, and so may a floor of the calendar, or AWS itself where
/// something serves while nothing is set.
pub(super) fn check(build: &mut Build<'_>, platform: &Platform) {
    let at = Path::default().key("scaling_groups");
    for group in platform.groups.iter().filter(|group| !has_floor(platform, group)) {
        let resources_at = at.key(&group.name.0).key("resources");
        for (index, resource) in group.resources.iter().enumerate() {
            let own = resource.mode != Some(Mode::Floor);
            for dimension in resource.dimensions.iter().filter(|dimension| own && stays_at_zero(dimension)) {
                let sentence = format!(
                    "`{}` may have 0 units and would never come back from there: its metrics are those of running units, and 0 \
                     units have none; give it a smallest of 1, a metric of the work itself (`load` or `queue_depth`), or an event \
                     of the calendar with a `floor`",
                    dimension.key
                );
                build.fault(&resources_at.index(index), sentence);
            }
        }
    }
}

fn stays_at_zero(dimension: &Dimension) -> bool {
    let is_of_units =
        |measure: &Measure| measure.is_per_capacity() || matches!(measure, Measure::Latency { .. });
    let serves_anyway = 0 < dimension.facts.serves_at_none.0;
    dimension.bounds.min().0 == 0
        && !serves_anyway
        && !dimension.metrics.is_empty()
        && dimension.metrics.iter().all(|metric| is_of_units(&metric.measure))
}

/// Whether an event of the calendar asks for units of this group.
fn has_floor(platform: &Platform, group: &Group) -> bool {
    let mut events = platform.calendar.iter().filter(|event| event.concerns(&group.name));
    events.any(|event| event.effect.floor.is_some_and(|floor| 0 < floor.0))
}
