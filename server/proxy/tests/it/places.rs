//! Places on the proxy's listener, and whose they are.

use std::net::SocketAddr;

use http::StatusCode;
use proxy::Settings;
use sqlx::PgPool;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
};

use crate::{
    connections::{call, check, head, read_all, read_head, send, served},
    world::{chat, eventually, settings},
};

const NO_PLACE: &str = "too_many_connections";

/// With one place for each address.
fn one_each() -> Settings {
    Settings { connections_per_address_max: 1, ..settings() }
}

/// From another address of this machine.
async fn connect_from_elsewhere(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    socket.connect(address).await.unwrap()
}

/// The last call of its connection, which its upstream answers when the gate is open.
fn held_call(key: &str, lines: &str) -> String {
    let body = chat("hold", "");
    format!("{}{body}", head(key, &format!("{lines}Connection: close\r\nContent-Length: {}\r\n", body.len())))
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn whoever_has_all_places_of_an_address_is_told_so_and_another_address_is_served(pool: PgPool) {
    let (served, key) = served(&pool, one_each()).await;
    let mut first = TcpStream::connect(served.address).await.unwrap();
    first.write_all(call(&key).as_bytes()).await.unwrap();
    assert!(read_head(&mut first).await.starts_with("HTTP/1.1 200 "));
    let answer = send(served.address, call(&key).as_bytes()).await;
    check(&answer, StatusCode::TOO_MANY_REQUESTS, NO_PLACE);
    assert!(answer.contains("x-should-retry: true\r\n") && answer.contains("retry-after: 1\r\n"), "{answer}");
    let mut other = connect_from_elsewhere(served.address).await;
    let last = call(&key).replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1);
    other.write_all(last.as_bytes()).await.unwrap();
    check(&read_all(&mut other).await, StatusCode::OK, "One two three");
    drop(first);
    eventually(async || send(served.address, last.as_bytes()).await.starts_with("HTTP/1.1 200 ").then_some(())).await;
    served.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_call_whose_client_has_left_keeps_its_place_to_its_end(pool: PgPool) {
    let (served, key) = served(&pool, one_each()).await;
    let mut leaving = TcpStream::connect(served.address).await.unwrap();
    leaving.write_all(held_call(&key, "").as_bytes()).await.unwrap();
    eventually(async || (served.upstream.asked() == 1).then_some(())).await;
    drop(leaving);
    let last = call(&key).replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1);
    for _ in 0..5 {
        check(&send(served.address, last.as_bytes()).await, StatusCode::TOO_MANY_REQUESTS, NO_PLACE);
    }
    served.upstream.open_gate();
    eventually(async || send(served.address, last.as_bytes()).await.starts_with("HTTP/1.1 200 ").then_some(())).await;
    served.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn behind_a_trusted_proxy_a_client_has_as_many_calls_as_an_address_has_connections(pool: PgPool) {
    let trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    let allowed_origins = vec!["*".parse().unwrap()];
    let (served, key) = served(&pool, Settings { trusted_proxies, allowed_origins, ..one_each() }).await;
    let [one, other] = ["X-Forwarded-For: 203.0.113.9, 192.0.2.1\r\n", "X-Forwarded-For: 192.0.2.2\r\n"];
    let mut running = TcpStream::connect(served.address).await.unwrap();
    running.write_all(held_call(&key, one).as_bytes()).await.unwrap();
    eventually(async || (served.upstream.asked() == 1).then_some(())).await;
    // The same client on another connection of the proxy, in the words of the API that is called, which a page in a browser may read, too.
    let of_page = format!("{one}Origin: https://app.example.com\r\n");
    let refused = send(served.address, held_call(&key, &of_page).replace("/v1/chat/completions", "/v1/messages").as_bytes()).await;
    check(&refused, StatusCode::TOO_MANY_REQUESTS, NO_PLACE);
    assert!(refused.contains(r#""type":"rate_limit_error""#), "{refused}");
    assert!(refused.contains("access-control-allow-origin: https://app.example.com\r\n"), "{refused}");
    let mut another = TcpStream::connect(served.address).await.unwrap();
    another.write_all(held_call(&key, other).as_bytes()).await.unwrap();
    eventually(async || (served.upstream.asked() == 2).then_some(())).await;
    served.upstream.open_gate();
    for stream in [&mut running, &mut another] {
        assert!(read_all(stream).await.starts_with("HTTP/1.1 200 "));
    }
    // Whoever comes from elsewhere is known by its own address, whatever it says.
    let mut first = connect_from_elsewhere(served.address).await;
    first.write_all(head("sk-fb_wrong", "X-Forwarded-For: 192.0.2.7\r\nContent-Length: 0\r\n").as_bytes()).await.unwrap();
    assert!(read_head(&mut first).await.starts_with("HTTP/1.1 401 "));
    let mut second = connect_from_elsewhere(served.address).await;
    second.write_all(head("sk-fb_wrong", "X-Forwarded-For: 192.0.2.8\r\nContent-Length: 0\r\n").as_bytes()).await.unwrap();
    check(&read_all(&mut second).await, StatusCode::TOO_MANY_REQUESTS, NO_PLACE);
    drop(first);
    served.stop().await;
}
