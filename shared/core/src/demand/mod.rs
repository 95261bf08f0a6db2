//! Demand: how many units a dimension needs, by measured load, forecast, calendar, queue, latency, step policies and people; and what should stand by for it.
//!
//! Each source is a function in a file of its own, from the same facts to an answer; [`needs`] asks all of them. A source that
//! reads what the facts have already is a file and a line in one of the two lists here; CONTRIBUTING.md says what any other needs.

mod calendar;
mod facts;
mod forecast;
mod latency;
mod need;
mod newsvendor;
mod queue;
mod reactive;
mod request;
mod step_policy;
mod warm_pool;

pub use need::{DemandSource, Need, Needs, Pair};
pub use reactive::measured_units;

use crate::observe::{Capacity, Observation};
use crate::platform::Place;
use crate::reason::Reason;
use crate::state::LeadWindow;
use crate::world::World;
use facts::{DemandFacts, MetricFacts};

/// What answers for a dimension as a whole.
type Source = fn(&DemandFacts<'_>) -> Needs;
/// What answers for one of its metrics.
type MetricSource = fn(&DemandFacts<'_>, &MetricFacts<'_>) -> Needs;

const SOURCES: [Source; 4] = [request::manual, calendar::floor, request::floor, warm_pool::standing_by];

/// In the order in which their reasons are told.
const METRIC_SOURCES: [MetricSource; 9] = [
    reactive::load,
    latency::limit,
    step_policy::out,
    forecast::lead_window,
    forecast::horizon,
    forecast::soon,
    reactive::in_a_lull,
    step_policy::inward,
    queue::backlog,
];

/// What a dimension needs, by every source.
pub fn needs(
    world: &World<'_>,
    place: Place<'_>,
    window: LeadWindow,
    capacity: &Capacity,
    observation: &Observation,
) -> Needs {
    let facts = DemandFacts::of(world, place, window, (capacity, observation));
    let mut needs = Needs::default();
    SOURCES.iter().for_each(|source| needs.add(source(&facts)));
    for metric in &place.dimension.metrics {
        let metric = MetricFacts::of(&facts, metric, needs.measured);
        needs.complete &= metric.complete;
        needs.reasons.extend(metric.notes.iter().cloned());
        METRIC_SOURCES.iter().for_each(|source| needs.add(source(&facts, &metric)));
    }
    needs.count_steps_in();
    needs.reasons.extend(facts.multiplied_by());
    trust(&mut needs, world);
    needs
}

/// Whether the forecast may scale out, by the least confidence of those used.
fn trust(needs: &mut Needs, world: &World<'_>) {
    let needed = world.scale_out_confidence();
    let Some(confidence) = needs.confidence.filter(|confidence| *confidence < needed) else { return };
    needs.trusted = false;
    needs.reasons.push(Reason::NotTrusted { confidence, needed });
}
