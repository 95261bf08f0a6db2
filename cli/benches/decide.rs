//! What the decision core takes: a decision for 10,000 dimensions, and replays of fourteen days.
//!
//! `cargo bench -p headroom`. Fails where a figure is above its limit.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use headroom_core::config::parse;
use headroom_core::decide::decide;
use headroom_core::name::{DimensionKey, ResourceId};
use headroom_core::observe::{Capacity, Load, Observation, Observed, Reading};
use headroom_core::plan::{self, Permit};
use headroom_core::platform::{Group, Platform};
use headroom_core::series::Series;
use headroom_core::simulate::trace::{Trace, TraceColumn};
use headroom_core::simulate::{Options, replay};
use headroom_core::state::EMPTY;
use headroom_core::units::Units;
use headroom_core::world::{Change, World};
use jiff::Timestamp;

/// Services, each with its tiers in a chain.
const SERVICES: usize = 500;
const TIERS: usize = 4;
const RESOURCES: usize = 5;

fn main() -> ExitCode {
    let decided = best_of(5, decide_for_many());
    let replayed = best_of(1, replay_of_a_fortnight(&["web"]));
    let tiers = best_of(1, replay_of_a_fortnight(&["data", "app", "web"]));
    let mut good = true;
    for (what, took, limit) in [
        ("decide, plan and lint 10,000 dimensions", decided, Duration::from_millis(100)),
        ("replay 14 days of one tier every 5 minutes", replayed, Duration::from_secs(5)),
        ("replay 14 days of three tiers every 5 minutes", tiers, Duration::from_secs(15)),
    ] {
        println!("{what}: {took:.1?} (limit {limit:.0?})");
        good &= took <= limit;
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn best_of(times: usize, mut run: impl FnMut() -> Duration) -> Duration {
    (0..times).map(|_| run()).min().unwrap_or_default()
}

/// Tiers in a chain, each of many services, half of which have to change.
fn many() -> Platform {
    let tiers: Vec<String> = (0..SERVICES * TIERS).map(|tier| format!("t{tier:04}")).collect();
    let groups: String = tiers
        .iter()
        .map(|tier| {
            format!("  {tier}: {{resources: [{{type: ECS_SERVICE, name: {tier}, min_capacity: 1, max_capacity: 99, target_cpu_utilization: 50}}]}}\n")
        })
        .collect();
    let edges: String = tiers
        .iter()
        .zip(tiers.iter().skip(1))
        .enumerate()
        .filter(|(index, _)| (index + 1) % TIERS != 0)
        .map(|(_, (target, source))| {
            format!("    - {{source: {source}, target: {target}, type: scale_before}}\n")
        })
        .collect();
    let text = format!(
        "configuration_name: many\nscaling_groups:\n{groups}orchestration:\n  rollout_phase: full\n  dependencies:\n{edges}"
    );
    let mut platform =
        parse(&text).map_err(|faults| faults.to_string()).unwrap_or_else(|faults| fail(&faults)).platform;
    platform.groups.iter_mut().for_each(multiply);
    platform
}

fn fail(why: &str) -> ! {
    println!("{why}");
    std::process::exit(1)
}

fn multiply(group: &mut Group) {
    let Some(first) = group.resources.first().cloned() else { return };
    group.resources = (0..RESOURCES)
        .map(|index| {
            let mut resource = first.clone();
            resource.id = ResourceId(format!("{}-{index:03}", first.id));
            for dimension in &mut resource.dimensions {
                dimension.key = DimensionKey::new(&resource.id, &dimension.key.dimension);
            }
            resource
        })
        .collect();
}

fn decide_for_many() -> impl FnMut() -> Duration {
    let platform = many();
    let now = Timestamp::UNIX_EPOCH;
    let mut observations = BTreeMap::new();
    let mut changes = Vec::new();
    for (index, place) in platform.dimensions().enumerate() {
        let key = place.dimension.key.clone();
        let capacity = Capacity { set: Units(10), ready: Units(10), ..Capacity::default() };
        let load = if index % 2 == 0 { 700.0 } else { 450.0 };
        let load = Observed::Known(Load { mean: load, peak: load, at: now, saturated: false, over_s: 0 });
        let readings = vec![Reading { metric: "cpu".into(), load }];
        changes.push(Change { key: key.clone(), at: now, from: Units(9), to: Units(10) });
        observations.insert(
            key.clone(),
            Observation { key, capacity: Observed::Known(capacity), readings, short_minutes: None },
        );
    }
    move || {
        let began = Instant::now();
        let world = World {
            platform: &platform,
            now,
            observations: &observations,
            forecasts: &BTreeMap::new(),
            changes: &changes,
            manual: &BTreeMap::new(),
            state: &EMPTY,
        };
        let decisions = decide(&world);
        let plan = plan::make(&platform, &decisions, &"bench".into(), now, &"v1".into(), Permit::Act);
        let violations = plan::lint(&platform, &plan);
        let took = began.elapsed();
        assert!(
            violations.is_empty() && plan.steps().count() == SERVICES * TIERS * RESOURCES / 2,
            "{violations:?}"
        );
        took
    }
}

/// Services in a chain, each with two minutes until a unit is ready.
fn chain(tiers: &[&str]) -> Platform {
    let group = |name: &&str| {
        format!(
            "  {name}:\n    resources:\n      - {{type: ECS_SERVICE, name: {name}, min_capacity: 1, max_capacity: 60, provisioning_seconds: 120,\n         \
             metrics: [{{name: requests, kind: load, target_per_unit: 70, limit_per_unit: 90}}]}}\n"
        )
    };
    let edge = |(target, source): (&&str, &&str)| {
        format!("    - {{source: {source}, target: {target}, type: scale_before}}\n")
    };
    let groups: String = tiers.iter().map(group).collect();
    let edges: String = tiers.iter().zip(tiers.iter().skip(1)).map(edge).collect();
    let edges = if edges.is_empty() { " []\n".to_owned() } else { format!("\n{edges}") };
    let text = format!(
        "configuration_name: chain\nscaling_groups:\n{groups}orchestration:\n  rollout_phase: full\n  dependencies:{edges}"
    );
    parse(&text).map_err(|faults| faults.to_string()).unwrap_or_else(|faults| fail(&faults)).platform
}

/// Our own policy's replay of fourteen days.
fn replay_of_a_fortnight(tiers: &[&str]) -> impl FnMut() -> Duration {
    let platform = chain(tiers);
    let wave = |minute: u32| {
        let noise = f64::from(minute.wrapping_mul(2_654_435_761) >> 20) / 40.0;
        600.0 - 500.0 * (f64::from(minute % 1_440) / 1_440.0 * std::f64::consts::TAU).cos() + noise
    };
    // The last 40 % of a trace are replayed: fourteen days of 35.
    let load = Series::new(Timestamp::UNIX_EPOCH, 60, (0..35 * 1_440).map(|minute| Some(wave(minute))));
    let column = |name: &&str| TraceColumn { name: (*name).to_owned(), load: load.clone() };
    let trace = Trace { columns: tiers.iter().map(column).collect(), notes: Vec::new() };
    move || {
        let begun = Instant::now();
        let replayed = replay(&platform, &trace, &Options::default(), &mut |_, _| ());
        assert!(replayed.is_ok_and(|replay| replay.minutes == 14 * 1_440), "fourteen days");
        // Replayed twice: setting the capacity, and a floor under target tracking.
        begun.elapsed() / 2
    }
}
