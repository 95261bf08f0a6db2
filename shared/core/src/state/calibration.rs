//! How forecasts and decisions fared lately: the outcomes of the last days, and what they say in shares.

use serde::{Deserialize, Serialize};

/// Outcomes of one day. Which of them was added first does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// The day, counted from 1970 in UTC.
    pub day: i64,
    /// Loads held against a forecast.
    pub judged: u32,
    /// Those within its band.
    pub inside: u32,
    /// Those above its band.
    pub above: u32,
    /// Dimensions whose wanted units were held against what was needed.
    pub compared: u32,
    /// Those where too little was wanted.
    pub short: u32,
    /// Those where following the measured load would have had too little.
    pub short_reactive: u32,
    /// Units wanted and not needed, in units needed, summed up.
    pub idle: f64,
    /// The same, had the measured load been followed.
    pub idle_reactive: f64,
}

/// Outcomes of the last days, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Calibration(pub Vec<Tally>);

/// What these outcomes say, in shares.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CalibrationFigures {
    /// Loads held against a forecast.
    pub judged: u32,
    /// Share of them within its 90 % band.
    pub coverage: f64,
    /// Share of them above it.
    pub above: f64,
    /// Dimensions whose wanted units were held against what was needed.
    pub compared: u32,
    /// Share of them where too little was wanted.
    pub short: f64,
    /// Share of them where following the measured load would have had too little.
    pub short_reactive: f64,
    /// Mean units wanted and not needed, in units needed.
    pub idle: f64,
    /// The same, had the measured load been followed.
    pub idle_reactive: f64,
}

impl Calibration {
    /// What the outcomes say.
    pub fn figures(&self) -> CalibrationFigures {
        let count = |of: fn(&Tally) -> u32| self.0.iter().map(of).fold(0, u32::saturating_add);
        let (judged, compared) = (count(|tally| tally.judged), count(|tally| tally.compared));
        let share = |part: u32, whole: u32| f64::from(part) / f64::from(whole.max(1));
        let mean = |of: fn(&Tally) -> f64| self.0.iter().map(of).sum::<f64>() / f64::from(compared.max(1));
        CalibrationFigures {
            judged,
            coverage: share(count(|tally| tally.inside), judged),
            above: share(count(|tally| tally.above), judged),
            compared,
            short: share(count(|tally| tally.short), compared),
            short_reactive: share(count(|tally| tally.short_reactive), compared),
            idle: mean(|tally| tally.idle),
            idle_reactive: mean(|tally| tally.idle_reactive),
        }
    }
}
