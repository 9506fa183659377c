//! What an earlier run of this proxy left: calls that it was killed in, and holds of calls that it never forwarded.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    time::Duration,
};

use chrono::{DateTime, Utc};
use domain::{
    id::{CallId, PriceId},
    rates::Rates,
};
use ledger::{Admitted, Intent, Ledger, Meter, SettledCall};
use tokio::time::timeout;
use uuid::Uuid;

use super::{record, running};
use crate::{
    Result, settle,
    spool::{Lane, Position, Spool, Unsettled},
};

/// What giving back one hold may take: an account that somebody has locked waits for the next time.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

/// Settles the calls that the spool knows no end of: as interrupted, in the spool, from where they are posted like all others. One that cannot be settled
/// stays as it is, for the next start.
///
/// # Errors
/// [`crate::Error::Ledger`] when the database is away.
pub(crate) async fn settle_unsettled(unsettled: Vec<Unsettled>, meter: &Meter) -> Result<()> {
    if !unsettled.is_empty() {
        tracing::warn!(calls = unsettled.len(), "settling calls that this proxy was interrupted in");
    }
    let mut prices = HashMap::new();
    for Unsettled { lane, record, begun } in unsettled {
        let settled = match record::read_intent(&record) {
            Ok(admitted) => interrupted(meter, admitted, &mut prices).await?.ok_or_else(|| "its price is not in the database".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        let written = settled.and_then(|mut call| running::write(&lane, begun, &mut call).map_err(|not| not.to_string()));
        if let Err(problem) = written {
            tracing::error!(call = %record.call, problem, "a call that was interrupted could not be settled: the next start tries again");
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
    let (mut settled, mut prices) = (Vec::with_capacity(intents.len()), HashMap::new());
    for intent in intents {
        settled.extend(interrupted(&meter, intent.admitted, &mut prices).await?);
    }
    if !settled.is_empty() {
        tracing::warn!(calls = settled.len(), "settling calls that were interrupted");
    }
    // An account that is locked right now keeps nobody from starting; its calls are found again when their holds expire.
    let done = meter.post_free_calls(&settled).await?;
    Ok(settled.len() - done.deferred.len())
}

/// The settlement of an interrupted call; `None` where nobody knows its price any more.
async fn interrupted(meter: &Meter, admitted: Admitted, prices: &mut HashMap<PriceId, Rates>) -> Result<Option<SettledCall>> {
    let rates = match prices.entry(admitted.price_id) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(unknown) => match meter.price(admitted.price_id).await {
            Ok(price) => unknown.insert(price.rates),
            Err(error @ (ledger::Error::NotFound | ledger::Error::Corrupt(_))) => {
                tracing::error!(%error, call = %admitted.call_id, price = %admitted.price_id, "an interrupted call has no price");
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        },
    };
    let latency = admitted.call_id.started_at().map_or(0, |started| (Utc::now() - started).num_milliseconds().max(0));
    Ok(Some(settle::interrupted(admitted, rates, latency)))
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
    /// may have been in a spool that is lost, or in a part of this one that is, are settled as interrupted. Returns whether none is left: an account
    /// that is locked keeps only its own.
    ///
    /// # Errors
    /// [`crate::Error::Ledger`] when the database is away.
    pub(crate) async fn end(&self, spool: &Spool, ledger: &Ledger) -> Result<bool> {
        if self.calls.is_empty() {
            return Ok(true);
        }
        let intents = ledger.meter().interrupted_of(self.proxy).await?.into_iter().filter(|intent| self.calls.contains(&intent.call_id));
        let may_have_lost = spool.may_have_lost();
        let may_be_lost = |intent: &Intent| may_have_lost || intent.call_id.started_at().is_none_or(|started| started < self.spool_since);
        let (lost, unknown): (Vec<_>, Vec<_>) = intents.partition(may_be_lost);
        let count = lost.len();
        let mut is_done = settle_interrupted(ledger, lost).await? == count;
        for intent in unknown {
            let released = timeout(RELEASE_TIMEOUT, ledger.meter().release(intent.account_id, intent.call_id)).await;
            is_done &= matches!(released, Ok(Ok(())));
        }
        Ok(is_done)
    }
}
