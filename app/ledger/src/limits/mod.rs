//! Limits: what bounds an account, or a part of it, in a window of time. See [`domain::credit`] for what they decide.

mod of_plan;
mod pools;

use chrono::{DateTime, Utc};
use domain::{
    attribution::Label,
    audit::Operation,
    credit::{Caller, Hardness, Limit, LimitSetter, LimitState, Quantity, Scope, Unit, Window},
    id::{AccountId, KeyId, LimitId, ProjectId, UserId},
};
use serde_json::{Value, json};
use sqlx::PgConnection;

pub(crate) use self::of_plan::follow as follow_plan;
pub(crate) use self::pools::{Counted, Runs, Whose, WindowChange, WindowKey, at, at_each, count, in_force, with_limits_of_runs, write};
use crate::{
    AccountMember, AccountOwner, AccountReader, Error, KeyEntry, Meter, Operator, Result, System,
    audit::{self, Line},
    books::{Books, Lock},
    database::Database,
    notices,
};

/// A limit to be set.
#[derive(Debug, Clone)]
pub struct NewLimit {
    /// Its id, unless there is one of its kind already.
    pub id: LimitId,
    /// Whose calls it counts.
    pub scope: Scope,
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
    /// Sets a limit of a key; where one of the same scope, window, unit and hardness is in force, it has this capacity from now on. Returns its id.
    ///
    /// What was used in the running window before counts, but for minutes. Calls that run already it does not bound; it counts them as they end. Every
    /// proxy knows of it within a second.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for a limit of anything but a key, which is an owner's to set; [`Error::NotFound`] for a key, a project or a member that is
    /// not the account's; [`Error::Invalid`] for a capacity below zero.
    pub async fn set_limit(&self, new: &NewLimit) -> Result<LimitId> {
        if !matches!(new.scope, Scope::Key(_)) {
            return Err(Error::Forbidden);
        }
        set(&self.database, self.account, LimitSetter::Account, new).await
    }

    /// Removes a limit of a key: calls that run settle on it, and none is bounded by it any more. Removing it again changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Forbidden`] for one of anything but a key, or one that the operator has set.
    pub async fn remove_limit(&self, limit: LimitId) -> Result<()> {
        let of_key = sqlx::query_scalar!(
            r#"select key_id is not null as "of_key!" from limits where account_id = $1 and limit_id = $2"#,
            self.account.uuid(),
            limit.uuid()
        );
        if of_key.fetch_optional(&mut *self.database.read().await?).await? == Some(false) {
            return Err(Error::Forbidden);
        }
        remove(&self.database, self.account, LimitSetter::Account, limit).await
    }
}

impl AccountOwner {
    /// [`AccountMember::set_limit`], of any scope.
    ///
    /// # Errors
    /// As there.
    pub async fn set_limit(&self, new: &NewLimit) -> Result<LimitId> {
        set(&self.database, self.account, LimitSetter::Account, new).await
    }

    /// [`AccountMember::remove_limit`], of any scope.
    ///
    /// # Errors
    /// As there.
    pub async fn remove_limit(&self, limit: LimitId) -> Result<()> {
        remove(&self.database, self.account, LimitSetter::Account, limit).await
    }
}

impl Operator {
    /// [`AccountMember::set_limit`] of any account: a limit that the account itself can neither change nor remove.
    ///
    /// # Errors
    /// As there; [`Error::NotFound`] for an unknown account.
    pub async fn set_limit(&self, account: AccountId, new: &NewLimit) -> Result<LimitId> {
        set(&self.database, account, LimitSetter::Operator, new).await
    }

    /// Removes a limit of any account, whoever has set it.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Forbidden`] for one that comes with the account's plan.
    pub async fn remove_limit(&self, account: AccountId, limit: LimitId) -> Result<()> {
        remove(&self.database, account, LimitSetter::Operator, limit).await
    }
}

async fn set(database: &Database, account: AccountId, by: LimitSetter, new: &NewLimit) -> Result<LimitId> {
    if new.capacity.is_negative() {
        return Err(Error::invalid("capacity", "write a number from 0 on"));
    }
    let mut tx = database.change().await?;
    let mut books = Books::lock(&mut tx, &[account], Lock::Wait, database.dated).await?;
    let book = books.of(account)?;
    expect(&mut tx, account, &new.scope).await?;
    let created_at = book.now();
    let known = of_kind(&mut tx, account, by, new).await?;
    let id = known.map_or(new.id, |(id, _)| id);
    if known.is_some() {
        change(&mut tx, account, id, new.capacity).await?;
    } else {
        insert(&mut tx, account, by, new, book.now()).await?;
        open(&mut tx, account, new, book.now()).await?;
    }
    mark(&mut tx, account).await?;
    // What is posted from now on is later than the limit.
    books.touch(created_at);
    books.write(&mut tx).await?;
    // What proxies have leased without it goes back, but for what running calls hold.
    notices::tell(&mut tx, account).await?;
    let name = audit::account_name(&mut tx, account).await?;
    let before = known.map(|(_, capacity)| state(new, capacity, by));
    tx.commit(Line::new(Operation::LimitSet, id, name, before, Some(state(new, new.capacity, by))).of(account)).await?;
    Ok(id)
}

/// The account's own limits are its to remove, and the operator's all but those of its plan, which would come again with the next month.
async fn remove(database: &Database, account: AccountId, by: LimitSetter, limit: LimitId) -> Result<()> {
    let mut tx = database.change().await?;
    let mut books = Books::lock(&mut tx, &[account], Lock::Wait, database.dated).await?;
    let now = books.of(account)?.now();
    let known = sqlx::query!(
        r#"
        select scope, per, unit as "unit: Unit", hardness, capacity as "capacity: Quantity", set_by from limits
        where account_id = $1 and limit_id = $2 and removed_at is null
        "#,
        account.uuid(),
        limit.uuid()
    );
    let known = known.fetch_optional(&mut *tx).await?;
    let removed = sqlx::query!(
        r#"
        update limits set removed_at = coalesce(removed_at, $3)
        where account_id = $1 and limit_id = $2 and set_by <> 'plan' and ($4 = 'operator' or set_by = $4)
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
    notices::tell(&mut tx, account).await?;
    let name = audit::account_name(&mut tx, account).await?;
    // One that was removed before is not removed again.
    let before = known.map(|row| {
        let capacity = row.capacity.in_words(row.unit);
        json!({"of": row.scope, "per": row.per, "unit": row.unit.name(), "end": row.hardness, "capacity": capacity, "set_by": row.set_by})
    });
    tx.commit(Line::new(Operation::LimitRemove, limit, name, before, None).of(account)).await
}

/// As the audit log has it.
fn state(limit: &NewLimit, capacity: Quantity, by: LimitSetter) -> Value {
    let Whose { project, member, key, run } = limit.scope.clone().into();
    json!({
        "of": limit.scope.kind().name(), "project": project, "member": member, "key": key, "run": run, "per": limit.window.name(),
        "unit": limit.unit.name(), "end": limit.hardness.name(), "capacity": capacity.in_words(limit.unit), "set_by": by.name()
    })
}

impl AccountReader {
    /// The account's limits with what is in their running windows: its own first, then those of projects, members, keys and
    /// runs by their names, shortest window first.
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
    /// The limits that count a key's calls whatever they say, as [`AccountReader::limits`].
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn limits(&self, key: &KeyEntry, now: DateTime<Utc>) -> Result<Vec<LimitState>> {
        let caller = Caller { key: key.key_id, project: key.project_id, member: key.member, run: None };
        states(&mut *self.database.read().await?, key.account_id, Some(&caller), now).await
    }
}

async fn states(connection: &mut PgConnection, account: AccountId, of: Option<&Caller>, now: DateTime<Utc>) -> Result<Vec<LimitState>> {
    let limits = at(connection, account, now, if of.is_some() { Runs::Of(&[]) } else { Runs::All }).await?;
    let facts = sqlx::query!(
        r#"
        select
            l.limit_id as "id: LimitId", coalesce(k.name, p.name, u.email, l.session) as whose, l.set_by as "set_by: LimitSetter"
        from limits l
        left join api_keys k using (account_id, key_id)
        left join projects p on p.account_id = l.account_id and p.project_id = l.project_id
        left join users u on u.user_id = l.user_id
        where l.account_id = $1 and l.removed_at is null
        "#,
        account.uuid()
    )
    .fetch_all(connection)
    .await?;
    let state = |limit: Limit| {
        let facts = facts.iter().find(|facts| facts.id == limit.id)?;
        Some(LimitState { whose: facts.whose.clone(), set_by: facts.set_by, limit })
    };
    let counts = |scope: &Scope| of.is_none_or(|caller| scope.applies_to(caller));
    let mut states: Vec<_> = limits.into_iter().filter(|limit| counts(&limit.scope)).filter_map(state).collect();
    states.sort_by_key(|LimitState { limit, whose, .. }| {
        let of = match limit.scope {
            Scope::Key(key) => Some(key),
            _ => None,
        };
        (limit.scope.kind(), whose.clone(), of, limit.window, limit.pool.unit, limit.hardness.name(), limit.id)
    });
    Ok(states)
}

/// Whoever's calls it counts must be the account's.
async fn expect(connection: &mut PgConnection, account: AccountId, scope: &Scope) -> Result<()> {
    let is_there = match scope {
        Scope::Account | Scope::Run(_) => return Ok(()),
        Scope::Project(project) => {
            sqlx::query_scalar!(
                r#"select exists (select from projects where account_id = $1 and project_id = $2) as "is_there!""#,
                account.uuid(),
                project.uuid()
            )
            .fetch_one(connection)
            .await?
        }
        Scope::Member(member) => {
            sqlx::query_scalar!(
                r#"select exists (select from memberships where account_id = $1 and user_id = $2) as "is_there!""#,
                account.uuid(),
                member.uuid()
            )
            .fetch_one(connection)
            .await?
        }
        Scope::Key(key) => {
            sqlx::query_scalar!(
                r#"select exists (select from api_keys where account_id = $1 and key_id = $2) as "is_there!""#,
                account.uuid(),
                key.uuid()
            )
            .fetch_one(connection)
            .await?
        }
    };
    if is_there { Ok(()) } else { Err(Error::NotFound) }
}

/// The limit of this kind that is in force, and its capacity. Who has locked the account's books finds it unchanged.
async fn of_kind(
    connection: &mut PgConnection,
    account: AccountId,
    by: LimitSetter,
    new: &NewLimit,
) -> Result<Option<(LimitId, Quantity)>> {
    let Whose { project, member, key, run } = new.scope.clone().into();
    let row = sqlx::query!(
        r#"
        select limit_id as "id: LimitId", capacity as "capacity: Quantity" from limits
        where account_id = $1 and set_by = $2 and project_id is not distinct from $3 and user_id is not distinct from $4
            and key_id is not distinct from $5 and session is not distinct from $6 and per = $7 and unit = $8 and hardness = $9
            and removed_at is null
        "#,
        account.uuid(),
        by.name(),
        project.map(ProjectId::uuid),
        member.map(UserId::uuid),
        key.map(KeyId::uuid),
        run.as_ref().map(Label::as_str),
        new.window.name(),
        new.unit.name(),
        new.hardness.name()
    );
    Ok(row.fetch_optional(connection).await?.map(|row| (row.id, row.capacity)))
}

/// Gives a limit another capacity.
async fn change(connection: &mut PgConnection, account: AccountId, limit: LimitId, capacity: Quantity) -> Result<()> {
    sqlx::query!("update limits set capacity = $3 where account_id = $1 and limit_id = $2", account.uuid(), limit.uuid(), capacity.get())
        .execute(connection)
        .await?;
    Ok(())
}

async fn insert(connection: &mut PgConnection, account: AccountId, by: LimitSetter, new: &NewLimit, now: DateTime<Utc>) -> Result<()> {
    let Whose { project, member, key, run } = new.scope.clone().into();
    let insert = sqlx::query!(
        r#"
        insert into limits (
            account_id, limit_id, scope, project_id, user_id, key_id, session, per, unit, hardness, capacity, created_at, set_by
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) on conflict do nothing
        "#,
        account.uuid(),
        new.id.uuid(),
        new.scope.kind().name(),
        project.map(ProjectId::uuid),
        member.map(UserId::uuid),
        key.map(KeyId::uuid),
        run.as_ref().map(Label::as_str),
        new.window.name(),
        new.unit.name(),
        new.hardness.name(),
        new.capacity.get(),
        now,
        by.name()
    );
    if insert.execute(connection).await?.rows_affected() == 0 { Err(Error::Taken("this limit")) } else { Ok(()) }
}

/// What was used in the running window before, as the usage page says. Sums are kept by the hour and the day: a minute begins with nothing. Of a run
/// there are no sums: its calls are looked for.
async fn open(connection: &mut PgConnection, account: AccountId, new: &NewLimit, now: DateTime<Utc>) -> Result<()> {
    if new.window == Window::Minute {
        return Ok(());
    }
    let window = new.window.range(now);
    let Whose { project, member, key, run } = new.scope.clone().into();
    let used = match run {
        Some(run) => {
            sqlx::query_file_scalar!(
                "src/limits/used_by_run.sql",
                account.uuid(),
                window.from,
                window.to,
                run.as_str(),
                new.unit.name()
            )
            .fetch_one(&mut *connection)
            .await?
        }
        None => {
            sqlx::query_scalar!(
                r#"
                select coalesce(sum(case $4 when 'money' then amount when 'tokens' then total_tokens else requests end), 0)::bigint as "used!"
                from usage_daily
                where account_id = $1 and day >= $2 and ($3::timestamptz is null or day < $3)
                    and ($5::uuid is null or project_id = $5) and ($6::uuid is null or key_id = $6)
                    and ($7::uuid is null or key_id in (select key_id from api_keys where account_id = $1 and user_id = $7))
                "#,
                account.uuid(),
                window.from,
                window.to,
                new.unit.name(),
                project.map(ProjectId::uuid),
                key.map(KeyId::uuid),
                member.map(UserId::uuid)
            )
            .fetch_one(&mut *connection)
            .await?
        }
    };
    if used == 0 {
        return Ok(());
    }
    sqlx::query!(
        "insert into limit_windows (account_id, limit_id, starts_at, opening) values ($1, $2, $3, $4)",
        account.uuid(),
        new.id.uuid(),
        window.from,
        used
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
