//! What people ask for: a capacity for one cycle, or a floor until a time.

use super::facts::DemandFacts;
use super::need::{DemandSource, Need, Needs, Pair};
use crate::reason::Reason;
use crate::world::World;

/// The capacity that a person started this cycle with.
pub(super) fn manual(facts: &DemandFacts<'_>) -> Needs {
    let requested = facts.world.manual.get(&facts.place.dimension.key);
    let need = |units| Need { units, source: DemandSource::Manual, reason: Reason::Manual { asked: units } };
    Needs { manual: requested.copied().map(need), ..Needs::default() }
}

/// A floor that a person asked for counts like one of the calendar: it is guarded, and more may be needed.
pub(super) fn floor(facts: &DemandFacts<'_>) -> Needs {
    let World { state, now, .. } = *facts.world;
    let Some(floor) = state.requests.floor(&facts.place.dimension.key, now) else { return Needs::default() };
    let reason = Reason::Override { floor: floor.units, by: floor.by.clone(), until: floor.until };
    let need = Need { units: floor.units, source: DemandSource::Scheduled, reason };
    Needs { asked: Some(need.units), scheduled: Some(Pair::both(need)), ..Needs::default() }
}
