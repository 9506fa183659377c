//! How a key may be written, and what is said of one that cannot be read.

use std::path::PathBuf;

use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::json;
use sqlx::PgPool;

use crate::world::{MODEL, World, chat, eventually, json, text};

/// A value of `Authorization`, where `$KEY` stands for the key, and what is right for it.
#[derive(Deserialize)]
struct Spelling {
    value: String,
    right: String,
}

impl Spelling {
    fn bytes(&self, key: &str) -> Vec<u8> {
        let Some((text, named)) = self.value.split_once("<the byte") else { return self.value.replace("$KEY", key).into_bytes() };
        let bytes = named.trim_start_matches('s').trim_end_matches('>').split_whitespace();
        let bytes = bytes.map(|byte| u8::from_str_radix(byte, 16).unwrap());
        text.replace("$KEY", key).into_bytes().into_iter().chain(bytes).collect()
    }

    /// `None` where the call is to be served.
    fn said(&self) -> Option<&str> {
        [("quotes", "quotes"), ("given twice", "twice"), ("missing word", "missing"), ("invisible", "invisible"), ("scheme", "Basic")]
            .into_iter()
            .find_map(|(right, said)| self.right.contains(right).then_some(said))
    }
}

/// A key calls the models that its owner says; a running proxy takes up what is changed.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_key_calls_the_models_that_it_may_and_no_others(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let (owner, key) = (world.ledger.system().account(world.account), world.key_id);
    let allow = async |models: Option<&[&str]>| {
        let models = models.map(|names| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        owner.set_key_models(key, models.as_deref()).await
    };
    let status = async || world.post(chat("hello", "")).await.status();
    for nothing in [&["nobody"][..], &[]] {
        assert!(matches!(allow(Some(nothing)).await, Err(ledger::Error::Invalid { field: "models", .. })), "{nothing:?}");
    }
    assert_eq!(status().await, StatusCode::OK);

    allow(Some(&["unpriced"])).await.unwrap();
    eventually(async || (status().await == StatusCode::FORBIDDEN).then_some(())).await;
    let asked = world.upstream.asked();
    let refused = world.post(chat("hello", "")).await;
    assert_eq!(refused.headers()["x-should-retry"], "false");
    let error = json(refused).await["error"].take();
    assert_eq!(
        (&error["code"], &error["type"], &error["param"]),
        (&json!("model_not_allowed"), &json!("permission_error"), &json!("model"))
    );
    assert!(error["message"].as_str().unwrap().contains("it may call \"unpriced\""), "{error}");
    assert_eq!(world.upstream.asked(), asked);
    let listed = json(world.get("/v1/models").await).await;
    assert_eq!(listed["data"], json!([]));
    assert_eq!(world.get(&format!("/v1/models/{MODEL}")).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(json(world.get("/v1/key").await).await["data"]["models"], json!(["unpriced"]));

    allow(Some(&[MODEL, MODEL])).await.unwrap();
    eventually(async || (status().await == StatusCode::OK).then_some(())).await;
    let listed = json(world.get("/v1/models").await).await;
    assert_eq!(listed["data"][0]["id"], MODEL);
    allow(None).await.unwrap();
    eventually(async || json(world.get("/v1/key").await).await["data"]["models"].is_null().then_some(())).await;
    assert_eq!(status().await, StatusCode::OK);
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn each_spelling_of_a_key_is_served_or_told_what_is_odd_about_it(pool: PgPool) {
    let Some(folder) = std::env::var_os("FAREBOX_TEST_DATA") else {
        println!("skipped: FAREBOX_TEST_DATA is not set");
        return;
    };
    let spellings = std::fs::read(PathBuf::from(folder).join("cases/authorization-values.json")).unwrap();
    let world = World::new(&pool, "1").await;
    for spelling in serde_json::from_slice::<Vec<Spelling>>(&spellings).unwrap() {
        let mut request = world.request(chat("hello", ""));
        let value = HeaderValue::from_bytes(&spelling.bytes(world.key.expose())).unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, value);
        let response = world.send(request).await;
        let (status, body) = (response.status(), text(response).await);
        match spelling.said() {
            None => assert_eq!(status, StatusCode::OK, "{}: {body}", spelling.value),
            Some(said) => {
                assert_eq!(status, StatusCode::UNAUTHORIZED, "{}", spelling.value);
                assert!(body.contains(said) && !body.contains("No API key was sent"), "{}: {body}", spelling.value);
                assert!(!body.contains(world.key.expose()), "{body}");
            }
        }
    }
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn whoever_sends_two_keys_is_told_so(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let another = world.another_customer("1").await;
    let mut request = world.request(chat("hello", ""));
    request.headers_mut().insert("x-api-key", another.expose().parse().unwrap());
    let response = world.send(request).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let body = text(response).await;
    assert!(body.contains("Two different API keys") && !body.contains("sk-fb_"), "{body}");
    assert!(world.upstream.received().is_empty());
    world.stop().await;
}
