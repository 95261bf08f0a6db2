//! Application Auto Scaling: bounds, policies and scheduled actions of what was found.

use std::collections::BTreeMap;

use aws_sdk_applicationautoscaling::Client;
use aws_sdk_applicationautoscaling::types::{ScalingPolicy, ScheduledAction, ServiceNamespace};
use headroom_core::adopt::inventory::{CapacityKey, Found, Native, NativeRule};
use headroom_core::adopt::scalable_target;
use headroom_core::resource::ScalableTargetId;

use super::{PAGES_MAX, Seen};
use crate::error::{AwsError, ErrorKind};

/// AWS describes so many targets, or the actions of so many, in one call.
const TARGETS_MAX: usize = 50;

/// Adds what Application Auto Scaling knows to what was found.
pub(super) async fn add(client: &Client, seen: &mut Seen) {
    let mut ids: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for target in seen.inventory.found.iter().flat_map(targets) {
        let ids = ids.entry(target.namespace).or_default();
        if !ids.contains(&target.id) {
            ids.push(target.id);
        }
    }
    for (namespace, ids) in ids {
        for ids in ids.chunks(TARGETS_MAX) {
            let bounds = bounds(client, &namespace, ids).await;
            let bounds = seen.or_gap(&format!("scalable targets of {namespace}"), bounds);
            let actions = actions(client, &namespace, ids).await;
            let mut natives = seen.or_gap(&format!("scheduled actions of {namespace}"), actions);
            for id in ids.iter().filter(|id| bounds.keys().any(|target| target.id == **id)) {
                let policies = policies(client, &namespace, id).await;
                natives.extend(seen.or_gap(&format!("policies of {id}"), policies));
            }
            seen.inventory.found.iter_mut().for_each(|found| known(found, &bounds, &natives));
        }
    }
}

fn targets(found: &Found) -> Vec<ScalableTargetId> {
    let capacities = found.capacities.iter();
    capacities.filter_map(|capacity| scalable_target(found, &capacity.at)).collect()
}

type Bounds = BTreeMap<ScalableTargetId, (f64, f64)>;
type Natives = Vec<(ScalableTargetId, String, NativeRule)>;

/// Adds bounds and natives to one resource.
fn known(found: &mut Found, bounds: &Bounds, natives: &Natives) {
    let keys: Vec<(usize, CapacityKey, ScalableTargetId)> = found
        .capacities
        .iter()
        .enumerate()
        .filter_map(|(place, capacity)| {
            Some((place, capacity.at.clone(), scalable_target(found, &capacity.at)?))
        })
        .collect();
    for (place, at, target) in keys {
        if let (Some(capacity), Some((min, max))) = (found.capacities.get_mut(place), bounds.get(&target)) {
            capacity.bounds = Some((*min, *max, "its scalable target".to_owned()));
        }
        let own = natives.iter().filter(|(of, ..)| *of == target);
        found.natives.extend(own.map(|(_, name, rule)| Native {
            name: name.clone(),
            on: at.clone(),
            rule: rule.clone(),
        }));
    }
}

async fn bounds(client: &Client, namespace: &str, ids: &[String]) -> Result<Bounds, AwsError> {
    let doing = || format!("describe scalable targets of {namespace}");
    let (mut found, mut next) = (Bounds::new(), None);
    for _ in 0..PAGES_MAX {
        let asked = client
            .describe_scalable_targets()
            .service_namespace(ServiceNamespace::from(namespace))
            .set_resource_ids(Some(ids.to_vec()))
            .set_next_token(next);
        let answer = asked.send().await.map_err(|error| AwsError::of(error, doing()))?;
        found.extend(answer.scalable_targets().iter().map(|target| {
            let id = id(namespace, target.resource_id(), target.scalable_dimension().as_str());
            (id, (f64::from(target.min_capacity()), f64::from(target.max_capacity())))
        }));
        next = answer.next_token;
        if next.is_none() {
            return Ok(found);
        }
    }
    Err(AwsError::new(ErrorKind::Limit, doing(), format!("more than {PAGES_MAX} pages")))
}

fn id(namespace: &str, id: &str, dimension: &str) -> ScalableTargetId {
    ScalableTargetId { namespace: namespace.to_owned(), id: id.to_owned(), dimension: dimension.to_owned() }
}

async fn policies(client: &Client, namespace: &str, of: &str) -> Result<Natives, AwsError> {
    let doing = || format!("describe the policies of {of}");
    let (mut found, mut next) = (Natives::new(), None);
    for _ in 0..PAGES_MAX {
        let asked = client
            .describe_scaling_policies()
            .service_namespace(ServiceNamespace::from(namespace))
            .resource_id(of)
            .set_next_token(next);
        let answer = asked.send().await.map_err(|error| AwsError::of(error, doing()))?;
        found.extend(answer.scaling_policies().iter().map(|policy| {
            let id = id(namespace, policy.resource_id(), policy.scalable_dimension().as_str());
            (id, policy.policy_name().to_owned(), rule(policy))
        }));
        next = answer.next_token;
        if next.is_none() {
            return Ok(found);
        }
    }
    Err(AwsError::new(ErrorKind::Limit, doing(), format!("more than {PAGES_MAX} pages")))
}

fn rule(policy: &ScalingPolicy) -> NativeRule {
    let Some(tracked) = policy.target_tracking_scaling_policy_configuration() else {
        return NativeRule::Policy(policy.policy_type().as_str().to_owned());
    };
    let predefined = tracked.predefined_metric_specification();
    let customized = tracked.customized_metric_specification().and_then(|metric| metric.metric_name());
    let predefined = predefined.map(|metric| metric.predefined_metric_type().as_str());
    let metric = predefined.or(customized).unwrap_or("a metric of its own");
    NativeRule::TargetTracking { metric: metric.to_owned(), target: tracked.target_value() }
}

async fn actions(client: &Client, namespace: &str, ids: &[String]) -> Result<Natives, AwsError> {
    let doing = || format!("describe scheduled actions of {namespace}");
    let (mut found, mut next) = (Natives::new(), None);
    for _ in 0..PAGES_MAX {
        // All of the namespace: the call takes one resource, and most have no actions.
        let asked = client
            .describe_scheduled_actions()
            .service_namespace(ServiceNamespace::from(namespace))
            .set_next_token(next);
        let answer = asked.send().await.map_err(|error| AwsError::of(error, doing()))?;
        let own = answer.scheduled_actions().iter().filter(|action| {
            ids.iter().any(|id| id == action.resource_id()) && action.scalable_dimension().is_some()
        });
        found.extend(own.map(|action| scheduled(namespace, action)));
        next = answer.next_token;
        if next.is_none() {
            return Ok(found);
        }
    }
    Err(AwsError::new(ErrorKind::Limit, doing(), format!("more than {PAGES_MAX} pages")))
}

fn scheduled(namespace: &str, action: &ScheduledAction) -> (ScalableTargetId, String, NativeRule) {
    let dimension = action.scalable_dimension().map(|dimension| dimension.as_str()).unwrap_or_default();
    let zone = action.timezone().map(|zone| format!(" ({zone})")).unwrap_or_default();
    let sets = action.scalable_target_action();
    let rule = NativeRule::Scheduled {
        when: format!("{}{zone}", action.schedule()),
        sets: (sets.and_then(|sets| sets.min_capacity()), sets.and_then(|sets| sets.max_capacity()), None),
    };
    (id(namespace, action.resource_id(), dimension), action.scheduled_action_name().to_owned(), rule)
}

#[cfg(test)]
mod tests {
    use aws_sdk_applicationautoscaling::operation::describe_scalable_targets::DescribeScalableTargetsOutput;
    use aws_sdk_applicationautoscaling::operation::describe_scaling_policies::DescribeScalingPoliciesOutput;
    use aws_sdk_applicationautoscaling::operation::describe_scheduled_actions::{
        DescribeScheduledActionsError, DescribeScheduledActionsOutput,
    };
    use aws_sdk_applicationautoscaling::types::{
        MetricType, PolicyType, PredefinedMetricSpecification, ScalableDimension, ScalableTarget,
        ScalableTargetAction, TargetTrackingScalingPolicyConfiguration,
    };
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
    use aws_smithy_types::DateTime;
    use aws_smithy_types::error::ErrorMetadata;
    use headroom_core::adopt::inventory::FoundCapacity;
    use headroom_core::resource::ResourceKind;

    use super::*;

    const READ: ScalableDimension = ScalableDimension::DynamoDbTableReadCapacityUnits;

    fn target() -> Rule {
        mock!(Client::describe_scalable_targets).then_output(|| {
            let target = ScalableTarget::builder()
                .service_namespace(ServiceNamespace::Dynamodb)
                .resource_id("table/orders")
                .scalable_dimension(READ)
                .min_capacity(5)
                .max_capacity(400)
                .role_arn("arn:role")
                .creation_time(DateTime::from_secs(0))
                .build();
            DescribeScalableTargetsOutput::builder().scalable_targets(target.unwrap()).build()
        })
    }

    fn policy() -> Rule {
        mock!(Client::describe_scaling_policies).then_output(|| {
            let metric = PredefinedMetricSpecification::builder()
                .predefined_metric_type(MetricType::DynamoDbReadCapacityUtilization)
                .build();
            let tracked = TargetTrackingScalingPolicyConfiguration::builder()
                .predefined_metric_specification(metric.unwrap())
                .target_value(65.0)
                .build();
            let policy = ScalingPolicy::builder()
                .policy_arn("arn:policy")
                .policy_name("keep")
                .service_namespace(ServiceNamespace::Dynamodb)
                .resource_id("table/orders")
                .scalable_dimension(READ)
                .policy_type(PolicyType::TargetTrackingScaling)
                .target_tracking_scaling_policy_configuration(tracked.unwrap())
                .creation_time(DateTime::from_secs(0))
                .build();
            DescribeScalingPoliciesOutput::builder().scaling_policies(policy.unwrap()).build()
        })
    }

    fn nightly() -> Rule {
        mock!(Client::describe_scheduled_actions).then_output(|| {
            let action = ScheduledAction::builder()
                .scheduled_action_name("nightly")
                .scheduled_action_arn("arn:action")
                .service_namespace(ServiceNamespace::Dynamodb)
                .schedule("cron(0 1 * * ? *)")
                .resource_id("table/orders")
                .scalable_dimension(READ)
                .scalable_target_action(ScalableTargetAction::builder().min_capacity(50).build())
                .creation_time(DateTime::from_secs(0))
                .build();
            DescribeScheduledActionsOutput::builder().scheduled_actions(action.unwrap()).build()
        })
    }

    async fn seen(rules: &[&Rule]) -> Seen {
        let units = |key| FoundCapacity::new(CapacityKey::Range(key), "units", 10.0);
        let capacities = vec![units("read_capacity"), units("write_capacity")];
        let mut seen = Seen::default();
        seen.found(Found { capacities, ..Found::new(ResourceKind::DynamoDbTable, "orders", "arn") });
        let client = mock_client!(aws_sdk_applicationautoscaling, RuleMode::MatchAny, rules);
        add(&client, &mut seen).await;
        seen
    }

    #[tokio::test]
    async fn each_capacity_gets_its_own_bounds_policies_and_actions() {
        let seen = seen(&[&target(), &policy(), &nightly()]).await;
        let [table] = seen.inventory.found.as_slice() else { panic!("{seen:?}") };
        let bounds: Vec<bool> = table.capacities.iter().map(|capacity| capacity.bounds.is_some()).collect();
        assert_eq!(bounds, [true, false]);
        let names: Vec<&str> = table.natives.iter().map(|native| native.name.as_str()).collect();
        assert_eq!(names, ["nightly", "keep"]);
        assert!(table.natives.iter().all(|native| native.on == CapacityKey::Range("read_capacity")));
        assert!(seen.inventory.not_seen.is_empty(), "{seen:?}");
    }

    #[tokio::test]
    async fn what_may_not_be_described_is_a_gap() {
        let denied = mock!(Client::describe_scheduled_actions).then_error(|| {
            DescribeScheduledActionsError::generic(
                ErrorMetadata::builder().code("AccessDeniedException").build(),
            )
        });
        let seen = seen(&[&target(), &policy(), &denied]).await;
        assert_eq!(seen.inventory.found[0].natives.len(), 1);
        assert!(seen.inventory.not_seen[0].starts_with("scheduled actions of dynamodb: "), "{seen:?}");
    }
}
