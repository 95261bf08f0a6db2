//! A cycle that is started and watched: what happens on standard error while it runs, the result on standard output.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use headroom_aws::executions::{Ended, HistoryRead, StepFunctions};
use headroom_aws::sdk::Aws;
use headroom_aws::store::Store;
use headroom_aws::table::DynamoTable;
use headroom_core::name::{CycleId, PlanId, PlatformName};
use headroom_core::report::{Progress, cycle_json, diff, explain};
use headroom_core::settle::Ending;
use jiff::Timestamp;
use serde_json::Value as Json;

use crate::account::{Form, StateMachine};
use crate::output::{NOTHING_DONE, say};
use crate::state;

/// A cycle has two hours at most; whoever waits longer waits for something else.
const WAIT_MAX: Duration = Duration::from_secs(7_200);
/// How often is looked. Each look is four calls, of which none is billed but two reads of a table.
const LOOK_EVERY: Duration = Duration::from_millis(1_000);

/// What is printed of a cycle that has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shown {
    /// What changes, and why.
    Difference,
    /// What was seen, expected, decided and done.
    Everything,
}

/// Starts a cycle, tells what it does, and prints the result.
pub(crate) async fn run(
    aws: &Aws,
    platform: &PlatformName,
    machine: &StateMachine,
    input: &Json,
    shown: Shown,
    form: Form,
) -> Result<ExitCode, String> {
    let executions = StepFunctions::new(&aws.sfn());
    let plan = input.get("plan").and_then(Json::as_str).map(PlanId::from);
    let mut watch = Watch::new(aws, platform, plan);
    // What earlier cycles did to the plan is not told again.
    watch.steps().await?;
    let started = executions.start(&machine.state_machine_arn, None, &input.to_string()).await;
    watch.follow(started.map_err(|error| error.to_string())?);
    let ended = watch.until_ended(&executions).await?;
    let record = watch.store.record_of(platform, &watch.cycle).await.map_err(|error| error.to_string())?;
    let Some(record) = record else {
        return Err(match ended {
            Ended::Failed { error, cause } => format!("{error}: {cause}"),
            Ended::Succeeded(_) => format!("cycle {} left no record", watch.cycle),
        });
    };
    if watch.plan.is_none() && record.outcome().plan_id.is_some() {
        // It was over before anybody looked.
        watch.plan = record.outcome().plan_id.clone();
        watch.look(&executions).await?;
    }
    let skipped = record.outcome().outcome == Ending::Skipped;
    let told = record.as_record(platform);
    match (form.json, shown) {
        (true, _) => say(cycle_json(&told))?,
        (false, Shown::Difference) if skipped => (),
        (false, Shown::Difference) => say(diff(&told).trim_end())?,
        (false, Shown::Everything) => say(explain(&told).trim_end())?,
    }
    match ended {
        Ended::Failed { error, cause } => Err(format!("{error}: {cause}")),
        Ended::Succeeded(_) if skipped => {
            eprintln!("headroom: nothing was done: {}", record.outcome().summary);
            Ok(ExitCode::from(NOTHING_DONE))
        }
        Ended::Succeeded(_) => Ok(ExitCode::SUCCESS),
    }
}

/// What is looked at of a running cycle, and what was told of it.
struct Watch<'a> {
    platform: &'a PlatformName,
    arn: String,
    cycle: CycleId,
    store: Store<DynamoTable>,
    plan: Option<PlanId>,
    since: Timestamp,
    history: HistoryRead,
    progress: Progress,
    failed: bool,
}

impl<'a> Watch<'a> {
    fn new(aws: &Aws, platform: &'a PlatformName, plan: Option<PlanId>) -> Watch<'a> {
        // What a dead cycle did to a plan that this one takes over is not told again. A minute leaves room for clocks that
        // differ.
        let since = Timestamp::now().checked_sub(Duration::from_secs(60)).unwrap_or(Timestamp::MIN);
        Watch {
            platform,
            arn: String::new(),
            cycle: CycleId(String::new()),
            store: state::store(aws, platform),
            plan,
            since,
            history: HistoryRead::default(),
            progress: Progress::default(),
            failed: false,
        }
    }

    /// The execution to look at, once it is started.
    fn follow(&mut self, arn: String) {
        eprintln!("started {arn}");
        self.cycle = CycleId(arn.rsplit(':').next().unwrap_or_default().to_owned());
        self.arn = arn;
    }

    async fn until_ended(&mut self, executions: &StepFunctions) -> Result<Ended, String> {
        let begun = Instant::now();
        loop {
            let ended = executions.ended(&self.arn).await.map_err(|error| error.to_string())?;
            if let Err(error) = self.look(executions).await
                && !std::mem::replace(&mut self.failed, true)
            {
                // The cycle goes on without anybody who watches it.
                eprintln!("its progress cannot be told: {error}");
            }
            match ended {
                Some(ended) => return Ok(ended),
                None if WAIT_MAX < begun.elapsed() => {
                    return Err(format!("{} still runs after {} s", self.arn, WAIT_MAX.as_secs()));
                }
                None => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    async fn look(&mut self, executions: &StepFunctions) -> Result<(), String> {
        let entered = executions.entered(&self.arn, &mut self.history).await;
        for state in entered.map_err(|error| error.to_string())? {
            if let Some(line) = self.progress.entered(&state) {
                tell(&line);
            }
        }
        let lease = self.store.lease(self.platform).await.map_err(|error| error.to_string())?.value;
        if lease.held_by(&self.cycle).is_ok() && lease.open_plan.is_some() {
            self.plan = lease.open_plan;
        }
        self.steps().await?.iter().for_each(|line| tell(line));
        Ok(())
    }

    /// What has happened to the steps of the plan since it was asked last.
    async fn steps(&mut self) -> Result<Vec<String>, String> {
        let Some(plan) = &self.plan else { return Ok(Vec::new()) };
        let journal = self.store.journal(self.platform, plan).await.map_err(|error| error.to_string())?;
        let entries: Vec<_> = journal.into_iter().map(|entry| entry.value).collect();
        Ok(self.progress.steps(&entries, self.since))
    }
}

fn tell(line: &str) {
    eprintln!("{} {line}", Timestamp::now().strftime("%H:%M:%S"));
}
