//! Cross-validation of the members: out-of-fold predictions, and the weights that follow from their errors.

#![expect(
    clippy::indexing_slicing,
    reason = "rows are indexed by their own number, parts by a number below theirs"
)]

use serde::{Deserialize, Serialize};

use super::boosted_regression::{BoostedRegression, TrainingRow, part_of, training_rows};
use super::features::LoadFeatures;
use super::quantile_regression::OutOfFoldPrediction;
use super::statistical_models::{SeasonalResiduals, StatisticalModels};
use super::weights::{self, MEMBERS, MemberWeights, OutOfFold, Predictions, combine};
use crate::period::periods;
use crate::series::Series;

/// Folds of the history. Each is predicted by models that were trained on the others.
const FOLDS: usize = 3;
/// The share of the weight that the boosted regression has whatever its out-of-fold errors are. They make it look worse than
/// it is: with a fold left out it has to predict across days of missing history, which it never has to in a forecast.
const BOOSTED_SHARE_MIN: f64 = 0.75;
/// The place of the boosted regression among the members.
const BOOSTED: usize = 1;
/// The weights that the search starts from: half of it for the boosted regression, which is the best member on most loads.
const PRIOR: MemberWeights = [0.1, 0.5, 0.1, 0.1, 0.1, 0.1];

/// Why a member of the ensemble has no weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exclusion {
    /// It needs more history.
    ShortHistory,
    /// It predicted something that is not a finite number.
    NotFinite,
    /// The error of the others is smaller without it.
    AddsNothing,
}

/// The rows of a history, with the out-of-fold predictions of every member.
pub(super) struct CrossValidation {
    pub(super) rows: Vec<TrainingRow>,
    out_of_fold: Vec<OutOfFold>,
}

impl CrossValidation {
    /// Predicts every fold by models that were trained on the others. Rows less than a horizon away from the fold are left
    /// out of training, because they share values with it.
    pub(super) fn run(
        features: &LoadFeatures,
        period: usize,
        horizon: usize,
        with_trees: bool,
    ) -> CrossValidation {
        let rows = training_rows(features, horizon);
        let (first, end) = (features.first_origin(), features.len());
        let cut = |fold: usize| first + (end - first) * fold / FOLDS;
        let statistical = statistical_predictions(features, period, &rows, horizon);
        let mut out_of_fold = Vec::new();
        for fold in 0..FOLDS {
            let (from, to) = (cut(fold), cut(fold + 1));
            let apart = |row: &&TrainingRow| row.origin + row.ahead < from || to + horizon <= row.origin;
            let others: Vec<&TrainingRow> = rows.iter().filter(apart).collect();
            let boosted = with_trees.then(|| BoostedRegression::fit(&others, horizon));
            let mine = rows.iter().enumerate().filter(|(_, row)| (from..to).contains(&row.origin));
            out_of_fold.extend(mine.map(|(index, row)| {
                let predictions =
                    boosted.as_ref().map(|boosted| boosted.predictions(&row.features, row.ahead));
                OutOfFold { row: index, predictions: in_member_order(predictions, statistical[index]) }
            }));
        }
        CrossValidation { rows, out_of_fold }
    }

    /// The weights for each part of the horizon, and the members that have none, with the reason.
    pub(super) fn weights(
        &self,
        horizon: usize,
        with_trees: bool,
    ) -> (Vec<MemberWeights>, Vec<(u8, Exclusion)>) {
        let finite = |member: usize| self.out_of_fold.iter().all(|one| one.predictions[member].is_finite());
        let needs_more = |member: usize| member < 2 && !with_trees;
        let mut allowed = [true; MEMBERS];
        for (member, allowed) in allowed.iter_mut().enumerate() {
            *allowed = !needs_more(member) && finite(member);
        }
        let mut weights = weights::fit(&self.rows, &self.out_of_fold, horizon, &allowed, &PRIOR);
        for part in weights.iter_mut().filter(|_| allowed[BOOSTED]) {
            part.iter_mut().for_each(|weight| *weight *= 1.0 - BOOSTED_SHARE_MIN);
            part[BOOSTED] += BOOSTED_SHARE_MIN;
        }
        let nothing = |member: usize| weights.iter().all(|part| part[member] <= 0.0);
        let why = |member: usize| match member {
            _ if needs_more(member) => Some(Exclusion::ShortHistory),
            _ if !allowed[member] => Some(Exclusion::NotFinite),
            _ if nothing(member) => Some(Exclusion::AddsNothing),
            _ => None,
        };
        let excluded = (0_u8..).zip(0..MEMBERS).filter_map(|(id, member)| Some((id, why(member)?)));
        let excluded = excluded.collect();
        (weights, excluded)
    }

    pub(super) fn predicted(
        &self,
        weights: &[MemberWeights],
        horizon: usize,
    ) -> Vec<OutOfFoldPrediction<'_>> {
        let predicted = |one: &OutOfFold| {
            let row = &self.rows[one.row];
            let prediction = combine(&one.predictions, &weights[part_of(row.ahead, horizon)]);
            OutOfFoldPrediction { row, linear_prediction: one.predictions[0], prediction }
        };
        self.out_of_fold.iter().map(predicted).collect()
    }
}

/// The predictions of the statistical models for each row, fitted to the other half of the history.
fn statistical_predictions(
    features: &LoadFeatures,
    period: usize,
    rows: &[TrainingRow],
    horizon: usize,
) -> Vec<[f64; MEMBERS - 2]> {
    let half_way = usize::midpoint(features.first_origin(), features.len());
    let halves = features.len() - features.first_origin() > 4 * horizon;
    let mut past = SeasonalResiduals::whole(features, period);
    let mut predictions = vec![[0.0; MEMBERS - 2]; rows.len()];
    for late in [false, true] {
        let counts = |origin: usize| match (halves, late) {
            (false, _) => true,
            (true, false) => half_way + horizon <= origin,
            (true, true) => origin + horizon < half_way,
        };
        let statistical = StatisticalModels::fit(features, (period, &mut past), rows, horizon, counts);
        for (row, prediction) in
            rows.iter().zip(&mut predictions).filter(|(row, _)| (half_way <= row.origin) == late)
        {
            let predicted = statistical.predictions(features, &past, (row.origin, row.ahead), horizon);
            *prediction = predicted.map(|prediction| prediction / features.scale);
        }
    }
    predictions
}

/// The predictions of all members, in the order of the members.
pub(super) fn in_member_order(boosted: Option<[f64; 2]>, statistical: [f64; MEMBERS - 2]) -> Predictions {
    let [linear_prediction, boosted] = boosted.unwrap_or([f64::NAN; 2]);
    let [profile, smoothing, auto, average] = statistical;
    [linear_prediction, boosted, profile, smoothing, auto, average]
}

/// The number of steps of the season that the statistical models remove: a day if the load has a period of whole days, else
/// its strongest period if that is no longer than a day. It is zero without such a period, or if the history is shorter than
/// three of them.
pub(super) fn season_steps(history: &Series, features: &LoadFeatures) -> usize {
    let found = periods(history);
    let by_day = found.iter().any(|period| period.steps % features.day == 0);
    let fits = |steps: &usize| 3 * steps <= features.len() && *steps <= features.day;
    let period = if by_day { Some(features.day) } else { found.first().map(|period| period.steps) };
    period.filter(fits).unwrap_or(0)
}
