//! Web pages of other origins as clients (<https://fetch.spec.whatwg.org/#http-cors-protocol>).
//!
//! A browser asks first, without the key, and shows an answer to the page only when that answer says so. Whether a call is served depends on its key
//! alone: whoever is no browser can send any origin.

use std::str::FromStr;

use http::{HeaderMap, HeaderValue, Response, StatusCode, Uri, header, request::Parts};

use crate::{
    gateway::AnswerBody,
    reply::{Refusal, shown},
};

/// What a page may read of an answer beside its body.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "x-request-id, retry-after, retry-after-ms, x-should-retry, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, \
     x-ratelimit-reset-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens, openai-processing-ms, \
     openai-version, x-farebox-cost",
);
/// How long a browser need not ask again, in seconds: no browser remembers it for longer than a day, Chromium for two hours.
const ASK_AGAIN_AFTER: HeaderValue = HeaderValue::from_static("7200");

/// An origin whose pages may call, or `*` for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedOrigin {
    /// Pages of any origin.
    Any,
    /// As browsers write it: `https://app.example.com`.
    Named(String),
}

impl FromStr for AllowedOrigin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "write an origin like https://app.example.com, without a path, or * for all";
        let text = text.trim().trim_end_matches('/').to_ascii_lowercase();
        if text == "*" {
            return Ok(Self::Any);
        }
        // What pages without an address send, such as those of a file.
        if text == "null" {
            return Ok(Self::Named(text));
        }
        let uri: Uri = text.parse().map_err(|_| WRONG)?;
        let is_origin = uri.scheme().is_some()
            && matches!(uri.path(), "" | "/")
            && uri.query().is_none()
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        if is_origin { Ok(Self::Named(text)) } else { Err(WRONG) }
    }
}

/// What a browser has to be told of one request, if it comes from a page that may read the answer.
pub(crate) struct Permission(HeaderValue);

impl Permission {
    pub(crate) fn of(headers: &HeaderMap, allowed: &[AllowedOrigin]) -> Option<Self> {
        let origin = headers.get(header::ORIGIN)?;
        let is_allowed = allowed.iter().any(|allowed| match allowed {
            AllowedOrigin::Any => true,
            AllowedOrigin::Named(name) => origin.as_bytes().eq_ignore_ascii_case(name.as_bytes()),
        });
        is_allowed.then(|| Self(origin.clone()))
    }

    /// Lets the page read this answer, whether it is a refusal or not.
    pub(crate) fn tell(self, answer: &mut HeaderMap) {
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, self.0);
        answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        answer.append(header::VARY, HeaderValue::from_static("origin"));
    }
}

/// Answers `OPTIONS`, of an address that answers these methods.
pub(crate) fn preflight(head: &Parts, methods: &'static str, permission: Option<&Permission>) -> Result<Response<AnswerBody>, Refusal> {
    let asked_for = head.headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS);
    if let Some(origin) = head.headers.get(header::ORIGIN).filter(|_| permission.is_none()) {
        return Err(not_allowed(origin));
    }
    let mut answer = Response::new(AnswerBody::from(bytes::Bytes::new()));
    *answer.status_mut() = StatusCode::NO_CONTENT;
    let headers = answer.headers_mut();
    headers.insert(header::ALLOW, HeaderValue::from_static(methods));
    if permission.is_some() {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, ASK_AGAIN_AFTER);
        if let Some(names) = asked_for {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
        }
    }
    Ok(answer)
}

fn not_allowed(origin: &HeaderValue) -> Refusal {
    let message = format!(
        "Pages of {} may not call this gateway. Its operator can allow them: --allowed-origins, or FAREBOX_ALLOWED_ORIGINS.",
        shown(origin.to_str().unwrap_or("another origin"))
    );
    Refusal { status: StatusCode::FORBIDDEN, kind: "permission_error", code: "origin_not_allowed", message, ..Refusal::failed() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(origin: &'static str, allowed: &[&str]) -> bool {
        let allowed: Vec<AllowedOrigin> = allowed.iter().filter_map(|text| text.parse().ok()).collect();
        let headers = HeaderMap::from_iter([(header::ORIGIN, HeaderValue::from_static(origin))]);
        Permission::of(&headers, &allowed).is_some()
    }

    #[test]
    fn an_origin_is_allowed_as_a_whole_or_not_at_all() {
        let allowed = ["https://App.example.com/", "app://notes.example"];
        for origin in ["https://app.example.com", "app://notes.example"] {
            assert!(permits(origin, &allowed), "{origin}");
        }
        for origin in ["http://app.example.com", "https://app.example.com:8443", "https://app.example.com.evil.example", "null"] {
            assert!(!permits(origin, &allowed), "{origin}");
            assert!(permits(origin, &["*"]) && !permits(origin, &[]), "{origin}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused_when_it_is_set() {
        for wrong in ["", "app.example.com", "https://app.example.com/chat", "https://me@app.example.com", "https://*.example.com/?x"] {
            assert!(wrong.parse::<AllowedOrigin>().is_err(), "{wrong}");
        }
    }
}
