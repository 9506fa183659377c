//! How large a prompt can be, without asking the model.

use std::borrow::Cow;

use domain::{catalog::Model, tokens::Tokens};
use serde_json::value::RawValue;

use crate::wire::{
    estimate::{self, SAMPLE_BYTES},
    json::{Member, Members, Name},
};

/// What an image or a recording is taken for where it must be guessed: OpenAI documents 765 tokens for a square image in detail.
const MEDIA_TOKENS_GUESS: i64 = 765;
/// Of a text that is not tokenized.
const BYTES_PER_TOKEN: usize = 4;
/// Tokens that OpenAI documents around each message.
const MESSAGE_TOKENS: i64 = 4;
/// How far the count of another model's tokenizer may lie below the one that estimates here: most need more tokens for a text, none half as many.
const TOKENIZERS_APART: i64 = 2;
/// Hardly any text has so many bytes to a token by any tokenizer, once its white space is left out.
const BYTES_PER_TOKEN_MAX: usize = 8;

/// Every name in a message that its size is judged by.
const NAMES: [&str; 16] = [
    "audio",
    "content",
    "data",
    "file",
    "file_id",
    "function_call",
    "image_url",
    "input_audio",
    "name",
    "reasoning_content",
    "refusal",
    "role",
    "text",
    "tool_calls",
    "type",
    "url",
];

/// What matters of a prompt for its size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Prompt {
    /// The beginning of its text.
    sample: String,
    /// The length of all its text.
    text_bytes: usize,
    /// The same without its white space, of which one token may be a hundred bytes.
    solid_bytes: usize,
    messages: i64,
    /// Pictures whose bytes are in the request.
    pictures: i64,
    /// Recordings whose bytes are in the request.
    sounds: i64,
    /// It points to something that is not in the request, or that nobody here can measure.
    points_outside: bool,
    has_tools: bool,
    /// The length of the whole request.
    body_bytes: usize,
}

/// A prompt that cannot be metered. The text is for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unmeterable(pub(crate) String);

impl Prompt {
    /// Looks through `messages` and what else of the request becomes part of the prompt.
    ///
    /// # Errors
    /// [`Unmeterable`] for files by reference, and for what is no list of messages.
    pub(crate) fn of(members: &Members<'_>, body_bytes: usize) -> Result<Self, Unmeterable> {
        let mut prompt = Self { body_bytes, ..Self::default() };
        let messages: Option<Vec<&RawValue>> = members.get("messages").and_then(Member::read);
        let messages = messages.filter(|messages| !messages.is_empty());
        for message in messages.ok_or_else(|| Unmeterable("\"messages\" must be a list with at least one message".to_owned()))? {
            prompt.message(&parse(message)?)?;
        }
        for name in ["tools", "functions", "response_format"] {
            if let Some(member) = members.get(name) {
                prompt.has_tools |= name != "response_format";
                prompt.text(member.value.get());
            }
        }
        Ok(prompt)
    }

    /// No prompt of this request has more tokens: a token stands for at least one byte of the request, and what is not in it is at most the window.
    #[must_use]
    pub(crate) fn tokens_max(&self, model: &Model) -> Tokens {
        if self.points_outside {
            return model.context_window;
        }
        let bytes = i64::try_from(self.body_bytes).unwrap_or(Tokens::MAX_PER_CALL);
        Tokens::from_sum(bytes.saturating_add(self.beside_text_max(model))).min(model.context_window)
    }

    /// What the prompt probably is, if it cannot fit into the window: whichever tokenizer the model has, and whatever follows the text's beginning.
    #[must_use]
    pub(crate) fn too_long(&self, context_window: Tokens) -> Option<Tokens> {
        // The estimate knows the beginning of the text alone; this holds for all of it, and needs no tokenizer.
        let may_be = i64::try_from(self.solid_bytes / BYTES_PER_TOKEN_MAX).unwrap_or(i64::MAX) > context_window.get();
        let estimated = may_be.then(|| self.tokens_of_text())?;
        (estimated.get() / TOKENIZERS_APART > context_window.get()).then_some(estimated)
    }

    /// What the prompt probably is, for a call of which nobody ever says.
    #[must_use]
    pub(crate) fn tokens_estimated(&self, context_window: Tokens) -> Tokens {
        self.tokens_of_text().saturating_add(self.tokens_beside_text()).min(context_window)
    }

    /// The same by rule of thumb, without a tokenizer, for calls that hardly any should be of whose end nobody ever hears: OpenAI documents four characters
    /// of English to a token (<https://help.openai.com/en/articles/4936856>).
    #[must_use]
    pub(crate) fn tokens_guessed(&self, context_window: Tokens) -> Tokens {
        let text = i64::try_from(self.text_bytes.div_ceil(BYTES_PER_TOKEN)).unwrap_or(i64::MAX);
        Tokens::from_sum(text).saturating_add(self.tokens_beside_text()).min(context_window)
    }

    fn tokens_beside_text(&self) -> Tokens {
        let media = self.pictures.saturating_add(self.sounds).saturating_mul(MEDIA_TOKENS_GUESS);
        Tokens::from_sum(self.messages.saturating_mul(MESSAGE_TOKENS).saturating_add(media))
    }

    fn tokens_of_text(&self) -> Tokens {
        let sample = i128::from(estimate::count(&self.sample).get());
        let (whole, part) = (i128::try_from(self.text_bytes).unwrap_or(i128::MAX), i128::try_from(self.sample.len().max(1)).unwrap_or(1));
        Tokens::from_sum(i64::try_from(sample.saturating_mul(whole) / part).unwrap_or(i64::MAX).max(1))
    }

    fn beside_text_max(&self, model: &Model) -> i64 {
        let bounds = &model.bounds;
        let tools = if self.has_tools { bounds.tools_overhead.get() } else { 0 };
        let pictures = self.pictures.saturating_mul(bounds.picture_max.get());
        let sounds = self.sounds.saturating_mul(bounds.sound_max.get());
        [pictures, sounds, tools].into_iter().fold(bounds.prompt_overhead.get(), i64::saturating_add)
    }

    fn message(&mut self, message: &Members<'_>) -> Result<(), Unmeterable> {
        self.messages += 1;
        // An earlier spoken answer, by its id.
        self.points_outside |= message.get("audio").is_some();
        for name in ["tool_calls", "function_call", "name", "reasoning_content", "refusal"] {
            if let Some(member) = message.get(name) {
                self.text(member.value.get());
            }
        }
        let Some(content) = message.get("content") else { return Ok(()) };
        if let Some(Name(text)) = content.read() {
            self.text(&text);
            return Ok(());
        }
        let parts: Vec<&RawValue> =
            content.read().ok_or_else(|| Unmeterable("a message's \"content\" must be text or a list of parts".to_owned()))?;
        parts.into_iter().try_for_each(|part| self.part(&parse(part)?))
    }

    fn part(&mut self, part: &Members<'_>) -> Result<(), Unmeterable> {
        let kind = part.get("type").and_then(|member| member.read::<Name<'_>>()).map_or(Cow::Borrowed(""), |Name(kind)| kind);
        match (kind.as_ref(), part.get(&kind)) {
            ("text" | "refusal", Some(text)) => match text.read() {
                Some(Name(text)) => self.text(&text),
                None => self.points_outside = true,
            },
            ("image_url", Some(image)) => {
                self.pictures += 1;
                self.points_outside |= !is_inside(image, "url", |url| url.starts_with("data:"))?;
            }
            ("input_audio", Some(audio)) => {
                self.sounds += 1;
                self.points_outside |= !is_inside(audio, "data", |data| !data.contains(':'))?;
            }
            ("file", Some(file)) => {
                let file = parse(file.value)?;
                if file.get("file_id").is_some() {
                    return Err(Unmeterable("files by reference cannot be metered: send the file's text or an image of it".to_owned()));
                }
                self.points_outside = true;
            }
            _ => self.points_outside = true,
        }
        Ok(())
    }

    fn text(&mut self, text: &str) {
        self.text_bytes += text.len();
        self.solid_bytes += text.bytes().filter(|byte| !byte.is_ascii_whitespace()).count();
        let room = SAMPLE_BYTES - self.sample.len();
        self.sample.push_str(&text[..text.floor_char_boundary(room.min(text.len()))]);
    }
}

/// Whether a picture or a recording is in the request: given by itself, or as a member of an object.
fn is_inside(medium: &Member<'_>, name: &str, is_bytes: impl Fn(&str) -> bool) -> Result<bool, Unmeterable> {
    Ok(match medium.read::<Name<'_>>() {
        Some(Name(text)) => is_bytes(&text),
        None => parse(medium.value)?.get(name).and_then(Member::read::<Name<'_>>).is_some_and(|Name(text)| is_bytes(&text)),
    })
}

fn parse<'a>(json: &'a RawValue) -> Result<Members<'a>, Unmeterable> {
    let members = Members::parse(json.get()).map_err(|error| Unmeterable(format!("in \"messages\": {error}")))?;
    match members.misspelled(NAMES.into_iter()) {
        Some(known) => Err(Unmeterable(format!("in \"messages\": write the name \"{known}\" exactly so"))),
        None => Ok(members),
    }
}
