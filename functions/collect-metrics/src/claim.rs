//! Taking the platform's lease, or finding out why not.

use headroom_aws::executions::Executions;
use headroom_aws::failure::Failure;
use headroom_aws::fleet::Fleet;
use headroom_aws::store::StoreError;
use headroom_aws::table::Table;
use headroom_core::cycle::{Cycle, PlanOutline, Task};
use headroom_core::lease::{Claim, Lease, RECOVERIES_MAX};
use headroom_core::name::PlanId;
use jiff::Timestamp;

use crate::{Ports, rollback};

/// What a cycle may do.
pub(crate) enum Claimed {
    /// It may act. The last cycle that looked did so for this time.
    Granted(Option<Timestamp>),
    /// It rolls back what a dead cycle left.
    Recover(PlanOutline, String),
    /// It rolls back the plan that a person asks for.
    RollBack(PlanOutline, String),
    /// It may do nothing, and why.
    Skipped(String),
    /// A person has looked.
    Resumed(String),
}

/// Two cycles that start together read the same lease; the slower one looks again.
const TRIES: usize = 3;

pub(crate) async fn claim<T: Table, M, F: Fleet, C, E: Executions>(
    ports: &Ports<T, M, F, C, E>,
    cycle: &Cycle,
    asked: Option<&PlanId>,
    at: Timestamp,
) -> Result<Claimed, Failure> {
    for _ in 1..TRIES {
        match claim_once(ports, cycle, asked, at).await {
            Err(Failure::Conflict(_)) => (),
            claimed => return claimed,
        }
    }
    claim_once(ports, cycle, asked, at).await
}

async fn claim_once<T: Table, M, F: Fleet, C, E: Executions>(
    ports: &Ports<T, M, F, C, E>,
    cycle: &Cycle,
    asked: Option<&PlanId>,
    at: Timestamp,
) -> Result<Claimed, Failure> {
    let platform = &cycle.platform;
    let read = ports.store.lease(platform).await?;
    let claim = match read.value.claim(&cycle.id, &cycle.execution, at, None) {
        // A holder that is known to be dead need not be waited for.
        Claim::Busy(holder) => {
            let acts = ports.executions.may_act(&holder.execution, at).await;
            read.value.claim(&cycle.id, &cycle.execution, at, acts)
        }
        claim => claim,
    };
    match claim {
        Claim::NeedsHuman(why) if cycle.task == Task::Resume => {
            let free = Lease { looked_at: read.value.looked_at, ..Lease::default() };
            ports.store.put_lease(platform, &read, &free).await?;
            Ok(Claimed::Resumed(format!("{platform} acts again; it had stopped because {why}")))
        }
        Claim::NeedsHuman(why) => {
            Ok(Claimed::Skipped(format!("a person must look first, then run the task resume: {why}")))
        }
        Claim::Busy(holder) => Ok(Claimed::Skipped(format!("cycle {} acts on {platform}", holder.cycle))),
        Claim::Granted(_) if cycle.task == Task::Resume => {
            Ok(Claimed::Resumed(format!("{platform} had not stopped")))
        }
        Claim::Granted(lease) => {
            if let Some(plan) = asked {
                return rollback::begin(ports, cycle, &read, lease, plan, at).await;
            }
            ports.store.put_lease(platform, &read, &lease).await?;
            Ok(Claimed::Granted(lease.looked_at))
        }
        // A dry run may roll nothing back, and must not claim what it cannot mend.
        Claim::Recover(_, plan) if cycle.dry_run => Ok(Claimed::Skipped(format!(
            "an earlier cycle died with plan {plan} open; a cycle that is no dry run must roll it back first"
        ))),
        Claim::Recover(lease, plan) => {
            ports.store.put_lease(platform, &read, &lease).await?;
            recover(ports, cycle, &lease, &plan, asked).await
        }
    }
}

/// What the open plan of a dead cycle has to roll back. A failure leaves the plan open: settling drops no plan that it
/// was not told of.
async fn recover<T: Table, M, F, C, E>(
    ports: &Ports<T, M, F, C, E>,
    cycle: &Cycle,
    lease: &Lease,
    plan: &PlanId,
    asked: Option<&PlanId>,
) -> Result<Claimed, Failure> {
    if RECOVERIES_MAX < lease.recoveries {
        let tries = lease.recoveries - 1;
        let sentence = format!("plan {plan} was taken over by {tries} cycles, none of which came to its end");
        return Err(Failure::StateCorrupt(sentence));
    }
    let plan = ports.store.plan_by_keys(&cycle.platform, plan).await.map_err(|error| match error {
        StoreError::Missing(what) => {
            Failure::StateCorrupt(format!("the lease names {what}, which is not stored"))
        }
        error => error.into(),
    })?;
    // It may be this very cycle that has opened it: its function runs again when the first answer was lost.
    if asked == Some(&plan.id) {
        return Ok(rollback::claimed(&plan));
    }
    let summary = format!("an earlier cycle died with plan {} open", plan.id);
    Ok(Claimed::Recover(PlanOutline::of(&plan), summary))
}
