//! Usage over time. Everything on a usage page is summed from one set of rows, so that its parts cannot disagree: sums by hour or day, or the calls
//! themselves where it is narrowed to what their clients said of them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{
    attribution::Label,
    call::Outcome,
    filter::{CallFilter, GroupBy, UsageFilter},
    id::{KeyId, ProjectId},
    money::Amount,
    period::{Range, Step},
    tokens::Tokens,
    usage::{Before, FilterChoices, Totals, UsageReport, UsageRow, UsageSeries},
};
use sqlx::{FromRow, PgConnection, Postgres, QueryBuilder};

use crate::{
    AccountReader, Error, Result,
    narrow::{self, Said},
};

/// What one key, in one project, used of one model in one hour, day or month.
#[derive(Debug, FromRow)]
struct Cell {
    start: DateTime<Utc>,
    key_id: KeyId,
    project_id: ProjectId,
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
        let mut connection = self.database.read().await?;
        let cells = self.cells(&mut connection, &filter.calls, range, step).await?;
        let before = self.before(&mut connection, &filter.calls, range.compared(now)).await?;
        drop(connection);
        let choices = self.filter_choices().await?;
        let key_name = |cell: &Cell| {
            let name = choices.keys.iter().find(|(id, _)| *id == cell.key_id).map_or_else(String::new, |(_, name)| name.clone());
            (cell.key_id.to_string(), name)
        };
        let project_name = |cell: &Cell| {
            let project = choices.projects.iter().find(|project| project.id == cell.project_id);
            (cell.project_id.to_string(), project.map_or_else(String::new, |project| project.name.clone()))
        };
        let model_name = |cell: &Cell| (cell.model.clone(), cell.model.clone());
        let mut keys: Vec<_> = choices.keys.iter().map(|(id, _)| id.to_string()).collect();
        // An id begins with the time at which it was made.
        keys.sort_unstable();
        let projects: Vec<_> = choices.projects.iter().map(|project| project.id.to_string()).collect();
        let by_key = split(&cells, &steps, step, &keys, key_name)?;
        let by_model = split(&cells, &steps, step, &choices.models, model_name)?;
        let by_project = split(&cells, &steps, step, &projects, project_name)?;
        let rows = |series: &[UsageSeries]| {
            series.iter().map(|one| UsageRow { id: one.id.clone(), label: one.label.clone(), totals: one.totals }).collect()
        };
        Ok(UsageReport {
            now,
            range,
            step,
            totals: sum(cells.iter().map(Cell::totals))?,
            before,
            by_key: rows(&by_key),
            by_model: rows(&by_model),
            by_project: rows(&by_project),
            series: match filter.group {
                GroupBy::Key => by_key,
                GroupBy::Model => by_model,
                GroupBy::Project => by_project,
                GroupBy::None => split(&cells, &steps, step, &[], |_| (String::new(), "All calls".to_owned()))?,
            },
            steps,
            choices,
        })
    }

    async fn cells(&self, connection: &mut PgConnection, filter: &CallFilter, range: Range, step: Step) -> Result<Vec<Cell>> {
        let Some(said) = Said::of(filter) else {
            return Ok(self.cells_of_sums(filter, range, step).build_query_as().fetch_all(connection).await?);
        };
        let query = sqlx::query(concat!(include_str!("days.sql"), include_str!("usage/said.sql")));
        let query = query.bind(self.account.uuid()).bind(range.from).bind(range.to).bind(step.name());
        let rows = said.bind(narrow::bind(query, filter)).persistent(false).fetch_all(connection).await?;
        Ok(rows.iter().map(Cell::from_row).collect::<sqlx::Result<_>>()?)
    }

    /// What was used in an earlier range; `None` where it began before the account did.
    async fn before(&self, connection: &mut PgConnection, filter: &CallFilter, range: Range) -> Result<Option<Before>> {
        let began = sqlx::query_scalar!("select created_at from accounts where account_id = $1", self.account.uuid());
        if range.from < began.fetch_one(&mut *connection).await? {
            return Ok(None);
        }
        Ok(Some(Before { range, totals: self.totals(connection, filter, range).await? }))
    }

    /// The sums of a range that begins with a day and may end at any instant: whole days, then whole hours, then what the last hour holds of calls.
    async fn totals(&self, connection: &mut PgConnection, filter: &CallFilter, range: Range) -> Result<Totals> {
        if Said::of(filter).is_some() {
            return sum(self.cells(connection, filter, range, Step::Month).await?.iter().map(Cell::totals));
        }
        let (day, hour) = (Step::Day.floor(range.to), Step::Hour.floor(range.to));
        let mut parts = self.cells(connection, filter, Range { to: day, ..range }, Step::Day).await?;
        if day < hour {
            parts.extend(self.cells(connection, filter, Range { from: day, to: hour }, Step::Hour).await?);
        }
        if hour < range.to {
            let mut calls = self.cells_of_calls(filter, Range { from: hour, to: range.to });
            parts.extend(calls.build_query_as().persistent(false).fetch_all(connection).await?);
        }
        sum(parts.iter().map(Cell::totals))
    }

    /// The calls of a part of an hour, which no sum knows by itself, corrections included.
    fn cells_of_calls(&self, filter: &CallFilter, range: Range) -> QueryBuilder<Postgres> {
        let mut query =
            QueryBuilder::new("select date_trunc('hour', c.started_at, 'UTC') as start, key_id, project_id, model, count(*) as requests");
        for sum in ["prompt_tokens", "completion_tokens", "total_tokens", "amount"] {
            query.push(", sum(coalesce(c.").push(sum).push(", 0) + coalesce(x.").push(sum).push(", 0))::bigint as ").push(sum);
        }
        query.push(" from calls c left join (select call_id");
        for sum in ["prompt_tokens", "completion_tokens", "total_tokens", "amount"] {
            query.push(", sum(").push(sum).push(") as ").push(sum);
        }
        query.push(" from corrections where account_id = ").push_bind(self.account.uuid());
        query.push(" and started_at >= ").push_bind(range.from).push(" and started_at < ").push_bind(range.to);
        query.push(" group by call_id) x using (call_id) where c.account_id = ").push_bind(self.account.uuid());
        query.push(" and c.started_at >= ").push_bind(range.from).push(" and c.started_at < ").push_bind(range.to);
        push_filter(&mut query, filter);
        query.push(" group by 1, 2, 3, 4");
        query
    }

    /// Hours come from the hourly rollup, days and months from the daily one.
    fn cells_of_sums(&self, filter: &CallFilter, range: Range, step: Step) -> QueryBuilder<Postgres> {
        let (table, column) = if step == Step::Hour { ("usage_hourly", "hour") } else { ("usage_daily", "day") };
        let mut query = QueryBuilder::new("select date_trunc(");
        query.push_bind(step.name()).push(", ").push(column).push(", 'UTC') as start, key_id, project_id, model");
        for sum in ["requests", "prompt_tokens", "completion_tokens", "total_tokens", "amount"] {
            query.push(", sum(").push(sum).push(")::bigint as ").push(sum);
        }
        query.push(" from ").push(table).push(" where account_id = ").push_bind(self.account.uuid());
        query.push(" and ").push(column).push(" >= ").push_bind(range.from);
        query.push(" and ").push(column).push(" < ").push_bind(range.to);
        push_filter(&mut query, filter);
        query.push(" group by 1, 2, 3, 4");
        query
    }

    /// What the filters of the account's pages can be set to.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn filter_choices(&self) -> Result<FilterChoices> {
        let projects = self.projects().await?;
        let mut connection = self.database.read().await?;
        let keys = sqlx::query!(
            r#"select key_id as "key_id: KeyId", name from api_keys where account_id = $1 order by name, key_id"#,
            self.account.uuid()
        )
        .fetch_all(&mut *connection)
        .await?;
        let called = sqlx::query!(
            r#"
            select
                coalesce((
                    select array_agg(model order by first, model)
                    from (select model, min(day) as first from usage_daily where account_id = $1 group by model) m
                ), '{}') as "models!",
                coalesce((select array_agg(distinct client) from usage_daily where account_id = $1), '{}') as "clients!: Vec<Label>"
            "#,
            self.account.uuid()
        )
        .fetch_one(&mut *connection)
        .await?;
        // Planned for this account each time: what suits most accounts, which have few calls, reads all the calls of one that has many.
        let said: Vec<(Option<Label>, Label)> = sqlx::query_as(include_str!("usage/said_lately.sql"))
            .bind(self.account.uuid())
            .persistent(false)
            .fetch_all(&mut *connection)
            .await?;
        let (mut end_users, mut tags) = (Vec::new(), BTreeMap::<Label, Vec<Label>>::new());
        for (tag, value) in said {
            match tag {
                Some(tag) => tags.entry(tag).or_default().push(value),
                None => end_users.push(value),
            }
        }
        Ok(FilterChoices {
            keys: keys.into_iter().map(|row| (row.key_id, row.name)).collect(),
            projects,
            models: called.models,
            clients: called.clients.into_iter().filter(|client| !client.as_str().is_empty()).collect(),
            end_users,
            tags: tags.into_iter().collect(),
        })
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
    if let Some(project) = filter.project {
        query.push(" and project_id = ").push_bind(project.uuid());
    }
    if let Some(client) = &filter.client {
        query.push(" and client = ").push_bind(client.clone());
    }
}

/// Cells by what `name` says (id and label), each with its sums per step; dearest first, then by name. `ids` are all that the account has, oldest first.
fn split(
    cells: &[Cell],
    steps: &[DateTime<Utc>],
    step: Step,
    ids: &[String],
    name: impl Fn(&Cell) -> (String, String),
) -> Result<Vec<UsageSeries>> {
    let mut series: BTreeMap<(String, String), UsageSeries> = BTreeMap::new();
    for cell in cells {
        let (id, label) = name(cell);
        let one = series.entry((label.clone(), id.clone())).or_insert_with(|| UsageSeries {
            place: ids.iter().position(|known| *known == id).unwrap_or(ids.len()),
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
