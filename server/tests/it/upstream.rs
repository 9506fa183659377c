//! Upstreams: one that gives everybody the same answer, and one that counts as it is told to.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned, pki_types::PrivateKeyDer};
use serde_json::Value;

const ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1767225600,"model":"small","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1000,"completion_tokens":500,"total_tokens":1500}}"#;

/// What it says of its usage.
const USAGE: &str = r#"{"prompt_tokens":1000,"completion_tokens":500,"total_tokens":1500}"#;

/// The tokens of it.
pub(crate) const ANSWER_TOKENS: usize = 1500;

/// What an upstream was asked, and whether it answers yet.
#[derive(Default)]
pub(crate) struct Gate {
    asked: AtomicUsize,
    shut: Mutex<()>,
}

impl Gate {
    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Nothing is answered until what this returns is dropped.
    pub(crate) fn shut(&self) -> MutexGuard<'_, ()> {
        self.shut.lock().expect("whoever shut it has opened it")
    }
}

/// Starts it on a free port, for as long as the tests run. Returns the base URL for a provider.
pub(crate) fn start() -> String {
    start_gated().0
}

/// The same, with its gate, which is open.
pub(crate) fn start_gated() -> (String, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let its = Arc::clone(&gate);
    let port = listen(move |stream| answer_all(stream, &its));
    (format!("http://127.0.0.1:{port}/v1"), gate)
}

/// Starts it over TLS, where it shows a certificate for `localhost`. Returns its port, and the certificate in PEM.
pub(crate) fn start_tls() -> (u16, String) {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certified.cert.der().clone()], key);
    let config = Arc::new(config.expect("the key is the certificate's"));
    let port = listen(move |stream| {
        let connection = ServerConnection::new(Arc::clone(&config)).ok()?;
        answer_all(StreamOwned::new(connection, stream), &Gate::default())
    });
    (port, certified.cert.pem())
}

/// What an upstream has counted, call by call.
#[derive(Default)]
pub(crate) struct Tally {
    /// What a call waits at that is to be answered later.
    pub(crate) gate: Gate,
    requests: AtomicUsize,
    calls: Mutex<HashMap<usize, Counted>>,
}

/// What it has counted of a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    /// How often it was asked.
    pub(crate) times: usize,
    /// Tokens.
    pub(crate) prompt: i64,
    pub(crate) completion: i64,
}

impl Tally {
    /// What it says of the call of this number.
    pub(crate) fn of(&self, call: usize) -> Counted {
        self.calls.lock().expect("no upstream has panicked").get(&call).copied().unwrap_or_default()
    }

    /// How often it was asked for anything, whatever that was.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    fn answer_all(&self, stream: TcpStream) -> Option<()> {
        let mut requests = BufReader::new(stream);
        loop {
            let request = next(&mut requests)?;
            self.requests.fetch_add(1, Ordering::SeqCst);
            let request: Value = serde_json::from_slice(&request).ok()?;
            let mut words = request["messages"][0]["content"].as_str()?.split(' ');
            let mut number = || words.next()?.parse::<i64>().ok();
            let (prompt, completion, call) = (number()?, number()?, usize::try_from(number()?).ok()?);
            let is_later = words.next() == Some("later");
            let usage = format!(r#"{{"prompt_tokens":{prompt},"completion_tokens":{completion}}}"#);
            let is_stream = request["stream"] == true;
            let times = self.of(call).times + 1;
            self.calls.lock().expect("no upstream has panicked").insert(call, Counted { times, prompt, completion });
            let stream = requests.get_mut();
            if is_stream {
                begin_stream(stream)?;
            }
            if is_later {
                self.gate.asked.fetch_add(1, Ordering::SeqCst);
                drop(self.gate.shut.lock()); // whatever became of who had shut it
            }
            if is_stream { end_stream(stream, &usage)? } else { write_json(stream, &ANSWER.replace(USAGE, &usage))? }
        }
    }
}

/// Starts one whose usage is what the prompt says: two numbers, of prompt and completion tokens, and the call's own, by which it remembers them; `later`
/// behind that waits, a stream in its middle, until the gate is open. Returns the base URL for a provider, and what it counts.
pub(crate) fn start_counting() -> (String, Arc<Tally>) {
    let tally = Arc::new(Tally::default());
    let its = Arc::clone(&tally);
    let port = listen(move |stream| its.answer_all(stream));
    (format!("http://127.0.0.1:{port}/v1"), tally)
}

/// Starts one that has begun its streams, and nothing else, before its gate is open. Returns the base URL for a provider, and the gate.
pub(crate) fn start_slow() -> (String, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let its = Arc::clone(&gate);
    let port = listen(move |stream| {
        let mut requests = BufReader::new(stream);
        let request: Value = serde_json::from_slice(&next(&mut requests)?).ok()?;
        let stream = requests.get_mut();
        if request["stream"] == true {
            begin_stream(stream)?;
        }
        its.asked.fetch_add(1, Ordering::SeqCst);
        drop(its.shut.lock()); // whatever became of who had shut it
        if request["stream"] == true { end_stream(stream, USAGE) } else { write_json(stream, ANSWER) }
    });
    (format!("http://127.0.0.1:{port}/v1"), gate)
}

/// Five words, one write each.
fn begin_stream(stream: &mut impl Write) -> Option<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n").ok()?;
    (0..5).try_for_each(|_| write_event(stream, r#"{"choices":[{"index":0,"delta":{"content":"word "},"finish_reason":null}]}"#))
}

/// The usage.
fn end_stream(stream: &mut impl Write, usage: &str) -> Option<()> {
    let last = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
    let usage = format!(r#"{{"choices":[],"usage":{usage}}}"#);
    [last, &usage, "[DONE]"].into_iter().try_for_each(|event| write_event(stream, event))?;
    stream.write_all(b"0\r\n\r\n").ok()
}

fn write_event(stream: &mut impl Write, event: &str) -> Option<()> {
    let event = format!("data: {event}\n\n");
    stream.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).ok()?;
    stream.flush().ok()
}

/// Serves each connection on a thread of its own. Returns the port.
fn listen(serve: impl Fn(TcpStream) -> Option<()> + Clone + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A stream's second event does not wait until the first is acknowledged.
            stream.set_nodelay(true).expect("it was accepted");
            let serve = serve.clone();
            thread::spawn(move || serve(stream));
        }
    });
    port
}

/// Answers request after request, until the connection ends.
fn answer_all(stream: impl Read + Write, gate: &Gate) -> Option<()> {
    let mut requests = BufReader::new(stream);
    loop {
        next(&mut requests)?;
        gate.asked.fetch_add(1, Ordering::SeqCst);
        drop(gate.shut.lock()); // whatever became of who had shut it
        write_json(requests.get_mut(), ANSWER)?;
    }
}

/// The body of the next request; `None` when there is no other.
fn next(requests: &mut BufReader<impl Read>) -> Option<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        requests.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    requests.read_exact(&mut body).ok()?;
    Some(body)
}

fn write_json(stream: &mut impl Write, body: &str) -> Option<()> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).ok()?;
    stream.flush().ok()
}
