//! A call between its two records in the spool.

use std::{io, mem, sync::Arc};

use domain::catalog::PriceVersion;
use ledger::{Admitted, SettledCall};
use tokio::time::Instant;

use super::record;
use crate::{
    settle,
    spool::{AppendError, Begun, Lane, NotSettled, Position},
};

/// A call that is about to be forwarded, or was. Whatever becomes of its task, the spool learns of an end: of one that nobody settled, that it was
/// interrupted.
#[derive(Debug)]
pub(crate) struct Running {
    lane: Arc<Lane>,
    /// Until it is settled.
    begun: Option<Begun>,
    admitted: Admitted,
    price: Arc<PriceVersion>,
    started: Instant,
}

/// The spool has not taken a settlement, or nobody knows whether it will keep it: it is to be posted from memory.
#[derive(Debug, thiserror::Error)]
#[error("a settlement could not be written to the spool: {error}")]
pub(crate) struct NotSpooled {
    error: AppendError,
    /// What is in the way in the spool until the call is posted.
    pub(crate) left: Option<(Arc<Lane>, Begun)>,
}

impl Running {
    /// Writes to the spool that the call begins.
    ///
    /// # Errors
    /// Nothing was written, and the call must not be forwarded: [`AppendError::Full`], [`AppendError::Io`].
    pub(crate) fn begin(lane: Arc<Lane>, admitted: Admitted, price: Arc<PriceVersion>, started: Instant) -> Result<Self, AppendError> {
        let body = record::write(&admitted).map_err(|error| AppendError::Io(error.into()))?;
        let begun = lane.begin(admitted.call_id, record::VERSION, &body)?;
        Ok(Self { lane, begun: Some(begun), admitted, price, started })
    }

    /// What is known of it since it began.
    pub(crate) const fn admitted(&self) -> &Admitted {
        &self.admitted
    }

    /// Returns once that is as durable as the spool makes it.
    ///
    /// # Errors
    /// When nobody knows whether it is: the call must not be forwarded.
    pub(crate) async fn durable(&self) -> io::Result<()> {
        match &self.begun {
            Some(begun) => self.lane.durable(begun.intent()).await,
            None => Ok(()),
        }
    }

    /// Writes to the spool what the call came to, and returns once that is as durable as the spool makes it.
    ///
    /// # Errors
    /// [`NotSpooled`].
    pub(crate) async fn settle(mut self, call: &mut SettledCall) -> Result<(), NotSpooled> {
        let Some(begun) = self.begun.take() else { return Ok(()) };
        let lane = Arc::clone(&self.lane);
        let position = write(&lane, begun, call)
            .map_err(|NotSettled { begun, error }| NotSpooled { error, left: Some((Arc::clone(&lane), begun)) })?;
        lane.durable(position).await.map_err(|error| NotSpooled { error: AppendError::Io(error), left: None })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(begun) = self.begun.take() else { return };
        let latency = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        let mut call = settle::interrupted(self.admitted.clone(), &self.price.rates, latency);
        if let Err(NotSettled { error, .. }) = write(&self.lane, begun, &mut call) {
            tracing::error!(%error, call = %call.call_id, "a call that nobody settled could not be written to the spool: the next start settles it");
        }
    }
}

/// Writes a settlement. One that is larger than was reserved for it, and than there is room, goes without the upstream's own words.
pub(crate) fn write(lane: &Lane, begun: Begun, call: &mut SettledCall) -> Result<Position, NotSettled> {
    let encoded = |call: &SettledCall| record::write(call).map_err(|error| AppendError::Io(error.into()));
    let body = match encoded(call) {
        Ok(body) => body,
        Err(error) => return Err(NotSettled { begun, error }),
    };
    match lane.settle(begun, record::VERSION, &body) {
        Err(NotSettled { begun, error: AppendError::TooLarge { .. } }) if call.raw_usage.is_some() => {
            tracing::error!(call = %call.call_id, "no room in the spool for the upstream's usage object: it is left out");
            drop(mem::take(&mut call.raw_usage));
            match encoded(call) {
                Ok(body) => lane.settle(begun, record::VERSION, &body),
                Err(error) => Err(NotSettled { begun, error }),
            }
        }
        written => written,
    }
}
