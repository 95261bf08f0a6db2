//! A replay as a table with a sparkline, for terminals.

use std::fmt::Write as _;

use super::{Replay, Run};
use crate::forecast::real;
use crate::units::Units;

/// Characters of a sparkline.
const WIDTH: usize = 60;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The replay in words.
pub fn text(replay: &Replay, currency: &str) -> String {
    let mut out = String::new();
    let days = real(replay.load.len()) / 1_440.0;
    let _ = writeln!(out, "{} from {}, {days:.1} days", replay.dimension, replay.start);
    let _ = writeln!(out, "load  {}\n", sparkline(&replay.load));
    let _ = writeln!(
        out,
        "{:38} {:>8} {:>8} {:>8} {:>8} {:>7} {:>11} {:>9}",
        "policy", "short", "missing", "spare", "lost", "cost", currency, "moves/day"
    );
    for run in &replay.runs {
        let _ = writeln!(out, "{}", row(run));
    }
    out.push_str(
        "\nshort: % of minutes with too few units; missing, spare: mean % of units; lost: % of load above what units carry;\n\
         cost: unit-hours against an oracle that knows the future\n",
    );
    out
}

fn row(run: &Run) -> String {
    let figures = &run.figures;
    format!(
        "{:38} {:>7.2}% {:>7.2}% {:>7.1}% {:>7.3}% {:>6.2}x {:>11.2} {:>9.1}",
        run.name,
        figures.tau_u,
        figures.theta_u,
        figures.theta_o,
        figures.lost,
        figures.cost,
        figures.money,
        figures.moves
    )
}

/// The largest of every stretch as a bar.
pub fn sparkline(values: &[f64]) -> String {
    let top = values.iter().copied().fold(0.0, f64::max).max(1e-9);
    let stretch = values.len().div_ceil(WIDTH).max(1);
    let bar = |values: &[f64]| {
        let share = values.iter().copied().fold(0.0, f64::max) / top;
        let index = usize::try_from(Units::at_most(share * 7.99).0).unwrap_or(0);
        BARS.get(index).copied().unwrap_or('█')
    };
    values.chunks(stretch).map(bar).collect()
}
