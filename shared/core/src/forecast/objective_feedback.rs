//! Whether a dimension keeps its objective, and how strictly it therefore aims at it.
//!
//! An integral controller, as in adaptive conformal inference (Gibbs and Candès 2021): each minute that was short of units
//! makes the share of short minutes that is aimed at smaller, and each minute that was not makes it a little larger, so
//! that in the long run the share comes to what the objective allows. It is a function of the history alone, so nothing is
//! stored, and a function that runs again comes to the same.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::collect::{UnitsOverTime, units_column};
use crate::history::{Chunk, Column, points_of};
use crate::platform::{Metric, Place};
use crate::series::Series;
use crate::units::Ratio;

/// So many minutes without a short one make the share that is aimed at e times as large: a week, because an objective is a
/// promise about weeks.
const MINUTES: f64 = 10_000.0;
/// The smallest and the largest exponent: shortfalls of one bad day are not paid for with idle units for weeks, and a quiet
/// month is no licence for a careless day.
const EXPONENT: (f64, f64) = (-2.0, 1.0);
/// Minutes further than so many cycles from a record of ready units are not known.
const CYCLES_APART: u32 = 3;

/// What the minutes of a dimension say about how strictly its objective has to be aimed at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ObjectiveFeedback {
    /// The natural logarithm of what the share of short minutes that is aimed at is multiplied by.
    pub exponent: f64,
    /// Minutes of which it is known whether the ready units carried the load.
    pub minutes: f64,
    /// Those in which they did not.
    pub short: f64,
}

impl ObjectiveFeedback {
    /// After so many more minutes, all of them short of units or none.
    #[must_use]
    pub fn after(self, objective: Ratio, minutes: f64, is_short: bool) -> ObjectiveFeedback {
        let allowed = (1.0 - objective.get()).max(1e-4);
        let short = if is_short { minutes } else { 0.0 };
        let exponent = self.exponent + (minutes - short / allowed) / MINUTES;
        ObjectiveFeedback {
            exponent: exponent.clamp(EXPONENT.0, EXPONENT.1),
            minutes: self.minutes + minutes,
            short: self.short + short,
        }
    }

    /// What the history of a metric says, of its loads from `since` on as far as they are known; `None` where none is.
    ///
    /// The smaller of the records of ready units around a minute counts, because it is not known when in between they became
    /// ready. A load that is only a lower bound was above what the units carry.
    pub fn of(
        chunks: &[Chunk],
        (place, metric): (Place<'_>, &Metric),
        (loads, since): (&Series, Timestamp),
        (objective, cycle): (Ratio, Duration),
    ) -> Option<ObjectiveFeedback> {
        let carried = metric.measure.carried_per_unit().filter(|_| metric.measure.is_foreseen())?;
        let records = |column: &Column| -> Vec<(Timestamp, f64)> {
            chunks.iter().filter_map(|chunk| chunk.0.get(column)).flat_map(points_of).collect()
        };
        let units = UnitsOverTime::new(records(&units_column(place)));
        let apart = cycle * CYCLES_APART;
        let is_short = |(at, load)| Some((at, units.least_within(at, apart)? * carried < load));
        let counts = |at: Timestamp| since <= at && at < loads.end();
        let mut known: Vec<(Timestamp, bool)> = points_of(loads).into_iter().filter_map(is_short).collect();
        let marks = records(&Column::new(&place.dimension.key, &metric.name).saturated());
        let bounds = marks.into_iter().filter(|(_, is)| *is == 1.0);
        known.extend(bounds.map(|(at, _)| (at, true)));
        known.retain(|(at, _)| counts(*at));
        // Of a minute that is there twice, that it was short counts.
        known.sort_unstable_by_key(|(at, is_short)| (*at, !is_short));
        known.dedup_by_key(|(at, _)| *at);
        let minutes = f64::from(loads.step_s()) / 60.0;
        let after = |feedback: ObjectiveFeedback, (_, is_short): &(Timestamp, bool)| {
            feedback.after(objective, minutes, *is_short)
        };
        (!known.is_empty()).then(|| known.iter().fold(ObjectiveFeedback::default(), after))
    }

    /// The share of the known minutes that had enough units; `None` where none is known.
    pub fn kept(&self) -> Option<Ratio> {
        (0.0 < self.minutes).then(|| Ratio::clamped(1.0 - self.short / self.minutes))
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::config::parse;

    const MINUTE: SignedDuration = SignedDuration::from_mins(1);

    fn objective(percent: f64) -> Ratio {
        Ratio::clamped(percent / 100.0)
    }

    /// After so many minutes in order, each short or not.
    fn after(percent: f64, minutes: impl IntoIterator<Item = bool>) -> ObjectiveFeedback {
        let next = |feedback: ObjectiveFeedback, is_short| feedback.after(objective(percent), 1.0, is_short);
        minutes.into_iter().fold(ObjectiveFeedback::default(), next)
    }

    #[test]
    fn who_keeps_exactly_what_is_promised_is_left_alone() {
        for (percent, every) in [(99.0, 100), (99.9, 1_000)] {
            let exactly = after(percent, (1..=every * 20).map(|minute| minute % every == 0));
            assert!(exactly.exponent.abs() < 1e-9, "{percent}: {exactly:?}");
            assert!((exactly.kept().unwrap().get() * 100.0 - percent).abs() < 1e-9, "{exactly:?}");
        }
    }

    #[test]
    fn short_minutes_count_at_once_and_kept_ones_slowly_both_within_bounds() {
        let day = 1_440;
        let one = after(99.9, [true]);
        assert!((-0.101..-0.099).contains(&one.exponent), "{one:?}");
        let made_up = after(99.9, std::iter::once(true).chain(std::iter::repeat_n(false, 999)));
        assert!(made_up.exponent.abs() < 1e-9, "{made_up:?}");
        assert!((0.14..0.15).contains(&after(99.9, std::iter::repeat_n(false, day)).exponent));
        assert_eq!(after(99.9, std::iter::repeat_n(false, 30 * day)).exponent, EXPONENT.1);
        let bad = after(99.9, std::iter::repeat_n(true, day));
        assert_eq!((bad.exponent, bad.kept()), (EXPONENT.0, Some(objective(0.0))));
        assert_eq!(ObjectiveFeedback::default().kept(), None);
    }

    fn at(minute: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + MINUTE * i32::try_from(minute).unwrap()
    }

    /// What the history of a service says that has these units recorded by the minute, these loads, and these lower bounds.
    fn of(units: &[(i64, f64)], loads: &[(i64, f64)], bounds: &[i64]) -> Option<ObjectiveFeedback> {
        since(0, units, loads, bounds)
    }

    /// The same, of the minutes from one on.
    fn since(
        first: i64,
        units: &[(i64, f64)],
        loads: &[(i64, f64)],
        bounds: &[i64],
    ) -> Option<ObjectiveFeedback> {
        let text = "configuration_name: shop
scaling_groups:
  web:
    resources:
      - {type: ECS_SERVICE, name: web, min_capacity: 1, max_capacity: 9, metrics: [{name: load, kind: load, target_per_unit: 10}]}
";
        let platform = parse(text).unwrap().platform;
        let place = platform.dimensions().next().unwrap();
        let metric = &place.dimension.metrics[0];
        let column = Column::new(&place.dimension.key, &metric.name);
        let points = |points: &[(i64, f64)]| -> Vec<(Timestamp, f64)> {
            points.iter().map(|(minute, value)| (at(*minute), *value)).collect()
        };
        let mut chunk = Chunk::default();
        chunk.add(units_column(place), 60, points(units));
        let marks: Vec<(i64, f64)> = bounds.iter().map(|minute| (*minute, 1.0)).collect();
        chunk.add(column.saturated(), 60, points(&marks));
        let loads = Series::from_points(60, points(loads));
        let promise = (objective(99.0), platform.orchestration.cycle);
        ObjectiveFeedback::of(&[chunk], (place, metric), (&loads, at(first)), promise)
    }

    #[test]
    fn a_minute_is_short_by_the_fewest_units_that_may_have_been_ready() {
        let units = [(0, 2.0), (5, 3.0), (10, 3.0)];
        let known = |loads: &[(i64, f64)], bounds: &[i64]| {
            of(&units, loads, bounds).map(|feedback| (feedback.minutes, feedback.short))
        };
        assert_eq!(known(&[(0, 20.0), (4, 21.0), (5, 30.0), (6, 31.0)], &[]), Some((4.0, 2.0)));
        assert_eq!(
            known(&[(1, 5.0), (2, 5.0)], &[2]),
            Some((2.0, 1.0)),
            "a lower bound was more than could be carried"
        );
        let of_phase = since(6, &units, &[(0, 99.0), (6, 30.0)], &[1]).unwrap();
        assert_eq!(
            (of_phase.minutes, of_phase.short),
            (1.0, 0.0),
            "what was before the phase does not count"
        );
        assert_eq!(known(&[(11, 5.0)], &[]), None, "no record of units comes after it");
        assert_eq!(known(&[], &[]), None);
        assert_eq!(
            of(&[(0, 2.0), (16, 2.0)], &[(3, 5.0)], &[]),
            None,
            "records that far apart say nothing of it"
        );
        assert!(of(&[(0, 2.0), (15, 2.0)], &[(3, 5.0)], &[]).is_some());
    }
}
