//! An upstream's address and credential as people type, copy or read them from a file, and as they are stored.

use std::{fmt, str::FromStr};

use axum::http::Uri;

/// What the proxy adds to a base URL by itself.
const ENDPOINTS: [&str; 6] = ["/chat/completions", "/completions", "/embeddings", "/responses", "/messages", "/models"];
const QUOTES: [char; 3] = ['"', '\'', '`'];

/// An upstream's address up to and including the version segment, in one spelling: without an endpoint, a doubled version, or slashes that say nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BaseUrl(String);

impl BaseUrl {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const WRONG: &str = "write it like https://api.openai.com/v1";
        let text = without_quotes(text);
        let uri: Uri = text.parse().map_err(|error| format!("{error}: {WRONG}"))?;
        let (Some(scheme @ ("http" | "https")), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(WRONG.to_owned());
        };
        if authority.as_str().contains('@') || uri.query().is_some() || text.contains('#') {
            return Err(format!("it has more than a host and a path: {WRONG}"));
        }
        Ok(Self(format!("{scheme}://{}{}", authority.as_str().to_ascii_lowercase(), path(uri.path()))))
    }
}

/// The path as a base URL has it: empty, or without a slash at its end.
fn path(typed: &str) -> String {
    let mut segments: Vec<&str> = typed.split('/').filter(|segment| !segment.is_empty()).collect();
    let whole = format!("/{}", segments.join("/"));
    if let Some(endpoint) = ENDPOINTS.into_iter().find(|endpoint| whole.ends_with(endpoint)) {
        segments.truncate(segments.len() - endpoint.matches('/').count());
    }
    segments.dedup_by(|next, before| next == before && is_version(next));
    segments.iter().map(|segment| format!("/{segment}")).collect()
}

fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

/// What opens an upstream, without what stands around it. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credential(String);

impl Credential {
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl FromStr for Credential {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut credential = without_quotes(text);
        // The proxy puts the word there by itself.
        while let Some((_, rest)) = credential.split_once(char::is_whitespace).filter(|(word, _)| word.eq_ignore_ascii_case("bearer")) {
            credential = without_quotes(rest);
        }
        if credential.is_empty() || credential.eq_ignore_ascii_case("bearer") {
            Err("is empty")
        } else if credential.chars().any(char::is_whitespace) {
            Err("has a blank or the end of a line in it")
        } else if !credential.bytes().all(|byte| byte.is_ascii_graphic()) {
            Err("has a character in it that fits into no header, perhaps an invisible one that was copied along")
        } else {
            Ok(Self(credential.to_owned()))
        }
    }
}

/// A text without the blanks and the pair of quotes around it.
fn without_quotes(text: &str) -> &str {
    let text = text.trim();
    let unquoted = QUOTES.into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote));
    unquoted.map_or(text, str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_stored_in_one_spelling() {
        for typed in [
            "https://api.example.com/v1",
            " https://api.example.com/v1/ ",
            "\"https://api.example.com/v1\"",
            "HTTPS://API.Example.com//v1",
            "https://api.example.com/v1/v1",
            "https://api.example.com/v1/chat/completions",
            "https://api.example.com/v1//chat/completions/",
            "https://api.example.com/v1/models",
        ] {
            assert_eq!(typed.parse::<BaseUrl>(), Ok(BaseUrl("https://api.example.com/v1".to_owned())), "{typed}");
        }
        for (typed, stored) in [
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
            ("http://localhost:11434/", "http://localhost:11434"),
            ("https://example.com/proxy/proxy/v1beta/openai", "https://example.com/proxy/proxy/v1beta/openai"),
        ] {
            assert_eq!(typed.parse::<BaseUrl>(), Ok(BaseUrl(stored.to_owned())), "{typed}");
        }
        for wrong in ["", "api.example.com/v1", "ftp://a/v1", "https://me@a/v1", "https://a/v1?x=1", "https://a/v1#x", "https://a b/v1"] {
            assert!(wrong.parse::<BaseUrl>().is_err_and(|why| why.contains("write it like")), "{wrong}");
        }
    }

    #[test]
    fn a_credential_is_stored_without_what_stands_around_it_or_refused() {
        for typed in
            ["sk-up", "sk-up\n", "sk-up\r\n", " sk-up ", "Bearer sk-up", "bearer\tsk-up", "\"sk-up\"", "'Bearer sk-up'", "Bearer \"sk-up\""]
        {
            assert_eq!(typed.parse::<Credential>().map(|credential| credential.0), Ok("sk-up".to_owned()), "{typed:?}");
        }
        for (typed, problem) in [
            ("", "empty"),
            (" \n", "empty"),
            ("\"\"", "empty"),
            ("Bearer ", "empty"),
            ("sk-\nup", "blank"),
            ("sk- up", "blank"),
            ("sk-üp", "no header"),
            ("sk-up\u{200b}", "invisible"),
        ] {
            assert!(typed.parse::<Credential>().is_err_and(|why| why.contains(problem)), "{typed:?}");
        }
    }
}
