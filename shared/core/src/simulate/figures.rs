//! Figures of how well and how cheaply a tier was supplied, and a platform, which serves only as well as its worst tier.

use headroom_forecast::statistics::real;
use serde::Serialize;

use super::capacity_model::{CapacityModel, SupplyRun};
use crate::units::Direction;

/// What a policy supplied and cost. Shares are percent of minutes or of load; `tau` and `theta` are those of SPEC RG,
/// "Ready for Rain?" (2016): time share and mean amount of too little or too much.
///
/// Of a platform, the worst tier of each minute counts for what is too little, and the mean of the tiers for what is too
/// much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Percent of minutes with too few units.
    pub tau_u: f64,
    /// Percent of minutes with more units than needed.
    pub tau_o: f64,
    /// Mean percent of units that were missing.
    pub theta_u: f64,
    /// Mean percent of units that were too many.
    pub theta_o: f64,
    /// Percent of the load above what the ready units carry.
    pub lost: f64,
    /// Unit-hours.
    pub unit_hours: f64,
    /// Unit-hours divided by those of the oracle; for several tiers, cost divided by the oracle's cost where units have a price.
    pub cost: f64,
    /// What the unit-hours cost, in the budget's currency.
    pub money: f64,
    /// Changes a day.
    pub moves: f64,
}

/// Figures that exist only for several tiers together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Together {
    /// Changes in the wrong order: a tier grew while a tier that it depends on waited for units, or shrank while a tier that
    /// depends on it did.
    pub order_violations: usize,
    /// How often the tier with the largest shortage changed.
    pub bottleneck_shifts: usize,
}

/// A tier with what a policy made of it.
pub(super) type Served<'a> = (&'a CapacityModel, &'a SupplyRun);

/// One minute of one tier.
struct Minute {
    need: f64,
    supply: f64,
    lost: f64,
    load: f64,
}

impl Minute {
    fn missing(&self) -> f64 {
        (self.need - self.supply).max(0.0) / self.need.max(1.0)
    }

    fn spare(&self) -> f64 {
        (self.supply - self.need).max(0.0) / self.need.max(1.0)
    }

    /// The share of the load that was lost.
    fn share_lost(&self) -> f64 {
        if self.load > 0.0 { self.lost / self.load } else { 0.0 }
    }
}

fn minutes((model, outcome): Served<'_>) -> impl Iterator<Item = Minute> {
    model.scored().iter().zip(&outcome.supply).map(|(load, supply)| {
        let (need, supply) = (f64::from(model.need(*load)), f64::from(*supply));
        Minute { need, supply, lost: (load - supply * model.limit).max(0.0), load: *load }
    })
}

/// The figures of one tier.
pub(super) fn of_tier(served: Served<'_>) -> Figures {
    let (model, outcome) = served;
    let mut figures = Figures::default();
    let (mut total, mut cheapest, mut load, mut count) = (0.0, 0.0, 0.0, 0_usize);
    for minute in minutes(served) {
        figures.tau_u += f64::from(u8::from(minute.supply < minute.need));
        figures.tau_o += f64::from(u8::from(minute.need < minute.supply));
        figures.theta_u += minute.missing();
        figures.theta_o += minute.spare();
        figures.lost += minute.lost;
        total += minute.supply;
        cheapest += minute.need.min(model.bounds.max().real());
        load += minute.load;
        count += 1;
    }
    Figures {
        tau_u: 100.0 * mean(figures.tau_u, count),
        tau_o: 100.0 * mean(figures.tau_o, count),
        theta_u: 100.0 * mean(figures.theta_u, count),
        theta_o: 100.0 * mean(figures.theta_o, count),
        lost: percent(figures.lost, load),
        unit_hours: total / 60.0,
        cost: total / f64::max(cheapest, 1e-9),
        money: total / 60.0 * model.unit_cost,
        moves: mean(real(outcome.moves.len()) * 1_440.0, count),
    }
}

/// The figures of several tiers together, given those of each; of one tier, its own.
pub(super) fn of_platform(tiers: &[Served<'_>], each: &[Figures]) -> Figures {
    if let ([only], 1) = (each, tiers.len()) {
        return *only;
    }
    let columns: Vec<Vec<Minute>> = tiers.iter().map(|tier| minutes(*tier).collect()).collect();
    let loads: Vec<f64> =
        columns.iter().map(|column| column.iter().map(|minute| minute.load).sum::<f64>().max(1e-9)).collect();
    let count = columns.iter().map(Vec::len).min().unwrap_or(0);
    let mut worst = Figures::default();
    for index in 0..count {
        let row = || columns.iter().filter_map(move |column| column.get(index));
        let most = |of: fn(&Minute) -> f64| row().map(of).fold(0.0, f64::max);
        let short = most(Minute::missing);
        worst.tau_u += f64::from(u8::from(0.0 < short));
        worst.tau_o += f64::from(u8::from(row().all(|minute| minute.need < minute.supply)));
        worst.theta_u += short;
        // What one tier loses, the platform loses. A minute counts by its share of the whole load.
        let weight = row().zip(&loads).map(|(minute, whole)| minute.load / whole).sum::<f64>();
        worst.lost += most(Minute::share_lost) * weight / real(tiers.len());
    }
    let sum = |of: fn(&Figures) -> f64| each.iter().map(of).sum::<f64>();
    let priced = 0.0 < sum(|figures| figures.money);
    let spent = |figures: &Figures| if priced { figures.money } else { figures.unit_hours };
    let least = each.iter().map(|figures| spent(figures) / figures.cost.max(1e-9)).sum::<f64>();
    Figures {
        tau_u: 100.0 * mean(worst.tau_u, count),
        tau_o: 100.0 * mean(worst.tau_o, count),
        theta_u: 100.0 * mean(worst.theta_u, count),
        theta_o: mean(sum(|figures| figures.theta_o), each.len()),
        lost: 100.0 * worst.lost,
        unit_hours: sum(|figures| figures.unit_hours),
        cost: each.iter().map(spent).sum::<f64>() / least.max(1e-9),
        money: sum(|figures| figures.money),
        moves: sum(|figures| figures.moves),
    }
}

/// How the tiers affected each other. An edge leads from a tier to one that it depends on.
pub(super) fn together(tiers: &[Served<'_>], edges: &[(usize, usize)]) -> Together {
    let against = |mover: usize, other: usize, direction: Direction| {
        let (Some((_, mover)), Some((_, other))) = (tiers.get(mover), tiers.get(other)) else { return 0 };
        let waits = |minute: usize| {
            // Units that are ordered in the same minute come before a scale-out and after a scale-in.
            let since = other.waiting.get(minute).copied().flatten();
            since.is_some_and(|since| direction == Direction::Out || since < minute)
        };
        mover.moves.iter().filter(|made| made.direction == direction && waits(made.minute)).count()
    };
    let violations = edges.iter().map(|(source, target)| {
        against(*source, *target, Direction::Out) + against(*target, *source, Direction::In)
    });
    Together { order_violations: violations.sum(), bottleneck_shifts: shifts(tiers) }
}

/// How often the tier with the largest shortage changed.
fn shifts(tiers: &[Served<'_>]) -> usize {
    let columns: Vec<Vec<f64>> =
        tiers.iter().map(|tier| minutes(*tier).map(|minute| minute.missing()).collect()).collect();
    let count = columns.iter().map(Vec::len).min().unwrap_or(0);
    let (mut narrowest, mut shifts) = (None, 0);
    for index in 0..count {
        let row = columns.iter().map(|column| column.get(index).copied().unwrap_or(0.0)).enumerate();
        let short = row.filter(|(_, missing)| 0.0 < *missing).max_by(|(_, a), (_, b)| a.total_cmp(b));
        let Some((tier, _)) = short else { continue };
        shifts += usize::from(narrowest.is_some_and(|before| before != tier));
        narrowest = Some(tier);
    }
    shifts
}

/// Percent that a part is of a whole.
fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { 100.0 * part / whole } else { 0.0 }
}

/// Mean of a sum over a count.
fn mean(sum: f64, count: usize) -> f64 {
    if count == 0 { 0.0 } else { sum / real(count) }
}
