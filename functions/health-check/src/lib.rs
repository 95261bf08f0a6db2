//! health-check: looks at what a wave touched and judges whether it is healthy.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use futures_util::future::join_all;
use headroom_aws::configs::Configs;
use headroom_aws::failure::Failure;
use headroom_aws::fleet::{Address, AwsFleet, Capacities, Depth, Fleet, TargetHealth};
use headroom_aws::meter::Meter;
use headroom_aws::probes::{Answer, NetworkProbes, Probes, Reach};
use headroom_aws::sdk::Aws;
use headroom_aws::store::{Store, Versioned};
use headroom_aws::table::{DynamoTable, Table};
use headroom_core::cycle::{HealthRequest, HealthResponse, few};
use headroom_core::health::{Finding, Health, Judgement, Limit, Verdict, judge, lacking, reached};
use headroom_core::journal::{Entry, StepEvent, StepState};
use headroom_core::name::ResourceId;
use headroom_core::observe::Observed;
use headroom_core::plan::{Step, StepChange, Wave};
use headroom_core::platform::{HealthCheck, Mode, Platform, Probe, Resource};
use headroom_core::units::Units;

/// What the function works with.
#[derive(Debug)]
pub struct Ports<T, F, P> {
    /// What is stored.
    pub store: Store<T>,
    /// What is scaled.
    pub fleet: F,
    /// Probes from outside.
    pub probes: P,
    /// Configurations already parsed.
    pub configs: Configs,
    /// Counts what is used.
    pub meter: Meter,
}

impl Ports<DynamoTable, AwsFleet, NetworkProbes> {
    /// Ports to AWS, with the tables that the environment names. `PROBE_LOOPBACK=true` lets probes reach the machine
    /// that the function runs on, for demo and tests.
    ///
    /// # Errors
    /// When a table is not named.
    pub fn new(aws: &Aws) -> Result<Self, std::env::VarError> {
        let loopback = std::env::var("PROBE_LOOPBACK").is_ok_and(|value| value == "true");
        let reach = if loopback { Reach::Loopback } else { Reach::Network };
        Ok(Ports {
            store: Store::from_env(aws)?,
            fleet: AwsFleet::new(aws),
            probes: NetworkProbes::new(aws, reach),
            configs: Configs::default(),
            meter: aws.meter.clone(),
        })
    }
}

/// Judges one wave.
///
/// # Errors
/// When what is stored cannot be read. What cannot be seen of the wave is pending, not an error.
pub async fn handle<T: Table, F: Fleet, P: Probes>(
    ports: &Ports<T, F, P>,
    request: HealthRequest,
) -> Result<HealthResponse, Failure> {
    renew(ports, &request).await?;
    let plan = ports.store.plan_head(&request.cycle.platform, &request.plan_id).await?;
    let platform = ports.configs.get(&ports.store, &request.cycle.platform, &plan.config).await?;
    let journal = ports.store.journal(&request.cycle.platform, &request.plan_id).await?;
    let entries: Vec<Versioned<Entry>> =
        journal.into_iter().filter(|entry| entry.value.wave == request.wave).collect();
    let steps: Vec<Step> = entries.iter().filter_map(|entry| standing(&entry.value, request.undo)).collect();
    let wave = plan.waves.get(request.wave);
    let mut findings = capacity(ports, &platform, &request, &steps).await;
    if let Some(wave) = wave.filter(|_| !request.undo) {
        findings.extend(probe_all(ports, &platform, wave, &steps).await);
    }
    let timeout_s = wave.map_or(0, |wave| wave.timeout_s);
    let limit = Limit { started_at: request.started_at, timeout_s, at: request.at };
    let Judgement { kind, reasons, strikes } = judge(&findings, request.strikes, limit);
    if kind == Verdict::Healthy && !request.undo {
        record_lacking(ports, &request, &entries, &findings).await?;
    }
    tracing::info!(platform = %platform.name, cycle = %request.cycle.id, wave = request.wave, ?kind, "{}", reasons.join("; "));
    Ok(HealthResponse { kind, strikes, reasons: few(reasons), usage: ports.meter.take() })
}

/// A long wait must not cost the lease.
async fn renew<T: Table, F, P>(ports: &Ports<T, F, P>, request: &HealthRequest) -> Result<(), Failure> {
    let read = ports.store.lease(&request.cycle.platform).await?;
    let lease = read.value.renew(&request.cycle.id, request.at)?;
    Ok(ports.store.put_lease(&request.cycle.platform, &read, &lease).await?)
}

/// Writes into the journal of each step what AWS lacked of it when the wave's time was over.
async fn record_lacking<T: Table, F, P>(
    ports: &Ports<T, F, P>,
    request: &HealthRequest,
    entries: &[Versioned<Entry>],
    findings: &[Finding],
) -> Result<(), Failure> {
    for read in entries {
        let Some(detail) = lacking(&read.value, findings) else { continue };
        let entry = read.value.with(StepEvent::Unavailable, request.at, Some(detail));
        let entry =
            entry.map_err(|error| Failure::JournalRefused { step: read.value.step.id.to_string(), error })?;
        ports.store.put_entry(&request.cycle.platform, read, &entry).await?;
    }
    Ok(())
}

/// The step whose effect should be seen now, if it was made or rolled back.
fn standing(entry: &Entry, undone: bool) -> Option<Step> {
    match (entry.state, undone) {
        (StepState::Done | StepState::Found, false) => Some(entry.step.clone()),
        (StepState::Undone, true) => Some(entry.step.undo()),
        _ => None,
    }
}

async fn capacity<T, F: Fleet, P>(
    ports: &Ports<T, F, P>,
    platform: &Platform,
    request: &HealthRequest,
    steps: &[Step],
) -> Vec<Finding> {
    let resources: Vec<&Resource> =
        steps.iter().filter_map(|step| Some(platform.resource(&step.resource)?.1)).collect();
    let floors: BTreeSet<ResourceId> =
        steps.iter().filter(|step| step.mode == Mode::Floor).map(|step| step.resource.clone()).collect();
    let observed: Capacities = ports.fleet.observe(&resources, &floors, request.at, Depth::Cheap).await;
    let missing = Observed::Unknown("it was not observed".to_owned());
    let changes = steps.iter().flat_map(|step| &step.changes);
    let standing_by = platform.standing_by();
    let capacity = |change: &StepChange| observed.get(&change.key).unwrap_or(&missing);
    changes.map(|change| reached(change, capacity(change), standing_by.contains(&change.key))).collect()
}

/// Every configured check of the groups in the wave, at once: each has its own time limit.
async fn probe_all<T, F: Fleet, P: Probes>(
    ports: &Ports<T, F, P>,
    platform: &Platform,
    wave: &Wave,
    steps: &[Step],
) -> Vec<Finding> {
    let touched = |check: &&HealthCheck| {
        let mine = |id: &ResourceId| steps.iter().any(|step| step.resource == *id);
        wave.groups.contains(&check.group) && check.resource.as_ref().is_none_or(mine) && !steps.is_empty()
    };
    let checks = platform.orchestration.checks.iter().filter(touched);
    let probes = checks.map(|check| probe(ports, platform, check, steps));
    join_all(probes).await.into_iter().flatten().collect()
}

async fn probe<T, F: Fleet, P: Probes>(
    ports: &Ports<T, F, P>,
    platform: &Platform,
    check: &HealthCheck,
    steps: &[Step],
) -> Vec<Finding> {
    let finding = |what: String, state: Health| Finding { what, state, is_capacity: false };
    match &check.probe {
        // Both are what the adapters look at anyway, for every step of the wave.
        Probe::Capacity | Probe::Reachable => Vec::new(),
        Probe::Http(url) => answered(format!("GET {url}"), ports.probes.http(url, check.timeout).await),
        Probe::HttpOnBalancer { path, host } => {
            answered(format!("GET {path}"), on_balancer(ports, platform, check, path, host.as_deref()).await)
        }
        Probe::Tcp { host, port } => {
            vec![finding(
                format!("connect {host}:{port}"),
                ports.probes.tcp(host, *port, check.timeout).await,
            )]
        }
        Probe::Alarm(name) => {
            let state =
                ports.probes.alarm(name).await.unwrap_or_else(|error| Health::Pending(error.to_string()));
            vec![finding(format!("alarm {name}"), state)]
        }
        Probe::TargetHealth => {
            let mut findings = Vec::new();
            for resource in checked(platform, check) {
                findings.push(finding(
                    format!("targets of {}", resource.id),
                    targets(ports, resource, steps).await,
                ));
            }
            findings
        }
    }
}

/// The resources that a check is about.
fn checked<'a>(platform: &'a Platform, check: &'a HealthCheck) -> impl Iterator<Item = &'a Resource> {
    let of_group =
        platform.resources().filter(|(group, _)| group.name == check.group).map(|(_, resource)| resource);
    of_group.filter(|resource| check.resource.as_ref().is_none_or(|id| *id == resource.id))
}

/// What a request found, and what it leaves open.
fn answered(what: String, answer: Answer) -> Vec<Finding> {
    let open = answer.unchecked.into_iter().map(|open| (open.what, Health::NotChecked(open.why)));
    let all = std::iter::once((what, answer.health)).chain(open);
    all.map(|(what, state)| Finding { what, state, is_capacity: false }).collect()
}

/// A path is asked for on the load balancer of the first resource that has one. A check that cannot be made is no check
/// that holds.
async fn on_balancer<T, F: Fleet, P: Probes>(
    ports: &Ports<T, F, P>,
    platform: &Platform,
    check: &HealthCheck,
    path: &str,
    site: Option<&str>,
) -> Answer {
    let mut why = "no load balancer stands before it; write a whole URL".to_owned();
    for resource in checked(platform, check) {
        match ports.fleet.address(resource).await {
            Ok(Address::Http(balancer)) => {
                let answer = ports.probes.balancer(&balancer, site, path, check.timeout).await;
                return if balancer.is_internal { hinted(answer) } else { answer };
            }
            Ok(Address::NotHttp(others)) => {
                why = format!("no HTTP is spoken before it, only {others}; write a whole URL");
            }
            Ok(Address::None) => (),
            Err(error) => return Health::Pending(error.to_string()).into(),
        }
    }
    Health::Unhealthy(why).into()
}

/// An internal load balancer may be well, and yet not be reached.
fn hinted(answer: Answer) -> Answer {
    match answer.health {
        Health::Unhealthy(why) => {
            let hint =
                "the load balancer is internal, and reached only by a stack with VpcSubnetIds in its network";
            Health::Unhealthy(format!("{why}; {hint}")).into()
        }
        _ => answer,
    }
}

async fn targets<T, F: Fleet, P>(ports: &Ports<T, F, P>, resource: &Resource, steps: &[Step]) -> Health {
    let mine = steps.iter().filter(|step| step.resource == resource.id);
    let is_emptied = mine.flat_map(|step| &step.changes).any(|change| change.target == Units(0));
    match ports.fleet.target_health(resource).await {
        Ok(Some(TargetHealth { healthy: 0, others: 0 })) if is_emptied => Health::Healthy,
        Ok(Some(TargetHealth { healthy: 0, others: 0 })) => Health::Pending("no target is in use".to_owned()),
        Ok(Some(TargetHealth { others: 0, .. })) => Health::Healthy,
        Ok(Some(health)) => Health::Pending(format!("{} healthy, {} not", health.healthy, health.others)),
        Ok(None) => Health::Unhealthy("no load balancer stands before it".to_owned()),
        Err(error) => Health::Pending(error.to_string()),
    }
}
