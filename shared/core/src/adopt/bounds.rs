//! Bounds that are proposed for a capacity: those that AWS has for it, else a guess that says so.

use super::inventory::FoundCapacity;

/// Where nothing bounds a capacity, it may become so many times what it is: enough to see in phase `observe` what would be
/// wanted, and to be corrected before anything is changed.
const GUESSED_TIMES_MAX: f64 = 4.0;
/// And so small a part of what it is.
const GUESSED_SHARE_MIN: f64 = 0.5;

/// Proposed bounds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Proposed {
    pub(super) min: f64,
    pub(super) max: f64,
    /// Where they are from.
    pub(super) from: String,
}

/// Bounds of a capacity, which is never below `least`: at 0 a utilisation says nothing, and nothing would bring the units back.
pub(super) fn propose(capacity: &FoundCapacity, least: f64) -> Proposed {
    let Some((min, max, from)) = &capacity.bounds else { return guess(capacity, least) };
    let raised = min.max(least);
    let from = if *min < raised {
        format!("bounds of {from}, which has less as its smallest: a utilisation says nothing of none")
    } else {
        format!("bounds of {from}")
    };
    Proposed { min: raised, max: capped(capacity, *max).max(raised), from }
}

fn guess(capacity: &FoundCapacity, least: f64) -> Proposed {
    let now = capacity.now.max(least);
    let min = (now * GUESSED_SHARE_MIN).floor().max(least.max(1.0)).min(now.max(1.0));
    let max = capped(capacity, (now * GUESSED_TIMES_MAX).ceil().max(2.0));
    Proposed { min: min.min(max), max, from: "a guess: nothing in AWS bounds it".to_owned() }
}

fn capped(capacity: &FoundCapacity, max: f64) -> f64 {
    capacity.most.map_or(max, |most| max.min(most))
}

#[cfg(test)]
mod tests {
    use super::super::inventory::CapacityKey;
    use super::*;

    fn check(now: f64, bounds: Option<(f64, f64)>, most: Option<f64>, expected: (f64, f64)) {
        let bounds = bounds.map(|(min, max)| (min, max, "the group".to_owned()));
        let capacity = FoundCapacity { at: CapacityKey::Plain, unit: "instances", now, bounds, most };
        let proposed = propose(&capacity, 1.0);
        assert_eq!((proposed.min, proposed.max), expected, "{capacity:?}");
    }

    #[test]
    fn bounds_of_aws_are_kept_and_others_are_guessed_around_what_there_is() {
        check(3.0, Some((2.0, 12.0)), None, (2.0, 12.0));
        check(0.0, Some((0.0, 12.0)), None, (1.0, 12.0));
        check(0.0, Some((0.0, 0.0)), None, (1.0, 1.0));
        check(6.0, None, None, (3.0, 24.0));
        check(1.0, None, None, (1.0, 4.0));
        check(0.0, None, None, (1.0, 4.0));
        check(4.0, None, Some(5.0), (2.0, 5.0));
        check(3.0, Some((1.0, 20.0)), Some(15.0), (1.0, 15.0));
    }

    #[test]
    fn a_reader_is_told_where_they_are_from() {
        let capacity = FoundCapacity::new(CapacityKey::Plain, "instances", 2.0);
        assert_eq!(propose(&capacity, 1.0).from, "a guess: nothing in AWS bounds it");
        let bounds = Some((0.0, 4.0, "its scalable target".to_owned()));
        let told = propose(&FoundCapacity { bounds, ..capacity }, 1.0).from;
        assert!(told.contains("its scalable target, which has less"), "{told}");
    }
}
