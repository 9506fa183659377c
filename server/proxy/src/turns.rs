//! Holds of one account are taken one after another, under its lock. Whoever waits for that must not keep a connection from everyone else.

use std::{sync::Arc, time::Duration};

use domain::id::AccountId;
use moka::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Calls of one account that may ask the ledger at the same time: enough to keep its lock busy, and few of all connections.
const AT_ONCE: usize = 4;
/// An account without calls is forgotten after this.
const REMEMBERED: Duration = Duration::from_secs(60);
const ACCOUNTS_MAX: u64 = 100_000;

/// One call's turn.
pub(crate) type Turn = OwnedSemaphorePermit;

/// Whose turn it is, by account.
#[derive(Debug)]
pub(crate) struct Turns(Cache<AccountId, Arc<Semaphore>>);

impl Turns {
    pub(crate) fn new() -> Self {
        Self(Cache::builder().max_capacity(ACCOUNTS_MAX).time_to_idle(REMEMBERED).build())
    }

    /// Waits until it is the account's next call's turn, which lasts until the value is dropped. First come, first served.
    pub(crate) async fn of(&self, account: AccountId) -> Option<Turn> {
        let turns = self.0.get_with(account, || Arc::new(Semaphore::new(AT_ONCE)));
        // It is never closed.
        turns.acquire_owned().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn one_account_takes_its_turns_and_no_one_elses() {
        let turns = Turns::new();
        let account = |seed| AccountId::new(chrono::DateTime::UNIX_EPOCH, [seed; 10]);
        let taken: Vec<_> = (0..AT_ONCE).map(|_| turns.of(account(1)).now_or_never().flatten()).collect();
        assert!(taken.iter().all(Option::is_some));
        assert!(turns.of(account(1)).now_or_never().is_none(), "it waits");
        assert!(turns.of(account(2)).now_or_never().is_some(), "another does not");
        drop(taken);
        assert!(turns.of(account(1)).now_or_never().is_some());
    }
}
