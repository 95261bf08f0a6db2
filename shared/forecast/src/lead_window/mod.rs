//! The lead window: the load until capacity that is ordered by the next decision can be ready.
//!
//! Capacity that is ordered now serves from when it is ready until then: the *arrival* window. Capacity that is kept serves
//! from now until then: the *whole* window. The *later* window comes after both: where the pace of changes is limited, capacity
//! for it has to be begun now. For each window, one model predicts its largest load and the size of the error of
//! that prediction, from the history of the series alone. Errors that the model made out of fold give the shape of the
//! distribution around it. The result is a whole distribution, so that decisions can weigh the cost of each unit against the
//! risk of having too few.

mod error_distribution;
mod features;
mod forecast;
mod model;
mod recent_errors;
mod training_set;
mod window_model;

pub use forecast::{LaterForecast, LeadForecast, LoadDistribution};
pub use model::LeadModel;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::series::Series;
use features::LevelFeatures;
use recent_errors::RecentErrors;

/// What a model of the lead window is trained for. With another setting it has to be trained again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeadSetting {
    /// Seconds until ordered capacity is ready.
    pub provisioning_s: u32,
    /// Seconds until what the next decision orders can be ready, after that: a cycle, and the operator's buffer.
    pub cycle_s: u32,
    /// The load that one unit carries. Loads are modelled in units, because less than one unit makes no difference to decisions.
    pub unit: f64,
}

/// A window of steps, counted from now: the first one, and the one after the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Window {
    from: usize,
    to: usize,
    statistic: WindowStatistic,
}

/// Which loads of a window the distribution is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum WindowStatistic {
    /// The load of each step. The chance that it is above a capacity is the expected share of time with too little, which is
    /// what a service objective counts. It is for capacity that is ordered.
    EachStep,
    /// The largest load, which is stricter. It is for capacity that is kept, so that units are not removed at every dip and
    /// ordered again.
    Largest,
}

impl WindowStatistic {
    /// How many steps of a window errors are measured at, spread evenly: neighbouring steps have nearly the same load.
    fn samples(self) -> usize {
        match self {
            WindowStatistic::EachStep => 5,
            WindowStatistic::Largest => 1,
        }
    }
}

/// Forecasts one series: it keeps the history, the model and the recent errors, and trains the model again when it is due.
#[derive(Clone, Debug)]
pub struct LeadForecaster {
    setting: LeadSetting,
    features: LevelFeatures,
    model: Option<LeadModel>,
    /// The number of steps in the history at the last training, whether that led to a model or not.
    trained_at: usize,
    arrival: RecentErrors,
    whole: RecentErrors,
    later: RecentErrors,
}

const DAY_S: u32 = 86_400;
/// A stored model is scored on at most so much of the newest history. Older errors are part of its training.
const LOOK_BACK_S: u32 = DAY_S;
/// And on at least so much, because the volatility is measured on the newest errors.
const VOLATILITY_S: u32 = 7_200;

impl LeadForecaster {
    /// Starts with a history, which may be empty, and trains a model if it is long enough.
    pub fn new(setting: LeadSetting, history: &Series) -> LeadForecaster {
        let features = LevelFeatures::new(setting.unit, history);
        let mut forecaster = LeadForecaster {
            setting,
            features,
            model: None,
            trained_at: 0,
            arrival: RecentErrors::default(),
            whole: RecentErrors::default(),
            later: RecentErrors::default(),
        };
        forecaster.train();
        forecaster
    }

    /// Continues with a stored model, and measures its errors on the newest part of the history. `None` for a model of another
    /// setting or grid, which has to be trained again.
    pub fn resume(setting: LeadSetting, history: &Series, model: LeadModel) -> Option<LeadForecaster> {
        if model.setting != setting || model.step_s != history.step_s() {
            return None;
        }
        let features = LevelFeatures::new(setting.unit, history);
        let now = features.len();
        let (end_s, step_s) = (history.end().as_second(), i64::from(model.step_s));
        let since = usize::try_from((end_s - model.trained_until_s) / step_s).unwrap_or(0);
        let mut forecaster = LeadForecaster {
            setting,
            trained_at: now.saturating_sub(since),
            model: Some(model),
            features,
            arrival: RecentErrors::default(),
            whole: RecentErrors::default(),
            later: RecentErrors::default(),
        };
        forecaster.score_newest(now, since);
        Some(forecaster)
    }

    /// The model, to be stored.
    pub fn model(&self) -> Option<&LeadModel> {
        self.model.as_ref()
    }

    /// Whether the model should be trained again: when the history has grown by half, at least after a quarter of a day and at
    /// most after a day. Older models fit worse: on real traces, one that is a week old buys 3 % more for the same supply.
    pub fn is_due(&self) -> bool {
        let per_day = steps(DAY_S, self.features.step_s());
        let since = self.features.len().saturating_sub(self.trained_at);
        let known = self.model.as_ref().map_or(self.trained_at, |model| model.steps);
        (known / 2).clamp(per_day / 4, per_day) <= since
    }

    /// Trains the model on the whole history.
    pub fn train(&mut self) {
        self.trained_at = self.features.len();
        self.model = LeadModel::train(self.setting, &self.features);
        self.arrival.forget_distribution();
        self.whole.forget_distribution();
        self.later.forget_distribution();
    }

    /// Predicts the windows of the newest history again, to measure the errors that the model would have made.
    fn score_newest(&mut self, now: usize, since: usize) {
        let Some(model) = &self.model else { return };
        let step_s = self.features.step_s();
        let back = since.min(steps(LOOK_BACK_S, step_s)).max(steps(VOLATILITY_S, step_s)).min(now);
        let every = steps(self.setting.cycle_s, step_s).max(1);
        for then in (now - back..now).step_by(every).filter(|then| 0 < *then) {
            let row = self.features.row(then, model.whole.window.to);
            self.arrival.record(&self.features, &model.arrival, &row, then);
            self.whole.record(&self.features, &model.whole, &row, then);
            if let Some(later) = &model.later {
                self.later.record(&self.features, later, &self.features.row(then, later.window.to), then);
            }
        }
    }

    /// Adds newly measured values, and trains the model if that is due.
    pub fn push(&mut self, values: impl IntoIterator<Item = Option<f64>>) {
        values.into_iter().for_each(|value| self.features.push(value));
        if self.is_due() {
            self.train();
        }
    }

    /// The number of known values, without gaps.
    pub fn known(&self) -> usize {
        self.features.known()
    }

    /// The number of steps that a model needs.
    pub fn needed(&self) -> usize {
        let (ready, cycle) = (self.setting.provisioning_s, self.setting.cycle_s);
        training_set::steps_needed(
            steps(ready, self.features.step_s()) + steps(cycle, self.features.step_s()).max(1),
        )
    }

    /// When the newest value ends.
    pub fn end(&self) -> Timestamp {
        self.features.time_of(self.features.len())
    }

    /// The forecast of the windows that begin now; `None` while there is no model.
    pub fn forecast(&mut self) -> Option<LeadForecast> {
        let model = self.model.as_ref()?;
        let now = self.features.len();
        let row = self.features.row(now, model.whole.window.to);
        let arrival = self.arrival.forecast(&self.features, &model.arrival, &row, now);
        let whole = self.whole.forecast(&self.features, &model.whole, &row, now);
        let confidence = self.whole.confidence(&whole.errors);
        let at = |ahead: usize| self.features.time_of(now + ahead);
        let later = model.later.as_ref().map(|later| {
            let row = self.features.row(now, later.window.to);
            let load = self.later.forecast(&self.features, later, &row, now);
            LaterForecast { until: at(later.window.to), load }
        });
        let (ready, until) = (at(model.arrival.window.from), at(model.arrival.window.to));
        Some(LeadForecast { from: at(0), ready, until, arrival, whole, later, confidence })
    }
}

/// The number of steps that cover a span.
fn steps(span_s: u32, step_s: u32) -> usize {
    usize::try_from(span_s.div_ceil(step_s.max(1))).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTING: LeadSetting = LeadSetting { provisioning_s: 300, cycle_s: 300, unit: 10.0 };

    /// A day's wave by the minute, with a noise from a multiplicative hash.
    fn minutes(count: u32) -> Series {
        let value = |minute: u32| {
            let noise = f64::from(minute.wrapping_mul(2_654_435_769) >> 20) / 100.0;
            let wave = (f64::from(minute % 1_440) / 1_440.0 * std::f64::consts::TAU).cos();
            Some(100.0 - 60.0 * wave + noise)
        };
        Series::new(Timestamp::UNIX_EPOCH, 60, (0..count).map(value))
    }

    #[test]
    fn a_stored_model_is_small_and_goes_on_as_it_was() {
        let history = minutes(14 * 1_440);
        let mut lead = LeadForecaster::new(SETTING, &history);
        let bytes = lead.model().unwrap().encode();
        assert!(bytes.len() < 40_000, "{} bytes", bytes.len());
        let stored = LeadModel::decode(&bytes).unwrap();
        assert_eq!(Some(&stored), lead.model());
        let mut resumed = LeadForecaster::resume(SETTING, &history, stored.clone()).unwrap();
        let (was, is) = (lead.forecast().unwrap(), resumed.forecast().unwrap());
        assert_eq!((was.ready, was.until), (is.ready, is.until));
        let (was, is) = (was.arrival.quantile(0.9), is.arrival.quantile(0.9));
        assert!((was - is).abs() < 0.05 * was, "{was}, then {is}");
        let other = LeadSetting { provisioning_s: 60, ..SETTING };
        assert!(
            LeadForecaster::resume(other, &history, stored).is_none(),
            "another lead window is learned anew"
        );
    }

    /// Five days of a quiet base of one unit, with twenty units for an hour every five, the last one of which has just begun.
    fn bursts() -> Series {
        let count = 5 * 1_440 + 20;
        let value = |minute: u32| {
            let noise = f64::from(minute.wrapping_mul(2_654_435_769) >> 28) / 4.0;
            let height = if (count - 1 - minute) % 300 < 20 || (count - 1 - minute) % 300 > 260 {
                200.0
            } else {
                10.0
            };
            Some(height + noise)
        };
        Series::new(Timestamp::UNIX_EPOCH, 60, (0..count).map(value))
    }

    #[test]
    fn no_load_is_expected_far_above_what_ever_was() {
        let history = bursts();
        let forecast = LeadForecaster::new(SETTING, &history).forecast().unwrap();
        let later = forecast.later.clone().unwrap().load;
        for load in [&forecast.arrival, &forecast.whole, &later] {
            assert!(load.quantile(1.0 - 1e-9) <= 1.4 * 204.0, "{load:?}");
            assert_eq!((load.chance_above(1.4 * 204.0), load.quantile(0.5) < 230.0), (0.0, true));
        }
        let twice = forecast.multiplied(|_, _| 2.0);
        assert!(twice.arrival.chance_above(1.4 * 204.0) > 0.0, "an event multiplies what is possible");
        // In the middle of a quiet time, little more than the largest load is possible.
        let quiet = Series::new(history.start(), 60, (0..7_050).map(|minute| history.get(minute)));
        let forecast = LeadForecaster::new(SETTING, &quiet).forecast().unwrap();
        assert!(forecast.whole.quantile(1.0 - 1e-9) <= 1.1 * 204.0);
    }

    #[test]
    fn chances_that_were_learned_hold_on_what_comes() {
        let mut chance = crate::chance::Chance::new(3);
        // Noise with heavy tails, of which nothing can be learned but how large it is.
        let mut load = || Some(20.0 * (1.2 * (0..6).map(|_| chance.share() - 0.5).sum::<f64>()).exp());
        let history: Vec<Option<f64>> = (0..4 * 1_440).map(|_| load()).collect();
        let mut lead = LeadForecaster::new(SETTING, &Series::new(Timestamp::UNIX_EPOCH, 60, history));
        let (mut above, mut minutes) = (0, 0);
        for _ in 0..600 {
            // Without newer errors, which would correct the distribution: what it learned is asked for.
            lead.arrival = RecentErrors::default();
            let bound = lead.forecast().unwrap().arrival.quantile(0.98);
            let next: Vec<Option<f64>> = (0..10).map(|_| load()).collect();
            above += next.iter().skip(5).filter(|load| bound < load.unwrap()).count();
            minutes += 5;
            next.into_iter().for_each(|value| lead.features.push(value));
        }
        assert!(
            50 * above < 3 * minutes / 2,
            "{above} of {minutes} minutes above what two in a hundred should be"
        );
    }

    #[test]
    fn the_later_window_knows_what_comes_on_the_hour() {
        let load = |minute: u32| Some(if minute % 60 < 4 { 200.0 } else { 20.0 });
        let at = |minutes: u32| {
            let history = Series::new(Timestamp::UNIX_EPOCH, 60, (0..minutes).map(load));
            let forecast = LeadForecaster::new(SETTING, &history).forecast().unwrap();
            (forecast.arrival.quantile(0.9), forecast.later.unwrap().load.quantile(0.9))
        };
        // Fifteen minutes before the hour: capacity that is ordered now serves for ten minutes before it is needed.
        let (arrival, later) = at(3 * 1_440 - 15);
        assert!(arrival < 60.0 && 150.0 < later, "{arrival}, then {later}");
        let (_, later) = at(3 * 1_440 - 40);
        assert!(later < 60.0, "{later} long before the hour");
    }

    #[test]
    fn a_drop_in_the_first_hours_is_not_expected_again_at_a_time_of_the_hour() {
        let values = std::iter::repeat_n(900.0, 120).chain([630.0]).chain(std::iter::repeat_n(90.0, 30));
        let values: Vec<_> = values.map(Some).collect();
        for minute in (0..60).step_by(5) {
            for provisioning_s in [240, 480, 900] {
                let start = Timestamp::from_second(minute * 60).unwrap();
                let setting = LeadSetting { provisioning_s, unit: 60.0, ..SETTING };
                let history = Series::new(start, 60, values.clone());
                let forecast = LeadForecaster::new(setting, &history).forecast().unwrap();
                for distribution in [&forecast.arrival, &forecast.whole] {
                    let high = distribution.quantile(0.99);
                    assert!(high < 600.0, "minute {minute}, {provisioning_s} s: {high} after 90");
                }
            }
        }
    }

    #[test]
    fn one_rise_is_not_expected_again() {
        let noise = |minute: u32| f64::from(minute.wrapping_mul(2_654_435_769) >> 16) / 65_536.0;
        // Measured every five minutes, with a line between.
        let point = |point: u32| if point < 2_000 { 100.0 } else { 10_000.0 } * (0.98 + 0.04 * noise(point));
        let value = |minute: u32| {
            let (from, to) = (point(minute / 5), point(minute / 5 + 1));
            Some(from + (to - from) * f64::from(minute % 5) / 5.0)
        };
        let setting = LeadSetting { provisioning_s: 180, unit: 1_150.0, ..SETTING };
        let known = Series::new(Timestamp::UNIX_EPOCH, 60, (0..10_060).map(value));
        let mut lead = LeadForecaster::new(setting, &known);
        let mut most: f64 = 0.0;
        for minute in (10_060..12_800).step_by(5) {
            lead.push((minute..minute + 5).map(value));
            most = most.max(lead.forecast().unwrap().arrival.quantile(0.99));
        }
        assert!(most < 14_000.0, "{most} after 10,000");
    }
}
