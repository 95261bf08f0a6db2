//! Which load balancer target groups stand before a resource.

use headroom_core::collect::TargetGroup;
use headroom_core::platform::Resource;
use headroom_core::resource::Adapter;

use super::{AwsFleet, autoscaling, balancing, ecs};
use crate::error::AwsError;

/// The ARNs of the target groups of a resource; none for kinds that are not behind a load balancer.
pub(super) async fn groups_of(fleet: &AwsFleet, resource: &Resource) -> Result<Vec<String>, AwsError> {
    match &resource.adapter {
        Some(Adapter::AutoScalingGroup) => {
            autoscaling::target_groups(&fleet.autoscaling, &resource.name).await
        }
        Some(Adapter::EcsService { cluster }) => {
            ecs::target_groups(&fleet.ecs, cluster, &resource.name).await
        }
        Some(
            Adapter::AuroraReplicas(_)
            | Adapter::AuroraServerless { .. }
            | Adapter::EksNodeGroup { .. }
            | Adapter::DynamoDbTable
            | Adapter::KinesisStream
            | Adapter::LambdaFunction
            | Adapter::RdsReadReplicas(_)
            | Adapter::RdsStorage
            | Adapter::ReplicationGroup
            | Adapter::EndpointVariant { .. }
            | Adapter::ApiStage { .. }
            | Adapter::ScalableTarget,
        )
        | None => Ok(Vec::new()),
    }
}

/// Those of Application Load Balancers, as CloudWatch names them.
pub(super) async fn measured(fleet: &AwsFleet, resource: &Resource) -> Result<Vec<TargetGroup>, AwsError> {
    let groups = groups_of(fleet, resource).await?;
    balancing::measured(&fleet.balancing, &groups).await
}
