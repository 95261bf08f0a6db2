//! What a function can fail with. Each failure has a name for the state machine and a sentence for people.

use headroom_core::config::Faults;
use headroom_core::cycle::InvalidInput;
use headroom_core::journal::IllegalEvent;
use headroom_core::lease::LeaseLost;
use headroom_core::name::PlatformName;

use crate::error::{AwsError, ErrorKind};
use crate::store::StoreError;

/// A failed invocation.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Failure {
    /// The configuration is wrong.
    #[error("the configuration of {platform} has {} faults:\n{faults}", faults.0.len())]
    ConfigInvalid {
        /// Whose.
        platform: PlatformName,
        /// What is wrong.
        faults: Faults,
    },
    /// The configuration of one platform stands where that of another should.
    #[error(
        "the configuration stored for {platform} says `configuration_name: {found}`; two platforms must not share resources"
    )]
    ConfigMismatch {
        /// Where it stands.
        platform: PlatformName,
        /// What it says.
        found: PlatformName,
    },
    /// There is no configuration.
    #[error("there is no configuration for {platform}: {why}; `headroom apply` stores one")]
    ConfigMissing {
        /// Whose.
        platform: PlatformName,
        /// What was found instead.
        why: String,
    },
    /// The execution's input is wrong.
    #[error(transparent)]
    InvalidInput(#[from] InvalidInput),
    /// Another cycle acts by now.
    #[error(transparent)]
    LeaseLost(#[from] LeaseLost),
    /// The plan breaks a rule.
    #[error("the plan breaks a rule and is not carried out: {}", .0.join("; "))]
    PlanUnsound(Vec<String>),
    /// The plan must not be carried out.
    #[error("the plan must not be carried out: {0}")]
    PlanWithheld(String),
    /// The journal does not allow what was about to happen.
    #[error("the journal of {step} is in the way: {error}")]
    JournalRefused {
        /// Which step.
        step: String,
        /// Why.
        error: IllegalEvent,
    },
    /// Somebody else wrote at the same time.
    #[error("{0} was written by somebody else at the same time")]
    Conflict(String),
    /// What is stored cannot be used.
    #[error("{0}")]
    StateCorrupt(String),
    /// A call failed.
    #[error(transparent)]
    Aws(#[from] AwsError),
}

impl Failure {
    /// The stable name that the state machine branches on. Renaming one is a breaking change.
    pub fn name(&self) -> &'static str {
        match self {
            Failure::ConfigInvalid { .. } => "ConfigInvalid",
            Failure::ConfigMismatch { .. } => "ConfigMismatch",
            Failure::ConfigMissing { .. } => "ConfigMissing",
            Failure::InvalidInput(_) => "InvalidInput",
            Failure::LeaseLost(_) => "LeaseLost",
            Failure::PlanUnsound(_) => "PlanUnsound",
            Failure::PlanWithheld(_) => "PlanWithheld",
            Failure::JournalRefused { .. } => "JournalRefused",
            Failure::Conflict(_) => "Conflict",
            Failure::StateCorrupt(_) => "StateCorrupt",
            Failure::Aws(error) => error.kind.name(),
        }
    }

    /// Every name, for the test that holds the state machine against the code.
    pub fn names() -> Vec<&'static str> {
        let own = [
            "ConfigInvalid",
            "ConfigMismatch",
            "ConfigMissing",
            "InvalidInput",
            "LeaseLost",
            "PlanUnsound",
            "PlanWithheld",
            "JournalRefused",
            "Conflict",
            "StateCorrupt",
        ];
        own.into_iter().chain(ErrorKind::ALL.map(ErrorKind::name)).collect()
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        match error {
            StoreError::Conflict(what) => Failure::Conflict(what),
            StoreError::Aws(error) => Failure::Aws(error),
            StoreError::Corrupt { .. } | StoreError::Missing(_) => Failure::StateCorrupt(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_a_name_of_its_own() {
        let mut names = Failure::names();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        for kind in ErrorKind::ALL {
            assert!(names.contains(&Failure::Aws(AwsError::new(kind, "do", "no")).name()));
        }
        assert!(names.contains(&Failure::Conflict(String::new()).name()));
        assert!(names.contains(&Failure::PlanUnsound(Vec::new()).name()));
    }
}
