//! The shape of `platform.yaml`, key for key. What is written here is also the JSON Schema that editors show, so the
//! comments speak to the operator. Everything optional gets its default in `build`, where defaults are recorded.

pub(crate) mod policy;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::resource::Schema;
use crate::scalar::{Cron, Endpoint, Length, Moment, Name, Span, Zone};
pub(crate) use policy::ScalingPolicy;

/// One multi-tier workload: what it consists of, how it may be scaled, and in which order.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Headroom platform")]
pub(crate) struct Platform {
    /// The platform's name. Its configuration is stored in the parameter `/headroom/NAME`.
    #[schemars(required)]
    pub(crate) configuration_name: Option<Name>,
    /// What this configuration is for, in your own words.
    pub(crate) objective: Option<String>,
    /// The IANA time zone of the calendar. Default UTC.
    pub(crate) timezone: Option<Zone>,
    /// The tiers, by name.
    pub(crate) scaling_groups: BTreeMap<String, Group>,
    pub(crate) predictive: Option<Predictive>,
    pub(crate) orchestration: Option<Orchestration>,
    pub(crate) guardrails: Option<Guardrails>,
    /// Known events: what will come, or when not to scale in.
    pub(crate) calendar: Option<Vec<Event>>,
    pub(crate) monitoring: Option<Monitoring>,
    /// Notes on what this was meant to save. Not acted on.
    #[expect(dead_code, reason = "accepted because users write it; it changes nothing")]
    pub(crate) cost_optimization: Option<CostNotes>,
}

/// A tier. It owns resources, and nothing else may own them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Group {
    pub(crate) resources: Vec<Schema>,
    pub(crate) scaling_policies: Option<Vec<ScalingPolicy>>,
    /// A health check of this tier; the same as an entry of `orchestration.health_checks`.
    pub(crate) health_check: Option<GroupHealth>,
    /// Whether its resources change together; false for one after the other. Default as `orchestration.strategy` says.
    pub(crate) parallel: Option<bool>,
    /// Whether a plan that changes it is rolled back when a wave fails. A plan is rolled back as a whole, if one of its tiers
    /// says so. Default as in `orchestration.rollback_on_failure`.
    pub(crate) rollback: Option<bool>,
}

/// A check, or whether the capacity itself is checked, which it always is.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum GroupHealth {
    Check(GroupCheck),
    Capacity(bool),
}

/// How far forecasts are made and trusted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Predictive {
    /// How far ahead is forecast. Default 2h.
    pub(crate) prediction_horizon: Option<Span>,
    /// How much history a forecast learns from. Default 14d.
    pub(crate) training_period: Option<Span>,
    /// How much earlier than needed capacity is ordered. Default 0s.
    pub(crate) scheduling_buffer: Option<Span>,
    /// Confidence from which a forecast may scale out. Default 0.7.
    #[schemars(range(min = 0, max = 1))]
    pub(crate) scale_up_confidence: Option<f64>,
    /// Confidence from which a forecast may scale in. Default 0.9.
    #[schemars(range(min = 0, max = 1))]
    pub(crate) scale_down_confidence: Option<f64>,
    /// The largest change that rests on a forecast alone, in percent of the capacity. Default 200.
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) max_predictive_scaling_percent: Option<f64>,
    pub(crate) slo: Option<Slo>,
    /// How often models are trained anew. Default weekly.
    pub(crate) retrain: Option<Retrain>,
    pub(crate) fallback: Option<Fallback>,
    /// The same as `scale_up_confidence`, and as `scale_down_confidence` where it is above 0.9.
    #[schemars(range(min = 0, max = 1))]
    pub(crate) confidence_threshold: Option<f64>,
    /// The same as `scheduling_buffer`. A plain number below 60 is minutes here.
    pub(crate) pre_scale_buffer: Option<Span>,
    /// The same as `fallback.reactive`.
    pub(crate) enable_fallback: Option<bool>,
    /// The same as `max_predictive_scaling_percent`. Below 1 it is a share: 0.5 for 50 %.
    #[schemars(range(min = 0.01, max = 1000))]
    pub(crate) max_predictive_scaling: Option<f64>,
}

/// The service level that capacity is bought for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Slo {
    /// Percent of the minutes in which no unit carries more than it can. Default 99.5.
    #[schemars(range(min = 50, max = 99.999))]
    pub(crate) objective: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Retrain {
    Daily,
    Weekly,
    Never,
}

/// What to do while there is no forecast.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fallback {
    /// Follow the measured load. Default true.
    pub(crate) reactive: Option<bool>,
    /// How long a forecast may be missing while the last one still counts, an hour at most. Default 5m.
    pub(crate) after: Option<Span>,
}

/// The order of things.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Orchestration {
    /// coordinated (default): tiers in order; sequential: one resource at a time; parallel: only `dependencies` count.
    pub(crate) strategy: Option<Strategy>,
    /// The length of a cycle. Default 300.
    #[schemars(range(min = 60, max = 3600))]
    pub(crate) cycle_seconds: Option<u32>,
    /// Tiers in the order in which they scale out; they scale in in the reverse order.
    pub(crate) scaling_order: Option<Vec<String>>,
    pub(crate) dependencies: Option<Vec<Dependency>>,
    pub(crate) health_checks: Option<Vec<HealthCheck>>,
    /// Undo every wave begun when one of them fails. Default true.
    pub(crate) rollback_on_failure: Option<bool>,
    /// How much is done. observe (default): nothing; limited: a quarter; full and optimized: everything.
    pub(crate) rollout_phase: Option<Phase>,
    /// Move between phases by measured accuracy. Default false.
    pub(crate) auto_promote: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Strategy {
    Coordinated,
    Sequential,
    Parallel,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    Observe,
    Limited,
    Full,
    #[serde(alias = "optimised")]
    Optimized,
}

/// `source` uses `target`: the target scales out first and scales in last. With `scale_before` it may be the other way round.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dependency {
    /// The tier that depends.
    pub(crate) source: String,
    /// The tier it depends on.
    pub(crate) target: String,
    /// depends_on (default): the target scales out before the source. scale_before says one of the two: the order, the
    /// connections or what stores data decide which; else it is the same as depends_on, with a warning.
    #[serde(rename = "type")]
    pub(crate) kind: Option<DependencyKind>,
    /// What the source waits for. Default healthy.
    #[expect(dead_code, reason = "it has one word, which is what happens anyway")]
    pub(crate) wait_condition: Option<WaitCondition>,
    /// How long it waits. Default ten minutes, or twice the provisioning time of what it waits for where that is longer. A plain
    /// number below 60 is minutes where no unit could be ready in so many seconds.
    pub(crate) timeout: Option<Span>,
    /// Connections that one unit of the source holds to the target.
    #[schemars(range(min = 0))]
    pub(crate) connections_per_unit: Option<f64>,
    /// Connections that the target takes in all.
    #[schemars(range(min = 0))]
    pub(crate) connection_limit: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DependencyKind {
    DependsOn,
    ScaleBefore,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WaitCondition {
    Healthy,
}

/// A check that must hold after a wave.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HealthCheck {
    /// A tier, or one resource by its id.
    pub(crate) resource: String,
    pub(crate) check_type: CheckType,
    /// For health_endpoint: a URL, or a path on the load balancer of the resource.
    pub(crate) endpoint: Option<Endpoint>,
    /// For connection_test: the host to connect to. For health_endpoint with a path: the name of the site that the load
    /// balancer is asked for, whose certificate is then checked.
    pub(crate) host: Option<String>,
    /// For connection_test: the TCP port.
    #[schemars(range(min = 1, max = 65535))]
    pub(crate) port: Option<u16>,
    /// For alarm: the CloudWatch alarm that must not be in ALARM.
    pub(crate) alarm_name: Option<String>,
    /// How long one attempt may take, 60 seconds at most. Default 10s.
    pub(crate) timeout: Option<Span>,
}

/// A health check written inside its tier.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupCheck {
    pub(crate) check_type: CheckType,
    /// For health_endpoint: a URL, or a path on the load balancer of the resource.
    pub(crate) endpoint: Option<Endpoint>,
    /// For connection_test: the host to connect to. For health_endpoint with a path: the name of the site that the load
    /// balancer is asked for, whose certificate is then checked.
    pub(crate) host: Option<String>,
    /// For connection_test: the TCP port.
    #[schemars(range(min = 1, max = 65535))]
    pub(crate) port: Option<u16>,
    /// For alarm: the CloudWatch alarm that must not be in ALARM.
    pub(crate) alarm_name: Option<String>,
    /// How long one attempt may take, 60 seconds at most. Default 10s.
    pub(crate) timeout: Option<Span>,
}

impl GroupCheck {
    pub(crate) fn of(self, group: &str) -> HealthCheck {
        let GroupCheck { check_type, endpoint, host, port, alarm_name, timeout } = self;
        HealthCheck { resource: group.to_owned(), check_type, endpoint, host, port, alarm_name, timeout }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CheckType {
    ConnectionTest,
    HealthEndpoint,
    TargetHealth,
    Capacity,
    Alarm,
}

/// Limits that hold whatever a forecast says.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Guardrails {
    /// The most added in one cycle, in percent of the capacity. Default 200.
    #[schemars(range(min = 1, max = 10000))]
    pub(crate) max_scale_out_percent: Option<f64>,
    /// The most removed in one cycle, in percent of the capacity: in spite of its name it is no minimum. Default 50.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) min_scale_in_percent: Option<f64>,
    pub(crate) cooldown: Option<Cooldown>,
    pub(crate) circuit_breaker: Option<CircuitBreaker>,
    /// How often a dimension may turn between out and in, each hour. Default 12.
    #[schemars(range(min = 0, max = 60))]
    pub(crate) direction_changes_per_hour: Option<u32>,
    pub(crate) budget: Option<Budget>,
}

/// How long capacity rests: a scale-out after the last scale-out, a scale-in after any change.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cooldown {
    /// Default 0s.
    pub(crate) out: Option<Span>,
    /// Default 5m.
    #[serde(rename = "in")]
    pub(crate) inward: Option<Span>,
}

/// Leaves a resource alone after it failed repeatedly.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CircuitBreaker {
    /// Failures in a row that open it. Default 3.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) failures: Option<u32>,
    /// How long it stays open. Default 30m.
    pub(crate) open_for: Option<Span>,
}

/// What the capacity of the platform may cost.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Budget {
    #[schemars(range(min = 0))]
    pub(crate) hourly: Option<f64>,
    #[schemars(range(min = 0))]
    pub(crate) monthly: Option<f64>,
    /// Default USD.
    pub(crate) currency: Option<String>,
}

/// Something known in advance: either `from` and `to`, or `cron` and `duration`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) from: Option<Moment>,
    pub(crate) to: Option<Moment>,
    pub(crate) cron: Option<Cron>,
    /// How long it lasts. Days and weeks are those of the time zone, also when its clock changes.
    pub(crate) duration: Option<Length>,
    /// The tiers concerned. Default all.
    pub(crate) groups: Option<Vec<String>>,
    /// The forecast is multiplied by this: more than 1 for a sale, less for a holiday.
    #[schemars(range(min = 0.1, max = 1000))]
    pub(crate) multiply: Option<f64>,
    /// At least so many units.
    pub(crate) floor: Option<u32>,
    /// Nothing is scaled in.
    pub(crate) no_scale_in: Option<bool>,
}

/// What is told to people.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Monitoring {
    /// Figures to publish in every cycle: scaling_events_per_hour, average_scaling_duration, scaling_accuracy_percentage,
    /// cost_optimization_achieved, capacity_cost_per_hour. Default all.
    pub(crate) scaling_metrics: Option<Vec<String>>,
    /// Groups whose dimensions publish figures of their own, for the dashboard: load, forecast, units, short minutes. Each is a
    /// custom metric that CloudWatch bills. Default none.
    pub(crate) dimension_metrics: Option<Vec<String>>,
    pub(crate) alerts: Option<Vec<Alert>>,
    /// An SNS topic to publish to, besides the stack's own.
    pub(crate) notify: Option<String>,
}

/// A sentence about the figures that should not be true.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Alert {
    pub(crate) name: String,
    /// Such as `scaling_events > 10 per hour`.
    pub(crate) condition: String,
    /// What whoever reads the alert should do.
    pub(crate) action: Option<String>,
}

/// Notes on cost. Not acted on.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "accepted because users write it; it changes nothing")]
pub(crate) struct CostNotes {
    pub(crate) estimated_monthly_savings: Option<f64>,
    pub(crate) savings_breakdown: Option<BTreeMap<String, f64>>,
}
