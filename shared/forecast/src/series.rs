//! Load over time on a regular grid. A gap stays a gap: unknown is a value, and never zero.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The step of forecasts and of the history that they learn from. A finer one costs more and does not improve forecasts of
/// two hours.
pub const STEP_S: u32 = 300;

/// A regular series. The value at index `i` covers the time from `start + i * step` to one step later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    start: Timestamp,
    step_s: u32,
    /// NaN is a gap; there is no other non-finite value.
    #[serde(with = "gaps")]
    values: Vec<f64>,
}

impl Series {
    /// A series from `start` in steps of `step_s` seconds. What is not finite is a gap. A step of zero is one second.
    pub fn new(start: Timestamp, step_s: u32, values: impl IntoIterator<Item = Option<f64>>) -> Series {
        let values =
            values.into_iter().map(|value| value.filter(|value| value.is_finite()).unwrap_or(f64::NAN));
        Series { start, step_s: step_s.max(1), values: values.collect() }
    }

    /// A series from points in any order. The grid is that of `step_s`, aligned to the epoch; a later point in the same
    /// cell replaces an earlier one.
    pub fn from_points(step_s: u32, points: impl IntoIterator<Item = (Timestamp, f64)>) -> Series {
        let step_s = step_s.max(1);
        let cells: std::collections::BTreeMap<i64, f64> = points
            .into_iter()
            .map(|(at, value)| (at.as_second().div_euclid(i64::from(step_s)), value))
            .collect();
        let (Some(first), Some(last)) = (cells.keys().next().copied(), cells.keys().next_back().copied())
        else {
            return Series::new(Timestamp::UNIX_EPOCH, step_s, []);
        };
        let start = Timestamp::from_second(first * i64::from(step_s)).unwrap_or(Timestamp::UNIX_EPOCH);
        Series::new(start, step_s, (first..=last).map(|cell| cells.get(&cell).copied()))
    }

    /// When the first value starts.
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// When the last value ends.
    pub fn end(&self) -> Timestamp {
        self.time_of(self.len())
    }

    /// Seconds between values.
    pub fn step_s(&self) -> u32 {
        self.step_s
    }

    /// Number of values, gaps included.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is no value at all.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The values, gaps as NaN.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The value at an index, unless it is a gap or beyond the end.
    pub fn get(&self, index: usize) -> Option<f64> {
        self.values.get(index).copied().filter(|value| !value.is_nan())
    }

    /// The value that covers a time.
    pub fn at(&self, time: Timestamp) -> Option<f64> {
        let seconds = time.as_second() - self.start.as_second();
        self.get(usize::try_from(seconds.div_euclid(i64::from(self.step_s))).ok()?)
    }

    /// When the value at an index starts. Past the calendar's end it is the last instant there is.
    pub fn time_of(&self, index: usize) -> Timestamp {
        let seconds = i64::try_from(index).unwrap_or(i64::MAX).saturating_mul(i64::from(self.step_s));
        self.start.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
    }

    /// The newest known value and when it ends.
    pub fn newest(&self) -> Option<(Timestamp, f64)> {
        let index = self.values.iter().rposition(|value| !value.is_nan())?;
        Some((self.time_of(index + 1), self.get(index)?))
    }

    /// The known values.
    pub fn known(&self) -> impl DoubleEndedIterator<Item = f64> + '_ {
        self.values.iter().copied().filter(|value| !value.is_nan())
    }

    /// The last `count` values.
    pub fn tail(&self, count: usize) -> Series {
        let skip = self.len().saturating_sub(count);
        Series {
            start: self.time_of(skip),
            step_s: self.step_s,
            values: self.values.get(skip..).unwrap_or_default().to_vec(),
        }
    }

    /// The part before `time`.
    pub fn until(&self, time: Timestamp) -> Series {
        let seconds = time.as_second() - self.start.as_second();
        let count = usize::try_from(seconds.div_euclid(i64::from(self.step_s))).unwrap_or(0);
        let values = self.values.get(..count.min(self.len())).unwrap_or_default().to_vec();
        Series { start: self.start, step_s: self.step_s, values }
    }

    /// The means over coarser cells of `step_s` seconds, aligned to the epoch. A cell is known when it has at least half as
    /// many known values as the fullest cell, so that sparse sources keep their points. With a finer step it is a copy.
    pub fn regrid(&self, step_s: u32) -> Series {
        if step_s <= self.step_s {
            return self.clone();
        }
        let mut cells: std::collections::BTreeMap<i64, (f64, u32)> = std::collections::BTreeMap::new();
        for (index, value) in self.values.iter().enumerate().filter(|(_, value)| !value.is_nan()) {
            let cell = self.time_of(index).as_second().div_euclid(i64::from(step_s));
            let (sum, count) = cells.entry(cell).or_default();
            *sum += value;
            *count += 1;
        }
        let fullest = cells.values().map(|(_, count)| *count).max().unwrap_or(0);
        let points =
            cells.iter().filter(|(_, (_, count))| fullest <= count * 2).filter_map(|(cell, (sum, count))| {
                Some((Timestamp::from_second(cell * i64::from(step_s)).ok()?, sum / f64::from(*count)))
            });
        Series::from_points(step_s, points)
    }
}

/// Gaps are `null` in JSON, which has no NaN.
mod gaps {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(values: &[f64], output: S) -> Result<S::Ok, S::Error> {
        output.collect_seq(values.iter().map(|value| Some(*value).filter(|value| !value.is_nan())))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<f64>, D::Error> {
        let values = Vec::<Option<f64>>::deserialize(input)?;
        Ok(values.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn points_fall_into_cells_and_gaps_stay() {
        let series = Series::from_points(60, [(at(130), 3.0), (at(0), 1.0), (at(245), 5.0)]);
        assert_eq!(series.start(), at(0));
        assert_eq!(
            (0..5).map(|index| series.get(index)).collect::<Vec<_>>(),
            [Some(1.0), None, Some(3.0), None, Some(5.0)]
        );
        assert_eq!(series.newest(), Some((at(300), 5.0)));
        assert_eq!(series.at(at(125)), Some(3.0));
        assert_eq!(series.at(at(-1)), None);
    }

    #[test]
    fn coarser_cells_are_means_of_what_is_known() {
        let minutes =
            Series::new(at(0), 60, (0..15).map(|i| (i != 3 && !(5..9).contains(&i)).then_some(f64::from(i))));
        let regridded = minutes.regrid(300);
        assert_eq!(regridded.values().len(), 3);
        assert_eq!(regridded.get(0), Some((0.0 + 1.0 + 2.0 + 4.0) / 4.0));
        assert_eq!(regridded.get(1), None, "one of five is not enough");
        assert_eq!(regridded.get(2), Some(12.0));
    }

    #[test]
    fn sparse_sources_keep_their_points() {
        let sparse = Series::new(at(0), 60, (0..10).map(|i| (i % 5 == 0).then_some(1.0)));
        assert_eq!(sparse.regrid(300).known().count(), 2);
    }

    #[test]
    fn json_has_null_for_gaps() {
        let series = Series::new(at(0), 60, [Some(1.0), None, Some(f64::INFINITY)]);
        let text = serde_json::to_string(&series).unwrap();
        assert_eq!(text, r#"{"start":"1970-01-01T00:00:00Z","step_s":60,"values":[1.0,null,null]}"#);
        assert_eq!(serde_json::from_str::<Series>(&text).unwrap().known().count(), 1);
    }

    #[test]
    fn the_past_does_not_see_the_future() {
        let series = Series::new(at(0), 60, (0..10).map(|i| Some(f64::from(i))));
        assert_eq!(series.until(at(150)).len(), 2);
        assert_eq!(series.tail(3).start(), at(420));
    }
}
