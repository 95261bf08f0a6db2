//! EC2 Auto Scaling groups, with their policies and scheduled actions.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_autoscaling::Client;
use aws_sdk_autoscaling::types::{AutoScalingGroup, Filter, ScalingPolicy, ScheduledUpdateGroupAction};
use headroom_core::adopt::inventory::{CapacityKey, Found, FoundCapacity, Native, NativeRule};
use headroom_core::resource::ResourceKind;

use super::{PAGES_MAX, Seen, Selection};
use crate::error::{AwsError, ErrorKind};

/// AWS describes so many groups in one call.
const GROUPS_MAX: usize = 100;
/// The metric of groups by which the past of their capacity is known.
const RECORDED: &str = "GroupInServiceCapacity";
/// Tags of groups that another service scales, and what to do with those.
const SCALED_BY_OTHERS: [(&str, &str); 2] = [
    ("eks:nodegroup-name", "it belongs to an EKS node group; write that by hand, as EKS_NODE_GROUP"),
    ("AmazonECSManaged", "a capacity provider of ECS scales it"),
];

pub(super) async fn read(client: &Client, selection: &Selection) -> Seen {
    let mut seen = Seen::default();
    let mut groups: BTreeMap<String, AutoScalingGroup> = BTreeMap::new();
    let names = selection.with_named(&selection.groups);
    for names in names.chunks(GROUPS_MAX) {
        let answer = describe(client, Some(names), &[]).await;
        groups.extend(seen.or_gap("Auto Scaling groups", answer));
    }
    if !selection.tags.is_empty() {
        let answer = describe(client, None, &selection.tags).await;
        groups.extend(seen.or_gap("Auto Scaling groups by their tags", answer));
    }
    for (name, group) in groups {
        if let Some((_, why)) = SCALED_BY_OTHERS.iter().find(|(tag, _)| tags(&group).contains_key(*tag)) {
            seen.left_out(format!("the group {name}"), why);
        } else {
            add(client, &mut seen, &name, &group).await;
        }
    }
    seen
}

/// Groups with names, or with tags.
async fn describe(
    client: &Client,
    names: Option<&[&str]>,
    wanted: &[(String, String)],
) -> Result<Vec<(String, AutoScalingGroup)>, AwsError> {
    const DOING: &str = "describe Auto Scaling groups";
    let names = names.map(|names| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    let filter =
        |(key, value): &(String, String)| Filter::builder().name(format!("tag:{key}")).values(value).build();
    let filters: Vec<Filter> = wanted.iter().map(filter).collect();
    let (mut groups, mut next) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let asked = client
            .describe_auto_scaling_groups()
            .set_auto_scaling_group_names(names.clone())
            .set_filters((!filters.is_empty()).then(|| filters.clone()))
            .set_next_token(next);
        let answer = asked.send().await.map_err(|error| AwsError::of(error, DOING))?;
        let all = answer.auto_scaling_groups.unwrap_or_default();
        let named =
            all.into_iter().filter_map(|group| Some((group.auto_scaling_group_name()?.to_owned(), group)));
        groups.extend(named.filter(|(_, group)| has_all(group, wanted)));
        next = answer.next_token;
        if next.is_none() {
            return Ok(groups);
        }
    }
    Err(AwsError::new(ErrorKind::Limit, DOING, format!("more than {PAGES_MAX} pages")))
}

fn tags(group: &AutoScalingGroup) -> BTreeMap<String, String> {
    let tags = group.tags().iter();
    tags.filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()))).collect()
}

fn has_all(group: &AutoScalingGroup, wanted: &[(String, String)]) -> bool {
    let tags = tags(group);
    wanted.iter().all(|(key, value)| tags.get(key) == Some(value))
}

async fn add(client: &Client, seen: &mut Seen, name: &str, group: &AutoScalingGroup) {
    let arn = group.auto_scaling_group_arn().unwrap_or(name);
    let bound = |bound: Option<i32>| f64::from(bound.unwrap_or(0));
    let (min, max) = (bound(group.min_size()), bound(group.max_size()));
    if max <= 0.0 {
        return seen.left_out(format!("the group {name}"), "its largest size is 0, so it is switched off");
    }
    let instances = FoundCapacity {
        bounds: Some((min, max, "the group".to_owned())),
        ..FoundCapacity::new(CapacityKey::Plain, "instances", bound(group.desired_capacity()))
    };
    let policies = seen.or_gap(&format!("policies of the group {name}"), policies(client, name).await);
    let actions = seen.or_gap(&format!("scheduled actions of the group {name}"), actions(client, name).await);
    let recorded = group.enabled_metrics().iter().any(|metric| metric.metric() == Some(RECORDED));
    seen.behind.extend(group.target_group_arns().iter().map(|target| (arn.to_owned(), target.clone())));
    seen.found(Found {
        tags: tags(group),
        capacities: vec![instances],
        natives: [policies, actions].concat(),
        remarks: types(group),
        past_is_recorded: recorded,
        ..Found::new(ResourceKind::Ec2AutoScalingGroup, name, arn)
    });
}

/// Which types its instances are of: their price has to be written by hand.
fn types(group: &AutoScalingGroup) -> Vec<String> {
    let types: BTreeSet<&str> =
        group.instances().iter().filter_map(|instance| instance.instance_type()).collect();
    if types.is_empty() {
        return Vec::new();
    }
    let types: Vec<&str> = types.into_iter().collect();
    vec![format!(
        "Its instances are of {}: write hourly_cost_per_unit, of which the default is about that of an m5.large.",
        types.join(", ")
    )]
}

async fn policies(client: &Client, name: &str) -> Result<Vec<Native>, AwsError> {
    let doing = || format!("describe the policies of {name}");
    let (mut natives, mut next) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let asked = client.describe_policies().auto_scaling_group_name(name).set_next_token(next);
        let answer = asked.send().await.map_err(|error| AwsError::of(error, doing()))?;
        let enabled = answer.scaling_policies().iter().filter(|policy| policy.enabled() != Some(false));
        natives.extend(enabled.map(policy));
        next = answer.next_token;
        if next.is_none() {
            return Ok(natives);
        }
    }
    Err(AwsError::new(ErrorKind::Limit, doing(), format!("more than {PAGES_MAX} pages")))
}

fn policy(policy: &ScalingPolicy) -> Native {
    let tracked = policy.target_tracking_configuration().map(|tracked| {
        let predefined = tracked.predefined_metric_specification();
        let predefined = predefined.and_then(|metric| metric.predefined_metric_type());
        let customized = tracked.customized_metric_specification().and_then(|metric| metric.metric_name());
        let metric = predefined.map(|metric| metric.as_str()).or(customized).unwrap_or("a metric of its own");
        NativeRule::TargetTracking {
            metric: metric.to_owned(),
            target: tracked.target_value().unwrap_or(0.0),
        }
    });
    let of_type = || NativeRule::Policy(policy.policy_type().unwrap_or("of an unknown type").to_owned());
    Native {
        name: policy.policy_name().unwrap_or_default().to_owned(),
        on: CapacityKey::Plain,
        rule: tracked.unwrap_or_else(of_type),
    }
}

async fn actions(client: &Client, name: &str) -> Result<Vec<Native>, AwsError> {
    let doing = || format!("describe the scheduled actions of {name}");
    let (mut natives, mut next) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let asked = client.describe_scheduled_actions().auto_scaling_group_name(name).set_next_token(next);
        let answer = asked.send().await.map_err(|error| AwsError::of(error, doing()))?;
        natives.extend(answer.scheduled_update_group_actions().iter().map(action));
        next = answer.next_token;
        if next.is_none() {
            return Ok(natives);
        }
    }
    Err(AwsError::new(ErrorKind::Limit, doing(), format!("more than {PAGES_MAX} pages")))
}

fn action(action: &ScheduledUpdateGroupAction) -> Native {
    let once = || action.start_time().map(ToString::to_string);
    let when = action.recurrence().map(str::to_owned).or_else(once).unwrap_or_default();
    let zone = action.time_zone().map(|zone| format!(" ({zone})")).unwrap_or_default();
    Native {
        name: action.scheduled_action_name().unwrap_or_default().to_owned(),
        on: CapacityKey::Plain,
        rule: NativeRule::Scheduled {
            when: format!("{when}{zone}"),
            sets: (action.min_size(), action.max_size(), action.desired_capacity()),
        },
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_autoscaling::operation::describe_auto_scaling_groups::DescribeAutoScalingGroupsOutput;
    use aws_sdk_autoscaling::operation::describe_policies::{DescribePoliciesError, DescribePoliciesOutput};
    use aws_sdk_autoscaling::operation::describe_scheduled_actions::DescribeScheduledActionsOutput;
    use aws_sdk_autoscaling::types::{
        EnabledMetric, MetricType, PredefinedMetricSpecification, TagDescription, TargetTrackingConfiguration,
    };
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
    use aws_smithy_types::error::ErrorMetadata;

    use super::*;

    fn group(name: &str, tags: &[(&str, &str)]) -> AutoScalingGroup {
        let tag = |(key, value): &(&str, &str)| TagDescription::builder().key(*key).value(*value).build();
        AutoScalingGroup::builder()
            .auto_scaling_group_name(name)
            .auto_scaling_group_arn(format!("arn:{name}"))
            .min_size(2)
            .max_size(12)
            .desired_capacity(4)
            .target_group_arns("arn:shop")
            .enabled_metrics(EnabledMetric::builder().metric(RECORDED).build())
            .set_tags(Some(tags.iter().map(tag).collect()))
            .build()
    }

    fn describes(groups: Vec<AutoScalingGroup>) -> Rule {
        mock!(Client::describe_auto_scaling_groups).then_output(move || {
            DescribeAutoScalingGroupsOutput::builder().set_auto_scaling_groups(Some(groups.clone())).build()
        })
    }

    fn keeps_cpu() -> Rule {
        let cpu = PredefinedMetricSpecification::builder()
            .predefined_metric_type(MetricType::AsgAverageCpuUtilization)
            .build();
        let tracked = TargetTrackingConfiguration::builder()
            .predefined_metric_specification(cpu)
            .target_value(55.0)
            .build();
        let policy =
            ScalingPolicy::builder().policy_name("keep").target_tracking_configuration(tracked).build();
        mock!(Client::describe_policies)
            .then_output(move || DescribePoliciesOutput::builder().scaling_policies(policy.clone()).build())
    }

    fn at_night() -> Rule {
        let action =
            ScheduledUpdateGroupAction::builder().scheduled_action_name("night").recurrence("0 1 * * *");
        let action = action.min_size(1).build();
        mock!(Client::describe_scheduled_actions).then_output(move || {
            DescribeScheduledActionsOutput::builder().scheduled_update_group_actions(action.clone()).build()
        })
    }

    async fn seen(rules: &[&Rule]) -> Seen {
        let client = mock_client!(aws_sdk_autoscaling, RuleMode::MatchAny, rules);
        let tags = vec![("app".to_owned(), "shop".to_owned())];
        read(&client, &Selection { tags, ..Selection::default() }).await
    }

    #[tokio::test]
    async fn a_tagged_group_is_found_with_its_bounds_and_policies() {
        let groups = vec![
            group("web", &[("app", "shop")]),
            group("other", &[("app", "blog")]),
            group("nodes", &[("app", "shop"), ("eks:nodegroup-name", "workers")]),
        ];
        let seen = seen(&[&describes(groups), &keeps_cpu(), &at_night()]).await;
        let [web] = seen.inventory.found.as_slice() else { panic!("{seen:?}") };
        assert_eq!((web.name.as_str(), web.past_is_recorded), ("web", true));
        assert_eq!(web.capacities[0].bounds, Some((2.0, 12.0, "the group".to_owned())));
        let rules: Vec<&NativeRule> = web.natives.iter().map(|native| &native.rule).collect();
        let kept = NativeRule::TargetTracking { metric: "ASGAverageCPUUtilization".into(), target: 55.0 };
        let night = NativeRule::Scheduled { when: "0 1 * * *".into(), sets: (Some(1), None, None) };
        assert_eq!(rules, [&kept, &night]);
        assert_eq!(seen.behind, [("arn:web".to_owned(), "arn:shop".to_owned())]);
        assert_eq!(seen.inventory.left_out[0].what, "the group nodes");
    }

    #[tokio::test]
    async fn policies_that_may_not_be_described_leave_a_gap_and_the_group() {
        let denied = mock!(Client::describe_policies).then_error(|| {
            let said = ErrorMetadata::builder().code("AccessDenied").message("no").build();
            DescribePoliciesError::generic(said)
        });
        let seen = seen(&[&describes(vec![group("web", &[("app", "shop")])]), &denied, &at_night()]).await;
        assert_eq!(seen.inventory.found.len(), 1);
        assert_eq!(
            seen.inventory.not_seen,
            ["policies of the group web: could not describe the policies of web: AccessDenied: no"]
        );
    }
}
