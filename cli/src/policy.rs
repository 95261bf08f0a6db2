//! `headroom policy`: the decision core as a closed loop over JSON lines. Bring your own plant.

use std::io::BufRead as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use headroom_core::config::parse;
use headroom_core::decide::Decision;
use headroom_core::name::DimensionKey;
use headroom_core::pilot::{Pilot, steered};
use headroom_core::platform::Platform;
use headroom_core::series::Series;
use headroom_core::units::Units;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::output::is_read;

/// What is known before the first question.
#[derive(Debug, Deserialize)]
struct History {
    start: Timestamp,
    step_s: u32,
    values: Vec<Option<f64>>,
}

/// A question: what should the capacity be?
#[derive(Debug, Deserialize)]
struct Ask {
    now: Timestamp,
    values: Vec<Option<f64>>,
    ready: u32,
    desired: u32,
}

/// Answers every line of standard input on standard output. A bad line gets an error and the next one is read.
pub(crate) fn policy(file: &Path, target: &str) -> Result<ExitCode, String> {
    let parsed = parse(&crate::validate::read(file)?)
        .map_err(|faults| format!("{} is not valid:\n{faults}", file.display()))?;
    let platform = steered(&parsed.platform);
    let key = dimension(&platform, target)?;
    let mut pilot = None;
    // Bytes, because a line that is not UTF-8 is one bad line and not the end.
    for line in std::io::stdin().lock().split(b'\n') {
        let line = line.map_err(|error| format!("standard input: {error}"))?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let answer = answer(&platform, &key, &mut pilot, &line);
        if !is_read(answer.unwrap_or_else(|error| json!({"error": error})))? {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The dimension a target means: `web/desired`, or `web` where it has only one.
pub(crate) fn dimension(platform: &Platform, target: &str) -> Result<DimensionKey, String> {
    let named = |key: &DimensionKey| key.to_string() == target || key.resource.0 == target;
    let keys: Vec<DimensionKey> =
        platform.dimensions().map(|place| place.dimension.key.clone()).filter(named).collect();
    match keys.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(format!("the platform has no resource or dimension `{target}`")),
        more => Err(format!(
            "`{target}` has several dimensions: {}",
            more.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        )),
    }
}

fn answer<'a>(
    platform: &'a Platform,
    key: &DimensionKey,
    pilot: &mut Option<Pilot<'a>>,
    line: &[u8],
) -> Result<Value, String> {
    let mut line: Value = serde_json::from_slice(line).map_err(|error| format!("not JSON: {error}"))?;
    if let Some(history) = line.get_mut("history").map(Value::take) {
        let begun = Instant::now();
        let history: History =
            serde_json::from_value(history).map_err(|error| format!("not a history: {error}"))?;
        if history.step_s == 0 {
            return Err("not a history: step_s is zero".to_owned());
        }
        let series = Series::new(history.start, history.step_s, history.values);
        *pilot = Some(Pilot::new(platform, key, &series).map_err(|error| error.to_string())?);
        return Ok(json!({"ready": true, "trained_ms": begun.elapsed().as_secs_f64() * 1_000.0}));
    }
    let ask: Ask = serde_json::from_value(line).map_err(|error| format!("not a question: {error}"))?;
    let pilot = pilot.as_mut().ok_or("the history comes first")?;
    pilot.observe(&ask.values);
    let decided = pilot.decide(ask.now, Units(ask.desired), Units(ask.ready));
    decided.map(|decision| told(&decision, ask.desired)).ok_or_else(|| "nothing to decide".to_owned())
}

fn told(decision: &Decision, desired: u32) -> Value {
    let reasons: Vec<String> = decision.reasons.iter().map(ToString::to_string).collect();
    json!({
        "target": decision.target.map_or(desired, |target| target.0),
        "strategy": decision.source,
        "confidence": decision.confidence,
        "reasons": reasons,
    })
}
