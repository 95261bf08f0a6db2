//! `headroom policies`: target tracking policies of AWS under the floors of a platform, as its file means them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use headroom_aws::native_policies::NativePolicies;
use headroom_aws::sdk::Aws;
use headroom_core::config::parse;
use headroom_core::name::DimensionKey;
use headroom_core::platform::Platform;
use headroom_core::policies::{Drift, LeftOut, TargetTracking, drift, found_on, wanted};
use headroom_core::report::SCHEMA;
use serde_json::json;

use crate::account::Form;
use crate::output::{NOTHING_DONE, say};

/// How what differs is told.
#[derive(Clone, Copy)]
struct Words {
    put: &'static str,
    removed: &'static str,
    /// Where nothing of ours differs.
    same: &'static str,
}

const TO_DO: Words = Words { put: "to put", removed: "to remove", same: "is as it should be" };
const DONE: Words = Words { put: "put", removed: "removed", same: "is as it should be" };
const GONE: Words = Words { put: "put", removed: "removed", same: "is not there" };

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Tells which policies the file means, and what AWS has instead. The exit code is 3 if that differs.
    Show(Arguments),
    /// Puts the policies that are missing or differ, and removes those of this platform that the file no longer means.
    Apply(Arguments),
    /// Removes the policies that Headroom put for this platform. Those of others stay, and so do scalable targets.
    Remove(Arguments),
}

/// For which file.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The platform file; `-` for standard input.
    file: PathBuf,
    #[command(flatten)]
    form: Form,
}

/// A dimension with the policy that is wanted on it, and what AWS has.
struct Row {
    key: DimensionKey,
    wanted: Result<TargetTracking, LeftOut>,
    drift: Drift,
}

pub(crate) async fn run(aws: &Aws, command: Command) -> Result<ExitCode, String> {
    let policies = NativePolicies::new(aws);
    let (arguments, words) = match &command {
        Command::Show(arguments) => (arguments, TO_DO),
        Command::Apply(arguments) => (arguments, DONE),
        Command::Remove(arguments) => (arguments, GONE),
    };
    let is_kept = !matches!(command, Command::Remove(_));
    let (platform, rows) = rows(&policies, &arguments.file, is_kept).await?;
    let is_shown = matches!(command, Command::Show(_));
    if !is_shown {
        carry_out(&policies, &platform, &rows).await?;
    }
    tell(&platform, &rows, arguments.form, words)?;
    let differs = is_shown && rows.iter().any(|row| !row.drift.is_none());
    Ok(if differs { ExitCode::from(NOTHING_DONE) } else { ExitCode::SUCCESS })
}

/// What AWS has on every dimension that it can scale; without the policies that are wanted if none is to be kept.
async fn rows(policies: &NativePolicies, file: &Path, is_kept: bool) -> Result<(Platform, Vec<Row>), String> {
    let text = crate::validate::read(file)?;
    let parsed = parse(&text).map_err(|faults| format!("{} is not valid:\n{faults}", file.display()))?;
    let platform = parsed.platform;
    let (mut rows, wanted) = (Vec::new(), wanted(&platform));
    eprintln!("reads the policies of {} dimensions ...", wanted.len());
    for (key, wanted) in wanted {
        let Some(on) = found_on(&platform, &key) else { continue };
        let found = policies.found(&on).await.map_err(|error| error.to_string())?;
        let kept = wanted.as_ref().ok().filter(|_| is_kept);
        rows.push(Row { drift: drift(&platform.name, kept, &found), key, wanted });
    }
    Ok((platform, rows))
}

async fn carry_out(policies: &NativePolicies, platform: &Platform, rows: &[Row]) -> Result<(), String> {
    for row in rows {
        let Some(on) = found_on(platform, &row.key) else { continue };
        if let (true, Ok(wanted)) = (row.drift.to_put, &row.wanted) {
            policies.put(&platform.name, wanted).await.map_err(|error| error.to_string())?;
        }
        for name in &row.drift.to_remove {
            policies.remove(&on, name).await.map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

fn tell(platform: &Platform, rows: &[Row], form: Form, words: Words) -> Result<(), String> {
    if form.json {
        return say(as_json(platform, rows));
    }
    if rows.is_empty() {
        return say(format_args!("{} has nothing that AWS could scale by itself", platform.name));
    }
    rows.iter().flat_map(|row| lines(row, words)).try_for_each(say)
}

/// What is told of a dimension, a line each.
fn lines(row: &Row, words: Words) -> Vec<String> {
    let Words { put, removed, same } = words;
    let Row { key, wanted, drift } = row;
    let mut lines = Vec::new();
    match wanted {
        Ok(policy) if drift.to_put => {
            let was = drift.was.as_ref().map(|(metric, target)| format!(", and was {metric} at {target}"));
            let (name, metric, target) = (&policy.name, policy.metric, policy.target);
            lines.push(format!("{key}: {put}: {name} keeps {metric} at {target}{}", was.unwrap_or_default()));
        }
        Ok(policy) if drift.to_remove.is_empty() => {
            lines.push(format!("{key}: {} {same}", policy.name));
        }
        Ok(_) => (),
        Err(why) => lines.push(format!("{key}: no policy, because {why}")),
    }
    lines.extend(drift.to_remove.iter().map(|name| format!("{key}: {removed}: {name}")));
    lines.extend(drift.others.iter().map(|name| format!("{key}: {name} is not Headroom's, and stays")));
    lines
}

fn as_json(platform: &Platform, rows: &[Row]) -> serde_json::Value {
    let row = |row: &Row| {
        let policy = row.wanted.as_ref().ok();
        json!({
            "dimension": row.key,
            "policy": policy.map(|policy| json!({"name": policy.name, "metric": policy.metric, "target": policy.target})),
            "why_none": row.wanted.as_ref().err().map(ToString::to_string),
            "put": row.drift.to_put,
            "was": row.drift.was.as_ref().map(|(metric, target)| json!({"metric": metric, "target": target})),
            "removed": row.drift.to_remove,
            "others": row.drift.others,
        })
    };
    json!({"schema": SCHEMA, "platform": platform.name, "dimensions": rows.iter().map(row).collect::<Vec<_>>()})
}
