//! What people and schedules write to start a cycle.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value as Json;

use super::Task;
use crate::name::{DimensionKey, PlanId, PlatformName};
use crate::platform::Platform;
use crate::text::nearest_word;
use crate::units::Units;

/// Capacities that may be asked for by hand in one execution: people type these.
const MANUAL_MAX: usize = 100;

/// The input of an execution, as people and schedules write it.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// Which platform.
    pub platform: PlatformName,
    /// Decide and record, but change nothing.
    pub dry_run: bool,
    /// The time to decide for, if not now.
    pub now: Option<Timestamp>,
    /// Capacities asked for by hand.
    pub capacity: BTreeMap<DimensionKey, Units>,
    /// What it is for.
    pub task: Task,
    /// The plan to roll back: with the task rollback, and with no other.
    pub plan: Option<PlanId>,
}

/// An input that is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the input {0}")]
pub struct InvalidInput(String);

impl InvalidInput {
    /// A capacity asked for by hand of a dimension that the platform does not have.
    pub fn unknown_dimension(platform: &Platform, key: &DimensionKey) -> InvalidInput {
        let known: Vec<String> = platform.dimensions().map(|place| place.dimension.key.to_string()).collect();
        let near = nearest_word(&key.to_string(), known.iter().map(String::as_str));
        let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        InvalidInput(format!("asks for a capacity of `{key}`, which {} does not have{near}", platform.name))
    }
}

const KEYS: [&str; 7] = ["platform", "dryRun", "now", "capacity", "task", "plan", "event"];

impl Input {
    /// Reads an input. Only `platform` is required; `null` is the same as absent; `event`, the event that a rule passes
    /// on, is for the record.
    ///
    /// # Errors
    /// For unknown keys and wrong values, with what to write instead.
    pub fn read(raw: &Json) -> Result<Input, InvalidInput> {
        let invalid = |sentence: String| Err(InvalidInput(sentence));
        let Json::Object(given) = raw else {
            return invalid("must be an object such as {\"platform\": \"shop\"}".to_owned());
        };
        if let Some(unknown) = given.keys().find(|key| !KEYS.contains(&key.as_str())) {
            let near = nearest_word(unknown, KEYS)
                .map(|near| format!("; did you mean `{near}`?"))
                .unwrap_or_default();
            return invalid(format!("has the unknown key `{unknown}`{near}"));
        }
        let get = |key: &str| given.get(key).filter(|value| !value.is_null());
        let platform = match get("platform").map(Json::as_str) {
            Some(Some(name)) if !name.is_empty() => PlatformName(name.to_owned()),
            _ => return invalid("needs `platform`, such as {\"platform\": \"shop\"}".to_owned()),
        };
        let task = value(get("task"), "task", "scale, train, resume or rollback")?;
        let plan: Option<PlanId> =
            value(get("plan"), "plan", "the id of a plan, as `headroom explain` tells it")?;
        match (task, &plan) {
            (Task::Rollback, None) => {
                return invalid("needs `plan` with the task rollback, which plan to roll back".to_owned());
            }
            (Task::Rollback, Some(_)) if get("capacity").is_some() => {
                return invalid("asks for a capacity and to roll back; do one after the other".to_owned());
            }
            (Task::Scale | Task::Train | Task::Resume, Some(_)) => {
                return invalid("has `plan`, which only the task rollback takes".to_owned());
            }
            _ => (),
        }
        Ok(Input {
            platform,
            dry_run: value(get("dryRun"), "dryRun", "true or false")?,
            now: value(get("now"), "now", "a time such as 2026-11-23T12:00:00Z")?,
            capacity: manual(get("capacity"))?,
            task,
            plan,
        })
    }
}

fn value<T: Default + for<'de> Deserialize<'de>>(
    given: Option<&Json>,
    key: &str,
    expects: &str,
) -> Result<T, InvalidInput> {
    let Some(given) = given else { return Ok(T::default()) };
    T::deserialize(given).map_err(|_| InvalidInput(format!("has `{key}`: {given}; it must be {expects}")))
}

fn manual(given: Option<&Json>) -> Result<BTreeMap<DimensionKey, Units>, InvalidInput> {
    let capacity: BTreeMap<DimensionKey, Units> =
        value(given, "capacity", "a map such as {\"web/desired\": 12}")?;
    if MANUAL_MAX < capacity.len() {
        let count = capacity.len();
        return Err(InvalidInput(format!("asks for {count} capacities by hand; {MANUAL_MAX} are the most")));
    }
    Ok(capacity)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(raw: Json, expected: &str) {
        let actual = match Input::read(&raw) {
            Ok(Input { platform, dry_run, now, capacity, task, plan }) => {
                let capacity: Vec<String> =
                    capacity.iter().map(|(key, units)| format!("{key}={units}")).collect();
                let now = now.map_or("now".to_owned(), |now| now.to_string());
                let plan = plan.map(|plan| format!(" {plan}")).unwrap_or_default();
                format!("{platform} {dry_run} {now} {} {task:?}{plan}", capacity.join(","))
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(actual, expected);
    }

    #[test]
    fn inputs_are_friendly() {
        check(json!({"platform": "shop"}), "shop false now  Scale");
        check(json!({"platform": "shop", "now": null, "event": {"detail": 1}}), "shop false now  Scale");
        check(
            json!({"platform": "shop", "dryRun": true, "now": "2026-01-01T00:00:00Z", "capacity": {"web/desired": 12}, "task": "train"}),
            "shop true 2026-01-01T00:00:00Z web/desired=12 Train",
        );
        check(json!({"platform": "shop", "task": "rollback", "plan": "7-a"}), "shop false now  Rollback 7-a");
    }

    #[test]
    fn wrong_inputs_say_what_to_write() {
        check(json!({}), "the input needs `platform`, such as {\"platform\": \"shop\"}");
        check(json!("shop"), "the input must be an object such as {\"platform\": \"shop\"}");
        check(
            json!({"platform": "shop", "dryrun": true}),
            "the input has the unknown key `dryrun`; did you mean `dryRun`?",
        );
        check(
            json!({"platform": "shop", "dryRun": "yes"}),
            "the input has `dryRun`: \"yes\"; it must be true or false",
        );
        check(
            json!({"platform": "shop", "task": "scal"}),
            "the input has `task`: \"scal\"; it must be scale, train, resume or rollback",
        );
        check(
            json!({"platform": "shop", "capacity": {"web": 12}}),
            "the input has `capacity`: {\"web\":12}; it must be a map such as {\"web/desired\": 12}",
        );
        check(
            json!({"platform": "shop", "task": "rollback"}),
            "the input needs `plan` with the task rollback, which plan to roll back",
        );
        check(
            json!({"platform": "shop", "plan": "7-a"}),
            "the input has `plan`, which only the task rollback takes",
        );
        check(
            json!({"platform": "shop", "task": "rollback", "plan": "7-a", "capacity": {"web/desired": 12}}),
            "the input asks for a capacity and to roll back; do one after the other",
        );
    }
}
