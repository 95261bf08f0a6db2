//! Target tracking policies of AWS under our floors: what a file means for them, and what differs from what AWS has.
//!
//! Headroom moves a floor ahead of the load; a policy of AWS above it answers what no forecast saw. Both go by the same metric and
//! target.

use std::fmt::{Display, Formatter};

use crate::name::{DimensionKey, PlatformName};
use crate::platform::{Metric, Mode, Place, Platform};
use crate::resource::{Adapter, ScalableTargetId, TrackedMetric};
use crate::units::Bounds;

/// A target tracking policy of AWS on a dimension.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetTracking {
    /// Of which dimension.
    pub key: DimensionKey,
    /// What the policy scales.
    pub on: ScaledBy,
    /// The policy's name. Policies have no tags, so the name says that it is ours.
    pub name: String,
    /// AWS's name of the metric, such as `ASGAverageCPUUtilization`.
    pub metric: &'static str,
    /// What AWS keeps it at, in the metric's own unit.
    pub target: f64,
    /// Bounds for what Application Auto Scaling does not know yet.
    pub bounds: Bounds,
}

/// Where a policy is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScaledBy {
    /// In EC2 Auto Scaling, on the group of this name.
    Group(String),
    /// In Application Auto Scaling.
    Target(ScalableTargetId),
}

/// A policy that AWS has.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// The predefined metric and the target, of target tracking by one.
    pub tracks: Option<(String, f64)>,
}

/// What stands on a dimension, beside what the file means.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drift {
    /// Whether the policy has to be put: it is not there, or other than the file means.
    pub to_put: bool,
    /// What our policy is at now, where it differs.
    pub was: Option<(String, f64)>,
    /// Policies of this platform that the file no longer means.
    pub to_remove: Vec<String>,
    /// Policies of others on the same capacity, which are never touched.
    pub others: Vec<String>,
}

impl Drift {
    /// Whether AWS has what the file means, as far as it is ours.
    pub fn is_none(&self) -> bool {
        !self.to_put && self.to_remove.is_empty()
    }
}

/// Why a dimension has no policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// Headroom owns the capacity, and a policy would fight with it.
    Desired,
    /// AWS has no policy by any of its metrics.
    NotTracked,
}

impl Display for LeftOut {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            LeftOut::Desired => {
                "its mode is `desired`: Headroom owns the capacity, and a policy would fight with it"
            }
            LeftOut::NotTracked => "AWS has no predefined metric for what it is measured by",
        })
    }
}

/// The policy that a file means for each dimension which AWS can scale, or why there is none.
pub fn wanted(platform: &Platform) -> Vec<(DimensionKey, Result<TargetTracking, LeftOut>)> {
    let scaled = platform.dimensions().filter_map(|place| Some((place, scaled_by(place)?)));
    scaled.map(|(place, on)| (place.dimension.key.clone(), policy(platform, place, on))).collect()
}

/// Who of AWS scales a dimension; `None` where nobody does.
fn scaled_by(place: Place<'_>) -> Option<ScaledBy> {
    let (resource, facts) = (place.resource, &place.dimension.facts);
    match (&resource.adapter, &facts.scalable_target) {
        (Some(Adapter::AutoScalingGroup), _) if !place.dimension.stands_by() => {
            Some(ScaledBy::Group(resource.name.clone()))
        }
        (Some(_), Some(target)) => Some(ScaledBy::Target(target.clone())),
        _ => None,
    }
}

/// Where the policies of a dimension are kept; `None` where AWS does not scale it.
pub fn found_on(platform: &Platform, key: &DimensionKey) -> Option<ScaledBy> {
    scaled_by(platform.place(key)?)
}

fn policy(platform: &Platform, place: Place<'_>, on: ScaledBy) -> Result<TargetTracking, LeftOut> {
    if place.resource.mode == Some(Mode::Desired) {
        return Err(LeftOut::Desired);
    }
    let metrics = place.dimension.metrics.iter();
    let mut tracked = metrics.filter_map(|metric| Some((metric, tracked(place, metric)?)));
    let (metric, tracked) = tracked.next().ok_or(LeftOut::NotTracked)?;
    let target = metric.measure.target_per_unit().ok_or(LeftOut::NotTracked)? * tracked.times;
    Ok(TargetTracking {
        key: place.dimension.key.clone(),
        on,
        name: format!("{}{}", prefix(&platform.name), metric.name),
        metric: tracked.predefined,
        // Binary fractions of percents are no part of what was meant.
        target: (target * 1e6).round() / 1e6,
        bounds: place.dimension.bounds,
    })
}

/// What AWS calls a metric, where it has a predefined one of the whole resource.
fn tracked(place: Place<'_>, metric: &Metric) -> Option<&'static TrackedMetric> {
    let query = metric.query.as_ref()?;
    place
        .dimension
        .facts
        .tracked
        .iter()
        .find(|tracked| tracked.metric == (&query.namespace, &query.metric_name))
}

/// How the names of a platform's policies begin. No platform has a slash in its name, so no two begin alike.
fn prefix(platform: &PlatformName) -> String {
    format!("headroom/{platform}/")
}

/// What AWS has on a dimension, beside the policy that is wanted there, if one is.
pub fn drift(platform: &PlatformName, wanted: Option<&TargetTracking>, found: &[Found]) -> Drift {
    let is_wanted = |found: &&Found| wanted.is_some_and(|wanted| wanted.name == found.name);
    let ours = found.iter().find(is_wanted);
    let as_wanted = |wanted: &TargetTracking| Some((wanted.metric.to_owned(), wanted.target));
    let to_put = wanted.is_some_and(|wanted| ours.is_none_or(|ours| ours.tracks != as_wanted(wanted)));
    let rest = || found.iter().filter(|found| !is_wanted(found)).map(|found| found.name.clone());
    let is_ours = |name: &String| name.starts_with(&prefix(platform));
    Drift {
        to_put,
        was: ours.filter(|_| to_put).and_then(|ours| ours.tracks.clone()),
        to_remove: rest().filter(is_ours).collect(),
        others: rest().filter(|name| !is_ours(name)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    const SHOP: &str = "configuration_name: shop
scaling_groups:
  web: {resources: [{type: EC2_AUTO_SCALING_GROUP, name: web, min_capacity: 2, max_capacity: 20, target_cpu_utilization: 55,
    warm_pool: {min: 0, max: 4}}]}
  app:
    resources:
      - {type: ECS_SERVICE, name: api, cluster: main, min_capacity: 2, max_capacity: 9, target_memory_utilization: 65}
      - {type: ECS_SERVICE, name: own, cluster: main, min_capacity: 2, max_capacity: 9, mode: desired}
      - {type: ECS_SERVICE, name: jobs, min_capacity: 2, max_capacity: 9, mode: floor,
         metrics: [{name: cpu, kind: load, target_per_unit: 5, namespace: Jobs, dimensions: {Queue: a}}]}
      - {type: LAMBDA_FUNCTION, name: pay, qualifier: live, provisioned_concurrency: {min: 1, max: 50}}
      - {type: KINESIS_STREAM, name: clicks, min_capacity: 1, max_capacity: 9}
  cache: {resources: [{type: ELASTICACHE_REPLICATION_GROUP, name: sessions, replicas: {min: 1, max: 3},
    shards: {min: 1, max: 9}}]}
  data: {resources: [{type: DYNAMODB_TABLE, name: users, read_capacity: {min: 5, max: 90, target_utilization: 60}}]}
";

    #[test]
    fn every_dimension_that_aws_can_scale_has_its_policy_or_a_reason() {
        let platform = parse(SHOP).unwrap().platform;
        let told = |(key, policy): (DimensionKey, Result<TargetTracking, LeftOut>)| match policy {
            Ok(policy) => format!("{key}: {} {} {}", policy.name, policy.metric, policy.target),
            Err(why) => format!("{key}: {why:?}"),
        };
        assert_eq!(
            wanted(&platform).into_iter().map(told).collect::<Vec<_>>(),
            [
                "api/desired: headroom/shop/memory ECSServiceAverageMemoryUtilization 65",
                "own/desired: Desired",
                "jobs/desired: NotTracked",
                "pay/provisioned: headroom/shop/concurrency LambdaProvisionedConcurrencyUtilization 0.7",
                "sessions/replicas: headroom/shop/cpu ElastiCacheReplicaEngineCPUUtilization 70",
                "sessions/shards: headroom/shop/cpu ElastiCachePrimaryEngineCPUUtilization 70",
                "users/read: headroom/shop/consumed DynamoDBReadCapacityUtilization 60",
                "web/desired: headroom/shop/cpu ASGAverageCPUUtilization 55",
            ]
        );
    }

    #[test]
    fn what_differs_is_put_what_is_no_longer_meant_goes_and_what_others_made_stays() {
        let platform = parse(SHOP).unwrap().platform;
        let web = wanted(&platform).pop().unwrap().1.unwrap();
        let found = |name: &str, tracks: Option<(&str, f64)>| Found {
            name: name.to_owned(),
            tracks: tracks.map(|(metric, target)| (metric.to_owned(), target)),
        };
        let name = &platform.name;
        let told = |wanted: Option<&TargetTracking>, found: &[Found]| drift(name, wanted, found);
        assert_eq!(told(Some(&web), &[]), Drift { to_put: true, ..Drift::default() });
        let same = found("headroom/shop/cpu", Some(("ASGAverageCPUUtilization", 55.0)));
        let others = found("by-hand", None);
        let told_same = told(Some(&web), &[same.clone(), others.clone()]);
        assert_eq!((told_same.is_none(), told_same.others), (true, vec!["by-hand".to_owned()]));
        let other = found("headroom/shop/cpu", Some(("ASGAverageCPUUtilization", 70.0)));
        let was = Some(("ASGAverageCPUUtilization".to_owned(), 70.0));
        assert_eq!(told(Some(&web), &[other]), Drift { to_put: true, was, ..Drift::default() });
        let old = found("headroom/shop/memory", None);
        let gone = told(None, &[same, old, others]);
        assert_eq!(gone.to_remove, ["headroom/shop/cpu", "headroom/shop/memory"]);
        assert_eq!((gone.to_put, gone.others), (false, vec!["by-hand".to_owned()]));
        // Nothing is taken from a platform whose name only begins like ours.
        assert_eq!(told(None, &[found("headroom/shopping/cpu", None)]).to_remove, Vec::<String>::new());
    }
}
