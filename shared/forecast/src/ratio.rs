//! Shares between zero and one.

use serde::{Deserialize, Serialize};

/// A share between zero and one. NaN is not a share.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Ratio(f64);

/// A number outside 0..=1.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{0} is not a share between 0 and 1")]
pub struct NotARatio(f64);

impl Ratio {
    /// Zero.
    pub const ZERO: Ratio = Ratio(0.0);
    /// One.
    pub const ONE: Ratio = Ratio(1.0);

    /// The nearest share to `value`; zero for NaN.
    pub fn clamped(value: f64) -> Ratio {
        if value.is_nan() { Ratio::ZERO } else { Ratio(value.clamp(0.0, 1.0)) }
    }

    /// The share as a number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Ratio {
    type Error = NotARatio;

    fn try_from(value: f64) -> Result<Ratio, NotARatio> {
        if (0.0..=1.0).contains(&value) { Ok(Ratio(value)) } else { Err(NotARatio(value)) }
    }
}

impl From<Ratio> for f64 {
    fn from(ratio: Ratio) -> f64 {
        ratio.0
    }
}
