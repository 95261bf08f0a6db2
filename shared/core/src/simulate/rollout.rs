//! A plan carried out wave by wave: what depends on a tier is asked for when that tier is ready, not before.

use crate::plan::{Plan, Step, StepChange, Wave};
use crate::units::Direction;

/// A plan under way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rollout {
    waves: Vec<Wave>,
    /// Waves begun, and when the newest was.
    begun: usize,
    begun_at: usize,
    /// Whether its end waits for the last wave too: something may depend on it.
    waits: bool,
    rollback: bool,
    /// Why it rolls another plan back, if it does.
    pub(super) back: Option<String>,
}

/// What a change is about now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    pub(super) ready: u32,
    pub(super) ordered: u32,
    /// Whether a native policy asks again for what failed.
    pub(super) retried: bool,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Next {
    /// The newest wave is not ready yet.
    Wait,
    /// These changes are to be made.
    Make(Vec<StepChange>),
    /// The plan cannot go on; this one rolls back what was begun, newest first.
    RollBack(Rollout),
    /// It was carried out.
    Done,
}

impl Rollout {
    pub(super) fn new(plan: &Plan, waits: bool) -> Rollout {
        let waves = plan.waves_to_run().to_vec();
        Rollout { waves, begun: 0, begun_at: 0, waits, rollback: plan.rollback, back: None }
    }

    /// What is to be done in this minute, given what stands of each dimension. A wave that is returned counts as begun.
    pub(super) fn next(&mut self, minute: usize, progress: &dyn Fn(&StepChange) -> Progress) -> Next {
        let waited = self.begun.checked_sub(1).and_then(|newest| self.waves.get(newest));
        if let Some(wave) = waited.filter(|_| self.waits || self.begun < self.waves.len()) {
            let waited = minute - self.begun_at;
            // What rolls back is not rolled back itself: it goes on as far as it can.
            let unready = match self.back {
                Some(_) => Ok(changes(wave).any(|change| pending(change, progress(change)))),
                None => unready(wave, waited, progress),
            };
            match unready {
                Ok(false) => (),
                Ok(true) => return Next::Wait,
                Err(why) => return self.roll_back(why),
            }
        }
        let Some(wave) = self.waves.get(self.begun) else { return Next::Done };
        let changes: Vec<StepChange> = changes(wave).cloned().collect();
        let stale = changes.iter().find_map(|change| stale(change, progress(change)));
        if let Some(why) = stale.filter(|_| self.back.is_none()) {
            return self.roll_back(why);
        }
        self.begun += 1;
        self.begun_at = minute;
        Next::Make(changes)
    }

    /// What was begun, backwards.
    fn roll_back(&self, why: String) -> Next {
        let begun = self.waves.iter().take(self.begun).rev().filter(|_| self.rollback);
        let undone = begun.map(|wave| Wave {
            direction: wave.direction.reverse(),
            steps: wave.steps.iter().map(Step::undo).collect(),
            ..wave.clone()
        });
        let waves = undone.collect();
        Next::RollBack(Rollout {
            waves,
            begun: 0,
            begun_at: 0,
            waits: true,
            rollback: false,
            back: Some(why),
        })
    }
}

/// Why a change no longer fits what it was planned from, if it does not.
fn stale(change: &StepChange, now: Progress) -> Option<String> {
    let StepChange { key, expected, .. } = change;
    let fits = now.retried || now.ordered == expected.0;
    (!fits).then(|| format!("{key} is {}, but the plan was made for {expected}", now.ordered))
}

fn changes(wave: &Wave) -> impl Iterator<Item = &StepChange> {
    wave.steps.iter().flat_map(|step| &step.changes)
}

/// Whether units of this change are on their way.
fn pending(change: &StepChange, now: Progress) -> bool {
    now.ready < change.target.0 && change.target.0 <= now.ordered
}

/// Whether a wave's capacity is still to come, or why it will not.
fn unready(wave: &Wave, waited: usize, progress: &dyn Fn(&StepChange) -> Progress) -> Result<bool, String> {
    if wave.direction == Direction::In {
        return Ok(false);
    }
    let missing: Vec<&StepChange> =
        changes(wave).filter(|change| progress(change).ready < change.target.0).collect();
    for change in &missing {
        let now = progress(change);
        if now.ordered < change.target.0 && !now.retried {
            return Err(format!("{} did not get the units it was ordered", change.key));
        }
    }
    let most = usize::try_from(wave.timeout_s.div_ceil(60)).unwrap_or(usize::MAX);
    match missing.first() {
        Some(change) if most <= waited => Err(format!("{} was not ready after {waited} minutes", change.key)),
        first => Ok(first.is_some()),
    }
}
