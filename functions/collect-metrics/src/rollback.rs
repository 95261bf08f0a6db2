//! Rolling back a plan that is over, because a person asks for it.

use std::collections::BTreeSet;

use headroom_aws::failure::Failure;
use headroom_aws::fleet::{Depth, Fleet};
use headroom_aws::store::{StoreError, Versioned};
use headroom_aws::table::Table;
use headroom_core::cycle::{Cycle, PlanOutline};
use headroom_core::lease::Lease;
use headroom_core::name::{PlanId, ResourceId};
use headroom_core::plan::{Plan, Step};
use headroom_core::platform::{Mode, Resource};
use headroom_core::rollback::{Refusal, check};
use jiff::Timestamp;

use crate::Ports;
use crate::claim::Claimed;

/// Opens the plan again in the lease, if it may be rolled back; what dies from here on, the next cycle rolls back to its end.
/// A refusal changes nothing, so it is no failure: the cycle is skipped and says why.
pub(crate) async fn begin<T: Table, M, F: Fleet, C, E>(
    ports: &Ports<T, M, F, C, E>,
    cycle: &Cycle,
    read: &Versioned<Lease>,
    lease: Lease,
    asked: &PlanId,
    at: Timestamp,
) -> Result<Claimed, Failure> {
    let plan = match ports.store.plan_by_keys(&cycle.platform, asked).await {
        Ok(plan) => plan,
        Err(StoreError::Missing(what)) => {
            return Ok(Claimed::Skipped(format!("plan {asked} is not rolled back: there is no {what}")));
        }
        Err(error) => return Err(error.into()),
    };
    if let Err(refusal) = judge(ports, cycle, &plan, at).await? {
        return Ok(Claimed::Skipped(format!("plan {asked} is not rolled back: {refusal}")));
    }
    if cycle.dry_run {
        return Ok(Claimed::Skipped(format!("plan {asked} could be rolled back, but this is a dry run")));
    }
    let lease = Lease { open_plan: Some(asked.clone()), ..lease };
    ports.store.put_lease(&cycle.platform, read, &lease).await?;
    Ok(claimed(&plan))
}

/// What a cycle does that rolls this plan back.
pub(crate) fn claimed(plan: &Plan) -> Claimed {
    Claimed::RollBack(PlanOutline::of(plan), format!("a person asked to roll back plan {}", plan.id))
}

async fn judge<T: Table, M, F: Fleet, C, E>(
    ports: &Ports<T, M, F, C, E>,
    cycle: &Cycle,
    plan: &Plan,
    at: Timestamp,
) -> Result<Result<(), Refusal>, Failure> {
    let platform = ports.configs.get(&ports.store, &cycle.platform, &plan.config).await?;
    let entries = ports.store.journal_by_keys(&cycle.platform, plan).await?;
    let undone: Vec<Step> = entries.iter().filter_map(|entry| entry.undo()).collect();
    let resources = undone.iter().filter_map(|step| Some(platform.resource(&step.resource)?.1));
    let resources: Vec<&Resource> = resources.collect();
    let floors = undone.iter().filter(|step| step.mode == Mode::Floor).map(|step| step.resource.clone());
    let floors: BTreeSet<ResourceId> = floors.collect();
    let seen = ports.fleet.observe(&resources, &floors, at, Depth::Cheap).await;
    Ok(check(plan, &entries, &seen))
}
