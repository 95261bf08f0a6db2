//! The trial of the ensemble's members: what each says of times that it did not learn from, and what it is worth.

#![expect(
    clippy::indexing_slicing,
    reason = "rows are indexed by their own number, parts by a number below theirs"
)]

use serde::{Deserialize, Serialize};

use super::boosted_regression::{Middle, Row, bucket, rows};
use super::features::Frame;
use super::quantile_regression::Guessed;
use super::statistical_models::{Past, Small};
use super::weights::{self, Guesses, Honest, MEMBERS, Weights, blend};
use crate::period::periods;
use crate::series::Series;

/// Parts of the history that are left out in turn to learn how large honest errors are.
const FOLDS: usize = 3;
/// The part of the weight that is the boosted line's whatever the trial says: with a third of the history left out it has
/// to bridge days that it knows when it forecasts, and looks worse than it is.
const KEPT: f64 = 0.75;
/// The place of the boosted line among the members.
const BOOSTED: usize = 1;
/// What each member counts before anything is known: the boosted line has earned it.
const PRIOR: Weights = [0.1, 0.5, 0.1, 0.1, 0.1, 0.1];

/// Why a member of the ensemble counts nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It needs more history.
    ShortHistory,
    /// It said something that is not a number.
    NotFinite,
    /// The others are better without it.
    AddsNothing,
}

/// The honest guesses of every member, and what came of them.
pub(super) struct Trial {
    pub(super) rows: Vec<Row>,
    honest: Vec<Honest>,
}

impl Trial {
    /// Guesses every part of the history by models of the other parts, with a horizon between them.
    pub(super) fn hold(frame: &Frame, period: usize, horizon: usize, grown: bool) -> Trial {
        let rows = rows(frame, horizon);
        let (first, end) = (frame.first(), frame.len());
        let cut = |fold: usize| first + (end - first) * fold / FOLDS;
        let small = small_guesses(frame, period, &rows, horizon);
        let mut honest = Vec::new();
        for fold in 0..FOLDS {
            let (from, to) = (cut(fold), cut(fold + 1));
            let apart = |row: &&Row| row.origin + row.ahead < from || to + horizon <= row.origin;
            let others: Vec<&Row> = rows.iter().filter(apart).collect();
            let middle = grown.then(|| Middle::fit(&others, horizon));
            let mine = rows.iter().enumerate().filter(|(_, row)| (from..to).contains(&row.origin));
            honest.extend(mine.map(|(index, row)| {
                let guesses = middle.as_ref().map(|middle| middle.guesses(&row.view, row.ahead));
                Honest { row: index, guesses: joined(guesses, small[index]) }
            }));
        }
        Trial { rows, honest }
    }

    /// The weights by part of the horizon, and who gets none and why.
    pub(super) fn weights(&self, horizon: usize, grown: bool) -> (Vec<Weights>, Vec<(u8, Why)>) {
        let finite = |member: usize| self.honest.iter().all(|one| one.guesses[member].is_finite());
        let needs_more = |member: usize| member < 2 && !grown;
        let mut allowed = [true; MEMBERS];
        for (member, allowed) in allowed.iter_mut().enumerate() {
            *allowed = !needs_more(member) && finite(member);
        }
        let mut weights = weights::weights(&self.rows, &self.honest, horizon, &allowed, &PRIOR);
        for part in weights.iter_mut().filter(|_| allowed[BOOSTED]) {
            part.iter_mut().for_each(|weight| *weight *= 1.0 - KEPT);
            part[BOOSTED] += KEPT;
        }
        let nothing = |member: usize| weights.iter().all(|part| part[member] <= 0.0);
        let why = |member: usize| match member {
            _ if needs_more(member) => Some(Why::ShortHistory),
            _ if !allowed[member] => Some(Why::NotFinite),
            _ if nothing(member) => Some(Why::AddsNothing),
            _ => None,
        };
        let dropped = (0_u8..).zip(0..MEMBERS).filter_map(|(id, member)| Some((id, why(member)?)));
        let dropped = dropped.collect();
        (weights, dropped)
    }

    pub(super) fn guessed(&self, weights: &[Weights], horizon: usize) -> Vec<Guessed<'_>> {
        let guessed = |one: &Honest| {
            let row = &self.rows[one.row];
            let guess = blend(&one.guesses, &weights[bucket(row.ahead, horizon)]);
            Guessed { row, line: one.guesses[0], guess }
        };
        self.honest.iter().map(guessed).collect()
    }
}

/// What the small members say of each row, fitted to the half of the history that the row is not in.
fn small_guesses(frame: &Frame, period: usize, rows: &[Row], horizon: usize) -> Vec<[f64; MEMBERS - 2]> {
    let middle = usize::midpoint(frame.first(), frame.len());
    let halves = frame.len() - frame.first() > 4 * horizon;
    let mut past = Past::whole(frame, period);
    let mut guesses = vec![[0.0; MEMBERS - 2]; rows.len()];
    for late in [false, true] {
        let counts = |origin: usize| match (halves, late) {
            (false, _) => true,
            (true, false) => middle + horizon <= origin,
            (true, true) => origin + horizon < middle,
        };
        let small = Small::fit(frame, (period, &mut past), rows, horizon, counts);
        for (row, guess) in rows.iter().zip(&mut guesses).filter(|(row, _)| (middle <= row.origin) == late) {
            let said = small.guesses(frame, &past, (row.origin, row.ahead), horizon);
            *guess = said.map(|guess| guess / frame.scale);
        }
    }
    guesses
}

/// The guesses of all members in their order.
pub(super) fn joined(middle: Option<[f64; 2]>, small: [f64; MEMBERS - 2]) -> Guesses {
    let [line, boosted] = middle.unwrap_or([f64::NAN; 2]);
    let [profile, smoothing, auto, average] = small;
    [line, boosted, profile, smoothing, auto, average]
}

/// Steps of the season that the small members take away: the day if it is one, else the decisive period below it.
pub(super) fn season_of(history: &Series, frame: &Frame) -> usize {
    let found = periods(history);
    let by_day = found.iter().any(|period| period.steps % frame.day == 0);
    let fits = |steps: &usize| 3 * steps <= frame.len() && *steps <= frame.day;
    let period = if by_day { Some(frame.day) } else { found.first().map(|period| period.steps) };
    period.filter(fits).unwrap_or(0)
}
