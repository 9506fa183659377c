//! Calls that a proxy was killed in.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use chrono::Utc;
use domain::{id::PriceId, rates::Rates};
use ledger::{Admitted, Ledger, Meter, SettledCall};

use super::{record, running};
use crate::{
    Result,
    books::{interrupted::settlement, spool::Unsettled},
};

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
        let written = settled.and_then(|call| running::write(&lane, begun, &mut Arc::new(call)).map_err(|not| not.to_string()));
        if let Err(problem) = written {
            tracing::error!(call = %record.call, problem, "a call that was interrupted could not be settled: the next start tries again");
        }
    }
    Ok(())
}

/// Settles calls whose proxy died in the middle of them: visible, and charged for their prompt. Returns how many it settled.
///
/// # Errors
/// [`crate::Error::Ledger`] when the database is away.
pub(crate) async fn settle_interrupted(ledger: &Ledger, calls: Vec<Admitted>) -> Result<usize> {
    let meter = ledger.meter();
    let (mut settled, mut prices) = (Vec::with_capacity(calls.len()), HashMap::new());
    for admitted in calls {
        settled.extend(interrupted(&meter, admitted, &mut prices).await?);
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
    Ok(Some(settlement(admitted, rates, latency)))
}
