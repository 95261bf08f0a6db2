//! What the state machine and the functions say to each other. Small by construction: references, never series.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::config::nearest_word;
use crate::health::Verdict;
use crate::history::{SHARDS, shard};
use crate::name::{ConfigVersion, CycleId, DimensionKey, PlanId, PlatformName, ResourceId};
use crate::plan::{Plan, STEPS_PER_BATCH, Wave};
use crate::platform::Platform;
use crate::units::Units;
use crate::usage::Usage;

/// Capacities that may be asked for by hand in one execution: people type these.
const MANUAL_MAX: usize = 100;

/// Dimensions of a batch: a forecast of so many fits well into one invocation, with time to spare for a retry.
const BATCH_DIMENSIONS: usize = 100;

/// What an execution is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Look, think, act.
    #[default]
    Scale,
    /// Train the models; changes no capacity.
    Train,
    /// A person has looked at what could not be taken back: act again from now on.
    Resume,
}

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

const KEYS: [&str; 6] = ["platform", "dryRun", "now", "capacity", "task", "event"];

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
        Ok(Input {
            platform,
            dry_run: value(get("dryRun"), "dryRun", "true or false")?,
            now: value(get("now"), "now", "a time such as 2026-11-23T12:00:00Z")?,
            capacity: manual(get("capacity"))?,
            task: value(get("task"), "task", "scale, train or resume")?,
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

/// One execution of the state machine for one platform. Handed from function to function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cycle {
    /// Which platform.
    pub platform: PlatformName,
    /// Its id: the execution's name.
    pub id: CycleId,
    /// The execution's ARN.
    pub execution: String,
    /// The time it decides for.
    pub now: Timestamp,
    /// When the execution started. It differs from `now` only when another time was asked for.
    pub started_at: Timestamp,
    /// Decide and record, but change nothing.
    pub dry_run: bool,
    /// What it is for.
    pub task: Task,
}

/// The execution, as the state machine's context object has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Execution {
    /// Its name.
    pub name: CycleId,
    /// Its ARN.
    pub arn: String,
    /// When it started.
    pub started_at: Timestamp,
}

impl Cycle {
    /// The cycle of an execution with this input.
    pub fn new(input: &Input, execution: &Execution) -> Cycle {
        Cycle {
            platform: input.platform.clone(),
            id: execution.name.clone(),
            execution: execution.arn.clone(),
            now: input.now.unwrap_or(execution.started_at),
            started_at: execution.started_at,
            dry_run: input.dry_run,
            task: input.task,
        }
    }
}

impl Cycle {
    /// The cycle's own time at a time of the clock: a cycle that decides for another time lives in it, so that what it
    /// records has the right age for cycles that decide for later times. Leases live by the clock.
    pub fn time(&self, at: Timestamp) -> Timestamp {
        self.now.checked_add(at.duration_since(self.started_at)).unwrap_or(at)
    }
}

/// A part of a platform that is worked on at once: a range of shards, so that it needs no list of names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Batch {
    first: u8,
    last: u8,
}

/// A text that is not a batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a batch")]
pub struct NotABatch(String);

impl Batch {
    /// The shards it covers.
    pub fn shards(&self) -> RangeInclusive<u8> {
        self.first..=self.last
    }

    /// Whether a resource belongs to it.
    pub fn contains(&self, resource: &ResourceId) -> bool {
        self.shards().contains(&shard(resource))
    }

    /// The batches that cover a platform: as few as hold at most a hundred dimensions each, where shards allow.
    pub fn cover(platform: &Platform) -> Vec<Batch> {
        let mut sizes = vec![0_usize; usize::from(SHARDS)];
        for place in platform.dimensions() {
            if let Some(size) = sizes.get_mut(usize::from(shard(&place.resource.id))) {
                *size += 1;
            }
        }
        let mut batches: Vec<Batch> = Vec::new();
        let mut held = 0;
        for (shard, size) in (0..SHARDS).zip(sizes) {
            match batches.last_mut().filter(|_| held + size <= BATCH_DIMENSIONS || held == 0) {
                Some(batch) => batch.last = shard,
                None => {
                    batches.push(Batch { first: shard, last: shard });
                    held = 0;
                }
            }
            held += size;
        }
        batches
    }
}

impl std::fmt::Display for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02}-{:02}", self.first, self.last)
    }
}

impl From<Batch> for String {
    fn from(batch: Batch) -> String {
        batch.to_string()
    }
}

impl TryFrom<String> for Batch {
    type Error = NotABatch;

    fn try_from(text: String) -> Result<Batch, NotABatch> {
        let range =
            text.split_once('-').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
        match range {
            Some((first, last)) if first <= last && last < SHARDS => Ok(Batch { first, last }),
            _ => Err(NotABatch(text)),
        }
    }
}

/// To collect-metrics.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CollectRequest {
    /// The execution's input, as it was given.
    pub input: Json,
    /// The execution.
    pub execution: Execution,
    /// When the state was entered.
    pub at: Timestamp,
}

/// From collect-metrics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Collected {
    /// What there is to do.
    pub kind: CollectedKind,
    /// The cycle.
    pub cycle: Cycle,
    /// The configuration it works from, when it is ready.
    pub config: Option<ConfigVersion>,
    /// The batches to work on.
    pub batches: Vec<Batch>,
    /// Capacities asked for by hand.
    pub capacity: BTreeMap<DimensionKey, Units>,
    /// The plan to take back, when recovering.
    pub plan: Option<PlanOutline>,
    /// One sentence.
    pub summary: String,
    /// What it used.
    pub usage: Usage,
}

/// What there is to do after collecting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CollectedKind {
    /// Forecast, then decide.
    Ready,
    /// Nothing: another cycle acts, or a person must look first.
    Skipped,
    /// Take back what a dead cycle left.
    Recover,
    /// Nothing more: a person has looked.
    Resumed,
}

/// To forecast.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForecastRequest {
    /// The cycle.
    pub cycle: Cycle,
    /// The configuration it works from.
    pub config: ConfigVersion,
    /// The batch.
    pub batch: Batch,
}

/// From forecast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Forecasted {
    /// The batch.
    pub batch: Batch,
    /// Forecasts made.
    pub made: usize,
    /// Metrics without one, which fall back to their measured load.
    pub missing: usize,
    /// What it used.
    pub usage: Usage,
}

/// To decide.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecideRequest {
    /// The cycle.
    pub cycle: Cycle,
    /// The configuration it works from.
    pub config: ConfigVersion,
    /// The batches of the platform.
    pub batches: Vec<Batch>,
    /// Those whose forecast failed.
    pub failed_batches: Vec<Batch>,
    /// Capacities asked for by hand.
    pub capacity: BTreeMap<DimensionKey, Units>,
    /// When the state was entered.
    pub at: Timestamp,
}

/// From decide.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decided {
    /// What to do.
    pub kind: DecidedKind,
    /// The plan, by reference.
    pub plan: PlanOutline,
    /// One sentence.
    pub summary: String,
    /// What it used.
    pub usage: Usage,
}

/// What to do after deciding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecidedKind {
    /// Nothing.
    Hold,
    /// Carry out the waves.
    Scale,
}

/// A plan as the state machine walks it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanOutline {
    /// Which plan.
    pub id: PlanId,
    /// Whether waves begun are taken back when one fails.
    pub rollback: bool,
    /// Its waves.
    pub waves: Vec<WaveOutline>,
}

impl PlanOutline {
    /// The outline of a plan.
    pub fn of(plan: &Plan) -> PlanOutline {
        let outline = |wave: &Wave| WaveOutline {
            batches: (0..wave.steps.len().div_ceil(STEPS_PER_BATCH)).collect(),
            poll_seconds: wave.poll_s,
        };
        PlanOutline {
            id: plan.id.clone(),
            rollback: plan.rollback,
            waves: plan.waves.iter().map(outline).collect(),
        }
    }
}

/// A wave as the state machine walks it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WaveOutline {
    /// The numbers of its batches of steps.
    pub batches: Vec<usize>,
    /// How often health is asked.
    pub poll_seconds: u32,
}

/// To execute.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum ExecuteRequest {
    /// Make the steps of a batch.
    Apply(Steps),
    /// Take back the steps of a batch.
    Undo(Steps),
    /// Close the cycle.
    Settle(Box<SettleRequest>),
}

/// Which steps.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Steps {
    /// The cycle.
    pub cycle: Cycle,
    /// The plan.
    pub plan_id: PlanId,
    /// The wave.
    pub wave: usize,
    /// The batch within the wave.
    pub batch: usize,
    /// When the state was entered.
    pub at: Timestamp,
}

/// From execute, for a batch of steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Executed {
    /// Whether the wave may go on.
    pub kind: ExecutedKind,
    /// Steps that hold now by our call, or were taken back.
    pub made: usize,
    /// Steps that held already.
    pub found: usize,
    /// Steps that were refused because the world had moved.
    pub refused: usize,
    /// Steps that were skipped because what they build on is missing.
    pub skipped: usize,
    /// Steps that failed.
    pub failed: usize,
    /// Why, for those that were not made.
    pub reasons: Vec<String>,
    /// What it used.
    pub usage: Usage,
}

/// Whether a wave may go on after a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecutedKind {
    /// Something was made: look at its health.
    Made,
    /// Nothing was made, and nothing failed: there is nothing to wait for.
    Nothing,
    /// Something failed: take back what was begun.
    Failed,
}

/// To settle: how far the state machine came.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SettleRequest {
    /// The execution's input, as it was given.
    pub input: Json,
    /// The execution.
    pub execution: Execution,
    /// When the state was entered.
    pub at: Timestamp,
    /// What collect-metrics said, if it came so far.
    pub collected: Option<CollectedOutline>,
    /// What decide said, if it came so far.
    pub decided: Option<DecidedOutline>,
    /// Batches whose forecast failed.
    #[serde(default)]
    pub failed_batches: Vec<Batch>,
    /// What went wrong, if anything did.
    pub failure: Option<Failure>,
    /// What went wrong while taking back, if anything did.
    pub undo_failure: Option<Failure>,
    /// What the cycle used so far.
    pub usage: Usage,
}

/// What collect-metrics said, as far as settling needs it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CollectedOutline {
    /// What there was to do.
    pub kind: CollectedKind,
    /// One sentence.
    pub summary: String,
}

/// What decide said, as far as settling needs it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecidedOutline {
    /// What was to do.
    pub kind: DecidedKind,
    /// The plan.
    pub plan_id: PlanId,
    /// How many waves it has, to be carried out or not. A plan without any is not stored.
    pub waves: usize,
    /// One sentence.
    pub summary: String,
}

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// Its stable name.
    pub error: String,
    /// What happened, as a sentence, or what Lambda made of it.
    pub cause: String,
}

/// To health-check.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthRequest {
    /// The cycle.
    pub cycle: Cycle,
    /// The plan.
    pub plan_id: PlanId,
    /// The wave.
    pub wave: usize,
    /// Whether the wave was taken back.
    pub undo: bool,
    /// When the wave, or its taking back, started.
    pub started_at: Timestamp,
    /// When the state was entered.
    pub at: Timestamp,
    /// How often in a row a probe failed so far.
    pub strikes: u32,
}

/// From health-check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthChecked {
    /// The verdict.
    pub kind: Verdict,
    /// How often in a row a probe failed.
    pub strikes: u32,
    /// Why.
    pub reasons: Vec<String>,
    /// What it used.
    pub usage: Usage,
}

/// Sentences handed through the state machine for one batch or one verdict: enough to understand, small enough for a
/// thousand of them to fit into a payload.
pub const REASONS_MAX: usize = 5;

/// The first few sentences, and how many more there are.
pub fn few(reasons: Vec<String>) -> Vec<String> {
    const LETTERS_MAX: usize = 300;
    let more = reasons.len().saturating_sub(REASONS_MAX);
    let mut few: Vec<String> = reasons
        .into_iter()
        .take(REASONS_MAX)
        .map(|reason| reason.chars().take(LETTERS_MAX).collect())
        .collect();
    if 0 < more {
        few.push(format!("and {more} more"));
    }
    few
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(raw: Json, expected: &str) {
        let actual = match Input::read(&raw) {
            Ok(Input { platform, dry_run, now, capacity, task }) => {
                let capacity: Vec<String> =
                    capacity.iter().map(|(key, units)| format!("{key}={units}")).collect();
                let now = now.map_or("now".to_owned(), |now| now.to_string());
                format!("{platform} {dry_run} {now} {} {task:?}", capacity.join(","))
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
            "the input has `task`: \"scal\"; it must be scale, train or resume",
        );
        check(
            json!({"platform": "shop", "capacity": {"web": 12}}),
            "the input has `capacity`: {\"web\":12}; it must be a map such as {\"web/desired\": 12}",
        );
    }

    fn platform(services: usize) -> Platform {
        let list: String = (0..services)
            .map(|i| {
                format!(
                    "      - {{type: ECS_SERVICE, name: service-{i}, min_capacity: 1, max_capacity: 3}}\n"
                )
            })
            .collect();
        let text = format!("configuration_name: shop\nscaling_groups:\n  app:\n    resources:\n{list}");
        crate::config::parse(&text).unwrap().platform
    }

    #[test]
    fn batches_cover_every_shard_once() {
        let texts = |services: usize| {
            Batch::cover(&platform(services)).iter().map(Batch::to_string).collect::<Vec<_>>()
        };
        assert_eq!(texts(3), ["00-63"]);
        for services in [100, 101, 2_000, 10_000] {
            let batches = Batch::cover(&platform(services));
            let shards: Vec<u8> = batches.iter().flat_map(Batch::shards).collect();
            assert_eq!(shards, (0..SHARDS).collect::<Vec<u8>>(), "{services}");
            assert!(batches.len() <= services / 50 + 1, "{services}: {}", batches.len());
        }
    }

    #[test]
    fn batches_are_read_as_written() {
        assert_eq!(serde_json::from_str::<Batch>("\"03-09\"").unwrap().to_string(), "03-09");
        for text in ["\"9-3\"", "\"0-64\"", "\"x\"", "\"\""] {
            assert!(serde_json::from_str::<Batch>(text).is_err(), "{text}");
        }
    }
}
