//! Web pages as clients, and base URLs that are slightly off.

use axum::body::Body;
use http::{Method, Request, StatusCode};
use proxy::Settings;
use sqlx::PgPool;

use crate::world::{MODEL, Policy, World, chat, json, settings, text};

const ORIGIN: &str = "app://notes.example";
const ASKED_FOR: &str = "authorization,content-type,x-stainless-lang,x-stainless-retry-count";

async fn world(pool: &PgPool, allowed: &str) -> World {
    let allowed_origins = allowed.split(',').filter_map(|origin| origin.parse().ok()).collect();
    World::bounded(pool, Policy::default(), Settings { allowed_origins, ..settings() }).await
}

/// What a browser asks before a call: it sends no key with it.
fn preflight(path: &str) -> Request<Body> {
    Request::options(path)
        .header("origin", ORIGIN)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", ASKED_FOR)
        .body(Body::empty())
        .unwrap()
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_page_of_an_allowed_origin_may_send_what_it_asks_for(pool: PgPool) {
    let world = world(&pool, "https://other.example,app://notes.example").await;
    for path in ["/v1/chat/completions", "/v1/models", "/v1/models/small", "/v1/key", "/v1/credits", "/v1/generation", "/nothing"] {
        let answer = world.send(preflight(path)).await;
        assert_eq!(answer.status(), StatusCode::NO_CONTENT, "{path}");
        assert_eq!(answer.headers()["access-control-allow-origin"], ORIGIN, "{path}");
        assert_eq!(answer.headers()["access-control-allow-headers"], ASKED_FOR, "{path}");
        assert_eq!(answer.headers()["vary"], "origin", "{path}");
    }
    assert_eq!(world.send(preflight("/v1/chat/completions")).await.headers()["access-control-allow-methods"], "POST");
    assert!(world.upstream.received().is_empty());
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_page_can_read_why_its_call_was_refused_and_which_call_it_was(pool: PgPool) {
    let world = world(&pool, ORIGIN).await;
    for (key, body, status) in [
        ("sk-wrong", chat("hello", ""), StatusCode::UNAUTHORIZED),
        (world.key.expose(), chat("hello", r#","max_tokens":8000,"n":100"#), StatusCode::TOO_MANY_REQUESTS),
        (world.key.expose(), chat("hello", ""), StatusCode::OK),
    ] {
        let mut request = world.request(body);
        request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
        request.headers_mut().insert("origin", ORIGIN.parse().unwrap());
        let answer = world.send(request).await;
        assert_eq!((answer.status(), &answer.headers()["access-control-allow-origin"]), (status, &ORIGIN.parse().unwrap()));
        let exposed = answer.headers()["access-control-expose-headers"].to_str().unwrap().to_owned();
        assert!(["x-request-id", "retry-after", "x-ratelimit-reset-tokens"].iter().all(|name| exposed.contains(name)), "{exposed}");
        text(answer).await;
    }
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_page_that_is_not_allowed_is_told_by_which_setting_it_could_be(pool: PgPool) {
    let world = world(&pool, "https://other.example").await;
    let answer = world.send(preflight("/v1/chat/completions")).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert!(answer.headers().keys().all(|name| !name.as_str().starts_with("access-control")));
    let error = json(answer).await["error"].take();
    assert!(error["message"].as_str().unwrap().contains("FAREBOX_ALLOWED_ORIGINS"), "{error}");
    // Whoever is no browser is not asked where they come from.
    let mut request = world.request(chat("hello", ""));
    request.headers_mut().insert("origin", ORIGIN.parse().unwrap());
    let answer = world.send(request).await;
    assert_eq!((answer.status(), answer.headers().get("access-control-allow-origin")), (StatusCode::OK, None));
    text(answer).await;
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn any_base_url_that_can_mean_only_one_thing_works(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    for path in ["/chat/completions", "/v1/v1/chat/completions", "//v1//chat/completions", "/v1/chat/completions/"] {
        let mut request = world.request(chat("hello", ""));
        *request.uri_mut() = path.parse().unwrap();
        let answer = world.send(request).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        text(answer).await;
    }
    for path in ["/models", "/v1/models/", "/v1/v1/models/small", "/key", "//v1/credits"] {
        assert_eq!(world.get(path).await.status(), StatusCode::OK, "{path}");
    }
    assert_eq!(json(world.get("/models/small/").await).await["id"], MODEL);
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_address_that_does_not_exist_names_the_right_base_url(pool: PgPool) {
    let bounds = Settings { proxy_url: "https://api.example.com/".to_owned(), ..settings() };
    let world = World::bounded(&pool, Policy::default(), bounds).await;
    for (method, path) in [(Method::POST, "/v1/chat/completions/chat/completions"), (Method::GET, "/api/v1/models"), (Method::POST, "/")] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let answer = world.send(request).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        let error = json(answer).await["error"].take();
        assert_eq!((&error["code"], &error["type"]), (&"unknown_url".into(), &"invalid_request_error".into()), "{error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("https://api.example.com/v1,") && message.contains("POST /chat/completions"), "{message}");
    }
    world.stop().await;
}
