//! An upstream on loopback. It gives the answer that was prepared for it; without one it speaks chat completions, and does what the last message of the
//! request says.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::State,
    response::{IntoResponse, Response},
    routing::post,
};
use futures_util::{StreamExt, stream};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};

/// Counted by this upstream for every answer.
pub(crate) const PROMPT_TOKENS: i64 = 9;
/// Counted by this upstream for every answer.
pub(crate) const COMPLETION_TOKENS: i64 = 5;
/// What it answers, a chunk each.
pub(crate) const WORDS: [&str; 5] = ["One", " two", " three", " four", " five"];
/// Its error, byte for byte.
pub(crate) const ERROR: &str = "{\"error\": {\"message\":\"slow down\",\"type\":\"rate_limit\"}}\n";

pub(crate) struct Upstream {
    pub(crate) base_url: String,
    shared: Arc<Shared>,
    /// Ends with the upstream.
    _serving: JoinSet<std::io::Result<()>>,
}

struct Shared {
    received: Mutex<Vec<(HeaderMap, Bytes)>>,
    prepared: Mutex<Option<Given>>,
    /// What waits for the gate goes on when this has permits.
    gate: Semaphore,
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        Self::start_at("127.0.0.1:0").await
    }

    pub(crate) async fn start_at(address: &str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let shared = Arc::new(Shared { received: Mutex::default(), prepared: Mutex::default(), gate: Semaphore::new(0) });
        let router = Router::new().route("/v1/{*path}", post(answer)).with_state(Arc::clone(&shared));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await });
        Self { base_url, shared, _serving: serving }
    }

    /// Gives this answer to the next request.
    pub(crate) fn prepare(&self, answer: Prepared) {
        *self.shared.prepared.lock().unwrap() = Some(Given::AtOnce(answer));
    }

    /// Gives this stream to the next request: so many of its events at once, and the others when the gate is open. With `None`, the head waits there, too.
    pub(crate) fn prepare_events(&self, events: Vec<Bytes>, at_once: Option<usize>) {
        *self.shared.prepared.lock().unwrap() = Some(Given::InTurn(events, at_once));
    }

    /// What was forwarded so far.
    pub(crate) fn received(&self) -> Vec<(HeaderMap, Bytes)> {
        self.shared.received.lock().unwrap().clone()
    }

    /// How often something was.
    pub(crate) fn asked(&self) -> usize {
        self.shared.received.lock().unwrap().len()
    }

    /// Lets everything go on that waits, or will.
    pub(crate) fn open_gate(&self) {
        self.shared.gate.add_permits(1_000);
    }

    /// What comes from now on waits again.
    pub(crate) fn shut_gate(&self) {
        self.shared.gate.forget_permits(usize::MAX);
    }
}

/// What was prepared.
enum Given {
    AtOnce(Prepared),
    InTurn(Vec<Bytes>, Option<usize>),
}

/// An answer, byte for byte.
#[derive(Clone)]
pub(crate) struct Prepared {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) bytes: Bytes,
    /// It is broken off there.
    pub(crate) breaks: bool,
}

impl Prepared {
    fn into_response(self) -> Response {
        let end = self.breaks.then(|| Err(std::io::Error::other("broken")));
        let pieces = stream::iter(std::iter::once(Ok(self.bytes)).chain(end)).then(async |piece| {
            if piece.is_err() {
                // What came before is written first.
                tokio::task::yield_now().await;
            }
            piece
        });
        let mut response = Body::from_stream(pieces).into_response();
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap();
        response.headers_mut().insert(header::CONTENT_TYPE, self.content_type.parse().unwrap());
        response
    }
}

async fn answer(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    shared.received.lock().unwrap().push((headers, body.clone()));
    let given = shared.prepared.lock().unwrap().take();
    match given {
        Some(Given::AtOnce(prepared)) => return prepared.into_response(),
        Some(Given::InTurn(events, at_once)) => return in_turn(shared, events, at_once).await,
        None => {}
    }
    let request: Value = serde_json::from_slice(&body).unwrap();
    let script = request["messages"][0]["content"].as_str().unwrap_or_default().to_owned();
    match script.as_str() {
        "error" => return (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "7")], ERROR).into_response(),
        "redirect" => return (StatusCode::FOUND, [(header::LOCATION, "http://127.0.0.1:1/")]).into_response(),
        script if script.starts_with("refuses ") => return refusal(script),
        script if script.starts_with("hold") => shared.gate.acquire().await.unwrap().forget(),
        _ => {}
    }
    let (prompt, completion) = reported(&script).unwrap_or((PROMPT_TOKENS, COMPLETION_TOKENS));
    let usage = json!({ "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion });
    if request["stream"] == true {
        return events(shared, &script, request["stream_options"]["include_usage"] == true, &usage);
    }
    let mut answer = json!({ "id": "x", "model": "vendor/real", "choices": [{ "index": 0, "message": { "content": WORDS.concat() }, "finish_reason": "stop" }] });
    if script != "no usage" {
        answer["usage"] = usage;
    }
    if script == "nothing" {
        return StatusCode::TOO_MANY_REQUESTS.into_response();
    }
    if script == "a few words" {
        return ([(header::CONTENT_TYPE, "text/plain")], "Please wait.").into_response();
    }
    if script == "compressed" {
        return compressed(&answer);
    }
    Json(answer).into_response()
}

async fn in_turn(shared: Arc<Shared>, events: Vec<Bytes>, at_once: Option<usize>) -> Response {
    if at_once.is_none() {
        shared.gate.acquire().await.unwrap().forget();
    }
    let events = stream::iter(events.into_iter().enumerate()).then(move |(index, event)| {
        let shared = Arc::clone(&shared);
        async move {
            if Some(index) == at_once {
                shared.gate.acquire().await.unwrap().forget();
            }
            Ok::<_, Infallible>(event)
        }
    });
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(events)).into_response()
}

/// `refuses 401` makes it refuse the operator so, with what it has as the credential in its words.
fn refusal(script: &str) -> Response {
    let (status, code) = match script.trim_start_matches("refuses ") {
        "streams" => (StatusCode::UNPROCESSABLE_ENTITY, "unknown member: stream_options"),
        "402" => (StatusCode::PAYMENT_REQUIRED, "no_credit"),
        "403" => (StatusCode::FORBIDDEN, "no_permission"),
        "429" => (StatusCode::TOO_MANY_REQUESTS, "insufficient_quota"),
        _ => (StatusCode::UNAUTHORIZED, "invalid_api_key"),
    };
    let error = json!({ "error": { "message": "Incorrect API key provided: sk-up****eam", "type": code, "code": code } });
    (status, [(header::RETRY_AFTER, "7")], Json(error)).into_response()
}

/// `reports 7 5`, and `hold 7 5` too, makes it report those two counts.
fn reported(script: &str) -> Option<(i64, i64)> {
    let (prompt, completion) = script.strip_prefix("reports ").or_else(|| script.strip_prefix("hold "))?.split_once(' ')?;
    Some((prompt.parse().ok()?, completion.parse().ok()?))
}

fn compressed(answer: &Value) -> Response {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut gzip, answer.to_string().as_bytes()).unwrap();
    ([(header::CONTENT_TYPE, "application/json"), (header::CONTENT_ENCODING, "gzip")], gzip.finish().unwrap()).into_response()
}

fn events(shared: Arc<Shared>, script: &str, include_usage: bool, usage: &Value) -> Response {
    let chunk = |choices: Value| {
        let mut chunk = json!({ "id": "x", "model": "vendor/real", "choices": choices });
        if include_usage {
            chunk["usage"] = Value::Null;
        }
        format!("data: {chunk}\n\n")
    };
    let mut events: Vec<_> = WORDS.iter().map(|word| chunk(json!([{ "index": 0, "delta": { "content": word } }]))).collect();
    events.push(chunk(json!([{ "index": 0, "delta": {}, "finish_reason": "stop" }])));
    if include_usage && script != "no usage" {
        events.push(format!("data: {}\n\n", json!({ "id": "x", "model": "vendor/real", "choices": [], "usage": usage })));
    }
    events.push("data: [DONE]\n\n".to_owned());
    if script == "pictures" {
        let picture = json!({ "type": "image_url", "image_url": { "url": "data:image/png;base64,AAAA" } });
        events[0] = chunk(json!([{ "index": 0, "delta": { "images": [picture] } }]));
    }
    if script == "stays open" {
        events.push("\n".to_owned());
    }
    if let Some(times) = match script {
        "long" => Some(200),
        // More than the buffers of both ends of a connection hold.
        "huge" => Some(20_000),
        _ => None,
    } {
        let words = events[..WORDS.len()].to_vec();
        events.splice(..0, std::iter::repeat_n(words, times).flatten());
    }
    if script == "in one piece" {
        events = vec![events.concat()];
    }
    let waits_before = match script {
        "silent" => 0,
        "gate" | "break" => 3,
        "pictures" => 1,
        "stays open" => events.len() - 1,
        _ => usize::MAX,
    };
    let breaks = script == "break";
    let rounds = if script == "endless" { usize::MAX } else { 1 };
    if rounds > 1 {
        events.truncate(WORDS.len());
    }
    let events = std::iter::repeat_n(events, rounds).flatten();
    let events = stream::iter(events.enumerate()).then(move |(index, event)| {
        let shared = Arc::clone(&shared);
        async move {
            if index == waits_before {
                shared.gate.acquire().await.unwrap().forget();
            }
            if breaks && index == 3 { Err(std::io::Error::other("broken")) } else { Ok(Bytes::from(event)) }
        }
    });
    let body = Body::from_stream(events);
    match script {
        "unsaid" => body.into_response(),
        "mislabelled" => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        _ => ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response(),
    }
}
