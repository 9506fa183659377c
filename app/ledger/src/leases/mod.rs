//! Leases: what a proxy may spend of an account's pools without asking for each call. [`domain::lease`] decides; here is what is stored of it.
//!
//! A proxy's life is an epoch ([`epochs`](Meter::begin_epoch)). What it has leased changes by numbered changes, and falls as its calls are posted; both
//! happen while the books of the account are locked, so that nothing is given twice.

mod announced;
mod epochs;
mod proxies;
mod rows;

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use domain::{
    credit::{Hardness, Limit, Scope},
    id::{AccountId, EpochId},
    lease::{Answer, Change, Told},
};
use sqlx::PgConnection;

pub use self::epochs::{Ending, Epoch, NewEpoch};
pub(crate) use self::{
    announced::{announced_splits, delete_announced},
    rows::Rows,
};
use crate::{
    Meter, Result,
    books::{Book, Books, Lock},
    limits::{self, Runs},
    posting::BEGIN_WAITING,
};

/// How a locked account is dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// It is waited for, for two seconds at most.
    Yes,
    /// It is left out.
    No,
}

/// What came of changes.
#[derive(Debug, Clone)]
pub struct ChangedLeases {
    /// What Postgres' clock said.
    pub clock: DateTime<Utc>,
    /// Of each account that was not locked by somebody else.
    pub accounts: Vec<ChangedLease>,
}

/// What came of a change of one account's lease.
#[derive(Debug, Clone)]
pub struct ChangedLease {
    /// The account.
    pub account: AccountId,
    /// `None` if a later change was applied before, or one is gone whose answer the proxy has heard.
    pub answer: Option<Answer>,
    /// What the account has now.
    pub told: Told,
    /// Whether other epochs have slices of it, which might be idle.
    pub others: bool,
}

impl Meter {
    /// Applies changes of an epoch's leases, one for each account, each once however often it is handed over.
    ///
    /// # Errors
    /// [`crate::Error::EpochOver`]; [`crate::Error::Unavailable`] when the database is away, or an account that was waited for stayed locked. Then it is
    /// not known whether anything was applied: say the same changes again.
    pub async fn change_leases(&self, epoch: EpochId, changes: &[(AccountId, Change)], wait: Wait) -> Result<ChangedLeases> {
        let lock = if wait == Wait::Yes { Lock::Wait } else { Lock::Defer };
        let mut tx = self.database.write_with(BEGIN_WAITING).await?;
        let accounts: Vec<_> = changes.iter().map(|(account, _)| *account).collect();
        let mut books = Books::lock(&mut tx, &accounts, lock, self.database.dated).await?;
        let clock = epochs::expect_on(&mut tx, epoch).await?;
        let before = Rows::read(&mut tx, &books.accounts()).await?;
        let mut after = before.clone();
        let limits = LimitsOf::read(&mut tx, &mut books, changes).await?;
        let mut done = Vec::with_capacity(changes.len());
        for (account, change) in changes {
            let Ok(book) = books.of(*account) else { continue };
            let others = before.has_others(*account, epoch);
            let (answer, told) = apply(epoch, change, book, &limits, &mut after)?;
            done.push(ChangedLease { account: *account, answer, told, others });
        }
        books.write(&mut tx).await?;
        after.write(&before, &mut tx).await?;
        tx.commit().await?;
        Ok(ChangedLeases { clock, accounts: done })
    }
}

/// Applies a change to the books of its account and to what is leased of it.
fn apply(epoch: EpochId, change: &Change, book: &mut Book, limits: &LimitsOf, rows: &mut Rows) -> Result<(Option<Answer>, Told)> {
    let now = book.now();
    let (limits, has_limits_of_runs) = limits.of(book.account);
    let applied = rows.of(book.account, epoch).apply(change, book.grants(), limits, now);
    if applied.is_damaged {
        tracing::error!(account = %book.account, %epoch, "more went back of a lease than it had: somebody else has changed it");
    }
    for (hold, by) in applied.leased {
        book.hold(hold, by)?;
    }
    Ok((applied.answer, Told { grants: book.grants().to_vec(), limits: limits.to_vec(), has_limits_of_runs }))
}

/// The hard limits of the accounts of changes, with what is in the windows that these are about. Those of runs only as they are asked for.
struct LimitsOf {
    by_account: HashMap<AccountId, Vec<Limit>>,
    with_limits_of_runs: HashSet<AccountId>,
}

impl LimitsOf {
    async fn read(connection: &mut PgConnection, books: &mut Books, changes: &[(AccountId, Change)]) -> Result<Self> {
        let (mut asked, mut runs): (Vec<_>, HashMap<_, BTreeSet<_>>) = (Vec::new(), HashMap::new());
        for (account, change) in changes {
            if let Some(book) = books.of(*account).ok().filter(|book| book.is_limited) {
                asked.push((*account, change.ask.as_ref().map_or(book.now(), |ask| ask.at)));
                runs.entry(*account).or_default().extend(change.ask.iter().flat_map(|ask| ask.runs.iter().chain(&ask.caller.run)));
            }
        }
        let all: BTreeSet<_> = runs.values().flatten().map(|run| run.as_str()).collect();
        let mut by_account: HashMap<_, Vec<_>> = HashMap::new();
        for (account, limit) in limits::at_each(connection, &asked, Runs::Of(&Vec::from_iter(all))).await? {
            let is_asked_for = match &limit.scope {
                Scope::Run(run) => runs.get(&account).is_some_and(|runs| runs.contains(run)),
                _ => true,
            };
            if is_asked_for && limit.hardness == Hardness::Hard {
                by_account.entry(account).or_default().push(limit);
            }
        }
        let limited: Vec<_> = asked.iter().map(|(account, _)| *account).collect();
        Ok(Self { by_account, with_limits_of_runs: limits::with_limits_of_runs(connection, &limited).await? })
    }

    /// An account's, and whether any run of it has one.
    fn of(&self, account: AccountId) -> (&[Limit], bool) {
        (self.by_account.get(&account).map_or(&[], Vec::as_slice), self.with_limits_of_runs.contains(&account))
    }
}
