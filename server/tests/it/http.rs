//! Just enough of an HTTP client.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
};

use serde_json::Value;

use crate::farebox::PATIENCE;

/// An answer whose head has arrived.
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    body: BufReader<TcpStream>,
}

impl Answer {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The cookies that it sets, with what the browser is told of them.
    pub(crate) fn cookies(&self) -> impl Iterator<Item = &str> {
        self.head.lines().filter_map(|line| line.strip_prefix("set-cookie: "))
    }

    /// The one of them that is a session's.
    pub(crate) fn cookie(&self) -> &str {
        let session = self.cookies().find(|cookie| cookie.split('=').next().is_some_and(|name| name.ends_with("farebox")));
        session.unwrap_or_else(|| panic!("no session in {}", self.head))
    }

    /// How many bytes the rest of the answer is.
    pub(crate) fn size(mut self) -> usize {
        self.body.read_to_end(&mut Vec::new()).unwrap_or_default()
    }

    /// The rest of the answer, or what came of it before the connection broke.
    pub(crate) fn text(mut self) -> String {
        let mut bytes = Vec::new();
        let _ = self.body.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The rest of the answer, as JSON.
    pub(crate) fn json(self) -> Value {
        let text = self.text();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Blocks until another line has arrived.
    pub(crate) fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.body.read_line(&mut line).is_ok_and(|bytes| bytes > 0).then_some(line)
    }
}

/// Asks with a key, as a client of the proxy does.
pub(crate) fn ask(url: &str, path: &str, key: &str, body: Option<&Value>) -> std::io::Result<Answer> {
    let headers = format!("Authorization: Bearer {key}\r\nContent-Type: application/json\r\n");
    send(method(body.is_some()), url, path, &headers, body.map(Value::to_string))
}

/// Opens a page, or sends a form from one, as a browser does.
pub(crate) fn browse(url: &str, path: &str, cookie: &str, form: Option<&str>) -> std::io::Result<Answer> {
    let headers = format!("Cookie: {cookie}\r\nSec-Fetch-Site: same-origin\r\nContent-Type: application/x-www-form-urlencoded\r\n");
    send(method(form.is_some()), url, path, &headers, form.map(str::to_owned))
}

/// Reads a page, saying only this.
pub(crate) fn get(url: &str, path: &str, headers: &str) -> std::io::Result<Answer> {
    send("GET", url, path, headers, None)
}

/// Sends a form that says of itself what these headers say.
pub(crate) fn send_form(url: &str, path: &str, headers: &str, form: &str) -> std::io::Result<Answer> {
    let headers = format!("{headers}Content-Type: application/x-www-form-urlencoded\r\n");
    send("POST", url, path, &headers, Some(form.to_owned()))
}

/// Asks as a browser does, which reads what is compressed: for a page, or with a body of this type.
pub(crate) fn browse_packed(url: &str, path: &str, cookie: &str, body: Option<(&str, &str)>) -> std::io::Result<Answer> {
    let (kind, body) = body.unzip();
    let kind = kind.unwrap_or("text/plain");
    let headers =
        format!("Cookie: {cookie}\r\nSec-Fetch-Site: same-origin\r\nContent-Type: {kind}\r\nAccept-Encoding: gzip, deflate, br\r\n");
    send(method(body.is_some()), url, path, &headers, body.map(str::to_owned))
}

/// Asks what a browser asks before a page of another origin may send a call.
pub(crate) fn preflight(url: &str, path: &str) -> std::io::Result<Answer> {
    let headers = "Origin: app://notes.example\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization\r\n";
    send("OPTIONS", url, path, headers, None)
}

/// Tells something, as another server does.
pub(crate) fn tell(url: &str, path: &str, headers: &str, body: &str) -> std::io::Result<Answer> {
    send("POST", url, path, headers, Some(body.to_owned()))
}

const fn method(has_body: bool) -> &'static str {
    if has_body { "POST" } else { "GET" }
}

/// HTTP/1.0, so that the body is all that follows the head.
fn send(method: &str, url: &str, path: &str, headers: &str, body: Option<String>) -> std::io::Result<Answer> {
    let host = url.strip_prefix("http://").unwrap_or(url);
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let body = body.unwrap_or_default();
    // At once: of several small pieces the second would wait until the first is acknowledged.
    let request = format!("{method} {path} HTTP/1.0\r\nHost: {host}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes())?;
    let mut body = BufReader::new(stream);
    let mut head = String::new();
    while body.read_line(&mut head)? > 0 && !head.ends_with("\r\n\r\n") {}
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok(Answer { status: status.ok_or_else(|| std::io::Error::other(format!("not HTTP: {head}")))?, head, body })
}
