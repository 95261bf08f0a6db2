//! Metrics of load balancers: the names that complete their queries are found in AWS, because the file does not say them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{MetricAnswer, MetricRequest};
use crate::name::ResourceId;
use crate::platform::{Measure, Platform, Query, Resource};

/// A target group that a resource is registered with, as CloudWatch names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TargetGroup {
    /// The Application Load Balancer before it, such as `app/web/50dc6c495c0c9188`.
    pub load_balancer: String,
    /// The group, such as `targetgroup/web/73e2d6bc24d8a067`.
    pub name: String,
}

impl TargetGroup {
    /// From the ends of ARNs; `None` for a balancer that is no Application Load Balancer, which counts no requests.
    pub fn of_arns(load_balancer: &str, group: &str) -> Option<TargetGroup> {
        let (_, balancer) = load_balancer.split_once(":loadbalancer/")?;
        let (_, name) = group.rsplit_once(':')?;
        let is_application = balancer.starts_with("app/") && name.starts_with("targetgroup/");
        is_application.then(|| TargetGroup { load_balancer: balancer.to_owned(), name: name.to_owned() })
    }
}

/// The target groups of resources.
pub type TargetGroups = BTreeMap<ResourceId, Vec<TargetGroup>>;

/// The resources whose metrics are measured at their target groups.
pub fn measured_in_front<'a>(platform: &'a Platform, asked: &[MetricRequest<'_>]) -> Vec<&'a Resource> {
    let named: BTreeSet<&ResourceId> =
        asked.iter().filter_map(|asked| asked.query.in_front_of.as_ref()).collect();
    platform
        .resources()
        .map(|(_, resource)| resource)
        .filter(|resource| named.contains(&resource.id))
        .collect()
}

/// A query with all that CloudWatch has to be asked for it: itself, or one query for each target group of its resource.
pub fn completed(query: &Query, groups: &TargetGroups) -> Vec<Query> {
    let Some(resource) = &query.in_front_of else { return vec![query.clone()] };
    let groups = groups.get(resource).map(Vec::as_slice).unwrap_or_default();
    groups.iter().map(|group| of_group(query, group)).collect()
}

fn of_group(query: &Query, group: &TargetGroup) -> Query {
    let names = [("LoadBalancer", &group.load_balancer), ("TargetGroup", &group.name)];
    let dimensions = names.into_iter().map(|(name, value)| (name.to_owned(), value.clone())).collect();
    Query { dimensions, in_front_of: None, ..query.clone() }
}

/// The answers for the target groups of a resource as one: counts add up, and of levels the largest counts. Without any there is
/// no answer, which is not the same as nothing. Nor is there one while a part of it is missing: the rest would pass for all.
pub fn joined(query: &Query, answers: Vec<MetricAnswer>) -> MetricAnswer {
    let mut points: BTreeMap<Timestamp, f64> = BTreeMap::new();
    let complete = !answers.is_empty() && answers.iter().all(|answer| answer.complete);
    if !complete {
        return MetricAnswer::default();
    }
    for (at, value) in answers.into_iter().flat_map(|answer| answer.points) {
        let add = |known: f64| if query.is_count() { known + value } else { known.max(value) };
        points.entry(at).and_modify(|known| *known = add(*known)).or_insert(value);
    }
    MetricAnswer { points: points.into_iter().collect(), complete }
}

/// Adds a latency of zero for minutes in which load balancers counted no request: they publish no response time then. Where nothing
/// counts the requests, or there were some, a minute without a response time stays unknown.
pub fn add_quiet(asked: &[MetricRequest<'_>], answers: &mut [MetricAnswer]) {
    let of_requests = |front: &ResourceId| {
        asked.iter().position(|other| {
            other.query.in_front_of.as_ref() == Some(front) && other.query.metric_name == "RequestCount"
        })
    };
    for (index, asked) in asked.iter().enumerate() {
        let is_latency = matches!(asked.metric.measure, Measure::Latency { .. });
        let Some(front) = asked.query.in_front_of.as_ref().filter(|_| is_latency) else { continue };
        let counted =
            of_requests(front).and_then(|place| answers.get(place)).map(|counted| counted.points.clone());
        let Some(answer) = answers.get_mut(index).filter(|answer| answer.complete) else { continue };
        let quiet = counted.into_iter().flatten().filter(|(_, requests)| *requests <= 0.0);
        let mut points: BTreeMap<Timestamp, f64> = quiet.map(|(at, _)| (at, 0.0)).collect();
        points.extend(answer.points.iter().copied());
        answer.points = points.into_iter().collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    const WEB: &str = "configuration_name: shop
scaling_groups: {web: {resources: [{type: EC2_AUTO_SCALING_GROUP, name: web-asg, id: web, min_capacity: 1, max_capacity: 9,
  metrics: [{name: requests, kind: load, target_per_unit: 600}, {name: latency, kind: latency, target_value: 0.3}]}]}}
";

    fn queries() -> Vec<Query> {
        let platform = parse(WEB).unwrap().platform;
        let metrics = platform.dimensions().flat_map(|place| &place.dimension.metrics);
        metrics.map(|metric| metric.query.clone().unwrap()).collect()
    }

    fn group(name: &str) -> TargetGroup {
        let balancer = format!("arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/app/{name}/5");
        let group = format!("arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/{name}/7");
        TargetGroup::of_arns(&balancer, &group).unwrap()
    }

    fn answer(values: &[(i64, f64)]) -> MetricAnswer {
        let points = values.iter().map(|(at, value)| (Timestamp::from_second(*at).unwrap(), *value));
        MetricAnswer { points: points.collect(), complete: true }
    }

    #[test]
    fn requests_and_latency_are_asked_for_by_each_target_group() {
        let groups = TargetGroups::from([("web".into(), vec![group("blue"), group("green")])]);
        let lines: Vec<String> =
            queries().iter().flat_map(|query| completed(query, &groups)).map(|query| query.line()).collect();
        assert_eq!(
            lines,
            [
                "AWS/ApplicationELB RequestCount LoadBalancer=app/blue/5,TargetGroup=targetgroup/blue/7 Sum",
                "AWS/ApplicationELB RequestCount LoadBalancer=app/green/5,TargetGroup=targetgroup/green/7 Sum",
                "AWS/ApplicationELB TargetResponseTime LoadBalancer=app/blue/5,TargetGroup=targetgroup/blue/7 p99",
                "AWS/ApplicationELB TargetResponseTime LoadBalancer=app/green/5,TargetGroup=targetgroup/green/7 p99",
            ]
        );
    }

    #[test]
    fn counts_add_up_and_the_slowest_group_counts() {
        let queries = queries();
        let both = || vec![answer(&[(0, 3.0), (60, 4.0)]), answer(&[(60, 5.0)])];
        assert_eq!(joined(&queries[0], both()), answer(&[(0, 3.0), (60, 9.0)]));
        assert_eq!(joined(&queries[1], both()), answer(&[(0, 3.0), (60, 5.0)]));
    }

    #[test]
    fn what_is_not_found_is_unknown_and_never_zero() {
        let queries = queries();
        assert_eq!(completed(&queries[0], &TargetGroups::new()), []);
        assert_eq!(joined(&queries[0], Vec::new()), MetricAnswer { points: Vec::new(), complete: false });
        let partial = MetricAnswer { complete: false, ..answer(&[(0, 3.0)]) };
        assert_eq!(joined(&queries[0], vec![answer(&[(0, 9.0)]), partial]), MetricAnswer::default());
    }

    #[test]
    fn network_load_balancers_count_no_requests() {
        let balancer = "arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/net/web/5";
        assert_eq!(
            TargetGroup::of_arns(balancer, "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/web/7"),
            None
        );
    }

    #[test]
    fn only_a_minute_without_requests_has_no_latency() {
        let platform = parse(WEB).unwrap().platform;
        let asked = crate::collect::metric_requests(&platform);
        let quiet = |requests: &[(i64, f64)], latency: &[(i64, f64)], complete: bool| {
            let mut answers = vec![answer(requests), MetricAnswer { complete, ..answer(latency) }];
            add_quiet(&asked, &mut answers);
            answers.pop().unwrap().points
        };
        let points = |values: &[(i64, f64)]| answer(values).points;
        assert_eq!(quiet(&[(0, 9.0), (60, 0.0)], &[(0, 0.2)], true), points(&[(0, 0.2), (60, 0.0)]));
        assert_eq!(quiet(&[(0, 9.0), (60, 9.0)], &[(0, 0.2)], true), points(&[(0, 0.2)]), "nothing answers");
        assert_eq!(quiet(&[(60, 0.0)], &[], false), points(&[]), "not all was read");
        assert_eq!(quiet(&[], &[], true), points(&[]), "nobody counted");
    }
}
