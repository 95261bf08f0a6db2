//! SDK clients: made once at cold start, with limits on everything.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::config::retry::RetryConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::interceptors::SharedInterceptor;

use crate::meter::Meter;

/// No call here takes longer on a good day than two seconds; a page of metrics may.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Throttles and hiccups of a second or two. The state machine retries with more patience than a function should.
const ATTEMPTS_MAX: u32 = 3;

/// Every client that any function needs. Making one costs nothing until it is used.
#[derive(Clone, Debug)]
pub struct Clients {
    /// EC2 Auto Scaling.
    pub autoscaling: aws_sdk_autoscaling::Client,
    /// Application Auto Scaling.
    pub application: aws_sdk_applicationautoscaling::Client,
    /// CloudWatch.
    pub cloudwatch: aws_sdk_cloudwatch::Client,
    /// DynamoDB, for users' tables and for our own.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// ECS.
    pub ecs: aws_sdk_ecs::Client,
    /// Load balancers.
    pub balancing: aws_sdk_elasticloadbalancingv2::Client,
    /// S3, for large configurations.
    pub s3: aws_sdk_s3::Client,
    /// Step Functions.
    pub sfn: aws_sdk_sfn::Client,
    /// SNS.
    pub sns: aws_sdk_sns::Client,
    /// Parameter Store.
    pub ssm: aws_sdk_ssm::Client,
    /// Counts what all of them are used for.
    pub meter: Meter,
}

impl Clients {
    /// Clients from the environment: region, credentials and endpoints as every AWS SDK reads them.
    pub async fn from_env() -> Clients {
        Clients::new(&load().await, Meter::default())
    }

    /// Clients from a configuration.
    pub fn new(config: &SdkConfig, meter: Meter) -> Clients {
        let counting = SharedInterceptor::new(meter.clone());
        macro_rules! client {
            ($sdk:ident) => {
                $sdk::Client::from_conf(
                    $sdk::config::Builder::from(config).interceptor(counting.clone()).build(),
                )
            };
        }
        let s3 =
            aws_sdk_s3::config::Builder::from(config).interceptor(counting.clone()).force_path_style(true);
        Clients {
            autoscaling: client!(aws_sdk_autoscaling),
            application: client!(aws_sdk_applicationautoscaling),
            cloudwatch: client!(aws_sdk_cloudwatch),
            dynamodb: client!(aws_sdk_dynamodb),
            ecs: client!(aws_sdk_ecs),
            balancing: client!(aws_sdk_elasticloadbalancingv2),
            s3: aws_sdk_s3::Client::from_conf(s3.build()),
            sfn: client!(aws_sdk_sfn),
            sns: client!(aws_sdk_sns),
            ssm: client!(aws_sdk_ssm),
            meter,
        }
    }
}

/// The HTTP client of every SDK client: rustls with ring, which needs no C toolchain beyond a compiler.
pub fn http_client() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
}

async fn load() -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .build();
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client())
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX))
        .load()
        .await
}
