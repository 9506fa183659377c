//! What is not forwarded, and what the client is told.

use std::{convert::Infallible, time::Duration};

use axum::body::{Body, Bytes};
use domain::key::ApiKey;
use futures_util::{StreamExt, stream};
use http::{Request, Response, StatusCode, header};
use proxy::{AnswerBody, Settings};
use serde_json::Value;
use sqlx::PgPool;
use tokio::{sync::oneshot, time::timeout};

use crate::world::{MODEL, Policy, World, call_id, chat, eventually, json, settings, text};

async fn check(response: Response<AnswerBody>, status: StatusCode, code: &str, should_retry: &str) -> String {
    assert_eq!(response.headers()["x-should-retry"], should_retry, "{code}");
    assert_eq!(response.headers()["content-type"], "application/json", "{code}");
    call_id(&response);
    let answered = response.status();
    let error = json(response).await["error"].take();
    assert_eq!((answered, error["code"].as_str()), (status, Some(code)), "{error}");
    assert!(error["type"].is_string() && error.get("param").is_some(), "{error}");
    error["message"].as_str().unwrap().to_owned()
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn only_a_key_that_works_opens_the_proxy(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let with = |authorization: String| {
        let mut request = world.request(chat("hello", ""));
        request.headers_mut().insert(header::AUTHORIZATION, authorization.parse().unwrap());
        request
    };
    let unauthorized = StatusCode::UNAUTHORIZED;
    check(world.send(with("Basic x".to_owned())).await, unauthorized, "invalid_api_key", "false").await;
    check(world.send(with("Bearer sk-fb_short".to_owned())).await, unauthorized, "invalid_api_key", "false").await;
    let unknown = ApiKey::from_random([9; 20]);
    check(world.send(with(format!("Bearer {}", unknown.expose()))).await, unauthorized, "invalid_api_key", "false").await;

    assert_eq!(world.post(chat("hello", "")).await.status(), StatusCode::OK);
    world.ledger.system().account(world.account).revoke_key(world.key_id, world.now).await.unwrap();
    // Every proxy hears of it within a moment; what is remembered of a key lasts for a minute.
    let refused = eventually(async || Some(world.post(chat("hello", "")).await).filter(|response| response.status() != StatusCode::OK));
    check(timeout(Duration::from_secs(30), refused).await.expect("it is heard of"), unauthorized, "invalid_api_key", "false").await;
    world.stop().await;
}

/// It is looked at again when the body is there, however long that took.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_key_that_is_revoked_while_its_body_comes_opens_nothing(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let (asked, is_asked) = oneshot::channel();
    let (go_on, may_go_on) = oneshot::channel::<()>();
    let whole = Bytes::from(chat("revoked", ""));
    let (first, rest) = (whole.slice(..10), whole.slice(10..));
    let pieces = stream::once(async { Ok::<_, Infallible>(first) }).chain(stream::once(async {
        asked.send(()).unwrap();
        may_go_on.await.unwrap();
        Ok(rest)
    }));
    let request = world.request("").map(|_| Body::from_stream(pieces));
    let revoking = async {
        is_asked.await.unwrap();
        world.ledger.system().account(world.account).revoke_key(world.key_id, world.now).await.unwrap();
        eventually(async || (world.post(chat("hello", "")).await.status() == StatusCode::UNAUTHORIZED).then_some(())).await;
        go_on.send(()).unwrap();
    };
    let (refused, ()) = tokio::join!(world.send(request), revoking);
    check(refused, StatusCode::UNAUTHORIZED, "invalid_api_key", "false").await;
    assert!(world.upstream.received().iter().all(|received| !format!("{received:?}").contains("revoked")), "it was not forwarded");
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_cannot_be_called_is_refused_before_it_is_forwarded(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let (bad, not_found) = (StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND);
    check(world.post(chat("hello", "").replace("small", "large")).await, not_found, "model_not_found", "false").await;
    check(world.post(chat("hello", "").replace("small", "unpriced")).await, StatusCode::FORBIDDEN, "model_not_priced", "false").await;
    let message = check(world.post("{\"model\": ").await, bad, "invalid_json", "false").await;
    assert!(message.contains("line 1 column"), "{message}");
    check(world.post(chat("hello", r#","model":"small""#)).await, bad, "invalid_json", "false").await;
    // Some upstreams take no notice of capitals, and the last one wins.
    check(world.post(chat("hello", r#","Model":"small""#)).await, bad, "invalid_json", "false").await;
    check(world.post(chat("hello", r#","Max_Tokens":9"#)).await, bad, "invalid_value", "false").await;
    for member in [r#""Content":[]"#, r#""content":[{"type":"text","Text":"long"}]"#, r#""Audio":{"id":"x"}"#] {
        let message = format!(r#"{{"model":"small","messages":[{{"role":"user",{member}}}]}}"#);
        let said = check(world.post(message).await, bad, "invalid_value", "false").await;
        assert!(said.contains("exactly so"), "{said}");
    }
    check(world.post(chat("hello", r#","n":0"#)).await, bad, "invalid_value", "false").await;
    check(world.post(chat("hello", r#","service_tier":"priority""#)).await, bad, "unsupported_parameter", "false").await;
    check(world.post(chat(&"x".repeat(100_001), "")).await, StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", "false").await;
    let mut form = world.request(chat("hello", ""));
    form.headers_mut().insert(header::CONTENT_TYPE, "text/plain".parse().unwrap());
    check(world.send(form).await, StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_content_type", "false").await;
    let mut other_letters = world.request(chat("hello", ""));
    other_letters.headers_mut().insert(header::CONTENT_TYPE, "application/json; charset=gbk".parse().unwrap());
    check(world.send(other_letters).await, StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_content_type", "false").await;
    check(world.get("/v1/images/generations").await, not_found, "unknown_url", "false").await;
    check(world.get("/v1/chat/completions").await, StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "false").await;
    let mut compressed = world.request(chat("hello", ""));
    compressed.headers_mut().insert(header::CONTENT_ENCODING, "gzip".parse().unwrap());
    check(world.send(compressed).await, StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_content_encoding", "false").await;
    assert!(world.upstream.received().is_empty());
    let mut plain = world.request(chat("hello", ""));
    plain.headers_mut().insert(header::CONTENT_ENCODING, "identity".parse().unwrap());
    assert_eq!(world.send(plain).await.status(), StatusCode::OK);
    world.stop().await;
}

/// Anthropic's clients read no other errors, whatever they ask for (<https://docs.claude.com/en/api/errors>).
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_error_has_the_shape_of_the_api_that_was_asked(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let of_anthropic = |path: &str| Request::get(path).header("anthropic-version", "2023-06-01").body(Body::empty()).unwrap();
    let mut no_such_model =
        world.request_to("/v1/messages", r#"{"model":"large","max_tokens":9,"messages":[{"role":"user","content":"hello"}]}"#);
    no_such_model.headers_mut().insert("anthropic-version", "2023-06-01".parse().unwrap());
    for (request, status, kind) in [
        (no_such_model, StatusCode::NOT_FOUND, "not_found_error"),
        (world.request_to("/v1/messages/count_tokens", "{}"), StatusCode::NOT_FOUND, "not_found_error"),
        (of_anthropic("/v1/messages"), StatusCode::METHOD_NOT_ALLOWED, "invalid_request_error"),
        (of_anthropic("/v1/models"), StatusCode::UNAUTHORIZED, "authentication_error"),
        (of_anthropic("/v1/complete"), StatusCode::NOT_FOUND, "not_found_error"),
    ] {
        let asked = request.uri().clone();
        let response = world.send(request).await;
        let (got, headers, body) = (response.status(), response.headers().clone(), json(response).await);
        assert_eq!((got, body["type"].as_str(), body["error"]["type"].as_str()), (status, Some("error"), Some(kind)), "{asked}: {body}");
        assert_eq!(headers["request-id"], body["request_id"].as_str().unwrap(), "{asked}");
        assert_eq!(headers["x-request-id"], headers["request-id"], "{asked}");
        let allowed = headers.get(header::ALLOW).map(|value| value.to_str().unwrap());
        assert_eq!(allowed, (status == StatusCode::METHOD_NOT_ALLOWED).then_some("POST"), "{asked}");
    }
    let of_openai = json(world.get("/v1/models/none").await).await;
    assert_eq!((of_openai.get("type"), of_openai["error"]["code"].as_str()), (None, Some("model_not_found")), "{of_openai}");
    world.stop().await;
}

/// What is large is read beside the calls, and what is dear to read not at all.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_is_dear_to_read_is_refused_and_what_is_only_large_is_not(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let stop = |items: &str| chat("hello", &format!(r#","stop":[{items}]"#));
    for (body, why) in [
        (stop(&"{},".repeat(30_000)), "expected value"),
        (stop(&format!("{}{}", "[".repeat(200), "]".repeat(200))), "levels deep"),
        (chat("half \\ud83d of an emoji", ""), "surrogate pair"),
    ] {
        let message = check(world.post(body).await, StatusCode::BAD_REQUEST, "invalid_json", "false").await;
        assert!(message.contains(why), "{message}");
    }
    let mut packed = world.request("");
    *packed.body_mut() = Body::from(&b"\x1f\x8b\x08"[..]);
    let message = check(world.send(packed).await, StatusCode::BAD_REQUEST, "invalid_json", "false").await;
    assert!(message.contains("looks compressed"), "{message}");
    assert!(world.upstream.received().is_empty());
    let words = "\"word\",".repeat(10_000);
    let body = stop(words.trim_end_matches(','));
    assert_eq!(world.post(&*body).await.status(), StatusCode::OK);
    let (head, sent) = world.upstream.received().remove(0);
    assert_eq!(head["content-length"], sent.len().to_string());
    let [asked, sent]: [Value; 2] = [body.as_bytes(), &sent].map(|body| serde_json::from_slice(body).unwrap());
    assert_eq!((&sent["stop"], &sent["messages"], sent["model"] != asked["model"]), (&asked["stop"], &asked["messages"], true));
    world.stop().await;
}

/// A member that nothing bounds is the operator's to open, for each model or provider.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_member_that_an_operator_opens_passes(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let asked = chat("hello", r#","web_search_options":{},"tools":[{"type":"web_search"}]"#);
    let message = check(world.post(&*asked).await, StatusCode::BAD_REQUEST, "unsupported_parameter", "false").await;
    assert!(message.contains("\"web_search_options\"") && message.contains("ask the operator"), "{message}");
    let opened = ["web_search_options", "tools.web_search"].map(str::to_owned);
    let answers = async |right: StatusCode| {
        let response = world.post(&*asked).await;
        let status = response.status();
        text(response).await;
        (status == right).then_some(())
    };
    let system = world.ledger.system();
    assert_eq!(system.open_members(MODEL, &opened, &[]).await.unwrap(), ["tools.web_search", "web_search_options"]);
    eventually(async || answers(StatusCode::OK).await).await;
    assert_eq!(system.open_members(MODEL, &[], &opened).await.unwrap(), Vec::<String>::new());
    eventually(async || answers(StatusCode::BAD_REQUEST).await).await;
    // Or for each provider; what the one lets pass and what the other does come together.
    system.open_members(MODEL, &opened[..1], &[]).await.unwrap();
    assert_eq!(system.open_members_of_provider("loopback", &opened[1..], &[]).await.unwrap(), ["tools.web_search"]);
    eventually(async || answers(StatusCode::OK).await).await;
    assert_eq!(system.open_members_of_provider("loopback", &[], &opened).await.unwrap(), Vec::<String>::new());
    eventually(async || answers(StatusCode::BAD_REQUEST).await).await;
    world.stop().await;
}

/// The window is 8,192 tokens.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_prompt_that_cannot_fit_into_the_window_is_refused_and_one_that_may_is_not(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let message =
        check(world.post(chat(&"hello, ".repeat(13_000), "")).await, StatusCode::BAD_REQUEST, "context_length_exceeded", "false").await;
    assert!(message.contains("about 2") && message.contains("is 8192 tokens"), "{message}");
    assert!(world.upstream.received().is_empty());
    // Another model's tokenizer may need fewer tokens for it than the one that estimates.
    assert_eq!(world.post(chat(&"hello, ".repeat(8_000), "")).await.status(), StatusCode::OK);
    // Many bytes are not many tokens, also where the beginning looks so.
    assert_eq!(world.post(chat(&" ".repeat(90_000), "")).await.status(), StatusCode::OK);
    let dense = "q8Zx0!".repeat(3_000);
    assert_eq!(world.post(chat(&format!("{dense}{}", " ".repeat(70_000)), "")).await.status(), StatusCode::OK);
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn bodies_take_no_more_memory_together_than_they_may(pool: PgPool) {
    let (fits, larger) = (chat("hello", ""), chat("hello, hello", ""));
    let bounds = Settings { bodies_bytes_max: fits.len() + size_of::<Bytes>(), room_timeout: Duration::from_millis(10), ..settings() };
    let world = World::bounded(&pool, Policy::default(), bounds).await;
    for _ in 0..2 {
        assert_eq!(world.post(fits.clone()).await.status(), StatusCode::OK, "the room of the one before is free again");
    }
    check(world.post(larger).await, StatusCode::SERVICE_UNAVAILABLE, "gateway_unavailable", "true").await;
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_refusal_for_want_of_credit_says_what_is_missing_and_where_to_get_it(pool: PgPool) {
    let world = World::new(&pool, "0.001").await;
    let response = world.post(chat("hello", r#","max_tokens":1000"#)).await;
    let message = check(response, StatusCode::TOO_MANY_REQUESTS, "insufficient_quota", "false").await;
    assert!(message.contains("0.001 USD are available") && message.contains("https://console.example.com/billing"), "{message}");
    assert!(world.upstream.received().is_empty());
    assert_eq!(world.balance().await, "0.001".parse().unwrap());
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_redirect_is_not_followed_and_not_passed_on(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let response = world.post(chat("redirect", "")).await;
    assert!(!response.headers().contains_key("location"));
    check(response, StatusCode::BAD_GATEWAY, "upstream_failed", "false").await;
    assert_eq!(world.balance().await, "1".parse().unwrap());
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_upstream_that_is_away_costs_nothing(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    world.ledger.system().set_provider_url("loopback", "http://127.0.0.1:1/v1").await.unwrap();
    // A proxy that starts now knows the new address.
    let proxy = world.another_proxy().await;
    let response = proxy.gateway().answer(world.request(chat("hello", ""))).await;
    let id = call_id(&response);
    check(response, StatusCode::BAD_GATEWAY, "upstream_unavailable", "true").await;
    let call = world.detail(id).await;
    assert_eq!((call.row.outcome, call.http_status), (domain::call::Outcome::UpstreamError, None));
    assert_eq!(world.balance().await, "1".parse().unwrap());
    proxy.stop().await;
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn without_the_books_nothing_is_forwarded_and_the_client_may_come_again(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    world.ledger.close().await;
    let response = world.post(chat("hello", "")).await;
    assert_eq!(response.headers()["retry-after"], "1");
    check(response, StatusCode::SERVICE_UNAVAILABLE, "gateway_unavailable", "true").await;
    assert!(world.upstream.received().is_empty());
    let ready = world.send(Request::get("/readyz").body(Body::empty()).unwrap()).await;
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn health_is_told_without_a_key(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    for path in ["/livez", "/readyz"] {
        let response = world.send(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!((response.status(), text(response).await.as_str()), (StatusCode::OK, "ok"));
    }
    world.stop().await;
}
