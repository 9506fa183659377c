//! Every API through the running proxy: recorded answers byte for byte, with the usage that their readers counted by hand, and small cases after public
//! reports. The recordings and the cases are where the variable `FAREBOX_TEST_DATA` says.

use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use domain::{
    call::{CallDetail, Outcome, UsageSource},
    money::Amount,
    rates::{BucketRates, Rates},
    tokens::{Flag, Tokens},
};
use http::StatusCode;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::{
    unforced::unforced,
    upstream::Prepared,
    world::{MODEL, Policy, World, amount, call_id},
};

fn data() -> Option<PathBuf> {
    let folder = std::env::var_os("FAREBOX_TEST_DATA").map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: FAREBOX_TEST_DATA is not set");
    }
    folder
}

fn index(folder: &str, list: &str) -> Vec<Value> {
    let Some(data) = data() else { return Vec::new() };
    let index: Value = serde_json::from_slice(&std::fs::read(data.join(folder).join("index.json")).unwrap()).unwrap();
    index[list].as_array().unwrap().clone()
}

fn file(folder: &str, name: &Value) -> Bytes {
    std::fs::read(data().unwrap().join(folder).join(name.as_str().unwrap())).unwrap().into()
}

/// The least that each API takes.
pub(crate) fn asks(route: &str, stream: bool) -> String {
    let mut request = match route {
        "/v1/completions" | "/v1/fim/completions" => json!({ "prompt": "hi" }),
        "/v1/embeddings" => json!({ "input": "hi" }),
        "/v1/responses" => json!({ "input": "hi" }),
        "/v1/messages" => json!({ "messages": [{ "role": "user", "content": "hi" }], "max_tokens": 100 }),
        _ => json!({ "messages": [{ "role": "user", "content": "hi" }] }),
    };
    request["model"] = MODEL.into();
    if stream {
        request["stream"] = true.into();
        if !matches!(route, "/v1/responses" | "/v1/messages") {
            request["stream_options"] = json!({ "include_usage": true });
        }
    }
    request.to_string()
}

/// What the client is given, and what is in the books.
struct Called {
    status: StatusCode,
    bytes: Bytes,
    /// It was not broken off.
    is_whole: bool,
    detail: CallDetail,
}

async fn call(world: &World, route: &str, body: String, answer: Prepared) -> Called {
    world.upstream.prepare(answer);
    let response = world.send(world.request_to(route, body)).await;
    let (status, id) = (response.status(), call_id(&response));
    let (mut body, mut bytes, mut is_whole) = (response.into_body(), BytesMut::new(), true);
    while let (true, Some(frame)) = (is_whole, body.frame().await) {
        match frame {
            Ok(frame) => bytes.extend_from_slice(&frame.into_data().unwrap()),
            Err(_) => is_whole = false,
        }
    }
    Called { status, bytes: bytes.freeze(), is_whole, detail: world.detail(id).await }
}

fn tokens(count: Option<Tokens>) -> Value {
    count.map_or(Value::Null, |count| count.get().into())
}

/// The API that a recording is an answer of; where its own route is a provider's, it is one of chat's.
fn route_of(recorded: &Value) -> &'static str {
    let known = ["/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/messages"];
    known.into_iter().find(|known| recorded["endpoint"] == *known).unwrap_or("/v1/chat/completions")
}

fn answer_of(recorded: &Value) -> Prepared {
    let plain = if recorded["stream"] == true { "text/event-stream" } else { "application/json" };
    Prepared {
        status: u16::try_from(recorded["http_status"].as_u64().unwrap()).unwrap(),
        content_type: recorded["content_type"].as_str().unwrap_or(plain).to_owned(),
        bytes: file("transcripts", &recorded["file"]),
        breaks: false,
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn every_recorded_answer_is_metered_exactly_and_reaches_its_client_as_it_was(pool: PgPool) {
    let world = World::new(&pool, "100").await;
    for recorded in index("transcripts", "files").iter().filter(|recorded| recorded["endpoint"] != "/v1/audio/transcriptions") {
        let (route, name, answer) = (route_of(recorded), &recorded["file"], answer_of(recorded));
        let called = call(&world, route, asks(route, recorded["stream"] == true), answer.clone()).await;
        check_recorded(recorded, &called.detail);
        if name == "anthropic-error-401.json" || name == "openai-error-insufficient-quota.json" {
            check_operators(name, &called, &["invalid x-api-key", "quota"]);
            continue;
        }
        assert_eq!((called.status.as_u16(), called.is_whole), (answer.status, true), "{name}");
        assert!(called.bytes == answer.bytes, "{name}: the bytes were changed");
    }
    world.stop().await;
}

/// What an upstream has against the operator is told to the customer in other words.
fn check_operators(name: &Value, called: &Called, its_words: &[&str]) {
    let said = String::from_utf8_lossy(&called.bytes);
    assert_eq!((called.status, said.contains("upstream_refused")), (StatusCode::BAD_GATEWAY, true), "{name}: {said}");
    assert!(!its_words.iter().any(|words| said.contains(words)), "{name}: {said}");
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn every_recorded_stream_is_given_without_its_usage_to_whoever_did_not_ask(pool: PgPool) {
    let world = World::new(&pool, "100").await;
    let recordings = index("transcripts", "files");
    let mut with_traces = 0;
    for recorded in recordings.iter().filter(|recorded| recorded["stream"] == true && recorded["endpoint"] != "/v1/audio/transcriptions") {
        let (route, answer) = (route_of(recorded), answer_of(recorded));
        let mut asked: Value = serde_json::from_str(&asks(route, true)).unwrap();
        // The others report by themselves.
        if asked.as_object_mut().unwrap().remove("stream_options").is_none() {
            continue;
        }
        let called = call(&world, route, asked.to_string(), answer.clone()).await;
        check_recorded(recorded, &called.detail);
        let expected = unforced(&answer.bytes);
        assert_eq!((String::from_utf8_lossy(&called.bytes).as_ref(), called.is_whole), (&*expected, true), "{}", recorded["file"]);
        with_traces += usize::from(expected.as_bytes() != answer.bytes);
    }
    assert!(with_traces > 8 || recordings.is_empty(), "{with_traces} of the recordings tell whether it is taken out");
    world.stop().await;
}

fn check_recorded(recorded: &Value, call: &CallDetail) {
    let (name, expected, usage) = (&recorded["file"], &recorded["expected"], &call.row.usage);
    assert_eq!(call.upstream_model.as_deref(), expected["model"].as_str(), "{name}");
    let outcome = match recorded["outcome"].as_str().unwrap() {
        "ok" | "incomplete" => Outcome::Ok,
        _ => Outcome::UpstreamError,
    };
    assert_eq!(call.row.outcome, outcome, "{name}");
    if recorded["usage_on_wire"] == false {
        assert_ne!(call.row.source, UsageSource::Upstream, "{name}");
        return;
    }
    assert_eq!(call.row.source, UsageSource::Upstream, "{name}");
    assert_eq!(tokens(usage.prompt_tokens), expected["input_tokens_total"], "{name}");
    assert_eq!(tokens(usage.completion_tokens), expected["output_tokens_total"], "{name}");
    assert_eq!(tokens(usage.total_tokens), expected["total"], "{name}");
    assert_eq!(usage.flag == Some(Flag::Contradictory), recorded.get("anomaly").is_some(), "{name}");
    if usage.flag != Some(Flag::Contradictory) {
        assert_eq!(tokens(usage.counts.cache_read), expected["cached_read"], "{name}");
        assert_eq!(tokens(usage.counts.reasoning), expected["reasoning"], "{name}");
        if !expected["cache_write_5m"].is_null() {
            assert_eq!(tokens(usage.counts.cache_write_5m), expected["cache_write_5m"], "{name}");
            assert_eq!(tokens(usage.counts.cache_write_1h), expected["cache_write_1h"], "{name}");
        }
    }
}

/// The cases' model: so much per thousand tokens.
fn rates_of_cases() -> Rates {
    let mut rates = Rates::plain(amount("0.0025"), amount("0.01"));
    rates.base = BucketRates { cache_read: Some(amount("0.00025")), ..rates.base };
    rates
}

fn policy_of_cases() -> Policy {
    Policy { context_window: 128_000, default_output_hold: 4_096, ..Policy::default() }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn every_case_of_an_answer_has_its_right_outcome(pool: PgPool) {
    let world = World::priced(&pool, "100", policy_of_cases(), rates_of_cases()).await;
    for case in index("cases", "cases").iter().filter(|case| case["use"]["as"] == "body of the upstream's answer") {
        let (name, how) = (case["name"].as_str().unwrap(), &case["use"]);
        let stream = how["client_sends"] == "stream";
        let answer = Prepared {
            status: u16::try_from(how["http_status"].as_u64().unwrap()).unwrap(),
            content_type: how["content_type"].as_str().unwrap().to_owned(),
            bytes: file("cases", &case["file"]),
            breaks: how["then"] != "end the body",
        };
        let rest = if stream { r#","stream":true"# } else { "" };
        let body = format!(r#"{{"model":"{MODEL}","messages":[{{"role":"user","content":"hi"}}]{rest}}}"#);
        let called = call(&world, "/v1/chat/completions", body, answer.clone()).await;
        check_case(name, &case["right"], &called.detail);
        check_bytes(name, &answer, stream, &called);
    }
    // And no hold is left.
    world.balance().await;
    world.stop().await;
}

/// What holds of all cases: the client's bytes are the upstream's, but for what asking it for usage had added.
fn check_bytes(name: &str, answer: &Prepared, stream: bool, called: &Called) {
    if name == "stream-options-refused" {
        return check_operators(&name.into(), called, &["stream_options"]);
    }
    let received = String::from_utf8_lossy(&called.bytes);
    assert_eq!((called.status.as_u16(), called.is_whole), (answer.status, !answer.breaks), "{name}");
    if name == "cap-refused" {
        // Here it is the gateway's words, since it had set the cap, and the upstream's within them.
        let said: Value = serde_json::from_slice(&answer.bytes).unwrap();
        let words = said["error"]["message"].as_str().or_else(|| said["message"].as_str()).unwrap();
        assert!(received.contains("which this gateway has set") && received.contains(words), "{received}");
    } else if stream {
        assert_eq!(received, unforced(&answer.bytes), "{name}");
    } else {
        assert!(called.bytes == answer.bytes, "{name}: {received}");
    }
}

fn check_case(name: &str, right: &Value, call: &CallDetail) {
    let said = |member: &str| right[member].as_str().unwrap_or_default();
    match said("status") {
        "ok" => assert_eq!(call.row.outcome, Outcome::Ok, "{name}"),
        status if status.starts_with("upstream error") => assert_eq!(call.row.outcome, Outcome::UpstreamError, "{name}"),
        _ => {}
    }
    match said("source") {
        "upstream" => assert_eq!(call.row.source, UsageSource::Upstream, "{name}"),
        "estimated" => assert_eq!(call.row.source, UsageSource::Estimated, "{name}"),
        _ => {}
    }
    match said("amount") {
        "more than 0" => assert!(call.row.amount > Amount::ZERO, "{name}"),
        exact if exact.starts_with("0;") => assert_eq!(call.row.amount, Amount::ZERO, "{name}"),
        exact => {
            if let Ok(exact) = exact.parse::<Amount>() {
                assert_eq!(call.row.amount, exact, "{name}");
            }
        }
    }
    let counts = &call.row.usage.counts;
    for (bucket, count) in [("input", counts.input), ("cache_read", counts.cache_read), ("output", counts.output)] {
        match &right["tokens"][bucket] {
            Value::Null => {}
            exact @ Value::Number(_) => assert_eq!(&tokens(count), exact, "{name}: {bucket}"),
            more => {
                assert_eq!(more, "more than 0", "{name}");
                assert!(count > Some(Tokens::ZERO), "{name}: {bucket}");
            }
        }
    }
    if matches!(name, "usage-twice" | "tier-served-priority") {
        let flag = if name == "usage-twice" { Flag::Contradictory } else { Flag::OtherTerms };
        assert_eq!(call.row.usage.flag, Some(flag), "{name}");
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn every_case_of_a_request_is_forwarded_as_it_can_be_answered(pool: PgPool) {
    let policy = Policy { context_window: 8_192, default_output_hold: 4_096, ..Policy::default() };
    let world = World::priced(&pool, "100", policy, rates_of_cases()).await;
    for case in index("cases", "cases").iter().filter(|case| case["use"]["as"] == "client's request" && case["file"] != "request.json.gz") {
        let mut request: Value = serde_json::from_slice(&file("cases", &case["file"])).unwrap();
        request["model"] = MODEL.into();
        let response = world.post(request.to_string()).await;
        assert_eq!(response.status(), StatusCode::OK, "{}", case["name"]);
        let (_, sent) = world.upstream.received().pop().unwrap();
        let sent: Value = serde_json::from_slice(&sent).unwrap();
        let caps = ["max_tokens", "max_completion_tokens"].map(|name| sent.get(name).and_then(Value::as_i64));
        assert_eq!(caps.iter().flatten().count(), 1, "{}: {caps:?}", case["name"]);
        if case["name"] == "cap-fills-window" {
            let cap = caps[0].unwrap();
            assert!(cap <= 8_192 - 5_008 && cap > 1_000, "{cap}");
        }
    }
    world.stop().await;
}

/// Nothing that an API takes by default needs a setting, and each has a cap where it can have one.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn each_api_is_capped_and_asked_for_usage_in_its_own_way(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    for (route, cap) in [
        ("/v1/chat/completions", json!({ "max_tokens": 1_000 })),
        ("/v1/completions", json!({ "max_tokens": 16 })),
        ("/v1/embeddings", json!({})),
        ("/v1/responses", json!({ "max_output_tokens": 1_000 })),
        ("/v1/messages", json!({ "max_tokens": 100 })),
        ("/v1/fim/completions", json!({ "max_tokens": 1_000 })),
    ] {
        let asked: Value = serde_json::from_str(&asks(route, false)).unwrap();
        world.send(world.request_to(route, asked.to_string())).await.into_body().collect().await.unwrap();
        let (headers, sent) = world.upstream.received().pop().unwrap();
        let mut expected = asked;
        expected["model"] = "vendor/small".into();
        for (name, value) in cap.as_object().unwrap() {
            expected[name] = value.clone();
        }
        assert_eq!(serde_json::from_slice::<Value>(&sent).unwrap(), expected, "{route}");
        assert_eq!(headers.contains_key("x-api-key"), route == "/v1/messages", "{route}");
        assert_eq!(headers.contains_key("authorization"), route != "/v1/messages", "{route}");
    }
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_anthropic_client_is_refused_in_its_own_words(pool: PgPool) {
    let world = World::new(&pool, "0").await;
    let response = world.send(world.request_to("/v1/messages", asks("/v1/messages", false))).await;
    assert_eq!((response.status(), &response.headers()["x-should-retry"]), (StatusCode::TOO_MANY_REQUESTS, &"false".parse().unwrap()));
    let error: Value = serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!((&error["type"], &error["error"]["type"]), (&json!("error"), &json!("rate_limit_error")));
    assert_eq!(error["error"]["code"], "insufficient_quota");
    world.stop().await;
}

/// Whatever breaks off before its client was shown anything of it is refused, and may be asked for again.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn of_an_answer_that_nothing_was_shown_of_nothing_is_charged(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let whole = r#"{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2}}"#;
    for (content_type, bytes, breaks) in [
        ("application/json", &whole[..40], true),
        ("text/html", "<html>Sorry</html>", false),
        ("application/json", "\u{1f}\u{8b}gzip", false),
    ] {
        let answer = Prepared { status: 200, content_type: content_type.to_owned(), bytes: Bytes::from(bytes.to_owned()), breaks };
        let called = call(&world, "/v1/chat/completions", asks("/v1/chat/completions", false), answer).await;
        assert_eq!(called.status, StatusCode::BAD_GATEWAY, "{bytes}");
        assert_eq!((called.detail.row.outcome, called.detail.row.amount), (Outcome::UpstreamError, Amount::ZERO), "{bytes}");
    }
    world.stop().await;
}

/// A stream that stops without an end of its own was not answered, whatever of it is charged.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_stream_that_just_stops_is_no_answer(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let bytes = Bytes::from_static(b"data: {\"choices\":[{\"delta\":{\"content\":\"One two\"}}]}\n\n");
    let answer = Prepared { status: 200, content_type: "text/event-stream".to_owned(), bytes: bytes.clone(), breaks: false };
    let called = call(&world, "/v1/chat/completions", asks("/v1/chat/completions", true), answer).await;
    assert_eq!((called.bytes, called.is_whole), (bytes, true));
    assert_eq!((called.detail.row.outcome, called.detail.row.source), (Outcome::UpstreamError, UsageSource::Estimated));
    world.stop().await;
}
