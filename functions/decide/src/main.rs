//! The Lambda function decide.

#![recursion_limit = "256"] // The futures of a whole cycle are deeply nested types.

use decide::{Ports, handle};
use headroom_aws::lambda;
use headroom_aws::sdk::Aws;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda::logging();
    let aws = Aws::from_env().await;
    let ports = Ports::new(&aws)?;
    lambda::serve(&aws, |request| handle(&ports, request)).await
}
