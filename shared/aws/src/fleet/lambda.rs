//! Lambda functions: provisioned concurrency of an alias or a version, and what is reserved for the whole function.

use std::collections::BTreeMap;

use aws_sdk_lambda::operation::get_provisioned_concurrency_config::GetProvisionedConcurrencyConfigOutput;
use aws_sdk_lambda::types::ProvisionedConcurrencyStatusEnum as Status;
use futures_util::stream::{self, StreamExt as _};
use headroom_core::name::DimensionKey;
use headroom_core::observe::{Busy, Capacity, Observed};
use headroom_core::platform::{Mode, Resource};
use headroom_core::units::Units;

use super::{Capacities, Target, count, scalable, unfinished, units};
use crate::error::{AwsError, ErrorKind};
use crate::sdk::Aws;

/// Functions are asked about one by one, twice each, and an account may do that 15 times a second.
const FUNCTIONS_AT_ONCE: usize = 2;
/// Lambda developer guide, reserved concurrency: so much stays unreserved, for functions that have none of their own.
const UNRESERVED_KEPT: u32 = 100;
const PROVISIONED: &str = "provisioned";
const RESERVED: &str = "reserved";

/// Lambda, and the floors of provisioned concurrency.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    functions: aws_sdk_lambda::Client,
    targets: aws_sdk_applicationautoscaling::Client,
}

impl Clients {
    pub(super) fn new(aws: &Aws) -> Clients {
        Clients { functions: aws.lambda(), targets: aws.application() }
    }
}

pub(super) async fn observe(clients: &Clients, targets: &[Target<'_>]) -> Capacities {
    if targets.is_empty() {
        return Capacities::new();
    }
    let spare = spare(clients).await;
    let floors = scalable::floors(&clients.targets, targets).await;
    let each: Vec<_> = targets.iter().map(|target| see(clients, *target, spare, &floors)).collect();
    let seen: Vec<Vec<_>> = stream::iter(each).buffer_unordered(FUNCTIONS_AT_ONCE).collect().await;
    seen.into_iter().flatten().collect()
}

/// How much the account could still reserve; `None` where it does not say, and AWS itself refuses what is too much.
async fn spare(clients: &Clients) -> Option<u32> {
    let answer = match clients.functions.get_account_settings().send().await {
        Ok(answer) => answer,
        Err(error) => {
            let error = AwsError::of(error, "see how much concurrency is unreserved");
            tracing::warn!(%error, "AWS's limit on concurrency is not known");
            return None;
        }
    };
    let unreserved = answer.account_limit()?.unreserved_concurrent_executions()?;
    Some(units(unreserved).0.saturating_sub(UNRESERVED_KEPT))
}

/// What a function has of each kind of concurrency; `None` where it has none of it.
#[derive(Clone, Debug)]
struct Had {
    provisioned: Result<Option<Provisioned>, AwsError>,
    reserved: Result<Option<Units>, AwsError>,
}

#[derive(Clone, Debug)]
struct Provisioned {
    requested: Units,
    available: Units,
    status: Status,
    reason: Option<String>,
}

async fn see(
    clients: &Clients,
    target: Target<'_>,
    spare: Option<u32>,
    floors: &scalable::Floors,
) -> Vec<(DimensionKey, Observed<Capacity>)> {
    let resource = target.resource;
    let has = |name: &str| resource.dimensions.iter().any(|dimension| dimension.key.dimension == name);
    let qualifier = resource.within.first().filter(|_| has(PROVISIONED));
    let provisioned = match qualifier {
        Some(qualifier) => provisioned(clients, resource, qualifier).await,
        None => Ok(None),
    };
    let had = Had { provisioned, reserved: reserved(clients, resource).await };
    let dimensions = resource.dimensions.iter();
    dimensions
        .map(|dimension| {
            let seen = match dimension.key.dimension.as_str() {
                RESERVED => reserved_capacity(resource, &had, spare),
                _ => provisioned_capacity(target, &had, spare, floors),
            };
            (dimension.key.clone(), seen.unwrap_or_else(Observed::Unknown))
        })
        .collect()
}

async fn provisioned(
    clients: &Clients,
    resource: &Resource,
    qualifier: &str,
) -> Result<Option<Provisioned>, AwsError> {
    let asked = clients.functions.get_provisioned_concurrency_config().function_name(&resource.name);
    let error = match asked.qualifier(qualifier).send().await {
        Ok(answer) => return Ok(Some(Provisioned::of(answer))),
        Err(error) => error,
    };
    let is_none = error
        .as_service_error()
        .is_some_and(|error| error.is_provisioned_concurrency_config_not_found_exception());
    let doing = format!("see what is provisioned for {}:{qualifier}", resource.name);
    if is_none { Ok(None) } else { Err(AwsError::of(error, doing)) }
}

impl Provisioned {
    fn of(answer: GetProvisionedConcurrencyConfigOutput) -> Provisioned {
        Provisioned {
            requested: units(answer.requested_provisioned_concurrent_executions.unwrap_or(0)),
            available: units(answer.available_provisioned_concurrent_executions.unwrap_or(0)),
            status: answer.status.unwrap_or(Status::InProgress),
            reason: answer.status_reason,
        }
    }
}

async fn reserved(clients: &Clients, resource: &Resource) -> Result<Option<Units>, AwsError> {
    let asked = clients.functions.get_function_concurrency().function_name(&resource.name).send().await;
    let doing = || format!("see what is reserved for {}", resource.name);
    let answer = asked.map_err(|error| AwsError::of(error, doing()))?;
    Ok(answer.reserved_concurrent_executions.map(units))
}

/// Why something cannot be seen.
fn unseen(resource: &Resource, error: &AwsError) -> String {
    match error.kind {
        ErrorKind::NotFound => {
            let qualifier = resource.within.first().map(|one| format!(":{one}")).unwrap_or_default();
            format!("there is no function {}{qualifier}", resource.name)
        }
        _ => error.to_string(),
    }
}

/// An alias that moves to another version keeps what is provisioned: it is allocated anew, and until then less is ready.
fn provisioned_capacity(
    target: Target<'_>,
    had: &Had,
    spare: Option<u32>,
    floors: &scalable::Floors,
) -> Result<Observed<Capacity>, String> {
    let provisioned = had.provisioned.as_ref().map_err(|error| unseen(target.resource, error))?;
    // What is reserved for the function is all that may be provisioned of it.
    let most = match &had.reserved {
        Ok(Some(reserved)) => Some(*reserved),
        _ => spare.map(Units),
    };
    let mut capacity = Capacity { mode: target.mode, aws_max: most, ..Capacity::default() };
    if let Some(Provisioned { requested, available, status, reason }) = provisioned {
        (capacity.set, capacity.ready) = (*requested, *available);
        match status {
            Status::Ready => (),
            Status::Failed => {
                let why = reason.as_deref().unwrap_or("AWS does not say why");
                capacity.failed = Some(format!("its provisioned concurrency was not allocated: {why}"));
            }
            _ => {
                let what = format!("{available} of {requested} provisioned executions are allocated");
                capacity.busy = Some(Busy::Held(what));
            }
        }
    }
    if target.mode == Mode::Floor {
        let bounds = match floors.of(target.resource, PROVISIONED) {
            Observed::Known(bounds) => bounds,
            Observed::Unknown(why) => return Err(why),
        };
        // Whatever is being allocated, Application Auto Scaling takes a floor.
        (capacity.set, capacity.busy) = (bounds.min(), None);
        capacity.aws_max = Some(most.map_or(bounds.max(), |most| most.min(bounds.max())));
    }
    Ok(Observed::Known(capacity))
}

/// What is reserved caps a function too, so that nothing is reserved where nothing was.
fn reserved_capacity(
    resource: &Resource,
    had: &Had,
    spare: Option<u32>,
) -> Result<Observed<Capacity>, String> {
    let reserved = had.reserved.as_ref().map_err(|error| unseen(resource, error))?;
    let Some(reserved) = *reserved else {
        return Err(format!(
            "function {} has nothing reserved, so that it may use all that the account has left; to reserve would cap it, \
             and is left to you",
            resource.name
        ));
    };
    let provisioned = had.provisioned.as_ref().ok().and_then(Option::as_ref);
    Ok(Observed::Known(Capacity {
        mode: Mode::Desired,
        set: reserved,
        ready: reserved,
        aws_min: provisioned.map(|provisioned| provisioned.requested),
        aws_max: spare.map(|spare| Units(reserved.0.saturating_add(spare))),
        ..Capacity::default()
    }))
}

/// Sets what is provisioned and what is reserved. Of both, what makes room comes first: nothing may be provisioned beyond
/// what is reserved. What stands already is not sent again, so that a repeated change ends what the first one began.
pub(super) async fn set(
    clients: &Clients,
    resource: &Resource,
    mode: Mode,
    targets: &BTreeMap<DimensionKey, Units>,
) -> Result<(), AwsError> {
    let target =
        |name: &str| targets.iter().find(|(key, _)| key.dimension == name).map(|(_, target)| *target);
    let (Some(provision), Some(reserve)) = (target(PROVISIONED), target(RESERVED)) else {
        for (key, target) in targets {
            set_one(clients, resource, mode, (&key.dimension, *target)).await?;
        }
        return Ok(());
    };
    let had = reserved(clients, resource).await?;
    let provision = (PROVISIONED, provision);
    let reserve = Some((RESERVED, reserve)).filter(|(_, target)| had != Some(*target));
    let rises = reserve.is_some_and(|(_, target)| had < Some(target));
    let steps = if rises { [reserve, Some(provision)] } else { [Some(provision), reserve] };
    let mut begun = had.is_some() && reserve.is_none();
    for step in steps.into_iter().flatten() {
        let is_there =
            step.0 == PROVISIONED && mode == Mode::Desired && stands(clients, resource, step.1).await?;
        if !is_there {
            let sent = set_one(clients, resource, mode, step).await;
            sent.map_err(|error| if begun { unfinished(error) } else { error })?;
        }
        begun = true;
    }
    Ok(())
}

/// Whether so much is requested already.
async fn stands(clients: &Clients, resource: &Resource, target: Units) -> Result<bool, AwsError> {
    let qualifier = qualifier(resource)?;
    let provisioned = provisioned(clients, resource, qualifier).await?;
    Ok(provisioned.map_or(Units(0), |provisioned| provisioned.requested) == target)
}

async fn set_one(
    clients: &Clients,
    resource: &Resource,
    mode: Mode,
    (name, target): (&str, Units),
) -> Result<(), AwsError> {
    match (name, mode) {
        (RESERVED, _) => reserve(clients, resource, target).await,
        (_, Mode::Floor) => scalable::set_floor(&clients.targets, resource, name, target).await,
        (_, Mode::Desired) => provision(clients, resource, target).await,
    }
}

fn qualifier(resource: &Resource) -> Result<&String, AwsError> {
    let doing = format!("scale {}", resource.id);
    let missing = || AwsError::new(ErrorKind::Invalid, doing, "no alias or version is named");
    resource.within.first().ok_or_else(missing)
}

async fn reserve(clients: &Clients, resource: &Resource, target: Units) -> Result<(), AwsError> {
    let request = clients.functions.put_function_concurrency().function_name(&resource.name);
    let request = request.reserved_concurrent_executions(count(target));
    let sent = request.customize().config_override(once!(aws_sdk_lambda)).send().await;
    let doing = || format!("reserve {target} executions for {}", resource.name);
    sent.map(drop).map_err(|error| told_apart(AwsError::of(error, doing())))
}

/// AWS provisions one execution at least. None is to have no configuration at all.
async fn provision(clients: &Clients, resource: &Resource, target: Units) -> Result<(), AwsError> {
    let qualifier = qualifier(resource)?;
    let doing = || format!("provision {target} executions for {}:{qualifier}", resource.name);
    if target == Units(0) {
        let request = clients.functions.delete_provisioned_concurrency_config();
        let request = request.function_name(&resource.name).qualifier(qualifier);
        let sent = request.customize().config_override(once!(aws_sdk_lambda)).send().await;
        return sent.map(drop).map_err(|error| told_apart(AwsError::of(error, doing())));
    }
    let request = clients.functions.put_provisioned_concurrency_config().function_name(&resource.name);
    let request = request.qualifier(qualifier).provisioned_concurrent_executions(count(target));
    let sent = request.customize().config_override(once!(aws_sdk_lambda)).send().await;
    sent.map(drop).map_err(|error| told_apart(AwsError::of(error, doing())))
}

/// Lambda has one code for every value that it refuses.
fn told_apart(error: AwsError) -> AwsError {
    let said = error.said.to_lowercase();
    let kind = match error.kind {
        // A deployment moves traffic from one version to the next, and ends.
        ErrorKind::Invalid if said.contains("alias with weights") => ErrorKind::Stale,
        ErrorKind::Invalid if said.contains("minimum value") || said.contains("greater than") => {
            ErrorKind::Limit
        }
        kind => kind,
    };
    AwsError { kind, ..error }
}

#[cfg(test)]
mod tests;
