//! EC2 Auto Scaling groups.

mod activities;
mod policies;
mod warm_pool;

use std::collections::BTreeMap;

use aws_sdk_autoscaling::Client;
use aws_sdk_autoscaling::types::{AutoScalingGroup, Instance, InstanceRefreshStatus, LifecycleState};
use headroom_core::name::DimensionKey;
use headroom_core::observe::{Busy, Capacity, Observed};
use headroom_core::platform::{Mode, Resource};
use headroom_core::units::Units;

use self::activities::{Short, why_short};
pub(super) use self::policies::natives;
use super::{Capacities, Depth, Target, count, every, only, units, unknown};
use crate::error::{AwsError, ErrorKind};

/// AWS describes so many groups in one call.
pub(super) const GROUPS_MAX: usize = 100;
/// Pages of groups, or of policies: up to a hundred each.
const PAGES_MAX: usize = 100;
/// Without these an order of more capacity changes nothing.
const NEEDED_PROCESSES: [&str; 2] = ["Launch", "Terminate"];

pub(super) async fn observe(client: &Client, targets: &[Target<'_>], depth: Depth) -> Capacities {
    let mut observed = Capacities::new();
    for targets in targets.chunks(GROUPS_MAX) {
        let names: Vec<String> = targets.iter().map(|target| target.resource.name.clone()).collect();
        match describe(client, names).await {
            Ok(groups) => {
                for target in targets {
                    observed.extend(see(client, target, &groups, depth).await);
                }
            }
            Err(error) => observed.extend(unknown(targets, &error)),
        }
    }
    observed
}

pub(super) async fn describe(client: &Client, names: Vec<String>) -> Result<Vec<AutoScalingGroup>, AwsError> {
    let doing = "describe Auto Scaling groups";
    let mut groups = Vec::new();
    let mut next = None;
    for _ in 0..PAGES_MAX {
        let answer = client
            .describe_auto_scaling_groups()
            .max_records(count(Units(u32::try_from(GROUPS_MAX).unwrap_or(u32::MAX))))
            .set_auto_scaling_group_names(Some(names.clone()))
            .set_next_token(next)
            .send()
            .await
            .map_err(|error| AwsError::of(error, doing))?;
        groups.extend(answer.auto_scaling_groups.unwrap_or_default());
        next = answer.next_token;
        if next.is_none() {
            return Ok(groups);
        }
    }
    // A group on a page that was not read must not be taken for one that does not exist.
    Err(AwsError::new(ErrorKind::Limit, doing, format!("more than {PAGES_MAX} pages")))
}

async fn see(
    client: &Client,
    target: &Target<'_>,
    groups: &[AutoScalingGroup],
    depth: Depth,
) -> Vec<(DimensionKey, Observed<Capacity>)> {
    let name = &target.resource.name;
    let Some(group) = groups.iter().find(|group| group.auto_scaling_group_name() == Some(name)) else {
        return every(target.resource, &Observed::Unknown(format!("there is no Auto Scaling group {name}")));
    };
    let mut capacity = capacity(group, target.mode);
    if depth == Depth::Close && capacity.busy.is_none() {
        match refreshing(client, name).await {
            Ok(busy) => capacity.busy = busy.map(Busy::Held),
            Err(error) => return every(target.resource, &Observed::Unknown(error.to_string())),
        }
    }
    // Of a group that has what it should there is nothing to ask.
    if in_service(group) < units(group.desired_capacity().unwrap_or(0)) {
        match why_short(client, name, group).await {
            Some(Short::Unavailable(why)) => capacity.unavailable = Some(why),
            Some(Short::Failing(why)) => capacity.failed = Some(why),
            None => (),
        }
    }
    let pool = match warm_pool::of(target.resource) {
        Some(key) => Some((key, warm_pool::see(client, group, &capacity).await)),
        None => None,
    };
    let mut seen = every(target.resource, &Observed::Known(capacity));
    if let Some((key, pool)) = pool {
        seen.retain(|(other, _)| other != key);
        seen.push((key.clone(), pool));
    }
    seen
}

fn capacity(group: &AutoScalingGroup, mode: Mode) -> Capacity {
    let (min, max) = (units(group.min_size().unwrap_or(0)), units(group.max_size().unwrap_or(i32::MAX)));
    let desired = units(group.desired_capacity().unwrap_or(0));
    let suspended = group.suspended_processes().iter().filter_map(|process| process.process_name());
    let halted = suspended.into_iter().find(|name| NEEDED_PROCESSES.contains(name));
    let busy = match (group.status(), halted) {
        (Some(status), _) => Some(Busy::Held(format!("the group is being changed: {status}"))),
        (None, Some(process)) => Some(Busy::Held(format!("its process {process} is suspended"))),
        (None, None) => None,
    };
    Capacity {
        mode,
        set: if mode == Mode::Floor { min } else { desired },
        ready: in_service(group),
        busy,
        failed: None,
        aws_min: (mode == Mode::Desired).then_some(min),
        aws_max: Some(max),
        decreases_left: None,
        overshoot: Units(heaviest(group).saturating_sub(1)),
        whole: None,
        unavailable: None,
    }
}

/// The units of a group that are in service.
pub(super) fn in_service(group: &AutoScalingGroup) -> Units {
    Units(group.instances().iter().filter(|instance| is_ready(instance)).map(weight).sum())
}

/// The units of capacity that an instance counts for. With weights, a group's sizes are sums of weights.
fn weight(instance: &Instance) -> u32 {
    parsed_weight(instance.weighted_capacity())
}

/// The largest weight of a group's instance types. AWS launches whole instances, so a group may have more than it should,
/// by less than this.
fn heaviest(group: &AutoScalingGroup) -> u32 {
    let template = group.mixed_instances_policy().and_then(|policy| policy.launch_template());
    let types = template.map(|template| template.overrides()).unwrap_or_default();
    let types = types.iter().map(|types| parsed_weight(types.weighted_capacity()));
    types.chain(group.instances().iter().map(weight)).max().unwrap_or(1)
}

/// AWS writes weights as text, and none where there are no weights.
fn parsed_weight(text: Option<&str>) -> u32 {
    text.and_then(|text| text.parse().ok()).unwrap_or(1)
}

fn is_ready(instance: &Instance) -> bool {
    instance.lifecycle_state() == Some(&LifecycleState::InService)
        && instance.health_status() == Some("Healthy")
}

/// Why the group should be left alone, if its instances are being replaced.
async fn refreshing(client: &Client, name: &str) -> Result<Option<String>, AwsError> {
    use InstanceRefreshStatus as Status;
    let answer = client
        .describe_instance_refreshes()
        .auto_scaling_group_name(name)
        .max_records(1)
        .send()
        .await
        .map_err(|error| AwsError::of(error, format!("describe instance refreshes of {name}")))?;
    let running =
        [Status::Pending, Status::InProgress, Status::Cancelling, Status::RollbackInProgress, Status::Baking];
    let status = answer.instance_refreshes().first().and_then(|refresh| refresh.status());
    Ok(status
        .filter(|status| running.contains(status))
        .map(|status| format!("an instance refresh is {status}")))
}

pub(super) async fn set(
    client: &Client,
    resource: &Resource,
    mode: Mode,
    targets: &BTreeMap<DimensionKey, Units>,
) -> Result<(), AwsError> {
    // A pool has a step of its own.
    match warm_pool::of(resource).and_then(|pool| targets.get(pool)) {
        Some(units) => warm_pool::set(client, resource, *units).await,
        None => set_group(client, resource, mode, only(targets)?).await,
    }
}

async fn set_group(client: &Client, resource: &Resource, mode: Mode, units: Units) -> Result<(), AwsError> {
    let (name, target) = (&resource.name, count(units));
    let doing = || format!("set group {name} to {target}");
    match mode {
        // AWS raises the desired capacity to a new minimum by itself.
        Mode::Floor => {
            let update = client
                .update_auto_scaling_group()
                .auto_scaling_group_name(name)
                .min_size(target)
                .customize()
                .config_override(once!(aws_sdk_autoscaling));
            update.send().await.map_err(|error| AwsError::of(error, doing()))?;
        }
        Mode::Desired => {
            let set = client.set_desired_capacity().auto_scaling_group_name(name).desired_capacity(target);
            // Pace is our guardrails' business, not the group's.
            let set = set.honor_cooldown(false).customize().config_override(once!(aws_sdk_autoscaling));
            set.send().await.map_err(|error| AwsError::of(error, doing()))?;
        }
    }
    Ok(())
}

/// The load balancer target groups that a group registers its instances with.
pub(super) async fn target_groups(client: &Client, name: &str) -> Result<Vec<String>, AwsError> {
    let groups = describe(client, vec![name.to_owned()]).await?;
    let group = groups.first();
    let group = group.ok_or_else(|| {
        AwsError::new(ErrorKind::NotFound, format!("describe group {name}"), "it does not exist")
    })?;
    Ok(group.target_group_arns().to_vec())
}

#[cfg(test)]
mod tests;
