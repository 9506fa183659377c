//! The proxy's own answers.

mod refusal;
mod shape;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;

pub(crate) use self::refusal::{Refusal, Remedy, TOO_MANY_CONNECTIONS, shown};
use crate::gateway::AnswerBody;

/// RFC 3339 in UTC, as short as it is exact: `2026-11-23T10:00:00Z`.
pub(crate) fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// A JSON answer.
#[must_use]
pub(crate) fn json_answer(status: StatusCode, body: &impl Serialize) -> Response<AnswerBody> {
    answer(status, "application/json", serde_json::to_vec(body).unwrap_or_default())
}

/// An answer of a few words.
#[must_use]
pub(crate) fn text_answer(status: StatusCode, text: &'static str) -> Response<AnswerBody> {
    answer(status, "text/plain; charset=utf-8", text)
}

fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::from(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
