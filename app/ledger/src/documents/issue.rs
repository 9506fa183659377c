//! Issuing documents: whatever is posted and not documented yet gets its document, with the next number of its kind and year.

use std::collections::{BTreeMap, btree_map::Entry};

use chrono::{DateTime, Datelike, Utc};
use domain::{
    billing::{JournalKind, PostingNumber},
    document::{Buyer, DocumentKind, Seller, TaxRate},
    id::AccountId,
    money::Amount,
};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    buyer::buyer,
    record::{DocumentRecord, tax_rate},
    seller::newest,
};
use crate::{Error, Result, System};

/// The most accounts whose postings are looked through in one transaction.
const TOGETHER_MAX: i64 = 100;

impl System {
    /// Issues the documents of everything that was posted and has none, oldest posting first. Without a seller nothing is issued, and nothing is
    /// forgotten. Several processes may: one waits for the other. Returns how many were issued.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database is away: what was issued stays, the rest is issued the next time.
    pub async fn issue_documents(&self) -> Result<u64> {
        let mut issued = 0;
        loop {
            let mut tx = self.database.write().await?;
            let Some(seller) = newest(&mut tx).await? else { return Ok(issued) };
            let mut spans = undocumented(&mut tx).await?;
            if !due(&mut tx, &spans).await?.is_empty() {
                let mut register = Register::lock(&mut tx, self.database.dated).await?;
                // Somebody else may have issued them before the register was ours.
                spans = undocumented(&mut tx).await?;
                let due = due(&mut tx, &spans).await?;
                register.issue_all(&mut tx, &seller, &due).await?;
                if due.is_empty() {
                    return Ok(issued);
                }
                register.close(&mut tx).await?;
                issued += due.len() as u64;
            }
            note(&mut tx, &spans).await?;
            tx.commit().await?;
            if (spans.len() as i64) < TOGETHER_MAX {
                return Ok(issued);
            }
        }
    }
}

/// The postings of an account that nobody has looked at: after the first number, up to the second.
struct Span {
    account: AccountId,
    after: PostingNumber,
    upto: PostingNumber,
}

async fn undocumented(connection: &mut PgConnection) -> Result<Vec<Span>> {
    let rows = sqlx::query_as!(
        Span,
        r#"
        select h.account_id as "account: AccountId", coalesce(d.posting, 0) as "after!: PostingNumber", h.seq as "upto: PostingNumber"
        from heads h
        left join documented d on d.account_id = h.account_id
        where h.seq > coalesce(d.posting, 0)
        order by h.account_id limit $1
        "#,
        TOGETHER_MAX
    );
    Ok(rows.fetch_all(connection).await?)
}

/// Notes how far the postings have been looked through. Others may have come further meanwhile.
async fn note(connection: &mut PgConnection, spans: &[Span]) -> Result<()> {
    for span in spans {
        sqlx::query!(
            r#"
            insert into documented as d (account_id, posting) values ($1, $2)
            on conflict (account_id) do update set posting = greatest(d.posting, excluded.posting)
            "#,
            span.account.uuid(),
            span.upto.get()
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// A posting that needs a document.
struct Due {
    account: AccountId,
    posting: PostingNumber,
    kind: DocumentKind,
    /// What was paid, or went back: above zero.
    gross: Amount,
    /// The posting of what had been paid.
    about: Option<PostingNumber>,
}

async fn due(connection: &mut PgConnection, spans: &[Span]) -> Result<Vec<Due>> {
    let accounts: Vec<Uuid> = spans.iter().map(|span| span.account.uuid()).collect();
    let after: Vec<i64> = spans.iter().map(|span| span.after.get()).collect();
    let upto: Vec<i64> = spans.iter().map(|span| span.upto.get()).collect();
    let rows = sqlx::query!(
        r#"
        select
            j.account_id as "account: AccountId", j.seq as "posting: PostingNumber", j.kind as "kind: JournalKind",
            (
                select coalesce(sum(e.amount), 0)::bigint from entries e
                where e.account_id = j.account_id and e.seq = j.seq and e.grant_id is not null and e.unit = 'money'
            ) as "amount!: Amount",
            (
                select c.posting
                from payment_movements m
                join payment_movements c on c.account_id = m.account_id and c.payment_id = m.payment_id and c.kind = 'credit'
                where m.account_id = j.account_id and m.posting = j.seq and m.kind <> 'credit'
            ) as "about: PostingNumber"
        from unnest($1::uuid[], $2::bigint[], $3::bigint[]) as span (account_id, after, upto)
        join journal j on j.account_id = span.account_id and j.seq > span.after and j.seq <= span.upto
        where j.kind in ('top_up', 'refund', 'chargeback', 'plan_fee')
        order by j.posted_at, j.account_id, j.seq
        "#,
        &accounts,
        &after,
        &upto
    );
    let due = rows.fetch_all(connection).await?.into_iter().filter_map(|row| {
        let kind = DocumentKind::of(row.kind, row.amount)?;
        let gross = Amount::from_nanos(row.amount.nanos().checked_abs()?);
        Some(Due { account: row.account, posting: row.posting, kind, gross, about: row.about })
    });
    Ok(due.collect())
}

/// The counters of the running year, locked: nobody else issues anything.
struct Register {
    year: i32,
    counts: BTreeMap<DocumentKind, i64>,
    issued_at: DateTime<Utc>,
}

impl Register {
    /// Documents are dated one after the other, also when Postgres' clock was set back: a year that has begun does not become the one before.
    async fn lock(connection: &mut PgConnection, dated: Option<DateTime<Utc>>) -> Result<Self> {
        let newest = sqlx::query!("select year, issued_at from document_years order by year desc limit 1 for update");
        let newest = newest.fetch_optional(&mut *connection).await?.map(|row| row.issued_at);
        let clock = crate::clock(&mut *connection).await?;
        let now = dated.map_or(clock, |dated| dated.min(clock)).max(newest.unwrap_or(DateTime::UNIX_EPOCH));
        sqlx::query!("insert into document_years (year, issued_at) values ($1, $2) on conflict do nothing", now.year(), now)
            .execute(&mut *connection)
            .await?;
        let row =
            sqlx::query!("select receipts, invoices, credit_notes, issued_at from document_years where year = $1 for update", now.year());
        let row = row.fetch_one(connection).await?;
        let counts =
            [(DocumentKind::Receipt, row.receipts), (DocumentKind::Invoice, row.invoices), (DocumentKind::CreditNote, row.credit_notes)];
        Ok(Self { year: now.year(), counts: BTreeMap::from(counts), issued_at: now.max(row.issued_at) })
    }

    /// Issues the documents of these postings.
    async fn issue_all(&mut self, connection: &mut PgConnection, seller: &Seller, all: &[Due]) -> Result<()> {
        let mut buyers = BTreeMap::new();
        for due in all {
            let buyer = match buyers.entry(due.account) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => place.insert(buyer(&mut *connection, due.account).await?),
            };
            self.issue(&mut *connection, due, seller, buyer).await?;
        }
        Ok(())
    }

    async fn issue(&mut self, connection: &mut PgConnection, due: &Due, seller: &Seller, buyer: &Buyer) -> Result<()> {
        // What goes back of a payment, or comes again, contains the tax that the payment contained.
        let paid = tax_of(&mut *connection, due).await?;
        let rate = paid.map_or(seller.tax_rate, |(_, rate)| rate);
        let serial = self.counts.entry(due.kind).or_default();
        *serial = serial.checked_add(1).ok_or_else(|| Error::Corrupt("there are more documents than can be counted".to_owned()))?;
        let record = DocumentRecord {
            account: due.account,
            posting: due.posting,
            kind: due.kind,
            year: self.year,
            serial: *serial,
            number: due.kind.number(&seller.prefix, self.year, *serial),
            about: paid.map(|(paid, _)| paid),
            gross: due.gross,
            tax: rate.contained_in(due.gross).tax,
            tax_bps: rate.bps(),
            seller: seller.version,
            buyer: buyer.clone(),
            issued_at: self.issued_at,
        };
        record.insert(connection).await
    }

    /// Writes how far the numbers have come.
    async fn close(self, connection: &mut PgConnection) -> Result<()> {
        let count = |kind| self.counts.get(&kind).copied().unwrap_or_default();
        sqlx::query!(
            "update document_years set receipts = $2, invoices = $3, credit_notes = $4, issued_at = $5 where year = $1",
            self.year,
            count(DocumentKind::Receipt),
            count(DocumentKind::Invoice),
            count(DocumentKind::CreditNote),
            self.issued_at
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// The posting of the payment that something goes back of, and the tax on its document. It was posted, and so documented, before.
async fn tax_of(connection: &mut PgConnection, due: &Due) -> Result<Option<(PostingNumber, TaxRate)>> {
    let Some(paid) = due.about else { return Ok(None) };
    let bps = sqlx::query_scalar!("select tax_bps from documents where account_id = $1 and posting = $2", due.account.uuid(), paid.get());
    bps.fetch_optional(connection).await?.map(|bps| Ok((paid, tax_rate(bps)?))).transpose()
}
