//! Application Auto Scaling: the native policies of services and tables, and the floors under them.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_applicationautoscaling::config::Config;
use aws_sdk_applicationautoscaling::config::retry::RetryConfig;
use aws_sdk_applicationautoscaling::types::{ScalableDimension, ServiceNamespace};
use headroom_core::name::ResourceId;
use headroom_core::observe::Observed;
use headroom_core::platform::{Kind as ResourceKind, Mode, Resource};
use headroom_core::units::{Bounds, Units};

use super::{Clients, Target, count, units};
use crate::error::{AwsError, ErrorKind};

/// AWS describes so many targets in one call.
const TARGETS_MAX: usize = 50;
/// Pages of one description: fifty targets each, or ten policies.
const PAGES_MAX: usize = 200;
/// Resources asked about at the same time, where each takes a call of its own.
const TOGETHER: usize = 8;

/// A dimension as Application Auto Scaling names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Address {
    namespace: ServiceNamespace,
    id: String,
    dimension: ScalableDimension,
}

/// The address of a dimension; `None` where Application Auto Scaling does not serve it.
fn address(resource: &Resource, dimension: &str) -> Option<Address> {
    match &resource.kind {
        ResourceKind::EcsService { cluster } => Some(Address {
            namespace: ServiceNamespace::Ecs,
            id: format!("service/{cluster}/{}", resource.name),
            dimension: ScalableDimension::EcsServiceDesiredCount,
        }),
        ResourceKind::DynamoDbTable => {
            let (id, dimension) = match dimension.rsplit_once(':') {
                Some((index, "read")) => (Some(index), ScalableDimension::DynamoDbIndexReadCapacityUnits),
                Some((index, _)) => (Some(index), ScalableDimension::DynamoDbIndexWriteCapacityUnits),
                None if dimension == "read" => (None, ScalableDimension::DynamoDbTableReadCapacityUnits),
                None => (None, ScalableDimension::DynamoDbTableWriteCapacityUnits),
            };
            let table = format!("table/{}", resource.name);
            let id = id.map_or_else(|| table.clone(), |index| format!("{table}/index/{index}"));
            Some(Address { namespace: ServiceNamespace::Dynamodb, id, dimension })
        }
        _ => None,
    }
}

/// The floors and ceilings of native scalable targets.
pub(super) struct Floors(BTreeMap<Address, Observed<Bounds>>);

impl Floors {
    /// Those of one dimension.
    pub(super) fn of(&self, resource: &Resource, dimension: &str) -> Observed<Bounds> {
        let found = address(resource, dimension).and_then(|address| self.0.get(&address).cloned());
        found.unwrap_or_else(|| {
            Observed::Unknown(format!(
                "{} is not registered with Application Auto Scaling, so it has no floor to move",
                resource.id
            ))
        })
    }
}

/// The floors of the targets in floor mode. Asks nothing when there are none.
pub(super) async fn floors(clients: &Clients, targets: &[Target<'_>]) -> Floors {
    let floored = targets.iter().filter(|target| target.mode == Mode::Floor);
    let addresses: Vec<Address> = floored
        .flat_map(|target| {
            target
                .resource
                .dimensions
                .iter()
                .filter_map(|dimension| address(target.resource, &dimension.key.dimension))
        })
        .collect();
    let mut floors = BTreeMap::new();
    for addresses in addresses.chunk_by(|a, b| a.namespace == b.namespace) {
        for addresses in addresses.chunks(TARGETS_MAX) {
            match describe(clients, addresses).await {
                Ok(found) => floors
                    .extend(found.into_iter().map(|(address, bounds)| (address, Observed::Known(bounds)))),
                Err(error) => {
                    let seen = Observed::Unknown(error.to_string());
                    floors.extend(addresses.iter().map(|address| (address.clone(), seen.clone())));
                }
            }
        }
    }
    Floors(floors)
}

async fn describe(clients: &Clients, addresses: &[Address]) -> Result<Vec<(Address, Bounds)>, AwsError> {
    let Some(first) = addresses.first() else { return Ok(Vec::new()) };
    let ids: BTreeSet<String> = addresses.iter().map(|address| address.id.clone()).collect();
    let mut found = Vec::new();
    let mut next = None;
    for _ in 0..PAGES_MAX {
        let answer = clients
            .application
            .describe_scalable_targets()
            .service_namespace(first.namespace.clone())
            .set_resource_ids(Some(ids.iter().cloned().collect()))
            .set_next_token(next)
            .send()
            .await
            .map_err(|error| AwsError::of(error, "describe scalable targets"))?;
        for target in answer.scalable_targets() {
            let address = Address {
                namespace: target.service_namespace().clone(),
                id: target.resource_id().to_owned(),
                dimension: target.scalable_dimension().clone(),
            };
            if let Ok(bounds) = Bounds::new(units(target.min_capacity()), units(target.max_capacity())) {
                found.push((address, bounds));
            }
        }
        next = answer.next_token;
        if next.is_none() {
            return Ok(found);
        }
    }
    Err(unfinished("describe scalable targets"))
}

/// What was not read to its end says nothing about what is missing in it.
fn unfinished(doing: &str) -> AwsError {
    AwsError::new(ErrorKind::Limit, doing, format!("more than {PAGES_MAX} pages"))
}

/// Moves the minimum of a native scalable target. Its maximum stays as it is.
pub(super) async fn set_floor(
    clients: &Clients,
    resource: &Resource,
    dimension: &str,
    target: Units,
) -> Result<(), AwsError> {
    let doing = || format!("set the floor of {}/{dimension} to {target}", resource.id);
    let Some(Address { namespace, id, dimension: scalable }) = address(resource, dimension) else {
        return Err(AwsError::new(ErrorKind::Invalid, doing(), "it has no native floor"));
    };
    clients
        .application
        .register_scalable_target()
        .service_namespace(namespace)
        .resource_id(id)
        .scalable_dimension(scalable)
        .min_capacity(count(target))
        .customize()
        .config_override(Config::builder().retry_config(RetryConfig::disabled()))
        .send()
        .await
        .map(drop)
        .map_err(|error| AwsError::of(error, doing()))
}

/// Services and tables that have a native scaling policy.
pub(super) async fn natives(
    clients: &Clients,
    resources: &[&Resource],
) -> Result<BTreeSet<ResourceId>, AwsError> {
    let mut with_policy = BTreeSet::new();
    for namespace in [ServiceNamespace::Ecs, ServiceNamespace::Dynamodb] {
        let addresses: Vec<(Address, &ResourceId)> = resources
            .iter()
            .flat_map(|resource| resource.dimensions.iter().map(move |dimension| (resource, dimension)))
            .filter_map(|(resource, dimension)| {
                Some((address(resource, &dimension.key.dimension)?, &resource.id))
            })
            .filter(|(address, _)| address.namespace == namespace)
            .collect();
        if addresses.is_empty() {
            continue;
        }
        let ids: BTreeSet<&str> = addresses.iter().map(|(address, _)| address.id.as_str()).collect();
        let scaled = scaled(clients, &namespace, ids).await?;
        let native = addresses
            .iter()
            .filter(|(address, _)| scaled.contains(&(address.id.clone(), address.dimension.clone())));
        with_policy.extend(native.map(|(_, id)| (*id).clone()));
    }
    Ok(with_policy)
}

type Scaled = BTreeSet<(String, ScalableDimension)>;

/// What has a native policy, of some resources. AWS describes ten policies in a page, those of the whole account or of one
/// resource: whichever takes fewer calls.
async fn scaled(
    clients: &Clients,
    namespace: &ServiceNamespace,
    ids: BTreeSet<&str>,
) -> Result<Scaled, AwsError> {
    if let Some(all) = policies(clients, namespace, None, ids.len().min(PAGES_MAX)).await? {
        return Ok(all);
    }
    let ids: Vec<String> = ids.into_iter().map(str::to_owned).collect();
    let mut scaled = Scaled::new();
    for some in ids.chunks(TOGETHER) {
        let asked = some.iter().map(|id| policies(clients, namespace, Some(id), PAGES_MAX));
        for of_one in futures_util::future::join_all(asked).await {
            scaled.extend(of_one?.ok_or_else(|| unfinished("describe scaling policies"))?);
        }
    }
    Ok(scaled)
}

/// What has a native policy in the account, or of one resource; `None` when there are more pages than `pages`.
async fn policies(
    clients: &Clients,
    namespace: &ServiceNamespace,
    id: Option<&String>,
    pages: usize,
) -> Result<Option<Scaled>, AwsError> {
    let mut scaled = Scaled::new();
    let mut next = None;
    for _ in 0..pages {
        let answer = clients
            .application
            .describe_scaling_policies()
            .service_namespace(namespace.clone())
            .set_resource_id(id.cloned())
            .set_next_token(next)
            .send()
            .await
            .map_err(|error| AwsError::of(error, "describe scaling policies"))?;
        // A predictive policy never scales in, and by default it only forecasts.
        let policies = answer.scaling_policies().iter();
        let policies = policies.filter(|policy| policy.policy_type().as_str() != "PredictiveScaling");
        scaled.extend(
            policies.map(|policy| (policy.resource_id().to_owned(), policy.scalable_dimension().clone())),
        );
        next = answer.next_token;
        if next.is_none() {
            return Ok(Some(scaled));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use aws_sdk_applicationautoscaling::Client;
    use aws_sdk_applicationautoscaling::operation::describe_scalable_targets::DescribeScalableTargetsOutput;
    use aws_sdk_applicationautoscaling::operation::describe_scaling_policies::DescribeScalingPoliciesOutput;
    use aws_sdk_applicationautoscaling::operation::register_scalable_target::RegisterScalableTargetOutput;
    use aws_sdk_applicationautoscaling::primitives::DateTime;
    use aws_sdk_applicationautoscaling::types::{PolicyType, ScalableTarget, ScalingPolicy};
    use aws_smithy_mocks::{RuleMode, mock, mock_client};

    use super::super::testing::{clients, platform, target};
    use super::*;

    const TABLE: &str = "{type: DYNAMODB_TABLE, name: users, read_capacity: {min: 5, max: 100}, \
        indexes: {by-email: {write_capacity: {min: 1, max: 50}}}}";

    #[tokio::test]
    async fn floors_are_those_of_the_native_target() {
        let rule = mock!(Client::describe_scalable_targets)
            .match_requests(|request| request.resource_ids() == ["table/users", "table/users/index/by-email"])
            .then_output(|| {
                let target = ScalableTarget::builder()
                    .service_namespace(ServiceNamespace::Dynamodb)
                    .resource_id("table/users")
                    .scalable_dimension(ScalableDimension::DynamoDbTableReadCapacityUnits)
                    .min_capacity(10)
                    .max_capacity(90)
                    .role_arn("arn")
                    .creation_time(DateTime::from_secs(0));
                DescribeScalableTargetsOutput::builder().scalable_targets(target.build().unwrap()).build()
            });
        let client = mock_client!(aws_sdk_applicationautoscaling, RuleMode::MatchAny, [&rule]);
        let clients = Clients { application: client, ..clients() };
        let platform = platform(TABLE);
        let target = target(&platform, Mode::Floor);
        let floors = floors(&clients, &[target]).await;
        assert_eq!(
            floors.of(target.resource, "read"),
            Observed::Known(Bounds::new(Units(10), Units(90)).unwrap())
        );
        assert!(
            matches!(floors.of(target.resource, "by-email:write"), Observed::Unknown(why) if why.contains("not registered"))
        );
    }

    #[tokio::test]
    async fn only_the_minimum_moves() {
        let rule = mock!(Client::register_scalable_target)
            .match_requests(|request| {
                request.resource_id() == Some("table/users/index/by-email")
                    && request.scalable_dimension()
                        == Some(&ScalableDimension::DynamoDbIndexWriteCapacityUnits)
                    && (request.min_capacity(), request.max_capacity()) == (Some(9), None)
            })
            .then_output(|| RegisterScalableTargetOutput::builder().build());
        let client = mock_client!(aws_sdk_applicationautoscaling, RuleMode::MatchAny, [&rule]);
        let clients = Clients { application: client, ..clients() };
        let platform = platform(TABLE);
        set_floor(&clients, platform.resources().next().unwrap().1, "by-email:write", Units(9))
            .await
            .unwrap();
        assert_eq!(rule.num_calls(), 1);
    }

    #[tokio::test]
    async fn a_policy_makes_its_resource_native() {
        let rule = mock!(Client::describe_scaling_policies).then_output(|| {
            let policy = ScalingPolicy::builder()
                .policy_arn("arn")
                .policy_name("tracking")
                .service_namespace(ServiceNamespace::Dynamodb)
                .resource_id("table/users")
                .scalable_dimension(ScalableDimension::DynamoDbTableReadCapacityUnits)
                .policy_type(PolicyType::TargetTrackingScaling)
                .creation_time(DateTime::from_secs(0));
            DescribeScalingPoliciesOutput::builder().scaling_policies(policy.build().unwrap()).build()
        });
        let client = mock_client!(aws_sdk_applicationautoscaling, RuleMode::MatchAny, [&rule]);
        let clients = Clients { application: client, ..clients() };
        let platform = platform(TABLE);
        let resources: Vec<&Resource> = platform.resources().map(|(_, resource)| resource).collect();
        assert_eq!(natives(&clients, &resources).await.unwrap(), BTreeSet::from(["users".into()]));
        assert_eq!(rule.num_calls(), 1, "there is no service to ask about");
    }

    #[tokio::test]
    async fn a_policy_behind_thousands_of_others_is_found_by_its_resource() {
        // The account never ends; the table and its index are asked about one by one.
        let account = mock!(Client::describe_scaling_policies)
            .match_requests(|request| request.resource_id().is_none())
            .then_output(|| DescribeScalingPoliciesOutput::builder().next_token("more").build());
        let table = mock!(Client::describe_scaling_policies)
            .match_requests(|request| request.resource_id() == Some("table/users"))
            .then_output(|| DescribeScalingPoliciesOutput::builder().build());
        let index = mock!(Client::describe_scaling_policies)
            .match_requests(|request| request.resource_id() == Some("table/users/index/by-email"))
            .then_output(|| {
                let policy = ScalingPolicy::builder()
                    .policy_arn("arn")
                    .policy_name("tracking")
                    .service_namespace(ServiceNamespace::Dynamodb)
                    .resource_id("table/users/index/by-email")
                    .scalable_dimension(ScalableDimension::DynamoDbIndexWriteCapacityUnits)
                    .policy_type(PolicyType::TargetTrackingScaling)
                    .creation_time(DateTime::from_secs(0));
                DescribeScalingPoliciesOutput::builder().scaling_policies(policy.build().unwrap()).build()
            });
        let client =
            mock_client!(aws_sdk_applicationautoscaling, RuleMode::MatchAny, [&account, &table, &index]);
        let clients = Clients { application: client, ..clients() };
        let platform = platform(TABLE);
        let resources: Vec<&Resource> = platform.resources().map(|(_, resource)| resource).collect();
        assert_eq!(natives(&clients, &resources).await.unwrap(), BTreeSet::from(["users".into()]));
        assert_eq!((account.num_calls(), table.num_calls(), index.num_calls()), (2, 1, 1));
    }

    #[tokio::test]
    async fn pages_without_an_end_are_an_error() {
        let policies = mock!(Client::describe_scaling_policies)
            .then_output(|| DescribeScalingPoliciesOutput::builder().next_token("more").build());
        let targets = mock!(Client::describe_scalable_targets)
            .then_output(|| DescribeScalableTargetsOutput::builder().next_token("more").build());
        let client = mock_client!(aws_sdk_applicationautoscaling, RuleMode::MatchAny, [&policies, &targets]);
        let clients = Clients { application: client, ..clients() };
        let platform = platform(TABLE);
        let resources: Vec<&Resource> = platform.resources().map(|(_, resource)| resource).collect();
        assert_eq!(natives(&clients, &resources).await.unwrap_err().kind, ErrorKind::Limit);
        let target = target(&platform, Mode::Floor);
        let floors = floors(&clients, &[target]).await;
        assert!(
            matches!(floors.of(target.resource, "read"), Observed::Unknown(why) if why.contains("more than 200 pages"))
        );
    }
}
