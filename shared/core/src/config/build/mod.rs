//! From the shape of the file to a [`Platform`]: fills in defaults, resolves references, checks what no schema can say.

mod calendar;
mod doubt;
mod groups;
mod metrics;
mod monitoring;
mod names;
mod nature;
mod orchestration;
mod resources;
mod zero;

use std::fmt::Display;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::DefaultUsed;
use super::fault::Fault;
use super::path::{Path, Segment};
use super::raw;
use super::yaml::{Node, Value};
use crate::name::PlatformName;
use crate::platform::{Budget, Cooldown, Guardrails, Platform, Predictive};
use crate::scalar::Span;
use crate::units::{DAY_S, Ratio};

/// What building leaves behind besides the platform.
pub(super) struct Build<'a> {
    root: &'a Node,
    /// Parts that the check already found faulty and took out.
    dropped: &'a [Path],
    pub(super) faults: Vec<Fault>,
    pub(super) warnings: Vec<Fault>,
    pub(super) defaults: Vec<DefaultUsed>,
}

impl<'a> Build<'a> {
    pub(super) fn new(root: &'a Node, dropped: &'a [Path]) -> Build<'a> {
        Build { root, dropped, faults: Vec::new(), warnings: Vec::new(), defaults: Vec::new() }
    }

    /// Records a fault, unless it may only follow from something that was taken out.
    fn fault(&mut self, at: &Path, sentence: impl Into<String>) {
        let at = self.in_file(at);
        let follows = self.dropped.iter().any(|dropped| at.contains(dropped) || dropped.contains(&at));
        if !follows {
            self.faults.push(self.root.mark_of(&at).fault(&at, sentence));
        }
    }

    /// Whether a plain number is written there.
    fn is_number(&self, at: &Path) -> bool {
        let node = self.root.at(&self.in_file(at));
        node.is_some_and(|node| matches!(node.value, Value::Number(_)))
    }

    fn warn(&mut self, at: &Path, sentence: impl Into<String>) {
        let at = self.in_file(at);
        self.warnings.push(self.root.mark_of(&at).fault(&at, sentence));
    }

    /// The path in the file: entries of lists that were taken out still count there.
    fn in_file(&self, at: &Path) -> Path {
        at.segments().iter().fold(Path::default(), |path, segment| match segment {
            Segment::Key(key) => path.key(key),
            Segment::Index(index) => {
                let kept = (0..).map(|place| path.index(place)).filter(|place| !self.dropped.contains(place));
                kept.take(index + 1).last().unwrap_or_else(|| path.index(*index))
            }
        })
    }

    /// What was given, or the default, which is then recorded.
    fn or<T: Display>(&mut self, at: &Path, given: Option<T>, default: T) -> T {
        given.unwrap_or_else(|| {
            self.note(at, &default);
            default
        })
    }

    fn or_span(&mut self, at: &Path, given: Option<Span>, default_s: u64) -> Duration {
        self.or(at, given, Span(Duration::from_secs(default_s))).0
    }

    fn note(&mut self, at: &Path, value: &impl Display) {
        self.defaults.push(DefaultUsed { path: at.to_string(), value: value.to_string() });
    }
}

/// A platform, as far as it can be built; complete only if no fault was recorded.
pub(super) fn platform(build: &mut Build<'_>, raw: raw::Platform) -> Platform {
    let at = Path::default();
    let zone = match raw.timezone {
        Some(zone) => zone.0,
        None => {
            build.note(&at.key("timezone"), &"UTC");
            TimeZone::UTC
        }
    };
    let predictive = predictive(build, raw.predictive.unwrap_or_default());
    let cooldown = raw.guardrails.as_ref().and_then(|guardrails| guardrails.cooldown.as_ref());
    let cooldown = default_cooldown(build, cooldown);
    let guardrails = guardrails(build, raw.guardrails.unwrap_or_default());
    let checks = groups::own_checks(&raw.scaling_groups);
    let scheduled = groups::own_events(&raw.scaling_groups);
    let defaults = groups::GroupDefaults::of(raw.orchestration.as_ref(), &predictive, cooldown);
    let groups = groups::groups(build, raw.scaling_groups, &defaults);
    let orchestration =
        orchestration::orchestration(build, raw.orchestration.unwrap_or_default(), checks, &groups);
    let mut calendar = calendar::calendar(build, raw.calendar.unwrap_or_default(), &groups, &zone);
    calendar.extend(scheduled);
    let monitoring = monitoring::monitoring(build, raw.monitoring.unwrap_or_default(), &groups);
    let platform = Platform {
        // Required, so without a name there is a fault already and this platform goes nowhere.
        name: PlatformName(raw.configuration_name.map(|name| name.0).unwrap_or_default()),
        objective: raw.objective,
        zone,
        groups,
        predictive: predictive.settings,
        orchestration,
        guardrails,
        calendar,
        monitoring,
    };
    if platform.dimensions().next().is_none() {
        build.fault(&at.key("scaling_groups"), "has no resource; there is nothing to scale");
    }
    zero::check(build, &platform);
    platform
}

/// The platform's predictive settings with the default that groups may override.
struct PredictiveDefaults {
    settings: Predictive,
    scheduling_buffer: Duration,
}

fn predictive(build: &mut Build<'_>, raw: raw::Predictive) -> PredictiveDefaults {
    let at = Path::default().key("predictive");
    let raw = renamed(build, &at, raw);
    let fallback = raw.fallback.unwrap_or_default();
    let retrain = match raw.retrain {
        Some(raw::Retrain::Daily) => Some(86_400),
        Some(raw::Retrain::Never) => None,
        Some(raw::Retrain::Weekly) => Some(604_800),
        None => {
            build.note(&at.key("retrain"), &"weekly");
            Some(604_800)
        }
    };
    let objective = build.or(&at.key("slo").key("objective"), raw.slo.and_then(|slo| slo.objective), 99.5);
    let settings = Predictive {
        horizon: build.or_span(&at.key("prediction_horizon"), raw.prediction_horizon, 7_200),
        training_period: build.or_span(&at.key("training_period"), raw.training_period, 14 * 86_400),
        scale_out_confidence: Ratio::clamped(build.or(
            &at.key("scale_up_confidence"),
            raw.scale_up_confidence,
            0.7,
        )),
        scale_in_confidence: Ratio::clamped(build.or(
            &at.key("scale_down_confidence"),
            raw.scale_down_confidence,
            SCALE_DOWN_CONFIDENCE,
        )),
        predictive_change_max: build.or(
            &at.key("max_predictive_scaling_percent"),
            raw.max_predictive_scaling_percent,
            200.0,
        ) / 100.0,
        objective: Ratio::clamped(objective / 100.0),
        retrain: retrain.map(Duration::from_secs),
        reactive_fallback: build.or(&at.key("fallback").key("reactive"), fallback.reactive, true),
        stale_after: {
            let after_at = at.key("fallback").key("after");
            let after = build.seconds(&after_at, fallback.after);
            build.or_span(&after_at, after, 300)
        },
    };
    if settings.horizon < Duration::from_secs(600) {
        build.fault(&at.key("prediction_horizon"), "is under 10m; capacity would not be ready in time");
    }
    if settings.training_period < Duration::from_secs(86_400) {
        build.fault(&at.key("training_period"), "is under 1d; a day is the shortest season");
    }
    let kept_s = u64::try_from(Predictive::HISTORY_KEPT_DAYS * DAY_S).unwrap_or(u64::MAX);
    if kept_s < settings.training_period.as_secs() {
        let kept = Span(Duration::from_secs(kept_s));
        let sentence = format!(
            "is longer than history is kept: {kept}; CloudWatch's past, read when a metric is new, counts for {kept} more, and then \
             models learn from the newest {kept}"
        );
        build.warn(&at.key("training_period"), sentence);
    }
    let buffer = build.or_span(&at.key("scheduling_buffer"), raw.scheduling_buffer, 0);
    PredictiveDefaults { settings, scheduling_buffer: buffer }
}

/// With the names that other tools have for some of the settings put in the place of ours.
fn renamed(build: &mut Build<'_>, at: &Path, raw: raw::Predictive) -> raw::Predictive {
    let threshold_at = at.key("confidence_threshold");
    let threshold = raw.confidence_threshold;
    let scale_up_confidence =
        build.either((&at.key("scale_up_confidence"), raw.scale_up_confidence), (&threshold_at, threshold));
    // One threshold for both directions never makes scaling in easier than it is without one.
    let inward = threshold.map(|threshold| threshold.max(SCALE_DOWN_CONFIDENCE));
    let scale_down_confidence = raw.scale_down_confidence.or(inward);
    if let Some(threshold) = threshold.filter(|threshold| *threshold < SCALE_DOWN_CONFIDENCE)
        && raw.scale_down_confidence.is_none()
    {
        let sentence = format!(
            "is taken for `scale_up_confidence`, and scaling in still needs {SCALE_DOWN_CONFIDENCE}; write `scale_down_confidence: \
             {threshold}` if it is meant for both"
        );
        build.warn(&threshold_at, sentence);
    }
    let buffer_at = at.key("pre_scale_buffer");
    let pre_scale = build.minutes(&buffer_at, raw.pre_scale_buffer);
    let own = build.seconds(&at.key("scheduling_buffer"), raw.scheduling_buffer);
    let scheduling_buffer = build.either((&at.key("scheduling_buffer"), own), (&buffer_at, pre_scale));
    let mut fallback = raw.fallback.unwrap_or_default();
    fallback.reactive = build.either(
        (&at.key("fallback").key("reactive"), fallback.reactive),
        (&at.key("enable_fallback"), raw.enable_fallback),
    );
    let most_at = at.key("max_predictive_scaling");
    let most = raw.max_predictive_scaling.map(|most| predictive_percent(build, &most_at, most));
    let max_predictive_scaling_percent = build.either(
        (&at.key("max_predictive_scaling_percent"), raw.max_predictive_scaling_percent),
        (&most_at, most),
    );
    raw::Predictive {
        scale_up_confidence,
        scale_down_confidence,
        scheduling_buffer,
        max_predictive_scaling_percent,
        fallback: Some(fallback),
        ..raw
    }
}

/// A share or percent. Below 1 nobody means percent; a little above it either may be meant.
fn predictive_percent(build: &mut Build<'_>, at: &Path, most: f64) -> f64 {
    /// A forecast may hardly be held to a tenth of the capacity.
    const DOUBTFUL: f64 = 10.0;
    let percent = most * 100.0;
    if most < 1.0 {
        build.warn(
            at,
            format!("is taken for the share {most}, which is {percent} %; write `{percent}` for this"),
        );
        return percent;
    }
    if most <= DOUBTFUL {
        build.warn(
            at,
            format!("is taken for {most} %; write `{percent}` if {most} times the capacity is meant"),
        );
    }
    most
}

/// What a forecast needs to scale in by, unless it is written.
const SCALE_DOWN_CONFIDENCE: f64 = 0.9;

fn default_cooldown(build: &mut Build<'_>, raw: Option<&raw::Cooldown>) -> Cooldown {
    let at = Path::default().key("guardrails").key("cooldown");
    let out = build.seconds(&at.key("out"), raw.and_then(|cooldown| cooldown.out));
    let inward = build.seconds(&at.key("in"), raw.and_then(|cooldown| cooldown.inward));
    Cooldown { out: build.or_span(&at.key("out"), out, 0), inward: build.or_span(&at.key("in"), inward, 300) }
}

fn guardrails(build: &mut Build<'_>, raw: raw::Guardrails) -> Guardrails {
    let at = Path::default().key("guardrails");
    let breaker = raw.circuit_breaker.unwrap_or_default();
    let breaker_at = at.key("circuit_breaker");
    let budget = raw.budget.unwrap_or_default();
    let open_for = build.seconds(&breaker_at.key("open_for"), breaker.open_for);
    let budget_at = at.key("budget");
    for (key, given) in [("hourly", budget.hourly), ("monthly", budget.monthly)] {
        if given == Some(0.0) {
            build.fault(&budget_at.key(key), "is 0 and forbids every unit; leave it out for no limit");
        }
    }
    let limited = budget.hourly.is_some() || budget.monthly.is_some();
    let currency = match budget.currency {
        Some(currency) => currency,
        None if limited => build.or(&budget_at.key("currency"), None, "USD".to_owned()),
        None => "USD".to_owned(),
    };
    Guardrails {
        out_share_max: build.or(&at.key("max_scale_out_percent"), raw.max_scale_out_percent, 200.0) / 100.0,
        in_share_max: build.or(&at.key("min_scale_in_percent"), raw.min_scale_in_percent, 50.0) / 100.0,
        breaker_failures: build.or(&breaker_at.key("failures"), breaker.failures, 3),
        breaker_open: build.or_span(&breaker_at.key("open_for"), open_for, 1_800),
        direction_changes_hourly: build.or(
            &at.key("direction_changes_per_hour"),
            raw.direction_changes_per_hour,
            12,
        ),
        budget: Budget { hourly: budget.hourly, monthly: budget.monthly, currency },
    }
}
