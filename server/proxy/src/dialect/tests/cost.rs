//! What a call cost, in answers of many providers: one member more, in the report that the answer ends with, and not another byte changed.

use bytes::Bytes;
use proptest::prelude::*;

use super::{Answer, Dialect, api, fixtures, pieces, recordings};
use crate::wire::{
    cost,
    tap::{Ended, Tap},
};

const MEMBER: &str = r#""cost":"0.0000222","#;

/// What the client gets who asked for the cost, and whether something of a document went out before that is known.
fn relay(dialect: &'static Dialect, pieces: impl IntoIterator<Item = Bytes>) -> (Vec<u8>, bool) {
    let (mut tap, mut out) = (Tap::new(&dialect.answers, false).for_cost(), Vec::new());
    for piece in pieces {
        tap.push(piece, &mut out);
    }
    let is_shown = !out.is_empty();
    let Ended { held, form, .. } = tap.finish();
    out.extend(form.map_or(held.clone(), |form| cost::put_in(held, form, &dialect.answers.grammar, "0.0000222")));
    (out.concat(), is_shown)
}

/// Whether its stream ends with a report of the whole answer, on one line: some report elsewhere only, or are made to show that there may be none.
fn ends_with_a_report(answer: &Answer) -> bool {
    const OTHERWISE: [&str; 4] =
        ["anthropic-stream-error.sse", "groq-stream-old.sse", "groq-chat-stream-xgroq-only.sse", "openai-stream-lines.sse"];
    answer.usage_on_wire && !OTHERWISE.contains(&answer.file.as_str())
}

/// What of cost is in recorded answers, all of it in their usage.
const OF_COST: [&str; 2] = ["\"cost", "\"estimated_cost"];

/// The documents of an answer, by a parser: those that are any.
fn documents(answer: &Answer, bytes: &[u8]) -> Vec<serde_json::Value> {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<_> =
        if answer.stream { text.split(['\r', '\n']).filter_map(|line| line.strip_prefix("data:")).collect() } else { vec![&*text] };
    lines.into_iter().filter_map(|document| serde_json::from_str(document.trim_start_matches('\u{feff}')).ok()).collect()
}

/// The same without what is said of cost in any `usage`: recorded answers have that name nowhere else.
fn pruned(mut document: serde_json::Value) -> serde_json::Value {
    match &mut document {
        serde_json::Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                if let Some(report) = member.as_object_mut().filter(|_| name == "usage") {
                    report.retain(|name, _| !name.starts_with("cost") && name != "estimated_cost");
                }
                *member = pruned(member.take());
            }
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| *item = pruned(item.take())),
        _ => {}
    }
    document
}

/// What the client gets where its operator hides what the provider says of cost.
fn without_cost(dialect: &'static Dialect, answer: &Answer, size: usize) -> Vec<u8> {
    let (mut tap, mut out) = (Tap::new(&dialect.answers, false).without_cost(), Vec::new());
    for piece in pieces(&answer.bytes, size) {
        tap.push(piece, &mut out);
    }
    out.extend(tap.finish().held);
    let left = out.concat();
    assert_eq!(documents(answer, &left), documents(answer, &answer.bytes).into_iter().map(pruned).collect::<Vec<_>>(), "{}", answer.file);
    let text = String::from_utf8_lossy(&left);
    assert!(!OF_COST.iter().any(|own| text.contains(own)), "{} in pieces of {size}", answer.file);
    left
}

/// The cost is a member of an object called `usage` in JSON that is whole, with the tokens as they were.
fn check(answer: &Answer, size: usize) {
    let Some(dialect) = api(&answer.dialect) else { return };
    let name = format!("{} in pieces of {size}", answer.file);
    let (told, is_shown) = relay(dialect, pieces(&answer.bytes, size));
    assert!(answer.stream || !is_shown, "{name}: a document is held back whole");
    let text = String::from_utf8_lossy(&told);
    assert_eq!(text.matches(MEMBER).count(), usize::from(ends_with_a_report(answer)), "{name}");
    let ours_taken_out = text.replace(MEMBER, "");
    assert!(ours_taken_out.as_bytes() == without_cost(dialect, answer, size), "{name}: nothing else is changed");
    let before = String::from_utf8_lossy(&answer.bytes);
    if !OF_COST.iter().any(|own| before.contains(own)) {
        assert!(ours_taken_out == before, "{name}: nor is that");
    }
    let documents =
        if answer.stream { text.split(['\r', '\n']).filter_map(|line| line.strip_prefix("data:")).collect() } else { vec![&*text] };
    let costs = documents.into_iter().filter(|document| document.contains(MEMBER)).map(|document| {
        let document: serde_json::Value = serde_json::from_str(document).unwrap();
        let usage = if document["usage"].is_object() { &document["usage"] } else { &document["response"]["usage"] };
        usage["cost"].clone()
    });
    assert!(costs.into_iter().all(|cost| cost == "0.0000222"), "{name}");
}

#[test]
fn the_cost_is_told_in_documented_answers_of_all_kinds() {
    for answer in fixtures() {
        for size in [1, 2, 7, 64, answer.bytes.len()] {
            check(&answer, size);
        }
    }
}

#[test]
fn the_cost_is_told_in_recorded_answers_of_all_kinds() {
    for answer in recordings().unwrap_or_default() {
        for size in [1, 7, 1_024, answer.bytes.len()] {
            check(&answer, size);
        }
    }
}

proptest! {
    #[test]
    fn any_cut_of_an_answer_tells_the_same_cost(cuts in prop::collection::vec(1_usize..90, 1..50), which in any::<prop::sample::Index>()) {
        let answers = fixtures();
        let answer = which.get(&answers);
        let dialect = api(&answer.dialect).unwrap();
        let mut place = 0;
        let pieces: Vec<_> = cuts.iter().cycle().map_while(|cut| {
            let from = place;
            place = answer.bytes.len().min(place + cut);
            (from < answer.bytes.len()).then(|| answer.bytes.slice(from..place))
        }).collect();
        prop_assert!(relay(dialect, pieces).0 == relay(dialect, [answer.bytes.clone()]).0, "{}", answer.file);
    }
}

#[test]
fn the_cost_is_told_alike_in_an_answer_cut_at_every_byte() {
    for answer in fixtures() {
        let (dialect, bytes) = (api(&answer.dialect).unwrap(), &answer.bytes);
        let (whole, _) = relay(dialect, [bytes.clone()]);
        for at in 0..=bytes.len() {
            assert!(relay(dialect, [bytes.slice(..at), bytes.slice(at..)]).0 == whole, "{} cut at {at}", answer.file);
        }
    }
}

/// Its text goes out as it comes, whatever it reports meanwhile.
#[test]
fn a_stream_that_reports_all_the_time_goes_out_as_it_comes() {
    let word = |word: &str, finish: &str| {
        format!(
            "data: {{\"choices\":[{{\"delta\":{{\"content\":\"{word}\"}}{finish}}}],\"usage\":{{\"prompt_tokens\":3,\"completion_tokens\":4}}}}\n\n"
        )
    };
    let dialect = Dialect::of("/v1/chat/completions").unwrap();
    let (mut tap, mut out) = (Tap::new(&dialect.answers, false).for_cost(), Vec::new());
    let mut sent = String::new();
    // The second of two answers goes on when the first has ended.
    for piece in [word("One", ""), word(" two", r#","finish_reason":"stop""#), word("Eins", ""), word(" zwei", "")] {
        tap.push(piece.clone().into(), &mut out);
        sent += &piece;
        let shown = out.concat();
        assert!(sent.as_bytes().starts_with(&shown) && sent.len() - shown.len() <= piece.len(), "one event is held back at most");
    }
}

/// Why the text has ended, some say only behind the report.
#[test]
fn an_end_that_is_said_behind_the_report_keeps_no_cost_out_of_it() {
    let stream = concat!(
        "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\n",
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
        "data: [DONE]\n\n",
    );
    let dialect = Dialect::of("/v1/chat/completions").unwrap();
    for size in [1, 7, stream.len()] {
        let (told, _) = relay(dialect, pieces(&Bytes::from(stream), size));
        let told = String::from_utf8_lossy(&told);
        assert_eq!((told.matches(MEMBER).count(), told.replace(MEMBER, "").as_str()), (1, stream), "in pieces of {size}");
    }
}

/// Nobody's memory is filled with an answer: one that is too long to be held goes out as it comes, and tells no cost.
#[test]
fn a_document_that_is_too_long_goes_out_as_it_comes() {
    let text = "x".repeat(2 * 1024 * 1024);
    let document = format!(r#"{{"choices":[{{"message":{{"content":"{text}"}}}}],"usage":{{"prompt_tokens":3,"completion_tokens":4}}}}"#);
    let dialect = Dialect::of("/v1/chat/completions").unwrap();
    let (told, is_shown) = relay(dialect, pieces(&Bytes::from(document.clone()), 100_000));
    assert!(is_shown && told == document.as_bytes());
}
