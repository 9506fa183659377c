//! Notices: what makes every proxy look at an account anew within a moment.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use domain::id::AccountId;
use sqlx::PgConnection;

use crate::{Meter, Result, System};

/// Every proxy has seen what is older, or leases nothing any more.
const KEPT: TimeDelta = TimeDelta::minutes(1);

/// Which accounts are to be looked at anew, each with since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notices {
    /// What Postgres' clock says.
    pub clock: DateTime<Utc>,
    /// What is idle of these is wanted back.
    pub recalled: Vec<(AccountId, DateTime<Utc>)>,
    /// Keys, terms or limits of these have changed; they are among the others, too.
    pub changed: Vec<(AccountId, DateTime<Utc>)>,
}

impl Meter {
    /// Has every proxy give back what is idle of accounts: somebody needs it.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`].
    pub async fn recall(&self, accounts: &[AccountId]) -> Result<()> {
        // In one order, so that no two can wait for each other.
        let accounts: BTreeSet<_> = accounts.iter().map(|account| account.uuid()).collect();
        let recall = sqlx::query!(
            r#"
            insert into notices (account_id, at) select account_id, clock_timestamp() from unnest($1::uuid[]) account_id
            on conflict (account_id) do update set at = excluded.at
            "#,
            &Vec::from_iter(accounts)
        );
        self.database.execute(recall).await.map(drop)
    }

    /// The accounts to be looked at anew since an instant. What was said in a transaction that took its time is dated before it can be seen: ask for
    /// some seconds that were asked for before, too.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`].
    pub async fn notices(&self, since: DateTime<Utc>) -> Result<Notices> {
        let mut connection = self.database.read().await?;
        let clock = crate::clock(&mut connection).await?;
        let rows = sqlx::query!(r#"select account_id as "account: AccountId", at, changed_at from notices where at >= $1"#, since);
        let rows = rows.fetch_all(&mut *connection).await?;
        let changed = rows.iter().filter_map(|row| Some((row.account, row.changed_at?))).filter(|(_, at)| *at >= since).collect();
        Ok(Notices { clock, recalled: rows.iter().map(|row| (row.account, row.at)).collect(), changed })
    }
}

impl System {
    /// Forgets what every proxy has seen.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`].
    pub async fn forget_notices(&self) -> Result<()> {
        let forget =
            sqlx::query!("delete from notices where at < clock_timestamp() - $1::bigint * interval '1 second'", KEPT.num_seconds());
        self.database.execute(forget).await.map(drop)
    }
}

/// Says that something of an account has changed, once the transaction is committed.
pub(crate) async fn tell(connection: &mut PgConnection, account: AccountId) -> Result<()> {
    sqlx::query!(
        r#"
        insert into notices (account_id, at, changed_at) values ($1, clock_timestamp(), clock_timestamp())
        on conflict (account_id) do update set at = excluded.at, changed_at = excluded.changed_at
        "#,
        account.uuid()
    )
    .execute(connection)
    .await?;
    Ok(())
}
