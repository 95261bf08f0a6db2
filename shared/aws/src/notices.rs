//! Notices to people, through SNS.

use std::future::Future;

use aws_sdk_sns::Client;

use crate::error::AwsError;

/// SNS refuses longer subjects, and line breaks in them.
const SUBJECT_LETTERS_MAX: usize = 100;

/// Something that tells people.
pub trait Notices: Send + Sync {
    /// Tells whoever listens to a topic.
    fn tell(
        &self,
        topic: &str,
        subject: &str,
        text: &str,
    ) -> impl Future<Output = Result<(), AwsError>> + Send;
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
    async fn tell(&self, topic: &str, subject: &str, text: &str) -> Result<(), AwsError> {
        let letters = subject.chars().filter(|letter| letter.is_ascii() && !letter.is_ascii_control());
        let subject: String = letters.take(SUBJECT_LETTERS_MAX).collect();
        let publish = self.client.publish().topic_arn(topic).subject(subject).message(text);
        publish.send().await.map(drop).map_err(|error| AwsError::of(error, format!("publish to {topic}")))
    }
}

/// Notices in memory, for tests of handlers. Clones share what was told.
#[cfg(any(test, feature = "fakes"))]
#[derive(Clone, Debug, Default)]
pub struct MemoryNotices(pub std::sync::Arc<std::sync::Mutex<Vec<String>>>);

#[cfg(any(test, feature = "fakes"))]
impl Notices for MemoryNotices {
    async fn tell(&self, _: &str, subject: &str, text: &str) -> Result<(), AwsError> {
        let told = format!("{subject}: {text}");
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(told);
        Ok(())
    }
}
