//! collect-metrics: takes the platform's lease, reads metrics and capacity, appends to history, returns batches.

mod claim;
mod look;
mod past;
mod rollback;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use headroom_aws::config_source::{ConfigSource, ParameterStore};
use headroom_aws::configs::Configs;
use headroom_aws::error::{AwsError, ErrorKind};
use headroom_aws::executions::{Executions, StepFunctions};
use headroom_aws::failure::Failure;
use headroom_aws::fleet::{AwsFleet, Fleet};
use headroom_aws::meter::Meter;
use headroom_aws::metrics::{CloudWatch, Metrics};
use headroom_aws::sdk::Aws;
use headroom_aws::store::Store;
use headroom_aws::table::{DynamoTable, Table};
use headroom_aws::time_left::TimeLeft;
use headroom_aws::trigger::trigger;
use headroom_core::cycle::{
    Batch, CollectRequest, CollectResponse, CollectedKind, Cycle, Input, InvalidInput,
};
use headroom_core::name::{ConfigVersion, PlatformName};
use headroom_core::platform::Platform;

use claim::Claimed;

/// What the function works with.
#[derive(Debug)]
pub struct Ports<T, M, F, C, E> {
    /// What is stored.
    pub store: Store<T>,
    /// Where metrics are read.
    pub metrics: M,
    /// What is scaled.
    pub fleet: F,
    /// Where configurations come from.
    pub source: C,
    /// Configurations already parsed.
    pub configs: Configs,
    /// Whether executions still run.
    pub executions: E,
    /// Counts what is used.
    pub meter: Meter,
    /// How much of its time the invocation has left.
    pub time_left: TimeLeft,
}

impl Ports<DynamoTable, CloudWatch, AwsFleet, ParameterStore, StepFunctions> {
    /// Ports to AWS, with the tables that the environment names.
    ///
    /// # Errors
    /// When a table is not named.
    pub fn new(aws: &Aws) -> Result<Self, std::env::VarError> {
        Ok(Ports {
            store: Store::from_env(aws)?,
            metrics: CloudWatch::new(&aws.cloudwatch(), &aws.meter),
            fleet: AwsFleet::new(aws),
            source: ParameterStore::new(aws),
            configs: Configs::default(),
            executions: StepFunctions::new(&aws.sfn()),
            meter: aws.meter.clone(),
            time_left: aws.time_left.clone(),
        })
    }
}

/// Begins a cycle.
///
/// # Errors
/// When the input or the configuration is wrong, or a call fails. What is merely unknown is no error.
pub async fn handle<T, M, F, C, E>(
    ports: &Ports<T, M, F, C, E>,
    request: CollectRequest,
) -> Result<CollectResponse, Failure>
where
    T: Table,
    M: Metrics,
    F: Fleet,
    C: ConfigSource,
    E: Executions,
{
    let input = Input::read(&request.input)?;
    let cycle = Cycle::new(&input, &request.execution);
    let mut collected = match claim::claim(ports, &cycle, input.plan.as_ref(), request.at).await? {
        Claimed::Granted(looked_at) => {
            let (platform, config) = load(ports, &cycle.platform).await?;
            check_manual(&platform, &input)?;
            let summary = look::look(ports, &platform, &cycle, looked_at).await?;
            let ready = answer(&cycle, CollectedKind::Ready, summary);
            CollectResponse {
                config: Some(config),
                batches: Batch::cover(&platform),
                capacity: input.capacity,
                ..ready
            }
        }
        Claimed::Recover(plan, summary) => {
            CollectResponse { plan: Some(plan), ..answer(&cycle, CollectedKind::Recover, summary) }
        }
        Claimed::RollBack(plan, summary) => {
            CollectResponse { plan: Some(plan), ..answer(&cycle, CollectedKind::RollBack, summary) }
        }
        Claimed::Skipped(summary) => answer(&cycle, CollectedKind::Skipped, summary),
        Claimed::Resumed(summary) => answer(&cycle, CollectedKind::Resumed, summary),
    };
    let trigger = trigger(&request.input);
    tracing::info!(platform = %cycle.platform, cycle = %cycle.id, %trigger, kind = ?collected.kind, "{}", collected.summary);
    collected.usage = ports.meter.take();
    Ok(collected)
}

fn answer(cycle: &Cycle, kind: CollectedKind, summary: String) -> CollectResponse {
    CollectResponse {
        kind,
        cycle: cycle.clone(),
        config: None,
        batches: Vec::new(),
        capacity: [].into(),
        plan: None,
        summary,
        usage: Default::default(),
    }
}

/// The platform's configuration, kept under its version for the rest of the cycle.
async fn load<T: Table, M, F, C: ConfigSource, E>(
    ports: &Ports<T, M, F, C, E>,
    name: &PlatformName,
) -> Result<(Arc<Platform>, ConfigVersion), Failure> {
    let missing = |error: AwsError| match error.kind {
        ErrorKind::NotFound => Failure::ConfigMissing { platform: name.clone(), why: error.to_string() },
        _ => Failure::Aws(error),
    };
    let text = ports.source.load(name).await.map_err(missing)?;
    ports.configs.keep(&ports.store, name, &text).await
}

/// What is asked for by hand must exist, or a slip of the pen would be done in silence.
fn check_manual(platform: &Platform, input: &Input) -> Result<(), InvalidInput> {
    match input.capacity.keys().find(|key| platform.place(key).is_none()) {
        Some(unknown) => Err(InvalidInput::unknown_dimension(platform, unknown)),
        None => Ok(()),
    }
}
