//! The way of a request to its upstream, up to the head of the answer.

use std::{error::Error, io, pin::pin};

use domain::call::Failure;
use http::{HeaderMap, Response, header};
use tokio::time::{Instant, timeout_at};

use super::{Call, client::Client, stop::Listening};
use crate::{
    admit::{
        body::{RequestBody, Taken},
        bound::Bound,
        routes::Route,
    },
    core::Core,
    reply::Refusal,
    upstream::{body::UpstreamBody, certificate::untrusted, refused::Reason},
};

/// Why an upstream did not answer.
pub(super) enum Unanswered {
    /// It did nothing that costs. The client hears why.
    Failed {
        refusal: Refusal,
        /// Where it surely has not seen the request, why.
        unseen: Option<Failure>,
    },
    /// It has not seen the request, and the client has left. It costs nothing.
    Unsent(Refusal),
    /// The proxy must stop while the client waits. It costs nothing, and the client hears why.
    Stopped(Refusal),
    /// It has the request and may be working on it, but the client has left and nobody waits any longer: it took too long, or need not be waited for.
    Abandoned { is_late: bool },
}

impl Call {
    /// Sends the request on, and waits for the head of the answer until the deadline, or for as long as the provider may take.
    pub(super) async fn forward(
        &self,
        core: &Core,
        (body, taken): (RequestBody, Taken),
        deadline: Instant,
        client: &Client,
        stop: &mut Listening,
    ) -> Result<Response<UpstreamBody>, Unanswered> {
        let (target, model) = (&self.route.target, &self.route.model);
        let sending = core.upstreams.send(target, (self.request.dialect, model), &self.headers, body);
        let give_up = |refusal| if taken.is_set() { Unanswered::Abandoned { is_late: false } } else { Unanswered::Unsent(refusal) };
        let deadline = target.time_outs.first_byte.map_or(deadline, |within| deadline.min(Instant::now() + within));
        let mut sending = pin!(timeout_at(deadline, sending));
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
                    let (provider, why) = (&model.provider, untrusted(&error));
                    let is_unseen = error.is_connect() || !taken.is_set();
                    let (reason, problem) = match why {
                        Some(_) => ("untrusted", "the upstream shows a certificate that is not trusted"),
                        None if is_unseen => ("unreachable", "the upstream could not be reached"),
                        None => ("broken_off", "the upstream broke off before it answered, or answered what is no HTTP"),
                    };
                    if self.route.health.warns(reason, &model.name) {
                        tracing::warn!(error = %causes(&error), call = %self.id, provider, why, "{problem}");
                    }
                    let unseen = is_unseen.then(|| match why {
                        Some(_) => Failure::Untrusted,
                        None if is_late(&error) => Failure::ConnectTimeout,
                        None => Failure::Unreachable,
                    });
                    let refusal = match unseen {
                        Some(Failure::Untrusted) => {
                            Refusal::bad_gateway("The model's upstream shows a certificate that this gateway does not trust.")
                        }
                        Some(_) => Refusal::unreachable_upstream(),
                        None => Refusal::bad_gateway("The model's upstream broke off before it answered."),
                    };
                    Err(Unanswered::Failed { refusal, unseen })
                }
                Err(_) if client_is_here || !taken.is_set() => {
                    let unseen = (!taken.is_set()).then_some(Failure::ConnectTimeout);
                    Err(Unanswered::Failed { refusal: Refusal::gateway_timeout(), unseen })
                }
                Err(_) => Err(Unanswered::Abandoned { is_late: true }),
            };
        }
    }

    /// Why an answer is not passed on: it cannot be read, it is the operator's business alone, or it is about what the client has not sent.
    pub(super) async fn unusable(&self, bound: Bound, response: &mut Response<UpstreamBody>) -> Option<Refusal> {
        if let Some(refusal) = unreadable(response) {
            return Some(refusal);
        }
        let Route { model, target, health, .. } = &*self.route;
        let reason = Reason::of(response, self.request.added(model, target.usage_mode, self.cap(bound))).await?;
        reason.alarm(&model.provider, &model.name, response.status(), &health.alarm);
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

/// Whether an error's cause is that something took too long.
fn is_late(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        next = error.source();
    }
    false
}

/// An error with its causes: the outermost alone says "client error (Connect)".
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
