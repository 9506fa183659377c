//! Periods that follow each other.

use chrono::TimeDelta;
use domain::{id::AccountId, plan::Month};
use sqlx::PgConnection;

use super::{periods::NewPeriod, subscriptions::Open};
use crate::{
    Error, Result, System,
    books::{Books, Lock},
    notices,
};

/// Plans that are looked at together.
const TOGETHER_MAX: i64 = 500;
/// A plan that could not be paid for so long ends.
const UNPAID_MAX: TimeDelta = TimeDelta::days(7);

impl System {
    /// Renews every plan whose period is over, or ends it if it was to end or could not be paid for a week. One that was due while nothing ran is renewed
    /// for the month that runs now alone. Doing it again does nothing. Returns how many were renewed.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; a plan that cannot be renewed for another reason is logged, and keeps no other from it.
    pub async fn renew_plans(&self) -> Result<usize> {
        let (mut renewed, mut after) = (0, None);
        loop {
            let accounts = self.due(after).await?;
            after = accounts.last().copied();
            for account in &accounts {
                match self.renew(*account).await {
                    Ok(is_renewed) => renewed += usize::from(is_renewed),
                    Err(error @ (Error::Corrupt(_) | Error::Invalid { .. })) => {
                        tracing::error!(%account, %error, "a plan cannot be renewed")
                    }
                    Err(error) if error.is_of_the_data() => tracing::error!(%account, %error, "a plan cannot be renewed"),
                    Err(error) => return Err(error),
                }
            }
            if (accounts.len() as i64) < TOGETHER_MAX {
                return Ok(renewed);
            }
        }
    }

    async fn due(&self, after: Option<AccountId>) -> Result<Vec<AccountId>> {
        let connection = &mut *self.database.read().await?;
        let now = self.database.dated.unwrap_or(crate::clock(connection).await?);
        let accounts = sqlx::query_scalar!(
            r#"
            select account_id as "account: AccountId" from subscriptions
            where ended_at is null and renews_at <= $1 and ($2::uuid is null or account_id > $2)
            order by account_id limit $3
            "#,
            now,
            after.map(AccountId::uuid),
            TOGETHER_MAX
        );
        Ok(accounts.fetch_all(connection).await?)
    }

    /// Renews one account's plan, if it is still due. Returns whether it was.
    async fn renew(&self, account: AccountId) -> Result<bool> {
        let mut tx = self.database.write().await?;
        let mut books = Books::lock(&mut tx, &[account], Lock::Wait, self.database.dated).await?;
        let now = books.of(account)?.now();
        let Some(open) = Open::read(&mut tx, account).await?.filter(|open| open.renews_at <= now) else { return Ok(false) };
        let is_renewed = if open.ends || open.unpaid_since.is_some_and(|since| now - since >= UNPAID_MAX) {
            open.end(&mut tx, &mut books, "").await?;
            false
        } else {
            renew(&mut tx, &mut books, &open).await?
        };
        books.write(&mut tx).await?;
        notices::tell(&mut tx, account).await?;
        tx.commit().await?;
        Ok(is_renewed)
    }
}

/// Pays for the month that runs now, or says since when it is not paid for.
async fn renew(connection: &mut PgConnection, books: &mut Books, open: &Open) -> Result<bool> {
    let book = books.of(open.account)?;
    let now = book.now();
    let plan = open.coming(connection).await?;
    // Who could not pay for some days gets a whole month for the money once they can.
    let anchor = if open.unpaid_since.is_some() { now } else { open.anchor };
    let period =
        Month::at(anchor, now).ok_or_else(|| Error::Corrupt(format!("the months of subscription {} are beyond any date", open.id)))?;
    let request = format!("{} {}", open.id, period.from.timestamp_micros());
    let new = NewPeriod {
        request: &request,
        subscription: open.id,
        plan: &plan,
        starts_at: period.from,
        ends_at: period.to,
        credit: Default::default(),
        actor: "",
    };
    match new.pay(connection, book).await {
        Ok(()) => {
            open.go_on(connection, books, &plan, (anchor, period.to), "").await?;
            Ok(true)
        }
        Err(Error::InsufficientCredit { .. }) => {
            open.is_unpaid(connection, now).await?;
            Ok(false)
        }
        Err(other) => Err(other),
    }
}
