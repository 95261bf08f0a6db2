//! What was found in an account: resources with what bounds and scales them now, and what tells who uses whom.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::resource::ResourceKind;

/// Everything that was found, and what could not be seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inventory {
    /// What Headroom can scale.
    pub found: Vec<Found>,
    /// What was asked for and has no capacity to scale, with the reason.
    pub left_out: Vec<LeftOut>,
    /// Uses that AWS itself tells of.
    pub uses: Vec<Use>,
    /// Variables of services and functions. Their values are compared and never told: they may be secrets.
    pub settings: Vec<Setting>,
    /// What finds a resource, where a variable holds it.
    pub handles: Vec<Handle>,
    /// Calls that were refused or failed, and what is therefore missing, in sentences.
    pub not_seen: Vec<String>,
}

/// A resource as AWS has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its kind.
    pub kind: ResourceKind,
    /// Its name in AWS.
    pub name: String,
    /// What names it besides: a key of the file and its value, such as `cluster` and `prod`.
    pub within: Option<(&'static str, String)>,
    /// Its ARN. Two kinds of resources may share one: the capacity and the readers of a cluster.
    pub arn: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// What can be scaled on it.
    pub capacities: Vec<FoundCapacity>,
    /// Policies and scheduled actions of AWS.
    pub natives: Vec<Native>,
    /// What stands in front of it.
    pub front: Vec<Front>,
    /// What a unit costs an hour in dollars, where that can be told, and what it is the price of.
    pub price: Option<(f64, String)>,
    /// What else a reader should know, in sentences.
    pub remarks: Vec<String>,
    /// Whether the past of its capacity is recorded, where a metric has to be switched on for that.
    pub past_is_recorded: bool,
}

impl Found {
    /// A resource of which nothing is known yet but what names it.
    pub fn new(kind: ResourceKind, name: &str, arn: &str) -> Found {
        Found {
            kind,
            name: name.to_owned(),
            within: None,
            arn: arn.to_owned(),
            tags: BTreeMap::new(),
            capacities: Vec::new(),
            natives: Vec::new(),
            front: Vec::new(),
            price: None,
            remarks: Vec::new(),
            past_is_recorded: true,
        }
    }

    /// Whether it holds what others read and write. Nothing is known of it that it would use in turn.
    pub fn is_data(&self) -> bool {
        match self.kind {
            ResourceKind::DynamoDbTable
            | ResourceKind::AuroraServerless
            | ResourceKind::AuroraReplicas
            | ResourceKind::RdsReadReplicas
            | ResourceKind::RdsStorage
            | ResourceKind::ElastiCacheReplicationGroup
            | ResourceKind::KinesisStream => true,
            ResourceKind::Ec2AutoScalingGroup
            | ResourceKind::EcsService
            | ResourceKind::EksNodeGroup
            | ResourceKind::LambdaFunction
            | ResourceKind::SageMakerEndpoint
            | ResourceKind::ApiGatewayStage
            | ResourceKind::ScalableTarget => false,
        }
    }
}

/// Where the bounds of a capacity are written in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CapacityKey {
    /// `min_capacity` and `max_capacity`.
    Plain,
    /// A key with `min` and `max`, such as `read_capacity`.
    Range(&'static str),
    /// The same of an index.
    Index(String, &'static str),
}

/// A capacity as AWS has it.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundCapacity {
    /// Where its bounds are written.
    pub at: CapacityKey,
    /// What it is in, such as `instances`.
    pub unit: &'static str,
    /// How many there are now.
    pub now: f64,
    /// The smallest and the largest that AWS has for it, and where that is written; `None` where nothing bounds it.
    pub bounds: Option<(f64, f64, String)>,
    /// What AWS itself never goes beyond.
    pub most: Option<f64>,
}

impl FoundCapacity {
    /// A capacity that nothing bounds.
    pub fn new(at: CapacityKey, unit: &'static str, now: f64) -> FoundCapacity {
        FoundCapacity { at, unit, now, bounds: None, most: None }
    }

    /// The same with what AWS never goes beyond.
    #[must_use]
    pub fn at_most(self, most: f64) -> FoundCapacity {
        FoundCapacity { most: Some(most), ..self }
    }
}

/// A policy or scheduled action of AWS that moves a capacity.
#[derive(Clone, Debug, PartialEq)]
pub struct Native {
    /// Its name.
    pub name: String,
    /// Which capacity it moves.
    pub on: CapacityKey,
    /// What it does.
    pub rule: NativeRule,
}

/// What a native policy does.
#[derive(Clone, Debug, PartialEq)]
pub enum NativeRule {
    /// Keeps a metric at a value.
    TargetTracking {
        /// The metric, by the name that scaling policies have for it.
        metric: String,
        /// The value.
        target: f64,
    },
    /// Another kind of policy.
    Policy(String),
    /// Changes bounds or capacity at a time.
    Scheduled {
        /// When, as AWS has it.
        when: String,
        /// The smallest, the largest and the capacity that it sets.
        sets: (Option<i32>, Option<i32>, Option<i32>),
    },
}

/// A load balancer's target group in front of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Front {
    /// The name of the target group.
    pub target_group: String,
    /// The balancers that send to it.
    pub balancers: Vec<String>,
    /// Whether the internet reaches one of them.
    pub is_public: bool,
}

/// One resource uses another, as AWS itself tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The ARN of the one that uses.
    pub by: String,
    /// The ARN of what is used.
    pub of: String,
    /// How that is known, after the name of the one that uses: `reads records of {of} (event source mapping)`.
    pub evidence: String,
}

/// A variable of a service or function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The ARN of whose it is.
    pub of: String,
    /// Its name.
    pub variable: String,
    /// Its value.
    pub value: String,
}

/// A text that finds a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handle {
    /// The ARN of the resource.
    pub of: String,
    /// The text, such as the name of a table or the host of an endpoint.
    pub text: String,
    /// What it is, such as `the endpoint of the proxy shop`.
    pub what: String,
}

/// Something that was asked for and cannot be scaled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// What it is.
    pub what: String,
    /// Why.
    pub why: String,
}
