//! What is particular to each API that clients speak: a table each, and the engines that read the tables.
//!
//! An engine knows no provider, a table knows no code. What a provider does differently is a row, with a link to where it says so.

mod chat;
mod completions;
mod embeddings;
mod fim;
mod members;
mod messages;
pub(crate) mod prompt;
pub(crate) mod reading;
pub(crate) mod request;
mod responses;
pub(crate) mod usage;

use std::sync::LazyLock;

use domain::catalog::Api;

use self::{prompt::Parts, request::Member, usage::Accounting};
use crate::wire::grammar::Grammar;

/// Every API that is metered, by its [`Dialect::index`].
pub(crate) static DIALECTS: [&Dialect; 6] =
    [&chat::DIALECT, &completions::DIALECT, &embeddings::DIALECT, &responses::DIALECT, &messages::DIALECT, &fim::DIALECT];

/// One API.
#[derive(Debug)]
pub(crate) struct Dialect {
    /// Its place in [`DIALECTS`].
    pub(crate) index: usize,
    /// What operators call it, who say which of them a provider speaks.
    pub(crate) api: Api,
    /// What it is called in metrics, by OpenTelemetry's names of operations (<https://opentelemetry.io/docs/specs/semconv/gen-ai/>).
    pub(crate) operation: &'static str,
    /// Its address here, and behind a provider's base URL, where the version segment is the base's.
    pub(crate) route: &'static str,
    pub(crate) upstream_path: &'static str,
    /// How a provider is shown its credential.
    pub(crate) credential: Credential,
    /// What of a client's headers goes upstream beside those that always do; where it is not sent, with this value, if there is one.
    pub(crate) headers: &'static [(&'static str, Option<&'static str>)],
    /// How its own errors look.
    pub(crate) errors: ErrorShape,
    pub(crate) request: Asking,
    pub(crate) answers: Answers,
}

/// Where a provider looks for the operator's credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credential {
    /// `authorization: Bearer …`
    Bearer,
    /// `x-api-key: …`
    ApiKey,
}

/// How an error is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ErrorShape {
    /// `{"error": {"message", "type", "param", "code"}}`
    #[default]
    OpenAi,
    /// `{"type": "error", "error": {"type", "message"}, "request_id"}`
    Anthropic,
}

/// What a request may hold. Whatever has no row is refused, unless the operator has opened it for the model.
#[derive(Debug)]
pub(crate) struct Asking {
    /// What each member is.
    members: &'static [(&'static str, Member)],
    /// Members that cost nothing beside the tokens that the cap holds.
    pub(crate) harmless: &'static [&'static [&'static str]],
    /// The names of the cap on each answer's output.
    pub(crate) caps: Caps,
    /// What a prompt is made of.
    pub(crate) parts: Parts,
}

/// How each answer's output is capped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caps {
    /// There is no output.
    None,
    /// By this member, which may be left out; then so many tokens are meant, if the API says how many.
    Optional(&'static str, Option<i64>),
    /// By this member, without which the API takes no request.
    Required(&'static str),
    /// By the one of [`OutputCapField`](domain::catalog::OutputCapField) that the model takes.
    ByModel,
}

/// How answers are read.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) grammar: LazyLock<Grammar>,
    pub(crate) accounting: Accounting,
    /// Whether there is an output to be counted.
    pub(crate) has_output: bool,
    /// Kinds of events that say that the answer failed.
    pub(crate) failed_kinds: &'static [&'static str],
}

impl Dialect {
    /// The API of an address.
    pub(crate) fn of(path: &str) -> Option<&'static Self> {
        DIALECTS.into_iter().find(|dialect| dialect.route == path)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod tests;

#[cfg(test)]
mod table_tests {
    use super::*;

    #[test]
    fn each_stands_where_it_says() {
        for (index, dialect) in DIALECTS.into_iter().enumerate() {
            assert_eq!((dialect.index, Dialect::of(dialect.route).map(|found| found.index)), (index, Some(index)), "{}", dialect.route);
            assert_eq!(Api::ALL.iter().filter(|api| **api == dialect.api).count(), 1);
            assert!(dialect.route.ends_with(dialect.upstream_path), "{}", dialect.route);
        }
        assert!(Dialect::of("/v1/chat").is_none());
    }

    #[test]
    fn no_member_is_two_things() {
        for dialect in DIALECTS {
            let own = dialect.request.members.iter().map(|(name, _)| *name);
            let mut names: Vec<_> = own.chain(dialect.request.harmless.iter().flat_map(|names| names.iter().copied())).collect();
            names.sort_unstable();
            let count = names.len();
            names.dedup();
            assert_eq!(names.len(), count, "{}: {names:?}", dialect.route);
        }
    }
}
