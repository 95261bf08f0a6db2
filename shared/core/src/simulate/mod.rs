//! Replays a load through policies and a model of provisioning, and measures what each would have supplied and cost.

mod capacity_model;
mod csv;
mod curve;
mod figures;
mod headroom_policy;
pub mod html;
pub mod measured;
pub mod peers;
mod rollout;
pub mod text;
mod tiers;
pub mod trace;

use jiff::Timestamp;
use serde::Serialize;

pub use capacity_model::{CapacityModel, Chances, Move, PolicyView, Supply, SupplyRun};
pub use curve::{Curve, CurvePoint, OBJECTIVES};
pub use figures::{Figures, Together};
pub(crate) use tiers::NO_COLUMN;
pub use tiers::Tier;

use headroom_forecast::lead_window::LoadDistribution;
use tiers::Loaded;
use trace::Trace;

use crate::demand::DemandSource;
use crate::name::DimensionKey;
use crate::pilot::{NoPilot, steered};
use crate::platform::Platform;
use crate::units::{Ratio, Units};

/// Minutes of a day; a replay has a step of one minute.
const DAY: usize = 1_440;
/// History a replay starts from at most.
const HISTORY: usize = 14 * DAY;

/// A replay with every policy side by side.
#[derive(Clone, Debug, Serialize)]
pub struct Replay {
    /// The platform.
    pub platform: String,
    /// The currency of money.
    pub currency: String,
    /// When the scored part begins.
    pub start: Timestamp,
    /// Minutes that are scored.
    pub minutes: usize,
    /// Minutes of the trace before them, which our policy learned from.
    pub history_minutes: usize,
    /// Minutes between decisions.
    pub cycle_minutes: usize,
    /// What should be known about the choice of tiers and their loads.
    pub notes: Vec<String>,
    /// What was replayed, in the order in which it scales out.
    pub tiers: Vec<Tier>,
    /// Policies.
    pub runs: Vec<Run>,
    /// What other objectives would give, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curve: Option<Curve>,
}

/// One policy's replay.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// The policy.
    pub name: String,
    /// Its figures over all tiers.
    pub figures: Figures,
    /// How the tiers affected each other, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub together: Option<Together>,
    /// Each tier, in the order of the replay's.
    pub tiers: Vec<TierRun>,
    /// Every decision with its reasons; only of our own policy.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<DecisionRecord>,
}

/// How a policy supplied one tier.
#[derive(Clone, Debug, Serialize)]
pub struct TierRun {
    /// Which tier.
    pub dimension: DimensionKey,
    /// Its figures.
    pub figures: Figures,
    /// Units ready, one a minute.
    pub supply: Vec<u32>,
}

/// A decision with its reasons.
#[derive(Clone, Debug, Serialize)]
pub struct DecisionRecord {
    /// Minutes since the replay began.
    pub minute: usize,
    /// Of which dimension.
    pub dimension: DimensionKey,
    /// Hold or change.
    pub kind: ChangeKind,
    /// Units before.
    pub from: u32,
    /// Units asked for.
    pub to: u32,
    /// What decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(rename = "strategy")]
    pub source: Option<DemandSource>,
    /// How far the forecast was trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Ratio>,
    /// The load that was expected until the units of the next decision could be ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<Band>,
    /// Why, in the order in which it was considered.
    pub reasons: Vec<String>,
}

/// What a decision is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// Nothing changes.
    Hold,
    /// More units.
    Out,
    /// Fewer units.
    In,
    /// A plan that failed is rolled back.
    #[serde(rename = "taken_back")]
    RolledBack,
}

impl ChangeKind {
    fn of(from: Units, to: Units) -> ChangeKind {
        match from.cmp(&to) {
            std::cmp::Ordering::Less => ChangeKind::Out,
            std::cmp::Ordering::Equal => ChangeKind::Hold,
            std::cmp::Ordering::Greater => ChangeKind::In,
        }
    }
}

/// The range in which the largest load of a decision's window was expected, with a chance of nine in ten.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Band {
    /// One in twenty lies below.
    pub low: f64,
    /// One in twenty lies above.
    pub high: f64,
}

impl Band {
    fn of(load: &LoadDistribution) -> Band {
        Band { low: tiers::short(load.quantile(0.05)), high: tiers::short(load.quantile(0.95)) }
    }
}

/// How a replay is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// What may go wrong with provisioning.
    pub chances: Chances,
    /// Whether the peers are replayed too.
    pub peers: bool,
    /// The only dimension to replay; all that have a load if none.
    pub only: Option<&'a DimensionKey>,
    /// Units that each tier's peak takes at the target, to scale loads that were measured in another unit.
    pub peak_units: Option<f64>,
    /// Whether our own policy is not replayed as a floor under target tracking too.
    pub without_floor: bool,
    /// The objectives at which our own policy is replayed too, loosest first.
    pub objectives: &'a [f64],
}

/// Why there is no replay.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoReplay {
    /// A dimension cannot be replayed.
    #[error(transparent)]
    NoPilot(#[from] NoPilot),
    /// A column belongs to no dimension.
    #[error("the trace has a column `{column}`, which is no dimension of the platform; there are {known}")]
    UnknownColumn {
        /// Its name.
        column: String,
        /// The dimensions there are.
        known: String,
    },
    /// No dimension can be replayed.
    #[error("nothing can be replayed: {0}")]
    Nothing(String),
    /// A load without a peak has no scale.
    #[error(
        "the load of {0} is zero nearly always, or negative: nothing says how many units it takes; look whether the \
         column is the right one, or cut the trace to when there was load"
    )]
    NoLoad(DimensionKey),
}

/// Our own policy, and whether it sets a floor under target tracking.
const OWN: [(&str, bool); 2] = [("headroom", false), ("headroom, floor under tracking", true)];

/// Where the scored part begins: after 60 % of the trace, with a week of history where there is one, two days before the
/// end at the latest.
pub fn split(minutes: usize) -> usize {
    let share = minutes * 3 / 5;
    share.min(minutes.saturating_sub(2 * DAY)).max((7 * DAY).min(minutes / 2))
}

/// Replays a trace through the decision core and its peers. `progress` hears how many minutes of all policies are done,
/// and of how many.
///
/// # Errors
/// When the trace does not fit the platform, or nothing says how much a unit carries.
pub fn replay(
    platform: &Platform,
    trace: &Trace,
    options: &Options<'_>,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Replay, NoReplay> {
    let platform = &steered(platform);
    let (mut loaded, of_tiers) = tiers::tiers(platform, trace, options)?;
    let mut notes = [trace.notes.clone(), of_tiers].concat();
    if !platform.orchestration.cycle.as_secs().is_multiple_of(60) {
        notes.push("replayed is by the minute: a cycle begins at the full minute after it would".to_owned());
    }
    for (index, tier) in loaded.iter_mut().enumerate() {
        tier.model.chances = tiers::seeded(options.chances, index);
    }
    let Some(first) = loaded.first() else { return Err(NoReplay::Nothing("there are no tiers".into())) };
    let (start, history_minutes, minutes) =
        (first.load.time_of(first.model.start), first.model.start, first.model.scored().len());
    let peers = if options.peers { peers::COUNT * loaded.len() } else { 0 };
    let own: &[(&str, bool)] = if options.without_floor { &OWN[..1] } else { &OWN };
    let total = (own.len() + peers + options.objectives.len()) * minutes;
    let mut done = 0;
    let mut heard = || {
        done += 1;
        progress(done, total);
    };
    let edges = edges(platform, &loaded);
    let mut runs = Vec::new();
    // All runs of Headroom's policy start from the same trained models, because training takes most of the time.
    let fleet = headroom_policy::fleet(platform, &loaded)?;
    for (name, floor) in own {
        let own = headroom_policy::own(platform, fleet.clone(), &loaded, *floor, &mut heard);
        if 0 < own.refused {
            notes.push(format!("{name}: {} plans broke a rule and were not carried out", own.refused));
        }
        runs.push(run(name, &loaded, own.outcomes, &edges, own.told));
    }
    if options.peers {
        runs.extend(peer_runs(&loaded, &edges, &mut heard));
    }
    let curve = match options.objectives {
        [] => None,
        objectives => Some(curve::curve(platform, objectives, &loaded, &edges, &mut heard)?),
    };
    let oracle = loaded.iter().map(|tier| tier.model.oracle()).collect();
    runs.push(run("oracle", &loaded, oracle, &edges, Vec::new()));
    Ok(Replay {
        platform: platform.name.0.clone(),
        currency: platform.guardrails.budget.currency.clone(),
        start,
        minutes,
        history_minutes,
        cycle_minutes: tiers::minutes(platform.orchestration.cycle).max(1),
        notes,
        tiers: loaded.into_iter().map(|tier| tier.tier).collect(),
        runs,
        curve,
    })
}

/// Every peer, each on every tier by itself: none of them knows of the others.
fn peer_runs(loaded: &[Loaded], edges: &[(usize, usize)], heard: &mut dyn FnMut()) -> Vec<Run> {
    let mut peers: Vec<_> =
        loaded.iter().map(|tier| peers::all(&tier.model, &tier.load).into_iter()).collect();
    let mut runs = Vec::new();
    for _ in 0..peers::COUNT {
        let mut name = String::new();
        let mut outcomes = Vec::new();
        for (tier, peers) in loaded.iter().zip(&mut peers) {
            let Some(mut peer) = peers.next() else { continue };
            let mut policy = |moment: &PolicyView| {
                heard();
                (peer.policy)(moment)
            };
            outcomes.push(tier.model.run(&mut policy));
            name = peer.name;
        }
        runs.push(run(&name, loaded, outcomes, edges, Vec::new()));
    }
    runs
}

/// Which tier depends on which: as the dependencies say, else as the order of the layers does.
fn edges(platform: &Platform, loaded: &[Loaded]) -> Vec<(usize, usize)> {
    let order = &platform.orchestration;
    let layer =
        |group: &str| order.layers.iter().position(|groups| groups.iter().any(|name| name.0 == group));
    let depends = |source: &str, target: &str| {
        if order.dependencies.is_empty() {
            layer(target) < layer(source)
        } else {
            order.dependencies.iter().any(|edge| edge.source.0 == source && edge.target.0 == target)
        }
    };
    let of_source = |(source, from): (usize, &Loaded)| -> Vec<(usize, usize)> {
        let targets = loaded.iter().enumerate().filter(|(_, to)| depends(&from.tier.group, &to.tier.group));
        targets.map(|(target, _)| (source, target)).collect()
    };
    loaded.iter().enumerate().flat_map(of_source).collect()
}

fn run(
    name: &str,
    loaded: &[Loaded],
    outcomes: Vec<SupplyRun>,
    edges: &[(usize, usize)],
    decisions: Vec<DecisionRecord>,
) -> Run {
    let served: Vec<figures::Served<'_>> =
        loaded.iter().zip(&outcomes).map(|(tier, outcome)| (&tier.model, outcome)).collect();
    let each: Vec<Figures> = served.iter().map(|served| figures::of_tier(*served)).collect();
    let whole = figures::of_platform(&served, &each);
    let together = (1 < loaded.len()).then(|| figures::together(&served, edges));
    let tiers = loaded.iter().zip(each).zip(outcomes).map(|((tier, figures), outcome)| TierRun {
        dimension: tier.tier.key.clone(),
        figures,
        supply: outcome.supply,
    });
    Run { name: name.into(), figures: whole, together, tiers: tiers.collect(), decisions }
}

#[cfg(test)]
mod tests;
