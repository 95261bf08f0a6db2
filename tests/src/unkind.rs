//! How unkind the local AWS is to some of its resources: slow, late, short of capacity. `tests/local-aws/README.md` says
//! what each setting does.

use serde::Serialize;

use crate::Result;
use crate::http::request;
use crate::server::Server;

/// Settings of the local AWS for the resources whose names begin with a prefix. What is `None` stays as it was, or as it
/// is for a shorter prefix.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Unkind {
    /// Seconds that an update of a table, index or stream, the start and the end of an instance or task, and a step of an instance
    /// refresh take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pace: Option<f64>,
    /// Seconds for which describe calls still tell what stood before a write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag: Option<f64>,
    /// Whether AWS's limit on decreases of a table's throughput holds. Without it, it holds where `pace` is above 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decreases_limited: Option<bool>,
    /// So many instances or tasks can run; AWS has no capacity for more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units_max: Option<u32>,
    /// Seconds after its time at which a point of a metric appears.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric_delay: Option<f64>,
    /// Seconds during which the sum and the count of samples of a point that has appeared still grow to what they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric_settle: Option<f64>,
    /// The next invocations of a function fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invocation_fault: Option<InvocationFault>,
    /// Executions of a state machine say that they ended so many seconds before they did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_ago: Option<f64>,
}

/// An error that Lambda itself answers instead of running a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InvocationFault {
    /// The name of Lambda's API, such as `ResourceNotReadyException`.
    pub name: String,
    /// So many invocations fail with it.
    pub times: u32,
}

impl Server {
    /// Makes the local AWS so unkind to the resources whose names begin with `prefix`; an empty one is for all of them.
    ///
    /// # Errors
    /// When the server does not answer or refuses a setting; the error says which.
    pub async fn unkind(&self, prefix: &str, settings: &Unkind) -> Result<()> {
        let mut rule = serde_json::to_value(settings)?;
        if let Some(rule) = rule.as_object_mut() {
            rule.insert("prefix".to_owned(), prefix.into());
        }
        request("POST", &format!("{}/_local/config", self.endpoint), &rule.to_string()).await
    }

    /// Rolls back everything that was set for a prefix.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn kind(&self, prefix: &str) -> Result<()> {
        let rule = serde_json::json!({
            "prefix": prefix, "pace": null, "lag": null, "decreases_limited": null, "units_max": null,
            "metric_delay": null, "metric_settle": null, "invocation_fault": null, "ended_ago": null,
        });
        request("POST", &format!("{}/_local/config", self.endpoint), &rule.to_string()).await
    }
}
