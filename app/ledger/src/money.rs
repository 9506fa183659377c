//! Money in, and money taken back.

use chrono::{DateTime, Utc};
use domain::{
    audit::Operation,
    billing::{Adjustment, JournalKind, PostingNumber},
    id::AccountId,
    money::Amount,
};
use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use crate::{
    AccountOwner, Error, Operator, Result,
    audit::{self, Line},
    books::{Book, Books, Lock, NewPosting, Request},
    database::Database,
};

/// A movement of money that somebody asked for.
#[derive(Debug, Clone)]
pub struct MoneyIn<'a> {
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
    pub posting: PostingNumber,
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
    /// Credits a wallet; of an amount below zero, takes back what is still available.
    ///
    /// # Errors
    /// As [`Self::adjust`].
    pub async fn credit(&self, account: AccountId, money: MoneyIn<'_>) -> Result<Posted> {
        if money.amount.is_zero() {
            return Err(Error::invalid("amount", "write an amount other than zero"));
        }
        expect_reason(&money)?;
        move_money(&self.database, account, JournalKind::Adjustment, &money).await
    }

    /// Credits a wallet, takes back what is still available, or notes that it was paid out.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown account, [`Error::Invalid`] for an amount that is not above zero or a missing reason,
    /// [`Error::InsufficientCredit`] when taking back or out what is held or spent, [`Error::IdempotencyConflict`].
    pub async fn adjust(&self, account: AccountId, how: Adjustment, money: MoneyIn<'_>) -> Result<Posted> {
        let amount = movement(how, money.amount)?;
        expect_reason(&money)?;
        move_money(&self.database, account, how.kind(), &MoneyIn { amount, ..money }).await
    }

    /// Whether that could be posted right now. Posts nothing.
    ///
    /// # Errors
    /// As [`Self::adjust`].
    pub async fn expect_adjustable(&self, account: AccountId, how: Adjustment, amount: Amount) -> Result<()> {
        let amount = movement(how, amount)?;
        let mut tx = self.database.change().await?;
        let mut books = Books::lock(&mut tx, &[account], Lock::Wait, self.database.dated).await?;
        expect_room(books.of(account)?, amount)?;
        tx.undo().await
    }
}

fn movement(how: Adjustment, amount: Amount) -> Result<Amount> {
    let movement = Some(amount).filter(|amount| *amount > Amount::ZERO).and_then(|amount| how.movement(amount));
    movement.ok_or_else(|| Error::invalid("amount", "write an amount above zero"))
}

pub(crate) fn expect_reason(money: &MoneyIn<'_>) -> Result<()> {
    if money.memo.trim().is_empty() {
        return Err(Error::invalid("reason", "say why: the customer reads it in the journal"));
    }
    Ok(())
}

async fn move_money(database: &Database, account: AccountId, kind: JournalKind, money: &MoneyIn<'_>) -> Result<Posted> {
    if money.idempotency_key.is_empty() {
        return Err(Error::invalid("idempotency key", "send one"));
    }
    let money = &MoneyIn { memo: Error::one_line("reason", money.memo)?, ..money.clone() };
    let mut tx = database.change().await?;
    let mut books = Books::lock(&mut tx, &[account], Lock::Wait, database.dated).await?;
    let book = books.of(account)?;
    let digest = request_digest(kind, &money.amount.to_string(), money.memo, money.actor);
    if let Some(posted) = posted_before(&mut tx, account, money.idempotency_key, &digest).await? {
        return Ok(posted);
    }
    expect_room(book, money.amount)?;
    let before = book.balance();
    let new = NewPosting {
        kind,
        memo: money.memo.to_owned(),
        actor: money.actor.to_owned(),
        request: Some(Request { idempotency_key: money.idempotency_key.to_owned(), digest }),
        event_at: money.now,
        posted_at: book.now(),
        calls: None,
        seals: None,
        grants: vec![(book.wallet()?, money.amount.nanos())],
    };
    let posting = book.post(new).map_err(|_| too_large())?;
    let after = json!({"balance": book.balance(), "amount": money.amount, "reason": money.memo, "posting": posting});
    books.write(&mut tx).await?;
    let name = audit::account_name(&mut tx, account).await?;
    tx.commit(Line::new(operation(kind, money.amount), account, name, Some(json!({"balance": before})), Some(after)).of(account)).await?;
    Ok(Posted { posting, replayed: false })
}

fn operation(kind: JournalKind, amount: Amount) -> Operation {
    match kind {
        JournalKind::TopUp => Operation::TopUp,
        JournalKind::Refund => Operation::Refund,
        _ if amount.is_negative() => Operation::TakeBack,
        _ => Operation::Credit,
    }
}

/// Taking back obeys the condition of a lease: what is held or spent is not there to be taken, nor what is lent.
pub(crate) fn expect_room(book: &Book, amount: Amount) -> Result<()> {
    let available = room(book)?.nanos();
    match available.checked_add(amount.nanos()) {
        None if amount > Amount::ZERO => Err(too_large()),
        Some(rest) if rest >= 0 || amount > Amount::ZERO => Ok(()),
        _ => Err(Error::InsufficientCredit {
            needed: amount.checked_neg().unwrap_or(Amount::MAX),
            available: Amount::from_nanos(available.max(0)),
        }),
    }
}

/// What of the wallet is neither held, nor spent, nor lent to it; below zero where it owes.
pub(crate) fn room(book: &Book) -> Result<Amount> {
    let wallet = book.wallet()?;
    let wallet = book.grants().iter().find(|grant| grant.id == wallet);
    let room = wallet.map(|grant| grant.pool.available().get().saturating_add(grant.floor.get()));
    Ok(Amount::from_nanos(room.unwrap_or_default()))
}

pub(crate) fn too_large() -> Error {
    Error::invalid("amount", "the balance would be too large")
}

/// What was asked under an idempotency key, the amount in words; time and numbers are the server's own and differ when a request is repeated.
pub(crate) fn request_digest(kind: JournalKind, amount: &str, memo: &str, actor: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [kind.name(), amount, memo, actor] {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// The posting that bears an idempotency key, if what was asked for under it is the same.
pub(crate) async fn posted_before(
    connection: &mut PgConnection,
    account: AccountId,
    key: &str,
    digest: &[u8; 32],
) -> Result<Option<Posted>> {
    match of_key(connection, account, key).await? {
        None => Ok(None),
        Some((posting, posted)) if posted == digest => Ok(Some(Posted { posting, replayed: true })),
        Some(_) => Err(Error::IdempotencyConflict),
    }
}

/// The posting that bears an idempotency key, and the digest of what was asked for.
pub(crate) async fn of_key(connection: &mut PgConnection, account: AccountId, key: &str) -> Result<Option<(PostingNumber, Vec<u8>)>> {
    let row = sqlx::query!(
        r#"
        select seq as "posting: PostingNumber", request_digest as "digest!"
        from journal
        where account_id = $1 and idempotency_key = $2
        "#,
        account.uuid(),
        key
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| (row.posting, row.digest)))
}
