//! The pools of limits: a row for each window that anything was held or used in.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use domain::{
    attribution::Label,
    credit::{Caller, Hardness, Limit, Pool, Quantity, Scope, Unit, Window},
    id::{AccountId, KeyId, LimitId, ProjectId, UserId},
    money::Amount,
};
use sqlx::PgConnection;

use crate::{Error, Result, books::Book};

/// A window of a limit.
pub(crate) type WindowKey = (LimitId, DateTime<Utc>);

/// What happens to a limit's window. Both are differences.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct WindowChange {
    pub(crate) used: i64,
    pub(crate) leased: i64,
}

/// Of which runs limits are read: there can be any number of runs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Runs<'a> {
    /// Of these.
    Of(&'a [&'a str]),
    /// Of all.
    All,
}

/// What limits count of an ended call, or of a correction of one.
#[derive(Debug, Clone)]
pub(crate) struct Counted {
    /// Whose call it is.
    pub(crate) caller: Caller,
    /// The call's start.
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) amount: Amount,
    /// What it took, at most what was held for it: an upstream that cannot count uses up nobody's limit. Of a correction, the difference.
    pub(crate) tokens: i64,
    pub(crate) requests: i64,
}

impl Counted {
    /// How much it is of a limit's window, if the limit counts it.
    pub(crate) fn of(&self, limit: &Limit) -> Option<(WindowKey, i64)> {
        let quantity = match limit.pool.unit {
            Unit::Money => self.amount.nanos(),
            Unit::Tokens => self.tokens,
            Unit::Requests => self.requests,
        };
        limit.scope.applies_to(&self.caller).then_some(((limit.id, limit.window.range(self.started_at).from), quantity))
    }
}

/// The limits of an account that are in force, each with the pool of its window that holds an instant. Those of runs are those of these, or of all
/// where it is [`Runs::All`].
pub(crate) async fn at(connection: &mut PgConnection, account: AccountId, instant: DateTime<Utc>, runs: Runs<'_>) -> Result<Vec<Limit>> {
    let limits = at_each(connection, &[(account, instant)], runs).await?;
    Ok(limits.into_iter().map(|(_, limit)| limit).collect())
}

/// The same of several accounts, each at an instant of its own.
pub(crate) async fn at_each(
    connection: &mut PgConnection,
    accounts: &[(AccountId, DateTime<Utc>)],
    runs: Runs<'_>,
) -> Result<Vec<(AccountId, Limit)>> {
    if accounts.is_empty() {
        return Ok(Vec::new());
    }
    let starts = |window: Window| accounts.iter().map(|(_, instant)| window.range(*instant).from).collect::<Vec<_>>();
    let rows = sqlx::query_as!(
        LimitRow,
        r#"
        select
            l.account_id as "account: AccountId", l.limit_id as "id: LimitId", l.project_id as "project: ProjectId", l.user_id as "member: UserId",
            l.key_id as "key: KeyId", l.session as "run: Label", l.per as "window: Window", l.unit as "unit: Unit",
            l.hardness as "hardness: Hardness", l.capacity, coalesce(w.opening + w.used, 0) as "used!", coalesce(w.leased, 0) as "leased!"
        from limits l
        join unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[])
            a (account_id, minute, day, week, month, ever) on a.account_id = l.account_id
        left join limit_windows w on w.account_id = l.account_id and w.limit_id = l.limit_id and w.starts_at = case l.per
            when 'minute' then a.minute when 'day' then a.day when 'week' then a.week when 'month' then a.month else a.ever
        end
        where l.account_id = any($1) and l.removed_at is null and (l.session is null or $7 or l.session = any($8))
        "#,
        &accounts.iter().map(|(account, _)| account.uuid()).collect::<Vec<_>>(),
        &starts(Window::Minute),
        &starts(Window::Day),
        &starts(Window::Week),
        &starts(Window::Month),
        &starts(Window::Ever),
        matches!(runs, Runs::All),
        if let Runs::Of(runs) = runs { runs } else { &[] } as _
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.account, Limit::from(row))).collect())
}

/// Those of these accounts of which any run has a limit.
pub(crate) async fn with_limits_of_runs(connection: &mut PgConnection, accounts: &[AccountId]) -> Result<HashSet<AccountId>> {
    if accounts.is_empty() {
        return Ok(HashSet::new());
    }
    let found = sqlx::query_scalar!(
        r#"select distinct account_id as "account: AccountId" from limits where account_id = any($1) and session is not null and removed_at is null"#,
        &accounts.iter().map(|account| account.uuid()).collect::<Vec<_>>()
    );
    Ok(found.fetch_all(connection).await?.into_iter().collect())
}

/// The limits of these accounts that are in force, without what is in their pools. Those of runs are those of these.
pub(crate) async fn in_force(connection: &mut PgConnection, accounts: &[AccountId], runs: &[&str]) -> Result<Vec<(AccountId, Limit)>> {
    if accounts.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query!(
        r#"
        select
            l.account_id as "account: AccountId", l.limit_id as "id: LimitId", l.project_id as "project: ProjectId",
            l.user_id as "member: UserId", l.key_id as "key: KeyId", l.session as "run: Label", l.per as "window: Window",
            l.unit as "unit: Unit", l.hardness as "hardness: Hardness", l.capacity
        from limits l
        where l.account_id = any($1) and l.removed_at is null and (l.session is null or l.session = any($2))
        "#,
        &accounts.iter().map(|account| account.uuid()).collect::<Vec<_>>(),
        runs as _
    )
    .fetch_all(connection)
    .await?;
    let limits = rows.into_iter().map(|row| {
        let limit = Limit {
            id: row.id,
            scope: Whose { project: row.project, member: row.member, key: row.key, run: row.run }.into(),
            window: row.window,
            hardness: row.hardness,
            pool: Pool::new(row.unit, Quantity::from_count(row.capacity)),
        };
        (row.account, limit)
    });
    Ok(limits.collect())
}

/// Writes what happens to windows. One that nothing has happened in yet is made first: what is freed of one must not pass for what it begins with.
pub(crate) async fn write(connection: &mut PgConnection, changes: &BTreeMap<(AccountId, WindowKey), WindowChange>) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let accounts: Vec<_> = changes.keys().map(|(account, _)| account.uuid()).collect();
    let limits: Vec<_> = changes.keys().map(|(_, (limit, _))| limit.uuid()).collect();
    let starts: Vec<_> = changes.keys().map(|(_, (_, starts_at))| *starts_at).collect();
    sqlx::query!(
        r#"
        insert into limit_windows (account_id, limit_id, starts_at)
        select * from unnest($1::uuid[], $2::uuid[], $3::timestamptz[])
        on conflict (account_id, limit_id, starts_at) do nothing
        "#,
        &accounts,
        &limits,
        &starts
    )
    .execute(&mut *connection)
    .await?;
    let changed = sqlx::query!(
        r#"
        update limit_windows w set used = w.used + c.used, leased = w.leased + c.leased
        from unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::bigint[], $5::bigint[]) c (account_id, limit_id, starts_at, used, leased)
        join limits l on l.account_id = c.account_id and l.limit_id = c.limit_id
        where w.account_id = c.account_id and w.limit_id = c.limit_id and w.starts_at = c.starts_at
        returning
            w.account_id as "account: AccountId", w.limit_id as "limit: LimitId", l.per as "window: Window",
            l.hardness = 'soft' and w.opening + w.used > l.capacity and w.opening + w.used - c.used <= l.capacity as "is_passed!"
        "#,
        &accounts,
        &limits,
        &starts,
        &changes.values().map(|change| change.used).collect::<Vec<_>>(),
        &changes.values().map(|change| change.leased).collect::<Vec<_>>()
    );
    // A soft limit refuses nothing: somebody is to know of the call that passes it, and need not hear of those that follow.
    for passed in changed.fetch_all(connection).await?.into_iter().filter(|row| row.is_passed) {
        tracing::warn!(account = %passed.account, limit = %passed.limit, window = passed.window.name(), "a soft limit is passed");
    }
    Ok(())
}

/// Counts a call, or a correction of one, in each limit that counts it, in the window in which the call began.
pub(crate) fn count(counted: Counted, limits: &[Limit], book: &mut Book) -> Result<()> {
    for (window, used) in limits.iter().filter_map(|limit| counted.of(limit)) {
        book.count(window, WindowChange { used, leased: 0 })?;
    }
    Ok(())
}

impl WindowChange {
    /// Both, one after the other.
    pub(crate) fn plus(self, other: Self) -> Result<Self> {
        let sum = |a: i64, b: i64| a.checked_add(b).ok_or_else(|| Error::Corrupt("what a limit counts overflows".to_owned()));
        Ok(Self { used: sum(self.used, other.used)?, leased: sum(self.leased, other.leased)? })
    }
}

/// A limit's scope, as its columns say it: at most one is there, and none where it counts the whole account's calls.
#[derive(Debug, Clone, Default)]
pub(crate) struct Whose {
    pub(crate) project: Option<ProjectId>,
    pub(crate) member: Option<UserId>,
    pub(crate) key: Option<KeyId>,
    pub(crate) run: Option<Label>,
}

impl From<Scope> for Whose {
    fn from(scope: Scope) -> Self {
        let nobody = Self::default();
        match scope {
            Scope::Account => nobody,
            Scope::Project(project) => Self { project: Some(project), ..nobody },
            Scope::Member(member) => Self { member: Some(member), ..nobody },
            Scope::Key(key) => Self { key: Some(key), ..nobody },
            Scope::Run(run) => Self { run: Some(run), ..nobody },
        }
    }
}

impl From<Whose> for Scope {
    fn from(whose: Whose) -> Self {
        let Whose { project, member, key, run } = whose;
        let of_project = project.map(Self::Project).or_else(|| member.map(Self::Member));
        of_project.or_else(|| key.map(Self::Key)).or_else(|| run.map(Self::Run)).unwrap_or(Self::Account)
    }
}

struct LimitRow {
    account: AccountId,
    id: LimitId,
    project: Option<ProjectId>,
    member: Option<UserId>,
    key: Option<KeyId>,
    run: Option<Label>,
    window: Window,
    unit: Unit,
    hardness: Hardness,
    capacity: i64,
    used: i64,
    leased: i64,
}

impl From<LimitRow> for Limit {
    fn from(row: LimitRow) -> Self {
        let quantity = Quantity::from_count;
        Self {
            id: row.id,
            scope: Whose { project: row.project, member: row.member, key: row.key, run: row.run }.into(),
            window: row.window,
            hardness: row.hardness,
            pool: Pool { used: quantity(row.used), leased: quantity(row.leased), ..Pool::new(row.unit, quantity(row.capacity)) },
        }
    }
}
