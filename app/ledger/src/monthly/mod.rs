//! The statement of a month: what was posted in it.
//!
//! Nothing is stored for it. It is worked out from rows that never change, of postings up to a number: those of the month, and the calls and corrections that
//! they are of. A month is closed in an account's books once their head bears a date after it and no hour of it is open: whatever is posted from then on is
//! dated later, whichever way Postgres' clock is set ([`crate::books`]), and stands in a later statement, also where it is of a call that began before.
//! Every night each head is moved past the day that has ended, so that a month closes by itself.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{
    billing::{JournalKind, PostingNumber},
    id::{AccountId, KeyId},
    money::Amount,
    month::CalendarMonth,
    monthly::{Holdings, KindSum, MonthlyStatement, Movement, Used},
    tokens::Tokens,
    usage::{Totals, UsageRow},
};
use sqlx::PgConnection;

use crate::{AccountReader, Error, Result, page::cut, span::Span};

/// Postings of no calls that a statement names one by one.
const MOVEMENTS_MAX: i64 = 500;

impl AccountReader {
    /// The statement of a month, read at one instant.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a month that has not begun, or is before anything was posted; [`Error::Corrupt`] where its parts contradict each other,
    /// which the proof names.
    pub async fn monthly(&self, month: CalendarMonth, now: DateTime<Utc>) -> Result<MonthlyStatement> {
        let mut tx = self.database.snapshot().await?;
        let books = Books::read(&mut tx, self.account).await?.ok_or(Error::NotFound)?;
        if month > CalendarMonth::of(now) || month < CalendarMonth::of(books.first_at) {
            return Err(Error::NotFound);
        }
        let range = month.range();
        let span = Span {
            after: last_before(&mut tx, self.account, range.from).await?,
            last: last_before(&mut tx, self.account, range.to).await?,
        };
        let (movements, has_more) = movements(&mut tx, self.account, span).await?;
        let cells = cells(&mut tx, self.account, month, books.hour).await?;
        let names = key_names(&mut tx, self.account).await?;
        let of = |is_late| used(cells.iter().filter(|cell| cell.is_late == is_late), &names);
        let statement = MonthlyStatement {
            month,
            is_closed: books.are_past(range.to),
            opening: holdings(&mut tx, self.account, span.after).await?,
            closing: holdings(&mut tx, self.account, span.last).await?,
            changes: changes(&mut tx, self.account, span).await?,
            movements,
            has_more,
            used: of(false)?,
            late: of(true)?,
        };
        tx.rollback().await?;
        match statement.contradiction() {
            None => Ok(statement),
            Some(problem) => Err(Error::Corrupt(format!("the statement of {month} of account {}: {problem}", self.account))),
        }
    }

    /// The months of which there are statements, newest first, each with whether it is closed.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn months(&self, now: DateTime<Utc>) -> Result<Vec<(CalendarMonth, bool)>> {
        let Some(books) = Books::read(&mut *self.database.read().await?, self.account).await? else { return Ok(Vec::new()) };
        let first = CalendarMonth::of(books.first_at);
        let months = CalendarMonth::of(now).back_to(first);
        Ok(months.map(|month| (month, books.are_past(month.range().to))).collect())
    }
}

/// How far an account's books go.
struct Books {
    /// When the first posting was made.
    first_at: DateTime<Utc>,
    /// Whatever is posted next is dated later.
    posted_at: DateTime<Utc>,
    /// When the hour began that is not summed up yet.
    hour: Option<DateTime<Utc>>,
}

impl Books {
    /// `None` of an account of which nothing was posted.
    async fn read(connection: &mut PgConnection, account: AccountId) -> Result<Option<Self>> {
        let books = sqlx::query_as!(
            Self,
            r#"
            select j.posted_at as "first_at!", h.posted_at as "posted_at!", h.hour
            from heads h join journal j on j.account_id = h.account_id and j.seq = 1
            where h.account_id = $1
            "#,
            account.uuid()
        );
        Ok(books.fetch_optional(connection).await?)
    }

    /// Whether nothing can be posted any more that is dated before this.
    fn are_past(&self, end: DateTime<Utc>) -> bool {
        self.posted_at >= end && self.hour.is_none_or(|hour| hour >= end)
    }
}

/// The newest posting before an instant: postings are dated in their order.
async fn last_before(connection: &mut PgConnection, account: AccountId, end: DateTime<Utc>) -> Result<PostingNumber> {
    let last = sqlx::query_scalar!(
        r#"select seq as "seq: PostingNumber" from journal where account_id = $1 and posted_at < $2 order by seq desc limit 1"#,
        account.uuid(),
        end
    );
    Ok(last.fetch_optional(connection).await?.unwrap_or(PostingNumber::NONE))
}

/// What was in all grants after a posting: in each the balance after its newest entry up to there.
async fn holdings(connection: &mut PgConnection, account: AccountId, after: PostingNumber) -> Result<Holdings> {
    let row = sqlx::query_as!(
        Holdings,
        r#"
        select
            coalesce(sum(last.balance_after) filter (where g.unit = 'money'), 0)::bigint as "money!: Amount",
            coalesce(sum(last.balance_after) filter (where g.unit = 'tokens'), 0)::bigint as "tokens!"
        from grants g
        cross join lateral (
            select e.balance_after from entries e
            where e.account_id = g.account_id and e.grant_id = g.grant_id and e.seq <= $2
            order by e.seq desc, e.line desc limit 1
        ) last
        where g.account_id = $1
        "#,
        account.uuid(),
        after.get()
    );
    Ok(row.fetch_one(connection).await?)
}

async fn changes(connection: &mut PgConnection, account: AccountId, span: Span) -> Result<Vec<KindSum>> {
    let rows = sqlx::query!(
        r#"
        select
            j.kind as "kind: JournalKind", count(distinct j.seq) as "postings!",
            coalesce(sum(e.amount) filter (where e.unit = 'money'), 0)::bigint as "money!: Amount",
            coalesce(sum(e.amount) filter (where e.unit = 'tokens'), 0)::bigint as "tokens!"
        from journal j
        left join entries e on e.account_id = j.account_id and e.seq = j.seq and e.book = 'grant'
        where j.account_id = $1 and j.seq > $2 and j.seq <= $3
        group by j.kind
        order by min(j.seq)
        "#,
        account.uuid(),
        span.after.get(),
        span.last.get()
    );
    let rows = rows.fetch_all(connection).await?.into_iter();
    Ok(rows
        .map(|row| KindSum { kind: row.kind, postings: row.postings, change: Holdings { money: row.money, tokens: row.tokens } })
        .collect())
}

/// With whether there are more.
async fn movements(connection: &mut PgConnection, account: AccountId, span: Span) -> Result<(Vec<Movement>, bool)> {
    let rows = sqlx::query!(
        r#"
        select
            j.seq as "number: PostingNumber", j.kind as "kind: JournalKind", j.memo, j.posted_at,
            coalesce(sum(e.amount) filter (where e.unit = 'money'), 0)::bigint as "money!: Amount",
            coalesce(sum(e.amount) filter (where e.unit = 'tokens'), 0)::bigint as "tokens!"
        from journal j
        left join entries e on e.account_id = j.account_id and e.seq = j.seq and e.book = 'grant'
        where j.account_id = $1 and j.seq > $2 and j.seq <= $3 and j.kind not in ('usage', 'late_usage', 'call_credit', 'reprice')
        group by j.account_id, j.seq
        order by j.seq
        limit $4
        "#,
        account.uuid(),
        span.after.get(),
        span.last.get(),
        MOVEMENTS_MAX + 1
    );
    let mut movements: Vec<_> = rows
        .fetch_all(connection)
        .await?
        .into_iter()
        .map(|row| Movement {
            number: row.number,
            kind: row.kind,
            memo: row.memo,
            posted_at: row.posted_at,
            change: Holdings { money: row.money, tokens: row.tokens },
        })
        .collect();
    let has_more = cut(&mut movements, MOVEMENTS_MAX);
    Ok((movements, has_more))
}

/// What one key used of one model on one day.
struct Cell {
    /// Whether its calls began before the month.
    is_late: bool,
    day: DateTime<Utc>,
    key: KeyId,
    model: String,
    requests: i64,
    prompt_tokens: Tokens,
    completion_tokens: Tokens,
    total_tokens: Tokens,
    amount: Amount,
    written_off: Amount,
}

async fn cells(connection: &mut PgConnection, account: AccountId, month: CalendarMonth, hour: Option<DateTime<Utc>>) -> Result<Vec<Cell>> {
    let range = month.range();
    let booked = hour.map_or(range.to, |hour| hour.clamp(range.from, range.to));
    let cells = sqlx::query_file_as!(Cell, "src/monthly/figures.sql", account.uuid(), range.from, range.to, booked);
    Ok(cells.fetch_all(connection).await?)
}

async fn key_names(connection: &mut PgConnection, account: AccountId) -> Result<BTreeMap<KeyId, String>> {
    let keys = sqlx::query!(r#"select key_id as "id: KeyId", name from api_keys where account_id = $1"#, account.uuid());
    Ok(keys.fetch_all(connection).await?.into_iter().map(|key| (key.id, key.name)).collect())
}

fn used<'a>(cells: impl Iterator<Item = &'a Cell>, names: &BTreeMap<KeyId, String>) -> Result<Used> {
    let mut used = Used::default();
    let (mut models, mut keys, mut days) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for cell in cells {
        let totals = Totals {
            requests: cell.requests,
            prompt_tokens: cell.prompt_tokens,
            completion_tokens: cell.completion_tokens,
            total_tokens: cell.total_tokens,
            amount: cell.amount,
        };
        add(&mut used.totals, totals)?;
        used.written_off = used.written_off.checked_add(cell.written_off).ok_or_else(overflow)?;
        add(models.entry(cell.model.clone()).or_default(), totals)?;
        add(keys.entry(cell.key).or_default(), totals)?;
        add(days.entry(cell.day).or_default(), totals)?;
    }
    let name_of = |key: KeyId| names.get(&key).cloned().unwrap_or_default();
    used.by_model = dearest_first(models.into_iter().map(|(model, totals)| (model.clone(), model, totals)));
    used.by_key = dearest_first(keys.into_iter().map(|(key, totals)| (key.to_string(), name_of(key), totals)));
    used.by_day = days.into_iter().collect();
    Ok(used)
}

fn dearest_first(rows: impl Iterator<Item = (String, String, Totals)>) -> Vec<UsageRow> {
    let mut rows: Vec<_> = rows.map(|(id, label, totals)| UsageRow { id, label, totals }).collect();
    rows.sort_by_key(|row| std::cmp::Reverse((row.totals.amount, row.totals.total_tokens)));
    rows
}

fn add(sum: &mut Totals, part: Totals) -> Result<()> {
    *sum = sum.checked_add(part).ok_or_else(overflow)?;
    Ok(())
}

fn overflow() -> Error {
    Error::Corrupt("the usage of an account overflows".to_owned())
}
