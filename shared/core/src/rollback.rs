//! A plan that is over and that a person asks to roll back: whether it may be.

use std::collections::BTreeMap;

use crate::journal::Entry;
use crate::name::{DimensionKey, PlanId};
use crate::observe::{Busy, Capacity, Observed};
use crate::plan::{Plan, Remaining, Step};
use crate::units::Units;

/// Why a plan is not rolled back, though a person asks for it. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It was only recorded.
    #[error("it was never carried out, because {0}")]
    NeverCarriedOut(&'static str),
    /// Everything was rolled back already, or nothing was made.
    #[error("nothing of it stands")]
    NothingStands,
    /// Rolling back would overwrite what somebody else has set since, in the middle of an order of tiers.
    #[error("{0}; something has changed it since: roll back what came later first, or set it by hand")]
    Moved(String),
    /// What is not seen cannot be given back safely.
    #[error("{key} cannot be judged now: {why}; try again later")]
    Unseen {
        /// Which dimension.
        key: DimensionKey,
        /// Why.
        why: String,
    },
}

/// Whether a plan may be rolled back because a person asks for it, given its journal and what is set now.
///
/// All or nothing: tiers depend on each other, so that one step left alone among others could leave a tier below what the
/// tiers on it need.
///
/// # Errors
/// With the reason why not.
pub fn check(
    plan: &Plan,
    entries: &[Entry],
    seen: &BTreeMap<DimensionKey, Observed<Capacity>>,
) -> Result<(), Refusal> {
    if let Some(why) = plan.permit.withheld() {
        return Err(Refusal::NeverCarriedOut(why));
    }
    let undone: Vec<_> = entries.iter().filter_map(Entry::undo).collect();
    if undone.is_empty() {
        return Err(Refusal::NothingStands);
    }
    for step in &undone {
        let mut set: BTreeMap<DimensionKey, Units> = BTreeMap::new();
        for change in &step.changes {
            set.insert(change.key.clone(), settled(&change.key, seen.get(&change.key))?);
        }
        if let Remaining::Refuse(why) = step.against(&set) {
            return Err(Refusal::Moved(why));
        }
    }
    Ok(())
}

/// The plans of which something stands, newest first, each with the steps that would roll it back, by the journal of the
/// time since. What somebody else has changed meanwhile is not seen here.
pub fn standing(entries: &[Entry]) -> Vec<(PlanId, Vec<Step>)> {
    let mut plans: BTreeMap<&PlanId, Vec<Step>> = BTreeMap::new();
    for entry in entries {
        if let Some(undo) = entry.undo() {
            plans.entry(&entry.plan).or_default().push(undo);
        }
    }
    // Ids begin with the time at which the plan was made.
    plans.into_iter().rev().map(|(plan, steps)| (plan.clone(), steps)).collect()
}

/// What is set of a dimension. While AWS carries out an update, what it describes may be from before.
fn settled(key: &DimensionKey, seen: Option<&Observed<Capacity>>) -> Result<Units, Refusal> {
    let unseen = |why: &str| Refusal::Unseen { key: key.clone(), why: why.to_owned() };
    match seen {
        None => Err(unseen("it was not observed")),
        Some(Observed::Unknown(why)) => Err(unseen(why)),
        Some(Observed::Known(capacity)) => match capacity.busy.as_ref().filter(|busy| busy.is_locked()) {
            Some(busy) => Err(unseen(Busy::what(busy))),
            None => Ok(capacity.set),
        },
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::journal::StepEvent as E;
    use crate::plan::{Permit, StepChange, StepId};
    use crate::platform::Mode;

    const MADE: &[E] = &[E::Started, E::Succeeded];

    /// The journal of the one step of a plan, to which this happened.
    fn entry(plan: &str, events: &[E], changes: Vec<StepChange>) -> Entry {
        let (id, mode) = (StepId("w0/web".into()), Mode::Desired);
        let step = Step { id, resource: "web".into(), group: "web".into(), mode, changes, after: Vec::new() };
        let entry = Entry::new(&plan.into(), 0, &step);
        events.iter().fold(entry, |entry, event| entry.with(*event, Timestamp::UNIX_EPOCH, None).unwrap())
    }

    /// A plan that took `web` from 4 to 8, whose step went so; now this is set of it.
    fn check(permit: Permit, events: &[E], now: Observed<Capacity>, expected: &str) {
        let key: DimensionKey = "web/desired".parse().unwrap();
        let entry = entry(
            "plan",
            events,
            vec![StepChange { key: key.clone(), expected: Units(4), target: Units(8) }],
        );
        let plan = Plan {
            id: "plan".into(),
            cycle: "cycle".into(),
            made_at: Timestamp::UNIX_EPOCH,
            config: "1".into(),
            permit,
            rollback: true,
            waves: Vec::new(),
        };
        let told = match super::check(&plan, &[entry], &[(key, now)].into()) {
            Ok(()) => "may be".to_owned(),
            Err(refusal) => refusal.to_string(),
        };
        assert_eq!(told, expected);
    }

    fn set(units: u32, busy: Option<Busy>) -> Observed<Capacity> {
        Observed::Known(Capacity { set: Units(units), busy, ..Capacity::default() })
    }

    #[test]
    fn plans_that_stand_are_told_newest_first() {
        let entry = |plan: &str, events: &[E]| entry(plan, events, Vec::new());
        let undone = [E::Started, E::Succeeded, E::UndoStarted, E::UndoSucceeded];
        let entries = [
            entry("100-a", MADE),
            entry("200-b", &undone),
            entry("300-c", MADE),
            entry("400-d", &[E::Found]),
        ];
        let plans: Vec<String> = standing(&entries).into_iter().map(|(plan, _)| plan.0).collect();
        assert_eq!(plans, ["300-c", "100-a"]);
    }

    #[test]
    fn only_what_still_stands_as_it_was_made_is_rolled_back() {
        check(Permit::Act, MADE, set(8, None), "may be");
        check(Permit::Act, &[E::Started], set(4, None), "may be"); // the call may still take effect
        check(
            Permit::Act,
            &[E::Started, E::Succeeded, E::UndoStarted, E::UndoFailed],
            set(8, None),
            "may be",
        );
        check(Permit::Act, MADE, set(8, Some(Busy::Held("a deployment".into()))), "may be");
        check(
            Permit::Act,
            MADE,
            set(10, None),
            "web/desired is 10, but the plan was made for 8; something has changed it since: roll back what came later \
             first, or set it by hand",
        );
        check(
            Permit::Act,
            MADE,
            Observed::Unknown("denied".into()),
            "web/desired cannot be judged now: denied; try again later",
        );
        check(
            Permit::Act,
            MADE,
            set(8, Some(Busy::Locked("it is being updated".into()))),
            "web/desired cannot be judged now: it is being updated; try again later",
        );
        for nothing in [&[][..], &[E::Found], &[E::Refused], &[E::Started, E::UndoStarted, E::UndoSucceeded]]
        {
            check(Permit::Act, nothing, set(8, None), "nothing of it stands");
        }
        for (permit, why) in
            [(Permit::Observe, "the rollout phase is observe"), (Permit::DryRun, "this is a dry run")]
        {
            check(permit, MADE, set(8, None), &format!("it was never carried out, because {why}"));
        }
    }
}
