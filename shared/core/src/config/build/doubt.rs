//! Values that can be read in two ways: the one that can work is taken, and a warning tells both.

use std::time::Duration;

use super::Build;
use crate::config::path::Path;
use crate::scalar::Span;

const MINUTE_S: u64 = 60;

impl Build<'_> {
    /// A plain number below 60 that stands for a length of time, if that is what is written at `at`.
    fn bare(&self, at: &Path, given: Span) -> Option<u64> {
        let total_s = given.0.as_secs();
        (self.is_number(at) && 0 < total_s && total_s < MINUTE_S).then_some(total_s)
    }

    /// A length of time in seconds. Where it is written as so few that minutes may be meant, a warning says so.
    pub(super) fn seconds(&mut self, at: &Path, given: Option<Span>) -> Option<Span> {
        if let Some(number) = given.and_then(|given| self.bare(at, given)) {
            let sentence = format!(
                "is {number} seconds; write `{number}m` if minutes are meant, or `{number}s` for this"
            );
            self.warn(at, sentence);
        }
        given
    }

    /// A length of time of a key that other tools give in minutes: a plain number below 60 is minutes.
    pub(super) fn minutes(&mut self, at: &Path, given: Option<Span>) -> Option<Span> {
        let Some(number) = given.and_then(|given| self.bare(at, given)) else { return given };
        let sentence = format!(
            "is taken for {number} minutes; write `{number}m` for this, or `{number}s` if seconds are meant"
        );
        self.warn(at, sentence);
        Some(Span(Duration::from_secs(number * MINUTE_S)))
    }

    /// How long a wave may take, for units that take `needed`. In less than that no wave ends well, so a number of seconds that
    /// cannot be meant is minutes.
    pub(super) fn wait(&mut self, at: &Path, given: Option<Span>, needed: Duration) -> Option<Duration> {
        let given = given?;
        if needed <= given.0 {
            return Some(given.0);
        }
        let needed = Span(needed);
        if let Some(number) = self.bare(at, given) {
            let sentence = format!(
                "is taken for {number} minutes, because a unit takes {needed} to be ready; write `{number}m` for this, or `{number}s` \
                 if seconds are meant"
            );
            self.warn(at, sentence);
            return Some(Duration::from_secs(number * MINUTE_S));
        }
        let sentence = format!(
            "is {given}, and a unit takes {needed} to be ready: waves will be rolled back for want of time; write more, or a \
             `provisioning_seconds` that is less"
        );
        self.warn(at, sentence);
        Some(given.0)
    }

    /// What is given by a key or by its other name, but not by both.
    pub(super) fn either<T>(
        &mut self,
        (at, given): (&Path, Option<T>),
        (other, same): (&Path, Option<T>),
    ) -> Option<T> {
        if given.is_some() && same.is_some() {
            self.fault(other, format!("says the same as `{at}`; write one of them"));
        }
        given.or(same)
    }
}
