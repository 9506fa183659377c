//! A ledger in memory, and the lines on which proxies reach it.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    credit::{Charge, Grant, Hold, Limit, PoolRef, Quantity},
    id::{AccountId, EpochId},
    lease::{Change, LeaseRow, Told, spend},
    proxies::Report,
};
use futures_util::future::BoxFuture;
use ledger::{ChangedLease, ChangedLeases, Error, NewEpoch, Notices, Result, Wait};
use tokio::time::{Instant, sleep};

use super::super::LeaseBooks;

/// When the tests begin.
pub(super) const NOW: DateTime<Utc> = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
/// How far the ledger's clock is ahead of everybody else's.
pub(super) const AHEAD: TimeDelta = TimeDelta::milliseconds(700);
/// How long a request is on its way.
const WAY: Duration = Duration::from_millis(2);
/// How long a slow answer is.
const SLOW: Duration = Duration::from_secs(1);

/// One account.
#[derive(Debug, Default, Clone)]
pub(super) struct FakeAccount {
    pub(super) grants: Vec<Grant>,
    pub(super) limits: Vec<Limit>,
    pub(super) leases: BTreeMap<EpochId, LeaseRow>,
    pub(super) is_locked: bool,
    /// It has a row that means nothing.
    pub(super) is_corrupt: bool,
    /// It gives, and says that there is nothing that pays.
    pub(super) is_contrary: bool,
}

/// What was asked: by whom, of which account, with which number.
pub(super) type Said = (EpochId, AccountId, i64);

/// The ledger.
#[derive(Debug, Default)]
pub(super) struct Fake {
    pub(super) accounts: BTreeMap<AccountId, FakeAccount>,
    /// Those that are not over.
    pub(super) epochs: BTreeSet<EpochId>,
    pub(super) notices: Vec<(AccountId, DateTime<Utc>)>,
    pub(super) changed: Vec<(AccountId, DateTime<Utc>)>,
    /// Every change that came, also again.
    pub(super) said: Vec<Said>,
    /// How many changes each request had, and whether it waits for locks.
    pub(super) batches: Vec<(usize, Wait)>,
}

/// What becomes of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Answers,
    /// They are refused at once.
    Away,
    /// They do not arrive.
    Hangs,
    /// They arrive, and no answer does.
    LosesAnswers,
    /// They arrive, and the answer takes its time.
    Slow,
}

/// A proxy's line to the ledger.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) fake: Arc<Mutex<Fake>>,
    pub(super) mode: Arc<Mutex<Mode>>,
    start: Instant,
    /// What somebody has set the proxy's clock by, in milliseconds.
    pub(super) set_by: Arc<AtomicI64>,
}

impl Line {
    pub(super) fn new(fake: &Arc<Mutex<Fake>>, start: Instant) -> Self {
        Self { fake: Arc::clone(fake), mode: Arc::new(Mutex::new(Mode::Answers)), start, set_by: Arc::default() }
    }

    pub(super) fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    /// The ledger's clock.
    pub(super) fn clock(&self) -> DateTime<Utc> {
        NOW + AHEAD + TimeDelta::from_std(self.start.elapsed()).unwrap()
    }

    /// The proxy's.
    pub(super) fn wall(&self) -> DateTime<Utc> {
        NOW + TimeDelta::from_std(self.start.elapsed()).unwrap() + TimeDelta::milliseconds(self.set_by.load(Ordering::Relaxed))
    }

    fn ask<'a, T: Send + 'a>(&'a self, act: impl FnOnce(&mut Fake, DateTime<Utc>) -> Result<T> + Send + 'a) -> BoxFuture<'a, Result<T>> {
        Box::pin(async move {
            sleep(WAY).await;
            let mode = *self.mode.lock().unwrap();
            match mode {
                Mode::Away => return Err(away()),
                Mode::Hangs => pending::<()>().await,
                Mode::Answers | Mode::LosesAnswers | Mode::Slow => {}
            }
            let done = act(&mut self.fake.lock().unwrap(), self.clock());
            if mode == Mode::LosesAnswers {
                pending::<()>().await;
            }
            sleep(if mode == Mode::Slow { SLOW } else { WAY }).await;
            done
        })
    }
}

pub(super) fn away() -> Error {
    Error::Unavailable(sqlx::Error::PoolTimedOut)
}

impl LeaseBooks for Line {
    fn begin_epoch<'a>(&'a self, new: &'a NewEpoch) -> BoxFuture<'a, Result<DateTime<Utc>>> {
        self.ask(move |fake, clock| {
            fake.epochs.insert(new.id);
            Ok(clock)
        })
    }

    fn renew_epoch(&self, epoch: EpochId, _lasts: TimeDelta, _report: Report) -> BoxFuture<'_, Result<DateTime<Utc>>> {
        self.ask(move |fake, clock| if fake.epochs.contains(&epoch) { Ok(clock) } else { Err(Error::EpochOver) })
    }

    fn change_leases<'a>(&'a self, epoch: EpochId, changes: &'a [(AccountId, Change)], wait: Wait) -> BoxFuture<'a, Result<ChangedLeases>> {
        self.ask(move |fake, clock| {
            if !fake.epochs.contains(&epoch) {
                return Err(Error::EpochOver);
            }
            fake.batches.push((changes.len(), wait));
            if changes.iter().any(|(id, _)| fake.accounts[id].is_corrupt) {
                return Err(Error::Corrupt("a test's".to_owned()));
            }
            if wait == Wait::Yes && changes.iter().any(|(id, _)| fake.accounts[id].is_locked) {
                return Err(away());
            }
            let accounts = changes.iter().filter_map(|(id, change)| fake.change(epoch, *id, change, clock)).collect();
            Ok(ChangedLeases { clock, accounts })
        })
    }

    fn recall<'a>(&'a self, accounts: &'a [AccountId]) -> BoxFuture<'a, Result<()>> {
        self.ask(move |fake, clock| {
            fake.notices.extend(accounts.iter().map(|account| (*account, clock)));
            Ok(())
        })
    }

    fn notices(&self, since: DateTime<Utc>) -> BoxFuture<'_, Result<Notices>> {
        // What hangs by its disk still reads.
        let is_gone = matches!(*self.mode.lock().unwrap(), Mode::Away | Mode::Hangs);
        let reading = if is_gone { self.clone() } else { Self { mode: Arc::new(Mutex::new(Mode::Answers)), ..self.clone() } };
        Box::pin(async move { reading.read_notices(since).await })
    }
}

impl Line {
    fn read_notices(&self, since: DateTime<Utc>) -> BoxFuture<'_, Result<Notices>> {
        self.ask(move |fake, clock| {
            let since = |said: &[(AccountId, DateTime<Utc>)]| said.iter().filter(|(_, at)| *at >= since).copied().collect();
            Ok(Notices { clock, recalled: since(&fake.notices), changed: since(&fake.changed) })
        })
    }
}

impl Fake {
    fn change(&mut self, epoch: EpochId, id: AccountId, change: &Change, clock: DateTime<Utc>) -> Option<ChangedLease> {
        self.said.push((epoch, id, change.number));
        let account = self.accounts.get_mut(&id).unwrap();
        if account.is_locked {
            return None;
        }
        let others = account.leases.iter().any(|(of, row)| *of != epoch && !row.slices.is_empty());
        let row = account.leases.entry(epoch).or_default();
        let applied = row.apply(change, &account.grants, &account.limits, clock);
        assert!(!applied.is_damaged, "more goes back than was leased: {change:?}");
        for (hold, by) in applied.leased {
            account.add(hold.pool, 0, by);
        }
        let grants = if account.is_contrary { Vec::new() } else { account.grants.clone() };
        let told = Told { grants, limits: account.limits.clone(), has_limits_of_runs: false };
        Some(ChangedLease { account: id, answer: applied.answer, told, others })
    }

    /// Ends an epoch: what was leased to it goes back.
    pub(super) fn end(&mut self, epoch: EpochId) {
        self.epochs.remove(&epoch);
        for account in self.accounts.values_mut() {
            for slice in account.leases.remove(&epoch).unwrap_or_default().slices {
                account.add(slice.hold.pool, 0, -slice.hold.quantity.get());
            }
        }
    }

    /// Posts a call, if its epoch goes on.
    pub(super) fn post(&mut self, id: AccountId, epoch: EpochId, charge: &Charge) {
        let account = self.accounts.get_mut(&id).unwrap();
        if !self.epochs.contains(&epoch) {
            return;
        }
        for spent in spend(charge) {
            let row = account.leases.get_mut(&epoch).unwrap();
            assert!(row.of(spent.used.pool) >= spent.of_slice, "a call used what was not leased");
            row.use_up(Hold { quantity: spent.of_slice, ..spent.used });
            account.add(spent.used.pool, spent.used.quantity.get(), -spent.of_slice.get());
        }
    }

    /// What is leased is what the leases say, and there is no more than there is.
    pub(super) fn check(&self) {
        for account in self.accounts.values() {
            let limits = account.limits.iter().map(|limit| (limit.pool_ref(NOW), limit.pool));
            for (pool, it) in account.grants.iter().map(|grant| (grant.pool_ref(), grant.pool)).chain(limits) {
                let leased: i64 = account.leases.values().map(|row| row.of(pool).get()).sum();
                assert_eq!(leased, it.leased.get(), "of {pool:?}");
                assert!(it.used.get() + it.leased.get() <= it.capacity.get(), "more than there is: {it:?}");
            }
        }
    }
}

impl FakeAccount {
    fn add(&mut self, pool: PoolRef, used: i64, leased: i64) {
        let of_grants = self.grants.iter_mut().filter(|grant| grant.pool_ref() == pool).map(|grant| &mut grant.pool);
        // Theirs never begin anew.
        let of_limits = self.limits.iter_mut().filter(|limit| limit.pool_ref(NOW) == pool).map(|limit| &mut limit.pool);
        for it in of_grants.chain(of_limits) {
            it.used = Quantity::from_count(it.used.get() + used);
            it.leased = Quantity::from_count(it.leased.get() + leased);
            assert!(!it.leased.is_negative(), "less than nothing is leased");
        }
    }
}
