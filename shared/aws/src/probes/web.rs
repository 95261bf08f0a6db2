//! GET requests of health checks: which host they go to, whose certificate they want, and which redirects they follow.

use std::sync::Arc;

use http::{Method, Request, Uri, header, uri};
use http_body_util::Empty;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};

use super::reach::{Reach, SafeResolver, literal};

/// A health endpoint that needs more hops to itself is misconfigured.
const REDIRECTS_MAX: usize = 5;

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) uri: Uri,
    /// The load balancer that is asked, under whatever name the URL has.
    pub(super) balancer: Option<String>,
    /// Whether a server must prove that it is the host of the URL.
    pub(super) checks_certificate: bool,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(super) struct Got {
    pub(super) status: u16,
    /// Whether a connection was encrypted.
    pub(super) encrypted: bool,
    /// Where the answer leads, on another host, which is not asked.
    pub(super) elsewhere: Option<String>,
}

/// Asks, and follows redirects on the same host.
pub(super) async fn get(asked: Asked, reach: Reach) -> Result<Got, String> {
    let client = client(&asked, reach)?;
    let Asked { mut uri, balancer, .. } = asked;
    let mut encrypted = false;
    for _ in 0..=REDIRECTS_MAX {
        check_literal(&uri, reach, balancer.is_some())?;
        encrypted |= uri.scheme() == Some(&uri::Scheme::HTTPS);
        let request =
            Request::builder().method(Method::GET).uri(uri.clone()).header(header::USER_AGENT, "headroom");
        let request = request.body(Empty::<&[u8]>::new()).map_err(|error| error.to_string())?;
        let answer = client.request(request).await.map_err(|error| told(&error))?;
        let status = answer.status();
        let location = answer.headers().get(header::LOCATION).filter(|_| status.is_redirection());
        let location = location.map(|location| String::from_utf8_lossy(location.as_bytes()).into_owned());
        let got = |elsewhere| Ok(Got { status: status.as_u16(), encrypted, elsewhere });
        match location.map(|location| (onward(&uri, &location), location)) {
            None => return got(None),
            Some((Some(next), _)) if same_host(&next, &uri) => uri = next,
            Some((_, location)) => return got(Some(location)),
        }
    }
    Err(format!("more than {REDIRECTS_MAX} redirects"))
}

/// A literal address is never resolved, so the resolver would not see it.
fn check_literal(uri: &Uri, reach: Reach, on_balancer: bool) -> Result<(), String> {
    match literal(uri.host().unwrap_or_default()) {
        Some(_) if on_balancer => Err("`host` is an address; write the name of the site".to_owned()),
        Some(address) => reach.refusal(address).map_or(Ok(()), |refusal| Err(refusal.to_owned())),
        None => Ok(()),
    }
}

fn same_host(one: &Uri, other: &Uri) -> bool {
    one.host().zip(other.host()).is_some_and(|(one, other)| one.eq_ignore_ascii_case(other))
}

/// Where a redirect leads, relative to where it came from.
fn onward(from: &Uri, location: &str) -> Option<Uri> {
    let location = location.split('#').next()?;
    let (scheme, authority) = (from.scheme_str()?, from.authority()?);
    let here = format!("{scheme}://{authority}");
    let absolute = if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{here}{location}")
    } else if location.starts_with('?') {
        format!("{here}{}{location}", from.path())
    } else if location.contains("://") {
        location.to_owned()
    } else {
        let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{here}{folder}/{location}")
    };
    absolute.parse().ok().filter(|next: &Uri| matches!(next.scheme_str(), Some("http" | "https")))
}

/// The innermost cause, which is the one that says something.
fn told(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// An HTTP client that resolves names safely.
type SafeClient = Client<HttpsConnector<HttpConnector<SafeResolver>>, Empty<&'static [u8]>>;

fn client(asked: &Asked, reach: Reach) -> Result<SafeClient, String> {
    let balancer = asked.balancer.as_deref().map(str::parse).transpose();
    let balancer = balancer.map_err(|_| "the load balancer has no valid name".to_owned())?;
    let mut http = HttpConnector::new_with_resolver(SafeResolver::new(reach, balancer));
    http.enforce_http(false);
    let provider = ring::default_provider();
    let tls = HttpsConnectorBuilder::new();
    let tls = if asked.checks_certificate {
        tls.with_provider_and_native_roots(provider)
            .map_err(|error| format!("no trusted certificates: {error}"))?
    } else {
        tls.with_tls_config(of_anyone(provider)?)
    };
    Ok(Client::builder(TokioExecutor::new()).build(tls.https_or_http().enable_http1().wrap_connector(http)))
}

fn of_anyone(provider: CryptoProvider) -> Result<ClientConfig, String> {
    let provider = Arc::new(provider);
    let config =
        ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let config = config.map_err(|error| error.to_string())?;
    let verifier = Arc::new(AnyCertificate(provider));
    Ok(config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// Accepts every certificate. A load balancer's is for the site's name and not for the balancer's own, and often from an
/// authority of the company's; the request carries nothing secret, and only a status is read from the answer.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_where_browsers_go() {
        let from: Uri = "https://Shop.example.com:8443/app/health?a=1".parse().unwrap();
        for (location, expected) in [
            ("/up", "https://shop.example.com:8443/up"),
            ("up", "https://shop.example.com:8443/app/up"),
            ("?b=2", "https://shop.example.com:8443/app/health?b=2"),
            ("//other.example.com/up", "https://other.example.com/up"),
            ("https://shop.example.com/up#top", "https://shop.example.com/up"),
            ("http://[2001:db8::1]:81/", "http://[2001:db8::1]:81/"),
        ] {
            let onward = onward(&from, location).map(|next| next.to_string().to_ascii_lowercase());
            assert_eq!(onward.as_deref(), Some(expected), "{location}");
        }
        assert_eq!(onward(&from, "ftp://shop.example.com/"), None);
        let upper: Uri = "http://SHOP.example.com/".parse().unwrap();
        assert!(same_host(&from, &upper));
    }
}
