//! Probes against servers on this machine, and alarms against a mocked CloudWatch.

use std::net::Ipv4Addr;
use std::sync::Arc;

use aws_sdk_cloudwatch::operation::describe_alarms::{DescribeAlarmsInput, DescribeAlarmsOutput};
use aws_sdk_cloudwatch::types::{CompositeAlarm, MetricAlarm};
use aws_smithy_mocks::{RuleMode, mock, mock_client};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

fn probes(reach: Reach) -> NetworkProbes {
    use aws_config::{BehaviorVersion, Region, SdkConfig};
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"));
    NetworkProbes::new(&Aws::new(config.build(), crate::meter::Meter::default()), reach)
}

/// What a server answers to a path, or to the name of a site followed by a path.
type Answers = &'static [(&'static str, &'static str)];

/// A server that answers what is said, at one port in plain HTTP, at the other over TLS with a certificate for `shop.test`.
async fn servers(answers: Answers) -> (u16, u16) {
    let plain = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let secure = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let ports = (plain.local_addr().unwrap().port(), secure.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = plain.accept().await {
            tokio::spawn(answer(stream, answers, ports));
        }
    });
    let acceptor = TlsAcceptor::from(Arc::new(shop_test()));
    tokio::spawn(async move {
        while let Ok((stream, _)) = secure.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that wants another certificate hangs up.
                if let Ok(stream) = acceptor.accept(stream).await {
                    answer(stream, answers, ports).await;
                }
            });
        }
    });
    ports
}

fn shop_test() -> ServerConfig {
    let pem = include_bytes!("shop.test.pem");
    let certificate = CertificateDer::from_pem_slice(pem).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    config.with_single_cert(vec![certificate], PrivateKeyDer::from_pem_slice(pem).unwrap()).unwrap()
}

async fn server(answers: Answers) -> u16 {
    servers(answers).await.0
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, answers: Answers, ports: (u16, u16)) {
    let mut buffer = [0; 4_096];
    let read = stream.read(&mut buffer).await.unwrap();
    let request = String::from_utf8_lossy(&buffer[..read]).to_ascii_lowercase();
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let host = request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    let site = format!("{}{path}", host.split(':').next().unwrap_or_default());
    let said = answers.iter().find(|(known, _)| *known == site || *known == path);
    let said = said.map_or("404 Not Found", |(_, said)| said);
    if said == "never" {
        std::future::pending::<()>().await;
    }
    let said = said.replace("SECURE", &ports.1.to_string());
    let text = format!("HTTP/1.1 {said}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
}

async fn check(reach: Reach, url: &str, expected: &str) {
    let health = match probes(reach).http(url, Duration::from_secs(1)).await.health {
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
        ("/beside", "302 Found\r\nlocation: bad"),
        ("/slow", "never"),
    ])
    .await;
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    check(Reach::Loopback, &url("/good"), "healthy").await;
    check(Reach::Loopback, &url("/bad"), "answered 503").await;
    check(Reach::Loopback, &url("/here"), "healthy").await;
    check(Reach::Loopback, &url("/down"), "answered 503").await;
    check(Reach::Loopback, &url("/beside"), "answered 503").await;
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
        check(Reach::Network, &format!("http://{host}:{port}/"), "loopback addresses are not probed").await;
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
    assert!(matches!(probes(Reach::Loopback).tcp("127.0.0.1", closed, second).await, Health::Unhealthy(_)));
}

#[tokio::test]
async fn ipv6_addresses_are_connected_to_with_and_without_brackets() {
    let listener = TcpListener::bind((std::net::Ipv6Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for host in ["::1", "[::1]"] {
        let found = probes(Reach::Loopback).tcp(host, port, Duration::from_secs(1)).await;
        assert_eq!(found, Health::Healthy, "{host}");
    }
}

/// A path on a balancer: how it is, and what is left open.
async fn on_balancer(scheme: &'static str, port: u16, site: Option<&str>, path: &str) -> String {
    let balancer = Balancer { scheme, host: "localhost".to_owned(), port, is_internal: false };
    let answer = probes(Reach::Loopback).balancer(&balancer, site, path, Duration::from_secs(1)).await;
    let health = match answer.health {
        Health::Unhealthy(why) => why,
        other => format!("{other:?}"),
    };
    let open: String = answer.unchecked.into_iter().map(|open| format!("; {}", open.what)).collect();
    (health + &open).replace(&port.to_string(), "PORT")
}

const SHOP: Answers = &[
    ("/to-https", "301 Moved Permanently\r\nlocation: https://localhost:SECURE/good"),
    ("/to-sick", "301 Moved Permanently\r\nlocation: https://localhost:SECURE/bad"),
    ("/to-site", "301 Moved Permanently\r\nlocation: https://www.shop.test/good"),
    ("/good", "200 OK"),
    ("/bad", "503 Service Unavailable"),
    ("shop.test/site", "200 OK"),
];

#[tokio::test]
async fn a_balancers_redirect_to_https_on_its_own_name_is_followed_without_a_certificate_for_it() {
    let (plain, secure) = servers(SHOP).await;
    let found = on_balancer("http", plain, None, "/to-https").await;
    assert_eq!(found, "Healthy; the certificate at http://localhost:PORT/to-https");
    assert_eq!(on_balancer("http", plain, None, "/to-sick").await, "answered 503");
    let found = on_balancer("https", secure, None, "/good").await;
    assert_eq!(found, "Healthy; the certificate at https://localhost:PORT/good");
    assert_eq!(on_balancer("https", secure, None, "/bad").await, "answered 503");
    assert_eq!(on_balancer("http", plain, None, "/good").await, "Healthy");
}

#[tokio::test]
async fn with_the_name_of_its_site_a_balancer_is_asked_for_it_and_its_certificate_is_checked() {
    let (plain, secure) = servers(SHOP).await;
    assert_eq!(on_balancer("http", plain, Some("shop.test"), "/site").await, "Healthy");
    assert_eq!(on_balancer("http", plain, None, "/site").await, "answered 404");
    // The test's certificate is for this name, but from nobody that is trusted.
    let found = on_balancer("https", secure, Some("shop.test"), "/site").await;
    assert!(found.starts_with("invalid peer certificate"), "{found}");
    let found = on_balancer("http", plain, Some("127.0.0.1"), "/good").await;
    assert_eq!(found, "`host` is an address; write the name of the site");
}

#[tokio::test]
async fn certificates_of_urls_are_always_checked() {
    let (_, secure) = servers(SHOP).await;
    let url = format!("https://localhost:{secure}/good");
    let answer = probes(Reach::Loopback).http(&url, Duration::from_secs(1)).await;
    assert!(matches!(&answer.health, Health::Unhealthy(why) if why.contains("certificate")), "{answer:?}");
}

#[tokio::test]
async fn what_a_redirect_to_another_host_leads_to_is_said_to_be_open() {
    let (plain, _) = servers(SHOP).await;
    let found = on_balancer("http", plain, None, "/to-site").await;
    assert_eq!(found, "Healthy; https://www.shop.test/good");
    let url = format!("http://127.0.0.1:{plain}/to-https");
    let answer = probes(Reach::Loopback).http(&url, Duration::from_secs(1)).await;
    assert_eq!((answer.health, answer.unchecked.len()), (Health::Healthy, 1));
}

/// What an alarm watches.
#[derive(Clone, Copy, Debug)]
enum Watches {
    Metric,
    Alarms,
}

async fn alarm(watches: Watches, state: Option<StateValue>) -> Health {
    let asked_for_both = |request: &DescribeAlarmsInput| {
        request.alarm_types().contains(&AlarmType::MetricAlarm)
            && request.alarm_types().contains(&AlarmType::CompositeAlarm)
    };
    let rule = mock!(aws_sdk_cloudwatch::Client::describe_alarms).match_requests(asked_for_both);
    let rule = rule.then_output(move || {
        let (output, reason) = (DescribeAlarmsOutput::builder(), "too many errors");
        match (watches, state.clone()) {
            (_, None) => output.build(),
            (Watches::Metric, Some(state)) => {
                let alarm = MetricAlarm::builder().state_value(state).state_reason(reason).build();
                output.metric_alarms(alarm).build()
            }
            (Watches::Alarms, Some(state)) => {
                let alarm = CompositeAlarm::builder().state_value(state).state_reason(reason).build();
                output.composite_alarms(alarm).build()
            }
        }
    });
    let mut probes = probes(Reach::Network);
    probes.cloudwatch = mock_client!(aws_sdk_cloudwatch, RuleMode::MatchAny, [&rule]);
    probes.alarm("errors").await.unwrap()
}

#[tokio::test]
async fn an_alarm_in_alarm_is_unhealthy_whatever_it_watches() {
    for watches in [Watches::Metric, Watches::Alarms] {
        assert_eq!(alarm(watches, Some(StateValue::Ok)).await, Health::Healthy, "{watches:?}");
        let sick = Health::Unhealthy("too many errors".into());
        assert_eq!(alarm(watches, Some(StateValue::Alarm)).await, sick, "{watches:?}");
    }
}

#[tokio::test]
async fn an_alarm_that_is_not_there_or_knows_nothing_does_not_pass_in_silence() {
    let missing = alarm(Watches::Metric, None).await;
    assert!(
        matches!(&missing, Health::Unhealthy(why) if why.starts_with("there is no alarm")),
        "{missing:?}"
    );
    let blind = alarm(Watches::Alarms, Some(StateValue::InsufficientData)).await;
    assert!(matches!(&blind, Health::NotChecked(why) if why.contains("INSUFFICIENT_DATA")), "{blind:?}");
    let strange = alarm(Watches::Metric, Some(StateValue::from("SNOOZED"))).await;
    assert!(matches!(&strange, Health::Pending(why) if why.contains("SNOOZED")), "{strange:?}");
}
