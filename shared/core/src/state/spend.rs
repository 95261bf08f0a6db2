//! What the platform's capacity has cost since the month began.

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

/// What was spent in a month, in the budget's currency.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spend {
    /// How much.
    pub amount: f64,
    /// The most that an hour of it cost.
    #[serde(default)]
    pub peak_hourly: f64,
    /// What an hour cost when it was last counted.
    #[serde(default)]
    pub hourly: f64,
    /// How much of that could not be seen and stands from before: capacity that cannot be read still has its price.
    #[serde(default)]
    pub unseen_hourly: f64,
    /// Until when it is counted. The month is the one that this lies in.
    pub counted_to: Timestamp,
}

impl Spend {
    /// The share that was saved in the month so far, against holding its largest capacity all the time.
    pub fn saved(self, zone: &TimeZone) -> Option<f64> {
        let held = self.peak_hourly * hours(month_start(zone, self.counted_to), self.counted_to);
        (0.0 < held).then(|| (1.0 - self.amount / held).max(0.0))
    }

    /// What was spent in the month of `now`, as far as it was counted.
    pub fn in_month_of(self, zone: &TimeZone, now: Timestamp) -> f64 {
        if month_start(zone, now) <= self.counted_to { self.amount } else { 0.0 }
    }
}

/// When the month of `now` began.
pub(crate) fn month_start(zone: &TimeZone, now: Timestamp) -> Timestamp {
    let first = now.to_zoned(zone.clone()).first_of_month().and_then(|first| first.start_of_day());
    first.map_or(Timestamp::MIN, |first| first.timestamp())
}

/// Hours from one time to another.
pub(crate) fn hours(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64() / 3_600.0
}
