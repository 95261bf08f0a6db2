//! Units for the lead window: as many as are worth their price.
//!
//! The newsvendor problem: one more unit lowers the chance that the load of the window is above what the units carry, and
//! has a price. The number of units with the lowest expected cost is chosen. Unlike a fixed quantile this buys more units
//! where each one lowers the chance a lot, and fewer where the last tenth of a percent would take very many.

use std::time::Duration;

use headroom_forecast::lead_window::LoadDistribution;

use crate::platform::Mode;
use crate::units::{Bounds, Ratio, Units};

/// How many units to have in a window, and the chance that its load is above what they carry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Worth {
    pub(super) units: Units,
    pub(super) chance: f64,
}

/// What the choice depends on besides the load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scales {
    /// The load that one unit carries.
    pub(super) per_unit: f64,
    /// The share of minutes that is aimed at to be short of units, from [`aimed_share`].
    pub(super) share: f64,
    /// How long ordered units take to become ready.
    pub(super) provisioning: Duration,
    pub(super) bounds: Bounds,
}

/// The objective that our own units must meet. Above a floor a native policy adds units by itself when a load lasts, so the
/// floor only has to carry what rises too fast for that policy: to meet the whole objective twice costs more than it helps.
pub(super) fn objective(objective: Ratio, mode: Mode) -> Ratio {
    /// The floor may be short so many times as often as the objective allows.
    const SHORT_TIMES: f64 = 12.0;
    /// And yet in no more than this share of the minutes, unless the objective itself allows more.
    const SHORT_MAX: f64 = 0.03;
    match mode {
        Mode::Desired => objective,
        Mode::Floor => {
            let allowed = 1.0 - objective.get();
            Ratio::clamped(1.0 - (allowed * SHORT_TIMES).min(SHORT_MAX).max(allowed))
        }
    }
}

/// What a window that is short of units costs, in windows of the capacity that its load usually needs.
///
/// A smaller share of them makes it dearer, by its square root only: loads rise far above their usual height often enough that
/// ten times fewer short windows cost much less than ten times as many idle units.
fn short_cost(share: f64) -> f64 {
    0.1 / share.sqrt()
}

/// The largest chance to be short that any window may have, whatever units cost.
///
/// It is above the share that is aimed at on average, because few windows come near it. The numbers were chosen on real traces,
/// for good supply at the cost of native scaling (docs/decisions/0012); the guide has a table of what they give.
fn chance_max(share: f64, provisioning: Duration) -> f64 {
    (1.75 * share.powf(0.75) * times_usual(provisioning)).min(0.5)
}

/// By how much the largest chance differs from that with a provisioning time of five minutes.
///
/// The longer units take, the further ahead the load has to be forecast, the less certain the forecast is, and the more units
/// the same chance takes. Native scaling costs the same however long units take, so the largest chance rises with the time:
/// in proportion to it with a minute added, and within what was measured, from one minute to fifteen.
fn times_usual(provisioning: Duration) -> f64 {
    const ALWAYS_S: f64 = 60.0;
    const USUAL_S: f64 = 360.0;
    ((provisioning.as_secs_f64() + ALWAYS_S) / USUAL_S).clamp(1.0 / 3.0, 2.2)
}

/// The share of minutes that is aimed at to be short: what an objective allows, made smaller by as much as real loads went
/// above what was expected of them, and moved by what the dimension itself had (`exponent` of its feedback).
///
/// A rise that no history knew comes more often than forecasts can say, and the stricter an objective, the more of the short
/// minutes are of that kind. The numbers were chosen on real traces, a third of them kept apart (docs/decisions/0020). Never
/// zero, which no capacity could promise.
pub(super) fn aimed_share(objective: Ratio, exponent: f64) -> f64 {
    /// The factor where one minute in a hundred may be short.
    const AT_99: f64 = 0.5;
    const POWER: f64 = 0.45;
    let allowed = 1.0 - objective.get();
    let factor = (AT_99 * (allowed / 0.01).powf(POWER)).min(1.0);
    (allowed * factor * exponent.exp()).clamp(1e-5, 0.5)
}

/// So many numbers of units are compared at most, at equal distances.
const WEIGHED_MAX: u32 = 256;

/// The number of units with the lowest expected cost: what they cost, and what being short costs by its chance.
pub(super) fn worth(load: &LoadDistribution, scales: &Scales) -> Worth {
    let at = |level: f64| Units::at_least(load.quantile(level) / scales.per_unit);
    let chance = |units: Units| load.chance_above(units.real() * scales.per_unit);
    let usual = at(0.5).real().max(1.0);
    let (least, most) =
        (at(1.0 - chance_max(scales.share, scales.provisioning)).max(Units(1)), at(1.0 - 1e-6));
    let cost = |units: Units| chance(units) * short_cost(scales.share) + units.real() / usual;
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

    const GUIDE: &str = include_str!("../../../../docs/guide.md");

    fn minutes(minutes: u64) -> Duration {
        Duration::from_secs(60 * minutes)
    }

    #[test]
    fn stricter_objectives_and_shorter_waits_leave_less_to_chance() {
        let share = |objective: f64| aimed_share(Ratio::clamped(objective), 0.0);
        let chance = |objective: f64, after: u64| chance_max(share(objective), minutes(after));
        assert!(chance(0.999, 5) < chance(0.99, 5) / 4.0);
        assert!(chance(0.999, 1) < chance(0.999, 5) && chance(0.999, 5) < chance(0.999, 15));
        assert_eq!((chance(0.999, 15), chance(0.999, 0)), (chance(0.999, 600), chance(0.999, 1)));
        assert!(chance(0.5, 15) <= 0.5 && 0.0 < chance(1.0, 1));
    }

    #[test]
    fn the_guide_has_the_numbers_of_the_code() {
        let row = |percent: &f64| {
            let asked = Ratio::clamped(percent / 100.0);
            let share = aimed_share(asked, 0.0);
            let chance = |after: u64| format!("{:.2} %", chance_max(share, minutes(after)) * 100.0);
            let (floor, cost) = (objective(asked, Mode::Floor).get() * 100.0, short_cost(share));
            let chances = [1, 5, 10, 15].map(chance).join(" | ");
            format!("   | {percent} | {chances} | {cost:.1} | {floor:.1} |\n")
        };
        let table: String = [99.99, 99.9, 99.5, 99.0, 95.0].iter().map(row).collect();
        assert!(GUIDE.contains(&table), "docs/guide.md must have these rows:\n\n{table}");
    }
}
