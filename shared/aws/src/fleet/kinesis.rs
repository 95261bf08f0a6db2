//! Kinesis data streams in provisioned mode.

use std::collections::BTreeMap;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::types::{ScalingType, StreamDescriptionSummary, StreamMode, StreamStatus};
use futures_util::stream::{self, StreamExt as _};
use headroom_core::name::DimensionKey;
use headroom_core::observe::{Busy, Capacity, Observed};
use headroom_core::platform::{Mode, Resource};
use headroom_core::units::Units;

use super::{Capacities, Target, count, every, only, units};
use crate::error::{AwsError, ErrorKind};

/// Streams are described one by one, and an account may do that 20 times a second. An answer takes some tens of milliseconds.
const DESCRIBES_AT_ONCE: usize = 2;

pub(super) async fn observe(client: &Client, targets: &[Target<'_>]) -> Capacities {
    let each: Vec<_> = targets.iter().map(|target| see(client, target.resource)).collect();
    let seen: Vec<Vec<_>> = stream::iter(each).buffer_unordered(DESCRIBES_AT_ONCE).collect().await;
    seen.into_iter().flatten().collect()
}

async fn see(client: &Client, resource: &Resource) -> Vec<(DimensionKey, Observed<Capacity>)> {
    let name = &resource.name;
    let seen = match describe(client, name).await {
        Ok(stream) if is_on_demand(&stream) => {
            Observed::Unknown(format!("stream {name} is on demand: AWS scales it by itself"))
        }
        Ok(stream) => Observed::Known(capacity(&stream)),
        Err(error) if error.kind == ErrorKind::NotFound => {
            Observed::Unknown(format!("there is no stream {name}"))
        }
        Err(error) => Observed::Unknown(error.to_string()),
    };
    every(resource, &seen)
}

async fn describe(client: &Client, name: &str) -> Result<StreamDescriptionSummary, AwsError> {
    let doing = || format!("describe stream {name}");
    let answer = client.describe_stream_summary().stream_name(name).send().await;
    let answer = answer.map_err(|error| AwsError::of(error, doing()))?;
    let stream = answer.stream_description_summary;
    stream.ok_or_else(|| AwsError::new(ErrorKind::NotFound, doing(), "it does not exist"))
}

fn is_on_demand(stream: &StreamDescriptionSummary) -> bool {
    stream.stream_mode_details().is_some_and(|details| *details.stream_mode() == StreamMode::OnDemand)
}

/// While shards are split and merged, those that are open are neither the number from before nor the one that is wanted.
/// AWS takes no other change until it is done, and of each at most to double and at least to half.
fn capacity(stream: &StreamDescriptionSummary) -> Capacity {
    let open = units(stream.open_shard_count());
    let status = stream.stream_status();
    Capacity {
        mode: Mode::Desired,
        set: open,
        ready: open,
        busy: (*status != StreamStatus::Active)
            .then(|| Busy::Locked(format!("the stream is {}", status.as_str()))),
        aws_min: Some(Units(open.0.div_ceil(2))),
        aws_max: Some(Units(open.0.saturating_mul(2))),
        ..Capacity::default()
    }
}

pub(super) async fn set(
    client: &Client,
    resource: &Resource,
    targets: &BTreeMap<DimensionKey, Units>,
) -> Result<(), AwsError> {
    let target = only(targets)?;
    let doing = format!("set the shards of stream {} to {target}", resource.name);
    let request = client
        .update_shard_count()
        .stream_name(&resource.name)
        .scaling_type(ScalingType::UniformScaling)
        .target_shard_count(count(target));
    let sent = request.customize().config_override(once!(aws_sdk_kinesis)).send().await;
    sent.map(drop).map_err(|error| counted_out(AwsError::of(error, doing)))
}

/// Kinesis has one code for every limit. What it says of shards names them; what is left are the changes that it counts over
/// 24 hours.
fn counted_out(error: AwsError) -> AwsError {
    let said = error.said.to_lowercase();
    let of_shards = said.contains("shard limit") || said.contains("cannot scale");
    let kind = match error.kind {
        ErrorKind::Limit if !of_shards => ErrorKind::DecreaseLimit,
        kind => kind,
    };
    AwsError { kind, ..error }
}

#[cfg(test)]
mod tests {
    use aws_sdk_kinesis::error::ErrorMetadata;
    use aws_sdk_kinesis::operation::describe_stream_summary::{
        DescribeStreamSummaryError, DescribeStreamSummaryOutput,
    };
    use aws_sdk_kinesis::operation::update_shard_count::{UpdateShardCountError, UpdateShardCountOutput};
    use aws_sdk_kinesis::primitives::DateTime;
    use aws_sdk_kinesis::types::StreamModeDetails;
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};

    use super::super::testing::{platform, target, units_of};
    use super::*;

    const STREAM: &str = "{type: KINESIS_STREAM, name: clicks, min_capacity: 2, max_capacity: 64}";

    fn stream(shards: i32, status: StreamStatus, mode: StreamMode) -> StreamDescriptionSummary {
        StreamDescriptionSummary::builder()
            .stream_name("clicks")
            .stream_arn("arn:aws:kinesis:us-east-1:123456789012:stream/clicks")
            .stream_status(status)
            .stream_mode_details(StreamModeDetails::builder().stream_mode(mode).build().unwrap())
            .retention_period_hours(24)
            .stream_creation_timestamp(DateTime::from_secs(0))
            .set_enhanced_monitoring(Some(Vec::new()))
            .open_shard_count(shards)
            .build()
            .unwrap()
    }

    fn describes(stream: StreamDescriptionSummary) -> Rule {
        mock!(Client::describe_stream_summary)
            .match_requests(|request| request.stream_name() == Some("clicks"))
            .then_output(move || {
                let output = DescribeStreamSummaryOutput::builder();
                output.stream_description_summary(stream.clone()).build()
            })
    }

    async fn seen(rule: &Rule) -> Observed<Capacity> {
        let client = mock_client!(aws_sdk_kinesis, RuleMode::MatchAny, [rule]);
        let platform = platform(STREAM);
        let observed = observe(&client, &[target(&platform, Mode::Desired)]).await;
        observed[&"clicks/shards".parse::<DimensionKey>().unwrap()].clone()
    }

    #[tokio::test]
    async fn open_shards_are_seen_and_go_to_double_or_half() {
        let seen = seen(&describes(stream(5, StreamStatus::Active, StreamMode::Provisioned))).await;
        let capacity = seen.known().unwrap();
        assert_eq!((capacity.set, capacity.ready, &capacity.busy), (Units(5), Units(5), &None));
        assert_eq!((capacity.aws_min, capacity.aws_max), (Some(Units(3)), Some(Units(10))));
    }

    #[tokio::test]
    async fn a_stream_that_is_updated_takes_no_change() {
        let seen = seen(&describes(stream(7, StreamStatus::Updating, StreamMode::Provisioned))).await;
        let busy = seen.known().unwrap().busy.clone();
        assert_eq!(busy, Some(Busy::Locked("the stream is UPDATING".into())));
    }

    #[tokio::test]
    async fn streams_on_demand_are_left_alone() {
        let observed = seen(&describes(stream(4, StreamStatus::Active, StreamMode::OnDemand))).await;
        let why = "stream clicks is on demand: AWS scales it by itself";
        assert_eq!(observed, Observed::Unknown(why.into()));
    }

    #[tokio::test]
    async fn a_stream_that_is_gone_or_may_not_be_seen_is_unknown() {
        for (code, why) in [
            ("ResourceNotFoundException", "there is no stream clicks"),
            ("AccessDeniedException", "could not describe stream clicks: AccessDeniedException"),
        ] {
            let rule = mock!(Client::describe_stream_summary).then_error(move || {
                DescribeStreamSummaryError::generic(ErrorMetadata::builder().code(code).build())
            });
            let seen = seen(&rule).await;
            assert!(matches!(&seen, Observed::Unknown(said) if said.starts_with(why)), "{seen:?}");
        }
    }

    #[tokio::test]
    async fn shards_are_set_absolutely_and_evenly() {
        let update = mock!(Client::update_shard_count)
            .match_requests(|request| {
                request.stream_name() == Some("clicks")
                    && request.target_shard_count() == Some(8)
                    && request.scaling_type() == Some(&ScalingType::UniformScaling)
            })
            .then_output(|| UpdateShardCountOutput::builder().build());
        let client = mock_client!(aws_sdk_kinesis, RuleMode::MatchAny, [&update]);
        let platform = platform(STREAM);
        let resource = platform.resources().next().unwrap().1;
        set(&client, resource, &units_of(&[("clicks/shards", 8)])).await.unwrap();
        assert_eq!(update.num_calls(), 1);
    }

    #[tokio::test]
    async fn refusals_are_told_apart_and_no_call_is_sent_twice() {
        let double = "UpdateShardCount cannot scale up over double your current open shard count. \
                      Current open shard count: 2 Target shard count: 8";
        let account = "This request would exceed the shard limit for the account 123456789012 in us-east-1. Limit: 500.";
        let rate = "Rate exceeded for stream clicks under account 123456789012.";
        for (code, message, kind) in [
            ("ResourceInUseException", "Stream clicks under account 1 not ACTIVE", ErrorKind::Stale),
            ("LimitExceededException", "ten times in 24 hours", ErrorKind::DecreaseLimit),
            ("LimitExceededException", double, ErrorKind::Limit),
            ("LimitExceededException", account, ErrorKind::Limit),
            ("LimitExceededException", rate, ErrorKind::Throttled),
            ("InternalFailure", "", ErrorKind::Unavailable),
            ("ValidationException", "on-demand", ErrorKind::Invalid),
        ] {
            let update = mock!(Client::update_shard_count).then_error(move || {
                UpdateShardCountError::generic(ErrorMetadata::builder().code(code).message(message).build())
            });
            let client = mock_client!(aws_sdk_kinesis, RuleMode::MatchAny, [&update]);
            let platform = platform(STREAM);
            let resource = platform.resources().next().unwrap().1;
            let error = set(&client, resource, &units_of(&[("clicks/shards", 8)])).await.unwrap_err();
            assert_eq!((error.kind, update.num_calls()), (kind, 1), "{message}");
        }
    }
}
