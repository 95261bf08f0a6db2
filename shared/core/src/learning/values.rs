//! How outcomes move the learned values: slowly, and within bounds around the file.

use std::time::Duration;

use jiff::Timestamp;

use crate::state::{CalibrationFigures, ConfidenceAdjustment, Provisioned, within_share};
use crate::units::DAY_S;

impl Provisioned {
    /// Shares of the way to a longer and to a shorter time, in logarithms. To be late costs more than to be early, so it
    /// rises faster than it falls; four times as long, seen once, is a third more.
    const RISE: f64 = 0.2;
    const FALL: f64 = 0.1;

    /// What is known after a scale-out that began at `at` took so long. One that is told twice counts once.
    #[must_use]
    pub fn after(known: Option<Provisioned>, guess: Duration, took_s: f64, at: Timestamp) -> Provisioned {
        let guess_s = guess.as_secs_f64().max(1.0);
        let known = known.unwrap_or(Provisioned { seconds: guess_s, seen: 0, at: Timestamp::MIN });
        if at <= known.at {
            return known;
        }
        let within = |seconds: f64| seconds.clamp(guess_s / Self::TIMES_MAX, guess_s * Self::TIMES_MAX);
        let (old, new) = (within(known.seconds).ln(), within(took_s).ln());
        let share = if old < new { Self::RISE } else { Self::FALL };
        // No more digits than say something: there is one for each resource in what is stored.
        let tenths = ((old + (new - old) * share).exp() * 10.0).round() / 10.0;
        let seconds = within(tenths);
        Provisioned { seconds, seen: known.seen.saturating_add(1), at }
    }
}

/// What a unit is planned to carry, after one carried `seen` and the latency guard held, or did not.
///
/// It rises towards what was carried well, and falls four times as fast towards what was not: a guard may be passed for
/// other reasons, but to be wrong that way is only dear.
pub(super) fn carried(planned: Option<f64>, file: f64, seen: f64, held: bool) -> f64 {
    const RISE: f64 = 0.05;
    const FALL: f64 = 0.2;
    let planned = within_share(planned.unwrap_or(file), file);
    let share = match held {
        true if planned < seen => RISE,
        false if seen < planned => FALL,
        _ => 0.0,
    };
    within_share(planned + (seen - planned) * share, file)
}

impl ConfidenceAdjustment {
    /// Ten good or bad days from one end to the middle.
    const STEP: f64 = 0.01;
    const EVERY_S: i64 = DAY_S;
    /// Below this many outcomes a share says little.
    const JUDGED_MIN: u32 = 24;
    /// As many outcomes within the 90 % band as there should be earn trust; far fewer cost it.
    const COVERAGE_GOOD: f64 = 0.9;
    const COVERAGE_BAD: f64 = 0.8;
    /// Moments short of capacity beyond which less may be taken away.
    const SHORT_MAX: f64 = 0.01;

    /// Once a day a step, by what the outcomes of the last days were.
    #[must_use]
    pub fn after(self, figures: &CalibrationFigures, now: Timestamp) -> ConfidenceAdjustment {
        let rests = self.at.is_some_and(|at| now.as_second() - at.as_second() < Self::EVERY_S);
        if rests || figures.judged < Self::JUDGED_MIN {
            return self;
        }
        let by_coverage = if Self::COVERAGE_GOOD <= figures.coverage {
            -Self::STEP
        } else if figures.coverage < Self::COVERAGE_BAD {
            Self::STEP
        } else {
            0.0
        };
        let inward = if Self::SHORT_MAX < figures.short { Self::STEP } else { by_coverage };
        let within = |value: f64| value.clamp(-Self::MOST, Self::MOST);
        ConfidenceAdjustment {
            out: within(self.out + by_coverage),
            inward: within(self.inward + inward),
            at: Some(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, prop, prop_assert, proptest};

    use super::*;

    const GUESS: Duration = Duration::from_secs(120);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn told(times: impl IntoIterator<Item = f64>) -> Provisioned {
        let after = |known, (index, took_s)| Some(Provisioned::after(known, GUESS, took_s, at(index)));
        (1_i64..).zip(times).fold(None, after).unwrap()
    }

    #[test]
    fn a_provisioning_time_is_found_and_an_outlier_is_not_believed() {
        let learned = told([300.0; 20]);
        assert!((290.0..=300.0).contains(&learned.seconds), "{learned:?}");
        assert!((60.0..70.0).contains(&told([60.0; 30]).seconds));
        let once = Provisioned::after(Some(learned), GUESS, 9_999.0, at(99));
        assert!(once.seconds < 1.15 * 300.0, "{once:?}");
        assert_eq!(Provisioned::after(Some(once), GUESS, 10.0, at(99)), once, "told twice");
        // The file may have changed since: its bounds are those that count.
        assert_eq!(learned.duration(Duration::from_secs(10)), Duration::from_secs(40));
    }

    #[test]
    fn what_a_unit_carries_follows_what_it_carried() {
        let told = |seen: f64, held: bool, times: usize| {
            (0..times).fold(None, |planned, _| Some(carried(planned, 100.0, seen, held))).unwrap()
        };
        assert_eq!(told(80.0, true, 9), 100.0, "less than planned says nothing");
        assert_eq!(told(130.0, false, 9), 100.0, "more than planned and too slow says nothing");
        assert!((105.0..111.0).contains(&told(115.0, true, 14)));
        assert!((90.0..91.0).contains(&told(90.0, false, 14)));
        assert_eq!(told(500.0, true, 99), 120.0);
        assert_eq!(told(10.0, false, 99), 80.0);
    }

    #[test]
    fn trust_is_earned_and_lost_a_step_a_day() {
        let good = CalibrationFigures { judged: 50, coverage: 0.93, ..CalibrationFigures::default() };
        let one = ConfidenceAdjustment::default().after(&good, at(0));
        assert_eq!((one.out, one.inward), (-0.01, -0.01));
        assert_eq!(one.after(&good, at(86_399)), one);
        let bad = CalibrationFigures { coverage: 0.5, ..good };
        assert_eq!(one.after(&bad, at(86_400)).out, 0.0);
        let short = CalibrationFigures { short: 0.05, ..good };
        let two = one.after(&short, at(86_400));
        assert_eq!((two.out, two.inward), (-0.02, 0.0));
        assert_eq!(
            ConfidenceAdjustment::default().after(&CalibrationFigures { judged: 3, ..good }, at(0)),
            ConfidenceAdjustment::default()
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

        #[test]
        fn bounds_hold_whatever_is_seen(
            times in prop::collection::vec(0.0..1e6, 1..50), held: bool, coverage in 0.0..1.0, short in 0.0..1.0,
        ) {
            let seconds = told(times.iter().copied()).seconds;
            prop_assert!((30.0 - 1e-9..=480.0 + 1e-9).contains(&seconds), "{seconds}");
            let planned = times.iter().fold(None, |planned, seen| Some(carried(planned, 100.0, *seen, held)));
            prop_assert!((80.0..=120.0).contains(&planned.unwrap()));
            let figures = CalibrationFigures { judged: 99, coverage, short, ..CalibrationFigures::default() };
            let days = (0_i64..).map(|day| at(day * 86_400)).take(times.len());
            let adjustment = days.fold(ConfidenceAdjustment::default(), |adjustment, at| adjustment.after(&figures, at));
            prop_assert!(adjustment.out.abs() <= ConfidenceAdjustment::MOST && adjustment.inward.abs() <= ConfidenceAdjustment::MOST);
        }
    }
}
