//! The spellings of an address, of which clients make several out of a base URL that is slightly off.

use std::borrow::Cow;

use http::Method;

use crate::{
    dialect::DIALECTS,
    reply::{Refusal, shown},
};

/// What is told below the base URL, beside the calls of each API.
const TOLD: [(&str, &str); 7] = [
    ("GET", "/models"),
    ("GET", "/models/{model}"),
    ("GET", "/key"),
    ("GET", "/credits"),
    ("GET", "/generation?id={x-request-id}"),
    ("GET", "/organization/usage/completions"),
    ("GET", "/organization/costs"),
];

/// What can be asked for below the base URL.
pub(crate) fn offered() -> impl Iterator<Item = (&'static str, &'static str)> {
    DIALECTS.into_iter().map(|dialect| ("POST", dialect.upstream_path)).chain(TOLD)
}

/// The one spelling of an address that has several: with `/v1` once, and without slashes that say nothing. The name of a model stays as it is written.
pub(crate) fn canonical(path: &str) -> Cow<'_, str> {
    if matches!(path, "/livez" | "/readyz") {
        return Cow::Borrowed(path);
    }
    let mut rest = path.trim_start_matches('/');
    while let Some(below) = rest.strip_prefix("v1").filter(|below| below.is_empty() || below.starts_with('/')) {
        rest = below.trim_start_matches('/');
    }
    let rest = rest.trim_end_matches('/');
    let (known, name) = if rest.starts_with("models/") { rest.split_at("models".len()) } else { (rest, "") };
    if !known.contains("//") && !name.starts_with("//") && path.strip_prefix("/v1/") == Some(rest) {
        return Cow::Borrowed(path);
    }
    let known: Vec<_> = known.split('/').filter(|segment| !segment.is_empty()).collect();
    let (known, name) = (known.join("/"), name.trim_start_matches('/'));
    Cow::Owned(if name.is_empty() { format!("/v1/{known}") } else { format!("/v1/{known}/{name}") })
}

/// No such address, and which there are; what is not metered is never forwarded.
pub(crate) fn unknown(method: &Method, path: &str, proxy_url: &str) -> Refusal {
    let mut offered = offered().map(|(method, path)| format!("{method} {path}")).collect::<Vec<_>>().join(", ");
    if let Some(last) = offered.rfind(", ") {
        offered.replace_range(last..last + 2, " and ");
    }
    let mut refusal = Refusal::unknown_path(method, path);
    let base_url = shown(proxy_url.trim_end_matches('/'));
    refusal.message.push_str(&format!(" Set the client's base URL to {base_url}/v1, below which there are {offered}."));
    refusal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_that_is_slightly_off_leads_to_the_same() {
        for path in [
            "/v1/chat/completions",
            "/chat/completions",
            "/v1/v1/chat/completions",
            "//v1//chat/completions",
            "/v1/chat//completions/",
            "/v1//v1/chat/completions",
            "chat/completions",
        ] {
            assert_eq!(canonical(path), "/v1/chat/completions", "{path}");
        }
        for path in ["/models", "/v1/models/", "//models"] {
            assert_eq!(canonical(path), "/v1/models", "{path}");
        }
        assert!(matches!(canonical("/v1/chat/completions"), Cow::Borrowed(_)), "what is right is not copied");
    }

    #[test]
    fn the_name_of_a_model_stays_what_it_is() {
        for (path, right) in [
            ("/v1/models/vendor/large", "/v1/models/vendor/large"),
            ("/models/vendor//large/", "/v1/models/vendor//large"),
            ("/v1/models//v1/models", "/v1/models/v1/models"),
            ("/v1/models/v1", "/v1/models/v1"),
        ] {
            assert_eq!(canonical(path), right, "{path}");
        }
    }

    #[test]
    fn what_may_mean_something_else_is_left_as_it_is() {
        for path in ["/v1/chat/completions/chat/completions", "/v1/openai/chat/completions", "/v1/V1/models", "/v1/v1beta/models"] {
            assert_eq!(canonical(path), path);
        }
        assert_eq!(
            (canonical("/livez"), canonical("/v1beta/models"), canonical("/")),
            ("/livez".into(), "/v1/v1beta/models".into(), "/v1/".into())
        );
    }
}
