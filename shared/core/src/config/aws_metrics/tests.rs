//! The data itself.

use std::collections::BTreeSet;

use super::*;

#[test]
fn every_page_is_of_aws_and_names_every_metric_once() {
    for page in PAGES {
        assert!(page.source.starts_with("https://docs.aws.amazon.com/"), "{}", page.source);
        let names: Vec<&str> = page.metrics.iter().flat_map(|(_, names)| *names).copied().collect();
        let distinct: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(names.len(), distinct.len(), "{}: {names:?}", page.namespace);
    }
}

#[test]
fn a_name_counts_before_an_ending() {
    let nature = |namespace: &str, metric: &str| known(namespace, metric).map(|(nature, _)| nature);
    assert_eq!(nature("AWS/RDS", "CommitLatency"), Some(Nature::Time));
    assert_eq!(nature("AWS/AutoScaling", "GroupInServiceInstances"), Some(Nature::Capacity));
    assert_eq!(nature("ECS/ContainerInsights", "TaskCpuUtilization"), Some(Nature::Percent));
    assert_eq!(nature("AWS/ApplicationELB", "HTTPCode_Target_5XX_Count"), Some(Nature::Count));
    assert_eq!(nature("AWS/Lambda", "ProvisionedConcurrencyUtilization"), Some(Nature::Share));
    assert_eq!((nature("AWS/EC2", "StatusCheckFailed"), nature("Shop", "CPUUtilization")), (None, None));
}
