//! Kinesis data streams in provisioned mode.

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::types::{StreamDescriptionSummary, StreamMode};
use headroom_core::adopt::inventory::{CapacityKey, Found, FoundCapacity};
use headroom_core::resource::ResourceKind;

use super::{Seen, Selection};
use crate::error::{AwsError, ErrorKind};

pub(super) async fn read(client: &Client, selection: &Selection) -> Seen {
    let mut seen = Seen::default();
    for name in selection.with_named(&selection.streams) {
        match describe(client, name).await {
            Ok(Some(stream)) => add(client, &mut seen, name, &stream).await,
            Ok(None) => (),
            Err(error) if error.kind == ErrorKind::NotFound && selection.named.contains(name) => (),
            Err(error) if error.kind == ErrorKind::NotFound => {
                seen.left_out(format!("the stream {name}"), "it is not there");
            }
            Err(error) => seen.not_seen(&format!("the stream {name}"), &error),
        }
    }
    seen
}

async fn describe(client: &Client, name: &str) -> Result<Option<StreamDescriptionSummary>, AwsError> {
    let answer = client.describe_stream_summary().stream_name(name).send().await;
    let answer = answer.map_err(|error| AwsError::of(error, format!("describe the stream {name}")))?;
    Ok(answer.stream_description_summary)
}

async fn add(client: &Client, seen: &mut Seen, name: &str, stream: &StreamDescriptionSummary) {
    let arn = stream.stream_arn();
    let mode = stream.stream_mode_details().map(|details| details.stream_mode());
    if mode == Some(&StreamMode::OnDemand) {
        return seen.left_out(format!("the stream {name}"), "it is on demand, and so has no shards to scale");
    }
    let tags = seen.or_gap(&format!("tags of the stream {name}"), tags(client, name).await);
    seen.handle(arn, Some(name), format_args!("the name of the stream {name}"));
    seen.handle(arn, Some(arn), format_args!("the ARN of the stream {name}"));
    let shards = FoundCapacity::new(CapacityKey::Plain, "shards", f64::from(stream.open_shard_count()));
    seen.found(Found {
        tags: tags.into_iter().collect(),
        capacities: vec![shards],
        ..Found::new(ResourceKind::KinesisStream, name, arn)
    });
}

async fn tags(client: &Client, name: &str) -> Result<Vec<(String, String)>, AwsError> {
    let answer = client.list_tags_for_stream().stream_name(name).send().await;
    let answer =
        answer.map_err(|error| AwsError::of(error, format!("list the tags of the stream {name}")))?;
    let tags = answer.tags().iter();
    Ok(tags.map(|tag| (tag.key().to_owned(), tag.value().unwrap_or_default().to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use aws_sdk_kinesis::operation::describe_stream_summary::DescribeStreamSummaryOutput;
    use aws_sdk_kinesis::operation::list_tags_for_stream::{ListTagsForStreamError, ListTagsForStreamOutput};
    use aws_sdk_kinesis::primitives::DateTime;
    use aws_sdk_kinesis::types::{StreamModeDetails, StreamStatus, Tag};
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
    use aws_smithy_types::error::ErrorMetadata;

    use super::*;

    async fn seen(mode: StreamMode, tags: Rule) -> Seen {
        let stream = mock!(Client::describe_stream_summary).then_output(move || {
            let mode = StreamModeDetails::builder().stream_mode(mode.clone()).build().unwrap();
            let stream = StreamDescriptionSummary::builder()
                .stream_name("clicks")
                .stream_arn("arn:clicks")
                .stream_status(StreamStatus::Active)
                .stream_mode_details(mode)
                .retention_period_hours(24)
                .stream_creation_timestamp(DateTime::from_secs(0))
                .enhanced_monitoring(aws_sdk_kinesis::types::EnhancedMetrics::builder().build())
                .open_shard_count(3)
                .build();
            DescribeStreamSummaryOutput::builder().stream_description_summary(stream.unwrap()).build()
        });
        let client = mock_client!(aws_sdk_kinesis, RuleMode::MatchAny, &[&stream, &tags]);
        read(&client, &Selection { streams: ["clicks".to_owned()].into(), ..Selection::default() }).await
    }

    #[tokio::test]
    async fn a_stream_is_found_with_its_shards_even_without_its_tags() {
        let tagged = mock!(Client::list_tags_for_stream).then_output(|| {
            let tag = Tag::builder().key("app").value("shop").build().unwrap();
            ListTagsForStreamOutput::builder().tags(tag).has_more_tags(false).build().unwrap()
        });
        let denied = mock!(Client::list_tags_for_stream).then_error(|| {
            ListTagsForStreamError::generic(ErrorMetadata::builder().code("AccessDeniedException").build())
        });
        let Seen { inventory, .. } = seen(StreamMode::Provisioned, tagged).await;
        assert_eq!((inventory.found[0].capacities[0].now, inventory.not_seen.len()), (3.0, 0));
        let Seen { inventory, .. } = seen(StreamMode::Provisioned, denied).await;
        assert_eq!((inventory.found.len(), inventory.not_seen.len()), (1, 1));
    }

    #[tokio::test]
    async fn a_stream_on_demand_is_left_out() {
        let none = mock!(Client::list_tags_for_stream)
            .then_output(|| ListTagsForStreamOutput::builder().has_more_tags(false).build().unwrap());
        let Seen { inventory, .. } = seen(StreamMode::OnDemand, none).await;
        assert_eq!((inventory.found.len(), inventory.left_out.len()), (0, 1));
    }
}
