//! Money in, and the books as a statement.

use chrono::{DateTime, Utc};
use domain::{
    billing::{JournalKind, JournalPage, JournalRow, Statement},
    id::{AccountId, GrantId, JournalId},
    money::Amount,
};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use crate::{
    AccountOwner, AccountReader, Error, Operator, Result,
    database::Database,
    grants::{self, Locked},
    posting,
};

/// A movement of money that somebody asked for.
#[derive(Debug, Clone)]
pub struct MoneyIn<'a> {
    /// The posting's id, which the caller makes and nobody else chooses: one that is a call's would keep that call from being posted.
    pub journal_id: JournalId,
    /// How much. Above zero, except that an operator's adjustment may take back.
    pub amount: Amount,
    /// The same key again is the same request, however often it arrives.
    pub idempotency_key: &'a str,
    /// Why, in words.
    pub memo: &'a str,
    /// Who asks.
    pub actor: &'a str,
    /// When it happened.
    pub now: DateTime<Utc>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posted {
    /// The posting: the first one, if the request was repeated.
    pub journal_id: JournalId,
    /// Whether the same request had been posted before.
    pub replayed: bool,
}

impl AccountOwner {
    /// Pays into the wallet.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an amount that is not above zero, [`Error::IdempotencyConflict`].
    pub async fn top_up(&self, money: MoneyIn<'_>) -> Result<Posted> {
        if money.amount <= Amount::ZERO {
            return Err(Error::invalid("amount", "write an amount above zero"));
        }
        move_money(&self.database, self.account, JournalKind::TopUp, &money).await
    }
}

impl Operator {
    /// Credits a wallet, or takes back what is still available.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown account, [`Error::Invalid`] for zero or a missing reason, [`Error::InsufficientCredit`] when taking
    /// back what is held or spent, [`Error::IdempotencyConflict`].
    pub async fn credit(&self, account: AccountId, money: MoneyIn<'_>) -> Result<Posted> {
        if money.amount.is_zero() {
            return Err(Error::invalid("amount", "write an amount other than zero"));
        }
        if money.memo.trim().is_empty() {
            return Err(Error::invalid("reason", "say why: the customer reads it in the journal"));
        }
        move_money(&self.database, account, JournalKind::Adjustment, &money).await
    }
}

impl AccountReader {
    /// The account's credit, and its postings, newest first, each with the balance after it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when `before` is no posting of the account.
    pub async fn statement(&self, before: Option<JournalId>, limit: i64, now: DateTime<Utc>) -> Result<Statement> {
        statement(&self.database, self.account, before, limit, now).await
    }
}

async fn move_money(database: &Database, account: AccountId, kind: JournalKind, money: &MoneyIn<'_>) -> Result<Posted> {
    if money.idempotency_key.is_empty() {
        return Err(Error::invalid("idempotency key", "send one"));
    }
    let money = &MoneyIn { memo: Error::one_line("reason", money.memo)?, ..money.clone() };
    let mut tx = database.write().await?;
    let grants = grants::lock(&mut tx, &[account], Locked::Wait).await?.remove(&account).ok_or(Error::NotFound)?;
    let wallet = grants::wallet_of(&grants)?;
    let digest = request_digest(kind, money.amount, money.memo, money.actor);
    if let Some(posted) = posted_before(&mut tx, account, money.idempotency_key, &digest).await? {
        return Ok(posted);
    }
    change_wallet(&mut tx, account, wallet, money.amount).await?;
    let posted_at = posting::now_in_postgres(&mut tx).await?;
    let new = NewJournal {
        account,
        id: money.journal_id,
        kind,
        memo: money.memo,
        actor: money.actor,
        request: Some((money.idempotency_key, &digest)),
        event_at: money.now,
        posted_at,
    };
    insert(&mut tx, &new, &[(wallet, i128::from(money.amount.nanos()))]).await?;
    tx.commit().await?;
    Ok(Posted { journal_id: money.journal_id, replayed: false })
}

/// What was asked under an idempotency key; time and ids are the server's own and differ when a request is repeated.
pub(crate) fn request_digest(kind: JournalKind, amount: Amount, memo: &str, actor: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [kind.name(), &amount.to_string(), memo, actor] {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

async fn posted_before(connection: &mut PgConnection, account: AccountId, key: &str, digest: &[u8; 32]) -> Result<Option<Posted>> {
    match of_key(connection, account, key).await? {
        None => Ok(None),
        Some((journal_id, posted)) if posted == digest => Ok(Some(Posted { journal_id, replayed: true })),
        Some(_) => Err(Error::IdempotencyConflict),
    }
}

/// The posting that bears an idempotency key, and the digest of what was asked for.
pub(crate) async fn of_key(connection: &mut PgConnection, account: AccountId, key: &str) -> Result<Option<(JournalId, Vec<u8>)>> {
    let row = sqlx::query!(
        r#"
        select journal_id as "journal_id: JournalId", request_digest as "digest!"
        from journal
        where account_id = $1 and idempotency_key = $2
        "#,
        account.uuid(),
        key
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| (row.journal_id, row.digest)))
}

/// Taking back obeys the condition of a lease: what is held or spent is not there to be taken.
async fn change_wallet(connection: &mut PgConnection, account: AccountId, wallet: GrantId, amount: Amount) -> Result<()> {
    let row = sqlx::query!(
        r#"
        update grants set posted = posted + $3
        where account_id = $1 and grant_id = $2 and ($3::bigint > 0 or posted - leased - floor + $3 >= 0)
        returning grant_id
        "#,
        account.uuid(),
        wallet.uuid(),
        amount.nanos()
    )
    .fetch_optional(&mut *connection)
    .await
    .map_err(too_much)?;
    if row.is_some() {
        return Ok(());
    }
    let available = sqlx::query_scalar!(
        r#"select (posted - leased - floor) as "available!: Amount" from grants where account_id = $1 and grant_id = $2"#,
        account.uuid(),
        wallet.uuid()
    )
    .fetch_one(connection)
    .await?;
    Err(Error::InsufficientCredit { needed: amount.checked_neg().unwrap_or(Amount::MAX), available })
}

/// "Numeric value out of range" is a wallet that cannot hold that much.
fn too_much(error: sqlx::Error) -> Error {
    let out_of_range = error.as_database_error().is_some_and(|database| database.code().as_deref() == Some("22003"));
    if out_of_range { Error::invalid("amount", "the balance would be too large") } else { error.into() }
}

/// A posting of one account that is made by itself.
pub(crate) struct NewJournal<'a> {
    pub(crate) account: AccountId,
    pub(crate) id: JournalId,
    pub(crate) kind: JournalKind,
    pub(crate) memo: &'a str,
    pub(crate) actor: &'a str,
    /// The idempotency key that it was asked for under, and the digest of what was asked for.
    pub(crate) request: Option<(&'a str, &'a [u8; 32])>,
    pub(crate) event_at: DateTime<Utc>,
    pub(crate) posted_at: DateTime<Utc>,
}

/// Writes a posting: what each grant gets, below zero what it gives, in nanos, and the book of its kind that stands against it. The grants are the
/// caller's to change.
pub(crate) async fn insert(connection: &mut PgConnection, new: &NewJournal<'_>, grants: &[(GrantId, i128)]) -> Result<()> {
    sqlx::query!(
        r#"
        insert into journal (account_id, journal_id, kind, memo, actor, idempotency_key, request_digest, event_at, posted_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        "#,
        new.account.uuid(),
        new.id.uuid(),
        new.kind as JournalKind,
        new.memo,
        new.actor,
        new.request.map(|(key, _)| key),
        new.request.map(|(_, digest)| &digest[..]),
        new.event_at,
        new.posted_at
    )
    .execute(&mut *connection)
    .await?;
    let counter = -grants.iter().map(|(_, amount)| amount).sum::<i128>();
    let entries = grants.iter().map(|(grant, amount)| ("grant", Some(grant.uuid()), *amount)).chain([(new.kind.book(), None, counter)]);
    for ((book, grant, amount), line) in entries.zip(1_i16..) {
        let amount = i64::try_from(amount).map_err(|_| Error::invalid("amount", "is too large"))?;
        sqlx::query!(
            "insert into entries (account_id, journal_id, line, book, unit, grant_id, amount) values ($1, $2, $3, $4, 'money', $5, $6)",
            new.account.uuid(),
            new.id.uuid(),
            line,
            book,
            grant,
            amount
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Credit and books in one snapshot: the balance and the statement below it cannot disagree.
pub(crate) async fn statement(
    database: &Database,
    account: AccountId,
    before: Option<JournalId>,
    limit: i64,
    now: DateTime<Utc>,
) -> Result<Statement> {
    let mut tx = database.snapshot().await?;
    let balance = grants::balance(&mut *tx, account, now).await?;
    let journal = page(&mut tx, account, before, limit).await?;
    tx.rollback().await?;
    Ok(Statement { balance, journal })
}

/// The balance after a posting is today's balance less everything posted since. The entries are looked up posting by posting: joined, they would be
/// read whole, those of every account.
async fn page(connection: &mut PgConnection, account: AccountId, before: Option<JournalId>, limit: i64) -> Result<JournalPage> {
    let rows = sqlx::query!(
        r#"
        with start as (
            select posted_at, journal_id from journal where account_id = $1 and journal_id = $2
        ), page as (
            select j.*
            from journal j
            where j.account_id = $1 and ($2::uuid is null or (j.posted_at, j.journal_id) < (select posted_at, journal_id from start))
            order by j.posted_at desc, j.journal_id desc
            limit $3
        ), sums as (
            select p.journal_id, sum(e.amount) as amount
            from page p
            cross join lateral (
                select amount from entries e
                where e.account_id = p.account_id and e.journal_id = p.journal_id and e.book = 'grant' offset 0
            ) e
            group by p.journal_id
        ), after as (
            select coalesce(sum(e.amount), 0) as amount
            from journal j
            cross join lateral (
                select amount from entries e
                where e.account_id = j.account_id and e.journal_id = j.journal_id and e.book = 'grant' offset 0
            ) e
            where $2::uuid is not null and j.account_id = $1
                and (j.posted_at, j.journal_id) >= (select posted_at, journal_id from start)
        ), today as (
            select coalesce(sum(posted), 0) as amount from grants where account_id = $1 and unit = 'money'
        )
        select
            p.journal_id as "id!: JournalId", p.kind as "kind!: JournalKind", p.memo as "memo!", p.actor as "actor!", p.event_at as "event_at!",
            p.posted_at as "posted_at!",
            coalesce(s.amount, 0)::bigint as "amount!: Amount",
            (
                (select amount from today) - (select amount from after)
                - coalesce(sum(s.amount) over (
                    order by p.posted_at desc, p.journal_id desc rows between unbounded preceding and 1 preceding
                ), 0)
            )::bigint as "balance_after!: Amount"
        from page p
        left join sums s using (journal_id)
        order by p.posted_at desc, p.journal_id desc
        "#,
        account.uuid(),
        before.map(JournalId::uuid),
        limit + 1
    )
    .fetch_all(&mut *connection)
    .await?;
    if let (Some(before), true) = (before, rows.is_empty()) {
        is_posting(connection, account, before).await?;
    }
    let mut rows: Vec<_> = rows
        .into_iter()
        .map(|row| JournalRow {
            id: row.id,
            kind: row.kind,
            memo: row.memo,
            actor: row.actor,
            event_at: row.event_at,
            posted_at: row.posted_at,
            amount: row.amount,
            balance_after: row.balance_after,
        })
        .collect();
    let more = rows.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = rows.last().filter(|_| more).map(|row| row.id);
    Ok(JournalPage { rows, next })
}

async fn is_posting(connection: &mut PgConnection, account: AccountId, journal: JournalId) -> Result<()> {
    sqlx::query!("select from journal where account_id = $1 and journal_id = $2", account.uuid(), journal.uuid())
        .fetch_optional(connection)
        .await?
        .map(|_| ())
        .ok_or(Error::NotFound)
}
