//! What stands from before a cycle: pauses, circuit breakers, what was spent, what was learned.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::name::{GroupName, ResourceId};
use crate::plan::Direction;
use crate::platform::{Guardrails, Place};

/// What stands from before a cycle.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Standing {
    /// Pauses that people asked for.
    pub pauses: Vec<Pause>,
    /// The breaker of every resource that failed lately.
    pub breakers: BTreeMap<ResourceId, Breaker>,
    /// What the platform's capacity has cost since the month began, where that is known.
    pub spent_this_month: Option<f64>,
    /// How long a unit took to become ready, as learned, by resource.
    pub provisioning: BTreeMap<ResourceId, Duration>,
}

/// Nothing stands: a platform's first cycle.
pub static NOTHING: Standing = Standing {
    pauses: Vec::new(),
    breakers: BTreeMap::new(),
    spent_this_month: None,
    provisioning: BTreeMap::new(),
};

/// A pause somebody asked for. It ends by itself: a pause that is forgotten is an outage later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// The group concerned; `None` for all.
    pub group: Option<GroupName>,
    /// The resource concerned; `None` for all of the group.
    pub resource: Option<ResourceId>,
    /// The direction concerned; `None` for both.
    pub direction: Option<Direction>,
    /// When it ends.
    pub until: Timestamp,
    /// Who asked, or why.
    pub by: String,
}

impl Pause {
    /// Whether it stops a change of `place` in this direction at `now`.
    pub fn stops(&self, place: Place<'_>, direction: Direction, now: Timestamp) -> bool {
        now < self.until
            && self.group.as_ref().is_none_or(|group| *group == place.group.name)
            && self.resource.as_ref().is_none_or(|resource| *resource == place.resource.id)
            && self.direction.is_none_or(|stopped| stopped == direction)
    }
}

/// A resource's circuit breaker: changes that keep failing are not tried again at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    /// Failures since the last success.
    pub failures: u32,
    /// When the last of them was.
    pub failed_at: Option<Timestamp>,
}

/// Whether a breaker lets changes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// It does.
    Closed,
    /// It does not, until then.
    Open {
        /// When a trial is due.
        until: Timestamp,
    },
    /// It lets one unit through, to see whether that works.
    HalfOpen,
}

impl Breaker {
    /// The breaker after a change worked or failed.
    #[must_use]
    pub fn after(self, worked: bool, at: Timestamp) -> Breaker {
        if worked {
            return Breaker::default();
        }
        Breaker { failures: self.failures.saturating_add(1), failed_at: Some(at) }
    }

    /// Whether it lets changes through at `now`.
    pub fn state(self, guardrails: &Guardrails, now: Timestamp) -> BreakerState {
        let Some(failed_at) = self.failed_at.filter(|_| guardrails.breaker_failures.max(1) <= self.failures)
        else {
            return BreakerState::Closed;
        };
        let until = failed_at.checked_add(guardrails.breaker_open).unwrap_or(Timestamp::MAX);
        if now < until { BreakerState::Open { until } } else { BreakerState::HalfOpen }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn shop() -> crate::platform::Platform {
        let text = "configuration_name: shop
scaling_groups:
  web: {resources: [{type: ECS_SERVICE, name: web, min_capacity: 1, max_capacity: 9}]}
guardrails: {circuit_breaker: {failures: 2, open_for: 10m}}
";
        parse(text).unwrap().platform
    }

    #[test]
    fn a_breaker_opens_tries_and_closes() {
        let guardrails = &shop().guardrails;
        let once = Breaker::default().after(false, at(0));
        assert_eq!(once.state(guardrails, at(1)), BreakerState::Closed);
        let twice = once.after(false, at(60));
        assert_eq!(twice.state(guardrails, at(61)), BreakerState::Open { until: at(660) });
        assert_eq!(twice.state(guardrails, at(660)), BreakerState::HalfOpen);
        let again = twice.after(false, at(700));
        assert_eq!(again.state(guardrails, at(701)), BreakerState::Open { until: at(1_300) });
        assert_eq!(twice.after(true, at(700)).state(guardrails, at(701)), BreakerState::Closed);
    }

    #[test]
    fn a_pause_has_a_place_a_direction_and_an_end() {
        let platform = shop();
        let place = platform.dimensions().next().unwrap();
        let pause = Pause {
            group: Some("web".into()),
            resource: None,
            direction: Some(Direction::In),
            until: at(100),
            by: "ana".into(),
        };
        assert!(pause.stops(place, Direction::In, at(99)));
        assert!(!pause.stops(place, Direction::Out, at(99)));
        assert!(!pause.stops(place, Direction::In, at(100)));
        assert!(!Pause { group: Some("data".into()), ..pause }.stops(place, Direction::In, at(99)));
    }
}
