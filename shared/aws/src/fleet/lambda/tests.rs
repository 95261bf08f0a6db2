//! Functions as Lambda tells them, and what it refuses.

use aws_sdk_lambda::Client;
use aws_sdk_lambda::error::ErrorMetadata;
use aws_sdk_lambda::operation::delete_provisioned_concurrency_config::DeleteProvisionedConcurrencyConfigOutput;
use aws_sdk_lambda::operation::get_account_settings::{GetAccountSettingsError, GetAccountSettingsOutput};
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
                .meta(ErrorMetadata::builder().code("ProvisionedConcurrencyConfigNotFoundException").build())
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
