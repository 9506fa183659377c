//! What the demo upstream answers, and what it counts. The same question gets the same answer.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
};

use axum::http::StatusCode;
use bpe_openai::o200k_base;
use serde::Deserialize;
use serde_json::{Value, json};

use super::dice::Dice;

/// Tokens around each message, and before the answer, that a chat costs beyond its text (OpenAI's cookbook, "How to count tokens").
const TOKENS_PER_MESSAGE: usize = 3;
const TOKENS_BEFORE_ANSWER: usize = 3;

/// Prompts are cached in steps of so many tokens.
const CACHE_STEP: usize = 64;
/// Steps to remember; then the cache starts anew, as caches may.
const CACHED_STEPS_MAX: usize = 100_000;

/// Choices to one question, as OpenAI limits them.
const CHOICES_MAX: u32 = 128;

/// The part of a request that the answer depends on.
#[derive(Debug, Deserialize)]
pub(super) struct Request {
    /// The model.
    pub(super) model: String,
    messages: Vec<Message>,
    /// Whether to answer token by token.
    #[serde(default)]
    pub(super) stream: bool,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<u32>,
    max_completion_tokens: Option<u32>,
    n: Option<u32>,
}

#[derive(Debug, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

#[derive(Debug, Deserialize)]
struct Message {
    role: String,
    content: Option<Content>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Deserialize)]
struct Part {
    #[serde(default)]
    text: String,
}

impl Message {
    fn text(&self) -> String {
        match &self.content {
            Some(Content::Text(text)) => text.clone(),
            Some(Content::Parts(parts)) => parts.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join("\n"),
            None => String::new(),
        }
    }
}

impl Request {
    /// The status that the last message asks for: `error 503`.
    pub(super) fn wanted_error(&self) -> Option<StatusCode> {
        let text = self.question().to_lowercase();
        let status = text.trim_start().strip_prefix("error ")?.get(..3)?.parse().ok()?;
        StatusCode::from_u16(status).ok().filter(|status| status.is_client_error() || status.is_server_error())
    }

    /// The prompt tokens that the last message makes the upstream report, be they true or not: `report 200000`.
    fn wanted_report(&self) -> Option<usize> {
        let text = self.question().to_lowercase();
        text.trim_start().strip_prefix("report ")?.split_whitespace().next()?.parse().ok()
    }

    /// What is wrong with it, if anything.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        if self.messages.is_empty() {
            return Err("messages: at least one message is needed");
        }
        if self.output_max() == Some(0) {
            return Err("max_tokens: at least 1 is needed");
        }
        if !(1..=CHOICES_MAX).contains(&self.n.unwrap_or(1)) {
            return Err("n: must be from 1 to 128");
        }
        if self.stream_options.is_some() && !self.stream {
            return Err("stream_options is only allowed when stream is enabled");
        }
        Ok(())
    }

    /// Whether the stream shall end with its usage.
    pub(super) fn wants_usage(&self) -> bool {
        self.stream_options.as_ref().is_some_and(|options| options.include_usage)
    }

    fn output_max(&self) -> Option<u32> {
        self.max_tokens.into_iter().chain(self.max_completion_tokens).min()
    }

    fn question(&self) -> String {
        self.messages.iter().rev().find(|message| message.role == "user").map(Message::text).unwrap_or_default()
    }
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// One or more, as asked.
    pub(super) choices: Vec<Choice>,
    prompt_tokens: usize,
    cached_tokens: usize,
}

/// One of the answers to a question.
#[derive(Debug)]
pub(super) struct Choice {
    /// Its text, token by token.
    pub(super) pieces: Vec<String>,
    /// `stop`, or `length` when it was cut off.
    pub(super) finish_reason: &'static str,
}

impl Answer {
    /// Answers a request that [`Request::check`] passed.
    pub(super) fn to(request: &Request, cache: &mut PromptCache) -> Self {
        let prompt = prompt_tokens(request);
        let output_max = request.output_max().map_or(usize::MAX, |max| usize::try_from(max).unwrap_or(usize::MAX));
        let choices = (0..request.n.unwrap_or(1)).map(|index| Choice::to(&request.question(), index, output_max)).collect();
        match request.wanted_report() {
            Some(prompt_tokens) => Self { choices, prompt_tokens, cached_tokens: 0 },
            None => Self { choices, prompt_tokens: prompt.len(), cached_tokens: cache.look_up(&request.model, &prompt) },
        }
    }

    /// The usage object, counted from what is really sent.
    pub(super) fn usage(&self) -> Value {
        let completion_tokens: usize = self.choices.iter().map(|choice| choice.pieces.len()).sum();
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": self.prompt_tokens + completion_tokens,
            "prompt_tokens_details": { "cached_tokens": self.cached_tokens, "audio_tokens": 0 },
            "completion_tokens_details": { "reasoning_tokens": 0, "audio_tokens": 0 },
        })
    }
}

impl Choice {
    fn to(question: &str, index: u32, output_max: usize) -> Self {
        let mut hasher = DefaultHasher::new();
        (question, index).hash(&mut hasher);
        let text = compose(question, &mut Dice::new(hasher.finish()));
        let tokens = o200k_base().encode(text.as_str());
        let finish_reason = if tokens.len() > output_max { "length" } else { "stop" };
        // The text is ASCII, so no token ends inside a character.
        let pieces =
            tokens.iter().take(output_max).map(|token| String::from_utf8_lossy(&o200k_base().bpe.decode_tokens(&[*token])).into_owned());
        Self { pieces: pieces.collect(), finish_reason }
    }
}

/// Every token of the prompt, with fillers for those that stand around the messages.
fn prompt_tokens(request: &Request) -> Vec<u32> {
    let mut tokens = Vec::new();
    for message in &request.messages {
        tokens.extend([u32::MAX; TOKENS_PER_MESSAGE]);
        tokens.extend(o200k_base().encode(message.role.as_str()));
        tokens.extend(o200k_base().encode(message.text().as_str()));
    }
    tokens.extend([u32::MAX; TOKENS_BEFORE_ANSWER]);
    tokens
}

/// Remembers the beginnings of prompts, as providers do that charge less for what they have seen.
#[derive(Debug, Default)]
pub(super) struct PromptCache {
    seen: HashSet<u64>,
}

impl PromptCache {
    /// How many tokens of this prompt's beginning were seen before; remembers the prompt.
    fn look_up(&mut self, model: &str, prompt: &[u32]) -> usize {
        if self.seen.len() > CACHED_STEPS_MAX {
            self.seen.clear();
        }
        let mut hasher = DefaultHasher::new();
        model.hash(&mut hasher);
        let mut cached = 0;
        for (step, tokens) in prompt.chunks_exact(CACHE_STEP).enumerate() {
            tokens.hash(&mut hasher);
            let is_new = self.seen.insert(hasher.finish());
            if !is_new {
                cached = (step + 1) * CACHE_STEP;
            }
        }
        cached
    }
}

const OPENINGS: [&str; 4] = [
    "Here is a short answer about {topic}.",
    "Good question. The part that matters about {topic} is this.",
    "Let me take {topic} step by step.",
    "In brief, this is what I would say about {topic}.",
];

const SENTENCES: [&str; 10] = [
    "Begin with the smallest thing that works, and measure it before you change anything.",
    "Most of the cost comes from the longest prompts, so shorten those first.",
    "A cache helps whenever the first part of a request stays the same.",
    "If two figures disagree, go back to the raw rows and add them up again.",
    "Write down what you expect before you look, since that makes surprises visible.",
    "Errors are easier to find when each step says what it did and how long it took.",
    "A limit that is written down is worth more than one that everybody remembers differently.",
    "Streaming does not change what an answer costs, only when you see it.",
    "Keep the part that changes often away from the part that many others rely on.",
    "When in doubt, prefer the choice that you can undo.",
];

/// Some 40 to 120 tokens of text that takes up the question.
fn compose(question: &str, dice: &mut Dice) -> String {
    let opening = OPENINGS[dice.below(OPENINGS.len())].replace("{topic}", &topic(question));
    let count = 3 + dice.below(4);
    let mut order: Vec<&str> = SENTENCES.to_vec();
    let chosen = (0..count).map(|_| order.swap_remove(dice.below(order.len())));
    std::iter::once(opening).chain(chosen.map(str::to_owned)).collect::<Vec<_>>().join(" ")
}

/// The question's longest plain words, which usually say what it is about.
fn topic(question: &str) -> String {
    let words = question.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| (4..=20).contains(&word.len()));
    let mut longest: Vec<(usize, &str)> = words.take(200).enumerate().collect();
    longest.sort_by_key(|(_, word)| std::cmp::Reverse(word.len()));
    longest.truncate(2);
    longest.sort_by_key(|(place, _)| *place);
    let words: Vec<String> = longest.iter().map(|(_, word)| word.to_lowercase()).collect();
    if words.is_empty() { "this".to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn request(members: Value) -> Request {
        let mut request =
            json!({ "model": "demo-mini", "messages": [{ "role": "user", "content": "How do I keep the costs of long prompts low?" }] });
        request.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        serde_json::from_value(request).unwrap()
    }

    fn answer(members: Value) -> Answer {
        Answer::to(&request(members), &mut PromptCache::default())
    }

    #[test]
    fn an_answer_has_a_believable_length() {
        for topic in 0..200 {
            let content = format!("Tell me about number {topic}");
            let answer = answer(json!({ "messages": [{ "role": "user", "content": content }] }));
            let tokens = answer.choices[0].pieces.len();
            assert!((40..=130).contains(&tokens), "{tokens}: {}", answer.choices[0].pieces.concat());
        }
    }

    #[test]
    fn what_is_counted_is_what_is_sent() {
        let answer = answer(json!({ "n": 3 }));
        let sent: usize = answer.choices.iter().map(|choice| o200k_base().count(choice.pieces.concat().as_str())).sum();
        assert_eq!(answer.usage()["completion_tokens"], json!(sent));
        assert_ne!(answer.choices[0].pieces, answer.choices[1].pieces);
    }

    #[test]
    fn a_cap_cuts_the_answer_and_says_so() {
        let cut = answer(json!({ "max_tokens": 50, "max_completion_tokens": 7 }));
        assert_eq!((cut.choices[0].pieces.len(), cut.choices[0].finish_reason), (7, "length"));
        assert_eq!(answer(json!({ "max_tokens": 1000 })).choices[0].finish_reason, "stop");
    }

    #[test]
    fn a_long_prompt_is_cached_the_second_time() {
        let long = "words and more words ".repeat(40);
        let request = request(json!({ "messages": [{ "role": "system", "content": long }, { "role": "user", "content": "Go on" }] }));
        let mut cache = PromptCache::default();
        let [first, second] = [(); 2].map(|()| Answer::to(&request, &mut cache));
        assert_eq!(first.cached_tokens, 0);
        assert!(second.cached_tokens >= 128 && second.cached_tokens % CACHE_STEP == 0 && second.cached_tokens <= second.prompt_tokens);
    }

    #[test]
    fn a_short_prompt_is_never_cached() {
        let mut cache = PromptCache::default();
        let [_, second] = [(); 2].map(|()| Answer::to(&request(json!({})), &mut cache));
        assert_eq!(second.cached_tokens, 0);
    }

    #[test]
    fn an_error_is_had_for_the_asking() {
        let asked = |content: &str| request(json!({ "messages": [{ "role": "user", "content": content }] })).wanted_error();
        assert_eq!(asked("error 429 please"), Some(StatusCode::TOO_MANY_REQUESTS));
        assert_eq!(asked("Error 500"), Some(StatusCode::INTERNAL_SERVER_ERROR));
        assert_eq!(asked("error 200"), None);
        assert_eq!(asked("an error 500"), None);
        assert_eq!(asked("error"), None);
    }

    #[test]
    fn nonsense_is_refused() {
        for wrong in
            [json!({ "messages": [] }), json!({ "max_tokens": 0 }), json!({ "n": 0 }), json!({ "n": 129 }), json!({ "stream_options": {} })]
        {
            assert!(request(wrong.clone()).check().is_err(), "{wrong}");
        }
        assert_eq!(request(json!({})).check(), Ok(()));
    }
}
