//! What people asked for, each until a time: pauses and overrides.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::name::{DimensionKey, GroupName, ResourceId};
use crate::platform::{Place, Platform};
use crate::text::nearest_word;
use crate::units::{Direction, Units};

/// What people asked for. It is stored on its own, so that a cycle never writes over what somebody asks for meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OperatorRequests {
    /// Changes that must not be made.
    pub pauses: Vec<Pause>,
    /// Capacity that must be there.
    pub overrides: Vec<Override>,
}

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

/// A floor somebody asked for. It never stops a scale-out: an exact capacity that is forgotten is an outage too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// Of which dimension.
    pub key: DimensionKey,
    /// At least so many units.
    pub units: Units,
    /// When it ends.
    pub until: Timestamp,
    /// Who asked, or why.
    pub by: String,
}

/// Something that cannot be asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    /// There is no such group, resource or dimension.
    #[error("the platform has no {what} `{name}`{near}")]
    Unknown {
        /// Group, resource or dimension.
        what: &'static str,
        /// Its name.
        name: String,
        /// The nearest known name, as the end of the sentence.
        near: String,
    },
    /// It would end too late, or has ended.
    #[error("it must end within {} days", TERM_MAX.as_secs() / 86_400)]
    Term,
    /// Too much stands already.
    #[error("{REQUESTS_MAX} pauses and overrides are the most; end some first")]
    TooMany,
}

/// Whoever needs longer changes the file, where everybody can see it.
pub const TERM_MAX: Duration = Duration::from_secs(14 * 86_400);

/// Pauses, and overrides, of a platform: people type these.
pub const REQUESTS_MAX: usize = 100;

impl Pause {
    /// Whether it stops a change of `place` in this direction at `now`.
    pub fn stops(&self, place: Place<'_>, direction: Direction, now: Timestamp) -> bool {
        now < self.until
            && self.group.as_ref().is_none_or(|group| *group == place.group.name)
            && self.resource.as_ref().is_none_or(|resource| *resource == place.resource.id)
            && self.direction.is_none_or(|stopped| stopped == direction)
    }
}

impl OperatorRequests {
    /// The pause that stops a change of `place` in this direction at `now`: the one that ends last.
    pub fn pause(&self, place: Place<'_>, direction: Direction, now: Timestamp) -> Option<&Pause> {
        self.pauses.iter().filter(|pause| pause.stops(place, direction, now)).max_by_key(|pause| pause.until)
    }

    /// The override that counts for a dimension at `now`: the largest.
    pub fn floor(&self, key: &DimensionKey, now: Timestamp) -> Option<&Override> {
        let counting = self.overrides.iter().filter(|floor| floor.key == *key && now < floor.until);
        counting.max_by_key(|floor| floor.units)
    }

    /// With one pause more, and without what has ended. The same pause asked for again replaces the old one.
    ///
    /// # Errors
    /// When it names what is not there, ends too late, or is one too many.
    pub fn paused(
        &self,
        platform: &Platform,
        pause: Pause,
        now: Timestamp,
    ) -> Result<OperatorRequests, InvalidRequest> {
        if let Some(name) = &pause.group {
            known("group", &name.0, platform.groups.iter().map(|group| group.name.0.as_str()))?;
        }
        if let Some(id) = &pause.resource {
            known("resource", &id.0, platform.resources().map(|(_, resource)| resource.id.0.as_str()))?;
        }
        let of = |pause: &Pause| (pause.group.clone(), pause.resource.clone(), pause.direction);
        let mut requests = self.without_ended(now);
        requests.pauses.retain(|old| of(old) != of(&pause));
        within_limits(requests.pauses.len(), pause.until, now)?;
        requests.pauses.push(pause);
        Ok(requests)
    }

    /// Without any pause.
    #[must_use]
    pub fn unpaused(&self, now: Timestamp) -> OperatorRequests {
        OperatorRequests { pauses: Vec::new(), ..self.without_ended(now) }
    }

    /// With an override, which replaces that of the same dimension; no units take it away.
    ///
    /// # Errors
    /// When it names what is not there, ends too late, or is one too many.
    pub fn overridden(
        &self,
        platform: &Platform,
        wanted: Override,
        now: Timestamp,
    ) -> Result<OperatorRequests, InvalidRequest> {
        let keys: Vec<String> = platform.dimensions().map(|place| place.dimension.key.to_string()).collect();
        known("dimension", &wanted.key.to_string(), keys.iter().map(String::as_str))?;
        let mut requests = self.without_ended(now);
        requests.overrides.retain(|old| old.key != wanted.key);
        if wanted.units == Units(0) {
            return Ok(requests);
        }
        within_limits(requests.overrides.len(), wanted.until, now)?;
        requests.overrides.push(wanted);
        Ok(requests)
    }

    fn without_ended(&self, now: Timestamp) -> OperatorRequests {
        OperatorRequests {
            pauses: self.pauses.iter().filter(|pause| now < pause.until).cloned().collect(),
            overrides: self.overrides.iter().filter(|floor| now < floor.until).cloned().collect(),
        }
    }
}

fn known<'a>(
    what: &'static str,
    name: &str,
    names: impl Iterator<Item = &'a str>,
) -> Result<(), InvalidRequest> {
    let names: Vec<&str> = names.collect();
    if names.contains(&name) {
        return Ok(());
    }
    let near = nearest_word(name, names).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    Err(InvalidRequest::Unknown { what, name: name.to_owned(), near })
}

fn within_limits(standing: usize, until: Timestamp, now: Timestamp) -> Result<(), InvalidRequest> {
    let left = until.duration_since(now);
    if left.is_negative() || left.is_zero() || TERM_MAX < left.unsigned_abs() {
        return Err(InvalidRequest::Term);
    }
    if REQUESTS_MAX <= standing { Err(InvalidRequest::TooMany) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn shop() -> Platform {
        let text = "configuration_name: shop
scaling_groups:
  web: {resources: [{type: ECS_SERVICE, name: web, min_capacity: 1, max_capacity: 9}]}
";
        parse(text).unwrap().platform
    }

    fn pause(until: i64) -> Pause {
        let direction = Some(Direction::In);
        Pause { group: Some("web".into()), resource: None, direction, until: at(until), by: "ana".into() }
    }

    fn floor(key: &str, units: u32, until: i64) -> Override {
        Override { key: key.parse().unwrap(), units: Units(units), until: at(until), by: "ana".into() }
    }

    #[test]
    fn a_pause_has_a_place_a_direction_and_an_end() {
        let platform = shop();
        let place = platform.dimensions().next().unwrap();
        let pause = pause(100);
        assert!(pause.stops(place, Direction::In, at(99)));
        assert!(!pause.stops(place, Direction::Out, at(99)));
        assert!(!pause.stops(place, Direction::In, at(100)));
        assert!(!Pause { group: Some("data".into()), ..pause }.stops(place, Direction::In, at(99)));
    }

    #[test]
    fn what_is_asked_for_again_replaces_and_what_ended_goes() {
        let platform = shop();
        let requests = OperatorRequests::default().paused(&platform, pause(100), at(0)).unwrap();
        let longer = requests.paused(&platform, pause(200), at(50)).unwrap();
        assert_eq!(longer.pauses, [pause(200)]);
        let other = Pause { direction: None, ..pause(500) };
        assert_eq!(longer.paused(&platform, other.clone(), at(200)).unwrap().pauses, [other]);
        assert_eq!(longer.unpaused(at(60)), OperatorRequests::default());
        let requests = longer.overridden(&platform, floor("web/desired", 5, 300), at(60)).unwrap();
        assert_eq!(requests.floor(&"web/desired".parse().unwrap(), at(299)).unwrap().units, Units(5));
        assert_eq!(requests.floor(&"web/desired".parse().unwrap(), at(300)), None);
        assert_eq!(requests.unpaused(at(60)).overrides.len(), 1);
        let none = requests.overridden(&platform, floor("web/desired", 0, 300), at(60)).unwrap();
        assert_eq!((none.overrides.len(), none.pauses.len()), (0, 1));
    }

    #[test]
    fn what_makes_no_sense_cannot_be_asked_for() {
        let platform = shop();
        let refused =
            |pause| OperatorRequests::default().paused(&platform, pause, at(0)).unwrap_err().to_string();
        assert_eq!(
            refused(Pause { group: Some("wep".into()), ..pause(10) }),
            "the platform has no group `wep`; did you mean `web`?"
        );
        assert_eq!(
            refused(Pause { resource: Some("api".into()), ..pause(10) }),
            "the platform has no resource `api`"
        );
        assert_eq!(refused(pause(0)), "it must end within 14 days");
        assert_eq!(refused(pause(15 * 86_400)), "it must end within 14 days");
        let unknown =
            OperatorRequests::default().overridden(&platform, floor("web/desird", 2, 10), at(0)).unwrap_err();
        assert_eq!(
            unknown.to_string(),
            "the platform has no dimension `web/desird`; did you mean `web/desired`?"
        );
        let full = OperatorRequests { pauses: vec![pause(99); REQUESTS_MAX], ..OperatorRequests::default() };
        let one_more = Pause { direction: None, ..pause(10) };
        assert_eq!(full.paused(&platform, one_more, at(0)), Err(InvalidRequest::TooMany));
    }
}
