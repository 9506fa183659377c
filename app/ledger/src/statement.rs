//! The books as a statement.

use chrono::{DateTime, Utc};
use domain::{
    billing::{JournalKind, JournalPage, JournalRow, OpenHour, PostingNumber, Statement},
    id::AccountId,
    money::Amount,
};
use sqlx::PgConnection;

use crate::{AccountReader, Error, Result, database::Database, grants};

/// Postings read for each line of a page: a line is at most a day of hours.
const POSTINGS_PER_LINE: i64 = 24;

impl AccountReader {
    /// The account's credit, and a page of its books of so many lines, newest first, each with the balance after it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when `before` is no posting of the account.
    pub async fn statement(&self, before: Option<PostingNumber>, lines: i64, now: DateTime<Utc>) -> Result<Statement> {
        statement(&self.database, self.account, before, lines, now).await
    }
}

/// Credit and books in one snapshot: the balance and the statement below it cannot disagree.
pub(crate) async fn statement(
    database: &Database,
    account: AccountId,
    before: Option<PostingNumber>,
    lines: i64,
    now: DateTime<Utc>,
) -> Result<Statement> {
    let mut tx = database.snapshot().await?;
    let balance = grants::balance(&mut *tx, account, now).await?;
    let open_hour = open_hour(&mut tx, account).await?;
    let journal = page(&mut tx, account, before, lines).await?;
    tx.rollback().await?;
    Ok(Statement { balance, open_hour, journal })
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
async fn page(connection: &mut PgConnection, account: AccountId, before: Option<PostingNumber>, lines: i64) -> Result<JournalPage> {
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
        where j.account_id = $1 and ($2::bigint is null or j.seq < $2)
        order by j.seq desc
        limit $3
        "#,
        account.uuid(),
        before.map(PostingNumber::get),
        limit.saturating_add(1)
    )
    .fetch_all(&mut *connection)
    .await?;
    let more = rows.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(JournalPage::of(rows, usize::try_from(lines).unwrap_or(usize::MAX), more))
}

async fn expect_posting(connection: &mut PgConnection, account: AccountId, posting: PostingNumber) -> Result<()> {
    sqlx::query!("select from journal where account_id = $1 and seq = $2", account.uuid(), posting.get())
        .fetch_optional(connection)
        .await?
        .map(|_| ())
        .ok_or(Error::NotFound)
}
