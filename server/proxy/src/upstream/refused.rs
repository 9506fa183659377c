//! An upstream that refuses the operator of this gateway, which is none of the customer's business: neither their key nor their credit is at fault.
//!
//! The operator is told by the log and by a counter, in words of our own: what the upstream says may repeat the credential.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use http::{Response, StatusCode};
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::body::UpstreamBody;
use crate::{instruments::UPSTREAM_REFUSALS, reply::Refusal};

/// What of an error's body is looked at, and for how long it is waited for: whoever is slower is passed on as it comes.
const BODY_MAX: usize = 64 * 1024;
const BODY_WITHIN: Duration = Duration::from_secs(2);
/// How often the log says the same of a provider.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// What upstreams call it when the operator's account there has nothing left, under a status that says less: OpenAI
/// (<https://platform.openai.com/docs/guides/error-codes>), Moonshot (<https://platform.moonshot.ai/docs/api/chat#error-codes>) and Alibaba
/// (<https://help.aliyun.com/zh/model-studio/error-code>).
const OUT_OF_CREDIT: [&str; 5] =
    ["insufficient_quota", "billing_not_active", "billing_hard_limit_reached", "exceeded_current_quota_error", "Arrearage"];
/// What Anthropic says of it, under status 400 and a type that says nothing of it.
const ANTHROPIC_OUT_OF_CREDIT: &[u8] = b"credit balance is too low";
/// What Gemini calls a wrong credential, under status 400.
const WRONG_CREDENTIAL: &str = "API_KEY_INVALID";

/// What an upstream has against the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The credential, or what it may be used for.
    Credential,
    /// The operator's account there has no credit left.
    Credit,
    /// That streams are asked for their usage, which the client did not do.
    StreamOptions,
}

impl Reason {
    /// What an answer says against the operator, if it does. `asked_for_usage` is whether metering put `stream_options` into the request.
    pub(crate) async fn of(response: &mut Response<UpstreamBody>, asked_for_usage: bool) -> Option<Self> {
        match response.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Some(Self::Credential),
            StatusCode::PAYMENT_REQUIRED => Some(Self::Credit),
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY | StatusCode::TOO_MANY_REQUESTS => {
                let said = timeout(BODY_WITHIN, response.body_mut().peek(BODY_MAX)).await.ok()?;
                Self::said(said, asked_for_usage)
            }
            _ => None,
        }
    }

    fn said(error: &[u8], asked_for_usage: bool) -> Option<Self> {
        if asked_for_usage && memchr::memmem::find(error, b"stream_options").is_some() {
            return Some(Self::StreamOptions);
        }
        if memchr::memmem::find(error, ANTHROPIC_OUT_OF_CREDIT).is_some() {
            return Some(Self::Credit);
        }
        let names = |wanted: &[&str]| serde_json::from_slice(error).is_ok_and(|error: Value| is_named(&error, wanted));
        if names(&OUT_OF_CREDIT) { Some(Self::Credit) } else { names(&[WRONG_CREDENTIAL]).then_some(Self::Credential) }
    }

    /// Tells the operator: each call by the counter, and the log when the provider's alarm is due.
    pub(crate) fn alarm(self, provider: &str, status: StatusCode, alarm: &Alarm) {
        let (reason, what) = match self {
            Self::Credential => (
                "credential",
                "the upstream refuses this gateway's credential, or what it is used for; `farebox provider credential` renews it",
            ),
            Self::Credit => ("credit", "this gateway's account with the upstream has no credit left; top it up there"),
            Self::StreamOptions => {
                ("stream_options", "the upstream refuses to be asked for usage; `farebox provider edit --usage-mode native` stops asking")
            }
        };
        UPSTREAM_REFUSALS.counter(&[provider, reason]).increment(1);
        if alarm.is_due(self, Instant::now()) {
            tracing::error!(provider, status = status.as_u16(), "{what}");
        }
    }

    /// What the customer is told. Sending it again helps only once the operator has acted.
    pub(crate) fn refusal(self) -> Refusal {
        let problem = match self {
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

/// What was last said of a provider. A thousand calls are refused alike, and the first of a minute says so for all of them.
#[derive(Debug, Default)]
pub(crate) struct Alarm(Mutex<Option<(Reason, Instant)>>);

impl Alarm {
    fn is_due(&self, reason: Reason, now: Instant) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = last.is_none_or(|(said, at)| said != reason || now.saturating_duration_since(at) >= SAID_EVERY);
        if is_new {
            *last = Some((reason, now));
        }
        is_new
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

    fn check(error: &str, asked_for_usage: bool, right: Option<Reason>) {
        assert_eq!(Reason::said(error.as_bytes(), asked_for_usage), right, "{error}");
    }

    #[test]
    fn an_empty_purse_is_told_from_a_rate_that_is_exceeded() {
        let credit = Some(Reason::Credit);
        check(
            r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
            false,
            credit,
        );
        check(r#"{"error":{"message":"x","type":"exceeded_current_quota_error"}}"#, false, credit);
        check(r#"{"code":"Arrearage","message":"x"}"#, false, credit);
        check(r#"{"error":{"message":"insufficient_quota?","type":"requests","code":"rate_limit_exceeded"}}"#, false, None);
        check("insufficient_quota", false, None);
        check("", true, None);
    }

    #[test]
    fn the_log_says_the_same_once_a_minute_and_something_else_at_once() {
        let (alarm, start) = (Alarm::default(), Instant::now());
        let due = |reason, seconds| alarm.is_due(reason, start + Duration::from_secs(seconds));
        assert!(due(Reason::Credential, 0) && !due(Reason::Credential, 59) && due(Reason::Credential, 60));
        assert!(due(Reason::Credit, 61) && !due(Reason::Credit, 62));
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
