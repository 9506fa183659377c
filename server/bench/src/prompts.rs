//! What is asked: prompts of a usual length, none like another.

use serde_json::json;

use crate::{http::request, load::Requests};

/// Bytes of a prompt.
const PROMPT_BYTES: usize = 1024;
/// So many different ones are sent in turn.
const PROMPTS: usize = 64;

const WORDS: &str = "the of and to in that was for with fare box each call is counted before any coin falls driver bus passenger ticket \
                     evening station please explain how usage becomes an invoice when streams break off early metering should never guess \
                     again price token account balance what does it cost?";

/// A request with each prompt, from each key in turn.
pub(crate) fn requests(keys: &[String]) -> Requests {
    let prompts: Vec<String> = (0..PROMPTS).map(prompt).collect();
    let count = keys.len().max(PROMPTS);
    (0..count).map(|place| request(&keys[place % keys.len()], &prompts[place % PROMPTS])).collect()
}

/// The body of the chat request of this number, whose words are always the same.
fn prompt(number: usize) -> String {
    let words: Vec<&str> = WORDS.split(' ').collect();
    let (mut text, mut state) = (String::new(), number);
    while text.len() < PROMPT_BYTES {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(words[(state >> 33) % words.len()]);
        text.push(' ');
    }
    text.truncate(PROMPT_BYTES);
    let messages = json!([{ "role": "user", "content": text }]);
    json!({ "model": "small", "messages": messages, "temperature": 0.2 }).to_string()
}
