//! An upstream that gives everybody the same answer.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned, pki_types::PrivateKeyDer};

const ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1767225600,"model":"small","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1000,"completion_tokens":500,"total_tokens":1500}}"#;

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

/// Serves each connection on a thread of its own. Returns the port.
fn listen(serve: impl Fn(TcpStream) -> Option<()> + Clone + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
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
        requests.read_exact(&mut vec![0; length]).ok()?;
        gate.asked.fetch_add(1, Ordering::SeqCst);
        drop(gate.shut.lock()); // whatever became of who had shut it
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", ANSWER.len());
        let stream = requests.get_mut();
        stream.write_all(&[head.as_bytes(), ANSWER.as_bytes()].concat()).ok()?;
        stream.flush().ok()?;
    }
}
