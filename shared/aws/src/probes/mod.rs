//! Probes of health from outside: HTTP, TCP, and the state of an alarm.

mod reach;
#[cfg(test)]
mod tests;
mod web;

use std::future::Future;
use std::time::Duration;

use aws_sdk_cloudwatch::types::{AlarmType, StateValue};
use headroom_core::health::Health;
use http::Uri;
pub use reach::Reach;
use tokio::net::TcpStream;
use web::{Asked, Got};

use crate::error::AwsError;
use crate::fleet::Balancer;
use crate::sdk::Aws;

/// What a request says of health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How it is.
    pub health: Health,
    /// What it leaves open where it is well, each with the reason.
    pub unchecked: Vec<Unchecked>,
}

/// Something that a check did not look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unchecked {
    /// What.
    pub what: String,
    /// Why not.
    pub why: String,
}

impl From<Health> for Answer {
    fn from(health: Health) -> Answer {
        Answer { health, unchecked: Vec::new() }
    }
}

/// Probes from outside.
pub trait Probes: Send + Sync {
    /// GET of a URL: 200 to 399 within the time is healthy. Redirects are followed on the same host only.
    fn http(&self, url: &str, timeout: Duration) -> impl Future<Output = Answer> + Send;

    /// GET of a path on a load balancer. Without the name of the site that is meant, the balancer's own name is asked for,
    /// for which no certificate is made, so none is checked.
    fn balancer(
        &self,
        balancer: &Balancer,
        site: Option<&str>,
        path: &str,
        timeout: Duration,
    ) -> impl Future<Output = Answer> + Send;

    /// TCP connect.
    fn tcp(&self, host: &str, port: u16, timeout: Duration) -> impl Future<Output = Health> + Send;

    /// Whether an alarm, of a metric or of other alarms, is not in ALARM.
    fn alarm(&self, name: &str) -> impl Future<Output = Result<Health, AwsError>> + Send;
}

/// Probes over the network.
#[derive(Clone, Debug)]
pub struct NetworkProbes {
    cloudwatch: aws_sdk_cloudwatch::Client,
    reach: Reach,
}

impl NetworkProbes {
    /// Probes with this reach, and alarms of this account.
    pub fn new(aws: &Aws, reach: Reach) -> NetworkProbes {
        NetworkProbes { cloudwatch: aws.cloudwatch(), reach }
    }

    async fn get(&self, asked: Asked, timeout: Duration) -> Answer {
        let what = asked.uri.to_string();
        let checks_certificate = asked.checks_certificate;
        match tokio::time::timeout(timeout, web::get(asked, self.reach)).await {
            Ok(Ok(got)) => judged(&what, got, checks_certificate),
            Ok(Err(why)) => Health::Unhealthy(why).into(),
            Err(_) => Health::Unhealthy(format!("no answer within {} s", timeout.as_secs())).into(),
        }
    }

    async fn connect(&self, host: &str, port: u16) -> Result<(), String> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let addresses = tokio::net::lookup_host((host, port)).await.map_err(|error| error.to_string())?;
        let mut last = format!("{host} has no address");
        for address in addresses {
            match self.reach.refusal(address.ip()) {
                Some(refusal) => last = refusal.to_owned(),
                None => match TcpStream::connect(address).await {
                    Ok(_) => return Ok(()),
                    Err(error) => last = error.to_string(),
                },
            }
        }
        Err(last)
    }
}

fn judged(what: &str, got: Got, checks_certificate: bool) -> Answer {
    let Got { status, encrypted, elsewhere } = got;
    if !(200..=399).contains(&status) {
        return Health::Unhealthy(format!("answered {status}")).into();
    }
    let elsewhere = elsewhere.map(|elsewhere| Unchecked {
        what: elsewhere,
        why: format!(
            "{what} answered {status} and leads to it, and redirects to other hosts are not followed"
        ),
    });
    let certificate = (encrypted && !checks_certificate).then(|| Unchecked {
        what: format!("the certificate at {what}"),
        why: "it is for the name of a site and not for that of its load balancer; write the site's name as `host` of the check"
            .to_owned(),
    });
    Answer { health: Health::Healthy, unchecked: elsewhere.into_iter().chain(certificate).collect() }
}

impl Probes for NetworkProbes {
    async fn http(&self, url: &str, timeout: Duration) -> Answer {
        match url.parse::<Uri>() {
            Ok(uri) => self.get(Asked { uri, balancer: None, checks_certificate: true }, timeout).await,
            Err(error) => Health::Unhealthy(format!("not a URL: {error}")).into(),
        }
    }

    async fn balancer(
        &self,
        balancer: &Balancer,
        site: Option<&str>,
        path: &str,
        timeout: Duration,
    ) -> Answer {
        let Balancer { scheme, host, port, .. } = balancer;
        let name = site.unwrap_or(host);
        match format!("{scheme}://{name}:{port}{path}").parse::<Uri>() {
            Ok(uri) => {
                let balancer = site.map(|_| host.clone());
                self.get(Asked { uri, balancer, checks_certificate: site.is_some() }, timeout).await
            }
            Err(error) => Health::Unhealthy(format!("{name} and {path} make no URL: {error}")).into(),
        }
    }

    async fn tcp(&self, host: &str, port: u16, timeout: Duration) -> Health {
        match tokio::time::timeout(timeout, self.connect(host, port)).await {
            Ok(Ok(())) => Health::Healthy,
            Ok(Err(why)) => Health::Unhealthy(why),
            Err(_) => Health::Unhealthy(format!("no connection within {} s", timeout.as_secs())),
        }
    }

    async fn alarm(&self, name: &str) -> Result<Health, AwsError> {
        // Unless it is asked for both types, CloudWatch answers with alarms of metrics only.
        let answer = self
            .cloudwatch
            .describe_alarms()
            .alarm_names(name)
            .alarm_types(AlarmType::MetricAlarm)
            .alarm_types(AlarmType::CompositeAlarm)
            .send()
            .await;
        let answer = answer.map_err(|error| AwsError::of(error, format!("describe alarm {name}")))?;
        let metric = answer.metric_alarms().first().map(|alarm| (alarm.state_value(), alarm.state_reason()));
        let composite =
            answer.composite_alarms().first().map(|alarm| (alarm.state_value(), alarm.state_reason()));
        Ok(match metric.or(composite) {
            Some((Some(StateValue::Ok), _)) => Health::Healthy,
            Some((Some(StateValue::Alarm), reason)) => {
                Health::Unhealthy(reason.unwrap_or("it is in ALARM").to_owned())
            }
            // An alarm says itself how it takes missing data, and only what it then calls ALARM is one.
            Some((Some(StateValue::InsufficientData), _)) => Health::NotChecked(
                "it is in INSUFFICIENT_DATA; an alarm that must not pass so has to treat missing data as breaching"
                    .to_owned(),
            ),
            Some((state, _)) => {
                let state = state.map_or("no state", StateValue::as_str);
                Health::Pending(format!("its state is not known: {state}"))
            }
            None => Health::Unhealthy("there is no alarm of this name in this account and region".to_owned()),
        })
    }
}
