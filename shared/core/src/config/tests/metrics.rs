//! Metrics whose kind does not fit what AWS publishes, and ARNs where names belong.

use super::parse;

/// What is said of one metric of a group of instances: nothing, warnings, or faults.
fn told(metric: &str) -> String {
    let text = format!(
        "configuration_name: shop
scaling_groups:
  web:
    resources:
      - type: EC2_AUTO_SCALING_GROUP
        name: web-asg
        min_capacity: 2
        max_capacity: 20
        metrics:
          - {{name: busy, kind: utilization, target_value: 60, namespace: Shop}}
          - {{name: tried, {metric}}}
"
    );
    match parse(&text) {
        Ok(parsed) if parsed.warnings.is_empty() => "fine".to_owned(),
        Ok(parsed) => {
            parsed.warnings.iter().map(|warning| format!("warning: {}", warning.sentence)).collect()
        }
        Err(faults) => faults.to_string(),
    }
}

fn metric(kind: &str, namespace: &str, name: &str, statistic: &str) -> String {
    let target = match kind {
        "load" | "queue_depth" => "target_per_unit: 5",
        _ => "target_value: 5",
    };
    let statistic = if statistic.is_empty() { String::new() } else { format!(", statistic: {statistic}") };
    let query = format!("namespace: {namespace}, metric_name: '{name}'{statistic}, period: 1m");
    told(&format!("kind: {kind}, {target}, {query}"))
}

#[test]
fn a_load_that_is_a_mean_of_one_unit_is_a_fault_that_names_the_right_kind() {
    for (namespace, name, statistic, right) in [
        ("AWS/EC2", "CPUUtilization", "", "write `kind: utilization` with `target_value`, the percent"),
        (
            "AWS/EC2",
            "CPUUtilization",
            "Average",
            "write `kind: utilization` with `target_value`, the percent",
        ),
        (
            "AWS/EC2",
            "NetworkIn",
            "Average",
            "write `statistic: Sum` for what all have together, or `kind: utilization`",
        ),
        ("AWS/EC2", "DiskReadOps", "Maximum", "by `Maximum` it is what one unit has"),
        ("AWS/EC2", "NetworkIn", "SampleCount", "counts the units"),
        ("AWS/AutoScaling", "GroupInServiceInstances", "Average", "is the capacity itself"),
        ("AWS/ECS", "MemoryUtilization", "Average", "write `kind: utilization`"),
        ("ECS/ContainerInsights", "CpuUtilized", "Average", "write `statistic: Sum`"),
        ("ECS/ContainerInsights", "TaskMemoryUtilization", "", "write `kind: utilization`"),
        ("ECS/ContainerInsights", "RunningTaskCount", "Average", "is the capacity itself"),
        ("ContainerInsights", "pod_cpu_utilization", "Average", "write `kind: utilization`"),
        ("CWAgent", "mem_used_percent", "Average", "write `kind: utilization`"),
        (
            "AWS/ApplicationELB",
            "RequestCountPerTarget",
            "",
            "write `kind: utilization` with `statistic: Sum`",
        ),
        ("AWS/ApplicationELB", "TargetResponseTime", "", "write `kind: latency` with `target_value`"),
        ("AWS/ApplicationELB", "TargetResponseTime", "p99", "write `kind: latency` with `target_value`"),
        ("AWS/ApplicationELB", "RequestCount", "Average", "write `statistic: Sum`"),
        ("AWS/ApplicationELB", "HealthyHostCount", "Average", "is the capacity itself"),
        ("AWS/DynamoDB", "ConsumedReadCapacityUnits", "Average", "write `statistic: Sum`"),
        ("AWS/DynamoDB", "SuccessfulRequestLatency", "Average", "write `kind: latency`"),
        ("AWS/DynamoDB", "ProvisionedReadCapacityUnits", "Average", "is the capacity itself"),
        ("AWS/Lambda", "Duration", "Average", "write `kind: latency`"),
        ("AWS/Lambda", "ProvisionedConcurrencyUtilization", "Maximum", "the share to keep, such as 0.7"),
        ("AWS/RDS", "CPUUtilization", "Average", "write `kind: utilization`"),
        ("AWS/RDS", "CommitLatency", "Average", "write `kind: latency`"),
        ("AWS/RDS", "DatabaseConnections", "Average", "write `statistic: Sum`"),
        ("AWS/ElastiCache", "EngineCPUUtilization", "Average", "write `kind: utilization`"),
        ("AWS/ElastiCache", "GetTypeCmds", "Average", "write `statistic: Sum`"),
        ("AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds", "Maximum", "write `kind: latency`"),
        ("AWS/Kinesis", "IncomingBytes", "Average", "write `statistic: Sum`"),
        ("AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum", "write `kind: latency`"),
        ("AWS/SageMaker", "InvocationsPerInstance", "Sum", "write `kind: utilization` with `statistic: Sum`"),
        ("/aws/sagemaker/Endpoints", "GPUUtilization", "Average", "write `kind: utilization`"),
    ] {
        let told = metric("load", namespace, name, statistic);
        assert!(
            told.starts_with("11:") && told.contains(".kind: `"),
            "{namespace} {name} {statistic}: {told}"
        );
        assert!(told.contains(right), "{namespace} {name} {statistic}: {told}");
        assert!(told.contains("; see https://docs.aws.amazon.com/"), "{told}");
    }
}

#[test]
fn what_all_units_do_together_is_a_load() {
    for (namespace, name, statistic) in [
        ("AWS/EC2", "NetworkIn", "Sum"),
        ("AWS/EC2", "NetworkOut", ""),
        ("ECS/ContainerInsights", "CpuUtilized", "Sum"),
        ("AWS/ApplicationELB", "RequestCount", ""),
        ("AWS/ApplicationELB", "ActiveConnectionCount", "Sum"),
        ("AWS/ApplicationELB", "TargetResponseTime", "SampleCount"),
        ("AWS/NetworkELB", "ActiveFlowCount", "Average"),
        ("AWS/DynamoDB", "ConsumedWriteCapacityUnits", "Sum"),
        ("AWS/Lambda", "Invocations", "Sum"),
        ("AWS/Lambda", "ConcurrentExecutions", "Maximum"),
        ("AWS/Kinesis", "IncomingRecords", "Sum"),
        ("AWS/SQS", "NumberOfMessagesSent", "Sum"),
        ("AWS/SageMaker", "Invocations", "Sum"),
        ("Shop", "CPUUtilization", "Average"), // Somebody's own, which may be anything.
    ] {
        assert_eq!(metric("load", namespace, name, statistic), "fine", "{namespace} {name} {statistic}");
    }
    // One unit that is named is not the mean of those that are scaled.
    let one =
        "namespace: AWS/RDS, metric_name: DatabaseConnections, dimensions: {DBInstanceIdentifier: main}";
    assert_eq!(told(&format!("kind: load, target_per_unit: 5, statistic: Average, {one}")), "fine");
}

#[test]
fn what_works_poorly_is_warned_about() {
    let told = metric("load", "AWS/SQS", "ApproximateNumberOfMessagesVisible", "Average");
    assert!(told.starts_with("warning: ") && told.contains("write `kind: queue_depth`"), "{told}");
    let told = metric("load", "AWS/Lambda", "ConcurrentExecutions", "");
    assert!(told.starts_with("warning: ") && told.contains("write `statistic: Maximum`"), "{told}");
    let told = metric("queue_depth", "AWS/SQS", "NumberOfMessagesSent", "Sum");
    assert!(told.starts_with("warning: ") && told.contains("write `kind: load`"), "{told}");
}

#[test]
fn a_utilization_of_what_does_not_fall_with_more_units_is_a_fault() {
    for (namespace, name, statistic, right) in [
        ("AWS/ApplicationELB", "RequestCount", "Sum", "write `kind: load` with `target_per_unit`"),
        ("AWS/NetworkELB", "ActiveFlowCount", "", "write `kind: load` with `target_per_unit`"),
        ("AWS/ApplicationELB", "TargetResponseTime", "", "write `kind: latency`"),
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "", "write `kind: queue_depth`"),
        ("AWS/AutoScaling", "GroupDesiredCapacity", "", "is the capacity itself"),
        ("AWS/EC2", "NetworkIn", "Sum", "write `statistic: Average`"),
        ("AWS/EC2", "CPUUtilization", "Sum", "write `statistic: Average`"),
        ("AWS/ApplicationELB", "RequestCountPerTarget", "", "write `statistic: Sum`"),
        ("AWS/Lambda", "ProvisionedConcurrencyUtilization", "Maximum", "write `target_value` as a share"),
    ] {
        let told = metric("utilization", namespace, name, statistic);
        assert!(told.contains(right), "{namespace} {name} {statistic}: {told}");
    }
    for (namespace, name, statistic) in [
        ("AWS/EC2", "CPUUtilization", ""),
        ("AWS/EC2", "NetworkIn", "Average"),
        ("AWS/ApplicationELB", "RequestCountPerTarget", "Sum"),
    ] {
        assert_eq!(metric("utilization", namespace, name, statistic), "fine", "{name}");
    }
    for kind in ["queue_depth", "load"] {
        assert!(
            metric(kind, "AWS/EC2", "CPUUtilization", "").contains("write `kind: utilization`"),
            "{kind}"
        );
    }
    assert_eq!(metric("latency", "AWS/EC2", "CPUUtilization", ""), "fine", "a guard may watch anything");
}

#[test]
fn requests_for_each_target_are_counted_by_the_minute_and_have_no_limit_by_themselves() {
    use crate::platform::{Measure, Rate};
    let text = "configuration_name: shop
scaling_groups:
  web:
    resources:
      - {type: ECS_SERVICE, name: web, min_capacity: 1, max_capacity: 9, metrics: [{name: requests, kind: utilization,
         target_value: 40, namespace: AWS/ApplicationELB, metric_name: RequestCountPerTarget, statistic: Sum}]}
";
    let platform = parse(text).unwrap().platform;
    let metric = &platform.groups[0].resources[0].dimensions[0].metrics[0];
    assert_eq!(metric.query.as_ref().unwrap().rate, Rate::PerMinute);
    assert_eq!(metric.measure, Measure::Utilization { target: 40.0, limit: f64::INFINITY });
}

const ACCOUNT: &str = "eu-central-1:123456789012";

#[test]
fn an_arn_where_a_name_belongs_is_a_fault_in_every_field() {
    let text = format!(
        "configuration_name: shop
scaling_groups:
  web:
    resources:
      - {{type: EC2_AUTO_SCALING_GROUP, name: 'arn:aws:autoscaling:{ACCOUNT}:autoScalingGroup:9-4:autoScalingGroupName/web-asg', min_capacity: 1, max_capacity: 2}}
      - {{type: ECS_SERVICE, name: 'arn:aws:ecs:{ACCOUNT}:service/prod/api', cluster: 'arn:aws:ecs:{ACCOUNT}:cluster/prod', min_capacity: 1, max_capacity: 2}}
      - {{type: EKS_NODE_GROUP, name: 'arn:aws:eks:{ACCOUNT}:nodegroup/prod/workers/88', cluster: 'arn:aws:eks:{ACCOUNT}:cluster/prod', min_capacity: 1, max_capacity: 2}}
      - type: DYNAMODB_TABLE
        name: arn:aws:dynamodb:{ACCOUNT}:table/users
        read_capacity: {{min: 1, max: 2}}
        indexes: {{'arn:aws:dynamodb:{ACCOUNT}:table/users/index/by-email': {{read_capacity: {{min: 1, max: 2}}}}}}
      - {{type: AURORA_SERVERLESS, name: 'arn:aws:rds:{ACCOUNT}:cluster:orders', min_capacity: 1, max_capacity: 2}}
      - {{type: RDS_STORAGE, name: 'arn:aws:rds:{ACCOUNT}:db:orders-1', min_capacity: 1, max_capacity: 2}}
      - {{type: ELASTICACHE_REPLICATION_GROUP, name: 'arn:aws:elasticache:{ACCOUNT}:replicationgroup:sessions', replicas: {{min: 1, max: 2}}}}
      - {{type: LAMBDA_FUNCTION, name: 'arn:aws:lambda:{ACCOUNT}:function:f:live', qualifier: 'arn:aws:lambda:{ACCOUNT}:function:f:live', provisioned_concurrency: {{min: 1, max: 2}}}}
      - {{type: KINESIS_STREAM, name: 'arn:aws:kinesis:{ACCOUNT}:stream/clicks', min_capacity: 1, max_capacity: 2}}
      - {{type: SAGEMAKER_ENDPOINT, name: 'arn:aws:sagemaker:{ACCOUNT}:endpoint/rank', min_capacity: 1, max_capacity: 2}}
      - {{type: API_GATEWAY_STAGE, name: 'arn:aws:apigateway:eu-central-1::/restapis/a1b2/stages/prod', stage: 'arn:aws:apigateway:eu-central-1::/restapis/a1b2/stages/prod', min_capacity: 1, max_capacity: 2}}
      - {{type: SCALABLE_TARGET, name: k, service_namespace: cassandra, resource_id: 'arn:aws:cassandra:{ACCOUNT}:/keyspace/k', scalable_dimension: d, min_capacity: 1, max_capacity: 2}}
      - {{type: SCALABLE_TARGET, name: m, service_namespace: kafka, resource_id: 'arn:aws:kafka:{ACCOUNT}:cluster/c/1', scalable_dimension: d, min_capacity: 1, max_capacity: 2}}
orchestration:
  health_checks: [{{resource: web, check_type: alarm, alarm_name: 'arn:aws:cloudwatch:{ACCOUNT}:alarm:shop slow'}}]
monitoring: {{notify: 'arn:aws:sqs:{ACCOUNT}:jobs'}}
"
    );
    let faults = parse(&text).unwrap_err().0;
    let told: Vec<String> = faults
        .iter()
        .map(|fault| {
            let part = fault.sentence.split('`').nth(1).unwrap_or("no part");
            format!("{} -> {part}", fault.path.trim_start_matches("scaling_groups.web.resources"))
        })
        .collect();
    expect_test::expect![[r#"
        [0].name -> web-asg
        [1].name -> api
        [1].cluster -> prod
        [2].name -> workers
        [2].cluster -> prod
        [3].name -> users
        [3].indexes.arn:aws:dynamodb:eu-central-1:123456789012:table/users/index/by-email -> by-email
        [4].name -> orders
        [5].name -> orders-1
        [6].name -> sessions
        [7].name -> f
        [7].qualifier -> live
        [8].name -> clicks
        [9].name -> rank
        [10].name -> a1b2
        [10].stage -> prod
        [11].resource_id -> keyspace/shop/table/orders
        orchestration.health_checks[0].alarm_name -> shop slow
        monitoring.notify -> arn:aws:sqs:eu-central-1:123456789012:jobs"#]]
    .assert_eq(&told.join("\n"));
}

#[test]
fn an_arn_in_a_dimension_is_a_fault_that_shows_its_part() {
    let dimension = |namespace: &str, dimensions: &str| {
        told(&format!(
            "kind: latency, target_value: 1, namespace: {namespace}, metric_name: M, dimensions: {{{dimensions}}}"
        ))
    };
    let elb = format!("arn:aws:elasticloadbalancing:{ACCOUNT}");
    for (namespace, dimensions, part) in [
        ("AWS/ApplicationELB", format!("LoadBalancer: '{elb}:loadbalancer/app/shop/50dc'"), "app/shop/50dc"),
        ("AWS/NetworkELB", format!("LoadBalancer: '{elb}:loadbalancer/net/shop/50dc'"), "net/shop/50dc"),
        ("AWS/ApplicationELB", "LoadBalancer: loadbalancer/app/shop/50dc".to_owned(), "app/shop/50dc"),
        ("AWS/ApplicationELB", format!("TargetGroup: '{elb}:targetgroup/t/73e2'"), "targetgroup/t/73e2"),
        ("AWS/ECS", format!("ServiceName: 'arn:aws:ecs:{ACCOUNT}:service/prod/api'"), "api"),
        ("AWS/ECS", format!("ClusterName: 'arn:aws:ecs:{ACCOUNT}:cluster/prod'"), "prod"),
        ("ContainerInsights", format!("ClusterName: 'arn:aws:eks:{ACCOUNT}:cluster/prod'"), "prod"),
        ("AWS/DynamoDB", format!("TableName: 'arn:aws-cn:dynamodb:{ACCOUNT}:table/users'"), "users"),
        (
            "AWS/SQS",
            "QueueName: 'https://sqs.eu-central-1.amazonaws.com/123456789012/jobs'".to_owned(),
            "jobs",
        ),
        ("AWS/Lambda", format!("FunctionName: 'arn:aws:lambda:{ACCOUNT}:function:f'"), "f"),
    ] {
        let told = dimension(namespace, &dimensions);
        assert!(told.contains(&format!("write `{part}`")), "{dimensions}: {told}");
    }
    assert!(
        dimension("AWS/ApplicationELB", "LoadBalancer: shop")
            .contains("warning: must read like `app/NAME/ID`")
    );
    let model = format!("ModelId: 'arn:aws:bedrock:{ACCOUNT}:provisioned-model/m'");
    assert!(dimension("AWS/Bedrock", &model).starts_with("warning: is an ARN"));
    for (namespace, dimensions) in [
        ("AWS/ApplicationELB", "LoadBalancer: app/shop/50dc, TargetGroup: targetgroup/t/73e2"),
        ("AWS/States", "StateMachineArn: 'arn:aws:states:eu-central-1:123456789012:stateMachine:s'"),
        ("Shop", "ServiceName: 'arn:aws:ecs:eu-central-1:123456789012:service/prod/api'"),
    ] {
        assert_eq!(dimension(namespace, dimensions), "fine", "{dimensions}");
    }
}

#[test]
fn only_what_stands_behind_a_load_balancer_is_measured_there() {
    let lines = |resource: &str| -> Vec<String> {
        let text =
            format!("configuration_name: shop\nscaling_groups: {{web: {{resources: [{resource}]}}}}\n");
        let platform = parse(&text).unwrap().platform;
        let metrics = platform.dimensions().flat_map(|place| place.dimension.metrics.clone());
        metrics.map(|metric| metric.query.map_or("offline".to_owned(), |query| query.line())).collect()
    };
    let requests = "{name: requests, kind: load, target_per_unit: 600}";
    let service = |metric: &str| {
        format!("{{type: ECS_SERVICE, name: api, min_capacity: 1, max_capacity: 9, metrics: [{metric}]}}")
    };
    let front = "AWS/ApplicationELB RequestCount target groups of api Sum";
    assert_eq!(lines(&service(requests)), [front]);
    let named =
        "{name: r, kind: load, target_per_unit: 6, namespace: AWS/ApplicationELB, metric_name: RequestCount";
    assert_eq!(lines(&service(&format!("{named}}}"))), [front]);
    let own = format!("{named}, dimensions: {{LoadBalancer: app/a/1}}}}");
    assert_eq!(lines(&service(&own)), ["AWS/ApplicationELB RequestCount LoadBalancer=app/a/1 Sum"]);
    assert_eq!(lines(&service("{name: orders, kind: load, target_per_unit: 600}")), ["offline"]);
    let stream = format!(
        "{{type: KINESIS_STREAM, name: clicks, min_capacity: 1, max_capacity: 9, metrics: [{requests}]}}"
    );
    assert_eq!(lines(&stream), ["offline"]);
}
