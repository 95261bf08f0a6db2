//! Replays a load through policies and a model of provisioning, and measures what each would have supplied and cost.

pub mod html;
pub mod peers;
mod plant;
pub mod text;

use jiff::Timestamp;
use serde::Serialize;

pub use plant::{Chances, Moment, Outcome, Plant};

use crate::decide::Decision;
use crate::forecast::real;
use crate::name::DimensionKey;
use crate::pilot::{NoPilot, Pilot};
use crate::platform::Platform;
use crate::series::Series;
use crate::units::Units;
use peers::Peer;

/// Minutes of a day, the step of a replay being one.
const DAY: usize = 1_440;
/// History a replay starts from at most.
const HISTORY: usize = 14 * DAY;

/// One policy's replay.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// The policy.
    pub name: String,
    /// What came of it.
    pub figures: Figures,
    /// Units ready, one a minute.
    #[serde(skip)]
    pub supply: Vec<u32>,
    /// Decisions that changed something, with their reasons; only of our own policy.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<Told>,
}

/// A change with what was said of it.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    /// Minutes since the replay began.
    pub minute: usize,
    /// Units before and after.
    pub from: u32,
    /// Units asked for.
    pub to: u32,
    /// Why.
    pub why: String,
}

/// What a policy supplied and cost. Shares are percent of minutes or of load; `tau` and `theta` are those of SPEC RG,
/// "Ready for Rain?" (2016): time share and mean amount of too little or too much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Percent of minutes with too few units.
    pub tau_u: f64,
    /// Percent of minutes with more units than needed.
    pub tau_o: f64,
    /// Mean percent of units that were missing.
    pub theta_u: f64,
    /// Mean percent of units that were too many.
    pub theta_o: f64,
    /// Percent of the load above what the ready units carry.
    pub lost: f64,
    /// Unit-hours.
    pub unit_hours: f64,
    /// Unit-hours against those of the oracle.
    pub cost: f64,
    /// What the unit-hours cost, in the budget's currency.
    pub money: f64,
    /// Changes a day.
    pub moves: f64,
}

/// A replay with every policy side by side.
#[derive(Clone, Debug, Serialize)]
pub struct Replay {
    /// The dimension.
    pub dimension: String,
    /// When the scored part begins.
    pub start: Timestamp,
    /// Load of the scored part, one a minute.
    #[serde(skip)]
    pub load: Vec<f64>,
    /// Load that one unit carries.
    pub limit_per_unit: f64,
    /// Policies.
    pub runs: Vec<Run>,
}

/// How a replay is made.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What may go wrong with provisioning.
    pub chances: Chances,
    /// Whether the peers are replayed too.
    pub peers: bool,
}

/// Where the scored part begins: after 60 % of the trace, with a week of history where there is one, two days before the
/// end at the latest.
pub fn split(minutes: usize) -> usize {
    let share = minutes * 3 / 5;
    share.min(minutes.saturating_sub(2 * DAY)).max((7 * DAY).min(minutes / 2))
}

/// Replays `load`, one value a minute, through the decision core and its peers. `progress` hears of every minute of every
/// policy: how many are done, and of how many.
///
/// # Errors
/// When the platform has no such dimension, or nothing says how much a unit carries.
pub fn replay(
    platform: &Platform,
    key: &DimensionKey,
    load: &Series,
    options: Options,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Replay, NoPilot> {
    let place = platform.place(key).ok_or_else(|| NoPilot::NoDimension(key.to_string()))?;
    let metric = place.dimension.metrics.iter().find(|metric| metric.measure.carried_per_unit().is_some());
    let metric = metric.ok_or_else(|| NoPilot::NoMetric(key.clone()))?;
    let values: Vec<f64> = (0..load.len()).map(|minute| load.get(minute).unwrap_or(0.0)).collect();
    let start = split(values.len());
    let plant = Plant {
        start,
        target: metric.measure.target_per_unit().unwrap_or(1.0),
        limit: metric.measure.carried_per_unit().unwrap_or(1.0),
        delay: minutes(place.resource.provisioning),
        bounds: place.dimension.bounds,
        unit_cost: place.dimension.unit_cost_hourly,
        chances: options.chances,
        load: values,
    };
    let peers = if options.peers { peers::all(&plant, load) } else { Vec::new() };
    let total = (peers.len() + 2) * (plant.load.len() - start);
    let mut done = 0;
    let mut heard = || {
        done += 1;
        progress(done, total);
    };
    let mut runs = Vec::new();
    for floor in [false, true] {
        runs.push(own(platform, key, load, &plant, floor, &mut heard)?);
    }
    for Peer { name, mut policy } in peers {
        let outcome = plant.run(&mut |moment| {
            heard();
            policy(moment)
        });
        runs.push(Run { name, figures: plant.figures(&outcome), supply: outcome.supply, told: Vec::new() });
    }
    let oracle = plant.oracle();
    runs.push(Run {
        name: "oracle".into(),
        figures: plant.figures(&oracle),
        supply: oracle.supply,
        told: Vec::new(),
    });
    let scored = plant.load.get(start..).unwrap_or_default().to_vec();
    Ok(Replay {
        dimension: key.to_string(),
        start: load.time_of(start),
        load: scored,
        limit_per_unit: plant.limit,
        runs,
    })
}

fn minutes(span: std::time::Duration) -> usize {
    usize::try_from(span.as_secs().div_ceil(60)).unwrap_or(usize::MAX)
}

/// Our own policy: setting the capacity, or a floor under target tracking.
fn own(
    platform: &Platform,
    key: &DimensionKey,
    load: &Series,
    plant: &Plant,
    floor: bool,
    heard: &mut dyn FnMut(),
) -> Result<Run, NoPilot> {
    let start = plant.start;
    let history = load.until(load.time_of(start)).tail(HISTORY);
    let mut pilot = Pilot::new(platform, key, &history)?;
    let cycle = minutes(platform.orchestration.cycle).max(1);
    let (mut seen, mut told, mut asked) = (start, Vec::new(), 0);
    let mut decide = |moment: &Moment| {
        heard();
        if !(moment.minute - start).is_multiple_of(cycle) {
            return None;
        }
        let new: Vec<Option<f64>> = (seen..moment.minute).map(|minute| load.get(minute)).collect();
        seen = moment.minute;
        pilot.observe(&new);
        let decision =
            pilot.decide(load.time_of(moment.minute), Units(moment.ordered), Units(moment.ready))?;
        told.extend(tell(&decision, moment.minute - start));
        decision.target.map(|target| target.0)
    };
    let mut native = peers::target_tracking();
    let outcome = plant.run(&mut |moment| {
        let own = decide(moment);
        if !floor {
            return own;
        }
        asked = own.unwrap_or(asked);
        let native = native(moment);
        if moment.ordered < asked {
            Some(native.map_or(asked, |units| units.max(asked)))
        } else {
            native.map(|units| units.max(asked))
        }
    });
    let name = if floor { "headroom, floor under target tracking" } else { "headroom" };
    Ok(Run { name: name.into(), figures: plant.figures(&outcome), supply: outcome.supply, told })
}

fn tell(decision: &Decision, minute: usize) -> Option<Told> {
    let (from, to) = decision.change()?;
    let why: Vec<String> = decision.reasons.iter().map(ToString::to_string).collect();
    Some(Told { minute, from: from.0, to: to.0, why: why.join("; ") })
}

/// Percent that a part is of a whole.
fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { 100.0 * part / whole } else { 0.0 }
}

/// Mean of a sum over a count.
fn mean(sum: f64, count: usize) -> f64 {
    if count == 0 { 0.0 } else { sum / real(count) }
}

#[cfg(test)]
mod tests;
