//! What the holder of a key may ask.

use chrono::TimeDelta;
use domain::{
    billing::GrantKind,
    credit::{Quantity, Unit},
    id::{CallId, GrantId, PriceId},
    money::Amount,
    pricing::{Discount, Excess},
    rates::Rates,
};
use http::{HeaderValue, StatusCode};
use ledger::{NewGrant, NewOwnPrice, OwnReview};
use serde_json::json;
use sqlx::PgPool;

use crate::world::{MODEL, World, amount, call_id, chat, json, text};

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_receipt_is_found_by_the_answers_request_id(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let response = world.post(chat("hello", "")).await;
    let id = call_id(&response);
    text(response).await;
    let receipt = json(world.get(&format!("/v1/generation?id={id}")).await).await["data"].take();
    assert_eq!(receipt["id"], id.to_string());
    assert_eq!((&receipt["model"], &receipt["provider"]), (&json!(MODEL), &json!("loopback")));
    assert_eq!((&receipt["status"], &receipt["source"], &receipt["stream"]), (&json!("ok"), &json!("upstream"), &json!(false)));
    assert_eq!(receipt["usage"]["prompt_tokens"], 9);
    assert_eq!(
        receipt["lines"],
        json!([
            { "bucket": "input", "tokens": 9, "per_1k": "0.001", "amount": "0.000009" },
            { "bucket": "output", "tokens": 5, "per_1k": "0.002", "amount": "0.00001" },
        ])
    );
    assert_eq!((&receipt["amount"], &receipt["currency"]), (&json!("0.000019"), &json!("USD")));
    assert_eq!(receipt["paid_by"][0]["kind"], "wallet");
    assert_eq!(receipt["paid_by"][0]["amount"], "0.000019");

    let other = CallId::new(world.now, [0; 10]);
    for (path, status) in [
        (format!("/v1/generation?id={other}"), StatusCode::NOT_FOUND),
        ("/v1/generation?id=x".to_owned(), StatusCode::NOT_FOUND),
        ("/v1/generation".to_owned(), StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(world.get(&path).await.status(), status, "{path}");
    }
    world.stop().await;
}

pub(crate) async fn package(world: &World, tokens: i64) {
    let package = NewGrant {
        id: GrantId::new(world.now, [3; 10]),
        kind: GrantKind::Package,
        unit: Unit::Tokens,
        quantity: Quantity::from_count(tokens),
        models: None,
        starts_at: None,
        expires_at: None,
        priority: 0,
        idempotency_key: "package",
        memo: "order 7",
        actor: "test",
        now: world.now,
    };
    world.ledger.system().operator().add_grant(world.account, package).await.unwrap();
}

/// Where the client named no cap, the answer is as long as the package allows, however little money is beside it.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_package_that_is_too_short_for_the_whole_answer_pays_for_the_longest_that_fits(pool: PgPool) {
    let world = World::new(&pool, "0.000001").await;
    package(&world, 500).await;
    text(world.post(chat("hello", "")).await).await;
    let sent: serde_json::Value = serde_json::from_slice(&world.upstream.received()[0].1).unwrap();
    let cap = sent["max_tokens"].as_i64().unwrap();
    assert!((300..500).contains(&cap), "{sent}");
    assert_eq!(world.balance().await, amount("0.000001"));
    world.stop().await;
}

/// A package pays no more than what was held: whoever is lenient is so in money.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_lenient_account_has_a_cap_where_a_package_pays(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let operator = world.ledger.system().operator();
    operator.change_credit_line(world.account, "test", |line| line.excess = Excess::Charged).await.unwrap();
    package(&world, 100_000).await;
    text(world.post(chat("hello", "")).await).await;
    let sent: serde_json::Value = serde_json::from_slice(&world.upstream.received()[0].1).unwrap();
    assert_eq!(sent["max_tokens"], 1_000);
    assert_eq!(world.balance().await, amount("1"));
    world.stop().await;
}

/// What loosens a call's bound is counted all the same, and a lenient account pays what its calls come to; but a package no more than was held.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_only_loosens_a_bound_passes_of_a_lenient_account_where_money_pays(pool: PgPool) {
    let mut world = World::new(&pool, "1").await;
    // More than the client's own cap, and a longer prompt than its bytes: what a template or a cap by another name can make of it.
    let asked = chat("reports 5000 2000", r#","max_tokens":50,"chat_template":"{{ hi }}","n_predict":1500"#);
    let refused = json(world.post(&*asked).await).await;
    assert_eq!((&refused["error"]["param"], &refused["error"]["code"]), (&json!("chat_template"), &json!("unsupported_parameter")));
    assert_eq!(world.upstream.asked(), 0);

    let operator = world.ledger.system().operator();
    operator.change_credit_line(world.account, "test", |line| line.excess = Excess::Charged).await.unwrap();
    world.renew_proxy().await;
    let response = world.post(&*asked).await;
    let id = call_id(&response);
    text(response).await;
    let (_, sent) = world.upstream.received().pop().unwrap();
    let sent: serde_json::Value = serde_json::from_slice(&sent).unwrap();
    assert_eq!((&sent["n_predict"], &sent["max_tokens"]), (&json!(1_500), &json!(50)), "it goes on as it came");
    let call = world.detail(id).await;
    assert_eq!(
        (call.row.amount, call.written_off, call.row.usage.flag),
        (amount("0.009"), Amount::ZERO, None),
        "and all of it is paid for"
    );

    package(&world, 100_000).await;
    world.renew_proxy().await;
    let refused = json(world.post(&*asked).await).await;
    assert_eq!(refused["error"]["param"], "chat_template");
    assert_eq!(world.upstream.asked(), 1);
    assert_eq!(world.balance().await, amount("0.991"), "nothing stays held");
    world.stop().await;
}

/// What there was too little of for the whole answer caps it, and is not for one that nothing bounds.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_loosens_a_bound_does_not_pass_where_credit_is_short(pool: PgPool) {
    let mut world = World::new(&pool, "0.001").await;
    let operator = world.ledger.system().operator();
    operator.change_credit_line(world.account, "test", |line| line.excess = Excess::Charged).await.unwrap();
    world.renew_proxy().await;
    let refused = json(world.post(chat("hello", r#","n_predict":1500"#)).await).await;
    assert_eq!((&refused["error"]["param"], world.upstream.asked()), (&json!("n_predict"), 0));
    assert_eq!(world.post(chat("hello", "")).await.status(), StatusCode::OK, "with a cap it goes on");
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_a_package_pays_is_said_in_tokens(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    package(&world, 100_000).await;
    let response = world.post(chat("hello", "")).await;
    let id = call_id(&response);
    text(response).await;
    let receipt = json(world.get(&format!("/v1/generation?id={id}")).await).await["data"].take();
    assert_eq!((&receipt["amount"], &receipt["cost"], &receipt["tokens_paid"]), (&json!("0"), &json!("0"), &json!(14)));
    assert_eq!((&receipt["paid_by"][0]["kind"], &receipt["paid_by"][0]["amount"]), (&json!("package"), &json!(14)));
    let credits = json(world.get("/v1/credits").await).await["data"].take();
    assert_eq!((&credits["balance"], &credits["available"]), (&json!("1"), &json!("1")));
    let grant = &credits["grants"][0];
    assert_eq!((&grant["unit"], &grant["granted"], &grant["balance"]), (&json!("tokens"), &json!(100_000), &json!(99_986)));
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn credit_and_key_say_what_is_left_and_what_was_spent(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    text(world.post(chat("hello", "")).await).await;
    assert_eq!(world.balance().await, amount("0.999981"));
    let credits = json(world.get("/v1/credits").await).await["data"].take();
    assert_eq!((&credits["balance"], &credits["reserved"]), (&json!("0.999981"), &json!("0")));
    assert_eq!((&credits["available"], &credits["currency"]), (&json!("0.999981"), &json!("USD")));
    assert_eq!(credits["grants"][0]["kind"], "wallet");
    let key = json(world.get("/v1/key").await).await["data"].take();
    assert_eq!(key["project"]["name"], "Default");
    assert_eq!((&key["name"], &key["limits"], &key["expires_at"]), (&json!("first"), &json!([]), &json!(null)));
    assert_eq!(key["usage"]["ever"], "0.000019");
    assert!(key["usage"]["day"].is_string() && key["usage"]["month"].is_string(), "which may have begun a moment ago");
    assert!(key["masked"].as_str().unwrap().ends_with(world.key.last_four()));
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn models_are_listed_with_their_prices_and_only_where_they_have_one(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let models = json(world.get("/v1/models").await).await;
    assert_eq!(models["object"], "list");
    assert_eq!(models["data"].as_array().unwrap().len(), 1);
    let model = json(world.get(&format!("/v1/models/{MODEL}")).await).await;
    assert_eq!(model, models["data"][0]);
    assert_eq!((&model["id"], &model["object"], &model["owned_by"]), (&json!(MODEL), &json!("model"), &json!("loopback")));
    assert_eq!(model["pricing"]["per_1k"], json!({ "input": "0.001", "output": "0.002" }));
    assert_eq!(world.get("/v1/models/vendor/none").await.status(), StatusCode::NOT_FOUND);
    let not_text = world.get("/v1/models/%FF").await;
    assert_eq!((not_text.status(), json(not_text).await["error"]["code"].as_str()), (StatusCode::NOT_FOUND, Some("model_not_found")));
    assert_eq!(world.get("/v1/models/unpriced").await.status(), StatusCode::FORBIDDEN);
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_a_client_says_of_a_call_stands_on_its_receipt_and_stays_here(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let mut request = world.request(chat("hello", r#","user":"not this","metadata":{"team":"not this","step":"2"}"#));
    for (name, value) in [
        ("x-farebox-end-user", "ada"),
        ("x-farebox-session", "run 7"),
        ("x-farebox-tags", r#"{"team":"search"}"#),
        ("user-agent", "OpenAI/Python 1.52.0"),
    ] {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let response = world.send(request).await;
    let id = call_id(&response);
    text(response).await;
    let receipt = json(world.get(&format!("/v1/generation?id={id}")).await).await["data"].take();
    let said = json!({ "end_user": "ada", "session": "run 7", "client": "OpenAI/Python 1", "tags": { "step": "2", "team": "search" } });
    for (name, value) in said.as_object().unwrap() {
        assert_eq!(receipt[name], *value, "{name}");
    }
    assert_eq!(receipt["project"]["name"], "Default");
    let (headers, body) = world.upstream.received().remove(0);
    assert!(headers.keys().all(|name| !name.as_str().starts_with("x-farebox")), "{headers:?}");
    let sent: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&sent["user"], &sent["metadata"]["team"]), (&json!("not this"), &json!("not this")), "the body is the client's");

    let mut request = world.request(chat("hello", ""));
    request.headers_mut().insert("x-farebox-tags", HeaderValue::from_static("team=search"));
    let refused = world.send(request).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert_eq!(json(refused).await["error"]["param"], "x-farebox-tags");
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_a_customer_has_agreed_on_is_what_its_calls_are_held_and_charged_by(pool: PgPool) {
    let mut world = World::new(&pool, "1").await;
    // It began an hour ago, at a tenth of what everyone pays; everyone else's discount would be off their own price.
    let began = world.now - TimeDelta::hours(1);
    let own = NewOwnPrice {
        id: PriceId::new(world.now, [5; 10]),
        account: world.account,
        model: MODEL,
        rates: Rates::plain(amount("0.0001"), amount("0.0002")),
        effective_from: began,
        actor: "test",
        now: began - TimeDelta::hours(1),
    };
    let price = own.id;
    world.ledger.system().operator().set_own_price(own, OwnReview { revision: 0, named: Some(MODEL) }).await.unwrap();
    sqlx::query("update accounts set discount_bps = 5000").execute(&pool).await.unwrap();
    world.renew_proxy().await;

    let shown = json(world.get(&format!("/v1/models/{MODEL}")).await).await["pricing"].take();
    assert_eq!((&shown["per_1k"]["input"], &shown["discount_bps"]), (&json!("0.0001"), &json!(0)));
    let response = world.post(chat("hello", "")).await;
    let id = call_id(&response);
    text(response).await;
    let call = world.detail(id).await;
    // 9 prompt and 5 completion tokens.
    assert_eq!((call.receipt.amount, call.receipt.discount), (amount("0.0000019"), Discount::NONE));
    assert_eq!(call.price_id, price);

    world.change_customer("bob", "1").await;
    sqlx::query("update accounts set discount_bps = 5000").execute(&pool).await.unwrap();
    world.renew_proxy().await;
    let response = world.post(chat("hello", "")).await;
    let id = call_id(&response);
    text(response).await;
    let call = world.detail(id).await;
    assert_eq!((call.receipt.amount, call.receipt.discount.bps()), (amount("0.0000095"), 5_000));
    world.stop().await;
}
