//! What all documents of one answer say together.

use domain::{
    service_tier::ServiceTier,
    tokens::{CallUsage, Flag, Tokens},
};

use super::{
    Answers,
    usage::{Later, Reported},
};
use crate::wire::{
    document::Document,
    estimate::DeliveredText,
    grammar::{Grammar, Scope},
    report::Report,
    scan::Scanner,
};

/// Ends of answers that are no ends: the provider failed, says so only there, and bills nothing (<https://openrouter.ai/docs/api-reference/overview>).
const FAILED_FINISHES: [&str; 1] = ["error"];
/// What answers call the default tier beside its own name: Groq, Anthropic.
const DEFAULT_TIERS: [&str; 3] = ["on_demand", "standard", "standard_only"];
/// What an answer says of its tier before it knows it: OpenAI's streams of responses begin so.
const UNDECIDED_TIER: &str = "auto";

/// An answer, as far as it has been read.
#[derive(Debug)]
pub(crate) struct Reading {
    answers: &'static Answers,
    /// Of the whole answer.
    reported: Option<Reported>,
    /// The same, said only aside.
    aside: Option<Reported>,
    /// The bytes that had been delivered when the upstream last reported.
    reported_at: usize,
    /// The last report, as it was written.
    pub(crate) raw_usage: Option<String>,
    /// The model that says it has answered.
    pub(crate) model: Option<String>,
    /// The service tier that it says it was served at.
    pub(crate) served_tier: Option<ServiceTier>,
    /// The same, where nobody here knows that tier.
    pub(crate) unknown_tier: Option<String>,
    /// Another model, which had its part in the answer and is not in its counts.
    pub(crate) other_model: Option<String>,
    /// The answer has come to its end: the text is complete, whatever else follows.
    pub(crate) finished: bool,
    /// The upstream reported an error inside the answer.
    pub(crate) failed: bool,
    /// It did so in a way that it does not bill.
    is_unbilled: bool,
    /// At least one document was part of an answer.
    pub(crate) is_answer: bool,
    /// A document was read to its end.
    pub(crate) has_whole_document: bool,
    /// Something that looks like a report was none, or made too little sense.
    pub(crate) unreadable: bool,
    /// What was delivered.
    pub(crate) text: DeliveredText,
    /// Something was delivered that is no text.
    pub(crate) has_media: bool,
}

/// Token counts, and whether the upstream stands behind all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    /// The upstream's own.
    Reported(CallUsage),
    /// At least one side had to be estimated.
    Estimated(CallUsage),
}

impl Reading {
    /// Nothing yet, of an answer of this kind.
    #[must_use]
    pub(crate) fn new(answers: &'static Answers) -> Self {
        Self {
            answers,
            reported: None,
            aside: None,
            reported_at: 0,
            raw_usage: None,
            model: None,
            served_tier: None,
            unknown_tier: None,
            other_model: None,
            finished: false,
            failed: false,
            is_unbilled: false,
            is_answer: false,
            has_whole_document: false,
            unreadable: false,
            text: DeliveredText::default(),
            has_media: false,
        }
    }

    /// Where its documents say what.
    #[must_use]
    pub(crate) fn grammar(&self) -> &'static Grammar {
        &self.answers.grammar
    }

    /// What reads its documents.
    #[must_use]
    pub(crate) fn scanner(&self) -> Scanner {
        Scanner::new(&self.answers.grammar)
    }

    /// Takes in one document: a whole body or one event.
    pub(crate) fn absorb(&mut self, document: Document) {
        let failed_finish = document.finish.as_deref().is_some_and(|finish| FAILED_FINISHES.contains(&finish));
        self.finished |= document.finish.is_some();
        self.is_unbilled |= failed_finish;
        self.failed |= document.failed || failed_finish || self.is_failure(document.kind.as_deref());
        self.is_answer |= document.is_answer || document.says_something;
        self.has_whole_document |= document.is_whole;
        self.unreadable |= document.has_stray_usage;
        self.has_media |= document.has_media;
        self.model = self.model.take().or(document.model);
        if let Some(tier) = document.tier.filter(|tier| tier != UNDECIDED_TIER) {
            let known = if DEFAULT_TIERS.contains(&tier.as_str()) { Some(ServiceTier::Default) } else { ServiceTier::named(&tier) };
            (self.served_tier, self.unknown_tier) = (known, Some(tier).filter(|_| known.is_none()));
        }
        self.absorb_reports(document.reports);
    }

    fn is_failure(&self, kind: Option<&str>) -> bool {
        kind.is_some_and(|kind| self.answers.failed_kinds.contains(&kind))
    }

    fn absorb_reports(&mut self, reports: Vec<Report>) {
        let mut reports = reports.into_iter().peekable();
        let mut first: Option<Report> = None;
        while let Some(mut report) = reports.next() {
            let mut passes = Vec::new();
            while let Some(pass) = reports.next_if(|next| next.scope == Scope::Pass) {
                passes.push(pass);
            }
            let raw = std::mem::take(&mut report.raw);
            if !report.says_something() {
                continue;
            }
            let Some(read) = self.read(&report, &passes) else {
                self.unreadable = true;
                self.raw_usage = self.raw_usage.take().or_else(|| storable(raw));
                continue;
            };
            // Two reports at one place of one document: nobody knows which of them is meant.
            let contradicts = first.as_ref().is_some_and(|first| first.scope == report.scope && !first.says_the_same_as(&report));
            let is_the_last_word = self.merge(report.scope, if contradicts { read.contradicting() } else { read });
            // What is shown must not say less than what is charged.
            if is_the_last_word || self.raw_usage.is_none() {
                self.raw_usage = storable(raw).or_else(|| self.raw_usage.take());
            }
            first.get_or_insert(report);
        }
    }

    fn read(&mut self, report: &Report, passes: &[Report]) -> Option<Reported> {
        let is_own = |pass: &&Report| pass.model.is_none() || pass.model == self.model;
        let own: Vec<_> = passes.iter().filter(is_own).filter_map(Reported::of).collect();
        if let Some(other) = passes.iter().find(|pass| !is_own(pass)) {
            self.other_model.clone_from(&other.model);
        }
        let read = Reported::of(report)?.of_passes(&own);
        Some(if self.answers.has_output { read } else { read.without_output() })
    }

    /// Says whether it says no less than those before.
    fn merge(&mut self, scope: Scope, read: Reported) -> bool {
        let later = if scope == Scope::Answer { self.answers.accounting.later } else { Later::Grows };
        let known = if scope == Scope::Answer { &mut self.reported } else { &mut self.aside };
        let known = known.get_or_insert_default();
        known.merge(read, later);
        let is_the_last_word = later == Later::Replaces || known.prompt() == read.prompt() && known.completion() == read.completion();
        self.reported_at = self.text.len();
        is_the_last_word
    }

    /// What the upstream has reported, if that can be: nothing at all beside what was delivered cannot.
    fn known(&self) -> Option<Reported> {
        let known = self.reported.or(self.aside)?;
        if self.delivered_nothing() {
            return Some(known);
        }
        let known = if self.answers.has_output { known.beside_something() } else { known };
        (!known.is_zero()).then_some(known)
    }

    /// Whether there was no text, no sound and no picture so far.
    #[must_use]
    pub(crate) fn delivered_nothing(&self) -> bool {
        self.text.is_empty() && !self.has_media
    }

    /// Whether the upstream has said what it used, on each side that there is.
    #[must_use]
    pub(crate) fn has_usage(&self) -> bool {
        self.known().is_some_and(|known| known.prompt().is_some() && (known.completion().is_some() || !self.answers.has_output))
    }

    /// Whether there is nothing to bill by: no report of any token, no text, no sound and no picture.
    #[must_use]
    pub(crate) fn says_nothing(&self) -> bool {
        self.known().is_none_or(Reported::is_zero) && (self.delivered_nothing() || self.is_unbilled)
    }

    /// Whether more was delivered than the upstream had reported when it last did.
    fn is_outrun(&self) -> bool {
        self.text.len() > self.reported_at
    }

    /// Whether no tokenizer is needed to tell the call's usage.
    #[must_use]
    pub(crate) fn is_counted_by_the_upstream(&self) -> bool {
        self.has_usage() && !self.is_outrun()
    }

    /// The call's usage: the upstream's, and where it reported none, or stopped in the middle of counting, a tokenizer's count of what was delivered,
    /// at most `completion_max`, beside `prompt`, the same of the prompt.
    #[must_use]
    pub(crate) fn counted(&self, prompt: impl FnOnce() -> Tokens, completion_max: Tokens) -> Counted {
        match self.plainly_counted(prompt, completion_max) {
            Counted::Reported(usage) => Counted::Reported(self.on_its_terms(usage)),
            Counted::Estimated(usage) => Counted::Estimated(self.on_its_terms(usage)),
        }
    }

    fn plainly_counted(&self, prompt: impl FnOnce() -> Tokens, completion_max: Tokens) -> Counted {
        let delivered = || self.text.tokens().min(completion_max);
        let cache = self.answers.accounting.cache;
        let known = self.known().unwrap_or_default();
        if !self.has_usage() {
            let completion = self.answers.has_output.then(|| known.completion().unwrap_or_else(delivered));
            let prompt = known.into_usage(cache).prompt_tokens.unwrap_or_else(prompt);
            return Counted::Estimated(CallUsage::of_totals(Some(prompt), completion, None));
        }
        let known = if self.is_gemini() { known.with_thoughts() } else { known };
        let more = self.is_outrun().then(delivered).filter(|delivered| Some(*delivered) > known.completion());
        match more {
            Some(delivered) => Counted::Estimated(known.with_completion(delivered).into_usage(cache)),
            None => Counted::Reported(known.into_usage(cache)),
        }
    }

    /// Whether part of it has another price than any of the model's: it was served at a tier that nobody here knows, or in part by a second model.
    #[must_use]
    pub(crate) const fn is_on_other_terms(&self) -> bool {
        self.unknown_tier.is_some() || self.other_model.is_some()
    }

    /// Flagged, where that is so.
    fn on_its_terms(&self, usage: CallUsage) -> CallUsage {
        CallUsage { flag: usage.flag.or(self.is_on_other_terms().then_some(Flag::OtherTerms)), ..usage }
    }

    /// Whether the model that answered is one of Google's, which some name with their publisher.
    fn is_gemini(&self) -> bool {
        self.model.as_deref().and_then(|model| model.rsplit('/').next()).is_some_and(|model| model.starts_with("gemini-"))
    }
}

/// Text as it came, but for NUL, which no text in the ledger can hold, and for what is no UTF-8. `None` where it was too long to be kept.
fn storable(raw: Vec<u8>) -> Option<String> {
    if raw.is_empty() {
        return None;
    }
    let mut text = String::from_utf8(raw).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    text.retain(|character| character != '\0');
    Some(text)
}
