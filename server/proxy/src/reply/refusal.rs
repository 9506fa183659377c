//! Why a request is not forwarded, in words for a person and a code for a program.

use std::{borrow::Cow, time::Duration};

use chrono::{DateTime, Utc};
use domain::{
    credit::{Exhausted, Mode, Quantity, Refuser, Unit, Window},
    id::CallId,
    money::Amount,
    service_tier::ServiceTier,
    tokens::Tokens,
};
use http::StatusCode;

use super::instant;
use crate::{settings::Settings, upstream::refused::AddedCap};

/// A request that is not forwarded, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The HTTP status.
    pub(crate) status: StatusCode,
    /// OpenAI's `type`.
    pub(crate) kind: &'static str,
    /// OpenAI's `code`, which programs look at.
    pub(crate) code: &'static str,
    /// The member of the request that is at fault.
    pub(crate) param: Option<Cow<'static, str>>,
    /// What a person reads.
    pub(crate) message: String,
    /// The same request can succeed when it is sent again, and cannot have cost anybody anything yet.
    pub(crate) is_worth_repeating: bool,
    /// When to try again, if that can help.
    pub(crate) retry_after: Option<Duration>,
    /// The credit or the limit that has not all that the call may take.
    pub(crate) exhausted: Option<Box<Exhausted>>,
}

/// What its sender can do so that a call takes less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remedy {
    LowerCap,
    /// No cap is low enough.
    ShorterPrompt,
}

const INVALID: &str = "invalid_request_error";
/// Said to a connection that there is no place for, if it is told.
pub(crate) const TOO_MANY_CONNECTIONS: &str = "too_many_connections";

impl Refusal {
    fn new(status: StatusCode, kind: &'static str, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, code, param: None, message: message.into(), is_worth_repeating: false, retry_after: None, exhausted: None }
    }

    /// No key, or none that opens anything.
    #[must_use]
    pub(crate) fn no_key(problem: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, INVALID, "invalid_api_key", problem)
    }

    /// The account admits no calls any more.
    #[must_use]
    pub(crate) fn account_closed() -> Self {
        Self::new(StatusCode::FORBIDDEN, "permission_error", "account_closed", "This account is closed. Ask the operator of this gateway.")
    }

    /// The account admits no calls for now.
    #[must_use]
    pub(crate) fn account_suspended() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "permission_error",
            "account_suspended",
            "This account is suspended. Ask the operator of this gateway why.",
        )
    }

    /// The body is no JSON, or not the JSON that it should be.
    #[must_use]
    pub(crate) fn malformed(problem: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, INVALID, "invalid_json", format!("The body is not a valid request: {problem}."))
    }

    /// A member of the request has a value that it cannot have.
    #[must_use]
    pub(crate) fn invalid(param: &'static str, problem: &str) -> Self {
        Self {
            param: Some(param.into()),
            ..Self::new(StatusCode::BAD_REQUEST, INVALID, "invalid_value", format!("Invalid request: {problem}."))
        }
    }

    /// The prompt cannot fit into the model's window.
    #[must_use]
    pub(crate) fn context_length_exceeded(model: &str, window: Tokens, prompt: Tokens) -> Self {
        let message = format!(
            "The prompt is about {prompt} tokens long, and the context window of \"{}\" is {window} tokens. Shorten it. \
             Nothing was forwarded and nothing was charged.",
            shown(model)
        );
        Self { param: Some("messages".into()), ..Self::new(StatusCode::BAD_REQUEST, INVALID, "context_length_exceeded", message) }
    }

    /// A member of the request asks for what this gateway cannot bound or meter, and what its operator has not opened for the model.
    #[must_use]
    pub(crate) fn unmetered(param: String, why: &str, model: &str) -> Self {
        let message = format!(
            "\"{}\" cannot be used through this gateway with the model \"{}\": {why}. Leave it out, or ask the operator of this gateway to allow it.",
            shown(&param),
            shown(model)
        );
        Self { param: Some(param.into()), ..Self::new(StatusCode::BAD_REQUEST, INVALID, "unsupported_parameter", message) }
    }

    /// The service tier that is asked for has no price; these have, beside the default.
    #[must_use]
    pub(crate) fn service_tier_not_priced(asked: ServiceTier, model: &str, priced: &[&str]) -> Self {
        let model = shown(model);
        let others: String = priced.iter().map(|tier| format!(" or \"{tier}\"")).collect();
        let message = format!(
            "The service tier \"{}\" has no price with the model \"{model}\" at this gateway. Send \"default\"{others} as \"service_tier\", or leave it \
             out.",
            asked.name()
        );
        Self { param: Some("service_tier".into()), ..Self::new(StatusCode::BAD_REQUEST, INVALID, "unsupported_parameter", message) }
    }

    /// The body is not declared to be JSON.
    #[must_use]
    pub(crate) fn wrong_content_type() -> Self {
        let message = "Send the request as JSON, with the header content-type: application/json.";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, INVALID, "unsupported_content_type", message)
    }

    /// The body is compressed, so that what is read here might not be what the upstream reads.
    #[must_use]
    pub(crate) fn compressed() -> Self {
        let message = "This gateway takes no compressed requests: send the JSON as it is, without the header content-encoding.";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, INVALID, "unsupported_content_encoding", message)
    }

    /// The body is larger than this many bytes.
    #[must_use]
    pub(crate) fn too_large(bytes_max: usize) -> Self {
        let message = format!("The body is larger than {bytes_max} bytes, the most that this gateway takes.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, INVALID, "request_too_large", message)
    }

    /// The body did not come.
    #[must_use]
    pub(crate) fn too_slow() -> Self {
        let message = "The body of the request did not arrive in time.";
        Self { is_worth_repeating: true, ..Self::new(StatusCode::REQUEST_TIMEOUT, INVALID, "request_timeout", message) }
    }

    /// No such model.
    #[must_use]
    pub(crate) fn model_not_found(model: &str) -> Self {
        let message = format!("The model \"{}\" does not exist here. GET /v1/models lists those that do.", shown(model));
        Self { param: Some("model".into()), ..Self::new(StatusCode::NOT_FOUND, INVALID, "model_not_found", message) }
    }

    /// The key may call only these models.
    #[must_use]
    pub(crate) fn model_not_allowed(model: &str, allowed: &[String]) -> Self {
        const NAMED_MAX: usize = 10;
        let named: Vec<_> = allowed.iter().take(NAMED_MAX).map(|name| format!("\"{}\"", shown(name))).collect();
        let more = if allowed.len() > NAMED_MAX { " and others that GET /v1/models lists" } else { "" };
        let message = format!(
            "This API key may not call the model \"{}\": it may call {}{more}. Whoever manages the key can allow it.",
            shown(model),
            named.join(", ")
        );
        Self { param: Some("model".into()), ..Self::new(StatusCode::FORBIDDEN, "permission_error", "model_not_allowed", message) }
    }

    /// None of the model's providers speaks the API of this address.
    #[must_use]
    pub(crate) fn not_spoken(model: &str, route: &str) -> Self {
        let message = format!("The model \"{}\" does not answer at {route}: no provider of it speaks that API.", shown(model));
        Self { param: Some("model".into()), ..Self::new(StatusCode::NOT_FOUND, INVALID, "model_not_found", message) }
    }

    /// The model has no price in force.
    #[must_use]
    pub(crate) fn model_not_priced(model: &str) -> Self {
        let message = format!(
            "The model \"{}\" has no price yet, so that it cannot be called. Ask the operator of this gateway to set one.",
            shown(model)
        );
        Self { param: Some("model".into()), ..Self::new(StatusCode::FORBIDDEN, "permission_error", "model_not_priced", message) }
    }

    /// The same call is running, or was charged.
    #[must_use]
    pub(crate) fn repeated(first: CallId) -> Self {
        let message = format!(
            "A call with this Idempotency-Key is running, or has ended and was charged: it is not made a second time. What came of it is at \
             GET /v1/generation?id={first}. For another call send another key."
        );
        Self::new(StatusCode::CONFLICT, INVALID, "idempotency_key_in_use", message)
    }

    /// Nothing to be found by this id.
    #[must_use]
    pub(crate) fn call_not_found() -> Self {
        let message = "This account has no call of that id, or it is still running. The id is the answer's x-request-id.";
        Self { param: Some("id".into()), ..Self::new(StatusCode::NOT_FOUND, INVALID, "call_not_found", message) }
    }

    /// No such address; what is not metered is never forwarded.
    #[must_use]
    pub(crate) fn unknown_path(method: &http::Method, path: &str) -> Self {
        let message = format!("{method} {} is not offered by this gateway.", shown(path));
        Self::new(StatusCode::NOT_FOUND, INVALID, "unknown_url", message)
    }

    /// The address exists, but not for this method: it answers those.
    #[must_use]
    pub(crate) fn wrong_method(method: &http::Method, path: &str, methods: &str) -> Self {
        let message = format!("{} does not answer {method}, but {methods}.", shown(path));
        Self::new(StatusCode::METHOD_NOT_ALLOWED, INVALID, "method_not_allowed", message)
    }

    /// Credit or a limit does not cover the most that the call can take. A limit of a minute is a rate, which waiting cures; the others are budgets.
    #[must_use]
    pub(crate) fn exhausted(exhausted: &Exhausted, remedy: Remedy, mode: Mode, now: DateTime<Utc>, settings: &Settings) -> Self {
        let figure = |quantity| in_words(exhausted, quantity, settings);
        let (needed, available) = (figure(exhausted.needed), figure(exhausted.available));
        let console = settings.console_url.trim_end_matches('/');
        let (code, what) = match &exhausted.pool {
            Refuser::Credit { .. } => {
                ("insufficient_quota", format!("This call needs up to {needed} of credit, and {available} are available."))
            }
            Refuser::Limit { scope, window, capacity, .. } => {
                let limit = format!("{} {}", figure(*capacity), window.label().to_lowercase());
                let what =
                    format!("This call needs up to {needed}, and {available} are left of the {}'s limit of {limit}.", scope.kind().name());
                (if *window == Window::Minute { "rate_limit_exceeded" } else { "insufficient_quota" }, what)
            }
        };
        let (advice, retry_after) = advice(exhausted, remedy, mode, now, &figure(exhausted.held), console);
        let refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, code, code, format!("{what} {advice}"));
        Self { is_worth_repeating: retry_after.is_some(), retry_after, exhausted: Some(Box::new(exhausted.clone())), ..refusal }
    }

    /// No connection to the upstream: it has seen nothing of the request.
    #[must_use]
    pub(crate) fn unreachable_upstream() -> Self {
        let message = "The model's upstream could not be reached. Nothing was charged.";
        Self { is_worth_repeating: true, ..Self::new(StatusCode::BAD_GATEWAY, "upstream_error", "upstream_unavailable", message) }
    }

    /// The upstream answered what no answer is, or broke off. It may have worked in vain, so that a repetition is the client's decision.
    #[must_use]
    pub(crate) fn bad_gateway(problem: &str) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "upstream_error", "upstream_failed", format!("{problem} Nothing was charged."))
    }

    /// The upstream refuses the cap on the output that this gateway has put into a request without one, in these words. It keeps the upstream's status, and
    /// its code where programs know that.
    #[must_use]
    pub(crate) fn added_cap(cap: AddedCap, status: StatusCode, code: Option<&'static str>, words: &str) -> Self {
        let AddedCap { field, tokens } = cap;
        let message = format!(
            "The model's upstream refuses this request with a \"{field}\" of {tokens}, which this gateway has set, since the request had no cap on its \
             output. Send a lower one, or shorten the prompt; if neither helps, ask the operator of this gateway. Nothing was charged. The upstream \
             says: {words}"
        );
        Self { param: Some(field.into()), ..Self::new(status, INVALID, code.unwrap_or("upstream_refused"), message) }
    }

    /// An account asks for reports faster than they are made.
    #[must_use]
    pub(crate) fn too_many_reports(a_minute: u32, wait: Duration) -> Self {
        let message =
            format!("Reports are made {a_minute} times a minute for an account. Ask again in a moment, or for more buckets at once.");
        Self { retry_after: Some(wait), ..Self::new(StatusCode::TOO_MANY_REQUESTS, "requests", "rate_limit_exceeded", message) }
    }

    /// Their address has as many connections open here as one may.
    #[must_use]
    pub(crate) fn too_many_connections(share: usize) -> Self {
        let message = format!(
            "Your address has {share} connections or calls open here, the most that one may have. Use those again, or try again when one has ended. \
             Nothing was forwarded and nothing was charged."
        );
        let refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, "requests", TOO_MANY_CONNECTIONS, message);
        Self { is_worth_repeating: true, retry_after: Some(Duration::from_secs(1)), ..refusal }
    }

    /// The upstream did not answer in time. It may have worked in vain, so that a repetition is the client's decision.
    #[must_use]
    pub(crate) fn gateway_timeout() -> Self {
        let message = "The model's upstream did not answer in time. Nothing was charged.";
        Self::new(StatusCode::GATEWAY_TIMEOUT, "upstream_error", "upstream_timeout", message)
    }

    /// The books are out of reach.
    #[must_use]
    pub(crate) fn unavailable() -> Self {
        let message = "The gateway cannot take calls right now. Nothing was forwarded and nothing was charged.";
        let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", "gateway_unavailable", message);
        Self { is_worth_repeating: true, retry_after: Some(Duration::from_secs(1)), ..refusal }
    }

    /// The proxy stopped while it waited for the upstream. One that `has_request` may have worked in vain, so that a repetition is the client's
    /// decision.
    #[must_use]
    pub(crate) fn stopping(has_request: bool) -> Self {
        let code = if has_request { "gateway_restarted" } else { "gateway_unavailable" };
        let message = "The gateway is being restarted. Nothing was charged.".to_owned();
        Self { code, message, is_worth_repeating: !has_request, ..Self::unavailable() }
    }

    /// The gateway itself has failed in the middle of a call, which may have cost something.
    #[must_use]
    pub(crate) fn failed() -> Self {
        let message = "The gateway has failed. Where a call was forwarded, what came of it is on its receipt.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "gateway_failed", message)
    }
}

/// What helps, and after how long the same call may be sent again by itself.
fn advice(exhausted: &Exhausted, remedy: Remedy, mode: Mode, now: DateTime<Utc>, held: &str, console: &str) -> (String, Option<Duration>) {
    /// Most calls have ended by then.
    const SOON: Duration = Duration::from_secs(2);
    let helps = match remedy {
        Remedy::LowerCap => "Lower the cap on its output",
        Remedy::ShorterPrompt => "Shorten its prompt",
    };
    let page = if matches!(exhausted.pool, Refuser::Credit { .. }) { "billing" } else { "keys" };
    if exhausted.may_pass() {
        return (
            format!("Running calls hold {held}, part of which comes back when they end: try again soon. See {console}/{page}."),
            Some(SOON),
        );
    }
    let is_a_rate = matches!(exhausted.pool, Refuser::Limit { window: Window::Minute, .. });
    match (exhausted.resets_at, &exhausted.pool) {
        (Some(at), _) => {
            // A window that has begun anew meanwhile has room.
            let wait = (at - now).to_std().unwrap_or_default() + Duration::from_secs(1);
            let is_soon = is_a_rate || at <= now;
            (format!("It begins anew at {}. See {console}/{page}.", instant(at)), is_soon.then(|| Duration::from_secs(wait.as_secs())))
        }
        // Its balance pays for no call, however much is added to it.
        (None, Refuser::Credit { .. }) if mode == Mode::Quota => {
            (format!("{helps}, or ask for more: plans and packages pay this account's calls. See {console}/billing."), None)
        }
        (None, Refuser::Credit { .. }) => (format!("{helps}, or top up at {console}/billing."), None),
        (None, Refuser::Limit { .. }) => (format!("{helps}: waiting does not help. See {console}/keys."), None),
    }
}

/// A quantity as people read it.
fn in_words(exhausted: &Exhausted, quantity: Quantity, settings: &Settings) -> String {
    match exhausted.pool.unit() {
        Unit::Money => format!("{} {}", Amount::from_nanos(quantity.get()), settings.currency),
        Unit::Tokens => format!("{quantity} tokens"),
        Unit::Requests if quantity.get() == 1 => "1 request".to_owned(),
        Unit::Requests => format!("{quantity} requests"),
    }
}

/// What the client sent is repeated only in part: it may be long.
pub(crate) fn shown(text: &str) -> &str {
    &text[..text.floor_char_boundary(100.min(text.len()))]
}
