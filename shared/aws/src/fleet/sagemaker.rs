//! SageMaker endpoints: the instances of one production variant.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_sagemaker::operation::describe_endpoint::DescribeEndpointOutput;
use aws_sdk_sagemaker::types::{
    DesiredWeightAndCapacity, EndpointStatus as Status, ManagedInstanceScalingStatus,
    ProductionVariantSummary,
};
use futures_util::stream::{self, StreamExt as _};
use headroom_core::name::DimensionKey;
use headroom_core::observe::{Busy, Capacity, Observed};
use headroom_core::platform::{Mode, Resource};
use headroom_core::resource::Adapter;
use headroom_core::units::Units;

use super::{Capacities, Target, count, every, only, scalable, units};
use crate::error::{AwsError, ErrorKind};
use crate::sdk::Aws;

/// Endpoints are described one by one, and AWS does not say how often it may be asked. An answer takes some tens of
/// milliseconds.
const DESCRIBES_AT_ONCE: usize = 2;

/// SageMaker, and the floors of its variants.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    endpoints: aws_sdk_sagemaker::Client,
    targets: aws_sdk_applicationautoscaling::Client,
}

impl Clients {
    pub(super) fn new(aws: &Aws) -> Clients {
        Clients { endpoints: aws.sagemaker(), targets: aws.application() }
    }
}

type Endpoints<'a> = BTreeMap<&'a str, Result<DescribeEndpointOutput, AwsError>>;

pub(super) async fn observe(clients: &Clients, targets: &[Target<'_>]) -> Capacities {
    // Several variants of one endpoint are seen by one call.
    let names: BTreeSet<&str> = targets.iter().map(|target| target.resource.name.as_str()).collect();
    let each: Vec<_> = names.into_iter().map(async |name| (name, describe(clients, name).await)).collect();
    let found: Endpoints<'_> = stream::iter(each).buffer_unordered(DESCRIBES_AT_ONCE).collect().await;
    let floors = scalable::floors(&clients.targets, targets).await;
    let seen = targets.iter().map(|target| {
        let seen = see(*target, &found, &floors);
        every(target.resource, &seen.map_or_else(Observed::Unknown, Observed::Known))
    });
    seen.flatten().collect()
}

async fn describe(clients: &Clients, name: &str) -> Result<DescribeEndpointOutput, AwsError> {
    let answer = clients.endpoints.describe_endpoint().endpoint_name(name).send().await;
    answer.map_err(|error| AwsError::of(error, format!("describe endpoint {name}")))
}

fn variant(resource: &Resource) -> &str {
    match &resource.adapter {
        Some(Adapter::EndpointVariant { variant }) => variant,
        _ => "",
    }
}

/// The capacity of a variant, or why it is not known.
fn see(target: Target<'_>, found: &Endpoints<'_>, floors: &scalable::Floors) -> Result<Capacity, String> {
    let Target { resource, mode } = target;
    let (name, variant) = (resource.name.as_str(), variant(resource));
    let endpoint = match found.get(name) {
        Some(Ok(endpoint)) => endpoint,
        Some(Err(error)) if error.kind != ErrorKind::NotFound => return Err(error.to_string()),
        _ => return Err(format!("there is no endpoint {name}")),
    };
    let mut variants = endpoint.production_variants().iter();
    let seen = variants.find(|seen| seen.variant_name() == Some(variant));
    let seen = seen.ok_or_else(|| format!("endpoint {name} has no variant {variant}"))?;
    if let Some(who) = scaled_by_aws(seen) {
        return Err(format!("variant {variant} of endpoint {name} {who}: AWS scales it by itself"));
    }
    let (Some(desired), Some(current)) = (seen.desired_instance_count(), seen.current_instance_count())
    else {
        return Err(format!("AWS does not tell the instances of variant {variant} of endpoint {name}"));
    };
    let (desired, current) = (units(desired), units(current));
    let capacity =
        Capacity { mode, set: desired, ready: current, busy: busy(endpoint), ..Capacity::default() };
    if mode == Mode::Desired {
        return Ok(capacity);
    }
    let dimension = resource.dimensions.first().map(|dimension| dimension.key.dimension.as_str());
    match floors.of(resource, dimension.unwrap_or_default()) {
        // Whatever the endpoint is doing, Application Auto Scaling takes a floor.
        Observed::Known(bounds) => {
            Ok(Capacity { set: bounds.min(), aws_max: Some(bounds.max()), busy: None, ..capacity })
        }
        Observed::Unknown(why) => Err(why),
    }
}

/// How AWS itself scales a variant, if it does.
fn scaled_by_aws(variant: &ProductionVariantSummary) -> Option<&'static str> {
    let managed = variant.managed_instance_scaling().and_then(|managed| managed.status());
    if managed == Some(&ManagedInstanceScalingStatus::Enabled) {
        return Some("has managed instance scaling");
    }
    variant.current_serverless_config().map(|_| "is serverless")
}

/// SageMaker makes one update of an endpoint at a time, and refuses every other until it is in service again.
fn busy(endpoint: &DescribeEndpointOutput) -> Option<Busy> {
    let status = endpoint.endpoint_status();
    let why = endpoint.failure_reason().map(|why| format!(": {why}")).unwrap_or_default();
    let told = format!("the endpoint is {}{why}", status.map_or("in no state", Status::as_str));
    match status {
        Some(Status::InService) => None,
        // It serves, or could, but a person has to look at what runs.
        Some(Status::UpdateRollbackFailed | Status::OutOfService) => Some(Busy::Held(told)),
        _ => Some(Busy::Locked(told)),
    }
}

/// Only the variant that is wanted is named: the others keep their instances, and all keep their weights.
pub(super) async fn set(
    clients: &Clients,
    resource: &Resource,
    mode: Mode,
    targets: &BTreeMap<DimensionKey, Units>,
) -> Result<(), AwsError> {
    let target = only(targets)?;
    if mode == Mode::Floor {
        let dimension = targets.keys().next().map(|key| key.dimension.as_str()).unwrap_or_default();
        return scalable::set_floor(&clients.targets, resource, dimension, target).await;
    }
    let doing = format!("set the instances of {} to {target}", resource.id);
    let wanted = DesiredWeightAndCapacity::builder().variant_name(variant(resource));
    let wanted = wanted.desired_instance_count(count(target)).build();
    let request = clients.endpoints.update_endpoint_weights_and_capacities();
    let request = request.endpoint_name(&resource.name).desired_weights_and_capacities(wanted);
    let sent = request.customize().config_override(once!(aws_sdk_sagemaker)).send().await;
    sent.map(drop).map_err(|error| AwsError::of(error, doing))
}

#[cfg(test)]
mod tests {
    use aws_sdk_applicationautoscaling::operation::describe_scalable_targets::DescribeScalableTargetsOutput;
    use aws_sdk_applicationautoscaling::operation::register_scalable_target::RegisterScalableTargetOutput;
    use aws_sdk_applicationautoscaling::primitives::DateTime;
    use aws_sdk_applicationautoscaling::types::{ScalableDimension, ScalableTarget, ServiceNamespace};
    use aws_sdk_sagemaker::Client;
    use aws_sdk_sagemaker::error::ErrorMetadata;
    use aws_sdk_sagemaker::operation::describe_endpoint::DescribeEndpointError;
    use aws_sdk_sagemaker::operation::update_endpoint_weights_and_capacities::{
        UpdateEndpointWeightsAndCapacitiesError, UpdateEndpointWeightsAndCapacitiesOutput,
    };
    use aws_sdk_sagemaker::types::builders::ProductionVariantSummaryBuilder;
    use aws_sdk_sagemaker::types::{
        ProductionVariantManagedInstanceScaling, ProductionVariantServerlessConfig,
    };
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};

    use super::super::testing::{aws, platform, target, units_of};
    use super::*;

    const ENDPOINT: &str =
        "{type: SAGEMAKER_ENDPOINT, name: ranking, variant: blue, min_capacity: 1, max_capacity: 6}";

    /// A variant that has two instances, and gets a third.
    fn blue() -> ProductionVariantSummaryBuilder {
        let variant = ProductionVariantSummary::builder().variant_name("blue");
        variant.current_instance_count(2).desired_instance_count(3)
    }

    fn describes(status: Status, variant: ProductionVariantSummary) -> Rule {
        mock!(Client::describe_endpoint)
            .match_requests(|request| request.endpoint_name() == Some("ranking"))
            .then_output(move || {
                let green = ProductionVariantSummary::builder().variant_name("green");
                let green = green.current_instance_count(9).desired_instance_count(9).build();
                DescribeEndpointOutput::builder()
                    .endpoint_status(status.clone())
                    .production_variants(green)
                    .production_variants(variant.clone())
                    .build()
            })
    }

    fn clients(rules: &[&Rule]) -> Clients {
        Clients {
            endpoints: mock_client!(aws_sdk_sagemaker, RuleMode::MatchAny, rules),
            ..Clients::new(&aws())
        }
    }

    async fn seen_by(clients: &Clients, mode: Mode) -> Observed<Capacity> {
        let platform = platform(ENDPOINT);
        let observed = observe(clients, &[target(&platform, mode)]).await;
        observed[&"ranking/desired".parse::<DimensionKey>().unwrap()].clone()
    }

    async fn seen(rule: &Rule) -> Observed<Capacity> {
        seen_by(&clients(&[rule]), Mode::Desired).await
    }

    fn why(seen: &Observed<Capacity>) -> &str {
        match seen {
            Observed::Unknown(why) => why,
            Observed::Known(capacity) => panic!("{capacity:?}"),
        }
    }

    #[tokio::test]
    async fn instances_wanted_and_there_are_seen_of_the_variant() {
        let observed = seen(&describes(Status::InService, blue().build())).await;
        let capacity = observed.known().unwrap();
        assert_eq!((capacity.set, capacity.ready, &capacity.busy), (Units(3), Units(2), &None));
    }

    #[tokio::test]
    async fn an_endpoint_that_is_not_in_service_takes_no_change() {
        for status in [Status::Updating, Status::SystemUpdating, Status::RollingBack, Status::Failed] {
            let told = format!("the endpoint is {}", status.as_str());
            let observed = seen(&describes(status, blue().build())).await;
            assert_eq!(observed.known().unwrap().busy, Some(Busy::Locked(told)));
        }
        let observed = seen(&describes(Status::UpdateRollbackFailed, blue().build())).await;
        let told = "the endpoint is UpdateRollbackFailed".to_owned();
        assert_eq!(observed.known().unwrap().busy, Some(Busy::Held(told)));
    }

    #[tokio::test]
    async fn what_aws_scales_by_itself_is_left_alone() {
        let managed = ProductionVariantManagedInstanceScaling::builder();
        let managed =
            blue().managed_instance_scaling(managed.status(ManagedInstanceScalingStatus::Enabled).build());
        let observed = seen(&describes(Status::InService, managed.build())).await;
        assert!(
            why(&observed).contains("has managed instance scaling: AWS scales it by itself"),
            "{observed:?}"
        );
        let serverless =
            blue().current_serverless_config(ProductionVariantServerlessConfig::builder().build());
        let observed = seen(&describes(Status::InService, serverless.build())).await;
        assert!(why(&observed).contains("is serverless: AWS scales it by itself"), "{observed:?}");
    }

    #[tokio::test]
    async fn what_cannot_be_seen_is_unknown() {
        let other = blue().variant_name("red").build();
        let observed = seen(&describes(Status::InService, other)).await;
        assert_eq!(why(&observed), "endpoint ranking has no variant blue");
        for (code, message, told) in [
            ("ValidationException", "Could not find endpoint \"arn\".", "there is no endpoint ranking"),
            ("AccessDeniedException", "", "could not describe endpoint ranking: AccessDeniedException"),
        ] {
            let rule = mock!(Client::describe_endpoint).then_error(move || {
                DescribeEndpointError::generic(ErrorMetadata::builder().code(code).message(message).build())
            });
            let observed = seen(&rule).await;
            assert!(why(&observed).starts_with(told), "{observed:?}");
        }
    }

    async fn scale(clients: &Clients, mode: Mode) -> Result<(), AwsError> {
        let platform = platform(ENDPOINT);
        let resource = platform.resources().next().unwrap().1;
        set(clients, resource, mode, &units_of(&[("ranking/desired", 4)])).await
    }

    #[tokio::test]
    async fn instances_are_set_absolutely_and_of_the_variant_alone() {
        let update = mock!(Client::update_endpoint_weights_and_capacities)
            .match_requests(|request| {
                let wanted =
                    DesiredWeightAndCapacity::builder().variant_name("blue").desired_instance_count(4);
                request.endpoint_name() == Some("ranking")
                    && request.desired_weights_and_capacities() == [wanted.build()]
            })
            .then_output(|| UpdateEndpointWeightsAndCapacitiesOutput::builder().build());
        scale(&clients(&[&update]), Mode::Desired).await.unwrap();
        assert_eq!(update.num_calls(), 1);
    }

    #[tokio::test]
    async fn a_floor_is_seen_and_moved_under_the_native_policy() {
        let (id, by) =
            ("endpoint/ranking/variant/blue", ScalableDimension::SageMakerVariantDesiredInstanceCount);
        let floor =
            mock!(aws_sdk_applicationautoscaling::Client::describe_scalable_targets).then_output(move || {
                let target =
                    ScalableTarget::builder().service_namespace(ServiceNamespace::Sagemaker).resource_id(id);
                let target =
                    target.scalable_dimension(ScalableDimension::SageMakerVariantDesiredInstanceCount);
                let target = target.min_capacity(2).max_capacity(5).role_arn("role");
                let target = target.creation_time(DateTime::from_secs(0)).build().unwrap();
                DescribeScalableTargetsOutput::builder().scalable_targets(target).build()
            });
        let register = mock!(aws_sdk_applicationautoscaling::Client::register_scalable_target)
            .match_requests(move |request| {
                request.resource_id() == Some(id)
                    && request.scalable_dimension() == Some(&by)
                    && (request.min_capacity(), request.max_capacity()) == (Some(4), None)
            })
            .then_output(|| RegisterScalableTargetOutput::builder().build());
        let updating = describes(Status::Updating, blue().build());
        let clients = Clients {
            targets: mock_client!(aws_sdk_applicationautoscaling, RuleMode::MatchAny, [&floor, &register]),
            ..clients(&[&updating])
        };
        let observed = seen_by(&clients, Mode::Floor).await;
        let capacity = observed.known().unwrap();
        assert_eq!((capacity.set, capacity.aws_max, &capacity.busy), (Units(2), Some(Units(5)), &None));
        scale(&clients, Mode::Floor).await.unwrap();
        assert_eq!(register.num_calls(), 1);
    }

    #[tokio::test]
    async fn refusals_are_told_apart_and_no_call_is_sent_twice() {
        for (code, message, kind) in [
            ("ValidationException", "Cannot update in-progress endpoint \"arn\".", ErrorKind::Stale),
            ("ValidationException", "Could not find endpoint \"arn\".", ErrorKind::NotFound),
            ("ValidationException", "The variant name(s) \"blue\" is/are not present", ErrorKind::Invalid),
            ("ResourceLimitExceeded", "", ErrorKind::Limit),
            ("ThrottlingException", "", ErrorKind::Throttled),
        ] {
            let update = mock!(Client::update_endpoint_weights_and_capacities).then_error(move || {
                UpdateEndpointWeightsAndCapacitiesError::generic(
                    ErrorMetadata::builder().code(code).message(message).build(),
                )
            });
            let error = scale(&clients(&[&update]), Mode::Desired).await.unwrap_err();
            assert_eq!((error.kind, update.num_calls()), (kind, 1), "{message}");
        }
    }
}
