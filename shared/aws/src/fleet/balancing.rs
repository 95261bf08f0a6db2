//! What load balancers see of their targets, and where they stand.

use aws_sdk_elasticloadbalancingv2::types::{ProtocolEnum, TargetHealthStateEnum};

use super::{Clients, TargetHealth};
use crate::error::AwsError;

/// The health of every target of some target groups; `None` without a group.
pub(super) async fn health(clients: &Clients, groups: &[String]) -> Result<Option<TargetHealth>, AwsError> {
    let mut health = TargetHealth::default();
    for group in groups {
        let answer = clients.balancing.describe_target_health().target_group_arn(group).send().await;
        let answer =
            answer.map_err(|error| AwsError::of(error, format!("describe the targets of {group}")))?;
        let states = answer
            .target_health_descriptions()
            .iter()
            .map(|target| target.target_health().and_then(|health| health.state()));
        for state in states {
            match state {
                Some(TargetHealthStateEnum::Healthy) => health.healthy += 1,
                // A draining target is on its way out, which is what a scale-in wants.
                Some(TargetHealthStateEnum::Draining | TargetHealthStateEnum::Unused) => (),
                _ => health.others += 1,
            }
        }
    }
    Ok((!groups.is_empty()).then_some(health))
}

/// The address of the first load balancer before some target groups.
pub(super) async fn address(clients: &Clients, groups: &[String]) -> Result<Option<String>, AwsError> {
    let Some(group) = groups.first() else { return Ok(None) };
    let doing = || format!("find the load balancer of {group}");
    let answer = clients.balancing.describe_target_groups().target_group_arns(group).send().await;
    let answer = answer.map_err(|error| AwsError::of(error, doing()))?;
    let balancer = answer.target_groups().iter().flat_map(|group| group.load_balancer_arns()).next().cloned();
    let Some(balancer) = balancer else { return Ok(None) };
    let answer = clients.balancing.describe_load_balancers().load_balancer_arns(&balancer).send().await;
    let answer = answer.map_err(|error| AwsError::of(error, doing()))?;
    let host = answer.load_balancers().first().and_then(|balancer| balancer.dns_name()).map(str::to_owned);
    let answer = clients.balancing.describe_listeners().load_balancer_arn(&balancer).send().await;
    let answer = answer.map_err(|error| AwsError::of(error, doing()))?;
    // A certificate is for the site's name, not the balancer's, so plain HTTP is asked first where there is both.
    let mut listeners: Vec<_> =
        answer.listeners().iter().filter_map(|one| Some((scheme(one.protocol()?)?, one.port()?))).collect();
    listeners.sort_unstable();
    Ok(host.zip(listeners.first()).map(|(host, (scheme, port))| format!("{scheme}://{host}:{port}")))
}

fn scheme(protocol: &ProtocolEnum) -> Option<&'static str> {
    match protocol {
        ProtocolEnum::Http => Some("http"),
        ProtocolEnum::Https => Some("https"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_elasticloadbalancingv2::Client;
    use aws_sdk_elasticloadbalancingv2::operation::describe_listeners::DescribeListenersOutput;
    use aws_sdk_elasticloadbalancingv2::operation::describe_load_balancers::DescribeLoadBalancersOutput;
    use aws_sdk_elasticloadbalancingv2::operation::describe_target_groups::DescribeTargetGroupsOutput;
    use aws_sdk_elasticloadbalancingv2::operation::describe_target_health::DescribeTargetHealthOutput;
    use aws_sdk_elasticloadbalancingv2::types::{
        Listener, LoadBalancer, TargetGroup, TargetHealth as Health, TargetHealthDescription,
    };
    use aws_smithy_mocks::{RuleMode, mock, mock_client};

    use super::super::testing::clients;
    use super::*;

    #[tokio::test]
    async fn draining_targets_do_not_count() {
        let rule = mock!(Client::describe_target_health).then_output(|| {
            use TargetHealthStateEnum as State;
            let states = [State::Healthy, State::Healthy, State::Initial, State::Draining, State::Unhealthy];
            let targets = states.map(|state| {
                TargetHealthDescription::builder()
                    .target_health(Health::builder().state(state).build())
                    .build()
            });
            DescribeTargetHealthOutput::builder()
                .set_target_health_descriptions(Some(targets.to_vec()))
                .build()
        });
        let client = mock_client!(aws_sdk_elasticloadbalancingv2, RuleMode::MatchAny, [&rule]);
        let clients = Clients { balancing: client, ..clients() };
        let found = health(&clients, &["arn".to_owned()]).await.unwrap();
        assert_eq!(found, Some(TargetHealth { healthy: 2, others: 2 }));
        assert_eq!(health(&clients, &[]).await.unwrap(), None);
    }

    #[tokio::test]
    async fn the_address_is_that_of_the_balancer_in_front() {
        let groups = mock!(Client::describe_target_groups).then_output(|| {
            let group = TargetGroup::builder().load_balancer_arns("balancer").build();
            DescribeTargetGroupsOutput::builder().target_groups(group).build()
        });
        let balancers = mock!(Client::describe_load_balancers).then_output(|| {
            let balancer = LoadBalancer::builder().dns_name("web.elb.amazonaws.com").build();
            DescribeLoadBalancersOutput::builder().load_balancers(balancer).build()
        });
        let listeners = mock!(Client::describe_listeners).then_output(|| {
            let listener = |protocol, port| Listener::builder().protocol(protocol).port(port).build();
            let both = [listener(ProtocolEnum::Https, 443), listener(ProtocolEnum::Http, 80)];
            DescribeListenersOutput::builder().set_listeners(Some(both.to_vec())).build()
        });
        let client = mock_client!(
            aws_sdk_elasticloadbalancingv2,
            RuleMode::MatchAny,
            [&groups, &balancers, &listeners]
        );
        let clients = Clients { balancing: client, ..clients() };
        let found = address(&clients, &["arn".to_owned()]).await.unwrap();
        assert_eq!(found.as_deref(), Some("http://web.elb.amazonaws.com:80"));
    }
}
