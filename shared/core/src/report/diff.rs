//! What a plan changes, as a difference for a terminal: what is set, what it becomes, and why.

use super::explain::{CycleRecord, line};
use crate::decide::Decision;
use crate::units::Units;

/// What the cycle would change or has changed: a line for each dimension, those that change first, in the order of the waves.
pub fn diff(record: &CycleRecord<'_>) -> String {
    let now = record.now.strftime("%a %Y-%m-%d %H:%M UTC");
    let phase = record.decisions.iter().find_map(|decision| decision.phase);
    let phase = phase.map(|phase| format!(", phase {}", phase.name())).unwrap_or_default();
    let mut text = format!("{} at {now}{phase}\n", record.platform);
    let changed: Vec<(usize, &Decision)> = waves(record);
    for (wave, decision) in &changed {
        write_change(&mut text, *wave, decision);
    }
    for decision in record.decisions.iter().filter(|decision| decision.change().is_none()) {
        let set = units(decision.observed);
        line(&mut text, &format!("\n    {}: {set}  hold{}", decision.key, wanted(decision)));
        reasons(&mut text, decision);
    }
    let held = record.decisions.len() - changed.len();
    let cost: f64 = changed.iter().map(|(_, decision)| decision.cost_hourly_change).sum();
    line(&mut text, &format!("\n  {} to change, {held} to hold; {cost:+.4} an hour", changed.len()));
    if let Some(why) = record.plan.and_then(|plan| plan.permit.withheld()) {
        line(&mut text, &format!("  nothing is changed: {why}"));
    }
    text
}

/// The decisions that change something, in the order in which their waves run, with the wave's number from 1.
fn waves<'a>(record: &CycleRecord<'a>) -> Vec<(usize, &'a Decision)> {
    let wave = |decision: &Decision| {
        let waves = record.plan.map(|plan| plan.waves.as_slice()).unwrap_or_default();
        let has = |change: &crate::plan::StepChange| change.key == decision.key;
        waves.iter().position(|wave| wave.steps.iter().flat_map(|step| &step.changes).any(has))
    };
    let changed = record.decisions.iter().filter(|decision| decision.change().is_some());
    let mut changed: Vec<(usize, &Decision)> =
        changed.map(|decision| (wave(decision).map_or(usize::MAX, |wave| wave + 1), decision)).collect();
    changed.sort_by_key(|(wave, _)| *wave);
    changed
}

fn write_change(text: &mut String, wave: usize, decision: &Decision) {
    let Some((from, to)) = decision.change() else { return };
    let (sign, by) = if from < to { ('+', to.0 - from.0) } else { ('-', from.0 - to.0) };
    let wave = if wave == usize::MAX { "in no wave".to_owned() } else { format!("wave {wave}") };
    line(
        text,
        &format!("\n  {sign} {}: {from} -> {to}  ({sign}{by}, {wave}{})", decision.key, wanted(decision)),
    );
    reasons(text, decision);
}

/// What was wanted where the target is something else.
fn wanted(decision: &Decision) -> String {
    match decision.wanted {
        Some(wanted) if decision.wanted != decision.target => format!(", wanted {wanted}"),
        _ => String::new(),
    }
}

fn reasons(text: &mut String, decision: &Decision) {
    for reason in &decision.reasons {
        line(text, &format!("      - {reason}"));
    }
}

fn units(units: Option<Units>) -> String {
    units.map_or_else(|| "unknown".to_owned(), |units| units.to_string())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::explain::testing::record_of;

    #[test]
    fn what_changes_stands_first_in_the_order_of_its_waves() {
        expect![[r#"
            shop at Sat 2026-11-21 16:20 UTC, phase full

              + users/read: 10 -> 12  (+2, wave 1)
                  - phase limited lets 12 units through

              + web/desired: 4 -> 6  (+2, wave 2, wanted 9)
                  - phase limited lets 6 units through

                cache/replicas: 2  hold
                  - 2 units are what is needed

              2 to change, 1 to hold; +0.4000 an hour
              nothing is changed: this is a dry run
        "#]]
        .assert_eq(&record_of(super::diff));
    }
}
