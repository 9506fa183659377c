//! Answers of many providers: what the meter reads from each, and that it changes nothing.
//!
//! Two folders of the same form: `fixtures`, written after the providers' documentation, and recordings of real answers, where the variable
//! `FAREBOX_TEST_DATA` says where they are.

mod cost;
mod ends;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use domain::tokens::{CallUsage, Flag, Tokens};
use proptest::prelude::*;
use serde::Deserialize;

use super::{DIALECTS, Dialect, reading::Counted, request::Member};
use crate::wire::tap::{Ended, Tap};

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
    /// What a second model had in it.
    extra_model_usage: Option<Vec<serde_json::Value>>,
    #[serde(skip)]
    bytes: Bytes,
}

/// `None` is "the wire does not say".
#[derive(Deserialize)]
struct Expected {
    input_tokens_total: Option<i64>,
    cached_read: Option<i64>,
    cache_write_total: Option<i64>,
    #[serde(default)]
    cache_write_5m: Option<i64>,
    #[serde(default)]
    cache_write_1h: Option<i64>,
    output_tokens_total: Option<i64>,
    reasoning: Option<i64>,
    audio_in: Option<i64>,
    audio_out: Option<i64>,
    total: Option<i64>,
    model: Option<String>,
}

/// The API that answers of this kind come from; `None` of what is not metered, and of errors, which are all alike.
fn api(dialect: &str) -> Option<&'static Dialect> {
    let route = match dialect {
        "openai-completions" => "/v1/completions",
        "openai-embeddings" => "/v1/embeddings",
        "openai-responses" | "xai-responses" => "/v1/responses",
        "anthropic-messages" => "/v1/messages",
        "gemini-openai-compat" => "/v1/chat/completions",
        chat if chat.ends_with("-chat") => "/v1/chat/completions",
        "openai-transcription" | "openai-error" | "anthropic-error" | "azure-error" => return None,
        unknown => panic!("what is {unknown}?"),
    };
    Dialect::of(route)
}

fn load(folder: &Path) -> Vec<Answer> {
    let index = std::fs::read(folder.join("index.json")).unwrap();
    let mut answers = serde_json::from_slice::<Index>(&index).unwrap().files;
    answers.retain(|answer| api(&answer.dialect).is_some());
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
fn relay(dialect: &'static Dialect, without_usage: bool, pieces: impl IntoIterator<Item = Bytes>) -> (Vec<u8>, Ended) {
    let mut tap = Tap::new(&dialect.answers, without_usage);
    let mut out = Vec::new();
    for piece in pieces {
        tap.push(piece, &mut out);
    }
    let ended = tap.finish();
    (out.iter().chain(&ended.held).flat_map(|bytes| bytes.iter().copied()).collect(), ended)
}

fn chat(without_usage: bool, pieces: impl IntoIterator<Item = Bytes>) -> (Vec<u8>, Ended) {
    relay(DIALECTS[0], without_usage, pieces)
}

/// The answer in pieces of this size.
fn pieces(answer: &Bytes, size: usize) -> impl Iterator<Item = Bytes> {
    (0..answer.len()).step_by(size).map(move |from| answer.slice(from..answer.len().min(from + size)))
}

/// Whether the last bytes of an answer can be told from those before: of what its API ends streams with, chat and completions have `[DONE]`.
fn has_marked_end(answer: &Answer) -> bool {
    const KINDS: [&str; 4] = ["message_stop", "response.completed", "response.incomplete", "response.failed"];
    let text = String::from_utf8_lossy(&answer.bytes);
    let last = text.trim_end().rsplit("data:").next().unwrap_or_default().trim_start();
    !answer.stream || last == "[DONE]" || KINDS.iter().any(|kind| last.contains(&format!("\"{kind}\"")))
}

fn check(answer: &Answer, size: usize) {
    let Some(dialect) = api(&answer.dialect) else { return };
    let (bytes, Ended { held, reading, is_whole, .. }) = relay(dialect, false, pieces(&answer.bytes, size));
    let name = format!("{} in pieces of {size}", answer.file);
    assert!(bytes == answer.bytes, "{name}: the bytes were changed");
    assert!(!has_marked_end(answer) || !held.is_empty(), "{name}: the end is held back until the call is settled");
    assert_eq!(reading.model, answer.expected.model, "{name}");
    assert_eq!(reading.failed, answer.outcome == "error_mid_stream", "{name}");
    assert_eq!(reading.has_usage(), answer.usage_on_wire, "{name}");
    assert!(reading.is_answer && (is_whole || reading.failed), "{name}");
    match reading.counted(|| Tokens::from_sum(77), Tokens::from_sum(100)) {
        Counted::Reported(usage) => check_usage(answer, &usage, &name),
        Counted::Estimated(usage) => {
            assert!(!answer.usage_on_wire, "{name}");
            assert_eq!(usage.prompt_tokens, Some(Tokens::from_sum(77)), "{name}");
            assert!(reading.failed || usage.completion_tokens > Some(Tokens::ZERO), "{name}");
        }
    }
}

fn check_usage(answer: &Answer, usage: &CallUsage, name: &str) {
    let expected = &answer.expected;
    let counts = &usage.counts;
    let totals = [usage.prompt_tokens, usage.completion_tokens, usage.total_tokens].map(|tokens| tokens.map(Tokens::get));
    assert_eq!(totals, [expected.input_tokens_total, expected.output_tokens_total, expected.total], "{name}");
    assert!(usage.adds_up(), "{name}");
    assert_eq!(usage.flag == Some(Flag::Contradictory), answer.anomaly.is_some(), "{name}");
    assert_eq!(usage.flag == Some(Flag::OtherTerms), answer.extra_model_usage.is_some(), "{name}");
    if answer.anomaly.is_some() {
        return;
    }
    let parts = [counts.cache_read, counts.reasoning, counts.audio_input, counts.audio_output];
    let said = [expected.cached_read, expected.reasoning, expected.audio_in, expected.audio_out];
    assert_eq!(parts.map(|tokens| tokens.map(Tokens::get)), said, "{name}");
    let written = [counts.cache_write_5m, counts.cache_write_1h].map(|tokens| tokens.map(Tokens::get));
    let is_split = expected.cache_write_5m.is_some() || expected.cache_write_1h.is_some();
    let said = if is_split { [expected.cache_write_5m, expected.cache_write_1h] } else { [expected.cache_write_total, None] };
    assert_eq!(written, said, "{name}");
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
        let (bytes, Ended { reading, .. }) = chat(true, pieces);
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
        let dialect = api(&answer.dialect).unwrap();
        let (bytes, Ended { reading, .. }) = relay(dialect, false, pieces);
        prop_assert!(bytes == answer.bytes);
        let (_, Ended { reading: whole, .. }) = relay(dialect, false, [answer.bytes.clone()]);
        prop_assert_eq!(reading.counted(|| Tokens::ZERO, Tokens::ZERO), whole.counted(|| Tokens::ZERO, Tokens::ZERO));
        prop_assert_eq!(reading.raw_usage, whole.raw_usage);
    }
}

#[test]
fn a_member_that_comes_first_is_taken_out_with_the_comma_after_it() {
    let answer = Bytes::from_static(b"data: { \"usage\" : null , \"choices\":[{}]}\n\n");
    let (bytes, _) = chat(true, [answer]);
    assert_eq!(String::from_utf8(bytes).unwrap(), "data: { \"choices\":[{}]}\n\n");
}

#[test]
fn events_that_only_look_like_usage_are_kept() {
    for event in [
        // Azure's first event.
        r#"data: {"choices":[],"model":"","prompt_filter_results":[]}"#,
        // Usage that rides on an answer was not added by asking for it.
        r#"data: {"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
        r#"data: {"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
        r#"data: {"choices":[{"delta":{"role":"assistant","content":""}}],"usage":{"prompt_tokens":1,"completion_tokens":0}}"#,
        r#"data: {"choices":[],"error":{"message":"m"},"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
    ] {
        let answer = Bytes::from(format!("{event}\n\ndata: [DONE]\n\n"));
        let (bytes, _) = chat(true, pieces(&answer, 5));
        assert!(bytes == answer, "{event}");
    }
}

#[test]
fn an_event_that_carries_nothing_but_usage_is_taken_out_whatever_its_form() {
    let end = r#"data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}"#;
    for event in [
        r#"data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
        r#"data: {"choices":null,"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
        r#"data: {"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
        // LiteLLM's.
        r#"data: {"choices":[{"index":0,"delta":{}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
        // Azure's models behind some gateways.
        r#"data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
    ] {
        let answer = Bytes::from(format!("{end}\n\n{event}\n\ndata: [DONE]\n\n"));
        for size in [1, 5, answer.len()] {
            let (bytes, Ended { reading, .. }) = chat(true, pieces(&answer, size));
            assert_eq!(String::from_utf8(bytes).unwrap(), format!("{end}\n\ndata: [DONE]\n\n"), "{event}");
            assert!(reading.has_usage());
        }
    }
}

#[test]
fn an_event_larger_than_the_carry_goes_out_as_it_comes_and_is_still_read() {
    let audio = "A".repeat(200_000);
    let event = format!(
        r#"data: {{"choices":[{{"delta":{{"audio":{{"data":"{audio}"}}}}}}],"usage":{{"prompt_tokens":5,"completion_tokens":6}}}}"#
    );
    let answer = Bytes::from(format!("{event}\n\ndata: [DONE]\n\n"));
    let mut tap = Tap::new(&DIALECTS[0].answers, true);
    let mut out = Vec::new();
    tap.push(answer.slice(..100_000), &mut out);
    assert_eq!(out.iter().map(Bytes::len).sum::<usize>(), 100_000);
    let (bytes, Ended { reading, .. }) = chat(true, pieces(&answer, 10_000));
    assert!(bytes == answer);
    assert!(reading.has_usage());
}

#[test]
fn whatever_the_model_made_was_delivered() {
    let spoken = r#"{"choices":[{"message":{"audio":{"id":"a","data":"AAAA","transcript":"One two three"}}}]}"#;
    let thought = r#"{"choices":[{"message":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"One two three"}]}]}}]}"#;
    let used = r#"{"choices":[{"message":{"tool_calls":[{"type":"custom","custom":{"name":"","input":"One two three"}}]}}]}"#;
    let drawn = r#"{"choices":[{"message":{"images":[{"image_url":{"url":"data:image/png;base64,AAAA"}}]}}]}"#;
    for (answer, tokens) in [(spoken, 3), (thought, 3), (used, 3), (drawn, 0)] {
        let (_, Ended { reading, .. }) = chat(false, [Bytes::from_static(answer.as_bytes())]);
        assert!(!reading.says_nothing());
        assert_eq!(reading.text.tokens(), Tokens::from_sum(tokens), "{answer}");
    }
}

fn counted(route: &str, answer: &str) -> Counted {
    let dialect = Dialect::of(route).unwrap();
    let (_, Ended { reading, .. }) = relay(dialect, false, [Bytes::from(answer.to_owned())]);
    reading.counted(|| Tokens::from_sum(77), Tokens::from_sum(100))
}

#[test]
fn an_api_without_an_output_is_counted_by_its_total_where_nothing_else_is_said() {
    let Counted::Reported(usage) = counted("/v1/embeddings", r#"{"data":[{"embedding":[1]}],"usage":{"total_tokens":9}}"#) else {
        panic!()
    };
    assert_eq!((usage.prompt_tokens, usage.completion_tokens), (Some(Tokens::from_sum(9)), None));
}

#[test]
fn a_side_of_nothing_beside_a_text_was_not_counted() {
    let answer = |usage: &str| format!(r#"{{"choices":[{{"message":{{"content":"One two"}},"finish_reason":"stop"}}],"usage":{usage}}}"#);
    let Counted::Estimated(usage) =
        counted("/v1/chat/completions", &answer(r#"{"prompt_tokens":9,"completion_tokens":0,"total_tokens":9}"#))
    else {
        panic!()
    };
    assert_eq!((usage.prompt_tokens, usage.completion_tokens), (Some(Tokens::from_sum(9)), Some(Tokens::from_sum(2))));
    // What was all read from a cache leaves nothing beside it.
    let cached = r#"{"type":"message","content":[{"type":"text","text":"One two"}],"stop_reason":"end_turn","usage":{"input_tokens":0,"cache_read_input_tokens":9,"output_tokens":2}}"#;
    let Counted::Reported(usage) = counted("/v1/messages", cached) else { panic!() };
    assert_eq!((usage.prompt_tokens, usage.counts.cache_read), (Some(Tokens::from_sum(9)), Some(Tokens::from_sum(9))));
}

#[test]
fn a_later_total_of_cache_writes_keeps_the_parts_that_were_told_before() {
    let stream = concat!(
        "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3,\"cache_creation_input_tokens\":100,\"cache_creation\":{\"ephemeral_5m_input_tokens\":40,\"ephemeral_1h_input_tokens\":60},\"output_tokens\":1}}}\n\n",
        "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"input_tokens\":3,\"cache_creation_input_tokens\":300,\"output_tokens\":2}}\n\n",
        "data: {\"type\":\"message_stop\"}\n\n",
    );
    let Counted::Reported(usage) = counted("/v1/messages", stream) else { panic!() };
    assert_eq!((usage.counts.cache_write_5m, usage.counts.cache_write_1h), (Some(Tokens::from_sum(240)), Some(Tokens::from_sum(60))));
    assert!(usage.flag.is_none() && usage.adds_up());
}

#[test]
fn the_service_tier_is_read_however_the_answer_is_cut() {
    use domain::service_tier::ServiceTier::{self, Batch, Default, Flex, Priority};
    let check = |route: &str, answer: &'static str, expected: Option<ServiceTier>| {
        let dialect = Dialect::of(route).unwrap();
        for size in 1..=answer.len() {
            let reading = relay(dialect, false, pieces(&Bytes::from_static(answer.as_bytes()), size)).1.reading;
            assert_eq!(reading.served_tier, expected, "{answer} in pieces of {size}");
            assert_eq!(reading.unknown_tier.as_deref(), answer.contains("ultra").then_some("ultra"), "{answer} in pieces of {size}");
        }
    };
    let chat = "/v1/chat/completions";
    check(chat, r#"{"service_tier":"flex","usage":{"prompt_tokens":1,"completion_tokens":1}}"#, Some(Flex));
    check(chat, r#"{"service_tier":"on_demand","choices":[]}"#, Some(Default));
    check(chat, r#"{"service_tier":null,"choices":[{"message":{"content":"\"service_tier\":\"flex\""}}]}"#, None);
    check(chat, r#"{"service_tier":"ultra","choices":[]}"#, None);
    let stream = "data: {\"service_tier\":\"priority\",\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n\
                  data: {\"service_tier\":\"priority\",\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\ndata: [DONE]\n\n";
    check(chat, stream, Some(Priority));
    let responses = "/v1/responses";
    check(responses, r#"{"object":"response","service_tier":"default","usage":{"input_tokens":1,"output_tokens":1}}"#, Some(Default));
    // What it is before it is known is no tier; what it is in the end is.
    let stream = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"service_tier\":\"auto\"}}\n\n\
                  event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"service_tier\":\"flex\",\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\n";
    check(responses, stream, Some(Flex));
    let messages = "/v1/messages";
    check(messages, r#"{"type":"message","usage":{"input_tokens":1,"output_tokens":1,"service_tier":"batch"}}"#, Some(Batch));
    let stream = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":1,\"output_tokens\":1,\"service_tier\":\"standard\"}}}\n\n\
                  event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":2}}\n\n";
    check(messages, stream, Some(Default));
}

mod fuzz {
    use super::*;
    use crate::fuzzed::{Change, changed, pick};

    /// All that is read of an answer.
    fn said(Ended { reading, is_whole, .. }: Ended) -> impl PartialEq + std::fmt::Debug {
        let counted = reading.counted(|| Tokens::ZERO, Tokens::ZERO);
        let names = ([reading.raw_usage, reading.model, reading.unknown_tier, reading.other_model], reading.served_tier);
        let flags = [is_whole, reading.finished, reading.failed, reading.is_answer, reading.has_whole_document, reading.unreadable];
        (counted, names, flags, reading.text.kept())
    }

    /// Says whether something was held back to the end.
    fn expect_alike(dialect: &'static Dialect, without_usage: bool, answer: &Bytes, pieces: impl IntoIterator<Item = Bytes>) -> bool {
        let (whole, all) = relay(dialect, without_usage, [answer.clone()]);
        let (bytes, read) = relay(dialect, without_usage, pieces);
        assert!(bytes == whole, "{}\n\n{}", bytes.escape_ascii(), whole.escape_ascii());
        assert!(without_usage || bytes == *answer, "the bytes were changed");
        let is_held = !read.held.is_empty();
        assert_eq!(said(read), said(all), "{}", answer.escape_ascii());
        is_held
    }

    #[test]
    fn any_answer_is_read_alike_however_it_is_cut() {
        let fixtures = fixtures();
        let answers = bolero::check!().with_type::<(u8, Vec<Change>, u8, Vec<u8>)>().with_iterations(2_000);
        answers.for_each(|(seed, changes, options, cuts)| {
            let seed = pick(&fixtures, *seed);
            let answer = Bytes::from(changed(&seed.bytes, changes));
            // Often the API that it is an answer of.
            let dialect = if options % 4 == 0 { *pick(&DIALECTS, options / 8) } else { api(&seed.dialect).unwrap() };
            let mut place = 0;
            let pieces: Vec<_> = cuts
                .iter()
                .chain([&u8::MAX])
                .cycle()
                .map_while(|cut| {
                    let from = place;
                    place = answer.len().min(place + 1 + usize::from(*cut));
                    (from < answer.len()).then(|| answer.slice(from..place))
                })
                .collect();
            expect_alike(dialect, options & 4 != 0, &answer, pieces);
        });
    }

    fn check_at_every_byte(answer: &Answer) {
        let (dialect, bytes) = (api(&answer.dialect).unwrap(), &answer.bytes);
        // Only an API whose streams can be made to report has traces of that taken out.
        let is_forced = dialect.request.members.iter().any(|(_, member)| *member == Member::StreamOptions);
        for without_usage in [false].into_iter().chain(is_forced.then_some(true)) {
            let check = |name: usize, pieces: Vec<Bytes>| {
                let is_held = expect_alike(dialect, without_usage, bytes, pieces);
                assert!(is_held || !has_marked_end(answer), "{} cut at {name}: its end is held back", answer.file);
            };
            (0..=bytes.len()).for_each(|at| check(at, vec![bytes.slice(..at), bytes.slice(at..)]));
            check(1, pieces(bytes, 1).collect());
        }
    }

    #[test]
    fn every_documented_answer_is_read_alike_cut_at_every_byte() {
        fixtures().iter().for_each(check_at_every_byte);
    }

    /// Of long ones the time for that grows with the square.
    #[test]
    fn every_short_recorded_answer_is_read_alike_cut_at_every_byte() {
        recordings().unwrap_or_default().iter().filter(|answer| answer.bytes.len() < 2_000).for_each(check_at_every_byte);
    }

    /// So that what holds of all fixtures holds of all APIs. Completions of code are answered as chats are.
    #[test]
    fn every_api_has_documented_answers() {
        let fixtures = fixtures();
        for dialect in DIALECTS.into_iter().filter(|dialect| dialect.route != "/v1/fim/completions") {
            let has =
                |stream| fixtures.iter().any(|answer| answer.stream == stream && api(&answer.dialect).unwrap().index == dialect.index);
            assert!(has(false) && (has(true) || !dialect.answers.has_output), "{}", dialect.route);
        }
    }
}
