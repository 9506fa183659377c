//! Sums of calls by hour and by day, which the pages read instead of the calls.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{period::Step, tokens::Tokens};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Error, Result, settled::CallRecord};

/// Account, start, key, model, stream, outcome: sorted, so that two posters touch shared rows in the same order.
type Key<'a> = (Uuid, DateTime<Utc>, Uuid, &'a str, bool, &'static str);

#[derive(Default)]
struct Sums {
    requests: i64,
    prompt_tokens: i64,
    completion_tokens: i64,
    total_tokens: i64,
    amount: i64,
}

impl Sums {
    fn add(&mut self, record: &CallRecord) -> Option<()> {
        let tokens = |count: Option<Tokens>| count.map_or(0, Tokens::get);
        self.requests = self.requests.checked_add(1)?;
        self.prompt_tokens = self.prompt_tokens.checked_add(tokens(record.prompt_tokens))?;
        self.completion_tokens = self.completion_tokens.checked_add(tokens(record.completion_tokens))?;
        self.total_tokens = self.total_tokens.checked_add(tokens(record.total_tokens))?;
        self.amount = self.amount.checked_add(record.amount)?;
        Some(())
    }
}

/// Adds new calls to their hours and days.
pub(crate) async fn add(connection: &mut PgConnection, records: &[CallRecord]) -> Result<()> {
    let hours = Columns::of(&sums(records, Step::Hour)?);
    sqlx::query!(
        r#"
        insert into usage_hourly as u (
            account_id, hour, key_id, model, stream, outcome, requests, prompt_tokens, completion_tokens, total_tokens, amount
        )
        select * from unnest(
            $1::uuid[], $2::timestamptz[], $3::uuid[], $4::text[], $5::bool[], $6::text[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[],
            $11::bigint[]
        )
        on conflict (account_id, hour, key_id, model, stream, outcome) do update set
            requests = u.requests + excluded.requests,
            prompt_tokens = u.prompt_tokens + excluded.prompt_tokens,
            completion_tokens = u.completion_tokens + excluded.completion_tokens,
            total_tokens = u.total_tokens + excluded.total_tokens,
            amount = u.amount + excluded.amount
        "#,
        &hours.accounts,
        &hours.starts,
        &hours.keys,
        &hours.models,
        &hours.streams,
        &hours.outcomes,
        &hours.requests,
        &hours.prompt_tokens,
        &hours.completion_tokens,
        &hours.total_tokens,
        &hours.amounts
    )
    .execute(&mut *connection)
    .await?;
    let days = Columns::of(&sums(records, Step::Day)?);
    sqlx::query!(
        r#"
        insert into usage_daily as u (
            account_id, day, key_id, model, stream, outcome, requests, prompt_tokens, completion_tokens, total_tokens, amount
        )
        select * from unnest(
            $1::uuid[], $2::timestamptz[], $3::uuid[], $4::text[], $5::bool[], $6::text[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[],
            $11::bigint[]
        )
        on conflict (account_id, day, key_id, model, stream, outcome) do update set
            requests = u.requests + excluded.requests,
            prompt_tokens = u.prompt_tokens + excluded.prompt_tokens,
            completion_tokens = u.completion_tokens + excluded.completion_tokens,
            total_tokens = u.total_tokens + excluded.total_tokens,
            amount = u.amount + excluded.amount
        "#,
        &days.accounts,
        &days.starts,
        &days.keys,
        &days.models,
        &days.streams,
        &days.outcomes,
        &days.requests,
        &days.prompt_tokens,
        &days.completion_tokens,
        &days.total_tokens,
        &days.amounts
    )
    .execute(connection)
    .await?;
    Ok(())
}

fn sums(records: &[CallRecord], step: Step) -> Result<BTreeMap<Key<'_>, Sums>> {
    let mut sums: BTreeMap<Key<'_>, Sums> = BTreeMap::new();
    for record in records {
        let start = step.floor(record.started_at);
        let key = (record.account_id.uuid(), start, record.key_id.uuid(), record.model.as_str(), record.stream, record.outcome.name());
        sums.entry(key).or_default().add(record).ok_or_else(|| Error::Corrupt("the sums of a batch overflow".to_owned()))?;
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
    requests: Vec<i64>,
    prompt_tokens: Vec<i64>,
    completion_tokens: Vec<i64>,
    total_tokens: Vec<i64>,
    amounts: Vec<i64>,
}

impl Columns {
    fn of(sums: &BTreeMap<Key<'_>, Sums>) -> Self {
        let mut columns = Self::default();
        for ((account, start, key, model, stream, outcome), sum) in sums {
            columns.accounts.push(*account);
            columns.starts.push(*start);
            columns.keys.push(*key);
            columns.models.push((*model).to_owned());
            columns.streams.push(*stream);
            columns.outcomes.push((*outcome).to_owned());
            columns.requests.push(sum.requests);
            columns.prompt_tokens.push(sum.prompt_tokens);
            columns.completion_tokens.push(sum.completion_tokens);
            columns.total_tokens.push(sum.total_tokens);
            columns.amounts.push(sum.amount);
        }
        columns
    }
}
