//! From one provider to the next: when, for whose money, and when not.

use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use domain::{
    call::{Attempt, CallDetail, Failure, Outcome, UsageSource},
    catalog::{Api, DisconnectPolicy, Fallback, TimeOuts, UsageMode},
    id::{CallId, ProviderId},
    money::Amount,
    pricing::Excess,
};
use http::{Response, StatusCode};
use ledger::{NewProvider, ProviderChange, secrets::SecretKey};
use proxy::AnswerBody;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinSet,
};

use crate::{
    account::package,
    upstream::{ERROR, Prepared, Upstream},
    world::{CREDENTIAL, MODEL, World, amount, call_id, chat, eventually, json as json_of, text},
};

/// 9 × 0.001 / 1000 + 5 × 0.002 / 1000: the model's price, whoever answers.
const CHARGE: &str = "0.000019";
const FIRST: &str = "loopback";
const SECOND: &str = "second";
const THEIR_NAME: &str = "their/small";
/// A bound that a test waits for, in milliseconds, and one that it never comes to.
const SHORT: i64 = 300;
const LONG: i64 = 600_000;

fn fallback() -> Fallback {
    Fallback { provider: SECOND.to_owned(), upstream_name: THEIR_NAME.to_owned(), output_cap_field: None, opened: Vec::new() }
}

async fn add_provider(world: &World, name: &str, base_url: &str, apis: Option<&[Api]>) {
    let provider = NewProvider {
        id: ProviderId::new(world.now, rand::random()),
        name,
        base_url,
        credential: Some(SecretKey::from_bytes([7; 32]).seal("sk-second", name, [2; 24]).unwrap()),
        usage_mode: UsageMode::Forced,
        on_disconnect: DisconnectPolicy::Drain,
        allow_private: true,
        hide_cost: false,
        apis,
        time_outs: TimeOuts::default(),
        now: world.now,
    };
    world.ledger.system().add_provider(provider).await.unwrap();
}

/// A world whose model has a second provider.
pub(crate) async fn two_providers(pool: &PgPool) -> (World, Upstream) {
    let (mut world, second) = (World::new(pool, "1").await, Upstream::start().await);
    add_provider(&world, SECOND, &second.base_url, None).await;
    world.ledger.system().add_fallback(MODEL, &fallback()).await.unwrap();
    world.renew_proxy().await;
    (world, second)
}

/// An address where nobody is.
async fn nobody() -> String {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    format!("http://{address}/v1")
}

pub(crate) fn answers(status: u16) -> Prepared {
    Prepared { status, content_type: "application/json".to_owned(), bytes: Bytes::from_static(ERROR.as_bytes()), breaks: false }
}

async fn receipt(world: &World, response: &Response<AnswerBody>) -> CallDetail {
    world.detail(call_id(response)).await
}

/// Each as its provider, why, and its status.
fn tried(call: &CallDetail) -> Vec<(&str, Failure, Option<i32>)> {
    call.attempts.iter().map(|Attempt { provider, failure, http_status, .. }| (provider.as_str(), *failure, *http_status)).collect()
}

/// The receipt of a call that costs what the model costs.
async fn answered_by(world: &World, id: CallId, provider: &str) -> CallDetail {
    let call = world.detail(id).await;
    assert_eq!((call.row.outcome, call.row.source), (Outcome::Ok, UsageSource::Upstream), "{call:?}");
    assert_eq!((call.provider.as_str(), call.row.amount), (provider, amount(CHARGE)), "{call:?}");
    call
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn where_nobody_is_the_next_provider_answers_at_the_models_price(pool: PgPool) {
    let (mut world, second) = two_providers(&pool).await;
    let direct = text(world.post(chat("hello", "")).await).await;
    world.move_provider(&nobody().await).await;
    for (rest, stream) in [("", false), (r#","stream":true"#, true)] {
        let response = world.post(chat("hello", rest)).await;
        assert_eq!(response.status(), StatusCode::OK);
        let id = call_id(&response);
        let answer = text(response).await;
        assert!(if stream { answer.ends_with("data: [DONE]\n\n") && !answer.contains("usage") } else { answer == direct }, "{answer}");
        let call = answered_by(&world, id, SECOND).await;
        assert_eq!(tried(&call), [(FIRST, Failure::Unreachable, None)]);
        let told = json_of(world.get(&format!("/v1/generation?id={id}")).await).await["data"].take();
        let attempt = &told["attempts"][0];
        let said =
            json!({ "provider": FIRST, "failure": "unreachable", "http_status": null, "took_ms": attempt["took_ms"], "billed": false });
        assert_eq!((&told["provider"], attempt), (&json!(SECOND), &said));
    }
    let received = second.received();
    assert_eq!(received.len(), 2);
    for (headers, body) in received {
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&headers["authorization"], &body["model"]), (&"Bearer sk-second".parse().unwrap(), &json!(THEIR_NAME)));
        assert_eq!(body["max_tokens"], 1_000, "the cap holds there, too");
    }
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn whoever_is_asked_too_much_or_does_not_serve_now_is_passed_by_and_nobody_else(pool: PgPool) {
    let (world, second) = two_providers(&pool).await;
    for (status, failure) in [
        (429, Some(Failure::RateLimited)),
        (503, Some(Failure::Overloaded)),
        (529, Some(Failure::Overloaded)),
        // Whoever fails five times in a row is not asked any more.
        (400, None),
        (500, None),
        (502, None),
        (504, None),
        (404, None),
    ] {
        let (before, asked) = (world.balance().await, second.asked());
        world.upstream.prepare(answers(status));
        let response = world.post(chat("hello", r#","stream":true"#)).await;
        let (id, answered) = (call_id(&response), response.status());
        let said = text(response).await;
        let Some(failure) = failure else {
            assert_eq!((answered.as_u16(), said.as_str(), second.asked()), (status, ERROR, asked));
            let call = world.detail(id).await;
            assert_eq!((call.provider.as_str(), tried(&call), world.balance().await), (FIRST, vec![], before), "{status}");
            continue;
        };
        assert_eq!((answered, second.asked()), (StatusCode::OK, asked + 1), "{status}");
        let call = answered_by(&world, id, SECOND).await;
        assert_eq!(tried(&call), [(FIRST, failure, Some(i32::from(status)))]);
        assert_eq!(world.balance().await.checked_add(amount(CHARGE)), Some(before), "{status}: one answer is paid");
    }
    assert!(world.upstream.received().iter().all(|(headers, _)| headers["authorization"] == format!("Bearer {CREDENTIAL}")));
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn where_all_fail_the_last_ones_answer_is_passed_on_as_it_came_and_costs_nothing(pool: PgPool) {
    let (world, second) = two_providers(&pool).await;
    world.upstream.prepare(answers(503));
    // The second one refuses by itself, and says when to come again.
    let response = world.post(chat("error", "")).await;
    assert_eq!((response.status(), &response.headers()["retry-after"]), (StatusCode::TOO_MANY_REQUESTS, &"7".parse().unwrap()));
    let call = receipt(&world, &response).await;
    assert_eq!(text(response).await, ERROR);
    assert_eq!(
        (call.provider.as_str(), call.http_status, tried(&call)),
        (SECOND, Some(429), vec![(FIRST, Failure::Overloaded, Some(503))])
    );
    assert_eq!((call.row.outcome, call.row.amount), (Outcome::UpstreamError, Amount::ZERO));
    assert_eq!((second.asked(), world.balance().await), (1, amount("1")));
    world.stop().await;
}

/// Takes one request, and gives this answer once it is told to: none at all is a connection that breaks off.
async fn one_request(answer: &'static str) -> (String, oneshot::Receiver<()>, oneshot::Sender<()>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    let ((has_it, arrived), (go_on, told)) = (oneshot::channel(), oneshot::channel::<()>());
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
        has_it.send(()).unwrap();
        let _ = told.await;
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    (base_url, arrived, go_on, serving)
}

/// To its end, so that closing the connection is no reset before the answer.
async fn read_request(stream: &mut TcpStream) {
    let mut read = Vec::new();
    while !read.ends_with(b"}") {
        assert!(stream.read_buf(&mut read).await.unwrap() > 0, "{}", String::from_utf8_lossy(&read));
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_broke_off_when_the_request_was_there_is_not_sent_again(pool: PgPool) {
    let (mut world, second) = two_providers(&pool).await;
    let (base_url, _arrived, go_on, mut serving) = one_request("").await;
    world.move_provider(&base_url).await;
    drop(go_on);
    let response = world.post(chat("hello", "")).await;
    assert_eq!((response.status(), second.asked()), (StatusCode::BAD_GATEWAY, 0));
    let call = receipt(&world, &response).await;
    assert_eq!((call.provider.as_str(), tried(&call), call.row.amount), (FIRST, vec![], Amount::ZERO));
    serving.join_next().await.unwrap().unwrap();
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn whoever_hangs_up_meanwhile_is_not_billed_by_another_provider(pool: PgPool) {
    let (mut world, second) = two_providers(&pool).await;
    let (base_url, arrived, go_on, mut serving) = one_request("HTTP/1.1 503 busy\r\ncontent-length: 0\r\n\r\n").await;
    world.move_provider(&base_url).await;
    tokio::select! {
        _ = world.post(chat("hello", "")) => panic!("nothing is answered"),
        arrived = arrived => arrived.unwrap(), // and the client leaves
    }
    go_on.send(()).unwrap();
    serving.join_next().await.unwrap().unwrap();
    let (account, ledger) = (world.account, world.stop().await);
    let balance = ledger.meter().balance(account, Utc::now()).await.unwrap();
    assert_eq!((second.asked(), balance.balance, balance.reserved), (0, amount("1"), Amount::ZERO));
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_provider_where_a_member_is_not_opened_or_that_speaks_another_api_is_passed_over(pool: PgPool) {
    const MEMBER: &str = "web_search_options";
    let (mut world, second) = two_providers(&pool).await;
    let system = world.ledger.system();
    system.open_members(MODEL, &[MEMBER.to_owned()], &[]).await.unwrap();
    let ask = async |world: &World| {
        world.upstream.prepare(answers(503));
        let response = world.post(chat("hello", &format!(r#","{MEMBER}":{{}}"#))).await;
        (response.status(), receipt(world, &response).await.provider)
    };
    let passed_on = (StatusCode::SERVICE_UNAVAILABLE, FIRST.to_owned());
    world.renew_proxy().await;
    assert_eq!(ask(&world).await, passed_on);
    // Whatever is asked of that provider.
    system.open_members_of_provider(SECOND, &[MEMBER.to_owned()], &[]).await.unwrap();
    world.renew_proxy().await;
    assert_eq!((ask(&world).await, second.asked()), ((StatusCode::OK, SECOND.to_owned()), 1));
    system.open_members_of_provider(SECOND, &[], &[MEMBER.to_owned()]).await.unwrap();

    system.remove_fallback(MODEL, SECOND).await.unwrap();
    system.add_fallback(MODEL, &Fallback { opened: vec![MEMBER.to_owned()], ..fallback() }).await.unwrap();
    world.renew_proxy().await;
    assert_eq!((ask(&world).await, second.asked()), ((StatusCode::OK, SECOND.to_owned()), 2));

    let messages = ProviderChange { apis: Some(&[Api::Messages]), ..ProviderChange::default() };
    system.change_provider(SECOND, messages.clone()).await.unwrap();
    world.renew_proxy().await;
    assert_eq!((ask(&world).await, second.asked()), (passed_on, 2));
    // It is asked first where the other does not speak the API, and refused where nobody does.
    system.change_provider(FIRST, messages).await.unwrap();
    world.renew_proxy().await;
    let refused = world.post(chat("hello", "")).await;
    assert_eq!(refused.status(), StatusCode::NOT_FOUND);
    assert!(text(refused).await.contains("/v1/chat/completions"));
    system.change_provider(SECOND, ProviderChange { apis: Some(&[Api::Chat]), ..ProviderChange::default() }).await.unwrap();
    world.renew_proxy().await;
    let response = world.post(chat("hello", "")).await;
    let (id, _) = (call_id(&response), text(response).await);
    assert_eq!(tried(&answered_by(&world, id, SECOND).await), []);
    world.stop().await;
}

/// Which a lenient account's call might pass at any, if money paid for it.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_call_that_a_package_pays_goes_to_a_provider_that_takes_what_loosens_its_bound_and_to_no_other(pool: PgPool) {
    const MEMBER: &str = "prediction";
    let (mut world, second) = two_providers(&pool).await;
    let (account, system) = (world.account, world.ledger.system());
    system.operator().change_credit_line(account, "test", |line| line.excess = Excess::Charged).await.unwrap();
    package(&world, 100_000).await;
    let asked = chat("hello", &format!(r#","{MEMBER}":{{"type":"content","content":"Hi"}}"#));
    system.open_members_of_provider(SECOND, &[MEMBER.to_owned()], &[]).await.unwrap();
    world.renew_proxy().await;
    assert_eq!((world.post(&*asked).await.status(), world.upstream.asked(), second.asked()), (StatusCode::OK, 0, 1));
    // The first alone takes it: where that is away, the other is not asked.
    system.open_members_of_provider(SECOND, &[], &[MEMBER.to_owned()]).await.unwrap();
    system.open_members_of_provider(FIRST, &[MEMBER.to_owned()], &[]).await.unwrap();
    world.renew_proxy().await;
    world.upstream.prepare(answers(503));
    assert_eq!((world.post(&*asked).await.status(), second.asked()), (StatusCode::SERVICE_UNAVAILABLE, 1));
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_running_proxy_takes_up_what_is_added_and_asks_nobody_who_is_disabled(pool: PgPool) {
    let (world, second) = (World::new(&pool, "1").await, Upstream::start().await);
    add_provider(&world, SECOND, &second.base_url, None).await;
    let system = world.ledger.system();
    system.add_fallback(MODEL, &fallback()).await.unwrap();
    let by = async || {
        let response = world.post(chat("hello", "")).await;
        if response.status() == StatusCode::OK { Some(receipt(&world, &response).await.provider) } else { None }
    };
    system.disable_provider(FIRST, Some(world.now)).await.unwrap();
    eventually(async || (by().await.as_deref() == Some(SECOND)).then_some(())).await;
    system.disable_provider(SECOND, Some(world.now)).await.unwrap();
    eventually(async || by().await.is_none().then_some(())).await;
    system.disable_provider(FIRST, None).await.unwrap();
    eventually(async || (by().await.as_deref() == Some(FIRST)).then_some(())).await;
    let asked = second.asked();
    world.upstream.prepare(answers(503));
    assert_eq!((world.post(chat("hello", "")).await.status(), second.asked()), (StatusCode::SERVICE_UNAVAILABLE, asked));
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_provider_that_keeps_failing_is_passed_over_until_a_probe_finds_it_well(pool: PgPool) {
    let (mut world, second) = two_providers(&pool).await;
    let base_url = nobody().await;
    world.move_provider(&base_url).await;
    let call = async |world: &World| {
        let response = world.post(chat("hello", "")).await;
        let (id, _) = (call_id(&response), text(response).await);
        world.detail(id).await
    };
    for _ in 0..5 {
        assert_eq!(tried(&call(&world).await), [(FIRST, Failure::Unreachable, None)]);
    }
    let passed_over = call(&world).await;
    assert_eq!((passed_over.provider.as_str(), tried(&passed_over)), (SECOND, vec![]), "it was not even asked");

    let address = base_url.strip_prefix("http://").and_then(|rest| rest.strip_suffix("/v1")).unwrap();
    let back = Upstream::start_at(address).await;
    assert_eq!(call(&world).await.provider, SECOND, "nobody knows yet");
    // Its time out is ten seconds.
    eventually(async || (call(&world).await.provider == FIRST).then_some(())).await;
    let asked = second.asked();
    assert_eq!((call(&world).await.provider.as_str(), second.asked(), back.asked()), (FIRST, asked, 2));
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn whoever_was_passed_over_is_asked_last_where_all_others_fail(pool: PgPool) {
    let (mut world, second) = two_providers(&pool).await;
    let base_url = nobody().await;
    world.move_provider(&base_url).await;
    for _ in 0..5 {
        assert_eq!(world.post(chat("hello", "")).await.status(), StatusCode::OK);
    }
    let address = base_url.strip_prefix("http://").and_then(|rest| rest.strip_suffix("/v1")).unwrap();
    let back = Upstream::start_at(address).await;
    // The first is passed over for ten seconds, and the second fails meanwhile.
    second.prepare(answers(503));
    let response = world.post(chat("hello", "")).await;
    let (id, _) = (call_id(&response), text(response).await);
    let call = answered_by(&world, id, FIRST).await;
    assert_eq!((tried(&call), back.asked()), (vec![(SECOND, Failure::Overloaded, Some(503))], 1));
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_model_that_nobody_else_answers_is_sent_however_its_provider_fares(pool: PgPool) {
    let mut world = World::new(&pool, "1").await;
    let base_url = nobody().await;
    world.move_provider(&base_url).await;
    for _ in 0..7 {
        assert_eq!(world.post(chat("hello", "")).await.status(), StatusCode::BAD_GATEWAY);
    }
    let address = base_url.strip_prefix("http://").and_then(|rest| rest.strip_suffix("/v1")).unwrap();
    let back = Upstream::start_at(address).await;
    assert_eq!((world.post(chat("hello", "")).await.status(), back.asked()), (StatusCode::OK, 1));
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn each_phase_of_a_provider_has_its_own_time_and_only_a_connection_that_was_not_made_goes_on(pool: PgPool) {
    let (mut world, second) = two_providers(&pool).await;
    let waits = async |world: &mut World, connect, first_byte, idle| {
        let time_outs = TimeOuts { connect_ms: Some(connect), first_byte_ms: Some(first_byte), idle_ms: Some(idle) };
        world.ledger.system().change_provider(FIRST, ProviderChange { time_outs, ..ProviderChange::default() }).await.unwrap();
        world.renew_proxy().await;
    };
    waits(&mut world, LONG, SHORT, LONG).await;
    let late = world.post(chat("hold", "")).await;
    assert_eq!((late.status(), second.asked()), (StatusCode::GATEWAY_TIMEOUT, 0), "it may have worked");
    let call = receipt(&world, &late).await;
    assert_eq!((call.provider.as_str(), tried(&call), call.row.amount), (FIRST, vec![], Amount::ZERO));

    waits(&mut world, LONG, LONG, SHORT).await;
    let still = world.post(chat("gate", r#","stream":true"#)).await;
    assert_eq!(still.status(), StatusCode::OK);
    let id = call_id(&still);
    let broken = http_body_util::BodyExt::collect(still.into_body()).await;
    assert!(broken.is_err(), "it breaks off when it has been still for too long");
    assert_eq!((world.detail(id).await.row.outcome, second.asked()), (Outcome::UpstreamError, 0));

    // It accepts the connection, and never agrees on TLS.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    waits(&mut world, SHORT, LONG, LONG).await;
    world.move_provider(&format!("https://{}/v1", silent.local_addr().unwrap())).await;
    let response = world.post(chat("hello", "")).await;
    let (id, _) = (call_id(&response), text(response).await);
    let call = answered_by(&world, id, SECOND).await;
    assert_eq!(tried(&call), [(FIRST, Failure::ConnectTimeout, None)]);
    let took = Duration::from_millis(u64::try_from(call.attempts[0].took_ms).unwrap());
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(10), "{took:?}");
    world.stop().await;
}
