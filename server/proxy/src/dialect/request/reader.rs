//! A request as it is read: each member by the role that its API's table gives it.

use std::{borrow::Cow, ops::Range};

use domain::service_tier::ServiceTier;

use super::{Cap, Member, OTHER_TIER, Request, StreamOptions, Unusual, Why};
use crate::{
    admit::attribution::Saying,
    dialect::{
        Caps, Dialect,
        prompt::{Prompt, Unmeterable},
    },
    reply::Refusal,
    wire::json::{self, Members, Name, place_of, text_of},
};

/// More answers to one request than this are refused: each holds credit for a whole output.
const ANSWERS_MAX: i64 = 128;

/// Members that make a model think.
const REASONING: [&str; 5] = ["enable_thinking", "reasoning", "reasoning_effort", "thinking", "thinking_budget"];
/// Tools that the client itself describes.
const OF_THE_CLIENT: [&str; 4] = ["", "custom", "function", "namespace"];

const UNKNOWN: &str = "this gateway does not know it, and cannot say what it costs";

/// What has been read so far.
struct Read {
    model: Option<(String, Range<usize>)>,
    stream: bool,
    service_tier: ServiceTier,
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
            service_tier: ServiceTier::Default,
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

/// Reads a request, member by member.
pub(super) struct Reader<'a> {
    dialect: &'static Dialect,
    body: &'a str,
    read: Read,
}

impl<'a> Reader<'a> {
    pub(super) fn new(dialect: &'static Dialect, body: &'a str) -> Self {
        Self { dialect, body, read: Read::new(dialect, body) }
    }

    /// Takes in a member.
    ///
    /// # Errors
    /// A [`Refusal`] that says what is wrong with it.
    pub(super) fn member(&mut self, member: &'a json::Member<'a>) -> Result<(), Refusal> {
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
                let model = text_of(member.value).ok_or_else(|| Refusal::invalid("model", "\"model\" must be a string"))?;
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
            Member::ServiceTier(known) => self.service_tier(name, value, known),
            Member::Only(harmless, why) if !harmless.contains(&&*plain(value)) => self.unusual(name.to_owned(), why),
            Member::BesideCap(harmless) if !harmless.contains(&&*plain(value)) => {
                self.read.unusual.push(Unusual { name: name.to_owned(), why: Why::BesideCap });
            }
            Member::Loose(why) => self.read.unusual.push(Unusual { name: name.to_owned(), why: Why::Loose(why) }),
            Member::Refused(why) => self.unusual(name.to_owned(), why),
            Member::Only(..) | Member::BesideCap(_) | Member::StreamOptions | Member::Cap => {}
        }
        Ok(())
    }

    fn service_tier(&mut self, name: &'static str, value: &str, known: &[(&str, ServiceTier)]) {
        let value = plain(value);
        match known.iter().find(|(known, _)| *known == value) {
            None => self.unusual(name.to_owned(), OTHER_TIER),
            Some((_, tier)) => {
                self.read.service_tier = *tier;
                if tier.wants_a_price() {
                    self.read.unusual.push(Unusual { name: name.to_owned(), why: Why::Unpriced });
                }
            }
        }
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

    /// The request, once all members were taken in.
    ///
    /// # Errors
    /// A [`Refusal`] that names what is missing.
    pub(super) fn finish(self) -> Result<Request, Refusal> {
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
            service_tier: read.service_tier,
            prompt: read.prompt,
            said: read.saying.into(),
            unusual: read.unusual,
            is_lenient: false,
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
