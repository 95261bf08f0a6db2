//! The lead window: the largest load that a decision made now must carry.
//!
//! Capacity ordered now serves from when it is ready until what the next decision orders can be: that is the *arrival*
//! window. Capacity kept now also serves until then: the *whole* window. For both, a model learned from the dimension's own
//! history says where the largest load will lie and how far it is usually off, and the errors it made on days it had not
//! seen say how surely. What comes out is a whole distribution, so that a decision can weigh what each unit buys.

mod error_distribution;
mod features;
mod window_model;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::codec::{self, NotAModel};
use crate::ratio::Ratio;
use crate::series::Series;
use crate::statistics::real;
use error_distribution::Tail;
use features::Views;
use window_model::WindowModel;

/// What the model is for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// Seconds until ordered capacity is ready.
    pub provisioning_s: u32,
    /// Seconds that a decision has to last: a cycle, and the operator's buffer.
    pub cycle_s: u32,
    /// The load that one unit carries. Loads are modelled in units, because a fraction of one needs no foresight.
    pub unit: f64,
}

/// Steps from now, first and after the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Window {
    from: usize,
    to: usize,
    weighs: Weighs,
}

/// What of a window's load units are weighed against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Weighs {
    /// Each of its steps: the chance of being short is the share of time that is, which an objective counts.
    Steps,
    /// The largest: stricter. It is for what is kept, so that capacity does not leave with every dip and come back.
    Largest,
}

impl Weighs {
    /// Steps of a window that are looked at, spread over it: neighbours say the same.
    fn steps(self) -> usize {
        match self {
            Weighs::Steps => 5,
            Weighs::Largest => 1,
        }
    }
}

/// Models of both windows, learned from one history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeadModel {
    setting: Setting,
    step_s: u32,
    /// The end of the history that it learned from, and how long that was in steps.
    trained_until_s: i64,
    steps: usize,
    arrival: WindowModel,
    whole: WindowModel,
}

/// What a window may bring.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    unit: f64,
    /// Expected largest load, as `ln(1 + units)`.
    location: f64,
    /// Mean size of the error there, in the same measure.
    scale: f64,
    tail: Tail,
}

/// What the windows that begin now may bring.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outlook {
    /// When the windows begin.
    pub from: Timestamp,
    /// When ordered capacity is ready, and when what is ordered next is.
    pub ready: Timestamp,
    /// The end of both windows.
    pub until: Timestamp,
    /// From when ordered capacity is ready until what is ordered next is.
    pub arrival: Spread,
    /// From now until what is ordered next is ready.
    pub whole: Spread,
    /// How well recent windows kept to what was said of them: the share below its 90 % quantile against 90 %.
    pub confidence: Ratio,
}

impl Outlook {
    /// What the windows may bring where `factor` says by how much their load is multiplied.
    #[must_use]
    pub fn multiplied(mut self, factor: impl Fn(Timestamp, Timestamp) -> f64) -> Outlook {
        self.arrival.unit *= factor(self.ready, self.until);
        self.whole.unit *= factor(self.from, self.until);
        self
    }
}

impl Spread {
    /// The chance that the load is above `load`: the share of time that is foreseen for ordered capacity; for kept
    /// capacity the chance that the largest of the window is.
    pub fn chance_above(&self, load: f64) -> f64 {
        self.tail.above((self.measure(load) - self.location) / self.scale)
    }

    /// The load that it stays below with the chance `level`.
    pub fn quantile(&self, level: f64) -> f64 {
        let at = self.location + self.scale * self.tail.quantile(level);
        (at.exp_m1() * self.unit).max(0.0)
    }

    fn measure(&self, load: f64) -> f64 {
        (load / self.unit).max(0.0).ln_1p()
    }
}

/// A model that follows its series: it predicts, remembers how far it was off, and is trained anew when it has aged.
#[derive(Clone, Debug)]
pub struct Lead {
    setting: Setting,
    views: Views,
    model: Option<LeadModel>,
    /// Steps known when it was last tried to learn.
    trained_at: usize,
    arrival: Errors,
    whole: Errors,
}

/// Errors of predictions made lately, in units of what was expected of them.
#[derive(Clone, Debug, Default)]
struct Errors {
    /// Predictions whose window is not over: step made, location, scale.
    open: std::collections::VecDeque<(usize, f64, f64)>,
    /// The newest errors of the largest load.
    closed: Vec<f64>,
    /// The newest errors of what is weighed.
    weighed: Vec<f64>,
    /// How errors spread, and how many were known when that was last looked at.
    tail: Option<(usize, Tail)>,
}

/// What every stored model starts with.
const MAGIC: [u8; 4] = *b"HRLM";
/// The version that this build writes and reads. It changes with anything in a model that is stored.
const VERSION: u16 = 2;
/// Windows whose errors are remembered: two weeks at five minutes.
const WINDOWS_MAX: usize = 4_032;
/// A dozen errors among thousands change little.
const LOOK_EVERY: usize = 12;
const DAY_S: u32 = 86_400;
/// A model that goes on looks back so far at the most: its errors of longer ago are in what it learned since.
const LOOK_BACK_S: u32 = DAY_S;
/// And so far at the least: unrest is seen in the newest errors.
const UNREST_S: u32 = 7_200;

impl Lead {
    /// Starts from a history, which may be empty.
    pub fn new(setting: Setting, history: &Series) -> Lead {
        let views = Views::new(setting.unit, history);
        let mut lead = Lead {
            setting,
            views,
            model: None,
            trained_at: 0,
            arrival: Errors::default(),
            whole: Errors::default(),
        };
        lead.train();
        lead
    }

    /// Goes on from a model that was stored: it is told the history and looks back over the newest of it, to see how far
    /// it was off lately. `None` for a model of another setting or grid, which has to be learned anew.
    pub fn resume(setting: Setting, history: &Series, model: LeadModel) -> Option<Lead> {
        if model.setting != setting || model.step_s != history.step_s() {
            return None;
        }
        let views = Views::new(setting.unit, history);
        let now = views.len();
        let (end_s, step_s) = (history.end().as_second(), i64::from(model.step_s));
        let since = usize::try_from((end_s - model.trained_until_s) / step_s).unwrap_or(0);
        let mut lead = Lead {
            setting,
            trained_at: now.saturating_sub(since),
            model: Some(model),
            views,
            arrival: Errors::default(),
            whole: Errors::default(),
        };
        lead.look_back(now, since);
        Some(lead)
    }

    /// The model, to be stored.
    pub fn model(&self) -> Option<&LeadModel> {
        self.model.as_ref()
    }

    /// Whether it is time to learn anew: a model of little history soon, one that knows weeks after a day.
    ///
    /// A day, because load changes: on real traces a model that is a week old buys 3 % more for the same supply.
    pub fn is_due(&self) -> bool {
        let per_day = steps(DAY_S, self.views.step_s());
        let since = self.views.len().saturating_sub(self.trained_at);
        let known = self.model.as_ref().map_or(self.trained_at, |model| model.steps);
        (known / 2).clamp(per_day / 4, per_day) <= since
    }

    /// Learns from everything known.
    pub fn train(&mut self) {
        self.trained_at = self.views.len();
        self.model = LeadModel::train(self.setting, &self.views);
        self.arrival.tail = None;
        self.whole.tail = None;
    }

    fn look_back(&mut self, now: usize, since: usize) {
        let Some(model) = &self.model else { return };
        let step_s = self.views.step_s();
        let back = since.min(steps(LOOK_BACK_S, step_s)).max(steps(UNREST_S, step_s)).min(now);
        let every = steps(self.setting.cycle_s, step_s).max(1);
        for then in (now - back..now).step_by(every).filter(|then| 0 < *then) {
            let row = self.views.row(then, model.whole.window.to);
            self.arrival.note(&self.views, &model.arrival, &row, then);
            self.whole.note(&self.views, &model.whole, &row, then);
        }
    }

    /// Adds what was measured since.
    pub fn push(&mut self, values: impl IntoIterator<Item = Option<f64>>) {
        values.into_iter().for_each(|value| self.views.push(value));
        if self.is_due() {
            self.train();
        }
    }

    /// Steps known, gaps left out.
    pub fn known(&self) -> usize {
        self.views.known()
    }

    /// Steps that a model needs.
    pub fn needed(&self) -> usize {
        let (ready, cycle) = (self.setting.provisioning_s, self.setting.cycle_s);
        window_model::needed(steps(ready, self.views.step_s()) + steps(cycle, self.views.step_s()).max(1))
    }

    /// When the newest value ends.
    pub fn end(&self) -> Timestamp {
        self.views.time_of(self.views.len())
    }

    /// What the windows that begin now may bring; `None` while too little is known.
    pub fn outlook(&mut self) -> Option<Outlook> {
        let model = self.model.as_ref()?;
        let now = self.views.len();
        let row = self.views.row(now, model.whole.window.to);
        let arrival = self.arrival.next(&self.views, &model.arrival, &row, now);
        let whole = self.whole.next(&self.views, &model.whole, &row, now);
        let confidence = self.whole.confidence(&whole.tail);
        let at = |ahead: usize| self.views.time_of(now + ahead);
        let (ready, until) = (at(model.arrival.window.from), at(model.arrival.window.to));
        Some(Outlook { from: at(0), ready, until, arrival, whole, confidence })
    }
}

impl Errors {
    /// What the window that begins now may bring.
    fn next(&mut self, views: &Views, model: &WindowModel, row: &[f32], now: usize) -> Spread {
        let (location, scale) = self.note(views, model, row, now);
        Spread { unit: views.unit(), location, scale, tail: self.spread(model) }
    }

    /// Notes how far off it was with windows that are over, and what is expected of the one that begins now.
    fn note(&mut self, views: &Views, model: &WindowModel, row: &[f32], now: usize) -> (f64, f64) {
        while let Some((made, location, scale)) =
            self.open.front().copied().filter(|(made, ..)| made + model.window.to <= now)
        {
            self.open.pop_front();
            if let Some(actual) = views.peak(made, model.window) {
                self.closed.push((actual - location) / scale);
                let weighed = views.weighed(made, model.window).into_iter();
                self.weighed.extend(weighed.map(|level| (f64::from(level) - location) / scale));
            }
        }
        let most = WINDOWS_MAX * model.window.weighs.steps();
        for (errors, most) in [(&mut self.closed, WINDOWS_MAX), (&mut self.weighed, most)] {
            if 2 * most <= errors.len() {
                errors.drain(..errors.len() - most);
            }
        }
        let (location, scale) = model.predict(row);
        let (location, scale) = (location + views.base(now), scale * self.unrest());
        self.open.push_back((now, location, scale));
        (location, scale)
    }

    /// How much wider than usual the newest errors lie: a burst is announced by the errors before it.
    fn unrest(&self) -> f64 {
        const NEWEST: usize = 4;
        const MOST: f64 = 3.0;
        /// Not all of it lasts: the root and a little more was best on real traces.
        const SHARE: f64 = 0.7;
        let newest = self.closed.get(self.closed.len().saturating_sub(NEWEST)..).unwrap_or_default();
        let size = newest.iter().map(|error| error.abs()).sum::<f64>() / real(newest.len().max(1));
        size.clamp(1.0, MOST).powf(SHARE)
    }

    /// One while nine of ten recent errors are below the quantile that nine of ten should be below.
    fn confidence(&self, tail: &Tail) -> Ratio {
        const WINDOWS: usize = 200;
        const LEVEL: f64 = 0.9;
        let bound = tail.quantile(LEVEL);
        let newest = self.closed.get(self.closed.len().saturating_sub(WINDOWS)..).unwrap_or_default();
        let below = newest.iter().filter(|error| **error <= bound).count();
        // Until something was seen, what training showed counts.
        let share = if newest.is_empty() { LEVEL } else { real(below) / real(newest.len()) };
        Ratio::clamped(share / LEVEL)
    }

    fn spread(&mut self, model: &WindowModel) -> Tail {
        let seen = self.closed.len();
        match &self.tail {
            Some((then, tail)) if (*then..*then + LOOK_EVERY).contains(&seen) => tail.clone(),
            _ => {
                let from = self.weighed.len().saturating_sub(WINDOWS_MAX * model.window.weighs.steps());
                let newest = self.weighed.get(from..).unwrap_or_default();
                let tail = model.tail(newest);
                self.tail = Some((seen, tail.clone()));
                tail
            }
        }
    }
}

impl LeadModel {
    /// The model in bytes: some 30 KB.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(MAGIC, VERSION, self)
    }

    /// The model from its bytes.
    ///
    /// # Errors
    /// For another version, and for bytes that are no model.
    pub fn decode(bytes: &[u8]) -> Result<LeadModel, NotAModel> {
        codec::decode(MAGIC, VERSION, bytes)
    }

    /// Learns both windows; `None` while there is too little to learn from.
    fn train(setting: Setting, views: &Views) -> Option<LeadModel> {
        let step_s = views.step_s();
        let ready = steps(setting.provisioning_s, step_s);
        let next = ready + steps(setting.cycle_s, step_s).max(1);
        let arrival =
            WindowModel::train(views, Window { from: ready, to: next, weighs: Weighs::Steps }, next)?;
        let whole = WindowModel::train(views, Window { from: 0, to: next, weighs: Weighs::Largest }, next)?;
        let trained_until_s = views.time_of(views.len()).as_second();
        Some(LeadModel { setting, step_s, trained_until_s, steps: views.len(), arrival, whole })
    }
}

/// Whole steps that cover a span.
fn steps(span_s: u32, step_s: u32) -> usize {
    usize::try_from(span_s.div_ceil(step_s.max(1))).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTING: Setting = Setting { provisioning_s: 300, cycle_s: 300, unit: 10.0 };

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
        let mut lead = Lead::new(SETTING, &history);
        let bytes = lead.model().unwrap().encode();
        assert!(bytes.len() < 36 * 1_024, "{} bytes", bytes.len());
        let stored = LeadModel::decode(&bytes).unwrap();
        assert_eq!(Some(&stored), lead.model());
        let mut resumed = Lead::resume(SETTING, &history, stored.clone()).unwrap();
        let (was, is) = (lead.outlook().unwrap(), resumed.outlook().unwrap());
        assert_eq!((was.ready, was.until), (is.ready, is.until));
        let (was, is) = (was.arrival.quantile(0.9), is.arrival.quantile(0.9));
        assert!((was - is).abs() < 0.05 * was, "{was}, then {is}");
        let other = Setting { provisioning_s: 60, ..SETTING };
        assert!(Lead::resume(other, &history, stored).is_none(), "another lead window is learned anew");
    }

    #[test]
    fn a_drop_in_the_first_hours_is_not_expected_again_at_a_time_of_the_hour() {
        let values = std::iter::repeat_n(900.0, 120).chain([630.0]).chain(std::iter::repeat_n(90.0, 30));
        let values: Vec<_> = values.map(Some).collect();
        for minute in (0..60).step_by(5) {
            for provisioning_s in [240, 480, 900] {
                let start = Timestamp::from_second(minute * 60).unwrap();
                let setting = Setting { provisioning_s, unit: 60.0, ..SETTING };
                let history = Series::new(start, 60, values.clone());
                let outlook = Lead::new(setting, &history).outlook().unwrap();
                for spread in [&outlook.arrival, &outlook.whole] {
                    let high = spread.quantile(0.99);
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
        let setting = Setting { provisioning_s: 180, unit: 1_150.0, ..SETTING };
        let known = Series::new(Timestamp::UNIX_EPOCH, 60, (0..10_060).map(value));
        let mut lead = Lead::new(setting, &known);
        let mut most: f64 = 0.0;
        for minute in (10_060..12_800).step_by(5) {
            lead.push((minute..minute + 5).map(value));
            most = most.max(lead.outlook().unwrap().arrival.quantile(0.99));
        }
        assert!(most < 14_000.0, "{most} after 10,000");
    }
}
