//! How a refusal is written: in the shape of the API that the request was meant for.
//!
//! `x-should-retry` is what OpenAI's and Anthropic's clients obey before they look at the status: without it they would repeat a 429 that no repetition can
//! cure.

use domain::{
    credit::{Exhausted, Quantity, Refuser, Unit, Window},
    id::CallId,
};
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::{instant, json_answer, refusal::Refusal};
use crate::{
    dialect::ErrorShape,
    gateway::{AnswerBody, tell_id},
    instruments::refusals,
};

impl Refusal {
    /// What it says of a rate, as OpenAI's own headers do.
    fn rate_headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let Some(Exhausted { pool: Refuser::Limit { window: Window::Minute, unit, capacity, .. }, available, .. }) =
            self.exhausted.as_deref()
        else {
            return Vec::new();
        };
        let [limit, remaining, reset] = match unit {
            Unit::Requests => ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"],
            Unit::Tokens => ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"],
            Unit::Money => return Vec::new(),
        };
        let reset_in = self.retry_after.map(|wait| (reset, format!("{}s", wait.as_secs())));
        let said = [(limit, capacity.to_string()), (remaining, available.to_string())].into_iter().chain(reset_in);
        said.filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::from_str(&value).ok()?))).collect()
    }
}

impl Refusal {
    /// The answer that says so, to the request of this id.
    pub(crate) fn into_response(self, shape: ErrorShape, id: CallId) -> Response<AnswerBody> {
        refusals::count(self.code);
        let mut response = json_answer(self.status, &self.body(shape, id));
        let headers = response.headers_mut();
        headers.insert("x-should-retry", HeaderValue::from_static(if self.is_worth_repeating { "true" } else { "false" }));
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs()));
            headers.insert("retry-after-ms", HeaderValue::from(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)));
        }
        headers.extend(self.rate_headers());
        tell_id(headers, id, shape);
        response
    }

    fn body(&self, shape: ErrorShape, id: CallId) -> Value {
        let mut error = json!({ "message": self.message, "type": self.kind_in(shape), "param": self.param, "code": self.code });
        if let Some(exhausted) = &self.exhausted {
            error["exhausted"] = exhausted_json(exhausted);
        }
        match shape {
            ErrorShape::OpenAi => json!({ "error": error }),
            ErrorShape::Anthropic => json!({ "type": "error", "error": error, "request_id": id }),
        }
    }

    /// Anthropic's types of errors (<https://docs.claude.com/en/api/errors>).
    fn kind_in(&self, shape: ErrorShape) -> &'static str {
        match (shape, self.status) {
            (ErrorShape::OpenAi, _) => self.kind,
            (_, StatusCode::UNAUTHORIZED) => "authentication_error",
            (_, StatusCode::FORBIDDEN) => "permission_error",
            (_, StatusCode::NOT_FOUND) => "not_found_error",
            (_, StatusCode::PAYLOAD_TOO_LARGE) => "request_too_large",
            (_, StatusCode::TOO_MANY_REQUESTS) => "rate_limit_error",
            (_, StatusCode::SERVICE_UNAVAILABLE) => "overloaded_error",
            (_, status) if status.is_server_error() => "api_error",
            _ => "invalid_request_error",
        }
    }
}

/// Which credit or limit it is, and its figures, for programs.
fn exhausted_json(exhausted: &Exhausted) -> Value {
    let figure = |quantity: Quantity| quantity.figure(exhausted.pool.unit());
    let (needed, available, held) = (figure(exhausted.needed), figure(exhausted.available), figure(exhausted.held));
    match &exhausted.pool {
        Refuser::Credit { unit } => {
            json!({ "pool": "credit", "unit": unit, "needed": needed, "available": available, "held": held, "resets_at": null })
        }
        Refuser::Limit { id, scope, window, unit, capacity } => json!({
            "pool": "limit", "limit": id, "scope": scope.kind(), "window": window, "unit": unit, "capacity": figure(*capacity),
            "needed": needed, "available": available, "held": held, "resets_at": exhausted.resets_at.map(instant),
        }),
    }
}
