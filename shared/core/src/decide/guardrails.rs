//! Guardrails: a flat list of small functions, each of which can only shrink a change. Each that bites says why.

use jiff::Timestamp;

use super::{Change, Needs, Strategy, World};
use crate::calendar;
use crate::observe::Capacity;
use crate::plan::Direction;
use crate::platform::{Phase, Place};
use crate::reason::Reason;
use crate::units::Units;

/// What guardrails look at.
pub(super) struct Facts<'a> {
    pub(super) world: &'a World<'a>,
    pub(super) place: Place<'a>,
    pub(super) capacity: &'a Capacity,
    pub(super) needs: &'a Needs,
    pub(super) strategy: Strategy,
}

impl Facts<'_> {
    fn set(&self) -> Units {
        self.capacity.set
    }

    /// Seconds since the newest change of this dimension that `counts`.
    fn since(&self, counts: impl Fn(&Change) -> bool) -> Option<i64> {
        let mine = |change: &&Change| change.key == self.place.dimension.key && counts(change);
        let last: &Change = self.world.changes.iter().rev().find(mine)?;
        Some(self.world.now.as_second() - last.at.as_second())
    }
}

/// A guardrail: what it allows instead, and why, if it bites.
type Guardrail = fn(&Facts<'_>, Units) -> Option<(Units, Reason)>;

/// In the order in which an operator would explain them.
const GUARDRAILS: [Guardrail; 10] = [
    aws_bounds,
    busy,
    unknown,
    no_scale_in,
    decreases,
    cooldown,
    predictive_limit,
    phase_share,
    pace,
    aws_bounds,
];

/// The wanted units after every guardrail, and the reasons of those that bit.
///
/// The result lies between what is set and what is wanted, whatever a guardrail says.
pub(super) fn apply(facts: &Facts<'_>, wanted: Units) -> (Units, Vec<Reason>) {
    let mut allowed = wanted;
    let mut reasons = Vec::new();
    for guardrail in GUARDRAILS {
        if allowed == facts.set() {
            break;
        }
        if let Some((units, reason)) = guardrail(facts, allowed) {
            allowed = between(facts.set(), allowed, units);
            reasons.push(reason);
        }
    }
    (allowed, reasons)
}

/// The nearest to `units` that lies between `a` and `b`.
fn between(a: Units, b: Units, units: Units) -> Units {
    units.clamp(a.min(b), a.max(b))
}

fn direction(facts: &Facts<'_>, wanted: Units) -> Direction {
    Direction::of(facts.set(), wanted)
}

fn hold(facts: &Facts<'_>, reason: Reason) -> Option<(Units, Reason)> {
    Some((facts.set(), reason))
}

fn aws_bounds(facts: &Facts<'_>, wanted: Units) -> Option<(Units, Reason)> {
    let most = facts.capacity.aws_max.unwrap_or(Units(u32::MAX));
    let least = facts.capacity.aws_min.unwrap_or(Units(0)).min(most);
    let allowed = wanted.clamp(least, most);
    (allowed != wanted).then_some((allowed, Reason::AwsBounds { wanted, allowed }))
}

/// A deployment computes with the capacity it found; changing that under it breaks both.
fn busy(facts: &Facts<'_>, _: Units) -> Option<(Units, Reason)> {
    let what = facts.capacity.busy.as_ref().or(facts.capacity.failed.as_ref())?;
    hold(facts, Reason::Busy { what: what.clone() })
}

fn unknown(facts: &Facts<'_>, wanted: Units) -> Option<(Units, Reason)> {
    // A person who asks for less by hand has looked.
    let blind = !facts.needs.complete && facts.strategy != Strategy::Manual;
    (blind && direction(facts, wanted) == Direction::In).then(|| (facts.set(), Reason::UnknownNeverScalesIn))
}

fn no_scale_in(facts: &Facts<'_>, wanted: Units) -> Option<(Units, Reason)> {
    if direction(facts, wanted) == Direction::Out {
        return None;
    }
    let World { platform, now, .. } = *facts.world;
    let soon = now.checked_add(platform.orchestration.cycle).unwrap_or(Timestamp::MAX);
    let mut events = calendar::during(&platform.calendar, &facts.place.group.name, &platform.zone, now, soon);
    let event = events.find(|event| event.effect.no_scale_in)?;
    hold(facts, Reason::NoScaleIn { event: event.name.clone() })
}

fn decreases(facts: &Facts<'_>, wanted: Units) -> Option<(Units, Reason)> {
    let spent = facts.capacity.decreases_left == Some(0);
    (spent && direction(facts, wanted) == Direction::In).then(|| (facts.set(), Reason::DecreasesSpent))
}

/// Out rests after the last scale-out; in rests after any change, because new capacity must first show what it does.
fn cooldown(facts: &Facts<'_>, wanted: Units) -> Option<(Units, Reason)> {
    if facts.strategy == Strategy::Manual {
        return None;
    }
    let cooldown = facts.place.group.policy.cooldown;
    let (rest, since_s) = match direction(facts, wanted) {
        Direction::Out => (cooldown.out, facts.since(|change| change.from < change.to)?),
        Direction::In => (cooldown.inward, facts.since(|_| true)?),
    };
    let left_s = i64::try_from(rest.as_secs()).unwrap_or(i64::MAX) - since_s;
    if left_s <= 0 { None } else { hold(facts, Reason::Cooldown { left_s }) }
}

/// What is measured needs no trust; what is only forecast may add so much and no more.
fn predictive_limit(facts: &Facts<'_>, wanted: Units) -> Option<(Units, Reason)> {
    let foreseen = matches!(facts.strategy, Strategy::Predictive | Strategy::Hybrid);
    if !foreseen || direction(facts, wanted) == Direction::In {
        return None;
    }
    let share = facts.world.platform.predictive.predictive_change_max;
    let added = Units::at_most(facts.set().real() * share).0.max(1);
    let measured = facts.needs.reactive.as_ref().map_or(Units(0), |pair| pair.out.units);
    let allowed = Units(facts.set().0.saturating_add(added)).max(measured);
    (allowed < wanted).then_some((allowed, Reason::PredictiveLimit { percent: share * 100.0, allowed }))
}

/// The share of a change that the phase lets through; at least one unit, or nothing would ever be learned.
fn phase_share(facts: &Facts<'_>, wanted: Units) -> Option<(Units, Reason)> {
    const LIMITED_SHARE: f64 = 0.25;
    let phase = facts.world.platform.orchestration.phase;
    if phase != Phase::Limited {
        return None;
    }
    let change = f64::from(facts.set().abs_diff(wanted));
    let allowed = toward(facts.set(), wanted, Units::at_most(change * LIMITED_SHARE).0.max(1));
    (allowed != wanted).then_some((allowed, Reason::PhaseShare { phase, allowed }))
}

/// The most that may change in one cycle; at least one unit, or small capacities could never move.
fn pace(facts: &Facts<'_>, wanted: Units) -> Option<(Units, Reason)> {
    let guardrails = &facts.world.platform.guardrails;
    let share = match direction(facts, wanted) {
        Direction::Out => guardrails.out_share_max,
        Direction::In => guardrails.in_share_max,
    };
    let allowed = toward(facts.set(), wanted, Units::at_most(facts.set().real() * share).0.max(1));
    (allowed != wanted).then_some((allowed, Reason::Pace { wanted, allowed }))
}

/// At most `most` units from `from` toward `to`.
fn toward(from: Units, to: Units, most: u32) -> Units {
    Units(to.0.clamp(from.0.saturating_sub(most), from.0.saturating_add(most)))
}
