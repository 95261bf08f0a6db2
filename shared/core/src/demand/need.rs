//! Units needed, with what says so and why.

use serde::{Deserialize, Serialize};

use crate::reason::Reason;
use crate::units::{Ratio, Units};

/// What decided how much is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DemandSource {
    /// The measured load.
    Reactive,
    /// The forecast load.
    Predictive,
    /// The calendar.
    Scheduled,
    /// The larger of measured and forecast load.
    Hybrid,
    /// A person.
    Manual,
}

/// Units needed, and by what.
#[derive(Clone, Debug, PartialEq)]
pub struct Need {
    /// How many.
    pub units: Units,
    /// What says so.
    pub source: DemandSource,
    /// Why.
    pub reason: Reason,
}

/// The answer of one source, or of all of them together. To scale out, needs of the lead window count; to scale in, also later
/// ones, and peaks instead of means.
#[derive(Clone, Debug, PartialEq)]
pub struct Needs {
    /// By the measured load: to scale out for, and to keep when scaling in.
    pub reactive: Option<Pair>,
    /// By the forecast load.
    pub predictive: Option<Pair>,
    /// By the calendar.
    pub scheduled: Option<Pair>,
    /// Units that step policies would keep when scaling in. They count only beside another need: a utilisation below a bound does
    /// not show that the remaining units are enough.
    pub steps_in: Option<Pair>,
    /// By a person.
    pub manual: Option<Need>,
    /// Units that carry the newest measured load, whatever the forecast says.
    pub measured: Option<Units>,
    /// Units that carry the largest load of the last cycle at its target, whatever the forecast says.
    pub at_target: Option<Units>,
    /// Units that the median of the forecast needs within two lead windows.
    pub soon: Option<Units>,
    /// Whether every metric is known. If not, nothing is scaled in.
    pub complete: bool,
    /// Whether the forecast may scale out.
    pub trusted: bool,
    /// The least confidence among the forecasts used.
    pub confidence: Option<Ratio>,
    /// What is unknown, missing or not trusted.
    pub reasons: Vec<Reason>,
}

/// A need to scale out for, and the smallest capacity to keep when scaling in. The second is never below the first.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// Units to have in the lead window.
    pub out: Need,
    /// Units to keep.
    pub keep: Need,
}

impl Pair {
    /// The same need for both.
    pub(super) fn both(need: Need) -> Pair {
        Pair { out: need.clone(), keep: need }
    }
}

impl Default for Needs {
    /// A source that has nothing to say.
    fn default() -> Needs {
        Needs {
            reactive: None,
            predictive: None,
            scheduled: None,
            steps_in: None,
            manual: None,
            measured: None,
            at_target: None,
            soon: None,
            complete: true,
            trusted: true,
            confidence: None,
            reasons: Vec::new(),
        }
    }
}

impl Needs {
    /// Adds what another source answers. Of two needs of a kind the larger counts, and of equal ones the first.
    pub(super) fn add(&mut self, answer: Needs) {
        merge(&mut self.reactive, answer.reactive);
        merge(&mut self.predictive, answer.predictive);
        merge(&mut self.scheduled, answer.scheduled);
        merge(&mut self.steps_in, answer.steps_in);
        self.manual = self.manual.take().or(answer.manual);
        self.measured = self.measured.max(answer.measured);
        self.at_target = self.at_target.max(answer.at_target);
        self.soon = self.soon.max(answer.soon);
        self.complete &= answer.complete;
        self.trusted &= answer.trusted;
        self.confidence = least(self.confidence, answer.confidence);
        self.reasons.extend(answer.reasons);
    }

    /// Counts what step policies would keep, where there is another need too.
    pub(super) fn count_steps_in(&mut self) {
        let steps_in = self.steps_in.take();
        if self.reactive.is_some() || self.predictive.is_some() {
            merge(&mut self.reactive, steps_in);
        }
    }

    /// The need that counts: the largest to scale out for if it is above `set`, else the largest to keep.
    pub fn decisive(&self, set: Units) -> Option<Need> {
        if let Some(manual) = &self.manual {
            return Some(manual.clone());
        }
        let out = self.largest(|pair| &pair.out, self.trusted)?;
        if set < out.units {
            return Some(out);
        }
        let keep = self.largest(|pair| &pair.keep, true)?;
        Some(if set <= keep.units { Need { units: set, ..keep } } else { keep })
    }

    fn largest(&self, of: fn(&Pair) -> &Need, with_forecast: bool) -> Option<Need> {
        let predictive = self.predictive.as_ref().filter(|_| with_forecast);
        let all = [self.reactive.as_ref(), predictive, self.scheduled.as_ref()];
        let largest = all.into_iter().flatten().map(of).max_by_key(|need| need.units)?;
        let agreed = |pair: Option<&Pair>| pair.is_some_and(|pair| of(pair).units == largest.units);
        let both =
            largest.source != DemandSource::Scheduled && agreed(self.reactive.as_ref()) && agreed(predictive);
        let source = if both { DemandSource::Hybrid } else { largest.source };
        Some(Need { source, ..largest.clone() })
    }
}

/// The larger of two pairs, part by part.
fn merge(into: &mut Option<Pair>, pair: Option<Pair>) {
    match (into.as_mut(), pair) {
        (_, None) => (),
        (None, pair) => *into = pair,
        (Some(old), Some(pair)) => {
            if old.out.units < pair.out.units {
                old.out = pair.out;
            }
            if old.keep.units < pair.keep.units {
                old.keep = pair.keep;
            }
        }
    }
}

/// The least of two confidences, where there are two.
fn least(a: Option<Ratio>, b: Option<Ratio>) -> Option<Ratio> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if a < b { a } else { b }),
        (a, b) => a.or(b),
    }
}
