//! From how a call ended to what is known of its usage.

use domain::{
    call::{Outcome, UsageSource},
    tokens::{CallUsage, Tokens},
};

use crate::dialect::reading::{Counted, Reading};

/// Why no more of an answer is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The upstream said that this is all.
    Complete,
    /// The connection broke, or the upstream took too long for a client that waits.
    Broken,
    /// The client has left, and no more of the answer is waited for.
    Cancelled,
    /// The proxy must stop.
    Stopped,
}

/// An answer, read as far as it was.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The upstream's status, if it answered at all.
    pub(crate) status: Option<http::StatusCode>,
    pub(crate) end: End,
    pub(crate) client_left: bool,
    /// It has an end of its own, and did not just stop.
    pub(crate) is_whole: bool,
    /// The client was shown something of it.
    pub(crate) is_shown: bool,
    pub(crate) reading: Reading,
}

impl Answer {
    /// An upstream that never answered, or whose answer is not passed on.
    pub(crate) fn none(end: End, status: Option<http::StatusCode>, client_left: bool, reading: Reading) -> Self {
        Self { status, end, client_left, is_whole: false, is_shown: false, reading }
    }

    /// How the call ended, and what is known of its usage. Where the upstream gives none, `prompt` is a tokenizer's count of the prompt, and the
    /// completion is counted up to what was held for it.
    pub(crate) fn judge(&self, prompt: impl FnOnce() -> Tokens, completion_max: Tokens) -> (Outcome, UsageSource, CallUsage) {
        if self.costs_nothing() {
            let outcome = match self.end {
                _ if self.client_left => Outcome::ClientLeft,
                End::Stopped => Outcome::Interrupted,
                End::Complete | End::Broken | End::Cancelled => Outcome::UpstreamError,
            };
            return (outcome, UsageSource::None, CallUsage::default());
        }
        let outcome = match self.end {
            _ if self.client_left => Outcome::ClientLeft,
            End::Stopped => Outcome::Interrupted,
            End::Broken => Outcome::UpstreamError,
            End::Complete if !self.is_whole => Outcome::UpstreamError,
            End::Complete | End::Cancelled if self.reading.failed => Outcome::UpstreamError,
            End::Complete | End::Cancelled => Outcome::Ok,
        };
        match self.reading.counted(prompt, completion_max) {
            Counted::Reported(usage) => (outcome, UsageSource::Upstream, usage),
            Counted::Estimated(usage) => (outcome, UsageSource::Estimated, usage),
        }
    }

    /// Whether the upstream leaves it to a tokenizer what the call comes to.
    pub(crate) fn wants_estimate(&self) -> bool {
        !self.costs_nothing() && !self.reading.is_counted_by_the_upstream()
    }

    /// The upstream refused, or failed before any output. One that was cut off in the middle, by the client or by us, is not one that failed.
    fn costs_nothing(&self) -> bool {
        if self.status.is_some_and(|status| !status.is_success()) {
            return true;
        }
        // Whoever waited and was shown nothing is refused instead, and may ask again.
        if matches!(self.end, End::Broken | End::Stopped) && !self.client_left && !self.is_shown {
            return true;
        }
        self.reading.says_nothing()
            && match self.end {
                End::Complete => self.reading.failed || !self.reading.is_answer,
                End::Broken => true,
                // Whoever waits for an answer that has not begun is told that it will not come.
                End::Stopped => self.status.is_none(),
                End::Cancelled => false,
            }
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::dialect::DIALECTS;

    const PROMPT: i64 = 9;

    fn answer(status: u16, end: End, client_left: bool, usage: Option<&str>, text: &str, failed: bool) -> Answer {
        let mut reading = Reading::new(&DIALECTS[0].answers);
        let usage = usage.map(|json| format!(r#","usage":{json}"#)).unwrap_or_default();
        let error = if failed { r#","error":{}"# } else { "" };
        let choices =
            if text.is_empty() && usage.is_empty() { String::new() } else { format!(r#","choices":[{{"delta":{{"content":"{text}"}}}}]"#) };
        read(&mut reading, &format!(r#"{{"id":"x"{choices}{usage}{error}}}"#));
        Answer { status: StatusCode::from_u16(status).ok(), end, client_left, is_whole: true, is_shown: true, reading }
    }

    fn none(end: End, client_left: bool) -> Answer {
        Answer::none(end, None, client_left, Reading::new(&DIALECTS[0].answers))
    }

    fn read(reading: &mut Reading, document: &str) {
        let mut scanner = reading.scanner();
        scanner.push(document.as_bytes(), &mut reading.text);
        reading.absorb(scanner.finish());
    }

    /// That only what is estimated has the tokenizer run is checked of all of them.
    fn check(answer: &Answer, outcome: Outcome, source: UsageSource, prompt: Option<i64>, completion: Option<i64>) {
        let (found, its_source, usage) = answer.judge(|| Tokens::from_sum(PROMPT), Tokens::from_sum(100));
        assert_eq!((found, its_source), (outcome, source), "{answer:?}");
        assert_eq!(answer.wants_estimate(), source == UsageSource::Estimated, "{answer:?}");
        assert_eq!((usage.prompt_tokens.map(Tokens::get), usage.completion_tokens.map(Tokens::get)), (prompt, completion), "{answer:?}");
    }

    #[test]
    fn what_the_upstream_counted_is_what_is_paid_however_the_call_ended() {
        let usage = Some(r#"{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}"#);
        for (end, client_left, failed, outcome) in [
            (End::Complete, false, false, Outcome::Ok),
            (End::Complete, true, false, Outcome::ClientLeft),
            (End::Cancelled, true, false, Outcome::ClientLeft),
            (End::Complete, false, true, Outcome::UpstreamError),
            (End::Broken, false, false, Outcome::UpstreamError),
            (End::Stopped, false, false, Outcome::Interrupted),
        ] {
            check(&answer(200, end, client_left, usage, "hello", failed), outcome, UsageSource::Upstream, Some(3), Some(4));
        }
    }

    #[test]
    fn without_usage_what_was_delivered_is_estimated() {
        for (end, client_left, outcome) in
            [(End::Complete, false, Outcome::Ok), (End::Broken, false, Outcome::UpstreamError), (End::Cancelled, true, Outcome::ClientLeft)]
        {
            check(&answer(200, end, client_left, None, "hello", false), outcome, UsageSource::Estimated, Some(PROMPT), Some(1));
        }
    }

    #[test]
    fn a_report_that_the_text_has_outrun_is_not_the_last_word() {
        let early = r#"{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}"#;
        let outrun = |end, client_left, finished| {
            let mut answer = answer(200, end, client_left, Some(early), "Hello", false);
            let finish = if finished { r#","finish_reason":"stop""# } else { "" };
            read(&mut answer.reading, &format!(r#"{{"choices":[{{"delta":{{"content":", world! How are you?"}}{finish}}}]}}"#));
            answer
        };
        check(&outrun(End::Cancelled, true, false), Outcome::ClientLeft, UsageSource::Estimated, Some(3), Some(8));
        check(&outrun(End::Broken, false, false), Outcome::UpstreamError, UsageSource::Estimated, Some(3), Some(8));
        check(&outrun(End::Complete, false, true), Outcome::Ok, UsageSource::Estimated, Some(3), Some(8));
    }

    #[test]
    fn half_a_report_is_completed_by_an_estimate() {
        let usage = Some(r#"{"prompt_tokens":193,"completion_tokens":null,"total_tokens":null}"#);
        check(&answer(200, End::Cancelled, true, usage, "hello", false), Outcome::ClientLeft, UsageSource::Estimated, Some(193), Some(1));
    }

    #[test]
    fn an_upstream_that_fails_before_any_output_costs_nothing() {
        check(&answer(500, End::Complete, false, None, "", true), Outcome::UpstreamError, UsageSource::None, None, None);
        check(&answer(200, End::Complete, false, None, "", true), Outcome::UpstreamError, UsageSource::None, None, None);
        check(&answer(200, End::Broken, false, None, "", false), Outcome::UpstreamError, UsageSource::None, None, None);
        check(&none(End::Broken, false), Outcome::UpstreamError, UsageSource::None, None, None);
        let zeros = Some(r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#);
        check(&answer(200, End::Complete, false, zeros, "", true), Outcome::UpstreamError, UsageSource::None, None, None);
        // A page of HTML with status 200 is no answer.
        check(&answer(200, End::Complete, false, None, "", false), Outcome::UpstreamError, UsageSource::None, None, None);
    }

    #[test]
    fn whoever_leaves_a_working_upstream_pays_for_the_prompt() {
        check(&none(End::Cancelled, true), Outcome::ClientLeft, UsageSource::Estimated, Some(PROMPT), Some(0));
    }
}
