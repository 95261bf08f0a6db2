//! Metrics that load balancers measure in front of resources, read at the target groups that were found.

use headroom_core::collect::{MetricAnswer, TargetGroups, completed, joined};
use headroom_core::platform::Query;

use crate::error::AwsError;
use crate::metrics::{Metrics, Window};

/// A source of metrics that also answers what has to be read at target groups.
#[derive(Clone, Copy, Debug)]
pub struct InFront<'a, M> {
    metrics: &'a M,
    groups: &'a TargetGroups,
}

impl<'a, M: Metrics> InFront<'a, M> {
    /// The same source, which knows the target groups of resources.
    pub fn new(metrics: &'a M, groups: &'a TargetGroups) -> InFront<'a, M> {
        InFront { metrics, groups }
    }
}

impl<M: Metrics> Metrics for InFront<'_, M> {
    async fn read(&self, queries: &[Query], window: Window) -> Result<Vec<MetricAnswer>, AwsError> {
        let completed: Vec<Vec<Query>> = queries.iter().map(|query| completed(query, self.groups)).collect();
        let mut answers = self.metrics.read(&completed.concat(), window).await?.into_iter();
        let parts = queries.iter().zip(&completed);
        let joined = parts.map(|(query, parts)| {
            let mine: Vec<MetricAnswer> = answers.by_ref().take(parts.len()).collect();
            match query.in_front_of {
                Some(_) => joined(query, mine),
                None => mine.into_iter().next().unwrap_or_default(),
            }
        });
        Ok(joined.collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use headroom_core::collect::{TargetGroup, metric_requests};
    use headroom_core::config::parse;
    use jiff::Timestamp;

    use super::*;
    use crate::metrics::MemoryMetrics;

    #[tokio::test]
    async fn what_is_in_front_is_read_at_every_target_group_beside_what_is_not() {
        let text = "configuration_name: shop
scaling_groups: {web: {resources: [
  {type: EC2_AUTO_SCALING_GROUP, name: web, min_capacity: 1, max_capacity: 9,
   metrics: [{name: requests, kind: load, target_per_unit: 600}]},
  {type: EC2_AUTO_SCALING_GROUP, name: jobs, min_capacity: 1, max_capacity: 9}]}}
";
        let platform = parse(text).unwrap().platform;
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let metrics = MemoryMetrics(BTreeMap::from([
            ("RequestCount".to_owned(), vec![(at(60), 5.0)]),
            ("CPUUtilization".to_owned(), vec![(at(60), 40.0)]),
        ]));
        let group = |name: &str| TargetGroup {
            load_balancer: format!("app/{name}/1"),
            name: format!("targetgroup/{name}/2"),
        };
        let groups = TargetGroups::from([("web".into(), vec![group("blue"), group("green")])]);
        let queries: Vec<Query> =
            metric_requests(&platform).into_iter().map(|asked| asked.query.clone()).collect();
        let window = Window { from: at(0), to: at(120), period_s: 60 };
        let read = |groups: TargetGroups| {
            let (metrics, queries) = (metrics.clone(), queries.clone());
            async move {
                let read = InFront::new(&metrics, &groups).read(&queries, window).await.unwrap();
                read.into_iter().map(|answer| answer.points).collect::<Vec<_>>()
            }
        };
        assert_eq!(read(groups).await, [vec![(at(60), 10.0)], vec![(at(60), 40.0)]]);
        assert_eq!(read(TargetGroups::new()).await, [vec![], vec![(at(60), 40.0)]], "not found is not zero");
    }
}
