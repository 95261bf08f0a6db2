//! What an account has that can be scaled, with what bounds it, what stands in front of it, and who uses whom. Only reads.
//!
//! A call that is refused leaves a gap, which the inventory names, and everything else is still read.

mod balancers;
mod caches;
mod databases;
mod functions;
mod groups;
mod natives;
mod selection;
mod services;
mod streams;
mod tables;

use std::fmt::Display;

use futures_util::future::{FutureExt as _, join_all};
use headroom_core::adopt::inventory::{Found, Handle, Inventory, LeftOut};

use self::selection::Selection;
pub use self::selection::Wanted;
use crate::error::AwsError;
use crate::sdk::Aws;

/// Pages of one list that are read. The longest is that of tagged resources, a hundred a page.
const PAGES_MAX: usize = 100;

/// What was seen of one kind.
#[derive(Debug, Default)]
struct Seen {
    inventory: Inventory,
    /// ARNs of resources, each with the ARN of a target group that it is registered with.
    behind: Vec<(String, String)>,
}

impl Seen {
    fn found(&mut self, found: Found) {
        self.inventory.found.push(found);
    }

    fn left_out(&mut self, what: impl Into<String>, why: &str) {
        self.inventory.left_out.push(LeftOut { what: what.into(), why: why.to_owned() });
    }

    fn not_seen(&mut self, what: &str, error: &AwsError) {
        // Not the error's own sentence: it speaks of the role of a function, and here a person asks.
        self.inventory.not_seen.push(format!("{what}: could not {}: {}", error.doing, error.said));
    }

    /// What an answer holds, or nothing and a gap.
    fn or_gap<T: Default>(&mut self, what: &str, answer: Result<T, AwsError>) -> T {
        answer.unwrap_or_else(|error| {
            self.not_seen(what, &error);
            T::default()
        })
    }

    fn handle(&mut self, of: &str, text: Option<&str>, what: impl Display) {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            let (of, text) = (of.to_owned(), text.to_owned());
            self.inventory.handles.push(Handle { of, text, what: what.to_string() });
        }
    }

    fn merge(&mut self, other: Seen) {
        let Inventory { found, left_out, uses, settings, handles, not_seen } = other.inventory;
        self.inventory.found.extend(found);
        self.inventory.left_out.extend(left_out);
        self.inventory.uses.extend(uses);
        self.inventory.settings.extend(settings);
        self.inventory.handles.extend(handles);
        self.inventory.not_seen.extend(not_seen);
        self.behind.extend(other.behind);
    }
}

/// Looks for what is wanted. `progress` hears what is being read.
///
/// # Errors
/// When what is wanted cannot be listed. What cannot be seen of single resources is named in the inventory.
pub async fn discover(
    aws: &Aws,
    wanted: &Wanted,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Inventory, AwsError> {
    progress("lists what is tagged, in a stack, or named");
    let selection = selection::select(aws, wanted).await?;
    progress("reads groups, services, tables, functions, streams, caches and databases");
    let mut seen = Seen::default();
    seen.inventory.left_out.extend(selection.left_out());
    let each = [
        async { groups::read(&aws.autoscaling(), &selection).await }.boxed(),
        async { services::read(&aws.ecs(), &selection).await }.boxed(),
        async { tables::read(&aws.dynamodb(), &selection).await }.boxed(),
        async { functions::read(&aws.lambda(), &selection).await }.boxed(),
        async { streams::read(&aws.kinesis(), &selection).await }.boxed(),
        async { caches::read(&aws.elasticache(), &selection).await }.boxed(),
        async { databases::read(&aws.rds(), &selection).await }.boxed(),
    ];
    for of_kind in join_all(each).await {
        seen.merge(of_kind);
    }
    progress("reads native policies, scheduled actions and load balancers");
    natives::add(&aws.application(), &mut seen).await;
    balancers::add(&aws.balancing(), &mut seen).await;
    seen.inventory.left_out.extend(unknown_names(&selection, &seen.inventory));
    Ok(seen.inventory)
}

/// Names that were given and that nothing has.
fn unknown_names(selection: &Selection, inventory: &Inventory) -> Vec<LeftOut> {
    let is_known = |name: &str| {
        let words = |text: &str| text.split_whitespace().any(|word| word == name);
        inventory.found.iter().any(|found| found.name == name)
            || inventory.left_out.iter().any(|left| words(&left.what))
    };
    let unknown = selection.named.iter().filter(|name| !is_known(name));
    let why = "nothing that adopt looks for has this name; a service is CLUSTER/SERVICE".to_owned();
    unknown.map(|name| LeftOut { what: name.clone(), why: why.clone() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_gap_is_named_and_the_rest_is_kept() {
        let mut seen = Seen::default();
        let denied = AwsError::new(ErrorKind::Denied, "describe the table orders", "AccessDenied: no");
        let answer: Vec<u8> = seen.or_gap("the table orders", Err(denied));
        assert!(answer.is_empty());
        assert_eq!(
            seen.inventory.not_seen,
            ["the table orders: could not describe the table orders: AccessDenied: no"]
        );
        assert_eq!(seen.or_gap("", Ok(vec![1])), [1]);
    }

    #[test]
    fn names_that_nothing_has_are_told() {
        let mut selection = Selection::default();
        selection.named.extend(["orders", "carts", "gone"].map(str::to_owned));
        let found = Found::new(headroom_core::resource::ResourceKind::DynamoDbTable, "orders", "arn");
        let left_out = vec![LeftOut { what: "the table carts".into(), why: "it is on demand".into() }];
        let inventory = Inventory { found: vec![found], left_out, ..Inventory::default() };
        let unknown = unknown_names(&selection, &inventory);
        assert_eq!(unknown.len(), 1);
        assert_eq!(unknown[0].what, "gone");
    }
}
