//! Requests that two readers may take for different ones, byte by byte: each is the last of its connection, and nothing in it is served.

use super::{
    Attack, Target,
    wire::{call, head, send},
};

pub(super) const ATTACK: Attack = Attack { kind: "what two readers may take differently", memory_max: 64, load: smuggle };

/// What would be served by whoever sees the end of the request before it elsewhere.
fn body() -> &'static str {
    r#"{"model":"small","messages":[{"role":"user","content":"10 5 1"}]}"#
}

/// What each of them is, and its bytes, of a key that has credit.
fn shapes(key: &str) -> Vec<(&'static str, String)> {
    let body = body();
    let length = body.len();
    let chunked = format!("{length:x}\r\n{body}\r\n0\r\n\r\n");
    let with = |lines: &str, body: &str| format!("{}{body}", head(key, lines));
    let coded = "Transfer-Encoding: chunked\r\n";
    let sized = format!("Content-Length: {length}\r\n");
    vec![
        ("a length and a coding", with(&format!("{sized}{coded}"), &chunked)),
        ("a coding and a length", with(&format!("{coded}{sized}"), &chunked)),
        ("a coding and a length of nothing", with(&format!("{coded}Content-Length: 0\r\n"), &chunked)),
        ("two lengths", with(&format!("{sized}Content-Length: {}\r\n", length + 1), body)),
        ("two lengths in one", with(&format!("Content-Length: {length}, {}\r\n", length + 1), body)),
        ("a length with a sign", with(&format!("Content-Length: +{length}\r\n"), body)),
        ("a negative length", with("Content-Length: -1\r\n", body)),
        ("a length that is too large for a number", with("Content-Length: 18446744073709551617\r\n", body)),
        ("a hexadecimal length", with(&format!("Content-Length: 0x{length:x}\r\n"), body)),
        ("chunked and something else", with("Transfer-Encoding: chunked, identity\r\n", &chunked)),
        ("something else and chunked", with("Transfer-Encoding: identity, chunked\r\n", &chunked)),
        ("not chunked", with("Transfer-Encoding: xchunked\r\n", &chunked)),
        ("chunked twice", with(&format!("{coded}{coded}"), &chunked)),
        ("chunked behind a vertical tab", with("Transfer-Encoding: \x0bchunked\r\n", &chunked)),
        ("a folded line", with(&format!("X-Folded: 1\r\n {coded}{sized}"), body)),
        ("a folded coding", with("Transfer-Encoding:\r\n chunked\r\n", &chunked)),
        ("a bare line feed", with(&format!("X-Bare: 1\n{coded}"), &chunked)),
        ("a bare carriage return", with(&format!("X-Bare: 1\r{coded}"), &chunked)),
        ("a blank before a colon", with(&format!("Transfer-Encoding : chunked\r\n{sized}"), body)),
        ("a zero byte in a name", with(&format!("Transfer-Encoding\0: chunked\r\n{sized}"), body)),
        ("a zero byte in a value", with(&format!("X-Zero: \0\r\n{sized}"), body)),
        ("no name", with(&format!(": 1\r\n{sized}"), body)),
        ("no colon", with(&format!("Nothing\r\n{sized}"), body)),
        ("two hosts", with(&format!("Host: y\r\n{sized}"), body)),
        ("no host", with(&sized, body).replace("Host: x\r\n", "")),
        ("another protocol", with(&format!("Connection: upgrade\r\nUpgrade: websocket\r\n{sized}"), body)),
        ("neither a length nor a coding", with("", body)),
        ("a chunk that is too large for a number", with(coded, &format!("fffffffffffffffff\r\n{body}\r\n0\r\n\r\n"))),
        ("a negative chunk", with(coded, &format!("-1\r\n{body}\r\n0\r\n\r\n"))),
        ("a chunk of no size", with(coded, &format!("\r\n{body}\r\n0\r\n\r\n"))),
        ("a chunk that is longer than it says", with(coded, &format!("1\r\n{body}\r\n0\r\n\r\n"))),
        ("no blank in the first line", format!("POST\r\nHost: x\r\n{sized}\r\n{body}")),
        ("HTTP/0.9", "GET /v1/models\r\n".to_owned()),
        ("HTTP/1.2", with(&sized, body).replace("HTTP/1.1", "HTTP/1.2")),
        ("HTTP/1.1 with a coding under 1.0", with(coded, &chunked).replace("HTTP/1.1", "HTTP/1.0")),
    ]
}

fn expect_nothing_served(target: &Target<'_>) {
    let next = String::from_utf8(call(target.rich, body().as_bytes())).expect("text");
    for (shape, bytes) in shapes(target.rich) {
        send(target.url, format!("{bytes}{next}").as_bytes()).expect_refusal(&[400, 411, 431], "", shape);
    }
    // HTTP/2's opening, which has no answer in HTTP/1.1.
    assert_eq!(send(target.url, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").0, "");
}

/// The address may name a host of its own (RFC 9112, section 3.2.2). It is nobody's to choose where a call goes.
fn expect_no_other_host(target: &Target<'_>) {
    let absolute = |key: &str| {
        let call = String::from_utf8(call(key, body().as_bytes())).expect("text");
        call.replacen(" /v1/", " http://169.254.169.254/v1/", 1)
    };
    send(target.url, absolute(target.poor).as_bytes()).expect_refusal(&[429], "insufficient_quota", "an address with a host");
    let models =
        format!("GET http://169.254.169.254/v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\nx-api-key: {}\r\n\r\n", target.rich);
    let told = send(target.url, models.as_bytes()).0;
    assert!(told.starts_with("HTTP/1.1 200 ") && told.contains(r#""id":"small""#), "{told}");
}

fn smuggle(target: &Target<'_>) {
    expect_nothing_served(target);
    expect_no_other_host(target);
}
