//! Executions of the state machine: whether one still runs.

use std::future::Future;

use aws_sdk_sfn::Client;
use aws_sdk_sfn::types::ExecutionStatus;

use crate::error::{AwsError, Kind};

/// What is asked about executions.
pub trait Executions: Send + Sync {
    /// Whether an execution still runs; `None` when that cannot be told.
    fn runs(&self, arn: &str) -> impl Future<Output = Option<bool>> + Send;
}

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
