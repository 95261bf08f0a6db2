//! `headroom dashboard`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use headroom_core::config::parse;
use headroom_core::dashboard::{Dashboard, PARAMETER_BYTES_MAX, dashboard};
use headroom_core::platform::Platform;

use crate::output::say;

/// Which dashboard, and what to do with it.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The platform file; `-` for standard input.
    file: PathBuf,
    /// The region of the platform's stack.
    #[arg(long, env = "AWS_REGION", hide_env_values = true)]
    region: Option<String>,
    #[cfg(feature = "aws")]
    #[command(flatten)]
    account: InAccount,
}

/// What to do with it in the account, instead of printing it.
#[cfg(feature = "aws")]
#[derive(Debug, Args)]
#[group(multiple = false)]
struct InAccount {
    /// Makes or replaces the dashboard in the account. Done again, it changes nothing.
    #[arg(long)]
    publish: bool,
    /// Deletes the dashboard from the account.
    #[arg(long)]
    remove: bool,
}

/// Prints the dashboard of a platform as CloudWatch takes it, publishes it, or removes it.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let file = arguments.file.display();
    let parsed = parse(&crate::validate::read(&arguments.file)?);
    let platform = parsed.map_err(|faults| format!("{file} is not valid:\n{faults}"))?.platform;
    #[cfg(feature = "aws")]
    if arguments.account.publish {
        return in_account(&platform, arguments.region.as_deref());
    } else if arguments.account.remove {
        return crate::account::remove_dashboard(&headroom_core::dashboard::name(&platform));
    }
    print(&platform, arguments.region.as_deref())
}

fn print(platform: &Platform, region: Option<&str>) -> Result<ExitCode, String> {
    let region = region.ok_or("the region of the platform's stack is needed: --region, or AWS_REGION")?;
    let made = dashboard(platform, region);
    let body = made.body.to_string();
    tell_left_out(&made);
    if PARAMETER_BYTES_MAX < body.len() {
        let bytes = body.len();
        eprintln!(
            "{bytes} bytes: too many for the stack's DashboardBody ({PARAMETER_BYTES_MAX}); use --publish"
        );
    }
    say(body)?;
    Ok(ExitCode::SUCCESS)
}

fn tell_left_out(made: &Dashboard) {
    if 0 < made.left_out {
        eprintln!("{} widgets do not fit into CloudWatch's limits and are left out", made.left_out);
    }
}

#[cfg(feature = "aws")]
fn in_account(platform: &Platform, region: Option<&str>) -> Result<ExitCode, String> {
    crate::account::publish_dashboard(|configured| {
        let region = region.or(configured).ok_or("the region of the platform's stack is needed: --region")?;
        let made = dashboard(platform, region);
        tell_left_out(&made);
        Ok(made)
    })
}
