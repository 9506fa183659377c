//! What an earlier run of this proxy left: calls that it was killed in, and holds of calls that it never forwarded.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use domain::id::CallId;
use ledger::{Admitted, Intent, Ledger, Meter, SettledCall};
use uuid::Uuid;

use super::{record, running};
use crate::{
    Result, settle,
    spool::{Lane, Position, Spool, Unsettled},
};

/// Settles the calls that the spool knows no end of: as interrupted, in the spool, from where they are posted like all others.
///
/// # Errors
/// [`crate::Error::Ledger`] when the database is away.
pub(crate) async fn settle_unsettled(unsettled: Vec<Unsettled>, meter: &Meter) -> Result<()> {
    if !unsettled.is_empty() {
        tracing::warn!(calls = unsettled.len(), "settling calls that this proxy was interrupted in");
    }
    for Unsettled { lane, record, begun } in unsettled {
        match record::read_intent(&record) {
            Ok(admitted) => {
                let mut call = interrupted(meter, admitted).await?;
                if let Err(error) = running::write(&lane, begun, &mut call) {
                    tracing::error!(%error, call = %call.call_id, "an interrupted call could not be written to the spool: the next start settles it");
                }
            }
            Err(error) => tracing::error!(call = %record.call, %error, "what the spool says of a running call cannot be read"),
        }
    }
    Ok(())
}

/// Settles calls whose proxy died in the middle of them: visible, and charged for their prompt. Returns how many there were.
///
/// Of [`Meter::interrupted_before`], for proxies that never came back.
///
/// # Errors
/// [`crate::Error::Ledger`] when the database is away.
pub async fn settle_interrupted(ledger: &Ledger, intents: Vec<Intent>) -> Result<usize> {
    let meter = ledger.meter();
    let mut settled = Vec::with_capacity(intents.len());
    for intent in intents {
        settled.push(interrupted(&meter, intent.admitted).await?);
    }
    if !settled.is_empty() {
        tracing::warn!(calls = settled.len(), "settling calls that were interrupted");
    }
    // An account that is locked right now keeps nobody from starting; its calls are found again when their holds expire.
    let done = meter.post_free_calls(&settled).await?;
    Ok(settled.len() - done.deferred.len())
}

async fn interrupted(meter: &Meter, admitted: Admitted) -> Result<SettledCall> {
    let price = meter.price(admitted.price_id).await?;
    let latency = admitted.call_id.started_at().map_or(0, |started| (Utc::now() - started).num_milliseconds().max(0));
    Ok(settle::interrupted(admitted, &price.rates, latency))
}

/// Holds of an earlier run, and up to where the spool must be posted before it is known which of them are of calls that it does not know.
#[derive(Debug)]
pub(crate) struct Left {
    proxy: Uuid,
    calls: HashSet<CallId>,
    ends: Vec<Position>,
    spool_since: DateTime<Utc>,
}

impl Left {
    /// To be asked when the spool was opened, before any call is admitted.
    ///
    /// # Errors
    /// [`crate::Error::Ledger`] when the database is away.
    pub(crate) async fn find(spool: &Spool, meter: &Meter, proxy: Uuid) -> Result<Self> {
        let calls = meter.interrupted_of(proxy).await?.iter().map(|intent| intent.call_id).collect();
        let ends = spool.lanes().iter().map(|lane| lane.end()).collect();
        Ok(Self { proxy, calls, ends, spool_since: spool.created_at() })
    }

    /// Whether all that the spool knew of them is posted.
    pub(crate) fn is_posted(&self, spool: &Spool) -> bool {
        let is_empty = |lane: &Lane| {
            let state = lane.state();
            state.unsettled == 0 && state.unposted == 0
        };
        // A lane that takes no calls any more may have no end to be reached.
        spool.lanes().iter().zip(&self.ends).all(|(lane, end)| lane.posted_to() >= *end || is_empty(lane))
    }

    /// Ends the holds that are still there: they are of calls that the spool does not know, so these were never forwarded, and cost nothing. Those that
    /// are older than the spool may have been in one that is lost, and are settled as interrupted.
    ///
    /// # Errors
    /// [`crate::Error::Ledger`] when the database is away.
    pub(crate) async fn end(&self, ledger: &Ledger) -> Result<()> {
        if self.calls.is_empty() {
            return Ok(());
        }
        let intents = ledger.meter().interrupted_of(self.proxy).await?.into_iter().filter(|intent| self.calls.contains(&intent.call_id));
        let is_older = |intent: &Intent| intent.call_id.started_at().is_none_or(|started| started < self.spool_since);
        let (older, unknown): (Vec<_>, Vec<_>) = intents.partition(is_older);
        settle_interrupted(ledger, older).await?;
        for intent in unknown {
            ledger.meter().release(intent.account_id, intent.call_id).await?;
        }
        Ok(())
    }
}
