//! The replay's own laws: peers as documented, chances as seeded, and our policy without a look ahead.

use super::plant::{Moment, Plant};
use super::*;
use crate::config::parse;
use crate::units::Bounds;

fn plant(load: Vec<f64>, delay: usize) -> Plant {
    let bounds = Bounds::new(Units(1), Units(60)).unwrap();
    Plant {
        load,
        start: 0,
        target: 7.0,
        limit: 9.0,
        delay,
        bounds,
        unit_cost: 0.1,
        chances: Chances::default(),
    }
}

#[test]
fn ordered_units_come_late_and_removed_ones_leave_at_once() {
    let plant = plant(vec![7.0; 12], 3);
    let outcome = plant.run(&mut |moment| match moment.minute {
        1 => Some(4),
        6 => Some(2),
        _ => None,
    });
    assert_eq!(outcome.supply, [1, 1, 1, 1, 4, 4, 4, 2, 2, 2, 2, 2]);
    assert_eq!(outcome.moves, 2);
}

#[test]
fn the_oracle_is_never_short_and_costs_the_least() {
    let plant = plant((0..500).map(|minute| f64::from(minute % 97)).collect(), 5);
    let figures = plant.figures(&plant.oracle());
    assert_eq!((figures.tau_u, figures.tau_o, figures.cost), (0.0, 0.0, 1.0));
}

#[test]
fn hpa_keeps_what_it_wanted_lately_and_doubles_at_most() {
    let mut hpa = peers::hpa();
    let mut at = |minute, pressure, units| hpa(&Moment { minute, pressure, ready: units, ordered: units });
    assert_eq!(at(0, 1.05, 10), Some(10));
    assert_eq!(at(1, 3.0, 10), Some(20));
    assert_eq!(at(2, 0.5, 20), Some(20));
    assert_eq!(at(8, 0.5, 20), Some(10));
}

#[test]
fn the_same_seed_fails_the_same_orders() {
    let chances = Chances { spread: 0.5, failing: 0.3, seed: 7 };
    let run = |chances| {
        let plant = Plant { chances, ..plant(vec![7.0; 200], 5) };
        plant.run(&mut |moment| Some(u32::try_from(moment.minute / 10).unwrap() + 1)).supply
    };
    assert_eq!(run(chances), run(chances));
    assert_ne!(run(chances), run(Chances::default()));
}

const SHOP: &str = "configuration_name: shop
scaling_groups:
  web:
    resources:
      - type: ECS_SERVICE
        name: web
        min_capacity: 1
        max_capacity: 60
        provisioning_seconds: 300
        metrics: [{name: requests, kind: load, target_per_unit: 70, limit_per_unit: 90}]
orchestration: {rollout_phase: full, cycle_seconds: 900}
";

fn days(days: usize, change: impl Fn(usize) -> f64) -> Series {
    let wave = |minute: usize| 600.0 - 500.0 * (real(minute % 1_440) / 1_440.0 * std::f64::consts::TAU).cos();
    Series::new(
        Timestamp::UNIX_EPOCH,
        60,
        (0..days * 1_440).map(|minute| Some(wave(minute) * change(minute))),
    )
}

fn replayed(load: &Series) -> Replay {
    let platform = parse(SHOP).unwrap().platform;
    let key = platform.dimensions().next().unwrap().dimension.key.clone();
    let options = Options { chances: Chances::default(), peers: true };
    replay(&platform, &key, load, options, &mut |_, _| ()).unwrap()
}

#[test]
fn a_daily_wave_is_supplied_cheaply_and_without_a_look_ahead() {
    let plain = replayed(&days(3, |_| 1.0));
    let ours = plain.runs.first().unwrap();
    assert!(ours.figures.tau_u < 1.0 && ours.figures.cost < 1.3, "{:?}", ours.figures);
    assert!(ours.told.iter().all(|told| !told.why.is_empty()));
    // What comes on the last day changes nothing of what was decided before.
    let later = replayed(&days(3, |minute| if minute < 2 * 1_440 { 1.0 } else { 1.7 }));
    let before = 2 * 1_440 - split(3 * 1_440);
    let supply = |replay: &Replay| {
        replay.runs.first().unwrap().supply.iter().take(before).copied().collect::<Vec<_>>()
    };
    assert_eq!(supply(&plain), supply(&later));
    assert_ne!(ours.supply, later.runs.first().unwrap().supply);
}

#[test]
fn a_replay_reads_well() {
    let replay = replayed(&days(3, |_| 1.0));
    let table = text::text(&replay, "USD");
    assert!(table.lines().any(|line| line.starts_with("target tracking")), "{table}");
    let page = html::html(&replay, "USD");
    assert!(page.contains("\"dimension\":\"web/desired\"") && !page.contains("/*DATA*/"));
    assert!(!page.contains("http://") && !page.contains("https://"), "nothing is fetched");
}
