//! What load balancers see of their targets, and where they stand.

use std::collections::BTreeSet;

use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::{
    Listener, LoadBalancer, LoadBalancerSchemeEnum, ProtocolEnum, TargetHealthStateEnum,
};

use headroom_core::collect::TargetGroup;

use super::{Address, Balancer, TargetHealth};
use crate::error::AwsError;

/// The health of every target of some target groups; `None` without a group.
pub(super) async fn health(client: &Client, groups: &[String]) -> Result<Option<TargetHealth>, AwsError> {
    let mut health = TargetHealth::default();
    for group in groups {
        let answer = client.describe_target_health().target_group_arn(group).send().await;
        let answer =
            answer.map_err(|error| AwsError::of(error, format!("describe the targets of {group}")))?;
        let states = answer
            .target_health_descriptions()
            .iter()
            .map(|target| target.target_health().and_then(|health| health.state()));
        for state in states {
            match state {
                Some(TargetHealthStateEnum::Healthy) => health.healthy += 1,
                // A draining target is on its way out, which is what a scale-in wants. An unused one gets no requests, because
                // it is in a zone or a group that no load balancer uses.
                Some(
                    TargetHealthStateEnum::Draining
                    | TargetHealthStateEnum::UnhealthyDraining
                    | TargetHealthStateEnum::Unused,
                ) => (),
                _ => health.others += 1,
            }
        }
    }
    Ok((!groups.is_empty()).then_some(health))
}

/// Target groups as CloudWatch names them, each with the Application Load Balancer before it.
pub(super) async fn measured(client: &Client, groups: &[String]) -> Result<Vec<TargetGroup>, AwsError> {
    let found = described(client, groups).await?;
    let pairs = found.iter().flat_map(|group| {
        let arn = group.target_group_arn().unwrap_or_default();
        group.load_balancer_arns().iter().filter_map(move |balancer| TargetGroup::of_arns(balancer, arn))
    });
    Ok(pairs.collect())
}

async fn described(
    client: &Client,
    groups: &[String],
) -> Result<Vec<aws_sdk_elasticloadbalancingv2::types::TargetGroup>, AwsError> {
    if groups.is_empty() {
        return Ok(Vec::new());
    }
    let doing = || format!("find the load balancers of {}", groups.join(", "));
    let asked = client.describe_target_groups().set_target_group_arns(Some(groups.to_vec()));
    let answer = asked.send().await.map_err(|error| AwsError::of(error, doing()))?;
    Ok(answer.target_groups.unwrap_or_default())
}

/// Where HTTP is spoken before some target groups. Of several listeners: one that forwards to the groups by default, then
/// one that the internet reaches, then plain HTTP, then the smallest name and port, so that it is always the same.
pub(super) async fn address(client: &Client, groups: &[String]) -> Result<Address, AwsError> {
    let balancers = before(client, groups).await?;
    if balancers.is_empty() {
        return Ok(Address::None);
    }
    let (mut found, mut others) = (Vec::new(), Vec::new());
    for balancer in &balancers {
        let arn = balancer.load_balancer_arn().unwrap_or_default();
        let answer = client.describe_listeners().load_balancer_arn(arn).send().await;
        let answer =
            answer.map_err(|error| AwsError::of(error, format!("describe the listeners of {arn}")))?;
        for listener in answer.listeners() {
            match spoken(balancer, listener) {
                Some(place) => found.push((!forwards(listener, groups), place)),
                None => others.push(told(balancer, listener)),
            }
        }
        if answer.listeners().is_empty() {
            others.push(format!("{} without listeners", name(balancer)));
        }
    }
    found.sort_by(|(left, one), (right, other)| (left, order(one)).cmp(&(right, order(other))));
    Ok(match found.into_iter().next() {
        Some((_, balancer)) => Address::Http(balancer),
        None => Address::NotHttp(others.join(", ")),
    })
}

/// The load balancers before some target groups.
async fn before(client: &Client, groups: &[String]) -> Result<Vec<LoadBalancer>, AwsError> {
    let found = described(client, groups).await?;
    let arns = found.iter().flat_map(|group| group.load_balancer_arns()).cloned();
    // One may stand before several of the groups.
    let arns: BTreeSet<String> = arns.collect();
    if arns.is_empty() {
        return Ok(Vec::new());
    }
    let asked = client.describe_load_balancers();
    let asked = asked.set_load_balancer_arns(Some(arns.into_iter().collect()));
    let answer = asked
        .send()
        .await
        .map_err(|error| AwsError::of(error, format!("find the load balancers of {}", groups.join(", "))))?;
    Ok(answer.load_balancers.unwrap_or_default())
}

fn order(balancer: &Balancer) -> (bool, &str, &str, u16) {
    (balancer.is_internal, balancer.scheme, &balancer.host, balancer.port)
}

/// A listener that speaks HTTP. What is spoken behind TCP and TLS is most often HTTP too, but that is not for us to guess.
fn spoken(balancer: &LoadBalancer, listener: &Listener) -> Option<Balancer> {
    let scheme = match listener.protocol()? {
        ProtocolEnum::Http => "http",
        ProtocolEnum::Https => "https",
        _ => return None,
    };
    let is_internal = balancer.scheme() == Some(&LoadBalancerSchemeEnum::Internal);
    let (host, port) = (balancer.dns_name()?.to_owned(), u16::try_from(listener.port()?).ok()?);
    Some(Balancer { scheme, host, port, is_internal })
}

fn told(balancer: &LoadBalancer, listener: &Listener) -> String {
    let protocol = listener.protocol().map_or("no protocol", ProtocolEnum::as_str);
    let port = listener.port().map(|port| format!(" on port {port}")).unwrap_or_default();
    format!("{} with {protocol}{port}", name(balancer))
}

fn name(balancer: &LoadBalancer) -> &str {
    balancer.load_balancer_name().unwrap_or("a load balancer")
}

/// Whether what a listener does by default is to forward to one of some groups.
fn forwards(listener: &Listener, groups: &[String]) -> bool {
    let one = |arn: &str| groups.iter().any(|group| group == arn);
    listener.default_actions().iter().any(|action| {
        let several = action.forward_config().map(|forward| forward.target_groups()).unwrap_or_default();
        action.target_group_arn().is_some_and(one)
            || several.iter().filter_map(|group| group.target_group_arn()).any(one)
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_elasticloadbalancingv2::operation::describe_listeners::{
        DescribeListenersInput, DescribeListenersOutput,
    };
    use aws_sdk_elasticloadbalancingv2::operation::describe_load_balancers::DescribeLoadBalancersOutput;
    use aws_sdk_elasticloadbalancingv2::operation::describe_target_groups::DescribeTargetGroupsOutput;
    use aws_sdk_elasticloadbalancingv2::operation::describe_target_health::DescribeTargetHealthOutput;
    use aws_sdk_elasticloadbalancingv2::types::{
        Action, ActionTypeEnum, TargetGroup as Group, TargetHealth as Health, TargetHealthDescription,
    };
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};

    use super::*;

    #[tokio::test]
    async fn draining_targets_do_not_count() {
        let rule = mock!(Client::describe_target_health).then_output(|| {
            use TargetHealthStateEnum as State;
            let states = [
                State::Healthy,
                State::Healthy,
                State::Initial,
                State::Draining,
                State::UnhealthyDraining,
                State::Unhealthy,
            ];
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
        let found = health(&client, &["arn".to_owned()]).await.unwrap();
        assert_eq!(found, Some(TargetHealth { healthy: 2, others: 2 }));
        assert_eq!(health(&client, &[]).await.unwrap(), None);
    }

    /// A listener: its protocol, its port, and the group that it forwards to.
    type Told = (&'static str, i32, Option<&'static str>);
    /// A load balancer: its name, its scheme, and its listeners.
    type Stands = (&'static str, LoadBalancerSchemeEnum, &'static [Told]);

    fn balancer((name, scheme, _): &Stands) -> LoadBalancer {
        let balancer = LoadBalancer::builder().load_balancer_arn(*name).load_balancer_name(*name);
        balancer.dns_name(format!("{name}.elb")).scheme(scheme.clone()).build()
    }

    fn listener((protocol, port, group): &Told) -> Listener {
        let action = Action::builder().r#type(ActionTypeEnum::Forward);
        let action = action.set_target_group_arn(group.map(str::to_owned)).build();
        let listener = Listener::builder().protocol(ProtocolEnum::from(*protocol)).port(*port);
        listener.default_actions(action).build()
    }

    /// The address before the group `ours`, behind these load balancers.
    async fn found(balancers: &'static [Stands]) -> String {
        let groups = mock!(Client::describe_target_groups).then_output(|| {
            let arns = balancers.iter().map(|(name, ..)| (*name).to_owned()).collect();
            let group = Group::builder().set_load_balancer_arns(Some(arns)).build();
            DescribeTargetGroupsOutput::builder().target_groups(group).build()
        });
        let described = mock!(Client::describe_load_balancers).then_output(|| {
            let all = balancers.iter().map(balancer).collect();
            DescribeLoadBalancersOutput::builder().set_load_balancers(Some(all)).build()
        });
        let mut rules = vec![groups, described];
        for (name, _, listeners) in balancers {
            let of_this = |request: &DescribeListenersInput| request.load_balancer_arn() == Some(*name);
            rules.push(mock!(Client::describe_listeners).match_requests(of_this).then_output(|| {
                let all = listeners.iter().map(listener).collect();
                DescribeListenersOutput::builder().set_listeners(Some(all)).build()
            }));
        }
        let rules: Vec<&Rule> = rules.iter().collect();
        let client = mock_client!(aws_sdk_elasticloadbalancingv2, RuleMode::MatchAny, &rules);
        match address(&client, &["ours".to_owned()]).await.unwrap() {
            Address::Http(Balancer { scheme, host, port, is_internal }) => {
                format!("{scheme}://{host}:{port}{}", if is_internal { " internal" } else { "" })
            }
            Address::NotHttp(what) => what,
            Address::None => "none".to_owned(),
        }
    }

    #[tokio::test]
    async fn groups_of_application_load_balancers_are_measured_and_others_are_not() {
        let rule = mock!(Client::describe_target_groups).then_output(|| {
            let group = |name: &str, balancers: &[&str]| {
                let of =
                    |balancer: &&str| format!("arn:aws:elasticloadbalancing:r:1:loadbalancer/{balancer}");
                Group::builder()
                    .target_group_arn(format!("arn:aws:elasticloadbalancing:r:1:targetgroup/{name}"))
                    .set_load_balancer_arns(Some(balancers.iter().map(of).collect()))
                    .build()
            };
            DescribeTargetGroupsOutput::builder()
                .target_groups(group("web/7", &["app/web/5"]))
                .target_groups(group("tcp/8", &["net/tcp/6"]))
                .target_groups(group("spare/9", &[]))
                .build()
        });
        let client = mock_client!(aws_sdk_elasticloadbalancingv2, RuleMode::MatchAny, [&rule]);
        let found = measured(&client, &["arn".to_owned()]).await.unwrap();
        let web = TargetGroup { load_balancer: "app/web/5".into(), name: "targetgroup/web/7".into() };
        assert_eq!(found, [web]);
        assert_eq!(measured(&client, &[]).await.unwrap(), []);
        assert_eq!(rule.num_calls(), 1);
    }

    #[tokio::test]
    async fn the_address_is_a_listener_that_forwards_to_the_group() {
        use LoadBalancerSchemeEnum::{Internal, InternetFacing};
        const BOTH: &[Told] = &[("HTTPS", 443, None), ("HTTP", 80, None)];
        // The usual redirect: the plain listener forwards nowhere.
        const REDIRECT: &[Told] = &[("HTTP", 80, None), ("HTTPS", 8443, Some("ours"))];
        const OTHERS: &[Told] = &[("HTTP", 80, Some("theirs")), ("HTTP", 8080, Some("ours"))];
        const NETWORK: &[Told] = &[("TCP", 443, Some("ours")), ("TLS", 8443, Some("ours"))];
        assert_eq!(found(&[]).await, "none");
        assert_eq!(found(&[("web", InternetFacing, BOTH)]).await, "http://web.elb:80");
        assert_eq!(found(&[("web", InternetFacing, REDIRECT)]).await, "https://web.elb:8443");
        assert_eq!(found(&[("web", InternetFacing, OTHERS)]).await, "http://web.elb:8080");
        let inner_first = found(&[("a", Internal, REDIRECT), ("b", InternetFacing, REDIRECT)]).await;
        assert_eq!(inner_first, "https://b.elb:8443");
        assert_eq!(found(&[("web", Internal, REDIRECT)]).await, "https://web.elb:8443 internal");
        let none_speaks_http = found(&[("nlb", InternetFacing, NETWORK), ("gateway", Internal, &[])]).await;
        assert_eq!(
            none_speaks_http,
            "nlb with TCP on port 443, nlb with TLS on port 8443, gateway without listeners"
        );
    }
}
