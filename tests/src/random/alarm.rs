//! Whether a platform that stops for a person says so: by a notice to the stack's topic, and by the alarm of the template.

use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StateValue};
use headroom_aws::sdk::Aws;
use headroom_core::name::CycleId;
use serde_json::{Value as Json, json};

use crate::Result;
use crate::deploy::{aws, output};
use crate::deployment::Deployment;
use crate::server::{ACCOUNT, REGION, Server};

/// What was raised for a cycle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Raised {
    /// The alarm `needs-human` of the stack is on.
    pub alarm: bool,
    /// A notice about the cycle was sent.
    pub notice: bool,
}

/// A queue that listens to the topic of a stack, as the person on call would.
#[derive(Clone, Debug)]
pub(crate) struct Listener {
    queue: String,
}

/// Longer than any run: what was read once is not told again.
const SEEN_FOR_S: &str = "43200";

impl Listener {
    /// Begins to listen.
    pub(crate) async fn new(server: &Server, deployment: &Deployment) -> Result<Listener> {
        let name = format!("{}-on-call", deployment.shop.name);
        let arn = format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}");
        let topic = output(server, &format!("headroom-{}", deployment.shop.name), "TopicArn").await?;
        let statement = json!({"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage", "Resource": arn});
        let policy = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
        let attributes = json!({"Policy": policy}).to_string();
        let create = ["create-queue", "--queue-name", &name, "--attributes", &attributes];
        let created: Json = serde_json::from_str(&sqs(server, &create).await?)?;
        let queue = created.get("QueueUrl").and_then(Json::as_str).ok_or("the queue has no address")?;
        let subscribe = ["sns", "subscribe", "--topic-arn", &topic, "--protocol", "sqs"];
        aws(server, &[&subscribe[..], &["--notification-endpoint", &arn]].concat()).await?;
        Ok(Listener { queue: queue.to_owned() })
    }

    /// What was raised for a cycle.
    pub(crate) async fn raised(
        &self,
        server: &Server,
        deployment: &Deployment,
        cycle: &CycleId,
    ) -> Result<Raised> {
        if let Some(figures) = figures(server, deployment, cycle).await? {
            publish(&deployment.aws, &figures).await?;
        }
        Ok(Raised { alarm: is_on(deployment).await?, notice: self.heard_of(server, cycle).await? })
    }

    /// The alarm ends, as it does in AWS within a minute of the cycle that says that nobody need look.
    pub(crate) async fn end_alarm(&self, deployment: &Deployment) -> Result<()> {
        let end = deployment.aws.cloudwatch().set_alarm_state().alarm_name(name(deployment));
        end.state_value(StateValue::Ok).state_reason("a person has looked").send().await?;
        Ok(())
    }

    async fn heard_of(&self, server: &Server, cycle: &CycleId) -> Result<bool> {
        loop {
            let receive = ["receive-message", "--queue-url", &self.queue, "--max-number-of-messages", "10"];
            let told = sqs(server, &[&receive[..], &["--visibility-timeout", SEEN_FOR_S]].concat()).await?;
            if told.contains(&cycle.0) {
                return Ok(true);
            }
            if told.trim().is_empty() {
                return Ok(false);
            }
        }
    }
}

/// The AWS CLI on queues, for which it does not heed the variable that says where AWS is.
async fn sqs(server: &Server, arguments: &[&str]) -> Result<String> {
    aws(server, &[&["sqs", "--endpoint-url", &server.endpoint], arguments].concat()).await
}

/// The figures that settle has written to its log for a cycle, from which CloudWatch makes metrics. The local AWS does not.
async fn figures(server: &Server, deployment: &Deployment, cycle: &CycleId) -> Result<Option<Json>> {
    let group = format!("/headroom/{}/execute", deployment.shop.name);
    let told = aws(server, &["logs", "filter-log-events", "--log-group-name", &group]).await?;
    let told: Json = serde_json::from_str(&told)?;
    let events = told.get("events").and_then(Json::as_array).into_iter().flatten();
    let lines = events.filter_map(|event| event.get("message")?.as_str());
    let figures = lines.filter_map(|line| serde_json::from_str::<Json>(line).ok());
    let is_of_cycle = |line: &Json| {
        line.get("_aws").is_some() && line.get("Cycle").and_then(Json::as_str) == Some(cycle.0.as_str())
    };
    let mut of_cycle: Vec<Json> = figures.filter(is_of_cycle).collect();
    Ok(of_cycle.pop())
}

/// Publishes figures as CloudWatch does: each metric that the line's directive names, by the dimension that it names.
async fn publish(aws: &Aws, figures: &Json) -> Result<()> {
    let directive = figures.pointer("/_aws/CloudWatchMetrics/0").ok_or("the figures have no directive")?;
    let namespace = directive.get("Namespace").and_then(Json::as_str).unwrap_or_default();
    let by = directive.pointer("/Dimensions/0/0").and_then(Json::as_str).unwrap_or_default();
    let value = figures.get(by).and_then(Json::as_str).unwrap_or_default();
    let dimension = Dimension::builder().name(by).value(value).build();
    let names = directive.get("Metrics").and_then(Json::as_array).into_iter().flatten();
    let datum = |name: &Json| {
        let name = name.get("Name")?.as_str()?;
        let value = figures.get(name)?.as_f64()?;
        Some(MetricDatum::builder().metric_name(name).dimensions(dimension.clone()).value(value).build())
    };
    let datums: Vec<MetricDatum> = names.filter_map(datum).collect();
    let put = aws.cloudwatch().put_metric_data().namespace(namespace).set_metric_data(Some(datums));
    put.send().await?;
    Ok(())
}

async fn is_on(deployment: &Deployment) -> Result<bool> {
    let described =
        deployment.aws.cloudwatch().describe_alarms().alarm_names(name(deployment)).send().await?;
    Ok(described.metric_alarms().iter().any(|alarm| alarm.state_value() == Some(&StateValue::Alarm)))
}

fn name(deployment: &Deployment) -> String {
    format!("headroom/{}/needs-human", deployment.shop.name)
}
