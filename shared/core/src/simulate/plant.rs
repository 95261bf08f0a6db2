//! A model of provisioning: ordered units are ready after a delay, removed ones leave at once.

use super::{Figures, mean, percent};
use crate::forecast::real;
use crate::units::{Bounds, Units};

/// What may go wrong with provisioning. The same seed gives the same chances.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Chances {
    /// The most by which a delay is longer or shorter, as a share of it.
    pub spread: f64,
    /// The share of orders that fail.
    pub failing: f64,
    /// What the chances are drawn from.
    pub seed: u64,
}

/// A load and what carries it.
#[derive(Clone, Debug)]
pub struct Plant {
    /// Load, one value a minute.
    pub load: Vec<f64>,
    /// The first minute that is scored.
    pub start: usize,
    /// Load that a unit should carry.
    pub target: f64,
    /// Load that a unit carries before the objective breaks.
    pub limit: f64,
    /// Minutes until an ordered unit is ready.
    pub delay: usize,
    /// Bounds of the capacity.
    pub bounds: Bounds,
    /// What a unit costs an hour.
    pub unit_cost: f64,
    /// What may go wrong.
    pub chances: Chances,
}

/// What a policy sees in a minute. Policies of ours see only what was measured before; native ones see this minute.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Which minute of the trace.
    pub minute: usize,
    /// Load over what the ready units should carry: one at the target.
    pub pressure: f64,
    /// Units ready.
    pub ready: u32,
    /// Units ready or on their way.
    pub ordered: u32,
}

/// Supply over the scored minutes, and how often it was changed.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Units ready, one a minute.
    pub supply: Vec<u32>,
    /// Changes made.
    pub moves: usize,
}

/// Units on their way.
struct Order {
    at: usize,
    units: u32,
    fails: bool,
}

impl Plant {
    /// Units needed for a load, at the limit.
    pub fn need(&self, load: f64) -> u32 {
        Units::at_least(load / self.limit).max(self.bounds.min()).0
    }

    /// Lets a policy run over the scored part.
    pub fn run(&self, policy: &mut dyn FnMut(&Moment) -> Option<u32>) -> Outcome {
        let load_at = |minute: usize| self.load.get(minute).copied().unwrap_or(0.0);
        let mut ready = self.bounds.clamp(Units::at_least(load_at(self.start) / self.target)).0;
        let mut orders: Vec<Order> = Vec::new();
        let mut outcome = Outcome::default();
        let mut chance = self.chances.seed;
        for minute in self.start..self.load.len() {
            ready += orders
                .iter()
                .filter(|order| order.at <= minute && !order.fails)
                .map(|order| order.units)
                .sum::<u32>();
            orders.retain(|order| minute < order.at);
            outcome.supply.push(ready);
            let ordered = ready + orders.iter().map(|order| order.units).sum::<u32>();
            let pressure = load_at(minute) / (Units(ready).real() * self.target).max(1e-9);
            let Some(wanted) = policy(&Moment { minute, pressure, ready, ordered }) else { continue };
            let wanted = self.bounds.clamp(Units(wanted)).0;
            if wanted == ordered {
                continue;
            }
            outcome.moves += 1;
            if ordered < wanted {
                orders.push(self.order(minute, wanted - ordered, &mut chance));
            } else {
                let left = cancel(&mut orders, ordered - wanted);
                ready = ready.saturating_sub(left).max(self.bounds.min().0);
            }
        }
        outcome
    }

    fn order(&self, minute: usize, units: u32, chance: &mut u64) -> Order {
        let factor = 1.0 + self.chances.spread * (2.0 * draw(chance) - 1.0);
        let delay = if self.chances.spread > 0.0 { Units::at_least(real(self.delay) * factor).0 } else { 0 };
        let delay =
            if self.chances.spread > 0.0 { usize::try_from(delay).unwrap_or(self.delay) } else { self.delay };
        Order { at: minute + delay.max(1), units, fails: draw(chance) < self.chances.failing }
    }

    /// The fewest units without a minute too few, knowing the future: the limit of cost.
    pub fn oracle(&self) -> Outcome {
        let scored = self.load.get(self.start..).unwrap_or_default();
        let supply: Vec<u32> =
            scored.iter().map(|load| self.bounds.clamp(Units(self.need(*load))).0).collect();
        let moves =
            supply.iter().zip(supply.iter().skip(1)).filter(|(before, after)| before != after).count();
        Outcome { supply, moves }
    }

    /// What a supply was worth.
    pub fn figures(&self, outcome: &Outcome) -> Figures {
        let scored = self.load.get(self.start..).unwrap_or_default();
        let count = scored.len().min(outcome.supply.len());
        let mut figures = Figures::default();
        let (mut total, mut cheapest, mut load_in_all) = (0.0, 0.0, 0.0);
        for (load, supply) in scored.iter().zip(&outcome.supply) {
            let (need, supply) = (f64::from(self.need(*load)), f64::from(*supply));
            figures.tau_u += f64::from(u8::from(supply < need));
            figures.tau_o += f64::from(u8::from(need < supply));
            figures.theta_u += (need - supply).max(0.0) / need;
            figures.theta_o += (supply - need).max(0.0) / need;
            figures.lost += (load - supply * self.limit).max(0.0);
            total += supply;
            cheapest += self.bounds.clamp(Units(self.need(*load))).real();
            load_in_all += load;
        }
        Figures {
            tau_u: 100.0 * mean(figures.tau_u, count),
            tau_o: 100.0 * mean(figures.tau_o, count),
            theta_u: 100.0 * mean(figures.theta_u, count),
            theta_o: 100.0 * mean(figures.theta_o, count),
            lost: percent(figures.lost, load_in_all),
            unit_hours: total / 60.0,
            cost: total / cheapest.max(1e-9),
            money: total / 60.0 * self.unit_cost,
            moves: mean(real(outcome.moves) * 1_440.0, count),
        }
    }
}

/// Takes units off orders, newest first; returns how many are left to take off what is ready.
fn cancel(orders: &mut Vec<Order>, mut drop: u32) -> u32 {
    while let Some(mut order) = orders.pop() {
        let taken = order.units.min(drop);
        drop -= taken;
        order.units -= taken;
        if 0 < order.units {
            orders.push(order);
            break;
        }
    }
    drop
}

/// A number between zero and one: SplitMix64 (Steele, Lea and Flood, 2014).
#[expect(clippy::as_conversions, reason = "53 bits fit a double")]
fn draw(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}
