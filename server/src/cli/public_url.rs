//! Addresses that people see.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

/// An address that people see: `http://` or `https://`, a host, no path, no slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicUrl(String);

impl PublicUrl {
    /// The address of a listener. A wildcard address is shown as its loopback, which is where the person at this machine reaches it.
    pub(crate) fn of_listener(bound: SocketAddr) -> Self {
        let host = match bound.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
            ip => ip,
        };
        Self(format!("http://{}", SocketAddr::new(host, bound.port())))
    }
}

impl FromStr for PublicUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim().trim_end_matches('/');
        let uri: axum::http::Uri = text.parse().map_err(|error| format!("{error}"))?;
        let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
        if is_web
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
            && matches!(uri.path(), "" | "/")
            && uri.query().is_none()
        {
            Ok(Self(text.to_owned()))
        } else {
            Err("write it like https://console.example.com, without a path".to_owned())
        }
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_address_has_no_path() {
        assert_eq!(
            "https://farebox.example.com/".parse::<PublicUrl>().map(|url| url.to_string()),
            Ok("https://farebox.example.com".to_owned())
        );
        for wrong in
            ["farebox.example.com", "ftp://farebox.example.com", "https://farebox.example.com/v1", "https://me@farebox.example.com", ""]
        {
            assert!(wrong.parse::<PublicUrl>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_wildcard_listener_is_reached_by_loopback() {
        assert_eq!(PublicUrl::of_listener(SocketAddr::from(([0, 0, 0, 0], 8080))).to_string(), "http://127.0.0.1:8080");
    }
}
