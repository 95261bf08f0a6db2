//! `headroom simulate`: a trace replayed through the decision core, beside what else does the job.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use headroom_core::config::parse;
use headroom_core::name::DimensionKey;
use headroom_core::platform::Platform;
use headroom_core::scalar::Span;
use headroom_core::simulate::measured::Measured;
use headroom_core::simulate::text::{plain_percent, text};
use headroom_core::simulate::trace::{self, Trace};
use headroom_core::simulate::{Chances, OBJECTIVES, Options, Replay, html::html, replay};

use crate::output::say;

/// What is replayed, and how it is told.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The platform file. Its rollout phase is no matter here: what would be done is replayed.
    file: PathBuf,
    #[command(flatten)]
    source: Source,
    /// Scales the load of every dimension, so that so many units run at their target at its peak (99.5 % of all minutes are
    /// below). For traces that were measured in another unit than the platform's.
    #[arg(long, value_name = "UNITS", value_parser = positive)]
    peak_units: Option<f64>,
    /// Replays only this resource, or `resource/dimension`.
    #[arg(long)]
    target: Option<String>,
    /// Beside what it is replayed.
    #[arg(long, default_value = "all", value_parser = ["all", "none"])]
    against: String,
    /// Also replays Headroom's own policy at the objectives 95, 99, 99.5, 99.9 and 99.95 %, to show what a stricter one buys.
    #[arg(long)]
    objectives: bool,
    /// What a minute with too few units costs, in the budget's currency: tells which of these objectives costs least in all.
    #[arg(long, value_name = "MONEY", value_parser = positive, requires = "objectives")]
    short_minute_cost: Option<f64>,
    /// A table for terminals, everything for programs, or a page for browsers with all its data inside.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// How much longer or shorter provisioning takes at most, in percent; drawn evenly for every order.
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    spread: f64,
    /// How many orders of units fail, in percent. A failed order is noticed when its units should have been ready.
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    failing: f64,
    /// What spread and failures are drawn from. The same seed gives the same replay.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Where the load comes from: one of them.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// The load, a CSV file: `timestamp,value`, or `timestamp` and a column for each dimension, named like `web/desired`
    /// or, where a resource has only one, like the resource. Times are in UTC unless they say otherwise. The first 60 % are
    /// history to learn from (at least a week where there is one), the rest is replayed.
    ///
    /// A value is load in the unit of the dimension's metric; for utilisation, percent times units. One column for
    /// several dimensions is scaled for each: its peak takes two thirds of the dimension's largest capacity.
    #[arg(long)]
    trace: Option<PathBuf>,
    /// Reads the load from CloudWatch: the newest so much of its history, such as `14d`, of every metric that steers a
    /// dimension. Needs an account, and a build with the feature `aws`.
    #[arg(long, value_name = "TIME", value_parser = str::parse::<Span>)]
    from_cloudwatch: Option<Span>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
    Html,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && 0.0 < value => Ok(value),
        _ => Err("must be a number above 0".to_owned()),
    }
}

fn percent(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=100.0).contains(&value) => Ok(value),
        _ => Err("must be a number from 0 to 100".to_owned()),
    }
}

pub(crate) fn simulate(arguments: &Arguments) -> Result<ExitCode, String> {
    if arguments.objectives && matches!(arguments.format, Format::Html) {
        return Err(
            "the page does not show other objectives: use `--format text` or `json` with `--objectives`"
                .to_owned(),
        );
    }
    let file = arguments.file.display();
    let parsed = parse(&crate::validate::read(&arguments.file)?);
    let platform = parsed.map_err(|faults| format!("{file} is not valid:\n{faults}"))?.platform;
    let only = match &arguments.target {
        Some(target) => Some(crate::policy::dimension(&platform, target)?),
        None => None,
    };
    let Measured { trace, notes } = load(&arguments.source, &platform, only.as_ref())?;
    let options = Options {
        chances: Chances {
            spread: arguments.spread / 100.0,
            failing: arguments.failing / 100.0,
            seed: arguments.seed,
        },
        peers: arguments.against == "all",
        only: only.as_ref(),
        peak_units: arguments.peak_units,
        without_floor: false,
        objectives: if arguments.objectives { &OBJECTIVES } else { &[] },
    };
    let replayed = replay(&platform, &trace, &options, &mut progress());
    let mut replayed = replayed.map_err(|error| format!("{error}{}", known(&notes)))?;
    replayed.notes.splice(0..0, notes);
    replayed.notes.extend(advice(&replayed, arguments.short_minute_cost));
    match arguments.format {
        Format::Text => say(text(&replayed).trim_end())?,
        Format::Json => say(serde_json::to_string(&replayed).map_err(|error| error.to_string())?)?,
        Format::Html => say(html(&replayed).trim_end())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Which objective costs least, where it was said what a short minute costs.
fn advice(replayed: &Replay, short_minute_cost: Option<f64>) -> Option<String> {
    let cost = short_minute_cost?;
    let objective = plain_percent(replayed.curve.as_ref()?.cheapest(cost)?.get());
    let currency = &replayed.currency;
    Some(format!("at {cost} {currency} for a short minute, the objective {objective} costs least in all"))
}

fn known(notes: &[String]) -> String {
    notes.iter().map(|note| format!("\n  {note}")).collect()
}

/// What is replayed, and what is missing in it.
fn load(source: &Source, platform: &Platform, only: Option<&DimensionKey>) -> Result<Measured, String> {
    match (&source.trace, source.from_cloudwatch) {
        (Some(file), _) => Ok(Measured { trace: read(file)?, notes: Vec::new() }),
        (None, Some(span)) => from_cloudwatch(platform, only, span),
        (None, None) => Err("nothing says where the load comes from".to_owned()),
    }
}

#[cfg(feature = "aws")]
fn from_cloudwatch(platform: &Platform, only: Option<&DimensionKey>, span: Span) -> Result<Measured, String> {
    crate::account::measured(platform, only, span.0)
}

#[cfg(not(feature = "aws"))]
fn from_cloudwatch(_: &Platform, _: Option<&DimensionKey>, _: Span) -> Result<Measured, String> {
    Err("`--from-cloudwatch` talks to an account, and this headroom was built without that: build it with `cargo install \
         --path cli --features aws`, or give it a file with `--trace`"
        .to_owned())
}

/// A bar on a terminal; a file or a pipe gets none.
pub(crate) fn progress() -> impl FnMut(usize, usize) {
    const CELLS: usize = 40;
    let seen = std::io::stderr().is_terminal();
    let mut last = usize::MAX;
    move |done, of| {
        let cells = done * CELLS / of.max(1);
        if !seen || (cells == last && done != of) {
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

fn read(file: &Path) -> Result<Trace, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    trace::parse(&text).map_err(|bad| format!("{}:{bad}", file.display()))
}
