//! Settled calls on their way to the books, many at a time.
//!
//! There is no artificial delay: while one batch is being posted the next one gathers, so that a lone call is posted at once and a crowd in few
//! transactions. While the database is away the batch is repeated until it lands; the ledger posts each call once, however often it is handed over.

use std::time::Duration;

use ledger::{Meter, SettledCall};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// The most that one transaction takes.
const BATCH_MAX: usize = 500;
/// Calls that wait for the batch to come.
const QUEUE: usize = 4 * BATCH_MAX;
/// What one batch may take. A connection that hangs then gives way to another; what it did after all is not done twice.
const POST_TIMEOUT: Duration = Duration::from_secs(20);
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LAST: Duration = Duration::from_secs(2);

/// Takes settled calls.
#[derive(Debug, Clone)]
pub(crate) struct Poster(mpsc::Sender<Queued>);

/// A settled call, and who waits for it to be posted.
#[derive(Debug)]
struct Queued {
    call: SettledCall,
    posted: oneshot::Sender<()>,
}

/// Posts what [`Poster`] takes.
pub(crate) struct Posting {
    queue: mpsc::Receiver<Queued>,
    meter: Meter,
}

pub(crate) fn poster(meter: Meter) -> (Poster, Posting) {
    let (sender, queue) = mpsc::channel(QUEUE);
    (Poster(sender), Posting { queue, meter })
}

impl Poster {
    /// Whether what is handed over will be posted: a poster that has died takes nothing any more, and no call may start that could not be paid.
    pub(crate) fn is_open(&self) -> bool {
        !self.0.is_closed()
    }

    /// Hands a call over and waits until it is in the books. Returns whether it is: only a process that ends in the middle of it leaves it out, and then
    /// the next run settles what has a lease, as interrupted; of a call that was free nothing is left.
    pub(crate) async fn post(&self, call: SettledCall) -> bool {
        let (posted, landed) = oneshot::channel();
        self.0.send(Queued { call, posted }).await.is_ok() && landed.await.is_ok()
    }
}

impl Posting {
    /// Posts until it is told to `quit`, and then what is left. With `give_up` it repeats nothing any more: the process must end.
    pub(crate) async fn run(mut self, quit: CancellationToken, give_up: CancellationToken) {
        let mut queued = Vec::with_capacity(BATCH_MAX);
        loop {
            let taken = tokio::select! {
                taken = self.queue.recv_many(&mut queued, BATCH_MAX) => taken,
                () = quit.cancelled(), if !self.queue.is_closed() => {
                    self.queue.close();
                    continue;
                }
            };
            if taken == 0 {
                return;
            }
            let (calls, waiting): (Vec<_>, Vec<_>) = queued.drain(..).map(|queued| (queued.call, queued.posted)).unzip();
            if !self.post(&calls, &give_up).await {
                tracing::error!(
                    calls = calls.len(),
                    "stopping with calls that could not be posted; the next run settles them as interrupted"
                );
                return;
            }
            for waiter in waiting {
                let _ = waiter.send(()); // whoever no longer waits no longer needs to know
            }
        }
    }

    /// Returns whether the calls are in the books.
    async fn post(&self, calls: &[SettledCall], give_up: &CancellationToken) -> bool {
        let mut pause = RETRY_FIRST;
        loop {
            // A connection that hangs must keep neither the other calls from the books nor the process from ending.
            let Some(posted) = give_up.run_until_cancelled(timeout(POST_TIMEOUT, self.meter.post_calls(calls))).await else { return false };
            match posted {
                Ok(Ok(done)) => {
                    metrics::counter!("farebox_calls_posted_total").increment(u64::try_from(done.posted).unwrap_or(u64::MAX));
                    for call in done.unleased {
                        tracing::error!(%call, "a call was charged without a hold: recorded as debt");
                    }
                    return true;
                }
                Ok(Err(error)) => tracing::warn!(%error, calls = calls.len(), "calls could not be posted; trying again"),
                Err(_) => tracing::warn!(calls = calls.len(), "the database does not answer; posting again"),
            }
            tokio::select! {
                () = give_up.cancelled() => return false,
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(RETRY_LAST),
            }
        }
    }
}
