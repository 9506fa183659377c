//! A call between its two records in the spool.

use std::{io, sync::Arc};

use domain::{catalog::PriceVersion, credit::Strictness};
use ledger::{Admitted, SettledCall};
use tokio::time::Instant;

use super::{announcing::LongCalls, interrupted, record};
use crate::{
    admit::leases::Held,
    books::spool::{AppendError, Begun, Lane, NotSettled, Position, Ticket},
};

/// A call that holds the most that it can take.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) admitted: Admitted,
    pub(crate) held: Held,
    pub(crate) price: Arc<PriceVersion>,
    pub(crate) started: Instant,
}

/// A call that is about to be forwarded, or was. Whatever becomes of its task, the spool learns of an end: of one that nobody settled, that it was
/// interrupted.
#[derive(Debug)]
pub(crate) struct Running {
    lane: Arc<Lane>,
    /// Until it is settled.
    open: Option<(Open, Held)>,
    admitted: Arc<Admitted>,
    price: Arc<PriceVersion>,
    started: Instant,
    long: Arc<LongCalls>,
}

/// What the spool has of it.
#[derive(Debug)]
enum Open {
    /// What begins it is about to be written.
    Asked(Ticket<Result<Begun, AppendError>>),
    Begun(Begun),
}

/// The spool has not taken a settlement, or nobody knows whether it will keep it: it is to be posted from memory.
#[derive(Debug, thiserror::Error)]
#[error("a settlement could not be written to the spool: {error}")]
pub(crate) struct NotSpooled {
    error: AppendError,
    /// What is in the way in the spool until the call is posted.
    pub(crate) left: Option<(Arc<Lane>, Begun)>,
    /// What it holds until then: what it did not use must not be another call's while nothing says for good what it used.
    pub(crate) held: Held,
}

impl Running {
    /// Writes to the spool that the call begins, and returns once that survives a killed process.
    ///
    /// # Errors
    /// The call must not be forwarded, and what it held is given back: [`AppendError::Full`], [`AppendError::Io`]; as [`Lane::begin`].
    pub(crate) async fn begin(lane: Arc<Lane>, admission: Admission, long: &Arc<LongCalls>) -> Result<Self, AppendError> {
        let Admission { admitted, held, price, started } = admission;
        let body = record::write(&admitted).map_err(AppendError::Io)?;
        let asked = lane.begin_soon(admitted.call_id, record::VERSION, body);
        let (admitted, long) = (Arc::new(admitted), Arc::clone(long));
        let mut running = Self { lane, open: Some((Open::Asked(asked), held)), admitted, price, started, long };
        running.begun().await?;
        running.long.add(&running.admitted, started);
        Ok(running)
    }

    async fn begun(&mut self) -> Result<(), AppendError> {
        let Some((open, held)) = &mut self.open else { return Ok(()) };
        let Open::Asked(asked) = open else { return Ok(()) };
        match asked.await.unwrap_or_else(|| Err(closed())) {
            Ok(begun) => {
                *open = Open::Begun(begun);
                held.forwarded();
                Ok(())
            }
            Err(error) => {
                self.open = None;
                Err(error)
            }
        }
    }

    /// What is known of it since it began.
    pub(crate) fn admitted(&self) -> &Admitted {
        &self.admitted
    }

    /// Returns once that is as durable as the spool makes it.
    ///
    /// # Errors
    /// When nobody knows whether it is: the call must not be forwarded.
    pub(crate) async fn durable(&self) -> io::Result<()> {
        match &self.open {
            Some((Open::Begun(begun), _)) => self.lane.durable(begun.intent()).await,
            _ => Ok(()),
        }
    }

    /// Writes to the spool what the call came to, and returns once that is as durable as the spool makes it: what it held and did not use is another
    /// call's from then on.
    ///
    /// # Errors
    /// [`NotSpooled`].
    pub(crate) async fn settle(mut self, call: &mut Arc<SettledCall>) -> Result<(), NotSpooled> {
        let Some((Open::Begun(begun), held)) = self.open.take() else { return Ok(()) };
        let lane = Arc::clone(&self.lane);
        let position = match write_soon(&lane, begun, call).await {
            Some(Ok(position)) => position,
            Some(Err(NotSettled { begun, error })) => return Err(NotSpooled { error, left: Some((lane, begun)), held }),
            None => return Err(NotSpooled { error: closed(), left: None, held }),
        };
        if let Err(error) = lane.durable(position).await {
            return Err(NotSpooled { error: AppendError::Io(error), left: None, held });
        }
        held.settle(&call.charge(&call.split, Strictness::Strict));
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.long.remove(self.admitted.call_id);
        let Some((open, mut held)) = self.open.take() else { return };
        let latency = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        let interrupted = interrupted::settlement(Admitted::clone(&self.admitted), &self.price.rates, latency);
        let (begun, mut call) = match open {
            Open::Begun(begun) => (begun, Arc::new(interrupted)),
            // It was not forwarded. Where its beginning is not written, it never was.
            Open::Asked(asked) => match asked.now() {
                Some(Ok(begun)) => (begun, Arc::new(interrupted::before_it_was_forwarded(interrupted))),
                _ => return,
            },
        };
        // Where its settlement is not written, the next start settles it.
        held.forwarded();
        match write(&self.lane, begun, &mut call) {
            Ok(_) => held.settle(&call.charge(&call.split, Strictness::Strict)),
            Err(NotSettled { error, .. }) => {
                tracing::error!(%error, call = %call.call_id, "a call that nobody settled could not be written to the spool: the next start settles it");
            }
        }
    }
}

fn closed() -> AppendError {
    AppendError::Io(io::Error::other("the spool is closed"))
}

/// Writes a settlement. One that is larger than was reserved for it, and than there is room, goes without the upstream's own words.
pub(crate) fn write(lane: &Lane, begun: Begun, call: &mut Arc<SettledCall>) -> Result<Position, NotSettled> {
    match write_whole(lane, begun, call) {
        Err(NotSettled { begun, error: AppendError::TooLarge { .. } }) if call.raw_usage.is_some() => {
            tracing::error!(call = %call.call_id, "no room in the spool for the upstream's usage object: it is left out");
            Arc::make_mut(call).raw_usage = None;
            write_whole(lane, begun, call)
        }
        written => written,
    }
}

/// [`write`], together with what else is written in this moment; `None` where the lane ended without a word.
pub(in crate::books) async fn write_soon(
    lane: &Arc<Lane>,
    begun: Begun,
    call: &mut Arc<SettledCall>,
) -> Option<Result<Position, NotSettled>> {
    let body = match record::write(&**call) {
        Ok(body) => body,
        Err(error) => return Some(Err(NotSettled { begun, error: AppendError::Io(error) })),
    };
    match lane.settle_soon(begun, record::VERSION, body, call).await? {
        Err(NotSettled { begun, error: AppendError::TooLarge { .. } }) => Some(write(lane, begun, call)),
        written => Some(written),
    }
}

fn write_whole(lane: &Lane, begun: Begun, call: &Arc<SettledCall>) -> Result<Position, NotSettled> {
    match record::write(&**call) {
        Ok(body) => lane.settle(begun, record::VERSION, &body, call),
        Err(error) => Err(NotSettled { begun, error: AppendError::Io(error) }),
    }
}
