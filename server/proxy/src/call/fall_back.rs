//! From one provider to the next, where the first surely did not bill: it was not reached, or refused at once (429, 503, Anthropic's 529).
//!
//! That is done before the client was shown anything. The customer pays the model's price for the answer that they get, and nothing for an attempt that
//! failed; nor does the operator. What may have been worked on is never sent again: not after another status, a connection that broke off when the request was
//! on it, or an answer that did not begin in time. Nor is it where nobody waits any more.

use std::{mem, sync::Arc};

use domain::call::{Attempt, Failure};
use http::Response;
use tokio::time::Instant;

use super::{Call, client::Client, forward::Unanswered, settlement::millis, stop::Listening};
use crate::{
    admit::{
        body::{Received, RequestBody, Taken},
        bound::Bound,
        routes::Route,
    },
    core::Core,
    instruments::FALLBACKS,
    reply::Refusal,
    upstream::{
        body::UpstreamBody,
        health::{Found, Probe, Turn},
    },
};

/// What counts in [`FALLBACKS`] beside failures: the provider was not even asked.
const EJECTED: &str = "ejected";

/// A route, and whether the call is its provider's probe.
type Next = (Arc<Route>, Option<Probe>);

/// An answer, and why it is not passed on, if it is not.
pub(super) struct Answered {
    pub(super) response: Response<UpstreamBody>,
    pub(super) refusal: Option<Refusal>,
}

impl Call {
    /// Chooses where it is sent first: to the first provider that takes it and is not ejected; where all are, to the first.
    pub(super) fn choose_route(&mut self) {
        match self.route.health.turn() {
            Turn::Open => {}
            Turn::Probe(probe) => self.probe = Some(probe),
            Turn::Ejected => {
                if let Some(next) = self.next_route(false) {
                    let passed_over = self.go_to(next);
                    FALLBACKS.counter(&[&passed_over.model.provider, EJECTED]).increment(1);
                }
            }
        }
    }

    /// The next provider that takes it and was not asked: the first that is not ejected, or else, as the last resort, the first that is.
    fn next_route(&self, be_it_ejected: bool) -> Option<Next> {
        let mut ejected = None;
        for route in self.entry.routes_beside(&self.route, &self.attempts, &self.request) {
            match route.health.turn() {
                Turn::Open => return Some((Arc::clone(route), None)),
                Turn::Probe(probe) => return Some((Arc::clone(route), Some(probe))),
                Turn::Ejected => ejected = ejected.or_else(|| be_it_ejected.then(|| (Arc::clone(route), None))),
            }
        }
        ejected
    }

    /// Goes on to another route. Returns the one before.
    fn go_to(&mut self, (route, probe): Next) -> Arc<Route> {
        self.probe = probe;
        mem::replace(&mut self.route, route)
    }

    /// Sends the request on, to one provider after the other. Where all fail, the last one's answer is the client's: it is the newest, and its status, its
    /// words and its `retry-after` belong together; what the others said is on the receipt.
    pub(super) async fn ask(
        &mut self,
        core: &Core,
        bound: Bound,
        mut body: Received,
        client: &Client,
        stop: &mut Listening,
    ) -> Result<Answered, Unanswered> {
        // However many are asked, a call runs no longer than one whose only provider takes its time.
        let deadline = Instant::now() + core.shared.settings.upstream_first_byte_timeout;
        loop {
            let asked_at = Instant::now();
            let (sent, kept) = self.outgoing(core, bound, body);
            let answered = self.forward(core, sent, deadline, client, stop).await;
            self.hear(&answered);
            let failure = failure(&answered);
            let answered = self.looked_at(bound, answered).await;
            let (Some((failure, http_status)), Some(kept)) = (failure, kept) else { return answered };
            let may_go_on = client.is_here() && !stop.is_said() && Instant::now() < deadline;
            let Some(next) = may_go_on.then(|| self.next_route(true)).flatten() else { return answered };
            let failed = self.go_to(next);
            let provider = &failed.model.provider;
            FALLBACKS.counter(&[provider, failure.name()]).increment(1);
            self.attempts.push(Attempt { provider: provider.clone(), failure, http_status, took_ms: millis(asked_at.elapsed()) });
            body = kept;
        }
    }

    /// The body as this provider gets it, and what another would get of it: nothing, if there is none, or no room to keep it for that.
    fn outgoing(&self, core: &Core, bound: Bound, body: Received) -> ((RequestBody, Taken), Option<Received>) {
        let edits = self.request.edits(&self.route.model, self.route.target.usage_mode, self.cap(bound));
        let room = if self.entry.has_more_than(self.attempts.len() + 1) {
            core.shared.room.try_take(self.key.account_id, body.bytes.len())
        } else {
            None
        };
        match room {
            Some(room) => (body.copied(edits, room), Some(body)),
            None => (body.edited(edits), None),
        }
    }

    /// Tells the provider's health what was found. Whoever has left, or must stop, has found nothing out.
    fn hear(&mut self, answered: &Result<Response<UpstreamBody>, Unanswered>) {
        let found = match answered {
            Ok(response) if response.status().is_server_error() => Found::Failing,
            Ok(_) => Found::Well,
            Err(Unanswered::Failed { .. } | Unanswered::Abandoned { is_late: true }) => Found::Failing,
            Err(Unanswered::Stopped(_) | Unanswered::Unsent(_) | Unanswered::Abandoned { is_late: false }) => return self.probe = None,
        };
        match self.probe.take() {
            Some(probe) => probe.ends(found),
            None => self.route.health.hear(found),
        }
    }

    /// Also of an answer that another takes the place of the operator is told what it has against them.
    async fn looked_at(&self, bound: Bound, answered: Result<Response<UpstreamBody>, Unanswered>) -> Result<Answered, Unanswered> {
        let mut response = answered?;
        let refusal = self.unusable(bound, &mut response).await;
        Ok(Answered { response, refusal })
    }
}

/// Why another provider may be asked, and what this one answered, if it did.
fn failure(answered: &Result<Response<UpstreamBody>, Unanswered>) -> Option<(Failure, Option<i32>)> {
    match answered {
        Ok(response) => {
            let status = response.status().as_u16();
            Some((Failure::of_status(status)?, Some(i32::from(status))))
        }
        Err(Unanswered::Failed { unseen, .. }) => Some(((*unseen)?, None)),
        Err(Unanswered::Stopped(_) | Unanswered::Unsent(_) | Unanswered::Abandoned { .. }) => None,
    }
}
