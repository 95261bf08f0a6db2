//! Guardrails: a flat list of small functions, each of which can only shrink a change. Each that bites says why.

use jiff::Timestamp;

use crate::calendar;
use crate::demand::{DemandSource, Need, Needs};
use crate::observe::{Busy, Capacity};
use crate::platform::{Phase, Place};
use crate::reason::Reason;
use crate::resource::{DailyLimit, Scaling};
use crate::state::BreakerState;
use crate::units::{DAY_S, Direction, HOUR_S, Units};
use crate::world::{Change, World};

/// What guardrails look at.
pub(super) struct GuardrailFacts<'a> {
    pub(super) world: &'a World<'a>,
    pub(super) place: Place<'a>,
    pub(super) capacity: &'a Capacity,
    pub(super) needs: &'a Needs,
    /// The need that counts.
    pub(super) need: &'a Need,
    /// Changes of this dimension lately made, newest last.
    pub(super) changes: &'a [&'a Change],
}

impl GuardrailFacts<'_> {
    fn set(&self) -> Units {
        self.capacity.set
    }

    /// The smallest step that AWS takes.
    fn least_step(&self) -> u32 {
        self.place.dimension.facts.least_step(self.set())
    }

    /// Seconds since the newest change of this dimension that `counts`.
    fn since(&self, counts: impl Fn(&Change) -> bool) -> Option<i64> {
        let last = self.changes.iter().rev().find(|change| counts(change))?;
        Some(self.world.now.as_second() - last.at.as_second())
    }
}

/// A guardrail: what it allows instead, and why, if it bites.
type Guardrail = fn(&GuardrailFacts<'_>, Units) -> Option<(Units, Reason)>;

/// In the order in which an operator would explain them. What judges whether a change is large enough to be worth one comes before
/// what makes it smaller: the one unit that a breaker tries is never too small. What AWS accepts is looked at again in the end,
/// because pace and phase may leave a change outside of it.
const GUARDRAILS: [Guardrail; 20] = [
    aws_bounds,
    only_grows,
    busy,
    paused,
    unknown,
    no_scale_in,
    minor,
    decreases,
    counted_changes,
    spaced,
    breaker,
    cooldown,
    direction_changes,
    straight_back,
    confident_in,
    predictive_limit,
    phase_share,
    pace,
    aws_bounds,
    least_step,
];

/// The wanted units after every guardrail, and the reasons of those that bit.
///
/// The result lies between what is set and what is wanted, whatever a guardrail says.
pub(super) fn apply(facts: &GuardrailFacts<'_>, wanted: Units) -> (Units, Vec<Reason>) {
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

fn direction(facts: &GuardrailFacts<'_>, wanted: Units) -> Direction {
    Direction::of(facts.set(), wanted)
}

fn hold(facts: &GuardrailFacts<'_>, reason: Reason) -> Option<(Units, Reason)> {
    Some((facts.set(), reason))
}

fn aws_bounds(facts: &GuardrailFacts<'_>, wanted: Units) -> Option<(Units, Reason)> {
    let most = facts.capacity.aws_max.unwrap_or(Units(u32::MAX));
    let least = facts.capacity.aws_min.unwrap_or(Units(0)).min(most);
    let allowed = wanted.clamp(least, most);
    (allowed != wanted).then_some((allowed, Reason::AwsBounds { wanted, allowed }))
}

/// What AWS has no way to make smaller.
fn only_grows(facts: &GuardrailFacts<'_>, wanted: Units) -> Option<(Units, Reason)> {
    let only_out = facts.place.dimension.facts.scaling == Scaling::OutOnly;
    (only_out && direction(facts, wanted) == Direction::In).then(|| (facts.set(), Reason::OnlyGrows))
}

/// What is in progress says what it still allows. AWS's own scaling goes on scaling out during a rolling deployment of a
/// service and after a failed one, and so do we: the load does not wait for either.
fn busy(facts: &GuardrailFacts<'_>, wanted: Units) -> Option<(Units, Reason)> {
    let direction = direction(facts, wanted);
    let in_progress = facts.capacity.busy.as_ref().filter(|busy| busy.holds(direction)).map(Busy::what);
    let failed = facts.capacity.failed.as_deref().filter(|_| direction == Direction::In);
    hold(facts, Reason::Busy { what: in_progress.or(failed)?.to_owned() })
}

fn unknown(facts: &GuardrailFacts<'_>, wanted: Units) -> Option<(Units, Reason)> {
    // A person who asks for less by hand has looked.
    let blind = !facts.needs.complete && facts.need.source != DemandSource::Manual;
    (blind && direction(facts, wanted) == Direction::In).then(|| (facts.set(), Reason::UnknownNeverScalesIn))
}

fn no_scale_in(facts: &GuardrailFacts<'_>, wanted: Units) -> Option<(Units, Reason)> {
    if direction(facts, wanted) == Direction::Out {
        return None;
    }
    let World { platform, now, .. } = *facts.world;
    let soon = now.checked_add(platform.orchestration.cycle).unwrap_or(Timestamp::MAX);
    let mut events = calendar::during(&platform.calendar, &facts.place.group.name, &platform.zone, now, soon);
    let event = events.find(|event| event.effect.no_scale_in)?;
    hold(facts, Reason::NoScaleIn { event: event.name.clone() })
}

/// AWS counts decreases by the day in UTC, so they are spread over what is left of the day. While there is at least one for every
/// six hours left (of four a day), a decrease may be of any size. The fewer there are than that, the more units the next one must
/// remove. Towards midnight, when unused decreases are lost, any size is allowed again.
fn decreases(facts: &GuardrailFacts<'_>, wanted: Units) -> Option<(Units, Reason)> {
    /// The share of the capacity that a decrease has to remove when decreases are scarcest.
    const SCARCE_SHARE: f64 = 0.3;
    const DAY_HOURS: f64 = 24.0;
    let DailyLimit::Decreases { daily, .. } = facts.place.dimension.facts.daily_limit? else { return None };
    let left = facts.capacity.decreases_left?;
    if direction(facts, wanted) == Direction::Out {
        return None;
    }
    if left == 0 {
        return hold(facts, Reason::DecreasesSpent);
    }
    let scarcity = (1.0
        - f64::from(left) * (DAY_HOURS / f64::from(daily)) / hours_of_day_left(facts.world.now))
    .max(0.0);
    let least = Units::at_least(facts.set().real() * SCARCE_SHARE * scarcity).0.max(1);
    (facts.set().abs_diff(wanted) < least).then(|| (facts.set(), Reason::DecreaseSaved { left, least }))
}

/// Changes that AWS counts over 24 hours, whichever way they go. The more of them are made, the more the next one must move,
/// so that a slow rise does not spend them all; but where AWS refuses work or lets through no more, or somebody asks for it, any
/// step out is worth its change. The last ones are kept for scaling out.
fn counted_changes(facts: &GuardrailFacts<'_>, wanted: Units) -> Option<(Units, Reason)> {
    /// The share that a change has to move when there is none to spare: less than the room above the usual target.
    const SCARCE_SHARE: f64 = 0.3;
    /// Two doublings, and one to take back what did not hold.
    const KEPT: u32 = 3;
    let DailyLimit::Changes { daily } = facts.place.dimension.facts.daily_limit? else { return None };
    let spent = facts.world.state.counted(&facts.place.dimension.key, facts.world.now);
    let left = daily.saturating_sub(spent);
    if left == 0 {
        return hold(facts, Reason::ChangesSpent { daily });
    }
    if facts.need.source == DemandSource::Manual {
        return None;
    }
    let way = direction(facts, wanted);
    if way == Direction::In && left <= KEPT {
        return hold(facts, Reason::ChangesKept { left });
    }
    let is_full = facts.needs.reasons.iter().any(|reason| matches!(reason, Reason::LowerBound { .. }));
    let is_urgent = is_full || is_asked(facts);
    if way == Direction::Out && is_urgent {
        return None;
    }
    let scarcity = f64::from(spent) / f64::from(daily.max(1));
    let least = Units::at_least(facts.set().real() * SCARCE_SHARE * scarcity).0.max(1);
    (facts.set().abs_diff(wanted) < least).then(|| (facts.set(), Reason::ChangeSaved { left, least }))
}

/// Whether more units are asked for by what is no estimate of a load.
fn is_asked(facts: &GuardrailFacts<'_>) -> bool {
    facts.needs.asked.is_some_and(|asked| facts.set() < asked)
}

/// Where AWS takes one change and the next only hours later. What AWS itself did in between it says by being busy.
fn spaced(facts: &GuardrailFacts<'_>, _: Units) -> Option<(Units, Reason)> {
    let DailyLimit::Spaced { every_s } = facts.place.dimension.facts.daily_limit? else { return None };
    let last = facts.world.state.counted.get(&facts.place.dimension.key)?.iter().max()?;
    let left_s = i64::from(every_s) - (facts.world.now.as_second() - last.as_second());
    if left_s <= 0 { None } else { hold(facts, Reason::ChangeSpaced { left_s }) }
}

/// AWS takes no smaller step, or makes a larger one of it.
fn least_step(facts: &GuardrailFacts<'_>, wanted: Units) -> Option<(Units, Reason)> {
    let least = facts.least_step();
    (facts.set().abs_diff(wanted) < least).then(|| (facts.set(), Reason::LeastStep { least }))
}

/// Hours until midnight UTC, when AWS starts to count again; always above zero.
fn hours_of_day_left(now: Timestamp) -> f64 {
    let left_s = DAY_S - now.as_second().rem_euclid(DAY_S);
    i32::try_from(left_s).map_or(24.0, |left_s| f64::from(left_s) / 3_600.0)
}

/// A change of a few units among hundreds follows the noise of the load and of its forecast, and every change has a cost. What
/// is no estimate of a load is no noise: a guard, a step policy, the calendar, a person; nor is the way back into the bounds.
fn minor(facts: &GuardrailFacts<'_>, wanted: Units) -> Option<(Units, Reason)> {
    const OUT_SHARE: f64 = 0.02;
    const IN_SHARE: f64 = 0.03;
    let (set, need) = (facts.set(), facts.need);
    let is_asked = match direction(facts, wanted) {
        Direction::Out => is_asked(facts),
        Direction::In => matches!(need.reason, Reason::StepPolicyIn { .. }),
    };
    let by_others = matches!(need.source, DemandSource::Manual | DemandSource::Scheduled);
    if is_asked || by_others || !facts.place.dimension.bounds.contains(set) {
        return None;
    }
    let share = match direction(facts, wanted) {
        Direction::Out => OUT_SHARE,
        Direction::In => IN_SHARE,
    };
    // What is needed counts, and not what bounds left of it: a small part of a large change is worth having.
    let change = f64::from(set.abs_diff(need.units));
    (change < set.real() * share).then_some((set, Reason::Minor { wanted }))
}

/// Cooldown: a scale-out waits after the last scale-out. A scale-in waits after any change, because the effect of new capacity
/// must be measured first.
fn cooldown(facts: &GuardrailFacts<'_>, wanted: Units) -> Option<(Units, Reason)> {
    if facts.need.source == DemandSource::Manual {
        return None;
    }
    let cooldown = facts.place.group.policy.cooldown;
    let (rest, since_s) = match direction(facts, wanted) {
        Direction::Out => {
            (cooldown.out, facts.since(|change| Direction::of(change.from, change.to) == Direction::Out)?)
        }
        Direction::In => (cooldown.inward, facts.since(|_| true)?),
    };
    let left_s = i64::try_from(rest.as_secs()).unwrap_or(i64::MAX) - since_s;
    if left_s <= 0 { None } else { hold(facts, Reason::Cooldown { left_s }) }
}

/// The breaker: a resource whose changes kept failing is left alone for a while; then one unit is tried.
fn breaker(facts: &GuardrailFacts<'_>, wanted: Units) -> Option<(Units, Reason)> {
    let World { platform, state, now, .. } = *facts.world;
    match state.breakers.get(&facts.place.resource.id)?.state(&platform.guardrails, now) {
        BreakerState::Closed => None,
        BreakerState::Open { until } => hold(facts, Reason::BreakerOpen { until }),
        BreakerState::HalfOpen => {
            let allowed = toward(facts.set(), wanted, facts.least_step());
            (allowed != wanted).then_some((allowed, Reason::BreakerHalfOpen))
        }
    }
}

fn paused(facts: &GuardrailFacts<'_>, wanted: Units) -> Option<(Units, Reason)> {
    let World { state, now, .. } = *facts.world;
    let way = direction(facts, wanted);
    let pause = state.requests.pause(facts.place, way, now)?;
    hold(facts, Reason::Paused { by: pause.by.clone(), until: pause.until })
}

/// A capacity that keeps going out and in needs a size between the two, so it stays at the larger one. A scale-out is never stopped.
fn direction_changes(facts: &GuardrailFacts<'_>, wanted: Units) -> Option<(Units, Reason)> {
    if direction(facts, wanted) == Direction::Out || facts.need.source == DemandSource::Manual {
        return None;
    }
    let World { platform, now, .. } = *facts.world;
    let ways: Vec<Direction> = facts
        .changes
        .iter()
        .filter(|change| now.as_second() - change.at.as_second() < HOUR_S)
        .map(|change| Direction::of(change.from, change.to))
        .collect();
    let turns = ways.iter().zip(ways.iter().skip(1)).filter(|(before, after)| before != after).count();
    // This scale-in is one more turn if the last change was a scale-out.
    let turns = u32::try_from(turns + usize::from(ways.last() == Some(&Direction::Out))).unwrap_or(u32::MAX);
    let most = platform.guardrails.direction_changes_hourly;
    (most < turns).then(|| (facts.set(), Reason::TurnsTooOften { turns, most }))
}

/// Units are kept that the forecast needs again before they could be ordered and become ready again.
fn straight_back(facts: &GuardrailFacts<'_>, wanted: Units) -> Option<(Units, Reason)> {
    if direction(facts, wanted) == Direction::Out || facts.need.source == DemandSource::Manual {
        return None;
    }
    let soon = facts.needs.soon.filter(|soon| wanted < *soon)?;
    let allowed = soon.min(facts.set());
    Some((allowed, Reason::StraightBack { allowed }))
}

/// Below what is measured only a forecast that is trusted may go.
fn confident_in(facts: &GuardrailFacts<'_>, wanted: Units) -> Option<(Units, Reason)> {
    // This holds for every source: none asks for fewer units than the measured load needs unless the forecast allows it.
    if direction(facts, wanted) == Direction::Out || facts.need.source == DemandSource::Manual {
        return None;
    }
    let needed = facts.world.scale_in_confidence();
    let confidence = facts.needs.confidence.filter(|confidence| *confidence < needed)?;
    let measured = facts.needs.at_target.map_or(facts.set(), |units| units.min(facts.set()));
    (wanted < measured).then_some((measured, Reason::NotTrustedIn { confidence, needed }))
}

/// A forecast alone may add only a share of the capacity. Units that the measured load needs are not limited here.
fn predictive_limit(facts: &GuardrailFacts<'_>, wanted: Units) -> Option<(Units, Reason)> {
    let foreseen = matches!(facts.need.source, DemandSource::Predictive | DemandSource::Hybrid);
    if !foreseen || direction(facts, wanted) == Direction::In {
        return None;
    }
    let share = facts.world.platform.predictive.predictive_change_max;
    let added = Units::at_most(facts.set().real() * share).0.max(facts.least_step());
    let reactive = facts.needs.reactive.as_ref().map(|pair| pair.out.units);
    let measured = reactive.max(facts.needs.measured).unwrap_or_default();
    let allowed = Units(facts.set().0.saturating_add(added)).max(measured);
    (allowed < wanted).then_some((allowed, Reason::PredictiveLimit { percent: share * 100.0, allowed }))
}

/// The share of a change that the phase lets through; at least one unit, or nothing would ever be learned.
fn phase_share(facts: &GuardrailFacts<'_>, wanted: Units) -> Option<(Units, Reason)> {
    const LIMITED_SHARE: f64 = 0.25;
    let phase = facts.world.phase();
    if phase != Phase::Limited {
        return None;
    }
    let change = f64::from(facts.set().abs_diff(wanted));
    let allowed =
        toward(facts.set(), wanted, Units::at_most(change * LIMITED_SHARE).0.max(facts.least_step()));
    (allowed != wanted).then_some((allowed, Reason::PhaseShare { phase, allowed }))
}

fn pace(facts: &GuardrailFacts<'_>, wanted: Units) -> Option<(Units, Reason)> {
    let guardrails = &facts.world.platform.guardrails;
    let share = match direction(facts, wanted) {
        Direction::Out => guardrails.out_share_max,
        Direction::In => guardrails.in_share_max,
    };
    let allowed = toward(facts.set(), wanted, facts.set().share(share).max(facts.least_step()));
    (allowed != wanted).then_some((allowed, Reason::Pace { wanted, allowed }))
}

/// At most `most` units from `from` toward `to`.
fn toward(from: Units, to: Units, most: u32) -> Units {
    Units(to.0.clamp(from.0.saturating_sub(most), from.0.saturating_add(most)))
}
