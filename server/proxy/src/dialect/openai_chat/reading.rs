//! What all documents of one answer say together.

use domain::tokens::{CallUsage, Tokens};

use super::usage::Reported;
use crate::wire::{estimate::DeliveredText, scan::Document};

/// The longest model name that is kept.
const MODEL_BYTES_MAX: usize = 200;

/// An answer, as far as it has been read.
#[derive(Debug, Default)]
pub struct Reading {
    reported: Option<Reported>,
    /// The bytes that had been delivered when the upstream last reported.
    reported_at: usize,
    /// The last `usage` object, as it was written.
    pub raw_usage: Option<String>,
    /// The model that says it has answered.
    pub model: Option<String>,
    /// A choice has its finish reason: the text is complete, whatever else follows.
    pub finished: bool,
    /// The upstream reported an error inside the answer.
    pub failed: bool,
    /// At least one document had choices: whatever else it is, it is a chat answer.
    pub is_answer: bool,
    /// Something was too large, or made too little sense, to be metered by.
    pub unreadable: bool,
    /// What was delivered.
    pub text: DeliveredText,
    /// Something was delivered that is no text.
    pub has_media: bool,
}

/// Token counts, and whether the upstream stands behind all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// The upstream's own.
    Reported(CallUsage),
    /// At least one side had to be estimated.
    Estimated(CallUsage),
}

impl Reading {
    /// Takes in one document: a whole body or one event.
    pub fn absorb(&mut self, document: Document) {
        self.finished |= document.finished;
        self.failed |= document.failed;
        self.is_answer |= document.has_choices.is_some();
        self.unreadable |= document.oversized;
        self.has_media |= document.has_media;
        if self.model.is_none() {
            self.model = document.model.and_then(|json| model_name(&json));
        }
        // Groq once reported only in `x_groq`, and now reports the same in both places.
        let Some(raw) = document.usage.or(document.groq_usage) else { return };
        match Reported::parse(&raw) {
            Some(reported) => {
                self.reported.get_or_insert_default().merge(reported);
                self.reported_at = self.text.len();
                self.raw_usage = storable(raw);
            }
            None if raw.iter().all(|byte| byte.is_ascii_whitespace() || matches!(byte, b'{' | b'}')) => {}
            None => {
                self.unreadable = true;
                self.raw_usage = self.raw_usage.take().or_else(|| storable(raw));
            }
        }
    }

    /// Whether the upstream has said what it used, both sides of it.
    #[must_use]
    pub fn has_usage(&self) -> bool {
        self.reported.is_some_and(|reported| reported.prompt().is_some() && reported.completion().is_some())
    }

    /// Whether there is nothing to bill by: no report of any token, no text, no sound and no picture.
    #[must_use]
    pub fn says_nothing(&self) -> bool {
        self.reported.is_none_or(Reported::is_zero) && self.text.is_empty() && !self.has_media
    }

    /// Whether more was delivered than the upstream has reported so far: it broke off, or nobody waited for its last word.
    fn is_outrun(&self) -> bool {
        !self.finished && self.text.len() > self.reported_at
    }

    /// The call's usage: the upstream's, and where it reported none, or stopped in the middle of counting, a tokenizer's count of what was delivered,
    /// at most `completion_max`, beside `prompt`, the same of the prompt.
    #[must_use]
    pub fn counted(&self, prompt: impl FnOnce() -> Tokens, completion_max: Tokens) -> Counted {
        let delivered = || self.text.tokens().min(completion_max);
        let known = self.reported.unwrap_or_default();
        if !self.has_usage() {
            let prompt = known.prompt().unwrap_or_else(prompt);
            let completion = known.completion().unwrap_or_else(delivered);
            return Counted::Estimated(CallUsage::of_totals(Some(prompt), Some(completion), None));
        }
        let known = if self.is_gemini() { known.with_thoughts() } else { known };
        let more = self.is_outrun().then(delivered).filter(|delivered| Some(*delivered) > known.completion());
        match more {
            Some(delivered) => Counted::Estimated(known.with_completion(delivered).into_usage()),
            None => Counted::Reported(known.into_usage()),
        }
    }

    /// Whether the model that answered is one of Google's, which some name with their publisher.
    fn is_gemini(&self) -> bool {
        self.model.as_deref().and_then(|model| model.rsplit('/').next()).is_some_and(|model| model.starts_with("gemini-"))
    }
}

/// Text as it came, but for NUL, which no text in the ledger can hold.
fn storable(raw: Vec<u8>) -> Option<String> {
    String::from_utf8(raw).ok().map(|mut text| {
        text.retain(|character| character != '\0');
        text
    })
}

/// A name that can be stored and shown; the first chunk of Azure's has an empty one.
fn model_name(json: &[u8]) -> Option<String> {
    let mut name: String = serde_json::from_slice(json).ok()?;
    name.retain(|character| !character.is_control());
    name.truncate(name.floor_char_boundary(MODEL_BYTES_MAX));
    (!name.is_empty()).then_some(name)
}
