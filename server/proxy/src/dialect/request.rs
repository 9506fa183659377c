//! A request: what must be known of it before it is forwarded, and the few changes that metering makes.

mod edits;
mod reader;
#[cfg(test)]
mod tests;

use std::ops::Range;

use domain::{
    attribution::Attribution,
    catalog::{Model, UsageMode},
    service_tier::ServiceTier,
    tokens::Tokens,
};

use self::reader::Reader;
use super::{
    Caps, Dialect,
    prompt::{Form, Prompt},
};
use crate::{reply::Refusal, wire::json::Members};

pub(super) const NO_CAP: &str = "cap the output with max_tokens";
pub(super) const OTHER_TIER: &str = "other service tiers have other prices";
pub(super) const OTHER_MODEL: &str = "another model has another price";
pub(super) const SEARCH: &str = "the upstream's searches are not reported as tokens";
pub(super) const UNCOUNTED: &str = "its usage is not reported here";
pub(super) const UNKNOWN_LENGTH: &str = "its length is not known here";

/// What a member of a request is to the meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Member {
    /// The model's name.
    Model,
    /// Whether the answer is a stream.
    Stream,
    /// Where a stream is asked to report its usage.
    StreamOptions,
    /// A cap on each answer's output.
    Cap,
    /// How many answers are made.
    Answers,
    /// The prompt, or a part of it.
    Prompt(Form),
    /// It becomes part of the prompt, as it is written.
    PromptText,
    /// The same, a list of tools of these types or of types that begin so; one without a type has an empty one.
    Tools(&'static [&'static str]),
    /// The same of what is done to the context: an object with a list of `edits`.
    Edits(&'static [&'static str]),
    /// An object with these members, none of which costs anything.
    Inner(&'static [&'static str]),
    /// Who the client's own user is.
    User,
    /// The same, by its newer name.
    SafetyIdentifier,
    /// What the client notes beside the call.
    Metadata,
    /// The same, where it may only name the client's own user.
    MetadataOfUser,
    /// The service tier, by the values that it may have, as they are written; one that costs something else than the default passes where it has a price.
    ServiceTier(&'static [(&'static str, ServiceTier)]),
    /// It passes with one of these values, as they are written.
    Only(&'static [&'static str], &'static str),
    /// The same; with others as [`Self::Loose`], and where the model's entry bounds what is reasoned beside the cap.
    BesideCap(&'static [&'static str]),
    /// It loosens what bounds a call, and what comes of that is counted like the rest: it passes where that is paid for.
    Loose(&'static str),
    /// It does not pass.
    Refused(&'static str),
}

/// A request, read once. Places are in the body.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) dialect: &'static Dialect,
    /// The model that the client asks for.
    pub(crate) model: String,
    /// Whether the answer is to be a stream.
    pub(crate) stream: bool,
    /// The service tier that it asks for.
    pub(crate) service_tier: ServiceTier,
    /// How large its prompt may be.
    pub(crate) prompt: Prompt,
    /// What it says of itself.
    pub(crate) said: Attribution,
    /// It asks for an answer that is thought about, most of which may never be seen.
    pub(crate) reasons: bool,
    /// What passes only where the operator has opened it.
    unusual: Vec<Unusual>,
    /// It is paid for whatever it comes to.
    is_lenient: bool,
    model_place: Range<usize>,
    answers: i64,
    /// Where the first member begins.
    first_member: usize,
    options: StreamOptions,
    caps: Vec<Cap>,
}

/// A member, or a kind of its items, that is not bounded by what is known.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Unusual {
    /// `member`, or `member.kind`: what an operator opens.
    name: String,
    why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Refused(&'static str),
    Loose(&'static str),
    BesideCap,
    /// The service tier that it asks for has no price, as far as it is known.
    Unpriced,
}

/// `stream_options`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum StreamOptions {
    /// The API has none, and streams report by themselves.
    Unneeded,
    Absent,
    /// `null`, here.
    Null(Range<usize>),
    /// An object without `include_usage`, whose first member would stand here; whether it has others.
    Silent {
        first_member: usize,
        is_empty: bool,
    },
    /// An object with `include_usage`, whose value stands here.
    Usage {
        asked: bool,
        place: Range<usize>,
    },
}

/// One of the names of the cap on the output.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cap {
    field: &'static str,
    /// Where its name and its value stand, be it `null`, and both with a comma.
    name: Range<usize>,
    value: Range<usize>,
    whole: Range<usize>,
    tokens: Option<i64>,
}

impl Request {
    /// Reads a request.
    ///
    /// # Errors
    /// A [`Refusal`] that says what is wrong.
    pub(crate) fn parse(dialect: &'static Dialect, body: &str) -> Result<Self, Refusal> {
        let members = Members::parse(body).map_err(|error| Refusal::malformed(&error.to_string()))?;
        let mut reader = Reader::new(dialect, body);
        for member in members.iter() {
            reader.member(member)?;
        }
        reader.finish()
    }

    /// Whether it is paid for whatever it comes to: by a lenient account, in money.
    pub(crate) fn set_lenient(&mut self, is_lenient: bool) {
        self.is_lenient = is_lenient;
    }

    /// Whether something of it passes only because it is paid for whatever it comes to: then neither its prompt nor its cap bounds it.
    pub(crate) fn is_loose(&self, model: &Model) -> bool {
        self.is_lenient && self.unusual.iter().any(|unusual| !self.passes_strictly(unusual, model))
    }

    fn passes_strictly(&self, unusual: &Unusual, model: &Model) -> bool {
        model.opens(&unusual.name) || unusual.why == Why::BesideCap && model.bounds.reasoning_max > Tokens::ZERO
    }

    /// What is against it at this model, where the operator has not opened what is unusual of it.
    pub(crate) fn refused_by(&self, model: &Model) -> Option<Refusal> {
        let passes = |unusual: &Unusual| {
            self.passes_strictly(unusual, model) || self.is_lenient && matches!(unusual.why, Why::BesideCap | Why::Loose(_))
        };
        let unusual = self.unusual.iter().find(|unusual| !passes(unusual))?;
        let why = match unusual.why {
            Why::Refused(why) | Why::Loose(why) => why,
            Why::BesideCap => "its reasoning is not bounded by the cap on the output",
            Why::Unpriced => "this service tier has no price",
        };
        Some(Refusal::unmetered(unusual.name.clone(), why, &self.model))
    }

    /// Lets it pass: the service tier that it asks for has a price.
    pub(crate) fn service_tier_is_priced(&mut self) {
        self.unusual.retain(|unusual| unusual.why != Why::Unpriced);
    }

    /// The client's own cap on one answer's output; the smaller where it gave two.
    #[must_use]
    pub(crate) fn output_cap(&self) -> Option<Tokens> {
        self.caps.iter().filter_map(|cap| cap.tokens).min().map(Tokens::from_sum)
    }

    /// The cap where the client gave none: what the API means by that, or as many as the model's entry says and there is room for.
    #[must_use]
    pub(crate) fn default_cap(&self, model: &Model) -> Tokens {
        match self.dialect.request.caps {
            Caps::None => Tokens::ZERO,
            Caps::Optional(_, Some(meant)) => Tokens::from_sum(meant),
            Caps::Optional(_, None) | Caps::Required(_) | Caps::ByModel => self.prompt.room_for_output(model),
        }
    }

    /// Whether a lower cap than the model's may be put into it where credit is short.
    #[must_use]
    pub(crate) fn may_be_capped(&self) -> bool {
        self.output_cap().is_none() && !matches!(self.dialect.request.caps, Caps::None | Caps::Optional(_, Some(_)))
    }

    /// No call has more completion tokens whose answers are capped at so many each: what the model reasons with may lie beside the cap, and no answer
    /// is longer than the model's window.
    #[must_use]
    pub(crate) fn completion_max(&self, model: &Model, cap: Tokens) -> Tokens {
        if self.dialect.request.caps == Caps::None {
            return Tokens::ZERO;
        }
        let answer = cap.saturating_add(model.bounds.reasoning_max).min(model.context_window);
        Tokens::from_sum(answer.get().saturating_mul(self.answers).saturating_mul(self.prompt.count()))
    }

    /// Whether the stream must be made to report its usage although the client did not ask: then its traces are taken out again.
    #[must_use]
    pub(crate) fn forces_usage(&self, mode: UsageMode) -> bool {
        self.stream
            && mode == UsageMode::Forced
            && !matches!(self.options, StreamOptions::Unneeded | StreamOptions::Usage { asked: true, .. })
    }
}
