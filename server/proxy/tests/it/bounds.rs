//! Nothing keeps a call alive beyond its bounds, and whoever leaves before them pays what is owed.

use std::time::Duration;

use domain::{
    call::{Outcome, UsageSource},
    catalog::DisconnectPolicy,
    money::Amount,
    tokens::Tokens,
};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use proxy::Settings;
use sqlx::PgPool;
use tokio::{
    net::{TcpSocket, TcpStream},
    time::{Instant, interval, interval_at, timeout},
};

use crate::{
    upstream::COMPLETION_TOKENS,
    world::{Policy, World, amount, call_id, chat, eventually, settings, text},
};

/// A bound that a test waits for.
const SHORT: Duration = Duration::from_millis(200);
/// One in which something else must happen first.
const ENOUGH: Duration = Duration::from_secs(2);
/// What must have happened by then has not.
const DEADLINE: Duration = Duration::from_secs(120);

fn tokens(count: i64) -> Option<Tokens> {
    Some(Tokens::from_sum(count))
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_upstream_that_always_has_more_does_not_keep_a_call_alive(pool: PgPool) {
    let bounds = Settings { call_timeout: ENOUGH, drain_timeout: SHORT, ..settings() };
    let world = World::bounded(&pool, Policy::default(), bounds).await;
    let response = world.post(chat("endless", r#","stream":true"#)).await;
    let id = call_id(&response);
    let mut body = response.into_body();
    // Slower than the upstream, so that there is always more to read.
    let mut ticks = interval(Duration::from_millis(5));
    let reading = async {
        while body.frame().await.expect("not as if it were whole").is_ok() {
            ticks.tick().await;
        }
    };
    timeout(DEADLINE, reading).await.expect("it is broken off");
    let call = world.detail(id).await;
    assert_eq!(call.row.source, UsageSource::Estimated);
    assert!(call.row.usage.completion_tokens > tokens(0));
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_reader_that_is_slower_than_its_call_may_take_pays_for_what_the_upstream_counted(pool: PgPool) {
    let world = World::bounded(&pool, Policy::default(), Settings { call_timeout: SHORT, ..settings() }).await;
    let response = world.post(chat("long", r#","stream":true"#)).await;
    let id = call_id(&response);
    let mut body = response.into_body();
    assert!(body.frame().await.is_some_and(|frame| frame.is_ok()));
    interval_at(Instant::now() + 2 * SHORT, ENOUGH).tick().await;
    assert!(body.collect().await.is_err(), "it comes back too late");
    let call = world.detail(id).await;
    assert_eq!((call.row.outcome, call.row.source), (Outcome::ClientLeft, UsageSource::Upstream));
    assert_eq!(call.row.usage.completion_tokens, tokens(COMPLETION_TOKENS));
    world.stop().await;
}

/// An upstream has a second to close its answer once it has marked the end; a client has as long as it takes.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_reader_that_is_behind_at_the_end_has_it_whole(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let response = world.post(chat("in one piece", r#","stream":true"#)).await;
    let id = call_id(&response);
    let mut body = response.into_body();
    let mut read = body.frame().await.unwrap().unwrap().into_data().unwrap().to_vec();
    interval_at(Instant::now() + ENOUGH, ENOUGH).tick().await;
    read.extend(body.collect().await.expect("it is whole").to_bytes());
    assert!(read.ends_with(b"data: [DONE]\n\n"));
    assert_eq!(world.detail(id).await.row.outcome, Outcome::Ok);
    world.stop().await;
}

/// Whose connection stays open all the while.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_reader_that_takes_nothing_for_too_long_pays_for_what_the_upstream_counted(pool: PgPool) {
    let world = World::bounded(&pool, Policy::default(), Settings { idle_timeout: ENOUGH, ..settings() }).await;
    let (mut request, body) = world.request(chat("huge", r#","stream":true"#)).into_parts();
    request.uri = "/v1/chat/completions".parse().unwrap();
    request.headers.insert("host", "gateway".parse().unwrap());
    let served = world.serve().await;
    let socket = TcpSocket::new_v4().unwrap();
    // Else the system reads on for it.
    socket.set_recv_buffer_size(4_096).unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket.connect(served.address).await.unwrap())).await.unwrap();
    let mut connection = Box::pin(connection);
    let response = tokio::select! {
        response = sender.send_request(Request::from_parts(request, body)) => response.unwrap(),
        _ = &mut connection => panic!("it answers"),
    };
    let id = response.headers()["x-request-id"].to_str().unwrap().parse().unwrap();
    let call = served.detail(id).await;
    assert_eq!((call.row.outcome, call.row.source), (Outcome::ClientLeft, UsageSource::Upstream));
    assert_eq!(call.row.usage.completion_tokens, tokens(COMPLETION_TOKENS));
    drop((connection, response));
    served.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn whoever_leaves_before_the_first_word_pays_for_the_prompt(pool: PgPool) {
    let world = World::bounded(&pool, Policy::default(), Settings { drain_timeout: SHORT, ..settings() }).await;
    let response = world.post(chat("silent", r#","stream":true"#)).await;
    let id = call_id(&response);
    drop(response);
    let call = world.detail(id).await;
    assert_eq!((call.row.outcome, call.row.source), (Outcome::ClientLeft, UsageSource::Estimated));
    assert_eq!(call.row.usage.completion_tokens, tokens(0));
    assert!(call.row.amount > Amount::ZERO);
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn whoever_waits_hears_that_it_failed_also_while_the_books_are_away(pool: PgPool) {
    let bounds = Settings { upstream_first_byte_timeout: ENOUGH, ..settings() };
    let world = World::bounded(&pool, Policy::default(), bounds).await;
    let forwarded = eventually(async || (!world.upstream.received().is_empty()).then_some(()));
    let away = async {
        forwarded.await;
        world.ledger.close().await;
    };
    let call = timeout(DEADLINE, async { tokio::join!(world.post(chat("hold", "")), away) });
    assert_eq!(call.await.expect("the books are not waited for").0.status(), StatusCode::GATEWAY_TIMEOUT);
}

/// The other customer's calls are posted by the same transactions.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_account_that_somebody_has_locked_keeps_nobody_elses_last_bytes_waiting(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let another = world.another_customer("1").await;
    let waiting = world.post(chat("gate", r#","stream":true"#)).await;
    let id = call_id(&waiting);
    let mut lock = pool.begin().await.unwrap();
    sqlx::query("select from grants where account_id = $1 for update").bind(world.account.uuid()).execute(&mut *lock).await.unwrap();
    world.upstream.open_gate();
    for _ in 0..3 {
        let mut request = world.request(chat("hello", ""));
        request.headers_mut().insert("authorization", format!("Bearer {}", another.expose()).parse().unwrap());
        let answered = timeout(DEADLINE, async { text(world.send(request).await).await }).await;
        assert!(answered.expect("nobody waits for the lock").contains("One two"));
    }
    assert!(world.ledger.meter().generation(world.account, id).await.is_err(), "its own call waits");
    lock.rollback().await.unwrap();
    let whole = timeout(DEADLINE, text(waiting)).await.expect("the lock is gone");
    assert!(whole.ends_with("[DONE]\n\n"), "{whole}");
    assert_eq!(world.detail(id).await.row.outcome, Outcome::Ok);
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn while_the_books_are_shut_answers_end_and_their_holds_stay_until_they_are_posted(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let mut shut = pool.begin().await.unwrap();
    sqlx::query("lock table calls in access exclusive mode").execute(&mut *shut).await.unwrap();
    let response = world.post(chat("hello", "")).await;
    let id = call_id(&response);
    timeout(DEADLINE, response.into_body().collect()).await.expect("it ends").expect("it is whole");
    let meanwhile = world.ledger.meter().balance(world.account, world.now).await.unwrap();
    assert!(meanwhile.reserved > Amount::ZERO && meanwhile.balance == amount("1"), "{meanwhile:?}");

    shut.rollback().await.unwrap();
    let call = world.detail(id).await;
    assert_eq!(world.balance().await.checked_add(call.row.amount), Some(amount("1")));
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn whoever_leaves_with_a_picture_pays_what_the_upstream_counts(pool: PgPool) {
    let policy = Policy { on_disconnect: DisconnectPolicy::Cancel, ..Policy::default() };
    let world = World::with(&pool, "1", policy).await;
    let response = world.post(chat("pictures", r#","stream":true"#)).await;
    let id = call_id(&response);
    let mut body = response.into_body();
    assert!(body.frame().await.is_some_and(|frame| frame.is_ok()), "the picture has arrived");
    drop(body);
    world.upstream.open_gate();
    let call = world.detail(id).await;
    assert_eq!((call.row.outcome, call.row.source), (Outcome::ClientLeft, UsageSource::Upstream));
    assert_eq!(call.row.usage.completion_tokens, tokens(COMPLETION_TOKENS));
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_upstream_that_never_answers_costs_only_whoever_did_not_wait(pool: PgPool) {
    let bounds = Settings { upstream_first_byte_timeout: 2 * ENOUGH, ..settings() };
    let world = World::bounded(&pool, Policy::default(), bounds).await;
    assert_eq!(world.post(chat("hold", "")).await.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(world.balance().await, amount("1"));

    let before = world.upstream.received().len();
    let forwarded = eventually(async || (world.upstream.received().len() > before).then_some(()));
    tokio::select! {
        _ = world.post(chat("hold", "")) => panic!("nothing is answered"),
        () = forwarded => {} // and the client leaves
    }
    eventually(async || (world.ledger.meter().balance(world.account, world.now).await.unwrap().balance < amount("1")).then_some(())).await;
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn whoever_leaves_an_upstream_that_could_not_be_reached_pays_nothing(pool: PgPool) {
    let policy = Policy { on_disconnect: DisconnectPolicy::Cancel, ..Policy::default() };
    let mut world = World::with(&pool, "1", policy).await;
    // Its queue is full, so that connecting takes for ever.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(1).unwrap();
    let address = full.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(connected) = timeout(SHORT, TcpStream::connect(address)).await {
        queued.push(connected.unwrap());
    }
    world.move_provider(&format!("http://{address}/v1")).await;

    assert!(timeout(SHORT, world.post(chat("hello", ""))).await.is_err(), "the client leaves before anything is answered");
    let (account, ledger) = (world.account, world.stop().await);
    let balance = ledger.meter().balance(account, chrono::Utc::now()).await.unwrap();
    assert_eq!((balance.balance, balance.reserved), (amount("1"), Amount::ZERO));
}
