//! The fleet: what AWS scales. One adapter for each kind of resource, with the same few verbs.

/// The settings of a call that changes capacity: it is sent once. A call that the SDK repeated would be refused for the change
/// that the first one began; the state machine repeats it after it has looked whether that took effect.
macro_rules! once {
    ($sdk:ident) => {
        $sdk::config::Builder::new().retry_config($sdk::config::retry::RetryConfig::disabled())
    };
}

mod apigateway;
mod autoscaling;
mod balancing;
mod dynamodb;
mod ecs;
mod eks;
mod elasticache;
mod kinesis;
mod lambda;
#[cfg(feature = "fakes")]
mod memory;
mod rds;
mod sagemaker;
mod scalable;
mod targets;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use futures_util::future::{FutureExt as _, join_all};
use futures_util::join;
use headroom_core::collect::TargetGroup;
use headroom_core::name::{DimensionKey, ResourceId};
use headroom_core::observe::{Capacity, Observed};
use headroom_core::platform::{Mode, Resource};
use headroom_core::resource::Adapter;
use headroom_core::units::Units;
use jiff::Timestamp;
#[cfg(feature = "fakes")]
pub use memory::{MemoryFleet, Slow};

use crate::error::{AwsError, ErrorKind};
use crate::sdk::Aws;

/// What was seen of every dimension asked for.
pub type Capacities = BTreeMap<DimensionKey, Observed<Capacity>>;

/// How closely to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// One call for each kind: in every cycle.
    Cheap,
    /// Also what takes a call for each resource: before acting on it.
    Close,
}

/// What AWS scales, as the handlers see it.
pub trait Fleet: Send + Sync {
    /// The capacity of every dimension of some resources. What cannot be seen says why; it never stops the others.
    /// `natives` are the resources with a native scaling policy, whose mode is a floor unless the operator says otherwise.
    fn observe(
        &self,
        resources: &[&Resource],
        natives: &BTreeSet<ResourceId>,
        now: Timestamp,
        depth: Depth,
    ) -> impl Future<Output = Capacities> + Send;

    /// Sets dimensions of one resource, in one call where AWS has one.
    fn set(
        &self,
        resource: &Resource,
        mode: Mode,
        targets: &BTreeMap<DimensionKey, Units>,
    ) -> impl Future<Output = Result<(), AwsError>> + Send;

    /// Which of some resources have a native scaling policy.
    fn natives(
        &self,
        resources: &[&Resource],
    ) -> impl Future<Output = Result<BTreeSet<ResourceId>, AwsError>> + Send;

    /// The target groups of Application Load Balancers that each of some resources is registered with, or why they are not
    /// known.
    fn target_groups(
        &self,
        resources: &[&Resource],
    ) -> impl Future<Output = BTreeMap<ResourceId, Result<Vec<TargetGroup>, AwsError>>> + Send;

    /// The health that load balancers see of a resource's targets: how many of how many; `None` without a balancer.
    fn target_health(
        &self,
        resource: &Resource,
    ) -> impl Future<Output = Result<Option<TargetHealth>, AwsError>> + Send;

    /// Where HTTP is spoken in front of a resource.
    fn address(&self, resource: &Resource) -> impl Future<Output = Result<Address, AwsError>> + Send;
}

/// Where HTTP is spoken in front of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// No load balancer stands before it.
    None,
    /// The load balancers before it do not speak HTTP; which they are, and what they speak.
    NotHttp(String),
    /// On a listener of a load balancer.
    Http(Balancer),
}

/// A listener of a load balancer, under the balancer's own name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balancer {
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The name that AWS gave it, such as `web-1.elb.amazonaws.com`.
    pub host: String,
    /// The listener's port.
    pub port: u16,
    /// Whether only its own network reaches it.
    pub is_internal: bool,
}

/// What load balancers see of a resource's targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TargetHealth {
    /// Healthy targets.
    pub healthy: usize,
    /// Targets that are not, or not yet.
    pub others: usize,
}

/// The fleet in AWS: one adapter for each way to scale, which has its own way into AWS.
#[derive(Clone, Debug)]
pub struct AwsFleet {
    autoscaling: aws_sdk_autoscaling::Client,
    ecs: ecs::Clients,
    eks: eks::Clients,
    dynamodb: dynamodb::Clients,
    kinesis: aws_sdk_kinesis::Client,
    lambda: lambda::Clients,
    elasticache: elasticache::Clients,
    rds: rds::Clients,
    sagemaker: sagemaker::Clients,
    apigateway: aws_sdk_apigateway::Client,
    scalable: aws_sdk_applicationautoscaling::Client,
    balancing: aws_sdk_elasticloadbalancingv2::Client,
}

impl AwsFleet {
    /// The fleet of an account.
    pub fn new(aws: &Aws) -> AwsFleet {
        AwsFleet {
            autoscaling: aws.autoscaling(),
            ecs: ecs::Clients::new(aws),
            eks: eks::Clients::new(aws),
            dynamodb: dynamodb::Clients::new(aws),
            kinesis: aws.kinesis(),
            lambda: lambda::Clients::new(aws),
            elasticache: elasticache::Clients::new(aws),
            rds: rds::Clients::new(aws),
            sagemaker: sagemaker::Clients::new(aws),
            apigateway: aws.apigateway(),
            scalable: aws.application(),
            balancing: aws.balancing(),
        }
    }
}

impl AwsFleet {
    /// What is seen of everything that RDS has.
    async fn databases(&self, by: &ByAdapter<'_>, now: Timestamp) -> Capacities {
        let serverless = rds::serverless::observe(&self.rds, &by.serverless_clusters, now);
        let readers = rds::aurora_replicas::observe(&self.rds, &by.aurora_readers, now);
        let replicas = rds::read_replicas::observe(&self.rds, &by.read_replicas, now);
        let storages = rds::storage::observe(&self.rds, &by.storages);
        let (serverless, readers, replicas, storages) = join!(serverless, readers, replicas, storages);
        [serverless, readers, replicas, storages].into_iter().flatten().collect()
    }
}

/// Resources by the adapter that serves them.
#[derive(Debug, Default)]
struct ByAdapter<'a> {
    groups: Vec<Target<'a>>,
    services: Vec<Target<'a>>,
    node_groups: Vec<Target<'a>>,
    tables: Vec<Target<'a>>,
    streams: Vec<Target<'a>>,
    functions: Vec<Target<'a>>,
    caches: Vec<Target<'a>>,
    serverless_clusters: Vec<Target<'a>>,
    aurora_readers: Vec<Target<'a>>,
    read_replicas: Vec<Target<'a>>,
    storages: Vec<Target<'a>>,
    variants: Vec<Target<'a>>,
    stages: Vec<Target<'a>>,
    scalable_targets: Vec<Target<'a>>,
}

impl<'a> ByAdapter<'a> {
    fn new(resources: &[&'a Resource], natives: &BTreeSet<ResourceId>) -> ByAdapter<'a> {
        let mut by = ByAdapter::default();
        for resource in resources {
            let served = match &resource.adapter {
                Some(Adapter::AutoScalingGroup) => &mut by.groups,
                Some(Adapter::EcsService { .. }) => &mut by.services,
                Some(Adapter::EksNodeGroup { .. }) => &mut by.node_groups,
                Some(Adapter::DynamoDbTable) => &mut by.tables,
                Some(Adapter::KinesisStream) => &mut by.streams,
                Some(Adapter::LambdaFunction) => &mut by.functions,
                Some(Adapter::ReplicationGroup) => &mut by.caches,
                Some(Adapter::AuroraServerless { .. }) => &mut by.serverless_clusters,
                Some(Adapter::AuroraReplicas(_)) => &mut by.aurora_readers,
                Some(Adapter::RdsReadReplicas(_)) => &mut by.read_replicas,
                Some(Adapter::RdsStorage) => &mut by.storages,
                Some(Adapter::EndpointVariant { .. }) => &mut by.variants,
                Some(Adapter::ApiStage { .. }) => &mut by.stages,
                Some(Adapter::ScalableTarget) => &mut by.scalable_targets,
                None => continue,
            };
            served.push(Target { resource, mode: mode_of(resource, natives) });
        }
        by
    }
}

impl Fleet for AwsFleet {
    async fn observe(
        &self,
        resources: &[&Resource],
        natives: &BTreeSet<ResourceId>,
        now: Timestamp,
        depth: Depth,
    ) -> Capacities {
        let by = ByAdapter::new(resources, natives);
        let each = [
            autoscaling::observe(&self.autoscaling, &by.groups, depth).boxed(),
            ecs::observe(&self.ecs, &by.services).boxed(),
            eks::observe(&self.eks, &by.node_groups).boxed(),
            dynamodb::observe(&self.dynamodb, &by.tables, now).boxed(),
            kinesis::observe(&self.kinesis, &by.streams).boxed(),
            lambda::observe(&self.lambda, &by.functions).boxed(),
            elasticache::observe(&self.elasticache, &by.caches).boxed(),
            self.databases(&by, now).boxed(),
            sagemaker::observe(&self.sagemaker, &by.variants).boxed(),
            apigateway::observe(&self.apigateway, &by.stages).boxed(),
            scalable::observe(&self.scalable, &by.scalable_targets).boxed(),
        ];
        join_all(each).await.into_iter().flatten().collect()
    }

    async fn set(
        &self,
        resource: &Resource,
        mode: Mode,
        targets: &BTreeMap<DimensionKey, Units>,
    ) -> Result<(), AwsError> {
        match &resource.adapter {
            Some(Adapter::AutoScalingGroup) => {
                autoscaling::set(&self.autoscaling, resource, mode, targets).await
            }
            Some(Adapter::EcsService { cluster }) => {
                ecs::set(&self.ecs, resource, cluster, mode, targets).await
            }
            Some(Adapter::EksNodeGroup { .. }) => eks::set(&self.eks, resource, mode, targets).await,
            Some(Adapter::DynamoDbTable) => dynamodb::set(&self.dynamodb, resource, mode, targets).await,
            Some(Adapter::KinesisStream) => kinesis::set(&self.kinesis, resource, targets).await,
            Some(Adapter::LambdaFunction) => lambda::set(&self.lambda, resource, mode, targets).await,
            Some(Adapter::ReplicationGroup) => {
                elasticache::set(&self.elasticache, resource, mode, targets).await
            }
            Some(Adapter::AuroraServerless { pause_after_s }) => {
                rds::serverless::set(&self.rds, resource, *pause_after_s, targets).await
            }
            Some(Adapter::AuroraReplicas(_)) => {
                rds::aurora_replicas::set(&self.rds, resource, mode, targets).await
            }
            Some(Adapter::RdsReadReplicas(_)) => rds::read_replicas::set(&self.rds, resource, targets).await,
            Some(Adapter::RdsStorage) => rds::storage::set(&self.rds, resource, targets).await,
            Some(Adapter::EndpointVariant { .. }) => {
                sagemaker::set(&self.sagemaker, resource, mode, targets).await
            }
            Some(Adapter::ApiStage { .. }) => apigateway::set(&self.apigateway, resource, targets).await,
            Some(Adapter::ScalableTarget) => scalable::set(&self.scalable, resource, mode, targets).await,
            None => {
                let said = "this type has no adapter yet";
                Err(AwsError::new(ErrorKind::Invalid, format!("scale {}", resource.id), said))
            }
        }
    }

    async fn natives(&self, resources: &[&Resource]) -> Result<BTreeSet<ResourceId>, AwsError> {
        let groups = autoscaling::natives(&self.autoscaling, resources);
        let others = scalable::natives(&self.scalable, resources);
        let (groups, others) = join!(groups, others);
        Ok(groups?.into_iter().chain(others?).collect())
    }

    async fn target_groups(
        &self,
        resources: &[&Resource],
    ) -> BTreeMap<ResourceId, Result<Vec<TargetGroup>, AwsError>> {
        let mut found = BTreeMap::new();
        // One after the other: it is asked once an hour, and a burst of calls would be throttled.
        for resource in resources {
            found.insert(resource.id.clone(), targets::measured(self, resource).await);
        }
        found
    }

    async fn target_health(&self, resource: &Resource) -> Result<Option<TargetHealth>, AwsError> {
        let groups = targets::groups_of(self, resource).await?;
        balancing::health(&self.balancing, &groups).await
    }

    async fn address(&self, resource: &Resource) -> Result<Address, AwsError> {
        let groups = targets::groups_of(self, resource).await?;
        balancing::address(&self.balancing, &groups).await
    }
}

/// A resource with the mode in which its capacity is set.
#[derive(Clone, Copy, Debug)]
struct Target<'a> {
    resource: &'a Resource,
    mode: Mode,
}

fn mode_of(resource: &Resource, natives: &BTreeSet<ResourceId>) -> Mode {
    resource.mode.unwrap_or(if natives.contains(&resource.id) { Mode::Floor } else { Mode::Desired })
}

/// The same for every served dimension of a resource.
fn every(resource: &Resource, seen: &Observed<Capacity>) -> Vec<(DimensionKey, Observed<Capacity>)> {
    let served = resource.dimensions.iter().filter(|dimension| dimension.facts.is_served);
    served.map(|dimension| (dimension.key.clone(), seen.clone())).collect()
}

/// Unknown for every dimension of some resources, because of one error.
fn unknown(targets: &[Target<'_>], error: &AwsError) -> Capacities {
    let seen = Observed::Unknown(error.to_string());
    targets.iter().flat_map(|target| every(target.resource, &seen)).collect()
}

/// Something that is in the way of the rest of a change: the rest must follow, so that it is tried again and never taken for
/// a change of which nothing was made.
fn unfinished(error: AwsError) -> AwsError {
    match error.kind {
        ErrorKind::Stale => AwsError { kind: ErrorKind::Unavailable, ..error },
        _ => error,
    }
}

/// AWS counts in 32-bit signed numbers, where what is negative does not exist.
fn units(count: i32) -> Units {
    Units(u32::try_from(count).unwrap_or(0))
}

fn count(units: Units) -> i32 {
    i32::try_from(units.0).unwrap_or(i32::MAX)
}

/// The target of a resource with one dimension.
fn only(targets: &BTreeMap<DimensionKey, Units>) -> Result<Units, AwsError> {
    let mut values = targets.values();
    match (values.next(), values.next()) {
        (Some(units), None) => Ok(*units),
        _ => Err(AwsError::new(ErrorKind::Invalid, "scale", "a resource of this kind has one dimension")),
    }
}

#[cfg(test)]
mod tests;

/// What the adapters' tests share.
#[cfg(test)]
mod testing {
    use std::collections::BTreeMap;

    use aws_config::{BehaviorVersion, Region, SdkConfig};
    use headroom_core::config::parse;
    use headroom_core::name::DimensionKey;
    use headroom_core::platform::{Mode, Platform};
    use headroom_core::units::Units;

    use super::Target;
    use crate::meter::Meter;
    use crate::sdk::Aws;

    /// A way into AWS that reaches nothing; a test replaces the client that it mocks.
    pub(super) fn aws() -> Aws {
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"));
        Aws::new(config.build(), Meter::default())
    }

    /// A platform of one resource, written in one line.
    pub(super) fn platform(resource: &str) -> Platform {
        let text =
            format!("configuration_name: shop\nscaling_groups: {{app: {{resources: [{resource}]}}}}\n");
        parse(&text).unwrap().platform
    }

    pub(super) fn target(platform: &Platform, mode: Mode) -> Target<'_> {
        Target { resource: platform.resources().next().unwrap().1, mode }
    }

    pub(super) fn units_of(targets: &[(&str, u32)]) -> BTreeMap<DimensionKey, Units> {
        targets.iter().map(|(key, units)| (key.parse().unwrap(), Units(*units))).collect()
    }
}
