//! Clients that send as little as keeps a connection open.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use super::{
    Attack, Target,
    bodies::request,
    is_long,
    wire::{Said, connect, head},
};

pub(super) const ATTACK: Attack = Attack {
    kind: "clients that take their time",
    // Of each connection little more than its buffers is kept.
    memory_max: 64,
    load: dawdle,
};

pub(super) const CRUMBS: Attack = Attack { kind: "bodies in single bytes", memory_max: 64, load: send_crumbs };

const HEADS: usize = 500;
const BODIES: usize = 100;
const EVERY: Duration = Duration::from_secs(1);
/// How long a head may take, and a body.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const BODY_TIMEOUT: Duration = Duration::from_secs(300);
/// A busy machine is late by so much.
const LATE: Duration = Duration::from_secs(20);

/// A connection to which something is sent a byte at a time.
struct Trickle {
    stream: TcpStream,
    left: std::vec::IntoIter<u8>,
    said: Vec<u8>,
    begun: Instant,
    /// How long it was open.
    closed_after: Option<Duration>,
}

impl Trickle {
    /// What comes first is sent at once.
    fn new(url: &str, first: &str, then: &str) -> Self {
        let mut stream = connect(url);
        stream.write_all(first.as_bytes()).expect("it is accepted");
        stream.set_nonblocking(true).expect("it can be");
        let left = then.as_bytes().to_vec().into_iter();
        Self { stream, left, said: Vec::new(), begun: Instant::now(), closed_after: None }
    }

    /// Sends another byte, unless it is closed.
    fn go_on(&mut self) {
        if self.closed_after.is_some() {
            return;
        }
        let mut piece = [0; 4096];
        match self.stream.read(&mut piece) {
            Ok(length) if length > 0 => return self.said.extend(&piece[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            _ => return self.closed_after = Some(self.begun.elapsed()),
        }
        let byte = self.left.next().expect("it is closed before all is sent");
        let _ = self.stream.write(&[byte]); // whether it is closed is read
    }
}

/// Sends a byte of each every second until it is so, and returns whether that was before the deadline.
fn trickle_until(deadline: Instant, trickles: &mut [Trickle], is_so: impl Fn(&[Trickle]) -> bool) -> bool {
    while !is_so(trickles) {
        if Instant::now() > deadline {
            return false;
        }
        let next = Instant::now() + EVERY;
        trickles.iter_mut().for_each(Trickle::go_on);
        while let Some(left) = next.checked_duration_since(Instant::now()) {
            thread::park_timeout(left);
        }
    }
    true
}

/// A byte of each, again and again, so that each is read by itself, into a buffer of kilobytes.
fn send_crumbs(target: &Target<'_>) {
    const AT_ONCE: usize = 200;
    const BYTES: usize = 200;
    /// In which all of them are read.
    const PAUSE: Duration = Duration::from_millis(15);
    let body = request("", BYTES);
    let head = head(target.poor, &format!("Connection: close\r\nContent-Length: {BYTES}\r\n"));
    let mut streams: Vec<_> = (0..AT_ONCE).map(|_| connect(target.url)).collect();
    for stream in &mut streams {
        stream.set_nodelay(true).expect("it can be");
        stream.write_all(head.as_bytes()).expect("it is read");
    }
    for byte in body {
        streams.iter_mut().for_each(|stream| stream.write_all(&[byte]).expect("it is read"));
        thread::park_timeout(PAUSE);
    }
    for mut stream in streams {
        let mut said = String::new();
        stream.read_to_string(&mut said).expect("it is answered");
        Said(said).expect_refusal(&[429], "insufficient_quota", "a body in single bytes");
    }
}

fn dawdle(target: &Target<'_>) {
    let (endless, begun) = ("x".repeat(1_000), Instant::now());
    let call = head(target.poor, "Content-Length: 1000\r\n");
    // A first byte later than that is no sooner.
    let heads = (0..HEADS).map(|_| Trickle::new(target.url, "", &format!("POST /v1/chat/completions HTTP/1.1\r\nX-Slow: {endless}")));
    let mut trickles: Vec<_> = heads.collect();
    trickles.extend((0..BODIES).map(|_| Trickle::new(target.url, &call, &endless)));
    let are_closed = |trickles: &[Trickle]| trickles.iter().all(|trickle| trickle.closed_after.is_some());
    assert!(trickle_until(begun + HEAD_TIMEOUT + LATE, &mut trickles, |all| are_closed(&all[..HEADS])), "heads are waited for");
    for head in &trickles[..HEADS] {
        assert!(head.said.is_empty(), "nobody knows what to answer: {}", head.said.escape_ascii());
        assert!(head.closed_after.is_some_and(|after| after >= HEAD_TIMEOUT), "it has all the time that is said");
    }
    let bodies = &mut trickles[HEADS..];
    assert!(bodies.iter().all(|body| body.closed_after.is_none() && body.said.is_empty()), "a body has more time");
    if is_long() {
        assert!(trickle_until(begun + BODY_TIMEOUT + LATE, bodies, are_closed), "bodies are waited for");
        for body in bodies {
            assert!(body.closed_after.is_some_and(|after| after >= BODY_TIMEOUT));
            Said(String::from_utf8_lossy(&body.said).into_owned()).expect_refusal(&[408], "request_timeout", "a slow body");
        }
    }
}
