//! Small statistics that several modules share.

/// The quantile of sorted values at `level`, interpolated between neighbours; zero without values.
pub fn quantile(sorted: &[f64], level: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = level.clamp(0.0, 1.0) * real(last);
    let below = (0..last).rev().find(|index| real(*index) <= place).unwrap_or(0);
    let (low, high) = (value(sorted, below), value(sorted, (below + 1).min(last)));
    low + (high - low) * (place - real(below)).clamp(0.0, 1.0)
}

/// The median of sorted values, of which there must be at least one.
pub(crate) fn median(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        value(sorted, half)
    } else {
        f64::midpoint(value(sorted, half.wrapping_sub(1)), value(sorted, half))
    }
}

fn value(values: &[f64], index: usize) -> f64 {
    values.get(index).copied().unwrap_or(0.0)
}

/// A count as a real number. Counts are lengths of series, far below where this would lose digits.
pub fn real(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_on_the_line_between_points() {
        let sorted = [0.0, 10.0, 20.0, 30.0, 40.0];
        for (level, expected) in [(0.0, 0.0), (0.5, 20.0), (0.9, 36.0), (1.0, 40.0)] {
            assert_eq!(quantile(&sorted, level), expected);
        }
        assert_eq!(quantile(&[], 0.5), 0.0);
        assert_eq!(quantile(&[7.0], 0.9), 7.0);
    }
}
