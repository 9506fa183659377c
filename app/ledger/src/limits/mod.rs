//! Limits: what bounds an account, or one of its keys, in a window of time. See [`domain::credit`] for what they decide.

mod pools;

use chrono::{DateTime, Utc};
use domain::{
    credit::{Hardness, LimitState, Quantity, Scope, Unit, Window},
    id::{AccountId, KeyId, LimitId},
};
use sqlx::PgConnection;

pub(crate) use self::pools::{Counted, WindowChange, WindowKey, at, in_force, write};
use crate::{
    AccountMember, AccountReader, Error, Meter, Result, System,
    books::{Books, Lock},
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

impl AccountMember {
    /// Sets a limit; where one of the same key, window, unit and hardness is in force, it has this capacity from now on. Returns its id.
    ///
    /// What was used in the running window before counts, but for minutes.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a key that is not the account's; [`Error::Invalid`] for a capacity below zero.
    pub async fn set_limit(&self, new: &NewLimit) -> Result<LimitId> {
        if new.capacity.is_negative() {
            return Err(Error::invalid("capacity", "write a number from 0 on"));
        }
        let mut tx = self.database.write().await?;
        let mut books = Books::lock(&mut tx, &[self.account], Lock::Wait, self.database.dated).await?;
        let now = books.of(self.account)?.now();
        expect_key(&mut tx, self.account, new.key).await?;
        let id = match change(&mut tx, self.account, new).await? {
            Some(id) => id,
            None => {
                insert(&mut tx, self.account, new, now).await?;
                open(&mut tx, self.account, new, now).await?;
                new.id
            }
        };
        mark(&mut tx, self.account).await?;
        // What is posted from now on is later than the limit.
        books.touch();
        books.write(&mut tx).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Removes a limit: calls that run settle on it, and none is bounded by it any more. Removing it again changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn remove_limit(&self, limit: LimitId) -> Result<()> {
        let mut tx = self.database.write().await?;
        let mut books = Books::lock(&mut tx, &[self.account], Lock::Wait, self.database.dated).await?;
        let now = books.of(self.account)?.now();
        let removed = sqlx::query!(
            "update limits set removed_at = coalesce(removed_at, $3) where account_id = $1 and limit_id = $2",
            self.account.uuid(),
            limit.uuid(),
            now
        );
        if removed.execute(&mut *tx).await?.rows_affected() == 0 {
            return Err(Error::NotFound);
        }
        mark(&mut tx, self.account).await?;
        tx.commit().await?;
        Ok(())
    }
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
    let keys = sqlx::query!(r#"select key_id as "id: KeyId", name from api_keys where account_id = $1"#, account.uuid());
    let keys = keys.fetch_all(connection).await?;
    let name = |scope: &Scope| match scope {
        Scope::Key(key) => keys.iter().find(|row| row.id == *key).map(|row| row.name.clone()),
        _ => None,
    };
    let counts = |scope: &Scope| of.is_none_or(|key| matches!(scope, Scope::Account) || *scope == Scope::Key(key));
    let mut states: Vec<_> =
        limits.into_iter().filter(|limit| counts(&limit.scope)).map(|limit| LimitState { key_name: name(&limit.scope), limit }).collect();
    let of = |scope: &Scope| if let Scope::Key(key) = scope { Some(*key) } else { None };
    states.sort_by_key(|LimitState { limit, key_name }| {
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
async fn change(connection: &mut PgConnection, account: AccountId, new: &NewLimit) -> Result<Option<LimitId>> {
    let changed = sqlx::query_scalar!(
        r#"
        update limits set capacity = $6
        where account_id = $1 and key_id is not distinct from $2 and per = $3 and unit = $4 and hardness = $5 and removed_at is null
        returning limit_id as "id: LimitId"
        "#,
        account.uuid(),
        new.key.map(KeyId::uuid),
        new.window.name(),
        new.unit.name(),
        new.hardness.name(),
        new.capacity.get()
    );
    Ok(changed.fetch_optional(connection).await?)
}

async fn insert(connection: &mut PgConnection, account: AccountId, new: &NewLimit, now: DateTime<Utc>) -> Result<()> {
    let insert = sqlx::query!(
        r#"
        insert into limits (account_id, limit_id, scope, key_id, per, unit, hardness, capacity, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict do nothing
        "#,
        account.uuid(),
        new.id.uuid(),
        if new.key.is_some() { "key" } else { "account" },
        new.key.map(KeyId::uuid),
        new.window.name(),
        new.unit.name(),
        new.hardness.name(),
        new.capacity.get(),
        now
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
        where account_id = $1 and day >= $3 and ($4::uuid is null or key_id = $4)
        "#,
        account.uuid(),
        new.id.uuid(),
        new.window.range(now).from,
        new.key.map(KeyId::uuid),
        new.unit.name()
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
