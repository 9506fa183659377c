//! Writing what happened under the lock: postings, entries, heads and grants of all accounts together, an array for each column.

use std::collections::BTreeMap;

use domain::{
    billing::PostingNumber,
    credit::Unit,
    id::{AccountId, GrantId},
};
use sqlx::PgConnection;

use super::{
    Book, Books, Change,
    hours::overflow,
    locked::{GrantLine, Numbered},
    posting::{EntryRecord, GRANT, PostingRecord},
};
use crate::{Result, encoding::Seal, limits};

/// What an account has in a book other than its grants, in a unit: revenue, cash and so on.
type Balances = BTreeMap<(AccountId, &'static str, Unit), i64>;

impl Books {
    /// Writes all that happened. Nothing else may be written of these accounts' credit in this transaction.
    pub(crate) async fn write(mut self, connection: &mut PgConnection) -> Result<()> {
        let mut balances = add_to_books(connection, &self.counters()?).await?;
        let mut postings = Vec::new();
        for book in self.by_account.values_mut() {
            for numbered in std::mem::take(&mut book.postings) {
                let posting = numbered.into_record(book.account, &mut balances)?;
                let digest = posting.digest(book.digest.as_deref());
                book.digest = Some(digest.to_vec());
                postings.push((posting, digest));
            }
        }
        insert_journal(connection, &postings).await?;
        insert_entries(connection, &postings).await?;
        update_heads(connection, self.by_account.values().filter(|book| book.is_touched)).await?;
        let changes = self.by_account.values().flat_map(|book| book.changes.iter().map(|(grant, change)| (book.account, *grant, *change)));
        update_grants(connection, &changes.filter(|(_, _, change)| *change != Change::default()).collect::<Vec<_>>()).await?;
        let windows =
            self.by_account.values().flat_map(|book| book.windows.iter().map(|(window, change)| ((book.account, *window), *change)));
        limits::write(connection, &windows.collect()).await
    }

    /// What each book other than the grants gets in all.
    fn counters(&self) -> Result<Balances> {
        let mut counters = Balances::new();
        for book in self.by_account.values() {
            for numbered in &book.postings {
                for (unit, against) in numbered.counter()? {
                    let counter = counters.entry((book.account, numbered.posting.kind.book(), unit)).or_default();
                    *counter = counter.checked_add(against).ok_or_else(overflow)?;
                }
            }
        }
        Ok(counters)
    }
}

impl Numbered {
    /// What the book of its kind gets in each unit, so that the entries sum to zero.
    fn counter(&self) -> Result<BTreeMap<Unit, i64>> {
        let mut counter = BTreeMap::new();
        for line in &self.grants {
            let sum: &mut i64 = counter.entry(line.unit).or_default();
            *sum = sum.checked_sub(line.amount).ok_or_else(overflow)?;
        }
        Ok(counter)
    }

    /// The rows of the posting. `before` is what was in its account's other books, and is after it then.
    fn into_record(self, account: AccountId, before: &mut Balances) -> Result<PostingRecord> {
        let counter = self.counter()?;
        let Self { number, posting, grants } = self;
        let mut entries: Vec<_> = grants.into_iter().map(EntryRecord::from).collect();
        for (unit, amount) in counter {
            let book = posting.kind.book();
            let balance = before.entry((account, book, unit)).or_default();
            *balance = balance.checked_add(amount).ok_or_else(overflow)?;
            let unit = unit.name().to_owned();
            entries.push(EntryRecord { line: 0, book: book.to_owned(), unit, grant: None, amount, balance_after: *balance });
        }
        entries.iter_mut().zip(1..).for_each(|(entry, line)| entry.line = line);
        let (idempotency_key, request_digest) = posting.request.map(|request| (request.idempotency_key, request.digest.to_vec())).unzip();
        Ok(PostingRecord {
            account,
            number,
            kind: posting.kind,
            memo: posting.memo,
            actor: posting.actor,
            idempotency_key,
            request_digest,
            event_at: posting.event_at,
            posted_at: posting.posted_at,
            calls: posting.calls,
            seals: posting.seals,
            entries,
        })
    }
}

impl From<GrantLine> for EntryRecord {
    /// Without its number.
    fn from(line: GrantLine) -> Self {
        let GrantLine { grant, unit, amount, after } = line;
        Self { line: 0, book: GRANT.to_owned(), unit: unit.name().to_owned(), grant: Some(grant), amount, balance_after: after }
    }
}

/// Adds to the books other than the grants. Returns what was in them before.
async fn add_to_books(connection: &mut PgConnection, counters: &Balances) -> Result<Balances> {
    if counters.is_empty() {
        return Ok(Balances::new());
    }
    let rows = sqlx::query!(
        r#"
        insert into books as b (account_id, book, unit, balance)
        select * from unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[])
        on conflict (account_id, book, unit) do update set balance = b.balance + excluded.balance
        returning account_id as "account: AccountId", book, unit as "unit: Unit", balance
        "#,
        &counters.keys().map(|(account, ..)| account.uuid()).collect::<Vec<_>>(),
        &counters.keys().map(|(_, book, _)| (*book).to_owned()).collect::<Vec<_>>(),
        &counters.keys().map(|(.., unit)| unit.name().to_owned()).collect::<Vec<_>>(),
        &counters.values().copied().collect::<Vec<_>>()
    )
    .fetch_all(connection)
    .await?;
    let after: BTreeMap<_, _> = rows.iter().map(|row| ((row.account, row.book.as_str(), row.unit), row.balance)).collect();
    let before = counters.iter().map(|(place, added)| {
        let balance = after.get(place).and_then(|after| after.checked_sub(*added)).ok_or_else(overflow)?;
        Ok((*place, balance))
    });
    before.collect()
}

async fn insert_journal(connection: &mut PgConnection, postings: &[(PostingRecord, Seal)]) -> Result<()> {
    if postings.is_empty() {
        return Ok(());
    }
    let rows = || postings.iter().map(|(posting, _)| posting);
    sqlx::query!(
        r#"
        insert into journal (
            account_id, seq, kind, memo, actor, idempotency_key, request_digest, event_at, posted_at, calls, seals, digest
        )
        select * from unnest(
            $1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[], $8::timestamptz[], $9::timestamptz[],
            $10::bigint[], $11::bytea[], $12::bytea[]
        )
        "#,
        &rows().map(|posting| posting.account.uuid()).collect::<Vec<_>>(),
        &rows().map(|posting| posting.number.get()).collect::<Vec<_>>(),
        &rows().map(|posting| posting.kind.name().to_owned()).collect::<Vec<_>>(),
        &rows().map(|posting| posting.memo.clone()).collect::<Vec<_>>(),
        &rows().map(|posting| posting.actor.clone()).collect::<Vec<_>>(),
        &rows().map(|posting| posting.idempotency_key.clone()).collect::<Vec<_>>() as _,
        &rows().map(|posting| posting.request_digest.clone()).collect::<Vec<_>>() as _,
        &rows().map(|posting| posting.event_at).collect::<Vec<_>>(),
        &rows().map(|posting| posting.posted_at).collect::<Vec<_>>(),
        &rows().map(|posting| posting.calls).collect::<Vec<_>>() as _,
        &rows().map(|posting| posting.seals.clone()).collect::<Vec<_>>() as _,
        &postings.iter().map(|(_, digest)| digest.to_vec()).collect::<Vec<_>>()
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_entries(connection: &mut PgConnection, postings: &[(PostingRecord, Seal)]) -> Result<()> {
    let rows: Vec<_> = postings.iter().flat_map(|(posting, _)| posting.entries.iter().map(move |entry| (posting, entry))).collect();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        r#"
        insert into entries (account_id, seq, line, book, unit, grant_id, amount, balance_after)
        select * from unnest(
            $1::uuid[], $2::bigint[], $3::smallint[], $4::text[], $5::text[], $6::uuid[], $7::bigint[], $8::bigint[]
        )
        "#,
        &rows.iter().map(|(posting, _)| posting.account.uuid()).collect::<Vec<_>>(),
        &rows.iter().map(|(posting, _)| posting.number.get()).collect::<Vec<_>>(),
        &rows.iter().map(|(_, entry)| entry.line).collect::<Vec<_>>(),
        &rows.iter().map(|(_, entry)| entry.book.clone()).collect::<Vec<_>>(),
        &rows.iter().map(|(_, entry)| entry.unit.clone()).collect::<Vec<_>>(),
        &rows.iter().map(|(_, entry)| entry.grant.map(GrantId::uuid)).collect::<Vec<_>>() as _,
        &rows.iter().map(|(_, entry)| entry.amount).collect::<Vec<_>>(),
        &rows.iter().map(|(_, entry)| entry.balance_after).collect::<Vec<_>>()
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn update_heads(connection: &mut PgConnection, books: impl Iterator<Item = &Book>) -> Result<()> {
    let books: Vec<_> = books.collect();
    if books.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        r#"
        update heads h set seq = n.seq, digest = n.digest, posted_at = n.posted_at, hour = n.hour, calls = n.calls, seals = n.seals
        from unnest($1::uuid[], $2::bigint[], $3::bytea[], $4::timestamptz[], $5::timestamptz[], $6::bigint[], $7::bytea[])
            n (account_id, seq, digest, posted_at, hour, calls, seals)
        where h.account_id = n.account_id
        "#,
        &books.iter().map(|book| book.account.uuid()).collect::<Vec<_>>(),
        &books.iter().map(|book| PostingNumber::get(book.number)).collect::<Vec<_>>(),
        &books.iter().map(|book| book.digest.clone()).collect::<Vec<_>>() as _,
        &books.iter().map(|book| book.now()).collect::<Vec<_>>(),
        &books.iter().map(|book| book.open.as_ref().map(|open| open.hour)).collect::<Vec<_>>() as _,
        &books.iter().map(|book| book.open.as_ref().map(|open| open.calls)).collect::<Vec<_>>() as _,
        &books.iter().map(|book| book.open.as_ref().map(|open| open.seals.to_vec())).collect::<Vec<_>>() as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn update_grants(connection: &mut PgConnection, changes: &[(AccountId, GrantId, Change)]) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        r#"
        update grants g
        set granted = g.granted + c.granted, used = g.used + c.used, unbooked = g.unbooked + c.unbooked, leased = g.leased + c.leased
        from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
            c (account_id, grant_id, granted, used, unbooked, leased)
        where g.account_id = c.account_id and g.grant_id = c.grant_id
        "#,
        &changes.iter().map(|(account, _, _)| account.uuid()).collect::<Vec<_>>(),
        &changes.iter().map(|(_, grant, _)| grant.uuid()).collect::<Vec<_>>(),
        &changes.iter().map(|(_, _, change)| change.granted).collect::<Vec<_>>(),
        &changes.iter().map(|(_, _, change)| change.used).collect::<Vec<_>>(),
        &changes.iter().map(|(_, _, change)| change.unbooked).collect::<Vec<_>>(),
        &changes.iter().map(|(_, _, change)| change.leased).collect::<Vec<_>>()
    )
    .execute(connection)
    .await?;
    Ok(())
}
