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
mod tests {
    use aws_sdk_lambda::Client;
    use aws_sdk_lambda::error::ErrorMetadata;
    use aws_sdk_lambda::operation::delete_provisioned_concurrency_config::DeleteProvisionedConcurrencyConfigOutput;
    use aws_sdk_lambda::operation::get_account_settings::{
        GetAccountSettingsError, GetAccountSettingsOutput,
    };
    use aws_sdk_lambda::operation::get_function_concurrency::GetFunctionConcurrencyOutput;
    use aws_sdk_lambda::operation::get_provisioned_concurrency_config::GetProvisionedConcurrencyConfigError;
    use aws_sdk_lambda::operation::put_function_concurrency::{
        PutFunctionConcurrencyError, PutFunctionConcurrencyOutput,
    };
    use aws_sdk_lambda::operation::put_provisioned_concurrency_config::{
        PutProvisionedConcurrencyConfigError, PutProvisionedConcurrencyConfigOutput,
    };
    use aws_sdk_lambda::types::AccountLimit;
    use aws_sdk_lambda::types::error::ProvisionedConcurrencyConfigNotFoundException;
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};

    use super::super::testing::{aws, platform, target, units_of};
    use super::*;

    const FUNCTION: &str = "{type: LAMBDA_FUNCTION, name: checkout, qualifier: live, \
        provisioned_concurrency: {min: 0, max: 100}, reserved_concurrency: {min: 50, max: 500}}";

    fn clients(rules: &[&Rule]) -> Clients {
        Clients { functions: mock_client!(aws_sdk_lambda, RuleMode::MatchAny, rules), ..Clients::new(&aws()) }
    }

    fn account(unreserved: i32) -> Rule {
        mock!(Client::get_account_settings).then_output(move || {
            let limit = AccountLimit::builder().unreserved_concurrent_executions(unreserved).build();
            GetAccountSettingsOutput::builder().account_limit(limit).build()
        })
    }

    fn has_reserved(reserved: Option<i32>) -> Rule {
        mock!(Client::get_function_concurrency).then_output(move || {
            let output = GetFunctionConcurrencyOutput::builder();
            output.set_reserved_concurrent_executions(reserved).build()
        })
    }

    fn has_provisioned(requested: i32, available: i32, status: Status) -> Rule {
        mock!(Client::get_provisioned_concurrency_config)
            .match_requests(|request| {
                (request.function_name(), request.qualifier()) == (Some("checkout"), Some("live"))
            })
            .then_output(move || {
                GetProvisionedConcurrencyConfigOutput::builder()
                    .requested_provisioned_concurrent_executions(requested)
                    .available_provisioned_concurrent_executions(available)
                    .allocated_provisioned_concurrent_executions(available)
                    .status(status.clone())
                    .status_reason("FUNCTION_ERROR_INIT_FAILURE")
                    .build()
            })
    }

    fn has_none() -> Rule {
        mock!(Client::get_provisioned_concurrency_config).then_error(|| {
            GetProvisionedConcurrencyConfigError::ProvisionedConcurrencyConfigNotFoundException(
                ProvisionedConcurrencyConfigNotFoundException::builder()
                    .meta(
                        ErrorMetadata::builder()
                            .code("ProvisionedConcurrencyConfigNotFoundException")
                            .build(),
                    )
                    .build(),
            )
        })
    }

    /// What is seen of the provisioned and of the reserved concurrency.
    async fn seen(rules: &[&Rule]) -> (Observed<Capacity>, Observed<Capacity>) {
        let platform = platform(FUNCTION);
        let observed = observe(&clients(rules), &[target(&platform, Mode::Desired)]).await;
        let of = |key: &str| observed[&key.parse::<DimensionKey>().unwrap()].clone();
        (of("checkout/provisioned"), of("checkout/reserved"))
    }

    #[tokio::test]
    async fn a_hundred_stay_unreserved_and_no_more_is_provisioned_than_reserved() {
        let rules = [&account(400), &has_reserved(Some(80)), &has_provisioned(20, 20, Status::Ready)];
        let (provisioned, reserved) = seen(&rules).await;
        let capacity = provisioned.known().unwrap();
        assert_eq!((capacity.set, capacity.ready, capacity.aws_max), (Units(20), Units(20), Some(Units(80))));
        assert_eq!((&capacity.busy, &capacity.failed), (&None, &None));
        let capacity = reserved.known().unwrap();
        assert_eq!(
            (capacity.set, capacity.aws_min, capacity.aws_max),
            (Units(80), Some(Units(20)), Some(Units(380)))
        );
        // An account that has nothing left over.
        let rules = [&account(60), &has_reserved(Some(80)), &has_none()];
        let (_, reserved) = seen(&rules).await;
        assert_eq!(reserved.known().unwrap().aws_max, Some(Units(80)));
    }

    #[tokio::test]
    async fn what_is_not_reserved_is_left_alone_and_what_is_not_provisioned_is_none() {
        let (provisioned, reserved) = seen(&[&account(1_000), &has_reserved(None), &has_none()]).await;
        let capacity = provisioned.known().unwrap();
        assert_eq!((capacity.set, capacity.ready, capacity.aws_max), (Units(0), Units(0), Some(Units(900))));
        assert!(matches!(reserved, Observed::Unknown(why) if why.contains("to reserve would cap it")));
    }

    #[tokio::test]
    async fn an_alias_that_moves_to_another_version_keeps_what_is_provisioned() {
        let rules = [&account(900), &has_reserved(Some(80)), &has_provisioned(20, 3, Status::InProgress)];
        let capacity = seen(&rules).await.0.known().unwrap().clone();
        assert_eq!((capacity.set, capacity.ready), (Units(20), Units(3)));
        let held = "3 of 20 provisioned executions are allocated";
        assert_eq!(capacity.busy, Some(Busy::Held(held.into())));
    }

    #[tokio::test]
    async fn an_allocation_that_failed_says_why() {
        let rules = [&account(900), &has_reserved(Some(80)), &has_provisioned(20, 0, Status::Failed)];
        let failed = seen(&rules).await.0.known().unwrap().failed.clone();
        let why = "its provisioned concurrency was not allocated: FUNCTION_ERROR_INIT_FAILURE";
        assert_eq!(failed.as_deref(), Some(why));
    }

    #[tokio::test]
    async fn what_is_gone_is_unknown_and_an_account_that_says_nothing_hides_no_function() {
        let denied = mock!(Client::get_account_settings).then_error(|| {
            GetAccountSettingsError::generic(ErrorMetadata::builder().code("AccessDeniedException").build())
        });
        let gone = mock!(Client::get_provisioned_concurrency_config).then_error(|| {
            let code = ErrorMetadata::builder().code("ResourceNotFoundException").build();
            GetProvisionedConcurrencyConfigError::generic(code)
        });
        let (provisioned, reserved) = seen(&[&denied, &gone, &has_reserved(Some(80))]).await;
        assert_eq!(provisioned, Observed::Unknown("there is no function checkout:live".into()));
        assert_eq!(reserved.known().unwrap().aws_max, None);
    }

    /// The calls that set, which write down their order.
    fn sets(order: &std::sync::Arc<std::sync::Mutex<Vec<String>>>) -> [Rule; 3] {
        let (one, two, three) = (order.clone(), order.clone(), order.clone());
        let note = |order: &std::sync::Mutex<Vec<String>>, what: String| order.lock().unwrap().push(what);
        [
            mock!(Client::put_provisioned_concurrency_config)
                .match_requests(move |request| {
                    note(&one, format!("provision {}", request.provisioned_concurrent_executions().unwrap()));
                    request.qualifier() == Some("live")
                })
                .then_output(|| PutProvisionedConcurrencyConfigOutput::builder().build()),
            mock!(Client::delete_provisioned_concurrency_config)
                .match_requests(move |request| {
                    note(&two, "provision none".to_owned());
                    request.qualifier() == Some("live")
                })
                .then_output(|| DeleteProvisionedConcurrencyConfigOutput::builder().build()),
            mock!(Client::put_function_concurrency)
                .match_requests(move |request| {
                    note(&three, format!("reserve {}", request.reserved_concurrent_executions().unwrap()));
                    request.function_name() == Some("checkout")
                })
                .then_output(|| PutFunctionConcurrencyOutput::builder().build()),
        ]
    }

    #[tokio::test]
    async fn what_makes_room_comes_first_and_what_stands_is_not_sent_again() {
        // The function has 80 reserved and 20 provisioned.
        for (targets, expected) in [
            (&[("checkout/provisioned", 40), ("checkout/reserved", 90)][..], "reserve 90, provision 40"),
            (&[("checkout/provisioned", 10), ("checkout/reserved", 60)], "provision 10, reserve 60"),
            (&[("checkout/provisioned", 20), ("checkout/reserved", 60)], "reserve 60"),
            (&[("checkout/provisioned", 40), ("checkout/reserved", 80)], "provision 40"),
            (&[("checkout/provisioned", 0)], "provision none"),
            (&[("checkout/reserved", 60)], "reserve 60"),
        ] {
            let order = std::sync::Arc::default();
            let [provision, none, reserve] = sets(&order);
            let had = (has_reserved(Some(80)), has_provisioned(20, 20, Status::Ready));
            let clients = clients(&[&provision, &none, &reserve, &had.0, &had.1]);
            let platform = platform(FUNCTION);
            let resource = platform.resources().next().unwrap().1;
            set(&clients, resource, Mode::Desired, &units_of(targets)).await.unwrap();
            assert_eq!(order.lock().unwrap().join(", "), expected);
        }
    }

    #[tokio::test]
    async fn refusals_are_told_apart_and_no_call_is_sent_twice() {
        let weights = "Alias with weights can not be used with Provisioned Concurrency";
        let more = "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function";
        for (code, message, kind) in [
            ("ResourceConflictException", "in progress", ErrorKind::Stale),
            ("InvalidParameterValueException", weights, ErrorKind::Stale),
            ("InvalidParameterValueException", more, ErrorKind::Limit),
            ("TooManyRequestsException", "", ErrorKind::Throttled),
            ("ServiceException", "", ErrorKind::Unavailable),
        ] {
            let put = mock!(Client::put_provisioned_concurrency_config).then_error(move || {
                let meta = ErrorMetadata::builder().code(code).message(message).build();
                PutProvisionedConcurrencyConfigError::generic(meta)
            });
            let platform = platform(FUNCTION);
            let resource = platform.resources().next().unwrap().1;
            let targets = units_of(&[("checkout/provisioned", 40)]);
            let error = set(&clients(&[&put]), resource, Mode::Desired, &targets).await.unwrap_err();
            assert_eq!((error.kind, put.num_calls()), (kind, 1), "{message}");
        }
    }

    #[tokio::test]
    async fn half_of_a_change_is_not_taken_for_none_of_it() {
        let order = std::sync::Arc::default();
        let [provision, ..] = sets(&order);
        let refused = mock!(Client::put_function_concurrency).then_error(|| {
            PutFunctionConcurrencyError::generic(
                ErrorMetadata::builder().code("ResourceConflictException").build(),
            )
        });
        let had = (has_reserved(Some(80)), has_provisioned(20, 20, Status::Ready));
        let clients = clients(&[&provision, &refused, &had.0, &had.1]);
        let platform = platform(FUNCTION);
        let resource = platform.resources().next().unwrap().1;
        let targets = units_of(&[("checkout/provisioned", 10), ("checkout/reserved", 60)]);
        let error = set(&clients, resource, Mode::Desired, &targets).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "what is left must follow");
    }

    #[tokio::test]
    async fn a_floor_is_moved_under_the_native_policy_and_what_is_reserved_as_ever() {
        use aws_sdk_applicationautoscaling::Client as Scaling;
        use aws_sdk_applicationautoscaling::operation::register_scalable_target::RegisterScalableTargetOutput;
        let order = std::sync::Arc::default();
        let [_, _, reserve] = sets(&order);
        let register = mock!(Scaling::register_scalable_target)
            .match_requests(|request| {
                (request.resource_id(), request.min_capacity()) == (Some("function:checkout:live"), Some(40))
            })
            .then_output(|| RegisterScalableTargetOutput::builder().build());
        let clients = Clients {
            targets: mock_client!(aws_sdk_applicationautoscaling, RuleMode::MatchAny, [&register]),
            ..clients(&[&reserve, &has_reserved(Some(80))])
        };
        let platform = platform(FUNCTION);
        let resource = platform.resources().next().unwrap().1;
        let targets = units_of(&[("checkout/provisioned", 40), ("checkout/reserved", 90)]);
        set(&clients, resource, Mode::Floor, &targets).await.unwrap();
        assert_eq!((register.num_calls(), order.lock().unwrap().join(", ")), (1, "reserve 90".to_owned()));
    }
}
