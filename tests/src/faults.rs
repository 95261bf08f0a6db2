//! Faults on the way from the functions to AWS: rules of the fault proxy, microburst.

use serde_json::{Value as Json, json};

use crate::Result;
use crate::http::request;
use crate::server::Server;

impl Server {
    /// Breaks calls of the functions to AWS by a rule. All stacks have the same proxy: the rule itself must say whose calls
    /// it is for.
    ///
    /// # Errors
    /// When no faults can be injected, or the proxy refuses the rule.
    pub async fn fault(&self, rule: &Json) -> Result<()> {
        request("PATCH", &self.rules()?, &json!([rule]).to_string()).await
    }

    /// Rolls back the rules that have all of these fields.
    ///
    /// # Errors
    /// When no faults can be injected, or the proxy does not answer.
    pub async fn without_fault(&self, fields: &Json) -> Result<()> {
        request("DELETE", &self.rules()?, &json!([fields]).to_string()).await
    }

    fn rules(&self) -> Result<String> {
        let proxy = self.faults.as_ref().ok_or("this local AWS was started without faults")?;
        Ok(format!("{proxy}/_microburst/rules"))
    }
}
