//! Other policies to compare with: static capacity, HPA, target tracking, step scaling, AWS predictive scaling.
//!
//! Each follows its documented behaviour; the forecaster of AWS predictive scaling is not public, so the name says which
//! one stands in for it.

use std::collections::{BTreeMap, VecDeque};

use headroom_forecast::statistics::{quantile, real};

use super::capacity_model::{CapacityModel, PolicyView};
use crate::series::Series;
use crate::units::Units;

/// A policy: units wanted, or nothing to change.
pub type Policy<'a> = Box<dyn FnMut(&PolicyView) -> Option<u32> + 'a>;

/// A policy with its name.
pub struct Peer<'a> {
    /// As it is told to people.
    pub name: String,
    /// What it does.
    pub policy: Policy<'a>,
}

/// How many there are.
pub(super) const COUNT: usize = 7;

/// Every peer.
pub(super) fn all<'a>(model: &CapacityModel, load: &Series) -> [Peer<'a>; COUNT] {
    let needs = |loads: &[f64]| loads.iter().map(|load| f64::from(model.need(*load))).collect::<Vec<_>>();
    let peak = needs(&model.load).into_iter().fold(0.0, f64::max);
    let mut past = needs(model.load.get(..model.start).unwrap_or_default());
    past.sort_by(f64::total_cmp);
    let p95 = quantile(&past, 0.95).floor();
    let hours = Hours::of(model, load);
    let week = 8 * super::DAY < model.start;
    let peer = |name: &str, policy| Peer { name: name.into(), policy };
    [
        peer("static peak", fixed(peak)),
        peer("static p95", fixed(p95)),
        peer("HPA", Box::new(hpa())),
        peer("target tracking", Box::new(target_tracking())),
        peer("step scaling", Box::new(step_scaling())),
        peer(
            "AWS predictive (seasonal naive)",
            Box::new(aws_predictive(model, hours.clone(), Forecaster::Seasonal(if week { 168 } else { 24 }))),
        ),
        peer(
            "AWS predictive (oracle forecaster)",
            Box::new(aws_predictive(model, hours, Forecaster::Oracle)),
        ),
    ]
}

fn fixed<'a>(units: f64) -> Policy<'a> {
    Box::new(move |_| Some(Units::at_least(units).0))
}

/// Kubernetes' horizontal pod autoscaler: proportional within 10 %, down to the largest of the last five minutes, up by 4
/// units or 100 %.
pub fn hpa() -> impl FnMut(&PolicyView) -> Option<u32> {
    const TOLERANCE: f64 = 0.1;
    const WINDOW: usize = 5;
    let mut wanted: VecDeque<(usize, u32)> = VecDeque::new();
    move |moment| {
        let have = moment.ordered;
        let near = (moment.pressure - 1.0).abs() <= TOLERANCE;
        let want = if near { have } else { ceiling(f64::from(moment.ready) * moment.pressure) };
        let want = want.min((2 * have).max(have + 4));
        wanted.push_back((moment.minute, want));
        while wanted.front().is_some_and(|(at, _)| at + WINDOW < moment.minute) {
            wanted.pop_front();
        }
        let largest = wanted.iter().map(|(_, units)| *units).max().unwrap_or(want);
        Some(if want < have { want.max(largest) } else { want })
    }
}

/// Target tracking: scales out after three minutes above the target and in after fifteen minutes below 90 % of it. It sees each
/// minute one minute late.
pub fn target_tracking() -> impl FnMut(&PolicyView) -> Option<u32> {
    const UP: usize = 3;
    const DOWN: usize = 15;
    const LAG: usize = 1;
    const COOLDOWN: usize = 5;
    let mut seen: VecDeque<(f64, u32)> = VecDeque::new();
    let mut changed: Option<usize> = None;
    move |moment| {
        seen.push_back((moment.pressure, moment.ready));
        if seen.len() <= DOWN + LAG {
            return None;
        }
        if DOWN + LAG + 1 < seen.len() {
            seen.pop_front();
        }
        let known: Vec<f64> = seen.iter().take(seen.len() - LAG).map(|(pressure, _)| *pressure).collect();
        let newest = known.last().copied().unwrap_or(1.0);
        let (have, ready) = (moment.ordered, f64::from(moment.ready));
        if known.iter().rev().take(UP).all(|pressure| 1.0 < *pressure) {
            let want = ceiling(ready * newest);
            if have < want {
                changed = Some(moment.minute);
                return Some(want);
            }
            return None;
        }
        let rested = changed.is_none_or(|at| at + COOLDOWN <= moment.minute);
        if have == moment.ready && rested && known.iter().rev().take(DOWN).all(|pressure| *pressure < 0.9) {
            let drop = Units::at_most(f64::from(have) * (1.0 - newest)).0;
            if 0 < drop {
                changed = Some(moment.minute);
                return Some(have.saturating_sub(drop));
            }
        }
        None
    }
}

/// Step scaling as operators usually write it: 10 % more above the target, 30 % more far above it, 10 % less below two thirds of
/// it, with five minutes between two changes.
pub fn step_scaling() -> impl FnMut(&PolicyView) -> Option<u32> {
    const COOLDOWN: usize = 5;
    let mut changed: Option<usize> = None;
    move |moment| {
        let share = match moment.pressure {
            pressure if 1.25 < pressure => 0.3,
            pressure if 1.0 < pressure => 0.1,
            pressure if pressure < 0.65 => -0.1,
            _ => return None,
        };
        if changed.is_some_and(|at| moment.minute < at + COOLDOWN) {
            return None;
        }
        changed = Some(moment.minute);
        let step = ceiling(f64::from(moment.ordered) * f64::abs(share));
        Some(if share > 0.0 { moment.ordered + step } else { moment.ordered.saturating_sub(step) })
    }
}

/// What is used in place of the forecaster of AWS.
#[derive(Clone, Copy, Debug)]
enum Forecaster {
    /// The same hour so many hours ago.
    Seasonal(i64),
    /// The load that really comes.
    Oracle,
}

/// Hourly means, and the hour each minute belongs to.
#[derive(Clone, Debug)]
struct Hours {
    first_minute: i64,
    means: BTreeMap<i64, f64>,
}

impl Hours {
    fn of(model: &CapacityModel, load: &Series) -> Hours {
        let first_minute = load.start().as_second().div_euclid(60);
        let mut sums: BTreeMap<i64, (f64, usize)> = BTreeMap::new();
        for (minute, load) in (first_minute..).zip(&model.load) {
            let sum = sums.entry(minute.div_euclid(60)).or_default();
            *sum = (sum.0 + load, sum.1 + 1);
        }
        let means = sums.into_iter().map(|(hour, (sum, count))| (hour, sum / real(count))).collect();
        Hours { first_minute, means }
    }

    fn minute(&self, minute: usize) -> i64 {
        self.first_minute + i64::try_from(minute).unwrap_or(0)
    }

    fn forecast(&self, hour: i64, now: i64, forecaster: Forecaster) -> Option<f64> {
        let Forecaster::Seasonal(period) = forecaster else { return self.means.get(&hour).copied() };
        let known = |hour: i64| self.means.get(&hour).filter(|_| hour < now).copied();
        known(hour - period).or_else(|| {
            let (newest, _) = self.means.range(..now).next_back()?;
            known(hour - 24 * ((hour - newest).div_euclid(24) + 1))
        })
    }
}

/// AWS predictive scaling: every six hours it forecasts a floor for each of the next 48 hours, which counts from five minutes
/// before its hour; target tracking scales above the floor.
fn aws_predictive(
    model: &CapacityModel,
    hours: Hours,
    forecaster: Forecaster,
) -> impl FnMut(&PolicyView) -> Option<u32> + use<> {
    const BUFFER: i64 = 5;
    let target = model.target;
    let mut floors: BTreeMap<i64, u32> = BTreeMap::new();
    let mut native = target_tracking();
    move |moment| {
        let minute = hours.minute(moment.minute);
        let hour = minute.div_euclid(60);
        if floors.is_empty() || (hour % 6 == 0 && minute % 60 == 0) {
            for ahead in hour..hour + 48 {
                if let Some(load) = hours.forecast(ahead, hour, forecaster) {
                    floors.insert(ahead, Units::at_least(load / target).0);
                }
            }
        }
        let floor_of = |hour: i64| floors.get(&hour).copied().unwrap_or(0);
        let floor = floor_of((minute + BUFFER).div_euclid(60)).max(floor_of(hour));
        let native = native(moment);
        if moment.ordered < floor { Some(floor) } else { native.map(|units| units.max(floor)) }
    }
}

fn ceiling(units: f64) -> u32 {
    Units::at_least(units).0
}
