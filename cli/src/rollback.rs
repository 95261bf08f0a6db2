//! `headroom rollback`: a plan that was carried out is rolled back, because a person asks for it.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use headroom_aws::sdk::Aws;
use headroom_core::name::{PlanId, PlatformName};
use headroom_core::plan::Step;
use headroom_core::rollback::standing;
use jiff::Timestamp;
use serde_json::json;

use crate::account::{Form, StateMachine};
use crate::output::{NOTHING_DONE, say};
use crate::{cycle, state};

/// Which plan.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The platform.
    platform: String,
    /// The plan, as `explain` names it. Without one, the plans that can be rolled back are told, newest first.
    plan: Option<String>,
    /// The state machine's ARN, from the stack's outputs. Only a rollback needs it.
    #[arg(long, env = "HEADROOM_STATE_MACHINE_ARN", hide_env_values = true)]
    state_machine_arn: Option<String>,
    #[command(flatten)]
    form: Form,
}

/// Plans are looked for so far back: what went wrong earlier is what the platform runs on by now.
const LOOK_BACK: Duration = Duration::from_secs(86_400);

pub(crate) async fn run(aws: &Aws, arguments: Arguments) -> Result<ExitCode, String> {
    let Arguments { platform, plan, state_machine_arn, form } = arguments;
    let platform = PlatformName(platform);
    let now = Timestamp::now();
    let since = now.checked_sub(LOOK_BACK).unwrap_or(Timestamp::MIN);
    let store = state::store(aws, &platform);
    let journal = store.journal_since(&platform, since).await.map_err(|error| error.to_string())?;
    let standing = standing(&journal);
    let Some(plan) = plan.map(PlanId) else { return list(&standing, form) };
    let Some(state_machine_arn) = state_machine_arn else {
        return Err(
            "a rollback is a cycle: write --state-machine-arn, or set HEADROOM_STATE_MACHINE_ARN; the stack's outputs have it".into()
        );
    };
    if let Some((later, _)) = standing.iter().take_while(|(known, _)| plan < *known).last() {
        eprintln!(
            "headroom: nothing was done: plan {later} was carried out after {plan} and still stands; roll that one back first"
        );
        return Ok(ExitCode::from(NOTHING_DONE));
    }
    let input = json!({"platform": platform, "task": "rollback", "plan": plan});
    let done = cycle::run(
        aws,
        &platform,
        &StateMachine { state_machine_arn },
        &input,
        cycle::Shown::Everything,
        form,
    )
    .await?;
    let requests = store.requests(&platform).await.map_err(|error| error.to_string())?.value;
    if requests.pauses.iter().all(|pause| pause.until <= now) {
        eprintln!(
            "nothing is paused: the next cycle decides again, and may decide the same; `headroom pause {platform} --for 2h`"
        );
    }
    Ok(done)
}

/// Tells what can be rolled back, and what each would set.
fn list(standing: &[(PlanId, Vec<Step>)], form: Form) -> Result<ExitCode, String> {
    if form.json {
        let plans = standing.iter().map(|(plan, steps)| {
            let changes = steps.iter().flat_map(|step| &step.changes);
            let changes = changes
                .map(|change| json!({"dimension": change.key, "from": change.expected, "to": change.target}));
            json!({"plan": plan, "changes": changes.collect::<Vec<_>>()})
        });
        say(json!({"schema": headroom_core::report::SCHEMA, "plans": plans.collect::<Vec<_>>()}))?;
        return Ok(ExitCode::SUCCESS);
    }
    if standing.is_empty() {
        say("no plan of the last day stands")?;
    }
    for (plan, steps) in standing {
        say(format_args!("plan {plan}, rolled back, sets"))?;
        for change in steps.iter().flat_map(|step| &step.changes) {
            say(format_args!("  {} {} -> {}", change.key, change.expected, change.target))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
