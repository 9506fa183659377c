//! Bodies that are small to send and dear to read, or just large.

use std::{fmt::Write, thread};

use super::{
    Attack, Target,
    wire::{Said, call, head, send},
};

pub(super) const ATTACK: Attack = Attack {
    kind: "bodies that are dear to read",
    // Bodies of one account have 256 MiB together, and there are two. Each core puts one more together at a time, and what is freed is not given back at once.
    memory_max: 640,
    load: send_bodies,
};

const MIB: usize = 1024 * 1024;
/// The largest that is taken.
const BODY_MAX: usize = 32 * MIB;
const MEMBERS: usize = 1_000_000;
const DEPTH: usize = 100_000;
/// Each of them sends one body of each kind at once: together less than the 256 MiB that one account's may take, or some would be told to wait.
const AT_ONCE: usize = 2;

/// What is sent, by whose key, and what it is told.
struct Harm {
    kind: &'static str,
    bytes: Vec<u8>,
    status: u16,
    code: &'static str,
}

impl Harm {
    fn expect(&self, url: &str) {
        let said: Said = send(url, &self.bytes);
        said.expect_refusal(&[self.status], self.code, self.kind);
    }
}

/// A request with something more, and so many bytes of it that this is how long it is.
pub(super) fn request(more: &str, length: usize) -> Vec<u8> {
    let mut body = format!(r#"{{"model":"small","messages":[{{"role":"user","content":"10 5 1"}}]{more}"#).into_bytes();
    body.resize(length.max(body.len() + 1) - 1, b' ');
    body.push(b'}');
    body
}

fn members() -> Vec<u8> {
    let mut more = String::from(r#","metadata":{"first":0"#);
    for number in 1..MEMBERS {
        write!(more, r#","m{number}":{number}"#).expect("a text takes it");
    }
    request(&format!("{more}}}"), 0)
}

fn depth() -> Vec<u8> {
    request(&format!(r#","metadata":{}{}"#, "[".repeat(DEPTH), "]".repeat(DEPTH)), 0)
}

fn text() -> Vec<u8> {
    let mut body = br#"{"model":"small","messages":[{"role":"user","content":""#.to_vec();
    body.resize(BODY_MAX - 4, b'x');
    body.extend(br#""}]}"#);
    body
}

fn chunked(key: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = head(key, "Transfer-Encoding: chunked\r\n").into_bytes();
    for chunk in body.chunks(MIB) {
        bytes.extend([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

fn harms(target: &Target<'_>) -> Vec<Harm> {
    let harm = |kind, bytes, status, code| Harm { kind, bytes, status, code };
    let (rich, poor) = (target.rich, target.poor);
    vec![
        harm("a million members, with credit", call(rich, &members()), 400, "invalid_json"),
        harm("a million members, without", call(poor, &members()), 400, "invalid_json"),
        harm("depth, with credit", call(rich, &depth()), 400, "invalid_json"),
        harm("depth, without", call(poor, &depth()), 400, "invalid_json"),
        harm("32 MiB of text without credit", call(poor, &text()), 400, "context_length_exceeded"),
        harm("32 MiB of blanks without credit", call(poor, &request("", BODY_MAX)), 429, "insufficient_quota"),
        harm("33 MiB", call(poor, &request("", BODY_MAX + MIB)), 413, "request_too_large"),
        harm("33 MiB in chunks", chunked(poor, &request("", BODY_MAX + MIB)), 413, "request_too_large"),
    ]
}

fn send_bodies(target: &Target<'_>) {
    let harms = harms(target);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            for harm in &harms {
                scope.spawn(|| harm.expect(target.url));
            }
        }
    });
}
