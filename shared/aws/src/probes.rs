//! Probes of health from outside: HTTP, TCP, and the state of an alarm.

use std::future::Future;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::task::{Context, Poll};
use std::time::Duration;

use aws_sdk_cloudwatch::types::StateValue;
use futures_util::future::BoxFuture;
use headroom_core::health::Health;
use http::{Method, Request, Uri, header};
use http_body_util::Empty;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::error::AwsError;
use crate::sdk::Aws;

/// A health endpoint that needs more hops to itself is misconfigured.
const REDIRECTS_MAX: usize = 5;

/// Probes from outside.
pub trait Probes: Send + Sync {
    /// GET of a URL: 200 to 399 within the time is healthy. Redirects are followed on the same host only.
    fn http(&self, url: &str, timeout: Duration) -> impl Future<Output = Health> + Send;

    /// TCP connect.
    fn tcp(&self, host: &str, port: u16, timeout: Duration) -> impl Future<Output = Health> + Send;

    /// Whether an alarm is not in ALARM.
    fn alarm(&self, name: &str) -> impl Future<Output = Result<Health, AwsError>> + Send;
}

/// Probes over the network.
#[derive(Clone, Debug)]
pub struct NetworkProbes {
    cloudwatch: aws_sdk_cloudwatch::Client,
    reach: Reach,
}

/// Which addresses may be probed. A health check is configuration, but it must not become a way to ask a function's
/// own surroundings for credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Everything but the function itself and link-local addresses.
    Network,
    /// Also loopback addresses: only where the functions run beside what they check, as in the demo.
    Loopback,
}

impl Reach {
    /// Why an address must not be probed, if it must not.
    fn refusal(self, address: IpAddr) -> Option<&'static str> {
        let address = match address {
            IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
            IpAddr::V4(_) => address,
        };
        let link_local = match address {
            IpAddr::V4(v4) => v4.is_link_local(),
            // The instance metadata service has a unique local address besides the link-local range.
            IpAddr::V6(v6) => v6.is_unicast_link_local() || v6 == METADATA_V6,
        };
        match (link_local, address.is_loopback() || address.is_unspecified(), self) {
            (true, _, _) => Some("link-local addresses are not probed"),
            (false, true, Reach::Network) => Some("loopback addresses are not probed"),
            _ => None,
        }
    }
}

const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

impl NetworkProbes {
    /// Probes with this reach, and alarms of this account.
    pub fn new(aws: &Aws, reach: Reach) -> NetworkProbes {
        NetworkProbes { cloudwatch: aws.cloudwatch(), reach }
    }

    async fn get(&self, url: &str) -> Result<u16, String> {
        let client = self.client()?;
        let mut uri: Uri = url.parse().map_err(|error| format!("not a URL: {error}"))?;
        let host = uri.host().map(str::to_owned);
        for _ in 0..=REDIRECTS_MAX {
            self.check_literal(&uri)?;
            let request = Request::builder()
                .method(Method::GET)
                .uri(uri.clone())
                .header(header::USER_AGENT, "headroom");
            let request = request.body(Empty::<&[u8]>::new()).map_err(|error| error.to_string())?;
            let answer = client.request(request).await.map_err(|error| told(&error))?;
            let status = answer.status();
            let next = answer
                .headers()
                .get(header::LOCATION)
                .and_then(|next| next.to_str().ok())
                .and_then(|next| onward(&uri, next));
            match next.filter(|next| status.is_redirection() && next.host().map(str::to_owned) == host) {
                Some(next) => uri = next,
                None => return Ok(status.as_u16()),
            }
        }
        Err(format!("more than {REDIRECTS_MAX} redirects"))
    }

    fn client(&self) -> Result<SafeClient, String> {
        let mut http =
            HttpConnector::new_with_resolver(SafeResolver { inner: GaiResolver::new(), reach: self.reach });
        http.enforce_http(false);
        let tls = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::ring::default_provider());
        let tls = tls.map_err(|error| format!("no trusted certificates: {error}"))?;
        Ok(Client::builder(TokioExecutor::new())
            .build(tls.https_or_http().enable_http1().wrap_connector(http)))
    }

    /// A literal address is never resolved, so the resolver would not see it.
    fn check_literal(&self, uri: &Uri) -> Result<(), String> {
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        match host.parse::<IpAddr>().ok().and_then(|address| self.reach.refusal(address)) {
            Some(refusal) => Err(refusal.to_owned()),
            None => Ok(()),
        }
    }

    async fn connect(&self, host: &str, port: u16) -> Result<(), String> {
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

impl Probes for NetworkProbes {
    async fn http(&self, url: &str, timeout: Duration) -> Health {
        match tokio::time::timeout(timeout, self.get(url)).await {
            Ok(Ok(200..=399)) => Health::Healthy,
            Ok(Ok(status)) => Health::Unhealthy(format!("answered {status}")),
            Ok(Err(why)) => Health::Unhealthy(why),
            Err(_) => Health::Unhealthy(format!("no answer within {} s", timeout.as_secs())),
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
        let answer = self.cloudwatch.describe_alarms().alarm_names(name).send().await;
        let answer = answer.map_err(|error| AwsError::of(error, format!("describe alarm {name}")))?;
        let metric = answer.metric_alarms().first().map(|alarm| (alarm.state_value(), alarm.state_reason()));
        let composite =
            answer.composite_alarms().first().map(|alarm| (alarm.state_value(), alarm.state_reason()));
        Ok(match metric.or(composite) {
            Some((Some(StateValue::Alarm), reason)) => {
                Health::Unhealthy(reason.unwrap_or("it is in ALARM").to_owned())
            }
            Some(_) => Health::Healthy,
            None => Health::NotChecked("there is no such alarm".to_owned()),
        })
    }
}

/// An HTTP client that resolves names safely.
type SafeClient = Client<HttpsConnector<HttpConnector<SafeResolver>>, Empty<&'static [u8]>>;

/// Where a redirect leads, relative to where it came from.
fn onward(from: &Uri, location: &str) -> Option<Uri> {
    if location.starts_with('/') && !location.starts_with("//") {
        let (scheme, authority) = (from.scheme_str()?, from.authority()?);
        return format!("{scheme}://{authority}{location}").parse().ok();
    }
    location.parse().ok()
}

/// The innermost cause, which is the one that says something.
fn told(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// Resolves names, but not to addresses that must not be probed: what a name means is decided by who owns it.
#[derive(Clone, Debug)]
struct SafeResolver {
    inner: GaiResolver,
    reach: Reach,
}

impl Service<Name> for SafeResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = std::io::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (found, reach) = (self.inner.call(name), self.reach);
        Box::pin(async move {
            let (mut safe, mut refused) = (Vec::new(), None);
            for address in found.await? {
                match reach.refusal(address.ip()) {
                    None => safe.push(address),
                    Some(refusal) => refused = Some(refusal),
                }
            }
            match refused.filter(|_| safe.is_empty()) {
                Some(refusal) => Err(std::io::Error::other(refusal)),
                None => Ok(safe.into_iter()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    fn probes(reach: Reach) -> NetworkProbes {
        use aws_config::{BehaviorVersion, Region, SdkConfig};
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"));
        NetworkProbes::new(&Aws::new(config.build(), crate::meter::Meter::default()), reach)
    }

    /// A server that answers each path with what is said of it.
    async fn server(answers: &'static [(&'static str, &'static str)]) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut buffer = [0; 4_096];
                    let read = stream.read(&mut buffer).await.unwrap();
                    let request = String::from_utf8_lossy(&buffer[..read]).into_owned();
                    let path = request.split(' ').nth(1).unwrap().to_owned();
                    let answer = answers
                        .iter()
                        .find(|(known, _)| *known == path)
                        .map_or("404 Not Found", |(_, answer)| answer);
                    if answer == "never" {
                        std::future::pending::<()>().await;
                    }
                    let text = format!(
                        "HTTP/1.1 {}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
                        answer.replace("PORT", &port.to_string())
                    );
                    stream.write_all(text.as_bytes()).await.unwrap();
                });
            }
        });
        port
    }

    async fn check(reach: Reach, url: &str, expected: &str) {
        let health = match probes(reach).http(url, Duration::from_secs(1)).await {
            Health::Healthy => "healthy".to_owned(),
            Health::Unhealthy(why) => why,
            other => format!("{other:?}"),
        };
        assert_eq!(health, expected, "{url}");
    }

    #[tokio::test]
    async fn answers_from_200_to_399_are_healthy() {
        let port = server(&[
            ("/good", "204 No Content"),
            ("/bad", "503 Service Unavailable"),
            ("/here", "302 Found\r\nlocation: /good"),
            ("/down", "302 Found\r\nlocation: /bad"),
            ("/away", "302 Found\r\nlocation: http://example.invalid/bad"),
            ("/around", "302 Found\r\nlocation: /around"),
            ("/slow", "never"),
        ])
        .await;
        let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
        check(Reach::Loopback, &url("/good"), "healthy").await;
        check(Reach::Loopback, &url("/bad"), "answered 503").await;
        check(Reach::Loopback, &url("/here"), "healthy").await;
        check(Reach::Loopback, &url("/down"), "answered 503").await;
        check(Reach::Loopback, &url("/away"), "healthy").await; // the redirect itself is the answer
        check(Reach::Loopback, &url("/around"), "more than 5 redirects").await;
        check(Reach::Loopback, &url("/slow"), "no answer within 1 s").await;
        check(Reach::Loopback, &format!("http://localhost:{port}/good"), "healthy").await;
    }

    #[tokio::test]
    async fn addresses_beside_the_function_are_refused() {
        let port = server(&[("/", "200 OK")]).await;
        for url in [
            "http://169.254.169.254/latest/meta-data",
            "http://[fe80::1]/",
            "http://[fd00:ec2::254]/",
            "http://[::ffff:169.254.170.2]/",
        ] {
            check(Reach::Loopback, url, "link-local addresses are not probed").await;
        }
        for host in ["127.0.0.1", "localhost", "0.0.0.0"] {
            check(Reach::Network, &format!("http://{host}:{port}/"), "loopback addresses are not probed")
                .await;
        }
    }

    #[tokio::test]
    async fn tcp_connects_or_says_why_not() {
        let port = server(&[]).await;
        let second = Duration::from_secs(1);
        assert_eq!(probes(Reach::Loopback).tcp("127.0.0.1", port, second).await, Health::Healthy);
        let refused = Health::Unhealthy("loopback addresses are not probed".into());
        assert_eq!(probes(Reach::Network).tcp("127.0.0.1", port, second).await, refused);
        let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap().port();
        assert!(matches!(
            probes(Reach::Loopback).tcp("127.0.0.1", closed, second).await,
            Health::Unhealthy(_)
        ));
    }

    #[tokio::test]
    async fn an_alarm_in_alarm_is_unhealthy() {
        use aws_sdk_cloudwatch::operation::describe_alarms::DescribeAlarmsOutput;
        use aws_sdk_cloudwatch::types::MetricAlarm;
        use aws_smithy_mocks::{RuleMode, mock, mock_client};
        for (state, expected) in [
            (Some(StateValue::Ok), Health::Healthy),
            (Some(StateValue::InsufficientData), Health::Healthy),
            (Some(StateValue::Alarm), Health::Unhealthy("too many errors".into())),
            (None, Health::NotChecked("there is no such alarm".into())),
        ] {
            let rule = mock!(aws_sdk_cloudwatch::Client::describe_alarms).then_output(move || {
                let alarm = state.clone().map(|state| {
                    MetricAlarm::builder().state_value(state).state_reason("too many errors").build()
                });
                DescribeAlarmsOutput::builder().set_metric_alarms(alarm.map(|alarm| vec![alarm])).build()
            });
            let mut probes = probes(Reach::Network);
            probes.cloudwatch = mock_client!(aws_sdk_cloudwatch, RuleMode::MatchAny, [&rule]);
            assert_eq!(probes.alarm("errors").await.unwrap(), expected);
        }
    }
}
