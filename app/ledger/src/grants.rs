//! Credit: what an account has.

use chrono::{DateTime, Utc};
use domain::{
    billing::{Balance, Grant, GrantKind},
    credit::{Quantity, Unit},
    id::{AccountId, GrantId, KeyId},
    money::Amount,
    period::Period,
};
use sqlx::PgExecutor;

use crate::{AccountReader, Error, Meter, Result, credit_lines};

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
            grant_id as "id: GrantId", kind as "kind: GrantKind", unit as "unit: Unit", (granted - used) as "balance!: Quantity",
            granted as "granted: Quantity", leased as "leased: Quantity", (granted - used - leased) as "available!: Quantity", models, starts_at,
            least(expires_at, ended_at) as expires_at, l.amount as "lent?: Amount", l.grace as "grace?: Amount", l.grace_until,
            l.is_lenient as "is_lenient?", l.is_quota as "is_quota?"
        from grants g
        left join lateral (
            select amount, grace, grace_until, is_lenient, is_quota from credit_lines c where c.account_id = g.account_id order by set_at desc limit 1
        ) l on g.kind = 'wallet'
        where account_id = $1
        order by least(expires_at, ended_at) nulls last, priority, kind = 'wallet', grant_id
        "#,
        account.uuid()
    )
    .fetch_all(executor)
    .await?;
    let mut balance = Balance::default();
    for row in rows {
        let grant = Grant {
            id: row.id,
            kind: row.kind,
            unit: row.unit,
            balance: row.balance,
            granted: row.granted,
            leased: row.leased,
            models: row.models,
            starts_at: row.starts_at,
            expires_at: row.expires_at,
        };
        // What a grant that has ended holds lapses within a minute, and until then stands in the journal.
        if grant.expires_at.is_none_or(|expiry| now < expiry) {
            balance.grants.push(grant.clone());
        }
        // Tokens are no money.
        if grant.unit != Unit::Money {
            continue;
        }
        balance.balance = plus(balance.balance, nanos(grant.balance))?;
        balance.reserved = plus(balance.reserved, nanos(grant.leased))?;
        let line = credit_lines::from_columns(row.lent, row.grace, row.grace_until, (row.is_lenient, row.is_quota));
        let lent = line.lent(now);
        balance.lent = plus(balance.lent, lent)?;
        if row.kind == GrantKind::Wallet {
            (balance.excess, balance.mode) = (line.excess, line.mode());
        }
        // What is owed to one is not taken out of another.
        if grant.in_force(now) && !line.is_quota {
            balance.available = plus(balance.available, plus(nanos(row.available), lent)?.max(Amount::ZERO))?;
        }
    }
    Ok(balance)
}

/// Of a grant of money.
const fn nanos(quantity: Quantity) -> Amount {
    Amount::from_nanos(quantity.get())
}

fn plus(a: Amount, b: Amount) -> Result<Amount> {
    a.checked_add(b).ok_or_else(|| Error::Corrupt("the grants of an account overflow".to_owned()))
}
