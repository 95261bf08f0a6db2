//! Headroom's own policy in a replay: cycles that decide for all tiers together, and plans that are carried out wave by wave.

use super::capacity_model::{PolicyView, Supply, SupplyRun};
use super::peers;
use super::rollout::{Next, Progress, Rollout};
use super::tiers::{Loaded, minutes};
use super::{Band, ChangeKind, DecisionRecord, HISTORY};
use crate::decide::Decision;
use crate::name::DimensionKey;
use crate::pilot::{NoPilot, SteeredDecision, SteeredFleet};
use crate::plan::{self, Permit, StepChange};
use crate::platform::Platform;
use crate::units::Units;

/// The result of Headroom's own policy.
pub(super) struct HeadroomPolicy {
    pub(super) outcomes: Vec<SupplyRun>,
    pub(super) told: Vec<DecisionRecord>,
    /// Plans that broke a rule and were not carried out.
    pub(super) refused: usize,
}

/// The native policy that scales above a floor.
type Native<'a> = Box<dyn FnMut(&PolicyView) -> Option<u32> + 'a>;

/// A tier as our policy moves it.
struct Moved<'a> {
    key: &'a DimensionKey,
    loaded: &'a Loaded,
    supply: Supply<'a>,
    /// In floor mode: the floor, and the native policy that scales above it.
    floor: Option<(u32, Native<'a>)>,
}

impl Moved<'_> {
    fn progress(&self) -> Progress {
        Progress { ready: self.supply.ready(), ordered: self.supply.ordered(), retried: self.floor.is_some() }
    }

    fn set(&mut self, minute: usize, units: Units) {
        match &mut self.floor {
            Some((floor, _)) => *floor = units.0,
            None => self.supply.ask(minute, units.0),
        }
    }

    /// The capacity that the native policy asks for, never below the floor.
    fn follow_native(&mut self, moment: &PolicyView) {
        let Some((floor, native)) = &mut self.floor else { return };
        let native = native(moment).map(|units| units.max(*floor));
        let wanted = if moment.ordered < *floor { Some(native.unwrap_or(*floor)) } else { native };
        if let Some(wanted) = wanted {
            self.supply.ask(moment.minute, wanted);
        }
    }
}

/// A fleet that has already seen the load before the replayed part.
pub(super) fn fleet<'a>(platform: &'a Platform, loaded: &[Loaded]) -> Result<SteeredFleet<'a>, NoPilot> {
    let history = |tier: &Loaded| tier.load.until(tier.load.time_of(tier.model.start)).tail(HISTORY);
    let histories: Vec<_> = loaded.iter().map(|tier| (tier.tier.key.clone(), history(tier))).collect();
    SteeredFleet::new(platform, &histories)
}

/// Replays Headroom's policy, which sets the capacity or a floor under target tracking.
pub(super) fn own<'a>(
    platform: &'a Platform,
    fleet: SteeredFleet<'a>,
    loaded: &'a [Loaded],
    floor: bool,
    heard: &mut dyn FnMut(),
) -> HeadroomPolicy {
    let start = loaded.first().map_or(0, |first| first.model.start);
    let end = loaded.first().map_or(0, |first| first.model.load.len());
    let moved = loaded.iter().map(|tier| Moved {
        key: &tier.tier.key,
        loaded: tier,
        supply: Supply::new(&tier.model),
        floor: floor.then(native),
    });
    let mut replayed = Replayed {
        platform,
        fleet,
        tiers: moved.collect(),
        start,
        seen: start,
        cycle: minutes(platform.orchestration.cycle).max(1),
        rollout: None,
        told: Vec::new(),
        refused: 0,
    };
    for minute in start..end {
        replayed.minute(minute);
        heard();
    }
    let outcomes = replayed.tiers.into_iter().map(|tier| tier.supply.outcome).collect();
    HeadroomPolicy { outcomes, told: replayed.told, refused: replayed.refused }
}

fn native<'a>() -> (u32, Native<'a>) {
    (0, Box::new(peers::target_tracking()))
}

struct Replayed<'a> {
    platform: &'a Platform,
    fleet: SteeredFleet<'a>,
    tiers: Vec<Moved<'a>>,
    start: usize,
    /// Until when the fleet has seen the load.
    seen: usize,
    cycle: usize,
    rollout: Option<Rollout>,
    told: Vec<DecisionRecord>,
    refused: usize,
}

impl Replayed<'_> {
    fn minute(&mut self, minute: usize) {
        let moments: Vec<PolicyView> = self.tiers.iter_mut().map(|tier| tier.supply.begin(minute)).collect();
        self.go_on(minute);
        // One plan at a time: a cycle that finds one under way leaves it alone, as the lease makes it do.
        if self.rollout.is_none() && (minute - self.start).is_multiple_of(self.cycle) {
            self.decide(minute);
            self.go_on(minute);
        }
        for (tier, moment) in self.tiers.iter_mut().zip(&moments) {
            tier.follow_native(moment);
            tier.supply.end();
        }
    }

    fn decide(&mut self, minute: usize) {
        for (index, tier) in self.tiers.iter().enumerate() {
            let new: Vec<Option<f64>> =
                (self.seen..minute).map(|minute| tier.loaded.load.get(minute)).collect();
            self.fleet.observe(index, &new);
        }
        self.seen = minute;
        let Some(now) = self.tiers.first().map(|tier| tier.loaded.load.time_of(minute)) else { return };
        let capacity = |tier: &Moved<'_>| (Units(tier.supply.ordered()), Units(tier.supply.ready()));
        let capacities: Vec<(Units, Units)> = self.tiers.iter().map(capacity).collect();
        let decided = self.fleet.decide(now, &capacities);
        for (tier, SteeredDecision { decision, lead }) in self.tiers.iter_mut().zip(&decided) {
            let band = lead.as_ref().map(|lead| Band::of(&lead.whole));
            self.told.push(told(decision, minute - self.start, band));
            if let (Some((floor, _)), None, Some(target)) =
                (&mut tier.floor, decision.change(), decision.target)
            {
                *floor = target.0;
            }
        }
        let decisions: Vec<Decision> = decided.into_iter().map(|decided| decided.decision).collect();
        // Plans are carried out even in the observe phase: a replay shows what would be done.
        let plan =
            plan::make(self.platform, &decisions, &"replay".into(), now, &"replay".into(), Permit::Act);
        if plan::lint(self.platform, &plan).is_empty() {
            let waits = 1 < self.platform.orchestration.layers.len();
            self.rollout = Some(Rollout::new(&plan, waits));
        } else {
            self.refused += 1;
        }
    }

    /// Carries out as much of the current plan as can be done in this minute.
    fn go_on(&mut self, minute: usize) {
        while let Some(rollout) = &mut self.rollout {
            let tiers = &self.tiers;
            let progress = |change: &StepChange| {
                let tier = tiers.iter().find(|tier| *tier.key == change.key);
                tier.map_or(Progress { ready: 0, ordered: 0, retried: true }, Moved::progress)
            };
            match rollout.next(minute, &progress) {
                Next::Wait => return,
                Next::Make(changes) => {
                    let back = rollout.back.clone();
                    for change in changes {
                        self.told
                            .extend(back.as_ref().map(|why| rolled_back(&change, minute - self.start, why)));
                        self.make(minute, &change);
                    }
                }
                Next::RollBack(back) => self.rollout = Some(back),
                Next::Done => self.rollout = None,
            }
        }
    }

    fn make(&mut self, minute: usize, change: &StepChange) {
        let Some(tier) = self.tiers.iter_mut().find(|tier| *tier.key == change.key) else { return };
        tier.set(minute, change.target);
        self.fleet.done(tier.loaded.load.time_of(minute), change);
    }
}

fn told(decision: &Decision, minute: usize, band: Option<Band>) -> DecisionRecord {
    let observed = decision.observed.unwrap_or_default();
    let target = decision.target.unwrap_or(observed);
    DecisionRecord {
        minute,
        dimension: decision.key.clone(),
        kind: ChangeKind::of(observed, target),
        from: observed.0,
        to: target.0,
        source: decision.source,
        confidence: decision.confidence,
        expected: band,
        reasons: decision.reasons.iter().map(ToString::to_string).collect(),
    }
}

fn rolled_back(change: &StepChange, minute: usize, why: &str) -> DecisionRecord {
    DecisionRecord {
        minute,
        dimension: change.key.clone(),
        kind: ChangeKind::RolledBack,
        from: change.expected.0,
        to: change.target.0,
        source: None,
        confidence: None,
        expected: None,
        reasons: vec![format!("the plan was rolled back: {why}")],
    }
}
