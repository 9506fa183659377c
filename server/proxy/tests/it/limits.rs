//! Limits as clients meet them.

use chrono::{DateTime, Utc};
use domain::{
    credit::{Hardness, Quantity, Scope, ScopeKind, Unit, Window},
    id::{LimitId, ProjectId},
    money::Amount,
};
use http::{HeaderValue, StatusCode};
use ledger::NewLimit;
use serde_json::json;
use sqlx::PgPool;

use crate::world::{World, amount, chat, json, text};

/// What the upstream's answer comes to.
const CHARGE: &str = "0.000019";

pub(crate) async fn set(world: &World, of: ScopeKind, window: Window, unit: Unit, capacity: i64) -> LimitId {
    let id = LimitId::new(world.now, rand::random());
    let scope = match of {
        ScopeKind::Key => Scope::Key(world.key_id),
        ScopeKind::Project => Scope::Project(ProjectId::first_of(world.account)),
        ScopeKind::Run => Scope::Run("nightly".parse().unwrap()),
        _ => Scope::Account,
    };
    let new = NewLimit { id, scope, window, unit, hardness: Hardness::Hard, capacity: Quantity::from_count(capacity) };
    world.ledger.system().account(world.account).set_limit(&new).await.unwrap()
}

/// A rate that is used up says so as OpenAI's own does, so that clients wait for it by themselves.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_minutes_limit_is_a_rate_and_says_when_to_come_again(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    // As many calls as it takes to see the second one of a minute.
    let limit = set(&world, ScopeKind::Key, Window::Minute, Unit::Requests, 1).await;
    let refusal = loop {
        let response = world.post(chat("hello", "")).await;
        if response.status() != StatusCode::OK {
            break response;
        }
        text(response).await;
    };
    assert_eq!(refusal.status(), StatusCode::TOO_MANY_REQUESTS);
    let header = |name: &str| refusal.headers()[name].to_str().unwrap().to_owned();
    let wait: i64 = header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(header("x-should-retry"), "true");
    assert_eq!((header("x-ratelimit-limit-requests"), header("x-ratelimit-remaining-requests")), ("1".to_owned(), "0".to_owned()));
    assert_eq!(header("x-ratelimit-reset-requests"), format!("{wait}s"));
    let error = json(refusal).await["error"].clone();
    assert_eq!((&error["type"], &error["code"]), (&json!("rate_limit_exceeded"), &json!("rate_limit_exceeded")));
    let exhausted = &error["exhausted"];
    assert_eq!((&exhausted["limit"], &exhausted["needed"], &exhausted["available"]), (&json!(limit), &json!(1), &json!(0)));
    let resets_at: DateTime<Utc> = exhausted["resets_at"].as_str().unwrap().parse().unwrap();
    assert!(resets_at > world.now);
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_budget_that_is_used_up_says_whose_how_much_is_left_and_when_it_begins_anew(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    set(&world, ScopeKind::Key, Window::Month, Unit::Money, 1_000_000).await;
    let refusal = world.post(chat("hello", r#","max_tokens":1000"#)).await;
    assert_eq!((refusal.status(), &refusal.headers()["x-should-retry"]), (StatusCode::TOO_MANY_REQUESTS, &"false".parse().unwrap()));
    assert!(!refusal.headers().contains_key("retry-after"));
    let error = json(refusal).await["error"].clone();
    assert_eq!(error["code"], "insufficient_quota");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("0.001 USD are left of the key's limit of 0.001 USD per month. Lower the cap on its output"), "{message}");
    assert_eq!(error["exhausted"]["resets_at"], json!(null), "a month's whole budget is less than this call may take");
    assert!(world.upstream.received().is_empty());
    world.stop().await;
}

/// Where the client named no cap, a shorter answer is better than none.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_short_limit_of_tokens_lowers_the_cap_of_the_answer(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let body = chat("hello", "");
    let prompt = i64::try_from(body.len()).unwrap() + 64;
    set(&world, ScopeKind::Account, Window::Day, Unit::Tokens, prompt + 300).await;
    assert_eq!(world.post(body).await.status(), StatusCode::OK);
    let sent: serde_json::Value = serde_json::from_slice(&world.upstream.received()[0].1).unwrap();
    assert_eq!(sent["max_tokens"], 300);
    world.stop().await;
}

/// The first calls of a window smaller than the whole bound have shorter answers; then one is told when the next window begins, not that waiting is in
/// vain.
async fn small_window(pool: &PgPool, window: Window, code: &str) {
    let world = World::new(pool, "1").await;
    let body = chat("hello", "");
    let prompt = i64::try_from(body.len()).unwrap() + 64;
    let limit = set(&world, ScopeKind::Account, window, Unit::Tokens, prompt + 300).await;
    let refusal = loop {
        let response = world.post(body.clone()).await;
        if response.status() != StatusCode::OK {
            break response;
        }
        text(response).await;
    };
    let is_a_rate = window == Window::Minute;
    let has = |header: &str| refusal.headers().contains_key(header);
    assert_eq!((has("retry-after"), has("retry-after-ms")), (is_a_rate, is_a_rate));
    let error = json(refusal).await["error"].clone();
    assert_eq!((&error["code"], &error["exhausted"]["limit"]), (&json!(code), &json!(limit)));
    assert!(error["exhausted"]["resets_at"].is_string(), "{error}");
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_a_small_minute_cannot_take_now_it_says_when_it_can(pool: PgPool) {
    small_window(&pool, Window::Minute, "rate_limit_exceeded").await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_a_small_month_cannot_take_now_it_says_when_it_can(pool: PgPool) {
    small_window(&pool, Window::Month, "insufficient_quota").await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn the_holder_of_a_key_sees_the_limits_that_count_its_calls(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    set(&world, ScopeKind::Key, Window::Month, Unit::Money, 1_000_000_000).await;
    set(&world, ScopeKind::Account, Window::Ever, Unit::Requests, 5).await;
    text(world.post(chat("hello", "")).await).await;
    world.balance().await;
    let limits = json(world.get("/v1/key").await).await["data"]["limits"].clone();
    let figures = |place: usize| (limits[place]["scope"].clone(), limits[place]["used"].clone(), limits[place]["available"].clone());
    assert_eq!(figures(0), (json!("account"), json!(1), json!(4)));
    let left = Amount::from_nanos(1_000_000_000 - amount(CHARGE).nanos());
    assert_eq!(figures(1), (json!("key"), json!(amount(CHARGE)), json!(left)));
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_runs_limit_bounds_the_calls_that_name_it(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    set(&world, ScopeKind::Run, Window::Ever, Unit::Requests, 1).await;
    let of_run = |run: &'static str| {
        let mut request = world.request(chat("hello", ""));
        request.headers_mut().insert("x-farebox-session", HeaderValue::from_static(run));
        request
    };
    for (run, status) in [("nightly", 200), ("nightly", 429), ("daily", 200)] {
        let response = world.send(of_run(run)).await;
        assert_eq!(response.status(), status, "{run}");
        let body = text(response).await;
        assert!(status == 200 || body.contains("\"scope\":\"run\""), "{body}");
    }
    assert_eq!(world.post(chat("hello", "")).await.status(), StatusCode::OK);
    world.stop().await;
}
