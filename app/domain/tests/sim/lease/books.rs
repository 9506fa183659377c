//! The ledger: pools, leases, posted calls, and what it does to them in one transaction each.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{
    attribution::Label,
    billing::GrantKind,
    credit::{
        Demand, Grant, Hardness, Hold, Limit, Pool, PoolRef, Quantity, Scope, Split, Strictness, Unit, Window, settle, take, unit_of,
    },
    id::{CallId, EpochId, GrantId, KeyId, LimitId},
    lease::{Answer, Change, Fate, LeaseRow, Posted, Told, fate, spend},
};
use uuid::Uuid;

use super::tally::Tally;
use crate::walk::{Checked, ensure};

/// How long an epoch may go without renewing.
pub(crate) const TTL: i64 = 30;
/// The longest call, with what posting it may take: so long after its end an epoch's calls are nobody's.
pub(crate) const LONGEST: i64 = 90;
pub(crate) const ACCOUNTS: usize = 3;

/// What a proxy hands over of a call that has ended.
#[derive(Debug, Clone)]
pub(crate) struct Settlement {
    pub(crate) call: CallId,
    pub(crate) account: usize,
    pub(crate) epoch: EpochId,
    pub(crate) split: Split,
    pub(crate) came_to: Demand,
    /// Whether it is the call's own, and not what is assumed of one whose proxy died.
    pub(crate) is_own: bool,
}

/// A posted call.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) posted: Posted,
    pub(crate) unit: Unit,
    /// With its correction.
    pub(crate) charged: i64,
    pub(crate) written_off: i64,
    pub(crate) paid: Vec<(PoolRef, i64)>,
    /// Nothing was leased for it any more when it came.
    pub(crate) is_stray: bool,
}

#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) grants: Vec<Grant>,
    pub(crate) limits: Vec<Limit>,
    pub(crate) windows: BTreeMap<PoolRef, Pool>,
    pub(crate) leases: BTreeMap<EpochId, LeaseRow>,
    pub(crate) announced: BTreeMap<CallId, Settlement>,
    pub(crate) calls: BTreeMap<CallId, Entry>,
    pub(crate) is_lenient: bool,
    /// What came to a window when nothing was leased for it any more.
    pub(crate) late: BTreeMap<PoolRef, i64>,
}

#[derive(Debug)]
pub(crate) struct Epoch {
    pub(crate) renewed_at: i64,
    pub(crate) is_over: bool,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Books {
    pub(crate) accounts: Vec<Account>,
    pub(crate) epochs: BTreeMap<EpochId, Epoch>,
    /// By its own clock.
    pub(crate) now: i64,
}

pub(crate) fn time(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap_or_default()
}

pub(crate) fn key(number: usize) -> KeyId {
    KeyId::from_uuid(Uuid::from_u128(number as u128))
}

/// The run that some calls name.
pub(crate) fn run() -> Label {
    "r".parse().unwrap_or_else(|_| unreachable!("it is a label"))
}

fn grant(id: u128, kind: GrantKind, unit: Unit, capacity: i64, now: i64, lasts: Option<i64>) -> Grant {
    Grant {
        id: GrantId::from_uuid(Uuid::from_u128(id)),
        kind,
        pool: Pool::new(unit, Quantity::from_count(capacity)),
        models: None,
        floor: Quantity::ZERO,
        starts_at: time(now),
        expires_at: lasts.map(|lasts| time(now + lasts)),
        priority: 0,
    }
}

fn limit(id: u128, scope: Scope, window: Window, unit: Unit, capacity: i64) -> Limit {
    let pool = Pool::new(unit, Quantity::from_count(capacity));
    Limit { id: LimitId::from_uuid(Uuid::from_u128(id)), scope, window, hardness: Hardness::Hard, pool }
}

impl Account {
    /// A strict one with a wallet alone, a strict one with everything, and a lenient one.
    fn open(place: usize, now: i64) -> Self {
        let wallet = |amount| grant(1, GrantKind::Wallet, Unit::Money, amount, now, None);
        let (grants, limits) = match place {
            0 => (vec![wallet(40)], vec![limit(1, Scope::Account, Window::Minute, Unit::Requests, 9)]),
            1 => (
                vec![
                    wallet(100),
                    grant(2, GrantKind::Promo, Unit::Money, 25, now, Some(700)),
                    grant(3, GrantKind::Package, Unit::Tokens, 80, now, Some(900)),
                ],
                vec![
                    limit(2, Scope::Key(key(0)), Window::Day, Unit::Money, 60),
                    limit(3, Scope::Account, Window::Minute, Unit::Tokens, 40),
                    limit(4, Scope::Run(run()), Window::Minute, Unit::Requests, 3),
                ],
            ),
            _ => (vec![wallet(200), grant(2, GrantKind::Promo, Unit::Money, 10, now, Some(500))], Vec::new()),
        };
        Self {
            grants,
            limits,
            windows: BTreeMap::new(),
            leases: BTreeMap::new(),
            announced: BTreeMap::new(),
            calls: BTreeMap::new(),
            is_lenient: place == 2,
            late: BTreeMap::new(),
        }
    }

    pub(crate) fn strictness(&self) -> Strictness {
        if self.is_lenient { Strictness::Lenient { wallet: self.grants[0].id } } else { Strictness::Strict }
    }

    /// The limits with what is in the windows that hold an instant.
    pub(crate) fn limits_at(&self, at: DateTime<Utc>) -> Vec<Limit> {
        let of = |limit: &Limit| Limit { pool: self.windows.get(&limit.pool_ref(at)).copied().unwrap_or(limit.pool), ..limit.clone() };
        self.limits.iter().map(of).collect()
    }

    pub(crate) fn pool_mut(&mut self, pool: PoolRef) -> Option<&mut Pool> {
        match pool {
            PoolRef::Grant(id) => self.grants.iter_mut().find(|grant| grant.id == id).map(|grant| &mut grant.pool),
            PoolRef::Limit { id, .. } => {
                let empty = self.limits.iter().find(|limit| limit.id == id)?.pool;
                Some(self.windows.entry(pool).or_insert(empty))
            }
        }
    }

    /// All pools, with what they have.
    pub(crate) fn pools(&self) -> impl Iterator<Item = (PoolRef, Pool)> {
        let grants = self.grants.iter().map(|grant| (grant.pool_ref(), grant.pool));
        grants.chain(self.windows.iter().map(|(pool, it)| (*pool, *it)))
    }

    fn add(&mut self, pool: PoolRef, used: i64, leased: i64) -> Checked {
        let it = self.pool_mut(pool).ok_or(format!("there is no pool {pool:?}"))?;
        it.used = Quantity::from_count(it.used.get() + used);
        it.leased = Quantity::from_count(it.leased.get() + leased);
        ensure!(!it.leased.is_negative(), "less than nothing is leased of {pool:?}");
        Ok(())
    }

    fn post(&mut self, call: &Settlement, now: i64, tally: &mut Tally) -> Checked {
        let charge = settle(&call.split, call.came_to, self.strictness());
        let posted = self.calls.get(&call.call).map(|entry| entry.posted);
        let lease = self.leases.get(&call.epoch).cloned().unwrap_or_default();
        match fate(call.is_own, &charge, posted, |pool| lease.of(pool)) {
            Fate::New => {
                tally.count("posted: new");
                let unit = unit_of(&call.split.payment);
                let mut entry = Entry {
                    posted: Posted { is_interrupted: !call.is_own, is_corrected: false },
                    unit,
                    charged: charge.charged.get(),
                    written_off: charge.written_off.get(),
                    paid: Vec::new(),
                    is_stray: false,
                };
                for spent in spend(&charge) {
                    self.add(spent.used.pool, spent.used.quantity.get(), -spent.of_slice.get())?;
                    if !spent.of_slice.is_zero() {
                        let lease = self.leases.get_mut(&call.epoch).ok_or("a call was posted without a lease")?;
                        lease.use_up(Hold { quantity: spent.of_slice, ..spent.used });
                    }
                    if matches!(spent.used.pool, PoolRef::Grant(_)) {
                        entry.paid.push((spent.used.pool, spent.used.quantity.get()));
                    }
                }
                self.calls.insert(call.call, entry);
            }
            Fate::Stray => {
                tally.count(if call.is_own { "posted: stray" } else { "posted: stray, and nobody knows its end" });
                let posted = Posted { is_interrupted: true, is_corrected: false };
                let unit = unit_of(&call.split.payment);
                let entry = Entry { posted, unit, charged: 0, written_off: 0, paid: Vec::new(), is_stray: true };
                self.calls.insert(call.call, entry);
                if call.is_own {
                    self.correct(call, now, tally)?;
                }
            }
            Fate::Late => {
                tally.count("posted: late");
                self.correct(call, now, tally)?;
            }
            Fate::Replayed => tally.count("posted: replayed"),
        }
        self.announced.remove(&call.call);
        Ok(())
    }

    /// What a call came to after all is paid from what there is now; of a strict account, no more than that.
    fn correct(&mut self, call: &Settlement, now: i64, tally: &mut Tally) -> Checked {
        let charge = settle(&call.split, call.came_to, self.strictness());
        let mut entry = self.calls.remove(&call.call).ok_or("what is not posted is corrected")?;
        ensure!(!entry.posted.is_corrected, "a call is corrected twice: {entry:?}");
        let owed = charge.charged.get() - entry.charged;
        if owed > 0 {
            let mut holds = take(Quantity::from_count(owed), entry.unit, "m", &self.grants, time(now));
            let short = owed - holds.iter().map(|hold| hold.quantity.get()).sum::<i64>();
            if short > 0 && self.is_lenient && entry.unit == Unit::Money {
                holds.push(Hold { pool: self.grants[0].pool_ref(), unit: Unit::Money, quantity: Quantity::from_count(short) });
            } else if short > 0 {
                entry.written_off += short;
                tally.count("late: written off");
            }
            for hold in holds {
                self.add(hold.pool, hold.quantity.get(), 0)?;
                entry.charged += hold.quantity.get();
                entry.paid.push((hold.pool, hold.quantity.get()));
            }
        }
        let mut back = -owed;
        for (pool, paid) in entry.paid.iter_mut().rev() {
            let given = back.clamp(0, *paid);
            self.add(*pool, -given, 0)?;
            *paid -= given;
            entry.charged -= given;
            back -= given;
        }
        tally.count_if(owed < 0, "late: given back");
        for change in &charge.limits {
            self.add(change.pool, change.used.get(), 0)?;
            *self.late.entry(change.pool).or_default() += change.used.get();
        }
        entry.posted = Posted { is_interrupted: true, is_corrected: true };
        self.calls.insert(call.call, entry);
        Ok(())
    }

    fn end(&mut self, epoch: EpochId) -> Checked {
        let Some(lease) = self.leases.remove(&epoch) else { return Ok(()) };
        lease.slices.iter().try_for_each(|slice| self.add(slice.hold.pool, 0, -slice.hold.quantity.get()))
    }

    /// Whatever happens: what is leased is what the leases say, and there is no more than there is.
    fn check(&self) -> Checked {
        for (pool, it) in self.pools() {
            let leased: i64 = self.leases.values().map(|lease| lease.of(pool).get()).sum();
            ensure!(leased == it.leased.get(), "{leased} are leased of {pool:?}, which says {it:?}");
            let late = self.late.get(&pool).copied().unwrap_or(0);
            let is_bounded = !self.is_lenient || matches!(pool, PoolRef::Limit { .. });
            ensure!(
                !is_bounded || it.used.get() + it.leased.get() <= it.capacity.get() + late,
                "more than there is: {pool:?} {it:?}, late {late}"
            );
            if let PoolRef::Grant(_) = pool {
                let paid: i64 = self.calls.values().flat_map(|entry| &entry.paid).filter(|(by, _)| *by == pool).map(|(_, paid)| paid).sum();
                ensure!(paid == it.used.get(), "calls have used {paid} of {pool:?}, which says {it:?}");
            }
        }
        Ok(())
    }
}

impl Books {
    pub(crate) fn open(now: i64) -> Self {
        Self { accounts: (0..ACCOUNTS).map(|place| Account::open(place, now)).collect(), epochs: BTreeMap::new(), now }
    }

    pub(crate) fn begin(&mut self, epoch: EpochId) {
        self.epochs.insert(epoch, Epoch { renewed_at: self.now, is_over: false });
    }

    /// Whether the epoch goes on.
    pub(crate) fn renew(&mut self, epoch: EpochId) -> bool {
        let now = self.now;
        self.epochs.get_mut(&epoch).filter(|epoch| !epoch.is_over).is_some_and(|epoch| {
            epoch.renewed_at = now;
            true
        })
    }

    /// Applies a change of a lease. `None` if the epoch is over.
    pub(crate) fn change(&mut self, epoch: EpochId, account: usize, change: &Change, tally: &mut Tally) -> Checked<Option<(Answer, Told)>> {
        if self.epochs.get(&epoch).is_none_or(|epoch| epoch.is_over) {
            return Ok(None);
        }
        let now = time(self.now);
        let books = &mut self.accounts[account];
        let at = change.ask.as_ref().map_or(now, |ask| ask.at);
        let limits = books.limits_at(at);
        let lease = books.leases.entry(epoch).or_default();
        tally.count_if(lease.number == change.number, "said again: what was applied");
        let applied = lease.apply(change, &books.grants, &limits, now);
        ensure!(!applied.is_damaged, "more goes back than was leased: {change:?}");
        for (hold, by) in applied.leased {
            books.add(hold.pool, 0, by)?;
        }
        // Limits of runs are told to whoever asks for them.
        let is_asked_for = |limit: &Limit| match &limit.scope {
            Scope::Run(run) => change.ask.as_ref().is_some_and(|ask| ask.runs.contains(run)),
            _ => true,
        };
        let has_limits_of_runs = books.limits.iter().any(|limit| matches!(limit.scope, Scope::Run(_)));
        let limits = books.limits.iter().filter(|limit| is_asked_for(limit)).cloned().collect();
        let told = Told { grants: books.grants.clone(), limits, has_limits_of_runs };
        Ok(applied.answer.map(|answer| (answer, told)))
    }

    pub(crate) fn post(&mut self, calls: &[Settlement], tally: &mut Tally) -> Checked {
        let now = self.now;
        calls.iter().try_for_each(|call| self.accounts[call.account].post(call, now, tally))
    }

    /// Calls that run for long: should their machine be lost, they are settled from this.
    pub(crate) fn announce(&mut self, calls: &[Settlement]) {
        for call in calls {
            let books = &mut self.accounts[call.account];
            let is_over = self.epochs.get(&call.epoch).is_none_or(|epoch| epoch.is_over);
            if !is_over && !books.calls.contains_key(&call.call) {
                books.announced.insert(call.call, call.clone());
            }
        }
    }

    /// Ends an epoch of which everything is posted: its slices go back.
    pub(crate) fn end(&mut self, epoch: EpochId) -> Checked {
        if let Some(epoch) = self.epochs.get_mut(&epoch) {
            epoch.is_over = true;
        }
        self.accounts.iter_mut().try_for_each(|account| account.end(epoch))
    }

    /// Ends the epochs that have not renewed for so long that none of their calls can be running, and settles those that were announced.
    pub(crate) fn reap(&mut self, tally: &mut Tally) -> Checked {
        let dead = self.epochs.iter().filter(|(_, epoch)| !epoch.is_over && self.now > epoch.renewed_at + TTL + LONGEST);
        for epoch in dead.map(|(id, _)| *id).collect::<Vec<_>>() {
            tally.count("epoch: ended by another");
            let left: Vec<_> =
                self.accounts.iter().flat_map(|account| account.announced.values()).filter(|call| call.epoch == epoch).cloned().collect();
            left.iter().for_each(|_| tally.count("posted: as interrupted, by another"));
            self.post(&left, tally)?;
            self.end(epoch)?;
        }
        Ok(())
    }

    pub(crate) fn check(&self) -> Checked {
        self.accounts.iter().try_for_each(Account::check)
    }
}

impl Books {
    /// Whether an epoch is not over.
    pub(crate) fn is_on(&self, epoch: EpochId) -> bool {
        self.epochs.get(&epoch).is_some_and(|epoch| !epoch.is_over)
    }

    /// The same epochs, and accounts as they were at first.
    pub(crate) fn reopen(&mut self) {
        let leases: Vec<_> = self.accounts.iter_mut().map(|account| std::mem::take(&mut account.leases)).collect();
        self.accounts = (0..ACCOUNTS).map(|place| Account::open(place, self.now)).collect();
        self.accounts.iter_mut().zip(leases).for_each(|(account, leases)| account.leases = leases);
        self.epochs.retain(|_, epoch| !epoch.is_over);
    }
}
