//! Executions of the state machine: whether one still runs.

use std::future::Future;
use std::time::Duration;

use aws_sdk_sfn::Client;
use aws_sdk_sfn::operation::describe_execution::DescribeExecutionOutput;
use aws_sdk_sfn::types::ExecutionStatus;

use jiff::{SignedDuration, Timestamp};

use crate::error::{AwsError, ErrorKind};

/// What is asked about executions.
pub trait Executions: Send + Sync {
    /// Whether an execution may still act at `at`: it runs, or it ended so short a time ago that a function which it had
    /// called may not have. `None` when that cannot be told.
    fn may_act(&self, arn: &str, at: Timestamp) -> impl Future<Output = Option<bool>> + Send;
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

/// An execution that is stopped or runs out of time leaves the function running that it had called, for as long as the
/// function may run: the longest `Timeout` in template.yaml.
pub const FUNCTION_TIME_MAX: SignedDuration = SignedDuration::from_secs(180);

/// Events of a page of a history: as many as the API gives.
const HISTORY_PAGE: i32 = 1_000;
/// An execution has 25,000 events at most.
const HISTORY_PAGES_MAX: usize = 25;

/// How far an execution's history was read.
#[derive(Clone, Debug, Default)]
pub struct HistoryRead {
    page: Option<String>,
    last: i64,
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

    /// How an execution ended; `None` while it runs.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn ended(&self, arn: &str) -> Result<Option<Ended>, AwsError> {
        let answer = self.describe(arn).await?;
        Ok(match answer.status {
            ExecutionStatus::Running | ExecutionStatus::PendingRedrive => None,
            ExecutionStatus::Succeeded => Some(Ended::Succeeded(answer.output.unwrap_or_default())),
            status => {
                let error = answer.error.unwrap_or_else(|| status.to_string());
                Some(Ended::Failed { error, cause: answer.cause.unwrap_or_default() })
            }
        })
    }

    /// The names of the states that an execution has entered since `read` was read, which it moves on.
    ///
    /// # Errors
    /// When a call fails.
    pub async fn entered(&self, arn: &str, read: &mut HistoryRead) -> Result<Vec<String>, AwsError> {
        let mut states = Vec::new();
        for _ in 0..HISTORY_PAGES_MAX {
            let page = self.client.get_execution_history().execution_arn(arn).include_execution_data(false);
            let page = page.max_results(HISTORY_PAGE).set_next_token(read.page.clone()).send().await;
            let page = page.map_err(|error| AwsError::of(error, format!("read the history of {arn}")))?;
            for event in page.events.iter().filter(|event| read.last < event.id) {
                states.extend(event.state_entered_event_details.as_ref().map(|entered| entered.name.clone()));
            }
            read.last = page.events.iter().map(|event| event.id).max().unwrap_or(0).max(read.last);
            match page.next_token {
                // A page with another one after it is full and does not change any more.
                Some(next) => read.page = Some(next),
                None => break,
            }
        }
        Ok(states)
    }

    /// Waits for the end of an execution.
    ///
    /// # Errors
    /// When a call fails, or it has not ended within `most`.
    pub async fn wait(&self, arn: &str, most: Duration) -> Result<Ended, AwsError> {
        let doing = || format!("wait for execution {arn}");
        let polls = most.as_millis() / POLL.as_millis();
        for _ in 0..polls {
            match self.ended(arn).await? {
                Some(ended) => return Ok(ended),
                None => tokio::time::sleep(POLL).await,
            }
        }
        Err(AwsError::new(
            ErrorKind::Unavailable,
            doing(),
            format!("it still runs after {} s", most.as_secs()),
        ))
    }

    async fn describe(&self, arn: &str) -> Result<DescribeExecutionOutput, AwsError> {
        let answer = self.client.describe_execution().execution_arn(arn).send().await;
        answer.map_err(|error| AwsError::of(error, format!("describe execution {arn}")))
    }
}

fn may_act(execution: &DescribeExecutionOutput, at: Timestamp) -> bool {
    if matches!(execution.status, ExecutionStatus::Running | ExecutionStatus::PendingRedrive) {
        return true;
    }
    let ended = execution.stop_date.and_then(|date| Timestamp::from_second(date.secs()).ok());
    ended.is_some_and(|ended| at.duration_since(ended) <= FUNCTION_TIME_MAX)
}

impl Executions for StepFunctions {
    async fn may_act(&self, arn: &str, at: Timestamp) -> Option<bool> {
        match self.describe(arn).await {
            Ok(execution) => Some(may_act(&execution, at)),
            Err(error) if error.kind == ErrorKind::NotFound => Some(false),
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
    async fn may_act(&self, arn: &str, _: Timestamp) -> Option<bool> {
        Some(self.0.contains(arn))
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_sfn::primitives::DateTime;

    use super::*;

    #[test]
    fn a_stopped_execution_may_act_until_its_last_function_has_ended() {
        let ended = |status: ExecutionStatus, at: Option<i64>| {
            let execution = DescribeExecutionOutput::builder().execution_arn("e").state_machine_arn("m");
            let execution = execution.status(status).start_date(DateTime::from_secs(0));
            execution.set_stop_date(at.map(DateTime::from_secs)).build().unwrap()
        };
        let check = |execution: &DescribeExecutionOutput, at: i64, expected: bool| {
            assert_eq!(
                may_act(execution, Timestamp::from_second(at).unwrap()),
                expected,
                "{execution:?} at {at}"
            );
        };
        check(&ended(ExecutionStatus::Running, None), 9_000, true);
        for status in [ExecutionStatus::Aborted, ExecutionStatus::TimedOut, ExecutionStatus::Failed] {
            let ended = ended(status, Some(1_000));
            check(&ended, 1_001, true);
            check(&ended, 1_180, true);
            check(&ended, 1_181, false);
        }
    }
}
