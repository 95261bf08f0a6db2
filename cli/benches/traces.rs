//! What decisions are worth on real loads: every trace of a folder through the simulator, beside its peers.
//!
//! `cargo bench -p headroom --bench traces -- FOLDER`, with a folder of CSV files as `headroom simulate --trace` reads them.
//! Each load is scaled so that its peak takes 20 units at their target. Prints means over the traces, of the cost the
//! geometric one, for several provisioning times, cycles and objectives. With `--each`, for a provisioning time and a cycle of
//! five minutes only, prints a line for each trace and policy too, with the largest supply in largest needs. Without a folder
//! it measures nothing.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::print_stderr, reason = "and its progress")]

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;

use headroom_core::config::parse;
use headroom_core::simulate::trace::parse as parse_trace;
use headroom_core::simulate::{Figures, Options, replay};

/// Minutes until a unit is ready, and between decisions.
const PACES: [(u32, u32); 4] = [(5, 5), (1, 5), (15, 5), (5, 1)];
const OBJECTIVES: [&str; 2] = ["99", "99.9"];
const PEAK_UNITS: f64 = 20.0;

/// One policy on one trace.
struct Row {
    trace: String,
    policy: String,
    /// The largest supply, divided by the largest need of the scored part.
    most: f64,
    figures: Figures,
}

fn main() -> ExitCode {
    let Some(folder) = std::env::args().skip(1).find(|argument| !argument.starts_with("--")) else {
        println!("no folder of traces was given: nothing is measured");
        return ExitCode::SUCCESS;
    };
    let each = std::env::args().any(|argument| argument == "--each");
    let paces = if each { &PACES[..1] } else { &PACES[..] };
    match traces(Path::new(&folder))
        .and_then(|traces| paces.iter().try_for_each(|pace| table(&traces, *pace, each)))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn traces(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let files = entries.flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|end| end == "csv")).collect();
    files.sort();
    if files.is_empty() { Err(format!("{} has no CSV files", folder.display())) } else { Ok(files) }
}

/// The table for one pace, from as many replays at once as there are processors.
fn table(traces: &[PathBuf], (provisioning, cycle): (u32, u32), each: bool) -> Result<(), String> {
    let jobs: Vec<(&PathBuf, &str)> =
        traces.iter().flat_map(|trace| OBJECTIVES.map(|objective| (trace, objective))).collect();
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
    let rows = Mutex::new(Ok(Vec::new()));
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let (jobs, rows) = (&jobs, &rows);
            scope.spawn(move || {
                for (trace, objective) in jobs.iter().skip(worker).step_by(workers) {
                    let of_trace = replayed(trace, objective, (provisioning, cycle));
                    eprintln!("  {} at {objective} %", trace.display());
                    let Ok(mut rows) = rows.lock() else { return };
                    match (rows.as_mut(), of_trace) {
                        (Ok(rows), Ok(more)) => rows.extend(more),
                        (Ok(_), Err(why)) => *rows = Err(why),
                        (Err(_), _) => return,
                    }
                }
            });
        }
    });
    let mut rows = rows.into_inner().map_err(|_| "a replay panicked".to_owned())??;
    rows.sort_by(|a, b| (&a.trace, &a.policy).cmp(&(&b.trace, &b.policy)));
    if each {
        println!(
            "{:44} {:40} {:>7} {:>7} {:>7} {:>9} {:>6}",
            "", "", "short %", "lost %", "cost", "moves/day", "most"
        );
        for row in &rows {
            println!("{:44} {:40} {} {:6.2}", row.trace, row.policy, means(&[&row.figures]), row.most);
        }
        println!();
    }
    println!("ready after {provisioning} min, decided every {cycle} min, {} traces", traces.len());
    println!("{:40} {:>7} {:>7} {:>7} {:>9}", "", "short %", "lost %", "cost", "moves/day");
    let mut policies: Vec<&str> = rows.iter().map(|row| row.policy.as_str()).collect();
    policies.sort_unstable();
    policies.dedup();
    for policy in policies {
        let of_policy: Vec<&Figures> =
            rows.iter().filter(|row| row.policy == policy).map(|row| &row.figures).collect();
        println!("{policy:40} {}", means(&of_policy));
    }
    println!();
    Ok(())
}

fn means(figures: &[&Figures]) -> String {
    let count = f64::from(u32::try_from(figures.len()).unwrap_or(u32::MAX));
    let mean = |of: fn(&Figures) -> f64| figures.iter().map(|figures| of(figures)).sum::<f64>() / count;
    let cost = mean(|figures| figures.cost.ln()).exp();
    format!(
        "{:7.3} {:7.3} {cost:7.3} {:9.1}",
        mean(|figures| figures.tau_u),
        mean(|figures| figures.lost),
        mean(|figures| figures.moves)
    )
}

fn replayed(trace: &Path, objective: &str, (provisioning, cycle): (u32, u32)) -> Result<Vec<Row>, String> {
    let text = format!(
        "configuration_name: traces\nscaling_groups:\n  web:\n    resources:\n      - {{type: ECS_SERVICE, name: web, \
         min_capacity: 1, max_capacity: 60, provisioning_seconds: {},\n         metrics: [{{name: load, kind: load, \
         target_per_unit: 70, limit_per_unit: 90}}]}}\npredictive: {{slo: {{objective: {objective}}}}}\n\
         orchestration: {{rollout_phase: full, cycle_seconds: {}}}\n",
        provisioning * 60,
        cycle * 60
    );
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", trace.display());
    let platform = parse(&text).map_err(|faults| named(&faults))?.platform;
    let csv = std::fs::read_to_string(trace).map_err(|error| named(&error))?;
    let load = parse_trace(&csv).map_err(|error| named(&error))?;
    // Peers know no objective: once is enough.
    let options =
        Options { peers: objective == OBJECTIVES[0], peak_units: Some(PEAK_UNITS), ..Options::default() };
    let replay = replay(&platform, &load, &options, &mut |_, _| ()).map_err(|error| named(&error))?;
    let needs =
        replay.tiers.iter().flat_map(|tier| tier.load.iter().map(|load| (load / tier.limit_per_unit).ceil()));
    let largest_need = needs.fold(1.0, f64::max);
    let name = trace.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let of = |run: headroom_core::simulate::Run| {
        let ours = !run.decisions.is_empty();
        let supply = run.tiers.iter().flat_map(|tier| &tier.supply).max().copied().unwrap_or_default();
        let policy = if ours { format!("{} @{objective}", run.name) } else { run.name };
        Row { trace: name.clone(), policy, most: f64::from(supply) / largest_need, figures: run.figures }
    };
    Ok(replay.runs.into_iter().map(of).collect())
}
