//! decide: turns what was seen and forecast into decisions and a plan, and stores both.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use headroom_aws::configs::Configs;
use headroom_aws::failure::Failure;
use headroom_aws::meter::Meter;
use headroom_aws::sdk::Aws;
use headroom_aws::store::Store;
use headroom_aws::table::{DynamoTable, Table};
use headroom_core::cycle::{Cycle, DecideRequest, Decided, DecidedKind, PlanOutline};
use headroom_core::decide::{Change, Decision, MetricForecast, NOTHING, World, decide};
use headroom_core::name::DimensionKey;
use headroom_core::observe::Observation;
use headroom_core::plan::{self, Permit, Plan};
use headroom_core::platform::Platform;
use headroom_core::report;
use jiff::{SignedDuration, Timestamp};

/// What the function works with.
#[derive(Debug)]
pub struct Ports<T> {
    /// What is stored.
    pub store: Store<T>,
    /// Configurations already parsed.
    pub configs: Configs,
    /// Counts what is used.
    pub meter: Meter,
}

impl Ports<DynamoTable> {
    /// Ports to AWS, with the tables that the environment names.
    ///
    /// # Errors
    /// When a table is not named.
    pub fn new(aws: &Aws) -> Result<Self, std::env::VarError> {
        Ok(Ports { store: Store::from_env(aws)?, configs: Configs::default(), meter: aws.meter.clone() })
    }
}

/// Changes this far back matter to a decision: cooldowns and changes of direction.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(2);

/// Decides for a whole platform.
///
/// # Errors
/// When what is stored cannot be read or written, or the plan breaks a rule.
pub async fn handle<T: Table>(ports: &Ports<T>, request: DecideRequest) -> Result<Decided, Failure> {
    let platform = ports.configs.get(&ports.store, &request.cycle.platform, &request.config).await?;
    let seen = Seen::read(&ports.store, &request).await?;
    let decisions = decide(&seen.world(&platform, &request));
    let plan = planned(&platform, &decisions, &request)?;
    record(&ports.store, &request.cycle, &decisions, &plan, request.at).await?;
    let summary = report::planned(&plan, &decisions);
    let kind = if plan.waves_to_run().is_empty() { DecidedKind::Hold } else { DecidedKind::Scale };
    tracing::info!(platform = %request.cycle.platform, cycle = %request.cycle.id, ?kind, plan = %plan.id, "{summary}");
    Ok(Decided { kind, plan: PlanOutline::of(&plan), summary, usage: ports.meter.take() })
}

/// What is stored about this cycle and those before it.
struct Seen {
    observations: BTreeMap<DimensionKey, Observation>,
    forecasts: BTreeMap<DimensionKey, Vec<MetricForecast>>,
    changes: Vec<Change>,
}

impl Seen {
    async fn read<T: Table>(store: &Store<T>, request: &DecideRequest) -> Result<Seen, Failure> {
        let Cycle { platform, id, now, .. } = &request.cycle;
        let observations = store.observations(platform, id).await?;
        let forecasts = store.forecasts(platform, *now, id).await?;
        let since = now.checked_sub(LOOK_BACK).unwrap_or(Timestamp::MIN);
        Ok(Seen {
            observations: observations.into_iter().map(|seen| (seen.key.clone(), seen)).collect(),
            forecasts: forecasts.into_iter().map(|made| (made.key, made.forecasts)).collect(),
            changes: store.changes(platform, since).await?,
        })
    }

    fn world<'a>(&'a self, platform: &'a Platform, request: &'a DecideRequest) -> World<'a> {
        World {
            platform,
            now: request.cycle.now,
            observations: &self.observations,
            forecasts: &self.forecasts,
            changes: &self.changes,
            manual: &request.capacity,
            standing: &NOTHING,
        }
    }
}

/// The plan, if it is sound. The linter looks at every plan, whoever made it.
fn planned(platform: &Platform, decisions: &[Decision], request: &DecideRequest) -> Result<Plan, Failure> {
    let permit = Permit::of(platform.orchestration.phase, request.cycle.dry_run);
    let made_at = request.cycle.time(request.at);
    let plan = plan::make(platform, decisions, &request.cycle.id, made_at, &request.config, permit);
    let violations = plan::lint(platform, &plan);
    if violations.is_empty() {
        return Ok(plan);
    }
    Err(Failure::PlanUnsound(violations.iter().map(ToString::to_string).collect()))
}

/// Stores decisions and plan. Opening the plan in the lease comes last: from then on a later cycle would find it.
async fn record<T: Table>(
    store: &Store<T>,
    cycle: &Cycle,
    decisions: &[Decision],
    plan: &Plan,
    at: Timestamp,
) -> Result<(), Failure> {
    store.put_decisions(cycle, decisions).await?;
    if !plan.waves.is_empty() {
        store.put_plan(&cycle.platform, plan).await?;
    }
    let read = store.lease(&cycle.platform).await?;
    let mut lease = read.value.renew(&cycle.id, at)?;
    lease.open_plan = (!plan.waves_to_run().is_empty()).then(|| plan.id.clone());
    Ok(store.put_lease(&cycle.platform, &read, &lease).await?)
}
