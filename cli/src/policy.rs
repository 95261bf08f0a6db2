//! `headroom policy`: the decision core as a closed loop over JSON lines. Bring your own plant.

use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use headroom_core::config::parse;
use headroom_core::decide::Decision;
use headroom_core::name::DimensionKey;
use headroom_core::pilot::Pilot;
use headroom_core::platform::Platform;
use headroom_core::series::Series;
use headroom_core::units::Units;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

/// A line that comes in.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Line {
    History { history: History },
    Ask(Ask),
}

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
    let text = crate::validate::read(file)?;
    let parsed = parse(&text).map_err(|faults| faults.to_string())?;
    let key = dimension(&parsed.platform, target)?;
    let mut pilot = None;
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| error.to_string())?;
        let answer = answer(&parsed.platform, &key, &mut pilot, &line);
        let answer = answer.unwrap_or_else(|error| json!({"error": error}));
        writeln!(output, "{answer}").and_then(|()| output.flush()).map_err(|error| error.to_string())?;
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
    line: &str,
) -> Result<Value, String> {
    match serde_json::from_str(line).map_err(|error| format!("not a history and not a question: {error}"))? {
        Line::History { history } => {
            let began = Instant::now();
            let series = Series::new(history.start, history.step_s, history.values);
            *pilot = Some(Pilot::new(platform, key, &series).map_err(|error| error.to_string())?);
            Ok(json!({"ready": true, "trained_ms": began.elapsed().as_secs_f64() * 1_000.0}))
        }
        Line::Ask(ask) => {
            let pilot = pilot.as_mut().ok_or("the history comes first")?;
            pilot.observe(&ask.values);
            let decided = pilot.decide(ask.now, Units(ask.desired), Units(ask.ready));
            decided.map(|decision| told(&decision, ask.desired)).ok_or_else(|| "nothing to decide".to_owned())
        }
    }
}

fn told(decision: &Decision, desired: u32) -> Value {
    let reasons: Vec<String> = decision.reasons.iter().map(ToString::to_string).collect();
    json!({
        "target": decision.target.map_or(desired, |target| target.0),
        "strategy": decision.strategy,
        "confidence": decision.confidence,
        "reasons": reasons,
    })
}
