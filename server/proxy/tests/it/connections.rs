//! What stands on a connection, byte by byte.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use domain::tokens::Tokens;
use http::{StatusCode, header};
use proxy::Settings;
use serde_json::Value;
use sqlx::PgPool;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};

use crate::world::{Policy, Served, World, call_id, chat, eventually, settings, text};

/// What must have happened by then has not.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The head of a call with these lines in it, each with its end; the body is to follow.
pub(crate) fn head(key: &str, lines: &str) -> String {
    format!("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n{lines}\r\n")
}

/// A call, whole.
pub(crate) fn call(key: &str) -> String {
    let body = chat("hello", "");
    format!("{}{body}", head(key, &format!("Content-Length: {}\r\n", body.len())))
}

/// What comes back on a connection of its own, up to its end.
pub(crate) async fn send(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    read_all(&mut stream).await
}

pub(crate) async fn read_all(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("it is closed").unwrap();
    String::from_utf8(answer).unwrap()
}

/// What has come once the whole head of an answer has.
pub(crate) async fn read_head(stream: &mut TcpStream) -> String {
    let mut answer = String::new();
    let reading = async {
        while !answer.contains("\r\n\r\n") {
            let mut piece = [0; 1024];
            let read = stream.read(&mut piece).await.unwrap();
            assert!(read > 0, "{answer}");
            answer.push_str(std::str::from_utf8(&piece[..read]).unwrap());
        }
    };
    timeout(DEADLINE, reading).await.expect("it is answered");
    answer
}

pub(crate) async fn served(pool: &PgPool, bounds: Settings) -> (Served, String) {
    let world = World::bounded(pool, Policy::default(), bounds).await;
    let key = world.key.expose().to_owned();
    (world.serve().await, key)
}

pub(crate) fn check(answer: &str, status: StatusCode, said: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {} ", status.as_u16())), "{said}: {answer}");
    assert!(answer.contains("connection: close\r\n") && answer.contains(said), "{said}: {answer}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "one answer only: {answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("x-request-id: "), "{answer}");
    assert!(
        status == StatusCode::OK || serde_json::from_str::<Value>(body).is_ok_and(|body| body["error"]["code"].is_string()),
        "{answer}"
    );
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_request_that_two_readers_may_take_differently_is_the_last_of_its_connection(pool: PgPool) {
    let (served, key) = served(&pool, settings()).await;
    let (length, body) = (chat("hello", "").len(), chat("hello", ""));
    let chunked = format!("{length:x}\r\n{body}\r\n0\r\n\r\n");
    let both = "it has both a content-length and a transfer-encoding";
    let not_chunked = "not chunked alone";
    for (lines, said) in [
        (format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n"), both),
        (format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"), both),
        ("Transfer-Encoding: gzip, chunked\r\n".to_owned(), not_chunked),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n".to_owned(), not_chunked),
        ("Host: y\r\nTransfer-Encoding: chunked\r\n".to_owned(), "no Host, or more than one"),
        ("Connection: upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n".to_owned(), "another protocol"),
        ("X-Bare: 1\nTransfer-Encoding: chunked\r\n".to_owned(), "line feed"),
    ] {
        let bytes = format!("{}{chunked}{}", head(&key, &lines), call(&key));
        check(&send(served.address, bytes.as_bytes()).await, StatusCode::BAD_REQUEST, said);
    }
    let hostless = call(&key).replace("Host: x\r\n", "");
    check(&send(served.address, hostless.as_bytes()).await, StatusCode::BAD_REQUEST, "no Host");
    assert!(served.upstream.received().is_empty());
    served.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_head_that_cannot_be_read_is_told_why_also_behind_a_request_that_was_served(pool: PgPool) {
    let (served, key) = served(&pool, settings()).await;
    for unreadable in [
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length : 3\r\n\r\nabc".to_owned(),
        "GET /v1/models\r\n\r\n".to_owned(),
        head(&key, "X-Folded: a\r\n b\r\n"),
        head(&key, "Content-Length: -3\r\n"),
        format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(17 * 1024)),
    ] {
        let status = if unreadable.len() > 16 * 1024 { StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE } else { StatusCode::BAD_REQUEST };
        check(&send(served.address, unreadable.as_bytes()).await, status, "\"code\":");
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(call(&key).as_bytes()).await.unwrap();
        let (mut first, second) = (String::new(), unreadable.as_bytes());
        while !first.contains("One two three") {
            first += &read_head(&mut stream).await;
        }
        stream.write_all(second).await.unwrap();
        check(&read_all(&mut stream).await, status, "\"code\":");
    }
    served.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_request_of_unknown_length_is_served_and_the_last_of_its_connection(pool: PgPool) {
    let (served, key) = served(&pool, settings()).await;
    let body = chat("hello", "");
    let offered = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n";
    let bytes = format!("{}{:x}\r\n{body}\r\n0\r\n\r\n{}", head(&key, offered), body.len(), call(&key));
    check(&send(served.address, bytes.as_bytes()).await, StatusCode::OK, "One two three");
    assert_eq!(served.upstream.asked(), 1);
    served.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_key_with_a_line_feed_is_told_so_and_nothing_after_it_is_served(pool: PgPool) {
    let (served, key) = served(&pool, settings()).await;
    let body = chat("hello", "");
    let torn = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer {key}\n\r\nContent-Length: {}\r\n\r\n{body}{}",
        body.len(),
        call(&key)
    );
    check(&send(served.address, torn.as_bytes()).await, StatusCode::BAD_REQUEST, "line feed");
    let no_length = format!("{}{}", head(&key, ""), call(&key));
    check(&send(served.address, no_length.as_bytes()).await, StatusCode::LENGTH_REQUIRED, "neither a content-length");
    if let Some(folder) = std::env::var_os("FAREBOX_TEST_DATA") {
        let case = std::fs::read_to_string(PathBuf::from(folder).join("cases/key-with-line-feed.http")).unwrap();
        check(&send(served.address, case.replace("$KEY", &key).as_bytes()).await, StatusCode::BAD_REQUEST, "line feed");
    }
    assert!(served.upstream.received().is_empty());
    served.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_body_is_not_asked_for_only_to_be_thrown_away(pool: PgPool) {
    let (served, key) = served(&pool, settings()).await;
    for (key, length, status) in
        [(key.as_str(), 41_943_040, StatusCode::PAYLOAD_TOO_LARGE), ("sk-fb_wrong", 20 * 1024 * 1024, StatusCode::UNAUTHORIZED)]
    {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        let waits = head(key, &format!("Content-Length: {length}\r\nExpect: 100-continue\r\n"));
        stream.write_all(waits.as_bytes()).await.unwrap();
        check(&read_all(&mut stream).await, status, "\"error\"");
    }
    // Whoever is welcome is asked for it.
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let body = chat("hello", "");
    let waits = head(&key, &format!("Content-Length: {}\r\nExpect: 100-continue\r\nConnection: close\r\n", body.len()));
    stream.write_all(waits.as_bytes()).await.unwrap();
    assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 100 "));
    stream.write_all(body.as_bytes()).await.unwrap();
    assert!(read_all(&mut stream).await.starts_with("HTTP/1.1 200 "));
    served.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_refusal_does_not_wait_for_the_rest_of_the_body_and_is_not_lost_over_it(pool: PgPool) {
    let (served, _) = served(&pool, Settings { body_bytes_max: 8 * 1024 * 1024, ..settings() }).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    // More than both ends of a connection buffer.
    let rest = vec![b'x'; 6 * 1024 * 1024];
    stream.write_all(head("sk-fb_wrong", &format!("Content-Length: {}\r\n", rest.len() + 1)).as_bytes()).await.unwrap();
    stream.write_all(b"x").await.unwrap();
    let answer = read_head(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("connection: close"), "{answer}");
    timeout(DEADLINE, stream.write_all(&rest)).await.expect("it is read on").expect("it is not reset");
    stream.shutdown().await.unwrap();
    read_all(&mut stream).await;
    served.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_head_is_bounded_in_bytes_headers_and_time(pool: PgPool) {
    let bounds = Settings { header_timeout: Duration::from_millis(300), keep_alive_timeout: Duration::from_secs(2), ..settings() };
    let (served, key) = served(&pool, bounds).await;
    let large = head(&key, &format!("X-Large: {}\r\n", "x".repeat(17 * 1024)));
    let many = head(&key, &"X-Many: 1\r\n".repeat(65));
    for bytes in [large, many] {
        check(&send(served.address, bytes.as_bytes()).await, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "head_too_large");
    }
    for slow in ["", "POST /v1/chat"] {
        assert_eq!(send(served.address, slow.as_bytes()).await, "", "{slow:?} is not waited for");
    }
    // Between two requests there is more time, as is announced.
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(call(&key).as_bytes()).await.unwrap();
    let answer = read_head(&mut stream).await;
    assert!(answer.contains("keep-alive: timeout=2\r\n") && !answer.contains("connection: close"), "{answer}");
    assert!(timeout(Duration::from_secs(1), read_until_closed(&mut stream)).await.is_err(), "it stays open");
    stream.write_all(call(&key).as_bytes()).await.unwrap();
    assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 200 "));
    timeout(DEADLINE, read_until_closed(&mut stream)).await.expect("it is closed then");
    served.stop().await;
}

async fn read_until_closed(stream: &mut TcpStream) {
    while stream.read(&mut [0; 1024]).await.unwrap() > 0 {}
}

/// It accepts the connection, and never agrees on TLS.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_upstream_that_accepts_and_stays_silent_is_not_waited_for(pool: PgPool) {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("https://{}/v1", silent.local_addr().unwrap());
    let world = World::bounded(&pool, Policy::default(), Settings { connect_timeout: Duration::from_millis(300), ..settings() }).await;
    world.ledger.system().set_provider_url("loopback", &base_url).await.unwrap();
    // As soon as the proxy knows of the new address.
    let refused = eventually(async || Some(world.post(chat("hello", "")).await).filter(|answer| answer.status() != StatusCode::OK)).await;
    assert_eq!((refused.status(), &refused.headers()["x-should-retry"]), (StatusCode::BAD_GATEWAY, &"true".parse().unwrap()));
    world.stop().await;
}

/// Chunks say where an answer ends (RFC 9112, section 6.3). Whoever is shown the other length takes five bytes for all of it.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_length_beside_chunks_is_not_passed_on(pool: PgPool) {
    const ANSWER: &str = r#"{"choices":[{"message":{"content":"One"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}"#;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"}") {
            assert!(stream.read_buf(&mut request).await.unwrap() > 0);
        }
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(format!("{head}{:x}\r\n{ANSWER}\r\n0\r\n\r\n", ANSWER.len()).as_bytes()).await.unwrap();
    });
    let mut world = World::new(&pool, "1").await;
    world.move_provider(&base_url).await;
    let answer = world.post(chat("hello", "")).await;
    assert_eq!((answer.status(), answer.headers().get(header::CONTENT_LENGTH)), (StatusCode::OK, None));
    let id = call_id(&answer);
    assert_eq!(text(answer).await, ANSWER);
    let usage = world.detail(id).await.row.usage;
    assert_eq!((usage.prompt_tokens.map(Tokens::get), usage.completion_tokens.map(Tokens::get)), (Some(3), Some(1)));
    serving.join_next().await.unwrap().unwrap();
    world.stop().await;
}
