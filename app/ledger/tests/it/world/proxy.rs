//! Proxies, which lease.

use std::{sync::Arc, time::Instant};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    credit::Hold,
    id::{AccountId, EpochId},
    lease::{Ask, Change},
};
use ledger::{ChangedLease, Ending, Error, Ledger, NewEpoch, Wait};
use uuid::Uuid;

use super::{PATIENCE, World};

pub(crate) const PROXY: Uuid = Uuid::from_u128(7);

/// A life of a proxy. An account has one change of it in flight, as it is in production: here one change has it, of whatever account.
#[derive(Debug, Clone)]
pub(crate) struct Proxy {
    pub(crate) epoch: EpochId,
    number: Arc<tokio::sync::Mutex<i64>>,
}

/// Gives back all that an epoch had. What a refusal undid may be locked for a moment after it was refused.
pub(crate) async fn give_back_all(ending: &Ending) {
    let begun = Instant::now();
    while !ending.give_back().await.unwrap() {
        assert!(begun.elapsed() < PATIENCE, "an account stays locked");
        tokio::task::yield_now().await;
    }
}

impl World {
    /// Another proxy, whose life begins.
    pub(crate) async fn proxy(&self) -> Proxy {
        let epoch = EpochId::new(self.now, self.random());
        begin(&self.ledger, epoch, epoch.uuid(), self.now).await
    }
}

impl Proxy {
    /// One that has changed nothing yet.
    pub(super) fn of(epoch: EpochId) -> Self {
        Self { epoch, number: Arc::default() }
    }

    /// Changes what is leased of an account, as nobody did before.
    pub(crate) async fn change(
        &self,
        ledger: &Ledger,
        account: AccountId,
        returned: Vec<Hold>,
        ask: Option<Ask>,
    ) -> ledger::Result<ChangedLease> {
        let mut number = self.number.lock().await;
        *number += 1;
        let change = [(account, Change { number: *number, heard: 0, returned, ask })];
        loop {
            match ledger.meter().change_leases(self.epoch, &change, Wait::Yes).await {
                // A busy machine: it is said again.
                Err(error @ Error::Unavailable(sqlx::Error::Database(_))) if error.did_nothing() => {}
                changed => return Ok(changed?.accounts.into_iter().next().unwrap()),
            }
        }
    }

    /// The change that it said last.
    pub(crate) async fn last_number(&self) -> i64 {
        *self.number.lock().await
    }
}

pub(super) async fn begin(ledger: &Ledger, epoch: EpochId, proxy: Uuid, spool_since: DateTime<Utc>) -> Proxy {
    ledger
        .meter()
        .begin_epoch(&NewEpoch { id: epoch, proxy, spool_since, lasts: TimeDelta::seconds(30), longest: TimeDelta::hours(1) })
        .await
        .unwrap();
    Proxy::of(epoch)
}
