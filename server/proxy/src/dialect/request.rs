//! A request: what must be known of it before it is forwarded, and the few changes that metering makes.

#[cfg(test)]
mod tests;

use std::{borrow::Cow, ops::Range};

use domain::{
    attribution::Attribution,
    catalog::{Model, UsageMode},
    tokens::Tokens,
};

use super::{
    Caps, Dialect,
    prompt::{Form, Prompt, Unmeterable},
};
use crate::{
    admit::attribution::Saying,
    reply::Refusal,
    wire::{
        json::{self, Members, Name, place_of},
        splice::Edit,
    },
};

/// More answers to one request than this are refused: each holds credit for a whole output.
const ANSWERS_MAX: i64 = 128;

pub(super) const NO_CAP: &str = "cap the output with max_tokens";
pub(super) const OTHER_MODEL: &str = "another model has another price";
pub(super) const SEARCH: &str = "the upstream's searches are not reported as tokens";
pub(super) const UNCOUNTED: &str = "its usage is not reported here";
pub(super) const UNKNOWN_LENGTH: &str = "its length is not known here";
/// Members that make a model think.
const REASONING: [&str; 5] = ["enable_thinking", "reasoning", "reasoning_effort", "thinking", "thinking_budget"];
/// Tools that the client itself describes.
const OF_THE_CLIENT: [&str; 4] = ["", "custom", "function", "namespace"];

const UNKNOWN: &str = "this gateway does not know it, and cannot say what it costs";

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
    /// It passes with one of these values, as they are written.
    Only(&'static [&'static str], &'static str),
    /// The same; with others where the model's entry bounds what is reasoned beside the cap.
    BesideCap(&'static [&'static str]),
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
    /// How large its prompt may be.
    pub(crate) prompt: Prompt,
    /// What it says of itself.
    pub(crate) said: Attribution,
    /// It asks for an answer that is thought about, most of which may never be seen.
    pub(crate) reasons: bool,
    /// What passes only where the operator has opened it for the model.
    unusual: Vec<Unusual>,
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
    BesideCap,
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
        let mut reader = Reader { dialect, body, read: Read::new(dialect, body) };
        for member in members.iter() {
            reader.member(member)?;
        }
        reader.finish()
    }

    /// What is against it at this model, where the operator has not opened what is unusual of it.
    pub(crate) fn refused_by(&self, model: &Model) -> Option<Refusal> {
        let is_bounded = model.bounds.reasoning_max > Tokens::ZERO;
        let passes = |unusual: &Unusual| model.opens(&unusual.name) || unusual.why == Why::BesideCap && is_bounded;
        let unusual = self.unusual.iter().find(|unusual| !passes(unusual))?;
        let why = match unusual.why {
            Why::Refused(why) => why,
            Why::BesideCap => "its reasoning is not bounded by the cap on the output",
        };
        Some(Refusal::unmetered(unusual.name.clone(), why, &self.model))
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

    /// The changes that make it a request to this model's upstream, whose every answer is capped, if there is a cap.
    #[must_use]
    pub(crate) fn edits(&self, model: &Model, mode: UsageMode, cap: Option<Tokens>) -> Vec<Edit> {
        let mut edits = Vec::new();
        if model.upstream_name != self.model {
            edits.push(Edit::replace(self.model_place.clone(), serde_json::Value::from(model.upstream_name.as_str()).to_string()));
        }
        if self.forces_usage(mode) {
            edits.extend(self.force_usage());
        }
        if let (Some(cap), Some(field)) = (cap, self.cap_field(model)) {
            self.cap_output(field, cap, &mut edits);
        }
        edits
    }

    fn cap_field(&self, model: &Model) -> Option<&'static str> {
        match self.dialect.request.caps {
            Caps::None => None,
            Caps::Optional(name, _) | Caps::Required(name) => Some(name),
            Caps::ByModel => Some(model.output_cap_field.name()),
        }
    }

    fn force_usage(&self) -> Option<Edit> {
        Some(match &self.options {
            StreamOptions::Unneeded => return None,
            StreamOptions::Absent => Edit::insert(self.first_member, r#""stream_options":{"include_usage":true},"#),
            StreamOptions::Null(place) => Edit::replace(place.clone(), r#"{"include_usage":true}"#),
            StreamOptions::Silent { first_member, is_empty: true } => Edit::insert(*first_member, r#""include_usage":true"#),
            StreamOptions::Silent { first_member, is_empty: false } => Edit::insert(*first_member, r#""include_usage":true,"#),
            StreamOptions::Usage { place, .. } => Edit::replace(place.clone(), "true"),
        })
    }

    /// The cap must stand under the name that the upstream reads, else it is no cap. A client may know it by its other name, or give both: then only one is
    /// sent, since OpenAI refuses two.
    fn cap_output(&self, field: &'static str, cap: Tokens, edits: &mut Vec<Edit>) {
        let own = self.caps.iter().find(|cap| cap.field == field);
        let other = self.caps.iter().find(|cap| cap.field != field && cap.tokens.is_some());
        let kept = own.or(other);
        match kept {
            Some(kept) => {
                if kept.field != field {
                    edits.push(Edit::replace(kept.name.clone(), format!("\"{field}\"")));
                }
                if kept.tokens != Some(cap.get()) {
                    edits.push(Edit::replace(kept.value.clone(), cap.to_string()));
                }
            }
            None => edits.push(Edit::insert(self.first_member, format!("\"{field}\":{cap},"))),
        }
        if let Some(other) = other.filter(|other| own.is_some_and(|own| own.field != other.field)) {
            edits.push(Edit::replace(other.whole.clone(), ""));
        }
    }
}

/// What has been read so far.
struct Read {
    model: Option<(String, Range<usize>)>,
    stream: bool,
    prompt: Prompt,
    has_prompt: bool,
    saying: Saying,
    unusual: Vec<Unusual>,
    reasons: bool,
    answers: i64,
    options: StreamOptions,
    caps: Vec<Cap>,
}

impl Read {
    fn new(dialect: &Dialect, body: &str) -> Self {
        let has_options = dialect.request.members.iter().any(|(_, member)| *member == Member::StreamOptions);
        Self {
            model: None,
            stream: false,
            prompt: Prompt::new(body.len()),
            has_prompt: false,
            saying: Saying::default(),
            unusual: Vec::new(),
            reasons: false,
            answers: 1,
            options: if has_options { StreamOptions::Absent } else { StreamOptions::Unneeded },
            caps: Vec::new(),
        }
    }
}

struct Reader<'a> {
    dialect: &'static Dialect,
    body: &'a str,
    read: Read,
}

impl<'a> Reader<'a> {
    fn member(&mut self, member: &'a json::Member<'a>) -> Result<(), Refusal> {
        self.read.reasons |= !member.is_null() && REASONING.contains(&&*member.name);
        let Some((name, known)) = self.known(&member.name)? else {
            if !member.is_null() {
                self.unusual(member.name.clone().into_owned(), UNKNOWN);
            }
            return Ok(());
        };
        // `null` is "not given", but its place may be needed.
        match known {
            Known::Member(Member::StreamOptions) => self.stream_options(member),
            Known::Member(Member::Cap) => self.cap(name, member),
            _ if member.is_null() => Ok(()),
            Known::Harmless => Ok(()),
            Known::Member(known) => self.present(name, known, member),
        }
    }

    fn present(&mut self, name: &'static str, known: Member, member: &'a json::Member<'a>) -> Result<(), Refusal> {
        let value = member.value.get();
        match known {
            Member::Model => {
                let Name(model) = member.read().ok_or_else(|| Refusal::invalid("model", "\"model\" must be a string"))?;
                self.read.model = Some((model.into_owned(), place_of(value, self.body)));
            }
            Member::Stream => self.read.stream = typed(name, member, "true or false")?,
            Member::Answers => self.answers(name, member)?,
            Member::Prompt(form) => {
                self.read.has_prompt = true;
                let parts = &self.dialect.request.parts;
                self.read.prompt.read(name, member, form, parts).map_err(|Unmeterable(why)| Refusal::invalid(name, &why))?;
            }
            Member::PromptText => self.read.prompt.text(value),
            Member::Tools(kinds) => {
                self.read.prompt.tools(value);
                let tools: Vec<Members<'_>> = typed(name, member, "a list of tools, with no member given twice")?;
                self.kinds(name, &tools, kinds)?;
            }
            Member::Edits(kinds) => self.edits(name, member, kinds)?,
            Member::Inner(known) => self.inner(name, member, known)?,
            Member::User => self.read.saying.user(member),
            Member::SafetyIdentifier => self.read.saying.safety_identifier(member),
            Member::Metadata => self.read.saying.metadata(member),
            Member::MetadataOfUser => self.read.saying.user_in_metadata(member),
            Member::Only(harmless, why) if !harmless.contains(&&*plain(value)) => self.unusual(name.to_owned(), why),
            Member::BesideCap(harmless) if !harmless.contains(&&*plain(value)) => {
                self.read.unusual.push(Unusual { name: name.to_owned(), why: Why::BesideCap });
            }
            Member::Refused(why) => self.unusual(name.to_owned(), why),
            Member::Only(..) | Member::BesideCap(_) | Member::StreamOptions | Member::Cap => {}
        }
        Ok(())
    }

    fn unusual(&mut self, name: String, why: &'static str) {
        self.read.unusual.push(Unusual { name, why: Why::Refused(why) });
    }

    fn answers(&mut self, name: &'static str, member: &json::Member<'_>) -> Result<(), Refusal> {
        let answers: i64 = typed(name, member, "a whole number")?;
        if !(1..=ANSWERS_MAX).contains(&answers) {
            return Err(Refusal::invalid(name, &format!("\"{name}\" must be from 1 to {ANSWERS_MAX}")));
        }
        self.read.answers = self.read.answers.max(answers);
        Ok(())
    }

    fn cap(&mut self, field: &'static str, member: &'a json::Member<'a>) -> Result<(), Refusal> {
        let tokens: Option<i64> = if member.is_null() { None } else { Some(typed(field, member, "a whole number")?) };
        if tokens.is_some_and(|tokens| tokens < 1) {
            return Err(Refusal::invalid(field, &format!("\"{field}\" must be at least 1")));
        }
        let (name, value) = (place_of(member.raw_name, self.body), place_of(member.value.get(), self.body));
        let whole = with_comma(self.body, name.start..value.end);
        self.read.caps.push(Cap { field, name, value, whole, tokens });
        Ok(())
    }

    fn stream_options(&mut self, member: &'a json::Member<'a>) -> Result<(), Refusal> {
        const NAME: &str = "stream_options";
        let place = place_of(member.value.get(), self.body);
        if member.is_null() {
            self.read.options = StreamOptions::Null(place);
            return Ok(());
        }
        let options =
            Members::parse(member.value.get()).map_err(|error| Refusal::invalid(NAME, &format!("\"stream_options\": {error}")))?;
        if let Some(known) = options.misspelled(["include_usage"].into_iter()) {
            return Err(misspelled(known));
        }
        self.read.options = match options.find("include_usage") {
            None => StreamOptions::Silent { first_member: place.start + 1, is_empty: options.is_empty() },
            Some(usage) => StreamOptions::Usage {
                asked: !usage.is_null() && typed("include_usage", usage, "true or false")?,
                place: place_of(usage.value.get(), self.body),
            },
        };
        Ok(())
    }

    fn edits(&mut self, name: &'static str, member: &json::Member<'_>, kinds: &[&str]) -> Result<(), Refusal> {
        let what = "an object with a list of edits, with no member given twice";
        let object: Members<'_> = typed(name, member, what)?;
        for other in object.iter().filter(|member| member.name != "edits" && !member.is_null()) {
            self.unusual(format!("{name}.{}", other.name), UNKNOWN);
        }
        if let Some(edits) = object.get("edits") {
            self.kinds(name, &typed::<Vec<Members<'_>>>(name, edits, what)?, kinds)?;
        }
        Ok(())
    }

    fn inner(&mut self, name: &'static str, member: &json::Member<'_>, known: &[&str]) -> Result<(), Refusal> {
        let object: Members<'_> = typed(name, member, "an object, with no member given twice")?;
        for other in object.iter().filter(|member| !member.is_null() && !known.contains(&&*member.name)) {
            self.unusual(format!("{name}.{}", other.name), UNKNOWN);
        }
        Ok(())
    }

    /// Notes those whose type is none of these, nor begins like one that ends with an underscore.
    fn kinds(&mut self, name: &'static str, of: &[Members<'_>], known: &[&str]) -> Result<(), Refusal> {
        for one in of {
            if let Some(known) = one.misspelled(["type"].into_iter()) {
                return Err(misspelled(known));
            }
            let kind = match one.get("type") {
                None => Cow::Borrowed(""),
                Some(kind) => typed::<Name<'_>>(name, kind, "a list whose items have a text as their type")?.0,
            };
            if !OF_THE_CLIENT.contains(&&*kind) {
                self.read.prompt.built_in_tool();
            }
            if !known.iter().any(|known| *known == kind || known.ends_with('_') && kind.starts_with(known)) {
                self.unusual(format!("{name}.{kind}"), "it does not run at the client's side, and what it costs is not reported as tokens");
            }
        }
        Ok(())
    }

    /// What a member of this name is; `None` if nobody knows.
    fn known(&self, name: &str) -> Result<Option<(&'static str, Known)>, Refusal> {
        let asking = &self.dialect.request;
        if let Some((known, member)) = asking.members.iter().find(|(known, _)| *known == name) {
            return Ok(Some((known, Known::Member(*member))));
        }
        if let Some(known) = asking.harmless.iter().flat_map(|names| names.iter()).find(|known| **known == name) {
            return Ok(Some((known, Known::Harmless)));
        }
        // Some upstreams read "Model" as "model"; whether this one does is not known.
        let folded = json::folded(name);
        match asking.members.iter().find(|(known, _)| *known == folded) {
            Some((known, _)) => Err(misspelled(known)),
            None => Ok(None),
        }
    }

    fn finish(self) -> Result<Request, Refusal> {
        let Self { dialect, body, read } = self;
        let (model, model_place) = read.model.ok_or_else(|| Refusal::invalid("model", "name the model: \"model\" is missing"))?;
        if !read.has_prompt {
            let is_prompt = |member: &Member| matches!(member, Member::Prompt(_));
            let name = dialect.request.members.iter().find(|(_, member)| is_prompt(member)).map_or("prompt", |(name, _)| name);
            return Err(Refusal::invalid(name, &format!("\"{name}\" is missing")));
        }
        let request = Request {
            dialect,
            model,
            stream: read.stream,
            prompt: read.prompt,
            said: read.saying.into(),
            unusual: read.unusual,
            reasons: read.reasons,
            model_place,
            answers: read.answers,
            first_member: body.find('{').map_or(0, |brace| brace + 1),
            options: read.options,
            caps: read.caps,
        };
        match dialect.request.caps {
            Caps::Required(name) if request.output_cap().is_none() => Err(Refusal::invalid(name, &format!("\"{name}\" is missing"))),
            _ => Ok(request),
        }
    }
}

/// A member with the comma after it, or else the one before it.
fn with_comma(body: &str, member: Range<usize>) -> Range<usize> {
    let after = &body[member.end..];
    let rest = after.trim_start();
    if rest.starts_with(',') {
        return member.start..member.end + (after.len() - rest.len()) + 1;
    }
    let before = body[..member.start].trim_end();
    if before.ends_with(',') { before.len() - 1..member.end } else { member }
}

/// What a name of a member stands for.
enum Known {
    Member(Member),
    Harmless,
}

/// A value without the white space between its parts: what it is compared with has no text with white space in it.
fn plain(value: &str) -> Cow<'_, str> {
    if value.bytes().any(|byte| byte.is_ascii_whitespace()) { value.split_ascii_whitespace().collect() } else { Cow::Borrowed(value) }
}

fn misspelled(known: &'static str) -> Refusal {
    Refusal::invalid(known, &format!("write the name \"{known}\" exactly so"))
}

/// A member that must be what it is meant to be.
fn typed<'a, T: serde::Deserialize<'a>>(name: &'static str, member: &json::Member<'a>, what: &str) -> Result<T, Refusal> {
    member.read().ok_or_else(|| Refusal::invalid(name, &format!("\"{name}\" must be {what}")))
}
