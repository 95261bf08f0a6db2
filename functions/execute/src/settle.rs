//! Settling: the journal closed, the lease released, the outcome recorded and told.

use headroom_aws::failure::Failure;
use headroom_aws::notices::Notices;
use headroom_aws::table::Table;
use headroom_core::cycle::{CollectedKind, Input, SettleRequest};
use headroom_core::journal::Entry;
use headroom_core::name::{PlanId, PlatformName};
use headroom_core::plan::Plan;
use headroom_core::platform::Platform;
use headroom_core::report;
use headroom_core::settle::{Ending, Outcome, outcome};
use headroom_core::usage::{Usage, WRITE_UNITS};
use jiff::Timestamp;

use crate::Ports;

/// Settles a cycle, however far it came. Runs again, it does the same again.
pub(crate) async fn settle<T: Table, F, N: Notices>(
    ports: &Ports<T, F, N>,
    request: SettleRequest,
) -> Result<Outcome, Failure> {
    let input = Input::read(&request.input).ok();
    let platform = input.as_ref().map(|input| input.platform.clone());
    let plan = match &platform {
        Some(platform) => plan(ports, platform, &request).await?,
        None => None,
    };
    let entries = match (&platform, &plan) {
        (Some(platform), Some(plan)) => entries(ports, platform, &plan.id).await?,
        _ => Vec::new(),
    };
    let mut outcome = outcome(&request, plan.as_ref(), &entries);
    if let Some(platform) = &platform {
        release(ports, platform, &request, &outcome).await?;
        outcome.account(&ports.meter.take());
        outcome.account(&the_record_itself());
        let now = input.and_then(|input| input.now).unwrap_or(request.execution.started_at);
        ports.store.put_outcome(platform, now, &outcome).await?;
        report(ports, platform, &outcome, plan.as_ref(), request.at).await;
    }
    Ok(outcome)
}

/// What it takes to store the outcome, which cannot be counted before it is stored.
fn the_record_itself() -> Usage {
    let mut usage = Usage::default();
    usage.add("DynamoDB:BatchWriteItem", 1.0);
    usage.add(WRITE_UNITS, 2.0);
    usage
}

/// The plan of this cycle, or the one that it took back for a dead one.
async fn plan<T: Table, F, N>(
    ports: &Ports<T, F, N>,
    platform: &PlatformName,
    request: &SettleRequest,
) -> Result<Option<Plan>, Failure> {
    let recovers =
        request.collected.as_ref().is_some_and(|collected| collected.kind == CollectedKind::Recover);
    let id = match &request.decided {
        Some(decided) => Some(decided.plan_id.clone()).filter(|_| 0 < decided.waves),
        None if recovers => ports.store.lease(platform).await?.value.open_plan,
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

/// Releases the lease, if this cycle holds it. A cycle that was skipped never did, and one that lost it must not.
async fn release<T: Table, F, N>(
    ports: &Ports<T, F, N>,
    platform: &PlatformName,
    request: &SettleRequest,
    outcome: &Outcome,
) -> Result<(), Failure> {
    let read = ports.store.lease(platform).await?;
    let needs_human = (outcome.outcome == Ending::NeedsHuman).then(|| outcome.summary.clone());
    let looked = request.collected.as_ref().is_some_and(|collected| collected.kind == CollectedKind::Ready);
    let now =
        Input::read(&request.input).ok().and_then(|input| input.now).unwrap_or(request.execution.started_at);
    match read.value.release(&request.execution.name, needs_human, looked.then_some(now)) {
        Ok(lease) => Ok(ports.store.put_lease(platform, &read, &lease).await?),
        Err(_) => Ok(()),
    }
}

/// Tells people and publishes figures. That nobody could be told must not undo what was settled.
async fn report<T: Table, F, N: Notices>(
    ports: &Ports<T, F, N>,
    platform: &PlatformName,
    outcome: &Outcome,
    plan: Option<&Plan>,
    at: Timestamp,
) {
    tracing::info!(%platform, cycle = %outcome.cycle_id, outcome = ?outcome.outcome, "{}", outcome.summary);
    headroom_aws::figures::publish(&report::figures(platform, outcome, at));
    let configured = match plan {
        Some(plan) => ports.configs.get(&ports.store, platform, &plan.config).await.ok(),
        None => None,
    };
    let configured = configured.as_deref().and_then(|platform: &Platform| platform.monitoring.notify.clone());
    if !outcome.outcome.is_news() {
        return;
    }
    let (subject, text) = report::notice(platform, outcome);
    for topic in ports.topic.iter().chain(&configured) {
        if let Err(error) = ports.notices.tell(topic, &subject, &text).await {
            tracing::error!(%error, "nobody could be told of {subject}");
        }
    }
}
