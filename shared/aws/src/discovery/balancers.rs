//! Load balancers in front of what was found, and the names by which others reach it through them.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::{LoadBalancer, LoadBalancerSchemeEnum, TargetGroup};
use headroom_core::adopt::inventory::Front;

use super::Seen;
use crate::error::AwsError;

/// AWS describes so many target groups, or balancers, in one call.
const DESCRIBED_MAX: usize = 20;

/// Adds what stands in front of each resource.
pub(super) async fn add(client: &Client, seen: &mut Seen) {
    let behind = std::mem::take(&mut seen.behind);
    let arns: BTreeSet<&str> = behind.iter().map(|(_, group)| group.as_str()).collect();
    let groups = seen.or_gap("target groups", target_groups(client, &arns).await);
    let arns: BTreeSet<&str> =
        groups.values().flat_map(|group| group.load_balancer_arns()).map(String::as_str).collect();
    let balancers = seen.or_gap("load balancers", load_balancers(client, &arns).await);
    for (resource, group) in &behind {
        let Some(group) = groups.get(group) else { continue };
        let before: Vec<&LoadBalancer> =
            group.load_balancer_arns().iter().filter_map(|arn| balancers.get(arn)).collect();
        for balancer in &before {
            let what = format!("the host of the load balancer {}", name(balancer));
            seen.handle(resource, balancer.dns_name(), what);
        }
        let front = Front {
            target_group: group.target_group_name().unwrap_or_default().to_owned(),
            balancers: before.iter().map(|balancer| name(balancer).to_owned()).collect(),
            is_public: before.iter().any(|balancer| is_public(balancer)),
        };
        let fronted = seen.inventory.found.iter_mut().filter(|found| found.arn == *resource);
        fronted.for_each(|found| found.front.push(front.clone()));
    }
}

fn name(balancer: &LoadBalancer) -> &str {
    balancer.load_balancer_name().unwrap_or("a load balancer")
}

fn is_public(balancer: &LoadBalancer) -> bool {
    balancer.scheme() == Some(&LoadBalancerSchemeEnum::InternetFacing)
}

fn chunks(arns: &BTreeSet<&str>) -> Vec<Vec<String>> {
    let arns: Vec<String> = arns.iter().map(|arn| (*arn).to_owned()).collect();
    arns.chunks(DESCRIBED_MAX).map(<[String]>::to_vec).collect()
}

async fn target_groups(
    client: &Client,
    arns: &BTreeSet<&str>,
) -> Result<BTreeMap<String, TargetGroup>, AwsError> {
    let mut found = BTreeMap::new();
    for arns in chunks(arns) {
        let answer = client.describe_target_groups().set_target_group_arns(Some(arns)).send().await;
        let answer = answer.map_err(|error| AwsError::of(error, "describe target groups"))?;
        let groups = answer.target_groups.unwrap_or_default().into_iter();
        found.extend(groups.filter_map(|group| Some((group.target_group_arn()?.to_owned(), group))));
    }
    Ok(found)
}

async fn load_balancers(
    client: &Client,
    arns: &BTreeSet<&str>,
) -> Result<BTreeMap<String, LoadBalancer>, AwsError> {
    let mut found = BTreeMap::new();
    for arns in chunks(arns) {
        let answer = client.describe_load_balancers().set_load_balancer_arns(Some(arns)).send().await;
        let answer = answer.map_err(|error| AwsError::of(error, "describe load balancers"))?;
        let balancers = answer.load_balancers.unwrap_or_default().into_iter();
        found.extend(
            balancers.filter_map(|balancer| Some((balancer.load_balancer_arn()?.to_owned(), balancer))),
        );
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use aws_sdk_elasticloadbalancingv2::operation::describe_load_balancers::{
        DescribeLoadBalancersError, DescribeLoadBalancersOutput,
    };
    use aws_sdk_elasticloadbalancingv2::operation::describe_target_groups::DescribeTargetGroupsOutput;
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
    use aws_smithy_types::error::ErrorMetadata;
    use headroom_core::adopt::inventory::Found;
    use headroom_core::resource::ResourceKind;

    use super::*;

    async fn seen(balancers: Rule) -> Seen {
        let groups = mock!(Client::describe_target_groups).then_output(|| {
            let group = TargetGroup::builder().target_group_arn("arn:g").target_group_name("shop");
            let group = group.load_balancer_arns("arn:b").build();
            DescribeTargetGroupsOutput::builder().target_groups(group).build()
        });
        let client = mock_client!(aws_sdk_elasticloadbalancingv2, RuleMode::MatchAny, &[&groups, &balancers]);
        let mut seen = Seen::default();
        seen.found(Found::new(ResourceKind::EcsService, "api", "arn:api"));
        seen.behind.push(("arn:api".to_owned(), "arn:g".to_owned()));
        add(&client, &mut seen).await;
        seen
    }

    #[tokio::test]
    async fn what_stands_in_front_is_told_and_found_by_its_host() {
        let balancers = mock!(Client::describe_load_balancers).then_output(|| {
            let balancer = LoadBalancer::builder()
                .load_balancer_arn("arn:b")
                .load_balancer_name("shop-alb")
                .dns_name("shop-alb-1.elb.amazonaws.com")
                .scheme(LoadBalancerSchemeEnum::InternetFacing)
                .build();
            DescribeLoadBalancersOutput::builder().load_balancers(balancer).build()
        });
        let seen = seen(balancers).await;
        let front =
            Front { target_group: "shop".into(), balancers: vec!["shop-alb".into()], is_public: true };
        assert_eq!(seen.inventory.found[0].front, [front]);
        assert_eq!(seen.inventory.handles[0].text, "shop-alb-1.elb.amazonaws.com");
    }

    #[tokio::test]
    async fn balancers_that_may_not_be_described_are_a_gap() {
        let denied = mock!(Client::describe_load_balancers).then_error(|| {
            DescribeLoadBalancersError::generic(ErrorMetadata::builder().code("AccessDenied").build())
        });
        let seen = seen(denied).await;
        assert!(!seen.inventory.found[0].front[0].is_public);
        assert!(seen.inventory.not_seen[0].starts_with("load balancers: "), "{seen:?}");
    }
}
