//! Names of things in AWS, in every field that holds one: an ARN there is a fault that says which part of it to write.

use super::Build;
use crate::config::path::Path;
use crate::resource::{Arn, Named, Query, misplaced};

/// Reports an ARN or an address where a name belongs.
pub(super) fn check(build: &mut Build<'_>, at: &Path, named: Named, text: &str) {
    if let Some(sentence) = misplaced(named, text) {
        build.fault(at, sentence);
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
