//! How large a prompt can be, without asking the model.

mod parts;
mod reader;

use domain::{catalog::Model, tokens::Tokens};
use tokio::runtime::Handle;

pub(crate) use self::parts::{Form, Inline, Part, Parts, Pdf};
use self::reader::Reader;
use crate::wire::{estimate::Sample, json::Member};

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

/// How many bytes are no white space. A prompt may have a million, so that they are counted in a way that compilers make fast: a small counter a piece.
fn solid_bytes(text: &str) -> usize {
    let in_piece = |piece: &[u8]| piece.iter().map(|byte| u8::from(!byte.is_ascii_whitespace())).sum::<u8>();
    text.as_bytes().chunks(usize::from(u8::MAX)).map(|piece| usize::from(in_piece(piece))).sum()
}
