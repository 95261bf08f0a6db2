//! What the execute role needs for one platform: the policies of IAM for exactly its resources.
//!
//! They take the place of the role's own statements about resources, which are for any platform. What the role needs for
//! Headroom's own tables, logs and topics stays in the template, and so do its denials.

mod arns;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::platform::{Platform, Resource};
use crate::resource::{Adapter, Permissions};

/// Characters of a managed policy, white space aside: IAM and AWS STS quotas.
pub const POLICY_CHARACTERS_MAX: usize = 6_144;
/// Policies that a role can have attached: IAM and AWS STS quotas, the default.
pub const POLICIES_MAX: usize = 10;
/// Resources in one statement. So many with the longest names that AWS allows fit into a policy.
const STATEMENT_ARNS_MAX: usize = 10;
/// Actions for which IAM knows no resource of their own, or which Headroom asks about more than one resource at a time.
const OF_ALL: [&str; 9] = [
    "application-autoscaling:DescribeScalableTargets",
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeInstanceRefreshes",
    "autoscaling:DescribeScalingActivities",
    "cloudwatch:GetMetricData",
    "elasticache:DescribeReplicationGroups",
    "lambda:GetAccountSettings",
    "rds:DescribeDBClusters",
    "rds:DescribeDBInstances",
];

/// Where the resources are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The partition: `aws`, `aws-cn`, `aws-us-gov`.
    pub partition: String,
    /// The region.
    pub region: String,
    /// The account's twelve digits.
    pub account: String,
}

/// A policy of IAM.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Policy {
    version: &'static str,
    statement: Vec<Statement>,
}

/// A statement of a policy.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    sid: String,
    effect: &'static str,
    action: BTreeSet<&'static str>,
    resource: BTreeSet<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<Json>,
}

/// Why there is no policy for a platform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "needs {needed} managed policies, and a role takes {POLICIES_MAX}; leave the role its own statements, or split the platform"
)]
pub struct TooManyPolicies {
    needed: usize,
}

/// The policies that the execute role needs for a platform, each small enough for a managed policy.
///
/// # Errors
/// When a role could not have so many.
pub fn policies(platform: &Platform, place: &Place) -> Result<Vec<Policy>, TooManyPolicies> {
    let mut grants = Grants::default();
    for (_, resource) in platform.resources() {
        grants.add(resource, place);
    }
    let policies = packed(grants.statements(&platform.name.0));
    if POLICIES_MAX < policies.len() {
        return Err(TooManyPolicies { needed: policies.len() });
    }
    Ok(policies)
}

/// What has to be true of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum When {
    Always,
    /// What is changed has the platform's tag.
    Tagged,
    /// What is made gets the platform's tag.
    MadeTagged,
}

/// Actions, and the resources that they are allowed on.
type Granted = (BTreeSet<&'static str>, BTreeSet<String>);

/// Actions and resources by what they are for.
#[derive(Debug, Default)]
struct Grants {
    by: BTreeMap<(String, When), Granted>,
    /// Namespaces and dimensions of Application Auto Scaling.
    targets: BTreeSet<(String, String)>,
}

impl Grants {
    fn allow(
        &mut self,
        sid: &str,
        when: When,
        actions: impl IntoIterator<Item = &'static str>,
        arns: impl IntoIterator<Item = String>,
    ) {
        let (all, resources) = self.by.entry((sid.to_owned(), when)).or_default();
        all.extend(actions);
        resources.extend(arns);
    }

    fn add(&mut self, resource: &Resource, place: &Place) {
        let Some(adapter) = &resource.adapter else { return };
        let permissions = adapter.permissions();
        let seen = [permissions.see, permissions.look, adapter.sees_through()].concat();
        let (of_all, own): (Vec<_>, Vec<_>) = seen.into_iter().partition(|action| OF_ALL.contains(action));
        let arns = arns::of(adapter, resource, place);
        let called = arns::called(adapter);
        self.allow("LookBeforeActing", When::Always, of_all, ["*".to_owned()]);
        if !own.is_empty() {
            let account = matches!(adapter, Adapter::ApiStage { .. }).then(|| arns::account_of_stages(place));
            self.allow(&format!("LookAt{called}"), When::Always, own, arns.iter().cloned().chain(account));
        }
        self.add_targets(resource, place);
        match adapter {
            Adapter::ScalableTarget => {}
            Adapter::AuroraReplicas(readers) | Adapter::RdsReadReplicas(readers) => {
                self.add_readers((resource, readers.adopted), (called, permissions), arns, place);
            }
            _ => {
                self.allow(&format!("Scale{called}"), When::Tagged, permissions.set.iter().copied(), arns);
            }
        }
    }

    /// Floors under native policies. A scalable target's ARN has an id that nobody can tell, so they are known by what they
    /// scale.
    fn add_targets(&mut self, resource: &Resource, place: &Place) {
        let targets =
            resource.dimensions.iter().filter_map(|dimension| dimension.facts.scalable_target.as_ref());
        let found: Vec<_> =
            targets.map(|target| (target.namespace.clone(), target.dimension.clone())).collect();
        if found.is_empty() {
            return;
        }
        self.targets.extend(found);
        let Permissions { see, set, .. } = Permissions::SCALABLE_TARGETS;
        self.allow("LookBeforeActing", When::Always, see.iter().copied(), ["*".to_owned()]);
        let targets = [arns::scalable_targets(place)];
        self.allow(SCALABLE_TARGETS, When::Tagged, set.iter().copied(), targets);
    }

    /// Readers are made under names of our own and with the platform's tag, of what is tagged. AWS asks about the groups of
    /// parameters, options and subnets too, which are the database's.
    fn add_readers(
        &mut self,
        (resource, adopted): (&Resource, bool),
        (called, permissions): (&str, Permissions),
        arns: Vec<String>,
        place: &Place,
    ) {
        let (gone, made): (Vec<_>, Vec<_>) =
            permissions.set.iter().copied().partition(|action| action.contains(":Delete"));
        let own = arns::readers(&resource.name, place);
        let tagged = made.iter().copied().chain(["rds:AddTagsToResource"]);
        self.allow(&format!("Make{called}"), When::MadeTagged, tagged, own.clone());
        self.allow(&format!("Make{called}OfWhatIsTagged"), When::Tagged, made.iter().copied(), arns);
        self.allow("MakeReadersInGroups", When::Always, made, arns::groups_of_databases(place));
        let removable = if adopted { vec![arns::instances(place)] } else { own };
        self.allow(&format!("Delete{called}"), When::Tagged, gone, removable);
    }

    fn statements(self, platform: &str) -> Vec<Statement> {
        let Grants { by, targets } = self;
        let mut statements = Vec::new();
        for ((sid, when), (action, resource)) in by.into_iter().filter(|(_, (action, _))| !action.is_empty())
        {
            let condition = condition(when, platform, (sid == SCALABLE_TARGETS).then_some(&targets));
            let all: Vec<String> = resource.into_iter().collect();
            for (number, some) in all.chunks(STATEMENT_ARNS_MAX).enumerate() {
                statements.push(Statement {
                    sid: if number == 0 { sid.clone() } else { format!("{sid}{}", number + 1) },
                    effect: "Allow",
                    action: action.clone(),
                    resource: some.iter().cloned().collect(),
                    condition: condition.clone(),
                });
            }
        }
        statements
    }
}

const SCALABLE_TARGETS: &str = "ScaleScalableTargets";

/// The condition of a statement; that about scalable targets also says what they scale.
fn condition(when: When, platform: &str, targets: Option<&BTreeSet<(String, String)>>) -> Option<Json> {
    let mut equal = match when {
        When::Always => return None,
        When::Tagged => json!({"aws:ResourceTag/headroom": platform}),
        When::MadeTagged => json!({"aws:RequestTag/headroom": platform}),
    };
    if let (Some(equal), Some(targets)) = (equal.as_object_mut(), targets) {
        let namespaces: BTreeSet<&String> = targets.iter().map(|(namespace, _)| namespace).collect();
        let dimensions: BTreeSet<&String> = targets.iter().map(|(_, dimension)| dimension).collect();
        equal.insert("application-autoscaling:service-namespace".to_owned(), json!(namespaces));
        equal.insert("application-autoscaling:scalable-dimension".to_owned(), json!(dimensions));
    }
    // Builds with other features of serde_json would print another order.
    equal.sort_all_objects();
    Some(json!({"StringEquals": equal}))
}

/// The statements in as few policies as their order allows.
fn packed(statements: Vec<Statement>) -> Vec<Policy> {
    let mut policies = Vec::new();
    let mut policy = Policy { version: "2012-10-17", statement: Vec::new() };
    for statement in statements {
        policy.statement.push(statement);
        if POLICY_CHARACTERS_MAX < characters(&policy)
            && 1 < policy.statement.len()
            && let Some(last) = policy.statement.pop()
        {
            let next = Policy { version: policy.version, statement: vec![last] };
            policies.push(std::mem::replace(&mut policy, next));
        }
    }
    policies.push(policy);
    policies
}

/// As IAM counts.
fn characters(policy: &Policy) -> usize {
    serde_json::to_string(policy).map_or(usize::MAX, |text| text.len())
}

#[cfg(test)]
mod tests;
