//! Credit: what an account has, and in which order it is used.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use domain::{
    billing::{Balance, Grant, GrantKind},
    credit::{self, Pool, Quantity, Unit},
    id::{AccountId, GrantId, KeyId},
    money::Amount,
    period::Period,
};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::{AccountReader, Error, Meter, Result};

/// What happens to accounts of which somebody else has locked a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Locked {
    /// They are waited for.
    Wait,
    /// They are left out.
    Defer,
}

/// What these accounts have, as the rules of credit see it, all of it locked. Everyone locks grants here, by id, so that no two can wait for each other.
pub(crate) async fn lock(
    connection: &mut PgConnection,
    accounts: &[AccountId],
    locked: Locked,
) -> Result<HashMap<AccountId, Vec<credit::Grant>>> {
    let accounts: Vec<_> = accounts.iter().map(|account| account.uuid()).collect();
    let rows = match locked {
        Locked::Wait => wait(connection, &accounts).await?,
        Locked::Defer => skip(connection, &accounts).await?,
    };
    let mut by_account: HashMap<_, Vec<_>> = HashMap::new();
    for row in rows {
        by_account.entry(row.account).or_default().push(row.into());
    }
    Ok(by_account)
}

/// What happens to a grant that is locked.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Change {
    /// What is taken from it; below zero it is given back.
    pub(crate) charged: Amount,
    /// What is no longer held of it.
    pub(crate) released: Amount,
}

/// Writes what happens to grants, which must be locked.
pub(crate) async fn change(connection: &mut PgConnection, grants: &BTreeMap<(AccountId, GrantId), Change>) -> Result<()> {
    sqlx::query!(
        r#"
        update grants g set posted = posted - c.charged, leased = leased - c.released
        from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[]) c (account_id, grant_id, charged, released)
        where g.account_id = c.account_id and g.grant_id = c.grant_id
        "#,
        &grants.keys().map(|(account, _)| account.uuid()).collect::<Vec<_>>(),
        &grants.keys().map(|(_, grant)| grant.uuid()).collect::<Vec<_>>(),
        &grants.values().map(|change| change.charged.nanos()).collect::<Vec<_>>(),
        &grants.values().map(|change| change.released.nanos()).collect::<Vec<_>>()
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The grant that calls are charged to when nothing else is left.
pub(crate) fn wallet_of(grants: &[credit::Grant]) -> Result<GrantId> {
    let wallet = grants.iter().find(|grant| grant.kind == GrantKind::Wallet);
    wallet.map(|grant| grant.id).ok_or_else(|| Error::Corrupt("an account has no wallet".to_owned()))
}

async fn wait(connection: &mut PgConnection, accounts: &[Uuid]) -> Result<Vec<LockedRow>> {
    let rows = sqlx::query_as!(
        LockedRow,
        r#"
        select
            account_id as "account: AccountId", grant_id as "id: GrantId", kind as "kind: GrantKind", (posted - floor) as "capacity!: Quantity",
            leased as "leased: Quantity", floor as "floor: Quantity", priority, starts_at, expires_at
        from grants
        where account_id = any($1)
        order by account_id, grant_id
        for no key update
        "#,
        accounts
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// An account is locked whole or not at all.
async fn skip(connection: &mut PgConnection, accounts: &[Uuid]) -> Result<Vec<LockedRow>> {
    let rows = sqlx::query_as!(
        LockedRow,
        r#"
        with free as (
            select account_id, grant_id, kind, posted - floor as capacity, leased, floor, priority, starts_at, expires_at
            from grants
            where account_id = any($1)
            order by account_id, grant_id
            for no key update skip locked
        )
        select
            account_id as "account!: AccountId", grant_id as "id!: GrantId", kind as "kind!: GrantKind", capacity as "capacity!: Quantity",
            leased as "leased!: Quantity", floor as "floor!: Quantity", priority as "priority!", starts_at as "starts_at!", expires_at
        from free
        where account_id not in (
            select g.account_id from grants g left join free f using (account_id, grant_id) where g.account_id = any($1) and f.grant_id is null
        )
        "#,
        accounts
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

struct LockedRow {
    account: AccountId,
    id: GrantId,
    kind: GrantKind,
    capacity: Quantity,
    leased: Quantity,
    floor: Quantity,
    priority: i32,
    starts_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
}

impl From<LockedRow> for credit::Grant {
    fn from(row: LockedRow) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            // What ended calls took was taken off what is posted.
            pool: Pool { leased: row.leased, ..Pool::new(Unit::Money, row.capacity) },
            models: None,
            floor: row.floor,
            starts_at: row.starts_at,
            expires_at: row.expires_at,
            priority: row.priority,
        }
    }
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
