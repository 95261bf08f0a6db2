//! What is learned from how a plan ended: which resources fail, and how long their capacity takes.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use crate::journal::{Entry, StepEvent, StepState, wave_end};
use crate::name::{DimensionKey, ResourceId};
use crate::plan::{Plan, Step};
use crate::platform::Platform;
use crate::settle::Ending;
use crate::state::{COUNTED_S, PlatformState, Provisioned};
use crate::units::Direction;

/// The state after a plan ended so. Settling twice comes to the same.
#[must_use]
pub fn after_plan(
    state: &PlatformState,
    platform: &Platform,
    plan: &Plan,
    entries: &[Entry],
    ending: Ending,
    at: Timestamp,
) -> PlatformState {
    let mut state = state.clone();
    // What stands by says nothing about what serves, which must not be left alone because of it.
    let standing_by = platform.standing_by();
    for entry in entries.iter().filter(|entry| !only_stands_by(&standing_by, &entry.step)) {
        if let Some((worked, at)) = verdict(entry, entries, ending) {
            let breaker = state.breakers.remove(&entry.step.resource).unwrap_or_default();
            let breaker = breaker.after(worked, at);
            if breaker.failed_at.is_some() {
                state.breakers.insert(entry.step.resource.clone(), breaker);
            }
        }
    }
    count_changes(&mut state, platform, entries, at);
    if matches!(ending, Ending::Scaled | Ending::ScaledPartly) {
        for (resource, guess, took_s, began) in arrivals(platform, plan, entries, at) {
            let known = state.provisioning.get(&resource).copied();
            state.provisioning.insert(resource, Provisioned::after(known, guess, took_s, began));
        }
    }
    state
}

/// Remembers the changes that AWS counts, those that rolled back included. Where it is not known whether a call took effect,
/// it counts.
fn count_changes(state: &mut PlatformState, platform: &Platform, entries: &[Entry], at: Timestamp) {
    let is_counted =
        |key: &DimensionKey| platform.place(key).is_some_and(|place| place.dimension.facts.counts_changes());
    for entry in entries {
        let calls = [StepEvent::Started, StepEvent::UndoStarted];
        let made: Vec<Timestamp> = calls
            .into_iter()
            .filter(|_| entry.when(StepEvent::Started).is_some() && entry.state != StepState::Refused)
            .filter_map(|call| entry.when(call))
            .collect();
        for change in entry.step.changes.iter().filter(|change| is_counted(&change.key)) {
            state.counted.entry(change.key.clone()).or_default().extend(&made);
        }
    }
    for changes in state.counted.values_mut() {
        changes.retain(|made| at.as_second() - made.as_second() < COUNTED_S);
    }
    state.counted.retain(|_, changes| !changes.is_empty());
}

/// Whether a step worked, and when that was clear; `None` where it says nothing about its resource.
///
/// Steps that held worked. When a wave did not hold, the steps of it that failed are to blame, or all of it if none did;
/// those of the waves before had held and were only rolled back with it.
fn verdict(entry: &Entry, entries: &[Entry], ending: Ending) -> Option<(bool, Timestamp)> {
    let at = entry.events.last()?.at;
    if ending == Ending::RolledBackByHand {
        // That a person did not want it says nothing about the resource, and what failed in it was counted when it ended.
        return None;
    }
    if failed(entry) {
        return Some((false, at));
    }
    let succeeded = entry.when(StepEvent::Succeeded).is_some();
    match ending {
        Ending::Scaled | Ending::ScaledPartly => succeeded.then_some((true, at)),
        Ending::RolledBack | Ending::Stopped | Ending::NeedsHuman => {
            let last = entries.iter().filter(|other| other.began().is_some());
            let last = last.map(|other| other.wave).max()?;
            let named = entries.iter().any(failed);
            let blamed = succeeded && entry.wave == last && !named;
            blamed.then_some((false, at))
        }
        // A cycle that died says nothing about what it scaled.
        _ => None,
    }
}

fn failed(entry: &Entry) -> bool {
    entry.when(StepEvent::Failed).or(entry.when(StepEvent::UndoFailed)).is_some()
}

/// Resources that scaled out, with the first guess, how long they took, and when that began.
///
/// A wave is over when its slowest resource is ready, so nothing is learned about those that should be quicker. Nor is
/// anything learned of a wave that ended without what AWS lacked: that would teach how long its time is.
fn arrivals(
    platform: &Platform,
    plan: &Plan,
    entries: &[Entry],
    settled_at: Timestamp,
) -> Vec<(ResourceId, Duration, f64, Timestamp)> {
    let standing_by = platform.standing_by();
    let mut arrivals = Vec::new();
    for (index, _) in plan.waves.iter().enumerate().filter(|(_, wave)| wave.direction == Direction::Out) {
        let of_wave = || entries.iter().filter(|entry| entry.wave == index);
        if of_wave().any(|entry| entry.when(StepEvent::Unavailable).is_some()) {
            continue;
        }
        let awaited = of_wave().filter(|entry| !only_stands_by(&standing_by, &entry.step));
        let made = awaited.filter(|entry| entry.state.holds());
        let made: Vec<(&Entry, Duration, Timestamp)> = made
            .filter_map(|entry| {
                let (_, resource) = platform.resource(&entry.step.resource)?;
                Some((entry, resource.provisioning, entry.began()?))
            })
            .collect();
        let over = wave_end(entries, index, settled_at);
        let slowest = made.iter().map(|(_, guess, _)| *guess).max();
        for (entry, guess, began) in made.into_iter().filter(|(_, guess, _)| Some(*guess) == slowest) {
            let took_s = over.duration_since(began).as_secs_f64();
            arrivals.push((entry.step.resource.clone(), guess, took_s, began));
        }
    }
    arrivals
}

/// Whether nobody waited for what a step made, so that how long it takes was not seen.
fn only_stands_by(standing_by: &BTreeSet<&DimensionKey>, step: &Step) -> bool {
    !step.changes.is_empty() && step.changes.iter().all(|change| standing_by.contains(&change.key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;
    use crate::journal::StepEvent as E;
    use crate::plan::{Permit, StepChange, StepId, Wave};
    use crate::platform::Mode;
    use crate::units::Units;

    const SHOP: &str = "configuration_name: shop
scaling_groups:
  data: {resources: [{type: ECS_SERVICE, name: db, min_capacity: 1, max_capacity: 9, provisioning_seconds: 60}]}
  web:
    resources:
      - {type: ECS_SERVICE, name: api, min_capacity: 1, max_capacity: 9, provisioning_seconds: 60}
      - {type: EC2_AUTO_SCALING_GROUP, name: web, min_capacity: 1, max_capacity: 9, provisioning_seconds: 180,
         warm_pool: {min: 0, max: 9}}
";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn entry(wave: usize, resource: &str, events: &[(E, i64)]) -> Entry {
        let step = Step {
            id: StepId(format!("w{wave}/{resource}")),
            resource: resource.into(),
            group: "web".into(),
            mode: Mode::Desired,
            changes: Vec::new(),
            after: Vec::new(),
        };
        let entry = Entry::new(&"plan".into(), wave, &step);
        events.iter().fold(entry, |entry, (event, second)| entry.with(*event, at(*second), None).unwrap())
    }

    /// What two waves in this direction teach; the cycle settles at 500 s.
    fn after(
        state: &PlatformState,
        direction: Direction,
        entries: &[Entry],
        ending: Ending,
    ) -> PlatformState {
        let wave = Wave { direction, groups: Vec::new(), timeout_s: 600, poll_s: 5, steps: Vec::new() };
        let plan = Plan {
            id: "plan".into(),
            cycle: "cycle".into(),
            made_at: at(0),
            config: "1".into(),
            permit: Permit::Act,
            rollback: true,
            waves: vec![wave.clone(), wave],
        };
        let platform = parse(SHOP).unwrap().platform;
        let once = after_plan(state, &platform, &plan, entries, ending, at(500));
        assert_eq!(after_plan(&once, &platform, &plan, entries, ending, at(500)), once, "settling twice");
        once
    }

    fn failures(state: &PlatformState) -> String {
        let of = |(resource, breaker): (&ResourceId, &crate::state::Breaker)| {
            format!("{resource} {}", breaker.failures)
        };
        state.breakers.iter().map(of).collect::<Vec<_>>().join(", ")
    }

    const MADE: [(E, i64); 2] = [(E::Started, 100), (E::Succeeded, 101)];

    #[test]
    fn the_wave_that_did_not_hold_is_to_blame() {
        let undone = [MADE[0], MADE[1], (E::UndoStarted, 300), (E::UndoSucceeded, 301)];
        let check = |entries: &[Entry], ending, expected: &str| {
            assert_eq!(
                failures(&after(&PlatformState::default(), Direction::Out, entries, ending)),
                expected
            );
        };
        let sick = [entry(0, "db", &undone), entry(1, "api", &undone), entry(1, "web", &undone)];
        check(&sick, Ending::RolledBack, "api 1, web 1");
        let failed = [MADE[0], (E::Failed, 102), (E::UndoStarted, 300), (E::UndoSucceeded, 301)];
        let named = [entry(0, "db", &undone), entry(1, "api", &undone), entry(1, "web", &failed)];
        check(&named, Ending::RolledBack, "web 1");
        let stands = [entry(0, "db", &MADE), entry(1, "web", &MADE)];
        check(&stands, Ending::Stopped, "web 1");
        check(&stands, Ending::Scaled, "");
        check(&sick, Ending::Recovered, "");
        // What failed in a plan was counted when it ended, and that a person did not want it blames nobody.
        check(&named, Ending::RolledBackByHand, "");
        let refused = [entry(0, "db", &[(E::Refused, 100)]), entry(1, "web", &[(E::Skipped, 100)])];
        check(&refused, Ending::ScaledPartly, "");
    }

    #[test]
    fn a_step_that_held_closes_the_breaker() {
        let undone = [MADE[0], MADE[1], (E::UndoStarted, 110), (E::UndoSucceeded, 111)];
        let once =
            after(&PlatformState::default(), Direction::Out, &[entry(0, "web", &undone)], Ending::RolledBack);
        let later = undone.map(|(event, second)| (event, second + 300));
        let twice = after(&once, Direction::Out, &[entry(0, "web", &later)], Ending::RolledBack);
        assert_eq!(failures(&twice), "web 2");
        assert_eq!(failures(&after(&twice, Direction::In, &[entry(0, "web", &MADE)], Ending::Scaled)), "");
    }

    #[test]
    fn changes_that_aws_counts_are_remembered_for_a_day_and_no_others() {
        let text = "configuration_name: shop\nscaling_groups: {in: {resources: [\
                    {type: KINESIS_STREAM, name: clicks, min_capacity: 1, max_capacity: 9}]}}\n";
        let platform = parse(text).unwrap().platform;
        let plan = Plan {
            id: "plan".into(),
            cycle: "cycle".into(),
            made_at: at(0),
            config: "1".into(),
            permit: Permit::Act,
            rollback: true,
            waves: Vec::new(),
        };
        let changed = |key: &str, events: &[(E, i64)]| {
            let mut entry = entry(0, key, events);
            let (expected, target) = (Units(2), Units(4));
            entry.step.changes = vec![StepChange { key: key.parse().unwrap(), expected, target }];
            entry
        };
        let key = "clicks/shards".parse().unwrap();
        let after = |state: &PlatformState, entries: &[Entry], second| {
            let once = after_plan(state, &platform, &plan, entries, Ending::RolledBack, at(second));
            let twice = after_plan(&once, &platform, &plan, entries, Ending::RolledBack, at(second));
            assert_eq!(once, twice, "settling twice");
            once
        };
        let undone = [MADE[0], MADE[1], (E::UndoStarted, 300), (E::UndoSucceeded, 301)];
        let entries = [changed("clicks/shards", &undone), changed("web/desired", &MADE)];
        let made = after(&PlatformState::default(), &entries, 500);
        assert_eq!((made.counted.len(), made.counted(&key, at(500))), (1, 2), "out, and back");
        let refused = [changed("clicks/shards", &[MADE[0], (E::Refused, 600)])];
        assert_eq!(after(&made, &refused, 700).counted(&key, at(700)), 2, "AWS refused it");
        assert_eq!((made.counted(&key, at(86_500)), made.counted(&key, at(86_700))), (1, 0));
        assert!(after(&made, &refused, 86_700).counted.is_empty());
    }

    #[test]
    fn a_step_that_nobody_waited_for_teaches_no_time() {
        let learned = |keys: &[&str]| {
            let mut step = entry(0, "web", &MADE);
            let (expected, target) = (Units(1), Units(2));
            step.step.changes =
                keys.iter().map(|key| StepChange { key: key.parse().unwrap(), expected, target }).collect();
            let state = after(&PlatformState::default(), Direction::Out, &[step], Ending::Scaled);
            state.provisioning.len()
        };
        assert_eq!(learned(&["web/warm_pool"]), 0);
        let mut step = entry(0, "web", &[(E::Started, 100), (E::Failed, 101)]);
        let (expected, target) = (Units(1), Units(2));
        step.step.changes = vec![StepChange { key: "web/warm_pool".parse().unwrap(), expected, target }];
        let state = after(&PlatformState::default(), Direction::Out, &[step], Ending::RolledBack);
        assert_eq!(failures(&state), "", "and opens no breaker");
        assert_eq!(learned(&["web/desired", "web/warm_pool"]), 1);
    }

    #[test]
    fn the_slowest_of_a_wave_is_learned_from() {
        let held = [entry(0, "db", &MADE), entry(1, "api", &[(E::Started, 180), (E::Succeeded, 181)]), {
            entry(1, "web", &[(E::Started, 180), (E::Succeeded, 182)])
        }];
        let learned = after(&PlatformState::default(), Direction::Out, &held, Ending::Scaled);
        let known: Vec<String> = learned
            .provisioning
            .iter()
            .map(|(resource, known)| format!("{resource} {:.0} of {}", known.seconds, known.seen))
            .collect();
        // Its wave took 80 s, where 60 were guessed; the servers took 320 s, where 180 were.
        assert_eq!(known, ["db 64 of 1", "web 202 of 1"]);
        assert!(
            after(&PlatformState::default(), Direction::In, &held, Ending::Scaled).provisioning.is_empty()
        );
        assert!(
            after(&PlatformState::default(), Direction::Out, &held, Ending::Stopped).provisioning.is_empty()
        );
        // Its wave ended with its time, and not when it was ready.
        let short = [entry(0, "db", &[MADE[0], MADE[1], (E::Unavailable, 400)])];
        assert!(
            after(&PlatformState::default(), Direction::Out, &short, Ending::Scaled).provisioning.is_empty()
        );
        let found = [entry(0, "db", &[(E::Found, 100)])];
        assert!(
            after(&PlatformState::default(), Direction::Out, &found, Ending::Scaled).provisioning.is_empty()
        );
    }
}
