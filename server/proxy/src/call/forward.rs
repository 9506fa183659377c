//! The way of a request to its upstream, up to the head of the answer.

use std::pin::pin;

use http::{HeaderMap, Response, header};
use tokio::time::timeout;

use super::{Call, client::Client, stop::Listening};
use crate::{
    admit::{body::Received, bound::Bound},
    core::Core,
    reply::Refusal,
    upstream::{body::UpstreamBody, certificate::untrusted, refused::Reason},
};

/// Why an upstream did not answer.
pub(super) enum Unanswered {
    /// It did nothing that costs. The client hears why.
    Failed(Refusal),
    /// The proxy must stop while the client waits. It costs nothing, and the client hears why.
    Stopped(Refusal),
    /// It has the request and may be working on it, but the client has left and nobody waits any longer.
    Abandoned,
}

impl Call {
    /// Sends the request on.
    pub(super) async fn forward(
        &self,
        core: &Core,
        bound: Bound,
        body: Received,
        client: &Client,
        stop: &mut Listening,
    ) -> Result<Response<UpstreamBody>, Unanswered> {
        let edits = self.request.edits(&self.entry.model, self.target.usage_mode, self.cap(bound));
        let (body, taken) = body.edited(edits);
        let sending = core.upstreams.send(&self.target, (self.request.dialect, &self.entry.model), &self.headers, body);
        let give_up = |refusal| if taken.is_set() { Unanswered::Abandoned } else { Unanswered::Failed(refusal) };
        let mut sending = pin!(timeout(core.shared.settings.upstream_first_byte_timeout, sending));
        let mut client_is_here = true;
        loop {
            let answered = tokio::select! {
                biased;
                answered = &mut sending => answered,
                () = client.leaves(), if client_is_here => {
                    client_is_here = false;
                    if self.drains(false) { continue } else { return Err(give_up(Refusal::unreachable_upstream())) }
                }
                () = stop.heard() => {
                    return Err(if client_is_here { Unanswered::Stopped(Refusal::stopping(taken.is_set())) } else { give_up(Refusal::stopping(false)) });
                }
            };
            return match answered {
                Ok(Ok(response)) => Ok(response),
                Ok(Err(error)) => {
                    let (provider, why) = (&self.entry.model.provider, untrusted(&error));
                    tracing::warn!(error = %causes(&error), call = %self.id, provider, why, "the upstream could not be reached");
                    let is_unseen = error.is_connect() || !taken.is_set();
                    Err(Unanswered::Failed(if why.is_some() {
                        Refusal::bad_gateway("The model's upstream shows a certificate that this gateway does not trust.")
                    } else if is_unseen {
                        Refusal::unreachable_upstream()
                    } else {
                        Refusal::bad_gateway("The model's upstream broke off before it answered.")
                    }))
                }
                Err(_) if client_is_here => Err(Unanswered::Failed(Refusal::gateway_timeout())),
                Err(_) => Err(give_up(Refusal::gateway_timeout())),
            };
        }
    }

    /// Why an answer is not passed on: it cannot be read, or it is the operator's business alone.
    pub(super) async fn unusable(&self, response: &mut Response<UpstreamBody>) -> Option<Refusal> {
        if let Some(refusal) = unreadable(response) {
            return Some(refusal);
        }
        let reason = Reason::of(response, self.request.forces_usage(self.target.usage_mode)).await?;
        reason.alarm(&self.entry.model.provider, response.status());
        Some(reason.refusal())
    }
}

fn unreadable(response: &Response<UpstreamBody>) -> Option<Refusal> {
    let problem = if response.status().is_informational() {
        "The model's upstream wants to speak another protocol."
    } else if response.status().is_redirection() {
        "The model's upstream answered with a redirect, which is not followed."
    } else if is_compressed(response.headers()) {
        "The model's upstream compressed its answer, although it was asked not to, in a way that cannot be read here."
    } else {
        return None;
    };
    Some(Refusal::bad_gateway(problem))
}

fn is_compressed(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_ENCODING).is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
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
