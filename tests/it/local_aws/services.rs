//! ECS of the local AWS: tasks start and drain over time, deployments roll, and task sets stand for deployments.

use ::local_aws::unkind::Unkind;
use aws_sdk_ecs::types::{
    ContainerDefinition, DeploymentController, DeploymentControllerType, DeploymentRolloutState, Service,
    StabilityStatus,
};
use headroom_aws::sdk::Aws;

use crate::bench::server;

/// Longer than any test takes: what is under way stays so until the test ends it.
const PACE: f64 = 600.0;
const CLUSTER: &str = "unkind-cluster";

async fn service(name: &str, controller: DeploymentControllerType, settings: Unkind) -> Aws {
    let aws = server().await.connect().await;
    aws.ecs().create_cluster().cluster_name(CLUSTER).send().await.unwrap();
    let container = ContainerDefinition::builder().name("api").image("api").memory(64).build();
    aws.ecs()
        .register_task_definition()
        .family("unkind")
        .container_definitions(container)
        .send()
        .await
        .unwrap();
    let controller = DeploymentController::builder().r#type(controller).build().unwrap();
    let create = aws.ecs().create_service().cluster(CLUSTER).service_name(name).task_definition("unkind");
    create.desired_count(2).deployment_controller(controller).send().await.unwrap();
    server().await.unkind(name, &settings).await.unwrap();
    aws
}

async fn describe(aws: &Aws, name: &str) -> Service {
    let services = aws.ecs().describe_services().cluster(CLUSTER).services(name);
    services.send().await.unwrap().services.unwrap().remove(0)
}

/// The desired, running and pending tasks of a service.
async fn counts(aws: &Aws, name: &str) -> [i32; 3] {
    let service = describe(aws, name).await;
    [service.desired_count(), service.running_count(), service.pending_count()]
}

async fn set(aws: &Aws, name: &str, desired: i32) {
    aws.ecs().update_service().cluster(CLUSTER).service(name).desired_count(desired).send().await.unwrap();
}

/// What is under way for a service is done: its tasks start, then those that they replace stop.
async fn finish(aws: &Aws, name: &str) {
    server().await.kind(name).await.unwrap();
    describe(aws, name).await;
    describe(aws, name).await;
}

fn slow() -> Unkind {
    Unkind { pace: Some(PACE), ..Unkind::default() }
}

#[tokio::test]
async fn tasks_are_pending_before_they_run_and_drain_before_they_stop() {
    let aws = service("unkind-tasks", DeploymentControllerType::Ecs, slow()).await;
    set(&aws, "unkind-tasks", 4).await;
    assert_eq!(counts(&aws, "unkind-tasks").await, [4, 2, 2]);
    finish(&aws, "unkind-tasks").await;
    assert_eq!(counts(&aws, "unkind-tasks").await, [4, 4, 0]);
    server().await.unkind("unkind-tasks", &slow()).await.unwrap();
    set(&aws, "unkind-tasks", 1).await;
    assert_eq!(counts(&aws, "unkind-tasks").await, [1, 4, 0], "they drain");
    finish(&aws, "unkind-tasks").await;
    assert_eq!(counts(&aws, "unkind-tasks").await, [1, 1, 0]);
}

#[tokio::test]
async fn a_deployment_is_in_progress_until_its_tasks_run() {
    let aws = service("unkind-deployment", DeploymentControllerType::Ecs, slow()).await;
    let update = aws.ecs().update_service().cluster(CLUSTER).service("unkind-deployment");
    update.force_new_deployment(true).send().await.unwrap();
    let deployments = describe(&aws, "unkind-deployment").await.deployments.unwrap();
    assert_eq!(deployments.len(), 2, "the old tasks still run");
    assert_eq!(deployments[0].rollout_state(), Some(&DeploymentRolloutState::InProgress));
    finish(&aws, "unkind-deployment").await;
    let deployments = describe(&aws, "unkind-deployment").await.deployments.unwrap();
    assert_eq!(deployments.len(), 1);
    assert_eq!(deployments[0].rollout_state(), Some(&DeploymentRolloutState::Completed));
}

#[tokio::test]
async fn a_service_that_cannot_place_tasks_says_so_and_has_fewer() {
    let settings = Unkind { units_max: Some(3), ..Unkind::default() };
    let aws = service("unkind-crowded", DeploymentControllerType::Ecs, settings).await;
    set(&aws, "unkind-crowded", 6).await;
    assert_eq!(counts(&aws, "unkind-crowded").await, [6, 3, 0]);
    let events = describe(&aws, "unkind-crowded").await.events.unwrap();
    assert!(
        events.iter().any(|event| event.message().unwrap_or_default().contains("unable to place a task"))
    );
}

#[tokio::test]
async fn services_of_other_controllers_have_task_sets_and_no_deployments() {
    let aws = service("unkind-sets", DeploymentControllerType::CodeDeploy, slow()).await;
    set(&aws, "unkind-sets", 4).await;
    let told = describe(&aws, "unkind-sets").await;
    assert!(told.deployments().is_empty());
    let set = &told.task_sets()[0];
    assert_eq!((set.status(), set.computed_desired_count(), set.running_count()), (Some("PRIMARY"), 4, 2));
    assert_eq!(set.stability_status(), Some(&StabilityStatus::Stabilizing));
    finish(&aws, "unkind-sets").await;
    let told = describe(&aws, "unkind-sets").await;
    assert_eq!(told.task_sets()[0].stability_status(), Some(&StabilityStatus::SteadyState));
    let update =
        aws.ecs().update_service().cluster(CLUSTER).service("unkind-sets").force_new_deployment(true);
    assert!(update.send().await.is_err(), "this takes a deployment of CodeDeploy");
}

#[tokio::test]
async fn a_service_is_described_as_it_was_a_moment_ago() {
    let settings = Unkind { lag: Some(PACE), ..Unkind::default() };
    let aws = service("unkind-late-service", DeploymentControllerType::Ecs, settings).await;
    set(&aws, "unkind-late-service", 3).await;
    assert_eq!(counts(&aws, "unkind-late-service").await[0], 2);
    finish(&aws, "unkind-late-service").await;
    assert_eq!(counts(&aws, "unkind-late-service").await[0], 3);
}

#[tokio::test]
async fn ten_services_are_described_at_once_and_no_more() {
    let aws = service("unkind-ten", DeploymentControllerType::Ecs, Unkind::default()).await;
    let names = |count: usize| Some(vec!["unkind-ten".to_owned(); count]);
    let ask = |count| aws.ecs().describe_services().cluster(CLUSTER).set_services(names(count)).send();
    assert!(ask(10).await.is_ok() && ask(11).await.is_err());
}
