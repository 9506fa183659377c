//! What stands before the console, as far as that can be known: said at the start where it is not named.

use std::net::{IpAddr, SocketAddr};

/// Tells an operator who may not know it that all visitors count as one.
pub(super) fn warn_where_none_is_named(bound: SocketAddr, console_url: &str, trusted: &[IpAddr]) {
    if let Some(since) = none_is_named(bound, console_url, trusted) {
        tracing::warn!(
            "{since} and no --trusted-proxies is set: behind a reverse proxy all visitors of the console then have one address, so that wrong passwords of one \
             of them keep everybody from signing in for a quarter of an hour, and the audit log names the proxy. Name its address, as in --trusted-proxies \
             127.0.0.1; where people reach the console without one, nothing is to be done"
        );
    }
}

/// Why a reverse proxy is to be expected that is not named. The console itself speaks no TLS.
fn none_is_named(bound: SocketAddr, console_url: &str, trusted: &[IpAddr]) -> Option<&'static str> {
    if !trusted.is_empty() {
        None
    } else if console_url.starts_with("https:") {
        Some("--console-url is https")
    } else {
        (!bound.ip().to_canonical().is_loopback()).then_some("the console listens on more than this machine's own address")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_expected_before_https_and_on_a_network_until_one_is_named() {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 3000));
        for (bound, url, is_expected) in [
            (loopback, "http://127.0.0.1:3000", false),
            (SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 3000)), "http://[::1]:3000", false),
            (loopback, "https://billing.test", true),
            (SocketAddr::from(([0, 0, 0, 0], 3000)), "http://127.0.0.1:3000", true),
            (SocketAddr::from(([192, 168, 1, 50], 3000)), "http://192.168.1.50:3000", true),
        ] {
            assert_eq!(none_is_named(bound, url, &[]).is_some(), is_expected, "{bound} {url}");
            assert_eq!(none_is_named(bound, url, &[loopback.ip()]), None, "{bound} {url}");
        }
    }
}
