//! The order of groups, their dependencies and their health checks.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use super::calendar::known_group;
use super::{Build, names};
use crate::config::path::Path;
use crate::config::raw;
use crate::name::{GroupName, ResourceId};
use crate::order;
use crate::platform::{Connections, Dependency, Group, HealthCheck, Orchestration, Phase, Probe, Strategy};
use crate::resource::Named;
use crate::scalar::Endpoint;
use crate::text::suggestion;

/// A check waits for an answer inside a Lambda; longer than this it belongs in an alarm.
const CHECK_S_MAX: u64 = 60;

/// Whether a plan that does not hold is rolled back, unless the file says so.
pub(super) const ROLLS_BACK: bool = true;

pub(super) fn orchestration(
    build: &mut Build<'_>,
    raw: raw::Orchestration,
    own_checks: Vec<(Path, raw::HealthCheck)>,
    groups: &[Group],
) -> Orchestration {
    let at = Path::default().key("orchestration");
    let strategy = match raw.strategy {
        Some(raw::Strategy::Sequential) => Strategy::Sequential,
        Some(raw::Strategy::Parallel) => Strategy::Parallel,
        Some(raw::Strategy::Coordinated) => Strategy::Coordinated,
        None => {
            build.note(&at.key("strategy"), &"coordinated");
            Strategy::Coordinated
        }
    };
    let order = scaling_order(build, &at.key("scaling_order"), raw.scaling_order.unwrap_or_default(), groups);
    let dependencies =
        dependencies(build, &at.key("dependencies"), raw.dependencies.unwrap_or_default(), (&order, groups));
    let layers = layers(build, &at, strategy, &order, &dependencies, groups);
    throttles(build, &dependencies, groups);
    let listed = raw.health_checks.unwrap_or_default().into_iter().enumerate();
    let listed = listed.map(|(index, check)| (at.key("health_checks").index(index), check));
    let checks =
        listed.chain(own_checks).filter_map(|(at, check)| self::check(build, &at, check, groups)).collect();
    let cycle_s = build.or(&at.key("cycle_seconds"), raw.cycle_seconds, 300);
    Orchestration {
        strategy,
        cycle: Duration::from_secs(u64::from(cycle_s)),
        layers,
        dependencies,
        checks,
        rollback_on_failure: build.or(&at.key("rollback_on_failure"), raw.rollback_on_failure, ROLLS_BACK),
        phase: phase(build, &at.key("rollout_phase"), raw.rollout_phase),
        auto_promote: build.or(&at.key("auto_promote"), raw.auto_promote, false),
    }
}

fn phase(build: &mut Build<'_>, at: &Path, raw: Option<raw::Phase>) -> Phase {
    match raw {
        Some(raw::Phase::Observe) => Phase::Observe,
        Some(raw::Phase::Limited) => Phase::Limited,
        Some(raw::Phase::Full) => Phase::Full,
        Some(raw::Phase::Optimized) => Phase::Optimized,
        None => {
            build.note(at, &"observe (decides and records, changes nothing)");
            Phase::Observe
        }
    }
}

fn scaling_order(build: &mut Build<'_>, at: &Path, raw: Vec<String>, groups: &[Group]) -> Vec<GroupName> {
    let mut order: Vec<GroupName> = Vec::new();
    for (index, name) in raw.into_iter().enumerate() {
        let name_at = at.index(index);
        if !known_group(build, &name_at, &name, groups) {
            continue;
        }
        let name = GroupName(name);
        if order.contains(&name) {
            build.fault(&name_at, format!("`{name}` stands twice in the order"));
        } else {
            order.push(name);
        }
    }
    order
}

fn dependencies(
    build: &mut Build<'_>,
    at: &Path,
    raw: Vec<raw::Dependency>,
    (order, groups): (&[GroupName], &[Group]),
) -> Vec<Dependency> {
    let mut dependencies = Vec::new();
    for (index, raw) in raw.into_iter().enumerate() {
        let at = at.index(index);
        let source = known_group(build, &at.key("source"), &raw.source, groups);
        let target = known_group(build, &at.key("target"), &raw.target, groups);
        if !source || !target {
            continue;
        }
        let connections = match (raw.connections_per_unit, raw.connection_limit) {
            (Some(per_unit), Some(limit)) => Some(Connections { per_unit, limit }),
            (None, None) => None,
            _ => {
                build.fault(&at, "`connections_per_unit` and `connection_limit` belong together");
                None
            }
        };
        let timeout = raw.timeout;
        let (source, target) = sides(build, &at, raw, (order, groups));
        let waits_for = groups.iter().filter(|group| group.name == target);
        let slowest =
            waits_for.flat_map(|group| &group.resources).map(|resource| resource.provisioning).max();
        let timeout = build.wait(&at.key("timeout"), timeout, slowest.unwrap_or_default());
        dependencies.push(Dependency { source, target, timeout, connections });
    }
    dependencies
}

/// Which group depends, and on which. `scale_before` reads as if the source went first, and is also written, here and
/// elsewhere, of a source that goes after its target: what else the file says decides, and where nothing does, a warning tells both.
fn sides(
    build: &mut Build<'_>,
    at: &Path,
    raw: raw::Dependency,
    (order, groups): (&[GroupName], &[Group]),
) -> (GroupName, GroupName) {
    let says_before = raw.kind == Some(raw::DependencyKind::ScaleBefore);
    let is_told = raw.kind == Some(raw::DependencyKind::DependsOn) || raw.connections_per_unit.is_some();
    let (source, target) = (GroupName(raw.source), GroupName(raw.target));
    if is_told {
        return (source, target);
    }
    let place = |name: &GroupName| order.iter().position(|listed| listed == name);
    let stores = |name: &GroupName| {
        let resources = groups.iter().filter(|group| group.name == *name).flat_map(|group| &group.resources);
        let mut dimensions = resources.flat_map(|resource| &resource.dimensions).peekable();
        dimensions.peek().is_some() && dimensions.all(|dimension| dimension.facts.stores_data)
    };
    let listed = place(&source).zip(place(&target)).filter(|_| says_before);
    let source_is_first = match (listed, stores(&source), stores(&target)) {
        (Some((source, target)), ..) => Some(source < target),
        (None, true, false) => Some(true),
        (None, false, true) => Some(false),
        (None, ..) if says_before => None,
        (None, ..) => Some(false),
    };
    let read = format!("`{target}` scales out before `{source}`, which depends on it");
    let other = format!("`{source}` scales out before `{target}`, which depends on it");
    match source_is_first {
        Some(true) if listed.is_some() => (target, source),
        Some(true) if says_before => {
            let sentence = format!(
                "is taken to mean that {other}, because `{source}` stores data; if {read}, write `type: depends_on`"
            );
            build.warn(at, sentence);
            (target, source)
        }
        Some(true) => {
            let sentence = format!(
                "means that {read}; `{source}` stores data, so if {other}, write `source: {target}` and `target: {source}`"
            );
            build.warn(at, sentence);
            (source, target)
        }
        Some(false) => (source, target),
        None => {
            let sentence = format!(
                "is taken to mean that {read}; write `type: depends_on` for this; if {other}, write `source: {target}` and \
                 `target: {source}` with it"
            );
            build.warn(at, sentence);
            (source, target)
        }
    }
}

/// A throttle is raised after what it protects and lowered before that: by its group's dependencies, which have to be written.
fn throttles(build: &mut Build<'_>, dependencies: &[Dependency], groups: &[Group]) {
    for group in groups {
        let at = Path::default().key("scaling_groups").key(&group.name.0);
        let dimensions = || group.resources.iter().flat_map(|resource| &resource.dimensions);
        if !dimensions().any(|dimension| dimension.facts.is_throttle) {
            continue;
        }
        if dimensions().any(|dimension| !dimension.facts.is_throttle) {
            build.warn(
                &at,
                "has a throttle and capacity, which move together; in a group of its own the throttle is raised after the rest",
            );
        } else if !dependencies.iter().any(|dependency| dependency.source == group.name) {
            build.warn(
                &at,
                "has a throttle, and nothing says what that protects; write a dependency from this group to what is behind it",
            );
        }
    }
}

/// Groups in layers. A contradiction is reported where it is written; the layers then ignore the order.
fn layers(
    build: &mut Build<'_>,
    at: &Path,
    strategy: Strategy,
    order: &[GroupName],
    dependencies: &[Dependency],
    groups: &[Group],
) -> Vec<Vec<GroupName>> {
    let names: BTreeSet<GroupName> = groups.iter().map(|group| group.name.clone()).collect();
    let listed = order.iter().zip(order.iter().skip(1)).filter(|_| strategy != Strategy::Parallel);
    let edges: Vec<(GroupName, GroupName)> = listed
        .map(|(first, then)| (first.clone(), then.clone()))
        .chain(dependencies.iter().map(|edge| (edge.target.clone(), edge.source.clone())))
        .collect();
    match order::layers(&names, &edges) {
        Ok(layers) => layers,
        Err(cycle) => {
            let path: Vec<String> = cycle.iter().map(GroupName::to_string).collect();
            let sentence =
                format!("the order contradicts itself: {} (each before the next)", path.join(" -> "));
            build.fault(
                &at.key(if dependencies.is_empty() { "scaling_order" } else { "dependencies" }),
                sentence,
            );
            vec![names.into_iter().collect()]
        }
    }
}

fn check(build: &mut Build<'_>, at: &Path, raw: raw::HealthCheck, groups: &[Group]) -> Option<HealthCheck> {
    let (group, resource) = checked(build, &at.key("resource"), &raw.resource, groups)?;
    let timeout = build.or_span(&at.key("timeout"), raw.timeout, 10);
    if Duration::from_secs(CHECK_S_MAX) < timeout || timeout.is_zero() {
        build.fault(
            &at.key("timeout"),
            format!("must be from 1 to {CHECK_S_MAX} seconds; the wait for a whole wave is the dependency's"),
        );
    }
    let probe = probe(build, at, raw)?;
    Some(HealthCheck { group, resource, probe, timeout })
}

fn checked(
    build: &mut Build<'_>,
    at: &Path,
    name: &str,
    groups: &[Group],
) -> Option<(GroupName, Option<ResourceId>)> {
    if let Some(group) = groups.iter().find(|group| group.name.0 == name) {
        return Some((group.name.clone(), None));
    }
    let mut resources =
        groups.iter().flat_map(|group| group.resources.iter().map(move |resource| (group, &resource.id)));
    if let Some((group, id)) = resources.clone().find(|(_, id)| id.0 == name) {
        return Some((group.name.clone(), Some(id.clone())));
    }
    let known = groups.iter().map(|group| group.name.0.as_str());
    let known: Vec<&str> = known.chain(resources.by_ref().map(|(_, id)| id.0.as_str())).collect();
    build.fault(at, format!("there is no group or resource `{name}`{}", suggestion(name, known)));
    None
}

fn probe(build: &mut Build<'_>, at: &Path, raw: raw::HealthCheck) -> Option<Probe> {
    let needs = |build: &mut Build<'_>, key: &str, what: &str| {
        build.fault(&at.key(key), format!("is required for this check: {what}"));
        None
    };
    match raw.check_type {
        raw::CheckType::Capacity => Some(Probe::Capacity),
        raw::CheckType::TargetHealth => Some(Probe::TargetHealth),
        raw::CheckType::ConnectionTest => match (raw.host, raw.port) {
            (Some(host), Some(port)) => Some(Probe::Tcp { host, port }),
            (None, None) => Some(Probe::Reachable),
            (Some(_), None) => needs(build, "port", "the TCP port to connect to"),
            (None, Some(_)) => needs(build, "host", "the host to connect to"),
        },
        raw::CheckType::HealthEndpoint => match raw.endpoint {
            Some(Endpoint::Url(url)) => {
                if raw.host.is_some() {
                    build.fault(&at.key("host"), "goes with a path only; a URL has its own host");
                }
                Some(Probe::Http(url))
            }
            Some(Endpoint::Path(path)) => Some(on_balancer(build, at, path, raw.host)),
            None => needs(build, "endpoint", "a URL, or a path on the load balancer"),
        },
        raw::CheckType::Alarm => match raw.alarm_name {
            Some(name) => {
                names::check(build, &at.key("alarm_name"), Named::Alarm, &name);
                Some(Probe::Alarm(name))
            }
            None => needs(build, "alarm_name", "the CloudWatch alarm that must not be in ALARM"),
        },
    }
}

fn on_balancer(build: &mut Build<'_>, at: &Path, path: String, host: Option<String>) -> Probe {
    let sentence = "is a path: it is asked for on the resource's load balancer, and where there is none, the wave is unhealthy \
        and rolled back; write a whole URL if there is none";
    build.warn(&at.key("endpoint"), sentence);
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || "-.".contains(letter);
    let is_name =
        |host: &str| !host.is_empty() && host.chars().all(is_part) && host.parse::<IpAddr>().is_err();
    if host.as_deref().is_some_and(|host| !is_name(host)) {
        build.fault(&at.key("host"), "must be the name of the site, such as shop.example.com");
    }
    Probe::HttpOnBalancer { path, host }
}
