//! `headroom apply`: a platform file is checked, held against the stored one, and stored.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use headroom_aws::config_source::{ConfigSource as _, ParameterStore, Published};
use headroom_aws::error::ErrorKind;
use headroom_aws::sdk::Aws;
use headroom_core::config::{ValueChange, changes, parse};
use headroom_core::name::PlatformName;
use headroom_core::report::SCHEMA;
use serde_json::json;

use crate::account::Form;
use crate::output::say;

/// Which file.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The file; `-` for standard input.
    file: PathBuf,
    /// The bucket for a file that is larger than a parameter (8 KB).
    #[arg(long)]
    bucket: Option<String>,
    /// Tells what differs, and stores nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    form: Form,
}

/// What the file is, beside the one that is stored.
enum Beside {
    /// None is stored yet.
    New,
    /// The same, to the letter.
    Same,
    /// Another text, with the values that differ.
    Changed(Vec<ValueChange>),
    /// The stored one is no YAML.
    Unreadable,
}

pub(crate) async fn run(aws: &Aws, arguments: &Arguments) -> Result<ExitCode, String> {
    let file = arguments.file.display();
    let text = crate::validate::read(&arguments.file)?;
    let parsed = parse(&text).map_err(|faults| format!("not applied; {file} is not valid:\n{faults}"))?;
    parsed.warnings.iter().for_each(|warning| eprintln!("{file}:{warning} (warning)"));
    let (store, name) = (ParameterStore::new(aws), &parsed.platform.name);
    let beside = beside(&store, name, &text).await?;
    let stored = if arguments.dry_run || matches!(beside, Beside::Same) {
        None
    } else {
        let bucket = arguments.bucket.as_deref();
        Some(store.publish(name, &text, bucket).await.map_err(|error| error.to_string())?)
    };
    if arguments.form.json {
        say(as_json(name, &beside, stored.is_some()))?;
    } else {
        tell(name, &beside, stored.as_ref())?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn beside(store: &ParameterStore, name: &PlatformName, text: &str) -> Result<Beside, String> {
    match store.load(name).await {
        Ok(stored) if stored == text => Ok(Beside::Same),
        Ok(stored) => Ok(changes(&stored, text).map_or(Beside::Unreadable, Beside::Changed)),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(Beside::New),
        Err(error) => Err(format!("not applied; what is stored cannot be read: {error}")),
    }
}

fn tell(name: &PlatformName, beside: &Beside, stored: Option<&Published>) -> Result<(), String> {
    match beside {
        Beside::New => say(format_args!("{name} is new"))?,
        Beside::Same => say(format_args!("{name} is stored like this already"))?,
        Beside::Unreadable => say(format_args!("{name}: what was stored is no YAML, and all of it is new"))?,
        Beside::Changed(changed) if changed.is_empty() => {
            say(format_args!("{name}: only comments or layout differ"))?;
        }
        Beside::Changed(changed) => {
            let noun = if changed.len() == 1 { "value differs" } else { "values differ" };
            say(format_args!("{name}: {} {noun}", changed.len()))?;
            changed.iter().try_for_each(|change| say(format_args!("  {change}")))?;
        }
    }
    match stored {
        None => say("nothing was stored"),
        Some(Published::Parameter(parameter)) => say(format_args!("published as {parameter}")),
        Some(Published::Object { parameter, url }) => {
            say(format_args!("published as {url}, to which {parameter} points"))
        }
    }
}

fn as_json(name: &PlatformName, beside: &Beside, stored: bool) -> serde_json::Value {
    let (is, changed) = match beside {
        Beside::New => ("new", None),
        Beside::Same => ("same", None),
        Beside::Unreadable => ("unreadable", None),
        Beside::Changed(changed) => ("changed", Some(changed)),
    };
    json!({"schema": SCHEMA, "platform": name, "beside_stored": is, "changes": changed, "stored": stored})
}
