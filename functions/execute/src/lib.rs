//! execute: carries out a batch of steps or rolls it back, each journalled before and after; and settles a cycle.

mod settle;
mod steps;
#[cfg(test)]
mod tests;

use headroom_aws::configs::Configs;
use headroom_aws::failure::Failure;
use headroom_aws::fleet::{AwsFleet, Fleet};
use headroom_aws::meter::Meter;
use headroom_aws::notices::{Notices, Sns};
use headroom_aws::sdk::Aws;
use headroom_aws::store::Store;
use headroom_aws::table::{DynamoTable, Table};
use headroom_core::cycle::{ExecuteRequest, ExecuteResponse};
use headroom_core::settle::Outcome;
use serde::Serialize;

/// What the function works with.
#[derive(Debug)]
pub struct Ports<T, F, N> {
    /// What is stored.
    pub store: Store<T>,
    /// What is scaled.
    pub fleet: F,
    /// Who is told.
    pub notices: N,
    /// Configurations already parsed.
    pub configs: Configs,
    /// The stack's own topic, if it has one.
    pub topic: Option<String>,
    /// Counts what is used.
    pub meter: Meter,
}

impl Ports<DynamoTable, AwsFleet, Sns> {
    /// Ports to AWS, with the tables and the topic that the environment names.
    ///
    /// # Errors
    /// When a table is not named.
    pub fn new(aws: &Aws) -> Result<Self, std::env::VarError> {
        Ok(Ports {
            store: Store::from_env(aws)?,
            fleet: AwsFleet::new(aws),
            notices: Sns::new(&aws.sns()),
            configs: Configs::default(),
            topic: std::env::var("TOPIC_ARN").ok().filter(|topic| !topic.is_empty()),
            meter: aws.meter.clone(),
        })
    }
}

/// What the function answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Response {
    /// For a batch of steps.
    Steps(ExecuteResponse),
    /// For a settled cycle.
    Settled(Box<Outcome>),
}

/// Carries out what is asked.
///
/// # Errors
/// When the lease is lost, the plan must not be carried out, or what is stored cannot be read or written. A step that
/// fails is no error: the answer says so.
pub async fn handle<T: Table, F: Fleet, N: Notices>(
    ports: &Ports<T, F, N>,
    request: ExecuteRequest,
) -> Result<Response, Failure> {
    match request {
        ExecuteRequest::Apply(batch) => {
            steps::carry_out(ports, &batch, steps::Way::Forward).await.map(Response::Steps)
        }
        ExecuteRequest::Undo(batch) => {
            steps::carry_out(ports, &batch, steps::Way::Back).await.map(Response::Steps)
        }
        ExecuteRequest::Settle(request) => {
            settle::settle(ports, *request).await.map(Box::new).map(Response::Settled)
        }
    }
}
