//! A shop on a local AWS with a stack of Headroom of its own, as a person of an account has it: cycles are started by hand,
//! the load is published as AWS would, and what is stored can be read.

use std::path::Path;
use std::time::Duration;

use aws_sdk_dynamodb::types::ProvisionedThroughput;
use headroom_aws::config_source::ParameterStore;
use headroom_aws::executions::{Ended, StepFunctions};
use headroom_aws::sdk::Aws;
use headroom_aws::store::Store;
use headroom_aws::table::DynamoTable;
use headroom_core::name::PlatformName;
use headroom_core::series::Series;
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use crate::health::HealthEndpoint;
use crate::server::Server;
use crate::shop::{Capacity, Shop};
use crate::{Result, deploy};

/// A shop and its stack.
#[derive(Debug)]
pub struct Deployment {
    /// The shop.
    pub shop: Shop,
    /// Its health endpoint.
    pub health: HealthEndpoint,
    /// The account.
    pub aws: Aws,
    /// Its platform file as it was first published.
    pub platform: String,
    machine: String,
}

impl Deployment {
    /// Creates a shop of this name with this capacity, deploys its stack, and publishes its platform file. It has no
    /// metrics yet.
    ///
    /// # Errors
    /// When the CLI or a call fails.
    pub async fn new(server: &Server, packaged: &Path, name: &str, capacity: Capacity) -> Result<Deployment> {
        let shop = Shop::new(name);
        let (created, machine) =
            tokio::join!(shop.create(server, capacity), deploy::deploy_headroom(server, packaged, name));
        created?;
        let health = HealthEndpoint::start().await?;
        let platform = shop.platform(&health.url)?;
        let deployment =
            Deployment { shop, health, aws: server.connect().await, platform, machine: machine? };
        deployment.publish(&deployment.platform).await?;
        Ok(deployment)
    }

    /// Publishes a platform file, valid or not.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn publish(&self, text: &str) -> Result<()> {
        ParameterStore::new(&self.aws).publish(&self.name(), text, Some(deploy::BUCKET)).await?;
        Ok(())
    }

    /// A steady load from one time to another, on the capacity that there is.
    ///
    /// # Errors
    /// When a call fails.
    pub async fn steady(&self, load: f64, from: Timestamp, to: Timestamp) -> Result<()> {
        let steps = to.duration_since(from).as_secs() / 300 + 1;
        let steady = Series::new(from, 300, (0..steps).map(|_| Some(load)));
        let capacity = self.capacity().await?;
        self.shop.seed(&self.aws, &steady, from, to, Some(capacity)).await
    }

    /// The capacity as AWS has it now.
    ///
    /// # Errors
    /// When a resource is not there.
    pub async fn capacity(&self) -> Result<Capacity> {
        self.shop.capacity(&self.aws).await
    }

    /// Starts a cycle, with more in its input than the platform; answers its ARN.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn start(&self, more: &Json) -> Result<String> {
        let mut input = json!({"platform": self.shop.name});
        if let (Some(input), Some(more)) = (input.as_object_mut(), more.as_object()) {
            input.extend(more.clone());
        }
        let executions = StepFunctions::new(&self.aws.sfn());
        Ok(executions.start(&self.machine, None, &input.to_string()).await?)
    }

    /// The ARN of its state machine.
    pub fn machine(&self) -> &str {
        &self.machine
    }

    /// The ARN of an execution of this shop's state machine.
    pub fn execution(&self, name: &str) -> String {
        format!("{}:{name}", self.machine.replace(":stateMachine:", ":execution:"))
    }

    /// Waits for the end of a cycle.
    ///
    /// # Errors
    /// When it takes longer than `most`, or a call fails.
    pub async fn end_of(&self, arn: &str, most: Duration) -> Result<Cycle> {
        let ended = StepFunctions::new(&self.aws.sfn()).wait(arn, most).await?;
        let arn = arn.to_owned();
        Ok(match ended {
            Ended::Succeeded(output) => Cycle {
                arn,
                output: serde_json::from_str(&output)?,
                error: String::new(),
                cause: String::new(),
            },
            Ended::Failed { error, cause } => Cycle { arn, output: Json::Null, error, cause },
        })
    }

    /// Somebody sets the table's units, past Headroom.
    ///
    /// # Errors
    /// When AWS refuses.
    pub async fn set_table_by_hand(&self, read: i64, write: i64) -> Result<()> {
        let throughput =
            ProvisionedThroughput::builder().read_capacity_units(read).write_capacity_units(write).build()?;
        let update = self.aws.dynamodb().update_table().table_name(self.shop.orders());
        update.provisioned_throughput(throughput).send().await?;
        Ok(())
    }

    /// What the stack has stored.
    pub fn store(&self) -> Store<DynamoTable> {
        let table = |name: &str| {
            let name = format!("headroom-{}-{name}", self.shop.name);
            DynamoTable::new(&self.aws.dynamodb(), name, &self.aws.meter)
        };
        Store::new(table("state"), table("demand-forecasts"), table("scaling-decisions"))
    }

    /// The platform's name.
    pub fn name(&self) -> PlatformName {
        PlatformName(self.shop.name.clone())
    }
}

/// How a cycle ended.
#[derive(Clone, Debug)]
pub struct Cycle {
    /// Its execution.
    pub arn: String,
    /// What it answered; null if it failed.
    pub output: Json,
    /// The name of the error that it failed with; empty if it succeeded.
    pub error: String,
    /// The sentence of the error.
    pub cause: String,
}

impl Cycle {
    /// The outcome's name: of the output, or of the error.
    pub fn outcome(&self) -> &str {
        self.output.get("outcome").and_then(Json::as_str).unwrap_or(&self.error)
    }

    /// A counter of what it used.
    pub fn used(&self, counter: &str) -> f64 {
        let usage = self.output.get("usage");
        usage.and_then(|usage| usage.get(counter)).and_then(Json::as_f64).unwrap_or(0.0)
    }
}
