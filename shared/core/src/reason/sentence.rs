//! The sentence of each reason, for people.

use std::fmt;
use std::time::Duration;

use super::Reason;
use crate::scalar::Span;
use crate::text::{clock, day_clock};

impl fmt::Display for Reason {
    #[expect(
        clippy::too_many_lines,
        reason = "one sentence for each reason; parts would hide one that has none"
    )]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::MeasuredLoad { metric, load, per_unit, needed } => {
                write!(f, "{metric}: the measured load {load:.1} needs {needed} units at {per_unit:.1} each")
            }
            Reason::Backlog { metric, backlog, arriving, drain_s, per_unit, needed } => {
                let drain = Span(Duration::from_secs(*drain_s));
                match arriving {
                    Some(arriving) => write!(
                        f,
                        "{metric}: {arriving:.1} arrive and {backlog:.0} wait; to keep up and have these gone within {drain} \
                         needs {needed} units at {per_unit:.1} each"
                    ),
                    None => write!(
                        f,
                        "{metric}: {backlog:.0} wait, which needs {needed} units at {per_unit:.1} each, to be gone within {drain}"
                    ),
                }
            }
            Reason::ForecastLoad { metric, load, level, at, per_unit, needed } => write!(
                f,
                "{metric}: up to {load:.1} is forecast for {} ({:.1} % of outcomes are below), which needs {needed} units at \
                 {per_unit:.1} each",
                clock(*at),
                level * 100.0
            ),
            Reason::ObjectiveKept { metric, objective, kept, days, times } => write!(
                f,
                "{metric}: {:.2} % of the minutes of {days:.1} days had enough units ({} % are promised), so the share of \
                 short minutes that is aimed at is {times:.2} times the usual one",
                kept.get() * 100.0,
                (objective.get() * 1e6).round() / 1e4
            ),
            Reason::LeadWindow { metric, load, chance, per_unit, needed } => write!(
                f,
                "{metric}: in the lead window the load stays below {load:.1} with {:.2} % certainty, which needs \
                 {needed} units at {per_unit:.1} each; one more is not worth its price",
                (1.0 - chance) * 100.0
            ),
            Reason::BegunBefore { metric, later, per_unit, percent, needed } => write!(
                f,
                "{metric}: soon after the lead window {later} units may be needed at {per_unit:.1} each; one decision adds at \
                 most {percent:.0} %, so {needed} are needed now"
            ),
            Reason::StandsBy { metric, load, chance, per_unit, set, needed } => write!(
                f,
                "{metric}: it stays below {load:.1} until a new unit could serve, with a chance of {:.2} %; beside {set} units at \
                 {per_unit:.1} each, {needed} should stand by",
                (1.0 - chance) * 100.0
            ),
            Reason::Latency { metric, value, limit, over_s, needed } => {
                write!(f, "{metric} is {value:.3}, above its limit {limit:.3}")?;
                if 0 < *over_s {
                    write!(f, " for {}", Span(Duration::from_secs(u64::from(*over_s))))?;
                }
                match needed {
                    Some(needed) => write!(f, ", which asks for {needed} units"),
                    None => f.write_str(": one step more"),
                }
            }
            Reason::StepPolicy { metric, utilization, needed } => {
                write!(f, "the step policy on {metric} asks for {needed} units at {utilization:.1} %")
            }
            Reason::StepPolicyIn { metric, utilization, needed } => {
                write!(f, "the step policy on {metric} leaves {needed} units at {utilization:.1} %")
            }
            Reason::EventFloor { event, floor } => write!(f, "`{event}` asks for at least {floor} units"),
            Reason::EventMultiplies { event, factor } => {
                write!(f, "`{event}` multiplies the expected load by {factor}")
            }
            Reason::Manual { asked } => write!(f, "{asked} units were asked for by hand"),
            Reason::Override { floor, by, until } => {
                write!(f, "at least {floor} units were asked for until {} ({by})", day_clock(*until))
            }
            Reason::ServesAtNone { needed } => write!(f, "{needed} serve while none are set"),
            Reason::Enough { set } => write!(f, "{set} units are what is needed"),
            Reason::CapacityUnknown { why } => write!(f, "the capacity is unknown: {why}"),
            Reason::MetricUnknown { why } => f.write_str(why),
            Reason::LowerBound { metric } => write!(
                f,
                "{metric} is as high as the ready units can carry, so the load may be higher; the forecast made before counts"
            ),
            Reason::NothingMeasured => f.write_str("nothing says how much is needed"),
            Reason::NoAdapter { resource_type } => {
                write!(f, "{resource_type} has no adapter for this dimension yet, so it is held")
            }
            Reason::NoForecast { metric, why } => {
                write!(f, "{metric} has no forecast, so its measured load counts: {why}")
            }
            Reason::EarlierForecast { made_at } => {
                write!(f, "no forecast was made in this cycle, so that of {} still counts", clock(*made_at))
            }
            Reason::NotTrusted { confidence, needed } => write!(
                f,
                "the forecast is trusted {:.2}, and {:.2} is needed to scale out by it",
                confidence.get(),
                needed.get()
            ),
            Reason::Bounds { needed, allowed } => {
                write!(f, "{needed} units are needed, the configuration allows {allowed}")
            }
            Reason::AwsBounds { wanted, allowed } => {
                write!(f, "{wanted} units are wanted, AWS accepts {allowed}")
            }
            Reason::Busy { what } => write!(f, "left alone: {what}"),
            Reason::Unavailable { why } => write!(f, "AWS lacks what was asked for: {why}"),
            Reason::UnknownNeverScalesIn => f.write_str("not everything is known, so nothing is taken away"),
            Reason::NoScaleIn { event } => write!(f, "`{event}` forbids to scale in"),
            Reason::Cooldown { left_s } => write!(f, "cooldown: {left_s} s left"),
            Reason::OnlyGrows => f.write_str("AWS has no way to make it smaller"),
            Reason::OneAtATime { other } => {
                write!(f, "AWS changes one thing of the resource at a time, and {other} changes first")
            }
            Reason::Protects { group } => {
                write!(
                    f,
                    "{group} behind it has less than its load needs, or was not seen, so that no more is let in"
                )
            }
            Reason::DecreasesSpent => f.write_str("AWS allows no decrease now"),
            Reason::ChangesSpent { daily } => {
                write!(f, "AWS allows {daily} changes within 24 hours, and they are made")
            }
            Reason::ChangesKept { left } => {
                write!(f, "AWS allows {left} more changes within 24 hours, which are kept for scaling out")
            }
            Reason::ChangeSpaced { left_s } => {
                write!(f, "AWS takes the next change in {} min", left_s / 60)
            }
            Reason::LeastStep { least } => write!(f, "AWS takes no step of fewer than {least} units"),
            Reason::ChangeSaved { left, least } => write!(
                f,
                "AWS allows {left} more changes within 24 hours; the next one should move {least} units or more"
            ),
            Reason::DecreaseSaved { left, least } => {
                write!(
                    f,
                    "AWS allows {left} more decreases now; the next one should take off {least} units or more"
                )
            }
            Reason::BreakerOpen { until } => {
                write!(f, "breaker open until {}: changes of this resource kept failing", clock(*until))
            }
            Reason::BreakerHalfOpen => {
                f.write_str("breaker half open: changes of this resource kept failing, so one unit is tried")
            }
            Reason::Paused { by, until } => write!(f, "paused until {} ({by})", day_clock(*until)),
            Reason::TurnsTooOften { turns, most } => {
                write!(
                    f,
                    "this would be reversal {turns} between out and in within an hour, and {most} are allowed: no scale-in"
                )
            }
            Reason::StraightBack { allowed } => {
                write!(
                    f,
                    "{allowed} units are forecast to be needed again before removed ones could be replaced"
                )
            }
            Reason::NotTrustedIn { confidence, needed } => write!(
                f,
                "the forecast is trusted {:.2}, and {:.2} is needed to scale in by it",
                confidence.get(),
                needed.get()
            ),
            Reason::Minor { wanted } => {
                write!(f, "{wanted} units are wanted, too few apart to be worth a change")
            }
            Reason::Burst { metric, anomaly } => write!(
                f,
                "{metric}: the newest hour was like nothing expected (anomaly {:.2}), so the measured load counts too",
                anomaly.get()
            ),
            Reason::Connections { target, most, allowed } => {
                write!(f, "{target} takes connections of {most} units in all, so {allowed} are allowed here")
            }
            Reason::Budget { limit, total, allowed } => {
                write!(
                    f,
                    "this cycle would cost {total:.2} an hour, the budget has {limit:.2}: {allowed} units"
                )
            }
            Reason::PredictiveLimit { percent, allowed } => {
                write!(f, "a forecast alone may change {percent:.0} % of the capacity: {allowed} units")
            }
            Reason::PhaseShare { phase, allowed } => {
                write!(f, "phase {} lets {allowed} units through", phase.name())
            }
            Reason::Pace { wanted, allowed } => {
                write!(f, "{wanted} units are wanted, the pace of one cycle allows {allowed}")
            }
        }
    }
}
