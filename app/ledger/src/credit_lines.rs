//! What is lent to accounts.

use chrono::{DateTime, Utc};
use domain::{
    audit::Operation,
    credit::{self, CreditLine, Grace, Quantity},
    id::AccountId,
    money::Amount,
    pricing::Excess,
};
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::{
    AccountReader, Error, Operator, Result,
    audit::{self, Line},
    books::{Books, Lock},
    encoding::{self, Encoding, Seal},
    notices,
};

/// The most that is lent, and the most on top of it: a billion currency units each.
const LENT_MAX: Amount = Amount::from_nanos(1_000_000_000 * 1_000_000_000);

impl Operator {
    /// Changes what is lent to an account, from now on, and returns what it is. Less than it owes is no error: no call is admitted until it owes less.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown account; [`Error::Invalid`] for an amount below zero or above a billion currency units, a grace that has
    /// ended already or would be the second to begin in a calendar month (UTC), or anything lent to a wallet that pays for no call.
    pub async fn change_credit_line(&self, account: AccountId, actor: &str, change: impl FnOnce(&mut CreditLine)) -> Result<CreditLine> {
        let mut tx = self.database.change().await?;
        let mut books = Books::lock(&mut tx, &[account], Lock::Wait, self.database.dated).await?;
        let before = in_force(&mut tx, account).await?;
        let line = set(&mut tx, &mut books, account, actor, change).await?;
        books.write(&mut tx).await?;
        notices::tell(&mut tx, account).await?;
        let name = audit::account_name(&mut tx, account).await?;
        tx.commit(Line::new(Operation::CreditLine, account, name, Some(in_words(before)), Some(in_words(line))).of(account)).await?;
        Ok(line)
    }

    /// What is lent to an account.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn credit_line(&self, account: AccountId) -> Result<CreditLine> {
        in_force(&mut *self.database.read().await?, account).await
    }

    /// As [`AccountReader::next_grace`], of any account.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn next_grace(&self, account: AccountId, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
        next_grace(&mut *self.database.read().await?, account, now).await
    }

    /// Sets what is lent to an account, from now on, over what was seen: `is_seen` tells whether that is still so. Setting what is set already changes
    /// nothing.
    ///
    /// # Errors
    /// As [`Self::change_credit_line`]; [`Error::Taken`] where something else was set meanwhile.
    pub async fn set_credit_line(
        &self,
        account: AccountId,
        actor: &str,
        new: CreditLine,
        is_seen: impl FnOnce(&CreditLine) -> bool,
    ) -> Result<()> {
        let mut tx = self.database.change().await?;
        let mut books = Books::lock(&mut tx, &[account], Lock::Wait, self.database.dated).await?;
        let now = books.of(account)?.now();
        let before = in_force(&mut tx, account).await?;
        if (CreditLine { grace: before.grace.filter(|grace| now < grace.until), ..before }) == new {
            return Ok(());
        }
        if !is_seen(&before) {
            return Err(Error::Taken("another setting of this account"));
        }
        set(&mut tx, &mut books, account, actor, |line| *line = new).await?;
        books.write(&mut tx).await?;
        notices::tell(&mut tx, account).await?;
        let name = audit::account_name(&mut tx, account).await?;
        tx.commit(Line::new(Operation::CreditLine, account, name, Some(in_words(before)), Some(in_words(new))).of(account)).await
    }

    /// Finds out whether [`Self::set_credit_line`] could set it. Nothing is set.
    ///
    /// # Errors
    /// As [`Self::change_credit_line`].
    pub async fn review_credit_line(&self, account: AccountId, actor: &str, new: CreditLine) -> Result<()> {
        let mut tx = self.database.change().await?;
        let mut books = Books::lock(&mut tx, &[account], Lock::Wait, self.database.dated).await?;
        set(&mut tx, &mut books, account, actor, |line| *line = new).await?;
        tx.undo().await
    }
}

/// Changes what is lent to an account whose books are locked.
///
/// # Errors
/// As [`Operator::change_credit_line`].
pub(crate) async fn set(
    connection: &mut PgConnection,
    books: &mut Books,
    account: AccountId,
    actor: &str,
    change: impl FnOnce(&mut CreditLine),
) -> Result<CreditLine> {
    let book = books.of(account)?;
    let now = book.now();
    let mut line = in_force(&mut *connection, account).await?;
    // One that has ended is not set again.
    line.grace.take_if(|grace| grace.until <= now);
    let before = line.grace;
    change(&mut line);
    if !(Amount::ZERO..=LENT_MAX).contains(&line.amount) {
        return Err(Error::invalid("credit line", "write an amount from 0 to 1,000,000,000"));
    }
    if line.is_quota && (line.lent(now) > Amount::ZERO || line.excess.is_charged()) {
        return Err(Error::invalid("mode", "an account on quota is lent nothing, and strict: its balance pays for no call"));
    }
    if line.grace.is_some_and(|grace| grace.amount <= Amount::ZERO || grace.amount > LENT_MAX || grace.until <= now) {
        return Err(Error::invalid("grace", "write an amount above 0 and up to 1,000,000,000, and an instant that is still to come"));
    }
    if line.grace.is_some_and(|grace| grace.begins(before, now))
        && let Some(next) = next_grace(connection, account, now).await?
    {
        let next = next.format("%-d %B %Y");
        let problem =
            format!("one was given this month already: the next can begin on {next}, and one that runs can be lowered, shortened or ended");
        return Err(Error::invalid("grace", problem));
    }
    // What is lent must add up with all that was ever put into the wallet.
    let wallet = book.wallet()?;
    let wallet = book.grants().iter().find(|grant| grant.id == wallet).map(|grant| grant.pool.capacity.checked_add(grant.floor));
    let most = line.grace.map_or(Some(line.amount), |grace| line.amount.checked_add(grace.amount)).map(Quantity::from);
    if wallet.flatten().zip(most).and_then(|(granted, most)| granted.checked_add(most)).is_none() {
        return Err(Error::invalid("credit line", "is too much beside what was paid in"));
    }
    sqlx::query!(
        r#"
        insert into credit_lines (account_id, set_at, amount, grace, grace_until, is_lenient, is_quota, set_by, seal)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        "#,
        account.uuid(),
        now,
        line.amount.nanos(),
        line.grace.map_or(0, |grace| grace.amount.nanos()),
        line.grace.map(|grace| grace.until),
        line.excess.is_charged(),
        line.is_quota,
        actor,
        &SetLine { account, set_at: now, line, set_by: actor.to_owned() }.seal()[..]
    )
    .execute(connection)
    .await?;
    // Whatever is set next is later.
    books.touch(now);
    Ok(line)
}

/// As the audit log has it.
fn in_words(line: CreditLine) -> Value {
    let CreditLine { amount, grace, excess, is_quota } = line;
    let grace = grace.map(|Grace { amount, until }| json!({"amount": amount, "until": until}));
    json!({"credit_line": amount, "grace": grace, "lenient": excess.is_charged(), "quota": is_quota})
}

/// The newest encoding, by which they are sealed.
const VERSION: u8 = 1;

/// A row of `credit_lines`.
pub(crate) struct SetLine {
    pub(crate) account: AccountId,
    pub(crate) set_at: DateTime<Utc>,
    pub(crate) line: CreditLine,
    pub(crate) set_by: String,
}

impl SetLine {
    fn seal(&self) -> Seal {
        encoding::seal(VERSION, self.digest_1())
    }

    /// Whether this is the row that was sealed so. `None` if a later version of Farebox sealed it.
    pub(crate) fn fits(&self, seal: &[u8]) -> Option<bool> {
        encoding::fits(seal, |version| (version == VERSION).then(|| self.digest_1()))
    }

    fn digest_1(&self) -> [u8; 32] {
        let mut row = Encoding::new(b"farebox credit line 1");
        row.id(self.account.uuid());
        row.instant(self.set_at);
        row.number(self.line.amount.nanos());
        row.maybe(self.line.grace, |row, grace| {
            row.number(grace.amount.nanos());
            row.instant(grace.until);
        });
        row.truth(self.line.excess.is_charged());
        row.truth(self.line.is_quota);
        row.text(&self.set_by);
        row.digest()
    }
}

/// Every setting of an account, oldest first, each with its seal.
pub(crate) async fn of_account(connection: &mut PgConnection, account: AccountId) -> Result<Vec<(SetLine, Vec<u8>)>> {
    let rows = sqlx::query!(
        r#"
        select set_at, amount as "amount: Amount", grace as "grace: Amount", grace_until, is_lenient, is_quota, set_by, seal from credit_lines
        where account_id = $1 order by set_at
        "#,
        account.uuid()
    )
    .fetch_all(connection)
    .await?;
    let set = rows.into_iter().map(|row| {
        let line = from_columns(Some(row.amount), Some(row.grace), row.grace_until, (Some(row.is_lenient), Some(row.is_quota)));
        (SetLine { account, set_at: row.set_at, line, set_by: row.set_by }, row.seal)
    });
    Ok(set.collect())
}

impl AccountReader {
    /// What is lent to the account.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn credit_line(&self) -> Result<CreditLine> {
        in_force(&mut *self.database.read().await?, self.account).await
    }

    /// When the next grace may begin, where one has begun in this calendar month (UTC); `None` where one may now.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn next_grace(&self, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
        next_grace(&mut *self.database.read().await?, self.account, now).await
    }
}

async fn next_grace(connection: &mut PgConnection, account: AccountId, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
    let settings = of_account(connection, account).await?;
    Ok(credit::next_grace(settings.iter().map(|(set, _)| (set.set_at, set.line.grace)), now))
}

/// What is lent to an account now.
pub(crate) async fn in_force(connection: &mut PgConnection, account: AccountId) -> Result<CreditLine> {
    let row = sqlx::query!(
        r#"
        select amount as "amount: Amount", grace as "grace: Amount", grace_until, is_lenient, is_quota from credit_lines
        where account_id = $1 order by set_at desc limit 1
        "#,
        account.uuid()
    );
    let row = row.fetch_optional(connection).await?;
    Ok(row.map_or_else(CreditLine::default, |row| {
        from_columns(Some(row.amount), Some(row.grace), row.grace_until, (Some(row.is_lenient), Some(row.is_quota)))
    }))
}

/// A line from its columns; nothing is lent where there is no row.
pub(crate) fn from_columns(
    amount: Option<Amount>,
    grace: Option<Amount>,
    until: Option<DateTime<Utc>>,
    (is_lenient, is_quota): (Option<bool>, Option<bool>),
) -> CreditLine {
    CreditLine {
        amount: amount.unwrap_or_default(),
        grace: until.map(|until| Grace { amount: grace.unwrap_or_default(), until }),
        excess: Excess::of(is_lenient.unwrap_or_default()),
        is_quota: is_quota.unwrap_or_default(),
    }
}
