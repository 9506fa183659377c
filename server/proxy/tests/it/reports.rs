//! Usage and costs by hours and days, as programs ask for them.

use axum::body::Body;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    filter::UsageFilter,
    id::{KeyId, ProjectId, ReportKeyId},
    key::{ApiKey, ReportKey},
    money::Amount,
    period::Step,
};
use http::{Request, Response, StatusCode, header};
use ledger::{NewKey, NewReportKey};
use proxy::AnswerBody;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::world::{MODEL, World, amount, chat, json as body_of, text};

const USAGE: &str = "/v1/organization/usage/completions";
const COSTS: &str = "/v1/organization/costs";

async fn report_key(world: &World) -> (ReportKeyId, ReportKey) {
    let (id, secret) = (ReportKeyId::new(world.now, [5; 10]), ReportKey::from_random([5; 20]));
    let owner = world.ledger.system().account(world.account);
    owner.create_report_key(NewReportKey { id, secret: &secret, name: "reports", now: world.now }).await.unwrap();
    (id, secret)
}

async fn another_key(world: &World) -> (KeyId, ApiKey) {
    let (id, secret) = (KeyId::new(world.now, [6; 10]), ApiKey::from_random([6; 20]));
    let project = ProjectId::first_of(world.account);
    let new = NewKey { id, secret: &secret, name: "second", project, member: None, models: None, expires_at: None, now: world.now };
    world.ledger.system().account(world.account).create_key(new).await.unwrap();
    (id, secret)
}

async fn get(world: &World, path: &str, key: &str) -> Response<AnswerBody> {
    let request = Request::get(path).header(header::AUTHORIZATION, format!("Bearer {key}")).body(Body::empty()).unwrap();
    world.send(request).await
}

/// A call by each of two keys, posted.
async fn two_keys(world: &mut World) -> (KeyId, ApiKey) {
    text(world.post(chat("hello", "")).await).await;
    let (id, secret) = another_key(world).await;
    let first = std::mem::replace(&mut world.key, secret.clone());
    text(world.post(chat("hello", "")).await).await;
    world.key = first;
    world.balance().await;
    (id, secret)
}

fn since(at: DateTime<Utc>) -> String {
    format!("start_time={}", Step::Day.floor(at).timestamp())
}

/// The results of all buckets.
fn results(page: &Value) -> Vec<Value> {
    page["data"].as_array().unwrap().iter().flat_map(|bucket| bucket["results"].as_array().unwrap().clone()).collect()
}

fn cost_of(results: &[Value]) -> Amount {
    Amount::checked_sum(results.iter().map(|result| amount(result["amount"]["exact"].as_str().unwrap()))).unwrap()
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_report_is_a_page_of_buckets_in_the_shape_of_openai(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let (_, key) = report_key(&world).await;
    text(world.post(chat("hello", "")).await).await;
    world.balance().await;
    let page = body_of(get(&world, &format!("{USAGE}?{}&group_by[]=model&limit=1", since(world.now)), key.expose()).await).await;
    let start = Step::Day.floor(world.now).timestamp();
    let result = json!({
        "object": "organization.usage.completions.result", "input_tokens": 9, "output_tokens": 5, "total_tokens": 14, "input_cached_tokens": null,
        "input_audio_tokens": null, "output_audio_tokens": null, "num_model_requests": 1, "project_id": null, "user_id": null,
        "api_key_id": null, "model": MODEL, "batch": null, "service_tier": null,
    });
    let bucket = json!({ "object": "bucket", "start_time": start, "end_time": start + 86_400, "results": [result] });
    assert_eq!((&page["object"], &page["data"][0]), (&json!("page"), &bucket));
    let costs = get(&world, &format!("{COSTS}?{}&group_by=line_item&group_by=project_id&limit=1", since(world.now)), key.expose()).await;
    assert_eq!(costs.headers()[header::CONTENT_TYPE], "application/json");
    let text = text(costs).await;
    assert!(text.contains(r#""amount":{"value":0.000019,"exact":"0.000019","currency":"usd"}"#), "{text}");
    let cost = &serde_json::from_str::<Value>(&text).unwrap()["data"][0]["results"][0];
    assert_eq!((&cost["object"], &cost["line_item"]), (&json!("organization.costs.result"), &json!(MODEL)));
    assert_eq!((&cost["project_id"], &cost["api_key_id"]), (&json!(ProjectId::first_of(world.account)), &json!(null)));
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_report_key_reads_the_account_an_api_key_its_own_and_nobody_anothers(pool: PgPool) {
    let mut world = World::new(&pool, "1").await;
    let (second, secret) = two_keys(&mut world).await;
    let (_, report) = report_key(&world).await;
    let stranger = world.another_customer("1").await;
    let read = async |path: &str, rest: &str, key: &str| {
        let answer = get(&world, &format!("{path}?{}&group_by=api_key_id{rest}", since(world.now)), key).await;
        assert_eq!(answer.status(), StatusCode::OK, "{rest}");
        results(&body_of(answer).await)
    };
    let all = read(COSTS, "", report.expose()).await;
    assert_eq!((all.len(), cost_of(&all)), (2, amount("0.000038")));
    let page = world.ledger.system().account(world.account).usage(&UsageFilter::default(), Utc::now()).await.unwrap();
    assert_eq!(page.totals.amount, cost_of(&all), "what the console shows");

    let own = read(COSTS, "", secret.expose()).await;
    assert_eq!((own.len(), &own[0]["api_key_id"], cost_of(&own)), (1, &json!(second), amount("0.000019")));
    let first = world.key_id;
    assert_eq!(read(USAGE, &format!("&api_key_ids[]={first}"), secret.expose()).await, [] as [Value; 0], "another key of the account");
    assert_eq!(read(USAGE, &format!("&api_key_ids={first}&api_key_ids={second}"), report.expose()).await.len(), 2);
    assert_eq!(read(USAGE, &format!("&api_key_ids={first}"), stranger.expose()).await, [] as [Value; 0], "a key of another account");
    assert_eq!(read(USAGE, &format!("&project_ids={}", ProjectId::first_of(world.account)), stranger.expose()).await, [] as [Value; 0]);
    assert_eq!(read(USAGE, "&models[]=other", report.expose()).await, [] as [Value; 0]);
    assert_eq!(read(USAGE, &format!("&models={MODEL}"), report.expose()).await.len(), 2);
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn following_the_cursors_meets_each_bucket_once_and_all_that_was_used(pool: PgPool) {
    let mut world = World::new(&pool, "1").await;
    two_keys(&mut world).await;
    let (_, key) = report_key(&world).await;
    let start = (world.now - TimeDelta::days(3)).timestamp();
    for (path, step) in [(USAGE, "1h"), (COSTS, "1h"), (USAGE, "1d"), (COSTS, "1d")] {
        let (mut starts, mut found, mut cursor) = (Vec::new(), Vec::new(), String::new());
        loop {
            let query = format!("{path}?start_time={start}&bucket_width={step}&limit=31&group_by=api_key_id{cursor}");
            let page = body_of(get(&world, &query, key.expose()).await).await;
            starts.extend(page["data"].as_array().unwrap().iter().map(|bucket| bucket["start_time"].as_i64().unwrap()));
            found.extend(results(&page));
            assert_eq!(page["has_more"], page["next_page"].is_string(), "{page}");
            let Some(next) = page["next_page"].as_str() else { break };
            cursor = format!("&page={next}");
        }
        assert!(starts.is_sorted() && starts.windows(2).all(|pair| pair[0] < pair[1]), "{starts:?}");
        assert_eq!(found.len(), 2, "{path} {step}");
        if path == COSTS {
            assert_eq!(cost_of(&found), amount("0.000038"), "{step}");
        }
    }
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_makes_no_sense_is_refused_by_its_name_and_who_may_not_is_turned_away(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let (id, key) = report_key(&world).await;
    let day = since(world.now);
    for (query, param) in [
        (String::new(), "start_time"),
        (format!("{day}&bucket_width=1m"), "bucket_width"),
        (format!("{day}&group_by=colour"), "group_by"),
        (format!("{day}&api_key_ids[]=mine"), "api_key_ids"),
        (format!("{day}&user_ids=ada"), "user_ids"),
        (format!("{day}&page=page_7"), "page"),
    ] {
        let refused = get(&world, &format!("{USAGE}?{query}"), key.expose()).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{query}");
        let error = body_of(refused).await["error"].take();
        assert_eq!((&error["param"], &error["type"]), (&json!(param), &json!("invalid_request_error")), "{query}");
        assert!(error["message"].as_str().is_some_and(|message| message.len() > 20), "{error}");
    }
    let unknown = ReportKey::from_random([9; 20]);
    assert_eq!(get(&world, &format!("{USAGE}?{day}"), unknown.expose()).await.status(), StatusCode::UNAUTHORIZED);
    for path in ["/v1/models", "/v1/credits", "/v1/key"] {
        let refused = get(&world, path, key.expose()).await;
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{path}");
        assert!(text(refused).await.contains("reads usage and costs"), "{path}");
    }
    assert_eq!(get(&world, &format!("{COSTS}?{day}"), key.expose()).await.status(), StatusCode::OK);
    let owner = world.ledger.system().account(world.account);
    owner.revoke_report_key(id, world.now).await.unwrap();
    let refused = get(&world, &format!("{COSTS}?{day}"), key.expose()).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "from the next request on");
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn who_asks_too_often_is_told_when_to_ask_again_and_calls_go_on(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let (_, key) = report_key(&world).await;
    let path = format!("{COSTS}?{}", since(world.now));
    let mut answers = Vec::new();
    for _ in 0..61 {
        answers.push(get(&world, &path, key.expose()).await);
    }
    let refused = answers.pop().unwrap();
    assert!(answers.iter().all(|answer| answer.status() == StatusCode::OK));
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers()[header::RETRY_AFTER].to_str().unwrap().parse::<u64>().unwrap() <= 60);
    assert_eq!(body_of(refused).await["error"]["code"], "rate_limit_exceeded");
    assert_eq!(world.post(chat("hello", "")).await.status(), StatusCode::OK);
    world.stop().await;
}
