//! A model of provisioning: ordered units are ready after a delay, removed ones leave at once.

use headroom_forecast::statistics::real;

use crate::chance::Chance;
use crate::units::{Bounds, Direction, Units};

/// What may go wrong with provisioning. The same seed gives the same delays and failures.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Chances {
    /// The most by which a delay is longer or shorter, as a share of it.
    pub spread: f64,
    /// The share of orders that fail.
    pub failing: f64,
    /// The seed of the random numbers.
    pub seed: u64,
}

/// A load over time, and the resource that serves it.
#[derive(Clone, Debug)]
pub struct CapacityModel {
    /// Load, one value a minute.
    pub load: Vec<f64>,
    /// The first minute that is scored.
    pub start: usize,
    /// Load that a unit should carry.
    pub target: f64,
    /// The largest load that a unit carries while the objective is met.
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

/// What a policy sees in a minute. Headroom's own policy sees only what was measured before; native policies see this minute.
#[derive(Clone, Copy, Debug)]
pub struct PolicyView {
    /// Which minute of the trace.
    pub minute: usize,
    /// Load divided by what the ready units should carry: 1 when they are exactly at their target.
    pub pressure: f64,
    /// Units ready.
    pub ready: u32,
    /// Units ready or on their way.
    pub ordered: u32,
}

/// Supply over the scored minutes, and how it was changed.
#[derive(Clone, Debug, Default)]
pub struct SupplyRun {
    /// Units ready, one a minute.
    pub supply: Vec<u32>,
    /// For each minute, when the oldest order was made that was not ready at its end, in minutes since the scored part began;
    /// `None` where nothing was on order.
    pub waiting: Vec<Option<usize>>,
    /// Changes made.
    pub moves: Vec<Move>,
}

/// A change of what is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// Minutes since the scored part began.
    pub minute: usize,
    /// Out or in.
    pub direction: Direction,
}

/// Units on their way.
#[derive(Clone, Copy, Debug)]
struct Order {
    made: usize,
    at: usize,
    units: u32,
    fails: bool,
}

impl CapacityModel {
    /// Units needed for a load, at the limit.
    pub fn need(&self, load: f64) -> u32 {
        Units::at_least(load / self.limit).max(self.bounds.min()).0
    }

    /// The loads that are scored.
    pub fn scored(&self) -> &[f64] {
        self.load.get(self.start..).unwrap_or_default()
    }

    /// Lets a policy run over the scored part.
    pub fn run(&self, policy: &mut dyn FnMut(&PolicyView) -> Option<u32>) -> SupplyRun {
        let mut supply = Supply::new(self);
        for minute in self.start..self.load.len() {
            let moment = supply.begin(minute);
            if let Some(wanted) = policy(&moment) {
                supply.ask(minute, wanted);
            }
            supply.end();
        }
        supply.outcome
    }

    /// The fewest units that are never too few, chosen with knowledge of the future: no policy can cost less and serve as well.
    pub fn oracle(&self) -> SupplyRun {
        let need = |load: &f64| self.bounds.clamp(Units(self.need(*load)));
        let supply: Vec<Units> = self.scored().iter().map(need).collect();
        let pairs = supply.iter().zip(supply.iter().skip(1)).enumerate();
        let moves = pairs
            .filter(|(_, (before, after))| before != after)
            .map(|(minute, (before, after))| Move { minute, direction: Direction::of(*before, *after) })
            .collect();
        let waiting = vec![None; supply.len()];
        SupplyRun { supply: supply.into_iter().map(|units| units.0).collect(), waiting, moves }
    }

    fn load_at(&self, minute: usize) -> f64 {
        self.load.get(minute).copied().unwrap_or(0.0)
    }
}

/// Capacity that a policy moves, minute by minute.
#[derive(Clone, Debug)]
pub struct Supply<'a> {
    model: &'a CapacityModel,
    ready: u32,
    orders: Vec<Order>,
    chance: Chance,
    /// The supply and the changes so far.
    pub outcome: SupplyRun,
}

impl<'a> Supply<'a> {
    /// Starts with what the first minute should have.
    pub fn new(model: &'a CapacityModel) -> Supply<'a> {
        let first = Units::at_least(model.load_at(model.start) / model.target);
        Supply {
            model,
            ready: model.bounds.clamp(first).0,
            orders: Vec::new(),
            chance: Chance::new(model.chances.seed),
            outcome: SupplyRun::default(),
        }
    }

    /// What is due by this minute becomes ready; what a policy may see of it.
    pub fn begin(&mut self, minute: usize) -> PolicyView {
        let due = self.orders.iter().filter(|order| order.at <= minute && !order.fails);
        self.ready += due.map(|order| order.units).sum::<u32>();
        self.orders.retain(|order| minute < order.at);
        self.outcome.supply.push(self.ready);
        let should = Units(self.ready).real() * self.model.target;
        let pressure = self.model.load_at(minute) / should.max(1e-9);
        PolicyView { minute, pressure, ready: self.ready, ordered: self.ordered() }
    }

    /// The minute is over.
    pub fn end(&mut self) {
        self.outcome.waiting.push(self.orders.iter().map(|order| order.made).min());
    }

    /// Units that serve.
    pub fn ready(&self) -> u32 {
        self.ready
    }

    /// Units that serve or are on their way.
    pub fn ordered(&self) -> u32 {
        self.ready + self.orders.iter().map(|order| order.units).sum::<u32>()
    }

    /// Asks for so many units, within the bounds: what is missing is ordered, what is too much leaves.
    pub fn ask(&mut self, minute: usize, wanted: u32) {
        let (ordered, wanted) = (self.ordered(), self.model.bounds.clamp(Units(wanted)).0);
        if wanted == ordered {
            return;
        }
        let direction = Direction::of(Units(ordered), Units(wanted));
        self.outcome.moves.push(Move { minute: minute - self.model.start, direction });
        if ordered < wanted {
            let order = self.order(minute, wanted - ordered);
            self.orders.push(order);
        } else {
            let left = cancel(&mut self.orders, ordered - wanted);
            self.ready = self.ready.saturating_sub(left).max(self.model.bounds.min().0);
        }
    }

    fn order(&mut self, minute: usize, units: u32) -> Order {
        let chances = self.model.chances;
        let delay = real(self.model.delay);
        let longer = delay * chances.spread * (2.0 * self.chance.share() - 1.0);
        let minutes = usize::try_from(Units::at_least(delay + longer).0).unwrap_or(self.model.delay);
        Order {
            made: minute - self.model.start,
            at: minute + minutes.max(1),
            units,
            fails: self.chance.share() < chances.failing,
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
