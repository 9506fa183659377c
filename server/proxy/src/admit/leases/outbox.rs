//! The changes on their way to the ledger: many accounts' together, each account in one batch at most.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use domain::{id::AccountId, lease::Change};
use ledger::{ChangedLease, ChangedLeases, Error, Wait};
use tokio::sync::{Notify, Semaphore};

use super::{
    Leases,
    accounts::Account,
    life::{Epoch, Problem},
};

/// Accounts of one batch.
const TOGETHER: usize = 256;
/// Batches at once.
const BATCHES: usize = 4;
/// How long what nobody waits for gathers.
const GATHERS: Duration = Duration::from_millis(20);
/// Accounts at once that are waited for. Apart from the others, so that these never wait for a lock.
const ALONE: usize = 4;
/// When an account that was locked is asked for again, times how often it was.
const LOCKED_PAUSE: Duration = Duration::from_millis(5);
const LOCKED_PAUSES_MAX: u32 = 10;
/// Pauses between tries of a change that could not be made.
const AGAIN_FIRST: Duration = Duration::from_millis(50);
const AGAIN_LAST: Duration = Duration::from_secs(1);

/// How an account's change is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// With others, if its account is not locked.
    Together,
    /// So, too, once more have gathered: no call waits for it.
    Leisurely,
    /// By itself, when its account's lock can be had.
    Alone,
}

impl Lane {
    const fn accounts(self) -> usize {
        match self {
            Self::Together | Self::Leisurely => TOGETHER,
            Self::Alone => 1,
        }
    }

    /// Batches of it at once.
    const fn at_once(self) -> usize {
        match self {
            Self::Together => BATCHES,
            Self::Leisurely => 1,
            Self::Alone => ALONE,
        }
    }

    const fn wait(self) -> Wait {
        match self {
            Self::Together | Self::Leisurely => Wait::No,
            Self::Alone => Wait::Yes,
        }
    }
}

/// Accounts with a change to be sent.
pub(super) struct Outbox {
    lane: Lane,
    queue: Mutex<VecDeque<Arc<Account>>>,
    filled: Notify,
    permits: Arc<Semaphore>,
}

/// What is sent at once.
struct Batch {
    epoch: Arc<Epoch>,
    accounts: Vec<Arc<Account>>,
    changes: Vec<(AccountId, Change)>,
}

impl Outbox {
    pub(super) fn new(lane: Lane) -> Self {
        Self { lane, queue: Mutex::default(), filled: Notify::new(), permits: Arc::new(Semaphore::new(lane.at_once())) }
    }

    pub(super) fn push(&self, account: Arc<Account>) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(account);
        self.filled.notify_one();
    }

    /// Waits until there is something.
    async fn filled(&self) {
        while self.queue.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
            self.filled.notified().await;
        }
    }

    fn pop(&self) -> Vec<Arc<Account>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let many = queue.len().min(self.lane.accounts());
        queue.drain(..many).collect()
    }
}

impl Leases {
    /// Sends what there is to be sent, as soon as a batch may be on its way.
    pub(super) async fn send(self: Arc<Self>, lane: Lane) {
        let outbox = self.outbox(lane);
        // It is never closed.
        while let Ok(permit) = Arc::clone(&outbox.permits).acquire_owned().await {
            outbox.filled().await;
            if lane == Lane::Leisurely {
                tokio::time::sleep(GATHERS).await;
            }
            if let Some(batch) = self.batch(outbox.pop()) {
                let leases = Arc::clone(&self);
                self.spawn(async move {
                    leases.send_batch(lane, batch).await;
                    drop(permit);
                });
            }
        }
    }

    /// What accounts have pending.
    fn batch(self: &Arc<Self>, accounts: Vec<Arc<Account>>) -> Option<Batch> {
        let epoch = Arc::clone(&self.life.load().epoch);
        let mut batch = Batch { epoch, accounts: Vec::new(), changes: Vec::new() };
        for account in accounts {
            if let Some(change) = self.step(&account, |state, _, _| state.begin_sending(&batch.epoch)) {
                batch.changes.push((account.id, change));
                batch.accounts.push(account);
            }
        }
        (!batch.accounts.is_empty()).then_some(batch)
    }

    async fn send_batch(self: &Arc<Self>, lane: Lane, batch: Batch) {
        self.sent.fetch_add(u64::try_from(batch.changes.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
        let asked = self.clock.now();
        match self.within_time(self.books.change_leases(batch.epoch.id, &batch.changes, lane.wait())).await {
            Ok(changed) => {
                self.trouble.ends();
                self.clock.hear(asked, changed.clock);
                self.take_in(batch, changed);
            }
            Err(Problem::Said(Error::EpochOver)) => {
                self.end(&batch.epoch);
                batch.accounts.iter().for_each(|account| self.step(account, |state, _, _| state.end_sending()));
            }
            Err(problem) => self.send_later(lane, &batch, &problem),
        }
    }

    fn take_in(self: &Arc<Self>, batch: Batch, changed: ChangedLeases) {
        let mut locked = batch.accounts;
        for changed in changed.accounts {
            if let Some(place) = locked.iter().position(|account| account.id == changed.account) {
                let account = locked.swap_remove(place);
                self.take_in_one(&batch.epoch, &account, changed);
            }
        }
        for account in locked {
            let times = self.step(&account, |state, _, _| state.found_locked());
            self.requeue(vec![account], LOCKED_PAUSE * times.min(LOCKED_PAUSES_MAX));
        }
    }

    fn take_in_one(self: &Arc<Self>, epoch: &Epoch, account: &Arc<Account>, changed: ChangedLease) {
        let is_refused = changed.answer.as_ref().is_some_and(|answer| answer.refused.is_some());
        self.refused.fetch_add(u64::from(is_refused), Ordering::Relaxed);
        if self.step(account, |state, _, now| state.answered(changed, epoch.id, now)) {
            tracing::error!(account = %account.id, epoch = %epoch.id, "the ledger does not know of this lease what the proxy does: somebody else changes it, or the database is an older copy");
            self.end(epoch);
        }
    }

    /// The changes could not be made, or nobody knows whether they were: they are sent again, as they are.
    fn send_later(self: &Arc<Self>, lane: Lane, batch: &Batch, problem: &Problem) {
        let is_away = problem.is_away();
        // Together with others it may be one of them that is at fault; of an account that is waited for, its lock may not be had.
        let is_fault = matches!(problem, Problem::Said(_)) && !is_away;
        if lane != Lane::Alone && !is_fault {
            self.trouble.begins(problem);
        }
        let is_refused = is_away || is_fault && lane == Lane::Alone;
        let mut failures = 0;
        for account in &batch.accounts {
            self.step(account, |state, _, _| {
                if state.epoch() == batch.epoch.id {
                    state.not_made(is_refused, is_fault);
                    failures = failures.max(state.failures());
                }
            });
        }
        if is_fault && lane == Lane::Alone && failures == 1 {
            tracing::error!(%problem, accounts = ?batch.changes.iter().map(|(id, _)| id).collect::<Vec<_>>(), "a lease cannot be changed");
        }
        let pause = AGAIN_FIRST * 2_u32.saturating_pow(failures.saturating_sub(1).min(8));
        self.requeue(batch.accounts.clone(), pause.min(AGAIN_LAST));
    }

    /// Sends what accounts have pending after a pause. Until then nobody else does.
    fn requeue(self: &Arc<Self>, accounts: Vec<Arc<Account>>, pause: Duration) {
        if accounts.is_empty() {
            return;
        }
        let leases = Arc::clone(self);
        self.spawn(async move {
            tokio::time::sleep(pause).await;
            accounts.iter().for_each(|account| leases.step(account, |state, _, _| state.end_sending()));
        });
    }
}
