//! A replay as one page: data, style and script inside, nothing fetched.

use serde_json::json;

use super::Replay;

/// Points drawn of each line at most; of every stretch its largest, so that no peak is lost.
const POINTS: usize = 2_000;

/// The page.
pub fn html(replay: &Replay, currency: &str) -> String {
    let stretch = replay.load.len().div_ceil(POINTS).max(1);
    let load: Vec<f64> =
        replay.load.chunks(stretch).map(|part| part.iter().copied().fold(0.0, f64::max)).collect();
    let runs: Vec<_> = replay
        .runs
        .iter()
        .map(|run| {
            // Of supply the smallest: what is too little must be seen.
            let supply = run.supply.chunks(stretch).map(|part| part.iter().copied().min().unwrap_or(0));
            json!({"name": run.name, "figures": run.figures, "supply": supply.collect::<Vec<_>>(), "told": run.told})
        })
        .collect();
    let data = json!({
        "dimension": replay.dimension,
        "start": replay.start.as_second(),
        "step": stretch,
        "limit": replay.limit_per_unit,
        "currency": currency,
        "load": load,
        "runs": runs,
    });
    // Data stands inside a script element; a `<` in it could end the element.
    let data = data.to_string().replace('<', "\\u003c");
    include_str!("page.html").replace("/*DATA*/", &data)
}
