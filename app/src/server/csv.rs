//! Files for spreadsheets: RFC 4180, in UTF-8.

use std::convert::Infallible;

use axum::{
    body::Body,
    extract::{FromRef, FromRequestParts, RawPathParams},
    http::{HeaderValue, header, request::Parts},
    response::{IntoResponse, Response},
};
use domain::filter::FilterError;
use futures_util::stream;
use ledger::AccountReader;

use super::{Caller, Console, Visitor, about};
use crate::error::ConsoleError;

/// Whoever asks for a file of an account, and how they narrow it.
pub(crate) struct Asked {
    pub(crate) caller: Caller,
    /// The one that an operator's address names; empty for the visitor's own.
    account: String,
    query: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Asked
where
    Console: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let visitor = Visitor::from_request_parts(parts, state).await?;
        let account = match RawPathParams::from_request_parts(parts, state).await {
            Ok(named) => named.iter().find(|(name, _)| *name == "account").map(|(_, id)| id.to_owned()).unwrap_or_default(),
            // What is no text is the name of no account, and not the visitor's own.
            Err(_) => "\u{fffd}".to_owned(),
        };
        let query = parts.uri.query().unwrap_or_default().to_owned();
        Ok(Self { caller: Caller { console: Console::from_ref(state), visitor }, account, query })
    }
}

impl Asked {
    /// The right to see the account, and the filter that the query asks for.
    ///
    /// # Errors
    /// What is answered instead.
    pub(crate) async fn read<F>(&self, filter: impl Fn(&str) -> Result<F, FilterError>) -> Result<(AccountReader, F), ConsoleError> {
        let reader = self.caller.seen(&self.account).await?.reader;
        let filter = filter(&self.query).map_err(|error| ConsoleError::Invalid(about(error.field, &error.problem)))?;
        Ok((reader, filter))
    }
}

/// Lines that are read at a time: what is downloaded may be of any length.
pub(crate) const CHUNK: i64 = 500;

/// A file that the browser saves under the name in `disposition`: its head, and then what `read` returns, a chunk after the other, each with where the
/// next one begins. An error breaks the download off, so that nobody takes a part for the whole.
pub(crate) fn download<C, F>(disposition: &'static str, head: String, read: impl Fn(Option<C>) -> F + Clone + Send + 'static) -> Response
where
    C: Send + 'static,
    F: Future<Output = ledger::Result<(String, Option<C>)>> + Send,
{
    let chunks = stream::try_unfold(Rest::Head(head), move |rest| {
        let read = read.clone();
        async move {
            let (lines, next) = match rest {
                Rest::Head(head) => return Ok(Some((head, Rest::From(None)))),
                Rest::From(place) => read(place).await?,
                Rest::Nothing => return ledger::Result::Ok(None),
            };
            Ok(Some((lines, next.map_or(Rest::Nothing, |place| Rest::From(Some(place))))))
        }
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static(disposition)),
    ];
    (headers, Body::from_stream(chunks)).into_response()
}

/// What is still to be sent.
enum Rest<C> {
    /// All of it.
    Head(String),
    /// What begins here.
    From(Option<C>),
    Nothing,
}

/// A line with its end.
pub(crate) fn line<'a>(cells: impl IntoIterator<Item = &'a str>) -> String {
    let mut line = cells.into_iter().map(cell).collect::<Vec<_>>().join(",");
    line.push_str("\r\n");
    line
}

/// A filter, as the first line of a file says it.
pub(crate) fn named(filter: &str) -> &str {
    if filter.is_empty() { "none" } else { filter }
}

/// A cell. A spreadsheet takes what begins like a formula for one, and would run what somebody else wrote: an apostrophe makes it text again (OWASP,
/// "CSV Injection"). An amount below zero is a number, which nobody could add up as text.
fn cell(text: &str) -> String {
    let is_marked = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_below_zero(text);
    let mark = if is_marked { "'" } else { "" };
    if text.contains([',', '"', '\n', '\r']) || text.starts_with(' ') || text.ends_with(' ') {
        format!("\"{mark}{}\"", text.replace('"', "\"\""))
    } else {
        format!("{mark}{text}")
    }
}

/// Whether it is a plain decimal number with a minus before it.
fn is_below_zero(text: &str) -> bool {
    let Some(number) = text.strip_prefix('-') else { return false };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    [whole, fraction].into_iter().all(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_quoted_where_it_must_be_and_no_formula() {
        assert_eq!(line(["a", "b c", ""]), "a,b c,\r\n");
        assert_eq!(line(["a,b", "say \"x\"", "two\nlines"]), "\"a,b\",\"say \"\"x\"\"\",\"two\nlines\"\r\n");
        assert_eq!(line(["=1+1", "@x", "-x", "+5", "=a,b"]), "'=1+1,'@x,'-x,'+5,\"'=a,b\"\r\n");
    }

    #[test]
    fn an_amount_below_zero_is_a_number_and_what_only_looks_like_one_is_text() {
        assert_eq!(line(["-5", "-0.000000001"]), "-5,-0.000000001\r\n");
        assert_eq!(line(["-", "-1+1", "--1", "-1.", "-.5", "-1.2.3", "-1e3"]), "'-,'-1+1,'--1,'-1.,'-.5,'-1.2.3,'-1e3\r\n");
    }
}
