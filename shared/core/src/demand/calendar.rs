//! The calendar: floors of events, ordered early enough to serve when the event begins.

use super::facts::DemandFacts;
use super::need::{DemandSource, Need, Needs, Pair};
use crate::calendar;
use crate::platform::Event;
use crate::reason::Reason;
use crate::units::Units;
use crate::world::World;

/// The largest floor of the events that have to be ordered for now. A floor is one of units that serve.
pub(super) fn floor(facts: &DemandFacts<'_>) -> Needs {
    if facts.place.dimension.stands_by() {
        return Needs::default();
    }
    let World { platform, now, .. } = *facts.world;
    let begins = |event: &&Event| {
        let floor = event.effect.floor.unwrap_or_default().min(facts.place.dimension.bounds.max());
        let sooner = platform.orchestration.cycle * cycles_before(facts, floor);
        let until = facts.lead.checked_add(sooner).unwrap_or(jiff::Timestamp::MAX);
        calendar::overlaps(&event.when, &platform.zone, now, until)
    };
    let name = &facts.place.group.name;
    let concerned = platform.calendar.iter().filter(|event| event.concerns(name));
    let floors = concerned.filter(begins).filter_map(|event| Some((event.effect.floor?, &event.name)));
    let need = floors.max_by_key(|(floor, _)| *floor).map(|(floor, event)| {
        let reason = Reason::EventFloor { event: event.clone(), floor };
        Need { units: floor, source: DemandSource::Scheduled, reason }
    });
    let asked = need.as_ref().map(|need| need.units);
    Needs { asked, scheduled: need.map(Pair::both), ..Needs::default() }
}

/// How many cycles before the last one the pace needs to reach `floor`. Scaling to the floor begins that much earlier.
fn cycles_before(facts: &DemandFacts<'_>, floor: Units) -> u32 {
    /// At most this many cycles earlier, which is an hour with cycles of five minutes.
    const CYCLES_MAX: u32 = 12;
    let share = facts.world.platform.guardrails.out_share_max;
    let mut units = facts.capacity.set;
    (0..CYCLES_MAX)
        .find(|_| {
            units = Units(units.0.saturating_add(units.share(share)));
            floor <= units
        })
        .unwrap_or(CYCLES_MAX)
}
