//! Which groups have a scaling policy of their own.

use std::collections::BTreeSet;

use aws_sdk_autoscaling::Client;
use headroom_core::name::ResourceId;
use headroom_core::platform::Resource;
use headroom_core::resource::Adapter;

use super::PAGES_MAX;
use crate::error::{AwsError, ErrorKind};

/// Groups with an enabled scaling policy of their own. A predictive one does not count: it never scales in, and by default it
/// only forecasts.
pub(in crate::fleet) async fn natives(
    client: &Client,
    resources: &[&Resource],
) -> Result<BTreeSet<ResourceId>, AwsError> {
    let groups: Vec<&&Resource> =
        resources.iter().filter(|resource| resource.adapter == Some(Adapter::AutoScalingGroup)).collect();
    let names: BTreeSet<&str> = groups.iter().map(|group| group.name.as_str()).collect();
    if names.is_empty() {
        return Ok(BTreeSet::new());
    }
    // The API describes the policies of one group, or of all of the account: whichever takes fewer calls.
    let with_policy = match policies(client, None, names.len().min(PAGES_MAX)).await? {
        Some(all) => all,
        None => {
            let mut found = BTreeSet::new();
            for name in names {
                let of_one = policies(client, Some(name), PAGES_MAX).await?;
                let limit = || {
                    let said = format!("{name} has more than {PAGES_MAX} pages of them");
                    AwsError::new(ErrorKind::Limit, "describe scaling policies", said)
                };
                found.extend(of_one.ok_or_else(limit)?);
            }
            found
        }
    };
    Ok(groups
        .iter()
        .filter(|group| with_policy.contains(&group.name))
        .map(|group| group.id.clone())
        .collect())
}

/// The groups with an enabled policy in the account, or one group if it has any; `None` when there are more pages.
async fn policies(
    client: &Client,
    name: Option<&str>,
    pages: usize,
) -> Result<Option<BTreeSet<String>>, AwsError> {
    let mut with_policy = BTreeSet::new();
    let mut next = None;
    for _ in 0..pages {
        let answer = client
            .describe_policies()
            .set_auto_scaling_group_name(name.map(str::to_owned))
            .max_records(100)
            .set_next_token(next)
            .send()
            .await
            .map_err(|error| AwsError::of(error, "describe scaling policies"))?;
        let enabled = answer.scaling_policies().iter().filter(|policy| {
            policy.enabled() != Some(false) && policy.policy_type() != Some("PredictiveScaling")
        });
        with_policy.extend(enabled.filter_map(|policy| policy.auto_scaling_group_name().map(str::to_owned)));
        next = answer.next_token;
        if next.is_none() {
            return Ok(Some(with_policy));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use aws_sdk_autoscaling::operation::describe_policies::DescribePoliciesOutput;
    use aws_sdk_autoscaling::types::ScalingPolicy;
    use aws_smithy_mocks::{RuleMode, mock, mock_client};

    use super::super::super::testing::platform;
    use super::*;

    const GROUP: &str =
        "{type: EC2_AUTO_SCALING_GROUP, name: web-asg, id: web, min_capacity: 1, max_capacity: 20}";

    #[tokio::test]
    async fn groups_with_a_policy_of_their_own_are_native() {
        let policy = |group: &str, kind: &str, enabled| {
            let policy = ScalingPolicy::builder().auto_scaling_group_name(group).policy_type(kind);
            policy.enabled(enabled).build()
        };
        let rule = mock!(Client::describe_policies).then_output(move || {
            DescribePoliciesOutput::builder()
                .scaling_policies(policy("web-asg", "TargetTrackingScaling", true))
                .scaling_policies(policy("off", "TargetTrackingScaling", false))
                .scaling_policies(policy("foreseen-asg", "PredictiveScaling", true))
                .build()
        });
        let client = mock_client!(aws_sdk_autoscaling, RuleMode::MatchAny, [&rule]);
        let platform = platform(GROUP);
        let resources: Vec<&Resource> = platform.resources().map(|(_, resource)| resource).collect();
        assert_eq!(natives(&client, &resources).await.unwrap(), BTreeSet::from(["web".into()]));
    }

    #[tokio::test]
    async fn a_policy_behind_thousands_of_others_is_found_by_its_group() {
        let account = mock!(Client::describe_policies)
            .match_requests(|request| request.auto_scaling_group_name().is_none())
            .then_output(|| DescribePoliciesOutput::builder().next_token("more").build());
        let group = mock!(Client::describe_policies)
            .match_requests(|request| request.auto_scaling_group_name() == Some("web-asg"))
            .then_output(|| {
                let policy = ScalingPolicy::builder().auto_scaling_group_name("web-asg").enabled(true);
                DescribePoliciesOutput::builder().scaling_policies(policy.build()).build()
            });
        let client = mock_client!(aws_sdk_autoscaling, RuleMode::MatchAny, [&account, &group]);
        let platform = platform(GROUP);
        let resources: Vec<&Resource> = platform.resources().map(|(_, resource)| resource).collect();
        assert_eq!(natives(&client, &resources).await.unwrap(), BTreeSet::from(["web".into()]));
        assert_eq!((account.num_calls(), group.num_calls()), (1, 1));
    }
}
