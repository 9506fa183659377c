//! Limits: what bounds an account, or one of its keys, in a window of time. See [`domain::credit`] for what they decide.

mod pools;

use chrono::{DateTime, Utc};
use domain::{
    credit::{Demand, Hardness, Limit, LimitState, Quantity, Scope, Unit, Window},
    id::{AccountId, CallId, KeyId, LimitId},
    money::Amount,
    tokens::Tokens,
};
use sqlx::PgConnection;

pub(crate) use self::pools::{Counted, WindowChange, WindowKey, at, count, in_force, write};
use crate::{
    AccountMember, AccountOwner, AccountReader, Error, Meter, Operator, Result, System,
    books::{Books, Lock},
    database::Database,
};

/// A limit to be set.
#[derive(Debug, Clone)]
pub struct NewLimit {
    /// Its id, unless there is one of its kind already.
    pub id: LimitId,
    /// The key whose calls it counts; `None` for all of the account's.
    pub key: Option<KeyId>,
    /// When it begins anew.
    pub window: Window,
    /// What it counts.
    pub unit: Unit,
    /// What happens at its end.
    pub hardness: Hardness,
    /// How much there is in each window. May be less than was used: then it refuses until it begins anew.
    pub capacity: Quantity,
}

/// Who sets a limit. Each has limits of their own, and all of them bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Setter {
    Operator,
    Account,
}

impl Setter {
    const fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Account => "account",
        }
    }
}

impl AccountMember {
    /// Sets a limit of a key; where one of the same key, window, unit and hardness is in force, it has this capacity from now on. Returns its id.
    ///
    /// What was used in the running window before counts, but for minutes, and what running calls hold.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for a limit of the whole account, which is an owner's to set; [`Error::NotFound`] for a key that is not the account's;
    /// [`Error::Invalid`] for a capacity below zero.
    pub async fn set_limit(&self, new: &NewLimit) -> Result<LimitId> {
        if new.key.is_none() {
            return Err(Error::Forbidden);
        }
        set(&self.database, self.account, Setter::Account, new).await
    }

    /// Removes a limit of a key: calls that run settle on it, and none is bounded by it any more. Removing it again changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Forbidden`] for one of the whole account, or one that the operator has set.
    pub async fn remove_limit(&self, limit: LimitId) -> Result<()> {
        let of_key = sqlx::query_scalar!(
            r#"select key_id is not null as "of_key!" from limits where account_id = $1 and limit_id = $2"#,
            self.account.uuid(),
            limit.uuid()
        );
        if of_key.fetch_optional(&mut *self.database.read().await?).await? == Some(false) {
            return Err(Error::Forbidden);
        }
        remove(&self.database, self.account, Setter::Account, limit).await
    }
}

impl AccountOwner {
    /// [`AccountMember::set_limit`], also of the whole account.
    ///
    /// # Errors
    /// As there.
    pub async fn set_limit(&self, new: &NewLimit) -> Result<LimitId> {
        set(&self.database, self.account, Setter::Account, new).await
    }

    /// [`AccountMember::remove_limit`], also of the whole account.
    ///
    /// # Errors
    /// As there.
    pub async fn remove_limit(&self, limit: LimitId) -> Result<()> {
        remove(&self.database, self.account, Setter::Account, limit).await
    }
}

impl Operator {
    /// [`AccountMember::set_limit`] of any account: a limit that the account itself can neither change nor remove.
    ///
    /// # Errors
    /// As there; [`Error::NotFound`] for an unknown account.
    pub async fn set_limit(&self, account: AccountId, new: &NewLimit) -> Result<LimitId> {
        set(&self.database, account, Setter::Operator, new).await
    }

    /// Removes a limit of any account, whoever has set it.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn remove_limit(&self, account: AccountId, limit: LimitId) -> Result<()> {
        remove(&self.database, account, Setter::Operator, limit).await
    }
}

async fn set(database: &Database, account: AccountId, by: Setter, new: &NewLimit) -> Result<LimitId> {
    if new.capacity.is_negative() {
        return Err(Error::invalid("capacity", "write a number from 0 on"));
    }
    let mut tx = database.write().await?;
    let mut books = Books::lock(&mut tx, &[account], Lock::Wait, database.dated).await?;
    let book = books.of(account)?;
    expect_key(&mut tx, account, new.key).await?;
    let (mut leases, created_at) = (Vec::new(), book.now());
    let id = match change(&mut tx, account, by, new).await? {
        Some(id) => id,
        None => {
            insert(&mut tx, account, by, new, book.now()).await?;
            open(&mut tx, account, new, book.now()).await?;
            // Running calls count with the most that they can take, as if they had begun under it.
            leases = running(&mut tx, account, new).await?;
            for (_, window, quantity) in &leases {
                book.count(*window, WindowChange { leased: *quantity, ..WindowChange::default() })?;
            }
            new.id
        }
    };
    mark(&mut tx, account).await?;
    // What is posted from now on is later than the limit.
    books.touch(created_at);
    books.write(&mut tx).await?;
    lease(&mut tx, account, &leases).await?;
    tx.commit().await?;
    Ok(id)
}

/// The account's own limits are its to remove, and the operator all.
async fn remove(database: &Database, account: AccountId, by: Setter, limit: LimitId) -> Result<()> {
    let mut tx = database.write().await?;
    let mut books = Books::lock(&mut tx, &[account], Lock::Wait, database.dated).await?;
    let now = books.of(account)?.now();
    let removed = sqlx::query!(
        r#"
        update limits set removed_at = coalesce(removed_at, $3)
        where account_id = $1 and limit_id = $2 and ($4 = 'operator' or set_by = $4)
        "#,
        account.uuid(),
        limit.uuid(),
        now,
        by.name()
    );
    if removed.execute(&mut *tx).await?.rows_affected() == 0 {
        let exists = sqlx::query!("select from limits where account_id = $1 and limit_id = $2", account.uuid(), limit.uuid());
        return Err(if exists.fetch_optional(&mut *tx).await?.is_some() { Error::Forbidden } else { Error::NotFound });
    }
    mark(&mut tx, account).await?;
    tx.commit().await?;
    Ok(())
}

/// The running calls that a new limit counts, each with its window and what it holds there.
async fn running(connection: &mut PgConnection, account: AccountId, new: &NewLimit) -> Result<Vec<(CallId, WindowKey, i64)>> {
    let rows = sqlx::query!(
        r#"
        select call_id as "call: CallId", held as "held: Amount", tokens_held as "tokens: Tokens" from intents
        where account_id = $1 and ($2::uuid is null or key_id = $2)
        "#,
        account.uuid(),
        new.key.map(KeyId::uuid)
    )
    .fetch_all(connection)
    .await?;
    let held = rows.into_iter().filter_map(|row| {
        let quantity = Demand { money: row.held, tokens: row.tokens, requests: 1 }.of(new.unit).get();
        Some((row.call, (new.id, new.window.range(row.call.started_at()?).from), quantity)).filter(|_| quantity > 0)
    });
    Ok(held.collect())
}

/// The leases of running calls on a limit that came after them.
async fn lease(connection: &mut PgConnection, account: AccountId, leases: &[(CallId, WindowKey, i64)]) -> Result<()> {
    sqlx::query!(
        r#"
        insert into leases (account_id, lease_id, place, limit_id, starts_at, amount)
        select
            $1, lease_id, (select coalesce(max(place), 0) + 1 from leases l where l.account_id = $1 and l.lease_id = h.lease_id),
            limit_id, starts_at, amount
        from unnest($2::uuid[], $3::uuid[], $4::timestamptz[], $5::bigint[]) h (lease_id, limit_id, starts_at, amount)
        "#,
        account.uuid(),
        &leases.iter().map(|(call, _, _)| call.uuid()).collect::<Vec<_>>(),
        &leases.iter().map(|(_, (limit, _), _)| limit.uuid()).collect::<Vec<_>>(),
        &leases.iter().map(|(_, (_, starts_at), _)| *starts_at).collect::<Vec<_>>(),
        &leases.iter().map(|(_, _, quantity)| *quantity).collect::<Vec<_>>()
    )
    .execute(connection)
    .await?;
    Ok(())
}

impl AccountReader {
    /// The account's limits with what is in their running windows: its own first, then by the names of its keys, shortest window first.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn limits(&self, now: DateTime<Utc>) -> Result<Vec<LimitState>> {
        states(&mut *self.database.read().await?, self.account, None, now).await
    }
}

impl System {
    /// Forgets the minutes of limits that ended a day ago and that no running call holds any more. Returns how many there were.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database is away.
    pub async fn forget_minutes(&self) -> Result<u64> {
        let forget = sqlx::query!(
            r#"
            delete from limit_windows w using limits l
            where l.account_id = w.account_id and l.limit_id = w.limit_id and l.per = 'minute' and w.leased = 0
                and w.starts_at < clock_timestamp() - interval '1 day'
            "#
        );
        self.database.execute(forget).await
    }
}

impl Meter {
    /// The limits that count a key's calls, as [`AccountReader::limits`].
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn limits(&self, account: AccountId, key: KeyId, now: DateTime<Utc>) -> Result<Vec<LimitState>> {
        states(&mut *self.database.read().await?, account, Some(key), now).await
    }
}

async fn states(connection: &mut PgConnection, account: AccountId, of: Option<KeyId>, now: DateTime<Utc>) -> Result<Vec<LimitState>> {
    let limits = at(connection, account, now).await?;
    let facts = sqlx::query!(
        r#"
        select l.limit_id as "id: LimitId", k.name as "key_name?", l.set_by = 'operator' as "by_operator!"
        from limits l left join api_keys k using (account_id, key_id)
        where l.account_id = $1 and l.removed_at is null
        "#,
        account.uuid()
    )
    .fetch_all(connection)
    .await?;
    let counts = |scope: &Scope| of.is_none_or(|key| matches!(scope, Scope::Account) || *scope == Scope::Key(key));
    let state = |limit: Limit| {
        let facts = facts.iter().find(|facts| facts.id == limit.id)?;
        Some(LimitState { key_name: facts.key_name.clone(), by_operator: facts.by_operator, limit })
    };
    let mut states: Vec<_> = limits.into_iter().filter(|limit| counts(&limit.scope)).filter_map(state).collect();
    let of = |scope: &Scope| if let Scope::Key(key) = scope { Some(*key) } else { None };
    states.sort_by_key(|LimitState { limit, key_name, .. }| {
        (key_name.clone(), of(&limit.scope), limit.window, limit.pool.unit, limit.hardness.name(), limit.id)
    });
    Ok(states)
}

async fn expect_key(connection: &mut PgConnection, account: AccountId, key: Option<KeyId>) -> Result<()> {
    let Some(key) = key else { return Ok(()) };
    sqlx::query!("select from api_keys where account_id = $1 and key_id = $2", account.uuid(), key.uuid())
        .fetch_optional(connection)
        .await?
        .map(|_| ())
        .ok_or(Error::NotFound)
}

/// Gives the limit of this kind that is in force another capacity.
async fn change(connection: &mut PgConnection, account: AccountId, by: Setter, new: &NewLimit) -> Result<Option<LimitId>> {
    let changed = sqlx::query_scalar!(
        r#"
        update limits set capacity = $6
        where account_id = $1 and key_id is not distinct from $2 and per = $3 and unit = $4 and hardness = $5 and removed_at is null and set_by = $7
        returning limit_id as "id: LimitId"
        "#,
        account.uuid(),
        new.key.map(KeyId::uuid),
        new.window.name(),
        new.unit.name(),
        new.hardness.name(),
        new.capacity.get(),
        by.name()
    );
    Ok(changed.fetch_optional(connection).await?)
}

async fn insert(connection: &mut PgConnection, account: AccountId, by: Setter, new: &NewLimit, now: DateTime<Utc>) -> Result<()> {
    let insert = sqlx::query!(
        r#"
        insert into limits (account_id, limit_id, scope, key_id, per, unit, hardness, capacity, created_at, set_by)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict do nothing
        "#,
        account.uuid(),
        new.id.uuid(),
        if new.key.is_some() { "key" } else { "account" },
        new.key.map(KeyId::uuid),
        new.window.name(),
        new.unit.name(),
        new.hardness.name(),
        new.capacity.get(),
        now,
        by.name()
    );
    if insert.execute(connection).await?.rows_affected() == 0 { Err(Error::Taken("this limit")) } else { Ok(()) }
}

/// What was used in the running window before, as the usage page says. Sums are kept by the hour and the day: a minute begins with nothing.
async fn open(connection: &mut PgConnection, account: AccountId, new: &NewLimit, now: DateTime<Utc>) -> Result<()> {
    if new.window == Window::Minute {
        return Ok(());
    }
    sqlx::query!(
        r#"
        insert into limit_windows (account_id, limit_id, starts_at, opening)
        select
            $1, $2, $3,
            coalesce(sum(case $5 when 'money' then amount when 'tokens' then total_tokens else requests end), 0)::bigint
        from usage_daily
        where account_id = $1 and day >= $3 and ($6::timestamptz is null or day < $6) and ($4::uuid is null or key_id = $4)
        having coalesce(sum(case $5 when 'money' then amount when 'tokens' then total_tokens else requests end), 0) <> 0
        "#,
        account.uuid(),
        new.id.uuid(),
        new.window.range(now).from,
        new.key.map(KeyId::uuid),
        new.unit.name(),
        new.window.range(now).to
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Whoever locks the books learns there whether there are limits to look for.
async fn mark(connection: &mut PgConnection, account: AccountId) -> Result<()> {
    sqlx::query!(
        r#"
        update heads set is_limited = exists (select from limits l where l.account_id = $1 and l.removed_at is null) where account_id = $1
        "#,
        account.uuid()
    )
    .execute(connection)
    .await?;
    Ok(())
}
