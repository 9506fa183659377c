//! Holds: credit that is set aside while a call runs.
//!
//! A lease covers exactly one call. It is taken only while the account's books are locked, so that any number of calls at once cannot hold more
//! than there is.

use std::ops::Deref;

use chrono::{DateTime, Utc};
use domain::{
    attribution::{Attribution, Label, Tags},
    credit::{self, Caller, Demand, Exhausted, Hardness, Hold, Limit, PoolRef, Quantity, Split, Unit},
    id::{AccountId, CallId, GrantId, KeyId, LimitId, PriceId, ProjectId, UserId},
    money::Amount,
    pricing::{Discount, Excess},
    tokens::Tokens,
};
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use crate::{
    Admitted, Error, Meter, Result,
    books::{Book, Books, Lock},
    limits::{self, Runs},
};

/// A call that is about to be forwarded, with all that is needed to settle it should its proxy die.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// The call.
    pub admitted: Admitted,
    /// The proxy that runs it.
    pub proxy: Uuid,
    /// After this instant the proxy is taken for dead.
    pub expires_at: DateTime<Utc>,
}

impl Deref for Intent {
    type Target = Admitted;

    fn deref(&self) -> &Admitted {
        &self.admitted
    }
}

impl Meter {
    /// Holds a call's upper bound, from several grants if need be and in every limit that counts it, or nothing.
    ///
    /// Key and account are looked at again once the books are locked, however long that took: what was revoked meanwhile admits nothing. What has begun
    /// and what has ended is by Postgres' clock. Says what the call is paid in.
    ///
    /// # Errors
    /// [`Error::Exhausted`] with what is available, [`Error::KeyRevoked`], [`Error::AccountSuspended`], [`Error::Unavailable`].
    pub async fn lease(&self, intent: &Intent) -> Result<Unit> {
        let mut tx = self.database.write().await?;
        let mut books = Books::lock(&mut tx, &[intent.account_id], Lock::Wait, self.database.dated).await?;
        let book = books.of(intent.account_id).map_err(|_| Error::KeyRevoked)?;
        let now = book.now();
        check_caller(&mut tx, intent, now).await?;
        let split = admit(&mut tx, intent, book).await?;
        let unit = credit::unit_of(&split.payment);
        let holds: Vec<_> = split.payment.into_iter().chain(split.limits).filter(|hold| !hold.quantity.is_zero()).collect();
        for hold in &holds {
            book.hold(*hold, hold.quantity.get())?;
        }
        books.write(&mut tx).await?;
        insert_intent(&mut tx, intent).await?;
        insert_leases(&mut tx, intent, &holds).await?;
        tx.commit().await?;
        Ok(unit)
    }

    /// Gives back the hold of a call that was never forwarded.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn release(&self, account: AccountId, call: CallId) -> Result<()> {
        let mut tx = self.database.write().await?;
        let mut books = Books::lock(&mut tx, &[account], Lock::Wait, self.database.dated).await?;
        let book = books.of(account)?;
        for Lease { hold, .. } in leases_of(&mut tx, &[account], &[call]).await? {
            book.hold(hold, -hold.quantity.get())?;
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
                i.account_id as "account_id: AccountId", i.call_id as "call_id: CallId", i.key_id as "key_id: KeyId",
                i.project_id as "project_id: ProjectId", k.user_id as "member: UserId", i.end_user as "end_user: Label",
                i.session as "session: Label", i.client as "client: Label", i.tags as "tags: Json<Tags>", i.model, i.provider,
                i.price_id as "price_id: PriceId", i.discount_bps, i.stream, i.is_lenient, i.input_estimate as "input_estimate: Tokens",
                i.held as "held: Amount", i.tokens_held as "tokens_held: Tokens", i.proxy, i.expires_at
            from intents i
            join api_keys k using (account_id, key_id)
            where (i.proxy = $1 or i.expires_at <= $2)
                and not exists (select from quarantine q where q.account_id = i.account_id and q.call_id = i.call_id)
            order by i.call_id
            "#,
            of,
            expired_at
        )
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        rows.into_iter().map(Intent::try_from).collect()
    }
}

/// What the call may hold: credit in force by Postgres' clock, and of limits the windows in which it began.
async fn admit(connection: &mut PgConnection, intent: &Intent, book: &Book) -> Result<Split> {
    let demand = Demand { money: intent.held, tokens: intent.tokens_held, requests: 1 };
    let payment = credit::pay(demand, &intent.model, book.grants(), book.now()).map_err(exhausted)?;
    if !book.is_limited {
        return Ok(Split { payment, limits: Vec::new() });
    }
    let started_at = intent.started_at()?;
    let (caller, demand) = (intent.caller(), demand.paid_in(credit::unit_of(&payment)));
    let limits = limits::at(connection, intent.account_id, started_at, Runs::Of(caller.run.as_ref())).await?;
    warn_of_soft(demand, intent.account_id, &caller, &limits);
    Ok(Split { payment, limits: credit::bound(demand, &caller, &limits, started_at).map_err(exhausted)? })
}

fn exhausted(exhausted: Exhausted) -> Error {
    Error::Exhausted(Box::new(exhausted))
}

/// A soft limit refuses nothing: somebody is to know of the call that passes it, and need not hear of those that follow.
fn warn_of_soft(demand: Demand, account: AccountId, caller: &Caller, limits: &[Limit]) {
    let soft = limits.iter().filter(|limit| limit.hardness == Hardness::Soft && limit.scope.applies_to(caller));
    for limit in soft.filter(|limit| demand.of(limit.pool.unit) > limit.pool.room() && !limit.pool.room().is_zero()) {
        tracing::warn!(%account, limit = %limit.id, window = limit.window.name(), "a call may pass a soft limit");
    }
}

/// One of a call's holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lease {
    pub(crate) call: CallId,
    pub(crate) hold: Hold,
}

/// The holds of these calls (the n-th belongs to the n-th account), in the order in which they are used. The books must be locked.
pub(crate) async fn leases_of(connection: &mut PgConnection, accounts: &[AccountId], calls: &[CallId]) -> Result<Vec<Lease>> {
    let rows = sqlx::query!(
        r#"
        select
            l.lease_id as "call: CallId", l.grant_id as "grant: GrantId", l.limit_id as "limit: LimitId", l.starts_at,
            coalesce(i.unit, g.unit) as "unit!: Unit", l.amount as "amount: Quantity"
        from leases l
        left join limits i on i.account_id = l.account_id and i.limit_id = l.limit_id
        left join grants g on g.account_id = l.account_id and g.grant_id = l.grant_id
        where (l.account_id, l.lease_id) in (select account_id, call_id from unnest($1::uuid[], $2::uuid[]) c (account_id, call_id))
        order by l.place
        "#,
        &uuids(accounts),
        &calls.iter().map(|call| call.uuid()).collect::<Vec<_>>()
    )
    .fetch_all(connection)
    .await?;
    let leases = rows.into_iter().map(|row| {
        let pool = match (row.grant, row.limit, row.starts_at) {
            (Some(grant), None, None) => PoolRef::Grant(grant),
            (None, Some(id), Some(from)) => PoolRef::Limit { id, from },
            _ => return Err(Error::Corrupt(format!("a lease of call {} is of no pool", row.call))),
        };
        Ok(Lease { call: row.call, hold: Hold { pool, unit: row.unit, quantity: row.amount } })
    });
    leases.collect()
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
    let attribution = &intent.attribution;
    sqlx::query!(
        r#"
        insert into intents (
            account_id, call_id, key_id, project_id, end_user, session, client, tags, model, provider, price_id, discount_bps, stream,
            is_lenient, input_estimate, held, tokens_held, proxy, expires_at
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
        "#,
        intent.account_id.uuid(),
        intent.call_id.uuid(),
        intent.key_id.uuid(),
        intent.project_id.uuid(),
        attribution.end_user.as_ref().map(Label::as_str),
        attribution.session.as_ref().map(Label::as_str),
        attribution.client.as_ref().map(Label::as_str),
        Some(&attribution.tags).filter(|tags| !tags.is_empty()).map(Json) as _,
        intent.model,
        intent.provider,
        intent.price_id.uuid(),
        intent.discount.bps(),
        intent.stream,
        intent.excess.is_charged(),
        intent.input_estimate.get(),
        intent.held.nanos(),
        intent.tokens_held.get(),
        intent.proxy,
        intent.expires_at
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_leases(connection: &mut PgConnection, intent: &Intent, holds: &[Hold]) -> Result<()> {
    let of_grant = |hold: &Hold| match hold.pool {
        PoolRef::Grant(grant) => Some(grant.uuid()),
        PoolRef::Limit { .. } => None,
    };
    let of_limit = |hold: &Hold| match hold.pool {
        PoolRef::Grant(_) => None,
        PoolRef::Limit { id, from } => Some((id.uuid(), from)),
    };
    sqlx::query!(
        r#"
        insert into leases (account_id, lease_id, place, grant_id, limit_id, starts_at, amount)
        select $1, $2, place, grant_id, limit_id, starts_at, amount
        from unnest($3::uuid[], $4::uuid[], $5::timestamptz[], $6::bigint[]) with ordinality h (grant_id, limit_id, starts_at, amount, place)
        "#,
        intent.account_id.uuid(),
        intent.call_id.uuid(),
        &holds.iter().map(of_grant).collect::<Vec<_>>() as _,
        &holds.iter().map(|hold| of_limit(hold).map(|(limit, _)| limit)).collect::<Vec<_>>() as _,
        &holds.iter().map(|hold| of_limit(hold).map(|(_, from)| from)).collect::<Vec<_>>() as _,
        &holds.iter().map(|hold| hold.quantity.get()).collect::<Vec<_>>()
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
    project_id: ProjectId,
    member: Option<UserId>,
    end_user: Option<Label>,
    session: Option<Label>,
    client: Option<Label>,
    tags: Option<Json<Tags>>,
    model: String,
    provider: String,
    price_id: PriceId,
    discount_bps: i32,
    stream: bool,
    is_lenient: bool,
    input_estimate: Tokens,
    held: Amount,
    tokens_held: Tokens,
    proxy: Uuid,
    expires_at: DateTime<Utc>,
}

impl TryFrom<IntentRow> for Intent {
    type Error = Error;

    fn try_from(row: IntentRow) -> Result<Self> {
        let admitted = Admitted {
            account_id: row.account_id,
            call_id: row.call_id,
            key_id: row.key_id,
            project_id: row.project_id,
            member: row.member,
            attribution: Attribution {
                end_user: row.end_user,
                session: row.session,
                client: row.client,
                tags: row.tags.map(|Json(tags)| tags).unwrap_or_default(),
            },
            model: row.model,
            provider: row.provider,
            price_id: row.price_id,
            discount: Discount::from_bps(row.discount_bps).map_err(|error| Error::Corrupt(error.to_string()))?,
            stream: row.stream,
            excess: Excess::of(row.is_lenient),
            input_estimate: row.input_estimate,
            held: row.held,
            tokens_held: row.tokens_held,
        };
        Ok(Self { admitted, proxy: row.proxy, expires_at: row.expires_at })
    }
}
