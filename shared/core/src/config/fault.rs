//! What is wrong with a configuration file, told so that it can be mended in one round.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One thing wrong (or, as a warning, doubtful) in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Line in the file, from 1.
    pub line: usize,
    /// Column in the line, from 1.
    pub column: usize,
    /// Path in the document, such as `scaling_groups.web.resources[0].name`; empty for the whole file.
    pub path: String,
    /// What is wrong and what to do, as a sentence without its full stop.
    pub sentence: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { line, column, path, sentence } = self;
        if path.is_empty() {
            write!(f, "{line}:{column}: {sentence}")
        } else {
            write!(f, "{line}:{column}: {path}: {sentence}")
        }
    }
}

/// Every fault of one file, in the order of its lines. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", list(.0))]
pub struct Faults(pub Vec<Fault>);

fn list(faults: &[Fault]) -> String {
    let lines: Vec<String> = faults.iter().map(Fault::to_string).collect();
    lines.join("\n")
}
