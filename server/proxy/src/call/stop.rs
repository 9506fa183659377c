//! The proxy must stop: how running calls hear of it.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Said once, for all calls.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    is_said: Arc<AtomicBool>,
    said: CancellationToken,
}

impl Stop {
    /// Running calls must come to an end now.
    pub(crate) fn say(&self) {
        self.is_said.store(true, Ordering::Release);
        self.said.cancel();
    }

    /// Returns once it is said.
    pub(crate) async fn heard(&self) {
        self.said.cancelled().await;
    }

    /// Somebody who is to hear of it.
    pub(crate) fn listen(&self) -> Listening {
        Listening { stop: self.clone(), said: Box::pin(self.said.clone().cancelled_owned()), waker: None }
    }
}

/// Whoever listens is asked for each piece of an answer, so that it must cost nothing: the list of all that wait is touched once, and again only when
/// another task listens.
#[derive(Debug)]
pub(crate) struct Listening {
    stop: Stop,
    said: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Of the task that is woken.
    waker: Option<Waker>,
}

impl Listening {
    /// Whether it is said; if not, the task is woken when it is.
    pub(crate) fn poll_said(&mut self, context: &mut Context<'_>) -> bool {
        if self.is_said() {
            return true;
        }
        if self.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            return false;
        }
        self.waker = Some(context.waker().clone());
        self.said.as_mut().poll(context).is_ready()
    }

    /// Whether it is said.
    pub(crate) fn is_said(&self) -> bool {
        self.stop.is_said.load(Ordering::Acquire)
    }

    /// Returns once it is said.
    pub(crate) async fn heard(&mut self) {
        poll_fn(|context| if self.poll_said(context) { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}
