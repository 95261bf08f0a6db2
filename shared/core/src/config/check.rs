//! Holds a document against the JSON Schema and reports every fault with its place.
//!
//! Covers the part of JSON Schema that our own types produce; `schema_words_are_known` fails when they produce more.

use serde_json::{Map, Value as Json};

use super::fault::Fault;
use super::path::Path;
use super::yaml::{MapEntry, Mark, Node, Value};
use crate::scalar;
use crate::text::suggestion;

/// What a check found.
#[derive(Default)]
pub(crate) struct Found {
    /// Every fault.
    pub(crate) faults: Vec<Fault>,
    /// The smallest parts without which the rest of the document still has its shape. Only the root cannot be dropped.
    pub(crate) dropped: Vec<Path>,
}

/// Holds `node` against `schema`.
pub(crate) fn check(node: &Node, schema: &Json) -> Found {
    let mut walk = Walk { root: schema, found: Found::default() };
    let at = Path::default();
    if walk.node(node, schema, &at) == Shape::Broken {
        walk.found.dropped.push(at);
    }
    walk.found
}

/// Whether a part can be read once the broken parts in it are dropped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Whole,
    Broken,
}

struct Walk<'a> {
    root: &'a Json,
    found: Found,
}

impl<'a> Walk<'a> {
    fn node(&mut self, node: &Node, schema: &'a Json, at: &Path) -> Shape {
        let schema = self.resolve(schema);
        if let Some(branches) = branches(schema).filter(|_| words(schema).is_none()) {
            return self.branch(node, branches, at);
        }
        if let Some(problem) = problem(node, schema) {
            return self.broken(node.mark, at, problem);
        }
        match &node.value {
            Value::Map(entries) => self.map(node.mark, entries, schema, at),
            Value::List(items) => self.list(items, schema, at),
            _ => Shape::Whole,
        }
    }

    fn list(&mut self, items: &[Node], schema: &'a Json, at: &Path) -> Shape {
        let Some(item_schema) = schema.get("items") else { return Shape::Whole };
        for (index, item) in items.iter().enumerate() {
            let item_at = at.index(index);
            if self.node(item, item_schema, &item_at) == Shape::Broken {
                self.found.dropped.push(item_at);
            }
        }
        Shape::Whole
    }

    fn map(&mut self, mark: Mark, entries: &[MapEntry], schema: &'a Json, at: &Path) -> Shape {
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Json::as_array)
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
            .collect();
        let mut shape = Shape::Whole;
        for entry in entries {
            let entry_at = at.key(&entry.key);
            if self.entry(entry, schema, &entry_at) == Shape::Whole {
                continue;
            }
            // The rest of a file is worth reading even where its name is wrong.
            match required.contains(&entry.key.as_str()) && !at.segments().is_empty() {
                true => shape = Shape::Broken,
                false => self.found.dropped.push(entry_at),
            }
        }
        for name in required {
            if !entries.iter().any(|entry| entry.key == name) {
                shape = self.broken(mark, &at.key(name), "is required and missing".to_owned());
            }
        }
        shape
    }

    fn entry(&mut self, entry: &MapEntry, schema: &'a Json, at: &Path) -> Shape {
        let properties = schema.get("properties").and_then(Json::as_object);
        let rest = schema.get("additionalProperties").or_else(|| schema.get("unevaluatedProperties"));
        match (properties.and_then(|known| known.get(&entry.key)), rest) {
            (Some(schema), _) => self.node(&entry.node, schema, at),
            (None, Some(Json::Bool(false))) => {
                let known = properties.into_iter().flat_map(Map::keys).map(String::as_str);
                self.broken(
                    entry.key_mark,
                    at,
                    format!("unknown key{}", suggestion_or_list(&entry.key, known)),
                )
            }
            (None, Some(schema)) => self.node(&entry.node, schema, at),
            (None, None) => Shape::Whole,
        }
    }

    /// Picks the branch that was meant: by the constant of its `type`, else by the kind of value.
    fn branch(&mut self, node: &Node, branches: &'a [Json], at: &Path) -> Shape {
        let tags: Vec<(&str, &'a Json)> =
            branches.iter().filter_map(|branch| tag(self.resolve(branch))).collect();
        if !tags.is_empty() && tags.len() == branches.len() {
            return self.tagged(node, &tags, at);
        }
        let fitting = branches.iter().find(|branch| wrong_kind(node, self.resolve(branch)).is_none());
        match fitting.or_else(|| branches.first()) {
            Some(branch) => self.node(node, branch, at),
            None => self.broken(node.mark, at, "nothing is allowed here".to_owned()),
        }
    }

    fn tagged(&mut self, node: &Node, tags: &[(&str, &'a Json)], at: &Path) -> Shape {
        let Value::Map(_) = node.value else {
            return self.broken(node.mark, at, format!("must be a map, not {}", node.describe()));
        };
        let type_at = at.key("type");
        let Some(entry) = node.get("type") else {
            return self.broken(node.mark, &type_at, "is required and missing".to_owned());
        };
        let Value::Text(given) = &entry.node.value else {
            return self.broken(
                entry.node.mark,
                &type_at,
                format!("must be a type, not {}", entry.node.describe()),
            );
        };
        match tags.iter().find(|(name, _)| name == given) {
            Some((_, schema)) => self.node(node, schema, at),
            None => {
                let known = tags.iter().map(|(name, _)| *name);
                let sentence = format!("unknown type `{given}`{}", suggestion_or_list(given, known));
                self.broken(entry.node.mark, &type_at, sentence)
            }
        }
    }

    fn broken(&mut self, mark: Mark, at: &Path, sentence: String) -> Shape {
        self.found.faults.push(mark.fault(at, sentence));
        Shape::Broken
    }

    fn resolve(&self, schema: &'a Json) -> &'a Json {
        let pointer = schema.get("$ref").and_then(Json::as_str).and_then(|name| name.strip_prefix('#'));
        pointer.and_then(|pointer| self.root.pointer(pointer)).unwrap_or(schema)
    }
}

fn branches(schema: &Json) -> Option<&[Json]> {
    let any = schema.get("oneOf").or_else(|| schema.get("anyOf"))?;
    any.as_array().map(Vec::as_slice)
}

/// The constant that marks a branch of a tagged union.
fn tag(schema: &Json) -> Option<(&str, &Json)> {
    let name = schema.get("properties")?.get("type")?.get("const")?.as_str()?;
    Some((name, schema))
}

/// What is wrong with the value itself, leaving its parts aside.
fn problem(node: &Node, schema: &Json) -> Option<String> {
    if let Some(format) = schema.get("format").and_then(Json::as_str) {
        let value = node.to_json(&Path::default(), &|_| false);
        if let Some(expects) = scalar::mismatch(format, &value) {
            return (node.value != Value::Null || !allows(schema, "null"))
                .then(|| format!("must be {expects}, not {}", node.describe()));
        }
    }
    wrong_kind(node, schema).or_else(|| wrong_word(node, schema)).or_else(|| out_of_range(node, schema))
}

fn wrong_kind(node: &Node, schema: &Json) -> Option<String> {
    let kinds: Vec<&str> = match schema.get("type") {
        Some(Json::String(kind)) => vec![kind.as_str()],
        Some(Json::Array(kinds)) => kinds.iter().filter_map(Json::as_str).collect(),
        _ => return None,
    };
    let fits = kinds.iter().any(|kind| match (&node.value, *kind) {
        (Value::Null, "null") | (Value::Bool(_), "boolean") | (Value::Text(_), "string") => true,
        (Value::Number(number), "integer") => number.is_i64() || number.is_u64(),
        (Value::Number(_), "number") | (Value::List(_), "array") | (Value::Map(_), "object") => true,
        _ => false,
    });
    let wanted = kinds.iter().find(|kind| **kind != "null").map_or("left empty", |kind| called(kind));
    (!fits).then(|| format!("must be {wanted}, not {}", node.describe()))
}

fn called(kind: &str) -> &'static str {
    match kind {
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "a text",
        "array" => "a list",
        _ => "a map",
    }
}

fn wrong_word(node: &Node, schema: &Json) -> Option<String> {
    let known = words(schema)?;
    let Value::Text(given) = &node.value else {
        return Some(format!("must be one of {}, not {}", listed(known.into_iter()), node.describe()));
    };
    let fits = known.contains(&given.as_str());
    (!fits).then(|| format!("unknown word `{given}`{}", suggestion_or_list(given, known.into_iter())))
}

/// The words a schema allows: an `enum`, a `const`, or branches of nothing else.
fn words(schema: &Json) -> Option<Vec<&str>> {
    if let Some(Json::Array(words)) = schema.get("enum") {
        return words.iter().map(Json::as_str).collect();
    }
    if let Some(word) = schema.get("const") {
        return Some(vec![word.as_str()?]);
    }
    let words: Option<Vec<Vec<&str>>> = branches(schema)?.iter().map(words).collect();
    words.map(|words| words.concat())
}

fn out_of_range(node: &Node, schema: &Json) -> Option<String> {
    let Value::Number(number) = &node.value else { return None };
    let given = number.as_f64()?;
    let bound = |name: &str| schema.get(name).and_then(Json::as_f64);
    if let Some(least) = bound("minimum").filter(|least| given < *least) {
        return Some(format!("must be at least {least}, not {number}"));
    }
    if let Some(least) = bound("exclusiveMinimum").filter(|least| given <= *least) {
        return Some(format!("must be more than {least}, not {number}"));
    }
    let widest = (schema.get("format") == Some(&Json::from("uint32"))).then(|| f64::from(u32::MAX));
    let most = bound("maximum").or(widest).filter(|most| *most < given)?;
    Some(format!("must be at most {most}, not {number}"))
}

fn allows(schema: &Json, kind: &str) -> bool {
    match schema.get("type") {
        Some(Json::Array(kinds)) => kinds.iter().any(|known| known == kind),
        Some(Json::String(known)) => known == kind,
        _ => false,
    }
}

/// The nearest known word, or the list of them where it is short enough to read.
fn suggestion_or_list<'b>(given: &str, known: impl Iterator<Item = &'b str> + Clone) -> String {
    const LISTED_MAX: usize = 16;
    let near = suggestion(given, known.clone());
    let count = known.clone().count();
    if near.is_empty() && 0 < count && count <= LISTED_MAX {
        return format!("; known are {}", listed(known));
    }
    near
}

fn listed<'b>(words: impl Iterator<Item = &'b str>) -> String {
    let words: Vec<String> = words.map(|word| format!("`{word}`")).collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::schema::platform;

    fn words(schema: &Json, into: &mut BTreeSet<String>) {
        match schema {
            Json::Object(object) => object.iter().for_each(|(word, value)| match word.as_str() {
                "properties" | "$defs" => {
                    value.as_object().unwrap().values().for_each(|value| words(value, into))
                }
                "examples" | "enum" | "const" | "default" => drop(into.insert(word.clone())),
                _ => {
                    into.insert(word.clone());
                    words(value, into);
                }
            }),
            Json::Array(items) => items.iter().for_each(|item| words(item, into)),
            _ => (),
        }
    }

    #[test]
    fn schema_words_are_known() {
        let mut used = BTreeSet::new();
        words(platform(), &mut used);
        let handled = [
            "$ref",
            "$schema",
            "additionalProperties",
            "anyOf",
            "const",
            "description",
            "enum",
            "examples",
            "exclusiveMinimum",
            "format",
            "items",
            "maximum",
            "minimum",
            "oneOf",
            "pattern",
            "required",
            "title",
            "type",
            "unevaluatedProperties",
        ];
        let unknown: Vec<&String> = used.iter().filter(|word| !handled.contains(&word.as_str())).collect();
        assert!(unknown.is_empty(), "the check does not know {unknown:?}");
    }
}
