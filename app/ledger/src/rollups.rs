//! Sums of calls by hour and by day, which the pages read instead of the calls.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{
    attribution::Label,
    call::Outcome,
    id::{AccountId, KeyId, ProjectId},
    period::Step,
    proof::Progress,
    tokens::Tokens,
};
use sqlx::{PgConnection, Postgres, QueryBuilder};
use uuid::Uuid;

use crate::{
    Error, Result, System,
    books::{Books, Lock},
    settled::CallRecord,
};

/// What a call, or a correction of one, adds to the sums of its hour and its day.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addition<'a> {
    pub(crate) account: AccountId,
    /// The call's start.
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) key: KeyId,
    pub(crate) model: &'a str,
    pub(crate) stream: bool,
    pub(crate) outcome: Outcome,
    pub(crate) project: ProjectId,
    /// Empty where it is not known.
    pub(crate) client: &'a str,
    pub(crate) requests: i64,
    pub(crate) prompt_tokens: i64,
    pub(crate) completion_tokens: i64,
    pub(crate) total_tokens: i64,
    /// Nanos.
    pub(crate) amount: i64,
    /// Nanos.
    pub(crate) written_off: i64,
}

impl<'a> From<&'a CallRecord> for Addition<'a> {
    fn from(call: &'a CallRecord) -> Self {
        let tokens = |count: Option<Tokens>| count.map_or(0, Tokens::get);
        Self {
            account: call.account_id,
            started_at: call.started_at,
            key: call.key_id,
            model: &call.model,
            stream: call.stream,
            outcome: call.outcome,
            project: call.project_id,
            client: call.client.as_ref().map_or("", Label::as_str),
            requests: 1,
            prompt_tokens: tokens(call.prompt_tokens),
            completion_tokens: tokens(call.completion_tokens),
            total_tokens: tokens(call.total_tokens),
            amount: call.amount,
            written_off: call.written_off,
        }
    }
}

impl System {
    /// Writes the sums of an account, or of all, anew from their calls and corrections, each account's under the lock of its books. Only the owner of the
    /// schema may: the application deletes no sums. Returns how many accounts there were.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown account; [`Error::Unavailable`] when the database is away: accounts that are done stay so.
    pub async fn rebuild_sums(&self, account: Option<AccountId>, mut tell: impl FnMut(Progress)) -> Result<u64> {
        let accounts = sqlx::query_scalar!(
            r#"select account_id as "account: AccountId" from heads where $1::uuid is null or account_id = $1 order by account_id"#,
            account.map(AccountId::uuid)
        )
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        if account.is_some() && accounts.is_empty() {
            return Err(Error::NotFound);
        }
        let mut progress = Progress { accounts: accounts.len() as u64, ..Progress::default() };
        for account in accounts {
            let mut tx = self.database.write().await?;
            Books::lock(&mut tx, &[account], Lock::Wait, self.database.dated).await?;
            for rebuild in REBUILD {
                sqlx::query(rebuild).bind(account.uuid()).execute(&mut *tx).await?;
            }
            tx.commit().await?;
            progress.done += 1;
            tell(progress);
        }
        Ok(progress.done)
    }
}

/// Forgets an account's ($1) sums and writes them from its figures.
const REBUILD: [&str; 4] = [
    "delete from usage_hourly where account_id = $1",
    "insert into usage_hourly (account_id, hour, key_id, project_id, model, stream, outcome, client, requests, prompt_tokens, completion_tokens, \
     total_tokens, amount, written_off) \
     select account_id, date_trunc('hour', started_at, 'UTC'), key_id, project_id, model, stream, outcome, client, sum(requests), sum(prompt_tokens), \
     sum(completion_tokens), sum(total_tokens), sum(amount), sum(written_off) from figures where account_id = $1 group by 1, 2, 3, 4, 5, 6, 7, 8",
    "delete from usage_daily where account_id = $1",
    "insert into usage_daily (account_id, day, key_id, project_id, model, stream, outcome, client, requests, prompt_tokens, completion_tokens, \
     total_tokens, amount, written_off) \
     select account_id, date_trunc('day', hour, 'UTC'), key_id, project_id, model, stream, outcome, client, sum(requests), sum(prompt_tokens), \
     sum(completion_tokens), sum(total_tokens), sum(amount), sum(written_off) from usage_hourly where account_id = $1 group by 1, 2, 3, 4, 5, 6, 7, 8",
];

/// Account, start, key, model, stream, outcome, project, client: sorted, so that two posters touch shared rows in the same order.
type Key<'a> = (Uuid, DateTime<Utc>, Uuid, &'a str, bool, &'static str, Uuid, &'a str);

#[derive(Default)]
struct Sums {
    requests: i64,
    prompt_tokens: i64,
    completion_tokens: i64,
    total_tokens: i64,
    amount: i64,
    written_off: i64,
}

impl Sums {
    fn add(&mut self, one: &Addition<'_>) -> Option<()> {
        self.requests = self.requests.checked_add(one.requests)?;
        self.prompt_tokens = self.prompt_tokens.checked_add(one.prompt_tokens)?;
        self.completion_tokens = self.completion_tokens.checked_add(one.completion_tokens)?;
        self.total_tokens = self.total_tokens.checked_add(one.total_tokens)?;
        self.amount = self.amount.checked_add(one.amount)?;
        self.written_off = self.written_off.checked_add(one.written_off)?;
        Some(())
    }
}

/// Adds to the sums of hours and days.
pub(crate) async fn add(connection: &mut PgConnection, additions: &[Addition<'_>]) -> Result<()> {
    for (table, step) in [("usage_hourly", Step::Hour), ("usage_daily", Step::Day)] {
        upsert(table, step, Columns::of(&sums(additions, step)?)).build().execute(&mut *connection).await?;
    }
    Ok(())
}

/// Adds sums to the rows of a table, whose column of starts has the name of its step.
fn upsert(table: &'static str, step: Step, columns: Columns) -> QueryBuilder<Postgres> {
    const SUMS: [&str; 6] = ["requests", "prompt_tokens", "completion_tokens", "total_tokens", "amount", "written_off"];
    let key = |query: &mut QueryBuilder<Postgres>| {
        query.push("account_id, ").push(step.name()).push(", key_id, model, stream, outcome, project_id, client");
    };
    let mut query = QueryBuilder::new("insert into ");
    query.push(table).push(" as u (");
    key(&mut query);
    for sum in SUMS {
        query.push(", ").push(sum);
    }
    query.push(") select * from unnest(");
    query.push_bind(columns.accounts).push(", ").push_bind(columns.starts).push(", ").push_bind(columns.keys).push(", ");
    query.push_bind(columns.models).push(", ").push_bind(columns.streams).push(", ").push_bind(columns.outcomes).push(", ");
    query.push_bind(columns.projects).push(", ").push_bind(columns.clients);
    let Columns { requests, prompt_tokens, completion_tokens, total_tokens, amounts, written_off, .. } = columns;
    for sums in [requests, prompt_tokens, completion_tokens, total_tokens, amounts, written_off] {
        query.push(", ").push_bind(sums);
    }
    query.push(") on conflict (");
    key(&mut query);
    query.push(") do update set ");
    let mut changes = query.separated(", ");
    for sum in SUMS {
        changes.push(sum).push_unseparated(" = u.").push_unseparated(sum).push_unseparated(" + excluded.").push_unseparated(sum);
    }
    query
}

fn sums<'a>(additions: &[Addition<'a>], step: Step) -> Result<BTreeMap<Key<'a>, Sums>> {
    let mut sums: BTreeMap<Key<'a>, Sums> = BTreeMap::new();
    for one in additions {
        let (account, start, outcome) = (one.account.uuid(), step.floor(one.started_at), one.outcome.name());
        let key = (account, start, one.key.uuid(), one.model, one.stream, outcome, one.project.uuid(), one.client);
        sums.entry(key).or_default().add(one).ok_or_else(|| Error::Corrupt("the sums of a batch overflow".to_owned()))?;
    }
    Ok(sums)
}

/// The same, column by column, as `unnest` wants it.
#[derive(Default)]
struct Columns {
    accounts: Vec<Uuid>,
    starts: Vec<DateTime<Utc>>,
    keys: Vec<Uuid>,
    models: Vec<String>,
    streams: Vec<bool>,
    outcomes: Vec<String>,
    projects: Vec<Uuid>,
    clients: Vec<String>,
    requests: Vec<i64>,
    prompt_tokens: Vec<i64>,
    completion_tokens: Vec<i64>,
    total_tokens: Vec<i64>,
    amounts: Vec<i64>,
    written_off: Vec<i64>,
}

impl Columns {
    fn of(sums: &BTreeMap<Key<'_>, Sums>) -> Self {
        let mut columns = Self::default();
        for ((account, start, key, model, stream, outcome, project, client), sum) in sums {
            columns.accounts.push(*account);
            columns.starts.push(*start);
            columns.keys.push(*key);
            columns.models.push((*model).to_owned());
            columns.streams.push(*stream);
            columns.outcomes.push((*outcome).to_owned());
            columns.projects.push(*project);
            columns.clients.push((*client).to_owned());
            columns.requests.push(sum.requests);
            columns.prompt_tokens.push(sum.prompt_tokens);
            columns.completion_tokens.push(sum.completion_tokens);
            columns.total_tokens.push(sum.total_tokens);
            columns.amounts.push(sum.amount);
            columns.written_off.push(sum.written_off);
        }
        columns
    }
}
