//! The accounts that calls came of, and each step that is done to one of them.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use domain::id::AccountId;
use tokio::time::sleep;

use super::{
    Leases,
    clock::Moment,
    life::Life,
    state::{State, Todo},
};

/// Recalls that come within so long of each other are told together.
const TOGETHER_WITHIN: Duration = Duration::from_millis(20);

/// One account. Its lock is never held across an await.
pub(crate) struct Account {
    pub(super) id: AccountId,
    state: Mutex<State>,
}

/// All of them.
pub(super) type Accounts = RwLock<HashMap<AccountId, Arc<Account>>>;

impl Leases {
    /// An account, which is made if there is none.
    pub(super) fn account(&self, id: AccountId) -> Arc<Account> {
        if let Some(account) = self.known_account(id) {
            return account;
        }
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let state = State::new(self.epoch(), self.clock.now().monotonic);
            Arc::new(Account { id, state: Mutex::new(state) })
        };
        Arc::clone(accounts.entry(id).or_insert_with(new))
    }

    pub(super) fn known_account(&self, id: AccountId) -> Option<Arc<Account>> {
        self.accounts.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    pub(super) fn all_accounts(&self) -> Vec<Arc<Account>> {
        self.accounts.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Does something to an account, and whatever follows from it.
    pub(super) fn step<T>(self: &Arc<Self>, account: &Arc<Account>, act: impl FnOnce(&mut State, &Life, Moment) -> T) -> T {
        let (done, todo) = {
            let mut state = account.state.lock().unwrap_or_else(PoisonError::into_inner);
            // Both once the lock is had: nobody then finds an older epoch than whoever had it before.
            let (life, now) = (self.life.load(), self.clock.now());
            state.belong_to(&life.epoch);
            let done = act(&mut state, &life, now);
            (done, state.advance(&life, now))
        };
        self.do_after(account, todo);
        done
    }

    fn do_after(self: &Arc<Self>, account: &Arc<Account>, todo: Todo) {
        if let Some(lane) = todo.send {
            self.outbox(lane).push(Arc::clone(account));
        }
        if todo.recall {
            self.recalls.lock().unwrap_or_else(PoisonError::into_inner).insert(account.id);
            self.recalls_wanted.notify_one();
        }
        if let Some(pause) = todo.pause {
            let (leases, account) = (Arc::clone(self), Arc::clone(account));
            self.spawn(async move {
                sleep(pause).await;
                leases.step(&account, |state, _, _| state.end_pause());
            });
        }
    }

    /// Tells every proxy what is wanted of that they may have idle, many accounts at a time.
    pub(super) async fn tell_others(self: Arc<Self>) {
        loop {
            self.recalls_wanted.notified().await;
            let accounts = mem::take(&mut *self.recalls.lock().unwrap_or_else(PoisonError::into_inner));
            let accounts = Vec::from_iter(accounts);
            // Who does not hear of it gives it back within seconds all the same.
            if let Err(error) = self.within_time(self.books.recall(&accounts)).await {
                tracing::debug!(?error, accounts = accounts.len(), "other proxies could not be asked for what they have idle");
            }
            sleep(TOGETHER_WITHIN).await;
        }
    }

    /// Lets everybody go on who waited for an epoch.
    pub(super) fn advance_all(self: &Arc<Self>) {
        self.all_accounts().iter().for_each(|account| self.step(account, |_, _, _| ()));
    }

    /// Tells everybody who waits that the ledger is away.
    pub(super) fn fail_all(self: &Arc<Self>) {
        self.all_accounts().iter().for_each(|account| self.step(account, |state, _, _| state.fail()));
    }

    /// Forgets accounts of which there is nothing and that nobody else has at hand.
    pub(super) fn forget(&self, now: Moment) {
        let is_needed = |account: &mut Arc<Account>| {
            // Nobody can get at it meanwhile: the map is locked.
            Arc::get_mut(account).is_none_or(|account| !account.state.get_mut().unwrap_or_else(PoisonError::into_inner).is_forgettable(now))
        };
        self.accounts.write().unwrap_or_else(PoisonError::into_inner).retain(|_, account| is_needed(account));
    }
}
