//! The way to the upstream: pooled HTTP/1.1, nothing sent twice, nothing of the client's identity, and no private address by accident.

use std::{
    future::Future,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, builderstates::WantsSchemes};
use hyper_util::{
    client::legacy::{
        Client, Error as ClientError,
        connect::{
            HttpConnector,
            dns::{GaiResolver, Name},
        },
    },
    rt::{TokioExecutor, TokioTimer},
};
use tower::Service;
use tower_http::decompression::{Decompression, DecompressionBody};

use crate::{catalog::Target, request_body::RequestBody};

/// Some upstreams compress although they are asked not to; then what the client gets is what was compressed.
type Pool = Decompression<Client<HttpsConnector<HttpConnector<Resolver>>, RequestBody>>;

/// An answer's body.
pub(crate) type UpstreamBody = DecompressionBody<Incoming>;

/// Shorter than the idle time-outs of common servers and balancers (nginx: 75 s, AWS: 60 s), so that few connections die in our hands.
const POOLED_IDLE: Duration = Duration::from_secs(20);

/// Connections to upstreams.
#[derive(Debug, Clone)]
pub(crate) struct Upstreams {
    /// Reaches only public addresses.
    public: Pool,
    any: Pool,
}

impl Upstreams {
    pub(crate) fn new(connect_timeout: Duration) -> Self {
        Self {
            public: pool(Resolver { names: GaiResolver::new(), only_public: true }, connect_timeout),
            any: pool(Resolver { names: GaiResolver::new(), only_public: false }, connect_timeout),
        }
    }

    /// Sends a chat request. Redirects are answers like any other.
    pub(crate) async fn chat(
        &self,
        target: &Target,
        client_headers: &HeaderMap,
        body: RequestBody,
    ) -> Result<Response<UpstreamBody>, ClientError> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = target.chat_completions.clone();
        *request.headers_mut() = request_headers(client_headers, target.authorization.as_ref());
        let pool = if target.allow_private { &self.any } else { &self.public };
        pool.clone().call(request).await
    }
}

fn pool(resolver: Resolver, connect_timeout: Duration) -> Pool {
    let mut http = HttpConnector::new_with_resolver(resolver);
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(connect_timeout));
    let https = trusting().https_or_http().enable_http1().wrap_connector(http);
    let client = Client::builder(TokioExecutor::new())
        // A request that may have reached the upstream may have been billed there: it is never sent again by itself.
        .retry_canceled_requests(false)
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOLED_IDLE)
        .build(https);
    Decompression::new(client)
}

/// Whom an upstream's certificate may come from: the authorities that the machine trusts, which may be a company's own, or that `SSL_CERT_FILE` and
/// `SSL_CERT_DIR` name; where there are none, as in a bare container, Mozilla's.
fn trusting() -> HttpsConnectorBuilder<WantsSchemes> {
    HttpsConnectorBuilder::new().with_native_roots().unwrap_or_else(|error| {
        tracing::warn!(%error, "upstreams over TLS are known by Mozilla's list of authorities, since this machine has none");
        HttpsConnectorBuilder::new().with_webpki_roots()
    })
}

/// What never passes a proxy (RFC 9110, section 7.6.1), or is set anew by each connection.
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// What of a client's headers goes upstream: what the body is, by what software it was sent, and where it stands in a trace. Any other may choose a
/// tier, a route or a shared cache there (`x-vertex-ai-llm-shared-request-type`, `cf-aig-cache-key`, `x-portkey-config`), in the operator's name.
const UPSTREAM: [HeaderName; 5] = [
    header::ACCEPT,
    header::CONTENT_TYPE,
    header::USER_AGENT,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];
/// How the names begin of what OpenAI's and Anthropic's clients say about themselves.
const CLIENT_LIBRARY: &str = "x-stainless-";

/// What is the operator's own with the upstream, or this proxy's to say.
const NOT_DOWNSTREAM: [HeaderName; 5] = [
    header::SET_COOKIE,
    header::ALT_SVC,
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("openai-organization"),
    HeaderName::from_static("openai-project"),
];

fn request_headers(client: &HeaderMap, authorization: Option<&HeaderValue>) -> HeaderMap {
    let mut headers = passed_on(client, |name| UPSTREAM.contains(name) || name.as_str().starts_with(CLIENT_LIBRARY));
    // What an upstream compresses all the same has to be unpacked to be metered, and costs both sides time.
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Some(authorization) = authorization {
        headers.insert(header::AUTHORIZATION, authorization.clone());
    }
    headers
}

/// The headers of the upstream's answer that are the client's.
pub(crate) fn response_headers(upstream: &HeaderMap) -> HeaderMap {
    passed_on(upstream, |name| !NOT_DOWNSTREAM.contains(name))
}

fn passed_on(headers: &HeaderMap, is_wanted: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    let nominated: Vec<&str> =
        headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(',')).collect();
    let is_nominated = |name: &HeaderName| nominated.iter().any(|nominee| nominee.trim().eq_ignore_ascii_case(name.as_str()));
    let passes = |name: &HeaderName| is_wanted(name) && !HOP_BY_HOP.contains(name) && !is_nominated(name);
    headers.iter().filter(|(name, _)| passes(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Resolves names, if need be only to public addresses: a provider's address must not lead into the operator's own network or to a cloud's metadata.
#[derive(Debug, Clone)]
pub(crate) struct Resolver {
    names: GaiResolver,
    only_public: bool,
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

    #[test]
    fn the_upstream_learns_nothing_of_the_client_and_is_told_nothing_beside_the_request() {
        let mut client = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer sk-fb_secret"),
            ("x-api-key", "sk-fb_secret"),
            ("cookie", "a=b"),
            ("connection", "close, X-Private"),
            ("x-private", "1"),
            ("te", "trailers"),
            ("x-forwarded-for", "1.2.3.4"),
            ("cf-connecting-ip", "1.2.3.4"),
            ("true-client-ip", "1.2.3.4"),
            ("host", "gateway"),
            ("content-length", "7"),
            ("accept-encoding", "gzip"),
            ("content-type", "application/json"),
            ("x-stainless-lang", "python"),
            ("idempotency-key", "shared"),
            ("x-vertex-ai-llm-shared-request-type", "priority"),
        ] {
            client.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let credential = HeaderValue::from_static("Bearer upstream");
        let headers = request_headers(&client, Some(&credential));
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept-encoding", "authorization", "content-type", "x-stainless-lang"]);
        assert_eq!((&headers["authorization"], &headers["accept-encoding"]), (&credential, &HeaderValue::from_static("identity")));
    }
}
