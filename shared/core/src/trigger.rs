//! What started a cycle, for its log and its record. It decides nothing.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What started a cycle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Trigger {
    /// A person, or a program that said nothing about itself.
    #[default]
    Hand,
    /// A schedule.
    Schedule,
    /// A CloudWatch alarm that changed its state.
    Alarm {
        /// Its name.
        name: String,
        /// The state it changed to, as CloudWatch writes it.
        state: String,
        /// Why, in CloudWatch's words.
        reason: String,
    },
    /// Another event, or one that cannot be read.
    Event {
        /// Who sent it, if it says so.
        source: Option<String>,
    },
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trigger::Hand => write!(f, "by hand"),
            Trigger::Schedule => write!(f, "by its schedule"),
            Trigger::Alarm { name, state, reason } => write!(f, "by alarm {name}: {state}, {reason}"),
            Trigger::Event { source: Some(source) } => write!(f, "by an event of {source}"),
            Trigger::Event { source: None } => write!(f, "by an event that cannot be read"),
        }
    }
}
