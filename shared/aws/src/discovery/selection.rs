//! What to look at: resources with tags, of stacks, or with names.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_resourcegroupstagging::types::TagFilter;
use headroom_core::adopt::inventory::LeftOut;

use super::PAGES_MAX;
use crate::error::{AwsError, ErrorKind};
use crate::sdk::Aws;

/// Stacks within stacks that are followed. CloudFormation itself has no limit, and people rarely go beyond three.
const NESTED_MAX: usize = 5;

/// What is looked for: everything that any of the three finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Tags, all of which a resource must carry.
    pub tags: Vec<(String, String)>,
    /// CloudFormation stacks, by name.
    pub stacks: Vec<String>,
    /// Resources, by name, by ARN, or as `CLUSTER/SERVICE`.
    pub names: Vec<String>,
}

/// Names of what to look at, by kind.
#[derive(Debug, Default)]
pub(super) struct Selection {
    pub(super) tags: Vec<(String, String)>,
    pub(super) groups: BTreeSet<String>,
    /// Clusters and services.
    pub(super) services: BTreeSet<(String, String)>,
    pub(super) tables: BTreeSet<String>,
    pub(super) functions: BTreeSet<String>,
    pub(super) streams: BTreeSet<String>,
    pub(super) caches: BTreeSet<String>,
    pub(super) clusters: BTreeSet<String>,
    pub(super) instances: BTreeSet<String>,
    /// Names of which nobody said what they name.
    pub(super) named: BTreeSet<String>,
    /// What belongs to kinds that Headroom scales and that are not looked for yet: its name and kind.
    pub(super) by_hand: BTreeSet<(String, &'static str)>,
    /// How many resources of other services and types there are.
    pub(super) others: BTreeMap<String, usize>,
}

impl Selection {
    /// Names of a kind, with those that may be of any kind.
    pub(super) fn with_named<'a>(&'a self, of_kind: &'a BTreeSet<String>) -> Vec<&'a str> {
        of_kind.union(&self.named).map(String::as_str).collect()
    }

    pub(super) fn left_out(&self) -> Vec<LeftOut> {
        let by_hand = self.by_hand.iter().map(|(name, kind)| LeftOut {
            what: name.clone(),
            why: format!("adopt does not look at its kind yet; write it by hand, as {kind}"),
        });
        let others = self.others.iter().map(|(service, count)| LeftOut {
            what: format!("{count} of {}", service.trim_end()),
            why: "nothing of it is scaled".to_owned(),
        });
        by_hand.chain(others).collect()
    }

    /// Adds what an ARN names.
    fn add_arn(&mut self, arn: &str) {
        let mut parts = arn.splitn(6, ':').skip(2);
        let (service, resource) = (parts.next().unwrap_or_default(), parts.nth(2).unwrap_or_default());
        let after = |prefix: &str| resource.strip_prefix(prefix);
        let segments: Vec<&str> = resource.split('/').collect();
        match (service, segments.as_slice()) {
            ("autoscaling", [.., name]) if resource.contains("autoScalingGroupName/") => {
                self.groups.insert((*name).to_owned());
            }
            ("ecs", ["service", cluster, name]) => {
                self.services.insert(((*cluster).to_owned(), (*name).to_owned()));
            }
            ("dynamodb", ["table", name]) => {
                self.tables.insert((*name).to_owned());
            }
            ("kinesis", ["stream", name]) => {
                self.streams.insert((*name).to_owned());
            }
            ("lambda", _) if resource.starts_with("function:") => {
                let name = resource.split(':').nth(1).unwrap_or_default();
                self.functions.insert(name.to_owned());
            }
            ("elasticache", _) if let Some(name) = after("replicationgroup:") => {
                self.caches.insert(name.to_owned());
            }
            ("rds", _) if let Some(name) = after("cluster:") => {
                self.clusters.insert(name.to_owned());
            }
            ("rds", _) if let Some(name) = after("db:") => {
                self.instances.insert(name.to_owned());
            }
            ("eks", ["nodegroup", _, name, ..]) => self.by_hand(name, "EKS_NODE_GROUP"),
            ("sagemaker", ["endpoint", name]) => self.by_hand(name, "SAGEMAKER_ENDPOINT"),
            ("apigateway", [.., "stages", name]) => self.by_hand(name, "API_GATEWAY_STAGE"),
            _ => *self.others.entry(format!("{service} {}", of_type(resource))).or_default() += 1,
        }
    }

    fn by_hand(&mut self, name: &str, kind: &'static str) {
        self.by_hand.insert((name.to_owned(), kind));
    }

    /// Adds a resource of a stack, by its type and physical id. Answers the stack that it is, if it is one.
    fn add_resource(&mut self, of_type: &str, id: &str) -> Option<String> {
        let names = match of_type {
            "AWS::AutoScaling::AutoScalingGroup" => &mut self.groups,
            "AWS::DynamoDB::Table" | "AWS::DynamoDB::GlobalTable" => &mut self.tables,
            "AWS::Lambda::Function" => &mut self.functions,
            "AWS::Kinesis::Stream" => &mut self.streams,
            "AWS::ElastiCache::ReplicationGroup" => &mut self.caches,
            "AWS::RDS::DBCluster" => &mut self.clusters,
            "AWS::RDS::DBInstance" => &mut self.instances,
            "AWS::CloudFormation::Stack" => return Some(id.to_owned()),
            "AWS::ECS::Service" => {
                self.add_arn(id);
                return None;
            }
            "AWS::EKS::Nodegroup" => {
                self.by_hand(id, "EKS_NODE_GROUP");
                return None;
            }
            "AWS::SageMaker::Endpoint" => {
                self.by_hand(id, "SAGEMAKER_ENDPOINT");
                return None;
            }
            _ => return None,
        };
        names.insert(id.to_owned());
        None
    }

    fn add_name(&mut self, name: &str) {
        match name.split_once('/') {
            _ if name.starts_with("arn:") => self.add_arn(name),
            Some((cluster, service)) => {
                self.services.insert((cluster.to_owned(), service.to_owned()));
            }
            None => {
                self.named.insert(name.to_owned());
            }
        }
    }
}

/// The type in the last part of an ARN, where one is written.
fn of_type(resource: &str) -> &str {
    resource.split_once([':', '/']).map_or("", |(of_type, _)| of_type)
}

pub(super) async fn select(aws: &Aws, wanted: &Wanted) -> Result<Selection, AwsError> {
    let mut selection = Selection { tags: wanted.tags.clone(), ..Selection::default() };
    if !wanted.tags.is_empty() {
        tagged(&aws.tagging(), &wanted.tags, &mut selection).await?;
    }
    stacks(&aws.cloudformation(), &wanted.stacks, &mut selection).await?;
    wanted.names.iter().for_each(|name| selection.add_name(name));
    Ok(selection)
}

/// Everything that carries all of the tags. Auto Scaling groups are not among it: they are asked for by themselves.
async fn tagged(
    client: &aws_sdk_resourcegroupstagging::Client,
    tags: &[(String, String)],
    selection: &mut Selection,
) -> Result<(), AwsError> {
    const DOING: &str = "list what is tagged";
    let filters: Vec<TagFilter> =
        tags.iter().map(|(key, value)| TagFilter::builder().key(key).values(value).build()).collect();
    let mut next = None;
    for _ in 0..PAGES_MAX {
        let asked = client.get_resources().set_tag_filters(Some(filters.clone())).set_pagination_token(next);
        let answer = asked.send().await.map_err(|error| AwsError::of(error, DOING))?;
        let arns = answer.resource_tag_mapping_list().iter().filter_map(|mapping| mapping.resource_arn());
        arns.for_each(|arn| selection.add_arn(arn));
        // The last page has an empty token.
        next = answer.pagination_token.filter(|token| !token.is_empty());
        if next.is_none() {
            return Ok(());
        }
    }
    Err(AwsError::new(
        ErrorKind::Limit,
        DOING,
        format!("more than {PAGES_MAX} pages; ask for a narrower tag"),
    ))
}

/// Everything in some stacks, and in the stacks within them.
async fn stacks(
    client: &aws_sdk_cloudformation::Client,
    names: &[String],
    selection: &mut Selection,
) -> Result<(), AwsError> {
    let mut level = names.to_vec();
    for _ in 0..=NESTED_MAX {
        let mut nested = Vec::new();
        for stack in &level {
            nested.extend(of_stack(client, stack, selection).await?);
        }
        if nested.is_empty() {
            return Ok(());
        }
        level = nested;
    }
    let said = format!("stacks are nested more than {NESTED_MAX} deep");
    Err(AwsError::new(ErrorKind::Limit, "list the resources of stacks", said))
}

async fn of_stack(
    client: &aws_sdk_cloudformation::Client,
    stack: &str,
    selection: &mut Selection,
) -> Result<Vec<String>, AwsError> {
    let doing = || format!("list the resources of the stack {stack}");
    let (mut nested, mut next) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let answer = client.list_stack_resources().stack_name(stack).set_next_token(next).send().await;
        let answer = answer.map_err(|error| AwsError::of(error, doing()))?;
        for resource in answer.stack_resource_summaries() {
            let (of_type, id) = (resource.resource_type(), resource.physical_resource_id());
            if let (Some(of_type), Some(id)) = (of_type, id.filter(|id| !id.is_empty())) {
                nested.extend(selection.add_resource(of_type, id));
            }
        }
        next = answer.next_token;
        if next.is_none() {
            return Ok(nested);
        }
    }
    Err(AwsError::new(ErrorKind::Limit, doing(), format!("more than {PAGES_MAX} pages")))
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudformation::operation::list_stack_resources::ListStackResourcesOutput;
    use aws_sdk_cloudformation::types::StackResourceSummary;
    use aws_sdk_resourcegroupstagging::operation::get_resources::GetResourcesOutput;
    use aws_sdk_resourcegroupstagging::types::ResourceTagMapping;
    use aws_smithy_mocks::{RuleMode, mock, mock_client};

    use super::*;

    fn told(selection: &Selection) -> String {
        let services = selection.services.iter().map(|(cluster, name)| format!("{cluster}/{name}"));
        let kinds = [
            &selection.groups,
            &selection.tables,
            &selection.functions,
            &selection.streams,
            &selection.caches,
            &selection.clusters,
            &selection.instances,
            &selection.named,
        ];
        let names = kinds.into_iter().flatten().cloned();
        let left_out = selection.left_out();
        let left_out = left_out.iter().map(|left| left.what.clone());
        services.chain(names).chain(left_out).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn arns_and_names_are_told_apart() {
        let mut selection = Selection::default();
        for resource in [
            "ecs eu-x:1:service/prod/api",
            "ecs eu-x:1:cluster/prod",
            "autoscaling eu-x:1:autoScalingGroup:0-1:autoScalingGroupName/web",
            "dynamodb eu-x:1:table/orders",
            "lambda eu-x:1:function:score:live",
            "kinesis eu-x:1:stream/clicks",
            "elasticache eu-x:1:replicationgroup:cache",
            "rds eu-x:1:cluster:db",
            "rds eu-x:1:db:db-1",
            "eks eu-x:1:nodegroup/prod/workers/1",
            "s3 :::bucket",
        ] {
            let (service, rest) = resource.split_once(' ').unwrap();
            selection.add_name(&format!("arn:aws:{service}:{rest}"));
        }
        selection.add_name("prod/jobs");
        selection.add_name("anything");
        assert_eq!(
            told(&selection),
            "prod/api prod/jobs web orders score clicks cache db db-1 anything workers 1 of ecs cluster 1 of s3"
        );
    }

    #[tokio::test]
    async fn tags_are_read_by_pages() {
        let page = |arn: &str, token: &str| {
            let mapping = ResourceTagMapping::builder().resource_arn(arn).build();
            GetResourcesOutput::builder().resource_tag_mapping_list(mapping).pagination_token(token).build()
        };
        let first = mock!(aws_sdk_resourcegroupstagging::Client::get_resources)
            .match_requests(|asked| {
                let filter = &asked.tag_filters()[0];
                (filter.key(), filter.values()) == (Some("app"), &["shop".to_owned()][..])
                    && asked.pagination_token().is_none()
            })
            .then_output(move || page("arn:aws:dynamodb:eu-x:1:table/orders", "more"));
        let last = mock!(aws_sdk_resourcegroupstagging::Client::get_resources)
            .match_requests(|asked| asked.pagination_token() == Some("more"))
            .then_output(move || page("arn:aws:kinesis:eu-x:1:stream/clicks", ""));
        let client = mock_client!(aws_sdk_resourcegroupstagging, RuleMode::MatchAny, &[&first, &last]);
        let mut selection = Selection::default();
        tagged(&client, &[("app".into(), "shop".into())], &mut selection).await.unwrap();
        assert_eq!(told(&selection), "orders clicks");
    }

    #[tokio::test]
    async fn stacks_within_stacks_are_followed() {
        let page = |of_type: &str, id: &str| {
            let summary = StackResourceSummary::builder().resource_type(of_type).physical_resource_id(id);
            ListStackResourcesOutput::builder().stack_resource_summaries(summary.build()).build()
        };
        let outer = mock!(aws_sdk_cloudformation::Client::list_stack_resources)
            .match_requests(|asked| asked.stack_name() == Some("shop"))
            .then_output(move || page("AWS::CloudFormation::Stack", "shop-data"));
        let inner = mock!(aws_sdk_cloudformation::Client::list_stack_resources)
            .match_requests(|asked| asked.stack_name() == Some("shop-data"))
            .then_output(move || page("AWS::DynamoDB::Table", "orders"));
        let client = mock_client!(aws_sdk_cloudformation, RuleMode::MatchAny, &[&outer, &inner]);
        let mut selection = Selection::default();
        stacks(&client, &["shop".to_owned()], &mut selection).await.unwrap();
        assert_eq!(told(&selection), "orders");
    }
}
