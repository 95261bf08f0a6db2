//! API Gateway stages of REST APIs: the throttle for all methods that have none of their own.

use std::collections::BTreeMap;

use aws_sdk_apigateway::Client;
use aws_sdk_apigateway::types::{MethodSetting, Op, PatchOperation};
use futures_util::stream::{self, StreamExt as _};
use headroom_core::name::DimensionKey;
use headroom_core::observe::{Capacity, Observed};
use headroom_core::platform::{Mode, Resource};
use headroom_core::resource::Adapter;
use headroom_core::units::Units;

use super::{Capacities, Target, every, only, unknown};
use crate::error::{AwsError, ErrorKind};

/// Stages are described one by one, and an account may call API Gateway's management ten times a second in all: developer
/// guide, quotas. An answer takes some tens of milliseconds.
const STAGES_AT_ONCE: usize = 2;
/// The settings of all methods.
const ALL_METHODS: &str = "*/*";

pub(super) async fn observe(client: &Client, targets: &[Target<'_>]) -> Capacities {
    if targets.is_empty() {
        return Capacities::new();
    }
    let most = match most_of_account(client).await {
        Ok(most) => most,
        Err(error) => return unknown(targets, &error),
    };
    let each: Vec<_> = targets.iter().map(|target| see(client, target.resource, most)).collect();
    let seen: Vec<Vec<_>> = stream::iter(each).buffer_unordered(STAGES_AT_ONCE).collect().await;
    seen.into_iter().flatten().collect()
}

/// The requests a second that the account lets in, whatever its stages say.
async fn most_of_account(client: &Client) -> Result<Option<Units>, AwsError> {
    let answer = client.get_account().send().await;
    let account = answer.map_err(|error| AwsError::of(error, "get the limits of API Gateway"))?;
    Ok(account.throttle_settings().map(|settings| Units::at_most(settings.rate_limit())))
}

async fn see(
    client: &Client,
    resource: &Resource,
    most: Option<Units>,
) -> Vec<(DimensionKey, Observed<Capacity>)> {
    let (api, stage) = (&resource.name, stage(resource));
    let seen = match throttle(client, resource).await {
        Ok(throttle) if 1.0 <= throttle.throttling_rate_limit() => {
            let rate = Units::at_most(throttle.throttling_rate_limit());
            let mode = Mode::Desired;
            Observed::Known(Capacity { mode, set: rate, ready: rate, aws_max: most, ..Capacity::default() })
        }
        Ok(_) => Observed::Unknown(format!("stage {stage} of API {api} lets nothing in: it is switched off")),
        Err(error) if error.kind == ErrorKind::NotFound => {
            Observed::Unknown(format!("there is no stage {stage} of a REST API {api}"))
        }
        Err(error) => Observed::Unknown(error.to_string()),
    };
    every(resource, &seen)
}

fn stage(resource: &Resource) -> &str {
    match &resource.adapter {
        Some(Adapter::ApiStage { stage }) => stage,
        _ => "",
    }
}

/// What a stage lets in. Where it sets nothing itself, nothing is begun: a first throttle may cut what is served.
async fn throttle(client: &Client, resource: &Resource) -> Result<MethodSetting, AwsError> {
    let doing = || format!("see the throttle of stage {} of API {}", stage(resource), resource.name);
    let asked = client.get_stage().rest_api_id(&resource.name).stage_name(stage(resource));
    let answer = asked.send().await.map_err(|error| AwsError::of(error, doing()))?;
    let settings = answer.method_settings().and_then(|settings| settings.get(ALL_METHODS)).cloned();
    let none = "it has none for all methods; set one, which is then moved";
    settings.ok_or_else(|| AwsError::new(ErrorKind::Invalid, doing(), none))
}

/// Sets the rate, and the burst in proportion to it.
pub(super) async fn set(
    client: &Client,
    resource: &Resource,
    targets: &BTreeMap<DimensionKey, Units>,
) -> Result<(), AwsError> {
    let target = only(targets)?;
    let doing = format!("set the throttle of {} to {target}", resource.id);
    let had = throttle(client, resource).await?;
    let burst =
        f64::from(had.throttling_burst_limit()) * target.real() / had.throttling_rate_limit().max(1.0);
    let replace = |what: &str, value: String| {
        let path = format!("/{ALL_METHODS}/throttling/{what}");
        PatchOperation::builder().op(Op::Replace).path(path).value(value).build()
    };
    let request = client.update_stage().rest_api_id(&resource.name).stage_name(stage(resource));
    let request = request.patch_operations(replace("rateLimit", target.to_string()));
    let request = request.patch_operations(replace("burstLimit", format!("{:.0}", burst.max(1.0))));
    let sent = request.customize().config_override(once!(aws_sdk_apigateway)).send().await;
    sent.map(drop).map_err(|error| AwsError::of(error, doing))
}

#[cfg(test)]
mod tests {
    use aws_sdk_apigateway::error::ErrorMetadata;
    use aws_sdk_apigateway::operation::get_account::{GetAccountError, GetAccountOutput};
    use aws_sdk_apigateway::operation::get_stage::{GetStageError, GetStageOutput};
    use aws_sdk_apigateway::operation::update_stage::{UpdateStageError, UpdateStageOutput};
    use aws_sdk_apigateway::types::ThrottleSettings;
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};

    use super::super::testing::{platform, target, units_of};
    use super::*;

    const STAGE: &str =
        "{type: API_GATEWAY_STAGE, name: a1b2c3, stage: prod, min_capacity: 100, max_capacity: 5000}";

    fn account() -> Rule {
        mock!(Client::get_account).then_output(|| {
            let settings = ThrottleSettings::builder().rate_limit(10_000.0).burst_limit(5_000).build();
            GetAccountOutput::builder().throttle_settings(settings).build()
        })
    }

    /// A stage with a throttle for all methods, and another one for one method.
    fn describes(rate: Option<f64>) -> Rule {
        mock!(Client::get_stage)
            .match_requests(|request| {
                (request.rest_api_id(), request.stage_name()) == (Some("a1b2c3"), Some("prod"))
            })
            .then_output(move || {
                let setting = |rate| {
                    MethodSetting::builder().throttling_rate_limit(rate).throttling_burst_limit(300).build()
                };
                let stage = GetStageOutput::builder().method_settings("~1pets/GET", setting(7.0));
                match rate {
                    Some(rate) => stage.method_settings(ALL_METHODS, setting(rate)).build(),
                    None => stage.build(),
                }
            })
    }

    async fn seen(rules: &[&Rule]) -> Observed<Capacity> {
        let client = mock_client!(aws_sdk_apigateway, RuleMode::MatchAny, rules);
        let platform = platform(STAGE);
        let observed = observe(&client, &[target(&platform, Mode::Desired)]).await;
        observed[&"a1b2c3/throttle".parse::<DimensionKey>().unwrap()].clone()
    }

    fn why(seen: &Observed<Capacity>) -> &str {
        match seen {
            Observed::Unknown(why) => why,
            Observed::Known(capacity) => panic!("{capacity:?}"),
        }
    }

    #[tokio::test]
    async fn the_rate_for_all_methods_is_seen_below_the_accounts() {
        let observed = seen(&[&describes(Some(150.0)), &account()]).await;
        let capacity = observed.known().unwrap();
        assert_eq!((capacity.set, capacity.ready, &capacity.busy), (Units(150), Units(150), &None));
        assert_eq!((capacity.aws_min, capacity.aws_max), (None, Some(Units(10_000))));
    }

    #[tokio::test]
    async fn no_throttle_and_a_stage_that_is_switched_off_are_left_alone() {
        let observed = seen(&[&describes(None), &account()]).await;
        assert!(why(&observed).contains("it has none for all methods"), "{observed:?}");
        let observed = seen(&[&describes(Some(0.0)), &account()]).await;
        assert_eq!(why(&observed), "stage prod of API a1b2c3 lets nothing in: it is switched off");
    }

    #[tokio::test]
    async fn what_cannot_be_seen_is_unknown() {
        for (code, told) in [
            ("NotFoundException", "there is no stage prod of a REST API a1b2c3"),
            ("AccessDeniedException", "could not see the throttle of stage prod of API a1b2c3: AccessDenied"),
        ] {
            let rule = mock!(Client::get_stage)
                .then_error(move || GetStageError::generic(ErrorMetadata::builder().code(code).build()));
            let observed = seen(&[&rule, &account()]).await;
            assert!(why(&observed).starts_with(told), "{observed:?}");
        }
        let denied = mock!(Client::get_account).then_error(|| {
            GetAccountError::generic(ErrorMetadata::builder().code("AccessDeniedException").build())
        });
        let observed = seen(&[&describes(Some(150.0)), &denied]).await;
        assert!(why(&observed).starts_with("could not get the limits of API Gateway"), "{observed:?}");
    }

    async fn scale(rules: &[&Rule]) -> Result<(), AwsError> {
        let client = mock_client!(aws_sdk_apigateway, RuleMode::MatchAny, rules);
        let platform = platform(STAGE);
        let resource = platform.resources().next().unwrap().1;
        set(&client, resource, &units_of(&[("a1b2c3/throttle", 225)])).await
    }

    #[tokio::test]
    async fn rate_and_burst_are_set_absolutely_by_one_call() {
        let update = mock!(Client::update_stage)
            .match_requests(|request| {
                let told: Vec<String> = request
                    .patch_operations()
                    .iter()
                    .map(|one| {
                        let op = one.op().unwrap().as_str();
                        format!("{op} {} {}", one.path().unwrap(), one.value().unwrap())
                    })
                    .collect();
                request.stage_name() == Some("prod")
                    && told
                        == ["replace /*/*/throttling/rateLimit 225", "replace /*/*/throttling/burstLimit 450"]
            })
            .then_output(|| UpdateStageOutput::builder().build());
        scale(&[&update, &describes(Some(150.0))]).await.unwrap();
        assert_eq!(update.num_calls(), 1);
    }

    #[tokio::test]
    async fn refusals_are_told_apart_and_no_call_is_sent_twice() {
        for (code, kind) in [
            ("TooManyRequestsException", ErrorKind::Throttled),
            ("ConflictException", ErrorKind::Stale),
            ("NotFoundException", ErrorKind::NotFound),
            ("LimitExceededException", ErrorKind::Limit),
        ] {
            let update = mock!(Client::update_stage)
                .then_error(move || UpdateStageError::generic(ErrorMetadata::builder().code(code).build()));
            let error = scale(&[&update, &describes(Some(150.0))]).await.unwrap_err();
            assert_eq!((error.kind, update.num_calls()), (kind, 1), "{code}");
        }
    }
}
