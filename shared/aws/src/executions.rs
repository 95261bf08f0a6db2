//! Executions of the state machine: whether one still runs.

use std::future::Future;
use std::time::Duration;

use aws_sdk_sfn::Client;
use aws_sdk_sfn::types::ExecutionStatus;

use crate::error::{AwsError, Kind};

/// What is asked about executions.
pub trait Executions: Send + Sync {
    /// Whether an execution still runs; `None` when that cannot be told.
    fn runs(&self, arn: &str) -> impl Future<Output = Option<bool>> + Send;
}

/// How an execution ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this output.
    Succeeded(String),
    /// With this name and sentence.
    Failed {
        /// The name.
        error: String,
        /// The sentence.
        cause: String,
    },
}

/// A person who waits does not notice less; the API allows much more.
const POLL: Duration = Duration::from_millis(500);

/// Step Functions.
#[derive(Clone, Debug)]
pub struct StepFunctions {
    client: Client,
}

impl StepFunctions {
    /// Executions behind a client.
    pub fn new(client: &Client) -> StepFunctions {
        StepFunctions { client: client.clone() }
    }

    /// Starts an execution, with this name or one that AWS makes up; answers its ARN.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn start(&self, machine: &str, name: Option<&str>, input: &str) -> Result<String, AwsError> {
        let start = self
            .client
            .start_execution()
            .state_machine_arn(machine)
            .set_name(name.map(str::to_owned))
            .input(input);
        let answer = start.send().await.map_err(|error| AwsError::of(error, format!("start {machine}")))?;
        Ok(answer.execution_arn)
    }

    /// Waits for the end of an execution.
    ///
    /// # Errors
    /// When a call fails, or it has not ended within `most`.
    pub async fn wait(&self, arn: &str, most: Duration) -> Result<Ended, AwsError> {
        let doing = || format!("wait for execution {arn}");
        let polls = most.as_millis() / POLL.as_millis();
        for _ in 0..polls {
            let answer = self.client.describe_execution().execution_arn(arn).send().await;
            let answer = answer.map_err(|error| AwsError::of(error, doing()))?;
            match answer.status {
                ExecutionStatus::Running | ExecutionStatus::PendingRedrive => tokio::time::sleep(POLL).await,
                ExecutionStatus::Succeeded => return Ok(Ended::Succeeded(answer.output.unwrap_or_default())),
                status => {
                    let error = answer.error.unwrap_or_else(|| status.to_string());
                    return Ok(Ended::Failed { error, cause: answer.cause.unwrap_or_default() });
                }
            }
        }
        Err(AwsError::new(Kind::Unavailable, doing(), format!("it still runs after {} s", most.as_secs())))
    }

    async fn status(&self, arn: &str) -> Result<ExecutionStatus, AwsError> {
        let answer = self.client.describe_execution().execution_arn(arn).send().await;
        Ok(answer.map_err(|error| AwsError::of(error, format!("describe execution {arn}")))?.status)
    }
}

impl Executions for StepFunctions {
    async fn runs(&self, arn: &str) -> Option<bool> {
        match self.status(arn).await {
            Ok(status) => Some(matches!(status, ExecutionStatus::Running | ExecutionStatus::PendingRedrive)),
            Err(error) if error.kind == Kind::NotFound => Some(false),
            // Not knowing is safe: the lease then runs its term.
            Err(error) => {
                tracing::warn!(%error, "cannot tell whether the holder of the lease still runs");
                None
            }
        }
    }
}

/// Executions in memory, for tests of handlers: those that still run.
#[cfg(any(test, feature = "fakes"))]
#[derive(Clone, Debug, Default)]
pub struct MemoryExecutions(pub std::collections::BTreeSet<String>);

#[cfg(any(test, feature = "fakes"))]
impl Executions for MemoryExecutions {
    async fn runs(&self, arn: &str) -> Option<bool> {
        Some(self.0.contains(arn))
    }
}
