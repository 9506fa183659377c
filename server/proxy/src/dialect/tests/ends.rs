//! Where an answer begins and ends: what is held back of it, and whether it is whole.

use bytes::Bytes;

use super::{DIALECTS, Dialect, api, fixtures, pieces, relay};
use crate::wire::tap::{Ended, Tap};

#[test]
fn what_keeps_a_connection_alive_ends_no_stream() {
    let word = r#"data: {"choices":[{"delta":{"content":"hi"}}]}"#;
    for keep_alive in ["data: ping", "data: null", "data: []", "data: \"ok\""] {
        let first = Bytes::from(format!("{keep_alive}\n\n{word}\n\n"));
        let (mut tap, mut out) = (Tap::new(&DIALECTS[0].answers, false), Vec::new());
        tap.push(first.clone(), &mut out);
        assert_eq!(out.concat(), first, "{keep_alive}");
        assert!(!tap.is_at_end());
        // And the model may think before its next word.
        let (mut tap, mut out) = (Tap::new(&DIALECTS[0].answers, false), Vec::new());
        tap.push(Bytes::from(format!("{keep_alive}\n\n")), &mut out);
        assert!(!tap.is_at_end() && !out.is_empty(), "{keep_alive}");
    }
}

#[test]
fn what_comes_before_an_answer_and_says_nothing_changes_nothing() {
    for answer in fixtures() {
        for (size, mark) in [(1, "\u{feff}"), (2, "\u{feff}"), (64, " \n")] {
            let bytes = Bytes::from([mark.as_bytes(), &answer.bytes].concat());
            let (out, Ended { reading, .. }) = relay(api(&answer.dialect).unwrap(), false, pieces(&bytes, size));
            assert!(out == bytes, "{}", answer.file);
            assert_eq!((reading.has_usage(), reading.is_answer), (answer.usage_on_wire, true), "{} after {mark:?}", answer.file);
        }
    }
}

#[test]
fn what_is_no_answer_is_not_let_through() {
    for foreign in [&b"\x1f\x8b\x08\x00gzip"[..], b"<!doctype html><title>Sorry</title>"] {
        let (mut tap, mut out) = (Tap::new(&DIALECTS[0].answers, false), Vec::new());
        tap.push(Bytes::from_static(foreign), &mut out);
        assert!(tap.is_foreign() && out.is_empty(), "{foreign:?}");
        let (mut tap, mut out) = (Tap::new(&DIALECTS[0].answers, false).of_error(), Vec::new());
        tap.push(Bytes::from_static(foreign), &mut out);
        assert!(!tap.is_foreign(), "an error may look like anything");
    }
}

#[test]
fn blank_lines_before_an_answer_are_not_kept() {
    let (mut tap, mut out) = (Tap::new(&DIALECTS[0].answers, false), Vec::new());
    for _ in 0..3 {
        tap.push(Bytes::from_static(b"\n"), &mut out);
    }
    assert_eq!(out.concat(), b"\n\n", "all but the last");
}

/// The event that ends a stream may be large, and what it used stands at its end.
#[test]
fn a_stream_is_at_its_end_when_its_last_event_has_come_whole() {
    let responses = Dialect::of("/v1/responses").unwrap();
    let word = "data: {\"type\":\"response.output_text.delta\",\"delta\":\"Hi\"}\n\n";
    let last = "data: {\"type\":\"response.completed\",\"response\":{\"output\":[],\"usage\":{\"input_tokens\":3,\"output_tokens\":1,\"total_tokens\":4}}}\n\n";
    let (begins, ends) = last.split_at(60);
    let (mut tap, mut out) = (Tap::new(&responses.answers, false), Vec::new());
    tap.push(Bytes::from(format!("{word}{begins}")), &mut out);
    assert_eq!(out.concat(), word.as_bytes(), "the end is held back from its beginning");
    assert!(!tap.is_at_end(), "and has not come");
    tap.push(Bytes::from(ends.to_owned()), &mut out);
    assert!(tap.is_at_end());
    let Ended { held, reading, is_whole, .. } = tap.finish();
    assert_eq!((held.concat(), is_whole, reading.has_usage()), (last.as_bytes().to_vec(), true, true));
    let (mut tap, mut out) = (Tap::new(&responses.answers, false), Vec::new());
    tap.push(Bytes::from(format!("{word}{begins}")), &mut out);
    assert!(!tap.finish().is_whole, "cut off in its last event, it is no whole answer");
}

/// Anthropic's streams begin with a report, and others have one in each event: that is no end.
#[test]
fn a_stream_that_stops_without_an_end_is_not_whole_whatever_it_has_reported() {
    let messages = [
        r#"{"type":"message_start","message":{"model":"m","usage":{"input_tokens":9,"output_tokens":1}}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"One"}}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":3}}"#,
        r#"{"type":"message_stop"}"#,
    ];
    let chat = [
        r#"{"choices":[{"index":0,"delta":{"content":"One"}}],"usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10}}"#,
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}"#,
        "[DONE]",
    ];
    let responses = [
        r#"{"type":"response.created","response":{"usage":{"input_tokens":9,"output_tokens":1,"total_tokens":10}}}"#,
        r#"{"type":"response.output_text.delta","delta":"One"}"#,
        r#"{"type":"response.completed","response":{"output":[],"usage":{"input_tokens":9,"output_tokens":3,"total_tokens":12}}}"#,
    ];
    for (route, events, last) in
        [("/v1/messages", &messages[..], 2), ("/v1/chat/completions", &chat[..], 1), ("/v1/responses", &responses[..], 2)]
    {
        for come in 1..=events.len() {
            let answer: String = events[..come].iter().map(|event| format!("data: {event}\n\n")).collect();
            let (_, Ended { is_whole, reading, .. }) = relay(Dialect::of(route).unwrap(), false, [Bytes::from(answer)]);
            assert_eq!(is_whole, come > last, "{route}: {come} events");
            assert!(reading.has_usage(), "{route}: {come} events");
        }
    }
}

/// What an upstream sends behind the beginning of the last event is held back, but no more of it than fits.
#[test]
fn of_a_last_event_without_an_end_no_more_is_held_back_than_fits() {
    let responses = Dialect::of("/v1/responses").unwrap();
    let (mut tap, mut out) = (Tap::new(&responses.answers, false), Vec::new());
    let begins = "data: {\"type\":\"response.completed\",\"response\":{\"output\":[\"";
    let endless = "x".repeat(64 * 1024);
    let (mut sent, mut most) = (begins.to_owned(), 0);
    tap.push(Bytes::from(begins.to_owned()), &mut out);
    for _ in 0..40 {
        tap.push(Bytes::from(endless.clone()), &mut out);
        sent.push_str(&endless);
        most = most.max(sent.len() - out.iter().map(Bytes::len).sum::<usize>());
    }
    assert!((1024 * 1024..1024 * 1024 + 2 * endless.len()).contains(&most), "{most}");
    for _ in 0..5_000 {
        tap.push(Bytes::from_static(b"y"), &mut out);
        sent.push('y');
    }
    assert!(sent.len() - out.iter().map(Bytes::len).sum::<usize>() <= 2_000, "small pieces are as dear as large ones");
    let held = tap.finish().held;
    assert!(!held.is_empty(), "the newest is");
    assert!([out.concat(), held.concat()].concat() == sent.as_bytes(), "every byte goes on, in its order");
}
