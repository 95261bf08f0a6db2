//! What AWS allows, takes and tells of a dimension: facts that planning, guardrails, checks and rolling back read.

use super::Query;
use crate::units::Units;

/// What is known of a dimension because of its kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// List price of a unit in us-east-1, in dollars an hour, as a first guess.
    pub unit_cost_hourly: f64,
    /// Whether it stores data that other tiers read and write: those depend on it, and it depends on none of them.
    pub stores_data: bool,
    /// Which ways it can go.
    pub scaling: Scaling,
    /// What rolling a change back restores.
    pub undo: Undo,
    /// The dimension of the same resource whose units it keeps started beforehand. They serve nothing until they are taken for it,
    /// so that nobody waits for them.
    pub stands_by_for: Option<&'static str>,
    /// Whether it is registered with target groups of load balancers, which measure what comes in.
    pub has_target_groups: bool,
    /// Whether an adapter can observe and change it. What has none is held with that reason.
    pub is_served: bool,
    /// As Application Auto Scaling knows it: where native policies are found, and what a floor is set on.
    pub scalable_target: Option<ScalableTargetId>,
    /// The metrics by which AWS has target tracking policies of it.
    pub tracked: &'static [TrackedMetric],
    /// The metric that tells the units of the past.
    pub past_capacity: Option<Query>,
    /// What AWS publishes of it that people look at, beside what it is measured by.
    pub shown: Vec<Query>,
    /// Whether AWS changes one dimension of the resource at a time, so that another has to wait for a later cycle.
    pub one_at_a_time: bool,
    /// Whether it is no capacity, but a limit on what is let in to what its group depends on.
    pub is_throttle: bool,
    /// How many changes AWS allows a day, where it counts them.
    pub daily_limit: Option<DailyLimit>,
    /// How much a unit carries of the metrics whose names begin so: a second of those that count, at a time of levels. AWS
    /// refuses what is above that.
    pub carries: &'static [(&'static str, f64)],
    /// Whether it takes a call for each unit to move it, so that a part of the way may have been made.
    pub moves_by_unit: bool,
    /// The share of what is set that AWS takes no smaller step than; none where a unit is a step.
    pub least_step: f64,
    /// Units that serve while none are set: an Aurora instance that is not paused has half an ACU.
    pub serves_at_none: Units,
}

impl Facts {
    /// The smallest step that AWS takes from so many units.
    pub fn least_step(&self, set: Units) -> u32 {
        Units::at_least(set.real() * self.least_step).0.max(1)
    }

    /// Seconds that what is ordered has to last at least, because no other change can be made before.
    pub fn lasts_s(&self) -> u32 {
        match self.daily_limit {
            Some(DailyLimit::Spaced { every_s }) => every_s,
            _ => 0,
        }
    }

    /// Whether AWS counts its changes, whichever way they go.
    pub fn counts_changes(&self) -> bool {
        matches!(self.daily_limit, Some(DailyLimit::Changes { .. } | DailyLimit::Spaced { .. }))
    }

    /// What holds for most: units go both ways and back, nobody counts changes, and no adapter serves it yet.
    /// The same of what stores data.
    pub(super) fn of_storage_at(unit_cost_hourly: f64) -> Facts {
        Facts { stores_data: true, ..Facts::of_units_at(unit_cost_hourly) }
    }

    pub(super) fn of_units_at(unit_cost_hourly: f64) -> Facts {
        Facts {
            unit_cost_hourly,
            stores_data: false,
            scaling: Scaling::Both,
            undo: Undo::Exact,
            stands_by_for: None,
            has_target_groups: false,
            is_served: false,
            scalable_target: None,
            tracked: &[],
            past_capacity: None,
            shown: Vec::new(),
            one_at_a_time: false,
            is_throttle: false,
            daily_limit: None,
            carries: &[],
            moves_by_unit: false,
            least_step: 0.0,
            serves_at_none: Units(0),
        }
    }
}

/// A metric by which AWS has target tracking policies: EC2 Auto Scaling API reference, PredefinedMetricSpecification, and Application
/// Auto Scaling API reference, PredefinedMetricSpecification.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrackedMetric {
    /// Its namespace and name in CloudWatch, as we read it.
    pub metric: (&'static str, &'static str),
    /// The policy's name for it.
    pub predefined: &'static str,
    /// The policy's target, in what a unit should carry of the metric.
    pub times: f64,
}

impl TrackedMetric {
    /// A metric whose target is what a unit should carry of it.
    pub(super) const fn new(metric: (&'static str, &'static str), predefined: &'static str) -> TrackedMetric {
        TrackedMetric { metric, predefined, times: 1.0 }
    }

    /// One whose target is a percentage, and what a unit should carry a share.
    pub(super) const fn in_percent(self) -> TrackedMetric {
        TrackedMetric { times: 100.0, ..self }
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
    /// One change, and the next so many seconds later.
    Spaced {
        /// Seconds from one to the next.
        every_s: u32,
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

/// How readers of a database are made and taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readers {
    /// Their instance class; that of the oldest reader, or of the writer, where the file says nothing.
    pub class: Option<String>,
    /// Whether those that Headroom did not make may be taken away too.
    pub adopted: bool,
    /// Milliseconds behind the writer from which on a reader is not ready.
    pub lag_max_ms: u32,
}

impl Readers {
    /// The name of a reader that Headroom makes of a database. RDS takes 63 letters, and no two hyphens in a row.
    pub fn name(of: &str, number: u32) -> String {
        const LETTERS_MAX: usize = 63;
        let end = format!("-headroom-{number}");
        let kept: String = of.chars().take(LETTERS_MAX - end.len()).collect();
        format!("{}{end}", kept.trim_end_matches('-'))
    }
}

/// Who observes and changes a resource in AWS, with what it needs besides the resource's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Adapter {
    /// RDS, for readers of an Aurora cluster.
    AuroraReplicas(Readers),
    /// RDS, for a cluster of Aurora Serverless v2.
    AuroraServerless {
        /// Seconds of idleness after which it pauses while its minimum is none, where the file says so.
        pause_after_s: Option<u32>,
    },
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
    /// RDS, for read replicas of an instance.
    RdsReadReplicas(Readers),
    /// RDS, for the storage of an instance.
    RdsStorage,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_readers_are_such_as_rds_takes() {
        assert_eq!(Readers::name("orders", 3), "orders-headroom-3");
        let long = Readers::name(&"a-".repeat(31), 12);
        assert_eq!(long, format!("{}a-headroom-12", "a-".repeat(25)));
        assert!(long.len() <= 63 && !long.contains("--"), "{long}");
    }

    #[test]
    fn what_cannot_be_changed_again_soon_has_to_last() {
        let facts = |limit| Facts { daily_limit: limit, least_step: 0.1, ..Facts::of_units_at(0.0) };
        assert_eq!(facts(Some(DailyLimit::Spaced { every_s: 21_600 })).lasts_s(), 21_600);
        assert_eq!(facts(Some(DailyLimit::Changes { daily: 10 })).lasts_s(), 0);
        assert_eq!((facts(None).least_step(Units(105)), facts(None).least_step(Units(3))), (11, 1));
    }
}
