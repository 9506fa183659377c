//! The proof: everything recomputed from the raw rows, account by account, each in one snapshot, so that it is exact while posting runs. Calls are
//! streamed: the memory that it takes grows with an account's hours, not with its calls.

mod calls;
mod claim;
mod codes;
mod corrections;
mod credit;
mod documents;
mod journal;
mod limits;
mod lines;
mod payments;
mod plans;
mod rollups;
mod runs;

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use domain::{
    id::AccountId,
    proof::{Check, Progress, Proof},
};
use sqlx::PgConnection;
use tokio::task::JoinSet;

use self::{
    calls::{Prices, Terms},
    claim::{Claim, Findings},
    credit::Against,
    limits::Limits,
    lines::Lines,
    plans::Plans,
};
use crate::{Error, Ledger, Result, Root, books::roots, database::Database};

/// Accounts that are listed at a time.
const PAGE: i64 = 1_000;

/// What to check, and how.
#[derive(Debug, Clone, Default)]
pub struct Verification {
    /// This account alone.
    pub account: Option<AccountId>,
    /// Only what was posted from this day on; the postings before it are taken as they are.
    pub since: Option<NaiveDate>,
    /// A root that was kept elsewhere: the books up to its day must say what they said then.
    pub against: Option<Root>,
    /// How many accounts are checked at the same time; at least one.
    pub at_once: usize,
}

fn proof_of(progress: Progress, findings: &Findings) -> Proof {
    let check = |claim: &Claim| Check { claim: claim.words().to_owned(), faults: findings.of(*claim).len() };
    Proof {
        accounts: progress.done,
        calls: progress.calls,
        checks: Claim::ALL.iter().map(check).collect(),
        faults: Claim::ALL.iter().flat_map(|claim| findings.of(*claim).iter().cloned()).collect(),
    }
}

impl Ledger {
    /// Recomputes every figure from the rows it follows from. `on_progress` hears of each account that is done.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an account that does not exist, [`Error::Unavailable`] when the database is away; a row that disagrees is a
    /// [`domain::proof::Fault`], not an error.
    pub async fn verify(&self, what: &Verification, on_progress: impl FnMut(Progress)) -> Result<Proof> {
        verify(&self.database, what, on_progress).await
    }
}

async fn verify(database: &Database, what: &Verification, mut on_progress: impl FnMut(Progress)) -> Result<Proof> {
    let mut findings = Findings::default();
    let mut connection = database.read().await?;
    let prices = Arc::new(Prices::read(&mut connection, &mut findings).await?);
    Plans::read(&mut connection, &mut findings).await?;
    let mut progress = Progress { accounts: how_many(&mut connection, what.account).await?, ..Progress::default() };
    drop(connection);
    if progress.accounts == 0 && what.account.is_some() {
        return Err(Error::NotFound);
    }
    on_progress(progress);
    let (mut running, mut after) = (JoinSet::new(), None);
    loop {
        let page = accounts(&mut *database.read().await?, what.account, after).await?;
        for account in &page {
            while running.len() >= what.at_once.max(1) {
                take(running.join_next().await, &mut progress, &mut findings, &mut on_progress)?;
            }
            running.spawn(check_account(database.clone(), *account, what.since, Arc::clone(&prices)));
        }
        after = page.last().copied();
        if (page.len() as i64) < PAGE {
            break;
        }
    }
    while !running.is_empty() {
        take(running.join_next().await, &mut progress, &mut findings, &mut on_progress)?;
    }
    let mut tx = database.snapshot().await?;
    if what.account.is_none() && what.since.is_none() {
        orphans(&mut tx, &mut findings).await?;
        codes::check_batches(&mut tx, &mut findings).await?;
        documents::check_numbers(&mut tx, &mut findings).await?;
    }
    roots_hold(&mut tx, what, &mut findings).await?;
    tx.rollback().await?;
    Ok(proof_of(progress, &findings))
}

type Checked = Result<(Findings, u64)>;

fn take(
    checked: Option<std::result::Result<Checked, tokio::task::JoinError>>,
    progress: &mut Progress,
    findings: &mut Findings,
    on_progress: &mut impl FnMut(Progress),
) -> Result<()> {
    let Some(checked) = checked else { return Ok(()) };
    let (found, calls) = checked.map_err(|error| Error::Corrupt(format!("the proof of an account ended: {error}")))??;
    findings.add(found);
    progress.done += 1;
    progress.calls += calls;
    on_progress(*progress);
    Ok(())
}

/// Everything of one account, in one snapshot.
async fn check_account(database: Database, account: AccountId, since: Option<NaiveDate>, prices: Arc<Prices>) -> Checked {
    let mut tx = database.snapshot().await?;
    let from = since.map(|day| day.and_time(NaiveTime::MIN).and_utc());
    let first = check_in(&mut tx, account, (since, from), false, &prices).await?;
    let found = |claims: &[Claim]| claims.iter().any(|claim| !first.0.of(*claim).is_empty());
    // A call that was posted long after it began is not among those that were looked at.
    let is_partial = since.is_some() && found(&[Claim::UsageIsItsCalls, Claim::OpenHourIsItsCalls]);
    // A price that was published since the proof began is not among those that were read.
    let is_repriced = found(&[Claim::CallIsItsReceipt, Claim::CallIsAtItsPrice, Claim::LateIsItsReceipt]);
    let checked = if is_partial || is_repriced {
        let prices = Prices::read(&mut tx, &mut Findings::default()).await?;
        check_in(&mut tx, account, (since, from), is_partial, &prices).await?
    } else {
        first
    };
    tx.rollback().await?;
    Ok(checked)
}

async fn check_in(
    connection: &mut PgConnection,
    account: AccountId,
    (since, from): (Option<NaiveDate>, Option<DateTime<Utc>>),
    all: bool,
    prices: &Prices,
) -> Checked {
    let mut findings = Findings::default();
    // What was used of a limit is known from all of its calls.
    let mut limits = if from.is_none() { Some(Limits::read(connection, account).await?) } else { None };
    let lines = Lines::check(connection, account, &mut findings).await?;
    let grants = credit::grants(connection, account).await?;
    let terms = Terms { prices, lines: &lines, grants: &grants };
    let (mut hours, calls) = calls::check(connection, account, from, all, terms, limits.as_mut(), &mut findings).await?;
    let mut corrections = corrections::check(connection, account, terms, limits.as_mut(), &mut findings).await?;
    if let Some(limits) = limits {
        limits.check(connection, account, &mut findings).await?;
    }
    corrections.retain(|correction| from.is_none_or(|from| correction.posted_at >= from));
    let journal = journal::check(connection, account, from, &mut hours, &mut corrections, &grants, &mut findings).await?;
    for correction in corrections {
        let row = format!("correction {} of call {}", correction.seq, correction.call_id);
        findings.note(Claim::CorrectionIsPosted, row, "a posting of its kind", "none");
    }
    let taken_back = payments::check(connection, account, &mut findings).await?;
    let against = Against { grants: &grants, journal: &journal, lines: &lines, taken_back, whole: from.is_none() };
    credit::check(connection, account, hours, against, &mut findings).await?;
    plans::check(connection, account, &mut findings).await?;
    codes::check(connection, account, &mut findings).await?;
    documents::check(connection, account, &mut findings).await?;
    rollups::check(connection, account, since, &mut findings).await?;
    Ok((findings, calls))
}

async fn how_many(connection: &mut PgConnection, account: Option<AccountId>) -> Result<u64> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from accounts where $1::uuid is null or account_id = $1"#,
        account.map(AccountId::uuid)
    );
    Ok(count.fetch_one(connection).await?.unsigned_abs())
}

async fn accounts(connection: &mut PgConnection, account: Option<AccountId>, after: Option<AccountId>) -> Result<Vec<AccountId>> {
    let accounts = sqlx::query_scalar!(
        r#"
        select account_id as "account_id: AccountId" from accounts
        where ($1::uuid is null or account_id = $1) and ($2::uuid is null or account_id > $2)
        order by account_id limit $3
        "#,
        account.map(AccountId::uuid),
        after.map(AccountId::uuid),
        PAGE
    );
    Ok(accounts.fetch_all(connection).await?)
}

/// Rows that name an account need none to be stored, where a key to it would be asked for with each call.
async fn orphans(connection: &mut PgConnection, findings: &mut Findings) -> Result<()> {
    let rows = sqlx::query!(
        r#"
        select 'calls' as "table!", account_id as "account!: AccountId" from (select distinct account_id from calls) t
        union all select 'usage_hourly', account_id from (select distinct account_id from usage_hourly) t
        union all select 'usage_daily', account_id from (select distinct account_id from usage_daily) t
        union all select 'quarantine', account_id from (select distinct account_id from quarantine) t
        except all select t, account_id from accounts cross join unnest(array['calls', 'usage_hourly', 'usage_daily', 'quarantine']) t
        "#
    )
    .fetch_all(connection)
    .await?;
    for row in rows {
        findings.note(Claim::RowsHaveAnAccount, format!("{} of account {}", row.table, row.account), "an account", "none");
    }
    Ok(())
}

/// The newest root that is stored here, and the one that was kept elsewhere. Both are of all accounts.
async fn roots_hold(connection: &mut PgConnection, what: &Verification, findings: &mut Findings) -> Result<()> {
    if let Some(kept) = what.against {
        let (found, _) = roots::of_day(connection, kept.day).await?;
        findings.compare(Claim::RootHolds, || format!("root of {}", kept.day), kept, found);
    }
    if what.account.is_some() {
        return Ok(());
    }
    let newest = sqlx::query!("select day, digest, accounts from roots order by day desc limit 1").fetch_optional(&mut *connection).await?;
    if let Some(newest) = newest {
        let row = || format!("root of {}", newest.day);
        let (found, accounts) = roots::of_day(connection, newest.day).await?;
        findings.compare(Claim::RootHolds, || format!("{} (accounts)", row()), accounts, newest.accounts);
        match roots::stored(newest.day, &newest.digest) {
            Ok(root) => findings.compare(Claim::RootHolds, row, root, found),
            Err(error) => findings.note(Claim::RootHolds, row(), "32 bytes", error),
        }
    }
    Ok(())
}
