//! The Lambda function execute.

#![recursion_limit = "256"] // The futures of a whole cycle are deeply nested types.

use execute::{Ports, handle};
use headroom_aws::clients::Clients;
use headroom_aws::lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda::logging();
    let clients = Clients::from_env().await;
    let ports = Ports::new(&clients)?;
    lambda::serve(&clients, |request| handle(&ports, request)).await
}
