//! One connection, and how long its client may take nothing of an answer that is there.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::call::stop::Stop;

/// How far the answer of a connection is with its client.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attention(Arc<Mutex<Answering>>);

#[derive(Debug, Default)]
struct Answering {
    is_under_way: bool,
    /// One has been written since that was asked last.
    has_ended: bool,
    /// Since when the client was given something that it has not taken yet, if there is such a thing.
    untaken_since: Option<Instant>,
}

impl Attention {
    fn lock(&self) -> MutexGuard<'_, Answering> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request has come.
    pub(crate) fn begin(&self) {
        self.lock().is_under_way = true;
    }

    /// Whether a request has come whose answer is not written yet.
    pub(crate) fn is_answering(&self) -> bool {
        self.lock().is_under_way
    }

    fn take_ended(&self) -> bool {
        std::mem::take(&mut self.lock().has_ended)
    }

    /// An answer whose client is watched.
    pub(crate) const fn watch<B>(self, body: B) -> Watched<B> {
        Watched { body, attention: self }
    }
}

/// The body of such an answer: asked for the next piece when the one before has been taken.
pub(crate) struct Watched<B> {
    body: B,
    attention: Attention,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Watched<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.attention.lock().untaken_since = matches!(polled, Poll::Ready(Some(Ok(_)))).then(Instant::now);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for Watched<B> {
    fn drop(&mut self) {
        *self.attention.lock() = Answering { has_ended: true, ..Answering::default() };
    }
}

/// How long a client may take nothing once calls must end.
const LAST_MOMENT: Duration = Duration::from_secs(2);

/// Drives a connection to its end. One whose client takes nothing for `idle_timeout`, or for a moment once calls must end, is given up: dropped, it lets
/// the call go on by itself.
pub(crate) async fn drive(mut connection: impl Future<Output = ()> + Unpin, attention: Attention, idle_timeout: Duration, stop: &Stop) {
    let mut stop = stop.listen();
    let (mut timer, mut stopping): (Option<Pin<Box<Sleep>>>, Option<Instant>) = (None, None);
    poll_fn(|context| {
        loop {
            if connection.poll_unpin(context).is_ready() {
                return Poll::Ready(());
            }
            // hyper does not read on by itself, and the next request is waited for from now on.
            if !attention.take_ended() {
                break;
            }
        }
        if stop.poll_said(context) && stopping.is_none() {
            (stopping, timer) = (Some(Instant::now()), None);
        }
        loop {
            let Some(since) = attention.lock().untaken_since else { return Poll::Pending };
            let ends_at = stopping.map_or(since + idle_timeout, |at| at.max(since) + LAST_MOMENT);
            if ends_at <= Instant::now() {
                return Poll::Ready(());
            }
            // It is set anew only when it has gone off: most clients take things long before.
            let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(ends_at)));
            if timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            timer.as_mut().reset(ends_at);
        }
    })
    .await;
}
