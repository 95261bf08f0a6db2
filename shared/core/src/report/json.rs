//! A cycle and a status for programs. Keys are added and never change their meaning; `schema` rises if one ever has to.

use serde_json::{Value as Json, json};

use super::explain::CycleRecord;
use super::status::Status;
use crate::decide::Decision;
use crate::journal::{Entry, StepState};
use crate::observe::{Observation, Observed};
use crate::plan::Plan;
use crate::state::BreakerState;

/// The form of what is printed for programs.
pub const SCHEMA: u32 = 1;

/// A cycle for programs: what was seen, decided and done, and how it ended.
pub fn cycle_json(record: &CycleRecord<'_>) -> Json {
    let outcome = record.outcome;
    one_order(json!({
        "schema": SCHEMA,
        "platform": record.platform,
        "at": record.now,
        "cycle": outcome.map(|outcome| &outcome.cycle_id),
        "outcome": outcome.map(|outcome| outcome.outcome),
        "succeeded": outcome.map(|outcome| outcome.succeeded),
        "error": outcome.and_then(|outcome| outcome.error.as_ref()),
        "summary": outcome.map(|outcome| &outcome.summary),
        "needs_human": outcome.map(|outcome| outcome.needs_human),
        "alerts": outcome.map(|outcome| &outcome.alerts),
        "cost_usd": outcome.map(|outcome| outcome.cost_usd),
        "phase": record.decisions.iter().find_map(|decision| decision.phase).map(|phase| phase.name()),
        "plan": record.plan.map(|plan| plan_json(plan, record.entries)),
        "dimensions": record.decisions.iter().map(|decision| dimension(record, decision)).collect::<Vec<_>>(),
    }))
}

/// Builds with other features of serde_json would print another order.
fn one_order(mut told: Json) -> Json {
    told.sort_all_objects();
    told
}

fn dimension(record: &CycleRecord<'_>, decision: &Decision) -> Json {
    let seen = record.observations.iter().find(|seen| seen.key == decision.key);
    let reasons = decision.reasons.iter().map(|reason| {
        let code = serde_json::to_value(reason).ok().and_then(|reason| reason.get("code").cloned());
        json!({"code": code, "sentence": reason.to_string()})
    });
    let change = match decision.change() {
        Some((from, to)) if from < to => "out",
        Some(_) => "in",
        None => "hold",
    };
    json!({
        "dimension": decision.key,
        "group": decision.group,
        "change": change,
        "set": decision.observed,
        "ready": decision.ready,
        "needed": decision.needed,
        "wanted": decision.wanted,
        "target": decision.target,
        "strategy": decision.source,
        "confidence": decision.confidence,
        "cost_hourly": decision.cost_hourly,
        "cost_hourly_change": decision.cost_hourly_change,
        "loads": seen.map(loads).unwrap_or_default(),
        "reasons": reasons.collect::<Vec<_>>(),
    })
}

fn loads(seen: &Observation) -> Vec<Json> {
    let load = |load: &Observed<crate::observe::Load>| match load {
        Observed::Known(load) => (Some(load.mean), None),
        Observed::Unknown(why) => (None, Some(why.clone())),
    };
    let readings = seen.readings.iter().map(|reading| {
        let (mean, unknown) = load(&reading.load);
        json!({"metric": reading.metric, "mean": mean, "unknown": unknown})
    });
    readings.collect()
}

fn plan_json(plan: &Plan, entries: &[Entry]) -> Json {
    let waves = plan.waves.iter().map(|wave| {
        let steps = wave.steps.iter().map(|step| {
            let entry = entries.iter().find(|entry| entry.step.id == step.id);
            let changes = step
                .changes
                .iter()
                .map(|change| json!({"dimension": change.key, "from": change.expected, "to": change.target}));
            json!({
                "resource": step.resource,
                "changes": changes.collect::<Vec<_>>(),
                "state": entry.map_or(StepState::Pending, |entry| entry.state),
                "detail": entry.and_then(Entry::detail),
            })
        });
        json!({"direction": wave.direction, "groups": wave.groups, "steps": steps.collect::<Vec<_>>()})
    });
    json!({
        "id": plan.id,
        "made_at": plan.made_at,
        "withheld": plan.permit.withheld(),
        "waves": waves.collect::<Vec<_>>(),
    })
}

/// What stands of a platform, for programs.
pub fn status_json(status: &Status<'_>) -> Json {
    let (lease, state, now) = (status.lease, status.state, status.now);
    let pauses = state.requests.pauses.iter().filter(|pause| now < pause.until);
    let overrides = state.requests.overrides.iter().filter(|floor| now < floor.until);
    let breakers = state.breakers.iter().map(|(resource, breaker)| {
        let (name, until) = match breaker.state(&status.platform.guardrails, now) {
            BreakerState::Closed => ("closed", None),
            BreakerState::Open { until } => ("open", Some(until)),
            BreakerState::HalfOpen => ("half_open", None),
        };
        json!({"resource": resource, "state": name, "until": until, "failures": breaker.failures})
    });
    let kept = super::status::kept(status.decisions).into_iter().map(|dimension| {
        json!({
            "dimension": dimension.key, "promised": dimension.objective, "kept": dimension.kept, "days": dimension.days,
        })
    });
    let budget = &status.platform.guardrails.budget;
    one_order(json!({
        "schema": SCHEMA,
        "platform": status.platform.name,
        "objective": kept.collect::<Vec<_>>(),
        "at": now,
        "phase": state.phase(status.platform).name(),
        "acting": lease.holder.as_ref().map(|holder| json!({
            "cycle": holder.cycle, "execution": holder.execution, "until": holder.until,
        })),
        "open_plan": lease.open_plan,
        "needs_human": lease.needs_human,
        "pauses": pauses.collect::<Vec<_>>(),
        "overrides": overrides.collect::<Vec<_>>(),
        "breakers": breakers.collect::<Vec<_>>(),
        "spend": state.spend.map(|spend| json!({
            "amount": spend.in_month_of(&status.platform.zone, now), "currency": budget.currency,
            "monthly_budget": budget.monthly, "counted_to": spend.counted_to,
        })),
    }))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::explain::testing::record_of;

    #[test]
    fn programs_read_a_cycle_in_one_form() {
        let told = record_of(super::cycle_json);
        let lines = told.as_object().unwrap().iter().map(|(key, value)| format!("{key}: {value}\n"));
        expect![[r#"
            alerts: null
            at: "2026-11-21T16:20:00Z"
            cost_usd: null
            cycle: null
            dimensions: [{"change":"out","confidence":null,"cost_hourly":0.4,"cost_hourly_change":0.2,"dimension":"web/desired","group":"web","loads":[],"needed":9,"ready":4,"reasons":[{"code":"phase_share","sentence":"phase limited lets 6 units through"}],"set":4,"strategy":"reactive","target":6,"wanted":9},{"change":"out","confidence":null,"cost_hourly":0.4,"cost_hourly_change":0.2,"dimension":"users/read","group":"users","loads":[],"needed":12,"ready":10,"reasons":[{"code":"phase_share","sentence":"phase limited lets 12 units through"}],"set":10,"strategy":"reactive","target":12,"wanted":12},{"change":"hold","confidence":null,"cost_hourly":0.4,"cost_hourly_change":0.0,"dimension":"cache/replicas","group":"cache","loads":[],"needed":2,"ready":2,"reasons":[{"code":"enough","sentence":"2 units are what is needed"}],"set":2,"strategy":"reactive","target":2,"wanted":2}]
            error: null
            needs_human: null
            outcome: null
            phase: "full"
            plan: {"id":"7-a","made_at":"2026-11-21T16:20:00Z","waves":[{"direction":"out","groups":["users"],"steps":[{"changes":[{"dimension":"users/read","from":10,"to":12}],"detail":null,"resource":"users","state":"pending"}]},{"direction":"out","groups":["web"],"steps":[{"changes":[{"dimension":"web/desired","from":4,"to":6}],"detail":null,"resource":"web","state":"pending"}]}],"withheld":"this is a dry run"}
            platform: "shop"
            schema: 1
            succeeded: null
            summary: null
        "#]]
        .assert_eq(&lines.collect::<String>());
    }
}
