//! What AWS scales: one file for each kind, and everything that is known of a kind in it.
//!
//! A kind is a shape in the user's file and a description of what that comes to: the dimensions that can be scaled, with
//! their metrics and facts. Whoever plans, guards, checks or rolls back reads the facts and never asks for the kind. To add
//! a kind, write its file and a line in the list below.

mod arn;
mod draft;
mod facts;
mod metric;
mod permissions;
mod schema;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use arn::{Arn, Named, misplaced};
pub(crate) use draft::{DimensionSpec, Draft, Note, Remark, ResourceSpec};
pub use facts::{Adapter, DailyLimit, Facts, Readers, ScalableTargetId, Scaling, TrackedMetric, Undo};
pub use metric::{Measure, Metric, Query, Rate};
pub(crate) use metric::{UTILIZATION_LIMIT, average, guard, published, utilization};
pub use permissions::Permissions;
pub(crate) use schema::{Common, Metric as MetricSchema, MetricKind, Missing};

/// Utilisation to keep where nothing else was said: room for a third more before saturation.
const TARGET_UTILIZATION: f64 = 70.0;

/// A length of time in milliseconds; what does not fit is the most.
fn milliseconds(span: crate::scalar::Span) -> u32 {
    u32::try_from(span.0.as_millis()).unwrap_or(u32::MAX)
}

/// What the user's guide says of a kind.
pub(crate) struct Guide {
    /// A resource of the kind as a user writes it, in one line, with everything that it can scale.
    pub(crate) example: &'static str,
    /// What its row adds to the name of the type.
    pub(crate) also: &'static str,
    /// What its dimensions are called, where one is a pattern and not a name.
    pub(crate) dimensions: Option<&'static str>,
    /// What it is measured by where the user names no metrics.
    pub(crate) measured_by: &'static str,
    /// The keys that say how much of a unit to use, and the default.
    pub(crate) target: &'static str,
    /// What is never done to it, in sentences.
    pub(crate) never: &'static [&'static str],
}

/// A kind of resource, as the user's file has it.
trait Kind {
    /// What the user's guide says of it.
    const GUIDE: Guide;

    /// What can be scaled on such a resource, by what it is measured, and what AWS allows.
    fn describe(self, draft: &mut Draft<'_>) -> ResourceSpec;
}

macro_rules! kinds {
    ($($file:ident::$kind:ident = $name:literal,)+) => {
        $(mod $file;)+

        /// A kind of resource.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ResourceKind {
            $(#[doc = concat!("`", $name, "`")] $kind,)+
        }

        /// Something that AWS scales.
        #[derive(Debug, Deserialize, JsonSchema)]
        #[serde(tag = "type")]
        #[schemars(rename = "Resource")]
        pub(crate) enum Schema {
            $(#[serde(rename = $name)] $kind($file::$kind),)+
        }

        impl ResourceKind {
            /// Every kind.
            pub const ALL: &[ResourceKind] = &[$(ResourceKind::$kind,)+];

            /// The kind's name in the configuration.
            pub fn type_name(self) -> &'static str {
                match self {
                    $(ResourceKind::$kind => $name,)+
                }
            }

            /// The name of its file, and of its page in the documents.
            pub(crate) fn file(self) -> &'static str {
                match self {
                    $(ResourceKind::$kind => stringify!($file),)+
                }
            }

            /// Its page in the documents.
            #[cfg(test)]
            pub(crate) fn page(self) -> &'static str {
                match self {
                    $(ResourceKind::$kind => include_str!(concat!("../../../../docs/kinds/", stringify!($file), ".md")),)+
                }
            }

            /// What the user's guide says of it.
            pub(crate) fn guide(self) -> Guide {
                match self {
                    $(ResourceKind::$kind => <$file::$kind as Kind>::GUIDE,)+
                }
            }
        }

        impl Schema {
            /// The kind of a resource, and what its description says.
            pub(crate) fn describe(self, draft: &mut Draft<'_>) -> (ResourceKind, ResourceSpec) {
                match self {
                    $(Schema::$kind(raw) => (ResourceKind::$kind, raw.describe(draft)),)+
                }
            }
        }
    };
}

kinds! {
    ec2_auto_scaling_group::Ec2AutoScalingGroup = "EC2_AUTO_SCALING_GROUP",
    ecs_service::EcsService = "ECS_SERVICE",
    eks_node_group::EksNodeGroup = "EKS_NODE_GROUP",
    dynamodb_table::DynamoDbTable = "DYNAMODB_TABLE",
    aurora_serverless::AuroraServerless = "AURORA_SERVERLESS",
    aurora_replicas::AuroraReplicas = "AURORA_REPLICAS",
    rds_read_replicas::RdsReadReplicas = "RDS_READ_REPLICAS",
    rds_storage::RdsStorage = "RDS_STORAGE",
    elasticache_replication_group::ElastiCacheReplicationGroup = "ELASTICACHE_REPLICATION_GROUP",
    lambda_function::LambdaFunction = "LAMBDA_FUNCTION",
    kinesis_stream::KinesisStream = "KINESIS_STREAM",
    sagemaker_endpoint::SageMakerEndpoint = "SAGEMAKER_ENDPOINT",
    api_gateway_stage::ApiGatewayStage = "API_GATEWAY_STAGE",
    scalable_target::ScalableTarget = "SCALABLE_TARGET",
}

/// How capacity is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// A minimum is set; a native policy keeps the right to go higher.
    Floor,
    /// The capacity itself is set.
    #[default]
    Desired,
}
