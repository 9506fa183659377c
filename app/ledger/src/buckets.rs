//! Usage by hours or days, for programs: what [`crate::AccountReader::usage`] shows to people, from the same sums.

use chrono::{DateTime, Utc};
use domain::{
    id::{AccountId, KeyId, ProjectId},
    money::Amount,
    period::{Range, Step},
    tokens::Tokens,
    usage::{Dimensions, Totals},
};
use sqlx::{FromRow, Postgres, QueryBuilder};
use uuid::Uuid;

use crate::{Meter, Result};

/// Which sums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketQuery {
    /// Whose.
    pub account: AccountId,
    /// Of calls that began in it; its ends are those of steps.
    pub range: Range,
    /// An hour, or a day.
    pub step: Step,
    /// What they are told apart by.
    pub by: Dimensions,
    /// By these keys only, if by any in particular.
    pub keys: Option<Vec<KeyId>>,
    /// Of these projects only.
    pub projects: Option<Vec<ProjectId>>,
    /// Of these models only.
    pub models: Option<Vec<String>>,
    /// How many at most.
    pub rows_max: i64,
}

/// What one part of an account used in one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketRow {
    /// When the step began.
    pub start: DateTime<Utc>,
    /// The key, if they are told apart by it.
    pub key: Option<KeyId>,
    /// The project.
    pub project: Option<ProjectId>,
    /// The model.
    pub model: Option<String>,
    /// The sums.
    pub totals: Totals,
}

#[derive(Debug, FromRow)]
struct Row {
    start: DateTime<Utc>,
    key_id: Option<KeyId>,
    project_id: Option<ProjectId>,
    model: Option<String>,
    requests: i64,
    prompt_tokens: Tokens,
    completion_tokens: Tokens,
    total_tokens: Tokens,
    amount: Amount,
}

impl Meter {
    /// The sums, by their steps in order. What was not used has no row.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`].
    pub async fn buckets(&self, query: &BucketQuery) -> Result<Vec<BucketRow>> {
        let rows: Vec<Row> = select(query).build_query_as().fetch_all(&mut *self.database.read().await?).await?;
        Ok(rows.into_iter().map(BucketRow::from).collect())
    }
}

fn select(query: &BucketQuery) -> QueryBuilder<Postgres> {
    let BucketQuery { account, range, step, by, keys, projects, models, rows_max } = query;
    let (table, column) = if *step == Step::Hour { ("usage_hourly", "hour") } else { ("usage_daily", "day") };
    let mut select = QueryBuilder::new("select ");
    select.push(column).push(" as start, ");
    // What they are not told apart by is nothing in every row.
    for (is_asked, own, nothing) in [
        (by.key, "key_id", "null::uuid as key_id"),
        (by.project, "project_id", "null::uuid as project_id"),
        (by.model, "model", "null::text as model"),
    ] {
        select.push(if is_asked { own } else { nothing }).push(", ");
    }
    let mut sums = select.separated(", ");
    for sum in ["requests", "prompt_tokens", "completion_tokens", "total_tokens", "amount"] {
        sums.push("sum(").push_unseparated(sum).push_unseparated(")::bigint as ").push_unseparated(sum);
    }
    select.push(" from ").push(table).push(" where account_id = ").push_bind(account.uuid());
    select.push(" and ").push(column).push(" >= ").push_bind(range.from);
    select.push(" and ").push(column).push(" < ").push_bind(range.to);
    if let Some(keys) = keys {
        select.push(" and key_id = any(").push_bind(keys.iter().map(|key| key.uuid()).collect::<Vec<Uuid>>()).push(")");
    }
    if let Some(projects) = projects {
        select.push(" and project_id = any(").push_bind(projects.iter().map(|project| project.uuid()).collect::<Vec<Uuid>>()).push(")");
    }
    if let Some(models) = models {
        select.push(" and model = any(").push_bind(models.clone()).push(")");
    }
    select.push(" group by 1, 2, 3, 4 order by 1, 2, 3, 4 limit ").push_bind(*rows_max);
    select
}

impl From<Row> for BucketRow {
    fn from(row: Row) -> Self {
        let Row { start, key_id, project_id, model, requests, prompt_tokens, completion_tokens, total_tokens, amount } = row;
        let totals = Totals { requests, prompt_tokens, completion_tokens, total_tokens, amount };
        Self { start, key: key_id, project: project_id, model, totals }
    }
}
