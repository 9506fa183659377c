//! Usage over time. Everything on a usage page is summed from one set of rollup rows, so that its parts cannot disagree.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{
    call::Outcome,
    filter::{CallFilter, GroupBy, UsageFilter},
    id::KeyId,
    money::Amount,
    period::{Range, Step},
    tokens::Tokens,
    usage::{Totals, UsageReport, UsageRow, UsageSeries},
};
use sqlx::{FromRow, Postgres, QueryBuilder};

use crate::{AccountReader, Error, Result};

/// What one key used of one model in one hour, day or month.
#[derive(Debug, FromRow)]
struct Cell {
    start: DateTime<Utc>,
    key_id: KeyId,
    model: String,
    requests: i64,
    prompt_tokens: Tokens,
    completion_tokens: Tokens,
    total_tokens: Tokens,
    amount: Amount,
}

impl Cell {
    const fn totals(&self) -> Totals {
        Totals {
            requests: self.requests,
            prompt_tokens: self.prompt_tokens,
            completion_tokens: self.completion_tokens,
            total_tokens: self.total_tokens,
            amount: self.amount,
        }
    }
}

impl AccountReader {
    /// What the account used.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn usage(&self, filter: &UsageFilter, now: DateTime<Utc>) -> Result<UsageReport> {
        let range = filter.calls.period.range(now);
        let step = filter.step_for(range);
        let steps: Vec<_> = range.steps(step).collect();
        let cells: Vec<Cell> =
            self.cells_query(&filter.calls, range, step).build_query_as().fetch_all(&mut *self.database.read().await?).await?;
        let previous: Vec<Cell> = self
            .cells_query(&filter.calls, range.previous(), Step::Month)
            .build_query_as()
            .fetch_all(&mut *self.database.read().await?)
            .await?;
        let keys = self.key_names().await?;
        let key_name = |cell: &Cell| {
            let name = keys.iter().find(|(id, _)| *id == cell.key_id).map_or_else(String::new, |(_, name)| name.clone());
            (cell.key_id.to_string(), name)
        };
        let model_name = |cell: &Cell| (cell.model.clone(), cell.model.clone());
        let by_key = split(&cells, &steps, step, key_name)?;
        let by_model = split(&cells, &steps, step, model_name)?;
        let rows = |series: &[UsageSeries]| {
            series.iter().map(|one| UsageRow { id: one.id.clone(), label: one.label.clone(), totals: one.totals }).collect()
        };
        Ok(UsageReport {
            now,
            range,
            step,
            totals: sum(cells.iter().map(Cell::totals))?,
            previous: sum(previous.iter().map(Cell::totals))?,
            by_key: rows(&by_key),
            by_model: rows(&by_model),
            series: match filter.group {
                GroupBy::Key => by_key,
                GroupBy::Model => by_model,
                GroupBy::None => split(&cells, &steps, step, |_| (String::new(), "All calls".to_owned()))?,
            },
            steps,
            models: self.called_models().await?,
            keys,
        })
    }

    /// Hours come from the hourly rollup, days and months from the daily one.
    fn cells_query(&self, filter: &CallFilter, range: Range, step: Step) -> QueryBuilder<Postgres> {
        let (table, column) = if step == Step::Hour { ("usage_hourly", "hour") } else { ("usage_daily", "day") };
        let mut query = QueryBuilder::new("select date_trunc(");
        query.push_bind(step.name()).push(", ").push(column).push(", 'UTC') as start, key_id, model");
        for sum in ["requests", "prompt_tokens", "completion_tokens", "total_tokens", "amount"] {
            query.push(", sum(").push(sum).push(")::bigint as ").push(sum);
        }
        query.push(" from ").push(table).push(" where account_id = ").push_bind(self.account.uuid());
        query.push(" and ").push(column).push(" >= ").push_bind(range.from);
        query.push(" and ").push(column).push(" < ").push_bind(range.to);
        push_filter(&mut query, filter);
        query.push(" group by 1, 2, 3");
        query
    }

    /// Every key of the account with its name, for a filter.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn key_names(&self) -> Result<Vec<(KeyId, String)>> {
        let rows = sqlx::query!(
            r#"select key_id as "key_id: KeyId", name from api_keys where account_id = $1 order by name, key_id"#,
            self.account.uuid()
        )
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        Ok(rows.into_iter().map(|row| (row.key_id, row.name)).collect())
    }

    /// Every model the account ever called, for a filter.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn called_models(&self) -> Result<Vec<String>> {
        Ok(sqlx::query_scalar!("select distinct model from usage_daily where account_id = $1 order by model", self.account.uuid())
            .fetch_all(&mut *self.database.read().await?)
            .await?)
    }
}

/// Narrows a query of sums to what a person chose to see; the period is the caller's.
fn push_filter(query: &mut QueryBuilder<Postgres>, filter: &CallFilter) {
    if let Some(key) = filter.key {
        query.push(" and key_id = ").push_bind(key.uuid());
    }
    if let Some(model) = &filter.model {
        query.push(" and model = ").push_bind(model.clone());
    }
    if let Some(outcome) = filter.outcome {
        query.push(" and outcome = ").push_bind(outcome as Outcome);
    }
    if let Some(stream) = filter.stream {
        query.push(" and stream = ").push_bind(stream);
    }
}

/// Cells by what `name` says (id and label), each with its sums per step; dearest first, then by name.
fn split(cells: &[Cell], steps: &[DateTime<Utc>], step: Step, name: impl Fn(&Cell) -> (String, String)) -> Result<Vec<UsageSeries>> {
    let mut series: BTreeMap<(String, String), UsageSeries> = BTreeMap::new();
    for cell in cells {
        let (id, label) = name(cell);
        let one = series.entry((label.clone(), id.clone())).or_insert_with(|| UsageSeries {
            id,
            label,
            totals: Totals::default(),
            per_step: vec![Totals::default(); steps.len()],
        });
        one.totals = sum([one.totals, cell.totals()])?;
        // The first step of a range may begin before the range does; its cells carry the step's start.
        if let Ok(place) = steps.binary_search(&step.floor(cell.start)) {
            one.per_step[place] = sum([one.per_step[place], cell.totals()])?;
        }
    }
    let mut series: Vec<_> = series.into_values().collect();
    series.sort_by_key(|one| std::cmp::Reverse((one.totals.amount, one.totals.total_tokens)));
    Ok(series)
}

fn sum(parts: impl IntoIterator<Item = Totals>) -> Result<Totals> {
    parts
        .into_iter()
        .try_fold(Totals::default(), Totals::checked_add)
        .ok_or_else(|| Error::Corrupt("the usage of an account overflows".to_owned()))
}
