//! `headroom simulate`: a trace replayed through the decision core, beside what else does the job.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use headroom_core::config::parse;
use headroom_core::series::Series;
use headroom_core::simulate::{Chances, Options, html::html, replay, text::text};
use jiff::Timestamp;

/// What is replayed, and how it is told.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The platform file.
    file: PathBuf,
    /// The load: a CSV file with the columns `timestamp,value`.
    #[arg(long)]
    trace: PathBuf,
    /// The resource, or `resource/dimension`; the only one where there is one.
    #[arg(long)]
    target: Option<String>,
    /// Beside what it is replayed.
    #[arg(long, default_value = "all", value_parser = ["all", "none"])]
    against: String,
    /// How it is told.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The most by which provisioning is longer or shorter, in percent.
    #[arg(long, default_value_t = 0.0)]
    spread: f64,
    /// Percent of orders that fail.
    #[arg(long, default_value_t = 0.0)]
    failing: f64,
    /// The chances' seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
    Html,
}

pub(crate) fn simulate(arguments: &Arguments) -> Result<ExitCode, String> {
    let platform =
        parse(&crate::validate::read(&arguments.file)?).map_err(|faults| faults.to_string())?.platform;
    let target = match &arguments.target {
        Some(target) => target.clone(),
        None => platform.dimensions().next().map(|place| place.dimension.key.to_string()).unwrap_or_default(),
    };
    let key = crate::policy::dimension(&platform, &target)?;
    let load = trace(&arguments.trace)?;
    let options = Options {
        chances: Chances {
            spread: arguments.spread / 100.0,
            failing: arguments.failing / 100.0,
            seed: arguments.seed,
        },
        peers: arguments.against == "all",
    };
    let replayed =
        replay(&platform, &key, &load, options, &mut progress()).map_err(|error| error.to_string())?;
    let currency = &platform.guardrails.budget.currency;
    match arguments.format {
        Format::Text => print!("{}", text(&replayed, currency)),
        Format::Json => {
            println!("{}", serde_json::to_string_pretty(&replayed).map_err(|error| error.to_string())?);
        }
        Format::Html => println!("{}", html(&replayed, currency)),
    }
    Ok(ExitCode::SUCCESS)
}

/// A bar on a terminal; a file or a pipe gets none.
fn progress() -> impl FnMut(usize, usize) {
    const CELLS: usize = 40;
    let seen = std::io::stderr().is_terminal();
    let mut last = usize::MAX;
    move |done, of| {
        let cells = done * CELLS / of.max(1);
        if !seen || cells == last {
            return;
        }
        last = cells;
        let bar = format!("{}{}", "#".repeat(cells), ".".repeat(CELLS.saturating_sub(cells)));
        let end = if done == of { "\r\x1b[K" } else { "" };
        let mut errors = std::io::stderr();
        // A bar that cannot be drawn is no reason to stop.
        let _ = write!(errors, "\r[{bar}]{end}").and_then(|()| errors.flush());
    }
}

/// One value a minute, linear between the points of a coarser trace.
fn trace(file: &Path) -> Result<Series, String> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| named(&error))?;
    let mut points: Vec<(f64, f64)> = Vec::new();
    for (number, line) in text.lines().enumerate().skip(1).filter(|(_, line)| !line.trim().is_empty()) {
        let bad = || format!("{}:{}: not `timestamp,value`", file.display(), number + 1);
        let (at, value) = line.split_once(',').ok_or_else(bad)?;
        if value.trim().is_empty() || value.trim().eq_ignore_ascii_case("nan") {
            continue;
        }
        let at: Timestamp = at.trim().parse().map_err(|_| bad())?;
        let minute = at.duration_since(Timestamp::UNIX_EPOCH).as_secs_f64() / 60.0;
        points.push((minute, value.trim().parse().map_err(|_| bad())?));
    }
    minutes(&points).ok_or_else(|| named(&"has fewer than two points"))
}

fn minutes(points: &[(f64, f64)]) -> Option<Series> {
    let (first, last) = (points.first()?.0.ceil(), points.last()?.0.floor());
    let start =
        Timestamp::UNIX_EPOCH.checked_add(std::time::Duration::try_from_secs_f64(first * 60.0).ok()?).ok()?;
    let mut values = Vec::new();
    let mut left = points.iter().zip(points.iter().skip(1)).peekable();
    let mut minute = first;
    while minute <= last {
        while left.peek().is_some_and(|(_, next)| next.0 < minute) {
            left.next();
        }
        let ((from, low), (to, high)) = left.peek().copied().map(|(a, b)| (*a, *b))?;
        let share = if from < to { (minute - from) / (to - from) } else { 0.0 };
        values.push(Some((low + (high - low) * share).max(0.0)));
        minute += 1.0;
    }
    Some(Series::new(start, 60, values))
}
