//! The replay's own laws: peers as documented, chances as seeded, order kept, and our policy without a look ahead.

mod examples;

use headroom_forecast::statistics::real;
use proptest::prelude::*;

use super::trace::TraceColumn;
use super::*;
use crate::config::parse;
use crate::series::Series;
use crate::units::{Bounds, Direction};

fn model(load: Vec<f64>, delay: usize) -> CapacityModel {
    let bounds = Bounds::new(Units(1), Units(60)).unwrap();
    CapacityModel {
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
    let model = model(vec![7.0; 12], 3);
    let outcome = model.run(&mut |moment| match moment.minute {
        1 => Some(4),
        6 => Some(2),
        _ => None,
    });
    assert_eq!(outcome.supply, [1, 1, 1, 1, 4, 4, 4, 2, 2, 2, 2, 2]);
    let moves: Vec<(usize, Direction)> =
        outcome.moves.iter().map(|made| (made.minute, made.direction)).collect();
    assert_eq!(moves, [(1, Direction::Out), (6, Direction::In)]);
    let waiting: Vec<Option<usize>> = outcome.waiting.iter().take(5).copied().collect();
    assert_eq!(waiting, [None, Some(1), Some(1), Some(1), None]);
}

#[test]
fn the_oracle_is_never_short_and_costs_the_least() {
    let model = model((0..500).map(|minute| f64::from(minute % 97)).collect(), 5);
    let figures = figures::of_tier((&model, &model.oracle()));
    assert_eq!((figures.tau_u, figures.tau_o, figures.cost), (0.0, 0.0, 1.0));
}

#[test]
fn hpa_keeps_what_it_wanted_lately_and_doubles_at_most() {
    let mut hpa = peers::hpa();
    let mut at =
        |minute, pressure, units| hpa(&PolicyView { minute, pressure, ready: units, ordered: units });
    assert_eq!(at(0, 1.05, 10), Some(10));
    assert_eq!(at(1, 3.0, 10), Some(20));
    assert_eq!(at(2, 0.5, 20), Some(20));
    assert_eq!(at(8, 0.5, 20), Some(10));
}

#[test]
fn the_same_seed_draws_the_same_delays_and_failures() {
    let chances = Chances { spread: 0.5, failing: 0.3, seed: 7 };
    let run = |chances| {
        let model = CapacityModel { chances, ..model(vec![7.0; 200], 5) };
        model.run(&mut |moment| Some(u32::try_from(moment.minute / 10).unwrap() + 1)).supply
    };
    assert_eq!(run(chances), run(chances));
    assert_ne!(run(chances), run(Chances::default()));
    // Half as long or half as long again, never less or more.
    let spread = Chances { spread: 0.5, ..Chances::default() };
    for seed in 0..50 {
        let model = CapacityModel { chances: Chances { seed, ..spread }, ..model(vec![7.0; 30], 10) };
        let supply = model.run(&mut |_| Some(2)).supply;
        let ready = supply.iter().position(|units| *units == 2).unwrap();
        assert!((5..=15).contains(&ready), "{ready}");
    }
}

#[test]
fn a_platform_is_as_short_as_its_worst_tier() {
    let (a, b) = (model(vec![9.0, 18.0, 18.0, 9.0], 1), model(vec![9.0, 9.0, 27.0, 27.0], 1));
    let made = |supply: &[u32], waiting: [Option<usize>; 4], moves: &[Move]| SupplyRun {
        supply: supply.to_vec(),
        waiting: waiting.to_vec(),
        moves: moves.to_vec(),
    };
    let out = |minute| Move { minute, direction: Direction::Out };
    let first = made(&[1, 1, 2, 1], [None, Some(1), None, None], &[out(1)]);
    let second = made(&[1, 1, 1, 3], [None, None, Some(2), None], &[out(1), out(2)]);
    let served = [(&a, &first), (&b, &second)];
    let each: Vec<Figures> = served.iter().map(|served| figures::of_tier(*served)).collect();
    let whole = figures::of_platform(&served, &each);
    assert_eq!((each[0].tau_u, each[1].tau_u, whole.tau_u), (25.0, 25.0, 50.0));
    assert_eq!(whole.moves, each[0].moves + each[1].moves);
    // The second depends on the first, and grew while the first was still getting its unit.
    let together = figures::together(&served, &[(1, 0)]);
    assert_eq!(together, Together { order_violations: 1, bottleneck_shifts: 1 });
    assert_eq!(figures::together(&served, &[(0, 1)]).order_violations, 0);
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

/// Three tiers in a chain; the phase is the default, which only observes and is no matter to a replay.
fn chain(delays: [u32; 3]) -> Platform {
    let group = |(name, delay): (&str, u32)| {
        format!(
            "  {name}:\n    resources:\n      - {{type: ECS_SERVICE, name: {name}, min_capacity: 1, max_capacity: 40,\n         \
             provisioning_seconds: {delay},\n         metrics: [{{name: requests, kind: load, target_per_unit: 70, \
             limit_per_unit: 90}}, {{name: p99, kind: latency, target_value: 2}}]}}\n"
        )
    };
    let groups: String = ["data", "app", "web"].into_iter().zip(delays).map(group).collect();
    let edges = "    - {source: web, target: app, type: scale_before}\n    - {source: app, target: data, type: scale_before}\n";
    let text = format!(
        "configuration_name: chain\nscaling_groups:\n{groups}orchestration:\n  cycle_seconds: 600\n  dependencies:\n{edges}"
    );
    parse(&text).unwrap().platform
}

fn trace(values: impl Iterator<Item = f64>) -> Trace {
    let load = Series::new(Timestamp::UNIX_EPOCH, 60, values.map(Some));
    Trace { columns: vec![TraceColumn { name: "value".into(), load }], notes: Vec::new() }
}

fn wave(minute: usize) -> f64 {
    600.0 - 500.0 * (real(minute % DAY) / real(DAY) * std::f64::consts::TAU).cos()
}

fn days(days: usize, change: impl Fn(usize) -> f64) -> Trace {
    trace((0..days * DAY).map(|minute| wave(minute) * change(minute)))
}

/// Eight hours that swing every two: enough to learn little from, and quick.
fn swings(change: impl Fn(usize) -> f64) -> Trace {
    let wave = |minute: usize| 600.0 - 500.0 * (real(minute) / 120.0 * std::f64::consts::TAU).cos();
    trace((0..480).map(|minute| wave(minute) * change(minute)))
}

fn replayed(platform: &Platform, trace: &Trace, options: &Options<'_>) -> Replay {
    replay(platform, trace, options, &mut |_, _| ()).unwrap()
}

fn shop(trace: &Trace) -> Replay {
    replayed(&parse(SHOP).unwrap().platform, trace, &Options { peers: true, ..Options::default() })
}

#[test]
fn a_daily_wave_is_supplied_cheaply_and_without_a_look_ahead() {
    let plain = shop(&days(2, |_| 1.0));
    let ours = &plain.runs[0];
    assert!(ours.figures.tau_u < 1.0 && ours.figures.cost < 1.3, "{:?}", ours.figures);
    assert!(ours.decisions.iter().all(|told| !told.reasons.is_empty()), "holds say why, too");
    // What comes in the last half day changes nothing of what was decided before.
    let later = shop(&days(2, |minute| if minute < 3 * DAY / 2 { 1.0 } else { 1.7 }));
    let before = 3 * DAY / 2 - split(2 * DAY);
    let supply = |replay: &Replay| replay.runs[0].tiers[0].supply[..before].to_vec();
    assert_eq!(supply(&plain), supply(&later));
    let decisions = |replay: &Replay| {
        let past = replay.runs[0].decisions.iter().filter(|told| told.minute <= before);
        serde_json::to_string(&past.collect::<Vec<_>>()).unwrap()
    };
    assert_eq!(decisions(&plain), decisions(&later));
    assert_ne!(ours.tiers[0].supply, later.runs[0].tiers[0].supply);
}

#[test]
fn the_same_replay_is_told_in_the_same_words() {
    let chances = Chances { spread: 0.4, failing: 0.1, seed: 3 };
    let told = || {
        let options = Options { chances, ..Options::default() };
        serde_json::to_string(&replayed(&chain([120, 60, 180]), &swings(|_| 1.0), &options)).unwrap()
    };
    assert_eq!(told(), told());
}

#[test]
fn other_objectives_are_replayed_as_if_the_file_said_them() {
    let mut platform = chain([120, 60, 180]);
    platform.predictive.objective = Ratio::clamped(0.99);
    let options = Options { objectives: &OBJECTIVES, ..Options::default() };
    let replay = replayed(&platform, &days(2, |minute| 1.0 + real(minute % 7) / 20.0), &options);
    let points = &replay.curve.as_ref().unwrap().0;
    let at = |objective: f64| points.iter().find(|point| point.objective.get() == objective).unwrap();
    assert_eq!(points.len(), 5);
    assert_eq!(at(0.99).figures, replay.runs[0].figures, "the file's own objective");
    assert_eq!(at(0.99).short_minutes.round(), replay.runs[0].figures.tau_u / 100.0 * real(replay.minutes));
    assert!(at(0.95).figures.money < at(0.9995).figures.money, "{points:?}");
    assert!(text::text(&replay).contains("99.95%"));
}

#[test]
fn tiers_are_supplied_in_order_and_peers_are_not() {
    let replay =
        replayed(&chain([120, 60, 180]), &swings(|_| 1.0), &Options { peers: true, ..Options::default() });
    let keys: Vec<String> = replay.tiers.iter().map(|tier| tier.key.to_string()).collect();
    assert_eq!(keys, ["data/desired", "app/desired", "web/desired"]);
    let violations = |name: &str| {
        replay.runs.iter().find(|run| run.name == name).unwrap().together.unwrap().order_violations
    };
    assert_eq!((violations("headroom"), violations("oracle")), (0, 0));
    assert!(0 < violations("target tracking") && 0 < violations("HPA"));
    let ours = replay.runs[0].figures;
    // A guard that nobody measures does not keep a tier from scaling in.
    assert!(ours.tau_u < 40.0 && ours.cost < 2.0, "{ours:?}");
}

#[test]
fn a_plan_whose_order_fails_is_rolled_back() {
    let chances = Chances { failing: 0.5, ..Chances::default() };
    let options = Options { chances, ..Options::default() };
    let replay = replayed(&chain([120, 60, 180]), &swings(|_| 1.0), &options);
    let back = replay.runs[0].decisions.iter().find(|told| told.kind == ChangeKind::RolledBack).unwrap();
    assert!(back.reasons[0].contains("did not get the units it was ordered"), "{back:?}");
    assert_eq!(replay.runs[0].together.unwrap().order_violations, 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    /// Whatever comes and however long it takes, nothing grows before what it depends on is ready for it.
    #[test]
    fn no_load_and_no_delay_breaks_the_order(
        delays in [30_u32..1_500, 30..1_500, 30..1_500],
        bursts in proptest::collection::vec(0.05_f64..3.0, 24),
        spread in 0.0_f64..0.9,
        failing in 0.0_f64..0.3,
    ) {
        let chances = Chances { spread, failing, seed: 1 };
        let trace = swings(|minute| bursts[minute / 20]);
        let replay = replayed(&chain(delays), &trace, &Options { chances, ..Options::default() });
        prop_assert_eq!(replay.runs[0].together.unwrap().order_violations, 0);
        prop_assert!(!replay.notes.iter().any(|note| note.contains("broke a rule")), "{:?}", replay.notes);
        for told in replay.runs.iter().flat_map(|run| &run.decisions) {
            prop_assert!(!told.reasons.is_empty(), "{told:?}");
        }
    }
}

fn scaled(text: &str, options: &Options<'_>, platform: &Platform) -> String {
    let trace = trace::parse(text).unwrap();
    match replay(platform, &trace, options, &mut |_, _| ()) {
        Ok(replay) => {
            let told = |tier: &Tier| format!("{} x{}", tier.key, tier.scale);
            let tiers: Vec<String> = replay.tiers.iter().map(told).collect();
            format!("{} | {}", tiers.join(", "), replay.notes.join(" | "))
        }
        Err(error) => error.to_string(),
    }
}

#[test]
fn loads_are_scaled_by_one_rule() {
    let flat = |header: &str, columns: usize| {
        let row = |minute: u32| format!("1970-01-01T00:{minute:02}:00Z{}\n", ",140".repeat(columns));
        format!("{header}\n{}", (0..60).map(row).collect::<String>())
    };
    let (one, three) = (parse(SHOP).unwrap().platform, chain([60, 60, 60]));
    let check = |text: &str, peak_units, platform, expected: &str| {
        let options = Options { peak_units, ..Options::default() };
        let told = scaled(text, &options, platform);
        assert!(told.contains(expected), "{told}");
    };
    // One dimension: as measured. Several with one load: two thirds of the largest capacity. Asked for: what is asked for.
    check(&flat("timestamp,value", 1), None, &one, "web/desired x1 | ");
    check(&flat("timestamp,value", 1), Some(20.0), &one, "web/desired x10 | web/desired: the trace times 10");
    check(&flat("timestamp,value", 1), None, &three, "takes 27 units at the target");
    check(
        &flat("timestamp,web,app/desired", 2),
        None,
        &three,
        "app/desired x1, web/desired x1 | data/desired is left out",
    );
    check(&flat("timestamp,wbe,app", 2), None, &three, "a column `wbe`, which is no dimension");
    check(&flat("timestamp,value", 1).replace("140", "0"), Some(5.0), &one, "is zero nearly always");
    check(&flat("timestamp,value", 1).replace("140", "99999"), None, &one, "let --peak-units 20 scale them");
}

#[test]
fn a_replay_reads_well() {
    let replay =
        replayed(&chain([120, 60, 180]), &days(3, |_| 1.0), &Options { peers: true, ..Options::default() });
    let table = text::text(&replay);
    assert!(table.lines().any(|line| line.starts_with("target tracking")), "{table}");
    assert!(table.lines().all(|line| line.starts_with("note:") || line.chars().count() <= 110), "{table}");
    let page = html::html(&replay);
    assert!(page.contains("\"dimension\":\"web/desired\"") && !page.contains("/*DATA*/"));
    assert!(!page.contains("http://") && !page.contains("https://"), "nothing is fetched");
    // What is painted as short is what the table counts, however many minutes a point stands for.
    let (_, data) = page.split_once("const data = ").unwrap();
    let data = serde_json::Deserializer::from_str(data).into_iter::<serde_json::Value>().next();
    let data = data.unwrap().unwrap();
    assert!(1 < data["step"].as_u64().unwrap());
    for (run, of_page) in replay.runs.iter().zip(data["runs"].as_array().unwrap()) {
        for (tier, of_page) in run.tiers.iter().zip(of_page["tiers"].as_array().unwrap()) {
            let short: u64 =
                of_page["short"].as_array().unwrap().iter().map(|short| short.as_u64().unwrap()).sum();
            let share = 100.0 * real(usize::try_from(short).unwrap()) / real(replay.minutes);
            assert!((share - tier.figures.tau_u).abs() < 1e-6, "{} {share} {:?}", run.name, tier.figures);
        }
    }
}
