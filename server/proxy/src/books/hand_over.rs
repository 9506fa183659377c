//! Posting a spool without its proxy: that of a machine that is gone, or once more, to a database that fell back to an older state.

use std::{path::Path, sync::Arc, time::Duration};

use chrono::Utc;
use ledger::{Ledger, PostedCalls, SettledCall};
use serde::Serialize;
use tokio::{task::spawn_blocking, time::sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{earlier, feed, poster, record, recovery};
use crate::{
    Error, Result,
    books::spool::{self, Inspection, Kind, LaneState, Options, Spool},
    settings::SpoolSettings,
};

/// Calls that are posted together.
const TOGETHER: usize = 500;
/// While an account is locked.
const PAUSE: Duration = Duration::from_millis(200);
const TRIES: usize = 25;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct HandedOver {
    /// Calls that were in their middle when their proxy ended, and are settled as interrupted now.
    pub interrupted: usize,
    /// Settlements that its checkpoint did not say were posted, those of interrupted calls among them: all that were not are now.
    pub posted: u64,
    /// Records that could be neither settled nor posted: they are still there, and the log says why.
    pub left: u64,
}

/// What came of telling a database again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct ToldAgain {
    /// Calls that it did not have, or had as interrupted.
    pub posted: usize,
    /// Calls that it had.
    pub known: usize,
    /// Calls that it refused: they are in quarantine.
    pub quarantined: usize,
    /// Calls whose account stayed locked: tell it again.
    pub locked: usize,
    /// Records that cannot be read.
    pub unreadable: usize,
}

/// Posts what is left in the spool of a proxy that does not run, and settles the calls that it was interrupted in.
///
/// # Errors
/// [`Error::Spool`] for a spool of another database, or that a proxy has open; [`Error::Ledger`] when the database is away as it
/// begins; later on it waits for it.
pub async fn hand_over(ledger: &Ledger, folder: &Path) -> Result<HandedOver> {
    let its = look(folder).await?;
    let settings = SpoolSettings { folder: folder.to_owned(), ..SpoolSettings::default() };
    // It takes no calls any more, and needs no lanes for them.
    let options = Options { lanes: 0, ..settings.options(ledger.database_id().await?, its.identity.proxy) };
    let (spool, unsettled) = spawn_blocking(move || Spool::open(&options)).await.map_err(|_| Error::Panicked)??;
    let (spool, found) = (Arc::new(spool), unsettled.len());
    recovery::settle_unsettled(unsettled, &ledger.meter()).await?;
    let unsettled = sum(&spool, |state| u64::try_from(state.unsettled).unwrap_or(u64::MAX));
    let unposted = sum(&spool, |state| state.unposted);
    post_all(&spool, ledger).await;
    let still = sum(&spool, |state| state.unposted);
    if still == 0 && unsettled == 0 {
        // Nobody has this spool open but us: what its proxy had leased is nobody's.
        for epoch in earlier::Earlier::find(&spool, &ledger.meter(), its.identity.proxy).await?.epochs() {
            // What is left another process gives back in its time.
            match earlier::end(ledger, epoch).await {
                Ok(true) => {}
                Ok(false) => tracing::warn!(%epoch, "an account is locked: what was leased of it goes back later"),
                Err(error) => tracing::error!(%error, %epoch, "what was leased could not be given back"),
            }
        }
    }
    let closing = Arc::clone(&spool);
    spawn_blocking(move || closing.close(Utc::now())).await.map_err(|_| Error::Panicked)?.map_err(Error::Closing)?;
    let interrupted = found.saturating_sub(usize::try_from(unsettled).unwrap_or(usize::MAX));
    Ok(HandedOver { interrupted, posted: unposted.saturating_sub(still), left: still.saturating_add(unsettled) })
}

fn sum(spool: &Spool, of: impl Fn(&LaneState) -> u64) -> u64 {
    spool.lanes().iter().map(|lane| of(&lane.state())).fold(0, u64::saturating_add)
}

/// Posts all that is settled in a spool and not posted, as a running proxy does.
async fn post_all(spool: &Arc<Spool>, ledger: &Ledger) {
    let (feeds, groups, all_settled, all_fed) =
        (TaskTracker::new(), TaskTracker::new(), CancellationToken::new(), CancellationToken::new());
    let (poster, its_groups) = poster::poster(ledger.meter(), CancellationToken::new());
    its_groups.into_iter().for_each(|group| drop(groups.spawn(group.run(all_fed.clone()))));
    spool.lanes().iter().for_each(|lane| drop(feeds.spawn(feed::feed(Arc::clone(lane), poster.clone(), all_settled.clone()))));
    all_settled.cancel();
    feeds.close();
    feeds.wait().await;
    all_fed.cancel();
    groups.close();
    groups.wait().await;
}

/// Tells the database again what it was told before, from what the spool keeps for a while. It may be that of a running proxy. What the database has
/// stays as it is.
///
/// # Errors
/// [`Error::Spool`], [`Error::Ledger`]: it can be done again.
pub async fn tell_again(ledger: &Ledger, folder: &Path) -> Result<ToldAgain> {
    let its = look(folder).await?;
    let database = ledger.database_id().await?;
    if its.identity.database != database {
        let expected = spool::Identity { database, ..its.identity };
        return Err(spool::OpenError::Foreign { folder: folder.to_owned(), found: its.identity, expected }.into());
    }
    let mut told = ToldAgain::default();
    let mut batch: Vec<SettledCall> = Vec::new();
    for found in its.records() {
        let found = found.map_err(spool::OpenError::at(folder))?;
        if found.kind != Kind::Settlement {
            continue;
        }
        match record::read_settlement(&found.record) {
            Ok(call) => batch.push(call),
            Err(error) => {
                tracing::error!(%error, call = %found.record.call, "a settlement in the spool cannot be read");
                told.unreadable += 1;
            }
        }
        if batch.len() == TOGETHER {
            tell(ledger, std::mem::take(&mut batch), &mut told).await?;
        }
    }
    tell(ledger, batch, &mut told).await?;
    Ok(told)
}

async fn tell(ledger: &Ledger, mut batch: Vec<SettledCall>, told: &mut ToldAgain) -> Result<()> {
    for _ in 0..TRIES {
        let PostedCalls { replayed, quarantined, deferred, .. } = ledger.meter().post_free_calls(&batch).await?;
        told.posted += batch.len() - replayed - quarantined.len() - deferred.len();
        told.known += replayed;
        told.quarantined += quarantined.len();
        batch.retain(|call| deferred.contains(&call.call_id));
        if batch.is_empty() {
            return Ok(());
        }
        sleep(PAUSE).await;
    }
    told.locked += batch.len();
    Ok(())
}

async fn look(folder: &Path) -> Result<Inspection> {
    let folder = folder.to_owned();
    Ok(spawn_blocking(move || spool::inspect(&folder)).await.map_err(|_| Error::Panicked)??)
}
