//! The way into an AWS account, with limits on everything.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::config::retry::RetryConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::interceptors::SharedInterceptor;

use crate::meter::Meter;
use crate::time_left::TimeLeft;

/// No call here takes longer on a good day than two seconds; a page of metrics may.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Throttles and hiccups of a second or two. The state machine retries with more patience than a function should.
const ATTEMPTS_MAX: u32 = 3;
/// The endpoint of S3 alone, as every AWS SDK reads it. The one of all services stands in the configuration.
const S3_ENDPOINT: &str = "AWS_ENDPOINT_URL_S3";

/// The way into an AWS account. It makes the clients that are asked for and no others, so that a function links and
/// starts only what it uses. Whoever needs a client often keeps it.
#[derive(Clone, Debug)]
pub struct Aws {
    config: SdkConfig,
    /// Counts what every client made here is used for.
    pub meter: Meter,
    /// How much of its time the running invocation has left.
    pub time_left: TimeLeft,
}

/// A client of one service that counts its calls.
macro_rules! client {
    ($(#[$doc:meta])* $service:ident, $sdk:ident) => {
        $(#[$doc])*
        pub fn $service(&self) -> $sdk::Client {
            let config = $sdk::config::Builder::from(&self.config);
            $sdk::Client::from_conf(config.interceptor(SharedInterceptor::new(self.meter.clone())).build())
        }
    };
}

impl Aws {
    /// From the environment: region, credentials and endpoints as every AWS SDK reads them.
    pub async fn from_env() -> Aws {
        Aws::new(load().await, Meter::default())
    }

    /// From a configuration.
    pub fn new(config: SdkConfig, meter: Meter) -> Aws {
        Aws { config, meter, time_left: TimeLeft::default() }
    }

    /// The region that is configured, if one is.
    pub fn region(&self) -> Option<&str> {
        self.config.region().map(|region| region.as_ref())
    }

    client!(
        /// API Gateway.
        apigateway, aws_sdk_apigateway
    );
    client!(
        /// EC2 Auto Scaling.
        autoscaling, aws_sdk_autoscaling
    );
    client!(
        /// Application Auto Scaling.
        application, aws_sdk_applicationautoscaling
    );
    #[cfg(any(test, feature = "discovery"))]
    client!(
        /// CloudFormation, to list what a stack has.
        cloudformation, aws_sdk_cloudformation
    );
    client!(
        /// CloudWatch.
        cloudwatch, aws_sdk_cloudwatch
    );
    client!(
        /// DynamoDB, for users' tables and for our own.
        dynamodb, aws_sdk_dynamodb
    );
    client!(
        /// ECS.
        ecs, aws_sdk_ecs
    );
    client!(
        /// EKS.
        eks, aws_sdk_eks
    );
    client!(
        /// ElastiCache.
        elasticache, aws_sdk_elasticache
    );
    client!(
        /// Load balancers.
        balancing, aws_sdk_elasticloadbalancingv2
    );
    client!(
        /// Kinesis Data Streams.
        kinesis, aws_sdk_kinesis
    );
    client!(
        /// Lambda.
        lambda, aws_sdk_lambda
    );
    client!(
        /// RDS and Aurora.
        rds, aws_sdk_rds
    );
    #[cfg(any(test, feature = "discovery"))]
    client!(
        /// The tags of resources of every service.
        tagging, aws_sdk_resourcegroupstagging
    );
    client!(
        /// SageMaker.
        sagemaker, aws_sdk_sagemaker
    );
    client!(
        /// Step Functions.
        sfn, aws_sdk_sfn
    );
    client!(
        /// SNS.
        sns, aws_sdk_sns
    );
    client!(
        /// Parameter Store.
        ssm, aws_sdk_ssm
    );

    /// S3, for large configurations. In AWS the bucket stands in the host's name, and only where another endpoint was
    /// asked for in the path: a local AWS has no names for buckets.
    pub fn s3(&self) -> aws_sdk_s3::Client {
        let elsewhere = self.config.endpoint_url().is_some() || std::env::var_os(S3_ENDPOINT).is_some();
        let config = aws_sdk_s3::config::Builder::from(&self.config).force_path_style(elsewhere);
        aws_sdk_s3::Client::from_conf(config.interceptor(SharedInterceptor::new(self.meter.clone())).build())
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

#[cfg(test)]
mod tests {
    use aws_config::Region;
    use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
    use aws_sdk_s3::presigning::PresigningConfig;

    use super::*;

    /// Where an object of S3 is asked for.
    async fn place(endpoint: Option<&str>) -> String {
        let credentials = Credentials::new("key", "secret", None, None, "test");
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .http_client(http_client())
            .credentials_provider(SharedCredentialsProvider::new(credentials));
        config.set_endpoint_url(endpoint.map(str::to_owned));
        let s3 = Aws::new(config.build(), Meter::default()).s3();
        let asked = s3.get_object().bucket("configs").key("headroom/shop.yaml");
        let signed = asked.presigned(PresigningConfig::expires_in(Duration::from_secs(60)).unwrap()).await;
        signed.unwrap().uri().split('?').next().unwrap().to_owned()
    }

    #[tokio::test]
    async fn buckets_stand_in_the_path_only_of_another_endpoint() {
        assert_eq!(place(None).await, "https://configs.s3.eu-central-1.amazonaws.com/headroom/shop.yaml");
        assert_eq!(
            place(Some("http://127.0.0.1:4566")).await,
            "http://127.0.0.1:4566/configs/headroom/shop.yaml"
        );
    }
}
