//! Whole calls: forwarded, metered, priced, paid.

use std::{collections::HashSet, convert::Infallible};

use axum::body::Body;
use bytes::Bytes;
use chrono::Utc;
use domain::{
    call::{Outcome, UsageSource},
    catalog::{DisconnectPolicy, UsageMode},
    credit::CreditLine,
    id::CallId,
    money::Amount,
    pricing::Excess,
    tokens::{Flag, Tokens},
};
use futures_util::{future::join_all, stream};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::Value;
use sqlx::PgPool;

use crate::{
    upstream::{COMPLETION_TOKENS, ERROR, PROMPT_TOKENS, WORDS},
    world::{MODEL, Policy, World, amount, call_id, chat, json, text, top_up},
};

/// 9 × 0.001 / 1000 + 5 × 0.002 / 1000.
const CHARGE: &str = "0.000019";

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_call_is_metered_priced_and_paid_before_its_end_is_seen(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let response = world.post(chat("hello", "")).await;
    assert_eq!(response.status(), StatusCode::OK);
    let id = call_id(&response);
    let answer = json(response).await;
    assert_eq!(answer["usage"]["prompt_tokens"], PROMPT_TOKENS);

    let call = world.detail(id).await;
    assert_eq!((call.row.outcome, call.row.source), (Outcome::Ok, UsageSource::Upstream));
    assert_eq!(call.row.usage.prompt_tokens, Some(Tokens::from_sum(PROMPT_TOKENS)));
    assert_eq!(call.row.usage.completion_tokens, Some(Tokens::from_sum(COMPLETION_TOKENS)));
    assert_eq!((call.row.amount, call.receipt.amount), (amount(CHARGE), amount(CHARGE)));
    assert_eq!((call.upstream_model.as_deref(), call.http_status), (Some("vendor/real"), Some(200)));
    assert_eq!(world.balance().await, amount("0.999981"));
    world.stop().await;
}

/// In streams and whole answers: more prompt than the window, more output than the cap, and more of both than anything can be.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_upstream_that_reports_too_much_is_paid_what_was_held_and_the_rest_is_written_off(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    for (reported, stream) in [("8193 5", false), ("9 51", false), ("1000000000 1000000000", false), ("1000000000 50", true)] {
        let before = world.balance().await;
        let rest = format!(r#","max_tokens":50,"stream":{stream}"#);
        let response = world.post(chat(&format!("reports {reported}"), &rest)).await;
        let id = call_id(&response);
        text(response).await;
        let call = world.detail(id).await;
        let (prompt, completion) = reported.split_once(' ').map(|(p, c)| (p.parse::<i64>().unwrap(), c.parse::<i64>().unwrap())).unwrap();
        let both = prompt + completion > Tokens::MAX_PER_CALL;
        assert_eq!(call.row.usage.flag, Some(if both { Flag::Contradictory } else { Flag::Excessive }), "{reported}");
        assert_eq!(call.receipt.amount, Amount::from_nanos(prompt * 1_000 + completion * 2_000), "the whole price is on the receipt");
        let charged = call.receipt.amount.min(call.held);
        assert_eq!((call.row.amount, call.written_off), (charged, call.receipt.amount.checked_sub(charged).unwrap()), "{reported}");
        assert_eq!(world.balance().await, before.checked_sub(charged).unwrap(), "{reported}");
    }
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_lenient_account_is_given_no_cap_and_pays_what_its_call_came_to(pool: PgPool) {
    let world = World::new(&pool, "0.001").await;
    let line = CreditLine { excess: Excess::Charged, ..CreditLine::default() };
    world.ledger.system().operator().change_credit_line(world.account, "test", |own| *own = line).await.unwrap();
    // Where credit is short, the answer is too.
    text(world.post(chat("hello", "")).await).await;
    let (_, sent) = world.upstream.received().pop().unwrap();
    let sent: Value = serde_json::from_slice(&sent).unwrap();
    assert!(sent["max_tokens"].as_i64().is_some_and(|cap| cap < 500), "{sent}");
    for (reported, rest, cap, charged) in
        [("9 2000", "", None, Some("0.004009")), ("9 5000", r#","max_tokens":50"#, Some(50), None), ("9 9000", "", None, None)]
    {
        top_up(&world.ledger, world.account, amount("1"), reported).await;
        let response = world.post(chat(&format!("reports {reported}"), rest)).await;
        let id = call_id(&response);
        text(response).await;
        let (_, sent) = world.upstream.received().pop().unwrap();
        let sent: Value = serde_json::from_slice(&sent).unwrap();
        assert_eq!(sent.get("max_tokens").and_then(Value::as_i64), cap, "{sent}");
        let call = world.detail(id).await;
        // What nobody can have used is the operator's.
        let charged = charged.map_or(call.held, amount);
        assert_eq!(call.row.amount, charged, "{reported}");
        assert_eq!(call.written_off, call.receipt.amount.checked_sub(charged).unwrap(), "{reported}");
    }
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_body_in_pieces_arrives_whole(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let body = chat(&"hello, ".repeat(1_000), "");
    for size in [1, 2, 3, 5, 7].map(|pieces| body.len().div_ceil(pieces)) {
        let pieces: Vec<_> = body.as_bytes().chunks(size).map(|piece| Ok::<_, Infallible>(Bytes::copy_from_slice(piece))).collect();
        let (head, _) = world.request("").into_parts();
        let response = world.send(Request::from_parts(head, Body::from_stream(stream::iter(pieces)))).await;
        assert_eq!(response.status(), StatusCode::OK, "in pieces of {size}");
        let (_, sent) = world.upstream.received().pop().unwrap();
        assert!(String::from_utf8(sent.to_vec()).unwrap().ends_with(&body[body.find("\"messages").unwrap()..]), "in pieces of {size}");
    }
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_answer_compressed_unasked_is_unpacked_and_metered(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let response = world.post(chat("compressed", "")).await;
    assert!(!response.headers().contains_key("content-encoding"));
    assert_eq!(json(response).await["choices"][0]["message"]["content"], WORDS.concat());
    assert_eq!(world.balance().await, amount("0.999981"));
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_stream_that_does_not_say_that_it_is_one_is_paid_all_the_same(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let said = text(world.post(chat("hello", r#","stream":true"#)).await).await;
    for script in ["unsaid", "mislabelled"] {
        assert_eq!(text(world.post(chat(script, r#","stream":true"#)).await).await, said, "{script}");
    }
    assert_eq!(world.balance().await, amount("0.999943"));
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_upstream_that_does_not_hang_up_does_not_keep_the_client_waiting(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let response = world.post(chat("stays open", r#","stream":true"#)).await;
    let id = call_id(&response);
    assert!(text(response).await.ends_with("data: [DONE]\n\n"));
    assert_eq!(world.detail(id).await.row.outcome, Outcome::Ok);
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn the_upstream_sees_the_request_but_nothing_of_the_client(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    text(world.post(chat("hello", r#","temperature":1.50,"stream":true,"stop":[1e2]"#)).await).await;
    let (headers, body) = world.upstream.received().pop().unwrap();
    assert_eq!(
        body,
        chat("hello", r#","temperature":1.50,"stream":true,"stop":[1e2]"#).replace(&format!("\"{MODEL}\""), "\"vendor/small\"").replacen(
            '{',
            r#"{"stream_options":{"include_usage":true},"max_tokens":1000,"#,
            1
        )
    );
    assert_eq!(headers["authorization"], "Bearer sk-upstream");
    assert_eq!(headers["accept-encoding"], "identity");
    assert!(!headers.contains_key("cookie") && !headers.contains_key("x-api-key"));
    assert!(!headers.values().any(|value| value.as_bytes().starts_with(b"sk-fb_")));
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_call_that_was_charged_is_not_made_again_by_its_idempotency_key_and_one_that_was_not_is(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let send = async |script: &str, name: &str| {
        let mut request = world.request(chat(script, ""));
        request.headers_mut().insert("idempotency-key", name.parse().unwrap());
        let response = world.send(request).await;
        (response.status(), call_id(&response), text(response).await)
    };
    let (_, first, _) = send("hello", "one").await;
    let (status, _, repeated) = send("hello", "one").await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(repeated.contains(&first.to_string()) && repeated.contains("idempotency_key_in_use"), "{repeated}");
    assert_eq!((world.upstream.asked(), send("hello", "two").await.0), (1, StatusCode::OK));
    for _ in 0..2 {
        assert_eq!(send("error", "three").await.0, StatusCode::TOO_MANY_REQUESTS, "what cost nothing may be tried again");
    }
    assert_eq!(world.balance().await, amount("0.999962"));
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_stream_is_the_same_whether_its_usage_was_forced_or_not(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let unasked = text(world.post(chat("hello", r#","stream":true"#)).await).await;
    let expected: String = WORDS
        .iter()
        .map(|word| {
            format!(
                "data: {}\n\n",
                serde_json::json!({"id": "x", "model": "vendor/real", "choices": [{"index": 0, "delta": {"content": word}}]})
            )
        })
        .collect();
    assert!(unasked.starts_with(&expected), "{unasked}");
    assert!(unasked.ends_with("data: [DONE]\n\n") && !unasked.contains("usage"), "{unasked}");

    let asked = text(world.post(chat("hello", r#","stream":true,"stream_options":{"include_usage":true}"#)).await).await;
    assert_eq!(asked.matches(r#""usage":null"#).count(), WORDS.len() + 1);
    assert!(asked.contains(r#""prompt_tokens":9"#));
    // Both were metered by the same usage.
    assert_eq!(world.balance().await, amount("0.999962"));
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_native_upstream_is_asked_nothing_and_estimated_where_it_says_nothing(pool: PgPool) {
    let policy = Policy { usage: UsageMode::Native, ..Policy::default() };
    let world = World::with(&pool, "1", policy).await;
    let response = world.post(chat("hello", r#","stream":true"#)).await;
    let id = call_id(&response);
    text(response).await;
    assert!(!String::from_utf8_lossy(&world.upstream.received()[0].1).contains("stream_options"));
    let call = world.detail(id).await;
    assert_eq!((call.row.outcome, call.row.source), (Outcome::Ok, UsageSource::Estimated));
    assert_eq!(call.row.usage.completion_tokens, Some(Tokens::from_sum(5)));
    assert!(call.row.amount > Amount::ZERO && call.raw_usage.is_none());
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn whoever_hangs_up_after_the_third_chunk_pays_once_for_what_the_upstream_counted(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let mut request = world.request(chat("gate", r#","stream":true"#));
    let served = world.serve().await;
    *request.uri_mut() = format!("http://{}/v1/chat/completions", served.address).parse().unwrap();

    let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
    let response = client.request(request).await.unwrap();
    let id: CallId = response.headers()["x-request-id"].to_str().unwrap().parse().unwrap();
    let mut body = response.into_body();
    for _ in 0..3 {
        body.frame().await.unwrap().unwrap();
    }
    drop((body, client)); // closes the connection
    served.shutdown.cancel(); // the proxy waits for its running calls…
    served.upstream.open_gate(); // …and this one goes on only now
    let (ledger, account) = (served.ledger.clone(), served.account);
    served.stop().await;

    let call = ledger.meter().generation(account, id).await.unwrap();
    assert_eq!((call.row.outcome, call.row.source), (Outcome::ClientLeft, UsageSource::Upstream));
    assert_eq!(call.row.amount, amount(CHARGE));
    let balance = ledger.meter().balance(account, Utc::now()).await.unwrap();
    assert_eq!((balance.balance, balance.reserved), (amount("0.999981"), Amount::ZERO));
}

/// Whoever counts an answer's bytes reads no further than the last of them.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_answer_of_a_known_length_has_the_end_that_its_upstream_gave_it(pool: PgPool) {
    let policy = Policy { on_disconnect: DisconnectPolicy::Cancel, ..Policy::default() };
    let world = World::with(&pool, "1", policy).await;
    let requests = ["a few words", "nothing"].map(|script| world.request(chat(script, "")));
    let served = world.serve().await;
    for (mut request, end) in requests.into_iter().zip(["wait.", ""]) {
        *request.uri_mut() = format!("http://{}/v1/chat/completions", served.address).parse().unwrap();
        let response = Client::builder(TokioExecutor::new()).build_http::<Body>().request(request).await.unwrap();
        assert!(response.headers().contains_key("content-length"));
        let id: CallId = response.headers()["x-request-id"].to_str().unwrap().parse().unwrap();
        assert!(response.into_body().collect().await.unwrap().to_bytes().ends_with(end.as_bytes()));
        let call = served.detail(id).await;
        assert_eq!((call.row.outcome, call.row.amount), (Outcome::UpstreamError, Amount::ZERO), "it is no answer: {end}");
    }
    served.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_cancelling_upstream_is_released_and_what_was_delivered_is_charged(pool: PgPool) {
    let policy = Policy { on_disconnect: DisconnectPolicy::Cancel, ..Policy::default() };
    let world = World::with(&pool, "1", policy).await;
    let response = world.post(chat("gate", r#","stream":true"#)).await;
    let id = call_id(&response);
    let mut body = response.into_body();
    let mut delivered = Vec::new();
    while !String::from_utf8_lossy(&delivered).contains(WORDS[2]) {
        delivered.extend(body.frame().await.unwrap().unwrap().into_data().unwrap());
    }
    drop(body);
    let account = world.account;
    // The gate stays shut: only a released upstream lets the call end.
    let ledger = world.stop().await;
    let call = ledger.meter().generation(account, id).await.unwrap();
    assert_eq!((call.row.outcome, call.row.source), (Outcome::ClientLeft, UsageSource::Estimated));
    assert_eq!(call.row.usage.completion_tokens, Some(Tokens::from_sum(3)));
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn two_hundred_calls_at_once_on_credit_for_ten_are_ten_calls(pool: PgPool) {
    let world = World::new(&pool, "0").await;
    let body = chat("hold", r#","max_tokens":1000"#);
    // A token per byte and the overhead at 1,000 nanos each, and 1,000 tokens at 2,000.
    let held = i64::try_from(body.len()).unwrap() * 1_000 + 64_000 + 2_000_000;
    let credit = Amount::from_nanos(10 * held);
    top_up(&world.ledger, world.account, credit, "credit for ten").await;

    let (answered, refusals) = world.crowd(&[world.gateway()], &body).await;
    for refusal in refusals {
        // Only the calls that run stand in the way.
        assert_eq!(
            (&refusal.headers()["x-should-retry"], &refusal.headers()["retry-after"]),
            (&"true".parse().unwrap(), &"2".parse().unwrap())
        );
        assert_eq!(json(refusal).await["error"]["code"], "insufficient_quota");
    }
    let ids: HashSet<_> = answered.iter().map(call_id).collect();
    join_all(answered.into_iter().map(text)).await;
    assert_eq!(ids.len(), 10);
    assert_eq!(world.balance().await, Amount::from_nanos(credit.nanos() - 10 * amount(CHARGE).nanos()));
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_upstreams_error_passes_unchanged_and_costs_nothing(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let response = world.post(chat("error", r#","stream":true"#)).await;
    assert_eq!((response.status(), &response.headers()["retry-after"]), (StatusCode::TOO_MANY_REQUESTS, &"7".parse().unwrap()));
    let id = call_id(&response);
    assert_eq!(text(response).await, ERROR);
    let call = world.detail(id).await;
    assert_eq!((call.row.outcome, call.row.source, call.row.amount), (Outcome::UpstreamError, UsageSource::None, Amount::ZERO));
    assert_eq!(call.http_status, Some(429));
    assert_eq!(world.balance().await, amount("1"));
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_stream_that_breaks_is_broken_for_the_client_and_estimated(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let response = world.post(chat("break", r#","stream":true"#)).await;
    let id = call_id(&response);
    let mut body = response.into_body();
    for _ in 0..3 {
        body.frame().await.unwrap().unwrap();
    }
    world.upstream.open_gate();
    assert!(body.collect().await.is_err());
    let call = world.detail(id).await;
    assert_eq!((call.row.outcome, call.row.source), (Outcome::UpstreamError, UsageSource::Estimated));
    assert_eq!(call.row.usage.completion_tokens, Some(Tokens::from_sum(3)));
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn credit_too_short_for_the_default_buys_a_shorter_answer(pool: PgPool) {
    // 1,000 output tokens would need 0.002; this is enough for the prompt and about 400.
    let world = World::new(&pool, "0.001").await;
    let response = world.post(chat("hello", "")).await;
    assert_eq!(response.status(), StatusCode::OK);
    let id = call_id(&response);
    text(response).await;
    let held = world.detail(id).await.held;
    let sent: Value = serde_json::from_slice(&world.upstream.received()[0].1).unwrap();
    assert!((300..500).contains(&sent["max_tokens"].as_i64().unwrap()), "{sent}");
    assert!(held <= amount("0.001"));
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_free_call_needs_no_credit_and_is_still_shown(pool: PgPool) {
    let world = World::free(&pool).await;
    let response = world.post(chat("hello", "")).await;
    assert_eq!(response.status(), StatusCode::OK);
    let id = call_id(&response);
    text(response).await;
    let call = world.detail(id).await;
    assert_eq!((call.row.amount, call.held), (Amount::ZERO, Amount::ZERO));
    assert_eq!(call.row.usage.prompt_tokens, Some(Tokens::from_sum(PROMPT_TOKENS)));
    world.stop().await;
}
