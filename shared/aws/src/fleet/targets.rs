//! Which load balancer target groups stand before a resource.

use headroom_core::platform::{Kind, Resource};

use super::{Clients, autoscaling, ecs};
use crate::error::AwsError;

/// The ARNs of the target groups of a resource; none for kinds that are not behind a load balancer.
pub(super) async fn groups_of(clients: &Clients, resource: &Resource) -> Result<Vec<String>, AwsError> {
    match &resource.kind {
        Kind::Ec2AutoScalingGroup => autoscaling::target_groups(clients, &resource.name).await,
        Kind::EcsService { cluster } => ecs::target_groups(clients, cluster, &resource.name).await,
        _ => Ok(Vec::new()),
    }
}
