//! The key that a request presents, and what is odd about one that cannot be read.
//!
//! What was sent is never repeated, not even in part: a refusal ends up in logs and screenshots.

use std::fmt;

use domain::key::{ApiKey, MalformedKey, ReportKey};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use ledger::keys::digest;

use crate::reply::Refusal;

/// What a key is known by: its SHA-256.
pub(crate) type Digest = [u8; 32];

/// A key that has a key's form: read and digested once, asked for as often as its request has to wait.
#[derive(Clone, Copy)]
pub(crate) struct Presented(Digest);

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Presented")
    }
}

/// Anthropic's clients send the key alone, in this header.
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// Where other gateways take keys.
const ELSEWHERE: [&str; 3] = ["api-key", "x-goog-api-key", "proxy-authorization"];
/// Schemes that can be named: any other first word may be a part of the key.
const SCHEMES: [&str; 7] = ["Basic", "Digest", "Negotiate", "OAuth", "Token", "ApiKey", "Key"];
const QUOTES: [char; 3] = ['"', '\'', '`'];

impl Presented {
    /// The key in `Authorization: Bearer`, as OpenAI's clients send it, or in `x-api-key`.
    ///
    /// # Errors
    /// A refusal that says what is odd.
    pub(crate) fn by(headers: &HeaderMap) -> Result<Self, Refusal> {
        match Reader::by(headers)? {
            Reader::Key(key) => Ok(key),
            Reader::Report(_) => Err(Refusal::no_key(
                "A report key reads usage and costs, and opens nothing else. Send an API key, which begins with sk-fb_.",
            )),
        }
    }

    pub(crate) const fn digest(self) -> Digest {
        self.0
    }
}

/// What reports are asked for with.
pub(crate) enum Reader {
    /// A report key, which opens those of a whole account.
    Report(ReportKey),
    /// An API key, which opens its own.
    Key(Presented),
}

impl Reader {
    /// As [`Presented::by`], of either kind.
    ///
    /// # Errors
    /// A refusal that says what is odd.
    pub(crate) fn by(headers: &HeaderMap) -> Result<Self, Refusal> {
        let text = text(headers).map_err(|odd| Refusal::no_key(&odd.to_string()))?;
        if let Some(key) = ReportKey::parse(text) {
            return Ok(Self::Report(key));
        }
        let malformed = |malformed: MalformedKey| Refusal::no_key(&format!("The API key {malformed}."));
        ApiKey::parse(text).map(|key| Self::Key(Presented(digest(&key)))).map_err(malformed)
    }
}

/// Why no key can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Odd {
    #[error("No API key was sent. Send it in the header \"Authorization: Bearer sk-fb_…\".")]
    None,
    #[error("The API key was sent in the header {0}, which is not read here. Send it in \"Authorization: Bearer sk-fb_…\".")]
    Elsewhere(&'static str),
    #[error("The header {0} has no API key in it: the variable that it was taken from may be empty.")]
    Empty(&'static str),
    #[error("The header Authorization has the scheme {0}. Send \"Authorization: Bearer sk-fb_…\".")]
    Scheme(&'static str),
    #[error("The header Authorization has another scheme than Bearer. Send \"Authorization: Bearer sk-fb_…\".")]
    UnknownScheme,
    #[error("The word Bearer is missing before the API key. Send \"Authorization: Bearer sk-fb_…\".")]
    NoScheme,
    #[error("The word Bearer stands twice before the API key: the client puts it there by itself, so give it the key alone.")]
    BearerTwice,
    #[error("The header x-api-key takes the API key alone, without the word Bearer.")]
    BearerInXApiKey,
    #[error("The API key in the header {0} stands in quotes. Send it without them.")]
    Quotes(&'static str),
    #[error("The API key in the header {0} has a blank in it.")]
    Blank(&'static str),
    #[error(
        "The header {0} has a character in it that no API key has, perhaps an invisible character that was copied along. Type or copy the key anew."
    )]
    Invisible(&'static str),
    #[error("Two different API keys were sent: the headers Authorization and x-api-key, or one of them twice, do not agree. Send one key.")]
    Different,
}

impl Odd {
    /// Whether another header may hold the key all the same: a relay's own `Authorization: Basic`, a variable that is set to nothing.
    const fn leaves_room(self) -> bool {
        matches!(self, Self::Empty(_) | Self::Scheme(_) | Self::UnknownScheme)
    }
}

fn text(headers: &HeaderMap) -> Result<&str, Odd> {
    let bearers = headers.get_all(header::AUTHORIZATION).iter().map(bearer);
    let bare = headers.get_all(X_API_KEY).iter().map(x_api_key);
    let (mut found, mut odd) = (None, None);
    for read in bearers.chain(bare) {
        match read {
            Ok(key) if found.is_some_and(|other| other != key) => return Err(Odd::Different),
            Ok(key) => found = Some(key),
            Err(why) if why.leaves_room() => odd = odd.or(Some(why)),
            Err(why) => return Err(why),
        }
    }
    let elsewhere = || ELSEWHERE.into_iter().find(|name| headers.contains_key(*name)).map(Odd::Elsewhere);
    found.ok_or_else(|| odd.or_else(elsewhere).unwrap_or(Odd::None))
}

fn bearer(value: &HeaderValue) -> Result<&str, Odd> {
    const NAME: &str = "Authorization";
    let text = readable(value, NAME)?;
    // RFC 9110 has spaces between the two; a tab is as plain.
    let (scheme, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    if scheme.eq_ignore_ascii_case("bearer") {
        return if begins_with_bearer(rest) { Err(Odd::BearerTwice) } else { alone(rest, NAME) };
    }
    if text.starts_with(QUOTES) {
        return Err(Odd::Quotes(NAME));
    }
    let known = SCHEMES.into_iter().find(|known| scheme.eq_ignore_ascii_case(known));
    Err(match known {
        _ if text.is_empty() => Odd::Empty(NAME),
        Some(known) => Odd::Scheme(known),
        None if rest.is_empty() => Odd::NoScheme,
        None => Odd::UnknownScheme,
    })
}

fn x_api_key(value: &HeaderValue) -> Result<&str, Odd> {
    const NAME: &str = "x-api-key";
    let text = readable(value, NAME)?;
    if begins_with_bearer(text) { Err(Odd::BearerInXApiKey) } else { alone(text, NAME) }
}

/// What an upstream would read, without the blanks around it.
fn readable<'a>(value: &'a HeaderValue, name: &'static str) -> Result<&'a str, Odd> {
    value.to_str().map(str::trim).map_err(|_| Odd::Invisible(name))
}

fn begins_with_bearer(text: &str) -> bool {
    text.split_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case("bearer"))
}

/// The key itself, where nothing stands around it or in it.
fn alone<'a>(text: &'a str, name: &'static str) -> Result<&'a str, Odd> {
    let key = text.trim();
    if key.is_empty() {
        Err(Odd::Empty(name))
    } else if key.starts_with(QUOTES) || key.ends_with(QUOTES) {
        Err(Odd::Quotes(name))
    } else if key.contains([' ', '\t']) {
        Err(Odd::Blank(name))
    } else {
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    const KEY: &str = "sk-fb_xyz";
    const BEARER: &str = "Authorization";
    const BARE: &str = "x-api-key";

    fn check(sent: &[(&'static str, &[u8])], right: Result<&str, Odd>) {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_bytes(value).unwrap());
        }
        assert_eq!(text(&headers), right, "{sent:?}");
    }

    #[test]
    fn a_key_is_read_in_any_case_and_between_blanks() {
        for value in ["Bearer sk-fb_xyz", "bearer sk-fb_xyz", "BEARER  sk-fb_xyz ", "Bearer\tsk-fb_xyz"] {
            check(&[(BEARER, value.as_bytes())], Ok(KEY));
        }
        check(&[(BARE, b" sk-fb_xyz ")], Ok(KEY));
    }

    #[test]
    fn what_is_odd_is_told_from_what_was_not_sent() {
        check(&[], Err(Odd::None));
        for (value, odd) in [
            (&b"Bearer \"sk-fb_xyz\""[..], Odd::Quotes(BEARER)),
            (b"\"Bearer sk-fb_xyz\"", Odd::Quotes(BEARER)),
            (b"'sk-fb_xyz'", Odd::Quotes(BEARER)),
            (b"Bearer bearer sk-fb_xyz", Odd::BearerTwice),
            (b"Bearer Bearer", Odd::BearerTwice),
            (b"sk-fb_xyz", Odd::NoScheme),
            (b"Bearer sk-fb_xyz\xe2\x80\x8b", Odd::Invisible(BEARER)),
            (b"Bearer sk-fb_xyz\xff", Odd::Invisible(BEARER)),
            (b"Basic sk-fb_xyz", Odd::Scheme("Basic")),
            (b"token sk-fb_xyz", Odd::Scheme("Token")),
            (b"sk-fb_xyz sk-fb_xyz", Odd::UnknownScheme),
            (b"Bearer", Odd::Empty(BEARER)),
            (b"", Odd::Empty(BEARER)),
            (b"Bearer sk-fb_ xyz", Odd::Blank(BEARER)),
        ] {
            check(&[(BEARER, value)], Err(odd));
        }
        check(&[(BARE, b"Bearer sk-fb_xyz")], Err(Odd::BearerInXApiKey));
        check(&[(BARE, b"\"sk-fb_xyz\"")], Err(Odd::Quotes(BARE)));
        check(&[("api-key", b"sk-fb_xyz")], Err(Odd::Elsewhere("api-key")));
    }

    #[test]
    fn two_keys_are_none_unless_they_are_the_same() {
        check(&[(BEARER, b"Bearer sk-fb_xyz"), (BARE, b"sk-fb_xyz")], Ok(KEY));
        check(&[(BEARER, b"Bearer sk-fb_xyz"), (BARE, b"another")], Err(Odd::Different));
        check(&[(BEARER, b"Bearer sk-fb_xyz"), (BEARER, b"Bearer another")], Err(Odd::Different));
        check(&[(BEARER, b"Bearer \"sk-fb_xyz\""), (BARE, b"sk-fb_xyz")], Err(Odd::Quotes(BEARER)));
        // What is another's business, or nobody's, is in nobody's way.
        check(&[(BEARER, b"Basic cmVsYXk="), (BARE, b"sk-fb_xyz")], Ok(KEY));
        check(&[(BEARER, b"Bearer sk-fb_xyz"), (BARE, b"")], Ok(KEY));
    }
}
