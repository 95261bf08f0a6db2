//! A shop that Headroom knows nothing of becomes a platform file, and nothing of it is changed.

use std::sync::Mutex;

use ::local_aws::server::Server;
use ::local_aws::shop::{Capacity, Shop};
use aws_sdk_applicationautoscaling::types::{
    MetricType, PolicyType, PredefinedMetricSpecification, ScalableDimension, ServiceNamespace,
    TargetTrackingScalingPolicyConfiguration,
};
use aws_sdk_autoscaling::types::{LaunchTemplateSpecification, Tag};
use aws_sdk_ecs::types::{Compatibility, ContainerDefinition, KeyValuePair, NetworkMode};
use aws_sdk_elasticloadbalancingv2::types::{Action, ActionTypeEnum, ProtocolEnum};
use aws_sdk_lambda::types::EventSourcePosition;
use headroom_aws::discovery::{Wanted, discover};
use headroom_aws::sdk::Aws;
use headroom_core::adopt::inventory::NativeRule;
use headroom_core::config::parse;
use headroom_core::name::GroupName;
use headroom_core::platform::{Phase, Platform};
use headroom_core::series::Series;
use jiff::{SignedDuration, Timestamp};

use crate::bench::server;
use crate::command_line::{contains, headroom};
use crate::kinds::{elasticache_replication_group, lambda_function};

const CAPACITY: Capacity = Capacity { web: 9, api: 6, read: 643, write: 186 };
/// Hours of load that are published: enough to be replayed, and no more than a test should take.
const HOURS: i64 = 6;

/// A shop of several kinds, each of which tells in another way what it uses.
async fn shop(name: &str) -> (Shop, Aws) {
    let (shop, server) = (Shop::new(name), server().await);
    shop.create(server, CAPACITY).await.unwrap();
    let aws = server.connect().await;
    elasticache_replication_group::group(&aws, &format!("{name}-sessions"), Some(name)).await;
    give(&aws, &shop, &[("TABLE", &shop.orders()), ("CACHE_URL", &cache(&aws, name).await)]).await;
    stream_and_reader(&aws, name).await;
    balancer(&aws, &shop).await;
    tracked(&aws, &shop).await;
    seed(&aws, &shop).await;
    (shop, aws)
}

/// Where the shop's cache is asked.
async fn cache(aws: &Aws, name: &str) -> String {
    let asked = aws.elasticache().describe_replication_groups();
    let told = asked.replication_group_id(format!("{name}-sessions")).send().await.unwrap();
    let group = &told.replication_groups()[0];
    let endpoint = group.configuration_endpoint().or(group.node_groups()[0].primary_endpoint());
    format!("rediss://{}:6379", endpoint.unwrap().address().unwrap())
}

/// The shop's tasks get variables.
async fn give(aws: &Aws, shop: &Shop, variables: &[(&str, &str)]) {
    let pair = |(name, value): &(&str, &str)| KeyValuePair::builder().name(*name).value(*value).build();
    let container = ContainerDefinition::builder().name("api").image("nginx");
    let container = container.set_environment(Some(variables.iter().map(pair).collect())).build();
    let family = shop.api();
    let register = aws.ecs().register_task_definition().family(&family).container_definitions(container);
    let register =
        register.requires_compatibilities(Compatibility::Fargate).network_mode(NetworkMode::Awsvpc);
    register.cpu("256").memory("512").send().await.unwrap();
    let update = aws.ecs().update_service().cluster(shop.cluster()).service(shop.api());
    update.task_definition(family).send().await.unwrap();
}

/// A stream, and a function with provisioned concurrency that reads it.
async fn stream_and_reader(aws: &Aws, name: &str) {
    let (stream, function) = (format!("{name}-clicks"), format!("{name}-score"));
    aws.kinesis().create_stream().stream_name(&stream).shard_count(2).send().await.unwrap();
    lambda_function::function(aws, &function, Some(name)).await;
    let provision = aws.lambda().put_provisioned_concurrency_config().function_name(&function);
    provision.qualifier("live").provisioned_concurrent_executions(2).send().await.unwrap();
    let described = aws.kinesis().describe_stream_summary().stream_name(&stream).send().await.unwrap();
    let arn = described.stream_description_summary().unwrap().stream_arn().to_owned();
    let map = aws.lambda().create_event_source_mapping().function_name(&function).event_source_arn(arn);
    // It is there to be seen, and nothing need be invoked.
    map.enabled(false).starting_position(EventSourcePosition::Latest).send().await.unwrap();
}

/// Servers behind a load balancer that the internet reaches.
async fn balancer(aws: &Aws, shop: &Shop) {
    let balancing = aws.balancing();
    let created = balancing.create_load_balancer().name(&shop.name).subnets("subnet-1").send().await.unwrap();
    let balancer = created.load_balancers()[0].load_balancer_arn().unwrap().to_owned();
    let group = balancing.create_target_group().name(&shop.name).port(80).vpc_id("vpc-1");
    let group = group.protocol(ProtocolEnum::Http).send().await.unwrap();
    let group = group.target_groups()[0].clone();
    let target = group.target_group_arn().unwrap().to_owned();
    let listener =
        balancing.create_listener().load_balancer_arn(balancer).protocol(ProtocolEnum::Http).port(80);
    let forward = Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn(&target).build();
    listener.default_actions(forward).send().await.unwrap();
    let template = LaunchTemplateSpecification::builder().launch_template_name("servers").build();
    let tag = Tag::builder().key("headroom").value(&shop.name).build();
    let servers = aws.autoscaling().create_auto_scaling_group().auto_scaling_group_name(front(&shop.name));
    let servers = servers.launch_template(template).availability_zones("us-east-1a").tags(tag);
    servers.min_size(1).max_size(8).desired_capacity(2).target_group_arns(target).send().await.unwrap();
}

fn front(name: &str) -> String {
    format!("{name}-front")
}

/// AWS itself keeps the CPU of the shop's tasks at 60 %.
async fn tracked(aws: &Aws, shop: &Shop) {
    let id = format!("service/{}/{}", shop.cluster(), shop.api());
    let dimension = ScalableDimension::EcsServiceDesiredCount;
    let register = aws.application().register_scalable_target().service_namespace(ServiceNamespace::Ecs);
    let register = register.resource_id(&id).scalable_dimension(dimension.clone());
    register.min_capacity(2).max_capacity(40).send().await.unwrap();
    let cpu = PredefinedMetricSpecification::builder()
        .predefined_metric_type(MetricType::EcsServiceAverageCpuUtilization)
        .build();
    let tracking = TargetTrackingScalingPolicyConfiguration::builder()
        .predefined_metric_specification(cpu.unwrap())
        .target_value(60.0)
        .build();
    let put = aws.application().put_scaling_policy().policy_name("cpu").resource_id(id);
    let put = put.service_namespace(ServiceNamespace::Ecs).scalable_dimension(dimension);
    let put = put.policy_type(PolicyType::TargetTrackingScaling);
    put.target_tracking_scaling_policy_configuration(tracking.unwrap()).send().await.unwrap();
}

/// Some hours of a load that rises and falls.
async fn seed(aws: &Aws, shop: &Shop) {
    let now = Timestamp::now();
    let from = now - SignedDuration::from_hours(HOURS);
    let wave = (0..=HOURS * 12).map(|step| {
        let step = f64::from(i32::try_from(step).unwrap());
        Some(0.5 + 0.2 * (step / 12.0).sin())
    });
    shop.seed(aws, &Series::new(from, 300, wave), from, now, None).await.unwrap();
}

fn group_of(platform: &Platform, resource: &str) -> String {
    let found = platform.resources().find(|(_, other)| other.name == resource);
    found.unwrap_or_else(|| panic!("{resource} is not in the file")).0.name.0.clone()
}

async fn adopted(server: &Server, name: &str, more: &[&str]) -> crate::command_line::Printed {
    let tag = format!("headroom={name}");
    let stream = format!("{name}-clicks");
    let words = ["adopt", "--tag", &tag, "--name", &stream];
    headroom(server, "", &[&words[..], more].concat()).await
}

#[tokio::test]
async fn a_shop_becomes_a_platform_file_and_stays_as_it_is() {
    const NAME: &str = "adopted";
    let (shop, aws) = shop(NAME).await;
    let server = server().await;
    let before = shop.capacity(&aws).await.unwrap();
    let file = server.folder.join("adopted.yaml");
    let path = file.to_string_lossy();
    let _ = std::fs::remove_file(&file);

    let printed = adopted(server, NAME, &["--output", &path]).await;
    assert_eq!(printed.code, 0, "{printed:?}");
    contains(
        &printed.out,
        &[
            "adopted.yaml is written: adopted with",
            "app depends on data",
            "the variable TABLE of adopted-api holds the name of the table adopted-orders",
            "the variable CACHE_URL of adopted-api holds an endpoint of the cache adopted-sessions",
            "adopted-score reads the records of adopted-clicks",
            "static peak",
            "headroom at 99.5%",
            "headroom at 99.9%",
            "headroom's own bill: about $",
            "tag headroom=adopted",
            "nothing was changed in the account",
        ],
    );

    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains("rediss://"), "values of variables are never told: {text}");
    let platform = parse(&text).unwrap_or_else(|faults| panic!("{faults}\n{text}")).platform;
    assert_eq!(platform.orchestration.phase, Phase::Observe);
    for (resource, group) in [
        (shop.orders(), "data"),
        (format!("{NAME}-sessions"), "data"),
        (format!("{NAME}-clicks"), "data"),
        (shop.api(), "app"),
        (format!("{NAME}-score"), "app"),
        (shop.web(), "app"),
        (front(NAME), "web"),
    ] {
        assert_eq!(group_of(&platform, &resource), group, "{resource}");
    }
    let edges: Vec<(&GroupName, &GroupName)> =
        platform.orchestration.dependencies.iter().map(|edge| (&edge.source, &edge.target)).collect();
    assert_eq!(edges, [(&"app".into(), &"data".into())]);
    let valid = headroom(server, "", &["validate", &path]).await;
    assert_eq!(valid.code, 0, "{valid:?}");
    assert_eq!(shop.capacity(&aws).await.unwrap(), before);

    // A file that is there is left alone.
    let again = adopted(server, NAME, &["--output", &path]).await;
    assert_eq!(again.code, 1, "{again:?}");
    contains(&again.err, &["is there already"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);

    let json =
        adopted(server, NAME, &["--output", &path, "--force", "--json", "--no-back-test"]).await.json();
    assert_eq!(json["proposal"]["tiers"][2]["resources"][0], front(NAME), "{json}");
    assert_eq!(json["proposal"]["tagging"]["missing"][0], format!("{NAME}-clicks"), "{json}");
    only_reads(&aws, &shop).await;
}

/// Every call is one that reads, and the bounds and policies of the service are seen.
async fn only_reads(aws: &Aws, shop: &Shop) {
    let _ = aws.meter.take();
    let wanted = Wanted {
        tags: vec![("headroom".into(), shop.name.clone())],
        stacks: vec![format!("{}-resources", shop.name)],
        names: Vec::new(),
    };
    let heard = Mutex::new(Vec::new());
    let progress = |what: &str| heard.lock().unwrap().push(what.to_owned());
    let inventory = discover(aws, &wanted, &progress).await.unwrap();
    // The local Application Auto Scaling knows no caches.
    let gaps: Vec<&String> = inventory.not_seen.iter().filter(|gap| !gap.contains("elasticache")).collect();
    assert!(gaps.is_empty(), "{gaps:?}");
    assert_eq!(heard.lock().unwrap().len(), 3);
    let usage = aws.meter.take();
    let reads = |call: &str| {
        let (_, operation) = call.split_once(':').unwrap();
        ["Describe", "List", "Get"].iter().any(|verb| operation.starts_with(verb))
    };
    let others: Vec<&String> = usage.0.keys().filter(|call| !reads(call)).collect();
    assert!(others.is_empty() && 10 < usage.0.len(), "{others:?} of {usage:?}");
    let api = inventory.found.iter().find(|found| found.name == shop.api()).unwrap();
    let (min, max, _) = api.capacities[0].bounds.clone().unwrap();
    assert_eq!((min, max), (2.0, 40.0));
    let rule = &api.natives[0].rule;
    assert!(matches!(rule, NativeRule::TargetTracking { target, .. } if *target == 60.0), "{rule:?}");
}
