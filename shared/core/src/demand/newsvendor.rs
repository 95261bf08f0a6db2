//! Units for the lead window: as many as are worth their price.
//!
//! A newsvendor's question: one more unit lowers the chance that the window's load is above what the units carry, and
//! costs what it costs. The fewest expected costs decide. Unlike a fixed quantile this buys much where a unit helps
//! much, in sharp and quiet windows, and does not chase the last tenth of a percent where hardly any number would do.

use std::time::Duration;

use headroom_forecast::lead_window::LoadDistribution;

use crate::platform::Mode;
use crate::units::{Bounds, Ratio, Units};

/// Units for a window, and the chance that its load is above what they carry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Worth {
    pub(super) units: Units,
    pub(super) chance: f64,
}

/// What matters when units are weighed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scales {
    /// What one unit carries.
    pub(super) per_unit: f64,
    pub(super) objective: Ratio,
    /// How long ordered units take to be ready.
    pub(super) provisioning: Duration,
    pub(super) bounds: Bounds,
}

/// The objective that our own units must hold. Above a floor a native policy adds units by itself whenever load lasts, so
/// the floor only has to hold what comes too fast for it; buying the whole objective twice costs more than it helps.
pub(super) fn objective(objective: Ratio, mode: Mode) -> Ratio {
    const SHARED: f64 = 12.0;
    const ALLOWED_MAX: f64 = 0.03;
    match mode {
        Mode::Desired => objective,
        Mode::Floor => {
            let own = 1.0 - objective.get();
            Ratio::clamped(1.0 - (own * SHARED).min(ALLOWED_MAX).max(own))
        }
    }
}

/// A window short of units costs so many times the capacity that it usually needs.
///
/// The stricter the objective, the dearer; by the root, because the tails of loads are heavy: ten times fewer short windows
/// cost far less than ten times the idle units.
fn short_cost(objective: Ratio) -> f64 {
    0.1 / allowed(objective).sqrt()
}

/// However dear units are, no window may be short with a higher chance than this.
///
/// It is above what the objective allows in all, since few windows come near it: with a provisioning time of five minutes
/// 1 % for 99.9 and 5.5 % for 99. The factors are those with which 99.9 % holds on real traces at the cost of native scaling.
fn chance_max(objective: Ratio, provisioning: Duration) -> f64 {
    (1.75 * allowed(objective).powf(0.75) * dearer(provisioning)).min(0.5)
}

/// How much dearer certainty is than with a provisioning time of five minutes.
///
/// The further ahead a load has to be foreseen, the less is known of it, and the more units the same certainty takes. What
/// native scaling pays does not rise with it, so the bound does: in proportion to the time that is looked ahead, within what
/// was measured, one to fifteen minutes. A minute ahead 99.9 % is what it says: 0.1 % of the time is short.
fn dearer(provisioning: Duration) -> f64 {
    const ALWAYS_S: f64 = 60.0;
    const USUAL_S: f64 = 360.0;
    ((provisioning.as_secs_f64() + ALWAYS_S) / USUAL_S).clamp(1.0 / 3.0, 2.2)
}

/// The share of windows that may be short; never none, which no capacity could promise.
fn allowed(objective: Ratio) -> f64 {
    (1.0 - objective.get()).max(1e-5)
}

/// Numbers of units weighed at most; between them steps are taken.
const WEIGHED_MAX: u32 = 256;

/// The units that cost the least, short and idle taken together.
pub(super) fn worth(load: &LoadDistribution, scales: &Scales) -> Worth {
    let at = |level: f64| Units::at_least(load.quantile(level) / scales.per_unit);
    let chance = |units: Units| load.chance_above(units.real() * scales.per_unit);
    let usual = at(0.5).real().max(1.0);
    let (least, most) =
        (at(1.0 - chance_max(scales.objective, scales.provisioning)).max(Units(1)), at(1.0 - 1e-6));
    let cost = |units: Units| chance(units) * short_cost(scales.objective) + units.real() / usual;
    let step = ((most.0.saturating_sub(least.0)) / WEIGHED_MAX).max(1);
    let cheapest = (0..=WEIGHED_MAX)
        .map(|index| Units(least.0.saturating_add(index.saturating_mul(step))))
        .take_while(|units| *units <= most.max(least))
        .min_by(|a, b| cost(*a).total_cmp(&cost(*b)));
    let units = cheapest.unwrap_or(least).max(scales.bounds.min());
    Worth { units, chance: chance(units) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stricter_objectives_and_shorter_waits_leave_less_to_chance() {
        let chance = |objective: f64, minutes: u64| {
            chance_max(Ratio::clamped(objective), Duration::from_secs(60 * minutes))
        };
        assert!(chance(0.999, 5) < chance(0.99, 5) / 4.0);
        assert!(chance(0.999, 1) < chance(0.999, 5) && chance(0.999, 5) < chance(0.999, 15));
        assert_eq!((chance(0.999, 15), chance(0.999, 0)), (chance(0.999, 600), chance(0.999, 1)));
        assert!(chance(0.5, 15) <= 0.5 && 0.0 < chance(1.0, 1));
    }

    #[test]
    fn the_guide_tells_the_bounds_that_are_built() {
        const GUIDE: &str = include_str!("../../../../docs/guide.md");
        for objective in [99.0, 99.9, 99.95] {
            let bounds = [60, 300, 900].map(|provisioning_s| {
                let chance =
                    chance_max(Ratio::clamped(objective / 100.0), Duration::from_secs(provisioning_s));
                format!("{:.1} %", chance * 100.0)
            });
            let row = format!("| {objective} | {} |", bounds.join(" | "));
            assert!(GUIDE.contains(&row), "docs/guide.md must say {row}");
        }
    }
}
