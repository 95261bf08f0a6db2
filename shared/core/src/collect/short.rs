//! In how many minutes a dimension had too few units.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::UnitsOverTime;
use crate::platform::Metric;

/// Minutes of the last cycle in which something is known, and whether any metric was above what the ready units carry.
#[derive(Debug, Default)]
pub(super) struct ShortMinutes(BTreeMap<Timestamp, bool>);

impl ShortMinutes {
    /// Adds what a metric that counts or uses work says of the minutes from `from` on.
    pub(super) fn add(
        &mut self,
        metric: &Metric,
        loads: &[(Timestamp, f64)],
        units: &UnitsOverTime,
        from: Timestamp,
    ) {
        let carried = metric.measure.carried_per_unit().filter(|_| metric.measure.is_foreseen());
        let Some(carried) = carried else { return };
        for (at, load) in loads.iter().filter(|(at, _)| from <= *at) {
            // The larger record around the minute: it is not known when in it the units became ready.
            let Some(units) = units.at(*at) else { continue };
            *self.0.entry(*at).or_default() |= units * carried < *load;
        }
    }

    /// How many minutes were short; `None` where no minute is known.
    pub(super) fn count(&self) -> Option<u32> {
        let short = self.0.values().filter(|is_short| **is_short).count();
        (!self.0.is_empty()).then(|| u32::try_from(short).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::Measure;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).unwrap()
    }

    fn metric(measure: Measure) -> Metric {
        Metric { name: "it".into(), measure, query: None }
    }

    /// Four units before the fifth minute, eight from then on.
    fn count(measures: &[(Measure, &[f64])], from: i64) -> Option<u32> {
        let units = UnitsOverTime::new([(at(0), 4.0), (at(4), 4.0), (at(5), 8.0), (at(20), 8.0)]);
        let mut short = ShortMinutes::default();
        for (measure, loads) in measures {
            let loads: Vec<(Timestamp, f64)> = (0..).map(at).zip(loads.iter().copied()).collect();
            short.add(&metric(measure.clone()), &loads, &units, at(from));
        }
        short.count()
    }

    #[test]
    fn a_minute_is_short_when_any_load_is_above_what_the_ready_units_carry() {
        let requests = |limit| Measure::Load { target_per_unit: 10.0, limit_per_unit: limit };
        let loads = [40.0, 41.0, 41.0, 50.0, 81.0, 80.0, 90.0];
        assert_eq!(
            count(&[(requests(None), &loads)], 0),
            Some(5),
            "the minute of the change has the larger units"
        );
        assert_eq!(count(&[(requests(Some(12.0)), &loads)], 0), Some(1));
        assert_eq!(count(&[(requests(None), &loads)], 5), Some(1), "only the last cycle counts");
        let cpu = Measure::Utilization { target: 70.0, limit: 100.0 };
        let busy = [300.0, 100.0];
        assert_eq!(
            count(&[(requests(None), &loads), (cpu.clone(), &busy)], 0),
            Some(6),
            "any metric makes it short, once"
        );
        assert_eq!(count(&[(cpu, &[300.0])], 0), Some(1));
    }

    #[test]
    fn what_is_not_known_is_not_zero() {
        assert_eq!(count(&[], 0), None);
        assert_eq!(count(&[(Measure::Latency { limit: 1.0 }, &[9.0])], 0), None);
    }
}
