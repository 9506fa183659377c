//! What is lent to accounts.

use chrono::{DateTime, Utc};
use domain::{
    credit::{CreditLine, Grace},
    id::AccountId,
    money::Amount,
    pricing::Excess,
};
use sqlx::PgConnection;

use crate::{
    AccountReader, Error, Operator, Result,
    books::{Books, Lock},
};

/// The most that is lent, and the most on top of it: a billion currency units each, so that it adds up with whatever an account has.
const LENT_MAX: Amount = Amount::from_nanos(1_000_000_000 * 1_000_000_000);

impl Operator {
    /// Sets what is lent to an account, from now on. Less than it owes is no error: no call is admitted until it owes less.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown account; [`Error::Invalid`] for an amount below zero or above a billion currency units, or a grace that has
    /// ended already.
    pub async fn set_credit_line(&self, account: AccountId, line: &CreditLine, actor: &str) -> Result<()> {
        if !(Amount::ZERO..=LENT_MAX).contains(&line.amount) {
            return Err(Error::invalid("credit line", "write an amount from 0 to 1,000,000,000"));
        }
        let mut tx = self.database.write().await?;
        let mut books = Books::lock(&mut tx, &[account], Lock::Wait, self.database.dated).await?;
        let now = books.of(account)?.now();
        if line.grace.is_some_and(|grace| grace.amount <= Amount::ZERO || grace.amount > LENT_MAX || grace.until <= now) {
            return Err(Error::invalid("grace", "write an amount above 0 and up to 1,000,000,000, and an instant that is still to come"));
        }
        sqlx::query!(
            r#"
            insert into credit_lines (account_id, set_at, amount, grace, grace_until, is_lenient, set_by) values ($1, $2, $3, $4, $5, $6, $7)
            "#,
            account.uuid(),
            now,
            line.amount.nanos(),
            line.grace.map_or(0, |grace| grace.amount.nanos()),
            line.grace.map(|grace| grace.until),
            line.excess.is_charged(),
            actor
        )
        .execute(&mut *tx)
        .await?;
        // Whatever is set next is later.
        books.touch(now);
        books.write(&mut tx).await?;
        tx.commit().await?;
        Ok(())
    }
}

impl AccountReader {
    /// What is lent to the account.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn credit_line(&self) -> Result<CreditLine> {
        in_force(&mut *self.database.read().await?, self.account).await
    }
}

/// What is lent to an account now.
pub(crate) async fn in_force(connection: &mut PgConnection, account: AccountId) -> Result<CreditLine> {
    let row = sqlx::query!(
        r#"
        select amount as "amount: Amount", grace as "grace: Amount", grace_until, is_lenient from credit_lines
        where account_id = $1 order by set_at desc limit 1
        "#,
        account.uuid()
    );
    let row = row.fetch_optional(connection).await?;
    Ok(row.map_or_else(CreditLine::default, |row| CreditLine {
        amount: row.amount,
        grace: grace(row.grace, row.grace_until),
        excess: Excess::of(row.is_lenient),
    }))
}

/// A grace from its columns.
pub(crate) fn grace(amount: Amount, until: Option<DateTime<Utc>>) -> Option<Grace> {
    until.map(|until| Grace { amount, until })
}
