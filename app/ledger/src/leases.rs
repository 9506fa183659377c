//! Holds: credit that is set aside while a call runs.
//!
//! A lease covers exactly one call. It is taken only while the account's books are locked, so that any number of calls at once cannot hold more
//! than there is.

use chrono::{DateTime, Utc};
use domain::{
    credit::{self, Demand, Exhausted, Hold, PoolRef, Quantity, Unit},
    id::{AccountId, CallId, GrantId, KeyId, PriceId},
    money::Amount,
    pricing::Discount,
    tokens::Tokens,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Error, Meter, Result,
    books::{Books, Lock},
};

/// A call that is about to be forwarded, with all that is needed to settle it should its proxy die.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// Who pays.
    pub account_id: AccountId,
    /// The call.
    pub call_id: CallId,
    /// The key it is made with.
    pub key_id: KeyId,
    /// The model the client asked for.
    pub model: String,
    /// The provider's name.
    pub provider: String,
    /// The sale price in force.
    pub price_id: PriceId,
    /// The discount in force.
    pub discount: Discount,
    /// Whether the answer will be a stream.
    pub stream: bool,
    /// Prompt tokens, counted before the call.
    pub input_estimate: Tokens,
    /// The most that the call can cost: [`domain::pricing::upper_bound`]. Above zero.
    pub held: Amount,
    /// The proxy that runs the call.
    pub proxy: Uuid,
    /// After this instant the proxy is taken for dead.
    pub expires_at: DateTime<Utc>,
}

impl Meter {
    /// Holds a call's upper bound, from several grants if need be, or nothing.
    ///
    /// Key and account are looked at again once the books are locked, however long that took: what was revoked meanwhile admits nothing. What has begun
    /// and what has ended is by Postgres' clock.
    ///
    /// # Errors
    /// [`Error::InsufficientCredit`] with what is available, [`Error::KeyRevoked`], [`Error::AccountSuspended`], [`Error::Unavailable`].
    pub async fn lease(&self, intent: &Intent) -> Result<()> {
        let mut tx = self.database.write().await?;
        let mut books = Books::lock(&mut tx, &[intent.account_id], Lock::Wait, self.database.dated).await?;
        let book = books.of(intent.account_id).map_err(|_| Error::KeyRevoked)?;
        let now = book.now();
        check_caller(&mut tx, intent, now).await?;
        let demand = Demand { money: intent.held, requests: 1, ..Demand::NOTHING };
        let holds = credit::pay(demand, &intent.model, book.grants(), now).map_err(|exhausted| insufficient(&exhausted))?;
        let shares: Vec<_> = holds.into_iter().filter_map(Share::of).collect();
        for share in &shares {
            book.lease(share.grant, share.amount.nanos())?;
        }
        books.write(&mut tx).await?;
        insert_intent(&mut tx, intent).await?;
        insert_leases(&mut tx, intent, &shares).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Gives back the hold of a call that was never forwarded.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn release(&self, account: AccountId, call: CallId) -> Result<()> {
        let mut tx = self.database.write().await?;
        let mut books = Books::lock(&mut tx, &[account], Lock::Wait, self.database.dated).await?;
        let book = books.of(account)?;
        for Lease { share, .. } in leases_of(&mut tx, &[account], &[call]).await? {
            book.lease(share.grant, -share.amount.nanos())?;
        }
        books.write(&mut tx).await?;
        delete_intents(&mut tx, &[account], &[call]).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Calls that this proxy admitted in an earlier run and never settled: it died in their middle.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn interrupted_of(&self, proxy: Uuid) -> Result<Vec<Intent>> {
        self.interrupted(Some(proxy), None).await
    }

    /// Calls of any proxy whose hold has outlived the longest call: that proxy is dead, or has not reached the database for so long.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn interrupted_before(&self, now: DateTime<Utc>) -> Result<Vec<Intent>> {
        self.interrupted(None, Some(now)).await
    }

    /// What is in quarantine was settled, and keeps its hold until it is posted.
    async fn interrupted(&self, of: Option<Uuid>, expired_at: Option<DateTime<Utc>>) -> Result<Vec<Intent>> {
        let rows = sqlx::query_as!(
            IntentRow,
            r#"
            select
                account_id as "account_id: AccountId", call_id as "call_id: CallId", key_id as "key_id: KeyId", model, provider,
                price_id as "price_id: PriceId", discount_bps, stream, input_estimate as "input_estimate: Tokens",
                held as "held: Amount", proxy, expires_at
            from intents i
            where (proxy = $1 or expires_at <= $2)
                and not exists (select from quarantine q where q.account_id = i.account_id and q.call_id = i.call_id)
            order by call_id
            "#,
            of,
            expired_at
        )
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        rows.into_iter().map(Intent::try_from).collect()
    }
}

/// A part of an amount, held of one grant or taken from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) grant: GrantId,
    pub(crate) amount: Amount,
}

impl Share {
    pub(crate) fn of(hold: Hold) -> Option<Self> {
        match hold.pool {
            PoolRef::Grant(grant) => Some(Self { grant, amount: Amount::from_nanos(hold.quantity.get()) }),
            PoolRef::Limit { .. } => None,
        }
    }

    /// The same, as the rules of credit have it.
    pub(crate) fn hold(self) -> Hold {
        Hold { pool: PoolRef::Grant(self.grant), unit: Unit::Money, quantity: self.amount.into() }
    }
}

fn insufficient(exhausted: &Exhausted) -> Error {
    let amount = |quantity: Quantity| Amount::from_nanos(quantity.get());
    Error::InsufficientCredit { needed: amount(exhausted.needed), available: amount(exhausted.available) }
}

/// A share of one call's hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lease {
    pub(crate) call: CallId,
    pub(crate) share: Share,
}

/// The holds of these calls (the n-th belongs to the n-th account), in the order in which grants are used. The books must be locked.
pub(crate) async fn leases_of(connection: &mut PgConnection, accounts: &[AccountId], calls: &[CallId]) -> Result<Vec<Lease>> {
    let rows = sqlx::query!(
        r#"
        select l.lease_id as "call: CallId", l.grant_id as "grant: GrantId", l.amount as "amount: Amount"
        from leases l
        where (l.account_id, l.lease_id) in (select account_id, call_id from unnest($1::uuid[], $2::uuid[]) c (account_id, call_id))
        order by l.place
        "#,
        &uuids(accounts),
        &calls.iter().map(|call| call.uuid()).collect::<Vec<_>>()
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| Lease { call: row.call, share: Share { grant: row.grant, amount: row.amount } }).collect())
}

/// Forgets these calls' intents, and their leases with them. What was leased is the caller's to give back.
pub(crate) async fn delete_intents(connection: &mut PgConnection, accounts: &[AccountId], calls: &[CallId]) -> Result<()> {
    sqlx::query!(
        r#"
        delete from intents i
        using unnest($1::uuid[], $2::uuid[]) c (account_id, call_id)
        where i.account_id = c.account_id and i.call_id = c.call_id
        "#,
        &uuids(accounts),
        &calls.iter().map(|call| call.uuid()).collect::<Vec<_>>()
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The key and the account as they are at this very moment. No lock is taken on them: a busy key's leases would keep its revocation waiting.
async fn check_caller(connection: &mut PgConnection, intent: &Intent, now: DateTime<Utc>) -> Result<()> {
    let caller = sqlx::query!(
        r#"
        select
            a.status = 'active' as "account_is_active!",
            k.revoked_at is null and (k.expires_at is null or k.expires_at > $3) as "key_works!"
        from api_keys k
        join accounts a using (account_id)
        where k.account_id = $1 and k.key_id = $2
        "#,
        intent.account_id.uuid(),
        intent.key_id.uuid(),
        now
    )
    .fetch_optional(connection)
    .await?
    .ok_or(Error::KeyRevoked)?;
    match (caller.key_works, caller.account_is_active) {
        (true, true) => Ok(()),
        (false, _) => Err(Error::KeyRevoked),
        (true, false) => Err(Error::AccountSuspended),
    }
}

async fn insert_intent(connection: &mut PgConnection, intent: &Intent) -> Result<()> {
    sqlx::query!(
        r#"
        insert into intents (
            account_id, call_id, key_id, model, provider, price_id, discount_bps, stream, input_estimate, held, proxy, expires_at
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        "#,
        intent.account_id.uuid(),
        intent.call_id.uuid(),
        intent.key_id.uuid(),
        intent.model,
        intent.provider,
        intent.price_id.uuid(),
        intent.discount.bps(),
        intent.stream,
        intent.input_estimate.get(),
        intent.held.nanos(),
        intent.proxy,
        intent.expires_at
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_leases(connection: &mut PgConnection, intent: &Intent, shares: &[Share]) -> Result<()> {
    sqlx::query!(
        r#"
        insert into leases (account_id, lease_id, place, grant_id, amount)
        select $1, $2, place, grant_id, amount from unnest($3::uuid[], $4::bigint[]) with ordinality s (grant_id, amount, place)
        "#,
        intent.account_id.uuid(),
        intent.call_id.uuid(),
        &shares.iter().map(|share| share.grant.uuid()).collect::<Vec<_>>(),
        &shares.iter().map(|share| share.amount.nanos()).collect::<Vec<_>>()
    )
    .execute(connection)
    .await?;
    Ok(())
}

fn uuids(accounts: &[AccountId]) -> Vec<Uuid> {
    accounts.iter().map(|account| account.uuid()).collect()
}

/// An [`Intent`] as it is stored.
struct IntentRow {
    account_id: AccountId,
    call_id: CallId,
    key_id: KeyId,
    model: String,
    provider: String,
    price_id: PriceId,
    discount_bps: i32,
    stream: bool,
    input_estimate: Tokens,
    held: Amount,
    proxy: Uuid,
    expires_at: DateTime<Utc>,
}

impl TryFrom<IntentRow> for Intent {
    type Error = Error;

    fn try_from(row: IntentRow) -> Result<Self> {
        Ok(Self {
            account_id: row.account_id,
            call_id: row.call_id,
            key_id: row.key_id,
            model: row.model,
            provider: row.provider,
            price_id: row.price_id,
            discount: Discount::from_bps(row.discount_bps).map_err(|error| Error::Corrupt(error.to_string()))?,
            stream: row.stream,
            input_estimate: row.input_estimate,
            held: row.held,
            proxy: row.proxy,
            expires_at: row.expires_at,
        })
    }
}
