//! Paper for money: who sells, who buys, and the documents of what was paid in, sold and paid back. They are issued by [`crate::System`] alone.

mod buyer;
mod issue;
mod looks;
mod record;
mod seller;

use chrono::{DateTime, Utc};
use domain::{
    billing::{JournalKind, PostingNumber},
    document::{Document, DocumentKind},
    id::AccountId,
    money::Amount,
};
use sqlx::PgConnection;

use self::issue::{said, said_at};
pub use self::{buyer::NewBuyer, looks::DocumentLooks, seller::NewSeller};
pub(crate) use self::{
    issue::part_of,
    record::{DocumentRecord, tax_rate},
    seller::{SetSeller, sellers},
};
use crate::{AccountReader, Error, Result, page::cut};

/// A page of documents, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DocumentPage {
    /// The documents.
    pub documents: Vec<Document>,
    /// The next page has those of postings before this one, if there are any.
    pub next: Option<PostingNumber>,
}

impl AccountReader {
    /// The account's documents, of the newest posting first: at most so many, of postings before `before`.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn documents(&self, before: Option<PostingNumber>, most: i64) -> Result<DocumentPage> {
        let mut connection = self.database.read().await?;
        let rows = read(&mut connection, self.account, Which { before, ..Which::default() }, most.saturating_add(1)).await?;
        let mut documents = dressed(&mut connection, rows).await?;
        let more = cut(&mut documents, most);
        let next = documents.last().filter(|_| more).map(|oldest| oldest.posting);
        Ok(DocumentPage { documents, next })
    }

    /// The account's document of a number.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for another account's.
    pub async fn document(&self, number: &str) -> Result<Document> {
        let mut connection = self.database.read().await?;
        let rows = read(&mut connection, self.account, Which { number: Some(number), ..Which::default() }, 1).await?;
        dressed(&mut connection, rows).await?.pop().ok_or(Error::NotFound)
    }

    /// The numbers of the documents of some of the account's postings.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn document_numbers(&self, postings: &[PostingNumber]) -> Result<Vec<(PostingNumber, String)>> {
        let postings: Vec<_> = postings.iter().map(|posting| posting.get()).collect();
        let rows = sqlx::query!(
            r#"select posting as "posting: PostingNumber", number from documents where account_id = $1 and posting = any($2)"#,
            self.account.uuid(),
            &postings
        );
        Ok(rows.fetch_all(&mut *self.database.read().await?).await?.into_iter().map(|row| (row.posting, row.number)).collect())
    }
}

/// Which documents of an account.
#[derive(Debug, Clone, Copy, Default)]
struct Which<'a> {
    before: Option<PostingNumber>,
    number: Option<&'a str>,
}

/// A document's row, with what the journal says of its posting.
struct Row {
    record: DocumentRecord,
    /// The number of the document of what had been paid.
    about: Option<String>,
    posted_as: JournalKind,
    purpose: String,
    posted_at: DateTime<Utc>,
    /// Of what went back or came again, when it had been paid.
    paid_at: Option<DateTime<Utc>>,
}

async fn read(connection: &mut PgConnection, account: AccountId, which: Which<'_>, most: i64) -> Result<Vec<Row>> {
    let rows = sqlx::query!(
        r#"
        select
            d.posting as "posting: PostingNumber", d.kind as "kind: DocumentKind", d.year, d.serial, d.number, d.about as "about: PostingNumber",
            d.gross as "gross: Amount", d.tax as "tax: Amount", d.tax_bps, d.seller, d.buyer_name, d.buyer_email, d.buyer_address, d.buyer_tax_id,
            d.issued_at, j.kind as "posted_as: JournalKind", j.memo, j.posted_at, a.number as "about_number?", p.posted_at as "paid_at?"
        from documents d
        join journal j on j.account_id = d.account_id and j.seq = d.posting
        left join documents a on a.account_id = d.account_id and a.posting = d.about
        left join journal p on p.account_id = d.account_id and p.seq = d.about
        where d.account_id = $1 and ($2::bigint is null or d.posting < $2) and ($3::text is null or d.number = $3)
        order by d.posting desc
        limit $4
        "#,
        account.uuid(),
        which.before.map(PostingNumber::get),
        which.number,
        most
    )
    .fetch_all(connection)
    .await?;
    let rows = rows.into_iter().map(|row| Row {
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
            buyer: domain::document::Buyer {
                name: row.buyer_name,
                email: row.buyer_email,
                address: row.buyer_address,
                tax_id: row.buyer_tax_id,
            },
            issued_at: row.issued_at,
        },
        about: row.about_number,
        posted_as: row.posted_as,
        purpose: row.memo,
        posted_at: row.posted_at,
        paid_at: row.paid_at,
    });
    Ok(rows.collect())
}

/// With who sold, which is not stored beside what is spread over machines by the account.
async fn dressed(connection: &mut PgConnection, rows: Vec<Row>) -> Result<Vec<Document>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let sellers = said(connection).await?;
    rows.into_iter()
        .map(|Row { record, about, posted_as, purpose, posted_at, paid_at }| {
            let seller = sellers.iter().find(|seller| seller.version == record.seller);
            let seller = seller.ok_or_else(|| Error::Corrupt(format!("document {} has no seller", record.number)))?;
            let taxed_by = said_at(&sellers, paid_at.unwrap_or(posted_at)).unwrap_or(seller);
            Ok(Document {
                kind: record.kind,
                sum: record.sum()?,
                tax_rate: tax_rate(record.tax_bps)?,
                tax_label: taxed_by.tax_label.clone(),
                number: record.number,
                posting: record.posting,
                about,
                posted_as,
                purpose,
                seller: seller.clone(),
                buyer: record.buyer,
                posted_at,
                issued_at: record.issued_at,
            })
        })
        .collect()
}
