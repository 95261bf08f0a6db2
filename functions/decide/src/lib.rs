//! decide: turns what was seen and forecast into decisions and a plan, and stores both.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use headroom_aws::configs::Configs;
use headroom_aws::failure::Failure;
use headroom_aws::meter::Meter;
use headroom_aws::sdk::Aws;
use headroom_aws::store::{Store, StoredState, Versioned};
use headroom_aws::table::{DynamoTable, Table};
use headroom_core::alert::{Raised, Scaled};
use headroom_core::cycle::{Cycle, DecideRequest, DecideResponse, DecidedKind, PlanOutline};
use headroom_core::decide::forecast_fallback::{self, FallbackForecasts};
use headroom_core::decide::{Decision, decide};
use headroom_core::forecast::MetricForecast;
use headroom_core::lease::Lease;
use headroom_core::name::DimensionKey;
use headroom_core::observe::Observation;
use headroom_core::plan::{self, Permit, Plan};
use headroom_core::platform::Platform;
use headroom_core::report;
use headroom_core::state::PlatformState;
use headroom_core::world::{Change, World};
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
pub async fn handle<T: Table>(ports: &Ports<T>, request: DecideRequest) -> Result<DecideResponse, Failure> {
    let platform = ports.configs.get(&ports.store, &request.cycle.platform, &request.config).await?;
    let inputs = Inputs::read(&ports.store, &platform, &request).await?;
    let mut decisions = decide(&inputs.world(&platform, &request));
    inputs.fallback.explain(&mut decisions);
    let plan = planned(&platform, &inputs.state, &decisions, &request)?;
    record(ports, &inputs, &request, &decisions, &plan).await?;
    publish(&platform, &inputs, &decisions, &request.cycle);
    let moved = inputs.state.moved_since(&inputs.stored.value, &platform);
    let summary =
        report::planned(&plan, &decisions) + &moved.map(|moved| format!("; {moved}")).unwrap_or_default();
    let kind = if plan.waves_to_run().is_empty() { DecidedKind::Hold } else { DecidedKind::Scale };
    tracing::info!(platform = %request.cycle.platform, cycle = %request.cycle.id, ?kind, plan = %plan.id, "{summary}");
    let alerts = conditions(&platform, &inputs, &decisions, &request.cycle);
    let (plan, usage) = (PlanOutline::of(&plan), ports.meter.take());
    Ok(DecideResponse { kind, plan, summary, alerts, usage })
}

/// Publishes the figures that the file asks for. What a rehearsal would say of another time is no figure.
fn publish(platform: &Platform, inputs: &Inputs, decisions: &[Decision], cycle: &Cycle) {
    if !cycle.is_present() {
        return;
    }
    let figures = report::monitored(platform, &inputs.state, &inputs.scaled, cycle.now);
    let of_dimensions =
        report::of_dimensions(platform, &inputs.observations, decisions, &inputs.state, cycle.now);
    figures.iter().chain(&of_dimensions).for_each(headroom_aws::figures::publish);
}

/// What people should know of. A rehearsal tells nobody.
fn conditions(platform: &Platform, inputs: &Inputs, decisions: &[Decision], cycle: &Cycle) -> Vec<Raised> {
    if !cycle.is_present() {
        return Vec::new();
    }
    report::conditions(platform, &inputs.stored.value, &inputs.state, decisions, cycle.now)
}

/// What is stored about this cycle and those before it.
struct Inputs {
    observations: BTreeMap<DimensionKey, Observation>,
    fallback: FallbackForecasts,
    changes: Vec<Change>,
    lease: Versioned<Lease>,
    /// What was kept before this cycle.
    stored: Versioned<PlatformState>,
    /// The same with what this cycle has seen.
    state: PlatformState,
    /// What cycles before this one scaled.
    scaled: Vec<Scaled>,
}

impl Inputs {
    async fn read<T: Table>(
        store: &Store<T>,
        platform: &Platform,
        request: &DecideRequest,
    ) -> Result<Inputs, Failure> {
        let Cycle { platform: name, id, now, .. } = &request.cycle;
        let observations = store.observations(name, id).await?;
        let observations = observations.into_iter().map(|seen| (seen.key.clone(), seen)).collect();
        let forecasts = store.forecasts(name, *now, id).await?;
        let forecasts = forecasts.into_iter().map(|made| (made.key, made.forecasts)).collect();
        let since = now.checked_sub(LOOK_BACK).unwrap_or(Timestamp::MIN);
        let StoredState { lease, state: stored, scaled } = store.stored_state(name).await?;
        let state = if request.cycle.is_present() {
            let judged = match stored.value.judges(platform, *now) {
                Some((from, to)) => Some(store.decided_between(name, from, to).await?),
                None => None,
            };
            stored.value.after(platform, &observations, judged.as_deref(), *now)
        } else {
            stored.value.clone()
        };
        let fallback = with_fallback(store, platform, &state, forecasts, *now).await;
        Ok(Inputs {
            observations,
            fallback,
            changes: store.changes(name, since).await?,
            lease,
            stored,
            state,
            scaled,
        })
    }

    fn world<'a>(&'a self, platform: &'a Platform, request: &'a DecideRequest) -> World<'a> {
        World {
            platform,
            now: request.cycle.now,
            observations: &self.observations,
            forecasts: &self.fallback.forecasts,
            changes: &self.changes,
            manual: &request.capacity,
            state: &self.state,
        }
    }
}

/// The forecasts of this cycle, and those of earlier ones that still count where it has none.
async fn with_fallback<T: Table>(
    store: &Store<T>,
    platform: &Platform,
    state: &PlatformState,
    forecasts: BTreeMap<DimensionKey, Vec<MetricForecast>>,
    now: Timestamp,
) -> FallbackForecasts {
    let mut earlier = Vec::new();
    let since = forecast_fallback::since(platform, state, &forecasts, now);
    for (from, to) in since.into_iter().flat_map(|since| forecast_fallback::parts(since, now)) {
        let part = match store.forecasts_between(&platform.name, from, to).await {
            Ok(part) => part,
            Err(error) => {
                // It only helps: without it the measured load decides.
                tracing::warn!(%error, "earlier forecasts could not be read");
                break;
            }
        };
        earlier.extend(part.into_iter().map(|(at, made)| (at, made.key, made.forecasts)));
        if forecast_fallback::is_enough(platform, &forecasts, &earlier) {
            break;
        }
    }
    FallbackForecasts::of(platform, forecasts, earlier)
}

/// The plan, if it is sound. The linter looks at every plan, whoever made it.
fn planned(
    platform: &Platform,
    state: &PlatformState,
    decisions: &[Decision],
    request: &DecideRequest,
) -> Result<Plan, Failure> {
    let permit = Permit::of(state.phase(platform), request.cycle.dry_run);
    let made_at = request.cycle.time(request.at);
    let plan = plan::make(platform, decisions, &request.cycle.id, made_at, &request.config, permit);
    let violations = plan::lint(platform, &plan);
    if violations.is_empty() {
        return Ok(plan);
    }
    Err(Failure::PlanUnsound(violations.iter().map(ToString::to_string).collect()))
}

/// Stores decisions, what was learned, and the plan. Opening the plan in the lease comes last: from then on a later cycle
/// would find it. The lease was read before, so a cycle that lost it meanwhile opens nothing.
async fn record<T: Table>(
    ports: &Ports<T>,
    inputs: &Inputs,
    request: &DecideRequest,
    decisions: &[Decision],
    plan: &Plan,
) -> Result<(), Failure> {
    let (store, cycle) = (&ports.store, &request.cycle);
    let mut lease = inputs.lease.value.renew(&cycle.id, request.at)?;
    store.put_decisions(cycle, decisions).await?;
    if !plan.waves.is_empty() {
        store.put_plan(&cycle.platform, plan).await?;
    }
    let acts = !plan.waves_to_run().is_empty();
    if cycle.is_present() && inputs.state.must_be_kept(&inputs.stored.value, acts) {
        // Capacity does not wait for what was learned: the next cycle learns it again.
        if let Err(error) = store.put_platform_state(&cycle.platform, &inputs.stored, &inputs.state).await {
            tracing::error!(%error, "what was learned could not be kept");
        }
    }
    lease.open_plan = acts.then(|| plan.id.clone());
    Ok(store.put_lease(&cycle.platform, &inputs.lease, &lease).await?)
}
