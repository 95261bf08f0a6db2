//! A replay as one page: data, style and script inside, nothing fetched.

use std::cmp::Reverse;

use serde_json::{Value, json};

use super::tiers::short;
use super::{Band, ChangeKind, DecisionRecord, Replay, Run, Tier};
use crate::units::Units;

/// The most points of each line that are drawn. Of the minutes behind one point the most important one is shown.
const POINTS: usize = 1_500;
/// The most changes that are listed, the largest ones: the page has to open on a phone.
const CHANGES_MAX: usize = 3_000;

/// The page.
pub fn html(replay: &Replay) -> String {
    let step = replay.minutes.div_ceil(POINTS).max(1);
    let tiers: Vec<Value> = replay.tiers.iter().map(|tier| told_tier(replay, tier, step)).collect();
    let mut notes = replay.notes.clone();
    let runs: Vec<Value> = replay.runs.iter().map(|run| told_run(replay, run, step, &mut notes)).collect();
    let data = json!({
        "platform": replay.platform,
        "currency": replay.currency,
        "start": replay.start.as_second(),
        "minutes": replay.minutes,
        "history": replay.history_minutes,
        "cycle": replay.cycle_minutes,
        "step": step,
        "tiers": tiers,
        "runs": runs,
        "notes": notes,
    });
    // Data stands inside a script element; a `<` in it could end the element.
    let data = data.to_string().replace('<', "\\u003c");
    include_str!("page/page.html")
        .replace("/*STYLE*/", include_str!("page/page.css").trim_end())
        .replace("/*SCRIPT*/", include_str!("page/page.js").trim_end())
        .replace("/*DATA*/", &data)
}

/// A tier with its load and what our policy expected of it.
fn told_tier(replay: &Replay, tier: &Tier, step: usize) -> Value {
    // Each point is the largest value of its minutes, so that no peak is lost.
    let load = tier.load.chunks(step).map(|part| short(part.iter().copied().fold(0.0, f64::max)));
    let load: Vec<f64> = load.collect();
    let mut low = vec![None; load.len()];
    let mut high = vec![None; load.len()];
    let ours = replay.runs.first().map(|run| run.decisions.as_slice()).unwrap_or_default();
    let expected = |told: &DecisionRecord| Some((told.minute / step, told.expected?));
    let mine = ours.iter().filter(|told| told.dimension == tier.key);
    let known: Vec<(usize, Band)> = mine.filter_map(expected).collect();
    let ends = known.iter().skip(1).map(|(index, _)| *index).chain([load.len()]);
    for ((from, band), to) in known.iter().zip(ends) {
        for index in *from..to.max(from + 1) {
            low.get_mut(index).into_iter().for_each(|low| *low = Some(band.low));
            high.get_mut(index).into_iter().for_each(|high| *high = Some(band.high));
        }
    }
    json!({
        "dimension": tier.key,
        "metric": tier.metric,
        "limit": tier.limit_per_unit,
        "min": tier.bounds.min(),
        "max": tier.bounds.max(),
        "load": load,
        "low": low,
        "high": high,
    })
}

fn told_run(replay: &Replay, run: &Run, step: usize, notes: &mut Vec<String>) -> Value {
    let tier = |(run, tier): (&super::TierRun, &Tier)| {
        // For supply each point is the smallest value, because a shortage must be seen. That minute need not be the one with
        // the largest load, so the minutes with a shortage are counted as well.
        let supply = run.supply.chunks(step).map(|part| part.iter().copied().min().unwrap_or(0));
        let short = short_minutes(run, tier, step);
        json!({"figures": run.figures, "supply": supply.collect::<Vec<_>>(), "short": short})
    };
    let mut changes: Vec<&DecisionRecord> =
        run.decisions.iter().filter(|told| told.kind != ChangeKind::Hold).collect();
    if CHANGES_MAX < changes.len() {
        notes.push(format!(
            "{}: the page tells the {CHANGES_MAX} largest of {} changes",
            run.name,
            changes.len()
        ));
        changes.sort_by_key(|told| Reverse(told.from.abs_diff(told.to)));
        changes.truncate(CHANGES_MAX);
        changes.sort_by_key(|told| told.minute);
    }
    let change = |told: &&DecisionRecord| {
        let tier = replay.tiers.iter().position(|tier| tier.key == told.dimension);
        json!({"tier": tier, "minute": told.minute, "kind": told.kind, "from": told.from, "to": told.to, "why": told.reasons})
    };
    json!({
        "name": run.name,
        "figures": run.figures,
        "together": run.together,
        "tiers": run.tiers.iter().zip(&replay.tiers).map(tier).collect::<Vec<_>>(),
        "changes": changes.iter().map(change).collect::<Vec<_>>(),
    })
}

/// For each point, how many of its minutes had fewer units than their load needs.
fn short_minutes(run: &super::TierRun, tier: &Tier, step: usize) -> Vec<usize> {
    let need = |load: &f64| Units::at_least(load / tier.limit_per_unit).max(tier.bounds.min());
    let minutes: Vec<bool> =
        run.supply.iter().zip(&tier.load).map(|(supply, load)| Units(*supply) < need(load)).collect();
    minutes.chunks(step).map(|part| part.iter().filter(|short| **short).count()).collect()
}
