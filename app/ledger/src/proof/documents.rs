//! What must hold of paper: that each document says what its posting says, that no posting that needs one lacks it, and that numbers have no gaps.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Datelike, Utc};
use domain::{
    billing::{JournalKind, PostingNumber},
    document::{Buyer, DocumentKind},
    id::AccountId,
    money::Amount,
};
use sqlx::PgConnection;

use super::claim::{Claim, Findings};
use crate::{
    Result,
    documents::{DocumentRecord, SetSeller, part_of, sellers, tax_rate},
};

/// Checks every document of an account, and that there is one where one must be.
pub(super) async fn check(connection: &mut PgConnection, account: AccountId, findings: &mut Findings) -> Result<()> {
    let documents = of_account(connection, account).await?;
    let prefixes = if documents.is_empty() { HashMap::new() } else { prefixes(connection).await? };
    let mut back: HashMap<PostingNumber, Amount> = HashMap::new();
    for issued in &documents {
        check_document(issued, &prefixes, findings);
        let contained = contained(issued, &documents, &mut back);
        let DocumentRecord { number, tax, .. } = &issued.record;
        let row = || format!("tax of document {number}");
        findings.compare(Claim::DocumentIsItsPosting, row, format!("{contained:?}"), format!("{:?}", Some(tax)));
    }
    without_a_document(connection, account, findings).await
}

/// A document with its seal, and what the journal says of its posting.
struct Issued {
    record: DocumentRecord,
    seal: Vec<u8>,
    posted: Option<(JournalKind, Amount)>,
}

/// What stands before the numbers that each version of the seller gives.
async fn prefixes(connection: &mut PgConnection) -> Result<HashMap<i64, String>> {
    Ok(sellers(connection).await?.into_iter().map(|(SetSeller(seller), _)| (seller.version, seller.prefix)).collect())
}

fn check_document(issued: &Issued, prefixes: &HashMap<i64, String>, findings: &mut Findings) {
    let DocumentRecord { number, kind, gross, .. } = &issued.record;
    let row = || format!("document {number}");
    findings.sealed(Claim::DocumentIsSealed, row, issued.record.fits(&issued.seal));
    let expected = issued.posted.and_then(|(kind, amount)| Some((DocumentKind::of(kind, amount)?, amount.nanos().unsigned_abs())));
    if expected != Some((*kind, gross.nanos().unsigned_abs())) {
        findings.note(Claim::DocumentIsItsPosting, row(), format!("{expected:?}"), format!("{:?}", (kind, gross)));
    }
    let DocumentRecord { year, serial, seller, issued_at, .. } = &issued.record;
    let named = prefixes.get(seller).map(|prefix| kind.number(prefix, issued_at.year(), *serial));
    findings.compare(Claim::DocumentIsItsPosting, row, format!("{:?}", (named, issued_at.year())), format!("{:?}", (Some(number), year)));
}

/// The tax that a document contains by its rate; of what goes back of a payment, or comes again, by the payment's, and by what went back of it before.
fn contained(issued: &Issued, documents: &[Issued], back: &mut HashMap<PostingNumber, Amount>) -> Option<Amount> {
    let DocumentRecord { about, kind, gross, tax_bps, .. } = &issued.record;
    let rate = tax_rate(*tax_bps).ok()?;
    let Some(about) = about else { return Some(rate.contained_in(*gross).tax) };
    let paid = documents.iter().find(|paid| paid.record.posting == *about).filter(|paid| paid.record.tax_bps == *tax_bps);
    paid?;
    let back = back.entry(*about).or_default();
    let tax = part_of(*back, *kind, *gross, rate).ok()?;
    *back = if *kind == DocumentKind::CreditNote { back.checked_add(*gross)? } else { back.checked_sub(*gross)? };
    Some(tax)
}

async fn of_account(connection: &mut PgConnection, account: AccountId) -> Result<Vec<Issued>> {
    let rows = sqlx::query!(
        r#"
        select
            d.posting as "posting: PostingNumber", d.kind as "kind: DocumentKind", d.year, d.serial, d.number, d.about as "about: PostingNumber",
            d.gross as "gross: Amount", d.tax as "tax: Amount", d.tax_bps, d.seller, d.buyer_name, d.buyer_email, d.buyer_address, d.buyer_tax_id,
            d.issued_at, d.seal, j.kind as "posted_as?: JournalKind",
            (
                select sum(e.amount) from entries e
                where e.account_id = d.account_id and e.seq = d.posting and e.grant_id is not null and e.unit = 'money'
            )::bigint as "amount: Amount"
        from documents d
        left join journal j on j.account_id = d.account_id and j.seq = d.posting
        where d.account_id = $1
        order by d.posting
        "#,
        account.uuid()
    )
    .fetch_all(connection)
    .await?;
    let issued = rows.into_iter().map(|row| Issued {
        record: DocumentRecord {
            account,
            posting: row.posting,
            kind: row.kind,
            year: row.year,
            serial: row.serial,
            number: row.number,
            about: row.about,
            gross: row.gross,
            tax: row.tax,
            tax_bps: row.tax_bps,
            seller: row.seller,
            buyer: Buyer { name: row.buyer_name, email: row.buyer_email, address: row.buyer_address, tax_id: row.buyer_tax_id },
            issued_at: row.issued_at,
        },
        seal: row.seal,
        posted: row.posted_as.zip(row.amount),
    });
    Ok(issued.collect())
}

/// As far as an account's postings were looked through, which is no further than they go, each that needs a document has it, and beyond that none has.
async fn without_a_document(connection: &mut PgConnection, account: AccountId, findings: &mut Findings) -> Result<()> {
    let span = sqlx::query!(
        r#"
        select h.seq as "newest: PostingNumber", d.posting as "looked_through: PostingNumber"
        from heads h join documented d on d.account_id = h.account_id
        where h.account_id = $1
        "#,
        account.uuid()
    );
    let span = span.fetch_optional(&mut *connection).await?;
    let looked_through = span.as_ref().map_or(PostingNumber::NONE, |span| span.looked_through);
    let row = |posting: PostingNumber| format!("posting {posting} of account {account}");
    if let Some(span) = span.filter(|span| span.looked_through > span.newest) {
        findings.note(Claim::MoneyIsDocumented, row(span.looked_through), "a posting that was looked through", "none");
    }
    let postings = sqlx::query!(
        r#"
        select
            j.seq as "posting: PostingNumber", j.kind as "kind: JournalKind", d.posting is not null as "is_documented!",
            (
                select coalesce(sum(e.amount), 0)::bigint from entries e
                where e.account_id = j.account_id and e.seq = j.seq and e.grant_id is not null and e.unit = 'money'
            ) as "amount!: Amount"
        from journal j
        left join documents d on d.account_id = j.account_id and d.posting = j.seq
        where j.account_id = $1 and (j.kind in ('top_up', 'refund', 'chargeback', 'plan_fee') or d.posting is not null)
        and not exists (select from redemptions r where r.account_id = j.account_id and r.posting = j.seq)
        "#,
        account.uuid()
    );
    for posting in postings.fetch_all(connection).await? {
        let is_due = posting.posting <= looked_through && DocumentKind::of(posting.kind, posting.amount).is_some();
        findings.compare(Claim::MoneyIsDocumented, || row(posting.posting), is_due, posting.is_documented);
    }
    Ok(())
}

/// Of every account: the numbers of each kind and year go from 1 on without gaps, as the year counts them; and who sells is what was said.
pub(super) async fn check_numbers(connection: &mut PgConnection, findings: &mut Findings) -> Result<()> {
    for (place, (seller, seal)) in (1..).zip(sellers(connection).await?) {
        let row = || format!("version {} of who sells", seller.0.version);
        findings.sealed(Claim::DocumentIsSealed, row, seller.fits(&seal));
        findings.compare(Claim::DocumentIsSealed, row, place, seller.0.version);
    }
    let rows = sqlx::query!(
        r#"
        select
            year, kind as "kind: DocumentKind", count(*) as "count!", count(distinct serial) as "distinct!", max(serial) as "last!",
            max(issued_at) as "issued_at!"
        from documents group by year, kind
        "#
    );
    // Of each year: how many of each kind, and when the newest of all.
    let mut found: BTreeMap<i32, (BTreeMap<DocumentKind, i64>, DateTime<Utc>)> = BTreeMap::new();
    for row in rows.fetch_all(&mut *connection).await? {
        let name = || format!("{} numbers of {}", row.kind.name(), row.year);
        findings.compare(
            Claim::DocumentsAreNumbered,
            name,
            format!("{:?}", (row.count, row.count)),
            format!("{:?}", (row.distinct, row.last)),
        );
        let of_year = found.entry(row.year).or_insert((BTreeMap::new(), row.issued_at));
        of_year.0.insert(row.kind, row.count);
        of_year.1 = of_year.1.max(row.issued_at);
    }
    let counted = sqlx::query!("select year, receipts, invoices, credit_notes, issued_at from document_years");
    for row in counted.fetch_all(connection).await? {
        let counts =
            [(DocumentKind::Receipt, row.receipts), (DocumentKind::Invoice, row.invoices), (DocumentKind::CreditNote, row.credit_notes)];
        let counted = (counts.into_iter().filter(|(_, count)| *count != 0).collect::<BTreeMap<_, _>>(), row.issued_at);
        let of_year = found.remove(&row.year);
        let name = || format!("documents of {}", row.year);
        findings.compare(Claim::DocumentsAreNumbered, name, format!("{of_year:?}"), format!("{:?}", Some(counted)));
    }
    for (year, counts) in found {
        findings.note(Claim::DocumentsAreNumbered, format!("documents of {year}"), format!("{counts:?}"), "none");
    }
    Ok(())
}
