//! Where a platform's configuration is kept: in a parameter, or, when it is larger than one, in S3 with a parameter
//! that points there.

use std::future::Future;

use aws_sdk_ssm::types::{ParameterTier, ParameterType};
use headroom_core::config::FILE_BYTES_MAX;
use headroom_core::name::PlatformName;

use crate::error::{AwsError, ErrorKind};
use crate::sdk::Aws;

/// A parameter holds so much in the larger of its tiers.
const PARAMETER_BYTES_MAX: usize = 8_192;

/// The parameter of a platform.
pub fn parameter_name(platform: &PlatformName) -> String {
    format!("/headroom/{platform}")
}

/// A source of configurations.
pub trait ConfigSource: Send + Sync {
    /// The text of a platform's configuration.
    fn load(&self, platform: &PlatformName) -> impl Future<Output = Result<String, AwsError>> + Send;
}

/// Parameter Store, and S3 behind it.
#[derive(Clone, Debug)]
pub struct ParameterStore {
    ssm: aws_sdk_ssm::Client,
    s3: aws_sdk_s3::Client,
}

/// Where a configuration was put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// In the parameter itself.
    Parameter(String),
    /// In S3, with the parameter pointing there.
    Object {
        /// The parameter.
        parameter: String,
        /// The object.
        url: String,
    },
}

impl ParameterStore {
    /// The Parameter Store of an account.
    pub fn new(aws: &Aws) -> ParameterStore {
        ParameterStore { ssm: aws.ssm(), s3: aws.s3() }
    }

    /// Puts a configuration where functions find it. Above what a parameter holds it goes to `bucket`.
    ///
    /// # Errors
    /// When a call fails, or the text is too large and there is no bucket.
    pub async fn publish(
        &self,
        platform: &PlatformName,
        text: &str,
        bucket: Option<&str>,
    ) -> Result<Published, AwsError> {
        let parameter = parameter_name(platform);
        if text.len() <= PARAMETER_BYTES_MAX {
            self.put_parameter(&parameter, text).await?;
            return Ok(Published::Parameter(parameter));
        }
        let Some(bucket) = bucket else {
            let said = format!(
                "it has {} bytes, a parameter holds {PARAMETER_BYTES_MAX}; name a bucket",
                text.len()
            );
            return Err(AwsError::new(ErrorKind::Limit, format!("put parameter {parameter}"), said));
        };
        let key = format!("headroom/{platform}.yaml");
        let url = format!("s3://{bucket}/{key}");
        let body = text.as_bytes().to_vec().into();
        let put =
            self.s3.put_object().bucket(bucket).key(&key).content_type("application/yaml").body(body).send();
        put.await.map_err(|error| AwsError::of(error, format!("put {url}")))?;
        self.put_parameter(&parameter, &url).await?;
        Ok(Published::Object { parameter, url })
    }

    /// AWS picks the tier. Named by us it would be wrong for a file that has been larger: a parameter that is advanced
    /// stays so, and a request to make it a standard one is refused.
    async fn put_parameter(&self, name: &str, value: &str) -> Result<(), AwsError> {
        let put = self.ssm.put_parameter().name(name).value(value).r#type(ParameterType::String);
        let put = put.tier(ParameterTier::IntelligentTiering).overwrite(true).send().await;
        put.map(drop).map_err(|error| AwsError::of(error, format!("put parameter {name}")))
    }

    async fn object(&self, url: &str) -> Result<String, AwsError> {
        let doing = || format!("read {url}");
        let place = url.strip_prefix("s3://").and_then(|place| place.split_once('/'));
        let (bucket, key) =
            place.ok_or_else(|| AwsError::new(ErrorKind::Invalid, doing(), "it is not s3://BUCKET/KEY"))?;
        let object = self.s3.get_object().bucket(bucket).key(key).send().await;
        let object = object.map_err(|error| AwsError::of(error, doing()))?;
        if object.content_length().is_some_and(|length| usize::try_from(length).unwrap_or(0) > FILE_BYTES_MAX)
        {
            return Err(AwsError::new(
                ErrorKind::Limit,
                doing(),
                format!("it is larger than {FILE_BYTES_MAX} bytes"),
            ));
        }
        let bytes = object.body.collect().await;
        let bytes =
            bytes.map_err(|error| AwsError::new(ErrorKind::Unavailable, doing(), error.to_string()))?;
        String::from_utf8(bytes.to_vec())
            .map_err(|_| AwsError::new(ErrorKind::Invalid, doing(), "it is not UTF-8 text"))
    }
}

impl ConfigSource for ParameterStore {
    async fn load(&self, platform: &PlatformName) -> Result<String, AwsError> {
        let name = parameter_name(platform);
        let doing = || format!("read parameter {name}");
        let answer = self.ssm.get_parameter().name(&name).with_decryption(true).send().await;
        let answer = answer.map_err(|error| AwsError::of(error, doing()))?;
        let value = answer.parameter.and_then(|parameter| parameter.value);
        let value = value.ok_or_else(|| AwsError::new(ErrorKind::NotFound, doing(), "it is empty"))?;
        let pointer = value.trim();
        if pointer.starts_with("s3://") { self.object(pointer).await } else { Ok(value) }
    }
}

/// Configurations in memory, for tests of handlers.
#[cfg(any(test, feature = "fakes"))]
#[derive(Clone, Debug, Default)]
pub struct MemoryConfigs(pub std::collections::BTreeMap<PlatformName, String>);

#[cfg(any(test, feature = "fakes"))]
impl ConfigSource for MemoryConfigs {
    async fn load(&self, platform: &PlatformName) -> Result<String, AwsError> {
        let text = self.0.get(platform).cloned();
        text.ok_or_else(|| {
            AwsError::new(
                ErrorKind::NotFound,
                format!("read parameter {}", parameter_name(platform)),
                "no such one",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use aws_sdk_s3::operation::get_object::GetObjectOutput;
    use aws_sdk_s3::operation::put_object::PutObjectOutput;
    use aws_sdk_ssm::operation::get_parameter::GetParameterOutput;
    use aws_sdk_ssm::operation::put_parameter::PutParameterOutput;
    use aws_sdk_ssm::types::Parameter;
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};

    use super::*;

    #[tokio::test]
    async fn a_pointer_is_followed_to_the_object() {
        let parameter = mock!(aws_sdk_ssm::Client::get_parameter)
            .match_requests(|request| request.name() == Some("/headroom/shop"))
            .then_output(|| {
                let pointer = Parameter::builder().value("s3://configs/headroom/shop.yaml\n").build();
                GetParameterOutput::builder().parameter(pointer).build()
            });
        let object = mock!(aws_sdk_s3::Client::get_object)
            .match_requests(|request| {
                (request.bucket(), request.key()) == (Some("configs"), Some("headroom/shop.yaml"))
            })
            .then_output(|| {
                GetObjectOutput::builder().body(b"configuration_name: shop".to_vec().into()).build()
            });
        let store = ParameterStore {
            ssm: mock_client!(aws_sdk_ssm, RuleMode::MatchAny, [&parameter]),
            s3: mock_client!(aws_sdk_s3, RuleMode::MatchAny, [&object]),
        };
        let text = store.load(&"shop".into()).await.unwrap();
        assert_eq!(text, "configuration_name: shop");
    }

    /// A Parameter Store that never makes an advanced parameter a standard one, and S3.
    fn store(puts: &Rule, object: &Rule) -> ParameterStore {
        ParameterStore {
            ssm: mock_client!(aws_sdk_ssm, RuleMode::MatchAny, [puts]),
            s3: mock_client!(aws_sdk_s3, RuleMode::MatchAny, [object]),
        }
    }

    fn any_object() -> Rule {
        mock!(aws_sdk_s3::Client::put_object).then_output(|| PutObjectOutput::builder().build())
    }

    #[tokio::test]
    async fn a_file_shrinks_and_grows_across_the_tiers_of_parameters() {
        // Parameter Store as it is: what was advanced once cannot become standard, and what is large is not standard.
        let advanced = AtomicBool::new(false);
        let puts = mock!(aws_sdk_ssm::Client::put_parameter)
            .match_requests(move |request| {
                let large = 4_096 < request.value().unwrap().len();
                let accepted = match request.tier() {
                    Some(ParameterTier::IntelligentTiering) => true,
                    Some(ParameterTier::Advanced) => true,
                    _ => !large && !advanced.load(Ordering::Relaxed),
                };
                advanced.fetch_or(large, Ordering::Relaxed);
                accepted
            })
            .then_output(|| PutParameterOutput::builder().build());
        let store = store(&puts, &any_object());
        for bytes in [4_096, 8_192, 4_096, 100, 4_097] {
            store.publish(&"shop".into(), &"x".repeat(bytes), None).await.unwrap();
        }
        store.publish(&"shop".into(), &"x".repeat(8_193), Some("configs")).await.unwrap();
        assert_eq!(puts.num_calls(), 6);
    }

    #[tokio::test]
    async fn the_size_says_where_it_goes() {
        let puts = mock!(aws_sdk_ssm::Client::put_parameter)
            .match_requests(|request| request.tier() == Some(&ParameterTier::IntelligentTiering))
            .then_output(|| PutParameterOutput::builder().build());
        let object = any_object();
        let store = store(&puts, &object);
        let parameter = || Published::Parameter("/headroom/shop".into());
        assert_eq!(store.publish(&"shop".into(), &"x".repeat(8_192), None).await.unwrap(), parameter());
        let large = "x".repeat(8_193);
        assert_eq!(store.publish(&"shop".into(), &large, None).await.unwrap_err().kind, ErrorKind::Limit);
        let published = store.publish(&"shop".into(), &large, Some("configs")).await.unwrap();
        assert!(
            matches!(published, Published::Object { url, .. } if url == "s3://configs/headroom/shop.yaml")
        );
        assert_eq!((puts.num_calls(), object.num_calls()), (2, 1));
    }
}
