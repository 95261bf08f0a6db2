//! What differs between two platform files: values by their place, whatever their layout and comments.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::fault::Fault;
use super::unwrapped;
use super::yaml::{self, Node, Value};

/// A value that differs between two files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ValueChange {
    /// Where it stands. A resource is named by its id or name, so that moving it within a list changes nothing.
    pub path: String,
    /// What it was; `None` where it was not written.
    pub before: Option<String>,
    /// What it is; `None` where it is no longer written.
    pub after: Option<String>,
}

impl fmt::Display for ValueChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => write!(f, "~ {}: {before} -> {after}", self.path),
            (None, Some(after)) => write!(f, "+ {}: {after}", self.path),
            (Some(before), None) => write!(f, "- {}: {before}", self.path),
            (None, None) => write!(f, "  {}", self.path),
        }
    }
}

/// What differs, in the order of the new file, with what is no longer in it at the end. Values are compared as they are
/// written: `300` and `5m` differ, though they mean the same.
///
/// # Errors
/// When a text is no YAML. Neither needs to be a valid platform.
pub fn changes(before: &str, after: &str) -> Result<Vec<ValueChange>, Fault> {
    let (old, new) = (values(before)?, values(after)?);
    let old_by_path: BTreeMap<&str, &str> =
        old.iter().map(|(path, value)| (path.as_str(), value.as_str())).collect();
    let new_by_path: BTreeMap<&str, &str> =
        new.iter().map(|(path, value)| (path.as_str(), value.as_str())).collect();
    let written =
        new.iter().map(|(path, value)| (path, old_by_path.get(path.as_str()).copied(), Some(value.as_str())));
    let gone = old.iter().filter(|(path, _)| !new_by_path.contains_key(path.as_str()));
    let gone = gone.map(|(path, value)| (path, Some(value.as_str()), None));
    let differing = written.chain(gone).filter(|(_, before, after)| before != after);
    Ok(differing
        .map(|(path, before, after)| ValueChange {
            path: path.clone(),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        })
        .collect())
}

/// Every value of a text with its place, in the order of its lines.
fn values(text: &str) -> Result<Vec<(String, String)>, Fault> {
    let (root, faults) = yaml::read(text)?;
    if let Some(fault) = faults.into_iter().next() {
        return Err(fault);
    }
    let mut into = Vec::new();
    flatten(unwrapped(&root), "", &mut into);
    Ok(into)
}

fn flatten(node: &Node, path: &str, into: &mut Vec<(String, String)>) {
    let mut leaf = |value: String| into.push((path.to_owned(), value));
    match &node.value {
        Value::Null => leaf("null".to_owned()),
        Value::Bool(value) => leaf(value.to_string()),
        Value::Number(value) => leaf(value.to_string()),
        Value::Text(value) => leaf(value.clone()),
        Value::List(items) if items.is_empty() => leaf("[]".to_owned()),
        Value::Map(entries) if entries.is_empty() => leaf("{}".to_owned()),
        Value::List(items) => {
            let names: Vec<Option<&str>> = items.iter().map(name).collect();
            for (index, item) in items.iter().enumerate() {
                let mine = names.get(index).copied().flatten();
                let unique =
                    mine.filter(|mine| names.iter().filter(|name| **name == Some(mine)).count() == 1);
                let label = unique.map_or_else(|| index.to_string(), str::to_owned);
                flatten(item, &format!("{path}[{label}]"), into);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                let dot = if path.is_empty() { "" } else { "." };
                flatten(&entry.node, &format!("{path}{dot}{}", entry.key), into);
            }
        }
    }
}

/// What an item of a list is called.
fn name(item: &Node) -> Option<&str> {
    let text = |key: &str| match &item.get(key)?.node.value {
        Value::Text(text) => Some(text.as_str()),
        _ => None,
    };
    text("id").or_else(|| text("name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "configuration_name: shop
scaling_groups:
  web:
    resources:
      - {type: ECS_SERVICE, name: api, min_capacity: 1, max_capacity: 3}
      - {type: ECS_SERVICE, name: old, min_capacity: 1, max_capacity: 3}
guardrails: {cooldown: {in: 5m}}
";

    fn check(after: &str, expected: &[&str]) {
        let told: Vec<String> = changes(BEFORE, after).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn values_are_compared_by_their_place_and_not_by_their_line() {
        check(BEFORE, &[]);
        check(
            "# Another layout says the same.
Multi_Service_Scaling_Configuration:
  configuration_name: shop
  scaling_groups:
    web:
      resources:
        - {type: ECS_SERVICE, name: old, min_capacity: 1, max_capacity: 3}
        - {type: ECS_SERVICE, name: api, min_capacity: 1, max_capacity: 3}
  guardrails: {cooldown: {in: 5m}}
",
            &[],
        );
        check(
            "configuration_name: shop
timezone: Europe/Zurich
scaling_groups:
  web:
    resources:
      - {type: ECS_SERVICE, name: api, min_capacity: 1, max_capacity: 9}
guardrails: {}
",
            &[
                "+ timezone: Europe/Zurich",
                "~ scaling_groups.web.resources[api].max_capacity: 3 -> 9",
                "+ guardrails: {}",
                "- scaling_groups.web.resources[old].type: ECS_SERVICE",
                "- scaling_groups.web.resources[old].name: old",
                "- scaling_groups.web.resources[old].min_capacity: 1",
                "- scaling_groups.web.resources[old].max_capacity: 3",
                "- guardrails.cooldown.in: 5m",
            ],
        );
    }

    #[test]
    fn items_of_one_name_are_told_apart_by_their_place() {
        let list = |second: u32| format!("a: [{{name: x, value: 1}}, {{name: x, value: {second}}}]\n");
        let told = changes(&list(1), &list(2)).unwrap();
        assert_eq!(told.iter().map(ToString::to_string).collect::<Vec<_>>(), ["~ a[1].value: 1 -> 2"]);
        assert!(changes("a: [", "a: 1").is_err());
    }
}
