//! Answers of many providers: what the meter reads from each, and that it changes nothing.
//!
//! Two folders of the same form: `fixtures`, written after the providers' documentation, and recordings of real answers, where the variable
//! `FAREBOX_TEST_DATA` says where they are.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use domain::tokens::{CallUsage, Tokens};
use proptest::prelude::*;
use proxy::{
    dialect::openai_chat::reading::{Counted, Reading},
    wire::tap::{Form, Tap},
};
use serde::Deserialize;

/// `index.json` of either folder.
#[derive(Deserialize)]
struct Index {
    files: Vec<Answer>,
}

/// One recorded answer and what a correct reader makes of it.
#[derive(Deserialize)]
struct Answer {
    file: String,
    dialect: String,
    stream: bool,
    outcome: String,
    usage_on_wire: bool,
    expected: Expected,
    /// What the provider's own numbers break: then only its totals count.
    anomaly: Option<Vec<String>>,
    #[serde(skip)]
    bytes: Bytes,
}

/// `None` is "the wire does not say".
#[derive(Deserialize)]
struct Expected {
    input_tokens_total: Option<i64>,
    cached_read: Option<i64>,
    cache_write_total: Option<i64>,
    output_tokens_total: Option<i64>,
    reasoning: Option<i64>,
    audio_in: Option<i64>,
    audio_out: Option<i64>,
    total: Option<i64>,
    model: Option<String>,
}

/// The dialects of `/v1/chat/completions`.
const DIALECTS: [&str; 17] = [
    "azure-chat",
    "databricks-chat",
    "deepseek-chat",
    "gemini-openai-compat",
    "groq-chat",
    "huggingface-chat",
    "litellm-chat",
    "llamacpp-chat",
    "mistral-chat",
    "ollama-chat",
    "openai-chat",
    "openrouter-chat",
    "perplexity-chat",
    "qwen-chat",
    "together-chat",
    "vllm-chat",
    "xai-chat",
];

fn load(folder: &Path) -> Vec<Answer> {
    let index = std::fs::read(folder.join("index.json")).unwrap();
    let mut answers = serde_json::from_slice::<Index>(&index).unwrap().files;
    answers.retain(|answer| DIALECTS.contains(&answer.dialect.as_str()));
    for answer in &mut answers {
        answer.bytes = std::fs::read(folder.join(&answer.file)).unwrap().into();
    }
    assert!(!answers.is_empty());
    answers
}

fn fixtures() -> Vec<Answer> {
    load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"))
}

fn recordings() -> Option<Vec<Answer>> {
    let Some(folder) = std::env::var_os("FAREBOX_TEST_DATA") else {
        println!("skipped: FAREBOX_TEST_DATA is not set");
        return None;
    };
    Some(load(&PathBuf::from(folder).join("transcripts")))
}

/// Everything that came out, and what was read.
fn relay(form: Form, answer: &Bytes, pieces: impl IntoIterator<Item = Bytes>) -> (Vec<u8>, Reading) {
    let mut tap = Tap::new(form);
    let mut out = Vec::new();
    for piece in pieces {
        tap.push(piece, &mut out);
    }
    let (held, reading) = tap.finish();
    let has_marked_end = form == Form::Document || answer.ends_with(b"[DONE]\n\n");
    assert!(!has_marked_end || !held.is_empty(), "the end is held back until the call is settled");
    (out.iter().chain(&held).flat_map(|bytes| bytes.iter().copied()).collect(), reading)
}

/// The answer in pieces of this size.
fn pieces(answer: &Bytes, size: usize) -> impl Iterator<Item = Bytes> {
    (0..answer.len()).step_by(size).map(move |from| answer.slice(from..answer.len().min(from + size)))
}

fn form(answer: &Answer) -> Form {
    if answer.stream { Form::Events } else { Form::Document }
}

fn check(answer: &Answer, size: usize) {
    let (bytes, reading) = relay(form(answer), &answer.bytes, pieces(&answer.bytes, size));
    let name = format!("{} in pieces of {size}", answer.file);
    assert!(bytes == answer.bytes, "{name}: the bytes were changed");
    assert_eq!(reading.model, answer.expected.model, "{name}");
    assert_eq!(reading.failed, answer.outcome == "error_mid_stream", "{name}");
    assert_eq!(reading.has_usage(), answer.usage_on_wire, "{name}");
    assert!(!reading.unreadable && reading.is_answer, "{name}");
    match reading.counted(|| Tokens::from_sum(77), Tokens::from_sum(100)) {
        Counted::Reported(usage) => check_usage(answer, &usage, &name),
        Counted::Estimated(usage) => {
            assert!(!answer.usage_on_wire, "{name}");
            assert_eq!(usage.prompt_tokens, Some(Tokens::from_sum(77)), "{name}");
            assert!(usage.completion_tokens > Some(Tokens::ZERO), "{name}");
        }
    }
}

fn check_usage(answer: &Answer, usage: &CallUsage, name: &str) {
    let expected = &answer.expected;
    let counts = &usage.counts;
    let totals = [usage.prompt_tokens, usage.completion_tokens, usage.total_tokens].map(|tokens| tokens.map(Tokens::get));
    assert_eq!(totals, [expected.input_tokens_total, expected.output_tokens_total, expected.total], "{name}");
    assert!(usage.adds_up(), "{name}");
    assert_eq!(usage.flag.is_some(), answer.anomaly.is_some(), "{name}");
    if usage.flag.is_none() {
        let parts = [counts.cache_read, counts.cache_write_5m, counts.reasoning, counts.audio_input, counts.audio_output];
        let said = [expected.cached_read, expected.cache_write_total, expected.reasoning, expected.audio_in, expected.audio_out];
        assert_eq!(parts.map(|tokens| tokens.map(Tokens::get)), said, "{name}");
    }
}

#[test]
fn documented_answers_are_read_exactly() {
    for answer in fixtures() {
        for size in [1, 2, 7, 64, answer.bytes.len()] {
            check(&answer, size);
        }
    }
}

#[test]
fn recorded_answers_are_read_exactly() {
    for answer in recordings().unwrap_or_default() {
        for size in [1, 7, 1_024, answer.bytes.len()] {
            check(&answer, size);
        }
    }
}

/// What an upstream sends when it is made to report: the given stream, with `"usage":null` in each event and one more event at its end.
fn with_forced_usage(stream: &str, member: &str) -> String {
    let usage = r#"{"id":"x","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}"#;
    let events = stream.replace(r#""object":"chat.completion.chunk""#, &format!(r#""object":"chat.completion.chunk"{member}"#));
    events.replace("data: [DONE]", &format!("data: {usage}\n\ndata: [DONE]"))
}

const UNASKED: &str = concat!(
    ": hello\n\n",
    r#"data: {"id":"x","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"\"usage\":null {\"usage\":{"}}]}"#,
    "\n\n",
    "event: message\n",
    r#"data: {"object":"chat.completion.chunk" , "choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
    "\n\n",
    "data: [DONE]\n\n",
);

proptest! {
    #[test]
    fn what_was_forced_is_taken_out_again_however_the_stream_is_cut(
        cuts in prop::collection::vec(1_usize..40, 1..60), line_end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
        member in prop::sample::select(vec![r#","usage":null"#, r#", "usage" : null"#]),
    ) {
        let unasked = UNASKED.replace('\n', line_end);
        let forced = Bytes::from(with_forced_usage(UNASKED, member).replace('\n', line_end));
        let mut place = 0;
        let pieces: Vec<_> = cuts.iter().cycle().map_while(|cut| {
            let from = place;
            place = forced.len().min(place + cut);
            (from < forced.len()).then(|| forced.slice(from..place))
        }).collect();
        let (bytes, reading) = relay(Form::EventsWithoutUsage, &forced, pieces);
        prop_assert_eq!(String::from_utf8(bytes).unwrap(), unasked);
        prop_assert!(reading.finished && reading.has_usage());
        prop_assert_eq!(reading.counted(|| Tokens::ZERO, Tokens::ZERO), Counted::Reported(CallUsage::of_totals(
            Some(Tokens::from_sum(3)), Some(Tokens::from_sum(4)), Some(Tokens::from_sum(7)),
        )));
    }

    #[test]
    fn any_cut_of_a_documented_answer_gives_the_same(cuts in prop::collection::vec(1_usize..90, 1..50), which in any::<prop::sample::Index>()) {
        let answers = fixtures();
        let answer = which.get(&answers);
        let mut place = 0;
        let pieces: Vec<_> = cuts.iter().cycle().map_while(|cut| {
            let from = place;
            place = answer.bytes.len().min(place + cut);
            (from < answer.bytes.len()).then(|| answer.bytes.slice(from..place))
        }).collect();
        let (bytes, reading) = relay(form(answer), &answer.bytes, pieces);
        prop_assert!(bytes == answer.bytes);
        let (_, whole) = relay(form(answer), &answer.bytes, [answer.bytes.clone()]);
        prop_assert_eq!(reading.counted(|| Tokens::ZERO, Tokens::ZERO), whole.counted(|| Tokens::ZERO, Tokens::ZERO));
        prop_assert_eq!(reading.raw_usage, whole.raw_usage);
    }
}

#[test]
fn a_member_that_comes_first_is_taken_out_with_the_comma_after_it() {
    let answer = Bytes::from_static(b"data: { \"usage\" : null , \"choices\":[{}]}\n\n");
    let (bytes, _) = relay(Form::EventsWithoutUsage, &Bytes::new(), [answer]);
    assert_eq!(String::from_utf8(bytes).unwrap(), "data: { \"choices\":[{}]}\n\n");
}

#[test]
fn events_that_only_look_like_usage_are_kept() {
    for event in [
        // Azure's first event.
        r#"data: {"choices":[],"model":"","prompt_filter_results":[]}"#,
        // Usage that rides on an answer was not added by asking for it.
        r#"data: {"choices":[{"delta":{}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
        r#"data: {"choices":[],"error":{"message":"m"},"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
    ] {
        let answer = Bytes::from(format!("{event}\n\ndata: [DONE]\n\n"));
        let (bytes, _) = relay(Form::EventsWithoutUsage, &answer, pieces(&answer, 5));
        assert!(bytes == answer, "{event}");
    }
}

#[test]
fn an_event_larger_than_the_carry_goes_out_as_it_comes_and_is_still_read() {
    let audio = "A".repeat(200_000);
    let event = format!(
        r#"data: {{"choices":[{{"delta":{{"audio":{{"data":"{audio}"}}}}}}],"usage":{{"prompt_tokens":5,"completion_tokens":6}}}}"#
    );
    let answer = Bytes::from(format!("{event}\n\ndata: [DONE]\n\n"));
    let mut tap = Tap::new(Form::EventsWithoutUsage);
    let mut out = Vec::new();
    tap.push(answer.slice(..100_000), &mut out);
    assert_eq!(out.iter().map(Bytes::len).sum::<usize>(), 100_000);
    let (bytes, reading) = relay(Form::EventsWithoutUsage, &answer, pieces(&answer, 10_000));
    assert!(bytes == answer);
    assert!(reading.has_usage());
}

#[test]
fn what_keeps_a_connection_alive_ends_no_stream() {
    let word = r#"data: {"choices":[{"delta":{"content":"hi"}}]}"#;
    for keep_alive in ["data: ping", "data: null", "data: []", "data: \"ok\""] {
        let first = Bytes::from(format!("{keep_alive}\n\n{word}\n\n"));
        let (mut tap, mut out) = (Tap::new(Form::Events), Vec::new());
        tap.push(first.clone(), &mut out);
        assert_eq!(out.concat(), first, "{keep_alive}");
        assert!(!tap.is_at_end());
        // And the model may think before its next word.
        let (mut tap, mut out) = (Tap::new(Form::Events), Vec::new());
        tap.push(Bytes::from(format!("{keep_alive}\n\n")), &mut out);
        assert!(!tap.is_at_end() && !out.is_empty(), "{keep_alive}");
    }
}

#[test]
fn an_answer_that_does_not_say_what_it_is_is_read_as_what_it_is() {
    for answer in fixtures() {
        for (size, mark) in [(1, "\u{feff}"), (7, ""), (64, " \n")] {
            let bytes = Bytes::from([mark.as_bytes(), &answer.bytes].concat());
            let (out, reading) = relay_unsaid(&bytes, size);
            assert!(out == bytes, "{}", answer.file);
            assert_eq!((reading.has_usage(), reading.is_answer), (answer.usage_on_wire, true), "{} after {mark:?}", answer.file);
        }
    }
}

#[test]
fn blank_lines_before_an_answer_are_not_kept() {
    let (mut tap, mut out) = (Tap::new(Form::Unsaid { without_usage: false }), Vec::new());
    for _ in 0..3 {
        tap.push(Bytes::from_static(b"\n"), &mut out);
    }
    assert_eq!(out.concat(), b"\n\n", "all but the last");
}

fn relay_unsaid(answer: &Bytes, size: usize) -> (Vec<u8>, Reading) {
    let (mut tap, mut out) = (Tap::new(Form::Unsaid { without_usage: false }), Vec::new());
    pieces(answer, size).for_each(|piece| tap.push(piece, &mut out));
    let (held, reading) = tap.finish();
    out.extend(held);
    (out.concat(), reading)
}

#[test]
fn whatever_the_model_made_was_delivered() {
    let spoken = r#"{"choices":[{"message":{"audio":{"id":"a","data":"AAAA","transcript":"One two three"}}}]}"#;
    let thought = r#"{"choices":[{"message":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"One two three"}]}]}}]}"#;
    let used = r#"{"choices":[{"message":{"tool_calls":[{"type":"custom","custom":{"name":"","input":"One two three"}}]}}]}"#;
    let drawn = r#"{"choices":[{"message":{"images":[{"image_url":{"url":"data:image/png;base64,AAAA"}}]}}]}"#;
    for (answer, tokens) in [(spoken, 3), (thought, 3), (used, 3), (drawn, 0)] {
        let (_, reading) = relay(Form::Document, &Bytes::new(), [Bytes::from_static(answer.as_bytes())]);
        assert!(!reading.says_nothing());
        assert_eq!(reading.text.tokens(), Tokens::from_sum(tokens), "{answer}");
    }
}
