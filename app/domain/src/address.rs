//! Who a request comes from: the peer of its connection, or whom reverse proxies that are trusted say that they heard.

use std::net::{IpAddr, SocketAddr};

/// The client's address: the peer's own, and behind trusted proxies the one that the outermost of them names as its peer. `forwarded` are the lines of
/// `X-Forwarded-For`, in their order: the list is read from its end, where each trusted proxy wrote whom it heard; what stands before that anyone may
/// have written, in any bytes. A hop that means nothing ends the walk: whoever sent it is then known by the proxy that let it through.
#[must_use]
pub fn client<'a>(peer: IpAddr, trusted: &[IpAddr], forwarded: impl Iterator<Item = &'a [u8]>) -> IpAddr {
    let mut nearest = peer.to_canonical();
    if !is_among(trusted, nearest) {
        return nearest;
    }
    let hops: Vec<&[u8]> = forwarded.flat_map(|line| line.split(|byte| *byte == b',')).collect();
    for hop in hops.into_iter().rev() {
        match parse_hop(hop) {
            Some(address) if is_among(trusted, nearest) => nearest = address,
            _ => break,
        }
    }
    nearest
}

/// Whether an address is one of these, however either is written.
#[must_use]
pub fn is_among(addresses: &[IpAddr], address: IpAddr) -> bool {
    addresses.iter().any(|one| one.to_canonical() == address.to_canonical())
}

/// Proxies write an address bare, with its port, or an IPv6 address in brackets.
fn parse_hop(hop: &[u8]) -> Option<IpAddr> {
    let hop = std::str::from_utf8(hop).ok()?.trim();
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    let with_port = || hop.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    bare.parse().ok().or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn forwarded_addresses_are_believed_from_trusted_proxies_only() {
        let trusted = ["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()];
        for (peer, forwarded, found) in [
            ("192.0.2.7", "198.51.100.1", "192.0.2.7"),
            ("10.0.0.1", "203.0.113.9, 198.51.100.1", "198.51.100.1"),
            ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),
            ("10.0.0.1", "198.51.100.1:4711, 10.0.0.2:80", "198.51.100.1"),
            ("10.0.0.1", "203.0.113.9, [2001:db8::1]:4711", "2001:db8::1"),
            ("10.0.0.1", "203.0.113.9, [2001:db8::1]", "2001:db8::1"),
            ("::ffff:10.0.0.1", "::ffff:198.51.100.1, ::ffff:10.0.0.2", "198.51.100.1"),
            ("10.0.0.1", "10.0.0.2", "10.0.0.2"),
            // Not the one before it, which anyone may have written.
            ("10.0.0.1", "203.0.113.9, nonsense", "10.0.0.1"),
            ("10.0.0.1", "203.0.113.9, nonsense, 10.0.0.2", "10.0.0.2"),
            ("10.0.0.1", "203.0.113.9, ", "10.0.0.1"),
            ("10.0.0.1", "nonsense", "10.0.0.1"),
        ] {
            // In one line or in several, as a proxy may add its own.
            let lines: Vec<&str> = forwarded.splitn(2, ", ").collect();
            for lines in [vec![forwarded], lines] {
                let found_in = client(peer.parse().unwrap(), &trusted, lines.into_iter().map(str::as_bytes));
                assert_eq!(found_in.to_string(), found, "{peer}, {forwarded}");
            }
        }
    }

    #[test]
    fn nobody_hides_behind_a_proxy_by_bytes_that_are_no_text() {
        let proxy: IpAddr = "10.0.0.1".parse().unwrap();
        // A proxy that adds to the line that it was sent.
        for (forwarded, found) in [(&b"\xff, 198.51.100.1"[..], "198.51.100.1"), (&b"203.0.113.9, \xff"[..], "10.0.0.1")] {
            assert_eq!(client(proxy, &[proxy], std::iter::once(forwarded)).to_string(), found);
        }
    }
}
