//! Values that are learned from outcomes: how long a unit takes, what it carries, how much confidence a forecast needs.
//!
//! Each starts from what the file says and can never leave the bounds around it, whatever is seen.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How long units of a resource took to become ready.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provisioned {
    /// Seconds, as learned.
    pub seconds: f64,
    /// From how many scale-outs.
    pub seen: u32,
    /// When the newest of them began.
    pub at: Timestamp,
}

impl Provisioned {
    /// A unit takes at least a quarter of what the file says, and at most four times as long: beyond that the file is
    /// wrong, or what was measured was not provisioning.
    pub const TIMES_MAX: f64 = 4.0;

    /// As a time, within the bounds around what the file says today.
    pub fn duration(self, guess: Duration) -> Duration {
        let guess_s = guess.as_secs_f64();
        let seconds = self.seconds.clamp(guess_s / Self::TIMES_MAX, guess_s * Self::TIMES_MAX);
        Duration::try_from_secs_f64(seconds.round()).unwrap_or(guess)
    }
}

/// The most that the load planned for a unit may move away from the file's, as a share.
pub const CARRIED_SHARE_MAX: f64 = 0.2;

/// The nearest to `planned` that is within bounds around what the file says.
pub fn within_share(planned: f64, file: f64) -> f64 {
    planned.clamp(file * (1.0 - CARRIED_SHARE_MAX), file * (1.0 + CARRIED_SHARE_MAX))
}

/// How far the confidence that a forecast needs has moved away from the file's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConfidenceAdjustment {
    /// To scale out.
    pub out: f64,
    /// To scale in.
    pub inward: f64,
    /// When it last moved, or could have.
    pub at: Option<Timestamp>,
}

impl ConfidenceAdjustment {
    /// A tenth either way: the file still says roughly how much trust is needed.
    pub const MOST: f64 = 0.1;
}
