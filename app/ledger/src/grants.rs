//! Credit: what an account has, and in which order it is used.

use chrono::{DateTime, Utc};
use domain::{
    billing::{Balance, Grant, GrantKind},
    id::{AccountId, GrantId, KeyId},
    money::Amount,
    period::Period,
};
use sqlx::{PgConnection, PgExecutor};

use crate::{AccountReader, Error, Meter, Result};

/// A part of an amount, taken from one grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// The grant.
    pub grant: GrantId,
    /// How much of it.
    pub amount: Amount,
}

/// Takes `want` from grants in the order given, each down to what it has. What they cannot cover together is not split at all.
///
/// # Errors
/// [`Error::InsufficientCredit`] with what there is.
pub fn split(want: Amount, available: &[Share]) -> Result<Vec<Share>> {
    let mut rest = want;
    let mut shares = Vec::new();
    for share in available.iter().filter(|share| share.amount > Amount::ZERO) {
        let taken = share.amount.min(rest);
        if taken > Amount::ZERO {
            shares.push(Share { grant: share.grant, amount: taken });
            rest = rest.checked_sub(taken).unwrap_or(Amount::ZERO);
        }
    }
    if rest.is_zero() {
        return Ok(shares);
    }
    let available = Amount::checked_sum(available.iter().map(|share| share.amount)).unwrap_or(Amount::MAX);
    Err(Error::InsufficientCredit { needed: want, available })
}

/// What each money grant in force can still give, in the order in which they are used (soonest expiry, then priority), under a lock on all
/// of the account's grants. Everyone who locks grants locks them by id, so that no two can wait for each other.
pub(crate) async fn lock_available(connection: &mut PgConnection, account: AccountId, now: DateTime<Utc>) -> Result<Vec<Share>> {
    let mut grants = sqlx::query!(
        r#"
        select
            grant_id as "grant: GrantId", (posted - leased - floor) as "available!: Amount", priority, starts_at, expires_at
        from grants
        where account_id = $1 and unit = 'money'
        order by grant_id
        for no key update
        "#,
        account.uuid()
    )
    .fetch_all(connection)
    .await?;
    grants.retain(|grant| grant.starts_at <= now && grant.expires_at.is_none_or(|expiry| now < expiry));
    grants.sort_by_key(|grant| (grant.expires_at.unwrap_or(DateTime::<Utc>::MAX_UTC), grant.priority, grant.grant));
    Ok(grants.into_iter().map(|grant| Share { grant: grant.grant, amount: grant.available }).collect())
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
        order by expires_at nulls last, priority, grant_id
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_split_takes_exactly_what_is_wanted_and_no_more_than_there_is(want in 0_i64..1_000, has in prop::collection::vec(-50_i64..400, 0..6)) {
            let grants: Vec<_> = has
                .iter()
                .enumerate()
                .map(|(place, nanos)| Share { grant: GrantId::from_uuid(uuid::Uuid::from_u128(place as u128)), amount: Amount::from_nanos(*nanos) })
                .collect();
            let positive: i64 = has.iter().filter(|nanos| **nanos > 0).sum();
            match split(Amount::from_nanos(want), &grants) {
                Ok(shares) => {
                    prop_assert_eq!(shares.iter().map(|share| share.amount.nanos()).sum::<i64>(), want);
                    for share in shares {
                        prop_assert!(grants.iter().any(|grant| grant.grant == share.grant && share.amount <= grant.amount));
                    }
                }
                Err(_) => prop_assert!(positive < want),
            }
        }
    }
}
