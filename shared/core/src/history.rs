//! Load history as it is stored: packed chunks of columns, small enough to append to in every cycle.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::name::{DimensionKey, ResourceId};
use crate::series::{STEP_S, Series};

/// Shards of a platform's history. Fixed, so that a dimension never moves; enough that the hour of one shard of a
/// platform of 10,000 dimensions stays far below DynamoDB's 400 KB.
pub const SHARDS: u8 = 64;

/// The span of a chunk that is appended to.
pub const CHUNK_S: i64 = 3_600;

/// The pseudo-metric of the units that were ready.
pub const UNITS: &str = "#units";

/// Format of the packed form. Anything else is refused, not misread.
const FORMAT: u8 = 1;

/// One metric of one dimension: `web/desired|cpu`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Column(pub String);

impl Column {
    /// The column of a metric of a dimension.
    pub fn new(key: &DimensionKey, metric: &str) -> Column {
        Column(format!("{key}|{metric}"))
    }

    /// The column that marks, with ones, the values of this one that are only lower bounds: the load was at least that.
    pub fn saturated(&self) -> Column {
        Column(format!("{}|#saturated", self.0))
    }
}

/// The shard of a resource: FNV-1a of its id, so that it is the same in every build.
pub fn shard(resource: &ResourceId) -> u8 {
    let hash = resource.0.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    u8::try_from(hash % u64::from(SHARDS)).unwrap_or(0)
}

/// The start of the chunk that a time belongs to.
pub fn hour_of(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second().div_euclid(CHUNK_S) * CHUNK_S).unwrap_or(at)
}

/// Series of one shard over the same span.
#[derive(Clone, Debug, Default)]
pub struct Chunk(pub BTreeMap<Column, Series>);

/// Chunks are the same when they are packed the same: gaps are not numbers, and equal no other gap.
impl PartialEq for Chunk {
    fn eq(&self, other: &Chunk) -> bool {
        self.pack() == other.pack()
    }
}

/// Bytes that are not a chunk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAChunk {
    /// Written by another version.
    #[error("history format {found} is not {FORMAT}")]
    Format {
        /// The version found.
        found: u8,
    },
    /// Cut off or garbled.
    #[error("the chunk ends in the middle of column {column}")]
    Short {
        /// Columns read before it ended.
        column: usize,
    },
}

impl Chunk {
    /// Adds points to a column; where there is one already, the new one counts.
    pub fn add(&mut self, column: Column, step_s: u32, points: impl IntoIterator<Item = (Timestamp, f64)>) {
        let old = self.0.get(&column).map(points_of).unwrap_or_default();
        let series = Series::from_points(step_s, old.into_iter().chain(points));
        if !series.is_empty() {
            self.0.insert(column, series);
        }
    }

    /// The chunk in bytes: a format, then for every column its name, start, step and values as 32-bit floats, which
    /// hold seven digits: more than any metric has.
    pub fn pack(&self) -> Vec<u8> {
        let mut bytes = vec![FORMAT];
        for (column, series) in &self.0 {
            let name = column.0.as_bytes();
            let length = u16::try_from(name.len()).unwrap_or(u16::MAX);
            bytes.extend(length.to_le_bytes());
            bytes.extend(name.iter().take(usize::from(length)));
            bytes.extend(series.start().as_second().to_le_bytes());
            bytes.extend(series.step_s().to_le_bytes());
            let count = u16::try_from(series.len()).unwrap_or(u16::MAX);
            bytes.extend(count.to_le_bytes());
            series
                .values()
                .iter()
                .take(usize::from(count))
                .for_each(|value| bytes.extend(single(*value).to_le_bytes()));
        }
        bytes
    }

    /// The chunk from its bytes.
    ///
    /// # Errors
    /// For another format, and for bytes that are cut off.
    pub fn unpack(bytes: &[u8]) -> Result<Chunk, NotAChunk> {
        let (format, mut rest) = bytes.split_first().ok_or(NotAChunk::Short { column: 0 })?;
        if *format != FORMAT {
            return Err(NotAChunk::Format { found: *format });
        }
        let mut chunk = Chunk::default();
        while !rest.is_empty() {
            let short = NotAChunk::Short { column: chunk.0.len() };
            let (column, series) = column(&mut rest).ok_or(short)?;
            chunk.0.insert(column, series);
        }
        Ok(chunk)
    }
}

fn column(rest: &mut &[u8]) -> Option<(Column, Series)> {
    let length = u16::from_le_bytes(take(rest)?);
    let (name, after) = rest.split_at_checked(usize::from(length))?;
    *rest = after;
    let name = String::from_utf8(name.to_vec()).ok()?;
    let start = Timestamp::from_second(i64::from_le_bytes(take(rest)?)).ok()?;
    let step_s = u32::from_le_bytes(take(rest)?);
    let count = u16::from_le_bytes(take(rest)?);
    let values: Option<Vec<f64>> =
        (0..count).map(|_| Some(f64::from(f32::from_le_bytes(take(rest)?)))).collect();
    Some((Column(name), Series::new(start, step_s, values?.into_iter().map(Some))))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*head)
}

#[expect(clippy::as_conversions, reason = "rounding to seven digits is what the format is for")]
fn single(value: f64) -> f32 {
    value as f32
}

/// The known points of a series.
pub(crate) fn points_of(series: &Series) -> Vec<(Timestamp, f64)> {
    (0..series.len()).filter_map(|index| Some((series.time_of(index), series.get(index)?))).collect()
}

/// The series of a column on the grid of forecasts, from chunks in any order. Where two chunks know the same cell, the
/// finer one counts.
pub fn column_series(chunks: &[Chunk], column: &Column) -> Series {
    let mut found = learnable(chunks, column);
    found.sort_by_key(|series| std::cmp::Reverse(series.step_s()));
    Series::from_points(STEP_S, found.iter().flat_map(|series| points_of(&series.regrid(STEP_S))))
}

/// The series of a column without what nothing can be learned from: of values that are only lower bounds, those below the
/// line between the values around them. A lower bound above that line is the best that is known of the load.
fn learnable<'a>(chunks: &'a [Chunk], column: &Column) -> Vec<Cow<'a, Series>> {
    let bounds = misleading(chunks, column);
    let found = chunks.iter().filter_map(|chunk| chunk.0.get(column));
    let known = |series: &Series| {
        let value = |index| series.get(index).filter(|_| !bounds.contains(&series.time_of(index)));
        Series::new(series.start(), series.step_s(), (0..series.len()).map(value))
    };
    found
        .map(|series| if bounds.is_empty() { Cow::Borrowed(series) } else { Cow::Owned(known(series)) })
        .collect()
}

/// The times of lower bounds that tell less than the values around them.
fn misleading(chunks: &[Chunk], column: &Column) -> BTreeSet<Timestamp> {
    let marks = chunks.iter().filter_map(|chunk| chunk.0.get(&column.saturated())).flat_map(points_of);
    let marked: BTreeSet<Timestamp> = marks.filter(|(_, mark)| *mark == 1.0).map(|(at, _)| at).collect();
    if marked.is_empty() {
        return marked;
    }
    let minutes =
        chunks.iter().filter_map(|chunk| chunk.0.get(column)).filter(|series| series.step_s() <= MINUTE_S);
    let minutes: BTreeMap<Timestamp, f64> = minutes.flat_map(points_of).collect();
    let measured: BTreeMap<Timestamp, f64> =
        minutes.iter().filter(|(at, _)| !marked.contains(at)).map(|(at, value)| (*at, *value)).collect();
    let around = |at: Timestamp| {
        let (before, after) = (measured.range(..at).next_back(), measured.range(at..).next());
        match (before, after) {
            (Some((from, one)), Some((to, other))) => {
                let share = at.duration_since(*from).as_secs_f64() / to.duration_since(*from).as_secs_f64();
                Some(one + (other - one) * share)
            }
            (one, other) => one.or(other).map(|(_, value)| *value),
        }
    };
    let is = |at: &Timestamp| minutes.get(at).zip(around(*at)).is_some_and(|(bound, usual)| *bound < usual);
    marked.iter().filter(|at| is(at)).copied().collect()
}

/// The series of a column by the minute, where minutes are known of at least half of its last two weeks; else on the grid
/// of forecasts. What is known more coarsely is taken to have been even.
pub fn fine_series(chunks: &[Chunk], column: &Column) -> Series {
    let found = learnable(chunks, column);
    let coarse = column_series(chunks, column);
    let spread = (0..coarse.len()).filter_map(|index| Some((coarse.time_of(index), coarse.get(index)?)));
    let minutes = i64::from(STEP_S / MINUTE_S);
    let spread = spread.flat_map(|(at, value)| {
        (0..minutes).map(move |minute| (at + SignedDuration::from_secs(minute * i64::from(MINUTE_S)), value))
    });
    let native: Vec<(Timestamp, f64)> = found
        .into_iter()
        .filter(|series| series.step_s() <= MINUTE_S)
        .flat_map(|series| points_of(&series.regrid(MINUTE_S)))
        .collect();
    let from = coarse.end() - SignedDuration::from_hours(FINE_HOURS);
    let known = native.iter().filter(|(at, _)| from <= *at).count();
    let all = coarse.tail(FINE_STEPS).len() * usize::try_from(minutes).unwrap_or(1);
    if known * 2 < all {
        return coarse;
    }
    Series::from_points(MINUTE_S, spread.chain(native))
}

/// Two weeks: what decisions learn from.
const FINE_HOURS: i64 = 14 * 24;
const FINE_STEPS: usize = 14 * 24 * 12;
const MINUTE_S: u32 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn chunk() -> Chunk {
        let mut chunk = Chunk::default();
        chunk.add(Column("web/desired|cpu".into()), 60, [(at(3_600), 41.5), (at(3_720), 43.25)]);
        chunk.add(Column("web/desired|#units".into()), 300, [(at(3_600), 4.0)]);
        chunk
    }

    #[test]
    fn chunks_are_read_as_they_were_packed() {
        let bytes = chunk().pack();
        assert_eq!(Chunk::unpack(&bytes).unwrap().pack(), bytes);
        assert_eq!(Chunk::unpack(&bytes).unwrap().0[&Column("web/desired|cpu".into())].get(1), None);
        assert!(bytes.len() < 100, "{}", bytes.len());
    }

    #[test]
    fn what_is_not_a_chunk_is_refused() {
        let bytes = chunk().pack();
        assert_eq!(Chunk::unpack(&[9]), Err(NotAChunk::Format { found: 9 }));
        for length in (2..bytes.len()).filter(|length| *length != 39) {
            assert!(Chunk::unpack(&bytes[..length]).is_err(), "{length}");
        }
        assert!(Chunk::unpack(&[]).is_err());
    }

    #[test]
    fn points_that_come_late_or_twice_are_added_once() {
        let mut chunk = chunk();
        let column = Column("web/desired|cpu".into());
        chunk.add(column.clone(), 60, [(at(3_660), 42.0), (at(3_720), 44.0)]);
        assert_eq!(chunk.0[&column].known().collect::<Vec<_>>(), [41.5, 42.0, 44.0]);
    }

    #[test]
    fn the_finer_chunk_counts() {
        let column = Column("web/desired|cpu".into());
        let mut coarse = Chunk::default();
        coarse.add(column.clone(), 300, (0..24).map(|i| (at(i * 300), 10.0)));
        let mut fine = Chunk::default();
        fine.add(column.clone(), 60, (60..70).map(|i| (at(i * 60), 20.0)));
        let series = column_series(&[fine, coarse], &column);
        assert_eq!(
            (series.len(), series.get(11), series.get(12), series.get(13), series.get(14)),
            (24, Some(10.0), Some(20.0), Some(20.0), Some(10.0))
        );
    }

    #[test]
    fn minutes_count_where_most_are_known() {
        let column = Column("web/desired|cpu".into());
        let mut past = Chunk::default();
        past.add(column.clone(), 300, (0..10).map(|i| (at(i * 300), 10.0)));
        let mut live = Chunk::default();
        live.add(column.clone(), 60, (10..15).map(|i| (at(i * 60), 20.0)));
        assert_eq!(fine_series(&[past.clone(), live], &column).step_s(), 300);
        let mut live = Chunk::default();
        live.add(column.clone(), 60, (10..50).map(|i| (at(i * 60), 20.0)));
        let fine = fine_series(&[past, live], &column);
        assert_eq!((fine.step_s(), fine.len(), fine.get(9), fine.get(10)), (60, 50, Some(10.0), Some(20.0)));
    }

    #[test]
    fn shards_do_not_move() {
        assert_eq!(["web", "api", "users"].map(|name| shard(&name.into())), [49, 7, 51]);
    }
}
