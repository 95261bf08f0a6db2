//! The warm pool of a group: instances that were started and stopped beforehand.

use aws_sdk_autoscaling::Client;
use aws_sdk_autoscaling::types::{
    AutoScalingGroup, InstanceReusePolicy, LifecycleState, WarmPoolConfiguration, WarmPoolState,
    WarmPoolStatus,
};
use headroom_core::name::DimensionKey;
use headroom_core::observe::{Busy, Capacity, Observed};
use headroom_core::platform::{Mode, Resource};
use headroom_core::units::Units;

use super::super::{count, units};
use super::describe;
use crate::error::{AwsError, ErrorKind};

/// Pages of a pool's instances: fifty each, and a group has a few hundred instances at most.
const PAGES_MAX: usize = 20;
/// What AWS takes for "no limit of its own": the pool then fills the group up to its maximum.
const NOT_SET: i32 = -1;

/// The dimension of a group's warm pool, where the file has one.
pub(super) fn of(resource: &Resource) -> Option<&DimensionKey> {
    let pool = resource.dimensions.iter().find(|dimension| dimension.stands_by());
    pool.map(|dimension| &dimension.key)
}

/// A group's pool; none at all is a pool of no instances. What holds the group holds its pool too.
pub(super) async fn see(
    client: &Client,
    group: &AutoScalingGroup,
    of_group: &Capacity,
) -> Observed<Capacity> {
    let name = group.auto_scaling_group_name().unwrap_or_default();
    let pool = group.warm_pool_configuration();
    let warmed = match group.warm_pool_size().filter(|size| 0 < *size) {
        Some(_) => warmed(client, name).await,
        None => Ok(Units(0)),
    };
    let ready = match warmed {
        Ok(ready) => ready,
        Err(error) => return Observed::Unknown(error.to_string()),
    };
    let is_going = pool.and_then(|pool| pool.status()) == Some(&WarmPoolStatus::PendingDelete);
    let busy = if is_going {
        Some(Busy::Locked("its warm pool is being deleted".to_owned()))
    } else {
        of_group.busy.clone()
    };
    let set = pool.filter(|_| !is_going).map_or(Units(0), |pool| size(group, pool));
    Observed::Known(Capacity { mode: Mode::Desired, set, ready, busy, ..Capacity::default() })
}

/// How many instances AWS keeps in a pool: those up to the prepared capacity, and the smallest number at least.
fn size(group: &AutoScalingGroup, pool: &WarmPoolConfiguration) -> Units {
    let prepared = pool.max_group_prepared_capacity().filter(|prepared| NOT_SET < *prepared);
    let prepared = prepared.or(group.max_size()).unwrap_or(0);
    let beyond = prepared.saturating_sub(group.desired_capacity().unwrap_or(0));
    units(beyond.max(pool.min_size().unwrap_or(0)))
}

/// Instances of a pool that wait to be taken.
async fn warmed(client: &Client, name: &str) -> Result<Units, AwsError> {
    use LifecycleState::{WarmedHibernated, WarmedRunning, WarmedStopped};
    let doing = || format!("describe the warm pool of {name}");
    let (mut warmed, mut next) = (0, None);
    for _ in 0..PAGES_MAX {
        let asked = client.describe_warm_pool().auto_scaling_group_name(name).set_next_token(next);
        let answer = asked.send().await.map_err(|error| AwsError::of(error, doing()))?;
        let states = answer.instances().iter().filter_map(|instance| instance.lifecycle_state());
        warmed +=
            states.filter(|state| [WarmedHibernated, WarmedRunning, WarmedStopped].contains(state)).count();
        next = answer.next_token;
        if next.is_none() {
            return Ok(Units(u32::try_from(warmed).unwrap_or(u32::MAX)));
        }
    }
    Err(AwsError::new(ErrorKind::Limit, doing(), format!("more than {PAGES_MAX} pages")))
}

/// Has AWS keep so many instances in the pool, whatever the group has: prepared capacity and smallest number are the same. A pool
/// that is there stays as it is otherwise. Where none may ever be kept, there is no pool.
pub(super) async fn set(client: &Client, resource: &Resource, target: Units) -> Result<(), AwsError> {
    let name = &resource.name;
    let doing = || format!("set the warm pool of {name} to {target}");
    let groups = describe(client, vec![name.clone()]).await?;
    let group = groups.first();
    let group = group.ok_or_else(|| AwsError::new(ErrorKind::NotFound, doing(), "there is no such group"))?;
    let pool = group.warm_pool_configuration();
    if target == Units(0) && (pool.is_none() || is_unwanted(resource)) {
        return match pool {
            Some(_) => delete(client, name).await,
            None => Ok(()),
        };
    }
    // Stopped is the cheapest state, and the one that AWS takes by itself.
    let state = pool.and_then(|pool| pool.pool_state()).cloned().unwrap_or(WarmPoolState::Stopped);
    let reuse = pool.and_then(|pool| pool.instance_reuse_policy()).cloned();
    let reuse = reuse.unwrap_or_else(|| InstanceReusePolicy::builder().reuse_on_scale_in(true).build());
    let put = client
        .put_warm_pool()
        .auto_scaling_group_name(name)
        .max_group_prepared_capacity(count(target))
        .min_size(count(target))
        .pool_state(state)
        .instance_reuse_policy(reuse)
        .customize()
        .config_override(once!(aws_sdk_autoscaling));
    put.send().await.map(drop).map_err(|error| refused(AwsError::of(error, doing())))
}

/// A pool that AWS does not allow, as of Spot instances, is left alone. It serves nothing, so nothing is rolled back for it.
fn refused(error: AwsError) -> AwsError {
    match error.kind {
        ErrorKind::Throttled | ErrorKind::Unavailable | ErrorKind::NotFound => error,
        _ => AwsError { kind: ErrorKind::Stale, ..error },
    }
}

/// Whether the file allows no instance in the pool.
fn is_unwanted(resource: &Resource) -> bool {
    let mut dimensions = resource.dimensions.iter();
    dimensions.any(|dimension| dimension.stands_by() && dimension.bounds.max() == Units(0))
}

async fn delete(client: &Client, name: &str) -> Result<(), AwsError> {
    let delete = client.delete_warm_pool().auto_scaling_group_name(name);
    let delete = delete.customize().config_override(once!(aws_sdk_autoscaling));
    let sent = delete.send().await;
    sent.map(drop).map_err(|error| refused(AwsError::of(error, format!("delete the warm pool of {name}"))))
}

#[cfg(test)]
mod tests {
    use aws_sdk_autoscaling::operation::delete_warm_pool::DeleteWarmPoolOutput;
    use aws_sdk_autoscaling::operation::describe_auto_scaling_groups::DescribeAutoScalingGroupsOutput;
    use aws_sdk_autoscaling::operation::describe_warm_pool::DescribeWarmPoolOutput;
    use aws_sdk_autoscaling::operation::put_warm_pool::PutWarmPoolOutput;
    use aws_sdk_autoscaling::operation::set_desired_capacity::SetDesiredCapacityOutput;
    use aws_sdk_autoscaling::types::Instance;
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};

    use super::super::super::Depth;
    use super::super::super::testing::{platform, target, units_of};
    use super::super::observe;
    use super::*;

    fn resource(range: &str) -> String {
        format!(
            "{{type: EC2_AUTO_SCALING_GROUP, name: web-asg, id: web, min_capacity: 1, max_capacity: 20, warm_pool: {range}}}"
        )
    }

    fn describes(pool: Option<WarmPoolConfiguration>, size: i32) -> Rule {
        mock!(Client::describe_auto_scaling_groups).then_output(move || {
            let group = AutoScalingGroup::builder().auto_scaling_group_name("web-asg");
            let group =
                group.min_size(1).max_size(12).desired_capacity(0).set_warm_pool_configuration(pool.clone());
            let group = group.warm_pool_size(size).build();
            DescribeAutoScalingGroupsOutput::builder().auto_scaling_groups(group).build()
        })
    }

    fn pool(prepared: Option<i32>, least: i32) -> WarmPoolConfiguration {
        WarmPoolConfiguration::builder().set_max_group_prepared_capacity(prepared).min_size(least).build()
    }

    async fn seen(rules: &[&Rule]) -> Observed<Capacity> {
        let client = mock_client!(aws_sdk_autoscaling, RuleMode::MatchAny, rules);
        let platform = platform(&resource("{min: 0, max: 5}"));
        let mut seen = observe(&client, &[target(&platform, Mode::Desired)], Depth::Cheap).await;
        seen.remove(&"web/warm_pool".parse().unwrap()).unwrap()
    }

    #[tokio::test]
    async fn what_aws_keeps_is_set_and_what_has_stopped_is_ready() {
        let states = [
            LifecycleState::WarmedStopped,
            LifecycleState::WarmedRunning,
            LifecycleState::WarmedPendingWait,
            LifecycleState::WarmedTerminating,
        ];
        let instances = mock!(Client::describe_warm_pool).then_output(move || {
            let instance =
                |state: &LifecycleState| Instance::builder().lifecycle_state(state.clone()).build();
            DescribeWarmPoolOutput::builder()
                .set_instances(Some(states.iter().map(instance).collect()))
                .build()
        });
        let told = async |pool: Option<WarmPoolConfiguration>, size: i32| {
            let seen = seen(&[&describes(pool, size), &instances]).await;
            seen.known().map(|pool| (pool.set.0, pool.ready.0)).unwrap()
        };
        assert_eq!(told(None, 0).await, (0, 0), "a group without a pool");
        assert_eq!(instances.num_calls(), 0);
        assert_eq!(told(Some(pool(Some(4), 4)), 4).await, (4, 2));
        assert_eq!(told(Some(pool(None, 2)), 4).await, (12, 2), "up to the group's maximum");
        assert_eq!(told(Some(pool(Some(-1), 2)), 4).await, (12, 2));
        assert_eq!(told(Some(pool(Some(1), 3)), 4).await, (3, 2), "the smallest number at least");
    }

    #[tokio::test]
    async fn a_pool_that_goes_or_is_not_told_is_left_alone() {
        let going =
            WarmPoolConfiguration::builder().min_size(3).status(WarmPoolStatus::PendingDelete).build();
        let gone =
            mock!(Client::describe_warm_pool).then_output(|| DescribeWarmPoolOutput::builder().build());
        let seen_going = seen(&[&describes(Some(going), 3), &gone]).await;
        assert!(seen_going.known().unwrap().busy.as_ref().unwrap().is_locked());
        let denied = mock!(Client::describe_warm_pool).then_error(|| {
            let code = aws_sdk_autoscaling::error::ErrorMetadata::builder().code("AccessDenied").build();
            aws_sdk_autoscaling::operation::describe_warm_pool::DescribeWarmPoolError::generic(code)
        });
        assert_eq!(seen(&[&describes(Some(pool(Some(2), 2)), 2), &denied]).await.known(), None);
    }

    #[tokio::test]
    async fn a_pool_is_set_to_a_number_of_its_own_and_deleted_where_none_may_be_kept() {
        let put = |units: i32| {
            mock!(Client::put_warm_pool)
                .match_requests(move |request| {
                    request.min_size() == Some(units)
                        && request.max_group_prepared_capacity() == Some(units)
                        && request.pool_state() == Some(&WarmPoolState::Stopped)
                        && request.instance_reuse_policy().and_then(InstanceReusePolicy::reuse_on_scale_in)
                            == Some(true)
                })
                .then_output(|| PutWarmPoolOutput::builder().build())
        };
        let deleted = mock!(Client::delete_warm_pool).then_output(|| DeleteWarmPoolOutput::builder().build());
        let desired =
            mock!(Client::set_desired_capacity).then_output(|| SetDesiredCapacityOutput::builder().build());
        let (three, none) = (put(3), put(0));
        let set = async |range: &str, had: Option<WarmPoolConfiguration>, targets: &[(&str, u32)]| {
            let rules = [&describes(had, 0), &three, &none, &deleted, &desired];
            let client = mock_client!(aws_sdk_autoscaling, RuleMode::MatchAny, rules);
            let platform = platform(&resource(range));
            let resource = platform.resources().next().unwrap().1;
            super::super::set(&client, resource, Mode::Desired, &units_of(targets)).await.unwrap();
            (desired.num_calls(), three.num_calls(), none.num_calls(), deleted.num_calls())
        };
        let range = "{min: 0, max: 5}";
        assert_eq!(set(range, None, &[("web/desired", 8)]).await, (1, 0, 0, 0));
        assert_eq!(set(range, None, &[("web/warm_pool", 3)]).await, (1, 1, 0, 0));
        assert_eq!(set(range, None, &[("web/warm_pool", 0)]).await, (1, 1, 0, 0), "there is none");
        assert_eq!(set(range, Some(pool(Some(3), 3)), &[("web/warm_pool", 0)]).await, (1, 1, 1, 0));
        assert_eq!(
            set("{min: 0, max: 0}", Some(pool(Some(3), 3)), &[("web/warm_pool", 0)]).await,
            (1, 1, 1, 1)
        );
    }

    #[tokio::test]
    async fn a_pool_that_is_there_keeps_its_state() {
        let hibernated = WarmPoolConfiguration::builder().min_size(1).pool_state(WarmPoolState::Hibernated);
        let hibernated =
            hibernated.instance_reuse_policy(InstanceReusePolicy::builder().reuse_on_scale_in(false).build());
        let put = mock!(Client::put_warm_pool)
            .match_requests(|request| {
                request.pool_state() == Some(&WarmPoolState::Hibernated)
                    && request.instance_reuse_policy().and_then(InstanceReusePolicy::reuse_on_scale_in)
                        == Some(false)
            })
            .then_output(|| PutWarmPoolOutput::builder().build());
        let rules = [&describes(Some(hibernated.build()), 0), &put];
        let client = mock_client!(aws_sdk_autoscaling, RuleMode::MatchAny, rules);
        let platform = platform(&resource("{min: 0, max: 5}"));
        set(&client, platform.resources().next().unwrap().1, Units(2)).await.unwrap();
        assert_eq!(put.num_calls(), 1);
    }

    #[tokio::test]
    async fn a_pool_that_aws_does_not_allow_is_left_alone_and_what_may_pass_is_tried_again() {
        let kind = async |code: &'static str| {
            let refused = mock!(Client::put_warm_pool).then_error(move || {
                let code = aws_sdk_autoscaling::error::ErrorMetadata::builder().code(code).build();
                aws_sdk_autoscaling::operation::put_warm_pool::PutWarmPoolError::generic(code)
            });
            let client =
                mock_client!(aws_sdk_autoscaling, RuleMode::MatchAny, [&describes(None, 0), &refused]);
            let platform = platform(&resource("{min: 0, max: 5}"));
            let set = set(&client, platform.resources().next().unwrap().1, Units(2)).await;
            set.unwrap_err().kind
        };
        assert_eq!(kind("ValidationError").await, ErrorKind::Stale);
        assert_eq!(kind("AccessDenied").await, ErrorKind::Stale);
        assert_eq!(kind("Throttling").await, ErrorKind::Throttled);
    }
}
