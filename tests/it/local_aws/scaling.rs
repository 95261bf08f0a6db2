//! Application Auto Scaling of the local AWS: targets move their capacity by themselves, policies come by ten.

use std::time::Duration;

use ::local_aws::unkind::Unkind;
use aws_sdk_applicationautoscaling::types::{
    MetricType, PolicyType, PredefinedMetricSpecification, ScalableDimension, ServiceNamespace,
    TargetTrackingScalingPolicyConfiguration,
};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, KeySchemaElement, KeyType, ProvisionedThroughput, ScalarAttributeType, TableStatus,
};

use crate::bench::server;

/// Longer than any test takes: what is under way stays so until the test ends it.
const PACE: f64 = 600.0;
/// Scalable targets move in a quarter of a second on a quiet machine.
const POLLS_MAX: u32 = 100;
const POLL: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_new_minimum_moves_a_tables_throughput_by_itself() {
    let aws = server().await.connect().await;
    let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build().unwrap();
    let attribute =
        AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S);
    let units =
        ProvisionedThroughput::builder().read_capacity_units(10).write_capacity_units(5).build().unwrap();
    let create = aws.dynamodb().create_table().table_name("unkind-target").key_schema(key);
    let create = create.attribute_definitions(attribute.build().unwrap()).provisioned_throughput(units);
    create.send().await.unwrap();
    server().await.unkind("unkind-target", &Unkind { pace: Some(PACE), ..Unkind::default() }).await.unwrap();
    let register = aws.application().register_scalable_target().service_namespace(ServiceNamespace::Dynamodb);
    let register = register
        .resource_id("table/unkind-target")
        .scalable_dimension(ScalableDimension::DynamoDbTableReadCapacityUnits);
    register.min_capacity(40).max_capacity(90).send().await.unwrap();
    let stands = || async {
        let table =
            aws.dynamodb().describe_table().table_name("unkind-target").send().await.unwrap().table.unwrap();
        let read = table.provisioned_throughput().unwrap().read_capacity_units().unwrap();
        (table.table_status().unwrap().clone(), read)
    };
    for _ in 0..POLLS_MAX {
        if stands().await.0 != TableStatus::Active {
            break;
        }
        tokio::time::sleep(POLL).await;
    }
    assert_eq!(stands().await, (TableStatus::Updating, 10), "nobody has called UpdateTable");
    server().await.kind("unkind-target").await.unwrap();
    assert_eq!(stands().await, (TableStatus::Active, 40));
}

#[tokio::test]
async fn policies_come_by_ten_and_targets_by_fifty() {
    let aws = server().await.connect().await;
    let (namespace, dimension) = (ServiceNamespace::Ecs, ScalableDimension::EcsServiceDesiredCount);
    let id = "service/unkind/pages";
    let register = aws.application().register_scalable_target().service_namespace(namespace.clone());
    let register = register.resource_id(id).scalable_dimension(dimension.clone());
    register.min_capacity(1).max_capacity(9).send().await.unwrap();
    let metric = PredefinedMetricSpecification::builder()
        .predefined_metric_type(MetricType::EcsServiceAverageCpuUtilization)
        .build()
        .unwrap();
    let tracking = TargetTrackingScalingPolicyConfiguration::builder().target_value(50.0);
    let tracking = tracking.predefined_metric_specification(metric).build().unwrap();
    for number in 0..11 {
        let put = aws.application().put_scaling_policy().policy_name(format!("policy-{number}"));
        let put =
            put.service_namespace(namespace.clone()).resource_id(id).scalable_dimension(dimension.clone());
        let put = put.policy_type(PolicyType::TargetTrackingScaling);
        put.target_tracking_scaling_policy_configuration(tracking.clone()).send().await.unwrap();
    }
    let ask =
        || aws.application().describe_scaling_policies().service_namespace(namespace.clone()).resource_id(id);
    let first = ask().send().await.unwrap();
    assert_eq!(first.scaling_policies().len(), 10);
    let second = ask().set_next_token(first.next_token).send().await.unwrap();
    assert_eq!((second.scaling_policies().len(), second.next_token()), (1, None));
    assert!(ask().max_results(11).send().await.is_err());
    let targets = aws.application().describe_scalable_targets().service_namespace(namespace.clone());
    assert!(targets.max_results(51).send().await.is_err());
}
