//! Commands that talk to an AWS account: apply a configuration, run a cycle, explain one, pause.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use headroom_aws::dashboards::{Dashboards, Put};
use headroom_aws::error::AwsError;
use headroom_aws::fleet::{AwsFleet, Fleet as _};
use headroom_aws::in_front::InFront;
use headroom_aws::metrics::{CloudWatch, Points};
use headroom_aws::past;
use headroom_aws::sdk::Aws;
use headroom_core::collect::{MetricRequest, TargetGroups, measured_in_front};
use headroom_core::dashboard::Dashboard;
use headroom_core::name::{DimensionKey, PlatformName};
use headroom_core::platform::Platform;
use headroom_core::report::{cycle_json, explain};
use headroom_core::simulate::measured::{self, Measured, steering_metrics};
use jiff::Timestamp;
use serde_json::json;

use crate::cycle::{self, Shown};
use crate::output::say;
use crate::{adopt, apply, policies, rollback, state};

/// Commands for an account.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Looks at what an account has and writes a platform file for it, in phase observe, with the evidence for tiers and
    /// dependencies. Nothing is changed in the account.
    Adopt(adopt::Arguments),
    /// Checks a platform file, tells what differs from the stored one, and stores it where the functions find it.
    #[command(visible_alias = "publish")]
    Apply(apply::Arguments),
    /// Tells what a cycle would change now, and why. Nothing is changed.
    Plan {
        /// The platform.
        platform: String,
        #[command(flatten)]
        state_machine: StateMachine,
        #[command(flatten)]
        form: Form,
    },
    /// Runs one cycle now and tells what it did.
    Run {
        /// The platform.
        platform: String,
        /// Decide and record, but change nothing.
        #[arg(long)]
        dry_run: bool,
        /// What for.
        #[arg(long, default_value = "scale", value_parser = ["scale", "train", "resume"])]
        task: String,
        #[command(flatten)]
        state_machine: StateMachine,
        #[command(flatten)]
        form: Form,
    },
    /// Rolls back a plan that was carried out, if it still stands as it was made.
    Rollback(rollback::Arguments),
    /// Target tracking policies of AWS under the platform's floors.
    #[command(subcommand)]
    Policies(policies::Command),
    /// Tells what the newest cycles saw, expected, decided and did, and why.
    Explain {
        /// The platform.
        platform: String,
        /// How many cycles, newest first.
        #[arg(long, default_value_t = 1)]
        last: usize,
        #[command(flatten)]
        form: Form,
    },
    /// Tells what stands: who acts, the phase and why, pauses, breakers, what was learned and spent.
    Status {
        /// The platform.
        platform: String,
        #[command(flatten)]
        form: Form,
    },
    /// Lets nothing be changed for a while: of all, of a group or a resource, both ways or one.
    Pause(state::PauseArguments),
    /// Ends all pauses of a platform.
    Unpause {
        /// The platform.
        platform: String,
        #[command(flatten)]
        form: Form,
    },
    /// Asks for at least so many units for a while. More may be scaled out, and bounds and guardrails hold.
    Override(state::OverrideArguments),
}

/// Which state machine.
#[derive(Debug, Args)]
pub(crate) struct StateMachine {
    /// The state machine's ARN, from the stack's outputs.
    #[arg(long, env = "HEADROOM_STATE_MACHINE_ARN", hide_env_values = true)]
    pub(crate) state_machine_arn: String,
}

/// In which form the answer is printed.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Form {
    /// Prints JSON for programs, one object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

fn runtime() -> Result<tokio::runtime::Runtime, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| format!("no runtime: {error}"))
}

/// The newest history of every metric that steers a dimension, as a trace.
pub(crate) fn measured(
    platform: &Platform,
    only: Option<&DimensionKey>,
    span: Duration,
) -> Result<Measured, String> {
    let asked = steering_metrics(platform, only);
    let read = runtime()?
        .block_on(async { history(&Aws::from_env().await, platform, &asked, Timestamp::now(), span).await });
    measured::measured(read?).map_err(|error| error.to_string())
}

/// The newest history of some metrics, by their dimensions.
pub(crate) async fn history(
    aws: &Aws,
    platform: &Platform,
    asked: &[MetricRequest<'_>],
    now: Timestamp,
    span: Duration,
) -> Result<Vec<(DimensionKey, Points)>, String> {
    let groups = target_groups(aws, platform, asked).await.map_err(|error| error.to_string())?;
    let metrics = CloudWatch::new(&aws.cloudwatch(), &aws.meter);
    let read = past::history(&InFront::new(&metrics, &groups), platform, asked, now, span).await;
    let keys = asked.iter().map(|asked| asked.place.dimension.key.clone());
    Ok(keys.zip(read.map_err(|error| error.to_string())?).collect())
}

/// The target groups that metrics are measured at.
async fn target_groups(
    aws: &Aws,
    platform: &Platform,
    asked: &[MetricRequest<'_>],
) -> Result<TargetGroups, AwsError> {
    let found = AwsFleet::new(aws).target_groups(&measured_in_front(platform, asked)).await;
    found.into_iter().map(|(resource, groups)| Ok((resource, groups?))).collect()
}

/// Makes or replaces a dashboard, made for the region that is configured.
pub(crate) fn publish_dashboard(
    made: impl FnOnce(Option<&str>) -> Result<Dashboard, String>,
) -> Result<ExitCode, String> {
    runtime()?.block_on(async {
        let aws = Aws::from_env().await;
        let Dashboard { name, body, .. } = made(aws.region())?;
        let put = Dashboards::new(&aws.cloudwatch()).put(&name, &body).await;
        match put.map_err(|error| error.to_string())? {
            Put::Unchanged => say(format_args!("the dashboard {name} is so already"))?,
            Put::Changed(remarks) => {
                remarks.iter().for_each(|remark| eprintln!("CloudWatch remarks: {remark}"));
                say(format_args!("published as the dashboard {name}"))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Deletes a dashboard, if there is one.
pub(crate) fn remove_dashboard(name: &str) -> Result<ExitCode, String> {
    runtime()?.block_on(async {
        let aws = Aws::from_env().await;
        let removed = Dashboards::new(&aws.cloudwatch()).remove(name).await;
        let told = if removed.map_err(|error| error.to_string())? { "is removed" } else { "was not there" };
        say(format_args!("the dashboard {name} {told}"))?;
        Ok(ExitCode::SUCCESS)
    })
}

pub(crate) fn run(command: Command) -> Result<ExitCode, String> {
    runtime()?.block_on(async {
        let aws = Aws::from_env().await;
        match command {
            Command::Adopt(arguments) => adopt::run(&aws, &arguments).await,
            Command::Apply(arguments) => apply::run(&aws, &arguments).await,
            Command::Plan { platform, state_machine, form } => {
                let input = json!({"platform": platform, "dryRun": true});
                let platform = PlatformName(platform);
                cycle::run(&aws, &platform, &state_machine, &input, Shown::Difference, form).await
            }
            Command::Run { platform, dry_run, task, state_machine, form } => {
                let input = json!({"platform": platform, "dryRun": dry_run, "task": task});
                let platform = PlatformName(platform);
                cycle::run(&aws, &platform, &state_machine, &input, Shown::Everything, form).await
            }
            Command::Rollback(arguments) => rollback::run(&aws, arguments).await,
            Command::Policies(command) => policies::run(&aws, command).await,
            Command::Explain { platform, last, form } => {
                tell(&aws, &PlatformName(platform), last, form).await
            }
            Command::Status { platform, form } => state::tell(&aws, &PlatformName(platform), form).await,
            Command::Pause(arguments) => state::pause(&aws, arguments).await,
            Command::Unpause { platform, form } => state::unpause(&aws, &PlatformName(platform), form).await,
            Command::Override(arguments) => state::override_floor(&aws, arguments).await,
        }
    })
}

async fn tell(aws: &Aws, platform: &PlatformName, last: usize, form: Form) -> Result<ExitCode, String> {
    let records =
        state::store(aws, platform).records(platform, last).await.map_err(|error| error.to_string())?;
    if records.is_empty() && !form.json {
        say(format_args!("no cycle of {platform} has ended yet"))?;
    }
    for record in &records {
        let record = record.as_record(platform);
        if form.json { say(cycle_json(&record))? } else { say(explain(&record))? }
    }
    Ok(ExitCode::SUCCESS)
}
