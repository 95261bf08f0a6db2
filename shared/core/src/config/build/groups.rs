//! Tiers and their policies.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::orchestration::ROLLS_BACK;
use super::{Build, PredictiveDefaults, calendar, resources};
use crate::config::path::Path;
use crate::config::raw;
use crate::name::{GroupName, ResourceId};
use crate::platform::{
    Cooldown, Effect, Event, Group, GroupPolicy, Resource, StepAdjustment, StepBound, StepRule, When,
};
use crate::units::Units;

/// The health checks written inside tiers, with their place.
pub(super) fn own_checks(groups: &BTreeMap<String, raw::Group>) -> Vec<(Path, raw::HealthCheck)> {
    let at = Path::default().key("scaling_groups");
    let own = groups.iter().filter_map(|(name, group)| match group.health_check.clone()? {
        raw::GroupHealth::Check(check) => Some((at.key(name).key("health_check"), check.of(name))),
        raw::GroupHealth::Capacity(_) => None,
    });
    own.collect()
}

/// The scheduled policies of tiers, as what they are: events of the calendar.
pub(super) fn own_events(groups: &BTreeMap<String, raw::Group>) -> Vec<Event> {
    let policies = groups.iter().flat_map(|(name, group)| {
        group.scaling_policies.iter().flatten().map(move |policy| (GroupName(name.clone()), policy))
    });
    let scheduled = policies.filter_map(|(group, policy)| match policy {
        raw::ScalingPolicy::Scheduled(scheduled) => Some((group, scheduled)),
        _ => None,
    });
    scheduled
        .map(|(group, scheduled)| Event {
            name: format!("schedule of {group}"),
            when: When::Every { cron: scheduled.cron.clone(), duration: scheduled.duration },
            groups: vec![group],
            effect: Effect { floor: Some(Units(scheduled.floor)), ..Effect::default() },
        })
        .collect()
}

/// What counts for groups that say nothing of their own.
pub(super) struct GroupDefaults {
    scheduling_buffer: Duration,
    cooldown: Cooldown,
    parallel: bool,
    rollback: bool,
}

impl GroupDefaults {
    pub(super) fn of(
        orchestration: Option<&raw::Orchestration>,
        predictive: &PredictiveDefaults,
        cooldown: Cooldown,
    ) -> GroupDefaults {
        let strategy = orchestration.and_then(|orchestration| orchestration.strategy);
        GroupDefaults {
            scheduling_buffer: predictive.scheduling_buffer,
            cooldown,
            parallel: strategy != Some(raw::Strategy::Sequential),
            rollback: orchestration
                .and_then(|orchestration| orchestration.rollback_on_failure)
                .unwrap_or(ROLLS_BACK),
        }
    }
}

pub(super) fn groups(
    build: &mut Build<'_>,
    raw: BTreeMap<String, raw::Group>,
    defaults: &GroupDefaults,
) -> Vec<Group> {
    let at = Path::default().key("scaling_groups");
    let (mut taken, mut owned) = (BTreeSet::new(), Vec::new());
    raw.into_iter()
        .map(|(name, group)| {
            let group_at = at.key(&name);
            if name.is_empty() || name.contains('/') {
                build.fault(&group_at, "a group's name cannot be empty or hold a `/`");
            }
            let mut rules =
                rules(build, &group_at, group.scaling_policies.unwrap_or_default(), defaults);
            own_ways(build, &group_at, (group.parallel, group.rollback), &mut rules.policy);
            if let Some(raw::GroupHealth::Capacity(false)) = group.health_check {
                let sentence = "turns nothing off: whether the capacity is there is always checked, and more only where a \
                    check is written";
                build.warn(&group_at.key("health_check"), sentence);
            }
            if group.resources.is_empty() {
                build.fault(&group_at.key("resources"), "is empty; a group owns at least one resource");
            }
            let resources = group.resources.into_iter().enumerate().map(|(index, resource)| {
                let resource_at = group_at.key("resources").index(index);
                let resource = resources::resource(build, &resource_at, resource, &rules.targets);
                unique(build, &resource_at, &resource.id, &mut taken);
                owned_once(build, &resource_at, &resource, &mut owned);
                resource
            });
            Group { name: GroupName(name), resources: resources.collect(), policy: rules.policy }
        })
        .collect()
}

/// How the group's changes are made, where it says so itself.
fn own_ways(
    build: &mut Build<'_>,
    group_at: &Path,
    (parallel, rollback): (Option<bool>, Option<bool>),
    policy: &mut GroupPolicy,
) {
    policy.parallel = parallel.unwrap_or(policy.parallel);
    if let Some(rollback) = rollback.filter(|rollback| *rollback != policy.rollback) {
        policy.rollback = rollback;
        let sentence = if rollback {
            "rolls back every plan that changes this group, the other groups' part of it included"
        } else {
            "counts for plans that change no other group; with one that is rolled back, this one is rolled back too"
        };
        build.warn(&group_at.key("rollback"), sentence);
    }
}

fn unique(build: &mut Build<'_>, at: &Path, id: &ResourceId, taken: &mut BTreeSet<ResourceId>) {
    if !taken.insert(id.clone()) {
        let sentence = format!("another resource is also called `{id}`; give one of them an `id` of its own");
        build.fault(at, sentence);
    }
}

/// A capacity that is owned twice, under two ids, is set by both, each against the other.
fn owned_once(build: &mut Build<'_>, at: &Path, resource: &Resource, owned: &mut Vec<Resource>) {
    let parts = |resource: &Resource| -> BTreeSet<String> {
        resource.dimensions.iter().map(|dimension| dimension.key.dimension.clone()).collect()
    };
    let same = |other: &&Resource| {
        other.id != resource.id
            && (other.kind, &other.name, &other.within) == (resource.kind, &resource.name, &resource.within)
            && !parts(other).is_disjoint(&parts(resource))
    };
    if let Some(other) = owned.iter().find(same) {
        let sentence = format!(
            "is the same in AWS as `{}`, and both would set its capacity; write it once, in one group",
            other.id
        );
        build.warn(&at.key("name"), sentence);
    }
    owned.push(resource.clone());
}

/// What a tier's policies come to.
struct Rules {
    policy: GroupPolicy,
    /// Targets of target tracking policies, by the metric's name.
    targets: BTreeMap<&'static str, f64>,
}

fn rules(
    build: &mut Build<'_>,
    group_at: &Path,
    raw: Vec<raw::ScalingPolicy>,
    defaults: &GroupDefaults,
) -> Rules {
    let policy = GroupPolicy {
        predictive: true,
        scheduling_buffer: defaults.scheduling_buffer,
        cooldown: defaults.cooldown,
        steps: Vec::new(),
        parallel: defaults.parallel,
        rollback: defaults.rollback,
    };
    let mut rules = Rules { policy, targets: BTreeMap::new() };
    for (index, policy) in raw.into_iter().enumerate() {
        let at = group_at.key("scaling_policies").index(index);
        match policy {
            raw::ScalingPolicy::TargetTracking(tracking) => {
                if rules.targets.insert(metric(tracking.metric), tracking.target_value).is_some() {
                    build.fault(&at, "tracks a metric that another policy of the group tracks already");
                }
                if let Some(rest) = build.seconds(&at.key("cooldown"), tracking.cooldown) {
                    rules.policy.cooldown.inward = rest.0;
                }
            }
            raw::ScalingPolicy::Step(step) => steps(build, &at, step, &mut rules.policy),
            raw::ScalingPolicy::Predictive(settings) => {
                rules.policy.predictive = settings.enabled.unwrap_or(true);
                let (own_at, other_at) = (at.key("scheduling_buffer"), at.key("pre_scale_buffer"));
                let own = build.seconds(&own_at, settings.scheduling_buffer);
                let other = build.minutes(&other_at, settings.pre_scale_buffer);
                if let Some(buffer) = build.either((&own_at, own), (&other_at, other)) {
                    rules.policy.scheduling_buffer = buffer.0;
                }
            }
            // `own_events` has it: one mechanism for everything that is known in advance.
            raw::ScalingPolicy::Scheduled(scheduled) => {
                calendar::pattern(build, &at.key("cron"), &scheduled.cron);
                if scheduled.duration.is_zero() {
                    build.fault(&at.key("duration"), "is zero; the schedule would never be on");
                }
            }
        }
    }
    rules
}

fn steps(build: &mut Build<'_>, at: &Path, raw: raw::policy::Step, policy: &mut GroupPolicy) {
    if raw.steps.is_empty() {
        build.fault(&at.key("steps"), "is empty; the policy would never act");
    }
    for (index, rule) in raw.steps.into_iter().enumerate() {
        match step(&rule) {
            Some((bound, change)) => {
                policy.steps.push(StepRule { metric: metric(raw.metric).to_owned(), bound, change });
            }
            None => build.fault(
                &at.key("steps").index(index),
                "needs `above` with one of `add` and `add_percent`, or `below` with one of `remove` and `remove_percent`",
            ),
        }
    }
    if let Some(rest) = build.seconds(&at.key("cooldown"), raw.cooldown) {
        policy.cooldown = Cooldown { out: rest.0, inward: rest.0 };
    }
}

fn step(rule: &raw::policy::StepRule) -> Option<(StepBound, StepAdjustment)> {
    let out = (rule.above, rule.add, rule.add_percent);
    let inward = (rule.below, rule.remove, rule.remove_percent);
    match (out, inward) {
        ((Some(bound), units, percent), (None, None, None)) => {
            Some((StepBound::Above(bound), change(units, percent)?))
        }
        ((None, None, None), (Some(bound), units, percent)) => {
            Some((StepBound::Below(bound), change(units, percent)?))
        }
        _ => None,
    }
}

fn change(units: Option<u32>, percent: Option<f64>) -> Option<StepAdjustment> {
    match (units, percent) {
        (Some(units), None) => Some(StepAdjustment::Units(units)),
        (None, Some(percent)) => Some(StepAdjustment::Percent(percent)),
        _ => None,
    }
}

fn metric(metric: raw::policy::UtilizationMetric) -> &'static str {
    match metric {
        raw::policy::UtilizationMetric::Cpu => "cpu",
        raw::policy::UtilizationMetric::Memory => "memory",
    }
}
