use expect_test::expect;

use super::*;
use crate::config::parse;
use crate::resource::ResourceKind;

fn place() -> Place {
    let [partition, region, account] = ["aws", "eu-central-1", "123456789012"].map(str::to_owned);
    Place { partition, region, account }
}

fn platform(resources: &str) -> Platform {
    let text = format!("configuration_name: shop\nscaling_groups: {{all: {{resources: [{resources}]}}}}\n");
    parse(&text).unwrap().platform
}

fn all(platform: &Platform) -> Vec<Statement> {
    policies(platform, &place()).unwrap().into_iter().flat_map(|policy| policy.statement).collect()
}

#[test]
fn every_action_that_an_adapter_says_it_calls_is_allowed() {
    for kind in ResourceKind::ALL {
        let platform = platform(kind.guide().example);
        let allowed: BTreeSet<&str> = all(&platform).into_iter().flat_map(|one| one.action).collect();
        let adapter = platform.resources().next().unwrap().1.adapter.as_ref().unwrap();
        let Permissions { see, look, set, .. } = adapter.permissions();
        for action in [see, look, set, adapter.sees_through()].concat() {
            assert!(allowed.contains(action), "{}: {action}", kind.type_name());
        }
    }
}

#[test]
fn only_what_the_file_names_may_be_changed_and_only_with_its_tag() {
    let platform = platform(
        "{type: DYNAMODB_TABLE, name: orders, read_capacity: {min: 5, max: 9}}, \
         {type: AURORA_REPLICAS, name: books, min_capacity: 1, max_capacity: 3}",
    );
    let told: Vec<String> = all(&platform)
        .iter()
        .map(|Statement { sid, action, resource, condition, .. }| {
            let condition = condition.as_ref().map_or_else(String::new, Json::to_string);
            format!("{sid} {action:?}\n{}\n", format!("  {resource:?} {condition}").trim_end())
        })
        .collect();
    expect![[r#"
        DeleteAuroraReaders {"rds:DeleteDBInstance"}
          {"arn:aws:rds:eu-central-1:123456789012:db:books-headroom-*"} {"StringEquals":{"aws:ResourceTag/headroom":"shop"}}
        LookAtTables {"dynamodb:DescribeTable"}
          {"arn:aws:dynamodb:eu-central-1:123456789012:table/orders"}
        LookBeforeActing {"application-autoscaling:DescribeScalableTargets", "cloudwatch:GetMetricData", "rds:DescribeDBClusters", "rds:DescribeDBInstances"}
          {"*"}
        MakeAuroraReaders {"rds:AddTagsToResource", "rds:CreateDBInstance"}
          {"arn:aws:rds:eu-central-1:123456789012:db:books-headroom-*"} {"StringEquals":{"aws:RequestTag/headroom":"shop"}}
        MakeAuroraReadersOfWhatIsTagged {"rds:CreateDBInstance"}
          {"arn:aws:rds:eu-central-1:123456789012:cluster:books"} {"StringEquals":{"aws:ResourceTag/headroom":"shop"}}
        MakeReadersInGroups {"rds:CreateDBInstance"}
          {"arn:aws:rds:eu-central-1:123456789012:og:*", "arn:aws:rds:eu-central-1:123456789012:pg:*", "arn:aws:rds:eu-central-1:123456789012:subgrp:*"}
        ScaleScalableTargets {"application-autoscaling:RegisterScalableTarget"}
          {"arn:aws:application-autoscaling:eu-central-1:123456789012:scalable-target/*"} {"StringEquals":{"application-autoscaling:scalable-dimension":["dynamodb:table:ReadCapacityUnits","rds:cluster:ReadReplicaCount"],"application-autoscaling:service-namespace":["dynamodb","rds"],"aws:ResourceTag/headroom":"shop"}}
        ScaleTables {"dynamodb:UpdateTable"}
          {"arn:aws:dynamodb:eu-central-1:123456789012:table/orders"} {"StringEquals":{"aws:ResourceTag/headroom":"shop"}}
    "#]].assert_eq(&told.concat());
}

#[test]
fn a_long_platform_has_several_policies_that_iam_takes_and_a_longer_one_none() {
    let many = |count: usize| {
        let table = |number| {
            format!("{{type: DYNAMODB_TABLE, name: table-{number:04}, read_capacity: {{min: 5, max: 9}}}}")
        };
        platform(&(0..count).map(table).collect::<Vec<_>>().join(", "))
    };
    let policies = policies(&many(120), &place()).unwrap();
    assert!(1 < policies.len());
    for policy in &policies {
        assert!(characters(policy) <= POLICY_CHARACTERS_MAX, "{}", characters(policy));
    }
    let sids: Vec<&String> =
        policies.iter().flat_map(|policy| policy.statement.iter().map(|one| &one.sid)).collect();
    assert_eq!(sids.iter().collect::<BTreeSet<_>>().len(), sids.len(), "{sids:?}");
    let arns: BTreeSet<&String> =
        policies.iter().flat_map(|policy| &policy.statement).flat_map(|one| &one.resource).collect();
    assert!(arns.contains(&"arn:aws:dynamodb:eu-central-1:123456789012:table/table-0119".to_owned()));
    let error = super::policies(&many(900), &place()).unwrap_err();
    assert!(error.to_string().contains("a role takes 10"), "{error}");
}
