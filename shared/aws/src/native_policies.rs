//! Target tracking policies of AWS: what there is on a capacity, and how ours are put and removed. Only people do that, through the
//! command line; no function has the permission.

use aws_sdk_applicationautoscaling::types as application;
use aws_sdk_autoscaling::types as ec2;
use headroom_core::name::PlatformName;
use headroom_core::policies::{Found, ScaledBy, TargetTracking};
use headroom_core::resource::ScalableTargetId;

use crate::error::{AwsError, ErrorKind};
use crate::sdk::Aws;

/// Pages of the policies of one capacity, of which AWS allows fifty.
const PAGES_MAX: usize = 10;

/// Policies of EC2 Auto Scaling and Application Auto Scaling.
#[derive(Clone, Debug)]
pub struct NativePolicies {
    groups: aws_sdk_autoscaling::Client,
    targets: aws_sdk_applicationautoscaling::Client,
}

impl NativePolicies {
    /// Those of an account.
    pub fn new(aws: &Aws) -> NativePolicies {
        NativePolicies { groups: aws.autoscaling(), targets: aws.application() }
    }

    /// The policies that a capacity has.
    ///
    /// # Errors
    /// When they cannot be read to the end.
    pub async fn found(&self, on: &ScaledBy) -> Result<Vec<Found>, AwsError> {
        match on {
            ScaledBy::Group(name) => self.of_group(name).await,
            ScaledBy::Target(target) => self.of_target(target).await,
        }
    }

    /// Puts a policy, in place of one of its name. What Application Auto Scaling does not know yet is registered with the bounds
    /// of the file and the platform's tag.
    ///
    /// # Errors
    /// When AWS refuses.
    pub async fn put(&self, platform: &PlatformName, policy: &TargetTracking) -> Result<(), AwsError> {
        match &policy.on {
            ScaledBy::Group(name) => self.put_on_group(name, policy).await,
            ScaledBy::Target(target) => {
                self.register(platform, target, policy).await?;
                self.put_on_target(target, policy).await
            }
        }
    }

    /// Removes a policy. One that is not there is removed already.
    ///
    /// # Errors
    /// When AWS refuses.
    pub async fn remove(&self, on: &ScaledBy, name: &str) -> Result<(), AwsError> {
        let doing = format!("delete the scaling policy {name}");
        let deleted = match on {
            ScaledBy::Group(group) => {
                let delete = self.groups.delete_policy().auto_scaling_group_name(group).policy_name(name);
                delete.send().await.map(drop).map_err(|error| AwsError::of(error, doing))
            }
            ScaledBy::Target(target) => {
                let delete = self.targets.delete_scaling_policy().policy_name(name);
                let delete = delete.service_namespace(namespace(target)).resource_id(&target.id);
                let delete = delete.scalable_dimension(dimension(target));
                delete.send().await.map(drop).map_err(|error| AwsError::of(error, doing))
            }
        };
        deleted.or_else(|error| if error.kind == ErrorKind::NotFound { Ok(()) } else { Err(error) })
    }

    async fn of_group(&self, name: &str) -> Result<Vec<Found>, AwsError> {
        let doing = || format!("describe the scaling policies of {name}");
        let (mut found, mut next) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let asked = self.groups.describe_policies().auto_scaling_group_name(name).set_next_token(next);
            let answer = asked.send().await.map_err(|error| AwsError::of(error, doing()))?;
            found.extend(answer.scaling_policies().iter().map(found_on_group));
            next = answer.next_token;
            if next.is_none() {
                return Ok(found);
            }
        }
        Err(AwsError::new(ErrorKind::Limit, doing(), format!("more than {PAGES_MAX} pages")))
    }

    async fn of_target(&self, target: &ScalableTargetId) -> Result<Vec<Found>, AwsError> {
        let doing = || format!("describe the scaling policies of {}", target.id);
        let (mut found, mut next) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let asked = self.targets.describe_scaling_policies().service_namespace(namespace(target));
            let asked = asked.resource_id(&target.id).scalable_dimension(dimension(target));
            let answer =
                asked.set_next_token(next).send().await.map_err(|error| AwsError::of(error, doing()))?;
            found.extend(answer.scaling_policies().iter().map(found_on_target));
            next = answer.next_token;
            if next.is_none() {
                return Ok(found);
            }
        }
        Err(AwsError::new(ErrorKind::Limit, doing(), format!("more than {PAGES_MAX} pages")))
    }

    async fn put_on_group(&self, name: &str, policy: &TargetTracking) -> Result<(), AwsError> {
        let metric = ec2::PredefinedMetricSpecification::builder();
        let metric = metric.predefined_metric_type(ec2::MetricType::from(policy.metric)).build();
        let tracking = ec2::TargetTrackingConfiguration::builder().predefined_metric_specification(metric);
        let tracking = tracking.target_value(policy.target).build();
        let put = self.groups.put_scaling_policy().auto_scaling_group_name(name).policy_name(&policy.name);
        let put = put.policy_type("TargetTrackingScaling").target_tracking_configuration(tracking);
        put.send().await.map(drop).map_err(|error| AwsError::of(error, doing(policy)))
    }

    async fn put_on_target(
        &self,
        target: &ScalableTargetId,
        policy: &TargetTracking,
    ) -> Result<(), AwsError> {
        let invalid = |error| AwsError::new(ErrorKind::Invalid, doing(policy), format!("{error}"));
        let metric = application::PredefinedMetricSpecification::builder();
        let metric = metric.predefined_metric_type(application::MetricType::from(policy.metric)).build();
        let tracking = application::TargetTrackingScalingPolicyConfiguration::builder();
        let tracking = tracking.predefined_metric_specification(metric.map_err(invalid)?);
        let tracking = tracking.target_value(policy.target).build().map_err(invalid)?;
        let put = self.targets.put_scaling_policy().policy_name(&policy.name);
        let put = put.service_namespace(namespace(target)).resource_id(&target.id);
        let put = put.scalable_dimension(dimension(target));
        let put = put.policy_type(application::PolicyType::TargetTrackingScaling);
        let put = put.target_tracking_scaling_policy_configuration(tracking);
        put.send().await.map(drop).map_err(|error| AwsError::of(error, doing(policy)))
    }

    /// Registers a target that Application Auto Scaling does not know yet. One that it knows keeps its bounds: its minimum is the
    /// floor that Headroom moves.
    async fn register(
        &self,
        platform: &PlatformName,
        target: &ScalableTargetId,
        policy: &TargetTracking,
    ) -> Result<(), AwsError> {
        let doing = || format!("register {} with Application Auto Scaling", target.id);
        let known = self.targets.describe_scalable_targets().service_namespace(namespace(target));
        let known = known.resource_ids(&target.id).scalable_dimension(dimension(target));
        let known = known.send().await.map_err(|error| AwsError::of(error, doing()))?;
        if !known.scalable_targets().is_empty() {
            return Ok(());
        }
        let register = self.targets.register_scalable_target().service_namespace(namespace(target));
        let register = register.resource_id(&target.id).scalable_dimension(dimension(target));
        let count = |units: u32| i32::try_from(units).unwrap_or(i32::MAX);
        let register = register.min_capacity(count(policy.bounds.min().0));
        let register = register.max_capacity(count(policy.bounds.max().0)).tags("headroom", &platform.0);
        register.send().await.map(drop).map_err(|error| AwsError::of(error, doing()))
    }
}

fn doing(policy: &TargetTracking) -> String {
    format!("put the scaling policy {} on {}", policy.name, policy.key)
}

fn namespace(target: &ScalableTargetId) -> application::ServiceNamespace {
    application::ServiceNamespace::from(target.namespace.as_str())
}

fn dimension(target: &ScalableTargetId) -> application::ScalableDimension {
    application::ScalableDimension::from(target.dimension.as_str())
}

fn found_on_group(policy: &ec2::ScalingPolicy) -> Found {
    // One that is switched off, or never scales in, is not what was meant.
    let tracking = policy.target_tracking_configuration().filter(|_| policy.enabled() != Some(false));
    let tracking = tracking.filter(|tracking| tracking.disable_scale_in() != Some(true));
    let tracks = tracking.and_then(|tracking| {
        let metric = tracking.predefined_metric_specification()?.predefined_metric_type()?;
        Some((metric.as_str().to_owned(), tracking.target_value()?))
    });
    Found { name: policy.policy_name().unwrap_or_default().to_owned(), tracks }
}

fn found_on_target(policy: &application::ScalingPolicy) -> Found {
    let tracking = policy.target_tracking_scaling_policy_configuration();
    let tracking = tracking.filter(|tracking| tracking.disable_scale_in() != Some(true));
    let tracks = tracking.and_then(|tracking| {
        let metric = tracking.predefined_metric_specification()?.predefined_metric_type();
        Some((metric.as_str().to_owned(), tracking.target_value()))
    });
    Found { name: policy.policy_name().to_owned(), tracks }
}

#[cfg(test)]
mod tests {
    use aws_sdk_applicationautoscaling::operation::describe_scalable_targets::DescribeScalableTargetsOutput;
    use aws_sdk_applicationautoscaling::operation::put_scaling_policy::PutScalingPolicyOutput;
    use aws_sdk_applicationautoscaling::operation::register_scalable_target::RegisterScalableTargetOutput;
    use aws_sdk_autoscaling::operation::delete_policy::{DeletePolicyError, DeletePolicyOutput};
    use aws_sdk_autoscaling::operation::describe_policies::DescribePoliciesOutput;
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
    use headroom_core::config::parse;
    use headroom_core::policies::wanted;

    use super::*;

    fn policies(groups: &[&Rule], targets: &[&Rule]) -> NativePolicies {
        NativePolicies {
            groups: mock_client!(aws_sdk_autoscaling, RuleMode::MatchAny, groups),
            targets: mock_client!(aws_sdk_applicationautoscaling, RuleMode::MatchAny, targets),
        }
    }

    #[tokio::test]
    async fn what_a_group_has_is_read_to_its_end_or_not_at_all() {
        use aws_sdk_autoscaling::Client;
        let page = |more: bool| {
            mock!(Client::describe_policies)
                .match_requests(move |request| request.next_token().is_none() == more)
                .then_output(move || {
                    let metric = ec2::PredefinedMetricSpecification::builder();
                    let metric = metric.predefined_metric_type(ec2::MetricType::AsgAverageCpuUtilization);
                    let tracking = ec2::TargetTrackingConfiguration::builder().target_value(55.0);
                    let tracking = tracking.predefined_metric_specification(metric.build()).build();
                    let policy =
                        ec2::ScalingPolicy::builder().policy_name(if more { "cpu" } else { "steps" });
                    let policy = policy.set_target_tracking_configuration(more.then_some(tracking)).build();
                    let answer = DescribePoliciesOutput::builder().scaling_policies(policy);
                    answer.set_next_token(more.then(|| "more".to_owned())).build()
                })
        };
        let (first, last) = (page(true), page(false));
        let found = policies(&[&first, &last], &[]).found(&ScaledBy::Group("web".into())).await.unwrap();
        let cpu = ("ASGAverageCPUUtilization".to_owned(), 55.0);
        assert_eq!(
            found,
            [Found { name: "cpu".into(), tracks: Some(cpu) }, Found { name: "steps".into(), tracks: None }]
        );
        let endless = mock!(Client::describe_policies)
            .then_output(|| DescribePoliciesOutput::builder().next_token("more").build());
        let error = policies(&[&endless], &[]).found(&ScaledBy::Group("web".into())).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Limit);
    }

    #[tokio::test]
    async fn a_target_that_is_not_registered_is_registered_with_the_platforms_tag() {
        use aws_sdk_applicationautoscaling::Client;
        let text = "configuration_name: shop
scaling_groups: {app: {resources: [{type: ECS_SERVICE, name: api, cluster: main, min_capacity: 2, max_capacity: 9}]}}\n";
        let platform = parse(text).unwrap().platform;
        let policy = wanted(&platform).remove(0).1.unwrap();
        let none = mock!(Client::describe_scalable_targets)
            .then_output(|| DescribeScalableTargetsOutput::builder().build());
        let register = mock!(Client::register_scalable_target)
            .match_requests(|request| {
                let tag = request.tags().and_then(|tags| tags.get("headroom")).map(String::as_str);
                (request.min_capacity(), request.max_capacity(), tag) == (Some(2), Some(9), Some("shop"))
            })
            .then_output(|| RegisterScalableTargetOutput::builder().build());
        let put = mock!(Client::put_scaling_policy)
            .match_requests(|request| {
                let tracking = request.target_tracking_scaling_policy_configuration();
                request.resource_id() == Some("service/main/api")
                    && request.policy_name() == Some("headroom/shop/cpu")
                    && tracking.is_some_and(|tracking| (tracking.target_value() - 70.0).abs() < 1e-9)
            })
            .then_output(|| PutScalingPolicyOutput::builder().policy_arn("arn").build().unwrap());
        policies(&[], &[&none, &register, &put]).put(&platform.name, &policy).await.unwrap();
        assert_eq!((register.num_calls(), put.num_calls()), (1, 1));
        let known = mock!(Client::describe_scalable_targets).then_output(|| {
            let target = application::ScalableTarget::builder().service_namespace("ecs".into());
            let target = target.resource_id("service/main/api").min_capacity(4).max_capacity(9);
            let target = target.scalable_dimension("ecs:service:DesiredCount".into()).role_arn("arn");
            let target = target.creation_time(aws_smithy_types::DateTime::from_secs(0)).build().unwrap();
            DescribeScalableTargetsOutput::builder().scalable_targets(target).build()
        });
        policies(&[], &[&known, &register, &put]).put(&platform.name, &policy).await.unwrap();
        assert_eq!((register.num_calls(), put.num_calls()), (1, 2), "the floor is left alone");
    }

    #[tokio::test]
    async fn what_is_gone_is_removed_and_what_is_denied_is_not() {
        use aws_sdk_autoscaling::Client;
        let on = ScaledBy::Group("web".into());
        let deleted = mock!(Client::delete_policy).then_output(|| DeletePolicyOutput::builder().build());
        policies(&[&deleted], &[]).remove(&on, "cpu").await.unwrap();
        let denied = mock!(Client::delete_policy).then_error(|| {
            let code = aws_sdk_autoscaling::error::ErrorMetadata::builder().code("AccessDenied").build();
            DeletePolicyError::generic(code)
        });
        let error = policies(&[&denied], &[]).remove(&on, "cpu").await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Denied);
    }
}
