//! Lambda functions with provisioned concurrency, what they are given, and what invokes them.

use aws_sdk_lambda::Client;
use aws_sdk_lambda::operation::get_function::GetFunctionOutput;
use headroom_core::adopt::inventory::{CapacityKey, Found, FoundCapacity, Setting, Use};
use headroom_core::adopt::price;
use headroom_core::resource::ResourceKind;

use super::{PAGES_MAX, Seen, Selection};
use crate::error::{AwsError, ErrorKind};

pub(super) async fn read(client: &Client, selection: &Selection) -> Seen {
    let mut seen = Seen::default();
    for name in selection.with_named(&selection.functions) {
        match function(client, name).await {
            Ok(function) => add(client, &mut seen, name, &function).await,
            Err(error) if error.kind == ErrorKind::NotFound && selection.named.contains(name) => (),
            Err(error) if error.kind == ErrorKind::NotFound => {
                seen.left_out(format!("the function {name}"), "it is not there");
            }
            Err(error) => seen.not_seen(&format!("the function {name}"), &error),
        }
    }
    seen
}

async fn function(client: &Client, name: &str) -> Result<GetFunctionOutput, AwsError> {
    let answer = client.get_function().function_name(name).send().await;
    answer.map_err(|error| AwsError::of(error, format!("get the function {name}")))
}

async fn add(client: &Client, seen: &mut Seen, name: &str, function: &GetFunctionOutput) {
    let Some(configuration) = function.configuration() else { return };
    let Some(arn) = configuration.function_arn() else { return };
    let what = format!("provisioned concurrency of the function {name}");
    let answer = provisioned(client, name).await;
    let is_seen = answer.is_ok();
    let provisioned = seen.or_gap(&what, answer);
    if provisioned.is_empty() {
        if is_seen {
            let why = "no alias or version of it has provisioned concurrency";
            seen.left_out(format!("the function {name}"), why);
        }
        return;
    }
    seen.handle(arn, Some(name), format_args!("the name of the function {name}"));
    seen.handle(arn, Some(arn), format_args!("the ARN of the function {name}"));
    settings(seen, arn, name, function);
    let qualified = provisioned.iter().map(|(qualifier, _)| format!("{name}:{qualifier}"));
    for invoked in [name.to_owned()].into_iter().chain(qualified) {
        let what = format!("what invokes {invoked}");
        let sources = seen.or_gap(&what, sources(client, &invoked).await);
        seen.inventory.uses.extend(sources.iter().map(|source| reads(arn, source)));
    }
    let memory = configuration.memory_size().and_then(|memory| u32::try_from(memory).ok());
    for (qualifier, now) in provisioned {
        let at = CapacityKey::Range("provisioned_concurrency");
        seen.found(Found {
            within: Some(("qualifier", qualifier)),
            tags: function.tags().cloned().unwrap_or_default().into_iter().collect(),
            capacities: vec![FoundCapacity::new(at, "provisioned executions", now)],
            price: memory.map(price::provisioned_execution),
            ..Found::new(ResourceKind::LambdaFunction, name, arn)
        });
    }
}

/// Aliases and versions with the concurrency that was asked for.
async fn provisioned(client: &Client, name: &str) -> Result<Vec<(String, f64)>, AwsError> {
    let doing = || format!("list the provisioned concurrency of {name}");
    let (mut found, mut next) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let asked = client.list_provisioned_concurrency_configs().function_name(name).set_marker(next);
        let answer = asked.send().await.map_err(|error| AwsError::of(error, doing()))?;
        found.extend(answer.provisioned_concurrency_configs().iter().filter_map(|one| {
            let qualifier = one.function_arn()?.rsplit(':').next()?;
            let asked = one.requested_provisioned_concurrent_executions().unwrap_or(0);
            Some((qualifier.to_owned(), f64::from(asked)))
        }));
        next = answer.next_marker.filter(|marker| !marker.is_empty());
        if next.is_none() {
            return Ok(found);
        }
    }
    Err(AwsError::new(ErrorKind::Limit, doing(), format!("more than {PAGES_MAX} pages")))
}

fn settings(seen: &mut Seen, arn: &str, name: &str, function: &GetFunctionOutput) {
    let environment = function.configuration().and_then(|configuration| configuration.environment());
    if let Some(error) = environment.and_then(|environment| environment.error()) {
        let said = error.message().unwrap_or("no reason given");
        seen.inventory.not_seen.push(format!("the variables of the function {name}: {said}"));
    }
    let variables = environment.and_then(|environment| environment.variables()).cloned().unwrap_or_default();
    // In the order of their names, so that the same account gives the same file.
    let variables: std::collections::BTreeMap<String, String> = variables.into_iter().collect();
    seen.inventory.settings.extend(variables.into_iter().map(|(variable, value)| Setting {
        of: arn.to_owned(),
        variable,
        value,
    }));
}

/// The ARNs of what a function reads records or messages of.
async fn sources(client: &Client, name: &str) -> Result<Vec<String>, AwsError> {
    let doing = || format!("list the event sources of {name}");
    let (mut found, mut next) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let asked = client.list_event_source_mappings().function_name(name).set_marker(next);
        let answer = asked.send().await.map_err(|error| AwsError::of(error, doing()))?;
        let mappings = answer.event_source_mappings().iter();
        found.extend(mappings.filter_map(|mapping| mapping.event_source_arn().map(str::to_owned)));
        next = answer.next_marker.filter(|marker| !marker.is_empty());
        if next.is_none() {
            return Ok(found);
        }
    }
    Err(AwsError::new(ErrorKind::Limit, doing(), format!("more than {PAGES_MAX} pages")))
}

/// A function uses what it reads. The stream of a table, and a consumer of a stream, belong to the table and the stream.
fn reads(function: &str, source: &str) -> Use {
    let stream_of_table = source.split_once("/stream/").filter(|(table, _)| table.contains(":table/"));
    let consumer = source.split_once("/consumer/");
    let of = stream_of_table.or(consumer).map_or(source, |(owner, _)| owner);
    let evidence = match stream_of_table {
        Some(_) => "reads the changes of {of} (event source mapping)",
        None => "reads the records of {of} (event source mapping)",
    };
    Use { by: function.to_owned(), of: of.to_owned(), evidence: evidence.to_owned() }
}

#[cfg(test)]
mod tests {
    use aws_sdk_lambda::operation::list_event_source_mappings::ListEventSourceMappingsOutput;
    use aws_sdk_lambda::operation::list_provisioned_concurrency_configs::ListProvisionedConcurrencyConfigsOutput;
    use aws_sdk_lambda::types::{
        EnvironmentResponse, EventSourceMappingConfiguration, FunctionConfiguration,
        ProvisionedConcurrencyConfigListItem,
    };
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};

    use super::*;

    async fn seen(provisioned: &[i32]) -> Seen {
        let function = mock!(Client::get_function).then_output(|| {
            let environment = EnvironmentResponse::builder().variables("TABLE", "orders").build();
            let configuration = FunctionConfiguration::builder()
                .function_arn("arn:aws:lambda:x:1:function:score")
                .memory_size(512)
                .environment(environment)
                .build();
            GetFunctionOutput::builder().configuration(configuration).tags("app", "shop").build()
        });
        let configs: Vec<ProvisionedConcurrencyConfigListItem> = provisioned
            .iter()
            .map(|asked| {
                ProvisionedConcurrencyConfigListItem::builder()
                    .function_arn("arn:aws:lambda:x:1:function:score:live")
                    .requested_provisioned_concurrent_executions(*asked)
                    .build()
            })
            .collect();
        let configs = mock!(Client::list_provisioned_concurrency_configs).then_output(move || {
            ListProvisionedConcurrencyConfigsOutput::builder()
                .set_provisioned_concurrency_configs(Some(configs.clone()))
                .build()
        });
        let sources = mock!(Client::list_event_source_mappings)
            .match_requests(|asked| asked.function_name() == Some("score:live"))
            .then_output(|| {
                let mapping = EventSourceMappingConfiguration::builder();
                let mapping = mapping.event_source_arn("arn:aws:kinesis:x:1:stream/clicks").build();
                ListEventSourceMappingsOutput::builder().event_source_mappings(mapping).build()
            });
        let none = mock!(Client::list_event_source_mappings)
            .then_output(|| ListEventSourceMappingsOutput::builder().build());
        let rules: [&Rule; 4] = [&function, &configs, &sources, &none];
        let client = mock_client!(aws_sdk_lambda, RuleMode::MatchAny, &rules);
        read(&client, &Selection { functions: ["score".to_owned()].into(), ..Selection::default() }).await
    }

    #[tokio::test]
    async fn an_alias_with_provisioned_concurrency_is_found_with_what_it_reads() {
        let seen = seen(&[4]).await;
        let [score] = seen.inventory.found.as_slice() else { panic!("{seen:?}") };
        assert_eq!(score.within, Some(("qualifier", "live".to_owned())));
        assert_eq!((score.capacities[0].now, score.tags["app"].as_str()), (4.0, "shop"));
        assert_eq!(score.price.as_ref().unwrap().0, 0.0075);
        assert_eq!(seen.inventory.settings[0].variable, "TABLE");
        let [used] = seen.inventory.uses.as_slice() else { panic!("{seen:?}") };
        assert_eq!(used.of, "arn:aws:kinesis:x:1:stream/clicks");
    }

    #[tokio::test]
    async fn a_function_without_provisioned_concurrency_is_left_out() {
        let seen = seen(&[]).await;
        assert!(seen.inventory.found.is_empty());
        assert_eq!(seen.inventory.left_out[0].what, "the function score");
    }

    #[test]
    fn streams_of_tables_and_consumers_belong_to_their_owners() {
        let of = |source| reads("f", source).of;
        assert_eq!(of("arn:aws:dynamodb:x:1:table/orders/stream/2026"), "arn:aws:dynamodb:x:1:table/orders");
        assert_eq!(of("arn:aws:kinesis:x:1:stream/clicks/consumer/c:1"), "arn:aws:kinesis:x:1:stream/clicks");
        assert_eq!(of("arn:aws:sqs:x:1:jobs"), "arn:aws:sqs:x:1:jobs");
    }
}
