//! The local AWS is like AWS where it matters here: a test for each patch of tests/local-aws.

mod apigateway;
mod dynamodb;
mod eks;
mod elasticache;
mod functions;
mod groups;
mod kinesis;
mod machines;
mod metrics;
mod sagemaker;
mod scaling;
mod services;

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{MetricDatum, Statistic};
use jiff::{SignedDuration, Timestamp};
use local_aws::shop::{Capacity, Shop};

use crate::bench::server;

async fn shop(name: &str) -> Shop {
    let shop = Shop::new(name);
    shop.create(server().await, Capacity { web: 4, api: 3, read: 30, write: 20 }).await.unwrap();
    shop
}

#[tokio::test]
async fn groups_from_templates_have_their_instances() {
    shop("patched").await;
    let aws = server().await.connect().await;
    let groups = aws
        .autoscaling()
        .describe_auto_scaling_groups()
        .auto_scaling_group_names("patched-web")
        .send()
        .await
        .unwrap();
    assert_eq!(groups.auto_scaling_groups()[0].instances().len(), 4);
}

#[tokio::test]
async fn numbers_given_by_parameters_are_numbers() {
    let shop = shop("numbers").await;
    let aws = server().await.connect().await;
    assert_eq!(shop.capacity(&aws).await.unwrap(), Capacity { web: 4, api: 3, read: 30, write: 20 });
}

#[tokio::test]
async fn groups_keep_to_their_bounds() {
    let shop = shop("bounds").await;
    let aws = server().await.connect().await;
    let set = |desired| {
        aws.autoscaling()
            .set_desired_capacity()
            .auto_scaling_group_name("bounds-web")
            .desired_capacity(desired)
            .send()
    };
    assert!(set(41).await.is_err() && set(0).await.is_err() && set(40).await.is_ok());
    let update = || aws.autoscaling().update_auto_scaling_group().auto_scaling_group_name("bounds-web");
    assert!(update().min_size(41).send().await.is_err(), "crossed bounds");
    assert!(update().desired_capacity(50).send().await.is_err());
    update().max_size(6).send().await.unwrap();
    assert_eq!(shop.capacity(&aws).await.unwrap().web, 6, "a lower maximum lowers the capacity");
    update().max_size(20).min_size(9).send().await.unwrap();
    assert_eq!(shop.capacity(&aws).await.unwrap().web, 9, "a higher minimum raises it");
}

#[tokio::test]
async fn metrics_are_kept_for_63_days() {
    let aws = server().await.connect().await;
    let at = Timestamp::now() - SignedDuration::from_hours(62 * 24);
    let datum =
        MetricDatum::builder().metric_name("Old").value(7.0).timestamp(DateTime::from_secs(at.as_second()));
    aws.cloudwatch().put_metric_data().namespace("Test/Old").metric_data(datum.build()).send().await.unwrap();
    let read = aws
        .cloudwatch()
        .get_metric_statistics()
        .namespace("Test/Old")
        .metric_name("Old")
        .period(300)
        .statistics(Statistic::Average);
    let read = read
        .start_time(DateTime::from_secs(at.as_second() - 600))
        .end_time(DateTime::from_secs(at.as_second() + 600));
    assert_eq!(read.send().await.unwrap().datapoints().len(), 1);
}

#[tokio::test]
async fn scalable_targets_are_there_without_ecs_in_moto() {
    use aws_sdk_applicationautoscaling::types::{ScalableDimension, ServiceNamespace};
    let aws = server().await.connect().await;
    let register = aws.application().register_scalable_target().service_namespace(ServiceNamespace::Ecs);
    let register = register
        .resource_id("service/none/none")
        .scalable_dimension(ScalableDimension::EcsServiceDesiredCount);
    register.min_capacity(3).max_capacity(9).send().await.unwrap();
    let targets = aws
        .application()
        .describe_scalable_targets()
        .service_namespace(ServiceNamespace::Ecs)
        .resource_ids("service/none/none");
    assert_eq!(targets.send().await.unwrap().scalable_targets()[0].min_capacity(), 3);
}
