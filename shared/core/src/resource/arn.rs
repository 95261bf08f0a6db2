//! ARNs that stand where a name belongs. CloudWatch's dimensions and most calls want the name, and with an ARN they find
//! nothing, which looks like silence.

/// What is named, and so which part of an ARN is its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Alarm,
    Api,
    ApiStage,
    AutoScalingGroup,
    CacheCluster,
    ClassicLoadBalancer,
    DbCluster,
    DbInstance,
    EcsCluster,
    EcsService,
    EksCluster,
    EksNodeGroup,
    Endpoint,
    Function,
    /// The function with its alias or version.
    FunctionResource,
    Index,
    Instance,
    LoadBalancer,
    Qualifier,
    Queue,
    ReplicationGroup,
    Stream,
    Table,
    TargetGroup,
    Topic,
}

impl Named {
    /// What a dimension of CloudWatch names; `None` where it is not known.
    pub(crate) fn of_dimension(namespace: &str, dimension: &str) -> Option<Named> {
        Some(match (namespace, dimension) {
            ("ContainerInsights", "ClusterName") => Named::EksCluster,
            ("AWS/Lambda", "Resource") => Named::FunctionResource,
            (_, "ApiId") => Named::Api,
            ("AWS/ApiGateway", "Stage") => Named::ApiStage,
            (_, "AutoScalingGroupName") => Named::AutoScalingGroup,
            (_, "CacheClusterId") => Named::CacheCluster,
            (_, "ClusterName") => Named::EcsCluster,
            (_, "DBClusterIdentifier") => Named::DbCluster,
            (_, "DBInstanceIdentifier") => Named::DbInstance,
            (_, "EndpointName") => Named::Endpoint,
            (_, "FunctionName") => Named::Function,
            (_, "GlobalSecondaryIndexName") => Named::Index,
            (_, "InstanceId") => Named::Instance,
            (_, "LoadBalancer") => Named::LoadBalancer,
            (_, "LoadBalancerName") => Named::ClassicLoadBalancer,
            (_, "QueueName") => Named::Queue,
            (_, "ReplicationGroupId") => Named::ReplicationGroup,
            (_, "ServiceName") => Named::EcsService,
            (_, "StreamName") => Named::Stream,
            (_, "TableName") => Named::Table,
            (_, "TargetGroup") => Named::TargetGroup,
            (_, "TopicName") => Named::Topic,
            _ => return None,
        })
    }

    fn called(self) -> &'static str {
        match self {
            Named::Alarm => "the name of the alarm",
            Named::Api => "the id of the API",
            Named::ApiStage => "the name of the stage",
            Named::AutoScalingGroup => "the name of the Auto Scaling group",
            Named::CacheCluster => "the id of the cache cluster",
            Named::ClassicLoadBalancer => "the name of the load balancer",
            Named::DbCluster => "the identifier of the DB cluster",
            Named::DbInstance => "the identifier of the DB instance",
            Named::EcsCluster | Named::EksCluster => "the name of the cluster",
            Named::EcsService => "the name of the service",
            Named::EksNodeGroup => "the name of the node group",
            Named::Endpoint => "the name of the endpoint",
            Named::Function => "the name of the function",
            Named::FunctionResource => "the function's name with its alias or version, such as `orders:live`",
            Named::Index => "the name of the index",
            Named::Instance => "the id of the instance",
            Named::LoadBalancer => "the end of the load balancer's ARN, such as `app/shop/50dc6c495c0c9188`",
            Named::Qualifier => "the alias or version",
            Named::Queue => "the name of the queue",
            Named::ReplicationGroup => "the id of the replication group",
            Named::Stream => "the name of the stream",
            Named::Table => "the name of the table",
            Named::TargetGroup => {
                "the end of the target group's ARN, such as `targetgroup/shop/73e2d6bc24d8a067`"
            }
            Named::Topic => "the name of the topic",
        }
    }

    /// The part of a resource's ARN that is its name.
    fn part<'a>(self, arn: &Arn<'a>) -> Option<&'a str> {
        let segment = |text: &'a str, index: usize| text.split('/').nth(index);
        let found = match self {
            Named::Alarm => arn.after("cloudwatch", "alarm:"),
            Named::Api => arn.api().and_then(|path| segment(path, 0)),
            Named::ApiStage => arn.api().and_then(|path| path.split_once("/stages/")).map(|(_, stage)| stage),
            Named::AutoScalingGroup => arn
                .after("autoscaling", "autoScalingGroup:")
                .and_then(|rest| rest.split_once("autoScalingGroupName/"))
                .map(|(_, name)| name),
            Named::CacheCluster => arn.after("elasticache", "cluster:"),
            Named::ClassicLoadBalancer => {
                arn.after("elasticloadbalancing", "loadbalancer/").filter(|name| !name.contains('/'))
            }
            Named::DbCluster => arn.after("rds", "cluster:"),
            Named::DbInstance => arn.after("rds", "db:"),
            Named::EcsCluster => arn.after("ecs", "cluster/").or_else(|| {
                let of_service = arn.after("ecs", "service/").and_then(|path| path.split_once('/'));
                of_service.map(|(cluster, _)| cluster)
            }),
            Named::EcsService => arn.after("ecs", "service/").and_then(|path| path.rsplit('/').next()),
            Named::EksCluster => {
                let of_node_group = || arn.after("eks", "nodegroup/").and_then(|path| segment(path, 0));
                arn.after("eks", "cluster/").or_else(of_node_group)
            }
            Named::EksNodeGroup => arn.after("eks", "nodegroup/").and_then(|path| segment(path, 1)),
            Named::Endpoint => arn.after("sagemaker", "endpoint/"),
            Named::Function => arn.after("lambda", "function:").and_then(|rest| rest.split(':').next()),
            Named::FunctionResource => arn.after("lambda", "function:"),
            Named::Index => arn
                .after("dynamodb", "table/")
                .and_then(|path| path.split_once("/index/"))
                .map(|(_, index)| index),
            Named::Instance => arn.after("ec2", "instance/"),
            Named::LoadBalancer => {
                arn.after("elasticloadbalancing", "loadbalancer/").filter(|name| name.contains('/'))
            }
            Named::Qualifier => arn.after("lambda", "function:").and_then(|rest| rest.split(':').nth(1)),
            Named::Queue => arn.after("sqs", ""),
            Named::ReplicationGroup => arn.after("elasticache", "replicationgroup:"),
            Named::Stream => arn.after("kinesis", "stream/").and_then(|path| segment(path, 0)),
            Named::Table => arn.after("dynamodb", "table/").and_then(|path| segment(path, 0)),
            Named::TargetGroup => arn.after("elasticloadbalancing", "targetgroup/").map(|_| arn.resource),
            Named::Topic => arn.after("sns", "").and_then(|rest| rest.split(':').next()),
        };
        found.filter(|name| !name.is_empty())
    }

    /// What else is written where this belongs, and finds as little as an ARN: addresses, and ends of ARNs cut too early.
    fn cut(self, text: &str) -> Option<&str> {
        match self {
            Named::LoadBalancer => text.strip_prefix("loadbalancer/"),
            Named::Queue if text.starts_with("https://") => text.rsplit('/').next(),
            _ => None,
        }
    }
}

/// The parts of an ARN that say what it names.
pub(crate) struct Arn<'a> {
    pub(crate) service: &'a str,
    pub(crate) resource: &'a str,
}

impl<'a> Arn<'a> {
    /// Reads `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`; `None` for anything else.
    pub(crate) fn read(text: &'a str) -> Option<Arn<'a>> {
        let mut parts = text.trim().splitn(6, ':');
        let is_arn =
            parts.next() == Some("arn") && parts.next().is_some_and(|partition| partition.starts_with("aws"));
        let service = parts.next().filter(|_| is_arn)?;
        Some(Arn { service, resource: parts.nth(2)? })
    }

    fn after(&self, service: &str, prefix: &str) -> Option<&'a str> {
        (self.service == service).then(|| self.resource.strip_prefix(prefix)).flatten()
    }

    /// What comes after `/restapis/` or `/apis/`.
    fn api(&self) -> Option<&'a str> {
        self.after("apigateway", "/restapis/").or_else(|| self.after("apigateway", "/apis/"))
    }
}

/// What is wrong with a text that should be a name and is an ARN or an address: which part of it to write.
pub(crate) fn misplaced(named: Named, text: &str) -> Option<String> {
    let called = named.called();
    if let Some(arn) = Arn::read(text) {
        return Some(match named.part(&arn) {
            Some(part) => format!("is an ARN, which finds nothing here; write `{part}`, {called}"),
            None => format!("is an ARN, and of something else; write {called}"),
        });
    }
    let part = named.cut(text).filter(|part| !part.is_empty())?;
    Some(format!("finds nothing as `{text}`; write `{part}`, {called}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_very_part_of_an_arn_is_named() {
        let check = |named: Named, resource: &str, part: &str| {
            let (service, resource) = resource.split_once(' ').unwrap();
            for partition in ["aws", "aws-cn", "aws-us-gov"] {
                let arn = format!("arn:{partition}:{service}:eu-central-1:123456789012:{resource}");
                let sentence = misplaced(named, &arn).unwrap();
                assert!(sentence.contains(&format!("write `{part}`, ")), "{arn}: {sentence}");
            }
        };
        check(Named::Alarm, "cloudwatch alarm:shop slow", "shop slow");
        check(Named::Api, "apigateway /restapis/a1b2c3/stages/prod", "a1b2c3");
        check(Named::Api, "apigateway /apis/a1b2c3", "a1b2c3");
        check(Named::ApiStage, "apigateway /restapis/a1b2c3/stages/prod", "prod");
        let group =
            "autoscaling autoScalingGroup:930d940e-891e-4781-a11a-7b0acd480f03:autoScalingGroupName/web-asg";
        check(Named::AutoScalingGroup, group, "web-asg");
        check(Named::CacheCluster, "elasticache cluster:sessions-001", "sessions-001");
        check(Named::ClassicLoadBalancer, "elasticloadbalancing loadbalancer/shop", "shop");
        check(Named::DbCluster, "rds cluster:orders", "orders");
        check(Named::DbInstance, "rds db:orders-1", "orders-1");
        check(Named::EcsCluster, "ecs cluster/prod", "prod");
        check(Named::EcsCluster, "ecs service/prod/api", "prod");
        check(Named::EcsService, "ecs service/prod/api", "api");
        check(Named::EcsService, "ecs service/api", "api");
        check(Named::EksCluster, "eks cluster/prod", "prod");
        check(Named::EksCluster, "eks nodegroup/prod/workers/88bd", "prod");
        check(Named::EksNodeGroup, "eks nodegroup/prod/workers/88bd", "workers");
        check(Named::Endpoint, "sagemaker endpoint/rank", "rank");
        check(Named::Function, "lambda function:orders:live", "orders");
        check(Named::FunctionResource, "lambda function:orders:live", "orders:live");
        check(Named::Index, "dynamodb table/users/index/by-email", "by-email");
        check(Named::Instance, "ec2 instance/i-0123", "i-0123");
        check(
            Named::LoadBalancer,
            "elasticloadbalancing loadbalancer/app/shop/50dc6c495c0c9188",
            "app/shop/50dc6c495c0c9188",
        );
        check(Named::Qualifier, "lambda function:orders:live", "live");
        check(Named::Queue, "sqs jobs", "jobs");
        check(Named::ReplicationGroup, "elasticache replicationgroup:sessions", "sessions");
        check(Named::Stream, "kinesis stream/clicks", "clicks");
        check(Named::Table, "dynamodb table/users", "users");
        check(Named::Table, "dynamodb table/users/index/by-email", "users");
        check(
            Named::TargetGroup,
            "elasticloadbalancing targetgroup/shop/73e2d6bc24d8a067",
            "targetgroup/shop/73e2d6bc24d8a067",
        );
        check(Named::Topic, "sns shop", "shop");
    }

    #[test]
    fn names_are_left_alone_and_arns_of_something_else_have_no_part() {
        for name in ["web-asg", "arn", "arn:aws", "app/shop/50dc6c495c0c9188", "orders:live", ""] {
            assert_eq!(misplaced(Named::LoadBalancer, name), None, "{name}");
        }
        assert_eq!(
            misplaced(Named::EcsService, "arn:aws:ecs:eu-central-1:123456789012:cluster/prod").unwrap(),
            "is an ARN, and of something else; write the name of the service"
        );
        assert_eq!(
            misplaced(Named::Queue, "https://sqs.eu-central-1.amazonaws.com/123456789012/jobs").unwrap(),
            "finds nothing as `https://sqs.eu-central-1.amazonaws.com/123456789012/jobs`; write `jobs`, the name of the queue"
        );
        assert!(
            misplaced(Named::LoadBalancer, "loadbalancer/app/shop/1").unwrap().contains("write `app/shop/1`")
        );
    }
}
