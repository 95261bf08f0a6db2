//! Worlds drawn at random: three tiers, with everything that a decision may have to look at.

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof};

use super::*;
use crate::forecast::MetricForecast;
use crate::state::{Override, Spend};
use headroom_forecast::lead_window::{LaterForecast, LeadForecast};

/// A world with everything that it is made of.
#[derive(Clone, Debug)]
pub(crate) struct AnyWorld {
    pub(crate) platform: Platform,
    pub(crate) observations: BTreeMap<DimensionKey, Observation>,
    pub(crate) forecasts: BTreeMap<DimensionKey, Vec<MetricForecast>>,
    pub(crate) changes: Vec<Change>,
    pub(crate) manual: BTreeMap<DimensionKey, Units>,
    pub(crate) state: PlatformState,
}

impl AnyWorld {
    pub(crate) fn world(&self) -> World<'_> {
        World {
            platform: &self.platform,
            now: now(),
            observations: &self.observations,
            forecasts: &self.forecasts,
            changes: &self.changes,
            manual: &self.manual,
            state: &self.state,
        }
    }

    pub(crate) fn decide(&self) -> Vec<Decision> {
        decide(&self.world())
    }

    /// What was seen of a dimension, if its capacity could be seen.
    pub(crate) fn capacity(&self, key: &DimensionKey) -> Option<&Capacity> {
        self.observations.get(key)?.capacity.known()
    }
}

/// The dimensions of the platform, and what a unit of each carries of its first metric at its target.
pub(crate) const DIMENSIONS: [(&str, &str, f64); 4] = [
    ("users/read", "consumed", 0.7),
    ("users/write", "consumed", 0.7),
    ("api/desired", "jobs", 10.0),
    ("web/desired", "cpu", 50.0),
];

/// How often a day a dimension may change whose changes AWS counts.
const CHANGES_DAILY: u32 = 10;

/// The bounds of every dimension.
const LARGEST: u32 = 60;

/// A platform file with a choice of everything that decisions read in it.
fn file() -> impl Strategy<Value = String> {
    let select = |choices: &[&'static str]| prop::sample::select(choices.to_vec());
    let rules = (
        select(&["", "cooldown: {out: 2m, in: 10m},", "cooldown: {out: 0s, in: 0s},"]),
        select(&["max_scale_out_percent: 200", "max_scale_out_percent: 50, direction_changes_per_hour: 1"]),
        select(&[
            "",
            "predictive: {max_predictive_scaling_percent: 50}",
            "predictive: {fallback: {reactive: false}}",
        ]),
        select(&[
            "",
            "scaling_policies: [{type: step, metric: CPUUtilization, cooldown: 0, steps: [{above: 80, add: 3}, {below: 30, remove: 1}]}]",
        ]),
        any::<bool>(),
    );
    let mode = || prop::sample::select(vec!["", "mode: desired,", "mode: floor,"]);
    let order = prop::sample::select(vec![
        "scaling_order: [data, app, web]",
        "strategy: parallel",
        "dependencies: [{source: web, target: app}, {source: app, target: data, connections_per_unit: 10, connection_limit: 300}]",
    ]);
    let phase = prop::sample::select(vec!["observe", "limited", "full", "optimized"]);
    let budget = prop::sample::select(vec!["", "budget: {hourly: 2.5},", "budget: {monthly: 2000},"]);
    let event = prop::sample::select(vec![
        "",
        "{name: sale, cron: '0 0 * * *', duration: 1d, groups: [web], floor: 12}",
        "{name: freeze, cron: '0 0 * * *', duration: 1d, no_scale_in: true}",
        "{name: fair, cron: '0 0 * * *', duration: 1d, multiply: 1.5}",
        "{name: rest, cron: '0 0 * * *', duration: 1d, multiply: 0.5}",
    ]);
    (mode(), mode(), mode(), order, phase, budget, event, rules).prop_map(
        |(data, app, web, order, phase, budget, event, (cooldown, pace, predictive, steps, moves))| {
            format!(
                "configuration_name: shop
scaling_groups:
  data:
    resources:
      - {{type: DYNAMODB_TABLE, name: users, {data} read_capacity: {{min: 2, max: {LARGEST}}}, write_capacity: {{min: 2, max: {LARGEST}}}}}
  app:
    resources:
      - type: ECS_SERVICE
        name: api
        min_capacity: 2
        max_capacity: {LARGEST}
        {app}
        metrics:
          - {{name: jobs, kind: load, namespace: shop, target_per_unit: 10}}
          - {{name: waiting, kind: queue_depth, namespace: shop, target_per_unit: 5}}
          - {{name: slow, kind: latency, namespace: shop, target_value: 1}}
  web:
    resources:
      - {{type: EC2_AUTO_SCALING_GROUP, name: web, {web} min_capacity: 2, max_capacity: {LARGEST}, target_cpu_utilization: 50}}
    {steps}
orchestration: {{rollout_phase: {phase}, auto_promote: {moves}, {order}}}
guardrails: {{{budget} {cooldown} {pace}}}
{predictive}
calendar: [{event}]
",
                app = app.trim_end_matches(',')
            )
        },
    )
}

fn capacity() -> impl Strategy<Value = Observed<Capacity>> {
    // Mostly free: what is held tells nothing about the guardrails after it.
    let busy = prop_oneof![4 => Just(None), 1 => prop::sample::select(super::laws::any_busy())];
    let failed = prop::bool::weighted(0.15);
    let limits = (option::weighted(0.2, 1_u32..40), option::weighted(0.3, 10_u32..80), option::of(0_u32..3));
    let known = (1_u32..50, 0_u32..55, busy, failed, limits).prop_map(
        |(set, ready, busy, failed, (least, most, decreases))| {
            let lacks = failed && ready < set;
            Observed::Known(Capacity {
                mode: Mode::Desired,
                set: Units(set),
                // Most of the time what is set is there.
                ready: Units(if failed { ready } else { set }),
                busy,
                failed: (lacks && set % 2 == 0).then(|| "its deployment failed".to_owned()),
                aws_min: least.map(Units),
                aws_max: most.map(Units),
                decreases_left: decreases,
                overshoot: Units(0),
                whole: None,
                unavailable: (lacks && set % 2 == 1).then(|| "no capacity".to_owned()),
            })
        },
    );
    prop_oneof![15 => known, 1 => Just(Observed::Unknown("access was denied".to_owned()))]
}

/// A load that so many units carry at their target, or nothing known.
fn load(per_unit: f64) -> impl Strategy<Value = Observed<Load>> {
    let known =
        (0.0..50.0, 1.0..1.3, prop::bool::weighted(0.05)).prop_map(move |(units, peak, saturated)| {
            let mean = units * per_unit;
            Observed::Known(Load { mean, peak: mean * peak, at: now(), saturated, over_s: 0 })
        });
    prop_oneof![15 => known, 1 => Just(Observed::Unknown("it has no points".to_owned()))]
}

fn observations() -> impl Strategy<Value = BTreeMap<DimensionKey, Observation>> {
    let of = |(key, metric, per_unit): (&'static str, &'static str, f64)| {
        let queue = (load(20.0), load(0.025));
        (capacity(), load(per_unit), queue).prop_map(move |(capacity, load, (waiting, slow))| {
            let reading = |metric: &str, load| Reading { metric: metric.to_owned(), load };
            let mut readings = vec![reading(metric, load)];
            if key == "api/desired" {
                // What waits is all there is to know of a queue, however little the units carry.
                let waiting = match waiting {
                    Observed::Known(load) => Observed::Known(Load { saturated: false, ..load }),
                    Observed::Unknown(why) => Observed::Unknown(why),
                };
                readings.extend([reading("waiting", waiting), reading("slow", slow)]);
            }
            Observation { key: key.parse().unwrap(), capacity, readings, short_minutes: None }
        })
    };
    let [a, b, c, d] = DIMENSIONS.map(of);
    (a, b, c, d).prop_map(|(a, b, c, d)| {
        [a, b, c, d].into_iter().map(|observation| (observation.key.clone(), observation)).collect()
    })
}

/// What a trained lead model said of some load, as a stored one reads.
pub(in crate::decide) fn lead(load: f64) -> LeadForecast {
    const STORED: &str = include_str!("../../../../forecast/tests/stored/lead-forecast.json");
    let stored: LeadForecast = serde_json::from_str(STORED).unwrap();
    let usual = stored.whole.quantile(0.5);
    let seconds = |seconds| now() + SignedDuration::from_secs(seconds);
    let lead = LeadForecast { from: now(), ready: seconds(300), until: seconds(600), ..stored };
    lead.multiplied(|_, _| load / usual)
}

/// Units at the start of a forecast, by how much they change, confidence, whether there is a horizon; whether there is a lead
/// window, its confidence and the change after it; the anomaly.
type DrawnForecast = (f64, f64, f64, bool, (bool, f64, Option<f64>), Option<f64>);

/// The same load in the window after it.
pub(super) fn later(load: f64) -> LaterForecast {
    let lead = lead(load);
    let until = Timestamp::from_second(lead.until.as_second() + 600).unwrap();
    LaterForecast { until, load: lead.whole }
}

fn forecast(
    (key, metric, per_unit): (&'static str, &'static str, f64),
) -> impl Strategy<Value = Option<(DimensionKey, Vec<MetricForecast>)>> {
    let anomaly = option::weighted(0.2, 0.0..1.0);
    let drawn = (
        1.0..50.0,
        0.2..3.0,
        0.5..1.0,
        any::<bool>(),
        (any::<bool>(), 0.5..1.0, option::of(0.2..3.0)),
        anomaly,
    );
    option::weighted(
        0.8,
        drawn.prop_map(
            move |(units, rise, confidence, has_curve, (has_lead, of_lead, rise_later), anomaly): DrawnForecast| {
                let (start, end) = (units * per_unit, (units * rise).min(55.0) * per_unit);
                let at = |step: usize| start + (end - start) * f64::from(u32::try_from(step).unwrap()) / 23.0;
                let values = |factor: f64| -> Vec<f64> { (0..24).map(|step| at(step) * factor).collect() };
                let quantiles = [(0.05, 0.8), (0.5, 1.0), (0.9, 1.15), (0.95, 1.2), (0.99, 1.3)];
                let curve = Forecast {
                    start: now(),
                    step_s: 300,
                    mean: values(1.0),
                    quantiles: quantiles
                        .map(|(level, factor)| Quantile { level, values: values(factor) })
                        .into(),
                    model: "test".into(),
                    confidence: Ratio::clamped(confidence),
                };
                let none = MetricForecast::none(metric, NoForecast::Stale { age_s: 0 });
                let outcome = if has_curve { Ok(curve) } else { none.outcome.clone() };
                let later = rise_later.map(|rise: f64| later((end * rise).min(55.0 * per_unit)));
                let lead = LeadForecast { confidence: Ratio::clamped(of_lead), later, ..lead(end) };
                let (lead, anomaly) = (has_lead.then_some(lead), anomaly.map(Ratio::clamped));
                (key.parse().unwrap(), vec![MetricForecast { outcome, lead, anomaly, ..none }])
            },
        ),
    )
}

fn any_key() -> impl Strategy<Value = &'static str> + Clone {
    prop::sample::select(DIMENSIONS.map(|(key, ..)| key).to_vec())
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let one = (any_key(), 0_i64..4_000, 1_u32..30, 1_u32..30);
    let count = prop_oneof![2 => 0..3_usize, 1 => 3..20_usize];
    count.prop_flat_map(move |count| vec(one.clone(), count)).prop_map(|drawn| {
        let mut changes: Vec<Change> = drawn
            .into_iter()
            .filter(|(_, _, from, to)| from != to)
            .map(|(key, ago_s, from, to)| Change {
                key: key.parse().unwrap(),
                at: now() - SignedDuration::from_secs(ago_s),
                from: Units(from),
                to: Units(to),
            })
            .collect();
        changes.sort_by_key(|change| change.at);
        changes
    })
}

fn state() -> impl Strategy<Value = PlatformState> {
    let resources = || prop::sample::select(vec!["users", "api", "web"]);
    let breakers = option::weighted(0.2, btree_map(resources(), (1_u32..5, 0_i64..4_000), 1..3));
    let pause = option::weighted(0.15, (option::of(resources()), option::of(any::<bool>())));
    let floor = option::weighted(0.2, (any_key(), 1_u32..40));
    // Learned: confidence, provisioning, what a job takes; spent in this month; the phase reached, and whose it is.
    let phases = || prop::sample::select(vec![Phase::Observe, Phase::Limited, Phase::Full, Phase::Optimized]);
    let learned = (-0.2..0.2, 60.0..900.0, option::of(5.0..15.0), option::of((0.0..2_000.0, 0.0..2.0)));
    let reached = option::of((phases(), phases()));
    (breakers, pause, floor, learned, reached).prop_map(|(breakers, pause, floor, learned, reached)| {
        let (moved, took_s, carried, spent) = learned;
        let ago = |seconds| now() - SignedDuration::from_secs(seconds);
        let until = now() + SignedDuration::from_secs(600);
        let breaker = |(resource, (failures, ago_s)): (&str, _)| {
            (resource.into(), Breaker { failures, failed_at: Some(ago(ago_s)) })
        };
        let pauses = pause.map(|(resource, out): (Option<&str>, Option<bool>)| Pause {
            group: None,
            resource: resource.map(Into::into),
            direction: out.map(|out| if out { Direction::Out } else { Direction::In }),
            until,
            by: "ana".into(),
        });
        let overrides = floor.map(|(key, units)| Override {
            key: key.parse().unwrap(),
            units: Units(units),
            until,
            by: "ana".into(),
        });
        let provisioned = Provisioned { seconds: took_s, seen: 5, at: now() };
        PlatformState {
            requests: OperatorRequests {
                pauses: pauses.into_iter().collect(),
                overrides: overrides.into_iter().collect(),
            },
            breakers: breakers.into_iter().flatten().map(breaker).collect(),
            provisioning: BTreeMap::from([("web".into(), provisioned)]),
            confidence_adjustment: ConfidenceAdjustment { out: moved, inward: -moved, at: None },
            carried: carried
                .map(|carried| ("api/desired".parse().unwrap(), [("jobs".to_owned(), carried)].into()))
                .into_iter()
                .collect(),
            spend: spent.map(|(amount, unseen_hourly)| Spend {
                amount,
                peak_hourly: 5.0,
                hourly: 2.0,
                unseen_hourly,
                counted_to: ago(300),
            }),
            rollout: reached.map(|(configured, phase)| RolloutState {
                configured,
                phase,
                since: ago(90_000),
                why: "it did well".into(),
            }),
            ..PlatformState::default()
        }
    })
}

/// Any world.
pub(crate) fn any_world() -> impl Strategy<Value = AnyWorld> {
    let [a, b, c, d] = DIMENSIONS.map(forecast);
    let manual = option::weighted(0.1, (any_key(), 1_u32..70));
    let grows = option::weighted(0.1, any_key());
    // A dimension whose changes AWS counts over 24 hours, and those that it has counted.
    let counted = option::weighted(0.2, (any_key(), btree_set(0_i64..80_000, 0..12)));
    (file(), observations(), (a, b, c, d), changes(), (manual, grows, counted), state()).prop_map(
        |(file, mut observations, (a, b, c, d), changes, (manual, grows, counted), mut state)| {
            let mut platform = parse(&file).unwrap().platform;
            for resource in platform.groups.iter_mut().flat_map(|group| &mut group.resources) {
                let grows =
                    resource.dimensions.iter_mut().filter(|one| Some(one.key.to_string().as_str()) == grows);
                grows.for_each(|dimension| dimension.facts.scaling = Scaling::OutOnly);
            }
            if let Some((key, ago)) = counted {
                let key: DimensionKey = key.parse().unwrap();
                let resources = platform.groups.iter_mut().flat_map(|group| &mut group.resources);
                let mut dimensions = resources.flat_map(|resource| &mut resource.dimensions);
                let dimension = dimensions.find(|dimension| dimension.key == key).unwrap();
                dimension.facts.daily_limit = Some(DailyLimit::Changes { daily: CHANGES_DAILY });
                let times = ago.into_iter().map(|ago_s| now() - SignedDuration::from_secs(ago_s));
                state.counted.insert(key, times.collect());
            }
            for place in platform.dimensions() {
                let key = &place.dimension.key;
                let Some(Observed::Known(capacity)) = observations.get_mut(key).map(|one| &mut one.capacity)
                else {
                    continue;
                };
                // Without a word from the operator the mode is what AWS has; here some have a native policy.
                capacity.mode = place.resource.mode.unwrap_or(Mode::Desired);
                if capacity.mode == Mode::Floor
                    || !matches!(place.dimension.facts.daily_limit, Some(DailyLimit::Decreases { .. }))
                {
                    capacity.decreases_left = None;
                }
                if let (Some(least), Some(most)) = (capacity.aws_min, capacity.aws_max) {
                    capacity.aws_min = Some(least.min(most));
                }
            }
            AnyWorld {
                platform,
                observations,
                forecasts: [a, b, c, d].into_iter().flatten().collect(),
                changes,
                manual: manual.map(|(key, units)| (key.parse().unwrap(), Units(units))).into_iter().collect(),
                state,
            }
        },
    )
}
