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
    DocumentLooks,
    buyer::buyer,
    record::{DocumentRecord, tax_rate},
    seller::{SetSeller, sellers},
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
        Ok(self.issue_since(None).await?.unwrap_or_default())
    }

    /// The same, for whoever does so again and again: of accounts whose books have not moved since the look before, it sees nothing but once an hour.
    ///
    /// # Errors
    /// As [`Self::issue_documents`]: the next time looks as far back as this one.
    pub async fn issue_new_documents(&self, looks: &mut DocumentLooks) -> Result<u64> {
        let now = match self.database.dated {
            None => crate::clock(&mut *self.database.read().await?).await?,
            Some(dated) => dated,
        };
        let since = looks.since(now);
        let issued = self.issue_since(since).await?;
        // Where nobody has said who sells, nothing was looked at.
        if issued.is_some() {
            looks.note(since, now);
        }
        Ok(issued.unwrap_or_default())
    }

    /// Of accounts whose books moved after an instant, or of all. `None` where nobody has said who sells.
    async fn issue_since(&self, since: Option<DateTime<Utc>>) -> Result<Option<u64>> {
        let mut issued = 0;
        // Accounts are looked through once a round, in order: to begin again for each hundred would read all that were seen already.
        let mut after = None;
        loop {
            let mut tx = self.database.write().await?;
            if sellers(&mut tx).await?.is_empty() {
                return Ok(None);
            }
            let mut spans = undocumented(&mut tx, after, since).await?;
            let Some(last) = spans.last().map(|span| span.account) else { return Ok(Some(issued)) };
            let is_all = (spans.len() as i64) < TOGETHER_MAX;
            if !due(&mut tx, &spans).await?.is_empty() {
                let mut register = Register::lock(&mut tx, self.database.dated).await?;
                // Somebody else may have issued them, and said anew who sells, before the register was ours.
                spans = undocumented(&mut tx, after, since).await?;
                let due = due(&mut tx, &spans).await?;
                let sellers = said(&mut tx).await?;
                register.issue_all(&mut tx, &sellers, &due).await?;
                register.close(&mut tx).await?;
                issued += due.len() as u64;
            }
            note(&mut tx, &spans).await?;
            tx.commit().await?;
            if is_all {
                return Ok(Some(issued));
            }
            after = Some(last);
        }
    }
}

/// Every version of who sells, oldest first.
pub(super) async fn said(connection: &mut PgConnection) -> Result<Vec<Seller>> {
    Ok(sellers(connection).await?.into_iter().map(|(SetSeller(seller), _)| seller).collect())
}

/// Who sold at an instant, as it was said then, or said first: by that version's rate and name is the tax in what was paid then.
pub(super) fn said_at(sellers: &[Seller], at: DateTime<Utc>) -> Option<&Seller> {
    sellers.iter().rev().find(|seller| seller.set_at <= at).or_else(|| sellers.first())
}

/// The tax that was in what was paid at an instant: as it was said then, or said first. A plan is paid for from the balance: the tax is on the receipts of what
/// was paid into that, and would be owed twice if it stood on both.
fn rate_of(sellers: &[Seller], due: &Due) -> TaxRate {
    if due.kind == DocumentKind::Invoice {
        TaxRate::NONE
    } else {
        said_at(sellers, due.posted_at).map_or(TaxRate::NONE, |seller| seller.tax_rate)
    }
}

/// The postings of an account that nobody has looked at: after the first number, up to the second.
struct Span {
    account: AccountId,
    after: PostingNumber,
    upto: PostingNumber,
}

/// There is no index by the dates of heads: to read each of them takes a moment, and the index would have to be written with every posting.
async fn undocumented(connection: &mut PgConnection, after: Option<AccountId>, since: Option<DateTime<Utc>>) -> Result<Vec<Span>> {
    let rows = sqlx::query_as!(
        Span,
        r#"
        select h.account_id as "account: AccountId", coalesce(d.posting, 0) as "after!: PostingNumber", h.seq as "upto: PostingNumber"
        from heads h
        left join documented d on d.account_id = h.account_id
        where h.seq > coalesce(d.posting, 0) and ($2::uuid is null or h.account_id > $2) and ($3::timestamptz is null or h.posted_at > $3)
        order by h.account_id limit $1
        "#,
        TOGETHER_MAX,
        after.map(AccountId::uuid),
        since
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
    posted_at: DateTime<Utc>,
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
            j.account_id as "account: AccountId", j.seq as "posting: PostingNumber", j.posted_at, j.kind as "kind: JournalKind",
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
        -- Whoever redeems a code has paid nobody for it here.
        and not exists (select from redemptions r where r.account_id = j.account_id and r.posting = j.seq)
        order by j.posted_at, j.account_id, j.seq
        "#,
        &accounts,
        &after,
        &upto
    );
    let due = rows.fetch_all(connection).await?.into_iter().filter_map(|row| {
        let kind = DocumentKind::of(row.kind, row.amount)?;
        let gross = Amount::from_nanos(row.amount.nanos().checked_abs()?);
        Some(Due { account: row.account, posting: row.posting, posted_at: row.posted_at, kind, gross, about: row.about })
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
    async fn issue_all(&mut self, connection: &mut PgConnection, sellers: &[Seller], all: &[Due]) -> Result<()> {
        let mut buyers = BTreeMap::new();
        for due in all {
            let buyer = match buyers.entry(due.account) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => place.insert(buyer(&mut *connection, due.account).await?),
            };
            self.issue(&mut *connection, due, sellers, buyer).await?;
        }
        Ok(())
    }

    async fn issue(&mut self, connection: &mut PgConnection, due: &Due, sellers: &[Seller], buyer: &Buyer) -> Result<()> {
        let Some(seller) = sellers.last() else { return Ok(()) };
        // What goes back of a payment, or comes again, contains the tax that the payment contained.
        let paid = paid_of(&mut *connection, due).await?;
        let rate = paid.map_or_else(|| rate_of(sellers, due), |paid| paid.rate);
        let serial = self.counts.entry(due.kind).or_default();
        *serial = serial.checked_add(1).ok_or_else(|| Error::Corrupt("there are more documents than can be counted".to_owned()))?;
        let record = DocumentRecord {
            account: due.account,
            posting: due.posting,
            kind: due.kind,
            year: self.year,
            serial: *serial,
            number: due.kind.number(&seller.prefix, self.year, *serial),
            about: paid.map(|paid| paid.posting),
            gross: due.gross,
            tax: paid.map_or_else(|| Ok(rate.contained_in(due.gross).tax), |paid| part_of(paid.back, due.kind, due.gross, rate))?,
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

/// What was paid that something goes back of, or comes again of.
#[derive(Clone, Copy)]
struct Paid {
    posting: PostingNumber,
    /// On its document. It was posted, and so documented, before.
    rate: TaxRate,
    /// What its documents say has gone back of it until now.
    back: Amount,
}

async fn paid_of(connection: &mut PgConnection, due: &Due) -> Result<Option<Paid>> {
    let Some(posting) = due.about else { return Ok(None) };
    let row = sqlx::query!(
        r#"
        select
            tax_bps,
            (
                select coalesce(sum(case kind when 'credit_note' then gross else -gross end), 0)::bigint from documents
                where account_id = $1 and about = $2
            ) as "back!: Amount"
        from documents where account_id = $1 and posting = $2
        "#,
        due.account.uuid(),
        posting.get()
    );
    let row = row.fetch_optional(connection).await?;
    row.map(|row| Ok(Paid { posting, rate: tax_rate(row.tax_bps)?, back: row.back })).transpose()
}

/// The tax in a part that goes back of a payment, or comes again: what it changes of the tax in all that has gone back, so that parts that are the whole
/// contain the tax of the whole, to the cent.
pub(crate) fn part_of(back: Amount, kind: DocumentKind, gross: Amount, rate: TaxRate) -> Result<Amount> {
    let signed = if kind == DocumentKind::CreditNote { Some(gross) } else { gross.checked_neg() };
    let after = signed.and_then(|signed| back.checked_add(signed));
    let tax = after.and_then(|after| rate.contained_in(after).tax.checked_sub(rate.contained_in(back).tax));
    let tax = if kind == DocumentKind::CreditNote { tax } else { tax.and_then(Amount::checked_neg) };
    let tax = tax.ok_or_else(|| Error::Corrupt("what went back of a payment is beyond what can be written down".to_owned()))?;
    Ok(tax.clamp(Amount::ZERO, gross))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    fn cents(cents: i64) -> Amount {
        Amount::from_nanos(cents * 10_000_000)
    }

    #[test]
    fn three_parts_of_ten_contain_the_tax_of_ten() {
        let rate = TaxRate::from_bps(1_900).unwrap();
        let parts = [(0, 333), (333, 333), (666, 334)]
            .map(|(back, part)| part_of(cents(back), DocumentKind::CreditNote, cents(part), rate).unwrap());
        assert_eq!(parts.map(|tax| tax.nanos() / 10_000_000), [53, 53, 54], "and not three times 53");
        assert_eq!(
            part_of(cents(1_000), DocumentKind::Receipt, cents(1_000), rate).unwrap(),
            rate.contained_in(cents(1_000)).tax,
            "it came again"
        );
    }

    proptest! {
        #[test]
        fn parts_that_are_the_whole_contain_the_tax_of_the_whole(parts in proptest::collection::vec(1_i64..100_000, 1..12), bps in 0..=10_000) {
            let rate = TaxRate::from_bps(bps).unwrap();
            let (mut back, mut tax) = (0, 0);
            for part in parts {
                let own = part_of(cents(back), DocumentKind::CreditNote, cents(part), rate).unwrap();
                prop_assert!((Amount::ZERO..=cents(part)).contains(&own));
                (back, tax) = (back + part, tax + own.nanos());
            }
            prop_assert_eq!(tax, rate.contained_in(cents(back)).tax.nanos());
        }
    }
}
