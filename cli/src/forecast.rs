//! `headroom forecast`: one JSON object a line in, one a line out.

use std::collections::BTreeMap;
use std::io::{BufRead as _, Write as _};
use std::process::ExitCode;
use std::time::Instant;

use headroom_core::series::Series;
use headroom_forecast::ensemble::{COVARIATES_MAX, Context, Covariate, Ensemble, Exclusion};
use headroom_forecast::{Forecast, Pattern};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Steps that may be asked for: a month of five minutes.
const HORIZON_MAX: usize = 8_640;

#[derive(Debug, Deserialize)]
struct Request {
    #[serde(default)]
    id: Option<serde_json::Value>,
    start: Timestamp,
    step_s: u32,
    values: Vec<Option<f64>>,
    horizon: usize,
    #[serde(default = "levels")]
    levels: Vec<f64>,
    /// Columns that are known beside the load: over the values, and over the horizon after them.
    #[serde(default)]
    regressors: BTreeMap<String, Vec<Option<f64>>>,
}

fn levels() -> Vec<f64> {
    vec![0.05, 0.5, 0.9, 0.95]
}

#[derive(Debug, Serialize)]
struct Reply {
    id: Option<serde_json::Value>,
    model: String,
    weights: BTreeMap<&'static str, f64>,
    pattern: Pattern,
    confidence: f64,
    anomaly: f64,
    drift: f64,
    dropped: BTreeMap<&'static str, Exclusion>,
    mean: Vec<f64>,
    quantiles: BTreeMap<String, Vec<f64>>,
    train_ms: f64,
    predict_ms: f64,
}

/// Answers every line; a bad one gets an error of its own and ends nothing.
pub(crate) fn forecast() -> Result<ExitCode, String> {
    let (input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    // Bytes, because a line that is not UTF-8 is one bad line and not the end.
    for line in input.split(b'\n') {
        let line = line.map_err(|error| format!("standard input: {error}"))?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let reply = match answer(&line) {
            Ok(reply) => serde_json::to_string(&reply).map_err(|error| error.to_string())?,
            Err(error) => failed(&line, error).to_string(),
        };
        writeln!(output, "{reply}").and_then(|()| output.flush()).map_err(|error| error.to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// An error with the line's `id`, as far as that can be read.
fn failed(line: &[u8], error: String) -> serde_json::Value {
    let read = serde_json::from_slice::<serde_json::Value>(line);
    match read.ok().and_then(|line| line.get("id").cloned()) {
        Some(id) => serde_json::json!({"id": id, "error": error}),
        None => serde_json::json!({ "error": error }),
    }
}

fn answer(line: &[u8]) -> Result<Reply, String> {
    let request: Request = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    if !(1..=HORIZON_MAX).contains(&request.horizon) {
        return Err(format!("horizon {} is not between 1 and {HORIZON_MAX}", request.horizon));
    }
    if let Some(level) = request.levels.iter().find(|level| !(0.0 < **level && **level < 1.0)) {
        return Err(format!("level {level} is not between 0 and 1"));
    }
    if request.step_s == 0 {
        return Err("step_s is zero".to_owned());
    }
    // A forecast goes on from the newest known point; what came after it and is not known is foreseen, too.
    let known = request.values.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    let unknown = request.values.len() - known;
    let horizon = request.horizon + unknown;
    if HORIZON_MAX < horizon {
        return Err(format!("{unknown} unknown values at the end are too many"));
    }
    let history = Series::new(request.start, request.step_s, request.values.iter().take(known).copied());
    let covariates = covariates(&request)?;
    let context = Context { covariates: &covariates };
    let begun = Instant::now();
    let ensemble = Ensemble::train(&history, &context, horizon).map_err(|why| why.to_string())?;
    let train_ms = ms(begun);
    let begun = Instant::now();
    let made = ensemble.predict(&history, &context, horizon, &request.levels);
    let made = from(made.map_err(|why| why.to_string())?, unknown);
    if !is_finite(&made) {
        return Err(
            "the forecast of this series is no finite number; scale its values or its regressors".to_owned()
        );
    }
    let predict_ms = ms(begun);
    Ok(reply(request.id, (made, Pattern::of(&history)), &ensemble, (train_ms, predict_ms)))
}

/// JSON has no infinity: it would come out as `null`, with nothing that says why.
fn is_finite(made: &Forecast) -> bool {
    let values = made.quantiles.iter().flat_map(|quantile| &quantile.values);
    values.chain(&made.mean).all(|value| value.is_finite())
}

/// The forecast without its first steps.
fn from(mut forecast: Forecast, first: usize) -> Forecast {
    let quantiles = forecast.quantiles.iter_mut().map(|quantile| &mut quantile.values);
    for values in quantiles.chain([&mut forecast.mean]) {
        values.drain(..first.min(values.len()));
    }
    forecast
}

fn ms(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1e3
}

fn reply(
    id: Option<serde_json::Value>,
    (made, pattern): (Forecast, Pattern),
    ensemble: &Ensemble,
    (train_ms, predict_ms): (f64, f64),
) -> Reply {
    let named = |quantile: headroom_forecast::Quantile| (quantile.level.to_string(), quantile.values);
    Reply {
        id,
        weights: ensemble.members().into_iter().collect(),
        model: made.model,
        pattern,
        confidence: made.confidence.get(),
        anomaly: ensemble.anomaly().get(),
        drift: ensemble.drift(),
        dropped: ensemble.excluded().into_iter().collect(),
        mean: made.mean,
        quantiles: made.quantiles.into_iter().map(named).collect(),
        train_ms,
        predict_ms,
    }
}

/// The columns as the core takes them.
fn covariates(request: &Request) -> Result<Vec<Covariate>, String> {
    let needed = request.values.len() + request.horizon;
    if COVARIATES_MAX < request.regressors.len() {
        return Err(format!("{} regressors are more than {COVARIATES_MAX}", request.regressors.len()));
    }
    let covariate = |(name, values): (&String, &Vec<Option<f64>>)| {
        if values.len() != needed {
            let found = values.len();
            return Err(format!(
                "regressor {name} has {found} values; {needed} are needed, past and horizon"
            ));
        }
        let series = Series::new(request.start, request.step_s, values.iter().copied());
        Ok(Covariate { name: name.clone(), series })
    };
    request.regressors.iter().map(covariate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(line: &str) -> Result<Reply, String> {
        super::answer(line.as_bytes())
    }

    fn request(values: usize, more: &str) -> String {
        let values: Vec<f64> = (0_u32..).take(values).map(|index| f64::from(index % 24)).collect();
        format!(
            r#"{{"id": 7, "start": "2026-01-01T00:00:00Z", "step_s": 3600, "values": {values:?}, {more}}}"#
        )
    }

    #[test]
    fn a_line_is_answered_in_full() {
        let reply = answer(&request(240, r#""horizon": 6, "levels": [0.05, 0.9], "extra": 1"#)).unwrap();
        assert_eq!(
            (reply.model.as_str(), reply.pattern, reply.mean.len()),
            ("ensemble", Pattern::Seasonal, 6)
        );
        assert_eq!(reply.quantiles.keys().collect::<Vec<_>>(), ["0.05", "0.9"]);
        assert!((reply.weights.values().sum::<f64>() - 1.0).abs() < 1e-9, "{:?}", reply.weights);
    }

    #[test]
    fn a_short_history_has_the_small_members() {
        let reply = answer(&request(30, r#""horizon": 3"#)).unwrap();
        assert_eq!((reply.dropped["boosted_line"], reply.quantiles.len()), (Exclusion::ShortHistory, 4));
    }

    #[test]
    fn unknown_values_at_the_end_move_no_forecast() {
        let whole = answer(&request(240, r#""horizon": 6"#)).unwrap();
        let cut = request(240, r#""horizon": 6"#).replace("22.0, 23.0], ", "null, null], ");
        assert!(cut.contains("null"));
        let cut = answer(&cut).unwrap();
        assert_eq!(cut.mean.len(), 6);
        for (cut, whole) in cut.mean.iter().zip(&whole.mean) {
            assert!((cut - whole).abs() < 1.5, "{cut} instead of {whole}");
        }
    }

    #[test]
    fn errors_say_of_which_line() {
        assert_eq!(failed(br#"{"id": "a"}"#, "no".to_owned()), serde_json::json!({"id": "a", "error": "no"}));
        assert_eq!(failed(b"\xff", "no".to_owned()), serde_json::json!({"error": "no"}));
    }

    #[test]
    fn bad_lines_say_what_is_wrong() {
        for (line, problem) in [
            ("{", "EOF"),
            (request(30, r#""horizon": 0"#).as_str(), "horizon 0"),
            (request(30, r#""horizon": 3, "levels": [1.5]"#).as_str(), "level 1.5"),
            (request(2, r#""horizon": 3"#).as_str(), "2 known points are too few"),
            (
                request(30, r#""horizon": 3, "regressors": {"sale": [0, 1]}"#).as_str(),
                "regressor sale has 2 values; 33 are needed",
            ),
        ] {
            let error = answer(line).unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn huge_values_are_finite_or_refused_with_a_reason() {
        let of = |value: &str, more: &str| {
            let values: Vec<String> =
                (0..60).map(|index| if index == 40 { value.to_owned() } else { index.to_string() }).collect();
            let values = values.join(", ");
            answer(&format!(
                r#"{{"id": 1, "start": "2026-01-01T00:00:00Z", "step_s": 3600, "values": [{values}], "horizon": 3{more}}}"#
            ))
        };
        for huge in ["1.7e308", "-1.7e308", "1e304"] {
            assert!(of(huge, "").unwrap_err().contains("is beyond 1e303"), "{huge}");
        }
        for large in ["1e302", "-1e302", "2.3e108", "1e12"] {
            let reply = of(large, "").unwrap();
            assert!(!serde_json::to_string(&reply).unwrap().contains("null"), "{large}");
            let values = reply.quantiles.values().flatten().chain(&reply.mean);
            assert!(values.clone().all(|value| value.is_finite()), "{large}: {:?}", reply.quantiles);
        }
        let column: Vec<f64> =
            (0_u32..63).map(|index| if index == 30 { 1.7e308 } else { f64::from(index) }).collect();
        match of("1", &format!(r#", "regressors": {{"sale": {column:?}}}"#)) {
            Ok(reply) => assert!(is_finite_reply(&reply), "{:?}", reply.quantiles),
            Err(error) => assert!(error.contains("scale"), "{error}"),
        }
    }

    fn is_finite_reply(reply: &Reply) -> bool {
        reply.quantiles.values().flatten().chain(&reply.mean).all(|value| value.is_finite())
    }
}
