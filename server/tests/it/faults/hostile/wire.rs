//! Bytes on connections, as nobody's client library sends them.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    thread,
};

use serde_json::Value;

use crate::farebox::PATIENCE;

/// The head of a call, with these lines in it, each with its end.
pub(super) fn head(key: &str, lines: &str) -> String {
    format!("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n{lines}\r\n")
}

/// A call with this body, the only one of its connection.
pub(super) fn call(key: &str, body: &[u8]) -> Vec<u8> {
    [head(key, &format!("Connection: close\r\nContent-Length: {}\r\n", body.len())).as_bytes(), body].concat()
}

pub(super) fn connect(url: &str) -> TcpStream {
    let stream = TcpStream::connect(url.strip_prefix("http://").unwrap_or(url)).expect("it is accepted");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream
}

/// All that comes back on a connection of its own up to its end, which must come by itself.
pub(super) fn send(url: &str, bytes: &[u8]) -> Said {
    let mut stream = connect(url);
    let mut said = Vec::new();
    thread::scope(|scope| {
        let mut writing = stream.try_clone().expect("a second handle");
        scope.spawn(move || writing.write_all(bytes)); // as far as it is taken
        let ended = stream.read_to_end(&mut said);
        let is_open = ended.is_err_and(|error| matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut));
        assert!(!is_open, "the connection stays open: {}", bytes[..bytes.len().min(300)].escape_ascii());
        let _ = stream.shutdown(Shutdown::Both); // whoever still writes need not
    });
    Said(String::from_utf8_lossy(&said).into_owned())
}

/// What came back on a connection.
#[derive(Debug)]
pub(super) struct Said(pub(super) String);

impl Said {
    /// That it is one refusal and nothing after it, with one of these statuses, and says why in JSON.
    pub(super) fn expect_refusal(&self, statuses: &[u16], code: &str, of: &str) {
        let Self(text) = self;
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{of}: no answer: {text:?}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        assert!(status.is_some_and(|status| statuses.contains(&status)), "{of}: {text}");
        let error: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{of}: {error}: {text}"));
        assert!(error["error"]["code"].as_str().is_some_and(|said| said == code || code.is_empty()), "{of}: {text}");
        assert!(head.contains("x-request-id: ") && head.contains("connection: close"), "{of}: {text}");
    }
}
