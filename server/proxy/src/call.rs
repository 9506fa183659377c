//! The life of one call: hold, forward, relay, settle, post.
//!
//! A call is a task of its own, which owns the upstream from the hold to the posting. The client's connection only listens to it: when the client
//! leaves, the call goes on to its settlement. It is never free and never charged twice.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    call::UsageSource,
    catalog::{DisconnectPolicy, PriceVersion},
    id::CallId,
    money::Amount,
    pricing::{self, Discount},
};
use http::{HeaderMap, Response, StatusCode, header};
use http_body_util::BodyExt;
use ledger::{Intent, KeyEntry, SettledCall};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until, timeout, timeout_at},
};

use crate::{
    Shared,
    auth::unavailable,
    bound::{Bound, Terms},
    catalog::{Entry, Target},
    client::{Client, RelayedBody, relayed_body},
    dialect::openai_chat::request::ChatRequest,
    reply::Refusal,
    request_body::RequestBody,
    settle::{Answer, End},
    splice::splice,
    tap::{Form, Tap},
    turns::Turn,
    upstream::{UpstreamBody, response_headers},
};

/// Pauses between tries to give back a hold.
const RELEASE_AGAIN_FIRST: Duration = Duration::from_millis(50);
const RELEASE_AGAIN_LAST: Duration = Duration::from_secs(2);
/// What an upstream may take to close an answer after its end marker.
const END_GRACE: Duration = Duration::from_secs(1);

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

/// Why no credit is held for a call.
struct NotHeld {
    refusal: Refusal,
    /// Nobody knows whether it is held after all: the ledger's answer did not arrive.
    perhaps: bool,
    /// The account's turn, which lasts until that is known.
    turn: Option<Turn>,
}

impl From<Refusal> for NotHeld {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, perhaps: false, turn: None }
    }
}

/// Why there is no lease.
enum Unleased {
    Refused(ledger::Error),
    /// The ledger took too long to say.
    Late,
}

/// Why an upstream did not answer.
enum Unanswered {
    /// It did nothing that costs. The client hears why.
    Failed(Refusal),
    /// It has the request and may be working on it, but the client has left and nobody waits any longer.
    Abandoned,
}

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
            Err(NotHeld { refusal, perhaps, turn: _turn }) => {
                let _ = reply.send(Err(refusal)); // whoever has left needs no refusal
                if perhaps {
                    self.release(&shared).await;
                }
                return;
            }
        };
        if reply.is_closed() {
            // The client left before anything was forwarded: there is nothing to charge.
            if !bound.held.is_zero() {
                self.release(&shared).await;
            }
            return;
        }
        match self.forward(&shared, bound, &mut reply).await {
            Ok(response) if response.status().is_redirection() => {
                let problem = "The model's upstream answered with a redirect, which is not followed.";
                self.fail(&shared, bound, Some(response.status()), reply, Refusal::bad_gateway(problem)).await;
            }
            Ok(response) if is_compressed(response.headers()) => {
                let problem =
                    "The model's upstream compressed its answer, although it was asked not to, in a way that cannot be read here.";
                self.fail(&shared, bound, Some(response.status()), reply, Refusal::bad_gateway(problem)).await;
            }
            Ok(response) => self.relay(&shared, bound, response, reply).await,
            Err(Unanswered::Failed(refusal)) => self.fail(&shared, bound, None, reply, refusal).await,
            Err(Unanswered::Abandoned) => self.settle(&shared, bound, Answer::none(End::Cancelled, true), None).await,
        }
    }

    fn discount(&self) -> Discount {
        self.key.discount
    }

    /// Holds the full bound; where credit is too short for it, a closer one, once. A free call needs no credit and leaves no lease.
    async fn hold(&self, shared: &Shared) -> Result<Bound, NotHeld> {
        let terms = Terms { request: &self.request, model: &self.entry.model, rates: &self.price.rates, discount: self.discount() };
        let full = terms.full().map_err(|_| Refusal::invalid("max_tokens", "this call could cost more than any account can hold"))?;
        if full.held.is_zero() {
            return Ok(full); // without waiting for a turn
        }
        let turn = timeout(shared.settings.lease_timeout, shared.turns.of(self.key.account_id)).await;
        let turn = turn.map_err(|_| Refusal::unavailable())?;
        let (needed, available) = match self.lease(shared, full).await {
            Ok(()) => return Ok(full),
            Err(Unleased::Refused(ledger::Error::InsufficientCredit { needed, available })) => (needed, available),
            Err(unleased) => return Err(not_held(shared, unleased, turn)),
        };
        let Some(closer) = terms.within(available) else { return Err(insufficient(shared, needed, available).into()) };
        self.lease(shared, closer).await.map(|()| closer).map_err(|unleased| not_held(shared, unleased, turn))
    }

    async fn lease(&self, shared: &Shared, bound: Bound) -> Result<(), Unleased> {
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
        match timeout(shared.settings.lease_timeout, shared.meter.lease(&intent, self.at)).await {
            Ok(leased) => leased.map_err(Unleased::Refused),
            Err(_) => Err(Unleased::Late),
        }
    }

    /// Gives back the hold of a call that was not forwarded, until that is known to be done: a hold that stayed would later be charged.
    async fn release(&self, shared: &Shared) {
        let release = async {
            let mut pause = RELEASE_AGAIN_FIRST;
            while let Err(error) = shared.meter.release(self.key.account_id, self.id).await {
                tracing::warn!(%error, call = %self.id, "a hold could not be given back; trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(RELEASE_AGAIN_LAST);
            }
        };
        // While it runs, a stop ends it only if the ledger does not answer by then.
        let stopping = async {
            shared.stop.cancelled().await;
            tokio::time::sleep(shared.settings.lease_timeout).await;
        };
        tokio::select! {
            biased;
            () = release => {}
            () = stopping => tracing::error!(call = %self.id, "its hold was not given back; the next start will charge it as interrupted"),
        }
    }

    /// Sends the request on.
    async fn forward(&self, shared: &Shared, bound: Bound, reply: &mut Reply) -> Result<Response<UpstreamBody>, Unanswered> {
        let edits = self.request.edits(&self.entry.model, self.target.usage_mode, bound.cap);
        let (body, taken) = RequestBody::new(splice(&self.body, edits));
        let sending = shared.upstreams.chat(&self.target, &self.headers, body);
        let give_up = |refusal| if taken.is_set() { Unanswered::Abandoned } else { Unanswered::Failed(refusal) };
        let mut sending = std::pin::pin!(timeout(shared.settings.upstream_first_byte_timeout, sending));
        let mut client_is_here = true;
        loop {
            let answered = tokio::select! {
                answered = &mut sending => answered,
                () = reply.closed(), if client_is_here => {
                    client_is_here = false;
                    if self.drains(false) { continue } else { return Err(give_up(Refusal::unreachable_upstream())) }
                }
                () = shared.stop.cancelled(), if client_is_here => return Err(Unanswered::Failed(Refusal::stopping(taken.is_set()))),
                () = shared.stop.cancelled() => return Err(give_up(Refusal::stopping(false))),
            };
            return match answered {
                Ok(Ok(response)) => Ok(response),
                Ok(Err(error)) => {
                    tracing::warn!(error = %causes(&error), call = %self.id, provider = self.entry.model.provider, "the upstream could not be reached");
                    let is_unseen = error.is_connect();
                    let broke_off = "The model's upstream broke off before it answered.";
                    Err(Unanswered::Failed(if is_unseen { Refusal::unreachable_upstream() } else { Refusal::bad_gateway(broke_off) }))
                }
                Err(_) if client_is_here => Err(Unanswered::Failed(Refusal::gateway_timeout())),
                Err(_) => Err(give_up(Refusal::gateway_timeout())),
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
        self.settle_then(shared, bound, answer, None, async { drop(reply.send(Err(refusal))) }).await;
    }

    /// Passes the answer on, and settles it before its last bytes.
    async fn relay(&self, shared: &Arc<Shared>, bound: Bound, response: Response<UpstreamBody>, reply: Reply) {
        let (head, upstream) = response.into_parts();
        let without_usage = head.status.is_success() && self.request.forces_usage(self.target.usage_mode);
        let mut headers = response_headers(&head.headers);
        if without_usage {
            headers.remove(header::CONTENT_LENGTH);
        }
        let (mut client, body) = relayed_body(shared.settings.idle_timeout, shared.stop.clone());
        if reply.send(Ok(Head { status: head.status, headers, body })).is_err() {
            client.forget();
        }
        let tap = Tap::new(Form::Unsaid { without_usage });
        let read = self.read(shared, head.status, tap, upstream, &mut client).await;
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

    /// Reads the upstream's body to its end, or to where it is given up: within `call_timeout`, and `drain_timeout` more once the client
    /// is gone. A reader so slow that it would take longer counts as gone, since a call that outlived its hold would be settled as a dead one.
    async fn read(&self, shared: &Shared, status: StatusCode, mut tap: Tap, mut upstream: UpstreamBody, client: &mut Client) -> Outcome {
        let settings = &shared.settings;
        let mut deadline = Instant::now() + settings.call_timeout;
        let mut drained = 0;
        let mut client_left = false;
        let mut first_byte = None;
        let mut out = Vec::new();
        let end = loop {
            if !client_left && !client.is_here() {
                client_left = true;
                let reading = tap.reading();
                // What sound and pictures cost, only the upstream can say.
                if !self.drains(reading.finished || reading.has_media) {
                    break End::Cancelled;
                }
                deadline = Instant::now() + settings.drain_timeout;
            }
            // Whoever leaves and is not waited for any longer has not been let down by the upstream.
            let given_up = if client_left { End::Cancelled } else { End::Broken };
            let idle = if tap.is_at_end() { END_GRACE } else { settings.idle_timeout };
            let frame = tokio::select! {
                biased;
                () = shared.stop.cancelled() => break End::Stopped,
                () = client.leaves() => {
                    client.forget();
                    continue;
                }
                // Before the next frame: an upstream that always has one must not keep the call alive.
                () = sleep_until(deadline) => break if tap.is_at_end() { End::Complete } else { given_up },
                frame = timeout(idle, upstream.frame()) => frame,
            };
            match frame {
                Ok(Some(Ok(frame))) => {
                    let Ok(piece) = frame.into_data() else { continue };
                    first_byte.get_or_insert_with(|| self.started.elapsed());
                    drained += if client_left { piece.len() } else { 0 };
                    tap.push(piece, &mut out);
                    if timeout_at(deadline, client.send(out.drain(..))).await.is_err() {
                        client.forget();
                    }
                }
                Ok(None) => break End::Complete,
                Ok(Some(Err(_))) | Err(_) if tap.is_at_end() => break End::Complete,
                Ok(Some(Err(_))) => break End::Broken,
                Err(_) => break given_up,
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
        if amount > bound.held {
            tracing::error!(call = %self.id, %amount, held = %bound.held, provider = model.provider, "a call cost more than the most it could");
        }
        if source == UsageSource::None && answer.end == End::Complete && answer.status.is_some_and(|status| status.is_success()) {
            tracing::warn!(call = %self.id, provider = model.provider, "an answer was no answer that can be charged");
        }
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

fn not_held(shared: &Shared, unleased: Unleased, turn: Option<Turn>) -> NotHeld {
    match unleased {
        Unleased::Refused(ledger::Error::InsufficientCredit { needed, available }) => insufficient(shared, needed, available).into(),
        Unleased::Refused(ledger::Error::KeyRevoked) => Refusal::no_key("The API key was revoked or has expired.").into(),
        Unleased::Refused(ledger::Error::AccountSuspended) => Refusal::account_suspended().into(),
        Unleased::Refused(error) => NotHeld { refusal: unavailable(&error), perhaps: !error.did_nothing(), turn },
        Unleased::Late => NotHeld { refusal: Refusal::unavailable(), perhaps: true, turn },
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
