//! Decisions as data: a world in, one line out.

pub(crate) mod any_world;
mod asked;
mod calendar;
mod guardrails;
mod laws;
mod told;
mod warm_pool;
mod world_laws;

use std::collections::BTreeMap;

use headroom_forecast::lead_window::LeadForecast;
use headroom_forecast::{Forecast, NoForecast, Quantile};
use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::config::parse;
use crate::observe::{Busy, Load, Reading};
use crate::platform::Platform;
use crate::resource::{DailyLimit, Facts, Scaling};
use crate::state::{
    Breaker, ConfidenceAdjustment, EMPTY, OperatorRequests, Override, Pause, PlatformState, Provisioned,
    RolloutState,
};

const NOW: &str = "2026-11-24T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// One web group with a CPU target of 50, and what else is said.
fn web(rest: &str) -> Platform {
    web_up_to(20, rest)
}

/// The same with so many units at most.
fn web_up_to(most: u32, rest: &str) -> Platform {
    let text = format!(
        "configuration_name: shop
scaling_groups:
  web:
    resources:
      - {{type: EC2_AUTO_SCALING_GROUP, name: web, min_capacity: 2, max_capacity: {most}, target_cpu_utilization: 50}}
{rest}"
    );
    parse(&text).unwrap().platform
}

const FULL: &str = "orchestration: {rollout_phase: full}\n";

/// What a test says of the world; the rest is quiet and known.
#[derive(Clone, Debug)]
struct Case {
    platform: Platform,
    set: u32,
    cpu: Option<f64>,
    saturated: bool,
    busy: Option<Busy>,
    failed: bool,
    /// Load forecast at every level, and how far it is trusted.
    forecast: Option<(f64, f64)>,
    /// The load that the lead window most likely brings, and how far that is trusted.
    lead: Option<(f64, f64)>,
    /// The load that the window after it most likely brings.
    later: Option<f64>,
    /// Seconds since the last change, and whether it was out.
    changed: Option<(i64, bool)>,
    /// Whether the changes of the last hour were out, oldest first, all of them longer ago than any cooldown.
    turned: Vec<bool>,
    manual: Option<u32>,
    aws_max: Option<u32>,
    decreases_left: Option<u32>,
    /// Units of the warm pool that stands by.
    pool: Option<u32>,
    state: PlatformState,
}

fn case(rest: &str) -> Case {
    let platform = web(rest);
    Case {
        platform,
        set: 10,
        cpu: Some(50.0),
        saturated: false,
        busy: None,
        failed: false,
        forecast: None,
        lead: None,
        later: None,
        changed: None,
        turned: Vec::new(),
        manual: None,
        aws_max: None,
        decreases_left: None,
        pool: None,
        state: PlatformState::default(),
    }
}

/// A quiet world whose one dimension has other facts.
fn with_facts(change: impl Fn(&mut Facts)) -> Case {
    let mut case = case(FULL);
    let resources = case.platform.groups.iter_mut().flat_map(|group| &mut group.resources);
    resources
        .flat_map(|resource| &mut resource.dimensions)
        .for_each(|dimension| change(&mut dimension.facts));
    case
}

impl Case {
    fn decide(&self) -> Decision {
        self.decide_on("web/desired")
    }

    fn decide_on(&self, key: &str) -> Decision {
        self.in_world(|world| {
            let key: DimensionKey = key.parse().unwrap();
            decide(world).into_iter().find(|decision| decision.key == key).unwrap()
        })
    }

    /// What is told of the world that this case is.
    fn in_world<T>(&self, tell: impl FnOnce(&World<'_>) -> T) -> T {
        let key: DimensionKey = "web/desired".parse().unwrap();
        let load = match self.cpu {
            Some(cpu) => {
                let load = cpu * f64::from(self.set);
                Observed::Known(Load {
                    mean: load,
                    peak: load,
                    at: now(),
                    saturated: self.saturated,
                    over_s: 0,
                })
            }
            None => Observed::Unknown("cpu has no points".into()),
        };
        let capacity = Capacity {
            mode: Mode::Desired,
            set: Units(self.set),
            ready: Units(self.set),
            busy: self.busy.clone(),
            failed: self.failed.then(|| "its deployment failed".into()),
            aws_max: self.aws_max.map(Units),
            decreases_left: self.decreases_left,
            ..Capacity::default()
        };
        let readings = vec![Reading { metric: "cpu".into(), load }];
        let observation = Observation {
            key: key.clone(),
            capacity: Observed::Known(capacity),
            readings,
            short_minutes: None,
        };
        let forecasts = self.forecast.map(|(load, confidence)| {
            let quantile = |level| Quantile { level, values: vec![load; 24] };
            let forecast = Forecast {
                start: now(),
                step_s: 300,
                mean: vec![load; 24],
                quantiles: vec![quantile(0.5), quantile(0.9)],
                model: "test".into(),
                confidence: Ratio::clamped(confidence),
            };
            let lead = self.lead.map(|(load, confidence)| LeadForecast {
                confidence: Ratio::clamped(confidence),
                later: self.later.map(any_world::later),
                ..any_world::lead(load)
            });
            let none = MetricForecast::none("cpu", NoForecast::Stale { age_s: 0 });
            (key.clone(), vec![MetricForecast { outcome: Ok(forecast), lead, ..none }])
        });
        let change = |(ago_s, out): (i64, bool)| Change {
            key: key.clone(),
            at: now() - SignedDuration::from_secs(ago_s),
            from: Units(if out { 5 } else { 15 }),
            to: Units(10),
        };
        let turned = (0..).map(|place| 3_500 - 60 * place).zip(self.turned.iter().copied());
        let changes: Vec<Change> = turned.chain(self.changed).map(change).collect();
        tell(&World {
            platform: &self.platform,
            now: now(),
            observations: &[Some((key.clone(), observation)), self.pool.map(pool)]
                .into_iter()
                .flatten()
                .collect(),
            forecasts: &forecasts.into_iter().collect(),
            changes: &changes,
            manual: &self.manual.map(|units| (key, Units(units))).into_iter().collect(),
            state: &self.state,
        })
    }

    /// `10 -> 14 by Reactive: pace` or `hold 10: enough`.
    fn check(&self, expected: &str) {
        Case::told(&self.decide(), expected);
    }

    fn told(decision: &Decision, expected: &str) {
        let codes: Vec<String> = decision.reasons.iter().map(code).collect();
        let head = match decision.change() {
            Some((from, to)) => format!("{from} -> {to} by {:?}", decision.source.unwrap()),
            None => decision.observed.map_or("hold".to_owned(), |set| format!("hold {set}")),
        };
        assert_eq!(format!("{head}: {}", codes.join(" ")), expected);
    }
}

/// What is seen of a warm pool.
fn pool(set: u32) -> (DimensionKey, Observation) {
    let key: DimensionKey = "web/warm_pool".parse().unwrap();
    let capacity = Capacity { set: Units(set), ..Capacity::default() };
    let capacity = Observed::Known(capacity);
    (key.clone(), Observation { key, capacity, readings: Vec::new(), short_minutes: None })
}

fn code(reason: &Reason) -> String {
    serde_json::to_value(reason).unwrap()["code"].as_str().unwrap().to_owned()
}

#[test]
fn measured_load_is_followed() {
    let quiet = case(FULL);
    Case { cpu: Some(75.0), ..quiet.clone() }.check("10 -> 15 by Reactive: no_forecast measured_load");
    Case { cpu: Some(30.0), ..quiet.clone() }.check("10 -> 6 by Reactive: no_forecast measured_load");
    quiet.check("hold 10: no_forecast measured_load enough");
    Case { cpu: Some(0.0), set: 3, ..quiet }.check("3 -> 2 by Reactive: no_forecast measured_load bounds");
}

#[test]
fn forecasts_come_before_the_load() {
    let quiet = case(FULL);
    Case { forecast: Some((700.0, 0.95)), ..quiet.clone() }.check("10 -> 14 by Predictive: forecast_load");
    Case { forecast: Some((500.0, 0.95)), cpu: Some(60.0), ..quiet.clone() }
        .check("10 -> 12 by Reactive: measured_load");
    Case { forecast: Some((400.0, 0.95)), cpu: Some(30.0), ..quiet.clone() }
        .check("10 -> 8 by Predictive: forecast_load");
    Case { forecast: Some((300.0, 0.95)), cpu: Some(30.0), ..quiet.clone() }
        .check("10 -> 6 by Hybrid: forecast_load");
    // What agrees with the measured load by chance decides nothing where it is not trusted.
    Case { forecast: Some((750.0, 0.5)), cpu: Some(75.0), ..quiet.clone() }
        .check("10 -> 15 by Reactive: not_trusted measured_load");
    Case { forecast: Some((750.0, 0.7)), cpu: Some(75.0), ..quiet.clone() }
        .check("10 -> 15 by Hybrid: forecast_load");
    // Half of the capacity is the most that may rest on a forecast alone here; what is measured may go on.
    let quiet = case(&format!("{FULL}predictive: {{max_predictive_scaling_percent: 50}}\n"));
    Case { forecast: Some((900.0, 0.95)), ..quiet.clone() }
        .check("10 -> 15 by Predictive: forecast_load predictive_limit");
    Case { forecast: Some((900.0, 0.95)), cpu: Some(80.0), ..quiet.clone() }
        .check("10 -> 16 by Predictive: forecast_load predictive_limit");
    // Not trusted: no scale-out by it, but what it expects is kept.
    Case { forecast: Some((700.0, 0.5)), ..quiet.clone() }.check("hold 10: not_trusted forecast_load enough");
    Case { forecast: Some((450.0, 0.5)), cpu: Some(20.0), ..quiet }
        .check("10 -> 9 by Predictive: not_trusted forecast_load");
}

#[test]
fn unknown_never_scales_in_and_may_scale_out() {
    let quiet = case(FULL);
    Case { cpu: None, ..quiet.clone() }.check("hold 10: metric_unknown no_forecast nothing_measured");
    Case { cpu: None, forecast: Some((200.0, 0.95)), ..quiet.clone() }
        .check("hold 10: metric_unknown forecast_load unknown_never_scales_in");
    Case { cpu: None, forecast: Some((600.0, 0.95)), ..quiet }
        .check("10 -> 12 by Predictive: metric_unknown forecast_load");
}

#[test]
fn a_load_that_is_only_a_lower_bound_takes_nothing_away_and_leaves_the_forecast_in_charge() {
    // Three of thirty units are left, saturated, while the forecast goes on from before.
    let cut = Case { set: 3, cpu: Some(100.0), saturated: true, ..case(FULL) };
    Case { forecast: Some((1_800.0, 0.95)), ..cut.clone() }
        .check("3 -> 9 by Predictive: lower_bound forecast_load bounds predictive_limit");
    Case { set: 10, cpu: Some(30.0), ..cut }
        .check("hold 10: lower_bound no_forecast measured_load unknown_never_scales_in");
}

#[test]
fn what_will_be_needed_again_before_it_could_be_replaced_stays() {
    let quiet = Case { cpu: Some(20.0), lead: Some((200.0, 0.95)), ..case(FULL) };
    // The lead window needs about five units; the median of the curve beyond it needs what is said.
    let soon = |units: f64| Case { forecast: Some((units * 50.0, 0.95)), ..quiet.clone() };
    soon(5.0).check("10 -> 5 by Predictive: lead_window");
    soon(8.0).check("10 -> 8 by Predictive: lead_window straight_back");
    soon(12.0).check("hold 10: lead_window straight_back");
}

#[test]
fn where_forecasts_are_switched_off_none_holds_a_scale_in() {
    let off = "    scaling_policies: [{type: predictive, enabled: false}]\n";
    let quiet = Case { cpu: Some(30.0), forecast: Some((600.0, 0.95)), ..case(&format!("{off}{FULL}")) };
    quiet.check("10 -> 6 by Reactive: measured_load");
    Case { lead: Some((600.0, 0.95)), ..quiet }.check("10 -> 6 by Reactive: measured_load");
}

#[test]
fn what_the_next_decision_could_not_add_at_once_is_begun_now() {
    let quiet =
        Case { cpu: Some(20.0), lead: Some((200.0, 0.95)), forecast: Some((200.0, 0.95)), ..case(FULL) };
    let later = |units: f64| Case { later: Some(units * 50.0), ..quiet.clone() };
    // With 200 % more a decision, five units become fifteen, and twenty, which are the most here, need seven before them.
    later(13.0).check("10 -> 5 by Predictive: lead_window");
    later(18.0).check("10 -> 7 by Predictive: begun_before");
    later(400.0).check("10 -> 7 by Predictive: begun_before");
    let slow = format!("{FULL}guardrails: {{max_scale_out_percent: 50}}\n");
    let slow = Case { platform: web(&slow), ..quiet };
    Case { later: Some(600.0), ..slow }.check("10 -> 9 by Predictive: begun_before");
}

#[test]
fn a_forecast_of_a_lead_window_must_be_trusted_to_go_below_the_measured_load() {
    let low = Case { cpu: Some(40.0), forecast: Some((50.0, 0.95)), ..case(FULL) };
    let trusted = |confidence: f64| Case { lead: Some((200.0, confidence)), ..low.clone() };
    trusted(0.9).check("10 -> 5 by Predictive: lead_window");
    trusted(0.89).check("10 -> 8 by Hybrid: lead_window not_trusted_in");
}

#[test]
fn steps_in_take_what_nothing_else_needs() {
    let text = "configuration_name: shop
scaling_groups:
  web:
    resources:
      - {type: EC2_AUTO_SCALING_GROUP, name: web, min_capacity: 2, max_capacity: 20, target_cpu_utilization: 50}
    scaling_policies:
      - {type: step, metric: CPUUtilization, cooldown: 0, steps: [{below: 30, remove: 1}, {below: 10, remove_percent: 25}]}
orchestration: {rollout_phase: full}
";
    let stepped = Case { platform: parse(text).unwrap().platform, ..case(FULL) };
    // Without a step the target decides: six units at 30 % of ten.
    Case { cpu: Some(31.0), ..stepped.clone() }.check("10 -> 7 by Reactive: no_forecast measured_load");
    Case { cpu: Some(30.0), ..stepped.clone() }.check("10 -> 9 by Reactive: no_forecast step_policy_in");
    // Two bounds are passed: the larger step counts, rounded up.
    Case { cpu: Some(9.0), ..stepped.clone() }.check("10 -> 7 by Reactive: no_forecast step_policy_in");
    // What else is needed wins, and what is unknown never scales in.
    Case { cpu: Some(9.0), forecast: Some((390.0, 0.95)), ..stepped.clone() }
        .check("10 -> 8 by Predictive: forecast_load");
    Case { cpu: Some(9.0), forecast: Some((600.0, 0.95)), ..stepped.clone() }
        .check("10 -> 12 by Predictive: forecast_load");
    Case { cpu: None, ..stepped.clone() }.check("hold 10: metric_unknown no_forecast nothing_measured");
    // Nor does a bound alone say that the rest is enough.
    let mut waits = stepped;
    waits.platform.predictive.reactive_fallback = false;
    Case { cpu: Some(9.0), ..waits }.check("hold 10: no_forecast nothing_measured");
}

#[test]
fn below_the_measured_load_only_a_trusted_forecast_goes() {
    let quiet = Case { forecast: Some((300.0, 0.8)), cpu: Some(40.0), ..case(FULL) };
    quiet.check("10 -> 8 by Reactive: measured_load");
}

#[test]
fn what_serves_without_being_set_is_not_set() {
    let mut case = Case { set: 2, cpu: Some(20.0), ..with_facts(|facts| facts.serves_at_none = Units(1)) };
    let resources = case.platform.groups.iter_mut().flat_map(|group| &mut group.resources);
    resources
        .flat_map(|resource| &mut resource.dimensions)
        .for_each(|dimension| dimension.bounds = crate::units::Bounds::new(Units(0), Units(20)).unwrap());
    case.check("2 -> 1 by Reactive: no_forecast measured_load serves_at_none pace");
    let last = Case { set: 1, cpu: Some(40.0), ..case.clone() };
    last.check("1 -> 0 by Reactive: no_forecast measured_load serves_at_none");
    Case { set: 0, cpu: Some(0.0), manual: Some(1), ..case.clone() }
        .check("0 -> 1 by Manual: no_forecast manual");
    Case { set: 2, cpu: Some(40.0), ..case }.check("hold 2: no_forecast measured_load enough");
}

#[test]
fn a_person_may_ask_within_the_bounds() {
    let quiet = case(FULL);
    Case { manual: Some(12), ..quiet.clone() }.check("10 -> 12 by Manual: no_forecast manual");
    Case { manual: Some(99), ..quiet.clone() }.check("10 -> 20 by Manual: no_forecast manual bounds");
    Case { manual: Some(8), cpu: None, changed: Some((1, true)), ..quiet }
        .check("10 -> 8 by Manual: metric_unknown no_forecast manual");
    // A person who asks for less than is measured has looked, whatever the forecast is trusted.
    let doubted = Case { forecast: Some((500.0, 0.8)), lead: Some((500.0, 0.8)), ..case(FULL) };
    Case { manual: Some(6), ..doubted }.check("10 -> 6 by Manual: manual");
}

#[test]
fn what_has_no_adapter_is_held_with_that_reason() {
    let platform = with_facts(|facts| facts.is_served = false).platform;
    let (none, empty, manual) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let world = World {
        platform: &platform,
        now: now(),
        observations: &none,
        forecasts: &empty,
        changes: &[],
        manual: &manual,
        state: &EMPTY,
    };
    let decision = decide(&world).remove(0);
    assert_eq!((decision.change(), code(&decision.reasons[0])), (None, "no_adapter".to_owned()));
}

#[test]
fn without_a_forecast_the_measured_load_is_followed_unless_that_is_not_wanted() {
    let rising = Case { cpu: Some(80.0), ..case(FULL) };
    rising.check("10 -> 16 by Reactive: no_forecast measured_load");
    let waits = case(&format!("{FULL}predictive: {{fallback: {{reactive: false}}}}\n"));
    Case { cpu: Some(80.0), ..waits }.check("hold 10: no_forecast nothing_measured");
}

#[test]
fn in_a_burst_the_measured_load_counts_too() {
    let key: DimensionKey = "web/desired".parse().unwrap();
    let case = Case { cpu: Some(80.0), forecast: Some((300.0, 0.95)), ..case(FULL) };
    let made = |anomaly: f64| {
        let anomaly = Some(Ratio::clamped(anomaly));
        MetricForecast { anomaly, ..MetricForecast::none("cpu", NoForecast::Stale { age_s: 0 }) }
    };
    let codes = |anomaly: f64| {
        let forecasts = BTreeMap::from([(key.clone(), vec![made(anomaly)])]);
        let world = World {
            platform: &case.platform,
            now: now(),
            observations: &BTreeMap::new(),
            forecasts: &forecasts,
            changes: &[],
            manual: &BTreeMap::new(),
            state: &case.state,
        };
        let place = case.platform.dimensions().next().unwrap();
        let window = LeadWindows::of(&case.platform, &case.state).window(place.group, place.resource);
        let load = Observed::Known(Load { mean: 800.0, peak: 800.0, at: now(), saturated: false, over_s: 0 });
        let capacity = Capacity { set: Units(10), ready: Units(10), ..Capacity::default() };
        let readings = vec![Reading { metric: "cpu".into(), load }];
        let seen = Observation {
            key: key.clone(),
            capacity: Observed::Known(capacity.clone()),
            readings,
            short_minutes: None,
        };
        needs(&world, place, window, &capacity, &seen)
            .reasons
            .iter()
            .any(|reason| matches!(reason, Reason::Burst { .. }))
    };
    assert!(codes(0.95) && !codes(0.5));
}
