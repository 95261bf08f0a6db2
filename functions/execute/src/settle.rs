//! Settling: the journal closed, the lease released, the outcome recorded and told.

use headroom_aws::failure::Failure;
use headroom_aws::notices::Notices;
use headroom_aws::store::StoreError;
use headroom_aws::table::Table;
use headroom_aws::trigger::trigger;
use headroom_core::alert::{self, Raised, Scaled};
use headroom_core::cycle::{CollectedKind, Cycle, Input, SettleRequest};
use headroom_core::journal::Entry;
use headroom_core::learning;
use headroom_core::name::{PlanId, PlatformName};
use headroom_core::plan::Plan;
use headroom_core::platform::Monitoring;
use headroom_core::report::{self, Notice};
use headroom_core::settle::{self, Ending, Outcome, outcome};
use headroom_core::state::PlatformState;
use headroom_core::usage::{Usage, WRITE_UNITS};
use jiff::Timestamp;

use crate::Ports;

/// Settles a cycle, however far it came. Runs again, it does the same again.
pub(crate) async fn settle<T: Table, F, N: Notices>(
    ports: &Ports<T, F, N>,
    request: SettleRequest,
) -> Result<Outcome, Failure> {
    let trigger = trigger(&request.input);
    // An input that cannot be read names no platform: there is nothing to release and nowhere to record.
    let Ok(input) = Input::read(&request.input) else { return Ok(outcome(&request, trigger, None, &[])) };
    let cycle = Cycle::new(&input, &request.execution);
    let plan = plan(ports, &cycle.platform, &request).await?;
    let entries = match &plan {
        Some(plan) => entries(ports, &cycle.platform, &plan.id).await?,
        None => Vec::new(),
    };
    let platform = match &plan {
        // Who is told, and of what, is for nobody's capacity: settling goes on without it.
        Some(plan) => ports.configs.get(&ports.store, &cycle.platform, &plan.config).await.ok(),
        None => None,
    };
    let monitoring = platform.as_deref().map(|platform| &platform.monitoring);
    let lease = ports.store.lease(&cycle.platform).await?.value;
    let mut outcome = outcome(&request, trigger, plan.as_ref(), &entries).with_lease(&request, &lease);
    outcome.alerts.extend(alerts(ports, &cycle, monitoring, &entries, request.at).await);
    if let (Some(platform), Some(plan)) = (platform.as_deref(), &plan) {
        let learned = |state: &PlatformState| {
            learning::after_plan(state, platform, plan, &entries, outcome.outcome, cycle.time(request.at))
        };
        learn(ports, &cycle, &entries, learned).await;
    }
    outcome.needs_human = release(ports, &cycle, &request, &outcome).await?;
    outcome.account(&ports.meter.take());
    outcome.account(&the_record_itself());
    ports.store.put_outcome(&cycle.platform, cycle.now, &outcome).await?;
    report(ports, &cycle, &outcome, monitoring, request.at).await;
    Ok(outcome)
}

/// What it takes to store the outcome, which cannot be counted before it is stored.
fn the_record_itself() -> Usage {
    let mut usage = Usage::default();
    usage.add("DynamoDB:BatchWriteItem", 1.0);
    usage.add(WRITE_UNITS, 2.0);
    usage
}

/// The plan of this cycle, or the earlier one that it rolled back.
async fn plan<T: Table, F, N>(
    ports: &Ports<T, F, N>,
    platform: &PlatformName,
    request: &SettleRequest,
) -> Result<Option<Plan>, Failure> {
    let collected = request.collected.as_ref().map(|collected| collected.kind);
    let rolls_back = matches!(collected, Some(CollectedKind::Recover | CollectedKind::RollBack));
    let id = match &request.decided {
        Some(decided) => Some(decided.plan_id.clone()).filter(|_| 0 < decided.waves),
        // A cycle that lost the lease meanwhile does not judge what its next holder has opened.
        None if rolls_back => {
            ports.store.lease(platform).await?.value.taken_over(&request.execution.name).cloned()
        }
        None => None,
    };
    match id {
        Some(id) => Ok(Some(ports.store.plan(platform, &id).await?)),
        None => Ok(None),
    }
}

async fn entries<T: Table, F, N>(
    ports: &Ports<T, F, N>,
    platform: &PlatformName,
    plan: &PlanId,
) -> Result<Vec<Entry>, Failure> {
    let journal = ports.store.journal(platform, plan).await?;
    Ok(journal.into_iter().map(|entry| entry.value).collect())
}

/// Remembers what was scaled where the file looks back on it, and finds the alerts that this made true. That figures could not be kept must not undo
/// what was settled.
async fn alerts<T: Table, F, N>(
    ports: &Ports<T, F, N>,
    cycle: &Cycle,
    monitoring: Option<&Monitoring>,
    entries: &[Entry],
    at: Timestamp,
) -> Vec<Raised> {
    let Some(monitoring) = monitoring.filter(|monitoring| monitoring.looks_back()) else {
        return Vec::new();
    };
    let Some(scaled) = Scaled::of(&cycle.id, entries, cycle.time(at)) else { return Vec::new() };
    match remember(ports, cycle, &scaled).await {
        Ok(past) => alert::raised(&monitoring.alerts, &past, &scaled),
        Err(error) => {
            tracing::error!(%error, "what was scaled could not be remembered; no alert was judged");
            Vec::new()
        }
    }
}

/// Keeps what was learned about the cycle's resources, if anything was carried out. That it could not be kept must not undo
/// what was settled.
async fn learn<T: Table, F, N>(
    ports: &Ports<T, F, N>,
    cycle: &Cycle,
    entries: &[Entry],
    learned: impl Fn(&PlatformState) -> PlatformState,
) {
    if entries.is_empty() {
        return;
    }
    let kept = async {
        let read = ports.store.platform_state(&cycle.platform).await?;
        let state = learned(&read.value);
        if state == read.value {
            return Ok(());
        }
        ports.store.put_platform_state(&cycle.platform, &read, &state).await
    };
    let kept: Result<(), StoreError> = kept.await;
    if let Err(error) = kept {
        tracing::error!(%error, "what was learned from the cycle could not be kept");
    }
}

/// Adds to what was scaled; answers what it was.
async fn remember<T: Table, F, N>(
    ports: &Ports<T, F, N>,
    cycle: &Cycle,
    scaled: &Scaled,
) -> Result<Vec<Scaled>, StoreError> {
    let read = ports.store.scaled(&cycle.platform).await?;
    let all = alert::remember(&read.value, scaled);
    ports.store.put_scaled(&cycle.platform, &read, &all).await?;
    Ok(read.value)
}

/// Releases the lease, if this cycle holds it. A cycle that was skipped never did, and one that lost it must not. Says
/// whether a person must look before anything acts again.
async fn release<T: Table, F, N>(
    ports: &Ports<T, F, N>,
    cycle: &Cycle,
    request: &SettleRequest,
    outcome: &Outcome,
) -> Result<bool, Failure> {
    let read = ports.store.lease(&cycle.platform).await?;
    let needs_human = (outcome.outcome == Ending::NeedsHuman).then(|| outcome.summary.clone());
    let looked = request.collected.as_ref().is_some_and(|collected| collected.kind == CollectedKind::Ready);
    let settled = settle::settled(request, &read.value);
    match read.value.release(&cycle.id, settled, needs_human, looked.then_some(cycle.now)) {
        Ok(lease) => {
            ports.store.put_lease(&cycle.platform, &read, &lease).await?;
            Ok(lease.needs_human.is_some())
        }
        Err(_) => Ok(read.value.needs_human.is_some()),
    }
}

/// Tells people and publishes figures. That nobody could be told must not undo what was settled.
async fn report<T: Table, F, N: Notices>(
    ports: &Ports<T, F, N>,
    cycle: &Cycle,
    outcome: &Outcome,
    monitoring: Option<&Monitoring>,
    at: Timestamp,
) {
    let (platform, trigger) = (&cycle.platform, &outcome.trigger);
    tracing::info!(%platform, cycle = %cycle.id, %trigger, outcome = ?outcome.outcome, "{}", outcome.summary);
    headroom_aws::figures::publish(&report::figures(cycle, outcome, at));
    if !outcome.is_news() {
        return;
    }
    let read = match ports.store.told(platform).await {
        Ok(read) => Some(read),
        Err(error) => {
            tracing::error!(%error, "when people were told before is not known; they are told");
            None
        }
    };
    if read.as_ref().is_some_and(|read| !read.value.is_due(outcome, at)) {
        tracing::info!(%platform, causes = ?outcome.causes(), "people were told of this within the hour");
        return;
    }
    let configured = monitoring.and_then(|monitoring| monitoring.notify.as_ref());
    let topics: Vec<&String> = ports.topic.iter().chain(configured).collect();
    if !tell(ports, &topics, &report::notice(cycle, outcome)).await {
        return;
    }
    // After it was told: what is remembered and was never told would keep people in the dark for an hour.
    if let Some(read) = read
        && let Err(error) = ports.store.put_told(platform, &read, &read.value.with(outcome, at)).await
    {
        tracing::error!(%error, "that people were told could not be kept; they may be told again");
    }
}

/// Tells whoever listens to the topics. Whether all of them could be told.
async fn tell<T, F, N: Notices>(ports: &Ports<T, F, N>, topics: &[&String], notice: &Notice) -> bool {
    let mut all = true;
    for topic in topics {
        if let Err(error) = ports.notices.tell(topic, notice).await {
            tracing::error!(%error, "nobody could be told of {}", notice.subject);
            all = false;
        }
    }
    all
}
