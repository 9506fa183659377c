//! What is found in documents, however they are built and cut.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::wire::{grammar::Table, report::Count};

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

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-5_i64..2_000_000_000).prop_map(Value::from),
        "[a-z\"\\\\{}\\[\\]:,é\u{1f600}]{0,12}".prop_map(Value::from),
    ];
    let name = prop::sample::select(vec!["model", "usage", "prompt", "cached", "details", "choices", "text", "error", "x"]);
    leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.clone().prop_map(str::to_owned), inner, 0..5).prop_map(|members| json!(members)),
        ]
    })
}

/// `*` is an item of a list or any member of an object.
fn text_of(document: &Value) -> String {
    let items = document["choices"].as_array().into_iter().flatten();
    let members = document["choices"].as_object().into_iter().flat_map(|members| members.values());
    items.chain(members).filter_map(|choice| choice["text"].as_str()).collect()
}

proptest! {
    /// However a document is built and cut, the scanner finds what a parser finds.
    #[test]
    fn the_scanner_agrees_with_a_parser(
        members in prop::collection::btree_map(
            prop::sample::select(vec!["model", "usage", "choices", "error", "x"]).prop_map(str::to_owned), value(), 0..6),
        size in 1_usize..40, pretty: bool,
    ) {
        let document = json!(members);
        let json = if pretty { serde_json::to_string_pretty(&document).unwrap() } else { document.to_string() };
        let (found, text, _) = scan(json.as_bytes(), size);
        let name = document["model"].as_str().filter(|name| !name.is_empty());
        prop_assert_eq!(found.model.as_deref(), name);
        prop_assert_eq!(found.failed, !document["error"].is_null());
        prop_assert_eq!(found.is_answer, document["choices"].is_array() || document["choices"].is_object());
        prop_assert_eq!(found.is_whole, true);
        prop_assert_eq!(text, text_of(&document));
        let usage = document["usage"].as_object();
        prop_assert_eq!(found.reports.len(), usize::from(usage.is_some()));
        if let Some(usage) = usage {
            let right = match &usage.get("prompt").cloned().unwrap_or_default() {
                Value::Null => None,
                Value::Number(number) => number.as_i64().map(Number::Whole),
                Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => Some(Number::Odd),
            };
            prop_assert_eq!(found.reports[0].get(Count::Input), right);
            prop_assert_eq!(&serde_json::from_slice::<Value>(&found.reports[0].raw).unwrap(), &document["usage"]);
        }
    }

    /// Whatever comes, nothing breaks.
    #[test]
    fn any_bytes_are_scanned(bytes in prop::collection::vec(prop::sample::select(br#"{}[]",:\uud8n1 usage"#.to_vec()), 0..200), size in 1_usize..20) {
        let (whole, cut) = (scan(&bytes, bytes.len()), scan(&bytes, size));
        prop_assert_eq!(whole.1, cut.1);
        prop_assert_eq!(whole.0.reports, cut.0.reports);
    }
}
