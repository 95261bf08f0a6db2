//! RDS and Aurora: what their kinds share. Each kind has a file.

pub(super) mod aurora_replicas;
pub(super) mod read_replicas;
mod readers;
pub(super) mod serverless;
pub(super) mod storage;

use std::collections::BTreeMap;

use aws_sdk_rds::Client;
use aws_sdk_rds::types::{DbCluster, DbInstance, Filter};
use headroom_core::platform::{Query, Rate};
use jiff::{SignedDuration, Timestamp};

use super::Target;
use crate::error::{AwsError, ErrorKind};
use crate::metrics::{CloudWatch, Metrics as _, Window};
use crate::sdk::Aws;

/// What RDS calls a cluster or an instance that can be changed.
const AVAILABLE: &str = "available";
/// RDS describes so many in one page, and so many are asked for by name in one call.
const PAGE: i32 = 100;
const NAMES_MAX: usize = 100;
/// A cluster or an instance has fifteen readers at most.
const PAGES_MAX: usize = 16;
/// What is told now is the newest point of so many minutes: points come up to three minutes late.
const NEWEST: SignedDuration = SignedDuration::from_mins(5);

/// RDS, the metrics that tell what it does by itself, and the floors of readers.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    pub(super) rds: Client,
    pub(super) metrics: CloudWatch,
    pub(super) targets: aws_sdk_applicationautoscaling::Client,
}

impl Clients {
    pub(super) fn new(aws: &Aws) -> Clients {
        let metrics = CloudWatch::new(&aws.cloudwatch(), &aws.meter);
        Clients { rds: aws.rds(), metrics, targets: aws.application() }
    }
}

/// Clusters by name. What is not there does not exist.
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

/// The instances by a filter: `db-instance-id`, or `db-cluster-id` for those of clusters.
async fn instances(client: &Client, by: &str, names: &[String]) -> Result<Vec<DbInstance>, AwsError> {
    let mut found = Vec::new();
    for names in names.chunks(NAMES_MAX) {
        found.extend(some_instances(client, by, names).await?);
    }
    Ok(found)
}

async fn some_instances(client: &Client, by: &str, names: &[String]) -> Result<Vec<DbInstance>, AwsError> {
    let mut found = Vec::new();
    let mut next = None;
    for _ in 0..PAGES_MAX {
        let answer = client
            .describe_db_instances()
            .filters(filter(by, names))
            .max_records(PAGE)
            .set_marker(next)
            .send()
            .await
            .map_err(|error| AwsError::of(error, "describe DB instances"))?;
        found.extend(answer.db_instances.unwrap_or_default());
        next = answer.marker.filter(|marker| !marker.is_empty());
        if next.is_none() {
            return Ok(found);
        }
    }
    Err(AwsError::new(ErrorKind::Limit, "describe DB instances", format!("more than {PAGES_MAX} pages")))
}

fn filter(name: &str, values: &[String]) -> Filter {
    Filter::builder().name(name).set_values(Some(values.to_vec())).build()
}

/// The names of some resources.
fn names(targets: &[Target<'_>]) -> Vec<String> {
    targets.iter().map(|target| target.resource.name.clone()).collect()
}

/// A level that RDS publishes of a cluster or an instance.
fn level(metric_name: &str, (dimension, name): (&str, &str), statistic: &str) -> Query {
    Query {
        namespace: "AWS/RDS".to_owned(),
        metric_name: metric_name.to_owned(),
        dimensions: BTreeMap::from([(dimension.to_owned(), name.to_owned())]),
        statistic: statistic.to_owned(),
        rate: Rate::Level,
        period_s: Query::MINUTE_S,
        missing_is_zero: false,
        is_rare: false,
        in_front_of: None,
    }
}

/// The newest value of each query, as far as CloudWatch tells. Where it does not, nothing else is lost.
async fn newest(metrics: &CloudWatch, queries: &[Query], now: Timestamp) -> Vec<Option<f64>> {
    if queries.is_empty() {
        return Vec::new();
    }
    let from = now.saturating_sub(NEWEST).unwrap_or(now);
    match metrics.read(queries, Window { from, to: now, period_s: Query::MINUTE_S }).await {
        Ok(answers) => answers.iter().map(|answer| Some(answer.points.last()?.1)).collect(),
        Err(error) => {
            tracing::warn!(%error, "Metrics of RDS are not known");
            vec![None; queries.len()]
        }
    }
}

#[cfg(test)]
mod reader_tests;
#[cfg(test)]
mod serverless_tests;
#[cfg(test)]
mod storage_tests;
#[cfg(test)]
mod testing;
