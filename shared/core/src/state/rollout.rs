//! The rollout state: the phase a platform has reached, where phases move by evidence.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::platform::{Orchestration, Phase};

/// The phase reached, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutState {
    /// The phase that the file named then. When it names another one, that one counts: a person has decided.
    pub configured: Phase,
    /// The phase.
    pub phase: Phase,
    /// Since when.
    pub since: Timestamp,
    /// Why, as a sentence.
    pub why: String,
}

/// The phase that counts: as reached, where phases may move and the file has not named another one since.
pub(crate) fn effective(reached: Option<&RolloutState>, orchestration: &Orchestration) -> Phase {
    counting(reached, orchestration).map_or(orchestration.phase, |reached| reached.phase)
}

/// The rollout state, where it is what counts.
pub(super) fn counting<'a>(
    reached: Option<&'a RolloutState>,
    orchestration: &Orchestration,
) -> Option<&'a RolloutState> {
    reached.filter(|reached| orchestration.auto_promote && reached.configured == orchestration.phase)
}
