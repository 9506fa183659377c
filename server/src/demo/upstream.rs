//! An upstream on loopback that speaks OpenAI chat completions as the real one does: token by token, usage only if asked, errors on request.
//!
//! Whoever wants an error asks for it: a last message that starts with `error 429` is answered with that status.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::Context;
use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, State, rejection::JsonRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::ListenerExt,
};
use chrono::Utc;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::answer::{Answer, PromptCache, Request};
use crate::config::hex;

/// The models that it knows, each with the time that it takes for a token: one quick enough for tests, one that people can watch.
pub(super) const MODELS: [(&str, Duration); 2] = [("demo-mini", Duration::from_millis(5)), ("demo-large", Duration::from_millis(30))];

/// Tokens' time that passes before the first one.
const THINKING: u32 = 4;

const BODY_BYTES_MAX: usize = 32 << 20;

/// The running upstream.
#[derive(Debug)]
pub(crate) struct Upstream {
    address: SocketAddr,
    stop: CancellationToken,
    server: JoinSet<std::io::Result<()>>,
}

impl Upstream {
    /// Starts it on a free port.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("demo upstream")?;
        let address = listener.local_addr()?;
        // Each token is a packet of its own, which Nagle would hold back.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let stop = CancellationToken::new();
        let serving = axum::serve(listener, router()).with_graceful_shutdown(stop.clone().cancelled_owned());
        let mut server = JoinSet::new();
        server.spawn(serving.into_future());
        Ok(Self { address, stop, server })
    }

    /// What a provider's `base_url` is.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Stops it, once nobody calls it any more.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        while let Some(ended) = self.server.join_next().await {
            ended??;
        }
        Ok(())
    }
}

fn router() -> Router {
    Router::new()
        .route("/v1/chat/completions", post(complete))
        .route("/v1/models", get(models))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(Arc::new(Mutex::new(PromptCache::default())))
}

async fn models() -> Json<Value> {
    let models = MODELS.map(|(name, _)| json!({ "id": name, "object": "model", "created": 0, "owned_by": "demo" }));
    Json(json!({ "object": "list", "data": models }))
}

async fn complete(State(cache): State<Arc<Mutex<PromptCache>>>, request: Result<Json<Request>, JsonRejection>) -> Response {
    let request = match request {
        Ok(Json(request)) => request,
        Err(rejection) => return error(rejection.status(), "invalid_request_error", &rejection.body_text()),
    };
    let Some((_, pace)) = MODELS.iter().find(|(name, _)| *name == request.model) else {
        return error(StatusCode::NOT_FOUND, "invalid_request_error", &format!("The model `{}` does not exist", request.model));
    };
    if let Some(status) = request.wanted_error() {
        return error(status, "demo_error", &format!("You asked for status {}", status.as_u16()));
    }
    if let Err(problem) = request.check() {
        return error(StatusCode::BAD_REQUEST, "invalid_request_error", problem);
    }
    let answer = {
        let mut cache = cache.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Answer::to(&request, &mut cache)
    };
    let call = Call {
        id: format!("chatcmpl-{}", hex(&rand::random::<[u8; 12]>())),
        created: Utc::now().timestamp(),
        model: request.model.clone(),
    };
    if request.stream {
        let events = call.events(&answer, request.wants_usage());
        return (([(header::CONTENT_TYPE, "text/event-stream; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")]), paced(events, *pace))
            .into_response();
    }
    let tokens = answer.choices.iter().map(|choice| choice.pieces.len()).max().unwrap_or_default();
    tokio::time::sleep(*pace * (THINKING + u32::try_from(tokens).unwrap_or_default())).await;
    Json(call.body(&answer)).into_response()
}

fn error(status: StatusCode, kind: &str, message: &str) -> Response {
    (status, Json(json!({ "error": { "message": message, "type": kind, "param": null, "code": null } }))).into_response()
}

/// A body that sends each event when its time has come.
fn paced(events: Vec<String>, pace: Duration) -> Body {
    let first = pace * THINKING;
    let events = stream::unfold((events.into_iter(), first), move |(mut events, wait)| async move {
        let event = events.next()?;
        tokio::time::sleep(wait).await;
        Some((Ok::<_, Infallible>(Bytes::from(event)), (events, pace)))
    });
    Body::from_stream(events)
}

/// What every part of one answer repeats.
struct Call {
    id: String,
    created: i64,
    model: String,
}

impl Call {
    /// The whole answer as one object.
    fn body(&self, answer: &Answer) -> Value {
        let choices: Vec<Value> = answer
            .choices
            .iter()
            .enumerate()
            .map(|(index, choice)| {
                let message = json!({ "role": "assistant", "content": choice.pieces.concat(), "refusal": null });
                json!({ "index": index, "message": message, "logprobs": null, "finish_reason": choice.finish_reason })
            })
            .collect();
        json!({
            "id": self.id, "object": "chat.completion", "created": self.created, "model": self.model,
            "choices": choices, "usage": answer.usage(),
        })
    }

    /// The answer as a stream of events: per choice its role, its tokens one by one, its end; then the usage if it is wanted.
    fn events(&self, answer: &Answer, wants_usage: bool) -> Vec<String> {
        let chunk = |choices: Value, usage: Value| {
            let mut chunk = json!({
                "id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model, "choices": choices,
            });
            if wants_usage {
                chunk["usage"] = usage;
            }
            format!("data: {chunk}\n\n")
        };
        let delta = |index: usize, delta: Value, finish_reason: Option<&str>| {
            chunk(json!([{ "index": index, "delta": delta, "logprobs": null, "finish_reason": finish_reason }]), Value::Null)
        };
        let choices = || answer.choices.iter().enumerate();
        let longest = choices().map(|(_, choice)| choice.pieces.len()).max().unwrap_or_default();

        let mut events: Vec<String> =
            choices().map(|(index, _)| delta(index, json!({ "role": "assistant", "content": "", "refusal": null }), None)).collect();
        for place in 0..longest {
            let pieces = choices().filter_map(|(index, choice)| Some((index, choice.pieces.get(place)?)));
            events.extend(pieces.map(|(index, piece)| delta(index, json!({ "content": piece }), None)));
        }
        events.extend(choices().map(|(index, choice)| delta(index, json!({}), Some(choice.finish_reason))));
        if wants_usage {
            events.push(chunk(json!([]), answer.usage()));
        }
        events.push("data: [DONE]\n\n".to_owned());
        events
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn events(request: Value) -> (Answer, Vec<String>) {
        let request: Request = serde_json::from_value(request).unwrap();
        let answer = Answer::to(&request, &mut PromptCache::default());
        let call = Call { id: "chatcmpl-1".to_owned(), created: 0, model: request.model.clone() };
        let events = call.events(&answer, request.wants_usage());
        (answer, events)
    }

    fn parse(event: &str) -> Value {
        serde_json::from_str(event.strip_prefix("data: ").unwrap().trim_end()).unwrap()
    }

    #[test]
    fn a_stream_says_its_usage_only_if_asked() {
        let messages = json!([{ "role": "user", "content": "Hello" }]);
        let (answer, asked) =
            events(json!({ "model": "demo-mini", "messages": messages, "stream": true, "stream_options": { "include_usage": true } }));
        let [.., last, done] = asked.as_slice() else { panic!("too few events") };
        assert_eq!(done, "data: [DONE]\n\n");
        assert_eq!(parse(last)["usage"], answer.usage());
        assert_eq!(parse(last)["choices"], json!([]));
        assert_eq!(parse(&asked[0])["usage"], Value::Null);
        let (_, unasked) = events(json!({ "model": "demo-mini", "messages": messages, "stream": true }));
        assert!(unasked.iter().all(|event| !event.contains("usage")));
    }

    #[test]
    fn a_stream_says_what_the_whole_answer_says() {
        let request = json!({ "model": "demo-mini", "messages": [{ "role": "user", "content": "Hello" }], "n": 2, "stream": true });
        let (answer, events) = events(request);
        for (index, choice) in answer.choices.iter().enumerate() {
            let chunks = events.iter().filter(|event| !event.contains("[DONE]")).map(|event| parse(event));
            let own: String = chunks
                .filter(|chunk| chunk["choices"][0]["index"] == json!(index))
                .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
                .collect();
            assert_eq!(own, choice.pieces.concat());
        }
    }
}
