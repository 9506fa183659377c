//! What is found in documents, however they are built and cut.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use std::sync::LazyLock;

use serde_json::{Value, json};

use super::*;
use crate::{
    fuzzed::pick,
    wire::{
        grammar::{Scope, Table},
        report::Count,
    },
};

static GRAMMAR: LazyLock<Grammar> = LazyLock::new(|| {
    Grammar::new(&Table {
        rows: &[
            ("model", Mark::Model),
            ("type", Mark::Kind),
            ("error", Mark::Failure),
            ("choices", Mark::Answer),
            ("choices.*.text", Mark::Text),
            ("choices.*.finish", Mark::Finish),
            ("usage", Mark::Report(Scope::Answer)),
            ("usage.passes.*", Mark::Report(Scope::Pass)),
            ("usage.passes.*.model", Mark::ReportModel),
            ("input.**", Mark::Text),
        ],
        counts: &[("prompt", Count::Input), ("details.cached", Count::CacheRead), ("cached", Count::CacheRead)],
        last_kinds: &["stop"],
    })
});

fn scan(json: &[u8], size: usize) -> (Document, String, bool) {
    let (mut scanner, mut text) = (Scanner::new(&GRAMMAR), DeliveredText::default());
    json.chunks(size.max(1)).for_each(|piece| scanner.push(piece, &mut text));
    let is_at_end = scanner.is_at_end();
    (scanner.finish(), text.kept(), is_at_end)
}

fn check(json: &str, say: impl Fn(&Document, &str)) {
    for size in [1, 3, json.len()] {
        let (document, text, _) = scan(json.as_bytes(), size);
        say(&document, &text);
    }
}

#[test]
fn what_stands_beside_a_number_does_not_spoil_it() {
    for stranger in [&b"\"a\xffb\""[..], b"\"\\ud83d\"", b"{\"prompt\":9}", b"[1,\"]\",{}]", b"tru"] {
        let json = [&b"{\"usage\":{\"note\":"[..], stranger, b",\"prompt\":12}}"].concat();
        for size in [1, 5, json.len()] {
            let (document, ..) = scan(&json, size);
            assert_eq!(document.reports[0].get(Count::Input), Some(Number::Whole(12)), "{stranger:?}");
        }
    }
    let long = format!(r#"{{"usage":{{"note":"{}","prompt":12}}}}"#, "x".repeat(200_000));
    let (document, ..) = scan(long.as_bytes(), 1_000);
    assert_eq!((document.reports[0].get(Count::Input), document.reports[0].raw.len()), (Some(Number::Whole(12)), 0));
}

#[test]
fn of_several_names_the_first_counts_and_what_is_no_count_is_odd() {
    check(r#"{"usage":{"cached":5,"details":{"cached":7},"prompt":"12"}}"#, |document, _| {
        assert_eq!(document.reports[0].get(Count::CacheRead), Some(Number::Whole(7)));
        assert_eq!(document.reports[0].get(Count::Input), Some(Number::Odd));
        assert_eq!(document.reports[0].raw, br#"{"cached":5,"details":{"cached":7},"prompt":"12"}"#);
    });
    for (number, right) in
        [("-1", Some(Number::Whole(-1))), ("1.0", Some(Number::Odd)), ("null", None), ("99999999999999999999", Some(Number::Odd))]
    {
        check(&format!(r#"{{"usage":{{"prompt":{number},"cached":1}}}}"#), |document, _| {
            assert_eq!(document.reports[0].get(Count::Input), right, "{number}");
        });
    }
}

#[test]
fn a_report_that_is_cut_off_is_none_and_one_of_a_pass_is_its_own() {
    check(r#"{"usage":{"prompt":1,"passes":[{"prompt":2,"model":"b"},{"prompt":3}]}}"#, |document, _| {
        let found: Vec<_> = document.reports.iter().map(|report| (report.scope, report.get(Count::Input), report.model.clone())).collect();
        assert_eq!(
            found,
            [
                (Scope::Answer, Some(Number::Whole(1)), None),
                (Scope::Pass, Some(Number::Whole(2)), Some("b".to_owned())),
                (Scope::Pass, Some(Number::Whole(3)), None)
            ]
        );
    });
    check(r#"{"usage":{"prompt":1,"passes":[{"prompt":2}"#, |document, _| assert!(document.reports.is_empty()));
    check(r#"{"other":{"usage":{"prompt":1}}}"#, |document, _| assert!(document.reports.is_empty() && document.has_stray_usage));
    check(r#"{"other":"usage","x":{"usage":null}}"#, |document, _| assert!(!document.has_stray_usage));
    check(r#"{"choices":[{"usage":{"prompt":1}}]}"#, |document, _| assert!(document.reports.is_empty() && document.has_stray_usage));
}

#[test]
fn what_comes_after_something_very_deep_is_still_found() {
    for deep in [[r#"{"a":["#, "]}"], ["[", "]"], [r#"{"a":{"b":"#, "}}"]] {
        for depth in [60, 64, 127, 128, 129, 500] {
            let json = format!(r#"{{"x":{}1{},"usage":{{"prompt":12}}}}"#, deep[0].repeat(depth), deep[1].repeat(depth));
            check(&json, |document, _| {
                assert_eq!(document.reports.first().and_then(|report| report.get(Count::Input)), Some(Number::Whole(12)), "{depth}");
                assert!(document.is_whole);
            });
        }
    }
}

#[test]
fn text_is_what_was_written_and_nothing_else() {
    check(
        r#"{"choices":[{"text":"a\"\u00e9\ud83d\ude00\n"},{"other":"b"}],"text":"c","input":{"d":["e",{"f":"g"}]}}"#,
        |document, text| {
            assert_eq!(text, "a\"é\u{1f600}\neg");
            assert!(document.is_answer && document.is_whole && document.says_something);
        },
    );
}

#[test]
fn a_list_of_documents_is_read_as_each_of_them_and_an_end_marker_is_none() {
    check(r#" [ {"model":"m","usage":{"prompt":4}} ]"#, |document, _| {
        assert_eq!((document.model.as_deref(), document.reports.len(), document.is_whole), (Some("m"), 1, true));
    });
    for (json, is_end) in [("[DONE]", true), ("[]", false), ("[DO", false), (r#"{"type":"stop"}"#, true), (r#"{"type":"stops"}"#, false)] {
        assert_eq!(scan(json.as_bytes(), 1).2, is_end, "{json}");
    }
}

/// Names that mean something, and one that does not.
const NAMES: [&str; 9] = ["model", "usage", "prompt", "cached", "details", "choices", "text", "error", "x"];
const TEXTS: [&str; 8] = ["", "a", "\"", "\\", "{}[]:,", "é\u{1f600}", "\n", "\"usage\":{\"prompt\":1}"];

/// A value that these bytes spell, a few levels deep.
fn value(bytes: &mut impl Iterator<Item = u8>, depth: usize) -> Value {
    let kind = bytes.next().unwrap_or_default();
    let many = usize::from(kind / 16 % 4);
    match kind % 16 {
        0 | 1 => Value::Null,
        2 | 3 => json!(kind > 127),
        4..=7 => json!((i64::from(bytes.next().unwrap_or_default()) - 5) << (kind / 16)),
        8..=10 => json!(pick(&TEXTS, kind / 16).repeat(1 + many)),
        _ if depth == 0 => json!([]),
        11 | 12 => (0..many).map(|_| value(bytes, depth - 1)).collect(),
        _ => members(bytes, &NAMES, many + 1, depth - 1),
    }
}

fn members(bytes: &mut impl Iterator<Item = u8>, names: &[&str], many: usize, depth: usize) -> Value {
    let member = |_| {
        let name = *pick(names, bytes.next().unwrap_or_default());
        (name.to_owned(), value(bytes, depth))
    };
    Value::Object((0..many).map(member).collect())
}

/// `*` is an item of a list or any member of an object.
fn text_of(document: &Value) -> String {
    let items = document["choices"].as_array().into_iter().flatten();
    let members = document["choices"].as_object().into_iter().flat_map(|members| members.values());
    items.chain(members).filter_map(|choice| choice["text"].as_str()).collect()
}

mod fuzz {
    use super::*;

    /// However a document is built and cut, the scanner finds what a parser finds.
    #[test]
    fn the_scanner_agrees_with_a_parser() {
        bolero::check!().with_type::<(Vec<u8>, u8, bool)>().with_iterations(4_000).for_each(|(bytes, size, pretty)| {
            let document = members(&mut bytes.iter().copied(), &["model", "usage", "choices", "error", "x"], usize::from(size % 6), 4);
            let json = if *pretty { serde_json::to_string_pretty(&document).unwrap() } else { document.to_string() };
            let (found, text, _) = scan(json.as_bytes(), usize::from(size % 40));
            // It is foreign text, and is shown.
            let name = document["model"].as_str().map(|name| name.replace(char::is_control, "")).filter(|name| !name.is_empty());
            assert_eq!(found.model, name, "{json}");
            assert_eq!(found.failed, !document["error"].is_null(), "{json}");
            assert_eq!(found.is_answer, document["choices"].is_array() || document["choices"].is_object(), "{json}");
            assert!(found.is_whole, "{json}");
            assert_eq!(text, text_of(&document), "{json}");
            let usage = document["usage"].as_object();
            assert_eq!(found.reports.len(), usize::from(usage.is_some()), "{json}");
            if let Some(usage) = usage {
                let right = match &usage.get("prompt").cloned().unwrap_or_default() {
                    Value::Null => None,
                    Value::Number(number) => number.as_i64().map(Number::Whole),
                    Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => Some(Number::Odd),
                };
                assert_eq!(found.reports[0].get(Count::Input), right, "{json}");
                assert_eq!(&serde_json::from_slice::<Value>(&found.reports[0].raw).unwrap(), &document["usage"]);
            }
        });
    }

    /// Whatever comes, nothing breaks.
    #[test]
    fn any_bytes_are_scanned_alike_however_they_are_cut() {
        const BYTES: &[u8] = br#"{}[]",:\uud8n1 usage"#;
        bolero::check!().with_type::<(Vec<u8>, u8)>().with_iterations(4_000).for_each(|(places, size)| {
            let bytes: Vec<_> = places.iter().map(|place| *pick(BYTES, *place)).collect();
            let (whole, cut) = (scan(&bytes, bytes.len()), scan(&bytes, usize::from(size % 20)));
            assert_eq!(whole.1, cut.1);
            assert_eq!(whole.0.reports, cut.0.reports);
        });
    }
}
