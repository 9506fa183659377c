//! Where upstreams may be.

use std::{
    future::Future,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    task::{Context, Poll},
};

use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tower::Service;

/// Resolves names, if need be only to public addresses: a provider's address must not lead into the operator's own network or to a cloud's metadata.
#[derive(Debug, Clone)]
pub(crate) struct Resolver {
    names: GaiResolver,
    only_public: bool,
}

impl Resolver {
    pub(super) fn new(only_public: bool) -> Self {
        Self { names: GaiResolver::new(), only_public }
    }
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.names.poll_ready(context)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (resolving, only_public) = (self.names.call(name), self.only_public);
        Box::pin(async move {
            let usable: Vec<_> = resolving.await?.filter(|address| !only_public || is_public(address.ip())).collect();
            if usable.is_empty() {
                return Err(io::Error::new(
                    io::ErrorKind::PermissionDenied,
                    "the name has no public address, and no operator vouched for a private one",
                ));
            }
            Ok(usable.into_iter())
        })
    }
}

/// Whether a URL's host is itself an address, and a private one: the resolver never sees those.
pub(crate) fn is_private_literal(host: &str) -> bool {
    match host.trim_start_matches('[').trim_end_matches(']').parse() {
        Ok(address) => !is_public(address),
        Err(_) => is_localhost(host) || is_number(host),
    }
}

/// By RFC 6761, section 6.3.
fn is_localhost(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    last.eq_ignore_ascii_case("localhost")
}

/// An address in one of the short spellings that resolvers understand, such as 127.1 or 0x7f000001 (<https://url.spec.whatwg.org/#ends-in-a-number-checker>).
fn is_number(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    !last.is_empty()
        && (last.bytes().all(|byte| byte.is_ascii_digit()) || hex.is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit())))
}

/// By the special-purpose registries of IANA (RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = matches!((a, b, c), (0 | 127 | 240.., _, _) | (100, 64..=127, _) | (192, 0, 0) | (198, 18 | 19, _));
    !(special || address.is_private() || address.is_link_local() || address.is_multicast() || address.is_documentation())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(embedded) = address.to_ipv4() {
        return is_public_v4(embedded); // ::ffff:a.b.c.d, and ::1 as 0.0.0.1
    }
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => is_public_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low))),
        // Global unicast is 2000::/3; Teredo, documentation and 6to4 lie in it.
        [0x2001, 0 | 0xdb8, ..] | [0x2002, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn only_public_addresses_are_public() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.0.8",
            "198.18.0.1",
            "::1",
            "::",
            "fd00:ec2::254",
            "fe80::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
            assert!(is_private_literal(private), "{private}");
        }
        for public in ["1.1.1.1", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for name in ["localhost", "api.LOCALHOST.", "127.1", "2130706433", "0x7f.1", "0x7f000001"] {
            assert!(is_private_literal(name), "{name}");
        }
        for name in ["api.openai.com", "localhost.example.com", "1.example.com", "0xg"] {
            assert!(!is_private_literal(name), "{name}");
        }
    }
}
