//! Credit: what an account has, and in which order it is used.

use chrono::{DateTime, Utc};
use domain::{
    billing::{Balance, Grant, GrantKind},
    credit::{self, Pool, Quantity, Unit},
    id::{AccountId, GrantId, KeyId},
    money::Amount,
    period::Period,
};
use sqlx::{PgConnection, PgExecutor};

use crate::{AccountReader, Error, Meter, Result};

/// The account's grants of money as the rules of credit see them, all of them locked. Everyone who locks grants locks them by id, so that no two can wait
/// for each other.
pub(crate) async fn lock(connection: &mut PgConnection, account: AccountId) -> Result<Vec<credit::Grant>> {
    let grants = sqlx::query!(
        r#"
        select
            grant_id as "id: GrantId", kind as "kind: GrantKind", (posted - floor) as "capacity!: Quantity", leased as "leased: Quantity",
            floor as "floor: Quantity", priority, starts_at, expires_at
        from grants
        where account_id = $1 and unit = 'money'
        order by grant_id
        for no key update
        "#,
        account.uuid()
    )
    .fetch_all(connection)
    .await?;
    let grants = grants.into_iter().map(|grant| credit::Grant {
        id: grant.id,
        kind: grant.kind,
        // What ended calls took was taken off what is posted.
        pool: Pool { leased: grant.leased, ..Pool::new(Unit::Money, grant.capacity) },
        models: None,
        floor: grant.floor,
        starts_at: grant.starts_at,
        expires_at: grant.expires_at,
        priority: grant.priority,
    });
    Ok(grants.collect())
}

impl AccountReader {
    /// The account's credit.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn balance(&self, now: DateTime<Utc>) -> Result<Balance> {
        balance(&mut *self.database.read().await?, self.account, now).await
    }
}

impl Meter {
    /// An account's credit, for the holder of one of its keys.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn balance(&self, account: AccountId, now: DateTime<Utc>) -> Result<Balance> {
        balance(&mut *self.database.read().await?, account, now).await
    }

    /// What a key has spent.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn key_usage(&self, account: AccountId, key: KeyId, now: DateTime<Utc>) -> Result<KeyUsage> {
        let usage = sqlx::query_as!(
            KeyUsage,
            r#"
            select
                coalesce(sum(amount) filter (where day >= $3), 0)::bigint as "day!: Amount",
                coalesce(sum(amount) filter (where day >= $4), 0)::bigint as "month!: Amount",
                coalesce(sum(amount), 0)::bigint as "ever!: Amount"
            from usage_daily
            where account_id = $1 and key_id = $2
            "#,
            account.uuid(),
            key.uuid(),
            Period::Today.range(now).from,
            Period::ThisMonth.range(now).from
        )
        .fetch_one(&mut *self.database.read().await?)
        .await?;
        Ok(usage)
    }
}

/// What a key has spent in the running day and month, and since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyUsage {
    /// Since midnight, UTC.
    pub day: Amount,
    /// Since the first of the month, UTC.
    pub month: Amount,
    /// Ever.
    pub ever: Amount,
}

/// One statement, so that the parts are of one instant.
pub(crate) async fn balance(executor: impl PgExecutor<'_>, account: AccountId, now: DateTime<Utc>) -> Result<Balance> {
    let rows = sqlx::query!(
        r#"
        select
            grant_id as "id: GrantId", kind as "kind: GrantKind", posted as "posted: Amount", leased as "leased: Amount",
            (posted - leased - floor) as "available!: Amount", expires_at
        from grants
        where account_id = $1 and unit = 'money' and starts_at <= $2 and (expires_at is null or expires_at > $2)
        order by expires_at nulls last, priority, kind = 'wallet', grant_id
        "#,
        account.uuid(),
        now
    )
    .fetch_all(executor)
    .await?;
    let sum =
        |amounts: Vec<Amount>| Amount::checked_sum(amounts).ok_or_else(|| Error::Corrupt("the grants of an account overflow".to_owned()));
    Ok(Balance {
        balance: sum(rows.iter().map(|row| row.posted).collect())?,
        reserved: sum(rows.iter().map(|row| row.leased).collect())?,
        available: sum(rows.iter().map(|row| row.available).collect())?,
        grants: rows
            .into_iter()
            .map(|row| Grant { id: row.id, kind: row.kind, posted: row.posted, leased: row.leased, expires_at: row.expires_at })
            .collect(),
    })
}
