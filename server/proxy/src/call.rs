//! The life of one call: hold, forward, relay, settle.
//!
//! A call is one future, which owns the upstream from the hold to the settlement. Its client's connection runs it ([`client::Attended`]); when the client
//! leaves, it goes on to its settlement by itself. It is never free and never charged twice.

pub(crate) mod client;
pub(crate) mod cost;
mod fall_back;
mod forward;
mod hold;
pub(crate) mod outcome;
mod patience;
mod relay;
mod settlement;
pub(crate) mod stop;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::{attribution::Attribution, call::Attempt, catalog::DisconnectPolicy, credit::Unit, id::CallId, money::Amount, tokens::Tokens};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header, response::Parts};
use http_body::Body;
use ledger::Admitted;
use tokio::time::Instant;

use self::{
    client::{Client, Head},
    fall_back::Answered,
    forward::Unanswered,
    relay::{Read, Relay},
    stop::Listening,
};
use crate::{
    Shared,
    admit::{
        auth::WorkingKey,
        body::{Received, in_place},
        bound::Bound,
        catalog::{Entry, Price},
        leases::Held,
        repeats::Once,
        routes::Route,
    },
    books::{
        running::{Admission, Running},
        spool::{AppendError, Lane},
    },
    call::outcome::{Answer, End},
    core::Core,
    dialect::{reading::Reading, request::Request},
    listen::Seat,
    reply::Refusal,
    upstream::{body::UpstreamBody, headers::response_headers, health::Probe},
    wire::tap::Tap,
};

/// A call that was found to be in order, before credit is held for it.
pub(crate) struct Call {
    pub(crate) id: CallId,
    /// The instant inside the id.
    pub(crate) at: DateTime<Utc>,
    /// The same instant, by the clock that durations are measured with.
    pub(crate) started: Instant,
    /// Where it is written.
    pub(crate) lane: Arc<Lane>,
    /// To be looked at again.
    pub(crate) key: WorkingKey,
    pub(crate) entry: Arc<Entry>,
    /// Where it is answered, or was sent last.
    pub(crate) route: Arc<Route>,
    /// If it finds out whether that provider is well again.
    pub(crate) probe: Option<Probe>,
    /// Providers before that one, which have failed.
    pub(crate) attempts: Vec<Attempt>,
    /// At the service tier that it asks for.
    pub(crate) price: Price,
    /// The default's, if it may be served at that instead.
    pub(crate) or_price: Option<Price>,
    pub(crate) request: Request,
    pub(crate) attribution: Attribution,
    /// Its client wants to read what it cost.
    pub(crate) tells_cost: bool,
    /// What its client calls it, if it says so.
    pub(crate) once: Option<Once>,
    pub(crate) headers: HeaderMap,
    /// Kept to its end, when it takes no file any more.
    pub(crate) _seat: Seat,
}

/// A call that holds its bound, and that the spool knows of.
struct Begun {
    bound: Bound,
    running: Running,
}

/// How a call ends that has no answer to pass on.
struct Failed {
    end: End,
    /// The upstream's, if it answered at all.
    status: Option<StatusCode>,
    /// What the client is told; `None` where nobody waits.
    refusal: Option<Refusal>,
}

impl Failed {
    fn or_response(answered: Result<Answered, Unanswered>) -> Result<Response<UpstreamBody>, Self> {
        let (end, status, refusal) = match answered {
            Ok(Answered { response, refusal: None }) => return Ok(response),
            Ok(Answered { response, refusal }) => (End::Broken, Some(response.status()), refusal),
            Err(Unanswered::Failed { refusal, .. } | Unanswered::Unsent(refusal)) => (End::Broken, None, Some(refusal)),
            Err(Unanswered::Stopped(refusal)) => (End::Stopped, None, Some(refusal)),
            Err(Unanswered::Abandoned { .. }) => (End::Cancelled, None, None),
        };
        Err(Self { end, status, refusal })
    }
}

impl Call {
    /// Runs the call to its end, whatever the client does meanwhile.
    ///
    /// A future is as large as the largest of its waits, and keeps room for what is handed on by value twice (rust-lang/rust#62958). So what a call is and
    /// what reads its answer have boxes: they are there for as long as a stream lasts, of which there are many at once.
    pub(crate) async fn run(mut self: Box<Self>, body: Received, core: Arc<Core>, client: Client) {
        let mut stop = core.shared.stop.listen();
        if let Err(refusal) = self.try_run(body, &core, &client, &mut stop).await {
            client.answer(Err(refusal));
        }
    }

    /// The refusal, where nothing was forwarded.
    async fn try_run(&mut self, body: Received, core: &Core, client: &Client, stop: &mut Listening) -> Result<(), Refusal> {
        let shared = &core.shared;
        let (bound, held) = tokio::select! {
            biased;
            () = stop.heard() => return Err(Refusal::stopping(false)),
            // The client left before anything was forwarded: there is nothing to charge.
            () = client.leaves() => return Ok(()),
            held = self.hold_with_a_key_that_works(shared) => held?,
        };
        if !self.is_held_whole_in_money(bound) {
            self.expect_bounded()?;
        }
        self.choose_route();
        let begun = self.begin(shared, bound, held).await?;
        if let Err(error) = begun.running.durable().await {
            tracing::error!(%error, call = %self.id, "a call was refused: nobody knows whether the spool keeps it");
            let failed = Failed { end: End::Stopped, status: None, refusal: Some(Refusal::unavailable()) };
            self.fail(shared, begun, failed, client).await;
            return Ok(());
        }
        let answered = self.ask(core, bound, body, client, stop).await;
        // They keep all of the buffer that they were read into, and a stream may last.
        self.headers = HeaderMap::new();
        let relay = Failed::or_response(answered).map(|response| Box::new(self.relay(shared, response, client, stop)));
        match relay {
            Ok(mut relay) => {
                let end = relay.run(client).await;
                let mut read = relay.read(end);
                let amount = self.settle(shared, begun, &mut read.answer, read.first_byte).await;
                self.give_the_rest(read, amount, client);
            }
            Err(failed) => self.fail(shared, begun, failed, client).await,
        }
        Ok(())
    }

    /// Whether all that it could come to was held, as far as that is known, and in what can be owed.
    fn is_held_whole_in_money(&self, bound: Bound) -> bool {
        bound.paid_in == Unit::Money
            && bound.cap >= self.request.output_cap().unwrap_or_else(|| self.request.default_cap(&self.entry.model))
    }

    /// What loosens its bound does not pass, at this provider or at one that it falls back to: tokens pay no more than were held, whosever call it is, and
    /// credit that was too short for the whole answer is too short for one without a bound.
    fn expect_bounded(&mut self) -> Result<(), Refusal> {
        self.request.set_lenient(false);
        self.route = Arc::clone(self.entry.first_route(&self.request)?);
        Ok(())
    }

    /// Lets the spool know that the call is about to be forwarded.
    async fn begin(&self, shared: &Shared, bound: Bound, held: Held) -> Result<Begun, Refusal> {
        let admitted = self.admitted(bound, &held);
        let admission = Admission { admitted, held, price: Arc::clone(&self.price.version), started: self.started };
        let running = Running::begin(Arc::clone(&self.lane), admission, &shared.long).await.map_err(|error| {
            // That it is full the spool says itself, once.
            if !matches!(error, AppendError::Full) {
                tracing::error!(%error, call = %self.id, "a call was refused: the spool does not take it");
            }
            Refusal::unavailable()
        })?;
        Ok(Begun { bound, running })
    }

    /// [`Self::hold`]: that may take its time, and the key may have been revoked meanwhile.
    async fn hold_with_a_key_that_works(&self, shared: &Shared) -> Result<(Bound, Held), Refusal> {
        let held = self.hold(shared).await?;
        shared.keys.authenticate_again(&self.key, Utc::now()).await?;
        Ok(held)
    }

    /// What is known of it when it begins, of a bound that is held for it.
    fn admitted(&self, bound: Bound, held: &Held) -> Admitted {
        let Self { key, entry, route, price, request, .. } = self;
        Admitted {
            account_id: key.account_id,
            call_id: self.id,
            key_id: key.key_id,
            project_id: key.project_id,
            member: key.member,
            attribution: self.attribution.clone(),
            model: entry.model.name.clone(),
            provider: route.model.provider.clone(),
            price_id: price.version.id,
            discount: price.discount,
            stream: request.stream,
            excess: key.line.excess,
            input_estimate: request.prompt.tokens_guessed(&entry.model),
            held: bound.held,
            tokens_held: bound.tokens,
            epoch: Some(held.epoch()),
            split: held.split().clone(),
            asked_tier: request.service_tier,
        }
    }

    /// What caps each answer's output. A lenient account, which pays whatever an answer comes to, is given no cap but where credit or a limit was too
    /// short for the whole hold, or where tokens pay, which are no more than were held.
    fn cap(&self, bound: Bound) -> Option<Tokens> {
        let is_free = self.key.line.excess.is_charged() && self.request.output_cap().is_none() && self.is_held_whole_in_money(bound);
        (!is_free).then_some(bound.cap)
    }

    /// The most completion tokens that it can have.
    fn completion_max(&self, bound: Bound) -> Tokens {
        let model = &self.entry.model;
        let cap = self.cap(bound).filter(|_| !self.request.is_loose(&self.route.model));
        self.request.completion_max(model, cap.unwrap_or(model.context_window))
    }

    /// The most prompt tokens that are believed: of a lenient account, which pays whatever is, those that this prompt can have, and where a member may
    /// make it longer, all that the window takes.
    fn prompt_max(&self) -> Tokens {
        let model = &self.entry.model;
        if self.request.is_loose(&self.route.model) {
            return model.context_window;
        }
        if self.key.line.excess.is_charged() { self.request.prompt.tokens_max(model) } else { self.request.prompt.windows(model) }
    }

    /// Whether an answer is read to its end although nobody is there to receive it.
    fn drains(&self, finished: bool) -> bool {
        finished || self.request.reasons || self.route.reasons() || self.route.target.on_disconnect == DisconnectPolicy::Drain
    }

    /// Whether an answer of this status says what it costs.
    fn tells_cost_of(&self, status: Option<StatusCode>) -> bool {
        self.tells_cost && status.is_some_and(|status| status.is_success())
    }

    /// Settles a call that has no answer to pass on, and tells the client, if one waits.
    async fn fail(&self, shared: &Shared, begun: Begun, Failed { end, status, refusal }: Failed, client: &Client) {
        let mut answer = Answer::none(end, status, !client.is_here(), Reading::new(&self.request.dialect.answers));
        self.settle(shared, begun, &mut answer, None).await;
        if let Some(refusal) = refusal {
            client.answer(Err(refusal));
        }
    }

    /// The way of an answer to the client, who is told its head if it is a stream.
    fn relay<'a>(&'a self, shared: &'a Shared, response: Response<UpstreamBody>, client: &Client, stop: &'a mut Listening) -> Relay<'a> {
        let (Parts { status, headers: said, .. }, upstream) = response.into_parts();
        let tells_cost = self.tells_cost_of(Some(status));
        // Whoever wants to read the cost gets the report that it stands in.
        let without_usage = status.is_success() && !tells_cost && self.request.forces_usage(self.route.target.usage_mode);
        let mut headers = response_headers(&said, self.request.stream);
        let without_cost = self.route.target.hide_cost;
        // A length that the body does not have, as beside chunks, is none.
        if without_usage || without_cost || tells_cost || upstream.size_hint().exact().is_none() {
            headers.remove(header::CONTENT_LENGTH);
        }
        // Whoever counts the bytes has seen the end with the last of them.
        let length = headers.contains_key(header::CONTENT_LENGTH).then(|| upstream.size_hint().exact()).flatten();
        let is_stream = is_stream(&said);
        drop(said); // and the buffer with it
        let head = Head { status, headers };
        let tap = Tap::new(&self.request.dialect.answers, without_usage).of_length(length);
        let tap = if status.is_success() { tap } else { tap.of_error() };
        let tap = if without_cost { tap.without_cost() } else { tap };
        let tap = if tells_cost { tap.for_cost() } else { tap };
        // Of an answer without a body the head is the end; and of what breaks off before anything of it was shown, a refusal can still be made.
        let head = if is_stream && !upstream.is_end_stream() {
            client.answer(Ok(head));
            None
        } else {
            Some(head)
        };
        Relay::new(self, shared, upstream, tap, (status, head), stop)
    }

    /// Gives the client what was held back of an answer until it was settled.
    fn give_the_rest(&self, read: Read, amount: Amount, client: &Client) {
        let Read { answer, mut head, mut held_back, form, room, refusal, .. } = read;
        if self.tells_cost_of(answer.status) {
            held_back = cost::tell(amount, &self.request.dialect.answers, form, held_back, head.as_mut());
            if let Some(room) = room
                && let Some(last) = held_back.pop()
            {
                // Until its client has taken the last of it.
                held_back.push(in_place(last, room));
            }
        }
        match (head, refusal) {
            (Some(_), Some(refusal)) => return client.answer(Err(refusal)),
            (Some(head), None) => client.answer(Ok(head)),
            (None, _) => {}
        }
        client.put(held_back);
        if answer.end == End::Complete {
            client.complete();
        }
    }
}

fn is_stream(headers: &HeaderMap) -> bool {
    const STREAM: &[u8] = b"text/event-stream";
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    kind.get(..STREAM.len()).is_some_and(|start| start.eq_ignore_ascii_case(STREAM))
}
