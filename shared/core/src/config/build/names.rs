//! Names of things in AWS, in every field that holds one: an ARN there is a fault that says which part of it to write.

use super::Build;
use crate::config::arn::{Arn, Named, misplaced};
use crate::config::path::Path;
use crate::platform::{Kind, Query};

/// Reports an ARN or an address where a name belongs.
pub(super) fn check(build: &mut Build<'_>, at: &Path, named: Named, text: &str) {
    if let Some(sentence) = misplaced(named, text) {
        build.fault(at, sentence);
    }
}

/// Checks what a resource is called, and what its type names besides.
pub(super) fn resource(build: &mut Build<'_>, at: &Path, name: &str, kind: &Kind) {
    if let Some(named) = of_kind(kind) {
        check(build, &at.key("name"), named, name);
    }
    match kind {
        Kind::EcsService { cluster } => check(build, &at.key("cluster"), Named::EcsCluster, cluster),
        Kind::EksNodeGroup { cluster } => check(build, &at.key("cluster"), Named::EksCluster, cluster),
        Kind::LambdaFunction { qualifier: Some(qualifier) } => {
            check(build, &at.key("qualifier"), Named::Qualifier, qualifier);
        }
        Kind::ApiGatewayStage { stage } => check(build, &at.key("stage"), Named::ApiStage, stage),
        Kind::SageMakerEndpoint { variant } => {
            plain(build, &at.key("variant"), variant, "the variant's name")
        }
        Kind::ScalableTarget { service_namespace, resource_id, scalable_dimension } => {
            let namespace_at = at.key("service_namespace");
            plain(build, &namespace_at, service_namespace, "the namespace, such as `cassandra`");
            plain(build, &at.key("scalable_dimension"), scalable_dimension, "the dimension's name");
            // Application Auto Scaling itself calls these by their ARN.
            if !["comprehend", "kafka"].contains(&service_namespace.as_str()) {
                let wanted =
                    "the id as Application Auto Scaling has it, such as `keyspace/shop/table/orders`";
                plain(build, &at.key("resource_id"), resource_id, wanted);
            }
        }
        _ => (),
    }
}

fn of_kind(kind: &Kind) -> Option<Named> {
    match kind {
        Kind::Ec2AutoScalingGroup => Some(Named::AutoScalingGroup),
        Kind::EcsService { .. } => Some(Named::EcsService),
        Kind::EksNodeGroup { .. } => Some(Named::EksNodeGroup),
        Kind::DynamoDbTable => Some(Named::Table),
        Kind::AuroraServerless | Kind::AuroraReplicas => Some(Named::DbCluster),
        Kind::RdsReadReplicas | Kind::RdsStorage => Some(Named::DbInstance),
        Kind::ElastiCacheReplicationGroup => Some(Named::ReplicationGroup),
        Kind::LambdaFunction { .. } => Some(Named::Function),
        Kind::KinesisStream => Some(Named::Stream),
        Kind::SageMakerEndpoint { .. } => Some(Named::Endpoint),
        Kind::ApiGatewayStage { .. } => Some(Named::Api),
        // What is called here has its id besides, and the name is the operator's own.
        Kind::ScalableTarget { .. } => None,
    }
}

fn plain(build: &mut Build<'_>, at: &Path, text: &str, wanted: &str) {
    if Arn::read(text).is_some() {
        build.fault(at, format!("is an ARN, which finds nothing here; write {wanted}"));
    }
}

/// Checks the dimensions that a metric is read by.
pub(super) fn dimensions(build: &mut Build<'_>, at: &Path, query: &Query) {
    let at = at.key("dimensions");
    for (name, value) in &query.dimensions {
        let at = at.key(name);
        match Named::of_dimension(&query.namespace, name) {
            Some(named) if is_of_aws(&query.namespace) => {
                check(build, &at, named, value);
                whole(build, &at, named, value);
            }
            _ if !is_of_aws(&query.namespace) || name.to_ascii_lowercase().ends_with("arn") => (),
            _ if Arn::read(value).is_some() => {
                build
                    .warn(&at, "is an ARN; most metrics of AWS have a name here, and find nothing by an ARN");
            }
            _ => (),
        }
    }
}

/// Whether a namespace is one of AWS's own, whose dimensions are known. What others publish may be called anything.
fn is_of_aws(namespace: &str) -> bool {
    namespace.starts_with("AWS/")
        || namespace.starts_with("/aws/")
        || ["ECS/ContainerInsights", "ContainerInsights", "CWAgent"].contains(&namespace)
}

/// Load balancers and target groups go by the end of their ARN, and not by their name.
fn whole(build: &mut Build<'_>, at: &Path, named: Named, value: &str) {
    let (starts, form) = match named {
        Named::LoadBalancer => (&["app/", "net/", "gwy/", "loadbalancer/", "arn:"][..], "app/NAME/ID"),
        Named::TargetGroup => (&["targetgroup/", "arn:"][..], "targetgroup/NAME/ID"),
        _ => return,
    };
    if !starts.iter().any(|start| value.starts_with(start)) {
        build.warn(at, format!("must read like `{form}`, the end of its ARN, or it finds nothing"));
    }
}
