//! Between a call and its client's connection: the one puts the answer here, the other takes it away.
//!
//! Nothing runs beside the connection: whoever serves it polls the call, too ([`Attended`]). When the client leaves, what is left of the call goes on in a
//! task of its own, so that it is never free and its hold never lost.

use std::{
    collections::VecDeque,
    future::poll_fn,
    mem,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, StatusCode};
use http_body::Frame;
use tokio::runtime::Handle;
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

use crate::reply::Refusal;

/// The beginning of an answer.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
}

/// The answer breaks off here. The connection is closed without the mark of a complete answer, so that the client can tell.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off")]
pub struct BrokenOff;

/// What both hold.
#[derive(Debug, Default)]
struct Shelf {
    /// Until it is taken.
    head: Option<Result<Head, Refusal>>,
    /// In their order.
    pieces: VecDeque<Bytes>,
    /// The last piece was put there, and the answer is whole.
    is_whole: bool,
    has_left: bool,
    /// The client is not told any more.
    is_forgotten: bool,
}

type Shared = Arc<Mutex<Shelf>>;

fn lock(shelf: &Shared) -> MutexGuard<'_, Shelf> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The client, as its call sees it.
#[derive(Debug)]
pub(crate) struct Client {
    shelf: Shared,
}

impl Client {
    /// Whether anyone waits for an answer.
    pub(crate) fn is_here(&self) -> bool {
        let shelf = lock(&self.shelf);
        !shelf.is_forgotten && !shelf.has_left
    }

    /// Nobody is told any more. One who still reads finds at once that the answer breaks off.
    pub(crate) fn forget(&self) {
        lock(&self.shelf).is_forgotten = true;
    }

    /// Waits until the client leaves. That needs no waking: a call that is left is polled by its own task at once.
    pub(crate) async fn leaves(&self) {
        poll_fn(|_| if self.is_here() { Poll::Pending } else { Poll::Ready(()) }).await;
    }

    /// Answers. That is done once.
    pub(crate) fn answer(&self, head: Result<Head, Refusal>) {
        lock(&self.shelf).head = Some(head);
    }

    /// Puts bytes there for whoever is there to take them.
    pub(crate) fn put(&self, pieces: impl IntoIterator<Item = Bytes>) {
        if self.is_here() {
            lock(&self.shelf).pieces.extend(pieces);
        }
    }

    /// Whether everything was taken, or nobody is there to take it. Whoever takes something polls the call again.
    pub(crate) fn has_taken_all(&self) -> bool {
        let shelf = lock(&self.shelf);
        shelf.is_forgotten || shelf.has_left || shelf.pieces.is_empty()
    }

    /// What was put there was all of it.
    pub(crate) fn complete(&self) {
        if self.is_here() {
            lock(&self.shelf).is_whole = true;
        }
    }
}

/// A call that its client's connection runs. Dropped before its end, it goes on by itself.
pub(crate) struct Attended {
    /// Until it has ended.
    call: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    shelf: Shared,
    calls: TaskTracker,
    /// It counts among the running calls.
    _running: TaskTrackerToken,
}

impl Attended {
    /// A call that does nothing yet.
    pub(crate) fn new<F: Future<Output = ()> + Send + 'static>(calls: &TaskTracker, call: impl FnOnce(Client) -> F) -> Self {
        let shelf = Shared::default();
        let client = Client { shelf: Arc::clone(&shelf) };
        // A call that panics has an end like any other; what it holds has settled itself by then.
        let call = AssertUnwindSafe(call(client)).catch_unwind().map(drop);
        Self { call: Some(Box::pin(call)), shelf, calls: calls.clone(), _running: calls.token() }
    }

    /// Runs the call until it answers.
    ///
    /// # Errors
    /// The refusal that it answers with.
    pub(crate) async fn head(mut self) -> Result<(Head, Relayed), Refusal> {
        let head = poll_fn(|context| {
            let has_ended = self.poll_call(context).is_ready();
            match lock(&self.shelf).head.take() {
                Some(head) => Poll::Ready(head),
                None if has_ended => Poll::Ready(Err(Refusal::failed())),
                None => Poll::Pending,
            }
        });
        let head = head.await?;
        Ok((head, Relayed(self)))
    }

    fn take_piece(&self) -> Option<Bytes> {
        lock(&self.shelf).pieces.pop_front()
    }

    fn poll_call(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(call) = &mut self.call {
            ready!(call.as_mut().poll(context));
            self.call = None;
        }
        Poll::Ready(())
    }

    /// The client is gone: what is left of the call goes on in a task of its own.
    fn leave(&mut self) {
        let Some(call) = self.call.take() else { return };
        {
            let mut shelf = lock(&self.shelf);
            shelf.has_left = true;
            drop(mem::take(&mut shelf.pieces));
        }
        // Without a runtime there is nothing that it could go on with: dropped, it settles itself as interrupted.
        if let Ok(runtime) = Handle::try_current() {
            self.calls.spawn_on(call, &runtime);
        }
    }
}

impl Drop for Attended {
    fn drop(&mut self) {
        self.leave();
    }
}

/// The body of an answer, whose call is run by reading it.
pub(crate) struct Relayed(Attended);

impl http_body::Body for Relayed {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let Self(attended) = &mut *self;
        if let Some(piece) = attended.take_piece() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        let has_ended = attended.poll_call(context).is_ready();
        if let Some(piece) = attended.take_piece() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if lock(&attended.shelf).is_forgotten {
            attended.leave();
            return Poll::Ready(Some(Err(BrokenOff)));
        }
        if !has_ended {
            return Poll::Pending;
        }
        Poll::Ready((!lock(&attended.shelf).is_whole).then_some(Err(BrokenOff)))
    }

    fn is_end_stream(&self) -> bool {
        let shelf = lock(&self.0.shelf);
        self.0.call.is_none() && shelf.pieces.is_empty() && shelf.is_whole
    }
}
