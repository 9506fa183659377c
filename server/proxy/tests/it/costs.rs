//! What a call cost, in the answer of whoever asks for it: the same as on its receipt, in every API.

use bytes::Bytes;
use domain::money::Amount;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::BodyExt;
use ledger::ProviderChange;
use proxy::Settings;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::{
    dialects::asks,
    upstream::Prepared,
    world::{Policy, World, call_id, chat, eventually, json, settings, text},
};

const COST: &str = "x-farebox-cost";

/// An answer of each API, as a document and as a stream, with what its usage is behind.
fn answers() -> Vec<(&'static str, bool, String)> {
    let openai = r#""usage":{"prompt_tokens":12,"completion_tokens":34,"total_tokens":46}"#;
    let both = r#""usage":{"input_tokens":12,"output_tokens":34}"#;
    let chat = format!(r#"{{"id":"x","choices":[{{"message":{{"content":"Hi"}},"finish_reason":"stop"}}],{openai}}}"#);
    let words = r#"data: {"choices":[{"delta":{"content":"Hi"},"finish_reason":"stop"}]}"#;
    let text = r#"data: {"choices":[{"text":"Hi","finish_reason":"stop"}]}"#;
    let end = format!("data: {{\"choices\":[],{openai}}}\n\ndata: [DONE]\n\n");
    let response = format!(r#"{{"object":"response","status":"completed","output":[{{"content":[{{"text":"Hi"}}]}}],{both}}}"#);
    let message = format!(r#"{{"type":"message","content":[{{"type":"text","text":"Hi"}}],"stop_reason":"end_turn",{both}}}"#);
    let events = [
        r#"{"type":"message_start","message":{"content":[],"usage":{"input_tokens":12,"output_tokens":1}}}"#.to_owned(),
        r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"Hi"}}"#.to_owned(),
        format!(r#"{{"type":"message_delta","delta":{{"stop_reason":"end_turn"}},{both}}}"#),
        r#"{"type":"message_stop"}"#.to_owned(),
    ];
    let events: String = events.iter().map(|event| format!("event: x\ndata: {event}\n\n")).collect();
    vec![
        ("/v1/chat/completions", false, chat),
        ("/v1/chat/completions", true, format!("{words}\n\n{end}")),
        ("/v1/completions", false, format!(r#"{{"choices":[{{"text":"Hi","finish_reason":"stop"}}],{openai}}}"#)),
        ("/v1/completions", true, format!("{text}\n\n{end}")),
        ("/v1/embeddings", false, r#"{"data":[{"embedding":[0.5]}],"usage":{"prompt_tokens":12,"total_tokens":12}}"#.to_owned()),
        ("/v1/responses", false, response.clone()),
        (
            "/v1/responses",
            true,
            format!(
                "data: {{\"type\":\"response.output_text.delta\",\"delta\":\"Hi\"}}\n\ndata: {{\"type\":\"response.completed\",\"response\":{response}}}\n\n"
            ),
        ),
        ("/v1/messages", false, message),
        ("/v1/messages", true, events),
    ]
}

/// The cost in the report that an answer ends with.
fn told(answer: &str, is_stream: bool) -> Value {
    let documents: Vec<_> = if is_stream { answer.lines().filter_map(|line| line.strip_prefix("data: ")).collect() } else { vec![answer] };
    let mut usages = documents.into_iter().filter_map(|document| {
        let document: Value = serde_json::from_str(document).ok()?;
        [&document["usage"], &document["response"]["usage"]].into_iter().find(|usage| usage.is_object()).cloned()
    });
    usages.next_back().unwrap()["cost"].clone()
}

/// What is told, and in a header, of a call that asks for it.
async fn ask(world: &World, route: &str, body: String) -> (HeaderMap, String, Amount) {
    let mut request = world.request_to(route, body);
    request.headers_mut().insert(COST, HeaderValue::from_static("include"));
    let response = world.send(request).await;
    let (status, id, headers) = (response.status(), call_id(&response), response.headers().clone());
    assert_eq!(status, StatusCode::OK, "{route}");
    let answer = text(response).await;
    (headers, answer, world.detail(id).await.row.amount)
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn whoever_asks_for_the_cost_is_told_what_stands_on_the_receipt_and_nobody_else(pool: PgPool) {
    let world = World::new(&pool, "100").await;
    for (route, is_stream, answer) in answers() {
        let prepared = || Prepared {
            status: 200,
            content_type: if is_stream { "text/event-stream" } else { "application/json" }.to_owned(),
            bytes: Bytes::from(answer.clone()),
            breaks: false,
        };
        world.upstream.prepare(prepared());
        let (headers, said, amount) = ask(&world, route, asks(route, is_stream)).await;
        assert!(amount > Amount::ZERO);
        assert_eq!(told(&said, is_stream), json!(amount.to_string()), "{route}: {said}");
        assert_eq!(said.replace(&format!(r#""cost":"{amount}","#), ""), answer, "{route}: nothing else is changed");
        // A stream's head goes out before anybody knows.
        let in_head = headers.get(COST).map(|cost| cost.to_str().unwrap().to_owned());
        assert_eq!(in_head, (!is_stream).then(|| amount.to_string()), "{route}");
        let length = headers.get(header::CONTENT_LENGTH).map(|length| length.to_str().unwrap().parse().unwrap());
        assert_eq!(length, (!is_stream).then_some(said.len()), "{route}");

        world.upstream.prepare(prepared());
        let response = world.send(world.request_to(route, asks(route, is_stream))).await;
        assert!(!response.headers().contains_key(COST));
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), answer, "{route}: whoever does not ask gets what was sent");
    }
    assert!(world.upstream.received().iter().all(|(headers, _)| !headers.contains_key(COST)), "it is nobody else's business");
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn asking_for_the_cost_is_asking_for_the_usage_that_it_stands_in(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let (_, said, amount) = ask(&world, "/v1/chat/completions", chat("hello", r#","stream":true"#)).await;
    assert_eq!(told(&said, true), json!(amount.to_string()), "{said}");
    let plain = text(world.post(chat("hello", r#","stream":true"#)).await).await;
    assert!(!plain.contains("usage"), "{plain}");
    world.stop().await;
}

/// For clients that cannot send a header; a running proxy takes up what is changed.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_key_whose_answers_tell_the_cost_needs_no_header_and_omit_spares_a_call_of_it(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let (owner, key) = (world.ledger.system().account(world.account), world.key_id);
    let answered = async |said: Option<&'static str>, stream: &str| {
        let mut request = world.request(chat("hello", stream));
        if let Some(said) = said {
            request.headers_mut().insert(COST, HeaderValue::from_static(said));
        }
        let response = world.send(request).await;
        assert_eq!(response.status(), StatusCode::OK);
        (call_id(&response), response.headers().contains_key(COST), text(response).await)
    };
    let plain = answered(None, "").await;
    assert!(!plain.1 && !plain.2.contains(r#""cost""#), "{}", plain.2);

    owner.set_key_cost(key, true).await.unwrap();
    let (id, _, said) = eventually(async || Some(answered(None, "").await).filter(|(_, is_in_head, _)| *is_in_head)).await;
    let amount = world.detail(id).await.row.amount;
    assert_eq!(told(&said, false), json!(amount.to_string()), "{said}");
    assert_eq!(json(world.get("/v1/key").await).await["data"]["tells_cost"], json!(true));
    let (id, _, said) = answered(None, r#","stream":true"#).await;
    assert_eq!(told(&said, true), json!(world.detail(id).await.row.amount.to_string()), "{said}");
    let (_, is_in_head, said) = answered(Some("omit"), "").await;
    assert_eq!((is_in_head, said), (false, plain.2.clone()));
    let (_, _, said) = answered(Some("OMIT"), r#","stream":true"#).await;
    assert!(!said.contains("usage"), "{said}");

    owner.set_key_cost(key, false).await.unwrap();
    eventually(async || (!answered(None, "").await.1).then_some(())).await;
    world.stop().await;
}

/// What the upstream does not count is estimated, and told where there is a place for it.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_estimate_is_told_in_the_head_alone(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let answer = r#"{"choices":[{"message":{"content":"Hi there"},"finish_reason":"stop"}]}"#;
    let prepared = Prepared { status: 200, content_type: "application/json".to_owned(), bytes: answer.into(), breaks: false };
    world.upstream.prepare(prepared);
    let (headers, said, amount) = ask(&world, "/v1/chat/completions", chat("hello", "")).await;
    assert!(said == answer && amount > Amount::ZERO);
    assert_eq!(headers[COST], amount.to_string());
    world.stop().await;
}

/// By default the bytes are the provider's own; where its operator hides it, neither an answer nor a receipt tells what the operator pays.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_a_provider_says_of_its_own_cost_is_the_operators_to_hide(pool: PgPool) {
    let mut world = World::new(&pool, "100").await;
    let theirs = r#""cost":0.95,"cost_details":{"upstream":[0.5]},"#;
    for is_hidden in [false, true] {
        let change = ProviderChange { hide_cost: Some(is_hidden), ..ProviderChange::default() };
        world.ledger.system().change_provider("loopback", change).await.unwrap();
        world.renew_proxy().await;
        for (route, is_stream, answer) in answers() {
            let with_theirs = answer.replace(r#""usage":{"#, &format!(r#""usage":{{{theirs}"#));
            let prepare = || {
                world.upstream.prepare(Prepared {
                    status: 200,
                    content_type: if is_stream { "text/event-stream" } else { "application/json" }.to_owned(),
                    bytes: Bytes::from(with_theirs.clone()),
                    breaks: false,
                });
            };
            prepare();
            let response = world.send(world.request_to(route, asks(route, is_stream))).await;
            let id = call_id(&response);
            assert_eq!(text(response).await, if is_hidden { &answer } else { &with_theirs }.clone(), "{route}");
            let call = world.detail(id).await;
            assert_eq!(call.raw_usage.unwrap().contains("0.95"), !is_hidden, "{route}");
            // Whoever asks for the cost is told ours, and never theirs.
            prepare();
            let (_, said, amount) = ask(&world, route, asks(route, is_stream)).await;
            assert_eq!(amount, call.row.amount, "{route}");
            assert_eq!(said.replace(&format!(r#""cost":"{amount}","#), ""), answer, "{route}");
        }
    }
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_header_that_asks_for_something_else_is_refused(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let mut request = world.request(chat("hello", ""));
    request.headers_mut().insert(COST, HeaderValue::from_static("1"));
    let response = world.send(request).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let error = json(response).await;
    assert_eq!((&error["error"]["param"], &error["error"]["code"]), (&json!(COST), &json!("invalid_value")));
    assert_eq!(world.upstream.asked(), 0);
    world.stop().await;
}

/// Whoever asks for many answers and reads none of them would else fill the memory.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_answer_that_nobody_has_read_yet_takes_the_room_of_the_next(pool: PgPool) {
    let bounds = Settings { body_bytes_max: 2_000, bodies_bytes_max: 2_000, ..settings() };
    let world = World::bounded(&pool, Policy::default(), bounds).await;
    let usage = r#""usage":{"prompt_tokens":3,"completion_tokens":4}"#;
    let answer = format!(r#"{{"choices":[{{"message":{{"content":"{}"}},"finish_reason":"stop"}}],{usage}}}"#, "x".repeat(1_000));
    let prepare = || {
        let bytes = answer.clone().into();
        world.upstream.prepare(Prepared { status: 200, content_type: "application/json".to_owned(), bytes, breaks: false });
    };
    prepare();
    let mut request = world.request(chat("hello", ""));
    request.headers_mut().insert(COST, HeaderValue::from_static("include"));
    let unread = world.send(request).await;
    prepare();
    let (_, said, _) = ask(&world, "/v1/chat/completions", chat("hello", "")).await;
    assert_eq!(said, answer, "the room is taken");
    assert!(told(&text(unread).await, false).is_string());
    prepare();
    let (_, said, amount) = ask(&world, "/v1/chat/completions", chat("hello", "")).await;
    assert_eq!(told(&said, false), json!(amount.to_string()), "it was given back");
    world.stop().await;
}

/// What is held back of answers takes room as requests do: where there is none, an answer comes as it was.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_answer_that_there_is_no_room_for_is_not_changed(pool: PgPool) {
    let bounds = Settings { body_bytes_max: 2_000, bodies_bytes_max: 2_000, ..settings() };
    let world = World::bounded(&pool, Policy::default(), bounds).await;
    for (length, is_told) in [(1_000, true), (4_000, false)] {
        let usage = r#""usage":{"prompt_tokens":3,"completion_tokens":4}"#;
        let answer = format!(r#"{{"choices":[{{"message":{{"content":"{}"}},"finish_reason":"stop"}}],{usage}}}"#, "x".repeat(length));
        let prepared = Prepared { status: 200, content_type: "application/json".to_owned(), bytes: answer.clone().into(), breaks: false };
        world.upstream.prepare(prepared);
        let (_, said, amount) = ask(&world, "/v1/chat/completions", chat("hello", "")).await;
        assert_eq!((told(&said, false) == json!(amount.to_string()), said != answer), (is_told, is_told), "{length}");
    }
    world.stop().await;
}
