//! Notices to people, through SNS.

use std::future::Future;

use aws_sdk_sns::Client;
use headroom_core::report::Notice;
use serde_json::{Value as Json, json};

use crate::error::AwsError;

/// SNS takes subjects of less than 100 characters.
const SUBJECT_LETTERS_MAX: usize = 99;
/// What a subject is made of when nothing of it can be told.
const SUBJECT_DEFAULT: &str = "Headroom";

/// Something that tells people.
pub trait Notices: Send + Sync {
    /// Tells whoever listens to a topic.
    fn tell(&self, topic: &str, notice: &Notice) -> impl Future<Output = Result<(), AwsError>> + Send;
}

/// SNS.
#[derive(Clone, Debug)]
pub struct Sns {
    client: Client,
}

impl Sns {
    /// Notices through a client.
    pub fn new(client: &Client) -> Sns {
        Sns { client: client.clone() }
    }
}

impl Notices for Sns {
    async fn tell(&self, topic: &str, notice: &Notice) -> Result<(), AwsError> {
        let publish = self.client.publish().topic_arn(topic).subject(accepted(&notice.subject));
        // SNS hands each protocol its own message: SNS API reference, Publish, MessageStructure.
        let publish = publish.message_structure("json").message(messages(notice).to_string());
        publish.send().await.map(drop).map_err(|error| AwsError::of(error, format!("publish to {topic}")))
    }
}

/// The message of each protocol. Chat tools listen by HTTPS; queues and functions are programs.
fn messages(notice: &Notice) -> Json {
    let chat = notice.chat.to_string();
    json!({"default": format!("{:#}", notice.record), "email": notice.text, "http": chat, "https": chat})
}

/// A subject as SNS accepts it: printable ASCII that begins with a letter, a digit or punctuation.
fn accepted(subject: &str) -> String {
    let printable = subject.chars().map(|letter| if letter.is_whitespace() { ' ' } else { letter });
    let printable = printable.filter(|letter| *letter == ' ' || letter.is_ascii_graphic());
    let accepted: String = printable.skip_while(|letter| *letter == ' ').take(SUBJECT_LETTERS_MAX).collect();
    if accepted.is_empty() { SUBJECT_DEFAULT.to_owned() } else { accepted }
}

/// Notices in memory, for tests of handlers. Clones share what was told.
#[cfg(any(test, feature = "fakes"))]
#[derive(Clone, Debug, Default)]
pub struct MemoryNotices(pub std::sync::Arc<std::sync::Mutex<Vec<String>>>);

#[cfg(any(test, feature = "fakes"))]
impl Notices for MemoryNotices {
    async fn tell(&self, _: &str, notice: &Notice) -> Result<(), AwsError> {
        let told = format!("{}: {}", notice.subject, notice.record);
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(told);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_sns::operation::publish::PublishOutput;
    use aws_smithy_mocks::{RuleMode, mock, mock_client};

    use super::*;

    fn notice(subject: &str) -> Notice {
        let (record, chat) = (json!({"outcome": "failed"}), json!({"source": "custom"}));
        Notice { subject: subject.to_owned(), text: "What happened".to_owned(), record, chat }
    }

    #[tokio::test]
    async fn every_protocol_has_the_message_that_its_readers_take() {
        let publish = mock!(Client::publish)
            .match_requests(|request| {
                let messages: Json = serde_json::from_str(request.message().unwrap()).unwrap();
                let read =
                    |protocol: &str| serde_json::from_str::<Json>(messages[protocol].as_str().unwrap());
                request.message_structure() == Some("json")
                    && messages["email"] == "What happened"
                    && read("default").unwrap()["outcome"] == "failed"
                    && ["http", "https"].iter().all(|protocol| read(protocol).unwrap()["source"] == "custom")
            })
            .then_output(|| PublishOutput::builder().build());
        let sns = Sns::new(&mock_client!(aws_sdk_sns, RuleMode::MatchAny, [&publish]));
        sns.tell("topic", &notice("it")).await.unwrap();
        assert_eq!(publish.num_calls(), 1);
    }

    async fn check(subject: &str, expected: &str) {
        let expected = expected.to_owned();
        let publish = mock!(Client::publish)
            .match_requests(move |request| request.subject() == Some(&expected))
            .then_output(|| PublishOutput::builder().build());
        let sns = Sns::new(&mock_client!(aws_sdk_sns, RuleMode::MatchAny, [&publish]));
        sns.tell("topic", &notice(subject)).await.unwrap();
        assert_eq!(publish.num_calls(), 1, "{subject}");
    }

    #[tokio::test]
    async fn subjects_are_such_as_sns_accepts() {
        check("Headroom shop: failed", "Headroom shop: failed").await;
        check(&"x".repeat(120), &"x".repeat(99)).await;
        check("\n\t a\r\nb \u{7f}\u{e4}c", "a  b c").await;
        check("\u{1f6a8}", "Headroom").await;
        check("", "Headroom").await;
    }
}
