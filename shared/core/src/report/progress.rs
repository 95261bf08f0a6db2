//! A cycle while it runs, told a line at a time: each thing once, when it is seen.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::explain::told_as;
use crate::journal::Entry;
use crate::plan::StepId;

/// What was told of a cycle so far.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    wave: usize,
    waits: bool,
    undoes: bool,
    /// How many events of each step were looked at.
    steps: BTreeMap<(usize, StepId), usize>,
}

impl Progress {
    /// States of the state machine that are told, for the test that holds it against this.
    pub const STATES: [&'static str; 7] =
        ["CollectMetrics", "Forecast", "Decide", "BeginWave", "CheckHealth", "BeginUndo", "Settle"];

    /// The sentence for a state that the execution has entered, if it says something new.
    pub fn entered(&mut self, state: &str) -> Option<String> {
        let sentence = match state {
            "CollectMetrics" => "looks at metrics and capacity".to_owned(),
            "Forecast" => "forecasts".to_owned(),
            "Decide" => "decides".to_owned(),
            "BeginWave" => {
                (self.wave, self.waits) = (self.wave + 1, false);
                format!("wave {} begins", self.wave)
            }
            "CheckHealth" if !self.waits => {
                self.waits = true;
                format!("wave {} waits until it is healthy", self.wave)
            }
            "BeginUndo" if !self.undoes => {
                self.undoes = true;
                "rolls back, the newest wave first".to_owned()
            }
            "Settle" => "settles".to_owned(),
            _ => return None,
        };
        Some(sentence)
    }

    /// A line for everything that happened to a step at or after `since` and was not told yet.
    pub fn steps(&mut self, entries: &[Entry], since: Timestamp) -> Vec<String> {
        let mut lines = Vec::new();
        for entry in entries {
            let told = self.steps.entry((entry.wave, entry.step.id.clone())).or_default();
            let recent: Vec<_> = entry.events.iter().filter(|happened| since <= happened.at).collect();
            for happened in recent.iter().skip(*told) {
                let Some(what) = told_as(happened.event) else { continue };
                let detail =
                    happened.detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default();
                lines.push(format!("  wave {}: {} {what}{detail}", entry.wave + 1, changed(entry)));
            }
            *told = recent.len().max(*told);
        }
        lines
    }
}

fn changed(entry: &Entry) -> String {
    let changes = entry.step.changes.iter();
    let changes = changes.map(|change| format!("{} {} -> {}", change.key, change.expected, change.target));
    changes.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::StepEvent as E;
    use crate::plan::{Step, StepChange};
    use crate::platform::Mode;
    use crate::units::Units;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn entry(events: &[(E, i64)]) -> Entry {
        let change = StepChange { key: "web/desired".parse().unwrap(), expected: Units(4), target: Units(8) };
        let step = Step {
            id: StepId("w0/web".into()),
            resource: "web".into(),
            group: "web".into(),
            mode: Mode::Desired,
            changes: vec![change],
            after: Vec::new(),
        };
        let entry = Entry::new(&"plan".into(), 0, &step);
        events.iter().fold(entry, |entry, (event, second)| entry.with(*event, at(*second), None).unwrap())
    }

    #[test]
    fn states_are_told_once_and_waves_are_counted() {
        let states = "Begin CollectMetrics IsThereWork Forecast Decide BeginWave ExecuteWave CheckHealth AwaitHealth \
                      CheckHealth BeginWave CheckHealth BeginUndo BeginUndo Settle Done";
        let mut progress = Progress::default();
        let told: Vec<String> =
            states.split_whitespace().filter_map(|state| progress.entered(state)).collect();
        let expected = [
            "looks at metrics and capacity",
            "forecasts",
            "decides",
            "wave 1 begins",
            "wave 1 waits until it is healthy",
            "wave 2 begins",
            "wave 2 waits until it is healthy",
            "rolls back, the newest wave first",
            "settles",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_happens_to_a_step_is_told_once_and_what_was_before_is_not() {
        let mut progress = Progress::default();
        let made = [(E::Started, 100), (E::Succeeded, 101)];
        assert!(progress.steps(&[entry(&made[..1])], at(100)).is_empty(), "a call that is about to be made");
        assert_eq!(progress.steps(&[entry(&made)], at(100)), ["  wave 1: web/desired 4 -> 8 made"]);
        assert!(progress.steps(&[entry(&made)], at(100)).is_empty());
        let undone = [made[0], made[1], (E::UndoStarted, 200), (E::UndoSucceeded, 201)];
        assert_eq!(progress.steps(&[entry(&undone)], at(100)), ["  wave 1: web/desired 4 -> 8 rolled back"]);
        // A cycle that rolls back an earlier plan does not tell how that one was made.
        let mut later = Progress::default();
        assert_eq!(later.steps(&[entry(&undone)], at(150)), ["  wave 1: web/desired 4 -> 8 rolled back"]);
    }
}
