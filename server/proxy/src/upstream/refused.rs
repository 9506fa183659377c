//! An upstream that refuses the operator of this gateway, which is none of the customer's business: neither their key nor their credit is at fault. Or
//! that refuses what the gateway has put into the request: nobody is blamed for a member that they never sent.
//!
//! The operator is told by the log and by a counter, in words of our own: what the upstream says may repeat the credential.

use std::time::Duration;

use domain::tokens::Tokens;
use http::{Response, StatusCode};
use serde_json::Value;
use tokio::time::timeout;

use super::{alarm::Alarm, body::UpstreamBody};
use crate::{instruments::UPSTREAM_REFUSALS, reply::Refusal};

/// What of an error's body is looked at, and for how long it is waited for: whoever is slower is passed on as it comes.
const BODY_MAX: usize = 64 * 1024;
const BODY_WITHIN: Duration = Duration::from_secs(2);

/// What upstreams call it when the operator's account there has nothing left, under a status that says less: OpenAI
/// (<https://platform.openai.com/docs/guides/error-codes>), Moonshot (<https://platform.moonshot.ai/docs/api/chat#error-codes>) and Alibaba
/// (<https://help.aliyun.com/zh/model-studio/error-code>).
const OUT_OF_CREDIT: [&str; 5] =
    ["insufficient_quota", "billing_not_active", "billing_hard_limit_reached", "exceeded_current_quota_error", "Arrearage"];
/// What Anthropic says of it, under status 400 and a type that says nothing of it.
const ANTHROPIC_OUT_OF_CREDIT: &[u8] = b"credit balance is too low";
/// What Gemini calls a wrong credential, under status 400.
const WRONG_CREDENTIAL: &str = "API_KEY_INVALID";
/// What OpenAI calls it when the prompt and the cap do not fit into the model's window together: that names no member, but the cap's figure. Agents look
/// for it, and shorten what they send.
const TOO_LONG: &str = "context_length_exceeded";
/// What is repeated of an upstream's words at most.
const WORDS_BYTES_MAX: usize = 1_000;

/// What metering has put into a request whose client had not sent it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Added {
    /// `stream_options`.
    pub(crate) stream_options: bool,
    pub(crate) cap: Option<AddedCap>,
}

/// A cap on each answer's output: under which name, and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AddedCap {
    pub(crate) field: &'static str,
    pub(crate) tokens: Tokens,
}

/// What an upstream has against the operator, or against what metering has added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The credential, or what it may be used for.
    Credential,
    /// The operator's account there has no credit left.
    Credit,
    /// That streams are asked for their usage, which the client did not do.
    StreamOptions,
    /// The cap on the output, which the client did not send either. What is to be done about it the client can know best, so that it hears the upstream's
    /// words, too.
    Cap { cap: AddedCap, status: StatusCode, is_too_long: bool, words: String },
}

impl Reason {
    /// What an answer says against the operator or what was `added` for them, if it does.
    pub(crate) async fn of(response: &mut Response<UpstreamBody>, added: Added) -> Option<Self> {
        let status = response.status();
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Some(Self::Credential),
            StatusCode::PAYMENT_REQUIRED => Some(Self::Credit),
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY | StatusCode::TOO_MANY_REQUESTS => {
                let said = timeout(BODY_WITHIN, response.body_mut().peek(BODY_MAX)).await.ok()?;
                Self::said(status, said, added)
            }
            _ => None,
        }
    }

    fn said(status: StatusCode, said: &[u8], added: Added) -> Option<Self> {
        let says = |text: &[u8]| memchr::memmem::find(said, text).is_some();
        if added.stream_options && says(b"stream_options") {
            return Some(Self::StreamOptions);
        }
        if says(ANTHROPIC_OUT_OF_CREDIT) {
            return Some(Self::Credit);
        }
        let error: Option<Value> = serde_json::from_slice(said).ok();
        let names = |wanted: &[&str]| error.as_ref().is_some_and(|error| is_named(error, wanted));
        if names(&OUT_OF_CREDIT) {
            return Some(Self::Credit);
        }
        if names(&[WRONG_CREDENTIAL]) {
            return Some(Self::Credential);
        }
        let cap = added.cap.filter(|_| status != StatusCode::TOO_MANY_REQUESTS)?;
        let is_too_long = names(&[TOO_LONG]);
        let is_meant = says(cap.field.as_bytes()) || is_too_long && says(cap.tokens.to_string().as_bytes());
        is_meant.then(|| {
            let whole = String::from_utf8_lossy(said);
            let words = error.as_ref().and_then(message).unwrap_or(&whole);
            let words = words[..words.floor_char_boundary(WORDS_BYTES_MAX.min(words.len()))].to_owned();
            Self::Cap { cap, status, is_too_long, words }
        })
    }

    /// What the counter calls it.
    fn name(&self) -> &'static str {
        match self {
            Self::Credential => "credential",
            Self::Credit => "credit",
            Self::StreamOptions => "stream_options",
            Self::Cap { .. } => "cap",
        }
    }

    /// Tells the operator: each call by the counter, and the log when the provider's alarm is due.
    pub(crate) fn alarm(&self, provider: &str, model: &str, status: StatusCode, alarm: &Alarm) {
        let what = match self {
            Self::Credential => {
                "the upstream refuses this gateway's credential, or what it is used for; `farebox provider credential` renews it"
            }
            Self::Credit => "this gateway's account with the upstream has no credit left; top it up there",
            Self::StreamOptions => "the upstream refuses to be asked for usage; `farebox provider edit --usage-mode native` stops asking",
            Self::Cap { .. } => {
                "the upstream refuses the cap on the output that this gateway puts into requests without one; `farebox model edit` takes what the model \
                 takes: --context-window, --default-output-hold, --output-cap-field"
            }
        };
        UPSTREAM_REFUSALS.counter(&[provider, self.name()]).increment(1);
        if alarm.is_due(self.name(), model) {
            tracing::error!(provider, model, status = status.as_u16(), "{what}");
        }
    }

    /// What the customer is told. Sending it again helps only once the operator has acted.
    pub(crate) fn refusal(self) -> Refusal {
        let problem = match self {
            Self::Cap { cap, status, is_too_long, words } => {
                return Refusal::added_cap(cap, status, is_too_long.then_some(TOO_LONG), &words);
            }
            Self::Credential | Self::Credit => {
                "The model's upstream refuses this gateway. That is for the gateway's operator to mend: your key and your credit are not at fault."
            }
            Self::StreamOptions => {
                "The model's upstream refuses a member that this gateway adds to streams to meter them. That is for the gateway's operator to mend."
            }
        };
        Refusal { code: "upstream_refused", ..Refusal::bad_gateway(problem) }
    }
}

/// An error's words, wherever its provider puts them.
fn message(error: &Value) -> Option<&str> {
    match error {
        Value::Object(members) => members.get("message").and_then(Value::as_str).or_else(|| members.values().find_map(message)),
        Value::Array(elements) => elements.iter().find_map(message),
        _ => None,
    }
}

/// Whether an error names itself so, wherever its provider puts the name.
fn is_named(error: &Value, wanted: &[&str]) -> bool {
    match error {
        Value::Object(members) => members.iter().any(|(name, value)| match value.as_str() {
            Some(text) => matches!(name.as_str(), "code" | "type" | "reason") && wanted.contains(&text),
            None => is_named(value, wanted),
        }),
        Value::Array(elements) => elements.iter().any(|element| is_named(element, wanted)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: &str, stream_options: bool, right: Option<Reason>) {
        let added = Added { stream_options, cap: None };
        assert_eq!(Reason::said(StatusCode::BAD_REQUEST, error.as_bytes(), added), right, "{error}");
    }

    fn said_of_a_cap(status: StatusCode, error: &str) -> Option<(bool, String)> {
        let cap = AddedCap { field: "max_tokens", tokens: Tokens::from_sum(4_096) };
        match Reason::said(status, error.as_bytes(), Added { cap: Some(cap), ..Added::default() })? {
            Reason::Cap { is_too_long, words, .. } => Some((is_too_long, words)),
            other => panic!("{other:?}: {error}"),
        }
    }

    #[test]
    fn a_refused_cap_is_told_by_its_name_or_where_the_request_is_too_long_by_its_figure() {
        let check = |error: &str, right: Option<(bool, &str)>| {
            for (status, right) in [(400, right), (422, right), (429, None)] {
                let said = said_of_a_cap(StatusCode::from_u16(status).expect("a status"), error);
                assert_eq!(said.as_ref().map(|(is_too_long, words)| (*is_too_long, words.as_str())), right, "{status} {error}");
            }
        };
        check(
            r#"{"error":{"message":"5008 and 4096 do not fit","param":"max_tokens","code":null}}"#,
            Some((false, "5008 and 4096 do not fit")),
        );
        check(
            r#"{"error":{"message":"4096 in the completion","param":"messages","code":"context_length_exceeded"}}"#,
            Some((true, "4096 in the completion")),
        );
        check(r#"{"error":{"message":"9000 in the messages","param":"messages","code":"context_length_exceeded"}}"#, None);
        check(r#"{"error":{"message":"4096 is odd","param":"seed","code":null}}"#, None);
        let plain = "no such member: max_tokens";
        check(plain, Some((false, plain)));
    }

    #[test]
    fn no_more_is_repeated_of_an_upstreams_words_than_a_person_reads() {
        let long = format!("max_tokens {}", "ü".repeat(WORDS_BYTES_MAX));
        assert_eq!(said_of_a_cap(StatusCode::BAD_REQUEST, &long).map(|(_, words)| words.len()), Some(WORDS_BYTES_MAX - 1));
    }

    #[test]
    fn an_empty_purse_is_told_from_a_rate_that_is_exceeded() {
        let credit = || Some(Reason::Credit);
        check(
            r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
            false,
            credit(),
        );
        check(r#"{"error":{"message":"x","type":"exceeded_current_quota_error"}}"#, false, credit());
        check(r#"{"code":"Arrearage","message":"x"}"#, false, credit());
        check(r#"{"error":{"message":"insufficient_quota?","type":"requests","code":"rate_limit_exceeded"}}"#, false, None);
        check("insufficient_quota", false, None);
        check("", true, None);
    }

    #[test]
    fn a_wrong_credential_is_known_also_where_the_status_is_400() {
        let gemini = r#"[{"error":{"code":400,"message":"API key not valid.","details":[{"reason":"API_KEY_INVALID"}]}}]"#;
        check(gemini, false, Some(Reason::Credential));
        check(r#"{"error":{"message":"API key","code":"invalid_value"}}"#, false, None);
    }

    #[test]
    fn stream_options_are_the_operators_only_where_the_client_did_not_send_them() {
        let error = r#"{"error":{"message":"unknown member: stream_options","param":"stream_options"}}"#;
        check(error, true, Some(Reason::StreamOptions));
        check(error, false, None);
    }
}
