//! What AWS allows, takes and tells of a dimension: facts that planning, guardrails, checks and rolling back read.

use super::Query;

/// What is known of a dimension because of its kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// List price of a unit in us-east-1, in dollars an hour, as a first guess.
    pub unit_cost_hourly: f64,
    /// Which ways it can go.
    pub scaling: Scaling,
    /// What rolling a change back restores.
    pub undo: Undo,
    /// Whether an adapter can observe and change it. What has none is held with that reason.
    pub is_served: bool,
    /// As Application Auto Scaling knows it: where native policies are found, and what a floor is set on.
    pub scalable_target: Option<ScalableTargetId>,
    /// The metric that tells the units of the past.
    pub past_capacity: Option<Query>,
    /// Whether AWS changes one dimension of the resource at a time, so that another has to wait for a later cycle.
    pub one_at_a_time: bool,
    /// Whether it is no capacity, but a limit on what is let in to what its group depends on.
    pub is_throttle: bool,
    /// How many changes AWS allows a day, where it counts them.
    pub daily_limit: Option<DailyLimit>,
    /// How much a unit carries of the metrics whose names begin so: a second of those that count, at a time of levels. AWS
    /// refuses what is above that.
    pub carries: &'static [(&'static str, f64)],
}

impl Facts {
    /// Whether AWS counts its changes, whichever way they go.
    pub fn counts_changes(&self) -> bool {
        matches!(self.daily_limit, Some(DailyLimit::Changes { .. }))
    }

    /// What holds for most: units go both ways and back, nobody counts changes, and no adapter serves it yet.
    pub(super) fn of_units_at(unit_cost_hourly: f64) -> Facts {
        Facts {
            unit_cost_hourly,
            scaling: Scaling::Both,
            undo: Undo::Exact,
            is_served: false,
            scalable_target: None,
            past_capacity: None,
            one_at_a_time: false,
            is_throttle: false,
            daily_limit: None,
            carries: &[],
        }
    }
}

/// Which ways a dimension can go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scaling {
    /// Out and in.
    Both,
    /// Out only: AWS has no way to make it smaller.
    OutOnly,
}

/// What rolling back a change restores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undo {
    /// The state before.
    Exact,
    /// The number of units, though not the same units.
    Partial,
    /// Nothing: what was made stands.
    None,
}

/// How many changes AWS allows a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DailyLimit {
    /// Decreases in a day of UTC; when they are spent, one for every so many seconds without any.
    Decreases {
        /// Decreases that are free.
        daily: u32,
        /// Seconds without a decrease after which there is another one.
        then_every_s: u32,
    },
    /// Changes of any size and direction in 24 hours.
    Changes {
        /// How many.
        daily: u32,
    },
}

/// What Application Auto Scaling scales, by its own names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScalableTargetId {
    /// The service, such as `dynamodb`.
    pub namespace: String,
    /// The resource, such as `table/users`.
    pub id: String,
    /// What is scaled on it, such as `dynamodb:table:ReadCapacityUnits`.
    pub dimension: String,
}

impl ScalableTargetId {
    pub(super) fn new(namespace: &str, id: String, dimension: &str) -> ScalableTargetId {
        ScalableTargetId { namespace: namespace.to_owned(), id, dimension: dimension.to_owned() }
    }
}

/// Who observes and changes a resource in AWS, with what it needs besides the resource's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Adapter {
    /// EC2 Auto Scaling.
    AutoScalingGroup,
    /// ECS.
    EcsService {
        /// The cluster's name.
        cluster: String,
    },
    /// EKS.
    EksNodeGroup {
        /// The cluster's name.
        cluster: String,
    },
    /// DynamoDB.
    DynamoDbTable,
    /// Kinesis Data Streams.
    KinesisStream,
    /// Lambda.
    LambdaFunction,
    /// ElastiCache.
    ReplicationGroup,
    /// SageMaker.
    EndpointVariant {
        /// The production variant's name.
        variant: String,
    },
    /// API Gateway.
    ApiStage {
        /// The stage's name.
        stage: String,
    },
    /// Application Auto Scaling, for what it scales in any service.
    ScalableTarget,
}
