//! `headroom validate`.

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

use headroom_core::config::{FILE_BYTES_MAX, Parsed, parse};
use headroom_core::dashboard::price;
use headroom_core::platform::Platform;

use crate::output::say;

/// Checks a file. Faults go to standard error in the form `FILE:LINE:COLUMN: ...` that editors jump to.
pub(crate) fn validate(file: &Path, explain: bool) -> Result<ExitCode, String> {
    let text = read(file)?;
    let name = file.display();
    let parsed = match parse(&text) {
        Ok(parsed) => parsed,
        Err(faults) => {
            faults.0.iter().for_each(|fault| eprintln!("{name}:{fault}"));
            eprintln!("{}", count(faults.0.len(), "fault"));
            return Ok(ExitCode::FAILURE);
        }
    };
    parsed.warnings.iter().for_each(|warning| eprintln!("{name}:{warning} (warning)"));
    say(summary(&parsed.platform))?;
    if explain {
        say(defaults(&parsed))?;
        say(format_args!("\n{}", price(&parsed.platform)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The text of a file, or of standard input.
pub(crate) fn read(file: &Path) -> Result<String, String> {
    let named = |error: std::io::Error| format!("{}: {error}", file.display());
    let mut text = String::new();
    let limit = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    if file == Path::new("-") {
        std::io::stdin().take(limit).read_to_string(&mut text).map_err(named)?;
    } else {
        std::fs::File::open(file).map_err(named)?.take(limit).read_to_string(&mut text).map_err(named)?;
    }
    Ok(text)
}

fn summary(platform: &Platform) -> String {
    let layers: Vec<String> = platform
        .orchestration
        .layers
        .iter()
        .map(|layer| layer.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and "))
        .collect();
    let dimensions = platform.dimensions().count();
    format!(
        "{} is valid: {}, {}; scales out {}; phase {}",
        platform.name,
        count(platform.groups.len(), "group"),
        count(dimensions, "dimension"),
        layers.join(", then "),
        platform.orchestration.phase.name(),
    )
}

fn defaults(parsed: &Parsed) -> String {
    let each = parsed.defaults.iter().map(|default| format!("\n  {default}"));
    format!("\nWhat was not written came out as:{}", each.collect::<String>())
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
