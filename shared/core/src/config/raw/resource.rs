//! Resources: one shape for each type that AWS scales.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::scalar::{Span, Statistic};

/// Something that AWS scales.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Resource {
    Ec2AutoScalingGroup(Ec2AutoScalingGroup),
    EcsService(EcsService),
    EksNodeGroup(EksNodeGroup),
    #[serde(rename = "DYNAMODB_TABLE")]
    DynamoDbTable(DynamoDbTable),
    AuroraServerless(AuroraServerless),
    AuroraReplicas(Replicas),
    RdsReadReplicas(Replicas),
    RdsStorage(RdsStorage),
    #[serde(rename = "ELASTICACHE_REPLICATION_GROUP")]
    ElastiCacheReplicationGroup(ElastiCacheReplicationGroup),
    LambdaFunction(LambdaFunction),
    KinesisStream(KinesisStream),
    #[serde(rename = "SAGEMAKER_ENDPOINT")]
    SageMakerEndpoint(SageMakerEndpoint),
    ApiGatewayStage(ApiGatewayStage),
    ScalableTarget(ScalableTarget),
}

/// What every resource may say.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Common {
    /// The resource's name in AWS.
    pub(crate) name: String,
    /// What Headroom calls it, where two resources have the same name. Default the name.
    pub(crate) id: Option<String>,
    /// floor: move the minimum and leave the rest to the native policy; desired: own the capacity.
    /// Default floor where a native scaling policy exists, else desired.
    pub(crate) mode: Option<Mode>,
    /// What a unit costs an hour. Default by type.
    #[schemars(range(min = 0))]
    pub(crate) hourly_cost_per_unit: Option<f64>,
    /// How long a unit takes to become ready: the first guess, learned from then on. Default by type.
    #[schemars(range(min = 0, max = 86400))]
    pub(crate) provisioning_seconds: Option<u32>,
    /// What demand is measured by; the largest demand counts.
    pub(crate) metrics: Option<Vec<Metric>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    Floor,
    Desired,
}

/// A metric that demand is derived from.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metric {
    pub(crate) name: String,
    pub(crate) kind: MetricKind,
    /// The dimension it drives, such as `write`, on resources that have several. Default the first.
    pub(crate) dimension: Option<String>,
    /// The CloudWatch namespace. Without it the metric only works offline.
    pub(crate) namespace: Option<String>,
    /// The CloudWatch metric. Default the name.
    pub(crate) metric_name: Option<String>,
    pub(crate) dimensions: Option<BTreeMap<String, String>>,
    /// Default Sum for load, Average otherwise, p99 for latency.
    pub(crate) statistic: Option<Statistic>,
    /// How long the source takes between its points, in whole minutes up to 15m. Default 1m; 5m for counts of AWS/EC2.
    pub(crate) period: Option<Span>,
    /// What a period without points means: unknown, the default, or zero, for a load that is counted and for a queue_depth.
    pub(crate) missing: Option<Missing>,
    /// load: what one unit should carry, in the metric's own unit each minute. queue_depth: the backlog that one unit may
    /// have, which counts while no load of the dimension says what arrives.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub(crate) target_per_unit: Option<f64>,
    /// What one unit can carry before the objective breaks.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub(crate) limit_per_unit: Option<f64>,
    /// utilization: percent to keep, or what one unit should have of a metric that AWS gives by the unit; latency: the value
    /// not to pass.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub(crate) target_value: Option<f64>,
    /// queue_depth: how long a backlog may take to drain. Default 5m. Units are added to those that keep up with what
    /// arrives, and kept until it is over.
    pub(crate) drain_time: Option<Span>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MetricKind {
    /// Work arriving, such as requests.
    Load,
    /// Percent of what the capacity can do.
    Utilization,
    /// A guard: above the value one step is added.
    Latency,
    /// Work waiting.
    QueueDepth,
}

/// What a period without points means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Missing {
    /// Nothing is known of it.
    Unknown,
    /// Nothing happened in it, if the metric had points within the last two weeks.
    Zero,
}

/// A smallest and a largest number of units.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Range {
    pub(crate) min: u32,
    pub(crate) max: u32,
}

/// Instances of an EC2 Auto Scaling group.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Ec2AutoScalingGroup {
    #[serde(flatten)]
    pub(crate) common: Common,
    pub(crate) min_capacity: u32,
    pub(crate) max_capacity: u32,
    #[schemars(range(min = 1, max = 100))]
    pub(crate) target_cpu_utilization: Option<f64>,
    /// Stopped instances kept ready, sized from the forecast.
    pub(crate) warm_pool: Option<Range>,
}

/// Tasks of an ECS service.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct EcsService {
    #[serde(flatten)]
    pub(crate) common: Common,
    /// The ECS cluster. Default `default`.
    pub(crate) cluster: Option<String>,
    pub(crate) min_capacity: u32,
    pub(crate) max_capacity: u32,
    #[schemars(range(min = 1, max = 100))]
    pub(crate) target_cpu_utilization: Option<f64>,
    #[schemars(range(min = 1, max = 100))]
    pub(crate) target_memory_utilization: Option<f64>,
}

/// Nodes of an EKS managed node group.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "targets wait for this type's adapter")]
pub(crate) struct EksNodeGroup {
    #[serde(flatten)]
    pub(crate) common: Common,
    pub(crate) cluster: String,
    pub(crate) min_capacity: u32,
    pub(crate) max_capacity: u32,
    #[schemars(range(min = 1, max = 100))]
    pub(crate) target_cpu_utilization: Option<f64>,
}

/// Read and write units of a DynamoDB table in provisioned mode, and of its indexes.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct DynamoDbTable {
    #[serde(flatten)]
    pub(crate) common: Common,
    pub(crate) read_capacity: Option<Throughput>,
    pub(crate) write_capacity: Option<Throughput>,
    /// Global secondary indexes, by name.
    pub(crate) indexes: Option<BTreeMap<String, IndexThroughput>>,
}

/// Bounds and target of a table's or index's read or write units.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Throughput {
    pub(crate) min: u32,
    pub(crate) max: u32,
    /// Percent of the provisioned units to use. Default 70.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) target_utilization: Option<f64>,
    /// What a minute without points means: an idle table publishes none. Default unknown, which holds the capacity.
    pub(crate) missing: Option<Missing>,
}

/// Read and write units of an index.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IndexThroughput {
    pub(crate) read_capacity: Option<Throughput>,
    pub(crate) write_capacity: Option<Throughput>,
}

/// Capacity units (ACU, in halves) of an Aurora Serverless v2 cluster.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "targets wait for this type's adapter")]
pub(crate) struct AuroraServerless {
    #[serde(flatten)]
    pub(crate) common: Common,
    /// Smallest ACU, in halves.
    #[schemars(range(min = 0, max = 256))]
    pub(crate) min_capacity: f64,
    /// Largest ACU, in halves.
    #[schemars(range(min = 0.5, max = 256))]
    pub(crate) max_capacity: f64,
    #[schemars(range(min = 1, max = 100))]
    pub(crate) target_cpu_utilization: Option<f64>,
    /// Whether the cluster may pause when idle. Left as it is in AWS; a paused cluster is not woken.
    pub(crate) auto_pause: Option<bool>,
    /// How long it must be idle before it pauses.
    pub(crate) auto_pause_delay: Option<Span>,
}

/// Read replicas of an Aurora cluster or an RDS instance.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "targets wait for this type's adapter")]
pub(crate) struct Replicas {
    #[serde(flatten)]
    pub(crate) common: Common,
    pub(crate) min_capacity: u32,
    #[schemars(range(max = 15))]
    pub(crate) max_capacity: u32,
    #[schemars(range(min = 1, max = 100))]
    pub(crate) target_cpu_utilization: Option<f64>,
}

/// Storage of an RDS instance in GiB. It only grows.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "targets wait for this type's adapter")]
pub(crate) struct RdsStorage {
    #[serde(flatten)]
    pub(crate) common: Common,
    pub(crate) min_capacity: u32,
    #[schemars(range(max = 65536))]
    pub(crate) max_capacity: u32,
    /// Percent of the storage to use. Default 80.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) target_utilization: Option<f64>,
}

/// Replicas and shards of an ElastiCache replication group.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "targets wait for this type's adapter")]
pub(crate) struct ElastiCacheReplicationGroup {
    #[serde(flatten)]
    pub(crate) common: Common,
    /// Replicas of each shard.
    pub(crate) replicas: Option<Range>,
    pub(crate) shards: Option<Range>,
    #[schemars(range(min = 1, max = 100))]
    pub(crate) target_cpu_utilization: Option<f64>,
    #[schemars(range(min = 1, max = 100))]
    pub(crate) target_memory_utilization: Option<f64>,
}

/// Provisioned and reserved concurrency of a Lambda function.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "targets wait for this type's adapter")]
pub(crate) struct LambdaFunction {
    #[serde(flatten)]
    pub(crate) common: Common,
    /// The alias or version that has provisioned concurrency.
    pub(crate) qualifier: Option<String>,
    pub(crate) provisioned_concurrency: Option<Range>,
    pub(crate) reserved_concurrency: Option<Range>,
    /// Percent of the concurrency to use. Default 70.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) target_utilization: Option<f64>,
}

/// Shards of a Kinesis data stream.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "targets wait for this type's adapter")]
pub(crate) struct KinesisStream {
    #[serde(flatten)]
    pub(crate) common: Common,
    pub(crate) min_capacity: u32,
    pub(crate) max_capacity: u32,
    /// Percent of a shard's throughput to use. Default 70.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) target_utilization: Option<f64>,
}

/// Instances of one variant of a SageMaker endpoint.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "targets wait for this type's adapter")]
pub(crate) struct SageMakerEndpoint {
    #[serde(flatten)]
    pub(crate) common: Common,
    /// The production variant. Default `AllTraffic`.
    pub(crate) variant: Option<String>,
    pub(crate) min_capacity: u32,
    pub(crate) max_capacity: u32,
    /// Invocations a minute that one instance should carry.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub(crate) target_invocations: Option<f64>,
}

/// Throttle of an API Gateway stage, in requests a second.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "targets wait for this type's adapter")]
pub(crate) struct ApiGatewayStage {
    #[serde(flatten)]
    pub(crate) common: Common,
    pub(crate) stage: String,
    pub(crate) min_capacity: u32,
    pub(crate) max_capacity: u32,
    /// Percent of the throttle to use. Default 70.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) target_utilization: Option<f64>,
}

/// Anything else that Application Auto Scaling scales.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct ScalableTarget {
    #[serde(flatten)]
    pub(crate) common: Common,
    pub(crate) service_namespace: String,
    pub(crate) resource_id: String,
    pub(crate) scalable_dimension: String,
    pub(crate) min_capacity: u32,
    pub(crate) max_capacity: u32,
}
