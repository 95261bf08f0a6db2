//! The ARNs of resources, as the Service Authorization Reference has them.

use std::collections::BTreeSet;

use super::Place;
use crate::platform::Resource;
use crate::resource::{Adapter, Readers};

/// What the resources of an adapter are called in the names of statements.
pub(super) fn called(adapter: &Adapter) -> &'static str {
    match adapter {
        Adapter::AuroraReplicas(_) => "AuroraReaders",
        Adapter::AuroraServerless { .. } => "Clusters",
        Adapter::AutoScalingGroup => "Groups",
        Adapter::EcsService { .. } => "Services",
        Adapter::EksNodeGroup { .. } => "NodeGroups",
        Adapter::DynamoDbTable => "Tables",
        Adapter::RdsReadReplicas(_) => "ReadReplicas",
        Adapter::RdsStorage => "Storage",
        Adapter::KinesisStream => "Streams",
        Adapter::LambdaFunction => "Functions",
        Adapter::ReplicationGroup => "Caches",
        Adapter::EndpointVariant { .. } => "Endpoints",
        Adapter::ApiStage { .. } => "Stages",
        Adapter::ScalableTarget => "ScalableTargets",
    }
}

/// The ARNs of a resource; an id that AWS made up is a `*`.
pub(super) fn of(adapter: &Adapter, resource: &Resource, place: &Place) -> Vec<String> {
    let name = &resource.name;
    let of = |service: &str, rest: String| arn(place, service, &rest);
    match adapter {
        Adapter::AutoScalingGroup => {
            vec![of("autoscaling", format!("autoScalingGroup:*:autoScalingGroupName/{name}"))]
        }
        Adapter::EcsService { cluster } => vec![of("ecs", format!("service/{cluster}/{name}"))],
        Adapter::EksNodeGroup { cluster } => vec![of("eks", format!("nodegroup/{cluster}/{name}/*"))],
        Adapter::DynamoDbTable => vec![of("dynamodb", format!("table/{name}"))],
        Adapter::KinesisStream => vec![of("kinesis", format!("stream/{name}"))],
        Adapter::LambdaFunction => {
            let function = of("lambda", format!("function:{name}"));
            let qualified = resource.within.iter().map(|qualifier| format!("{function}:{qualifier}"));
            qualified.chain([function.clone()]).collect()
        }
        Adapter::ReplicationGroup => vec![of("elasticache", format!("replicationgroup:{name}"))],
        Adapter::AuroraReplicas(_) | Adapter::AuroraServerless { .. } => {
            vec![of("rds", format!("cluster:{name}"))]
        }
        Adapter::RdsReadReplicas(_) | Adapter::RdsStorage => vec![of("rds", format!("db:{name}"))],
        Adapter::EndpointVariant { .. } => {
            // SageMaker writes names in ARNs in lower case.
            let both = BTreeSet::from([name.clone(), name.to_lowercase()]);
            both.into_iter().map(|name| of("sagemaker", format!("endpoint/{name}"))).collect()
        }
        Adapter::ApiStage { stage } => {
            vec![of_api_gateway(place, &format!("/restapis/{name}/stages/{stage}"))]
        }
        Adapter::ScalableTarget => Vec::new(),
    }
}

/// The readers that Headroom makes of a database, whatever their numbers. A longer number leaves less of a long name.
pub(super) fn readers(of: &str, place: &Place) -> Vec<String> {
    let names = [1, 10].map(|number| {
        let name = Readers::name(of, number);
        format!("{}*", name.trim_end_matches(|letter: char| letter.is_ascii_digit()))
    });
    BTreeSet::from(names).into_iter().map(|name| arn(place, "rds", &format!("db:{name}"))).collect()
}

/// Every instance of RDS.
pub(super) fn instances(place: &Place) -> String {
    arn(place, "rds", "db:*")
}

/// The groups of options, parameters and subnets.
pub(super) fn groups_of_databases(place: &Place) -> [String; 3] {
    ["og:*", "pg:*", "subgrp:*"].map(|group| arn(place, "rds", group))
}

/// Every scalable target.
pub(super) fn scalable_targets(place: &Place) -> String {
    arn(place, "application-autoscaling", "scalable-target/*")
}

/// The account's own limits of API Gateway.
pub(super) fn account_of_stages(place: &Place) -> String {
    of_api_gateway(place, "/account")
}

fn arn(place: &Place, service: &str, rest: &str) -> String {
    let Place { partition, region, account } = place;
    format!("arn:{partition}:{service}:{region}:{account}:{rest}")
}

/// API Gateway's have no account.
fn of_api_gateway(place: &Place, path: &str) -> String {
    let Place { partition, region, .. } = place;
    format!("arn:{partition}:apigateway:{region}::{path}")
}
