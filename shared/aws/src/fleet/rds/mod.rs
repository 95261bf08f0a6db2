//! RDS and Aurora: what their kinds share. Each kind has a file.

pub(super) mod serverless;

use std::collections::BTreeMap;

use aws_sdk_rds::Client;
use aws_sdk_rds::config::Config;
use aws_sdk_rds::config::retry::RetryConfig;
use aws_sdk_rds::types::{DbCluster, Filter};

use super::{Permissions, Target};
use crate::error::{AwsError, ErrorKind};
use crate::metrics::CloudWatch;
use crate::sdk::Aws;

/// What these adapters call.
pub(super) const PERMISSIONS: Permissions = Permissions {
    see: &["cloudwatch:GetMetricData", "rds:DescribeDBClusters"],
    look: &[],
    find_policies: &[],
    set: &["rds:ModifyDBCluster"],
    judge: &[],
};
/// What RDS calls a cluster or an instance that can be changed.
const AVAILABLE: &str = "available";
/// RDS describes so many in one page, and so many are asked for by name in one call.
const PAGE: i32 = 100;
const NAMES_MAX: usize = 100;
/// More pages than there are names on each.
const PAGES_MAX: usize = 10;

/// RDS, and the metrics that tell what it does by itself.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    pub(super) rds: Client,
    pub(super) metrics: CloudWatch,
}

impl Clients {
    pub(super) fn new(aws: &Aws) -> Clients {
        Clients { rds: aws.rds(), metrics: CloudWatch::new(&aws.cloudwatch(), &aws.meter) }
    }
}

/// The clusters of some resources by name. What is not there does not exist.
type Clusters = BTreeMap<String, DbCluster>;

/// The clusters of some names, or why they cannot be seen.
async fn clusters(client: &Client, names: &[String]) -> Result<Clusters, AwsError> {
    let mut found = Clusters::new();
    let mut next = None;
    for _ in 0..PAGES_MAX {
        let answer = client
            .describe_db_clusters()
            .filters(filter("db-cluster-id", names))
            .max_records(PAGE)
            .set_marker(next)
            .send()
            .await
            .map_err(|error| AwsError::of(error, "describe DB clusters"))?;
        let clusters = answer.db_clusters.unwrap_or_default().into_iter();
        found.extend(clusters.filter_map(|cluster| Some((cluster.db_cluster_identifier.clone()?, cluster))));
        next = answer.marker.filter(|marker| !marker.is_empty());
        if next.is_none() {
            return Ok(found);
        }
    }
    Err(AwsError::new(ErrorKind::Limit, "describe DB clusters", format!("more than {PAGES_MAX} pages")))
}

fn filter(name: &str, values: &[String]) -> Filter {
    Filter::builder().name(name).set_values(Some(values.to_vec())).build()
}

/// The names of some resources, in parts that one call may ask for.
fn names(targets: &[Target<'_>]) -> Vec<Vec<String>> {
    let names: Vec<String> = targets.iter().map(|target| target.resource.name.clone()).collect();
    names.chunks(NAMES_MAX).map(<[String]>::to_vec).collect()
}

/// A call that changes something is sent once: the state machine repeats it after the journal was read.
fn once() -> aws_sdk_rds::config::Builder {
    Config::builder().retry_config(RetryConfig::disabled())
}

#[cfg(test)]
mod serverless_tests;
