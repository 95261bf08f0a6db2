//! Application Auto Scaling: the native policies of what it scales, the floors under them, and the bounds of what has no other
//! adapter.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_applicationautoscaling::Client;
use aws_sdk_applicationautoscaling::error::SdkError;
use aws_sdk_applicationautoscaling::operation::register_scalable_target::RegisterScalableTargetError;
use aws_sdk_applicationautoscaling::types::{ScalableDimension, ServiceNamespace};
use headroom_core::name::{DimensionKey, ResourceId};
use headroom_core::observe::{Capacity, Observed};
use headroom_core::platform::{Mode, Resource};
use headroom_core::resource::ScalableTargetId;
use headroom_core::units::{Bounds, Units};

use super::{Capacities, Target, count, every, only, units};
use crate::error::{AwsError, ErrorKind};

/// AWS describes so many targets in one call.
const TARGETS_MAX: usize = 50;
/// Pages of one description: fifty targets each, or ten policies.
const PAGES_MAX: usize = 200;
/// Resources asked about at the same time, where each takes a call of its own.
const TOGETHER: usize = 8;

/// The floors and ceilings of native scalable targets.
pub(super) struct Floors(BTreeMap<ScalableTargetId, Observed<Bounds>>);

impl Floors {
    /// Those of one dimension.
    pub(super) fn of(&self, resource: &Resource, dimension: &str) -> Observed<Bounds> {
        let found = target_of(resource, dimension).and_then(|target| self.0.get(target).cloned());
        found.unwrap_or_else(|| {
            Observed::Unknown(format!(
                "{} is not registered with Application Auto Scaling, so it has no floor to move",
                resource.id
            ))
        })
    }
}

/// What Application Auto Scaling calls a dimension; `None` where it does not scale it.
fn target_of<'a>(resource: &'a Resource, dimension: &str) -> Option<&'a ScalableTargetId> {
    let mut dimensions = resource.dimensions.iter();
    dimensions.find(|other| other.key.dimension == dimension)?.facts.scalable_target.as_ref()
}

/// The floors of the targets in floor mode. Asks nothing when there are none.
pub(super) async fn floors(client: &Client, targets: &[Target<'_>]) -> Floors {
    let floored = targets.iter().filter(|target| target.mode == Mode::Floor);
    let dimensions = floored.flat_map(|target| &target.resource.dimensions);
    Floors(bounds(client, dimensions.filter_map(|dimension| dimension.facts.scalable_target.as_ref())).await)
}

/// The bounds of some scalable targets, as far as they can be seen. What is not registered is not there.
async fn bounds<'a>(
    client: &Client,
    targets: impl Iterator<Item = &'a ScalableTargetId>,
) -> BTreeMap<ScalableTargetId, Observed<Bounds>> {
    // In order, so that those of one service stand together.
    let targets: Vec<&ScalableTargetId> = targets.collect::<BTreeSet<_>>().into_iter().collect();
    let mut seen = BTreeMap::new();
    for targets in targets.chunk_by(|a, b| a.namespace == b.namespace) {
        for targets in targets.chunks(TARGETS_MAX) {
            match describe(client, targets).await {
                Ok(found) => {
                    seen.extend(found.into_iter().map(|(target, bounds)| (target, Observed::Known(bounds))));
                }
                Err(error) => {
                    let unknown = Observed::Unknown(error.to_string());
                    seen.extend(targets.iter().map(|target| ((*target).clone(), unknown.clone())));
                }
            }
        }
    }
    seen
}

async fn describe(
    client: &Client,
    targets: &[&ScalableTargetId],
) -> Result<Vec<(ScalableTargetId, Bounds)>, AwsError> {
    let Some(first) = targets.first() else { return Ok(Vec::new()) };
    let ids: BTreeSet<String> = targets.iter().map(|target| target.id.clone()).collect();
    let mut found = Vec::new();
    let mut next = None;
    for _ in 0..PAGES_MAX {
        let answer = client
            .describe_scalable_targets()
            .service_namespace(ServiceNamespace::from(first.namespace.as_str()))
            .set_resource_ids(Some(ids.iter().cloned().collect()))
            .set_next_token(next)
            .send()
            .await
            .map_err(|error| AwsError::of(error, "describe scalable targets"))?;
        for target in answer.scalable_targets() {
            let id = ScalableTargetId {
                namespace: target.service_namespace().as_str().to_owned(),
                id: target.resource_id().to_owned(),
                dimension: target.scalable_dimension().as_str().to_owned(),
            };
            if let Ok(bounds) = Bounds::new(units(target.min_capacity()), units(target.max_capacity())) {
                found.push((id, bounds));
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
    client: &Client,
    resource: &Resource,
    dimension: &str,
    target: Units,
) -> Result<(), AwsError> {
    let doing = || format!("set the floor of {}/{dimension} to {target}", resource.id);
    let Some(id) = target_of(resource, dimension) else {
        return Err(AwsError::new(ErrorKind::Invalid, doing(), "it has no native floor"));
    };
    register(client, id, target, None).await.map_err(|error| AwsError::of(error, doing()))
}

/// Sets the minimum of a scalable target, and its maximum where one is given.
async fn register(
    client: &Client,
    id: &ScalableTargetId,
    min: Units,
    max: Option<Units>,
) -> Result<(), SdkError<RegisterScalableTargetError>> {
    let request = client
        .register_scalable_target()
        .service_namespace(ServiceNamespace::from(id.namespace.as_str()))
        .resource_id(&id.id)
        .scalable_dimension(ScalableDimension::from(id.dimension.as_str()))
        .min_capacity(count(min))
        .set_max_capacity(max.map(count));
    request.customize().config_override(once!(aws_sdk_applicationautoscaling)).send().await.map(drop)
}

/// The resources that have a native scaling policy in Application Auto Scaling.
pub(super) async fn natives(
    client: &Client,
    resources: &[&Resource],
) -> Result<BTreeSet<ResourceId>, AwsError> {
    let dimensions = resources.iter().flat_map(|resource| {
        resource.dimensions.iter().map(move |dimension| (&dimension.facts, &resource.id))
    });
    // What is held needs no mode, and its policies no call.
    let served = dimensions.filter(|(facts, _)| facts.is_served);
    let targets: Vec<(&ScalableTargetId, &ResourceId)> =
        served.filter_map(|(facts, id)| Some((facts.scalable_target.as_ref()?, id))).collect();
    let namespaces: BTreeSet<&str> = targets.iter().map(|(target, _)| target.namespace.as_str()).collect();
    let mut with_policy = BTreeSet::new();
    for namespace in namespaces {
        let of_service = || targets.iter().filter(|(target, _)| target.namespace == namespace);
        let ids: BTreeSet<&str> = of_service().map(|(target, _)| target.id.as_str()).collect();
        let scaled = scaled(client, &ServiceNamespace::from(namespace), ids).await?;
        let native = of_service().filter(|(target, _)| {
            scaled.contains(&(target.id.clone(), ScalableDimension::from(target.dimension.as_str())))
        });
        with_policy.extend(native.map(|(_, id)| (*id).clone()));
    }
    Ok(with_policy)
}

/// Scalable targets that have no adapter of their own. Their capacity is not told, only its bounds: at least the minimum is
/// there.
pub(super) async fn observe(client: &Client, targets: &[Target<'_>]) -> Capacities {
    let dimensions = targets.iter().flat_map(|target| &target.resource.dimensions);
    let seen =
        bounds(client, dimensions.filter_map(|dimension| dimension.facts.scalable_target.as_ref())).await;
    targets.iter().flat_map(|target| see(target, &seen)).collect()
}

fn see(
    target: &Target<'_>,
    seen: &BTreeMap<ScalableTargetId, Observed<Bounds>>,
) -> Vec<(DimensionKey, Observed<Capacity>)> {
    let resource = target.resource;
    let id = resource.dimensions.iter().find_map(|dimension| dimension.facts.scalable_target.as_ref());
    let capacity = match id.and_then(|id| seen.get(id)) {
        Some(Observed::Known(bounds)) => Observed::Known(capacity(*bounds, target.mode)),
        Some(Observed::Unknown(why)) => Observed::Unknown(why.clone()),
        None => Observed::Unknown(format!(
            "{} is not registered with Application Auto Scaling, so it has no bounds to move",
            resource.id
        )),
    };
    every(resource, &capacity)
}

/// In mode `desired` the minimum and the maximum are moved together. Where they still differ, what was set is the minimum:
/// that much is there.
fn capacity(bounds: Bounds, mode: Mode) -> Capacity {
    Capacity {
        mode,
        set: bounds.min(),
        ready: bounds.min(),
        aws_max: (mode == Mode::Floor).then_some(bounds.max()),
        ..Capacity::default()
    }
}

/// Moves the minimum of a scalable target that has no adapter of its own, and in mode `desired` the maximum with it.
pub(super) async fn set(
    client: &Client,
    resource: &Resource,
    mode: Mode,
    targets: &BTreeMap<DimensionKey, Units>,
) -> Result<(), AwsError> {
    let target = only(targets)?;
    let doing = || format!("set {} to {target}", resource.id);
    let dimension = targets.keys().next().map(|key| key.dimension.as_str()).unwrap_or_default();
    let Some(id) = target_of(resource, dimension) else {
        return Err(AwsError::new(ErrorKind::Invalid, doing(), "it is no scalable target"));
    };
    let max = (mode == Mode::Desired).then_some(target);
    register(client, id, target, max).await.map_err(|error| AwsError::of(error, doing()))
}

type WithPolicy = BTreeSet<(String, ScalableDimension)>;

/// What has a native policy, of some resources. AWS describes ten policies in a page, those of the whole account or of one
/// resource: whichever takes fewer calls.
async fn scaled(
    client: &Client,
    namespace: &ServiceNamespace,
    ids: BTreeSet<&str>,
) -> Result<WithPolicy, AwsError> {
    if let Some(all) = policies(client, namespace, None, ids.len().min(PAGES_MAX)).await? {
        return Ok(all);
    }
    let ids: Vec<String> = ids.into_iter().map(str::to_owned).collect();
    let mut scaled = WithPolicy::new();
    for some in ids.chunks(TOGETHER) {
        let asked = some.iter().map(|id| policies(client, namespace, Some(id), PAGES_MAX));
        for of_one in futures_util::future::join_all(asked).await {
            scaled.extend(of_one?.ok_or_else(|| unfinished("describe scaling policies"))?);
        }
    }
    Ok(scaled)
}

/// What has a native policy in the account, or of one resource; `None` when there are more pages than `pages`.
async fn policies(
    client: &Client,
    namespace: &ServiceNamespace,
    id: Option<&String>,
    pages: usize,
) -> Result<Option<WithPolicy>, AwsError> {
    let mut scaled = WithPolicy::new();
    let mut next = None;
    for _ in 0..pages {
        let answer = client
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
    use aws_sdk_applicationautoscaling::operation::describe_scalable_targets::DescribeScalableTargetsOutput;
    use aws_sdk_applicationautoscaling::operation::describe_scaling_policies::DescribeScalingPoliciesOutput;
    use aws_sdk_applicationautoscaling::operation::register_scalable_target::RegisterScalableTargetOutput;
    use aws_sdk_applicationautoscaling::primitives::DateTime;
    use aws_sdk_applicationautoscaling::types::{PolicyType, ScalableTarget, ScalingPolicy};
    use aws_smithy_mocks::{RuleMode, mock, mock_client};

    use super::super::testing::{platform, target, units_of};
    use super::*;

    const TABLE: &str = "{type: DYNAMODB_TABLE, name: users, read_capacity: {min: 5, max: 100}, \
        indexes: {by-email: {write_capacity: {min: 1, max: 50}}}}";

    /// One target between 10 and 90 units.
    fn registered(namespace: &str, id: &str, dimension: &str) -> DescribeScalableTargetsOutput {
        let target = ScalableTarget::builder()
            .service_namespace(ServiceNamespace::from(namespace))
            .resource_id(id)
            .scalable_dimension(ScalableDimension::from(dimension))
            .min_capacity(10)
            .max_capacity(90)
            .role_arn("arn")
            .creation_time(DateTime::from_secs(0));
        DescribeScalableTargetsOutput::builder().scalable_targets(target.build().unwrap()).build()
    }

    #[tokio::test]
    async fn floors_are_those_of_the_native_target() {
        let rule = mock!(Client::describe_scalable_targets)
            .match_requests(|request| request.resource_ids() == ["table/users", "table/users/index/by-email"])
            .then_output(|| registered("dynamodb", "table/users", "dynamodb:table:ReadCapacityUnits"));
        let client = mock_client!(aws_sdk_applicationautoscaling, RuleMode::MatchAny, [&rule]);
        let platform = platform(TABLE);
        let target = target(&platform, Mode::Floor);
        let floors = floors(&client, &[target]).await;
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
        let platform = platform(TABLE);
        set_floor(&client, platform.resources().next().unwrap().1, "by-email:write", Units(9)).await.unwrap();
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
        let platform = platform(TABLE);
        let resources: Vec<&Resource> = platform.resources().map(|(_, resource)| resource).collect();
        assert_eq!(natives(&client, &resources).await.unwrap(), BTreeSet::from(["users".into()]));
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
        let platform = platform(TABLE);
        let resources: Vec<&Resource> = platform.resources().map(|(_, resource)| resource).collect();
        assert_eq!(natives(&client, &resources).await.unwrap(), BTreeSet::from(["users".into()]));
        assert_eq!((account.num_calls(), table.num_calls(), index.num_calls()), (2, 1, 1));
    }

    #[tokio::test]
    async fn pages_without_an_end_are_an_error() {
        let policies = mock!(Client::describe_scaling_policies)
            .then_output(|| DescribeScalingPoliciesOutput::builder().next_token("more").build());
        let targets = mock!(Client::describe_scalable_targets)
            .then_output(|| DescribeScalableTargetsOutput::builder().next_token("more").build());
        let client = mock_client!(aws_sdk_applicationautoscaling, RuleMode::MatchAny, [&policies, &targets]);
        let platform = platform(TABLE);
        let resources: Vec<&Resource> = platform.resources().map(|(_, resource)| resource).collect();
        assert_eq!(natives(&client, &resources).await.unwrap_err().kind, ErrorKind::Limit);
        let target = target(&platform, Mode::Floor);
        let floors = floors(&client, &[target]).await;
        assert!(
            matches!(floors.of(target.resource, "read"), Observed::Unknown(why) if why.contains("more than 200 pages"))
        );
    }

    const ORDERS: &str = "{type: SCALABLE_TARGET, name: orders, service_namespace: cassandra, \
        resource_id: keyspace/shop/table/orders, scalable_dimension: 'cassandra:table:ReadCapacityUnits', \
        min_capacity: 5, max_capacity: 400}";

    #[tokio::test]
    async fn what_has_no_other_adapter_is_seen_by_its_bounds() {
        let rule = mock!(Client::describe_scalable_targets)
            .match_requests(|request| {
                request.service_namespace() == Some(&ServiceNamespace::Cassandra)
                    && request.resource_ids() == ["keyspace/shop/table/orders"]
            })
            .then_output(|| {
                let dimension = "cassandra:table:ReadCapacityUnits";
                registered("cassandra", "keyspace/shop/table/orders", dimension)
            });
        let client = mock_client!(aws_sdk_applicationautoscaling, RuleMode::MatchAny, [&rule]);
        let platform = platform(ORDERS);
        for (mode, most) in [(Mode::Floor, Some(Units(90))), (Mode::Desired, None)] {
            let observed = observe(&client, &[target(&platform, mode)]).await;
            let capacity = observed[&"orders/desired".parse().unwrap()].known().unwrap();
            assert_eq!((capacity.mode, capacity.set, capacity.ready), (mode, Units(10), Units(10)));
            assert_eq!((capacity.aws_min, capacity.aws_max), (None, most));
        }
    }

    #[tokio::test]
    async fn what_is_not_registered_or_not_told_is_unknown() {
        let nothing = mock!(Client::describe_scalable_targets)
            .then_output(|| DescribeScalableTargetsOutput::builder().build());
        let denied = mock!(Client::describe_scalable_targets).then_error(|| {
            use aws_sdk_applicationautoscaling::operation::describe_scalable_targets::DescribeScalableTargetsError;
            DescribeScalableTargetsError::generic(
                aws_smithy_types::error::ErrorMetadata::builder().code("AccessDeniedException").build(),
            )
        });
        let platform = platform(ORDERS);
        for (rule, said) in [(nothing, "not registered"), (denied, "AccessDenied")] {
            let client = mock_client!(aws_sdk_applicationautoscaling, RuleMode::MatchAny, [&rule]);
            let observed = observe(&client, &[target(&platform, Mode::Floor)]).await;
            let seen = &observed[&"orders/desired".parse().unwrap()];
            assert!(matches!(seen, Observed::Unknown(why) if why.contains(said)), "{seen:?}");
        }
    }

    #[tokio::test]
    async fn in_mode_desired_both_bounds_are_moved_and_in_mode_floor_the_minimum() {
        for (mode, most) in [(Mode::Floor, None), (Mode::Desired, Some(40))] {
            let rule = mock!(Client::register_scalable_target)
                .match_requests(move |request| {
                    request.service_namespace() == Some(&ServiceNamespace::Cassandra)
                        && request.resource_id() == Some("keyspace/shop/table/orders")
                        && request.scalable_dimension()
                            == Some(&ScalableDimension::CassandraTableReadCapacityUnits)
                        && (request.min_capacity(), request.max_capacity()) == (Some(40), most)
                })
                .then_output(|| RegisterScalableTargetOutput::builder().build());
            let client = mock_client!(aws_sdk_applicationautoscaling, RuleMode::MatchAny, [&rule]);
            let platform = platform(ORDERS);
            let resource = platform.resources().next().unwrap().1;
            set(&client, resource, mode, &units_of(&[("orders/desired", 40)])).await.unwrap();
            assert_eq!(rule.num_calls(), 1);
        }
    }
}
