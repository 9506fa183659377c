//! Books under their lock.

use std::collections::{BTreeMap, btree_map::Entry};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    billing::{GrantKind, PostingNumber},
    credit::{self, CreditLine, Hold, Pool, PoolRef, Quantity, Unit},
    id::{AccountId, GrantId},
    money::Amount,
};
use sqlx::PgConnection;

use super::{
    NewPosting, OpenCalls,
    hours::{hour_of, overflow},
};
use crate::{
    Error, Result, credit_lines,
    limits::{WindowChange, WindowKey},
    settled::SealedCall,
};

/// What happens to accounts whose books somebody else has locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lock {
    /// They are waited for.
    Wait,
    /// They are left out.
    Defer,
}

/// The books of some accounts, locked, with what happens to them and is not written yet.
#[derive(Debug)]
pub(crate) struct Books {
    pub(super) by_account: BTreeMap<AccountId, Book>,
}

/// The books of one account.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) account: AccountId,
    /// Its newest posting.
    pub(super) number: PostingNumber,
    pub(super) digest: Option<Vec<u8>>,
    /// When what happens now is posted.
    now: DateTime<Utc>,
    pub(super) open: Option<OpenCalls>,
    pub(super) grants: Vec<credit::Grant>,
    /// Whether limits of the account are in force, which are read where they are needed.
    pub(crate) is_limited: bool,
    pub(super) windows: BTreeMap<WindowKey, WindowChange>,
    /// What grants were charged by calls that no posting has summed up yet.
    unbooked: BTreeMap<GrantId, i64>,
    pub(super) changes: BTreeMap<GrantId, Change>,
    pub(super) postings: Vec<Numbered>,
    /// Whether the head differs from what is stored.
    pub(super) is_touched: bool,
}

/// A posting with its number.
#[derive(Debug)]
pub(super) struct Numbered {
    pub(super) number: PostingNumber,
    pub(super) posting: NewPosting,
    /// What becomes of each of its grants.
    pub(super) grants: Vec<GrantLine>,
}

/// What a posting does to a grant.
#[derive(Debug, Clone, Copy)]
pub(super) struct GrantLine {
    pub(super) grant: GrantId,
    pub(super) unit: Unit,
    /// What it gets; below zero what it gives.
    pub(super) amount: i64,
    /// What is in it then.
    pub(super) after: i64,
}

/// What happens to a grant. All are differences, in nanos or tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// What is put in; below zero it is taken back.
    pub(crate) granted: i64,
    /// What calls use; below zero it is given back.
    pub(crate) used: i64,
    /// What of that no posting sums up yet.
    pub(crate) unbooked: i64,
    /// What running calls hold.
    pub(crate) leased: i64,
}

impl Books {
    /// Locks the books of these accounts. An account that does not exist has none. What is brought in from the past is `dated`.
    pub(crate) async fn lock(
        connection: &mut PgConnection,
        accounts: &[AccountId],
        lock: Lock,
        dated: Option<DateTime<Utc>>,
    ) -> Result<Self> {
        let rows = sqlx::query_as!(
            LockedRow,
            r#"
            select
                account_id as "account!: AccountId", seq as "number!: PostingNumber", digest, posted_at as "posted_at!", hour, calls, seals,
                is_limited as "is_limited!", now as "now!", grant_id as "id!: GrantId", kind as "kind!: GrantKind", unit as "unit!: Unit",
                granted as "granted!", used as "used!", unbooked as "unbooked!", leased as "leased!", models, priority as "priority!", starts_at as "starts_at!", expires_at,
                lent as "lent: Amount", grace as "grace: Amount", grace_until, is_quota
            from lock_books($1, $2)
            "#,
            &accounts.iter().map(|account| account.uuid()).collect::<Vec<_>>(),
            lock == Lock::Wait
        )
        .fetch_all(connection)
        .await?;
        let mut by_account = BTreeMap::new();
        for row in rows {
            let book = match by_account.entry(row.account) {
                Entry::Occupied(book) => book.into_mut(),
                Entry::Vacant(place) => place.insert(Book::of(&row, dated)?),
            };
            book.add_grant(&row)?;
        }
        for book in by_account.values_mut() {
            book.close()?;
        }
        Ok(Self { by_account })
    }

    /// Dates whatever comes later after now, and not before an instant.
    pub(crate) fn touch(&mut self, instant: DateTime<Utc>) {
        for book in self.by_account.values_mut() {
            (book.is_touched, book.now) = (true, book.now.max(instant));
        }
    }

    /// Whose they are.
    pub(crate) fn accounts(&self) -> Vec<AccountId> {
        self.by_account.keys().copied().collect()
    }

    /// How many accounts there are.
    pub(crate) fn len(&self) -> usize {
        self.by_account.len()
    }

    /// Whether an account's books are among them.
    pub(crate) fn contains(&self, account: AccountId) -> bool {
        self.by_account.contains_key(&account)
    }

    /// The accounts that have limits.
    pub(crate) fn limited(&self) -> Vec<AccountId> {
        self.by_account.values().filter(|book| book.is_limited).map(|book| book.account).collect()
    }

    /// The books of one account.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub(crate) fn of(&mut self, account: AccountId) -> Result<&mut Book> {
        self.by_account.get_mut(&account).ok_or(Error::NotFound)
    }
}

impl Book {
    fn of(row: &LockedRow, dated: Option<DateTime<Utc>>) -> Result<Self> {
        // Postgres' clock may have been set back; the books were not.
        let after = row.posted_at.checked_add_signed(TimeDelta::microseconds(1)).unwrap_or(row.posted_at);
        Ok(Self {
            account: row.account,
            number: row.number,
            digest: row.digest.clone(),
            now: dated.map_or(row.now, |dated| dated.min(row.now)).max(after),
            open: row.open()?,
            grants: Vec::new(),
            is_limited: row.is_limited,
            windows: BTreeMap::new(),
            unbooked: BTreeMap::new(),
            changes: BTreeMap::new(),
            postings: Vec::new(),
            is_touched: false,
        })
    }

    fn add_grant(&mut self, row: &LockedRow) -> Result<()> {
        let line = row.line();
        let floor = line.floor(self.now);
        let capacity = row.granted.checked_sub(floor.get()).ok_or_else(overflow)?;
        let quantity = Quantity::from_count;
        let pool = Pool { used: quantity(row.used), leased: quantity(row.leased), ..Pool::new(row.unit, quantity(capacity)) };
        self.unbooked.insert(row.id, row.unbooked);
        self.grants.push(credit::Grant {
            id: row.id,
            kind: row.kind,
            pool,
            // A wallet that pays for no call is one for no model.
            models: if line.is_quota { Some(Vec::new()) } else { row.models.clone() },
            floor,
            starts_at: row.starts_at,
            expires_at: row.expires_at,
            priority: row.priority,
        });
        Ok(())
    }

    /// When what happens now is posted: Postgres' clock as the books were locked, and later than anything in them.
    pub(crate) const fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// What the account has, as the rules of credit see it, with all that happened under this lock.
    pub(crate) fn grants(&self) -> &[credit::Grant] {
        &self.grants
    }

    /// The grant that calls are charged to when nothing else is left.
    pub(crate) fn wallet(&self) -> Result<GrantId> {
        let wallet = self.grants.iter().find(|grant| grant.kind == GrantKind::Wallet);
        wallet.map(|grant| grant.id).ok_or_else(|| Error::Corrupt("an account has no wallet".to_owned()))
    }

    /// What is in its grants of money together, as a page says it: what was put in, less what was used.
    pub(crate) fn balance(&self) -> Amount {
        self.sum(|grant| grant.pool.unit == Unit::Money)
    }

    /// The same of the wallet alone.
    pub(crate) fn wallet_balance(&self) -> Amount {
        self.sum(|grant| grant.kind == GrantKind::Wallet)
    }

    fn sum(&self, is_meant: impl Fn(&credit::Grant) -> bool) -> Amount {
        let in_it = |grant: &credit::Grant| {
            i128::from(grant.pool.capacity.get()) + i128::from(grant.floor.get()) - i128::from(grant.pool.used.get())
        };
        // `expect_sums` has seen to it that they fit.
        Amount::from_nanos(i64::try_from(self.grants.iter().filter(|grant| is_meant(grant)).map(in_it).sum::<i128>()).unwrap_or(i64::MAX))
    }

    /// The number that the next posting gets.
    pub(crate) fn next_number(&self) -> Result<PostingNumber> {
        self.number.next().ok_or_else(overflow)
    }

    /// Takes a new grant into the books, with nothing in it.
    pub(crate) fn open_grant(&mut self, grant: credit::Grant) {
        self.grants.push(grant);
    }

    /// Sets aside so much of a pool for a call that runs; below zero it is freed.
    pub(crate) fn hold(&mut self, hold: Hold, by: i64) -> Result<()> {
        match hold.pool {
            PoolRef::Grant(grant) => self.change(grant, Change { leased: by, ..Change::default() }),
            PoolRef::Limit { id, from } => self.count((id, from), WindowChange { leased: by, ..WindowChange::default() }),
        }
    }

    /// Uses part of a limit's window, or changes what running calls hold of it.
    pub(crate) fn count(&mut self, window: WindowKey, change: WindowChange) -> Result<()> {
        let total = self.windows.entry(window).or_default();
        *total = total.plus(change)?;
        Ok(())
    }

    /// Adds a new call to the open hour. Those of one lock come by their ids.
    pub(crate) fn add_call(&mut self, call: &SealedCall) -> Result<()> {
        let hour = hour_of(self.now);
        self.is_touched = true;
        self.open.get_or_insert_with(|| OpenCalls::since(hour)).add(&call.seal).ok_or_else(overflow)?;
        for share in call.paid_by.iter() {
            self.change(share.grant_id, Change { used: share.amount, unbooked: share.amount, ..Change::default() })?;
        }
        Ok(())
    }

    /// Posts credit that moves by itself: what is put in, taken back, used or given back. Returns the posting's number.
    pub(crate) fn post(&mut self, posting: NewPosting) -> Result<PostingNumber> {
        for (grant, amount) in posting.grants.clone() {
            let change = if posting.kind.is_of_calls() {
                Change { used: amount.checked_neg().ok_or_else(overflow)?, ..Change::default() }
            } else {
                Change { granted: amount, ..Change::default() }
            };
            self.change(grant, change)?;
        }
        self.expect_sums()?;
        self.number_posting(posting)
    }

    /// That what is in all grants of a unit together can still be written down.
    fn expect_sums(&self) -> Result<()> {
        let in_it = |grant: &credit::Grant| {
            i128::from(grant.pool.capacity.get()) + i128::from(grant.floor.get()) - i128::from(grant.pool.used.get())
        };
        let sum_of = |unit| self.grants.iter().filter(|grant| grant.pool.unit == unit).map(in_it).sum::<i128>();
        let fits = [Unit::Money, Unit::Tokens].into_iter().all(|unit| i64::try_from(sum_of(unit)).is_ok());
        if fits { Ok(()) } else { Err(overflow()) }
    }

    /// Posts the open hour, if it has ended.
    fn close(&mut self) -> Result<()> {
        let Some(open) = self.open.take_if(|open| open.hour < hour_of(self.now)) else { return Ok(()) };
        let charges: BTreeMap<_, _> =
            self.unbooked.iter().filter(|(_, charged)| **charged != 0).map(|(id, charged)| (*id, *charged)).collect();
        for (grant, charged) in &charges {
            self.change(*grant, Change { unbooked: -charged, ..Change::default() })?;
        }
        self.number_posting(open.posting(charges)).map(drop)
    }

    fn number_posting(&mut self, posting: NewPosting) -> Result<PostingNumber> {
        let number = self.next_number()?;
        let grants = posting.grants.iter().map(|(grant, amount)| self.line(*grant, *amount)).collect::<Result<_>>()?;
        self.number = number;
        self.postings.push(Numbered { number, posting, grants });
        self.is_touched = true;
        Ok(number)
    }

    fn line(&self, grant: GrantId, amount: i64) -> Result<GrantLine> {
        Ok(GrantLine { grant, unit: self.grant(grant)?.pool.unit, amount, after: self.booked(grant)? })
    }

    /// What the journal says is in a grant.
    fn booked(&self, id: GrantId) -> Result<i64> {
        let grant = self.grant(id)?;
        let in_it = grant.pool.capacity.checked_add(grant.floor).and_then(|granted| granted.checked_sub(grant.pool.used));
        let unbooked = Quantity::from_count(self.unbooked.get(&id).copied().unwrap_or(0));
        in_it.and_then(|in_it| in_it.checked_add(unbooked)).map(Quantity::get).ok_or_else(overflow)
    }

    fn grant(&self, id: GrantId) -> Result<&credit::Grant> {
        self.grants.iter().find(|grant| grant.id == id).ok_or_else(|| Error::Corrupt(format!("grant {id} is not the account's")))
    }

    /// To be written, and at once for what follows under this lock.
    fn change(&mut self, id: GrantId, change: Change) -> Result<()> {
        let total = self.changes.entry(id).or_default();
        *total = total.plus(change).ok_or_else(overflow)?;
        let unbooked = self.unbooked.entry(id).or_default();
        *unbooked = unbooked.checked_add(change.unbooked).ok_or_else(overflow)?;
        let grant = self.grants.iter_mut().find(|grant| grant.id == id);
        let grant = grant.ok_or_else(|| Error::Corrupt(format!("grant {id} is not the account's")))?;
        let pool = &mut grant.pool;
        for (quantity, by) in [(&mut pool.capacity, change.granted), (&mut pool.used, change.used), (&mut pool.leased, change.leased)] {
            *quantity = quantity.checked_add(Quantity::from_count(by)).ok_or_else(overflow)?;
        }
        Ok(())
    }
}

impl Change {
    fn plus(self, other: Self) -> Option<Self> {
        Some(Self {
            granted: self.granted.checked_add(other.granted)?,
            used: self.used.checked_add(other.used)?,
            unbooked: self.unbooked.checked_add(other.unbooked)?,
            leased: self.leased.checked_add(other.leased)?,
        })
    }
}

/// An account's head with one of its grants.
struct LockedRow {
    account: AccountId,
    number: PostingNumber,
    digest: Option<Vec<u8>>,
    posted_at: DateTime<Utc>,
    hour: Option<DateTime<Utc>>,
    calls: Option<i64>,
    seals: Option<Vec<u8>>,
    is_limited: bool,
    now: DateTime<Utc>,
    id: GrantId,
    kind: GrantKind,
    unit: Unit,
    granted: i64,
    used: i64,
    unbooked: i64,
    leased: i64,
    models: Option<Vec<String>>,
    priority: i32,
    starts_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    /// What is lent, of a wallet.
    lent: Option<Amount>,
    grace: Option<Amount>,
    grace_until: Option<DateTime<Utc>>,
    is_quota: Option<bool>,
}

impl LockedRow {
    fn line(&self) -> CreditLine {
        credit_lines::from_columns(self.lent, self.grace, self.grace_until, (None, self.is_quota))
    }

    fn open(&self) -> Result<Option<OpenCalls>> {
        let (Some(hour), Some(calls), Some(seals)) = (self.hour, self.calls, &self.seals) else { return Ok(None) };
        let seals = seals.as_slice().try_into().map_err(|_| Error::Corrupt("the digest of an open hour has another length".to_owned()))?;
        Ok(Some(OpenCalls { hour, calls, seals }))
    }
}
