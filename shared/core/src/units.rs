//! Units of capacity, the bounds they keep to, and the direction of a change.

use std::fmt;

pub use headroom_forecast::ratio::{NotARatio, Ratio};
use serde::{Deserialize, Serialize};

/// Seconds of a day, where days are those of UTC.
pub const DAY_S: i64 = 86_400;
/// Seconds of an hour.
pub const HOUR_S: i64 = 3_600;

/// A number of units of one dimension: instances, tasks, read units, half ACUs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Units(pub u32);

impl Units {
    /// The units as a real number, for arithmetic with loads.
    pub fn real(self) -> f64 {
        f64::from(self.0)
    }

    /// The fewest whole units that are at least `real`. NaN and negatives are none; what does not fit is the most.
    pub fn at_least(real: f64) -> Units {
        // A need of 8.0000000001 units comes from rounding, not from load.
        const ROUNDING: f64 = 1e-9;
        Units(whole((real - ROUNDING).ceil()))
    }

    /// The most whole units that are at most `real`. NaN and negatives are none; what does not fit is the most.
    pub fn at_most(real: f64) -> Units {
        const ROUNDING: f64 = 1e-9;
        Units(whole((real + ROUNDING).floor()))
    }

    /// How many of these units a share of them is, rounded down; at least one, or small capacities could never move.
    pub fn share(self, share: f64) -> u32 {
        Units::at_most(self.real() * share).0.max(1)
    }

    /// The difference, whichever is larger.
    pub fn abs_diff(self, other: Units) -> u32 {
        self.0.abs_diff(other.0)
    }
}

#[expect(clippy::as_conversions, reason = "a cast of a float saturates, which is what is documented")]
fn whole(real: f64) -> u32 {
    real as u32
}

impl fmt::Display for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// More capacity, or less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// More.
    Out,
    /// Less.
    In,
}

impl Direction {
    /// The direction of a change. No change at all counts as in.
    pub fn of(from: Units, to: Units) -> Direction {
        if from < to { Direction::Out } else { Direction::In }
    }

    /// The opposite.
    pub fn reverse(self) -> Direction {
        match self {
            Direction::Out => Direction::In,
            Direction::In => Direction::Out,
        }
    }
}

/// A smallest and a largest number of units. The smallest is never above the largest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(Units, Units)", into = "(Units, Units)")]
pub struct Bounds {
    min: Units,
    max: Units,
}

/// Bounds whose smallest is above their largest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the smallest, {min}, is above the largest, {max}")]
pub struct NotBounds {
    min: Units,
    max: Units,
}

impl Bounds {
    /// Bounds from `min` to `max`.
    ///
    /// # Errors
    /// When `min` is above `max`.
    pub fn new(min: Units, max: Units) -> Result<Bounds, NotBounds> {
        if min <= max { Ok(Bounds { min, max }) } else { Err(NotBounds { min, max }) }
    }

    /// The smallest number of units.
    pub fn min(self) -> Units {
        self.min
    }

    /// The largest number of units.
    pub fn max(self) -> Units {
        self.max
    }

    /// The number within the bounds that is nearest to `units`.
    pub fn clamp(self, units: Units) -> Units {
        units.clamp(self.min, self.max)
    }

    /// Whether `units` lies within.
    pub fn contains(self, units: Units) -> bool {
        self.min <= units && units <= self.max
    }
}

impl TryFrom<(Units, Units)> for Bounds {
    type Error = NotBounds;

    fn try_from((min, max): (Units, Units)) -> Result<Bounds, NotBounds> {
        Bounds::new(min, max)
    }
}

impl From<Bounds> for (Units, Units) {
    fn from(bounds: Bounds) -> (Units, Units) {
        (bounds.min, bounds.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_units_cover_what_is_needed() {
        for (real, expected) in
            [(0.0, 0), (0.2, 1), (8.0, 8), (8.000_000_000_1, 8), (8.01, 9), (-3.0, 0), (f64::NAN, 0)]
        {
            assert_eq!(Units::at_least(real), Units(expected), "{real}");
        }
        assert_eq!(Units::at_least(f64::INFINITY), Units(u32::MAX));
        assert_eq!(Units::at_most(7.9), Units(7));
    }

    #[test]
    fn bounds_cannot_be_crossed() {
        assert!(Bounds::new(Units(3), Units(2)).is_err());
        assert!(serde_json::from_str::<Bounds>("[3, 2]").is_err());
        assert_eq!(Bounds::new(Units(2), Units(4)).unwrap().clamp(Units(9)), Units(4));
    }
}
