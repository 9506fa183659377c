//! Which headers pass, in either direction.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{admit::catalog::Target, dialect::Dialect};

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

/// What an upstream is told of a client's request.
pub(super) fn request_headers(client: &HeaderMap, dialect: &Dialect, target: &Target) -> HeaderMap {
    let mut headers = passed_on(client, |name| UPSTREAM.contains(name) || name.as_str().starts_with(CLIENT_LIBRARY));
    // What an upstream compresses all the same has to be unpacked to be metered, and costs both sides time.
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    for (name, value) in dialect.headers {
        let own = client.get(*name).cloned().or_else(|| value.map(HeaderValue::from_static));
        headers.extend(own.map(|value| (HeaderName::from_static(name), value)));
    }
    headers.extend(target.credential(dialect));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::DIALECTS;

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
        let target = Target::of("https://api.example.com/v1", Some("upstream"));
        let headers = request_headers(&client, DIALECTS[0], &target);
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept-encoding", "authorization", "content-type", "x-stainless-lang"]);
        assert_eq!(
            (headers["authorization"].as_bytes(), headers["accept-encoding"].as_bytes()),
            (&b"Bearer upstream"[..], &b"identity"[..])
        );
    }

    #[test]
    fn each_api_is_shown_the_credential_where_it_looks_for_it() {
        let messages = Dialect::of("/v1/messages").into_iter().next().unwrap_or(DIALECTS[0]);
        let target = Target::of("https://api.example.com/v1", Some("upstream"));
        let mut client = HeaderMap::new();
        let headers = request_headers(&client, messages, &target);
        assert_eq!((headers["x-api-key"].as_bytes(), headers["anthropic-version"].as_bytes()), (&b"upstream"[..], &b"2023-06-01"[..]));
        assert!(!headers.contains_key("authorization") && !headers.contains_key("anthropic-beta"));
        client.insert("anthropic-version", HeaderValue::from_static("2030-01-01"));
        client.insert("anthropic-beta", HeaderValue::from_static("context-1m-2025-08-07"));
        let headers = request_headers(&client, messages, &target);
        assert_eq!(
            (headers["anthropic-version"].as_bytes(), headers["anthropic-beta"].as_bytes()),
            (&b"2030-01-01"[..], &b"context-1m-2025-08-07"[..])
        );
    }
}
