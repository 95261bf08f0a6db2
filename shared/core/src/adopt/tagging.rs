//! What has to be tagged and switched on before Headroom may change anything, or learns from the past.

use serde::Serialize;

use super::inventory::{Found, Inventory};
use crate::name::PlatformName;
use crate::resource::ResourceKind;

/// The tag that the execute role asks for.
pub const TAG: &str = "headroom";
/// Resource Groups Tagging API reference, TagResources: so many ARNs in one call.
const ARNS_MAX: usize = 20;

/// What to do by hand, in the form of commands of the AWS CLI.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tagging {
    /// Resources that lack the tag, by name.
    pub missing: Vec<String>,
    /// Resources that carry it for another platform, and which.
    pub of_others: Vec<String>,
    /// Groups whose past capacity is not recorded.
    pub unrecorded: Vec<String>,
    /// Commands that put it right.
    pub commands: Vec<String>,
}

/// What to tag and switch on.
pub(super) fn tagging(inventory: &Inventory, platform: &PlatformName) -> Tagging {
    let lacks = |found: &&Found| !found.tags.contains_key(TAG);
    let missing: Vec<&Found> = inventory.found.iter().filter(lacks).collect();
    let foreign = |found: &Found| found.tags.get(TAG).filter(|of| **of != platform.0).cloned();
    let of_others = inventory
        .found
        .iter()
        .filter_map(|found| Some(format!("{} has it for {}", found.name, foreign(found)?)));
    let unrecorded: Vec<String> = inventory
        .found
        .iter()
        .filter(|found| !found.past_is_recorded)
        .map(|found| found.name.clone())
        .collect();
    Tagging {
        missing: distinct(missing.iter().map(|found| found.name.clone())),
        of_others: distinct(of_others),
        commands: commands(&missing, &unrecorded, platform),
        unrecorded,
    }
}

fn distinct(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut distinct = Vec::new();
    for name in names {
        if !distinct.contains(&name) {
            distinct.push(name);
        }
    }
    distinct
}

fn commands(missing: &[&Found], unrecorded: &[String], platform: &PlatformName) -> Vec<String> {
    let is_group = |found: &&&Found| found.kind == ResourceKind::Ec2AutoScalingGroup;
    // The tagging API does not know Auto Scaling groups, which have a call of their own.
    let groups = missing.iter().filter(is_group).map(|found| {
        format!(
            "aws autoscaling create-or-update-tags --tags {}",
            quoted(&format!(
                "ResourceId={},ResourceType=auto-scaling-group,Key={TAG},Value={platform},PropagateAtLaunch=false",
                found.name
            ))
        )
    });
    let arns = distinct(missing.iter().filter(|found| !is_group(found)).map(|found| quoted(&found.arn)));
    let others = arns.chunks(ARNS_MAX).map(|arns| {
        format!(
            "aws resourcegroupstaggingapi tag-resources --tags {TAG}={platform} --resource-arn-list {}",
            arns.join(" ")
        )
    });
    let recorded = unrecorded.iter().map(|name| {
        format!(
            "aws autoscaling enable-metrics-collection --granularity 1Minute --auto-scaling-group-name {}",
            quoted(name)
        )
    });
    groups.chain(others).chain(recorded).collect()
}

/// A word as a shell has it.
fn quoted(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=,".contains(letter);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn what_lacks_the_tag_is_told_with_the_commands() {
        let found = |kind, name: &str, tag: Option<&str>| {
            let tags = tag.map(|tag| (TAG.to_owned(), tag.to_owned())).into_iter().collect();
            Found { tags, ..Found::new(kind, name, &format!("arn:aws:x:y:1:{name}")) }
        };
        let found = vec![
            Found { past_is_recorded: false, ..found(ResourceKind::Ec2AutoScalingGroup, "the web's", None) },
            found(ResourceKind::EcsService, "api", Some("shop")),
            found(ResourceKind::DynamoDbTable, "orders", Some("other")),
            found(ResourceKind::AuroraReplicas, "db", None),
            found(ResourceKind::AuroraServerless, "db", None),
        ];
        let tagging = tagging(&Inventory { found, ..Inventory::default() }, &"shop".into());
        assert_eq!(
            (tagging.missing, tagging.of_others),
            (vec!["the web's".to_owned(), "db".to_owned()], vec!["orders has it for other".to_owned()])
        );
        expect![[r#"
            aws autoscaling create-or-update-tags --tags 'ResourceId=the web'\''s,ResourceType=auto-scaling-group,Key=headroom,Value=shop,PropagateAtLaunch=false'
            aws resourcegroupstaggingapi tag-resources --tags headroom=shop --resource-arn-list arn:aws:x:y:1:db
            aws autoscaling enable-metrics-collection --granularity 1Minute --auto-scaling-group-name 'the web'\''s'"#]]
        .assert_eq(&tagging.commands.join("\n"));
    }
}
