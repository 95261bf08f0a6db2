//! ECS services.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ecs::types::{DeploymentRolloutState, SchedulingStrategy, Service};
use headroom_core::name::DimensionKey;
use headroom_core::observe::{Busy, Capacity, Observed};
use headroom_core::platform::{Mode, Resource};
use headroom_core::resource::Adapter;
use headroom_core::units::Units;

use super::{Capacities, Target, count, every, only, scalable, units, unknown};
use crate::error::{AwsError, ErrorKind};
use crate::sdk::Aws;

/// AWS describes so many services of one cluster in one call.
const SERVICES_MAX: usize = 10;

/// ECS, and the floors of its services.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    services: aws_sdk_ecs::Client,
    targets: aws_sdk_applicationautoscaling::Client,
}

impl Clients {
    pub(super) fn new(aws: &Aws) -> Clients {
        Clients { services: aws.ecs(), targets: aws.application() }
    }
}

pub(super) async fn observe(clients: &Clients, targets: &[Target<'_>]) -> Capacities {
    let mut clusters: BTreeMap<&str, Vec<Target<'_>>> = BTreeMap::new();
    for target in targets {
        if let Some(Adapter::EcsService { cluster }) = &target.resource.adapter {
            clusters.entry(cluster).or_default().push(*target);
        }
    }
    let floors = scalable::floors(&clients.targets, targets).await;
    let mut observed = Capacities::new();
    for (cluster, targets) in clusters {
        for targets in targets.chunks(SERVICES_MAX) {
            let names = targets.iter().map(|target| target.resource.name.clone()).collect();
            match describe(clients, cluster, names).await {
                Ok(services) => {
                    observed.extend(targets.iter().flat_map(|target| see(target, &services, &floors)))
                }
                Err(error) => observed.extend(unknown(targets, &error)),
            }
        }
    }
    observed
}

async fn describe(clients: &Clients, cluster: &str, names: Vec<String>) -> Result<Vec<Service>, AwsError> {
    let answer = clients
        .services
        .describe_services()
        .cluster(cluster)
        .set_services(Some(names))
        .send()
        .await
        .map_err(|error| AwsError::of(error, format!("describe services of cluster {cluster}")))?;
    Ok(answer.services.unwrap_or_default())
}

fn see(
    target: &Target<'_>,
    services: &[Service],
    floors: &scalable::Floors,
) -> Vec<(DimensionKey, Observed<Capacity>)> {
    let name = &target.resource.name;
    let service = services.iter().find(|service| service.service_name() == Some(name));
    let seen = match service {
        None => Observed::Unknown(format!("there is no ECS service {name}")),
        Some(service) if service.status() != Some("ACTIVE") => Observed::Unknown(format!(
            "service {name} is {}",
            service.status().unwrap_or("in no known state")
        )),
        Some(service) if service.scheduling_strategy() == Some(&SchedulingStrategy::Daemon) => {
            Observed::Unknown(format!("service {name} is a daemon: ECS decides how many tasks it has"))
        }
        Some(service) => capacity(service, target, floors),
    };
    every(target.resource, &seen)
}

fn capacity(service: &Service, target: &Target<'_>, floors: &scalable::Floors) -> Observed<Capacity> {
    let desired = units(service.desired_count());
    let (set, aws_max) = match target.mode {
        Mode::Desired => (desired, None),
        Mode::Floor => match floors.of(target.resource, "desired") {
            Observed::Known(bounds) => (bounds.min(), Some(bounds.max())),
            Observed::Unknown(why) => return Observed::Unknown(why),
        },
    };
    let rollout = service.deployments().iter().find(|deployment| deployment.status() == Some("PRIMARY"));
    let state = rollout.and_then(|deployment| deployment.rollout_state());
    let failed = (state == Some(&DeploymentRolloutState::Failed)).then(|| {
        let reason =
            rollout.and_then(|deployment| deployment.rollout_state_reason()).unwrap_or("no reason given");
        format!("its deployment failed: {reason}")
    });
    Observed::Known(Capacity {
        mode: target.mode,
        set,
        ready: units(service.running_count()),
        busy: busy(service, state),
        failed,
        aws_min: None,
        aws_max,
        decreases_left: None,
        overshoot: Units(0),
        whole: None,
        unavailable: None,
    })
}

/// A rolling deployment goes on while the service scales out, and Application Auto Scaling only holds scale-in meanwhile.
/// A blue/green deployment by CodeDeploy or an external controller works with task sets, which the service lists instead
/// of deployments, and fails when the number of tasks changes under it.
fn busy(service: &Service, state: Option<&DeploymentRolloutState>) -> Option<Busy> {
    let being_replaced = |status: Option<&str>| status == Some("ACTIVE");
    if service.task_sets().iter().any(|set| being_replaced(set.status())) {
        return Some(Busy::Held("a deployment with task sets is in progress".to_owned()));
    }
    let older = service.deployments().iter().any(|deployment| being_replaced(deployment.status()));
    let deploying = older || state == Some(&DeploymentRolloutState::InProgress);
    deploying.then(|| Busy::ScaleInHeld("a deployment is in progress".to_owned()))
}

pub(super) async fn set(
    clients: &Clients,
    resource: &Resource,
    cluster: &str,
    mode: Mode,
    targets: &BTreeMap<DimensionKey, Units>,
) -> Result<(), AwsError> {
    let (name, target) = (&resource.name, only(targets)?);
    if mode == Mode::Floor {
        // AWS raises the number of tasks to a new minimum by itself; going down is the native policy's business.
        return scalable::set_floor(&clients.targets, resource, "desired", target).await;
    }
    let update =
        clients.services.update_service().cluster(cluster).service(name).desired_count(count(target));
    update
        .customize()
        .config_override(once!(aws_sdk_ecs))
        .send()
        .await
        .map(drop)
        .map_err(|error| AwsError::of(error, format!("set service {name} to {target}")))
}

async fn one(clients: &Clients, cluster: &str, name: &str) -> Result<Service, AwsError> {
    let services = describe(clients, cluster, vec![name.to_owned()]).await?;
    let service = services.into_iter().next();
    service.ok_or_else(|| {
        AwsError::new(ErrorKind::NotFound, format!("describe service {name}"), "it does not exist")
    })
}

/// The load balancer target groups that a service registers its tasks with.
pub(super) async fn target_groups(
    clients: &Clients,
    cluster: &str,
    name: &str,
) -> Result<Vec<String>, AwsError> {
    let service = one(clients, cluster, name).await?;
    let of_sets = service.task_sets().iter().flat_map(|set| set.load_balancers());
    let arns: BTreeSet<String> = service
        .load_balancers()
        .iter()
        .chain(of_sets)
        .flat_map(|balancer| {
            // A blue/green deployment moves requests from one of the two to the other.
            let other = balancer.advanced_configuration();
            [balancer.target_group_arn(), other.and_then(|other| other.alternate_target_group_arn())]
        })
        .flatten()
        .map(str::to_owned)
        .collect();
    Ok(arns.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::Client;
    use aws_sdk_ecs::operation::describe_services::DescribeServicesOutput;
    use aws_sdk_ecs::operation::update_service::UpdateServiceOutput;
    use aws_sdk_ecs::types::{Deployment, TaskSet};
    use aws_smithy_mocks::{RuleMode, mock, mock_client};

    use super::super::testing::{aws, platform, target, units_of};
    use super::*;

    fn clients() -> Clients {
        Clients::new(&aws())
    }

    const SERVICE: &str = "{type: ECS_SERVICE, name: api, cluster: prod, min_capacity: 1, max_capacity: 20}";

    fn service() -> aws_sdk_ecs::types::builders::ServiceBuilder {
        let primary =
            Deployment::builder().status("PRIMARY").rollout_state(DeploymentRolloutState::Completed).build();
        Service::builder()
            .service_name("api")
            .status("ACTIVE")
            .desired_count(4)
            .running_count(3)
            .deployments(primary)
    }

    async fn seen(service: Option<Service>) -> Observed<Capacity> {
        let rule = mock!(Client::describe_services)
            .match_requests(|request| request.cluster() == Some("prod") && request.services() == ["api"])
            .then_output(move || {
                DescribeServicesOutput::builder().set_services(service.clone().map(|one| vec![one])).build()
            });
        let client = mock_client!(aws_sdk_ecs, RuleMode::MatchAny, [&rule]);
        let clients = Clients { services: client, ..clients() };
        let platform = platform(SERVICE);
        observe(&clients, &[target(&platform, Mode::Desired)])
            .await
            .remove(&"api/desired".parse().unwrap())
            .unwrap()
    }

    #[tokio::test]
    async fn a_service_is_seen_with_its_running_tasks() {
        let Observed::Known(capacity) = seen(Some(service().build())).await else { panic!() };
        assert_eq!((capacity.set, capacity.ready, capacity.busy), (Units(4), Units(3), None));
    }

    #[tokio::test]
    async fn deployments_make_it_busy_and_failures_failed() {
        let older = Deployment::builder().status("ACTIVE").build();
        let Observed::Known(capacity) = seen(Some(service().deployments(older).build())).await else {
            panic!()
        };
        assert_eq!(capacity.busy, Some(Busy::ScaleInHeld("a deployment is in progress".into())));
        let broken = Deployment::builder()
            .status("PRIMARY")
            .rollout_state(DeploymentRolloutState::Failed)
            .rollout_state_reason("crash")
            .build();
        let Observed::Known(capacity) =
            seen(Some(service().set_deployments(Some(vec![broken])).build())).await
        else {
            panic!()
        };
        assert_eq!(capacity.failed.as_deref(), Some("its deployment failed: crash"));
    }

    #[tokio::test]
    async fn what_cannot_be_scaled_is_unknown() {
        assert_eq!(seen(None).await, Observed::Unknown("there is no ECS service api".into()));
        let draining = seen(Some(service().status("DRAINING").build())).await;
        assert_eq!(draining, Observed::Unknown("service api is DRAINING".into()));
        let daemon = seen(Some(service().scheduling_strategy(SchedulingStrategy::Daemon).build())).await;
        assert!(matches!(daemon, Observed::Unknown(why) if why.contains("daemon")));
    }

    #[tokio::test]
    async fn the_count_is_set_absolutely() {
        let rule = mock!(Client::update_service)
            .match_requests(|request| {
                (request.cluster(), request.service(), request.desired_count())
                    == (Some("prod"), Some("api"), Some(7))
            })
            .then_output(|| UpdateServiceOutput::builder().build());
        let client = mock_client!(aws_sdk_ecs, RuleMode::MatchAny, [&rule]);
        let clients = Clients { services: client, ..clients() };
        let platform = platform(SERVICE);
        let resource = platform.resources().next().unwrap().1;
        let targets = units_of(&[("api/desired", 7)]);
        set(&clients, resource, "prod", Mode::Desired, &targets).await.unwrap();
        assert_eq!(rule.num_calls(), 1);
    }

    #[tokio::test]
    async fn task_sets_of_blue_green_deployments_make_it_busy() {
        let set = |status: &str| TaskSet::builder().status(status).build();
        let with = |sets: Vec<TaskSet>| service().set_deployments(None).set_task_sets(Some(sets)).build();
        let Observed::Known(quiet) = seen(Some(with(vec![set("PRIMARY"), set("DRAINING")]))).await else {
            panic!()
        };
        assert_eq!(quiet.busy, None);
        let Observed::Known(both) = seen(Some(with(vec![set("PRIMARY"), set("ACTIVE")]))).await else {
            panic!()
        };
        assert_eq!(both.busy, Some(Busy::Held("a deployment with task sets is in progress".into())));
    }

    #[tokio::test]
    async fn a_floor_is_one_call_as_aws_moves_the_tasks_into_it() {
        use aws_sdk_applicationautoscaling::operation::register_scalable_target::RegisterScalableTargetOutput;
        let register = mock!(aws_sdk_applicationautoscaling::Client::register_scalable_target)
            .match_requests(|request| request.min_capacity().is_some())
            .then_output(|| RegisterScalableTargetOutput::builder().build());
        let update = mock!(Client::update_service).then_output(|| UpdateServiceOutput::builder().build());
        let clients = Clients {
            services: mock_client!(aws_sdk_ecs, RuleMode::MatchAny, [&update]),
            targets: mock_client!(aws_sdk_applicationautoscaling, RuleMode::MatchAny, [&register]),
        };
        let platform = platform(SERVICE);
        let resource = platform.resources().next().unwrap().1;
        for floor in [3, 7] {
            set(&clients, resource, "prod", Mode::Floor, &units_of(&[("api/desired", floor)])).await.unwrap();
        }
        assert_eq!((register.num_calls(), update.num_calls()), (2, 0));
    }
}
