//! The life of one call: hold, forward, relay, settle, post.
//!
//! A call is a task of its own, which owns the upstream from the hold to the posting. The client's connection only listens to it: when the client
//! leaves, the call goes on to its settlement. It is never free and never charged twice.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    catalog::{DisconnectPolicy, PriceVersion},
    id::CallId,
    money::Amount,
    pricing::{self, Discount},
};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use ledger::{Intent, KeyEntry, SettledCall};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout, timeout_at},
};

use crate::{
    Shared,
    auth::unavailable,
    bound::{Bound, Terms},
    catalog::{Entry, Target},
    client::{Client, RelayedBody, relayed_body},
    dialect::openai_chat::request::ChatRequest,
    reply::Refusal,
    settle::{Answer, End},
    splice::splice,
    tap::{Form, Tap},
    upstream::response_headers,
};

/// A call that was found to be in order, before credit is held for it.
pub(crate) struct Call {
    pub(crate) id: CallId,
    /// The instant inside the id.
    pub(crate) at: DateTime<Utc>,
    /// The same instant, by the clock that durations are measured with.
    pub(crate) started: Instant,
    pub(crate) key: Arc<KeyEntry>,
    pub(crate) entry: Arc<Entry>,
    pub(crate) target: Arc<Target>,
    pub(crate) price: Arc<PriceVersion>,
    pub(crate) request: ChatRequest,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// The beginning of an answer, for the client's connection.
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: RelayedBody,
}

/// Where the client waits for the beginning.
pub(crate) type Reply = oneshot::Sender<Result<Head, Refusal>>;

/// What is known when an answer has been read.
struct Outcome {
    answer: Answer,
    held_back: Vec<Bytes>,
    first_byte: Option<Duration>,
}

impl Call {
    /// Runs the call to its end, whatever the client does meanwhile.
    pub(crate) async fn run(self, shared: Arc<Shared>, mut reply: Reply) {
        let bound = match self.hold(&shared).await {
            Ok(bound) => bound,
            Err(refusal) => {
                let _ = reply.send(Err(refusal)); // whoever has left needs no refusal
                return;
            }
        };
        if reply.is_closed() {
            self.release(&shared, bound).await;
            return;
        }
        match self.forward(&shared, bound, &mut reply).await {
            Ok(response) if response.status().is_redirection() => {
                let problem = "The model's upstream answered with a redirect, which is not followed.";
                self.fail(&shared, bound, Some(response.status()), reply, Refusal::bad_gateway(problem)).await;
            }
            Ok(response) if is_compressed(response.headers()) => {
                let problem = "The model's upstream compressed its answer although it was asked not to.";
                self.fail(&shared, bound, Some(StatusCode::BAD_GATEWAY), reply, Refusal::bad_gateway(problem)).await;
            }
            Ok(response) => self.relay(&shared, bound, response, reply).await,
            Err(Some(refusal)) => self.fail(&shared, bound, None, reply, refusal).await,
            Err(None) => {
                self.settle(&shared, bound, Answer::none(End::Cancelled, true), None).await;
            }
        }
    }

    fn discount(&self) -> Discount {
        self.key.discount
    }

    /// Holds the full bound; where credit is too short for it, a closer one, once.
    async fn hold(&self, shared: &Shared) -> Result<Bound, Refusal> {
        let terms = Terms { request: &self.request, model: &self.entry.model, rates: &self.price.rates, discount: self.discount() };
        let full = terms.full().map_err(|_| Refusal::invalid("max_tokens", "this call could cost more than any account can hold"))?;
        let (needed, available) = match self.lease(shared, full).await {
            Err(ledger::Error::InsufficientCredit { needed, available }) => (needed, available),
            other => return self.leased(shared, full, other),
        };
        let Some(closer) = terms.within(available) else { return Err(insufficient(shared, needed, available)) };
        let leased = self.lease(shared, closer).await;
        self.leased(shared, closer, leased)
    }

    fn leased(&self, shared: &Shared, bound: Bound, leased: ledger::Result<()>) -> Result<Bound, Refusal> {
        match leased {
            Ok(()) => Ok(bound),
            Err(ledger::Error::InsufficientCredit { needed, available }) => Err(insufficient(shared, needed, available)),
            Err(ledger::Error::KeyRevoked) => Err(Refusal::no_key("The API key was revoked or has expired.")),
            Err(ledger::Error::AccountSuspended) => Err(Refusal::account_suspended()),
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// A free call needs no credit and leaves no lease.
    async fn lease(&self, shared: &Shared, bound: Bound) -> ledger::Result<()> {
        if bound.held.is_zero() {
            return Ok(());
        }
        let intent = Intent {
            account_id: self.key.account_id,
            call_id: self.id,
            key_id: self.key.key_id,
            model: self.entry.model.name.clone(),
            provider: self.entry.model.provider.clone(),
            price_id: self.price.id,
            discount: self.discount(),
            stream: self.request.stream,
            input_estimate: self.request.prompt.tokens_estimated(self.entry.model.context_window),
            held: bound.held,
            proxy: shared.settings.instance,
            expires_at: self.at + TimeDelta::from_std(shared.settings.longest_call()).unwrap_or(TimeDelta::MAX),
        };
        shared.meter.lease(&intent, self.at).await
    }

    /// The client left before anything was forwarded: there is nothing to charge.
    async fn release(&self, shared: &Shared, bound: Bound) {
        if bound.held.is_zero() {
            return;
        }
        if let Err(error) = shared.meter.release(self.key.account_id, self.id).await {
            // The lease outlives the call until the next start or its expiry settles it.
            tracing::warn!(%error, call = %self.id, "a hold could not be given back");
        }
    }

    /// Sends the request on. `Err(None)` when the client has left and the upstream was released.
    async fn forward(&self, shared: &Shared, bound: Bound, reply: &mut Reply) -> Result<Response<Incoming>, Option<Refusal>> {
        let edits = self.request.edits(&self.entry.model, self.target.usage_mode, bound.cap);
        let sending = shared.upstreams.chat(&self.target, &self.headers, splice(&self.body, edits));
        let mut sending = std::pin::pin!(timeout(shared.settings.upstream_first_byte_timeout, sending));
        let mut client_is_here = true;
        loop {
            let answered = tokio::select! {
                answered = &mut sending => answered,
                () = reply.closed(), if client_is_here => {
                    client_is_here = false;
                    if self.drains(false) { continue } else { return Err(None) }
                }
                () = shared.stop.cancelled() => return Err(Some(Refusal::stopping())),
            };
            return match answered {
                Ok(Ok(response)) => Ok(response),
                Ok(Err(error)) => {
                    tracing::warn!(error = %causes(&error), call = %self.id, provider = self.entry.model.provider, "the upstream could not be reached");
                    Err(Some(Refusal::bad_gateway("The model's upstream could not be reached.")))
                }
                Err(_) => Err(Some(Refusal::gateway_timeout())),
            };
        }
    }

    /// Whether an answer is read to its end although nobody is there to receive it.
    fn drains(&self, finished: bool) -> bool {
        finished || self.entry.reasons() || self.target.on_disconnect == DisconnectPolicy::Drain
    }

    /// Nothing came of it: posted at no cost, and the client is told.
    async fn fail(&self, shared: &Shared, bound: Bound, status: Option<StatusCode>, reply: Reply, refusal: Refusal) {
        let answer = Answer { status, ..Answer::none(End::Broken, reply.is_closed()) };
        self.settle(shared, bound, answer, None).await;
        let _ = reply.send(Err(refusal));
    }

    /// Passes the answer on, and settles it before its last bytes.
    async fn relay(&self, shared: &Arc<Shared>, bound: Bound, response: Response<Incoming>, reply: Reply) {
        let (head, upstream) = response.into_parts();
        let form = self.form(&head.headers);
        let mut headers = response_headers(&head.headers);
        if form == Form::EventsWithoutUsage {
            headers.remove(header::CONTENT_LENGTH);
        }
        let (mut client, body) = relayed_body(shared.settings.idle_timeout, shared.stop.clone());
        if reply.send(Ok(Head { status: head.status, headers, body })).is_err() {
            client.forget();
        }
        let read = self.read(shared, head.status, Tap::new(form), upstream, &mut client).await;
        let end = read.answer.end;
        self.settle_then(shared, bound, read.answer, read.first_byte, async {
            match end {
                End::Complete => client.complete(read.held_back).await,
                // Dropping the client then breaks the answer off.
                End::Broken | End::Cancelled | End::Stopped => client.send(read.held_back).await,
            }
        })
        .await;
    }

    fn form(&self, headers: &HeaderMap) -> Form {
        let is_events = |value: &HeaderValue| value.as_bytes().to_ascii_lowercase().starts_with(b"text/event-stream");
        match headers.get(header::CONTENT_TYPE) {
            Some(value) if is_events(value) && self.request.forces_usage(self.target.usage_mode) => Form::EventsWithoutUsage,
            Some(value) if is_events(value) => Form::Events,
            _ => Form::Document,
        }
    }

    /// Reads the upstream's body to its end, or to where it is given up.
    async fn read(&self, shared: &Shared, status: StatusCode, mut tap: Tap, mut upstream: Incoming, client: &mut Client) -> Outcome {
        let settings = &shared.settings;
        let mut deadline = Instant::now() + settings.call_timeout;
        let mut drained = 0;
        let mut client_left = false;
        let mut first_byte = None;
        let mut out = Vec::new();
        let end = loop {
            if !client_left && !client.is_here() {
                client_left = true;
                if !self.drains(tap.reading().finished) {
                    break End::Cancelled;
                }
                deadline = deadline.min(Instant::now() + settings.drain_timeout);
            }
            let frame = tokio::select! {
                biased;
                () = shared.stop.cancelled() => break End::Stopped,
                () = client.leaves() => {
                    client.forget();
                    continue;
                }
                frame = timeout_at(deadline.min(Instant::now() + settings.idle_timeout), upstream.frame()) => frame,
            };
            match frame {
                Ok(Some(Ok(frame))) => {
                    let Ok(piece) = frame.into_data() else { continue };
                    first_byte.get_or_insert_with(|| self.started.elapsed());
                    drained += if client_left { piece.len() } else { 0 };
                    tap.push(piece, &mut out);
                    client.send(out.drain(..)).await;
                }
                Ok(None) => break End::Complete,
                Ok(Some(Err(_))) | Err(_) => break End::Broken,
            }
            if drained > settings.drain_bytes_max {
                break End::Cancelled;
            }
        };
        let (held_back, reading) = tap.finish();
        Outcome { answer: Answer { status: Some(status), end, client_left, reading }, held_back, first_byte }
    }

    /// Settles and posts, with nobody waiting for it.
    async fn settle(&self, shared: &Shared, bound: Bound, answer: Answer, first_byte: Option<Duration>) {
        self.settle_then(shared, bound, answer, first_byte, async {}).await;
    }

    /// Settles and posts; what comes `then` waits for that, but for a database that is away only so long. The posting itself goes on.
    async fn settle_then(
        &self,
        shared: &Shared,
        bound: Bound,
        answer: Answer,
        first_byte: Option<Duration>,
        then: impl Future<Output = ()>,
    ) {
        let settled = self.settlement(bound, answer, first_byte);
        metrics::counter!("farebox_calls_total", "outcome" => settled.outcome.name()).increment(1);
        metrics::histogram!("gen_ai.client.operation.duration").record(self.started.elapsed());
        let mut posting = std::pin::pin!(shared.poster.post(settled));
        let posted = timeout(shared.settings.settle_timeout, &mut posting).await;
        then.await;
        let posted = match posted {
            Ok(posted) => posted,
            Err(_) => posting.await,
        };
        if !posted {
            tracing::error!(call = %self.id, "the call was not posted before the process ended");
        }
    }

    fn settlement(&self, bound: Bound, answer: Answer, first_byte: Option<Duration>) -> SettledCall {
        let model = &self.entry.model;
        let completion_max = self.request.output_tokens_max(bound.cap.min(model.context_window));
        let (outcome, source, usage) = answer.judge(|| self.request.prompt.tokens_estimated(model.context_window), completion_max);
        if answer.reading.unreadable {
            tracing::warn!(call = %self.id, provider = model.provider, "part of the answer could not be read by the meter");
        }
        let amount = pricing::price(&usage, &self.price.rates, self.discount()).map_or_else(
            |overflow| {
                tracing::error!(%overflow, call = %self.id, ?usage, "charged what was held instead");
                bound.held
            },
            |receipt| receipt.amount,
        );
        SettledCall {
            account_id: self.key.account_id,
            call_id: self.id,
            key_id: self.key.key_id,
            model: model.name.clone(),
            provider: model.provider.clone(),
            upstream_model: answer.reading.model,
            stream: self.request.stream,
            outcome,
            source,
            usage,
            price_id: self.price.id,
            discount: self.discount(),
            amount,
            held: bound.held,
            http_status: answer.status.map(|status| i32::from(status.as_u16())),
            latency_ms: millis(self.started.elapsed()),
            first_byte_ms: first_byte.map(millis),
            raw_usage: answer.reading.raw_usage,
        }
    }
}

fn insufficient(shared: &Shared, needed: Amount, available: Amount) -> Refusal {
    Refusal::insufficient_quota(needed, available.max(Amount::ZERO), &shared.settings.currency, &shared.settings.console_url)
}

fn is_compressed(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_ENCODING).is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// An error with its causes: the outermost alone says "client error (Connect)".
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
