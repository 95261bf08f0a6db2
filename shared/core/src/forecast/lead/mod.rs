//! The lead window: the largest load that a decision made now must carry.
//!
//! Capacity ordered now serves from when it is ready until what the next decision orders can be: that is the *arrival*
//! window. Capacity kept now also serves until then: the *whole* window. For both, a model learned from the dimension's own
//! history says where the largest load will lie and how far it is usually off, and the errors it made on days it had not
//! seen say how surely. What comes out is a whole distribution, so that a decision can weigh what each unit buys.

mod fit;
mod tail;
mod views;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::forecast::real;
use crate::platform::{Place, Platform};
use crate::series::Series;
use crate::units::Ratio;
use fit::WindowModel;
use tail::Tail;
use views::Views;

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

impl Setting {
    /// The setting of a metric of a dimension of which one unit carries `unit`.
    pub fn of(platform: &Platform, place: Place<'_>, unit: f64) -> Setting {
        let seconds = |span: std::time::Duration| u32::try_from(span.as_secs()).unwrap_or(u32::MAX);
        Setting {
            provisioning_s: seconds(place.resource.provisioning),
            cycle_s: seconds(platform.orchestration.cycle),
            unit,
        }
    }
}

/// Steps from now, first and after the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Window {
    from: usize,
    to: usize,
}

/// Models of both windows, learned from one history.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LeadModel {
    setting: Setting,
    step_s: u32,
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
    /// From when ordered capacity is ready until what is ordered next is.
    pub arrival: Spread,
    /// From now until what is ordered next is ready.
    pub whole: Spread,
    /// How well recent windows kept to what was said of them: the share below its 90 % quantile against 90 %.
    pub confidence: Ratio,
}

impl Spread {
    /// The chance that the largest load of the window is above `load`.
    pub fn chance_above(&self, load: f64) -> f64 {
        self.tail.above((self.measure(load) - self.location) / self.scale)
    }

    /// The load that the largest of the window stays below with the chance `level`.
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
    trained_at: usize,
    arrival: Errors,
    whole: Errors,
}

/// Errors of predictions made lately, in units of what was expected of them.
#[derive(Clone, Debug, Default)]
struct Errors {
    /// Predictions whose window is not over: step made, location, scale.
    open: std::collections::VecDeque<(usize, f64, f64)>,
    /// The newest errors.
    closed: Vec<f64>,
    /// How errors spread, and how many were known when that was last looked at.
    tail: Option<(usize, Tail)>,
}

/// Errors remembered: two weeks at five minutes.
const ERRORS_MAX: usize = 4_032;
/// A dozen errors among thousands change little.
const LOOK_EVERY: usize = 12;
const DAY_S: u32 = 86_400;

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

    /// Adds what was measured since.
    pub fn push(&mut self, values: impl IntoIterator<Item = Option<f64>>) {
        values.into_iter().for_each(|value| self.views.push(value));
        if self.is_due() {
            self.train();
        }
    }

    /// When the newest value ends.
    pub fn end(&self) -> Timestamp {
        self.views.time_of(self.views.len())
    }

    fn train(&mut self) {
        self.trained_at = self.views.len();
        self.model = LeadModel::train(self.setting, &self.views);
        self.arrival.tail = None;
        self.whole.tail = None;
    }

    /// A model learned from little is replaced soon, one that knows weeks after a week.
    fn is_due(&self) -> bool {
        let per_day = steps(DAY_S, self.views.step_s());
        let since = self.views.len() - self.trained_at;
        since >= (self.trained_at / 2).clamp(per_day / 4, 7 * per_day)
    }

    /// What the windows that begin now may bring; `None` while too little is known.
    pub fn outlook(&mut self) -> Option<Outlook> {
        let model = self.model.as_ref()?;
        let now = self.views.len();
        let row = self.views.row(now, model.whole.window.to);
        let arrival = self.arrival.next(&self.views, &model.arrival, &row, now);
        let whole = self.whole.next(&self.views, &model.whole, &row, now);
        let confidence = self.whole.confidence(&whole.tail);
        Some(Outlook { arrival, whole, confidence })
    }
}

impl Errors {
    fn next(&mut self, views: &Views, model: &WindowModel, row: &[f32], now: usize) -> Spread {
        while let Some((made, location, scale)) =
            self.open.front().copied().filter(|(made, ..)| made + model.window.to <= now)
        {
            self.open.pop_front();
            if let Some(actual) = views.peak(made, model.window) {
                self.closed.push((actual - location) / scale);
            }
        }
        if 2 * ERRORS_MAX <= self.closed.len() {
            self.closed.drain(..ERRORS_MAX);
        }
        let (location, scale) = model.predict(row);
        let scale = scale * self.unrest();
        let location = location + views.base(now);
        self.open.push_back((now, location, scale));
        Spread { unit: views.unit(), location, scale, tail: self.spread(model) }
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
                let newest = self.closed.get(seen.saturating_sub(ERRORS_MAX)..).unwrap_or_default();
                let tail = model.tail(newest);
                self.tail = Some((seen, tail.clone()));
                tail
            }
        }
    }
}

impl LeadModel {
    /// Learns both windows; `None` while there is too little to learn from.
    fn train(setting: Setting, views: &Views) -> Option<LeadModel> {
        let step_s = views.step_s();
        let ready = steps(setting.provisioning_s, step_s);
        let next = ready + steps(setting.cycle_s, step_s).max(1);
        let arrival = WindowModel::train(views, Window { from: ready, to: next }, next)?;
        let whole = WindowModel::train(views, Window { from: 0, to: next }, next)?;
        Some(LeadModel { setting, step_s, arrival, whole })
    }
}

/// Whole steps that cover a span.
fn steps(span_s: u32, step_s: u32) -> usize {
    usize::try_from(span_s.div_ceil(step_s.max(1))).unwrap_or(usize::MAX)
}
