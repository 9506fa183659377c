//! What goes wrong between the operator and an upstream, which is none of the customer's business.

use domain::{call::Outcome, catalog::UsageMode};
use http::StatusCode;
use sqlx::PgPool;

use crate::{
    upstream::{ERROR, Prepared},
    world::{Policy, World, amount, call_id, chat, json, text},
};

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_upstream_that_refuses_the_operator_does_not_blame_the_customer(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    for (status, rest) in [(401, ""), (402, ""), (403, r#","stream":true"#), (429, "")] {
        let response = world.post(chat(&format!("refuses {status}"), rest)).await;
        assert_eq!(
            (response.status(), &response.headers()["x-should-retry"]),
            (StatusCode::BAD_GATEWAY, &"false".parse().unwrap()),
            "{status}"
        );
        assert!(!response.headers().contains_key("retry-after"), "{status}");
        let id = call_id(&response);
        let error = json(response).await["error"].take();
        assert_eq!(error["code"], "upstream_refused", "{error}");
        let said = error.to_string();
        assert!(!said.contains("sk-up") && !said.contains("quota") && said.contains("Nothing was charged"), "{said}");
        let call = world.detail(id).await;
        assert_eq!((call.row.outcome, call.http_status), (Outcome::UpstreamError, Some(status)), "{status}");
    }
    assert_eq!(world.balance().await, amount("1"));
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_rate_that_is_exceeded_is_passed_on_as_it_came(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let response = world.post(chat("error", "")).await;
    assert_eq!((response.status(), &response.headers()["retry-after"]), (StatusCode::TOO_MANY_REQUESTS, &"7".parse().unwrap()));
    assert_eq!(response.headers()["content-length"], ERROR.len().to_string());
    assert_eq!(text(response).await, ERROR);
    assert_eq!(world.balance().await, amount("1"));
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn nobody_is_blamed_for_a_member_that_the_gateway_has_added(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let response = world.post(chat("refuses streams", r#","stream":true"#)).await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    let said = text(response).await;
    assert!(said.contains("upstream_refused") && !said.contains("stream_options"), "{said}");
    // Who has sent it is.
    let response = world.post(chat("refuses streams", r#","stream":true,"stream_options":{"include_usage":true}"#)).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(text(response).await.contains("stream_options"));
    assert_eq!(world.balance().await, amount("1"));
    world.stop().await;
}

/// What an upstream says that finds a cap too high.
const CAP_REFUSED: &str = r#"{"error":{"message":"5008 prompt tokens and 1000 output tokens do not fit","type":"invalid_request_error","param":"max_tokens","code":null}}"#;

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn whoever_sent_no_cap_learns_that_the_gateway_has_set_the_one_that_is_refused(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let refuses = |status, said: &str| {
        let bytes = said.to_owned().into();
        world.upstream.prepare(Prepared { status, content_type: "application/json".to_owned(), bytes, breaks: false });
    };
    for (status, rest) in [(400, ""), (422, r#","stream":true"#), (400, r#","max_tokens":null"#)] {
        refuses(status, CAP_REFUSED);
        let response = world.post(chat("hello", rest)).await;
        assert_eq!((response.status().as_u16(), &response.headers()["x-should-retry"]), (status, &"false".parse().unwrap()), "{rest}");
        let id = call_id(&response);
        let error = json(response).await["error"].take();
        assert_eq!((&error["param"], &error["code"]), (&"max_tokens".into(), &"upstream_refused".into()), "{error}");
        let said = error["message"].as_str().unwrap();
        for part in
            ["\"max_tokens\" of 1000, which this gateway has set", "5008 prompt tokens and 1000 output tokens", "Nothing was charged"]
        {
            assert!(said.contains(part), "{part}: {said}");
        }
        let call = world.detail(id).await;
        assert_eq!((call.row.outcome, call.http_status), (Outcome::UpstreamError, Some(i32::from(status))), "{rest}");
    }
    // What is not about the cap, or about one that the client sent, is passed on as it came.
    let about_another = CAP_REFUSED.replace("max_tokens", "seed");
    for (said, rest) in
        [(about_another.as_str(), ""), (CAP_REFUSED, r#","max_tokens":1000"#), (CAP_REFUSED, r#","max_completion_tokens":1000"#)]
    {
        refuses(400, said);
        let response = world.post(chat("hello", rest)).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(text(response).await, said, "{rest}");
    }
    assert_eq!(world.balance().await, amount("1"));
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_upstream_that_is_not_asked_for_usage_refuses_what_it_refuses(pool: PgPool) {
    let world = World::with(&pool, "1", Policy { usage: UsageMode::Native, ..Policy::default() }).await;
    let response = world.post(chat("refuses streams", r#","stream":true"#)).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_stream_tells_a_relay_not_to_hold_it_back(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let [stream, whole] = [r#","stream":true"#, ""].map(|rest| world.post(chat("hello", rest)));
    let (stream, whole) = tokio::join!(stream, whole);
    assert_eq!(stream.headers()["x-accel-buffering"], "no");
    assert!(!whole.headers().contains_key("x-accel-buffering") && whole.headers().contains_key("content-length"));
    drop((text(stream).await, text(whole).await));
    world.stop().await;
}
