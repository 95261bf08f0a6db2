//! A replay as tables with sparklines, for terminals of 110 columns.

use std::fmt::Write as _;

use headroom_forecast::statistics::real;

use super::{Curve, CurvePoint, Figures, Replay, Run, TierRun, Together};
use crate::units::Units;

/// Characters of a sparkline.
const WIDTH: usize = 72;
/// Characters of a policy's name.
const NAME: usize = 34;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The replay in words.
pub fn text(replay: &Replay) -> String {
    let mut out = String::new();
    heading(&mut out, replay);
    if let [_, _, ..] = replay.tiers.as_slice() {
        let _ = writeln!(out, "\nall tiers together");
        table(&mut out, replay, |run| (run.figures, run.together));
    }
    for (index, tier) in replay.tiers.iter().enumerate() {
        let _ = writeln!(out, "\n{}", tier.key);
        let ours = replay.runs.first().and_then(|run| run.tiers.get(index));
        let supply: Vec<f64> = ours.map(supply).unwrap_or_default();
        spark(&mut out, &format!("load, {}", tier.metric), &tier.load);
        spark(&mut out, "supply, headroom", &supply);
        table(&mut out, replay, |run| {
            (run.tiers.get(index).map(|tier| tier.figures).unwrap_or_default(), None)
        });
    }
    legend(&mut out, replay);
    if let Some(curve) = &replay.curve {
        objectives(&mut out, curve, &replay.currency);
    }
    out
}

/// What other objectives would give, and what each short minute less costs.
fn objectives(out: &mut String, curve: &Curve, currency: &str) {
    let _ = writeln!(out, "\nheadroom at other objectives");
    let _ = writeln!(
        out,
        "{:>9} {:>8} {:>9} {:>7} {:>9} {:>26}",
        "objective", "short", "minutes", "cost", currency, "one short minute less"
    );
    for (index, point) in curve.0.iter().enumerate() {
        let CurvePoint { objective, figures, short_minutes } = point;
        let price = curve.price(index).map_or("-".to_owned(), |price| format!("{price:.2} {currency}"));
        let percent = plain_percent(objective.get());
        let _ = writeln!(
            out,
            "{percent:>9} {:>7.2}% {short_minutes:>9.0} {:>6.2}x {:>9.2} {price:>26}",
            figures.tau_u, figures.cost, figures.money,
        );
    }
    out.push_str("the price of a short minute less is against the cheapest looser objective\n");
}

/// A share as a percentage without trailing zeros.
pub fn plain_percent(share: f64) -> String {
    let text = format!("{:.3}", share * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

fn heading(out: &mut String, replay: &Replay) {
    let days = |minutes: usize| real(minutes) / 1_440.0;
    let start = replay.start.to_string();
    let _ = writeln!(
        out,
        "{}: {:.1} days from {}, a decision every {} minutes, {:.1} days of history before",
        replay.platform,
        days(replay.minutes),
        start.get(..16).unwrap_or(&start).replace('T', " "),
        replay.cycle_minutes,
        days(replay.history_minutes),
    );
    for note in &replay.notes {
        let _ = writeln!(out, "note: {note}");
    }
}

fn supply(tier: &TierRun) -> Vec<f64> {
    tier.supply.iter().copied().map(f64::from).collect()
}

fn spark(out: &mut String, name: &str, values: &[f64]) {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    let _ = writeln!(out, "{name:18} {} {} to {}", sparkline(values), plain(least), plain(most));
}

/// A number as people write it.
fn plain(value: f64) -> String {
    if value.abs() < 10.0 && value.fract() != 0.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

fn table(out: &mut String, replay: &Replay, of: impl Fn(&Run) -> (Figures, Option<Together>)) {
    let together = replay.runs.first().is_some_and(|run| of(run).1.is_some());
    let last = if together { format!(" {:>6} {:>6}", "order", "shifts") } else { String::new() };
    let _ = writeln!(
        out,
        "{:NAME$}{:>8}{:>8}{:>7}{:>8}{:>7}{:>8}{:>9}{:>7}{last}",
        "policy", "short", "missing", "spare", "lost", "cost", "hours", replay.currency, "moves"
    );
    for run in &replay.runs {
        let (figures, together) = of(run);
        let last = together.map(|Together { order_violations, bottleneck_shifts }| {
            format!(" {order_violations:>6} {bottleneck_shifts:>6}")
        });
        let _ = writeln!(
            out,
            "{:NAME$}{:>7.2}%{:>7.2}%{:>6.1}%{:>7.3}%{:>6.2}x{:>8.0}{:>9.2}{:>7.1}{}",
            run.name,
            figures.tau_u,
            figures.theta_u,
            figures.theta_o,
            figures.lost,
            figures.cost,
            figures.unit_hours,
            figures.money,
            figures.moves,
            last.unwrap_or_default(),
        );
    }
}

fn legend(out: &mut String, replay: &Replay) {
    out.push_str(
        "\nshort: minutes with too few units (tau); missing, spare: units too few, too many, mean of what is needed\n\
         (theta); lost: load above what the units carry; cost: against an oracle that knows the future;\n\
         hours: of units; moves: changes a day\n",
    );
    if 1 < replay.tiers.len() {
        out.push_str(
            "together: the worst tier of each minute counts; order: changes while a tier they depend on was still\n\
             getting units; shifts: how often another tier became the one that is short of most\n",
        );
    }
}

/// A bar for each group of minutes, as high as the largest value among them.
pub fn sparkline(values: &[f64]) -> String {
    let top = values.iter().copied().fold(0.0, f64::max).max(1e-9);
    let count = WIDTH.min(values.len());
    let bar = |index: usize| {
        let (from, to) = (index * values.len() / count, (index + 1) * values.len() / count);
        let stretch = values.get(from..to).unwrap_or_default();
        let share = stretch.iter().copied().fold(0.0, f64::max) / top;
        let level = usize::try_from(Units::at_most(share * 7.99).0).unwrap_or(0);
        BARS.get(level).copied().unwrap_or('█')
    };
    (0..count).map(bar).collect()
}
