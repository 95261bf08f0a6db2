//! Dashboards in CloudWatch.

use aws_sdk_cloudwatch::Client;
use serde_json::Value as Json;

use crate::error::{AwsError, ErrorKind};

/// Dashboards of an account.
#[derive(Clone, Debug)]
pub struct Dashboards {
    client: Client,
}

/// What publishing a dashboard did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// It was there already, exactly so.
    Unchanged,
    /// It is there now, with what CloudWatch remarked about it.
    Changed(Vec<String>),
}

impl Dashboards {
    /// Dashboards through a client.
    pub fn new(client: &Client) -> Dashboards {
        Dashboards { client: client.clone() }
    }

    /// The body of a dashboard; `None` if there is none of this name.
    ///
    /// # Errors
    /// When AWS does not answer, or its answer is no JSON.
    pub async fn get(&self, name: &str) -> Result<Option<Json>, AwsError> {
        let asked = self.client.get_dashboard().dashboard_name(name).send().await;
        match asked.map_err(|error| AwsError::of(error, format!("get dashboard {name}"))) {
            Ok(found) => Ok(found.dashboard_body().and_then(|body| serde_json::from_str(body).ok())),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a dashboard, or replaces it. Done again, it changes nothing.
    ///
    /// # Errors
    /// When AWS refuses it; the error says which part of the body.
    pub async fn put(&self, name: &str, body: &Json) -> Result<Put, AwsError> {
        if self.get(name).await?.as_ref() == Some(body) {
            return Ok(Put::Unchanged);
        }
        let put = self.client.put_dashboard().dashboard_name(name).dashboard_body(body.to_string());
        let put = put.send().await.map_err(|error| AwsError::of(error, format!("put dashboard {name}")))?;
        let remark = |remark: &aws_sdk_cloudwatch::types::DashboardValidationMessage| {
            format!("{}: {}", remark.data_path().unwrap_or("/"), remark.message().unwrap_or_default())
        };
        Ok(Put::Changed(put.dashboard_validation_messages().iter().map(remark).collect()))
    }

    /// Deletes a dashboard. False if there was none.
    ///
    /// # Errors
    /// When AWS does not answer or refuses.
    pub async fn remove(&self, name: &str) -> Result<bool, AwsError> {
        let removed = self.client.delete_dashboards().dashboard_names(name).send().await;
        match removed.map_err(|error| AwsError::of(error, format!("delete dashboard {name}"))) {
            Ok(_) => Ok(true),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudwatch::operation::get_dashboard::{GetDashboardError, GetDashboardOutput};
    use aws_sdk_cloudwatch::operation::put_dashboard::PutDashboardOutput;
    use aws_sdk_cloudwatch::types::DashboardValidationMessage;
    use aws_sdk_cloudwatch::types::error::DashboardNotFoundError;
    use aws_smithy_mocks::{RuleMode, mock, mock_client};
    use aws_smithy_types::error::ErrorMetadata;
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn what_is_there_already_is_not_put_again() {
        let body = json!({"widgets": [{"type": "text"}]});
        let there = mock!(Client::get_dashboard).then_output(|| {
            GetDashboardOutput::builder().dashboard_body(r#"{ "widgets": [{"type": "text"}] }"#).build()
        });
        let put = mock!(Client::put_dashboard).then_output(|| PutDashboardOutput::builder().build());
        let client = mock_client!(aws_sdk_cloudwatch, RuleMode::MatchAny, [&there, &put]);
        let dashboards = Dashboards::new(&client);
        assert_eq!(dashboards.put("it", &body).await.unwrap(), Put::Unchanged);
        assert_eq!(put.num_calls(), 0);
        assert_eq!(dashboards.put("it", &json!({"widgets": []})).await.unwrap(), Put::Changed(Vec::new()));
        assert_eq!(put.num_calls(), 1);
    }

    #[tokio::test]
    async fn what_is_not_there_is_made_and_remarks_are_told() {
        let gone = mock!(Client::get_dashboard).then_error(|| {
            let meta = ErrorMetadata::builder().code("ResourceNotFound").build();
            GetDashboardError::DashboardNotFoundError(DashboardNotFoundError::builder().meta(meta).build())
        });
        let put = mock!(Client::put_dashboard).then_output(|| {
            let remark = DashboardValidationMessage::builder().data_path("/widgets/0").message("odd").build();
            PutDashboardOutput::builder().dashboard_validation_messages(remark).build()
        });
        let client = mock_client!(aws_sdk_cloudwatch, RuleMode::MatchAny, [&gone, &put]);
        let made = Dashboards::new(&client).put("it", &json!({})).await.unwrap();
        assert_eq!(made, Put::Changed(vec!["/widgets/0: odd".to_owned()]));
    }
}
