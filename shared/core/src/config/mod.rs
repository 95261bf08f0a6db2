//! `platform.yaml`: the contract with users.
//!
//! Text is read into a tree that knows its places (`yaml`), held against the schema (`check`), read into its shape
//! (`raw`) and built into a [`Platform`] (`build`). Every fault is reported at once, with line, column and path.

mod aws_metrics;
mod build;
mod changes;
mod check;
mod fault;
mod kind_pages;
mod kinds;
mod path;
mod raw;
mod schema;
mod yaml;

use std::fmt;

pub use changes::{ValueChange, changes};
pub use fault::{Fault, Faults};
pub use kind_pages::kind_facts;
pub use kinds::kinds_table;
pub use schema::schema;
pub use yaml::FILE_BYTES_MAX;

use self::path::Path;
use self::yaml::{Node, Value};
use crate::platform::Platform;

/// A platform with what an operator should know about its file.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The platform.
    pub platform: Platform,
    /// What is allowed but doubtful.
    pub warnings: Vec<Fault>,
    /// Every value that was not written, as it came out.
    pub defaults: Vec<DefaultUsed>,
}

/// A value that was not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultUsed {
    /// Where it would stand.
    pub path: String,
    /// What it came out as.
    pub value: String,
}

impl fmt::Display for DefaultUsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.value)
    }
}

/// Reads a platform file.
///
/// # Errors
/// Every fault of the file, in the order of its lines.
pub fn parse(text: &str) -> Result<Parsed, Faults> {
    let (root, mut faults) = yaml::read(text).map_err(|fault| Faults(vec![fault]))?;
    let root = unwrapped(&root);
    let found = check::check(root, schema::platform());
    faults.extend(found.faults);
    let dropped = found.dropped;
    let json = root.to_json(&Path::default(), &|path| dropped.contains(path));
    let built = serde_json::from_value::<raw::Platform>(json).map(|raw| {
        let mut build = build::Build::new(root, &dropped);
        let platform = build::platform(&mut build, raw);
        (platform, build)
    });
    match built {
        Ok((platform, build)) => {
            faults.extend(build.faults);
            let parsed = Parsed { platform, warnings: build.warnings, defaults: build.defaults };
            if faults.is_empty() { Ok(parsed) } else { Err(sorted(faults)) }
        }
        Err(error) => {
            // The check lets through only what the shape can hold; should they ever disagree, nothing is lost.
            if faults.is_empty() {
                faults.push(root.mark.fault(&Path::default(), error.to_string()));
            }
            Err(sorted(faults))
        }
    }
}

fn sorted(mut faults: Vec<Fault>) -> Faults {
    faults.sort_by_key(|fault| (fault.line, fault.column));
    faults.dedup();
    Faults(faults)
}

/// The platform inside the optional wrapping key.
fn unwrapped(root: &Node) -> &Node {
    match &root.value {
        Value::Map(entries) => match entries.as_slice() {
            [only] if only.key == schema::WRAPPER => &only.node,
            _ => root,
        },
        _ => root,
    }
}

#[cfg(test)]
mod tests;
