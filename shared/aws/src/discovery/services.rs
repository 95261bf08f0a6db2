//! ECS services, with what their tasks are given.

use std::collections::BTreeMap;

use aws_sdk_ecs::Client;
use aws_sdk_ecs::types::{
    Compatibility, CpuArchitecture, SchedulingStrategy, Service, ServiceField, TaskDefinition,
};
use headroom_core::adopt::inventory::{CapacityKey, Found, FoundCapacity, Setting};
use headroom_core::adopt::price;
use headroom_core::resource::ResourceKind;

use super::{Seen, Selection};
use crate::error::AwsError;

/// AWS describes so many services of one cluster in one call.
const SERVICES_MAX: usize = 10;

pub(super) async fn read(client: &Client, selection: &Selection) -> Seen {
    let mut seen = Seen::default();
    let mut clusters: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (cluster, name) in &selection.services {
        clusters.entry(cluster).or_default().push(name);
    }
    for (cluster, names) in clusters {
        for names in names.chunks(SERVICES_MAX) {
            let what = format!("services {} of the cluster {cluster}", names.join(", "));
            let services = seen.or_gap(&what, describe(client, cluster, names).await);
            for name in names {
                match services.iter().find(|service| service.service_name() == Some(name)) {
                    Some(service) => add(client, &mut seen, (cluster, name), service).await,
                    None if seen.inventory.not_seen.iter().any(|gap| gap.starts_with(&what)) => (),
                    None => seen.left_out(format!("the service {cluster}/{name}"), "it is not there"),
                }
            }
        }
    }
    seen
}

async fn describe(client: &Client, cluster: &str, names: &[&str]) -> Result<Vec<Service>, AwsError> {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    let asked = client.describe_services().cluster(cluster).set_services(Some(names));
    let answer = asked.include(ServiceField::Tags).send().await;
    let answer = answer.map_err(|error| AwsError::of(error, format!("describe services of {cluster}")))?;
    Ok(answer.services.unwrap_or_default())
}

async fn add(client: &Client, seen: &mut Seen, (cluster, name): (&str, &str), service: &Service) {
    let what = || format!("the service {cluster}/{name}");
    if service.status() != Some("ACTIVE") {
        return seen.left_out(what(), "it is not active");
    }
    if service.scheduling_strategy() == Some(&SchedulingStrategy::Daemon) {
        return seen.left_out(what(), "it is a daemon, whose tasks are its instances'");
    }
    let Some(arn) = service.service_arn() else { return };
    let definition = match service.task_definition() {
        Some(definition) => {
            seen.or_gap(&format!("what {} is given", what()), task_definition(client, definition).await)
        }
        None => None,
    };
    let targets = service.load_balancers().iter().filter_map(|balancer| balancer.target_group_arn());
    seen.behind.extend(targets.map(|target| (arn.to_owned(), target.to_owned())));
    aliases(seen, arn, name, service);
    settings(seen, arn, definition.as_ref());
    let tag = |tag: &aws_sdk_ecs::types::Tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned()));
    let tasks = FoundCapacity::new(CapacityKey::Plain, "tasks", f64::from(service.desired_count()));
    seen.found(Found {
        within: Some(("cluster", cluster.to_owned())),
        tags: service.tags().iter().filter_map(tag).collect(),
        capacities: vec![tasks],
        price: definition.as_ref().and_then(fargate),
        ..Found::new(ResourceKind::EcsService, name, arn)
    });
}

async fn task_definition(client: &Client, arn: &str) -> Result<Option<TaskDefinition>, AwsError> {
    let answer = client.describe_task_definition().task_definition(arn).send().await;
    let answer =
        answer.map_err(|error| AwsError::of(error, format!("describe the task definition {arn}")))?;
    Ok(answer.task_definition)
}

/// The names by which others reach a service through Service Connect.
fn aliases(seen: &mut Seen, arn: &str, name: &str, service: &Service) {
    let connected = service.deployments().iter().filter_map(|one| one.service_connect_configuration());
    let aliases = connected.flat_map(|one| one.services()).flat_map(|one| one.client_aliases());
    for alias in aliases {
        seen.handle(arn, alias.dns_name(), format_args!("the name of the service {name} in Service Connect"));
    }
}

/// The variables of all containers. Secrets have no value here.
fn settings(seen: &mut Seen, arn: &str, definition: Option<&TaskDefinition>) {
    let containers = definition.map(|definition| definition.container_definitions()).unwrap_or_default();
    for variable in containers.iter().flat_map(|container| container.environment()) {
        if let (Some(name), Some(value)) = (variable.name(), variable.value()) {
            let (variable, value) = (name.to_owned(), value.to_owned());
            seen.inventory.settings.push(Setting { of: arn.to_owned(), variable, value });
        }
    }
}

/// The price of a task on Fargate, which its size tells.
fn fargate(definition: &TaskDefinition) -> Option<(f64, String)> {
    if !definition.requires_compatibilities().contains(&Compatibility::Fargate) {
        return None;
    }
    let size = |text: Option<&str>| text.and_then(|text| text.parse::<u32>().ok());
    let (cpu, memory) = (size(definition.cpu())?, size(definition.memory())?);
    let platform = definition.runtime_platform().and_then(|platform| platform.cpu_architecture());
    Some(price::fargate_task(cpu, memory, platform == Some(&CpuArchitecture::Arm64)))
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::operation::describe_services::DescribeServicesOutput;
    use aws_sdk_ecs::operation::describe_task_definition::DescribeTaskDefinitionOutput;
    use aws_sdk_ecs::types::{ContainerDefinition, KeyValuePair, LoadBalancer, Tag};
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};

    use super::*;

    async fn seen(service: Service) -> Seen {
        let services = mock!(Client::describe_services)
            .then_output(move || DescribeServicesOutput::builder().services(service.clone()).build());
        let variable = KeyValuePair::builder().name("TABLE").value("orders").build();
        let container = ContainerDefinition::builder().environment(variable).build();
        let definition = TaskDefinition::builder()
            .container_definitions(container)
            .requires_compatibilities(Compatibility::Fargate)
            .cpu("256")
            .memory("512")
            .build();
        let definition = mock!(Client::describe_task_definition).then_output(move || {
            DescribeTaskDefinitionOutput::builder().task_definition(definition.clone()).build()
        });
        let rules: [&Rule; 2] = [&services, &definition];
        let client = mock_client!(aws_sdk_ecs, RuleMode::MatchAny, &rules);
        let names = ["api", "gone"].map(|name| ("prod".to_owned(), name.to_owned()));
        read(&client, &Selection { services: names.into(), ..Selection::default() }).await
    }

    fn service() -> aws_sdk_ecs::types::builders::ServiceBuilder {
        Service::builder()
            .service_name("api")
            .service_arn("arn:api")
            .status("ACTIVE")
            .desired_count(3)
            .task_definition("api:1")
            .load_balancers(LoadBalancer::builder().target_group_arn("arn:shop").build())
            .tags(Tag::builder().key("app").value("shop").build())
    }

    #[tokio::test]
    async fn a_service_is_found_with_what_its_tasks_are_given() {
        let seen = seen(service().build()).await;
        let [api] = seen.inventory.found.as_slice() else { panic!("{seen:?}") };
        assert_eq!((api.capacities[0].now, api.tags["app"].as_str()), (3.0, "shop"));
        assert_eq!(api.within, Some(("cluster", "prod".to_owned())));
        assert!((api.price.as_ref().unwrap().0 - 0.0123425).abs() < 1e-9, "{:?}", api.price);
        assert_eq!(seen.inventory.settings[0].variable, "TABLE");
        assert_eq!(seen.behind, [("arn:api".to_owned(), "arn:shop".to_owned())]);
        assert_eq!(seen.inventory.left_out[0].what, "the service prod/gone");
    }

    #[tokio::test]
    async fn a_daemon_is_left_out() {
        let seen = seen(service().scheduling_strategy(SchedulingStrategy::Daemon).build()).await;
        assert!(seen.inventory.found.is_empty());
        assert!(seen.inventory.left_out[0].why.contains("daemon"), "{:?}", seen.inventory.left_out);
    }
}
