//! The books as a statement.

use chrono::{DateTime, Utc};
use domain::{
    billing::{JournalKind, JournalPage, JournalRow, MonthBalance, OpenHour, PostingNumber, Statement},
    id::AccountId,
    journal::{JournalFilter, JournalPart},
    money::Amount,
    month::CalendarMonth,
};
use sqlx::PgConnection;

use crate::{AccountReader, Error, Result, database::Database, grants, page::cut, span::Span};

/// Postings read for each line of a page: a line is at most a day of hours.
const POSTINGS_PER_LINE: i64 = 24;

/// Which lines of a journal make a page.
#[derive(Debug, Clone, Copy)]
pub struct JournalSlice {
    /// Of which postings.
    pub filter: JournalFilter,
    /// Only what precedes this posting.
    pub before: Option<PostingNumber>,
    /// How many at most.
    pub lines: i64,
}

impl JournalSlice {
    /// The newest of all.
    #[must_use]
    pub const fn newest(lines: i64) -> Self {
        Self { filter: JournalFilter { part: JournalPart::Everything, month: None }, before: None, lines }
    }
}

impl AccountReader {
    /// The account's credit, and a page of its books of so many lines, newest first, each with the balance after it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when `before` is no posting of the account.
    pub async fn statement(&self, before: Option<PostingNumber>, lines: i64, now: DateTime<Utc>) -> Result<Statement> {
        self.statement_of(JournalSlice { before, ..JournalSlice::newest(lines) }, now).await
    }

    /// The same of some postings only; what stands after a line counts all of them.
    ///
    /// # Errors
    /// As [`Self::statement`].
    pub async fn statement_of(&self, slice: JournalSlice, now: DateTime<Utc>) -> Result<Statement> {
        statement(&self.database, self.account, slice, now).await
    }
}

/// Credit and books in one snapshot: the balance and the statement below it cannot disagree.
pub(crate) async fn statement(database: &Database, account: AccountId, slice: JournalSlice, now: DateTime<Utc>) -> Result<Statement> {
    let JournalSlice { filter: JournalFilter { part, month }, before, lines } = slice;
    let mut tx = database.snapshot().await?;
    let balance = grants::balance(&mut *tx, account, now).await?;
    let open_hour = open_hour(&mut tx, account).await?;
    let since = sqlx::query_scalar!("select posted_at from journal where account_id = $1 order by seq limit 1", account.uuid());
    let since = since.fetch_optional(&mut *tx).await?;
    let (span, month) = match month {
        Some(month) => month_of(&mut tx, account, month).await.map(|(span, month)| (span, Some(month)))?,
        None => (Span::ALL, None),
    };
    let journal = page(&mut tx, account, part, span, before, lines).await?;
    tx.rollback().await?;
    Ok(Statement { balance, open_hour, journal, since, month })
}

/// What calls used, and what was given back of it, as the queries know it.
fn names_of_calls() -> [String; JournalKind::OF_CALLS.len()] {
    JournalKind::OF_CALLS.map(|kind| kind.name().to_owned())
}

/// The postings of a month and what they did, in one query, in which the balances at both ends are read apart from the entries between them. Postings
/// never run backwards, so that a month is found from its newest posting back.
async fn month_of(connection: &mut PgConnection, account: AccountId, month: CalendarMonth) -> Result<(Span, MonthBalance)> {
    let range = month.range();
    let row = sqlx::query!(
        r#"
        with month as (
            select
                coalesce((select j.seq from journal j where j.account_id = $1 and j.posted_at < $2 order by j.seq desc limit 1), 0) as after,
                coalesce((select j.seq from journal j where j.account_id = $1 and j.posted_at < $3 order by j.seq desc limit 1), 0) as last
        ), moved as (
            select
                coalesce(sum(e.amount) filter (where j.kind <> all($4)), 0)::bigint as moved,
                coalesce(sum(e.amount) filter (where j.kind = any($4)), 0)::bigint as used
            from month m
            join journal j on j.account_id = $1 and j.seq > m.after and j.seq <= m.last
            join entries e on e.account_id = j.account_id and e.seq = j.seq and e.book = 'grant' and e.unit = 'money'
        ), balances as (
            select coalesce(sum(opening.balance_after), 0)::bigint as opening, coalesce(sum(closing.balance_after), 0)::bigint as closing
            from month m
            join grants g on g.account_id = $1 and g.unit = 'money'
            left join lateral (
                select e.balance_after from entries e
                where e.account_id = $1 and e.grant_id = g.grant_id and e.seq <= m.after
                order by e.seq desc, e.line desc limit 1
            ) opening on true
            left join lateral (
                select e.balance_after from entries e
                where e.account_id = $1 and e.grant_id = g.grant_id and e.seq <= m.last
                order by e.seq desc, e.line desc limit 1
            ) closing on true
        )
        select
            after as "after!: PostingNumber", last as "last!: PostingNumber", opening as "opening!: Amount", moved as "moved!: Amount",
            used as "used!: Amount", closing as "closing!: Amount"
        from month, moved, balances
        "#,
        account.uuid(),
        range.from,
        range.to,
        &names_of_calls()[..]
    )
    .fetch_one(connection)
    .await?;
    let balance = MonthBalance { opening: row.opening, moved: row.moved, used: row.used, closing: row.closing };
    Ok((Span { after: row.after, last: row.last }, balance))
}

async fn open_hour(connection: &mut PgConnection, account: AccountId) -> Result<Option<OpenHour>> {
    let hour = sqlx::query_as!(
        OpenHour,
        r#"
        select
            hour as "hour!", calls as "calls!",
            (select coalesce(sum(unbooked), 0)::bigint from grants g where g.account_id = h.account_id and g.unit = 'money') as "amount!: Amount",
            (select coalesce(sum(unbooked), 0)::bigint from grants g where g.account_id = h.account_id and g.unit = 'tokens') as "tokens!"
        from heads h
        where account_id = $1 and hour is not null
        "#,
        account.uuid()
    );
    Ok(hour.fetch_optional(connection).await?)
}

/// The balance after a posting is what was in each grant then: the balance after its newest entry up to there.
async fn page(
    connection: &mut PgConnection,
    account: AccountId,
    part: JournalPart,
    span: Span,
    before: Option<PostingNumber>,
    lines: i64,
) -> Result<JournalPage> {
    if let Some(before) = before {
        expect_posting(connection, account, before).await?;
    }
    let limit = lines.saturating_mul(POSTINGS_PER_LINE);
    let mut rows = sqlx::query_as!(
        JournalRow,
        r#"
        select
            j.seq as "number: PostingNumber", j.kind as "kind: JournalKind", j.calls, j.memo, j.actor, j.event_at, j.posted_at,
            (
                select coalesce(sum(e.amount), 0)::bigint from entries e
                where e.account_id = j.account_id and e.seq = j.seq and e.book = 'grant' and e.unit = 'money'
            ) as "amount!: Amount",
            (
                select coalesce(sum(e.amount), 0)::bigint from entries e
                where e.account_id = j.account_id and e.seq = j.seq and e.book = 'grant' and e.unit = 'tokens'
            ) as "tokens!",
            (
                select coalesce(sum(last.balance_after), 0)::bigint
                from grants g
                cross join lateral (
                    select e.balance_after from entries e
                    where e.account_id = g.account_id and e.grant_id = g.grant_id and e.seq <= j.seq
                    order by e.seq desc, e.line desc limit 1
                ) last
                where g.account_id = j.account_id and g.unit = 'money'
            ) as "balance_after!: Amount"
        from journal j
        where
            j.account_id = $1 and ($2::bigint is null or j.seq < $2) and j.seq > $4 and j.seq <= $5
            and ($6::boolean is null or (j.kind = any($7)) = $6)
        order by j.seq desc
        limit $3
        "#,
        account.uuid(),
        before.map(PostingNumber::get),
        limit.saturating_add(1),
        span.after.get(),
        span.last.get(),
        part.is_of_calls(),
        &names_of_calls()[..]
    )
    .fetch_all(&mut *connection)
    .await?;
    let more = cut(&mut rows, limit);
    Ok(JournalPage::of(rows, usize::try_from(lines).unwrap_or(usize::MAX), more))
}

async fn expect_posting(connection: &mut PgConnection, account: AccountId, posting: PostingNumber) -> Result<()> {
    sqlx::query!("select from journal where account_id = $1 and seq = $2", account.uuid(), posting.get())
        .fetch_optional(connection)
        .await?
        .map(|_| ())
        .ok_or(Error::NotFound)
}
