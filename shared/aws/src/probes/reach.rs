//! Which addresses may be probed, whatever a name resolves to.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tower_service::Service;

/// Which addresses may be probed. A health check is configuration, but it must not become a way to ask a function's
/// own surroundings for credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Everything but the function itself and link-local addresses.
    Network,
    /// Also loopback addresses: only where the functions run beside what they check, as in the demo.
    Loopback,
}

const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

impl Reach {
    /// Why an address must not be probed, if it must not.
    pub(super) fn refusal(self, address: IpAddr) -> Option<&'static str> {
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

/// The address that a host of a URL is, if it is one and not a name.
pub(super) fn literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Resolves names, but not to addresses that must not be probed: what a name means is decided by who owns it.
#[derive(Clone, Debug)]
pub(super) struct SafeResolver {
    inner: GaiResolver,
    reach: Reach,
    /// A load balancer, to which every name leads.
    balancer: Option<Name>,
}

impl SafeResolver {
    pub(super) fn new(reach: Reach, balancer: Option<Name>) -> SafeResolver {
        SafeResolver { inner: GaiResolver::new(), reach, balancer }
    }
}

impl Service<Name> for SafeResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = std::io::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (found, reach) = (self.inner.call(self.balancer.clone().unwrap_or(name)), self.reach);
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
