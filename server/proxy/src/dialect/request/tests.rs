//! Requests, as they are read, refused and changed.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod rows;

use bytes::Bytes;
use chrono::DateTime;
use domain::{
    catalog::{ModelBounds, OutputCapField},
    id::{ModelId, ProviderId},
};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::{
    dialect::{DIALECTS, Dialect},
    wire::splice::splice,
};

const HELLO: &str = r#""messages":[{"role":"user","content":"hi"}]"#;

fn model(field: OutputCapField) -> Model {
    Model {
        id: ModelId::new(DateTime::UNIX_EPOCH, [0; 10]),
        name: "m".to_owned(),
        provider_id: ProviderId::new(DateTime::UNIX_EPOCH, [0; 10]),
        provider: "p".to_owned(),
        upstream_name: "vendor/m".to_owned(),
        context_window: Tokens::from_sum(128_000),
        default_output_hold: Tokens::from_sum(4_096),
        output_cap_field: field,
        bounds: ModelBounds::default(),
        opened: Vec::new(),
    }
}

fn parse(body: &str) -> Result<Request, Refusal> {
    let request = Request::parse(DIALECTS[0], body)?;
    request.refused_by(&model(OutputCapField::MaxTokens)).map_or(Ok(request), Err)
}

fn check(body: &str, field: OutputCapField, mode: UsageMode, expected: &str) {
    let request = parse(body).unwrap();
    let cap = request.output_cap().unwrap_or(Tokens::from_sum(4_096));
    let spliced = splice(&Bytes::copy_from_slice(body.as_bytes()), request.edits(&model(field), mode, Some(cap))).concat();
    assert_eq!(String::from_utf8_lossy(&spliced), expected);
}

#[test]
fn all_but_the_spliced_members_stays_as_it_was() {
    check(
        &format!(r#"{{ "model" : "m", "temperature":1.50, {HELLO}, "max_tokens": 7, "stop": [1e2]}}"#),
        OutputCapField::MaxTokens,
        UsageMode::Forced,
        &format!(r#"{{ "model" : "vendor/m", "temperature":1.50, {HELLO}, "max_tokens": 7, "stop": [1e2]}}"#),
    );
}

#[test]
fn usage_is_forced_wherever_the_client_left_it_out() {
    let stream = |options: &str| format!(r#"{{"model":"m","stream":true,{HELLO},"max_tokens":7{options}}}"#);
    let forced = |options: &str| stream(options).replace(r#""m""#, r#""vendor/m""#);
    let field = OutputCapField::MaxTokens;
    check(&stream(""), field, UsageMode::Forced, &forced("").replacen('{', r#"{"stream_options":{"include_usage":true},"#, 1));
    for (asked, sent) in [
        ("null", r#"{"include_usage":true}"#),
        ("{}", r#"{"include_usage":true}"#),
        (r#"{"x":1}"#, r#"{"include_usage":true,"x":1}"#),
        (r#"{ "include_usage": false }"#, r#"{ "include_usage": true }"#),
        (r#"{"include_usage":null}"#, r#"{"include_usage":true}"#),
        (r#"{"include_usage":true}"#, r#"{"include_usage":true}"#),
    ] {
        let options = |options: &str| format!(r#","stream_options":{options}"#);
        check(&stream(&options(asked)), field, UsageMode::Forced, &forced(&options(sent)));
        check(&stream(&options(asked)), field, UsageMode::Native, &forced(&options(asked)));
    }
}

#[test]
fn the_cap_stands_under_the_name_that_the_upstream_reads() {
    let body = |caps: &str| format!(r#"{{{caps}"model":"m",{HELLO}}}"#);
    for (asked, sent) in [
        ("", r#""max_tokens":4096,"#),
        (r#""max_tokens":null,"#, r#""max_tokens":4096,"#),
        (r#""max_completion_tokens":null,"#, r#""max_tokens":4096,"max_completion_tokens":null,"#),
        (r#""max_tokens":9,"#, r#""max_tokens":9,"#),
        (r#""max_completion_tokens":9,"#, r#""max_tokens":9,"#),
        (r#""max_completion_tokens":9,"max_tokens":8,"#, r#""max_tokens":8,"#),
        (r#""max_completion_tokens":7,"max_tokens":8,"#, r#""max_tokens":7,"#),
        (r#""max_completion_tokens":7,"max_tokens":null,"#, r#""max_tokens":7,"#),
    ] {
        check(&body(asked), OutputCapField::MaxTokens, UsageMode::Forced, &body(sent).replace(r#""m""#, r#""vendor/m""#));
    }
    check(
        &body(r#""max_tokens":9,"#),
        OutputCapField::MaxCompletionTokens,
        UsageMode::Forced,
        &body(r#""max_completion_tokens":9,"#).replace(r#""m""#, r#""vendor/m""#),
    );
}

#[test]
fn what_cannot_be_read_bounded_or_metered_is_refused_by_name() {
    for (body, param) in [
        (r#"{"model":"m","messages":[]}"#.to_owned(), "messages"),
        (r#"{"messages":[{"role":"user"}]}"#.to_owned(), "model"),
        (format!(r#"{{"model":7,{HELLO}}}"#), "model"),
        (format!(r#"{{"model":"m",{HELLO},"stream":"true"}}"#), "stream"),
        (format!(r#"{{"model":"m",{HELLO},"n":129}}"#), "n"),
        (format!(r#"{{"model":"m",{HELLO},"n":0}}"#), "n"),
        (format!(r#"{{"model":"m",{HELLO},"max_tokens":0}}"#), "max_tokens"),
        (format!(r#"{{"model":"m",{HELLO},"max_tokens":1.5}}"#), "max_tokens"),
        (format!(r#"{{"model":"m",{HELLO},"max_completion_tokens":"9"}}"#), "max_completion_tokens"),
        (format!(r#"{{"model":"m",{HELLO},"service_tier":"priority"}}"#), "service_tier"),
        (format!(r#"{{"model":"m",{HELLO},"tools":[{{"type":"web_search"}}]}}"#), "tools.web_search"),
        (format!(r#"{{"model":"m",{HELLO},"api_base":"https://example.com"}}"#), "api_base"),
        (format!(r#"{{"model":"m",{HELLO},"Max_Tokens":7}}"#), "max_tokens"),
        (format!(r#"{{"model":"m",{HELLO},"stream_options":{{"include_usage":true,"include_usage":false}}}}"#), "stream_options"),
        (r#"{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"f"}}]}]}"#.to_owned(), "messages"),
        (r#"{"model":"m","messages":[{"role":"user","content":"a","content":"b"}]}"#.to_owned(), "messages"),
    ] {
        assert_eq!(parse(&body).unwrap_err().param.as_deref(), Some(param), "{body}");
    }
}

#[test]
fn a_service_tier_passes_where_it_has_a_price() {
    for (route, value, tier, passes) in [
        ("/v1/chat/completions", "auto", ServiceTier::Default, true),
        ("/v1/chat/completions", "on_demand", ServiceTier::Default, true),
        ("/v1/responses", "scale", ServiceTier::Scale, true),
        ("/v1/responses", "flex", ServiceTier::Flex, false),
        ("/v1/completions", "priority", ServiceTier::Priority, false),
        ("/v1/messages", "standard_only", ServiceTier::Default, true),
    ] {
        let prompt = match route {
            "/v1/messages" => r#""max_tokens":9,"messages":[{"role":"user","content":"hi"}]"#,
            "/v1/responses" => r#""input":"a""#,
            "/v1/completions" => r#""prompt":"a""#,
            _ => HELLO,
        };
        let body = format!(r#"{{"model":"m",{prompt},"service_tier":"{value}"}}"#);
        let mut request = Request::parse(Dialect::of(route).unwrap(), &body).unwrap();
        let refused =
            |request: &Request| request.refused_by(&model(OutputCapField::MaxTokens)).map(|refusal| refusal.param.unwrap_or_default());
        assert_eq!(request.service_tier, tier, "{body}");
        assert_eq!(refused(&request).is_none(), passes, "{body}");
        request.service_tier_is_priced();
        assert_eq!(refused(&request), None, "{body}");
    }
    let unknown = parse(&format!(r#"{{"model":"m",{HELLO},"service_tier":"ultra"}}"#)).unwrap_err();
    assert_eq!(unknown.param.as_deref(), Some("service_tier"));
}

/// The prompt's bound at a window of a million, or the member that is refused.
fn bound_at(route: &str, body: &str) -> Result<i64, String> {
    let wide = Model { context_window: Tokens::from_sum(1_000_000), ..model(OutputCapField::MaxTokens) };
    let request = Request::parse(Dialect::of(route).unwrap(), body).map_err(|refusal| refusal.message)?;
    request
        .refused_by(&wide)
        .map_or(Ok(request.prompt.tokens_max(&wide).get()), |refusal| Err(refusal.param.unwrap_or_default().into_owned()))
}

#[test]
fn what_is_only_named_is_bounded_by_the_window() {
    let input = |items: &str| bound_at("/v1/responses", &format!(r#"{{"model":"m","input":[{items}]}}"#));
    for named in [
        r#"{"id":"msg_1"}"#,
        r#"{"type":null,"id":"msg_1"}"#,
        r#"{"type":"item_reference","id":"msg_1"}"#,
        r#"{"type":"reasoning","id":"rs_1","summary":[]}"#,
    ] {
        assert_eq!(input(named), Ok(1_000_000), "{named}");
    }
    for sent in [r#"{"role":"user","content":"hi"}"#, r#"{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"AAAA"}"#] {
        assert!(input(sent).is_ok_and(|bound| bound < 1_000), "{sent}");
    }
}

#[test]
fn tools_that_the_provider_describes_are_more_than_their_bytes() {
    let messages = |tools: &str| bound_at("/v1/messages", &format!(r#"{{"model":"m","max_tokens":1,{HELLO},"tools":[{tools}]}}"#));
    let built_in = messages(r#"{"type":"bash_20250124","name":"bash"},{"type":"text_editor_20250728","name":"e"}"#).unwrap();
    let own = messages(r#"{"name":"bash","input_schema":{}},{"type":"custom","name":"e","input_schema":{}}"#).unwrap();
    assert!(built_in > own + 1_000, "{built_in} and {own}");
    assert_eq!(messages(r#"{"type":"web_search_20250305","name":"s"}"#), Err("tools.web_search_20250305".to_owned()));
    for odd in [r#"{"Type":"web_search_20250305"}"#, r#"{"type":["web_search_20250305"]}"#] {
        assert!(messages(odd).is_err_and(|message| message.contains("type")), "{odd}");
    }
}

#[test]
fn what_is_inside_an_object_is_known_or_refused_by_its_name() {
    let chat = |rest: &str| bound_at("/v1/chat/completions", &format!(r#"{{"model":"m",{HELLO},{rest}}}"#)).err();
    assert_eq!(chat(r#""chat_template_kwargs":{"enable_thinking":false}"#), None);
    assert_eq!(chat(r#""chat_template_kwargs":{"chat_template":"x"}"#).as_deref(), Some("chat_template_kwargs.chat_template"));
    assert_eq!(chat(r#""modalities": [ "text", "audio" ]"#), None);
    assert_eq!(chat(r#""modalities":["image","text"]"#).as_deref(), Some("modalities"));
    let messages = |rest: &str| bound_at("/v1/messages", &format!(r#"{{"model":"m","max_tokens":1,{HELLO},{rest}}}"#)).err();
    assert_eq!(messages(r#""context_management":{"edits":[{"type":"clear_tool_uses_20250919"}]}"#), None);
    assert_eq!(
        messages(r#""context_management":{"edits":[{"type":"compact_20260112"}]}"#).as_deref(),
        Some("context_management.compact_20260112")
    );
}

/// Texts by this server's tokenizer, numbers one by one; a guess has four bytes to a token instead.
#[test]
fn each_text_and_each_number_of_a_prompt_is_estimated() {
    let words = "One two three four five six seven eight";
    for (written, count, estimated, guessed) in [
        (format!(r#""{words}""#), 1, 8, 10),
        (format!(r#"["{words}"]"#), 1, 8, 10),
        (format!(r#"["{words}","{words}"]"#), 2, 16, 20),
        ("[7]".to_owned(), 1, 1, 1),
        ("[15496, 11, 995]".to_owned(), 1, 3, 3),
        ("[[15496, 11], [995]]".to_owned(), 2, 3, 3),
        ("[[15496,11],[995],[0,1,2,3]]".to_owned(), 3, 7, 7),
        (format!(r#"["{words}",[1,2,3]]"#), 2, 11, 13),
        // An empty text is one token at least; there are no more than fit into the windows of all prompts together.
        (r#""""#.to_owned(), 1, 1, 0),
        (format!("[{}7]", "7,".repeat(199_999)), 1, 128_000, 128_000),
        (format!("[[{}7],[7]]", "7,".repeat(199_999)), 2, 200_001, 200_001),
    ] {
        for (route, name) in [("/v1/completions", "prompt"), ("/v1/embeddings", "input")] {
            let request = Request::parse(Dialect::of(route).unwrap(), &format!(r#"{{"model":"m","{name}":{written}}}"#)).unwrap();
            let (prompt, model) = (&request.prompt, model(OutputCapField::MaxTokens));
            let found = (prompt.count(), prompt.tokens_estimated(&model).get(), prompt.tokens_guessed(&model).get());
            assert_eq!(found, (count, estimated, guessed), "{route}: {}", written.get(..80).unwrap_or(&written));
        }
    }
}

#[test]
fn a_document_in_the_place_of_a_picture_is_none() {
    let picture = |url: &str| {
        bound_at(
            "/v1/chat/completions",
            &format!(r#"{{"model":"m","messages":[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"{url}"}}}}]}}]}}"#),
        )
    };
    assert!(picture("data:image/png;base64,AA==").is_ok_and(|bound| bound < 60_000));
    assert_eq!(picture("data:application/pdf;base64,AA=="), Ok(1_000_000));
}

#[test]
fn a_duplicate_key_is_refused() {
    let refusal = parse(&format!(r#"{{"model":"cheap",{HELLO},"mod\u0065l":"dear"}}"#)).unwrap_err();
    assert!(refusal.message.contains("given twice"), "{}", refusal.message);
}

#[test]
fn a_picture_is_bounded_by_the_models_entry_and_what_is_not_known_by_the_window() {
    let model = Model { context_window: Tokens::from_sum(1_000_000), ..model(OutputCapField::MaxTokens) };
    let bound = |content: &str| {
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":{content}}}]}}"#);
        parse(&body).unwrap().prompt.tokens_max(&model).get()
    };
    assert!(bound(r#""hi""#) < 200);
    let inside = format!(r#"[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{}"}}}}]"#, "A".repeat(1_000_000));
    for picture in [
        &*inside,
        r#"[{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]"#,
        r#"[{"type":"image_url","image_url":"https://example.com/a.png"}]"#,
    ] {
        assert!((50_000..51_000).contains(&bound(picture)), "{}", bound(picture));
    }
    for outside in [
        r#"[{"type":"input_audio","input_audio":{"data":"https://example.com/a.wav"}}]"#,
        r#"[{"type":"file","file":{"file_data":"data:application/pdf;base64,AA=="}}]"#,
        r#"[{"type":"video_url","video_url":{"url":"data:video/mp4;base64,AA=="}}]"#,
    ] {
        assert_eq!(bound(outside), 1_000_000, "{outside}");
    }
}

#[test]
fn a_picture_or_a_sound_is_estimated_by_what_the_models_entry_allows_at_most() {
    let mut model = model(OutputCapField::MaxTokens);
    let parts =
        r#"{"type":"image_url","image_url":{"url":"https://example.com/a.png"}},{"type":"input_audio","input_audio":{"data":"AA=="}}"#;
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":[{parts}]}}]}}"#);
    let prompt = parse(&body).unwrap().prompt;
    let whole = prompt.tokens_estimated(&model).get();
    (model.bounds.picture_max, model.bounds.sound_max) = (Tokens::from_sum(85), Tokens::from_sum(1_000));
    assert_eq!(whole - prompt.tokens_estimated(&model).get(), 765 - 85);
    model.bounds.sound_max = Tokens::from_sum(100);
    assert_eq!(whole - prompt.tokens_estimated(&model).get(), 2 * 765 - 85 - 100);
}

/// A file of each API that has them, in its bytes and by its address.
#[test]
fn a_pdf_is_bounded_and_estimated_by_the_models_entry_and_without_one_bounded_by_the_window() {
    let pdf = "A".repeat(1_000_000);
    let mut model = Model { context_window: Tokens::from_sum(1_000_000), ..model(OutputCapField::MaxTokens) };
    for (route, part) in [
        (
            "/v1/chat/completions",
            format!(r#"{{"type":"file","file":{{"filename":"a.pdf","file_data":"data:application/pdf;base64,{pdf}"}}}}"#),
        ),
        (
            "/v1/chat/completions",
            format!(r#"{{"type":"file","file":{{"filename":"LC_AUTOGENERATED","file_data":"data:application/pdf;base64,{pdf}"}}}}"#),
        ),
        ("/v1/responses", format!(r#"{{"type":"input_file","filename":"A.PDF","file_data":"data:application/pdf;base64,{pdf}"}}"#)),
        ("/v1/messages", format!(r#"{{"type":"document","source":{{"type":"base64","media_type":"application/pdf","data":"{pdf}"}}}}"#)),
        ("/v1/messages", r#"{"type":"document","source":{"type":"url","url":"https://example.com/a.pdf"}}"#.to_owned()),
    ] {
        let prompt = with_part(route, &part).unwrap().prompt;
        let mut figures = |pdf_max: Option<i64>| {
            model.bounds.pdf_max = pdf_max.map(Tokens::from_sum);
            (prompt.tokens_max(&model).get(), prompt.tokens_estimated(&model).get())
        };
        let (whole, estimated) = figures(None);
        assert_eq!(whole, 1_000_000, "{route}: {part:.60}");
        assert!((1_500..1_600).contains(&estimated), "{route}: {estimated}");
        let (bounded, _) = figures(Some(20_000));
        assert!((20_000..21_000).contains(&bounded), "{route}: {bounded}");
        assert_eq!(figures(Some(100)).1, estimated - 1_400, "{route}");
    }
}

/// Text in a file is as many tokens as it has, and what stands behind an address that may be any file's may be text.
#[test]
fn a_file_that_is_no_pdf_is_bounded_by_the_window_and_one_by_its_id_is_refused() {
    let mut model = Model { context_window: Tokens::from_sum(1_000_000), ..model(OutputCapField::MaxTokens) };
    model.bounds.pdf_max = Some(Tokens::from_sum(20_000));
    for (route, part) in [
        ("/v1/chat/completions", r#"{"type":"file","file":{"file_data":"data:text/plain;base64,AA=="}}"#),
        ("/v1/chat/completions", r#"{"type":"file","file":{"file_data":"data:video/mp4;base64,AA=="}}"#),
        ("/v1/chat/completions", r#"{"type":"file","file":{"file_data":"AA=="}}"#),
        ("/v1/chat/completions", r#"{"type":"file","file":{"filename":"a.txt","file_data":"data:application/pdf;base64,AA=="}}"#),
        ("/v1/responses", r#"{"type":"input_file","filename":"a.pdf.txt","file_data":"data:application/pdf;base64,AA=="}"#),
        ("/v1/chat/completions", r#"{"type":"file","file":{"filename":"a.pdf"}}"#),
        ("/v1/responses", r#"{"type":"input_file","file_url":"https://example.com/a.txt"}"#),
        ("/v1/responses", r#"{"type":"input_file","file_data":"data:application/pdf;base64,AA==","file_url":"https://example.com/a.txt"}"#),
        ("/v1/messages", r#"{"type":"document","source":{"type":"base64","media_type":"text/plain","data":"AA=="}}"#),
        ("/v1/messages", r#"{"type":"document","source":{"type":"url","url":"data:text/plain;base64,AA=="}}"#),
    ] {
        assert_eq!(with_part(route, part).unwrap().prompt.tokens_max(&model).get(), 1_000_000, "{part}");
    }
    let two =
        r#"{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"AA==","url":"https://example.com/a.pdf"}}"#;
    let nested = format!(r#"{{"type":"tool_result","tool_use_id":"t","content":[{two}]}}"#);
    for part in [two, &nested] {
        assert!((40_000..41_000).contains(&with_part("/v1/messages", part).unwrap().prompt.tokens_max(&model).get()), "{part}");
    }
    for (route, part) in [
        ("/v1/responses", r#"{"type":"input_file","file_id":"file-1","file_data":"data:application/pdf;base64,AA=="}"#),
        ("/v1/messages", r#"{"type":"document","source":{"type":"file","file_id":"file_1"}}"#),
    ] {
        assert!(with_part(route, part).unwrap_err().message.contains("send the file itself"), "{part}");
    }
}

/// A request with this part of a message.
fn with_part(route: &str, part: &str) -> Result<Request, Refusal> {
    let body = match route {
        "/v1/responses" => format!(r#"{{"model":"m","input":[{{"role":"user","content":[{part}]}}]}}"#),
        _ => format!(r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":[{part}]}}]}}"#),
    };
    Request::parse(Dialect::of(route).unwrap(), &body)
}

#[test]
fn a_document_of_text_is_bounded_by_its_bytes_and_one_that_is_elsewhere_by_the_window() {
    let mut model = Model { context_window: Tokens::from_sum(1_000_000), ..model(OutputCapField::MaxTokens) };
    model.bounds.pdf_max = Some(Tokens::from_sum(20_000));
    let with = |source: &str, more: &str| {
        let part = format!(r#"{{"type":"document","title":"Terms","source":{source}{more}}}"#);
        let prompt = with_part("/v1/messages", &part).unwrap().prompt;
        (prompt.tokens_max(&model).get(), prompt.tokens_estimated(&model).get())
    };
    let bound = |source: &str| with(source, "");
    let words = "word ".repeat(1_000);
    for text in [
        format!(r#"{{"type":"text","media_type":"text/plain","data":"{words}"}}"#),
        format!(r#"{{"type":"content","content":[{{"type":"text","text":"{words}"}}]}}"#),
        format!(r#"{{"type":"content","content":"{words}"}}"#),
    ] {
        let (most, estimated) = bound(&text);
        assert!((5_000..6_000).contains(&most) && (1_000..1_100).contains(&estimated), "{most}, {estimated}: {text:.60}");
    }
    let text = r#"{"type":"text","media_type":"text/plain","data":"A. B. C."}"#;
    for (citations, is_more) in [("null", false), (r#"{ "enabled" : false }"#, false), (r#"{"enabled":true}"#, true), ("{}", true)] {
        let most = with(text, &format!(r#","citations":{citations}"#)).0;
        assert_eq!(most == 1_000_000, is_more, "{citations}: {most}");
    }
    for elsewhere in [r#"{"type":"of_tomorrow","data":"A"}"#, r#"{"type":"base64"}"#, r#""A""#] {
        assert_eq!(bound(elsewhere).0, 1_000_000, "{elsewhere}");
    }
}

proptest! {
    #[test]
    fn a_spliced_request_is_the_same_request_but_for_what_was_spliced(
        text in ".{0,30}", stream: bool, mine in prop::option::of(1_i64..100), theirs in prop::option::of(1_i64..100), cap in 1_i64..50,
    ) {
        let mut asked = serde_json::json!({"stop": text, "model": "m", "messages": [{"role": "user", "content": text}], "stream": stream});
        for (name, value) in [("max_tokens", mine), ("max_completion_tokens", theirs)] {
            if let Some(value) = value { asked[name] = value.into(); }
        }
        let body = asked.to_string();
        let request = parse(&body).unwrap();
        let edits = request.edits(&model(OutputCapField::MaxTokens), UsageMode::Forced, Some(Tokens::from_sum(cap)));
        let sent: Value = serde_json::from_slice(&splice(&Bytes::from(body), edits).concat()).unwrap();
        prop_assert_eq!(&sent["max_tokens"], &Value::from(cap));
        prop_assert_eq!(&sent["model"], "vendor/m");
        prop_assert_eq!(sent["stream_options"]["include_usage"] == true, stream);
        prop_assert_eq!(&sent["messages"], &asked["messages"]);
        prop_assert_eq!(&sent["stop"], &asked["stop"]);
    }
}

mod fuzz {
    use super::*;
    use crate::{
        admit::reading::read,
        fuzzed::{Change, changed, pick},
    };

    /// What clients send, to each API.
    const SEEDS: [&str; 7] = [
        r#"{"model":"m","messages":[{"role":"system","content":"a"},{"role":"user","content":[{"type":"text","text":"hi"},{"type":"image_url","image_url":{"url":"https://example.com/a.png","detail":"low"}}]}],"max_tokens":7,"temperature":1.50,"stop":["x"]}"#,
        r#"{ "stream" : true, "messages":[{"role":"user","content":"\ud83d\ude00 \"usage\":{"}], "stream_options":{"include_usage":false}, "model" : "m", "tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}] }"#,
        r#"{"model":"m","messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"1"}],"max_completion_tokens":9,"n":2,"logprobs":true}"#,
        r#"{"model":"m","prompt":["a","b"],"max_tokens":3,"echo":true,"stream":true}"#,
        r#"{"model":"m","input":["a",[1,2,3]],"dimensions":8}"#,
        r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"hi"}]}],"max_output_tokens":50,"reasoning":{"effort":"low"},"store":false}"#,
        r#"{"model":"m","max_tokens":20,"system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":"hi"}],"metadata":{"user_id":"u"}}"#,
    ];
    /// What may be changed on the way.
    const SPLICED: [&str; 5] = ["model", "stream_options", "max_tokens", "max_completion_tokens", "max_output_tokens"];

    /// What is forwarded is JSON as its client wrote it, but for what is spliced.
    #[test]
    fn any_request_is_refused_or_forwarded_as_what_it_is() {
        let requests = bolero::check!().with_type::<(u8, Vec<Change>, u8)>().with_iterations(4_000);
        requests.for_each(|(seed, changes, options)| {
            let body = changed(pick(&SEEDS, *seed).as_bytes(), changes);
            let model = model(if options & 1 == 0 { OutputCapField::MaxTokens } else { OutputCapField::MaxCompletionTokens });
            let mode = if options & 2 == 0 { UsageMode::Forced } else { UsageMode::Native };
            let cap = (options & 4 == 0).then(|| Tokens::from_sum(5));
            for dialect in DIALECTS {
                let Ok(request) = read(dialect, &body) else { continue };
                let mut asked: Value = serde_json::from_slice(&body).expect("what is taken is JSON");
                let sent = splice(&Bytes::copy_from_slice(&body), request.edits(&model, mode, cap)).concat();
                let mut sent: Value = serde_json::from_slice(&sent).unwrap_or_else(|error| panic!("{error}: {}", sent.escape_ascii()));
                assert_eq!(sent["model"], "vendor/m");
                for side in [&mut asked, &mut sent] {
                    side.as_object_mut().unwrap().retain(|name, _| !SPLICED.contains(&name.as_str()));
                }
                assert_eq!(sent, asked, "{}", body.escape_ascii());
            }
        });
    }

    #[test]
    fn the_seeds_are_requests() {
        for (seed, dialect) in SEEDS.iter().zip([0, 0, 0, 1, 2, 3, 4]) {
            assert_eq!(read(DIALECTS[dialect], seed.as_bytes()).map(|request| request.model), Ok("m".to_owned()), "{seed}");
        }
    }
}
