//! Which headers pass, in either direction.

use domain::{catalog::Model, tokens::Tokens};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{admit::target::Target, dialect::Dialect};

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
/// Of Anthropic's betas, the one that widens a model's window, and the window without it (<https://docs.claude.com/en/docs/build-with-claude/context-windows>).
const ANTHROPIC_WIDE: &str = "context-1m";
const ANTHROPIC_WINDOW: Tokens = Tokens::from_sum(200_000);

/// What of an answer's headers is the client's: what the body is, when to come again, and what OpenAI's clients read. All else is the operator's own with
/// the upstream (limits, organisation, cost, cookies), speaks for another host than this one (HSTS, `location`, `access-control-allow-origin`, `server`),
/// or is this proxy's to say (`x-request-id`). Of what is sent twice, the first counts.
const DOWNSTREAM: [HeaderName; 8] = [
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::CACHE_CONTROL,
    header::RETRY_AFTER,
    HeaderName::from_static("retry-after-ms"),
    HeaderName::from_static("x-should-retry"),
    HeaderName::from_static("openai-processing-ms"),
    HeaderName::from_static("openai-version"),
];
/// Read by nginx, which as installed keeps back what it relays.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// What an upstream is told of a client's request.
pub(super) fn request_headers(client: &HeaderMap, dialect: &Dialect, target: &Target, model: &Model) -> HeaderMap {
    let nominated = nominated(client);
    let passes = |name: &HeaderName| (UPSTREAM.contains(name) || name.as_str().starts_with(CLIENT_LIBRARY)) && !nominated(name);
    let mut headers: HeaderMap =
        client.iter().filter(|(name, _)| passes(name)).map(|(name, value)| (name.clone(), value.clone())).collect();
    // What an upstream compresses all the same has to be unpacked to be metered, and costs both sides time.
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    for (name, value) in dialect.headers {
        let own = own(client, name, model).or_else(|| value.map(HeaderValue::from_static));
        headers.extend(own.map(|value| (HeaderName::from_static(name), value)));
    }
    headers.extend(target.credential(dialect));
    headers
}

/// All that a client says by a header, but for what would take more than the model's entry says.
fn own(client: &HeaderMap, name: &str, model: &Model) -> Option<HeaderValue> {
    let values = client.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let items = values.flat_map(|list| list.split(',')).map(str::trim);
    let is_wide = model.context_window > ANTHROPIC_WINDOW;
    let passing: Vec<_> = items.filter(|item| !item.is_empty() && (is_wide || !item.starts_with(ANTHROPIC_WIDE))).collect();
    HeaderValue::try_from(passing.join(",")).ok().filter(|value| !value.is_empty())
}

/// The headers of the upstream's answer that are the client's; of a stream, also what keeps a relay from holding it back.
pub(crate) fn response_headers(upstream: &HeaderMap, is_stream: bool) -> HeaderMap {
    let nominated = nominated(upstream);
    let mut headers = HeaderMap::with_capacity(DOWNSTREAM.len() + 1);
    for name in DOWNSTREAM {
        if let Some(value) = upstream.get(&name).filter(|_| !nominated(&name)) {
            headers.insert(name, value.clone());
        }
    }
    if is_stream || headers.get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream")) {
        headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    }
    headers
}

/// Whether a header is for the connection alone, by its `Connection`.
fn nominated(headers: &HeaderMap) -> impl Fn(&HeaderName) -> bool {
    let lists = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let names: Vec<&str> = lists.flat_map(|list| list.split(',')).map(str::trim).collect();
    move |name| names.iter().any(|nominee| nominee.eq_ignore_ascii_case(name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{admit::bound::tests::model, dialect::DIALECTS};

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
        let headers = request_headers(&client, DIALECTS[0], &target, &model());
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
        let headers = request_headers(&client, messages, &target, &model());
        assert_eq!((headers["x-api-key"].as_bytes(), headers["anthropic-version"].as_bytes()), (&b"upstream"[..], &b"2023-06-01"[..]));
        assert!(!headers.contains_key("authorization") && !headers.contains_key("anthropic-beta"));
        client.insert("anthropic-version", HeaderValue::from_static("2030-01-01"));
        client.insert("anthropic-beta", HeaderValue::from_static("effort-2025-11-24, context-1m-2025-08-07"));
        client.append("anthropic-beta", HeaderValue::from_static("structured-outputs-2025-11-13"));
        let headers = request_headers(&client, messages, &target, &model());
        assert_eq!(
            (headers["anthropic-version"].as_bytes(), headers["anthropic-beta"].as_bytes()),
            (&b"2030-01-01"[..], &b"effort-2025-11-24,structured-outputs-2025-11-13"[..]),
            "the window is the model's"
        );
        let wide = Model { context_window: Tokens::from_sum(1_000_000), ..model() };
        let headers = request_headers(&client, messages, &target, &wide);
        assert!(headers["anthropic-beta"].as_bytes().windows(10).any(|part| part == b"context-1m"));
    }

    #[test]
    fn a_client_is_told_what_is_its_business_and_nothing_of_the_operators() {
        let mut upstream = HeaderMap::new();
        for (name, value) in [
            ("content-type", "application/json"),
            ("content-type", "text/html"),
            ("content-length", "7"),
            ("retry-after", "3"),
            ("retry-after-ms", "2500"),
            ("x-should-retry", "true"),
            ("openai-processing-ms", "12"),
            ("openai-version", "2020-10-01"),
            ("cache-control", "no-cache"),
            ("connection", "openai-version"),
            ("openai-organization", "org-1"),
            ("anthropic-organization-id", "org-1"),
            ("anthropic-ratelimit-requests-limit", "1"),
            ("x-ratelimit-limit-requests", "1"),
            ("x-litellm-response-cost", "0.1"),
            ("x-litellm-key-spend", "0.1"),
            ("x-litellm-model-api-base", "https://internal"),
            ("strict-transport-security", "max-age=1"),
            ("set-cookie", "a=b"),
            ("location", "https://elsewhere"),
            ("refresh", "0"),
            ("clear-site-data", "\"*\""),
            ("www-authenticate", "Bearer"),
            ("access-control-allow-origin", "*"),
            ("server", "uvicorn"),
            ("x-request-id", "theirs"),
            ("x-accel-buffering", "yes"),
        ] {
            upstream.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let headers = response_headers(&upstream, false);
        let mut names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            ["cache-control", "content-length", "content-type", "openai-processing-ms", "retry-after", "retry-after-ms", "x-should-retry"]
        );
        assert_eq!(headers["content-type"], "application/json");
    }

    #[test]
    fn a_relay_is_told_not_to_hold_a_stream_back() {
        let mut upstream = HeaderMap::new();
        assert_eq!(response_headers(&upstream, true)[ACCEL_BUFFERING], "no");
        assert!(!response_headers(&upstream, false).contains_key(ACCEL_BUFFERING));
        upstream.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
        assert_eq!(response_headers(&upstream, false)[ACCEL_BUFFERING], "no");
    }
}
