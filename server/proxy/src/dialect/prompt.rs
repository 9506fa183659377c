//! How large a prompt can be, without asking the model.

use std::borrow::Cow;

use domain::{catalog::Model, tokens::Tokens};
use serde_json::value::RawValue;
use tokio::runtime::Handle;

use crate::wire::{
    estimate::Sample,
    json::{Member, Members, text_of},
};

/// What an image or a recording is taken for where it must be guessed, unless the model's entry says that it is less at most: OpenAI documents 765 tokens
/// for a square image in detail.
const MEDIA_TOKENS_GUESS: i64 = 765;
/// The same of a PDF, of which nobody here knows more than that it has a page: Anthropic documents 1,500 to 3,000 tokens for each
/// (<https://docs.anthropic.com/en/docs/build-with-claude/pdf-support>).
const PDF_TOKENS_GUESS: i64 = 1_500;
/// Of a text that is not tokenized.
const BYTES_PER_TOKEN: usize = 4;
/// Tokens that OpenAI documents around each message.
const MESSAGE_TOKENS: i64 = 4;
/// How far the count of another model's tokenizer may lie below the one that estimates here: most need more tokens for a text, none half as many.
const TOKENIZERS_APART: i64 = 2;
/// Hardly any text has so many bytes to a token by any tokenizer, once its white space is left out.
const BYTES_PER_TOKEN_MAX: usize = 8;
/// More texts in one request are refused: OpenAI takes 2,048.
const TEXTS_MAX: usize = 2_048;
/// Lists in lists in a prompt.
const DEPTH_MAX: usize = 16;

/// How the member of a request is written that holds a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A text, or a list of messages and what else [`Parts`] knows.
    Items,
    /// A text, or a list of parts of one message.
    Parts,
    /// A text, a list of tokens by their numbers, or a list of either: each is a prompt of its own.
    Texts,
}

/// What the parts of a prompt are, by their `type`.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) kinds: &'static [(&'static str, Part)],
    /// Members of a message that point to something that is not in the request.
    pub(crate) outside: &'static [&'static str],
}

impl Parts {
    /// There is nothing but text.
    pub(crate) const NONE: Self = Self { kinds: &[], outside: &[] };
}

/// One kind of part. A kind that is not known may be anything, and is bounded by the model's window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Whatever is in it is text.
    Text,
    /// The same, where this member is there; without it, what it is stands elsewhere, under its id.
    Sealed(&'static str),
    /// The same, and in this member a text or a list of parts.
    Nested(&'static str),
    /// A picture, by its bytes or its address in one of these members.
    Picture(&'static [(&'static str, Inline)]),
    /// A recording. Its length is not known where its bytes are not in the request.
    Sound(&'static [(&'static str, Inline)]),
    /// A file, in these members. It is refused where it is named, by `reference`: whose it is, is not known here.
    File { at: &'static [(&'static str, Pdf)], reference: &'static str },
    /// What it is stands in this member, by kinds of its own.
    Within(&'static str, &'static [(&'static str, Part)]),
    /// The same, of which the provider makes more where `citations` of it are asked for: it numbers each sentence.
    Citable(&'static Part),
}

/// How it shows that a file is a PDF, the pages of which are so many tokens however they are written. Other files may be text, as long as the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pdf {
    /// By its bytes: `data:application/pdf;…`.
    DataUrl,
    /// By the `media_type` beside its bytes in base64.
    MediaType,
    /// By the place: no other file's address can stand there.
    Address,
}

impl Pdf {
    fn is(self, text: &str, media_type: Option<&str>) -> bool {
        match self {
            Self::DataUrl => text.starts_with("data:application/pdf;"),
            Self::MediaType => media_type == Some("application/pdf"),
            Self::Address => !text.starts_with("data:"),
        }
    }
}

/// How bytes are written in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inline {
    /// `data:image/…`; another address points outside.
    DataUrl,
    /// Base64, in which no address can be written.
    Base64,
}

impl Inline {
    fn is(self, text: &str) -> bool {
        match self {
            Self::DataUrl => text.starts_with("data:image/"),
            Self::Base64 => !text.contains(':'),
        }
    }
}

/// What matters of a prompt for its size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Prompt {
    /// The beginning of its text.
    sample: Sample,
    /// The length of all its text.
    text_bytes: usize,
    /// The same without its white space, of which one token may be a hundred bytes.
    solid_bytes: usize,
    /// Tokens that were sent as numbers.
    numbers: usize,
    messages: i64,
    /// Texts that are each a prompt of its own; 0 where all is one.
    texts: usize,
    /// Pictures, and how many bytes of the request they are.
    pictures: i64,
    picture_bytes: usize,
    /// Recordings whose bytes are in the request.
    sounds: i64,
    /// PDFs, and how many bytes of the request they are.
    pdfs: i64,
    pdf_bytes: usize,
    /// It points to something that is not in the request, or that nobody here can measure.
    points_outside: bool,
    has_tools: bool,
    /// Tools whose descriptions the provider has, and writes into the prompt.
    built_in_tools: i64,
    /// The length of the whole request.
    body_bytes: usize,
}

/// A prompt that cannot be metered. The text is for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unmeterable(pub(crate) String);

impl Prompt {
    pub(crate) fn new(body_bytes: usize) -> Self {
        Self { body_bytes, ..Self::default() }
    }

    /// How many prompts it is: each has an answer of its own.
    #[must_use]
    pub(crate) fn count(&self) -> i64 {
        i64::try_from(self.texts.max(1)).unwrap_or(i64::MAX)
    }

    /// How many of its tokens there can be at most in a window: as many as it has room for, in each prompt.
    #[must_use]
    pub(crate) fn windows(&self, model: &Model) -> Tokens {
        Tokens::from_sum(model.context_window.get().saturating_mul(self.count()))
    }

    /// No prompt of this request has more tokens: a token stands for at least one byte of the request, and what is not in it is at most the window.
    #[must_use]
    pub(crate) fn tokens_max(&self, model: &Model) -> Tokens {
        if self.points_outside || self.pdfs > 0 && model.bounds.pdf_max.is_none() {
            return self.windows(model);
        }
        // A picture is so many tokens however it is written, and so are the pages of a PDF.
        let bytes = self.body_bytes.saturating_sub(self.picture_bytes).saturating_sub(self.pdf_bytes);
        let bytes = i64::try_from(bytes).unwrap_or(Tokens::MAX_PER_CALL);
        Tokens::from_sum(bytes.saturating_add(self.beside_text_max(model))).min(self.windows(model))
    }

    /// What the prompt probably is, if it cannot fit into the window: whichever tokenizer the model has, and whatever follows the text's beginning.
    #[must_use]
    pub(crate) fn too_long(&self, model: &Model) -> Option<Tokens> {
        // The estimate knows the beginning of the text alone; this holds for all of it, and needs no tokenizer.
        let window = self.windows(model).get();
        let may_be = i64::try_from(self.solid_bytes / BYTES_PER_TOKEN_MAX).unwrap_or(i64::MAX) > window;
        let estimated = may_be.then(|| self.tokens_of_text())?;
        (estimated.get() / TOKENIZERS_APART > window).then_some(estimated)
    }

    /// What the prompt probably is, for a call of which nobody ever says.
    #[must_use]
    pub(crate) fn tokens_estimated(&self, model: &Model) -> Tokens {
        self.tokens_of_text().saturating_add(self.tokens_beside_text(model)).min(self.windows(model))
    }

    /// The same by rule of thumb, without a tokenizer, for calls that hardly any should be of whose end nobody ever hears: OpenAI documents four characters
    /// of English to a token (<https://help.openai.com/en/articles/4936856>).
    #[must_use]
    pub(crate) fn tokens_guessed(&self, model: &Model) -> Tokens {
        let text = i64::try_from(self.text_bytes.div_ceil(BYTES_PER_TOKEN)).unwrap_or(i64::MAX);
        Tokens::from_sum(text).saturating_add(self.tokens_beside_text(model)).min(self.windows(model))
    }

    /// How large an answer may be so that it fits into the window beside the prompt, where a cap is put into the request unasked; some room is left for what
    /// a tokenizer of another family makes of the prompt.
    #[must_use]
    pub(crate) fn room_for_output(&self, model: &Model) -> Tokens {
        if !self.is_near_the_window(model) {
            return model.default_output_hold;
        }
        let window = model.context_window.get();
        let prompt = self.tokens_estimated(model).get() / self.count();
        let taken = prompt.saturating_add(prompt / 8).saturating_add(model.bounds.prompt_overhead.get());
        Tokens::from_sum(window.saturating_sub(taken)).min(model.default_output_hold).max(model.bounds.output_min)
    }

    /// Has the beginning of its text counted where nobody waits for it, so that an estimate is at hand.
    pub(crate) async fn count_apart(&self, runtime: &Handle) {
        self.sample.count_apart(runtime).await;
    }

    /// Whether it is so near the window that what it probably is must be known before the call.
    pub(crate) fn is_near_the_window(&self, model: &Model) -> bool {
        self.tokens_max(model).get().saturating_add(model.default_output_hold.get()) > model.context_window.get()
    }

    fn tokens_beside_text(&self, model: &Model) -> Tokens {
        let media = |count: i64, max: Tokens| count.saturating_mul(max.get().min(MEDIA_TOKENS_GUESS));
        let pdf = model.bounds.pdf_max.map_or(PDF_TOKENS_GUESS, |max| max.get().min(PDF_TOKENS_GUESS));
        let beside = [
            self.messages.saturating_mul(MESSAGE_TOKENS),
            media(self.pictures, model.bounds.picture_max),
            media(self.sounds, model.bounds.sound_max),
            self.pdfs.saturating_mul(pdf),
            i64::try_from(self.numbers).unwrap_or(i64::MAX),
        ];
        Tokens::from_sum(beside.into_iter().fold(0, i64::saturating_add))
    }

    fn tokens_of_text(&self) -> Tokens {
        let sample = i128::try_from(self.sample.tokens()).unwrap_or(i128::MAX);
        let (whole, part) = (i128::try_from(self.text_bytes).unwrap_or(i128::MAX), i128::try_from(self.sample.len().max(1)).unwrap_or(1));
        // Whatever the beginning looks like.
        let least = i64::try_from(self.solid_bytes / BYTES_PER_TOKEN_MAX).unwrap_or(i64::MAX).max(i64::from(self.numbers == 0));
        Tokens::from_sum(i64::try_from(sample.saturating_mul(whole) / part).unwrap_or(i64::MAX).max(least))
    }

    fn beside_text_max(&self, model: &Model) -> i64 {
        let bounds = &model.bounds;
        let tools = bounds.tools_overhead.get().saturating_mul(i64::from(self.has_tools) + self.built_in_tools);
        let pictures = self.pictures.saturating_mul(bounds.picture_max.get());
        let sounds = self.sounds.saturating_mul(bounds.sound_max.get());
        let pdfs = self.pdfs.saturating_mul(bounds.pdf_max.map_or(0, Tokens::get));
        let around = bounds.prompt_overhead.get().saturating_mul(self.count());
        [pictures, sounds, pdfs, tools].into_iter().fold(around, i64::saturating_add)
    }

    /// There are tools, which the provider writes into the prompt.
    pub(crate) fn tools(&mut self, written: &str) {
        self.has_tools = true;
        self.text(written);
    }

    /// One of them is the provider's own.
    pub(crate) const fn built_in_tool(&mut self) {
        self.built_in_tools += 1;
    }

    /// Text as it stands in the request.
    pub(crate) fn text(&mut self, text: &str) {
        self.text_bytes += text.len();
        self.solid_bytes += solid_bytes(text);
        self.sample.push(text.as_bytes());
    }

    /// Takes in the member of this name, which holds the prompt or a part of it.
    ///
    /// # Errors
    /// [`Unmeterable`] for files by reference, and for what no prompt is.
    pub(crate) fn read(&mut self, name: &str, value: &Member<'_>, form: Form, parts: &'static Parts) -> Result<(), Unmeterable> {
        let mut reader = Reader { prompt: self, parts, name };
        match form {
            Form::Items => reader.items(value),
            Form::Parts => reader.content(value, 0),
            Form::Texts => reader.texts(value),
        }
    }
}

/// Reads a prompt in one member.
struct Reader<'p> {
    prompt: &'p mut Prompt,
    parts: &'static Parts,
    /// The member's name, for whoever is told.
    name: &'p str,
}

impl Reader<'_> {
    fn wrong(&self, problem: &str) -> Unmeterable {
        Unmeterable(format!("\"{}\" {problem}", self.name))
    }

    fn items(mut self, value: &Member<'_>) -> Result<(), Unmeterable> {
        if let Some(text) = text_of(value.value) {
            self.prompt.messages += 1;
            self.prompt.text(&text);
            return Ok(());
        }
        let items: Option<Vec<&RawValue>> = value.read();
        let items = items.filter(|items| !items.is_empty());
        for item in items.ok_or_else(|| self.wrong("must be a list with at least one message"))? {
            let item = self.members(item)?;
            self.prompt.messages += 1;
            match item.get("type").and_then(|kind| text_of(kind.value)) {
                Some(kind) => self.part(&kind, &item, 0)?,
                None => self.message(&item)?,
            }
        }
        Ok(())
    }

    fn message(&mut self, message: &Members<'_>) -> Result<(), Unmeterable> {
        // What has neither is named by its id alone.
        let is_elsewhere = message.get("role").is_none() && message.get("content").is_none();
        self.prompt.points_outside |= is_elsewhere || self.parts.outside.iter().any(|name| message.get(name).is_some());
        self.nested(message, "content", 0)
    }

    /// All members are text, and one of them is a text or a list of parts.
    fn nested(&mut self, members: &Members<'_>, name: &str, depth: usize) -> Result<(), Unmeterable> {
        for member in members.iter().filter(|member| !member.is_null() && member.name != name && !matches!(&*member.name, "role" | "type"))
        {
            self.prompt.text(member.value.get());
        }
        members.get(name).map_or(Ok(()), |content| self.content(content, depth))
    }

    fn content(&mut self, content: &Member<'_>, depth: usize) -> Result<(), Unmeterable> {
        if let Some(text) = text_of(content.value) {
            self.prompt.text(&text);
            return Ok(());
        }
        if depth > DEPTH_MAX {
            return Err(self.wrong("holds lists in lists in lists"));
        }
        // One part, or a list of them.
        let parts: Vec<&RawValue> = match content.read() {
            Some(parts) => parts,
            None if content.value.get().starts_with('{') => vec![content.value],
            None => return Err(self.wrong("must hold text or a list of parts as the content of a message")),
        };
        for part in parts {
            // Texts without more around them, which some servers take.
            if let Some(text) = text_of(part) {
                self.prompt.text(&text);
                continue;
            }
            let part = self.members(part)?;
            let kind = part.get("type").and_then(|kind| text_of(kind.value)).unwrap_or_default();
            self.part(&kind, &part, depth + 1)?;
        }
        Ok(())
    }

    fn part(&mut self, kind: &str, part: &Members<'_>, depth: usize) -> Result<(), Unmeterable> {
        self.known_part(known(self.parts.kinds, kind), part, depth)
    }

    fn known_part(&mut self, known: Option<Part>, part: &Members<'_>, depth: usize) -> Result<(), Unmeterable> {
        match known {
            None => self.prompt.points_outside = true,
            Some(Part::Sealed(name)) if part.get(name).is_none() => self.prompt.points_outside = true,
            Some(Part::Text | Part::Sealed(_)) => {
                for member in part.iter().filter(|member| member.name != "type") {
                    match text_of(member.value) {
                        Some(text) => self.prompt.text(&text),
                        None => self.prompt.text(member.value.get()),
                    }
                }
            }
            Some(Part::Nested(name)) => self.nested(part, name, depth)?,
            Some(Part::Picture(places)) => {
                self.prompt.pictures += 1;
                match self.first_at(part, places)? {
                    Some((text, inline)) if inline.is(&text) => self.prompt.picture_bytes += text.len(),
                    // Some servers take films and documents there, too.
                    Some((text, _)) => self.prompt.points_outside |= text.starts_with("data:"),
                    None => self.prompt.points_outside = true,
                }
            }
            Some(Part::Sound(places)) => {
                self.prompt.sounds += 1;
                self.prompt.points_outside |= !self.first_at(part, places)?.is_some_and(|(text, inline)| inline.is(&text));
            }
            Some(Part::File { at, reference }) => self.file(part, at, reference)?,
            Some(Part::Within(name, kinds)) => self.within(part, name, kinds, depth)?,
            Some(Part::Citable(cited)) => {
                self.prompt.points_outside |= part.get("citations").is_some_and(|citations| !is_off(citations));
                self.known_part(Some(*cited), part, depth)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, part: &Members<'_>, places: &[(&str, Pdf)], reference: &str) -> Result<(), Unmeterable> {
        if self.at(part, reference)?.is_some() {
            return Err(self.wrong("names a file that cannot be metered: send the file itself, its text, or an image of it"));
        }
        let media_type = self.at(part, "media_type")?;
        let mut pdfs = 0;
        for (place, shows) in places {
            let Some(text) = self.at(part, place)? else { continue };
            if shows.is(&text, media_type.as_deref()) {
                pdfs += 1;
                self.prompt.pdf_bytes += text.len();
            } else {
                self.prompt.points_outside = true;
            }
        }
        self.prompt.pdfs += pdfs;
        self.prompt.points_outside |= pdfs == 0;
        Ok(())
    }

    /// What stands beside it is text.
    fn within(&mut self, part: &Members<'_>, name: &str, kinds: &[(&str, Part)], depth: usize) -> Result<(), Unmeterable> {
        for member in part.iter().filter(|member| member.name != name && member.name != "type") {
            self.prompt.text(member.value.get());
        }
        let Some(inner) = part.get(name).filter(|inner| inner.value.get().starts_with('{')) else {
            self.prompt.points_outside = true;
            return Ok(());
        };
        let inner = self.members(inner.value)?;
        let kind = inner.get("type").and_then(|kind| text_of(kind.value)).unwrap_or_default();
        self.known_part(known(kinds, &kind), &inner, depth)
    }

    /// The text at the first of these places where there is one.
    fn first_at(&self, part: &Members<'_>, places: &[(&str, Inline)]) -> Result<Option<(String, Inline)>, Unmeterable> {
        for (path, inline) in places {
            if let Some(text) = self.at(part, path)? {
                return Ok(Some((text, *inline)));
            }
        }
        Ok(None)
    }

    /// The text at this place.
    fn at(&self, part: &Members<'_>, path: &str) -> Result<Option<String>, Unmeterable> {
        let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
        let Some(member) = part.get(name) else { return Ok(None) };
        match rest {
            Some(rest) if member.value.get().starts_with('{') => self.at(&self.members(member.value)?, rest),
            Some(_) => Ok(None),
            None => Ok(text_of(member.value).map(Cow::into_owned)),
        }
    }

    fn texts(self, value: &Member<'_>) -> Result<(), Unmeterable> {
        if let Some(text) = text_of(value.value) {
            self.prompt.texts = 1;
            self.prompt.text(&text);
            return Ok(());
        }
        let what = "must be a text, a list of texts, a list of tokens or a list of lists of tokens";
        let items: Vec<&RawValue> = value.read().ok_or_else(|| self.wrong(what))?;
        if items.is_empty() {
            return Err(self.wrong("is empty"));
        }
        // Numbers beside each other are one prompt.
        if items.iter().all(|item| is_number(item)) {
            (self.prompt.texts, self.prompt.numbers) = (1, items.len());
            return Ok(());
        }
        if items.len() > TEXTS_MAX {
            return Err(self.wrong(&format!("holds more than {TEXTS_MAX} texts")));
        }
        self.prompt.texts = items.len();
        for item in items {
            if let Some(text) = text_of(item) {
                self.prompt.text(&text);
            } else {
                let numbers: Vec<&RawValue> = serde_json::from_str(item.get()).map_err(|_| self.wrong(what))?;
                if !numbers.iter().all(|number| is_number(number)) {
                    return Err(self.wrong(what));
                }
                self.prompt.numbers += numbers.len();
            }
        }
        Ok(())
    }

    fn members<'a>(&self, json: &'a RawValue) -> Result<Members<'a>, Unmeterable> {
        let members = Members::parse(json.get()).map_err(|error| Unmeterable(format!("in \"{}\": {error}", self.name)))?;
        match members.misspelled(NAMES.into_iter()) {
            Some(known) => Err(Unmeterable(format!("in \"{}\": write the name \"{known}\" exactly so", self.name))),
            None => Ok(members),
        }
    }
}

fn known(kinds: &[(&str, Part)], kind: &str) -> Option<Part> {
    kinds.iter().find(|(known, _)| *known == kind).map(|(_, part)| *part)
}

/// Whether it is asked for in vain: `null`, or an object that says nothing but `"enabled": false`.
fn is_off(citations: &Member<'_>) -> bool {
    citations.is_null() || citations.value.get().split_ascii_whitespace().collect::<String>() == r#"{"enabled":false}"#
}

/// Every name in a prompt that its size is judged by.
const NAMES: [&str; 22] = [
    "audio",
    "citations",
    "content",
    "data",
    "file",
    "file_data",
    "file_id",
    "file_url",
    "function_call",
    "image_url",
    "input_audio",
    "media_type",
    "name",
    "output",
    "reasoning_content",
    "refusal",
    "role",
    "source",
    "text",
    "tool_calls",
    "type",
    "url",
];

/// How many bytes are no white space. A prompt may have a million, so that they are counted in a way that compilers make fast: a small counter a piece.
fn solid_bytes(text: &str) -> usize {
    let in_piece = |piece: &[u8]| piece.iter().map(|byte| u8::from(!byte.is_ascii_whitespace())).sum::<u8>();
    text.as_bytes().chunks(usize::from(u8::MAX)).map(|piece| usize::from(in_piece(piece))).sum()
}

fn is_number(value: &RawValue) -> bool {
    value.get().bytes().all(|byte| byte.is_ascii_digit())
}
