//! What earlier lives of this proxy had leased: it goes back when all that their calls left in the spool is posted.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, SubsecRound, Utc};
use domain::id::EpochId;
use ledger::{Epoch, Ledger, Meter};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::recovery::settle_interrupted;
use crate::{
    Error, Result,
    admit::leases::RENEWED_EVERY,
    books::spool::{Lane, Position, Spool},
};

const EVERY: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_millis(50);
const TRIES: u32 = 40;

/// The epochs of earlier lives, and up to where the spool must be posted before they can be ended.
#[derive(Debug)]
pub(crate) struct Earlier {
    epochs: Vec<Epoch>,
    ends: Vec<Position>,
}

impl Earlier {
    /// To be asked when the spool was opened, before any call is admitted. Those whose spool was another one are not this proxy's to end: their calls may
    /// run still, and are in that one.
    ///
    /// # Errors
    /// [`Error::Ledger`] when the database is away.
    pub(crate) async fn find(spool: &Spool, meter: &Meter, proxy: Uuid) -> Result<Self> {
        let epochs = meter.epochs(Some(proxy)).await?;
        let own = epochs.into_iter().filter(|epoch| epoch.spool_since == stored(spool.created_at()));
        Ok(Self { epochs: own.collect(), ends: spool.lanes().iter().map(|lane| lane.end()).collect() })
    }

    /// Which they are.
    pub(crate) fn epochs(&self) -> impl Iterator<Item = EpochId> {
        self.epochs.iter().map(|epoch| epoch.id)
    }

    /// Those that nobody renews. Only a copy of this spool can have another process that does: its calls are not in this one.
    async fn that_are_not_renewed(&self, meter: &Meter) -> Vec<EpochId> {
        let Some(proxy) = self.epochs.first().map(|epoch| epoch.proxy) else { return Vec::new() };
        loop {
            sleep(2 * RENEWED_EVERY).await;
            let Ok(now) = meter.epochs(Some(proxy)).await else { continue };
            let is_renewed = |before: &&Epoch| now.iter().any(|epoch| epoch.id == before.id && epoch.expires_at > before.expires_at);
            let (alive, dead): (Vec<&Epoch>, Vec<&Epoch>) = self.epochs.iter().partition(is_renewed);
            for epoch in alive {
                tracing::error!(epoch = %epoch.id, %proxy, "another process runs as this proxy, with a copy of its spool: stop one of them");
            }
            return dead.into_iter().map(|epoch| epoch.id).collect();
        }
    }

    /// Whether all that the spool knew of their calls is posted.
    fn is_posted(&self, spool: &Spool) -> bool {
        let is_empty = |lane: &Lane| {
            let state = lane.state();
            state.unsettled == 0 && state.unposted == 0
        };
        // A lane that takes no calls any more may have no end to be reached.
        spool.lanes().iter().zip(&self.ends).all(|(lane, end)| lane.posted_to() >= *end || is_empty(lane))
    }
}

/// An instant as the database keeps it.
pub(crate) fn stored(at: DateTime<Utc>) -> DateTime<Utc> {
    at.trunc_subsecs(6)
}

/// Ends what earlier lives have left, as soon as it can be.
pub(crate) async fn end_earlier(spool: Arc<Spool>, earlier: Earlier, ledger: Ledger, quit: CancellationToken) {
    let ending = async {
        let mut left = earlier.that_are_not_renewed(&ledger.meter()).await;
        let mut times = interval(EVERY);
        times.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !left.is_empty() {
            times.tick().await;
            if !earlier.is_posted(&spool) {
                continue;
            }
            let mut still = Vec::new();
            for epoch in left {
                match end(&ledger, epoch).await {
                    Ok(true) => {}
                    Ok(false) => still.push(epoch),
                    Err(error) => {
                        tracing::warn!(%error, %epoch, "what an earlier run had leased could not be given back; trying again");
                        still.push(epoch);
                    }
                }
            }
            left = still;
        }
    };
    quit.run_until_cancelled(ending).await;
}

/// Ends the epoch of a proxy that stops, if all of its calls are posted. Else its next run does.
pub(crate) async fn end_own(spool: &Spool, ledger: &Ledger, epoch: EpochId) {
    let is_posted = spool.lanes().iter().map(|lane| lane.state()).all(|state| state.unsettled == 0 && state.unposted == 0);
    if !is_posted {
        return;
    }
    loop {
        match end(ledger, epoch).await {
            Ok(true) => return,
            // Somebody has an account locked right now.
            Ok(false) => sleep(MOMENT).await,
            Err(error) => return tracing::warn!(%error, "what was leased was not given back: the next run does it"),
        }
    }
}

/// Ends an epoch of which all that is known is posted: its announced calls that nobody knows the end of are settled as interrupted, and its slices go
/// back. Returns whether all did: those of an account that is locked right now are left for another time.
///
/// # Errors
/// [`Error::Ledger`] when the database is away.
pub(crate) async fn end(ledger: &Ledger, epoch: EpochId) -> Result<bool> {
    let ending = ledger.meter().end_epoch(epoch).await?;
    let announced = ending.announced().await?;
    let count = announced.len();
    let is_settled = settle_interrupted(ledger, announced).await? == count;
    Ok(is_settled && ending.give_back().await?)
}

/// [`end`], more than once: an account of which calls are posted all the time is locked now and then.
async fn end_soon(ledger: &Ledger, epoch: EpochId) -> Result<()> {
    for _ in 0..TRIES {
        if end(ledger, epoch).await? {
            return Ok(());
        }
        sleep(MOMENT).await;
    }
    Ok(())
}

/// Ends the epochs of proxies that are gone: those that nobody has renewed for longer than their calls can take. One whose machine stood still goes on
/// when the database answers again, so `seen` holds what was silent at the last look: only what still is, without a renewal, is nobody's.
///
/// # Errors
/// [`Error::Ledger`] when the database is away.
pub async fn end_silent(ledger: &Ledger, seen: &mut Vec<Epoch>) -> Result<()> {
    let epochs = ledger.meter().epochs(None).await?;
    let silent: Vec<_> = epochs.into_iter().filter(|epoch| epoch.is_silent).collect();
    for epoch in silent.iter().filter(|epoch| seen.contains(epoch)) {
        tracing::warn!(epoch = %epoch.id, proxy = %epoch.proxy, "a proxy is gone: what it had leased goes back");
        // What is at fault with one keeps no other back.
        if let Err(error) = end_soon(ledger, epoch.id).await {
            tracing::error!(%error, epoch = %epoch.id, "what a proxy had leased that is gone could not be given back; trying again every minute");
        }
    }
    *seen = silent;
    Ok(())
}

/// Sees to it that no other process is the same proxy with another spool: one that lives says so every few seconds. Of two, the later one gives way.
///
/// # Errors
/// [`Error::ProxyInUse`]; [`Error::Ledger`] when the database is away.
pub(crate) async fn expect_alone(meter: &Meter, spool: &Spool, proxy: Uuid, own: EpochId) -> Result<()> {
    let others = |epochs: Vec<Epoch>| -> Vec<Epoch> {
        let before = epochs.into_iter().take_while(|epoch| epoch.id != own);
        // Of this very spool no other process can be: it is open here.
        before.filter(|epoch| !epoch.is_over && epoch.spool_since != stored(spool.created_at())).collect()
    };
    let before = others(meter.epochs(Some(proxy)).await?);
    let deadline = Instant::now() + 2 * RENEWED_EVERY;
    let mut alive = before.iter().any(|epoch| !epoch.has_expired);
    while alive && Instant::now() < deadline {
        sleep(EVERY).await;
        let now = others(meter.epochs(Some(proxy)).await?);
        let renewed = |epoch: &Epoch| before.iter().any(|before| before.id == epoch.id && before.expires_at < epoch.expires_at);
        if now.iter().any(renewed) {
            return Err(Error::ProxyInUse(proxy));
        }
        alive = !now.is_empty();
    }
    Ok(())
}
